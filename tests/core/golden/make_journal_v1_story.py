"""Makes journal_v1_story.journal and .json: the kinds that tell a run's whole story. Run once; never again.

Usage: PYTHONPATH=<repository>:<repository>/tests/core python make_journal_v1_story.py <target folder>
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from journal_model import SESSION, TIME_NS, JournalMaker, WrittenJournal, row_item, session_record

from tracker_core import records
from tracker_core.journal_file import RowLayout
from tracker_core.journal_format import Kind
from tracker_core.records import ConsoleLine


def make(path: Path) -> WrittenJournal:
    """Write console, system, file, environment and clock records, and states with signals, in two blocks."""
    maker = JournalMaker(path)
    maker.record(session_record(writer="launcher", host="machine", pid=4711))
    maker.record(
        records.Environment(
            wall_time_ns=TIME_NS,
            values={
                "command": ["python", "train.py"],
                "gpus": [{"index": 0, "uuid": "GPU-1"}],
                "memory_bytes": 1 << 34,
            },
        )
    )
    maker.record(records.Environment(wall_time_ns=TIME_NS + 1, values={"git": {"commit": "ab" * 20, "is_dirty": True}}))
    maker.row(0, "d", {"loss": 1.0}, TIME_NS)
    put_sample(maker, 0, {"system/cpu_percent": 12.5, "system/gpu0/power_w": float("nan")})
    put_sample(maker, 1, {"system/cpu_percent": 13.0, "system/gpu0/power_w": 300.0})
    lines = [
        ConsoleLine(0, TIME_NS, 1, "\x1b[32mgr\u00fcn\x1b[0m \U0001f600"),
        ConsoleLine(1, TIME_NS + 5, 2, " 50%"),
        ConsoleLine(1, TIME_NS + 6, 2, "100%"),
        ConsoleLine(2, TIME_NS + 7, 1, ""),
    ]
    maker.record(records.Console(wall_time_ns=TIME_NS + 7, lines=lines))
    maker.record(records.Console(wall_time_ns=TIME_NS + 8, n_left_out=17))
    maker.new_block()
    put_sample(maker, 2, {"system/cpu_percent": 14.0})
    maker.record(
        records.File(wall_time_ns=TIME_NS, path="code/tr\u00e4in.py", digest="0f" * 32, size_bytes=12, kind="code")
    )
    maker.record(records.File(wall_time_ns=TIME_NS, path="model.pt", digest="1e" * 32, size_bytes=1 << 40))
    maker.record(records.Clock(wall_time_ns=TIME_NS, jumped_ns=-3_600_000_000_000))
    maker.record(records.State(wall_time_ns=TIME_NS, state="running", signal="SIGUSR1"))
    maker.record(records.State(wall_time_ns=TIME_NS, state="preempting"))
    maker.record(records.State(wall_time_ns=TIME_NS, state="killed", exit_code=143, signal="SIGTERM"))
    return maker.done()


def put_sample(maker: JournalMaker, step: int, values: dict[str, float]) -> None:
    """Write one sample of the machine, which is a packed row of another kind."""
    layout = RowLayout(tuple(values), "d" * len(values), Kind.SYSTEM)
    maker.file.put_row(layout, step, TIME_NS + step, tuple(values.values()))
    maker._note(("system", *row_item(step, TIME_NS + step, values)[1:]))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    journal = make(target / "journal_v1_story.journal")
    content = {"session": SESSION.hex(), "items": journal.items}
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    (target / "journal_v1_story.json").write_text(text)
