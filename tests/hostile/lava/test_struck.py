"""A process of a run is killed, ended or stopped, wherever the run is: one line soon after, and nothing is left."""

import os
import signal
import time

import pytest

WORDS = {signal.SIGKILL: "killed by SIGKILL", signal.SIGTERM: "killed by SIGTERM", signal.SIGSTOP: "stopped"}
USUAL = {("first", "running", signal.SIGSTOP, 0)}
STRIKES = [
    *((which, stage, number, sections) for which in ("worker", "first", "last") for stage in ("channels", "running")
      for number in WORDS for sections in (0, 2)),
    *(("worker", "started", number, 0) for number in WORDS),
]  # fmt: skip


@pytest.mark.parametrize(
    ("which", "stage", "number", "sections"),
    [pytest.param(*strike, marks=pytest.mark.long if strike in USUAL else pytest.mark.faults) for strike in STRIKES],
)
def test_struck(which, stage, number, sections, run):
    started = run(sections)
    started.wait_for(stage)
    os.kill(started.victim(which).pid, number)
    status, lines = started.outcome(since=time.monotonic())
    assert status == 2
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert WORDS[number] in lines[0]


@pytest.mark.long
@pytest.mark.parametrize("sections", [0, 2])
def test_a_short_stop_does_no_harm(sections, run):
    """The limit is for what does not go on."""
    started = run(sections, images=200)
    started.wait_for("running")
    if victims := started.worker() and started.children():
        os.kill(victims[0].pid, signal.SIGSTOP)
        time.sleep(1)
        os.kill(victims[0].pid, signal.SIGCONT)
    assert started.outcome() == (0, ["equal"])


@pytest.mark.parametrize("sections", [pytest.param(0, marks=pytest.mark.long), pytest.param(2, marks=pytest.mark.long)])
@pytest.mark.parametrize("stage", ["started", "channels", "running"])
def test_the_caller_is_killed(sections, stage, run):
    """Its temporary folder is all that stays."""
    started = run(sections)
    started.wait_for(stage)
    started.caller.kill()
    started.caller.wait()
