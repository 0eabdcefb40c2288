"""The GPU of Apple's own processors, as far as `ioreg`, a part of macOS, tells without root.

Power, temperature and clocks need root or private frameworks, and are left out. Written from the tool's documented
output and not run on such hardware.
"""

from __future__ import annotations

import os
import sys
from typing import Any

Values = dict[str, float]

_IOREG = "/usr/sbin/ioreg"
_COMMAND = [_IOREG, "-r", "-d", "1", "-w", "0", "-c", "IOAccelerator", "-a"]
_TIMEOUT_S = 5.0


def open_apple() -> AppleGpu | None:
    """Return the GPU of this Mac, ready to be sampled, or None where this is none with Apple's processor."""
    if sys.platform != "darwin" or os.uname().machine != "arm64" or not os.path.exists(_IOREG):
        return None
    return AppleGpu()


def apple_inventory() -> dict[str, Any]:
    """Describe the GPU; {} where there is none. Never raises."""
    if open_apple() is None:
        return {}
    import subprocess

    try:
        devices = _parse(_ask())
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}
    described = [
        {"index": index, "name": str(device.get("model", "Apple GPU")), "n_cores": device.get("gpu-core-count")}
        for index, device in enumerate(devices)
    ]
    return {"maker": "Apple", "gpus": described}


class AppleGpu:
    """The GPU. One thread samples. Made by `open_apple`."""

    def sample(self) -> Values:
        """Return the metrics by full name."""
        return read_statistics(_ask())

    def close(self) -> None:
        """Do nothing: nothing is held."""


def read_statistics(plist: bytes) -> Values:
    """Return the metrics that an answer of `ioreg -a` holds. Memory is that of the machine which the GPU uses.

    Raises:
        ValueError: it is no property list.
    """
    values: Values = {}
    for index, device in enumerate(_parse(plist)):
        statistics = device.get("PerformanceStatistics", {})
        for key, name in (
            ("Device Utilization %", "utilization_percent"),
            ("In use system memory", "memory_used_bytes"),
        ):
            if isinstance(statistics.get(key), int):
                values[f"system/gpu{index}/{name}"] = float(statistics[key])
    return values


def _ask() -> bytes:
    import subprocess

    # With an absolute path and close_fds=False Python spawns the tool without forking this large process.
    done = subprocess.run(_COMMAND, stdout=subprocess.PIPE, close_fds=False, timeout=_TIMEOUT_S, check=True)
    return done.stdout


def _parse(plist: bytes) -> list[dict[str, Any]]:
    if not plist.strip():
        return []  # no such device
    import plistlib

    try:
        parsed = plistlib.loads(plist)
    except plistlib.InvalidFileException as error:
        raise ValueError(f"ioreg gave no property list: {error}") from None
    return [device for device in parsed if isinstance(device, dict)] if isinstance(parsed, list) else []
