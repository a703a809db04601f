"""Files as no writer of ours would leave them: pickles and zip archives by hand, headers of any text."""

import collections
import io
import json
import pickle
import struct
import zipfile
from functools import cache

import safetensors
import safetensors.torch
import torch

from qkformer import create_model

NAME = "qkformer-digits"


class Storage:
    """A storage that the pickle speaks of; what it holds is elsewhere, or not at all."""

    def __init__(self, count, key="0", kind=torch.FloatStorage, legacy=False):
        self.identity = ("storage", kind, key, "cpu", count, *([None] if legacy else []))


class Call:
    """What the pickle asks to be called, and with what."""

    def __init__(self, function, *arguments, state=None):
        self.function, self.arguments, self.state = function, arguments, state

    def __reduce__(self):
        return (self.function, self.arguments, *([] if self.state is None else [self.state]))


class _Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.identity if isinstance(value, Storage) else None


def tensor(count, size, stride=None, offset=0, **storage):
    """A tensor over a storage of `count` numbers, as the pickle has it."""
    stride = stride or tuple(1 for _ in size)
    parts = (Storage(count, **storage), offset, size, stride, False, collections.OrderedDict())
    return Call(torch._utils._rebuild_tensor_v2, *parts)


def dumps(contents):
    file = io.BytesIO()
    _Pickler(file, 2).dump(contents)
    return file.getvalue()


def write_zip(path, contents, members=None, compression=zipfile.ZIP_STORED, pickled=None):
    """What torch.save writes, of anything: members: of storages, by key."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", dumps(contents) if pickled is None else pickled)
        archive.writestr("archive/byteorder", "little")
        for key, held in (members or {}).items():
            archive.writestr(f"archive/data/{key}", held)
        archive.writestr("archive/version", "3\n")
    return path


def write_legacy(path, contents, keys=(), held=b""):
    """What torch.save wrote before it wrote zip files."""
    sizes = {"short": 2, "int": 4, "long": 4}
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}
    head = [pickle.dumps(part, 2) for part in (torch.serialization.MAGIC_NUMBER, 1001, system)]
    path.write_bytes(b"".join(head) + dumps(contents) + pickle.dumps(list(keys), 2) + held)
    return path


def write_header(path, header, held=b"", length=None):
    """A safetensors file of any header: a table, or text."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + held)
    return path


@cache
def _model():
    return create_model(NAME)


def weights():
    """Those of an untrained model, each time anew."""
    return {name: value.detach().clone() for name, value in _model().state_dict().items()}


def write_weights(path, change=lambda tensors: None, config=None, metadata=None):
    """A checkpoint of ours with changed weights, configuration or metadata (tables, or text as it is)."""
    tensors = weights()
    change(tensors)

    def text(value):
        return value if isinstance(value, str) else json.dumps(value)

    header = {"config": text(described() if config is None else config), "metadata": text(metadata or {})}
    safetensors.torch.save_file({name: value.contiguous() for name, value in tensors.items()}, path, header)
    return path


def described(**changes):
    """The configuration of the digits as JSON has it, with changes."""
    return {**json.loads(json.dumps(_model().config.to_dict())), **changes}
