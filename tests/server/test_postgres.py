"""PostgreSQL: migrations, versions, several servers on one database, and passwords that are never shown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from tests.postgres import PASSWORD
from tracker_core.errors import UsageError
from tracker_server.doctor.doctor_database import check_database
from tracker_server.http.ui_server import run_in_background
from tracker_server.query.open_folder import open_folder
from tracker_server.store.store_connection import DatabaseAwayError
from tracker_server.store.store_migrate import migrate, newest_version, open_database, tables, version_of
from tracker_server.store.store_postgres import PostgresIndex, parse_url, shown_url
from tracker_server.store.store_read import IndexReader

from .conftest import Journal


def losses(folder, run="a"):
    return folder.series("p", run, "loss").values.tolist()


@pytest.fixture
def database(database_url):
    found = open_database(database_url)
    yield found
    found.close()


def set_version(database, version):
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})


def test_the_migrations_make_exactly_the_tables_of_the_code(database):
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables()) == []


def test_an_empty_database_gets_its_tables_when_it_is_opened(empty_database_url):
    database = open_database(empty_database_url)
    with database.engine.connect() as connection:
        assert version_of(connection) == newest_version()
    assert IndexReader(database).build()
    assert migrate(database) == newest_version()
    database.close()


@pytest.mark.parametrize(("version", "remedy"), [("9999", "update the tracker"), ("0000", "update the tracker")])
def test_a_database_of_a_version_not_known_is_refused_by_name(database, database_url, version, remedy):
    set_version(database, version)
    for use in (lambda: open_database(database_url), lambda: migrate(database)):
        with pytest.raises(UsageError, match=f"newer version {version}.*{remedy}"):
            use()
    with database.engine.connect() as connection:
        assert version_of(connection) == version


KILLED = """
import os, signal, sys
from tracker_server.store.store_migrate import migrate
from tracker_server.store.store_postgres import PostgresIndex
migrate(PostgresIndex(sys.argv[1]), lambda version: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_a_kill_in_the_middle_of_a_migration_leaves_what_was_there(empty_database_url):
    child = subprocess.run([sys.executable, "-c", KILLED, empty_database_url])
    assert child.returncode == -signal.SIGKILL
    database = PostgresIndex(empty_database_url)
    with database.engine.connect() as connection:
        assert version_of(connection) is None
        assert connection.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")).scalar() == 0
    assert migrate(database) == ""
    database.close()


def test_processes_that_open_an_empty_database_at_once_make_its_tables_once(empty_database_url):
    code = "import sys; from tracker_server.store.store_migrate import open_database as o; o(sys.argv[1]).close()"
    children = [subprocess.Popen([sys.executable, "-c", code, empty_database_url]) for _ in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:hidden-word@host/name",
        "postgresql://me:hidden-word@host",
        "postgresql+asyncpg://me:hidden-word@host/name",
        "me:hidden-word",
        "postgresql://me:hidden-word@host:port/name",
    ],
)
def test_what_is_no_address_of_postgresql_is_refused_without_its_password(url):
    with pytest.raises(UsageError, match="expected postgresql://") as error:
        parse_url(url)
    assert "hidden-word" not in str(error.value)


def test_an_address_is_shown_without_its_passwords():
    url = parse_url("postgres://me:hidden-word@host:5433/name?sslpassword=hidden-word&sslmode=require")
    assert shown_url(url) == "postgresql://me:***@host:5433/name?sslmode=require&sslpassword=hidden"


@pytest.mark.parametrize("fault", ["password", "port", "name"])
def test_a_database_that_cannot_be_reached_is_named_without_its_password(database_url, fault, tracker_dir):
    rest = database_url.rpartition(":")[2]
    changes = {"password": (PASSWORD, f"wrong-{PASSWORD}"), "port": (f":{rest}", ":1/name"), "name": ("/test", "/no")}
    url = database_url.replace(*changes[fault])
    for use in (lambda: open_database(url), lambda: open_folder(tracker_dir, url)):
        with pytest.raises(DatabaseAwayError, match="does not answer") as error:
            use()
        assert PASSWORD not in str(error.value)


def test_a_missing_driver_is_said_with_its_remedy(database_url):
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from tracker_core.errors import UsageError\n"
        "from tracker_server.store.store_migrate import open_database\n"
        "try: open_database(sys.argv[1])\n"
        "except UsageError as error: print(error)"
    )
    shown = subprocess.run([sys.executable, "-c", code, database_url], capture_output=True, text=True, check=True)
    assert "pip install 'tracker-ml[team]'" in shown.stdout and PASSWORD not in shown.stdout


def test_two_dashboards_on_one_database_show_the_runs_of_both_folders(database_url, tmp_path, wait_until):
    folders = [tmp_path / name / ".tracker" for name in ("one", "two")]
    for index, folder in enumerate(folders):
        journal = Journal(folder, run=f"run{index}")
        journal.row(0, loss=float(index))
    servers = [run_in_background(folder, database_url=database_url) for folder in folders]
    try:
        for server in servers:
            with httpx.Client(base_url=server.base_url, timeout=10.0) as client:
                assert client.get(server.login_url()).status_code == 303
                runs = wait_until(lambda client=client: _runs_of(client, 2))
                assert {run["id"] for run in runs} == {"run0", "run1"}
    finally:
        for server in servers:
            server.close()


def _runs_of(client, n_runs):
    answer = client.get("/api/v1/projects/p/runs")
    runs = answer.json().get("runs", []) if answer.status_code == 200 else []
    return runs if len(runs) == n_runs else None


def test_what_another_folder_brought_stays_when_that_folder_is_gone(database_url, tmp_path):
    journal = Journal(tmp_path / "gone" / ".tracker")
    journal.row(0, loss=1.0)
    journal.end()
    first = open_folder(tmp_path / "gone" / ".tracker", database_url)
    first.refresh()
    first.close()
    os.rename(tmp_path / "gone", tmp_path / "moved")
    other = open_folder(tmp_path / "other" / ".tracker", database_url)
    other.refresh()
    assert losses(other) == [1.0]
    other.close()


def test_a_journal_of_other_bytes_than_were_sent_shows_so_and_stops_no_other(database_url, tracker_dir):
    bad, good = Journal(tracker_dir, run="bad"), Journal(tracker_dir, run="good")
    bad.row(0, loss=1.0)
    folder = open_folder(tracker_dir, database_url)
    folder.refresh()
    content = bytearray(Path(bad.path).read_bytes())
    content[-1] ^= 1
    with open(bad.path, "wb") as file:
        file.write(bytes(content) + b"more")
    good.row(0, loss=2.0)
    again = open_folder(tracker_dir, database_url)
    again._scan._forwarder._learn([bad.name])
    again._scan._forwarder._sent[bad.name].size_bytes = 0
    again.refresh()
    again.refresh()
    assert "differ" in again.run("p", "bad").damage[0].reason
    assert losses(again, "bad") == [1.0] and losses(again, "good") == [2.0]
    folder.close()
    again.close()


def test_a_database_that_restarts_is_used_again(database_url, tracker_dir, postgres):
    journal = Journal(tracker_dir)
    journal.row(0, loss=1.0)
    folder = open_folder(tracker_dir, database_url)
    folder.refresh()
    name = database_url.rpartition("/")[2]
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    journal.row(1, loss=2.0)
    folder.refresh()
    assert losses(folder) == [1.0, 2.0]
    folder.close()


def test_a_database_that_is_gone_is_an_error_and_costs_nothing_when_it_is_back(database_url, tracker_dir, postgres):
    journal = Journal(tracker_dir)
    folder = open_folder(tracker_dir, database_url)
    folder.refresh()
    name = database_url.rpartition("/")[2]
    folder.database.close()
    postgres.execute(f"ALTER DATABASE {name} RENAME TO {name}_away")
    journal.row(0, loss=1.0)
    with pytest.raises(DatabaseAwayError):
        folder.refresh()
    postgres.execute(f"ALTER DATABASE {name}_away RENAME TO {name}")
    folder.refresh()
    assert losses(folder) == [1.0]
    folder.close()


def test_texts_sort_by_code_point_whatever_the_order_of_the_database(database):
    names = ["a", "B", "ä", "Z", "_", "A", "z", "é", "日"]
    with database.engine.begin() as connection:
        for name in names:
            connection.execute(text("INSERT INTO metric (key) VALUES (:name)"), {"name": name})
        found = connection.execute(text("SELECT key FROM metric ORDER BY key")).scalars().all()
    assert found == sorted(names)


def test_the_doctor_says_how_a_database_is(database, database_url, tracker_dir):
    assert [finding.level for finding in check_database(None)] == []
    (finding,) = check_database(database_url)
    assert finding.level == "ok" and newest_version() in finding.text and PASSWORD not in finding.text
    set_version(database, "9999")
    (finding,) = check_database(database_url)
    assert finding.level == "fault" and "9999" in finding.text and PASSWORD not in finding.text
    (finding,) = check_database("mysql://me:hidden-word@host/name")
    assert finding.level == "fault" and "hidden-word" not in finding.text
    wrong = database_url.replace(PASSWORD, "wrong")
    (finding,) = check_database(wrong)
    assert finding.level == "fault" and "does not answer" in finding.text


def test_the_doctor_names_poisoned_journals_and_claims(database_url, tracker_dir):
    journal = Journal(tracker_dir)
    journal.row(0, loss=1.0)
    journal.end()
    folder = open_folder(tracker_dir, database_url)
    folder.refresh()
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO poisoned_journal (path, reason, since_ns) VALUES ('p/x', 'it is odd', 1)")
    levels = {finding.level: finding.text for finding in check_database(database_url)}
    assert "it is odd" in levels["warning"]
    folder.close()
