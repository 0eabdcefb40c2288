"""Write and read runs of which nothing more is expected; `store_search` finds them, `store_columns` lists keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from ..runs.run_rows import (
    BOOLEAN,
    LIST,
    MAPPING,
    METRIC,
    NAN,
    NONE,
    NUMBER,
    TEXT,
    RunRow,
    StoredKey,
    aggregates_of,
    given_text,
    pack_values,
    pack_view,
    plain_text,
    unpack_values,
    unpack_view,
    values_of,
)
from ..runs.run_view import RunView
from .store_alerts import insert_alerts
from .store_schema import run, run_alert, run_content, run_key, run_metric, run_value
from .store_sets import execute_rows, integer_set, text_set

RunKey: TypeAlias = tuple[str, str]

_LOCK = 0x72756E73  # "runs"
_COUNTED = ("n_numbers", "n_booleans", "n_texts", "n_lists", "n_nones", "n_mappings", "n_metrics", "n_points")
_COUNTER_OF = {NUMBER: "n_numbers", NAN: "n_numbers", BOOLEAN: "n_booleans", NONE: "n_nones", MAPPING: "n_mappings"}
_journals_decoder = msgspec.msgpack.Decoder(tuple[tuple[str, int], ...])


@dataclass(frozen=True, slots=True)
class SettledRun:
    """What of a stored run is known without unpacking it; `journals` are names and sizes in bytes."""

    key: RunKey
    journals: tuple[tuple[str, int], ...]
    state: str
    created_ns: int
    updated_ns: int


def counter_of(kind: int) -> str:
    """Return which column of `run_key` counts values of this kind."""
    return _COUNTER_OF.get(kind, "n_texts" if TEXT <= kind < LIST else "n_lists")


# -- writing


def write_runs(connection: Connection, rows: Sequence[RunRow]) -> None:
    """Store runs in place of what is there of them."""
    found = {(row.view.project, row.view.id): row for row in rows}
    _be_alone(connection)
    remove_runs(connection, found)
    if not found:
        return
    # In one order, so that two writers never wait for each other.
    ordered = [found[key] for key in sorted(found)]
    connection.execute(insert(run), [_run_columns(row) for row in ordered])
    run_pks = run_pks_of(connection, found)
    values = [(key, value) for row in ordered for key, value in _rows_of(row, run_pks)]
    key_ids = _key_ids(connection, values)
    keys_of_run: dict[int, list[int]] = {}
    for key, columns in values:
        columns["key_id"] = key_ids[key]
        keys_of_run.setdefault(columns["run_pk"], []).append(key_ids[key])
    _insert_values(connection, [columns for _, columns in values])
    connection.execute(insert(run_content), [_content(row, run_pks, keys_of_run) for row in ordered])
    insert_alerts(connection, [(run_pks[row.view.project, row.view.id], row.alerts) for row in ordered])
    _define_metrics(connection, ordered, key_ids)


def _be_alone(connection: Connection) -> None:
    """Wait until no other server writes runs: they count in the same rows, and may have settled the same run."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


_Key: TypeAlias = tuple[str, StoredKey]


def _run_columns(row: RunRow) -> dict[str, Any]:
    view = row.view
    return {
        "project": plain_text(view.project),
        "run_id": plain_text(view.id),
        "state": view.state,
        "created_ns": _int64(view.created_ns),
        "updated_ns": _int64(view.updated_ns),
        "journals": msgspec.msgpack.encode(tuple(row.journals)),
    }


def _int64(value: int) -> int:
    return max(-(1 << 63), min(value, (1 << 63) - 1))


def _rows_of(row: RunRow, run_pks: Mapping[RunKey, int]) -> Iterator[tuple[_Key, dict[str, Any]]]:
    project = row.view.project
    run_pk = run_pks[project, row.view.id]
    for key, (kind, number, residual, text, rest) in values_of(row):
        columns = {"run_pk": run_pk, "kind": kind, "number": number, "residual": residual, "text": text, "rest": rest}
        yield (project, key), columns
    for key, aggregates in aggregates_of(row):
        yield (project, key), {"run_pk": run_pk, **aggregates}


def _content(row: RunRow, run_pks: Mapping[RunKey, int], key_ids: Mapping[int, list[int]]) -> dict[str, Any]:
    run_pk = run_pks[row.view.project, row.view.id]
    ids = sorted(key_ids.get(run_pk, []))
    return {
        "run_pk": run_pk,
        "view": pack_view(row.view),
        "environment": pack_values(dict(row.environment)),
        "key_ids": pack_values([second - first for first, second in pairwise([0, *ids])]),
    }


def _insert_values(connection: Connection, rows: list[dict[str, Any]]) -> None:
    rows.sort(key=lambda columns: (columns["key_id"], columns["run_pk"]))
    for table, name in ((run_value, "kind"), (run_metric, "n_points")):
        execute_rows(connection, insert(table), [columns for columns in rows if name in columns])


def run_pks_of(connection: Connection, keys: Iterable[RunKey]) -> dict[RunKey, int]:
    """Return the primary keys of those of these runs that are stored."""
    ids: dict[str, list[str]] = {}
    for project, run_id in keys:
        ids.setdefault(project, []).append(plain_text(run_id))
    return {
        (project, given_text(run_id)): run_pk
        for project, wanted in ids.items()
        for run_id, run_pk in connection.execute(
            select(run.c.run_id, run.c.run_pk).where(
                run.c.project == plain_text(project), run.c.run_id.in_(text_set(connection, wanted))
            )
        )
    }


def _parts(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    left = iter(items)
    while part := list(islice(left, size)):
        yield part


def _key_ids(connection: Connection, values: Iterable[tuple[_Key, Mapping[str, Any]]]) -> dict[_Key, int]:
    """Return the ids of the keys of these rows, with the rows counted. Keys that are not there yet are made."""
    counts: dict[_Key, Counter[str]] = {}
    for key, columns in values:
        _add_row(counts.setdefault(key, Counter()), columns, 1)
    found = _known_key_ids(connection, counts)
    _count(connection, {key_id: counts[key] for key, key_id in found.items()})
    missing = sorted(counts.keys() - found.keys())
    new = [
        {"project": plain_text(key[0]), "root": key[1].root, "key": plain_text(key[1].key), "is_hidden": False}
        | {name: counts[key][name] for name in _COUNTED}
        for key in missing
    ]
    execute_rows(connection, insert(run_key), new)
    return found | _known_key_ids(connection, missing)


def _known_key_ids(connection: Connection, keys: Iterable[_Key]) -> dict[_Key, int]:
    names: dict[tuple[str, str], list[str]] = {}
    for project, key in keys:
        names.setdefault((project, key.root), []).append(plain_text(key.key))
    c = run_key.c
    return {
        (project, StoredKey(root, given_text(name))): key_id
        for (project, root), wanted in names.items()
        for name, key_id in connection.execute(
            select(c.key, c.key_id).where(
                c.project == plain_text(project), c.root == root, c.key.in_(text_set(connection, wanted))
            )
        )
    }


def _add_row(counts: Counter[str], columns: Mapping[str, Any], sign: int) -> None:
    """Count a row of `run_value` or `run_metric` as the columns of `run_key` do."""
    if "kind" in columns:
        counts[counter_of(columns["kind"])] += sign
    else:
        counts["n_metrics"] += sign
        counts["n_points"] += sign * columns["n_points"]


def _count(connection: Connection, counts: Mapping[int, Mapping[str, int]]) -> None:
    """Add to the counts of keys, by their ids."""
    changes: dict[str, list[dict[str, int]]] = {}
    for key_id, of_key in counts.items():
        for name, change in of_key.items():
            changes.setdefault(name, []).append({"of_key": key_id, "change": change})
    for name, of_name in changes.items():
        statement = update(run_key).where(run_key.c.key_id == bindparam("of_key"))
        execute_rows(connection, statement.values({name: run_key.c[name] + bindparam("change")}), of_name)


def _define_metrics(connection: Connection, rows: Iterable[RunRow], key_ids: Mapping[_Key, int]) -> None:
    """Note what runs say of their metrics; the run written last has its say."""
    said: dict[int, dict[str, Any]] = {}
    for row in rows:
        for metric in row.view.metrics.values():
            key_id = key_ids.get((row.view.project, StoredKey(METRIC, metric.key)))
            if key_id is not None and (metric.step_metric or metric.goal or metric.hidden):
                step_metric = metric.step_metric and plain_text(metric.step_metric)
                said[key_id] = {
                    "of_key": key_id,
                    "of_step": step_metric,
                    "of_goal": metric.goal and plain_text(metric.goal),
                    "hidden": metric.hidden,
                }
    if said:
        statement = update(run_key).where(run_key.c.key_id == bindparam("of_key"))
        statement = statement.values(
            step_metric=func.coalesce(bindparam("of_step"), run_key.c.step_metric),
            goal=func.coalesce(bindparam("of_goal"), run_key.c.goal),
            is_hidden=bindparam("hidden"),
        )
        connection.execute(statement, [said[key_id] for key_id in sorted(said)])


def remove_runs(connection: Connection, keys: Iterable[RunKey]) -> None:
    """Remove runs with all that is stored of them; those that are not there are no fault."""
    _be_alone(connection)
    run_pks = sorted(run_pks_of(connection, keys).values())
    for part in _parts(run_pks, 1000):
        content = select(run_content.c.run_pk, run_content.c.key_ids).where(run_content.c.run_pk.in_(part))
        places = [
            {"of_run": run_pk, "of_key": key_id}
            for run_pk, packed in connection.execute(content)
            for key_id in accumulate(unpack_values(packed))
        ]
        places.sort(key=lambda place: (place["of_key"], place["of_run"]))
        counts: dict[int, Counter[str]] = {}
        for columns in _rows_at(connection, places):
            _add_row(counts.setdefault(columns["key_id"], Counter()), columns, -1)
        _count(connection, counts)
        for table in (run_value, run_metric):
            at = (table.c.key_id == bindparam("of_key")) & (table.c.run_pk == bindparam("of_run"))
            execute_rows(connection, delete(table).where(at), places)
        for table in (run_content, run_alert, run):
            connection.execute(delete(table).where(table.c.run_pk.in_(part)))


def _rows_at(connection: Connection, places: Sequence[Mapping[str, int]]) -> Iterator[dict[str, Any]]:
    """Yield what `_add_row` needs of the rows at these places."""
    keys_of_run: dict[int, list[int]] = {}
    for place in places:
        keys_of_run.setdefault(place["of_run"], []).append(place["of_key"])
    for table, name in ((run_value, "kind"), (run_metric, "n_points")):
        query = select(table.c.key_id, table.c[name])
        for run_pk, key_ids in keys_of_run.items():
            at = (table.c.run_pk == run_pk) & table.c.key_id.in_(integer_set(connection, key_ids))
            for key_id, value in connection.execute(query.where(at)):
                yield {"key_id": key_id, name: value}


# -- reading


def read_run(connection: Connection, project: str, run_id: str) -> RunView | None:
    """Return a stored run, or None."""
    query = select(run_content.c.view).join(run, run.c.run_pk == run_content.c.run_pk)
    query = query.where(run.c.project == plain_text(project), run.c.run_id == plain_text(run_id))
    packed = connection.execute(query).scalar()
    return None if packed is None else unpack_view(packed)


def read_runs(connection: Connection, project: str | None = None) -> Iterator[RunView]:
    """Yield the stored runs of a project, or all, newest first; a few at a time are in memory."""
    query = select(run_content.c.view).join(run, run.c.run_pk == run_content.c.run_pk)
    if project is not None:
        query = query.where(run.c.project == plain_text(project))
    query = query.order_by(run.c.created_ns.desc(), run.c.run_id, run.c.project)
    for (packed,) in connection.execute(query, execution_options={"yield_per": 100}):
        yield unpack_view(packed)


def settled_runs(connection: Connection) -> Iterator[SettledRun]:
    """Yield what tells one stored run from another, of all projects."""
    c = run.c
    query = select(c.project, c.run_id, c.journals, c.state, c.created_ns, c.updated_ns)
    for project, run_id, journals, state, created_ns, updated_ns in connection.execute(query):
        key = (given_text(project), given_text(run_id))
        yield SettledRun(key, _journals_decoder.decode(journals), state, created_ns, updated_ns)


def project_list(connection: Connection) -> list[tuple[str, int, int]]:
    """Return name, number of stored runs and time of the last sign of life, in ns, of every project."""
    query = select(run.c.project, func.count(), func.max(run.c.updated_ns)).group_by(run.c.project)
    return [(given_text(project), n_runs, ns) for project, n_runs, ns in connection.execute(query)]
