"""A tracker folder as its readers see it: journals followed into memory, sealed into the index, and queried."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TypeVar

from tracker_core.errors import NotFoundError, UsageError
from tracker_core.settings import load_settings

from ..catalog.catalog import Catalog
from ..ingest.fold import SYSTEM_PREFIX
from ..ingest.folder_naming import tracker_folder
from ..ingest.journal_scan import JournalScan
from ..ingest.journal_source import JournalSource
from ..ingest.journal_tail import JournalTail
from ..ingest.kept_files import KeptFile, latest_files
from ..ingest.visible_journals import VisibleJournals
from ..runs.run_alerts import AlertQuery, FoundAlert
from ..runs.run_details import RunDetails, view_details
from ..runs.run_states import JournalStatus
from ..runs.run_view import RunView
from ..store.store_connection import IndexDatabase
from ..store.store_sqlite import SqliteIndex
from .folder_index import FolderIndex
from .followed_run import Change, FolderLoad, FollowedRun, LiveEnvironments
from .followed_runs import FollowedRuns, Kinds
from .found_runs import Archived, FoundRuns
from .journal_rows import rows_of_journal
from .last_step import last_step
from .metric_source import LineJournals, MetricSource, line_journals
from .row_parts import RowPart, row_parts
from .row_reader import Row
from .run_console import RunConsole
from .series import Series, join_parts

__all__ = ["Change", "LocalFolder"]

SEAL_BYTES = 1 << 20

T = TypeVar("T")


class LocalFolder:
    """Reads a tracker folder, which need not exist yet. Thread-safe: one lock around everything.

    Call `refresh` to see what was logged since. It writes nothing but the index, and that only while it has the
    folder's lock; without the lock, or on a read-only folder, everything works from memory.

    Args:
        path: the tracker folder, or the folder that holds `.tracker`.
        is_writer: False never writes the index.
        seal_bytes: how much of a journal that is being written may be held in memory before it is sealed.
        heartbeat_timeout_s: silence after which a run counts as crashed. Default: the setting of this name.
        settle_after_s: silence after which a run that ended is held by the index alone. Default: the same.
        source: where the journals are. Default: the files of the folder.
        database: where the index is. Default: in the folder.
        catalog: what was decided about runs. Default: the folder's.

    Raises:
        CatalogVersionError: the catalog is of a newer version.

    Attributes:
        path: the tracker folder.
        catalog: what was decided about runs.
        database: where the index is.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        is_writer: bool = True,
        seal_bytes: int = SEAL_BYTES,
        heartbeat_timeout_s: float | None = None,
        settle_after_s: float | None = None,
        source: JournalSource | None = None,
        database: IndexDatabase | None = None,
        catalog: Catalog | None = None,
    ) -> None:
        self.path = tracker_folder(os.fspath(path))
        self.catalog = catalog or Catalog(self.path)
        self._lock = threading.RLock()
        self._scan = source or JournalScan(self.path)
        journals = self._journals = VisibleJournals(self._scan, self.catalog)
        self.database: IndexDatabase = database or SqliteIndex(self.path)
        self._index = FolderIndex(self.path, is_writer, journals, self.database)
        timeout_s = heartbeat_timeout_s or load_settings().heartbeat_timeout_s
        settle_after_s = timeout_s if settle_after_s is None else settle_after_s
        self._runs = FollowedRuns(journals, self._index, seal_bytes, timeout_s, settle_after_s)
        self._untold: Kinds = {}
        self._grown: SimpleQueue[tuple[str, ...]] = SimpleQueue()
        self.catalog.refresh()
        self._archived = self.catalog.decisions.archived.keys()
        self._stops = self.catalog.decisions.stops

    def refresh(self) -> list[Change]:
        """Take in what was appended to the journals since the last call, and say which runs changed."""
        with self._lock:
            self._look()
            kinds, self._untold = self._untold, {}
        return [Change(project, run, tuple(sorted(found))) for (project, run), found in kinds.items()]

    def note_grown(self, names: Collection[str]) -> None:
        """Have the next `refresh` look at these journals, which another thread has just appended to."""
        self._grown.put(tuple(names))

    def load(self) -> FolderLoad:
        """Return how much is followed now."""
        with self._lock:
            return self._runs.load()

    def hidden_journals(self) -> frozenset[str]:
        """Return the journals of deleted runs that the last look found."""
        with self._lock:
            return frozenset(self._journals.hidden)

    def close(self) -> None:
        """Seal what is final and let go of the index."""
        with self._lock:
            self._runs.seal_all()
            self._index.close()

    def projects(self) -> list[str]:
        """Return the names of the projects, newest activity first."""
        with self._lock:
            newest = {name: updated_ns for name, _, updated_ns in self._index.settled_projects()}
            for (project, _), run in self._runs.live.items():
                newest[project] = max(newest.get(project, 0), run.seen().updated_ns)
        return sorted(newest, key=lambda name: (-newest[name], name))

    def live_alerts(self, query: AlertQuery) -> list[FoundAlert]:
        """Return the alerts of the runs that the index does not hold, in no order."""
        with self._lock:
            of_runs = [(view, self._runs.live[view.project, view.id]) for view in self.live_runs(query.project)]
            said = [(view, run) for view, run in of_runs if view.n_alerts]
            alerts = [(view, alert) for view, run in said for alert in view_details(run.statuses()).alerts]
        return [FoundAlert(view.project, view.id, alert) for view, alert in alerts]

    def runs(self, project: str | None = None) -> list[RunView]:
        """Return the runs of a project, or all, newest first."""
        with self._lock:
            settled = self._index.settled_views(project)
            views = [view for view in settled if self._runs.is_settled((view.project, view.id))]
            views += self.live_runs(project)
        return sorted(views, key=lambda view: (-view.created_ns, view.id))

    @contextmanager
    def found(self, project: str | None = None, archived: Archived = True) -> Iterator[FoundRuns]:
        """Give the runs of a project, or all, to a search, which holds the folder while it lasts.

        Raises:
            IndexUnreadableError: the index failed; the next search opens it anew.
        """
        with self._lock, self._index.transaction() as connection:
            known = self.catalog.decisions.archived.keys()
            live = {key: run for key, run in self._runs.live.items() if project is None or key[0] == project}
            if archived is not True:
                live = {key: run for key, run in live.items() if (key in known) == (archived == "only")}
            without = self._runs.not_in_index()
            if archived is False:
                without |= known
            yield FoundRuns(
                project,
                [run.seen() for run in live.values()],
                LiveEnvironments(live),
                connection,
                without,
                known if archived == "only" else None,
            )

    def live_runs(self, project: str | None = None) -> list[RunView]:
        """Return the runs that the index does not hold, in no order."""
        with self._lock:
            return [run.seen() for key, run in self._runs.live.items() if project is None or key[0] == project]

    def run(self, project: str, run_id: str) -> RunView:
        """Return one run; raises NotFoundError where there is none."""
        with self._lock:
            return self._known(project, run_id).seen()

    def has_run(self, project: str, run_id: str) -> bool:
        """Say whether there is such a run."""
        with self._lock:
            return (project, run_id) in self._runs

    def known_runs(self, project: str, run_ids: Iterable[str]) -> list[str]:
        """Return those of these runs that there are; for many, which `has_run` would wait for the folder one by one."""
        with self._lock:
            return [run_id for run_id in run_ids if (project, run_id) in self._runs]

    def find_runs(self, run_id: str) -> list[RunView]:
        """Return the runs of this id, one per project that has it."""
        with self._lock:
            return [self.run(*key) for key in self._runs if key[1] == run_id]

    def run_folder(self, view: RunView) -> str:
        """Return the path of the folder that holds a run's journals."""
        return os.path.join(self.path, "runs", *view.journals[0].split("/")[:2])

    def details(self, project: str, run_id: str, writer: str | None = None) -> RunDetails:
        """Return what only a run's own page needs, with the system metrics of `writer`, or of the one that is shown.

        Raises NotFoundError where there is no such run.
        """
        with self._lock:
            return view_details(self._known(project, run_id).statuses(), _one_writer(writer))

    def console(self, project: str, run_id: str, writer: str | None = None) -> RunConsole:
        """Return the output of a run: that which `tracker run` recorded, else the primary writer's.

        Raises:
            NotFoundError: there is no such run, or no such writer.
        """
        with self._lock:
            run = self._known(project, run_id)
            tails = run.recording_tails(writer, lambda fold: fold.has_console)
        if not tails:
            writers = ", ".join(sorted({tail.found.writer for tail in run.tails.values()}))
            raise NotFoundError(f"run {project}/{run_id} has no writer {writer!r}; it has {writers}")
        return RunConsole(self._lock, self._index, tails)

    def files(
        self, project: str, run_id: str, media: Collection[str] | None = None, with_media: bool = True
    ) -> list[KeptFile]:
        """Return the files kept with a run by all its writers, by path; of each the one saved last.

        Args:
            project, run_id: the run.
            media: only the media of these paths. Default: all files.
            with_media: False leaves out what values of rows name, of which there may be very many.
        """
        with self._lock:
            tails = self._known(project, run_id).tails_of("*")
            return latest_files([file for tail in tails for file in self._index.files(tail, media, with_media)])

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
            chosen = {run_id: _tails_with(self._known(project, run_id), key, writer) for run_id in run_ids}
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

    def lines_of(self, project: str, run_ids: Sequence[str], key: str, writer: str | None) -> list[LineJournals] | None:
        """Return where a metric of several runs is. Arguments and errors are those of `series_of`.

        None where some of the runs have it as a system metric and others as one that they logged.
        """
        with self._lock:
            chosen = {run_id: _tails_with(self._known(project, run_id), key, writer) for run_id in run_ids}
            if len({is_system for tails, is_system in chosen.values() if tails}) > 1:
                return None
            return [line_journals(run_id, tails, key, is_system) for run_id, (tails, is_system) in chosen.items()]

    def ask_metric(
        self,
        project: str,
        run_ids: Sequence[str],
        key: str,
        writer: str | None,
        question: Callable[[MetricSource], T],
    ) -> T:
        """Return what `question` finds out about a metric of runs for which `lines_of` returns lines.

        It has one read transaction, and may be asked again.
        """
        with self._lock:
            chosen = [_tails_with(self._known(project, run_id), key, writer) for run_id in run_ids]
            is_system = any(is_system for tails, is_system in chosen if tails)
            return self._index.ask([tail for tails, _ in chosen for tail in tails], key, is_system, question)

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
            tails = _sampling_tails(run, writer) if is_system else run.tails_of(writer)
        wanted = None if keys is None else frozenset(keys)
        for tail in tails:
            yield from rows_of_journal(self._lock, self._index, tail, wanted, is_system)

    def parts(
        self, project: str, run_id: str, is_system: bool = False, from_journals: bool = False
    ) -> Iterator[RowPart]:
        """Yield all rows of all writers as columns, or all samples of all machines, in parts; see `row_parts`.

        Raises NotFoundError where there is no such run.
        """
        with self._lock:
            tails = self._known(project, run_id).tails_of("*")
        return row_parts(self._lock, self._index, tails, is_system, from_journals)

    def progress(self, project: str, run_id: str) -> tuple[list[JournalStatus], int]:
        """Return what each journal of a run adds up to, and the primary writer's highest step, -1 for none."""
        with self._lock:
            run = self._known(project, run_id)
            return run.statuses(), last_step(self._index, run.tails_of(None))

    def _look(self) -> None:
        while not self._grown.empty():
            self._runs.note_grown(self._grown.get())
        for key, found in self._runs.refresh().items():
            self._untold.setdefault(key, set()).update(found)
        archived = self.catalog.decisions.archived.keys()
        for key in archived ^ self._archived:
            self._untold.setdefault(key, set()).add("archived")
        self._archived = archived
        stops, earlier = self.catalog.decisions.stops, self._stops
        for key in {key for key, _ in stops.items() ^ earlier.items()} if stops is not earlier else ():
            self._untold.setdefault(key, set()).add("stop")
        self._stops = stops

    def _known(self, project: str, run_id: str) -> FollowedRun:
        run = self._runs.known((project, run_id))
        if run is None:
            # One that began since the last look is not told to be missing.
            self._look()
            run = self._runs.known((project, run_id))
        if run is None:
            raise NotFoundError(f"{self.path} has no run {project}/{run_id}; `tracker runs` lists what is there")
        return run


def _one_writer(writer: str | None) -> str | None:
    if writer == "*":
        expected = "the name of one writer, or none"
        raise UsageError("writer", "'*' for system metrics", expected, "ask for each machine on its own")
    return writer


def _tails_with(run: FollowedRun, key: str, writer: str | None) -> tuple[list[JournalTail], bool]:
    """Return the journals that may have points of a metric, and whether it is a system metric."""
    logged = [tail for tail in run.tails_of(writer) if key in tail.fold.metrics or key in tail.fold.objects]
    is_system = not logged and key.startswith(SYSTEM_PREFIX)
    return (_sampling_tails(run, writer) if is_system else logged), is_system


def _sampling_tails(run: FollowedRun, writer: str | None) -> list[JournalTail]:
    return run.recording_tails(_one_writer(writer), lambda fold: fold.has_system)
