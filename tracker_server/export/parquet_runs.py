"""The table of runs in a project's export: one row per run, config and summary as columns and as JSON."""

from __future__ import annotations

import struct
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from ..runs.run_view import RunView
from .parquet_tables import arrow, json_text

MAX_COLUMNS = 2000
_BATCH_RUNS = 500
_EXACT = 1 << 53
_LENGTH = struct.Struct("<I")
_TIME = {"unit": "ns since 1970-01-01 00:00 UTC"}
_JSON = {"description": "as JSON"}
# Name, type and metadata of the columns that every run has.
_FIXED: tuple[tuple[str, str, dict[str, str] | None], ...] = (
    ("run_id", "string", None),
    ("name", "string", None),
    ("state", "string", None),
    ("created", "time", _TIME),
    ("ended", "time", _TIME),
    ("updated", "time", _TIME),
    ("duration", "double", {"unit": "s"}),
    ("exit_code", "int64", None),
    ("signal", "string", None),
    ("error", "string", {"description": "type, message and traceback as JSON"}),
    ("is_archived", "bool", None),
    ("entity", "string", None),
    ("group", "string", None),
    ("job_type", "string", None),
    ("tags", "strings", None),
    ("notes", "string", None),
    ("host", "string", None),
    ("attempt", "int64", None),
    ("n_rows", "int64", {"unit": "rows"}),
    ("n_dropped", "int64", {"unit": "rows"}),
    ("config_json", "string", _JSON),
    ("summary_json", "string", _JSON),
    ("environment_json", "string", _JSON),
)


@dataclass(frozen=True, slots=True)
class ExportedRun:
    """A run with what only an export needs."""

    view: RunView
    environment: Mapping[str, Any]
    is_archived: bool


class RunsTable:
    """The rows of the table, kept in a temporary file until it is known which columns they have. Not thread-safe."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed by __exit__
        self._counts: Counter[str] = Counter()
        self._types: dict[str, str] = {}

    def __enter__(self) -> RunsTable:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, run: ExportedRun) -> None:
        """Append a run."""
        leaves = {name: value for name, value in _leaves(run.view) if value is not None}
        for name, value in leaves.items():
            self._counts[name] += 1
            self._types[name] = _joined(self._types.get(name), value)
        row = msgspec.msgpack.encode((_row(run), leaves))
        self._file.write(_LENGTH.pack(len(row)) + row)

    def columns(self) -> dict[str, str]:
        """Return the columns of config and summary, with their types: bool, int64, double, string or json.

        There are at most `MAX_COLUMNS`, of the keys that most runs have. What is left out is in the JSON columns.
        """
        counts = self._counts
        chosen = sorted(counts, key=lambda name: (-counts[name], name))[:MAX_COLUMNS]
        return {name: self._types[name].replace("int53", "int64") for name in sorted(chosen)}

    def arrays(self, columns: Mapping[str, str], schema: Any) -> Iterator[list[Any]]:
        """Yield the columns of `runs_schema`, some hundred runs at a time."""
        pa = arrow()
        rows = self._rows(columns)
        while batch := list(islice(rows, _BATCH_RUNS)):
            yield [pa.array([row.get(field.name) for row in batch], field.type) for field in schema]

    def _rows(self, columns: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        self._file.seek(0)
        while head := self._file.read(_LENGTH.size):
            row, leaves = msgspec.msgpack.decode(self._file.read(*_LENGTH.unpack(head)))
            row.update((name, _CELLS[columns[name]](value)) for name, value in leaves.items() if name in columns)
            yield row


def runs_schema(columns: Mapping[str, str]) -> Any:
    """Return the Arrow schema of the table."""
    pa = arrow()
    kinds = {
        "bool": pa.bool_(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "string": pa.string(),
        "json": pa.string(),
        "time": pa.timestamp("ns", tz="UTC"),
        "strings": pa.list_(pa.string()),
    }
    fields = [pa.field(name, kinds[kind], name != "run_id", metadata) for name, kind, metadata in _FIXED]
    for name, kind in columns.items():
        fields.append(pa.field(name, kinds[kind], metadata=_JSON if kind == "json" else None))
    return pa.schema(fields)


def _row(run: ExportedRun) -> dict[str, Any]:
    view = run.view
    error = None
    if view.error is not None:
        error = json_text({name: getattr(view.error, name) for name in ("type", "message", "traceback")})
    row: dict[str, Any] = {name: getattr(view, name, None) for name, _, _ in _FIXED}
    return row | {
        "run_id": view.id,
        "created": view.created_ns,
        "ended": view.ended_ns,
        "updated": view.updated_ns,
        "duration": view.duration_s,
        "error": error,
        "is_archived": run.is_archived,
        "config_json": json_text(view.config),
        "summary_json": json_text(view.summary),
        "environment_json": json_text(run.environment),
    }


_CELLS: dict[str, Callable[[Any], Any]] = {
    "bool": bool,
    "int64": int,
    "double": float,
    "string": str,
    "json": json_text,
}


def _leaves(view: RunView) -> Iterator[tuple[str, Any]]:
    for prefix, values in (("config", view.config), ("summary", view.summary)):
        yield from _flat(values, prefix)


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{prefix}.{key}"
        if isinstance(value, dict) and value:
            yield from _flat(value, name)
        else:
            yield name, value


def _joined(known: str | None, value: Any) -> str:
    """Return the type of a column that had a type so far and gets a value: one that holds all of it exactly."""
    own = _type_of(value)
    if known is None or known == own:
        return own
    return _JOINED.get(frozenset((known, own)), "json")


# int53: integers that a double holds exactly.
_JOINED = {
    frozenset(("int53", "int64")): "int64",
    frozenset(("int53", "double")): "double",
}


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int53" if abs(value) <= _EXACT else "int64" if -(1 << 63) <= value < 1 << 63 else "json"
    if isinstance(value, float):
        return "double"
    return "string" if isinstance(value, str) else "json"
