"""`tracker registry`: what it prints, what it decides, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tracker_core.artifacts.wire import RunRef, Use
from tracker_server.artifacts.local_artifacts import LocalArtifacts, open_artifacts
from tracker_server.cli import main
from tracker_server.http.ui_server import run_in_background

from ..conftest import Journal
from .conftest import version_of


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Result]


@pytest.fixture(params=["folder", "server"])
def command(
    request: pytest.FixtureRequest,
    tracker_dir: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Command]:
    """Runs a command on the folder, or on a server of it."""
    place, server = ("--dir", str(tracker_dir)), None
    if request.param == "server":
        server = run_in_background(tracker_dir)
        monkeypatch.setenv("TRACKER_API_KEY", server.auth.token)
        place = ("--server", server.base_url)

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        try:
            code = main(["registry", *arguments, *place])
        except SystemExit as left:
            code = int(left.code or 0)
        return Result(code, *capsys.readouterr())

    yield run
    if server is not None:
        server.close()


@pytest.fixture
def artifacts(tracker_dir: Path) -> LocalArtifacts:
    return open_artifacts(tracker_dir, who="ada")


@pytest.fixture
def trained(tracker_dir: Path, artifacts: LocalArtifacts) -> LocalArtifacts:
    """p/a, p/b and p/c logged net:v0, v1 and v2; of the last one nothing else is known."""
    for run, accuracy in (("a", 0.90), ("b", 0.95)):
        journal = Journal(tracker_dir, run)
        journal.row(1, accuracy=accuracy / 2)
        journal.summary(**{"val/accuracy": accuracy, "diverged": False})
        journal.environment(git={"commit": "abc", "is_dirty": run == "a"})
        journal.end()
    for run in "abc":
        artifacts.commit(version_of(run, "net", logged_by=RunRef("p", run), metadata={"x": float("nan")}))
    return artifacts


GATE = 'summary["val/accuracy"] >= 0.92'


def linked(command: Command, *versions: str) -> None:
    for version in versions:
        assert command("link", "Digits", f"p/net:{version}", "--alias", "candidate").code == 0


# -- looking


def test_an_empty_registry_says_so_and_finds_nothing(command):
    assert command("list").out.startswith("No registered models in ")
    assert command("list", "--json").json == [] == command("audit", "--json").json
    for arguments in (
        ("show", "N"),
        ("show", "N:v0"),
        ("card", "N"),
        ("promote", "N"),
        ("alias", "N:v0", "--add", "a"),
    ):
        result = command(*arguments)
        assert (result.code, result.out) == (3, "") and result.err.startswith(
            "tracker: there is no registered model 'N'"
        )
    assert command("link", "N", "p/net:v0").code == 3
    assert command("verify").code == 0


def test_models_and_versions_are_shown(command, trained):
    linked(command, "v0", "v1")
    assert command("link", "model-registry/Other", "p/net:latest", "--why", "[bold]a try").code == 0
    table = command("list").out
    assert "Digits" in table and "candidate v1" in table and "Other" in table
    assert [one["name"] for one in command("list", "--search", "dig", "--json").json] == ["Digits"]
    shown = command("show", "Digits").out
    assert "p/net:v0" in shown and "p/net:v1" in shown and "p/b" in shown
    assert "[bold]a try" in command("show", "Other").out
    found = command("show", "registry/Digits:candidate", "--json").json
    assert (found["number"], found["artifact"], found["version"]["metadata"]) == (1, "p/net:v1", {"x": "NaN"})
    assert found["run_summary"] == {"accuracy": 0.475, "val/accuracy": 0.95, "diverged": False}
    shown = command("show", "Digits:v0").out
    assert "digest: " in shown and "summary val/accuracy: 0.9\n" in shown
    assert command("show", "Other:v0", "--json").json["run_summary"] is None
    assert [one["version_name"] for one in command("show", "Digits", "--json").json["versions"]] == ["v1", "v0"]


def test_control_characters_of_others_do_not_reach_the_terminal(command, trained):
    uid = trained.resolve("p", "net").uid
    trained.link("Digits", uid, why="\x1b]0;owned\x07\x1b[2Jtext")
    trained.set_card("Digits", "\x1b[31mred")
    for arguments in (("show", "Digits"), ("show", "Digits:v0"), ("audit",)):
        out = command(*arguments).out
        assert "\x1b" not in out and "\x07" not in out and "text" in out


# -- changing


def test_linking_the_wrong_things(command, trained):
    trained.commit(version_of("d", "data", type="dataset"))
    linked(command, "v0")
    assert "type 'dataset'" in command("link", "Digits", "p/data", "--dry-run").err
    for arguments, code in (
        (("link", "Digits", "p/data"), 2),
        (("link", "Digits", "p/net:v9"), 3),
        (("link", "Digits", "net:v0"), 2),
        (("link", "a/b", "p/net:v0"), 2),
        (("link", "Digits:v0", "p/net:v0"), 2),
        (("link", "Digits", "p/net:v0", "--alias", "v3"), 2),
        (("link", "Digits"), 2),
        (("unlink", "Digits"), 2),
        (("alias", "Digits:v0"), 2),
        (("alias", "Digits:v0", "--remove", "nope"), 3),
        (("delete", "Digits"), 2),
        (("promote", "Digits", "--to", "latest"), 2),
        (("promote", "Digits", "--from", "v7"), 3),
        (("promote", "Digits", "--run", "a"), 2),
    ):
        assert command(*arguments).code == code, arguments
    assert len(command("audit", "--json").json) == 3


def test_aliases_unlinking_cards_and_deletion(command, trained, tmp_path):
    linked(command, "v0", "v1")
    assert command("alias", "Digits:candidate", "--add", "staging", "--remove", "candidate").out == (
        "Digits:v1 is p/net:v1, with staging.\n"
    )
    (tmp_path / "card.md").write_text("# Digits\né")
    assert command("card", "Digits", "--set", str(tmp_path / "card.md")).code == 0
    assert command("card", "Digits").out == "# Digits\né\n"
    assert command("card", "Digits", "--json").json == {"name": "Digits", "card": "# Digits\né"}
    (tmp_path / "card.md").write_bytes(b"\xff")
    assert command("card", "Digits", "--set", str(tmp_path / "card.md")).code == 2
    assert command("unlink", "Digits:staging", "--why", "bad").out.startswith("Unlinked Digits:v1, which is p/net:v1")
    assert command("delete", "Digits", "--yes").code == 0
    assert command("list", "--json").json == []


def test_a_dry_run_changes_nothing(command, trained):
    linked(command, "v1")
    before = command("audit", "--json").out
    for arguments, told in (
        (("link", "Digits", "p/net:v0"), "Would link p/net:v0 to Digits."),
        (("unlink", "Digits:v0"), "Would unlink Digits:v0, which is p/net:v1, with candidate."),
        (
            ("alias", "Digits:v0", "--add", "a", "--remove", "candidate"),
            "Would set a and remove candidate at Digits:v0.",
        ),
        (("delete", "Digits"), "Would delete Digits, which links 1 versions."),
        (("promote", "Digits", "--require", GATE), "Would promote Digits:v0 (p/net:v1) to production."),
    ):
        result = command(*arguments, "--dry-run")
        assert (result.code, result.out.splitlines()[-1]) == (0, told)
    assert command("audit", "--json").out == before


# -- promotion


def test_a_version_that_is_good_enough_is_promoted(command, trained):
    linked(command, "v0", "v1")
    result = command("promote", "Digits", "--require", GATE, "--require", "state == 'finished'", "--why", "nightly")
    assert result.code == 0, result.err
    assert "✓ summary" in result.out and 'summary["val/accuracy"] = 0.95' in result.out
    assert result.out.endswith("Digits:v1 (p/net:v1) is promoted to production.\n")
    assert trained.model("Digits").aliases == {"candidate": 1, "production": 1}
    last = command("audit", "Digits", "--json").json[-1]
    assert last["why"] == f"nightly [required: {GATE} (0.95); state == 'finished' (finished)]"


def test_a_version_that_is_not_good_enough_stays_where_it_is(command, trained):
    linked(command, "v0")
    result = command("promote", "Digits", "--require", GATE, "--require", "state == 'finished'")
    assert result.code == 1 and "✕ summary" in result.out and "✓ state" in result.out
    assert result.out.endswith("is not promoted to production: a gate is not met.\n")
    assert trained.model("Digits").aliases == {"candidate": 0}
    dry = command("promote", "Digits", "--require", GATE, "--dry-run", "--json")
    assert (
        dry.code == 1
        and dry.json["is_met"] is False
        and dry.json["gates"][0]["values"] == {'summary["val/accuracy"]': 0.9}
    )


def test_the_result_as_json(command, trained):
    linked(command, "v0", "v1")
    command("promote", "Digits", "--from", "v0")
    found = command("promote", "Digits", "--require", GATE, "--move", "--json").json
    assert found == {
        "model": "Digits", "number": 1, "artifact": "p/net:v1", "run": "p/b", "from": "candidate", "to": "production",
        "replaced": 0, "is_met": True, "is_done": True, "is_dry_run": False,
        "gates": [{"requirement": GATE, "is_met": True, "values": {'summary["val/accuracy"]': 0.95}, "reason": ""}],
    }  # fmt: skip
    assert trained.model("Digits").aliases == {"production": 1}


GATES = {
    "summary.diverged == False": 0,
    "environment.git.is_dirty == False": 0,
    "not summary.diverged == True and " + GATE: 0,
    "summary.accuracy.min > 0.4": 0,
    "not config.lr exists": 0,
    "config.lr exists": 1,
    "environment.git.is_dirty == True": 1,
    "not summary.unknown > 3": 1,
    "summary.unknown != 3": 1,
    "": 2,
    "  ": 2,
    "summary[": 2,
    "__import__('os')": 2,
}


def test_gates(command, trained):
    linked(command, "v1")
    for number, (gate, code) in enumerate(GATES.items()):
        assert command("promote", "Digits", "--to", f"p{number}", "--require", gate).code == code, gate
        assert (f"p{number}" in trained.model("Digits").aliases) is (code == 0), gate


def test_a_gate_without_a_run_is_not_met(command, trained):
    linked(command, "v2")
    result = command("promote", "Digits", "--require", "state == 'finished'")
    assert result.code == 1 and "run p/c is not there" in result.out
    trained.link("Digits", trained.commit(version_of("x", "net")).uid, ["candidate"])
    result = command("promote", "Digits", "--require", "state == 'finished'")
    assert result.code == 1 and "no run logged this version" in result.out
    assert command("promote", "Digits").code == 0


def test_the_run_that_evaluated_a_version_may_be_the_one_that_counts(command, trained, tracker_dir):
    linked(command, "v0")
    journal = Journal(tracker_dir, "eval")
    journal.summary(**{"val/accuracy": 0.99})
    journal.end()
    result = command("promote", "Digits", "--require", GATE, "--run", "p/eval")
    assert result.code == 2 and "neither logged nor used" in result.err
    trained.add_uses([Use(trained.resolve("p", "net", "v0").uid, RunRef("p", "eval"), 5)])
    assert command("promote", "Digits", "--require", GATE, "--run", "p/eval", "--json").json["run"] == "p/eval"


# -- the audit


def test_the_audit_is_exported_and_verified(command, trained, tmp_path):
    linked(command, "v0", "v1")
    command("promote", "Digits", "--why", "good é")
    path = tmp_path / "audit.jsonl"
    assert command("audit", "--export", str(path)).code == 0
    lines = path.read_text().splitlines()
    assert len(lines) == 6 and json.loads(lines[-1])["why"] == "good é"
    head = json.loads(lines[3])["hash"]
    found = command("verify", "--head", head, "--json")
    assert found.code == 0 and found.json["is_whole"] and found.json["n_entries"] == 6
    assert command("verify", "--file", str(path), "--head", head).out.startswith(f"The audit of {path} is whole: 6 ")
    table = command("audit").out
    assert "candidate -> Digits:v1 (was v0)" in table and "link Digits:v0: p/net:v0" in table
    assert len(command("audit", "--after", "4", "--json").json) == 2


def test_an_audit_that_was_altered_or_cut_is_not_whole(command, trained, tmp_path):
    linked(command, "v0", "v1")
    path = tmp_path / "audit.jsonl"
    command("audit", "--export", str(path))
    lines = path.read_text().splitlines(keepends=True)
    head = json.loads(lines[-1])["hash"]
    for altered in (lines[:2] + lines[3:], [*lines[:2], lines[2].replace('"ada"', '"eve"').replace("candidate", "x")]):
        path.write_text("".join(altered))
        result = command("verify", "--file", str(path))
        assert result.code == 1 and "NOT whole" in result.out
    path.write_text("".join(lines[:-1]))
    assert command("verify", "--file", str(path)).code == 0
    result = command("verify", "--file", str(path), "--head", head)
    assert result.code == 1 and "missing at the end" in result.err
    path.write_text("{")
    assert command("verify", "--file", str(path)).code == 2
