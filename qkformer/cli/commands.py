"""What can be typed: the commands and their options. What each does is in the file of its name.

Each imports that file when it runs, so that help and usage errors come at once.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import (
    DATA_HELP,
    CheckpointOrGraph,
    ChipName,
    Data,
    FailFast,
    FloatingPoint,
    Gates,
    Images,
    Inputs,
    Json,
    Label,
    LoadTrace,
    MemoryLimit,
    Report,
    SaveTrace,
    Sections,
    StockModels,
    TimeStep,
    TimeSteps,
    UnitGain,
    place,
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Trace = Annotated[Path, place(help="A trace: of simulate, demo or verify --save-trace, or an .npz of arrays.")]


def _print_version(asked: bool) -> None:
    if asked:
        print(f"qkformer {version('qkformer')}")
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error comes from; anywhere in a command.")
    ] = False,
) -> None:
    """Spiking transformers from PyTorch to neuromorphic hardware, spike for spike.

    Exit status: 0 done, 1 spikes differ, 2 could not run, 70 a bug, 130 interrupted; the same where whoever reads the
    output leaves early (`qkformer verify ... | head`): the work is finished.
    """


@app.command()
def demo(
    images: Images = 16,
    output: Annotated[Path, place("-o", "--output", metavar="DIR", help="Where to write the results.")] = Path(
        "runs/demo"
    ),
    sections: Sections = None,
    json: Json = None,
) -> None:
    """Quantize the shipped checkpoint, export it, run real images in Lava, and compare every spike."""
    from .demo import run_demo

    run_demo(images, output, sections, json)


@app.command()
def info(
    subject: Annotated[str, typer.Argument(metavar="NAME|CKPT", help="A configuration, or a checkpoint file.")],
    data: Annotated[str | None, typer.Option(help=f"Print firing rates on images: {DATA_HELP}")] = None,
    images: Images = 8,
    label: Label = None,
    json: Json = None,
) -> None:
    """Configuration, parameters, populations, what lowers to what, and firing rates on --data."""
    from .info import show_info

    show_info(subject, data, images, label, json)


def _of_the_recipe(text: str) -> Any:
    return typer.Option(help=f"{text} [default: the recipe's]", show_default=False)


@app.command()
def train(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="The name of a configuration.")],
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="DATA",
            help="digits; a folder (parquet files, or train/CLASS/*.png); hub:OWNER/NAME; or an .npz file with "
            "train_images, train_labels, test_images, test_labels.",
        ),
    ] = "digits",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The checkpoint to write. [default: runs/CONFIG/model.safetensors]"),
    ] = None,
    epochs: Annotated[int | None, _of_the_recipe("Passes over the training images.")] = None,
    batch_size: Annotated[int | None, _of_the_recipe("Images per step, over all processes.")] = None,
    learning_rate: Annotated[float | None, _of_the_recipe("The highest learning rate.")] = None,
    accumulation: Annotated[int | None, _of_the_recipe("Micro-batches per step.")] = None,
    precision: Annotated[str | None, _of_the_recipe("fp32 or bf16.")] = None,
    seed: Annotated[int | None, _of_the_recipe("Of weights, order and augmentation.")] = None,
    threads: Annotated[int | None, _of_the_recipe("Of a CPU.")] = None,
    time_steps: Annotated[
        int | None, typer.Option(help="T while training. [default: the configuration's]", show_default=False)
    ] = None,
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="Memory format of images and weights.")
    ] = False,
    compiled: Annotated[bool, typer.Option("--compile", help="Run torch.compile over the model.")] = False,
    backend: Annotated[str, typer.Option(help="What neurons run on: auto, torch or triton.")] = "auto",
    initial: Annotated[
        str | None, typer.Option("--from", metavar="CKPT", help="A checkpoint whose weights are the first.")
    ] = None,
    qat: Annotated[
        bool, typer.Option("--qat", help="Train with the integers of the fixed model in the forward pass.")
    ] = False,
    streaming: Annotated[bool, typer.Option("--streaming", help="Never read all of the data at once.")] = False,
    label: Annotated[str | None, typer.Option(help="The column of labels, if there are several.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that decode images not kept in memory.")] = 0,
    tensorboard: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write TensorBoard's files.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run at the same output.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the checkpoint and state of an earlier run.")
    ] = False,
    json: Json = None,
) -> None:
    """Train a model. Ctrl-C saves, and --resume goes on to the weights of an uninterrupted run, also after a kill."""
    from .train import run_training

    numbers: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "accumulation": accumulation,
        "precision": precision,
        "seed": seed,
        "threads": threads,
        "channels_last": channels_last or None,
        "compile": compiled or None,
    }
    how: dict[str, Any] = {
        "resume": resume,
        "overwrite": overwrite,
        "initial": initial,
        "backend": backend,
        "streaming": streaming,
        "label": label,
    }
    how |= {"workers": workers, "tensorboard": tensorboard}
    run_training(config, data, output, numbers, time_steps, qat, how, json)


@app.command()
def export(
    checkpoint: CheckpointOrGraph,
    output: Annotated[Path, place("-o", "--output", metavar="FILE.nir", help="The NIR file to write.")],
    data: Data = "digits",
    floats: Annotated[
        bool, typer.Option("--float", help="The float model's own weights; nothing is quantized.")
    ] = False,
    inline: Annotated[
        bool,
        typer.Option(
            "--inline",
            help="Write self-attention and max-pools of currents flat, gate by gate, for tools that do not read nested "
            "graphs; our targets then execute every gate, too.",
        ),
    ] = False,
    allow_large: Annotated[bool, typer.Option("--allow-large", help="Also write over 100 million gates.")] = False,
    chip: ChipName = "loihi2",
    onnx: Annotated[
        Path | None, place("--onnx", metavar="FILE", help="Also write an integer ONNX model, for any CPU.")
    ] = None,
    netx: Annotated[
        Path | None,
        place(
            "--netx", metavar="FILE", help="Also write layers in a row for netx of Intel's lava-dl, which runs them."
        ),
    ] = None,
    label: Label = None,
    inputs: Inputs = None,
    time_steps: TimeSteps = None,
    time_step: TimeStep = 1e-4,
    unit_gain: UnitGain = False,
    json: Json = None,
) -> None:
    """Quantize a checkpoint, or any tool's NIR file, print its certificate and write it as an integer NIR graph."""
    from .graphs import Reading, is_graph, no_inputs

    if is_graph(checkpoint):
        from .export_graph import run_graph_export

        reading = Reading(inputs, time_steps, time_step, unit_gain)
        run_graph_export(Path(checkpoint), output, reading, chip, inline, onnx, netx, json)
        return
    no_inputs(checkpoint, inputs)
    from .export import run_export

    run_export(checkpoint, output, data, label, floats, inline, allow_large, chip, onnx, netx, json)


@app.command()
def simulate(
    graph: Annotated[Path, place(metavar="MODEL.nir", help="A NIR file.")],
    output: Annotated[Path, place("-o", "--output", metavar="TRACE", help="The trace to write.")],
    target: Annotated[
        str, typer.Option("--target", "--backend", metavar="TARGET", help="Where to run it; see `qkformer targets`.")
    ] = "interpreter",
    data: Data = "digits",
    images: Images = 8,
    label: Label = None,
    sections: Sections = None,
    stock_models: StockModels = False,
    floating_point: FloatingPoint = False,
    gates: Gates = None,
    inputs: Inputs = None,
    time_steps: TimeSteps = None,
    time_step: TimeStep = 1e-4,
    unit_gain: UnitGain = False,
    json: Json = None,
) -> None:
    """Run a NIR graph on images, or on --inputs, and write every population's spikes."""
    asked = {"sections": sections, "stock_models": stock_models or None, "floating_point": floating_point or None}
    asked["fused"] = None if gates is None else not gates
    if inputs:
        from .graphs import Reading
        from .simulate_graph import run_graph_simulation

        reading = Reading(inputs, time_steps, time_step, unit_gain)
        run_graph_simulation(graph, output, target, reading, asked, json)
        return
    from .simulate import run_simulation

    run_simulation(graph, output, target, data, images, label, asked, json)


@app.command()
def verify(
    checkpoint: CheckpointOrGraph,
    against: Annotated[
        str,
        typer.Option(metavar="TARGETS", help="What to compare: torch and `qkformer targets`, by commas."),
    ] = "torch,interpreter,lava",
    data: Data = "digits",
    images: Images = 8,
    label: Label = None,
    report: Report = Path("runs/verify"),
    sections: Sections = None,
    gates: Gates = None,
    fail_fast: FailFast = False,
    save_trace: SaveTrace = None,
    load_trace: LoadTrace = None,
    memory_limit: MemoryLimit = None,
    chip: ChipName = "loihi2",
    inputs: Inputs = None,
    time_steps: TimeSteps = None,
    time_step: TimeStep = 1e-4,
    unit_gain: UnitGain = False,
    json: Json = None,
) -> None:
    """Compare every spike, from the float model to Lava; exit status 1 if one differs that must not."""
    from .graphs import Reading, is_graph, no_inputs

    how = {"gates": gates, "fail_fast": fail_fast, "memory_limit": memory_limit}
    if is_graph(checkpoint):
        from .verify_graph import run_graph_verification

        reading = Reading(inputs, time_steps, time_step, unit_gain)
        run_graph_verification(Path(checkpoint), against, reading, report, sections, how, chip, json)
        return
    no_inputs(checkpoint, inputs)
    from .verify import run_verification

    run_verification(
        checkpoint, against, data, images, label, report, sections, how, (save_trace, load_trace), chip, json
    )


@app.command()
def compare(first: Trace, second: Trace, json: Json = None) -> None:
    """Compare two traces value by value; exit status 1 if one differs, 2 if they cannot be compared."""
    from .compare import compare_traces

    compare_traces(first, second, json)


@app.command()
def targets(json: Json = None) -> None:
    """List what a graph can run on here, and the command that installs what is missing."""
    from .targets import show_targets

    show_targets(json)
