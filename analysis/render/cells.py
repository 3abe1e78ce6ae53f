"""The process in which the cells of a report run: reads a job, runs it, tells what was shown.

Started by `execute` with the job, one line of JSON, on its standard input; answers with one line of
JSON. The input stays open for as long as the parent lives: when it closes, this process ends, so
that no kernel outlives its render. Values are shown by IPython's own formatters, as in a notebook.
Cells run one after the other; where all but the first are expressions, so that none needs what
another did, figures are made beside the text, on two processors where there are two. Started with
`ahead`, it loads what reports need while it waits.
"""

from __future__ import annotations

import ast
import gc
import importlib
import json
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

FEW = 4
"""So many figures are worth a second process."""
SHOWN = ("text/html", "text/markdown", "image/svg+xml", "image/svg+xml;print", "image/png")


AHEAD = ("analysis.report.claims_page", "analysis.report.choices", "analysis.report.plain",
         "analysis.report.registered_text", "analysis.report.figures.registered",
         "analysis.report.tables.registered",
         "IPython.core.interactiveshell")  # fmt: skip
"""What reports need, loaded while the process waits for its job."""


class CellError(Exception):
    """A cell or an inline expression that failed, with its line of the source."""

    def __init__(self, line: int, message: str):
        super().__init__(message)
        self.line = line


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


def main() -> None:
    """Run the job on standard input and write the answer to what was standard output."""
    gc.disable()  # the process lives for seconds, and what it makes stays in use until its end
    if "ahead" in sys.argv:
        for room in AHEAD:
            importlib.import_module(room)
    job = json.loads(_first_line())
    os.environ.update(job.get("environment", {}))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what cells print is no part of the answer
    try:
        result = {
            "outputs": run(job["parts"], job["source"], job["folder"], job.get("kinds", SHOWN))
        }
    except CellError as error:
        result = {"line": error.line, "error": str(error)}
    answer.write(json.dumps(result))
    answer.flush()
    os._exit(0)


def _first_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        more = os.read(0, 65536)
        if not more:
            os._exit(1)
        line += more
    return line


def run(
    parts: list[dict], source: str, folder: str, kinds: Sequence[str] = SHOWN
) -> list[list[dict]]:
    """What each part shows: of a cell its last value, of a text each of its inline expressions.

    Parameters
    ----------
    parts : `{"line", "code", "label"}` of a cell, `{"inline": [[expression, line], ...]}` of a
        text.
    source : name of the .qmd, for tracebacks.
    folder : the working folder of the cells.
    kinds : the MIME types that cells are shown as; Markdown where a value has none of them.

    Returns
    -------
    For each part a list of `{mime type: data}`.

    Raises
    ------
    CellError : the first failure, with its line.
    """
    os.chdir(folder)
    sys.path.insert(0, folder)
    bench = _Bench(_shell(), source, parts, kinds)
    apart = _figures_apart(parts)
    if len(apart) < FEW or not hasattr(os, "fork") or (os.cpu_count() or 1) < 2:
        return [bench.show(place) for place in range(len(parts))]
    first = next(place for place, part in enumerate(parts) if "code" in part)
    before = [bench.show(place) for place in range(first + 1)]
    others = [place for place in range(first + 1, len(parts)) if place not in set(apart)]
    return before + _by_two(bench, others, apart, first + 1)


class _Bench:
    """Where the parts are run: the shell with the names of the report, and what is asked of it."""

    def __init__(self, shell, source: str, parts: list[dict], kinds: Sequence[str]):
        self.shell, self.source, self.parts, self.kinds = shell, source, parts, kinds

    def show(self, place: int) -> list[dict]:
        """What one part shows. Raises CellError."""
        part, space = self.parts[place], self.shell.user_ns
        if "code" not in part:
            return [_inline(self.shell, text, line, self.source, space)
                    for text, line in part["inline"]]  # fmt: skip
        value = _value(part["code"], self.source, part["line"], space)
        return [] if value is None else [_shown(self.shell, value, part["line"], self.kinds)]


def _figures_apart(parts: list[dict]) -> list[int]:
    """The places of figures that need not wait for their turn.

    They are those of a report whose first cell alone holds statements: where every other cell is
    one expression, no cell makes a name that another needs.
    """
    cells = [place for place, part in enumerate(parts) if "code" in part]
    if not all(_is_expression(parts[place]["code"]) for place in cells[1:]):
        return []
    return [place for place in cells[1:] if parts[place].get("label", "").startswith("fig-")]


def _is_expression(code: str) -> bool:
    try:
        body = ast.parse(code).body
    except SyntaxError:
        return False
    named = any(isinstance(node, ast.NamedExpr) for part in body for node in ast.walk(part))
    return len(body) == 1 and isinstance(body[0], ast.Expr) and not named


def _by_two(bench: _Bench, others: list[int], figures: list[int], start: int) -> list[list[dict]]:
    """What the parts from `start` on show; a fork of this process makes figures meanwhile.

    Both take the next figure from one pipe, this process when it has done all `others`, so that
    neither waits long for the other. Of several failures the first of the source is raised.
    """
    queue, fill = os.pipe()
    os.write(fill, b"".join(place.to_bytes(TOKEN, "big") for place in figures))
    os.close(fill)
    told, tell = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the other thread only waits
        child = os.fork()
    if child == 0:
        os.close(told)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        shown, failed = _made(bench, _tokens(queue))
        with os.fdopen(tell, "w", encoding="utf-8") as pipe:
            json.dump({"shown": shown, "failed": failed}, pipe)
        os._exit(0)
    os.close(tell)
    shown, failed = _made(bench, others)
    own, wrong = _made(bench, _tokens(queue))
    os.close(queue)
    with os.fdopen(told, encoding="utf-8") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    answer = json.loads(text) if text else {"shown": [], "failed": []}
    failed += wrong + answer["failed"]
    found = dict([*shown, *own, *answer["shown"]])
    if not failed and not text:  # the other process died: what it had is made here
        left, failed = _made(bench, [place for place in figures if place not in found])
        found |= dict(left)
    if failed:
        line, message = min(map(tuple, failed))
        raise CellError(line, message)
    return [found[place] for place in range(start, len(bench.parts))]


TOKEN = 4
"""Bytes of a place in the pipe of figures: a read takes one, and no two processes the same."""


def _tokens(queue: int) -> Iterator[int]:
    while token := os.read(queue, TOKEN):
        yield int.from_bytes(token, "big")


def _made(bench: _Bench, places: Iterable[int]) -> tuple[list, list]:
    """What these parts show, each with its place, up to the first failure; and that failure."""
    shown = []
    for place in places:
        try:
            shown.append((place, bench.show(place)))
        except CellError as error:
            return shown, [(error.line, str(error))]
    return shown, []


def _shell():
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    return InteractiveShell.instance(config=config)


def _value(code: str, source: str, line: int, space: dict) -> object:
    """Run code whose first line is line `line` of the source; the value of a last expression."""
    try:
        tree = ast.parse(code, source)
        ast.increment_lineno(tree, line - 1)
        last = tree.body[-1] if tree.body else None
        if isinstance(last, ast.Expr):
            tree.body.pop()
            exec(compile(tree, source, "exec"), space)
            return eval(compile(ast.Expression(last.value), source, "eval"), space)
        exec(compile(tree, source, "exec"), space)
    except SyntaxError as error:
        at = line if error.filename != source else line + (error.lineno or 1) - 1
        raise CellError(at, f"SyntaxError: {error.msg}") from None
    except Exception as error:
        raise CellError(_line_of(error, source, line), _told(error, source)) from None
    return None


def _inline(shell, expression: str, line: int, source: str, space: dict) -> dict:
    value = _value(expression.strip(), source, line, space)
    shown = _shown(shell, value, line)
    if "text/markdown" not in shown:
        if isinstance(value, str):
            raise CellError(line, f"{expression.strip()} gives a plain str, which Quarto shows "
                            "with its quotes; give analysis.report.text.Markdown")  # fmt: skip
        shown["text/markdown"] = str(value)
    return shown


def _shown(shell, value: object, line: int, kinds: Sequence[str] = SHOWN) -> dict:
    """The value in those of the formats that it has; in Markdown where it has none of them."""
    methods = {"text/html": "_repr_html_", "text/markdown": "_repr_markdown_"}
    if not any(hasattr(value, methods.get(mime, "")) for mime in kinds):
        kinds = SHOWN
    data, _ = shell.display_formatter.format(value, include=set(kinds))
    for mime, method in methods.items():
        if mime in kinds and mime not in data and hasattr(value, method):
            try:  # IPython swallows what goes wrong in there
                getattr(value, method)()
            except Exception as error:
                raise CellError(line, _told(error, "")) from None
    import base64

    return {mime: base64.b64encode(shown).decode() if isinstance(shown, bytes) else shown
            for mime, shown in data.items()}  # fmt: skip


def _line_of(error: BaseException, source: str, otherwise: int) -> int:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if frame.filename == source]  # fmt: skip
    return lines[-1] if lines else otherwise


def _told(error: BaseException, source: str) -> str:
    """`NameError: name 'x' is not defined`, and where in the package it arose."""
    text = f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if f"{os.sep}analysis{os.sep}" in frame.filename
              and not frame.filename.endswith("cells.py")]  # fmt: skip
    if inside and inside[-1].filename != source:
        text += f" ({Path(inside[-1].filename).name}:{inside[-1].lineno})"
    return text


if __name__ == "__main__":
    main()
