"""What goes into a network and what comes out: images to integers, output sums to class scores."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import nir
import numpy as np

from ..errors import GraphError, InputError

INPUT_LIMIT = 127  # int8, symmetric
LARGEST_COUNT = 65_536  # of time steps, channels, rows and columns: more is a damaged file


def logits_of(output: Any, scale: float) -> Any:
    """Class scores [B, classes] = scale * sum over t of output, shared by every target.

    output: [T, B, classes] integers, the head's sums over tokens at each time step (NumPy or torch). scale: what 1 is
    worth, divided by time steps and tokens.
    """
    return output.sum(0) * scale


@dataclass(frozen=True)
class Encoding:
    """How a network is fed and read.

    input_shape: [C, H, W]; time_steps: T; input_scale: what an input of 1 is worth; logit_scale: what 1 at the
    output, summed over time, is worth. events: inputs are event counts [B, T, C, H, W], not images [B, C, H, W]
    that are shown at each of the T time steps.
    """

    name: str
    input_shape: tuple[int, ...]
    time_steps: int
    input_scale: float = 1.0
    logit_scale: float = 1.0
    events: bool = False

    def __post_init__(self) -> None:
        for field in ("input_scale", "logit_scale"):
            value = getattr(self, field)
            if not 0 < value < math.inf:
                raise InputError(f"{self.name}: {field} is {value}; it must be a finite number above 0")
        for field, counts in (("time_steps", (self.time_steps,)), ("input_shape", self.input_shape)):
            if not all(isinstance(n, int) and 1 <= n <= LARGEST_COUNT for n in counts):
                raise InputError(f"{self.name}: {field} is {getattr(self, field)}; 1 to {LARGEST_COUNT:,} are possible")

    def encode(self, images: Any) -> np.ndarray:
        """What the network receives: int8 [T, B, C, H, W], round(images / input_scale) within -127 .. 127.

        images: an array or a CPU tensor, [B, C, H, W], or event counts [B, T, C, H, W]. Raises InputError for
        another shape or type, NaN or infinity.
        """
        return self._shown(self._rounded(self._checked(images)).clip(-INPUT_LIMIT, INPUT_LIMIT), np.int8)

    def count_saturated(self, images: Any) -> int:
        """How many of the images' values `encode` cuts off, |round(images / input_scale)| > 127."""
        return int(np.count_nonzero(np.abs(self._rounded(np.asarray(images, np.float64))) > INPUT_LIMIT))

    def _rounded(self, values: np.ndarray) -> np.ndarray:
        return np.rint(values / self.input_scale)

    def present(self, images: Any) -> np.ndarray:
        """Images as they are, in time: float64 [T, B, C, H, W]. Raises what `encode` does."""
        return self._shown(self._checked(images), np.float64)

    def _checked(self, images: Any) -> np.ndarray:
        """What may be shown, float64."""
        images = np.asarray(images)
        wanted = (self.time_steps, *self.input_shape) if self.events else tuple(self.input_shape)
        if images.shape[1:] != wanted or images.ndim != len(wanted) + 1 or not len(images):
            shape = ", ".join(map(str, wanted))
            raise InputError(f"{self.name} takes inputs [B, {shape}] with B >= 1; got {list(images.shape)}")
        if not np.issubdtype(images.dtype, np.number) or np.issubdtype(images.dtype, np.complexfloating):
            raise InputError(f"{self.name} takes real numbers; got {images.dtype}")
        values = images.astype(np.float64)
        if not np.isfinite(values).all():
            raise InputError(f"{self.name}: an input is NaN or infinite")
        return values

    def _shown(self, values: np.ndarray, dtype: Any) -> np.ndarray:
        """In time, [T, B, C, H, W]: an image is there at every time step."""
        values = values.astype(dtype, copy=False)
        if self.events:
            return np.ascontiguousarray(values.swapaxes(0, 1))
        return np.repeat(values[None], self.time_steps, axis=0)

    def logits(self, output: Any) -> Any:
        """Class scores [B, classes] from the output population [T, B, classes]."""
        return logits_of(output, self.logit_scale)

    def to_metadata(self) -> dict[str, Any]:
        """Plain values for a graph's metadata."""
        return asdict(self) | {"input_shape": np.array(self.input_shape), "events": int(self.events)}


def encoding_of(graph: nir.NIRGraph) -> Encoding:
    """The encoding that an exported graph carries in its metadata. Raises GraphError if it carries none."""
    found = dict(graph.metadata)
    missing = [field for field in Encoding.__dataclass_fields__ if field not in found]
    if missing:
        raise GraphError(
            f"the graph's metadata lacks {', '.join(missing)}: it does not say how images are encoded; "
            "give its inputs (--inputs FILE.npz), or call hardware.interpret with them"
        )
    try:
        channels, height, width = _shape(found["input_shape"])
        return Encoding(
            name=_text(found["name"]),
            input_shape=(channels, height, width),
            time_steps=_integer(found["time_steps"]),
            input_scale=_number(found["input_scale"]),
            logit_scale=_number(found["logit_scale"]),
            events=_flag(found["events"]),
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise GraphError(f"the graph's metadata does not say how images are encoded: {error}") from error


def _shape(value: Any) -> list[int]:
    lengths = np.asarray(value).reshape(-1)
    if len(lengths) != 3:
        raise ValueError(f"input_shape is {lengths.tolist()}; channels, height and width are needed")
    return [_integer(length) for length in lengths]


def _number(value: Any) -> float:
    if np.ndim(value) or np.asarray(value).dtype.kind not in "biuf":
        raise ValueError(f"{value!r} is not a number")
    return float(value)


def _flag(value: Any) -> bool:
    if _integer(value) not in (0, 1):
        raise ValueError(f"events is {value}; it must be 0 or 1")
    return bool(value)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _integer(value: Any) -> int:
    if not _number(value).is_integer():
        raise ValueError(f"{value} is not an integer")
    return int(value)
