"""Event cameras: recordings as frames that count events, [T, 2, H, W]."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from hardware.errors import NotAvailableError, UserError

from .checks import check_split

SENSOR = 128  # pixels along each side of the sensor of both data sets
CIFAR10_DVS_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10_DVS_TRAIN_SHARE = 0.9  # of each class, in the order of its file names: the split of both papers


class EventFileError(UserError, ValueError):
    """A recording, or a folder of recordings, that cannot be read."""


class EventFrames(Dataset[tuple[Tensor, int]]):
    """Recordings as frames, read when asked for: item i is (frames float32 [T, 2, H, W], label)."""

    def __init__(self, read: Callable[[int], NDArray[Any]], labels: Sequence[int], time_steps: int) -> None:
        self.read = read
        self.labels = labels
        self.time_steps = time_steps

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return frames_by_count(self.read(index), self.time_steps), self.labels[index]


def frames_by_count(events: NDArray[Any], time_steps: int, size: int = SENSOR) -> Tensor:
    """Split a recording into T frames of equally many events, and count these: float32 [T, 2, size, size].

    Each of T frames takes N // T of the N events in their order, the last one the rest as well; channel 0 counts
    events of polarity 0 (darker), channel 1 those of polarity 1. As both papers do, by `split_by="number"` of
    spikingjelly 0.0.0.0.12.

    Args:
        events: structured array [N] with the fields x, y (pixels) and p (0 or 1), in order of time.
        time_steps: T.
        size: pixels along each side of the sensor.

    Raises:
        EventFileError: fewer events than frames, or an event outside the sensor.
    """
    if len(events) < time_steps:
        raise EventFileError(f"a recording of {len(events)} events cannot fill {time_steps} frames")
    x, y, polarity = (events[name].astype(np.int64) for name in "xyp")
    for name, values, limit in (("x", x, size), ("y", y, size), ("p", polarity, 2)):
        if values.min() < 0 or values.max() >= limit:
            raise EventFileError(f"an event's {name} is {values.max()}; it must be from 0 to {limit - 1}")
    frame = np.minimum(np.arange(len(events)) // (len(events) // time_steps), time_steps - 1)
    shape = (time_steps, 2, size, size)
    counts = np.bincount(np.ravel_multi_index((frame, polarity, y, x), shape), minlength=math.prod(shape))
    return torch.from_numpy(counts.reshape(shape).astype(np.float32))


def load_dvs_gesture(folder: str | Path, split: str, time_steps: int = 16) -> EventFrames:
    """DVS128 Gesture: 11 classes of movements, as tonic distributes it (and downloads it if it is not there).

    Raises:
        InputError: a split that is neither `train` nor `test`.
        NotAvailableError: tonic is not installed.
    """
    check_split(split)
    recordings = _tonic().datasets.DVSGesture(str(folder), train=split == "train")
    return EventFrames(lambda index: recordings[index][0], recordings.targets, time_steps)


def load_cifar10_dvs(folder: str | Path, split: str, time_steps: int = 16) -> EventFrames:
    """CIFAR10-DVS: one folder of AEDAT 2.0 recordings a class, as its authors distribute it.

    The first nine tenths of each class, by file name, are `train`, the others `test`.

    Raises:
        InputError: a split that is neither `train` nor `test`.
        EventFileError: a class without recordings.
        NotAvailableError: tonic is not installed.
    """
    check_split(split)
    files, labels = [], []
    for label, name in enumerate(CIFAR10_DVS_CLASSES):
        found = sorted(Path(folder, name).glob("*.aedat"))
        if not found:
            raise EventFileError(f"{Path(folder, name)}: no .aedat recordings; unpack the CIFAR10-DVS archives there")
        boundary = math.ceil(len(found) * CIFAR10_DVS_TRAIN_SHARE)
        chosen = found[:boundary] if split == "train" else found[boundary:]
        files += chosen
        labels += [label] * len(chosen)
    _tonic()
    return EventFrames(lambda index: read_cifar10_dvs(files[index]), labels, time_steps)


def read_cifar10_dvs(path: str | Path) -> NDArray[Any]:
    """The events of one CIFAR10-DVS recording: a structured array [N] with t (microseconds), x, y and p.

    A DVS128 address holds x in bits 1 to 7, y in bits 8 to 14 and, inverted, the polarity in bit 0. The image is
    turned upright as spikingjelly 0.0.0.0.12 does, on whose frames the published models were trained.

    Raises:
        EventFileError: not an AEDAT 2.0 file, or one cut short.
        NotAvailableError: tonic is not installed.
    """
    io = _tonic().io
    try:
        version, start, *_ = io.read_aedat_header_from_file(str(path))
        complete = (Path(path).stat().st_size - start) % 8 == 0
    except (AssertionError, OSError, UnboundLocalError, ValueError) as error:
        raise EventFileError(f"{path}: not an AEDAT recording") from error
    if not 2 <= version < 3 or not complete:
        raise EventFileError(f"{path}: AEDAT {version}, {'whole' if complete else 'cut short'}; need a whole AEDAT 2.0")
    raw = io.get_aer_events_from_file(str(path), version, start)
    address = raw["address"].astype(np.int64)
    events = np.empty(len(raw), dtype=[("t", np.int64), ("x", np.int16), ("y", np.int16), ("p", np.int8)])
    events["t"] = raw["timeStamp"]
    events["x"] = SENSOR - 1 - (address >> 8 & 0x7F)
    events["y"] = SENSOR - 1 - (address >> 1 & 0x7F)
    events["p"] = 1 - (address & 1)
    return events


def _tonic() -> Any:
    try:
        import tonic
        import tonic.datasets
        import tonic.io
    except ImportError as error:
        raise NotAvailableError("event recordings are read by tonic: pip install 'qkformer[events]'") from error
    return tonic
