"""Whether the runs of a folder reach the server that they are sent to."""

from __future__ import annotations

from collections.abc import Iterator

from tracker_core.sync.online import shown_bytes
from tracker_core.sync.sender_status import read_statuses
from tracker_core.sync.sync_state import trouble_of_senders

from .doctor_finding import Finding, fault, ok, warning

_TOPIC = "sync"


def check_sync(folder: str) -> Iterator[Finding]:
    """Tell of senders that are refused, long away or gone with something left, else what they say."""
    troubled = trouble_of_senders(folder)
    for status, text in troubled:
        left = f"{shown_bytes(status.bytes_left)} left for {status.address}: {text}"
        if status.state == "refused":
            yield fault(_TOPIC, left, "check TRACKER_API_KEY, or `tracker login`; then: tracker sync")
        else:
            yield warning(_TOPIC, left, "see that the server answers, then: tracker sync")
    if troubled:
        return
    statuses = [status for _, status in read_statuses(folder)]
    if not statuses:
        yield ok(_TOPIC, "no run of this folder was sent to a server in the background")
    for status in statuses:
        left = f"{shown_bytes(status.bytes_left)} left" if status.bytes_left else "everything sent"
        by = f", process {status.pid} at work" if status.is_running else ""
        yield ok(_TOPIC, f"{status.address}: {left}{by}")
