"""NVIDIA's GPUs are watched through NVML; whatever a driver, a model or a fault takes away, the rest is recorded."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
from child_process import run
from nvml_stub_library import RunWithGpus, build, search_path

GIB = 1 << 30
SAMPLE_TWICE = "gpus = open_nvidia(os.getpid()); first = gpus.sample(); show([first, sample_later(gpus)]); gpus.close()"

# What an A100 tells at the first sample, under system/gpu0/.
A100 = {
    "utilization_percent": 50,
    "memory_utilization_percent": 30,
    "memory_used_bytes": 10 * GIB,
    "memory_total_bytes": 80 * GIB,
    "memory_percent": 12.5,
    "temperature_c": 60,
    "power_w": 300,
    "power_limit_w": 400,
    "energy_j": 0,
    "sm_clock_mhz": 1410,
    "memory_clock_mhz": 1593,
    "fan_percent": 40,
    "throttled": 0,
    "pcie_rx_bytes_per_s": 2_000_000,
    "pcie_tx_bytes_per_s": 1_000_000,
    "ecc_corrected": 5,
    "ecc_uncorrected": 1,
    "remapped_rows": 3,
    "encoder_percent": 7,
    "decoder_percent": 8,
}

# NVML functions and what is lost when they cannot be had; a set of functions that stand in for one another.
LOSSES = [
    ({"nvmlDeviceGetUtilizationRates"}, {"utilization_percent", "memory_utilization_percent"}),
    ({"nvmlDeviceGetMemoryInfo_v2"}, set()),
    (
        {"nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMemoryInfo"},
        {"memory_used_bytes", "memory_total_bytes", "memory_percent"},
    ),
    ({"nvmlDeviceGetTemperatureV"}, set()),
    ({"nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature"}, {"temperature_c"}),
    ({"nvmlDeviceGetPowerUsage"}, {"power_w"}),
    ({"nvmlDeviceGetEnforcedPowerLimit"}, {"power_limit_w"}),
    ({"nvmlDeviceGetClockInfo"}, {"sm_clock_mhz", "memory_clock_mhz"}),
    ({"nvmlDeviceGetFanSpeed"}, {"fan_percent"}),
    ({"nvmlDeviceGetCurrentClocksEventReasons"}, set()),
    ({"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"}, {"throttled"}),
    ({"nvmlDeviceGetPcieThroughput"}, {"pcie_rx_bytes_per_s", "pcie_tx_bytes_per_s"}),
    ({"nvmlDeviceGetFieldValues"}, set()),
    ({"nvmlDeviceGetFieldValues", "nvmlDeviceGetTotalEccErrors"}, {"ecc_corrected", "ecc_uncorrected"}),
    ({"nvmlDeviceGetFieldValues", "nvmlDeviceGetRemappedRows"}, {"remapped_rows"}),
    ({"nvmlDeviceGetFieldValues", "nvmlDeviceGetTotalEnergyConsumption"}, set()),
    ({"field83", "nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetPowerUsage"}, {"power_w", "energy_j"}),
    ({"nvmlDeviceGetEncoderUtilization"}, {"encoder_percent"}),
    ({"nvmlDeviceGetDecoderUtilization"}, {"decoder_percent"}),
    ({"nvmlDeviceGetComputeRunningProcesses_v3"}, set()),
    ({"nvmlDeviceGetMigMode"}, set()),
    ({"nvmlGpmQueryDeviceSupport"}, set()),
]


def of_gpu(values: dict[str, float], index: int = 0) -> dict[str, float]:
    """The metrics of one GPU by short name, but for those that depend on where the tests run."""
    prefix = f"system/gpu{index}/"
    short = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
    short.pop("process_memory_used_bytes", None)  # told only outside of containers
    return short


def test_a_gpu_tells_all_it_has(with_gpus: RunWithGpus) -> None:
    first, second = with_gpus("gpus 1", SAMPLE_TWICE)
    assert of_gpu(first) == A100
    assert of_gpu(second) == {**A100, "nvlink_rx_bytes_per_s": 0, "nvlink_tx_bytes_per_s": 0}


def test_metrics_bear_the_number_that_the_process_knows(with_gpus: RunWithGpus) -> None:
    script = "show([open_nvidia(os.getpid()).sample(), gpu_inventory()])"
    values, inventory = with_gpus("gpus 4", script, CUDA_VISIBLE_DEVICES="2,GPU-x")
    assert of_gpu(values)["temperature_c"] == 62
    assert not of_gpu(values, 1)
    values, inventory = with_gpus("gpus 4", script, CUDA_VISIBLE_DEVICES="GPU-4,GPU-1111")
    assert [of_gpu(values, i)["temperature_c"] for i in (0, 1)] == [63, 60]
    assert [(gpu["index"], gpu["nvml_index"]) for gpu in inventory["gpus"]] == [(0, 3), (1, 0)]


def test_the_inventory_describes_driver_and_gpus(with_gpus: RunWithGpus) -> None:
    inventory = with_gpus("gpus 2;model 1 NVIDIA H100 80GB HBM3", "show(gpu_inventory())", CUDA_VISIBLE_DEVICES="1")
    assert inventory == {
        "driver_version": "580.65.06",
        "cuda_version": "13.0",
        "gpus": [
            {
                "index": 0,
                "nvml_index": 1,
                "uuid": "GPU-22222222-0000-4000-8000-000000000001",
                "name": "NVIDIA H100 80GB HBM3",
                "is_mig": False,
                "is_mapping_certain": False,
                "memory_total_bytes": 80 * GIB,
                "pci_bus_id": "00000000:11:00.0",
            }
        ],
    }


def test_where_no_gpu_is_visible_nothing_is_kept_open(with_gpus: RunWithGpus) -> None:
    script = "show([open_nvidia(os.getpid()), gpu_inventory()['gpus'], references()])"
    assert with_gpus("gpus 2", script, CUDA_VISIBLE_DEVICES="") == [None, [], 0]
    assert with_gpus("gpus 0", script) == [None, [], 0]


@pytest.mark.parametrize(("code", "n_lines"), [(9, 0), (18, 1)])
def test_an_absent_driver_is_normal_and_a_broken_one_is_told(nvml_stub: Path, code: int, n_lines: int) -> None:
    script = """
        import os
        from tracker_core.system.nvml import gpu_inventory, open_nvidia
        assert open_nvidia(os.getpid()) is None
        assert gpu_inventory() == {}
    """
    gpus = f"fail nvmlInitWithFlags * {code}"
    done = run(script, NVML_STUB=gpus, LD_LIBRARY_PATH=search_path(nvml_stub))
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == n_lines, done.stderr


def test_without_pynvml_there_are_no_gpus(nvml_stub: Path) -> None:
    script = """
        import os, sys
        sys.modules["pynvml"] = None
        from tracker_core.system.nvml import gpu_inventory, open_nvidia
        assert open_nvidia(os.getpid()) is None and gpu_inventory() == {}
    """
    assert run(script, LD_LIBRARY_PATH=search_path(nvml_stub)).returncode == 0


def test_without_a_driver_pynvml_is_not_even_imported() -> None:
    script = """
        import ctypes, os, sys
        from tracker_core.system.nvml import gpu_inventory, open_nvidia
        try:
            ctypes.CDLL("libnvidia-ml.so.1")
        except OSError:
            assert open_nvidia(os.getpid()) is None and gpu_inventory() == {}
            assert "pynvml" not in sys.modules
    """
    assert run(script).returncode == 0


def test_what_is_not_supported_takes_only_its_own_metrics_and_is_asked_for_once(with_gpus: RunWithGpus) -> None:
    script = """
        lost = []
        for functions in json.loads(os.environ["FUNCTIONS"]):
            gpus = open_nvidia(os.getpid())
            control(";".join(f"fail {name} * 3" for name in functions))
            gpus.sample()
            asked = [calls(name) for name in functions]
            lost.append(gpus.sample())
            assert [calls(name) for name in functions] == asked, functions
            control(";".join(f"fail {name} * 0" for name in functions))
            gpus.close()
        show(lost)
    """
    functions = json.dumps([sorted(functions) for functions, _ in LOSSES])
    for (failing, expected), values in zip(LOSSES, with_gpus("gpus 1", script, FUNCTIONS=functions), strict=True):
        assert set(A100) - set(of_gpu(values)) == expected, failing


def test_a_driver_without_the_newer_functions_gives_what_it_can(with_gpus: RunWithGpus, tmp_path: Path) -> None:
    absent = (
        "nvmlDeviceGetFieldValues",
        "nvmlDeviceGetTemperatureV",
        "nvmlDeviceGetMemoryInfo_v2",
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetMigMode",
        "nvmlGpmQueryDeviceSupport",
        "nvmlSystemGetCudaDriverVersion",
    )
    library = build(tmp_path / "old", missing=absent)
    _, second = with_gpus("gpus 1", SAMPLE_TWICE, library=library)
    assert of_gpu(second) == A100
    inventory = with_gpus("gpus 1", "show(gpu_inventory())", library=library)
    assert (inventory["cuda_version"], len(inventory["gpus"])) == ("", 1)


def test_a_passing_error_leaves_a_gap_and_no_more(with_gpus: RunWithGpus) -> None:
    script = """
        gpus = open_nvidia(os.getpid())
        control("fail nvmlDeviceGetPowerUsage * 999; fail nvmlDeviceGetFieldValues * 10")
        during = gpus.sample()
        control("fail nvmlDeviceGetPowerUsage * 0; fail nvmlDeviceGetFieldValues * 0")
        show([during, gpus.sample()])
    """
    during, after = with_gpus("gpus 1", script)
    assert set(A100) - set(of_gpu(during)) == {
        "power_w",
        "energy_j",
        "ecc_corrected",
        "ecc_uncorrected",
        "remapped_rows",
        # Whether there are counters is not known yet, so nothing else is asked either.
        "pcie_rx_bytes_per_s",
        "pcie_tx_bytes_per_s",
    }
    assert of_gpu(after).keys() >= A100.keys() - {"pcie_rx_bytes_per_s", "pcie_tx_bytes_per_s"}


def test_a_lost_gpu_is_named_once_and_the_others_go_on(nvml_stub: Path) -> None:
    script = """
        import os, pynvml
        from tracker_core.system.nvml import open_nvidia
        gpus = open_nvidia(os.getpid())
        assert any(name.startswith("system/gpu1/") for name in gpus.sample())
        pynvml.nvmlLib.stub_control(b"fail nvmlDeviceGetTemperatureV 1 15")
        for _ in range(3):
            values = gpus.sample()
            assert not any(name.startswith("system/gpu1/") for name in values)
            assert any(name.startswith("system/gpu0/") for name in values)
            assert any(name.startswith("system/gpu2/") for name in values)
        gpus.close()
    """
    done = run(script, NVML_STUB="gpus 3", LD_LIBRARY_PATH=search_path(nvml_stub))
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert "GPU-22222222" in line


def test_a_gpu_lost_before_the_start_keeps_the_numbers_of_the_others(with_gpus: RunWithGpus) -> None:
    values = with_gpus(
        "gpus 3;fail nvmlDeviceGetHandleByIndex_v2 1 15",
        "show(open_nvidia(os.getpid()).sample())",
        CUDA_DEVICE_ORDER="PCI_BUS_ID",
    )
    assert (of_gpu(values)["temperature_c"], of_gpu(values, 2)["temperature_c"]) == (60, 62)


def test_hopper_tells_how_busy_its_units_are(with_gpus: RunWithGpus) -> None:
    script = """
        gpus = open_nvidia(os.getpid())
        first, second = gpus.sample(), sample_later(gpus)
        control("fail gpm5 * 3")
        third = gpus.sample()
        gpus.close()
        show([first, second, third, pynvml.nvmlLib.stub_samples(), calls("nvmlDeviceGetPcieThroughput")])
    """
    first, second, third, n_samples, n_watched = with_gpus("gpus 1;gpm 1", script)
    busy = {"sm_active_percent": 2, "sm_occupancy_percent": 3, "tensor_active_percent": 5, "dram_active_percent": 10}
    assert not busy.keys() & of_gpu(first).keys()  # a mean needs two samples
    assert {name: of_gpu(second)[name] for name in busy} == busy
    assert of_gpu(second)["pcie_tx_bytes_per_s"] == 20 * 2**20
    assert of_gpu(second)["pcie_rx_bytes_per_s"] == 21 * 2**20
    assert of_gpu(second).keys() - of_gpu(third).keys() == {"tensor_active_percent"}
    assert (n_samples, n_watched) == (0, 0)


def test_a_mig_device_has_its_own_memory_and_load_and_shares_the_rest(with_gpus: RunWithGpus) -> None:
    uuid = "MIG-11111111-1111-4000-8000-000000000001"
    script = f"gpus = open_nvidia(os.getpid()); gpus.sample(); show([sample_later(gpus), gpu_inventory()])  # {uuid}"
    values, inventory = with_gpus("gpus 1;gpm 1;mig 0 2", script, CUDA_VISIBLE_DEVICES=uuid)
    told = of_gpu(values)
    assert (told["memory_used_bytes"], told["memory_total_bytes"]) == (2 * GIB, 10 * GIB)
    assert (told["utilization_percent"], told["sm_active_percent"]) == (1 + 8, 2 + 8)  # of GPU instance 8
    assert (told["temperature_c"], told["power_w"]) == (60, 300)
    assert "memory_utilization_percent" not in told
    (gpu,) = inventory["gpus"]
    assert (gpu["uuid"], gpu["is_mig"], gpu["memory_total_bytes"]) == (uuid, True, 10 * GIB)
    assert gpu["parent_uuid"] == "GPU-11111111-0000-4000-8000-000000000000"
    assert gpu["name"].endswith("MIG 1g.10gb")


def test_energy_counts_from_the_first_sample_on(with_gpus: RunWithGpus) -> None:
    script = """
        gpus = open_nvidia(os.getpid())
        told = []
        for counter in (5_000_000, 5_250_000, 90_000):  # the last after the driver was loaded anew
            control(f"field 0 83 {counter}")
            told.append(gpus.sample()["system/gpu0/energy_j"])
        show(told)
    """
    assert with_gpus("gpus 1", script) == [0, 250, 340]
    assert with_gpus("gpus 1;fail nvmlDeviceGetFieldValues * 3", script) == [0, 250, 340]


def test_energy_is_summed_from_the_power_where_there_is_no_counter(with_gpus: RunWithGpus) -> None:
    script = """
        import time
        gpus = open_nvidia(os.getpid())
        began = time.monotonic()
        gpus.sample()
        after_first = time.monotonic()
        while time.monotonic() < after_first + 0.05:
            pass
        energy = gpus.sample()["system/gpu0/energy_j"]
        show([energy, 0.05 * 300, (time.monotonic() - began) * 300])
    """
    energy, least, most = with_gpus("gpus 1;fail field83 * 3;fail nvmlDeviceGetTotalEnergyConsumption * 3", script)
    assert least <= energy <= most


def test_a_reason_for_low_clocks_is_told_from_its_first_time_on(with_gpus: RunWithGpus) -> None:
    script = """
        gpus, told = open_nvidia(os.getpid()), []
        for bits in (0x1, 0x4, 0x2, 0x60):
            control(f"reasons 0 {bits}")
            told.append({name.split("/")[-1]: v for name, v in gpus.sample().items() if "throttle" in name})
        show(told)
    """
    idle, capped, chosen, hot = with_gpus("gpus 1", script)
    assert idle == {"throttled": 0}
    assert capped == {"throttled": 1, "throttle_sw_power_cap": 1}
    assert chosen == {"throttled": 0, "throttle_sw_power_cap": 0, "throttle_applications_clocks_setting": 1}
    assert {name for name, is_on in hot.items() if is_on} == {
        "throttled",
        "throttle_sw_thermal_slowdown",
        "throttle_hw_thermal_slowdown",
    }


def test_bus_counters_are_preferred_to_watching_the_bus(with_gpus: RunWithGpus) -> None:
    script = """
        gpus = open_nvidia(os.getpid())
        gpus.sample()
        control("field 0 197 3000000; field 0 198 6000000; field 0 138 1000; field 0 139 3000")
        values = gpus.sample()
        show([values, calls("nvmlDeviceGetPcieThroughput")])
    """
    values, n_watched = with_gpus("gpus 1;field 0 197 0;field 0 198 0", script)
    told = of_gpu(values)
    assert n_watched == 0
    assert told["pcie_rx_bytes_per_s"] == pytest.approx(2 * told["pcie_tx_bytes_per_s"], rel=0.2) != 0
    assert told["nvlink_rx_bytes_per_s"] == pytest.approx(3 * told["nvlink_tx_bytes_per_s"], rel=0.2) != 0


def test_counters_that_wrap_between_samples_are_not_trusted(with_gpus: RunWithGpus) -> None:
    _, second = with_gpus("gpus 1;field 0 197 0 32;field 0 198 0 32", SAMPLE_TWICE)
    assert of_gpu(second)["pcie_tx_bytes_per_s"] == 1_000_000


def test_memory_of_this_process_and_its_children_is_told_apart(with_gpus: RunWithGpus) -> None:
    script = """
        from tracker_core.system.nvml import _has_host_pids
        from tracker_core.system.nvml_counters import Energy
        from tracker_core.system.nvml_gpu import Gpu
        from tracker_core.system.visible_gpus import PhysicalGpu, VisibleGpu
        pynvml.nvmlInit()
        control("user 0 4711 123456; user 1 4712 99")
        told = []
        for pids in (lambda: frozenset({1, 4711}), None):
            for index in (0, 1):
                gpu = Gpu(pynvml, VisibleGpu(0, PhysicalGpu(index, "GPU-0", "")), Energy(), pids)
                told.append(gpu.sample().get("system/gpu0/process_memory_used_bytes"))
        control(f"user 0 {os.getpid()} 77")
        show([told, open_nvidia(os.getpid()).sample().get("system/gpu0/process_memory_used_bytes"), _has_host_pids()])
    """
    told, of_this_process, has_host_pids = with_gpus("gpus 2", script)
    assert told == [123456, 0, None, None]  # None: NVML's process ids cannot be told from ours
    assert of_this_process == (77 if has_host_pids else None)


def test_a_forked_child_samples_on_its_own_and_takes_nothing_from_its_parent(with_gpus: RunWithGpus) -> None:
    script = """
        gpus = open_nvidia(os.getpid())
        before = gpus.sample()
        pid = os.fork()
        if pid == 0:
            own = open_nvidia(os.getpid())
            good = own.sample().keys() == before.keys() and references() == 2
            own.close()
            os._exit(0 if good and references() == 1 else 1)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        show([status, gpus.sample().keys() >= before.keys(), references()])
    """
    assert with_gpus("gpus 1", script) == [0, True, 1]


def test_others_may_use_nvml_in_the_same_process(with_gpus: RunWithGpus) -> None:
    script = """
        pynvml.nvmlInit()
        gpus = open_nvidia(os.getpid())
        gpus.sample()
        pynvml.nvmlShutdown(); pynvml.nvmlShutdown()  # once more than this user initialised it
        gap, after = gpus.sample(), gpus.sample()
        gpus.close()
        show([len(gap), len(after) > 10, references()])
    """
    assert with_gpus("gpus 1", script) == [0, True, 0]


FAKE_TORCH = """
    from types import SimpleNamespace as Namespace
    uuids = ["22222222-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000000"]
    in_use = []
    sys.modules["torch"] = Namespace(cuda=Namespace(
        is_initialized=lambda: bool(in_use),
        device_count=lambda: 1 / len(in_use) and len(uuids),  # fails unless CUDA is in use
        get_device_properties=lambda index: Namespace(uuid=uuids[index]),
    ))
"""


def test_once_cuda_is_in_use_its_own_order_holds(with_gpus: RunWithGpus) -> None:
    script = (
        textwrap.dedent(FAKE_TORCH)
        + """
told = []
gpus = open_nvidia(os.getpid(), told.append)
before, assumed = gpus.sample(), gpu_inventory()
in_use.append(True)
after, last = gpus.sample(), gpus.sample()
show([before, assumed, after, told, gpu_inventory() == told[0]])
"""
    )
    before, assumed, after, told, is_same = with_gpus("gpus 2;model 0 NVIDIA T400", script)
    assert [gpu["is_mapping_certain"] for gpu in assumed["gpus"]] == [False, False]
    assert (of_gpu(before)["temperature_c"], of_gpu(after)["temperature_c"]) == (60, 61)
    (inventory,) = told
    assert [(gpu["nvml_index"], gpu["is_mapping_certain"]) for gpu in inventory["gpus"]] == [(1, True), (0, True)]
    assert is_same
