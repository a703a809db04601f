"""The fixed model on a GPU emits exactly the spikes it emits on a CPU: made there, compared here and elsewhere.

    python benchmarks/gpu_parity.py make  FOLDER [--model CKPT|CONFIG] [--images 16]
    python benchmarks/gpu_parity.py check FOLDER [--targets interpreter,lava]

`make` runs the fixed model on the GPU as fast as PyTorch can (TF32, cuDNN's choice of algorithms, under bfloat16
autocast, which the fixed model keeps out), then on the CPU, compares every value of every population, and writes
FOLDER/spikes.trace, model.nir and inputs.npy. `check` needs no GPU and no torch: on any machine it runs the graph on
those inputs and compares with the trace from the GPU. Both end with status 1 if a value differs.

A configuration without a checkpoint gets random weights under which every population spikes. Without a CUDA device
`make` compares one CPU thread with several, and says so.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import hardware

TRACE, GRAPH, INPUTS = "spikes.trace", "model.nir", "inputs.npy"


def make(folder: Path, name: str, count: int) -> int:
    """Run on GPU and CPU, compare and write; returns the number of values that differ."""
    import torch
    from quantization import load_model

    from export import quantize, to_nir, write_graph
    from qkformer import record_spikes

    model = load_model(name)
    config = model.config
    frames = (config.time_steps,) if config.events else ()
    shape = (count, *frames, config.in_channels, config.image_size, config.image_size)
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    fixed = quantize(model, images)
    inputs = fixed.encode(images)

    def trace_on(device: str) -> hardware.SpikeTrace:
        with torch.no_grad(), record_spikes(fixed.to(device)) as trace, torch.autocast(device, torch.bfloat16):
            fixed.run(inputs)
        return trace

    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        where = f"{torch.cuda.get_device_name()} (TF32, cuDNN benchmark) against the CPU"
        fast = trace_on("cuda")
    else:
        where = f"no CUDA device: {torch.get_num_threads()} CPU threads against one"
        fast = trace_on("cpu")
        torch.set_num_threads(1)
    report = hardware.compare(trace_on("cpu"), fast)
    folder.mkdir(parents=True, exist_ok=True)
    fast.save(folder / TRACE)
    write_graph(to_nir(fixed.to("cpu")), folder / GRAPH)
    np.save(folder / INPUTS, inputs)
    print(f"{config.name}, {count} images, {where}: {report.mismatches} of {report.compared:,} values differ")
    print(f"{folder}: {TRACE}, {GRAPH} and {INPUTS} written")
    return report.mismatches


def check(folder: Path, targets: list[str]) -> int:
    """Run the graph on every target and compare with the trace; returns the number of values that differ."""
    graph, inputs = hardware.read_graph(folder / GRAPH), np.load(folder / INPUTS)
    reference = hardware.SpikeTrace.load(folder / TRACE)
    differing = 0
    for target in targets:
        trace = hardware.interpret(graph, inputs) if target == "interpreter" else hardware.lava.simulate(graph, inputs)
        report = hardware.compare(reference, trace)
        differing += report.mismatches
        print(f"{target}: {report.mismatches} of {report.compared:,} values differ from {folder / TRACE}")
    return differing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    maker, checker = commands.add_parser("make"), commands.add_parser("check")
    for command in maker, checker:
        command.add_argument("folder", type=Path)
    maker.add_argument("--model", default="qkformer-cifar10")
    maker.add_argument("--images", type=int, default=16)
    checker.add_argument("--targets", type=lambda text: text.split(","), default=["interpreter", "lava"])
    options = parser.parse_args()
    if options.command == "make":
        differing = make(options.folder, options.model, options.images)
    else:
        differing = check(options.folder, options.targets)
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
