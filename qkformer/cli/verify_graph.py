"""`qkformer verify FILE.nir --inputs FILE.npz`: any tool's network, from its floats to the targets, or integers on all.

Exit status as that of a checkpoint: 0 every spike that must be equal is, 1 an error was found, 2 could not run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from export import Ladder, quantize, run_integer_ladder, run_ladder
from export.ladder.climb import BUNDLE
from hardware import Target, get_chip
from hardware.report.owned_folder import check_owned

from .graphs import Reading, float_network, integer_network
from .outputs import check_writable
from .record import versions
from .show import certificate_table, progress, say, show_table
from .verify import FILES, chosen_targets, finish, lava_options


def run_graph_verification(
    file: Path,
    against: str,
    reading: Reading,
    folder: Path,
    sections: int | None,
    how: Mapping[str, Any],
    chip: str,
    json: Path | None,
) -> None:
    """Quantize a network of NIR for its inputs and compare every spike, from PyTorch's integers to the targets.

    What the float network itself does is reported beside, as agreement. A graph of integers is compared as it is.
    """
    chosen = chosen_targets(against)
    options = lava_options(chosen, sections)
    check_writable(*(folder / name for name in FILES), json, reads=(file, reading.inputs), folders=[folder / BUNDLE])
    check_owned(folder / BUNDLE)
    known = integer_network(file, reading)
    shared = {"targets": chosen, "options": options, "versions": versions(), "watch": progress, **how}
    if known is not None:
        say("note: the file is of integers already: the interpreter is the reference, and PyTorch has no part in it")
        record: dict[str, Any] = {"images": known.inputs.shape[1], "time_steps": known.inputs.shape[0]}
        ladder = run_integer_ladder(
            known.graph, known.inputs, folder, chip=get_chip(chip), logit_scale=known.logit_scale, **shared
        )
        _finish(ladder, chosen, options, folder, file.stem, record | {"sections": sections}, json)
    network, inputs = float_network(file, reading)
    fixed = quantize(network, inputs, chip=get_chip(chip))
    show_table(certificate_table(fixed.certificate))
    for name, note in fixed.rounded_decays.items():
        say(f"note: {name}: {note}")
    record = {"images": inputs.shape[1], "time_steps": inputs.shape[0], "sections": sections}
    record |= {"certificate": fixed.certificate.to_list(), "rounded_decays": fixed.rounded_decays}
    _finish(run_ladder(network, fixed, inputs, folder, **shared), chosen, options, folder, file.stem, record, json)


def _finish(
    ladder: Ladder,
    chosen: Mapping[str, Target],
    options: Mapping[str, dict[str, Any]],
    folder: Path,
    name: str,
    record: dict[str, Any],
    json: Path | None,
) -> NoReturn:
    """Write and print the outcome, and end with the exit status."""
    record["seconds"] = {name: rung.seconds for name, rung in ladder.stages.items()}
    if "lava" in chosen:
        record["sections"] = chosen["lava"].describe(ladder.graph, **options.get("lava", {})).get("sections")
    finish(ladder.report, ladder, chosen, folder, name, record, json)
