"""Write a checkpoint as a NIR graph: standard primitives only, named as the modules of the PyTorch model.

python examples/export_to_nir.py [CHECKPOINT]
"""

import sys
from collections import Counter

from export import quantize, to_nir, write_graph
from qkformer import load_checkpoint, load_data

GRAPH = "runs/examples/model.nir"

model, config = load_checkpoint(sys.argv[1] if len(sys.argv) > 1 else "qkformer-digits")
fixed = quantize(model, load_data("digits", "train")[0])
graph = to_nir(fixed)
write_graph(graph, GRAPH)
print(f"{GRAPH}: {dict(Counter(type(node).__name__ for node in graph.nodes.values()))}")
