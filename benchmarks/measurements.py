"""Start loggers' workers, kill some of them, and collect what they measured."""

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
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from contenders import Contender, prepare
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

Result = dict[str, Any]

_WORKER_LIMIT_S = 600
_FIRST_ROW_LIMIT_S = 60
_HELPERS_LIMIT_S = 20


class MeasurementError(Exception):
    """A worker gave no result; the text says which and why."""


@dataclass(slots=True)
class Samples:
    """What was measured: contender -> measure -> a number per repeat; versions; why numbers are missing."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def add(self, contender: Contender, result: Result) -> None:
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
    work: Callable[[], Result]


def bind(function: Callable[..., Result], *arguments: object) -> Callable[[], Result]:
    """Return a call without arguments, for a `Step`."""
    return lambda: function(*arguments)


def prepare_all(contenders: list[Contender], samples: Samples, console: Console) -> list[Contender]:
    """Install what is missing; return the contenders that can run, note why the others cannot."""
    for contender in contenders:
        if contender.requirements and not contender.python.exists():
            console.print(f"installing {', '.join(contender.requirements)} into {contender.venv_folder} ...")
        problem = prepare(contender)
        if problem:
            samples.problems[contender.name] = problem
            console.print(f"[yellow]{contender.title} is left out, {problem}[/]")
    return [contender for contender in contenders if contender.name not in samples.problems]


def run_steps(steps: Iterable[Step], samples: Samples, console: Console) -> None:
    """Run every step. A kind of step that fails once is left out for that contender, with the reason.

    The first import of each contender compiles byte code and fills caches; it is not kept.
    """
    columns = (TextColumn("{task.description:32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    steps = list(steps)
    warmed_up: set[str] = set()
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=len(steps))
        for step in steps:
            progress.update(bar, description=f"{step.contender.title}: {step.title}")
            key = f"{step.contender.name} {step.title}"
            if key not in samples.problems:
                try:
                    result = step.work()
                except MeasurementError as error:
                    samples.problems[key] = str(error)
                else:
                    if step.title != "import" or key in warmed_up:
                        samples.add(step.contender, result)
                    warmed_up.add(key)
            progress.advance(bar)


def measure_import(contender: Contender, base: Path) -> Result:
    """Time a bare interpreter and one that imports the contender, right after each other.

    `-S` keeps out the `.pth` files of the venv: those of an editable install import modules that would then count
    as bare. What an ordinary start loads besides is imported by name.
    """
    bare_ms = _time_python(contender, base, "pass")
    return {"import_ms": _time_python(contender, base, f"import {contender.module}") - bare_ms}


def _time_python(contender: Contender, base: Path, code: str) -> float:
    command = [str(contender.python), "-S", "-c", f"import os, site; {code}"]
    environment = contender.environment(base, base)
    paths = [environment["PYTHONPATH"], str(contender.site_packages)]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=base, check=False, capture_output=True, text=True)
    elapsed_s = time.perf_counter() - began
    if done.returncode:
        raise MeasurementError(f"{code!r}: {last_line(done.stderr, done.returncode)}")
    return elapsed_s * 1e3


def measure_latency(contender: Contender, base: Path, n_rows: int, *more: str) -> Result:
    """Time the calls of one run, then weigh the files that it left."""
    with scratch_folder(base) as scratch:
        result = run_worker(contender, scratch, "latency", "--rows", str(n_rows), *more)
        n_points = n_rows * 10
        sizes = {path: path.stat().st_size for path in _files(scratch / "data")}
        result["bytes_per_point"] = sum(sizes.values()) / n_points
        if contender.name == "ours":
            journal = sum(size for path, size in sizes.items() if path.suffix == ".journal")
            result["journal_bytes_per_point"] = journal / n_points
        return result


def run_once(contender: Contender, base: Path, task: str, n_rows: int, *more: str) -> Result:
    """Run one task of the worker in an empty folder."""
    with scratch_folder(base) as scratch:
        return run_worker(contender, scratch, task, "--rows", str(n_rows), *more)


def measure_kill(
    contender: Contender,
    base: Path,
    pace_s: float,
    window_s: tuple[float, float] = (0.2, 2.0),
    with_helpers: bool = False,
) -> tuple[int, Result]:
    """Kill a logging process at a random instant; count the rows whose `log` had returned and that are gone.

    Args:
        contender: whose worker is killed.
        base: where it works.
        pace_s: pause between two calls.
        window_s: the kill comes this long after the first row, at a random instant between the two.
        with_helpers: its helper processes are killed too, as when a scheduler ends a job. Otherwise only the process
            that trains dies, as with an out-of-memory kill, and they get time to write what they hold.

    Returns:
        The number of calls that had returned, and the result of the task "lost".
    """
    with scratch_folder(base) as scratch:
        counter = scratch / "returned"
        counter.write_bytes(bytes(8))
        arguments = ("--pace-s", str(pace_s), "--counter", str(counter))
        with (scratch / "stderr").open("wb") as stderr:
            child = subprocess.Popen(
                worker_command(contender, scratch, "kill", *arguments),
                env=contender.environment(scratch / "data", scratch),
                cwd=scratch,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
            _kill_while_logging(child, counter, scratch / "stderr", window_s, with_helpers)
        n_returned = int.from_bytes(counter.read_bytes(), "little")
        return n_returned, run_worker(contender, scratch, "lost", "--rows", str(n_returned))


def _kill_while_logging(
    child: subprocess.Popen[bytes], counter: Path, stderr: Path, window_s: tuple[float, float], with_helpers: bool
) -> None:
    deadline = time.monotonic() + _FIRST_ROW_LIMIT_S
    helpers: list[psutil.Process] = []
    try:
        while not any(counter.read_bytes()):
            if child.poll() is not None or time.monotonic() > deadline:
                cause = last_line(stderr.read_text(errors="replace"), child.poll() or 0)
                raise MeasurementError(f"kill: no row within {_FIRST_ROW_LIMIT_S} s: {cause}")
            time.sleep(0.01)
        time.sleep(random.uniform(*window_s))
        helpers = psutil.Process(child.pid).children(recursive=True)
    finally:
        child.kill()
        for helper in helpers if with_helpers else ():
            _kill(helper)
        child.wait()
    _, left = psutil.wait_procs(helpers, timeout=_HELPERS_LIMIT_S)
    for helper in left:
        _kill(helper)


def _kill(process: psutil.Process) -> None:
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        pass


def run_worker(contender: Contender, scratch: Path, task: str, *arguments: str) -> Result:
    """Run a task of the contender's worker and return its result.

    Raises:
        MeasurementError: when it fails or takes over ten minutes.
    """
    out = scratch / "result.json"
    try:
        subprocess.run(
            worker_command(contender, scratch, task, *arguments),
            env=contender.environment(scratch / "data", scratch),
            cwd=scratch,
            check=True,
            capture_output=True,
            text=True,
            timeout=_WORKER_LIMIT_S,
        )
    except subprocess.CalledProcessError as error:
        raise MeasurementError(f"{task}: {last_line(error.stderr, error.returncode)}") from error
    except subprocess.TimeoutExpired as error:
        raise MeasurementError(f"{task}: no result after {_WORKER_LIMIT_S} s") from error
    result: Result = json.loads(out.read_text())
    return result


def worker_command(contender: Contender, scratch: Path, task: str, *arguments: str) -> list[str]:
    """Return the command of a worker that records below `scratch/data` and writes `scratch/result.json`."""
    fixed = ("--folder", str(scratch / "data"), "--out", str(scratch / "result.json"))
    return [str(contender.python), str(contender.script), task, *fixed, *arguments]


def last_line(stderr: str, status: int) -> str:
    """Return what a process said last, or its exit status where it said nothing."""
    return (stderr.strip().splitlines() or [f"exit status {status}"])[-1]


@contextmanager
def scratch_folder(base: Path) -> Iterator[Path]:
    """Make a folder that is removed in the end."""
    folder = Path(tempfile.mkdtemp(dir=base))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
