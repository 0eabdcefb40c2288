"""Checks of what is installed: Python, packages, frameworks, GPU drivers, git, autoload."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from tracker_core.version import __version__

from ..commands.cli_autoload import autoload_state
from .doctor_finding import Finding, fault, ok, warning

_DISTRIBUTION = "tracker-ml"
_TESTED = ((3, 11), (3, 13))
_IMPORT_SLOW_MS = 300
# Distribution -> oldest version with an adapter, and the adapter; None where any loop can log by itself.
_FRAMEWORKS = {
    "lightning": ((2, 5), "tracker_integrations.lightning.TrackerLogger"),
    "pytorch-lightning": ((2, 5), "tracker_integrations.lightning.TrackerLogger"),
    "transformers": ((5,), 'report_to="tracker"'),
}
_REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?>=([0-9.]+)$")


def check_python() -> Iterator[Finding]:
    """Say which Python and package this is, and whether what the package needs is there."""
    version = sys.version_info[:2]
    text = f"Python {platform.python_version()} at {sys.executable}"
    if version < _TESTED[0]:
        yield fault("python", text, "use Python 3.11 to 3.13")
    elif version > _TESTED[1]:
        yield warning("python", f"{text}: newer than what is tested", "use Python 3.11 to 3.13 if something fails")
    else:
        yield ok("python", text)
    yield ok("python", f"tracker {__version__} at {Path(__file__).parents[2]}")
    yield from _check_requirements()


def _check_requirements() -> Iterator[Finding]:
    try:
        requirements = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        text = f"the package {_DISTRIBUTION} is imported from a folder, not installed"
        yield warning("packages", text, "pip install -e . in its checkout, so that its requirements are installed")
        return
    found = []
    for requirement in requirements:
        match = _REQUIREMENT.match(requirement)  # those of extras have a condition behind the version
        if match is None:
            continue
        name, least = match[1], match[2]
        version = version_of(name)
        if version is None:
            yield fault("packages", f"{name} is missing", f'pip install "{name}>={least}"')
        elif number_of(version) < number_of(least):
            text = f"{name} {version} is older than {least}, which is needed"
            yield fault("packages", text, f'pip install "{name}>={least}"')
        else:
            found.append(f"{name} {version}")
    yield ok("packages", ", ".join(found))


def check_frameworks() -> Iterator[Finding]:
    """Say which frameworks are there and whether their adapter works with them."""
    is_any = False
    for name, (least, adapter) in _FRAMEWORKS.items():
        version = version_of(name)
        if version is None:
            continue
        is_any = True
        needed = ".".join(map(str, least))
        if number_of(version) < least:
            text = f"{name} {version}: its adapter needs {needed} or newer"
            yield warning("frameworks", text, f'pip install "{name}>={needed}", or call tracker_core.log yourself')
        else:
            yield ok("frameworks", f"{name} {version}: {adapter}")
    if not is_any:
        yield ok("frameworks", "none with an adapter; tracker_core.log works in any loop")


def check_import_time() -> Iterator[Finding]:
    """Measure `import tracker_core` in new processes."""
    command = [sys.executable, "-X", "importtime", "-c", "import tracker_core"]
    spent_us = []
    for _ in range(3):  # the first one may write bytecode and warm the file system's cache
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
            last = [line for line in done.stderr.splitlines() if line.rpartition("|")[2].strip() == "tracker_core"]
            spent_us.append(int(last[-1].split("|")[1]))
        except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
            yield warning("import", f"import tracker_core could not be measured: {error}", "run it by hand")
            return
    best_ms = min(spent_us) / 1000
    text = f"import tracker_core takes {best_ms:.0f} ms"
    if best_ms > _IMPORT_SLOW_MS:
        remedy = "put the environment on a local disk, and let Python write bytecode (unset PYTHONDONTWRITEBYTECODE)"
        yield warning("import", text, remedy)
    else:
        yield ok("import", text)


def check_gpus() -> Iterator[Finding]:
    """Say which GPUs this process sees, or why none."""
    from tracker_core.system.amd import amd_inventory
    from tracker_core.system.apple import apple_inventory
    from tracker_core.system.nvml import gpu_inventory

    nvidia = gpu_inventory()
    others = [*amd_inventory().get("gpus", []), *apple_inventory().get("gpus", [])]
    if nvidia:
        yield from _describe_nvidia(nvidia)
    if others:
        yield ok("gpu", ", ".join(str(gpu.get("name", "unnamed")) for gpu in others))
    if not nvidia and not others:
        problem, remedy = _nvml_problem()
        if remedy:
            yield warning("gpu", problem, remedy)
        else:
            yield ok("gpu", f"none: {problem}")


def _describe_nvidia(inventory: dict[str, Any]) -> Iterator[Finding]:
    driver = f"driver {inventory.get('driver_version') or 'unknown'}, CUDA {inventory.get('cuda_version') or 'unknown'}"
    gpus = inventory.get("gpus", [])
    if gpus:
        names = ", ".join(f"gpu{gpu['index']} {gpu.get('name', '')}".strip() for gpu in gpus)
        yield ok("gpu", f"{names}; {driver}")
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    text = f"{driver}, but this process sees no GPU"
    if visible is not None:
        yield warning("gpu", f"{text}: CUDA_VISIBLE_DEVICES is {visible!r}", "unset it, or name a GPU that is there")
    else:
        yield warning("gpu", text, "look at `nvidia-smi -L`; a container needs --gpus, a Slurm job --gres=gpu:1")


def _nvml_problem() -> tuple[str, str]:
    """Return why NVML knows no GPU, and a remedy where it is a fault."""
    try:
        import pynvml  # type: ignore[import-untyped]
    except ImportError:
        return "nvidia-ml-py is not installed", "pip install nvidia-ml-py"
    try:
        pynvml.nvmlInit()
        pynvml.nvmlShutdown()
    except pynvml.NVMLError_LibraryNotFound:
        if os.path.exists("/proc/driver/nvidia/version") or os.path.exists("/dev/nvidiactl"):
            text = "an NVIDIA driver is loaded, but its library libnvidia-ml.so.1 is not found"
            return text, "in a container: start it with --gpus all and NVIDIA_DRIVER_CAPABILITIES=utility,compute"
        return "no NVIDIA driver", ""
    except pynvml.NVMLError_DriverNotLoaded:
        return "no NVIDIA driver is loaded", ""
    except pynvml.NVMLError as error:
        remedy = "reload the driver or restart the machine: its library and kernel module do not go together"
        return f"NVML does not work: {error}", remedy
    return "NVML works, but describes no GPU", "look at `nvidia-smi -L`"


def check_git() -> Iterator[Finding]:
    """Say whether git is there to tell what was run."""
    path = shutil.which("git")
    if path is None:
        yield warning("git", "git is not found: runs have no commit and no diff", "install git, or extend PATH")
        return
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        yield warning("git", f"{path} does not run: {error}", "mend or reinstall git")
        return
    yield ok("git", f"{done.stdout.strip()} at {path}")


def check_autoload() -> Iterator[Finding]:
    """Say whether Python registers the tracker at its start."""
    state = autoload_state()
    if state.is_on and state.is_current:
        yield ok("autoload", f"on: {', '.join(state.files)}")
    elif state.is_on:
        yield warning("autoload", f"on, by another version: {', '.join(state.files)}", "tracker autoload on")
    elif state.files:
        yield warning("autoload", f"off, but left: {', '.join(state.files)}", "tracker autoload off")
    else:
        yield ok("autoload", "off")


def version_of(name: str) -> str | None:
    """Return the installed version of a distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def number_of(version: str) -> tuple[int, ...]:
    """Return the numbers at the beginning of a version, for comparing."""
    match = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()
