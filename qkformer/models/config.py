"""What a model is, as data: one frozen, hashable description that a checkpoint can carry."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar

from hardware.errors import UserError

from . import limits
from .schema import Choice, Flag, Integer, Many, Maybe, Number, Schema, Text, check_fields, construct

CHOICES: dict[str, Collection[str]] = {  # attention.py adds those of `attention`
    "family": ("qkformer", "spikformer"),
    "pooling": ("current", "spike"),
    "neuron": ("lif", "if", "plif"),
    "residual": ("activation-before-addition", "pre-activation"),
    "attention_layer": ("conv1d", "linear"),
    "mlp_layer": ("conv1d", "conv2d", "linear"),
    "shortcut": ("projection", "identity", "none"),
}


class ConfigError(UserError, ValueError):
    """A configuration that no model can be built from, or a name that no configuration has."""


SHORTCUT = "proj_res"  # the layer of a shortcut that is a projection
PARTS_OF_A_BLOCK = ("mlp", "norm1", "norm2")  # beside the attention


def _choice(name: str) -> Choice:
    return Choice(name, CHOICES)


@dataclass(frozen=True)
class EmbedLayer:
    """One 3x3 convolution, its BatchNorm and its LIF in a patch embedding.

    `name` and `suffix` make the published attribute names: `proj1` gives `proj1_conv`, `proj` with suffix `1`
    gives `proj_conv1`. `pool`, where set, names a 3x3 max-pool of stride 2.
    """

    name: str
    channels: int
    pool: str | None = None
    suffix: str = ""

    SCHEMA: ClassVar[Schema] = {
        "name": limits.NAME,
        "channels": Integer(1, limits.MOST_CHANNELS),
        "pool": Maybe(limits.POOL),
        "suffix": limits.SUFFIX,
    }

    def __post_init__(self) -> None:
        check_fields(self, self.SCHEMA, ConfigError)


@dataclass(frozen=True)
class PatchEmbedConfig:
    """Convolutions in order, and the shortcut round the last of them.

    The shortcut starts after layer number `shortcut_from` (-1: at the input). `projection` sends it through
    a strided 1x1 convolution of its own (`proj_res`), `identity` adds it as it is.
    """

    layers: tuple[EmbedLayer, ...]
    shortcut: str = "projection"
    shortcut_from: int = -1

    SCHEMA: ClassVar[Schema] = {
        "layers": Many(EmbedLayer, 1, limits.MOST_LAYERS),
        "shortcut": _choice("shortcut"),
        "shortcut_from": Integer(-1, limits.MOST_LAYERS),
    }

    def __post_init__(self) -> None:
        check_fields(self, self.SCHEMA, ConfigError)
        if self.shortcut_from >= len(self.layers):
            raise ConfigError(f"shortcut_from is {self.shortcut_from}; the layers are 0 to {len(self.layers) - 1}")
        names = [layer.name + layer.suffix for layer in self.layers]
        names += [SHORTCUT] if self.shortcut == "projection" else []
        names += [layer.pool for layer in self.layers if layer.pool]
        if len(set(names)) < len(names):
            raise ConfigError(f"layers and pools are called {', '.join(names)}; each needs a name of its own")

    @property
    def stride(self) -> int:
        """Input pixels per output pixel, along one side."""
        return 2 ** sum(layer.pool is not None for layer in self.layers)

    @property
    def shortcut_stride(self) -> int:
        """Stride of the shortcut: that of the layers it passes by."""
        return 2 ** sum(layer.pool is not None for layer in self.layers[self.shortcut_from + 1 :])


@dataclass(frozen=True)
class StageConfig:
    """A patch embedding and `depth` transformer blocks of one width."""

    embed: PatchEmbedConfig
    dim: int
    depth: int
    heads: int
    attention: str
    attention_name: str
    mlp_ratio: int

    SCHEMA: ClassVar[Schema] = {
        "dim": Integer(1, limits.MOST_CHANNELS),
        "depth": Integer(1, limits.MOST_BLOCKS),
        "heads": Integer(1, limits.MOST_CHANNELS),
        "attention": _choice("attention"),
        "attention_name": limits.NAME,
        "mlp_ratio": Integer(1, 64),
    }

    def __post_init__(self) -> None:
        check_fields(self, self.SCHEMA, ConfigError)
        if self.attention_name in PARTS_OF_A_BLOCK:
            raise ConfigError(f"attention_name is {self.attention_name!r}; another part of a block is called so")
        if self.dim % self.heads:
            raise ConfigError(f"dim is {self.dim}; it must be a multiple of heads, which is {self.heads}")
        if self.embed.layers[-1].channels != self.dim:
            raise ConfigError(
                f"dim is {self.dim}; its patch embedding ends in {self.embed.layers[-1].channels} channels"
            )


@dataclass(frozen=True)
class Config:
    """The whole description of a model.

    Attributes:
        name: what the model is called in messages.
        stages: patch embeddings and blocks, in order.
        num_classes: the length of the logits.
        image_size: the side of a square image, in pixels.
        in_channels: of an image or event frame.
        time_steps: T; an image is shown T times, of event frames there are T.
        family: whose attribute names the model bears.
        events: whether the input is event frames [B, T, C, H, W] instead of images [B, C, H, W].
        fixed_size: whether images must be of `image_size`, or of any multiple of `stride`.
        batch_leak: reproduces the published QKFormer, whose self-attention lets membrane potential pass from one
            sample of a batch into the next (github.com/zhouchenlin2096/QKFormer, issues 14 and 17). Spikformer
            has no such leak; there it changes nothing.
        pooling: whether max-pools see currents, before the neuron, or spikes, after it.
        neuron: the kind of every neuron.
        residual: whether spikes are added up, or the currents before them.
        tau: time constant of leaky neurons, in time steps.
        v_threshold: of all neurons but the attention's.
        attention_threshold: of the attention's own neuron (`attn_lif`).
        attention_scale: what Q K^T V is multiplied by.
        attention_layer: the PyTorch layer of Q, K, V and the projection; it decides the shape of their weights.
        mlp_layer: that of the two layers after the attention.
        mlp_name: what these two are called, before their number.
        unused: parts of the published state dicts that the published forward pass never calls.
    """

    name: str
    stages: tuple[StageConfig, ...]
    num_classes: int
    image_size: int
    in_channels: int = 3
    time_steps: int = 4
    family: str = "qkformer"
    events: bool = False
    fixed_size: bool = True
    batch_leak: bool = False
    pooling: str = "current"
    neuron: str = "lif"
    residual: str = "activation-before-addition"
    tau: float = 2.0
    v_threshold: float = 1.0
    attention_threshold: float = 0.5
    attention_scale: float = 0.125
    attention_layer: str = "conv1d"
    mlp_layer: str = "conv2d"
    mlp_name: str = "mlp"
    unused: tuple[str, ...] = ()

    UNUSED: ClassVar[tuple[str, ...]] = ("block norms", "head norm", "position embedding")

    SCHEMA: ClassVar[Schema] = {
        "name": Text(),
        "stages": Many(StageConfig, 1, limits.MOST_STAGES),
        "num_classes": Integer(1, limits.MOST_CLASSES),
        "image_size": Integer(1, limits.MOST_PIXELS),
        "in_channels": Integer(1, limits.MOST_CHANNELS),
        "time_steps": Integer(1, limits.MOST_TIME_STEPS),
        "family": _choice("family"),
        "events": Flag(),
        "fixed_size": Flag(),
        "batch_leak": Flag(),
        "pooling": _choice("pooling"),
        "neuron": _choice("neuron"),
        "residual": _choice("residual"),
        "tau": Number(1, 1e6),
        "v_threshold": limits.POSITIVE,
        "attention_threshold": limits.POSITIVE,
        "attention_scale": limits.POSITIVE,
        "attention_layer": _choice("attention_layer"),
        "mlp_layer": _choice("mlp_layer"),
        "mlp_name": limits.NAME,
        "unused": Many(str, 0, len(UNUSED)),
    }

    def __post_init__(self) -> None:
        check_fields(self, self.SCHEMA, ConfigError)
        if (blocks := sum(stage.depth for stage in self.stages)) > limits.MOST_BLOCKS:
            raise ConfigError(f"the stages have {blocks} blocks; at most {limits.MOST_BLOCKS} are built")
        if self.family == "spikformer" and len(self.stages) != 1:
            raise ConfigError(f"a spikformer has 1 stage; this configuration has {len(self.stages)}")
        if self.image_size % self.stride:
            raise ConfigError(f"image_size is {self.image_size}; it must be a multiple of the stride, {self.stride}")
        if self.largest_layer > limits.MOST_VALUES:
            raise ConfigError(
                f"image_size is {self.image_size} and time_steps {self.time_steps}: a layer has "
                f"{self.largest_layer:,} values for one image; it must have at most {limits.MOST_VALUES:,}"
            )
        if self.neuron == "plif" and self.tau == 1:
            raise ConfigError(f"tau is {self.tau}; it must be at least 1 time step, and more for plif")
        if self.residual == "pre-activation" and self.pooling == "spike":
            raise ConfigError("pooling is 'spike'; with a pre-activation residual there are only currents to pool")
        if unknown := set(self.unused) - set(self.UNUSED):
            raise ConfigError(f"unused has {sorted(unknown)}; it may have {', '.join(self.UNUSED)}")

    @property
    def stride(self) -> int:
        """Image pixels per token of the last stage, along one side."""
        stride = 1
        for stage in self.stages:
            stride *= stage.embed.stride
        return stride

    @property
    def largest_layer(self) -> int:
        """Values of the largest convolution of an image, over all time steps, before it is pooled."""
        side, values = self.image_size, 0
        for stage in self.stages:
            for layer in stage.embed.layers:
                values = max(values, layer.channels * side**2)
                side //= 2 if layer.pool else 1
            values = max(values, stage.dim * stage.mlp_ratio * side**2)
        return self.time_steps * values

    def replace(self, **overrides: Any) -> Config:
        """The same configuration with some fields changed.

        Raises:
            ConfigError: a field that does not exist, or a value that does not fit.
        """
        known = [entry.name for entry in fields(self)]
        for name in overrides:
            if name not in known:
                raise ConfigError(f"a configuration has no {name!r}; it has {', '.join(known)}")
        return replace(self, **overrides)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, numbers and strings, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Config:
        """The inverse of `to_dict`, also after a round trip through JSON.

        Raises:
            ConfigError: fields missing, unknown or out of range.
        """
        try:
            values = dict(values)
            values["stages"] = tuple(_stage_from_dict(stage) for stage in values["stages"])
            values["unused"] = tuple(values.get("unused", ()))
        except (TypeError, KeyError, ValueError) as error:
            raise ConfigError(f"not a configuration of this version: {error}") from error
        config: Config = construct(cls, values, ConfigError, "not a configuration of this version: it")
        return config


def _stage_from_dict(values: Mapping[str, Any]) -> StageConfig:
    embed = dict(values["embed"])
    layers = (construct(EmbedLayer, layer, ConfigError, "a layer") for layer in embed["layers"])
    embed["layers"] = tuple(layers)
    described = {**values, "embed": construct(PatchEmbedConfig, embed, ConfigError, "a patch embedding")}
    stage: StageConfig = construct(StageConfig, described, ConfigError, "a stage")
    return stage
