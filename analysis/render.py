"""report.qmd to HTML, PDF or DOCX: through Quarto where it is installed, else by itself.

The embedded renderer runs the same source with PyPI packages alone: it splits the .qmd into cells,
executes them in one kernel (nbclient), writes their outputs back as Markdown and lets pandoc make
the document (PDF through Typst). It knows the part of Quarto the report keeps to:

- a YAML header; ```{python} cells with the options `label`, `fig-cap`, `fig-alt`, `tbl-cap` and
  `include`; inline expressions `{python} ...`;
- cells that show a Markdown table or a figure;
- cross-references @fig-..., @tbl-... and @sec-... (sections of the first two levels);
- callouts, `::: {.callout-note title="..."}`, folded away in HTML with `collapse="true"`;
- equations between dollar signs.

What each format needs beyond pandoc's own writers stands beside the report's style:
`report/quarto.lua` (callouts), `report/theme.css` (HTML), `report/page.typ` (PDF).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import yaml

FORMATS = ("html", "pdf", "docx")
CELL = re.compile(r"^```\{python\}\n(.*?)^```\s*$", re.M | re.S)
INLINE = re.compile(r"`\{python\}\s+([^`]+)`")
REFERENCE = re.compile(r"@((?:fig|tbl|sec)-[\w-]+)")
KINDS = {"fig": "Figure", "tbl": "Table", "sec": "Section"}


class RenderError(RuntimeError):
    """The report could not be made; the message says where and why. Nothing was written."""


@dataclass(frozen=True)
class Rendered:
    """The file made, and by what."""

    path: Path
    renderer: str


@dataclass
class Cell:
    """A code cell: its options, its source and the line of the .qmd on which it begins."""

    source: str
    options: dict = field(default_factory=dict)
    line: int = 0


def render(source: Path, target: Path, *, to: str = "html", env: Mapping[str, str] | None = None):
    """Make `target` from the Quarto file `source`; `env` is added to the kernel's environment.

    Raises
    ------
    RenderError : a cell failed, a cross-reference leads nowhere, or the renderer refused.
    ValueError : `to` is none of `FORMATS`.
    """
    if to not in FORMATS:
        raise ValueError(f"{to}: allowed are {', '.join(FORMATS)}")
    source, target = Path(source), Path(target)
    if not source.exists():
        raise RenderError(f"{source}: no such file")
    quarto = os.environ.get("QUARTO_PATH") or shutil.which("quarto")
    with _environment({**(env or {}), "ISLETMETA_FORMAT": to}):
        if quarto:
            return _render_with_quarto(quarto, source, target, to)
        return _render_embedded(source, target, to)


@contextmanager
def _environment(extra: Mapping[str, str]):
    """The process environment with some more variables, for a while."""
    before = dict(os.environ)
    os.environ.update(extra)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _render_with_quarto(quarto: str, source: Path, target: Path, to: str) -> Rendered:
    with _environment({"QUARTO_PYTHON": sys.executable}):
        words = [quarto, "render", source.name, "--to", "typst" if to == "pdf" else to,
                 "--output", target.name]  # fmt: skip
        done = subprocess.run(words, cwd=source.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RenderError(f"quarto could not render {source}:\n{done.stderr[-3000:]}")
    made = source.parent / target.name
    if made.resolve() != target.resolve():
        shutil.move(made, target)
    version = subprocess.run([quarto, "--version"], capture_output=True, text=True, check=False)
    return Rendered(target, f"Quarto {version.stdout.strip()}")


# --- the embedded renderer ------------------------------------------------------------------


def split(text: str) -> tuple[dict, list[str | Cell]]:
    """The YAML header and the parts of a .qmd in order: Markdown as str, code as `Cell`."""
    header: dict = {}
    offset = 0
    if text.startswith("---\n"):
        end = text.index("\n---\n", 3) + 5
        header = yaml.safe_load(text[4 : end - 5]) or {}
        offset = text[:end].count("\n")
        text = text[end:]
    parts: list[str | Cell] = []
    position = 0
    for match in CELL.finditer(text):
        if match.start() > position:
            parts.append(text[position : match.start()])
        lines = match[1].splitlines(keepends=True)
        options = [line[2:].lstrip("|").strip() for line in lines if line.startswith("#|")]
        code = "".join(line for line in lines if not line.startswith("#|"))
        line = offset + text[: match.start()].count("\n") + 1
        parts.append(Cell(code, yaml.safe_load("\n".join(options)) or {}, line))
        position = match.end()
    if position < len(text):
        parts.append(text[position:])
    return header, parts


def _render_embedded(source: Path, target: Path, to: str) -> Rendered:
    import pypandoc

    header, parts = split(source.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="isletmeta-") as folder:
        work = Path(folder)
        outputs = _execute(parts, source)
        text = _assemble(parts, outputs, work, source)
        version = f"isletmeta's embedded renderer (pandoc {pypandoc.get_pandoc_version()})"
        text += f"\n\n::: {{.rendered-by}}\nRendered by {version}.\n:::\n"
        made = _pandoc(text, header, work, to)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, target)
    return Rendered(target, version)


def _execute(parts: list[str | Cell], source: Path) -> list[list]:
    """Run every cell and inline expression in one kernel; the outputs of each part.

    For Markdown parts the outputs are the texts of its inline expressions.
    """
    import nbformat
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    class Manager(AsyncKernelManager):
        """A kernel of this very interpreter, whatever kernels are installed."""

        @property
        def kernel_spec(self):
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, language="python", display_name="isletmeta")

    sources = [
        part.source
        if isinstance(part, Cell)
        else "import json as _json; print(_json.dumps(["
        + ", ".join(f"str({expression})" for expression in INLINE.findall(part))
        + "]))"
        for part in parts
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    client = NotebookClient(
        notebook,
        km=Manager(),
        timeout=600,
        resources={"metadata": {"path": str(source.parent.resolve())}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        index = next(
            i for i, cell in enumerate(notebook.cells)
            if any(o.output_type == "error" for o in cell.outputs)
        )  # fmt: skip
        part = parts[index]
        where = (
            f"{source.name}:{part.line}: cell {part.options.get('label', 'without a label')}"
            if isinstance(part, Cell)
            else f"{source.name}: an inline expression of: {part.strip()[:80]!r}"
        )
        raise RenderError(f"{where}: {error.ename}: {error.evalue}") from None
    except DeadKernelError:
        raise RenderError(f"{source.name}: the kernel died") from None
    results = []
    for part, cell in zip(parts, notebook.cells, strict=True):
        if isinstance(part, Cell):
            results.append([o.data for o in cell.outputs if "data" in o])
        else:
            printed = "".join(o.text for o in cell.outputs if o.output_type == "stream")
            results.append(json.loads(printed))
    return results


def _assemble(parts, outputs, work: Path, source: Path) -> str:
    """One Markdown text with figures in `work`, captions numbered and references resolved."""
    numbers: dict[str, int | str] = {}
    seen = {"fig": 0, "tbl": 0}
    section = [0, 0]
    for part in parts:
        if isinstance(part, Cell):
            kind = str(part.options.get("label", "")).split("-")[0]
            if kind in seen:
                seen[kind] += 1
                numbers[part.options["label"]] = seen[kind]
        else:
            for heading in re.finditer(r"^(##?) (.*)$", part, re.M):
                section = [section[0] + 1, 0] if heading[1] == "#" else [section[0], section[1] + 1]
                label = re.search(r"#(sec-[\w-]+)", heading[2])
                if label:
                    numbers[label[1]] = ".".join(str(n) for n in section if n)
    chunks = []
    for part, results in zip(parts, outputs, strict=True):
        if isinstance(part, Cell):
            if part.options.get("include", True):
                chunks.append(_show(part, results, numbers, work, source))
        else:
            pieces = INLINE.split(part)
            pieces[1::2] = results  # every second piece is an inline expression
            chunks.append("".join(pieces))

    def refer(match: re.Match) -> str:
        label = match[1]
        if label not in numbers:
            raise RenderError(f"{source.name}: @{label} refers to nothing")
        return f"[{KINDS[label[:3]]} {numbers[label]}](#{label})"

    text = re.sub(r"(\d) %", "\\1\u00a0%", "\n".join(chunks))  # no line breaks between the two
    return REFERENCE.sub(refer, text)


def _show(cell: Cell, results: list, numbers: dict, work: Path, source: Path) -> str:
    """The outputs of a cell as Markdown, with caption, number and alternative text."""
    label = cell.options.get("label", "")
    caption = cell.options.get("fig-cap") or cell.options.get("tbl-cap") or ""
    where = f"{source.name}:{cell.line}: cell {label or 'without a label'}"
    shown = []
    for data in results:
        if "text/markdown" in data:
            table = data["text/markdown"]
            if label.startswith("tbl-"):
                title = f"Table {numbers[label]}: {caption}"
                box = f"#{label} .table-box {_table_width(table)}"
                shown.append(f"::: {{{box}}}\n\n{table}\n\n: {title}\n\n:::")
            else:
                shown.append(table)
        elif "image/svg+xml" in data or "image/png" in data:
            if not cell.options.get("fig-alt"):
                raise RenderError(f"{where}: a figure needs fig-alt")
            shown.append(_figure(cell, data, numbers[label], caption, work))
    if not shown:
        raise RenderError(f"{where}: shows neither a figure nor a table")
    return "\n\n" + "\n\n".join(shown) + "\n\n"


def _table_width(table: str) -> str:
    """The class of a pipe table by its number of columns; narrow screens scroll the wide ones."""
    columns = table.split("\n", 1)[0].replace("\\|", "").count("|") - 1
    return ".wide" if columns > 6 else ".middle" if columns > 3 else ".narrow"


def _figure(cell: Cell, data: dict, number: int, caption: str, work: Path) -> str:
    import base64

    label = cell.options["label"]
    alt = cell.options["fig-alt"].replace('"', "'")
    if "image/svg+xml" in data:
        path = work / f"{label}.svg"
        path.write_text("".join(data["image/svg+xml"]), encoding="utf-8")
    else:
        path = work / f"{label}.png"
        path.write_bytes(base64.b64decode(data["image/png"]))
    return f'::: {{#{label}}}\n\n![Figure {number}: {caption}]({path.name}){{alt="{alt}"}}\n\n:::'


def _pandoc(text: str, header: dict, work: Path, to: str) -> Path:
    import pypandoc

    meta = {key: header[key] for key in ("title", "subtitle", "lang") if key in header}
    if to == "pdf":
        meta |= {"papersize": "a4", "margin": {"x": "1.9cm", "y": "2cm"}, "fontsize": "10pt",
                 "page-numbering": "1"}  # fmt: skip
    (work / "meta.yml").write_text(yaml.safe_dump(meta), encoding="utf-8")
    (work / "report.md").write_text(text, encoding="utf-8")
    for name in ("theme.css", "page.typ", "quarto.lua"):
        style = resources.files("analysis").joinpath("report", name).read_text("utf-8")
        (work / name).write_text(style, encoding="utf-8")
    made = work / f"report.{to}"
    words = ["--standalone", "--number-sections", "--toc", "--toc-depth=2",
             "--metadata-file=meta.yml", "--resource-path=.",
             "--lua-filter=quarto.lua"]  # fmt: skip
    if to == "html":
        words += ["--embed-resources", "--css=theme.css", "--section-divs", "--mathml"]
    if to == "pdf":
        words += ["--include-in-header=page.typ"]
    form = {"html": "html5", "pdf": "typst"}.get(to, to)
    out = work / ("report.typ" if to == "pdf" else made.name)
    pandoc = [pypandoc.get_pandoc_path(), "report.md", "--from", "markdown"]
    words = [*pandoc, "--to", form, "--output", out.name, *words]
    done = subprocess.run(words, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RenderError(f"pandoc refused the report: {done.stderr.strip()}")
    if to == "pdf":
        import typst

        typst.compile(str(out), output=str(made))
    if to == "docx":
        _polish_docx(made)
    return made


TABLE_TEXT = (
    '<w:style w:type="paragraph" w:customStyle="1" w:styleId="TableText">'
    '<w:name w:val="Table Text"/><w:basedOn w:val="Compact"/><w:rPr><w:sz w:val="14"/>'
    '<w:szCs w:val="14"/></w:rPr></w:style>'
)
MARGINS = (
    '<w:pgMar w:top="1000" w:bottom="1000" w:left="1000" w:right="1000" w:header="500" '
    'w:footer="500" w:gutter="0"/>'
)


def _polish_docx(path: Path) -> None:
    """Give tables lines and small type, and the page narrower margins: pandoc's style has none."""
    line = '<w:{0} w:val="single" w:sz="4" w:space="0" w:color="C8CDD2"/>'
    borders = "".join(line.format(side) for side in ("top", "bottom", "insideH"))
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    styles = parts["word/styles.xml"].decode("utf-8")
    in_table = r'(w:styleId="Table"[^>]*>.*?<w:tblPr>)'
    styles = re.sub(in_table, rf"\1<w:tblBorders>{borders}</w:tblBorders>", styles, flags=re.S)
    parts["word/styles.xml"] = styles.replace("</w:styles>", f"{TABLE_TEXT}</w:styles>").encode()
    text = parts["word/document.xml"].decode("utf-8")
    text = re.sub(
        r"<w:tbl>.*?</w:tbl>",
        lambda table: table[0].replace('w:val="Compact"', 'w:val="TableText"'),
        text,
        flags=re.S,
    )
    text = re.sub(r"<w:pgMar[^>]*/>", "", text)
    text = re.sub(r"<w:sectPr([^>]*?)/>", r"<w:sectPr\1></w:sectPr>", text)
    parts["word/document.xml"] = text.replace("</w:sectPr>", f"{MARGINS}</w:sectPr>").encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in parts.items():
            new.writestr(name, data)


# --- looking at what was made -----------------------------------------------------------------


class _Reader(HTMLParser):
    """Visible text, ids, images and outward resources of a page."""

    def __init__(self):
        super().__init__()
        self.text: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.faults: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        if tag in ("style", "script", "title"):
            self._hidden += 1
        if "id" in known:
            self.ids.append(known["id"])
        if tag == "img" and not known.get("alt"):
            self.faults.append("a figure has no alternative text")
        source = known.get("src") or (known.get("href") if tag == "link" else "") or ""
        if source.startswith(("http:", "https:", "//")):
            self.faults.append(f"the page loads {source}")
        if tag == "a" and (known.get("href") or "").startswith("#"):
            self.links.append(known["href"][1:])

    def handle_endtag(self, tag):
        if tag in ("style", "script", "title"):
            self._hidden -= 1

    def handle_data(self, data):
        if not self._hidden:
            self.text.append(data)


def audit_html(page: str) -> list[str]:
    """What is wrong with a rendered page: missing alternative texts, numbers that are none,
    references that lead nowhere, code left over, resources from outside."""
    reader = _Reader()
    reader.feed(page)
    faults = list(dict.fromkeys(reader.faults))
    text = " ".join(reader.text)
    for word in ("nan", "NaN", "None", "inf", "undefined"):
        if re.search(rf"(?<![\w-]){word}(?![\w-])", text):
            faults.append(f"the page says {word!r}")
    if "{python}" in text or "```" in text or ":::" in text:
        faults.append("source code is left on the page")
    known = set(reader.ids)
    faults += [f"a link leads to #{name}, which is not there" for name in reader.links
               if name and name not in known]  # fmt: skip
    doubled = {name for name in reader.ids if reader.ids.count(name) > 1}
    return faults + [f"the id {name} stands twice" for name in sorted(doubled)]
