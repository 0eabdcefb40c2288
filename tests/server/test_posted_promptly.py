"""What was posted is seen at the next look, also where a folder is so full that most of it is looked at rarely."""

from __future__ import annotations

import pytest

from tracker_core.records import State
from tracker_server.ingest import journal_scan
from tracker_server.ingest.journal_scan import JournalScan
from tracker_server.query.folder import LocalFolder

from .conftest import Journal


@pytest.fixture
def rarely(monkeypatch):
    """Every look counts as a long one, after which the folders of runs are left alone for a long time."""
    monkeypatch.setattr(journal_scan, "_LONG_LOOK_S", 0.0)
    monkeypatch.setattr(journal_scan, "_RESTS", 1e9)


def test_a_journal_in_a_folder_that_is_not_looked_at_is_found_when_it_is_named(tmp_path, rarely):
    Journal(tmp_path, run="a")
    scan = JournalScan(str(tmp_path))
    assert len(scan.scan()) == 1
    other = Journal(tmp_path, run="a", writer="rank1")
    assert len(scan.scan()) == 1
    scan.look_again([other.name, "p/a/gone.x.journal", "q/b/gone.x.journal"])
    assert other.name in scan.scan() and len(scan.scan()) == 2 and scan.path_of(other.name).writer == "rank1"


def test_a_process_that_joins_a_run_is_shown_at_the_next_look(tmp_path, rarely):
    Journal(tmp_path, run="a")
    folder = LocalFolder(tmp_path, is_writer=False)
    folder.refresh()
    other = Journal(tmp_path, run="a", writer="rank1")
    other.row(0, loss=1.0)
    assert folder.refresh() == []
    folder.note_grown([other.name])
    (change,) = folder.refresh()
    assert (change.project, change.run) == ("p", "a")
    assert folder.series("p", "a", "loss", "rank1").values.tolist() == [1.0]
    folder.close()


def test_more_behind_the_end_of_a_journal_is_seen_when_it_is_named(tmp_path):
    journal = Journal(tmp_path, run="a")
    journal.row(0, loss=1.0)
    folder = LocalFolder(tmp_path, is_writer=True, settle_after_s=0.0, heartbeat_timeout_s=0.001)
    journal.put(State(wall_time_ns=journal.now_ns, state="finished"))
    folder.refresh()
    folder.refresh()
    assert folder.load().n_settled == 1
    journal.row(1, loss=2.0)
    assert folder.refresh() == []
    folder.note_grown([journal.name])
    assert [change.run for change in folder.refresh()] == ["a"]
    assert folder.series("p", "a", "loss").values.tolist() == [1.0, 2.0]
    folder.close()
