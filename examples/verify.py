"""Compare every spike of PyTorch with the interpreter's and Lava's, and draw both.

python examples/verify.py [IMAGES]
"""

import sys

import hardware
from export import quantize, reference_trace, to_nir
from qkformer import load_checkpoint, load_data

model, config = load_checkpoint("qkformer-digits")
images = load_data("digits", "test")[0][: int(sys.argv[1]) if len(sys.argv) > 1 else 4]
fixed = quantize(model, load_data("digits", "train")[0])
graph = to_nir(fixed)

reference = reference_trace(fixed, images)  # PyTorch: population name -> [T, B, ...]
inputs = fixed.encode(images)
traces = {
    "interpreter": hardware.interpret(graph, inputs),
    "lava": hardware.lava.simulate(graph, inputs, sections=0),  # Lava's own processes, no others
}
for target, trace in traces.items():
    report = hardware.compare(reference, trace)
    print(f"{target}: {report.mismatches} of {report.compared:,} differ; first: {report.first_divergence}")

shown = ["patch_embed1.proj_lif", "stage1.0.tssa.mask", "stage2.0.mlp.mlp2_lif"]
hardware.draw_raster(reference, trace, "runs/examples/raster.png", shown)
