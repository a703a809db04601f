"""What ships: small files, with the log and the commands they were made by, that deploy exactly."""

import json

import numpy as np
import pytest
import torch

import export
import hardware
from qkformer import load_checkpoint, read_metadata
from qkformer.checkpoints.checkpoint import SHIPPED, shipped_checkpoints
from qkformer.training.run import Epoch

LARGEST = 8e6  # bytes


def test_three_ship():
    assert shipped_checkpoints() == ("qkformer-cifar10-deployable", "qkformer-digits", "qkformer-fashion-mnist")


@pytest.mark.parametrize("name", shipped_checkpoints())
def test_it_is_small_and_says_how_it_was_made(name):
    assert (SHIPPED / f"{name}.safetensors").stat().st_size < LARGEST
    metadata = read_metadata(name)
    runs = [[]]
    for line in (SHIPPED / f"{name}.log.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if "command" in entry:
            runs.append([entry])
        else:
            runs[-1].append(Epoch(**entry))
    assert runs.pop(0) == []
    for first, *epochs in runs:
        assert first["command"].startswith(f"qkformer train {name}")
        assert [epoch.epoch for epoch in epochs] == list(range(1, epochs[-1].epochs + 1))
    assert (metadata["command"], metadata["accuracy"]) == (runs[-1][0]["command"], runs[-1][-1].accuracy)
    assert (metadata["initial"] is None) == (len(runs) == 1)
    assert metadata["versions"]["torch"]


@pytest.mark.parametrize("name", shipped_checkpoints())
def test_it_deploys(name):
    model, config = load_checkpoint(name)
    images = torch.rand(2, config.in_channels, config.image_size, config.image_size)
    fixed = export.quantize(model, images)
    graph = export.to_nir(fixed)
    reference = export.reference_trace(fixed, images)
    report = hardware.compare(reference, hardware.interpret(graph, fixed.encode(images)))
    assert report.mismatches == 0
    assert report.compared > 10**5
    assert all(np.any(spikes) for spikes in reference.values())
