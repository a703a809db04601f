import pytest
import torch

from qkformer import CheckpointError, Recipe, create_model, evaluate, load_checkpoint, read_metadata, train
from qkformer.data import DATA_SETS, load_digits


@pytest.fixture(autouse=True)
def few_digits(monkeypatch):
    """A twentieth of the digits: enough to learn something in seconds."""

    def few(split):
        images, labels = load_digits(split)
        return images[::20], labels[::20]

    monkeypatch.setitem(DATA_SETS, "few-digits", few)


RECIPE = Recipe(epochs=3, batch_size=32, threads=1)


def run(path, **options):
    return train("qkformer-digits", output=path, data="few-digits", recipe=RECIPE, show_progress=False, **options)


def weights(path):
    return load_checkpoint(path)[0].state_dict()


def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path):
    epochs = []
    last = run(tmp_path / "whole", on_epoch=epochs.append)
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]
    assert epochs[-1] == last
    assert last.loss < epochs[0].loss

    def interrupt(epoch):
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", on_epoch=interrupt)
    assert read_metadata(tmp_path / "parts")["epoch"] == 2
    resumed = run(tmp_path / "parts", resume=True)
    assert (resumed.loss, resumed.accuracy) == (last.loss, last.accuracy)
    expected = weights(tmp_path / "whole")
    for key, tensor in weights(tmp_path / "parts").items():
        assert torch.equal(tensor, expected[key]), key

    metadata = read_metadata(tmp_path / "whole")
    assert metadata["recipe"]["seed"] == 0
    assert metadata["accuracy"] == last.accuracy
    assert metadata["command"].startswith("qkformer.train('qkformer-digits'")


def test_the_threads_are_those_of_the_recipe_and_then_as_before(tmp_path):
    seen = []
    before = torch.get_num_threads()
    options = {"data": "few-digits", "show_progress": False, "on_epoch": lambda _: seen.append(torch.get_num_threads())}
    train("qkformer-digits", output=tmp_path / "run", recipe=Recipe(epochs=1, threads=before + 1), **options)
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


def test_resuming_needs_a_state_of_the_same_recipe(tmp_path):
    with pytest.raises(CheckpointError, match="no state to resume from"):
        run(tmp_path / "none", resume=True)
    (tmp_path / "bad.state").write_bytes(b"not a state")
    with pytest.raises(CheckpointError, match=r"bad.state: not a checkpoint, or damaged"):
        run(tmp_path / "bad", resume=True)
    torch.save({"weights": torch.zeros(1)}, tmp_path / "bad.state")
    with pytest.raises(CheckpointError, match=r"bad.state: not a training state"):
        run(tmp_path / "bad", resume=True)


def test_another_recipe_is_not_resumed(tmp_path):
    options = {"output": tmp_path / "run", "data": "few-digits", "show_progress": False}
    train("qkformer-digits", recipe=Recipe(epochs=1, threads=1), **options)
    with pytest.raises(CheckpointError, match=r"run.state: the run to resume had recipe .*'epochs': 1.* not .*: 2"):
        train("qkformer-digits", recipe=Recipe(epochs=2, threads=1), resume=True, **options)


def test_a_recipe_is_checked():
    with pytest.raises(ValueError, match="epochs is 0; it must be at least 1"):
        Recipe(epochs=0)
    with pytest.raises(ValueError, match="weight_decay is -1; it must be at least 0"):
        Recipe(weight_decay=-1)


def test_evaluation_counts_and_keeps_the_mode():
    model = create_model("qkformer-digits")
    images, labels = load_digits("test")
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(torch.arange(10.0))
    assert evaluate(model, images, labels) == (labels == 9).sum().item() / len(labels)
    assert model.training
