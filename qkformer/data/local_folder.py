"""What is checked of a folder of data before anyone reads it: its extent, and that it leads nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import DataError

LARGEST_FOLDER = 4_000_000  # files, three times ImageNet's
DESCRIPTIONS = ("README.md", ".huggingface.yaml")  # in which `datasets` looks for places of files
LARGEST_DESCRIPTION = 2**20  # characters


def check_folder(folder: Path) -> None:
    """Raise DataError for links in a circle, too many files, or a description with addresses of the network."""
    _count(folder, (os.path.realpath(folder),), 0)
    for name in DESCRIPTIONS:
        if (folder / name).is_file() and "://" in _front_matter(folder / name):
            raise DataError(
                f"{folder / name}: its front matter names an address; a folder is read without the network: take the "
                "address out, or write hub:OWNER/NAME"
            )


def _count(folder: Path, way: tuple[str, ...], count: int) -> int:
    """The number of entries up to the end of a folder. way: where one came from, without links."""
    with os.scandir(folder) as entries:
        for entry in entries:
            count += 1
            if count > LARGEST_FOLDER:
                raise DataError(f"{way[0]}: holds more than {LARGEST_FOLDER:,} files; give a smaller folder")
            if not entry.is_dir():
                continue
            place = os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(way[-1], entry.name)
            if place in way:
                raise DataError(f"{entry.path}: leads back to {place}; take this link away")
            count = _count(Path(entry.path), (*way, place), count)
    return count


def _front_matter(file: Path) -> str:
    with file.open(encoding="utf-8", errors="replace") as lines:
        text = lines.read(LARGEST_DESCRIPTION)
    if file.suffix != ".md":
        return text
    return text.split("\n---", 1)[0] if text.startswith("---") else ""
