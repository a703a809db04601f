"""The ONNX target emits what the interpreter does, exactly, and raises what it raises."""

import nir
import numpy as np
import pytest
import torch
from amount import random_examples
from hypothesis import given
from published import lively_model, small_config
from random_graphs import random_graphs
from random_networks import examples
from small_graphs import branched, chain, conv, flatten_node, integrate_and_fire, lif, pool, threshold

import export
import hardware
from hardware import RangeError
from hardware.targets.onnx import TARGET
from qkformer import load_checkpoint
from qkformer.checkpoints.checkpoint import shipped_checkpoints


def outcome(run):
    try:
        return run(), None
    except RangeError as error:
        return None, str(error)


def same(network, inputs, **options):
    wanted, refused = outcome(lambda: hardware.interpret(network, inputs, **options))
    found, also_refused = outcome(lambda: TARGET.run(network, inputs, threads=1, **options))
    assert refused == also_refused
    if refused:
        return
    assert list(found) == list(wanted)
    assert {name: values.dtype for name, values in found.items()} == {n: v.dtype for n, v in wanted.items()}
    assert hardware.compare(wanted, found).first_divergence is None


@random_examples(100, short=20)
@given(random_graphs())
def test_random_graphs(example):
    same(*example)


@random_examples(60, short=15)
@given(random_graphs())
def test_inputs_wider_than_int8(example):
    network, inputs = example
    same(network, inputs.astype(np.int32) * 1000)


@random_examples(60, short=15)
@given(examples())
def test_random_networks(example):
    same(export.to_nir(example.fixed), example.inputs)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(("attention", "pooling"), [("self", "current"), ("channel", "spike")])
def test_small_published_parts(attention, pooling, fused):
    model = lively_model(small_config(attention=attention, pooling=pooling))
    images = torch.randn(3, 2, 6, 6, generator=torch.manual_seed(3))
    fixed = export.quantize(model, images)
    same(export.to_nir(fixed), fixed.encode(images), fused=fused)


@pytest.mark.parametrize("name", shipped_checkpoints())
def test_shipped_checkpoints(name):
    model, config = load_checkpoint(name)
    images = torch.rand(3, config.in_channels, config.image_size, config.image_size)
    fixed = export.quantize(model, images)
    same(export.to_nir(fixed), fixed.encode(images))


def integers(seed, *shape, low=-20, high=21):
    return np.random.default_rng(seed).integers(low, high, shape)


def test_residual_sums_and_several_outputs():
    same(branched(), integers(0, 5, 2, 1, 2, 2))


@pytest.mark.parametrize("largest", [1, 126, 127, 128, 129, 255, 256])
def test_sums_of_spikes_at_the_edge_of_what_int8_kernels_hold(largest):
    """Two products of 127 x 128 fit into the 16 bits of processors without VNNI; a saturated pair would show."""
    layers = (
        threshold((16, 2, largest)),
        pool(nir.SumPool2d, (1, largest), (1, 1)),
        conv(np.resize([127, 127, -127, -126], (1, 16, 1, 1)), size=(2, 1)),
        integrate_and_fire((1, 2, 1), threshold=4 * largest - 1),
    )
    network = chain((16, 2, largest), *layers, output_shape=(1, 2, 1), type_check=False)
    same(network, np.ones((2, 2, 16, 2, largest), np.int8))


@pytest.mark.parametrize("exponent", [1, 7])
def test_weights_with_a_shared_exponent(exponent):
    weight = integers(1, 3, 2, 3, 3, low=-128, high=128) * 2**exponent
    layers = threshold((2, 5, 5), 3), conv(weight, padding=1, size=(5, 5)), lif((3, 5, 5), threshold=900)
    same(chain((2, 5, 5), *layers, output_shape=(3, 5, 5)), integers(2, 6, 2, 2, 5, 5))


def test_depthwise_and_dilated_convolution():
    weight = integers(3, 4, 1, 3, 3)
    layers = (
        threshold((4, 7, 7)),
        conv(weight, groups=4, dilation=2, padding=2, stride=2, size=(7, 7)),
        integrate_and_fire((4, 4, 4), threshold=11),
    )
    same(chain((4, 7, 7), *layers, output_shape=(4, 4, 4), type_check=False), integers(4, 9, 3, 4, 7, 7))


def test_channels_that_only_move():
    """A convolution that puts channels into a larger map, and a dense layer of the same matrix."""
    moved = np.eye(5, 2, -2)
    map_ = chain((2, 2, 2), threshold((2, 2, 2)), conv(moved[:, :, None, None], bias=[3] * 5, size=(2, 2)),
                 integrate_and_fire((5, 2, 2), 7), output_shape=(5, 2, 2))  # fmt: skip
    same(map_, integers(5, 4, 2, 2, 2, 2))
    row = chain((2,), threshold((2,)), nir.Linear(moved.astype(np.float32)), output_shape=(5,))
    same(row, integers(5, 4, 2, 2))


@pytest.mark.parametrize("threshold", [0, 3])
def test_small_membranes(threshold):
    same(chain((300,), lif((300,), threshold=threshold)), integers(6, 60, 3, 300, low=-5, high=6))


def test_halves_are_rounded_toward_zero_at_every_magnitude():
    """Of a membrane -(n + 63/64) half of an odd number of 64ths is left; what is rounded away decides a spike."""
    n = np.arange(1, 1 << 17, 2)
    inputs = np.zeros((8, 1, len(n)), np.int64)
    inputs[0], inputs[6], inputs[7] = -63, -n, (n + 1) // 2
    network = chain((len(n),), lif((len(n),), threshold=0))
    assert hardware.interpret(network, inputs)["node0"][7].all()
    same(network, inputs)


@pytest.mark.parametrize("decay", [1, 1365, 4096])
def test_other_decays(decay):
    same(chain((50,), lif((50,), decay=decay, threshold=300)), integers(8, 20, 2, 50, low=-50, high=400))


def test_neurons_that_differ_within_a_population():
    neuron = lif((2, 3, 3), threshold=5)
    neuron.v_threshold = neuron.v_threshold + integers(9, 2, 3, 3, low=0, high=9)
    neuron.tau[0], neuron.r[0] = 4e-4, 4
    same(chain((2, 3, 3), neuron), integers(10, 9, 2, 2, 3, 3))


@pytest.mark.parametrize(("kernel", "stride"), [((2, 2), 2), ((8, 8), 1), ((8, 16), 1), ((4, 8), 2)])
def test_averages(kernel, stride):
    """Down to 1/64 they are exact; 1/128 only arrives where a sum happens to be even, else both say so."""
    height, width = ((n - k) // stride + 1 for n, k in zip((16, 16), kernel, strict=True))
    layers = pool(nir.AvgPool2d, kernel, (stride, stride)), lif((1, height, width), threshold=1)
    network = chain((1, 16, 16), *layers, output_shape=(1, height, width))
    same(network, integers(11, 5, 2, 1, 16, 16))
    same(network, 2 * integers(11, 5, 2, 1, 16, 16))


def test_average_over_nine():
    network = chain((1, 3, 3), pool(nir.AvgPool2d, (3, 3), (1, 1)), threshold((1, 1, 1)), output_shape=(1, 1, 1))
    inputs = np.zeros((1, 1, 1, 3, 3), np.int8)
    same(network, inputs + 9)
    inputs[..., 0, 0] = 1
    same(network, inputs)


def test_shapes_of_any_rank():
    layers = threshold((2, 3)), nir.Scale(integers(12, 2, 3).astype(np.float32)), lif((2, 3), threshold=2)
    same(chain((2, 3), *layers), integers(13, 4, 2, 2, 3))
    same(
        chain((2, 3, 2), threshold((2, 3, 2)), flatten_node((2, 3, 2)), output_shape=(12,)), integers(14, 4, 2, 2, 3, 2)
    )


def test_bias_that_padding_interrupts():
    """A bias before a padded convolution reaches the border less often than the middle."""
    first = conv([[[[1]]]], bias=[5], size=(4, 4))
    second = conv(np.ones((1, 1, 3, 3)), padding=1, size=(4, 4))
    same(chain((1, 4, 4), first, second, lif((1, 4, 4), threshold=40)), integers(15, 4, 1, 1, 4, 4))


@pytest.mark.parametrize(
    ("network", "inputs"),
    [
        (chain([1], integrate_and_fire([1], 131071)), np.array([-131071, -2]).reshape(2, 1, 1)),
        (chain([1], integrate_and_fire([1], 131071)), np.array([-131071, 0]).reshape(2, 1, 1)),
        (chain([1], lif([1], decay=2048, threshold=131071)), np.array([-131071, -65536]).reshape(2, 1, 1)),
        (chain([1, 1, 1], conv([[[[64]]]], size=(1, 1)), threshold([1, 1, 1])), np.full((1, 1, 1, 1, 1), 2047)),
        (chain([1, 1, 1], conv([[[[64]]]], size=(1, 1)), threshold([1, 1, 1])), np.full((1, 1, 1, 1, 1), 2048)),
        (
            chain(
                [9, 1, 1],
                threshold([9, 1, 1]),
                conv(np.full((1, 9, 1, 1), 127 << 7), size=(1, 1)),
                threshold([1, 1, 1]),
                output_shape=[1, 1, 1],
            ),
            np.ones((1, 1, 9, 1, 1), np.int8),
        ),
        (chain([1, 1, 1], conv([[[[64]]]], size=(1, 1))), np.full((1, 1, 1, 1, 1), 131071)),
        (chain([1, 1, 1], conv([[[[64]]]], size=(1, 1))), np.full((1, 1, 1, 1, 1), 131072)),
        (
            chain([1, 2, 1], pool(nir.AvgPool2d, (2, 1), (1, 1)), output_shape=[1, 1, 1]),
            np.array([1, 0]).reshape(1, 1, 1, 2, 1),
        ),
    ],
)
def test_at_the_limits_of_the_chip(network, inputs):
    same(network, inputs)
