"""How rank 0 tells the other ranks which run it began.

* by the store of the process group, where one is initialised: each job has a new one;
* by the store that torchrun's agent keeps for its workers, where PyTorch is imported already: likewise;
* by a file in the tracker folder, for ranks that share it. It may be of an earlier job with the same address, so that
  it is believed only where its process lives, or where it was written after this process began.

All that there are get the word, and the first that has it is listened to. Only `set` and `get` are used, never a
collective, so that a rank that does not take part holds up nobody.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, Protocol

import msgspec

from . import paths
from .joining import last_state
from .process import boot_id, own_start_ns, process_start
from .ranks import Agreement, Rank
from .records import CLOSING_STATES, Session

LAUNCHES_FOLDER = "launches"
_CONNECT_S = 5.0
_PAUSE_S, _LONGEST_PAUSE_S = 0.005, 0.2
_KEPT_S = 2 * 86_400.0
# For so much of the time that it has, a rank looks for a better word than one that may be of an earlier job.
_DOUBT_PART = 0.5


class Channel(Protocol):
    """One way from rank 0 to the others."""

    def tell(self, word: bytes) -> None:
        """Leave a word for the other ranks."""

    def hear(self, is_late: bool) -> Agreement | None:
        """Return what rank 0 said, None where that is not there; `is_late` also where it may be of an earlier job."""


def tell(place: Rank, agreed: Agreement, folder: str) -> None:
    """Tell the other ranks of a run. Never raises: where it cannot be done, they record runs of their own."""
    word = msgspec.msgpack.encode(agreed)

    def tell_by(channels: Iterable[Channel]) -> None:
        for channel in channels:
            with contextlib.suppress(OSError, RuntimeError, ValueError):
                channel.tell(word)

    tell_by(_files_of(place, folder))
    _within(2 * _CONNECT_S, lambda: tell_by(_stores_of(place, _CONNECT_S)))


def hear(place: Rank, folder: str, timeout_s: float, heartbeat_timeout_s: float) -> Agreement | None:
    """Return what rank 0 said of its n-th run, waiting for at most about `timeout_s`; None where it said nothing."""
    found: list[Agreement] = []

    def work() -> None:
        agreed = _hear(place, folder, timeout_s, heartbeat_timeout_s)
        if agreed is not None:
            found.append(agreed)

    _within(timeout_s + _LONGEST_PAUSE_S, work)
    return found[0] if found else None


def _within(timeout_s: float, work: Callable[[], None]) -> None:
    """Do some work, but wait no longer than `timeout_s` for it: a store may be behind a connection that is dead."""
    if "torch.distributed" not in sys.modules:
        work()
        return
    thread = threading.Thread(target=work, name="tracker-rank", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no more threads
        work()
        return
    thread.join(timeout_s)


def _hear(place: Rank, folder: str, timeout_s: float, heartbeat_timeout_s: float) -> Agreement | None:
    began_s = time.monotonic()
    channels = [*_stores_of(place, timeout_s), *_files_of(place, folder, heartbeat_timeout_s)]
    pause_s = _PAUSE_S
    while True:
        waited_s = time.monotonic() - began_s
        for channel in tuple(channels):
            try:
                found = channel.hear(waited_s >= timeout_s * _DOUBT_PART)
            except (OSError, RuntimeError, ValueError):  # its store is gone
                channels.remove(channel)
                continue
            if found is not None:
                return found
        if waited_s >= timeout_s:
            return None
        time.sleep(min(pause_s, max(0.0, timeout_s - waited_s)))
        pause_s = min(1.5 * pause_s, _LONGEST_PAUSE_S)


def before_restart(place: Rank, folder: str) -> Agreement | None:
    """Return what rank 0 said before torchrun started the processes anew, None where there is no such thing."""
    if not place.restart:
        return None
    found = [
        agreed
        for agreed in map(_read, _files(folder))
        if agreed is not None
        and agreed.number == place.number
        and agreed.restart < place.restart
        and ((agreed.parent and agreed.parent == place.parent) or _is_same_elastic_job(agreed, place))
    ]
    return max(found, key=lambda agreed: (agreed.restart, agreed.told_ns), default=None)


def _is_same_elastic_job(agreed: Agreement, place: Rank) -> bool:
    has_id = os.environ.get("TORCHELASTIC_RUN_ID", "none").lower() != "none"
    return has_id and agreed.launch == place.launch


def _files_of(place: Rank, folder: str, heartbeat_timeout_s: float = 0.0) -> list[Channel]:
    return [] if place.address is None else [_File(place, folder, heartbeat_timeout_s)]


def _stores_of(place: Rank, timeout_s: float) -> Iterator[Channel]:
    torch = sys.modules.get("torch.distributed")
    if torch is not None:
        key = f"tracker/{place.restart}/{place.number}"
        for store in (_group_store(), _agent_store(torch, place, timeout_s)):
            if store is not None:
                yield _Store(store, key)


def _group_store() -> Any:
    """Return the store of the initialised process group, None where there is none."""
    module = sys.modules.get("torch.distributed.distributed_c10d")
    try:
        return None if module is None or not module.is_initialized() else module._get_default_store()
    except (AttributeError, RuntimeError, ValueError):
        return None


def _agent_store(torch: Any, place: Rank, timeout_s: float) -> Any:
    """Return a connection to the store of torchrun's agent, None where it has none for its workers."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or place.address is None:
        return None
    host, port = place.address
    timeout = timedelta(seconds=max(0.1, min(timeout_s, _CONNECT_S)))
    try:
        return torch.TCPStore(host, port, None, False, timeout, wait_for_workers=False)
    except (AttributeError, OSError, RuntimeError, TypeError, ValueError):
        return None


class _Store:
    """A key in a store of PyTorch."""

    def __init__(self, store: Any, key: str) -> None:
        self._store, self._key = store, key

    def tell(self, word: bytes) -> None:
        self._store.set(self._key, word)

    def hear(self, is_late: bool) -> Agreement | None:
        return _decoded(self._store.get(self._key)) if self._store.check([self._key]) else None


class _File:
    """A file in the tracker folder."""

    def __init__(self, place: Rank, folder: str, heartbeat_timeout_s: float) -> None:
        self._place, self._folder, self._timeout_s = place, folder, heartbeat_timeout_s
        self._path = os.path.join(folder, LAUNCHES_FOLDER, f"{place.launch}.{place.number}.launch")
        self._began_ns: int | None = None

    def tell(self, word: bytes) -> None:
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        draft = f"{self._path}.{os.getpid()}"
        with open(draft, "wb") as file:
            file.write(word)
        os.replace(draft, self._path)
        for path in _files(self._folder):
            with contextlib.suppress(OSError):
                if time.time() - os.path.getmtime(path) > _KEPT_S:
                    os.unlink(path)

    def hear(self, is_late: bool) -> Agreement | None:
        found = _read(self._path)
        if found is None or found.launch != self._place.launch or found.restart != self._place.restart:
            return None
        session = found.session
        if session.boot_id and session.boot_id == boot_id() and session.process_start:
            is_alive = process_start(session.pid) == session.process_start
            return found if is_alive or found.told_ns >= self._own_start_ns() else None
        if found.told_ns >= self._own_start_ns():
            return found
        return found if is_late and self._is_writing(session) else None

    def _own_start_ns(self) -> int:
        if self._began_ns is None:
            self._began_ns = own_start_ns()
        return self._began_ns

    def _is_writing(self, session: Session) -> bool:
        """Say whether a process of another machine goes on writing its journal."""
        name = (session.project, session.run, session.writer, bytes.fromhex(session.session))
        path = paths.journal_path(self._folder, *name)
        try:
            is_recent = abs(time.time() - os.path.getmtime(path)) <= self._timeout_s
            state = last_state(path) if is_recent else None
        except OSError:
            return False
        return is_recent and not (state is not None and state.state in CLOSING_STATES)


def _files(folder: str) -> list[str]:
    try:
        with os.scandir(os.path.join(folder, LAUNCHES_FOLDER)) as entries:
            return [entry.path for entry in entries]
    except OSError:
        return []


def _read(path: str) -> Agreement | None:
    try:
        with open(path, "rb") as file:
            return _decoded(file.read())
    except OSError:
        return None


def _decoded(word: bytes) -> Agreement | None:
    try:
        return msgspec.msgpack.decode(word, type=Agreement)
    except msgspec.MsgspecError:
        return None
