"""Rules of the dashboard's own files: what loads first is small, user text never becomes markup, files are short."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import tracker_server

DASHBOARD = Path(tracker_server.__file__).parent / "dashboard"
TESTS = Path(__file__).parent
MAX_GZIP_BYTES = 120_000
MAX_MODULES = 50
MAX_LINES = 400
STATIC_IMPORT = re.compile(r"""^(?:import|export)\b[^;]*?\bfrom\s*'([^']+)'|^import\s*'([^']+)'""", re.M | re.S)


def _own_modules() -> list[Path]:
    return [path for path in DASHBOARD.rglob("*.js") if "vendor" not in path.parts]


def _needed_by(*starts: str) -> set[Path]:
    """Return all modules that these need before they run."""
    found: set[Path] = set()
    waiting = [DASHBOARD / start for start in starts]
    while waiting:
        path = waiting.pop().resolve()
        if path in found:
            continue
        assert path.is_file(), f"{path} is imported but is not there"
        found.add(path)
        text = path.read_text(encoding="utf-8")
        if path.parent.name == "vendor":
            names = re.findall(r"""from\s*["'](\./[^"']+)["']""", text)
        else:
            names = [first or second for first, second in STATIC_IMPORT.findall(text)]
        waiting.extend(path.parent / name for name in names)
    return found


def test_first_view_is_small() -> None:
    assert len(_needed_by("main.js")) <= MAX_MODULES


@pytest.mark.parametrize("page", ["projects", "project_charts"])
def test_a_page_is_small_with_all_that_it_draws_at_first(page: str) -> None:
    modules = _needed_by("main.js", f"pages/{page}.js")
    assert sum(len(gzip.compress(path.read_bytes())) for path in modules) <= MAX_GZIP_BYTES


def test_user_text_never_becomes_markup() -> None:
    forbidden = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function\(")
    for path in _own_modules():
        assert not forbidden.search(path.read_text(encoding="utf-8")), path.name


def test_files_stay_short() -> None:
    for path in [*_own_modules(), *TESTS.glob("*.mjs")]:
        assert len(path.read_text(encoding="utf-8").splitlines()) < MAX_LINES, path.name


def test_page_has_no_inline_script_and_no_foreign_address() -> None:
    page = (DASHBOARD / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"""(?:src|href)=["'](?!__STATIC__/)""", page)
    for name in re.findall(r'__STATIC__/([^"]+)"', page):
        assert (DASHBOARD / name).is_file(), f"index.html refers to {name}, which is not there"


def test_pure_logic_in_node() -> None:
    node = shutil.which("node")
    if node is None:
        if os.environ.get("CI"):
            pytest.fail("node is not installed, and CI is set: the dashboard's logic must be tested")
        pytest.skip("node is not installed")
    tests = sorted(str(path) for path in TESTS.glob("*.test.mjs"))
    done = subprocess.run([node, "--test", *tests], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
