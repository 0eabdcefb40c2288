"""Measure how long logging files as artifacts takes, and how much of them is stored, beside cp and other trackers.

    python benchmarks/artifact_cost.py [--repeats 3] [--only ours,wandb,trackio,mlflow] [--no-page]

Needs about 6 GB in the temporary folder. Files were written just before, so that they are in memory for everybody. The
trackers take turns, each in a fresh process and an empty folder.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from artifact_data import write_checkpoints, write_data_sets, write_opaque, write_small, write_tiny
from contenders import BENCHMARKS, Contender, choose, prepare
from log_cost_machine import describe_machine, load_average
from rich.console import Console
from rich.markdown import Markdown
from tables import markdown_table, number

PAGE = BENCHMARKS / "results" / "artifact_cost.md"
# What is logged one after another by one process: (path, what is measured, the most that we aim at).
Step = tuple[str, str, str]
TASKS: dict[str, list[Step]] = {
    "checkpoint": [
        ("model.pt", "512 MB checkpoint, first", "≤ 1.2"),
        ("model.pt", "512 MB checkpoint, unchanged", "≤ 0.4"),
        ("model2.pt", "512 MB checkpoint, a tenth changed", ""),
    ],
    "opaque": [
        ("opaque.bin", "512 MB opaque file, first", "≤ 2"),
        ("opaque.bin", "512 MB opaque file, unchanged", "≤ 0.4"),
    ],
    "small": [("small", "5,000 files of 10 KB, first", "≤ 1.2"), ("small", "5,000 files of 10 KB, unchanged", "")],
}
STORED: dict[str, list[Step]] = {
    "checkpoint": [("model2.pt", "512 MB checkpoint, a tenth of its tensors changed", "≤ 12 %")],
    "rows": [("rows.csv", "1 GB of CSV", ""), ("rows2.csv", "1 GB of CSV, 1 % of rows appended", "≤ 3 %")],
    "parquet": [("rows.parquet", "", ""), ("rows2.parquet", "500 MB of Parquet, 1 % of rows appended", "≤ 3 %")],
}
N_TINY = 100_000


@dataclass(slots=True)
class Found:
    """What was measured: seconds by (contender, step), stored bytes, memory, versions, the load of the machine."""

    seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    stored: dict[str, float] = field(default_factory=dict)
    rss_mib: dict[str, list[float]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    loads: list[str] = field(default_factory=list)

    def add(self, contender: str, step: str, seconds: float) -> None:
        self.seconds.setdefault((contender, step), []).append(seconds)

    def cell(self, contender: str, step: str) -> str:
        """Return the median, and the best in brackets."""
        found = self.seconds.get((contender, step))
        return f"{number(statistics.median(found))} ({number(min(found))})" if found else "-"


def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="ours,wandb,trackio,mlflow", help="the trackers, with commas between")
    parser.add_argument("--no-page", action="store_true", help="print only")
    args = parser.parse_args()
    found = Found()
    contenders = list(_ready(args.only.split(","), found))
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        place = Path(name)
        machine = describe_machine(place)
        _measure_times(place, contenders, args.repeats, found)
        _measure_room(place, found)
        _measure_memory(place, found)
    text = _page(found, [one.name for one in contenders], machine, args.repeats)
    Console().print(Markdown(text))
    if not args.no_page:
        PAGE.write_text(text, encoding="utf-8")


def _ready(names: list[str], found: Found) -> Iterator[Contender]:
    for contender in choose(names):
        problem = prepare(contender)
        if problem is None:
            yield contender
        else:
            found.problems[contender.name] = problem


# -- measuring


def _measure_times(place: Path, contenders: list[Contender], n_repeats: int, found: Found) -> None:
    rng = np.random.default_rng(0)
    write_checkpoints(place, rng)
    write_opaque(place, rng)
    write_small(place, rng)
    for _ in range(n_repeats):
        found.loads.append(load_average())
        for steps in TASKS.values():
            _copy(place, steps[0], found)
            for contender in contenders:
                result = _keep(contender, place, [path for path, _, _ in steps])
                found.versions[contender.name] = result["version"]
                for (_, step, _), seconds in zip(steps, result["seconds"], strict=True):
                    found.add(contender.name, step, seconds)
                if contender.name == "ours":
                    found.rss_mib.setdefault(steps[0][1], []).append(result["rss_mib"])
                _note_stored(found, contender, steps, result)


def _note_stored(found: Found, contender: Contender, steps: list[Step], result: dict[str, Any]) -> None:
    for wanted in STORED["checkpoint"]:
        if wanted[0] in {path for path, _, _ in steps}:
            before, after = result["stored"][-2:]
            found.stored[f"{contender.name}: {wanted[1]}"] = (after - before) / result["stored"][0]


def _copy(place: Path, step: Step, found: Found) -> None:
    """Measure `cp -r`, and what it takes until the copy is on the device, as ours is."""
    path, name, _ = step
    target = place / "copy"
    began_s = time.perf_counter()
    subprocess.run(["cp", "-r", place / path, target], check=True)
    found.add("cp", name, time.perf_counter() - began_s)
    subprocess.run(["sync", "-f", target], check=True)
    found.add("cp, sync", name, time.perf_counter() - began_s)
    shutil.rmtree(target) if target.is_dir() else target.unlink()


def _keep(contender: Contender, place: Path, paths: list[str]) -> dict[str, Any]:
    folder, side = place / "kept", place / "side"
    side.mkdir()
    command = [str(contender.python), str(BENCHMARKS / "artifact_keeper.py"), contender.name, str(folder)]
    command += [str(place / path) for path in paths]
    environ = contender.environment(folder, side) | {"TRACKER_CONSOLE": "off"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=side, env=environ, check=False)
    if done.returncode:
        raise SystemExit(f"{contender.title}: {done.stderr[-2000:]}")
    shutil.rmtree(folder)
    shutil.rmtree(side)
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def _measure_room(place: Path, found: Found) -> None:
    """Measure what ours stores of data sets to which rows were appended."""
    for path in ("model.pt", "model2.pt", "opaque.bin"):
        (place / path).unlink()
    write_data_sets(place, np.random.default_rng(1))
    for name in ("rows", "parquet"):
        steps = STORED[name]
        result = _keep(choose(["ours"])[0], place, [path for path, _, _ in steps])
        before, after = result["stored"]
        found.stored[f"ours: {steps[-1][1]}"] = (after - before) / before
        for (path, step, _), seconds in zip(steps, result["seconds"], strict=True):
            if step:
                found.add("ours", step, seconds)
            (place / path).unlink()


def _measure_memory(place: Path, found: Found) -> None:
    write_tiny(place, N_TINY)
    step = f"{N_TINY:,} files of 100 bytes"
    result = _keep(choose(["ours"])[0], place, ["tiny"])
    found.add("ours", step, result["seconds"][0])
    found.rss_mib[step] = [result["rss_mib"]]


# -- the page


def _page(found: Found, names: list[str], machine: dict[str, str], n_repeats: int) -> str:
    columns = [*names, "cp", "cp, sync"]
    steps = [step for task in TASKS.values() for step in task]
    times = [[step, *[found.cell(name, step) for name in columns], aim] for _, step, aim in steps]
    rooms = [
        [step, *[_share(found, name, step) for name in names], aim]
        for task in STORED.values()
        for _, step, aim in task
        if step and aim
    ]
    memory = [
        [step, f"{max(values):.0f}", "≤ 300" if step.startswith("100,000") else ""]
        for step, values in found.rss_mib.items()
    ]
    tiny = f"{N_TINY:,} files of 100 bytes"
    titles = ["ours" if name == "ours" else f"{name} {found.versions.get(name, '')}" for name in names]
    return "\n".join(
        [
            "# What logging files costs",
            "",
            f"Written by `python benchmarks/artifact_cost.py` on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. Seconds that a"
            f" call takes, the median of {n_repeats} processes, the best in brackets; the first call of each, so that"
            " ours also imports its store. Ours returns when the bytes are on the device and the version is"
            " committed; the others and `cp` when they are handed to the kernel, which for `cp` is also given with the"
            " time until it is on the device. Files of random bytes, in memory when they are read.",
            "",
            markdown_table(["seconds", *titles, "cp", "cp, then sync", "aim"], times),
            "",
            "What a second version takes more, as a share of the first:",
            "",
            markdown_table(["stored", *titles, "aim"], rooms),
            "",
            "Memory of the process at most (ours), which is the tracker, its store and the windows it reads into:",
            "",
            markdown_table(["MiB", "ours", "aim"], memory),
            "",
            f"{tiny} take {found.cell('ours', tiny)} s.",
            *[f"\n{name} was not measured: {problem}" for name, problem in found.problems.items()],
            "",
            "## Machine",
            "",
            *[f"- {name}: {value}" for name, value in machine.items()],
            f"- load average at each repeat: {'; '.join(found.loads)}",
            "",
        ]
    )


def _share(found: Found, name: str, step: str) -> str:
    share = found.stored.get(f"{name}: {step}")
    return "-" if share is None else f"{100 * share:.1f} %"


if __name__ == "__main__":
    main()
