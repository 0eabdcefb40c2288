"""Values as cells of a CSV file. Pure."""

from __future__ import annotations

from typing import Any

import msgspec


def as_cell(value: Any) -> Any:
    """Return a value that no spreadsheet takes for a formula: what is no number is written as JSON."""
    if isinstance(value, (int, float)):
        return value
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def seconds_text(time_ns: int) -> str:
    """Return a time in nanoseconds as seconds with nine decimals, exactly."""
    seconds, rest = divmod(abs(time_ns), 10**9)
    return f"{'-' if time_ns < 0 else ''}{seconds}.{rest:09d}"
