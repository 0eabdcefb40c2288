"""The HTTP API and its gate, on a real server."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import quote, urlencode

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_server.charts.chart import ChartRequest
from tracker_server.http.http_models import MetricList, ProjectList, RunDetail, RunList
from tracker_server.http.local_auth import LocalAuth
from tracker_server.http.ui_server import UiServer, run_in_background
from tracker_server.query.folder import Change

from .chart_decoding import decode_chart
from .conftest import Journal

API = "/api/v1"
RUNS = f"{API}/projects/p/runs"
CHART = f"{API}/projects/p/chart"


def wait_for_run(client, wait_until, run="a"):
    return wait_until(lambda: client.get(f"{RUNS}/{run}").status_code == 200)


class Events:
    """The change feed as a browser reads it, in a thread of its own."""

    def __init__(self, client: httpx.Client, after: str | None = None) -> None:
        self.found: list[dict[str, str]] = []
        self.is_open = threading.Event()
        self.has_ended = threading.Event()
        self._news = threading.Condition()
        headers = {"last-event-id": after} if after else {}
        self._thread = threading.Thread(target=self._read, args=(client, headers), daemon=True)
        self._thread.start()
        assert self.is_open.wait(10)

    def _read(self, client, headers):
        # The test's end closes the client below an open stream.
        with contextlib.suppress(httpx.TransportError):
            self._read_stream(client, headers)
        self.has_ended.set()

    def _read_stream(self, client, headers):
        with client.stream("GET", f"{API}/events", headers=headers, timeout=60) as reply:
            assert reply.headers["content-type"].startswith("text/event-stream")
            event: dict[str, str] = {}
            for line in reply.iter_lines():
                self.is_open.set()
                if line:
                    name, _, value = line.partition(": ")
                    event[name] = value
                    continue
                if "event" in event:
                    with self._news:
                        self.found.append(event)
                        self._news.notify_all()
                event = {}

    def wait_for(self, condition, timeout_s=10.0):
        with self._news:
            assert self._news.wait_for(lambda: any(condition(event) for event in self.found), timeout_s), self.found
            return next(event for event in self.found if condition(event))


# -- the gate


def every_route(server: UiServer):
    for route in server.app.state.declared:
        yield (
            route.path.replace("{project}", "p")
            .replace("{run_id}", "a")
            .replace("{version}", "x")
            .replace("{name:path}", "app.js")
            .replace("{path:path}", "x"),
            route.action.value,
        )


def test_every_route_declares_who_may_call_it(quiet_server):
    declared = {(route.path, route.method) for route in quiet_server.app.state.declared}
    served = {(getattr(r, "path", ""), m) for r in quiet_server.app.routes for m in getattr(r, "methods", None) or "?"}
    assert served == declared


def test_without_a_cookie_only_public_routes_answer(quiet_server):
    public = set()
    with httpx.Client(base_url=quiet_server.base_url) as stranger:
        for path, access in every_route(quiet_server):
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"):
                status = stranger.request(method, path).status_code
                if access == "public":
                    public.add(path)
                    assert status in (200, 401, 405), (method, path)
                else:
                    assert status == 401, (method, path)
    assert public == {f"{API}/health", "/login"}


@pytest.mark.parametrize(
    "path", ["/nowhere", "/api/v1", "/docs", "/static/", "/%2e%2e/etc/passwd", "/login/x", "//login"]
)
def test_a_path_that_is_no_route_is_refused_without_a_cookie(quiet_server, path):
    with httpx.Client(base_url=quiet_server.base_url) as stranger:
        assert stranger.get(path).status_code == 401


def test_a_wrong_cookie_or_token_opens_nothing(quiet_server):
    for headers in (
        {"cookie": f"{quiet_server.auth.cookie_name}=x"},
        {"cookie": f"{quiet_server.auth.cookie_name}={quiet_server.auth.token}"},
        {"cookie": "a=b; ;;=\x01"},
        {"authorization": "Bearer x"},
        {"authorization": f"Basic {quiet_server.auth.token}"},
        {"authorization": "Bearer ü".encode("latin-1")},
    ):
        assert httpx.get(f"{quiet_server.base_url}{API}/projects", headers=headers).status_code == 401


def test_the_token_opens_everything_as_a_bearer(quiet_server):
    headers = {"authorization": f"Bearer {quiet_server.auth.token}"}
    assert httpx.get(f"{quiet_server.base_url}{API}/projects", headers=headers).status_code == 200


def test_a_login_link_works_once_and_its_cookie_is_closed_to_scripts_and_other_sites(quiet_server):
    url = quiet_server.login_url()
    first = httpx.get(url)
    assert first.status_code == 303 and first.headers["location"] == "/"
    cookie = first.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/"))
    assert quiet_server.auth.token not in first.text + cookie
    second = httpx.get(url)
    assert second.status_code == 401 and "set-cookie" not in second.headers
    assert httpx.get(f"{quiet_server.base_url}/login").status_code == 401


def test_a_used_link_still_leads_in_for_who_is_signed_in(quiet_client, quiet_server):
    assert quiet_client.get("/login?key=used").status_code == 303


def test_a_link_clicked_on_another_site_signs_in_by_a_page(quiet_server):
    reply = httpx.get(quiet_server.login_url(), headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"})
    assert reply.status_code == 200 and 'http-equiv="refresh"' in reply.text and "set-cookie" in reply.headers


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("localhost:1", True),
        ("127.0.0.1", True),
        ("[::1]:7007", True),
        ("LOCALHOST", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("evil.example:127.0.0.1", False),
        ("localhost@evil.example", False),
        ("::1", False),
        ("", False),
        ("localhost:x", False),
    ],
)
def test_only_our_own_names_are_served(host, is_allowed):
    assert LocalAuth("t" * 32).is_host_allowed(host) is is_allowed


def test_a_rebound_name_is_refused_on_every_route_with_the_setting_that_allows_it(quiet_client, quiet_server):
    for path, _ in every_route(quiet_server):
        reply = quiet_client.get(path, headers={"host": "evil.example"})
        assert reply.status_code == 403 and "TRACKER_ALLOWED_HOSTS" in reply.text


def test_the_setting_allows_further_names(tracker_dir, monkeypatch):
    monkeypatch.setenv("TRACKER_ALLOWED_HOSTS", "gpu-box, *.example.org")
    running = run_in_background(tracker_dir)
    try:
        status = {
            host: httpx.get(f"{running.base_url}{API}/health", headers={"host": host}).status_code
            for host in ("gpu-box:7007", "a.b.example.org", "example.org", "gpu-box.evil.example")
        }
    finally:
        running.close()
    assert status == {"gpu-box:7007": 200, "a.b.example.org": 200, "example.org": 403, "gpu-box.evil.example": 403}


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_another_site_is_refused_on_every_method_even_with_the_cookie(quiet_client, method, headers):
    assert quiet_client.request(method, f"{API}/projects", headers=headers).status_code == 403


def test_a_cross_site_form_post_that_navigates_is_refused(quiet_client):
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert quiet_client.post(CHART, headers=headers, content="{}").status_code == 403


def test_our_own_page_may_call(quiet_client, quiet_server):
    headers = {"sec-fetch-site": "same-origin", "origin": quiet_server.base_url}
    assert quiet_client.get(f"{API}/projects", headers=headers).status_code == 200


def test_every_answer_has_the_security_headers(quiet_client, quiet_server):
    replies = [
        quiet_client.get("/"),
        quiet_client.get(f"{API}/health"),
        quiet_client.get("/none"),
        httpx.get(quiet_server.base_url),
    ]
    for reply in replies:
        policy = reply.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in reply.headers and "server" not in reply.headers


def test_pages_are_html_for_people_and_json_for_programs_when_not_signed_in(quiet_server):
    page, api = httpx.get(f"{quiet_server.base_url}/p/x"), httpx.get(f"{quiet_server.base_url}{API}/projects")
    assert page.headers["content-type"].startswith("text/html") and "tracker ui" in page.text
    assert set(api.json()["error"]) == {"where", "got", "expected", "remedy"}


# -- answers


def test_projects_runs_and_metrics_have_the_documented_form(client, tracker_dir, wait_until):
    journal = Journal(tracker_dir, name="first", tags=["x"])
    journal.config(lr=0.1, opt={"name": "adam"})
    for step in range(3):
        journal.row(step, loss=1.0 / (step + 1), bad=math.nan)
    journal.end("failed", exit_code=2)
    wait_for_run(client, wait_until)
    project = msgspec.json.decode(client.get(f"{API}/projects").content, type=ProjectList).projects[0]
    assert (project.name, project.n_runs, project.states) == ("p", 1, {"failed": 1})
    row = msgspec.json.decode(client.get(RUNS).content, type=RunList).runs[0]
    assert (row.id, row.name, row.state, row.n_rows, row.tags) == ("a", "first", "failed", 3, ["x"])
    assert row.config == {"lr": 0.1, "opt.name": "adam"}
    assert row.summary == {"loss": 1.0 / 3, "bad": "NaN"}
    assert row.created_s == pytest.approx(1.7e9) and row.duration_s == pytest.approx(0.003)
    metrics = msgspec.json.decode(client.get(f"{API}/projects/p/metrics").content, type=MetricList).metrics
    assert [(metric.key, metric.n_runs, metric.n_points) for metric in metrics] == [("bad", 1, 3), ("loss", 1, 3)]
    detail = msgspec.json.decode(client.get(f"{RUNS}/a").content, type=RunDetail)
    assert detail.config_nested == {"lr": 0.1, "opt": {"name": "adam"}} and detail.exit_code == 2
    assert [metric.key for metric in detail.metrics] == ["bad", "loss"] and detail.metrics[0].min == "NaN"
    assert detail.sessions[0].session == journal.session.hex()
    assert detail.folder == str(tracker_dir / "runs" / "p" / "a")


def test_series_are_complete_as_json_and_csv(client, tracker_dir, wait_until):
    journal = Journal(tracker_dir)
    for step, value in enumerate([0.1, math.nan, -math.inf]):
        journal.row(step, **{"=cmd|x": value, "text": "=1+1"})
    wait_for_run(client, wait_until)
    wait_until(lambda: client.get(f"{RUNS}/a").json()["n_rows"] == 3)
    points = client.get(f"{RUNS}/a/series", params={"key": "=cmd|x"}).json()
    assert points["steps"] == [0, 1, 2] and points["values"] == [0.1, "NaN", "-Infinity"]
    reply = client.get(f"{RUNS}/a/series", params={"key": "=cmd|x", "format": "csv"})
    rows = list(csv.reader(io.StringIO(reply.text)))
    assert rows[0] == ["step", "wall_time_s", "'=cmd|x"] and rows[1] == ["0", "1700000000.001000000", "0.1"]
    reply = client.get(f"{RUNS}/a/series", params={"key": "text", "format": "csv"})
    assert list(csv.reader(io.StringIO(reply.text)))[1][2] == "'=1+1"


def test_a_chart_is_binary_unless_json_is_asked_for(client, tracker_dir, wait_until):
    journal = Journal(tracker_dir)
    for step in range(10):
        journal.row(step, loss=float(step))
    wait_for_run(client, wait_until)
    body = msgspec.to_builtins(ChartRequest(["a"], "loss"))
    wait_until(lambda: decode_chart(client.post(CHART, json=body).content)["n_x"] == 10)
    reply = client.post(CHART, json=body)
    assert reply.headers["content-type"] == "application/octet-stream"
    assert decode_chart(reply.content)["runs"][0]["cells"]["last"].tolist() == list(range(10))
    plain = client.post(CHART, json=body, headers={"accept": "application/json"}).json()
    assert plain["exact"] is True and plain["arrays"][0]["values"] == list(range(10))


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 422),
        (b"[]", 422),
        (b'{"runs": "a", "metric": "loss"}', 422),
        (b'{"runs": ["a"], "metric": "loss", "n_buckets": 1e999}', 422),
        (b'{"runs": ["a"], "metric": "loss", "x_min": NaN}', 400),
        (b'{"runs": ["a"], "metric": "loss", "n_buckets": -1}', 422),
        (b'{"runs": ["a"], "metric": "loss", "n_buckets": 99999999999999999999}', 422),
        (b'{"runs": ["a"], "metric": "loss", "x": "; DROP TABLE"}', 422),
        (b'{"runs": ["a"], "metric": "loss", "unknown": 1}', 422),
        (b'{"runs": ["a"], "metric": "loss", "smoothing": {"kind": "ema", "weight": 7}}', 422),
        (b'{"runs": [' + b'"a",' * 300_000 + b'"a"], "metric": "loss"}', 413),
    ],
)
def test_a_malformed_chart_request_is_told_what_is_wrong(quiet_client, content, status):
    reply = quiet_client.post(CHART, content=content)
    assert reply.status_code == status, reply.text
    assert set(reply.json()["error"]) == {"where", "got", "expected", "remedy"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{RUNS}/missing", 404),
        (f"{RUNS}/missing/series?key=x", 404),
        (f"{RUNS}/missing/series", 422),
        (f"{RUNS}/missing/series?key=x&format=xml", 422),
        (f"{API}/projects/..%2f..%2fetc/runs", 404),
        (f"{API}/nothing", 404),
        (f"{API}/events?after=x", 422),
        (f"{API}/events?after=-1", 422),
        ("/static/x/..%2f..%2fhttp_app.py", 404),
        ("/static/x/%2fetc%2fpasswd", 404),
        ("/static/x/../../local_auth.py", 404),
    ],
)
def test_what_does_not_exist_is_told_in_the_same_form(quiet_client, path, status):
    reply = quiet_client.get(path)
    assert reply.status_code == status
    assert set(reply.json()["error"]) == {"where", "got", "expected", "remedy"}


def test_names_with_every_kind_of_character_can_be_asked_for(client, tracker_dir, wait_until):
    project = "räume & <b>?#%"
    Journal(tracker_dir, project=project).row(0, **{"a/b?c&d#<i>": 1.0})
    path = f"{API}/projects/{httpx.URL('http://x', params={'p': project}).query.decode()[2:].replace('+', '%20')}/runs"
    wait_until(lambda: client.get(path).json()["runs"])
    assert client.get(f"{path}/a/series", params={"key": "a/b?c&d#<i>"}).json()["values"] == [1.0]


def test_the_description_resolves_every_reference(quiet_client):
    schema = quiet_client.get(f"{API}/openapi.json").json()
    names = set(schema["components"]["schemas"])
    references = {part.split('"')[0] for part in json.dumps(schema).split("#/components/schemas/")[1:]}
    assert references <= names and {"RunRow", "ChartRequest", "ErrorBody"} <= names
    assert f"{API}/projects/{{project}}/chart" in schema["paths"]


def test_the_page_refers_to_files_that_may_be_kept_for_ever(quiet_client, quiet_server):
    page = quiet_client.get("/p/any/r/run")
    assert page.headers["cache-control"] == "no-cache" and page.headers["content-type"].startswith("text/html")
    version = quiet_server.dashboard.version
    kept = quiet_client.get(f"/static/{version}/vendor/preact.js")
    assert "immutable" in kept.headers["cache-control"] and kept.headers["content-type"].startswith("text/javascript")
    assert quiet_client.get("/static/other/vendor/preact.js").headers["cache-control"] == "no-store"


# -- the change feed


def test_a_point_is_on_the_chart_within_two_seconds_of_being_logged(client, tracker_dir):
    journal = Journal(tracker_dir)
    events = Events(client)
    body = msgspec.to_builtins(ChartRequest(["a"], "loss"))
    took = []
    for step in range(3):
        began = time.monotonic()
        n_before = len(events.found)
        journal.row(step, loss=float(step))
        events.wait_for(lambda event, n=n_before: "points" in event["data"] and event in events.found[n:])
        chart = decode_chart(client.post(CHART, json=body).content)
        took.append(time.monotonic() - began)
        assert chart["runs"][0]["last"] == step
    assert max(took) < 2.0


def test_notices_say_which_run_changed_and_how(client, tracker_dir):
    events = Events(client)

    def wait_for_kinds(*kinds):
        events.wait_for(lambda _: set(kinds) <= {k for e in events.found for c in changes(e) for k in c["kinds"]})

    def changes(event):
        return json.loads(event["data"])["changes"]

    journal = Journal(tracker_dir, run="r1")
    journal.config(lr=1)
    wait_for_kinds("new", "config")
    assert {(c["project"], c["run"]) for event in events.found for c in changes(event)} == {("p", "r1")}
    journal.row(0, loss=1.0)
    journal.summary(best=1)
    wait_for_kinds("points", "summary")
    events.found.clear()
    journal.end()
    wait_for_kinds("state")


def test_a_listener_that_comes_back_gets_what_it_missed_and_nothing_twice(client, server):
    first = Events(client)
    server.feed.publish([Change("p", "r1", ("points",))])
    seen = first.wait_for(lambda event: "r1" in event["data"])["id"]
    server.feed.publish([Change("p", "r2", ("points",))])
    server.feed.publish([Change("p", "r2", ("state",))])
    again = Events(client, after=seen)
    event = again.wait_for(lambda event: event["event"] == "change")
    assert json.loads(event["data"])["changes"] == [{"project": "p", "run": "r2", "kinds": ["points", "state"]}]


@pytest.mark.parametrize("after", ["1", "999999999999999999"])
def test_a_listener_from_another_time_is_told_to_begin_anew(client, after):
    Events(client, after=after).wait_for(lambda event: event["event"] == "reset")


def test_listeners_that_go_away_leave_nothing_behind(client, server, wait_until):
    with client.stream("GET", f"{API}/events") as reply:
        lines = reply.iter_lines()
        next(lines)
        assert len(server.feed._listeners) == 1
    wait_until(lambda: not server.feed._listeners)


# -- starting and stopping


def test_stopping_takes_less_than_a_second_with_open_streams(tracker_dir):
    running = run_in_background(tracker_dir)
    with httpx.Client(base_url=running.base_url) as browser:
        browser.get(running.login_url())
        events = [Events(browser) for _ in range(3)]
        began = time.monotonic()
        running.close()
        assert time.monotonic() - began < 1.0
        assert all(stream.has_ended.wait(5) for stream in events)
    with pytest.raises(httpx.ConnectError):
        httpx.get(running.base_url)


def test_a_taken_port_moves_on_to_the_next_free_one(tracker_dir, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        running = run_in_background(tracker_dir, port)
        try:
            assert port < running.port <= port + 20
            assert httpx.get(f"{running.base_url}{API}/health").json()["status"] == "ok"
        finally:
            running.close()


def test_an_open_page_survives_a_restart(tracker_dir):
    first = run_in_background(tracker_dir)
    with httpx.Client() as browser:
        browser.get(first.login_url())
        first.close()
        second = run_in_background(tracker_dir)
        try:
            assert browser.get(f"{second.base_url}{API}/projects").status_code == 200
        finally:
            second.close()


def test_the_secrets_are_in_a_file_for_the_owner_only(server, tracker_dir):
    file = tracker_dir / "ui.json"
    assert file.stat().st_mode & 0o777 == 0o600
    content = json.loads(file.read_text())
    assert content["token"] == server.auth.token and content["port"] == server.port
    assert (tracker_dir / ".gitignore").read_text() == "*\n"


def test_a_token_that_others_could_read_is_not_used_again(tracker_dir):
    first = run_in_background(tracker_dir)
    first.close()
    (tracker_dir / "ui.json").chmod(0o644)
    second = run_in_background(tracker_dir)
    second.close()
    assert second.auth.token != first.auth.token


def test_a_training_process_and_the_server_meet_over_the_folder_alone(client, tracker_dir, wait_until):
    import tracker_core

    run = tracker_core.init(project="p", id="real", dir=str(tracker_dir), config={"lr": 0.1})
    for step in range(100):
        run.log({"loss": 1.0 / (step + 1)})
    wait_until(lambda: (client.get(f"{RUNS}/real").json().get("n_rows")) == 100)
    assert client.get(f"{RUNS}/real").json()["state"] == "running"
    run.finish()
    wait_until(lambda: client.get(f"{RUNS}/real").json()["state"] == "finished")
    assert client.get(f"{RUNS}/real/series", params={"key": "loss"}).json()["values"][-1] == 0.01


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_soon_after_being_told_to(tracker_dir, number):
    command = [
        sys.executable,
        "-m",
        "tracker_server.cli",
        "ui",
        "--no-browser",
        "--port",
        "0",
        "--dir",
        str(tracker_dir),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        url = next(part for line in process.stdout for part in line.split() if part.startswith("http://"))
        with httpx.Client(base_url=url.partition("/login")[0]) as browser:
            assert browser.get(url).status_code == 303
            events = Events(browser)
            began = time.monotonic()
            process.send_signal(number)
            _, errors = process.communicate(timeout=10)
            took = time.monotonic() - began
            assert events.has_ended.wait(5)
    finally:
        process.kill()
    assert errors == "" and took < 5
    assert process.returncode in (0, -number, 128 + number)


PIECES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["..", "%2e%2e%2f", "%00", "%ff", "p", "a", "'", '"', "\\", "CON", "-1", "1e999", "NaN", "9" * 400]
    ),
)
CHART_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)
STARTS = (
    *("/", "/p/", "/static/", f"{API}/", f"{API}/projects/", f"{RUNS}/", f"{API}/events?after=", f"{RUNS}/a/files/"),
    *(
        f"{RUNS}/a/console?first=",
        f"{RUNS}/a/console?last=",
        f"{RUNS}/a/console/search?query=",
        f"{RUNS}/a/console.txt",
    ),
)
CHART_FIELDS = ("runs", "metric", "x", "x_min", "x_max", "n_buckets", "smoothing", "writer")


@pytest.mark.long
@settings(max_examples=1500, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    start=st.sampled_from(STARTS),
    pieces=st.lists(PIECES, max_size=4),
    query=st.dictionaries(
        st.sampled_from(["key", "format", "x", "first", "limit", "writer", "query", "ansi", "inline"]),
        PIECES,
        max_size=3,
    ),
)
def test_no_address_is_answered_with_a_fault_of_the_server(filled_client, method, start, pieces, query):
    path = start + "/".join(quote(piece, safe="%") for piece in pieces)
    separator = "&" if "?" in path else "?"
    url = f"{path}{separator}{urlencode(query, errors='replace')}"
    with filled_client.stream(method, f"{str(filled_client.base_url).rstrip('/')}{url}") as reply:
        assert reply.status_code < 500, (method, url)


@pytest.mark.long
@settings(max_examples=1500, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(CHART_FIELDS), CHART_VALUES, min_size=1, max_size=3))
def test_no_chart_request_is_answered_with_a_fault_of_the_server(filled_client, changes):
    body = {"runs": ["a"], "metric": "loss", **changes}
    reply = filled_client.post(CHART, content=json.dumps(body).encode())
    assert reply.status_code in (200, 400, 422), (body, reply.text)
    if reply.status_code == 200:
        decode_chart(reply.content)
