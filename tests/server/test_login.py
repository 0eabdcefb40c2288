"""Signing in with a key: the page of a server, `tracker login`, and what is kept of it."""

from __future__ import annotations

import io
import json
import os
import re
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tracker_core.servers_file import (
    KeptServer,
    KeptServers,
    ServersFileError,
    read_servers,
    same_address,
    servers_file,
    write_servers,
)
from tracker_core.settings import load_settings, merge_settings
from tracker_server.catalog.decisions import By
from tracker_server.cli import main
from tracker_server.http.api_keys import SESSION_AGE_S, new_key
from tracker_server.http.server import TrackerServer, run_server_in_background

ME_ROUTE = "/api/v1/me"
A, B = "https://a.example", "https://b.example"
ME = By("test", 1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerServer]:
    running = run_server_in_background(tmp_path_factory.mktemp("login") / "server")
    yield running
    running.close()


@pytest.fixture
def browser(server: TrackerServer) -> Iterator[httpx.Client]:
    headers = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate"}
    with httpx.Client(base_url=server.base_url, headers=headers, timeout=30.0) as client:
        yield client


# -- the page


def test_a_page_asks_for_a_key_and_leads_back(browser: httpx.Client, server: TrackerServer) -> None:
    asked = browser.get("/p/my project?x=1%202")
    assert asked.status_code == 303 and asked.headers["cache-control"] == "no-store"
    form = browser.get(asked.headers["location"])
    assert form.status_code == 200 and 'type="password"' in form.text and "<script" not in form.text
    assert form.headers["referrer-policy"] == "same-origin", "else a browser says that our own form is from nowhere"
    (target,) = re.findall(r'name="next" value="([^"]*)"', form.text)
    reply = browser.post("/login", data={"key": server.admin_key, "next": target})
    assert reply.status_code == 303 and reply.headers["location"] == "/p/my%20project?x=1%202"
    assert browser.get("/p/my project").status_code == 200
    assert browser.get(ME_ROUTE).json() == {
        "name": "first admin key",
        "scope": "admin",
        "project": None,
        "has_key": True,
    }


def test_the_cookie_is_opaque_and_closed_to_scripts_and_other_sites(
    browser: httpx.Client, server: TrackerServer
) -> None:
    reply = browser.post("/login", data={"key": f"  {server.admin_key}\n"})
    cookie = reply.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={SESSION_AGE_S}"))
    assert (server.admin_key or "") not in cookie and "tk_" not in cookie and reply.headers["location"] == "/"
    assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"key=",
        b"key=x",
        b"key=%00",
        b"\xff\xfe",
        b"next=/",
        b"&" * 5000,
        b"a=1&" * 50,
        b'{"key": "x"}',
        b"key=%ff",
    ],
)
def test_what_is_no_key_signs_nobody_in(server: TrackerServer, body: bytes) -> None:
    reply = httpx.post(f"{server.base_url}/login", content=body)
    assert reply.status_code in (401, 429) and "set-cookie" not in reply.headers
    assert 'type="password"' in reply.text


def test_a_login_of_endless_length_is_refused(server: TrackerServer) -> None:
    assert httpx.post(f"{server.base_url}/login", content=b"key=" + b"x" * (2 << 20)).status_code == 413


def test_signing_out_ends_the_session_also_for_a_copied_cookie(browser: httpx.Client, server: TrackerServer) -> None:
    browser.post("/login", data={"key": server.admin_key})
    copied = dict(browser.cookies)
    assert httpx.get(server.base_url + ME_ROUTE, cookies=copied).status_code == 200
    reply = browser.post("/logout")
    assert reply.headers["location"] == "/login" and not dict(browser.cookies)
    assert httpx.get(server.base_url + ME_ROUTE, cookies=copied).status_code == 401


def test_revoking_the_key_ends_the_session(browser: httpx.Client, server: TrackerServer) -> None:
    key, _ = server.keys.create("for a browser", "read", "p", ME)
    browser.post("/login", data={"key": key})
    assert browser.get(ME_ROUTE).json() == {"name": "for a browser", "scope": "read", "project": "p", "has_key": True}
    refused = browser.get("/p/q")
    assert refused.status_code == 403 and refused.headers["content-type"].startswith("text/html")
    server.keys.revoke("for a browser", ME)
    assert browser.get(ME_ROUTE).status_code == 401
    assert browser.get("/p/p").headers["location"] == "/login?next=/p/p"


def test_who_is_signed_in_is_not_asked_again(browser: httpx.Client, server: TrackerServer) -> None:
    browser.post("/login", data={"key": server.admin_key})
    assert browser.get("/login", params={"next": "/p/x"}).headers["location"] == "/p/x"


def test_a_link_on_another_site_finds_who_is_signed_in(server: TrackerServer) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    reply = httpx.get(f"{server.base_url}/p/x", headers=headers)
    assert reply.status_code == 200 and 'content="0;url=/p/x"' in reply.text


def test_two_server_processes_on_one_database_accept_each_others_sessions(database_url: str, tmp_path: Path) -> None:
    one = run_server_in_background(tmp_path / "shared", database_url)
    other = run_server_in_background(tmp_path / "shared", database_url)
    try:
        assert one.admin_key and other.admin_key is None
        with httpx.Client(base_url=one.base_url, timeout=30.0) as client:
            assert client.post("/login", data={"key": one.admin_key}).status_code == 303
            cookies = dict(client.cookies)
        assert httpx.get(other.base_url + ME_ROUTE, cookies=cookies).status_code == 200
        for _ in range(5):
            key = one.keys.find(one.admin_key)
            assert key is not None
            other.keys.refresh()  # it has looked a moment before somebody signs in
            later = {next(iter(cookies)): one.keys.sign_in(key)}
            assert httpx.get(other.base_url + ME_ROUTE, cookies=later).status_code == 200
        one.keys.revoke("first admin key", ME)
        deadline, pause = time.monotonic() + 30, threading.Event()
        while httpx.get(other.base_url + ME_ROUTE, cookies=cookies).status_code != 401:
            assert time.monotonic() < deadline
            pause.wait(0.05)
        assert httpx.get(one.base_url + ME_ROUTE, cookies=cookies).status_code == 401
    finally:
        one.close()
        other.close()


# -- the command


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of servers of somebody who never logged in; no server is named otherwise."""
    monkeypatch.setenv("TRACKER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("TRACKER_BASE_URL", raising=False)
    monkeypatch.delenv("TRACKER_API_KEY", raising=False)
    return tmp_path / "config" / "servers.json"


def log_in(monkeypatch: pytest.MonkeyPatch, address: str, key: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{key}\n"))
    return main(["login", address, "--key", "-"])


def test_a_login_is_kept_for_this_user_alone(
    server: TrackerServer, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = server.admin_key or ""
    assert log_in(monkeypatch, f"{server.base_url}/", key) == 0
    out, err = capsys.readouterr()
    assert "first admin key: admin on all projects" in out and key not in out + err
    if os.name != "nt":
        assert stat.S_IMODE(config.stat().st_mode) == 0o600 and stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    settings = load_settings()
    assert (settings.base_url, settings.api_key) == (server.base_url, key)
    assert main(["keys", "list"]) == 0 and "first admin key" in capsys.readouterr().out
    assert main(["logout"]) == 0 and "removed" in capsys.readouterr().out
    assert key not in config.read_text()
    settings = load_settings()
    assert (settings.base_url, settings.api_key) == (None, None)
    assert main(["logout"]) == 0 and "nothing to log out of" in capsys.readouterr().out


def test_a_key_that_the_server_refuses_is_not_kept(
    server: TrackerServer, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = new_key()
    assert log_in(monkeypatch, server.base_url, key) == 2
    assert log_in(monkeypatch, server.base_url, key[:-1] + "!") == 2
    assert log_in(monkeypatch, "http://127.0.0.1:1", key) == 2
    out, err = capsys.readouterr()
    assert "refuses" in err and "text that is no key" in err and "cannot be reached" in err
    assert key not in out + err and not config.exists()


def test_a_key_on_the_command_line_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["login", "http://localhost:1", "--key", new_key()]) == 2
    err = capsys.readouterr().err
    assert "standard input" in err and "tk_" not in err


@pytest.mark.parametrize("address", ["localhost:7080", "ftp://x", "http://user:secret@x", "http://x/?key=1", ""])
def test_what_is_no_address_is_refused(config: Path, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["login", address, "--key", "-"]) == 2
    assert "secret" not in capsys.readouterr().err


class _Portal(BaseHTTPRequestHandler):
    """Answers everything with a page, as a captive portal does, or with a redirect to one."""

    seen: list[str] = []

    def do_POST(self) -> None:
        self.seen.append(self.headers.get("authorization", ""))
        if self.path.startswith("/redirect"):
            self.send_response(307)
            self.send_header("Location", "/page")
        else:
            self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"hi")

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("path", ["", "/redirect"])
def test_what_is_no_tracker_server_is_known_for_it(
    config: Path, path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _Portal.seen = []
    portal = ThreadingHTTPServer(("127.0.0.1", 0), _Portal)
    threading.Thread(target=portal.serve_forever, daemon=True).start()
    try:
        assert log_in(monkeypatch, f"http://127.0.0.1:{portal.server_port}{path}", new_key()) == 2
    finally:
        portal.shutdown()
        portal.server_close()
    assert "no tracker server" in capsys.readouterr().err
    assert len(_Portal.seen) == 1 and not config.exists(), "a redirect is not followed with the key"


def test_the_terminal_does_not_show_the_key(server: TrackerServer, tmp_path: Path) -> None:
    """The key is typed at a real terminal, which echoes everything that it is not told to keep."""
    pty = pytest.importorskip("pty")
    script = f"import sys; from tracker_server.cli import main; sys.exit(main(['login', {server.base_url!r}]))"
    environ = {**os.environ, "TRACKER_CONFIG_DIR": str(tmp_path / "config")}
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environ,
        start_new_session=True,
    )
    os.close(terminal)
    shown = b""
    try:
        while b"not shown" not in shown:
            shown += os.read(controller, 1000)
        os.write(controller, f"{server.admin_key}\n".encode())
        while True:
            try:
                part = os.read(controller, 1000)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
    finally:
        process.wait(60)
        os.close(controller)
    assert process.returncode == 0 and b"Logged in" in shown and (server.admin_key or "").encode() not in shown


# -- the file, and which key goes to which server


def keep(*addresses: str, default: str = "") -> None:
    servers = {address: KeptServer(f"key of {address}") for address in addresses}
    write_servers(KeptServers(default or addresses[0], servers), os.environ)


def found(settings: object) -> tuple[str | None, str | None]:
    return settings.base_url, settings.api_key  # type: ignore[attr-defined]


def test_the_file_counts_least(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(A, B)
    assert found(load_settings()) == (A, f"key of {A}")
    assert found(load_settings({"base_url": B})) == (B, f"key of {B}")
    assert found(load_settings({"base_url": f"{B}/"})) == (f"{B}/", f"key of {B}")
    assert found(load_settings({"base_url": B, "api_key": "given"})) == (B, "given")
    assert found(load_settings({"api_key": "given"})) == (A, "given")
    monkeypatch.setenv("TRACKER_BASE_URL", B)
    assert found(load_settings()) == (B, f"key of {B}")
    monkeypatch.setenv("TRACKER_API_KEY", "of the environment")
    assert found(load_settings()) == (B, "of the environment")
    monkeypatch.setenv("TRACKER_BASE_URL", "")
    assert load_settings().base_url is None, "set to nothing: this process stays here"


def test_a_key_never_goes_to_another_server(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "https://other.example"
    keep(A)
    assert found(load_settings({"base_url": other})) == (other, None)
    assert found(merge_settings(load_settings(), {"base_url": other})) == (other, None)
    assert found(merge_settings(load_settings(), {"base_url": other, "api_key": "k"})) == (other, "k")
    monkeypatch.setenv("TRACKER_BASE_URL", B)
    monkeypatch.setenv("TRACKER_API_KEY", "of b")
    assert found(load_settings({"base_url": other})) == (other, None)
    assert found(load_settings({"base_url": A})) == (A, f"key of {A}")
    assert found(merge_settings(load_settings(), {"base_url": other})) == (other, None)
    assert found(merge_settings(load_settings(), {"base_url": A})) == (A, f"key of {A}")
    assert found(merge_settings(load_settings(), {"base_url": f"{B}/"})) == (f"{B}/", "of b")
    monkeypatch.delenv("TRACKER_BASE_URL")
    assert found(merge_settings(load_settings({"api_key": "k"}, {}), {"base_url": other})) == (other, "k")


def test_neither_is_read_from_a_tracker_folder(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".tracker").mkdir()
    for name in ("servers.json", "settings.json", "config"):
        (tmp_path / ".tracker" / name).write_text(
            '{"default": "https://evil.example", "base_url": "https://evil.example"}'
        )
    assert found(load_settings()) == (None, None)


@pytest.mark.skipif(os.name == "nt", reason="the file's mode says nothing there")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604, 0o666])
def test_a_file_that_others_can_read_or_write_is_not_used(config: Path, mode: int) -> None:
    keep(A)
    config.chmod(mode)
    with pytest.raises(ServersFileError, match="chmod 600"):
        read_servers(os.environ)
    assert found(load_settings()) == (None, None), "and nothing is raised into a training"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"servers": {"x": 1}}', b"\xff", b'{"default": 7}'])
def test_a_file_that_cannot_be_understood_is_not_used(config: Path, content: bytes) -> None:
    keep(A)
    config.write_bytes(content)
    assert found(load_settings()) == (None, None)
    with pytest.raises(ServersFileError, match="log in again"):
        read_servers(os.environ)


def test_a_pipe_in_its_place_holds_nobody_up(config: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    config.parent.mkdir()
    os.mkfifo(config, 0o600)
    with pytest.raises(ServersFileError):
        read_servers(os.environ)


def test_where_the_file_is() -> None:
    if os.name == "nt":
        assert servers_file({"APPDATA": "C:\\A"}) == "C:\\A\\tracker\\servers.json"
        return
    assert servers_file({}) is None and servers_file({"XDG_CONFIG_HOME": "relative"}) is None
    assert servers_file({"HOME": "/h"}) == "/h/.config/tracker/servers.json"
    assert servers_file({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}) == "/x/tracker/servers.json"
    assert servers_file({"HOME": "/h", "TRACKER_CONFIG_DIR": "/t"}) == "/t/servers.json"
    with pytest.raises(ServersFileError, match="no place"):
        write_servers(KeptServers(), {})


def test_a_write_that_fails_leaves_the_file_as_it_was(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(A)

    def fail(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no"):
        keep(B)
    monkeypatch.undo()
    assert list(config.parent.iterdir()) == [config] and json.loads(config.read_text())["default"] == A


def test_an_address_is_the_same_however_it_is_written() -> None:
    assert same_address(" HTTPS://A.Example/ ") == A
    assert same_address("http://x:80/sub/") == "http://x:80/sub" != same_address("https://x:80/sub")
    assert same_address("http://[") == "http://["
