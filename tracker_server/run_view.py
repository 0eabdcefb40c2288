"""What a run is, from the folds of its journals: state, attempt, config, summary, metrics. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tracker_core.metrics import MetricRules, MetricStats, logged_summary
from tracker_core.records import RunError, Session

from .fold import DamageNote, JournalFold, MetricFold, merge_metric

PRIMARY_WRITER = "main"
FINAL_STATES = ("finished", "failed")


@dataclass(frozen=True, slots=True)
class JournalStatus:
    """One journal of a run as `view_run` needs it. `modified_ns`, the file's mtime, stands in where no record says."""

    name: str
    writer: str
    session: str
    fold: JournalFold
    damage: list[DamageNote]
    is_alive: Callable[[], bool]
    modified_ns: int = 0


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


class DamageView(msgspec.Struct, frozen=True):
    """Where one of the run's journals holds no intact record."""

    journal: str
    offset: int
    reason: str
    n_lost: int | None


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
    is_suspended: bool
    config: dict[str, Any]
    summary: dict[str, Any]
    metrics: dict[str, MetricView]
    error: RunError | None
    exit_code: int | None
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


def in_session_order(journals: Sequence[JournalStatus]) -> list[JournalStatus]:
    """Return journals by (counter, start): one whose first record is lost comes first."""

    def place(journal: JournalStatus) -> tuple[int, int, str]:
        session = journal.fold.session
        return (session.counter, session.wall_time_ns, journal.name) if session else (-1, 0, journal.name)

    return sorted(journals, key=place)


def attempt_of(journals: Sequence[JournalStatus]) -> int:
    """Return the attempt that is shown: the highest."""
    return max((journal.fold.session.attempt for journal in journals if journal.fold.session), default=1)


def shown_journals(journals: Sequence[JournalStatus], attempt: int | None = None) -> list[JournalStatus]:
    """Return the journals of one attempt, all writers, in session order. None means the highest attempt.

    A journal whose first record is lost belongs to the attempt that is shown: what it holds is not hidden.
    """
    highest = attempt_of(journals)
    wanted = highest if attempt is None else attempt
    return [
        journal
        for journal in in_session_order(journals)
        if (journal.fold.session.attempt if journal.fold.session else highest) == wanted
    ]


def writer_journals(shown: Sequence[JournalStatus], writer: str = PRIMARY_WRITER) -> list[JournalStatus]:
    """Return those of one writer; "*" is all. A run without a primary writer shows its first writer as such."""
    if writer == "*":
        return list(shown)
    found = [journal for journal in shown if journal.writer == writer]
    if not found and writer == PRIMARY_WRITER and shown:
        return [journal for journal in shown if journal.writer == shown[0].writer]
    return found


def run_state(newest: JournalStatus) -> str:
    """Return running, finished, failed or crashed, from the newest session of the primary writer."""
    state = newest.fold.state
    if state is not None and state.state in FINAL_STATES:
        return state.state
    return "running" if newest.is_alive() else "crashed"


def view_run(project: str, run_id: str, journals: Sequence[JournalStatus]) -> RunView:
    """Return the run that these journals, at least one, make up."""
    shown = shown_journals(journals)
    primary = writer_journals(shown)
    newest = primary[-1]
    state = run_state(newest)
    sessions = [journal.fold.session for journal in primary if journal.fold.session]
    metrics = merged_metrics(primary)
    rules = metric_rules(primary)
    updated_ns = max(journal.fold.last_ns for journal in shown) or newest.modified_ns
    final = newest.fold.state if state in FINAL_STATES else None
    ended_ns = final.wall_time_ns if final else updated_ns if state == "crashed" else None
    names = _edited(primary, sessions)
    return RunView(
        id=run_id,
        project=project,
        entity=sessions[0].entity if sessions else "local",
        name=names.name or run_id,
        state=state,
        created_ns=_in_int64(sessions[0].wall_time_ns if sessions else primary[0].fold.first_ns or updated_ns),
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
        is_suspended=newest.fold.is_suspended and state == "running",
        config=merged_config(primary),
        summary=merged_summary(primary, metrics, rules),
        metrics=_metric_views(metrics, rules),
        error=final.error if final else None,
        exit_code=final.exit_code if final else None,
        sessions=[_session_view(journal) for journal in in_session_order(journals)],
        damage=[
            DamageView(journal.name, note.offset, note.reason, note.n_lost)
            for journal in in_session_order(journals)
            for note in journal.damage
        ],
        journals=[journal.name for journal in primary],
    )


def merged_config(primary: Sequence[JournalStatus]) -> dict[str, Any]:
    """Return the config: later sessions replace and remove top-level keys of earlier ones."""
    config: dict[str, Any] = {}
    for journal in primary:
        for key in journal.fold.config_removed:
            config.pop(key, None)
        config.update(journal.fold.config)
    return config


def merged_metrics(primary: Sequence[JournalStatus]) -> dict[str, MetricFold]:
    """Return the aggregates of every metric over all sessions; sequences count on from session to session."""
    merged: dict[str, MetricFold] = {}
    offset = 0
    for journal in primary:
        end = offset
        for key, fold in journal.fold.metrics.items():
            moved = MetricFold(fold.stats, fold.first_sequence + offset, fold.last_sequence + offset, fold.is_integer)
            known = merged.get(key)
            merged[key] = moved if known is None else merge_metric(known, moved)
            end = max(end, moved.last_sequence + 1)
        for other in journal.fold.objects.values():
            end = max(end, other.last_sequence + offset + 1)
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


def _metric_views(metrics: dict[str, MetricFold], rules: MetricRules) -> dict[str, MetricView]:
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
    )


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
        if isinstance(value, dict) and value:
            found.update(flat(value, f"{name}."))
        else:
            found[name] = json_number(value)
    return found
