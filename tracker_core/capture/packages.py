"""The installed packages and the imported frameworks, with their versions."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable

_DIST_INFO = re.compile(r"([^-]+)-(.+)\.dist-info")
_EGG_INFO = re.compile(r"([^-]+)-([^-]+)(?:-py[0-9.]+)?(?:-.+)?\.egg-info")
_MAX_PACKAGES = 5000
_MAX_METADATA_BYTES = 64 << 10
_FRAMEWORKS = (
    """
    torch torchvision torchaudio torch_xla lightning pytorch_lightning torchmetrics timm transformers accelerate
    datasets tokenizers diffusers peft trl deepspeed bitsandbytes flash_attn vllm sentence_transformers fastai ignite
    jax jaxlib flax optax equinox haiku tensorflow keras sklearn xgboost lightgbm catboost numpy scipy pandas polars
    ray optuna hydra mlx paddle mxnet cupy triton
    """
).split()


def installed_packages(folders: Iterable[str] | None = None) -> dict[str, str]:
    """Return {name: version} of the installed distributions, as `pip list` names them.

    Read off the names of the metadata folders, which hold both by the packaging standards: `importlib.metadata` opens
    and parses every one, which takes fifty times as long.
    """
    found: dict[str, str] = {}
    for folder in dict.fromkeys(sys.path if folders is None else folders):
        for entry in _metadata_entries(folder or "."):
            name, version = _name_and_version(os.path.join(folder, entry), entry)
            if name and len(found) < _MAX_PACKAGES:
                found.setdefault(name, version)  # the first on the path is the one that is imported
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _metadata_entries(folder: str) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info"))]
    except OSError:  # a zip file, or a folder that is not there
        return []


def _name_and_version(path: str, entry: str) -> tuple[str, str]:
    match = _DIST_INFO.fullmatch(entry) or _EGG_INFO.fullmatch(entry)
    name, version = match.groups() if match else (entry.rpartition(".")[0], _read_version(path))
    return name.replace("_", "-"), version


def _read_version(path: str) -> str:
    """Return the version in the metadata of a source folder that is installed in place."""
    try:
        with open(os.path.join(path, "PKG-INFO"), encoding="utf-8", errors="replace") as file:
            text = file.read(_MAX_METADATA_BYTES)
    except OSError:
        return ""
    match = re.search(r"^Version: *(\S+)", text, re.MULTILINE)
    return match.group(1) if match else ""


def imported_frameworks() -> dict[str, str]:
    """Return {module: its __version__} of the frameworks that this process has imported so far."""
    versions = {}
    for name in _FRAMEWORKS:
        version = getattr(sys.modules.get(name), "__version__", None)
        if version is not None:
            versions[name] = str(version)[:100]
    return versions
