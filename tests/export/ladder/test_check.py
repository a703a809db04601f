import numpy as np
import pytest

import export
from qkformer import load_digits


@pytest.fixture(scope="module")
def images():
    return load_digits("test")[0][:2]


def test_reference_trace(fixed_digits, images):
    trace = export.reference_trace(fixed_digits, images)
    logits = fixed_digits.encoding.logits(trace["output"])
    np.testing.assert_allclose(logits, fixed_digits(images).numpy(), rtol=1e-6)
    assert trace["stage1.0.tssa.mask"].dtype == np.int8


def test_verify(fixed_digits, digits_graph, images):
    calls = []
    report = export.verify(
        fixed_digits, digits_graph, images, ["interpreter"], progress=lambda *call: calls.append(call)
    )
    assert report.mismatches == 0
    assert report.compared == sum(v.size for v in export.reference_trace(fixed_digits, images).values())
    assert report.targets["interpreter"].mismatches == 0
    assert {target for target, _, _ in calls} == {"interpreter"}


def test_verify_notices_one_weight(fixed_digits, digits_graph, images, monkeypatch):
    conv = digits_graph.nodes["patch_embed1.proj_conv"]
    largest = conv.weight == conv.weight.max()
    assert largest.sum() == 1
    monkeypatch.setattr(conv, "weight", np.where(largest, -conv.weight, conv.weight))
    report = export.verify(fixed_digits, digits_graph, images, ["interpreter"])
    assert report.mismatches > 0
    assert report.first_divergence.population == "patch_embed1.proj_lif"


def test_targets_that_do_not_exist(refuses, fixed_digits, digits_graph, images):
    with refuses(ValueError, "'loihi3'", "interpreter, lava"):
        export.verify(fixed_digits, digits_graph, images, ["interpreter", "loihi3"])
    with refuses(ValueError, "no target", "interpreter, lava"):
        export.verify(fixed_digits, digits_graph, images, [])


def test_lava_on_real_images(lava, fixed_digits, digits_graph, images):
    assert export.verify(fixed_digits, digits_graph, images, ["lava"]).first_divergence is None
