"""The catalog of a tracker folder, in `catalog.sqlite`: who may write it, and what becomes of a damaged one.

A read-write connection exists only while `catalog.lock` is held. The file is the truth: it is never removed.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, inspect, select
from sqlalchemy.exc import DatabaseError

from ..catalog.decisions import CatalogDamagedError, CatalogError, CatalogVersionError
from .store_artifact_schema import metadata
from .store_catalog_schema import CATALOG_VERSION, EARLIER_VERSIONS, catalog_info
from .store_dialect import upsert
from .store_lock import wait_for_store_lock
from .store_sqlite import rollback_connection

T = TypeVar("T")
LOCK_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 5.0
# SQLite counts every change in the header of the file.
_COUNTER = slice(24, 28)


class CatalogFile:
    """The catalog's file. Safe between processes and threads: nothing is kept open.

    Args:
        folder: the tracker folder.
        timeout_s: how long to wait for others that write.
    """

    def __init__(self, folder: str, timeout_s: float = LOCK_TIMEOUT_S) -> None:
        self.place = os.path.join(folder, "catalog.sqlite")
        self._lock_path = os.path.join(folder, "catalog.lock")
        self._timeout_s = timeout_s

    def stamp(self) -> object:
        """Return what differs after every change; None where there is no catalog. Takes some microseconds."""
        try:
            with open(self.place, "rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                counter = file.read(_COUNTER.stop)[_COUNTER]
                return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, counter
        except OSError:
            return None

    def read(self, work: Callable[[Connection], T], wait_s: float | None = None) -> T | None:
        """Return what `work` returns within one read transaction; None where there is no catalog yet.

        Args:
            work: reads.
            wait_s: about how long to wait for one that writes. Default: as long as a write waits.

        Raises:
            CatalogError: it cannot be read, or is of a newer version.
        """
        if not os.path.exists(self.place):
            return None
        timeout_s = self._timeout_s if wait_s is None else wait_s
        try:
            return self._read_once(work, timeout_s)
        except DatabaseError as error:
            if not os.path.exists(f"{self.place}-journal"):
                raise self._unreadable(error) from error
        # A write was broken off by a kill. Opening the file for writing takes back the half of it that was done.
        self._write(lambda _: None, timeout_s)
        try:
            return self._read_once(work, timeout_s)
        except DatabaseError as error:
            raise self._unreadable(error) from error

    def _read_once(self, work: Callable[[Connection], T], timeout_s: float) -> T | None:
        with rollback_connection(self.place, is_writer=False, timeout_s=min(timeout_s, _READ_TIMEOUT_S)) as connection:
            if not inspect(connection).has_table(catalog_info.name):
                return None
            self._check_version(connection)
            return work(connection)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returns within one transaction that is on the device afterwards, with the lock held.

        Raises:
            CatalogError: others have the lock for too long, the folder cannot be written, the file is damaged, or it
                is of a newer version. Nothing was changed.
        """
        return self._write(work, self._timeout_s)

    def _write(self, work: Callable[[Connection], T], timeout_s: float) -> T:
        try:
            with wait_for_store_lock(self._lock_path, timeout_s) as is_held:
                if not is_held:
                    raise self._busy(timeout_s)
                with rollback_connection(self.place, is_writer=True) as connection:
                    self._ensure_schema(connection)
                    return work(connection)
        except DatabaseError as error:
            raise self._unwritable(error) from error
        except OSError as error:
            raise self._read_only(str(error)) from error

    def _ensure_schema(self, connection: Connection) -> None:
        version: str | None = None
        if inspect(connection).has_table(catalog_info.name):
            version = self._check_version(connection)
        if version == CATALOG_VERSION:
            return
        metadata.create_all(connection)  # those that are not there
        row = {"name": "version", "value": CATALOG_VERSION}
        upsert(connection, catalog_info, [row], ["name"], ["value"])

    def _check_version(self, connection: Connection) -> str:
        query = select(catalog_info.c.value).where(catalog_info.c.name == "version")
        version = connection.execute(query).scalar()
        if version != CATALOG_VERSION and version not in EARLIER_VERSIONS:
            expected = f"one up to version {CATALOG_VERSION}, which this program knows"
            remedy = "update the tracker here to the version that made it; nothing was changed"
            raise CatalogVersionError(self.place, f"a catalog of version {version}", expected, remedy)
        return str(version)

    # -- errors

    def _unreadable(self, error: DatabaseError) -> CatalogError:
        return self._damaged(error) or CatalogError(
            self.place, f"an error of SQLite: {error.orig}", "a catalog that can be read", "try again"
        )

    def _unwritable(self, error: DatabaseError) -> CatalogError:
        text = str(error.orig)
        if "readonly" in text or "unable to open" in text:
            return self._read_only(text)
        if "locked" in text:
            return self._busy(self._timeout_s)
        if "full" in text:
            return CatalogError(self.place, "a full disk", "room for some kilobytes", "free space and try again")
        return self._unreadable(error)

    def _busy(self, waited_s: float) -> CatalogError:
        got = f"a lock that another process held for {waited_s:g} s"
        remedy = f"try again; if that does not help, end the process that has {self._lock_path} open (fuser names it)"
        return CatalogError(self.place, got, "to write the decision", remedy)

    def _read_only(self, reason: str) -> CatalogError:
        remedy = "do this as a user who may write there, or make the folder writable"
        return CatalogError(self.place, f"a folder that cannot be written ({reason})", "a writable folder", remedy)

    def _damaged(self, error: DatabaseError) -> CatalogError | None:
        """Return the error for a damaged file, of which a copy is kept aside; None where it is not damaged."""
        text = str(error.orig)
        if "malformed" not in text and "not a database" not in text:
            return None
        remedy = (
            f"put a backup in its place. Without one remove it: runs in the trash then show again, and none is lost"
            f"{self._kept_aside()}"
        )
        return CatalogDamagedError(self.place, f"a damaged file ({text})", "a catalog", remedy)

    def _kept_aside(self) -> str:
        """Copy the damaged file once, by its time of change, and say where it is."""
        try:
            moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(os.stat(self.place).st_mtime))
            copy = self.place.removesuffix(".sqlite") + f"-damaged-{moment}.sqlite"
            if not os.path.exists(copy):
                shutil.copy2(self.place, f"{copy}.part")
                os.replace(f"{copy}.part", copy)
        except OSError:
            return ""
        return f"; a copy of the damaged one is {copy}"
