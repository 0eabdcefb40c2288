"""Configs of other libraries and of files, with the real libraries."""

from __future__ import annotations

import collections
import enum
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import child_process
import msgspec
import pytest

from tracker_core.config_sources import config_of, read_config_file, structured
from tracker_core.errors import UsageError
from tracker_core.values import to_plain


class Size(enum.Enum):
    SMALL = "small"


def plain(value: Any) -> Any:
    return to_plain(config_of(value))


def test_pydantic_models_and_their_parts() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Optimizer(pydantic.BaseModel):
        lr: float = 1e-3
        betas: tuple[float, float] = (0.9, 0.99)

    class Training(pydantic.BaseModel):
        optimizer: Optimizer = Optimizer()
        size: Size = Size.SMALL
        token: pydantic.SecretStr = pydantic.SecretStr("hunter22")

    found = plain(Training())
    assert found["optimizer"] == {"lr": 1e-3, "betas": [0.9, 0.99]}
    assert found["size"] == "small"
    assert "hunter22" not in str(found)
    assert config_of(Training) is None


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="pydantic.v1 does not work there")
def test_pydantic_1_models() -> None:
    v1 = pytest.importorskip("pydantic.v1")

    class Training(v1.BaseModel):  # type: ignore[misc, name-defined]
        lr: float = 0.1

    assert config_of(Training(lr=0.2)) == {"lr": 0.2}


def test_absl_flags_of_the_program_parsed_or_not() -> None:
    absl_flags = pytest.importorskip("absl.flags")
    pytest.importorskip("absl.logging")
    flags = absl_flags.FlagValues()
    absl_flags.DEFINE_float("lr", 0.1, "learning rate", flag_values=flags, module_name="train")
    absl_flags.DEFINE_list("layers", ["1"], "layers", flag_values=flags, module_name="model")
    absl_flags.DEFINE_enum_class("size", Size.SMALL, Size, "size", flag_values=flags, module_name="model")
    absl_flags.DEFINE_integer("verbosity", 0, "", flag_values=flags, module_name="absl.logging")
    assert plain(flags) == {"lr": 0.1, "layers": ["1"], "size": "small"}
    flags(["program", "--lr=0.5"])
    assert plain(flags)["lr"] == 0.5


def test_absls_own_flags_module_stands_for_flags() -> None:
    pytest.importorskip("absl.flags")
    script = """
        from absl import app, flags
        from tracker_core.config_sources import config_of
        flags.DEFINE_float("lr", 0.1, "")
        def main(_):
            assert config_of(flags.FLAGS) == config_of(flags) == {"lr": 0.1}, config_of(flags)
        app.run(main)
    """
    child_process.run_well(script)


def test_omegaconf_is_resolved_and_what_is_missing_stays_text() -> None:
    omegaconf = pytest.importorskip("omegaconf")
    config = omegaconf.OmegaConf.create(
        {
            "lr": 0.1,
            "model": {"size": 3, "wide": "${model.size}", "data": "???"},
            "copy": "${lr}",
            "text": "lr=${lr}",
            "part": "${model}",
            "of_missing": "${model.data}",
            "unknown": "${nothing.there}",
            "list": [1, "${lr}", {"a": "${lr}"}, "???"],
            "missing": "???",
            "none": None,
        }
    )
    assert plain(config) == {
        "lr": 0.1,
        "model": {"size": 3, "wide": 3, "data": "???"},
        "copy": 0.1,
        "text": "lr=0.1",
        "part": {"size": 3, "wide": 3, "data": "???"},
        "of_missing": "${model.data}",
        "unknown": "${nothing.there}",
        "list": [1, 0.1, {"a": 0.1}, "???"],
        "missing": "???",
        "none": None,
    }
    assert config_of(omegaconf.OmegaConf.create([1])) is None


def test_omegaconf_structured_configs() -> None:
    omegaconf = pytest.importorskip("omegaconf")
    import dataclasses

    @dataclasses.dataclass
    class Model:
        size: int = omegaconf.MISSING
        kind: Size = Size.SMALL

    assert plain(omegaconf.OmegaConf.structured(Model)) == {"size": "???", "kind": "small"}


def test_attrs_classes() -> None:
    attrs = pytest.importorskip("attrs")

    @attrs.frozen
    class Model:
        size: int = 3
        _private: str = "x"

    assert config_of(Model()) == {"size": 3, "_private": "x"}
    assert config_of(Model) is None


def test_ml_collections_also_frozen_and_nested() -> None:
    config_dict = pytest.importorskip("ml_collections.config_dict")
    config = config_dict.ConfigDict({"lr": 0.1, "model": {"size": 3}, "later": config_dict.placeholder(int)})
    config.copy = config.get_ref("lr")
    expected = {"lr": 0.1, "model": {"size": 3}, "later": None, "copy": 0.1}
    assert plain(config) == expected
    assert plain(config_dict.FrozenConfigDict(config)) == expected


def test_small_forms_of_python_itself() -> None:
    class Point(msgspec.Struct):
        x: int = 1

    assert config_of(Point()) == {"x": 1}
    assert config_of(SimpleNamespace(lr=0.1)) == {"lr": 0.1}
    assert config_of(collections.namedtuple("Pair", "a b")(1, 2)) == {"a": 1, "b": 2}


def test_objects_with_to_dict() -> None:
    class Config:
        def to_dict(self) -> dict[str, Any]:
            return {"lr": 0.1}

    assert config_of(Config()) == {"lr": 0.1}
    assert config_of(Config) is None
    assert structured(Config()) is None


@pytest.mark.parametrize("value", [1, 1.5, b"x", [1], (1, 2), object(), len, json, True])
def test_other_things_are_no_config(value: Any) -> None:
    assert config_of(value) is None


# Files


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.yaml", "lr: 1e-3\nmodel:\n  size: 3\n  on: 2024-01-31\n"),
        ("c.YML", "{lr: 0.001, model: {size: 3, on: 2024-01-31}}"),
        ("c.json", '\ufeff{"lr": 1e-3, "model": {"size": 3, "on": "2024-01-31"}}'),
        ("c.toml", "lr = 1e-3\n[model]\nsize = 3\non = 2024-01-31\n"),
    ],
)
def test_files_of_every_form(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    expected = {"lr": 0.001, "model": {"size": 3, "on": "2024-01-31"}}
    found = config_of(tmp_path / name)
    assert found is not None
    found["model"] = {("on" if key is True else key): item for key, item in found["model"].items()}  # YAML 1.1
    assert found == expected
    assert config_of(name) is not None  # relative to the working directory


@pytest.mark.parametrize("text", ["1e-3", "1E5", "-2e10", "1.5e-3", "3e+8", ".5e3"])
def test_numbers_with_an_exponent_are_numbers_in_yaml(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(f"lr: {text}\nversion: e3\nname: 1e\n")
    assert read_config_file(tmp_path / "c.yaml") == {"lr": float(text), "version": "e3", "name": "1e"}


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    for name in ("c.yaml", "c.json", "c.toml"):
        (tmp_path / name).write_text("\n")
        assert config_of(tmp_path / name) == {}


def test_files_in_wandbs_form_give_their_values(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("wandb_version: 1\nlr:\n  desc: null\n  value: 0.1\nsize:\n  value: {a: 1}\n")
    assert config_of(tmp_path / "c.yaml") == {"lr": 0.1, "size": {"a": 1}}
    (tmp_path / "d.yaml").write_text("x: {value: 1, max: 2}\n")
    assert config_of(tmp_path / "d.yaml") == {"x": {"value": 1, "max": 2}}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("c.yaml", "a: [1", ["malformed", "line 1", "valid YAML"]),
        ("c.yaml", "a: !!python/object/apply:os.system [echo]", ["malformed"]),
        ("c.yaml", "{[1]: 2}", ["malformed"]),
        ("c.json", "{'a': 1}", ["malformed", "line 1", "valid JSON"]),
        ("c.json", "[" * 100_000, ["malformed"]),
        ("c.toml", "a = ", ["malformed", "valid TOML"]),
        ("c.yaml", "- 1\n", ["holds a list"]),
        ("c.json", "3", ["holds a int"]),
        ("c.txt", "a: 1", ["the text", ".yaml"]),
        ("resnet50", "", ["the text 'resnet50'", "config={...}"]),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, name: str, text: str, words: list[str]) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        config_of(name)
    message = str(caught.value)
    assert message.startswith("init(config=): ") and "Remedy: " in message and "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("name", ["absent.yaml", "a\0b.yaml", "folder.yaml"])
def test_a_file_that_cannot_be_opened_is_said_with_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(UsageError, match="check the path; the working directory is"):
        config_of(name)


def test_a_yaml_file_without_pyyaml_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.yaml").write_text("a: 1")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(UsageError, match="pip install pyyaml"):
        config_of("c.yaml")


def test_nothing_is_imported_for_it() -> None:
    script = """
        import sys, tracker_core.config_sources as sources
        sources.config_of(object())
        for name in ("yaml", "pydantic", "omegaconf", "absl", "attr", "ml_collections", "tomllib"):
            assert name not in sys.modules, name
    """
    child_process.run_well(script)
