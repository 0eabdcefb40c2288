"""Build the stand-in for libnvidia-ml.so.1 out of nvml_stub.c, which tells how it is controlled."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

RunWithGpus = Callable[..., Any]  # what the fixture `with_gpus` gives
SOURCE = Path(__file__).with_name("nvml_stub.c")


def compiler() -> str | None:
    """Return the path of a C compiler, or None."""
    named = os.environ.get("CC", "")
    return next(filter(None, map(shutil.which, filter(None, (named, "cc", "gcc", "clang")))), None)


def build(folder: Path, missing: tuple[str, ...] = ()) -> Path:
    """Build the library in a folder, without the functions `missing`; return the folder, for LD_LIBRARY_PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    renamed = [f"-D{name}=absent_{name}" for name in missing]
    found = compiler()
    assert found is not None
    options = ["-std=gnu11", "-O1", "-shared", "-fPIC", *renamed]
    subprocess.run([found, *options, "-o", folder / "libnvidia-ml.so.1", SOURCE], check=True)
    return folder


def search_path(folder: Path) -> str:
    """Return a value of LD_LIBRARY_PATH under which the library of this folder is found first."""
    return os.pathsep.join(filter(None, (str(folder), os.environ.get("LD_LIBRARY_PATH", ""))))
