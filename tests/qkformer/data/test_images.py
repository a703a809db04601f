import shutil
import sys

import numpy as np
import pytest
import torch
from digits_folder import write_digits
from PIL import Image

from qkformer import load_digits
from qkformer.data import batches as image_batches
from qkformer.data import images as image_data
from qkformer.data.images import load_pictures, open_images
from qkformer.data.source import DataError

datasets = pytest.importorskip("datasets", reason="Hugging Face datasets is an optional package")
SIZE = 6
TRAIN, TEST = 23, 7
CLASSES = ("cat", "dog", "eel")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    datasets.disable_progress_bars()


def pictures(count, size=SIZE, channels=3, seed=0):
    """Pictures that differ from one another, and their labels."""
    generator = np.random.default_rng(seed)
    shape = (count, size, size, 3) if channels == 3 else (count, size, size)
    return generator.integers(0, 256, shape, dtype=np.uint8), generator.integers(0, len(CLASSES), count)


def write_parquet(folder, train=None, test=None, label="label", **columns):
    folder.mkdir(exist_ok=True)
    features = {"picture": datasets.Image(), label: datasets.ClassLabel(names=list(CLASSES))}
    for name, (images, labels) in (("train", train or pictures(TRAIN)), ("test", test or pictures(TEST, seed=1))):
        rows = {"picture": [Image.fromarray(image) for image in images], label: labels.tolist()}
        rows |= {column: labels.tolist() for column in columns}
        table = datasets.Dataset.from_dict(rows, features=datasets.Features(features | columns))
        table.to_parquet(folder / f"{name}.parquet")
    return str(folder)


def write_folder(folder, sizes, test="validation"):
    """train/CLASS/NUMBER.png, each of one colour that its number tells."""
    for split in "train", test:
        for number, (width, height) in enumerate(sizes):
            place = folder / split / CLASSES[number % len(CLASSES)]
            place.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (width, height), (10 * number, 0, 0)).save(place / f"{number}.png")
    return str(folder)


@pytest.fixture
def parquet(tmp_path):
    return write_parquet(tmp_path / "set")


def quietly(source, **options):
    return open_images(source, **({"channels": 3, "image_size": SIZE, "show_progress": False} | options))


@pytest.fixture(params=["memory", "table", "stream"])
def data(request, parquet, monkeypatch):
    """The same pictures, kept in each of the three ways."""
    if request.param == "table":
        monkeypatch.setattr(image_data, "IN_MEMORY", 0)
    return quietly(parquet, streaming=request.param == "stream")


def gather(batches):
    images, labels = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels)


def stored(count, seed=0):
    images, labels = pictures(count, seed=seed)
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels)


def same(batches, others):
    batches, others = list(batches), list(others)
    assert len(batches) == len(others)
    return all(torch.equal(a, b) for pair in zip(batches, others, strict=True) for a, b in zip(*pair, strict=True))


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
    # 23 pictures: three are left, at least two for one process, not for two.
    assert [len(labels) for _, labels in data.train_batches(batch_size=10, seed=0, epoch=0)] == [10, 10, 3]
    for rank in 0, 1:
        batches = data.train_batches(batch_size=10, seed=0, epoch=0, rank=rank, world=2)
        assert [len(labels) for _, labels in batches] == [5, 5]
    assert [data.steps_per_epoch(10, world) for world in (1, 2)] == [3, 2]
    assert [len(labels) for _, labels in data.train_batches(batch_size=11, seed=0, epoch=0)] == [11, 11]


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_every_test_picture_is_there_once(data, world):
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
    monkeypatch.setattr(image_data, "IN_MEMORY", 0)
    where = {"batch_size": 5, "seed": 3, "epoch": 2}
    assert same(memory.train_batches(**where), quietly(parquet).train_batches(**where))


def test_decoding_into_memory_shows_progress(parquet, capsys):
    quietly(parquet, show_progress=True)
    assert "decoding set train" in capsys.readouterr().out


def test_what_is_before_the_start_is_not_decoded(data, monkeypatch):
    decoded = []
    monkeypatch.setattr("qkformer.image_source.ImageSource.decode", lambda source, row: decoded.append(row) or 1 / 0)
    batches = data.train_batches(batch_size=5, seed=0, epoch=0, start=5)
    assert list(batches) == []
    assert decoded == []


def test_digits_need_no_datasets(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    data = open_images("digits", channels=1, image_size=8)
    assert (data.classes, data.train_size, data.test_size, data.scale) == (10, 1437, 360, 16)
    images, labels = gather(data.test_batches(batch_size=100))
    originals, their_labels = load_digits("test")
    assert torch.equal(images / data.scale, originals)
    assert torch.equal(labels, their_labels)
    colour = gather(open_images("digits", channels=3, image_size=8).test_batches(batch_size=360))[0]
    assert torch.equal(colour, images.expand(-1, 3, -1, -1))
    with pytest.raises(DataError, match="'digits' is of 8x8 pictures; the model takes 32x32"):
        open_images("digits", channels=1, image_size=32)


def test_without_datasets_the_error_says_what_to_install(monkeypatch, parquet):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r'pip install "qkformer\[train\]"'):
        quietly(parquet)


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_rgb_as_the_model_takes_them(tmp_path, channels):
    source = write_parquet(tmp_path / "set", pictures(4, channels=4 - channels), pictures(4, channels=4 - channels))
    images, _ = gather(quietly(source, channels=channels).test_batches(batch_size=4))
    originals, mode = pictures(4, channels=4 - channels)[0], {1: "L", 3: "RGB"}[channels]
    expected = np.stack([np.array(Image.fromarray(image).convert(mode)) for image in originals])
    assert torch.equal(images, torch.from_numpy(expected.reshape(4, SIZE, SIZE, channels)).permute(0, 3, 1, 2))


def test_pictures_of_other_sizes_are_cropped(tmp_path):
    sizes = [(20 + 3 * number, 40 - 2 * number) for number in range(12)]
    data = quietly(write_folder(tmp_path / "folder", sizes), image_size=16)
    assert data.identity()["pictures"] == "random resized crops"
    assert (data.train_size, data.test_size, data.class_names) == (12, 12, CLASSES)
    images, labels = gather(data.test_batches(batch_size=5))
    assert images.shape == (12, 3, 16, 16)
    # One colour each, whose red is ten times the picture's number: crops show nothing else.
    assert (images == images[:, :, :1, :1]).all()
    numbers = images[:, 0, 0, 0] // 10
    assert torch.equal(labels, numbers % 3)
    assert sorted(numbers.tolist()) == list(range(12))


def test_crops_are_random_and_depend_on_the_place_alone(tmp_path):
    waves = np.add.outer(np.arange(40), 3 * np.arange(50))
    for split in "train", "test":
        for number in range(8):
            place = tmp_path / split / CLASSES[number % 2]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.stack([waves, waves, waves + number], -1).astype(np.uint8)).save(place / f"{number}.png")
    table, stream = (quietly(str(tmp_path), image_size=16, streaming=streaming) for streaming in (False, True))
    for data in table, stream:
        whole = list(data.train_batches(batch_size=4, seed=0, epoch=0))
        assert same(data.train_batches(batch_size=4, seed=0, epoch=0, start=1, workers=0), whole[1:])
        half = data.train_batches(batch_size=4, seed=0, epoch=0, rank=1, world=2)
        assert same(half, ((images[1::2], labels[1::2]) for images, labels in whole))
        images, _ = gather(whole)
        assert len({image.numpy().tobytes() for image in images[:, :2]}) == 8
        again, _ = gather(data.train_batches(batch_size=4, seed=0, epoch=1))
        assert not torch.equal(images.sort(0)[0], again.sort(0)[0])
    assert same(table.test_batches(batch_size=8), stream.test_batches(batch_size=8))
    # The middle of a picture 40 high, resized to 18: rows and columns 1 and 3.25 of its own 40 by 50.
    middle, _ = gather(table.test_batches(batch_size=8))
    reference = Image.fromarray(waves.astype(np.uint8)).resize((22, 18), Image.Resampling.BICUBIC)
    assert torch.equal(middle[0, 0], torch.from_numpy(np.array(reference)[1:17, 3:19]))


def test_identity_tells_data_sets_apart_but_not_places(tmp_path, parquet, monkeypatch):
    def identities(source, **options):
        kept = [quietly(source, streaming=streaming, **options).identity() for streaming in (False, True)]
        with monkeypatch.context() as context:
            context.setattr(image_data, "IN_MEMORY", 0)
            return [*kept, quietly(source, **options).identity()]

    first = identities(parquet)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(parquet, elsewhere / "set")
    assert identities(str(elsewhere / "set")) == first
    assert str(tmp_path) not in str(first)
    write_parquet(elsewhere / "set", train=pictures(TRAIN, seed=5))
    for old, new in zip(first, identities(str(elsewhere / "set")), strict=True):
        assert old != new
        assert old["fingerprint"] != new["fingerprint"]
    assert first[0]["sizes"] == {"train": TRAIN, "test": TEST}
    assert first[0]["order"] != first[1]["order"]


def test_shards_are_one_split(tmp_path, parquet):
    whole = gather(quietly(parquet).test_batches(batch_size=TEST))
    table = datasets.Dataset.from_parquet(f"{parquet}/test.parquet")
    for number in range(2):
        shard = table.shard(2, number, contiguous=True)
        shard.to_parquet(tmp_path / "set" / f"test-{number:05}-of-00002.parquet")
    (tmp_path / "set" / "test.parquet").unlink()
    (tmp_path / "set" / "train.parquet").rename(tmp_path / "set" / "train-00000-of-00001.parquet")
    data = quietly(parquet)
    assert data.train_size == TRAIN
    assert same([whole], [gather(data.test_batches(batch_size=3))])


def test_secret_labels_are_not_tested_on(tmp_path):
    images, labels = pictures(5, seed=2)
    source = write_parquet(tmp_path / "set", test=(images, np.full(5, -1)))
    with pytest.raises(DataError, match="has no split to test on: none of test, validation"):
        quietly(source)
    write_parquet(tmp_path / "other", test=(images, labels))
    shutil.copy(tmp_path / "other" / "test.parquet", tmp_path / "set" / "validation.parquet")
    assert torch.equal(gather(quietly(source).test_batches(batch_size=5))[1], torch.from_numpy(labels))


def test_a_missing_label_is_told(tmp_path):
    images, labels = pictures(5)
    labels[3] = -1
    with pytest.raises(DataError, match="a label is -1; classes are 0 to 2"):
        quietly(write_parquet(tmp_path / "set", train=(images, labels)))


def test_columns_are_found_by_their_type(tmp_path):
    coarse = datasets.ClassLabel(names=["a", "b", "c"])
    two = write_parquet(tmp_path / "two", label="fine", coarse=coarse)
    with pytest.raises(DataError, match=r"several columns of labels \(ClassLabel\): \['fine', 'coarse'\]; choose one"):
        quietly(two)
    assert quietly(two, label="coarse").class_names == ("a", "b", "c")
    assert quietly(two, label="fine").identity() != quietly(two, label="coarse").identity()
    with pytest.raises(DataError, match="has no column 'kind' of labels"):
        quietly(two, label="kind")
    for number, split in enumerate(("train", "test")):
        table = datasets.Dataset.from_dict({"text": ["a"], "number": [number]})
        table.to_parquet(tmp_path / f"{split}.parquet")
    with pytest.raises(DataError, match=r"no column of pictures \(Image\) \(all its columns: \['text', 'number'\]\)"):
        quietly(str(tmp_path))


def test_splits_that_are_missing_are_told(tmp_path, parquet):
    (tmp_path / "set" / "test.parquet").rename(tmp_path / "set" / "extra.txt")
    with pytest.raises(DataError, match="has no split to test on"):
        quietly(parquet)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="empty' cannot be read"):
        quietly(str(empty))


def test_sizes_that_do_not_fit_are_told(tmp_path, parquet, monkeypatch):
    with pytest.raises(DataError, match="is of 6x6 pictures; the model takes 32x32: choose a configuration"):
        quietly(parquet, image_size=32)
    monkeypatch.setattr(image_data, "PEEK", 2)
    mixed = write_folder(tmp_path / "mixed", [(SIZE, SIZE)] * 8 + [(9, 7)])
    with pytest.raises(DataError, match="holds pictures of 9x7 among those of 6x6"):
        quietly(mixed)
    with pytest.raises(ValueError, match="channels is 2"):
        quietly(parquet, channels=2)


def test_sixteen_bits_are_not_cut_off(tmp_path):
    for place in (tmp_path / split / name for split in ("train", "test") for name in ("cat", "dog")):
        place.mkdir(parents=True)
        Image.fromarray(np.full((SIZE, SIZE), 3000, dtype=np.uint16)).save(place / "0.png")
    with pytest.raises(ValueError, match="more than 8 bits"):
        quietly(str(tmp_path), channels=1)


def test_batches_that_cannot_be_shared_are_refused(data):
    for wrong, message in (
        ({"batch_size": 3, "world": 4}, "batch_size is 3; it must be at least 1 for each of 4 processes"),
        ({"batch_size": 4, "world": 2, "rank": 2}, "rank is 2; it must be from 0 to 1"),
        ({"batch_size": 4, "start": -1}, "start is -1"),
    ):
        with pytest.raises(ValueError, match=message):
            data.train_batches(seed=0, epoch=0, **wrong)
    with pytest.raises(DataError, match="23 pictures are too few for 13 processes"):
        data.steps_per_epoch(100, world=13)


def test_a_stream_is_shuffled_within_a_buffer(tmp_path, monkeypatch):
    monkeypatch.setattr(image_batches, "SHUFFLE_BUFFER", 4)
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
        with pytest.raises(DataError, match=f"pictures where {announced} are announced"):
            list(data.train_batches(batch_size=5, seed=0, epoch=0))


def test_a_hub_name_goes_by_the_same_path(parquet, monkeypatch):
    asked, build = [], datasets.load_dataset_builder

    def hub(name, config):
        asked.append((name, config))
        return build(parquet)

    monkeypatch.setattr(datasets, "load_dataset_builder", hub)
    local = gather(quietly(parquet).test_batches(batch_size=7))
    for streaming in False, True:
        data = quietly("someone/pictures:small", streaming=streaming)
        assert asked[-1] == ("someone/pictures", "small")
        assert data.identity()["name"] == data.name == "someone/pictures:small"
        assert same([local], [gather(data.test_batches(batch_size=7))])
    quietly("someone/pictures")
    assert asked[-1] == ("someone/pictures", None)


def test_a_name_that_is_nowhere_is_told(monkeypatch):
    def hub(name, config):
        raise datasets.exceptions.DatasetNotFoundError(f"Dataset '{name}' doesn't exist on the Hub")

    monkeypatch.setattr(datasets, "load_dataset_builder", hub)
    with pytest.raises(DataError, match=r"data 'no/where' is not a folder, and the Hub does not give it: .*no/where"):
        quietly("no/where")


@pytest.mark.parametrize("name", ["cifer10", "/no/where", "./no", "a/b/c", "../no"])
def test_what_is_no_name_of_the_hub_is_not_asked_for(monkeypatch, name):
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *_: pytest.fail("asked the Hub"))
    with pytest.raises(DataError, match="is neither digits nor a folder nor a name of the Hub, OWNER/NAME"):
        quietly(name)


def test_pictures_are_loaded_as_they_are(tmp_path):
    folder = str(write_digits(tmp_path, train=5, test=7))
    images, labels = load_digits("test")
    found, answers = load_pictures(folder, "test")
    assert torch.equal(answers, labels[:7])
    assert found.shape == (7, 1, 8, 8)
    assert torch.equal(found, (images[:7] * 255).round() / 255)
    assert torch.equal(load_pictures(folder, "test", 3)[0], found[:3])
    assert len(load_pictures(folder, "train", 256)[1]) == 5


def test_pictures_of_several_sizes_are_not_loaded(tmp_path):
    for number, size in enumerate(((8, 8), (9, 8))):
        for split in "train", "test":
            folder = tmp_path / split / f"class {number}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", size).save(folder / f"{number}.png")
    with pytest.raises(DataError, match=r"has pictures of 2 sizes; bring them to one, in an .npz file"):
        load_pictures(str(tmp_path), "train")
