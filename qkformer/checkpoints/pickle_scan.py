"""What a pickle would do, told from its instructions before any of them is followed.

PyTorch's reader of `weights_only=True` runs no code, but it calls a few functions that take memory as they are told
(`bytearray(10**10)`, chains of codecs), and it unpacks what a zip file has compressed. A file that torch.save wrote
needs none of these.
"""

from __future__ import annotations

import pickletools
import re
import zipfile
from encodings import normalize_encoding
from encodings.aliases import aliases
from pathlib import Path
from typing import IO, Any

from hardware.printable import reason_of

from .errors import MOST_DEPTH, CheckpointError

# What the files of torch.save ask for: tensors of every sort (what they are is looked at later), and plain data.
WANTED = re.compile(
    r"torch\.\w*Storage|torch\.storage\.(Typed|Untyped)Storage"
    r"|torch\.(uint|int|float|bfloat|complex|bits|q)\w+|torch\.(bool|Size|device|per_\w+)"
    r"|torch\._utils\._rebuild_(tensor(_v2|_v3)?|parameter(_with_state)?|sparse_tensor|qtensor"
    r"|meta_tensor_no_storage)|torch\._tensor\._rebuild_from_type_v2|torch\.serialization\._get_layout"
    r"|torch\.nn\.parameter\.Parameter|collections\.(OrderedDict|Counter)|builtins\.(set|complex)|__builtin__\.set"
    r"|argparse\.Namespace|numpy\.dtype|numpy\.dtypes\.\w+|numpy\._?core\.multiarray\.scalar|_codecs\.encode"
)
ZIP = b"PK\x03\x04"  # by its first bytes PyTorch tells the one sort of file from the other
ENCODE = "_codecs.encode"
LEGACY_PICKLES = 5  # magic number, protocol, system, contents, keys; the storages come behind
MOST_PICKLE = 64 << 20  # bytes of one; names and numbers only: those of the largest published files take under 1 MB
MOST_CODEC = 40  # characters of a codec's name
_BYTES_CODECS = {"base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "uu_codec", "zlib_codec"}
BYTES_CODECS = _BYTES_CODECS | {name for name, codec in aliases.items() if codec in _BYTES_CODECS}


def scan_pickle(path: Path) -> int:
    """Look through a file of torch.save; returns the bytes that it has for the storages of tensors.

    Raises:
        CheckpointError: not such a file, cut short, compressed, or asking for what a checkpoint does not need.
    """
    with path.open("rb") as file:
        if file.read(len(ZIP)) == ZIP:
            return _scan_zip(path)
        file.seek(0)
        for _ in range(LEGACY_PICKLES):
            _scan_stream(path, file)
        return path.stat().st_size - file.tell()


def _scan_zip(path: Path) -> int:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            held = sum(member.file_size for member in members)
            if any(member.compress_type != zipfile.ZIP_STORED for member in members) or held > path.stat().st_size:
                raise CheckpointError(
                    f"{path}: its members are compressed or overlap, {held:,} bytes in a file of "
                    f"{path.stat().st_size:,}; torch.save writes each as it is"
                )
            pickles = [member for member in members if member.filename.endswith("data.pkl")]
            if len(pickles) != 1:
                raise CheckpointError(f"{path}: not a checkpoint: a zip file without one data.pkl")
            with archive.open(pickles[0]) as file:
                _scan_stream(path, file)
            return held
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, OSError, RuntimeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path}: not a checkpoint, or damaged ({reason_of(error)})") from error


def _scan_stream(path: Path, file: IO[bytes]) -> None:
    """One pickle, up to its end."""
    start, encodes, codecs, tuples = file.tell(), False, False, _Tuples()
    try:
        for instruction, argument, _ in pickletools.genops(file):
            if file.tell() - start > MOST_PICKLE:
                raise CheckpointError(f"{path}: its pickle is longer than {MOST_PICKLE >> 20} MB; weights lie outside")
            tuples.follow(instruction, argument)
            if tuples.deepest > MOST_DEPTH:
                raise CheckpointError(f"{path}: not a checkpoint: it is nested more than {MOST_DEPTH} deep")
            if instruction.name in ("GLOBAL", "INST"):
                asked = str(argument).replace(" ", ".", 1)
                if not WANTED.fullmatch(asked):
                    reason = f"it asks to run {asked}; a checkpoint may hold only tensors and plain data"
                    raise CheckpointError(f"{path}: refused, because {reason}")
                encodes |= asked == ENCODE
            elif isinstance(argument, str) and len(argument) < MOST_CODEC:
                codecs |= normalize_encoding(argument).lower() in BYTES_CODECS
    except CheckpointError:
        raise
    except Exception as error:  # pickletools decodes arguments as they come, and fails as they do
        raise CheckpointError(f"{path}: not a checkpoint, or damaged") from error
    if encodes and codecs:
        raise CheckpointError(f"{path}: refused, because it asks to run codecs; a checkpoint needs latin1 at most")


class _Tuples:
    """How deep tuples are in one another: Python's hash of a deep one ends the process.

    The machine of the pickle, with a depth in place of each value: 0 of all but tuples; None is its mark.
    """

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.deepest = 0

    def follow(self, instruction: pickletools.OpcodeInfo, argument: Any) -> None:
        """One instruction; IndexError where it takes what is not there."""
        name, stack, before = instruction.name, self.stack, instruction.stack_before
        if name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[argument] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo.get(argument, 0))
        elif name == "MARK":
            stack.append(None)
        else:
            taken = []
            if pickletools.markobject in before:
                while (value := stack.pop()) is not None:
                    taken.append(value)
                before = before[: before.index(pickletools.markobject)]
            taken += [stack.pop() for _ in before]
            depth = 1 + max(taken, default=0) if name.startswith("TUPLE") else 0
            stack += [depth] * len(instruction.stack_after)
            self.deepest = max(self.deepest, depth)
