"""What a run keeps beside numbers: files, source code, pictures and tables, alerts."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .values import check_step

if TYPE_CHECKING:
    import datetime

    from .journal_writer import JournalWriter
    from .media.alerts import AlertLevel
    from .recorders import Recorders


class RunKeeping:
    """The part of `Run` that keeps more than rows."""

    _recorders: Recorders
    _step: int
    _is_finished: bool

    if TYPE_CHECKING:

        def _own_writer(self) -> JournalWriter: ...
        def _finished_error(self, where: str) -> Exception: ...
        def _log_unplanned(self, row: dict[str, Any], step: int | None, commit: bool | None) -> None: ...

    def save(
        self,
        glob_str: str | os.PathLike[str],
        base_path: str | os.PathLike[str] | None = None,
        policy: str = "live",
    ) -> list[str]:
        """Keep files with the run.

        Args:
            glob_str: a path, or a glob such as "checkpoints/*.json".
            base_path: the folder that the kept names are relative to. Default: the working directory where the file
                is below it, else the file's own folder.
            policy: "now" keeps what is there; "live" also keeps each later change while the run lasts; "end" keeps
                what is there when the run ends.

        Returns:
            The names under which they are kept.

        Raises:
            UsageError: the policy is none of these, or a name would lead out of the run's folder.
        """
        return self._recorders.save(glob_str, base_path, policy)

    def log_code(
        self,
        root: str | os.PathLike[str] = ".",
        name: str | None = None,
        include_fn: Callable[..., bool] | None = None,
        exclude_fn: Callable[..., bool] | None = None,
    ) -> list[str]:
        """Keep the source files below `root` with the run: those that git knows or does not ignore.

        Args:
            root: the folder.
            name: accepted for scripts written for wandb.
            include_fn: called with a path, or a path and `root`; only files for which it is true are kept.
            exclude_fn: called likewise; files for which it is true are not kept.

        Returns:
            The names under which they are kept.
        """
        return self._recorders.log_code(root, include_fn, exclude_fn)

    def alert(
        self,
        title: str,
        text: str = "",
        level: str | AlertLevel | None = None,
        wait_duration: float | datetime.timedelta | None = None,
    ) -> None:
        """Tell people of something. Shown on the run's page and in the list of alerts.

        Args:
            title: what it is about, in a line.
            text: more of it.
            level: AlertLevel.INFO (the default), WARN or ERROR, or its name.
            wait_duration: for so many seconds (default 60) further alerts of the same title are left out.

        Raises:
            UsageError: an argument is none of these, or the run has finished.
        """
        from .media.alerts import new_alert

        alert = new_alert(title, text, level)
        with self._own_writer().lock:
            if self._is_finished:
                raise self._finished_error("alert()")
            if self._recorders.may_alert(alert.title, wait_duration):
                alert.step = self._step
                self._own_writer().put(alert)

    def _log_rich(self, row: dict[str, Any], step: int | None, commit: bool | None) -> None:
        """Log a row with pictures, tables or the like: the row at once, their bytes by a thread."""
        media = self._recorders.media()
        plain, pending = media.describe(row, self._step if step is None else check_step(step))
        self._log_unplanned(plain, step, commit)
        media.submit(pending)

    def log_late(self, key: str, step: int, value: dict[str, Any]) -> None:
        """Log a value of a row that was logged before; nothing where the run has ended here."""
        with self._own_writer().lock:
            if not self._is_finished:
                self._log_unplanned({key: value}, step, None)
