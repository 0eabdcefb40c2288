"""The routes of a run's output, files and details, on a real server."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tracker_core.records import Clock, State, Suspended
from tracker_server.http.http_models import ConsolePage, ConsoleSearch, RunDetail

from .conftest import T0_NS, Journal
from .test_http import API, RUNS, Events, wait_for_run

CONSOLE = f"{RUNS}/a/console"


@pytest.fixture(scope="module")
def filled(quiet_server, quiet_client):
    """A client of a server with a run of 1,000 lines, two files and a few samples."""
    journal = Journal(Path(quiet_server.folder.path))
    journal.environment(command=["python", "train.py"], gpus=[{"index": 0, "name": "H200"}], odd=float("nan"))
    for start in range(0, 1000, 100):
        journal.lines(*[f"\x1b[32mstep\x1b[0m {i}" for i in range(start, start + 100)], first=start)
    journal.lines("Traceback", first=1000, stream=2, n_left_out=3)
    journal.system(4, cpu_percent=50.0, **{"gpu0/power_w": 300.0})
    journal.row(4, loss=1.0)
    journal.file("src/train.py", b"print('hello')\n", kind="code")
    journal.file("we\"ird'\u00e4;.html", b"<script>alert(1)</script>\0")
    journal.put(Clock(wall_time_ns=T0_NS, jumped_ns=-2_000_000_000))
    journal.put(Suspended(wall_time_ns=T0_NS, cause="slow", began_ns=1, ended_ns=500_000_001, n_queued=1))
    journal.put(State(wall_time_ns=T0_NS, state="running", signal="SIGUSR1"))
    journal.end("killed", signal="SIGTERM", exit_code=143)
    quiet_server.folder.refresh()
    return quiet_client


def test_a_run_tells_environment_files_machine_state_and_health(filled):
    detail = msgspec.json.decode(filled.get(f"{RUNS}/a").content, type=RunDetail)
    assert detail.environment == {
        "command": ["python", "train.py"],
        "gpus": [{"index": 0, "name": "H200"}],
        "odd": "NaN",
    }
    assert [(file.path, file.kind, file.size_bytes) for file in detail.files] == [
        ("src/train.py", "code", 15),
        ("we\"ird'\u00e4;.html", "file", 26),
    ]
    assert [(metric.key, metric.last) for metric in detail.system_metrics] == [
        ("system/cpu_percent", 50.0),
        ("system/gpu0/power_w", 300.0),
    ]
    assert (detail.console.n_lines, detail.console.n_left_out, detail.console.writers) == (1001, 3, ["main"])
    assert (detail.state, detail.signal, detail.exit_code) == ("killed", "SIGTERM", 143)
    assert [signal.name for signal in detail.signals] == ["SIGUSR1"]
    health = detail.health
    assert (health.n_suspensions, health.suspended_s, health.n_clock_jumps) == (1, 0.5, 1)
    assert health.clock_jumps[0].jumped_s == -2.0 and health.n_console_left_out == 3 and health.n_unknown == 0
    assert [metric.key for metric in detail.metrics] == ["loss"] and detail.n_rows == 1


def test_a_window_of_output_and_its_end(filled):
    page = msgspec.json.decode(filled.get(CONSOLE, params={"first": 500, "limit": 3}).content, type=ConsolePage)
    assert (page.n_lines, page.first, page.n_left_out) == (1001, 500, 3)
    assert [(line.number, line.text, line.stream) for line in page.lines] == [
        (500 + i, f"\x1b[32mstep\x1b[0m {500 + i}", 1) for i in range(3)
    ]
    assert page.lines[0].time_s == pytest.approx(T0_NS / 1e9 + 0.006)
    assert len(filled.get(CONSOLE).json()["lines"]) == 500
    last = filled.get(CONSOLE, params={"last": 2}).json()
    assert last["first"] == 999 and last["lines"][1]["text"] == "Traceback" and last["lines"][1]["stream"] == 2


def test_output_is_searched_as_text(filled):
    found = filled.get(f"{CONSOLE}/search", params={"query": "STEP 77"})
    found = msgspec.json.decode(found.content, type=ConsoleSearch)
    assert found.is_complete and [match.number for match in found.matches] == [77, *range(770, 780)]
    part = filled.get(f"{CONSOLE}/search", params={"query": "step", "limit": 5}).json()
    assert (part["n_matches"], part["is_complete"], len(part["matches"])) == (1000, False, 5)
    for query in (".*", "(a+)+$", "\\", "[", "\x1b[32m"):
        assert filled.get(f"{CONSOLE}/search", params={"query": query}).json()["n_matches"] == 0


def test_the_whole_output_is_a_text_to_be_stored(filled):
    reply = filled.get(f"{RUNS}/a/console.txt")
    assert reply.text.splitlines() == [f"step {i}" for i in range(1000)] + ["Traceback"]
    assert reply.headers["content-disposition"].startswith("attachment;") and "a.log" in str(reply.headers)
    assert reply.headers["content-type"].startswith("text/plain")
    assert filled.get(f"{RUNS}/a/console.txt", params={"ansi": "true"}).text.startswith("\x1b[32mstep\x1b[0m 0\n")


def test_files_are_stored_and_never_run(filled):
    reply = filled.get(f"{RUNS}/a/files/src/train.py")
    assert reply.content == b"print('hello')\n" and reply.headers["content-length"] == "15"
    odd = filled.get(f"{RUNS}/a/files/we%22ird'%C3%A4;.html?inline=true")
    assert odd.status_code == 200 and odd.content.startswith(b"<script>")
    for answer in (reply, odd):
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
        assert answer.headers["content-security-policy"].startswith("sandbox")
        assert answer.headers["x-content-type-options"] == "nosniff"
    shown = filled.get(f"{RUNS}/a/files/src/train.py?inline=true")
    assert shown.headers["content-type"] == "text/plain; charset=utf-8"
    assert shown.headers["content-disposition"].startswith("inline;")
    assert shown.headers["content-security-policy"].startswith("sandbox")


@pytest.mark.parametrize("path", ["nothing", "..%2f..%2f..%2fetc/passwd", "%2e%2e/x", "src", "src/train.py/", "%00"])
def test_no_other_file_is_given_out(filled, path):
    reply = filled.get(f"{RUNS}/a/files/{path}")
    assert reply.status_code == 404 and set(reply.json()["error"]) == {"where", "got", "expected", "remedy"}


def test_a_file_whose_bytes_are_gone_is_named(filled, quiet_server):
    folder = Path(quiet_server.folder.path)
    digest = Journal(folder, run="gone").file("a.txt", b"a")
    (folder / "runs" / "p" / "gone" / "files" / digest).unlink()
    quiet_server.folder.refresh()
    reply = filled.get(f"{RUNS}/gone/files/a.txt")
    assert reply.status_code == 404 and "or was deleted" in reply.json()["error"]["got"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{RUNS}/missing/console", 404),
        (f"{RUNS}/missing/console.txt", 404),
        (f"{RUNS}/missing/console/search?query=x", 404),
        (f"{RUNS}/missing/files/x", 404),
        (f"{CONSOLE}?writer=nobody", 404),
        (f"{CONSOLE}?first=-1", 422),
        (f"{CONSOLE}?first=1e9", 422),
        (f"{CONSOLE}?first=99999999999999999999", 422),
        (f"{CONSOLE}?limit=0", 422),
        (f"{CONSOLE}?limit=10001", 422),
        (f"{CONSOLE}?last=0", 422),
        (f"{CONSOLE}/search", 422),
        (f"{CONSOLE}/search?query=", 422),
        (f"{CONSOLE}/search?query={'x' * 1001}", 422),
        (f"{CONSOLE}/search?query=a%0Ab", 422),
        (f"{CONSOLE}/search?query=x&limit=-1", 422),
        (f"{RUNS}/a/series?key=system/cpu_percent&writer=*", 422),
    ],
)
def test_what_cannot_be_answered_is_told_in_the_usual_form(filled, path, status):
    reply = filled.get(path)
    assert reply.status_code == status, reply.text
    assert set(reply.json()["error"]) == {"where", "got", "expected", "remedy"}


def test_series_and_charts_take_system_metrics(filled):
    points = filled.get(f"{RUNS}/a/series", params={"key": "system/gpu0/power_w"}).json()
    assert points["steps"] == [4] and points["values"] == [300.0]
    body = {"runs": ["a"], "metric": "system/cpu_percent", "x": "wall_time"}
    chart = filled.post(f"{API}/projects/p/chart", json=body, headers={"accept": "application/json"}).json()
    assert chart["runs"][0]["last"] == 50.0


def test_notices_name_what_is_new(client, tracker_dir, wait_until):
    journal = Journal(tracker_dir)
    wait_for_run(client, wait_until)
    events = Events(client)
    journal.lines("x", first=0)
    journal.system(cpu_percent=1.0)
    journal.environment(host="a")
    journal.file("a.txt", b"a")
    wait_until(lambda: all(any(kind in e["data"] for e in events.found) for kind in ("console", "system", "files")))
    assert any("environment" in event["data"] for event in events.found)
