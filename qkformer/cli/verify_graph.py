"""`qkformer verify FILE.nir --inputs FILE.npz`: any tool's network, from its floats to the targets, or integers on all.

Exit status as that of a checkpoint: 0 every spike that must be equal is, 1 an error was found, 2 could not run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export import quantize, run_ladder
from export.ladder.climb import BUNDLE
from hardware import get_chip
from hardware.report.owned_folder import check_owned

from .graphs import Reading, float_network
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

    What the float network itself does is reported beside, as agreement.
    """
    chosen = chosen_targets(against)
    options = lava_options(chosen, sections)
    check_writable(*(folder / name for name in FILES), json, reads=(file, reading.inputs), folders=[folder / BUNDLE])
    check_owned(folder / BUNDLE)
    network, inputs = float_network(file, reading)
    fixed = quantize(network, inputs, chip=get_chip(chip))
    show_table(certificate_table(fixed.certificate))
    for name, note in fixed.rounded_decays.items():
        say(f"note: {name}: {note}")
    record: dict[str, Any] = {"images": inputs.shape[1], "time_steps": inputs.shape[0], "sections": sections}
    record |= {"certificate": fixed.certificate.to_list(), "rounded_decays": fixed.rounded_decays}
    ladder = run_ladder(
        network, fixed, inputs, folder, targets=chosen, options=options, versions=versions(), watch=progress, **how
    )
    record["seconds"] = {name: rung.seconds for name, rung in ladder.stages.items()}
    if "lava" in chosen:
        record["sections"] = chosen["lava"].describe(ladder.graph, **options.get("lava", {})).get("sections")
    finish(ladder.report, ladder, chosen, folder, file.stem, record, json)
