"""Log images or a table with one logger, and measure it. Runs in the logger's own venv.

    python media_cost_worker.py ours|wandb images|floats|table FOLDER

Prints one line of JSON. Times are of the thread that logs: making the value and logging it.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

N_IMAGES, SIDE = 1000, 224
N_ROWS = 100_000
_N_DIFFERENT = 50
_KIB = 1 if sys.platform == "darwin" else 1024


def pictures(is_float: bool) -> list[np.ndarray[Any, Any]]:
    """Return pictures like photographs: areas of slowly changing colour, edges, and some noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    found = []
    for _ in range(_N_DIFFERENT):
        picture = np.zeros((SIDE, SIDE, 3))
        for _ in range(12):
            near = np.exp(-((x - rng.random()) ** 2 + (y - rng.random()) ** 2) / rng.uniform(0.01, 0.1))
            picture += near[:, :, None] * rng.uniform(-80, 120, 3)
        picture += 90 * ((x * rng.uniform(1, 4)).astype(int) % 2)[:, :, None] + rng.normal(100, 4, (SIDE, SIDE, 3))
        levels = np.clip(picture, 0, 255).astype(np.uint8)
        found.append(levels.astype(np.float64) / 255 if is_float else levels)
    return found


def log_images(module: Any, run: Any, is_float: bool) -> dict[str, float]:
    """Log 1,000 images, a row each, as fast as it goes."""
    given, times = pictures(is_float), []
    run.log({"image": module.Image(given[0]), "loss": 1.0})  # what is imported at the first one is no part of it
    for number in range(N_IMAGES):
        began_s = time.perf_counter()
        run.log({"image": module.Image(given[number % _N_DIFFERENT]), "loss": 1.0})
        times.append(1e3 * (time.perf_counter() - began_s))
    times.sort()
    return {
        "mean_ms": statistics.mean(times),
        "median_ms": statistics.median(times),
        "p99_ms": times[len(times) * 99 // 100],
    }


def log_table(module: Any, run: Any) -> dict[str, float]:
    """Log a table of 100,000 rows."""
    rng = np.random.default_rng(0)
    scores, others = rng.random(N_ROWS).tolist(), rng.random(N_ROWS).tolist()
    began_s = time.perf_counter()
    table = module.Table(columns=["id", "label", "text", "score", "other", "is_right"])
    for number in range(N_ROWS):
        label = f"class {number % 100}"
        table.add_data(number, label, f"sample number {number}", scores[number], others[number], number % 3 == 0)
    made_s = time.perf_counter()
    run.log({"table": table})
    return {"make_s": made_s - began_s, "log_ms": 1e3 * (time.perf_counter() - made_s)}


def main() -> None:
    """Measure and print."""
    logger, what, folder = sys.argv[1:]
    if logger == "ours":
        module: Any = import_module("tracker_core")
        run = module.init(project="media", dir=folder, settings={"quiet": True, "finish_timeout_s": 300})
        version = module.__version__
    else:
        module = import_module("wandb")
        run = module.init(project="media", dir=folder, mode="offline")
        version = module.__version__
    result = log_table(module, run) if what == "table" else log_images(module, run, what == "floats")
    began_s = time.perf_counter()
    run.finish()
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    result |= {
        "finish_s": time.perf_counter() - began_s,
        "cpu_s": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        "rss_mb": own.ru_maxrss * _KIB / 1e6,
        "children_rss_mb": children.ru_maxrss * _KIB / 1e6,
        "disk_mb": sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6,
    }
    print(json.dumps({"version": version, **result}))


if __name__ == "__main__":
    main()
