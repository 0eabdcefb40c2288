"""Files on this machine that are to go into a version: which, under which names, and whether they stay the same."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import UsageError
from ..file_names import check_file_name

_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
Stamp = tuple[int, int, int, int, int]  # device, inode, size in bytes, times of change of content and of status in ns


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that is to go into a version.

    Attributes:
        path: where it is, absolute.
        name: its name in the version.
        stamp: which file it was, in which state, when it was added.
        is_ours: whether it was made for the version and goes with it.
    """

    path: str
    name: str
    stamp: Stamp
    is_ours: bool = False

    @property
    def size_bytes(self) -> int:
        return self.stamp[2]

    def is_unchanged(self) -> bool:
        """Say whether the file is the one that was added."""
        try:
            return stamp_of(os.stat(self.path)) == self.stamp
        except OSError:
            return False


def local_file(path: str | os.PathLike[str], name: str | None, where: str, is_ours: bool = False) -> LocalFile:
    """Return a file that is to go into a version; a link that the caller names is followed.

    Raises:
        UsageError: it is not there or no regular file, or the name is not valid.
    """
    given = _path_text(path, where)
    absolute = os.path.abspath(given)
    try:
        status = os.stat(absolute)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(where, f"{given!a:.300}: {reason}", "a file that can be read", "check the path") from None
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular(where, given, status.st_mode)
    checked = check_file_name(os.path.basename(absolute) if name is None else name, f"{where}, name")
    return LocalFile(absolute, checked, stamp_of(status), is_ours)


def files_below(folder: str | os.PathLike[str], prefix: str | None, where: str) -> list[LocalFile]:
    """Return all files below a folder, by name. Links to files are followed, links to folders only within it.

    Raises:
        UsageError: it is no folder, holds what is no file, or a link leads out of it or round in a circle.
    """
    given = _path_text(folder, where)
    root = os.path.abspath(given)
    if not os.path.isdir(root):
        remedy = "add_file() takes a single file" if os.path.exists(root) else "check the path"
        raise UsageError(where, f"{given!a:.300}, which is no folder", "a folder", remedy)
    start = "" if prefix is None else check_file_name(prefix.strip("/"), f"{where}, name") + "/"
    real_root = os.path.realpath(root)
    return [local_file(path, start + name, where) for path, name in sorted(_walk(root, "", (real_root,), where))]


def stamp_of(status: os.stat_result) -> Stamp:
    """Return what tells whether a file is still the one that it was."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _walk(folder: str, start: str, above: tuple[str, ...], where: str) -> Iterator[tuple[str, str]]:
    """Yield (path, name with '/') of the files; `above` are the real paths of the root and of where we are."""
    try:
        items = list(os.scandir(folder))
    except OSError as error:
        got = f"{folder!a:.300}: {error.strerror}"
        raise UsageError(where, got, "folders that can be read", "check their permissions") from None
    for item in items:
        name = f"{start}{item.name}"
        if os.path.isdir(item.path):
            check_file_name(name, where)  # before going down where no name could be right any more
            inner = above
            if item.is_symlink():
                inner = (*above, _checked_link(item.path, above, where))
            elif len(above) > 1:
                inner = (*above, os.path.realpath(item.path))
            yield from _walk(item.path, f"{name}/", inner, where)
        else:
            yield item.path, name


def _checked_link(path: str, above: tuple[str, ...], where: str) -> str:
    target = os.path.realpath(path)
    root = above[0]
    if not target.startswith(root.rstrip(os.sep) + os.sep):
        got = f"{path!a:.300}, a link to the folder {target!a:.300} outside of what is added"
        raise UsageError(where, got, "links that stay within the folder", "add that folder too, with a name of its own")
    here = os.path.realpath(os.path.dirname(path)) + os.sep
    if here.startswith(target + os.sep) or target in above:
        got = f"{path!a:.300}, a link to a folder that it is in"
        raise UsageError(where, got, "no links round in a circle", "remove the link")
    return target


def _not_regular(where: str, path: str, mode: int) -> UsageError:
    kind = _KINDS.get(stat.S_IFMT(mode), "a device")
    remedy = "add_dir() takes a folder" if stat.S_ISDIR(mode) else "save its content as a file"
    return UsageError(where, f"{path!a:.300}, which is {kind}", "a regular file", remedy)


def _path_text(path: object, where: str) -> str:
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str) or not text:
        got = f"{path!r:.200} of type {type(path).__name__}"
        raise UsageError(where, got, "a path", "pass a text or pathlib.Path")
    return os.path.expanduser(text) if text.startswith("~") else text
