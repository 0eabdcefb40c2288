"""`run.config`: where it may come from, how changes are recorded, what odd values become."""

from __future__ import annotations

import argparse
import dataclasses
import enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tracker_core
from tracker_core import UsageError
from tracker_core.journal_reader import JournalReader
from tracker_core.records import Config


def recorded(folder: Path) -> dict[str, Any]:
    """Return the config that a reader of the journal ends up with."""
    (path,) = folder.rglob("*.journal")
    config: dict[str, Any] = {}
    for _, record in JournalReader(str(path)).read().records:
        if isinstance(record, Config):
            config.update(record.values)
            for key in record.removed:
                config.pop(key, None)
    return config


@dataclasses.dataclass
class Net:
    depth: int = 3
    act: str = "relu"


@dataclasses.dataclass
class Options:
    lr: float = 0.1
    net: Net = dataclasses.field(default_factory=Net)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"lr": 0.1, "net": {"depth": 3}}, {"lr": 0.1, "net": {"depth": 3}}),
        (argparse.Namespace(lr=0.1, layers=[1, 2]), {"lr": 0.1, "layers": [1, 2]}),
        (Options(), {"lr": 0.1, "net": {"depth": 3, "act": "relu"}}),
        (None, {}),
        ({1: "a", None: "b"}, {"1": "a", "None": "b"}),
    ],
)
def test_config_from_dict_namespace_or_dataclass(folder: Path, config: Any, expected: dict[str, Any]) -> None:
    run = tracker_core.init(dir=folder, config=config)
    assert dict(run.config) == expected
    run.finish()
    assert recorded(folder) == expected


@pytest.mark.parametrize("config", [[1], "lr=1", 3, Options, object(), {1, 2}])
def test_config_of_another_kind_raises(folder: Path, config: Any) -> None:
    with pytest.raises(UsageError, match=r"init\(config=\)"):
        tracker_core.init(dir=folder, config=config)
    assert not folder.exists()


def test_every_way_of_changing_config_is_recorded(folder: Path) -> None:
    run = tracker_core.init(dir=folder, config={"a": 1, "b": 2, "gone": 3, "net": {"depth": 1}, "other": [1]})
    run.config["a"] = 10
    run.config.b = 20
    run.config.update({"c": 30}, d=40)
    run.config.update(argparse.Namespace(e=50))
    run.config.setdefaults({"a": 0, "f": 60})
    assert run.config.setdefault("g", 70) == 70
    del run.config["gone"]
    run.config["net"]["depth"] = 2  # no assignment reports this
    run.config["after"] = 1  # must not pass for a record of the change before
    run.config["other"].append(2)
    expected = {
        "a": 10, "b": 20, "c": 30, "d": 40, "e": 50, "f": 60, "g": 70, "after": 1, "net": {"depth": 2},
        "other": [1, 2],
    }  # fmt: skip
    assert dict(run.config) == expected
    run.finish()
    assert recorded(folder) == expected


def test_nested_change_survives_an_exit_without_finish(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), tracker_core.init(dir=folder, config={"net": {"depth": 1}}) as run:
        run.config.net["depth"] = 2
        _ = 1 / 0
    assert recorded(folder) == {"net": {"depth": 2}}


def test_missing_name_says_what_there_is(folder: Path) -> None:
    run = tracker_core.init(dir=folder, config={"lr": 1})
    with pytest.raises(AttributeError, match=r"config has no 'learning_rate'; it has \['lr'\]"):
        _ = run.config.learning_rate
    with pytest.raises(KeyError):
        _ = run.config["learning_rate"]
    assert run.config.get("learning_rate", 5) == 5
    assert not hasattr(run.config, "learning_rate")


class Colour(enum.Enum):
    RED = "red"


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no text for you")


def some_function() -> None:
    """A value that people put in configs."""


def test_odd_values_become_plain_data_and_never_raise(folder: Path) -> None:
    knot: dict[str, Any] = {}
    knot["self"] = knot
    config = {
        "path": Path("a") / "b", "colour": Colour.RED, "set": {3, 1}, "tuple": (1, 2), "np": np.float32(0.5),
        "array": np.arange(3), "tensor": torch.ones(2), "function": some_function, "type": int, "big": 2**70,
        "huge": 10**5000, "text": "lone \ud800", "key \udfff": 1, "bytes": b"x", "object": Broken(), "knot": knot,
        "bool": np.bool_(True), "nan": float("nan"), "dtype": torch.bfloat16,
    }  # fmt: skip
    with tracker_core.init(dir=folder, config=config) as run:
        run.summary.update({"odd": Broken(), "huge": 10**5000})
    kept = recorded(folder)
    assert kept["path"] == "a/b"
    assert kept["colour"] == "red"
    assert kept["set"] == [1, 3]
    assert kept["tuple"] == [1, 2]
    assert (kept["np"], kept["bool"]) == (0.5, True)
    assert (kept["array"], kept["tensor"]) == ([0, 1, 2], [1.0, 1.0])
    assert kept["function"].endswith("test_config.some_function")
    assert kept["type"] == "builtins.int"
    assert kept["big"] == str(2**70)
    assert kept["huge"].startswith("0x")
    assert (kept["text"], kept["key ?"]) == ("lone ?", 1)
    assert kept["dtype"] == "torch.bfloat16"
    assert "Broken" in kept["object"]


def test_include_and_exclude_keys(folder: Path) -> None:
    run = tracker_core.init(dir=folder, config={"a": 1, "b": 2, "c": 3}, config_exclude_keys=["b"])
    assert dict(run.config) == {"a": 1, "c": 3}
    run.finish()
    run = tracker_core.init(dir=folder, config={"a": 1, "b": 2, "c": 3}, config_include_keys=["b"])
    assert dict(run.config) == {"b": 2}


def test_name_tags_and_notes_can_be_changed(folder: Path) -> None:
    from tracker_core.records import RunEdit

    run = tracker_core.init(dir=folder, name="first", tags=["a"], notes="n")
    run.name, run.tags, run.notes = "second", ("b", "c"), "more"  # type: ignore[assignment]
    assert (run.name, run.tags, run.notes) == ("second", ("b", "c"), "more")
    (path,) = folder.rglob("*.journal")
    edits = [r for _, r in JournalReader(str(path)).read().records if isinstance(r, RunEdit)]
    assert [(e.name, e.tags, e.notes) for e in edits] == [
        ("second", None, None), (None, ["b", "c"], None), (None, None, "more"),
    ]  # fmt: skip
