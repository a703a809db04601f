import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qkformer.kernels.lif_reference import charge, spike
from qkformer.models.neuron import IF, LIF, PLIF, create_neuron


def one_step_at_a_time(currents: np.ndarray, charge, v_threshold: float) -> np.ndarray:
    """The slow, obvious reference: one element, one step, one float32 operation at a time."""
    spikes = np.zeros_like(currents)
    for element in np.ndindex(currents.shape[1:]):
        v = np.float32(0)
        for t in range(len(currents)):
            v = charge(v, currents[(t, *element)])
            if v >= np.float32(v_threshold):
                spikes[(t, *element)] = 1
                v = np.float32(0)
    return spikes


@given(
    st.integers(1, 9),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1.0, 1.5, 2.0, 4.0]),
    st.sampled_from([0.5, 1.0]),
)
def test_lif_equals_the_reference_on_every_spike(steps, seed, tau, v_threshold):
    currents = np.random.default_rng(seed).normal(0.7, 1.0, (steps, 2, 3)).astype(np.float32)
    expected = one_step_at_a_time(currents, lambda v, x: v + (x - v) * np.float32(1 / tau), v_threshold)
    spikes = LIF(tau, v_threshold)(torch.from_numpy(currents))
    np.testing.assert_array_equal(spikes.numpy(), expected)


@given(st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_if_adds_up(steps, seed):
    currents = np.random.default_rng(seed).normal(0.4, 0.5, (steps, 2, 3)).astype(np.float32)
    expected = one_step_at_a_time(currents, lambda v, x: v + x, 1.0)
    np.testing.assert_array_equal(IF()(torch.from_numpy(currents)).numpy(), expected)


def test_a_membrane_on_the_threshold_fires():
    currents = torch.tensor([[2.0], [1.0], [1.0], [1.5]]).unsqueeze(1)
    # v: 1 (fires), 0.5, 0.75, 1.125 (fires)
    assert LIF(2.0, 1.0)(currents).flatten().tolist() == [1, 0, 0, 1]


def test_nothing_is_remembered_between_calls():
    neuron, currents = LIF(), torch.full((2, 1, 4), 0.9)
    assert torch.equal(neuron(currents), neuron(currents))


def test_plif_starts_as_a_lif_and_learns_its_leak():
    neuron, currents = PLIF(tau=2.0), torch.randn(4, 2, 5, generator=torch.Generator().manual_seed(0)) * 2
    assert torch.equal(neuron(currents), LIF(2.0)(currents))
    neuron(currents).sum().backward()
    assert neuron.w.grad.abs() > 0
    with torch.no_grad():
        neuron.w.fill_(1.0)
    assert neuron.input_gain == pytest.approx(1 / (1 + np.exp(-1)))
    assert neuron.tau == pytest.approx(1 + np.exp(-1))


@pytest.mark.parametrize("kind", ["lif", "plif", "if"])
def test_decay_and_gain_are_what_charge_does(kind):
    neuron, x = create_neuron(kind, tau=3.0, v_threshold=1.0), torch.tensor([0.3, -1.2])
    v = torch.tensor([0.5, 0.25])
    charged = charge(v, x, None if kind == "if" else 1 / neuron.tau)
    torch.testing.assert_close(charged, v * neuron.decay + x * neuron.input_gain)


def test_the_surrogate_is_the_slope_of_a_sigmoid_of_four_x():
    x = torch.linspace(-2, 2, 41, dtype=torch.float64, requires_grad=True)
    spikes = spike(x)
    assert torch.equal(spikes.detach(), (x >= 0).double())
    (gradient,) = torch.autograd.grad(spikes.sum(), x)
    (expected,) = torch.autograd.grad(torch.sigmoid(4 * x).sum(), x)
    torch.testing.assert_close(gradient, expected)


def test_the_reset_is_not_differentiated():
    x = torch.tensor([[[2.2]], [[1.0]]], requires_grad=True)
    LIF()(x)[1].sum().backward()
    # The first step fires: after its reset the second knows nothing of it.
    assert x.grad[0] == 0
    assert x.grad[1] > 0


def test_batch_leak_runs_the_batch_through_time():
    currents = torch.full((2, 2, 1), 1.2)
    # Alone, each sample reaches 0.6 and 0.9: silence. Leaking: 0.6, 0.9, 1.05 (fires), 0.6.
    assert LIF()(currents).sum() == 0
    assert LIF(batch_leak=True)(currents).flatten().tolist() == [0, 0, 1, 0]
