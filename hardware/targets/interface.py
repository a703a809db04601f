"""What a target is: something that runs a NIR graph of integers and gives every population's spikes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from ..errors import InputError, NotAvailableError
from ..progress import Progress

if TYPE_CHECKING:
    import nir
    import numpy as np

Trace = MutableMapping[str, "np.ndarray"]


class Target(ABC):
    """One target. Third parties register theirs by the entry point `qkformer.targets`, which names an instance.

    name: how a user asks for it; title: how people call it; description: one line about it. options: what `run` takes
    besides, each with its meaning; an option that a target does not have is refused, never ignored. packages: whose
    versions its results depend on.
    """

    name: str
    title: str
    description: str
    options: Mapping[str, str] = {}
    packages: tuple[str, ...] = ()

    @abstractmethod
    def available(self) -> str | None:
        """None if it can run here; else the reason, in one line with the command that installs what is missing."""

    @abstractmethod
    def check(self, graph: nir.NIRGraph, **options: Any) -> None:
        """Raise GraphError or RangeError, before anything runs, for a graph that the target cannot hold."""

    def note(self) -> str | None:
        """What a user should know of this target as it is installed here, in one line; None if nothing."""
        return None

    def describe(self, graph: nir.NIRGraph, **options: Any) -> dict[str, Any]:
        """How it will run a graph, in plain values for people and records.

        fused: the names of the nested graphs that it runs as one operation, whose gates it does not execute.
        note: what `note` says, if anything.
        """
        return {"fused": []}

    @abstractmethod
    def run(
        self,
        graph: nir.NIRGraph,
        inputs: np.ndarray,
        *,
        progress: Progress | None = None,
        into: Trace | None = None,
        **options: Any,
    ) -> Trace:
        """The spikes of every population, int8 [T, B, ...], and the sums at every Output, int32, by node name.

        inputs: integers [T, B, *input shape]. progress: called with (done, in all). into: where the trace goes.
        Raises what `check` does, InputError for an unknown option, NotAvailableError, and TargetError for a failure.
        """


def check_options(target: Target, options: Mapping[str, Any]) -> None:
    """Raise InputError for an option that a target does not have."""
    own = getattr(target, "options", {})  # a target of another package may have none
    for option in options:
        if option not in own:
            known = ", ".join(own) or "none"
            raise InputError(f"target '{target.name}' has no option '{option}'; its options: {known}")


def require(target: Target) -> None:
    """Raise NotAvailableError, with the reason, where a target cannot run."""
    if reason := target.available():
        raise NotAvailableError(reason)
