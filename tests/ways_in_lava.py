"""The ways in which Lava runs a network, as options: sections, its own processes, and its own models in them."""

import pytest

anyhow = pytest.mark.parametrize(
    "how",
    [
        pytest.param({"sections": 2}, id="sections", marks=pytest.mark.long),
        pytest.param({"sections": 0}, id="processes"),
        pytest.param({"stock_models": True}, id="stock", marks=pytest.mark.long),
    ],
)
