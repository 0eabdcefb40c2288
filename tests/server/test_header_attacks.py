"""Attacks by headers, on every route of both servers: forged Host, other sites, forged forwarding, framing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from tracker_core import UsageError
from tracker_server.http.allowed_hosts import AllowedHosts
from tracker_server.http.api_keys import new_key
from tracker_server.http.cross_site import is_cross_site
from tracker_server.http.forwarded import ForwardedHeaders
from tracker_server.http.server import TrackerServer, run_server_in_background
from tracker_server.http.sign_in_pages import hop_page, login_page, own_path
from tracker_server.http.ui_server import UiServer
from tracker_server.http.wrong_keys import N_AT_ONCE

from .test_routes_matrix import address, ask

KEYS = "/api/v1/keys"
FORGED_HOSTS = [
    "evil.example",
    "evil.example:7080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.example#localhost",
    "evil.example/localhost",
    "localhost@evil.example",
    "evil.example:80@localhost",
    "evil.example:localhost",
    "localhost, evil.example",
    "localhost evil.example",
    "[::1].evil.example",
    "[::1]evil",
    "[::2]",
    "::1",
    "0.0.0.0",
    "127.1",
    "2130706433",
    "localhost:x",
    "localhost:80:80",
    "*",
    "*.example.org",
    "",
    "\xe9vil.example",
]
OTHER_SITES = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    {"sec-fetch-site": "anything"},
    {"sec-fetch-site": ""},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "http://127.0.0.1:1"},
    {"origin": "http://["},
    {"origin": "http://127.0.0.1.evil.example"},
    {"origin": "file://"},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerServer]:
    running = run_server_in_background(tmp_path_factory.mktemp("attacked") / "server")
    yield running
    running.close()


@pytest.fixture(scope="module")
def admin(server: TrackerServer) -> Iterator[httpx.Client]:
    """A client whose key may do everything."""
    headers = {"authorization": f"Bearer {server.admin_key}"}
    with httpx.Client(base_url=server.base_url, headers=headers, timeout=30.0) as client:
        yield client


@pytest.fixture(scope="module")
def browser(server: TrackerServer) -> Iterator[httpx.Client]:
    """A browser that was signed in with that key."""
    with httpx.Client(base_url=server.base_url, timeout=30.0) as client:
        assert client.post("/login", data={"key": server.admin_key}).status_code == 303
        yield client


@pytest.fixture(scope="module")
def clients(
    admin: httpx.Client,
    browser: httpx.Client,
    quiet_client: httpx.Client,
    server: TrackerServer,
    quiet_server: UiServer,
) -> list[tuple[httpx.Client, TrackerServer | UiServer]]:
    return [(admin, server), (browser, server), (quiet_client, quiet_server)]


def every_route(running: TrackerServer | UiServer) -> Iterator[tuple[str, str]]:
    for route in running.app.state.declared:
        yield route.method, address(route)


# -- Host


def test_a_forged_host_is_refused_on_every_route(clients: list[Any]) -> None:
    for client, running in clients:
        for method, path in every_route(running):
            for headers in ({"host": "evil.example"}, {"host": "evil.example", "x-forwarded-host": "localhost"}):
                assert ask(client, method, path, headers) == 403, (method, path)


@pytest.mark.parametrize("host", FORGED_HOSTS)
def test_every_way_of_forging_a_host_is_refused(admin: httpx.Client, host: str) -> None:
    reply = admin.get(KEYS, headers={"host": host.encode("latin-1")})
    assert reply.status_code in (400, 403)
    assert "first admin key" not in reply.text


@pytest.mark.parametrize("hosts", [("localhost", "evil.example"), ("evil.example", "localhost"), ()])
def test_two_hosts_or_none_are_refused(server: TrackerServer, hosts: tuple[str, ...]) -> None:
    lines = [f"GET {KEYS} HTTP/1.1", *(f"Host: {host}" for host in hosts)]
    lines += [f"Authorization: Bearer {server.admin_key}", "Connection: close"]
    assert raw(server, "\r\n".join(lines) + "\r\n\r\n").split()[1] in (b"400", b"403")


def raw(server: TrackerServer, text: str) -> bytes:
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        connection.sendall(text.encode("latin-1"))
        found = b""
        while part := connection.recv(1 << 16):
            found += part
    return found


def test_the_address_in_the_request_line_does_not_count_as_the_host(server: TrackerServer) -> None:
    key = f"Authorization: Bearer {server.admin_key}"
    text = f"GET http://localhost{KEYS} HTTP/1.1\r\nHost: evil.example\r\n{key}\r\nConnection: close\r\n\r\n"
    found = raw(server, text)
    assert b"first admin key" not in found and found.split()[1] != b"200"


def test_a_request_within_a_request_is_not_answered(server: TrackerServer) -> None:
    inner = f"GET {KEYS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.admin_key}\r\n\r\n"
    for framing in ("Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: xchunked"):
        text = f"POST /login HTTP/1.1\r\nHost: localhost\r\n{framing}\r\nConnection: close\r\n\r\n0\r\n\r\n{inner}"
        assert b"first admin key" not in raw(server, text)


def test_the_names_of_this_machine_and_of_the_setting_are_served(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKER_ALLOWED_HOSTS", "tracker.example.com,*.lab.example")
    running = run_server_in_background(tmp_path_factory.mktemp("named") / "server")
    try:
        status = {
            host: httpx.get(f"{running.base_url}/health", headers={"host": host}).status_code
            for host in ("tracker.example.com", "a.lab.example:1", socket.gethostname(), "lab.example", "example.com")
        }
    finally:
        running.close()
    assert list(status.values()) == [200, 200, 200, 403, 403], status


def test_an_ipv6_address_is_allowed_as_it_is_written() -> None:
    hosts = AllowedHosts(["2001:db8::1", "[2001:db8::2]"])
    assert hosts.is_allowed("[2001:db8::1]:7080") and hosts.is_allowed("[2001:DB8::2]")
    assert not hosts.is_allowed("2001:db8::1") and not hosts.is_allowed("[2001:db8::3]")


# -- other sites


def test_another_site_is_refused_on_every_route_and_method(clients: list[Any]) -> None:
    for client, running in clients:
        for path in dict.fromkeys(path for _, path in every_route(running)):
            for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
                for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
                    assert ask(client, method, path, headers) == 403, (method, path)


@pytest.mark.parametrize("headers", OTHER_SITES)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_every_sign_of_another_site_counts(browser: httpx.Client, headers: dict[str, str], method: str) -> None:
    assert ask(browser, method, KEYS, headers) == 403


def test_a_form_on_another_site_cannot_sign_anybody_in(server: TrackerServer) -> None:
    for headers in OTHER_SITES:
        headers = {**headers, "sec-fetch-mode": "navigate"}
        reply = httpx.post(f"{server.base_url}/login", data={"key": server.admin_key}, headers=headers)
        assert reply.status_code == 403 and "set-cookie" not in reply.headers


def test_our_own_page_may_call(browser: httpx.Client, server: TrackerServer) -> None:
    for headers in (
        {"sec-fetch-site": "same-origin", "origin": server.base_url},
        {"origin": server.base_url},
        {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
    ):
        assert browser.get(KEYS, headers=headers).status_code == 200
    assert is_cross_site("POST", "localhost:1", None, None, "https://localhost:1") is False


def test_no_reply_lets_another_site_read_or_frame_it(clients: list[Any]) -> None:
    for client, running in clients:
        for method, path in every_route(running):
            for headers in ({}, {"origin": str(client.base_url).rstrip("/")}, {"host": "evil.example"}):
                with client.stream(method, path, headers=headers) as reply:
                    found = reply.headers
                where = (method, path, reply.status_code)
                # Only our own pages frame it, and it runs in an origin of its own.
                is_frame = path.endswith("/plotly/frame") and reply.status_code == 200
                ancestors, options = ("'self'", "SAMEORIGIN") if is_frame else ("'none'", "DENY")
                policy = found["content-security-policy"]
                assert f"frame-ancestors {ancestors}" in policy and "allow-same-origin" not in policy, where
                assert not is_frame or policy.startswith("sandbox allow-scripts;"), where
                assert found["x-frame-options"] == options and found["x-content-type-options"] == "nosniff", where
                assert found["cross-origin-resource-policy"] == "same-origin", where
                assert not [name for name in found if name.startswith("access-control-")], where
                assert "server" not in found and "x-powered-by" not in found, where
        if "tracker_server_session" not in client.cookies and running is clients[1][1]:
            client.post("/login", data={"key": running.admin_key})  # the walk has signed it out


# -- forwarding


FORGED_FORWARDING = {
    "x-forwarded-for": "10.9.8.7",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "evil.example",
    "x-forwarded-prefix": "/evil",
    "forwarded": "for=10.9.8.7;host=evil.example;proto=https",
    "x-real-ip": "10.9.8.7",
    "x-original-url": KEYS,
    "x-rewrite-url": KEYS,
    "x-http-method-override": "DELETE",
}


def test_forwarding_told_by_a_stranger_changes_nothing_on_any_route(clients: list[Any]) -> None:
    for client, running in clients:
        for method, path in every_route(running):
            if path == "/logout":
                continue
            plain, forged = ask(client, method, path, {}), ask(client, method, path, FORGED_FORWARDING)
            assert plain == forged, (method, path)
    with httpx.Client() as stranger:
        for _, running in clients:
            for method, path in every_route(running):
                url = running.base_url + path
                reply = stranger.request(method, url, headers=FORGED_FORWARDING)
                assert reply.status_code == stranger.request(method, url).status_code, (method, path)
                assert "evil.example" not in reply.text + str(reply.headers)


def test_a_stranger_cannot_hide_behind_forged_addresses(tmp_path_factory: pytest.TempPathFactory) -> None:
    running = run_server_in_background(tmp_path_factory.mktemp("throttled") / "server")
    try:
        with httpx.Client(base_url=running.base_url) as client:
            for number in range(N_AT_ONCE + 3):
                headers = {"x-forwarded-for": f"10.0.0.{number}", "authorization": f"Bearer {new_key()}"}
                status = client.get(KEYS, headers=headers).status_code
            assert status == 429
    finally:
        running.close()


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerServer]:
    patch = pytest.MonkeyPatch()
    patch.setenv("TRACKER_ALLOWED_HOSTS", "tracker.example.com")
    folder = tmp_path_factory.mktemp("proxied") / "server"
    running = run_server_in_background(folder, trusted_proxies=("127.0.0.1", "10.1.0.0/16"))
    yield running
    running.close()
    patch.undo()


THROUGH_PROXY = {"x-forwarded-host": "tracker.example.com", "x-forwarded-proto": "https"}


def test_a_trusted_proxy_is_believed_the_host_and_the_scheme(proxied: TrackerServer) -> None:
    login = f"{proxied.base_url}/login"
    reply = httpx.post(login, data={"key": proxied.admin_key}, headers=THROUGH_PROXY)
    cookie = reply.headers["set-cookie"]
    assert cookie.startswith("__Host-tracker_server_session=") and "; Secure" in cookie and "Domain" not in cookie
    value = cookie.partition(";")[0]
    listing = f"{proxied.base_url}{KEYS}"
    own = {**THROUGH_PROXY, "cookie": value, "origin": "https://tracker.example.com"}
    assert httpx.get(listing, headers=own).status_code == 200
    assert httpx.get(listing, headers={**own, "origin": "https://evil.example"}).status_code == 403
    assert httpx.get(listing, headers={**own, "x-forwarded-host": "evil.example"}).status_code == 403
    assert (
        httpx.get(listing, headers={**own, "x-forwarded-host": "tracker.example.com, evil.example"}).status_code == 403
    )
    plain = {"cookie": value.replace("__Host-", "")}
    assert httpx.get(listing, headers={**THROUGH_PROXY, **plain}).status_code == 401, "put there by a plain page"


def test_throttling_behind_a_trusted_proxy_is_by_the_client_that_it_tells(proxied: TrackerServer) -> None:
    def status(forwarded_for: str) -> int:
        headers = {"x-forwarded-for": forwarded_for, "authorization": f"Bearer {new_key()}"}
        return client.get(KEYS, headers=headers).status_code

    with httpx.Client(base_url=proxied.base_url) as client:
        while status("8.8.8.8") != 429:
            pass
        assert status("9.9.9.9") == 401
        # What stands before the address that our own proxies saw is the client's own word.
        assert status("1.2.3.4, 8.8.8.8") == 429 and status("1.2.3.4, 8.8.8.8, 10.1.2.3") == 429


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("10.1.0.1", "8.8.8.8", "8.8.8.8"),
        ("10.1.0.1", "1.1.1.1, 8.8.8.8, 10.1.0.2", "8.8.8.8"),
        ("10.1.0.1", "10.1.0.3, 10.1.0.2", "10.1.0.3"),
        ("10.1.0.1", "", "10.1.0.1"),
        ("10.1.0.1", "nonsense", "10.1.0.1"),
        ("10.1.0.1", "8.8.8.8, nonsense, 10.1.0.2", "10.1.0.2"),
        ("10.1.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.1.0.1", "unknown, ,8.8.8.8", "8.8.8.8"),
        ("8.8.8.8", "10.1.0.1", "8.8.8.8"),
        ("", "8.8.8.8", ""),
    ],
)
def test_the_client_is_the_one_that_the_last_trusted_proxy_saw(peer: str, forwarded_for: str, client: str) -> None:
    with ThreadPoolExecutor(1) as thread:  # in this one a browser's loop may be running
        seen = thread.submit(asyncio.run, seen_behind(peer, forwarded_for)).result()
    assert seen == (client, [b"host"])


async def seen_behind(peer: str, forwarded_for: str) -> tuple[str, list[bytes]]:
    """Return the client and the headers that an application sees."""
    found: list[tuple[str, list[bytes]]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append((scope["client"][0], [name for name, _ in scope["headers"]]))

    scope = {
        "type": "http",
        "client": (peer, 1),
        "scheme": "http",
        "headers": [(b"host", b"localhost"), (b"x-forwarded-for", forwarded_for.encode()), (b"X-Real-IP", b"1.1.1.1")],
    }
    await ForwardedHeaders(app, ["10.1.0.0/16"])(scope, None, None)  # type: ignore[arg-type]
    return found[0]


def test_what_is_no_address_cannot_be_trusted() -> None:
    for text in ("proxy.example", "", "10.0.0.0/99", "*"):
        with pytest.raises(UsageError, match="trusted_proxies"):
            ForwardedHeaders(None, [text])  # type: ignore[arg-type]


# -- where a login leads


ELSEWHERE = [
    "https://evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    "%2f%2fevil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "evil.example",
    "@evil.example",
    ".evil.example",
    "",
    "/" + "x" * 5000,
    "/é",
    "/\x00",
    "/ x",
]


@pytest.mark.parametrize("target", ELSEWHERE)
def test_a_login_leads_to_no_other_site(server: TrackerServer, browser: httpx.Client, target: str) -> None:
    assert own_path(target) == "/"
    posted = httpx.post(f"{server.base_url}/login", data={"key": server.admin_key, "next": target})
    assert posted.status_code == 303 and posted.headers["location"] == "/"
    shown = httpx.get(f"{server.base_url}/login", params={"next": target})
    assert 'name="next" value="/"' in shown.text
    if "\x00" not in target:
        again = browser.get("/login", params={"next": target})
        assert again.status_code in (200, 303) and again.headers.get("location", "/") == "/"


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example", "/p/x%0d%0aset-cookie:a=b", '/p/"><script>x'])
def test_asking_for_a_page_leads_to_no_other_site(server: TrackerServer, path: str) -> None:
    for headers in ({}, {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}):
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", *(f"{n}: {v}" for n, v in headers.items())]
        found = raw(server, "\r\n".join(lines) + "\r\nConnection: close\r\n\r\n").decode("latin-1")
        head, _, body = found.partition("\r\n\r\n")
        for line in head.split("\r\n"):
            if line.lower().startswith("location:"):
                target = urljoin("http://localhost/", line.partition(":")[2].strip())
                assert urlsplit(target).netloc == "localhost" and urlsplit(target).path == "/login"
        assert "\nset-cookie:" not in head.lower() and "<script" not in body and "url=//" not in body


@pytest.mark.parametrize("text", ['"><script>alert(1)</script>', "/'\"><img src=x onerror=alert(1)>", "/&quot;><svg>"])
def test_what_is_put_into_a_page_stays_text(text: str) -> None:
    for make in (login_page, hop_page):
        for sign in ("<script", "<img", "<svg", "<", '"'):
            assert make(text).count(sign) == make("/x").count(sign)
