"""Deleted runs: seen nowhere, brought back whole, removed for good, whatever happens meanwhile."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Table

import tracker_core as tracker
from tracker_core.api import Api
from tracker_core.errors import NotFoundError, UsageError
from tracker_server.catalog.decisions import By, Stage, by_me
from tracker_server.catalog.run_removal import archive_runs, delete_runs, empty_trash, unarchive_runs, undelete_runs
from tracker_server.query.folder import LocalFolder
from tracker_server.store.store_schema import metadata

from .conftest import Journal

A = ("p", "a")
BY = By("ada", 1_700_000_000_000_000_000, "a test")


def write_run(folder: Path, run: str = "a", n_rows: int = 10, end: bool = True, **session) -> Journal:
    journal = Journal(folder, run=run, **session)
    for step in range(n_rows):
        journal.row(step, loss=float(step))
    if end:
        journal.end()
    return journal


def opened(path: Path, **options) -> LocalFolder:
    folder = LocalFolder(path, **options)
    folder.refresh()
    return folder


def ids(folder: LocalFolder) -> list[str]:
    folder.refresh()
    return sorted(view.id for view in folder.runs())


@pytest.fixture
def folder(tracker_dir: Path) -> LocalFolder:
    write_run(tracker_dir)
    write_run(tracker_dir, "b")
    return opened(tracker_dir)


# -- deleting


def test_a_deleted_run_is_seen_nowhere(folder):
    delete_runs(folder, [A], by_me())
    assert ids(folder) == ["b"]
    assert not folder.has_run(*A)
    for ask in (folder.run, folder.details, folder.console, folder.files):
        with pytest.raises(NotFoundError):
            ask(*A)
    with pytest.raises(NotFoundError):
        folder.series(*A, "loss")
    assert folder.projects() == ["p"]


def test_other_processes_see_a_deletion_at_their_next_look(folder, tracker_dir):
    other = opened(tracker_dir)
    reader = opened(tracker_dir, is_writer=False)
    delete_runs(folder, [A], by_me())
    changes = {change.run: change.kinds for change in other.refresh()}
    assert changes == {"a": ("removed",)}
    assert ids(other) == ids(reader) == ids(opened(tracker_dir)) == ["b"]


def test_a_project_whose_runs_are_all_deleted_is_gone(folder, tracker_dir):
    delete_runs(folder, [A, ("p", "b")], by_me())
    assert ids(folder) == [] and folder.projects() == []
    assert opened(tracker_dir).projects() == []


def test_a_settled_run_is_deleted_from_the_index_of_a_fresh_process_too(tracker_dir):
    write_run(tracker_dir)
    first = opened(tracker_dir, settle_after_s=0.0)
    first.refresh()
    first.close()
    other = opened(tracker_dir, is_writer=False)
    delete_runs(other, [A], by_me())
    for is_writer in (False, True, False):
        assert ids(opened(tracker_dir, is_writer=is_writer)) == []


def test_an_undeleted_run_is_whole_again(folder, tracker_dir):
    before = folder.run(*A)
    delete_runs(folder, [A], by_me())
    folder.refresh()
    assert undelete_runs(folder, [A], by_me()) == [A]
    changes = {change.run: change.kinds for change in folder.refresh()}
    assert "new" in changes["a"]
    assert folder.run(*A) == before
    assert folder.series(*A, "loss").values.tolist() == [float(step) for step in range(10)]
    assert opened(tracker_dir).run(*A) == before


def test_deleting_twice_changes_nothing_the_second_time(folder):
    assert delete_runs(folder, [A], BY) == [A]
    folder.refresh()
    assert delete_runs(folder, [A], by_me()) == []
    (run,) = folder.catalog.decisions.in_trash()
    assert run.by == BY


def test_a_decision_says_who_when_and_why(folder):
    delete_runs(folder, [A], BY)
    (run,) = folder.catalog.decisions.in_trash()
    assert (run.by.who, run.by.at_ns, run.by.why) == ("ada", BY.at_ns, "a test")
    assert (run.name, run.state, run.attempt) == ("a", "finished", 1)


def test_all_runs_or_none_are_deleted(folder):
    with pytest.raises(NotFoundError, match="p/nowhere"):
        delete_runs(folder, [A, ("p", "nowhere")], by_me())
    assert ids(folder) == ["a", "b"]


def test_what_is_neither_there_nor_in_the_trash_cannot_be_undeleted(folder):
    with pytest.raises(NotFoundError, match="not in the trash"):
        undelete_runs(folder, [("p", "nowhere")], by_me())
    assert undelete_runs(folder, [A], by_me()) == []


def test_a_run_that_is_being_written_is_deleted_by_force_only(tracker_dir):
    journal = write_run(tracker_dir, end=False)
    folder = opened(tracker_dir)
    with pytest.raises(UsageError, match="still being written: p/a"):
        delete_runs(folder, [A], by_me())
    assert delete_runs(folder, [A], by_me(), force=True) == [A]
    assert ids(folder) == []
    journal.row(10, loss=1.0)
    journal.end()
    assert ids(folder) == []
    undelete_runs(folder, [A], by_me())
    assert ids(folder) == ["a"]
    assert folder.run(*A).n_rows == 11


def test_many_runs_are_deleted_archived_and_removed_at_once(tracker_dir):
    for place in range(60):
        write_run(tracker_dir, f"r{place}", n_rows=2, project="p" if place % 2 else "q")
    folder = opened(tracker_dir, settle_after_s=0.0)
    folder.refresh()
    keys = [(view.project, view.id) for view in folder.runs() if view.id != "r7"]
    assert len(archive_runs(folder, keys, by_me())) == 59
    assert len(delete_runs(folder, keys, by_me())) == 59
    assert ids(folder) == ["r7"]
    assert len(empty_trash(folder, by_me()).runs) == 59
    assert ids(opened(tracker_dir)) == ["r7"]
    assert os.listdir(tracker_dir / "runs") == ["p"]


# -- an id used again


def test_a_new_attempt_under_the_id_of_a_deleted_run_is_shown_alone(folder, tracker_dir):
    delete_runs(folder, [A], by_me())
    assert ids(folder) == ["b"]
    write_run(tracker_dir, n_rows=3, attempt=2, counter=2)
    assert ids(folder) == ["a", "b"]
    view = folder.run(*A)
    assert (view.attempt, view.n_rows, len(view.sessions)) == (2, 3, 1)
    assert opened(tracker_dir).run(*A) == view


def test_a_deleted_run_that_is_gone_on_with_shows_what_is_new_and_undeleted_all(folder, tracker_dir):
    delete_runs(folder, [A], by_me())
    folder.refresh()
    write_run(tracker_dir, n_rows=3, attempt=1, counter=2, resumed=True)
    assert ids(folder) == ["a", "b"]
    assert folder.run(*A).n_rows == 3
    undelete_runs(folder, [A], by_me())
    folder.refresh()
    assert folder.run(*A).n_rows == 13


def test_a_process_that_joins_a_deleted_run_does_not_bring_it_back(tracker_dir):
    write_run(tracker_dir, end=False)
    folder = opened(tracker_dir)
    delete_runs(folder, [A], by_me(), force=True)
    write_run(tracker_dir, writer="fork-123")
    assert ids(folder) == []
    write_run(tracker_dir, attempt=2, counter=2)
    write_run(tracker_dir, attempt=2, counter=2, writer="rank1")
    assert ids(folder) == ["a"]
    assert {session.writer for session in folder.run(*A).sessions if session.attempt == 2} == {"main", "rank1"}


def test_a_run_under_a_used_id_can_be_deleted_and_both_brought_back(folder, tracker_dir):
    delete_runs(folder, [A], by_me())
    write_run(tracker_dir, n_rows=3, attempt=2, counter=2)
    folder.refresh()
    assert delete_runs(folder, [A], by_me()) == [A]
    assert ids(folder) == ["b"]
    assert len(folder.catalog.decisions.in_trash()) == 2
    undelete_runs(folder, [A], by_me())
    assert ids(folder) == ["a", "b"]
    assert len(folder.run(*A).sessions) == 2


# -- archive


def test_an_archived_run_is_there_and_known_to_be_archived(folder, tracker_dir):
    assert archive_runs(folder, [A], BY) == [A]
    assert archive_runs(folder, [A], by_me()) == []
    assert {change.kinds for change in folder.refresh()} == {("archived",)}
    assert ids(folder) == ["a", "b"]
    assert opened(tracker_dir).catalog.decisions.archived == {A: BY}
    assert unarchive_runs(folder, [A], by_me()) == [A]
    assert folder.catalog.decisions.archived == {}


def test_an_archived_run_is_archived_again_when_it_comes_back_but_a_new_one_of_its_id_is_not(folder, tracker_dir):
    archive_runs(folder, [A], by_me())
    delete_runs(folder, [A], by_me())
    write_run(tracker_dir, attempt=2, counter=2)
    folder.refresh()
    assert A not in folder.catalog.decisions.archived
    undelete_runs(folder, [A], by_me())
    assert A in folder.catalog.decisions.archived


def test_only_a_run_that_is_there_can_be_archived(folder):
    with pytest.raises(NotFoundError):
        archive_runs(folder, [A, ("p", "nowhere")], by_me())
    assert not folder.catalog.decisions.archived


# -- emptying the trash


def test_emptying_removes_journals_files_and_rows_of_the_index(tracker_dir):
    journal = write_run(tracker_dir, n_rows=2000, end=False)
    journal.file("model.bin", b"x" * 100_000)
    journal.end()
    write_run(tracker_dir, "b", n_rows=20)
    folder = opened(tracker_dir, settle_after_s=0.0)
    folder.refresh()
    delete_runs(folder, [A], by_me())
    emptied = empty_trash(folder, by_me())
    assert emptied.runs == [A] and not emptied.troubles
    assert emptied.n_bytes > 100_000
    assert not (tracker_dir / "runs" / "p" / "a").exists()
    assert folder.catalog.decisions.tombstones == ()
    assert ids(folder) == ["b"]
    assert folder.series("p", "b", "loss").values.tolist() == [float(step) for step in range(20)]
    with pytest.raises(NotFoundError):
        undelete_runs(folder, [A], by_me())


def test_the_index_shrinks_every_time_that_a_large_run_is_removed(tracker_dir):
    write_run(tracker_dir, "b")
    index = tracker_dir / "index.sqlite"
    for large in ("one", "two"):
        journal = Journal(tracker_dir, run=large)
        for step in range(40_000):
            journal.row(step, **{f"m{i}": hash((step, i)) / 3.0 for i in range(8)})
        journal.end()
        folder = opened(tracker_dir)
        folder.close()
        before = index.stat().st_size
        assert before > 2 << 20
        folder = opened(tracker_dir)
        delete_runs(folder, [("p", large)], by_me())
        emptied = empty_trash(folder, by_me())
        after = index.stat().st_size
        assert after < before / 5
        assert emptied.n_bytes >= before - after
    assert folder.series("p", "b", "loss").values.tolist() == [float(step) for step in range(10)]


def test_no_table_of_the_index_has_anything_of_a_removed_run(tracker_dir):
    """The large run has cells and joined chunks."""
    large = write_run(tracker_dir, n_rows=70_000, end=False)
    large.lines("x", "y", first=0)
    large.file("f", b"x")
    large.config(only_here=1)
    large.end()
    write_run(tracker_dir, "b")
    folder = opened(tracker_dir, settle_after_s=0.0)
    for _ in range(3):
        folder.refresh()
    with sqlite3.connect(tracker_dir / "index.sqlite") as index:
        before = {name: _owners(index, table) for name, table in metadata.tables.items()}
    assert {name for name, owners in before.items() if len(owners) > 1} >= {
        "journal",
        "row_chunk",
        "value_chunk",
        "run",
    }
    delete_runs(folder, [A], by_me())
    folder.refresh()
    empty_trash(folder, by_me())
    with sqlite3.connect(tracker_dir / "index.sqlite") as index:
        after = {name: _owners(index, table) for name, table in metadata.tables.items()}
        kept = after["journal"]
        chunks = {row[0] for row in index.execute("SELECT chunk_id FROM row_chunk")}
        assert {row[0] for row in index.execute("SELECT chunk_id FROM value_chunk")} == chunks
    index.close()
    assert len(kept) == len(after["run"]) == 1
    for name, table in metadata.tables.items():
        if "journal_id" in table.c:
            assert after[name] <= kept, name
        elif "run_pk" in table.c:
            assert after[name] <= after["run"], name


def _owners(index: sqlite3.Connection, table: Table) -> set[int]:
    """Return which journals or runs a table has rows of."""
    column = next((name for name in ("journal_id", "run_pk") if name in table.c), None)
    return {row[0] for row in index.execute(f"SELECT DISTINCT {column} FROM {table.name}")} if column else set()


def test_only_what_was_deleted_long_enough_ago_is_removed(folder, tracker_dir):
    delete_runs(folder, [A], BY)
    delete_runs(folder, [("p", "b")], by_me())
    assert empty_trash(folder, by_me(), older_than_s=86_400).runs == [A]
    assert [run.key for run in folder.catalog.decisions.in_trash()] == [("p", "b")]
    assert (tracker_dir / "runs" / "p" / "b").exists()


def test_only_the_runs_named_are_removed(folder):
    delete_runs(folder, [A, ("p", "b")], by_me())
    assert empty_trash(folder, by_me(), only=[A]).runs == [A]
    assert [run.key for run in folder.catalog.decisions.in_trash()] == [("p", "b")]


def test_a_new_run_of_the_same_id_survives_the_removal_of_the_old_one(folder, tracker_dir):
    delete_runs(folder, [A], by_me())
    write_run(tracker_dir, n_rows=7, attempt=2, counter=2)
    folder.refresh()
    emptied = empty_trash(folder, by_me())
    assert emptied.runs == [A]
    assert ids(folder) == ["a", "b"]
    assert folder.run(*A).n_rows == 7
    fresh = opened(tracker_dir)
    assert fresh.series(*A, "loss").values.tolist() == [float(step) for step in range(7)]


def test_files_that_the_new_run_of_an_id_keeps_too_are_not_removed(tracker_dir):
    old = Journal(tracker_dir)
    shared, own = old.file("train.py", b"same"), old.file("old.bin", b"old")
    old.end()
    folder = opened(tracker_dir)
    delete_runs(folder, [A], by_me())
    new = Journal(tracker_dir, attempt=2, counter=2)
    new.file("train.py", b"same")
    files = tracker_dir / "runs" / "p" / "a" / "files"
    emptied = empty_trash(folder, by_me())
    assert emptied.troubles and {path.name for path in files.iterdir()} == {shared, own}
    new.end()
    assert empty_trash(folder, by_me()).runs == [A]
    assert {path.name for path in files.iterdir()} == {shared}
    folder.refresh()
    assert [file.path for file in folder.files(*A)] == ["train.py"]


def test_a_journal_that_a_process_puts_back_stays_hidden_and_is_removed_by_the_next_emptying(tracker_dir):
    journal = write_run(tracker_dir, end=False)
    folder = opened(tracker_dir)
    delete_runs(folder, [A], by_me(), force=True)
    copy = tracker_dir.parent / "copy"
    shutil.copy(journal.path, copy)
    assert empty_trash(folder, by_me()).runs == [A]
    assert [run.stage for run in folder.catalog.decisions.tombstones] == [Stage.EMPTIED]
    os.makedirs(os.path.dirname(journal.path))
    shutil.copy(copy, journal.path)
    assert ids(folder) == ids(opened(tracker_dir)) == []
    assert empty_trash(folder, by_me()).runs == [A]
    assert not os.path.exists(journal.path)
    assert empty_trash(folder, by_me()).runs == []


def test_what_is_being_removed_cannot_be_brought_back(folder):
    delete_runs(folder, [A], by_me())
    folder.catalog.begin_emptying(folder.catalog.decisions.tombstones, by_me())
    folder.refresh()
    with pytest.raises(NotFoundError, match="not in the trash"):
        undelete_runs(folder, [A], by_me())
    assert ids(folder) == ["b"]
    assert empty_trash(folder, by_me(), older_than_s=1e9).runs == [A]


def test_a_link_in_the_run_folder_is_removed_and_not_what_it_leads_to(folder, tracker_dir, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    run_dir = tracker_dir / "runs" / "p" / "a"
    os.symlink(outside, run_dir / "files")
    delete_runs(folder, [A], by_me())
    assert empty_trash(folder, by_me()).runs == [A]
    assert (outside / "precious").exists() and not run_dir.exists()


# -- Api


def test_api_deletes_undeletes_and_archives(tracker_dir):
    write_run(tracker_dir)
    write_run(tracker_dir, "b")
    api = Api(tracker_dir)
    run = api.run("p/a")
    run.archive("old")
    assert run.archived
    assert [found.id for found in api.runs("p")] == ["b"]
    assert {found.id for found in api.runs("p", archived=True)} == {"a", "b"}
    assert [found.id for found in api.runs("p", archived="only")] == ["a"]
    assert api.run("p/a").archived
    run.unarchive()
    assert not run.archived
    run.delete(why="no use")
    with pytest.raises(NotFoundError):
        api.run("p/a")
    (deleted,) = api.trash("p")
    assert (deleted.path, deleted.why, deleted.state) == ("p/a", "no use", "finished")
    run.undelete()
    assert api.trash() == [] and api.run("p/a").state == "finished"
    with pytest.raises(UsageError, match="archived"):
        api.runs("p", archived="yes")


# -- a process that goes on writing


def test_the_process_of_a_run_deleted_by_force_goes_on_and_does_not_bring_it_back(tracker_dir, wait_until):
    settings = {"quiet": True, "fsync_interval_s": 0.02}
    with tracker.init(project="p", id="a", dir=tracker_dir, settings=settings) as run:
        run.log({"loss": 1.0})
        folder = opened(tracker_dir)
        delete_runs(folder, [A], by_me(), force=True)
        assert empty_trash(folder, by_me()).runs == [A]
        run_dir = tracker_dir / "runs" / "p" / "a"
        for _ in range(10):
            run.log({"loss": 2.0})
        wait_until(lambda: list(run_dir.glob("*.journal")))
        assert ids(folder) == []
    assert ids(folder) == ids(opened(tracker_dir)) == []
    assert empty_trash(folder, by_me()).runs == [A]
    assert not run_dir.exists()


def test_the_id_of_a_deleted_run_can_be_used_by_init_again(tracker_dir):
    for loss in (1.0, 2.0):
        with tracker.init(project="p", id="a", dir=tracker_dir, settings={"quiet": True}) as run:
            run.log({"loss": loss})
        api = Api(tracker_dir)
        assert api.run("p/a").summary == {"loss": loss}
        if loss == 1.0:
            api.run("p/a").delete()
    assert empty_trash(opened(tracker_dir), by_me()).runs == [A]
    assert Api(tracker_dir).run("p/a").series("loss").values.tolist() == [2.0]
    with tracker.init(project="p", id="a", dir=tracker_dir, resume="must", settings={"quiet": True}) as run:
        assert run.step == 1
