"""Train the deployable model on scikit-learn's handwritten digits: a few epochs to see it learn, 40 for 99 %.

python examples/train.py [EPOCHS]
"""

import sys

from qkformer import Recipe, train

CHECKPOINT = "runs/examples/model.safetensors"

# Seeded: the same recipe gives the same weights. Interrupted, the run goes on with train(..., resume=True).
recipe = Recipe(epochs=int(sys.argv[1]) if len(sys.argv) > 1 else 3)
last = train("qkformer-digits", output=CHECKPOINT, data="digits", recipe=recipe, overwrite=True)
print(f"{CHECKPOINT}: {last.accuracy:.1%} of the held-out digits after {last.epoch} epochs, {last.seconds:.0f} s")
