"""Names of artifacts, types, aliases and tags, and the paths by which people ask for versions. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ..errors import UsageError
from ..lazy_pattern import lazy_pattern
from ..paths import check_project
from ..values import to_plain
from .wire import MAX_NAME_CHARS, REGISTRY

LATEST = "latest"
MAX_METADATA_BYTES = 1 << 20
_NAME = lazy_pattern(r"[A-Za-z0-9_.-]{1,128}")
_VERSION = lazy_pattern(r"v(0|[1-9][0-9]{0,17})")
_RESERVED = lazy_pattern(r"v[0-9]+")
_REGISTRY_PREFIX = "wandb-registry-"


@dataclass(frozen=True, slots=True)
class ArtifactPath:
    """What "[entity/][project/]name[:which]" names; `is_registered` where the project is the registry."""

    project: str | None
    name: str
    which: str = LATEST

    @property
    def is_registered(self) -> bool:
        return self.project == REGISTRY

    def __str__(self) -> str:
        return f"{self.project}/{self.name}:{self.which}" if self.project else f"{self.name}:{self.which}"


def check_name(name: object, where: str = "Artifact(name=)") -> str:
    """Return a valid name of an artifact or of a registered model; raises UsageError otherwise."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in (".", ".."):
        expected = f"1 to {MAX_NAME_CHARS} letters, digits, '-', '_' or '.'"
        raise UsageError(where, f"{name!a:.200}", expected, "choose another name, such as 'digits-train'")
    return name


def check_type(type: object, where: str = "Artifact(type=)") -> str:
    """Return a valid type of an artifact; raises UsageError otherwise."""
    return _label(type, where, "choose another type, such as 'dataset' or 'model'")


def check_tag(tag: object, where: str = "tags") -> str:
    """Return a valid tag; raises UsageError otherwise."""
    return _label(tag, where, "choose another tag, such as 'cleaned'")


def check_alias(alias: object, where: str = "aliases") -> str:
    """Return a valid alias that may be set by hand; raises UsageError otherwise."""
    alias = _label(alias, where, "choose another alias, such as 'best'")
    if alias == LATEST:
        raise UsageError(where, "'latest'", "another alias", "leave it out: the last version that was logged has it")
    if _RESERVED.fullmatch(alias):
        raise UsageError(where, repr(alias)[:200], "an alias that is no version", "versions are numbered by themselves")
    return alias


def check_aliases(aliases: object, where: str = "aliases") -> list[str]:
    """Return valid aliases, each once; "latest", which every logged version gets, may be among them and is left out."""
    return [check_alias(alias, where) for alias in texts(aliases, where) if alias != LATEST]


def check_tags(tags: object, where: str = "tags") -> list[str]:
    """Return valid tags, each once."""
    return [check_tag(tag, where) for tag in texts(tags, where)]


def texts(values: object, where: str) -> list[str]:
    """Return a list of texts, each once; raises UsageError for one text, whose letters nobody means, and for others."""
    if values is None:
        return []
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise UsageError(where, f"{values!r:.200}", "a list of texts", "write it in brackets: ['best']")
    return list(dict.fromkeys(values))


def check_metadata(metadata: object, where: str = "Artifact(metadata=)") -> dict[str, Any]:
    """Return metadata as plain values; raises UsageError where it is no dict, or more than 1 MiB."""
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        got = f"{metadata!r:.200} of type {type(metadata).__name__}"
        raise UsageError(where, got, "a dict", "write for example metadata={'n_rows': 1000}")
    plain: dict[str, Any] = to_plain(dict(metadata))
    try:
        n_bytes = len(msgspec.msgpack.encode(plain))
    except (TypeError, OverflowError, ValueError, RecursionError) as error:
        raise UsageError(where, str(error)[:200], "numbers, text, lists and dicts", "convert them first") from None
    if n_bytes > MAX_METADATA_BYTES:
        raise UsageError(where, f"{n_bytes} bytes", f"at most {MAX_METADATA_BYTES}", "add it as a file in place")
    return plain


def check_ttl_days(days: float, where: str = "Artifact.ttl") -> float:
    """Return a time to live in days; raises UsageError where it is not above 0."""
    if not math.isfinite(days) or not 0 < days <= 1_000_000:
        raise UsageError(where, f"{days:g} days", "a time above 0", "None keeps a version for ever")
    return days


def is_version(which: str) -> bool:
    """Say whether a text is "v" and a number."""
    return _VERSION.fullmatch(which) is not None


def parse_path(path: object, where: str) -> ArtifactPath:
    """Return what a path such as "digits/train-data:v3" names.

    An entity in front is allowed and means nothing. "model-registry/NAME", "registry/NAME" and
    "wandb-registry-ANY/NAME" are registered models.

    Raises:
        UsageError: it is not "[entity/][project/]name[:version, alias or digest]".
    """
    if not isinstance(path, str):
        got = f"{path!r:.200} of type {type(path).__name__}"
        raise UsageError(where, got, '"[project/]name:alias"', "pass a text such as 'digits/train-data:latest'")
    front, _, which = path.strip().partition(":")
    parts = front.split("/")
    remedy = "write it as 'name', 'name:v3', 'name:best' or 'project/name:v3'"
    if len(parts) > 3 or not all(parts) or ":" in which or "/" in which or path.strip().endswith(":"):
        raise UsageError(where, f"{path!a:.200}", '"[project/]name:version or alias"', remedy)
    name = check_name(parts[-1], where)
    project = check_project(parts[-2], where) if len(parts) > 1 else None
    if project == "registry" or (project is not None and project.startswith(_REGISTRY_PREFIX)):
        project = REGISTRY
    return ArtifactPath(project, name, _label(which, where, remedy) if which else LATEST)


def parse_collection(path: object, where: str) -> ArtifactPath:
    """Return what a path such as "digits/train-data" names, which has no version behind it."""
    found = parse_path(path, where)
    if isinstance(path, str) and ":" in path:
        raise UsageError(where, f"{path!a:.200}", "a name without a version", f"write {path.partition(':')[0]!r}")
    return found


def _label(text: object, where: str, remedy: str) -> str:
    is_valid = isinstance(text, str) and 1 <= len(text) <= MAX_NAME_CHARS and text.isprintable()
    if not isinstance(text, str) or not is_valid or any(c in "/:" for c in text) or text != text.strip():
        expected = f"1 to {MAX_NAME_CHARS} printable characters without '/' and ':', no space at an end"
        raise UsageError(where, f"{text!a:.200}", expected, remedy)
    return text
