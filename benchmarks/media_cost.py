"""Measure what images and tables cost the thread that trains, beside wandb offline.

    python benchmarks/media_cost.py [--repeats 5] [--only ours]

1,000 images of 224 x 224 (uint8, and floating-point ones) are logged one after another, a row each, as fast as it goes;
and a table of 100,000 rows and six columns. wandb runs in a venv of its own, `benchmarks/.venvs/wandb_media`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contenders import BENCHMARKS, Contender, prepare
from log_cost_machine import describe_machine, load_average
from tables import markdown_table, number

MOST_IMAGE_MS = 1.0
MOST_TABLE_RSS_MB = 200.0
_LIMIT_S = 900
_TASKS = {"images": "1,000 images, uint8", "floats": "1,000 images, float64", "table": "a table of 100,000 rows"}
_CONTENDERS = (
    Contender("ours", "tracker (ours)", module="tracker_core"),
    Contender("wandb", "wandb offline", "wandb", requirements=("wandb", "numpy", "pillow"), venv="wandb_media"),
)
_IMAGE_COLUMNS = {
    "mean_ms": "mean, ms", "median_ms": "median, ms", "p99_ms": "p99, ms", "finish_s": "finish, s",
    "cpu_s": "CPU in all, s", "rss_mb": "peak RSS, MB", "disk_mb": "on disk, MB",
}  # fmt: skip
_TABLE_COLUMNS = {
    "make_s": "make it, s", "log_ms": "log it, ms", "finish_s": "finish, s", "cpu_s": "CPU in all, s",
    "rss_mb": "peak RSS, MB", "children_rss_mb": "of its helpers, MB", "disk_mb": "on disk, MB",
}  # fmt: skip


def measure(contender: Contender, task: str) -> dict[str, Any]:
    """Run one worker in folders of its own; return what it measured."""
    with tempfile.TemporaryDirectory(prefix="media-cost-") as base:
        folder, side = Path(base, "run"), Path(base, "side")
        folder.mkdir()
        side.mkdir()
        command = [str(contender.python), str(BENCHMARKS / "media_cost_worker.py"), contender.name, task, str(folder)]
        environment = contender.environment(folder, side)
        done = subprocess.run(
            command, env=environment, cwd=side, capture_output=True, text=True, timeout=_LIMIT_S, check=False
        )
    if done.returncode:
        raise SystemExit(f"{contender.title}, {task}:\n{done.stdout}\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def main() -> None:
    """Measure all, in turns, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default="ours,wandb")
    parser.add_argument("--results", type=Path, default=BENCHMARKS / "results" / "media_cost.md")
    options = parser.parse_args()
    began, machine = datetime.now(UTC), describe_machine(Path(tempfile.gettempdir()))
    contenders = []
    for contender in [one for one in _CONTENDERS if one.name in options.only.split(",")]:
        problem = prepare(contender)
        if problem:
            print(f"{contender.title}: {problem}", file=sys.stderr)
        else:
            contenders.append(contender)
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for _ in range(options.repeats):
        for task in _TASKS:
            for contender in contenders:
                found.setdefault((task, contender.name), []).append(measure(contender, task))
    machine["load average at the end"] = load_average()
    page = _page(contenders, found, began, machine, options.repeats)
    options.results.write_text(page)
    print(page)


def _page(
    contenders: list[Contender],
    found: dict[tuple[str, str], list[dict[str, Any]]],
    began: datetime,
    machine: dict[str, str],
    n_repeats: int,
) -> str:
    parts = [
        "# What images and tables cost",
        f"`python benchmarks/media_cost.py`, {began:%Y-%m-%d %H:%M} UTC, repeated {n_repeats} x in turns; medians.",
        "\n".join(f"- {name}: {value}" for name, value in machine.items()),
        f"Aimed at: at most {MOST_IMAGE_MS:g} ms for an image in the thread that trains, and {MOST_TABLE_RSS_MB:g} MB "
        "of memory for the process that logs the table. Ours keeps equal images once (50 of the 1,000 differ) and "
        "records machine, console and environment beside; wandb 0.31 keeps the floating-point ones as black.",
    ]
    for task, title in _TASKS.items():
        columns = _TABLE_COLUMNS if task == "table" else _IMAGE_COLUMNS
        lines = []
        for contender in contenders:
            results = found[task, contender.name]
            cells = [number(statistics.median(result[key] for result in results)) for key in columns]
            lines.append([f"{contender.title} {results[0]['version']}", *cells])
        parts += [f"## {title[0].upper()}{title[1:]}", markdown_table(["", *columns.values()], lines)]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
