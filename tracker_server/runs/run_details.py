"""What only a run's own page needs of it: what was run on what, and how the machine fared. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tracker_core.metrics import MetricRules

from ..ingest.fold import SYSTEM_PREFIX
from ..ingest.metric_fold import MetricFold
from .run_states import LAUNCHER_WRITER, JournalStatus, recording_journals, shown_journals, writer_journals
from .run_view import MetricView, merged_folds, metric_views


class RunDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Details of the shown attempt of a run.

    Attributes:
        environment: what was run, on what; of `tracker run` and over it of the primary writer.
        system: aggregates of the system metrics of `system_writer`.
        system_writer, console_writer: whose are shown unless another is asked for; None where nobody recorded any.
        system_writers, console_writers: who recorded any.
    """

    environment: dict[str, Any]
    system: dict[str, MetricView]
    system_writer: str | None
    system_writers: list[str]
    console_writer: str | None
    console_writers: list[str]


def view_details(journals: Sequence[JournalStatus], writer: str | None = None) -> RunDetails:
    """Return the details of the run that these journals, at least one, make up; `writer` is whose system metrics."""
    shown = shown_journals(journals)
    system = recording_journals(shown, writer, lambda fold: fold.has_system)
    console = recording_journals(shown, None, lambda fold: fold.has_console)
    return RunDetails(
        environment=_environment(shown),
        system=_system(system),
        system_writer=next((journal.writer for journal in system if journal.fold.has_system), None),
        system_writers=_writers([journal for journal in shown if journal.fold.has_system]),
        console_writer=next((journal.writer for journal in console if journal.fold.has_console), None),
        console_writers=_writers([journal for journal in shown if journal.fold.has_console]),
    )


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
