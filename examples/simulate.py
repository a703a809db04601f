"""Run a NIR graph in Lava's bit-accurate Loihi simulation. Run examples/export_to_nir.py first.

python examples/simulate.py [IMAGES]
"""

import sys

import hardware
from qkformer import load_data

GRAPH, TRACE = "runs/examples/model.nir", "runs/examples/spikes.trace"

images, labels = load_data("digits", "test")
count = int(sys.argv[1]) if len(sys.argv) > 1 else 4

graph = hardware.read_graph(GRAPH)
encoding = hardware.encoding_of(graph)  # how images become integers, and sums become logits
inputs = encoding.encode(images[:count])  # int8 [T, B, C, H, W]
plan = hardware.schedule(hardware.flatten(graph))
print(f"{len(plan.populations)} populations, {plan.steps(count, encoding.time_steps)} time steps")

trace = hardware.lava.simulate(graph, inputs, sections=0)  # Lava's own processes, no others
trace.save(TRACE)
answers = encoding.logits(trace["output"]).argmax(1)
print(f"{TRACE}: digits {labels[:count].tolist()}, Lava reads {answers.tolist()}")
