"""Rules of artifacts on a real store: which versions go, what keeps one at the last moment, what a dry run says."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from kept_artifacts import KeptArtifacts, content, logged_by
from sqlalchemy import update

import tracker_core
from tracker_core.artifacts.wire import Best, Retention, VersionEdit
from tracker_core.errors import NotFoundError
from tracker_core.paths import run_folder
from tracker_core.records import ArtifactLog
from tracker_core.sync.artifact_queue import note
from tracker_server.artifacts.garbage import collect_garbage, garbage_lock
from tracker_server.artifacts.retention import drop_versions
from tracker_server.artifacts.retention_rules import Score
from tracker_server.blobs.collect import Options
from tracker_server.blobs.gc_report import GcReport
from tracker_server.catalog.decisions import CatalogError, by_me
from tracker_server.query.open_folder import open_folder
from tracker_server.store.store_artifact_schema import artifact_version

DAY_NS = 86_400 * 10**9


def gc(kept: KeptArtifacts, **options: object) -> GcReport:
    def runs() -> object:
        folder = open_folder(kept.folder, kept.url)
        folder.refresh()
        return folder

    chosen = Options(**{"grace_s": 0.0, **options})  # type: ignore[arg-type]
    return collect_garbage(kept.artifacts, runs, by_me("a test"), chosen)  # type: ignore[arg-type]


def left(kept: KeptArtifacts, name: str = "model") -> list[int]:
    return sorted(one.ordinal for one in kept.artifacts.versions("p", name).items)


def train(kept: KeptArtifacts, id: str, **summary: float) -> None:
    run = tracker_core.init(project="p", id=id, dir=kept.folder)
    run.log(summary)
    run.finish(quiet=True)


def grow_old(kept: KeptArtifacts, uid: str, days: float) -> None:
    then_ns = time.time_ns() - int(days * DAY_NS)
    statement = update(artifact_version).where(artifact_version.c.uid == uid).values(committed_ns=then_ns)
    kept.write(lambda connection: connection.execute(statement).rowcount)


def test_the_newest_stay_and_the_room_of_the_others_is_given_back(kept: KeptArtifacts) -> None:
    for i in range(4):
        kept.log("model", {"a": content(i)})
    kept.artifacts.set_retention("p", "model", Retention(keep_last=2))
    report = gc(kept)
    assert [(one.name, one.version, one.why) for one in report.dropped] == [
        ("model", "v1", "it is not one of the newest 2"),
        ("model", "v0", "it is not one of the newest 2"),
    ]
    assert left(kept) == [2, 3] and len(kept.pack_ids()) == 2 and report.freed_bytes > 2 * len(content(0))
    assert gc(kept).dropped == []


def test_a_dry_run_says_which_versions_and_packs_would_go_and_changes_nothing(kept: KeptArtifacts) -> None:
    for i in range(3):
        kept.log("model", {"a": content(i)})
    kept.artifacts.set_retention("p", "model", Retention(keep_last=1))
    report = gc(kept, is_dry_run=True)
    assert len(report.dropped) == 2 and [one.what for one in report.packs] == ["condemn", "condemn"]
    assert left(kept) == [0, 1, 2] and len(kept.pack_ids()) == 3


def test_the_best_by_a_summary_value_stay(kept: KeptArtifacts) -> None:
    for i, loss in enumerate([0.5, 0.1, 0.9, 0.3]):
        train(kept, f"r{i}", **{"val/loss": loss})
        kept.log("model", {"a": content(i)}, logged_by=logged_by(f"r{i}"))
    kept.artifacts.set_retention("p", "model", Retention(keep_best=Best("val/loss", 2)))
    assert sorted(one.version for one in gc(kept).dropped) == ["v0", "v2"]
    assert left(kept) == [1, 3]


def test_a_version_whose_run_is_running_or_has_not_arrived_stays(kept_in_files: KeptArtifacts) -> None:
    kept = kept_in_files
    train(kept, "done", loss=0.1)
    running = tracker_core.init(project="p", id="running", dir=kept.folder)
    running.log({"loss": 9.0})
    for i, run in enumerate(["running", "coming", "done", "done"]):
        kept.log("model", {"a": content(i)}, logged_by=logged_by(run))
    kept.log("model", {"a": content(5)})
    kept.artifacts.set_retention("p", "model", Retention(keep_best=Best("loss", 1)))
    assert sorted(one.version for one in gc(kept).dropped) == ["v2", "v4"]
    grow_old(kept, kept.artifacts.resolve("p", "model", "v1").uid, 2)
    running.finish(quiet=True)
    assert sorted(one.version for one in gc(kept).dropped) == ["v0", "v1"]


def test_a_time_to_live_ends_and_a_longer_one_of_its_own_wins(kept: KeptArtifacts) -> None:
    infos = [kept.log("model", {"a": content(i)}) for i in range(3)]
    kept.artifacts.set_retention("p", "model", Retention(ttl_days=30))
    kept.artifacts.edit(infos[1].uid, VersionEdit(ttl_days=0))
    for info in infos[:2]:
        grow_old(kept, info.uid, 31)
    assert [one.version for one in gc(kept).dropped] == ["v0"]
    assert left(kept) == [1, 2]


def test_a_version_with_a_time_to_live_of_its_own_goes_without_rules_of_its_artifact(kept: KeptArtifacts) -> None:
    info = kept.log("model", {"a": content(0)}, ttl_days=1.0)
    kept.log("model", {"a": content(1)})
    assert gc(kept).dropped == []
    grow_old(kept, info.uid, 1.5)
    assert "ended 0.5 days ago" in gc(kept).dropped[0].why


def test_protected_aliases_and_the_registry_keep_versions(kept: KeptArtifacts) -> None:
    infos = [kept.log("model", {"a": content(i)}) for i in range(4)]
    kept.artifacts.edit(infos[0].uid, VersionEdit(add_aliases=["production"]))
    kept.artifacts.edit(infos[1].uid, VersionEdit(add_aliases=["nice"]))
    kept.artifacts.link("digits", infos[2].uid)
    kept.artifacts.set_retention("p", "model", Retention(keep_last=1, protected_aliases=("production",)))
    assert [one.version for one in gc(kept).dropped] == ["v1"]
    assert left(kept) == [0, 2, 3]


def test_an_alias_that_is_moved_while_it_is_decided_keeps_its_version(kept: KeptArtifacts) -> None:
    infos = [kept.log("model", {"a": content(i)}, logged_by=logged_by(f"r{i}")) for i in range(2)]
    rules = Retention(keep_best=Best("loss", 1), protected_aliases=("production",))
    kept.artifacts.set_retention("p", "model", rules)

    def score_of(run: tuple[str, str], metric: str, committed_ns: int) -> Score:
        kept.artifacts.edit(infos[1].uid, VersionEdit(add_aliases=["production"]))
        kept.log("model", {"a": content(7)})
        return Score(0.1 if run[1] == "r0" else 0.9)

    dropped, troubles = drop_versions(kept.database, score_of, by_me())
    assert dropped == [] and troubles == []
    assert left(kept)[:2] == [0, 1]


def test_what_a_server_is_still_to_get_stays(kept: KeptArtifacts) -> None:
    infos = [kept.log("model", {"a": content(i)}) for i in range(3)]
    kept.artifacts.set_retention("p", "model", Retention(keep_last=1))
    dropped, _ = drop_versions(kept.database, lambda *_: Score(), by_me(), unsent={infos[0].uid})
    assert [one.uid for one in dropped] == [infos[1].uid]
    kept.log("model", {"a": content(0)}, uid="c" * 32)  # the same content as v0, noted under another uid
    dropped, _ = drop_versions(kept.database, lambda *_: Score(), by_me(), unsent={"c" * 32})
    assert dropped == [] and left(kept) == [0, 2]


def test_a_deletion_says_by_which_rule(kept: KeptArtifacts) -> None:
    kept.log("model", {"a": content(0)})
    kept.log("model", {"a": content(1)})
    kept.artifacts.set_retention("p", "model", Retention(keep_last=1))
    (gone,) = gc(kept).dropped
    reason = kept.read(
        lambda c: c.execute(artifact_version.select().where(artifact_version.c.uid == gone.uid)).one().delete_reason
    )
    assert reason == "retention: it is not one of the newest 1"
    with pytest.raises(NotFoundError):
        kept.artifacts.version(gone.uid)


def test_only_one_collects_in_a_folder_at_a_time(kept_in_files: KeptArtifacts) -> None:
    kept_in_files.log("model", {"a": content(0)})
    with garbage_lock(kept_in_files.folder), pytest.raises(CatalogError, match=r"gc\.lock"):
        gc(kept_in_files)
    gc(kept_in_files)


def test_nothing_is_made_where_there_is_nothing(tmp_path: Path) -> None:
    kept = KeptArtifacts(tmp_path / "none" / ".tracker")
    assert gc(kept) == GcReport()
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("has_server", [False, True])
def test_versions_of_offline_runs_stay_until_they_are_sent(
    kept_in_files: KeptArtifacts, monkeypatch: pytest.MonkeyPatch, has_server: bool
) -> None:
    kept = kept_in_files
    monkeypatch.setenv("TRACKER_MODE", "offline")
    if has_server:
        monkeypatch.setenv("TRACKER_BASE_URL", "http://127.0.0.1:9")
    run = tracker_core.init(project="p", id="r", dir=kept.folder)
    infos = [kept.log("model", {"a": content(i)}, logged_by=logged_by("r")) for i in range(3)]
    for info in infos:
        record = ArtifactLog(
            wall_time_ns=1, uid=info.uid, project="p", name="model", type="model", digest=info.digest, size_bytes=5
        )
        note(run_folder(kept.folder, "p", "r"), record)
    run.finish(quiet=True)
    kept.artifacts.set_retention("p", "model", Retention(keep_last=1))
    assert len(gc(kept, is_dry_run=True).dropped) == (0 if has_server else 2)
