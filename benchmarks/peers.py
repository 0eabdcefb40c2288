"""Measure what ours and other loggers cost, each as it is installed, beside a plain `json.dumps` and write.

    python benchmarks/peers.py [--quick] [--repeats 5] [--only ours,wandb] [--keep]

Each logger runs in a venv of its own, which is created below `benchmarks/.venvs/` when it is missing, offline, without
telemetry. The table goes to the terminal and, with every sample, to `benchmarks/results/peers.md` and `.json`; a quick
or partial run goes to `peers_partial`. With `--keep` the samples of loggers that are not measured now are taken from
the whole `.json` that is there; ratios to json + write stay within the run that measured them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contenders import BENCHMARKS, CONTENDERS, Contender, choose
from log_cost_machine import describe_machine
from measurements import (
    Result,
    Samples,
    Step,
    bind,
    measure_import,
    measure_latency,
    prepare_all,
    run_once,
    run_steps,
    run_worker,
    scratch_folder,
)
from rich.console import Console
from rich.table import Table
from tables import markdown_table, number

_NAMES = [contender.name for contender in CONTENDERS]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    n_repeats: int
    n_rows: int
    n_paced_rows: int
    settle_s: int = 2


FULL = Plan(n_repeats=5, n_rows=5_000, n_paced_rows=1_000)
QUICK = Plan(n_repeats=2, n_rows=1_000, n_paced_rows=300)

# key, title; where a ratio to json + write is given it is of the same repeat
MEASURES = (
    ("import_ms", "import, over bare Python (ms)", False),
    ("init_ms", "init, first in a folder (ms)", False),
    ("again_init_ms", "init, again in it (ms)", False),
    ("init_cpu_ms", "CPU of init and 2 s after it (ms)", False),
    ("p50_us", "log p50 (µs)", True),
    ("p99_us", "log p99 (µs)", True),
    ("paced_p50_us", "log p50, 1 ms apart (µs)", True),
    ("paced_p99_us", "log p99, 1 ms apart (µs)", True),
    ("cpu_us", "CPU a row while logging (µs)", True),
    ("cpu_all_us", "CPU a row, with finish and helpers (µs)", True),
    ("bytes_per_point", "bytes a point on disk", True),
    ("finish_ms", "finish (ms)", False),
    ("rss_mib", "memory, over bare Python (MiB)", False),
    ("all_rss_growth_mib", "its growth while logging (MiB)", False),
)


def main() -> None:
    """Measure and report."""
    options, console = _parse(), Console()
    plan = QUICK if options.quick else FULL
    plan = replace(plan, n_repeats=options.repeats or plan.n_repeats)
    contenders, samples = choose(options.only), Samples()
    able = prepare_all(contenders, samples, console)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="peers-") as base:
        machine = describe_machine(Path(base))
        began = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
        run_steps(_plan_steps(able, plan, Path(base)), samples, console)
    lines = {contender.name: _line(contender, samples) for contender in able}
    content = _content(began, plan, machine, samples, lines)
    if options.keep:
        content = _merge(json.loads((options.results / "peers.json").read_text()), content)
    console.print(_terminal_table(content))
    is_whole = not options.quick and set(content["lines"]) >= set(_NAMES) and not content["problems"]
    for path in _write(content, options.results, "peers" if is_whole else "peers_partial"):
        console.print(f"written: {path}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats and rows")
    parser.add_argument("--repeats", type=int, help=f"how often each is measured (default {FULL.n_repeats})")
    parser.add_argument("--only", default=",".join(_NAMES), help=f"comma-separated, of {', '.join(_NAMES)}")
    parser.add_argument("--keep", action="store_true", help="keep what the results hold of the other loggers")
    parser.add_argument("--folder", type=Path, help="where runs are written (default: the system's)")
    parser.add_argument("--results", type=Path, default=BENCHMARKS / "results", help="where the report goes")
    options = parser.parse_args()
    options.only = options.only.split(",")
    unknown = sorted(set(options.only) - set(_NAMES))
    if unknown:
        parser.error(f"--only: got {', '.join(unknown)}, expected names out of {', '.join(_NAMES)}")
    return options


def _plan_steps(contenders: list[Contender], plan: Plan, base: Path) -> Iterator[Step]:
    """Yield all measurements, the contenders taking turns so that noise in time hits all of them alike."""
    settle = ("--settle-s", str(plan.settle_s))
    for repeat in range(plan.n_repeats):
        for _ in range(4 if repeat == 0 else 3):  # the very first import is not kept
            for contender in contenders:
                if contender.module:
                    yield Step("import", contender, bind(measure_import, contender, base))
        for contender in contenders:
            yield Step("latency", contender, bind(measure_latency, contender, base, plan.n_rows, *settle))
        for contender in contenders:
            yield Step("latency, paced", contender, bind(_measure_paced, contender, base, plan.n_paced_rows, *settle))
        for contender in contenders:
            yield Step("CPU", contender, bind(run_once, contender, base, "cpu", plan.n_rows, *settle))
        for contender in contenders:
            yield Step("memory", contender, bind(run_once, contender, base, "memory", plan.n_rows))


def _measure_paced(contender: Contender, base: Path, n_rows: int, *more: str) -> Result:
    """Time calls with a pause of 1 ms between them, in the second run of a folder."""
    with scratch_folder(base) as scratch:
        run_worker(contender, scratch, "latency", "--rows", "10")
        paced = run_worker(contender, scratch, "latency", "--rows", str(n_rows), "--pace-s", "0.001", *more)
    kept = {"paced_p50_us": "p50_us", "paced_p99_us": "p99_us", "again_init_ms": "init_ms"}
    return {name: paced[source] for name, source in kept.items()}


def _line(contender: Contender, samples: Samples) -> list[str]:
    """Return a contender's cells."""
    cells = []
    for key, _, has_ratio in MEASURES:
        value = samples.median(contender.name, key)
        ratio = samples.ratio(contender.name, "json", key) if has_ratio and contender.name != "json" else None
        text = "" if value is None else number(value)
        cells.append(text if ratio is None else f"{text} ({number(ratio)}x)")
    return cells


def _content(
    began: str, plan: Plan, machine: dict[str, str], samples: Samples, lines: dict[str, list[str]]
) -> dict[str, Any]:
    return {
        "began": began,
        "measured": dict.fromkeys(lines, began),
        "plan": asdict(plan),
        "machine": machine,
        "versions": samples.versions,
        "problems": samples.problems,
        "lines": lines,
        "samples": samples.values,
    }


def _merge(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return the new content, with the loggers of the old one that the new one lacks."""
    merged = dict(new)
    for key in ("measured", "versions", "lines", "samples"):
        merged[key] = old[key] | new[key]
    kept = {key: text for key, text in old["problems"].items() if key.split()[0] not in new["lines"]}
    merged["problems"] = kept | new["problems"]
    return merged


def _contenders(content: dict[str, Any]) -> list[Contender]:
    return [contender for contender in CONTENDERS if contender.name in content["lines"]]


def _terminal_table(content: dict[str, Any]) -> Table:
    table = Table(title="What loggers cost", caption="medians; x = times json + write in the same repeat")
    table.add_column("measure")
    for contender in _contenders(content):
        table.add_column(contender.title, justify="right")
    for line in _measure_lines(content):
        table.add_row(*line)
    return table


def _measure_lines(content: dict[str, Any]) -> list[list[str]]:
    columns = [content["lines"][contender.name] for contender in _contenders(content)]
    return [[title, *(column[i] for column in columns)] for i, (_, title, _) in enumerate(MEASURES)]


def _write(content: dict[str, Any], folder: Path, name: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    page, data = folder / f"{name}.md", folder / f"{name}.json"
    page.write_text(_markdown(content), encoding="utf-8")
    data.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [page, data]


def _markdown(content: dict[str, Any]) -> str:
    shown = _contenders(content)
    machine = [f"- {name}: {value}" for name, value in content["machine"].items()]
    versions = [f"- {c.title}: {content['versions'][c.name]}" for c in shown]
    earlier = [
        f"- {c.title}: {content['measured'][c.name]}" for c in shown if content["measured"][c.name] != content["began"]
    ]
    parts = [
        "# What loggers cost",
        f"Written by `python benchmarks/peers.py` on {content['began']} UTC.",
        markdown_table(["measure", *(c.title for c in shown)], _measure_lines(content)),
        _HOW.format(**content["plan"]),
        "## Machine and versions",
        "\n".join([*machine, *versions]),
    ]
    if earlier:
        parts += ["## Measured in an earlier run (UTC)", "\n".join(earlier)]
    if content["problems"]:
        parts += ["## Not measured", "\n".join(f"- {key}: {text}" for key, text in content["problems"].items())]
    return "\n\n".join(parts) + "\n"


_HOW = """\
Medians of {n_repeats} repeats (imports: of three times as many) in which the loggers take turns, each measurement in a
process and a folder of its own; `x` is the median of the ratios to json + write in the same repeat. Every logger is as
it is installed, with its documented defaults, offline and without telemetry: ours and wandb, for example, record the
console and the machine beside the rows. The same rows of 10 random doubles for all; the clock runs around each call.

- log: {n_rows:,} rows as fast as they go; 1 ms apart: {n_paced_rows:,} rows. A logger that only fills a queue is slowed
  by its own thread in the first case, as soon as the queue is full or the interpreter's lock is contended.
- init, first in a folder: mlflow creates its database there, aim its repository. tensorboardX takes one number a call,
  so a row is ten calls. mlflow async is `mlflow.config.enable_async_logging()`.
- Between `init` and the first row there are {settle_s} s of rest, so that what a logger does in the background at its
  start is not charged to the rows; the CPU time of that, helper processes included, has a line of its own.
- CPU a row: all threads of the process over {n_rows:,} rows; with finish and helpers: until `finish` has returned,
  helper processes included, which for a logger that also samples the machine holds that too.
- Bytes a point: all files in the run's folder, over {n_rows:,} rows of 10 points; what is recorded once a run counts.
- Memory: resident, of the process and its helpers (pages shared between them count in each), after 1,000 rows, less
  that of the bare worker; its growth over the {n_rows:,} rows after that.

All samples are in the `.json` file beside this page."""


if __name__ == "__main__":
    main()
