"""`run.alert`: what is said, how often."""

from __future__ import annotations

import datetime
import enum
import math
import time

from ..errors import UsageError
from ..records import Alert

_MOST_TITLE_CHARS = 256
_MOST_TEXT_CHARS = 64 << 10
_WAIT_S = 60.0
_MOST_TITLES = 1000


class AlertLevel(enum.Enum):
    """How bad it is."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


def new_alert(title: object, text: object, level: object) -> Alert:
    """Return the record of an alert; too long a text is cut. Raises UsageError where an argument is wrong."""
    if not isinstance(title, str) or not title.strip():
        got = f"{title!r:.200} of type {type(title).__name__}"
        raise UsageError("alert(title=)", got, "a text that is not empty", 'write alert("Low accuracy", "...")')
    said = "" if text is None else str(text)
    return Alert(
        wall_time_ns=time.time_ns(),
        title=_cut(title.strip(), _MOST_TITLE_CHARS),
        text=_cut(said, _MOST_TEXT_CHARS),
        level=_level(level).value,
    )


def _cut(text: str, n_chars: int) -> str:
    text = text if len(text) <= n_chars else text[: n_chars - 1] + "…"
    return text.encode(errors="replace").decode()


def _level(level: object) -> AlertLevel:
    if level is None:
        return AlertLevel.INFO
    if isinstance(level, AlertLevel):
        return level
    if isinstance(level, str) and level.upper() in AlertLevel.__members__:
        return AlertLevel[level.upper()]
    expected = "AlertLevel.INFO, AlertLevel.WARN or AlertLevel.ERROR"
    raise UsageError("alert(level=)", f"{level!r:.200}", expected, "choose one of these")


class AlertPace:
    """Leaves out alerts of a title that came a moment ago. One per process and run; the caller locks."""

    def __init__(self) -> None:
        self._last_s: dict[str, float] = {}

    def may_alert(self, title: str, wait_duration: float | datetime.timedelta | None) -> bool:
        """Say whether an alert of this title is due, and note that it is made then.

        Raises:
            UsageError: the time is none.
        """
        wait_s, now_s = _wait_s(wait_duration), time.monotonic()
        if now_s - self._last_s.get(title, -math.inf) < wait_s:
            return False
        if len(self._last_s) >= _MOST_TITLES:
            self._last_s.pop(next(iter(self._last_s)))
        self._last_s.pop(title, None)
        self._last_s[title] = now_s
        return True


def _wait_s(wait_duration: object) -> float:
    if wait_duration is None:
        return _WAIT_S
    if isinstance(wait_duration, datetime.timedelta):
        return wait_duration.total_seconds()
    if isinstance(wait_duration, (int, float)) and not isinstance(wait_duration, bool) and wait_duration >= 0:
        return float(wait_duration)
    got, expected = f"{wait_duration!r:.200}", "a number of seconds, at least 0, or a timedelta"
    raise UsageError("alert(wait_duration=)", got, expected, "pass for example wait_duration=300")
