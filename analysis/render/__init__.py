"""report.qmd to HTML, PDF or DOCX: through Quarto where it is installed, else by itself.

`render` makes one or more documents from one source; whichever renderer made it, a page is audited
before it is handed over. `source` reads the .qmd, `execute` and `cells` run its code, `embedded`
and `quarto` are the two renderers, `docx` finishes what pandoc's writer leaves open, `audit` looks
at what was made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from analysis.render import embedded, execute, quarto
from analysis.render.audit import audit_docx, audit_html, audit_pdf
from analysis.render.source import CELL, INLINE, REFERENCE, Cell, RenderError, Text, split

__all__ = [
    "CELL",
    "FORMATS",
    "INLINE",
    "REFERENCE",
    "Cell",
    "RenderError",
    "Rendered",
    "Text",
    "ahead",
    "audit_docx",
    "audit_html",
    "audit_pdf",
    "render",
    "render_all",
    "split",
]

FORMATS = ("html", "pdf", "docx")


@dataclass(frozen=True)
class Rendered:
    """The file made, by what, and what the audit found wrong with it."""

    path: Path
    renderer: str
    faults: list[str] = field(default_factory=list)


def render(
    source: Path, target: Path, *, to: str = "html", env: Mapping[str, str] | None = None
) -> Rendered:
    """Make `target` from the Quarto file `source`; `env` is added to the cells' environment.

    Raises
    ------
    RenderError : a cell failed, a label stands twice, a cross-reference leads nowhere, or the
        renderer refused. The target is untouched.
    ValueError : `to` is none of `FORMATS`.
    """
    return render_all(source, {to: target}, env=env)[to]


def render_all(
    source: Path, targets: Mapping[str, Path], *, env: Mapping[str, str] | None = None,
    ready: Callable[[], object] | None = None,
) -> dict[str, Rendered]:  # fmt: skip
    """Make several documents, `{format: file}`, of one source; the embedded renderer runs the
    cells once for all. Raises as `render`.

    `ready` is asked when the cells have run, before anything is written: what it raises ends the
    render. So a caller may check meanwhile whether these documents may be made at all.
    """
    for form in targets:
        if form not in FORMATS:
            raise ValueError(f"{form}: allowed are {', '.join(FORMATS)}")
    source = Path(source)
    targets = {form: Path(target) for form, target in targets.items()}
    if not source.is_file():
        raise RenderError(f"{source}: no such file")
    _refuse_unwritable(targets)
    program = quarto.find()
    if program:
        if ready:
            ready()
        made, renderer = quarto.render(program, source, targets, env), quarto.name(program)
    else:
        made, renderer = embedded.render(source, targets, env, ready), embedded.name()
    return {form: Rendered(path, renderer, _audit(form, path)) for form, path in made.items()}


def ahead() -> None:
    """Start what the next render needs, so that it loads while the caller does something else."""
    if not quarto.find():
        execute.ahead()


def _refuse_unwritable(targets: Mapping[str, Path]) -> None:
    """Say at once, not after the cells have run, that a target cannot be written."""
    for target in targets.values():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            there = target.exists()
            with target.open("ab"):
                pass
            if not there:
                target.unlink()
        except OSError as error:
            raise RenderError(f"{target} cannot be written: {error.strerror}") from None


def _audit(form: str, path: Path) -> list[str]:
    if form == "html":
        return audit_html(path.read_text(encoding="utf-8"))
    return audit_docx(path) if form == "docx" else audit_pdf(path)
