"""The report through Quarto, in a folder of its own, so that a checkout may be read-only.

`quarto render report.qmd` by hand makes the same documents: what they need stands in the header of
report.qmd. Here the failing cell is named with its line, and colours stay out of the messages.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from analysis.render import docx
from analysis.render.source import Cell, RenderError, Text, check, read

WRITERS = {"html": "html", "pdf": "typst", "docx": "docx"}
FIGURES = {"html": "svg", "pdf": "outlines", "docx": "png"}
"""How figures are drawn for each format (`analysis.report.style.figure_kinds`)."""
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def find() -> str | None:
    """The program, where it is installed: of QUARTO_PATH, else on the path."""
    return os.environ.get("QUARTO_PATH") or shutil.which("quarto")


def name(program: str) -> str:
    """`Quarto 1.10.18`."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return f"Quarto {done.stdout.strip()}".strip()


def render(
    program: str,
    source: Path,
    targets: Mapping[str, Path],
    env: Mapping[str, str] | None = None,
) -> dict[str, Path]:
    """Make all `targets` (format: file) from `source`.

    Raises
    ------
    RenderError : a cell failed (named with its line), a label stands twice, or Quarto refused.
        No target is touched.
    """
    header, parts = read(source)
    check(parts, source.name)
    renderer = name(program)
    with tempfile.TemporaryDirectory(prefix="isletmeta-") as folder:
        stage = Path(folder)
        _stage(source, header, stage)
        made = {}
        for form in targets:
            more = {
                "QUARTO_PYTHON": sys.executable, "NO_COLOR": "1", "ISLETMETA_RENDERER": renderer,
                "ISLETMETA_FIGURES": FIGURES[form], "PYTHONPATH": _path(), **(env or {}),
            }  # fmt: skip
            output = f"{source.stem}.{form}"
            command = [program, "render", source.name, "--to", WRITERS[form], "--output", output,
                       "--execute-dir", str(source.parent.resolve()),
                       "--no-execute-daemon"]  # fmt: skip
            done = subprocess.run(command, cwd=stage, capture_output=True, text=True,
                                  encoding="utf-8", errors="replace", check=False,
                                  env={**os.environ, **more})  # fmt: skip
            if done.returncode:
                raise RenderError(failure(done.stderr, parts, source.name))
            if not (stage / output).exists():
                raise RenderError(f"{renderer} made no {output}:\n{plain(done.stderr)[-2000:]}")
            made[form] = stage / output
            if form == "docx":
                docx.finish(made[form], alternatives(parts))
        for form, target in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(made[form], target)
    return dict(targets)


def _path() -> str:
    """PYTHONPATH with this package on it: cells run in a folder of their own."""
    package = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))


def _stage(source: Path, header: dict, folder: Path) -> None:
    """The source and the files its header names, laid out alike in another folder."""
    shutil.copy(source, folder / source.name)
    for word in _words(header):
        found = source.parent / word
        inside = not Path(word).is_absolute() and ".." not in Path(word).parts
        if inside and found.is_file():
            (folder / word).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, folder / word)


def _words(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _words(part)
    elif isinstance(value, str) and value and "\n" not in value:
        yield value


def plain(text: str) -> str:
    """What a terminal would show, without its colours."""
    return _ANSI.sub("", text)


def failure(errors: str, parts: list[Text | Cell], source: str) -> str:
    """Quarto's complaint, with the file and line of the failing cell where it names one."""
    text = plain(errors)
    quoted = re.search(r"executing the following cell:\s*\n-+\n(.*?)\n-+\n", text, re.S)
    last = next((line for line in reversed(text.splitlines())
                 if re.match(r"[\w.]*(Error|Exception|Interrupt|Exit)\b", line)), "")  # fmt: skip
    if quoted:
        body = _code(quoted[1])
        for part in parts:
            if isinstance(part, Cell) and body and _code(part.source) == body:
                before = part.line if "#|" in quoted[1] else part.first - 1
                inside = re.search(r"(?:line |-> *)(\d+)", text[quoted.end() :])
                at = before + int(inside[1]) if inside else part.first
                return f"{source}:{at}: cell {part.label or 'without a label'}: {last}".rstrip(": ")
    return f"quarto could not render {source}:\n{text[-3000:].strip()}"


def _code(cell: str) -> str:
    lines = [line.rstrip() for line in cell.splitlines() if not line.startswith("#|")]
    return "\n".join(lines).strip()


def alternatives(parts: list[Text | Cell]) -> list[str]:
    """The alternative texts of the figures in order."""
    return [str(part.options["fig-alt"]) for part in parts
            if isinstance(part, Cell) and part.options.get("include", True)
            and "fig-alt" in part.options]  # fmt: skip
