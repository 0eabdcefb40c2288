"""What a server and who reads runs from it say to each other, such that nothing is lost: msgpack in frames.

A reply is a sequence of frames: one byte that says what it is, the length of its content as uint32, the content.
V is a msgpack value, B bytes of a column, E a `Fault` that came in the middle, Z the end, without which the reply broke
off. A column of numbers is little-endian bytes; whole numbers that count up by one are told by their first. docs/api.md
names the routes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..catalog.decisions import By
from ..query.row_parts import RowPart
from ..query.row_reader import Row
from ..query.series import Series
from ..runs.run_search import Place

VALUE, BYTES, FAULT, END = b"V", b"B", b"E", b"Z"
HEAD = struct.Struct("<cI")
MAX_FRAME_BYTES = 256 << 20
MAX_LINES = 5000
_PIECE_BYTES = 1 << 20
_FRAME_ROWS = 2000
_FRAME_VALUES = 100_000
_OBJECT_FRAME_BYTES = 4 << 20
_RANGE, _OBJECT = "r", "o"
_FORMATS = {code: np.dtype(text) for code, text in {"d": "<f8", "f": "<f4", "q": "<i8", "Q": "<u8", "?": "?"}.items()}


class FindRequest(msgspec.Struct):
    """Which runs; see `RunSource.find`."""

    filters: str | dict[str, Any] | None
    order: str | None
    now_s: float
    archived: bool | str
    after: Place | None
    size: int


class PageEnd(msgspec.Struct):
    """Comes behind the runs of a page."""

    n_matching: int
    next_place: Place | None
    next_cursor: str | None


class GroupsRequest(msgspec.Struct):
    """Which groups; see `RunSource.groups`."""

    filters: str | None
    now_s: float
    archived: bool | str
    by: list[str]
    values: list[str]
    limit: int | None


class RowsRequest(msgspec.Struct):
    """Which rows; see `RunSource.rows`."""

    keys: list[str] | None
    writer: str | None
    is_system: bool


class ChangeRequest(msgspec.Struct):
    """Ids of runs of one project, and why."""

    runs: list[str]
    why: str = ""
    force: bool = False


class EmptyRequest(msgspec.Struct):
    """What of a project's trash is removed for good: all so old, or of these runs alone."""

    older_than_s: float
    only: list[str] | None
    why: str = ""


class WireBuried(msgspec.Struct, array_like=True):
    """A run in the trash; see `BuriedRun`."""

    project: str
    run_id: str
    name: str
    state: str
    by: By
    size_bytes: int | None


class TrashReply(msgspec.Struct):
    runs: list[WireBuried]
    trash_days: float


class ConsoleHead(msgspec.Struct):
    """A window's first line and number of all lines, and the sessions that its lines name by place."""

    n_lines: int
    first: int
    sessions: list[str]


class Fault(msgspec.Struct):
    """An error of the server. `kind` is usage, search, not_found, catalog, away, lost, missing, damaged or fault.

    `digests` are those of chunks that are missing or damaged.
    """

    kind: str
    message: str = ""
    where: str = ""
    got: str = ""
    expected: str = ""
    remedy: str = ""
    position: int | None = None
    digests: list[bytes] = []


class _RowsFrame(msgspec.Struct, array_like=True):
    """Rows, each [number of its key set, step, time in ns, values...]; `keys` are the sets not told before."""

    keys: list[list[str]]
    rows: list[list[Any]]


class _ColumnHead(msgspec.Struct, array_like=True):
    code: str
    n: int
    first: int = 0


class _PartHead(msgspec.Struct, array_like=True):
    writer: str
    keys: list[str]


encode = msgspec.msgpack.encode
_rows_decoder = msgspec.msgpack.Decoder(_RowsFrame)
_column_decoder = msgspec.msgpack.Decoder(_ColumnHead)
_part_decoder = msgspec.msgpack.Decoder(_PartHead)
_list_decoder = msgspec.msgpack.Decoder(list[Any])

Frames = Iterator[tuple[bytes, bytes]]
ReadExactly = Callable[[int], bytes]


class WireError(ValueError):
    """Bytes that are no reply of this form."""


class FaultFrame(Exception):  # noqa: N818  it is handed on as the error that the fault describes
    """The reply holds an error."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = content


# -- writing


def frame(kind: bytes, content: bytes | memoryview = b"") -> bytes:
    """Return one frame."""
    return HEAD.pack(kind, len(content)) + content


def value_frame(value: Any) -> bytes:
    """Return a frame with a value."""
    return frame(VALUE, encode(value))


def row_frames(rows: Iterable[Row]) -> Iterator[bytes]:
    """Yield rows, of which only some thousand are in memory at once."""
    known: dict[tuple[str, ...], int] = {}
    new: list[tuple[str, ...]] = []
    held: list[list[Any]] = []
    n_values = 0
    for row in rows:
        keys = tuple(row.values)
        number = known.get(keys)
        if number is None:
            number = known[keys] = len(known)
            new.append(keys)
        held.append([number, row.step, row.wall_time_ns, *row.values.values()])
        n_values += len(keys)
        if len(held) >= _FRAME_ROWS or n_values >= _FRAME_VALUES:
            yield value_frame((new, held))
            new, held, n_values = [], [], 0
    if held:
        yield value_frame((new, held))


def series_frames(series: Series) -> Iterator[bytes]:
    """Yield a series, its values first."""
    yield from column_frames(series.values, may_count=False)
    for column in (series.steps, series.wall_time_ns, series.order):
        yield from column_frames(column)


def part_frames(parts: Iterable[RowPart]) -> Iterator[bytes]:
    """Yield parts of rows, their columns before their places."""
    for part in parts:
        yield value_frame(_PartHead(part.writer, list(part.columns)))
        for column in part.columns.values():
            yield from column_frames(column, may_count=False)
        for places in (part.places, part.steps, part.wall_time_ns):
            yield from column_frames(places)


def column_frames(values: NDArray[Any], may_count: bool = True) -> Iterator[bytes]:
    """Yield a column; `may_count` lets one that counts up by one be told by its first number."""
    code, n = _code_of(values), len(values)
    if code == _OBJECT:
        yield value_frame(_ColumnHead(code, n))
        yield from _object_frames(values.tolist())
        return
    if may_count and n > 1 and code == "q" and bool((values[1:] - values[:-1] == 1).all()):
        yield value_frame(_ColumnHead(_RANGE, n, int(values[0])))
        return
    yield value_frame(_ColumnHead(code, n))
    content = np.ascontiguousarray(values, _FORMATS[code]).data.cast("B") if n else b""
    for start in range(0, len(content), _PIECE_BYTES):
        yield frame(BYTES, content[start : start + _PIECE_BYTES])


def _object_frames(values: list[Any]) -> Iterator[bytes]:
    for start in range(0, len(values), _FRAME_ROWS):
        yield from _split_frames(values[start : start + _FRAME_ROWS])


def _split_frames(values: list[Any]) -> Iterator[bytes]:
    content = encode(values)
    if len(content) <= _OBJECT_FRAME_BYTES or len(values) == 1:
        yield frame(VALUE, content)
        return
    half = len(values) // 2
    yield from _split_frames(values[:half])
    yield from _split_frames(values[half:])


def _code_of(values: NDArray[Any]) -> str:
    if values.dtype == object:
        return _OBJECT
    for code, dtype in _FORMATS.items():
        if values.dtype == dtype:
            return code
    raise ValueError(f"a column of dtype {values.dtype}, which no journal has")


# -- reading


def read_frames(read: ReadExactly) -> Frames:
    """Yield kind and content of each frame up to the end.

    Raises:
        WireError: what comes is no frame.
        FaultFrame: the server could not go on.
    """
    while True:
        kind, length = HEAD.unpack(read(HEAD.size))
        if kind not in (VALUE, BYTES, FAULT, END) or length > MAX_FRAME_BYTES:
            raise WireError(f"a frame of kind {kind!r} with {length} bytes")
        content = read(length) if length else b""
        if kind == FAULT:
            raise FaultFrame(content)
        if kind == END:
            return
        yield kind, content


def next_value(frames: Frames) -> bytes:
    """Return the content of the next frame, which has to be a value."""
    kind, content = next(frames, (END, b""))
    if kind != VALUE:
        raise WireError(f"a frame of kind {kind!r} in place of a value")
    return content


def read_rows(frames: Frames) -> Iterator[Row]:
    """Yield the rows of `row_frames`."""
    known: list[list[str]] = []
    for kind, content in frames:
        if kind != VALUE:
            raise WireError("bytes in place of rows")
        found = _rows_decoder.decode(content)
        known += found.keys
        for row in found.rows:
            try:
                yield _row(known, *row)
            except (LookupError, TypeError, ValueError):
                raise WireError("a row that does not go with its keys") from None


def _row(known: list[list[str]], number: int, step: int, wall_time_ns: int, *values: Any) -> Row:
    if type(step) is not int or type(wall_time_ns) is not int:
        raise TypeError
    return Row(step, wall_time_ns, dict(zip(known[number], values, strict=True)))


def read_series(frames: Frames) -> Series:
    """Return the series of `series_frames`."""
    values = read_column(frames, None)
    steps, times = read_column(frames, len(values)), read_column(frames, len(values))
    order = read_column(frames, len(values))
    if {steps.dtype, times.dtype, order.dtype} != {np.dtype(np.int64)} or len(steps) != len(times):
        raise WireError("a series whose steps or times are no whole numbers")
    return Series(steps, times, values, order)


def read_parts(frames: Frames) -> Iterator[RowPart]:
    """Yield the parts of `part_frames`."""
    for kind, content in frames:
        if kind != VALUE:
            raise WireError("bytes in place of a part")
        head = _part_decoder.decode(content)
        columns: dict[str, NDArray[Any]] = {}
        n: int | None = None
        for key in head.keys:
            columns[key] = read_column(frames, n)
            n = len(columns[key])
        places, steps, times = (read_column(frames, n or 0) for _ in range(3))
        yield RowPart(head.writer, places, steps, times, columns)


def read_column(frames: Frames, n_expected: int | None) -> NDArray[Any]:
    """Return the column of `column_frames`. No more memory is taken than bytes came.

    Args:
        frames: where it comes from.
        n_expected: how many values it may have; None for as many as come.
    """
    head = _column_decoder.decode(next_value(frames))
    if head.n < 0 or (n_expected is not None and head.n not in (0, n_expected)):
        raise WireError(f"a column of {head.n} values, not {n_expected}")
    if head.code == _RANGE:
        if n_expected is None or not -(1 << 63) <= head.first <= (1 << 63) - 1 - head.n:
            raise WireError("a column that cannot be counted")
        return np.arange(head.first, head.first + head.n, dtype=np.int64)
    if head.code == _OBJECT:
        return _read_objects(frames, head.n)
    if head.code not in _FORMATS:
        raise WireError(f"a column of type {head.code[:10]!r}")
    dtype, content = _FORMATS[head.code], bytearray()
    while len(content) < head.n * dtype.itemsize:
        kind, piece = next(frames, (END, b""))
        if kind != BYTES or not piece:
            raise WireError("a column that is cut off")
        content += piece
    if len(content) != head.n * dtype.itemsize:
        raise WireError(f"a column of {len(content)} bytes, which are not {head.n} values")
    found = np.frombuffer(content, dtype)
    return found.astype(dtype.newbyteorder("="), copy=False)


def _read_objects(frames: Frames, n: int) -> NDArray[Any]:
    found: list[Any] = []
    while len(found) < n:
        more = _list_decoder.decode(next_value(frames))
        if not more:
            raise WireError("a column that is cut off")
        found += more
    if len(found) != n:
        raise WireError(f"a column of {len(found)} values, not {n}")
    values = np.empty(n, object)
    for index, value in enumerate(found):
        values[index] = value
    return values
