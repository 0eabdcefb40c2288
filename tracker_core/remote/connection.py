"""Requests to one server: timeouts, retries of what may be asked twice, and clear errors."""

from __future__ import annotations

import contextlib
import io
import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ..errors import UsageError
from ..sync.wire import CONTENT_TYPE, PROTOCOL, PROTOCOL_HEADER
from ..version import __version__
from .server_address import is_loopback, server_address
from .server_errors import (
    BrokenReplyError,
    NotPermittedError,
    NoTrackerServerError,
    RequestTooLargeError,
    ServerAwayError,
    ServerError,
    ServerVersionError,
    WrongKeyError,
)

if TYPE_CHECKING:
    import requests

PREFIX = "/api/v1"
# Pauses before what may be asked twice is asked again.
PAUSES_S = (0.2, 0.5, 1.0)
_CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0
_MAX_RETRY_AFTER_S = 30.0
_MAX_ERROR_BYTES = 64 << 10
_SMALL_BODY_BYTES = 64 << 10
_AWAY_STATUSES = (429, 502, 503, 504)

T = TypeVar("T")


class FaultReply(Exception):  # noqa: N818  it is handed on as the error that the body describes
    """The server answered with an error of its own, in the form of `tracker_server.remote.exact_wire`."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status, self.body = status, body


class _Detail(msgspec.Struct):
    where: str = ""
    got: str = ""
    expected: str = ""
    remedy: str = ""


class _ErrorBody(msgspec.Struct):
    error: _Detail


class _Health(msgspec.Struct):
    status: str
    version: str


class Reply:
    """An answer whose body is read as it comes. Close it, or use it as a context manager."""

    def __init__(self, response: requests.Response, where: str) -> None:
        self._response = response
        self._where = where

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    def read(self, n: int) -> bytes:
        """Return up to `n` bytes of the body, b"" at its end.

        Raises:
            BrokenReplyError: the connection broke.
            ServerError: nothing came in time.
        """
        import requests
        from urllib3.exceptions import HTTPError, ReadTimeoutError

        try:
            found: bytes = self._response.raw.read(n, decode_content=False)
        except ReadTimeoutError as error:
            raise _silent(self._where, "nothing more of the reply within the time allowed") from error
        except (HTTPError, requests.RequestException, OSError) as error:
            raise broken(self._where, _reason(error)) from error
        return found

    def read_exactly(self, n: int) -> bytes:
        """Return `n` bytes; raises BrokenReplyError where there are fewer."""
        parts: list[bytes] = []
        while n > 0:
            part = self.read(n)
            if not part:
                raise broken(self._where, "the end of the reply before its end")
            parts.append(part)
            n -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Let go of it."""
        self._response.close()

    def __enter__(self) -> Reply:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class ServerConnection:
    """Asks one server. Thread-safe; a process that was forked gets connections of its own.

    Redirects are not followed: a key goes to the server it is for, and nowhere else. Certificates are checked;
    REQUESTS_CA_BUNDLE names further ones. Proxies of the environment are used, but not for this machine.

    Args:
        base_url: the server's address.
        api_key: sent with every request.
        pauses_s: before each further attempt of what may be asked twice.
        read_timeout_s: how long the server may be silent.

    Attributes:
        address: the server's address, without a slash at its end.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        pauses_s: Sequence[float] = PAUSES_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self.address = server_address(base_url)
        self._key = _checked_key(api_key)
        self._pauses_s = pauses_s
        self._timeout_s = (_CONNECT_TIMEOUT_S, read_timeout_s)
        self._lock = threading.Lock()
        self._session: requests.Session | None = None
        self._pid = 0

    def __repr__(self) -> str:
        return f"<connection to {self.address}>"

    def ask(
        self,
        method: str,
        path: str,
        read: Callable[[Reply], T],
        params: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        may_repeat: bool = True,
    ) -> T:
        """Return what `read` makes of the reply to a request below `PREFIX`.

        Args:
            method, path, params, body: of the request; the path is escaped already.
            read: reads the reply; called again where the reply broke off and the request may be repeated.
            may_repeat: whether asking twice does no harm.

        Raises:
            FaultReply: the server says what is wrong.
            ServerError: there is no answer.
        """

        def once() -> T:
            with self._send(method, path, params, body) as reply:
                return read(reply)

        if may_repeat:
            return self._repeated(once)
        try:
            return once()
        except ServerAwayError as error:
            remedy = f"look whether it was done before you try again; {error.remedy}"
            raise ServerAwayError(error.where, error.got, error.expected, remedy) from error

    def open(self, method: str, path: str, params: Mapping[str, Any] | None = None, body: bytes | None = None) -> Reply:
        """Return the reply to a request that may be repeated, of which nothing is read yet; errors as of `ask`."""
        return self._repeated(lambda: self._send(method, path, params, body))

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._session is not None and self._pid == os.getpid():
                self._session.close()
            self._session = None

    def _repeated(self, once: Callable[[], T]) -> T:
        for pause_s in self._pauses_s:
            try:
                return once()
            except ServerAwayError as error:
                wait_s = getattr(error, "retry_after_s", None)
                time.sleep(pause_s * (0.5 + random.random()) if wait_s is None else wait_s)
        return once()

    def _send(self, method: str, path: str, params: Mapping[str, Any] | None, body: bytes | None) -> Reply:
        import requests

        where = f"{method} {self.address}{PREFIX}{path}"[:300]
        try:
            response = self._request(method, path, params, body)
        except requests.RequestException as error:
            raise self._unreached(where, error) from error
        is_ours = response.headers.get(PROTOCOL_HEADER) == str(PROTOCOL)
        if is_ours and response.status_code == 200 and "Content-Encoding" not in response.headers:
            return Reply(response, where)
        with contextlib.closing(response):
            raise self._refused(where, response)

    def _request(
        self, method: str, path: str, params: Mapping[str, Any] | None = None, body: bytes | None = None
    ) -> requests.Response:
        # None stands against what the environment says.
        no_proxies: Any = {"http": None, "https": None, "all": None}
        return self._own_session().request(
            method,
            f"{self.address}{PREFIX}{path}",
            params=params,
            # As a file, a body is sent in pieces, and the time limit holds for each of them.
            data=body if body is None or len(body) <= _SMALL_BODY_BYTES else io.BytesIO(body),
            headers={"Content-Type": CONTENT_TYPE} if body is not None else None,
            timeout=self._timeout_s,
            allow_redirects=False,
            stream=True,
            proxies=no_proxies if is_loopback(self.address) else None,
        )

    def _own_session(self) -> requests.Session:
        with self._lock:
            if self._session is None or self._pid != os.getpid():
                self._session, self._pid = _new_session(self._key), os.getpid()
            return self._session

    def _unreached(self, where: str, error: Exception) -> ServerError:
        import requests

        if isinstance(error, requests.exceptions.SSLError):
            remedy = "use the name that the certificate is for; one of your own is trusted with REQUESTS_CA_BUNDLE=FILE"
            return NoTrackerServerError(where, _reason(error), "a certificate that can be trusted", remedy)
        if isinstance(error, requests.exceptions.ReadTimeout):
            return _silent(where, f"no answer within {self._timeout_s[1]:g} s")
        remedy = "check the address, and that the server is running and can be reached from here"
        return ServerAwayError(where, _reason(error), "a tracker server that answers", remedy)

    def _refused(self, where: str, response: requests.Response) -> Exception:
        """Return the error that a reply is which is no answer."""
        status, protocol = response.status_code, response.headers.get(PROTOCOL_HEADER)
        body = Reply(response, where).read(_MAX_ERROR_BYTES)
        if protocol is not None and protocol != str(PROTOCOL):
            return _other_version(where, f"a server that speaks version {protocol[:20]!r} of the protocol")
        if protocol is not None and status != 200 and status not in _AWAY_STATUSES:
            return FaultReply(status, body)
        if status == 413:
            remedy = "raise what a proxy in between takes: nginx' client_max_body_size, see docs/server.md"
            return RequestTooLargeError(where, "a request that is too large (413)", "a smaller one", remedy)
        detail = _detail(body)
        if 300 <= status < 400:
            target = response.headers.get("Location", "nowhere")[:200]
            remedy = "if you trust that address, name it as the server's; redirects are not followed"
            return NoTrackerServerError(where, f"a redirect to {target!r}", "a tracker server", remedy)
        if status == 401:
            return self._wrong_key(where, detail)
        if status == 403 and detail is not None:
            return NotPermittedError(where, detail.got, detail.expected, detail.remedy)
        if status in _AWAY_STATUSES:
            return _busy(where, status, detail, response.headers.get("Retry-After"))
        if status in (404, 405) and (found := self._version()) is not None:
            return _other_version(where, f"a tracker server of version {found}, which does not know this request")
        if detail is not None:
            return ServerError(where, f"{detail.got} (status {status})", detail.expected, detail.remedy)
        return _no_server(where, response, body)

    def _wrong_key(self, where: str, detail: _Detail | None) -> ServerError:
        got = "no key" if self._key is None else "a key that the server does not know"
        remedy = f"run `tracker login {self.address}`, or set TRACKER_API_KEY to a key that is valid there"
        if detail is None:
            got = f"{got}, or a sign-in page of something in between"
        return WrongKeyError(where, got, "a valid key", remedy)

    def _version(self) -> str | None:
        """Return the version of the server, None where there is none."""
        import requests
        from urllib3.exceptions import HTTPError

        try:
            with self._request("GET", "/health") as response:
                found = response.raw.read(_MAX_ERROR_BYTES, decode_content=False)
                return msgspec.json.decode(found, type=_Health).version[:40] if response.status_code == 200 else None
        except (requests.RequestException, HTTPError, msgspec.MsgspecError, OSError):
            return None


def _silent(where: str, got: str) -> ServerError:
    """Return the error for a server that took a request and says nothing: asking again would make it busier."""
    remedy = "look whether the server is busy, and try again; Api(timeout=) waits longer"
    return ServerError(where, got, "an answer", remedy)


def broken(where: str, got: str) -> BrokenReplyError:
    """Return the error for a reply that broke off."""
    remedy = "try again; where it happens again and again, look at the server's log and what is in between"
    return BrokenReplyError(where, got, "the whole reply", remedy)


def _new_session(key: str | None) -> requests.Session:
    from http.cookiejar import DefaultCookiePolicy

    import requests

    session = requests.Session()

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if key is not None:
            request.headers["Authorization"] = f"Bearer {key}"
        return request

    session.auth = sign  # without one requests would send what ~/.netrc has for this host
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers["User-Agent"] = f"tracker/{__version__}"
    # Nothing is unpacked here, so that no reply is larger than it came.
    session.headers["Accept-Encoding"] = "identity"
    return session


def _checked_key(key: str | None) -> str | None:
    if key is None or not (key := key.strip()):
        return None
    if not key.isascii() or not key.isprintable():
        raise UsageError("Api(api_key=)", "a key with characters that no key has", "a key", "copy it again")
    return key


def _detail(body: bytes) -> _Detail | None:
    try:
        return msgspec.json.decode(body, type=_ErrorBody).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _busy(where: str, status: int, detail: _Detail | None, retry_after: str | None) -> ServerAwayError:
    got = f"status {status}" if detail is None else f"{detail.got} (status {status})"
    remedy = "try again later" if detail is None else detail.remedy
    error = ServerAwayError(where, got, "an answer", remedy)
    if retry_after is not None and retry_after.isdecimal():
        error.retry_after_s = min(float(retry_after), _MAX_RETRY_AFTER_S)  # type: ignore[attr-defined]
    return error


def _other_version(where: str, got: str) -> ServerVersionError:
    remedy = "install the same version on both sides; `tracker --version` shows this one"
    return ServerVersionError(where, got, f"one that goes with version {__version__}", remedy)


def _no_server(where: str, response: requests.Response, body: bytes) -> NoTrackerServerError:
    kind = response.headers.get("Content-Type", "no type").partition(";")[0][:60]
    got = f"a reply of type {kind} with status {response.status_code} that no tracker server sends"
    remedy = "check the address; a network that wants you to sign in, or a proxy, may have answered in its place"
    if b"<html" in body[:4096].lower():
        got = f"a web page (status {response.status_code}) in place of an answer"
    return NoTrackerServerError(where, got, "a tracker server", remedy)


def _reason(error: BaseException) -> str:
    """Return what went wrong at the bottom of it, in few words and without a key."""
    text = str(error)
    for name, shown in _REASONS.items():
        if name in text:
            return shown
    return f"{type(error).__name__}: {text}"[:200]


_REASONS = {
    "Connection refused": "no server there: the connection was refused",
    "Name or service not known": "a name that nobody knows",
    "Temporary failure in name resolution": "a name that cannot be looked up now",
    "nodename nor servname": "a name that nobody knows",
    "getaddrinfo failed": "a name that nobody knows",
    "No route to host": "no way to that host",
    "Network is unreachable": "no network",
    "ConnectTimeout": "no answer to the attempt to connect",
    "CERTIFICATE_VERIFY_FAILED": "a certificate that is not trusted",
    "WRONG_VERSION_NUMBER": "something that does not speak TLS",
    "Connection reset": "a connection that was reset",
    "Remote end closed": "a connection that was closed without an answer",
    "Connection aborted": "a connection that broke",
}
