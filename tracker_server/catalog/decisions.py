"""What was decided about runs, and which journals are therefore not shown. Pure."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from tracker_core.errors import TrackerError
from tracker_core.paths import JOURNAL_SUFFIX

from ..runs.run_states import LAUNCHER_WRITER, PRIMARY_WRITER

if TYPE_CHECKING:
    from ..runs.run_view import RunView

RunKey = tuple[str, str]
_OWN_WRITERS = (PRIMARY_WRITER, LAUNCHER_WRITER)


class CatalogError(TrackerError):
    """The catalog could not be read or written. Says where, what was got, what was expected, and the remedy."""

    def __init__(self, where: str, got: str, expected: str, remedy: str) -> None:
        super().__init__(where, got, expected, remedy)
        self.where, self.got, self.expected, self.remedy = where, got, expected, remedy

    def __str__(self) -> str:
        return f"{self.where}: got {self.got}, expected {self.expected}. Remedy: {self.remedy}."


class CatalogVersionError(CatalogError):
    """The catalog is of a newer version."""


class CatalogDamagedError(CatalogError):
    """The catalog is damaged."""


class Stage(StrEnum):
    """How far the removal of a deleted run is; see `store_catalog_schema`."""

    TRASH = "trash"
    EMPTYING = "emptying"
    EMPTIED = "emptied"


@dataclass(frozen=True, slots=True)
class By:
    """Who decides something, when and why. `at_ns` is in ns since the Unix epoch."""

    who: str
    at_ns: int
    why: str = ""


def by_me(why: str = "") -> By:
    """Return the user of this process, now."""
    try:
        who = getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user, as in some containers
        who = f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
    return By(who[:200], time.time_ns(), why[:2000])


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A deleted run, with the journals that it had then.

    Attributes:
        project, run_id, name, state: of the run when it was deleted.
        folder: of the run, below `runs`, with forward slashes.
        journals: their paths below `runs`.
        attempt: the highest attempt that there was.
        is_open: whether a process may still have been writing to it.
        by: who deleted it, when and why.
        number: 0 until it is in the catalog.
    """

    project: str
    run_id: str
    folder: str
    journals: frozenset[str]
    attempt: int
    name: str
    state: str
    is_open: bool
    by: By
    stage: Stage = Stage.TRASH
    number: int = 0

    @property
    def key(self) -> RunKey:
        return self.project, self.run_id


def tombstone_of(view: RunView, by: By) -> Tombstone:
    """Return what deletes a run as it is seen now."""
    folder = "/".join(view.journals[0].split("/")[:2])
    return Tombstone(
        view.project,
        view.id,
        folder,
        frozenset(f"{folder}/{one.writer}.{one.session}{JOURNAL_SUFFIX}" for one in view.sessions),
        view.attempt,
        view.name,
        view.state,
        view.state == "running" or any(one.ended_ns is None for one in view.sessions),
        by,
    )


@dataclass(frozen=True, slots=True)
class Stop:
    """A run was asked to stop: the `sessions` that wrote to it then. `withdrawn_ns` is None while that holds."""

    sessions: frozenset[str]
    by: By
    withdrawn_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Decisions:
    """All decisions that hold now. Thread-safe: never changed."""

    tombstones: tuple[Tombstone, ...] = ()
    archived: Mapping[RunKey, By] = field(default_factory=dict)
    stops: Mapping[RunKey, Stop] = field(default_factory=dict)
    by_folder: Mapping[str, Sequence[Tombstone]] = field(init=False)

    def __post_init__(self) -> None:
        by_folder: dict[str, list[Tombstone]] = {}
        for one in self.tombstones:
            by_folder.setdefault(one.folder, []).append(one)
        object.__setattr__(self, "by_folder", by_folder)

    def hidden(self, folder: str, journals: Collection[str]) -> set[str]:
        """Return which journals of a run's folder, paths below `runs`, belong to a deleted run.

        Those that it had when it was deleted, and those of processes that joined it later: they have no primary writer
        of their own.
        """
        if folder not in self.by_folder:
            return set()
        deleted = {name for one in self.by_folder[folder] for name in one.journals}
        others = [name for name in journals if name not in deleted]
        if any(_writer_of(name) in _OWN_WRITERS for name in others):
            return deleted.intersection(journals)
        return set(journals)

    def in_trash(self) -> list[Tombstone]:
        """Return the runs that can be undeleted, the latest deleted first."""
        found = [one for one in self.tombstones if one.stage is Stage.TRASH]
        return sorted(found, key=lambda one: (-one.by.at_ns, one.key))


def _writer_of(journal: str) -> str:
    """Return the writer in the path of a journal: its file is named <writer>.<session>.journal."""
    return journal.rpartition("/")[2].removesuffix(JOURNAL_SUFFIX).rpartition(".")[0]
