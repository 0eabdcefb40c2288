"""What there is to know of artifacts and of the registry, as structs: in this process, and between client and server.

Times are nanoseconds since the Unix epoch, sizes bytes. An artifact is named "project/name"; one of its versions by its
`uid` (32 hexadecimal digits, minted by who logs it, the same everywhere) or, within one catalog, by "v0", "v1", ...
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

REGISTRY = "model-registry"
MAX_NAME_CHARS = 128
MAX_CHUNK_BYTES = 8 << 20


class RunRef(msgspec.Struct, frozen=True, array_like=True):
    """A run."""

    project: str
    run: str


class Best(msgspec.Struct, frozen=True):
    """Keep the `n` versions whose runs are best by a summary value; `goal` is "minimize" or "maximize"."""

    metric: str
    n: int
    goal: Literal["minimize", "maximize"] = "minimize"


class Retention(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which versions of an artifact are kept. A version goes when no rule keeps it and some rule speaks of it.

    Attributes:
        keep_last: how many of the newest.
        keep_best: the best by a metric.
        ttl_days: how long a version is kept; its own `ttl_days` wins.
        protected_aliases: versions with one of these are always kept and cannot be deleted.
    """

    keep_last: int | None = None
    keep_best: Best | None = None
    ttl_days: float | None = None
    protected_aliases: tuple[str, ...] = ()


class VersionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A committed version.

    Attributes:
        ordinal: 3 of "v3".
        digest: of its manifest, hexadecimal.
        created_by: the user or the key that committed it.
        logged_by: the run that did, where there was one.
        n_used_by: how many runs used it.
        expires_ns: when it goes by its time to live; None never.
        registered_as: (registered model, version number there) of each link.
        deleted_ns: when it was deleted; None while it is there. Only lineages, and what runs used and logged, show
            deleted versions.
    """

    uid: str
    project: str
    name: str
    type: str
    ordinal: int
    digest: str
    size_bytes: int
    n_files: int
    n_references: int = 0
    aliases: list[str] = []
    tags: list[str] = []
    description: str = ""
    metadata: dict[str, Any] = {}
    created_ns: int
    created_by: str = ""
    logged_by: RunRef | None = None
    history_step: int | None = None
    ttl_days: float | None = None
    expires_ns: int | None = None
    n_used_by: int = 0
    registered_as: list[tuple[str, int]] = []
    deleted_ns: int | None = None

    @property
    def version(self) -> str:
        return f"v{self.ordinal}"


class CollectionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact: all versions of one name. `size_bytes` adds up its versions as if nothing were shared."""

    project: str
    name: str
    type: str
    description: str = ""
    created_ns: int
    updated_ns: int
    n_versions: int
    size_bytes: int
    latest: VersionInfo | None = None
    aliases: list[str] = []
    retention: Retention = Retention()


class NewVersion(msgspec.Struct, kw_only=True):
    """What is to be committed. Its chunks are there, pinned by `lease`; committing one uid twice changes nothing."""

    uid: str
    project: str
    name: str
    type: str
    manifest: bytes
    lease: str
    aliases: list[str] = []
    tags: list[str] = []
    description: str = ""
    metadata: dict[str, Any] = {}
    created_ns: int = 0
    logged_by: RunRef | None = None
    history_step: int | None = None
    ttl_days: float | None = None


class VersionEdit(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Changes of a version; None leaves as it is. `ttl_days` 0 keeps it for ever, -1 goes back to the artifact's."""

    add_aliases: list[str] = []
    remove_aliases: list[str] = []
    tags: list[str] | None = None
    description: str | None = None
    metadata: dict[str, Any] | None = None
    ttl_days: float | None = None


class Use(msgspec.Struct, frozen=True):
    """A run used (`is_output` False) or logged a version."""

    uid: str
    run: RunRef
    at_ns: int
    is_output: bool = False
    used_as: str = ""


class Node(msgspec.Struct, frozen=True):
    """A run or a version in a lineage. `id` is "run:project/id" or "version:uid"; the other one of the two is None."""

    id: str
    run: RunRef | None = None
    version: VersionInfo | None = None


class Lineage(msgspec.Struct):
    """Nodes and (from, to) edges in the direction in which data flows; `is_complete` False where bounds cut it."""

    nodes: list[Node]
    edges: list[tuple[str, str]]
    is_complete: bool = True


class Usage(msgspec.Struct, frozen=True):
    """What a project's artifacts take: `logical_bytes` as if nothing were shared, `stored_bytes` on the store."""

    project: str
    n_artifacts: int
    n_versions: int
    logical_bytes: int
    stored_bytes: int
    n_chunks: int


class Page(msgspec.Struct):
    """Some of many: `next_place` is where to go on, None at the end."""

    items: list[Any]
    next_place: int | None = None


# -- the registry


class LinkedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version in a registered model; `number` is 3 of its "v3" there."""

    model: str
    number: int
    version: VersionInfo
    aliases: list[str] = []
    linked_ns: int
    linked_by: str
    why: str = ""


class RegisteredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A registered model, or data set: `type` is that of the artifacts that it takes."""

    name: str
    type: str
    card: str = ""
    created_ns: int
    created_by: str
    updated_ns: int
    n_versions: int
    aliases: dict[str, int] = {}
    latest: LinkedVersion | None = None


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A change of the registry. `hash` is the SHA-256, hexadecimal, of the entry's content and of `previous_hash`.

    `action`: register, link, unlink, set alias, remove alias, edit card, delete model. `detail` says what, `why` the
    reason that was given.
    """

    number: int
    at_ns: int
    who: str
    action: str
    model: str
    version: int | None = None
    detail: dict[str, Any] = {}
    why: str = ""
    previous_hash: str
    hash: str
