"""Numbers and tables of the benchmarks' pages."""

from __future__ import annotations


def number(value: float) -> str:
    """Return three digits that matter."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def markdown_table(header: list[str], lines: list[list[str]], is_text: bool = False) -> str:
    """Return a table whose first column is on the left, and the others, unless they hold text, on the right."""
    rules = ["---", *["---" if is_text else "---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rules, *lines))
