"""Random NIR graphs of real numbers in anyone's conventions: gains, leaks, resets, time steps, orders, cycles."""

import nir
import numpy as np
from hypothesis import strategies as st


@st.composite
def random_float_graphs(draw, currents=True, cycles=True):
    """A graph, inputs [T, B, ...] of spikes, and the time step in which it holds."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dt = draw(st.sampled_from([1e-4, 1e-3, 1.0]))
    maps = draw(st.booleans())
    shape = (
        (int(rng.integers(1, 4)), int(rng.integers(4, 7)), int(rng.integers(4, 7)))
        if maps
        else (int(rng.integers(1, 6)),)
    )
    nodes, edges = {"in": nir.Input({"input": np.array(shape)})}, []
    source, input_shape = "in", shape
    for index in range(draw(st.integers(1, 3))):
        source, shape = _layer(draw, rng, nodes, edges, source, shape, f"n{index}", dt, currents, cycles)
    if len(shape) == 3 and draw(st.booleans()):
        edges.append((source, "flat"))
        nodes["flat"] = nir.Flatten({"input": np.array(shape)}, start_dim=0)
        source, shape = "flat", (int(np.prod(shape)),)
    if len(shape) == 1 and draw(st.booleans()):
        source, shape = _layer(draw, rng, nodes, edges, source, shape, "last", dt, currents, cycles)
    if len(shape) == 1 and draw(st.booleans()):
        source, shape = _readout(draw, rng, nodes, edges, source, shape, dt)
    nodes["out"] = nir.Output({"output": np.array(shape)})
    edges.append((source, "out"))
    names = draw(st.permutations(list(nodes)))
    edges = draw(st.permutations(edges))
    graph = nir.NIRGraph({name: nodes[name] for name in names}, list(edges), type_check=False)
    return graph, (rng.random((6, 3, *input_shape)) < 0.4).astype(np.int8), dt


def _readout(draw, rng, nodes, edges, source, shape, dt):
    """A head, perhaps with a membrane that is read. Returns the last node's name and shape."""
    count = int(rng.integers(1, 4))
    weight, bias, one = rng.normal(size=(count, *shape)), rng.normal(size=count) * 0.1, np.ones(count)
    kind = draw(st.sampled_from(["sum", "i", "li", "cubali"]))
    nodes["head"] = nir.Affine(weight, bias) if kind != "cubali" else nir.Linear(weight)
    edges.append((source, "head"))
    tau, r, zero = dt * rng.uniform(1.0, 8.0, count), rng.uniform(0.5, 2.0, count), np.zeros(count)
    membranes = {
        "i": nir.I(r / dt),
        "li": nir.LI(tau, r, zero),
        "cubali": nir.CubaLI(tau_syn=tau[::-1], tau_mem=tau, r=r, v_leak=zero, w_in=2 * one),
    }
    if kind == "sum":
        return "head", (count,)
    nodes["membrane"] = membranes[kind]
    edges.append(("head", "membrane"))
    return "membrane", (count,)


def _layer(draw, rng, nodes, edges, source, shape, name, dt, currents, cycles):
    """Weights, perhaps a pool, a neuron, perhaps a skip or a way back. Returns the neuron's name and its shape."""
    weights = f"{name}.weights"
    before = shape
    if len(shape) == 3:
        groups = shape[0] if draw(st.booleans()) else 1
        outputs = groups * int(rng.integers(1, 3))
        height, width = (int(n) for n in rng.integers(1, 4, 2))
        stride, dilation = draw(st.sampled_from([((1, 1), (1, 1)), ((2, 1), (1, 1)), ((1, 1), (1, 2))]))
        weight = rng.normal(size=(outputs, shape[0] // groups, height, width))
        padding = (height - 1, width * (dilation[1] - 1) + width // 2)
        nodes[weights] = nir.Conv2d(
            shape[1:], weight, stride, padding, dilation, groups, rng.normal(size=outputs) * 0.1
        )
        size = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(shape[1:], padding, dilation, (height, width), stride, strict=True)
        ]
        shape = (outputs, *size)
    else:
        outputs = int(rng.integers(1, 7))
        weight = rng.normal(size=(outputs, *shape))
        nodes[weights] = (
            nir.Linear(weight) if draw(st.booleans()) else nir.Affine(weight, rng.normal(size=outputs) * 0.1)
        )
        shape = (outputs,)
    edges.append((source, weights))
    arriving = [weights]
    if len(shape) == 3 and min(shape[1:]) >= 2 and draw(st.booleans()):
        kind = draw(st.sampled_from([nir.AvgPool2d, nir.SumPool2d]))
        nodes[f"{name}.pool"] = kind(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
        edges.append((weights, f"{name}.pool"))
        arriving = [f"{name}.pool"]
        shape = (shape[0], *(n // 2 for n in shape[1:]))
    if shape == before and draw(st.booleans()):
        arriving.append(source)  # a skip
    neuron = f"{name}.neuron"
    nodes[neuron] = _neuron(draw, rng, shape, dt, currents)
    edges += [(arrives, neuron) for arrives in arriving]
    if cycles and len(shape) == 1 and draw(st.booleans()):
        nodes[f"{name}.back"] = nir.Affine(rng.normal(size=(*shape, *shape)), rng.normal(size=shape) * 0.1)
        edges += [(neuron, f"{name}.back"), (f"{name}.back", neuron)]
    return neuron, shape


def _neuron(draw, rng, shape, dt, currents):
    """In one of the conventions of the tools that write NIR."""
    own = draw(st.booleans())  # parameters of each neuron, or one for all

    def values(low, high):
        if len(shape) == 3 or not own:
            return np.full(shape, rng.uniform(low, high))
        return rng.uniform(low, high, shape)

    reset = np.full(shape, draw(st.sampled_from([0.0, 0.0, 0.3])))
    threshold = reset + values(0.5, 1.5)
    tau = dt * values(1.0, 8.0)
    r = draw(st.sampled_from([np.ones(shape), tau / dt, values(0.5, 3.0)]))
    leak = reset + draw(st.sampled_from([0.0, 0.0, 0.2]))
    kinds = ["if", "lif", "lif", *(["cuba"] if currents else [])]
    kind = draw(st.sampled_from(kinds))
    if kind == "if":
        return nir.IF(r=values(0.5, 2.0) / dt, v_threshold=threshold, v_reset=reset)
    if kind == "lif":
        return nir.LIF(tau=tau, r=r, v_leak=leak, v_threshold=threshold, v_reset=reset)
    tau_syn = np.full(shape, dt * rng.uniform(1.0, 4.0))
    return nir.CubaLIF(
        tau_syn=tau_syn, tau_mem=tau, r=r, v_leak=leak, v_threshold=threshold, v_reset=reset, w_in=values(0.5, 2.0)
    )
