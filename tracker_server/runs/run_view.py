"""What a run is, from the folds of its journals: config, summary, metrics, how it fared. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tracker_core.metrics import MetricRules, MetricStats, logged_summary
from tracker_core.records import RunError, Session, State

from ..ingest.media_values import is_media
from ..ingest.metric_fold import MetricFold, merge_metric
from .run_states import (
    FINAL_STATES,
    LAUNCHER_WRITER,
    Ending,
    JournalStatus,
    attempt_of,
    ending_of_run,
    in_session_order,
    shown_journals,
    was_preempting,
    writer_journals,
)


class SessionView(msgspec.Struct, frozen=True):
    """One process that wrote to the run."""

    session: str
    writer: str
    attempt: int
    host: str
    pid: int
    created_ns: int
    ended_ns: int | None
    n_rows: int
    node: str = ""
    inherited: bool = False


class DamageView(msgspec.Struct, frozen=True):
    """Where one of the run's journals holds no intact record."""

    journal: str
    offset: int
    reason: str
    n_lost: int | None


class SignalView(msgspec.Struct, frozen=True):
    """A signal that a process of the run received and lived on after."""

    name: str
    writer: str
    at_ns: int


class ClockJumpView(msgspec.Struct, frozen=True):
    """When the wall clock of one of the run's machines moved, and by how much."""

    writer: str
    at_ns: int
    jumped_ns: int


class MetricView(msgspec.Struct, frozen=True):
    """One metric of a run. `stats` are over all points of the shown attempt."""

    key: str
    stats: MetricStats
    is_integer: bool
    step_metric: str | None
    goal: str | None
    hidden: bool

    @property
    def n_points(self) -> int:
        return self.stats.n + self.stats.n_nonfinite


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """A run as its readers see it. Times are nanoseconds since the Unix epoch."""

    id: str
    project: str
    entity: str
    name: str
    state: str
    created_ns: int
    ended_ns: int | None
    updated_ns: int
    group: str
    job_type: str
    tags: list[str]
    notes: str
    host: str
    attempt: int
    n_rows: int
    n_dropped: int
    n_suspensions: int
    suspended_ns: int
    is_suspended: bool
    is_preempting: bool
    n_clock_jumps: int
    clock_jumps: list[ClockJumpView]
    n_console_left_out: int
    n_unknown: int
    n_alerts: int = 0
    config: dict[str, Any]
    summary: dict[str, Any]
    metrics: dict[str, MetricView]
    error: RunError | None
    exit_code: int | None
    signal: str
    stopped_by: str = ""
    forked_from: str = ""
    signals: list[SignalView]
    sessions: list[SessionView]
    damage: list[DamageView]
    journals: list[str]

    @property
    def duration_s(self) -> float:
        """Seconds from the start to the end, or to the last sign of life."""
        return max(0, (self.ended_ns or self.updated_ns) - self.created_ns) / 1e9

    @property
    def n_damaged(self) -> int:
        """How many places of its journals are damaged."""
        return len(self.damage)


def view_run(project: str, run_id: str, journals: Sequence[JournalStatus]) -> RunView:
    """Return the run that these journals, at least one, make up."""
    shown = shown_journals(journals)
    primary = writer_journals(shown)
    newest = primary[-1]
    ending = ending_of_run(shown)
    state, final = ending.state, ending.final
    own = newest.fold.state if newest.fold.state and newest.fold.state.state in FINAL_STATES else None
    sessions = [journal.fold.session for journal in primary if journal.fold.session]
    metrics = merged_metrics(primary)
    rules = metric_rules(primary)
    updated_ns = max(journal.fold.last_ns for journal in shown) or newest.modified_ns
    ended_ns = final.wall_time_ns if final else None if state == "running" else updated_ns
    names = _edited(primary, sessions)
    return RunView(
        id=run_id,
        project=project,
        entity=sessions[0].entity if sessions else "local",
        name=names.name or run_id,
        state=state,
        created_ns=_in_int64(_created_ns(shown, primary) or updated_ns),
        ended_ns=ended_ns,
        updated_ns=updated_ns,
        group=_last_said([session.group for session in sessions]),
        job_type=_last_said([session.job_type for session in sessions]),
        tags=names.tags,
        notes=names.notes,
        host=sessions[-1].host if sessions else "",
        attempt=attempt_of(journals),
        n_rows=sum(journal.fold.n_rows for journal in primary),
        n_dropped=sum(journal.fold.n_dropped for journal in shown),
        n_suspensions=sum(journal.fold.n_suspensions for journal in shown),
        suspended_ns=sum(journal.fold.suspended_ns for journal in shown),
        is_suspended=newest.fold.is_suspended and state == "running",
        is_preempting=state == "running" and was_preempting(newest),
        n_clock_jumps=sum(journal.fold.n_clock_jumps for journal in shown),
        clock_jumps=_clock_jumps(shown),
        n_console_left_out=sum(journal.fold.n_console_left_out for journal in shown),
        n_unknown=sum(journal.fold.n_unknown for journal in shown),
        n_alerts=sum(journal.fold.n_alerts for journal in shown),
        config=merged_config(primary),
        summary=merged_summary(primary, metrics, rules),
        metrics=metric_views(metrics, rules),
        error=final.error if final and final.error else own.error if own and final else None,
        exit_code=final.exit_code if final else None,
        signal=final.signal if final else "",
        stopped_by=_stopped_by(ending, own),
        forked_from=next((session.forked_from for session in sessions if session.forked_from), ""),
        signals=_signals(shown),
        sessions=[_session_view(journal) for journal in in_session_order(journals)],
        damage=[
            DamageView(journal.name, note.offset, note.reason, note.n_lost)
            for journal in in_session_order(journals)
            for note in journal.damage
        ],
        journals=[journal.name for journal in primary],
    )


def _stopped_by(ending: Ending, own: State | None) -> str:
    """Return who asked for the end, as whoever decided of it says, or else the process that `tracker run` ran."""
    said = [state.stopped_by for state in (ending.final, own) if state is not None]
    return next(filter(None, said), "") if ending.state == "killed" else ""


def _created_ns(shown: Sequence[JournalStatus], primary: Sequence[JournalStatus]) -> int:
    """Return when the run began, or 0: `tracker run` begins before the command that it runs."""
    launched = [journal for journal in shown if journal.writer == LAUNCHER_WRITER]
    sessions = [
        [journal.fold.session for journal in journals if journal.fold.session] for journals in (primary, launched)
    ]
    began = [of_writer[0].wall_time_ns for of_writer in sessions if of_writer]
    return min(began) if began else primary[0].fold.first_ns


def _signals(shown: Sequence[JournalStatus]) -> list[SignalView]:
    notes = [SignalView(note.name, journal.writer, note.at_ns) for journal in shown for note in journal.fold.signals]
    return sorted(notes, key=lambda note: note.at_ns)


def _clock_jumps(shown: Sequence[JournalStatus]) -> list[ClockJumpView]:
    jumps = [
        ClockJumpView(journal.writer, note.at_ns, note.jumped_ns)
        for journal in shown
        for note in journal.fold.clock_jumps
    ]
    return sorted(jumps, key=lambda jump: jump.at_ns)


def merged_config(primary: Sequence[JournalStatus]) -> dict[str, Any]:
    """Return the config: later sessions replace and remove top-level keys of earlier ones."""
    config: dict[str, Any] = {}
    for journal in primary:
        for key in journal.fold.config_removed:
            config.pop(key, None)
        config.update(journal.fold.config)
    return config


def merged_metrics(primary: Sequence[JournalStatus]) -> dict[str, MetricFold]:
    """Return the aggregates of every metric over all sessions."""
    return merged_folds([journal.fold.metrics for journal in primary])


def merged_folds(sessions: Sequence[dict[str, MetricFold]]) -> dict[str, MetricFold]:
    """Return the aggregates over sessions in their order; sequences count on from session to session."""
    merged: dict[str, MetricFold] = {}
    offset = 0
    for metrics in sessions:
        end = offset
        for key, fold in metrics.items():
            moved = MetricFold(fold.stats, fold.first_sequence + offset, fold.last_sequence + offset, fold.is_integer)
            known = merged.get(key)
            merged[key] = moved if known is None else merge_metric(known, moved)
            end = max(end, moved.last_sequence + 1)
        offset = end
    return merged


def metric_rules(primary: Sequence[JournalStatus]) -> MetricRules:
    """Return the metric definitions of all sessions, in order."""
    rules = MetricRules()
    for journal in primary:
        for definition in journal.fold.definitions:
            rules.add(definition)
    return rules


def merged_summary(
    primary: Sequence[JournalStatus], metrics: dict[str, MetricFold], rules: MetricRules
) -> dict[str, Any]:
    """Return the summary: last values or the aggregates asked for, under what the user set."""
    last = {key: fold.stats.last for key, fold in metrics.items()} | _last_objects(primary)
    summary = logged_summary(last, rules, {key: fold.stats for key, fold in metrics.items()})
    explicit: dict[str, Any] = {}
    for journal in primary:
        for key in journal.fold.summary_removed:
            explicit.pop(key, None)
        explicit.update(journal.fold.summary)
    summary.update(explicit)
    return summary


def _last_objects(primary: Sequence[JournalStatus]) -> dict[str, Any]:
    """Return the keys whose last logged value is no number."""
    found: dict[str, Any] = {}
    for journal in primary:
        for key in journal.fold.metrics:
            found.pop(key, None)
        for key, other in journal.fold.objects.items():
            number = journal.fold.metrics.get(key)
            if number is None or number.last_sequence < other.last_sequence:
                found[key] = other.last
    return found


def metric_views(metrics: dict[str, MetricFold], rules: MetricRules) -> dict[str, MetricView]:
    """Return metrics by key with what was defined for them."""
    views = {}
    for key in sorted(metrics):
        rule = rules.match(key) if rules else None
        views[key] = MetricView(
            key,
            metrics[key].stats,
            metrics[key].is_integer,
            rule.step_metric if rule else None,
            rule.goal if rule else None,
            rule.hidden if rule else False,
        )
    return views


@dataclass(frozen=True, slots=True)
class _Names:
    name: str
    tags: list[str]
    notes: str


def _edited(primary: Sequence[JournalStatus], sessions: Sequence[Session]) -> _Names:
    """Return name, tags and notes: what sessions said on opening, each followed by its edits."""
    name, tags, notes = "", list[str](), ""
    for journal in primary:
        session, fold = journal.fold.session, journal.fold
        if session is not None:
            name, tags, notes = session.name or name, session.tags or tags, session.notes or notes
        name = name if fold.name is None else fold.name
        tags = tags if fold.tags is None else fold.tags
        notes = notes if fold.notes is None else fold.notes
    return _Names(name, tags, notes)


def _in_int64(ns: int) -> int:
    """Return a time that NumPy can subtract, whatever a journal says."""
    return min(max(ns, -(1 << 63)), (1 << 63) - 1)


def _last_said(values: Sequence[str]) -> str:
    return next((value for value in reversed(values) if value), "")


def _session_view(journal: JournalStatus) -> SessionView:
    session, state = journal.fold.session, journal.fold.state
    is_final = state is not None and state.state in FINAL_STATES
    return SessionView(
        session=journal.session,
        writer=journal.writer,
        attempt=session.attempt if session else 0,
        host=session.host if session else "",
        pid=session.pid if session else 0,
        created_ns=journal.fold.first_ns,
        ended_ns=state.wall_time_ns if state is not None and is_final else None,
        n_rows=journal.fold.n_rows,
        node=session.node if session else "",
        inherited=session.inherited if session else False,
    )


def branch_of(view: RunView) -> tuple[str, str, int] | None:
    """Return project, run and step that a run's history begins with, None where it is all its own."""
    place, separator, step = view.forked_from.rpartition("?_step=")
    project, _, run_id = place.partition("/")
    return (project, run_id, int(step)) if separator and run_id and step.isdecimal() else None


def json_number(value: Any) -> Any:
    """Return a value as JSON can hold it: non-finite numbers as "NaN", "Infinity", "-Infinity", at any depth.

    What JSON has no form for at all is told as text.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {str(key): json_number(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_number(item) for item in value]
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return value if value is None or isinstance(value, (str, int, float)) else str(value)[:200]


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values under dotted keys; an empty dict stays as it is."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value and not is_media(value):
            found.update(flat(value, f"{name}."))
        else:
            found[name] = json_number(value)
    return found
