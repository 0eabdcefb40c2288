"""`report_to="tracker"` is known to transformers whatever is imported first. Each order in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tracker_core import framework_hook

CHECK = """
from transformers import TrainingArguments
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK, get_reporting_integration_callbacks
from tracker_integrations.transformers import TrackerCallback
assert TrainingArguments(report_to="tracker", output_dir="out").report_to == ["tracker"]
assert "tracker" in TrainingArguments(report_to="all", output_dir="out").report_to
assert get_reporting_integration_callbacks(["tracker"]) == [TrackerCallback]
assert TrackerCallback in get_reporting_integration_callbacks("all")
TrackerCallback()
"""

ORDERS = {
    "tracker first": "import tracker_core, transformers",
    "after the Trainer": "from transformers import Trainer; import tracker_core",
    "after report_to=all was looked up": (
        "from transformers import TrainingArguments\n"
        "TrainingArguments(report_to='all', output_dir='out')\n"
        "import tracker_core"
    ),
    "adapter twice": "import tracker_core; import tracker_integrations.transformers as a; a.register(); a.register()",
}
MORE_ORDERS = {
    "transformers first": "import transformers, tracker_core",
    "between": "import transformers, tracker_core; from transformers import Trainer",
    "after the package of the integrations": "import transformers.integrations, tracker_core",
    "after the integrations": "import transformers.integrations.integration_utils, tracker_core",
    "adapter by itself": "import tracker_integrations.transformers as adapter; adapter.register()",
}


def run_python(code: str, folder: Path) -> str:
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, timeout=120)
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_any_order_of_imports_works(order: str, tmp_path: Path) -> None:
    run_python(f"{order}\n{CHECK}", tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("order", MORE_ORDERS.values(), ids=MORE_ORDERS.keys())
def test_any_further_order_of_imports_works(order: str, tmp_path: Path) -> None:
    run_python(f"{order}\n{CHECK}", tmp_path)


@pytest.mark.parametrize("order", ["tracker_core, transformers", "transformers, tracker_core"])
def test_waiting_loads_nothing_of_transformers(order: str, tmp_path: Path) -> None:
    heavy = "{'torch', 'tracker_integrations', 'transformers.integrations.integration_utils', 'transformers.trainer'}"
    run_python(f"import sys, {order}\nassert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)", tmp_path)


def test_the_module_keeps_its_own_loader(tmp_path: Path) -> None:
    code = (
        "import tracker_core, inspect, importlib.machinery\n"
        "from transformers.integrations import integration_utils as module\n"
        "assert type(module.__loader__) is type(module.__spec__.loader) is importlib.machinery.SourceFileLoader\n"
        "assert 'INTEGRATION_TO_CALLBACK' in inspect.getsource(module)"
    )
    run_python(code, tmp_path)


def test_another_tools_finder_that_searches_the_same_way_is_no_endless_loop(tmp_path: Path) -> None:
    code = """
import sys, tracker_core
class Other:
    def find_spec(self, name, path, target=None):
        found = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        return next((spec for spec in found if spec is not None), None)
sys.meta_path.insert(0, Other())
"""
    run_python(code + CHECK, tmp_path)


def test_a_transformers_that_the_adapter_does_not_fit_still_imports(tmp_path: Path) -> None:
    package = tmp_path / "transformers" / "integrations"
    package.mkdir(parents=True)
    (tmp_path / "transformers" / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "integration_utils.py").write_text("fine = True")
    code = "import tracker_core; from transformers.integrations.integration_utils import fine; print(fine)"
    assert run_python(code, tmp_path) == "True\n"


def test_what_users_see_who_forgot_the_import(tmp_path: Path) -> None:
    """The text is quoted in the documentation."""
    code = """
from transformers import Trainer, TrainingArguments
import torch
try:
    Trainer(torch.nn.Linear(1, 1), TrainingArguments(report_to="tracker", output_dir="out"))
except ValueError as error:
    print(error)
"""
    assert run_python(code, tmp_path).startswith("tracker is not supported, only azure_ml, comet_ml, ")
    assert run_python("import tracker_core\n" + code, tmp_path) == ""


def test_what_is_waited_for_exists() -> None:
    for module, adapter in framework_hook.HOOKS.items():
        __import__(module)
        assert callable(sys.modules[adapter].register)
