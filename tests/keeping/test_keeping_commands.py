"""`tracker gc`, `tracker cache`, `tracker artifact verify|usage`, what doctor says, and the daily collection."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import pytest
from kept_artifacts import KeptArtifacts, content, logged_by

import tracker_core
from tracker_core.artifacts.wire import Best, Retention
from tracker_core.settings import load_settings
from tracker_server.artifacts.garbage_keeper import GarbageKeeper
from tracker_server.artifacts.usage import artifact_usage
from tracker_server.cli import main
from tracker_server.doctor.doctor_artifacts import check_artifacts
from tracker_server.query.open_folder import open_folder
from tracker_server.store.store_artifact_schema import metadata


@pytest.fixture
def kept(kept_in_files: KeptArtifacts) -> KeptArtifacts:
    """Three versions, of which the rules let v0 and v2 go."""
    for i, loss in enumerate([0.5, 0.1, 0.9]):
        run = tracker_core.init(project="p", id=f"r{i}", dir=kept_in_files.folder)
        run.log({"loss": loss})
        run.finish(quiet=True)
        kept_in_files.log("model", {"a": content(i)}, logged_by=logged_by(f"r{i}"))
    kept_in_files.artifacts.set_retention("p", "model", Retention(keep_best=Best("loss", 1)))
    return kept_in_files


def tracker(kept: KeptArtifacts, *words: str) -> int:
    return main([*words, "--dir", kept.folder])


def test_gc_says_what_would_go_and_then_lets_it_go(kept: KeptArtifacts, capsys: pytest.CaptureFixture[str]) -> None:
    assert tracker(kept, "gc", "--dry-run") == 0
    told = capsys.readouterr().out
    assert "p/model:v0" in told and "not one of the best 1 by loss" in told and "would" in told
    assert len(kept.artifacts.versions("p", "model").items) == 3
    assert tracker(kept, "gc") == 0
    assert "2 packs condemned" in capsys.readouterr().out and len(kept.pack_ids()) == 3
    assert tracker(kept, "gc", "--grace", "0s", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["freed_bytes"] > 20_000 and {one["what"] for one in report["packs"]} == {"remove"}
    assert [one.version for one in kept.artifacts.versions("p", "model").items] == ["v1"]


@pytest.mark.parametrize("grace", ["1", "-1h", "h", "1e9999d", "99999999999w"])
def test_gc_refuses_a_grace_period_that_is_none(
    kept_in_files: KeptArtifacts, capsys: pytest.CaptureFixture[str], grace: str
) -> None:
    assert main(["gc", f"--grace={grace}", "--dir", kept_in_files.folder]) == 2
    assert "--grace" in capsys.readouterr().err


def test_gc_tells_of_trouble_by_its_exit_code(kept: KeptArtifacts, capsys: pytest.CaptureFixture[str]) -> None:
    kept.write(lambda c: c.exec_driver_sql("UPDATE artifact_version SET manifest = x'00'").rowcount)
    assert tracker(kept, "gc") == 1
    assert "left as it is" in capsys.readouterr().err and len(kept.pack_ids()) == 3


def test_nothing_to_collect_in_a_folder_without_artifacts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gc", "--dir", str(tmp_path / "none")]) == 0
    assert main(["artifact", "usage", "--dir", str(tmp_path / "none")]) == 0
    assert main(["artifact", "verify", "--dir", str(tmp_path / "none")]) == 0
    assert "0 packs" in capsys.readouterr().out and not (tmp_path / "none").exists()


def test_verify_names_the_files_that_miss_bytes(kept: KeptArtifacts, capsys: pytest.CaptureFixture[str]) -> None:
    assert tracker(kept, "artifact", "verify") == 0
    (pack,) = [path for path in Path(kept.folder).rglob("*.pack") if content(1)[:64] in path.read_bytes()]
    pack.write_bytes(b"\0" * pack.stat().st_size)
    assert tracker(kept, "artifact", "verify", "--quick") == 0
    assert tracker(kept, "artifact", "verify", "p", "--repair") == 1
    told = capsys.readouterr().out
    assert "p/model:v1 misses bytes of 1 files: a" in told and "3 chunks are forgotten" in told
    kept.log("model", {"a": content(1), "b": content(9)})
    assert tracker(kept, "artifact", "verify", "--json") == 1  # the empty pack is still named
    assert json.loads(capsys.readouterr().out)["bad_versions"] == []
    assert tracker(kept, "artifact", "verify", "nope") == 3


def test_usage_tells_what_is_stored_and_what_an_artifact_has_for_itself(
    kept: KeptArtifacts, capsys: pytest.CaptureFixture[str]
) -> None:
    kept.log("copy", {"x": content(1), "y": content(7)})
    size = len(content(1))
    found = {one.name: one for one in artifact_usage(kept.database, "p")}
    assert (found["model"].stored_bytes, found["model"].own_bytes) == (3 * size, 2 * size)
    assert (found["copy"].logical_bytes, found["copy"].own_bytes) == (2 * size, size)
    assert tracker(kept, "artifact", "usage", "p", "--json") == 0
    assert {one["name"] for one in json.loads(capsys.readouterr().out)} == {"model", "copy"}
    assert tracker(kept, "artifact", "usage") == 0
    assert "stored" in capsys.readouterr().out
    assert tracker(kept, "artifact", "usage", "nope") == 3


def test_cache_is_shown_and_cleaned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRACKER_CACHE_DIR", str(tmp_path / "cache"))
    for i in range(3):
        path = tmp_path / "cache" / "files" / "ab" / f"{i:064x}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1 << 20))
        os.utime(path, (1_000_000 + i, 1_000_000 + i))
    assert main(["cache"]) == 0
    assert "3 files, 3.0 MiB" in capsys.readouterr().out
    assert main(["cache", "clean", "--keep", "0.001", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_files"] == 1
    assert main(["cache", "clean"]) == 0
    assert "Removed 1.0 MiB" in capsys.readouterr().out
    assert main(["cache", "clean", "--keep", "nan"]) == 2


def test_doctor_tells_of_packs_that_are_lost_unknown_or_waiting(kept: KeptArtifacts) -> None:
    def levels() -> list[str]:
        return [one.level for one in check_artifacts(kept.folder, load_settings())]

    assert levels() == ["ok"]
    packs = sorted(Path(kept.folder).rglob("*.pack"))
    stranger = packs[0].with_name(f"{packs[0].name[:2]}{'0' * 30}.pack")
    stranger.write_bytes(packs[0].read_bytes())
    assert levels() == ["ok"]  # it may be an upload's that goes on
    os.utime(stranger, (0, 0))
    assert levels() == ["ok", "warning"]
    stranger.unlink()
    kept.write(lambda c: c.exec_driver_sql("UPDATE blob_pack SET state = 'condemned', condemned_ns = 1").rowcount)
    assert levels() == ["ok", "warning"]
    kept.write(lambda c: c.exec_driver_sql("UPDATE blob_pack SET state = 'live'").rowcount)
    packs[1].unlink()
    assert levels() == ["ok", "fault"]


def test_doctor_says_nothing_where_there_are_no_artifacts(tmp_path: Path) -> None:
    assert list(check_artifacts(str(tmp_path / "none"), load_settings())) == []
    assert not (tmp_path / "none").exists()


def test_a_served_folder_collects_and_logs_trouble(kept: KeptArtifacts, caplog: pytest.LogCaptureFixture) -> None:
    folder = open_folder(kept.folder)
    folder.refresh()
    keeper = GarbageKeeper(folder, lambda: kept.artifacts)
    assert len(keeper.look().dropped) == 2
    kept.write(lambda c: c.exec_driver_sql("UPDATE artifact_version SET manifest = x'00'").rowcount)
    keeper.look()
    assert "left as it is" in caplog.text
    keeper.start()
    keeper.close()
    folder.close()


def test_rules_are_set_shown_and_cleared(kept: KeptArtifacts, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["artifact", "retention", "p/model"]
    options = ["--keep-last", "2", "--ttl", "36h", "--protect", "prod", "--protect", "best"]
    assert tracker(kept, *words, *options, "--json") == 0
    rules = kept.artifacts.collection("p", "model").retention
    assert rules == Retention(2, Best("loss", 1), 1.5, ("prod", "best"))
    assert json.loads(capsys.readouterr().out)["keep_best"]["metric"] == "loss"
    assert tracker(kept, *words) == 0
    assert "the newest 2; the best 1 by loss (minimize); what is younger than 1.5 days" in capsys.readouterr().out
    assert tracker(kept, *words, "--clear", "--keep-best", "3", "--metric", "acc", "--goal", "maximize") == 0
    assert kept.artifacts.collection("p", "model").retention == Retention(keep_best=Best("acc", 3, "maximize"))
    assert tracker(kept, *words, "--clear") == 0
    assert "keeps everything" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("options", [["--keep-last", "0"], ["--keep-best", "3"], ["--ttl", "soon"], ["--metric", "x"]])
def test_rules_that_are_none_are_refused(kept: KeptArtifacts, options: list[str]) -> None:
    before = kept.artifacts.collection("p", "model").retention
    assert tracker(kept, "artifact", "retention", "p/model", *options) == 2
    assert tracker(kept, "artifact", "retention", "p/none") == 3
    assert kept.artifacts.collection("p", "model").retention == before


def test_a_catalog_from_before_artifacts_is_left_as_it_is(
    kept_in_files: KeptArtifacts, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = kept_in_files
    kept.artifacts.end_upload(kept.artifacts.begin_upload("p"))
    tables = [name for name in metadata.tables if name.startswith(("blob_", "artifact", "upload_", "lease_", "regist"))]
    for statement in [*(f"DROP TABLE {name}" for name in tables), "UPDATE catalog_info SET value = '2'"]:
        with sqlite3.connect(Path(kept.folder, "catalog.sqlite")) as connection:
            connection.execute(statement)
        connection.close()
    before = Path(kept.folder, "catalog.sqlite").read_bytes()
    for words in (["gc"], ["gc", "--dry-run"], ["artifact", "verify"], ["artifact", "usage"]):
        assert tracker(kept, *words) == 0, capsys.readouterr().err
    assert list(check_artifacts(kept.folder, load_settings())) == []
    assert Path(kept.folder, "catalog.sqlite").read_bytes() == before
