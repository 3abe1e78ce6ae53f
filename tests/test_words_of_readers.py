"""The face of the page speaks to readers: no key of a table, no short form before its meaning."""

import re
from html.parser import HTMLParser

import pytest
from report_text import prose

from analysis.evidence import label_of
from analysis.report import glossary

UNSEEN = {"nav", "style", "script", "title", "template", "code", "pre", "math", "option"}
UNDERSCORE = re.compile(r"\w*[A-Za-z]_[A-Za-z]\w*")
SHORT = re.compile(r"\b(?:[A-Z]{2,}\d*[A-Z]*|[A-Z]+[a-z]{1,3}[A-Z][A-Za-z0-9]*)s?\b")


class _Face(HTMLParser):
    """What stands on the page: no code, no small mark of an id, no chain to the sources."""

    def __init__(self):
        super().__init__()
        self.words: list[str] = []
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag, attributes):
        classes = set((dict(attributes).get("class") or "").split())
        hidden = tag in UNSEEN or (tag == "small" and "id" in classes) or "chain" in classes
        if tag not in ("br", "img", "meta", "link", "hr", "input", "col", "wbr"):
            self._open.append((tag, hidden or any(one for _, one in self._open)))

    def handle_endtag(self, tag):
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if not (self._open and self._open[-1][1]):
            self.words.append(data)


@pytest.fixture(scope="module")
def face(whole_page) -> str:
    reader = _Face()
    reader.feed(whole_page.read_text(encoding="utf-8"))
    return re.sub(r"\s+", " ", " ".join(reader.words))


@pytest.fixture(scope="module")
def run(tracked_run):
    return tracked_run


def test_the_reader_of_the_page_sees_what_stands_there(face):
    assert len(face) > 100_000 and "Known deaths" in face and "of 100" in face


def test_no_column_or_word_of_a_table_stands_on_the_page(face):
    assert not sorted(set(UNDERSCORE.findall(face)))


def test_no_study_is_called_by_its_key(face, run):
    keys = set(run.evidence.studies["study_id"]) | set(run.evidence.published["study_id"])
    assert not sorted(keys & set(re.findall(r"[\w]+", face)))


def test_nothing_of_it_stands_in_print_either(text_of):
    told = "\n".join([prose(), *text_of("tracked", verbatim=True).values()])
    told = re.sub(r"`[^`]*`|\$[^$]*\$", "", told)
    assert not sorted(set(UNDERSCORE.findall(told)))


def test_raw_cells_take_their_meaning_and_numbers_few_digits():
    assert glossary.told("outcome", "c_peptide_auc") == "C-peptide area under the curve"
    assert glossary.told("value", 0.1 + 0.2) == "0.3" and glossary.told("value", float("nan")) == ""
    assert glossary.told("arm", "treated_low_dose") == "treated low dose"
    assert glossary.named("as haller2009, not n2", {"haller2009": "Haller 2009"}) == (
        "as Haller 2009, not n2"
    )
    assert glossary.spoken("hba1c cell_infusion t1d controlled") == (
        "HbA1c, cell infusion, type 1 diabetes, controlled"
    )


MEANT = {
    "HbA1c": "HbA1c (blood sugar over months)",
    "GRADE": "GRADE: Grading of",
    "DOI": "DOI: digital object identifier",
    "MSC": "MSC: mesenchymal stromal cells",
    "RoB": "RoB 2 (Risk of Bias tool 2)",
    "ROBINS": "ROBINS-I (Risk Of Bias In",
    "PMID": "PMID: PubMed number",
    "SVF": "SVF: stromal vascular",
    "PRP": "PRP: platelet-rich",
    "ESPE": "ESPE: European Society",
    "SD": "SD: standard deviation",
    "SDs": "SDs (standard deviations)",
    "AUC": "AUC: area under the curve",
    "MMTT": "MMTT: mixed-meal tolerance test",
    "OGTT": "OGTT: oral glucose tolerance test",
    "NUTS": "NUTS: the No-U-Turn Sampler",
    "IU": "IU: international units",
    "PET": "PET and PEESE: regressions",
    "PEESE": "PET and PEESE: regressions",
    "PSMA": "RoBMA-PSMA: robust Bayesian",
    "RoBMA": "RoBMA-PSMA: robust Bayesian",
    "SE": "SE: standard error",
    "IQR": "IQR: interquartile range",
    "TIR": "TIR: time in range",
    "IDAA1C": "IDAA1C: insulin dose-adjusted HbA1c",
}
"""Short forms of the report, and how each is explained."""
NAMES = {
    "UFRJ", "USA", "DerSimonian", "CMAJ", "EudraCT", "ClinicalTrials", "NextCell", "ORBCEL",
    "PubMed", "HalfNormal", "HalfCauchy", "LogNormal", "LogStudentT", "TruncatedNormal", "StudentT",
}  # fmt: skip
"""Names of people, places, journals, registries, products and distributions."""


def test_every_short_form_has_its_meaning_where_it_is_first_met(face):
    late = []
    for form, meaning in MEANT.items():
        first = re.search(rf"\b{form}\b", face)
        explained = face.find(meaning)
        if first and (explained < 0 or first.start() < explained):
            late.append(f"{form}: …{face[max(0, first.start() - 60) : first.end() + 40]}…")
    assert not late


def test_no_short_form_is_used_without_standing_in_that_list(text_of):
    told = "\n".join([prose(), *text_of("tracked", figures=True).values()])
    told = re.sub(r"`[^`]*`|\$[^$]*\$|https?://\S+|\bNCT\d+", "", told)
    told = re.sub(r"\b[A-Z]\w+ [A-Z]{1,2}(?= et al|,? (19|20)\d\d|, )", "", told)  # authors
    assert not sorted(set(SHORT.findall(told)) - set(MEANT) - NAMES)


def test_no_meaning_is_kept_of_a_form_that_is_gone(face):
    assert not [form for form in MEANT if not re.search(rf"\b{form}\b", face)]


@pytest.mark.parametrize(
    ("author", "journal", "year", "label"),
    [
        ("Cai J", "Diabetes Care 2016;39:149", 2016.0, "Cai 2016"),
        ("not shown", "J Diabetes Metab Disord 2015;14:33", 2015.0, "J Diabetes Metab Disord 2015"),
        ("", "Endocrine Abstracts 2023", 2023.0, "Endocrine Abstracts 2023"),
        ("not shown", "", 2015.0, "authors not seen 2015"),
        ("", "Diabetes", float("nan"), "Diabetes"),
    ],
)
def test_a_study_without_a_known_author_is_called_by_its_journal(author, journal, year, label):
    study = {"first_author": author, "journal": journal, "year": year}
    assert label_of(study) == label


def test_no_study_is_called_not_shown(face):
    assert "not shown 2" not in face and "authors not seen, 2015)" not in face
