"""Random NIR graphs of every supported node, freely mixed; more than the exporter would ever write."""

import nir
import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from small_graphs import conv, flatten_node, integrate_and_fire, lif, pool, threshold

import hardware
from hardware.errors import RangeError

DECAYS = (1, 1024, 1365, 2048, 3000, 4096)


@st.composite
def random_graphs(draw) -> tuple[nir.NIRGraph, np.ndarray]:
    """Strategy: a graph and its inputs, int8 [T, B, C, H, W]."""
    seed = draw(st.integers(0, 2**32 - 1))
    builder = _Graph(draw, np.random.default_rng(seed))
    shape = (2 * draw(st.integers(1, 2)), draw(st.integers(3, 5)), draw(st.integers(3, 5)))
    graph = builder.build(shape, draw(st.integers(1, 6)), nesting=2, ends_flat=draw(st.booleans()))
    steps, samples = draw(st.integers(1, 6)), draw(st.integers(1, 2))
    inputs = builder.random.integers(-8, 9, (steps, samples, *shape), np.int8)
    assume(_within_range(graph, inputs))
    return graph, inputs


def _within_range(graph, inputs):
    """Whether the chip can hold what the graph adds up: of a hundred graphs about one leaves its range."""
    try:
        hardware.interpret(graph, inputs)
    except RangeError:
        return False
    return True


class _Graph:
    """Each node reads the newest one and perhaps older ones of that shape; NIR's own type check knows less."""

    def __init__(self, draw, random):
        self.draw, self.random = draw, random

    def build(self, shape, length, nesting, ends_flat=False):
        nodes, edges = {"in": nir.Input(np.array(shape))}, []
        shapes = {"in": tuple(shape)}

        def add(name, node, result_shape):
            older = [other for other in shapes if shapes[other] == shapes[newest] and other != newest]
            sources = [newest, *self.draw(st.lists(st.sampled_from(older or [newest]), max_size=2))]
            edges.extend((source, name) for source in sources)
            nodes[name], shapes[name] = node, tuple(result_shape)
            return name

        newest, sums = "in", 0
        for number in range(length):
            kinds = ["neuron"] if sums == 2 else ["neuron", "conv", "conv", "sum", "average", "scale"]
            kind = self.draw(st.sampled_from([*kinds, "nested"] if nesting else kinds))
            node, after = getattr(self, f"_{kind}")(shapes[newest], nesting)
            sums = 0 if kind in ("neuron", "nested") else sums + 1
            newest = add(f"{kind}{number}", node, after)
            if kind == "average":  # fractions go to one neuron only
                average, newest, sums = newest, add(f"after{number}", *self._neuron(after, 0)), 0
                del shapes[average]
        newest = add("last", *self._neuron(shapes[newest], 0))
        if ends_flat:
            shapes = {newest: shapes[newest]}
            newest = add("flat", flatten_node(shapes[newest]), [int(np.prod(shapes[newest]))])
            count = shapes[newest][0]
            newest = add("linear", nir.Linear(self._weights(3, count)), [3])
            newest = add("gate", *self._neuron((3,), 0))
            newest = add("affine", nir.Affine(self._weights(2, 3), self._weights(2)), [2])
        add("out", nir.Output(np.array(shapes[newest])), shapes[newest])
        return nir.NIRGraph(nodes, edges, type_check=False)

    def _neuron(self, shape, nesting):
        level = self.random.integers(0, 12, shape).astype(np.float32)
        kind = self.draw(st.sampled_from(["lif", "if", "threshold"]))
        if kind == "lif":
            return lif(shape, self.draw(st.sampled_from(DECAYS)), level), shape
        return (integrate_and_fire(shape, level) if kind == "if" else threshold(shape, level + 0.25)), shape

    def _conv(self, shape, nesting):
        channels, *size = shape
        groups = self.draw(st.sampled_from([n for n in (1, 2) if channels % n == 0]))
        outputs = groups * self.draw(st.integers(1, 2))
        stride = (self.draw(st.integers(1, 2)), self.draw(st.integers(1, 2)))
        kernel = [self.draw(st.integers(1, min(3, n))) for n in size]
        dilation = [self.draw(st.integers(1, 2)) if (k - 1) * 2 < n else 1 for k, n in zip(kernel, size, strict=True)]
        padding = self.draw(st.sampled_from([(0, 0), (1, 0), (1, 2), "valid", "same"]))
        if padding == "same":
            stride, kernel = (1, 1), [k | 1 if (k | 1) <= 3 else 1 for k in kernel]
            after = size
        else:
            pads = (0, 0) if padding == "valid" else padding
            after = [
                (n + 2 * p - d * (k - 1) - 1) // s + 1
                for n, p, d, k, s in zip(size, pads, dilation, kernel, stride, strict=True)
            ]
        node = conv(
            self._weights(outputs, channels // groups, *kernel),
            bias=self._weights(outputs),
            stride=stride,
            padding=padding,
            dilation=tuple(dilation),
            groups=groups,
        )
        return node, (outputs, *after)

    def _sum(self, shape, nesting):
        return self._pool(nir.SumPool2d, shape, [self.draw(st.integers(1, min(3, n))) for n in shape[1:]])

    def _average(self, shape, nesting):
        return self._pool(nir.AvgPool2d, shape, [self.draw(st.sampled_from([1, min(2, n)])) for n in shape[1:]])

    def _pool(self, kind, shape, kernel):
        stride = [self.draw(st.integers(1, 2)) for _ in kernel]
        padding = [self.draw(st.integers(0, k // 2)) for k in kernel]
        after = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(shape[1:], padding, kernel, stride, strict=True)]
        return pool(kind, kernel, stride, padding), (shape[0], *after)

    def _scale(self, shape, nesting):
        return nir.Scale(self._weights(*shape)), shape

    def _nested(self, shape, nesting):
        graph = self.build(shape, self.draw(st.integers(0, 2)), nesting - 1)
        return graph, tuple(graph.nodes["out"].output_type["output"])

    def _weights(self, *shape):
        return self.random.integers(-2, 3, shape).astype(np.float32)
