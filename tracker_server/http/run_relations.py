"""What a run's own page tells beside what it recorded: its processes, its lineage, where it is sent, orders to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tracker_core.control import StopOrder
from tracker_core.sync.sync_state import RunSync

from ..runs.run_details import RunDetails, WriterView
from ..runs.run_view import RunView, branch_of


class StopRow(msgspec.Struct):
    """Somebody asked the run to stop, which it has not done yet."""

    by: str
    why: str
    at_s: float


class SyncRow(msgspec.Struct):
    """Where the sending of the run to a server stands.

    `state` is that of the sender: ok, waiting, refused, or "" where none has spoken yet; `message` says what is wrong.
    """

    address: str
    bytes_left: int
    state: str
    message: str
    is_sending: bool
    contact_s: float | None


class WriterRow(msgspec.Struct):
    """A process of the shown attempt, as it fares; `node` is which of the job's machines, "" where not known."""

    writer: str
    host: str
    node: str
    state: str
    last_seen_s: float
    n_rows: int
    n_damaged: int
    n_dropped: int


class BranchRow(msgspec.Struct):
    """The run and step that the history of a run begins with; the run itself after a rewind."""

    project: str
    run: str
    step: int


class ForkRow(msgspec.Struct):
    """A run that began with the history of this one up to a step."""

    project: str
    run: str
    name: str
    step: int


def run_relations(
    view: RunView, details: RunDetails, stop: StopOrder | None, forks: Sequence[RunView], syncs: Sequence[RunSync]
) -> dict[str, Any]:
    """Return these fields of `RunDetail`."""
    branch = branch_of(view)
    return {
        "stop": None if stop is None else StopRow(stop.by, stop.why, stop.at_ns / 1e9),
        "syncs": [_sync_row(one) for one in syncs],
        "writers": [_writer_row(writer) for writer in details.writers],
        "forked_from": BranchRow(*branch) if branch else None,
        "forks": [ForkRow(fork.project, fork.id, fork.name, found[2]) for fork in forks if (found := branch_of(fork))],
    }


def _sync_row(one: RunSync) -> SyncRow:
    contact_s = one.contact_ns / 1e9 if one.contact_ns else None
    return SyncRow(one.address, one.bytes_left, one.state, one.message, one.pid > 0, contact_s)


def _writer_row(writer: WriterView) -> WriterRow:
    return WriterRow(
        writer=writer.writer,
        host=writer.host,
        node=writer.node,
        state=writer.state,
        last_seen_s=writer.last_seen_ns / 1e9,
        n_rows=writer.n_rows,
        n_damaged=writer.n_damaged,
        n_dropped=writer.n_dropped,
    )
