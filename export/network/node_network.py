"""A network in PyTorch as a list of named nodes in execution order, each reading sums of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor, nn

from hardware.graph.encoding import Encoding

INPUT = "input"
OUTPUT = "output"


@dataclass(frozen=True)
class Node:
    """One module of a network and, for each of its arguments, the nodes whose values are summed."""

    name: str
    arguments: tuple[tuple[str, ...], ...]


class NodeNetwork(nn.Module):
    """Named modules that read each other's values, [T, B, ...].

    They sit at the module paths of the float model, so `record_spikes` names populations alike.
    """

    dtype = torch.float32

    def __init__(self, encoding: Encoding):
        super().__init__()
        self.encoding = encoding
        self.nodes: list[Node] = []

    def add(self, name: str, module: nn.Module, *arguments: str | Sequence[str]) -> str:
        """Append a node; each argument is the name of a node, or several to be summed. Returns the name.

        Raises ValueError for a name that is taken or an argument that does not come before.
        """
        known = {INPUT, *(node.name for node in self.nodes)}
        sources = tuple((a,) if isinstance(a, str) else tuple(a) for a in arguments)
        if name in known:
            raise ValueError(f"the network already has a node '{name}'")
        for source in (s for argument in sources for s in argument):
            if source not in known:
                raise ValueError(f"node '{name}' reads '{source}', which does not come before it")
        parent: nn.Module = self
        *path, last = name.split(".")
        for part in path:
            if part not in parent._modules:
                parent.add_module(part, nn.Module())
            parent = parent._modules[part]
        parent.add_module(last, module)
        self.nodes.append(Node(name, sources))
        return name

    def encode(self, images: Tensor) -> np.ndarray:
        """What the network receives, [T, B, C, H, W]."""
        raise NotImplementedError

    def run(self, inputs: np.ndarray | Tensor) -> Tensor:
        """Inputs [T, B, C, H, W] -> the output population [T, B, classes]."""
        device = next((buffer.device for buffer in self.buffers()), torch.device("cpu"))
        inputs = inputs if isinstance(inputs, Tensor) else torch.from_numpy(np.ascontiguousarray(inputs))
        # Autocast would round sums to bfloat16's 8 bits.
        with torch.autocast(device.type, enabled=False):
            return self._run(inputs.to(device, self.dtype))

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
    def forward(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W], or event counts [B, T, C, H, W] -> logits [B, classes]."""
        return self.encoding.logits(self.run(self.encode(images)).double()).float()

    @torch.no_grad()
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every node's value, [C, H, W] or [classes], without time and batch."""
        shapes = {INPUT: tuple(self.encoding.input_shape)}

        def hook_for(name: str):
            return lambda module, arguments, value: shapes.__setitem__(name, tuple(value.shape[2:]))

        hooks = [self.get_submodule(n.name).register_forward_hook(hook_for(n.name)) for n in self.nodes]
        try:
            self.run(np.zeros((1, 1, *self.encoding.input_shape), np.float32))
        finally:
            for hook in hooks:
                hook.remove()
        return shapes
