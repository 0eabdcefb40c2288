"""The journals of a folder without those of deleted runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from tracker_core.journal_reader import JournalBytes

from ..catalog.catalog import Catalog
from ..catalog.decisions import Decisions
from .journal_source import JournalPath, JournalSource, JournalState

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


class VisibleJournals:
    """A source of journals that leaves out what the catalog says is deleted. Not thread-safe.

    Attributes:
        hidden: what the last scan left out. The index keeps it, so that it can come back.
    """

    def __init__(self, source: JournalSource, catalog: Catalog) -> None:
        self.hidden: AbstractSet[str] = frozenset()
        self._source = source
        self._catalog = catalog
        self._decisions = Decisions()
        self._names: AbstractSet[str] = frozenset()

    @property
    def was_full(self) -> bool:
        """Whether the last scan looked at everything, and not only at what seemed changed."""
        return self._source.was_full

    def scan(self) -> Mapping[str, JournalPath]:
        """Return the journals that are there and belong to no deleted run, by name.

        Raises:
            CatalogVersionError: the catalog is of a newer version.
        """
        self._catalog.refresh()
        found, decisions = self._source.scan(), self._catalog.decisions
        if not decisions.tombstones:
            self.hidden = frozenset()
            return found
        if decisions is not self._decisions or found.keys() != self._names:
            self.hidden = _hidden(decisions, found)
            self._decisions, self._names = decisions, frozenset(found)
        return {name: journal for name, journal in found.items() if name not in self.hidden}

    def look_again(self, names: Collection[str]) -> None:
        """Have the next scan find these journals, which have just got something."""
        self._source.look_again(names)

    def path_of(self, name: str) -> JournalPath:
        """Return a journal that was found by its name. Raises KeyError where it is gone."""
        return self._source.path_of(name)

    def state(self, journal: JournalPath) -> JournalState:
        """Return how a journal is now. Raises OSError where that cannot be told."""
        return self._source.state(journal)

    def open(self, path: str) -> JournalBytes:
        """Open a journal by `JournalPath.path`. Raises OSError where it cannot be read."""
        return self._source.open(path)


def _hidden(decisions: Decisions, found: Mapping[str, JournalPath]) -> set[str]:
    folders: dict[str, list[str]] = {folder: [] for folder in decisions.by_folder}
    for name in found:
        journals = folders.get(name.rpartition("/")[0])
        if journals is not None:
            journals.append(name)
    return {name for folder, journals in folders.items() for name in decisions.hidden(folder, journals)}
