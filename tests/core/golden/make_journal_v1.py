"""Makes journal_v1.journal and journal_v1.json, which every later version must read alike. Run once; never again.

Usage: PYTHONPATH=<repository>:<repository>/tests/core python make_journal_v1.py <target folder>
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from journal_model import SESSION, TIME_NS, Item, JournalMaker, WrittenJournal, record_item, session_record

from tracker_core import records
from tracker_core.journal_format import FRAGMENT, Kind


def make(path: Path) -> WrittenJournal:
    """Write every kind of record and every column type of version 1, in four blocks."""
    maker = JournalMaker(path)
    maker.record(
        session_record(
            entity="team",
            writer="main",
            counter=2,
            attempt=1,
            resumed=True,
            group="g",
            job_type="train",
            tags=["a", "b"],
            notes="caf\u00e9",
            mode="offline",
            host="machine",
            pid=4711,
            boot_id="boot/pid:[1]",
            process_start="12345",
            python="3.11.2",
        )
    )
    maker.record(records.Config(wall_time_ns=TIME_NS, values={"lr": 0.1, "net": {"depth": 3, "act": None}}))
    maker.record(records.Config(wall_time_ns=TIME_NS + 1, values={"lr": 0.2}, removed=["net"]))
    maker.record(
        records.MetricDefinition(
            wall_time_ns=TIME_NS,
            name="val/*",
            step_metric="epoch",
            summary=["min", "last"],
            goal="minimize",
            hidden=False,
        )
    )
    for step in range(4):
        maker.row(step, "dq", {"loss": 1 / (step + 1), "epoch": step}, TIME_NS + step)
    maker.new_block()
    values = {"d": -0.0, "f": 0.1 + 0.0, "q": -(2**63), "Q": 2**64 - 1, "?": True}
    maker.row(-7, "d", {"d": values["d"]})
    maker.row(2**63 - 1, "dqQ?", {code: values[code] for code in "dqQ?"})
    maker.row(5, "f", {"f": 0.5})
    for number in (float("inf"), float("-inf"), float("nan")):
        maker.row(6, "d", {"d": number})
    maker.record(
        records.RowMap(wall_time_ns=TIME_NS, step=8, values={"t": "text \U0001f600", "n": None, "l": [1, 2.5]})
    )
    maker.record(records.Summary(wall_time_ns=TIME_NS, values={"best": {"epoch": 3}}, removed=["old"]))
    maker.new_block()
    put_in_fragments(maker, records.RowMap(wall_time_ns=TIME_NS, step=9, values={"long": "0123456789" * 5}))
    maker.record(records.RunEdit(wall_time_ns=TIME_NS, name="new name", tags=["c"], notes=""))
    maker.record(records.Suspended(wall_time_ns=TIME_NS, cause="disk full", began_ns=1, ended_ns=2, n_queued=3))
    maker.record(records.Dropped(wall_time_ns=TIME_NS, n_rows=2, first_ns=1, last_ns=2, cause="disk full"))
    maker.record(records.Heartbeat(wall_time_ns=TIME_NS))
    maker.raw(200, b"a kind that version 1 does not know")
    maker.new_block()
    maker.row(10, "dq", {"loss": 0.25, "epoch": 10})
    error = records.RunError(type="ValueError", message="bad", traceback="Traceback ...")
    maker.record(records.State(wall_time_ns=TIME_NS, state="failed", exit_code=3, error=error))
    return maker.done()


def put_in_fragments(maker: JournalMaker, record: records.RowMap) -> None:
    """Write a record in three parts, as a record longer than a block is written."""
    body = records.encode(record)
    piece = -(-len(body) // 3)
    for part in range(3):
        head = FRAGMENT.pack(Kind.ROW_MAP, part, 3)
        maker.raw(Kind.FRAGMENT, head + body[part * piece : (part + 1) * piece])
    maker.made.items[maker.file.next_sequence - 1] = record_item(record)


def as_json(items: dict[int, Item]) -> str:
    return json.dumps({"session": SESSION.hex(), "items": items}, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    journal = make(target / "journal_v1.journal")
    (target / "journal_v1.json").write_text(as_json(journal.items))
