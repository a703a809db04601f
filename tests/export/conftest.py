import pytest

import export
from qkformer import load_checkpoint, load_digits


@pytest.fixture(scope="session")
def digits():
    """The shipped model, float."""
    return load_checkpoint("qkformer-digits")[0]


@pytest.fixture(scope="session")
def fixed_digits(digits):
    return export.quantize(digits, load_digits("train")[0])


@pytest.fixture(scope="session")
def digits_graph(fixed_digits):
    return export.to_nir(fixed_digits)
