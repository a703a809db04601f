"""Loihi 2: Lava 0.10, as named; Davies et al. 2018, IEEE Micro, whose formats it kept; Intel's brief of 2021."""

from .chip import Chip

CHIP = Chip(
    name="loihi2",
    title="Loihi 2",
    fraction_bits=6,  # membrane and threshold are shifted left by 6 (lava/proc/lif/models.py)
    decay_bits=12,  # du and dv, the same file
    weight_range=(-128, 127),  # 8 bits
    weight_exponent_range=(0, 7),  # the exponent that a layer's weights share; negative ones are not used
    bias_mantissa_range=(-4096, 4095),  # 13 bits
    bias_exponent_range=(0, 7),  # 3 bits
    threshold_range=(0, 131071),  # 17 bits
    sum_limit=1 << 17,  # shifted left by 6 it must stay below 2^23, where the 24-bit current wraps
    message_limit=1 << 23,  # 24 bits, Lava's types for graded spikes and for what a synapse gives
    delay_limit=62,  # 6 bits; netx, lava-dl's loader, clips there
    graded_spikes=True,  # Intel's technology brief of Loihi 2
)
