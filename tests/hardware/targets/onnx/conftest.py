"""Skips where ONNX is absent; CI installs it."""

import pytest

from hardware.targets.onnx import TARGET


@pytest.fixture(autouse=True)
def needs_onnx(request):
    """Every test but those marked `without_onnx`."""
    reason = TARGET.available()
    if reason and "without_onnx" not in request.fixturenames:
        pytest.skip(reason)


@pytest.fixture
def without_onnx(monkeypatch):
    """As where it is not installed."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
