"""Copy a file whole, find its digest, tell whether it has changed."""

from __future__ import annotations

import contextlib
import os
import stat

_COPY_BYTES = 1 << 20
Version = tuple[int, int, int, int]  # device, inode, size in bytes, time of change in ns: of a file at one moment


def refuse_unless_regular(status: os.stat_result) -> None:
    """Raise ValueError for what is no regular file."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"it is {kinds.get(stat.S_IFMT(status.st_mode), 'a device')}, not a regular file")


def copy_bytes(source_fd: int, target_fd: int, n_bytes: int, max_bytes: int) -> None:
    """Copy a file from its beginning, by the file system where it can share or copy the blocks itself."""
    done = _copy_in_kernel(source_fd, target_fd, n_bytes) if hasattr(os, "copy_file_range") else 0
    os.lseek(source_fd, done, os.SEEK_SET)
    os.lseek(target_fd, done, os.SEEK_SET)
    while data := os.read(source_fd, _COPY_BYTES):  # to the end, which may have moved
        done += len(data)
        if max_bytes and done > max_bytes:
            raise ValueError("it grew beyond what the setting file_max_mib allows")
        while data:
            data = data[os.write(target_fd, data) :]


def _copy_in_kernel(source_fd: int, target_fd: int, n_bytes: int) -> int:
    """Return how many bytes the kernel has copied; a file system that cannot, copies none."""
    done = 0
    while done < n_bytes:
        try:
            n_copied = os.copy_file_range(source_fd, target_fd, min(n_bytes - done, 64 << 20), done, done)
        except OSError:
            break
        if n_copied == 0:
            break
        done += n_copied
    return done


def write_new(path: str, data: bytes) -> None:
    """Write bytes to a file that is not there yet."""
    with open(path, "xb") as file:
        file.write(data)


def digest_of(data: bytes) -> str:
    """Return the BLAKE3 of bytes, hexadecimal."""
    from blake3 import blake3

    return blake3(data).hexdigest()


def digest_at(path: str) -> tuple[str, int]:
    """Return the BLAKE3 of a file, hexadecimal, and its size in bytes."""
    from blake3 import blake3

    hasher, size_bytes = blake3(), 0
    with open(path, "rb", buffering=0) as file:
        while data := file.read(_COPY_BYTES):
            hasher.update(data)
            size_bytes += len(data)
    return hasher.hexdigest(), size_bytes


def version_of(status: os.stat_result) -> Version:
    """Return what changes when a file does."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def version_at(path: str) -> Version | None:
    """Return the version of the file at a path, None where there is none."""
    try:
        return version_of(os.stat(path))
    except OSError:
        return None


def size_at(path: str) -> int:
    """Return the size of the file at a path, -1 where there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def remove(path: str) -> None:
    """Remove a file; nothing where that cannot be."""
    with contextlib.suppress(OSError):
        os.unlink(path)
