"""A source is found by its file alone."""

import sys

import torch

from qkformer.data import load_images, sources

NEW = """
import torch
from qkformer.data.source import Source

class Noise(Source):
    form = "noise:SEED"

    @classmethod
    def recognizes(cls, text):
        return text.startswith("noise:")

    def open(self, wanted, *, streaming, show_progress):
        raise NotImplementedError

    def load(self, split, count, wanted):
        images = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(int(self.text[6:])))
        return images, torch.zeros(count, dtype=torch.int64)
"""


def test_every_kind_has_a_file():
    assert [kind.__name__ for kind in sources.kinds()] == ["Digits", "Folder", "Hub", "Npz"]
    assert [kind.__module__.rpartition(".")[2] for kind in sources.kinds()] == ["digits", "folder", "hub", "npz"]


def test_a_new_kind_is_one_file(tmp_path, monkeypatch):
    (tmp_path / "noise.py").write_text(NEW)
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(tmp_path)])
    sources.kinds.cache_clear()
    try:
        images, labels = load_images("noise:3", "test", 2)
    finally:
        sources.kinds.cache_clear()
        sys.modules.pop(f"{sources.__name__}.noise")
    assert torch.equal(images, torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(3)))
    assert labels.tolist() == [0, 0]


def test_a_source_goes_by_its_form(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.npz").mkdir()
    found = {
        text: type(sources.find_source(text)).__name__ for text in ("digits", ".", "hub:a/b", "x.npz", "folder.npz")
    }
    assert found == {"digits": "Digits", ".": "Folder", "hub:a/b": "Hub", "x.npz": "Npz", "folder.npz": "Folder"}
