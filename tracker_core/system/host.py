"""Processors, memory, processes, disk and network of this machine, as far as this process may use them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from .cgroup import ControlGroup
from .process_tree import tree_use
from .rates import Rate, Rates

Values = dict[str, float]
Group = Callable[[], Values]


class Host:
    """Samples of the machine, in groups that fail and degrade one by one. Not thread-safe: one thread samples.

    Args:
        folder: whose file system is watched: the one that runs are written to.
        pid: the process to follow. Default: this one.
    """

    def __init__(self, folder: str, pid: int | None = None) -> None:
        import psutil

        self._psutil = psutil
        self._folder = folder
        self._pid = os.getpid() if pid is None else pid
        self._process: Any = None  # looked up with the first sample, since it may have ended by now
        self._limits = ControlGroup()
        self._cpu = _Cpu(psutil, self._limits, self._pid)
        self._own_cpu, self._tree_cpu = Rate(), Rate()
        self._disk_rates, self._network_rates = Rates(), Rates()

    def groups(self) -> dict[str, Group]:
        """Return what can be sampled by name, as functions that return named values.

        A rate needs two samples, so the first one lacks them.
        """
        return {
            "processors": self._cpu.sample,
            "load": self._load,
            "memory": self._memory,
            "the process": self._unless_ended(self._own_process),
            "open files": self._unless_ended(self._open_files),
            "the process tree": self._unless_ended(self._process_tree),
            "disks": self._disks,
            "the tracker folder's disk": self._folder_disk,
            "network": self._network,
        }

    def _unless_ended(self, group: Group) -> Group:
        def sample() -> Values:
            try:
                return group()
            except (ProcessLookupError, self._psutil.NoSuchProcess):
                return {}  # another process than ours was followed, and has ended

        return sample

    def _load(self) -> Values:
        return {"system/load_1m": self._psutil.getloadavg()[0]}

    def _memory(self) -> Values:
        total, available, swap_used = self._machine_memory()
        used = total - available
        limited = self._limits.memory(total)
        if limited is not None:
            total, used = limited.limit_bytes, limited.used_bytes
            swap_used = swap_used if limited.swap_used_bytes is None else limited.swap_used_bytes
        return {
            "system/memory_percent": 100 * used / total,
            "system/memory_used_bytes": float(used),
            "system/memory_total_bytes": float(total),
            "system/swap_used_bytes": float(swap_used),
        }

    def _machine_memory(self) -> tuple[int, int, int]:
        """Return total, available and swapped-out memory of the machine in bytes."""
        if sys.platform.startswith("linux"):
            return _linux_memory()  # psutil also reads /proc/vmstat for swap, and warns where there is none
        memory, swap = self._psutil.virtual_memory(), self._psutil.swap_memory()
        return memory.total, memory.available, swap.used

    def _followed(self) -> Any:
        if self._process is None:
            self._process = self._psutil.Process(self._pid)
        return self._process

    def _own_process(self) -> Values:
        process = self._followed()
        with process.oneshot():
            times = process.cpu_times()
            values = {
                "system/process/memory_rss_bytes": float(process.memory_info().rss),
                "system/process/n_threads": float(process.num_threads()),
            }
        cores = self._own_cpu.per_s(times.user + times.system, time.monotonic())
        return values if cores is None else {"system/process/cpu_percent": 100 * cores, **values}

    def _open_files(self) -> Values:
        count = getattr(self._followed(), "num_handles" if sys.platform == "win32" else "num_fds")
        return {"system/process/n_open_files": float(count())}

    def _process_tree(self) -> Values:
        use = tree_use(self._pid)
        values = {
            "system/process_tree/n_processes": float(len(use.pids)),
            "system/process_tree/memory_rss_bytes": float(use.rss_bytes),
        }
        cores = self._tree_cpu.per_s(use.cpu_s, time.monotonic())
        return values if cores is None else {"system/process_tree/cpu_percent": 100 * cores, **values}

    def _disks(self) -> Values:
        try:
            counted = self._psutil.disk_io_counters(perdisk=True, nowrap=False) or {}
        except NotImplementedError:  # some containers hide them
            return {}
        chosen = [counted[name] for name in _once(list(counted), "/sys/block")]
        if not chosen:
            return {}
        counters = {
            "system/disk/read_bytes_per_s": float(sum(disk.read_bytes for disk in chosen)),
            "system/disk/write_bytes_per_s": float(sum(disk.write_bytes for disk in chosen)),
        }
        return self._disk_rates.per_s(counters, time.monotonic())

    def _folder_disk(self) -> Values:
        use = self._psutil.disk_usage(self._folder)
        return {"system/disk/used_percent": float(use.percent), "system/disk/free_bytes": float(use.free)}

    def _network(self) -> Values:
        try:
            counted = self._psutil.net_io_counters(pernic=True, nowrap=False) or {}
        except FileNotFoundError:  # some containers hide them
            return {}
        outer = [name for name in counted if not name.startswith("lo")]
        chosen = [counted[name] for name in _once(outer, "/sys/class/net")]
        if not chosen:
            return {}
        counters = {
            "system/network/received_bytes_per_s": float(sum(card.bytes_recv for card in chosen)),
            "system/network/sent_bytes_per_s": float(sum(card.bytes_sent for card in chosen)),
        }
        return self._network_rates.per_s(counters, time.monotonic())


class _Cpu:
    """Load of the processor cores that this process may use: by quota, by affinity, or all of them."""

    def __init__(self, psutil: Any, limits: ControlGroup, pid: int) -> None:
        self._psutil = psutil
        self._limits = limits
        self._pid = pid
        self._cores: frozenset[int] = frozenset()
        self._used = Rate()
        self._busy = 0.0
        self._total = 0.0

    def sample(self) -> Values:
        """Return the number of cores and, from the second sample on, how busy they were since the last one."""
        cores = _usable_cores(self._pid)
        n_cores = float(len(cores) or self._psutil.cpu_count() or 1)
        granted = self._limits.cpu(n_cores)
        if granted is not None:
            n_cores = granted.n_cores
            used = self._used.per_s(granted.used_s, time.monotonic())
            percent = None if used is None else 100 * used / n_cores
        else:
            percent = self._busy_percent(cores)
        values = {"system/cpu_n_cores": n_cores}
        return values if percent is None else {"system/cpu_percent": min(100.0, percent), **values}

    def _busy_percent(self, cores: frozenset[int]) -> float | None:
        busy, total = self._times(cores)
        elapsed, worked = total - self._total, busy - self._busy
        is_first, is_changed = self._total == 0, cores != self._cores
        self._busy, self._total, self._cores = busy, total, cores
        if is_first or is_changed or elapsed <= 0:
            return None
        return max(0.0, 100 * worked / elapsed)

    def _times(self, cores: frozenset[int]) -> tuple[float, float]:
        """Return busy and total time of the cores in seconds."""
        n_all = self._psutil.cpu_count() or 1
        if 0 < len(cores) < n_all:
            every = self._psutil.cpu_times(percpu=True)
            times = [every[core] for core in cores if core < len(every)]
        else:
            times = [self._psutil.cpu_times()]
        # The guests' time is part of user and nice; waiting for a disk is idle time.
        total = sum(sum(t) - getattr(t, "guest", 0) - getattr(t, "guest_nice", 0) for t in times)
        idle = sum(t.idle + getattr(t, "iowait", 0) for t in times)
        return total - idle, total


def _usable_cores(pid: int) -> frozenset[int]:
    """Return the cores that any thread of a process may run on; empty where the system does not say.

    OpenMP may pin the main thread, and it alone, to one core.
    """
    if not hasattr(os, "sched_getaffinity"):
        return frozenset()
    cores: set[int] = set()
    for thread in _threads(pid):
        try:
            cores |= os.sched_getaffinity(thread)
        except OSError:
            continue
    return frozenset(cores)


def _threads(pid: int) -> Iterator[int]:
    yield pid
    try:
        yield from map(int, os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return


def _linux_memory() -> tuple[int, int, int]:
    values: dict[str, int] = {}
    with open("/proc/meminfo") as file:
        for line in file:
            name, _, rest = line.partition(":")
            values[name] = int(rest.split()[0]) * 1024
    available = values.get("MemAvailable", values["MemFree"])
    return values["MemTotal"], available, values.get("SwapTotal", 0) - values.get("SwapFree", 0)


def _once(names: list[str], folder: str) -> tuple[str, ...]:
    return _counted_once(tuple(names), folder)


@cache
def _counted_once(names: tuple[str, ...], folder: str) -> tuple[str, ...]:
    """Return the names that count each byte once.

    Bytes that pass through a bridge, a bond, a RAID or an encrypted volume show up again at the devices below. On
    Linux those below have a `device`; where none has (in a container), all whole devices count.
    """
    if not os.path.isdir(folder):
        return names
    physical = tuple(name for name in names if os.path.exists(f"{folder}/{name}/device"))
    return physical or tuple(name for name in names if os.path.exists(f"{folder}/{name}"))
