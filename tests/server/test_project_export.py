"""A project as a Parquet data set: exact values, bounded memory, whole or not at all, read by others' programs."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from tracker_core.records import RunError
from tracker_server.catalog.decisions import by_me
from tracker_server.catalog.run_removal import archive_runs, delete_runs
from tracker_server.export.export_target import LocalTarget, RemoteTarget, target_of
from tracker_server.export.project_export import chosen_runs, export_project
from tracker_server.query.folder_index import LostPieceError
from tracker_server.query.local_runs import LocalRuns

from .conftest import T0_NS, Journal
from .test_cli_of_a_run import command
from .test_run_removal import opened

pa = pytest.importorskip("pyarrow")
dataset = pytest.importorskip("pyarrow.dataset")
parquet = pytest.importorskip("pyarrow.parquet")

PROJECT = "vision 50% = ünï"
PARTITIONS = pa.schema([("project", pa.string()), ("run_id", pa.string())])


def fill(folder: Path, project: str = PROJECT) -> None:
    """Two runs with every kind of value; their ids look like numbers, which readers like to guess."""
    one = Journal(folder, run="0012", project=project, name="first")
    one.config(lr=1e-3, layers=[1, 2], model={"depth": 12, "name": "vit"}, seed=(1 << 53) + 1, maybe=None, nan=math.nan)
    one.environment(command=["python", "train.py"], git={"commit": "abc"})
    values = [1.5, math.nan, math.inf, -math.inf, -0.0]
    for step, value in enumerate(values):
        one.row(step, **{"train/loss": value, "count": (1 << 62) + step})
        one.system(step, cpu_percent=10.0 * step)
        one.lines(f"step {step}", f"\x1b[31mwarn {step}\x1b[0m", first=2 * step)
    one.row(5, codes="o", note="text, with ünï", nothing=None, box={"a": [1, math.nan]})
    one.row(6, codes="Q", huge=(1 << 64) - 1)
    one.row(7, codes="?", flag=True)
    one.row(3, codes="f", half=np.float32(0.1).item())
    one.end()
    rank = Journal(folder, run="0012", project=project, writer="rank1")
    rank.row(0, **{"train/loss": 7.0})
    rank.end()
    other = Journal(folder, run="0013", project=project)
    other.config(lr=2, seed=0.5, model={"depth": "deep"})
    other.row(0, **{"train/loss": 2.0})
    other.end("failed", exit_code=1, error=RunError("ValueError", "no", "trace"))
    elsewhere = Journal(folder, run="x", project="other")
    elsewhere.row(0, loss=1.0)
    elsewhere.end()


def export(folder: Path, target: Path, project: str = PROJECT, **options) -> None:
    source = LocalRuns(opened(folder))
    runs = chosen_runs(source, project, None)
    export_project(source, project, runs, options.pop("to", None) or LocalTarget(str(target)), **options)


def table(target: Path, name: str):
    partitioning = dataset.partitioning(PARTITIONS if name != "runs" else PARTITIONS.remove(1), flavor="hive")
    return dataset.dataset(target / name, partitioning=partitioning).to_table()


def rows(target: Path, name: str) -> list[dict]:
    found = table(target, name)
    for place, field in enumerate(found.schema):
        if pa.types.is_timestamp(field.type):
            found = found.set_column(place, field.name, found.column(place).cast(pa.int64()))
    return found.to_pylist()


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("export")
    fill(path / ".tracker")
    export(path / ".tracker", path / "out")
    return path / "out"


# -- what is in it


def test_metrics_hold_every_value_exactly(exported):
    points = [row for row in rows(exported, "metrics") if row["run_id"] == "0012" and row["writer"] == "main"]
    assert {row["project"] for row in points} == {PROJECT}
    loss = [row for row in points if row["key"] == "train/loss"]
    assert [repr(row["value"]) for row in loss] == ["1.5", "nan", "inf", "-inf", "-0.0"]
    assert [row["step"] for row in loss] == [0, 1, 2, 3, 4]
    assert [row["wall_time"] > T0_NS for row in loss] == [True] * 5
    assert [row["value_int"] for row in points if row["key"] == "count"] == [(1 << 62) + step for step in range(5)]
    special = {row["key"]: (row["value"], row["value_int"], row["value_json"]) for row in points if row["step"] >= 5}
    assert special == {
        "note": (None, None, '"text, with ünï"'),
        "nothing": (None, None, "null"),
        "box": (None, None, '{"a":[1,"NaN"]}'),
        "huge": (float((1 << 64) - 1), None, str((1 << 64) - 1)),
        "flag": (1.0, 1, None),
    }
    assert [row["value"] for row in points if row["key"] == "half"] == [np.float32(0.1).item()]


def test_rows_of_one_log_call_have_one_place_and_order_what_has_equal_steps(exported):
    points = [row for row in rows(exported, "metrics") if row["run_id"] == "0012" and row["writer"] == "main"]
    places = {key: [row["row"] for row in points if row["key"] == key] for key in ("train/loss", "count", "half")}
    assert places["train/loss"] == places["count"] == sorted(places["count"])
    assert places["half"][0] > places["count"][-1]


def test_all_writers_are_there(exported):
    points = [row for row in rows(exported, "metrics") if row["key"] == "train/loss"]
    assert {(row["run_id"], row["writer"]) for row in points} == {("0012", "main"), ("0012", "rank1"), ("0013", "main")}


def test_console_and_system_are_there(exported):
    lines = rows(exported, "console")
    assert [line["number"] for line in lines] == list(range(10))
    assert lines[1]["text"] == "\x1b[31mwarn 0\x1b[0m" and lines[1]["stream"] == "stdout"
    samples = rows(exported, "system")
    assert [sample["value"] for sample in samples] == [0.0, 10.0, 20.0, 30.0, 40.0]
    assert {sample["key"] for sample in samples} == {"system/cpu_percent"}


def test_runs_have_config_and_summary_as_columns_and_as_json(exported):
    found = {row["run_id"]: row for row in rows(exported, "runs")}
    assert found.keys() == {"0012", "0013"}
    one, other = found["0012"], found["0013"]
    assert (one["name"], one["state"], one["exit_code"], other["exit_code"]) == ("first", "finished", None, 1)
    assert one["config.lr"] == 1e-3 and other["config.lr"] == 2.0
    assert (one["config.model.name"], other["config.model.name"]) == ("vit", None)
    assert (one["config.model.depth"], other["config.model.depth"]) == ("12", '"deep"')
    assert (one["config.seed"], other["config.seed"]) == (str((1 << 53) + 1), "0.5")
    assert math.isnan(one["config.nan"]) and one["config.layers"] == "[1,2]"
    assert one["summary.count"] == (1 << 62) + 4
    assert json.loads(one["config_json"])["model"] == {"depth": 12, "name": "vit"}
    assert json.loads(one["environment_json"])["git"] == {"commit": "abc"}
    assert json.loads(other["error"]) == {"type": "ValueError", "message": "no", "traceback": "trace"}
    assert one["created"] == T0_NS and one["is_archived"] is False


def test_units_are_in_the_schema(exported):
    (path,) = (exported / "metrics").rglob("*run_id=0012*/*.parquet")
    schema = parquet.read_schema(path)
    assert schema.field("wall_time").type == pa.timestamp("ns", tz="UTC")
    assert schema.field("wall_time").metadata[b"unit"].startswith(b"ns")
    assert schema.field("value").type == pa.float64() and schema.field("value_int").type == pa.int64()
    assert parquet.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"


def test_a_table_that_a_run_has_nothing_for_has_no_file(exported):
    assert not list((exported / "console").rglob("*run_id=0013*"))
    assert sorted(path.name for path in exported.iterdir()) == [
        "_SUCCESS",
        "_tracker_export.json",
        "console",
        "metrics",
        "runs",
        "system",
    ]


# -- others' programs


def test_duckdb_reads_and_joins_it(exported):
    duckdb = pytest.importorskip("duckdb")
    query = f"""
        SELECT r.name, count(*), max(m.value_int), any_value(m.run_id), any_value(m.project)
        FROM read_parquet('{exported}/metrics/**/*.parquet', hive_partitioning=true, hive_types_autocast=false) m
        JOIN read_parquet('{exported}/runs/**/*.parquet', hive_partitioning=true, hive_types_autocast=false) r
          USING (project, run_id)
        WHERE m.key = 'count' GROUP BY r.name
    """
    assert duckdb.sql(query).fetchall() == [("first", 5, (1 << 62) + 4, "0012", PROJECT)]
    times = duckdb.sql(f"SELECT max(epoch_ns(created)) FROM '{exported}/runs/**/*.parquet'").fetchall()
    assert times == [(T0_NS,)]


def test_polars_reads_it(exported):
    polars = pytest.importorskip("polars")
    schema = {"project": polars.String, "run_id": polars.String}
    found = polars.scan_parquet(exported / "metrics", hive_partitioning=True, hive_schema=schema).collect()
    loss = found.filter((polars.col("key") == "train/loss") & (polars.col("writer") == "main"))
    assert loss.filter(polars.col("run_id") == "0012")["step"].to_list() == [0, 1, 2, 3, 4]
    assert set(found["project"].to_list()) == {PROJECT}


def test_readers_that_guess_types_find_the_id_of_a_run_as_text_all_the_same(exported):
    """The partition 0012 becomes the number 12, which is no run: the column in the file is text and stays it."""
    found = parquet.read_table(exported / "metrics")
    assert set(found["run_id"].to_pylist()) == {12, 13}
    assert set(found["run"].to_pylist()) == {"0012", "0013"}


# -- whole or not at all


def test_an_export_that_is_there_is_replaced_only_if_told_so(tmp_path):
    folder, out = tmp_path / ".tracker", tmp_path / "out"
    fill(folder)
    export(folder, out)
    with pytest.raises(ValueError, match="--overwrite"):
        export(folder, out)
    source = opened(folder)
    delete_runs(source, [(PROJECT, "0013")], by_me())
    archive_runs(source, [(PROJECT, "0012")], by_me())
    export(folder, out, overwrite=True)
    assert [(row["run_id"], row["is_archived"]) for row in rows(out, "runs")] == [("0012", True)]
    assert {row["run_id"] for row in rows(out, "metrics")} == {"0012"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".tracker", "out"]


def test_what_is_no_export_is_never_removed(tmp_path):
    folder, out = tmp_path / ".tracker", tmp_path / "out"
    fill(folder)
    out.mkdir()
    (out / "thesis.tex").write_text("x")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="holds something else"):
            export(folder, out, overwrite=overwrite)
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]


def test_an_empty_folder_is_used(tmp_path):
    fill(tmp_path / ".tracker")
    (tmp_path / "out").mkdir()
    export(tmp_path / ".tracker", tmp_path / "out")
    assert (tmp_path / "out" / "_SUCCESS").exists()


_EXPORT = """
    import os, signal, sys
    import pyarrow.parquet
    from tracker_server.export.export_target import LocalTarget
    from tracker_server.query.folder import LocalFolder
    from tracker_server.query.local_runs import LocalRuns
    from tracker_server.export.project_export import chosen_runs, export_project

    folder = LocalRuns(LocalFolder(sys.argv[1]))
    folder.refresh()
    left = int(sys.argv[3])

    def step(event, arguments):
        global left
        if event in {"os.rename", "os.mkdir", "os.remove", "shutil.rmtree", "os.rmdir"}:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(step)
    export_project(folder, "p", chosen_runs(folder, "p", None), LocalTarget(sys.argv[2]), overwrite=True)
    """


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")
@pytest.mark.parametrize("stride", [13, pytest.param(1, marks=pytest.mark.long)])
def test_a_kill_at_any_step_leaves_the_earlier_export_or_none_and_the_next_call_goes_on(tmp_path, stride):
    folder, out = tmp_path / ".tracker", tmp_path / "out"
    fill(folder, "p")
    export(folder, out, "p")
    before = repr(rows(out, "metrics"))
    for step in range(1, 100, stride):
        child = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(_EXPORT), folder, out, str(step)], capture_output=True, text=True
        )
        assert child.returncode in (0, -9), child.stderr
        if out.exists():
            assert (out / "_SUCCESS").exists()
            assert repr(rows(out, "metrics")) == before
        if child.returncode == 0:
            break
    else:
        raise AssertionError("the last step was not reached")
    assert repr(rows(out, "metrics")) == before
    assert {path.name for path in tmp_path.iterdir()} <= {".tracker", "out"}


def test_what_an_earlier_call_wrote_is_kept_unless_the_run_has_changed(tmp_path):
    folder, out = tmp_path / ".tracker", tmp_path / "out"
    fill(folder, "p")
    target = LocalTarget(str(out))

    class Broken(LocalTarget):
        def end(self, wanted: set[str]) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(folder, out, "p", to=Broken(str(out)))
    more = Journal(folder, run="0013", project="p", attempt=2, counter=2)
    more.row(0, **{"train/loss": 3.0})
    more.end()
    source = LocalRuns(opened(folder))
    done = export_project(source, "p", chosen_runs(source, "p", None), target)
    assert (done.n_runs, done.n_runs_kept) == (2, 1)
    assert [row["value"] for row in rows(out, "metrics") if row["run_id"] == "0013"] == [3.0]


def test_a_file_of_no_known_address_is_an_error_with_a_remedy():
    with pytest.raises(ValueError, match=r"nowhere://.*Remedy"):
        target_of("nowhere://bucket/x")
    assert isinstance(target_of("file:///tmp/x"), LocalTarget)
    assert isinstance(target_of("out"), LocalTarget)


def test_an_object_store_gets_success_last_and_is_replaced_only_if_told_so(tmp_path):
    fs = pytest.importorskip("pyarrow.fs")
    folder = tmp_path / ".tracker"
    fill(folder, "p")
    (tmp_path / "store").mkdir()
    files = fs.SubTreeFileSystem(str(tmp_path / "store"), fs.LocalFileSystem())
    out = tmp_path / "store" / "bucket" / "set"
    export(folder, out, "p", to=RemoteTarget("s3://bucket/set", files, "bucket/set"))
    assert (out / "_SUCCESS").exists() and {row["run_id"] for row in rows(out, "metrics")} == {"0012", "0013"}
    with pytest.raises(ValueError, match="--overwrite"):
        export(folder, out, "p", to=RemoteTarget("s3://bucket/set", files, "bucket/set"))
    (out / "_SUCCESS").unlink()
    (out / "left.parquet").write_text("of a call that was broken off")
    export(folder, out, "p", to=RemoteTarget("s3://bucket/set", files, "bucket/set"))
    assert not (out / "left.parquet").exists()


def test_fsspec_addresses_work_too(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    fill(tmp_path / ".tracker", "p")
    export(tmp_path / ".tracker", tmp_path, "p", to=target_of("memory://tracker-test/set"))
    files = fsspec.filesystem("memory")
    assert files.exists("/tracker-test/set/_SUCCESS")
    files.rm("/tracker-test", recursive=True)


# -- bounds


def test_memory_is_bounded_however_long_a_run_is(tmp_path):
    """Row groups are written as they fill: none holds much more than it may, and a tail in memory is not copied."""
    journal = Journal(tmp_path / ".tracker", run="long")
    for step in range(150_000):
        journal.row(step, a=float(step), b=step, c=0.5, d=1.0)
    journal.end()
    opened(tmp_path / ".tracker").close()
    export(tmp_path / ".tracker", tmp_path / "out", "p")
    (path,) = (tmp_path / "out" / "metrics").rglob("*.parquet")
    about = parquet.ParquetFile(path).metadata
    assert about.num_rows == 600_000
    assert about.num_row_groups >= 2
    assert max(about.row_group(i).num_rows for i in range(about.num_row_groups)) < 300_000
    assert path.stat().st_size < 6 * 600_000
    found = table(tmp_path / "out", "metrics")
    values = found.filter(pa.compute.equal(found["key"].cast(pa.string()), "b"))["value_int"].to_numpy()
    assert sorted(values.tolist()) == list(range(150_000))


def test_a_run_of_very_many_metrics_is_exported_whole(tmp_path):
    folder = tmp_path / ".tracker"
    journal = Journal(folder, run="wide")
    for step in range(3):
        journal.row(step, **{f"m{place}": float(place) for place in range(1030)})
    journal.end()
    opened(folder).close()
    export(folder, tmp_path / "out", "p")
    points = table(tmp_path / "out", "metrics")
    assert points.num_rows == 3 * 1030 and len(points["key"].unique()) == 1030
    assert all(
        key == f"m{value:.0f}"
        for key, value in zip(points["key"].to_pylist(), points["value"].to_pylist(), strict=True)
    )


def test_an_index_that_is_lost_meanwhile_costs_no_row(tmp_path):
    folder = tmp_path / ".tracker"
    journal = Journal(folder, run="long")
    for step in range(40_000):
        journal.row(step, a=float(step))
    journal.end()
    opened(folder).close()
    source = opened(folder)
    parts = source.parts("p", "long")
    assert len(next(parts).places) < 40_000
    for path in folder.glob("index.sqlite*"):
        path.unlink()
    with pytest.raises(LostPieceError):
        list(parts)
    whole = np.concatenate([part.columns["a"] for part in source.parts("p", "long", from_journals=True)])
    assert sorted(whole.tolist()) == [float(step) for step in range(40_000)]
    export(folder, tmp_path / "out", "p")
    assert table(tmp_path / "out", "metrics").num_rows == 40_000


# -- the command


def test_the_command_exports_what_a_filter_chooses(tmp_path):
    folder, out = tmp_path / ".tracker", tmp_path / "out"
    fill(folder)
    arguments = ("export", "--parquet", str(out), "--project", PROJECT, "--filter", "state == 'failed'")
    result = command(*arguments, folder=folder)
    assert result.returncode == 0, result.stderr
    assert result.stderr.startswith(f"tracker: 1 runs in {out}; rows: 1 of metrics")
    assert [row["run_id"] for row in rows(out, "runs")] == ["0013"]
    again = command(*arguments, folder=folder)
    assert again.returncode == 2 and "--overwrite" in again.stderr
    assert command(*arguments, "--overwrite", "--tables", "runs", folder=folder).returncode == 0
    assert not (out / "metrics").exists()


def test_the_command_says_what_is_missing(tmp_path):
    fill(tmp_path / ".tracker", "p")
    for arguments in (("--parquet", "x"), ("--parquet", "x", "p/a", "--project", "p"), ()):
        result = command("export", *arguments, folder=tmp_path / ".tracker")
        assert result.returncode == 2 and "Remedy" in result.stderr
    assert command("export", "--parquet", "x", "--project", "no", folder=tmp_path / ".tracker").returncode == 2
