"""What runs are read from and decided about in: a folder in this process, or a server. One conformance suite runs on
both, tests/server/test_api_conformance.py."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from tracker_core.artifacts.source import ArtifactSource
from tracker_core.control import StopOrder

from ..catalog.decisions import By, RunKey
from ..catalog.run_removal import Emptied
from ..ingest.kept_files import KeptFile
from ..runs.filter_mongo import order_of, tree_of_mongo
from ..runs.filter_syntax import parse_filter
from ..runs.filter_tree import EVERY_RUN, Filter, Path
from ..runs.run_alerts import AlertPage, AlertQuery
from ..runs.run_details import MediaKeyView, RunDetails
from ..runs.run_groups import RunGroup
from ..runs.run_search import Page, Place, Search, search_of
from ..runs.run_view import RunView
from .found_runs import Archived
from .row_parts import RowPart
from .row_reader import Row
from .run_console import ConsoleMatches, ConsoleRow, ConsoleWindow
from .run_media import MediaPage, MediaQuery
from .series import Series


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs are wanted, in which order.

    Attributes:
        filters: text in the filter language, or Mongo-style conditions.
        order: as of `Api.runs`.
        now_s: what "2 days ago" counts from, seconds since 1970.
    """

    filters: str | Mapping[str, Any] | None
    order: str | None
    now_s: float

    def tree(self) -> Filter | None:
        """Return the filter; None where the filter language has no like of the conditions.

        Raises:
            SearchError: the filter is wrong.
        """
        if isinstance(self.filters, Mapping):
            return tree_of_mongo(self.filters)
        return parse_filter(self.filters) if self.filters else EVERY_RUN

    def search(self) -> Search:
        """Return the search that this is; raises SearchError where filter or order are wrong."""
        order = order_of(self.order)
        if isinstance(self.filters, Mapping):
            return Search(self.tree() or EVERY_RUN, order, "", self.now_s)
        return dataclasses.replace(search_of(self.filters, order), now_s=self.now_s)


@dataclass(frozen=True, slots=True)
class BuriedRun:
    """A run in the trash, with what is known of it there; `size_bytes` of its files, None where it was not asked for.

    `name` and `state` are those that it had when it was deleted.
    """

    project: str
    run_id: str
    name: str
    state: str
    by: By
    size_bytes: int | None = None

    @property
    def key(self) -> RunKey:
        return self.project, self.run_id


class ConsoleSource(Protocol):
    """The output of a run; see `RunConsole`."""

    def n_lines(self) -> int: ...
    def window(self, first: int, limit: int) -> ConsoleWindow: ...
    def last(self, n: int) -> ConsoleWindow: ...
    def search(self, query: str, limit: int) -> ConsoleMatches: ...
    def lines(self, first: int = 0) -> Iterator[ConsoleRow]: ...


class RunSource(Protocol):
    """Where runs are. Thread-safe. Arguments, values and errors are those of `LocalFolder` where nothing is said."""

    @property
    def place(self) -> str:
        """The path of the folder, or the address of the server."""

    @property
    def artifacts(self) -> ArtifactSource:
        """The artifacts of the same folder or server."""

    @property
    def trash_days(self) -> float | None:
        """After how many days the trash is emptied by itself where a dashboard runs; 0 never, None unknown."""

    def refresh(self) -> None:
        """See what was logged since."""

    def close(self) -> None: ...
    def projects(self) -> list[str]: ...

    def find(self, project: str | None, archived: Archived, query: RunQuery, after: Place | None, size: int) -> Page:
        """Return the first `size` runs that match behind a place."""

    def groups(
        self,
        project: str | None,
        archived: Archived,
        query: RunQuery,
        by: Sequence[Path],
        values: Sequence[Path],
        limit: int | None,
    ) -> tuple[list[RunGroup], int]:
        """Return the first groups of runs that match, see `find_groups`, and how many groups there are."""

    def run(self, project: str, run_id: str) -> RunView: ...
    def find_runs(self, run_id: str) -> list[RunView]: ...
    def details(self, project: str, run_id: str, writer: str | None = None) -> RunDetails: ...
    def series(self, project: str, run_id: str, key: str, writer: str | None = None) -> Series: ...

    def rows(
        self,
        project: str,
        run_id: str,
        keys: Sequence[str] | None = None,
        writer: str | None = None,
        is_system: bool = False,
    ) -> Iterator[Row]: ...

    def parts(
        self, project: str, run_id: str, is_system: bool = False, from_journals: bool = False
    ) -> Iterator[RowPart]: ...

    def console(self, project: str, run_id: str, writer: str | None = None) -> ConsoleSource: ...
    def files(self, project: str, run_id: str) -> list[KeptFile]: ...
    def media_keys(self, project: str, run_id: str, writer: str | None = None) -> list[MediaKeyView]: ...

    def media(self, project: str, run_id: str, query: MediaQuery) -> MediaPage:
        """Return some values of a key; see `media_page`."""

    def alerts(self, query: AlertQuery, first: int, limit: int) -> AlertPage:
        """Return alerts, newest first; see `find_alerts`."""

    def open_file(self, project: str, run_id: str, digest: str) -> BinaryIO:
        """Open the bytes of a kept file; raises NotFoundError where they are gone."""

    def is_archived(self, project: str, run_id: str) -> bool: ...

    def delete(self, keys: Sequence[RunKey], why: str, force: bool = False) -> list[RunKey]:
        """Put runs into the trash, those of one project all or none; see `delete_runs`."""

    def undelete(self, keys: Sequence[RunKey], why: str) -> list[RunKey]:
        """Bring runs back from the trash; see `undelete_runs`."""

    def archive(self, keys: Sequence[RunKey], why: str) -> list[RunKey]:
        """Archive runs; see `archive_runs`."""

    def unarchive(self, keys: Sequence[RunKey], why: str) -> list[RunKey]:
        """Take runs out of the archive; see `unarchive_runs`."""

    def stop(self, keys: Sequence[RunKey], why: str) -> list[RunKey]:
        """Ask runs to stop; see `stop_runs`."""

    def withdraw_stop(self, keys: Sequence[RunKey], why: str) -> list[RunKey]:
        """Take that back; see `withdraw_stops`."""

    def stop_order(self, project: str, run_id: str) -> StopOrder | None:
        """Return what a running run was asked and has not done yet; see `standing_order`."""

    def trash(self, project: str | None = None, with_sizes: bool = False) -> list[BuriedRun]:
        """Return the runs in the trash, the latest deleted first."""

    def empty_trash(self, older_than_s: float = 0.0, only: Collection[RunKey] | None = None, why: str = "") -> Emptied:
        """Remove for good what is in the trash; see `run_removal.empty_trash`."""
