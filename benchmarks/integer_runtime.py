"""The integer network in ONNX Runtime against the float model in PyTorch, in one run, with equal spikes asserted.

    python benchmarks/integer_runtime.py [NAME ...] [--batches 8 32 1] [--threads 1 2] [--seconds 3] [--json FILE]

Milliseconds an image, and how many times as fast as the float model, of

    float         our float model in PyTorch (oneDNN, float32)
    onnx          the same network in integers, from its NIR graph, in ONNX Runtime: class scores only
    populations   the same, every spike of every population recorded
    products      its int8 matrix products alone, windows already gathered: the limit
    fixed         the fixed model in PyTorch: the same integers in float32
    interpreter   the reference in NumPy (as many threads as BLAS takes)

Before anything is timed, every spike of a batch is compared with the interpreter's. The runtimes take turns, so that
all see the same load; of the turns the fastest counts. On a shared machine `--cpu` counts processor time instead, of
one thread. Published architectures have weights drawn at random, shipped checkpoints their own.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

import export
import hardware
import qkformer
from hardware.graph.flat import FlatGraph
from hardware.graph.nodes import memoryless
from hardware.graph.synapse import Convolution
from hardware.targets.onnx import TARGET
from qkformer.checkpoints.checkpoint import shipped_checkpoints

NAMES = ("qkformer-cifar10", *shipped_checkpoints())
SLOW = ("fixed", "interpreter")  # measured at the first batch only
Run = Callable[..., Any]


def network(name: str, batch: int) -> tuple[torch.nn.Module, torch.Tensor]:
    """A float model in which every population spikes, and images for it."""
    torch.manual_seed(0)
    if name in shipped_checkpoints():
        model, c = qkformer.load_checkpoint(name)
    else:
        model = qkformer.create_model(name).eval()
        c = model.config
        for module in model.modules():
            if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
                module.running_mean.normal_(0, 0.2)
                module.weight.data.uniform_(0.8, 1.6)
                module.bias.data.uniform_(0.0, 0.9)
                module.running_var.fill_(0.1)
    frames = (c.time_steps,) if c.events else ()
    images = torch.rand(batch, *frames, c.in_channels, c.image_size, c.image_size)
    return model.eval(), images.mul(2).round() if c.events else images


def products(flat: FlatGraph, time_steps: int, batch: int, threads: int) -> Run:
    """All convolutions of one batch as MatMulInteger on windows that are there already, samples shared by threads."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    sizes = []
    for name in flat.nodes:
        if flat.is_synapse(name):
            form = memoryless(name, flat.nodes[name]).synapse(
                name, flat.nodes[name], flat.in_shape(name), flat.shapes[name]
            )
            if isinstance(form, Convolution):
                sizes.append((int(np.prod(form.out_shape[1:])), form.weight[0].size, len(form.weight)))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    calls = []
    for positions, inputs, outputs in sizes:
        weight = random.integers(-127, 128, (inputs, outputs), np.int8)
        graph = helper.make_graph(
            [helper.make_node("MatMulInteger", ["x", "w"], ["y"])],
            "product",
            [helper.make_tensor_value_info("x", TensorProto.UINT8, [None, inputs])],
            [helper.make_tensor_value_info("y", TensorProto.INT32, [None, outputs])],
            [numpy_helper.from_array(weight, "w")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        windows = (random.random((time_steps * positions, inputs)) < 0.2).astype(np.uint8)
        calls.append((session, {"x": windows}))

    def sample(number: int) -> None:
        for session, feed in calls:
            session.run(None, feed)

    pool = ThreadPoolExecutor(min(threads, batch))
    return lambda: list(pool.map(sample, range(batch)))


def fastest(runs: dict[str, Run], seconds: float, clock: Callable[[], float]) -> dict[str, float]:
    """The shortest of several turns of each, after one to warm up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    end = time.perf_counter() + seconds * len(runs)
    while time.perf_counter() < end or not all(len(found) > 1 for found in times.values()):
        for name, run in runs.items():
            started = clock()
            run()
            times[name].append(clock() - started)
    return {name: min(found) for name, found in times.items()}


def measure(name: str, batch: int, threads: int, options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds an image of each runtime."""
    torch.set_num_threads(threads)
    model, images = network(name, batch)
    fixed = export.quantize(model, images[:8])
    graph, inputs = export.to_nir(fixed, allow_large=True), fixed.encode(images)
    spikes = TARGET.prepare(graph, threads=threads)
    scores = TARGET.prepare(graph, threads=threads, outputs_only=True)
    runs = {
        "float": lambda: model(images),
        "onnx": lambda: scores(inputs),
        "populations": lambda: spikes(inputs),
        "products": products(hardware.flatten(graph, fused=True), len(inputs), batch, threads),
    }
    if batch == options.batches[0]:
        runs |= {"fixed": lambda: fixed.run(inputs), "interpreter": lambda: hardware.interpret(graph, inputs)}
    compared = assert_equal(graph, inputs, spikes, scores)
    with torch.no_grad():
        found = fastest(runs, options.seconds, time.process_time if options.cpu else time.perf_counter)
    result = {key: seconds / batch * 1e3 for key, seconds in found.items()}
    return {"name": name, "batch": batch, "threads": threads, "compared": compared, "milliseconds": result}


def assert_equal(graph: nir.NIRGraph, inputs: np.ndarray, spikes: Run, scores: Run) -> int:
    """How many values were compared with the interpreter's; an AssertionError if one differs."""
    reference = hardware.interpret(graph, inputs)
    report = hardware.compare(reference, spikes(inputs))
    assert report.mismatches == 0, report.first_divergence
    for name, values in scores(inputs).items():
        assert np.array_equal(values, reference[name]), name
    return report.compared


def processor() -> str:
    """What the machine says it is, and whether it has int8 products (VNNI)."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    vnni = any("vnni" in flag for flag in fields.get("flags", "").split())
    return f"{fields.get('model name', 'unknown processor')}, {'with' if vnni else 'without'} VNNI"


def main() -> None:
    """Print the table; exit by an AssertionError if a spike differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES, help="configurations or shipped checkpoints")
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 32, 1])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=3.0, help="for each runtime")
    parser.add_argument("--cpu", action="store_true", help="processor time; only with --threads 1")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.cpu and options.threads != [1]:
        parser.error("--cpu counts the time of all threads together; give --threads 1")

    console, results = Console(width=110), []
    columns = ("float", "onnx", "populations", "products", *SLOW)
    clock = "processor time" if options.cpu else "time"
    for name in options.names:
        table = Table(title=f"{name}: ms an image, {clock} ({processor()})", box=SIMPLE)
        for column in ("batch", "threads", *columns):
            table.add_column(column, justify="right")
        for batch in options.batches:
            for threads in options.threads:
                result = measure(name, batch, threads, options)
                results.append(result)
                found = result["milliseconds"]
                cells = [
                    f"{found[c]:.2f}\n{found['float'] / found[c]:.2f} times" if c in found else "" for c in columns
                ]
                table.add_row(str(batch), str(threads), *cells)
        console.print(table)
    total = sum(result["compared"] for result in results)
    console.print(f"{total:,} values equal the interpreter's, 0 differ")
    if options.json:
        about = {"processor": processor(), "clock": clock, "torch": torch.__version__}
        options.json.write_text(json.dumps({**about, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
