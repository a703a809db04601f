"""Top-1 accuracy of a checkpoint's float model and of its fixed model, over a whole held-out split.

    python benchmarks/accuracy.py CKPT --data DATA [--label COLUMN] [--images N] [--json FILE]

The data are what `qkformer train --data` takes, and the images those on which it measures its held-out accuracy.
Calibration images, which set the scale of the inputs, are the first 256 of the training split.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from export import quantize
from qkformer import load_checkpoint
from qkformer.data import DataError, load_calibration, load_inputs
from qkformer.training.evaluate import Evaluation, count_batches

BATCH = 250


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--data", required=True)
    parser.add_argument("--label", help="the column of labels, if there are several")
    parser.add_argument("--images", type=int)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model, config = load_checkpoint(options.checkpoint)
    images, labels = load_inputs(options.data, config, count=options.images, label=options.label)
    if labels is None:
        raise DataError(f"data {options.data!r} has no labels; an accuracy needs them")
    fixed = quantize(model, load_calibration(options.data, config, label=options.label))
    certified = fixed.certificate.certified

    right = {"float": 0, "fixed": 0, "same": 0}
    firing = Evaluation.of(count_batches(model, [(images[:BATCH], labels[:BATCH])], scale=1)).firing_rate
    with torch.no_grad():
        for some, answers in zip(images.split(BATCH), labels.split(BATCH), strict=True):
            guesses = {"float": model(some).argmax(1), "fixed": fixed(some).argmax(1)}
            for name, guess in guesses.items():
                right[name] += (guess == answers).sum().item()
            right["same"] += (guesses["float"] == guesses["fixed"]).sum().item()
    shares = {name: count / len(images) for name, count in right.items()}
    print(f"{config.name}, T = {config.time_steps}, {len(images):,} held-out images of {Path(options.data).name}")
    print(f"top-1: float {shares['float']:.2%}, fixed {shares['fixed']:.2%}; the same answer for {shares['same']:.2%}")
    print(f"spikes per neuron and time step: {firing:.2%}; every layer certified: {certified}")
    if options.json:
        found = {"checkpoint": options.checkpoint, "images": len(images), "firing_rate": firing, **shares}
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
