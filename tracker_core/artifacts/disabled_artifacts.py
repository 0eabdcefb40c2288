"""What stands in for artifacts where the run is disabled: it takes every call, keeps nothing and asks nobody."""

from __future__ import annotations

import os
import re
from typing import Any

from ..errors import UsageError
from .artifact import Artifact
from .names import parse_path
from .wire import MAX_NAME_CHARS

DEFAULT_TYPE = "disabled"


def stand_in(given: Any, name: Any, type: Any) -> Artifact:
    """Return an artifact that is taken for a logged one: the one given, or one with the name that was given."""
    if isinstance(given, Artifact):
        if given._info is None:
            given._be_stand_in()
        return given
    try:
        wanted = parse_path(name or given, "artifact").name
    except UsageError:
        last = os.path.basename(os.fspath(given)) if isinstance(given, (str, os.PathLike)) else ""
        wanted = re.sub(r"[^A-Za-z0-9_.-]+", "-", str(last)).strip(".")[:MAX_NAME_CHARS] or DEFAULT_TYPE
    return Artifact.stand_in(wanted, type if isinstance(type, str) and type else DEFAULT_TYPE)
