"""How artifacts and the registry reach the catalog's database: one transaction for each thing asked or decided."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Callable
from typing import TypeVar

from tracker_core.errors import NotFoundError, UsageError
from tracker_core.paths import make_folder

from ..catalog.decisions import By, by_me
from ..store.store_artifacts import has_artifacts
from ..store.store_catalog import CatalogDatabase
from ..store.store_catalog_file import CatalogFile
from ..store.store_connection import StoreConnection
from .artifact_checks import check_why

T = TypeVar("T")
_MAX_WHO_CHARS = 200


class ArtifactCatalog:
    """The tables of artifacts and of the registry. Safe between processes and threads: nothing is kept open.

    Args:
        database: where they are.
        folder: the tracker folder.
        who: who decides. Default: the user of this process.
    """

    def __init__(self, database: CatalogDatabase, folder: str, who: str | None = None) -> None:
        self.database, self.folder = database, folder
        self._who = who

    def as_user(self, who: str) -> ArtifactCatalog:
        """Return the same for another one who decides."""
        other = copy.copy(self)
        other._who = who
        return other

    def read(self, work: Callable[[StoreConnection], T], empty: T) -> T:
        """Return what `work` returns within one read transaction, `empty` where there is nothing yet."""
        found = self.database.read(lambda connection: (work(connection),) if has_artifacts(connection) else None)
        return empty if found is None else found[0]

    def find(self, work: Callable[[StoreConnection], T], sought: str) -> T:
        """Return what `work` returns within one read transaction; raises NotFoundError where there is nothing yet."""
        try:
            found = self.database.read(lambda connection: (work(connection),) if has_artifacts(connection) else None)
        except UnicodeEncodeError:
            raise NotFoundError(f"there is no {sought!a}: that is no valid text") from None
        if found is None:
            raise NotFoundError(f"there is no {sought}: nothing was logged as an artifact in {self.folder}")
        return found[0]

    def write(self, work: Callable[[StoreConnection, By], T], why: str = "") -> T:
        """Return what `work` returns within one transaction, committed for good; it gets who decides, when and why."""
        by = self.by(why)
        self.make_folder()
        try:
            return self.database.write(lambda connection: work(connection, by))
        except UnicodeEncodeError as error:
            got = f"{error.object!a:.100}"
            raise UsageError("artifact", got, "valid Unicode text", "remove its lone surrogates") from None

    def make_folder(self) -> None:
        """Make the tracker folder where the catalog is to be a file of it."""
        if isinstance(self.database, CatalogFile) and not os.path.isdir(self.folder):
            make_folder(self.folder)

    def by(self, why: str = "") -> By:
        """Return who decides now, and why; raises UsageError where the reason is too long."""
        mine = by_me(check_why(why))
        return mine if not self._who else dataclasses.replace(mine, who=self._who[:_MAX_WHO_CHARS])
