"""Which synapses must share a scale, because their currents are added up before anything reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import Tensor, nn

from ..errors import ExportError
from ..network.cells import Cell, RecurrentCell
from ..network.float_network import FloatNetwork
from ..network.layers import Delay, Reshape, WindowSum
from ..network.node_network import Node, Shapes
from ..network.output import Output
from ..network.synapses import FloatSynapses

CLOSE = 1e-9  # relative, of two shares that are the same but for rounding


@dataclass(frozen=True)
class Term:
    """A synapse's part in what a sink sums: 1 of it is worth `share` there, of `count` values that are added.

    way: the nodes between the synapse and the sink; even: none of them has padding, so that a constant stays one.
    """

    synapse: str
    share: float = 1.0
    count: int = 1
    way: tuple[str, ...] = ()
    even: bool = True

    @property
    def direct(self) -> bool:
        """Whether nothing stands between."""
        return not self.way


@dataclass(frozen=True)
class Sink:
    """What reads currents: a population, the output, or another synapse."""

    name: str
    module: nn.Module
    terms: tuple[Term, ...]


@dataclass
class Group:
    """Synapses and sinks; of each, what 1 of its integers is worth relative to the group's scale."""

    synapses: dict[str, float] = field(default_factory=dict)
    sinks: dict[str, float] = field(default_factory=dict)


class Groups:
    """The synapses of a network, those on ways back included; the sinks that they reach; and what belongs together."""

    def __init__(self, network: FloatNetwork, shapes: Shapes) -> None:
        self.shapes = shapes
        self.nodes: dict[str, Node] = {node.name: node for node in network.nodes}
        self.modules: dict[str, nn.Module] = {}
        for name in self.nodes:
            self.modules[name] = network.get_submodule(name)
        self.synapses: dict[str, FloatSynapses] = {
            name: module for name, module in self.modules.items() if isinstance(module, FloatSynapses)
        }
        self.sinks = {sink.name: sink for sink in self._sinks()}
        self.of_synapse: dict[str, Group] = {}
        self.of_sink: dict[str, Group] = {}
        for name in self.sinks:
            if name not in self.of_sink:
                self._gather(name)
        for name in self.synapses:
            if name not in self.of_synapse:
                raise ExportError(f"{name}: nothing reads its currents")

    def readers(self, synapse: str) -> list[tuple[Sink, Term]]:
        """The sinks that a synapse reaches, and as what."""
        return [(sink, term) for sink in self.sinks.values() for term in sink.terms if term.synapse == synapse]

    def arriving(self, term: Term, constant: Tensor) -> Tensor | None:
        """What a constant that a synapse gives comes to at the sink, in sums; None where a node on the way waits."""
        if term.direct:
            return constant
        ways = [self.modules.get(name) for name in term.way]
        if term.synapse not in self.shapes or any(not isinstance(module, (WindowSum, Reshape)) for module in ways):
            return None
        value = constant.double().broadcast_to(self.shapes[term.synapse])[None, None]
        for module in ways:
            assert module is not None
            sums = WindowSum(module.kernel, module.stride, module.padding) if isinstance(module, WindowSum) else module
            value = sums(value)
        return value[0, 0]

    def _sinks(self) -> Iterator[Sink]:
        for name, node in self.nodes.items():
            module = self.modules[name]
            if isinstance(module, (Cell, Output, FloatSynapses)):
                terms = [term for source in node.arguments[0] for term in self._terms(source)]
                if isinstance(module, RecurrentCell):
                    terms += self._returning(name, module)
                if terms:
                    yield Sink(name, module, tuple(terms))

    def _terms(self, source: str) -> list[Term]:
        """The synapses whose sums a node passes on."""
        module = self.modules.get(source)  # None: the input
        if isinstance(module, FloatSynapses):
            return [Term(source)]
        if not isinstance(module, (WindowSum, Reshape, Delay)):
            return []
        share, count = (module.share, module.count) if isinstance(module, WindowSum) else (1.0, 1)
        padded = isinstance(module, Delay) or (isinstance(module, WindowSum) and any(module.padding))
        found = [term for before in self.nodes[source].arguments[0] for term in self._terms(before)]
        return [
            Term(term.synapse, term.share * share, term.count * count, (*term.way, source), term.even and not padded)
            for term in found
        ]

    def _returning(self, name: str, cell: RecurrentCell) -> list[Term]:
        """Those on the ways back; each way has one synapse, and may give it another shape."""
        terms = []
        for names, modules in zip(cell.names, cell.ways, strict=True):
            found = [(n, m) for n, m in zip(names, modules, strict=True) if isinstance(m, FloatSynapses)]  # type: ignore[call-overload]
            if len(found) != 1 or any(isinstance(m, WindowSum) for m in modules):  # type: ignore[attr-defined]
                raise ExportError(f"{name}: the way back through {', '.join(names)} needs one synapse, and no pool")
            synapse, module = found[0]
            self.synapses[synapse] = module
            terms.append(Term(synapse, way=tuple(name for name in names if name != synapse)))
        return terms

    def _gather(self, first: str) -> None:
        """The group of a sink. Raises ExportError where a synapse would need two scales."""
        group = Group(sinks={first: 1.0})
        waiting = [first]
        while waiting:
            name = waiting.pop()
            self.of_sink[name] = group
            for term in self.sinks[name].terms:
                worth = group.sinks[name] / term.share
                if term.synapse in group.synapses:
                    _check_same(term.synapse, group.synapses[term.synapse], worth)
                    continue
                group.synapses[term.synapse] = worth
                self.of_synapse[term.synapse] = group
                for sink in self.sinks.values():
                    for other in sink.terms:
                        if other.synapse == term.synapse:
                            at_sink = worth * other.share
                            if sink.name in group.sinks:
                                _check_same(sink.name, group.sinks[sink.name], at_sink)
                            else:
                                group.sinks[sink.name] = at_sink
                                waiting.append(sink.name)


def _check_same(name: str, known: float, found: float) -> None:
    if abs(known - found) > CLOSE * known:
        raise ExportError(
            f"{name}: its currents are averaged over windows of {known / found:g} times the size on one way as on "
            "another, and are added up; give each way a synapse of its own"
        )
