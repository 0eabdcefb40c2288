"""What a server knows of a run that a process here is to go on with: asked at `init`, within bounds.

A server that is away never keeps a run from beginning. `tracker_server/http/routes_progress.py` answers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from ..errors import UsageError
from ..forking import Branch
from ..journal_reader import JournalReader
from ..records import Session
from ..settings import Settings
from .connection import FaultReply, Reply, ServerConnection
from .server_errors import ServerError

_READ_BYTES = 1 << 20
_MOST_BYTES = 16 << 20

T = TypeVar("T")


class Progress(msgspec.Struct, kw_only=True):
    """How far a run has come.

    Attributes:
        last: the primary writer's latest session, with the name, tags and notes that were given since; None where the
            server does not have the run.
        branch: the session that began the latest attempt with the history of another, None where none did.
        has_inherited: whether the server has that history.
        counter, attempt: the highest there are.
        next_step: one more than the highest step of the latest attempt.
        config: the latest attempt's; or as of a step, where that was asked for.
        state: the run's.
    """

    last: Session | None = None
    branch: Session | None = None
    has_inherited: bool = False
    counter: int = 0
    attempt: int = 0
    next_step: int = 0
    config: dict[str, Any] = {}
    state: str = ""


class UnansweredError(OSError):
    """The server could not be asked."""


class RunServer:
    """Asks the server that a run is sent to. Every question is answered or given up in time.

    Args:
        settings: the run's; with a `base_url`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def progress(self, project: str, run_id: str, step: int | None = None) -> Progress:
        """Return how far a run has come, with `step` the config as of then.

        Raises:
            UnansweredError: the server is away, or refuses.
        """
        path = f"/projects/{quote(project, safe='')}/runs/{quote(run_id, safe='')}/progress"
        params = {} if step is None else {"step": step}
        timeout_s = self._settings.init_timeout_s

        def ask() -> Progress:
            connection = self._connection(timeout_s)
            try:
                found = connection.ask("GET", path, lambda reply: reply.read(_MOST_BYTES), params)
                return msgspec.msgpack.decode(found, type=Progress)
            finally:
                connection.close()

        return _within(ask, timeout_s)

    def fetch(self, branch: Branch, below: int, began_ns: int, path: str) -> bool:
        """Write the journal of a history to `path`; False where the server has no such run.

        Raises:
            OSError: the server is away, or the file cannot be written.
        """
        place = f"/projects/{quote(branch.project, safe='')}/runs/{quote(branch.run, safe='')}/history"
        params = {"step": branch.step, "below": below, "began_ns": began_ns}

        def store(reply: Reply) -> None:
            with open(path, "wb") as file:
                while piece := reply.read(_READ_BYTES):
                    file.write(piece)

        connection = self._connection(60.0)
        try:
            connection.ask("GET", place, store, params)
        except FaultReply as fault:
            if fault.status == 404:
                return False
            raise UnansweredError(f"the server refuses, with status {fault.status}") from fault
        except (ServerError, UsageError) as error:
            raise UnansweredError(str(error)) from error
        finally:
            connection.close()
        if not _is_whole(path):
            raise UnansweredError("the history ended before its end")
        return True

    def _connection(self, timeout_s: float) -> ServerConnection:
        settings = self._settings
        return ServerConnection(settings.base_url or "", settings.api_key, pauses_s=(), read_timeout_s=timeout_s)


def _within(ask: Callable[[], T], timeout_s: float) -> T:
    """Return an answer; raises UnansweredError where there is none in time, however long looking up a name takes."""
    found: list[T] = []
    why: list[str] = []

    def work() -> None:
        try:
            found.append(ask())
        except FaultReply as fault:
            why.append(f"it refuses, with status {fault.status}")
        except (ServerError, UsageError, OSError, msgspec.MsgspecError) as error:
            why.append(getattr(error, "got", "") or str(error))

    thread = threading.Thread(target=work, name="tracker-ask", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise UnansweredError(str(error)) from error
    thread.join(timeout_s)
    if found:
        return found[0]
    raise UnansweredError(why[0] if why else f"no answer within {timeout_s:g} s")


def _is_whole(path: str) -> bool:
    reader = JournalReader(path)
    is_damaged = False
    while True:
        batch = reader.read(_READ_BYTES)
        is_damaged = is_damaged or bool(batch.damage)
        if not batch.n_bytes:
            return reader.is_closed and not is_damaged and not reader.n_tail_bytes
