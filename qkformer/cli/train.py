"""`qkformer train`: a configuration, trained on a data set, written as a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from export import QuantizationAware

from ..data.inputs import load_calibration
from ..models.catalogue import get_config
from ..models.model import SpikingTransformer
from ..training.catalogue import recipe_for
from ..training.loop import train
from ..training.outputs import Outputs
from ..training.processes import check_launcher, is_main_process
from .outputs import check_writable
from .record import command_line, write_json
from .show import percent, say


def run_training(
    name: str,
    data: str,
    output: Path | None,
    numbers: Mapping[str, Any],
    time_steps: int | None,
    qat: bool,
    how: Mapping[str, Any],
    json: Path | None,
) -> None:
    """Train a model. numbers: those of the recipe that were given, else None; how: what `train` takes as it is."""
    check_launcher()
    config = get_config(name)  # before anything is made: its name names a folder
    output = output or Path("runs") / config.name / "model.safetensors"
    if time_steps is not None:
        config = config.replace(time_steps=time_steps)
    recipe = replace(recipe_for(config), **{key: value for key, value in numbers.items() if value is not None})
    outputs = Outputs(output)
    outputs.check(resume=how["resume"], overwrite=how["overwrite"])
    check_writable(output, outputs.state, outputs.log, json, reads=(data, how["initial"]))
    wrap = _quantization_aware(load_calibration(data, config, label=how["label"])) if qat else None
    try:
        last = train(config, output=output, data=data, recipe=recipe, wrap=wrap, command=command_line(), **how)
    except KeyboardInterrupt:
        if is_main_process() and outputs.state.is_file():
            say(f"{outputs.state}: the last state; the same command with --resume goes on")
        raise
    if not is_main_process():
        return
    epochs_done = f"{last.epoch} epoch{'s' if last.epoch > 1 else ''}"
    say(f"{output}: held-out accuracy {percent(last.accuracy)} after {epochs_done}, {last.seconds:.0f} s")
    write_json(json, {"checkpoint": str(output), "recipe": recipe.to_dict(), **asdict(last)})


def _quantization_aware(calibration: Tensor) -> Callable[[SpikingTransformer], QuantizationAware]:
    """What trains the network that `qkformer export` writes from the same calibration images."""

    def quantization_aware(model: SpikingTransformer) -> QuantizationAware:
        return QuantizationAware(model, calibration)

    return quantization_aware
