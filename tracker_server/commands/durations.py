"""Durations as they are typed: 30d, 12h. Pure."""

from __future__ import annotations

import re

from tracker_core.errors import UsageError

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds(text: str, where: str) -> float:
    """Return a duration in seconds; raises UsageError where the text is none. `where` is the argument's name."""
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,12})?)([smhdw])", text)
    if match is None:
        raise UsageError(where, repr(text)[:100], "a number with s, m, h, d or w behind it", "write 30d")
    return float(match[1]) * _UNITS_S[match[2]]
