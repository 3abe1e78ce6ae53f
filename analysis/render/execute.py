"""Runs the cells of a report once, in a process of their own that ends with this one.

The values come back in every format they have (HTML, Markdown, SVG, PNG), so that one run of the
cells serves all documents made from it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.render.cells import SHOWN
from analysis.render.source import Cell, RenderError, Text, inline

PATIENCE = 600
"""Seconds after which cells that have not finished are given up."""


_WAITING: list[subprocess.Popen] = []
"""The process that was started ahead, until it is used."""


def ahead() -> None:
    """Start the process of the next `execute` now, so that it loads while others work.

    It ends by itself when this process ends without having used it.
    """
    if not _WAITING:
        _WAITING.append(_start("ahead"))


def execute(
    parts: list[Text | Cell],
    source: Path,
    env: Mapping[str, str] | None = None,
    kinds: Sequence[str] = SHOWN,
) -> list[list[dict]]:
    """Run every cell and inline expression; what each shows, by MIME type.

    Parameters
    ----------
    parts : the parts of the source in order.
    source : the .qmd file; cells run in its folder, as under Quarto.
    env : added to the environment of the process.
    kinds : the MIME types asked of each value.

    Raises
    ------
    RenderError : `FILE:LINE: what` of the first cell or expression that failed.
    """
    job = {
        "source": source.name,
        "folder": str(source.parent.resolve()),
        "kinds": list(kinds),
        "parts": [
            {"code": part.source, "line": part.first, "label": part.label}
            if isinstance(part, Cell)
            else {"inline": inline(part)}
            for part in parts
        ],
    }
    with tempfile.TemporaryDirectory(prefix="isletmeta-") as home:
        job["environment"] = {**os.environ, "IPYTHONDIR": home, **(env or {})}
        told, answer = _run(json.dumps(job))
    if answer is None:
        raise RenderError(f"{source.name}: the process that ran the cells died\n{told}".strip())
    if "error" in answer:
        where = _where(parts, answer["line"])
        raise RenderError(f"{source.name}:{answer['line']}: {where}: {answer['error']}")
    return answer["outputs"]


def _start(*words: str) -> subprocess.Popen:
    """The process of the cells, waiting for its job; its errors go to a file of its own."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
    process = subprocess.Popen(
        [sys.executable, "-m", "analysis.render.cells", *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        env={**os.environ, "PYTHONPATH": path}, encoding="utf-8",
    )  # fmt: skip
    process.errors = errors  # type: ignore[attr-defined]
    return process


def _run(job: str) -> tuple[str, dict | None]:
    """The last words on standard error, and the answer; None where there was none."""
    process = _WAITING.pop() if _WAITING else _start()
    timer = threading.Timer(PATIENCE, process.kill)
    timer.start()
    try:
        try:
            process.stdin.write(job + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass
        text = process.stdout.read()
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    with process.errors as errors:  # type: ignore[attr-defined]
        errors.seek(0)
        told = "\n".join(errors.read().splitlines()[-10:])
    return told, json.loads(text) if text else None


def _where(parts: list[Text | Cell], line: int) -> str:
    """Which cell holds the line."""
    for part in reversed(parts):
        if part.line <= line:
            if isinstance(part, Cell):
                return f"cell {part.label or 'without a label'}"
            break
    return "an inline expression"
