"""Nodes and constants of an ONNX graph, each constant once, and the checks that it makes as it runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from .value import DType

Port = tuple[DType, Sequence[int | str]]  # type and dimensions of what a graph takes or gives


class OnnxBuilder:
    """The graph so far: its nodes, its constants and its checks.

    input_name: of the network's input. taken: names that the caller gives himself. checks: scalars (bool) that are
    true while every number keeps to the chip's formats. scales: how many products have one of their own.
    """

    def __init__(self, input_name: str, taken: Collection[str]):
        import onnx

        self.input_name = input_name
        self._onnx = onnx
        self._taken = set(taken)
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._derived: dict[tuple[str, ...], str] = {}
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.checks: list[str] = []
        self.scales = 0

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output; returns its name."""
        return self.ops(kind, *inputs, count=1, **attributes)[0]

    def ops(self, kind: str, *inputs: str, count: int, **attributes: Any) -> list[str]:
        """Add a node; returns the names of its outputs."""
        names = [self.new_name(kind.lower()) for _ in range(count)]
        self.nodes.append(self._onnx.helper.make_node(kind, inputs, names, **attributes))
        return names

    def name(self, tensor: str, name: str) -> None:
        """Give a tensor a name that the caller chose."""
        self.nodes.append(self._onnx.helper.make_node("Identity", [tensor], [name]))

    def new_name(self, base: str) -> str:
        """A name that nothing has."""
        name = f"{base}_{len(self._taken)}"
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def constant(self, values: Any, dtype: Any = None) -> str:
        """A constant, kept once."""
        array = np.array(values, dtype, order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self.new_name("constant")
            self.constants.append(self._onnx.numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def derived(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """What `op` gives, computed once for the same constants: the runtime does it as it loads the file."""
        key = (kind, *inputs, str(sorted(attributes.items())))
        if key not in self._derived:
            self._derived[key] = self.op(kind, *inputs, **attributes)
        return self._derived[key]

    def zero(self, dtype: DType) -> Any:
        """A tensor of one 0, as an attribute."""
        return self._onnx.numpy_helper.from_array(np.zeros(1, dtype))

    def type_of(self, dtype: DType) -> int:
        """ONNX's number of a type."""
        return int(self._onnx.helper.np_dtype_to_tensor_dtype(dtype))

    def info(self, name: str, port: Port) -> Any:
        """What an input or output of a graph is declared as."""
        dtype, dims = port
        return self._onnx.helper.make_tensor_value_info(name, self.type_of(dtype), list(dims))

    def subgraph(self, takes: Sequence[Port], gives: Sequence[Port], body: Callable[..., Sequence[str]]) -> Any:
        """A graph inside the graph, such as the step of a Scan. body: names of what it takes -> of what it gives.

        It reads the constants of this graph, and `derived` tensors are not shared with it.
        """
        outer, self.nodes = self.nodes, []
        derived, self._derived = self._derived, {}
        names = [self.new_name("taken") for _ in takes]
        results = body(*names)
        nodes, self.nodes, self._derived = self.nodes, outer, derived
        inputs = [self.info(name, port) for name, port in zip(names, takes, strict=True)]
        outputs = [self.info(name, port) for name, port in zip(results, gives, strict=True)]
        return self._onnx.helper.make_graph(nodes, self.new_name("subgraph"), inputs, outputs)
