"""Bytes and tables of media over HTTP: typed by what they are, run nowhere, sorted without being trusted."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tracker_server.http.media_types import media_type_of
from tracker_server.http.ui_server import UiServer

from .conftest import Journal

RUN = "/api/v1/projects/p/runs/a"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
PAGE = b"<!doctype html><script>alert(1)</script>"
SVG = b'<?xml version="1.0"?>\n<!-- c --><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"></svg>'
N_ROWS = 30_000


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def big_table() -> pa.Table:
    numbers = np.arange(N_ROWS)
    media = pa.field("image", pa.string(), metadata={"tracker.type": "media"})
    cells = [json.dumps({"_type": "image", "path": f"media/{n}.png", "width": float("nan")}) for n in range(N_ROWS)]
    columns = {
        "id": pa.array(numbers),
        "score": pa.array(np.where(numbers % 10 == 3, np.nan, (numbers * 7919) % N_ROWS / N_ROWS)),
        "name": pa.array([None if n % 7 == 0 else f"row {n} {'Ä' if n % 2 else 'b'}" for n in range(N_ROWS)]),
        "right": pa.array(numbers % 3 == 0),
        "at": pa.array(numbers * 86_400_000, pa.timestamp("ms")),
        "label": pa.array([f"class {n % 5}" for n in range(N_ROWS)]).dictionary_encode(),
        "big": pa.array(numbers + (1 << 60)),
        "nested": pa.array([{"a": [int(n)]} for n in numbers[:N_ROWS]]),
    }
    fields = [pa.field(name, array.type) for name, array in columns.items()]
    return pa.Table.from_arrays([*columns.values(), pa.array(cells)], schema=pa.schema([*fields, media]))


@pytest.fixture(scope="module")
def asked(quiet_server: UiServer, quiet_client: httpx.Client) -> httpx.Client:
    """A client of a server that has a run with files."""
    journal = Journal(Path(quiet_server.folder.path))
    files = {
        "media/image/a.png": PNG,
        "media/image/page.png": PAGE,
        "media/image/drawing.png": SVG,
        "media/html/page.html": PAGE,
        "media/image/strange name ü#?.png": PNG,
        "media/other.bin": b"\0\1\2",
        "media/table/big.parquet": parquet(big_table(), row_group_size=7000),
        "media/table/odd.parquet": parquet(
            pa.Table.from_arrays([pa.array([1, 2]), pa.array([3, 4]), pa.array(["x", None])], names=["a", "a", "a.b"])
        ),
        "media/table/empty.parquet": parquet(pa.table({"a": pa.array([], pa.int64())})),
        "media/table/none.parquet": b"PAR1 is how it begins" + b"\0" * 100 + b"PAR1",
    }
    for path, content in files.items():
        journal.file(path, content, kind="media")
    journal.file("notes.txt", b"text")
    journal.row(0, x={"_type": "image", "path": "media/image/a.png"})
    quiet_server.folder.refresh()
    return quiet_client


def page(asked: httpx.Client, path: str = "big", **query: Any) -> Any:
    reply = asked.post(f"{RUN}/media/table", json={"path": f"media/table/{path}.parquet", "limit": 3, **query})
    assert reply.status_code == 200, reply.text
    return reply.json()


# -- bytes


@pytest.mark.parametrize(
    ("beginning", "expected"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\0\0\0\0CDXA", "application/octet-stream"),
        (b"OggS\0\2", "audio/ogg"),
        (b"ID3\4", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"fLaC", "audio/flac"),
        (b"\0\0\0\x20ftypisom", "video/mp4"),
        (b"\0\0\0\x20ftypavif", "image/avif"),
        (b"\x1a\x45\xdf\xa3", "video/webm"),
        (SVG, "image/svg+xml"),
        (b"\xef\xbb\xbf <svg>", "image/svg+xml"),
        (PAGE, "text/plain; charset=utf-8"),
        (b"<html><svg></svg>", "text/plain; charset=utf-8"),
        (b"%PDF-1.4\0", "application/octet-stream"),
        (b"\x80\x04\x95", "application/octet-stream"),
        (b"PK\3\4\0", "application/octet-stream"),
        (b"\xfe\xff\0<\0s", "application/octet-stream"),
        (b"", "text/plain; charset=utf-8"),
    ],
)
def test_a_file_is_what_its_bytes_are(beginning: bytes, expected: str) -> None:
    assert media_type_of(beginning) == expected


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("image/a.png", "image/png"),
        ("image/page.png", "text/plain; charset=utf-8"),
        ("image/drawing.png", "image/svg+xml"),
        ("html/page.html", "text/plain; charset=utf-8"),
        ("image/strange%20name%20%C3%BC%23%3F.png", "image/png"),
        ("other.bin", "application/octet-stream"),
    ],
)
def test_bytes_come_with_their_type_and_can_do_nothing(asked: httpx.Client, path: str, media_type: str) -> None:
    reply = asked.get(f"{RUN}/media/files/media/{path}")
    assert (reply.status_code, reply.headers["content-type"]) == (200, media_type)
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("sandbox;") and "default-src 'none'" in policy and "script" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-disposition"].startswith("attachment" if path == "other.bin" else "inline")


def test_html_is_for_a_frame_of_ours_and_runs_no_script_unless_asked(asked: httpx.Client) -> None:
    reply = asked.get(f"{RUN}/media/files/media/html/page.html?html=true")
    assert reply.content == PAGE and reply.headers["content-type"].startswith("text/html")
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'") and "script-src" not in policy
    assert "frame-ancestors 'self'" in policy and reply.headers["x-frame-options"] == "SAMEORIGIN"
    policy = asked.get(f"{RUN}/media/files/media/html/page.html?html=true&scripts=true").headers[
        "content-security-policy"
    ]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'") and "allow-same-origin" not in policy
    assert "connect-src" not in policy and "http" not in policy
    assert (
        asked.get(f"{RUN}/media/files/media/image/a.png?html=true").headers["content-type"]
        == "application/octet-stream"
    )


def test_parts_of_a_file_and_what_is_known_already(asked: httpx.Client) -> None:
    def get(**headers: str) -> httpx.Response:
        return asked.get(f"{RUN}/media/files/media/image/a.png", headers=headers)

    size = len(PNG)
    for header, part in {
        "bytes=0-3": PNG[:4],
        "bytes=4-": PNG[4:],
        "bytes=-5": PNG[-5:],
        "bytes=20-999": PNG[20:],
    }.items():
        reply = get(Range=header)
        assert (reply.status_code, reply.content) == (206, part)
        assert reply.headers["content-range"].endswith(f"/{size}")
    assert get(Range=f"bytes={size}-").status_code == 416
    assert get(Range="bytes=5-2").status_code == 416
    assert get(Range="lines=1-2").content == PNG
    tag = get().headers["etag"]
    assert get(**{"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(
    "path", ["media/nothing.png", "../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "media/%00", "%ff"]
)
def test_what_the_run_does_not_keep_is_not_there(asked: httpx.Client, path: str) -> None:
    assert asked.get(f"{RUN}/media/files/{path}").status_code in (404, 422)


def test_files_of_media_are_not_among_the_runs_files(asked: httpx.Client) -> None:
    run = asked.get(RUN).json()
    assert [file["path"] for file in run["files"]] == ["notes.txt"]
    assert [key["key"] for key in run["media"]] == ["x"]


# -- tables


def test_rows_come_in_pages_with_cells_as_json_can_hold_them(asked: httpx.Client) -> None:
    found = page(asked, first=N_ROWS - 2)
    assert (found["n_rows"], found["n_matching"], found["first"], found["numbers"]) == (
        N_ROWS,
        N_ROWS,
        N_ROWS - 2,
        [29998, 29999],
    )
    kinds = [column["kind"] for column in found["columns"]]
    assert kinds == ["number", "number", "text", "boolean", "time", "text", "number", "other", "media"]
    row = found["rows"][1]
    assert row[:4] == [29999, 29999 * 7919 % N_ROWS / N_ROWS, "row 29999 Ä", False]
    assert row[4].startswith("2052-02-") and row[5:7] == ["class 4", str(29999 + (1 << 60))]
    assert row[8] == {"_type": "image", "path": "media/29999.png", "width": "NaN"}
    assert page(asked, first=3, limit=1)["rows"][0][1] == "NaN"
    assert page(asked, first=7, limit=1, columns=[2, 0])["rows"] == [[None, 7]]
    assert page(asked, first=10**9)["rows"] == []
    assert page(asked, limit=1, first=1, max_chars=3)["rows"][0][2] == {"_cut": "row", "n_chars": 7}


def test_rows_are_sorted_through_all_groups_and_stay_in_order_where_equal(asked: httpx.Client) -> None:
    best = page(asked, sort=[{"column": 1, "is_descending": True}])
    assert [row[1] for row in best["rows"]] == sorted(best["rows"][i][1] for i in range(3))[::-1]
    assert best["rows"][0][1] > 0.999
    last = page(asked, sort=[{"column": 1}], first=N_ROWS - 1)
    assert last["rows"][0][1] == "NaN"
    two = page(asked, sort=[{"column": 5, "is_descending": True}, {"column": 3}, {"column": 0, "is_descending": True}])
    assert [(row[5], row[3], row[0]) for row in two["rows"]] == [("class 4", False, n) for n in (29999, 29989, 29984)]
    equal = page(asked, sort=[{"column": 3}])
    assert equal["numbers"] == [1, 2, 4]


def test_rows_are_filtered_by_conditions_and_words(asked: httpx.Client) -> None:
    def n(*conditions: tuple[int, str, Any], search: str = "") -> int:
        where = [{"column": column, "op": op, "value": value} for column, op, value in conditions]
        return page(asked, where=where, search=search)["n_matching"]

    numbers = np.arange(N_ROWS)
    assert n((0, "<", 10)) == 10 and n((0, ">=", N_ROWS - 5)) == 5 and n((0, "=", 7.0)) == 1
    assert n((1, "empty", None)) == N_ROWS // 10 and n((2, "empty", None)) == int(np.sum(numbers % 7 == 0))
    assert n((3, "=", True)) == N_ROWS // 3 and n((3, "=", "false")) == N_ROWS - N_ROWS // 3
    assert n((4, "<", "1970-01-11")) == 10
    assert n((2, "contains", "Ä")) == int(np.sum((numbers % 7 != 0) & (numbers % 2 == 1)))
    assert n((2, "=", "row 1 Ä")) == 1 and n((2, "!=", "row 1 Ä")) == N_ROWS - 1
    assert n((5, "=", "class 2"), (0, "<", 100)) == 20
    assert n(search="ROW 29999") == 1 and n(search="class nothing") == 0
    assert n(search="ä 29999") == 1
    assert n((8, "contains", "media/12.png")) == 1
    found = page(asked, where=[{"column": 0, "op": ">", "value": 29_990}], sort=[{"column": 0, "is_descending": True}])
    assert found["numbers"] == [29999, 29998, 29997]


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "media/table/none.parquet"},
        {"path": "media/image/a.png"},
        {"path": "media/nothing"},
        {"limit": 0},
        {"limit": 10_000},
        {"first": -1},
        {"max_chars": 0},
        {"limit": 1000, "max_chars": 1_000_000},
        {"columns": [99]},
        {"columns": [-1]},
        {"columns": [0] * 500},
        {"sort": [{"column": 99}]},
        {"sort": [{"column": 7}]},
        {"sort": [{"column": 8}]},
        {"sort": [{"column": 0}] * 3, "where": [{"column": 0, "op": "like", "value": 1}]},
        {"where": [{"column": 0, "op": "=", "value": "no number"}]},
        {"where": [{"column": 4, "op": "<", "value": "yesterday"}]},
        {"where": [{"column": 7, "op": "=", "value": "x"}]},
        {"where": [{"column": 3, "op": "=", "value": "maybe"}]},
        {"where": [{"column": 0, "op": "=", "value": 10**30}]},
    ],
)
def test_what_makes_no_sense_is_told(asked: httpx.Client, wrong: dict[str, Any]) -> None:
    reply = asked.post(f"{RUN}/media/table", json={"path": "media/table/big.parquet", **wrong})
    assert 400 <= reply.status_code < 500, reply.text
    assert reply.json()["error"]["remedy"]


def test_odd_tables_are_shown(asked: httpx.Client) -> None:
    found = page(asked, "odd", sort=[{"column": 1, "is_descending": True}])
    assert found["rows"] == [[2, 4, None], [1, 3, "x"]]
    empty = page(asked, "empty", sort=[{"column": 0}], search="x")
    assert (empty["n_rows"], empty["rows"], empty["columns"][0]["name"]) == (0, [], "a")


def test_any_broken_byte_of_a_table_is_told_or_shown(asked: httpx.Client, quiet_server: UiServer) -> None:
    content = parquet(pa.table({"n": list(range(50)), "t": [f"text {n}" for n in range(50)]}))
    journal = Journal(Path(quiet_server.folder.path), run="broken")
    random = np.random.default_rng(0)
    paths = []
    for number in range(60):
        broken = bytearray(content[: len(content) - number] if number % 3 == 0 else content)
        for place in random.integers(0, len(broken), 3):
            broken[place] ^= 1 << int(random.integers(8))
        paths.append(f"media/table/{number}.parquet")
        journal.file(paths[-1], bytes(broken), kind="media")
    quiet_server.folder.refresh()
    for path in paths:
        body = {"path": path, "sort": [{"column": 0}], "search": "text"}
        reply = asked.post("/api/v1/projects/p/runs/broken/media/table", json=body)
        assert reply.status_code in (200, 422), reply.text


# -- alerts


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=9999", "first=-1", "since_s=x", "since_s=-1", "levels=LOUD", "since_s=1e300"]
)
def test_wrong_questions_for_alerts_are_told(asked: httpx.Client, query: str) -> None:
    assert asked.get(f"/api/v1/alerts?{query}").status_code == 422


def test_plotly_is_served_in_a_sandbox_where_it_is_installed(asked: httpx.Client) -> None:
    version = asked.get("/api/v1/plotly").json()["version"]
    reply = asked.get("/api/v1/plotly/frame")
    assert reply.status_code == (200 if version else 404)
    if version:
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("sandbox allow-scripts; default-src 'none'") and "allow-same-origin" not in policy
        assert reply.text.count("</script>") == 2
