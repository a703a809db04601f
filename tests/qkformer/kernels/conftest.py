import importlib.util

import pytest
import torch


@pytest.fixture
def device():
    """Where the kernels run: on a GPU, or without one in Triton's interpreter."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip('Triton is not installed: uv pip install -e ".[train]"')
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
