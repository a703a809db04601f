"""Writes the support matrix into README.md: which configurations run on which target, and how far that was shown.

    python docs/support.py [measure]

It is made of docs/support.json and docs/results/*.json. `measure` writes support.json first: it quantizes every
configuration, which takes minutes.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
FACTS, README = DOCS / "support.json", DOCS.parent / "README.md"
BEGIN, END = "<!-- support: docs/support.py -->", "<!-- end of support -->"
TARGETS = ("interpreter", "lava", "onnx")

ROWS = {  # what a reader looks for: the names of its configurations
    "deployable: Q-K attention, pooled spikes": r"qkformer-(digits|fashion-mnist|cifar10-deployable)",
    "QKFormer for CIFAR": r"qkformer-cifar100?",
    "QKFormer for events": r"qkformer-(cifar10-dvs|dvs128|dvs128-paper)",
    "QKFormer for ImageNet": r"qkformer-10-\d+",
    "Spikformer for CIFAR": r"spikformer-[24]-\d+",
    "Spikformer for ImageNet": r"spikformer-8-\d+",
    "Spikformer for events": r"spikformer-cifar10-dvs",
    "ablations of attention, embedding, neuron": r"qkformer-cifar10(0|-dvs)-(?!pre-activation).+",
    "pre-activation residual": r"qkformer-.+-pre-activation",
}

Facts = dict[str, dict[str, Any]]


def names_of(row: str, facts: Facts) -> list[str]:
    """The configurations of a row."""
    return [name for name in facts if re.fullmatch(ROWS[row], name)]


def measure(name: str) -> dict[str, Any]:
    """Parameters, gates in nested graphs (of fresh weights: how many depends on them a little), why not exported."""
    import torch

    from export import ExportError, count_gates, quantize
    from qkformer import create_model

    torch.manual_seed(0)
    model = create_model(name).eval()
    config = model.config
    frames = (config.time_steps,) if config.events else ()
    white = torch.ones(1, *frames, config.in_channels, config.image_size, config.image_size)
    found: dict[str, Any] = {"parameters": sum(p.numel() for p in model.parameters()), "gates": None, "refused": None}
    try:
        found["gates"] = sum(count_gates(quantize(model, white)).values())
    except ExportError as error:
        found["refused"] = str(error)
    return found


def compared() -> dict[str, set[str]]:
    """Target -> the configurations of which whole networks were compared with it, with no value that differs."""
    found: dict[str, set[str]] = {target: set() for target in TARGETS}
    results = [json.loads(path.read_text())["result"] for path in sorted((DOCS / "results").glob("*.json"))]
    networks = [n for r in results if isinstance(r, dict) for n in (*r.get("networks", ()), *[r] * ("targets" in r))]
    for network in networks:
        for target, parity in network["targets"].items():
            if not parity["mismatches"]:
                found.setdefault(target, set()).add(network.get("name") or network["checkpoint"])
    return found


def millions(values: list[int]) -> str:
    """The range of some counts."""
    low, high = (f"{value / 1e6:.2g}" if value < 1e8 else f"{value / 1e6:.0f}" for value in (min(values), max(values)))
    return "0" if not max(values) else f"{low} million" if low == high else f"{low} to {high} million"


def table(facts: Facts) -> str:
    """The matrix."""
    exact = compared()
    lines = [f"| configurations | parameters | gates of nested graphs | {' | '.join(TARGETS)} |"]
    lines.append("| --- | --- | --- |" + " --- |" * len(TARGETS))
    for row in ROWS:
        names = names_of(row, facts)
        parameters = millions([facts[name]["parameters"] for name in names])
        if any(facts[name]["refused"] for name in names):
            cells = ["-", *["not exported"] * len(TARGETS)]
        else:
            gates = millions([facts[name]["gates"] for name in names])
            cells = [gates, *("exact" if exact[target] & set(names) else "not compared" for target in TARGETS)]
        lines.append(f"| {row} ({len(names)}) | {parameters} | {' | '.join(cells)} |")
    return "\n".join(lines)


def filled(readme: str, facts: Facts) -> str:
    """README with the matrix between its marks."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{table(facts)}\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Write the matrix, perhaps from fresh facts."""
    if sys.argv[1:] == ["measure"]:
        from qkformer import config_names

        facts = {name: measure(name) for name in config_names()}
        FACTS.write_text(json.dumps(facts, indent=2) + "\n")
    README.write_text(filled(README.read_text(), json.loads(FACTS.read_text())))


if __name__ == "__main__":
    main()
