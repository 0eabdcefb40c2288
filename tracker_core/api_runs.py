"""The runs that `Api.runs` found, brought page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

from .api_run import ApiRun

# The next page is twice as long, up to this: of very many runs each page costs a search.
_MAX_PAGE = 1000

# Place behind which a page begins and its length -> runs, place of the last or None on the last page, number of all.
FetchPage = Callable[[Any, int], tuple[list[ApiRun], Any, int]]


class Runs(Sequence[ApiRun]):
    """Runs in order, with `len`, indices, slices and iteration; the first page is there, the rest comes when asked for.

    `len` is how many matched when the first page came. Runs that are added meanwhile shift nothing.

    Args:
        fetch: brings a page.
        per_page: how many runs the first page has.
    """

    def __init__(self, fetch: FetchPage, per_page: int) -> None:
        self._fetch = fetch
        self._size = per_page
        self._runs: list[ApiRun] = []
        self._n = 0
        self._after: Any = None
        self._is_complete = False
        self._bring()

    def __len__(self) -> int:
        return len(self._runs) if self._is_complete else self._n

    def __iter__(self) -> Iterator[ApiRun]:
        index = 0
        while index < len(self._runs) or self._bring():
            yield self._runs[index]
            index += 1

    @overload
    def __getitem__(self, index: int) -> ApiRun: ...
    @overload
    def __getitem__(self, index: slice) -> list[ApiRun]: ...
    def __getitem__(self, index: int | slice) -> ApiRun | list[ApiRun]:
        """Return one run, or a list of those in a slice; counted from the end, all are brought first."""
        self._bring_up_to(_stop(index))
        return self._runs[index]

    def __repr__(self) -> str:
        return f"<{len(self)} runs>"

    def _bring_up_to(self, n: int | None) -> None:
        while (n is None or len(self._runs) < n) and self._bring():
            pass

    def _bring(self) -> bool:
        """Bring one more page; says whether it had runs."""
        if self._is_complete:
            return False
        found, self._after, n = self._fetch(self._after, self._size)
        self._n = self._n or n
        self._runs += found
        self._size = max(self._size, min(2 * self._size, _MAX_PAGE))
        self._is_complete = self._after is None
        return bool(found)


def _stop(index: int | slice) -> int | None:
    """Return how many runs an index needs from the first on, None for all."""
    if isinstance(index, int):
        return index + 1 if index >= 0 else None
    ends = (index.start, index.stop)
    is_forward = index.step is None or index.step > 0
    if not is_forward or index.stop is None or any(end is not None and end < 0 for end in ends):
        return None
    return int(index.stop)
