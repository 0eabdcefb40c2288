"""What the tests of system metrics share: NVIDIA's library, built from C, in processes of their own."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from child_process import run_well
from nvml_stub_library import RunWithGpus, build, compiler, search_path

_PRELUDE = """
import json, os, sys
import pynvml
from tracker_core.system.nvml import gpu_inventory, open_nvidia
from tracker_core.system import nvml_counters

def control(commands):
    pynvml.nvmlLib.stub_control(commands.encode())

def calls(name):
    return pynvml.nvmlLib.stub_calls(name.encode())

def references():
    return pynvml.nvmlLib.stub_references()

def sample_later(gpus):
    # GPM compares samples that are at least a tenth of a second apart.
    nvml_counters._MIN_GPM_INTERVAL_S = 0
    return gpus.sample()

def show(value):
    print(json.dumps(value))
"""


@pytest.fixture(autouse=True)
def no_inherited_choice_of_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVML_STUB"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def nvml_stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the stand-in for NVIDIA's library."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the stand-in for NVIDIA's library is built on Linux")
    if compiler() is None:
        reason = "no C compiler, with which the stand-in for NVIDIA's library is built: install gcc or name one in CC"
        if os.environ.get("CI"):
            pytest.fail(f"{reason} (CI is set, so GPU metrics must be tested)")
        pytest.skip(reason)
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def with_gpus(nvml_stub: Path) -> RunWithGpus:
    """Return `run(gpus, script, **environ)`: run a script on pretended GPUs; return what it shows."""

    def run(gpus: str, script: str, library: Path = nvml_stub, **environ: str) -> Any:
        path = search_path(library)
        shown = run_well(_PRELUDE + textwrap.dedent(script), NVML_STUB=gpus, LD_LIBRARY_PATH=path, **environ)
        return json.loads(shown)

    return run
