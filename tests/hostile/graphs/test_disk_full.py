"""A disk that is full: one line that names the file; the old file stays, and nothing else."""

import os
import subprocess
from pathlib import Path

import nir
import numpy as np
import pytest
from hostile.case import check_promises
from small_graphs import chain, lif

import qkformer
from export import to_onnx
from hardware import SpikeTrace, write_graph

SHIPPED = Path(qkformer.__file__).parent / "checkpoints/qkformer-digits.safetensors"
SIZE = 64 << 10  # bytes: less than any of the files


@pytest.fixture
def small(tmp_path):
    """A file system that is full after a few pages."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = (
        os.getuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place], capture_output=True
        ).returncode
    )
    if not mounted:
        pytest.skip("a small file system can only be mounted by root, and where mounting is allowed")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.long
@pytest.mark.parametrize("file", ["m.nir", "m.onnx", "t.trace"])
def test_commands(file, command, small, tmp_path):
    old = small / file
    old.write_text("the old file")
    if file == "t.trace":
        assert command("export", SHIPPED, "-o", "g.nir").status == 0
        outcome = command("simulate", "g.nir", "-o", old, "--images", "64")
    elif file == "m.onnx":
        outcome = command("export", SHIPPED, "-o", "g.nir", "--onnx", old)
    else:
        outcome = command("export", SHIPPED, "-o", old)
    check_promises(outcome)
    assert outcome.status == 2
    assert str(old) in outcome.err
    assert "No space left" in outcome.err
    assert old.read_text() == "the old file"
    assert [path.name for path in small.iterdir()] == [file]


def random_graph():
    """Weights that do not compress."""
    weight = np.random.default_rng(0).integers(-100, 100, (512, 512))
    return chain((512,), nir.Linear(weight.astype(np.float32)), lif((512,), threshold=9))


WRITERS = {
    "a.trace": SpikeTrace({"a": np.frombuffer(os.urandom(4 * SIZE), np.uint8).reshape(2, 2, SIZE)}).save,
    "a.nir": lambda path: write_graph(random_graph(), path),
    "a.onnx": lambda path: to_onnx(random_graph(), path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_writers(name, small):
    with pytest.raises(OSError, match=f"No space left.*{name}"):
        WRITERS[name](small / name)
    assert list(small.iterdir()) == []
