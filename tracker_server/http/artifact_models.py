"""What the HTTP API's JSON replies about artifacts hold. Times are float seconds since 1970, digests hexadecimal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tracker_core.artifacts.manifest import Entry
from tracker_core.artifacts.wire import CollectionInfo, Retention, RunRef, VersionInfo

from ..artifacts.version_files import FileChange, Folder
from ..runs.run_view import json_number


class RunLink(msgspec.Struct):
    """A run. What is told of it besides its id is empty where it is not there any more; `summary` has numbers only."""

    project: str
    id: str
    name: str = ""
    state: str = ""
    summary: dict[str, Any] = {}


class Registration(msgspec.Struct):
    """A registered model that a version is in, and which version it is there."""

    model: str
    number: int


class VersionRow(msgspec.Struct, kw_only=True):
    """A version of an artifact. `number` is 3 of "v3"; `is_deleted` only in lineages and with runs."""

    uid: str
    project: str
    name: str
    type: str
    number: int
    digest: str
    size_bytes: int
    n_files: int
    n_references: int
    aliases: list[str]
    tags: list[str]
    description: str
    created_s: float
    created_by: str
    logged_by: RunLink | None
    history_step: int | None
    expires_s: float | None
    ttl_days: float | None
    n_used_by: int
    registered_as: list[Registration]
    is_deleted: bool


class UseRow(msgspec.Struct):
    """A run that logged (`is_output`) or used a version, when, and as what."""

    run: RunLink
    at_s: float
    is_output: bool
    used_as: str


class VersionDetail(msgspec.Struct, kw_only=True):
    """All that is known of a version. `description_html` is its Markdown as harmless HTML."""

    version: VersionRow
    metadata: dict[str, Any]
    description_html: str
    uses: list[UseRow]
    latest_number: int | None


class VersionList(msgspec.Struct):
    """Versions, newest first; `next_place` goes into `after`."""

    versions: list[VersionRow]
    next_place: int | None


class CollectionRow(msgspec.Struct, kw_only=True):
    """An artifact: all versions of one name. `size_bytes` adds them up as if nothing were shared."""

    project: str
    name: str
    type: str
    description: str
    description_html: str
    created_s: float
    updated_s: float
    n_versions: int
    size_bytes: int
    aliases: list[str]
    latest: VersionRow | None
    retention: Retention


class CollectionList(msgspec.Struct):
    """Artifacts, the last changed first; `types` are those of the project, or of all that may be seen."""

    artifacts: list[CollectionRow]
    types: list[str]
    next_place: int | None


class UsageRow(msgspec.Struct):
    """What a project's artifacts take: `logical_bytes` as if nothing were shared, `stored_bytes` on the store."""

    project: str
    n_artifacts: int
    n_versions: int
    logical_bytes: int
    stored_bytes: int


class UsageList(msgspec.Struct):
    projects: list[UsageRow]


class FileRow(msgspec.Struct):
    """A file of a version; `reference` is the address of one that is kept elsewhere, its size -1 where not known."""

    path: str
    size_bytes: int
    digest: str
    reference: str
    checksum: str


class FolderRow(msgspec.Struct):
    path: str
    n_files: int
    size_bytes: int


class FileList(msgspec.Struct):
    """What a folder of a version holds, or the files that match; `n_files` counts them all."""

    folders: list[FolderRow]
    files: list[FileRow]
    n_files: int
    next_place: int | None


class FileChangeRow(msgspec.Struct):
    """A file that differs: changed, moved, added or removed."""

    kind: str
    old: FileRow | None
    new: FileRow | None


class ValueChange(msgspec.Struct):
    """A key of the metadata that differs; a side that lacks it says so."""

    key: str
    old: Any
    new: Any
    is_in_old: bool
    is_in_new: bool


class VersionDiff(msgspec.Struct, kw_only=True):
    """In what `new` differs from `old`; `reused_bytes` of its content the other has too. The lists are one part."""

    old: VersionRow
    new: VersionRow
    n_changed: int
    n_moved: int
    n_added: int
    n_removed: int
    n_same: int
    reused_bytes: int
    changes: list[FileChangeRow]
    next_place: int | None
    metadata: list[ValueChange]


class LineageNode(msgspec.Struct):
    """A run or a version; the other one of the two is null."""

    id: str
    run: RunLink | None
    version: VersionRow | None


class LineageGraph(msgspec.Struct):
    """Nodes and (from, to) edges, as data flows; `is_complete` False where there is more than is told."""

    nodes: list[LineageNode]
    edges: list[tuple[str, str]]
    is_complete: bool


class RunArtifact(msgspec.Struct):
    """A version that a run logged (`is_output`) or used."""

    version: VersionRow
    at_s: float
    is_output: bool
    used_as: str


class RunArtifacts(msgspec.Struct):
    """In the order in which the run logged and used them."""

    artifacts: list[RunArtifact]


def seconds(at_ns: int) -> float:
    return at_ns / 1e9


def run_link(run: RunRef) -> RunLink:
    """Return a run of which only the id is known."""
    return RunLink(run.project, run.run)


def version_row(info: VersionInfo, logged_by: RunLink | None) -> VersionRow:
    """Return a version as the API tells it."""
    return VersionRow(
        uid=info.uid,
        project=info.project,
        name=info.name,
        type=info.type,
        number=info.ordinal,
        digest=info.digest,
        size_bytes=info.size_bytes,
        n_files=info.n_files,
        n_references=info.n_references,
        aliases=info.aliases,
        tags=info.tags,
        description=info.description,
        created_s=seconds(info.created_ns),
        created_by=info.created_by,
        logged_by=logged_by,
        history_step=info.history_step,
        expires_s=None if info.expires_ns is None else seconds(info.expires_ns),
        ttl_days=info.ttl_days,
        n_used_by=info.n_used_by,
        registered_as=[Registration(model, number) for model, number in info.registered_as],
        is_deleted=info.deleted_ns is not None,
    )


def collection_row(info: CollectionInfo, latest: VersionRow | None, description_html: str = "") -> CollectionRow:
    """Return an artifact as the API tells it."""
    return CollectionRow(
        project=info.project,
        name=info.name,
        type=info.type,
        description=info.description,
        description_html=description_html,
        created_s=seconds(info.created_ns),
        updated_s=seconds(info.updated_ns),
        n_versions=info.n_versions,
        size_bytes=info.size_bytes,
        aliases=info.aliases,
        latest=latest,
        retention=info.retention,
    )


def file_row(entry: Entry) -> FileRow:
    """Return a file of a version as the API tells it."""
    return FileRow(entry.path, entry.size_bytes, entry.digest.hex(), entry.reference, entry.checksum)


def folder_row(folder: Folder) -> FolderRow:
    """Return a folder of a version as the API tells it."""
    return FolderRow(folder.path, folder.n_files, folder.size_bytes)


def change_row(change: FileChange) -> FileChangeRow:
    """Return a file that differs as the API tells it."""
    old, new = (None if entry is None else file_row(entry) for entry in (change.old, change.new))
    return FileChangeRow(change.kind, old, new)


def metadata_changes(old: dict[str, Any], new: dict[str, Any]) -> list[ValueChange]:
    """Return the keys, flat, in which two versions' metadata differ."""
    changes = []
    for key in sorted(old.keys() | new.keys()):
        if key not in old or key not in new or not _is_same(old[key], new[key]):
            changes.append(ValueChange(key, old.get(key), new.get(key), key in old, key in new))
    return changes


def _is_same(old: Any, new: Any) -> bool:
    return type(old) is type(new) and bool(old == new)


def as_json(values: dict[str, Any]) -> dict[str, Any]:
    """Return values as JSON can hold them, NaN and infinities as text."""
    found: dict[str, Any] = json_number(values)
    return found


def numbers_of(summary: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of a flat summary."""
    return {
        key: value
        for key, value in summary.items()
        if (isinstance(value, (int, float)) and not isinstance(value, bool)) or value in _NOT_FINITE
    }


_NOT_FINITE: Sequence[Any] = ("NaN", "Infinity", "-Infinity")
