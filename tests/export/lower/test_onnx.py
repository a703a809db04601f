"""A fixed model as an ONNX file, run by ONNX Runtime and NumPy alone."""

import json

import numpy as np
import pytest
import torch
from published import lively_model, small_config

import export
import hardware
from hardware import NotAvailableError
from qkformer import load_digits

needs_onnx = pytest.mark.skipif(
    hardware.targets()["onnx"].available() is not None, reason='ONNX is not installed: uv pip install -e ".[onnx]"'
)


@needs_onnx
@pytest.mark.parametrize(("attention", "pooling"), [("self", "current"), ("channel", "spike")])
def test_every_spike_is_equal(attention, pooling, tmp_path):
    import onnxruntime

    model = lively_model(small_config(attention=attention, pooling=pooling))
    images = torch.randn(3, 2, 6, 6, generator=torch.manual_seed(3))
    fixed = export.quantize(model, images)
    export.to_onnx(fixed, tmp_path / "model.onnx", populations=True)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    inputs = fixed.encode(images)
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"input": inputs}), strict=True))
    assert np.array_equal(found.pop("logits").astype(np.float32), fixed(images).numpy())
    wanted = export.reference_trace(fixed, images)
    assert hardware.compare(wanted, {name: found[name] for name in wanted}).mismatches == 0


@needs_onnx
def test_a_file_says_how_to_encode_and_gives_logits(fixed_digits, tmp_path):
    import onnxruntime

    images = load_digits("test")[0][:5]
    export.to_onnx(fixed_digits, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    about = session.get_modelmeta().custom_metadata_map
    scale, steps = json.loads(about["input_scale"]), json.loads(about["time_steps"])
    inputs = np.rint(images.numpy().astype(np.float64) / scale).clip(-127, 127).astype(np.int8)
    (logits,) = session.run(["logits"], {"input": np.repeat(inputs[None], steps, 0)})
    assert np.array_equal(logits.argmax(1), fixed_digits(images).argmax(1).numpy())


@needs_onnx
def test_as_a_rung_of_the_ladder(digits, fixed_digits, tmp_path):
    images = load_digits("test")[0][:2]
    report = export.run_ladder(digits, fixed_digits, images, tmp_path, targets=["interpreter", "onnx"]).report
    assert report.ladder[-1].stage == "onnx"
    assert report.mismatches == 0


def test_where_onnx_is_not_installed(fixed_digits, tmp_path, monkeypatch, refuses):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with refuses(NotAvailableError, "ONNX is not installed", "[onnx]"):
        export.to_onnx(fixed_digits, tmp_path / "model.onnx")
