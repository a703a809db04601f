"""Float network -> fixed model: every layer quantized and certified, Q-K attention as gates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from hardware.chip import LOIHI_2, Chip
from hardware.errors import InputError
from hardware.graph.encoding import INPUT_LIMIT, Encoding
from hardware.graph.sequence_encoding import SequenceEncoding
from qkformer import SpikingTransformer

from ..errors import ExportError
from ..network.cells import Cell
from ..network.certificate import Certificate
from ..network.fixed_model import FixedModel
from ..network.float_network import FloatNetwork
from ..network.node_network import OUTPUT, as_array
from ..sources.fold import fold_model
from .fixed import fixed_part
from .meeting import with_synapses
from .walk import find_rules


@torch.no_grad()
def quantize(
    model: SpikingTransformer | FloatNetwork, calibration: Tensor | np.ndarray, *, chip: Chip = LOIHI_2
) -> FixedModel:
    """The fixed model of a float model in eval mode, or of a float network, with a certificate of its layers.

    The model is folded (`fold_model`) first; either is left as it is. A certified layer cannot overflow on any input.

    calibration: images [B, C, H, W], whose largest magnitude sets the scale of the int8 inputs; event counts
    [B, T, C, H, W] keep a scale of 1. Of a network from NIR: inputs [T, B, *input shape], whose
    integers are kept. chip: whose formats the integers are to fit.
    Raises ExportError for a part that has no integer form (a pre-activation residual, samples that leak into each
    other), for NaN or infinite weights, and for a calibration that is empty or all zeros; InputError for images that
    the model does not take.
    """
    if isinstance(model, SpikingTransformer):
        network = fold_for(model, torch.as_tensor(calibration), fold_model)
    else:
        network = with_synapses(model)
    encoding = calibrate(network.encoding, calibration)
    fixed = FixedModel(encoding, chip)
    parts = [fixed_part(rule) for rule in find_rules(network, encoding, chip)]
    modules: dict[str, nn.Module] = {name: module for part in parts for name, module in part.modules.items()}
    for node in network.nodes:
        fixed.add(node.name, modules[node.name], *node.arguments)
    fixed.certificate = Certificate(tuple(certificate for part in parts for certificate in part.certificates))
    fixed.rounded_decays = {name: note for part in parts for name, note in part.rounded.items()}
    worth = _worth_of_output(network, fixed)
    fixed.encoding = replace(encoding, logit_scale=worth * encoding.logit_scale)
    return fixed.eval()


def _worth_of_output(network: FloatNetwork, fixed: FixedModel) -> float:
    """What 1 at the output is worth: of sums as their layer says, of a membrane its smallest part, of spikes 1."""
    scales = {layer.population: layer.scale for layer in fixed.certificate}
    if OUTPUT in scales:
        return scales[OUTPUT]
    shown = next((node.arguments[0] for node in network.nodes if node.name == OUTPUT), ())
    cell = fixed.get_submodule(shown[0]) if shown and shown[0] in scales else None
    return scales[shown[0]] / fixed.chip.fraction if isinstance(cell, Cell) and not cell.fires else 1.0


def fold_for(
    model: SpikingTransformer,
    calibration: Tensor,
    fold: Callable[[SpikingTransformer, tuple[int, int, int]], FloatNetwork],
) -> FloatNetwork:
    """The float network of a model for images of the calibration's size. Raises what `quantize` does."""
    input_scale(model.config.name, model.config.events, calibration)
    model.check_images(calibration)
    channels, height, width = calibration.shape[-3:]
    return fold(model, (channels, height, width))


def calibrate(encoding: Encoding, calibration: Tensor | np.ndarray) -> Encoding:
    """How the fixed network of a float network is fed. Raises what `quantize` does of its calibration."""
    if isinstance(encoding, SequenceEncoding):
        return encoding.calibrated(as_array(calibration))
    calibration = torch.as_tensor(calibration)
    scale = input_scale(encoding.name, encoding.events, calibration)
    frames = (encoding.time_steps,) if encoding.events else ()
    if tuple(calibration.shape[1:]) != (*frames, *encoding.input_shape):
        wanted = ", ".join(map(str, ("B", *frames, *encoding.input_shape)))
        raise InputError(f"{encoding.name} takes calibration images [{wanted}]; got {list(calibration.shape)}")
    return replace(encoding, input_scale=scale)


def input_scale(name: str, events: bool, calibration: Tensor) -> float:
    """What 1 is worth in the int8 inputs. Raises ExportError for images that have no largest magnitude above 0."""
    if events:
        return 1.0
    largest = calibration.abs().max().item() if calibration.numel() else 0.0
    if not 0 < largest < float("inf"):
        raise ExportError(f"{name}: the largest magnitude of the calibration images is {largest}; give real images")
    return largest / INPUT_LIMIT
