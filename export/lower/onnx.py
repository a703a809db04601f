"""Fixed model -> ONNX: every population is an output, so that another runtime's spikes can be compared as well."""

from __future__ import annotations

import copy
import importlib.util
import logging
import warnings
from collections.abc import Callable, MutableMapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hardware import SpikeTrace
from hardware.files import write_atomically
from qkformer import Population

from ..network.fixed_layers import FixedLIF
from ..network.fixed_model import FixedModel
from ..network.node_network import INPUT, OUTPUT

INSTALL = 'ONNX is not installed: run  uv pip install -e ".[onnx]"  in the project\'s clone'
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def check_onnx() -> None:
    """Raise ImportError, with what to install, where models cannot be written and run."""
    if not all(importlib.util.find_spec(package) for package in PACKAGES):
        raise ImportError(INSTALL)


def to_onnx(fixed: FixedModel, inputs: np.ndarray, path: str | Path) -> None:
    """Write a fixed model that takes inputs of this shape, whole numbers [T, B, C, H, W] in float32.

    Its outputs are named as the populations. Sums and membranes are not checked against their limits, as PyTorch's
    are. Raises ImportError where ONNX is not installed.
    """
    check_onnx()
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)  # misses torchvision
    module = _Populations(fixed).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            module,
            (torch.from_numpy(inputs).float(),),
            input_names=[INPUT],
            output_names=module.names,
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # since dynamo=True
    write_atomically(path, lambda temporary: program.save(temporary))


def run_onnx(
    path: str | Path,
    inputs: np.ndarray,
    *,
    progress: Callable[[int, int], None] | None = None,
    into: MutableMapping[str, np.ndarray] | None = None,
) -> MutableMapping[str, np.ndarray]:
    """The trace of an ONNX file in ONNX Runtime; inputs: whole numbers [T, B, C, H, W] of the shape it was made for."""
    check_onnx()
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    trace = SpikeTrace() if into is None else into
    if progress:
        progress(0, 1)
    results = session.run(None, {INPUT: inputs.astype(np.float32)})
    for output, values in zip(session.get_outputs(), results, strict=True):
        trace[output.name] = values.astype(np.int32 if output.name == OUTPUT else np.int8)
    return trace


class _Populations(nn.Module):
    """A fixed model as a function of its inputs that returns every population."""

    def __init__(self, fixed: FixedModel) -> None:
        super().__init__()
        self.fixed = copy.deepcopy(fixed)
        self.names = [n.name for n in fixed.nodes if isinstance(fixed.get_submodule(n.name), Population)]
        for module in self.fixed.modules():
            if isinstance(module, FixedLIF):
                module._check = lambda what, values: None  # type: ignore[method-assign]  # depends on data, which a graph cannot

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Inputs [T, B, C, H, W] -> the populations [T, B, ...]."""
        values = {INPUT: inputs}
        for node in self.fixed.nodes:
            arguments = [sum(values[source] for source in argument) for argument in node.arguments]
            values[node.name] = self.fixed.get_submodule(node.name)(*arguments)
        return tuple(values[name] for name in self.names)
