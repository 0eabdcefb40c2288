"""What the HTTP API says of media, tables and alerts. Times are float seconds since 1970."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ..query.run_media import MediaPage
from ..runs.run_alerts import AlertPage
from ..runs.run_details import AlertView, MediaKeyView
from ..runs.run_view import json_number


class MediaKeyRow(msgspec.Struct):
    """A key that media or text was logged under; `kind` is that of its last value, see docs/media.md."""

    key: str
    kind: str
    n_values: int
    last_step: int


class MediaKeys(msgspec.Struct):
    """The keys of a run, by name."""

    keys: list[MediaKeyRow]


class MediaValueRow(msgspec.Struct):
    """One value. `place` counts the values of its key by step, from 0; media is a mapping with `_type`."""

    place: int
    step: int
    time_s: float
    value: Any


class MediaValues(msgspec.Struct):
    """Some values of a key, and how many there are in all, with which steps."""

    key: str
    n_values: int
    first_step: int
    last_step: int
    values: list[MediaValueRow]


class AlertRow(msgspec.Struct, kw_only=True):
    """What a run said that people should know. `level` is INFO, WARN or ERROR."""

    project: str
    run: str
    run_name: str
    at_s: float
    step: int
    level: str
    title: str
    text: str
    writer: str


class AlertList(msgspec.Struct):
    """Alerts, newest first; `n_matching` there are in all, or more where `is_complete` is false."""

    alerts: list[AlertRow]
    n_matching: int
    is_complete: bool


def media_key_rows(keys: Sequence[MediaKeyView]) -> list[MediaKeyRow]:
    """Return the keys of a run."""
    return [MediaKeyRow(key.key, key.kind, key.n_values, key.last_step) for key in keys]


def media_values(page: MediaPage) -> MediaValues:
    """Return a page of values."""
    rows = [MediaValueRow(one.place, one.step, one.wall_time_ns / 1e9, json_number(one.value)) for one in page.values]
    return MediaValues(page.key, page.n_values, page.first_step, page.last_step, rows)


def alert_row(project: str, run_id: str, run_name: str, alert: AlertView) -> AlertRow:
    """Return an alert of a run."""
    return AlertRow(
        project=project,
        run=run_id,
        run_name=run_name,
        at_s=alert.at_ns / 1e9,
        step=alert.step,
        level=alert.level,
        title=alert.title,
        text=alert.text,
        writer=alert.writer,
    )


def alert_list(page: AlertPage, names: dict[tuple[str, str], str]) -> AlertList:
    """Return a page of alerts; `names` are those of the runs."""
    rows = [
        alert_row(one.project, one.run_id, names.get((one.project, one.run_id), one.run_id), one.alert)
        for one in page.alerts
    ]
    return AlertList(rows, page.n_matching, page.is_complete)
