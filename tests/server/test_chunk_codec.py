"""Columns survive the index bit by bit, and what is no column is refused before memory is taken for it."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracker_server.codec.chunk_bytes import MAX_FRAME_BYTES
from tracker_server.codec.chunk_codec import (
    MAX_VALUES,
    decode_column,
    encode_column,
    encode_integers,
    pack_bytes,
    unpack_bytes,
    widen,
)

DTYPES = {"d": np.float64, "f": np.float32, "q": np.int64, "Q": np.uint64, "?": np.bool_}
ODD_BITS = [0, 1, 1 << 63, 0x7FF0 << 48, 0xFFF0 << 48, 0x7FF8 << 48, 0xFFF8 << 48, 0x7FF8000000000001, (1 << 64) - 1]
ODD_BITS += [0x7FF4 << 48, 0x7FF8000020000000, 0x36A0 << 48, 0x380FFFFFE0000000, 0x47EFFFFFF0000000]
# What training logs, and what lies at the edge of a form: decimals, fractions, float32 and integers inside float64.
FLOATS = st.one_of(
    st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", bits.to_bytes(8, "little"))[0]),
    st.sampled_from(ODD_BITS).map(lambda bits: struct.unpack("<d", bits.to_bytes(8, "little"))[0]),
    st.floats(width=32),
    st.integers(-(2**54), 2**54).map(float),
    st.builds(lambda k, n: k / n, st.integers(-2000, 2000), st.integers(1, 2000)),
    st.builds(lambda k, power: k / 10**power, st.integers(-(10**9), 10**9), st.integers(0, 15)),
)
NUMBERS = {
    "d": FLOATS,
    "f": st.one_of(st.floats(width=32), FLOATS.map(lambda value: float(np.clip(value, -3e38, 3e38)))),
    "q": st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-3, 3)),
    "Q": st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 3)),
    "?": st.booleans(),
}
SHAPES = {
    "constant": lambda n, rng: np.full(n, 0.1),
    "walk": lambda n, rng: np.cumsum(rng.normal(size=n)),
    "float32": lambda n, rng: rng.normal(size=n).astype(np.float32).astype(np.float64),
    "bfloat16": lambda n, rng: (rng.normal(size=n).astype("<f4").view("<u4") & 0xFFFF0000).view("<f4").astype("<f8"),
    "decimals": lambda n, rng: np.round(rng.normal(size=n), 6),
    "fractions": lambda n, rng: rng.integers(0, 1798, n) / 1797,
    "fractions of float32": lambda n, rng: (rng.integers(0, 513, n) / 512).astype(np.float32).astype(np.float64),
    "holes": lambda n, rng: np.where(np.arange(n) % 50 == 0, rng.normal(size=n), np.nan),
    "holes of two kinds": lambda n, rng: np.where(rng.random(n) < 0.5, np.nan, -np.float64(np.nan)),
    "a hundred payloads": lambda n, rng: (rng.integers(0, 100, n).astype("<u8") | 0x7FF8 << 48).view("<f8"),
    "few": lambda n, rng: rng.choice([0.1, np.pi, -0.0, np.inf], n),
    "mostly zero": lambda n, rng: np.where(rng.random(n) < 0.9, 0.0, rng.normal(size=n)),
    "half of it one value": lambda n, rng: np.where(rng.random(n) < 0.6, 0.3, rng.normal(size=n)),
    "signs of zero": lambda n, rng: np.where(rng.random(n) < 0.5, 0.0, -0.0),
    "steps": lambda n, rng: np.arange(n) * 10,
    "epochs": lambda n, rng: np.arange(n) / 500,
    "times": lambda n, rng: 1_790_000_000_123_456_789 + np.cumsum(rng.integers(1, 10**7, n)),
    "all of int64": lambda n, rng: rng.integers(-(2**63), 2**63 - 1, n),
    "truth values": lambda n, rng: rng.random(n) < 0.1,
    "noise": lambda n, rng: rng.integers(0, 1 << 64, n, np.uint64),
    "noise as float64": lambda n, rng: rng.integers(0, 1 << 64, n, np.uint64).view("<f8"),
    "noise as float32": lambda n, rng: rng.integers(0, 1 << 32, n, np.uint32).view("<f4"),
}
CODES = {"float64": "d", "float32": "f", "int64": "q", "uint64": "Q", "bool": "?"}


def shaped(name: str, n: int) -> tuple[np.ndarray, str]:
    values = SHAPES[name](n, np.random.default_rng(n))
    return values, CODES[values.dtype.name]


def assert_comes_back(values: np.ndarray, code: str) -> None:
    back = decode_column(encode_column(values, code), len(values))
    assert back.dtype == values.dtype and back.tobytes() == values.tobytes()


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(sorted(NUMBERS)).flatmap(
        lambda code: st.tuples(st.just(code), st.lists(NUMBERS[code], max_size=60), st.integers(1, 40))
    )
)
@example(("d", [0.0, 5e-324], 1))
@example(("d", [1e300, 1e-300, 2.0**53, 0.1], 1))
def test_every_bit_of_a_number_comes_back(column):
    code, numbers, n_times = column
    with np.errstate(over="ignore"):
        values = np.array(numbers, DTYPES[code])
    assert_comes_back(values, code)
    assert_comes_back(np.repeat(values, n_times), code)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 23, 1000, 2049, 16_384])
@pytest.mark.parametrize("name", SHAPES)
def test_every_kind_of_column_comes_back_at_every_length(name, n):
    assert_comes_back(*shaped(name, n))


@pytest.mark.parametrize("name", SHAPES)
def test_a_column_whose_middle_is_unlike_the_rest_comes_back(name):
    values, code = shaped(name, 9000)
    middle = np.full(5000, values[0])
    assert_comes_back(np.concatenate([values[:2000], middle, values[2000:]]), code)
    odd = np.concatenate([np.full(9000, values[0]), values, np.full(9000, values[0])])
    assert_comes_back(odd, code)


def test_nan_payloads_minus_zero_and_infinities_come_back():
    values = np.array(ODD_BITS, np.uint64).view(np.float64)
    assert decode_column(encode_column(values, "d"), len(values)).view(np.uint64).tolist() == ODD_BITS


def test_float32_widens_exactly():
    values = np.array([0.1, 1e-45, 3.4e38, -0.0], np.float32)
    wide = widen(decode_column(encode_column(values, "f"), 4))
    assert wide.dtype == np.float64 and np.array_equal(wide.astype(np.float32), values)


def test_integers_from_end_to_end_of_int64_come_back():
    values = np.array([-(2**63), 2**63 - 1, 0, -1, 2**53 + 1], np.int64)
    assert decode_column(encode_integers(values), 5).tolist() == values.tolist()


def test_columns_of_a_structured_array_come_back():
    rows = np.zeros(100, [("step", "<i8"), ("flag", "?"), ("loss", "<f8")])
    rows["loss"], rows["flag"] = np.random.default_rng(1).normal(size=100), np.arange(100) % 3 == 0
    for name, code in (("step", "q"), ("flag", "?"), ("loss", "d")):
        assert np.array_equal(decode_column(encode_column(rows[name], code), 100), rows[name])


def test_uint64_stays_integer_while_it_fits_int64():
    small, large = np.array([2**63 - 1], np.uint64), np.array([2**64 - 1], np.uint64)
    assert widen(small).dtype == np.int64 and widen(small)[0] == 2**63 - 1
    assert widen(large).dtype == np.float64 and widen(large)[0] == 2.0**64


def test_values_that_are_no_numbers_come_back():
    values = np.empty(5, object)
    values[:] = ["text", None, [1, 2.5, "x"], {"k": [True]}, b"bytes"]
    assert decode_column(encode_column(values, "o"), 5).tolist() == values.tolist()


def test_values_too_large_for_one_frame_come_back():
    values = np.empty(5, object)
    values[:] = [str(index) * 9_000_000 for index in range(5)]
    assert decode_column(encode_column(values, "o"), 5).tolist() == values.tolist()


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("constant", 0.01),
        ("steps", 0.01),
        ("epochs", 0.01),
        ("walk", 6.5),
        ("float32", 3.5),
        ("bfloat16", 1.6),
        ("fractions", 1.5),
        ("fractions of float32", 1.4),
        ("decimals", 3.2),
        ("holes", 0.25),
        ("few", 0.35),
        ("mostly zero", 1.4),
        ("half of it one value", 3.1),
        ("signs of zero", 0.2),
        ("times", 3.1),
        ("truth values", 0.1),
        ("noise", 8.01),
    ],
)
def test_a_value_takes_few_bytes(name, most):
    values, code = shaped(name, 16_384)
    assert len(encode_column(values, code)) / len(values) <= most


@pytest.mark.parametrize("data", [b"", b"z", b"dnothing", encode_integers(np.arange(3))])
def test_what_is_no_column_is_named(data):
    with pytest.raises(ValueError, match="stored column"):
        decode_column(data, 7)


@pytest.mark.parametrize("name", SHAPES)
def test_a_column_cut_or_changed_anywhere_is_refused(name):
    values, code = shaped(name, 300)
    data = encode_column(values, code)
    for place in range(0, len(data), max(1, len(data) // 200)):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        for wrong in (data[:place], bytes(changed), data + b"\0"):
            with pytest.raises(ValueError, match="stored column"):
                decode_column(wrong, 300)


def sealed(content: bytes, n_values: int) -> bytes:
    """Return content with the checksum that makes it pass for a column."""
    return zlib.crc32(content, n_values).to_bytes(4, "little") + content


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_hostile_bytes_are_refused_or_decoded_and_nothing_else(data):
    name = data.draw(st.sampled_from(sorted(SHAPES)))
    values, code = shaped(name, 64)
    content = bytearray(encode_column(values, code)[4:])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(1, len(content)))]
    n_values = data.draw(st.sampled_from([64, 63, 0, 1, 1000]))
    try:
        assert len(decode_column(sealed(bytes(content), n_values), n_values)) == n_values
    except ValueError as error:
        assert "stored column" in str(error)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from("dfqQ?o"), st.binary(max_size=60), st.integers(0, 20))
def test_any_bytes_are_refused_or_decoded_and_nothing_else(code, body, n_values):
    try:
        assert len(decode_column(sealed(code.encode() + body, n_values), n_values)) == n_values
    except ValueError as error:
        assert "stored column" in str(error)


def huge_frame(n_bytes: int) -> bytes:
    """Return a frame that claims to hold so much."""
    frame = zstandard.ZstdCompressor(write_content_size=True).compress(bytes(1 << 20))
    assert frame[4] >> 6 == 2, "a size of four bytes"
    place = 5 if frame[4] & 0x20 else 6
    return frame[:place] + n_bytes.to_bytes(4, "little") + frame[place + 4 :]


def test_no_memory_is_taken_for_sizes_that_are_only_claimed():
    frame = huge_frame(MAX_FRAME_BYTES + 1)
    plane = b"\x02" + len(frame).to_bytes(4, "little") + frame
    hostile = [
        (sealed(b"d\0\2" + bytes(8) + b"\0", 1 << 40), 1 << 40),
        (sealed(b"d\0\2" + bytes(8) + b"\0", 1 << 40), MAX_VALUES + 1),
        (sealed(b"d\0\2" + bytes(8) + b"\0", 1 << 40), -1),
        (sealed(b"d\0\0\1" + plane, 10), 10),
        (sealed(b"d\0\0\1\2" + (0xFFFFFFFF).to_bytes(4, "little"), 10), 10),
        (sealed(b"d\4" + (0xFFFFFFFF).to_bytes(4, "little") + bytes(8), 10), 10),
        (sealed(b"d\1" + bytes(8) + (0xFFFFFFFF).to_bytes(4, "little") + bytes(8), 10), 10),
        (sealed(b"d" + b"\2" * 60, 10), 10),
        (sealed(b"o" + len(frame).to_bytes(4, "little") + frame, 10), 10),
        (sealed(b"o" + pack_objects(b"\xdd\xff\xff\xff\xff"), 10), 10),
        (sealed(b"o" + pack_objects(b"\x91" * 100_000), 1), 1),
    ]
    tracemalloc.start()
    try:
        for data, n_values in hostile:
            with pytest.raises(ValueError, match="stored column"):
                decode_column(data, n_values)
        with pytest.raises(ValueError, match="stored bytes"):
            unpack_bytes(frame)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def pack_objects(body: bytes) -> bytes:
    frame = zstandard.ZstdCompressor().compress(body)
    return len(frame).to_bytes(4, "little") + frame


def test_more_values_than_can_be_read_are_not_written():
    with pytest.raises(ValueError, match="at most"):
        encode_column(np.zeros(MAX_VALUES + 1, np.bool_), "?")


def test_packed_bytes_come_back_and_show_damage():
    data = bytes(range(256)) * 10
    packed = pack_bytes(data)
    assert unpack_bytes(packed) == data
    for place in range(len(packed)):
        for wrong in (packed[:place], packed[:place] + bytes((packed[place] ^ 1,)) + packed[place + 1 :]):
            with pytest.raises(ValueError, match="stored bytes"):
                unpack_bytes(wrong)
