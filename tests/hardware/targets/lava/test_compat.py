"""Lava's own processes, mended, against NumPy; in a fresh interpreter, with warnings as errors."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from hardware.targets.lava.compat import LavaNotInstalled, prepare_lava

NEEDS_LAVA = pytest.mark.skipif(find_spec("lava") is None, reason='Lava is not installed: uv pip install -e ".[lava]"')

NETWORK = """
from hardware.targets.lava.compat import prepare_lava

prepare_lava()
prepare_lava()
import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.process import Conv
from lava.proc.dense.process import Dense
from lava.proc.graded.process import GradedVec
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.lif.process import LIFReset
from lava.proc.sparse.process import DelaySparse, Sparse
from scipy.sparse import csr_matrix, eye

STEPS = 8
random = np.random.default_rng(0)
weights = 2 * random.integers(-9, 10, (6, 6))  # even: Loihi drops the lowest bit of weights of both signs


def received(synapse, data, shape):
    '''What the source's data become behind the synapse, reshaped before and after it.'''
    source, relay, sink = Source(data=data), GradedVec(shape=shape, vth=0, exp=0), Sink(shape=shape, buffer=STEPS)
    neurons = LIFReset(shape=shape, du=4095, dv=2048, vth=3, bias_mant=1, reset_interval=4, reset_offset=1)
    source.s_out.reshape(synapse.s_in.shape).connect(synapse.s_in)
    synapse.a_out.flatten().reshape(shape).connect(relay.a_in)
    synapse.a_out.reshape(shape).connect(neurons.a_in)
    relay.s_out.connect(sink.a_in)
    relay.run(condition=RunSteps(num_steps=STEPS), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    result = sink.data.get()
    relay.stop()
    return result


def later(sums, steps):
    return np.concatenate([np.zeros((*sums.shape[:-1], steps), int), sums[..., :-steps]], axis=-1)
"""

CASES = {
    "Dense": """
data = random.integers(0, 50, (2, 3, STEPS))
got = received(Dense(weights=weights, num_message_bits=8), data, (3, 2))
want = later(weights @ data.reshape(6, STEPS), 1).reshape(3, 2, STEPS)
""",
    "Sparse": """
data = random.integers(0, 50, (2, 3, STEPS))
got = received(Sparse(weights=csr_matrix(weights), num_message_bits=8), data, (3, 2))
want = later(weights @ data.reshape(6, STEPS), 1).reshape(3, 2, STEPS)
""",
    "Sparse, spikes": """
data = random.integers(0, 2, (2, 3, STEPS))
got = received(Sparse(weights=csr_matrix(weights)), data, (3, 2))
want = later(weights @ data.reshape(6, STEPS), 1).reshape(3, 2, STEPS)
""",
    "DelaySparse": """
data = random.integers(0, 2, (2, 3, STEPS))
one = eye(6, dtype=int, format="csr")
got = received(DelaySparse(weights=one, delays=3 * one, max_delay=3), data, (3, 2))
want = later(data.reshape(3, 2, STEPS), 4)
""",
    "Conv, more than int8 holds": """
data = random.integers(0, 50, (260, STEPS))
kernel = random.integers(-9, 10, (130, 1, 1, 2))
got = received(Conv(weight=kernel, input_shape=(130, 1, 2), num_message_bits=8), data, (130, 130))
want = later(np.einsum("oc,xct->xot", kernel[:, 0, 0], data.reshape(130, 2, STEPS)), 1)
""",
}


RUN_ALL = """
import json, sys, traceback

failures = {}
for name, case in CASES.items():
    try:
        exec(case)
        assert want.any()
        np.testing.assert_array_equal(got, want)
    except Exception:
        failures[name] = traceback.format_exc()
print("failures:", json.dumps(failures))
"""


@pytest.fixture(scope="module")
def failures():
    """What went wrong, by case. One interpreter runs all of them: importing Lava takes longer than any."""
    *_, last = _run(f"{NETWORK}\nCASES = {CASES}\n{RUN_ALL}").splitlines()
    return json.loads(last.removeprefix("failures: "))


@pytest.mark.long
@NEEDS_LAVA
@pytest.mark.parametrize("case", CASES)
def test_processes_compute(case, failures):
    assert case not in failures, failures[case]


@NEEDS_LAVA
def test_only_lava_is_changed():
    _run(
        "import dataclasses\nfrom hardware.targets.lava.compat import prepare_lava\nbefore = vars(dataclasses).copy()\n"
        "prepare_lava()\nassert vars(dataclasses) == before\n"
        "from lava.magma.compiler.subcompilers.address import NcLogicalAddress\n"
        "assert dataclasses.is_dataclass(NcLogicalAddress) and NcLogicalAddress.__hash__ is None"
    )


def _run(program):
    repository = Path(__file__).parents[4]
    arguments = [sys.executable, "-W", "error", "-c", program]
    result = subprocess.run(arguments, cwd=repository, capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_lava_is_not_installed(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "lava"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lava", None)
    with pytest.raises(LavaNotInstalled, match=r"^Lava is not installed: run  uv pip install"):
        prepare_lava()


@NEEDS_LAVA
def test_a_message_wakes_whoever_listens_also_when_the_queue_was_not_empty_before():
    """Lava looks whether a queue is empty before it puts a message in; a process that empties it then sleeps on."""
    _run("""
from hardware.targets.lava.compat import prepare_lava

prepare_lava()
from types import SimpleNamespace
from lava.magma.compiler.channels.pypychannel import CspRecvPort, CspSendPort


class Once:
    count = 0

    def acquire(self):
        self.count += 1
        if self.count > 1:
            raise EOFError
        return True


for port, callback in ((CspRecvPort, "_req_callback"), (CspSendPort, "_ack_callback")):
    woken = []
    queue = SimpleNamespace(qsize=lambda: 1, put_nowait=lambda message: None)
    semaphore = SimpleNamespace(acquire=lambda blocking: True, release=lambda: None)
    one = object.__new__(port)
    one.__dict__ |= {"_done": False, "_queue": queue, "_semaphore": semaphore, "observer": lambda: woken.append(1)}
    getattr(one, callback)(Once())
    assert woken == [1], callback
""")
