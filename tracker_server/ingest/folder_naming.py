"""Which folder is a tracker folder, and which project a journal in it belongs to."""

from __future__ import annotations

import os
import urllib.parse
from typing import TYPE_CHECKING

from tracker_core.errors import UsageError
from tracker_core.paths import FOLDER_NAME, check_project, project_dir_name

if TYPE_CHECKING:
    from .journal_tail import JournalTail

# What a server puts into its folder.
SERVER_FILE = "server.json"


def is_server_folder(folder: str) -> bool:
    """Say whether a tracker folder is a server's: then other machines may send what was removed here once more."""
    return os.path.exists(os.path.join(folder, SERVER_FILE))


def tracker_folder(path: str) -> str:
    """Return the tracker folder that `path` is or holds, absolute."""
    absolute = os.path.abspath(os.path.expanduser(path))
    inside = os.path.join(absolute, FOLDER_NAME)
    is_outer = not os.path.isdir(os.path.join(absolute, "runs")) and os.path.isdir(inside)
    return inside if is_outer else absolute


def project_of(tail: JournalTail) -> str:
    """Return the project that a journal says it belongs to, where that agrees with its place."""
    session, project_dir = tail.fold.session, tail.found.project_dir
    if session is not None:
        try:
            if project_dir_name(check_project(session.project)) == project_dir:
                return session.project
        except UsageError:
            pass
    return _project_of_dir(project_dir)


def _project_of_dir(project_dir: str) -> str:
    """Return the name that a project's folder stands for, or the folder's own name where it stands for none."""
    try:
        name = check_project(urllib.parse.unquote(project_dir))
    except UsageError:
        return project_dir
    return name if project_dir_name(name) == project_dir else project_dir
