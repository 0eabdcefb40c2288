"""A tracker folder as its readers see it: journals followed into memory, sealed into the index, and queried."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tracker_core.errors import NotFoundError, UsageError
from tracker_core.process import is_dead
from tracker_core.settings import load_settings

from .fold import SYSTEM_PREFIX, JournalFold
from .folder_index import SEAL_BATCH_BYTES, FolderIndex
from .folder_naming import project_of, tracker_folder
from .journal_scan import JournalScan
from .journal_tail import JournalTail
from .kept_files import KeptFile, latest_files
from .row_reader import Row, in_order, overlapping, rows_of_block, rows_of_chunk
from .run_console import RunConsole
from .run_details import RunDetails, view_details
from .run_states import (
    FINAL_STATES,
    PRIMARY_WRITER,
    JournalStatus,
    recording_journals,
    run_state,
    shown_journals,
    writer_journals,
)
from .run_view import RunView, view_run
from .series import Series, join_parts

SEAL_BYTES = 1 << 20
_WORTHWHILE_BYTES = 256

RunKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """What `refresh` found new in one run; `kinds` are of points, system, console,
    environment, files, state, config, summary, new, removed."""

    project: str
    run: str
    kinds: tuple[str, ...]


class _Run:
    """The journals of one run, and what was last made of them."""

    __slots__ = ("is_settled", "state", "tails", "view")

    def __init__(self) -> None:
        self.tails: dict[str, JournalTail] = {}
        self.view: RunView | None = None
        self.state = ""
        # In a final state, and no journal has had anything new since.
        self.is_settled = False


class LocalFolder:
    """Reads a tracker folder, which need not exist yet. Thread-safe: one lock around everything.

    Call `refresh` to see what was logged since. It writes nothing but the index, and that only while it has the
    folder's lock; without the lock, or on a read-only folder, everything works from memory.

    Args:
        path: the tracker folder, or the folder that holds `.tracker`.
        is_writer: False never writes the index.
        seal_bytes: how much of a journal that is being written may be held in memory before it is sealed.
        heartbeat_timeout_s: silence after which a run counts as crashed. Default: the setting of this name.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        is_writer: bool = True,
        seal_bytes: int = SEAL_BYTES,
        heartbeat_timeout_s: float | None = None,
    ) -> None:
        self.path = tracker_folder(os.fspath(path))
        self._seal_bytes = seal_bytes
        self._heartbeat_timeout_s = heartbeat_timeout_s or load_settings().heartbeat_timeout_s
        self._lock = threading.RLock()
        self._scan = JournalScan(self.path)
        self._index = FolderIndex(self.path, is_writer)
        self._tails: dict[str, JournalTail] = {}
        self._key_of: dict[str, RunKey] = {}
        self._runs: dict[RunKey, _Run] = {}
        self._is_first = True

    def refresh(self) -> list[Change]:
        """Take in what was appended to the journals since the last call, and say which runs changed."""
        with self._lock:
            kinds: dict[RunKey, set[str]] = {}
            self._find_journals(kinds)
            due: list[JournalTail] = []
            for tail in list(self._tails.values()):
                self._follow(tail, kinds, due)
            self._index.write(due)
            self._watch_states(kinds)
            self._is_first = False
            return [Change(project, run, tuple(sorted(found))) for (project, run), found in kinds.items()]

    def close(self) -> None:
        """Seal what is final and let go of the index."""
        with self._lock:
            self._index.write([tail for tail in self._tails.values() if tail.n_sealable_bytes])
            self._index.close()

    def projects(self) -> list[str]:
        """Return the names of the projects, newest activity first."""
        with self._lock:
            newest: dict[str, int] = {}
            for key in self._runs:
                newest[key[0]] = max(newest.get(key[0], 0), self._view(key).updated_ns)
            return sorted(newest, key=lambda name: (-newest[name], name))

    def runs(self, project: str | None = None) -> list[RunView]:
        """Return the runs of a project, or all, newest first."""
        with self._lock:
            views = [self._view(key) for key in self._runs if project is None or key[0] == project]
        return sorted(views, key=lambda view: (-view.created_ns, view.id))

    def run(self, project: str, run_id: str) -> RunView:
        """Return one run; raises NotFoundError where there is none."""
        with self._lock:
            self._known(project, run_id)
            return self._view((project, run_id))

    def has_run(self, project: str, run_id: str) -> bool:
        """Say whether there is such a run."""
        with self._lock:
            return (project, run_id) in self._runs

    def run_folder(self, view: RunView) -> str:
        """Return the path of the folder that holds a run's journals."""
        return os.path.join(self.path, "runs", *view.journals[0].split("/")[:2])

    def details(self, project: str, run_id: str, writer: str | None = None) -> RunDetails:
        """Return what only a run's own page needs, with the system metrics of `writer`, or of the one that is shown.

        Raises NotFoundError where there is no such run.
        """
        with self._lock:
            return view_details(self._statuses(self._known(project, run_id)), _one_writer(writer))

    def console(self, project: str, run_id: str, writer: str | None = None) -> RunConsole:
        """Return the output of a run: that which `tracker run` recorded, else the primary writer's.

        Raises:
            NotFoundError: there is no such run, or no such writer.
        """
        with self._lock:
            run = self._known(project, run_id)
            tails = self._tails_of_recorder(run, writer, lambda fold: fold.has_console)
        if not tails:
            writers = ", ".join(sorted({tail.found.writer for tail in run.tails.values()}))
            raise NotFoundError(f"run {project}/{run_id} has no writer {writer!r}; it has {writers}")
        return RunConsole(self._lock, self._index, tails)

    def files(self, project: str, run_id: str) -> list[KeptFile]:
        """Return the files kept with a run by all its writers, by path; of each the one saved last."""
        with self._lock:
            tails = self._tails_of(self._known(project, run_id), "*")
            return latest_files([file for tail in tails for file in self._index.files(tail)])

    def series(self, project: str, run_id: str, key: str, writer: str | None = None) -> Series:
        """Return every point of a metric, in the order logged.

        Raises:
            NotFoundError: there is no such run, or it never logged this metric.
            UsageError: a system metric of all writers at once is asked for.
        """
        found = self.series_of(project, [run_id], key, writer)[run_id]
        if not len(found):
            where = f"{self.path}: run {project}/{run_id}"
            by = "" if writer is None else f" of writer {writer!r}"
            raise NotFoundError(f"{where} has no metric {key!r}{by}; see the run's metrics")
        return found

    def series_of(
        self, project: str, run_ids: Sequence[str], key: str, writer: str | None = None, with_order: bool = True
    ) -> dict[str, Series]:
        """Return a metric of several runs, read in one transaction; a run that did not log it has an empty series.

        Args:
            project: the runs' project.
            run_ids: the runs.
            key: the metric; one that begins with "system/" may be a system metric.
            writer: whose points, "*" for all. Default: the primary writer's; of system metrics those that
                `tracker run` recorded, if it did.
            with_order: False leaves `Series.order` empty.

        Raises:
            NotFoundError: there is no such run.
            UsageError: a system metric of all writers at once is asked for.
        """
        with self._lock:
            chosen = {run_id: self._tails_with(self._known(project, run_id), key, writer) for run_id in run_ids}
            parts = {}
            for is_system in (False, True):
                wanted = [
                    tail for tails, is_of_system in chosen.values() if is_of_system == is_system for tail in tails
                ]
                parts[is_system] = self._index.parts(wanted, key, is_system)
        return {
            run_id: join_parts([parts[is_system][tail.found.name] for tail in tails], with_order)
            for run_id, (tails, is_system) in chosen.items()
        }

    def rows(
        self,
        project: str,
        run_id: str,
        keys: Sequence[str] | None = None,
        writer: str | None = None,
        is_system: bool = False,
    ) -> Iterator[Row]:
        """Yield every row in the order logged, with those of its metrics that are in `keys` (None: all).

        A row that has none of them is left out. With `is_system`, samples of the machine instead of logged rows.
        Raises NotFoundError where there is no such run, UsageError for the samples of all writers at once.
        """
        with self._lock:
            run = self._known(project, run_id)
            tails = self._sampling_tails(run, writer) if is_system else self._tails_of(run, writer or PRIMARY_WRITER)
        wanted = None if keys is None else frozenset(keys)
        for tail in tails:
            yield from self._rows_of_journal(tail, wanted, is_system)

    # -- following the journals

    def _find_journals(self, kinds: dict[RunKey, set[str]]) -> None:
        found = self._scan.scan()
        for name in self._tails.keys() - found.keys():
            self._forget(name, kinds)
        new = [journal for name, journal in found.items() if name not in self._tails]
        if not new and not self._is_first:
            return
        begun = self._index.begin_all(new) if self._is_first else [self._index.begin(journal) for journal in new]
        self._tails.update((tail.found.name, tail) for tail in begun)

    def _forget(self, name: str, kinds: dict[RunKey, set[str]]) -> None:
        del self._tails[name]
        self._index.remove(name)
        key = self._key_of.pop(name, None)
        run = self._runs.get(key) if key else None
        if key is None or run is None:
            return
        run.tails.pop(name, None)
        run.view = None
        run.is_settled = False
        kinds.setdefault(key, set()).add("state" if run.tails else "removed")
        if not run.tails:
            del self._runs[key]

    def _follow(self, tail: JournalTail, kinds: dict[RunKey, set[str]], due: list[JournalTail]) -> None:
        name = tail.found.name
        is_known = name in self._key_of
        is_settled = is_known and tail.is_closed and not (tail.failure or tail.n_tail_bytes or tail.untold_kinds)
        # A closed journal is looked at rarely, not never: something may still be written behind its closing record.
        if is_settled and not self._scan.was_full and time.time() - tail.modified_s > self._heartbeat_timeout_s:
            return
        found, tail.untold_kinds = tail.untold_kinds, set()
        failure = tail.failure
        if tail.look():
            n_bytes = 1
            while n_bytes:
                n_bytes, more = tail.read()
                found |= more
                if tail.n_sealable_bytes >= SEAL_BATCH_BYTES:
                    self._index.write([tail])
        if tail.failure != failure:
            found.add("state")
        if found or not is_known:
            self._place(tail, found, kinds)
        is_idle = tail.is_closed or time.time() - tail.modified_s > self._heartbeat_timeout_s
        # Rows of very many metrics wait until there are some, lest every chunk hold one value.
        enough = max(self._seal_bytes, min(_WORTHWHILE_BYTES * tail.rows.n_columns, SEAL_BATCH_BYTES))
        if tail.n_sealable_bytes >= (1 if is_idle else enough):
            due.append(tail)

    def _place(self, tail: JournalTail, found: set[str], kinds: dict[RunKey, set[str]]) -> None:
        """Put a journal under its run, which is known for certain once its first record has been read."""
        name = tail.found.name
        key = (project_of(tail), tail.found.run_id)
        before = self._key_of.get(name)
        if before is not None and before != key:
            run = self._runs[before]
            del run.tails[name]
            if not run.tails:
                del self._runs[before]
        self._key_of[name] = key
        run = self._runs.get(key) or self._runs.setdefault(key, _Run())
        if not run.tails:
            found = found | {"new"}
        run.tails[name] = tail
        run.view = None
        run.is_settled = False
        kinds.setdefault(key, set()).update(found)

    def _watch_states(self, kinds: dict[RunKey, set[str]]) -> None:
        """Notice runs that fell silent or came back, which no record says."""
        now = time.time()
        for key, run in self._runs.items():
            if run.is_settled:
                continue
            journals = [self._status(tail, now) for tail in run.tails.values()]
            state = run_state(shown_journals(journals))
            run.is_settled = state in FINAL_STATES
            if state != run.state:
                if run.state:
                    kinds.setdefault(key, set()).add("state")
                run.state = state
                run.view = None

    # -- views and parts

    def _known(self, project: str, run_id: str) -> _Run:
        run = self._runs.get((project, run_id))
        if run is None:
            raise NotFoundError(f"{self.path} has no run {project}/{run_id}; `tracker runs` lists what is there")
        return run

    def _view(self, key: RunKey) -> RunView:
        run = self._runs[key]
        if run.view is None:
            run.view = view_run(*key, self._statuses(run))
            run.state = run.view.state
        return run.view

    def _statuses(self, run: _Run) -> list[JournalStatus]:
        now = time.time()
        return [self._status(tail, now) for tail in run.tails.values()]

    def _tails_of(self, run: _Run, writer: str) -> list[JournalTail]:
        shown = shown_journals(self._statuses(run))
        return [run.tails[journal.name] for journal in writer_journals(shown, writer)]

    def _tails_of_recorder(
        self, run: _Run, writer: str | None, has_records: Callable[[JournalFold], bool]
    ) -> list[JournalTail]:
        shown = shown_journals(self._statuses(run))
        return [run.tails[journal.name] for journal in recording_journals(shown, writer, has_records)]

    def _sampling_tails(self, run: _Run, writer: str | None) -> list[JournalTail]:
        return self._tails_of_recorder(run, _one_writer(writer), lambda fold: fold.has_system)

    def _tails_with(self, run: _Run, key: str, writer: str | None) -> tuple[list[JournalTail], bool]:
        """Return the journals that may have points of a metric, and whether it is a system metric."""
        logged = [tail for tail in self._tails_of(run, writer or PRIMARY_WRITER) if _has_key(tail, key)]
        is_system = not logged and key.startswith(SYSTEM_PREFIX)
        return (self._sampling_tails(run, writer) if is_system else logged), is_system

    def _status(self, tail: JournalTail, now_s: float) -> JournalStatus:
        found, session = tail.found, tail.fold.session

        def is_alive() -> bool:
            is_recent = now_s - tail.modified_s <= self._heartbeat_timeout_s
            return is_recent and not (session is not None and is_dead(session))

        notes, modified_ns = tail.damage_notes(), int(tail.modified_s * 1e9)
        return JournalStatus(found.name, found.writer, found.session, tail.fold, notes, is_alive, modified_ns)

    def _rows_of_journal(self, tail: JournalTail, keys: frozenset[str] | None, is_system: bool) -> Iterator[Row]:
        """Yield the rows of one journal, reading one overlapping run of sealed chunks at a time."""
        with self._lock:
            sealed = self._index.keys_in_order(tail, is_system)
            blocks = [block for block in tail.rows.blocks() if block.is_system == is_system]
        reached = 0
        for chunk_ids, stop in overlapping(sealed.chunks):
            with self._lock:
                chunks = [self._index.rows(chunk_id, sealed.build) for chunk_id in chunk_ids]
                if None in chunks:
                    # The index was lost or built anew meanwhile. The journal still has everything.
                    blocks = self._index.all_rows(tail, is_system)
                    break
            yield from in_order(rows_of_chunk(chunk, keys) for chunk in chunks if chunk is not None)
            reached = stop
        else:
            reached = sealed.next_sequence
        yield from in_order(rows_of_block(block.between(reached, 1 << 62), keys) for block in blocks)


def _one_writer(writer: str | None) -> str | None:
    if writer == "*":
        expected = "the name of one writer, or none"
        raise UsageError("writer", "'*' for system metrics", expected, "ask for each machine on its own")
    return writer


def _has_key(tail: JournalTail, key: str) -> bool:
    return key in tail.fold.metrics or key in tail.fold.objects
