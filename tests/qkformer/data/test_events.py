import builtins
import tarfile

import numpy as np
import pytest
import torch

from qkformer import create_model
from qkformer.data.events import (
    CIFAR10_DVS_CLASSES,
    EventFileError,
    frames_by_count,
    load_cifar10_dvs,
    load_dvs_gesture,
    read_cifar10_dvs,
)

EVENT = np.dtype([("t", np.int64), ("x", np.int16), ("y", np.int16), ("p", np.int8)])


def random_events(count, seed=0, size=128):
    rng = np.random.default_rng(seed)
    events = np.empty(count, dtype=EVENT)
    events["t"] = np.sort(rng.integers(0, 10**6, count))
    events["x"], events["y"] = rng.integers(0, size, (2, count))
    events["p"] = rng.integers(0, 2, count)
    return events


def test_frames_count_every_event_once():
    events = random_events(103, size=4)
    frames = frames_by_count(events, time_steps=4, size=4)
    assert frames.dtype == torch.float32
    # 103 // 4 = 25 events a frame; the last takes the 3 that are left.
    assert frames.sum((1, 2, 3)).tolist() == [25, 25, 25, 28]
    expected = torch.zeros(4, 2, 4, 4)
    for index, event in enumerate(events):
        expected[min(index // 25, 3), event["p"], event["y"], event["x"]] += 1
    assert torch.equal(frames, expected)


def test_events_outside_the_sensor_and_empty_recordings_are_refused():
    events = random_events(20, size=4)
    with pytest.raises(EventFileError, match="a recording of 20 events cannot fill 21 frames"):
        frames_by_count(events, 21, size=4)
    events["y"][3] = 4
    with pytest.raises(EventFileError, match="an event's y is 4; it must be from 0 to 3"):
        frames_by_count(events, 2, size=4)


def write_aedat2(path, events):
    """The format of CIFAR10-DVS: comment lines, then big-endian pairs of address and time stamp."""
    address = (127 - events["x"].astype(">u4")) << 8 | (127 - events["y"].astype(">u4")) << 1 | (1 - events["p"])
    records = np.stack([address, events["t"]], axis=1).astype(">u4")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"#!AER-DAT2.0\r\n# This is a raw AE data file\r\n" + records.tobytes())
    return path


def test_a_cifar10_dvs_file_is_read_event_for_event(tmp_path):
    pytest.importorskip("tonic", reason="event recordings are read by tonic")
    events = random_events(500)
    found = read_cifar10_dvs(write_aedat2(tmp_path / "cat.aedat", events))
    assert found.dtype == EVENT
    np.testing.assert_array_equal(found, events)


def test_damaged_recordings_are_refused(tmp_path):
    pytest.importorskip("tonic", reason="event recordings are read by tonic")
    path = write_aedat2(tmp_path / "cat.aedat", random_events(50))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(EventFileError, match=r"cat.aedat: AEDAT 2.0, cut short; need a whole AEDAT 2.0"):
        read_cifar10_dvs(path)
    path.write_bytes(b"GIF89a")
    with pytest.raises(EventFileError, match=r"cat.aedat: not an AEDAT recording"):
        read_cifar10_dvs(path)


@torch.no_grad()
def test_cifar10_dvs_is_split_by_class_and_feeds_the_model(tmp_path):
    pytest.importorskip("tonic", reason="event recordings are read by tonic")
    for label, name in enumerate(CIFAR10_DVS_CLASSES):
        for number in range(11):
            write_aedat2(
                tmp_path / name / f"cifar10_{name}_{number}.aedat", random_events(40, seed=label * 11 + number)
            )
    train, test = (load_cifar10_dvs(tmp_path, split, time_steps=2) for split in ("train", "test"))
    # ceil(0.9 * 11) = 10 of each class; "..._9" comes last in the order of names.
    assert (len(train), len(test)) == (100, 10)
    assert test.labels == list(range(10))
    frames, label = test[3]
    assert label == 3
    assert torch.equal(frames, frames_by_count(random_events(40, seed=3 * 11 + 9), 2))
    model = create_model("qkformer-cifar10-dvs", time_steps=2).eval()
    assert model(frames[None]).shape == (1, 10)
    (tmp_path / "empty").mkdir()
    with pytest.raises(EventFileError, match=r"empty.airplane: no .aedat recordings"):
        load_cifar10_dvs(tmp_path / "empty", "train")


def test_dvs_gesture_comes_through_tonic(tmp_path):
    pytest.importorskip("tonic", reason="event recordings are read by tonic")
    # tonic's own layout: per user and light a folder of arrays x, y, p, t (milliseconds), named by their label.
    folder = tmp_path / "DVSGesture" / "ibmGestureTest"
    for user in range(10):
        recordings = folder / f"user{user}_led"
        recordings.mkdir(parents=True)
        for label in range(11):
            events = random_events(64, seed=user * 11 + label)
            columns = [events["x"], events["y"], events["p"], events["t"] // 1000]
            np.save(recordings / f"{label}.npy", np.stack(columns, axis=1).astype(np.float64))
    with tarfile.open(tmp_path / "DVSGesture" / "ibmGestureTest.tar.gz", "w:gz") as archive:
        archive.add(folder, "ibmGestureTest")
    gestures = load_dvs_gesture(tmp_path, "test", time_steps=16)
    assert len(gestures) == 110
    assert sorted(set(gestures.labels)) == list(range(11))
    every_total = {int(gestures[index][0].sum()) for index in range(11)}
    assert every_total == {64}
    expected = [frames_by_count(random_events(64, seed=number), 16) for number in range(110)]
    frames, label = gestures[7]
    assert any(torch.equal(frames, candidate) for candidate in expected[label::11])


def test_splits_are_checked(tmp_path):
    for load in (load_dvs_gesture, load_cifar10_dvs):
        with pytest.raises(ValueError, match="split is 'all'; it must be train or test"):
            load(tmp_path, "all")


def test_without_tonic_the_error_says_what_to_install(tmp_path, monkeypatch):
    original = builtins.__import__

    def no_tonic(name, *args, **kwargs):
        if name.startswith("tonic"):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_tonic)
    with pytest.raises(ImportError, match=r"pip install 'qkformer\[events\]'"):
        load_dvs_gesture(tmp_path, "test")
