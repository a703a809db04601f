"""Is a sample's answer its own? Each sample alone, against the same sample in company.

A network whose state survives a sample, or crosses the batch, gives another answer when its neighbours change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..errors import InputError
from ..trace.spike_trace import SpikeTrace
from .compare import compare
from .results import Leak

RunSamples = Callable[[Sequence[int]], Mapping[str, np.ndarray]]


def check_invariance(run: RunSamples, samples: int) -> tuple[Leak, ...]:
    """Run samples alone, in a batch, after others and back to back; the leak of each arrangement that has one.

    run: called with the indices of the samples in order, gives their trace, population -> [T, B, ...] along B. The
    populations' order is the order of execution. Raises InputError for fewer than two samples.
    """
    if samples < 2:
        raise InputError(f"{samples} sample to compare with its company; at least 2 are needed")
    order = list(range(samples))
    alone = _joined([run([sample]) for sample in order])
    arrangements: dict[str, Callable[[], SpikeTrace]] = {
        "in a batch": lambda: SpikeTrace(run(order)),
        "after another sample": lambda: _reversed(run(order[::-1])),
        "streamed back to back": lambda: _reversed(_joined([run([sample]) for sample in order[::-1]])),
    }
    leaks = []
    for arrangement, arranged in arrangements.items():
        report = compare(alone, arranged())
        if report.first_divergence:
            leaks.append(Leak(arrangement, report.first_divergence, report.mismatches))
    return tuple(leaks)


def _joined(traces: Sequence[Mapping[str, np.ndarray]]) -> SpikeTrace:
    return SpikeTrace({name: np.concatenate([trace[name] for trace in traces], axis=1) for name in traces[0]})


def _reversed(trace: Mapping[str, np.ndarray]) -> SpikeTrace:
    return SpikeTrace({name: values[:, ::-1] for name, values in trace.items()})
