"""Which chunks the versions of a project need, in 8 bytes each. Pure.

Only the first 8 bytes of a digest are kept. Two chunks that have these in common are taken for one another, which keeps
what nobody needs, never the other way round: of ten million chunks about one in 10^5 collections keeps one too many.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from tracker_core.artifacts.manifest import Manifest

_WIDTH = 8
_MERGE_AT = 1 << 20


class NeededChunks:
    """A set of chunks that only grows. Not thread-safe."""

    def __init__(self) -> None:
        self._sorted: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        self._new: list[npt.NDArray[np.uint64]] = []
        self._n_new = 0

    def add(self, digests: Iterable[bytes]) -> None:
        """Add chunks by their digests."""
        found = _prefixes(digests)
        self._new.append(found)
        self._n_new += len(found)
        if self._n_new > max(_MERGE_AT, len(self._sorted)):
            self._merge()

    def add_manifest(self, manifest: Manifest) -> None:
        """Add the chunks of a version."""
        self.add(chunk.digest for entry in manifest for chunk in entry.all_chunks)

    def of(self, digests: Iterable[bytes]) -> npt.NDArray[np.bool_]:
        """Return, for each chunk, whether it is needed."""
        self._merge()
        asked = _prefixes(digests)
        if not len(self._sorted):
            return np.zeros(len(asked), bool)
        places = np.minimum(np.searchsorted(self._sorted, asked), len(self._sorted) - 1)
        return np.asarray(self._sorted[places] == asked)

    def has_any(self, digests: Iterable[bytes]) -> bool:
        """Say whether one of these chunks is needed."""
        return bool(self.of(digests).any())

    def __len__(self) -> int:
        self._merge()
        return len(self._sorted)

    def _merge(self) -> None:
        if self._new:
            self._sorted = np.unique(np.concatenate([self._sorted, *self._new]))
            self._new, self._n_new = [], 0


def _prefixes(digests: Iterable[bytes]) -> npt.NDArray[np.uint64]:
    return np.frombuffer(b"".join(digest[:_WIDTH] for digest in digests), np.uint64)
