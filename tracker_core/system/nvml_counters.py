"""What NVML gives in batches: counters by field number, and the GPM metrics of Hopper and later GPUs.

Each value fails on its own, with the error that NVML has for it; a value that the GPU does not have is asked for once.
`nvml` stands for the module pynvml throughout. Nothing here is thread-safe.
"""

from __future__ import annotations

import time
from typing import Any

# NVML_ERROR_*: what will not change while the process runs ...
INVALID_ARGUMENT, NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND, FUNCTION_NOT_FOUND = 2, 3, 4, 6, 13
VGPU_ECC_NOT_SUPPORTED, ARGUMENT_VERSION_MISMATCH, DEPRECATED = 22, 25, 26
UNSUPPORTED = frozenset(
    {
        INVALID_ARGUMENT,
        NOT_SUPPORTED,
        NO_PERMISSION,
        NOT_FOUND,
        FUNCTION_NOT_FOUND,
        VGPU_ECC_NOT_SUPPORTED,
        ARGUMENT_VERSION_MISMATCH,
        DEPRECATED,
    }
)
# ... what ends the GPU or all of NVML ...
GPU_IS_LOST, GPU_NOT_FOUND = 15, 28
LOST = frozenset({GPU_IS_LOST, GPU_NOT_FOUND})
UNINITIALIZED = 1
FATAL = LOST | {UNINITIALIZED}
# ... and what may be better next time: all others.
NO_DATA = 21

ALL_LINKS = 0xFFFFFFFF
_UNION_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")  # by NVML_VALUE_TYPE_*
_WIDE_TYPES = frozenset({0, 2, 3, 4})
_MIN_GPM_INTERVAL_S = 0.1


class Fields:
    """Values that `nvmlDeviceGetFieldValues` gives, all in one call. A field is asked for from its first use on."""

    def __init__(self, nvml: Any, device: Any) -> None:
        self._nvml = nvml
        self._device = device
        self._wanted: dict[int, int] = {}
        self._values: dict[int, Any] = {}
        self._errors: dict[int, int] = {}

    def refresh(self) -> None:
        """Read all fields in use. Raises NVMLError where the GPU is lost or NVML was shut down."""
        self._values.clear()
        if self._wanted:
            self._read(self._wanted)

    def value(self, field: int, scope: int = 0) -> float:
        """Return a field's value at the last refresh. Raises NVMLError with the field's own error."""
        item = self._item(field, scope)
        return float(getattr(item.value, _UNION_MEMBERS[item.valueType]))

    def wide_counter(self, field: int, scope: int = 0) -> float:
        """Return a counter; one of 32 bits, which wraps many times between two samples, counts as not supported."""
        if self._item(field, scope).valueType not in _WIDE_TYPES:
            raise self._nvml.NVMLError(NOT_SUPPORTED)
        return self.value(field, scope)

    def _item(self, field: int, scope: int) -> Any:
        if field not in self._wanted and self._errors.get(field) not in UNSUPPORTED:
            self._wanted[field] = scope
            self._read({field: scope})
        if field not in self._values:
            raise self._nvml.NVMLError(self._errors.get(field, NO_DATA))
        return self._values[field]

    def _read(self, wanted: dict[int, int]) -> None:
        try:
            items = self._nvml.nvmlDeviceGetFieldValues(self._device, list(wanted.items()))
        except self._nvml.NVMLError as error:
            if error.value in FATAL:
                raise
            for field in list(wanted):
                self._fail(field, error.value)
            return
        for item in items:
            if item.nvmlReturn:
                self._fail(item.fieldId, item.nvmlReturn)
            elif item.valueType < len(_UNION_MEMBERS):
                self._values[item.fieldId] = item

    def _fail(self, field: int, code: int) -> None:
        self._errors[field] = code
        if code in UNSUPPORTED:
            self._wanted.pop(field, None)


class Gpm:
    """GPM metrics: means over the time between two refreshes, from the counters of the GPU's units.

    Args:
        board: handle of the whole GPU.
        gpu_instance: id of the GPU instance, with MIG.
    """

    def __init__(self, nvml: Any, board: Any, gpu_instance: int | None, metrics: tuple[int, ...]) -> None:
        self._nvml = nvml
        self._board = board
        self._gpu_instance = gpu_instance
        self._metrics = metrics
        self._before: Any = None
        self._spare: Any = None
        self._request: Any = None
        self._sampled_s = 0.0
        self._error = NO_DATA
        self._values: dict[int, float] = {}
        self._errors: dict[int, int] = {}

    def refresh(self) -> None:
        """Take a sample and compare it with the one before. Raises NVMLError where the GPU is lost."""
        now_s = time.monotonic()
        if self._error in UNSUPPORTED or now_s - self._sampled_s < _MIN_GPM_INTERVAL_S:
            return
        self._values.clear()
        try:
            self._take_sample()
        except (self._nvml.NVMLError, AttributeError) as error:
            self._error = getattr(error, "value", FUNCTION_NOT_FOUND)
            if self._error in FATAL:
                raise
        self._sampled_s = now_s

    def value(self, metric: int) -> float:
        """Return a metric's mean over the last interval. Raises NVMLError with the metric's own error."""
        if metric not in self._values:
            raise self._nvml.NVMLError(self._errors.get(metric, self._error))
        return self._values[metric]

    def close(self) -> None:
        """Give the samples' memory back."""
        for sample in (self._before, self._spare):
            if sample is not None:
                self._nvml.nvmlGpmSampleFree(sample)
        self._before = self._spare = None

    def _take_sample(self) -> None:
        nvml = self._nvml
        if self._request is None:
            if not nvml.nvmlGpmQueryDeviceSupport(self._board).isSupportedDevice:
                raise nvml.NVMLError(NOT_SUPPORTED)
            self._request = nvml.c_nvmlGpmMetricsGet_t()
        sample = self._spare or nvml.nvmlGpmSampleAlloc()
        self._spare = sample
        if self._gpu_instance is None:
            nvml.nvmlGpmSampleGet(self._board, sample)
        else:
            nvml.nvmlGpmMigSampleGet(self._board, self._gpu_instance, sample)
        self._before, self._spare = sample, self._before
        if self._spare is not None:
            self._compare(self._spare, sample)

    def _compare(self, before: Any, now: Any) -> None:
        request = self._request
        request.version = self._nvml.NVML_GPM_METRICS_GET_VERSION
        request.numMetrics = len(self._metrics)
        request.sample1, request.sample2 = before, now
        for place, metric in enumerate(self._metrics):
            request.metrics[place].metricId = metric
        self._nvml.nvmlGpmMetricsGet(request)
        for place, metric in enumerate(self._metrics):
            result = request.metrics[place]
            if result.nvmlReturn:
                self._errors[metric] = result.nvmlReturn
            elif result.value == result.value:  # no NaN, which stands for an interval without any counts
                self._values[metric] = result.value


class Energy:
    """Energy of one GPU since its first reading, in joules."""

    def __init__(self) -> None:
        self._total_j = 0.0
        self._counter_mj: float | None = None
        self._power: tuple[float, float] | None = None

    def by_counter(self, counter_mj: float) -> float:
        """Return the energy so far, from a counter of millijoules that starts anew when the driver is reloaded."""
        before = counter_mj if self._counter_mj is None else self._counter_mj
        self._counter_mj = counter_mj
        self._total_j += (counter_mj - before if counter_mj >= before else counter_mj) / 1000
        return self._total_j

    def by_power(self, power_w: float, now_s: float) -> float:
        """Return the energy so far, as the power between readings taken for the mean of both."""
        if self._power is not None:
            before_w, before_s = self._power
            self._total_j += (before_w + power_w) / 2 * (now_s - before_s)
        self._power = power_w, now_s
        return self._total_j
