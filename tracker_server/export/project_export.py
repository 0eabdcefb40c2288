"""`tracker export --parquet`: a project as a partitioned Parquet data set. docs/export.md has its layout."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from tracker_core.errors import NotFoundError, TrackerError
from tracker_core.version import __version__

from ..query.folder_index import LostPieceError
from ..query.run_source import RunQuery, RunSource
from ..runs.run_view import RunView
from .export_target import ExportTarget
from .parquet_runs import ExportedRun, RunsTable, runs_schema
from .parquet_tables import TableFile, console_arrays, console_schema, point_arrays, points_schema

FORMAT_VERSION = 1
Table = Literal["runs", "metrics", "console", "system"]
TABLES: tuple[Table, ...] = ("runs", "metrics", "console", "system")
_ATTEMPTS = 3
_PAGE_RUNS = 100
_FILE = "part-0.parquet"


@dataclass(slots=True)
class Exported:
    """How much was written: runs, rows by table, and how many runs an earlier call had written already."""

    n_runs: int = 0
    n_runs_kept: int = 0
    n_rows: dict[str, int] = field(default_factory=dict)


def export_project(
    source: RunSource,
    project: str,
    runs: Iterable[RunView],
    target: ExportTarget,
    *,
    filter: str = "",
    tables: Collection[Table] = TABLES,
    overwrite: bool = False,
    told: Callable[[int], object] = lambda _: None,
) -> Exported:
    """Write runs of one project as a data set that DuckDB, Polars, Spark, Ray and pyarrow read.

    Every run is one file per table; what is in memory at once is a row group and a chunk of the index, however large
    the runs are.

    Args:
        source: where the runs are.
        project: the project's name.
        runs: those of its runs that are wanted, such as `chosen_runs`; they are looked at one after the other.
        target: where it goes.
        filter: how the runs were chosen, for the description.
        tables: which tables are wanted.
        overwrite: replace an export that is there already.
        told: called with the number of runs done so far.

    Raises:
        UsageError: something is at the target that must not be replaced.
        MissingLibraryError: pyarrow is not installed.
    """
    chosen = [table for table in TABLES if table in tables]
    target.begin(_description(project, filter, chosen), overwrite)
    done, wanted = Exported(), set[str]()
    with RunsTable() as rows:
        for view in runs:
            try:
                wanted.update(_write_run(source, view, target, chosen, done))
                rows.add(_exported(source, view))
            except NotFoundError:
                continue  # deleted meanwhile
            done.n_runs += 1
            told(done.n_runs)
        if "runs" in chosen:
            wanted.add(_write_runs(project, rows, target, done))
    target.end(wanted)
    return done


def chosen_runs(source: RunSource, project: str, filter: str | None) -> Iterator[RunView]:
    """Yield the runs of a project that match a filter, archived ones too, the oldest first, a page at a time.

    Raises:
        SearchError: the filter is wrong.
    """
    query, after = RunQuery(filter, "created", time.time()), None
    while True:
        page = source.find(project, True, query, after, _PAGE_RUNS)
        yield from page.runs
        after = page.next_place
        if after is None:
            return


def _description(project: str, filter: str, tables: Sequence[Table]) -> bytes:
    """Return what the export says of itself; a call that was broken off is gone on with where it is the same."""
    about = {"format": FORMAT_VERSION, "tracker": __version__, "project": project, "filter": filter, "tables": tables}
    return msgspec.json.encode(about)


def _write_run(
    source: RunSource, view: RunView, target: ExportTarget, tables: Sequence[Table], done: Exported
) -> list[str]:
    """Write the files of one run, unless they are there. Returns their paths."""
    part, content = f"{view.project}/{view.id}", _content(view)
    names: tuple[Table, ...] = ("metrics", "console", "system")
    paths = {table: _path(table, view.project, view.id) for table in names if table in tables}
    if target.is_done(part, content):
        done.n_runs_kept += 1
        return list(paths.values())
    for table, path in paths.items():
        n_rows = _write_table(source, view, table, target, path)
        done.n_rows[table] = done.n_rows.get(table, 0) + n_rows
        if not n_rows:
            target.remove(path)
    target.set_done(part, content)
    return list(paths.values())


def _write_table(source: RunSource, view: RunView, table: Table, target: ExportTarget, path: str) -> int:
    schema = console_schema() if table == "console" else points_schema()
    for attempt in range(_ATTEMPTS):
        try:
            with target.open(path) as file, TableFile(file, schema) as rows:
                for arrays in _arrays(source, view, table, from_journals=attempt == _ATTEMPTS - 1):
                    rows.add(arrays)
            return rows.n_rows
        except LostPieceError:
            continue  # the index was changed below us: the file is written again
    raise TrackerError(f"run {view.project}/{view.id} could not be read whole: the index changed again and again")


def _arrays(source: RunSource, view: RunView, table: Table, from_journals: bool) -> Iterator[list[Any]]:
    if table == "console":
        yield from console_arrays(view.id, source.console(view.project, view.id).lines())
        return
    for part in source.parts(view.project, view.id, table == "system", from_journals):
        yield from point_arrays(view.id, part)


def _write_runs(project: str, rows: RunsTable, target: ExportTarget, done: Exported) -> str:
    columns = rows.columns()
    schema = runs_schema(columns)
    path = f"runs/project={_escaped(project)}/{_FILE}"
    with target.open(path) as file, TableFile(file, schema) as table:
        for arrays in rows.arrays(columns, schema):
            table.add(arrays)
    done.n_rows["runs"] = table.n_rows
    return path


def _exported(source: RunSource, view: RunView) -> ExportedRun:
    environment = source.details(view.project, view.id).environment
    return ExportedRun(view, environment, source.is_archived(view.project, view.id))


def _path(table: Table, project: str, run_id: str) -> str:
    return f"{table}/project={_escaped(project)}/run_id={_escaped(run_id)}/{_FILE}"


def _escaped(name: str) -> str:
    """Return a name as part of a path, in the form in which Hive partitions are read back."""
    return quote(name, safe=" ")


def _content(view: RunView) -> str:
    """Return what is another one when the run has anything new; while it is being written, always."""
    if view.state == "running":
        return f"running {time.time_ns()}"
    known = (view.attempt, view.n_rows, view.updated_ns, view.ended_ns, view.state, sorted(view.journals))
    return hashlib.sha256(repr(known).encode()).hexdigest()[:32]
