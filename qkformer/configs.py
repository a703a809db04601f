"""The named configurations, as data."""

from __future__ import annotations

from .config import Config, ConfigError, EmbedLayer, PatchEmbedConfig, StageConfig


def _digits() -> Config:
    first = PatchEmbedConfig((EmbedLayer("proj", 32), EmbedLayer("proj1", 64)), shortcut_from=0)
    second = PatchEmbedConfig((EmbedLayer("proj3", 64), EmbedLayer("proj4", 128, pool="proj4_maxpool")))
    return Config(
        name="qkformer-digits",
        stages=(
            StageConfig(first, 64, depth=1, heads=8, attention="token", attention_name="tssa", mlp_ratio=2),
            StageConfig(second, 128, depth=1, heads=8, attention="channel", attention_name="cssa", mlp_ratio=2),
        ),
        num_classes=10,
        image_size=8,
        in_channels=1,
        pooling="spike",
    )


_CONFIGS = {config.name: config for config in (_digits(),)}


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
