"""AMD's GPUs through `amdsmi`, the Python library that comes with ROCm, where it can be imported.

Written from its documentation and not run on such hardware: each value that does not come as expected is left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from .nvml_counters import Energy
from .visible_gpus import PhysicalGpu, VisibleGpu, visible_gpus

Values = dict[str, float]

_MIB = 1 << 20
_HIGHEST_C = 1000  # some releases give thousandths of a degree


def open_amd() -> AmdGpus | None:
    """Return AMD's GPUs of this process, ready to be sampled, or None where it sees none."""
    try:
        import amdsmi  # type: ignore[import-not-found,unused-ignore]
    except (ImportError, OSError, KeyError):  # it loads its library, found through the environment, when imported
        return None
    try:
        amdsmi.amdsmi_init()
        gpus = AmdGpus(amdsmi)
    except (amdsmi.AmdSmiException, OSError, RuntimeError):
        return None
    return gpus if gpus.devices else None


def amd_inventory() -> dict[str, Any]:
    """Describe AMD's GPUs of this process; {} where there are none. Never raises."""
    gpus = open_amd()
    if gpus is None:
        return {}
    described = [
        {"index": device.index, "uuid": device.uuid, "name": device.gpu.name, "is_mapping_certain": device.is_certain}
        for device in gpus.devices
    ]
    gpus.close()
    return {"maker": "AMD", "gpus": described}


class AmdGpus:
    """The visible GPUs. One thread samples; not thread-safe. Made by `open_amd`."""

    def __init__(self, amdsmi: Any) -> None:
        self._amdsmi = amdsmi
        self._handles = amdsmi.amdsmi_get_processor_handles()
        everything = [self._describe(index, handle) for index, handle in enumerate(self._handles)]
        self.devices: list[VisibleGpu] = visible_amd_gpus(everything, os.environ)
        self._energy = {device.index: Energy() for device in self.devices}

    def sample(self) -> Values:
        """Return the metrics of all GPUs by full name."""
        values: Values = {}
        for device in self.devices:
            handle = self._handles[device.gpu.library_index]
            for reader in (self._load, self._memory, self._power, self._temperature, self._clocks):
                for name, value in self._read(reader, handle).items():
                    values[f"system/gpu{device.index}/{name}"] = value
            counter = self._read(self._energy_counter, handle)
            if counter:
                energy_j = self._energy[device.index].by_counter(counter["energy_mj"])
                values[f"system/gpu{device.index}/energy_j"] = energy_j
        return values

    def close(self) -> None:
        """Let go of the library."""
        try:
            self._amdsmi.amdsmi_shut_down()
        except self._amdsmi.AmdSmiException:
            pass  # nothing is left to let go of

    def _describe(self, index: int, handle: Any) -> PhysicalGpu:
        try:
            asic = self._amdsmi.amdsmi_get_gpu_asic_info(handle)
        except self._amdsmi.AmdSmiException:
            asic = {}
        serial = str(asic.get("asic_serial", index)).lower().removeprefix("0x")
        return PhysicalGpu(index, f"GPU-{serial}", str(asic.get("market_name", "AMD GPU")))

    def _read(self, reader: Callable[[Any], dict[str, Any]], handle: Any) -> Values:
        try:
            read = reader(handle)
        except (self._amdsmi.AmdSmiException, AttributeError, KeyError, TypeError):
            return {}
        # What the GPU lacks comes as the text "N/A".
        return {name: float(value) for name, value in read.items() if isinstance(value, (int, float))}

    def _load(self, handle: Any) -> dict[str, Any]:
        load = self._amdsmi.amdsmi_get_gpu_activity(handle)
        return {"utilization_percent": load["gfx_activity"], "memory_utilization_percent": load["umc_activity"]}

    def _memory(self, handle: Any) -> dict[str, Any]:
        use = self._amdsmi.amdsmi_get_gpu_vram_usage(handle)
        used, total = use["vram_used"] * _MIB, use["vram_total"] * _MIB
        percent = {"memory_percent": 100 * used / total} if total else {}
        return {"memory_used_bytes": used, "memory_total_bytes": total, **percent}

    def _power(self, handle: Any) -> dict[str, Any]:
        power = self._amdsmi.amdsmi_get_power_info(handle)
        current = power.get("current_socket_power")
        return {"power_w": current if isinstance(current, (int, float)) else power.get("average_socket_power")}

    def _temperature(self, handle: Any) -> dict[str, Any]:
        smi = self._amdsmi
        sensor, current = smi.AmdSmiTemperatureType.HOTSPOT, smi.AmdSmiTemperatureMetric.CURRENT
        degrees = smi.amdsmi_get_temp_metric(handle, sensor, current)
        return {"temperature_c": degrees / 1000 if degrees >= _HIGHEST_C else degrees}

    def _clocks(self, handle: Any) -> dict[str, Any]:
        kinds = self._amdsmi.AmdSmiClkType
        graphics = self._amdsmi.amdsmi_get_clock_info(handle, kinds.GFX)
        memory = self._amdsmi.amdsmi_get_clock_info(handle, kinds.MEM)
        return {"sm_clock_mhz": graphics["clk"], "memory_clock_mhz": memory["clk"]}

    def _energy_counter(self, handle: Any) -> dict[str, Any]:
        energy = self._amdsmi.amdsmi_get_energy_count(handle)
        microjoules = energy["energy_accumulator"] * energy["counter_resolution"]
        return {"energy_mj": microjoules / 1000}


def visible_amd_gpus(gpus: list[PhysicalGpu], environ: Mapping[str, str]) -> list[VisibleGpu]:
    """Return what ROCR_VISIBLE_DEVICES leaves, and of that what HIP_VISIBLE_DEVICES (or CUDA's) leaves."""
    outer = visible_gpus(gpus, _as_cuda(environ.get("ROCR_VISIBLE_DEVICES")))
    inner = environ.get("HIP_VISIBLE_DEVICES", environ.get("CUDA_VISIBLE_DEVICES"))
    return visible_gpus([device.gpu for device in outer], _as_cuda(inner))


def _as_cuda(value: str | None) -> dict[str, str]:
    # ROCm always numbers by PCI bus id.
    order = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    return order if value is None else {**order, "CUDA_VISIBLE_DEVICES": value}
