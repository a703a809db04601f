"""A worker's eye on Lava's processes when the machine is slow."""

import signal
import time
from types import SimpleNamespace

import pytest

from hardware.targets.lava import watch

SLOW = 0.02  # seconds to look at one process


class Ended:
    """A Lava process that has ended well; its outcome can be received once."""

    exitcode, _closed = 0, False

    def __init__(self):
        self._pconn = self
        self.outcomes = [None]

    def poll(self):
        time.sleep(SLOW)
        return bool(self.outcomes)

    def recv(self):
        outcome = self.outcomes.pop()
        time.sleep(SLOW)
        return outcome


@pytest.fixture
def worker(lava, monkeypatch):
    from hardware.targets.lava.compat import prepare_lava

    prepare_lava()
    from lava.magma.runtime.message_infrastructure.multiprocessing import SystemProcess

    monkeypatch.setattr(SystemProcess, "run", SystemProcess.run)  # `watch` replaces it
    monkeypatch.setattr(watch, "LOOK_EVERY", SLOW / 2)
    monkeypatch.setattr(watch.Worker, "__init__", lambda self: setattr(self, "_finished", set()))
    before = signal.getsignal(signal.SIGALRM)
    yield watch.Worker()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_look_that_takes_longer_than_the_time_between_two(worker, monkeypatch):
    """It is not interrupted by the next one, which would take the outcomes that it has just been told of."""
    actors = {f"process {number}": Ended() for number in range(5)}
    monkeypatch.setattr(watch, "_actors", lambda process: actors.items())
    failures = []
    monkeypatch.setattr(worker, "fail", lambda summary, details: failures.append(summary))
    worker.watch(SimpleNamespace(runtime=None))
    deadline = time.monotonic() + 5
    while worker._finished != set(actors.values()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert worker._finished == set(actors.values())
    assert failures == []
