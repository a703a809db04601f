"""The named configurations, as data: the published models, their papers' ablations, and the deployable ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .config import Config, ConfigError, EmbedLayer, PatchEmbedConfig, StageConfig

ATTENTION_NAMES = {"token": "tssa", "channel": "cssa", "self": "ssa"}  # in the published code, the middle one ours


def _layers(*rows: tuple[Any, ...]) -> tuple[EmbedLayer, ...]:
    return tuple(EmbedLayer(*row) for row in rows)


def _stage(embed: PatchEmbedConfig, kind: str, depth: int, heads: int, mlp_ratio: int, **names: str) -> StageConfig:
    dim = embed.layers[-1].channels
    return StageConfig(embed, dim, depth, heads, kind, names.get(kind, ATTENTION_NAMES[kind]), mlp_ratio)


def _later_speds(dim: int, first: str = "proj3") -> PatchEmbedConfig:
    return PatchEmbedConfig(_layers((first, dim), ("proj4", dim, "proj4_maxpool")))


def _digits() -> Config:
    """Deployable: Q-K attention only, and spikes are pooled, so that all of it lowers to standard gates."""
    first = PatchEmbedConfig(_layers(("proj", 32), ("proj1", 64)), shortcut_from=0)
    second = PatchEmbedConfig(_layers(("proj3", 64), ("proj4", 128, "proj4_maxpool")))
    stages = (_stage(first, "token", 1, 8, 2), _stage(second, "channel", 1, 8, 2))
    return Config("qkformer-digits", stages, num_classes=10, image_size=8, in_channels=1, pooling="spike")


def _deployable(name: str, widths: tuple[int, ...], last_pool: str | None, image_size: int, channels: int) -> Config:
    """As `_digits`, for larger images: pooled early, because two CPU cores shall train it."""
    first = PatchEmbedConfig(_layers(("proj", widths[0], "proj_maxpool"), ("proj1", widths[1], "proj1_maxpool")))
    second = PatchEmbedConfig(_layers(("proj3", widths[2]), ("proj4", widths[3], last_pool)))
    stages = (_stage(replace(first, shortcut_from=0), "token", 1, 8, 2), _stage(second, "channel", 1, 8, 2))
    return Config(name, stages, num_classes=10, image_size=image_size, in_channels=channels, pooling="spike")


def _qkformer_cifar(num_classes: int) -> Config:
    """Source: cifar10/model.py of zhouchenlin2096/QKFormer, whose 8 heads hold whatever its arguments say."""
    dim = 384
    first = PatchEmbedConfig(_layers(("proj", dim // 8), ("proj1", dim // 4)), shortcut_from=0)
    stages = (
        _stage(first, "token", 1, 8, 4),
        _stage(_later_speds(dim // 2), "token", 1, 8, 4),
        _stage(_later_speds(dim), "self", 2, 8, 4),
    )
    return Config(f"qkformer-cifar{num_classes}", stages, num_classes=num_classes, image_size=32)


def _qkformer_events(name: str, num_classes: int, mlp_ratio: int) -> Config:
    """Source: cifar10-dvs/model.py and dvs128-gesture/model.py of zhouchenlin2096/QKFormer."""
    dim = 256
    layers = _layers(
        ("proj", dim // 16),
        ("proj1", dim // 8, "maxpool1"),
        ("proj2", dim // 4, "maxpool2"),
        ("proj3", dim // 2, "maxpool3"),
    )
    first = PatchEmbedConfig(layers, shortcut_from=1)
    stages = (
        _stage(first, "token", 1, 16, mlp_ratio),
        _stage(_later_speds(dim, "proj"), "self", 1, 16, mlp_ratio),
    )
    return Config(name, stages, num_classes, image_size=128, in_channels=2, time_steps=16, events=True)


def _qkformer_imagenet(dim: int, heads: int) -> Config:
    """Source: imagenet/qkformer.py of zhouchenlin2096/QKFormer; evaluated at 224, 288 and 384 pixels."""

    def speds(width: int) -> PatchEmbedConfig:
        return PatchEmbedConfig(_layers(("proj3", width, "proj3_maxpool"), ("proj4", width)))

    width = dim // 4
    layers = _layers(("proj", width // 2, "proj_maxpool"), ("proj1", width, "proj1_maxpool"), ("proj2", width))
    stages = (
        _stage(PatchEmbedConfig(layers, shortcut_from=0), "token", 1, heads, 4),
        _stage(speds(dim // 2), "token", 2, heads, 4),
        _stage(speds(dim), "self", 7, heads, 4, self="attn"),
    )
    return Config(f"qkformer-10-{dim}", stages, 1000, image_size=224, fixed_size=False, mlp_name="fc")


def _spikformer(name: str, depth: int, dim: int, heads: int, pools: int, **options: Any) -> Config:
    """Source: model.py in cifar10, cifar10dvs and imagenet of ZK-Zhou/spikformer. The last `pools` of 4 pool."""
    rows = []
    for number in range(4):
        suffix = str(number or "")
        pool = f"maxpool{suffix}" if number >= 4 - pools else None
        rows.append(("proj", dim * 2**number // 8, pool, suffix))
    embed = PatchEmbedConfig(_layers(*rows, ("rpe", dim)), shortcut="identity", shortcut_from=3)
    common = {"family": "spikformer", "pooling": "spike", "mlp_name": "fc", "unused": ("block norms",)}
    return Config(name, (_stage(embed, "self", depth, heads, 4, self="attn"),), **{**common, **options})


def _spikformer_cifar(depth: int, dim: int) -> Config:
    linear = {"attention_layer": "linear", "mlp_layer": "linear"}
    return _spikformer(f"spikformer-{depth}-{dim}", depth, dim, dim // 32, 2, num_classes=10, image_size=32, **linear)


def _spikformer_imagenet(depth: int, dim: int) -> Config:
    options = {"num_classes": 1000, "image_size": 224, "fixed_size": False}
    return _spikformer(f"spikformer-{depth}-{dim}", depth, dim, dim // 64, 4, **options)


def _spikformer_events() -> Config:
    return _spikformer(
        "spikformer-cifar10-dvs",
        depth=2,
        dim=256,
        heads=16,
        pools=4,
        num_classes=10,
        image_size=128,
        in_channels=2,
        time_steps=16,
        events=True,
        attention_scale=0.25,
        mlp_layer="conv1d",
        unused=("block norms", "head norm", "position embedding"),
    )


def _with_attention(base: Config, name: str, *kinds: str) -> Config:
    stages = (
        replace(stage, attention=kind, attention_name=ATTENTION_NAMES[kind])
        for stage, kind in zip(base.stages, kinds, strict=True)
    )
    return replace(base, name=f"{base.name}-{name}", stages=tuple(stages))


def _without_shortcuts(base: Config) -> Config:
    stages = (replace(stage, embed=replace(stage.embed, shortcut="none", shortcut_from=-1)) for stage in base.stages)
    return replace(base, name=f"{base.name}-no-speds", stages=tuple(stages))


def _ablations(base: Config) -> list[Config]:
    """The ablations of arXiv:2403.16552: attention, patch embedding, residual, neuron. T is `time_steps`.

    A mix of two attentions has the first in all stages but the last.
    """
    early = len(base.stages) - 1
    return [
        _with_attention(base, "qkca-ssa", *["channel"] * early, "self"),
        _with_attention(base, "qkta-qkca", *["token"] * early, "channel"),
        _with_attention(base, "ssa", *["self"] * early, "self"),
        _with_attention(base, "qkca", *["channel"] * early, "channel"),
        _with_attention(base, "qkta", *["token"] * early, "token"),
        _without_shortcuts(base),
        replace(base, name=f"{base.name}-pre-activation", residual="pre-activation"),
        replace(base, name=f"{base.name}-if", neuron="if"),
        replace(base, name=f"{base.name}-plif", neuron="plif"),
    ]


def _all() -> dict[str, Config]:
    cifar100, cifar10_dvs = _qkformer_cifar(100), _qkformer_events("qkformer-cifar10-dvs", 10, 1)
    configs = [
        _digits(),
        _deployable("qkformer-fashion-mnist", (32, 64, 128, 192), None, 28, 1),
        _deployable("qkformer-cifar10-deployable", (64, 128, 256, 256), "proj4_maxpool", 32, 3),
        _qkformer_cifar(10),
        cifar100,
        cifar10_dvs,
        _qkformer_events("qkformer-dvs128", 11, 4),
        _qkformer_events("qkformer-dvs128-paper", 11, 1),  # 1.50 M as in the paper; the released code has mlp ratio 4
        *(_qkformer_imagenet(dim, heads) for dim, heads in ((384, 6), (512, 8), (768, 12))),
        *(_spikformer_cifar(depth, dim) for depth, dim in ((4, 384), (2, 384), (4, 256))),
        *(_spikformer_imagenet(8, dim) for dim in (384, 512, 768)),
        _spikformer_events(),
        *_ablations(cifar100),
        *_ablations(cifar10_dvs),
    ]
    return {config.name: config for config in configs}


_CONFIGS = _all()


def config_names() -> tuple[str, ...]:
    """The names that `create_model` takes."""
    return tuple(_CONFIGS)


def get_config(name: str) -> Config:
    """The configuration of that name.

    Raises:
        ConfigError: no such name; the error lists those there are.
    """
    if name not in _CONFIGS:
        raise ConfigError(f"no configuration is called {name!r}; there are {', '.join(_CONFIGS)}")
    return _CONFIGS[name]
