"""The models: stages of patch embedding and transformer blocks, the average over tokens and time, a head."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hardware.errors import InputError

from ..kernels import set_backend
from .block import LAYER_NORM_EPSILON, TransformerBlock
from .catalogue import get_config
from .config import Config, ConfigError
from .nodes import NodeBuilder, Terms
from .patch_embed import PatchEmbed

HEAD_STD = 0.02


class Stage(NamedTuple):
    """A stage of a model with the module paths of its two parts."""

    embed_path: str
    embed: PatchEmbed
    blocks_path: str
    blocks: Iterable[TransformerBlock]


class SpikingTransformer(nn.Module):
    """A hierarchical spiking transformer; the subclasses only name its parts as their papers' code does."""

    stage_names: str
    embed_names: str

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        channels = config.in_channels
        for number, stage in enumerate(config.stages, start=1):
            self.add_module(
                self.embed_names.format(number), PatchEmbed(config, stage.embed, channels, takes_image=number == 1)
            )
            blocks = nn.ModuleList(TransformerBlock(config, stage) for _ in range(stage.depth))
            self.add_module(self.stage_names.format(number), blocks)
            channels = stage.dim
        if "head norm" in config.unused:
            self.norm = nn.LayerNorm(channels, LAYER_NORM_EPSILON)
        if "position embedding" in config.unused:
            self.pos_embed = nn.Parameter(torch.zeros(1, (config.image_size // config.stride) ** 2, channels))
        self.head = nn.Linear(channels, config.num_classes)
        nn.init.trunc_normal_(self.head.weight, std=HEAD_STD)
        nn.init.zeros_(self.head.bias)

    def stages(self) -> Iterator[Stage]:
        """The stages in order of execution."""
        for number in range(1, len(self.config.stages) + 1):
            embed, blocks = self.embed_names.format(number), self.stage_names.format(number)
            yield Stage(embed, getattr(self, embed), blocks, getattr(self, blocks))

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W], or event frames [B, T, C, H, W] -> logits [B, classes].

        An image is shown, unchanged, at each of the T time steps.

        Raises:
            InputError: the shape or the dtype is not what the configuration asks for.
        """
        self.check_images(images)
        x = images.transpose(0, 1) if self.config.events else images.expand(self.config.time_steps, *images.shape)
        for stage in self.stages():
            x = stage.embed(x)
            for block in stage.blocks:
                x = block(x)
        return self.head(x.mean((0, 3, 4)))

    def emit(self, network: NodeBuilder, x: Terms) -> Terms:
        """What `forward` computes, but for the mean over time, as nodes that read x, an image or event frame."""
        for stage in self.stages():
            x = stage.embed.emit(network, stage.embed_path, x)
            for number, block in enumerate(stage.blocks):
                x = block.emit(network, f"{stage.blocks_path}.{number}", x)
        return network.head("head", self.head, x)

    def check_images(self, images: Tensor) -> None:
        """Raise InputError unless the model takes images of this shape and dtype."""
        config = self.config
        frames = (config.time_steps,) if config.events else ()
        expected = (*frames, config.in_channels, config.image_size, config.image_size)
        shape = tuple(images.shape)
        fits = shape[1:] == expected
        if not config.fixed_size and len(shape) == len(expected) + 1:
            sides = shape[-2:]
            fits = shape[1:-2] == expected[:-2] and all(side and side % config.stride == 0 for side in sides)
        if not fits or not shape[0]:
            wanted = ", ".join(map(str, ("B", *expected)))
            other = "" if config.fixed_size else f" (or sides that are other multiples of {config.stride})"
            raise InputError(f"{config.name} takes [{wanted}]{other} with B >= 1; got {list(shape)}")
        if images.dtype != self.head.weight.dtype:
            raise InputError(f"{config.name} takes {self.head.weight.dtype} images; got {images.dtype}")


class QKFormer(SpikingTransformer):
    """QKFormer: stages of Q-K attention, then of self-attention (arXiv:2403.16552)."""

    embed_names = "patch_embed{}"
    stage_names = "stage{}"


class Spikformer(SpikingTransformer):
    """Spikformer: one patch embedding, blocks of self-attention (arXiv:2209.15425)."""

    embed_names = "patch_embed"
    stage_names = "block"


FAMILIES: dict[str, type[SpikingTransformer]] = {"qkformer": QKFormer, "spikformer": Spikformer}


def create_model(config: str | Config, *, backend: str = "auto", **overrides: Any) -> SpikingTransformer:
    """A model with fresh weights, in training mode as PyTorch's are.

    Args:
        config: a name of `config_names()` or a `Config`.
        backend: who computes the neurons, `auto`, `torch` or `triton`, see `kernels.resolve_backend`.
        overrides: fields of `Config` to change, as in `create_model("qkformer-cifar10", batch_leak=True)`.

    Raises:
        ConfigError: an unknown name or field, or a value that does not fit.
        KernelError: no such backend.
    """
    if isinstance(config, str):
        config = get_config(config)
    config = config.replace(**overrides)
    try:
        model = FAMILIES[config.family](config)
    except KeyError as error:  # of add_module: what all modules have is called so
        raise ConfigError(f"{config.name}: {error.args[0]}; give that part another name") from error
    set_backend(model, backend)
    return model
