"""Widths, shifts and saturation of Loihi: the arithmetic that every target shares, once.

The integer model of a spiking layer, with the membrane in 1/64 of a synaptic unit (Davies et al. 2018, IEEE
Micro; Lava 0.10, lava/proc/lif/models.py):

    membrane <- toward_zero(membrane * (4096 - decay) / 4096) + 64 * (sum of W x + bias)
    spike iff membrane > 64 * threshold (strict);  membrane <- 0 on a spike
"""

from __future__ import annotations

import numpy as np

from ..errors import RangeError

FRACTION_BITS = 6  # the membrane and the threshold are shifted left by 6 (lava/proc/lif/models.py)
FRACTION = 1 << FRACTION_BITS
DECAY_UNITY = 4096  # 12-bit decay; 4096 keeps nothing, 0 keeps all
WEIGHT_RANGE = (-128, 127)  # 8-bit mantissa
WEIGHT_EXPONENT_RANGE = (0, 7)  # the shared exponent of a layer's weights; negative ones are not used
BIAS_MANTISSA_RANGE = (-4096, 4095)  # 13 bits
BIAS_EXPONENT_RANGE = (0, 7)
THRESHOLD_RANGE = (0, 131071)  # 17 bits
SUM_LIMIT = 1 << 17  # a sum shifted left by 6 must stay below 2^23, where the 24-bit current wraps
MESSAGE_LIMIT = 1 << 23  # a graded spike, and a synapse's sum, has 24 bits
DELAY_LIMIT = 62  # 6 bits; netx, Lava's own loader, clips there


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
    """Raise RangeError unless every value is a finite whole number."""
    values = np.asarray(values)
    if np.issubdtype(values.dtype, np.integer):
        return
    wrong = ~np.isfinite(values)
    wrong |= np.where(wrong, 0, values) != np.rint(np.where(wrong, 0, values))
    if wrong.any():
        worst = values[wrong].reshape(-1)[0]
        raise RangeError(f"{name}: {what} {worst:g} is not a whole number; quantize the model before exporting it")


def weight_exponent(weights: np.ndarray) -> int:
    """The largest exponent e in 0 .. 7 such that every weight is a multiple of 2^e."""
    bits = int(np.bitwise_or.reduce(np.abs(np.asarray(weights, dtype=np.int64)).reshape(-1), initial=0))
    trailing_zeros = (bits & -bits).bit_length() - 1 if bits else 0
    return min(trailing_zeros, WEIGHT_EXPONENT_RANGE[1])


def check_weights(name: str, weights: np.ndarray) -> None:
    """Raise RangeError unless the weights are an 8-bit mantissa times one shared power of two."""
    check_integer(name, "weight", weights)
    scale = 1 << weight_exponent(weights)
    check_range(name, "weight", weights, WEIGHT_RANGE[0] * scale, WEIGHT_RANGE[1] * scale)


def encode_bias(name: str, bias: np.ndarray) -> tuple[np.ndarray, int]:
    """Mantissa and exponent with bias = mantissa * 2^(exponent - 6), the smallest exponent that fits.

    Raises RangeError when no exponent in 0 .. 7 gives a mantissa in -4096 .. 4095.
    """
    fractions = np.asarray(bias, np.float64) * FRACTION
    if not (np.isfinite(fractions).all() and np.array_equal(fractions, np.rint(fractions))):
        check_integer(name, "bias", bias)
    fractions = fractions.astype(np.int64)
    low, high = BIAS_MANTISSA_RANGE
    for exponent in range(BIAS_EXPONENT_RANGE[1] + 1):
        mantissa = fractions >> exponent
        if np.array_equal(mantissa << exponent, fractions) and mantissa.min() >= low and mantissa.max() <= high:
            return mantissa.astype(np.int32), exponent
    worst = np.asarray(bias).reshape(-1)[np.abs(bias).argmax()]
    raise RangeError(
        f"{name}: bias {worst:g} does not fit a mantissa in {low} .. {high} times a power of two up to 2; "
        f"whole numbers to {high} and even ones to {2 * high} do"
    )


def decay_membrane(membrane: np.ndarray, decay: np.ndarray | int) -> np.ndarray:
    """Membrane (in 1/64) after one step of leak: toward_zero(membrane * (4096 - decay) / 4096)."""
    membrane = membrane.astype(np.int64)
    return np.sign(membrane) * ((np.abs(membrane) * (DECAY_UNITY - decay)) >> 12)


def logits_of(output, scale: float):
    """Class scores from the output populations of one network, shared by every target.

    output: [T, B, classes] whole numbers, the head's sum over tokens at each time step (NumPy or torch).
    scale: what one unit of the sum is worth, divided by time steps and tokens.
    Returns [B, classes] = scale * sum over t of output.
    """
    return output.sum(0) * scale
