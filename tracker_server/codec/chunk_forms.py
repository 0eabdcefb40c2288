"""Which of the forms of a stored column is the smallest for these values, each of them exact to the bit. Pure.

A form is one byte and what it needs, which may hold another form. First the values are made simpler where that loses
nothing (one value that fills most places, float64 that are float32 underneath, fractions that are integers by one
divisor); what is left are words, and for these the candidates are tried on a sample.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .chunk_bytes import ByteReader, column_error, u32
from .chunk_divisor import common_divisor, exact_multiples, quotients
from .chunk_planes import Transform, decode_bits, decode_words, encode_bits, encode_words

# Runs of neighbours from all over a column. Enough that what a chunk pays once for tables and frames does not decide.
_N_RUNS = 4
_RUN = 512
_MAX_DISTINCT = 256
_MAX_DEPTH = 6
_OF_FLOATS = [Transform.PLAIN, Transform.DELTA, Transform.DELTA_OF_DELTA]
_OF_INTEGERS = [Transform.ZIGZAG, Transform.DELTA, Transform.DELTA_OF_DELTA]

FLOAT64, FLOAT32, INT64 = np.dtype("<f8"), np.dtype("<f4"), np.dtype("<i8")


class Form(IntEnum):
    """What follows the byte; docs/chunk_format.md has the fields."""

    WORDS = 0
    FILL = 1
    FLOAT32 = 2
    MULTIPLES = 3
    DISTINCT = 4


def encode_form(values: NDArray[Any]) -> bytes:
    """Return little-endian float64[n], float32[n], int64[n] or uint64[n] as bytes."""
    words = values.view(f"<u{values.dtype.itemsize}")
    if len(words) < 2 or (words == words[0]).all():
        return _words(words, Transform.DELTA if len(words) else Transform.PLAIN)
    if values.dtype.kind == "f":
        return _encode_floats(values, words)
    return _smallest(words, _OF_INTEGERS)


def _encode_floats(values: NDArray[Any], words: NDArray[Any]) -> bytes:
    is_nan = np.isnan(values)
    if is_nan.any():
        nan = int(words[is_nan][0])
        has_other_nan = (words[is_nan] != nan).any()
        filled = None if has_other_nan else _fill(words, nan, encode_form, values.dtype)
        return filled or _smallest(words, _OF_FLOATS)
    if values.dtype == FLOAT64:
        narrow = _float32_underneath(values, words)
        if narrow is not None:
            return bytes((Form.FLOAT32,)) + encode_form(narrow)
    divisor = common_divisor(values)
    multiples = exact_multiples(values, divisor) if divisor else None
    if multiples is not None:
        return bytes((Form.MULTIPLES,)) + divisor.to_bytes(8, "little") + encode_form(multiples)
    return _smallest(words, _OF_FLOATS)


def _float32_underneath(values: NDArray[Any], words: NDArray[Any]) -> NDArray[Any] | None:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        narrow = values.astype(FLOAT32)
        is_same = np.array_equal(narrow.astype(FLOAT64).view(words.dtype), words)
    return narrow if is_same else None


# Returns None where the form does not fit the words.
_Candidate = Callable[[NDArray[Any]], bytes | None]


def _smallest(words: NDArray[Any], transforms: list[Transform]) -> bytes:
    """Return the words in the form that is the smallest for a sample of them."""
    is_whole = len(words) <= _N_RUNS * _RUN
    starts = [(len(words) - _RUN) * index // (_N_RUNS - 1) for index in range(_N_RUNS)]
    sample = words if is_whole else np.concatenate([words[start : start + _RUN] for start in starts])
    candidates: list[_Candidate] = [partial(_words, transform=transform) for transform in transforms]
    candidates.extend(_candidates_of_few(sample, transforms))
    tried = [(len(data), candidate, data) for candidate in candidates for data in [candidate(sample)] if data]
    for _, candidate, data in sorted(tried, key=lambda item: item[0]):
        whole = data if is_whole else candidate(words)
        if whole is not None:
            return whole
    raise AssertionError("words fit any transform")


def _candidates_of_few(sample: NDArray[Any], transforms: list[Transform]) -> list[_Candidate]:
    """Return what is worth trying where few distinct values make up the sample."""
    distinct, counts = np.unique(sample, return_counts=True)
    found: list[_Candidate] = []
    if len(distinct) <= min(_MAX_DISTINCT, len(sample) // 2):
        found.append(_distinct)
    usual = counts.argmax()
    if counts[usual] * 2 >= len(sample):
        encode_others = partial(_smallest_words, transforms=transforms)
        found.append(partial(_fill, value=int(distinct[usual]), encode_others=encode_others, dtype=sample.dtype))
    return found


def _smallest_words(words: NDArray[Any], transforms: list[Transform]) -> bytes:
    fitting = transforms if len(words) > 1 else transforms[:1]
    return min((_words(words, transform) for transform in fitting), key=len)


def _words(words: NDArray[Any], transform: Transform) -> bytes:
    return bytes((Form.WORDS,)) + encode_words(words, transform)


def _fill(
    words: NDArray[Any], value: int, encode_others: Callable[[NDArray[Any]], bytes], dtype: np.dtype[Any]
) -> bytes | None:
    is_other = words != value
    n_others = int(is_other.sum())
    if n_others == len(words):
        return None
    head = bytes((Form.FILL,)) + value.to_bytes(words.dtype.itemsize, "little") + u32(n_others)
    return head + encode_bits(is_other) + encode_others(words[is_other].view(dtype))


def _distinct(words: NDArray[Any]) -> bytes | None:
    distinct, indexes = np.unique(words, return_inverse=True)
    if len(distinct) > _MAX_DISTINCT:
        return None
    table = _smallest_words(distinct, [Transform.PLAIN, Transform.DELTA])
    places = indexes.astype("<u4")
    coded = min((_words(places, transform) for transform in (Transform.PLAIN, Transform.DELTA)), key=len)
    return bytes((Form.DISTINCT,)) + u32(len(distinct)) + table + coded


def decode_form(reader: ByteReader, n_values: int, dtype: np.dtype[Any], depth: int = 0) -> NDArray[Any]:
    """Return what `encode_form` was given.

    Args:
        reader: stands at its first byte.
        n_values: how many values there are, which the caller has checked to be a size to take memory for.
        dtype: one of those of `encode_form`.
        depth: how many forms this one lies in.

    Raises:
        ValueError: the bytes are none of it.
    """
    code = reader.u8()
    if depth > _MAX_DEPTH or code >= len(Form):
        raise column_error(f"got form {code} at depth {depth}")
    word_dtype = np.dtype(f"<u{dtype.itemsize}")
    if code == Form.WORDS:
        return decode_words(reader, n_values, word_dtype).view(dtype)
    if code == Form.FILL:
        return _decode_fill(reader, n_values, dtype, depth)
    if code == Form.DISTINCT:
        return _decode_distinct(reader, n_values, word_dtype, depth).view(dtype)
    if code == Form.FLOAT32 and dtype == FLOAT64:
        with np.errstate(invalid="ignore"):
            return decode_form(reader, n_values, FLOAT32, depth + 1).astype(FLOAT64)
    if code == Form.MULTIPLES and dtype.kind == "f":
        return _decode_multiples(reader, n_values, dtype, depth)
    raise column_error(f"got form {code} for values of type {dtype}")


def _decode_fill(reader: ByteReader, n_values: int, dtype: np.dtype[Any], depth: int) -> NDArray[Any]:
    words = np.full(n_values, reader.word(dtype.itemsize), f"<u{dtype.itemsize}")
    n_others = reader.u32()
    if n_others > n_values:
        raise column_error(f"got {n_others} other values among {n_values}")
    is_other = decode_bits(reader, n_values)
    others = decode_form(reader, n_others, dtype, depth + 1)
    if np.count_nonzero(is_other) != n_others:
        raise column_error(f"got {np.count_nonzero(is_other)} places for {n_others} values")
    words[is_other] = others.view(words.dtype)
    return words.view(dtype)


def _decode_distinct(reader: ByteReader, n_values: int, dtype: np.dtype[Any], depth: int) -> NDArray[Any]:
    n_distinct = reader.u32()
    if n_distinct > min(n_values, _MAX_DISTINCT):
        raise column_error(f"got {n_distinct} distinct values among {n_values}")
    distinct = decode_form(reader, n_distinct, dtype, depth + 1)
    places = decode_form(reader, n_values, np.dtype("<u4"), depth + 1)
    if len(places) and int(places.max()) >= n_distinct:
        raise column_error(f"got place {places.max()} among {n_distinct} distinct values")
    values: NDArray[Any] = distinct[places]
    return values


def _decode_multiples(reader: ByteReader, n_values: int, dtype: np.dtype[Any], depth: int) -> NDArray[Any]:
    divisor = reader.word(8)
    if not 0 < divisor < 1 << 53:
        raise column_error(f"got divisor {divisor}")
    return quotients(decode_form(reader, n_values, INT64, depth + 1), divisor, dtype)
