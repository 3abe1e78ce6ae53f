"""The renderer that needs no Quarto: cells, then Markdown, then pandoc (PDF through Typst).

It knows the part of Quarto the report keeps to:

- a YAML header; ```{python} cells with the options `label`, `fig-cap`, `fig-alt`, `tbl-cap` and
  `include`; inline expressions `{python} ...`;
- cells that show a Markdown or HTML table or a figure;
- cross-references @fig-..., @tbl-... and @sec-... (sections of the first two levels);
- callouts, `::: {.callout-note title="..."}`, folded away in HTML with `collapse="true"`,
  to be folded with `collapse="false"`;
- equations between dollar signs.

What each format needs beyond pandoc's own writers stands beside the report's style:
`report/filter.lua`, `report/page.html` and the style sheets (HTML), `report/page.typ` (PDF),
`report/reference.docx` (DOCX).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import yaml

from analysis.render import docx
from analysis.render.cells import SHOWN
from analysis.render.execute import execute
from analysis.render.source import INLINE, REFERENCE, Cell, RenderError, Text, check, read

KIND = {"html": "screen", "pdf": "paper", "docx": "paper"}
"""What each format is written from: a text for screens, or one for paper."""
DOTS = 220
"""Dots an inch of pictures in Word."""
RAW = re.compile(r"~~~~~~\{=html\}\n(.*?)\n~~~~~~", re.S)
"""A piece of HTML in the Markdown, as `_body` writes it."""
SHOWN_AS = {"screen": "image/svg+xml", "paper": "image/svg+xml;print"}
"""The MIME types in which cells show a figure (`analysis.report.style.drawn`)."""

KINDS = {"fig": "Figure", "tbl": "Table", "sec": "Section"}
FIGURES = {"html": "svg", "pdf": "print", "docx": "print"}
"""How figures are drawn for each format (`analysis.report.style.figure_kinds`)."""
ASSETS = ("theme.css", "tables.css", "page.html", "page.typ", "filter.lua", "docx.lua",
          "equation.lua", "tables.html", "reference.docx")  # fmt: skip


def name() -> str:
    """What the footer and the terminal call this renderer."""
    import pypandoc

    return f"isletmeta's embedded renderer (pandoc {pypandoc.get_pandoc_version()})"


def render(
    source: Path, targets: Mapping[str, Path], env: Mapping[str, str] | None = None,
    ready: Callable[[], object] | None = None,
) -> dict[str, Path]:  # fmt: skip
    """Make all `targets` (format: file) from one run of the cells of `source`.

    `ready` is asked when the cells have run; what it raises ends the render.

    Raises
    ------
    RenderError : a cell failed, a label stands twice, a reference leads nowhere, or pandoc refused.
        No target is touched.
    """
    header, parts = read(source)
    check(parts, source.name)
    kinds = ",".join(sorted({FIGURES[form] for form in targets}))
    more = {"ISLETMETA_FIGURES": kinds, "ISLETMETA_RENDERER": name(), **(env or {})}
    outputs = execute(parts, source, more, kinds_of(targets))
    if ready:
        ready()
    with tempfile.TemporaryDirectory(prefix="isletmeta-") as name_of_folder, \
            ThreadPoolExecutor(2) as pool:  # fmt: skip
        folder = Path(name_of_folder)
        texts = {kind: pool.submit(_read, parts, outputs, folder / kind, source, header, kind)
                 for kind in {KIND[form] for form in targets}}  # fmt: skip
        for text in texts.values():
            text.result()
        made = dict(zip(targets, pool.map(lambda form: _write(folder / KIND[form], form), targets),
                        strict=True))  # fmt: skip
        for form, target in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(made[form], target)
    return dict(targets)


def kinds_of(forms: Iterable[str]) -> tuple[str, ...]:
    """The MIME types that documents of these formats are made of."""
    wanted = set()
    for form in forms:
        wanted |= {SHOWN_AS[KIND[form]], "text/html" if form == "html" else "text/markdown"}
    return tuple(kind for kind in SHOWN if kind in wanted)


def assemble(
    parts: list[Text | Cell], outputs: list[list[dict]], work: Path, source: Path, kind: str
) -> str:
    """One Markdown text with figures in `work`, captions numbered and references resolved.

    `kind` is "screen" (HTML) or "paper": PDF and DOCX are written from one text.
    """
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
                chunks.append(_show(part, results, numbers, work, source, kind, refer))
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


def _show(cell, results, numbers, work, source, kind, refer) -> str:
    """The outputs of a cell as Markdown, with caption, number and alternative text."""
    label = cell.label
    caption = refer(cell.options.get("fig-cap") or cell.options.get("tbl-cap") or "")
    where = f"{source.name}:{cell.line}: cell {label or 'without a label'}"
    shown = []
    for data in results:
        if SHOWN_AS["screen"] in data or SHOWN_AS["paper"] in data:
            if not cell.options.get("fig-alt"):
                raise RenderError(f"{where}: a figure needs fig-alt")
            if label not in numbers:
                raise RenderError(f"{where}: a figure needs a label that begins with fig-")
            shown.append(_figure(cell, data, numbers[label], caption, work, kind))
        elif "text/html" in data or "text/markdown" in data:
            body = _body(data, kind)
            if label.startswith("tbl-"):
                title = f"Table {numbers[label]}: {caption}"
                body = (
                    f":::: {{#{label} .table-box}}\n\n::: caption\n{title}\n:::\n\n{body}\n\n::::"
                )
            shown.append(body)
    if not shown:
        raise RenderError(f"{where}: shows neither a figure nor a table")
    return "\n\n" + "\n\n".join(shown) + "\n\n"


def _body(data: dict, kind: str) -> str:
    """A table in the language of the format: raw HTML where there is some, else Markdown."""
    if kind == "screen" and "text/html" in data:
        return f"~~~~~~{{=html}}\n{data['text/html']}\n~~~~~~"
    if "text/markdown" in data:  # also where it is nothing: what only a screen can show
        return data["text/markdown"]
    return f"~~~~~~{{=html}}\n{data['text/html']}\n~~~~~~"


def _figure(cell: Cell, data: dict, number: int | str, caption: str, work: Path, kind: str) -> str:
    label = cell.label
    alt = cell.options["fig-alt"].replace("\\", "\\\\").replace('"', '\\"')
    svg = data[SHOWN_AS[kind]]
    (work / f"{label}.svg").write_text(svg, encoding="utf-8")
    width = _width(svg) if kind == "paper" else ""  # on a screen a figure is as wide as its place
    return f'![Figure {number}: {caption}]({label}.svg){{#{label} alt="{alt}"{width}}}'


def _width(svg: str) -> str:
    """The width of an SVG in words of pandoc: a PNG made of it does not know its own."""
    found = re.search(r'<svg [^>]*?width="([\d.]+)pt"', svg)
    return f" width={float(found[1]) / 72:.2f}in" if found else ""


def _read(parts: list, outputs: list, work: Path, source: Path, header: dict, kind: str) -> None:
    """Let pandoc read the text of a kind, once for all formats that are written from it."""
    work.mkdir()
    text = assemble(parts, outputs, work, source, kind)
    if kind == "screen":
        text, kept = _kept_aside(text)
        (work / KEPT).write_text(json.dumps(kept), encoding="utf-8")
    (work / "report.md").write_text(text, encoding="utf-8")
    meta = {key: header[key] for key in ("title", "subtitle", "author", "lang") if key in header}
    if kind == "paper":
        meta |= PAGE
    (work / "meta.yml").write_text(yaml.safe_dump(meta, allow_unicode=True), encoding="utf-8")
    for asset in ASSETS:
        found = resources.files("analysis").joinpath("report", asset)
        (work / asset).write_bytes(found.read_bytes())
    _pandoc(work, "report.md", "--from=markdown", "--to=json", "--output=report.json",
            "--standalone", "--metadata-file=meta.yml")  # fmt: skip


PAGE = {"papersize": "a4", "margin": {"x": "1.9cm", "y": "1.7cm"}, "fontsize": "10pt",
        "page-numbering": "1", "toc-title": "Contents"}  # fmt: skip
"""Settings of the page for Typst; those of Word stand in reference.docx."""
WRITERS = {
    "html": ("html5", "--embed-resources", "--template=page.html", "--css=theme.css",
             "--css=tables.css", "--section-divs", "--mathml", "--lua-filter=equation.lua",
             "--include-after-body=tables.html"),
    "pdf": ("typst", "--include-in-header=page.typ"),
    "docx": ("docx", "--lua-filter=docx.lua", "--reference-doc=reference.docx"),
}  # fmt: skip
"""Pandoc's writer for each format, and what it is told."""


def _write(work: Path, form: str) -> Path:
    """Let pandoc write a format of what was read in `work`."""
    made = work / f"report.{form}"
    out = work / "report.typ" if form == "pdf" else made
    if form == "docx":
        _pictures(work)
    writer, *words = WRITERS[form]
    _pandoc(work, "report.json", "--from=json", f"--to={writer}", f"--output={out.name}",
            "--standalone", "--number-sections", "--toc", "--toc-depth=2", "--resource-path=.",
            "--lua-filter=filter.lua", *words)  # fmt: skip
    if form == "pdf":
        _typst(out, output=str(made))
    if form == "docx":
        docx.finish(made)
    if form == "html":
        kept = json.loads((work / KEPT).read_text(encoding="utf-8"))
        made.write_text(_put_back(made.read_text(encoding="utf-8"), kept), encoding="utf-8")
    return made


KEPT = "kept.json"


def _kept_aside(text: str) -> tuple[str, list[str]]:
    """The text with a sign for each piece of HTML, and the pieces: pandoc need not read tables."""
    kept: list[str] = []

    def sign(found: re.Match) -> str:
        kept.append(found[1])
        return f"~~~~~~{{=html}}\n<!--kept {len(kept) - 1}-->\n~~~~~~"

    return RAW.sub(sign, text), kept


def _put_back(page: str, kept: list[str]) -> str:
    """The page with its pieces of HTML. Raises RenderError where pandoc lost a sign."""
    found = re.findall(r"<!--kept (\d+)-->", page)
    if sorted(map(int, found)) != list(range(len(kept))):
        raise RenderError("pandoc lost a table of the report")
    return re.sub(r"<!--kept (\d+)-->", lambda sign: kept[int(sign[1])], page)


def _pandoc(work: Path, *words: str) -> None:
    import pypandoc

    done = subprocess.run([pypandoc.get_pandoc_path(), *words], cwd=work, capture_output=True,
                          text=True, encoding="utf-8", errors="replace", check=False)  # fmt: skip
    if done.returncode:
        raise RenderError(f"pandoc refused the report: {done.stderr.strip()}")


def _pictures(work: Path) -> None:
    """Each SVG of a folder as a PNG beside it: Word and its likes show those everywhere alike."""
    svgs = sorted(work.glob("*.svg"))
    if not svgs:
        return
    pages = [f'#page(image("{svg.name}"))' for svg in svgs]
    source = work / "pictures.typ"
    source.write_text("#set page(width: auto, height: auto, margin: 0pt)\n" + "\n".join(pages),
                      encoding="utf-8")  # fmt: skip
    made = _typst(source, format="png", ppi=DOTS)
    for svg, picture in zip(svgs, made if isinstance(made, list) else [made], strict=True):
        svg.with_suffix(".png").write_bytes(picture)


def _typst(source: Path, **words):
    """What Typst makes of a file, with the typeface that comes with matplotlib for figures."""
    import matplotlib
    import typst

    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    try:
        return typst.compile(str(source), font_paths=[str(fonts)], **words)
    except Exception as error:  # typst raises its own exceptions, whatever is wrong
        raise RenderError(f"typst refused the report: {error}") from None
