"""What a check of `tracker doctor` finds."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["ok", "warning", "fault"]


class Finding(msgspec.Struct, frozen=True):
    """One line of the report; `remedy` says what to do about anything that is not ok."""

    topic: str
    level: Level
    text: str
    remedy: str = ""


def ok(topic: str, text: str) -> Finding:
    """Return a finding that needs nothing done."""
    return Finding(topic, "ok", text)


def warning(topic: str, text: str, remedy: str) -> Finding:
    """Return a finding that costs comfort, speed or part of what could be recorded."""
    return Finding(topic, "warning", text, remedy)


def fault(topic: str, text: str, remedy: str) -> Finding:
    """Return a finding with which runs are lost, refused or wrong."""
    return Finding(topic, "fault", text, remedy)
