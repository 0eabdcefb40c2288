"""Keys of a server: their form, what is kept of them, making, revoking and throttling; on SQLite and PostgreSQL."""

from __future__ import annotations

import itertools
import re
import sqlite3
import string
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker_core import NotFoundError, UsageError
from tracker_core.capture.masking import MASK, Masker
from tracker_server.catalog.catalog import Catalog
from tracker_server.catalog.decisions import By, CatalogError
from tracker_server.cli import main
from tracker_server.http.api_keys import ApiKeys, digest_of, is_key, new_key
from tracker_server.http.key_auth import FRESH_S
from tracker_server.http.server import TrackerServer, run_server_in_background
from tracker_server.http.wrong_keys import N_AT_ONCE, REFILL_S, WrongKeys
from tracker_server.store.store_catalog import CatalogDatabase
from tracker_server.store.store_catalog_file import CatalogFile
from tracker_server.store.store_catalog_postgres import PostgresCatalog
from tracker_server.store.store_catalog_schema import CATALOG_VERSION
from tracker_server.store.store_migrate import open_database

ME = By("me", 1_700_000_000_000_000_000)
KEYS = "/api/v1/keys"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


# -- their form


def test_a_key_is_random_and_tells_of_itself_that_it_is_whole() -> None:
    keys = {new_key() for _ in range(1000)}
    assert len(keys) == 1000 and all(is_key(key) and len(key) == 39 and key.startswith("tk_") for key in keys)
    assert {character for key in keys for character in key[3:33]} == set(string.ascii_letters + string.digits)


@given(st.integers(0, 38), st.characters(codec="ascii"))
def test_a_mistyped_key_is_known_for_one(place: int, character: str) -> None:
    key = "tk_0123456789ABCDEFGHIJKLMNOPQRST0i8NP2"
    assert is_key("tk_" + key[3:33] + _tail(key[:33]))
    right = key[:33] + _tail(key[:33])
    wrong = right[:place] + character + right[place + 1 :]
    assert is_key(wrong) is (wrong == right)
    assert not is_key(right[:-1]) and not is_key(right + "0") and not is_key("") and not is_key(right + "\n")


def _tail(start: str) -> str:
    from zlib import crc32

    number, text = crc32(start.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        text = (string.digits + string.ascii_uppercase + string.ascii_lowercase)[digit] + text
    return text


def test_masking_knows_our_keys() -> None:
    key = new_key()
    masker = Masker({})
    assert key not in masker.text(f"using {key} now") and MASK in masker.text(f"using {key} now")
    assert masker.command(["tracker", "x", key])[-1] == MASK
    assert masker.value("anything", {"note": f"key={key}"})["note"].count("tk_") == 0


# -- in the catalog


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> CatalogDatabase:
    if request.param == "sqlite":
        return CatalogFile(str(tmp_path))
    opened = open_database(request.getfixturevalue("database_url"))
    request.addfinalizer(opened.close)
    return PostgresCatalog(opened)


def test_a_key_is_found_until_it_is_revoked(database: CatalogDatabase) -> None:
    keys, other_process = ApiKeys(database), ApiKeys(database)
    assert keys.all_keys() == [] and not keys.has_live_key()
    secret, made = keys.create("ci", "write", "p", ME)
    other_process.refresh()
    for known in (keys, other_process):
        found = known.find(secret)
        assert found is not None and (found.name, found.scope, found.project) == ("ci", "write", "p")
        assert known.find(new_key()) is None and known.find(made.digest) is None and known.find("") is None
    assert keys.revoke("ci", ME).key_id == made.key_id
    other_process.refresh()
    assert keys.find(secret) is None and other_process.find(secret) is None
    (row,) = keys.all_keys()
    assert (row.revoked_ns, row.revoked_by, row.is_live) == (ME.at_ns, "me", False) and not keys.has_live_key()


def test_of_a_key_and_a_cookie_only_the_hash_is_kept(tmp_path: Path) -> None:
    keys = ApiKeys(CatalogFile(str(tmp_path)))
    secret, made = keys.create("ci", "read", None, ME)
    cookie = keys.sign_in(made)
    content = (tmp_path / "catalog.sqlite").read_bytes()
    assert digest_of(secret).encode() in content and digest_of(cookie).encode() in content
    assert secret[3:].encode() not in content and cookie.encode() not in content


def test_a_name_is_of_one_live_key(database: CatalogDatabase) -> None:
    keys = ApiKeys(database)
    _, first = keys.create("ci", "read", None, ME)
    with pytest.raises(UsageError, match=f"which key {first.key_id} has"):
        keys.create("ci", "admin", None, ME)
    keys.revoke(first.key_id, ME)
    _, second = keys.create("ci", "write", None, ME)
    assert keys.revoke("ci", ME).key_id == second.key_id
    assert keys.revoke(first.key_id, By("later", 5)).revoked_by == "me"
    with pytest.raises(NotFoundError, match="no key 'ci'"):
        keys.revoke("ci", ME)


@pytest.mark.parametrize(
    ("name", "scope", "project"),
    [
        ("", "read", None),
        ("a\nb", "read", None),
        (" a", "read", None),
        ("x" * 101, "read", None),
        ("a", "root", None),
        ("a", "", None),
        ("a", "admin", "p"),
        ("a", "read", "a/b"),
        ("a", "read", ""),
    ],
)
def test_what_is_no_key_is_not_made(tmp_path: Path, name: str, scope: str, project: str | None) -> None:
    keys = ApiKeys(CatalogFile(str(tmp_path)))
    with pytest.raises(UsageError):
        keys.create(name, scope, project, ME)
    assert keys.all_keys() == []


def test_of_many_that_start_at_once_one_makes_the_first_key(database: CatalogDatabase) -> None:
    made: list[str | None] = []
    threads = [threading.Thread(target=lambda: made.append(ApiKeys(database).make_first(ME))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (first,) = [key for key in made if key]
    keys = ApiKeys(database)
    keys.refresh()
    found = keys.find(first)
    assert len(made) == 6 and found is not None and (found.scope, found.project) == ("admin", None)
    keys.revoke(found.key_id, ME)
    assert keys.make_first(ME) is None, "revoking the last key must not make a new one at the next start"


def test_a_browser_is_signed_in_for_as_long_as_its_key_lives(database: CatalogDatabase) -> None:
    keys, other_process = ApiKeys(database), ApiKeys(database)
    _, key = keys.create("ci", "read", "p", ME)
    cookies = [keys.sign_in(key) for _ in range(3)]
    other_process.refresh()
    assert [getattr(other_process.find_session(cookie), "key_id", None) for cookie in cookies] == [key.key_id] * 3
    assert other_process.find_session("") is None and other_process.find_session(digest_of(cookies[0])) is None
    other_process.sign_out(cookies[0])
    keys.refresh()
    assert keys.find_session(cookies[0]) is None and keys.find_session(cookies[1]) is not None
    keys.revoke(key.key_id, ME)
    other_process.refresh()
    assert other_process.find_session(cookies[1]) is None and keys.find_session(cookies[2]) is None


def test_a_session_ends_after_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker_server.http.api_keys.SESSION_AGE_S", 0)
    keys = ApiKeys(CatalogFile(str(tmp_path)))
    _, key = keys.create("ci", "read", "p", ME)
    assert keys.find_session(keys.sign_in(key)) is None


def test_browsers_of_one_key_are_bounded(tmp_path: Path) -> None:
    keys = ApiKeys(CatalogFile(str(tmp_path)))
    _, key = keys.create("ci", "read", "p", ME)
    cookies = [keys.sign_in(key) for _ in range(102)]
    n_live = sum(keys.find_session(cookie) is not None for cookie in cookies)
    assert n_live == 100 and keys.find_session(cookies[-1]) is not None and keys.find_session(cookies[0]) is None


def test_every_change_is_in_the_log_of_decisions(tmp_path: Path) -> None:
    keys = ApiKeys(CatalogFile(str(tmp_path)))
    _, key = keys.create("ci", "read", "p", ME)
    keys.sign_out(keys.sign_in(key))
    keys.revoke("ci", By("her", 5))
    rows = sqlite3.connect(tmp_path / "catalog.sqlite").execute("SELECT action, who, project, run_id FROM decision")
    assert rows.fetchall() == [
        ("create key", "me", "p", key.key_id),
        ("sign in", "ci", "p", key.key_id),
        ("sign out", "ci", "p", key.key_id),
        ("revoke key", "her", "p", key.key_id),
    ]


# -- a catalog of the version before keys


def test_an_earlier_catalog_is_read_and_then_upgraded_without_loss(tmp_path: Path) -> None:
    catalog = Catalog(str(tmp_path))
    catalog.archive([("p", "a"), ("p", "b")], ME)
    with sqlite3.connect(tmp_path / "catalog.sqlite") as connection:
        for table in ("api_key", "browser_session", "stop_order"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("UPDATE catalog_info SET value = '1' WHERE name = 'version'")
    before = (tmp_path / "catalog.sqlite").read_bytes()
    keys = ApiKeys(CatalogFile(str(tmp_path)))
    keys.refresh()
    assert keys.all_keys() == [] and keys.find(new_key()) is None
    fresh = Catalog(str(tmp_path))
    fresh.refresh()
    assert fresh.decisions.archived.keys() == {("p", "a"), ("p", "b")}
    assert (tmp_path / "catalog.sqlite").read_bytes() == before, "reading changes nothing"
    secret, _ = keys.create("ci", "read", None, ME)
    assert keys.find(secret) is not None
    fresh.refresh()
    assert fresh.decisions.archived.keys() == {("p", "a"), ("p", "b")}
    version = sqlite3.connect(tmp_path / "catalog.sqlite").execute("SELECT value FROM catalog_info").fetchall()
    assert version == [(CATALOG_VERSION,)]


# -- the command


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["keys", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def check_command(capsys: pytest.CaptureFixture[str], place: list[str], keys: ApiKeys) -> None:
    code, out, err = run(capsys, "create", "laptop", "--scope", "read", "--project", "p", *place)
    secret = out.strip()
    assert code == 0 and is_key(secret) and secret not in err and "only now" in err
    keys.refresh()
    found = keys.find(secret)
    assert found is not None and (found.name, found.scope, found.project) == ("laptop", "read", "p")
    code, out, _ = run(capsys, "list", *place)
    assert code == 0 and "laptop" in out and secret not in out
    assert run(capsys, "create", "laptop", *place)[0] == 2
    code, out, _ = run(capsys, "revoke", "laptop", *place)
    assert code == 0 and "revoked" in out
    keys.refresh()
    assert keys.find(secret) is None
    assert "laptop" not in run(capsys, "list", *place)[1] and "laptop" in run(capsys, "list", "--all", *place)[1]
    code, _, err = run(capsys, "revoke", "laptop", *place)
    assert code == 2 and "no key 'laptop'" in err


def test_the_command_on_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new"
    assert run(capsys, "list", "--dir", str(folder)) == (0, f"No keys of {folder}.\n", "") and not folder.exists()
    check_command(capsys, ["--dir", str(folder)], ApiKeys(CatalogFile(str(folder))))


def test_the_command_on_a_database(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    database = open_database(database_url)
    check_command(capsys, ["--database-url", database_url], ApiKeys(PostgresCatalog(database)))
    database.close()


@pytest.fixture
def server(tmp_path: Path) -> TrackerServer:
    running = run_server_in_background(tmp_path / "server")
    yield running
    running.close()


def test_the_command_over_http(
    server: TrackerServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ["--server", server.base_url]
    code, _, err = run(capsys, "list", *place)
    assert code == 2 and "401" in err
    monkeypatch.setenv("TRACKER_API_KEY", server.admin_key)
    check_command(capsys, place, ApiKeys(CatalogFile(server.folder.path)))
    monkeypatch.setenv("TRACKER_BASE_URL", server.base_url)
    assert "first admin key" in run(capsys, "list")[1]
    secret, _ = server.keys.create("writer", "write", None, ME)
    monkeypatch.setenv("TRACKER_API_KEY", secret)
    for action in (["list"], ["create", "x"], ["revoke", "writer"]):
        code, _, err = run(capsys, *action)
        assert code == 2 and "403" in err and "administer the whole server" in err and secret not in err
    assert run(capsys, "list", "--dir", "x", *place)[0] == 2


def test_a_key_in_place_of_its_name_is_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = new_key()
    code, out, err = run(capsys, "revoke", key, "--dir", str(tmp_path))
    assert code == 2 and "name or id" in err and key not in out + err


def test_a_key_of_another_server_is_not_sent(
    server: TrackerServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKER_BASE_URL", "https://elsewhere.example")
    monkeypatch.setenv("TRACKER_API_KEY", server.admin_key)
    code, _, err = run(capsys, "list", "--server", server.base_url)
    assert code == 2 and "401" in err


# -- on a running server


def test_a_key_made_or_revoked_by_another_process_is_seen_soon(server: TrackerServer) -> None:
    script = """if True:
        import sys
        from tracker_server.cli import main
        sys.exit(main(sys.argv[1:]))
        """

    def tracker(*arguments: str) -> str:
        command = [sys.executable, "-c", script, *arguments, "--dir", server.folder.path]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    with httpx.Client(base_url=server.base_url) as client:
        secret = tracker("keys", "create", "x", "--scope", "admin")
        assert client.get(KEYS, headers=bearer(secret)).status_code == 200
        tracker("keys", "revoke", "x")
        deadline, pause = time.monotonic() + FRESH_S + 20, threading.Event()
        while (status := client.get(KEYS, headers=bearer(secret)).status_code) == 200:
            assert time.monotonic() < deadline
            pause.wait(0.05)
        assert status == 401


def test_a_key_revoked_here_ends_at_once(server: TrackerServer) -> None:
    admin = bearer(server.admin_key)
    with httpx.Client(base_url=server.base_url) as client:
        made = client.post(KEYS, headers=admin, json={"name": "x", "scope": "admin"}).json()
        assert client.get(KEYS, headers=bearer(made["key"])).status_code == 200
        assert client.delete(f"{KEYS}/x", headers=admin).json()["revoked_s"] is None
        assert client.get(KEYS, headers=bearer(made["key"])).status_code == 401
        rows = client.get(KEYS, headers=admin).json()["keys"]
        assert [(row["name"], row["revoked_by"]) for row in rows] == [("first admin key", ""), ("x", "first admin key")]
        assert "digest" not in rows[0] and client.get(KEYS, headers=admin).headers["cache-control"] == "no-store"


def test_while_the_catalog_cannot_be_read_the_known_keys_hold(
    server: TrackerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{server.base_url}/api/v1/me"
    assert httpx.get(address, headers=bearer(server.admin_key)).status_code == 200

    def away(wait_s: float | None = None) -> None:
        raise CatalogError("the catalog", "no answer", "an answer", "wait")

    monkeypatch.setattr(server.keys, "refresh", away)
    monkeypatch.setattr("tracker_server.http.key_auth.FRESH_S", -1.0)
    assert httpx.get(address, headers=bearer(server.admin_key)).status_code == 200
    assert httpx.get(address, headers=bearer(new_key())).status_code == 401


# -- wrong keys


def test_tries_come_back_with_time_and_memory_is_bounded() -> None:
    now = [1000.0]
    wrong = WrongKeys(lambda: now[0])
    for _ in range(N_AT_ONCE):
        assert wrong.wait_s("10.0.0.1") == 0
        wrong.note("10.0.0.1")
    assert 0 < wrong.wait_s("10.0.0.1") <= REFILL_S and wrong.wait_s("10.0.0.2") == 0
    now[0] += REFILL_S
    assert wrong.wait_s("10.0.0.1") == 0
    wrong.note("10.0.0.1")
    assert wrong.wait_s("10.0.0.1") > 0
    for number in range(20_000):
        wrong.note(f"10.1.{number >> 8}.{number & 255}")
    assert len(wrong._whole_at_s) <= 10_000


def test_a_network_of_ipv6_is_one_client() -> None:
    wrong = WrongKeys(lambda: 0.0)
    for number in range(N_AT_ONCE):
        wrong.note(f"2001:db8::{number:x}")
    assert wrong.wait_s("2001:db8::ffff") > 0 and wrong.wait_s("2001:db8:0:1::1") == 0
    for _ in range(N_AT_ONCE):
        wrong.note("::ffff:10.0.0.9")
    assert wrong.wait_s("10.0.0.9") > 0


def test_many_wrong_keys_are_slowed_down_and_a_right_one_is_not(server: TrackerServer) -> None:
    with httpx.Client(base_url=server.base_url) as client:
        statuses = [client.get(KEYS, headers=bearer(new_key())) for _ in range(N_AT_ONCE + 5)]
        assert {reply.status_code for reply in statuses[: N_AT_ONCE - 1]} == {401}
        last = statuses[-1]
        assert last.status_code == 429 and int(last.headers["retry-after"]) >= 1
        assert client.post("/login", data={"key": new_key()}).status_code == 429
        assert client.get(KEYS, headers=bearer(server.admin_key)).status_code == 200
        assert client.post("/login", data={"key": server.admin_key}).status_code == 303
        secret, _ = server.keys.create("new", "admin", None, ME)
        assert client.get(KEYS, headers=bearer(secret)).status_code == 200, "a new key is no wrong one"


@pytest.mark.parametrize(
    "value",
    ["Bearer", "Bearer x", "Basic {}", "{}", "Token {}", "Bearer {} {}", "Bearer {},", "Bearer \xff{}"],
)
def test_a_key_is_taken_in_one_way_only(server: TrackerServer, value: str) -> None:
    header = {"authorization": value.replace("{}", server.admin_key or "").encode("latin-1")}
    assert httpx.get(f"{server.base_url}{KEYS}", headers=header).status_code == 401


def test_two_keys_at_once_are_none(server: TrackerServer) -> None:
    secret, _ = server.keys.create("reader", "read", "p", ME)
    for one, other in itertools.permutations([server.admin_key, secret]):
        headers = [("authorization", f"Bearer {one}"), ("authorization", f"Bearer {other}")]
        assert httpx.get(f"{server.base_url}{KEYS}", headers=headers).status_code == 401


def test_a_key_in_an_address_is_refused_with_the_advice_to_revoke_it(server: TrackerServer) -> None:
    key = server.admin_key
    for path in (f"/api/v1/projects?key={key}", f"/login?key={key}", f"/p/{key}", f"/?a=%74%6B_{(key or '')[3:]}"):
        reply = httpx.get(server.base_url + path, headers=bearer(key or ""))
        assert reply.status_code == 400 and "revoke" in reply.text and (key or "") not in reply.text


def test_an_error_never_repeats_the_key(server: TrackerServer) -> None:
    key = new_key()
    for headers in (bearer(key), {"cookie": f"tracker_server_session={key}"}):
        reply = httpx.get(f"{server.base_url}{KEYS}", headers=headers)
        assert reply.status_code == 401 and key not in reply.text + str(reply.headers)
        assert reply.headers["www-authenticate"] == "Bearer"


def test_no_key_and_no_cookie_is_in_what_the_server_prints(tmp_path: Path) -> None:
    script = "import sys; from tracker_server.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-u", "-c", script, "server", "--dir", str(tmp_path / "server"), "--port", "0"]
    output = tmp_path / "output"
    with open(output, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        deadline, pause = time.monotonic() + 60, threading.Event()
        while not (found := re.search(r" at (http://\S+)\n(?:.*\n)*?\s+(tk_\w+)\n", output.read_text())):
            assert time.monotonic() < deadline and process.poll() is None, output.read_text()
            pause.wait(0.05)
        address, admin = found.groups()
        wrong = new_key()
        with httpx.Client(base_url=address, timeout=30.0) as client:
            made = client.post(KEYS, headers=bearer(admin), json={"name": "x", "scope": "read"}).json()["key"]
            for key in (admin, made, wrong):
                client.get(KEYS, headers=bearer(key))
                client.get(f"{KEYS}?key={key}", headers=bearer(key))
                client.get(f"/p/{key}/r/{key}?next={key}")
                client.request("DELETE", f"{KEYS}/{key}", headers=bearer(admin))
                client.post("/login", data={"key": key, "next": f"/{key}"})
                client.post("/api/v1/sync/blocks", headers=bearer(key), content=key.encode())
                client.post("/api/v1/projects/p/chart", headers=bearer(key), content=key.encode())
            cookies = list(client.cookies.values())
    finally:
        process.terminate()
        process.wait(60)
    text = output.read_text()
    assert cookies and text.count(admin) == 1, "printed when it was made, and never again"
    assert made not in text and wrong not in text and not any(cookie in text for cookie in cookies)
    assert '"route": "/login"' in text, "each request is in the log"
