"""The faults by number, what holds in each, and the tests marked with them. docs/faults.md is made from this."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parents[1]


class Fault(NamedTuple):
    """One row of the table. `limits` says what does not hold, and why; "" where nothing is left out."""

    fault: str
    holds: str
    limits: str = ""


FAULTS = {
    "F1": Fault(
        "SIGKILL at a random instant",
        "Every row whose `log()` had returned is there, in order, once, also those of other threads.",
        "Lines printed in the last half second or so before it, and a sample of the machine, are not on record yet.",
    ),
    "F2": Fault(
        "SIGKILL at the n-th write, flush, rename, mkdir, unlink, ftruncate",
        "As F1; no file is left half made, and the run can be gone on with.",
    ),
    "F3": Fault(
        "SIGTERM, SIGINT once and twice, SIGUSR1, SIGHUP",
        "No row is lost; the run is `killed` with the signal named, and the process ends by that signal as without us.",
    ),
    "F4": Fault(
        "SLURM requeue",
        'The job ends `preempted` (or `crashed`, without a word); with `resume="allow"` its successor goes on with '
        "step and config in the same attempt.",
    ),
    "F5": Fault(
        "exception, exit 3, `os._exit`, out of memory, segmentation fault",
        "No row is lost; `failed` with traceback and exit code where Python still runs, else `crashed`.",
        "The kernel's killer for want of memory is tried as the SIGKILL that it sends.",
    ),
    "F6": Fault("order of atexit handlers", "Handlers registered after `init` can log; earlier hooks are called."),
    "F7": Fault("fork after init", "The child writes its own journal from its first row; the parent's is untouched."),
    "F8": Fault("spawn, 8 ranks", "Each rank has a writer of its own in one run, by `TRACKER_RUN_ID`."),
    "F9": Fault(
        "two processes, one id",
        "Both keep every row, in journals of their own; without `resume` each is an attempt.",
        "Two processes that both resume one id at once share an attempt: a chart shows the rows of both.",
    ),
    "F10": Fault("threads and a signal handler that logs", "Every row once, in the order of its thread; no deadlock."),
    "F11": Fault(
        "helper killed: the journal's thread cannot start, or dies; `tracker run` is killed",
        "Rows are written without the thread; those that wait are written at the end. The command of `tracker run` "
        "goes on, with every row.",
        "Without the thread nothing flushes to the device before the end, and a silent run counts as crashed. A "
        "command that prints finds its pipe broken once `tracker run` is gone, as behind `| tee`.",
    ),
    "F12": Fault("notebook restart", "The kernel's death loses no row; a cell that is run again begins anew."),
    "F13": Fault("truncation at every byte", "An exact prefix."),
    "F14": Fault("flip of every bit", "Everything before it and every later block; the loss is named and counted."),
    "F15": Fault(
        "zeroed tail, duplicated, missing, misplaced, foreign block",
        "Nothing doubled, nothing false; what is missing is counted.",
    ),
    "F16": Fault(
        "disk full (ENOSPC)",
        "No call raises or waits; rows wait in memory and arrive once, in order. Those beyond the memory set for that "
        "are dropped and counted exactly. An artifact that does not fit is refused with an error and leaves nothing "
        "behind; those that are there stay whole, and a collection of garbage needs next to no room.",
        "A kill while rows wait takes those that wait, and the journal, being full, cannot tell of it.",
    ),
    "F17": Fault(
        "EIO at a flush",
        "Warned of once; rows go on being written.",
        "Whether the device has them is beyond us then.",
    ),
    "F18": Fault(
        "quota, read-only, not ours, folder deleted",
        "The run is kept in another folder that is named, or the folder is restored with everything.",
    ),
    "F19": Fault(
        "no inode left",
        "A run that has begun goes on; a forked child's rows wait until its file can be made; a new run is kept "
        "elsewhere.",
    ),
    "F20": Fault("no file descriptor left", "As F16, from the first call on."),
    "F21": Fault(
        "short write, EINTR", "A record cut short is taken back and written whole; interrupted calls are repeated."
    ),
    "F22": Fault(
        "a flush of 2 s",
        "`log()` does not wait for it.",
        "On kernels and file systems where a write waits for a flush of the same file, the first such row waits; "
        "those that follow go through memory.",
    ),
    "F23": Fault(
        "network file system: ESTALE, a stale or closed handle, writes that hang",
        "The file is opened again and gone on with behind its last whole record; where it is gone too, the loss is "
        "counted.",
        "Simulated by strace and by taking the descriptor away, not on a real NFS. A program that closes descriptors "
        "which are not its own and opens others gets up to a second of journal in its file.",
    ),
    "F24": Fault(
        "a journal of an old or newer version", "Golden files are read as ever; what is newer is skipped, counted."
    ),
    "F25": Fault(
        "the server is absent: at the start, later, again and again",
        "Training neither waits nor fails; everything arrives, once, when the server is there.",
    ),
    "F26": Fault(
        "500, 502, 503, 429 with and without Retry-After, 413, 401, 400, 422",
        "The sender waits as long as it is asked to, within bounds, makes requests smaller, or says that the key is "
        "refused, and tries again; a run that a server chokes on stops no other.",
    ),
    "F27": Fault(
        "black hole, half-open connection, reset at any byte, a reply at a few bytes a second",
        "A request is given up after a time; nothing that was not acknowledged counts as sent.",
    ),
    "F28": Fault(
        "the reply is lost after the server has committed", "What is sent again is known there: each row counts once."
    ),
    "F29": Fault(
        "requests twice, late, out of order, with gaps; a journal cut back, deleted or made anew while it is sent",
        "The server's journals are the local ones, byte for byte.",
        "Where a journal was written anew on disk with other bytes, the server has both; its rows count once.",
    ),
    "F30": Fault(
        "captive portal: a page with status 200, a redirect",
        "Not taken for a reply; no redirect is followed, and the key goes nowhere else.",
        "The portal itself sees the key where the server's address is not https.",
    ),
    "F31": Fault(
        "24 hours without the server",
        "No row is lost, the sender's memory does not grow with what waits, and it tries about twice a minute.",
        "The day is simulated: the sender's clock jumps over the waits.",
    ),
    "F32": Fault(
        "the server is killed while it takes runs in, at any instant and at chosen system calls; its disk is full; an "
        "upload, a commit or a collection of garbage is killed at any step",
        "What it acknowledged is there; after its start everything else arrives, once. A version is there whole or not "
        "at all, and what a kill leaves over is collected.",
    ),
    "F33": Fault(
        "garbage is collected while many processes upload, commit, delete and read",
        "Nothing that a version or an upload needs is taken, whichever comes first; in the end the rest is gone.",
        "A collection that never pauses makes uploads wait for their turn at the catalog.",
    ),
    "F34": Fault(
        "a backup is made while others write",
        "What is restored is one state: every version of the catalog in it has its bytes.",
        "Packs in an object store are backed up by its own means.",
    ),
    "F35": Fault(
        "clients that begin requests and never end them",
        "Others are served as before.",
    ),
    "F36": Fault(
        "the wall clock is set, forward and back",
        "Order and steps are by sequence, not by time; the jump is recorded and counted; no duration is negative.",
        "Jumps under 1 s, and two within a second that undo each other, are not told of. A duration over a jump is "
        "that of the wall clock.",
    ),
    "F38": Fault("a million steps", "Every point is there; a chart of them is drawn in under 300 ms, with its spike."),
    "F39": Fault("100,000 metrics in one run", "Each is found, by `Api` and over HTTP."),
}


class Mark(NamedTuple):
    """A test that is marked with the number of a fault. `path` is below tests/, with forward slashes."""

    number: str
    path: str
    test: str


@functools.cache
def collect_marks() -> list[Mark]:
    """Return the marks of all tests, read off the sources, so that no test module need be imported."""
    marks = set()
    for path in sorted(TESTS.rglob("test_*.py")):
        source = path.read_text()
        if "mark.fault(" not in source:
            continue
        tree = ast.parse(source)
        name = path.relative_to(TESTS).as_posix()
        whole = [number for node in tree.body if _is_pytestmark(node) for number in _numbers(node)]
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                own = [number for decorator in node.decorator_list for number in _numbers(decorator)]
                marks |= {Mark(number, name, node.name) for number in [*whole, *own]}
    return sorted(marks)


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(ast.unparse(target) == "pytestmark" for target in node.targets)


def _numbers(node: ast.AST) -> Iterator[str]:
    """Yield the arguments of every `pytest.mark.fault(...)` in an expression, those of parameters included."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.fault":
            yield from (str(ast.literal_eval(argument)) for argument in call.args)


def as_markdown() -> str:
    """Return the table for docs/faults.md."""
    marks = collect_marks()
    lines = ["", "| | fault | what holds | proved in | what does not, and why |", "|---|---|---|---|---|"]
    for number, row in FAULTS.items():
        files: dict[str, int] = {}
        for mark in marks:
            if mark.number == number:
                files[mark.path] = files.get(mark.path, 0) + 1
        proved = ", ".join(f"[{path}](../tests/{path}) ({n})" for path, n in files.items())
        lines.append(f"| {number} | {row.fault} | {row.holds} | {proved} | {row.limits} |")
    return "\n".join([*lines, ""])
