"""The routes that lose nothing answer whatever is asked of them, and never with a fault of the server."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_core.sync.wire import PROTOCOL_HEADER

EXACT = "/api/v1/exact"
RUN = f"{EXACT}/projects/p/runs/a"
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["config.lr", "state", "loss", "a", "created", "only", "summary.loss.min", "$in", "\0"])
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
_places = st.tuples(st.integers(-1, 6), _scalars, st.integers(-(1 << 64) + 1, (1 << 64) - 1), st.text(), st.text())
_finds = st.fixed_dictionaries(
    {
        "filters": st.none() | st.sampled_from(["config.lr < 1", "x <", 'state == "finished"']) | _values,
        "order": st.none() | st.sampled_from(["-config.lr", "config.lr:desc", "created", "-"]) | _scalars,
        "now_s": st.floats() | st.just(1.7e9),
        "archived": st.booleans() | _scalars,
        "after": st.none() | _places,
        "size": st.integers(1, 10) | st.integers(),
    }
)
_groups = st.fixed_dictionaries(
    {
        "filters": st.none() | _scalars,
        "now_s": st.just(1.7e9) | st.floats(),
        "archived": st.booleans(),
        "by": st.lists(st.sampled_from(["config.lr", "state", "x y"]), max_size=3) | _scalars,
        "values": st.lists(st.sampled_from(["summary.loss"]), max_size=2),
        "limit": st.none() | st.integers(-5, 5) | _scalars,
    }
)
_rows = st.fixed_dictionaries({"keys": _values, "writer": _scalars, "is_system": st.booleans()})
_changes = st.fixed_dictionaries(
    {"runs": st.lists(st.text(max_size=5), max_size=3), "why": st.text(), "force": _scalars}
)
_empties = st.fixed_dictionaries({"older_than_s": st.floats(), "only": st.none() | st.just([]), "why": st.text()})
BODIES = {
    f"{EXACT}/find": _finds,
    f"{EXACT}/projects/p/find": _finds,
    f"{EXACT}/groups": _groups,
    f"{RUN}/rows": _rows,
    f"{EXACT}/projects/p/archive": _changes,
    f"{EXACT}/projects/p/undelete": _changes,
    f"{EXACT}/projects/p/trash/empty": _empties,
}


def encode(value: object) -> bytes:
    try:
        return msgspec.msgpack.encode(value)
    except (OverflowError, UnicodeEncodeError):
        return b"\xc1"


@pytest.mark.parametrize("path", BODIES)
def test_no_body_is_a_fault_of_the_server(filled_client, path):
    @settings(max_examples=60, deadline=None)
    @given(BODIES[path].map(encode) | st.binary(max_size=30) | _values.map(encode))
    def ask(body):
        reply = filled_client.post(path, content=body)
        assert reply.status_code < 500, reply.text

    ask()


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        ["/details", "/series", "/console", "/console/search", "/files/" + "0" * 64, "/parts", "/archived"]
    ),
    st.dictionaries(
        st.sampled_from(["key", "writer", "first", "limit", "last", "query", "offset", "is_system"]),
        st.sampled_from(["loss", "main", "*", "", "0", "-1", "7", "true", str(1 << 70), "nan", "\0", "ü\n"]),
    ),
)
def test_no_parameters_are_a_fault_of_the_server(filled_client, below, params):
    reply = filled_client.get(RUN + below, params=params)
    assert reply.status_code < 500, reply.text


@pytest.mark.parametrize(
    "body", [b"\x91" * 100_000, b"\x81\xa7filters" + b"\x81\xa1a" * 50_000, b"x" * (1 << 20) + b"x"]
)
def test_deep_and_large_bodies_are_refused(filled_client, body):
    assert filled_client.post(f"{EXACT}/find", content=body).status_code in (400, 413, 422)


def test_every_reply_and_error_names_its_protocol(filled_client):
    for path in (
        f"{EXACT}/projects",
        RUN,
        f"{RUN}/series?key=loss",
        f"{RUN}/series?key=no",
        f"{EXACT}/projects/p/runs/z",
    ):
        reply = filled_client.get(path)
        assert reply.headers[PROTOCOL_HEADER] == "1" and reply.headers["cache-control"] == "no-store"
        assert reply.headers["content-type"] == "application/msgpack"


def test_an_error_does_not_tell_where_the_server_has_its_runs(filled_client, quiet_server):
    for path in (f"{EXACT}/projects/p/runs/z", f"{RUN}/series?key=no", f"{RUN}/files/{'0' * 64}"):
        assert quiet_server.folder.path not in filled_client.get(path).text
