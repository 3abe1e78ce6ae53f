"""The dictionary of the results tables as Markdown: docs/results.md.

`python -m analysis.results.dictionary` writes it; a test keeps it in step with the declarations.
"""

from __future__ import annotations

from pathlib import Path

from analysis.results import METHODS, QUANTITIES, TABLES, VARIANTS


def dictionary() -> str:
    """The dictionary of every table as Markdown: docs/results.md."""
    lines = [
        "# What the results tables hold",
        "",
        "Made by `python -m analysis.results.dictionary` from the declarations in the package.",
        "Blank numbers are not known or do not apply.",
    ]
    for table in TABLES.values():
        lines += ["", f"## {table.name}.csv", "", table.about, ""]
        if table.key:
            lines += [f"Key: {', '.join(table.key)}.", ""]
        lines += ["| column | kind | unit | meaning |", "|---|---|---|---|"]
        for spec in table.columns:
            lines.append(f"| {spec.name} | {spec.kind} | {spec.unit} | {spec.meaning} |")
    for title, words in (("Quantities", QUANTITIES), ("Variants", VARIANTS), ("Methods", METHODS)):
        lines += ["", f"## {title}", "", "| word | meaning |", "|---|---|"]
        lines += [f"| {word} | {meaning} |" for word, meaning in words.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path("docs/results.md").write_text(dictionary(), encoding="utf-8")
