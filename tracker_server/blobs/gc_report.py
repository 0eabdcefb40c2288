"""What a collection did, or would do, and why."""

from __future__ import annotations

from typing import Literal

import msgspec


class DroppedVersion(msgspec.Struct, frozen=True):
    """A version that the rules of its artifact do not keep."""

    project: str
    name: str
    version: str
    uid: str
    size_bytes: int
    why: str


class PackFate(msgspec.Struct, frozen=True):
    """What becomes of a pack.

    Attributes:
        project: whose.
        pack_id: its name.
        size_bytes: of its file.
        needed_bytes: of the chunks in it that something needs.
        what: condemn (removed after the grace period), rewrite (what is needed of it goes into a new pack, then
            condemned), wait (condemned earlier, within its grace period), remove, unknown (no row tells of it; left).
        why: in words.
    """

    project: str
    pack_id: str
    size_bytes: int
    needed_bytes: int
    what: Literal["condemn", "rewrite", "wait", "remove", "unknown"]
    why: str


class GcReport(msgspec.Struct):
    """What a collection did, or with `is_dry_run` would do.

    Attributes:
        dropped: versions that went by the rules of their artifacts.
        packs: what became of each pack that is not simply kept.
        n_kept_packs, kept_bytes: of the packs that stay as they are.
        n_expired_leases: uploads that nobody went on with for a day.
        n_strays: files of uploads that were broken off.
        freed_bytes: given back to the store now.
        waiting_bytes: given back when the grace period of their packs ends.
        troubles: what could not be done.
    """

    is_dry_run: bool = False
    dropped: list[DroppedVersion] = []
    packs: list[PackFate] = []
    n_kept_packs: int = 0
    kept_bytes: int = 0
    n_expired_leases: int = 0
    n_strays: int = 0
    stray_bytes: int = 0
    freed_bytes: int = 0
    waiting_bytes: int = 0
    troubles: list[str] = []
