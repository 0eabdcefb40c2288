"""The runs that the tests of the run page's tabs look at, and how such runs are written."""

from __future__ import annotations

import time
from pathlib import Path

import tracker_core as tracker
from tracker_core import records
from tracker_core.files import FileKeeper
from tracker_core.run import Run

from .conftest import HOSTILE

N_LINES = 5000
N_GPUS = 3
GIB = float(1 << 30)
COMMIT = "4f1d2c7be9a0c4d5e6f708192a3b4c5d6e7f8091"
DIFF = f"""diff --git a/train.py b/train.py
--- a/train.py
+++ b/train.py
@@ -1,2 +1,2 @@ def main():
-old = 1
+new = {HOSTILE!r}
 same
"""
SOURCE = '"""Train."""\n\nimport os  # a comment\nprint(os.name)\n'


def say(run: Run, first: int, texts: list[str], stream: int = 1) -> None:
    """Record lines of output."""
    now_ns = time.time_ns()
    lines = [records.ConsoleLine(first + index, now_ns, stream, text) for index, text in enumerate(texts)]
    run.record(records.Console(wall_time_ns=now_ns, lines=lines))


def sample(run: Run, power_w: float = 600.0, n_gpus: int = N_GPUS) -> None:
    """Record a sample of a machine; its last GPU is held back."""
    values = {"system/cpu_percent": 25.0, "system/cpu_n_cores": 8.0, "system/process/memory_rss_bytes": 2 * GIB}
    for gpu in range(n_gpus):
        of_gpu = {
            "utilization_percent": 90.0 + gpu,
            "memory_used_bytes": 70 * GIB,
            "memory_total_bytes": 80 * GIB,
            "power_w": power_w,
            "temperature_c": 60.0 + gpu,
            "throttled": float(gpu == N_GPUS - 1),
            "throttle_hw_thermal": float(gpu == N_GPUS - 1),
        }
        values |= {f"system/gpu{gpu}/{name}": value for name, value in of_gpu.items()}
    run.record_system(values)


def _environment() -> dict[str, object]:
    return {
        "command": ["python", "train.py", "--name", "two words"],
        "program": "train.py",
        "cwd": "/home/ada/repo",
        "host": "node-17",
        "os": {"name": "Linux", "release": "6.8", "machine": "x86_64", "distribution": "Debian 12"},
        "git": {"commit": COMMIT, "branch": "main", "remote": "git@github.com:ada/repo.git", "is_dirty": True},
        "packages": {"torch": "2.13.0", "numpy": "2.4.1", HOSTILE: HOSTILE},
        "gpus": [
            {"index": gpu, "name": "H100", "uuid": f"GPU-{gpu}-uuid", "memory_total_bytes": int(80 * GIB)}
            for gpu in range(N_GPUS)
        ],
    }


def make_story(folder: Path) -> None:
    """Write the project "story": a run with everything, a bare one, and one of each way to end."""
    run = tracker.init(project="story", name="told", id="told", dir=folder)
    run.log({"loss": 1.0, "accuracy": 0.5})
    run.record(records.Environment(wall_time_ns=time.time_ns(), values=_environment()))
    for _ in range(3):
        sample(run)
    keeper = FileKeeper(run.dir, run.record)
    keeper.keep_bytes(DIFF.encode(), "diff.patch", "diff")
    keeper.keep_bytes(SOURCE.encode(), "train.py", "code")
    keeper.keep_bytes(b"# other\n", "lib/other.py", "code")
    keeper.keep_bytes(b"{}", "results.json", "file")
    texts = [f"line {number} \x1b[32mgreen\x1b[0m" for number in range(1, N_LINES + 1)]
    texts[2] = f"{HOSTILE} \x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07"
    texts[3000] = "a needle here"
    texts[4000] = "another NEEDLE there"
    say(run, 0, texts)
    say(run, N_LINES, ["the last words"], stream=2)
    run.finish()
    _make_endings(folder)


def _make_endings(folder: Path) -> None:
    bare = tracker.init(project="story", name="bare", id="bare", dir=folder)
    bare.log({"loss": 1.0})
    bare.finish()
    killed = tracker.init(project="story", name="killed", id="killed", dir=folder)
    killed.log({"loss": 2.0})
    now_ns = time.time_ns()
    killed.record(records.Clock(wall_time_ns=now_ns, jumped_ns=90 * 10**9))
    killed.record(records.Console(wall_time_ns=now_ns, n_left_out=7))
    killed.end(143, None, signal="SIGTERM")
    preempted = tracker.init(project="story", name="preempted", id="preempted", dir=folder)
    preempted.log({"loss": 3.0})
    preempted.mark_preempting()
    preempted.end(1, None)
