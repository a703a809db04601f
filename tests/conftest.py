"""What the tests share: property tests that run the same examples everywhere, and faults in one clear line."""

import importlib.util
import os
from contextlib import contextmanager

import hypothesis
import pytest
import torch

# Without a GPU the kernels run in Triton's interpreter. It is chosen as Triton is imported, by torch at any time.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

hypothesis.settings.register_profile("same everywhere", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("same everywhere")


@pytest.fixture
def refuses():
    """`with refuses(GraphError, "proj_conv", "300", "-128 .. 127"): ...`: one line that names all of these."""

    @contextmanager
    def refuses(kind: type[Exception], *parts: str):
        with pytest.raises(kind) as caught:
            yield
        message = str(caught.value)
        assert type(caught.value) is kind
        assert "\n" not in message
        for part in parts:
            assert part in message

    return refuses


@pytest.fixture(scope="session")
def lava():
    """Skips where Lava is absent; CI installs it."""
    if importlib.util.find_spec("lava") is None:
        pytest.skip('Lava is not installed: uv pip install -e ".[lava]"')
