"""Nodes and graphs of NIR for tests, in the integer arithmetic of Loihi."""

import itertools

import nir
import numpy as np

TIME_STEP = 1e-4


class Unknown(nir.NIRNode):
    """A node of no kind that is known."""

    def __init__(self, shape=(1, 2, 2)):
        shape = np.array(shape)
        self.input_type, self.output_type, self.metadata = {"input": shape}, {"output": shape}, {}


def lif(shape, decay=2048, threshold=0) -> nir.LIF:
    """A leaky neuron that fires above `threshold`; decay in 1/4096."""
    tau, everywhere = 4096 / decay, np.ones(shape, np.float32)
    return nir.LIF(
        tau * TIME_STEP * everywhere, tau * everywhere, 0 * everywhere, (threshold + 2**-7) * everywhere, 0 * everywhere
    )


def cubalif(shape, current_decay=1024, decay=2048, threshold=0) -> nir.CubaLIF:
    """A neuron with a current of its own, which fires above `threshold`; decays in 1/4096, in any shape that fits."""
    everywhere = np.ones(shape)
    tau_syn, tau_mem = (4096 / (np.asarray(d) * everywhere) for d in (current_decay, decay))
    level, zeros = (np.asarray(threshold) + 2**-7) * everywhere, 0 * everywhere
    return nir.CubaLIF(
        tau_syn=tau_syn * TIME_STEP, tau_mem=tau_mem * TIME_STEP, r=tau_mem, v_leak=zeros, v_threshold=level,
        v_reset=zeros, w_in=tau_syn,
    )  # fmt: skip


def integrate_and_fire(shape, threshold=0) -> nir.IF:
    """A neuron without a leak that fires above `threshold`."""
    everywhere = np.ones(shape, np.float32)
    return nir.IF(everywhere / TIME_STEP, (threshold + 2**-7) * everywhere, 0 * everywhere)


def threshold(shape, value=0.5) -> nir.Threshold:
    """A gate."""
    return nir.Threshold(np.full(shape, value, np.float32))


def conv(weight, *, bias=None, stride=1, padding=0, dilation=1, groups=1, size=None) -> nir.Conv2d:
    """A Conv2d; bias 0 unless given."""
    weight = np.asarray(weight, np.float32)
    bias = np.zeros(len(weight), np.float32) if bias is None else np.asarray(bias, np.float32)
    return nir.Conv2d(size, weight, stride, padding, dilation, groups, bias)


def pool(kind, kernel, stride, padding=(0, 0)) -> nir.NIRNode:
    """A nir.SumPool2d or nir.AvgPool2d."""
    return kind(np.array(kernel), np.array(stride), np.array(padding))


def flatten_node(shape) -> nir.Flatten:
    """All of [C, H, W] in a row."""
    return nir.Flatten({"input": np.array(shape)}, start_dim=0)


def graph(shape, nodes, edges, output_shape=None, type_check=True) -> nir.NIRGraph:
    """A graph with an Input "input" of this shape and an Output "output"; edges as "a -> b -> c"."""
    ends = {"input": nir.Input(np.array(shape)), "output": nir.Output(np.array(output_shape or shape))}
    pairs = []
    for path in edges:
        names = path.split(" -> ")
        pairs += itertools.pairwise(names)
    return nir.NIRGraph({**ends, **nodes}, pairs, type_check=type_check)


def chain(shape, *nodes, output_shape=None, type_check=True) -> nir.NIRGraph:
    """Input, the nodes one after the other, named node0, node1, ..., and Output."""
    named = {f"node{i}": node for i, node in enumerate(nodes)}
    return graph(shape, named, [" -> ".join(["input", *named, "output"])], output_shape, type_check)


def branched() -> nir.NIRGraph:
    """input -> first -> (second, third) -> last, which reads all three."""
    nodes = {
        "conv": conv([[[[5]]]], bias=[2], size=(2, 2)),
        "first": lif((1, 2, 2), threshold=9),
        "twice": conv([[[[2]]]], size=(2, 2)),
        "second": lif((1, 2, 2), threshold=1),
        "third": threshold((1, 2, 2)),
        "sum": conv([[[[3]]]], bias=[-1], size=(2, 2)),
        "last": lif((1, 2, 2), threshold=4),
    }
    edges = [
        "input -> conv -> first -> twice -> second -> sum -> last",
        "first -> third -> sum",
        "first -> last",
        "last -> output",
    ]
    return graph((1, 2, 2), nodes, edges)


def whole_numbers(seed, *shape, low=-20, high=21) -> np.ndarray:
    """Random integers."""
    return np.random.default_rng(seed).integers(low, high, shape)
