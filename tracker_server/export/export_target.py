"""Where an export goes: a folder that appears whole or not at all, or an address of an object store."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol

import msgspec

from tracker_core.errors import UsageError

from ..store.store_lock import try_store_lock
from .export_formats import MissingLibraryError

# Names that readers of data sets pass over.
SUCCESS, DESCRIPTION, DONE = "_SUCCESS", "_tracker_export.json", "_done.jsonl"
_WHERE = "export --parquet"


class ExportTarget(Protocol):
    """Takes the files of an export. Not thread-safe."""

    def begin(self, description: bytes, overwrite: bool) -> None:
        """Make room. Raises UsageError where something is there that must not be replaced."""

    def is_done(self, part: str, content: str) -> bool:
        """Say whether an earlier call that was broken off has written a part with this content."""

    def set_done(self, part: str, content: str) -> None:
        """Remember that a part is written whole."""

    def open(self, path: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """Open a file to write, by its path with forward slashes; it appears whole when the block has ended well."""

    def remove(self, path: str) -> None:
        """Remove a file that may not be there."""

    def end(self, wanted: set[str]) -> None:
        """Show the export as complete; of what an earlier call wrote only these files are kept."""


def target_of(where: str) -> ExportTarget:
    """Return the target that a path or URL names.

    Raises:
        UsageError: nothing here can write to such an address.
        MissingLibraryError: what could is not installed.
    """
    scheme, separator, rest = where.partition("://")
    if separator and scheme == "file":
        return LocalTarget(rest)
    if separator and len(scheme) > 1:
        return RemoteTarget(where, *_file_system(where))
    return LocalTarget(where)


class LocalTarget:
    """A folder. It is written beside itself, as FOLDER.partial, and gets its name at the end."""

    def __init__(self, folder: str) -> None:
        self._final = os.path.abspath(os.path.expanduser(folder))
        self._staging = f"{self._final}.partial"
        self._before = f"{self._final}.before"
        self._done: dict[str, str] = {}
        self._locked = contextlib.ExitStack()

    def begin(self, description: bytes, overwrite: bool) -> None:
        """Go on with a call that was broken off and was asked the same, or begin anew."""
        if os.path.lexists(self._final) and not _is_empty(self._final):
            _check_replaceable(self._final, os.path.isfile(os.path.join(self._final, DESCRIPTION)), overwrite)
        os.makedirs(self._staging, exist_ok=True)
        if not self._locked.enter_context(try_store_lock(f"{self._staging}.lock")):
            raise UsageError(_WHERE, f"{self._final}, which another process exports to", "a free folder", "wait for it")
        path = os.path.join(self._staging, DESCRIPTION)
        if not os.path.isfile(path) or _content(path) != description:
            shutil.rmtree(self._staging)
            os.makedirs(self._staging)
            _write(path, description)
        self._done = dict(_read_done(os.path.join(self._staging, DONE)))

    def is_done(self, part: str, content: str) -> bool:
        return self._done.get(part) == content

    def set_done(self, part: str, content: str) -> None:
        with open(os.path.join(self._staging, DONE), "ab") as file:
            file.write(msgspec.json.encode([part, content]) + b"\n")

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        final = os.path.join(self._staging, *path.split("/"))
        os.makedirs(os.path.dirname(final), exist_ok=True)
        try:
            with open(f"{final}.part", "wb") as file:
                yield file
            os.replace(f"{final}.part", final)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(f"{final}.part")
            raise

    def remove(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._staging, *path.split("/")))

    def end(self, wanted: set[str]) -> None:
        self._keep_only(wanted)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._staging, DONE))
        _write(os.path.join(self._staging, SUCCESS), b"")
        shutil.rmtree(self._before, ignore_errors=True)
        if os.path.lexists(self._final):
            os.rename(self._final, self._before)
        os.rename(self._staging, self._final)
        shutil.rmtree(self._before, ignore_errors=True)
        self._locked.close()
        with contextlib.suppress(OSError):
            os.unlink(f"{self._staging}.lock")

    def _keep_only(self, wanted: set[str]) -> None:
        for folder, _, names in os.walk(self._staging, topdown=False):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), self._staging).replace(os.sep, "/")
                if "/" in path and path not in wanted:
                    os.unlink(os.path.join(folder, name))
            with contextlib.suppress(OSError):  # not empty
                os.rmdir(folder)


class RemoteTarget:
    """An address of an object store, where a file appears when it is closed. Nothing is gone on with there.

    Args:
        address: as given.
        files: a `pyarrow.fs.FileSystem`.
        path: the address's path in it.
    """

    def __init__(self, address: str, files: Any, path: str) -> None:
        self._address = address
        self._files = files
        self._path = path.rstrip("/")
        self._fs = importlib.import_module("pyarrow.fs")

    def begin(self, description: bytes, overwrite: bool) -> None:
        selector = self._fs.FileSelector(self._path, allow_not_found=True, recursive=True)
        names = {os.path.basename(info.path) for info in self._files.get_file_info(selector)}
        if names:
            is_ours = DESCRIPTION in names
            _check_replaceable(self._address, is_ours, overwrite or (is_ours and SUCCESS not in names))
            # What is complete no more must not seem so.
            self.remove(SUCCESS)
            self._files.delete_dir_contents(self._path)
        with self.open(DESCRIPTION) as file:
            file.write(description)

    def is_done(self, part: str, content: str) -> bool:
        return False

    def set_done(self, part: str, content: str) -> None: ...

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        full = f"{self._path}/{path}"
        self._files.create_dir(full.rpartition("/")[0], recursive=True)
        stream = self._files.open_output_stream(full)
        try:
            yield stream
        except BaseException:
            # An upload that is only let go of may end as if it were whole.
            with contextlib.suppress(OSError):
                stream.close()
                self.remove(path)
            raise
        stream.close()

    def remove(self, path: str) -> None:
        if self._files.get_file_info(f"{self._path}/{path}").type != self._fs.FileType.NotFound:
            self._files.delete_file(f"{self._path}/{path}")

    def end(self, wanted: set[str]) -> None:
        with self.open(SUCCESS):
            pass


def _file_system(address: str) -> tuple[Any, str]:
    """Return a `pyarrow.fs.FileSystem` and a path in it: pyarrow's own, or one of fsspec's."""
    shown = address.partition("://")[0] + "://"
    try:
        fs = importlib.import_module("pyarrow.fs")
        arrow = importlib.import_module("pyarrow")
    except ImportError as error:
        raise MissingLibraryError("--parquet needs pyarrow; install it with: pip install pyarrow") from error
    try:
        files, path = fs.FileSystem.from_uri(address)
        return files, path
    except (arrow.ArrowInvalid, arrow.ArrowNotImplementedError, ValueError, OSError) as error:
        reason = str(error)
    try:
        fsspec = importlib.import_module("fsspec.core")
        files, path = fsspec.url_to_fs(address)
        return fs.PyFileSystem(fs.FSSpecHandler(files)), path
    except ImportError as error:
        remedy = f"install fsspec with the file system of {shown}, or export to a folder and copy it"
        raise UsageError(_WHERE, f"{shown} ({error})", "an address that pyarrow or fsspec writes to", remedy) from error
    except (ValueError, OSError) as error:
        remedy = "write s3://, gs:// or abfs://, or export to a folder and copy it"
        raise UsageError(
            _WHERE, f"{shown} ({reason or error})"[:300], "an address that can be written", remedy
        ) from error


def _check_replaceable(where: str, is_ours: bool, overwrite: bool) -> None:
    if not is_ours:
        remedy = "name another folder; what this program did not export it never removes"
        raise UsageError(_WHERE, f"{where}, which holds something else", "a new or an empty folder", remedy)
    if not overwrite:
        remedy = "name another folder, or replace the export with --overwrite"
        raise UsageError(_WHERE, f"{where}, which holds an export already", "a new or an empty folder", remedy)


def _is_empty(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path) and not os.listdir(path)


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)


def _read_done(path: str) -> Iterator[tuple[str, str]]:
    """Yield what was written whole; a last line that a kill cut off counts as none."""
    try:
        lines = _content(path).split(b"\n")
    except FileNotFoundError:
        return
    for line in lines:
        with contextlib.suppress(msgspec.DecodeError):
            part, content = msgspec.json.decode(line, type=tuple[str, str])
            yield part, content
