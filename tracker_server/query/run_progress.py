"""How far a run has come, and its history up to a step: what a process on another machine needs to go on with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from tracker_core.forking import Branch, find_sources
from tracker_core.inherited import Item, config_as_of, copy_items, history
from tracker_core.journal_format import Kind
from tracker_core.metrics import MetricRules
from tracker_core.records import Config, RowMap, Session, Summary
from tracker_core.remote.run_progress import Progress
from tracker_core.rows import plan_row
from tracker_core.values import is_wide_int

from ..runs.run_states import JournalStatus, is_inherited, shown_journals, writer_journals
from ..runs.run_view import merged_config
from .folder import LocalFolder
from .row_reader import Row


def progress_of(folder: LocalFolder, project: str, run_id: str, step: int | None = None) -> Progress:
    """Return how far a run has come; with `step` the config as of then, as far as that can still be told.

    Raises:
        NotFoundError: there is no such run.
    """
    view, (journals, last_step) = folder.run(project, run_id), folder.progress(project, run_id)
    primary = [one for one in writer_journals(shown_journals(journals)) if one.writer == "main"]
    sessions = [one.fold.session for one in primary if one.fold.session is not None and not is_inherited(one)]
    every = [one.fold.session for one in journals if one.fold.session is not None and one.writer == "main"]
    if not sessions:
        return Progress(attempt=view.attempt)
    names = {"name": view.name, "tags": view.tags, "notes": view.notes}
    return Progress(
        last=msgspec.structs.replace(sessions[-1], **names),
        branch=next((session for session in sessions if session.forked_from), None),
        has_inherited=any(is_inherited(one) for one in primary),
        counter=max(session.counter for session in every),
        attempt=view.attempt,
        next_step=last_step + 1,
        config=view.config if step is None else _config_at(folder, Branch(project, run_id, step), view.config),
        state=view.state,
    )


def write_history(folder: LocalFolder, branch: Branch, below: int, began_ns: int, file: BinaryIO) -> None:
    """Write a journal that holds the history of a run up to a branch; see `tracker_core.forking.find_sources`.

    Raises:
        NotFoundError: there is no such run.
    """
    view = folder.run(branch.project, branch.run)
    session = Session(
        wall_time_ns=began_ns, session="0" * 32, run=view.id, project=view.project, counter=0, inherited=True
    )
    sources = [] if folder.database.has_tail else find_sources(folder.path, branch, below, began_ns)
    items = history(sources, lambda: None) if sources else _items_of_index(folder, branch, below)
    copy_items(items, file, session)


def _config_at(folder: LocalFolder, branch: Branch, latest: dict[str, object]) -> dict[str, object]:
    """Return the config as of a step, or where the journals are not kept the latest."""
    sources = [] if folder.database.has_tail else find_sources(folder.path, branch, 1 << 31, 1 << 62)
    return config_as_of(sources) if sources else latest


def _items_of_index(folder: LocalFolder, branch: Branch, below: int) -> Iterator[Item]:
    """Yield a history from what is sealed: rows exactly, config, summary and definitions as they are now."""
    journals, _ = folder.progress(branch.project, branch.run)
    attempts = {one.fold.session.attempt for one in journals if one.fold.session is not None}
    attempt = max((number for number in attempts if number < below), default=0)
    shown = [one for one in shown_journals(journals, attempt) if one.writer == "main"]
    for journal in shown:
        yield from _records_of(journal)
    for row in folder.rows(branch.project, branch.run, writer=f"@{attempt}") if shown else ():
        if row.step <= branch.step:
            yield from _items_of_row(row)


def _records_of(journal: JournalStatus) -> Iterator[Item]:
    fold, now_ns = journal.fold, journal.fold.last_ns
    yield from fold.definitions
    yield Config(wall_time_ns=now_ns, values=merged_config([journal]))
    yield Summary(wall_time_ns=now_ns, values=fold.summary)


def _items_of_row(row: Row) -> Iterator[Item]:
    is_wide = any(is_wide_int(value) for value in row.values.values())
    plan = None if is_wide else plan_row(row.values, MetricRules(), {}, Kind.ROW)
    if plan is None:
        yield RowMap(wall_time_ns=row.wall_time_ns, step=row.step, values=row.values)
        return
    values = tuple(row.values.values())
    for layout, part in plan.parts:
        chosen = values if part is None else values[part]
        framed = layout.pack(layout.body_bytes, layout.kind, 0, row.step, row.wall_time_ns, *chosen)
        yield layout.codes, layout.keys, framed
