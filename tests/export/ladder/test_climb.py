"""The ladder's stages and steps; what it finds is in test_seeded_faults.py."""

import json

import numpy as np
import pytest
import torch
from published import golden_inputs, golden_model, lively_model, small_config

import export
import hardware
from hardware import PackedTrace
from hardware.errors import InputError
from qkformer import load_digits


@pytest.fixture(scope="module")
def images():
    return load_digits("test")[0][:3]


@pytest.fixture(scope="module")
def labels():
    return load_digits("test")[1][:3]


def test_stages_and_steps(digits, fixed_digits, images, labels, tmp_path):
    ladder = export.run_ladder(
        digits, fixed_digits, images, tmp_path, labels=labels, targets=["interpreter"], versions={"numpy": "1"}
    )
    report = ladder.report
    assert list(ladder.stages) == ["float", "folded", "fixed", "interpreter", "read back"]
    assert [(step.stage, step.against) for step in report.ladder] == list(
        zip(list(ladder.stages)[1:], ladder.stages, strict=False)
    )
    folded, fixed, interpreter, read_back = report.ladder
    assert folded.agreement > 0.999
    assert folded.logit_error < 1e-4
    assert 0.9 < fixed.agreement < 1
    assert fixed.same_top1 in (0, 1 / 3, 2 / 3, 1)
    for step in (interpreter, read_back):
        assert step.exact
        assert (step.mismatches, step.logit_error, step.same_top1, step.agreement) == (0, 0, 1, 1)
    assert report.findings == ()
    assert report.compared == 2 * sum(v.size for v in export.reference_trace(fixed_digits, images).values())
    assert set(report.accuracy) == set(ladder.stages)
    assert report.versions == {"numpy": "1"}
    assert ladder.script is None
    assert json.loads(json.dumps(report.to_dict()))["ladder"][2]["mismatches"] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"model.nir"}


def test_traces_are_those_of_the_stages(digits, fixed_digits, images, tmp_path):
    stages = export.run_ladder(digits, fixed_digits, images, tmp_path, targets=["interpreter"]).stages
    reference = export.reference_trace(fixed_digits, images)
    for name in ("fixed", "interpreter", "read back"):
        assert hardware.compare(reference, stages[name].trace).mismatches == 0
    torch.testing.assert_close(stages["float"].logits, digits(images), rtol=0, atol=1e-6)
    torch.testing.assert_close(stages["read back"].logits, fixed_digits(images))


def test_memory_is_limited(digits, fixed_digits, images, tmp_path):
    limited = export.run_ladder(digits, fixed_digits, images, tmp_path, targets=["interpreter"], memory_limit=0.001)
    assert all(stage.trace.on_disk for stage in limited.stages.values())
    assert limited.report.mismatches == 0


def test_a_reference_from_elsewhere(digits, fixed_digits, images, tmp_path, refuses):
    def climb(pictures, **options):
        return export.run_ladder(digits, fixed_digits, pictures, tmp_path, targets=["interpreter"], **options)

    climb(images).stages["fixed"].trace.save(tmp_path / "there.trace")
    there = PackedTrace.load(tmp_path / "there.trace")
    ladder = climb(images, reference=there)
    assert list(ladder.stages) == ["fixed", "interpreter", "read back"]
    assert ladder.report.mismatches == 0
    with refuses(InputError, "other inputs"):
        climb(images.flip(0), reference=there)


def test_progress_of_every_stage(digits, fixed_digits, images, tmp_path):
    from contextlib import contextmanager

    calls = []

    @contextmanager
    def watch(stage):
        yield lambda done, total: calls.append((stage, done, total))

    export.run_ladder(digits, fixed_digits, images, tmp_path, targets=["interpreter"], watch=watch)
    assert {stage for stage, _, _ in calls} == {"interpreter", "read back"}


@pytest.mark.parametrize("attention", ["self", "channel"])
@pytest.mark.parametrize("pooling", ["current", "spike"])
def test_parts_of_published_models(attention, pooling, tmp_path):
    model = lively_model(small_config(attention=attention, pooling=pooling))
    images = torch.randn(3, 2, 6, 6, generator=torch.manual_seed(3))
    report = export.run_ladder(model, export.quantize(model, images), images, tmp_path, targets=["interpreter"]).report
    assert report.findings == ()
    assert report.mismatches == 0
    assert report.compared > 0


@pytest.mark.long
def test_a_published_model(tmp_path):
    """The whole ladder without Lava over qkformer-cifar10 with golden weights; every flip is within rounding."""
    model = golden_model("qkformer-cifar10")
    images = golden_inputs(model.config, 2)
    fixed = export.quantize(model, images)
    report = export.run_ladder(model, fixed, images, tmp_path, targets=["interpreter"]).report
    assert report.findings == ()
    assert report.mismatches == 0
    assert report.compared > 40_000_000
    assert [step.stage for step in report.ladder] == ["folded", "fixed", "interpreter", "read back"]
    assert np.mean([layer.originated > 0 for layer in report.flips]) > 0.5


def test_samples_are_independent(digits, fixed_digits, images):
    assert export.find_leaks(digits, images) == ()
    assert export.find_leaks(fixed_digits, images) == ()
    assert export.find_leaks(digits, images[:1]) == ()  # nothing to compare with
