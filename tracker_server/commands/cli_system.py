"""`tracker system`: how the machine and each GPU fared."""

from __future__ import annotations

import argparse
import math
import re
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tracker_core.api import ApiRun

from ..runs.run_view import json_number
from ..runs.sparkline import sparkline
from .cli_runs import print_json
from .terminal_text import printable
from .where import add_where, open_api

_GPU = re.compile(r"system/gpu(\d+)/")
_BYTES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
# Ending of a metric's name -> what is written behind its values.
_UNITS = (
    ("_percent", " %"),
    ("_c", " °C"),
    ("_w", " W"),
    ("_j", " J"),
    ("_mhz", " MHz"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tracker system` to its parser."""
    parser.add_argument("path", metavar="RUN", help="project/id, or the id alone")
    add_where(parser)
    parser.add_argument("--writer", help="whose machine (default: that of `tracker run`, else of the main process)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def system(args: argparse.Namespace) -> int:
    """Print last, mean and max of every system metric, by device."""
    run = open_api(args).run(args.path)
    figures = {key: _figures(run, key, args.writer) for key in run.system_keys(args.writer)}
    if args.json:
        print_json(json_number({key: {n: v for n, v in of.items() if n != "line"} for key, of in figures.items()}))
        return 0
    console = Console()
    if not figures:
        console.print(f"No samples of the machine are recorded for {escape(run.path)}.", highlight=False)
        return 0
    for device in sorted({_device(key) for key in figures}):
        console.print(_table(run, device, {key: of for key, of in figures.items() if _device(key) == device}))
    return 0


def _figures(run: ApiRun, key: str, writer: str | None) -> dict[str, Any]:
    series = run.series(key, writer)
    values = series.values.astype(np.float64)
    finite = values[np.isfinite(values)]
    found = {"n_samples": len(values), "last": values[-1].item()}
    for name, value in (("mean", np.mean), ("min", np.min), ("max", np.max)):
        found[name] = float(value(finite)) if len(finite) else math.nan
    return {**found, "line": sparkline(series.wall_time_ns, values)}


def _device(key: str) -> int:
    """Return the number of the GPU that a metric is of, or -1 for the machine."""
    match = _GPU.match(key)
    return int(match[1]) if match else -1


def _table(run: ApiRun, device: int, figures: dict[str, dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, title_justify="left", title=_title(run, device))
    table.add_column("metric", style="cyan", overflow="fold")
    for heading in ("last", "mean", "max"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("over time", no_wrap=True)
    prefix = "system/" if device < 0 else f"system/gpu{device}/"
    for key in sorted(figures):
        name, of = key.removeprefix(prefix), figures[key]
        cells = [with_unit(name, of[column]) for column in ("last", "mean", "max")]
        table.add_row(escape(printable(name)), *cells, of["line"])
    return table


def _title(run: ApiRun, device: int) -> str:
    if device < 0:
        return escape(printable(f"machine {run.host}"))
    gpus = run.environment.get("gpus")
    found = [gpu for gpu in gpus if isinstance(gpu, dict)] if isinstance(gpus, list) else []
    name = next((gpu.get("name") for gpu in found if gpu.get("index") == device), None)
    return escape(printable(f"gpu{device}" if name is None else f"gpu{device} {name}"))


def with_unit(name: str, value: float) -> str:
    """Return a value as people read it, in the unit that its metric's name ends with."""
    if not math.isfinite(value):
        return str(value)
    if name.endswith("_bytes_per_s"):
        return f"{_bytes(value)}/s"
    if name.endswith("_bytes"):
        return _bytes(value)
    unit = next((unit for ending, unit in _UNITS if name.endswith(ending)), "")
    number = f"{value:.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.1f}"
    return f"{number}{unit}"


def _bytes(value: float) -> str:
    power = 0
    while abs(value) >= 1024 and power < len(_BYTES) - 1:
        value /= 1024
        power += 1
    return f"{value:.0f} {_BYTES[power]}" if power == 0 else f"{value:.1f} {_BYTES[power]}"
