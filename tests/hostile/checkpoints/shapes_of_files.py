"""Values of no sensible sort, and files that are nearly right: what the structure fuzzing draws from."""

import copy

import torch
from hostile.checkpoints.files import Call, tensor
from hypothesis import strategies as st

# From where limits, signs, bools and text that means a number are near.
NUMBERS = st.sampled_from(
    [0, 1, -1, 2, 4, 2.7, -0.0, 1e-320, 1e30, 2**31, 2**53, 2**63, 2**64, 10**30, 10**400, -(2**63), True, False]
)
ODD = NUMBERS | st.sampled_from(
    [float("nan"), float("inf"), None, "", "4", "nan", "\ud800", "[/x]", "\x1b[2J", "a" * 300]
)
VALUES = st.recursive(
    ODD | st.text(max_size=4),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=4), inside, max_size=3),
    max_leaves=5,
)


def places(value, path=()):
    """The paths of all entries of nested tables and lists."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for name, entry in entries:
        yield (*path, name)
        yield from places(entry, (*path, name))


@st.composite
def changed(draw, original, values=VALUES, most=3):
    """A copy of a nested table with a few entries replaced, left out, added, or moved to another's place."""
    table = copy.deepcopy(original)
    for _ in range(draw(st.integers(1, most))):
        *way, last = draw(st.sampled_from(list(places(table)) or [("new",)]))
        owner = table
        for name in way:
            owner = owner[name]
        if isinstance(owner, tuple):
            continue
        kind = draw(st.sampled_from(["replace", "remove", "add", "swap"]))
        if kind == "remove":
            del owner[last]
        elif kind == "replace":
            owner[last] = draw(values)
        elif kind == "swap":
            names = list(owner) if isinstance(owner, dict) else range(len(owner))
            owner[last] = owner[draw(st.sampled_from(list(names)))]
        elif isinstance(owner, dict):
            owner[draw(st.text(max_size=4) | ODD.filter(lambda value: value == value))] = draw(values)
        else:
            owner.append(draw(values))
    return table


@st.composite
def cut_up(draw, whole, start=0, end=None):
    """Bytes with a few of them changed, left out or doubled, between two places; or only the first of them."""
    held = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(start, max(start, min(end or len(held), len(held)) - 1)))
        kind = draw(st.sampled_from(["change", "remove", "double", "end"]))
        if kind == "change" and place < len(held):
            held[place] = draw(st.integers(0, 255))
        elif kind == "remove":
            del held[place : place + draw(st.integers(1, 9))]
        elif kind == "double":
            held[place:place] = held[place : place + draw(st.integers(1, 9))]
        elif draw(st.integers(0, 3)) == 0:
            del held[place:]
    return bytes(held)


COUNTS = st.sampled_from([0, 1, 4, -1, 5, 10**9, 2**40, 2**62, 2**63, 2**70, "4", None, 2.5])
SIZES = st.lists(COUNTS, max_size=3).map(tuple)
TENSORS = st.builds(
    lambda count, size, stride, offset, kind, key: tensor(count, size, stride, offset, kind=kind, key=key),
    COUNTS,
    SIZES,
    SIZES,
    COUNTS,
    st.sampled_from(
        [torch.FloatStorage, torch.DoubleStorage, torch.QInt8Storage, torch.ByteStorage, torch.BoolStorage]
    ),
    st.sampled_from(["0", "1", "", "../0", 3]),
) | st.just(tensor(4, (4,)))
FUNCTIONS = st.sampled_from(
    [
        torch._utils._rebuild_tensor_v2,
        torch._utils._rebuild_parameter,
        torch._utils._rebuild_sparse_tensor,
        torch._utils._rebuild_qtensor,
        torch._utils._rebuild_meta_tensor_no_storage,
        torch.Size,
        torch.nn.Parameter,
        torch.device,
        bytearray,
        complex,
        set,
    ]
)
PICKLED = st.recursive(
    TENSORS | ODD,
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.just("state_dict"), inside, max_size=3)
        | st.lists(inside, max_size=3).map(tuple)
        | st.builds(lambda function, arguments: Call(function, *arguments), FUNCTIONS, st.lists(inside, max_size=4))
    ),
    max_leaves=6,
)
