"""End a command whose run was asked to stop, as a scheduler does: SIGTERM, and SIGKILL where that does not help."""

from __future__ import annotations

import signal
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from tracker_core.say import say

if TYPE_CHECKING:
    from tracker_core.run import Run

# A process of the command that logs to the run itself is told by its next log(), and gets so long to do what it has to.
OWN_STOP_S = 10.0
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows the latter kills


class LaunchedStop:
    """Looks now and then whether the run is to stop, and sees to it.

    Args:
        run: the launcher's.
        grace_s: how long after SIGTERM SIGKILL follows.
        send: sends a signal to the command and all of its group.
    """

    def __init__(self, run: Run, grace_s: float, send: Callable[[int], None]) -> None:
        self._run = run
        self._grace_s = grace_s
        self._send = send
        self._term_at_s: float | None = None
        self._kill_at_s: float | None = None
        self._is_killed = False

    def look(self) -> None:
        """Send what is due now."""
        if self._is_killed or not self._run.should_stop:
            return
        now_s = monotonic()
        if self._term_at_s is None:
            has_others = any(session != self._run.session_id for session in self._run.stop_order_sessions)
            self._term_at_s = now_s + (OWN_STOP_S if has_others else 0.0)
        if self._kill_at_s is None and now_s >= self._term_at_s:
            self._kill_at_s = now_s + self._grace_s
            self._send(signal.SIGTERM)
        elif self._kill_at_s is not None and now_s >= self._kill_at_s:
            self._is_killed = True
            say(f"the command did not end within {self._grace_s:g} s after SIGTERM; it is killed")
            self._send(_KILL)
