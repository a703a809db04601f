"""Training states that lack parts, or have them of wrong types, shapes and ranges: refused before any of it is used."""

import copy
import io
import time

import pytest
import torch
from amount import random_examples
from hostile.checkpoints.shapes_of_files import changed, cut_up, places
from hypothesis import given
from hypothesis import strategies as st

from hardware.errors import UserError
from qkformer import CheckpointError, Recipe
from qkformer.training.state import Expected, differing_fields, read_state

RECIPE = Recipe(epochs=3)
MODEL = {"w": torch.ones(3, 2), "bn.running_var": torch.ones(3), "bn.num_batches_tracked": torch.tensor(2)}
TASK = {"config": {"name": "small"}, "data": {"sizes": {"train": 9}}, "recipe": RECIPE.to_dict(), "initial": None}
STEPS = 5
EXPECTED = Expected(TASK, RECIPE, STEPS, MODEL, [MODEL["w"]], all_train=True)
EPOCH = {
    "epoch": 1,
    "epochs": 3,
    "loss": 2.5,
    "accuracy": 0.5,
    "seconds": 9.0,
    "firing_rate": 0.1,
    "images_per_second": 7.0,
}
MOMENTS = {"step": torch.tensor(7.0), "exp_avg": torch.zeros(3, 2), "exp_avg_sq": torch.zeros(3, 2)}
STATE = {
    "model": MODEL,
    "optimizer": {"state": {0: MOMENTS}, "param_groups": [{"lr": 0.1, "params": [0]}]},
    "task": TASK,
    "history": [EPOCH],
    "at": {"epoch": 1, "step": 2, "images": 32, "seconds": 9.5},
    "loss_sum": torch.tensor(5.0, dtype=torch.float64),
}
GONE = object()


def with_part(*path, value):
    """A state with one part of another value, or without it."""
    state = copy.deepcopy(STATE)
    *way, last = path
    owner = state
    for name in way:
        owner = owner[name]
    if value is GONE:
        del owner[last]
    else:
        owner[last] = value
    return state


CASES = {
    "no model": (("model",), GONE, ["lacks 'model'"]),
    "another part": (("more",), 1, ["'more'"]),
    "a list of weights": (("model",), [1], ["model is [1]", "table"]),
    "a weight that is a number": (("model", "w"), 3.0, ["'w'", "float"]),
    "a weight too few": (("model", "w"), GONE, ["1 missing (w)"]),
    "a weight of another shape": (("model", "w"), torch.ones(2, 2), ["w is [2, 2] instead of [3, 2]"]),
    "complex weights": (("model", "w"), torch.ones(3, 2, dtype=torch.complex64), ["w is of type complex64"]),
    "NaN": (("model", "w"), torch.full((3, 2), torch.nan), ["w has 6 values", "NaN"]),
    "a negative variance": (("model", "bn.running_var"), -torch.ones(3), ["running_var", "-1", "at least 0"]),
    "a sparse weight": (("model", "w"), torch.ones(3, 2).to_sparse(), ["w is a sparse_coo"]),
    "no moments": (("optimizer", "state"), {}, ["optimizer: state lacks 0"]),
    "moments of nothing": (("optimizer", "state", 1), MOMENTS, ["optimizer: state has 1"]),
    "moments that are numbers": (("optimizer", "state", 0), 3, ["optimizer: state: 0 is 3"]),
    "a moment too few": (("optimizer", "state", 0, "exp_avg"), GONE, ["parameter 0", "exp_avg"]),
    "moments of another shape": (("optimizer", "state", 0, "exp_avg"), torch.zeros(2), ["exp_avg is [2]"]),
    "a negative square": (("optimizer", "state", 0, "exp_avg_sq"), -torch.ones(3, 2), ["exp_avg_sq", "at least 0"]),
    "an optimizer without groups": (("optimizer", "param_groups"), GONE, ["optimizer lacks 'param_groups'"]),
    "epoch 99": (("at", "epoch"), 99, ["epoch is 99", "at most 3"]),
    "a negative epoch": (("at", "epoch"), -1, ["epoch is -1", "at least 0"]),
    "half a step": (("at", "step"), 1.5, ["step is 1.5", "integer"]),
    "a step behind the last": (("at", "step"), STEPS + 1, ["step is 6", "at most 5"]),
    "an epoch that is true": (("at", "epoch"), True, ["epoch is True", "integer"]),
    "endless images": (("at", "images"), 10**30, ["images is", "at most"]),
    "seconds of NaN": (("at", "seconds"), float("nan"), ["seconds is nan"]),
    "no seconds": (("at", "seconds"), GONE, ["at lacks 'seconds'"]),
    "another place": (("at", "model"), 0, ["at has 'model'"]),
    "no place": (("at",), 7, ["at is 7", "table"]),
    "no history": (("history",), [], ["history is of 0 epochs", "after 1"]),
    "a history in words": (("history",), "long", ["history is of 'long' epochs"]),
    "an epoch too many": (("history",), [EPOCH, EPOCH], ["history is of 2 epochs"]),
    "epochs of other fields": (("history", 0), {"epoch": 1}, ["history: epoch 1 lacks 'epochs'"]),
    "an epoch that is a number": (("history", 0), 5, ["history: epoch 1 is 5"]),
    "an accuracy of 7": (("history", 0, "accuracy"), 7, ["accuracy is 7", "at most 1"]),
    "a sum in words": (("loss_sum",), "5", ["loss_sum"]),
    "a sum of many": (("loss_sum",), torch.zeros(3), ["loss_sum is [3]"]),
    "no task": (("task",), 3, ["task is 3", "table"]),
    "another task": (("task", "recipe", "epochs"), 4, ["recipe.epochs: 4 -> 3"]),
    "a task of tensors": (("task", "recipe", "epochs"), torch.zeros(3), ["recipe.epochs: tensor", "-> 3"]),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("states") / "m.state"


def test_the_state_that_all_are_made_from_is_one(place):
    torch.save(STATE, place)
    state = read_state(place, EXPECTED)
    assert state.at == STATE["at"]
    assert torch.equal(state.model["w"], MODEL["w"])
    assert state.history[0].loss == 2.5


@pytest.mark.parametrize("name", CASES)
def test_a_part_that_does_not_fit_is_named(name, place):
    path, value, names = CASES[name]
    torch.save(with_part(*path, value=value), place)
    with pytest.raises(CheckpointError) as raised:
        read_state(place, EXPECTED)
    assert "\n" not in str(raised.value)
    for part in (str(place), *names):
        assert part in str(raised.value)


def test_lists_that_are_each_twice_in_the_next_do_not_take_for_ever(place):
    nested = [1]
    for _ in range(40):
        nested = [nested, nested]
    torch.save(with_part("task", "initial", value=nested), place)
    started = time.monotonic()
    with pytest.raises(CheckpointError, match="more than 1,000,000 entries"):
        read_state(place, EXPECTED)
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({"a": 1, "b": {"c": (1, 2)}}, {"a": 1, "b": {"c": [1, 2]}}, []),
        ({"b": {"c": 2, "d": 0}}, {"b": {"c": 3, "e": 0}}, ["b.c: 2 -> 3", "b.e: nothing -> 0", "b.d: 0 -> nothing"]),
        ({"stages": [{"dim": 1}]}, {"stages": [{"dim": 2}]}, ["stages.0.dim: 1 -> 2"]),
        ({"initial": None}, {"initial": {"name": "x"}}, ["initial.name: nothing -> 'x'", "initial: None -> nothing"]),
        (dict.fromkeys("abcdefg", 1), dict.fromkeys("abcdefg", 2), [*(f"{x}: 1 -> 2" for x in "abcde"), "and 2 more"]),
    ],
)
def test_fields_that_differ(old, new, changes):
    assert differing_fields(old, new) == "; ".join(changes)


def read(path):
    reason = ""
    try:
        read_state(path, EXPECTED)
    except (UserError, OSError) as error:
        reason = str(error)
    assert "\n" not in reason
    assert len(reason) < 2000


@given(changed(STATE))
@random_examples(250, 20)
def test_states_that_are_nearly_right(place, state):
    try:
        torch.save(state, place)
    except UnicodeEncodeError:  # half of a character cannot be pickled
        return
    read(place)


def saved(zipped):
    file = io.BytesIO()
    torch.save(STATE, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


@given(st.data())
@random_examples(100, 10)
@pytest.mark.parametrize("zipped", [True, False])
def test_bytes(place, zipped, data):
    place.write_bytes(data.draw(cut_up(saved(zipped))))
    read(place)


@pytest.fixture(scope="module")
def finished(training, tmp_path_factory):
    """The folder of a finished training, with its state once more as `whole`."""
    folder = tmp_path_factory.mktemp("finished")
    assert training(folder).status == 0
    (folder / "model.state").rename(folder / "whole")
    return folder


CHANGES = st.lists(
    st.tuples(st.integers(0, 10**6), st.sampled_from([GONE, 0, -1, 99, 1.5, None, "x", True])), min_size=1, max_size=3
)


@pytest.mark.long
@given(CHANGES)
@random_examples(30)
def test_states_through_the_command(finished, training, changes):
    """Resumed, or refused in one line that names the state."""
    folder = finished
    state = torch.load(folder / "whole", weights_only=True)
    for number, value in changes:
        every = [path for path in places(state) if not isinstance(part(state, path[:-1]), tuple)]
        *way, last = every[number % len(every)]
        if value is GONE:
            del part(state, way)[last]
        else:
            part(state, way)[last] = value
    torch.save(state, folder / "model.state")
    end = training(folder, "--resume")
    assert end.status in (0, 2), end
    assert end.status == 0 or (end.err.startswith(f"error: {folder}/model.state") and end.err.count("\n") == 1), end


def part(table, path):
    """What is at a path of a nested table."""
    for name in path:
        table = table[name]
    return table
