"""Open a session: who writes which journal of a run."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec

from . import paths
from .journal_file import JournalFile
from .journal_writer import JournalWriter
from .process import boot_id, host_name, process_start
from .records import Session
from .say import warn
from .settings import Settings

if TYPE_CHECKING:
    from .remote.run_progress import Progress

PRIMARY_WRITER = "main"
LAUNCHER_WRITER = "launcher"

_n_inits = (0, 0)


def next_init_number() -> int:
    """Count the `init` calls of this process that began something: 1 for the first."""
    global _n_inits
    pid, n = _n_inits
    _n_inits = (os.getpid(), n + 1 if pid == os.getpid() else 1)
    return _n_inits[1]


def new_session(template: Session, **changes: Any) -> Session:
    """Return a session of this process like `template`, with a new random id."""
    pid = os.getpid()
    identity = {
        "session": os.urandom(16).hex(),
        "wall_time_ns": time.time_ns(),
        "host": host_name(),
        "pid": pid,
        "boot_id": boot_id(),
        "process_start": process_start(pid),
        "python": sys.version.split()[0],
    }
    return msgspec.structs.replace(template, **{**identity, **changes})


def open_writer(session: Session, folder: str, settings: Settings) -> JournalWriter:
    """Open the journal of a session and write its SESSION record. Never raises OSError."""
    id_bytes = bytes.fromhex(session.session)
    path = paths.journal_path(folder, session.project, session.run, session.writer, id_bytes)
    writer = JournalWriter(
        JournalFile(path, id_bytes),
        warn,
        fsync_interval_s=settings.fsync_interval_s,
        heartbeat_interval_s=settings.heartbeat_interval_s,
        slow_write_s=settings.slow_write_s,
        queue_max_bytes=settings.queue_max_mib << 20,
    )
    writer.put(session)
    return writer


class EarlierSessions(msgspec.Struct):
    """What the journals of a run id hold before this session: none where `last` is None.

    Attributes:
        last: the primary writer's latest session.
        counter, attempt: the highest there are.
        next_step, config: what the latest attempt came to.
        branch: the session that began the latest attempt with the history of another, if one did.
        has_inherited: whether that history is there.
        remote: what a server knows of the latest attempt, where it knows anything.
        is_further_there: whether that is more than what the journals here hold.
    """

    last: Session | None = None
    counter: int = 0
    attempt: int = 0
    next_step: int = 0
    config: dict[str, Any] = {}
    branch: Session | None = None
    has_inherited: bool = False
    remote: Progress | None = None
    is_further_there: bool = False
