"""Measure what a `log()` call costs, beside other trackers and beside a plain `json.dumps` and write.

    python benchmarks/log_cost.py [--quick] [--only ours,json]

Each peer runs in a venv of its own, which is created below `benchmarks/.venvs/` when it is missing. The table
goes to the terminal and, with every sample, to `benchmarks/results/log_cost.md` and `.json`; a quick or partial
run goes to `log_cost_partial` instead, so that it never replaces a whole one.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from contenders import BENCHMARKS, choose
from log_cost_machine import describe_machine
from log_cost_report import Report
from log_cost_runs import FULL, QUICK, plan_steps
from measurements import Samples, prepare_all, run_steps
from rich.console import Console

_NAMES = ["ours", "json", "wandb", "trackio"]


def main() -> None:
    """Measure and report."""
    options = _parse()
    console = Console()
    plan = QUICK if options.quick else FULL
    contenders, samples = choose(options.only), Samples()
    able = prepare_all(contenders, samples, console)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="log-cost-") as base:
        machine, began = describe_machine(Path(base)), datetime.now(UTC)
        run_steps(plan_steps(able, plan, Path(base)), samples, console)
    report = Report(contenders, plan, machine, samples, began)
    for table in report.terminal_tables():
        console.print(table)
    for name, problem in samples.problems.items():
        console.print(f"[yellow]{name}: {problem}[/]")
    is_whole = not options.quick and len(contenders) == len(_NAMES) and not samples.problems
    for path in report.write(options.results, "log_cost" if is_whole else "log_cost_partial"):
        console.print(f"written: {path}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats and rows")
    parser.add_argument("--only", default=",".join(_NAMES), help=f"comma-separated, of {', '.join(_NAMES)}")
    parser.add_argument("--folder", type=Path, help="where runs are written (default: the system's)")
    parser.add_argument("--results", type=Path, default=BENCHMARKS / "results", help="where the report goes")
    options = parser.parse_args()
    options.only = options.only.split(",")
    unknown = sorted(set(options.only) - set(_NAMES))
    if unknown:
        parser.error(f"--only: got {', '.join(unknown)}, expected names out of {', '.join(_NAMES)}")
    return options


if __name__ == "__main__":
    main()
