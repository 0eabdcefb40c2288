"""Which runs began with the history of another."""

from __future__ import annotations

import json
import time

from ..runs.run_view import RunView
from .folder import LocalFolder
from .run_queries import find_page
from .run_source import RunQuery

_MOST_FORKS = 200


def forks_query(project: str, run_id: str) -> RunQuery:
    """Return the search for runs whose history begins with that of a run; `is_fork_of` says which of them it is."""
    return RunQuery(_filter(project, run_id), None, time.time())


def is_fork_of(view: RunView, project: str, run_id: str) -> bool:
    """Say whether a run began with the history of another one."""
    return view.forked_from.startswith(f"{project}/{run_id}?_step=") and (view.project, view.id) != (project, run_id)


def forks_of(folder: LocalFolder, project: str, run_id: str) -> list[RunView]:
    """Return the runs whose history begins with a run's, the newest first, at most some hundred."""
    page = find_page(folder, None, True, _filter(project, run_id), None, _MOST_FORKS, None)
    return [view for view in page.runs if is_fork_of(view, project, run_id)]


def _filter(project: str, run_id: str) -> str:
    return f"{json.dumps(f'{project}/{run_id}?_step=', ensure_ascii=False)} in forked_from"
