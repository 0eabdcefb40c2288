"""A journal that version 1 wrote stays readable for ever, with exactly what was in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from journal_model import items_of

from tracker_core.journal_format import COLUMN_FORMATS, Kind
from tracker_core.journal_reader import JournalReader, read_session
from tracker_core.records import RECORD_TYPES, State

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.fault("F24")
@pytest.mark.parametrize(("name", "n_unknown"), [("journal_v1", 1), ("journal_v1_story", 0)])
def test_golden_journal_of_version_1_is_read_as_ever(name: str, n_unknown: int) -> None:
    expected = json.loads((GOLDEN / f"{name}.json").read_text())
    reader = JournalReader(str(GOLDEN / f"{name}.journal"))
    batch = reader.read()
    items = json.loads(json.dumps({str(sequence): item for sequence, item in items_of(batch).items()}))
    for sequence, item in expected["items"].items():
        if item[0] in ("row", "system"):
            assert items[sequence] == item
        else:  # fields may have been added since
            assert items[sequence][0] == item[0]
            assert {name: items[sequence][1][name] for name in item[1]} == item[1]
    assert items.keys() == expected["items"].keys()
    assert batch.damage == []
    assert batch.n_unknown == n_unknown
    assert reader.is_closed
    assert reader.n_tail_bytes == 0
    session = read_session(reader.path)
    assert session is not None
    assert session.session == expected["session"]


@pytest.mark.fault("F24")
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


@pytest.mark.fault("F24")
def test_golden_story_holds_what_is_recorded_besides_rows() -> None:
    batch = JournalReader(str(GOLDEN / "journal_v1_story.journal")).read()
    found = {type(record).__name__ for _, record in batch.records}
    assert found == {"Session", "Environment", "Console", "File", "Clock", "State"}
    samples = [group for group in batch.row_groups if group.kind == Kind.SYSTEM]
    assert sum(len(group.sequences) for group in samples) == 3
    states = [record for _, record in batch.records if isinstance(record, State)]
    assert [(state.state, state.signal) for state in states] == [
        ("running", "SIGUSR1"),
        ("preempting", ""),
        ("killed", "SIGTERM"),
    ]
