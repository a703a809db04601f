"""Graphs in files, spoilt at random: read and run, or refused in one line; nothing else."""

import numpy as np
import pytest
from amount import random_examples
from hostile.graphs.spoil import GRAPHS, check_line, good, run, spoil
from hypothesis import given
from hypothesis import strategies as st

import hardware
from hardware.errors import GraphError, UserError
from hardware.targets.interpreter.floating_point import is_integer


def taken(path) -> bool:
    """Whether a file was read and ran; a refusal is one line of text that is to be printed."""
    try:
        graph = hardware.read_graph(path)
        run(graph)
        is_integer(graph)
        hardware.encoding_of(graph).encode(np.zeros((1, *hardware.encoding_of(graph).input_shape)))
    except UserError as error:
        check_line(error)
        return False
    return True


@random_examples(400, 40)
@given(name=st.sampled_from(sorted(GRAPHS)), data=st.data())
def test_structure(tmp_path_factory, name, data):
    path = tmp_path_factory.getbasetemp() / "spoilt.nir"
    spoil(data.draw, name, path)
    taken(path)


@random_examples(300, 20)
@given(name=st.sampled_from(sorted(GRAPHS)), random=st.randoms(use_true_random=False))
def test_bytes(tmp_path_factory, name, random):
    contents = bytearray(good(name))
    for _ in range(random.randint(1, 8)):
        contents[random.randrange(len(contents))] = random.randrange(256)
    if random.random() < 0.2:
        del contents[random.randrange(len(contents)) :]
    path = tmp_path_factory.getbasetemp() / "spoilt.nir"
    path.write_bytes(contents)
    taken(path)


def test_a_heap_that_leads_nowhere(tmp_path):
    """HDF5 would walk its free space of size 0 without end, deaf to any signal."""
    contents = bytearray(good("plain"))
    heap = contents.index(b"GCOL\x01")
    place = heap + 16
    while any(contents[place : place + 2]):
        place += 16 + -(-int.from_bytes(contents[place + 8 : place + 16], "little") // 8) * 8
    contents[place + 8 : place + 16] = bytes(8)
    path = tmp_path / "spoilt.nir"
    path.write_bytes(contents)
    with pytest.raises(GraphError, match=f"its texts are damaged at byte {place:,}"):
        hardware.read_graph(path)
