"""A model in ONNX Runtime, for one graph and any number of runs."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import nir
import numpy as np

from ...chip import LOIHI_2
from ...chip.chip import Chip
from ...errors import InputError, TargetError
from ...graph.flat import Progress
from ...graph.nodes.kind import Interval
from ...trace.spike_trace import SpikeTrace
from ..interpreter import check_inputs, interpret
from ..target import Trace
from .model import INPUTS, WITHIN_LIMITS, checked, model_of


class PreparedNetwork:
    """A graph, checked and made into a model; called with inputs, it gives the trace.

    outputs_only: the sums at the Outputs, without the populations' spikes. threads: of ONNX Runtime; 0 lets it choose.
    """

    def __init__(
        self,
        graph: nir.NIRGraph,
        *,
        outputs_only: bool = False,
        fused: bool = True,
        chip: Chip = LOIHI_2,
        threads: int = 0,
    ):
        if not isinstance(threads, int) or threads < 0:
            raise InputError(f"threads is {threads!r}; it must be an integer of at least 0, where 0 lets it choose")
        self.graph, self.outputs_only, self.threads = graph, outputs_only, threads
        self.flat = checked(graph, chip=chip, fused=fused)
        self._interpreter_options = {"fused": fused, "chip": chip}
        self._sessions: dict[Interval, Any] = {}

    def __call__(self, inputs: np.ndarray, progress: Progress | None = None, into: Trace | None = None) -> Trace:
        """The trace for integers [T, B, *input shape]: int8 spikes and int32 sums, [T, B, ...] by name.

        Raises what `hardware.interpret` raises.
        """
        inputs = check_inputs(self.flat, inputs)
        if progress:
            progress(0, 1)
        session = self._session(inputs)
        (port,) = session.get_inputs()
        names = self.flat.outputs if self.outputs_only else [*self.flat.populations, *self.flat.outputs]
        wanted = {name for name in names if name not in self.flat.internal}
        shown = [output.name for output in session.get_outputs() if output.name in {*wanted, WITHIN_LIMITS}]
        results = dict(zip(shown, session.run(shown, {port.name: inputs.astype(_type(port.type))}), strict=True))
        if not results.pop(WITHIN_LIMITS, True):
            self._explain(inputs)
        trace: MutableMapping[str, np.ndarray] = SpikeTrace() if into is None else into
        for name, values in results.items():
            trace[name] = values.view(np.int8) if values.dtype == np.uint8 else values
        if progress:
            progress(1, 1)
        return trace

    def _session(self, inputs: np.ndarray) -> Any:
        """A session for inputs of int8, or else one for all that a message can hold; each is made once."""
        import onnxruntime

        most = float(self.flat.chip.message_limit - 1)
        fits = inputs.min() >= INPUTS[0] and inputs.max() <= INPUTS[1]
        bounds = INPUTS if fits else (-most, most)
        if bounds not in self._sessions:
            model = model_of(self.flat, self.graph, populations=not self.outputs_only, inputs=bounds)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = self.threads
            options.log_severity_level = 3
            self._sessions[bounds] = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        return self._sessions[bounds]

    def _explain(self, inputs: np.ndarray) -> None:
        """Raise the interpreter's error, which names the node and the value."""
        interpret(self.graph, inputs, **self._interpreter_options)
        raise TargetError("a value left what ONNX computes exactly, though the chip holds it; use the interpreter")


def _type(described: str) -> Any:
    """NumPy's type for ONNX Runtime's word, such as "tensor(int8)"."""
    return np.dtype(described.removeprefix("tensor(").removesuffix(")"))
