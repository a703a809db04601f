"""Published architectures with golden weights: the fixed model's spikes in PyTorch against those of the targets.

    python benchmarks/published.py [NAME ...] [--images 2] [--targets interpreter,lava] [--json FILE]

Weights and images are drawn from names, as in the tests. Gates are not executed one by one: nested graphs that are
proven by their gates run as one operation. tests/test_published_networks.py repeats some of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import hardware
from export import quantize, reference_trace, to_nir

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from published import golden_inputs, golden_model

NAMES = ("qkformer-cifar10", "spikformer-4-384", "qkformer-dvs128")


def measure(name: str, count: int, targets: list[str]) -> dict[str, Any]:
    """Compared and different values, and seconds, on each target."""
    model = golden_model(name)
    images = golden_inputs(model.config, count)
    fixed = quantize(model, images)
    graph, inputs, reference = to_nir(fixed, allow_large=True), fixed.encode(images), reference_trace(fixed, images)
    found = {}
    for target in targets:
        start = time.perf_counter()
        trace = hardware.targets()[target].run(graph, inputs)
        seconds = round(time.perf_counter() - start, 1)
        report = hardware.compare(reference, trace)
        found[target] = {"compared": report.compared, "mismatches": report.mismatches, "seconds": seconds}
        print(f"{name}, {count} images, {target}: {report.mismatches} of {report.compared:,} differ, {seconds} s")
    return {"name": name, "image_size": model.config.image_size, "images": count, "targets": found}


def main() -> None:
    """Measure each network; exit 1 if a spike differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(NAMES))
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--targets", default="interpreter,lava")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    networks = [measure(name, options.images, options.targets.split(",")) for name in options.names]
    if options.json:
        options.json.write_text(json.dumps({"networks": networks}, indent=2) + "\n")
    sys.exit(any(target["mismatches"] for network in networks for target in network["targets"].values()))


if __name__ == "__main__":
    main()
