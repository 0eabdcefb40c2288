"""What texts in a filter mean: patterns, whose time to match is linear, and times. Pure."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from functools import lru_cache

_AGO = re.compile(r"\s*(\d{1,6})\s+(second|minute|hour|day|week)s?\s+ago\s*", re.ASCII)
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
# Of the automaton, which RE2 builds while it matches. Beyond it matching is slower, and still linear.
_MAX_AUTOMATON_BYTES = 1 << 20


class PatternError(ValueError):
    """A pattern is wrong; the message says what of it."""


@lru_cache(maxsize=64)
def searcher(pattern: str) -> Callable[[str], bool]:
    """Return a function that says whether the pattern is found anywhere in a text.

    RE2 (Russ Cox, 2010) matches in time linear in the text, whatever the pattern.

    Raises:
        PatternError: the pattern is wrong, or asks for more than linear time (look-around, back-references).
    """
    import re2  # type: ignore[import-untyped]

    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_AUTOMATON_BYTES
    try:
        search = re2.compile(pattern.encode("utf-8"), options).search
    except re2.error as error:
        reason = error.args[0] if error.args else b"wrong"
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError(text[:200]) from None
    return lambda text: search(text.encode("utf-8", "replace")) is not None


def seconds_of(text: str, now_s: float) -> float | None:
    """Return a time in seconds since 1970, or None where the text is none.

    It is a date or time of ISO 8601, of the local time zone where it names none, or such as "2 days ago".
    """
    ago = _AGO.fullmatch(text)
    if ago:
        return now_s - int(ago[1]) * _SECONDS[ago[2]]
    try:
        return datetime.datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
