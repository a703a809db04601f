"""Our models of Lava's processes against Lava's own, without the network around them."""

import numpy as np
import pytest
from amount import random_examples
from hypothesis import given
from hypothesis import strategies as st


class Port:
    """Stands in for a port: gives what is to be received, keeps what is sent."""

    def __init__(self, *data):
        self.data = list(data)

    def recv(self):
        return self.data.pop(0)

    def send(self, data):
        self.data.append(np.array(data))


@pytest.fixture(scope="module")
def conv_models(lava):
    """MatrixConv and Lava's own model of Conv."""
    from hardware.targets.lava.compat import prepare_lava

    prepare_lava()
    from lava.proc.conv.models import PyConvModelFixed

    from hardware.targets.lava.models import MatrixConv

    return MatrixConv, PyConvModelFixed


def run(model_class, weight, frames, stride, padding, dilation, groups, message_bits):
    """What the model sends in one time step more than there are frames, [height, width, channels] each."""
    size = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(frames.shape[1:3], padding, dilation, weight.shape[1:3], stride, strict=True)
    ]
    model = model_class(proc_params={})
    model.weight, model.kernel_size = weight, np.array(weight.shape[1:3])
    model.stride, model.padding, model.dilation = map(np.array, (stride, padding, dilation))
    model.groups, model.num_message_bits = np.array([groups]), np.array([message_bits])
    model.a_buf = np.zeros((*size, len(weight)), np.int32)
    model.s_in, model.a_out = Port(*frames, frames[0]), Port()
    for _ in range(len(frames) + 1):
        model.run_spk()
    return np.stack(model.a_out.data)


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@random_examples(100)
@given(
    seed=st.integers(0, 1000),
    kernel=pairs,
    stride=pairs,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.integers(1, 3),
    channels=pairs,
    message_bits=st.sampled_from([0, 24]),
)
def test_matrix_conv(conv_models, seed, kernel, stride, padding, dilation, groups, channels, message_bits):
    random = np.random.default_rng(seed)
    inputs, outputs = groups * channels[0], groups * channels[1]
    weight = random.integers(-128, 128, (outputs, *kernel, channels[0])).astype(np.int32)
    limit = 2 if message_bits == 0 else 2**20  # sums of large messages pass the 24 bits of a current
    frames = random.integers(-limit + 1 if message_bits else 0, limit, (2, 6, 7, inputs)).astype(np.int32)
    fast, stock = (run(model, weight, frames, stride, padding, dilation, groups, message_bits) for model in conv_models)
    np.testing.assert_array_equal(fast, stock)
    assert not stock[0].any()  # a synapse sends last step's sums
    assert stock[1:].any() or not weight.any()
