"""The source of a run: the command, the main script or notebook, and with `save_code` the whole source tree.

Sources are kept masked, as files below `code/`. What is likely to be a secret by its name is never kept.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from typing import Any

from ..files import FileKeeper, check_file_name
from ..say import warn
from . import git, notebook
from .masking import Masker

CODE_FOLDER = "code"
NOTEBOOK_NAME = "notebook.ipynb"
MAX_SOURCE_BYTES = 2 << 20
_MAX_TREE_BYTES = 50 << 20
_MAX_TREE_FILES = 5000
_MAX_WALKED = 50_000
_MAX_WORDS, _MAX_WORD_CHARS = 1000, 4096
_SUFFIXES = tuple(
    """
    .py .pyi .pyx .pxd .ipynb .r .rs .go .jl .lua .java .scala .kt .swift .js .ts .c .cc .cpp .cxx .cu .cuh .h .hh .hpp
    .m .mm .metal .cl .sh .bash .zsh .fish .ps1 .slurm .sbatch .sql .yaml .yml .toml .ini .cfg .conf .gin .jsonnet .md
    .rst .cmake .mk .bzl .gradle .dockerfile .proto
    """.split()
)
_NAMES = ("Dockerfile*", "Makefile", "Snakefile", "Pipfile", "requirements*.txt", "constraints*.txt", "CMakeLists.txt")
_NEVER = tuple(
    """
    .env .env.* *.env .envrc *.pem *.key *.p12 *.pfx *.jks *.keystore *.crt *.cer *.ppk *.kdbx id_rsa* id_dsa* id_ecdsa*
    id_ed25519* .netrc _netrc .npmrc .pypirc .git-credentials .htpasswd .dockercfg .pgpass credentials credentials.*
    secret.* secrets.* *secrets.y*ml service_account*.json service-account*.json kubeconfig* .bash_history
    """.split()
)
_FOLDERS_LEFT_OUT = frozenset(
    """
    .git .hg .svn .tracker wandb mlruns __pycache__ node_modules site-packages dist-packages .venv venv .env env .tox
    .nox .mypy_cache .pytest_cache .ruff_cache .ipynb_checkpoints .eggs .conda .ssh .aws .gnupg .kube .docker
    """.split()
)
_FILE_FUNCTION = Callable[..., bool]


def describe_program(masker: Masker, root: str | None) -> dict[str, Any]:
    """Return {command, program, cwd}, and the notebook's path where there is one."""
    found: dict[str, Any] = {"command": command(masker)}
    for name, text in (("program", program(root)), ("cwd", working_folder()), ("notebook", notebook.path())):
        if text:
            found[name] = masker.text(text)
    return found


def command(masker: Masker) -> list[str]:
    """Return the command as one would type it, masked: interpreter, its options, script and arguments."""
    words = list(sys.orig_argv) or [sys.executable, *sys.argv]
    return [word[:_MAX_WORD_CHARS] for word in masker.command(words[:_MAX_WORDS])]


def main_script() -> str:
    """Return the path of the script that this process runs, also with `python -m`, or "" where it runs none."""
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None) or getattr(getattr(main, "__spec__", None), "origin", None)
    path = path or (sys.argv[:1] or [""])[0]  # Python takes the first away when the script has ended
    return os.path.abspath(path) if isinstance(path, str) and path and os.path.isfile(path) else ""


def folders() -> list[str]:
    """Return where to look for the repository of the code: the main script's folder, unless installed, and here."""
    script = main_script()
    here = [folder for folder in [working_folder()] if folder]
    return here if not script or _is_installed(script) else [os.path.dirname(script), *here]


def working_folder() -> str:
    """Return the working directory, or "" where it was deleted."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def program(root: str | None) -> str:
    """Return the main script relative to the repository or the working directory, or the notebook's name, or ""."""
    if notebook.is_kernel():
        return os.path.basename(notebook.path()) or NOTEBOOK_NAME
    script = main_script()
    return _relative(script, root) if script else ""


def keep_main_script(keeper: FileKeeper, masker: Masker, root: str | None) -> None:
    """Keep the main script, unless it is one that a package installed, or too long."""
    script = main_script()
    if script and not notebook.is_kernel() and not _is_installed(script):
        _keep_source(keeper, masker, script, f"{CODE_FOLDER}/{_relative(script, root)}")


def keep_notebook(keeper: FileKeeper, masker: Masker) -> None:
    """Keep the cells that a notebook has run so far, without their outputs."""
    cells = notebook.executed_cells(masker.text) if notebook.is_kernel() else None
    if cells is not None and len(cells) <= MAX_SOURCE_BYTES:
        keeper.keep_bytes(cells, NOTEBOOK_NAME, "code")


def keep_source_tree(
    keeper: FileKeeper,
    root: str,
    masker: Masker,
    include_fn: _FILE_FUNCTION | None = None,
    exclude_fn: _FILE_FUNCTION | None = None,
) -> list[str]:
    """Keep the source files below a folder; return the names that they have in the run.

    Where git knows the folder, these are the files that it tracks or does not ignore. Only text of source files is
    kept; `include_fn` replaces that choice, but never brings in secrets, virtual environments or the tracker's folder.

    Args:
        keeper: of the run.
        root: the folder.
        masker: takes secrets out of the text.
        include_fn: called with a path, or a path and `root`; only files for which it is true are kept.
        exclude_fn: called likewise; files for which it is true are not kept.
    """
    root = os.path.abspath(root)
    kept: list[str] = []
    n_bytes = 0
    for path in _candidates(root, keeper.runs_folder, is_chosen=include_fn is not None):
        is_wanted = _ask(include_fn, path, root) if include_fn else _is_source(path)
        if not is_wanted or (exclude_fn is not None and _ask(exclude_fn, path, root)):
            continue
        size_bytes = _size_bytes(path)
        if len(kept) >= _MAX_TREE_FILES or n_bytes + size_bytes > _MAX_TREE_BYTES:
            warn(f"not all source files below {root} are kept: they are too many, or more than 50 MiB")
            break
        name = f"{CODE_FOLDER}/{os.path.relpath(path, root).replace(os.sep, '/')}"
        if size_bytes <= MAX_SOURCE_BYTES and _keep_source(keeper, masker, path, name):
            kept.append(name)
            n_bytes += size_bytes
    return kept


def _candidates(root: str, runs_folder: str, is_chosen: bool) -> Iterator[str]:
    """Yield the paths of regular files below `root` that may be kept."""
    in_repository = None if is_chosen or git.find_root([root]) is None else git.listed_files(root)
    names = _walk(root) if in_repository is None else iter(in_repository)
    environments: dict[str, bool] = {}
    for name in names:
        path = os.path.join(root, name)
        parts = name.replace(os.sep, "/").split("/")
        if _FOLDERS_LEFT_OUT.intersection(parts[:-1]) or path.startswith(runs_folder + os.sep) or is_never_kept(name):
            continue
        if _is_in_environment(root, parts[:-1], environments) or os.path.islink(path) or not os.path.isfile(path):
            continue
        yield path


def _walk(root: str) -> Iterator[str]:
    """Yield the files below `root`, relative to it, up to a number of them."""
    n_files = 0
    for folder, names, files in os.walk(root):
        names[:] = sorted(
            name for name in names if name not in _FOLDERS_LEFT_OUT and not _has_environment(folder, name)
        )
        for file in sorted(files):
            n_files += 1
            if n_files > _MAX_WALKED:
                return
            yield os.path.relpath(os.path.join(folder, file), root)


def _has_environment(folder: str, name: str) -> bool:
    """Say whether a folder is a virtual environment, of venv or conda."""
    path = os.path.join(folder, name)
    return os.path.exists(os.path.join(path, "pyvenv.cfg")) or os.path.isdir(os.path.join(path, "conda-meta"))


def _is_in_environment(root: str, parts: list[str], known: dict[str, bool]) -> bool:
    above = root
    for part in parts:
        path = os.path.join(above, part)
        if path not in known:
            known[path] = _has_environment(above, part)
        if known[path]:
            return True
        above = path
    return False


def is_never_kept(path: str) -> bool:
    """Say whether a file's name is one under which secrets are kept."""
    name = os.path.basename(path).lower()
    return any(fnmatch(name, pattern) for pattern in _NEVER)


def _is_source(path: str) -> bool:
    name = os.path.basename(path)
    return name.lower().endswith(_SUFFIXES) or any(fnmatch(name, pattern) for pattern in _NAMES)


def _ask(function: _FILE_FUNCTION, path: str, root: str) -> bool:
    """Call a function of the user with the path, and with the root where it takes two arguments."""
    try:
        takes_root = len(inspect.signature(function).parameters) > 1
    except (TypeError, ValueError):
        takes_root = False
    return bool(function(path, root) if takes_root else function(path))


def _keep_source(keeper: FileKeeper, masker: Masker, path: str, name: str) -> bool:
    """Keep one text file, masked. Bytes that are no UTF-8 stay as they are."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_SOURCE_BYTES + 1)
        check_file_name(name)
    except (OSError, ValueError):
        return False
    if len(data) > MAX_SOURCE_BYTES or b"\0" in data[:8192]:
        return False
    text = masker.text(data.decode(errors="surrogateescape"))
    return keeper.keep_bytes(text.encode(errors="surrogateescape"), name, "code") is not None


def _size_bytes(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _is_installed(script: str) -> bool:
    """Say whether a script came with a package: a console script or a module of it."""
    is_package = re.search(r"[/\\](?:site|dist)-packages[/\\]", script) is not None
    return is_package or os.path.dirname(script) == os.path.dirname(os.path.abspath(sys.executable))


def _relative(path: str, root: str | None) -> str:
    """Return a path relative to the repository or the working directory, or the bare name where it is in neither."""
    for folder in (root, working_folder()):
        if folder and os.path.realpath(path).startswith(os.path.realpath(folder).rstrip(os.sep) + os.sep):
            return os.path.relpath(os.path.realpath(path), os.path.realpath(folder)).replace(os.sep, "/")
    return os.path.basename(path)
