"""The machine that this process runs on: system, processor, memory, container, and the CUDA that frameworks brought.

Nothing here imports a framework, starts a process or touches a device.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping
from typing import Any

from ..system.cgroup import ControlGroup

_DOCKER_ID = re.compile(r"(?:docker|containers|libpod|crio|cri-containerd|sandboxes)[-/:]([0-9a-f]{64})\b")
_POD_CGROUP_ID = re.compile(r"/([0-9a-f]{64})(?:\.scope)?$", re.MULTILINE)
_IMAGE_VARIABLES = (
    "CONTAINER_IMAGE",
    "IMAGE_NAME",
    "DOCKER_IMAGE",
    "JUPYTER_IMAGE",
    "JUPYTER_IMAGE_SPEC",
    "APPTAINER_CONTAINER",
    "SINGULARITY_CONTAINER",
    "SLURM_CONTAINER_IMAGE",
    "SLURM_CONTAINER",
    "RAY_CONTAINER_IMAGE",
    "WANDB_DOCKER",
)
_MAX_READ_BYTES = 256 << 10


def operating_system() -> dict[str, str]:
    """Return {name, release, machine, distribution}."""
    if not hasattr(os, "uname"):
        return {"name": sys.platform, "release": platform.release(), "machine": platform.machine()}
    uname = os.uname()
    found = {"name": uname.sysname, "release": uname.release, "machine": uname.machine}
    if sys.platform == "darwin":
        return found | {"distribution": f"macOS {platform.mac_ver()[0]}"}
    match = re.search(r'^PRETTY_NAME="?([^"\n]*)', _read("/etc/os-release"), re.MULTILINE)
    return found | ({"distribution": match.group(1)} if match else {})


def python() -> dict[str, str]:
    """Return {version, implementation, executable}."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info.releaselevel != "final":
        version += f"{sys.version_info.releaselevel}{sys.version_info.serial}"
    implementation = platform.python_implementation()
    return {"version": version, "implementation": implementation, "executable": sys.executable or ""}


def user_name(environ: Mapping[str, str]) -> str:
    """Return the name of the user that this process runs as."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError, OSError):  # Windows; or a container's user without a name
        named = next((environ[name] for name in ("USER", "USERNAME", "LOGNAME") if environ.get(name)), "")
        return named or (str(os.getuid()) if hasattr(os, "getuid") else "")


def cpu() -> dict[str, Any]:
    """Return {model, n_cores, n_threads, n_usable}: of the machine, and the threads that this process may use.

    `n_usable` heeds affinity and the cgroup's quota, so it may be a fraction.
    """
    import psutil

    found: dict[str, Any] = {
        "model": _cpu_model(),
        "n_cores": psutil.cpu_count(logical=False) or os.cpu_count() or 0,
        "n_threads": os.cpu_count() or 0,
    }
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else found["n_threads"]
    granted = ControlGroup().cpu(usable)
    found["n_usable"] = round(granted.n_cores, 3) if granted else usable
    return found


def memory_bytes() -> int:
    """Return the memory that this process may use: the machine's, or the cgroup's limit where that is less."""
    import psutil

    total_bytes = int(psutil.virtual_memory().total)
    granted = ControlGroup().memory(total_bytes)
    return granted.limit_bytes if granted else total_bytes


def container(environ: Mapping[str, str]) -> dict[str, str]:
    """Return {runtime, image, id}, as far as the inside of a container can know; {} where there is none."""
    found = {"runtime": _container_runtime(environ), "image": "", "id": ""}
    image = next((environ[name] for name in _IMAGE_VARIABLES if environ.get(name)), "")
    podman = dict(re.findall(r'^(\w+)="?([^"\n]*)', _read("/run/.containerenv"), re.MULTILINE))
    cgroup, mounts = _read("/proc/self/cgroup"), _read("/proc/self/mountinfo")
    match = _DOCKER_ID.search(cgroup) or _POD_CGROUP_ID.search(cgroup) or _own_mount_id(mounts)
    found["image"] = image or podman.get("image", "")
    found["id"] = podman.get("id", "") or (match.group(1) if match else "")
    if not found["runtime"] and not found["image"]:
        return {}
    return {key: value for key, value in found.items() if value}


def _own_mount_id(mounts: str) -> re.Match[str] | None:
    """Return the id in the source of this container's host name file; other mounts may be of other containers."""
    for line in mounts.splitlines():
        if " /etc/hostname " in line or " /etc/resolv.conf " in line:
            match = _DOCKER_ID.search(line)
            if match:
                return match
    return None


def _container_runtime(environ: Mapping[str, str]) -> str:
    if "APPTAINER_CONTAINER" in environ:
        return "apptainer"
    if "SINGULARITY_CONTAINER" in environ:
        return "singularity"
    if "KUBERNETES_SERVICE_HOST" in environ:
        return "kubernetes"
    if os.path.exists("/run/.containerenv"):
        return "podman"
    if os.path.exists("/.dockerenv"):
        return "docker"
    return environ.get("container", "")  # set by systemd-nspawn, LXC and others


def cuda() -> dict[str, str]:
    """Return {torch_cuda, cudnn_version, rocm, ...} of the frameworks imported so far, without touching a device."""
    found: dict[str, str] = {}
    torch = sys.modules.get("torch.version")
    torch_cuda, hip = getattr(torch, "cuda", None), getattr(torch, "hip", None)
    if torch_cuda:
        found["torch_cuda"] = str(torch_cuda)
        cudnn = sys.modules.get("torch.backends.cudnn")
        number = cudnn.version() if cudnn is not None else None  # asks the library, makes no context
        if number:
            found["cudnn_version"] = _cudnn_version(int(number))
    if hip:
        found["torch_rocm"] = str(hip)
    build = getattr(sys.modules.get("tensorflow.python.platform.build_info"), "build_info", None) or {}
    for ours, theirs in (("tensorflow_cuda", "cuda_version"), ("tensorflow_cudnn", "cudnn_version")):
        if build.get(theirs):
            found[ours] = str(build[theirs])
    return found


def _cudnn_version(number: int) -> str:
    """Return 9.1.0 for 90100, and 8.9.2 for 8902: the digits were regrouped with cuDNN 9."""
    major = 10_000 if number >= 90_000 else 1000
    return f"{number // major}.{number % major // 100}.{number % 100}"


def _cpu_model() -> str:
    """Return the processor's name. On Linux only the first lines are read: the file costs time for every core."""
    match = re.search(r"^(?:model name|Model|cpu model|Processor)\s*:\s*(.+)", _read("/proc/cpuinfo", 4096), re.M)
    if match:
        return match.group(1).strip()
    return platform.processor() if sys.platform == "win32" else platform.machine()


def _read(path: str, n_bytes: int = _MAX_READ_BYTES) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(n_bytes).decode(errors="replace")
    except OSError:
        return ""
