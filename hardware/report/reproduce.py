"""Show the difference that this folder holds: `python reproduce.py`, with NumPy and NIR installed, without torch.

Runs the part of the network in graph.nir on the reference's spikes. Exit status: 0 nothing differs any more, 1 it does.
"""

import json
import sys
from pathlib import Path

import hardware


def main(folder: Path) -> int:
    """Compare the reference with the target as it was recorded, and as it runs here."""
    about = json.loads((folder / "about.json").read_text())
    name, target = about["population"], about["target"]
    spikes = hardware.SpikeTrace.load(folder / "spikes.trace")
    graph = hardware.read_graph(folder / "graph.nir", type_check=False)
    options = about["options"]
    if "chip" in options:
        options["chip"] = hardware.Chip.from_dict(options["chip"])
    print(f"{name}, {len(about['populations'])} of its network's populations, from the spikes of {about['sources']}")
    print("versions then:", ", ".join(f"{package} {version}" for package, version in about["versions"].items()))
    recorded = hardware.compare({name: spikes["reference"]}, {name: spikes["target"]})
    print(f"{target}, as recorded: {recorded.mismatches:,} of {recorded.compared:,} differ")
    print(f"  first: {recorded.first_divergence}")
    emitted = hardware.targets()[target].run(graph, spikes["inputs"], **options)[name]
    here = hardware.compare({name: spikes["reference"]}, {name: emitted})
    print(f"{target}, here: {here.mismatches:,} of {here.compared:,} differ")
    print(f"  first: {here.first_divergence}")
    for cause in about["explanation"]["causes"]:
        print(f"cause: {cause['kind']}: {cause['text']}")
    return 1 if here.mismatches else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent))
