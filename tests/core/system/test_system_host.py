"""What is told of the host agrees with what the kernel says, within the limits of the container."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from child_process import run_well

from tracker_core.system.cgroup import ControlGroup
from tracker_core.system.host import Host, _counted_once
from tracker_core.system.process_tree import tree_use
from tracker_core.system.rates import Rate

Wait = Callable[[Callable[[], object], float], None]

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="control groups and /proc are Linux's")


@contextmanager
def child(script: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process that has said `ready` and ends with the block."""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def sample(host: Host) -> dict[str, float]:
    return {name: value for group in host.groups().values() for name, value in group().items()}


def test_the_first_sample_tells_all_but_rates_and_the_second_all(tmp_path: Path) -> None:
    host = Host(str(tmp_path))
    first, second = sample(host), sample(host)
    rates = {
        "system/process/cpu_percent",
        "system/process_tree/cpu_percent",
        "system/disk/read_bytes_per_s",
        "system/disk/write_bytes_per_s",
        "system/network/received_bytes_per_s",
        "system/network/sent_bytes_per_s",
    }
    assert set(first) == {
        "system/cpu_n_cores",
        "system/load_1m",
        "system/memory_percent",
        "system/memory_used_bytes",
        "system/memory_total_bytes",
        "system/swap_used_bytes",
        "system/process/memory_rss_bytes",
        "system/process/n_threads",
        "system/process/n_open_files",
        "system/process_tree/n_processes",
        "system/process_tree/memory_rss_bytes",
        "system/disk/used_percent",
        "system/disk/free_bytes",
    }
    # Load needs a tick of the kernel's clock; disk and network are not everywhere.
    assert first.keys() | rates >= second.keys() - {"system/cpu_percent"} >= first.keys()
    assert all(type(value) is float for value in second.values())


@linux_only
def test_facts_are_those_of_the_kernel(tmp_path: Path) -> None:
    told = sample(Host(str(tmp_path)))
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    assert told["system/process/n_threads"] == int(status["Threads"])
    assert told["system/process/memory_rss_bytes"] == pytest.approx(int(status["VmRSS"].split()[0]) * 1024, rel=0.1)
    disk = os.statvfs(tmp_path)
    assert told["system/disk/free_bytes"] == pytest.approx(disk.f_bavail * disk.f_frsize, rel=0.05)
    machine = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert 0 < told["system/memory_used_bytes"] < told["system/memory_total_bytes"] <= machine
    assert 0 < told["system/cpu_n_cores"] <= len(os.sched_getaffinity(0))


def test_a_working_child_shows_in_the_tree_and_not_in_the_process(tmp_path: Path, wait_until: Wait) -> None:
    host = Host(str(tmp_path))
    with child("print('ready', flush=True)\nwhile True: pass") as burning:
        assert sample(host)["system/process_tree/n_processes"] >= 2
        began_s = tree_use(burning.pid).cpu_s
        wait_until(lambda: tree_use(burning.pid).cpu_s > began_s + 0.3, 30)
        told = sample(host)
    assert told["system/process_tree/cpu_percent"] > told["system/process/cpu_percent"] + 10


def test_memory_of_children_and_grandchildren_is_counted(tmp_path: Path) -> None:
    host = Host(str(tmp_path))
    before = sample(host)
    hold = "held = bytearray(64 << 20); print('ready', flush=True); input()"
    below = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    with child(below):
        told = sample(host)
    tree = "system/process_tree/"
    assert told[tree + "n_processes"] == before[tree + "n_processes"] + 2
    assert told[tree + "memory_rss_bytes"] > before[tree + "memory_rss_bytes"] + (64 << 20)
    assert told["system/process/memory_rss_bytes"] < before["system/process/memory_rss_bytes"] + (32 << 20)


def test_a_process_that_has_ended_is_no_error(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        host = Host(str(tmp_path), process.pid)
        assert sample(host)["system/process_tree/n_processes"] == 1
        process.communicate(b"\n")
    told = sample(host)
    assert not [name for name in told if "process" in name]
    assert "system/memory_percent" in told
    assert not [name for name in sample(Host(str(tmp_path), process.pid)) if "process" in name]
    with pytest.raises(ProcessLookupError):
        tree_use(process.pid)


@linux_only
def test_processor_time_of_children_that_ended_stays_counted() -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    before = tree_use(os.getpid()).cpu_s
    subprocess.run([sys.executable, "-c", burn], check=True)
    assert tree_use(os.getpid()).cpu_s >= before + 0.15  # the kernel counts in ticks of 10 ms


@linux_only
def test_psutil_tells_the_same_of_a_tree() -> None:
    from tracker_core.system.process_tree import _from_proc, _from_psutil

    # A tree of its own: processes of other tests may be ending below this one.
    script = """
import os
ends, end = os.pipe()
if os.fork():
    print("ready", flush=True)
    input()
else:
    os.close(end)
    os.read(ends, 1)
"""
    with child(script) as process:
        ours, theirs = _from_proc(process.pid), _from_psutil(process.pid)
    assert ours.pids == theirs.pids and len(ours.pids) == 2
    assert ours.cpu_s == pytest.approx(theirs.cpu_s, abs=0.2)
    assert ours.rss_bytes == pytest.approx(theirs.rss_bytes, rel=0.05)


@linux_only
def test_pinned_to_one_core_it_counts_one() -> None:
    script = """
        import os
        from tracker_core.system.host import Host
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        processors = Host(".").groups()["processors"]
        assert processors()["system/cpu_n_cores"] <= 1
        told = {}
        while "system/cpu_percent" not in told:
            told = processors()
        assert 0 <= told["system/cpu_percent"] <= 100
    """
    run_well(script)


def test_a_counter_that_goes_back_has_no_rate() -> None:
    rate = Rate()
    assert [rate.per_s(value, now_s) for value, now_s in ((5, 1), (25, 3), (4, 4), (10, 5))] == [None, 10, None, 6]


# Control groups


class Kernel:
    """A proc file system and control groups, as files."""

    def __init__(self, folder: Path) -> None:
        self.proc, self.groups = folder / "proc", folder / "cgroup fs"
        (self.proc / "self").mkdir(parents=True)
        self.groups.mkdir()

    def describe(self, path: str, version: int, root: str = "/") -> None:
        line = f"0::{path}\n" if version == 2 else f"9:name=systemd:/\n4:memory:{path}\n3:cpu,cpuacct:{path}\n0::/\n"
        (self.proc / "self/cgroup").write_text(line)
        point = str(self.groups).replace(" ", "\\040")
        kind = "cgroup2 cgroup2 rw" if version == 2 else "cgroup cgroup rw,memory,cpu,cpuacct"
        (self.proc / "self/mountinfo").write_text(
            f"22 28 0:21 / /sys rw - sysfs sysfs rw\n30 22 0:26 {root} {point} rw,nosuid shared:9 - {kind}\n"
        )

    def group(self, path: str, **files: object) -> None:
        folder = self.groups / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name.replace("__", ".")).write_text(f"{content}\n")

    def read(self) -> ControlGroup:
        return ControlGroup(str(self.proc))


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


def test_the_smallest_limit_above_counts_with_the_usage_at_its_level(kernel: Kernel) -> None:
    kernel.describe("/job/step", version=2)
    kernel.group("job", memory__max=1000, memory__current=800, memory__stat="anon 1\ninactive_file 300")
    kernel.group("job", memory__swap__current=7)
    kernel.group("job/step", memory__max="max", memory__current=10, memory__stat="inactive_file 1")
    use = kernel.read().memory(total_bytes=5000)
    assert use is not None
    assert (use.limit_bytes, use.used_bytes, use.swap_used_bytes) == (1000, 500, 7)


def test_a_limit_above_the_machines_memory_is_none(kernel: Kernel) -> None:
    kernel.describe("/", version=2)
    kernel.group(".", memory__max=9000, memory__current=800)
    assert kernel.read().memory(total_bytes=5000) is None
    kernel.group(".", memory__max="max")
    assert kernel.read().memory(total_bytes=5000) is None


def test_version_1_is_read_with_its_own_names(kernel: Kernel) -> None:
    kernel.describe("/docker/abc", version=1)
    kernel.group(".", **{"memory.limit_in_bytes": 9223372036854771712})
    files = {"memory.limit_in_bytes": 2000, "memory.usage_in_bytes": 1500}
    kernel.group("docker/abc", **files, memory__stat="inactive_file 9\ntotal_inactive_file 400")
    use = kernel.read().memory(total_bytes=5000)
    assert use is not None
    assert (use.limit_bytes, use.used_bytes) == (2000, 1100)


def test_in_a_container_that_sees_the_hosts_path_the_mount_is_the_own_group(kernel: Kernel) -> None:
    kernel.describe("/docker/abc", version=2)
    kernel.group(".", memory__max=2000, memory__current=1500)
    assert kernel.read().memory(total_bytes=5000) is not None
    kernel.describe("/docker/abc/inner", version=2, root="/docker/abc")
    kernel.group("inner", memory__max=300, memory__current=200)
    use = kernel.read().memory(total_bytes=5000)
    assert use is not None and use.limit_bytes == 300
    kernel.describe("/../../elsewhere", version=2)
    use = kernel.read().memory(total_bytes=5000)
    assert use is not None and use.limit_bytes == 2000


def test_a_quota_counts_as_cores_and_its_own_time_as_load(kernel: Kernel) -> None:
    kernel.describe("/job", version=2)
    kernel.group("job", cpu__max="150000 100000", cpu__stat="usage_usec 2500000\nuser_usec 1")
    use = kernel.read().cpu(n_cores=8)
    assert use is not None
    assert (use.n_cores, use.used_s) == (1.5, 2.5)
    assert kernel.read().cpu(n_cores=1) is None
    kernel.group("job", cpu__max="max 100000")
    assert kernel.read().cpu(n_cores=8) is None
    kernel.describe("/job", version=1)
    kernel.group("job", **{"cpu.cfs_quota_us": 400000, "cpu.cfs_period_us": 100000, "cpuacct.usage": 3_000_000_000})
    use = kernel.read().cpu(n_cores=8)
    assert use is not None
    assert (use.n_cores, use.used_s) == (4, 3)
    kernel.group("job", **{"cpu.cfs_quota_us": -1})
    assert kernel.read().cpu(n_cores=8) is None


def test_without_control_groups_nothing_is_limited(tmp_path: Path) -> None:
    assert ControlGroup(str(tmp_path)).memory(5000) is None
    assert ControlGroup(str(tmp_path)).cpu(4) is None


def test_bytes_are_counted_at_the_hardware_only(tmp_path: Path) -> None:
    for name in ("nvme0n1", "dm-0", "md0"):
        (tmp_path / name).mkdir()
    assert _counted_once(("nvme0n1", "nvme0n1p1", "dm-0", "gone"), str(tmp_path)) == ("nvme0n1", "dm-0")
    (tmp_path / "md0/device").mkdir()
    assert _counted_once(("nvme0n1", "dm-0", "md0"), str(tmp_path)) == ("md0",)
