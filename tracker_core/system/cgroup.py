"""What a Linux control group grants this process: memory and processor time, by version 1 and 2, at every level.

A container, a SLURM job or a systemd unit may use less than the machine has. The limit may lie at any level above the
process's own group, so all of them are looked at and the smallest counts, with the usage of that same level: what
counts against a limit is what the whole group below it uses.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

_MAX_LEVELS = 32


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Memory of the control group with the smallest limit, in bytes.

    Attributes:
        limit_bytes: what the group may use.
        used_bytes: its working set: usage less file pages that the kernel drops first when memory gets short.
        swap_used_bytes: what it has in swap, or None where the kernel does not say.
    """

    limit_bytes: int
    used_bytes: int
    swap_used_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class CpuUse:
    """Processor time of the control group with the smallest quota.

    Attributes:
        n_cores: how many cores' worth of time the group may use; may be a fraction.
        used_s: processor time that it has used so far, in seconds.
    """

    n_cores: float
    used_s: float


class ControlGroup:
    """The control groups of this process. Files are looked for once and read at each call; not thread-safe.

    Args:
        proc: folder of the proc file system.
    """

    def __init__(self, proc: str = "/proc") -> None:
        self._memory_version, self._memory = _levels("memory", proc)
        self._cpu_version, self._cpu = _levels("cpu", proc)
        account_version, account = _levels("cpuacct", proc)
        # Version 1 keeps quota and accounting in two hierarchies, nearly always mounted as one.
        self._cpu_accounts = account if account_version == 1 and len(account) == len(self._cpu) else self._cpu

    def memory(self, total_bytes: int) -> MemoryUse | None:
        """Return the use of the group whose limit is the smallest, or None where none is below `total_bytes`."""
        limit_name = "memory.limit_in_bytes" if self._memory_version == 1 else "memory.max"
        limits = [(_limit(folder, limit_name), folder) for folder in self._memory]
        limit_bytes, folder = min(limits, default=(total_bytes, ""))
        if limit_bytes >= total_bytes or limit_bytes <= 0:
            return None
        is_v1 = self._memory_version == 1
        usage = _number(folder, "memory.usage_in_bytes" if is_v1 else "memory.current")
        if usage is None:
            return None
        droppable = _stat(folder, "memory.stat", "total_inactive_file" if is_v1 else "inactive_file")
        swap = None if is_v1 else _number(folder, "memory.swap.current")
        return MemoryUse(int(limit_bytes), max(0, usage - (droppable or 0)), swap)

    def cpu(self, n_cores: float) -> CpuUse | None:
        """Return the use of the group with the smallest quota, or None where none is below `n_cores`."""
        quota = _quota_v1 if self._cpu_version == 1 else _quota_v2
        quotas = [(quota(folder), level) for level, folder in enumerate(self._cpu)]
        granted, level = min(quotas, default=(n_cores, 0))
        if granted >= n_cores or granted <= 0:
            return None
        used_s = _used_s(self._cpu_accounts[level], self._cpu_version)
        return None if used_s is None else CpuUse(granted, used_s)


def _levels(controller: str, proc: str) -> tuple[int, list[str]]:
    """Return version and folders of a controller: the process's own group first, then those above it."""
    try:
        groups = _read(f"{proc}/self/cgroup").splitlines()
        mounts = _read(f"{proc}/self/mountinfo").splitlines()
    except OSError:
        return 0, []  # no Linux, or no control groups
    for version in (1, 2):
        path = _group_path(groups, controller, version)
        mount = _mount(mounts, controller, version)
        if path is not None and mount is not None:
            return version, _folders(path, *mount)
    return 0, []


def _group_path(groups: list[str], controller: str, version: int) -> str | None:
    for line in groups:
        hierarchy, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") if version == 1 else (hierarchy, controllers) == ("0", ""):
            return path
    return None


def _mount(mounts: list[str], controller: str, version: int) -> tuple[str, str] | None:
    """Return which group is mounted, and where."""
    for line in mounts:
        head, _, tail = line.partition(" - ")
        root, point = head.split()[3:5]
        kind, _, options = tail.split(" ", 2)
        if kind == "cgroup2" if version == 2 else (kind == "cgroup" and controller in options.split(",")):
            return root, point.replace("\\040", " ")
    return None


def _folders(path: str, root: str, point: str) -> list[str]:
    # In a container the path may be the host's, which is not to be seen from here: then the mount is our own group.
    inside = path[len(root) :] if root != "/" and (path + "/").startswith(root + "/") else path
    folder = os.path.normpath(f"{point}/{inside}")
    if ".." in inside or not os.path.isdir(folder):
        folder = point
    folders = [folder]
    while folder != point and folder.startswith(point) and len(folders) < _MAX_LEVELS:
        folder = os.path.dirname(folder)
        folders.append(folder)
    return folders


def _limit(folder: str, name: str) -> float:
    number = _number(folder, name)  # "max" is no number
    return float("inf") if number is None else number


def _quota_v2(folder: str) -> float:
    try:
        quota, period = _read(f"{folder}/cpu.max").split()
        return float("inf") if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return float("inf")


def _quota_v1(folder: str) -> float:
    quota, period = _number(folder, "cpu.cfs_quota_us"), _number(folder, "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else float("inf")


def _used_s(folder: str, version: int) -> float | None:
    used = _number(folder, "cpuacct.usage") if version == 1 else _stat(folder, "cpu.stat", "usage_usec")
    return None if used is None else used / (1e9 if version == 1 else 1e6)


def _number(folder: str, name: str) -> int | None:
    try:
        return int(_read(f"{folder}/{name}"))
    except (OSError, ValueError):
        return None


def _stat(folder: str, name: str, key: str) -> int | None:
    try:
        for line in _read(f"{folder}/{name}").splitlines():
            if line.startswith(key + " "):
                return int(line[len(key) :])
    except (OSError, ValueError):
        pass
    return None


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()
