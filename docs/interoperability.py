"""Writes the table of tools into docs/interoperability.md: what reads our graphs, runs them, and gives equal spikes.

    python docs/interoperability.py

It is made of docs/results/witness.json, which is filed from `make witness`, and of docs/interoperability.json, which
says where other tools stop; tests/hardware/targets/witness/test_where_tools_stop.py fails once one no longer does.
"""

from __future__ import annotations

import json
from pathlib import Path

DOCS = Path(__file__).parent
STOPS, RESULTS, PAGE = DOCS / "interoperability.json", DOCS / "results/witness.json", DOCS / "interoperability.md"
BEGIN, END = "<!-- tools: docs/interoperability.py -->", "<!-- end of tools -->"

RUN = {  # what the targets refuse, each with its reason in hardware/targets/
    "snntorch": ("snnTorch", "IF, which it reads with a leak of 0.9"),
    "spikingjelly": ("SpikingJelly", "nothing of ours"),
    "norse": ("Norse", "nothing of ours; wired by nirtorch, as its own `from_nir` runs depth first"),
}


def table() -> str:
    """The rows of all tools."""
    measured = json.loads(RESULTS.read_text())
    lines = ["| tool | version | reads | runs | equal | where it stops |", "| --- | --- | --- | --- | --- | --- |"]
    for name, (title, stops) in RUN.items():
        found = [network["targets"][name] for network in measured["result"]["networks"]]
        wrong, compared = (sum(parity[key] for parity in found) for key in ("mismatches", "compared"))
        version = measured["result"]["versions"][name]
        lines.append(f"| {title} | {version} | yes | yes | {wrong} of {compared:,} values differ | {stops} |")
    for tool in json.loads(STOPS.read_text()).values():
        lines.append(f"| {tool['title']} | {tool['version']} | {tool['reads']} | no | - | {tool['stops']} |")
    return "\n".join(lines)


def networks() -> str:
    """What was compared, by network."""
    measured = json.loads(RESULTS.read_text())
    lines = [f"| network | images | spikes | {' | '.join(title for title, _ in RUN.values())} |"]
    lines.append("| --- | --- | --- |" + " --- |" * len(RUN))
    for network in measured["result"]["networks"]:
        found = (network["targets"][name] for name in RUN)
        cells = " | ".join(f"{parity['mismatches']} of {parity['compared']:,}" for parity in found)
        lines.append(f"| {network['name']} | {network['images']} | {network['spikes']:,} | {cells} |")
    return "\n".join(lines) + f"\n\nMeasured {measured['date']} by `{measured['command']}`."


def filled(page: str) -> str:
    """The page with both tables between its marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n\n{networks()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
