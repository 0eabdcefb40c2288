"""Turn measurements into tables: for the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from contenders import Contender
from log_cost_runs import Plan
from measurements import Samples
from rich.table import Table
from tables import markdown_table, number

_NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the table: the median of `key`, and its ratio to json where `has_ratio`."""

    key: str
    title: str
    unit: str
    has_ratio: bool = False
    is_ours_only: bool = False


MEASURES = (
    Measure("import_ms", "import, over bare Python", "ms"),
    Measure("init_ms", "init", "ms"),
    Measure("init_cpu_ms", "CPU of init and of what it begins, all threads and helpers", "ms"),
    Measure("p50_us", "log, 10 metrics, p50", "µs", has_ratio=True),
    Measure("p99_us", "log, 10 metrics, p99", "µs", has_ratio=True),
    Measure("cpu_us", "CPU a row, this process while logging", "µs", has_ratio=True),
    Measure("cpu_all_us", "CPU a row, with finish and helper processes", "µs", has_ratio=True),
    Measure("finish_ms", "finish", "ms"),
    Measure("bytes_per_point", "all files, a point", "bytes", has_ratio=True),
    Measure("journal_bytes_per_point", "journal alone, a point", "bytes", is_ours_only=True),
    Measure("wide_p50_us", "log, 1,000 metrics, p50", "µs", is_ours_only=True),
    Measure("wide_p99_us", "log, 1,000 metrics, p99", "µs", is_ours_only=True),
    Measure("rss_growth_mib", "growth of resident memory", "MiB", is_ours_only=True),
    Measure("api_first_mpoints_s", "read back, Api, first time", "M points/s", is_ours_only=True),
    Measure("api_again_mpoints_s", "read back, Api, again", "M points/s", is_ours_only=True),
    Measure("journal_read_mpoints_s", "read back, journal to NumPy", "M points/s", is_ours_only=True),
)

KILLS = (
    ("paced", "rows lost on SIGKILL, 1 ms between calls"),
    ("flat_out", "rows lost on SIGKILL, no pause"),
)


@dataclass(frozen=True, slots=True)
class Target:
    """A promise about our tracker: `measure(samples)` is at most `limit`."""

    title: str
    limit: float
    unit: str
    measure: Callable[[Samples], float | None]

    def verdict(self, samples: Samples) -> str:
        """Return met, not met or not measured."""
        value = self.measure(samples)
        if value is None:
            return _NOT_MEASURED
        return "met" if value <= self.limit else "not met"


def _median(key: str) -> Callable[[Samples], float | None]:
    return lambda samples: samples.median("ours", key)


def _ratio(key: str) -> Callable[[Samples], float | None]:
    return lambda samples: samples.ratio("ours", "json", key)


def _lost(samples: Samples) -> float | None:
    measured = samples.values.get("ours", {})
    lost = [*measured.get("killed_lost_paced", []), *measured.get("killed_lost_flat_out", [])]
    return sum(lost) if lost else None


TARGETS = (
    Target("import, over bare Python", 60, "ms", _median("import_ms")),
    Target("init", 30, "ms", _median("init_ms")),
    Target("finish", 50, "ms", _median("finish_ms")),
    Target("log p50, beside json + write", 0.75, "x", _ratio("p50_us")),
    Target("log p99", 30, "µs", _median("p99_us")),
    Target("CPU a row, beside json + write", 1.2, "x", _ratio("cpu_us")),
    Target("CPU a row with finish and helpers, beside json + write", 1.2, "x", _ratio("cpu_all_us")),
    Target("rows lost on SIGKILL", 0, "rows", _lost),
    Target("log of 1,000 metrics, p50", 150, "µs", _median("wide_p50_us")),
    Target("journal, a point", 14, "bytes", _median("journal_bytes_per_point")),
    Target("growth of resident memory", 25, "MiB", _median("rss_growth_mib")),
)


@dataclass(frozen=True, slots=True)
class Report:
    """All that is shown and written."""

    contenders: list[Contender]
    plan: Plan
    machine: dict[str, str]
    samples: Samples
    began: datetime

    def terminal_tables(self) -> list[Table]:
        """Return the comparison and the targets as rich tables."""
        comparison = Table(title="What tracking costs", caption="medians; x = times json + write in the same run")
        self._fill(comparison, self._header(), self._lines())
        targets = Table(title="Targets")
        self._fill(targets, ["target", "at most", "measured", "verdict"], self._verdicts())
        for column in targets.columns[1:3]:
            column.justify = "right"
        return [comparison, targets]

    def markdown(self) -> str:
        """Return the report as a page."""
        machine = "\n".join(f"- {name}: {value}" for name, value in self.machine.items())
        versions = "\n".join(f"- {self._title(name)}: {text}" for name, text in self.samples.versions.items())
        problems = "\n".join(f"- {name}: {text}" for name, text in self.samples.problems.items())
        parts = [
            "# What tracking costs",
            f"Written by `python benchmarks/log_cost.py` on {self.began:%Y-%m-%d %H:%M} UTC.",
            markdown_table(self._header(), self._lines()),
            _HOW.format(**asdict(self.plan)),
            "## Targets",
            markdown_table(["target", "at most", "measured", "verdict"], self._verdicts()),
            "## Machine and versions",
            f"{machine}\n{versions}",
        ]
        if problems:
            parts += ["## Not measured", problems]
        return "\n\n".join(parts) + "\n"

    def json_text(self) -> str:
        """Return every sample, with what is needed to judge it."""
        content = {
            "began": self.began.astimezone(UTC).isoformat(timespec="seconds"),
            "machine": self.machine,
            "versions": self.samples.versions,
            "plan": asdict(self.plan),
            "targets": [
                {
                    "title": target.title,
                    "limit": target.limit,
                    "unit": target.unit,
                    "measured": target.measure(self.samples),
                    "verdict": target.verdict(self.samples),
                }
                for target in TARGETS
            ],
            "problems": self.samples.problems,
            "samples": self.samples.values,
        }
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    def write(self, folder: Path, name: str) -> list[Path]:
        """Write the page and the samples as `<name>.md` and `<name>.json`; return where they are."""
        folder.mkdir(parents=True, exist_ok=True)
        page, data = folder / f"{name}.md", folder / f"{name}.json"
        page.write_text(self.markdown(), encoding="utf-8")
        data.write_text(self.json_text(), encoding="utf-8")
        return [page, data]

    def _title(self, name: str) -> str:
        return next((contender.title for contender in self.contenders if contender.name == name), name)

    def _header(self) -> list[str]:
        return ["measure", *(contender.title for contender in self.contenders)]

    def _lines(self) -> list[list[str]]:
        lines = []
        for measure in MEASURES:
            cells = [self._cell(contender, measure) for contender in self.contenders]
            if any(cells):
                lines.append([f"{measure.title} ({measure.unit})", *cells])
        for way, title in KILLS:
            lines.append([title, *(self._kill_cell(contender, way) for contender in self.contenders)])
        return lines

    def _cell(self, contender: Contender, measure: Measure) -> str:
        """Return the number, empty where the measure is not meant for this contender."""
        value = self.samples.median(contender.name, measure.key)
        if value is None:
            is_failed = any(key.split()[0] == contender.name for key in self.samples.problems)
            return _NOT_MEASURED if is_failed and (contender.name == "ours" or not measure.is_ours_only) else ""
        text = number(value)
        ratio = self.samples.ratio(contender.name, "json", measure.key) if measure.has_ratio else None
        return text if ratio is None or contender.name == "json" else f"{text} ({number(ratio)}x)"

    def _kill_cell(self, contender: Contender, way: str) -> str:
        measured = self.samples.values.get(contender.name, {})
        lost, returned = measured.get(f"killed_lost_{way}"), measured.get(f"killed_returned_{way}")
        if not lost or not returned:
            return _NOT_MEASURED
        most = f", at most {max(lost):,.0f} a kill" if any(lost) else ""
        return f"{sum(lost):,.0f} of {sum(returned):,.0f}{most}"

    def _verdicts(self) -> list[list[str]]:
        lines = []
        for target in TARGETS:
            value = target.measure(self.samples)
            measured = "" if value is None else f"{number(value)} {target.unit}"
            verdict = target.verdict(self.samples)
            lines.append([target.title, f"{target.limit:g} {target.unit}", measured, verdict])
        return lines

    @staticmethod
    def _fill(table: Table, header: list[str], lines: list[list[str]]) -> None:
        colours = {"met": "green", "not met": "red", _NOT_MEASURED: "yellow"}
        for i, name in enumerate(header):
            table.add_column(name, justify="left" if i == 0 or name == "verdict" else "right")
        for line in lines:
            table.add_row(*(f"[{colours[cell]}]{cell}[/]" if cell in colours else cell for cell in line))


_HOW = """\
Medians of {n_repeats} repeats in which the contenders take turns; `x` is the median of the ratios to
json + write in the same repeat. Every contender logs the same {n_rows:,} rows of 10 random doubles, as fast as
it can, in a process of its own; the clock runs around each call. The json line holds what the others record
too: step, wall time and values.

- Import: a whole `python -c "import ..."` less a bare `python -c pass` (both without `.pth` files), {n_imports} times.
- Between `init` and the first row there are {settle_s} s of rest, so that what a logger does in the background at its
  start (ours: capturing the environment) counts in the line on the CPU of init, and in no row nor in `finish`, which
  waits for it where a run is shorter.
- CPU: all threads of the process; the second line adds `finish` and helper processes.
- SIGKILL: a child stores the number of calls that have returned in shared memory before each next call; the
  parent kills it at a random instant ({n_kills} times each way) and lets its helper processes end in peace. A
  row is lost when its call had returned and it cannot be read back. Without a pause between calls, a queue that
  another thread of the same process must drain gets hardly any time, so judge queues by the line with 1 ms.
- 1,000 metrics: {n_wide_rows:,} rows. Memory: the highest growth over {n_memory_rows:,} rows after the first
  1,000. Reading back: all {n_rows:,} rows, in a fresh process, NumPy and the store imported before the clock.

All samples are in the `.json` file beside this page."""
