"""Runs are asked to stop: a decision that reaches their processes by their own folder, or by who sends them here."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tracker_core.control import StopOrder, read_order
from tracker_core.errors import NotFoundError, UsageError
from tracker_core.process import boot_id, process_start
from tracker_core.sync.wire import JournalName, Order
from tracker_server.catalog.decisions import By, CatalogError
from tracker_server.catalog.stop_orders import orders_for, standing_order, stop_runs, withdraw_stops
from tracker_server.commands import cli_stop
from tracker_server.query.folder import LocalFolder
from tracker_server.store.store_catalog_file import CatalogFile

from .conftest import T0_NS, Journal
from .test_http import API, RUNS, Events, wait_for_run

A, B = ("p", "a"), ("p", "b")
BY = By("ann", T0_NS, "loss is NaN")


def alive() -> dict[str, object]:
    """Return what says that a session is of this process, which lives."""
    return {"host": "h", "pid": os.getpid(), "boot_id": boot_id(), "process_start": process_start(os.getpid())}


def running(folder: Path, run: str = "a", writer: str = "main", **session: object) -> Journal:
    journal = Journal(folder, run=run, writer=writer, **{**alive(), **session})
    journal.row(0, x=1.0)
    return journal


@pytest.fixture
def folder(tracker_dir: Path) -> Iterator[LocalFolder]:
    found = LocalFolder(tracker_dir)
    yield found
    found.close()


def decided(folder: LocalFolder) -> list[tuple[str, str, str, str]]:
    def read(connection):
        query = "SELECT action, run_id, who, reason FROM decision ORDER BY decision_id"
        return [tuple(row) for row in connection.exec_driver_sql(query)]

    return CatalogFile(folder.path).read(read) or []


def named(journal: Journal, run: str = "a", writer: str = "main", project: str = "p") -> JournalName:
    return JournalName(project, run, writer, journal.session.hex())


def test_the_order_is_in_the_runs_folder_and_in_the_log_of_decisions(folder, tracker_dir):
    main, rank = running(tracker_dir), running(tracker_dir, writer="rank1")
    folder.refresh()
    assert stop_runs(folder, [A], BY) == [A]
    order = read_order(str(tracker_dir / "runs" / "p" / "a"))
    assert order == StopOrder(sorted([main.session.hex(), rank.session.hex()]), "ann", "loss is NaN", T0_NS)
    assert decided(folder) == [("stop", "a", "ann", "loss is NaN")]
    assert standing_order(folder, folder.run(*A)) == order


def test_who_sends_the_run_gets_the_order_until_its_sessions_end(folder, tracker_dir):
    main, other = running(tracker_dir), running(tracker_dir, "b")
    folder.refresh()
    assert orders_for(folder, [named(main), named(other, "b")]) == []
    stop_runs(folder, [A], BY)
    expected = Order("p", "a", [main.session.hex()], "stop", "ann", "loss is NaN", T0_NS)
    assert orders_for(folder, [named(main), named(other, "b")]) == [expected]
    assert orders_for(folder, [named(main, writer="rank1"), named(main)]) == [expected]
    assert orders_for(folder, [named(other, "b")]) == orders_for(folder, []) == []
    resumed = running(tracker_dir, counter=2)
    assert orders_for(folder, [named(resumed)]) == []


def test_another_process_that_serves_the_same_runs_hands_it_out_too(folder, tracker_dir):
    main = running(tracker_dir)
    folder.refresh()
    other = LocalFolder(tracker_dir, is_writer=False)
    assert orders_for(other, [named(main)]) == []
    stop_runs(folder, [A], BY)
    assert [order.run for order in orders_for(other, [named(main)])] == ["a"]
    changes = [change for change in other.refresh() if change.run == "a"]
    assert changes and "stop" in changes[0].kinds
    other.close()


def test_a_second_order_changes_nothing_unless_others_have_joined(folder, tracker_dir):
    running(tracker_dir)
    folder.refresh()
    assert stop_runs(folder, [A, A], BY) == [A]
    assert stop_runs(folder, [A], By("bob", T0_NS + 1)) == []
    rank = running(tracker_dir, writer="rank1")
    folder.refresh()
    assert stop_runs(folder, [A], By("bob", T0_NS + 2)) == [A]
    order = read_order(str(tracker_dir / "runs" / "p" / "a"))
    assert order is not None and rank.session.hex() in order.sessions and order.by == "bob"


def test_what_is_withdrawn_is_told_as_that(folder, tracker_dir):
    main = running(tracker_dir)
    folder.refresh()
    stop_runs(folder, [A], BY)
    assert withdraw_stops(folder, [A], By("bob", T0_NS + 5, "all is well")) == [A]
    assert read_order(str(tracker_dir / "runs" / "p" / "a")) is None
    assert standing_order(folder, folder.run(*A)) is None
    (order,) = orders_for(folder, [named(main)])
    assert (order.action, order.at_ns) == ("withdraw", T0_NS)
    assert decided(folder)[-1] == ("withdraw stop", "a", "bob", "all is well")
    with pytest.raises(NotFoundError, match="nobody asked run p/a to stop"):
        withdraw_stops(folder, [A], BY)
    assert stop_runs(folder, [A], By("ann", T0_NS + 9)) == [A]
    (order,) = orders_for(folder, [named(main)])
    assert (order.action, order.at_ns) == ("stop", T0_NS + 9)


def test_a_run_that_is_not_running_cannot_be_stopped_and_of_several_none_is(folder, tracker_dir):
    running(tracker_dir)
    running(tracker_dir, "b").end()
    folder.refresh()
    with pytest.raises(UsageError, match="p/b, which is not running any more: it is finished"):
        stop_runs(folder, [A, B], BY)
    assert decided(folder) == [] and standing_order(folder, folder.run(*A)) is None
    with pytest.raises(NotFoundError):
        stop_runs(folder, [A, ("p", "none")], BY)
    with pytest.raises(UsageError, match="withdraw"):
        withdraw_stops(folder, [B], BY)


def test_orders_that_were_carried_out_are_forgotten_with_the_next(folder, tracker_dir):
    journal = running(tracker_dir)
    running(tracker_dir, "b")
    folder.refresh()
    stop_runs(folder, [A], BY)
    journal.end("killed", stopped_by="ann: loss is NaN")
    folder.refresh()
    assert standing_order(folder, folder.run(*A)) is None
    stop_runs(folder, [B], BY)
    assert list(folder.catalog.decisions.stops) == [B]


def test_a_folder_that_cannot_be_written_is_told(folder, tracker_dir):
    running(tracker_dir)
    folder.refresh()
    (tracker_dir / "runs" / "p" / "a" / "control").write_text("in the way")
    with pytest.raises(CatalogError, match="cannot be written"):
        stop_runs(folder, [A], BY)


def test_a_catalog_from_before_there_were_orders_is_read_and_written(folder, tracker_dir):
    running(tracker_dir)
    folder.refresh()
    folder.catalog.archive([B], BY)

    def make_older(connection):
        connection.exec_driver_sql("DROP TABLE stop_order")
        connection.exec_driver_sql("UPDATE catalog_info SET value = '1' WHERE name = 'version'")

    CatalogFile(folder.path).write(make_older)
    assert LocalFolder(tracker_dir, is_writer=False).catalog.decisions.archived.keys() == {B}
    assert stop_runs(folder, [A], BY) == [A]
    assert folder.catalog.decisions.stops.keys() == {A}


# Over HTTP


def test_a_page_asks_a_run_to_stop_and_takes_it_back(client: httpx.Client, tracker_dir, wait_until):
    journal = running(tracker_dir)
    wait_for_run(client, wait_until, "a")
    events = Events(client)
    reply = client.post(f"{RUNS}/stop", json={"runs": ["a"], "why": "loss is NaN"})
    assert reply.json() == {"changed": 1}
    events.wait_for(lambda event: '"stop"' in event["data"])
    stop = client.get(f"{RUNS}/a").json()["stop"]
    assert stop["why"] == "loss is NaN" and stop["by"] and abs(stop["at_s"] - time.time()) < 600
    assert client.post(f"{RUNS}/stop", json={"runs": ["a"], "withdraw": True}).json() == {"changed": 1}
    assert client.get(f"{RUNS}/a").json()["stop"] is None
    journal.end("killed", stopped_by="ann: loss is NaN")
    run = wait_until(lambda: (found := client.get(f"{RUNS}/a").json())["state"] == "killed" and found)
    assert (run["stopped_by"], run["stop"]) == ("ann: loss is NaN", None)
    refused = client.post(f"{RUNS}/stop", json={"runs": ["a"]})
    assert refused.status_code == 422 and "not running any more" in refused.text
    assert client.post(f"{API}/projects/none/runs/stop", json={"runs": ["a"]}).status_code == 404
    assert client.post(f"{RUNS}/stop", json={"runs": "a"}).status_code in (400, 422)


# The command line

LOOP = """
import sys, tracker_core
run = tracker_core.init("p", dir=sys.argv[1], id="it")
print("ready", flush=True)
while True: run.log({"x": 1.0})
"""


def tracker(*words: object) -> subprocess.CompletedProcess[str]:
    script = "import sys; from tracker_server.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", script, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_tracker_stop_waits_until_the_training_has_ended(tracker_dir):
    process = subprocess.Popen(
        [sys.executable, "-c", LOOP, str(tracker_dir)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    done = tracker("stop", "it", "--why", "loss is NaN", "--wait", 60, "--dir", tracker_dir)
    process.communicate(timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Run p/it is asked to stop." in done.stdout and ": loss is NaN." in done.stdout
    shown = tracker("show", "it", "--dir", tracker_dir).stdout
    assert "killed" in shown and "stopped by" in shown and "loss is NaN" in shown
    again = tracker("stop", "it", "--dir", tracker_dir)
    assert again.returncode == 2 and "which is not running any more: it is killed" in again.stderr


def test_tracker_stop_that_is_not_heard_within_the_time_says_so(tracker_dir, capsys):
    running(tracker_dir)
    arguments = cli_arguments("p/a", "--wait", "0.3", "--dir", str(tracker_dir))
    assert cli_stop.stop(arguments) == 1
    assert "still running after 0.3 s" in capsys.readouterr().err
    assert cli_stop.stop(cli_arguments("p/a", "--withdraw", "--dir", str(tracker_dir))) == 0
    assert "Withdrawn" in capsys.readouterr().out
    with pytest.raises(UsageError, match="--wait"):
        cli_stop.stop(cli_arguments("p/a", "--wait", "nan", "--dir", str(tracker_dir)))


def cli_arguments(*words: str):
    import argparse

    parser = argparse.ArgumentParser()
    cli_stop.add_arguments(parser)
    return parser.parse_args(words)
