"""What a run's journals hold already: its earlier sessions, how far they came, and the rows logged so far."""

from __future__ import annotations

import os
from operator import itemgetter

from . import paths
from .journal_format import Kind
from .journal_reader import JournalBatch, JournalReader, read_session
from .metrics import MetricStats
from .records import Config, RowMap, Session
from .say import warn
from .sessions import PRIMARY_WRITER, EarlierSessions


def find_earlier(folder: str, project: str, run_id: str) -> EarlierSessions:
    """Look at the sessions that a run id already has; cheap, reads only their first records."""
    earlier = EarlierSessions()
    branches: dict[int, Session] = {}
    inherited: set[int] = set()
    for session, _ in sessions_of(folder, project, run_id):
        earlier.attempt = max(earlier.attempt, session.attempt)
        if session.inherited:
            inherited.add(session.attempt)
        elif session.writer == PRIMARY_WRITER and session.counter >= earlier.counter:
            earlier.counter, earlier.last = session.counter, session
        if session.forked_from and not session.inherited:
            branches.setdefault(session.attempt, session)
    earlier.branch = branches.get(earlier.attempt)
    earlier.has_inherited = earlier.attempt in inherited
    return earlier


def sessions_of(folder: str, project: str, run_id: str) -> list[tuple[Session, str]]:
    """Return the sessions of a run with the paths of their journals, in their order; cheap."""
    found = []
    for path in _journals(folder, project, run_id):
        try:
            session = read_session(path)
        except OSError:
            continue
        if session is not None:
            found.append((session, path))
    return sorted(found, key=lambda item: (item[0].counter, item[0].wall_time_ns))


def read_progress(earlier: EarlierSessions, folder: str, project: str, run_id: str) -> None:
    """Fill in the step and config that the latest attempt of a run reached, from all its rows."""
    for session, path in sessions_of(folder, project, run_id):
        if session.attempt != earlier.attempt:
            continue
        try:
            _read_progress_of(path, earlier)
        except OSError as error:
            warn(f"{path} cannot be read ({error}); the run goes on without its steps and config")


def _read_progress_of(path: str, earlier: EarlierSessions) -> None:
    batch = JournalReader(path).read()
    for group in batch.row_groups:
        for _, step, _, _ in group.rows() if group.kind == Kind.ROW else ():
            earlier.next_step = max(earlier.next_step, step + 1)
    for _, record in batch.records:
        if isinstance(record, RowMap):
            earlier.next_step = max(earlier.next_step, record.step + 1)
        elif isinstance(record, Config):
            earlier.config.update(record.values)
            for key in record.removed:
                earlier.config.pop(key, None)


def read_stats(path: str, keys: list[str]) -> dict[str, MetricStats]:
    """Return the statistics of metrics over the rows that a journal holds, for definitions made after logging began."""
    points: dict[str, list[tuple[int, int | float]]] = {key: [] for key in keys}
    try:
        batch = JournalReader(path).read()
    except OSError as error:
        warn(f"{path} cannot be read ({error}); the summary counts from now on")
        batch = JournalBatch()
    for group in (group for group in batch.row_groups if group.kind == Kind.ROW):
        columns = [(points[key], column) for column, key in enumerate(group.keys) if key in points]
        for sequence, _, _, values in group.rows() if columns else ():
            for series, column in columns:
                series.append((sequence, values[column]))
    for sequence, record in batch.records:
        if isinstance(record, RowMap):
            for key in points.keys() & record.values.keys():
                if isinstance(record.values[key], (int, float)):
                    points[key].append((sequence, record.values[key]))
    stats = {key: MetricStats() for key in keys}
    for key, series in points.items():
        for _, value in sorted(series, key=itemgetter(0)):
            stats[key].add(value)
    return stats


def _journals(folder: str, project: str, run_id: str) -> list[str]:
    run_folder = paths.run_folder(folder, project, run_id)
    try:
        names = os.listdir(run_folder)
    except OSError:
        return []
    return [os.path.join(run_folder, name) for name in names if name.endswith(paths.JOURNAL_SUFFIX)]
