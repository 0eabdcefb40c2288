"""Drop what an index holds and what can be built again."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping

from sqlalchemy import delete, select

from . import store_tail
from .store_connection import IndexDatabase
from .store_dialect import upsert
from .store_lock import wait_for_store_lock
from .store_runs import remove_runs
from .store_schema import index_info, poisoned_journal, run
from .store_sqlite import remove_database
from .store_write import drop_journal

_LOCK_TIMEOUT_S = 30.0


def drop_files(folder: str) -> None:
    """Remove the index of a tracker folder; raises OSError where another process writes it for long."""
    path = os.path.join(folder, "store.lock")
    with wait_for_store_lock(path, _LOCK_TIMEOUT_S) as is_held:
        if not is_held:
            raise OSError(f"{path} is held by another process, such as `tracker ui`; stop it and try again")
        remove_database(os.path.join(folder, "index.sqlite"))


def drop_journals(database: IndexDatabase, sizes: Mapping[str, int]) -> set[str]:
    """Drop all that a database has of the journals that can be sent again.

    Args:
        database: one with a tail table.
        sizes: of each journal that is at hand, how many bytes there are.

    Returns:
        The journals that were left as they are, because not all that the database has of them is at hand.
    """
    with database.writing() as writing:
        assert writing is not None
        with writing.transaction() as connection:
            arrived = {state.path: state.size_bytes for state in store_tail.tail_states(connection)}
            kept = {path for path, size in arrived.items() if size > sizes.get(path, -1)}
            dropped = sorted(arrived.keys() - kept)
            for path in dropped:
                drop_journal(connection, path)
            store_tail.remove(connection, dropped)
            connection.execute(delete(poisoned_journal))
            remove_runs(connection, [tuple(key) for key in connection.execute(select(run.c.project, run.c.run_id))])
            upsert(connection, index_info, [{"name": "build", "value": secrets.token_hex(8)}], ["name"], ["value"])
    return kept
