"""One request to a tracker server, and what its reply means. Nothing but a tracker's own reply counts as one.

Redirects are not followed, since a key must not go elsewhere. Proxies and certificates are those of `requests`
(HTTPS_PROXY, REQUESTS_CA_BUNDLE), except that this machine is never reached through a proxy.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urlsplit

import msgspec

from ..errors import TrackerError
from ..version import __version__
from .sync_folder import server_address, shown_address
from .wire import CONTENT_TYPE, PROTOCOL, PROTOCOL_HEADER, FileAck

if TYPE_CHECKING:
    import requests

_SYNC = "/api/v1/sync"
_MAX_REPLY_BYTES = 16 << 20
_CONNECT_S = 10.0
_LITTLE_BYTES = 512
_MAX_STUCK = 4
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_Reply = TypeVar("_Reply")


class SyncError(TrackerError):
    """A request that did not do what it was to do. `retry_after_s` is what the server asked for."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class AwayError(SyncError):
    """No server answers, or something that is no tracker server does, or it asks to come back later."""


class BusyError(AwayError):
    """The server asks to come back later (429, 503)."""


class KeyRefusedError(SyncError):
    """The server does not take the key."""


class TooLargeError(SyncError):
    """The server, or a proxy before it, does not take so much in one request."""


class RefusedRequestError(SyncError):
    """The server finds something wrong with this very request."""


class ServerFaultError(AwayError):
    """The server broke off with an error of its own, which may be due to this very request."""


@dataclass(frozen=True, slots=True)
class Prepared(Generic[_Reply]):
    """A request as it will be sent."""

    method: str
    url: str
    body: bytes
    headers: dict[str, str]
    reply: type[_Reply]


class Transport:
    """Talks to one server. One request at a time; `start` lets the caller do something else meanwhile.

    Args:
        base_url: the server's address.
        api_key: the key for it.
        session: sends the requests. Default: a new `requests.Session`, and another one after trouble.
        timeout_s: how long a server may be silent.
        deadline_s: how long a request may take in all.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        session: requests.Session | None = None,
        timeout_s: float = 30.0,
        deadline_s: float = 300.0,
    ) -> None:
        self.address = shown_address(base_url)
        self.last_s = 0.0
        self._url = server_address(base_url) + _SYNC
        self._key = api_key
        self._given, self._session = session, session
        self._timeout_s = timeout_s
        self._deadline_s = deadline_s
        self._stuck: list[threading.Thread] = []
        self._compress = _compressor()

    def call(self, route: str, request: Any, reply: type[_Reply]) -> _Reply:
        """Post a struct and return the server's.

        Raises:
            SyncError: one of the kinds above.
        """
        return self.start(self.prepare(route, request, reply))()

    def prepare(self, route: str, request: Any, reply: type[_Reply]) -> Prepared[_Reply]:
        """Return a struct ready to be posted. May be done while another request is on its way."""
        body = msgspec.msgpack.encode(request)
        headers = {"Content-Type": CONTENT_TYPE}
        if self._compress is not None and len(body) > _LITTLE_BYTES:
            body = self._compress(body)
            headers["Content-Encoding"] = "zstd"
        return Prepared("POST", f"{self._url}/{route}", body, headers, reply)

    def put_file(self, path: str, data: bytes) -> FileAck:
        """Send a part of a file; `path` is what follows "files/" in the address, with its query."""
        url = f"{self._url}/files/{path}"
        return self.start(Prepared("PUT", url, data, {"Content-Type": "application/octet-stream"}, FileAck))()

    def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None and self._session is not self._given:
            self._session.close()
            self._session = None

    def start(self, request: Prepared[_Reply]) -> Callable[[], _Reply]:
        """Begin to send; the function returned waits for the reply, and raises what `call` raises."""
        self._stuck = [thread for thread in self._stuck if thread.is_alive()]
        if len(self._stuck) >= _MAX_STUCK:
            raise AwayError(f"{self.address} takes requests and does not answer them")
        done: list[_Reply | BaseException] = []
        session = self._opened()

        def work() -> None:
            began_s = time.monotonic()
            try:
                done.append(self._send(session, request))
            except BaseException as error:  # noqa: BLE001
                done.append(error)
            self.last_s = time.monotonic() - began_s

        thread = threading.Thread(target=work, name="tracker-sync-request", daemon=True)
        thread.start()

        def result() -> _Reply:
            thread.join(self._deadline_s)
            if not done:
                self._stuck.append(thread)
                self.close()
                raise AwayError(f"{self.address} did not answer a request within {self._deadline_s:g} s")
            found = done[0]
            if isinstance(found, BaseException):
                if isinstance(found, AwayError):
                    self.close()
                raise found
            return found

        return result

    def _opened(self) -> requests.Session:
        import requests

        if self._session is None:
            self._session = self._given or requests.Session()
        session = self._session
        session.auth = _Key(self._key)
        if urlsplit(self._url).hostname in _LOOPBACK:
            session.trust_env = False
            session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        return session

    def _send(self, session: requests.Session, request: Prepared[_Reply]) -> _Reply:
        import requests

        headers = {**request.headers, "Accept": CONTENT_TYPE, "User-Agent": f"tracker/{__version__}"}
        headers |= {"Accept-Encoding": "identity", "Content-Length": str(len(request.body))}
        timeout = (min(_CONNECT_S, self._timeout_s), self._timeout_s)
        try:
            # As a file, the body is sent in pieces, and the time limit holds for each of them.
            with session.request(
                request.method,
                request.url,
                data=io.BytesIO(request.body) if request.body else b"",
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                content = _content(response)
                return self._read(response, content, request.reply)
        except requests.exceptions.Timeout as error:
            raise AwayError(f"{self.address} does not answer within {self._timeout_s:g} s") from error
        except (requests.exceptions.RequestException, OSError, ValueError) as error:
            raise AwayError(f"{self.address} cannot be reached: {_reason(error)}") from error

    def _read(self, response: requests.Response, content: bytes, kind: type[_Reply]) -> _Reply:
        status, headers = response.status_code, response.headers
        protocol = headers.get(PROTOCOL_HEADER, "")
        retry_after_s = _retry_after_s(headers.get("Retry-After", ""))
        if status in (401, 403):
            said = "" if protocol else ", though not as a tracker server does"
            raise KeyRefusedError(f"{self.address} refuses the key ({status}{said})", retry_after_s)
        if status == 413:
            raise TooLargeError(f"{self.address} takes no requests of this size", retry_after_s)
        if status in (429, 503):
            raise BusyError(f"{self.address} asks to come back later ({status})", retry_after_s)
        if status == 500 or (status > 500 and protocol):
            raise ServerFaultError(f"{self.address} answers {status}", retry_after_s)
        if status >= 500:
            raise AwayError(f"{self.address} answers {status}", retry_after_s)
        if not protocol:
            hint = ", to be found elsewhere" if 300 <= status < 400 else ""
            raise AwayError(f"what answers at {self.address} is no tracker server ({status}{hint})")
        if protocol != str(PROTOCOL):
            raise AwayError(f"{self.address} speaks version {protocol[:20]} of the protocol, not {PROTOCOL}")
        if status in (400, 410, 422):
            raise RefusedRequestError(f"{self.address} refuses a request ({status}): {_said(content)}")
        content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if status != 200 or content_type != CONTENT_TYPE:
            raise AwayError(f"{self.address} answers {status} {content_type[:50]}, which is no reply to a sender")
        try:
            return msgspec.msgpack.decode(content, type=kind)
        except (msgspec.MsgspecError, ValueError) as error:
            raise AwayError(f"{self.address} answers what cannot be understood: {error}"[:300]) from error


class _Key:
    """Puts the key into a request. Being set, it keeps `requests` from putting in one that ~/.netrc has."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def __call__(self, request: Any) -> Any:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def _content(response: requests.Response) -> bytes:
    """Return the body, unless it is longer than any reply."""
    parts, n_bytes = [], 0
    for part in response.iter_content(1 << 16):
        parts.append(part)
        n_bytes += len(part)
        if n_bytes > _MAX_REPLY_BYTES:
            raise ValueError(f"a reply of more than {_MAX_REPLY_BYTES >> 20} MiB")
    return b"".join(parts)


def _compressor() -> Callable[[bytes], bytes] | None:
    try:
        import zstandard
    except ImportError:
        return None
    return zstandard.ZstdCompressor(level=1, write_content_size=True).compress


def _retry_after_s(text: str) -> float | None:
    """Return what a Retry-After header asks for: seconds, or a time by the server's clock."""
    if not text:
        return None
    with contextlib.suppress(ValueError):
        seconds = float(text)
        return seconds if seconds >= 0 else None
    from email.utils import parsedate_to_datetime

    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    return None


def _said(content: bytes) -> str:
    text = content[:500].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else " " for c in text).strip()[:300]


def _reason(error: BaseException) -> str:
    """Return the innermost reason of a chain of errors, which says most in the fewest words."""
    while error.__context__ is not None:
        error = error.__context__
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]
