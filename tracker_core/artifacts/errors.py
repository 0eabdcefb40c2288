"""Errors about the bytes of artifacts."""

from __future__ import annotations

from collections.abc import Collection

from ..errors import TrackerError


class MissingChunksError(TrackerError):
    """Chunks that a version needs are not there, or not kept for the upload: they have to be put again.

    Args:
        where: the project or version.
        digests: of the chunks.
    """

    def __init__(self, where: str, digests: Collection[bytes]) -> None:
        super().__init__(where, digests)
        self.where, self.digests = where, frozenset(digests)

    def __str__(self) -> str:
        got = f"{len(self.digests):,} chunks that are not there or no longer kept for this upload"
        return f"{self.where}: got {got}, expected all. Remedy: send them again."


class DamagedChunkError(TrackerError):
    """The bytes that are stored are not those of the digest.

    Args:
        where: the file or object that they are in.
        digest: what they should have.
    """

    def __init__(self, where: str, digest: bytes) -> None:
        super().__init__(where, digest)
        self.where, self.digest = where, digest

    def __str__(self) -> str:
        remedy = "`tracker artifact verify` names the versions that need it; log one of them again, or restore a backup"
        return f"{self.where}: got bytes that are damaged, expected those of {self.digest.hex()}. Remedy: {remedy}."
