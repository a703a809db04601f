"""A network in PyTorch as a list of named nodes in execution order, each reading sums of others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hardware.errors import InputError
from hardware.graph.encoding import Encoding
from hardware.graph.sequence_encoding import SequenceEncoding

INPUT = "input"
OUTPUT = "output"

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Node:
    """One module of a network and, for each of its arguments, the nodes whose values are summed."""

    name: str
    arguments: tuple[tuple[str, ...], ...]


def as_array(images: Tensor | np.ndarray) -> np.ndarray:
    """Images or inputs as an array on the CPU."""
    return images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)


class NodeNetwork(nn.Module, ABC):
    """Named modules that read each other's values, [T, B, ...].

    They sit at the module paths of the float model, so `record_spikes` names populations alike.
    """

    dtype = torch.float32

    def __init__(self, encoding: Encoding) -> None:
        super().__init__()
        self.encoding = encoding
        self.nodes: list[Node] = []

    def add(self, name: str, module: nn.Module, *arguments: str | Sequence[str]) -> str:
        """Append a node; each argument is the name of a node, or several to be summed. Returns the name.

        Raises InputError for a name that is taken or an argument that does not come before.
        """
        known = {INPUT, *(node.name for node in self.nodes)}
        sources = tuple((a,) if isinstance(a, str) else tuple(a) for a in arguments)
        if name in known:
            raise InputError(f"the network already has a node '{name}'; give each node a name of its own")
        for source in (s for argument in sources for s in argument):
            if source not in known:
                raise InputError(f"node '{name}' reads '{source}', which does not come before it")
        parent: nn.Module = self
        *path, last = name.split(".")
        for part in path:
            if part not in parent._modules:
                parent.add_module(part, nn.Module())
            parent = parent.get_submodule(part)
        if last in parent._modules:  # it has been made for a name below this one
            for below, inner in parent.get_submodule(last).named_children():
                module.add_module(below, inner)
        parent.add_module(last, module)
        self.nodes.append(Node(name, sources))
        return name

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return next((buffer.device for buffer in self.buffers()), torch.device("cpu"))

    @abstractmethod
    def encode_as(self, encoding: Encoding, images: Tensor | np.ndarray) -> np.ndarray | Tensor:
        """What a network of that encoding receives, [T, B, C, H, W]."""

    def encode(self, images: Tensor | np.ndarray) -> np.ndarray | Tensor:
        """What the network receives, [T, B, C, H, W], of images [B, C, H, W] or event counts [B, T, C, H, W]."""
        return self.encode_as(self.encoding, images)

    def run(self, inputs: np.ndarray | Tensor) -> Tensor:
        """Inputs [T, B, C, H, W] -> the output population [T, B, classes]."""
        # Autocast would round sums to bfloat16's 8 bits.
        with torch.autocast(self.device.type, enabled=False):
            return self._run(self._tensor(inputs))

    def _tensor(self, inputs: np.ndarray | Tensor) -> Tensor:
        tensor = inputs if isinstance(inputs, Tensor) else torch.from_numpy(np.ascontiguousarray(inputs))
        return tensor.to(self.device, self.dtype)

    def _run(self, inputs: Tensor) -> Tensor:
        values = {INPUT: inputs}
        last_use = {source: node.name for node in self.nodes for argument in node.arguments for source in argument}
        for node in self.nodes:
            arguments = [reduce(torch.add, [values[source] for source in argument]) for argument in node.arguments]
            values[node.name] = self.get_submodule(node.name)(*arguments)
            for source in [s for s in values if last_use.get(s) == node.name]:
                del values[source]
        return values[self.nodes[-1].name]

    @torch.no_grad()
    def forward(self, images: Tensor | np.ndarray) -> Tensor:
        """Images [B, C, H, W], counts [B, T, C, H, W] or sequences [T, B, ...] -> logits [B, classes], float32."""
        if self.encoding.events or isinstance(self.encoding, SequenceEncoding):
            inputs = self._tensor(self.encode(images))
        else:  # one time step, expanded, so that an image is convolved once
            once = self._tensor(self.encode_as(replace(self.encoding, time_steps=1), images))
            inputs = once.expand(self.encoding.time_steps, *once.shape[1:])
        logits: Tensor = self.encoding.logits(self.run(inputs).double())
        return logits.float()

    @torch.no_grad()
    def shapes(self) -> Shapes:
        """The shape of every node's value, [C, H, W] or [classes], without time and batch."""
        shapes: Shapes = {INPUT: tuple(self.encoding.input_shape)}

        def hook_for(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
            return lambda module, arguments, value: shapes.update({name: tuple(value.shape[2:])})

        hooks = [self.get_submodule(n.name).register_forward_hook(hook_for(n.name)) for n in self.nodes]
        try:
            self.run(np.zeros((1, 1, *self.encoding.input_shape), np.float32))
        finally:
            for hook in hooks:
                hook.remove()
        return shapes
