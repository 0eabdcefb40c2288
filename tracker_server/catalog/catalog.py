"""The catalog as the rest of the server uses it: what was decided about runs, and how to decide it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import TypeVar

from ..store.store_catalog import (
    GLANCE_S,
    CatalogDatabase,
    archive,
    begin_emptying,
    bury,
    end_emptying,
    read_decisions,
    unarchive,
    unbury,
)
from ..store.store_catalog_file import CatalogFile
from ..store.store_connection import StoreConnection
from ..store.store_stop_orders import order_stops, withdraw_stops
from .decisions import By, CatalogDamagedError, CatalogError, CatalogVersionError, Decisions, RunKey, Stop, Tombstone

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Catalog:
    """Which runs are deleted, archived, asked to stop. Thread-safe; `refresh` sees decisions of other processes.

    Args:
        database: where the catalog is, or the tracker folder that has it.

    Attributes:
        decisions: all that hold, as of the last `refresh` or change.
    """

    def __init__(self, database: str | CatalogDatabase) -> None:
        self._database = CatalogFile(database) if isinstance(database, str) else database
        self._lock = threading.Lock()
        self._stamp: object = None
        self._is_first = True
        self.decisions = Decisions()

    @property
    def database(self) -> CatalogDatabase:
        """Where the catalog is."""
        return self._database

    @property
    def place(self) -> str:
        """The path or address of the catalog."""
        return self._database.place

    def refresh(self) -> bool:
        """Look for decisions of others, and say whether there were any. Takes some microseconds where there were none.

        A catalog that cannot be read is warned of once; what was known before holds. Others wait for this look, the
        folder too: but for the first it does not wait for a write that takes long.

        Raises:
            CatalogVersionError: the catalog is of a newer version.
        """
        with self._lock:
            # The stamp first: what is decided while the catalog is read is seen next time.
            stamp = self._database.stamp()
            if stamp == self._stamp:
                return False
            try:
                wait_s, self._is_first = None if self._is_first else GLANCE_S, False
                decisions = self._database.read(read_decisions, wait_s) or Decisions()
            except CatalogVersionError:
                raise
            except CatalogError as error:
                _say_once(str(error))
                if isinstance(error, CatalogDamagedError):  # other trouble may pass
                    self._stamp = stamp
                return False
            is_new = decisions != self.decisions
            self._stamp, self.decisions = stamp, decisions
            return is_new

    def check(self) -> None:
        """Read the catalog; raises CatalogError where that cannot be done."""
        self._database.read(read_decisions)

    def hidden(self, folder: str, journals: Collection[str]) -> set[str]:
        """Return which journals of a run's folder, paths below `runs`, belong to a deleted run."""
        return self.decisions.hidden(folder, journals)

    # -- deciding. Each raises CatalogError where the catalog cannot be written, and has then changed nothing.

    def delete(self, runs: Sequence[Tombstone]) -> list[RunKey]:
        """Put runs into the trash. Returns those that were not in it."""
        return self._decide(lambda connection: bury(connection, runs))

    def undelete(self, keys: Sequence[RunKey], by: By) -> list[RunKey]:
        """Bring runs back from the trash. Returns those that were in it."""
        return self._decide(lambda connection: unbury(connection, keys, by))

    def archive(self, keys: Sequence[RunKey], by: By) -> list[RunKey]:
        """Archive runs. Returns those that were not."""
        return self._decide(lambda connection: archive(connection, keys, by))

    def unarchive(self, keys: Sequence[RunKey], by: By) -> list[RunKey]:
        """Take runs out of the archive. Returns those that were in it."""
        return self._decide(lambda connection: unarchive(connection, keys, by))

    def order_stops(self, stops: Sequence[tuple[RunKey, Stop]], done: Collection[RunKey] = ()) -> None:
        """Ask runs to stop; `done` are those whose order was carried out."""
        self._decide(lambda connection: order_stops(connection, stops, done))

    def withdraw_stops(self, keys: Sequence[RunKey], by: By) -> list[RunKey]:
        """Take back what runs were asked. Returns those that were."""
        return self._decide(lambda connection: withdraw_stops(connection, keys, by))

    def begin_emptying(self, runs: Sequence[Tombstone], by: By) -> None:
        """Decide that these are removed, from which there is no way back."""
        numbers = [one.number for one in runs]
        self._decide(lambda connection: begin_emptying(connection, numbers, by))

    def end_emptying(self, runs: Sequence[Tombstone], by: By, keep: bool = False) -> None:
        """Say that what was there of them is removed; `keep` goes on hiding what comes back of them."""
        numbers = [one.number for one in runs]
        self._decide(lambda connection: end_emptying(connection, numbers, by, keep))

    def _decide(self, work: Callable[[StoreConnection], T]) -> T:
        """Return what `work` returns; what it decided is known then, whether the catalog can be read again or not."""
        done, decisions = self._database.write(lambda connection: (work(connection), read_decisions(connection)))
        with self._lock:
            self._stamp, self.decisions = None, decisions
        self.refresh()  # another one may have decided meanwhile
        return done


@lru_cache(maxsize=64)
def _say_once(text: str) -> None:
    _log.warning("%s", text)
