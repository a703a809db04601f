"""Values that wait: each place of an array by its own number of time steps."""

from __future__ import annotations

from collections import deque

import numpy as np


def delayed(values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Values [T, B, *shape] as they were `steps` [*shape] time steps before; 0 before the first."""
    line = DelayLine(steps)
    return np.stack([line.step(given) for given in values])


class DelayLine:
    """What a delay holds between two time steps. steps: [*shape]."""

    def __init__(self, steps: np.ndarray):
        self.places = {int(d): steps == d for d in np.unique(steps)}
        self.held: deque[np.ndarray] = deque(maxlen=int(steps.max(initial=0)) + 1)

    def step(self, values: np.ndarray) -> np.ndarray:
        """Takes this step's values [..., *shape], gives those of `steps` before; 0 where there were none."""
        self.held.append(values.copy())
        given = np.zeros_like(values)
        for wait, where in self.places.items():
            if wait < len(self.held):
                given[..., where] = self.held[-1 - wait][..., where]
        return given

    def clear(self) -> None:
        """As if there had been no step."""
        self.held.clear()
