"""Ctrl-C and SIGTERM wait for the end of a step, and then reach whoever was listening before."""

import signal

import pytest

from qkformer.training.stop_requests import stop_requests


class Terminated(BaseException):
    pass


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def number(request):
    """A signal, which raises Terminated as far as anyone outside knows."""

    def listener(number, frame):
        raise Terminated(number)

    before = signal.signal(request.param, listener)
    yield request.param
    signal.signal(request.param, before)


def test_a_step_is_finished_first(number):
    with stop_requests() as stop:
        assert not stop.came()
        signal.raise_signal(number)
        assert stop.came()
        with pytest.raises(Terminated, match=str(int(number))):
            stop.obey()


def test_a_second_one_stops_at_once(number):
    with stop_requests() as stop:
        signal.raise_signal(number)
        assert stop.came()
        with pytest.raises(Terminated):
            signal.raise_signal(number)


def test_asked_by_nobody_but_told_to_stop():
    """One of several processes, when another was asked."""
    with pytest.raises(KeyboardInterrupt), stop_requests() as stop:
        stop.obey()


def test_no_listener_is_left_behind(number):
    before = signal.getsignal(number)
    with stop_requests():
        assert signal.getsignal(number) is not before
    assert signal.getsignal(number) is before
