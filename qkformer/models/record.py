"""What every population of a model emitted, by module path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import Tensor, nn

from hardware.errors import InputError
from hardware.trace.spike_trace import SpikeTrace

from .neuron import Population


def integers(name: str, output: Tensor) -> np.ndarray:
    """What a population emitted, as int8 if it fits, else as int32.

    Raises:
        InputError: the output is not integers.
    """
    values = output.detach().cpu().numpy()
    if not np.array_equal(values, np.rint(values)):
        raise InputError(f"{name} emitted values that are not integers; a population emits spikes or counts")
    fits = np.iinfo(np.int8)
    small = values.size == 0 or (values.min() >= fits.min and values.max() <= fits.max)
    return values.astype(np.int8 if small else np.int32)


@contextmanager
def record_spikes(
    model: nn.Module, into: MutableMapping[str, np.ndarray] | None = None
) -> Iterator[Mapping[str, np.ndarray]]:
    """Record every `Population` of a model while the context is open; it computes as before.

    `with record_spikes(model) as trace: model(images)`, then `trace["stage1.0.tssa.q_lif"]`: [T, B, ...]. Several
    forward passes are joined along B.

    Args:
        model: any module.
        into: keeps the last forward pass instead of a SpikeTrace in memory, such as a `hardware.PackedTrace`.
    """
    trace = SpikeTrace() if into is None else into

    def keep(name: str, output: Tensor) -> None:
        values = integers(name, output)
        joined = into is None and name in trace
        trace[name] = np.concatenate([trace[name], values], axis=1) if joined else values

    def hook_for(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda module, inputs, output: keep(name, output)

    hooks = [
        module.register_forward_hook(hook_for(name))
        for name, module in model.named_modules()
        if isinstance(module, Population) and module.is_recorded
    ]
    try:
        yield trace
    finally:
        for hook in hooks:
            hook.remove()
