"""AMD's and Apple's GPUs: what can be told of them without such hardware."""

from __future__ import annotations

import plistlib
from pathlib import Path

from child_process import run_well

from tracker_core.system.amd import visible_amd_gpus
from tracker_core.system.apple import read_statistics
from tracker_core.system.visible_gpus import PhysicalGpu

# The part of amdsmi's documented interface that is used; what a GPU lacks is "N/A".
AMDSMI = """
class AmdSmiException(Exception): pass
class AmdSmiTemperatureType: HOTSPOT = 1
class AmdSmiTemperatureMetric: CURRENT = 0
class AmdSmiClkType: GFX, MEM = 0, 4
counter = 0
def amdsmi_init(): pass
def amdsmi_shut_down(): pass
def amdsmi_get_processor_handles(): return ["a", "b"]
def amdsmi_get_gpu_asic_info(handle): return {"market_name": "AMD Instinct MI300X", "asic_serial": "0xAB" + handle}
def amdsmi_get_gpu_activity(handle): return {"gfx_activity": 90, "umc_activity": "N/A", "mm_activity": "N/A"}
def amdsmi_get_gpu_vram_usage(handle): return {"vram_used": 1024, "vram_total": 4096}
def amdsmi_get_power_info(handle): return {"current_socket_power": "N/A", "average_socket_power": 300}
def amdsmi_get_temp_metric(handle, sensor, metric): return 65
def amdsmi_get_clock_info(handle, kind): raise AmdSmiException("not supported")
def amdsmi_get_energy_count(handle):
    global counter
    counter += 2_000_000
    return {"energy_accumulator": counter, "counter_resolution": 15.3}
"""


def test_amds_gpus_tell_what_their_library_gives(tmp_path: Path) -> None:
    (tmp_path / "amdsmi.py").write_text(AMDSMI)
    script = """
        import sys
        sys.path.insert(0, sys.argv[1])
        from tracker_core.system.amd import amd_inventory, open_amd
        gpus = open_amd()
        gpus.sample()
        assert gpus.sample() == {
            "system/gpu0/utilization_percent": 90, "system/gpu0/memory_used_bytes": 1 << 30,
            "system/gpu0/memory_total_bytes": 4 << 30, "system/gpu0/memory_percent": 25,
            "system/gpu0/power_w": 300, "system/gpu0/temperature_c": 65, "system/gpu0/energy_j": 30.6,
        }, gpus.sample()
        (described,) = amd_inventory()["gpus"]
        assert described == {"index": 0, "uuid": "GPU-abb", "name": "AMD Instinct MI300X", "is_mapping_certain": True}
    """
    run_well(script, tmp_path, HIP_VISIBLE_DEVICES="1")


def test_without_amdsmi_there_are_none() -> None:
    script = """
        import sys
        sys.modules["amdsmi"] = None
        from tracker_core.system.amd import amd_inventory, open_amd
        assert open_amd() is None and amd_inventory() == {}
        from tracker_core.system.apple import apple_inventory, open_apple
        assert sys.platform == "darwin" or (open_apple() is None and apple_inventory() == {})
    """
    run_well(script)


def test_rocm_chooses_first_and_hip_of_what_is_left() -> None:
    gpus = [PhysicalGpu(index, f"GPU-{index}a", "MI300X") for index in range(4)]

    def seen(**environ: str) -> list[int]:
        return [device.gpu.library_index for device in visible_amd_gpus(gpus, environ)]

    assert seen() == [0, 1, 2, 3]
    assert seen(ROCR_VISIBLE_DEVICES="3,2", HIP_VISIBLE_DEVICES="1") == [2]
    assert seen(CUDA_VISIBLE_DEVICES="2") == [2]
    assert seen(ROCR_VISIBLE_DEVICES="GPU-1,GPU-0") == [1, 0]


def test_apples_gpu_is_read_from_the_registry() -> None:
    statistics = {"Device Utilization %": 37, "In use system memory": 123456789, "Alloc system memory": 2}
    answer = plistlib.dumps([{"model": "Apple M3", "PerformanceStatistics": statistics}, {"model": "other"}])
    expected = {"system/gpu0/utilization_percent": 37.0, "system/gpu0/memory_used_bytes": 123456789.0}
    assert read_statistics(answer) == expected
    assert read_statistics(b"") == {}
