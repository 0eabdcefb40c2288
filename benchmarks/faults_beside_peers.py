"""Put loggers in front of the same faults and tell what becomes of the training and of the rows.

    python benchmarks/faults_beside_peers.py [--only ours,wandb] [--faults kill,full_disk] [--rounds 3] [--keep]

Faults: SIGKILL, a full disk, a read-only folder, fork. Each happens in fresh processes, the loggers taking turns. The
tables go to the terminal and to `benchmarks/results/faults_beside_peers.md` and `.json`; a run of a part goes to
`faults_beside_peers_partial`. With `--keep` the other loggers' cells are taken from the whole `.json` that is there,
so that one logger is measured anew: `--only ours --keep`. Two loggers are worked on at once, since most of the time is
waiting; nothing here is a measure of speed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contenders import BENCHMARKS, CONTENDERS, Contender, choose
from fault_report import Cells, Page
from fault_runs import FAULTS, NAMESPACE_FAULTS, Fault, Outcome, why_no_namespace
from log_cost_machine import describe_machine
from measurements import MeasurementError, Samples, prepare_all, run_once
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_NAMES = [contender.name for contender in CONTENDERS if contender.name != "json"]
_N_AT_ONCE = 2
_FAULT_NAMES = [fault.name for fault in FAULTS]


def main() -> None:
    """Make every fault happen and report."""
    options, console = _parse(), Console()
    faults = [fault for fault in FAULTS if fault.name in options.faults]
    samples, cells, old = Samples(), Cells(), _load(options)
    able = prepare_all(choose(options.only), samples, console)
    with tempfile.TemporaryDirectory(prefix="faults-") as base:
        machine = describe_machine(Path(base))
        for contender in able:
            samples.versions[contender.name] = _version(contender, Path(base))
        _make_all_happen(able, faults, options.rounds, cells, Path(base), console)
    if options.keep:
        cells.fill_from(old["outcomes"])
        options.rounds = options.rounds or old["n_rounds"]
        samples.versions = old["versions"] | samples.versions
    shown = [contender for contender in CONTENDERS if contender.name in cells.outcomes]
    began = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
    page = Page(shown, faults, cells, machine, samples.versions, samples.problems, options.rounds, began)
    console.print(page.terminal_table())
    is_whole = {contender.name for contender in shown} >= set(_NAMES) and len(faults) == len(FAULTS)
    for path in page.write(options.results, "faults_beside_peers" if is_whole else "faults_beside_peers_partial"):
        console.print(f"written: {path}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default=",".join(_NAMES), help=f"comma-separated, of {', '.join(_NAMES)}")
    parser.add_argument("--faults", default=",".join(_FAULT_NAMES), help=f"of {', '.join(_FAULT_NAMES)}")
    parser.add_argument("--rounds", type=int, default=3, help="how often; 0 with --keep: only the page")
    parser.add_argument("--keep", action="store_true", help="keep what the results hold of the other loggers")
    parser.add_argument("--results", type=Path, default=BENCHMARKS / "results", help="where the report goes")
    options = parser.parse_args()
    options.only, options.faults = options.only.split(","), options.faults.split(",")
    for name, got, known in (("--only", options.only, _NAMES), ("--faults", options.faults, _FAULT_NAMES)):
        unknown = sorted(set(got) - set(known))
        if unknown:
            parser.error(f"{name}: got {', '.join(unknown)}, expected names out of {', '.join(known)}")
    return options


def _load(options: argparse.Namespace) -> dict[str, Any]:
    if not options.keep:
        return {}
    content: dict[str, Any] = json.loads((options.results / "faults_beside_peers.json").read_text())
    return content


def _version(contender: Contender, base: Path) -> str:
    return str(run_once(contender, base, "cpu", 1)["version"])


def _make_all_happen(
    contenders: list[Contender], faults: list[Fault], n_rounds: int, cells: Cells, base: Path, console: Console
) -> None:
    missing = why_no_namespace()
    columns = (TextColumn("{task.description:72}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    work = [(fault, contender) for _ in range(n_rounds) for fault in faults for contender in contenders]

    def happen(pair: tuple[Fault, Contender]) -> None:
        fault, contender = pair
        progress.update(bar, description=f"{contender.title}: {fault.title}")
        reason = missing if fault.name in NAMESPACE_FAULTS else None
        cells.add(contender.name, fault.name, reason or _happen(fault, contender, base))
        progress.advance(bar)

    with Progress(*columns, console=console) as progress, ThreadPoolExecutor(_N_AT_ONCE) as pool:
        bar = progress.add_task("", total=len(work))
        for _ in pool.map(happen, work):
            pass


def _happen(fault: Fault, contender: Contender, base: Path) -> dict[str, Any] | str:
    """Return the outcome, or why there is none."""
    try:
        outcome: Outcome = fault.happen(contender, base)
    except MeasurementError as error:
        return str(error)
    return asdict(outcome)


if __name__ == "__main__":
    main()
