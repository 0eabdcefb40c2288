"""Checks of the tracker folder: where it is and why, whether it can be written, and whether what is in it is whole."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

from tracker_core.journal_reader import JournalReader
from tracker_core.paths import FOLDER_NAME, fallback_folder, find_folder

from ..ingest.journal_scan import JournalScan
from ..ingest.journal_source import JournalPath
from ..store.store_connection import IndexUnreadableError
from ..store.store_lock import try_store_lock
from ..store.store_read import IndexReader
from ..store.store_sqlite import file_version, is_newer
from .doctor_catalog import check_catalog
from .doctor_finding import Finding, fault, ok, warning

_LITTLE_BYTES, _LEAST_BYTES = 1 << 30, 100 << 20
_LITTLE_FILES, _LEAST_FILES = 10_000, 100
_CHECK_S = 10.0
_READ_BYTES = 4 << 20
_CLOCK_MAX_S = 5.0
_WRITE_MAX_S = 10.0
_NETWORK = frozenset(
    "nfs nfs4 cifs smb smb2 smb3 smbfs lustre gpfs beegfs ceph glusterfs fuse.glusterfs fuse.sshfs fuse.ceph afs 9p "
    "wekafs pvfs2 orangefs fuse.s3fs fuse.gcsfuse fuse.goofys fuse.rclone webdav davfs fuse.davfs2 vboxsf".split()
)
_VOLATILE = frozenset(["tmpfs", "ramfs"])


def check_folder(explicit: str | None, from_setting: str | None) -> Iterator[Finding]:
    """Check the folder that `--dir`, or the setting `dir`, or the working directory leads to."""
    folder = find_folder(explicit or from_setting)
    yield _place(folder, explicit, from_setting)
    existing = _nearest_existing(folder)
    if not os.path.isdir(existing):
        yield fault("folder", f"{existing} is a file", "remove it, or name another folder with TRACKER_DIR")
        return
    yield from _check_writable(folder, existing)
    yield from _check_space(existing)
    yield from _check_file_system(existing)
    if os.path.isdir(folder):
        yield from _check_runs(folder)
        yield from _check_index(folder)
        yield from check_catalog(folder)
    yield from _check_fallback(folder)


def _place(folder: str, explicit: str | None, from_setting: str | None) -> Finding:
    if explicit:
        why = "named with --dir"
    elif from_setting:
        why = "named by TRACKER_DIR"
    elif os.path.isdir(folder):
        above = os.path.dirname(folder)
        is_here = os.path.realpath(above) == os.path.realpath(os.curdir)
        why = (
            "the one of the working directory" if is_here else f"the nearest {FOLDER_NAME} above the working directory"
        )
    else:
        why = (
            f"no {FOLDER_NAME} between the working directory and its git root or the home folder; made by the first run"
        )
    return ok("folder", f"{folder}: {why}")


def _nearest_existing(path: str) -> str:
    while not os.path.exists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def _check_writable(folder: str, existing: str) -> Iterator[Finding]:
    """Write a file where runs are written, or where the folder would be made; compare the two clocks by it."""
    place = os.path.join(folder, "runs") if os.path.isdir(os.path.join(folder, "runs")) else existing
    probe = os.path.join(place, f".doctor-{os.getpid()}")
    try:
        with open(probe, "xb") as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
        apart_s = os.stat(probe).st_mtime - time.time()
        os.unlink(probe)
    except OSError as error:
        text = f"{place} cannot be written: {error.strerror}"
        yield fault("folder", text, f"free or unlock it, or set TRACKER_DIR; until then runs go to {fallback_folder()}")
        return
    yield ok("folder", f"{place} can be written")
    if abs(apart_s) > _CLOCK_MAX_S:
        text = f"the file server's clock and this machine's differ by {apart_s:+.0f} s"
        yield warning("clock", text, "set both by NTP; runs may look older or newer than they are")


def _check_space(existing: str) -> Iterator[Finding]:
    free = shutil.disk_usage(existing).free
    text = f"{free / (1 << 30):,.1f} GiB free"
    n_files = _free_files(existing)
    if n_files is not None:
        text += f", {n_files:,} more files"
    remedy = "free space, or set TRACKER_DIR to another disk"
    if free < _LEAST_BYTES or (n_files is not None and n_files < _LEAST_FILES):
        yield fault("disk", text, remedy)
    elif free < _LITTLE_BYTES or (n_files is not None and n_files < _LITTLE_FILES):
        yield warning("disk", text, remedy)
    else:
        yield ok("disk", text)


def _free_files(existing: str) -> int | None:
    """Return how many more files the file system takes, or None where it sets no limit."""
    if not hasattr(os, "statvfs"):
        return None
    status = os.statvfs(existing)
    return status.f_favail if status.f_files else None


def _check_file_system(existing: str) -> Iterator[Finding]:
    kind = file_system_of(existing)
    if not kind:
        return
    if kind in _NETWORK:
        text = f"{kind}, a network file system: journals are safe there, the index is slower"
        yield warning("disk", text, "set TRACKER_DIR to a local disk if the dashboard is slow")
    elif kind in _VOLATILE:
        yield warning("disk", f"{kind}: in memory, gone after a restart", "set TRACKER_DIR to a disk")
    else:
        yield ok("disk", f"file system {kind}")


def file_system_of(path: str) -> str:
    """Return the type of the file system that a path is on, as /proc/self/mountinfo names it, or ""."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return ""
    target = os.path.realpath(path)
    best, kind = "", ""
    for line in lines:
        before, _, behind = line.partition(" - ")
        point = before.split(" ")[4].encode("utf-8", "surrogateescape").decode("unicode_escape", "replace")
        is_above = target == point or target.startswith(point.rstrip("/") + "/")
        if is_above and len(point) >= len(best):  # of several mounts at one place the last one is seen
            best, kind = point, behind.split(" ")[0]
    return kind


def _check_runs(folder: str) -> Iterator[Finding]:
    journals = list(JournalScan(folder).scan().values())
    n_runs = len({(journal.project_dir, journal.run_id) for journal in journals})
    yield ok("runs", f"{n_runs} runs, {len(journals)} journals")
    yield from _check_journals(journals)
    newest = max((_mtime(journal) for journal in journals), default=0.0)
    if newest > time.time() + 60:
        text = f"a journal is dated {newest - time.time():,.0f} s in the future"
        yield warning("clock", text, "set the clock of this machine, or of the one that wrote it, by NTP")


def _check_journals(journals: list[JournalPath]) -> Iterator[Finding]:
    """Read journals, the newest first, for some seconds."""
    until_s = time.monotonic() + _CHECK_S
    n_checked = 0
    damaged = []
    for journal in sorted(journals, key=_mtime, reverse=True):
        if time.monotonic() > until_s:
            break
        n_checked += 1
        if _is_damaged(journal.path):
            damaged.append(journal.name)
    if damaged:
        names = ", ".join(damaged[:5]) + (f" and {len(damaged) - 5} more" if len(damaged) > 5 else "")
        remedy = "tracker journal verify says what is lost; everything else in them is read"
        yield fault("runs", f"{len(damaged)} damaged journals: {names}", remedy)
    elif journals:
        scope = "all journals" if n_checked == len(journals) else f"the newest {n_checked} of {len(journals)} journals"
        yield ok("runs", f"{scope} are intact")


def _mtime(journal: JournalPath) -> float:
    try:
        return os.stat(journal.path).st_mtime
    except OSError:
        return 0.0


def _is_damaged(path: str) -> bool:
    try:
        reader = JournalReader(path)
        while True:
            batch = reader.read(_READ_BYTES)
            if batch.damage:
                return True
            if not batch.n_bytes:
                # What is no whole record yet may be on its way, but not for long.
                return bool(reader.n_tail_bytes) and time.time() - os.stat(path).st_mtime > _WRITE_MAX_S
    except OSError:
        return False  # removed meanwhile, or of another user, which `tracker runs` says


def _check_index(folder: str) -> Iterator[Finding]:
    path = os.path.join(folder, "index.sqlite")
    if os.path.exists(path):
        yield _index_state(folder, path)
    else:
        yield ok("index", "not made yet; the first `tracker ui` makes it from the journals")
    lock = os.path.join(folder, "store.lock")
    if os.path.exists(lock):
        with try_store_lock(lock) as is_held:
            pass
        if not is_held:
            yield ok("index", f"being written by {_holder(lock)}")


def _index_state(folder: str, path: str) -> Finding:
    version = file_version(folder)
    if is_newer(version):
        text = f"{path} is of the newer version {version}; this tracker reads the journals instead"
        return warning("index", text, "update the tracker here to the version that made it")
    reader = IndexReader(folder)
    try:
        n_sealed = len(reader.paths())
    except IndexUnreadableError as error:
        remedy = f"nothing is lost: remove {path}, and it is made anew from the journals"
        return warning("index", f"unreadable: {error}", remedy)
    finally:
        reader.close()
    if n_sealed:
        return ok("index", f"{os.path.getsize(path) / (1 << 20):,.1f} MiB, with {n_sealed} journals")
    return ok("index", "empty, or of another version: made anew from the journals when it is needed")


def _holder(lock: str) -> str:
    """Return who holds a lock file, as far as the system tells."""
    status = os.stat(lock)
    wanted = (
        f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}" if os.name == "posix" else ""
    )
    try:
        with open("/proc/locks", encoding="ascii", errors="replace") as file:
            fields: list[Any] = [line.split() for line in file]
    except OSError:
        return "another process"
    pids = [row[4] for row in fields if len(row) > 5 and row[5] == wanted and "->" not in row]
    return f"process {pids[0]} ({_command_of(pids[0])})" if pids else "another process, perhaps on another machine"


def _command_of(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace").strip()[:120]
    except OSError:
        return "of another user"


def _check_fallback(folder: str) -> Iterator[Finding]:
    fallback = fallback_folder()
    if os.path.abspath(fallback) == os.path.abspath(folder) or not os.path.isdir(fallback):
        return
    journals = JournalScan(fallback).scan().values()
    n_runs = len({(journal.project_dir, journal.run_id) for journal in journals})
    if n_runs:
        text = f"{n_runs} runs are in {fallback}, because their own folder could not be written"
        remedy = f"`tracker runs --dir {fallback}` lists them; move its runs/ into your folder before it is cleaned up"
        yield warning("runs", text, remedy)
