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

from log_cost_contenders import BENCHMARKS, CONTENDERS, VENVS, Contender, prepare
from log_cost_machine import describe_machine
from log_cost_report import Report
from log_cost_runs import FULL, QUICK, MeasurementError, Plan, Samples, plan_steps
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


def main() -> None:
    """Measure and report."""
    options = _parse()
    console = Console()
    plan = QUICK if options.quick else FULL
    contenders = [contender for contender in CONTENDERS if contender.name in options.only]
    samples = Samples()
    _prepare_all(contenders, samples, console)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="log-cost-") as base:
        machine, began = describe_machine(Path(base)), datetime.now(UTC)
        _measure_all(contenders, plan, samples, Path(base), console)
    report = Report(contenders, plan, machine, samples, began)
    for table in report.terminal_tables():
        console.print(table)
    for name, problem in samples.problems.items():
        console.print(f"[yellow]{name}: {problem}[/]")
    is_whole = not options.quick and len(contenders) == len(CONTENDERS) and not samples.problems
    for path in report.write(options.results, "log_cost" if is_whole else "log_cost_partial"):
        console.print(f"written: {path}")


def _parse() -> argparse.Namespace:
    names = [contender.name for contender in CONTENDERS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats and rows")
    parser.add_argument("--only", default=",".join(names), help=f"comma-separated, of {', '.join(names)}")
    parser.add_argument("--folder", type=Path, help="where runs are written (default: the system's)")
    parser.add_argument("--results", type=Path, default=BENCHMARKS / "results", help="where the report goes")
    options = parser.parse_args()
    options.only = options.only.split(",")
    unknown = sorted(set(options.only) - set(names))
    if unknown:
        parser.error(f"--only: got {', '.join(unknown)}, expected names out of {', '.join(names)}")
    return options


def _prepare_all(contenders: list[Contender], samples: Samples, console: Console) -> None:
    for contender in contenders:
        if contender.requirement is not None and not contender.python.exists():
            console.print(f"installing {contender.requirement} into {VENVS / contender.name} ...")
        problem = prepare(contender)
        if problem:
            samples.problems[contender.name] = problem
            console.print(f"[yellow]{contender.title} is left out, {problem}[/]")


def _measure_all(contenders: list[Contender], plan: Plan, samples: Samples, base: Path, console: Console) -> None:
    """Run every step. A kind of step that fails once is left out for that contender, with the reason."""
    columns = (TextColumn("{task.description:32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    steps = list(plan_steps([c for c in contenders if c.name not in samples.problems], plan, base))
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


if __name__ == "__main__":
    main()
