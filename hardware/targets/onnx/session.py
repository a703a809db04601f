"""A model in ONNX Runtime, for one graph and any number of runs.

A batch is run in pieces, whose activations stay in the processor's caches and whose memory is bounded. Each thread
takes pieces of its own, which scales better than all threads at one; a single piece is shared by all threads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import nir
import numpy as np

from ...chip import LOIHI_2
from ...chip.chip import Chip
from ...errors import InputError, TargetError
from ...progress import Progress
from ...trace.spike_trace import SpikeTrace
from ..interface import Trace
from ..interpreter.sequence import interpret
from ..interpreter.values import check_inputs
from .model import INPUTS, added_outputs, checked, model_of

PIECE = 8_000_000  # neurons times time steps that are computed at once

Slices = list[slice]


class PreparedNetwork:
    """A graph, checked and made into a model; called with inputs, it gives the trace.

    outputs_only: the sums at the Outputs, without the populations' spikes. threads: how many; 0 for all processors.
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
            raise InputError(f"threads is {threads!r}; it must be an integer of at least 0, and 0 takes all processors")
        self.graph, self.outputs_only = graph, outputs_only
        self.threads = threads or os.cpu_count() or 1
        self.flat = checked(graph, chip=chip, fused=fused)
        self.fused = fused
        self._models: dict[bool, bytes] = {}
        self._sessions: dict[tuple[bool, int], Any] = {}

    def __call__(self, inputs: np.ndarray, progress: Progress | None = None, into: Trace | None = None) -> Trace:
        """The trace for integers [T, B, *input shape]: int8 spikes and int32 sums, [T, B, ...] by name.

        progress: called with (samples done, samples in all). Raises what `hardware.interpret` raises.
        """
        inputs = check_inputs(self.flat, inputs)
        results: dict[str, np.ndarray] = {}
        pieces = self._pieces(*inputs.shape[:2])
        for done, (samples, found) in enumerate(self._run(inputs, pieces)):
            if progress:
                progress(pieces[done].start, inputs.shape[1])
            for name, values in found.items():
                if name not in results:
                    results[name] = np.empty((values.shape[0], inputs.shape[1], *values.shape[2:]), values.dtype)
                results[name][:, samples] = values
        trace: Trace = SpikeTrace() if into is None else into
        for name in [*results]:  # each is released as soon as the trace has it
            trace[name] = results.pop(name)
        return trace

    def _pieces(self, time_steps: int, samples: int) -> Slices:
        """Which samples are run together."""
        neurons = sum(int(np.prod(self.flat.shapes[name])) for name in self.flat.populations)
        size = max(1, PIECE // max(1, neurons * time_steps))
        size = min(size, -(-samples // self.threads))
        return [slice(first, min(first + size, samples)) for first in range(0, samples, size)]

    def _run(self, inputs: np.ndarray, pieces: Slices) -> Iterator[tuple[slice, Mapping[str, np.ndarray]]]:
        """Each piece and what it gives, in order."""
        fits = bool(inputs.min() >= INPUTS[0] and inputs.max() <= INPUTS[1])
        callers = min(self.threads, len(pieces))
        session = self._session(fits, self.threads // callers)
        (port,) = session.get_inputs()
        dtype = np.dtype(port.type.removeprefix("tensor(").removesuffix(")"))
        _, within_limits = added_outputs(self.flat)
        shown = [output.name for output in session.get_outputs()]

        def run(samples: slice) -> dict[str, np.ndarray]:
            piece = np.ascontiguousarray(inputs[:, samples], dtype)
            try:
                given = session.run(shown, {port.name: piece})
            except Exception as error:  # of many kinds, for want of memory above all
                raise TargetError(f"ONNX Runtime failed on {piece.shape[1]} samples", str(error)) from error
            found = dict(zip(shown, given, strict=True))
            if not found.pop(within_limits, True):
                self._explain(inputs)
            return {name: v.view(np.int8) if v.dtype == np.uint8 else v for name, v in found.items()}

        if callers == 1:
            yield from ((samples, run(samples)) for samples in pieces)
            return
        with ThreadPoolExecutor(callers) as pool:
            yield from zip(pieces, pool.map(run, pieces), strict=True)

    def _session(self, fits: bool, threads: int) -> Any:
        """A session for inputs of int8, or else one for all that a message can hold; each is made once."""
        import onnxruntime

        if fits not in self._models:
            most = float(self.flat.chip.message_limit - 1)
            bounds = INPUTS if fits else (-most, most)
            model = model_of(self.flat, self.graph, populations=not self.outputs_only, logits=False, inputs=bounds)
            self._models[fits] = model.SerializeToString()
        if (fits, threads) not in self._sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.log_severity_level = 3  # errors
            self._sessions[fits, threads] = onnxruntime.InferenceSession(
                self._models[fits], options, providers=["CPUExecutionProvider"]
            )
        return self._sessions[fits, threads]

    def _explain(self, inputs: np.ndarray) -> None:
        """Raise the interpreter's error, which names the node and the value."""
        interpret(self.graph, inputs, fused=self.fused, chip=self.flat.chip)
        raise TargetError("a value left what ONNX computes exactly, though the chip holds it; use the interpreter")
