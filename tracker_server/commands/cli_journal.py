"""`tracker journal cat` and `tracker journal verify`: look at the bytes' meaning without the store."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tracker_core.errors import NotFoundError
from tracker_core.journal_format import Kind
from tracker_core.journal_reader import JournalBatch, JournalReader
from tracker_core.paths import JOURNAL_SUFFIX, find_folder, run_folder
from tracker_core.records import KIND_OF
from tracker_core.settings import load_settings

from ..runs.run_view import json_number

_STEP_BYTES = 4 << 20


def cat(args: argparse.Namespace) -> int:
    """Print every record in order, one line each; with --json as JSON lines."""
    for path in _journals(args):
        for sequence, kind, fields in _records(path):
            if args.json:
                line = {"sequence": sequence, "kind": kind, **fields}
                sys.stdout.write(msgspec.json.encode(json_number(line)).decode() + "\n")
            else:
                text = " ".join(f"{name}={value!r}" for name, value in fields.items())
                sys.stdout.write(f"{sequence:>8} {kind:<10} {text}\n")
    return 0


def _records(path: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield (sequence, kind, fields) of each intact record, in the order written."""
    reader = JournalReader(path)
    while (batch := reader.read(_STEP_BYTES)).n_bytes:
        yield from sorted(_of_batch(batch), key=lambda record: record[0])


def _of_batch(batch: JournalBatch) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for group in batch.row_groups:
        for sequence, step, wall_time_ns, values in group.rows():
            row = {"step": step, "wall_time_ns": wall_time_ns, **dict(zip(group.keys, values, strict=True))}
            yield sequence, Kind(group.kind).name, row
    for sequence, record in batch.records:
        yield sequence, KIND_OF[type(record)].name, msgspec.to_builtins(record)


def verify(args: argparse.Namespace) -> int:
    """Check journals and print what each holds; return 1 where one is damaged."""
    reports = [_report(path) for path in _journals(args)]
    is_damaged = any(report["damage"] or report["n_tail_bytes"] for report in reports)
    if args.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(reports), indent=2).decode() + "\n")
        return int(is_damaged)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("journal", "rows", "other records", "bytes", "closed", "damage"):
        is_text = heading in ("journal", "damage")
        table.add_column(heading, justify="left" if is_text else "right", overflow="fold")
    for report in reports:
        damage = [f"byte {d['offset']}: {d['reason']}" for d in report["damage"]]
        if report["n_tail_bytes"]:
            damage.append(f"{report['n_tail_bytes']} bytes at the end hold no whole record")
        verdict = f"[red]{escape('; '.join(damage))}[/red]" if damage else "[green]none[/green]"
        numbers = [str(report[name]) for name in ("n_rows", "n_records", "n_bytes")]
        table.add_row(escape(report["journal"]), *numbers, "yes" if report["is_closed"] else "no", verdict)
    Console().print(table)
    return int(is_damaged)


def _report(path: str) -> dict[str, Any]:
    reader = JournalReader(path)
    n_rows = n_records = 0
    damage = []
    while True:
        batch = reader.read(_STEP_BYTES)
        n_packed = sum(len(group.sequences) for group in batch.row_groups)
        n_in_groups = sum(len(group.sequences) for group in batch.row_groups if group.kind == Kind.ROW)
        n_rows += n_in_groups
        n_records += len(batch.records) + batch.n_unknown + n_packed - n_in_groups
        damage += [msgspec.to_builtins(found) for found in batch.damage]
        if not batch.n_bytes:
            break
    return {
        "journal": os.path.relpath(path),
        "n_rows": n_rows,
        "n_records": n_records,
        "n_bytes": os.path.getsize(path),
        "is_closed": reader.is_closed,
        "n_tail_bytes": reader.n_tail_bytes,
        "damage": damage,
    }


def _journals(args: argparse.Namespace) -> list[str]:
    """Return the journals that a target names.

    Raises:
        NotFoundError: it names none.
    """
    folder = find_folder(args.dir or load_settings().dir)
    target: str | None = args.target
    if target is None:
        places = [os.path.join(folder, "runs")]
    elif os.path.exists(target):
        places = [target]
    else:
        project, _, run_id = target.strip("/").rpartition("/")
        places = [run_folder(folder, project, run_id)] if project else _run_folders(folder, run_id)
    found = sorted(path for place in places for path in _below(place))
    if not found:
        raise NotFoundError(f"{target or folder}: no journal there; list the runs with: tracker runs")
    return found


def _run_folders(folder: str, run_id: str) -> list[str]:
    runs = os.path.join(folder, "runs")
    projects = os.listdir(runs) if os.path.isdir(runs) else []
    return [os.path.join(runs, project, run_id) for project in projects]


def _below(place: str) -> Iterator[str]:
    if os.path.isfile(place):
        yield place
    for root, _, files in os.walk(place):
        yield from (os.path.join(root, name) for name in files if name.endswith(JOURNAL_SUFFIX))
