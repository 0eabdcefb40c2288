"""What a run records by itself, with no line of code: what was run, on what, what it printed, how the machine fared.

None may hurt the training: a part that fails is left out, with one line. In the thread that calls `init`, only what is
printed begins to be taken; a thread of our own imports, starts and captures all the rest.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import time_ns
from typing import TYPE_CHECKING, Any

from .records import Environment, RunError
from .say import warn
from .settings import Settings

if TYPE_CHECKING:
    from .capture.environment import Capture
    from .capture.masking import Masker
    from .console.recorder import ConsoleRecorder
    from .files import FileKeeper
    from .media.alerts import AlertPace
    from .media.encoder import MediaKeeper
    from .run import Run
    from .system.sampler import SystemSampler

_CAPTURE_WAIT_S = 5.0
_LIVE_FILES_INTERVAL_S = 5.0
_SIGNALLED_WAIT_S = 5.0


class Recorders:
    """The recorders of one run. `start` begins them, `stop` lets them write what they still hold."""

    def __init__(self, run: Run, settings: Settings) -> None:
        self._run = run
        self._settings = settings
        self._environ = dict(os.environ)
        self._masker: Masker | None = None
        self._console: ConsoleRecorder | None = None
        self._sampler: SystemSampler | None = None
        self._capture: Capture | None = None
        self._starter: threading.Thread | None = None
        self._is_given_up = False
        self._files: FileKeeper | None = None
        self._media: MediaKeeper | None = None
        self._alerts: AlertPace | None = None
        self._live: threading.Thread | None = None
        self._stopping = threading.Event()
        self._lock = threading.RLock()

    def start(self) -> None:
        """Begin what the settings ask for. Under `tracker run`, the launcher records console and machine."""
        with _guarded("what went wrong, if something does,"):
            _load_for_later()
        settings = self._settings
        is_launched = settings.launcher is not None
        if settings.console == "wrap" and not is_launched:
            with _guarded("the console"):
                self._open_console()
        parts: list[tuple[str, Callable[[], None]]] = []
        if self._console is not None:
            parts.append(("the console", self._console.start))
        if settings.system_interval_s > 0 and not is_launched:
            parts.append(("the machine", self._start_sampler))
        if settings.capture_environment:
            parts.append(("what was run", self._capture_environment))
        if parts:
            with _guarded("what was run, on what machine"):
                self._starter = _started("tracker-start", lambda: self._start_parts(parts))

    def _start_parts(self, parts: list[tuple[str, Callable[[], None]]]) -> None:
        for what, start in parts:
            if self._is_given_up:
                return
            with _guarded(what):
                start()

    def stop(self, is_signalled: bool = False) -> None:
        """Let every part write what it holds, within seconds. A second call does nothing."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._media is not None:
            with _guarded("media"):
                timeout_s = self._settings.finish_timeout_s
                self._media.stop(min(timeout_s, _SIGNALLED_WAIT_S) if is_signalled else timeout_s)
        if self._starter is not None:
            self._starter.join(_CAPTURE_WAIT_S)  # a short run is to have it all, too
            self._is_given_up = True
        if self._capture is not None:
            self._capture.finish()
        if self._sampler is not None:
            with _guarded("the machine"):
                self._sampler.stop()
        if self._files is not None:
            with _guarded("files"):
                self._files.finish()
        if self._console is not None:
            with _guarded("the console"):
                from .console import streams

                streams.detach(self._console)
                self._console.stop()

    def abandon(self) -> None:
        """In a forked child: the threads are the parent's."""
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._console = self._sampler = self._capture = self._starter = self._live = self._files = None
        self._media = self._alerts = None

    # Masking

    def _first_masker(self) -> Masker:
        """Return what masks the secrets that were there at the start, also if the program has taken them away since."""
        if self._masker is None:
            from .capture.masking import masker_for

            self._masker = masker_for(self._settings, self._environ)
        return self._masker

    @property
    def masker(self) -> Masker:
        from .capture.masking import masker_for

        return masker_for(self._settings)

    def mask_config(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return config without secrets."""
        with _guarded("values of config"):
            mask = self.masker.value
            return {key: mask(key, value) for key, value in values.items()}
        return dict.fromkeys(values, "***")

    def mask_error(self, error: RunError) -> RunError:
        """Return the description of an exception without secrets."""
        with _guarded("the message of the exception"):
            mask = self.masker.text
            return RunError(type=error.type, message=mask(error.message), traceback=mask(error.traceback))
        return RunError(type=error.type, message="***")

    # Files

    def save(
        self, glob_str: str | os.PathLike[str], base_path: str | os.PathLike[str] | None, policy: str
    ) -> list[str]:
        from .files import save_files

        names = save_files(self._keeper(), os.fspath(glob_str), base_path, policy)
        if policy == "live":
            with self._lock:
                if self._live is None:
                    with _guarded("later changes of files"):
                        self._live = _started("tracker-files", self._refresh_files)
        return names

    def log_code(
        self,
        root: str | os.PathLike[str],
        include_fn: Callable[..., bool] | None,
        exclude_fn: Callable[..., bool] | None,
    ) -> list[str]:
        from .capture.source import keep_source_tree

        return keep_source_tree(self._keeper(), os.fspath(root), self.masker, include_fn, exclude_fn)

    def _keeper(self) -> FileKeeper:
        from .files import FileKeeper

        with self._lock:
            if self._files is None:
                self._files = FileKeeper(self._run.dir, self._run.record, self._settings.file_max_mib << 20)
            return self._files

    # Media and alerts

    def media(self) -> MediaKeeper:
        """Return what keeps pictures, tables and the like."""
        from .media.encoder import MediaKeeper

        with self._lock:
            if self._media is None:
                run = self._run
                max_bytes = self._settings.media_max_mib << 20
                self._media = MediaKeeper(self._keeper(), max_bytes, run.log_late, run.record)
            return self._media

    def may_alert(self, title: str, wait_duration: Any) -> bool:
        """Say whether an alert of this title is due; see `Run.alert`."""
        from .media.alerts import AlertPace

        with self._lock:
            if self._alerts is None:
                self._alerts = AlertPace()
            return self._alerts.may_alert(title, wait_duration)

    # The parts

    def _open_console(self) -> None:
        """Begin to take what is printed; our thread begins to record it."""
        from .console import streams
        from .console.recorder import ConsoleRecorder

        max_bytes = self._settings.console_max_mib << 20
        self._console = ConsoleRecorder(self._run.record, lambda text: self._first_masker().text(text), max_bytes)
        self._console.open()
        streams.attach(self._console)

    def _start_sampler(self) -> None:
        from .system.sampler import SystemSampler

        folder = os.path.dirname(self._run.dir)
        self._sampler = SystemSampler(
            self._run.record_system, self._settings.system_interval_s, folder, on_gpus=self._record_gpus
        )
        self._sampler.start()

    def _capture_environment(self) -> None:
        from .capture.environment import capture

        self._capture = capture(self._run.record, self._keeper(), self._settings, self._first_masker())

    def _record_gpus(self, inventory: dict[str, Any]) -> None:
        """Record which GPUs the process really has, once CUDA itself has said so."""
        self._run.record(Environment(wall_time_ns=time_ns(), values={"gpus": inventory.get("gpus", [])}))

    def _refresh_files(self) -> None:
        keeper = self._keeper()
        while not self._stopping.wait(_LIVE_FILES_INTERVAL_S):
            with _guarded("files"):
                keeper.refresh_live()


def _load_for_later() -> None:
    """Import what may be needed when no file can be opened, or in a child forked while our thread imports."""
    import traceback  # noqa: F401
    import unicodedata  # noqa: F401

    from .capture import masking  # noqa: F401


def _started(name: str, work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


@contextmanager
def _guarded(what: str) -> Iterator[None]:
    """Keep a fault of a recorder away from the training."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        warn(f"{what} cannot be recorded: {error!r}; everything else is")
