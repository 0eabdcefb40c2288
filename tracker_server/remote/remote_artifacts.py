"""The artifacts and the registry of a server as an `ArtifactSource`: the second implementation, beside the folder's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from tracker_core.artifacts.errors import DamagedChunkError
from tracker_core.artifacts.manifest import Chunk, Manifest, decode_manifest
from tracker_core.artifacts.wire import (
    AuditEntry,
    CollectionInfo,
    Lineage,
    LinkedVersion,
    NewVersion,
    Page,
    RegisteredModel,
    Retention,
    RunRef,
    Usage,
    Use,
    VersionEdit,
    VersionInfo,
)
from tracker_core.errors import UsageError
from tracker_core.remote.connection import PAUSES_S, READ_TIMEOUT_S, FaultReply, Reply, ServerConnection
from tracker_core.remote.server_errors import BrokenReplyError, RequestTooLargeError, ServerVersionError

from .artifact_wire import ARTIFACTS, CALLS, MAX_CHUNKS, MAX_ITEMS, MAX_PUT_BYTES, in_bounds, piece_of
from .exact_wire import BYTES, FaultFrame, Frames, WireError, next_value, read_frames
from .faults import error_of

T = TypeVar("T")
_EXACT = f"/exact{ARTIFACTS}"
_N_AT_ONCE = 4
_LEAST_PUT_BYTES = 256 << 10
_READ_BYTES = 32 << 20
# Asked twice, these would say that there is nothing to delete, or write down twice what was done.
_ONCE = {"delete", "delete_collection", "unlink", "delete_model"}


class RemoteArtifacts:
    """Asks a server; `ArtifactSource` says what each method does. Thread-safe.

    Args:
        connection: to the server.

    Raises, in every method:
        ServerError: the server is away, does not know the key, or is none.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._put_bytes = MAX_PUT_BYTES

    @property
    def place(self) -> str:
        return self._connection.address

    def close(self) -> None:
        self._connection.close()

    # -- bytes

    def begin_upload(self, project: str) -> str:
        found: str = self._value("begin_upload", project)
        return found

    def missing(self, lease: str, chunks: Sequence[Chunk]) -> set[bytes]:
        found: set[bytes] = set()
        for start in range(0, len(chunks), MAX_CHUNKS):
            found |= self._value("missing", lease, chunks[start : start + MAX_CHUNKS])
        return found

    def put(self, lease: str, chunks: Iterable[tuple[Chunk, bytes | memoryview]]) -> None:
        """Send chunks, some requests at once."""
        pairs = ((chunk, bytes(content)) for chunk, content in chunks)  # what is behind a view may change meanwhile
        with ThreadPoolExecutor(_N_AT_ONCE, thread_name_prefix="tracker-put") as executor:
            waiting: set[Future[None]] = set()
            try:
                for pieces in in_bounds(pairs, lambda one: len(one[1]), self._put_bytes, MAX_CHUNKS):
                    waiting.add(executor.submit(self._put, lease, pieces))
                    if len(waiting) >= _N_AT_ONCE:
                        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                        for one in done:
                            one.result()
                for one in waiting:
                    one.result()
            except BaseException:
                executor.shutdown(wait=False, cancel_futures=True)
                raise

    def _put(self, lease: str, pieces: list[tuple[Chunk, bytes]]) -> None:
        """Send chunks in one request, or in halves where something on the way takes no request as large."""
        body = b"".join(part for piece in pieces for part in piece_of(*piece))
        try:
            self._ask("put", _nothing, body, {"lease": lease})
        except RequestTooLargeError:
            with self._lock:
                self._put_bytes = max(_LEAST_PUT_BYTES, min(self._put_bytes, len(body)) // 2)
            if len(pieces) == 1:
                raise
            half = len(pieces) // 2
            self._put(lease, pieces[:half])
            self._put(lease, pieces[half:])

    def commit(self, new: NewVersion) -> VersionInfo:
        found: VersionInfo = self._value("commit", new)
        return found

    def end_upload(self, lease: str) -> None:
        self._value("end_upload", lease)

    def read(self, uid: str, chunks: Sequence[Chunk]) -> Iterator[bytes]:
        """Yield chunks as they come; where the connection breaks, go on with the next."""
        for some in in_bounds(chunks, lambda one: one.size_bytes, _READ_BYTES, MAX_CHUNKS):
            yield from self._read(uid, some)

    def _read(self, uid: str, chunks: list[Chunk]) -> Iterator[bytes]:
        n_broken = n_done = 0
        while n_done < len(chunks):
            before = n_done
            try:
                for content in self._stream("read", uid, chunks[n_done:]):
                    _check(chunks[n_done], content, self.place)
                    n_done += 1
                    yield content
            except BrokenReplyError:
                n_broken = 0 if n_done > before else n_broken + 1
                if n_broken >= len(PAUSES_S):
                    raise

    # -- artifacts

    def projects(self) -> list[str]:
        found: list[str] = self._value("projects")
        return found

    def types(self, project: str) -> list[str]:
        found: list[str] = self._value("types", project)
        return found

    def collections(
        self,
        project: str | None = None,
        type: str | None = None,
        text: str = "",
        after: int | None = None,
        size: int = 100,
    ) -> Page:
        return self._page(size, after, lambda after, n: self._value("collections", project, type, text, after, n))

    def collection(self, project: str, name: str) -> CollectionInfo:
        found: CollectionInfo = self._value("collection", project, name)
        return found

    def versions(self, project: str, name: str, after: int | None = None, size: int = 100) -> Page:
        return self._page(size, after, lambda after, n: self._value("versions", project, name, after, n))

    @staticmethod
    def _page(size: int, after: int | None, ask: Callable[[int | None, int], Any]) -> Page:
        """Return a page, asked for in as many pieces as the server wants."""
        items: list[Any] = []
        while True:
            found = ask(after, min(size - len(items), MAX_ITEMS))
            items += found.items
            after = found.next_place
            if after is None or not found.items or len(items) >= size:
                return Page(items, after)

    def version(self, uid: str) -> VersionInfo:
        found: VersionInfo = self._value("version", uid)
        return found

    def resolve(self, project: str, name: str, which: str = "latest") -> VersionInfo:
        found: VersionInfo = self._value("resolve", project, name, which)
        return found

    def manifest(self, uid: str) -> Manifest:
        return decode_manifest(self._ask("manifest", _joined, self._body("manifest", uid)))

    def edit(self, uid: str, edit: VersionEdit, why: str = "") -> VersionInfo:
        found: VersionInfo = self._value("edit", uid, edit, why)
        return found

    def delete(self, uids: Sequence[str], why: str = "", delete_aliases: bool = False) -> list[str]:
        found: list[str] = self._value("delete", uids, why, delete_aliases)
        return found

    def delete_collection(self, project: str, name: str, why: str = "") -> None:
        self._value("delete_collection", project, name, why)

    def describe(self, project: str, name: str, description: str) -> CollectionInfo:
        found: CollectionInfo = self._value("describe", project, name, description)
        return found

    def set_retention(self, project: str, name: str, retention: Retention) -> CollectionInfo:
        found: CollectionInfo = self._value("set_retention", project, name, retention)
        return found

    def usage(self, project: str | None = None) -> list[Usage]:
        found: list[Usage] = self._value("usage", project)
        return found

    # -- lineage

    def add_uses(self, uses: Sequence[Use]) -> None:
        for start in range(0, len(uses), MAX_ITEMS):
            self._value("add_uses", uses[start : start + MAX_ITEMS])

    def of_run(self, run: RunRef) -> list[tuple[Use, VersionInfo]]:
        found: list[tuple[Use, VersionInfo]] = self._value("of_run", run)
        return found

    def users(self, uid: str) -> list[Use]:
        found: list[Use] = self._value("users", uid)
        return found

    def lineage(self, node: str, depth: int | None = None, direction: str = "both", max_nodes: int = 2000) -> Lineage:
        found: Lineage = self._value("lineage", node, depth, direction, max_nodes)
        return found

    # -- the registry

    def models(self, text: str = "") -> list[RegisteredModel]:
        found: list[RegisteredModel] = self._value("models", text)
        return found

    def model(self, name: str) -> RegisteredModel:
        found: RegisteredModel = self._value("model", name)
        return found

    def linked(self, name: str) -> list[LinkedVersion]:
        found: list[LinkedVersion] = self._value("linked", name)
        return found

    def resolve_linked(self, name: str, which: str = "latest") -> LinkedVersion:
        found: LinkedVersion = self._value("resolve_linked", name, which)
        return found

    def link(self, name: str, uid: str, aliases: Sequence[str] = (), why: str = "") -> LinkedVersion:
        found: LinkedVersion = self._value("link", name, uid, aliases, why)
        return found

    def unlink(self, name: str, number: int, why: str = "") -> None:
        self._value("unlink", name, number, why)

    def set_model_aliases(
        self, name: str, number: int, add: Sequence[str] = (), remove: Sequence[str] = (), why: str = ""
    ) -> LinkedVersion:
        found: LinkedVersion = self._value("set_model_aliases", name, number, add, remove, why)
        return found

    def set_card(self, name: str, card: str, why: str = "") -> RegisteredModel:
        found: RegisteredModel = self._value("set_card", name, card, why)
        return found

    def delete_model(self, name: str, why: str = "") -> None:
        self._value("delete_model", name, why)

    def audit(self, name: str | None = None, after: int = 0, size: int = 1000) -> list[AuditEntry]:
        entries: list[AuditEntry] = []
        while len(entries) < size:
            more: list[AuditEntry] = self._value("audit", name, after, min(size - len(entries), MAX_ITEMS))
            entries += more
            if not more or size <= MAX_ITEMS:
                break
            after = entries[-1].number
        return entries

    # -- asking

    def _value(self, name: str, *arguments: Any) -> Any:
        """Return the result of a call."""
        decoder = msgspec.msgpack.Decoder(CALLS[name].reply)

        def read(frames: Frames) -> Any:
            found = decoder.decode(next_value(frames))
            for _ in frames:
                raise WireError("more than one value")
            return found

        return self._ask(name, read, self._body(name, *arguments))

    @staticmethod
    def _body(name: str, *arguments: Any) -> bytes:
        call = CALLS[name]
        try:
            return msgspec.msgpack.encode(call.request(*arguments))
        except (UnicodeEncodeError, OverflowError, TypeError, RecursionError) as error:
            expected = "text in Unicode, and numbers of at most 64 bits"
            raise UsageError(name, f"what cannot be sent: {error}"[:200], expected, "send other values") from None

    def _ask(self, name: str, read: Callable[[Frames], T], body: bytes, params: dict[str, str] | None = None) -> T:
        def read_reply(reply: Reply) -> T:
            with self._checking():
                return read(read_frames(reply.read_exactly))

        path = f"{_EXACT}/{name}"
        try:
            return self._connection.ask("POST", path, read_reply, params, body, may_repeat=name not in _ONCE)
        except FaultReply as fault:
            raise error_of(fault.body, self.place) from None

    def _stream(self, name: str, *arguments: Any) -> Iterator[bytes]:
        """Yield the bytes of a reply frame by frame."""
        try:
            reply = self._connection.open("POST", f"{_EXACT}/{name}", body=self._body(name, *arguments))
        except FaultReply as fault:
            raise error_of(fault.body, self.place) from None
        with reply, self._checking():
            for kind, content in read_frames(reply.read_exactly):
                if kind != BYTES:
                    raise WireError("a value in place of bytes")
                yield content

    @contextmanager
    def _checking(self) -> Iterator[None]:
        """Raise what the server says in the middle of a reply, or that it says what is not known."""
        try:
            yield
        except FaultFrame as fault:
            raise error_of(fault.content, self.place) from None
        except (WireError, msgspec.MsgspecError, RecursionError) as error:
            got = f"a reply in a form that is not known: {str(error)[:200]}"
            remedy = "install the same version on both sides; `tracker --version` shows this one"
            raise ServerVersionError(self.place, got, "a known form", remedy) from error


def _nothing(frames: Frames) -> None:
    next_value(frames)
    for _ in frames:
        raise WireError("more than one value")


def _joined(frames: Frames) -> bytes:
    parts = []
    for kind, content in frames:
        if kind != BYTES:
            raise WireError("a value in place of bytes")
        parts.append(content)
    return b"".join(parts)


def _check(chunk: Chunk, content: bytes, place: str) -> None:
    """Check that bytes are those of a chunk; they came a long way."""
    from blake3 import blake3

    if len(content) != chunk.size_bytes or blake3(content).digest() != chunk.digest:
        raise DamagedChunkError(place, chunk.digest)


def open_remote_artifacts(
    base_url: str, api_key: str | None, timeout_s: float | None = None, pauses_s: Sequence[float] | None = None
) -> RemoteArtifacts:
    """Return the artifacts of a server that may be silent for so long; nothing is asked yet.

    Args:
        base_url: the server's address.
        api_key: the key for it.
        timeout_s: how long it may be silent.
        pauses_s: before each further attempt of what may be asked twice.
    """
    pauses_s = PAUSES_S if pauses_s is None else pauses_s
    connection = ServerConnection(base_url, api_key, pauses_s, read_timeout_s=timeout_s or READ_TIMEOUT_S)
    return RemoteArtifacts(connection)
