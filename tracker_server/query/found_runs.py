"""The runs of a folder for one search: those in memory, and where in the store the others are found."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ..runs.run_search import NO_SETTLED_RUNS, SettledRuns
from ..runs.run_view import RunView
from ..store.store_connection import StoreConnection
from ..store.store_search import settled_search

# Whether archived runs are among those that are found.
Archived: TypeAlias = bool | Literal["only"]
RunKey: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class FoundRuns:
    """Runs of one project, or of all; to be used within the block that `LocalFolder.found` opens.

    Attributes:
        project: whose runs; None for all projects.
        live: the runs in memory, in no order.
        environments: what each of these was run on, by project and id.
        connection: where the others are, None where there are none.
        without: runs in the store that do not count.
        only: the only runs in the store that count, None where all do.
    """

    project: str | None
    live: list[RunView]
    environments: Mapping[RunKey, Mapping[str, Any]]
    connection: StoreConnection | None
    without: AbstractSet[RunKey]
    only: AbstractSet[RunKey] | None

    def environment_of(self, view: RunView) -> Mapping[str, Any]:
        """Return what a run in memory was run on."""
        return self.environments[view.project, view.id]

    def settled(self) -> SettledRuns:
        """Return the others as `run_search` takes them."""
        if self.connection is None:
            return NO_SETTLED_RUNS
        return settled_search(self.connection, self.project, self.without, self.only)
