"""The rules of docs/architecture.md, read off the imports of every module."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("tracker_core", "tracker_integrations", "tracker_server")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
CORE_LIBRARIES = {"msgspec", "requests", "psutil", "pynvml"}
# Where the core may reach outward, lazily.
CORE_SEAMS = {
    "tracker_core/api.py": {"tracker_server"},
    "tracker_core/api_run.py": {"tracker_server"},
    "tracker_core/api_trash.py": {"tracker_server"},
    "tracker_core/artifacts/api_artifacts.py": {"tracker_server"},
    "tracker_core/artifacts/api_run_artifacts.py": {"tracker_server"},
    "tracker_core/artifacts/open_source.py": {"tracker_server"},
    "tracker_core/artifacts/place.py": {"tracker_server"},
    "tracker_core/framework_hook.py": {"tracker_integrations"},
}
# A fault of ours must not break the import of a framework, nor freeze the pages that follow the change feed.
# No fault of what a run records by itself, or of what sends it, may hurt the training. What a request's thread meets
# is raised in the thread that waits for it.
BROAD_EXCEPTS = {
    "tracker_core/artifacts/run_artifacts.py",
    "tracker_core/autoload/_tracker_autoload.py",
    "tracker_core/autoload/sitecustomize.py",
    "tracker_core/capture/environment.py",
    "tracker_core/console/recorder.py",
    "tracker_core/framework_hook.py",
    "tracker_core/media/encoder.py",
    "tracker_core/recorders.py",
    "tracker_core/sync/artifact_posts.py",
    "tracker_core/sync/online.py",
    "tracker_core/sync/transport.py",
    "tracker_core/system/sampler.py",
    "tracker_server/http/events.py",
}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path, lazy: bool) -> Iterator[str]:
    """Yield the dotted names a module imports; `lazy` adds those inside functions and behind TYPE_CHECKING."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if lazy else _import_time_nodes(tree)
    package = relative(path).removesuffix(".py").removesuffix("/__init__").split("/")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _import_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        yield node
        yield from _import_time_nodes(node)


def top(name: str) -> str:
    return name.partition(".")[0]


def is_library(name: str) -> bool:
    return name not in sys.stdlib_module_names and name not in PACKAGES


@pytest.mark.parametrize("path", [p for p in MODULES if "tracker_core" in p.parts], ids=relative)
def test_core_imports_only_its_small_libraries_and_leaves_by_named_seams(path: Path) -> None:
    at_import = {top(name) for name in imports(path, lazy=False)}
    assert {name for name in at_import if is_library(name)} <= CORE_LIBRARIES
    outward = {top(name) for name in imports(path, lazy=True)} & {"tracker_server", "tracker_integrations"}
    assert outward <= CORE_SEAMS.get(relative(path), set())
    assert not at_import & {"tracker_server", "tracker_integrations"}


@pytest.mark.parametrize("path", [p for p in MODULES if "tracker_integrations" in p.parts], ids=relative)
def test_adapters_know_the_core_and_no_server(path: Path) -> None:
    assert "tracker_server" not in {top(name) for name in imports(path, lazy=True)}


@pytest.mark.parametrize("path", [p for p in MODULES if "tracker_server" in p.parts], ids=relative)
def test_the_server_knows_no_adapter(path: Path) -> None:
    assert "tracker_integrations" not in {top(name) for name in imports(path, lazy=True)}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_no_module_imports_its_own_front_door(path: Path) -> None:
    package = relative(path).partition("/")[0]
    for name in imports(path, lazy=True):
        if top(name) == package:
            module = name.split(".")[1] if "." in name else ""
            folder = ROOT / package
            assert (folder / f"{module}.py").exists() or (folder / module / "__init__.py").exists(), name


@pytest.mark.parametrize("path", [p for p in MODULES if "tracker_server" in p.parts], ids=relative)
def test_sql_stays_in_the_store(path: Path) -> None:
    uses_sql = {"sqlalchemy", "sqlite3"} & {top(name) for name in imports(path, lazy=True)}
    assert not uses_sql or {"store", "migrations"} & set(path.parts)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_module_names_say_what_is_inside(path: Path) -> None:
    assert path.stem not in FORBIDDEN_NAMES


def test_imports_have_no_circles() -> None:
    names = {relative(p).removesuffix(".py").removesuffix("/__init__").replace("/", "."): p for p in MODULES}
    graph = {}
    for name, path in names.items():
        found = imports(path, lazy=False)
        graph[name] = {m for i in found for m in (i, i.rpartition(".")[0]) if m in names and m != name}
        graph[name] -= set(PACKAGES)  # importing a submodule touches its package, which is no dependency
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above, name))
        if name not in done:
            for other in graph[name]:
                visit(other, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_broad_excepts_are_named_here(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            names = [node.type] if not isinstance(node.type, ast.Tuple) else node.type.elts
            reraises = isinstance(node.body[-1], ast.Raise)
            is_broad = any(n is None or ast.unparse(n) in ("Exception", "BaseException") for n in names)
            assert not is_broad or reraises or relative(path) in BROAD_EXCEPTS, f"{relative(path)}:{node.lineno}"
