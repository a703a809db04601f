"""Time of a forward pass in evaluation mode.

The published qkformer-cifar10 on spikingjelly 0.0.0.0.12 (torch backend) took 0.56 s for a batch of 2, on 2 CPU
cores. On a shared machine look at the fastest pass: the others measure its load.
Speed does not depend on the weights: nothing here skips silent neurons.

    python benchmarks/forward_speed.py qkformer-cifar10 --batch 2 --threads 2

With `--against-spikingjelly` (pip install spikingjelly==0.0.0.0.12) every second pass runs on a copy of the model
whose neurons are that library's, so that both are measured under the same load.
"""

from __future__ import annotations

import argparse
import time
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn

from qkformer import LIF, create_model


def with_spikingjelly(model: nn.Module) -> nn.Module:
    """A copy of a model with LIF neurons, computed by spikingjelly's torch backend as the published code does."""
    from spikingjelly.clock_driven import functional, neuron

    copied = deepcopy(model)
    for path, module in list(copied.named_modules()):
        if isinstance(module, LIF):
            node = neuron.MultiStepLIFNode(tau=module.tau, v_threshold=module.v_threshold, detach_reset=True)
            parent, _, name = path.rpartition(".")
            setattr(copied.get_submodule(parent), name, node)
    copied.register_forward_pre_hook(lambda module, images: functional.reset_net(module))
    return copied.eval()


@torch.no_grad()
def forward_seconds(models: dict[str, nn.Module], images: Tensor, repeats: int) -> dict[str, list[float]]:
    """Seconds of each pass of each model, in turns, after two to warm up."""
    times: dict[str, list[float]] = {label: [] for label in models}
    for _ in range(repeats + 2):
        for label, model in models.items():
            started = time.perf_counter()
            model(images)
            times[label].append(time.perf_counter() - started)
    return {label: found[2:] for label, found in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", default="qkformer-cifar10", help="a configuration")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--against-spikingjelly", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model = create_model(arguments.name).eval()
    models = {"qkformer": model}
    if arguments.against_spikingjelly:
        models["neurons of spikingjelly"] = with_spikingjelly(model)
    config = model.config
    frames = (config.time_steps,) if config.events else ()
    images = torch.randn(arguments.batch, *frames, config.in_channels, config.image_size, config.image_size)
    print(f"{arguments.name}, batch {arguments.batch}, {arguments.threads} threads, torch {torch.__version__}")
    for label, times in forward_seconds(models, images, arguments.repeats).items():
        print(f"{label:>24}: fastest {min(times):.3f} s, median {np.median(times):.3f} s of {len(times)} passes")


if __name__ == "__main__":
    main()
