"""Requests made from the API's own description, right and wrong ones: nothing that comes is a fault of the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error, response_schema_conformance

from tracker_server.http.server import TrackerServer, run_server_in_background

from .conftest import Journal

# Replies that go on for ever are tried elsewhere.
ENDLESS = {"/api/v1/events"}
_CHECKS = [not_a_server_error, response_schema_conformance]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerServer]:
    folder = tmp_path_factory.mktemp("fuzzed") / "server"
    running = run_server_in_background(folder)
    for run_id in ("a", "b"):
        journal = Journal(Path(folder), run_id, "p")
        journal.config(lr=0.1)
        for step in range(50):
            journal.row(step, loss=float(step), acc=step)
        journal.lines("one", "two", first=0)
        journal.file("x/y.txt", b"content")
        journal.end()
    running.folder.refresh()
    yield running
    running.close()


def operations(server: TrackerServer) -> list[Any]:
    schema = schemathesis.openapi.from_dict(server.app.openapi())
    found = [result.ok() for result in schema.get_all_operations()]
    assert len(found) >= 20
    return [operation for operation in found if operation.path not in ENDLESS]


def cases(operation: Any) -> st.SearchStrategy[Any]:
    """Return requests to one operation: for what is there, for anything, and wrong ones."""
    parameters = {parameter.name for parameter in operation.path_parameters}
    known = {name: value for name, value in {"project": "p", "run_id": "a"}.items() if name in parameters}
    found = [operation.as_strategy(), operation.as_strategy(path_parameters=known) if known else None]
    if operation.query or operation.body:
        wrong = operation.as_strategy(GenerationMode.NEGATIVE, path_parameters=known or None)
        found.append(wrong)
    return st.one_of(*(one for one in found if one is not None))


def fuzz(server: TrackerServer, n_each: int) -> int:
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {server.admin_key}"
    n_asked = 0
    for operation in operations(server):

        @seed(7)
        @settings(max_examples=n_each, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=cases(operation))
        def ask(case: Any) -> None:
            nonlocal n_asked
            n_asked += 1
            headers = {"Authorization": f"Bearer {server.admin_key}"}
            reply = case.call(base_url=server.base_url, session=session, headers=headers, timeout=30)
            assert reply.status_code < 500, (case.as_curl_command(), reply.text)
            case.validate_response(reply, checks=_CHECKS)

        ask()
    return n_asked


def test_some_hundred_requests(server: TrackerServer) -> None:
    assert fuzz(server, 12) >= 300


@pytest.mark.long
def test_five_thousand_requests(server: TrackerServer) -> None:
    n_asked = 0
    n_each = 5000 // len(operations(server)) + 1
    while n_asked < 5000:
        n_asked += fuzz(server, n_each)
