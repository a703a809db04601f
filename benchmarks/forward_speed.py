"""Time of a forward pass in evaluation mode.

The published qkformer-cifar10 on spikingjelly 0.0.0.0.12 (torch backend) took 0.56 s for a batch of 2, on 2 CPU
cores. On a shared machine look at the fastest pass: the others measure its load.
Speed does not depend on the weights: nothing here skips silent neurons.

    python benchmarks/forward_speed.py qkformer-cifar10 --batch 2 --threads 2
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from qkformer import create_model


@torch.no_grad()
def forward_seconds(name: str, batch: int, repeats: int) -> list[float]:
    """Seconds of each of `repeats` passes, after two to warm up."""
    torch.manual_seed(0)
    model = create_model(name).eval()
    config = model.config
    frames = (config.time_steps,) if config.events else ()
    images = torch.randn(batch, *frames, config.in_channels, config.image_size, config.image_size)
    times = []
    for _ in range(repeats + 2):
        started = time.perf_counter()
        model(images)
        times.append(time.perf_counter() - started)
    return times[2:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", default="qkformer-cifar10", help="a configuration")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    times = forward_seconds(arguments.name, arguments.batch, arguments.repeats)
    print(
        f"{arguments.name}, batch {arguments.batch}, {arguments.threads} threads, torch {torch.__version__}: "
        f"median {np.median(times):.3f} s, fastest {min(times):.3f} s of {len(times)} passes"
    )


if __name__ == "__main__":
    main()
