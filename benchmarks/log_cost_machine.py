"""Say on what a benchmark ran."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import psutil


def describe_machine(folder: Path) -> dict[str, str]:
    """Return processor, cores, memory, Python, kernel and the type of the file system that holds `folder`."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "file system": _file_system(folder),
        "load average at the start": load_average(),
    }


def _processor() -> str:
    if sys.platform.startswith("linux"):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()} ({platform.machine()})"
    return platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    """Return the type of the mount with the longest path above `folder`."""
    parents = {str(folder.resolve()), *map(str, folder.resolve().parents)}
    mounts = [part for part in psutil.disk_partitions(all=True) if part.mountpoint in parents]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "unknown"


def load_average() -> str:
    """Return the load average over one minute, as text."""
    if not hasattr(os, "getloadavg"):
        return "unknown"
    return f"{os.getloadavg()[0]:.1f} over one minute"
