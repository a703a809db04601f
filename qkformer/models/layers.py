"""The brick of every model: a convolution, its BatchNorm, its neuron and perhaps a max-pool."""

from __future__ import annotations

from torch import Tensor, nn

from .config import Config
from .layer import Layer
from .logic import SpikePool
from .neuron import Neuron, create_neuron
from .nodes import NodeBuilder, Terms

POOL_KERNEL, POOL_STRIDE, POOL_PADDING = 3, 2, 1  # of every max-pool in both papers' code


def _convolution(kind: str, inputs: int, outputs: int, kernel: int, stride: int, bias: bool) -> nn.Module:
    if kind == "linear":
        return nn.Linear(inputs, outputs, bias=bias)
    convolution = {"conv1d": nn.Conv1d, "conv2d": nn.Conv2d}[kind]
    return convolution(inputs, outputs, kernel, stride, padding=kernel // 2, bias=bias)


class Layered(nn.Module):
    """A module made of named layers, which `layers` lists in order of execution.

    The submodules carry the published attribute names (`q_conv`, `q_bn`, `q_lif`), so the keys of a state dict are
    the published ones.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self._paths: dict[str, tuple[str, str, str | None, str | None]] = {}
        self._lif_first: set[str] = set()

    @property
    def pre_activation(self) -> bool:
        """Whether the residual stream carries currents, which fire on entering a branch, instead of spikes."""
        return self.config.residual == "pre-activation"

    def add_neuron(self, path: str, v_threshold: float | None = None, batch_leak: bool = False) -> None:
        """Register a neuron of the configuration's kind, v_threshold being the configuration's unless given."""
        threshold = self.config.v_threshold if v_threshold is None else v_threshold
        self.add_module(path, create_neuron(self.config.neuron, self.config.tau, threshold, batch_leak))

    def add_layer(
        self,
        name: str,
        inputs: int,
        outputs: int,
        *,
        kind: str = "conv2d",
        kernel: int = 1,
        stride: int = 1,
        bias: bool = False,
        pool: str | None = None,
        suffix: str = "",
        neuron: str = "after",
        batch_leak: bool = False,
    ) -> None:
        """Register convolution, BatchNorm, neuron (`after`, `before` or `none`), a max-pool at the path `pool`."""
        part = "linear" if kind == "linear" else "conv"
        conv, bn, lif = (f"{name}_{part}{suffix}", f"{name}_bn{suffix}", f"{name}_lif{suffix}")
        self.add_module(conv, _convolution(kind, inputs, outputs, kernel, stride, bias))
        self.add_module(bn, nn.BatchNorm2d(outputs) if kind == "conv2d" else nn.BatchNorm1d(outputs))
        if pool and self.config.pooling == "current":
            self.add_module(pool, nn.MaxPool2d(POOL_KERNEL, POOL_STRIDE, POOL_PADDING))
        elif pool:
            self.add_module(pool, SpikePool(*(2 * (size,) for size in (POOL_KERNEL, POOL_STRIDE, POOL_PADDING))))
        if neuron != "none":
            self.add_neuron(lif, batch_leak=batch_leak)
        if neuron == "before":
            self._lif_first.add(name + suffix)
        self._paths[name + suffix] = (conv, bn, lif if neuron != "none" else None, pool)

    def layer(self, name: str) -> Layer:
        """The layer of that name; its modules are looked up afresh, so a replaced one is seen."""
        conv, bn, lif, pool = paths = self._paths[name]
        neuron, max_pool = (getattr(self, path) if path else None for path in (lif, pool))
        return Layer(name, getattr(self, conv), getattr(self, bn), neuron, max_pool, *paths, name in self._lif_first)

    def layers(self) -> tuple[Layer, ...]:
        """All layers in order of execution."""
        return tuple(self.layer(name) for name in self._paths)

    def emit_layer(self, network: NodeBuilder, path: str, name: str, x: Terms) -> Terms:
        """What `run` computes, as nodes; path: that of this module."""
        return network.layer(path, self.layer(name), x)

    def current(self, name: str, x: Tensor) -> Tensor:
        """bn(conv(x)), max-pooled if currents are: [T, B, C, H, W] -> what drives the neuron, [T, B, C', H', W']."""
        layer, shown = self.layer(name), _shown(x)
        current = _normalized(layer.bn, _convolved(layer.conv, shown.flatten(0, 1)))
        if layer.pool is not None and not layer.pool_after_lif:
            current = layer.pool(current)
        current = current.unflatten(0, shown.shape[:2])
        return current.expand(len(x), *current.shape[1:])

    def run(self, name: str, x: Tensor) -> Tensor:
        """One layer: [T, B, C, H, W] -> spikes, or currents if no neuron comes last, [T, B, C', H', W'].

        conv -> bn -> [max-pool of currents] -> neuron -> [max-pool of spikes], the neuron where `layer` says.
        Where BatchNorm and neuron are one kernel (`Neuron.in_one_kernel`), the BatchNorm's parameters are used, not its
        module.
        """
        layer = self.layer(name)
        if layer.lif is not None and layer.lif_first:
            x = layer.lif(x)
        if layer.lif is not None and _in_one_kernel(layer, x):
            shown = _shown(x)
            convolved = _convolved(layer.conv, shown.flatten(0, 1)).unflatten(0, shown.shape[:2])
            out = layer.lif(convolved.expand(len(x), *convolved.shape[1:]), layer.bn)
        else:
            out = self.current(name, x)
            if layer.lif is not None and not layer.lif_first:
                out = layer.lif(out)
        return layer.pool(out) if layer.pool is not None and layer.pool_after_lif else out


def _shown(x: Tensor) -> Tensor:
    """x [T, B, ...], or only its first step where an image is shown T times: it is convolved once."""
    return x[:1] if x.stride(0) == 0 else x


def _in_one_kernel(layer: Layer, x: Tensor) -> bool:
    """Whether the BatchNorm is left to the neuron right behind it."""
    neighbours = not layer.lif_first and (layer.pool is None or layer.pool_after_lif)
    return neighbours and isinstance(layer.lif, Neuron) and layer.lif.in_one_kernel(layer.bn, x)


def _convolved(conv: nn.Module, x: Tensor) -> Tensor:
    """The convolution, [N, C, H, W] -> [N, C', H', W'], whichever rank it works in."""
    if isinstance(conv, nn.Conv2d):
        return conv(x)
    tokens = x.flatten(2)
    tokens = conv(tokens.transpose(1, 2)).transpose(1, 2) if isinstance(conv, nn.Linear) else conv(tokens)
    return tokens.unflatten(2, x.shape[2:])


def _normalized(bn: nn.Module, x: Tensor) -> Tensor:
    """BatchNorm of [N, C, H, W], whichever rank it works in."""
    return bn(x.flatten(2)).unflatten(2, x.shape[2:]) if isinstance(bn, nn.BatchNorm1d) else bn(x)
