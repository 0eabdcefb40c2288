"""`tracker db`: status, backup, restore, rebuild and migrate, of files and of PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading

import pytest

from tests.postgres import PASSWORD
from tracker_server.cli import main
from tracker_server.query.open_folder import open_folder
from tracker_server.store.store_lock import try_store_lock
from tracker_server.store.store_migrate import newest_version
from tracker_server.store.store_schema import INDEX_VERSION

from ..conftest import Journal
from .conftest import Store

N_ROWS = 200


def log(folder, run="a", n_rows=N_ROWS, is_ended=True):
    journal = Journal(folder, run=run)
    for step in range(n_rows):
        journal.row(step, loss=float(step), text="t" * 500)
    if is_ended:
        journal.end()
    return journal


def taken_in(store):
    folder = store.seen()
    folder.close()


def losses(store, run="a"):
    folder = store.seen(is_writer=False)
    found = folder.series("p", run, "loss").values.tolist()
    folder.close()
    return found


def db(store, *arguments):
    """Run the command in this process; return its exit code."""
    url = ["--database-url", store.url] if store.url else []
    return main(["db", arguments[0], "--dir", str(store.folder), *url, *arguments[1:]])


def test_status_tells_version_size_and_what_is_sealed(store: Store, capsys):
    log(store.folder)
    taken_in(store)
    assert db(store, "status", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["version"] == (newest_version() if store.url else INDEX_VERSION)
    assert (found["n_journals"], found["n_closed"], found["n_rows"], found["n_metrics"]) == (1, 1, N_ROWS, 2)
    assert found["n_tail_journals"] == 0 and found["tail_bytes"] == 0 and found["size_bytes"] > 1000
    assert db(store, "status") == 0
    shown = capsys.readouterr().out
    assert "1 journals, 1 sealed to their end" in shown and PASSWORD not in shown


def test_status_of_what_was_never_opened_says_so(tracker_dir, capsys):
    log(tracker_dir)
    assert main(["db", "status", "--dir", str(tracker_dir)]) == 0
    assert "none, not made yet" in capsys.readouterr().out


def test_status_names_poisoned_journals_and_fails(database_url, tracker_dir, capsys):
    import psycopg

    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO poisoned_journal (path, reason, since_ns) VALUES ('p/x', 'it is odd', 1)")
    assert main(["db", "status", "--dir", str(tracker_dir), "--database-url", database_url]) == 1
    assert "p/x: it is odd" in capsys.readouterr().out


def test_what_is_backed_up_is_restored_elsewhere(store: Store, tmp_path, capsys):
    log(store.folder)
    taken_in(store)
    backup = tmp_path / "backup"
    assert db(store, "backup", str(backup)) == 0
    assert db(store, "backup", str(backup)) == 2 and "empty or not there" in capsys.readouterr().err
    assert db(store, "restore", str(backup)) == 2 and "--force" in capsys.readouterr().err
    log(store.folder, run="b")
    taken_in(store)
    assert db(store, "restore", str(backup), "--force") == 0
    assert losses(store) == [float(step) for step in range(N_ROWS)]
    shown = capsys.readouterr()
    assert PASSWORD not in shown.out + shown.err


def test_a_backup_taken_while_another_process_writes_is_whole(tracker_dir, tmp_path):
    journal = log(tracker_dir, n_rows=300, is_ended=False)
    taken_in(Store(tracker_dir, None))
    is_over = threading.Event()

    def work() -> None:
        folder, step = open_folder(tracker_dir, seal_bytes=1), 300
        while not is_over.is_set():
            for _ in range(50):
                journal.row(step, loss=float(step), text="t" * 3000)
                step += 1
            folder.refresh()
        folder.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        store_under_test = Store(tracker_dir, None)
        for index in range(8):
            target = tmp_path / f"backup{index}"
            assert db(store_under_test, "backup", str(target)) == 0
            with sqlite3.connect(target / "index.sqlite") as found:
                assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                (n_rows,) = found.execute("SELECT coalesce(sum(n_rows), 0) FROM row_chunk").fetchone()
                sealed = found.execute("SELECT next_sequence FROM journal").fetchall()
                # The first record is the session's.
                assert not sealed or n_rows <= sealed[0][0] - 1
            found.close()
    finally:
        is_over.set()
        thread.join(60)


def test_a_backup_that_was_broken_off_is_none(tracker_dir, tmp_path, capsys):
    log(tracker_dir)
    taken_in(Store(tracker_dir, None))
    backup = tmp_path / "backup"
    assert main(["db", "backup", "--dir", str(tracker_dir), str(backup)]) == 0
    (backup / "about.json").unlink()
    assert main(["db", "restore", "--dir", str(tmp_path / "new"), str(backup)]) == 2
    assert "no whole backup" in capsys.readouterr().err


def test_a_backup_of_files_is_no_backup_of_a_database(tracker_dir, tmp_path, database_url, capsys):
    log(tracker_dir)
    taken_in(Store(tracker_dir, None))
    backup = str(tmp_path / "backup")
    assert main(["db", "backup", "--dir", str(tracker_dir), backup]) == 0
    assert main(["db", "restore", "--database-url", database_url, backup]) == 2
    assert "without --database-url" in capsys.readouterr().err


def test_missing_programs_of_postgresql_are_named_with_their_package(database_url, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    for action in ("backup", "restore"):
        assert main(["db", action, "--database-url", database_url, str(tmp_path / "backup")]) == 2
        assert "postgresql-client" in capsys.readouterr().err


def test_an_error_of_pg_dump_is_shown_without_the_password(database_url, tmp_path, monkeypatch, capsys):
    program = tmp_path / "pg_dump"
    program.write_text(f"#!/bin/sh\necho it failed for {PASSWORD} >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert main(["db", "backup", "--database-url", database_url, str(tmp_path / "backup")]) == 2
    shown = capsys.readouterr().err
    assert "it failed for ***" in shown and PASSWORD not in shown


def test_a_rebuild_drops_the_index_and_makes_the_same_from_the_journals(store: Store, capsys):
    log(store.folder)
    log(store.folder, run="open", is_ended=False)
    taken_in(store)
    for _ in range(2):
        assert db(store, "rebuild") == 0
        assert "2 journals" in capsys.readouterr().out
        assert losses(store) == losses(store, "open") == [float(step) for step in range(N_ROWS)]
    assert db(store, "status", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n_journals"], found["n_closed"]) == (2, 1)


def test_a_rebuild_keeps_what_only_the_database_has(database_url, tmp_path, capsys):
    for name in ("one", "two"):
        log(tmp_path / name / ".tracker", run=name)
        taken_in(Store(tmp_path / name / ".tracker", database_url))
    shutil.rmtree(tmp_path / "one")
    rest = Store(tmp_path / "two" / ".tracker", database_url)
    assert db(rest, "rebuild") == 0
    assert "1 journals that only the database has were left" in capsys.readouterr().out
    assert losses(rest, "one") == losses(rest, "two") == [float(step) for step in range(N_ROWS)]


@pytest.mark.parametrize("arguments", [["rebuild"], ["restore", "--force"]])
def test_what_another_process_writes_is_not_replaced_below_it(tracker_dir, tmp_path, monkeypatch, capsys, arguments):
    from tracker_server.store import store_backup, store_rebuild

    for module in (store_backup, store_rebuild):
        monkeypatch.setattr(module, "_LOCK_TIMEOUT_S", 0.05)
    log(tracker_dir)
    taken_in(Store(tracker_dir, None))
    backup = [str(tmp_path / "backup")] if arguments[0] == "restore" else []
    assert main(["db", "backup", "--dir", str(tracker_dir), str(tmp_path / "backup")]) == 0
    with try_store_lock(str(tracker_dir / "store.lock")) as is_held:
        assert is_held
        assert main(["db", *arguments, "--dir", str(tracker_dir), *backup]) == 2
    assert "held by another process" in capsys.readouterr().err and (tracker_dir / "index.sqlite").exists()


def test_an_index_of_a_newer_version_is_refused_by_name_and_left_as_it_is(tracker_dir, capsys, caplog):
    log(tracker_dir)
    taken_in(Store(tracker_dir, None))
    with sqlite3.connect(tracker_dir / "index.sqlite") as database:
        database.execute("UPDATE index_info SET value = '9999' WHERE name = 'version'")
    database.close()
    before = (tracker_dir / "index.sqlite").read_bytes()
    assert main(["db", "status", "--dir", str(tracker_dir)]) == 2
    assert "newer version 9999" in capsys.readouterr().err
    assert losses(Store(tracker_dir, None)) == [float(step) for step in range(N_ROWS)]
    folder = open_folder(tracker_dir)
    folder.refresh()
    folder.close()
    assert "version 9999" in caplog.text and (tracker_dir / "index.sqlite").read_bytes() == before


def test_migrate_makes_the_tables_and_says_so(empty_database_url, capsys):
    for expected in ("made version", "as before"):
        assert main(["db", "migrate", "--database-url", empty_database_url]) == 0
        shown = capsys.readouterr().out
        assert expected in shown and PASSWORD not in shown
    assert main(["db", "migrate"]) == 2
    assert "files of a folder need no migration" in capsys.readouterr().err


def test_the_address_may_be_set_in_the_environment(database_url, tracker_dir):
    command = [sys.executable, "-m", "tracker_server.cli", "db", "status", "--dir", str(tracker_dir)]
    environ = {**os.environ, "TRACKER_DATABASE_URL": database_url}
    shown = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
    assert shown.startswith("postgresql://tracker:***@") and PASSWORD not in shown
