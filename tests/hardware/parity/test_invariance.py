import numpy as np
import pytest

from hardware import check_invariance
from hardware.errors import InputError

INPUTS = np.random.default_rng(0).integers(0, 4, (3, 4))  # [T, B]


def independent(samples):
    """Two populations, each a function of the sample alone."""
    first = (INPUTS[:, list(samples)] > 1).astype(np.int8)[..., None]
    return {"first": first, "second": first[:, :, ::-1] ^ 1}


def test_independent_samples():
    assert check_invariance(independent, 4) == ()


def test_a_leak_within_the_batch():
    def leaking(samples):
        trace = independent(samples)
        neighbour = np.roll(trace["first"], 1, axis=1)
        neighbour[:, 0] = 0
        return trace | {"second": trace["second"] | neighbour}

    leaks = check_invariance(leaking, 4)
    assert [leak.arrangement for leak in leaks] == ["in a batch", "after another sample"]
    assert {leak.divergence.population for leak in leaks} == {"second"}
    assert "second leaks: sample" in str(leaks[0])


def test_a_state_that_survives_a_call():
    state = {"last": np.zeros((3, 1, 1), np.int8)}

    def stateful(samples):
        trace = independent(samples)
        before = np.concatenate([state["last"], trace["first"][:, :-1]], axis=1)
        state["last"] = trace["first"][:, -1:]
        return trace | {"second": trace["second"] | before}

    leaks = check_invariance(stateful, 4)
    assert "streamed back to back" in {leak.arrangement for leak in leaks}
    assert {leak.divergence.population for leak in leaks} == {"second"}


def test_the_sample_that_is_wrong_is_named_in_the_order_of_the_inputs():
    def wrong_when_third(samples):
        trace = independent(samples)
        if len(samples) > 1 and samples[2] == 2:
            trace["first"][1, 2] ^= 1
        return trace

    (leak,) = check_invariance(wrong_when_third, 4)
    assert (leak.divergence.sample, leak.divergence.time_step, leak.mismatches) == (2, 1, 1)


@pytest.mark.parametrize("samples", [0, 1])
def test_too_few_samples(samples, refuses):
    with refuses(InputError, str(samples), "at least 2"):
        check_invariance(independent, samples)
