"""The golden files: keys of the published state dicts, and what the published code computes."""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[1] / "golden"
SHAPES = {
    "qkformer-cifar10": (2, 3, 32, 32),
    "qkformer-dvs128": (1, 16, 2, 128, 128),
    "spikformer-4-384": (2, 3, 32, 32),
}


class Golden:
    """Weights, inputs and outputs by name of the configuration."""

    def __init__(self):
        spec = importlib.util.spec_from_file_location("deterministic", FOLDER / "deterministic.py")
        self.deterministic = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.deterministic)

    def keys(self, name: str) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        """Key -> shape and dtype of the published state dict."""
        with open(FOLDER / f"{name}.keys.tsv", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t"))
        return {
            key: (tuple(map(int, filter(None, shape.split(",")))), getattr(torch, dtype)) for key, shape, dtype in rows
        }

    def state_dict(self, name: str) -> dict[str, torch.Tensor]:
        """The golden weights."""
        return {
            key: torch.from_numpy(np.asarray(self.deterministic.parameter(key, shape))).to(dtype)
            for key, (shape, dtype) in self.keys(name).items()
        }

    def images(self, name: str) -> torch.Tensor:
        """The golden inputs."""
        return torch.from_numpy(self.deterministic.inputs(name, SHAPES[name])).float()

    def outputs(self, name: str) -> dict[str, np.ndarray]:
        """`logits_single`, `logits_batched` and `spikes/<population>`."""
        with np.load(FOLDER / f"{name}.npz") as file:
            return dict(file)


@pytest.fixture(scope="session")
def golden():
    return Golden()


def pytest_generate_tests(metafunc):
    """`keys_of` runs over every golden key list, `outputs_of` over every golden output."""
    if "keys_of" in metafunc.fixturenames:
        names = sorted(path.name.removesuffix(".keys.tsv") for path in FOLDER.glob("*.keys.tsv"))
        assert len(names) == 10
        metafunc.parametrize("keys_of", names)
    if "outputs_of" in metafunc.fixturenames:
        metafunc.parametrize("outputs_of", sorted(SHAPES))
