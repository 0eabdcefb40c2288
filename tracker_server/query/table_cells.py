"""What of a table's cells is shown: text that is cut, numbers as JSON can hold them, media as its value. Pure."""

from __future__ import annotations

import datetime
import decimal
import json
import math
from typing import Any

from ..ingest.media_values import is_media
from ..runs.run_view import json_number

# Says of a column of text that its cells are values of media, as JSON.
MEDIA_FIELD = b"tracker.type"
MEDIA = b"media"
_MAX_EXACT = 1 << 53
_MAX_MEDIA_CHARS = 100_000


def column_kind(field: Any) -> str:
    """Return what the cells of an Arrow field are: number, text, boolean, time, media or other."""
    import pyarrow as pa

    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    types = pa.types
    if types.is_string(kind) or types.is_large_string(kind):
        return "media" if (field.metadata or {}).get(MEDIA_FIELD) == MEDIA else "text"
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    return "time" if types.is_temporal(kind) and not types.is_interval(kind) else "other"


def shown_cell(value: Any, kind: str, max_chars: int) -> Any:
    """Return a cell as the API tells it.

    Text that is cut is `{"_cut": its beginning, "n_chars": of all}`; numbers beyond what JSON holds exactly are text.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -_MAX_EXACT <= value <= _MAX_EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if kind == "media" and isinstance(value, str):
        found = _media(value)
        if found is not None:
            return found
    return cut(_text(value, max_chars), max_chars)


def _media(text: str) -> Any:
    if len(text) > _MAX_MEDIA_CHARS:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return json_number(value) if is_media(value) else None


def _text(value: Any, max_chars: int) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (datetime.timedelta, decimal.Decimal)):
        return str(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, (list, tuple)) and len(value) > max_chars:
        return f"[{', '.join(str(item) for item in value[:max_chars])}, … {len(value)} items]"
    return str(value)


def cut(text: str, max_chars: int) -> Any:
    """Return a text, or its beginning and how long it is."""
    return text if len(text) <= max_chars else {"_cut": text[:max_chars], "n_chars": len(text)}
