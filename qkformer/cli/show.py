"""Tables and progress on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.segment import SegmentLines
from rich.table import Table
from rich.text import Text

from export import Certificate
from hardware import ParityReport
from hardware.printable import printable


class PlainConsole(Console):
    """Prints every string as it is, in tables too: no markup, and control characters as Python writes them.

    What is to have a colour is a `Text`, put together from `printable` strings.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Every string comes through here."""
        return super().render_str(printable(text), **options)


console = PlainConsole()
UNLIMITED = 10_000  # characters of a line


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar; yields what to call with (done, in all)."""
    columns = (
        TextColumn("{task.description:<34}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(printable(what), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
        finished = bar.tasks[0].total or 1
        bar.update(task, completed=finished, total=finished)


def say(text: str) -> None:
    """One line, which is not broken."""
    console.print(text, soft_wrap=True)


def count_kinds(kinds: Counter[str]) -> str:
    """How many of which: 18 Conv2d, 16 LIF."""
    return ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())


def percent(share: float | None) -> str:
    """0.98333 -> 98.33 %."""
    return "unknown" if share is None else f"{100 * share:.2f} %"


def table(title: str, first: str, *columns: str) -> Table:
    """A table of numbers under one column of names."""
    empty = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", padding=(0, 1, 0, 0))
    empty.add_column(first, no_wrap=True)
    for column in columns:
        empty.add_column(column, justify="right", no_wrap=True)
    return empty


def show_table(rows: Table) -> None:
    """Print a table as wide as its numbers, so that no narrow terminal (and no pipe) makes dots of a digit."""
    widest = console.measure(rows, options=console.options.update(width=UNLIMITED)).maximum
    lines = console.render_lines(rows, console.options.update(width=widest), pad=False)
    console.print(SegmentLines(lines, new_lines=True), crop=False, end="")


def certificate_table(certificate: Certificate) -> Table:
    """Bounds of every weighted layer against their limits."""
    title = "Certificate: how far any input at all can take a sum or membrane"
    rows = table(title, "layer", "weights", "biases", "threshold", "bound", "of limit")
    for layer in certificate:
        bound = max(layer.sum_bound, layer.membrane_bound or 0)
        rows.add_row(
            layer.name,
            f"±{layer.largest_weight}",
            f"±{layer.largest_bias:,}",
            "-" if layer.threshold is None else f"{layer.threshold:,}",
            f"{bound:,}",
            f"{100 * bound / layer.limit:.1f} %" if layer.certified else "over: checked as it runs",
        )
    return rows


def parity_table(report: ParityReport) -> Table:
    """Neurons, spikes, firing rate and mismatches of every population."""
    title = "Spikes of every population; how many differ from PyTorch's in"
    rows = table(title, "population", "neurons", "spikes", "rate", *report.targets)
    targets = [{p.name: p.mismatches for p in target.populations} for target in report.targets.values()]
    for population in report.populations:
        name, neurons, spikes = population.name, population.neurons, population.spikes
        differs = (f"{target[name]:,}" if name in target else "-" for target in targets)
        rate = f"{population.firing_rate:.3f}" if name != "output" else "counts"
        rows.add_row(name, f"{neurons:,}", f"{spikes:,}", rate, *differs)
    return rows


def ladder_table(report: ParityReport) -> Table:
    """The steps of a ladder: agreement of the float ones, differences of those that must be equal."""
    rows = table("Each stage against the one before", "stage", "against", "spikes", "logit error", "top-1", "seconds")
    for step in report.ladder:
        agreement = f"{100 * step.agreement:.3f} % agree"
        rows.add_row(
            step.stage,
            step.against,
            f"{step.mismatches:,} differ" if step.exact else agreement,
            f"{step.logit_error:.3g}",
            f"{100 * step.same_top1:.4g} %",
            f"{step.seconds:.2f}",
        )
    return rows


def findings(report: ParityReport) -> list[Text]:
    """One line for each error: its layer, its kind, and what is known about it."""
    return [Text.assemble((f.kind, "bold red"), printable(f" in {f.layer}: {f.text}")) for f in report.findings]


def verdict(report: ParityReport) -> list[Text]:
    """How many of how many values differ, where the first one is, and what ran without its gates: a line each."""
    colour = "red" if report.mismatches else "green"
    lines = [Text(f"{report.mismatches:,} of {report.compared:,} spikes differ", f"bold {colour}")]
    if report.first_divergence:
        lines.append(Text(printable(f"first: {report.first_divergence}")))
    at_once: dict[str, list[str]] = {}  # nested graph -> the stages that ran it as one operation
    for stage, names in report.fused.items():
        for name in names:
            at_once.setdefault(name, []).append(stage)
    for name, stages in at_once.items():
        lines.append(Text(printable(f"not gate by gate: {name} ran as one operation in {', '.join(stages)}")))
    return lines + ([Text("--gates executes them")] if at_once else [])
