"""Time of the kernels, forward and backward, as a share of what the card's memory allows, and against the others.

Prints the bandwidth of a copy on this card, then for each kernel: milliseconds, bytes moved a second over that
bandwidth, and how many times as long plain PyTorch, torch.compile of it and SpikingJelly's Triton neuron take. The
bytes are those that must move: see `qkformer/kernels/*_triton.py`. That spikes are equal, and gradients to rounding, is
asserted in the same run; of the other two the share of spikes is printed that differs, since they round as they like.

    python benchmarks/kernels.py                        on a CUDA device
    python benchmarks/kernels.py --megabytes 100 1000   other sizes

Without a CUDA device there is nothing to measure: it times plain PyTorch on the CPU at a small size, and with
TRITON_INTERPRET=1 checks, but does not time, the kernels. No such figure says anything about a GPU.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from qkformer.kernels import batchnorm_lif, channel_attention, describe_backend, lif, token_attention
from qkformer.kernels.backend import interpreted

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
STEPS = (4, 16)
SAMPLE = (256, 16, 16)  # channels, height and width; the batch fills up the size
SMALL_SAMPLE = (16, 7, 5)
HEADS = 4
COPIED_BYTES = 2**31
REPEATS, WARM_UP = 30, 5
Operation = Callable[..., Tensor]


def seconds(call: Callable[[], object], device: torch.device) -> float:
    """The median time of a call, on a GPU by its own clock."""
    times = []
    for repeat in range(REPEATS + WARM_UP):
        if device.type == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            call()
            end.record()
            end.synchronize()
            duration = start.elapsed_time(end) / 1e3
        else:
            started = time.perf_counter()
            call()
            duration = time.perf_counter() - started
        if repeat >= WARM_UP:
            times.append(duration)
    return statistics.median(times)


def copy_bandwidth(device: torch.device) -> float:
    """Bytes read and written a second by a copy from device memory to device memory."""
    source = torch.ones(COPIED_BYTES // 4, device=device)
    target = torch.empty_like(source)
    return 2 * COPIED_BYTES / seconds(lambda: target.copy_(source), device)


def spikingjelly_lif() -> Operation | str:
    """SpikingJelly's multi-step LIF with its Triton backend, or why there is none."""
    os.environ["SJ_LIF_CUDA_IMPLEMENTATION"] = "triton"  # how version 2.0 is told, before it is imported
    try:
        from spikingjelly.activation_based import functional, neuron, surrogate

        options = {"tau": 2.0, "v_threshold": 1.0, "v_reset": 0.0, "decay_input": True, "detach_reset": True}
        node = neuron.LIFNode(**options, surrogate_function=surrogate.Sigmoid(4.0), step_mode="m", store_v_seq=False)
    except ImportError as error:
        return f"{type(error).__name__}: {error}"

    def run(x: Tensor) -> Tensor:
        functional.reset_net(node)
        return node(x)

    return run


def with_gradients(operation: Operation, inputs: Sequence[Tensor], grad: Tensor) -> tuple[Tensor, ...]:
    """The spikes of an operation and the gradients of its inputs."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    spikes = operation(*leaves)
    return spikes.detach(), *torch.autograd.grad(spikes, leaves, grad)


def forward_only(operation: Operation, inputs: Sequence[Tensor], grad: Tensor) -> tuple[Tensor, ...]:
    """The spikes of an operation without gradients."""
    with torch.no_grad():
        return (operation(*inputs),)


def check(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    """Spikes are equal; gradients to two units in the last place of their dtype, or of float32 sums."""
    assert torch.equal(found[0], expected[0]), "spikes differ from those of the reference"
    for gradient, reference in zip(found[1:], expected[1:], strict=True):
        tolerance = max(1e-4, 2 * torch.finfo(gradient.dtype).eps)
        torch.testing.assert_close(gradient, reference, rtol=tolerance, atol=tolerance * reference.abs().max().item())


def neurons(x: Tensor, backend: str) -> Tensor:
    return lif(x, backend=backend)


def normalized_neurons(x: Tensor, backend: str) -> Tensor:
    channels = torch.linspace(0.5, 1.5, x.shape[2], device=x.device)
    if backend == "triton":
        return batchnorm_lif(x, channels, channels - 1, backend=backend)
    mean, var = torch.zeros_like(channels), torch.ones_like(channels)
    current = F.batch_norm(x.flatten(0, 1), mean, var, channels, channels - 1, eps=0.0)
    return lif(current.view_as(x), backend=backend)


def by_token(q: Tensor, k: Tensor, backend: str) -> Tensor:
    return token_attention(q, k, HEADS, backend=backend)


def by_channel(q: Tensor, k: Tensor, backend: str) -> Tensor:
    return channel_attention(q, k, backend=backend)


# Name -> operation, how it is run, number of inputs, and the bytes moved over those of one input.
KERNELS = {
    "LIF": (neurons, with_gradients, 1, 2 + 3),
    "BatchNorm + LIF": (normalized_neurons, forward_only, 1, 2),
    "token attention": (by_token, with_gradients, 2, 3 + 7),
    "channel attention": (by_channel, with_gradients, 2, 3 + 7),
}


def currents(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device, count: int) -> list[Tensor]:
    """`count` inputs and a gradient, [T, B, C, H, W]."""
    generator = torch.Generator(device).manual_seed(0)
    return [(torch.randn(shape, device=device, generator=generator) * 1.5 + 0.3).to(dtype) for _ in range(count + 1)]


def bind(operation: Operation, backend: str) -> Operation:
    return lambda *inputs: operation(*inputs, backend=backend)


def measure_on_gpu(sizes: Sequence[float], device: torch.device) -> None:
    bandwidth = copy_bandwidth(device)
    print(f"copy of {COPIED_BYTES / 1e9:.1f} GB: {bandwidth / 1e9:.0f} GB/s read and written")
    jelly = spikingjelly_lif()
    if isinstance(jelly, str):
        print(f"SpikingJelly's Triton LIF is left out: {jelly}")
    print(f"{'':42}{'kernel':>10}{'of a copy':>11}{'PyTorch':>10}{'compiled':>20}{'SpikingJelly':>20}")
    for name, (operation, run, count, passes) in KERNELS.items():
        for megabytes in sizes:
            for T in STEPS:
                for dtype in DTYPES:
                    batch = max(1, round(megabytes * 1e6 / (T * math.prod(SAMPLE) * dtype.itemsize)))
                    *inputs, grad = currents((T, batch, *SAMPLE), dtype, device, count)
                    ours, plain = bind(operation, "triton"), bind(operation, "torch")
                    expected = run(plain, inputs, grad)
                    # PyTorch's BatchNorm rounds otherwise.
                    check(run(ours, inputs, grad), run(bind_reference(operation), inputs, grad))
                    size = inputs[0].numel() * inputs[0].element_size()
                    label = f"{name}, T = {T}, {str(dtype)[6:]}, {size / 1e6:.0f} MB"
                    taken = seconds(lambda: run(ours, inputs, grad), device)  # noqa: B023 - called at once
                    line = f"{label:<42}{taken * 1e3:>7.3f} ms{passes * size / taken / bandwidth:>11.2f}"
                    torch.compiler.reset()
                    others = [plain, torch.compile(plain)] + ([jelly] if name == "LIF" and callable(jelly) else [])
                    for other in others:
                        differ = (run(other, inputs, grad)[0] != expected[0]).float().mean().item()
                        ratio = seconds(lambda: run(other, inputs, grad), device) / taken  # noqa: B023
                        line += f"{ratio:>9.2f}x" + ("" if other is plain else f" ({differ:.0e})")
                    print(line, flush=True)


def bind_reference(operation: Operation) -> Operation:
    """What a kernel must equal: the plain operation; of BatchNorm + LIF the one that rounds as documented."""
    if operation is not normalized_neurons:
        return bind(operation, "torch")

    def reference(x: Tensor) -> Tensor:
        channels = torch.linspace(0.5, 1.5, x.shape[2], device=x.device)
        return batchnorm_lif(x, channels, channels - 1, backend="torch")

    return reference


def check_beyond_32_bits(device: torch.device) -> None:
    """More values than 32 bits count: the last neurons spike as they would alone."""
    x = torch.empty(4, 2**29 + 5, dtype=torch.bfloat16, device=device).normal_()
    last = x[:, -1000:].clone()
    assert torch.equal(lif(x, backend="triton")[:, -1000:], lif(last, backend="torch"))
    print(f"LIF of {x.numel():,} values: the last are right")


def measure_on_cpu(device: torch.device) -> None:
    print("No CUDA device: NOTHING below says anything about a GPU.")
    if not interpreted():
        print("The kernels are not checked either; TRITON_INTERPRET=1 checks them in Triton's interpreter.")
    for name, (operation, run, count, _) in KERNELS.items():
        for T in STEPS:
            *inputs, grad = currents((T, 2, *SMALL_SAMPLE), torch.float32, device, count)
            expected = run(bind_reference(operation), inputs, grad)
            if interpreted():
                check(run(bind(operation, "triton"), inputs, grad), expected)
            taken = seconds(lambda: run(bind(operation, "torch"), inputs, grad), device)  # noqa: B023
            kernel = "kernel equals it in the interpreter" if interpreted() else "kernel not checked"
            shape = list(inputs[0].shape)
            print(f"{name}, {shape}: plain PyTorch on the CPU {taken * 1e3:.2f} ms; {kernel}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, nargs="+", default=[100, 400], help="sizes of an input, on a GPU")
    chosen = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"torch {torch.__version__}, {describe_backend('auto', torch.zeros(1, device=device))}")
    if device.type == "cpu":
        measure_on_cpu(device)
    else:
        check_beyond_32_bits(device)
        measure_on_gpu(chosen.megabytes, device)


if __name__ == "__main__":
    main()
