"""The run that an adapter logs into: the user's where there is one, else its own, kept open until something ends it."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from typing import Any

from tracker_core import current, paths
from tracker_core.describe import describe_error
from tracker_core.disabled import DisabledRun
from tracker_core.names import new_run_id
from tracker_core.run import Run
from tracker_core.say import warn
from tracker_core.settings import env_name, load_settings, unknown_argument
from tracker_core.start import IGNORED_WANDB_ARGUMENTS, init

# Arguments of `init` that say where a run is. A run that is gone on with needs no others.
_PLACE = ("dir", "entity", "mode", "settings")
_INIT_ARGUMENTS = tuple(init.__annotations__.keys() - {"return", "ignored"})

# Runs begun by adapters, which they may end; others are the user's.
_begun: weakref.WeakSet[Run | DisabledRun] = weakref.WeakSet()


class HeldRun:
    """The run of one adapter object, begun when it is first needed. Thread-safe as far as `Run` is, once opened.

    A run that the user began by `init` and that is active then is used instead, and never ended here. A run that ended
    in between (a crash that was caught, a later `init`) is gone on with. Survives pickling: in the same process the
    copy holds the same run, in another one it goes on with it by its id.

    Args:
        where: the adapter's name, for messages.
        project: project of the run; must be a valid name.
        arguments: further arguments for `init`; unknown ones raise UsageError.
        adopts: whether to use the user's active run.
    """

    def __init__(self, where: str, project: str, arguments: Mapping[str, Any], adopts: bool = True) -> None:
        for name in arguments:
            if name not in _INIT_ARGUMENTS and name not in IGNORED_WANDB_ARGUMENTS:
                raise unknown_argument(where, name, _INIT_ARGUMENTS)
        self.project = paths.check_project(project, f"{where}(project=)")
        given_id = arguments.get("id")
        self.id: str = given_id or os.environ.get(env_name("run_id")) or new_run_id()
        paths.check_run_id(self.id, f"{where}(id=)")
        self._where = where
        self._arguments = dict(arguments)
        # Settled now: the working directory may be another one when the run is gone on with.
        self._arguments["dir"] = paths.find_folder(arguments.get("dir") or load_settings(arguments.get("settings")).dir)
        self._adopts = adopts and given_id is None
        self._has_begun = False
        self._run: Run | DisabledRun | None = None
        self._pid = 0

    @property
    def run(self) -> Run | DisabledRun | None:
        """The run, if it has been opened here; it may have ended."""
        return self._run

    def use(self, run: Run | DisabledRun) -> None:
        """Log into a run that the user began."""
        self.id, self.project = run.id, run.project
        self._arguments = {"dir": paths.find_folder(run.settings.dir), "mode": run.settings.mode}
        self._has_begun = True
        self._run, self._pid = run, os.getpid()

    def open(self) -> Run | DisabledRun:
        """Return the run, active: begin it, or go on with it, where that is needed."""
        run = self._run
        if run is not None and self._pid != os.getpid():
            # A forked child. Its parent's journal is not its to write; what it logs belongs to the same primary writer.
            current.remove(run)
            run = None
        if run is None or run.is_finished:
            run = self._find_active() or self._adopt() or self._begin()
            self._run, self._pid = run, os.getpid()
        return run

    def leave_open(self) -> None:
        """Keep the run open for what may follow. The next `init`, or the end of the process, ends it."""
        if self._run is not None and self._run in _begun:
            current.leave_open(self._run)

    def fail(self, error: BaseException | None) -> None:
        """End the run as failed because of `error`, unless it is the user's."""
        if self._run is not None and self._run in _begun:
            self._run.end(1, None if error is None else describe_error(error))

    def _find_active(self) -> Run | None:
        return next((run for run in current.active() if (run.project, run.id) == (self.project, self.id)), None)

    def _adopt(self) -> Run | DisabledRun | None:
        run = current.get()
        if not self._adopts or run is None or run in _begun:
            return None
        given = [name for name, value in self._arguments.items() if value is not None and name not in _PLACE]
        if given:
            warn(f"{self._where} logs into the active run {run.path}; without effect: {', '.join(given)}")
        self.use(run)
        return run

    def _begin(self) -> Run | DisabledRun:
        arguments = self._arguments
        if self._has_begun:
            arguments = {name: value for name, value in arguments.items() if name in _PLACE} | {"resume": "allow"}
        previous = current.get()
        if previous is not None and not current.is_left_open(previous):
            arguments = {**arguments, "reinit": "create_new"}
        run = init(**{**arguments, "project": self.project, "id": self.id})
        self._has_begun, self._adopts = True, False
        self.project, self.id = run.project, run.id  # under `tracker run` they are the launcher's
        _begun.add(run)
        return run

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_run": None}
