"""Send the versions of artifacts that runs logged and used: only chunks that the server lacks, a little at a time.

What is there already is asked of the server, so that an upload that broke off goes on where it ended, in whichever
process. Trouble with artifacts holds up no rows: a version that cannot be sent now waits, longer each time, and later
versions of the same artifact behind it. Only what can never succeed is given up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING

from ..artifacts.errors import DamagedChunkError
from ..artifacts.manifest import Chunk, Manifest
from ..artifacts.wire import NewVersion, RunRef, Use, VersionEdit, VersionInfo
from ..errors import NotFoundError, UsageError
from ..records import ArtifactLog, ArtifactUse
from .acked import Acked
from .backoff import Backoff
from .followed_run import FollowedRun
from .sync_folder import RunPlace

if TYPE_CHECKING:
    from ..artifacts.source import ArtifactSource

_LATEST = "latest"
_ROUND_S = 1.0
_FIRST_BYTES, _LEAST_BYTES, _MOST_BYTES = 2 << 20, 256 << 10, 32 << 20
_QUICK_S, _SLOW_S = 1.0, 5.0
_ASKED_CHUNKS = 4000
_MANY_FAILURES = 3
_FIRST_WAIT_S, _MOST_WAIT_S = 1.0, 120.0

Sources = Callable[[], "ArtifactSource"]


@dataclass(slots=True)
class _Item:
    """A version that is to be sent.

    Attributes:
        is_awaited: it was noted and is not committed: that may still come, or failed.
        awaited: uids of versions of the same artifact that are; those before its own were logged earlier.
    """

    run: FollowedRun
    name: str
    record: ArtifactLog | ArtifactUse
    upload: Iterator[int] | None = None
    retry_at: float = 0.0
    is_awaited: bool = False
    awaited: list[str] = field(default_factory=list)
    backoff: Backoff = field(default_factory=lambda: Backoff(_FIRST_WAIT_S, _MOST_WAIT_S))


class ArtifactPosts:
    """Sends versions. Not thread-safe. Opens the folder's artifacts and the connection when there is something to send.

    Args:
        open_local: opens the artifacts of the folder.
        open_remote: opens those of the server; without pauses of its own, since what fails is tried again here.
    """

    def __init__(self, open_local: Sources, open_remote: Sources) -> None:
        self._open_local, self._open_remote = open_local, open_remote
        self._sources: tuple[ArtifactSource, ArtifactSource] | None = None
        self._items: dict[tuple[RunPlace, str], _Item] = {}
        self._put_bytes = _FIRST_BYTES

    def send(self, runs: Sequence[FollowedRun], acked: Acked, now_s: float) -> tuple[int, bool]:
        """Send for a moment; return how many bytes, and whether there is more to send at once. Raises nothing."""
        n_bytes, until_s = 0, time.monotonic() + _ROUND_S
        while waiting := self._waiting(runs, now_s):
            n_bytes += self._advance(waiting[0], acked, now_s)
            if time.monotonic() > until_s:
                break  # the rows of all runs come first
        return n_bytes, bool(waiting)

    def forget(self) -> None:
        """Begin every upload anew: another server answers."""
        self._items.clear()

    def close(self) -> None:
        """Let go of everything that is open."""
        self.forget()
        if self._sources is not None:
            for source in self._sources:
                source.close()
            self._sources = None

    def _waiting(self, runs: Sequence[FollowedRun], now_s: float) -> list[_Item]:
        """Return what may be sent now, in the order in which it was logged: the next of each artifact, then uses."""
        self._items = {(run.place, name): item for run in runs for name, item in self._items_of(run)}
        items = sorted(self._items.values(), key=lambda item: item.record.wall_time_ns)
        logs = [item for item in items if isinstance(item.record, ArtifactLog)]
        waited_for = {item.record.uid for item in logs}
        uses = [item for item in items if not isinstance(item.record, ArtifactLog)]
        ready = [*_next_of_each(logs), *(use for use in uses if use.record.uid not in waited_for)]
        return [item for item in ready if item.retry_at <= now_s]

    def _items_of(self, run: FollowedRun) -> Iterator[tuple[str, _Item]]:
        if not any(journal.acked > 0 and not journal.parked for journal in run.journals.values()):
            return  # artifacts follow the first blocks
        for name in run.left_artifacts:
            item = self._items.get((run.place, name))
            if item is not None:
                item.run = run
                yield name, item
            elif (record := run.artifacts.record(name)) is not None:
                yield name, _Item(run, name, record)

    # One version

    def _advance(self, item: _Item, acked: Acked, now_s: float) -> int:
        """Do the next bit of a version; return how many bytes were sent."""
        artifacts = item.run.artifacts
        try:
            if item.upload is None:
                artifacts.sent[item.name] = 0
                item.upload = self._upload(item, now_s)
            n_bytes = next(item.upload, None)
        except Exception as error:  # noqa: BLE001
            item.upload = None
            self._take_error(item, error, now_s)
            return 0
        item.is_awaited = False
        if n_bytes != 0:  # to ask what is there is no progress yet
            item.backoff.reset()
            artifacts.delayed.pop(item.name, None)
        if n_bytes is None:
            artifacts.acked.add(item.name)
            artifacts.sent.pop(item.name, None)
            acked.add_artifact(item.run.place, item.name)
        return n_bytes or 0

    def _take_error(self, item: _Item, error: Exception, now_s: float) -> None:
        from ..remote.server_errors import NotPermittedError, RequestTooLargeError, ServerAwayError

        item.retry_at = now_s + item.backoff.next_s(getattr(error, "retry_after_s", None))
        item.is_awaited = isinstance(error, _NotYetError)
        if item.is_awaited:
            return
        why = f"artifact {item.record.project}/{item.record.name}: {error}"[:500]
        if item.backoff.n_failures >= _MANY_FAILURES:
            item.run.artifacts.delayed[item.name] = why
        if isinstance(error, (ServerAwayError, OSError)):
            self._put_bytes = max(_LEAST_BYTES, self._put_bytes // 2)
        elif isinstance(error, (NotPermittedError, UsageError, DamagedChunkError, RequestTooLargeError)):
            item.run.artifacts.parked[item.name] = why

    def _upload(self, item: _Item, now_s: float) -> Iterator[int]:
        """Bring a version to the server; yields after each request how many bytes were sent."""
        if self._sources is None:
            self._sources = (self._open_local(), self._open_remote())
        local, remote = self._sources
        record, run = item.record, RunRef(item.run.project or "", item.run.place[1])
        version = _found(local, record.uid)
        if isinstance(record, ArtifactUse):
            if version is not None and _found(remote, record.uid) is None:
                yield from self._send_version(item, local, remote, version, version.logged_by)
            remote.add_uses([Use(record.uid, run, record.wall_time_ns, False, record.used_as)])
            return
        if version is None:
            if item.run.is_live(now_s) and not _was_committed(local, run, record.uid):
                raise _NotYetError
            return  # it was deleted, or the training ended before it was committed
        earlier = takewhile(lambda uid: uid != record.uid, item.awaited)
        if any(_found(local, uid) is not None for uid in earlier):
            raise _NotYetError  # one was committed meanwhile: it comes first
        there = _found(remote, record.uid)
        if there is None:
            yield from self._send_version(item, local, remote, version, run)
        else:
            remote.add_uses([Use(record.uid, run, record.wall_time_ns, is_output=True)])
            new = [one for one in record.aliases if one in version.aliases and one not in (*there.aliases, _LATEST)]
            if new:
                remote.edit(record.uid, VersionEdit(add_aliases=new))
        for model, aliases in record.links:
            remote.link(model, record.uid, aliases)

    def _send_version(
        self, item: _Item, local: ArtifactSource, remote: ArtifactSource, version: VersionInfo, logged_by: RunRef | None
    ) -> Iterator[int]:
        uid = item.record.uid
        manifest = local.manifest(uid)
        lease = remote.begin_upload(version.project)
        yield from self._send_chunks(item, local, remote, lease, manifest)
        remote.commit(
            NewVersion(
                uid=uid,
                project=version.project,
                name=version.name,
                type=version.type,
                manifest=manifest.encode(),
                lease=lease,
                aliases=[alias for alias in version.aliases if alias != _LATEST],
                tags=version.tags,
                description=version.description,
                metadata=version.metadata,
                created_ns=version.created_ns,
                logged_by=logged_by,
                history_step=version.history_step,
                ttl_days=version.ttl_days,
            )
        )
        remote.end_upload(lease)

    def _send_chunks(
        self, item: _Item, local: ArtifactSource, remote: ArtifactSource, lease: str, manifest: Manifest
    ) -> Iterator[int]:
        sent = item.run.artifacts.sent
        for asked in _groups(_chunks_of(manifest), lambda: (1 << 62, _ASKED_CHUNKS)):
            missing = remote.missing(lease, asked)
            there = sum(chunk.size_bytes for chunk in asked if chunk.digest not in missing)
            sent[item.name] = sent.get(item.name, 0) + there
            wanted = (chunk for chunk in asked if chunk.digest in missing)
            for chunks in _groups(wanted, lambda: (self._put_bytes, _ASKED_CHUNKS)):
                began_s = time.monotonic()
                remote.put(lease, zip(chunks, local.read(item.record.uid, chunks), strict=True))
                self._adapt(time.monotonic() - began_s)
                n_bytes = sum(chunk.size_bytes for chunk in chunks)
                sent[item.name] += n_bytes
                yield n_bytes
            yield 0

    def _adapt(self, seconds: float) -> None:
        """Send more at once where that is quick, less where it is slow: rows wait meanwhile."""
        if seconds < _QUICK_S:
            self._put_bytes = min(_MOST_BYTES, 2 * self._put_bytes)
        elif seconds > _SLOW_S:
            self._put_bytes = max(_LEAST_BYTES, self._put_bytes // 2)


class _NotYetError(Exception):
    """The version is not committed here yet: the training may still do so."""


def _next_of_each(logs: Iterable[_Item]) -> Iterator[_Item]:
    """Yield the next to send of each artifact, and before it those that are not committed: they hold back no other."""
    awaited: dict[tuple[str, str], list[str]] = {}
    held: set[tuple[str, str]] = set()
    for item in logs:
        artifact = (item.record.project, item.record.name)
        if artifact in held:
            continue
        yield item
        item.awaited = awaited.setdefault(artifact, [])
        if item.is_awaited:
            item.awaited.append(item.record.uid)
        else:
            held.add(artifact)


def _found(source: ArtifactSource, uid: str) -> VersionInfo | None:
    try:
        return source.version(uid)
    except NotFoundError:
        return None


def _was_committed(local: ArtifactSource, run: RunRef, uid: str) -> bool:
    """Say whether a version that is not there was, and was deleted."""
    return any(version.uid == uid for _, version in local.of_run(run))


def _chunks_of(manifest: Manifest) -> Iterator[Chunk]:
    """Yield the chunks of a version, each once."""
    seen: set[bytes] = set()
    for entry in manifest:
        for chunk in entry.all_chunks:
            if chunk.digest not in seen:
                seen.add(chunk.digest)
                yield chunk


def _groups(chunks: Iterable[Chunk], bounds: Callable[[], tuple[int, int]]) -> Iterator[list[Chunk]]:
    """Yield chunks in lists of at most so many bytes, but at least one, and so many chunks."""
    held: list[Chunk] = []
    n_bytes = 0
    for chunk in chunks:
        most_bytes, most = bounds()
        if held and (n_bytes + chunk.size_bytes > most_bytes or len(held) >= most):
            yield held
            held, n_bytes = [], 0
        held.append(chunk)
        n_bytes += chunk.size_bytes
    if held:
        yield held
