"""Random small integer networks: a chain of layers in which each also reads some of the layers before it.

All that the fixed model has occurs: convolutions with strides and padding, residual sums of unequal depth,
gates, pools and Q-K attention, neurons of several decays, with a head or without.
"""

from dataclasses import dataclass

import nir
import numpy as np
import torch
from hypothesis import strategies as st

from export import FixedModel, to_nir
from export.network.fixed_layers import FixedConv, FixedLIF, Gate, Readout
from export.network.layers import GroupSum, TokenSum
from export.network.node_network import INPUT, OUTPUT
from hardware import Encoding, SpikeTrace
from qkformer import record_spikes
from qkformer.models.logic import Mask, SpikePool

DECAYS = (0, 1024, 1365, 2048, 3000, 4096)


@dataclass
class Example:
    """A network and what it is fed, int8 [T, B, C, H, W]."""

    fixed: FixedModel
    inputs: np.ndarray

    def _repr_pretty_(self, printer, cycle):  # Hypothesis would print every input
        printer.text(f"inputs {self.inputs.shape}, {self.fixed}")

    def reference(self, inputs: np.ndarray | None = None) -> SpikeTrace:
        """Every population in PyTorch, and the output, which is the last population where there is no head."""
        with torch.no_grad(), record_spikes(self.fixed) as trace:
            output = self.fixed.run(self.inputs if inputs is None else inputs)
        return SpikeTrace(trace) | {OUTPUT: output.numpy().astype(np.int32)}


@st.composite
def examples(draw) -> Example:
    """Strategy: a network and its inputs."""
    shape, time_steps = draw(input_shapes()), draw(st.integers(1, 8))
    return Example(draw(networks(shape, time_steps)), draw(inputs(shape, time_steps)))


@dataclass
class SideBySide:
    """Several networks that share their inputs, nested in one graph, and what they emit in PyTorch."""

    graph: nir.NIRGraph
    inputs: np.ndarray
    reference: SpikeTrace

    def _repr_pretty_(self, printer, cycle):  # Hypothesis would print every weight
        printer.text(f"inputs {self.inputs.shape}, populations {', '.join(self.reference)}")


@st.composite
def side_by_side(draw, count: int) -> SideBySide:
    """Strategy: `count` networks in one graph."""
    shape, time_steps = draw(input_shapes()), draw(st.integers(1, 8))
    shared = draw(inputs(shape, time_steps))
    nodes, edges, reference = {"input": nir.Input(np.array(shape))}, [], SpikeTrace()
    for number in range(count):
        example = Example(draw(networks(shape, time_steps)), shared)
        name, output = f"network{number}", f"output{number}"
        nodes[name] = to_nir(example.fixed)
        nodes[output] = nir.Output(nodes[name].nodes[OUTPUT].output_type["output"])
        edges += [("input", name), (name, output)]
        values = example.reference()
        reference[output] = values.pop(OUTPUT)
        reference |= {f"{name}.{population}": spikes for population, spikes in values.items()}
    return SideBySide(nir.NIRGraph(nodes, edges), shared, reference)


def input_shapes() -> st.SearchStrategy:
    """Strategy: channels, height, width."""
    return st.tuples(st.integers(1, 3), st.integers(3, 7), st.integers(3, 7))


@st.composite
def inputs(draw, shape: tuple[int, int, int], time_steps: int) -> np.ndarray:
    """Strategy: int8 [T, B, *shape] for one to three samples."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return random.integers(-127, 128, (time_steps, draw(st.integers(1, 3)), *shape), np.int8)


@st.composite
def networks(draw, shape: tuple[int, int, int], time_steps: int) -> FixedModel:
    """Strategy: the structure is drawn, and shrinks; the weights come from a seed."""
    network = _Network(draw, shape, time_steps)
    for _ in range(draw(st.integers(1, 5))):
        network.extend(draw(st.sampled_from(network.KINDS)))
    if draw(st.booleans()):
        network.add_head()
    return network.fixed.eval()


class _Network:
    """A network under construction; `self.last` is its newest population."""

    KINDS = ("conv", "conv", "and", "or", "pool", "token attention", "channel attention")

    def __init__(self, draw, shape, time_steps):
        self.draw = draw
        self.random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.fixed = FixedModel(Encoding("random", shape, time_steps))
        self.shapes = {}  # of all populations
        self.last = self.add_conv("layer0", [INPUT], shape)

    def extend(self, kind):
        name = f"layer{len(self.shapes)}"
        sources = self.draw_sources()
        shape = self.shapes[self.last]
        if kind == "conv":
            self.last = self.add_conv(name, sources, shape)
        elif kind == "and":
            self.last = self.add_gate(name, Gate(len(sources) - 1), shape, sources)
        elif kind == "or":
            self.last = self.add_gate(name, Gate(0), shape, sources)
        elif kind == "pool":
            self.last = self.add_pool(name, self.last, shape)
        else:
            total = GroupSum(self.draw_groups(shape[0])) if kind == "token attention" else TokenSum()
            self.last = self.add_attention(name, total, sources, shape)

    def draw_sources(self):
        """The newest population, and any of the older ones that has its shape."""
        fitting = [name for name in self.shapes if self.shapes[name] == self.shapes[self.last]]
        older = self.draw(st.lists(st.sampled_from(fitting), unique=True, max_size=3))
        return [name for name in fitting if name in older or name == self.last]

    def draw_groups(self, channels):
        return self.draw(st.sampled_from([n for n in range(1, channels + 1) if channels % n == 0]))

    def draw_window(self, size, square=False):
        """Kernel, stride, padding and resulting size. NIR 1.0.8 takes the kernels of Conv2d for square."""
        largest = [min(3, *size)] * 2 if square else [min(3, n) for n in size]
        kernel = tuple(self.draw(st.integers(1, n)) for n in largest)
        kernel = (kernel[0], kernel[0]) if square else kernel
        stride = tuple(self.draw(st.integers(1, 2)) for _ in size)
        padding = tuple(self.draw(st.integers(0, k // 2)) for k in kernel)
        after = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(size, padding, kernel, stride, strict=True)]
        return kernel, stride, padding, after

    def add_conv(self, name, sources, shape):
        """A convolution and its neuron. The threshold is such that some neurons fire, and not all."""
        channels, *size = shape
        outputs = self.draw(st.sampled_from([1, 2, 3, 4, 4, 6]))
        kernel, stride, padding, size = self.draw_window(size, square=True)
        fan_in = channels * kernel[0] ** 2
        largest = 16 if sources == [INPUT] else self.draw(st.sampled_from([127, 3]))
        weight = self.random.integers(-largest, largest + 1, (outputs, channels, *kernel))
        spread = 44 if sources == [INPUT] else 0.3 * len(sources) ** 0.5
        typical = int(largest * spread * fan_in**0.5) + 1
        bias = self.random.integers(-typical, typical + 1, outputs)
        if sources == [INPUT] and self.draw(st.booleans()):
            bias = 2 * self.random.integers(-4095, 4096, outputs)  # more than 4095, so even
        threshold = self.draw(st.sampled_from([0, typical // 2, typical]))
        convolution = FixedConv(torch.from_numpy(weight), torch.from_numpy(bias), stride, padding)
        self.fixed.add(f"{name}.conv", convolution, sources)
        lif = FixedLIF(self.draw(st.sampled_from(DECAYS)), threshold, f"{name}.lif")
        return self.add_population(f"{name}.lif", lif, (outputs, *size), f"{name}.conv")

    def add_gate(self, name, gate, shape, *arguments):
        return self.add_population(f"{name}.gate", gate, shape, *arguments)

    def add_pool(self, name, source, shape):
        channels, *size = shape
        kernel, stride, padding, size = self.draw_window(size)
        return self.add_population(f"{name}.pool", SpikePool(kernel, stride, padding), (channels, *size), source)

    def add_attention(self, name, total, sources, shape):
        """Queries from all sources; the mask on the newest, which is one step or more ahead of them."""
        self.fixed.add(f"{name}.sum", total, sources)
        gated = (total.groups, *shape[1:]) if isinstance(total, GroupSum) else shape
        neuron = self.draw(st.sampled_from([Gate(0), Gate(1), FixedLIF(2048, 1, f"{name}.attention"), FixedLIF(0, 3)]))
        attention = self.add_population(f"{name}.attention", neuron, gated, f"{name}.sum")
        return self.add_population(f"{name}.mask", Mask(), shape, attention, self.last)

    def add_head(self):
        classes, channels = self.draw(st.integers(1, 4)), self.shapes[self.last][0]
        weight = self.random.integers(-127, 128, (classes, channels))
        bias = self.random.integers(-5000, 5001, classes)
        self.fixed.add(OUTPUT, Readout(torch.from_numpy(weight), torch.from_numpy(bias)), self.draw_sources())

    def add_population(self, name, module, shape, *arguments):
        self.shapes[name] = tuple(shape)
        return self.fixed.add(name, module, *arguments)
