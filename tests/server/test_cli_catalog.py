"""`tracker delete`, `undelete`, `archive`, `unarchive` and `trash`, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .test_cli_of_a_run import Result, command
from .test_run_removal import write_run


@pytest.fixture
def folder(tracker_dir: Path) -> Path:
    write_run(tracker_dir)
    write_run(tracker_dir, "b")
    write_run(tracker_dir, "b", project="other")
    return tracker_dir


def listed(folder: Path, *arguments: str) -> list[str]:
    runs = json.loads(command("runs", "--json", *arguments, folder=folder).stdout)
    return sorted(f"{run['project']}/{run['id']}" for run in runs)


def in_trash(folder: Path) -> list[dict[str, object]]:
    return json.loads(command("trash", "list", "--json", folder=folder).stdout)


def fails(result: Result, text: str) -> bool:
    return result.returncode == 2 and result.stderr.startswith("tracker: ") and text in result.stderr


def test_a_deleted_run_is_not_listed_and_comes_back(folder):
    result = command("delete", "a", "other/b", "--why", "too old", folder=folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "Deleted p/a, other/b. Bring back with: tracker undelete p/a other/b\n"
    assert listed(folder) == ["p/b"]
    assert {(run["project"], run["id"], run["why"]) for run in in_trash(folder)} == {
        ("p", "a", "too old"),
        ("other", "b", "too old"),
    }
    table = command("trash", "list", folder=folder).stdout
    assert "p/a" in table and "too old" in table and "removed after 30 days" in table
    assert command("undelete", "a", "b", folder=folder).stdout == "Brought back p/a, other/b.\n"
    assert listed(folder) == ["other/b", "p/a", "p/b"]
    assert "is empty" in command("trash", "list", folder=folder).stdout


def test_an_id_of_two_projects_must_be_named_with_its_project(folder):
    assert fails(command("delete", "b", folder=folder), "write other/b")
    assert fails(command("delete", "x/y/z", folder=folder), "project/id")
    assert fails(command("delete", "nowhere", folder=folder), "tracker runs")
    assert fails(command("undelete", "a", folder=folder), "tracker trash list")


def test_a_dry_run_changes_nothing(folder):
    assert command("delete", "a", "--dry-run", folder=folder).stdout == "Would delete p/a.\n"
    assert command("delete", "a", "--now", "--dry-run", folder=folder).stdout == "Would delete p/a.\n"
    command("delete", "a", folder=folder)
    assert command("trash", "empty", "--dry-run", folder=folder).stdout.startswith("Would remove p/a, ")
    assert len(in_trash(folder)) == 1


def test_now_removes_at_once_and_only_what_is_named(folder):
    command("delete", "other/b", folder=folder)
    assert fails(command("delete", "a", "--now", folder=folder), "--yes")
    assert listed(folder) == ["p/a", "p/b"]
    result = command("delete", "a", "--now", "--yes", folder=folder)
    assert result.stdout.startswith("Removed p/a; ") and result.stdout.endswith(" given back.\n")
    assert not (folder / "runs" / "p" / "a").exists()
    assert [run["id"] for run in in_trash(folder)] == ["b"]


def test_the_trash_is_emptied_of_what_is_old_enough(folder):
    command("delete", "a", folder=folder)
    assert "no run" in command("trash", "empty", "--older-than", "30d", "--yes", folder=folder).stdout
    assert len(in_trash(folder)) == 1
    assert fails(command("trash", "empty", "--older-than", "soon", "--yes", folder=folder), "write 30d")
    assert fails(command("trash", "empty", folder=folder), "--yes")
    assert command("trash", "empty", "--yes", folder=folder).stdout.startswith("Removed p/a; ")
    assert in_trash(folder) == []


def test_a_run_that_is_being_written_needs_force(tracker_dir):
    write_run(tracker_dir, end=False)
    assert fails(command("delete", "a", folder=tracker_dir), "--force")
    assert command("delete", "a", "--force", folder=tracker_dir).returncode == 0
    assert listed(tracker_dir) == []


def test_archived_runs_are_left_out_unless_asked_for(folder):
    assert command("archive", "a", folder=folder).stdout == "Archived p/a.\n"
    assert listed(folder) == ["other/b", "p/b"]
    assert listed(folder, "--archived", "true") == ["other/b", "p/a", "p/b"]
    assert listed(folder, "--archived", "only") == ["p/a"]
    assert command("show", "a", folder=folder).returncode == 0
    assert "nothing had to be changed" in command("archive", "a", folder=folder).stdout
    assert command("unarchive", "a", folder=folder).stdout == "Took p/a out of the archive.\n"
    assert listed(folder) == ["other/b", "p/a", "p/b"]


def test_names_with_control_characters_are_shown_harmlessly(tracker_dir):
    write_run(tracker_dir, name="\x1b[31mred")
    command("delete", "a", folder=tracker_dir)
    assert "\x1b" not in command("trash", "list", folder=tracker_dir).stdout
