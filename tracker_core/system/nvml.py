"""NVIDIA's GPUs through NVML, the driver's own library: what is there, and how it fares.

NVML counts how often a process initialised it, so others in this process may use it as well. It takes no part in CUDA:
nothing here makes a CUDA context.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ..say import warn
from .nvml_counters import LOST, UNINITIALIZED, Energy
from .nvml_gpu import Gpu
from .process_tree import tree_pids
from .visible_gpus import GpuSlice, PhysicalGpu, VisibleGpu, gpus_by_uuid, visible_gpus

Values = dict[str, float]

_LIBRARY_NOT_FOUND, _DRIVER_NOT_LOADED = 12, 9
_HOST_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of the Linux kernel


def gpu_inventory(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Describe driver and GPUs of this process; {} where there is no NVIDIA driver. Never raises.

    Args:
        environ: environment variables that say which GPUs are visible. Default: this process's.
    """
    nvml, _ = _open_library()
    if nvml is None:
        return {}
    try:
        gpus = _list_gpus(nvml)
        visible = _devices_in_use(gpus) or visible_gpus(gpus, os.environ if environ is None else environ)
        return _describe(nvml, visible)
    except (nvml.NVMLError, AttributeError, TypeError, ValueError):
        return {}
    finally:
        _close_library(nvml)


def open_nvidia(pid: int, on_gpus: Callable[[dict[str, Any]], None] | None = None) -> NvidiaGpus | None:
    """Return the GPUs of this process, ready to be sampled, or None where it sees none.

    Args:
        pid: the process whose use of GPU memory is told apart, with its descendants'.
        on_gpus: takes the inventory, where CUDA turns out to number the GPUs in another way than was assumed.
    """
    nvml, problem = _open_library()
    if nvml is None:
        if problem:
            warn(f"system metrics: the GPUs cannot be watched: {problem}")
        return None
    gpus = NvidiaGpus(nvml, pid, on_gpus)
    if gpus.is_empty:
        gpus.close()
        return None
    return gpus


class NvidiaGpus:
    """The visible GPUs of this process. One thread samples; not thread-safe. Made by `open_nvidia`."""

    def __init__(self, nvml: Any, pid: int, on_gpus: Callable[[dict[str, Any]], None] | None) -> None:
        self._nvml = nvml
        self._on_gpus = on_gpus
        self._tree = _TreePids(pid)
        self._energy: dict[str, Energy] = {}
        self._has_asked_cuda = False
        self._visible = visible_gpus(_list_gpus(nvml), os.environ)
        self._gpus = self._open(self._visible)

    @property
    def is_empty(self) -> bool:
        """Whether no GPU is visible."""
        return not self._gpus

    def sample(self) -> Values:
        """Return the metrics of all GPUs by full name. A lost GPU is named once, and left out from then on."""
        self._tree.forget()
        self._ask_cuda()
        values: Values = {}
        for uuid, gpu in list(self._gpus.items()):
            try:
                values.update(gpu.sample())
            except self._nvml.NVMLError as error:
                if error.value == UNINITIALIZED:
                    return self._begin_again()
                if error.value not in LOST:
                    raise
                del self._gpus[uuid]
                warn(f"system metrics: {uuid} fell off the bus ({error}); it is no longer watched")
        return values

    def close(self) -> None:
        """Let go of NVML."""
        for gpu in self._gpus.values():
            try:
                gpu.close()
            except self._nvml.NVMLError:
                pass  # it is lost, and its memory with it
        self._gpus = {}
        _close_library(self._nvml)

    def _open(self, visible: list[VisibleGpu]) -> dict[str, Gpu]:
        opened: dict[str, Gpu] = {}
        pids = self._tree.pids if _has_host_pids() else None
        for device in visible:
            energy = self._energy.setdefault(device.uuid, Energy())
            try:
                opened[device.uuid] = Gpu(self._nvml, device, energy, pids)
            except self._nvml.NVMLError as error:
                warn(f"system metrics: {device.uuid} cannot be watched: {error}")
        return opened

    def _begin_again(self) -> Values:
        """Initialise NVML again, which someone else in this process shut down once too often."""
        self._nvml.nvmlInit()
        self._gpus = self._open(self._visible)
        return {}

    def _ask_cuda(self) -> None:
        """Once PyTorch has CUDA in use, take its order of the GPUs for the true one."""
        if self._has_asked_cuda or not _is_cuda_in_use():
            return
        self._has_asked_cuda = True
        devices = _devices_in_use(_list_gpus(self._nvml))
        if devices is None or [d.uuid for d in devices] == [d.uuid for d in self._visible]:
            return
        for gpu in self._gpus.values():
            gpu.close()
        self._visible, self._gpus = devices, self._open(devices)
        if self._on_gpus is not None:
            self._on_gpus(_describe(self._nvml, devices))


class _TreePids:
    """The process ids of a tree, looked up at most once per sample and only where a GPU has users."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._pids: frozenset[int] | None = None

    def forget(self) -> None:
        self._pids = None

    def pids(self) -> frozenset[int]:
        if self._pids is None:
            self._pids = tree_pids(self._pid)
        return self._pids


def _open_library() -> tuple[Any, str]:
    """Return pynvml, initialised, or None and what is wrong with the driver, if there is one."""
    if not _has_driver_library():
        return None, ""
    try:
        import pynvml  # type: ignore[import-untyped]
    except ImportError:
        return None, ""
    try:
        # A forked child counts anew on top of what it inherited, and only it is given back by `_close_library`:
        # to shut down what the parent opened would take the parent's connections to the driver away.
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        is_absent = error.value in (_LIBRARY_NOT_FOUND, _DRIVER_NOT_LOADED)
        return None, "" if is_absent else str(error)
    return pynvml, ""


def _has_driver_library() -> bool:
    """Say whether it is worth the time, 13 ms, to import pynvml."""
    if "pynvml" in sys.modules or not sys.platform.startswith("linux"):
        return True
    import ctypes

    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return True


def _close_library(nvml: Any) -> None:
    try:
        nvml.nvmlShutdown()
    except nvml.NVMLError:
        pass  # someone else has shut it down already


def _list_gpus(nvml: Any) -> list[PhysicalGpu]:
    gpus = []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            uuid, name = nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle)
        except nvml.NVMLError:
            gpus.append(PhysicalGpu(index, f"GPU-unreadable-{index}", "unreadable"))  # the others keep their numbers
            continue
        gpus.append(PhysicalGpu(index, uuid, name, _list_slices(nvml, handle)))
    return gpus


def _list_slices(nvml: Any, handle: Any) -> tuple[GpuSlice, ...]:
    slices = []
    try:
        if not nvml.nvmlDeviceGetMigMode(handle)[0]:
            return ()
        n_slots = nvml.nvmlDeviceGetMaxMigDeviceCount(handle)
    except nvml.NVMLError:
        return ()
    for index in range(n_slots):
        try:
            part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
            slices.append(GpuSlice(nvml.nvmlDeviceGetUUID(part), index))
        except nvml.NVMLError:
            continue  # an empty slot
    return tuple(slices)


def _describe(nvml: Any, visible: list[VisibleGpu]) -> dict[str, Any]:
    version = _asked(nvml, nvml.nvmlSystemGetCudaDriverVersion)
    return {
        "driver_version": _asked(nvml, nvml.nvmlSystemGetDriverVersion) or "",
        "cuda_version": f"{version // 1000}.{version % 1000 // 10}" if version else "",
        "gpus": [_describe_gpu(nvml, device) for device in visible],
    }


def _describe_gpu(nvml: Any, device: VisibleGpu) -> dict[str, Any]:
    described: dict[str, Any] = {
        "index": device.index,
        "nvml_index": device.gpu.library_index,
        "uuid": device.uuid,
        "name": device.gpu.name,
        "is_mig": device.slice is not None,
        "is_mapping_certain": device.is_certain,
    }
    board = _asked(nvml, nvml.nvmlDeviceGetHandleByIndex, device.gpu.library_index)
    handle = board
    if board is None:
        return described
    if device.slice is not None:
        described["parent_uuid"] = device.gpu.uuid
        handle = _asked(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex, board, device.slice.mig_index)
        described["name"] = _asked(nvml, nvml.nvmlDeviceGetName, handle) or device.gpu.name
    memory = _asked(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
    if memory is not None:
        described["memory_total_bytes"] = memory.total
    bus = _asked(nvml, nvml.nvmlDeviceGetPciInfo, board)
    if bus is not None:
        described["pci_bus_id"] = str(bus.busId)
    return described


def _asked(nvml: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """Return an answer of NVML, or None where it has none."""
    try:
        return function(*arguments)
    except nvml.NVMLError:
        return None


def _is_cuda_in_use() -> bool:
    """Say whether PyTorch is imported and has made its CUDA context; never makes one."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    is_initialized = getattr(cuda, "is_initialized", None)
    return bool(is_initialized is not None and is_initialized())


def _devices_in_use(gpus: list[PhysicalGpu]) -> list[VisibleGpu] | None:
    """Return the devices in PyTorch's order; None unless CUDA is in use and tells all of them by UUID."""
    if not _is_cuda_in_use():
        return None
    cuda = sys.modules["torch"].cuda
    try:
        uuids = [str(cuda.get_device_properties(index).uuid) for index in range(cuda.device_count())]
    except (AttributeError, RuntimeError, AssertionError):
        return None
    return gpus_by_uuid(gpus, uuids)


def _has_host_pids() -> bool:
    """Say whether NVML's process ids are ours: in a container they are the host's, or none at all."""
    try:
        return os.readlink("/proc/self/ns/pid") == _HOST_PID_NAMESPACE
    except OSError:
        return sys.platform == "win32"
