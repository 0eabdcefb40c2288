"""What is asked of all runs of a folder at once, those in memory and those in the store together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..runs.filter_match import is_value, reader_of
from ..runs.filter_syntax import SearchError
from ..runs.filter_tree import ROOTS, Filter, Key, Path, format_path
from ..runs.metric_search import MetricRow, find_metrics, metric_rows
from ..runs.run_groups import RunGroups
from ..runs.run_rows import RunRow, StoredKey, kind_name, values_of
from ..runs.run_search import NEWEST_FIRST, Page, Place, Search, matching_runs, page_of, search_page
from ..runs.run_view import RunView
from ..store.store_columns import project_metric_keys, project_metrics, run_columns
from ..store.store_connection import IndexUnreadableError
from ..store.store_groups import run_groups
from ..store.store_runs import run_pks_of
from ..store.store_search import project_totals
from .folder import LocalFolder
from .found_runs import Archived, FoundRuns

T = TypeVar("T")
_ATTEMPTS = 3

# Path, kinds of values, number of runs.
Column = tuple[str, list[str], int]


def ask(folder: LocalFolder, project: str | None, archived: Archived, question: Callable[[FoundRuns], T]) -> T:
    """Return the answer to a question about the runs of a project, or of all."""
    for _ in range(_ATTEMPTS - 1):
        try:
            with folder.found(project, archived) as found:
                return question(found)
        except IndexUnreadableError:
            continue
    with folder.found(project, archived) as found:
        return question(found)


def find_page(
    folder: LocalFolder,
    project: str | None,
    archived: Archived,
    filter: str | None,
    sort: str | None,
    limit: int | None,
    cursor: str | None,
) -> Page:
    """Return one page of the runs that match, see `run_search.search_page`."""

    def question(found: FoundRuns) -> Page:
        return search_page(found.live, filter, sort, limit, cursor, found.environment_of, found.settled())

    return ask(folder, project, archived, question)


def find_part(
    folder: LocalFolder, project: str | None, archived: Archived, search: Search, after: Place | None, size: int
) -> Page:
    """Return the first `size` runs that match behind a place, see `run_search.page_of`."""

    def question(found: FoundRuns) -> Page:
        return page_of(search, found.live, after, size, found.environment_of, found.settled())

    return ask(folder, project, archived, question)


def find_groups(
    folder: LocalFolder,
    project: str | None,
    archived: Archived,
    tree: Filter,
    by: Sequence[Path],
    values: Sequence[Path],
    now_s: float,
) -> RunGroups:
    """Return the runs that match in groups of equal values at the paths `by`, with statistics of `values`."""

    def question(found: FoundRuns) -> RunGroups:
        groups = RunGroups(len(values))
        if found.connection is not None:
            of_project = (project, tree, by, values, found.without, found.only, now_s)
            groups = run_groups(found.connection, *of_project)
        readers = [reader_of(path, found.environment_of) for path in (*by, *values)]
        for view in matching_runs(found.live, tree, NEWEST_FIRST, found.environment_of, now_s):
            read = [reader(view) for reader in readers]
            plain = [value if is_value(value) else None for value in read]
            groups.add(plain[: len(by)], plain[len(by) :], view.state == "running")
        return groups

    return ask(folder, project, archived, question)


def find_columns(folder: LocalFolder, project: str, search: str | None, limit: int) -> tuple[list[Column], int]:
    """Return the keys that most runs of a project have, with every word of `search` in them, and how many there are.

    Archived runs count too.
    """

    def question(found: FoundRuns) -> dict[StoredKey, Counter[str]]:
        columns = {} if found.connection is None else run_columns(found.connection, project)
        for view in _not_stored(found):
            for key, value in values_of(RunRow(view, found.environment_of(view), [])):
                kind = kind_name(value.kind)
                if key.root in ROOTS and kind is not None:
                    columns.setdefault(key, Counter())[kind] += 1
        return columns

    words = (search or "").casefold().split()
    rows = [
        (format_path(Key(key.root, key.key)), [kind for kind, _ in kinds.most_common()], kinds.total())
        for key, kinds in ask(folder, project, True, question).items()
    ]
    matching = [row for row in rows if not words or all(word in row[0].casefold() for word in words)]
    return sorted(matching, key=lambda row: (-row[2], row[0]))[:limit], len(matching)


def search_metrics(
    folder: LocalFolder, project: str, search: str | None = None, limit: int | None = None
) -> tuple[list[MetricRow], int]:
    """Return the metrics of a project's runs, archived ones too, see `metric_search.find_metrics`."""

    def question(found: FoundRuns) -> tuple[list[MetricRow], int]:
        live = sorted(_not_stored(found), key=lambda view: (-view.created_ns, view.id))
        connection = found.connection
        if connection is None:
            return find_metrics(metric_rows(live), [], lambda _: [], search, limit)
        keys = project_metric_keys(connection, project)
        return find_metrics(
            metric_rows(live), keys, lambda wanted: project_metrics(connection, project, wanted), search, limit
        )

    return ask(folder, project, True, question)


def _not_stored(found: FoundRuns) -> list[RunView]:
    """Return the runs in memory that the counts of the store do not hold."""
    if found.connection is None:
        return found.live
    stored = run_pks_of(found.connection, [(view.project, view.id) for view in found.live])
    return [view for view in found.live if (view.project, view.id) not in stored]


def project_states(folder: LocalFolder) -> dict[str, tuple[Counter[str], int]]:
    """Return of every project how many runs are in which state, archived ones too, and the last sign of life, in ns."""

    def question(found: FoundRuns) -> dict[str, tuple[Counter[str], int]]:
        totals = [(view.project, view.state, 1, view.updated_ns) for view in found.live]
        if found.connection is not None:
            totals += project_totals(found.connection, found.without)
        projects: dict[str, tuple[Counter[str], int]] = {}
        for project, state, n_runs, updated_ns in totals:
            states, latest_ns = projects.get(project, (Counter[str](), 0))
            projects[project] = (states + Counter({state: n_runs}), max(latest_ns, updated_ns))
        return projects

    return ask(folder, None, True, question)


def checked_number(where: str, number: int, least: int, most: int) -> int:
    """Return a number that is within bounds; raises SearchError where it is not."""
    if not least <= number <= most:
        got = str(number) if abs(number) < 1 << 64 else "a number far beyond"
        raise SearchError(where, got, f"{least} to {most}", "ask for less at once")
    return number
