"""Making a version of a draft: bring its bytes to a store, then commit."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..errors import NotFoundError, UsageError
from .contents import ASK_CHUNKS
from .errors import MissingChunksError
from .local_files import LocalFile
from .manifest import Chunk, Entry, Manifest
from .names import LATEST
from .place import Place
from .source import ArtifactSource
from .wire import NewVersion, RunRef, VersionInfo

if TYPE_CHECKING:
    from .artifact import Artifact

_N_ATTEMPTS = 2
# Files from this size on are worth a look at what the last version has.
_LARGE_BYTES = 1 << 20


def commit(
    artifact: Artifact,
    place: Place,
    project: str,
    aliases: Sequence[str] = (),
    run: RunRef | None = None,
    history_step: int | None = None,
    before: Callable[[NewVersion, Manifest], None] = lambda new, manifest: None,
) -> VersionInfo:
    """Keep what a draft holds in a store and make a version of it, which the artifact then is.

    Args:
        artifact: the draft.
        place: where it goes.
        project: of the new version.
        aliases: that move to it.
        run: the run that logs it.
        history_step: the run's step.
        before: is called when all bytes are there, right before the version is made.

    Raises:
        UsageError: a file was changed after it was added, or the artifact has another type.
        OSError, TrackerError: the store cannot keep it.
    """
    uid = os.urandom(16).hex()
    early = artifact._early_lease(place.source, project)
    for n_left in reversed(range(_N_ATTEMPTS)):
        is_early = early is not None and n_left > 0
        lease = early if early is not None and is_early else place.source.begin_upload(project)
        try:
            manifest = _brought(artifact, place.source, project, lease, is_early)
            new = _new_version(artifact, uid, project, lease, manifest, aliases, run, history_step)
            before(new, manifest)
            info = place.source.commit(new)
            break
        except (MissingChunksError, NotFoundError):  # the lease ran out meanwhile
            if not n_left:
                raise
        finally:
            if not is_early:
                _end(place.source, lease)
    if early is not None:
        artifact._lease = None
        _end(place.source, early)
    artifact._contents.drop_own_files()
    artifact._manifest = manifest if info.uid == uid else None  # the same content may be cut otherwise there
    artifact._bind(place, info)
    return info


def _end(source: ArtifactSource, lease: str) -> None:
    """End an upload; one that cannot be ended ends by itself, a day later."""
    with contextlib.suppress(Exception):
        source.end_upload(lease)


def bring(artifact: Artifact, source: ArtifactSource, project: str) -> Manifest:
    """Bring the bytes of a draft to a store, where they stay for a day, and return its manifest; raises as `commit`."""
    return _brought(artifact, source, project, source.begin_upload(project), False)


def _new_version(
    artifact: Artifact,
    uid: str,
    project: str,
    lease: str,
    manifest: Manifest,
    aliases: Sequence[str],
    run: RunRef | None,
    history_step: int | None,
) -> NewVersion:
    return NewVersion(
        uid=uid,
        project=project,
        name=artifact._name,
        type=artifact._type,
        manifest=manifest.encode(),
        lease=lease,
        aliases=list(aliases),
        tags=list(artifact._tags),
        description=artifact._description,
        metadata=dict(artifact._metadata),
        created_ns=time.time_ns(),
        logged_by=run,
        history_step=history_step,
        ttl_days=artifact._ttl_days,
    )


def _brought(artifact: Artifact, source: ArtifactSource, project: str, lease: str, is_early: bool) -> Manifest:
    """Return the manifest of a draft, after its bytes were brought to the store.

    `is_early` says that the lease is that under which files were kept when they were added.
    """
    contents = artifact._contents
    known: dict[str, Entry] = {}
    if artifact._is_incremental or any(isinstance(item, LocalFile) and _is_large(item) for item in contents):
        known = known_entries(source, project, artifact._name)
    if artifact._is_incremental:
        _begin_with_latest(artifact, source, project)
    return contents.kept(source, lease, known, is_early, lambda entries: _bring(artifact, source, lease, entries))


def known_entries(source: ArtifactSource, project: str, name: str) -> dict[str, Entry]:
    """Return the files of the latest version of an artifact, by name; none where there is no version."""
    latest = _latest(source, project, name)
    manifest = () if latest is None else source.manifest(latest.uid)
    return {entry.path: entry for entry in manifest if not entry.reference}


def _begin_with_latest(artifact: Artifact, source: ArtifactSource, project: str) -> None:
    """Add what the latest version has to a draft that is incremental."""
    latest = _latest(source, project, artifact._name)
    if latest is None:
        return
    contents = artifact._contents
    entries = [entry for entry in source.manifest(latest.uid) if contents.get(entry.path) is None]
    contents.add(entries, False, "incremental")
    artifact._origins.update((entry.digest, (source, latest.uid)) for entry in entries)


def _is_large(file: LocalFile) -> bool:
    return file.size_bytes >= _LARGE_BYTES


def _latest(source: ArtifactSource, project: str, name: str) -> VersionInfo | None:
    try:
        return source.resolve(project, name, LATEST)
    except NotFoundError:
        return None


def _bring(artifact: Artifact, target: ArtifactSource, lease: str, entries: Sequence[Entry]) -> None:
    """See to it that the content of entries of other versions is in a store, pinned to a lease."""
    chunks = list(dict.fromkeys(chunk for entry in entries for chunk in entry.all_chunks))
    missing: set[bytes] = set()
    for start in range(0, len(chunks), ASK_CHUNKS):
        missing |= target.missing(lease, chunks[start : start + ASK_CHUNKS])
    if not missing:
        return
    lacking = [entry for entry in entries if any(chunk.digest in missing for chunk in entry.all_chunks)]
    for entry in lacking:
        if entry.digest not in artifact._origins:
            got = f"{entry.path!r}, whose content is not there any more"
            raise UsageError("artifact", got, "files whose content can be had", "add the file itself")
    target.put(lease, _read_missing(artifact, lacking, missing))


def _read_missing(artifact: Artifact, entries: Sequence[Entry], missing: set[bytes]) -> Iterator[tuple[Chunk, bytes]]:
    for entry in entries:
        source, uid = artifact._origins[entry.digest]
        wanted = [chunk for chunk in dict.fromkeys(entry.all_chunks) if chunk.digest in missing]
        missing -= {chunk.digest for chunk in wanted}
        yield from zip(wanted, source.read(uid, wanted), strict=True)
