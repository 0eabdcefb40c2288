"""docs/system_metrics.md lists every metric that is recorded, and none that is not."""

from __future__ import annotations

import re
from pathlib import Path

from nvml_stub_library import RunWithGpus

from tracker_core.system.host import Host
from tracker_core.system.nvml_gpu import _REASONS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "system_metrics.md"
# Not to be had wherever the tests run: depends on disks, network cards and containers.
MAYBE = {"cpu_percent", "disk/read_bytes_per_s", "disk/write_bytes_per_s", "gpu<i>/process_memory_used_bytes"} | {
    f"network/{way}_bytes_per_s" for way in ("received", "sent")
}


def test_the_page_lists_what_is_recorded(with_gpus: RunWithGpus, tmp_path: Path) -> None:
    host = Host(str(tmp_path))
    recorded = {name for _ in range(2) for group in host.groups().values() for name in group()}
    script = "gpus = open_nvidia(os.getpid()); gpus.sample(); show(sample_later(gpus))"
    gpu = with_gpus("gpus 1;gpm 1;reasons 0 4", script)
    recorded |= {re.sub(r"throttle_\w+", "throttle_<reason>", name.replace("gpu0", "gpu<i>")) for name in gpu}
    listed = set(re.findall(r"^\| `(system/\S+)` \|", PAGE.read_text(), re.MULTILINE))
    maybe = {f"system/{name}" for name in MAYBE}
    assert recorded | maybe == listed | maybe
    assert recorded <= listed


def test_the_page_names_every_reason_for_low_clocks() -> None:
    assert all(f"`{reason}`" in PAGE.read_text() for reason in _REASONS)
