"""A process and all its descendants: how many they are and what they use.

On Linux one small file per process is read, and only of processes of the tree: the kernel lists the children of each
thread. That costs about 20 microseconds per process, however many others run on the machine. Elsewhere psutil looks
through all processes. A process that ends meanwhile is none of the tree any more, which is no error.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TreeUse:
    """What a process and its descendants use now.

    Attributes:
        pids: their process ids.
        cpu_s: processor time so far in seconds, with that of descendants that ended and were waited for.
        rss_bytes: resident memory; pages that several of them share count once for each.
    """

    pids: frozenset[int]
    cpu_s: float
    rss_bytes: int


def tree_use(pid: int) -> TreeUse:
    """Return what the tree below `pid` uses.

    Raises:
        ProcessLookupError: the process itself has ended.
    """
    return _from_proc(pid) if os.path.exists(f"/proc/{pid}/task/{pid}/children") else _from_psutil(pid)


def tree_pids(pid: int) -> frozenset[int]:
    """Return the ids of a process and its descendants; empty where it has ended."""
    try:
        return tree_use(pid).pids
    except ProcessLookupError:
        return frozenset()


def _from_proc(pid: int) -> TreeUse:
    ticks_per_s, page_bytes = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    seen, pids, n_ticks, n_pages = set[int](), set[int](), 0, 0
    waiting = [pid]
    while waiting:
        current = waiting.pop()
        try:
            fields = _stat_fields(current)
        except (OSError, IndexError):
            continue
        seen.add(current)
        if fields[0] != b"Z":  # ended, but not yet waited for: only its processor time is left
            pids.add(current)
        n_ticks += sum(map(int, fields[11:15]))  # own and waited-for children's user and system time
        n_pages += int(fields[21])
        waiting += (child for child in _children(current) if child not in seen)
    if pid not in seen:
        raise ProcessLookupError(pid)
    return TreeUse(frozenset(pids), n_ticks / ticks_per_s, n_pages * page_bytes)


def _stat_fields(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat behind the name, which may itself hold blanks and brackets."""
    with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
        return file.read().rpartition(b")")[2].split()


def _children(pid: int) -> Iterator[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                yield from map(int, file.read().split())
        except OSError:
            continue


def _from_psutil(pid: int) -> TreeUse:
    import psutil

    try:
        processes = [psutil.Process(pid)]
        processes += processes[0].children(recursive=True)
    except psutil.NoSuchProcess:
        raise ProcessLookupError(pid) from None
    except psutil.AccessDenied:
        pass  # then the process alone
    pids, cpu_s, rss_bytes = set[int](), 0.0, 0
    for process in processes:
        try:
            with process.oneshot():
                times = process.cpu_times()
                rss_bytes += process.memory_info().rss
            cpu_s += times.user + times.system + times.children_user + times.children_system
            pids.add(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return TreeUse(frozenset(pids), cpu_s, rss_bytes)
