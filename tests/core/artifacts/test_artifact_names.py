"""Names of artifacts, aliases and paths: what is taken, and what is refused with a word on how to do it right."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tracker_core import Artifact, UsageError
from tracker_core.artifacts.names import (
    ArtifactPath,
    check_alias,
    check_aliases,
    check_metadata,
    check_name,
    check_tag,
    parse_collection,
    parse_path,
)

# Classes 1-12 of hostile names, and what has no meaning.
HOSTILE = [
    "../up", "..", ".", "/absolute", "\\\\server\\share", "C:\\x", "a\\b", "a\x00b", "a\nb", "\x1b[31m", "%2e%2e%2f",
    "a#b", "a?b=1", "a;b", "", " ", "a b", "trailing.txt ", "café", "\u202egnp", "zero\u200bwidth", "a" * 129,
    "a/b/c/d", "\ud800", "a:b:c", "<script>", "$(id)", "`id`", "name\r\nSet-Cookie: x",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_name_that_could_be_anything_else_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="Remedy"):
        check_name(name)
    with pytest.raises(UsageError):
        Artifact(name, "dataset")


@pytest.mark.parametrize("name", [None, 3, b"name", ["name"], {}], ids=repr)
def test_a_name_is_text(name: Any) -> None:
    with pytest.raises(UsageError):
        Artifact(name, "dataset")
    with pytest.raises(UsageError):
        Artifact("name", name)


@pytest.mark.parametrize("name", ["a", "digits-train", "model_v2.1", "A" * 128, "con", "v3", "-", "..."])
def test_letters_digits_and_three_signs_are_fine(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "label", ["", " x", "x ", "a/b", "a:b", "x" * 129, "a\nb", "\u202e", "\ud800", 1, None], ids=ascii
)
def test_labels_are_printable_and_lead_nowhere(label: Any) -> None:
    for check in (check_alias, check_tag):
        with pytest.raises(UsageError):
            check(label)


@pytest.mark.parametrize("alias", ["latest", "v0", "v12", "v007"])
def test_what_the_catalog_numbers_itself_cannot_be_set(alias: str) -> None:
    with pytest.raises(UsageError):
        check_alias(alias)


def test_aliases_are_a_list_and_latest_may_be_among_them() -> None:
    assert check_aliases(["best", "latest", "best"]) == ["best"]
    assert check_aliases(None) == []
    with pytest.raises(UsageError, match="brackets"):
        check_aliases("best")


def test_a_path_names_project_artifact_and_version() -> None:
    assert parse_path("data", "x") == ArtifactPath(None, "data", "latest")
    assert parse_path("data:v3", "x") == ArtifactPath(None, "data", "v3")
    assert parse_path("digits/data:best", "x") == ArtifactPath("digits", "data", "best")
    assert parse_path("team/digits/data:best", "x") == ArtifactPath("digits", "data", "best")
    for project in ("model-registry", "registry", "wandb-registry-model"):
        assert parse_path(f"{project}/M:production", "x").is_registered
    assert parse_collection("digits/data", "x") == ArtifactPath("digits", "data", "latest")


@pytest.mark.parametrize(
    "path", ["", "a//b", "/a", "a/b/c/d", "a:", "a:b:c", "a:b/c", "../a:v1", "a\x00", 3, None], ids=ascii
)
def test_a_path_that_is_none_is_refused(path: Any) -> None:
    with pytest.raises(UsageError):
        parse_path(path, "use_artifact()")


def test_a_collection_has_no_version() -> None:
    with pytest.raises(UsageError, match="without a version"):
        parse_collection("digits/data:v0", "x")


def test_metadata_is_a_dict_of_plain_values_up_to_a_mebibyte() -> None:
    values = check_metadata({"n": 1, "nan": math.nan, "inf": -math.inf, "nested": {"a": [1, (2,)]}, 3: "three"})
    assert math.isnan(values["nan"]) and values["inf"] == -math.inf
    assert values["nested"] == {"a": [1, [2]]} and values["3"] == "three"
    assert check_metadata(None) == {}
    for wrong in ([1], "text", 3, {"x": "y" * (1 << 20)}):
        with pytest.raises(UsageError):
            check_metadata(wrong)
