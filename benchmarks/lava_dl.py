"""Intel's lava-dl against our integers: slayer's neuron beside ours, and netx running what `write_netx` writes.

    make lava-dl        or        python benchmarks/lava_dl.py [--json FILE], where lava-dl 0.6.0 is installed

lava-dl needs Python 3.10 and a torch of its own, so nothing here imports ours: `hardware` alone. Exit status 1 if a
value differs that should not.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from lava.lib.dl import netx, slayer
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

import hardware
from hardware import LOIHI_2
from hardware.graph.neuron import TIME_STEP, IntegerNeuron

DECAYS = (4096, 3000, 2048, 1365, 819, 100, 0)
CURRENT_DECAYS = (4096, 2731, 1024)
THRESHOLDS = (1, 63, 500, 4095)
# In float32 0.01 / 4096 is lost beside threshold / 64 from here on, and slayer fires at V = threshold, too.
TOO_HIGH = (4096, 5478, 9000)
STEPS, NEURONS = 256, 512


def spikes_of_slayer(sums: np.ndarray, current_decay: int, decay: int, threshold: int) -> np.ndarray:
    """slayer's CUBA neuron; sums [T, B, n] in synaptic units, of which it takes 1 / 64."""
    neuron = slayer.neuron.cuba.Neuron(
        threshold=threshold / 64, current_decay=current_decay / 4096, voltage_decay=decay / 4096
    )
    with torch.no_grad():
        given = neuron(torch.from_numpy(sums.astype(np.float32) / 64).permute(1, 2, 0))
    return given.permute(2, 0, 1).numpy()


def neurons() -> list[dict[str, Any]]:
    """Random sums through both, at each threshold and decay. by_rule: V = threshold explains what differs."""
    found = []
    random = np.random.default_rng(0)
    for threshold in (*THRESHOLDS, *TOO_HIGH):
        differ, compared, by_rule = 0, 0, True
        for current_decay, decay in itertools.product(CURRENT_DECAYS, DECAYS):
            reach = max(2, threshold // 3)
            sums = random.integers(-reach, reach + reach // 2 + 2, (STEPS, 1, NEURONS))
            ours = IntegerNeuron(np.array([decay]), np.array([threshold * 64]), LOIHI_2, np.array([current_decay]))
            theirs = spikes_of_slayer(sums, current_decay, decay, threshold)
            wrong = ours.run("neuron", sums * 64, np.int64(0)) != theirs
            differ, compared = differ + int(wrong.sum()), compared + wrong.size
            by_rule = by_rule and differs_first_at_threshold(ours, sums, wrong)
        found.append({"threshold": threshold, "differ": differ, "compared": compared, "by_rule": by_rule})
        why = f", {'each' if by_rule else 'NOT each'} first where V = threshold" if differ else ""
        print(
            f"slayer's neuron  threshold {threshold:>6,}: {differ:>7,} of {compared:,} spikes differ{why}", flush=True
        )
    return found


def differs_first_at_threshold(ours: IntegerNeuron, sums: np.ndarray, wrong: np.ndarray) -> bool:
    """Whether each neuron that differs at all does so first in a step in which its membrane is the threshold."""
    state = ours.rest(sums.shape[1:])
    equal_so_far = np.ones(sums.shape[1:], bool)
    for arriving, differs in zip(sums, wrong, strict=True):
        ours.charge(state, arriving * 64, 0)
        if (differs & equal_so_far & (state.membrane != ours.threshold)).any():
            return False
        equal_so_far &= ~differs
        ours.fire(state)
    return True


def networks() -> Iterator[tuple[str, nir.NIRGraph, tuple[int, ...]]]:
    """Name, graph in a row, and shape of its inputs."""
    random = np.random.default_rng(1)

    def lif(shape: tuple[int, ...], decay: int, threshold: int, current_decay: int = 4096) -> Any:
        one, tau = np.ones(shape), 4096 / decay
        membrane = {"tau_mem": tau * TIME_STEP * one, "r": tau * one, "v_leak": 0 * one, "v_reset": 0 * one}
        lasting = 4096 / current_decay
        return nir.CubaLIF(
            tau_syn=lasting * TIME_STEP * one, w_in=lasting * one, v_threshold=(threshold + 1 / 128) * one, **membrane
        )

    def weights(*shape: int) -> np.ndarray:
        return random.integers(-60, 70, shape).astype(np.float32)

    def row(shape: tuple[int, ...], *nodes: Any) -> nir.NIRGraph:
        names = ["input", *(f"n{index}" for index in range(len(nodes))), "output"]
        ends = {"input": nir.Input(np.array(shape)), "output": nir.Output(np.array(nodes[-1].v_threshold.shape))}
        named = ends | dict(zip(names[1:-1], nodes, strict=True))
        return nir.NIRGraph(named, list(itertools.pairwise(names)), type_check=False)

    def maps() -> tuple[Any, ...]:
        return (
            nir.Conv2d((10, 8), weights(6, 2, 3, 3), (2, 1), (1, 1), (1, 1), 1, weights(6)), lif((6, 5, 8), 1024, 150),
            nir.Conv2d((5, 8), weights(8, 6, 3, 1), (1, 1), (0, 0), (1, 1), 1, weights(8)), lif((8, 3, 8), 2048, 300),
        )  # fmt: skip

    def dense(inputs: int, outputs: int, *numbers: int) -> tuple[Any, ...]:
        return nir.Affine(weights(outputs, inputs), weights(outputs)), lif((outputs,), *numbers)

    flat = nir.Flatten({"input": np.array([8, 3, 8])}, start_dim=0)
    yield "dense", row((20,), *dense(20, 30, 1365, 200), *dense(30, 10, 2048, 150, 1024)), (20,)
    yield "convolutions", row((2, 10, 8), *maps()), (2, 10, 8)
    yield "both", row((2, 10, 8), *maps(), flat, *dense(192, 10, 819, 400)), (2, 10, 8)


def run_in_netx(path: Path, inputs: np.ndarray, layers: int) -> np.ndarray:
    """The last layer's spikes [T, B, ...], images streamed back to back; netx has maps as (width, height, channel)."""
    time_steps, samples = inputs.shape[:2]
    steps = time_steps * samples + layers + 1
    network = netx.hdf5.Network(net_config=str(path), reset_interval=time_steps, reset_offset=1)
    stream = inputs.swapaxes(0, 1).reshape(time_steps * samples, *inputs.shape[2:])
    frames = np.concatenate([stream, np.zeros((layers + 1, *stream.shape[1:]), stream.dtype)]).astype(np.int32)
    source = Source(data=np.moveaxis(frames, 0, -1).transpose(*range(frames.ndim - 2, -1, -1), frames.ndim - 1))
    sink = Sink(shape=network.out.shape, buffer=steps)
    source.s_out.connect(network.inp)
    network.out.connect(sink.a_in)
    network.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    given = np.moveaxis(sink.data.get(), -1, 0)
    network.stop()
    given = given.transpose(0, *range(given.ndim - 1, 0, -1))[layers : layers + time_steps * samples]
    return given.reshape(samples, time_steps, *given.shape[1:]).swapaxes(0, 1)


def in_netx() -> list[dict[str, Any]]:
    """Each network, written, read by netx and run in Lava, against the interpreter."""
    found = []
    for name, graph, shape in networks():
        inputs = (np.random.default_rng(2).random((16, 40, *shape)) < 0.4).astype(np.int8)
        trace = hardware.interpret(graph, inputs)
        layers = len(trace) - 1
        with tempfile.TemporaryDirectory() as folder:
            hardware.write_netx(graph, Path(folder) / "model.net")
            given = run_in_netx(Path(folder) / "model.net", inputs, layers)
        differ, rate = int((given != trace["output"]).sum()), float(trace["output"].mean())
        found.append({"network": name, "differ": differ, "compared": given.size, "rate": rate})
        print(f"netx in Lava     {name:<16}: {differ:>7,} of {given.size:,} spikes differ, rate {rate:.3f}", flush=True)
    return found


def main() -> int:
    """Compare, print, and perhaps write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write what is printed")
    asked = parser.parse_args()
    cells, rows = neurons(), in_netx()
    if asked.json:
        asked.json.write_text(json.dumps({"neurons": cells, "netx": rows}, indent=2) + "\n")
    wrong = sum(cell["differ"] for cell in cells if cell["threshold"] < TOO_HIGH[0])
    unexplained = sum(not cell["by_rule"] for cell in cells)
    silent = sum(not 0 < row["rate"] < 1 for row in rows)
    return 1 if wrong or unexplained or silent or any(row["differ"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
