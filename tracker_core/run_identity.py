"""What a run is called and where it is: the part of `Run` that only tells, and the names that can be edited."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from . import records
from .errors import UsageError
from .journal_writer import JournalWriter
from .say import say, warn
from .settings import Settings


class RunIdentity:
    """Names, place and progress of a run. `Run` is the only subclass."""

    _session: records.Session
    _settings: Settings
    _writer: JournalWriter
    _is_finished: bool
    _n_rows: int
    _step: int
    _starting_step: int

    def _own_writer(self) -> JournalWriter:
        raise NotImplementedError

    @property
    def id(self) -> str:
        return self._session.run

    @property
    def session_id(self) -> str:
        """This process's session, 32 hexadecimal digits."""
        return self._session.session

    @property
    def name(self) -> str:
        return self._session.name

    @name.setter
    def name(self, name: str) -> None:
        self._edit(name=str(name))

    @property
    def notes(self) -> str:
        return self._session.notes

    @notes.setter
    def notes(self, notes: str) -> None:
        self._edit(notes=str(notes))

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(self._session.tags)

    @tags.setter
    def tags(self, tags: tuple[str, ...] | list[str]) -> None:
        self._edit(tags=[str(tag) for tag in tags])

    @property
    def project(self) -> str:
        return self._session.project

    @property
    def entity(self) -> str:
        return self._session.entity

    @property
    def group(self) -> str:
        return self._session.group

    @property
    def job_type(self) -> str:
        return self._session.job_type

    @property
    def path(self) -> str:
        """The run as "project/id", as `Api.run` takes it."""
        return f"{self.project}/{self.id}"

    @property
    def dir(self) -> str:
        """The folder of the run's files, absolute."""
        return os.path.dirname(self._writer.path)

    @property
    def url(self) -> str | None:
        """The run's page on a server; None for a run kept in a folder."""
        return None

    @property
    def mode(self) -> str:
        return self._session.mode

    @property
    def resumed(self) -> bool:
        return self._session.resumed

    @property
    def settings(self) -> Settings:
        return self._settings

    @property
    def disabled(self) -> bool:
        return False

    @property
    def is_finished(self) -> bool:
        return self._is_finished

    @property
    def step(self) -> int:
        """The step that the next `log` without `step` gets."""
        return self._step

    @property
    def starting_step(self) -> int:
        return self._starting_step

    def call_after_write(self, call: Callable[[], None]) -> bool:
        """Say whether the caller is a signal handler in the middle of a record; if so, `call` follows that record."""
        return self._writer.call_after_write(call)

    def _edit(self, name: str | None = None, tags: list[str] | None = None, notes: str | None = None) -> None:
        with self._own_writer().lock:
            if self._is_finished:
                raise self._finished_error("the name, tags and notes of a run")
            self._writer.put(records.RunEdit(wall_time_ns=time.time_ns(), name=name, tags=tags, notes=notes))
            for field, value in (("name", name), ("tags", tags), ("notes", notes)):
                if value is not None:
                    setattr(self._session, field, value)

    def _tell_end(self, last: records.State, n_lost: int, quiet: bool) -> None:
        """Say how the run ended, and what could not be written."""
        if n_lost:
            warn(f"{n_lost} rows of run {self.path} could not be written to {self._writer.path}")
        if not (quiet or self._settings.quiet):
            how = f"{last.state} ({last.signal})" if last.signal else last.state
            say(f"run {self.name} {how}: {self._n_rows} rows; see it with: tracker show {self.path}")

    def _finished_error(self, where: str) -> UsageError:
        remedy = "call init() for a new run, or init(id=..., resume='allow') to go on with this one"
        return UsageError(where, f"a call on run {self.path}, which has finished", "a running run", remedy)

    def __repr__(self) -> str:
        return f"<Run {self.path} {self.name!r}{' finished' if self._is_finished else ''}>"
