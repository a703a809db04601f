"""Installs a package that registers a target, as pip would: a module, and metadata with its entry point."""

import sys
from pathlib import Path

TINY = '''
import numpy as np
import hardware


class Tiny:
    """All that a target must have, and not more."""

    name = "{name}"

    def available(self):
        return None

    def check(self, graph, **options):
        pass

    def run(self, graph, inputs, *, progress=None, into=None, **options):
        return hardware.interpret(graph, inputs, into=into)


TARGET = Tiny()
'''


def install(folder: Path, name: str = "tiny", source: str = TINY, module: str = "tiny_target_package") -> None:
    """Write a module and its metadata into a folder that is on sys.path."""
    sys.modules.pop(module, None)  # what another test installed under that name
    (folder / f"{module}.py").write_text(source.replace("{name}", name))
    metadata = folder / f"{module}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[qkformer.targets]\n{name} = {module}:TARGET\n")
