"""The log of decisions: nothing is ever removed from it, and every change of the catalog adds to it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, insert

from ..catalog.decisions import By, RunKey
from .store_catalog_schema import decision


def log_decisions(connection: Connection, action: str, items: Sequence[tuple[RunKey, By]]) -> None:
    """Add decisions to the log: what was done, to which runs, by whom and why."""
    rows = [
        {"at_ns": by.at_ns, "who": by.who, "action": action, "project": key[0], "run_id": key[1], "reason": by.why}
        for key, by in items
    ]
    if rows:
        connection.execute(insert(decision), rows)
