"""A journal that version 1 wrote stays readable for ever, with exactly what was in it."""

from __future__ import annotations

import json
from pathlib import Path

from journal_model import items_of

from tracker_core.journal_format import COLUMN_FORMATS
from tracker_core.journal_reader import JournalReader, read_session
from tracker_core.records import RECORD_TYPES

GOLDEN = Path(__file__).parent / "golden"


def test_golden_journal_of_version_1_is_read_as_ever() -> None:
    expected = json.loads((GOLDEN / "journal_v1.json").read_text())
    reader = JournalReader(str(GOLDEN / "journal_v1.journal"))
    batch = reader.read()
    items = json.loads(json.dumps({str(sequence): item for sequence, item in items_of(batch).items()}))
    for sequence, item in expected["items"].items():
        if item[0] == "row":
            assert items[sequence] == item
        else:  # fields may have been added since
            assert items[sequence][0] == item[0]
            assert {name: items[sequence][1][name] for name in item[1]} == item[1]
    assert items.keys() == expected["items"].keys()
    assert batch.damage == []
    assert batch.n_unknown == 1
    assert reader.is_closed
    assert reader.n_tail_bytes == 0
    session = read_session(reader.path)
    assert session is not None
    assert session.session == expected["session"]


def test_golden_journal_holds_every_kind_of_record_and_column() -> None:
    batch = JournalReader(str(GOLDEN / "journal_v1.journal")).read()
    kinds_of_version_1 = {
        "Session", "RowMap", "Config", "Summary", "MetricDefinition", "State", "Dropped", "Heartbeat", "RunEdit",
        "Suspended",
    }  # fmt: skip
    assert {type(record).__name__ for _, record in batch.records} == kinds_of_version_1
    assert {code for group in batch.row_groups for code in group.codes} == set("dfqQ?")
    assert kinds_of_version_1 <= {struct.__name__ for struct in RECORD_TYPES.values()}
    assert set("dfqQ?") <= set(COLUMN_FORMATS)
