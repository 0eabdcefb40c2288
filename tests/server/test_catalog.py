"""The catalog's file: who may write it, what a kill and damage leave, and that it is the truth."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tracker_server.catalog.catalog import Catalog
from tracker_server.catalog.decisions import By, CatalogError, CatalogVersionError, Decisions, Stage, Tombstone, by_me
from tracker_server.catalog.run_removal import delete_runs, empty_trash, undelete_runs
from tracker_server.doctor.doctor_catalog import check_catalog
from tracker_server.http.ui_server import run_in_background
from tracker_server.query.folder import LocalFolder
from tracker_server.query.open_folder import open_folder
from tracker_server.store.store_catalog_file import CatalogFile
from tracker_server.store.store_catalog_postgres import PostgresCatalog
from tracker_server.store.store_catalog_schema import metadata as catalog_metadata
from tracker_server.store.store_lock import try_store_lock
from tracker_server.store.store_migrate import open_database
from tracker_server.store.store_schema import metadata as index_metadata

from .test_run_removal import A, ids, opened, write_run

BY = By("ada", 5, "")


def tombstone(run: str = "a", *writers: str) -> Tombstone:
    journals = frozenset(f"p/{run}/{writer}.{'0' * 32}.journal" for writer in writers or ("main",))
    return Tombstone("p", run, f"p/{run}", journals, 1, "name", "finished", False, BY)


def in_child(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(str(tmp_path))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "catalog.sqlite"


@pytest.fixture(params=["sqlite", "postgresql"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Catalog]]:
    """Opens the same catalog again and again, as processes do."""
    if request.param == "sqlite":
        yield lambda: Catalog(str(tmp_path))
        return
    database = open_database(request.getfixturevalue("postgres").new_database())
    yield lambda: Catalog(PostgresCatalog(database))
    database.close()


# -- decisions


def test_reading_makes_no_file(catalog, tmp_path):
    assert not catalog.refresh()
    assert catalog.decisions == Decisions()
    assert list(tmp_path.iterdir()) == []


def test_decisions_are_read_back_as_they_were_taken(opening):
    catalog = opening()
    assert catalog.delete([tombstone("a", "main", "rank1"), tombstone("b")]) == [("p", "a"), ("p", "b")]
    assert catalog.delete([tombstone("a", "main")]) == []
    odd = ("é\n日\x00", "d")
    assert catalog.archive([("p", "c"), odd], BY) == [("p", "c"), odd]
    other = opening()
    assert other.refresh() and not other.refresh()
    assert other.decisions == catalog.decisions
    assert {run.key: run.journals for run in other.decisions.tombstones} == {
        ("p", "a"): tombstone("a", "main", "rank1").journals,
        ("p", "b"): tombstone("b").journals,
    }
    assert other.decisions.archived == {("p", "c"): BY, odd: BY}


def test_every_stage_of_a_removal_is_seen_by_others(opening):
    catalog, other = opening(), opening()
    catalog.archive([("p", "a"), ("p", "b")], BY)
    catalog.delete([tombstone("a"), replace(tombstone("b"), is_open=True)])
    assert catalog.decisions.archived == {}
    catalog.begin_emptying(catalog.decisions.tombstones, BY)
    assert other.refresh() and {run.stage for run in other.decisions.tombstones} == {Stage.EMPTYING}
    assert catalog.undelete([("p", "a")], BY) == []
    catalog.end_emptying(catalog.decisions.tombstones, BY)
    assert other.refresh()
    assert [(run.run_id, run.stage) for run in other.decisions.tombstones] == [("b", Stage.EMPTIED)]


def test_every_decision_is_logged_for_good(catalog, file):
    catalog.delete([tombstone()])
    catalog.undelete([("p", "a")], By("bob", 6, "needed"))
    catalog.archive([("p", "a")], BY)
    catalog.unarchive([("p", "a")], BY)
    catalog.delete([tombstone()])
    catalog.begin_emptying(catalog.decisions.tombstones, BY)
    catalog.end_emptying(catalog.decisions.tombstones, BY)
    rows = sqlite3.connect(file).execute("SELECT action, who, at_ns, reason FROM decision ORDER BY decision_id")
    actions = ["delete", "undelete", "archive", "unarchive", "delete", "empty", "emptied"]
    found = rows.fetchall()
    assert [row[0] for row in found] == actions
    assert found[1] == ("undelete", "bob", 6, "needed")
    assert catalog.decisions.tombstones == ()


@pytest.mark.long
def test_very_many_decisions_are_taken_at_once(opening):
    catalog = opening()
    runs = [tombstone(f"r{place}") for place in range(40_000)]
    keys = [run.key for run in runs]
    assert len(catalog.archive(keys, BY)) == len(catalog.delete(runs)) == 40_000
    assert len(catalog.undelete(keys, BY)) == 40_000
    assert len(catalog.unarchive(keys[:30_000], BY)) == 30_000
    catalog.delete(runs[:5])
    catalog.begin_emptying(catalog.decisions.tombstones, BY)
    catalog.end_emptying(catalog.decisions.tombstones, BY)
    other = opening()
    other.refresh()
    assert other.decisions.tombstones == () and len(other.decisions.archived) == 10_000


def test_another_process_sees_a_decision_at_its_next_look_however_soon(opening):
    catalog, other = opening(), opening()
    for run in "abcdef":
        catalog.delete([tombstone(run)])
        assert other.refresh()
        assert len(other.decisions.tombstones) == len(catalog.decisions.tombstones)
        assert not other.refresh()


def test_threads_and_processes_that_decide_at_once_lose_nothing(catalog, tmp_path):
    script = """
        import sys
        from tracker_server.catalog.catalog import Catalog
        from tracker_server.catalog.decisions import By
        catalog = Catalog(sys.argv[1])
        for place in range(10):
            catalog.archive([("child", str(place))], By("child", place))
        """
    child = threading.Thread(target=lambda: in_child(script, tmp_path))

    def work(name: str) -> None:
        for place in range(10):
            catalog.archive([(name, str(place))], BY)

    threads = [child, *(threading.Thread(target=work, args=(name,)) for name in ("x", "y"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    catalog.refresh()
    assert len(catalog.decisions.archived) == 30


def test_no_name_of_a_table_of_the_catalog_is_one_of_the_index(catalog):
    assert not catalog_metadata.tables.keys() & index_metadata.tables.keys()


# -- the lock


def test_a_lock_that_is_held_too_long_is_told_with_the_remedy(tmp_path):
    catalog = Catalog(CatalogFile(str(tmp_path), timeout_s=0.05))
    with (
        try_store_lock(str(tmp_path / "catalog.lock")) as is_held,
        pytest.raises(CatalogError, match=r"lock that another process held for 0.05 s.*catalog.lock open"),
    ):
        assert is_held
        catalog.archive([("p", "a")], BY)
    assert catalog.archive([("p", "a")], BY) == [("p", "a")]


def test_reading_needs_no_lock(catalog, tmp_path):
    catalog.archive([("p", "a")], BY)
    with try_store_lock(str(tmp_path / "catalog.lock")):
        other = Catalog(str(tmp_path))
        assert other.refresh() and other.decisions.archived


def test_nothing_but_the_file_is_left_behind(catalog, tmp_path):
    catalog.archive([("p", "a")], BY)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["catalog.lock", "catalog.sqlite"]


# -- what can go wrong


@pytest.mark.skipif(os.name == "nt", reason="permissions are others there")
def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    missing = tmp_path / "nowhere"
    with pytest.raises(CatalogError, match=r"folder that cannot be written.*Remedy"):
        Catalog(str(missing)).archive([("p", "a")], BY)
    assert not missing.exists()


def test_a_newer_catalog_is_refused_by_name_and_left_as_it_is(catalog, file, tmp_path):
    catalog.archive([("p", "a")], BY)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE catalog_info SET value = '7' WHERE name = 'version'")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(CatalogVersionError, match=r"catalog.sqlite: got a catalog of version 7, expected .* version 3"):
        Catalog(str(tmp_path)).refresh()
    with pytest.raises(CatalogVersionError):
        catalog.archive([("p", "b")], BY)
    with pytest.raises(CatalogVersionError):
        LocalFolder(tmp_path)
    with pytest.raises(CatalogVersionError):
        run_in_background(tmp_path)
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"no database at all" * 100, None])
def test_a_damaged_catalog_is_named_and_a_copy_kept_and_never_replaced(catalog, file, tmp_path, caplog, content):
    catalog.archive([("p" * 50, f"{place}") for place in range(200)], BY)
    whole = file.read_bytes()
    damaged = content or whole[:4096] + b"\xff" * (len(whole) - 4096)
    file.write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        assert not catalog.refresh()
    assert len(catalog.decisions.archived) == 200, "what was known before holds"
    assert "a damaged file" in caplog.text and "copy of the damaged one" in caplog.text
    with pytest.raises(CatalogError, match=r"damaged file .*put a backup in its place"):
        catalog.delete([tombstone()])
    copies = [path for path in tmp_path.iterdir() if path.name.startswith("catalog-damaged-")]
    assert [copy.read_bytes() for copy in copies] == [damaged]
    assert file.read_bytes() == damaged


def test_runs_are_listed_while_the_catalog_is_damaged(tracker_dir, caplog):
    write_run(tracker_dir)
    write_run(tracker_dir, "b")
    delete_runs(opened(tracker_dir), [A], by_me())
    (tracker_dir / "catalog.sqlite").write_bytes(b"x" * 5000)
    with caplog.at_level(logging.WARNING):
        assert ids(opened(tracker_dir)) == ["a", "b"]
    assert "a damaged file" in caplog.text


def test_a_write_that_a_kill_broke_off_is_taken_back_whole(catalog, file, tmp_path):
    catalog.archive([("p", str(place)) for place in range(500)], BY)
    before = file.read_bytes()
    killed = in_child(
        """
        import os, signal, sys
        from tracker_server.store.store_sqlite import rollback_connection
        with rollback_connection(sys.argv[1], is_writer=True) as connection:
            connection.exec_driver_sql("PRAGMA cache_size=1")
            connection.exec_driver_sql("UPDATE archived_run SET reason = hex(randomblob(200))")
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        file,
    )
    assert killed.returncode == -9, killed.stderr
    assert (tmp_path / "catalog.sqlite-journal").exists() and file.read_bytes() != before
    other = Catalog(str(tmp_path))
    assert other.refresh()
    assert other.decisions == catalog.decisions
    assert not (tmp_path / "catalog.sqlite-journal").exists()


def test_the_doctor_tells_of_the_trash_and_of_damage(tracker_dir):
    write_run(tracker_dir)
    assert list(check_catalog(str(tracker_dir))) == []
    folder = opened(tracker_dir)
    delete_runs(folder, [A], by_me())
    (finding,) = check_catalog(str(tracker_dir))
    assert finding.text == "1 runs in the trash, 0 archived"
    folder.catalog.begin_emptying(folder.catalog.decisions.tombstones, BY)
    assert "tracker trash empty" in [found.remedy for found in check_catalog(str(tracker_dir))][-1]
    (tracker_dir / "catalog.sqlite").write_bytes(b"x" * 5000)
    (finding,) = check_catalog(str(tracker_dir))
    assert "a damaged file" in finding.text and "put a backup in its place" in finding.remedy


# -- SIGKILL at every step of emptying the trash

_EMPTY = """
    import os, signal, sys
    from tracker_server.catalog.decisions import by_me
    from tracker_server.query.folder import LocalFolder
    from tracker_server.catalog.run_removal import empty_trash

    folder = LocalFolder(sys.argv[1])
    folder.refresh()
    left = int(sys.argv[2])
    steps = {"open", "os.remove", "os.rmdir", "os.listdir", "sqlite3.connect", "fcntl.flock"}

    def step(event, arguments):
        global left
        if event in steps:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(step)
    empty_trash(folder, by_me())
    """


def _filled(path: Path) -> None:
    journal = write_run(path, n_rows=300, end=False)
    journal.file("model.bin", b"x" * 1000)
    journal.end()
    write_run(path, writer="rank1", n_rows=30)
    write_run(path, "b", n_rows=30)
    write_run(path, "kept", n_rows=30)
    folder = opened(path)
    folder.close()
    delete_runs(folder, [A, ("p", "b")], by_me())


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")
@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.long)])
def test_a_kill_at_any_step_of_emptying_loses_nothing_else_and_the_next_one_finishes(tmp_path, stride):
    _filled(tmp_path / "whole")
    for step in range(1, 400, stride):
        path = tmp_path / str(step)
        shutil.copytree(tmp_path / "whole", path)
        child = in_child(_EMPTY, path, step)
        assert child.returncode in (0, -9), child.stderr
        _check_kept(path)
        _finish(path)
        if child.returncode == 0:
            return
    raise AssertionError("the last step was not reached")


def _check_kept(path: Path) -> None:
    folder = opened(path)
    assert [view.id for view in folder.runs()] == ["kept"]
    assert folder.series("p", "kept", "loss").values.tolist() == [float(step) for step in range(30)]
    folder.close()


def _finish(path: Path) -> None:
    folder = opened(path)
    emptied = empty_trash(folder, by_me())
    assert not emptied.troubles
    assert folder.catalog.decisions.tombstones == ()
    assert os.listdir(path / "runs" / "p") == ["kept"]
    folder.close()
    index = sqlite3.connect(path / "index.sqlite")
    assert [row[0].split("/")[1] for row in index.execute("SELECT path FROM journal")] == ["kept"]
    index.close()


def test_only_one_process_empties_the_trash(tracker_dir):
    write_run(tracker_dir)
    folder = opened(tracker_dir)
    delete_runs(folder, [A], by_me())
    with (
        try_store_lock(str(tracker_dir / "trash.lock")),
        pytest.raises(CatalogError, match=r"trash.lock: got a lock that another process holds.*wait until it is done"),
    ):
        empty_trash(folder, by_me())
    assert [run.key for run in folder.catalog.decisions.in_trash()] == [A]


def test_an_index_that_is_being_written_by_others_leaves_the_rest_to_the_next_emptying(tracker_dir, monkeypatch):
    write_run(tracker_dir)
    folder = opened(tracker_dir)
    delete_runs(folder, [A], by_me())
    monkeypatch.setattr("tracker_server.catalog.run_removal._INDEX_TIMEOUT_S", 0.05)
    with try_store_lock(str(tracker_dir / "store.lock")):
        emptied = empty_trash(folder, by_me())
    assert emptied.runs == [] and "the index is being written" in emptied.troubles[0]
    assert ids(opened(tracker_dir)) == []
    assert empty_trash(folder, by_me()).runs == [A]


# -- a database of many machines


def test_a_run_that_is_removed_from_a_database_stays_removed_although_its_folder_is_brought_again(postgres, tmp_path):
    url = postgres.new_database()
    write_run(tmp_path / "one" / ".tracker")
    write_run(tmp_path / "one" / ".tracker", "b")
    one, other = (open_folder(tmp_path / name / ".tracker", url) for name in ("one", "other"))
    assert ids(one) == ids(other) == ["a", "b"]
    delete_runs(other, [A], by_me())
    assert ids(one) == ids(other) == ["b"]
    undelete_runs(other, [A], by_me())
    assert ids(one) == ids(other) == ["a", "b"]
    assert other.run(*A).n_rows == 10
    delete_runs(other, [A], by_me())
    assert empty_trash(other, by_me()).runs == [A]
    for folder in (one, other):
        folder.close()
    one, other = (open_folder(tmp_path / name / ".tracker", url) for name in ("one", "other"))
    assert ids(one) == ids(other) == ["b"]
    one.close()
    other.close()
