"""Find the integers behind decimals and fractions: the one divisor d such that every value is k / d. Pure.

Division of two integers that a float holds exactly is rounded correctly (IEEE 754), so that k / d gives back on any
machine what was logged, where the logged value was computed so: 0.125, 37.5, 1234 / 10000, an accuracy 431 / 512.
"""

from __future__ import annotations

from math import isfinite, lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

_N_LOOKED_AT = 8
_MAX_DENOMINATOR = 1 << 24
_MAX_TERMS = 32
# Up to which integers are exact, and decimals tried: more of them are true of any float32.
_LIMITS: dict[int, tuple[int, int]] = {8: (1 << 53, 12), 4: (1 << 24, 5)}


def common_divisor(values: NDArray[Any]) -> int:
    """Return d such that a few of the float64[n] or float32[n] are k / d, or 0 where there is none."""
    limit, n_decimals = _LIMITS[values.dtype.itemsize]
    divisor = 1
    for value in values[:: max(1, len(values) // _N_LOOKED_AT)].tolist():
        if not isfinite(value) or abs(value) * divisor >= limit:
            return 0
        if _is_multiple(value, divisor, values.dtype):
            continue
        denominator = _decimal(value, n_decimals, values.dtype) or _denominator(value, values.dtype)
        divisor = lcm(divisor, denominator)
        if not denominator or divisor >= limit or not _is_multiple(value, divisor, values.dtype):
            return 0
    return divisor


def exact_multiples(values: NDArray[Any], divisor: int) -> NDArray[np.int64] | None:
    """Return int64[n], the k of every value k / divisor, or None where some value is no such fraction to the bit."""
    dtype = values.dtype
    limit, _ = _LIMITS[dtype.itemsize]
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.rint(values.astype(np.float64) * divisor)
    if not (np.abs(rounded) < limit).all():  # nor where one is NaN
        return None
    # Back from integers and as the reader does it: -0.0, for one, is no integer's.
    multiples: NDArray[np.int64] = rounded.astype("<i8")
    words = f"<u{dtype.itemsize}"
    is_exact = np.array_equal(quotients(multiples, divisor, dtype).view(words), values.view(words))
    return multiples if is_exact else None


def quotients(multiples: NDArray[np.int64], divisor: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return what `exact_multiples` was given."""
    values: NDArray[Any] = multiples.astype(dtype)
    values /= dtype.type(divisor)
    return values


def _is_multiple(value: float, divisor: int, dtype: np.dtype[Any]) -> bool:
    quotient: float = round(value * divisor) / divisor
    return bool(_rounded(quotient, dtype) == value)


def _rounded(value: float, dtype: np.dtype[Any]) -> float:
    return value if dtype.itemsize == 8 else float(np.float32(value))


def _decimal(value: float, n_decimals: int, dtype: np.dtype[Any]) -> int:
    for power in range(1, n_decimals + 1):
        power_of_ten: int = 10**power
        if abs(value) * power_of_ten >= _LIMITS[dtype.itemsize][0]:
            return 0
        if _is_multiple(value, power_of_ten, dtype):
            return power_of_ten
    return 0


def _denominator(value: float, dtype: np.dtype[Any]) -> int:
    """Return q of the simplest fraction p / q that is the value when rounded, by its continued fraction."""
    before, q, rest = 0, 1, abs(value)
    for _ in range(_MAX_TERMS):
        rest -= int(rest)
        if not rest:
            return 0
        rest = 1 / rest
        if rest > _MAX_DENOMINATOR:
            return 0
        before, q = q, int(rest) * q + before
        if q > _MAX_DENOMINATOR:
            return 0
        if _is_multiple(value, q, dtype):
            return q
    return 0
