"""A write that the system refuses (here a file that grows too large) is an OSError with the file's name."""

import errno
import os
import resource

import pytest
import torch

from qkformer import create_model, save_checkpoint
from qkformer.checkpoints.writing import write_pickle, write_whole

LIMIT = 10_000  # bytes of a file


@pytest.fixture
def small_files():
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


WRITERS = {
    "pickle": lambda path: write_pickle(path, {"a": torch.zeros(LIMIT)}),
    "checkpoint": lambda path: save_checkpoint(create_model("qkformer-digits"), path),
    "text": lambda path: write_whole(path, lambda file: file.write_text("x" * 2 * LIMIT)),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_what_cannot_be_written_is_named_and_the_old_file_stays(kind, tmp_path, small_files):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(OSError, match="too large") as raised:
        WRITERS[kind](path)
    assert (raised.value.errno, raised.value.filename) == (errno.EFBIG, str(path))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]
