"""What quantization changes: agreement of float and fixed spikes layer by layer, and of logits, on given images.

    python benchmarks/quantization.py CKPT|CONFIG --data images.npz [--images 32] [--json FILE]

For a configuration without a checkpoint, weights are drawn from the seed, BatchNorm statistics too. Agreement is the
share of equal values of a population over neurons, time steps and images; an error in one layer is carried on to the
layers after it, so agreement falls with depth.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import qkformer
from export import quantize
from qkformer import record_spikes


def load_model(name: str) -> qkformer.SpikingTransformer:
    """A checkpoint's model, or a configuration's with random weights in which every population spikes."""
    if name not in qkformer.config_names() or Path(name).is_file():
        return qkformer.load_checkpoint(name)[0]
    torch.manual_seed(0)
    model = qkformer.create_model(name).eval()
    for module in model.modules():
        if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            module.running_mean.normal_(0, 0.2)
            module.running_var.fill_(0.1)
            module.weight.data.uniform_(0.8, 1.6)
            module.bias.data.uniform_(0.0, 0.9)
    return model


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True, help="an .npz with 'images' and perhaps 'labels'")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with np.load(options.data) as archive:
        images = torch.from_numpy(archive["images"][: options.images].astype(np.float32))
        labels = archive["labels"][: options.images] if "labels" in archive else None
    model = load_model(options.model)
    fixed = quantize(model, images)
    with torch.no_grad(), record_spikes(model) as floats:
        float_logits = model(images)
    with record_spikes(fixed) as integers:
        fixed_logits = fixed(images)

    table = Table(title=f"{model.config.name}: float against fixed on {len(images)} images")
    for column in ("population", "float rate", "fixed rate", "agreement"):
        table.add_column(column, justify="left" if column == "population" else "right")
    agreement = {}
    for name in floats:
        wanted, found = np.broadcast_arrays(floats[name], integers[name])
        agreement[name] = float((wanted == found).mean())
        table.add_row(name, f"{wanted.mean():.4f}", f"{found.mean():.4f}", f"{100 * agreement[name]:.2f} %")
    console = Console()
    console.print(table)
    error = (float_logits - fixed_logits).abs()
    top = float((float_logits.argmax(1) == fixed_logits.argmax(1)).double().mean())
    console.print(f"logits differ by {error.mean():.4f} on average, {error.max():.4f} at most,")
    console.print(
        f"of a spread of {float_logits.std():.4f}; the largest is the same for {100 * top:.1f} % of the images"
    )
    result = {"agreement": agreement, "largest_logit_agrees": top, "mean_logit_error": float(error.mean())}
    if labels is not None:
        for kind, logits in (("float", float_logits), ("fixed", fixed_logits)):
            result[f"{kind}_accuracy"] = float((logits.argmax(1).numpy() == labels).mean())
        console.print(f"accuracy: float {result['float_accuracy']:.3f}, fixed {result['fixed_accuracy']:.3f}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
