"""A chart as bytes for the browser: a JSON header, then little-endian arrays. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .chart import Chart

_ALIGNMENT = 8
_CELL_ARRAYS = ("first", "last", "min", "max", "mean")
_COUNT_ARRAYS = ("count", "nonfinite")


def encode_binary(chart: Chart) -> bytes:
    """Return u32 header length, JSON header padded with spaces, arrays; each array begins at a multiple of 8."""
    entries: list[dict[str, Any]] = []
    pieces: list[bytes] = []
    offset = 0
    for name, run, values in _arrays(chart):
        data = values.tobytes()
        entry = {"name": name, "dtype": values.dtype.str[1:], "length": len(values), "offset": offset}
        entries.append(entry if run is None else {**entry, "run": run})
        padding = -len(data) % _ALIGNMENT
        pieces.append(data + b"\0" * padding)
        offset += len(data) + padding
    header = msgspec.json.encode({**_header(chart), "arrays": entries})
    header += b" " * (-(4 + len(header)) % _ALIGNMENT)
    return b"".join([len(header).to_bytes(4, "little"), header, *pieces])


def encode_json(chart: Chart) -> bytes:
    """Return the same as JSON, arrays inline, null for NaN."""
    entries = []
    for name, run, values in _arrays(chart):
        entry: dict[str, Any] = {"name": name, "dtype": values.dtype.str[1:], "values": values.tolist()}
        entries.append(entry if run is None else {**entry, "run": run})
    return msgspec.json.encode({**_header(chart), "arrays": entries})


def _header(chart: Chart) -> dict[str, Any]:
    return {
        "x_kind": chart.x_kind,
        "x_label": chart.x_label,
        "exact": chart.is_exact,
        "bucket_width": chart.bucket_width,
        "n_x": len(chart.x),
        "x_min": chart.x_min,
        "x_max": chart.x_max,
        "smoothing": {"kind": chart.smoothing.kind, "weight": chart.smoothing.weight, "points": "raw"},
        "runs": [
            {
                "id": line.id,
                "n_points": line.n_points,
                "n_nonfinite": line.n_nonfinite,
                "last": line.last,
                "min": line.min,
                "max": line.max,
            }
            for line in chart.lines
        ],
    }


def _arrays(chart: Chart) -> Iterator[tuple[str, int | None, NDArray[Any]]]:
    yield "x", None, chart.x.astype("<f8")
    for run, line in enumerate(chart.lines):
        dtype = _value_dtype(line.min, line.max)
        for name in _CELL_ARRAYS:
            yield name, run, getattr(line.cells, name).astype(dtype)
        for name in _COUNT_ARRAYS:
            yield name, run, getattr(line.cells, name).astype("<u4")
        if line.cells.smooth is not None:
            yield "smooth", run, line.cells.smooth.astype(dtype)


def _value_dtype(low: float | int | None, high: float | int | None) -> str:
    """Return f4 where nobody could see its rounding, else f8: float32 has 24 bits for the value.

    Visible is: whole numbers beyond 2**24, values beyond float32's range or so small that it loses digits, and a
    range so narrow beside the values that the rounding would draw steps.
    """
    if low is None or high is None:
        return "<f4"
    magnitude = max(abs(low), abs(high))
    if magnitude == 0:
        return "<f4"
    is_in_range = 1e-30 < magnitude < 1e38
    is_wide = high - low > magnitude * 2.0**-10 or (high == low and float(np.float32(high)) == high)
    is_whole_beyond = magnitude > 1 << 24 and (isinstance(high, int) or math.floor(high) == high)
    return "<f4" if is_in_range and is_wide and not is_whole_beyond else "<f8"
