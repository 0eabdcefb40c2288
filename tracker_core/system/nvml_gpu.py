"""All metrics of one NVIDIA GPU, each of which may be missing without the others.

Every metric has readers in order of preference. One that the GPU, the driver or this user's rights lack is given up
for the next; one that fails otherwise is tried again at the next sample.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .nvml_counters import ALL_LINKS, FATAL, NOT_SUPPORTED, UNSUPPORTED, Energy, Fields, Gpm
from .rates import Rates
from .visible_gpus import VisibleGpu

Values = dict[str, float]
Reader = Callable[[], Values]

# NVML_FI_DEV_*
_ECC_CORRECTED, _ECC_UNCORRECTED = 3, 4
_ENERGY_MJ = 83
_NVLINK_TX_KIB, _NVLINK_RX_KIB = 138, 139
_REMAPPED_CORRECTED, _REMAPPED_UNCORRECTED = 142, 143
_PCIE_TX_BYTES, _PCIE_RX_BYTES = 197, 198
# NVML_GPM_METRIC_*
_GRAPHICS_ACTIVE, _PCIE_TX_MIB, _PCIE_RX_MIB, _NVLINK_RX_MIB, _NVLINK_TX_MIB = 1, 20, 21, 60, 61
_GPM_LOAD = {"sm_active_percent": 2, "sm_occupancy_percent": 3, "tensor_active_percent": 5, "dram_active_percent": 10}
_GPM_METRICS = (_GRAPHICS_ACTIVE, *_GPM_LOAD.values(), _PCIE_TX_MIB, _PCIE_RX_MIB, _NVLINK_RX_MIB, _NVLINK_TX_MIB)

# Why the clocks are below their maximum; 0x1, an idle GPU, is no event worth a metric.
_REASONS = {
    "applications_clocks_setting": 0x2,
    "sw_power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sync_boost": 0x10,
    "sw_thermal_slowdown": 0x20,
    "hw_thermal_slowdown": 0x40,
    "hw_power_brake_slowdown": 0x80,
    "display_clock_setting": 0x100,
    "board_limit": 0x200,
    "reliability": 0x400,
}
_CHOSEN_BY_SOMEONE = 0x2 | 0x100  # clocks that were asked for are no throttling
_THROTTLING = sum(_REASONS.values()) & ~_CHOSEN_BY_SOMEONE


class Gpu:
    """One device of this process: a GPU, or with MIG a part of one. Not thread-safe.

    Args:
        nvml: the module pynvml, initialised.
        visible: the device.
        energy: what the device has used so far.
        pids: gives the process ids whose memory counts as this process's. None where NVML's ids may mean other
            processes than ours do.

    Raises:
        NVMLError: the GPU cannot be opened.
    """

    def __init__(
        self, nvml: Any, visible: VisibleGpu, energy: Energy, pids: Callable[[], frozenset[int]] | None
    ) -> None:
        self._nvml = nvml
        self._energy = energy
        self._pids = pids
        self._prefix = f"system/gpu{visible.index}/"
        # With MIG, memory and load are the part's own; temperature, power and clocks are the whole board's.
        self._board = self._device = nvml.nvmlDeviceGetHandleByIndex(visible.gpu.library_index)
        gpu_instance = None
        if visible.slice is not None:
            self._device = nvml.nvmlDeviceGetMigDeviceHandleByIndex(self._board, visible.slice.mig_index)
            gpu_instance = nvml.nvmlDeviceGetGpuInstanceId(self._device)
        self._fields = Fields(nvml, self._board)
        self._gpm = Gpm(nvml, self._board, gpu_instance, _GPM_METRICS)
        self._rates = Rates()
        self._power_w: float | None = None
        self._reasons_seen: set[str] = set()
        self._readers = self._all_readers()

    def sample(self) -> Values:
        """Return the metrics by full name.

        Raises:
            NVMLError: the GPU is lost, or NVML was shut down by someone else.
        """
        self._power_w = None
        self._fields.refresh()
        self._gpm.refresh()
        values: Values = {}
        for readers in self._readers:
            values.update(self._read(readers))
        return {self._prefix + name: value for name, value in values.items()}

    def close(self) -> None:
        """Give NVML's memory back."""
        self._gpm.close()

    def _all_readers(self) -> list[list[Reader]]:
        return [
            [self._utilization, self._gpm_utilization],
            [self._memory_v2, self._memory_v1],
            [self._temperature, self._temperature_v0],
            [self._power],
            [self._power_limit],
            [self._energy_by_field, self._energy_by_call, self._energy_by_power],
            [self._sm_clock],
            [self._memory_clock],
            [self._fan],
            [self._event_reasons, self._throttle_reasons],
            [self._pcie_by_gpm, self._pcie_by_counters, self._pcie_by_watching],
            [self._nvlink_by_counters, self._nvlink_by_gpm],
            [self._ecc_by_fields, self._ecc_by_calls],
            [self._remapped_by_fields, self._remapped_by_call],
            [self._encoder],
            [self._decoder],
            [self._process_memory_v3, self._process_memory_v2],
            *([self._gpm_reader(name, metric)] for name, metric in _GPM_LOAD.items()),
        ]

    def _read(self, readers: list[Reader]) -> Values:
        while readers:
            try:
                return readers[0]()
            except self._nvml.NVMLError as error:
                if error.value in FATAL:
                    raise
                if error.value not in UNSUPPORTED:
                    return {}
            except (AttributeError, TypeError, ValueError):
                pass  # this pynvml lacks the function, or does not understand this driver's answer
            readers.pop(0)
        return {}

    def _gpm_reader(self, name: str, metric: int) -> Reader:
        return lambda: {name: self._gpm.value(metric)}

    def _utilization(self) -> Values:
        rates = self._nvml.nvmlDeviceGetUtilizationRates(self._device)
        return {"utilization_percent": float(rates.gpu), "memory_utilization_percent": float(rates.memory)}

    def _gpm_utilization(self) -> Values:
        return {"utilization_percent": self._gpm.value(_GRAPHICS_ACTIVE)}

    def _memory_v2(self) -> Values:
        # Version 2 does not count what the driver keeps for itself as used.
        return _memory(self._nvml.nvmlDeviceGetMemoryInfo(self._device, version=self._nvml.nvmlMemory_v2))

    def _memory_v1(self) -> Values:
        return _memory(self._nvml.nvmlDeviceGetMemoryInfo(self._device))

    def _temperature(self) -> Values:
        return {"temperature_c": float(self._nvml.nvmlDeviceGetTemperatureV(self._board, 0))}

    def _temperature_v0(self) -> Values:
        return {"temperature_c": float(self._nvml.nvmlDeviceGetTemperature(self._board, 0))}

    def _power(self) -> Values:
        self._power_w = self._nvml.nvmlDeviceGetPowerUsage(self._board) / 1000
        return {"power_w": self._power_w}

    def _power_limit(self) -> Values:
        return {"power_limit_w": self._nvml.nvmlDeviceGetEnforcedPowerLimit(self._board) / 1000}

    def _energy_by_field(self) -> Values:
        return {"energy_j": self._energy.by_counter(self._fields.value(_ENERGY_MJ))}

    def _energy_by_call(self) -> Values:
        return {"energy_j": self._energy.by_counter(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._board))}

    def _energy_by_power(self) -> Values:
        if self._power_w is None:
            return {}
        return {"energy_j": self._energy.by_power(self._power_w, time.monotonic())}

    def _sm_clock(self) -> Values:
        return {"sm_clock_mhz": float(self._nvml.nvmlDeviceGetClockInfo(self._board, self._nvml.NVML_CLOCK_SM))}

    def _memory_clock(self) -> Values:
        return {"memory_clock_mhz": float(self._nvml.nvmlDeviceGetClockInfo(self._board, self._nvml.NVML_CLOCK_MEM))}

    def _fan(self) -> Values:
        return {"fan_percent": float(self._nvml.nvmlDeviceGetFanSpeed(self._board))}

    def _event_reasons(self) -> Values:
        return self._reasons(self._nvml.nvmlDeviceGetCurrentClocksEventReasons(self._board))

    def _throttle_reasons(self) -> Values:
        return self._reasons(self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._board))

    def _reasons(self, bits: int) -> Values:
        self._reasons_seen |= {name for name, bit in _REASONS.items() if bits & bit}
        seen = {f"throttle_{name}": float(bool(bits & _REASONS[name])) for name in sorted(self._reasons_seen)}
        return {"throttled": float(bool(bits & _THROTTLING)), **seen}

    def _pcie_by_gpm(self) -> Values:
        received, sent = self._gpm.value(_PCIE_RX_MIB), self._gpm.value(_PCIE_TX_MIB)
        return {"pcie_rx_bytes_per_s": received * 2**20, "pcie_tx_bytes_per_s": sent * 2**20}

    def _pcie_by_counters(self) -> Values:
        counters = {
            "pcie_rx_bytes_per_s": self._fields.wide_counter(_PCIE_RX_BYTES),
            "pcie_tx_bytes_per_s": self._fields.wide_counter(_PCIE_TX_BYTES),
        }
        return self._rates.per_s(counters, time.monotonic())

    def _pcie_by_watching(self) -> Values:
        # Each call watches the bus for 20 ms, asleep. The counter's unit is KB/s.
        received, sent = (self._nvml.nvmlDeviceGetPcieThroughput(self._board, counter) for counter in (1, 0))
        return {"pcie_rx_bytes_per_s": received * 1000.0, "pcie_tx_bytes_per_s": sent * 1000.0}

    def _nvlink_by_counters(self) -> Values:
        counters = {
            "nvlink_rx_bytes_per_s": 1024 * self._fields.wide_counter(_NVLINK_RX_KIB, ALL_LINKS),
            "nvlink_tx_bytes_per_s": 1024 * self._fields.wide_counter(_NVLINK_TX_KIB, ALL_LINKS),
        }
        return self._rates.per_s(counters, time.monotonic())

    def _nvlink_by_gpm(self) -> Values:
        received, sent = self._gpm.value(_NVLINK_RX_MIB), self._gpm.value(_NVLINK_TX_MIB)
        return {"nvlink_rx_bytes_per_s": received * 2**20, "nvlink_tx_bytes_per_s": sent * 2**20}

    def _ecc_by_fields(self) -> Values:
        corrected, uncorrected = self._fields.value(_ECC_CORRECTED), self._fields.value(_ECC_UNCORRECTED)
        return {"ecc_corrected": corrected, "ecc_uncorrected": uncorrected}

    def _ecc_by_calls(self) -> Values:
        counts = [self._nvml.nvmlDeviceGetTotalEccErrors(self._board, kind, 0) for kind in (0, 1)]  # 0: since start
        return {"ecc_corrected": float(counts[0]), "ecc_uncorrected": float(counts[1])}

    def _remapped_by_fields(self) -> Values:
        return {"remapped_rows": self._fields.value(_REMAPPED_CORRECTED) + self._fields.value(_REMAPPED_UNCORRECTED)}

    def _remapped_by_call(self) -> Values:
        corrected, uncorrected, *_ = self._nvml.nvmlDeviceGetRemappedRows(self._board)
        return {"remapped_rows": float(corrected + uncorrected)}

    def _encoder(self) -> Values:
        return {"encoder_percent": float(self._nvml.nvmlDeviceGetEncoderUtilization(self._device)[0])}

    def _decoder(self) -> Values:
        return {"decoder_percent": float(self._nvml.nvmlDeviceGetDecoderUtilization(self._device)[0])}

    def _process_memory_v3(self) -> Values:
        return self._process_memory(self._nvml.nvmlDeviceGetComputeRunningProcesses_v3)

    def _process_memory_v2(self) -> Values:
        return self._process_memory(self._nvml.nvmlDeviceGetComputeRunningProcesses_v2)

    def _process_memory(self, list_users: Callable[[Any], list[Any]]) -> Values:
        if self._pids is None:
            raise self._nvml.NVMLError(NOT_SUPPORTED)
        users = list_users(self._device)
        pids = self._pids() if users else frozenset()
        used = [user.usedGpuMemory for user in users if user.pid in pids]
        if None in used:  # Windows manages the memory itself
            return {}
        return {"process_memory_used_bytes": float(sum(used))}


def _memory(info: Any) -> Values:
    percent = {"memory_percent": 100 * info.used / info.total} if info.total else {}
    return {"memory_used_bytes": float(info.used), "memory_total_bytes": float(info.total), **percent}
