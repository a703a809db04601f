"""What the tests share: random examples that change by the day and can be had again, and faults in one clear line."""

import datetime
import importlib.util
import os
from contextlib import contextmanager

# Small models gain nothing from a second thread, and lose much where others want the cores; also in what is started.
os.environ["OMP_NUM_THREADS"] = "1"

import hypothesis
import pytest
import torch
from amount import LONG

# Without a GPU the kernels run in Triton's interpreter. It is chosen as Triton is imported, by torch at any time.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

for profile, examples in ("short", 10), (LONG, 100):
    hypothesis.settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,
        database=None,  # so that the seed alone says which examples were tried
        print_blob=True,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],  # which a busy machine is
    )
hypothesis.settings.load_profile("short")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Other random examples each day; the processes of one run agree on the day."""
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = datetime.date.today().strftime("%Y%m%d")


def pytest_report_header(config):
    """What the random examples are drawn from."""
    return f"random examples: of today; the same again: --hypothesis-seed={config.option.hypothesis_seed}"


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
