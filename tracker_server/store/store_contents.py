"""The stored runs themselves, unpacked a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from ..runs.run_rows import plain_text, unpack_values, unpack_view
from ..runs.run_view import RunView
from .store_schema import run, run_content

_BATCH = 200


class RunContents:
    """Reads runs and their environments. What was read last is kept, no more."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._packed: dict[tuple[str, str], bytes] = {}
        self._environments: dict[tuple[str, str], Mapping[str, Any]] = {}

    def views(self, run_pks: Sequence[int]) -> Iterator[tuple[int, RunView]]:
        """Yield runs with their primary keys, in any order."""
        c = run_content.c
        for start in range(0, len(run_pks), _BATCH):
            query = select(c.run_pk, c.view, c.environment).where(c.run_pk.in_(run_pks[start : start + _BATCH]))
            self._packed.clear()
            self._environments.clear()
            for run_pk, packed, environment in self._connection.execute(query).all():
                view = unpack_view(packed)
                self._packed[view.project, view.id] = environment
                yield run_pk, view

    def environment(self, view: RunView) -> Mapping[str, Any]:
        """Return the environment of a run; that of one which `views` has just yielded costs no query."""
        key = (view.project, view.id)
        if key not in self._environments:
            packed = self._packed.get(key) or self._packed_environment(view)
            self._environments[key] = unpack_values(packed)
        return self._environments[key]

    def _packed_environment(self, view: RunView) -> bytes:
        query = select(run_content.c.environment).join(run, run.c.run_pk == run_content.c.run_pk)
        query = query.where(run.c.project == plain_text(view.project), run.c.run_id == plain_text(view.id))
        return bytes(self._connection.execute(query).scalar_one())
