import torch
from labelled_images import gather, quietly, write_folder

from qkformer.data import load_images


def test_a_folder_goes_by_its_own_name(tmp_path, monkeypatch):
    write_folder(tmp_path / "animals", [(6, 6)] * 4)
    monkeypatch.chdir(tmp_path / "animals")
    monkeypatch.setenv("HOME", str(tmp_path))
    here, there = quietly("."), quietly("~/animals")
    assert here.name == there.name == "animals"
    assert here.identity() == there.identity()
    images, labels = gather(here.test_batches(batch_size=4))
    found, answers = load_images("~/animals", "test")
    assert torch.equal(found, images / 255)
    assert torch.equal(answers, labels)
