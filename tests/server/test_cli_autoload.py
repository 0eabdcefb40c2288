"""`tracker autoload`, in virtual environments of its own, and the sitecustomize of `tracker run`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import textwrap
import venv
from pathlib import Path

import pytest

from tracker_core import framework_hook

REPOSITORY = Path(__file__).resolve().parents[2]
AUTOLOAD = REPOSITORY / "tracker_core" / "autoload"
CLI = """
import argparse, sys
from tracker_core.errors import TrackerError
from tracker_server.commands.cli_autoload import add_autoload
parser = argparse.ArgumentParser()
add_autoload(parser.add_subparsers())
args = parser.parse_args()
try:
    sys.exit(args.run(args))
except TrackerError as error:
    sys.exit(f"tracker: {error}")
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    return folder


def python_of(environment: Path) -> str:
    return str(environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def python(environment: Path, code: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run code with the environment's Python, which finds the tracker and its libraries as if they were installed."""
    paths = os.pathsep.join([str(REPOSITORY), sysconfig.get_path("purelib")])
    return subprocess.run(
        [python_of(environment), "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "300", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def site_packages(environment: Path) -> Path:
    return Path(python(environment, "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())


def finders(environment: Path, **environ: str) -> str:
    done = python(environment, "import sys; print([type(f).__name__ for f in sys.meta_path])", **environ)
    assert done.stderr == ""
    return done.stdout


def test_on_writes_what_it_says_and_off_removes_it(environment: Path) -> None:
    folder = site_packages(environment)
    before = sorted(folder.rglob("*"))
    assert "autoload is off" in python(environment, CLI, "autoload").stdout
    on = python(environment, CLI, "autoload", "on")
    assert on.returncode == 0, on.stderr
    written = [path for path in sorted(folder.rglob("*")) if path not in before and path.is_file()]
    assert [line.strip() for line in on.stdout.splitlines() if line.startswith("  ")] == [
        str(path) for path in sorted(written, key=lambda path: (path.suffix == ".pth", path.suffix == ".pyc"))
    ]
    assert "tracker autoload off" in on.stdout
    assert "WaitingFinder" in finders(environment)
    assert json.loads(python(environment, CLI, "autoload", "status", "--json").stdout)["is_on"] is True
    assert python(environment, CLI, "autoload", "on").returncode == 0
    off = python(environment, CLI, "autoload", "off")
    assert off.stdout.count(str(folder)) == 3
    assert [path for path in folder.rglob("*") if path.is_file() and path not in before] == []
    assert "WaitingFinder" not in finders(environment)
    assert "nothing to remove" in python(environment, CLI, "autoload", "off").stdout


def test_an_older_file_is_noticed_and_renewed(environment: Path) -> None:
    python(environment, CLI, "autoload", "on")
    module = site_packages(environment) / "_tracker_autoload.py"
    module.write_text("# of an older version\n")
    assert "renew it" in python(environment, CLI, "autoload", "status").stdout
    python(environment, CLI, "autoload", "on")
    assert "renew it" not in python(environment, CLI, "autoload", "status").stdout
    module.unlink()
    assert "a file of it is left" in python(environment, CLI, "autoload", "status").stdout
    for path in (module.parent / "__pycache__").glob("_tracker*"):
        path.unlink()
    assert "WaitingFinder" not in finders(environment)  # and nothing on stderr
    python(environment, CLI, "autoload", "off")


def test_a_script_without_an_import_gets_the_adapter(environment: Path, tmp_path: Path) -> None:
    package = tmp_path / "transformers" / "integrations"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "integration_utils.py").write_text("INTEGRATION_TO_CALLBACK = {}\n")
    code = """
        import sys
        sys.path.insert(0, sys.argv[1])
        assert "tracker_core" not in sys.modules
        from transformers import integrations
        assert "tracker_core" not in sys.modules
        from transformers.integrations import integration_utils
        assert "tracker_core" in sys.modules
        assert [type(f).__name__ for f in sys.meta_path].count("_WaitingFinder") == 1
        assert not any(type(f).__name__ == "WaitingFinder" for f in sys.meta_path)
        print(integration_utils.__spec__.name, type(integration_utils.__loader__).__name__)
    """
    python(environment, CLI, "autoload", "on")
    done = python(environment, textwrap.dedent(code), str(tmp_path))
    python(environment, CLI, "autoload", "off")
    assert done.stdout.split() == ["transformers.integrations.integration_utils", "SourceFileLoader"], done.stderr


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "getuid"), reason="needs POSIX permissions")
def test_a_read_only_environment_is_a_clear_error(environment: Path) -> None:
    folder = site_packages(environment)
    if os.getuid() == 0:
        python(environment, CLI, "autoload", "off")
        (folder / "_tracker_autoload.py").mkdir()  # what even root cannot write
        (folder / "_tracker_autoload.py" / "x").mkdir()
    else:
        folder.chmod(0o555)
    try:
        done = python(environment, CLI, "autoload", "on")
    finally:
        if os.getuid() == 0:
            (folder / "_tracker_autoload.py" / "x").rmdir()
            (folder / "_tracker_autoload.py").rmdir()
        else:
            folder.chmod(0o755)
    assert done.returncode == 1
    assert "no site-packages folder that can be written" in done.stderr and "tracker run" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(folder.glob("_tracker*"))


def test_the_frameworks_waited_for_are_those_of_the_hook() -> None:
    sys.path.insert(0, str(AUTOLOAD))
    before = list(sys.meta_path)
    try:
        import _tracker_autoload
    finally:
        sys.path.remove(str(AUTOLOAD))
        sys.meta_path[:] = before
    assert set(_tracker_autoload.FRAMEWORKS) == framework_hook.HOOKS.keys()


def test_it_costs_a_python_start_little(environment: Path) -> None:
    python(environment, CLI, "autoload", "on")
    spent_us = []
    for _ in range(15):
        done = subprocess.run(
            [python_of(environment), "-X", "importtime", "-c", ""], capture_output=True, text=True, check=True
        )
        line = next(line for line in done.stderr.splitlines() if line.endswith(" _tracker_autoload"))
        spent_us.append(int(line.split("|")[1]))
    python(environment, CLI, "autoload", "off")
    assert min(spent_us) < 2_000  # about 200


# tracker run


def run_like_tracker_run(environment: Path, code: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    everything = os.pathsep.join(map(str, [AUTOLOAD, *paths]))
    return subprocess.run(
        [python_of(environment), "-c", code],
        env={**os.environ, "PYTHONPATH": everything},
        cwd=environment,  # not the repository, where the tracker could be imported from
        capture_output=True,
        text=True,
        check=False,
    )


STATE = "import sys; print([type(f).__name__ for f in sys.meta_path][0], *[p for p in sys.path if 'autoload' in p])"


def test_sitecustomize_installs_the_finder_and_leaves_the_path(environment: Path) -> None:
    done = run_like_tracker_run(environment, STATE)
    assert (done.stdout, done.stderr) == ("WaitingFinder\n", "")


def test_the_users_sitecustomize_runs_as_without_ours(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.was_here = __file__\n")
    done = run_like_tracker_run(environment, "import sys, sitecustomize; print(sitecustomize.__file__)", tmp_path)
    assert done.stdout.strip() == str(tmp_path / "sitecustomize.py")
    done = run_like_tracker_run(environment, STATE + "; print(sys.was_here)", tmp_path)
    assert done.stdout.split() == ["WaitingFinder", str(tmp_path / "sitecustomize.py")]


@pytest.mark.parametrize("fault", ["import absent_module", "1 / 0", "sys.exit("])
def test_a_fault_in_the_users_sitecustomize_is_reported_and_python_starts(
    environment: Path, tmp_path: Path, fault: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(fault + "\n")
    done = run_like_tracker_run(environment, STATE, tmp_path)
    assert done.stdout == "WaitingFinder\n"
    assert "Error in sitecustomize" in done.stderr


def test_children_of_children_get_it_too(environment: Path) -> None:
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {STATE!r}])"
    assert run_like_tracker_run(environment, code).stdout == "WaitingFinder\n"


def test_without_the_tracker_installed_frameworks_import_as_always(environment: Path, tmp_path: Path) -> None:
    package = tmp_path / "transformers" / "integrations"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "integration_utils.py").write_text("x = 1\n")
    code = "from transformers.integrations import integration_utils; print(integration_utils.x)"
    done = run_like_tracker_run(environment, code, tmp_path)
    assert (done.stdout, done.stderr) == ("1\n", "")
