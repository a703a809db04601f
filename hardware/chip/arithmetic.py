"""The arithmetic that every target shares, once: ranges, formats and the leak of a membrane on a given chip.

The integer model of a spiking layer on Loihi, with the membrane in 1/64 of a synaptic unit (Davies et al. 2018, IEEE
Micro; Lava 0.10, lava/proc/lif/models.py):

    membrane <- toward_zero(membrane * (4096 - decay) / 4096) + 64 * (sum of W x + bias)
    spike iff membrane > 64 * threshold (strict);  membrane <- 0 on a spike
"""

from __future__ import annotations

import numpy as np

from ..errors import RangeError
from .chip import Chip


def check_range(name: str, what: str, values: np.ndarray, low: int, high: int) -> None:
    """Raise RangeError unless low <= values <= high for all of them (NaN and infinity fail)."""
    values = np.asarray(values)
    if values.size == 0:
        return
    outside = ~((values >= low) & (values <= high))
    if outside.any():
        worst = values[outside].reshape(-1)[0]
        raise RangeError(f"{name}: {what} {worst:g} is outside {low} .. {high}")


def check_integer(name: str, what: str, values: np.ndarray) -> None:
    """Raise RangeError unless every value is a finite integer."""
    values = np.asarray(values)
    if np.issubdtype(values.dtype, np.integer):
        return
    wrong = ~np.isfinite(values)
    wrong |= np.where(wrong, 0, values) != np.rint(np.where(wrong, 0, values))
    if wrong.any():
        worst = values[wrong].reshape(-1)[0]
        raise RangeError(f"{name}: {what} {worst:g} is not an integer; quantize the model before exporting it")


def check_below_limit(name: str, what: str, values: np.ndarray, chip: Chip) -> None:
    """Raise RangeError if |values|, in units of the membrane, reaches the chip's limit of a sum."""
    worst = int(np.abs(values).max(initial=0))
    if worst >= chip.sum_limit * chip.fraction:
        raise RangeError(
            f"{name}: {what} reaches {worst / chip.fraction:g}, the limit is {chip.sum_limit}; use smaller weights"
        )


def check_message(name: str, what: str, values: np.ndarray, chip: Chip) -> None:
    """Raise RangeError unless a graded spike, or what one synapse gives, can hold every value."""
    check_range(name, what, values, -chip.message_limit + 1, chip.message_limit - 1)


def weight_exponent(weights: np.ndarray, chip: Chip) -> int:
    """The largest exponent e that the chip has such that every weight is a multiple of 2^e."""
    bits = int(np.bitwise_or.reduce(np.abs(np.asarray(weights, dtype=np.int64)).reshape(-1), initial=0))
    trailing_zeros = (bits & -bits).bit_length() - 1 if bits else 0
    return min(trailing_zeros, chip.weight_exponent_range[1])


def check_weights(name: str, weights: np.ndarray, chip: Chip) -> None:
    """Raise RangeError unless the weights are mantissas times one shared power of two."""
    check_integer(name, "weight", weights)
    low, high = (end << chip.weight_exponent_range[1] for end in chip.weight_range)
    check_range(name, "weight", weights, low, high)
    scale = 1 << weight_exponent(weights, chip)
    check_range(name, "weight", weights, chip.weight_range[0] * scale, chip.weight_range[1] * scale)


def encode_bias(name: str, bias: np.ndarray, chip: Chip) -> tuple[np.ndarray, int]:
    """Mantissa and exponent with bias = mantissa * 2^(exponent - fraction_bits), the smallest exponent that fits.

    Raises RangeError when the chip has no exponent that gives a mantissa within its range.
    """
    fractions = np.asarray(bias, np.float64) * chip.fraction
    if not (np.isfinite(fractions).all() and np.array_equal(fractions, np.rint(fractions))):
        check_integer(name, "bias", bias)
    check_range(name, "bias", bias, -chip.message_limit, chip.message_limit)
    units = fractions.astype(np.int64)
    low, high = chip.bias_mantissa_range
    for exponent in range(chip.bias_exponent_range[1] + 1):
        mantissa = units >> exponent
        if np.array_equal(mantissa << exponent, units) and mantissa.min() >= low and mantissa.max() <= high:
            return mantissa.astype(np.int32), exponent
    worst = np.asarray(bias).reshape(-1)[np.abs(bias).argmax()]
    step = chip.coarsest_bias_step
    raise RangeError(
        f"{name}: bias {worst:g} does not fit a mantissa in {low} .. {high} times a power of two up to {step}; "
        f"integers to {high} and even ones to {step * high} do"
    )


def decay_membrane(membrane: np.ndarray, decay: np.ndarray | int, chip: Chip) -> np.ndarray:
    """Membrane after one step of leak: toward_zero(membrane * (decay_unity - decay) / decay_unity)."""
    membrane = membrane.astype(np.int64)
    return np.sign(membrane) * ((np.abs(membrane) * (chip.decay_unity - decay)) >> chip.decay_bits)
