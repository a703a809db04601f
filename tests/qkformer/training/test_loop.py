import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from digits_folder import write_digits, write_mixed_folder

from export import quantize
from qkformer import (
    CheckpointError,
    Recipe,
    create_model,
    evaluate,
    get_config,
    load_checkpoint,
    load_digits,
    read_metadata,
    save_checkpoint,
    train,
)
from qkformer.data import load_inputs
from qkformer.training.augment import Augmentation
from qkformer.training.evaluate import Evaluation, count_batches
from qkformer.training.run import TrainingError

RECIPE = Recipe(
    epochs=2, batch_size=16, threads=1, augmentation=Augmentation(affine=1.0, flip=0.2, mixup=0.3, erasing=0.2)
)


@pytest.fixture(scope="module")
def digits_folder(tmp_path_factory):
    return str(write_digits(tmp_path_factory.mktemp("digits")))


@pytest.fixture
def run(digits_folder):
    def run(path, recipe=RECIPE, **options):
        options = {"data": digits_folder, "show_progress": False, **options}
        return train("qkformer-digits", output=path, recipe=recipe, **options)

    return run


@pytest.fixture(scope="module")
def whole(digits_folder, tmp_path_factory):
    """An uninterrupted run: its checkpoint and its epochs."""
    path, epochs = tmp_path_factory.mktemp("whole") / "model.safetensors", []
    options = {"data": digits_folder, "show_progress": False, "command": "as typed", "on_epoch": epochs.append}
    assert train("qkformer-digits", output=path, recipe=RECIPE, **options) == epochs[-1]
    return path, epochs


def weights(path):
    return load_checkpoint(path)[0].state_dict()


def assert_equal_runs(path, other):
    expected = weights(other)
    for key, tensor in weights(path).items():
        assert torch.equal(tensor, expected[key]), key
    for name in ("loss", "accuracy", "firing_rate"):
        assert read_metadata(path)[name] == read_metadata(other)[name], name


def test_a_run_leaves_a_checkpoint_a_log_and_its_figures(whole, digits_folder):
    path, epochs = whole
    assert [epoch.epoch for epoch in epochs] == [1, 2]
    metadata = read_metadata(path)
    assert metadata["recipe"] == json.loads(json.dumps(RECIPE.to_dict()))
    assert metadata["command"] == "as typed"
    assert metadata["backend"] == "plain PyTorch on the CPU"
    assert metadata["data"]["sizes"] == {"train": 72, "test": 30}
    assert digits_folder not in json.dumps(metadata)
    lines = [json.loads(line) for line in path.with_name(path.name + ".log.jsonl").read_text().splitlines()]
    assert lines[0]["command"] == "as typed"
    assert [line["loss"] for line in lines[1:]] == [epoch.loss for epoch in epochs]
    for epoch in epochs:
        assert epoch.seconds > 0
        assert epoch.images_per_second > 0


def test_accuracy_and_firing_rate_are_those_of_the_checkpoint(whole):
    path, epochs = whole
    model = load_checkpoint(path)[0]
    images, labels = load_digits("test")
    images = (images[:30] * 255).round() / 255
    assert epochs[-1].accuracy == evaluate(model, images, labels[:30])
    found = Evaluation.of(count_batches(model, [(images, labels[:30])], scale=1))
    assert epochs[-1].firing_rate == round(found.firing_rate, 5)
    assert 0 < found.firing_rate < 1


def test_accuracy_is_that_on_the_images_that_every_command_takes(tmp_path):
    """Of files of mixed sizes, grey and in colour: what is trained, cut and evaluated is what is loaded."""
    write_mixed_folder(tmp_path / "folder")
    recipe, source = replace(RECIPE, epochs=1, learning_rate=1e-4), str(tmp_path / "folder")
    options = {"recipe": recipe, "initial": "qkformer-digits", "show_progress": False}
    last = train("qkformer-digits", output=tmp_path / "model", data=source, **options)
    model, config = load_checkpoint(tmp_path / "model")
    images, labels = load_inputs(source, config)
    assert images.shape == (20, 1, 8, 8)
    assert 0.2 < last.accuracy < 1
    found = Evaluation.of(count_batches(model, [(images, labels)], scale=1))
    assert (last.accuracy, last.firing_rate) == (found.accuracy, round(found.firing_rate, 5))


def test_a_file_of_arrays_is_trained_on(tmp_path):
    arrays = {}
    for split, count in (("train", 32), ("test", 20)):
        images, labels = load_digits(split)
        arrays |= {f"{split}_images": images[:count].numpy(), f"{split}_labels": labels[:count].numpy()}
    np.savez(tmp_path / "digits.npz", **arrays)
    recipe, source = replace(RECIPE, epochs=1), str(tmp_path / "digits.npz")
    last = train("qkformer-digits", output=tmp_path / "model", data=source, recipe=recipe, show_progress=False)
    model, config = load_checkpoint(tmp_path / "model")
    assert last.accuracy == evaluate(model, *load_inputs(source, config))


def test_ctrl_c_after_an_epoch_resumes_to_the_same_weights(whole, run, tmp_path):
    def interrupt(epoch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", on_epoch=interrupt)
    assert read_metadata(tmp_path / "parts")["epoch"] == 1
    run(tmp_path / "parts", resume=True)
    assert_equal_runs(tmp_path / "parts", whole[0])


SCRIPT = """
import sys
from qkformer import Recipe, train
from qkformer.data import load_inputs
from qkformer.training.augment import Augmentation
recipe = Recipe(epochs=2, batch_size=16, threads=1,
                augmentation=Augmentation(affine=1.0, flip=0.2, mixup=0.3, erasing=0.2))
train("qkformer-digits", output=sys.argv[2], data=sys.argv[1], recipe=recipe, save_every=float(sys.argv[3]),
      show_progress=False)
"""


@pytest.mark.long  # Ctrl-C, below, resumes in the process of the tests
@pytest.mark.parametrize(
    ("number", "save_every"),
    [(signal.SIGKILL, 0), (signal.SIGTERM, 1e9), pytest.param(signal.SIGINT, 1e9, marks=pytest.mark.exhaustive)],
)
def test_a_run_stopped_within_an_epoch_resumes_to_the_same_weights(
    whole, run, tmp_path, digits_folder, number, save_every
):
    output = tmp_path / "model"
    state = tmp_path / "model.state"
    command = [sys.executable, "-c", SCRIPT, digits_folder, str(output), str(save_every)]
    # A shell in the background ignores SIGINT, and so would its children.
    process = subprocess.Popen(command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    deadline = time.monotonic() + 200
    # With save_every=0 the state appears after the first step; else only at the end of the first epoch.
    while not state.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(number)
    assert process.wait(timeout=60) != 0
    at = torch.load(state, weights_only=True)["at"]
    assert at["epoch"] * 5 + at["step"] < 10  # 4 steps of 16 images and one of 8 an epoch
    assert at["step"] > 0
    run(output, resume=True)
    assert_equal_runs(output, whole[0])


def test_resuming_needs_a_state_of_the_same_task(run, tmp_path, digits_folder):
    with pytest.raises(CheckpointError, match="no state to resume from"):
        run(tmp_path / "none", resume=True)
    (tmp_path / "bad.state").write_bytes(b"not a state")
    with pytest.raises(CheckpointError, match=r"bad.state: not a checkpoint, or damaged"):
        run(tmp_path / "bad", resume=True)
    torch.save({"weights": torch.zeros(1)}, tmp_path / "bad.state")
    with pytest.raises(CheckpointError, match=r"bad.state: not a training state"):
        run(tmp_path / "bad", resume=True)
    run(tmp_path / "one", replace(RECIPE, epochs=1))
    with pytest.raises(CheckpointError, match=r"one.state: the run to resume was another: recipe.epochs: 1 -> 2$"):
        run(tmp_path / "one", resume=True)
    with pytest.raises(
        CheckpointError, match=r"the run to resume was another: data.name: 'digits\d+' -> 'digits'; data.sizes.train"
    ):
        run(tmp_path / "one", replace(RECIPE, epochs=1), data="digits", resume=True)


def test_a_finished_run_resumes_to_itself(run, whole):
    path, epochs = whole
    before = path.read_bytes()
    assert run(path, resume=True) == epochs[-1]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "lost", [("",), (".log.jsonl",), ("", ".log.jsonl"), "an older checkpoint", "half a checkpoint"]
)
def test_resuming_writes_what_is_missing(lost, run, whole, tmp_path):
    """As if killed after the last state, when checkpoint or log were not on the disk yet, or are no longer."""
    path, epochs = whole
    for suffix in ("", ".state", ".log.jsonl"):
        if suffix not in lost or isinstance(lost, str):
            (tmp_path / f"model{suffix}").write_bytes(path.with_name(path.name + suffix).read_bytes())
    if lost == "an older checkpoint":
        save_checkpoint(load_checkpoint("qkformer-digits")[0], tmp_path / "model", epoch=2)
    elif lost == "half a checkpoint":
        (tmp_path / "model").write_bytes(path.read_bytes()[:-9])
    assert run(tmp_path / "model", resume=True) == epochs[-1]
    assert_equal_runs(tmp_path / "model", path)
    lines = (tmp_path / "model.log.jsonl").read_text().splitlines()
    assert lines[1:] == [json.dumps(asdict(epoch)) for epoch in epochs]


def test_weights_may_come_from_a_checkpoint_with_other_time_steps(whole, digits_folder, tmp_path):
    config = get_config("qkformer-digits").replace(time_steps=1)
    recipe = replace(RECIPE, epochs=1, learning_rate=0.0, final_learning_rate=0.0)
    options = {"data": digits_folder, "recipe": recipe, "initial": whole[0], "show_progress": False}
    train(config, output=tmp_path / "model", **options)
    model, config = load_checkpoint(tmp_path / "model")
    assert config.time_steps == 1
    before = weights(whole[0])
    for key, tensor in model.named_parameters():
        assert torch.equal(tensor, before[key]), key
    assert read_metadata(tmp_path / "model")["initial"]["name"] == "model.safetensors"


def test_micro_batches_add_up_to_the_gradient_of_the_batch(monkeypatch, run, tmp_path):
    """Two halves that are alike have the BatchNorm of the whole; so have their gradients to be."""
    images, labels = load_digits("train")
    halves = (images[:16].repeat(2, 1, 1, 1), labels[:16].repeat(2))
    monkeypatch.setattr("qkformer.data.sources.digits.load_digits", lambda split: halves)
    monkeypatch.setattr(torch, "randperm", lambda count, generator=None: torch.arange(count))
    plain = Recipe(epochs=1, batch_size=32, threads=1, learning_rate=1e-3, augmentation=Augmentation())
    options = {"data": "digits"}
    losses = [run(tmp_path / str(parts), replace(plain, accumulation=parts), **options).loss for parts in (1, 2)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    moments = [torch.load(tmp_path / f"{parts}.state", weights_only=True)["optimizer"]["state"] for parts in (1, 2)]
    for key in moments[0]:
        expected, found = (moment[key]["exp_avg"] for moment in moments)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item() + 1e-9)


@pytest.mark.long
def test_a_last_batch_of_fewer_images_than_micro_batches(run, tmp_path):
    assert run(tmp_path / "model", replace(RECIPE, epochs=1, accumulation=12)).loss < 5  # it has 8


@pytest.mark.long
def test_precision_and_memory_format_are_the_recipes(run, tmp_path):
    recipe = replace(RECIPE, epochs=1, precision="bf16", channels_last=True)
    assert run(tmp_path / "bf16", recipe).loss < 5
    assert {tensor.dtype for tensor in weights(tmp_path / "bf16").values()} == {torch.float32, torch.int64}


def test_the_threads_are_those_of_the_recipe_and_then_as_before(run, tmp_path):
    seen = []
    before = torch.get_num_threads()
    recipe = replace(RECIPE, epochs=1, batch_size=72, threads=before + 1)
    run(tmp_path / "run", recipe, on_epoch=lambda _: seen.append(torch.get_num_threads()))
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


@pytest.mark.long
def test_a_quiet_run_leaves_the_console_as_it_was(run, tmp_path, capsys):
    run(tmp_path / "quiet", replace(RECIPE, epochs=1))
    assert capsys.readouterr().out == ""
    run(tmp_path / "loud", replace(RECIPE, epochs=1), show_progress=True)
    assert "qkformer-digits: neurons on plain PyTorch on the CPU, 1 process" in capsys.readouterr().out


def test_tensorboard_has_every_epoch(run, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    last = run(tmp_path / "model", replace(RECIPE, epochs=1), tensorboard=tmp_path / "board")
    events = EventAccumulator(str(tmp_path / "board" / "qkformer-digits")).Reload()
    (loss,) = events.Scalars("epoch/loss")
    assert (loss.step, loss.value) == (1, pytest.approx(last.loss))


def test_what_does_not_fit_is_one_line(run, tmp_path, digits_folder):
    options = {"output": tmp_path / "model", "data": digits_folder, "show_progress": False}
    with pytest.raises(ValueError, match=r"has 10 classes; qkformer-cifar100 has 100"):
        train(get_config("qkformer-cifar100").replace(image_size=8, in_channels=1), **options)
    with pytest.raises(ValueError, match="qkformer-dvs128 takes event frames; training reads images only"):
        train("qkformer-dvs128", **options)
    with pytest.raises(TrainingError, match=r"the loss of epoch 1 is nan; lower the learning rate, 1e\+20"):
        run(tmp_path / "model", replace(RECIPE, learning_rate=1e20, warm_up=0))


def test_evaluation_counts_and_keeps_the_mode():
    model = create_model("qkformer-digits")
    images, labels = load_digits("test")
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(torch.arange(10.0))
    assert evaluate(model, images, labels) == (labels == 9).sum().item() / len(labels)
    assert model.training


def test_the_column_of_labels_is_passed_on(run, tmp_path):
    with pytest.raises(ValueError, match="has no column 'coarse_label'"):
        run(tmp_path / "model", label="coarse_label")


def test_the_fixed_model_is_evaluated_likewise():
    images, labels = load_digits("test")
    fixed = quantize(load_checkpoint("qkformer-digits")[0], load_digits("train")[0])
    assert evaluate(fixed, images[:40], labels[:40]) == (fixed(images[:40]).argmax(1) == labels[:40]).double().mean()
