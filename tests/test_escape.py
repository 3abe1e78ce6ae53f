"""No cell becomes markup, a command, a formula or a link of its own in any output."""

import re
import subprocess
from html.parser import HTMLParser

import pandas as pd
import pypandoc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import escape
from analysis.evidence.elsewhere import OTHER_FIELDS
from analysis.results import contract

# fmt: off
HOSTILE = [
    "<script>alert(1)</script>", '<img src=x onerror="alert(1)">', "a & b &amp; c", "x|y",
    "*a* _b_ **c**",
    "@fig-claims", "?@fig-x", "$\\input{x}$", "`{=typst}`", "`{python} 1`", "[a](javascript:b)",
    "![a](b)", "{{< include x >}}", "# h", "- x", "1. x", "> q", "---", "a -- b ... 'c' \"d\"",
    "~~s~~", "^2^", "#import \"x\"", "#let x = 1", "// c", "/* c */", "\\", "{", "}", "%",
    "::: {.x}", "| a |", ":::",
    "=cmd|' /C calc'!A0", "\u202eevil", "[^1]", "<https://x.org>", "a  b", "TeX \\textbf{x}",
]
# fmt: on
texts = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60))


class Words(HTMLParser):
    def __init__(self):
        super().__init__()
        self.text, self.tags = "", []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


@given(texts)
def test_in_html_a_cell_is_one_piece_of_text(text):
    reader = Words()
    reader.feed(f'<p title="{escape.html(text)}">{escape.html(text)}</p>')
    reader.close()
    assert reader.tags == ["p"]
    assert reader.text == escape.line(text)


def pandoc(text: str) -> str:
    command = [pypandoc.get_pandoc_path(), "--from", "markdown", "--to", "native", "--wrap=none"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True,
                          encoding="utf-8").stdout  # fmt: skip


def test_in_markdown_a_cell_is_words_alone():
    """Pandoc reads back exactly the words, with no other element, in paragraph and in table."""
    document = "\n\n".join(escape.markdown(text) for text in HOSTILE)
    elements = set(
        re.findall(
            r"\b([A-Z]\w+)\b(?=\s*[\[(\"]|\s*,|\s*\])",
            re.sub(r'"(?:[^"\\]|\\.)*"', '""', pandoc(document)),
        )
    )
    assert elements <= {"Para", "Str", "Space"}
    read = pypandoc.convert_text(document, "plain", "markdown", extra_args=["--wrap=none"])
    shown = [" ".join(line.split()) for line in read.splitlines() if line.strip()]
    assert shown == [" ".join(escape.line(text).split()) for text in HOSTILE]


def test_in_typst_a_cell_is_words_alone(tmp_path):
    """Typst compiles every hostile cell and finds in it text, spaces and breaks only."""
    import typst

    markup = ("strong", "emph", "link", "ref", "heading", "raw", "math.equation", "list", "enum",
              "terms", "smartquote", "linebreak")  # fmt: skip
    rules = "".join(f'#show {name}: it => panic("{name}")\n' for name in markup)
    body = "\n\n".join(f"#box[{escape.typst(text)}]" for text in HOSTILE)
    source = tmp_path / "x.typ"
    source.write_text(rules + body + "\n", encoding="utf-8")
    assert typst.compile(str(source)).startswith(b"%PDF")
    source.write_text(rules + "*x*\n", encoding="utf-8")
    with pytest.raises(Exception, match="strong"):
        typst.compile(str(source))


@given(texts)
def test_in_bibtex_braces_are_balanced_and_nothing_is_a_command(text):
    value = escape.bibtex(text)
    depth = 0
    for letter in re.sub(r"\\[&%$#_]", "", value):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0
    commands = set(re.findall(r"\\([A-Za-z]+)", value))
    known = {"textbackslash", "textbraceleft", "textbraceright", "textasciitilde",
             "textasciicircum", "textquotedbl"}  # fmt: skip
    assert commands <= known


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"), ("+cmd", "'+cmd"), ("@SUM(A1)", "'@SUM(A1)"), ("-2+3", "'-2+3"),
        ("\tx", "'\tx"),
        ("-0.5", "-0.5"), ("+1e-3", "+1e-3"), ("-", "-"), ("a=b", "a=b"), ("", ""),
        ("−0.5", "−0.5"),
    ],
)  # fmt: skip
def test_a_spreadsheet_shows_a_cell_instead_of_computing_it(text, written):
    assert escape.csv_formula(text) == written


def test_no_table_of_results_holds_a_formula(tmp_path):
    contract.TABLES["demo"] = contract.Table(
        "demo", "", (contract.Column("a", contract.TEXT, "", ""),), ()
    )
    try:
        path = contract.write(tmp_path, "demo", pd.DataFrame({"a": ["=cmd|x", "fine"]}))
    finally:
        del contract.TABLES["demo"]
    assert path.read_text() == "a\n'=cmd|x\nfine\n"


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "data:text/html,x", "//a.org/x", "ftp://a.org", "https://a.org/ x",
     'https://a.org/"x', "https://a.org/'x", "https://a.org/<b>", "https://a.org/\\x", "http://",
     "",     "https://a.org/x\n", "https://a.org/`x`", "https://a.org/{x}", "https://a.org/\u202ex"],
)  # fmt: skip
def test_an_address_that_could_do_harm_is_no_address(address):
    assert not escape.is_url(address)
    assert escape.url(address) == (
        "" if address.strip() == address else escape.url(address.strip())
    )


def test_every_tracked_address_may_be_linked_to(evidence):
    for name in ("studies", "outcomes", "directions", "responders", "independence", "safety"):
        for address in getattr(evidence, name)["source_url"]:
            assert escape.url(address)


def test_the_bibliography_stays_as_tracked_and_survives_any_title(evidence, tracked_raw):
    from analysis import evidence as module

    assert module.bibliography(evidence.studies) == (tracked_raw / "references.bib").read_text(
        encoding="utf-8"
    )
    studies = evidence.studies.head(2).copy()
    studies["title"] = ["An {unbalanced title \\input{x} & 5 %", "Next"]
    entries = module.bibliography(studies)
    read = pypandoc.convert_text(entries, "csljson", "bibtex")
    assert read.count('"id"') == 2 + len(OTHER_FIELDS)
    assert "Next" in read
