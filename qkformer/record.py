"""What every population of a model emitted, by module path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager

import numpy as np
from torch import Tensor, nn

from .neuron import Population


class SpikeTrace(Mapping[str, np.ndarray]):
    """Module path of a population -> its spikes or counts, an integer array [T, B, ...].

    Several forward passes are joined along B.
    """

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = {}

    def append(self, name: str, output: Tensor) -> None:
        """Add one forward pass of a population, [T, B, ...].

        Raises:
            ValueError: the output is not whole numbers.
        """
        self._parts.setdefault(name, []).append(whole_numbers(name, output))

    def __getitem__(self, name: str) -> np.ndarray:
        parts = self._parts[name]
        if len(parts) > 1:
            parts[:] = [np.concatenate(parts, axis=1)]
        return parts[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def whole_numbers(name: str, output: Tensor) -> np.ndarray:
    """What a population emitted, as int8 if it fits, else as int32.

    Raises:
        ValueError: the output is not whole numbers.
    """
    values = output.detach().cpu().numpy()
    if not np.array_equal(values, np.rint(values)):
        raise ValueError(f"{name} emitted numbers that are not whole; a population emits spikes or counts")
    fits = np.iinfo(np.int8)
    small = values.size == 0 or (values.min() >= fits.min and values.max() <= fits.max)
    return values.astype(np.int8 if small else np.int32)


@contextmanager
def record_spikes(
    model: nn.Module, into: MutableMapping[str, np.ndarray] | None = None
) -> Iterator[Mapping[str, np.ndarray]]:
    """Record every `Population` of a model while the context is open; it computes as before.

    `with record_spikes(model) as trace: model(images)`, then `trace["stage1.0.tssa.q_lif"]`: [T, B, ...].

    Args:
        model: any module.
        into: keeps the last forward pass instead of a SpikeTrace in memory, such as a `hardware.PackedTrace`.
    """
    trace = SpikeTrace() if into is None else into

    def keep(name: str, output: Tensor) -> None:
        if into is None:
            trace.append(name, output)
        else:
            into[name] = whole_numbers(name, output)

    def hook_for(name: str):
        return lambda module, inputs, output: keep(name, output)

    hooks = [
        module.register_forward_hook(hook_for(name))
        for name, module in model.named_modules()
        if isinstance(module, Population)
    ]
    try:
        yield trace
    finally:
        for hook in hooks:
            hook.remove()
