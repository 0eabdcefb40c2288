"""Take in the journals of one tracker folder in a process of its own, and say how long it took and what it needed."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from tracker_server.query.open_folder import open_folder


def largest_rss_mib() -> float:
    """Return the largest resident size of this program so far; `getrusage` counts its parent's before the start."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> None:
    """Print seconds and the largest resident size, as JSON; arguments are the folder and the database's address."""
    path, url = sys.argv[1:]
    before_mib = largest_rss_mib()
    started_s, cpu_s = time.perf_counter(), time.process_time()
    folder = open_folder(path, url or None)
    while folder.refresh():
        pass
    folder.close()
    found = {
        "seconds": time.perf_counter() - started_s,
        "cpu_s": time.process_time() - cpu_s,
        "rss_mib": largest_rss_mib(),
        "rss_before_mib": before_mib,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
