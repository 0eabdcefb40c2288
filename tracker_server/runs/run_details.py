"""What only a run's own page needs of it: what was run on what, and how the machine fared. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tracker_core.metrics import MetricRules

from ..ingest.fold import MAX_ALERTS, SYSTEM_PREFIX
from ..ingest.media_values import kind_of
from ..ingest.metric_fold import MetricFold
from .run_states import (
    LAUNCHER_WRITER,
    PRIMARY_WRITER,
    JournalStatus,
    ending_of,
    recording_journals,
    recording_journals_of,
    shown_journals,
    writer_journals,
)
from .run_view import MetricView, merged_folds, metric_views


class MediaKeyView(msgspec.Struct, frozen=True):
    """A key that the run logged media or text under: the kind of its last value, and at how many places."""

    key: str
    kind: str
    n_values: int
    last_step: int


class AlertView(msgspec.Struct, frozen=True):
    """What the run said that people should know. `level` is INFO, WARN or ERROR."""

    at_ns: int
    step: int
    level: str
    title: str
    text: str
    writer: str


class WriterView(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the shown attempt, as it fares; of a writer with several sessions the latest.

    Attributes:
        writer, host, node: who writes, on which machine, which of the job's machines that is ("" where not known).
        state: running, finished, failed, killed, preempted or crashed: of this process, not of the run.
        last_seen_ns: its last sign of life.
        n_rows, n_damaged, n_dropped: of all its sessions.
    """

    writer: str
    host: str
    node: str
    state: str
    last_seen_ns: int
    n_rows: int
    n_damaged: int
    n_dropped: int


class RunDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Details of the shown attempt of a run.

    Attributes:
        environment: what was run, on what; of `tracker run` and over it of the primary writer.
        system: aggregates of the system metrics of `system_writer`.
        system_writer, console_writer: whose are shown unless another is asked for; None where nobody recorded any.
        system_writers, console_writers: who recorded any.
        writers: every process of the run, the primary one first.
        media: the keys that the primary writer logged media under, by name.
        alerts: the latest of all writers, the oldest first.
    """

    environment: dict[str, Any]
    system: dict[str, MetricView]
    system_writer: str | None
    system_writers: list[str]
    console_writer: str | None
    console_writers: list[str]
    writers: list[WriterView] = []
    media: list[MediaKeyView] = []
    alerts: list[AlertView] = []


def view_details(journals: Sequence[JournalStatus], writer: str | None = None) -> RunDetails:
    """Return the details of the run that these journals, at least one, make up; `writer` is whose system metrics."""
    shown = shown_journals(journals)
    system = recording_journals_of(journals, writer, lambda fold: fold.has_system)
    console = recording_journals(shown, None, lambda fold: fold.has_console)
    return RunDetails(
        environment=_environment(shown),
        system=_system(system),
        system_writer=next((journal.writer for journal in system if journal.fold.has_system), None),
        system_writers=_writers([journal for journal in shown if journal.fold.has_system]),
        console_writer=next((journal.writer for journal in console if journal.fold.has_console), None),
        console_writers=_writers([journal for journal in shown if journal.fold.has_console]),
        writers=writer_views(shown),
        media=media_keys(writer_journals(shown)),
        alerts=alert_views(shown),
    )


def media_keys(journals: Sequence[JournalStatus]) -> list[MediaKeyView]:
    """Return the keys that journals of one writer have media or text under, by name."""
    found: dict[str, MediaKeyView] = {}
    for journal in journals:
        for key, logged in journal.fold.objects.items():
            kind = kind_of(logged.last)
            if kind:
                n_before = found[key].n_values if key in found else 0
                found[key] = MediaKeyView(key, kind, n_before + logged.n, logged.last_step)
    return [found[key] for key in sorted(found)]


def alert_views(shown: Sequence[JournalStatus]) -> list[AlertView]:
    """Return the latest alerts of one attempt, the oldest first."""
    found = [
        AlertView(note.at_ns, note.step, note.level, note.title, note.text, journal.writer)
        for journal in shown
        if journal.fold.n_alerts
        for note in journal.fold.details().alerts
    ]
    return sorted(found, key=lambda alert: alert.at_ns)[-MAX_ALERTS:]


def writer_views(shown: Sequence[JournalStatus]) -> list[WriterView]:
    """Return how each process of one attempt fares, the primary writer first, then ranks by number."""
    by_writer: dict[str, list[JournalStatus]] = {}
    for journal in shown:
        by_writer.setdefault(journal.writer, []).append(journal)
    return [_writer_view(name, by_writer[name]) for name in sorted(by_writer, key=_writer_place)]


def _writer_view(name: str, journals: Sequence[JournalStatus]) -> WriterView:
    newest = journals[-1]
    session, state = newest.fold.session, ending_of(newest).state
    # While it runs, by the clock of the machine that keeps the journals: it is compared with now.
    last_seen_ns = newest.modified_ns if state == "running" else newest.fold.last_ns
    return WriterView(
        writer=name,
        host=session.host if session else "",
        node=session.node if session else "",
        state=state,
        last_seen_ns=last_seen_ns or newest.fold.last_ns,
        n_rows=sum(journal.fold.n_rows for journal in journals),
        n_damaged=sum(len(journal.damage) for journal in journals),
        n_dropped=sum(journal.fold.n_dropped for journal in journals),
    )


def _writer_place(name: str) -> tuple[int, int, str]:
    rank = name.removeprefix("rank")
    if name == PRIMARY_WRITER:
        return 0, 0, name
    return (1, int(rank), name) if name.startswith("rank") and rank.isdecimal() else (2, 0, name)


def _environment(shown: Sequence[JournalStatus]) -> dict[str, Any]:
    launched = [journal for journal in shown if journal.writer == LAUNCHER_WRITER]
    merged: dict[str, Any] = {}
    for journal in [*launched, *writer_journals(shown)]:
        merged.update(journal.fold.details().environment)
    return merged


def _system(journals: Sequence[JournalStatus]) -> dict[str, MetricView]:
    sessions: list[dict[str, MetricFold]] = [journal.fold.details().system for journal in journals]
    found = {key: fold for key, fold in merged_folds(sessions).items() if key.startswith(SYSTEM_PREFIX)}
    return metric_views(found, MetricRules())


def _writers(journals: Sequence[JournalStatus]) -> list[str]:
    return sorted({journal.writer for journal in journals})
