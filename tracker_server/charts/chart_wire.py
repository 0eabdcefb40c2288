"""A chart as bytes for the browser: a JSON header, then little-endian arrays. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .chart import Chart, ChartGroup, ChartLine

_ALIGNMENT = 8
_CELL_ARRAYS = ("first", "last", "min", "max", "mean")
_COUNT_ARRAYS = ("count", "nonfinite")
_GROUP_ARRAYS = ("mean", "std", "sem", "min", "max", "median")


def encode_binary(chart: Chart) -> bytes:
    """Return u32 header length, JSON header padded with spaces, arrays; each array begins at a multiple of 8."""
    entries: list[dict[str, Any]] = []
    pieces: list[bytes] = []
    offset = 0
    for entry, values in _arrays(chart):
        data = values.tobytes()
        entries.append({**entry, "dtype": values.dtype.str[1:], "length": len(values), "offset": offset})
        padding = -len(data) % _ALIGNMENT
        pieces.append(data + b"\0" * padding)
        offset += len(data) + padding
    header = msgspec.json.encode({**_header(chart), "arrays": entries})
    header += b" " * (-(4 + len(header)) % _ALIGNMENT)
    return b"".join([len(header).to_bytes(4, "little"), header, *pieces])


def encode_json(chart: Chart) -> bytes:
    """Return the same as JSON, arrays inline, null for NaN."""
    entries = [{**entry, "dtype": values.dtype.str[1:], "values": values.tolist()} for entry, values in _arrays(chart)]
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
        "x_error": chart.x_error,
        "smoothing": _smoothing(chart),
        "runs": [
            {
                "id": line.id,
                "metric": line.metric,
                "n_points": line.n_points,
                "n_nonfinite": line.n_nonfinite,
                "last": line.last,
                "min": line.min,
                "max": line.max,
            }
            for line in chart.lines
        ],
        "groups": [
            {"name": group.name, "metric": group.metric, "n_runs": group.n_runs, "n_points": group.n_points}
            for group in chart.groups
        ],
    }


def _smoothing(chart: Chart) -> dict[str, Any]:
    told = chart.smoothing.parameter() or ("weight", 0.0)
    return {"kind": chart.smoothing.kind, told[0]: told[1], "points": "raw" if chart.is_smoothed_raw else "cells"}


def _arrays(chart: Chart) -> Iterator[tuple[dict[str, Any], NDArray[Any]]]:
    """Yield each array with its name, and the place of its line in "runs" or "groups"."""
    yield {"name": "x"}, chart.x.astype("<f8")
    for place, line in enumerate(chart.lines):
        for name, values in _line_arrays(line):
            yield {"name": name, "run": place}, values
    for place, group in enumerate(chart.groups):
        for name, values in _group_arrays(group):
            yield {"name": name, "group": place}, values


def _line_arrays(line: ChartLine) -> Iterator[tuple[str, NDArray[Any]]]:
    dtype = _value_dtype(line.min, line.max)
    for name in _CELL_ARRAYS:
        yield name, getattr(line.cells, name).astype(dtype)
    for name in _COUNT_ARRAYS:
        yield name, getattr(line.cells, name).astype("<u4")
    if line.cells.smooth is not None:
        yield "smooth", line.cells.smooth.astype(dtype)


def _group_arrays(group: ChartGroup) -> Iterator[tuple[str, NDArray[Any]]]:
    low, high = (limit(values).item() if len(values) else math.nan for limit, values in _limits(group))
    dtype = _value_dtype(None, None) if math.isnan(low) else _value_dtype(low, high)
    for name in _GROUP_ARRAYS:
        yield name, getattr(group.cells, name).astype(dtype)
    yield "n", group.cells.n.astype("<u4")
    if group.cells.smooth is not None:
        yield "smooth", group.cells.smooth.astype(dtype)


def _limits(group: ChartGroup) -> tuple[tuple[Any, NDArray[np.float64]], tuple[Any, NDArray[np.float64]]]:
    return (np.fmin.reduce, group.cells.min), (np.fmax.reduce, group.cells.max)


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
