"""A network to feed."""

import pytest
from hostile.data.writers import write_graph


@pytest.fixture
def run(command, tmp_path):
    """`run("bad.npz")`: simulate the tiny network on this data, as the shell would."""
    write_graph(tmp_path)

    def run(data, *options):
        return command("simulate", "model.nir", "-o", "o.trace", "--data", data, *options)

    return run


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder for the examples of a property, one after the other."""
    return tmp_path_factory.mktemp("place")
