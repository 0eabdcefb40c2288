"""Orders to a run that is training: the file in its folder that holds one, and what becomes of it in the process.

Whoever wants a run to stop writes `<run folder>/control/stop.json`: a command on this machine does it directly, a
server through the process that sends runs to it. Every process of the run looks there once a second. An order names
the sessions that were open when it was given, so that it stops none that begins later.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from . import paths
from .errors import UsageError
from .say import say

if TYPE_CHECKING:
    from .sync.wire import Order

_ORDER_FILE = os.path.join("control", "stop.json")
_MAX_BYTES = 4 << 20
_MAX_BY, _MAX_WHY = 200, 2000


class RunStopped(KeyboardInterrupt):
    """Somebody asked the run to stop. Raised by `log()` in the main thread, once, after the row is recorded.

    A subclass of KeyboardInterrupt, so that `except Exception` around a step does not swallow it.

    Attributes:
        run: the run's path.
        by: who asked.
        why: the reason given, or "".
    """

    def __init__(self, run: str, by: str, why: str = "") -> None:
        super().__init__(f"run {run} is stopped by {_told(by, why)}")
        self.run, self.by, self.why = run, by, why


class StopOrder(msgspec.Struct, frozen=True):
    """What the file holds. `sessions` is whom it is for; `at_ns` when it was given, which also tells orders apart."""

    sessions: list[str]
    by: str
    why: str = ""
    at_ns: int = 0

    @property
    def stopped_by(self) -> str:
        """Who, and why: "ann: loss is NaN"."""
        return _told(self.by, self.why)


def _told(by: str, why: str) -> str:
    return f"{by[:_MAX_BY]}: {why[:_MAX_WHY]}" if why else by[:_MAX_BY]


def read_order(run_folder: str) -> StopOrder | None:
    """Return the order that lies in a run's folder; None where there is none, or none that can be read."""
    try:
        with open(os.path.join(run_folder, _ORDER_FILE), "rb") as file:
            return msgspec.json.decode(file.read(_MAX_BYTES), type=StopOrder)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def give_order(run_folder: str, order: StopOrder) -> None:
    """Put an order into a run's folder, beside what an earlier one names.

    Raises:
        OSError: the folder cannot be written.
    """
    earlier = read_order(run_folder)
    if earlier is not None:
        if order.at_ns == earlier.at_ns and set(order.sessions) <= set(earlier.sessions):
            return
        sessions = list(dict.fromkeys([*earlier.sessions, *order.sessions]))
        order = msgspec.structs.replace(order, sessions=sessions)
    path = os.path.join(run_folder, _ORDER_FILE)
    temporary = f"{path}.{os.getpid()}-{threading.get_ident()}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        with open(temporary, "wb") as file:
            file.write(msgspec.json.encode(order))
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def withdraw_order(run_folder: str, at_ns: int | None = None) -> bool:
    """Take the order out of a run's folder, or only the one of this time; say whether it was there.

    Raises:
        OSError: the folder cannot be written.
    """
    order = read_order(run_folder)
    if order is None or at_ns not in (None, order.at_ns):
        return False
    try:
        os.unlink(os.path.join(run_folder, _ORDER_FILE))
    except FileNotFoundError:
        return False
    return True


def apply_order(folder: str, order: Order) -> None:
    """Do what a server orders for a run of a tracker folder: "stop", or "withdraw" the stop of that time.

    May be repeated: nothing is written for an order that lies there already. A run that is not here, and an action
    that this version does not know, is passed over.

    Raises:
        OSError: the folder cannot be written.
    """
    try:
        project, run_id = paths.check_project(order.project), paths.check_run_id(order.run)
    except UsageError:
        return
    run_folder = paths.run_folder(folder, project, run_id)
    if not os.path.isdir(run_folder):
        return
    if order.action == "stop":
        give_order(run_folder, StopOrder(order.sessions, order.by[:_MAX_BY], order.why[:_MAX_WHY], order.at_ns))
    elif order.action == "withdraw":
        withdraw_order(run_folder, order.at_ns)


class StopWatch:
    """Looks for an order to one session of this process, and hands it to the training once.

    `look` is for the journal's thread, the rest for the training's threads.

    Args:
        run_folder: where the order would lie.
        session: the session that it must name.
        run: the run's path, for messages.
        raises: whether `log()` is to raise RunStopped.
        notify: called by `look` when `is_due` becomes true.
        is_quiet: whether nothing is said of an order.
    """

    def __init__(
        self, run_folder: str, session: str, run: str, raises: bool, notify: Callable[[], None], is_quiet: bool = False
    ) -> None:
        self.order: StopOrder | None = None
        self.is_delivered = False
        self._run_folder = run_folder
        self._path = os.path.join(run_folder, _ORDER_FILE)
        self._session = session
        self._run = run
        self._raises = raises
        self._notify = notify
        self._is_quiet = is_quiet
        self._is_adapted = False
        self._stamp: tuple[int, int, int] | None = None

    @property
    def is_due(self) -> bool:
        """Whether a `log()` of the main thread is to raise."""
        return self.order is not None and self._raises and not self.is_delivered and not self._is_adapted

    def look(self) -> None:
        """Look at the file: one `stat` where nothing changed. Never raises OSError."""
        try:
            status = os.stat(self._path)
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        except FileNotFoundError:
            stamp = None
        except OSError:
            return  # trouble of the disk is no news of an order
        if stamp == self._stamp:
            return
        self._stamp = stamp
        order = None if stamp is None else read_order(self._run_folder)
        self._take(order if order is not None and self._session in order.sessions else None)

    def _take(self, order: StopOrder | None) -> None:
        is_new = order is not None and self.order is None
        if order is None and self.is_delivered:
            return  # withdrawn too late
        self.order = order
        if is_new and order is not None:
            if self.is_due:
                self._notify()
            if not self._is_quiet:
                say(f"run {self._run}: a stop is requested by {order.stopped_by}")

    def deliver(self) -> bool:
        """Say whether there is an order; if so it counts as delivered, and `log()` does not raise for it."""
        if self.order is None:
            return False
        self.is_delivered = True
        return True

    def leave_to_adapter(self, is_adapted: bool) -> None:
        """Say that an adapter stops the training at the framework's own safe point, or that it does so no more."""
        self._is_adapted = is_adapted
        if self.is_due:
            self._notify()

    def raise_if_due(self) -> None:
        """Raise RunStopped in the main thread where an order is due, once."""
        if self.is_due and threading.current_thread() is threading.main_thread():
            self.raise_if_ordered()

    def raise_if_ordered(self) -> None:
        """Raise RunStopped where there is an order, in any thread."""
        order = self.order
        if order is not None:
            self.is_delivered = True
            raise RunStopped(self._run, order.by, order.why)

    def stopped_by(self, is_ended_from_outside: bool) -> str:
        """Return who stopped the run, or "". A process that a signal ended may not have come to see the order."""
        if is_ended_from_outside and not self.is_delivered:
            self.look()
        order = self.order
        return order.stopped_by if order is not None and (self.is_delivered or is_ended_from_outside) else ""
