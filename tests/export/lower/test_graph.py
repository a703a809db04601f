"""The graph of a fixed model: standard nodes, named by module path, the same after a file."""

import nir
import numpy as np
import pytest
import torch

import export
import hardware
from export import ExportError, FixedModel
from export.network.fixed_layers import FixedConv, FixedLIF, Gate
from hardware import Encoding
from qkformer import Population, load_digits
from qkformer.models.logic import Mask

READ_BY_ALL = {nir.Input, nir.Output, nir.Conv2d, nir.LIF, nir.SumPool2d}


def parameters(node):
    """Everything that `nir.write` stores of a node."""
    return {key: np.asarray(value).tolist() for key, value in node.to_dict().items() if key != "metadata"}


def test_write_and_read_give_the_same_graph(tmp_path, digits_graph):
    export.write_graph(digits_graph, tmp_path / "model.nir")
    found = hardware.read_graph(tmp_path / "model.nir")  # with NIR's type check
    assert set(found.nodes) == set(digits_graph.nodes)
    assert sorted(found.edges) == sorted(digits_graph.edges)
    for name, node in digits_graph.nodes.items():
        assert type(found.nodes[name]) is type(node)
        assert parameters(found.nodes[name]) == parameters(node)
    assert hardware.encoding_of(found) == hardware.encoding_of(digits_graph)


def test_file_is_the_one_that_nir_writes(tmp_path, digits_graph):
    nir.write(tmp_path / "nir.nir", digits_graph)
    export.write_graph(digits_graph, tmp_path / "ours.nir")
    theirs, ours = (nir.read(tmp_path / name) for name in ("nir.nir", "ours.nir"))
    assert {name: parameters(node) for name, node in ours.nodes.items()} == {
        name: parameters(node) for name, node in theirs.nodes.items()
    }


def test_only_nodes_that_everyone_reads(digits_graph):
    assert {type(node) for node in digits_graph.nodes.values()} == READ_BY_ALL
    assert digits_graph.check_types()


def test_metadata_are_not_needed(digits_graph):
    bare = nir.NIRGraph(digits_graph.nodes, digits_graph.edges)
    inputs = np.random.default_rng(0).integers(0, 128, (2, 1, 1, 8, 8))
    assert hardware.compare(hardware.interpret(bare, inputs), hardware.interpret(digits_graph, inputs)).mismatches == 0


def test_names_are_module_paths_of_the_float_model(digits, digits_graph):
    modules = dict(digits.named_modules())
    convolutions = {name for name, module in modules.items() if isinstance(module, (torch.nn.Conv1d, torch.nn.Conv2d))}
    populations = {name for name, module in modules.items() if isinstance(module, Population)}
    assert convolutions | populations <= set(digits_graph.nodes)
    for name in convolutions:
        assert isinstance(digits_graph.nodes[name], nir.Conv2d)
    for name in populations:
        assert isinstance(digits_graph.nodes[name], nir.LIF)
    assert {"stage1.0.tssa.attn_lif", "stage2.0.cssa.mask", "patch_embed2.proj4_maxpool"} <= populations


def test_weights_are_whole_numbers(fixed_digits, digits_graph):
    for node in digits_graph.nodes.values():
        if isinstance(node, (nir.Conv2d, nir.Affine)):
            assert np.array_equal(node.weight, np.rint(node.weight))
            assert np.array_equal(node.bias, np.rint(node.bias))
    name = "stage1.0.mlp.mlp1_conv"
    np.testing.assert_array_equal(digits_graph.nodes[name].weight, fixed_digits.get_submodule(name).weight.numpy())


def test_threshold_lies_between_what_fires_and_what_does_not(fixed_digits, digits_graph):
    """A membrane is a multiple of 1/64, a gate's sum an integer, so > and >= agree; in units of tau / time step."""
    for name, node in digits_graph.nodes.items():
        if isinstance(node, nir.LIF):
            module = fixed_digits.get_submodule(name)
            gate = not isinstance(module, FixedLIF)
            threshold = isinstance(module, Mask) if gate else module.threshold  # a mask needs two spikes
            assert (node.r == 1).all()
            found = node.v_threshold * (node.tau.astype(np.float64) / 1e-4)
            assert (threshold < found).all()
            assert (found < threshold + (1 if gate else 1 / 64)).all()


def test_neurons_are_exact_for_others_too(digits_graph):
    """NIR's LIF by Euler's rule in float64, at NIR's own comparison, spikes as the integer neuron does."""
    node = digits_graph.nodes["patch_embed1.proj_lif"]
    currents = np.random.default_rng(0).integers(-9000, 9000, (4, 1, 1, 8, 8))
    inputs = np.broadcast_to(currents, (4, 1, *node.v_threshold.shape))
    graph = nir.NIRGraph.from_list(node)
    (found,) = (v for n, v in hardware.interpret(graph, inputs).items() if n == "lif")
    v, rate = np.zeros(node.v_threshold.shape), 1e-4 / node.tau.astype(np.float64)
    for t, current in enumerate(inputs[:, 0]):
        v = v + rate * (node.v_leak - v + node.r * current)
        clear = np.abs(v - node.v_threshold) > 0.1  # away from the threshold no rounding of the membrane matters
        spikes = v > node.v_threshold
        np.testing.assert_array_equal(found[t, 0][clear], spikes[clear])
        v = np.where(found[t, 0], node.v_reset, v)
    assert 0.05 < found.mean() < 0.95


@pytest.mark.parametrize(("decay", "kind"), [(0, nir.IF), (1365, nir.LIF), (4096, nir.LIF)])
def test_network_without_a_head_ends_in_its_last_population(decay, kind):
    fixed = FixedModel(Encoding("headless", (1, 3, 3), time_steps=2))
    fixed.add("conv", FixedConv(torch.ones(2, 1, 2, 2), torch.tensor([3, -3]), (1, 1), (0, 0)), "input")
    fixed.add("block.lif", FixedLIF(decay, 5, "block.lif"), "conv")
    graph = export.to_nir(fixed)
    assert isinstance(graph.nodes["block.lif"], kind)
    assert graph.edges == [("input", "conv"), ("conv", "block.lif"), ("block.lif", "output")]
    trace = hardware.interpret(graph, np.random.default_rng(0).integers(0, 3, (2, 4, 1, 3, 3)))
    np.testing.assert_array_equal(trace["block.lif"], trace["output"])
    assert trace["output"].any()


def test_module_without_a_lowering(refuses):
    class Strange(Gate):
        pass

    fixed = FixedModel(Encoding("strange", (1, 1, 1), time_steps=1))
    fixed.add("block.strange", Strange(0), "input")
    with refuses(ExportError, "block.strange", "Strange", "no lowering"):
        export.to_nir(fixed)


def test_spikes_of_real_images(fixed_digits, digits_graph):
    images = load_digits("test")[0][:3]
    reference = export.reference_trace(fixed_digits, images)
    trace = hardware.interpret(digits_graph, fixed_digits.encode(images))
    assert hardware.compare(reference, trace).first_divergence is None
    assert all(spikes.any() for spikes in reference.values())
