"""What a model is, as data: one frozen, hashable description that a checkpoint can carry."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar

from hardware.errors import UserError

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


def _check_choices(owner: Any) -> None:
    for name in CHOICES.keys() & {entry.name for entry in fields(owner)}:
        value = getattr(owner, name)
        if value not in CHOICES[name]:
            raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(CHOICES[name])}")


def _check_positive(owner: Any, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{name} is {value!r}; it must be an integer of at least 1")


def _check_above_zero(owner: Any, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        if not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ConfigError(f"{name} is {value!r}; it must be a finite number above 0")


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

    def __post_init__(self) -> None:
        _check_positive(self, "channels")


@dataclass(frozen=True)
class PatchEmbedConfig:
    """Convolutions in order, and the shortcut round the last of them.

    The shortcut starts after layer number `shortcut_from` (-1: at the input). `projection` sends it through
    a strided 1x1 convolution of its own (`proj_res`), `identity` adds it as it is.
    """

    layers: tuple[EmbedLayer, ...]
    shortcut: str = "projection"
    shortcut_from: int = -1

    def __post_init__(self) -> None:
        _check_choices(self)
        if not -1 <= self.shortcut_from < len(self.layers):
            raise ConfigError(f"shortcut_from is {self.shortcut_from}; the layers are 0 to {len(self.layers) - 1}")

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

    def __post_init__(self) -> None:
        _check_choices(self)
        _check_positive(self, "dim", "depth", "heads", "mlp_ratio")
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

    def __post_init__(self) -> None:
        _check_choices(self)
        _check_positive(self, "num_classes", "image_size", "in_channels", "time_steps")
        _check_above_zero(self, "tau", "v_threshold", "attention_threshold", "attention_scale")
        if not self.stages:
            raise ConfigError("stages is empty; a model needs at least one")
        if self.family == "spikformer" and len(self.stages) != 1:
            raise ConfigError(f"a spikformer has 1 stage; this configuration has {len(self.stages)}")
        if self.image_size % self.stride:
            raise ConfigError(f"image_size is {self.image_size}; it must be a multiple of the stride, {self.stride}")
        if self.tau < 1 or (self.neuron == "plif" and self.tau == 1):
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
            return cls(**values)
        except (TypeError, KeyError) as error:
            raise ConfigError(f"not a configuration of this version: {error}") from error


def _stage_from_dict(values: Mapping[str, Any]) -> StageConfig:
    embed = dict(values["embed"])
    embed["layers"] = tuple(EmbedLayer(**layer) for layer in embed["layers"])
    return StageConfig(**{**values, "embed": PatchEmbedConfig(**embed)})
