"""Columns survive the index bit by bit."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_server.chunk_codec import decode_column, encode_column, encode_integers, widen

DTYPES = {"d": np.float64, "f": np.float32, "q": np.int64, "Q": np.uint64, "?": np.bool_}
NUMBERS = {
    "d": st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", bits.to_bytes(8, "little"))[0]),
    "f": st.floats(width=32),
    "q": st.integers(-(2**63), 2**63 - 1),
    "Q": st.integers(0, 2**64 - 1),
    "?": st.booleans(),
}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(NUMBERS)).flatmap(lambda c: st.tuples(st.just(c), st.lists(NUMBERS[c], max_size=50))))
def test_every_bit_of_a_number_comes_back(column):
    code, numbers = column
    values = np.array(numbers, DTYPES[code])
    back = decode_column(encode_column(values, code), len(values))
    assert back.dtype == values.dtype and back.tobytes() == values.tobytes()


def test_nan_payloads_minus_zero_and_infinities_come_back():
    patterns = [0x7FF8000000000001, 0xFFF123456789ABCD, 0x8000000000000000, 0x7FF0000000000000, 0xFFF0000000000000]
    values = np.array(patterns, np.uint64).view(np.float64)
    assert decode_column(encode_column(values, "d"), 5).view(np.uint64).tolist() == patterns


def test_float32_widens_exactly():
    values = np.array([0.1, 1e-45, 3.4e38, -0.0], np.float32)
    wide = widen(decode_column(encode_column(values, "f"), 4))
    assert wide.dtype == np.float64 and np.array_equal(wide.astype(np.float32), values)


def test_integers_from_end_to_end_of_int64_come_back():
    values = np.array([-(2**63), 2**63 - 1, 0, -1, 2**53 + 1], np.int64)
    assert decode_column(encode_integers(values), 5).tolist() == values.tolist()


def test_uint64_stays_integer_while_it_fits_int64():
    small, large = np.array([2**63 - 1], np.uint64), np.array([2**64 - 1], np.uint64)
    assert widen(small).dtype == np.int64 and widen(small)[0] == 2**63 - 1
    assert widen(large).dtype == np.float64 and widen(large)[0] == 2.0**64


def test_values_that_are_no_numbers_come_back():
    values = np.empty(5, object)
    values[:] = ["text", None, [1, 2.5, "x"], {"k": [True]}, b"bytes"]
    assert decode_column(encode_column(values, "o"), 5).tolist() == values.tolist()


@pytest.mark.parametrize("data", [b"", b"z", b"dnothing", encode_integers(np.arange(3))])
def test_what_is_no_column_is_named(data):
    with pytest.raises(ValueError, match="stored column"):
        decode_column(data, 7)


def test_a_regular_step_column_is_tiny():
    assert len(encode_integers(np.arange(0, 1_000_000, 10))) < 1000
