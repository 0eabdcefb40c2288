"""What a call such as `log_artifact` was given: a draft, or a path of which one is made."""

from __future__ import annotations

import os
import re
from typing import Any

from ..errors import UsageError
from .artifact import Artifact
from .names import parse_collection
from .wire import MAX_NAME_CHARS

DEFAULT_TYPE = "unspecified"


def drafted(given: Any, name: str | None, type: str | None, project: str, name_start: str, where: str) -> Artifact:
    """Return the artifact that is to be logged: the one given, or a draft of the files at a path.

    Args:
        given: an Artifact, a path, or the address of a reference.
        name: of the artifact. Default: `name_start` with the name of the file or folder.
        type: of the artifact.
        project: of the run; a name may have it in front.
        name_start: see `name`.
        where: the call, for errors.

    Raises:
        UsageError: it is none of these, or name or type are not those of the artifact given.
    """
    if name is not None:
        path = parse_collection(name, f"{where[:-1]}name=)")
        if path.project not in (None, project):
            got = f"the project {path.project!r}"
            raise UsageError(f"{where[:-1]}name=)", got, f"that of the run, {project!r}", "leave the project out")
        name = path.name
    if isinstance(given, Artifact):
        _check_same(given, name, type, where)
        return given
    if isinstance(given, bytes) or not isinstance(given, (str, os.PathLike)):
        got = f"{given!r:.200} of type {given.__class__.__name__}"
        raise UsageError(where, got, "an Artifact or a path", "pass tracker_core.Artifact(name, type)")
    text = os.fspath(given)
    last = os.path.basename(text.rstrip("/\\" if os.name == "nt" else "/"))
    artifact = Artifact(name or _fitting_name(f"{name_start}{last}"), type or DEFAULT_TYPE)
    if "://" in text:
        artifact.add_reference(text)
    elif os.path.isdir(os.path.expanduser(text)):
        artifact.add_dir(text, policy="immutable")
    else:
        artifact.add_file(text, policy="immutable")
    return artifact


def _check_same(artifact: Artifact, name: str | None, type: str | None, where: str) -> None:
    for what, wanted, there in (("name", name, artifact._name), ("type", type, artifact._type)):
        if wanted is not None and wanted != there:
            remedy = f"leave {what}= out: it is the artifact's own"
            raise UsageError(f"{where[:-1]}{what}=)", repr(wanted)[:200], repr(there), remedy)


def _fitting_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:MAX_NAME_CHARS]
