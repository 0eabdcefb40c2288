"""Measure what a long outage of the server costs a sender: its memory, its tries, and how soon all is sent after it.

    python benchmarks/sync_outage.py [--hours 24] [--no-page]

The time is simulated: the sender's clock jumps over its waits, while two runs log a row a second each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from log_cost_machine import describe_machine, load_average
from rich.console import Console
from rich.markdown import Markdown
from sync_server import ROOT, TrackerServer, free_port
from tables import markdown_table, number

PAGE = Path(__file__).parent / "results" / "sync_outage.md"
NETWORK = ROOT / "tests" / "faults" / "network"
MAX_GROWTH_MIB = 50


def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--no-page", action="store_true", help="print only")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as place:
        machine = describe_machine(Path(place))
        text = _page(_measure(Path(place), args.hours), machine, args.hours)
    Console().print(Markdown(text))
    if not args.no_page:
        PAGE.write_text(text, encoding="utf-8")


def _measure(place: Path, hours: float) -> dict[str, float]:
    local = place / "client" / ".tracker"
    paths = [ROOT, ROOT / "tests" / "core", ROOT / "tests" / "faults", NETWORK]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    with TrackerServer(place / "server" / ".tracker") as server:
        command = [sys.executable, str(NETWORK / "outage.py"), str(local)]
        command += [f"http://127.0.0.1:{free_port()}", server.url, str(hours)]
        began_s = time.monotonic()
        done = subprocess.run(command, env=environ, input=server.key, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        found: dict[str, float] = json.loads(done.stdout)
        found["took_s"] = time.monotonic() - began_s
        found["n_lost_bytes"] = sum(
            path.stat().st_size
            for path in local.rglob("*.journal")
            if (server.folder / path.relative_to(local)).read_bytes() != path.read_bytes()
        )
    return found


def _page(found: dict[str, float], machine: dict[str, str], hours: float) -> str:
    growth_mib = found["rss_most_mib"] - found["rss_first_mib"]
    rows = sum(found["n_rows"])  # type: ignore[arg-type]
    lines = [
        ["rows logged meanwhile", f"{rows:,}", ""],
        ["tries to reach the server", f"{found['n_tries']:,}", ""],
        ["waiting on disk in the end, MiB", number(found["n_waited_bytes"] / 2**20), ""],
        ["growth of resident memory, MiB", number(growth_mib), f"≤ {MAX_GROWTH_MIB}"],
        ["bytes of journals that are not the same on the server", f"{found['n_lost_bytes']:,.0f}", "0"],
        ["seconds to send it when the server is back", number(found["drain_s"]), ""],
    ]
    return "\n".join(
        [
            f"# {hours:g} hours without a server",
            "",
            f"Written by `python benchmarks/sync_outage.py` on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. Two runs log a"
            " row of three metrics a second each; the sender's clock jumps over its waits, so that the outage took"
            f" {found['took_s']:.0f} s. Memory is that of the process that logs and sends, at most until all was sent,"
            " above that in the beginning.",
            "",
            markdown_table(["", "found", "aim"], lines, is_text=True),
            "",
            "## Machine",
            "",
            *[f"- {name}: {value}" for name, value in machine.items()],
            f"- load average in the end: {load_average()}",
            "",
        ]
    )


if __name__ == "__main__":
    main()
