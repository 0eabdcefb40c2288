"""The settings table: defaults, environment, arguments; unknown names and wrong values."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest

import tracker_core
from tracker_core import UsageError
from tracker_core.settings import IGNORED_WANDB_SETTINGS, Settings, env_name, load_settings, merge_settings, unit_of

DEFAULTS = msgspec.structs.asdict(Settings())
EXAMPLES: dict[str, tuple[str, Any]] = {
    "tags": ("a, b,,c ", ("a", "b", "c")),
    "allowed_hosts": ("one.example,two.example", ("one.example", "two.example")),
    "mode": ("disabled", "disabled"),
    "resume": ("allow", "allow"),
    "quiet": ("yes", True),
    "on_stop": ("flag", "flag"),
}


def example(name: str) -> tuple[str, Any]:
    """Return a text for the environment and the value it stands for."""
    if name in EXAMPLES:
        return EXAMPLES[name]
    default = DEFAULTS[name]
    if isinstance(default, bool):
        return ("no", False) if default else ("yes", True)
    if isinstance(default, tuple):
        return "a,b", ("a", "b")
    if isinstance(default, float):
        return "2.5", 2.5
    if isinstance(default, int):
        return "17", 17
    if name == "console":
        return "off", "off"
    return "some text", "some text"


@pytest.mark.parametrize("name", DEFAULTS)
def test_every_setting_can_be_set_by_environment_and_by_argument(name: str) -> None:
    text, value = example(name)
    assert getattr(load_settings(environ={env_name(name): text}), name) == value
    assert getattr(load_settings({name: value}, environ={}), name) == value
    assert getattr(load_settings({name: value}, environ={env_name(name): text}), name) == value
    assert getattr(load_settings(environ={}), name) == DEFAULTS[name]


@pytest.mark.parametrize("name", DEFAULTS)
def test_every_setting_has_a_help_text_and_a_unit_where_it_has_a_dimension(name: str) -> None:
    (meaning,) = get_type_hints(Settings, include_extras=True)[name].__metadata__
    assert meaning.endswith(".")
    suffix = name.rsplit("_", 1)[-1]
    assert unit_of(name) == {"s": "s", "mib": "MiB", "gib": "GiB", "days": "days"}.get(suffix, "")


@pytest.mark.parametrize("name", DEFAULTS)
def test_every_setting_is_in_the_documentation(name: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert f"`{name}`" in page.read_text()
    assert f"`{env_name(name)}`" in page.read_text()


def test_arguments_win_over_settings_which_win_over_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKER_PROJECT", "from-environment")
    monkeypatch.setenv("TRACKER_GROUP", "from-environment")
    monkeypatch.setenv("TRACKER_JOB_TYPE", "from-environment")
    run = tracker_core.init("from-argument", dir=folder, settings={"project": "s", "group": "s"})
    assert (run.project, run.group, run.job_type) == ("from-argument", "s", "from-environment")


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", True), ("true", True), ("ON", True), ("0", False), ("no", False), ("", False), (True, True), (0, False)],
)
def test_truth_values(text: Any, value: bool) -> None:
    assert load_settings({"quiet": text}).quiet is value


@pytest.mark.parametrize(
    ("overrides", "where"),
    [
        ({"quiet": "perhaps"}, "quiet"),
        ({"ui_port": "many"}, "ui_port"),
        ({"ui_port": None}, "ui_port"),
        ({"fsync_interval_s": "often"}, "fsync_interval_s"),
        ({"fsync_interval_s": -1}, "fsync_interval_s"),
        ({"heartbeat_interval_s": float("nan")}, "heartbeat_interval_s"),
        ({"finish_timeout_s": float("inf")}, "finish_timeout_s"),
        ({"slow_write_s": 1e300}, "slow_write_s"),
        ({"queue_max_mib": -5}, "queue_max_mib"),
        ({"mode": "cloud"}, "mode"),
        ({"resume": "maybe"}, "resume"),
        ({"project": 5}, "project"),
        ({"name": ["x"]}, "name"),
        ({"notes": b"x"}, "notes"),
        ({"dir": 5}, "dir"),
        ({"tags": 5}, "tags"),
        ({"name": "lone \ud800"}, "name"),
        ({"tags": ["lone \ud800"]}, "tags"),
    ],
)
def test_wrong_value_raises_and_names_the_setting(overrides: dict[str, Any], where: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(overrides)
    assert where in caught.value.where
    assert caught.value.got and caught.value.expected and caught.value.remedy


def test_wrong_value_in_the_environment_names_the_variable() -> None:
    with pytest.raises(UsageError, match="TRACKER_UI_PORT"):
        load_settings(environ={"TRACKER_UI_PORT": "x"})


@pytest.mark.parametrize(("name", "near"), [("fsync_interval", "fsync_interval_s"), ("grup", "group"), ("tag", "tags")])
def test_unknown_setting_raises_and_offers_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean '{near}'"):
        load_settings({name: 1})


@pytest.mark.parametrize("name", sorted(IGNORED_WANDB_SETTINGS))
def test_settings_of_wandb_are_accepted_and_ignored(name: str) -> None:
    assert load_settings({name: object()}, environ={}) == Settings()


def test_settings_object_is_taken_as_it_is(folder: Path) -> None:
    run = tracker_core.init(dir=folder, settings=Settings(project="p", quiet=True))
    assert run.project == "p"
    assert run.settings.quiet


def test_argument_of_none_leaves_the_setting() -> None:
    assert merge_settings(Settings(project="p"), {"project": None, "name": "n"}) == Settings(project="p", name="n")


def test_heartbeats_come_however_seldom_the_device_is_flushed(folder: Path, wait_until: Any) -> None:
    from tracker_core.journal_reader import JournalReader
    from tracker_core.records import Heartbeat

    tracker_core.init(dir=folder, settings={"fsync_interval_s": 1000, "heartbeat_interval_s": 0})
    (path,) = folder.rglob("*.journal")
    wait_until(lambda: any(isinstance(r, Heartbeat) for _, r in JournalReader(str(path)).read().records))
