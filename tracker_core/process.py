"""Who this process is, and whether another one recorded in a journal is certainly gone. Linux knows; others may not."""

from __future__ import annotations

import os
import time
from functools import cache

from .records import Session


def host_name() -> str:
    """Return this machine's name."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    import socket  # Windows; slow to import

    return socket.gethostname()


def process_start(pid: int) -> str:
    """Return the kernel's start time of a process in clock ticks since boot, or "" where that is not to be had.

    A process that has ended and that nobody has waited for yet has none.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rsplit(b")", 1)[1].split()
        return "" if fields[0] in (b"Z", b"X") else fields[19].decode()
    except (OSError, IndexError):
        return ""


def own_start_ns() -> int:
    """Return when this process began, by today's wall clock; nanoseconds since the Unix epoch."""
    started = process_start(os.getpid())
    if started:
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - int(started) / os.sysconf("SC_CLK_TCK")
        return time.time_ns() - int(age_s * 1e9)
    import psutil

    return int(psutil.Process().create_time() * 1e9)


@cache
def boot_id() -> str:
    """Return an id of this boot and PID namespace, or "": only with equal ids can PIDs be compared."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def is_dead(session: Session) -> bool:
    """Say whether the session's process is certainly gone. False also means not known."""
    if not session.boot_id or session.boot_id != boot_id() or not session.process_start:
        return False
    return process_start(session.pid) != session.process_start
