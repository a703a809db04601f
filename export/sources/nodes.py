"""Nodes of NIR by their meaning: what module of a float network each one is, whoever wrote it.

`MODULES` has a function for each type of node. A parameter of shape () or of one value holds for all neurons; leading
dimensions of 1, a batch that a tool has left in, are dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, nn

from hardware.graph.parameters import check_node

from ..errors import ExportError
from ..network.cells import FloatCell
from ..network.layers import Delay, Reshape, WindowSum
from ..network.synapses import Convolve, Dense, FloatSynapses, Form, Scaling

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Reading:
    """How a file is to be read. time_step: seconds; unit_gain: a step of an IF adds its input, whatever r is."""

    time_step: float
    unit_gain: bool


def module_of(name: str, node: Any, shape: Shape, reading: Reading) -> nn.Module:
    """The module that a node is. shape: of what arrives. Raises ExportError or GraphError, naming the node."""
    if node is None:
        raise ExportError(f"node '{name}' is nothing: the tool that made the graph has no NIR node for its layer there")
    check_node(name, node)
    find = next((MODULES[kind] for kind in type(node).__mro__ if kind in MODULES), None)
    if find is None:
        known = ", ".join(sorted(kind.__name__ for kind in MODULES))
        raise ExportError(f"node '{name}' is a {type(node).__name__}, which has no meaning here; there are {known}")
    return find(name, node, shape, reading)


def _dense(name: str, node: nir.Linear | nir.Affine, shape: Shape, reading: Reading) -> nn.Module:
    weight = np.asarray(node.weight)
    if shape != weight.shape[1:]:
        raise ExportError(f"node '{name}' needs an input of shape {weight.shape[1:]}, but gets {shape}")
    return _synapses(name, Dense(), weight, getattr(node, "bias", None))


def _conv(name: str, node: nir.Conv1d | nir.Conv2d, shape: Shape, reading: Reading) -> nn.Module:
    weight, groups = np.asarray(node.weight), int(node.groups)
    directions = weight.ndim - 2
    if len(shape) != directions + 1 or shape[0] != weight.shape[1] * groups or len(weight) % groups:
        raise ExportError(
            f"node '{name}' has a weight {weight.shape} in {groups} groups, which does not fit an input {shape}"
        )
    stride, dilation = (_sizes(value, directions) for value in (node.stride, node.dilation))
    if isinstance(node.padding, (str, bytes)):
        padding = _named_padding(name, node.padding, weight.shape[2:], stride, dilation)
    else:
        padding = _sizes(node.padding, directions)
    return _synapses(name, Convolve(stride, padding, dilation, groups), weight, node.bias)


def _named_padding(name: str, padding: Any, kernel: Shape, stride: Shape, dilation: Shape) -> Shape:
    word = padding.decode() if isinstance(padding, bytes) else padding
    if word == "valid":
        return tuple(0 for _ in kernel)
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if any(r % 2 for r in reach) or any(s != 1 for s in stride):
        raise ExportError(f"node '{name}' has padding '{word}' with a stride or an even kernel; give it in integers")
    return tuple(r // 2 for r in reach)


def _scale(name: str, node: nir.Scale, shape: Shape, reading: Reading) -> nn.Module:
    weight = np.broadcast_to(per_neuron(name, "scale", node.scale, shape), shape)
    return _synapses(name, Scaling(), weight, np.zeros(1))


def _synapses(name: str, form: Form, weight: np.ndarray, bias: Any) -> FloatSynapses:
    bias = np.zeros(len(weight)) if bias is None else np.asarray(bias)
    for what, values in (("weight", weight), ("bias", bias)):
        if not np.isfinite(values).all():
            raise ExportError(f"node '{name}' has a {what} that is NaN or infinite")
    return FloatSynapses(form, torch.from_numpy(weight.astype(np.float64)), torch.from_numpy(bias.astype(np.float64)))


def _sum_pool(name: str, node: nir.SumPool2d, shape: Shape, reading: Reading) -> nn.Module:
    return _pool(name, node, shape, average=False)


def _average_pool(name: str, node: nir.AvgPool2d, shape: Shape, reading: Reading) -> nn.Module:
    return _pool(name, node, shape, average=True)


def _pool(name: str, node: Any, shape: Shape, *, average: bool) -> nn.Module:
    if len(shape) != 3:
        raise ExportError(f"node '{name}' needs an input [channels, height, width], but gets {shape}")
    kernel, stride, padding = (_sizes(value, 2) for value in (node.kernel_size, node.stride, node.padding))
    if any(k > n + 2 * p for k, n, p in zip(kernel, shape[1:], padding, strict=True)):
        raise ExportError(f"node '{name}' has a kernel {kernel} larger than its padded input {shape}")
    share = 1.0 / (kernel[0] * kernel[1]) if average else 1.0
    return WindowSum(_pair(kernel), _pair(stride), _pair(padding), share)


def _pair(sizes: Shape) -> tuple[int, int]:
    first, second = sizes
    return first, second


def _flatten(name: str, node: nir.Flatten, shape: Shape, reading: Reading) -> nn.Module:
    start, end = (int(d) % max(len(shape), 1) for d in (node.start_dim, node.end_dim))
    if start > end:
        raise ExportError(f"node '{name}' flattens dimensions {start} to {end} of {shape}")
    return Reshape((*shape[:start], int(np.prod(shape[start : end + 1])), *shape[end + 1 :]))


def _delay(name: str, node: nir.Delay, shape: Shape, reading: Reading) -> nn.Module:
    steps = per_neuron(name, "delay", node.delay, shape) / reading.time_step
    if steps.min() < 0 or np.abs(steps - np.rint(steps)).max() > DELAY_ROUNDING:
        worst = steps.reshape(-1)[np.argmax(np.abs(steps - np.rint(steps)))]
        raise ExportError(f"node '{name}': a delay of {worst:g} time steps; it must be an integer of at least 0")
    return Delay(torch.from_numpy(np.rint(steps)))


def _lif(name: str, node: nir.LIF, shape: Shape, reading: Reading) -> nn.Module:
    rate = _rate(name, "tau", node.tau, shape, reading)
    return _cell(name, node, shape, rate, per_neuron(name, "r", node.r, shape) * rate)


def _if(name: str, node: nir.IF, shape: Shape, reading: Reading) -> nn.Module:
    r = per_neuron(name, "r", node.r, shape)
    return _cell(name, node, shape, np.zeros(()), _integrator_gain(name, r, reading))


def _cuba_lif(name: str, node: nir.CubaLIF, shape: Shape, reading: Reading) -> nn.Module:
    rate = _rate(name, "tau_mem", node.tau_mem, shape, reading)
    return _cell(
        name, node, shape, rate, per_neuron(name, "r", node.r, shape) * rate, _current(name, node, shape, reading)
    )


def _threshold(name: str, node: nir.Threshold, shape: Shape, reading: Reading) -> nn.Module:
    return FloatCell(
        kept=_tensor(np.zeros(())),
        gain=_tensor(np.ones(())),
        drive=_tensor(np.zeros(())),
        threshold=_tensor(per_neuron(name, "threshold", node.threshold, shape)),
    )


def _li(name: str, node: nir.LI, shape: Shape, reading: Reading) -> nn.Module:
    rate = _rate(name, "tau", node.tau, shape, reading)
    return _membrane(rate, per_neuron(name, "r", node.r, shape) * rate, _leak(name, node, shape))


def _i(name: str, node: nir.I, shape: Shape, reading: Reading) -> nn.Module:
    r = per_neuron(name, "r", node.r, shape)
    return _membrane(np.zeros(()), _integrator_gain(name, r, reading), np.zeros(()))


def _cuba_li(name: str, node: nir.CubaLI, shape: Shape, reading: Reading) -> nn.Module:
    rate = _rate(name, "tau_mem", node.tau_mem, shape, reading)
    gain = per_neuron(name, "r", node.r, shape) * rate
    return _membrane(rate, gain, _leak(name, node, shape), _current(name, node, shape, reading))


def _cell(
    name: str, node: Any, shape: Shape, rate: np.ndarray, gain: np.ndarray, current: dict[str, Tensor] | None = None
) -> FloatCell:
    """v <- v + rate (v_leak - v) + gain I, spike iff v > v_threshold, then v <- v_reset; measured from v_reset."""
    reset = per_neuron(name, "v_reset", 0.0 if node.v_reset is None else node.v_reset, shape)
    threshold = per_neuron(name, "v_threshold", node.v_threshold, shape)
    leak = per_neuron(name, "v_leak", node.v_leak, shape) if hasattr(node, "v_leak") else reset
    if not np.all(gain != 0):
        raise ExportError(f"node '{name}': r is 0; no input would reach the membrane")
    return FloatCell(
        kept=_tensor(1.0 - rate),
        gain=_tensor(gain),
        drive=_tensor(rate * (leak - reset)),
        threshold=_tensor(threshold - reset),
        reset=_tensor(reset),
        **(current or {}),
    )


def _membrane(
    rate: np.ndarray, gain: np.ndarray, leak: np.ndarray, current: dict[str, Tensor] | None = None
) -> FloatCell:
    """v <- v + rate (v_leak - v) + gain I from v_leak on, which is read and never fires."""
    kept, reset = _tensor(1.0 - rate), _tensor(leak)
    still = torch.zeros((), dtype=torch.float64)
    return FloatCell(kept=kept, gain=_tensor(gain), drive=still, threshold=None, reset=reset, **(current or {}))


def _current(name: str, node: Any, shape: Shape, reading: Reading) -> dict[str, Tensor]:
    """I <- I + time_step / tau_syn (w_in x - I)."""
    rate = _rate(name, "tau_syn", node.tau_syn, shape, reading)
    w_in = per_neuron(name, "w_in", 1.0 if node.w_in is None else node.w_in, shape)
    if not np.all(w_in != 0):
        raise ExportError(f"node '{name}': w_in is 0; no input would reach the membrane")
    return {"current_kept": _tensor(1.0 - rate), "current_gain": _tensor(w_in * rate)}


def _leak(name: str, node: Any, shape: Shape) -> np.ndarray:
    return per_neuron(name, "v_leak", node.v_leak, shape)


def _integrator_gain(name: str, r: np.ndarray, reading: Reading) -> np.ndarray:
    """What one input adds. An r of 1 that a time step makes tiny is how many tools say that a step adds the input."""
    if np.all(r == 1.0) and reading.time_step != 1.0:
        if not reading.unit_gain:
            raise ExportError(
                f"node '{name}' has r = 1: at a time step of {reading.time_step:g} s one input would add "
                f"{reading.time_step:g} to the membrane, and it would be silent. Many tools mean that a step adds the "
                "input: say so with unit_gain=True (--unit-gain), or give the time step in which r holds"
            )
        return np.ones(())
    return r * reading.time_step


def _rate(name: str, field: str, tau: Any, shape: Shape, reading: Reading) -> np.ndarray:
    """What a step takes away: time_step / tau, within 0 .. 1."""
    rate: np.ndarray = reading.time_step / per_neuron(name, field, tau, shape)
    if rate.max() > 1.0 + RATE_ROUNDING:
        worst = reading.time_step / rate.max()
        raise ExportError(
            f"node '{name}': {field} is {worst:g} s, less than the time step of {reading.time_step:g} s; a membrane "
            "would overshoot: give the time step in which the file was written (time_step=, --time-step); Norse, whose "
            "files hold tau * dt, means dt * dt"
        )
    return np.minimum(rate, 1.0)


def per_neuron(name: str, field: str, value: Any, shape: Shape) -> np.ndarray:
    """A parameter in the population's shape, or of no dimension where all its neurons are alike, float64."""
    array = np.asarray(value, np.float64)
    if array.size and (array == array.reshape(-1)[0]).all() and (array.size == 1 or array.size == np.prod(shape)):
        return array.reshape(-1)[0].reshape(())
    while array.ndim > len(shape) and array.shape[0] == 1:
        array = array[0]
    if array.shape != shape:
        raise ExportError(f"node '{name}': {field} has the shape {array.shape}, but what arrives has {shape}")
    return array


def _sizes(value: Any, directions: int) -> Shape:
    """One integer for each direction."""
    return tuple(int(n) for n in np.broadcast_to(np.asarray(value).reshape(-1), directions))


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(values, np.float64))


RATE_ROUNDING = 1e-6  # files hold time constants in float32
DELAY_ROUNDING = 1e-3  # time steps
MODULES: dict[type, Callable[[str, Any, Shape, Reading], nn.Module]] = {
    nir.Affine: _dense,
    nir.AvgPool2d: _average_pool,
    nir.Conv1d: _conv,
    nir.Conv2d: _conv,
    nir.CubaLI: _cuba_li,
    nir.CubaLIF: _cuba_lif,
    nir.Delay: _delay,
    nir.Flatten: _flatten,
    nir.I: _i,
    nir.IF: _if,
    nir.LI: _li,
    nir.LIF: _lif,
    nir.Linear: _dense,
    nir.Scale: _scale,
    nir.SumPool2d: _sum_pool,
    nir.Threshold: _threshold,
}
