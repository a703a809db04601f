import importlib.util

import numpy as np
import pytest
import torch
from published import lively_model, small_config

import export
import hardware
from export.lower.onnx import PACKAGES
from qkformer import load_digits

needs_onnx = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, PACKAGES)), reason='ONNX is not installed: uv pip install -e ".[onnx]"'
)


@needs_onnx
@pytest.mark.parametrize(("attention", "pooling"), [("self", "current"), ("channel", "spike")])
def test_every_spike_is_equal(attention, pooling, tmp_path):
    model = lively_model(small_config(attention=attention, pooling=pooling))
    images = torch.randn(3, 2, 6, 6, generator=torch.manual_seed(3))
    fixed = export.quantize(model, images)
    export.to_onnx(fixed, fixed.encode(images), tmp_path / "model.onnx")
    trace = export.run_onnx(tmp_path / "model.onnx", fixed.encode(images))
    assert hardware.compare(export.reference_trace(fixed, images), trace).mismatches == 0
    assert trace["output"].dtype == np.int32


@needs_onnx
def test_as_a_stage_of_the_ladder(digits, fixed_digits, tmp_path):
    images = load_digits("test")[0][:2]
    report = export.run_ladder(digits, fixed_digits, images, tmp_path, targets=["interpreter", "onnx"]).report
    assert report.ladder[-1].stage == "onnx"
    assert report.mismatches == 0


def test_where_onnx_is_not_installed(fixed_digits, tmp_path, monkeypatch, refuses):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with refuses(ImportError, "ONNX is not installed", "[onnx]"):
        export.to_onnx(fixed_digits, np.zeros((4, 1, 1, 8, 8), np.int8), tmp_path / "model.onnx")
    with refuses(ImportError, "ONNX is not installed", "[onnx]"):
        export.run_onnx(tmp_path / "model.onnx", np.zeros((4, 1, 1, 8, 8), np.int8))
