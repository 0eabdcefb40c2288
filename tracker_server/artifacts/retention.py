"""Let versions go that the rules of their artifacts do not keep. Their bytes go with the collection of garbage."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Sequence

from tracker_core.artifacts.wire import Best
from tracker_core.errors import NotFoundError, TrackerError

from ..blobs.gc_report import DroppedVersion
from ..catalog.decisions import By
from ..query.folder import LocalFolder
from ..runs.filter_match import look_up
from ..store import store_retention as sql
from ..store.store_artifact_changes import delete_versions
from ..store.store_artifacts import own_uids
from ..store.store_catalog import CatalogDatabase
from ..store.store_connection import StoreConnection
from .retention_rules import DAY_NS, KnownVersion, Score, Verdict, judge

WHY = "retention"
# The bytes of a version may arrive before the journal of its run.
_AWAITED_NS = DAY_NS
ScoreOf = Callable[[tuple[str, str], str, int], Score]


def drop_versions(
    database: CatalogDatabase,
    score_of: ScoreOf,
    by: By,
    unsent: Collection[str] = (),
    is_dry_run: bool = False,
) -> tuple[list[DroppedVersion], list[str]]:
    """Delete the versions that the rules of their artifacts do not keep.

    Args:
        database: the catalog.
        score_of: the metric of a run: from its (project, id), the name of a summary value, and when the version was
            committed.
        by: who decides this, and when.
        unsent: versions that a server is still to get; these stay.
        is_dry_run: only say which.

    Returns:
        What went, and troubles.

    Raises:
        CatalogError: the catalog cannot be read or written; what was dropped until then is.
    """
    dropped: list[DroppedVersion] = []
    troubles: list[str] = []
    for artifact in database.read(sql.ruled_artifacts) or []:
        try:
            dropped += _drop_of(database, artifact, score_of, by, unsent, is_dry_run)
        except (TrackerError, ValueError) as error:
            troubles.append(f"{artifact.project}/{artifact.name}: {error}")
    return dropped, troubles


def verdicts_of(
    connection: StoreConnection,
    number: int,
    scores: Mapping[str, Score],
    unsent: Collection[str],
    now_ns: int,
) -> tuple[list[Verdict], list[sql.VersionRow]]:
    """Return what becomes of each version of an artifact, by its rules and versions of this transaction."""
    rows = sql.versions_under_rules(connection, number)
    # A version that was logged again with the same content is noted under that other uid.
    awaited = set(own_uids(connection, unsent).values()) if unsent else set()
    versions = [
        KnownVersion(
            uid=row.uid,
            ordinal=row.ordinal,
            committed_ns=row.committed_ns,
            aliases=row.aliases,
            ttl_days=row.ttl_days,
            links=row.links,
            is_unsent=row.uid in awaited,
        )
        for row in rows
    ]
    known = {row.uid: scores.get(row.uid, Score(why_unknown="was committed just now")) for row in rows}
    return judge(versions, sql.rules_of(connection, number), known, now_ns), rows


def _drop_of(
    database: CatalogDatabase,
    artifact: sql.RuledArtifact,
    score_of: ScoreOf,
    by: By,
    unsent: Collection[str],
    is_dry_run: bool,
) -> list[DroppedVersion]:
    rows = database.read(lambda connection: sql.versions_under_rules(connection, artifact.number)) or []
    scores = _scores(rows, artifact.rules.keep_best, score_of)

    def decide(connection: StoreConnection) -> list[DroppedVersion]:
        verdicts, found = verdicts_of(connection, artifact.number, scores, unsent, by.at_ns)
        by_uid = {row.uid: row for row in found}
        return [_dropped(artifact, by_uid[one.uid], one.why) for one in verdicts if not one.is_kept]

    def drop(connection: StoreConnection) -> list[DroppedVersion]:
        # Once more, in the transaction that deletes: an alias may just have been moved, a version been linked.
        going = decide(connection)
        for one in going:
            reason = dataclasses.replace(by, why=f"{WHY}: {one.why}"[:2000])
            delete_versions(connection, [one.uid], reason, delete_aliases=True)
        return going

    going = database.read(decide) or []
    return going if is_dry_run or not going else database.write(drop)


def _scores(rows: Sequence[sql.VersionRow], best: Best | None, score_of: ScoreOf) -> dict[str, Score]:
    if best is None:
        return {row.uid: Score() for row in rows}
    return {row.uid: score_of(row.run, best.metric, row.committed_ns) if row.run else Score() for row in rows}


def _dropped(artifact: sql.RuledArtifact, row: sql.VersionRow, why: str) -> DroppedVersion:
    return DroppedVersion(artifact.project, artifact.name, f"v{row.ordinal}", row.uid, row.size_bytes, why)


def scores_from(opened: Callable[[], LocalFolder], now_ns: int) -> ScoreOf:
    """Return what tells the summary values of runs, each looked up once; the folder is opened when one is asked for."""
    known: dict[tuple[tuple[str, str], str], Score] = {}
    folders: list[LocalFolder] = []

    def score_of(run: tuple[str, str], metric: str, committed_ns: int) -> Score:
        key = (run, metric)
        if key not in known:
            folders[:] = folders or [opened()]
            known[key] = _score(folders[0], run, metric)
        found = known[key]
        if found.why_unknown == _NOT_THERE:  # deleted, or not arrived yet
            is_awaited = now_ns - committed_ns < _AWAITED_NS
            return found if is_awaited else Score()
        return found

    return score_of


_NOT_THERE = "its run is not here, or not yet"


def _score(folder: LocalFolder, run: tuple[str, str], metric: str) -> Score:
    try:
        view = folder.run(*run)
    except NotFoundError:
        return Score(why_unknown=_NOT_THERE)
    if view.state == "running":
        return Score(why_unknown=f"its run {view.project}/{view.id} is still running")
    value = look_up(view.summary, metric)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        return Score()
    return Score(float(value))
