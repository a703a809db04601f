"""Files of graphs, good ones, and what can be done to them with h5py."""

import tempfile
from functools import cache
from pathlib import Path

import h5py
import nir
import numpy as np
from hypothesis import strategies as st
from small_graphs import chain, conv, flatten_node, integrate_and_fire, lif, pool, threshold

import hardware
from hardware.graph.gates.max_pool import current_pool_graph
from hardware.graph.gates.self_attention import self_attention_graph

IMAGE, SHAPE = (1, 8, 8), (2, 8, 8)  # the digits'
ENCODING = {"input_scale": 1 / 127, "logit_scale": 0.5}


def plain() -> nir.NIRGraph:
    """Every kind of node that is supported, one after the other."""
    nodes = [
        conv(np.ones((2, 1, 3, 3)), bias=[1, -1], padding=1, size=IMAGE[1:]),
        lif(SHAPE, threshold=2),
        pool(nir.SumPool2d, [4, 4], [4, 4]),
        integrate_and_fire((2, 2, 2), threshold=1),
        nir.Scale(np.full((2, 2, 2), 3, np.float32)),
        threshold((2, 2, 2), 0.5),
        pool(nir.AvgPool2d, [2, 2], [2, 2]),
        lif((2, 1, 1), threshold=0),
        flatten_node((2, 1, 1)),
        nir.Linear(np.ones((3, 2), np.float32)),
        threshold((3,), 0.5),
        nir.Affine(np.ones((2, 3), np.float32), np.ones(2, np.float32)),
    ]
    return chain(IMAGE, *nodes, output_shape=[2])


def marked(nested: nir.NIRGraph) -> nir.NIRGraph:
    """Gates that are marked, and a neuron behind them."""
    shape, after = (tuple(next(iter(side.values()))) for side in (nested.input_type, nested.output_type))
    return chain(shape, threshold(shape), nested, lif(after, threshold=1), output_shape=after, type_check=False)


GRAPHS = {
    "plain": plain,
    "attention": lambda: marked(self_attention_graph((2, 1, 2), 1, 2)),
    "pool": lambda: marked(current_pool_graph((1, 8, 8), (3, 2, 1), -2, 3)),
}


@cache
def good(name: str) -> bytes:
    """A file of a graph, which runs."""
    graph = GRAPHS[name]()
    shape = tuple(map(int, next(iter(graph.input_type.values()))))
    graph.metadata = hardware.Encoding(name, shape, time_steps=3, **ENCODING).to_metadata()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "g.nir"
        hardware.write_graph(graph, path, check=True)
        assert hardware.compare(run(hardware.read_graph(path)), run(graph)).mismatches == 0
        return path.read_bytes()


def run(graph: nir.NIRGraph):
    """What the interpreter makes of a few inputs; whatever a graph is, it ends in a trace or an error for users."""
    flat = hardware.flatten(graph)
    shape = flat.shapes[flat.input_name]
    inputs = np.random.default_rng(0).integers(-3, 4, (3, 2, *shape), np.int8)
    return hardware.interpret(graph, inputs)


def check_line(error: Exception, *parts: str) -> None:
    """A refusal is one line that can be printed, and names these parts."""
    assert str(error).isprintable()
    assert all(part in str(error) for part in parts)


def paths(file: h5py.File) -> list[str]:
    """All groups and arrays, in order."""
    found: list[str] = []
    file.visit(found.append)
    return found


TEXTS = st.sampled_from(
    ["", ".", "LIF", "NIRGraph", "Foo", "input", "same", "99.0", "-1", "\x1b[31m", "[/x]", "é", "\n"]
)
NUMBERS = st.sampled_from(
    [
        *(0, 1, -1, 2, 3, 7, 0.5, 2.7, -0.0, 1e-320, 1e30, -1e30, 2**31, 2**63 - 1, -(2**63), 10**6, 65_536, 1024),
        *(float("nan"), float("inf"), float("-inf")),
    ]
)
SHAPES = st.sampled_from(
    [(), (0,), (1,), (2,), (3,), (1, 1), (2, 2), (0, 2), (1, 1, 1), (2, 4, 4), (1, 2, 3, 4), (1,) * 9]
)
TYPES = st.sampled_from(["?", "i1", "u1", "i2", "i4", "i8", "u8", "f2", "f4", "f8", ">f4", "g", "c8", "c16"])


@st.composite
def arrays(draw) -> np.ndarray:
    """One number everywhere, of some type and shape; what the type cannot hold wraps."""
    with np.errstate(all="ignore"):
        number = draw(NUMBERS)
        dtype = np.dtype(draw(TYPES))
        if dtype.kind in "iu" and isinstance(number, float):
            number = 3
        if dtype.kind in "iu":
            number = int(np.array(number & 0x7F))
        return np.full(draw(SHAPES), number).astype(dtype)


ODD = {
    "empty": lambda file, name: file.create_dataset(name, data=h5py.Empty("f4")),
    "empty text": lambda file, name: file.create_dataset(name, data=h5py.Empty(h5py.string_dtype())),
    "compound": lambda file, name: file.create_dataset(name, data=np.zeros(2, [("a", "f4"), ("b", "i4")])),
    "reference": lambda file, name: file.create_dataset(name, data=file.ref, dtype=h5py.ref_dtype),
    "region": lambda file, name: file.create_dataset(name, (1,), dtype=h5py.regionref_dtype),
    "ragged": lambda file, name: file.create_dataset(name, (2,), dtype=h5py.vlen_dtype(np.int32)),
    "enum": lambda file, name: file.create_dataset(name, (2,), dtype=h5py.enum_dtype({"a": 1, "b": 2}, "i4")),
    "opaque": lambda file, name: file.create_dataset(name, data=np.void(b"abc")),
    "bytes": lambda file, name: file.create_dataset(name, data=np.bytes_(b"\xff\xfe")),
    "texts": lambda file, name: file.create_dataset(name, data=["a", "b", "c"]),
    "pairs": lambda file, name: file.create_dataset(name, data=[["input", "output"]] * 3),
    "times": lambda file, name: file.create_dataset(name, data=np.zeros(2, "i8").astype("S3")),
    "group": lambda file, name: file.create_group(name),
    "graph": lambda file, name: file.copy("node", name),
    "type": lambda file, name: file.__setitem__(name, np.dtype("f8")),
    "huge": lambda file, name: file.create_dataset(name, (1 << 40,), "f4", chunks=(1 << 16,), compression="gzip"),
    "sparse": lambda file, name: file.create_dataset(name, (1 << 12,), "f8"),
    "soft link": lambda file, name: file.__setitem__(name, h5py.SoftLink("/node")),
    "outside": lambda file, name: file.__setitem__(name, h5py.ExternalLink("other.h5", "/node")),
    "cycle": lambda file, name: file.__setitem__(name, file["node"]),
}


@st.composite
def changes(draw, file: h5py.File):
    """Do one hostile thing to an open file."""
    known = paths(file)
    if not known:
        return
    name = draw(st.sampled_from(known))
    what = draw(st.sampled_from(["number", "number", "array", "text", "odd", "delete", "rename", "add", "other"]))
    if what == "rename":
        file.move(
            name,
            name.rpartition("/")[0] + "/" + draw(st.sampled_from(["..", "type", "output", "a.b", "x" * 300, "\n"])),
        )
        return
    if what == "other":
        file["extra"] = 1 if "extra" not in file else 2
        return
    old = file[name]
    if (
        what == "number"
        and isinstance(old, h5py.Dataset)
        and old.shape is not None
        and old.dtype.kind in "iuf"
        and old.nbytes < 1 << 20
    ):
        values, number = old[()], draw(NUMBERS)
        values = np.array(values, np.float64)
        if draw(st.booleans()):
            values[...] = number
        elif values.size:
            values.flat[draw(st.integers(0, values.size - 1))] = number
        del file[name]
        file[name] = values
        return
    if what == "add":
        name = (
            f"{name.rpartition('/')[0]}/{draw(st.sampled_from(['extra', 'metadata', 'v_reset', 'w_in', 'type_check']))}"
        )
    if name in file:
        del file[name]
    if what == "delete":
        return
    if what == "text":
        file[name] = draw(TEXTS)
    elif what in ("odd", "add"):
        ODD[draw(st.sampled_from(sorted(ODD)))](file, name)
    else:
        file[name] = draw(arrays())


def spoil(draw, name: str, path: Path) -> None:
    """A good file with one to three hostile changes; a change that h5py itself refuses is none."""
    path.write_bytes(good(name))
    with h5py.File(path, "r+") as file:
        for _ in range(draw(st.integers(1, 3))):
            try:
                draw(changes(file))
            except (OSError, ValueError, TypeError, RuntimeError, KeyError, OverflowError, MemoryError):
                return
