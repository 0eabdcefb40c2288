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
_CLEARED_PREFIXES = ("WANDB_", "TRACKIO_", "TRACKER_", "PYTHON")


@dataclass(frozen=True, slots=True)
class Contender:
    """One logger.

    Attributes:
        name: what `--only` takes; the worker script is `log_cost_<name>.py`.
        title: what the table's column says.
        module: the module whose import is timed, or None where nothing but the standard library is needed.
        requirement: what pip installs into the venv of its own, or None for this interpreter.
    """

    name: str
    title: str
    module: str | None = None
    requirement: str | None = None

    @property
    def script(self) -> Path:
        """Return the worker script."""
        return BENCHMARKS / f"log_cost_{self.name}.py"

    @property
    def python(self) -> Path:
        """Return the interpreter that runs the worker."""
        return VENVS / self.name / _VENV_PYTHON if self.requirement else Path(sys.executable)

    @property
    def site_packages(self) -> Path:
        """Return where the interpreter's packages are."""
        if not self.requirement:
            return Path(sysconfig.get_path("purelib"))
        venv = str(VENVS / self.name)
        return Path(sysconfig.get_path("purelib", "venv", vars={"base": venv, "platbase": venv}))

    def environment(self, folder: Path) -> dict[str, str]:
        """Return the worker's environment: nothing configured from outside, no network, no chatter."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(_CLEARED_PREFIXES)}
        return kept | {
            "PYTHONPATH": str(REPOSITORY) if self.name == "ours" else "",
            "WANDB_MODE": "offline",
            "WANDB_SILENT": "true",
            "WANDB_ERROR_REPORTING": "false",
            "WANDB_CONFIG_DIR": str(folder),
            "WANDB_CACHE_DIR": str(folder),
            "TRACKIO_DIR": str(folder),
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }


CONTENDERS = (
    Contender("ours", "tracker (ours)", module="tracker_core"),
    Contender("json", "json + write"),
    Contender("wandb", "wandb offline", module="wandb", requirement="wandb"),
    Contender("trackio", "trackio local", module="trackio", requirement="trackio"),
)


def prepare(contender: Contender) -> str | None:
    """Make the contender runnable; create its venv only where there is none. Return why it is not."""
    if contender.requirement is None:
        return None
    if contender.python.exists() and not _run([str(contender.python), "-c", f"import {contender.module}"]):
        return None
    venv = VENVS / contender.name
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(venv)],
        [str(contender.python), "-m", "pip", "install", "--quiet", contender.requirement],
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
