"""Synapses that meet share a scale; pools keep their share in it; decays that 12 bits do not hold are told."""

from itertools import pairwise

import nir
import numpy as np
import pytest
import torch

import export
import hardware
from hardware.errors import InputError
from qkformer import record_spikes

RNG = np.random.default_rng(0)


def lif(shape, tau=4e-4, threshold=1.0, **others):
    values = {"tau": tau, "r": np.divide(tau, 1e-4), "v_leak": 0.0, "v_threshold": threshold, "v_reset": 0.0} | others
    return nir.LIF(**{name: np.broadcast_to(np.float64(value), shape) for name, value in values.items()})


def graph_of(nodes, edges, shape, outputs):
    ends = {"input": nir.Input({"input": np.array(shape)}), "output": nir.Output({"output": np.array(outputs)})}
    return nir.NIRGraph(ends | nodes, edges)


def spikes_of(network, inputs):
    with record_spikes(network) as trace:
        network(inputs)
    return trace


def assert_one_network(fixed, inputs):
    """In PyTorch and as a graph."""
    expected, found = spikes_of(fixed, inputs), hardware.interpret(export.to_nir(fixed), fixed.encode(inputs))
    assert list(found) == list(expected)
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name])


def random_spikes(*shape):
    return (RNG.random((10, 4, *shape)) < 0.4).astype(float)


def test_a_skip_goes_through_a_synapse_of_its_own():
    nodes = {
        "a": nir.Linear(RNG.normal(size=(3, 3))),
        "s": lif(3),
        "b": nir.Linear(RNG.normal(size=(3, 3)) * 9),
        "t": lif(3),
    }
    edges = [("input", "a"), ("a", "s"), ("s", "b"), ("b", "t"), ("s", "t"), ("t", "output")]
    inputs = random_spikes(3)
    fixed = export.quantize(export.from_nir(graph_of(nodes, edges, [3], [3])), inputs)
    assert "t_from_s" in export.to_nir(fixed).nodes
    (one,) = {int(w) for w in fixed.get_submodule("t_from_s").weight[0, :1]}
    last = next(layer for layer in fixed.certificate if layer.population == "t")
    assert one == round(1 / last.scale)  # worth 1, as a spike is
    assert_one_network(fixed, inputs)


def test_small_weights_beside_large_ones_keep_their_levels():
    weight = RNG.normal(size=(3, 3))
    nodes = {"a": nir.Linear(weight), "b": nir.Linear(weight * 50), "t": lif(3, threshold=100.0)}
    edges = [("input", "a"), ("input", "b"), ("a", "t"), ("b", "t"), ("t", "output")]
    fixed = export.quantize(export.from_nir(graph_of(nodes, edges, [3], [3])), random_spikes(3))
    assert fixed.get_submodule("a").weight.abs().max() >= 64
    large = fixed.get_submodule("b").weight
    assert large.abs().max() > 127
    assert (large % (1 << hardware.chip.arithmetic.weight_exponent(large.numpy(), fixed.chip)) == 0).all()


@pytest.mark.parametrize("where", ["before", "after"])
def test_an_average_is_a_sum_and_a_scale(where):
    """In float and integers alike, of weights that are exact in both."""
    conv = nir.Conv2d(
        (4, 4) if where == "after" else (2, 2), np.array([127, 60]).reshape(2, 1, 1, 1) / 127, 1, 0, 1, 1, np.zeros(2)
    )
    pool = nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    nodes = {"c": conv, "p": pool, "t": lif((2, 2, 2), tau=2e-4, threshold=0.2)}
    path = ["input", *(["c", "p"] if where == "after" else ["p", "c"]), "t", "output"]
    inputs = random_spikes(1, 4, 4)
    network = export.from_nir(graph_of(nodes, list(pairwise(path)), [1, 4, 4], [2, 2, 2]))
    fixed = export.quantize(network, inputs)
    assert_one_network(fixed, inputs)
    expected = spikes_of(network, inputs)["t"]
    assert (spikes_of(fixed, inputs)["t"] != expected).mean() < 0.02
    assert expected.any()


def test_two_shares_of_one_synapse_are_refused():
    pool = nir.AvgPool2d(np.array([1, 2]), np.array([1, 1]), np.array([0, 0]))
    other = nir.SumPool2d(np.array([1, 2]), np.array([1, 1]), np.array([0, 0]))
    conv = nir.Conv2d((2, 3), np.ones((1, 1, 1, 1)), 1, 0, 1, 1, np.zeros(1))
    nodes = {"c": conv, "p": pool, "q": other, "t": lif((1, 2, 2))}
    edges = [("input", "c"), ("c", "p"), ("c", "q"), ("p", "t"), ("q", "t"), ("t", "output")]
    with pytest.raises(export.ExportError, match="its currents are averaged over windows"):
        export.quantize(export.from_nir(graph_of(nodes, edges, [1, 2, 3], [1, 2, 2])), random_spikes(1, 2, 3))


def test_a_decay_that_is_rounded_is_told():
    nodes = {
        "a": nir.Linear(RNG.normal(size=(3, 3))),
        "exact": lif(3),
        "b": nir.Linear(np.eye(3)),
        "rounded": lif(3, tau=3e-4),
    }
    path = ["input", "a", "exact", "b", "rounded", "output"]
    fixed = export.quantize(export.from_nir(graph_of(nodes, list(pairwise(path)), [3], [3])), random_spikes(3))
    assert fixed.rounded_decays == {"rounded": "decay 0.333333 is held as 1365/4096"}


def test_neurons_may_differ():
    nodes = {
        "a": nir.Linear(RNG.normal(size=(3, 3))),
        "t": lif(3, tau=np.array([2e-4, 4e-4, 8e-4]), threshold=np.array([0.5, 1, 2])),
    }
    inputs = random_spikes(3)
    fixed = export.quantize(
        export.from_nir(graph_of(nodes, [("input", "a"), ("a", "t"), ("t", "output")], [3], [3])), inputs
    )
    assert fixed.get_submodule("t").decay.tolist() == [2048, 1024, 512]
    assert_one_network(fixed, inputs)


def test_a_drive_is_a_bias():
    nodes = {"a": nir.Linear(np.zeros((3, 3))), "t": lif(3, tau=4e-4, v_leak=2.0)}
    inputs = np.zeros((10, 1, 3))
    inputs[0] = 1
    network = export.from_nir(graph_of(nodes, [("input", "a"), ("a", "t"), ("t", "output")], [3], [3]))
    fixed = export.quantize(network, inputs)
    np.testing.assert_array_equal(spikes_of(fixed, inputs)["t"], spikes_of(network, inputs)["t"])
    assert spikes_of(fixed, inputs)["t"].sum() > 3
    assert_one_network(fixed, inputs)


def test_currents_at_the_output_are_read():
    nodes = {
        "a": nir.Linear(RNG.normal(size=(3, 3))),
        "s": lif(3),
        "b": nir.Affine(RNG.normal(size=(2, 3)), np.ones(2)),
    }
    path = ["input", "a", "s", "b", "output"]
    inputs = random_spikes(3)
    network = export.from_nir(graph_of(nodes, list(pairwise(path)), [3], [2]))
    fixed = export.quantize(network, inputs)
    assert_one_network(fixed, inputs)
    torch.testing.assert_close(fixed(inputs), network(inputs), atol=0.5, rtol=0.05)


def test_inputs_of_another_kind_are_refused():
    nodes = {"a": nir.Linear(np.eye(3)), "t": lif(3)}
    fixed = export.quantize(
        export.from_nir(graph_of(nodes, [("input", "a"), ("a", "t"), ("t", "output")], [3], [3])), random_spikes(3)
    )
    with pytest.raises(InputError, match="takes spikes, 0 or 1, as its calibration has; an input is 2"):
        fixed(np.full((1, 1, 3), 2.0))


def read_graph(membrane):
    """A bias of the current would be one of the membrane, on a chip: in the end the same, and not at first."""
    bias = RNG.normal(size=3) * 0.1 * (not isinstance(membrane, nir.CubaLI))
    nodes = {"b": nir.Affine(RNG.normal(size=(3, 4)), bias), "read": membrane}
    return graph_of(nodes, [("input", "b"), ("b", "read"), ("read", "output")], [4], [3])


OWN = 1e-4 * np.array([1.5, 3.0, 7.0])
MEMBRANES = {
    "I": nir.I(np.full(3, 0.5e4)),
    "LI": nir.LI(tau=np.full(3, 4e-4), r=np.ones(3), v_leak=np.zeros(3)),
    "LI of its own": nir.LI(tau=OWN, r=np.array([1.0, 2.0, 0.5]), v_leak=np.zeros(3)),
    "CubaLI": nir.CubaLI(
        tau_syn=2 * OWN, tau_mem=OWN[::-1], r=np.ones(3), v_leak=np.zeros(3), w_in=np.array([1, 3, 2.0])
    ),
}


@pytest.mark.parametrize("kind", MEMBRANES)
def test_membranes_that_are_read(kind):
    """Their integers say what the floats do, each class at the same scale; and no trace has a population of them."""
    network, inputs = export.from_nir(read_graph(MEMBRANES[kind])), random_spikes(4)
    fixed = export.quantize(network, inputs)
    assert [*spikes_of(fixed, inputs)] == ["output"]
    assert not spikes_of(network, inputs)
    assert_one_network(fixed, inputs)
    wanted = network.run(inputs)
    found = fixed.run(fixed.encode(inputs)) * fixed.encoding.logit_scale
    assert (wanted - found).abs().max() < 0.03 * wanted.abs().max()
    torch.testing.assert_close(fixed(inputs), network(inputs), atol=0.03 * network(inputs).abs().max().item(), rtol=0)
    (last,) = (layer for layer in fixed.certificate if layer.population == "read")
    assert last.threshold is None
    assert last.certified
    assert last.membrane_bound >= fixed.run(fixed.encode(inputs)).abs().max() / 64


def test_a_membrane_of_spikes_is_read():
    """A synapse of weight 1 comes before it."""
    nodes = {"a": nir.Linear(RNG.normal(size=(3, 3))), "s": lif(3, threshold=0.3), "read": MEMBRANES["LI of its own"]}
    path = ["input", "a", "s", "read", "output"]
    inputs = random_spikes(3)
    network = export.from_nir(graph_of(nodes, list(pairwise(path)), [3], [3]))
    fixed = export.quantize(network, inputs)
    assert "read_from_s" in export.to_nir(fixed).nodes
    assert_one_network(fixed, inputs)
    torch.testing.assert_close(fixed(inputs), network(inputs), atol=0.1, rtol=0.05)


def test_where_a_membrane_cannot_be_read():
    inputs = random_spikes(4)
    resting = nir.LI(tau=OWN, r=np.ones(3), v_leak=np.array([0, 0.25, 0]))
    with pytest.raises(export.ExportError, match=r"^read: v_leak is 0.25; a membrane that is read rests at 0"):
        export.quantize(export.from_nir(read_graph(resting)), inputs)
    behind = read_graph(MEMBRANES["LI"])
    behind.nodes["c"] = nir.Linear(np.eye(3))
    behind.edges[-1:] = [("read", "c"), ("c", "output")]
    with pytest.raises(export.ExportError, match=r"^c reads the membrane of read, which the output can alone"):
        export.quantize(export.from_nir(behind), inputs)
    twice = read_graph(MEMBRANES["LI"])
    twice.edges.append(("b", "output"))
    with pytest.raises(export.ExportError, match=r"^read: its membrane is read, and needs a synapse of its own"):
        export.quantize(export.from_nir(twice), inputs)
    maps = nir.Conv2d((1, 3), np.ones((1, 1, 1, 1)), 1, 0, 1, 1, np.zeros(1))
    nodes = {"c": maps, "read": nir.LI(tau=OWN.reshape(1, 1, 3), r=np.ones((1, 1, 3)), v_leak=np.zeros((1, 1, 3)))}
    edges = [("input", "c"), ("c", "read"), ("read", "output")]
    with pytest.raises(export.ExportError, match=r"^read: its gains differ within a channel of c"):
        export.quantize(export.from_nir(graph_of(nodes, edges, [1, 1, 3], [1, 1, 3])), random_spikes(1, 1, 3))


def test_sums_that_are_no_integers_are_no_population():
    """`verify` records what emits integers: of a float head, the fixed network's alone."""
    nodes = {"a": nir.Linear(RNG.normal(size=(3, 3))), "s": lif(3), "b": nir.Linear(RNG.normal(size=(2, 3)))}
    inputs = random_spikes(3)
    network = export.from_nir(graph_of(nodes, list(pairwise(["input", "a", "s", "b", "output"])), [3], [2]))
    assert [*spikes_of(network, inputs)] == ["s"]
    assert [*spikes_of(export.quantize(network, inputs), inputs)] == ["s", "output"]


def cuba(shape, tau_syn=2e-4, **others):
    values = {"tau_syn": tau_syn, "tau_mem": 4e-4, "r": 4.0, "w_in": 2.0, "v_leak": 0.0, "v_threshold": 2.0}
    values |= {"v_reset": 0.0} | others
    return nir.CubaLIF(**{name: np.broadcast_to(np.float64(value), shape) for name, value in values.items()})


def test_a_bias_enters_a_filtered_current_through_a_pool():
    """On a chip it drives the membrane, as much as the current would in the end; padded windows see less of it."""
    conv = nir.Conv2d((4, 4), RNG.normal(size=(2, 1, 3, 3)), 1, 1, 1, 1, np.array([0.3, -0.2]))
    pool = nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([1, 1]))
    nodes = {"a": conv, "p": pool, "s": cuba((2, 3, 3)), "t": cuba((2, 3, 3), tau_syn=2e-4)}
    edges = [("input", "a"), ("a", "p"), ("p", "s"), ("s", "output"), ("p", "t"), ("t", "output")]
    network, inputs = export.from_nir(graph_of(nodes, edges, [1, 4, 4], [2, 3, 3])), random_spikes(1, 4, 4)
    fixed = export.quantize(network, inputs)
    assert_one_network(fixed, inputs)
    scale = fixed.certificate.layers[0].scale
    bias = fixed.get_submodule("s").bias.double() * scale
    wanted = torch.tensor([0.3, -0.2]).double() / 0.5
    torch.testing.assert_close(bias[:, 1, 1], wanted, rtol=0.05, atol=0)
    torch.testing.assert_close(bias[:, 0, 0], wanted / 4, rtol=0.05, atol=0)


def test_biases_that_mean_two_things():
    """One synapse has one bias: it cannot be another for each of its readers."""
    weights, inputs = nir.Affine(RNG.normal(size=(3, 3)), np.ones(3)), random_spikes(3)
    edges = [("input", "a"), ("a", "s"), ("s", "output"), ("a", "t"), ("t", "output")]
    for other in (lif(3), cuba(3, tau_syn=3e-4)):
        graph = graph_of({"a": weights, "s": cuba(3), "t": other}, edges, [3], [3])
        with pytest.raises(export.ExportError, match=r"^a: its bias enters currents that decay differently"):
            export.quantize(export.from_nir(graph), inputs)
    graph = graph_of({"a": weights, "s": lif(3, v_leak=0.3), "t": lif(3)}, edges, [3], [3])
    with pytest.raises(export.ExportError, match=r"^s: v_leak is not v_reset, and it has no synapse of its own"):
        export.quantize(export.from_nir(graph), inputs)
