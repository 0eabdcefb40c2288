"""The catalog as the rest of the server uses it: what was decided about runs, and how to decide it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Sequence
from functools import lru_cache

from ..store.store_catalog import (
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
from .decisions import By, CatalogDamagedError, CatalogError, CatalogVersionError, Decisions, RunKey, Tombstone

_log = logging.getLogger(__name__)


class Catalog:
    """Which runs are deleted and archived. Thread-safe; other processes' decisions are seen by `refresh`.

    Args:
        database: where the catalog is, or the tracker folder that has it.

    Attributes:
        decisions: all that hold, as of the last `refresh` or change.
    """

    def __init__(self, database: str | CatalogDatabase) -> None:
        self._database = CatalogFile(database) if isinstance(database, str) else database
        self._lock = threading.Lock()
        self._stamp: object = None
        self.decisions = Decisions()

    @property
    def place(self) -> str:
        """The path or address of the catalog."""
        return self._database.place

    def refresh(self) -> bool:
        """Look for decisions of others, and say whether there were any. Takes some microseconds where there were none.

        A catalog that cannot be read is warned of once; what was known before holds.

        Raises:
            CatalogVersionError: the catalog is of a newer version.
        """
        with self._lock:
            # The stamp first: what is decided while the catalog is read is seen next time.
            stamp = self._database.stamp()
            if stamp == self._stamp:
                return False
            try:
                decisions = self._database.read(read_decisions) or Decisions()
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
        done = self._database.write(lambda connection: bury(connection, runs))
        self.refresh()
        return done

    def undelete(self, keys: Sequence[RunKey], by: By) -> list[RunKey]:
        """Bring runs back from the trash. Returns those that were in it."""
        done = self._database.write(lambda connection: unbury(connection, keys, by))
        self.refresh()
        return done

    def archive(self, keys: Sequence[RunKey], by: By) -> list[RunKey]:
        """Archive runs. Returns those that were not."""
        done = self._database.write(lambda connection: archive(connection, keys, by))
        self.refresh()
        return done

    def unarchive(self, keys: Sequence[RunKey], by: By) -> list[RunKey]:
        """Take runs out of the archive. Returns those that were in it."""
        done = self._database.write(lambda connection: unarchive(connection, keys, by))
        self.refresh()
        return done

    def begin_emptying(self, runs: Sequence[Tombstone], by: By) -> None:
        """Decide that these are removed, from which there is no way back."""
        numbers = [one.number for one in runs]
        self._database.write(lambda connection: begin_emptying(connection, numbers, by))
        self.refresh()

    def end_emptying(self, runs: Sequence[Tombstone], by: By, keep: bool = False) -> None:
        """Say that what was there of them is removed; `keep` goes on hiding what comes back of them."""
        numbers = [one.number for one in runs]
        self._database.write(lambda connection: end_emptying(connection, numbers, by, keep))
        self.refresh()


@lru_cache(maxsize=64)
def _say_once(text: str) -> None:
    _log.warning("%s", text)
