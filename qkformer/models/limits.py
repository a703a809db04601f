"""How large a description may be, and what its names may look like.

The limits are far beyond any published model (at most 20 time steps, 1,024 channels, 16 blocks, 384 pixels, 1,000
classes), and low enough that a description alone, in a file of another's, cannot take all memory or time.
"""

from __future__ import annotations

from .schema import Number, Pattern

MOST_TIME_STEPS = 1024
MOST_CHANNELS = 16_384
MOST_BLOCKS = 256
MOST_LAYERS = 64
MOST_STAGES = 16
MOST_PIXELS = 2048
MOST_CLASSES = 1_000_000
MOST_VALUES = 1 << 27  # of one layer over all time steps: 512 MB; the largest published has 57 million, at 384 pixels

# Names of attributes, so that a pool's is never a layer's. Published: proj, proj1; proj_maxpool, maxpool2; tssa, attn.
NAME = Pattern(r"[A-Za-z][A-Za-z0-9_]*", "a name of letters, digits and underscores that begins with a letter")
POOL = Pattern(r"([A-Za-z][A-Za-z0-9_]*)?pool[0-9]*", "a name that ends in pool, or pool and digits")
SUFFIX = Pattern(r"[0-9]*", "digits, or nothing")

# Thresholds, scales and time constants: float32 holds these and their products.
POSITIVE = Number(1e-6, 1e6)
