"""A day without a server, in a process of its own: rows are logged, tries are made, waits are jumped over.

    python outage.py FOLDER DEAD_URL URL HOURS < KEY

Prints JSON: how often the server was tried, resident memory at the beginning and in the end of the outage and at most
until all was sent, and how many bytes are left.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import psutil
from sent_journals import LocalJournal

from tracker_core.sync.sender import Sender
from tracker_core.sync.transport import Transport

ROW_S = 1.0
_MAX_STEPS = 10_000


class _Clock:
    def __init__(self) -> None:
        self.now_s = time.monotonic()

    def __call__(self) -> float:
        return self.now_s


def main() -> None:
    """Live through it."""
    folder, dead_url, url, hours = sys.argv[1:]
    key = sys.stdin.read().strip()
    process, clock = psutil.Process(), _Clock()
    journals = [LocalJournal(Path(folder), run) for run in ("a", "b")]
    transport = Transport(dead_url, key)
    sender = Sender(folder, dead_url, key, transport=transport, clock=clock)
    end_s = clock.now_s + float(hours) * 3600
    rss_mib, n_tries = [], 0
    while clock.now_s < end_s:
        wait_s = sender.step()
        n_tries += 1
        for journal in journals:
            journal.log(max(1, round(wait_s / ROW_S)))
        clock.now_s += wait_s
        if n_tries % 20 == 0:
            rss_mib.append(process.memory_info().rss / 2**20)
    n_left = sender.left_bytes
    transport._url = Transport(url, key)._url  # the server is back, at the address that it has now
    for journal in journals:
        journal.end()
    began_s = time.monotonic()
    for _ in range(_MAX_STEPS):
        sender.wake()
        clock.now_s += sender.step()
        rss_mib.append(process.memory_info().rss / 2**20)
        if sender.status.state == "ok" and not sender.left_bytes:
            break
    found = {
        "n_tries": n_tries,
        "n_rows": [journal.n_rows for journal in journals],
        "n_waited_bytes": n_left,
        "rss_first_mib": rss_mib[0],
        "rss_most_mib": max(rss_mib),
        "n_left_bytes": sender.left_bytes,
        "drain_s": time.monotonic() - began_s,
        "error": sender.status.error,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
