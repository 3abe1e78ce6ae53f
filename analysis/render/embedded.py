"""The renderer that needs no Quarto: cells, then Markdown, then pandoc (PDF through Typst).

It knows the part of Quarto the report keeps to:

- a YAML header; ```{python} cells with the options `label`, `fig-cap`, `fig-alt`, `tbl-cap` and
  `include`; inline expressions `{python} ...`;
- cells that show a Markdown or HTML table or a figure;
- cross-references @fig-..., @tbl-... and @sec-... (sections of the first two levels);
- callouts, `::: {.callout-note title="..."}`, folded away in HTML with `collapse="true"`;
- equations between dollar signs.

What each format needs beyond pandoc's own writers stands beside the report's style:
`report/filter.lua`, `report/page.html` and the style sheets (HTML), `report/page.typ` (PDF),
`report/reference.docx` (DOCX).
"""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import yaml

from analysis.render import docx
from analysis.render.execute import execute
from analysis.render.source import INLINE, REFERENCE, Cell, RenderError, Text, check, read

KINDS = {"fig": "Figure", "tbl": "Table", "sec": "Section"}
FIGURES = {"html": "svg", "pdf": "svg", "docx": "png"}
"""How figures are drawn for each format (`analysis.report.style.figure_kinds`)."""
ASSETS = ("theme.css", "tables.css", "page.html", "page.typ", "filter.lua", "docx.lua",
          "equation.lua", "tables.html", "reference.docx")  # fmt: skip


def name() -> str:
    """What the footer and the terminal call this renderer."""
    import pypandoc

    return f"isletmeta's embedded renderer (pandoc {pypandoc.get_pandoc_version()})"


def render(
    source: Path, targets: Mapping[str, Path], env: Mapping[str, str] | None = None
) -> dict[str, Path]:
    """Make all `targets` (format: file) from one run of the cells of `source`.

    Raises
    ------
    RenderError : a cell failed, a label stands twice, a reference leads nowhere, or pandoc refused.
        No target is touched.
    """
    header, parts = read(source)
    check(parts, source.name)
    kinds = ",".join(sorted({FIGURES[form] for form in targets}))
    more = {"ISLETMETA_FIGURES": kinds, "ISLETMETA_RENDERER": name(), **(env or {})}
    outputs = execute(parts, source, more)
    with tempfile.TemporaryDirectory(prefix="isletmeta-") as folder:

        def make(form: str) -> Path:
            work = Path(folder) / form
            work.mkdir()
            text = assemble(parts, outputs, work, source, form)
            return _pandoc(text, header, work, form)

        with ThreadPoolExecutor(2) as pool:
            made = dict(zip(targets, pool.map(make, targets), strict=True))
        for form, target in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(made[form], target)
    return dict(targets)


def assemble(
    parts: list[Text | Cell], outputs: list[list[dict]], work: Path, source: Path, form: str
) -> str:
    """One Markdown text with figures in `work`, captions numbered and references resolved."""
    numbers = _numbers(parts)

    def refer(text: str) -> str:
        text = re.sub(r"(\d) %", "\\1\u00a0%", text)  # no line breaks between the two
        return REFERENCE.sub(
            lambda found: (
                f"[{KINDS[found[1][:3]]} {numbers[found[1]]}](#{found[1]})"
                if found[1] in numbers
                else found[0]
            ),
            text,
        )

    chunks = []
    for part, results in zip(parts, outputs, strict=True):
        if isinstance(part, Cell):
            if part.options.get("include", True):
                chunks.append(_show(part, results, numbers, work, source, form, refer))
        else:
            pieces = INLINE.split(part)
            pieces[1::2] = [shown["text/markdown"] for shown in results]
            chunks.append(refer("".join(pieces)))
    return "\n".join(chunks)


def _numbers(parts: list[Text | Cell]) -> dict[str, int | str]:
    """The number of each figure, table and section, by label."""
    numbers: dict[str, int | str] = {}
    seen = {"fig": 0, "tbl": 0}
    section = [0, 0]
    for part in parts:
        if isinstance(part, Cell):
            kind = part.label.split("-")[0]
            if kind in seen:
                seen[kind] += 1
                numbers[part.label] = seen[kind]
        else:
            for heading in re.finditer(r"^(##?) (.*)$", part, re.M):
                if ".unnumbered" in heading[2]:
                    continue
                section = [section[0] + 1, 0] if heading[1] == "#" else [section[0], section[1] + 1]
                label = re.search(r"#(sec-[\w-]+)", heading[2])
                if label:
                    numbers[label[1]] = ".".join(str(n) for n in section if n)
    return numbers


def _show(cell, results, numbers, work, source, form, refer) -> str:
    """The outputs of a cell as Markdown, with caption, number and alternative text."""
    label = cell.label
    caption = refer(cell.options.get("fig-cap") or cell.options.get("tbl-cap") or "")
    where = f"{source.name}:{cell.line}: cell {label or 'without a label'}"
    shown = []
    for data in results:
        if "image/svg+xml" in data or "image/png" in data:
            if not cell.options.get("fig-alt"):
                raise RenderError(f"{where}: a figure needs fig-alt")
            if label not in numbers:
                raise RenderError(f"{where}: a figure needs a label that begins with fig-")
            shown.append(_figure(cell, data, numbers[label], caption, work, form))
        elif "text/html" in data or "text/markdown" in data:
            body = _body(data, form)
            if label.startswith("tbl-"):
                title = f"Table {numbers[label]}: {caption}"
                body = (
                    f":::: {{#{label} .table-box}}\n\n::: caption\n{title}\n:::\n\n{body}\n\n::::"
                )
            shown.append(body)
    if not shown:
        raise RenderError(f"{where}: shows neither a figure nor a table")
    return "\n\n" + "\n\n".join(shown) + "\n\n"


def _body(data: dict, form: str) -> str:
    """A table in the language of the format: raw HTML where there is some, else Markdown."""
    if form == "html" and "text/html" in data:
        return f"~~~~~~{{=html}}\n{data['text/html']}\n~~~~~~"
    return data.get("text/markdown") or f"~~~~~~{{=html}}\n{data['text/html']}\n~~~~~~"


def _figure(cell: Cell, data: dict, number: int | str, caption: str, work: Path, form: str) -> str:
    label = cell.label
    alt = cell.options["fig-alt"].replace("\\", "\\\\").replace('"', '\\"')
    if FIGURES[form] == "svg":
        path = work / f"{label}.svg"
        path.write_text(data["image/svg+xml"], encoding="utf-8")
    else:
        path = work / f"{label}.png"
        path.write_bytes(base64.b64decode(data["image/png"]))
    return f'![Figure {number}: {caption}]({path.name}){{#{label} alt="{alt}"}}'


def _pandoc(text: str, header: dict, work: Path, form: str) -> Path:
    """Let pandoc make the document of a format in `work`."""
    import pypandoc

    meta = {key: header[key] for key in ("title", "subtitle", "lang") if key in header}
    if form == "pdf":
        meta |= {"papersize": "a4", "margin": {"x": "1.9cm", "y": "2cm"}, "fontsize": "10pt",
                 "page-numbering": "1"}  # fmt: skip
    (work / "meta.yml").write_text(yaml.safe_dump(meta, allow_unicode=True), encoding="utf-8")
    (work / "report.md").write_text(text, encoding="utf-8")
    for asset in ASSETS:
        found = resources.files("analysis").joinpath("report", asset)
        (work / asset).write_bytes(found.read_bytes())
    made = work / f"report.{form}"
    words = ["--standalone", "--number-sections", "--toc", "--toc-depth=2",
             "--metadata-file=meta.yml", "--resource-path=.",
             "--lua-filter=filter.lua"]  # fmt: skip
    if form == "html":
        words += ["--embed-resources", "--template=page.html", "--css=theme.css",
                  "--css=tables.css", "--section-divs", "--mathml", "--lua-filter=equation.lua",
                  "--include-after-body=tables.html"]  # fmt: skip
    elif form == "pdf":
        words += ["--include-in-header=page.typ"]
    elif form == "docx":
        words += ["--lua-filter=docx.lua", "--reference-doc=reference.docx"]
    writer = {"html": "html5", "pdf": "typst"}.get(form, form)
    out = work / "report.typ" if form == "pdf" else made
    command = [pypandoc.get_pandoc_path(), "report.md", "--from", "markdown", "--to", writer,
               "--output", out.name, *words]  # fmt: skip
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, encoding="utf-8",
                          errors="replace", check=False)  # fmt: skip
    if done.returncode:
        raise RenderError(f"pandoc refused the report: {done.stderr.strip()}")
    if form == "pdf":
        _typst(out, made)
    if form == "docx":
        docx.finish(made)
    return made


def _typst(source: Path, target: Path) -> None:
    """Typst to PDF, with the typeface that comes with matplotlib for the letters of figures."""
    import matplotlib
    import typst

    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    try:
        typst.compile(str(source), output=str(target), font_paths=[str(fonts)])
    except Exception as error:  # typst raises its own exceptions, whatever is wrong
        raise RenderError(f"typst refused the report: {error}") from None
