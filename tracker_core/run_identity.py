"""What a run is called and where it is: the part of `Run` that only tells, and the names that can be edited."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import records
from .control import StopWatch
from .errors import UsageError
from .journal_writer import JournalWriter
from .rows import RowPlan
from .say import say, warn
from .settings import Settings

if TYPE_CHECKING:
    from .sync.online import OnlineRun


class RunIdentity:
    """Names, place and progress of a run. `Run` is the only subclass."""

    _session: records.Session
    _settings: Settings
    _writer: JournalWriter
    _is_finished: bool
    _n_rows: int
    _step: int
    _starting_step: int
    _stops: StopWatch
    _online: OnlineRun | None = None
    _plans: dict[tuple[Any, ...], RowPlan]

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
        return None if self._online is None else self._online.url

    def go_online(self, online: OnlineRun) -> None:
        """Have the journal's thread see to it that the run is sent."""
        self._online = online
        self._writer.each_second.append(online.tick)

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

    @property
    def should_stop(self) -> bool:
        """Whether somebody asked the run to stop. A loop that looks here ends itself: `log` does not raise then."""
        return self._stops.deliver()

    def raise_if_stopped(self) -> None:
        """Raise RunStopped where somebody asked the run to stop, whoever was told of it."""
        self._stops.raise_if_ordered()

    @property
    def stop_order_sessions(self) -> tuple[str, ...]:
        """The sessions that the order to stop names; () where there is none."""
        order = self._stops.order
        return () if order is None else tuple(order.sessions)

    def _watch_stops(self) -> StopWatch:
        """Have the journal's thread look for orders to this session."""
        raises, is_quiet = self._settings.on_stop == "raise", self._settings.quiet
        watch = StopWatch(self.dir, self.session_id, self.path, raises, self._forget_plans, is_quiet)
        self._writer.each_second.append(watch.look)
        return watch

    def _forget_plans(self) -> None:
        """Have the next `log` take the path that looks for an order, at no cost to all others."""
        self._plans = {}

    def leave_stop_to_adapter(self, is_adapted: bool) -> None:
        """Say that an adapter looks at `should_stop` while the framework trains, so that `log` does not raise."""
        self._stops.leave_to_adapter(is_adapted)

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
            how = f"was stopped by {last.stopped_by}" if last.stopped_by else how
            sent = "" if self._online is None else f"; {self._online.last_word()}"
            say(f"run {self.name} {how}: {self._n_rows} rows; see it with: tracker show {self.path}{sent}")

    def _finished_error(self, where: str) -> UsageError:
        remedy = "call init() for a new run, or init(id=..., resume='allow') to go on with this one"
        return UsageError(where, f"a call on run {self.path}, which has finished", "a running run", remedy)

    def __repr__(self) -> str:
        return f"<Run {self.path} {self.name!r}{' finished' if self._is_finished else ''}>"
