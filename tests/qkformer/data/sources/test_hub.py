import datasets
import pytest
import torch
from labelled_images import gather, quietly, same

from qkformer.data import DataError, load_images


@pytest.fixture
def asked(parquet, monkeypatch):
    """What the Hub is asked for, in whose place the folder answers."""
    asked, build = [], datasets.load_dataset_builder

    def hub(name, config):
        asked.append((name, config))
        return build(parquet)

    monkeypatch.setattr(datasets, "load_dataset_builder", hub)
    return asked


def test_a_hub_name_goes_by_the_same_path(parquet, asked):
    local = gather(quietly(parquet).test_batches(batch_size=7))
    for streaming in False, True:
        data = quietly("hub:someone/images:small", streaming=streaming)
        assert asked[-1] == ("someone/images", "small")
        assert data.identity()["name"] == data.name == "someone/images:small"
        assert same([local], [gather(data.test_batches(batch_size=7))])
    images, labels = load_images("hub:someone/images", "test")
    assert asked[-1] == ("someone/images", None)
    assert torch.equal(images, local[0] / 255)
    assert torch.equal(labels, local[1])


def test_a_name_that_is_nowhere_is_told(monkeypatch):
    def hub(name, config):
        raise datasets.exceptions.DatasetNotFoundError(f"Dataset '{name}' doesn't exist\non the Hub")

    monkeypatch.setattr(datasets, "load_dataset_builder", hub)
    with pytest.raises(
        DataError, match=r"data 'no/where' is not given by the Hub: Dataset 'no/where' doesn't exist on"
    ):
        quietly("hub:no/where")


@pytest.mark.parametrize("name", ["cifar10", "", "a/b/c", "../no", "a/b:", "a/b:c/d"])
def test_what_is_no_name_of_the_hub_is_not_asked_for(no_network, name):
    with pytest.raises(DataError, match=rf"data 'hub:{name}': not a name of the Hub; write hub:OWNER/NAME"):
        quietly(f"hub:{name}")
