"""The runs of a folder as a `RunSource`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import BinaryIO

from tracker_core.artifacts.source import ArtifactSource
from tracker_core.control import StopOrder
from tracker_core.settings import load_settings

from ..catalog.decisions import RunKey, Tombstone, by_me
from ..catalog.run_files import size_on_disk
from ..catalog.run_removal import Emptied, archive_runs, delete_runs, empty_trash, unarchive_runs, undelete_runs
from ..catalog.stop_orders import standing_order, stop_runs, withdraw_stops
from ..ingest.kept_files import KeptFile, open_kept
from ..runs.filter_tree import EVERY_RUN, Path
from ..runs.run_alerts import AlertPage, AlertQuery
from ..runs.run_details import MediaKeyView, RunDetails
from ..runs.run_groups import RunGroup
from ..runs.run_search import Page, Place
from ..runs.run_view import RunView
from .alerts import find_alerts
from .folder import LocalFolder
from .found_runs import Archived
from .row_parts import RowPart
from .row_reader import Row
from .run_console import RunConsole
from .run_media import MediaPage, MediaQuery, media_page, run_media_keys
from .run_queries import find_groups, find_part
from .run_source import BuriedRun, RunQuery
from .series import Series


class LocalRuns:
    """Reads and changes a folder in this process; `RunSource` says what each method does.

    Args:
        folder: the tracker folder.
    """

    def __init__(self, folder: LocalFolder) -> None:
        self.folder = folder
        self._artifacts: ArtifactSource | None = None

    @property
    def place(self) -> str:
        return self.folder.path

    @property
    def artifacts(self) -> ArtifactSource:
        if self._artifacts is None:
            from ..artifacts.local_artifacts import LocalArtifacts

            self._artifacts = LocalArtifacts.of(self.folder, blobs_url=load_settings().blobs_url)
        return self._artifacts

    @property
    def trash_days(self) -> float | None:
        return load_settings().trash_days

    def refresh(self) -> None:
        self.folder.refresh()

    def close(self) -> None:
        if self._artifacts is not None:
            self._artifacts.close()
        self.folder.close()

    def projects(self) -> list[str]:
        return self.folder.projects()

    def find(self, project: str | None, archived: Archived, query: RunQuery, after: Place | None, size: int) -> Page:
        return find_part(self.folder, project, archived, query.search(), after, size)

    def groups(
        self,
        project: str | None,
        archived: Archived,
        query: RunQuery,
        by: Sequence[Path],
        values: Sequence[Path],
        limit: int | None,
    ) -> tuple[list[RunGroup], int]:
        tree = query.tree() or EVERY_RUN
        found = find_groups(self.folder, project, archived, tree, by, values, query.now_s)
        return found.sorted(0, limit), len(found)

    def run(self, project: str, run_id: str) -> RunView:
        return self.folder.run(project, run_id)

    def find_runs(self, run_id: str) -> list[RunView]:
        return self.folder.find_runs(run_id)

    def details(self, project: str, run_id: str, writer: str | None = None) -> RunDetails:
        return self.folder.details(project, run_id, writer)

    def series(self, project: str, run_id: str, key: str, writer: str | None = None) -> Series:
        return self.folder.series(project, run_id, key, writer)

    def rows(
        self,
        project: str,
        run_id: str,
        keys: Sequence[str] | None = None,
        writer: str | None = None,
        is_system: bool = False,
    ) -> Iterator[Row]:
        return self.folder.rows(project, run_id, keys, writer, is_system)

    def parts(
        self, project: str, run_id: str, is_system: bool = False, from_journals: bool = False
    ) -> Iterator[RowPart]:
        return self.folder.parts(project, run_id, is_system, from_journals)

    def console(self, project: str, run_id: str, writer: str | None = None) -> RunConsole:
        return self.folder.console(project, run_id, writer)

    def files(self, project: str, run_id: str) -> list[KeptFile]:
        return self.folder.files(project, run_id)

    def media_keys(self, project: str, run_id: str, writer: str | None = None) -> list[MediaKeyView]:
        return run_media_keys(self.folder, project, run_id, writer)

    def media(self, project: str, run_id: str, query: MediaQuery) -> MediaPage:
        return media_page(self.folder, project, run_id, query)

    def alerts(self, query: AlertQuery, first: int, limit: int) -> AlertPage:
        return find_alerts(self.folder, query, first, limit)

    def open_file(self, project: str, run_id: str, digest: str) -> BinaryIO:
        return open_kept(self.folder.run_folder(self.folder.run(project, run_id)), digest)

    def is_archived(self, project: str, run_id: str) -> bool:
        self.folder.catalog.refresh()
        return (project, run_id) in self.folder.catalog.decisions.archived

    def delete(self, keys: Sequence[RunKey], why: str, force: bool = False) -> list[RunKey]:
        self.folder.refresh()
        done = delete_runs(self.folder, keys, by_me(why), force)
        self.folder.refresh()
        return done

    def undelete(self, keys: Sequence[RunKey], why: str) -> list[RunKey]:
        done = undelete_runs(self.folder, keys, by_me(why))
        self.folder.refresh()
        return done

    def archive(self, keys: Sequence[RunKey], why: str) -> list[RunKey]:
        return archive_runs(self.folder, keys, by_me(why))

    def unarchive(self, keys: Sequence[RunKey], why: str) -> list[RunKey]:
        return unarchive_runs(self.folder, keys, by_me(why))

    def stop(self, keys: Sequence[RunKey], why: str) -> list[RunKey]:
        self.folder.refresh()
        return stop_runs(self.folder, keys, by_me(why))

    def withdraw_stop(self, keys: Sequence[RunKey], why: str) -> list[RunKey]:
        self.folder.refresh()
        return withdraw_stops(self.folder, keys, by_me(why))

    def stop_order(self, project: str, run_id: str) -> StopOrder | None:
        self.folder.refresh()
        return standing_order(self.folder, self.folder.run(project, run_id))

    def trash(self, project: str | None = None, with_sizes: bool = False) -> list[BuriedRun]:
        self.folder.catalog.refresh()
        found = self.folder.catalog.decisions.in_trash()
        return [buried_run(self.folder, run, with_sizes) for run in found if project in (None, run.project)]

    def empty_trash(self, older_than_s: float = 0.0, only: Collection[RunKey] | None = None, why: str = "") -> Emptied:
        return empty_trash(self.folder, by_me(why), older_than_s, only)


def buried_run(folder: LocalFolder, run: Tombstone, with_size: bool) -> BuriedRun:
    """Return what is told of a deleted run."""
    size_bytes = size_on_disk(folder.path, run) if with_size else None
    return BuriedRun(run.project, run.run_id, run.name, run.state, run.by, size_bytes)
