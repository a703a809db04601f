"""What can be typed for several commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

MOST_IMAGES = 1_000_000  # of one run, whose traces are held together
MOST_MEGABYTES = 1_000_000


def _some_images(images: int) -> int:
    if not 1 <= images <= MOST_IMAGES:
        raise typer.BadParameter(f"{images}; at least 1 is needed, at most {MOST_IMAGES:,} are possible")
    return images


def _some_memory(limit: float | None) -> float | None:
    if limit is not None and not 0 <= limit <= MOST_MEGABYTES:
        raise typer.BadParameter(f"{limit:g} MB; 0 to {MOST_MEGABYTES:,} are possible")
    return limit


def _place(text: str | Path) -> Path:
    if not str(text).strip():
        raise typer.BadParameter("it is empty; give the name of a file or folder")
    return Path(text)


def place(*names: str, **options: Any) -> Any:
    """An option, or an argument if it has no names, that is a path: the empty one is not the current folder."""
    kind = typer.Option if names else typer.Argument
    return kind(*names, parser=_place, **options)


DATA_HELP = (
    "digits; a folder (parquet files, or train/CLASS/*.png and test/CLASS/*.png); hub:OWNER/NAME, a data set of the "
    "Hugging Face Hub; or an .npz file with 'images' [N, C, H, W] and perhaps 'labels' [N], or with 'test_images' and "
    "'test_labels'. The held-out part is read."
)
CheckpointOrGraph = Annotated[
    str,
    typer.Argument(
        metavar="CKPT|FILE.nir", help="A checkpoint file, the name of a shipped one, or any tool's NIR file."
    ),
]
Inputs = Annotated[
    Path | None,
    place(
        "--inputs",
        metavar="FILE.npz",
        help="Of a NIR file: what it is run on, an array 'inputs' [T, B, ...], or [B, ...] with --time-steps.",
    ),
]
TimeSteps = Annotated[
    int | None,
    typer.Option("--time-steps", help="Of --inputs: how many are run; inputs without time are shown at each."),
]
TimeStep = Annotated[
    float, typer.Option("--time-step", metavar="SECONDS", help="The time step in which another tool's NIR file holds.")
]
UnitGain = Annotated[
    bool,
    typer.Option("--unit-gain", help="A time step of an IF with r = 1 adds its input, as many tools mean it."),
]
Checkpoint = Annotated[str, typer.Argument(metavar="CKPT", help="A checkpoint file, or the name of a shipped one.")]
Data = Annotated[str, typer.Option("--data", metavar="DATA", help=DATA_HELP)]
Images = Annotated[int, typer.Option(callback=_some_images, help="How many images, from the first.")]
Label = Annotated[
    str | None, typer.Option("--label", metavar="COLUMN", help="The column of labels, if there are several.")
]
Json = Annotated[Path | None, place("--json", metavar="FILE", help="Also write what is printed as JSON.")]
ChipName = Annotated[str, typer.Option("--chip", metavar="CHIP", help="Whose number formats: loihi2 or loihi1.")]
Sections = Annotated[
    int | None,
    typer.Option(
        help="An option of the target lava. 0: Lava's own processes, one for each population and synapse. N: the same "
        "network stepped by N processes of this package inside Lava, which is faster and not independent evidence. "
        "Unless given: 0 for a small network (200 processes, 200,000 values a step), else one for each core.",
        show_default=False,
    ),
]
StockModels = Annotated[
    bool, typer.Option("--stock-models", help="An option of the target lava: Lava's own model of convolutions, too.")
]
FloatingPoint = Annotated[
    bool,
    typer.Option("--floating-point", help="Run a graph of `export --float`; of the targets interpreter and lava."),
]
Gates = Annotated[
    bool | None,
    typer.Option(
        "--gates/--no-gates",
        help="Execute the gates of marked nested graphs instead of the operation that they compute. Unless given: "
        "verify executes them where there are fewer than a million, simulate does not.",
        show_default=False,
    ),
]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first population that differs.")]
Report = Annotated[
    Path,
    place("--report", metavar="DIR", help="Where to write the graph, parity.json, report.html and perhaps a bundle."),
]
SaveTrace = Annotated[
    Path | None,
    place("--save-trace", metavar="FILE", help="Write PyTorch's spikes, to be verified on another machine."),
]
LoadTrace = Annotated[
    Path | None,
    place("--load-trace", metavar="FILE", help="Compare with spikes that --save-trace wrote, and not with PyTorch."),
]
MemoryLimit = Annotated[
    float | None,
    typer.Option(callback=_some_memory, metavar="MB", help="Of packed spikes, for each stage; the rest goes to disk."),
]
