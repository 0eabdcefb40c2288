"""Find out whether the kernel killed processes for want of memory."""

from __future__ import annotations

import os
from collections.abc import Mapping

_GROUP_FILES = (
    ("/sys/fs/cgroup{path}/memory.events", "oom_kill"),
    ("/sys/fs/cgroup/memory.events", "oom_kill"),
    ("/sys/fs/cgroup/memory{path}/memory.oom_control", "oom_kill"),
    ("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill"),
)
_MACHINE_FILE = "/proc/vmstat"


def count_kills() -> dict[str, int]:
    """Return how many processes were killed so far: "group" in our cgroup, "machine" on the whole machine.

    What is not known is left out.
    """
    found = {}
    for template, name in _GROUP_FILES:
        count = _read_count(template.format(path=_cgroup_path()), name)
        if count is not None:
            found["group"] = count
            break
    machine = _read_count(_MACHINE_FILE, "oom_kill")
    return found if machine is None else {**found, "machine": machine}


def describe_kill(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Return what to tell of a process that SIGKILL ended between two counts; "" where memory was not the cause."""
    rose = {scope for scope in after if after[scope] > before.get(scope, after[scope])}
    if "group" in rose:
        return "killed by the kernel: the memory limit of its cgroup (container or job) was reached"
    if "machine" in rose:
        return "probably killed by the kernel: the machine ran out of memory"
    return ""


def _cgroup_path() -> str:
    """Return the path of our cgroup: of version 2, or of version 1's memory controller."""
    try:
        with open("/proc/self/cgroup") as file:
            entries = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return ""
    for _, controllers, path in sorted(entries, key=lambda entry: "memory" not in entry[1].split(",")):
        if controllers == "" or "memory" in controllers.split(","):
            return "" if path == "/" else path
    return ""


def _read_count(path: str, name: str) -> int | None:
    try:
        with open(os.path.normpath(path)) as file:
            for line in file:
                key, _, value = line.partition(" ")
                if key == name:
                    return int(value)
    except (OSError, ValueError):
        pass
    return None
