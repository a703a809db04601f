"""A training step of whole models, with each neuron in the same model: images a second and peak memory, as ratios.

    python benchmarks/train_step.py                                  on a CUDA device: both published models
    python benchmarks/train_step.py qkformer-cifar10 --batch 128     one of them

A step is forward, backward and AdamW's update on one batch, in bfloat16 with channels as they are. The neurons are ours
(`triton`: LIF and Q-K attention by their kernels), plain PyTorch, and SpikingJelly's Triton LIF where it is installed.
Before anything is timed, ours and plain PyTorch must have equal logits on the same weights, in float32 with cuDNN's
deterministic convolutions, and gradients equal to rounding.

Without a CUDA device it times plain PyTorch on a small model, to show that it runs; no such figure says anything
about a GPU. With TRITON_INTERPRET=1 the kernels are held against plain PyTorch in the interpreter as well.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import time
from collections.abc import Callable
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qkformer import LIF, SpikingTransformer, create_model
from qkformer.kernels import describe_backend, set_backend
from qkformer.kernels.backend import interpreted

MODELS = {"qkformer-cifar10": 128, "qkformer-10-384": 64}  # with the images of a batch
SMALL = ("qkformer-digits", 4)
REPEATS, WARM_UP = 20, 5


def with_backend(backend: str) -> Callable[[SpikingTransformer], nn.Module]:
    """A copy of a model whose neurons run on a backend."""

    def swap(model: SpikingTransformer) -> nn.Module:
        copied = deepcopy(model)
        set_backend(copied, backend)
        return copied

    return swap


def with_spikingjelly(model: SpikingTransformer) -> nn.Module:
    """A copy of a model with SpikingJelly's LIF on its Triton backend."""
    os.environ["SJ_LIF_CUDA_IMPLEMENTATION"] = "triton"  # how version 2.0 is told, before it is imported
    from spikingjelly.activation_based import functional, neuron, surrogate

    copied = deepcopy(model)
    for path, module in list(copied.named_modules()):
        if isinstance(module, LIF):
            node = neuron.LIFNode(
                tau=module.tau,
                decay_input=True,
                v_threshold=module.v_threshold,
                v_reset=0.0,
                surrogate_function=surrogate.Sigmoid(4.0),
                detach_reset=True,
                step_mode="m",
                store_v_seq=False,
            )
            copied.set_submodule(path, node)
    copied.register_forward_pre_hook(lambda module, images: functional.reset_net(module))
    return copied


def loss_of(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and loss of a batch."""
    logits = model(images)
    return logits, F.cross_entropy(logits.float(), labels)


def check(ours: nn.Module, plain: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Assert that two copies of a model have equal logits, and gradients equal to rounding."""
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
    found = []
    for model in ours, plain:
        logits, loss = loss_of(model, images, labels)
        loss.backward()
        found.append((logits.detach(), [p.grad for p in model.parameters() if p.grad is not None]))
        model.zero_grad(set_to_none=True)
    (logits, gradients), (expected, expected_gradients) = found
    assert torch.equal(logits, expected), f"logits differ by up to {(logits - expected).abs().max():.3g}"
    assert len(gradients) == len(expected_gradients) > 0
    largest = max(gradient.abs().max().item() for gradient in expected_gradients)
    for gradient, other in zip(gradients, expected_gradients, strict=True):
        # A bias before a BatchNorm has no gradient but rounding errors; hence the part of the largest.
        torch.testing.assert_close(gradient, other, rtol=1e-3, atol=1e-5 * largest)
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = True, False


def measure(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Images a second (median step) and peak memory in bytes (0 on a CPU)."""
    device = images.device
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    times = []
    for repeat in range(REPEATS + WARM_UP):
        if device.type == "cuda":
            torch.cuda.synchronize()
            if repeat == WARM_UP:
                torch.cuda.reset_peak_memory_stats()
        started = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16):
            _, loss = loss_of(model, images, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if repeat >= WARM_UP:
            times.append(time.perf_counter() - started)
    memory = torch.cuda.max_memory_allocated() if device.type == "cuda" else 0
    return len(images) / statistics.median(times), memory


def compare(name: str, batch: int, device: torch.device) -> None:
    """Print a table for one model."""
    torch.manual_seed(0)
    model = create_model(name).to(device)
    config = model.config
    images = torch.rand(batch, config.in_channels, config.image_size, config.image_size, device=device)
    labels = torch.randint(config.num_classes, (batch,), device=device)
    swaps = {"plain PyTorch": with_backend("torch")}
    if importlib.util.find_spec("spikingjelly") is None:
        print("SpikingJelly is left out: it is not installed")
    elif device.type == "cuda":
        swaps["SpikingJelly, Triton"] = with_spikingjelly
    kernels = device.type == "cuda" or interpreted()
    if kernels:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        few = images[: max(2, batch // 8)], labels[: max(2, batch // 8)]
        check(with_backend("triton")(model), with_backend("torch")(model), *few)
        print(f"{name}: logits of the kernels equal those of plain PyTorch on {len(few[0])} images")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    else:
        print(f"{name}: kernels not checked; set TRITON_INTERPRET=1 to run them in the interpreter")
    if device.type == "cuda":
        swaps = {"ours, Triton": with_backend("triton"), **swaps}
    first: tuple[float, float] | None = None
    for label, swap in swaps.items():
        copied = swap(model)
        speed, memory = measure(copied, images, labels)
        first = first or (speed, memory)
        line = f"  {label:<22} {speed:>9,.1f} images/s"
        if device.type == "cuda":
            line += f", {memory / 1e9:.2f} GB peak; ours has {first[0] / speed:.2f} times the images/s"
            line += f" and {first[1] / memory:.2f} times the memory"
        print(line)
        del copied


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help=f"configurations; {', '.join(MODELS)} if none is given")
    parser.add_argument("--batch", type=int, help="images of a batch")
    options = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"torch {torch.__version__}; {describe_backend('auto', torch.zeros(1, device=device))}")
    if device.type != "cuda":
        print("No CUDA device: NOTHING below says anything about a GPU.")
    standard = MODELS if device.type == "cuda" else dict([SMALL])
    for name in options.models or standard:
        compare(name, options.batch or standard.get(name, SMALL[1]), device)


if __name__ == "__main__":
    main()
