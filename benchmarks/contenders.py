"""The loggers that are compared, and the venv that each peer gets of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent
REPOSITORY = BENCHMARKS.parent
VENVS = BENCHMARKS / ".venvs"

_IS_WINDOWS = sys.platform == "win32"
_VENV_PYTHON = Path("Scripts/python.exe") if _IS_WINDOWS else Path("bin/python")
_CLEARED_PREFIXES = ("WANDB_", "TRACKIO_", "TRACKER_", "MLFLOW_", "SWANLAB_", "AIM_", "__AIM", "PYTHON")


@dataclass(frozen=True, slots=True)
class Contender:
    """One logger.

    Attributes:
        name: what `--only` takes; the worker script is `logger_<name>.py`.
        title: what the tables say.
        module: the module whose import is timed, or None where nothing but the standard library is needed.
        requirements: what pip installs into the venv of its own, or nothing for this interpreter.
        venv: the venv's name, where it is shared with another contender.
    """

    name: str
    title: str
    module: str | None = None
    requirements: tuple[str, ...] = ()
    venv: str = ""

    @property
    def script(self) -> Path:
        """Return the worker script."""
        return BENCHMARKS / f"logger_{self.name}.py"

    @property
    def venv_folder(self) -> Path:
        """Return where the venv is, or is to be."""
        return VENVS / (self.venv or self.name)

    @property
    def python(self) -> Path:
        """Return the interpreter that runs the worker."""
        return self.venv_folder / _VENV_PYTHON if self.requirements else Path(sys.executable)

    @property
    def site_packages(self) -> Path:
        """Return where the interpreter's packages are."""
        if not self.requirements:
            return Path(sysconfig.get_path("purelib"))
        venv = str(self.venv_folder)
        return Path(sysconfig.get_path("purelib", "venv", vars={"base": venv, "platbase": venv}))

    def environment(self, folder: Path, side_folder: Path, is_silent: bool = True) -> dict[str, str]:
        """Return the worker's environment: nothing configured from outside, no network.

        Args:
            folder: where the run is recorded.
            side_folder: where configuration, caches and temporary files go, which are no part of the run.
            is_silent: whether wandb, whose summary of a run is long, is told to print nothing.
        """
        kept = {key: value for key, value in os.environ.items() if not key.startswith(_CLEARED_PREFIXES)}
        return kept | {
            "PYTHONPATH": str(REPOSITORY) if self.name == "ours" else "",
            "TMPDIR": str(side_folder),
            "DO_NOT_TRACK": "1",
            "WANDB_MODE": "offline",
            "WANDB_SILENT": str(is_silent).lower(),
            "WANDB_QUIET": str(is_silent).lower(),
            "WANDB_ERROR_REPORTING": "false",
            "WANDB_CONFIG_DIR": str(side_folder),
            "WANDB_CACHE_DIR": str(side_folder),
            "TRACKIO_DIR": str(folder),
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "SWANLAB_MODE": "offline",
            "SWANLAB_SAVE_DIR": str(side_folder),
        }


CONTENDERS = (
    Contender("ours", "tracker (ours)", module="tracker_core"),
    Contender("json", "json + write"),
    Contender("wandb", "wandb offline", module="wandb", requirements=("wandb",)),
    Contender("trackio", "trackio local", module="trackio", requirements=("trackio",)),
    Contender("mlflow", "mlflow, SQLite", module="mlflow", requirements=("mlflow",)),
    Contender("mlflow_async", "mlflow async, SQLite", module="mlflow", requirements=("mlflow",), venv="mlflow"),
    # tensorboard is what reads tensorboardX's files; tensorboardX itself does not import it.
    Contender("tensorboardx", "tensorboardX", module="tensorboardX", requirements=("tensorboardX", "tensorboard")),
    Contender("aim", "aim local", module="aim", requirements=("aim",)),
    Contender("swanlab", "swanlab offline", module="swanlab", requirements=("swanlab",)),
)


def choose(names: list[str]) -> list[Contender]:
    """Return the contenders of these names, in the order of the table.

    Raises:
        ValueError: a name is not known.
    """
    unknown = sorted(set(names) - {contender.name for contender in CONTENDERS})
    if unknown:
        known = ", ".join(contender.name for contender in CONTENDERS)
        raise ValueError(f"got {', '.join(unknown)}, expected names out of {known}")
    return [contender for contender in CONTENDERS if contender.name in names]


def prepare(contender: Contender) -> str | None:
    """Make the contender runnable; create its venv only where there is none. Return why it is not."""
    if not contender.requirements:
        return None
    if contender.python.exists() and not _run([str(contender.python), "-c", f"import {contender.module}"]):
        return None
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(contender.venv_folder)],
        [str(contender.python), "-m", "pip", "install", "--quiet", *contender.requirements],
        [str(contender.python), "-c", f"import {contender.module}"],
    ):
        problem = _run(command)
        if problem:
            return f"not installed: {problem}"
    return None


def _run(command: list[str]) -> str | None:
    """Run a command; return the last line of what went wrong, or None."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else f"{Path(command[0]).name} ended with {done.returncode}"
