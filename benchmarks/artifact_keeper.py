"""Log files as artifacts with one tracker, and print as JSON how long each call took and how much is stored then.

    python artifact_keeper.py CONTENDER FOLDER PATH...

Runs in the contender's own venv: nothing but the standard library and that tracker is imported. Paths are logged one
after another, as versions of one artifact where the tracker has such. A second counts until the call has returned: the
training waits for that long.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Log = Callable[[str], None]


def ours(folder: Path) -> tuple[Any, Log]:
    """Log to a tracker folder: the bytes are on the device when the call returns."""
    tracker: Any = importlib.import_module("tracker_core")
    run = tracker.init(project="cost", dir=str(folder))

    def log(path: str) -> None:
        run.log_artifact(path, name="data", type="dataset").wait()

    return tracker, log


def wandb(folder: Path) -> tuple[Any, Log]:
    """Log offline: the bytes are in wandb's staging folder when the call returns."""
    module: Any = importlib.import_module("wandb")
    os.environ.update(WANDB_DATA_DIR=str(folder), WANDB_ARTIFACT_DIR=str(folder), WANDB_CACHE_DIR=str(folder))
    run = module.init(project="cost", dir=str(folder), mode="offline")

    def log(path: str) -> None:
        artifact = module.Artifact("data", type="dataset")
        artifact.add_dir(path) if os.path.isdir(path) else artifact.add_file(path)
        run.log_artifact(artifact)

    return module, log


def trackio(folder: Path) -> tuple[Any, Log]:
    """Log to trackio's local folder."""
    os.environ["TRACKIO_DIR"] = str(folder)
    module: Any = importlib.import_module("trackio")
    module.init(project="cost", embed=False)
    return module, lambda path: module.log_artifact(path, name="data", type="dataset")


def mlflow(folder: Path) -> tuple[Any, Log]:
    """Log to a local artifact root, with SQLite beside it."""
    module: Any = importlib.import_module("mlflow")
    module.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    module.create_experiment("cost", artifact_location=f"file://{folder}/artifacts")
    module.set_experiment("cost")
    module.start_run()
    return module, lambda path: (module.log_artifacts if os.path.isdir(path) else module.log_artifact)(path)


def stored_bytes(folder: Path) -> int:
    """Return the size of all files below a folder, each once however many names it has."""
    found = {}
    for above, _, names in os.walk(folder):
        for name in names:
            status = os.lstat(os.path.join(above, name))
            found[status.st_dev, status.st_ino] = status.st_size
    return sum(found.values())


def most_memory_mib() -> float:
    """Return the most memory that this process had. What `getrusage` says may be that of who started it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> None:
    """Log, measure and print."""
    name, folder, *paths = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    module, log = {"ours": ours, "wandb": wandb, "trackio": trackio, "mlflow": mlflow}[name](Path(folder))
    seconds, stored = [], []
    for path in paths:
        began_s = time.perf_counter()
        log(path)
        seconds.append(time.perf_counter() - began_s)
        stored.append(stored_bytes(Path(folder)))
    found = {"version": module.__version__, "seconds": seconds, "stored": stored, "rss_mib": most_memory_mib()}
    print("\n" + json.dumps(found), flush=True)
    os._exit(0)  # what a tracker does at its end is no part of this


if __name__ == "__main__":
    main()
