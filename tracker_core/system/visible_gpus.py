"""Which GPUs this process sees, told from CUDA_VISIBLE_DEVICES alone: no CUDA context is made to find out.

The list is read as CUDA and PyTorch do (`torch.cuda._parse_visible_devices`): numbers, or UUIDs with the prefix GPU-
or MIG- that may be cut short; the first entry that names no device ends the list; naming one twice empties it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GpuSlice:
    """A MIG device: a part of a GPU that acts as one.

    Attributes:
        uuid: as NVML gives it, with the prefix MIG-.
        mig_index: its index among the MIG devices of its GPU.
    """

    uuid: str
    mig_index: int


@dataclass(frozen=True, slots=True)
class PhysicalGpu:
    """A GPU as the library of its maker lists it; NVML does by PCI bus id.

    Attributes:
        library_index: its index in the library of its maker.
        uuid: with the prefix GPU-.
        name: its model.
        slices: its MIG devices; empty unless MIG is in use.
    """

    library_index: int
    uuid: str
    name: str
    slices: tuple[GpuSlice, ...] = ()


@dataclass(frozen=True, slots=True)
class VisibleGpu:
    """A device of this process.

    Attributes:
        index: its number in this process, as in `cuda:0`.
        gpu: the GPU that it is, or is a part of.
        slice: the part of it, with MIG.
        is_certain: whether it is known to be this device. CUDA numbers unlike GPUs from the fastest on, by a rule it
            does not tell, unless CUDA_DEVICE_ORDER=PCI_BUS_ID.
    """

    index: int
    gpu: PhysicalGpu
    slice: GpuSlice | None = None
    is_certain: bool = True

    @property
    def uuid(self) -> str:
        """The UUID of the device itself: of the MIG device where it is one."""
        return self.gpu.uuid if self.slice is None else self.slice.uuid


def parse_visible_devices(value: str | None) -> list[int] | list[str] | None:
    """Return the numbers or the UUID prefixes in a value of CUDA_VISIBLE_DEVICES; None where it is not set."""
    if value is None:
        return None
    for prefix in ("GPU-", "MIG-"):
        if value.startswith(prefix):
            return _prefixed(value, prefix)
    numbers: list[int] = []
    for entry in value.split(","):
        number = _leading_number(entry.strip())
        if number in numbers:
            return []
        if number < 0:
            break
        numbers.append(number)
    return numbers


def visible_gpus(gpus: Sequence[PhysicalGpu], environ: Mapping[str, str]) -> list[VisibleGpu]:
    """Return the devices that a process with this environment sees, in its order.

    Args:
        gpus: all GPUs that NVML lists, in its order.
        environ: environment variables of the process.
    """
    wanted = parse_visible_devices(environ.get("CUDA_VISIBLE_DEVICES"))
    if wanted and isinstance(wanted[0], str):
        return _by_uuid(gpus, [str(prefix) for prefix in wanted])
    is_by_bus = environ.get("CUDA_DEVICE_ORDER", "").strip() == "PCI_BUS_ID"
    is_certain = is_by_bus or len({gpu.name for gpu in gpus}) <= 1
    numbers = range(len(gpus)) if wanted is None else [int(number) for number in wanted]
    chosen: list[VisibleGpu] = []
    for number in numbers:
        if number >= len(gpus):
            break
        gpu = gpus[number]
        # CUDA takes the first MIG device of a GPU that is named by its number.
        part = gpu.slices[0] if gpu.slices else None
        chosen.append(VisibleGpu(len(chosen), gpu, part, is_certain and len(gpu.slices) <= 1))
    return chosen


def gpus_by_uuid(gpus: Sequence[PhysicalGpu], uuids: Sequence[str]) -> list[VisibleGpu] | None:
    """Return the devices of these whole UUIDs, with or without a prefix; None unless each is known."""
    known = {uuid.partition("-")[2]: (gpu, part) for uuid, gpu, part in _all_devices(gpus)}
    bare = [uuid.removeprefix("GPU-").removeprefix("MIG-") for uuid in uuids]
    if not all(uuid in known for uuid in bare):
        return None
    return [VisibleGpu(index, *known[uuid]) for index, uuid in enumerate(bare)]


def _by_uuid(gpus: Sequence[PhysicalGpu], prefixes: list[str]) -> list[VisibleGpu]:
    chosen: list[VisibleGpu] = []
    for prefix in prefixes:
        matching = [(gpu, part) for uuid, gpu, part in _all_devices(gpus) if uuid.startswith(prefix)]
        if len(matching) != 1:  # unknown, or cut too short to tell one from another
            break
        found = VisibleGpu(len(chosen), *matching[0])
        if any(found.uuid == other.uuid for other in chosen):
            return []
        chosen.append(found)
    return chosen


def _all_devices(gpus: Sequence[PhysicalGpu]) -> list[tuple[str, PhysicalGpu, GpuSlice | None]]:
    whole: list[tuple[str, PhysicalGpu, GpuSlice | None]] = [(gpu.uuid, gpu, None) for gpu in gpus]
    return whole + [(part.uuid, gpu, part) for gpu in gpus for part in gpu.slices]


def _prefixed(value: str, prefix: str) -> list[str]:
    names: list[str] = []
    for entry in value.split(","):
        if entry in names:
            return []
        if not entry.startswith(prefix):
            break
        names.append(entry)
    return names


def _leading_number(text: str) -> int:
    """Return the number that a text starts with, as C's strtoul reads it, or -1: `1gpu2` is 1."""
    sign = 1 if text[:1] in ("+", "-") else 0
    end = sign
    while end < len(text) and text[end] in "0123456789":
        end += 1
    return int(text[:end]) if end > sign else -1
