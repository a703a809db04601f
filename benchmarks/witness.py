"""Every spike in other people's tools: the checkpoints that ship, and small networks of nested graphs, written flat.

    python benchmarks/witness.py [TOOL ...] [--images N] [--json FILE]

Digits are real images, enough for 10^7 values in each tool; the other checkpoints, whose data do not ship, see random
images. Each graph goes through a file. Exit status 1 if a value differs, 2 if a tool is absent.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import hardware
from export import FixedModel, quantize, reference_trace, to_nir
from hardware.errors import NotAvailableError
from hardware.graph.file import read_graph, write_graph
from hardware.targets.interface import require
from hardware.targets.witness.target import WitnessTarget
from qkformer import load_checkpoint, load_digits
from qkformer.checkpoints.checkpoint import shipped_checkpoints

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from published import lively_model, small_config

TOOLS = {name: target for name, target in hardware.targets().items() if isinstance(target, WitnessTarget)}
DIGITS, IMAGES = 36, 4  # 36 digits are 10,397,088 values


def networks(count: int | None) -> Any:
    """Name, fixed model and images [B, C, H, W] of each network."""
    random = torch.Generator().manual_seed(0)
    for name in shipped_checkpoints():
        model, config = load_checkpoint(name)
        if name == "qkformer-digits":
            yield name, quantize(model, load_digits("train")[0]), load_digits("test")[0][: count or DIGITS]
        else:
            shape = (config.in_channels, config.image_size, config.image_size)
            images = torch.randn(count or IMAGES, *shape, generator=random)
            yield name, quantize(model, images), images
    for name, attention, pooling in (
        ("small self-attention", "self", "spike"),
        ("small current-pool", "channel", "current"),
    ):
        images = torch.randn(count or IMAGES, 2, 4, 4, generator=random)
        yield name, quantize(lively_model(small_config(attention=attention, pooling=pooling, size=4)), images), images


def compare(name: str, fixed: FixedModel, images: torch.Tensor, tools: list[str]) -> dict[str, Any]:
    """One network in every tool, held against PyTorch's fixed model and, for gates, the interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        write_graph(to_nir(fixed, inline=True), Path(folder) / "model.nir")
        graph = read_graph(Path(folder) / "model.nir")
    inputs, reference = fixed.encode(images), reference_trace(fixed, images)
    wanted = hardware.interpret(graph, inputs)
    spikes = sum(int((values != 0).sum()) for values in reference.values())
    found: dict[str, Any] = {}
    for tool in tools:
        print(f"{name} in {tool} ...", file=sys.stderr, flush=True)
        start = time.perf_counter()
        trace = TOOLS[tool].run(graph, inputs)
        seconds = round(time.perf_counter() - start, 1)
        gates = hardware.compare(wanted, trace)
        populations = hardware.compare(reference, {population: trace[population] for population in reference})
        mismatches = max(gates.mismatches, populations.mismatches)
        found[tool] = {"mismatches": mismatches, "compared": gates.compared, "seconds": seconds}
        print(f"{name:<28}{tool:<14}{mismatches:>8} of {gates.compared:>12,} differ {seconds:8.1f} s", flush=True)
    size = images.shape[-1]
    return {"name": name, "images": len(images), "image_size": size, "spikes": spikes, "targets": found}


def main() -> int:
    """Compare, print, and perhaps write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tools", nargs="*", metavar="TOOL", help=f"of {', '.join(TOOLS)}; all unless given")
    parser.add_argument("--images", type=int, help=f"of each network; {DIGITS} digits and {IMAGES} others unless given")
    parser.add_argument("--json", type=Path, help="also write what is printed")
    asked = parser.parse_args()
    tools = asked.tools or list(TOOLS)
    if unknown := set(tools) - set(TOOLS):
        parser.error(f"no tool is called {', '.join(sorted(unknown))}; there are {', '.join(TOOLS)}")
    try:
        for tool in tools:
            require(TOOLS[tool])
    except NotAvailableError as error:
        parser.error(str(error))
    results = [compare(name, fixed, images, tools) for name, fixed, images in networks(asked.images)]
    versions = {tool: TOOLS[tool].tested for tool in tools}
    if asked.json:
        asked.json.write_text(json.dumps({"networks": results, "versions": versions}, indent=2) + "\n")
    wrong = sum(found["mismatches"] for network in results for found in network["targets"].values())
    compared = sum(found["compared"] for network in results for found in network["targets"].values())
    print(f"{wrong} of {compared:,} values differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
