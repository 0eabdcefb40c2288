"""Every route x method x principal on a real server: exactly what is allowed is answered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import compile_path

from tracker_server.catalog.decisions import By
from tracker_server.http.access import Action, Route
from tracker_server.http.api_keys import new_key
from tracker_server.http.server import TrackerServer, run_server_in_background
from tracker_server.http.ui_server import UiServer

from .conftest import Journal

API = "/api/v1"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
# What each kind of key may do, written out once more: the code's own rule is not asked here.
MAY = {
    "read": {"read"},
    "write": {"read", "write", "change"},
    "admin": {"read", "write", "change", "admin"},
}
# Calls of artifacts that only show something.
READING_CALLS = (
    "projects types collections collection versions version resolve manifest read usage of_run users lineage "
    "models model linked resolve_linked audit"
).split()
# Routes that only show something although they are no GET, or end the caller's own session.
READING_POSTS = {
    "/logout",
    f"{API}/sync/hello",
    f"{API}/markdown",
    f"{API}/projects/{{project}}/chart",
    f"{API}/exact/find",
    f"{API}/exact/groups",
    f"{API}/exact/projects/{{project}}/find",
    f"{API}/exact/projects/{{project}}/groups",
    f"{API}/exact/projects/{{project}}/runs/{{run_id}}/rows",
    f"{API}/exact/projects/{{project}}/runs/{{run_id}}/media/values",
    f"{API}/projects/{{project}}/runs/{{run_id}}/media/table",
    f"{API}/exact/alerts",
    f"{API}/exact/projects/{{project}}/alerts",
    *(f"{API}/exact/artifacts/{name}" for name in READING_CALLS),
}
PUBLIC = {
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", f"{API}/health"),
}
# The words by which the project that is not to be seen would be recognised.
SECRET_PROJECT, SECRET_RUN, SECRET_METRIC = "qsecret", "qrun", "qmetric"


@dataclass
class Caller:
    """Somebody who calls: `scope` is None for one who is not known."""

    name: str
    scope: str | None = None
    project: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    key: str = ""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerServer]:
    patch = pytest.MonkeyPatch()
    patch.setattr("tracker_server.http.wrong_keys.N_AT_ONCE", 1_000_000)
    folder = tmp_path_factory.mktemp("matrix") / "server"
    running = run_server_in_background(folder)
    for project, run_id, metric in (("p", "a", "loss"), (SECRET_PROJECT, SECRET_RUN, SECRET_METRIC)):
        journal = Journal(Path(folder), run_id, project)
        journal.row(0, **{metric: 1.0})
        journal.end()
    running.folder.refresh()
    yield running
    running.close()
    patch.undo()


def sign_in(server: TrackerServer, key: str) -> str:
    reply = httpx.post(f"{server.base_url}/login", data={"key": key, "next": "/"})
    assert reply.status_code == 303, reply.text
    return reply.headers["set-cookie"].partition(";")[0]


@pytest.fixture(scope="module")
def callers(server: TrackerServer) -> list[Caller]:
    me = By("test", time.time_ns())
    found = [Caller("nobody"), Caller("wrong key", headers={"authorization": f"Bearer {new_key()}"})]
    kinds: list[tuple[str, str | None]] = [
        ("read", "p"),
        ("write", "p"),
        ("read", SECRET_PROJECT),
        ("read", None),
        ("write", None),
        ("admin", None),
    ]
    for scope, project in kinds:
        key, _ = server.keys.create(f"{scope} {project}", scope, project, me)
        found.append(Caller(f"{scope} {project}", scope, project, {"authorization": f"Bearer {key}"}))
        cookie = {"cookie": sign_in(server, key)}
        found.append(Caller(f"cookie of {scope} {project}", scope, project, cookie, key))
    key, _ = server.keys.create("gone", "admin", None, me)
    cookie = {"cookie": sign_in(server, key)}
    server.keys.revoke("gone", me)
    found.append(Caller("revoked", headers={"authorization": f"Bearer {key}"}))
    found.append(Caller("cookie of revoked", headers=cookie))
    found.append(Caller("wrong cookie", headers={"cookie": "tracker_server_session=x"}))
    return found


def address(route: Route, project: str = "p", run_id: str = "a") -> str:
    found = route.path
    for name, value in {"project": project, "run_id": run_id, "run": run_id, "digest": "0" * 64}.items():
        found = found.replace(f"{{{name}}}", value)
    for name in (
        "{name:path}",
        "{path:path}",
        "{key_id:path}",
        "{version}",
        "{model}",
        "{name}",
        "{uid}",
        "{which}",
        "{number}",
    ):
        found = found.replace(name, "x")
    assert "{" not in found, f"{route.path}: say here what its parameters are in this test"
    return found


def methods_of(path: str) -> tuple[str, ...]:
    """Return the methods to try: of the calls of artifacts, which are all declared in one way, but two."""
    return ("GET", "POST") if path.startswith(f"{API}/exact/artifacts/") else METHODS


def ask(client: httpx.Client, method: str, path: str, headers: dict[str, str]) -> int:
    # The change feed never ends: of every reply only the beginning is read.
    with client.stream(method, path, headers=headers) as reply:
        return reply.status_code


def is_allowed(caller: Caller, route: Route) -> bool:
    if caller.scope is None or route.action.value not in MAY[caller.scope]:
        return False
    if "{project}" in route.path:
        return caller.project in (None, "p")
    return route.per_project or caller.project is None


def test_every_route_that_is_served_is_declared(server: TrackerServer, quiet_server: UiServer) -> None:
    for app in (server.app, quiet_server.app):
        served = {(getattr(r, "path", ""), m) for r in app.routes for m in getattr(r, "methods", None) or "?"}
        assert served == {(route.path, route.method) for route in app.state.declared}
    assert {(r.method, r.path) for r in server.app.state.declared if r.action is Action.PUBLIC} == PUBLIC


def test_what_changes_something_is_no_reading(server: TrackerServer) -> None:
    reading = {r.path for r in server.app.state.declared if r.method != "GET" and r.action is Action.READ}
    assert reading == READING_POSTS, "a new route: does it only show something?"


def test_the_matrix_of_every_route_method_and_principal(server: TrackerServer, callers: list[Caller]) -> None:
    patterns = [(compile_path(route.path)[0], route) for route in server.app.state.declared]
    declared: dict[str, dict[str, Route]] = {}
    for path in map(address, server.app.state.declared):
        # One path may be that of several: "stop" could be a run's id.
        found = [route for pattern, route in patterns if pattern.fullmatch(path)]
        declared[path] = {route.method: route for route in reversed(found)}
    wrong: list[str] = []
    n_asked = 0
    with httpx.Client(base_url=server.base_url, timeout=30.0) as client:
        for path, by_method in declared.items():
            for caller in callers:
                for method in methods_of(path):
                    got = ask(client, method, path, caller.headers)
                    n_asked += 1
                    trouble = _trouble(caller, by_method, method, path, got)
                    if trouble:
                        wrong.append(f"{method} {path} as {caller.name}: {got}, {trouble}")
                    if path == "/logout" and method == "POST" and caller.key:
                        caller.headers["cookie"] = sign_in(server, caller.key)
    assert not wrong, "\n".join(wrong)
    assert n_asked == sum(len(methods_of(path)) for path in declared) * len(callers)


def _trouble(caller: Caller, by_method: dict[str, Route], method: str, path: str, got: int) -> str:
    """Return what is wrong with the status of a reply, "" for nothing."""
    route = by_method.get(method)
    if got >= 500:
        return "a fault"
    if route is not None and route.action is Action.PUBLIC:
        return "" if got in (200, 303) or (path == "/login" and got == 401) else "public"
    if caller.scope is None:
        if any(one.action is Action.PUBLIC for one in by_method.values()):
            return "" if got == 405 else "a method that is not there"
        is_page = method == "GET" and not path.startswith(("/api/", "/static/", "/metrics"))
        return "" if got == (303 if is_page else 401) else "nobody may do that"
    if route is None:
        return "" if got in (404, 405) else "a method that is not there"
    if is_allowed(caller, route):
        return "" if got not in (401, 403, 405) else "may do that"
    return "" if got == 403 else "may not do that"


def test_a_path_that_is_no_route_tells_nobody_anything(server: TrackerServer, callers: list[Caller]) -> None:
    with httpx.Client(base_url=server.base_url) as client:
        for path in (f"{API}/nowhere", f"{API}/projects/p/nowhere", "/static/", f"{API}/projects//runs"):
            for caller in callers:
                assert ask(client, "GET", path, caller.headers) == (401 if caller.scope is None else 404)


@pytest.mark.parametrize("kind", ["read p", "cookie of read p", "write p"])
def test_a_key_of_one_project_sees_nothing_of_another(server: TrackerServer, callers: list[Caller], kind: str) -> None:
    caller = next(one for one in callers if one.name == kind)
    words = (SECRET_PROJECT, SECRET_RUN, SECRET_METRIC)
    n_seen = 0
    with httpx.Client(base_url=server.base_url, timeout=30.0) as client:
        for route in server.app.state.declared:
            if route.action is not Action.READ or route.path in ("/logout", f"{API}/events"):
                continue
            for body in _bodies(route):
                run_ids = ("a", SECRET_RUN) if "{run_id}" in route.path else ("a",)
                for run_id in run_ids:
                    reply = client.request(
                        route.method, address(route, run_id=run_id), headers=caller.headers, content=body
                    )
                    assert reply.status_code != 403 or route.path == "/metrics"
                    told = reply.text.replace(f"runs/{SECRET_RUN}", "").replace(f"p/{SECRET_RUN}", "")
                    if reply.status_code == 200:
                        n_seen += 1
                        assert not any(word in told for word in words), route.path
    assert n_seen >= 20, "this test must see something, or it shows nothing"


def _bodies(route: Route) -> list[bytes | None]:
    """Return what makes a route answer in full: without, or with an empty request of each kind."""
    if route.method == "GET":
        return [None]
    return [b"{}", b"\x80", b"\x90"]


def test_what_happens_in_another_project_is_not_in_the_feed(
    server: TrackerServer, callers: list[Caller], wait_until: Any
) -> None:
    by_name = {caller.name: caller for caller in callers}
    after = server.feed._number
    folder = Path(server.folder.path)
    for project in (SECRET_PROJECT, "p"):
        Journal(folder, "later", project).row(0, loss=1.0)
    wait_until(lambda: server.folder.has_run("p", "later") and server.folder.has_run(SECRET_PROJECT, "later"))
    with httpx.Client(base_url=server.base_url, timeout=30.0) as client:
        seen = {}
        for name in ("read p", "read None", f"cookie of read {SECRET_PROJECT}"):
            url = f"{API}/events?after={after}"
            with client.stream("GET", url, headers=by_name[name].headers) as reply:
                seen[name] = next(line for line in reply.iter_lines() if line.startswith("data:"))
    assert '"p"' in seen["read p"] and SECRET_PROJECT not in seen["read p"]
    assert '"p"' not in seen[f"cookie of read {SECRET_PROJECT}"]
    assert SECRET_PROJECT in seen["read None"] or '"p"' in seen["read None"]


def test_the_feed_ends_when_the_key_is_revoked(server: TrackerServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker_server.http.events.KEEP_ALIVE_S", 0.1)
    me = By("test", time.time_ns())
    key, _ = server.keys.create("listener", "read", "p", me)
    headers = {"authorization": f"Bearer {key}"}
    with (
        httpx.Client(base_url=server.base_url, timeout=30.0) as client,
        client.stream("GET", f"{API}/events", headers=headers) as reply,
    ):
        lines = reply.iter_lines()
        assert next(lines) == "retry: 2000"
        server.keys.revoke("listener", me)
        list(lines)  # ends
        assert client.get(f"{API}/projects", headers=headers).status_code == 401


def test_the_local_owner_may_do_everything(quiet_server: UiServer, quiet_client: httpx.Client) -> None:
    for route in quiet_server.app.state.declared:
        path = address(route)
        assert ask(quiet_client, route.method, path, {}) not in (401, 403, 405), path
    found = quiet_client.get(f"{API}/me").json()
    assert (found["scope"], found["project"]) == ("admin", None)
