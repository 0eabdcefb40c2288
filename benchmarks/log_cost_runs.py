"""What `log_cost.py` measures, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contenders import Contender
from measurements import (
    Result,
    Step,
    bind,
    measure_import,
    measure_kill,
    measure_latency,
    run_once,
    run_worker,
    scratch_folder,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    n_repeats: int
    n_rows: int
    n_wide_rows: int
    n_memory_rows: int
    n_imports: int
    n_kills: int
    settle_s: int = 2


FULL = Plan(n_repeats=7, n_rows=20_000, n_wide_rows=2_000, n_memory_rows=1_000_000, n_imports=15, n_kills=10)
QUICK = Plan(n_repeats=3, n_rows=5_000, n_wide_rows=500, n_memory_rows=200_000, n_imports=5, n_kills=3)


def plan_steps(contenders: list[Contender], plan: Plan, base: Path) -> Iterator[Step]:
    """Yield all measurements, the contenders taking turns so that noise in time hits all of them alike."""
    settle = ("--settle-s", str(plan.settle_s))
    for _ in range(plan.n_imports + 1):
        for contender in contenders:
            if contender.module:
                yield Step("import", contender, bind(measure_import, contender, base))
    for _ in range(plan.n_repeats):
        for contender in contenders:
            yield Step("latency", contender, bind(measure_latency, contender, base, plan.n_rows, *settle))
        for contender in contenders:
            yield Step("CPU", contender, bind(run_once, contender, base, "cpu", plan.n_rows, *settle))
        for contender in contenders:
            if contender.name == "ours":
                yield Step("1,000 metrics", contender, bind(_measure_wide, contender, base, plan.n_wide_rows, *settle))
                yield Step("reading", contender, bind(_measure_reading, contender, base, plan.n_rows))
    for _ in range(plan.n_kills):
        for contender in contenders:
            yield Step("SIGKILL", contender, bind(_measure_kill, contender, base, 0.0))
            yield Step("SIGKILL", contender, bind(_measure_kill, contender, base, 0.001))
    for contender in contenders:
        if contender.name == "ours":
            yield Step("memory", contender, bind(run_once, contender, base, "memory", plan.n_memory_rows))


def _measure_wide(contender: Contender, base: Path, n_rows: int, *more: str) -> Result:
    """Time rows of 1,000 metrics."""
    with scratch_folder(base) as scratch:
        result = run_worker(contender, scratch, "latency", "--rows", str(n_rows), "--metrics", "1000", *more)
        return {"wide_p50_us": result["p50_us"], "wide_p99_us": result["p99_us"]}


def _measure_reading(contender: Contender, base: Path, n_rows: int) -> Result:
    """Write a run, then read it back in fresh processes."""
    with scratch_folder(base) as scratch:
        rows = ("--rows", str(n_rows))
        run_worker(contender, scratch, "cpu", *rows)
        api = run_worker(contender, scratch, "read-api", *rows)
        return api | run_worker(contender, scratch, "read-journal", *rows)


def _measure_kill(contender: Contender, base: Path, pace_s: float) -> Result:
    n_returned, result = measure_kill(contender, base, pace_s)
    way = "paced" if pace_s else "flat_out"
    return {f"killed_returned_{way}": n_returned, f"killed_lost_{way}": result["n_lost"]}
