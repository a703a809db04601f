import datasets
import pytest
import torch
from labelled_images import CLASSES, TEST, TRAIN, gather, quietly, same, stored, write_parquet

from qkformer.data import DataError, batches, rows_source
from qkformer.data.labelled_rows import LabelledRows


@pytest.fixture(params=["memory", "table", "stream"])
def data(request, parquet, monkeypatch):
    """The same images, kept in each of the three ways."""
    if request.param == "table":
        monkeypatch.setattr(rows_source, "IN_MEMORY", 0)
    return quietly(parquet, streaming=request.param == "stream")


def test_what_is_opened_is_what_was_written(data):
    assert data.name == "set"
    assert data.class_names == CLASSES
    assert data.classes == 3
    assert (data.train_size, data.test_size, data.scale) == (TRAIN, TEST, 255)
    images, labels = gather(data.test_batches(batch_size=4))
    assert images.dtype == torch.uint8
    assert labels.dtype == torch.int64
    assert torch.equal(images, stored(TEST, 1)[0])
    assert torch.equal(labels, stored(TEST, 1)[1])
    trained, answers = gather(data.train_batches(batch_size=5, seed=1, epoch=0))
    originals, their_labels = stored(TRAIN)
    places = [(originals == image).flatten(1).all(1).nonzero().item() for image in trained]
    assert sorted(places) == list(range(TRAIN))
    assert places != sorted(places)
    assert torch.equal(answers, their_labels[places])


def test_seed_and_epoch_decide_the_order(data):
    first = list(data.train_batches(batch_size=5, seed=1, epoch=0))
    assert [len(labels) for _, labels in first] == [5, 5, 5, 5, 3]
    assert data.steps_per_epoch(5) == 5
    assert same(first, data.train_batches(batch_size=5, seed=1, epoch=0))
    for place in {"seed": 1, "epoch": 1}, {"seed": 2, "epoch": 0}:
        assert not torch.equal(gather(first)[0], gather(data.train_batches(batch_size=5, **place))[0])


def test_an_epoch_can_be_begun_anywhere(data):
    whole = list(data.train_batches(batch_size=5, seed=3, epoch=2))
    for start in range(6):
        assert same(data.train_batches(batch_size=5, seed=3, epoch=2, start=start), whole[start:])


def test_processes_share_every_batch(data):
    whole = list(data.train_batches(batch_size=6, seed=3, epoch=2, start=1))
    for rank in 0, 1:
        parts = data.train_batches(batch_size=6, seed=3, epoch=2, start=1, rank=rank, world=2)
        assert same(parts, ((images[rank::2], labels[rank::2]) for images, labels in whole))


def test_a_last_batch_too_small_for_all_is_dropped(data):
    # 23 images: three are left, at least two for one process, not for two.
    assert [len(labels) for _, labels in data.train_batches(batch_size=10, seed=0, epoch=0)] == [10, 10, 3]
    for rank in 0, 1:
        batches = data.train_batches(batch_size=10, seed=0, epoch=0, rank=rank, world=2)
        assert [len(labels) for _, labels in batches] == [5, 5]
    assert [data.steps_per_epoch(10, world) for world in (1, 2)] == [3, 2]
    assert [len(labels) for _, labels in data.train_batches(batch_size=11, seed=0, epoch=0)] == [11, 11]


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_every_test_image_is_there_once(data, world):
    found = []
    for rank in range(world):
        for images, _ in data.test_batches(batch_size=5, rank=rank, world=world):
            assert len(images)
            found += images[:, :, 0, 0].tolist()
    assert sorted(found) == sorted(stored(TEST, 1)[0][:, :, 0, 0].tolist())


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # Python 3.12 and later
def test_workers_change_nothing(data):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    alone, helped = (data.train_batches(batch_size=5, seed=3, epoch=2, start=1, workers=n) for n in (0, 2))
    assert same(alone, helped)
    assert same(data.test_batches(batch_size=2), data.test_batches(batch_size=2, workers=2))
    assert torch.equal(torch.get_rng_state(), state)


def test_tables_and_memory_have_one_order(parquet, monkeypatch):
    memory = quietly(parquet)
    monkeypatch.setattr(rows_source, "IN_MEMORY", 0)
    where = {"batch_size": 5, "seed": 3, "epoch": 2}
    assert same(memory.train_batches(**where), quietly(parquet).train_batches(**where))


def test_what_is_before_the_start_is_not_decoded(data, monkeypatch):
    decoded = []
    monkeypatch.setattr(LabelledRows, "decode", lambda rows, row: decoded.append(row) or 1 / 0)
    batches = data.train_batches(batch_size=5, seed=0, epoch=0, start=5)
    assert list(batches) == []
    assert decoded == []


def test_batches_that_cannot_be_shared_are_refused(data):
    for wrong, message in (
        ({"batch_size": 3, "world": 4}, "batch_size is 3; it must be at least 1 for each of 4 processes"),
        ({"batch_size": 4, "world": 2, "rank": 2}, "rank is 2; it must be from 0 to 1"),
        ({"batch_size": 4, "start": -1}, "start is -1"),
    ):
        with pytest.raises(ValueError, match=message):
            data.train_batches(seed=0, epoch=0, **wrong)
    with pytest.raises(DataError, match="23 images are too few for 13 processes"):
        data.steps_per_epoch(100, world=13)


def test_a_stream_is_shuffled_within_a_buffer(tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "SHUFFLE_BUFFER", 4)
    source = write_parquet(tmp_path / "set")
    table = datasets.Dataset.from_parquet(f"{source}/train.parquet")
    for number in range(3):
        table.shard(3, number, contiguous=True).to_parquet(tmp_path / "set" / f"train-{number:05}-of-00003.parquet")
    (tmp_path / "set" / "train.parquet").unlink()
    data, files = quietly(source, streaming=True), [range(8), range(8, 16), range(16, 23)]
    originals, first_files = stored(TRAIN)[0], set()
    for seed in range(8):
        images, _ = gather(data.train_batches(batch_size=23, seed=seed, epoch=0))
        places = [(originals == image).flatten(1).all(1).nonzero().item() for image in images]
        assert sorted(places) == list(range(TRAIN))
        # Before any file's row can come all but four rows of the files before it came.
        started = [min(places.index(place) for place in file) for file in files]
        order = sorted(range(3), key=started.__getitem__)
        assert started[order[1]] >= len(files[order[0]]) - 4
        assert started[order[2]] >= len(files[order[0]]) + len(files[order[1]]) - 4
        first_files.add(order[0])
    assert first_files == {0, 1, 2}


def test_a_stream_of_another_length_than_announced_is_told(parquet):
    data = quietly(parquet, streaming=True)
    for announced in 20, 22, 24, 30:
        object.__setattr__(data._train, "size", announced)
        with pytest.raises(DataError, match=f"images where {announced} are announced"):
            list(data.train_batches(batch_size=5, seed=0, epoch=0))
