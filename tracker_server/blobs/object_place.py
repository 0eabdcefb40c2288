"""Packs in an object store: S3 and what speaks its language, Google Cloud Storage, Azure.

Tested against moto's S3 server. The two others go the same way and are not tested.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tracker_core.errors import UsageError

from .pack_place import PACK_SUFFIX, StoredPack, is_pack_id, new_pack_id, pack_path

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_SCHEMES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl", "file")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "GOOGLE_BASE_URL")
_PART_BYTES, _N_PARTS_AT_ONCE = 8 << 20, 4
_IN_MEMORY_BYTES = 8 << 20
# Of one part, over a line of 100 kB/s.
_REQUEST_TIMEOUT_S, _CONNECT_TIMEOUT_S, _RETRY_S, _N_RETRIES = 120, 10, 120, 5
_QUERY = re.compile(r"\?[^\s\"'<>]*")


class ObjectPack:
    """A pack that is put together here and sent whole, in parts that go side by side. Not thread-safe."""

    def __init__(self, store: ObjectStore, folder: str, pack_id: str) -> None:
        self.pack_id = pack_id
        self._store = store
        self._path = pack_path(folder, pack_id)
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        self._file.write(data)

    def seal(self) -> None:
        """Send the pack. When the store has answered it is there for good."""
        import obstore

        self._file.seek(0)
        with _as_os_error():
            options: dict[str, Any] = {"chunk_size": _PART_BYTES, "max_concurrency": _N_PARTS_AT_ONCE}
            obstore.put(self._store, self._path, self._file, **options)
        self._file.close()

    def discard(self) -> None:
        """Forget what was written."""
        with contextlib.suppress(OSError):
            self._file.close()


class ObjectPlace:
    """Packs in an object store. Thread-safe; not to be taken along by a fork.

    Args:
        url: such as "s3://bucket/prefix"; keys and the address of a server come from the variables of the environment
            that the store's own tools read (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, ...).

    Raises:
        UsageError: the address is none of a store that is known.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        remedy = "set blobs_url to such an address, or leave it away to keep the bytes in the folder"
        if parts.scheme not in _SCHEMES or not (parts.netloc or parts.scheme == "file") or parts.query or "@" in url:
            got = f"the address {_QUERY.sub('', url)!r:.200}" if "@" not in url else "an address with a user's name"
            raise UsageError("blobs_url", got, "s3://bucket/prefix, gs://... or az://...", remedy)
        self._url = url
        self._store: ObjectStore | None = None
        self._opening = threading.Lock()

    @property
    def place(self) -> str:
        return self._url

    def new_pack(self, folder: str) -> ObjectPack:
        """Begin a pack."""
        return ObjectPack(self._opened(), folder, new_pack_id())

    def read_ranges(self, folder: str, pack_id: str, ranges: Sequence[tuple[int, int]]) -> Iterator[bytes]:
        """Yield the bytes at each (offset, size in bytes); those near one another come by one request."""
        import obstore

        starts, lengths = [offset for offset, _ in ranges], [size_bytes for _, size_bytes in ranges]
        with _as_os_error():
            found = obstore.get_ranges(self._opened(), pack_path(folder, pack_id), starts=starts, lengths=lengths)
        for one in found:
            yield bytes(one)

    def size_bytes(self, folder: str, pack_id: str) -> int:
        """Return the size of a pack."""
        import obstore

        with _as_os_error():
            return obstore.head(self._opened(), pack_path(folder, pack_id))["size"]

    def projects(self) -> list[str]:
        """Return the names of the folders of projects."""
        import obstore

        with _as_os_error():
            found = obstore.list_with_delimiter(self._opened())["common_prefixes"]
        return sorted(prefix.strip("/") for prefix in found)

    def packs(self, folder: str) -> Iterator[StoredPack]:
        """Yield the packs of a project."""
        import obstore

        with _as_os_error():
            found = [one for part in obstore.list(self._opened(), f"{folder}/packs") for one in part]
        for one in found:
            pack_id = one["path"].rpartition("/")[2].removesuffix(PACK_SUFFIX)
            if is_pack_id(pack_id) and one["path"] == pack_path(folder, pack_id):
                changed_ns = one["last_modified"].timestamp() * 1e9
                yield StoredPack(pack_id, one["size"], int(changed_ns))

    def stray(self, folder: str) -> Iterator[tuple[str, int]]:
        """Yield nothing: what was not sent to its end cannot be seen. A rule of the bucket removes such parts."""
        del folder
        return iter(())

    def remove(self, folder: str, pack_id: str) -> None:
        """Remove a pack."""
        import obstore

        with contextlib.suppress(FileNotFoundError), _as_os_error():
            obstore.delete(self._opened(), pack_path(folder, pack_id))

    def remove_stray(self, folder: str, name: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Let go of connections."""
        self._store = None

    def _opened(self) -> ObjectStore:
        with self._opening:
            if self._store is None:
                self._store = _open(self._url)
            return self._store


def _open(url: str) -> ObjectStore:
    from obstore.store import from_url

    # A server that somebody names without TLS, such as one's own on the same machine, is meant.
    is_plain = any(os.environ.get(name, "").startswith("http://") for name in _ENDPOINTS)
    options: Any = {
        "timeout": timedelta(seconds=_REQUEST_TIMEOUT_S),
        "connect_timeout": timedelta(seconds=_CONNECT_TIMEOUT_S),
        "allow_http": is_plain,
    }
    retries: Any = {"max_retries": _N_RETRIES, "retry_timeout": timedelta(seconds=_RETRY_S)}
    with _as_os_error():
        if url.startswith("file:"):
            return from_url(url, mkdir=True)
        return from_url(url, client_options=options, retry_config=retries)


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    """Raise OSError for what the store did not do."""
    from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

    try:
        yield
    except BaseError as error:
        code = errno.EACCES if isinstance(error, (PermissionDeniedError, UnauthenticatedError)) else errno.EIO
        text = _QUERY.sub("?...", str(error)).partition("\n")[0]
        raise OSError(code, f"the object store refused or did not answer: {text:.500}") from None
