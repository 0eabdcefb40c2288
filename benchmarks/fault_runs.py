"""Put a logger's worker in front of a fault and tell what became of the training and of the rows.

A full disk and a read-only folder are a small tmpfs of the worker's own: it is mounted in a namespace of users, mounts
and processes, which needs no rights (Linux). All processes that a worker leaves behind end with that namespace.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
from contenders import REPOSITORY, Contender
from fault_tasks import FIRST_CHILD_ID, N_AFTER, N_BEFORE, N_CHILD_ROWS, N_DURING, N_PARENT_ROWS
from measurements import MeasurementError, Result, last_line, measure_kill, scratch_folder

DISK_MIB = 24
HANG_LIMIT_S = 75  # without a row or a new phase; longer than the waits for children, one after the other
READ_ONLY_LIMIT_S = 180  # mlflow tries for 100 s to open its database
_READER_LIMIT_S = 300
KILL_WINDOW_S = (2.0, 4.0)
_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
_SETTLE_S = 2
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_DISK_TROUBLE = re.compile(r"no space|read-only|errno|i/o error|wasn't read|cannot be written|full", re.IGNORECASE)
_TROUBLE = re.compile(r"error|warn|fail|no space|read-only|cannot|could not|not writable|dropped|lost", re.IGNORECASE)


@dataclass(slots=True)
class Outcome:
    """What one fault did to one logger, once.

    Attributes:
        survived: whether an ordinary training script, without a try of its own, would have reached its end.
        lost: how many rows, whose `log` had returned, cannot be read back; by part, such as "before".
        logged: how many calls of `log` had returned; by the same parts.
        n_doubled: rows that are read back more than once.
        is_hung: whether something did not end within its limit.
        is_killed: whether the fault is the end of the process, so that `survived` says nothing.
        raised: the first exception of each phase in which a call raised.
        said: the first line of its output that speaks of trouble.
        note: what else there is to know.
    """

    survived: bool
    lost: dict[str, int]
    logged: dict[str, int]
    n_doubled: int = 0
    is_hung: bool = False
    is_killed: bool = False
    raised: dict[str, str] = field(default_factory=dict)
    said: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its name in the table, and the call that makes it happen once."""

    name: str
    title: str
    happen: Callable[[Contender, Path], Outcome]


def _kill(contender: Contender, base: Path, with_helpers: bool) -> Outcome:
    n_returned, result = measure_kill(contender, base, 0.001, KILL_WINDOW_S, with_helpers)
    return Outcome(False, {"": result["n_lost"]}, {"": n_returned}, is_killed=True)


def _full_disk(contender: Contender, base: Path) -> Outcome:
    return _judge(contender, base, "full-disk", f"mount -t tmpfs -o size={DISK_MIB}m tmpfs {{mount}}")


def _read_only(contender: Contender, base: Path) -> Outcome:
    mount = "mount -t tmpfs tmpfs {mount} && mkdir {mount}/data && mount -o remount,ro {mount}"
    return _judge(contender, base, "read-only", mount, READ_ONLY_LIMIT_S)


FAULTS = (
    Fault("kill", "SIGKILL of the process", lambda c, base: _kill(c, base, with_helpers=False)),
    Fault("kill_all", "SIGKILL of the process and its helpers", lambda c, base: _kill(c, base, with_helpers=True)),
    Fault("full_disk", "disk full, then free again", _full_disk),
    Fault("read_only", "read-only folder", _read_only),
    Fault("fork", "os.fork after init, the child logs", lambda c, base: _judge(c, base, "fork")),
    Fault("pool", "Pool(2) forked after init, its processes log", lambda c, base: _judge(c, base, "pool")),
    Fault(
        "idle_pools", "20 x Pool(2) forked after init, only the parent logs", lambda c, b: _judge(c, b, "idle-pools")
    ),
)

NAMESPACE_FAULTS = {fault.name for fault in FAULTS} - {"kill", "kill_all"}


def why_no_namespace() -> str | None:
    """Return why tmpfs cannot be mounted in a namespace here, or None."""
    if not sys.platform.startswith("linux") or not shutil.which("unshare"):
        return "needs Linux and unshare"
    command = [*_NAMESPACE, "sh", "-c", "mount -t tmpfs tmpfs /tmp"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"no namespace: {last_line(done.stderr, done.returncode)}" if done.returncode else None


def _judge(contender: Contender, base: Path, task: str, mount: str = ":", limit_s: int = HANG_LIMIT_S) -> Outcome:
    """Run a fault task and its reader in one namespace, and compare what was logged with what is read."""
    with scratch_folder(base) as scratch:
        status = _run_in_namespace(contender, scratch, task, mount, limit_s)
        story = _load(scratch / "story.json")
        found = _load(scratch / "found.json")
        if not story:
            raise MeasurementError(f"{task}: {last_line(_text(scratch / 'stderr'), status)}")
        said = f"{_text(scratch / 'stdout')}\n{_text(scratch / 'stderr')}"
        outcome = _outcome(task, story, found, status, said)
        return _without_paths(outcome, {str(scratch): "TMP", str(contender.site_packages): "", str(REPOSITORY): ""})


def _run_in_namespace(contender: Contender, scratch: Path, task: str, mount: str, limit_s: int) -> int:
    """Return the worker's exit status, 137 where it hung."""
    place = scratch / "mount"
    place.mkdir()
    worker, data = [str(contender.python), str(contender.script)], ["--folder", str(place / "data")]
    run = shlex.join([*worker, task, *data, "--out", str(scratch / "story.json")])
    read = shlex.join(
        [*worker, "read-ids", *data, "--out", str(scratch / "found.json"), "--more-folders", str(scratch)]
    )
    fallback = (
        f"{shlex.quote(str(scratch))}/tracker-*/.tracker"  # wandb takes the temporary folder itself, ours one in it
    )
    script = f"""
        {mount.format(mount=shlex.quote(str(place)))} || exit 99
        {run} >stdout 2>stderr </dev/null
        echo $? >status
        sleep {_SETTLE_S}
        timeout -s KILL {_READER_LIMIT_S} {read} {fallback} >/dev/null 2>read-stderr </dev/null
    """
    environment = contender.environment(place / "data", scratch, is_silent=False)
    command = [*_NAMESPACE, "sh", "-c", script]
    with subprocess.Popen(command, cwd=scratch, env=environment, stdin=subprocess.DEVNULL) as shell:
        _kill_when_hung(shell, str(contender.script), task, scratch / "story.json", limit_s)
    return int(_text(scratch / "status") or 99)


def _kill_when_hung(shell: subprocess.Popen[bytes], script: str, task: str, story: Path, limit_s: int) -> None:
    """Wait for the shell; kill the worker once its story has not changed for as long as the limit.

    A slow logger on a busy machine thus is not taken for one that hangs.
    """
    last_change, changed_s = -1, time.monotonic()
    while shell.poll() is None:
        change = story.stat().st_mtime_ns if story.exists() else 0
        if change != last_change:
            last_change, changed_s = change, time.monotonic()
        elif time.monotonic() - changed_s > limit_s:
            for process in psutil.Process(shell.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    if [script, task] == process.cmdline()[1:3]:
                        process.kill()
            changed_s = time.monotonic()
        with suppress(subprocess.TimeoutExpired):
            shell.wait(0.2)


def _outcome(task: str, story: Result, found: Result, status: int, said: str) -> Outcome:
    phases: dict[str, Result] = story["phases"]
    ids: Counter[int] = Counter(found.get("ids", []))
    is_hung = status in (137, -9) or bool(story.get("are_children_hung"))
    raised = {name: phase["error"] for name, phase in phases.items() if phase["n_raised"]}
    ended = story["phase"] == "end" and status == 0
    notes = []
    if found.get("error"):
        notes.append(f"reading: {found['error']}")
    if not found:
        notes.append("reading: the reader did not end")
    if found.get("is_elsewhere"):
        notes.append("the rows were written to the temporary folder")
    if not ended:
        where = f"in phase {story['phase']!r}"
        notes.append(f"hung {where}" if status in (137, -9) else f"died {where}: {last_line(said, status)}")
    if any("first_raise_at" in phase for phase in phases.values()):
        n_raised = sum(phase["n_raised"] for phase in phases.values())
        notes.append(f"{n_raised:,} calls of log() raised")
    slowest_ms = max((p["slowest_ms"] for name, p in phases.items() if name not in ("init", "finish")), default=0)
    if slowest_ms > 1000:
        notes.append(f"slowest log() {slowest_ms / 1e3:.1f} s")
    lost, logged = _count(task, phases, ids)
    survived = ended and not raised and not story.get("are_children_hung")
    n_doubled = sum(n - 1 for n in ids.values())
    return Outcome(survived, lost, logged, n_doubled, is_hung, False, raised, _trouble(said), "; ".join(notes))


def _trouble(said: str) -> str:
    """Return the first line that speaks of trouble, without colours."""
    lines = [line.strip() for line in _ANSI.sub("", said).splitlines()]
    for pattern in (_DISK_TROUBLE, _TROUBLE):
        for line in lines:
            if pattern.search(line):
                return line[:300]
    return ""


def _without_paths(outcome: Outcome, names: dict[str, str]) -> Outcome:
    """Return the outcome with the folders of this machine left out of its texts."""

    def clean(text: str) -> str:
        for path, name in names.items():
            text = text.replace(path, name)
        return " ".join(text.split())

    raised = {phase: clean(text) for phase, text in outcome.raised.items()}
    return replace(outcome, raised=raised, said=clean(outcome.said), note=clean(outcome.note))


def _count(task: str, phases: dict[str, Result], ids: Counter[int]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the rows lost and logged by part; a call that raised is no row that was promised."""
    parts: dict[str, tuple[range, int]] = {}

    def part(title: str, first: int, n_rows: int, *names: str) -> None:
        n_returned = sum(phases[name]["n_returned"] for name in names if name in phases)
        parts[title] = (range(first, first + n_rows), n_returned)

    if task == "full-disk":
        part("before", 0, N_BEFORE, "before")
        part("while full", N_BEFORE, N_DURING, "full")
        part("after", N_BEFORE + N_DURING, N_AFTER, "after")
    elif task == "read-only":
        part("", 0, N_BEFORE, "log")
    else:
        part("parent", 0, 3 * N_PARENT_ROWS, "before", "parent, beside the child", "parent, afterwards")
        if task != "idle-pools":
            part("child", FIRST_CHILD_ID, N_CHILD_ROWS, "child")
    lost, logged = {}, {}
    for title, (numbers, n_returned) in parts.items():
        n_found = sum(1 for number in numbers if number in ids)
        lost[title], logged[title] = max(0, n_returned - n_found), n_returned
    return lost, logged


def _load(path: Path) -> Result:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content


def _text(path: Path) -> str:
    return path.read_text(errors="replace").strip() if path.exists() else ""
