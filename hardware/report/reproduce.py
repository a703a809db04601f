"""Show the difference that this folder holds: `python reproduce.py`, with NumPy and NIR installed, without torch.

Runs the part of the network in graph.nir on the reference's spikes. Exit status: 0 nothing differs any more, 1 it does,
2 it could not run.
"""

import sys
from pathlib import Path

import hardware
from hardware.errors import InputError, UserError
from hardware.printable import printable
from hardware.report.about import About
from hardware.targets.interface import check_options, require
from hardware.targets.registry import get_target


def main(folder: Path) -> int:
    """Compare the reference with the target as it was recorded, and as it runs here."""
    about = About.read(folder / "about.json")
    target = get_target(about.target)
    check_options(target, about.options)
    require(target)
    spikes = hardware.SpikeTrace.load(folder / "spikes.trace")
    if missing := {"inputs", "reference", "target"} - set(spikes):
        raise InputError(f"{folder / 'spikes.trace'}: lacks {', '.join(sorted(missing))}; it is not what was written")
    graph = hardware.read_graph(folder / "graph.nir", type_check=False)
    name = about.population
    say(f"{name}, {len(about.populations)} of its network's populations, from the spikes of {list(about.sources)}")
    say("versions then: " + ", ".join(f"{package} {version}" for package, version in about.versions.items()))
    recorded = hardware.compare({name: spikes["reference"]}, {name: spikes["target"]})
    say(f"{target.name}, as recorded: {recorded.mismatches:,} of {recorded.compared:,} differ")
    say(f"  first: {recorded.first_divergence}")
    trace = target.run(graph, spikes["inputs"], **about.options)
    if name not in trace:
        raise InputError(f"{folder / 'graph.nir'}: has no population '{name}', which about.json names")
    here = hardware.compare({name: spikes["reference"]}, {name: trace[name]})
    say(f"{target.name}, here: {here.mismatches:,} of {here.compared:,} differ")
    say(f"  first: {here.first_divergence}")
    for kind, text in about.causes:
        say(f"cause: {kind}: {text}")
    return 1 if here.mismatches else 0


def say(text: str) -> None:
    """One line."""
    print(printable(text))


if __name__ == "__main__":
    try:
        sys.exit(main(Path(__file__).resolve().parent))
    except (UserError, OSError) as error:
        print("error:", printable(" ".join(str(error).split())), file=sys.stderr)
        sys.exit(2)
