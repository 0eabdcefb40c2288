"""Which GPUs a process sees is told from its environment, as CUDA and PyTorch would."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_core.system.visible_gpus import (
    GpuSlice,
    PhysicalGpu,
    gpus_by_uuid,
    parse_visible_devices,
    visible_gpus,
)

SAME = [PhysicalGpu(i, f"GPU-{i}abc-{i}", "A100") for i in range(4)]
MIXED = [PhysicalGpu(0, "GPU-0", "T400"), PhysicalGpu(1, "GPU-1", "H100")]
SLICED = [
    PhysicalGpu(0, "GPU-0", "A100"),
    PhysicalGpu(1, "GPU-1", "A100", (GpuSlice("MIG-aa-1", 0), GpuSlice("MIG-ab-2", 3))),
]


def seen(gpus: list[PhysicalGpu], value: str | None, **environ: str) -> list[str]:
    given = {} if value is None else {"CUDA_VISIBLE_DEVICES": value}
    return [device.uuid for device in visible_gpus(gpus, {**given, **environ})]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", []),
        ("0", [0]),
        ("2,0", [2, 0]),
        (" 1 , 3", [1, 3]),
        ("1gpu2,2ampere", [1, 2]),
        ("0,-1,2", [0]),
        ("0,x,2", [0]),
        ("0,1,0", []),
        ("NoDevFiles", []),
        ("+", []),
        ("GPU-ab,GPU-cd", ["GPU-ab", "GPU-cd"]),
        ("GPU-ab,1,GPU-cd", ["GPU-ab"]),
        ("GPU-ab,GPU-ab", []),
        ("MIG-1,GPU-2", ["MIG-1"]),
        ("MIG-GPU-ab/1/0,MIG-GPU-ab/2/0", ["MIG-GPU-ab/1/0", "MIG-GPU-ab/2/0"]),
    ],
)
def test_the_list_is_read_up_to_its_first_bad_entry(value: str | None, expected: object) -> None:
    assert parse_visible_devices(value) == expected


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(alphabet="0123 +-aGPUMI", max_size=6) | st.sampled_from(["GPU-a", "MIG-b", "1"]), max_size=5))
def test_the_list_is_read_as_pytorch_reads_it(entries: list[str]) -> None:
    torch_cuda = pytest.importorskip("torch.cuda")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", ",".join(entries))
        try:
            expected = torch_cuda._parse_visible_devices()
        except ValueError:  # PyTorch stumbles over a sign without digits, which CUDA does not
            return
        assert parse_visible_devices(",".join(entries)) == expected


def test_without_a_list_all_gpus_are_visible_in_their_own_order() -> None:
    assert seen(SAME, None) == [gpu.uuid for gpu in SAME]
    assert [device.index for device in visible_gpus(SAME, {})] == [0, 1, 2, 3]


def test_a_gpu_is_numbered_by_its_place_in_the_list() -> None:
    devices = visible_gpus(SAME, {"CUDA_VISIBLE_DEVICES": "3,1"})
    assert [(device.index, device.gpu.library_index) for device in devices] == [(0, 3), (1, 1)]


def test_numbers_that_no_gpu_has_end_the_list() -> None:
    assert seen(SAME, "1,7,2") == ["GPU-1abc-1"]


def test_a_uuid_may_be_cut_short_but_must_tell_one_gpu() -> None:
    assert seen(SAME, "GPU-2,GPU-0abc") == ["GPU-2abc-2", "GPU-0abc-0"]
    assert seen([*SAME, PhysicalGpu(4, "GPU-2abd", "A100")], "GPU-1,GPU-2,GPU-0") == ["GPU-1abc-1"]
    assert seen(SAME, "GPU-nowhere,GPU-0") == []


def test_two_names_of_one_gpu_empty_the_list() -> None:
    assert seen(SAME, "GPU-1,GPU-2,GPU-1abc") == []


def test_like_gpus_are_certain_and_unlike_ones_only_in_the_order_of_their_bus() -> None:
    assert all(device.is_certain for device in visible_gpus(SAME, {}))
    assert not any(device.is_certain for device in visible_gpus(MIXED, {}))
    assert not any(device.is_certain for device in visible_gpus(MIXED, {"CUDA_VISIBLE_DEVICES": "1"}))
    assert all(device.is_certain for device in visible_gpus(MIXED, {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}))
    assert all(device.is_certain for device in visible_gpus(MIXED, {"CUDA_VISIBLE_DEVICES": "GPU-1"}))


def test_a_mig_device_is_found_by_its_uuid() -> None:
    (device,) = visible_gpus(SLICED, {"CUDA_VISIBLE_DEVICES": "MIG-ab"})
    assert (device.uuid, device.gpu.uuid, device.slice) == ("MIG-ab-2", "GPU-1", GpuSlice("MIG-ab-2", 3))
    assert device.is_certain


def test_a_number_of_a_gpu_in_mig_mode_stands_for_its_first_device_without_certainty() -> None:
    (device,) = visible_gpus(SLICED, {"CUDA_VISIBLE_DEVICES": "1"})
    assert (device.uuid, device.is_certain) == ("MIG-aa-1", False)


def test_cudas_own_uuids_tell_the_order_with_or_without_prefix() -> None:
    found = gpus_by_uuid(SLICED, ["ab-2", "GPU-0"])
    assert found is not None
    assert [(device.index, device.uuid, device.is_certain) for device in found] == [
        (0, "MIG-ab-2", True),
        (1, "GPU-0", True),
    ]
    assert gpus_by_uuid(SLICED, ["0", "unknown"]) is None
