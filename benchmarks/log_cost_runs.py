"""Start workers, kill some of them, and collect what they measured."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from log_cost_contenders import Contender

_WORKER_LIMIT_S = 600
_FIRST_ROW_LIMIT_S = 30
_HELPERS_LIMIT_S = 20


class MeasurementError(Exception):
    """A worker gave no result; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    n_repeats: int
    n_rows: int
    n_wide_rows: int
    n_memory_rows: int
    n_imports: int
    n_kills: int


FULL = Plan(n_repeats=7, n_rows=20_000, n_wide_rows=2_000, n_memory_rows=1_000_000, n_imports=15, n_kills=10)
QUICK = Plan(n_repeats=3, n_rows=5_000, n_wide_rows=500, n_memory_rows=200_000, n_imports=5, n_kills=3)


@dataclass(slots=True)
class Samples:
    """What was measured: contender -> measure -> a number per repeat; versions; why numbers are missing."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def add(self, contender: Contender, result: dict[str, float | str]) -> None:
        """Append a worker's result."""
        measures = self.values.setdefault(contender.name, {})
        for key, value in result.items():
            if isinstance(value, str):
                self.versions[contender.name] = value
            else:
                measures.setdefault(key, []).append(value)

    def median(self, name: str, measure: str) -> float | None:
        """Return the median over all repeats, or None where nothing was measured."""
        values = self.values.get(name, {}).get(measure)
        return statistics.median(values) if values else None

    def ratio(self, name: str, base: str, measure: str) -> float | None:
        """Return the median of the ratios of neighbouring repeats, which the machine's moods hit alike."""
        pairs = zip(self._of(name, measure), self._of(base, measure), strict=False)
        ratios = [value / reference for value, reference in pairs if reference]
        return statistics.median(ratios) if ratios else None

    def _of(self, name: str, measure: str) -> list[float]:
        return self.values.get(name, {}).get(measure, [])


@dataclass(frozen=True, slots=True)
class Step:
    """One piece of work: what it is, for whom, and the call that does it."""

    title: str
    contender: Contender
    work: Callable[[], dict[str, float | str]]


def plan_steps(contenders: list[Contender], plan: Plan, base: Path) -> Iterator[Step]:
    """Yield all measurements, the contenders taking turns so that noise in time hits all of them alike."""
    for _ in range(plan.n_imports + 1):  # the first one compiles byte code and fills caches; it is not kept
        for contender in contenders:
            if contender.module:
                yield Step("import", contender, _bind(measure_import, contender, base))
    for _ in range(plan.n_repeats):
        for contender in contenders:
            yield Step("latency", contender, _bind(measure_latency, contender, base, plan.n_rows))
        for contender in contenders:
            yield Step("CPU", contender, _bind(run_once, contender, base, "cpu", plan.n_rows))
        for contender in contenders:
            if contender.name == "ours":
                yield Step("1,000 metrics", contender, _bind(measure_wide, contender, base, plan.n_wide_rows))
                yield Step("reading", contender, _bind(measure_reading, contender, base, plan.n_rows))
    for _ in range(plan.n_kills):
        for contender in contenders:
            yield Step("SIGKILL", contender, _bind(measure_kill, contender, base, 0.0))
            yield Step("SIGKILL", contender, _bind(measure_kill, contender, base, 0.001))
    for contender in contenders:
        if contender.name == "ours":
            yield Step("memory", contender, _bind(run_once, contender, base, "memory", plan.n_memory_rows))


def _bind(function: Callable[..., dict[str, float | str]], *arguments: object) -> Callable[[], dict[str, float | str]]:
    return lambda: function(*arguments)


def measure_import(contender: Contender, base: Path) -> dict[str, float | str]:
    """Time a bare interpreter and one that imports the contender, right after each other.

    `-S` keeps out the `.pth` files of the venv: those of an editable install import modules that would then count
    as bare. What an ordinary start loads besides is imported by name.
    """
    bare_ms = _time_python(contender, base, "pass")
    return {"import_ms": _time_python(contender, base, f"import {contender.module}") - bare_ms}


def _time_python(contender: Contender, base: Path, code: str) -> float:
    command = [str(contender.python), "-S", "-c", f"import os, site; {code}"]
    environment = contender.environment(base)
    paths = [environment["PYTHONPATH"], str(contender.site_packages)]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=base, check=False, capture_output=True, text=True)
    elapsed_s = time.perf_counter() - began
    if done.returncode:
        raise MeasurementError(f"{code!r}: {_last_line(done.stderr, done.returncode)}")
    return elapsed_s * 1e3


def measure_latency(contender: Contender, base: Path, n_rows: int) -> dict[str, float | str]:
    """Time the calls of one run, then weigh the files that it left."""
    with _scratch(base) as scratch:
        result = _run_worker(contender, scratch, "latency", "--rows", str(n_rows))
        n_points = n_rows * 10
        sizes = {path: path.stat().st_size for path in _files(scratch / "data")}
        result["bytes_per_point"] = sum(sizes.values()) / n_points
        if contender.name == "ours":
            journal = sum(size for path, size in sizes.items() if path.suffix == ".journal")
            result["journal_bytes_per_point"] = journal / n_points
        return result


def measure_wide(contender: Contender, base: Path, n_rows: int) -> dict[str, float | str]:
    """Time rows of 1,000 metrics."""
    with _scratch(base) as scratch:
        result = _run_worker(contender, scratch, "latency", "--rows", str(n_rows), "--metrics", "1000")
        return {"wide_p50_us": result["p50_us"], "wide_p99_us": result["p99_us"]}


def measure_reading(contender: Contender, base: Path, n_rows: int) -> dict[str, float | str]:
    """Write a run, then read it back in fresh processes."""
    with _scratch(base) as scratch:
        rows = ("--rows", str(n_rows))
        _run_worker(contender, scratch, "cpu", *rows)
        api = _run_worker(contender, scratch, "read-api", *rows)
        return api | _run_worker(contender, scratch, "read-journal", *rows)


def run_once(contender: Contender, base: Path, task: str, n_rows: int) -> dict[str, float | str]:
    """Run one task of the worker in an empty folder."""
    with _scratch(base) as scratch:
        return _run_worker(contender, scratch, task, "--rows", str(n_rows))


def measure_kill(contender: Contender, base: Path, pace_s: float) -> dict[str, float | str]:
    """Kill a logging process at a random instant; count the rows whose `log` had returned and that are gone.

    Only the process that trains dies, as with an out-of-memory kill. Its helper processes get time to write
    what they hold.
    """
    with _scratch(base) as scratch:
        counter = scratch / "returned"
        counter.write_bytes(bytes(8))
        arguments = ("--pace-s", str(pace_s), "--counter", str(counter))
        with (scratch / "stderr").open("wb") as stderr:
            command = _command(contender, scratch, "kill", *arguments)
            child = subprocess.Popen(
                command,
                env=contender.environment(scratch / "data"),
                cwd=scratch,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
            _kill_while_logging(child, counter, scratch / "stderr")
        n_returned = int.from_bytes(counter.read_bytes(), "little")
        result = _run_worker(contender, scratch, "lost", "--rows", str(n_returned))
    way = "paced" if pace_s else "flat_out"
    return {f"killed_returned_{way}": n_returned, f"killed_lost_{way}": result["n_lost"]}


def _kill_while_logging(child: subprocess.Popen[bytes], counter: Path, stderr: Path) -> None:
    deadline = time.monotonic() + _FIRST_ROW_LIMIT_S
    try:
        while not any(counter.read_bytes()):
            if child.poll() is not None or time.monotonic() > deadline:
                cause = _last_line(stderr.read_text(errors="replace"), child.poll() or 0)
                raise MeasurementError(f"kill: no row within {_FIRST_ROW_LIMIT_S} s: {cause}")
            time.sleep(0.01)
        time.sleep(random.uniform(0.2, 2.0))
        helpers = psutil.Process(child.pid).children(recursive=True)
    finally:
        child.kill()
        child.wait()
    _, left = psutil.wait_procs(helpers, timeout=_HELPERS_LIMIT_S)
    for helper in left:
        helper.send_signal(signal.SIGKILL)


def _run_worker(contender: Contender, scratch: Path, task: str, *arguments: str) -> dict[str, float | str]:
    """Run a task of the contender's worker and return its result.

    Raises:
        MeasurementError: when it fails or takes over ten minutes.
    """
    out = scratch / "result.json"
    try:
        subprocess.run(
            _command(contender, scratch, task, *arguments),
            env=contender.environment(scratch / "data"),
            cwd=scratch,
            check=True,
            capture_output=True,
            text=True,
            timeout=_WORKER_LIMIT_S,
        )
    except subprocess.CalledProcessError as error:
        raise MeasurementError(f"{task}: {_last_line(error.stderr, error.returncode)}") from error
    except subprocess.TimeoutExpired as error:
        raise MeasurementError(f"{task}: no result after {_WORKER_LIMIT_S} s") from error
    result: dict[str, float | str] = json.loads(out.read_text())
    return result


def _last_line(stderr: str, status: int) -> str:
    return (stderr.strip().splitlines() or [f"exit status {status}"])[-1]


def _command(contender: Contender, scratch: Path, task: str, *arguments: str) -> list[str]:
    fixed = ("--folder", str(scratch / "data"), "--out", str(scratch / "result.json"))
    return [str(contender.python), str(contender.script), task, *fixed, *arguments]


@contextmanager
def _scratch(base: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir=base))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
