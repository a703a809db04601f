"""Faults wherever a simulation can have them, in a small network that would otherwise run for days."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from hardware.targets.lava.supervise import LavaError, run_supervised

pytest.importorskip("lava.proc", reason='Lava is not installed: uv pip install -e ".[lava]"')

LIMIT = 10.0  # seconds from a fault to its report, with nothing left behind

WORKER = """
import os, signal, sys
from hardware.targets.lava.compat import prepare_lava
from hardware.targets.lava.watch import run_as_worker

prepare_lava()
import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.io.source import RingBuffer


class Probe(AbstractProcess):
    def __init__(self):
        super().__init__(name="probe")
        self.a_in = InPort(shape=(3,))


class WithTwoArguments(Exception):
    def __init__(self, one, two):
        super().__init__(one)


@implements(proc=Probe, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ProbeModel(PyLoihiProcessModel):
    a_in = LavaPyType(PyInPort.VEC_DENSE, int)

    def run_spk(self):
        self.a_in.recv()
        if self.time_step == 5:
            {at_step_5}


def job(worker):
    worker.send({{"folder": os.path.basename(os.environ["TMPDIR"])}})
    {at_first}
    source, probe = RingBuffer(data=np.ones((3, 4), dtype=int)), Probe()
    source.s_out.connect(probe.a_in)
    worker.watch(probe)
    probe.create_runtime(run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    lava = probe.runtime._messaging_infrastructure
    segments = [segment.name for segment in lava.smm._shared_memory_handles]
    worker.send({{"worker": os.getpid(), "lava": [actor.pid for actor in lava.actors], "segments": segments}})
    probe.run(condition=RunSteps(num_steps={steps}))
    worker.send({{"ran": {steps}}})
    {at_last}


if __name__ == "__main__":  # Lava also imports every file beside a process, in search of models
    run_as_worker(job)
"""

CALLER = """
import json, sys
from hardware.targets.lava.supervise import run_supervised

run_supervised(sys.argv[1:], on_message=lambda message: print(json.dumps(message), flush=True))
"""


class Simulation:
    """Runs the network with a fault in it, keeps the worker's messages, and finds what remains of the worker."""

    def __init__(self, folder):
        self.script = folder / "worker.py"
        self.messages = {}
        self.fault = 0.0

    def command(self, at_first="pass", at_step_5="pass", at_last="probe.stop()", steps=10**9):
        text = WORKER.format(at_first=at_first, at_step_5=at_step_5, at_last=at_last, steps=steps)
        self.script.write_text(text)
        return [sys.executable, str(self.script)]

    def run(self, when_running=lambda messages: None, **faults):
        def on_message(message):
            self.messages |= message
            self.fault = time.monotonic()
            if "lava" in message:
                when_running(self.messages)

        run_supervised(self.command(**faults), on_message=on_message)

    def processes(self):
        """All of the worker's processes; the environment tells, whoever has adopted them by now."""
        marked = [process for process in psutil.process_iter() if self.messages["folder"] in _temporary(process)]
        return [process for process in marked if process.status() != psutil.STATUS_ZOMBIE]

    def segments(self):
        return list(Path("/dev/shm").glob(f"{self.messages['folder']}-*"))

    def folder(self):
        return Path(tempfile.gettempdir(), self.messages["folder"])


def _temporary(process):
    try:
        return process.environ().get("TMPDIR", "")
    except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


@pytest.fixture
def simulation(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[4]))
    simulation = Simulation(tmp_path)
    yield simulation
    assert time.monotonic() - simulation.fault < LIMIT
    assert simulation.processes() == []
    assert simulation.segments() == []
    assert not simulation.folder().exists()


@pytest.mark.long
def test_messages_arrive_and_nothing_stays(simulation, tmp_path):
    seen = tmp_path / "seen"  # Lava waits for it at step 5: without it, all may be over before anyone has looked
    present = {}

    def look_around(messages):
        present["segments"] = {segment.name for segment in simulation.segments()}
        present["processes"] = {process.pid for process in simulation.processes()}
        seen.touch()

    wait = f"print('this is no message')\n            while not os.path.exists({str(seen)!r}): pass"
    simulation.run(look_around, at_step_5=wait, steps=20)
    assert simulation.messages["ran"] == 20
    assert present["segments"] == set(simulation.messages["segments"]) != set()
    assert present["processes"] > {simulation.messages["worker"], *simulation.messages["lava"]}


@pytest.mark.long
def test_worker_that_does_not_stop_lava_ends(simulation):
    simulation.run(at_last="pass", steps=20)
    assert simulation.messages["ran"] == 20


def test_exception_in_a_lava_process(simulation):
    with pytest.raises(LavaError) as caught:
        simulation.run(at_step_5="1 / 0")
    assert caught.value.summary == "Lava process 'probe' raised ZeroDivisionError: division by zero"
    assert "in run_spk" in caught.value.details
    assert str(caught.value).startswith(caught.value.summary)
    assert str(caught.value).endswith(caught.value.details.strip())


@pytest.mark.long
def test_exception_that_cannot_be_unpickled(simulation):
    with pytest.raises(LavaError, match=r"^Lava process 'probe' raised .*WithTwoArguments: 1\n") as caught:
        simulation.run(at_step_5="raise WithTwoArguments(1, 2)")
    assert "in run_spk" in caught.value.details


def test_lava_process_is_killed(simulation):
    with pytest.raises(LavaError, match=r"^Lava process 'probe' was killed by SIGKILL"):
        simulation.run(at_step_5="os.kill(os.getpid(), signal.SIGKILL)")


# Source, probe, and the one that keeps time.
@pytest.mark.long
@pytest.mark.parametrize("which", [0, *(pytest.param(which, marks=pytest.mark.long) for which in (1, 2))])
def test_any_lava_process_is_killed_from_outside(simulation, which):
    with pytest.raises(LavaError, match=r"^Lava process .* killed by SIGBUS \(a full disk\? .* bytes free in /"):
        simulation.run(lambda messages: os.kill(messages["lava"][which], signal.SIGBUS))


@pytest.mark.long
def test_lava_process_leaves(simulation):
    with pytest.raises(LavaError, match=r"^Lava process 'probe' ended early, with exit status 0"):
        simulation.run(at_step_5="sys.exit(0)")


@pytest.mark.long
def test_exception_before_lava_runs(simulation):
    with pytest.raises(LavaError) as caught:
        simulation.run(at_first="raise ValueError('no such\\nport')")
    assert caught.value.summary == r"the Lava worker raised ValueError: no such port"
    assert "in job" in caught.value.details


@pytest.mark.long
def test_exception_while_lava_waits(simulation):
    with pytest.raises(LavaError, match=r"^the Lava worker raised ValueError: spikes"):
        simulation.run(at_last="raise ValueError('spikes')", steps=20)


@pytest.mark.long
def test_worker_does_not_start(simulation):
    with pytest.raises(LavaError) as caught:
        run_supervised([sys.executable, "-c", "import a_module_nobody_has"])
    assert caught.value.summary.startswith("the Lava worker ended early, with exit status 1: ModuleNotFoundError")
    assert "Traceback" in caught.value.details
    simulation.run(steps=20)  # another run is not disturbed


def test_worker_is_killed(simulation):
    with pytest.raises(LavaError, match=r"^the Lava worker was killed by SIGKILL \(is memory short\?\)"):
        simulation.run(lambda messages: os.kill(messages["worker"], signal.SIGKILL))


def test_interrupt(simulation):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            simulation.run(lambda messages: os.kill(os.getpid(), signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.long
def test_caller_is_killed(simulation):
    command = [sys.executable, "-c", CALLER, *simulation.command()]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as caller:
        while "lava" not in simulation.messages:
            simulation.messages |= json.loads(caller.stdout.readline())
        assert len(simulation.processes()) > 4
        assert simulation.segments()
        caller.kill()
    simulation.fault = time.monotonic()
    while simulation.processes() or simulation.segments():
        assert time.monotonic() - simulation.fault < LIMIT
        time.sleep(0.1)
    shutil.rmtree(simulation.folder())  # all that stays


def test_other_systems(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(LavaError, match="Linux only, not on darwin"):
        run_supervised([])
