"""Places that have artifacts, and what the tests of all of them log there."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from blake3 import blake3

from tracker_core.artifacts.manifest import Chunk, Entry, Manifest
from tracker_core.artifacts.source import ArtifactSource
from tracker_core.artifacts.wire import NewVersion, VersionInfo

_numbers = itertools.count()


def new_uid() -> str:
    return secrets.token_hex(16)


def new_name(front: str = "p") -> str:
    """Return a name that no other test uses, so that tests may share a place."""
    return f"{front}{next(_numbers)}"


def chunk_of(content: bytes) -> Chunk:
    return Chunk(blake3(content).digest(), len(content))


def entry_of(path: str, content: bytes, chunk_bytes: int = 0) -> Entry:
    """Return the entry of a file, in chunks of so many bytes."""
    digest = blake3(content).digest()
    if not chunk_bytes or len(content) <= chunk_bytes:
        return Entry(path, len(content), digest)
    cuts = range(0, len(content), chunk_bytes)
    return Entry(path, len(content), digest, tuple(chunk_of(content[at : at + chunk_bytes]) for at in cuts))


def pieces_of(entry: Entry, content: bytes) -> Iterable[tuple[Chunk, bytes]]:
    at = 0
    for chunk in entry.all_chunks:
        yield chunk, content[at : at + chunk.size_bytes]
        at += chunk.size_bytes


@dataclass
class Files:
    """Files of a version, as they are put and committed."""

    contents: Mapping[str, bytes]
    chunk_bytes: int = 0
    references: list[Entry] = field(default_factory=list)

    @property
    def entries(self) -> list[Entry]:
        return [entry_of(path, content, self.chunk_bytes) for path, content in self.contents.items()]

    @property
    def manifest(self) -> Manifest:
        return Manifest([*self.entries, *self.references])

    @property
    def pieces(self) -> list[tuple[Chunk, bytes]]:
        entries = self.entries
        return [piece for entry in entries for piece in pieces_of(entry, self.contents[entry.path])]


def new_version(lease: str, files: Files, project: str, name: str = "m", **fields: Any) -> NewVersion:
    given = {"uid": new_uid(), "type": "model", **fields}
    return NewVersion(project=project, name=name, manifest=files.manifest.encode(), lease=lease, **given)


def log(
    source: ArtifactSource, project: str, contents: Mapping[str, bytes], name: str = "m", chunk_bytes: int = 0, **fields
) -> VersionInfo:
    """Log a version as a client does: what is not there is put, then it is committed."""
    files = Files(contents, chunk_bytes)
    lease = source.begin_upload(project)
    chunks = list(dict.fromkeys(chunk for chunk, _ in files.pieces))
    missing = source.missing(lease, chunks)
    source.put(lease, (piece for piece in files.pieces if piece[0].digest in missing))
    found = source.commit(new_version(lease, files, project, name, **fields))
    source.end_upload(lease)
    return found


def contents_of(source: ArtifactSource, uid: str) -> dict[str, bytes]:
    """Return the files of a version as they are read back."""
    manifest = source.manifest(uid)
    return {entry.path: b"".join(source.read(uid, entry.all_chunks)) for entry in manifest if not entry.reference}
