"""The command, the main script, the source tree and the cells of a notebook, kept without secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from child_process import environment

from tracker_core.capture import source
from tracker_core.capture.masking import Masker
from tracker_core.files import FileKeeper
from tracker_core.records import File, Record

from .repository import git, make_repository

MASKER = Masker({})


class Kept:
    def __init__(self, folder: Path) -> None:
        self.records: list[Record] = []
        self.folder = folder / "runs" / "p" / "r"
        self.keeper = FileKeeper(str(self.folder), self.records.append)

    @property
    def files(self) -> dict[str, str]:
        """Name and text of what was kept."""
        files = [record for record in self.records if isinstance(record, File)]
        return {file.path: (self.folder / "files" / file.digest).read_bytes().decode("latin-1") for file in files}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "tracker")


DESCRIBE = """
import json, sys
from tracker_core.capture import source
from tracker_core.capture.masking import Masker
from tracker_core.files import FileKeeper
files = []
source.keep_main_script(FileKeeper("tracker/runs/p/r", files.append), Masker({}), ROOT)
print(json.dumps([source.describe_program(Masker({}), ROOT), [file.path for file in files]]))
"""


def described(tmp_path: Path, *command: str, root: str | None = None) -> tuple[dict[str, object], list[str]]:
    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    found, files = json.loads(done.stdout)
    return found, files


def test_a_script_is_told_relative_to_where_it_ran(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(f"ROOT = None\n{DESCRIBE}")
    found, files = described(tmp_path, "-u", "train.py", "--lr", "0.1", "--api-key", "abcdef")
    assert found == {
        "command": [sys.executable, "-u", "train.py", "--lr", "0.1", "--api-key", "***"],
        "program": "train.py",
        "cwd": str(tmp_path),
    }
    assert files == ["code/train.py"]


def test_a_script_in_a_repository_is_told_relative_to_its_root(tmp_path: Path) -> None:
    script = tmp_path / "repository" / "src" / "train.py"
    script.parent.mkdir(parents=True)
    script.write_text(f"ROOT = {str(tmp_path / 'repository')!r}\n{DESCRIBE}")
    found, files = described(tmp_path, str(script))
    assert (found["program"], files) == ("src/train.py", ["code/src/train.py"])


def test_a_module_run_by_name_is_told_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__main__.py").write_text(f"ROOT = None\n{DESCRIBE}")
    found, files = described(tmp_path, "-m", "pkg", "x")
    assert found["command"] == [sys.executable, "-m", "pkg", "x"]
    assert (found["program"], files) == ("pkg/__main__.py", ["code/pkg/__main__.py"])


def test_code_given_on_the_command_line_has_no_script(tmp_path: Path) -> None:
    found, files = described(tmp_path, "-c", f"ROOT = None\npassword = 'hunter2'\n{DESCRIBE}")
    assert "program" not in found and files == []
    assert "hunter2" not in json.dumps(found)


def test_a_program_that_a_package_installed_is_not_kept(kept: Kept) -> None:
    assert source._is_installed("/x/lib/python3.11/site-packages/tool/__main__.py")
    assert source._is_installed(os.path.join(os.path.dirname(sys.executable), "tool"))
    assert not source._is_installed("/usr/src/app/train.py")


def test_the_main_script_is_kept_masked_and_a_long_or_binary_one_is_not(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"password = 'hunter2'  # caf\xe9\n")
    (tmp_path / "b.py").write_bytes(b"x" * (source.MAX_SOURCE_BYTES + 1))
    (tmp_path / "c.py").write_bytes(b"\0\1\2")
    for name in "abc":
        source._keep_source(kept.keeper, MASKER, str(tmp_path / f"{name}.py"), f"code/{name}.py")
    assert kept.files == {"code/a.py": "password = '***'  # caf\xe9\n"}


SECRET_FILES = [
    ".env",
    ".env.local",
    "prod.env",
    "server.pem",
    "id_rsa",
    "id_ed25519.pub",
    ".netrc",
    "credentials.json",
]
SECRET_FILES += ["secrets.yaml", "deploy.key", ".pypirc", "service_account-1.json"]


def test_the_tree_is_what_git_knows_or_does_not_ignore_without_secrets_and_environments(
    kept: Kept, tmp_path: Path
) -> None:
    root = make_repository(
        tmp_path / "r", **{"train.py": "token = 'abcd12345678'\n", "conf/x.yaml": "a: 1\n", ".gitignore": "out/\n"}
    )
    for name in ("new.py", "out/ignored.py", "env1/lib/x.py", "data.csv", "Dockerfile", *SECRET_FILES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x\n")
    (root / "env1" / "pyvenv.cfg").touch()
    (root / "link.py").symlink_to("/etc/passwd")
    (root / "binary.py").write_bytes(b"\0")
    git(root, "add", "-f", *SECRET_FILES)
    names = source.keep_source_tree(kept.keeper, str(root), MASKER)
    assert sorted(names) == ["code/Dockerfile", "code/conf/x.yaml", "code/new.py", "code/train.py"]
    assert kept.files["code/train.py"] == "token = '***'\n"
    assert all(record.kind == "code" for record in kept.records if isinstance(record, File))


def test_without_git_the_folder_is_walked(kept: Kept, tmp_path: Path) -> None:
    root = tmp_path / "plain"
    for name in ("a.py", "b/c.sh", "b/d.bin", "venv/x.py", "conda/y.py", ".git/hooks/h.py", "notes.md", ".env"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x\n")
    (root / "conda" / "conda-meta").mkdir()
    names = source.keep_source_tree(kept.keeper, str(root), MASKER)
    assert names == ["code/a.py", "code/notes.md", "code/b/c.sh"]


def test_functions_of_the_user_choose_but_never_bring_in_secrets(kept: Kept, tmp_path: Path) -> None:
    for name in ("a.py", "b.txt", "c.py", ".env"):
        (tmp_path / name).write_text("x\n")
    keep = source.keep_source_tree
    assert keep(kept.keeper, str(tmp_path), MASKER, include_fn=lambda path: path.endswith((".txt", ".env"))) == [
        "code/b.txt"
    ]
    assert keep(
        kept.keeper, str(tmp_path), MASKER, exclude_fn=lambda path, root: os.path.relpath(path, root) == "a.py"
    ) == ["code/c.py"]


def test_runs_in_the_folder_are_not_taken_for_source(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "visible")
    kept.keeper.keep_bytes(b"x", "x")
    (tmp_path / "visible" / "runs" / "p" / "x.py").write_text("x")
    (tmp_path / "a.py").write_text("x")
    assert source.keep_source_tree(kept.keeper, str(tmp_path), MASKER) == ["code/a.py"]


NOTEBOOK = """
from tracker_core.capture import source
from tracker_core.capture.masking import Masker
from tracker_core.files import FileKeeper
import json
files = []
keeper = FileKeeper("tracker/runs/p/r", files.append)
"""


def test_a_notebook_is_told_and_its_executed_cells_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbclient
    import nbformat

    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "my study.ipynb"))
    cells = [NOTEBOOK, "password = 'hunter2'", "source.keep_notebook(keeper, Masker({}))"]
    cells += ["print(json.dumps([source.describe_program(Masker({}), None), files[0].path, files[0].digest]))"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    found, path, digest = json.loads(notebook.cells[-1].outputs[0].text)
    assert (found["program"], path) == ("my study.ipynb", "notebook.ipynb")
    kept = nbformat.read(tmp_path / "tracker/runs/p/r/files" / digest, as_version=4)
    nbformat.validate(kept)
    assert [cell.source for cell in kept.cells] == [NOTEBOOK.rstrip(), "password = '***'", cells[2]]


class JupyterServer(BaseHTTPRequestHandler):
    """Answers as a Jupyter server does that started the kernels of a runtime folder."""

    runtime_folder: Path

    def do_GET(self) -> None:
        kernels = [path.stem.removeprefix("kernel-") for path in self.runtime_folder.glob("kernel-*.json")]
        is_allowed = self.headers["Authorization"] == "token secret1" and self.path == "/hub/api/sessions"
        body = json.dumps([{"path": "deep/a%20study.ipynb", "kernel": {"id": kernel}} for kernel in kernels])
        self.send_response(200 if is_allowed else 403)
        self.end_headers()
        self.wfile.write(body.encode() if is_allowed else b"{}")

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def test_the_jupyter_server_of_this_machine_tells_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbclient
    import nbformat
    from jupyter_client.manager import AsyncKernelManager

    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    JupyterServer.runtime_folder = tmp_path / "runtime"
    with ThreadingHTTPServer(("127.0.0.1", 0), JupyterServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        files = {
            "jpserver-1.json": "no json",
            "jpserver-2.json": json.dumps({"port": 1}),
            "jpserver-3.json": json.dumps({"port": server.server_port, "token": "secret1", "base_url": "/hub/"}),
        }
        (tmp_path / "runtime").mkdir()
        for name, text in files.items():
            (tmp_path / "runtime" / name).write_text(text)
        cell = nbformat.v4.new_code_cell("from tracker_core.capture import notebook; print(notebook.path())")
        made = nbformat.v4.new_notebook(cells=[cell])
        kernel = AsyncKernelManager(connection_file=str(tmp_path / "runtime" / "kernel-0123-4567.json"))
        nbclient.NotebookClient(made, km=kernel).execute()
        server.shutdown()
    assert made.cells[0].outputs[0].text == "deep/a study.ipynb\n"
