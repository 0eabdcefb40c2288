"""Turn what users log into what a journal holds: scalars, flat rows, plain config. No framework is imported here."""

from __future__ import annotations

import enum
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import UsageError
from .rich import RichValue, as_rich

MAX_KEY_CHARS = 1024
_MAX_DEPTH = 32
_REPR_ERRORS = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
_INT64_MIN, _INT64_MAX = -(1 << 63), (1 << 63) - 1
_UINT64_MAX = (1 << 64) - 1

_CODES: dict[type, str | None] = {float: "d", int: "q", bool: "?"}
_NUMPY_CODES = {
    "float64": "d", "float32": "f", "float16": "f", "bool": "?", "bool_": "?",
    "int8": "q", "int16": "q", "int32": "q", "int64": "q", "longlong": "q", "intc": "q",
    "uint8": "q", "uint16": "q", "uint32": "q", "uint64": "Q", "ulonglong": "Q", "uintc": "q",
}  # fmt: skip


def column_code(kind: type) -> str | None:
    """Return the journal's column type for values of a Python or NumPy type, or None where it has none."""
    try:
        return _CODES[kind]
    except KeyError:
        code = _NUMPY_CODES.get(kind.__name__) if kind.__module__ == "numpy" else None
        _CODES[kind] = code
        return code


def flatten_row(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a row with nested dicts as "a/b" keys and every scalar of a framework as a Python or NumPy one.

    A picture, table or the like stays what it is, a RichValue.

    Raises:
        UsageError: a key is not text, or a value cannot be kept.
    """
    row: dict[str, Any] = {}
    _flatten_into(row, "", data, where)
    return row


def _flatten_into(row: dict[str, Any], prefix: str, data: Mapping[str, Any], where: str) -> None:
    for key, value in data.items():
        name = check_key(prefix + check_key(key, where), where) if prefix else check_key(key, where)
        if isinstance(value, Mapping):
            _flatten_into(row, name + "/", value, where)
        elif column_code(type(value)):
            row[name] = value
        else:
            rich = as_rich(value)
            row[name] = to_row_value(value, f"{where}, key {name!r}") if rich is None else rich


def has_rich(row: dict[str, Any]) -> bool:
    """Say whether a flat row holds a picture, table or the like."""
    return any(isinstance(value, RichValue) for value in row.values())


def check_key(key: object, where: str) -> str:
    """Return a valid metric name; raises UsageError otherwise."""
    if type(key) is not str and not isinstance(key, str):
        got = f"the key {key!r} of type {type(key).__name__}"
        raise UsageError(where, got, "text keys", f"write {{{str(key)!r}: ...}}")
    if not key or len(key) > MAX_KEY_CHARS:
        got = "an empty key" if not key else f"a key of {len(key)} characters"
        raise UsageError(where, got, f"keys of 1 to {MAX_KEY_CHARS} characters", "give the metric a short name")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise UsageError(where, f"the key {key!r}", "valid Unicode text", "remove its lone surrogates") from None
    return str(key)


def not_a_row(data: object) -> UsageError:
    """Return the error for something logged that is no dict, or whose keys cannot be hashed as text."""
    if isinstance(data, Mapping):
        for key in data:
            check_key(key, "log()")
    got = f"{_text_of(data):.200} of type {type(data).__name__}"
    return UsageError("log()", got, "a dict of metric names to values", 'write log({"loss": loss})')


def to_row_value(value: Any, where: str, depth: int = 0) -> Any:
    """Return one logged value as a number, truth value, text, None or a plain list.

    Tensors and arrays of one element become Python numbers, exactly.

    Raises:
        UsageError: the value is none of these.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return _check_text(value, where)
    if isinstance(value, (float, bool)):
        return float(value) if isinstance(value, float) else bool(value)
    if isinstance(value, int):
        if not _INT64_MIN <= value <= _UINT64_MAX:
            raise UsageError(where, f"an integer of {value.bit_length()} bits", "at most 64 bits", "log float(value)")
        return int(value)
    if isinstance(value, (list, tuple, Mapping)) and depth > _MAX_DEPTH:
        got, remedy = f"lists or dicts more than {_MAX_DEPTH} deep", "flatten it; a list must not contain itself"
        raise UsageError(where, got, "a value of less depth", remedy)
    if isinstance(value, (list, tuple)):
        return [to_row_value(item, where, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return {check_key(key, where): to_row_value(item, where, depth + 1) for key, item in value.items()}
    return _array_item(value, where)


def _check_text(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        remedy = "log text.encode(errors='replace').decode()"
        raise UsageError(where, f"the text {text!r:.200}", "valid Unicode without lone surrogates", remedy) from None
    return str(text)


def _array_item(value: Any, where: str) -> Any:
    kind = f"{type(value).__module__}.{type(value).__name__}"
    item = getattr(value, "item", None)
    if callable(item):
        try:
            number = item()
        except (ValueError, TypeError, RuntimeError):
            shape = tuple(getattr(value, "shape", ()))
            remedy = "log value.mean() or value.tolist()"
            raise UsageError(where, f"a {kind} of shape {shape}", "one number", remedy) from None
        if isinstance(number, (bool, int, float)):
            return to_row_value(number, where)
        if hasattr(number, "__float__") and not isinstance(number, complex):
            return float(number)
    elif hasattr(value, "__float__"):
        return float(value)
    expected = "a number, truth value, text, None, or a list of these"
    raise UsageError(where, f"a value of type {kind}", expected, "log its numbers, or str(value)")


def is_wide_int(value: Any) -> bool:
    """Say whether an integer needs more than a signed 64-bit column."""
    return isinstance(value, int) and not _INT64_MIN <= value <= _INT64_MAX


def check_step(step: Any) -> int:
    """Return a step as an int.

    Raises:
        UsageError: it is not a whole number of at most 64 bits.
    """
    try:
        number = step.__index__() if hasattr(step, "__index__") else int(step)
        if number != step or not _INT64_MIN <= number <= _INT64_MAX:
            raise ValueError(step)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        got = f"{_text_of(step)} of type {type(step).__name__}"
        remedy = "pass an int, or log the value as a metric and use define_metric(step_metric=)"
        raise UsageError("log(step=)", got, "a whole number of at most 64 bits", remedy) from None
    return int(number)


def to_plain(value: Any, depth: int = 0) -> Any:
    """Return a config or summary value as plain data: dicts with text keys, lists, numbers, text, truth values, None.

    Never raises for odd values: what has no plain form is kept as its text.
    """
    if type(value) is str:
        return _replace_surrogates(value)
    if value is None or type(value) in (bool, float):
        return value
    if isinstance(value, enum.Enum):
        return to_plain(value.value, depth + 1)
    if isinstance(value, int):
        return int(value) if _INT64_MIN <= value <= _UINT64_MAX else _text_of(value)
    if depth > _MAX_DEPTH:
        return _text_of(value)
    if _is_dataclass(value):
        import dataclasses  # which is there, or the value would be none

        return {f.name: to_plain(getattr(value, f.name), depth + 1) for f in dataclasses.fields(value)}
    if _is_namespace(value):
        value = vars(value)
    elif type(value) not in (dict, list, tuple):
        from .config_sources import structured

        value = _or(structured(value), value)
    if isinstance(value, Mapping):
        return {_replace_surrogates(str(key)): to_plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items: Iterable[Any] = value if isinstance(value, (list, tuple)) else sorted(value, key=repr)
        return [to_plain(item, depth + 1) for item in items]
    return _plain_object(value, depth)


def _or(found: Any, otherwise: Any) -> Any:
    return otherwise if found is None else found


def _is_namespace(value: Any) -> bool:
    argparse = sys.modules.get("argparse")
    return argparse is not None and isinstance(value, argparse.Namespace)


def _is_dataclass(value: Any) -> bool:
    return hasattr(type(value), "__dataclass_fields__")


def _plain_object(value: Any, depth: int) -> Any:
    if isinstance(value, os.PathLike):
        return _replace_surrogates(os.fsdecode(value))
    item = getattr(value, "item", None)
    if (callable(item) and column_code(type(value))) or (hasattr(value, "tolist") and hasattr(value, "shape")):
        n_values = 1
        for n in getattr(value, "shape", ()):
            n_values *= n
        if n_values <= 1000:
            return to_plain(value.tolist() if hasattr(value, "tolist") else value.item(), depth + 1)
    if isinstance(value, (type,)) or (callable(value) and hasattr(value, "__qualname__")):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, (str, float)):
        return to_plain(str(value) if isinstance(value, str) else float(value), depth + 1)
    return _text_of(value)


def _replace_surrogates(text: str) -> str:
    return text.encode(errors="replace").decode()


def _text_of(value: Any) -> str:
    """Return at most 1000 characters of a value's `repr`, which is the user's code and may fail."""
    try:
        return _replace_surrogates(repr(value)[:1000])
    except _REPR_ERRORS as error:
        if isinstance(value, int):  # of thousands of digits
            return f"{value:#x}"[:1000]
        return f"<{type(value).__qualname__} whose repr raised {type(error).__name__}>"


def to_config(config: Any, where: str = "init(config=)") -> dict[str, Any]:
    """Return a config as a plain dict: a dict, argparse namespace, dataclass, or what `config_sources` knows.

    Raises:
        UsageError: it is none of these, or a file that cannot be read.
    """
    if config is None:
        return {}
    if type(config) is not dict and not _is_namespace(config):
        from .config_sources import config_of

        config = _or(config_of(config, where), config)
    if isinstance(config, type) or not (isinstance(config, Mapping) or _is_namespace(config) or _is_dataclass(config)):
        got = f"{_text_of(config):.200} of type {type(config).__name__}"
        expected = "a dict, namespace, dataclass, pydantic model, OmegaConf config or the path of a YAML file"
        raise UsageError(where, got, expected, "pass dict(...)")
    plain = to_plain(config)
    assert isinstance(plain, dict)
    return plain
