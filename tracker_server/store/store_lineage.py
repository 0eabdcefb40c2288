"""Which runs logged and used which versions, and what came of what, to any depth."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, select, tuple_

from tracker_core.artifacts.wire import Lineage, Node, RunRef, Use, VersionInfo
from tracker_core.errors import NotFoundError, UsageError

from .store_artifact_changes import insert_uses
from .store_artifact_schema import artifact_use
from .store_artifacts import own_uids, parts, version_row, versions_by_uid

# A run or, as text, the uid of a version.
Key = RunRef | str
_DIRECTIONS = {"up": ("up",), "down": ("down",), "both": ("up", "down")}
_COLUMNS = ("uid", "run_project", "run_id", "is_output", "at_ns", "used_as")
_MAX_NODES = 100_000
_RUN, _VERSION = "run:", "version:"


def add_uses(connection: Connection, uses: Sequence[Use]) -> None:
    """Keep that runs used or logged versions; those of versions that are not known are left out."""
    own = own_uids(connection, {use.uid for use in uses})
    known = [use for use in uses if use.uid in own]
    insert_uses(connection, [(own[use.uid], use.run, use.at_ns, use.is_output, use.used_as) for use in known])


def uses_of_run(connection: Connection, run: RunRef) -> list[tuple[Use, VersionInfo]]:
    """Return what a run logged and used, deleted versions too, in the order in which it did."""
    uses = sorted(_uses(connection, [run]), key=lambda use: (use.at_ns, use.uid, use.is_output))
    versions = versions_by_uid(connection, {use.uid for use in uses})
    return [(use, versions[use.uid]) for use in uses if use.uid in versions]


def users_of(connection: Connection, uid: str) -> list[Use]:
    """Return the runs that logged and used a version, in the order in which they did; raises NotFoundError."""
    own: str = version_row(connection, uid, with_deleted=True).uid
    return sorted(_uses(connection, [own]), key=lambda use: (use.at_ns, use.run.project, use.run.run))


def read_lineage(connection: Connection, node: str, depth: int | None, direction: str, max_nodes: int) -> Lineage:
    """Return what a node came from, what came of it, or both; see `ArtifactSource.lineage`.

    Raises:
        NotFoundError: there is no such version, or the run neither used nor logged one.
        UsageError: the node, the depth or the direction is none.
    """
    if direction not in _DIRECTIONS or (depth is not None and depth < 0):
        got, expected = f"direction {direction!r:.50}, depth {depth}", "up, down or both, and a depth from 0 on"
        raise UsageError("lineage", got, expected, "leave them out for all of it")
    start = _start(connection, node)
    keys: dict[Key, None] = {start: None}
    edges: dict[tuple[Key, Key], None] = {}
    is_complete = True
    for way in _DIRECTIONS[direction]:
        is_complete &= _follow(connection, start, way == "up", depth, max(1, min(max_nodes, _MAX_NODES)), keys, edges)
    versions = versions_by_uid(connection, [key for key in keys if isinstance(key, str)])
    nodes = [_node(key, versions) for key in keys]
    return Lineage(nodes, [(_id(tail), _id(head)) for tail, head in edges], is_complete)


def _follow(
    connection: Connection,
    start: Key,
    is_up: bool,
    depth: int | None,
    max_nodes: int,
    keys: dict[Key, None],
    edges: dict[tuple[Key, Key], None],
) -> bool:
    """Add all that can be reached one way; say whether that is all there is."""
    seen, frontier, n_steps = {start}, [start], 0
    while frontier:
        found = _neighbours(connection, frontier, is_up)
        if depth is not None and n_steps >= depth:
            return all(other in seen for _, other in found)
        n_steps += 1
        frontier = []
        for key, other in found:
            if other not in keys and len(keys) >= max_nodes:
                return False
            keys[other] = None
            edges[(other, key) if is_up else (key, other)] = None
            if other not in seen:
                seen.add(other)
                frontier.append(other)
    return True


def _neighbours(connection: Connection, keys: Collection[Key], is_up: bool) -> list[tuple[Key, Key]]:
    """Return (key, other) for what keys came from, or what came of them: a version of the run that logged it."""
    found: list[tuple[Key, Key]] = []
    for use in sorted(_uses(connection, keys), key=lambda use: (use.at_ns, use.uid, use.run.project, use.run.run)):
        # What is logged comes from the run, what is used goes into it.
        tail, head = (use.run, use.uid) if use.is_output else (use.uid, use.run)
        key, other = (head, tail) if is_up else (tail, head)
        found.append((key, other))
    wanted = set(keys)
    return [pair for pair in found if pair[0] in wanted]


def _uses(connection: Connection, keys: Collection[Key]) -> Iterable[Use]:
    c = artifact_use.c
    query = select(*(c[name] for name in _COLUMNS))
    wheres = [c.uid.in_(some) for some in parts([key for key in keys if isinstance(key, str)])]
    runs = [(key.project, key.run) for key in keys if isinstance(key, RunRef)]
    wheres += [tuple_(c.run_project, c.run_id).in_(some) for some in parts(runs)]
    for where in wheres:
        for uid, project, run_id, is_output, at_ns, used_as in connection.execute(query.where(where)):
            yield Use(uid, RunRef(project, run_id), at_ns, bool(is_output), used_as)


def _start(connection: Connection, node: str) -> Key:
    if node.startswith(_VERSION):
        return str(version_row(connection, node.removeprefix(_VERSION), with_deleted=True).uid)
    project, slash, run_id = node.removeprefix(_RUN).rpartition("/")
    if not node.startswith(_RUN) or not slash:
        remedy = "take the id of a node: run:PROJECT/ID or version:UID"
        raise UsageError("lineage", f"{node!r:.200}", "the id of a run or version", remedy)
    run = RunRef(project, run_id)
    if not list(_uses(connection, [run])):
        raise NotFoundError(f"run {project}/{run_id} neither used nor logged a version of an artifact")
    return run


def _id(key: Key) -> str:
    return f"{_VERSION}{key}" if isinstance(key, str) else f"{_RUN}{key.project}/{key.run}"


def _node(key: Key, versions: dict[str, VersionInfo]) -> Node:
    return Node(_id(key), version=versions.get(key)) if isinstance(key, str) else Node(_id(key), run=key)
