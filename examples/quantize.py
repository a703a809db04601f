"""Make an integer model from a float model, and see how far the two agree.

python examples/quantize.py [CHECKPOINT]
"""

import sys

from export import quantize
from qkformer import evaluate, load_checkpoint, load_data, record_spikes

model, config = load_checkpoint(sys.argv[1] if len(sys.argv) > 1 else "qkformer-digits")
calibration, _ = load_data("digits", "train")  # its largest pixel sets the scale of the int8 inputs
fixed = quantize(model, calibration)
print("certified, no input can overflow it:", fixed.certificate.certified)

images, labels = load_data("digits", "test")
print(f"accuracy: float {evaluate(model, images, labels):.2%}, fixed {evaluate(fixed, images, labels):.2%}")

# Rounding the weights moves some spikes. From here on nothing does.
with record_spikes(model) as float_spikes:
    model(images[:32])
with record_spikes(fixed) as fixed_spikes:
    fixed(images[:32])
for name in float_spikes:
    print(f"{name:<28} {(float_spikes[name] == fixed_spikes[name]).mean():.2%} alike")
