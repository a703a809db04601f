"""Compare every spike of PyTorch with the interpreter's and Lava's, and draw both.

python examples/verify.py [IMAGES]
"""

import sys

import hardware
from export import quantize, reference_trace, run_targets, to_nir
from qkformer import load_checkpoint, load_data

model, config = load_checkpoint("qkformer-digits")
images = load_data("digits", "test")[0][: int(sys.argv[1]) if len(sys.argv) > 1 else 4]
fixed = quantize(model, load_data("digits", "train")[0])
graph = to_nir(fixed)

reference = reference_trace(fixed, images)  # PyTorch
for target, trace in run_targets(graph, fixed.encode(images), ["interpreter", "lava"]).items():
    report = hardware.compare(reference, trace)
    print(f"{target}: {report.mismatches} of {report.compared:,} differ; first: {report.first_divergence}")

shown = ["patch_embed1.proj_lif", "stage1.0.tssa.mask", "stage2.0.mlp.mlp2_lif"]
hardware.draw_raster(reference, trace, "runs/examples/raster.png", shown)
