"""Write the tables of the documentation that come from the code; `make docs`. A test checks that they are current."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import get_type_hints

import msgspec

from tracker_core.settings import IGNORED_WANDB_SETTINGS, Settings, env_name, unit_of
from tracker_core.start import IGNORED_WANDB_ARGUMENTS

FOLDER = Path(__file__).parent


def settings_table() -> str:
    """Return the table of all settings."""
    lines = ["", "| setting | variable | default | unit | meaning |", "|---|---|---|---|---|"]
    meanings = get_type_hints(Settings, include_extras=True)
    for name, value in msgspec.structs.asdict(Settings()).items():
        default = "" if value in (None, "", ()) else f"`{value}`"
        (meaning,) = meanings[name].__metadata__
        lines.append(f"| `{name}` | `{env_name(name)}` | {default} | {unit_of(name)} | {meaning} |")
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
