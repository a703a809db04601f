"""Time and memory of one attention against the number of tokens, at a fixed width.

What is measured is the attention proper: spikes Q, K (and V) in, spikes out, without the projections around it,
which cost every kind the same. Forward only, on one thread unless told otherwise. A time is the fastest of many:
on a shared machine the others measure its load. Memory is what is allocated at the peak beyond the inputs.

    python benchmarks/attention_scaling.py --plot attention_scaling.png
"""

from __future__ import annotations

import argparse
import time
import weakref
from collections import Counter
from collections.abc import Callable

import matplotlib
import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from qkformer import get_config
from qkformer.models.attention import ATTENTIONS
from qkformer.models.config import EmbedLayer, PatchEmbedConfig, StageConfig

CHANNELS, HEADS, RATE = 256, 1, 0.2
TOKENS = [64 * 4**power for power in range(5)]  # 64 to 16,384: squares, as images have
FITTED = 1024  # exponents are fitted from here: below it, calling a function costs more than what it computes
SECONDS = 0.5  # a measurement is repeated for about this long
COMPLEXITY = {"QKTA": "O(N D)", "QKCA": "O(N D)", "SSA, K^T V first": "O(N D²)"}
QUADRATIC = "O(N² D)"


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of every storage that an operation makes, until the last tensor on it dies."""

    def __init__(self, inputs: tuple[Tensor, ...]):
        super().__init__()
        self.known = {tensor.untyped_storage().data_ptr() for tensor in inputs}
        self.references: Counter[int] = Counter()
        self.live = self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run the operation, then take down its outputs."""
        outputs = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(outputs):
            if isinstance(tensor, Tensor) and tensor.untyped_storage().data_ptr() not in self.known:
                self._take(tensor)
        return outputs

    def _take(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        pointer, size = storage.data_ptr(), storage.nbytes()
        if not self.references[pointer]:
            self.live += size
            self.peak = max(self.peak, self.live)
        self.references[pointer] += 1
        weakref.finalize(tensor, self._release, pointer, size)

    def _release(self, pointer: int, size: int) -> None:
        self.references[pointer] -= 1
        if not self.references[pointer]:
            self.live -= size


def attention(kind: str, device: str) -> Callable[..., Tensor]:
    config = get_config("qkformer-digits")
    embed = PatchEmbedConfig((EmbedLayer("proj", CHANNELS),))
    stage = StageConfig(embed, CHANNELS, 1, HEADS, kind, "attention", 1)
    return ATTENTIONS[kind](config, stage).eval().to(device)


def quadratic(neuron: Callable[[Tensor], Tensor], softmax: bool) -> Callable[..., Tensor]:
    """Attention by the matrix of all pairs of tokens: SSA in the order of its formula, or softmax attention."""

    def mix(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        queries, keys, values = (x.flatten(3).transpose(-1, -2) for x in (q, k, v))
        pairs = queries @ keys.transpose(-1, -2)
        if softmax:
            return (pairs * CHANNELS**-0.5).softmax(-1) @ values
        return neuron(pairs @ values * 0.125)

    return mix


def kinds(device: str) -> dict[str, tuple[int, Callable[..., Tensor]]]:
    """Name -> the number of inputs, and the function."""
    own = {kind: attention(kind, device) for kind in ATTENTIONS}
    return {
        "QKTA": (2, own["token"].mix),
        "QKCA": (2, own["channel"].mix),
        "SSA, K^T V first": (3, own["self"].mix),
        "SSA, Q K^T first": (3, quadratic(own["self"].attn_lif, softmax=False)),
        "softmax attention": (3, quadratic(own["self"].attn_lif, softmax=True)),
    }


def seconds(function: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> float:
    """The shortest time of a call."""

    def synchronize() -> None:
        if inputs[0].is_cuda:
            torch.cuda.synchronize()

    times: list[float] = []
    function(*inputs)
    synchronize()
    while sum(times) < SECONDS or len(times) < 2:
        started = time.perf_counter()
        function(*inputs)
        synchronize()
        times.append(time.perf_counter() - started)
    return min(times)


def peak_memory(function: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> int:
    """Bytes allocated at the peak of a call, beyond its inputs."""
    with PeakMemory(inputs) as memory:
        function(*inputs)
    return memory.peak


def exponent(tokens: list[int], values: list[float]) -> float:
    """The slope of a straight line through log(values) over log(tokens)."""
    chosen = [index for index, count in enumerate(tokens) if count >= FITTED]
    return float(np.polyfit(np.log(np.array(tokens)[chosen]), np.log(np.array(values)[chosen]), 1)[0])


@torch.no_grad()
def measure(largest: int, device: str) -> dict[str, tuple[list[float], list[float]]]:
    """Kind -> seconds and bytes for each number of tokens; printed as they come."""
    results = {}
    tokens = [count for count in TOKENS if count <= largest]
    print(f"{'':20}" + "".join(f"{count:>20,}" for count in tokens) + "   time ~ N^   memory ~ N^   theory")
    for name, (arguments, function) in kinds(device).items():
        times, sizes = [], []
        for count in tokens:
            side = int(count**0.5)
            generator = torch.Generator().manual_seed(count)
            shape = (1, 1, CHANNELS, side, side)
            inputs = tuple(
                torch.empty(shape).bernoulli_(RATE, generator=generator).to(device) for _ in range(arguments)
            )
            times.append(seconds(function, inputs))
            sizes.append(peak_memory(function, inputs))
        results[name] = (times, sizes)
        pairs = zip(times, sizes, strict=True)
        cells = "".join(f"{duration * 1e3:>9.2f} ms {size / 2**20:>6.1f} MB" for duration, size in pairs)
        fits = f"{exponent(tokens, times):>12.2f}{exponent(tokens, sizes):>14.2f}"
        print(f"{name:20}{cells}{fits}   {COMPLEXITY.get(name, QUADRATIC)}")
    return results


def plot(results: dict[str, tuple[list[float], list[float]]], path: str) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, series in results.items():
        for axis, values in zip(axes, series, strict=True):
            axis.loglog(TOKENS[: len(values)], values, marker="o", label=name)
    for axis, title in zip(axes, ("time of a forward pass (s)", "peak memory (bytes)"), strict=True):
        axis.set(xlabel=f"tokens N, at {CHANNELS} channels", title=title)
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=TOKENS[-1], help="the most tokens to measure")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--plot", help="a PNG file to write")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"torch {torch.__version__}, {arguments.device}, {torch.get_num_threads()} threads")
    results = measure(arguments.largest, arguments.device)
    if arguments.plot:
        plot(results, arguments.plot)


if __name__ == "__main__":
    main()
