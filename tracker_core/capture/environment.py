"""Record what was run, on what: each part on its own, the cheapest first, so that a run cut short has most of it.

Runs in a thread of its own while the training goes on. A part that fails is named under `problems`; the others follow.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from time import time_ns
from typing import Any

from ..files import FileKeeper
from ..process import host_name
from ..records import Environment, Record
from ..settings import Settings
from . import git, machine, packages, scheduler, source
from .masking import Masker

DIFF_NAME = "diff.patch"
_MAX_VARIABLE_CHARS = 1000
_MAX_VARIABLES = 200
_VARIABLES = frozenset(
    """
    CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER CUDA_LAUNCH_BLOCKING CUDA_MODULE_LOADING NVIDIA_VISIBLE_DEVICES
    NVIDIA_TF32_OVERRIDE HIP_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES GPU_DEVICE_ORDINAL CUBLAS_WORKSPACE_CONFIG
    WORLD_SIZE RANK LOCAL_RANK LOCAL_WORLD_SIZE NODE_RANK GROUP_RANK MASTER_ADDR MASTER_PORT
    PYTHONHASHSEED PYTHONOPTIMIZE TOKENIZERS_PARALLELISM OPENBLAS_NUM_THREADS NUMEXPR_NUM_THREADS
    VECLIB_MAXIMUM_THREADS CONDA_DEFAULT_ENV VIRTUAL_ENV LD_PRELOAD TF_ENABLE_ONEDNN_OPTS TF_FORCE_GPU_ALLOW_GROWTH
    TF_DETERMINISTIC_OPS TF_CPP_MIN_LOG_LEVEL
    """.split()
)
_VARIABLE_PREFIXES = (
    "TRACKER_ OMP_ MKL_ KMP_ NCCL_ RCCL_ GLOO_ TORCH_ PYTORCH_ TORCHINDUCTOR_ TORCHDYNAMO_ TF_GPU_ TF_XLA_ TF_NUM_ "
    "XLA_ JAX_ KERAS_ ACCELERATE_ FSDP_ DS_ HF_HUB_ TRANSFORMERS_ UCX_ OMPI_COMM_WORLD_ PMI_"
).split()


def capture(put: Callable[[Record], None], files: FileKeeper, settings: Settings, masker: Masker) -> Capture:
    """Record command, machine, devices, sources, packages and repository; never raises.

    Args:
        put: takes the records.
        files: keeps the main script and the uncommitted changes.
        settings: which parts are wanted.
        masker: takes the secrets out.

    Returns:
        The capture, whose `finish` is to be called when the run ends.
    """
    captured = Capture(put, files, settings, masker)
    captured.start()
    return captured


class Capture:
    """What was run, on what. Made by `capture`; not thread-safe."""

    def __init__(self, put: Callable[[Record], None], files: FileKeeper, settings: Settings, masker: Masker) -> None:
        self._put = put
        self._files = files
        self._settings = settings
        self._masker = masker
        self._root: str | None = None
        self._driver: dict[str, str] = {}
        self._recorded: dict[str, Any] = {}
        self._problems: dict[str, str] = {}

    def start(self) -> None:
        """Record everything that can be known at the start, the parts that may take long last."""
        environ = dict(os.environ)
        self._guarded("root", self._find_root)
        self._guarded("program", lambda: source.describe_program(self._masker, self._root))
        self._guarded("system", lambda: _system(environ))
        self._guarded("scheduler", lambda: self._masked(scheduler.scheduler_ids(environ)))
        self._guarded("container", lambda: self._masked(_not_empty(container=machine.container(environ))))
        self._guarded("variables", lambda: _not_empty(variables=self._variables(environ)))
        self._guarded("cpu", lambda: {"cpu": machine.cpu(), "memory_bytes": machine.memory_bytes()})
        self._guarded("frameworks", lambda: _not_empty(frameworks=packages.imported_frameworks()))
        self._guarded("script", lambda: source.keep_main_script(self._files, self._masker, self._root))
        self._guarded("packages", lambda: {"packages": packages.installed_packages()})
        if self._root is not None:
            self._guarded("git", self._git)
        self._guarded("gpus", self._gpus)
        if self._root is not None:
            self._guarded("diff", self._diff)
        if self._settings.save_code:
            self._guarded("code", self._code)
        self._guarded("problems", lambda: _not_empty(problems=self._problems))

    def finish(self) -> None:
        """Record what has come since the start: frameworks imported after it, the cells of a notebook."""
        self._guarded("frameworks", lambda: _not_empty(frameworks=packages.imported_frameworks()))
        self._guarded("cuda", lambda: _not_empty(cuda=machine.cuda() | self._driver))
        self._guarded("notebook", lambda: source.keep_notebook(self._files, self._masker))
        self._guarded("problems", lambda: _not_empty(problems=self._problems))

    def _guarded(self, part: str, describe: Callable[[], dict[str, Any] | None]) -> None:
        """Record what a part gives; where it fails, keep the reason and go on."""
        try:
            values = {key: _clean(value) for key, value in (describe() or {}).items()}
            changed = {key: value for key, value in values.items() if self._recorded.get(key) != value}
            if changed:
                self._put(Environment(wall_time_ns=time_ns(), values=changed))
                self._recorded.update(changed)
        except Exception as error:  # noqa: BLE001 - frameworks, drivers and files of all kinds are asked
            self._problems[part] = self._masker.text(f"{type(error).__name__}: {error}")[:1000]

    def _find_root(self) -> None:
        self._root = git.find_root(source.folders()) if self._settings.capture_git else None

    def _variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        names = sorted(name for name in environ if name in _VARIABLES or name.startswith(tuple(_VARIABLE_PREFIXES)))
        masked = self._masker.value("variables", {name: environ[name] for name in names[:_MAX_VARIABLES]})
        return {name: value[:_MAX_VARIABLE_CHARS] for name, value in masked.items()}

    def _masked(self, values: dict[str, dict[str, str]]) -> dict[str, Any]:
        return {
            part: {name: self._masker.text(text) for name, text in entries.items()} for part, entries in values.items()
        }

    def _gpus(self) -> dict[str, Any]:
        from ..system.nvml import gpu_inventory

        inventory = gpu_inventory()
        self._driver = {key: inventory[key] for key in ("driver_version", "cuda_version") if inventory.get(key)}
        gpus = _not_empty(gpus=inventory.get("gpus", [])) or _other_gpus()
        return gpus | _not_empty(cuda=machine.cuda() | self._driver)

    def _git(self) -> dict[str, Any]:
        assert self._root is not None
        return {"git": git.describe(self._root, self._masker)}

    def _diff(self) -> None:
        assert self._root is not None
        max_bytes = self._settings.diff_max_mib << 20
        diff = git.uncommitted_changes(self._root, max_bytes) if max_bytes else None
        if diff is not None:
            self._files.keep_bytes(git.patch_bytes(diff, self._masker, max_bytes), DIFF_NAME, "diff")

    def _code(self) -> None:
        source.keep_source_tree(self._files, self._root or source.folders()[0], self._masker)


def _system(environ: Mapping[str, str]) -> dict[str, Any]:
    user, system = machine.user_name(environ), machine.operating_system()
    return {"user": user, "host": host_name(), "python": machine.python(), "os": system}


def _other_gpus() -> dict[str, Any]:
    """Return the GPUs of AMD or Apple, where there are any."""
    from ..system.amd import amd_inventory
    from ..system.apple import apple_inventory

    for inventory in (amd_inventory, apple_inventory):
        found = inventory()
        if found:
            return {"accelerator": found.get("maker", ""), "gpus": found.get("gpus", [])}
    return {}


def _not_empty(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _clean(value: Any) -> Any:
    """Return a value whose text can be recorded: names of files and variables may hold bytes that are no UTF-8."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, (list, tuple)) else value
