"""Write the tables of the documentation that come from the code; `make docs`. A test checks that they are current."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import fields
from pathlib import Path

from tracker_core.settings import IGNORED_WANDB_SETTINGS, Settings, env_name
from tracker_core.start import IGNORED_WANDB_ARGUMENTS

FOLDER = Path(__file__).parent


def settings_table() -> str:
    """Return the table of all settings."""
    lines = ["", "| setting | variable | default | unit | meaning |", "|---|---|---|---|---|"]
    for field in fields(Settings):
        default = "" if field.default in (None, "", ()) else f"`{field.default}`"
        unit, meaning = field.metadata["unit"], field.metadata["help"]
        lines.append(f"| `{field.name}` | `{env_name(field.name)}` | {default} | {unit} | {meaning} |")
    return "\n".join([*lines, ""])


def code_list(names: list[str]) -> str:
    """Return names as a comma-separated list of code words."""
    return " " + ", ".join(f"`{name}`" for name in names) + ". "


def faults_table() -> str:
    """Return the table of faults, which stands with the tests that it names."""
    path = FOLDER.parent / "tests" / "faults" / "fault_table.py"
    spec = importlib.util.spec_from_file_location("fault_table", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.as_markdown())


TABLES = {
    "faults": faults_table,
    "settings": settings_table,
    "wandb-arguments": lambda: code_list(sorted(IGNORED_WANDB_ARGUMENTS)),
    "wandb-settings": lambda: code_list(sorted(IGNORED_WANDB_SETTINGS)),
}


def filled(text: str) -> str:
    """Return a page with every `<!-- table:NAME -->` followed by that table and `<!-- end -->`."""

    def fill(match: re.Match[str]) -> str:
        return f"<!-- table:{match[1]} -->{TABLES[match[1]]()}<!-- end -->"

    return re.sub(r"<!-- table:([a-z-]+) -->(?:.*?<!-- end -->)?", fill, text, flags=re.DOTALL)


def main() -> None:
    """Fill the tables of every page in place."""
    for page in FOLDER.glob("*.md"):
        page.write_text(filled(page.read_text()))


if __name__ == "__main__":
    main()
