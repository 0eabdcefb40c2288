"""Run the training script, and compare what it logged with what the journals and `Api` give back."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import child_process
from journal_model import exact, read_items, rows_in
from training import RUN_ID, Ledger, row_of

from tracker_core.api import Api
from tracker_core.journal_reader import JournalReader
from tracker_core.records import Dropped, Session, State, Suspended

_HERE = Path(__file__).parent


def start(
    folder: Path, ledger: Path, n_rows: int, *, prefix: tuple[str, ...] = (), before: str = "", **settings: Any
) -> subprocess.Popen[str]:
    """Start `train` in a process of its own; `before` is code that it runs first."""
    environ = settings.pop("environ", {})
    arguments = json.dumps({"folder": str(folder), "ledger_path": str(ledger), "n_rows": n_rows, **settings})
    script = f"{before}\nimport json, sys, training\ntraining.train(**json.loads(sys.argv[1]))"
    Ledger(ledger)
    return child_process.start(script, arguments, prefix=prefix, **python_path(), **environ)


def run_to_its_end(*arguments: Any, timeout_s: float = 60, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `train` in a process of its own, whatever its end."""
    process = start(*arguments, **options)
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"still running after {timeout_s} s\n{process.communicate()}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def python_path() -> dict[str, str]:
    """Return the environment with which a child finds this module, and those of the core's tests."""
    paths = [child_process.REPOSITORY, _HERE, _HERE.parent / "core"]
    return {"PYTHONPATH": ":".join(map(str, paths))}


@dataclass
class Kept:
    """What is read back of a run that one process wrote.

    Attributes:
        numbers: the rows of each thread.
        n_lost: rows whose `log()` had returned and that are not there.
        n_dropped: rows that the journal says were dropped.
    """

    numbers: dict[int, list[int]] = field(default_factory=dict)
    n_lost: int = 0
    n_dropped: int = 0
    n_waited: int = 0
    causes: list[str] = field(default_factory=list)
    state: State | None = None
    n_damaged: int = 0
    n_lost_by_damage: int = 0
    sessions: list[Session] = field(default_factory=list)


def compare(folder: Path, ledger: Ledger, n_threads: int = 1, api: bool = True) -> Kept:
    """Return what the journal below a folder holds of a process, after checking it against what the process logged.

    No row is there twice, out of order or other than it was logged, none is there that was not begun; `Api` gives the
    same rows as the journal.
    """
    paths = sorted(folder.rglob("*.journal"))
    kept = Kept({thread: [] for thread in range(n_threads)})
    items = [row[3] for path in paths for row in rows_in(read_items(path))]
    for row in items:
        thread, n = row["thread"][1], row["n"][1]
        assert row == exact(row_of(thread, n)), "a row differs from what was logged"
        kept.numbers[thread].append(n)
    for thread, numbers in kept.numbers.items():
        assert numbers == sorted(set(numbers)), "each row once and in order"
        assert not numbers or numbers[-1] < ledger.n_begun(thread)
        n_sure = ledger.n_returned(thread)
        kept.n_lost += n_sure - sum(n < n_sure for n in numbers)
    for path in paths:
        _add_notices(kept, path)
    if api and items:
        assert api_rows(paths[0].parents[3]) == items
    return kept


def _add_notices(kept: Kept, path: Path) -> None:
    batch = JournalReader(str(path)).read()
    kept.n_damaged += len(batch.damage)
    kept.n_lost_by_damage += sum(damage.n_lost_records or 0 for damage in batch.damage)
    for _, record in batch.records:
        if isinstance(record, Dropped):
            kept.n_dropped += record.n_rows
        elif isinstance(record, Suspended):
            kept.causes.append(record.cause)
            kept.n_waited += record.n_queued
        elif isinstance(record, State):
            kept.state = record
        elif isinstance(record, Session):
            kept.sessions.append(record)


def api_rows(folder: Path, run_id: str = RUN_ID) -> list[dict[str, Any]]:
    """Return the values of all rows by `Api`, in a form that compares exactly."""
    api = Api(dir=folder)
    try:
        rows = api.run(run_id).scan_history()
        return [exact({key: row[key] for key in row if key not in ("_step", "_timestamp")}) for row in rows]
    finally:
        api.close()
