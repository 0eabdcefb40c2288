"""The sampling threads keep their period, end at once, and no fault of theirs reaches the training."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from child_process import run, run_well
from nvml_stub_library import search_path

from tracker_core.journal_format import Kind
from tracker_core.journal_reader import JournalReader
from tracker_core.records import Environment
from tracker_core.system import sampler as module
from tracker_core.system.sampler import SystemSampler

Wait = Callable[..., None]
Samples = list[tuple[float, dict[str, float]]]


def recorded(samples: Samples) -> Callable[[dict[str, float]], None]:
    return lambda values: samples.append((time.monotonic(), values))


def sampling_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("tracker-system")]


def test_the_first_sample_is_taken_at_once(tmp_path: Path, wait_until: Wait) -> None:
    samples: Samples = []
    sampler = SystemSampler(recorded(samples), 3600, str(tmp_path))
    sampler.start()
    wait_until(lambda: samples)
    sampler.stop()
    assert "system/memory_percent" in samples[0][1]
    assert all(name.startswith("system/") for name in samples[0][1])


def test_nothing_is_sampled_at_an_interval_of_zero(tmp_path: Path) -> None:
    sampler = SystemSampler(lambda values: None, 0, str(tmp_path))
    sampler.start()
    assert not sampling_threads()
    sampler.stop()


def test_stopping_ends_the_threads(tmp_path: Path, wait_until: Wait, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STOP_TIMEOUT_S", 60)
    monkeypatch.setattr(module, "_LAST_SAMPLE_AGE_S", 60)  # on a busy machine, some time may have passed
    samples: Samples = []
    sampler = SystemSampler(recorded(samples), 3600, str(tmp_path))
    sampler.start()
    wait_until(lambda: samples)
    began_s = time.monotonic()
    sampler.stop()
    assert time.monotonic() - began_s < 30
    assert not sampling_threads()
    assert len(samples) == 1  # just before: another one would tell nothing new
    sampler.stop()


def test_a_last_sample_is_taken_when_the_one_before_is_old(tmp_path: Path, wait_until: Wait) -> None:
    samples: Samples = []
    sampler = SystemSampler(recorded(samples), 3600, str(tmp_path))
    sampler.start()
    wait_until(lambda: samples and time.monotonic() - samples[0][0] > 1.1)
    sampler.stop()
    assert len(samples) == 2
    assert "system/process/cpu_percent" in samples[1][1]


def test_a_slow_record_does_not_shift_the_period(tmp_path: Path, wait_until: Wait) -> None:
    times_s: list[float] = []

    def record(values: dict[str, float]) -> None:
        times_s.append(time.monotonic())
        end_s = time.monotonic() + 0.1
        wait_until(lambda: time.monotonic() > end_s)

    sampler = SystemSampler(record, 0.3, str(tmp_path))
    sampler.start()
    wait_until(lambda: len(times_s) >= 9)
    sampler.stop()
    phases_s = [t % 0.3 for t in times_s]
    # Had it shifted, a third of them would be together. A busy machine may keep some waiting.
    n_together = max(sum((phase_s - first_s) % 0.3 < 0.08 for phase_s in phases_s) for first_s in phases_s)
    assert n_together > len(phases_s) / 2


def test_a_failing_group_is_told_once_and_the_others_go_on(
    tmp_path: Path, wait_until: Wait, capfd: pytest.CaptureFixture[str]
) -> None:
    samples: Samples = []
    sampler = SystemSampler(recorded(samples), 0.01, str(tmp_path / "absent"))
    sampler.start()
    wait_until(lambda: len(samples) >= 3)
    sampler.stop()
    assert "system/memory_percent" in samples[-1][1]
    assert "system/disk/free_bytes" not in samples[-1][1]
    (line,) = capfd.readouterr().err.splitlines()
    assert "the tracker folder's disk" in line and "FileNotFoundError" in line


def test_a_failing_record_is_told_once(tmp_path: Path, wait_until: Wait, capfd: pytest.CaptureFixture[str]) -> None:
    attempts: list[int] = []

    def record(values: dict[str, float]) -> None:
        attempts.append(len(values))
        raise OSError("no space")

    sampler = SystemSampler(record, 0.01, str(tmp_path))
    sampler.start()
    wait_until(lambda: len(attempts) >= 3)
    sampler.stop()
    (line,) = capfd.readouterr().err.splitlines()
    assert "no space" in line


def test_another_process_can_be_followed(tmp_path: Path, wait_until: Wait) -> None:
    samples: Samples = []
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        sampler = SystemSampler(recorded(samples), 0.01, str(tmp_path), pid=process.pid)
        sampler.start()
        wait_until(lambda: samples)
        assert samples[0][1]["system/process_tree/n_processes"] == 1
        process.communicate(b"\n")
        wait_until(lambda: "system/process_tree/n_processes" not in samples[-1][1])
        sampler.stop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_neither_samples_nor_stops_its_parents_sampler() -> None:
    script = """
        import os, threading, time
        from tracker_core.system.sampler import SystemSampler
        n_samples = []
        sampler = SystemSampler(n_samples.append, 0.01, ".")
        sampler.start()
        while not n_samples: time.sleep(0)
        pid = os.fork()
        if pid == 0:
            sampler.stop()
            os._exit(threading.active_count() - 1)
        assert os.waitpid(pid, 0)[1] == 0
        before = len(n_samples)
        while len(n_samples) == before: time.sleep(0)
        sampler.stop()
    """
    run_well(script)


def test_importing_it_imports_no_library_and_starts_nothing() -> None:
    script = """
        import sys, threading
        before = set(sys.modules)
        import tracker_core.system.sampler, tracker_core.system.host, tracker_core.system.nvml
        import tracker_core.system.amd, tracker_core.system.apple
        assert not {"psutil", "pynvml", "amdsmi", "subprocess"} & set(sys.modules) - before
        assert threading.active_count() == 1
    """
    run_well(script)


def test_gpus_are_recorded_beside_the_host(nvml_stub: Path) -> None:
    script = """
        import time
        from tracker_core.system.sampler import SystemSampler
        samples = []
        sampler = SystemSampler(samples.append, 3600, ".")
        sampler.start()
        while len(samples) < 2: time.sleep(0)
        sampler.stop()
        names = {name for values in samples for name in values}
        assert {"system/memory_percent", "system/gpu0/power_w", "system/gpu7/power_w"} <= names
        import pynvml
        assert pynvml.nvmlLib.stub_references() == 0
    """
    run_well(script, NVML_STUB="gpus 8", LD_LIBRARY_PATH=search_path(nvml_stub))


@pytest.mark.parametrize("function", ["nvmlDeviceGetPowerUsage", "nvmlInitWithFlags", "nvmlShutdown"])
def test_a_driver_that_hangs_silences_only_itself_and_holds_nothing_up(nvml_stub: Path, function: str) -> None:
    script = """
        import os, time, threading
        from tracker_core.system.sampler import SystemSampler
        from tracker_core.system import sampler as module
        samples = []
        module._STOP_TIMEOUT_S = 3
        sampler = SystemSampler(samples.append, 0.1, ".")
        began = time.monotonic()
        sampler.start()
        while len(samples) < 3 or time.monotonic() - began < 3.5: time.sleep(0.01)
        assert all("system/memory_percent" in values or "system/gpu0/power_w" in values for values in samples)
        began = time.monotonic()
        sampler.stop()
        print(time.monotonic() - began)
    """
    began_s = time.monotonic()
    gpus, path = f"gpus 1;hang {function}", search_path(nvml_stub)
    done = run(script, NVML_STUB=gpus, LD_LIBRARY_PATH=path)
    assert done.returncode == 0, done.stderr
    # What hangs since long is not waited for; what hangs only now, in its end, as long as the timeout is.
    assert float(done.stdout) < (2.5 if function != "nvmlShutdown" else 20)
    assert time.monotonic() - began_s < 30


def test_a_run_that_ends_at_once_has_a_sample_and_its_environment(folder: Path) -> None:
    script = "import sys, tracker_core; tracker_core.init(dir=sys.argv[1]).log({'x': 1.0})"
    recorded_too = {"TRACKER_SYSTEM_INTERVAL_S": "15", "TRACKER_CAPTURE_ENVIRONMENT": "true"}
    assert run(script, folder, **recorded_too).stderr == ""
    (path,) = folder.rglob("*.journal")
    batch = JournalReader(str(path)).read()
    assert any(group.kind == Kind.SYSTEM for group in batch.row_groups)
    assert any("packages" in record.values for _, record in batch.records if isinstance(record, Environment))
