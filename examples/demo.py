"""Train small real models while their charts move on the dashboard: what `make demo` runs.

With SERVE=0 in the environment no dashboard is started. `--quick` trains a few steps only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

from tracker_core.api import Api

PROJECT = "digits"
console = Console(highlight=False)


def main() -> int:
    options = parse_options()
    os.environ.setdefault("TRACKER_QUIET", "1")  # the lines below say it
    if options.dir:
        os.environ["TRACKER_DIR"] = options.dir
    dashboard = None if os.environ.get("SERVE") == "0" else Dashboard(options.port)
    try:
        began_s = time.monotonic()
        paths = train(options.is_quick)
        console.print(f"\nTrained {len(paths)} models in {time.monotonic() - began_s:.0f} s.\n")
        console.print(summary(paths))
        if dashboard is not None:
            dashboard.serve_until_interrupted()
    except (KeyboardInterrupt, SystemExit):  # Lightning turns the first into the second
        console.print("\nStopped.")
    finally:
        if dashboard is not None:
            dashboard.close()
    return 0


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", dest="is_quick", action="store_true", help="train a few steps only")
    parser.add_argument("--dir", help="the tracker folder (default: the nearest .tracker/ upwards)")
    parser.add_argument("--port", type=int, default=7007, help="port to try first for the dashboard")
    return parser.parse_args()


class Dashboard:
    """`tracker ui` as a process of its own, so that training does not slow it down. Prints its address."""

    def __init__(self, port: int) -> None:
        command = [sys.executable, "-m", "tracker_server.cli", "ui", "--no-browser", "--port", str(port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        lines = (line.strip() for line in self._process.stdout)
        self._url = next((line for line in lines if line.startswith("http")), None)
        if self._url is None:
            raise SystemExit(f"`tracker ui` ended with status {self._process.wait()}; its message is above")
        console.print(f"\nDashboard:  [bold]{self._url}[/bold]\n", soft_wrap=True)

    def serve_until_interrupted(self) -> None:
        console.print(f"\nThe dashboard is still at  {self._url}", soft_wrap=True)
        console.print("Stop it with Ctrl-C. Open it again later with:  .venv/bin/tracker ui")
        self._process.wait()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


def train(is_quick: bool) -> list[str]:
    """Train with both frameworks; returns the paths of the runs."""
    paths: list[str] = []

    def on_run(path: str, text: str) -> None:
        paths.append(path)
        console.print(f"  {text}", soft_wrap=True)

    console.print(f"Training on handwritten digits, project [bold]{PROJECT}[/bold]. First with Lightning:")
    import demo_lightning

    demo_lightning.train(PROJECT, 2 if is_quick else 50, on_run)
    console.print("Now with the Hugging Face Trainer:")
    import demo_transformers

    demo_transformers.train(PROJECT, 20 if is_quick else 800, on_run)
    return paths


def summary(paths: list[str]) -> Table:
    """Return what the runs came to, as it is read back from the tracker folder."""
    api = Api()
    table = Table()
    table.add_column("run", no_wrap=True)
    table.add_column("state")
    for column in ("steps", "train loss", "accuracy", "took"):
        table.add_column(column, justify="right")
    for path in paths:
        run = api.run(path)
        last_step = run.series("train/loss").steps.max()
        table.add_row(
            run.name,
            run.state,
            f"{last_step:,}",
            f"{run.summary['train/loss']:.4f}",
            f"{run.summary['eval/accuracy']:.1%}",
            f"{run.duration_s:.1f} s",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
