"""Where runs lie on disk, and how names become folder names."""

from __future__ import annotations

import os

from .errors import UsageError
from .lazy_pattern import lazy_pattern

FOLDER_NAME = ".tracker"
JOURNAL_SUFFIX = ".journal"
_RUN_ID = lazy_pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_. ")
_WINDOWS_DEVICES = lazy_pattern(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


def find_folder(explicit: str | None = None) -> str:
    """Return the tracker folder, absolute; it need not exist.

    `explicit` (the `dir` argument or TRACKER_DIR) wins. Else the nearest `.tracker/` from the working directory
    upwards, stopping at the git root or below the home folder; else `./.tracker`.
    """
    if explicit:
        return os.path.normpath(os.path.join(_working_folder(), os.path.expanduser(explicit)))
    start = current = _working_folder()
    home = os.path.expanduser("~")
    while current != home or current == start:
        candidate = os.path.join(current, FOLDER_NAME)
        if os.path.isdir(candidate):
            return candidate
        parent = os.path.dirname(current)
        if parent == current or os.path.exists(os.path.join(current, ".git")):
            break
        current = parent
    return os.path.join(start, FOLDER_NAME)


def _working_folder() -> str:
    """Return the working directory, or where it was deleted a folder that is there."""
    try:
        return os.getcwd()
    except OSError:
        return os.path.dirname(fallback_folder())


def fallback_folder() -> str:
    """Return the folder that keeps runs whose own folder cannot be written."""
    user = str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    candidates = [os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")]
    temporary = next((path for path in candidates if path and os.path.isdir(path)), "/tmp")
    return os.path.join(temporary, f"tracker-{user}", FOLDER_NAME)


def make_fallback_folder() -> None:
    """Make the parent of the fallback folder so that only this user can enter it.

    Raises:
        OSError: it cannot be made, or another user made it first.
    """
    parent = os.path.dirname(fallback_folder())
    os.makedirs(parent, mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and os.lstat(parent).st_uid != os.getuid():
        raise PermissionError(f"{parent} belongs to another user")


def make_folder(folder: str) -> None:
    """Make the tracker folder, with a `.gitignore` that keeps it out of the user's repository.

    Raises:
        OSError: it cannot be made or written.
    """
    os.makedirs(os.path.join(folder, "runs"), exist_ok=True)
    ignore = os.path.join(folder, ".gitignore")
    if not os.path.exists(ignore):
        with open(ignore, "w") as file:
            file.write("*\n")


def run_folder(folder: str, project: str, run_id: str) -> str:
    """Return the folder of a run's journals."""
    return os.path.join(folder, "runs", project_dir_name(project), run_id)


def journal_path(folder: str, project: str, run_id: str, writer: str, session: bytes) -> str:
    """Return the path of the journal that one session of a writer appends to."""
    return os.path.join(run_folder(folder, project, run_id), f"{writer}.{session.hex()}{JOURNAL_SUFFIX}")


def project_dir_name(project: str) -> str:
    """Return a folder name for a project: itself where that is safe on every system, else percent-escaped."""
    escaped = "".join(c if c in _SAFE else "".join(f"%{b:02X}" for b in c.encode()) for c in project)
    if _WINDOWS_DEVICES.fullmatch(escaped) or escaped[0] in ". ":
        escaped = f"%{ord(escaped[0]):02X}{escaped[1:]}"
    if escaped[-1] in ". ":
        escaped = f"{escaped[:-1]}%{ord(escaped[-1]):02X}"
    if len(escaped) > 200:
        import hashlib

        escaped = f"{escaped[:160]}%{hashlib.sha256(project.encode()).hexdigest()[:32]}"
    return escaped


def check_project(project: object, where: str = "init(project=)") -> str:
    """Return a valid project name.

    Raises:
        UsageError: it is not text of 1 to 128 characters without control characters, "/" and "\\\\".
    """
    expected = "text of 1 to 128 characters without '/', '\\' and control characters"
    remedy = "choose another name, such as 'digits'"
    if not isinstance(project, str) or not 1 <= len(project) <= 128 or project in (".", ".."):
        raise UsageError(where, repr(project)[:200], expected, remedy)
    if any(c in "/\\" or not c.isprintable() or 0xD800 <= ord(c) <= 0xDFFF for c in project):
        raise UsageError(where, repr(project)[:200], expected, remedy)
    return project


def check_run_id(run_id: object, where: str = "init(id=)") -> str:
    """Return a valid run id; raises UsageError otherwise."""
    is_valid = isinstance(run_id, str) and _RUN_ID.fullmatch(run_id) and not run_id.endswith(".")
    if not isinstance(run_id, str) or not is_valid or _WINDOWS_DEVICES.fullmatch(run_id):
        expected = "1 to 64 letters, digits, '-', '_' or '.', beginning with a letter or digit"
        raise UsageError(where, repr(run_id)[:200], expected, "choose such an id, or leave it out to get a new one")
    return run_id
