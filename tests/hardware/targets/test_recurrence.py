"""Populations that hear their own spikes, one time step later: the same on every target, image by image."""

import nir
import numpy as np
import pytest
from amount import random_examples
from hypothesis import given
from hypothesis import strategies as st
from run_sections import run_sections
from small_graphs import conv, cubalif, flatten_node, graph, integrate_and_fire, lif, threshold, whole_numbers
from ways_in_lava import anyhow

import hardware
from hardware import GraphError
from hardware.graph.flat import at_rest

DECAYS = (1, 300, 1365, 2048, 4096)


def affine(seed, outputs, inputs, bias=True, most=9):
    weight = whole_numbers(seed, outputs, inputs, low=-most, high=most + 1).astype(np.float32)
    return nir.Affine(weight, whole_numbers(seed + 1, outputs, low=-3, high=4).astype(np.float32) * bias)


def nested(neuron, count, back):
    """A graph of its own for a neuron and its weights, as other tools write them."""
    ends = {"input": nir.Input(np.array([count])), "output": nir.Output(np.array([count]))}
    edges = [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]
    return nir.NIRGraph({**ends, "lif": neuron, "w_rec": back}, edges, type_check=False)


def test_one_population_step_by_step():
    """s(t) = [5 x(t) + W s(t - 1) + b + b_rec > 9], written out."""
    back = affine(1, 3, 3)
    first = nir.Affine(np.full((3, 1), 5.0), np.array([1.0, 0.0, 2.0]))
    network = graph([1], {"first": first, "a": threshold([3], 9.5), "back": back},
                    ["input -> first -> a -> back -> a -> output"], [3], type_check=False)  # fmt: skip
    inputs = whole_numbers(3, 8, 2, 1, low=0, high=4)
    spikes = np.zeros((2, 3))
    wanted = []
    for x in inputs:
        sums = x @ first.weight.T + first.bias + spikes @ back.weight.T + back.bias
        spikes = (sums > 9).astype(float)
        wanted.append(spikes)
    np.testing.assert_array_equal(hardware.interpret(network, inputs)["a"], np.stack(wanted))
    np.testing.assert_array_equal(hardware.interpret_float(network, inputs)["a"], np.stack(wanted))
    assert 0 < np.mean(wanted) < 1


def test_nested_is_flat():
    inputs = whole_numbers(4, 6, 2, 4)
    neuron, back = cubalif([3], 900, 1365, 20), affine(5, 3, 3)
    edges = ["input -> in -> lif -> out -> output"]
    inner = graph(
        [4], {"in": affine(6, 3, 4), "lif": nested(neuron, 3, back), "out": affine(7, 2, 3)}, edges, [2], False
    )
    flat = graph([4], {"in": affine(6, 3, 4), "lif": neuron, "w": back, "out": affine(7, 2, 3)},
                 [*edges, "lif -> w -> lif"], [2], False)  # fmt: skip
    outside = {"input": nir.Input(np.array([3])), "output": nir.Output(np.array([3])), "n": neuron}
    around = nir.NIRGraph(outside, [("input", "n"), ("n", "output")], type_check=False)
    half = graph([4], {"in": affine(6, 3, 4), "lif": around, "w": back, "out": affine(7, 2, 3)},
                 [*edges, "lif -> w -> lif"], [2], False)  # fmt: skip
    wanted = hardware.interpret(flat, inputs)
    assert hardware.flatten(inner).feedback == {("lif.lif", "lif.w_rec")}
    for network, name in ((inner, "lif.lif"), (half, "lif.n")):
        found = hardware.interpret(network, inputs)
        np.testing.assert_array_equal(found[name], wanted["lif"])
        np.testing.assert_array_equal(found["output"], wanted["output"])
    assert wanted["lif"].any()


def test_what_is_read_outside_of_the_cycle_has_no_delay():
    back = nir.Linear(np.array([[3.0]]))
    nodes = {"a": threshold([1], 1.5), "back": back}
    network = graph([1], nodes, ["input -> a -> back -> a", "back -> output"], type_check=False)
    inputs = np.array([2, 0, -2, 2]).reshape(4, 1, 1)
    found = hardware.interpret(network, inputs)
    assert found["a"].reshape(-1).tolist() == [1, 1, 0, 1]
    assert found["output"].reshape(-1).tolist() == [3, 3, 0, 3]


@st.composite
def networks(draw):
    """A chain of populations, most of them recurrent, and inputs of several images; T small."""
    seed = draw(st.integers(0, 10_000))
    random = np.random.default_rng(seed)
    count = draw(st.integers(1, 4))
    nodes, paths, previous = {}, [], "input"
    width = draw(st.integers(1, 4))
    shape = width
    for index in range(draw(st.integers(1, 3))):
        name = f"p{index}"
        level = random.integers(0, 25, count) if draw(st.booleans()) else int(random.integers(0, 25))
        kind = draw(st.sampled_from(["cubalif", "lif", "if", "gate"]))
        if kind == "cubalif":
            du = random.choice(DECAYS, count) if draw(st.booleans()) else int(random.choice(DECAYS))
            nodes[name] = cubalif([count], du, int(random.choice(DECAYS)), level)
        elif kind == "lif":
            nodes[name] = lif([count], int(random.choice(DECAYS)), level)
        else:
            nodes[name] = integrate_and_fire([count], level) if kind == "if" else threshold([count], level + 0.25)
        nodes[f"w{index}"] = affine(seed + index, count, width)
        paths.append(f"{previous} -> w{index} -> {name}")
        if draw(st.sampled_from([True, True, False])):
            nodes[f"r{index}"] = affine(seed + 20 + index, count, count, most=20)
            paths.append(f"{name} -> r{index} -> {name}")
        if index and draw(st.booleans()):
            paths.append(f"p{index - 1} -> {name}")
        previous, width = name, count
    nodes["head"] = affine(seed + 40, 2, count)
    paths.append(f"{previous} -> head -> output")
    steps, samples = draw(st.sampled_from([1, 2, 3])), draw(st.integers(2, 4))
    inputs = random.integers(-8, 9, (steps, samples, shape))
    return graph([shape], nodes, paths, [2], type_check=False), inputs


def naive(network, inputs):
    """Spikes and sums [T, B, n] in the simplest way: one image, one step at a time."""
    images = [NaiveImage(network) for _ in range(inputs.shape[1])]
    steps = [[image.step(x) for image, x in zip(images, frame, strict=True)] for frame in inputs]
    return {name: np.array([[given[name] for given in step] for step in steps]) for name in steps[0][0]}


class NaiveImage:
    """One image in a network of `networks`: what its populations hold, and their last spikes."""

    def __init__(self, network):
        self.nodes = network.nodes
        self.readers = {name: [s for s, t in network.edges if t == name] for name in network.nodes}
        self.populations = [name for name in network.nodes if name.startswith("p")]
        self.last, self.held = dict.fromkeys(self.populations, 0), dict.fromkeys(self.populations, (0, 0))

    def step(self, x):
        """What populations and output give for an input [n]."""
        self.now = {"input": x}
        given = {name: self.fire(name) for name in self.populations}
        given["output"] = sum(self.total("output", None))
        self.last = {name: given[name] for name in self.populations}
        return given

    def total(self, name, hearing):
        """Sums of W x, and biases, that arrive at a node on the way to the population `hearing`."""
        parts = [self.value(source, hearing) for source in self.readers[name]]
        return sum(part[0] for part in parts), sum(part[1] for part in parts)

    def value(self, name, hearing):
        if name == hearing:
            return self.last[name] + np.zeros(len(self.threshold(name))), 0
        if name == "input" or name in self.populations:
            return (self.now[name] if name == "input" else self.fire(name)), 0
        node = self.nodes[name]
        return node.weight @ self.total(name, hearing)[0], node.bias

    def threshold(self, name):
        node = self.nodes[name]
        return np.floor(node.threshold if hasattr(node, "threshold") else node.v_threshold)

    def fire(self, name):
        if name not in self.now:
            node, (current, membrane) = self.nodes[name], self.held[name]
            rates = {"LIF": "tau", "CubaLIF": "tau_mem"}
            tau = getattr(node, rates.get(type(node).__name__, ""), np.inf if isinstance(node, nir.IF) else 1e-4)
            dv, du = (np.rint(4096 * 1e-4 / t) for t in (tau, getattr(node, "tau_syn", 1e-4)))
            sums, bias = self.total(name, name)
            current = np.trunc(current * (4096 - du) / 4096) + 64 * sums
            membrane = np.trunc(membrane * (4096 - dv) / 4096) + current + 64 * bias
            self.now[name] = (membrane > 64 * self.threshold(name)).astype(int)
            self.held[name] = current, np.where(self.now[name], 0, membrane)
        return self.now[name]


@random_examples(100)
@given(networks())
def test_random_networks(tmp_path_factory, example):
    network, inputs = example
    wanted = naive(network, inputs)
    found = hardware.interpret(network, inputs)
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)
    resting = at_rest(hardware.flatten(network))["output"].astype(np.int32)
    for sections in (1, 2):
        sectioned = run_sections(network, inputs, sections, tmp_path_factory.mktemp("records"))
        sectioned["output"] = sectioned["output"] + resting
        assert hardware.compare(found, sectioned).mismatches == 0
    assert hardware.compare(found, hardware.targets()["onnx"].run(network, inputs, threads=1)).mismatches == 0


@pytest.mark.long
@random_examples(20, short=2)
@given(example=networks())
def test_random_networks_in_lava(lava, example):
    network, inputs = example
    wanted = hardware.interpret(network, inputs)
    assert hardware.compare(wanted, hardware.lava.simulate(network, inputs, sections=0)).mismatches == 0


def recurrent_maps():
    """Maps, a cycle through a convolution and one through a Scale, populations read around them, and a delay."""
    nodes = {
        "conv": conv(whole_numbers(1, 2, 1, 3, 3), bias=[5, -3], padding=1, size=(4, 3)),
        "a": cubalif((2, 4, 3), 1200, 1365, 60),
        "a_back": conv(whole_numbers(2, 2, 2, 3, 1), bias=[2, 1], padding=(1, 0), size=(4, 3)),
        "mix": conv(whole_numbers(3, 2, 2, 1, 1), size=(4, 3)),
        "b": lif((2, 4, 3), 1024, whole_numbers(4, 2, 4, 3, low=0, high=25)),
        "b_back": nir.Scale(whole_numbers(5, 2, 4, 3, low=-40, high=41).astype(np.float32)),
        "flat": flatten_node((2, 4, 3)),
        "head": affine(6, 3, 24),
    }
    edges = [
        "input -> conv -> a -> mix -> b -> flat -> head -> output",
        "a -> a_back -> a",
        "b -> b_back -> b",
        "a -> b",
    ]
    return graph((1, 4, 3), nodes, edges, (3,), type_check=False)


@anyhow
@pytest.mark.parametrize("time_steps", [pytest.param(1, marks=pytest.mark.long), 3])
def test_images_in_a_stream_do_not_touch_each_other(lava, how, time_steps):
    inputs = whole_numbers(0, time_steps, 4, 1, 4, 3)
    stream = hardware.lava.simulate(recurrent_maps(), inputs, **how)
    assert hardware.compare(hardware.interpret(recurrent_maps(), inputs), stream).first_divergence is None
    for sample in range(4):
        alone = hardware.interpret(recurrent_maps(), inputs[:, sample : sample + 1])
        for name in ("a", "b"):
            np.testing.assert_array_equal(stream[name][:, sample], alone[name][:, 0])
    assert all(0 < stream[name].mean() < 1 for name in "ab")


def test_progress_is_told(lava):
    calls = []
    hardware.interpret(recurrent_maps(), whole_numbers(0, 5, 1, 1, 4, 3), progress=lambda *done: calls.append(done))
    assert calls == [(t, 5) for t in range(5)]


A, B, W = threshold([1]), threshold([1]), nir.Linear(np.ones((1, 1)))


@pytest.mark.parametrize(
    ("edges", "parts"),
    [
        (["input -> a -> output", "a -> b -> a"], ["cycle", "a -> b -> a", "2 populations"]),
        (["input -> a -> w -> b -> v -> a -> output"], ["cycle", "2 populations, ", "time step"]),
        (["input -> w -> v -> w", "v -> a -> output"], ["cycle", "without a population", "w", "v"]),
        (["input -> a -> output", "a -> w -> v -> w", "v -> a"], ["cycle", "without a population", "w", "v"]),
        (["input -> a -> output", "a -> a"], ["cycle", "a -> a", "without a synapse"]),
    ],
)
def test_cycles_that_mean_nothing(refuses, edges, parts):
    used = {name for path in edges for name in path.split(" -> ")}
    nodes = {name: node for name, node in {"a": A, "b": B, "w": W, "v": W}.items() if name in used}
    with refuses(GraphError, *parts):
        hardware.flatten(graph([1], nodes, edges, type_check=False))


def test_two_synapses_in_a_cycle_take_two_steps_on_a_chip(refuses):
    network = graph([1], {"a": A, "w": W, "v": W}, ["input -> a -> w -> v -> a -> output"], type_check=False)
    assert hardware.interpret(network, np.ones((2, 1, 1), int))["a"].all()
    with refuses(GraphError, "'w'", "'a'", "make them one"):
        hardware.schedule(hardware.flatten(network))


def test_in_onnx():
    inputs = whole_numbers(0, 5, 4, 1, 4, 3)
    found = hardware.targets()["onnx"].run(recurrent_maps(), inputs)
    assert hardware.compare(hardware.interpret(recurrent_maps(), inputs), found).first_divergence is None


def test_a_sum_on_the_way_back_beyond_the_limit():
    """Told by every target, in the interpreter's words."""
    back = nir.Linear(np.full((1, 1), 127.0 * 128, np.float32))
    nodes = {"a": threshold([1]), "w": nir.Linear(np.full((1, 1), 1024.0, np.float32)), "back": back}
    network = graph([1], nodes, ["input -> w -> a -> back -> a -> output"], type_check=False)
    inputs = np.full((3, 1, 1), 127)
    for run in (hardware.interpret, hardware.targets()["onnx"].run):
        with pytest.raises(hardware.RangeError, match="a: sum of inputs"):
            run(network, inputs)


def test_a_population_by_itself_hears_itself():
    from hardware.graph.populations import PopulationGraph
    from hardware.graph.subgraph import subgraph

    network, inputs = recurrent_maps(), whole_numbers(0, 5, 2, 1, 4, 3)
    values = {**hardware.interpret(network, inputs), "input": inputs}
    populations = PopulationGraph(network)
    for name in ("a", "b"):
        np.testing.assert_array_equal(populations.driven(name, values).run(), values[name])
        part = subgraph(populations, [name])
        np.testing.assert_array_equal(hardware.interpret(part.graph, part.inputs(values))[name], values[name])
