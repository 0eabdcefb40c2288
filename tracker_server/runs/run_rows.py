"""A run that is over as rows of the store: its view packed, and every value that can be searched for. Pure.

A value becomes a kind, a number and a text, such that these compare as the values do:

* a number is a float64 and a residual, number = float64 + residual, which is 0 but for integers beyond 2**53;
* a text is its first 200 characters, by which it is sorted, and the rest; a list likewise is text, as Python writes it.

What is too long to be kept whole says so by its kind.
"""

from __future__ import annotations

import ast
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from ..codec.chunk_bytes import pack_bytes, unpack_bytes
from ..ingest.media_values import is_media
from .filter_match import look_up, reader_of
from .filter_tree import AGGREGATES, FIELDS, Field
from .run_details import AlertView
from .run_search import N_ITEMS, N_TEXT_CHARACTERS
from .run_view import RunView

NUMBER, BOOLEAN = 0, 1
# Of texts: in `text`, in `text` and `rest`, or beyond both. Of lists: in `text`, in `rest`, or too long for either.
TEXT, LONG_TEXT, CUT_TEXT = 10, 11, 12
LIST, LONG_LIST, CUT_LIST, OTHER = 20, 21, 22, 23
NAN = 30
NONE, MAPPING = 40, 41
# Kinds divided by this are those of `run_search.rank`.
RANK_DIVISOR = 10

MAX_REST_CHARACTERS = 4000
# Longer ones are in no index of a database, and are looked for in the views.
MAX_KEY_CHARACTERS = 400
# What of the environment can be searched without looking into each run: a few keys that runs differ by.
SEARCHED_ENVIRONMENT = frozenset("user host program cwd git python frameworks cuda slurm".split())
FIELD, METRIC = "field", "metric"
_MAX_RESIDUAL = (1 << 15) - 1


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run of which nothing more is expected; `journals` are the names of all it has, and their sizes in bytes."""

    view: RunView
    environment: Mapping[str, Any]
    journals: Sequence[tuple[str, int]]
    alerts: Sequence[AlertView] = ()


class Stored(NamedTuple):
    """A value as the store holds it."""

    kind: int
    number: float | None = None
    residual: int = 0
    text: str | None = None
    rest: str | None = None


class StoredKey(NamedTuple):
    """Where a value is: `root` is one of `filter_tree.ROOTS`, `FIELD` or `METRIC`."""

    root: str
    key: str


def kind_name(kind: int) -> str | None:
    """Return what users call a kind of value; None for mappings, which are no values."""
    if kind in (NUMBER, NAN):
        return "number"
    if kind in (BOOLEAN, NONE, MAPPING):
        return {BOOLEAN: "boolean", NONE: "none"}.get(kind)
    return "text" if kind < LIST else "list"


def pack_view(view: RunView) -> bytes:
    """Return a run as bytes."""
    return pack_bytes(_encode(view))


def unpack_view(data: bytes) -> RunView:
    """Return the run in `data`."""
    return _view_decoder.decode(unpack_bytes(data))


def pack_values(values: Any) -> bytes:
    """Return plain values as bytes."""
    return pack_bytes(_encode(values))


def unpack_values(data: bytes) -> Any:
    """Return the plain values in `data`."""
    return msgspec.msgpack.decode(unpack_bytes(data))


_encode = msgspec.msgpack.Encoder().encode
_view_decoder = msgspec.msgpack.Decoder(RunView)


def values_of(row: RunRow) -> Iterator[tuple[StoredKey, Stored]]:
    """Yield every value of a run that a filter or an order may name, each place once."""
    for name in FIELDS:
        value = reader_of(Field(name), lambda _: row.environment)(row.view)
        yield StoredKey(FIELD, name), stored(value)
    environment = {key: value for key, value in row.environment.items() if is_searched(key)}
    for root, values in (("config", row.view.config), ("summary", row.view.summary), ("environment", environment)):
        for key, value in _places(values):
            if len(key) <= MAX_KEY_CHARACTERS:
                yield StoredKey(root, key), stored(value)


def is_searched(key: str) -> bool:
    """Say whether the store has the values of this key of the environment."""
    return key.partition(".")[0] in SEARCHED_ENVIRONMENT


def aggregates_of(row: RunRow) -> Iterator[tuple[StoredKey, dict[str, float | int | None]]]:
    """Yield the columns of `run_metric` for every metric of a run."""
    for key, metric in row.view.metrics.items():
        if len(key) > MAX_KEY_CHARACTERS:
            continue
        columns: dict[str, float | int | None] = {"n_points": min(metric.n_points, 1 << 62)}
        for name in AGGREGATES:
            number, residual = _split(getattr(metric.stats, name))
            columns[name] = number
            if name != "mean":
                columns[f"{name}_residual"] = residual
        yield StoredKey(METRIC, key), columns


def _places(values: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every value and mapping with the flat key under which `look_up` finds it."""
    if not any(isinstance(value, dict) for value in values.values()):
        yield from ((key, value) for key, value in values.items() if isinstance(key, str))
        return
    for key in dict.fromkeys(_flat_keys(values, "")):
        yield key, look_up(values, key)


def _flat_keys(values: Mapping[Any, Any], prefix: str) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(key, str):
            yield f"{prefix}{key}"
            if isinstance(value, dict) and not is_media(value):
                yield from _flat_keys(value, f"{prefix}{key}.")


def stored(value: Any) -> Stored:
    """Return a value of a run as the store holds it."""
    if isinstance(value, str):
        return _stored_text(value)
    if isinstance(value, (int, float)):
        number, residual = _split(value)
        return (
            Stored(NAN)
            if number is None
            else Stored(BOOLEAN if value is True or value is False else NUMBER, number, residual)
        )
    if value is None:
        return Stored(NONE)
    if isinstance(value, dict):
        return Stored(MAPPING)
    if isinstance(value, list):
        return _stored_list(value)
    return Stored(OTHER, text=plain_text(str(value)[:N_TEXT_CHARACTERS]))


def split_number(value: float | int) -> tuple[float, int]:
    """Return a number, which is not NaN, as what it is compared by: a float64, and what it is more than that."""
    number, residual = _split(value)
    assert number is not None
    return number, residual


def _split(value: float | int) -> tuple[float | None, int]:
    if isinstance(value, float):
        return (None if value != value else value), 0
    try:
        number = float(value)
    except OverflowError:  # between the largest float and infinity
        number = math.copysign(sys.float_info.max, -1 if value < 0 else 1)
    if -(1 << 53) <= value <= 1 << 53:
        return number, 0
    return number, max(-_MAX_RESIDUAL, min(value - int(number), _MAX_RESIDUAL))


def _stored_text(value: str) -> Stored:
    if len(value) <= N_TEXT_CHARACTERS:
        return Stored(TEXT, text=plain_text(value))
    rest = value[N_TEXT_CHARACTERS : N_TEXT_CHARACTERS + MAX_REST_CHARACTERS]
    is_whole = len(value) <= N_TEXT_CHARACTERS + MAX_REST_CHARACTERS
    kind = LONG_TEXT if is_whole else CUT_TEXT
    return Stored(kind, text=plain_text(value[:N_TEXT_CHARACTERS]), rest=plain_text(rest))


def _stored_list(value: list[Any]) -> Stored:
    shown = str(value[:N_ITEMS])
    text = plain_text(shown[:N_TEXT_CHARACTERS])
    if len(value) <= N_ITEMS and len(shown) <= N_TEXT_CHARACTERS:
        return Stored(LIST, text=text)
    whole = str(value) if len(value) <= MAX_REST_CHARACTERS else ""
    if whole and len(whole) <= MAX_REST_CHARACTERS:
        return Stored(LONG_LIST, text=text, rest=plain_text(whole))
    return Stored(CUT_LIST, text=text)


def plain_text(text: str) -> str:
    """Return a text without NUL, which not every database holds; it sorts as before, and no two become the same."""
    if "\0" in text or "\1" in text:
        text = text.replace("\1", "\1\2").replace("\0", "\1\1")
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which no journal holds
        return text.encode("utf-8", "replace").decode()
    return text


def given_text(text: str) -> str:
    """Return the text that `plain_text` was given."""
    return text.replace("\1\1", "\0").replace("\1\2", "\1") if "\1" in text else text


def value_of(found: Stored) -> Any:
    """Return a value of a run as it was; of what is not kept whole, and of mappings, `NOT_KEPT`."""
    kind, number, residual, text, rest = found
    if kind in (NUMBER, BOOLEAN):
        assert number is not None
        return bool(number) if kind == BOOLEAN else int(number) + residual if residual else number
    if kind in (TEXT, LONG_TEXT):
        return given_text((text or "") + (rest or ""))
    if kind in (LIST, LONG_LIST):
        return _list_of(given_text((text if kind == LIST else rest) or ""))
    return math.nan if kind == NAN else None if kind == NONE else NOT_KEPT


NOT_KEPT: Any = object()


def _list_of(text: str) -> Any:
    """Return the list that Python writes so."""
    try:
        return _literal(ast.parse(text, mode="eval").body)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return NOT_KEPT


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.List):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Name):
        return {"nan": math.nan, "inf": math.inf}[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Name):
        return -_literal(node.operand)
    return ast.literal_eval(node)
