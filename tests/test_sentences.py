"""Computed sentences are sentences: number agrees with noun and verb, nothing is said twice.

The whole text is read on the tracked run, and on runs in which nothing is counted more than once or
not at all: what is right there is right for any result.
"""

import re

import pytest

MANY = (
    "studies|patients|groups|cohorts|trials|reports|months|years|people|deaths|analyses|headlines|"
    "infections|events|figures|facts|cancers|tumours|results|models|combinations|publications|"
    "extractors|rows|randomised contrasts|patient-years|points"
)
ONE = MANY.replace("people", "person").replace("studies", "study").replace("analyses", "analysis")
ONE = "|".join(word.removesuffix("s") for word in ONE.split("|"))
SOLE = ONE.replace("|report", "").replace("|result", "")
"""Those of them that are no verbs."""
ALONE = r"(?<![\w.,−-])(?<!\d )(?<!per 100 )"
"""Before a number that is no end of a longer one."""
FAULTS = {
    "a plural after one": rf"{ALONE}1 (?:{MANY})\b",
    "a singular after several": rf"{ALONE}(?:[2-9]|\d\d+) (?:{SOLE})\b(?!-)",
    "none as a number": rf"(?<!below ){ALONE}0 (?:{MANY}|with|in|of them|masked|clearly)\b",
    "a plural verb after one": rf"{ALONE}1 (?:(?:{ONE}|more)(?: that)?|of \d+(?: (?:{MANY}))?)"
    r" (?:are|have|do|say|judge|give|state|tell|were|print)\b",
    "a singular verb after several": rf"(?<!one of the )(?<!with ){ALONE}(?:[2-9]|\d\d+)"
    rf" (?:{MANY})(?: that)? (?:is|has|does|says|judges|counts|gives|states|tells|was)\b",
    "the same clause twice": r"(?:^|[;:,.|(\n]\s?)(\w[^;,.|\n]{7,}?)[;,] \1(?![\w%])",
    "stops upon stops": r"[;,:]\s*[.;,:](?!\w)|(?<!\.)\.\.(?!\.)|\(\s*\)|\(\s|\s\)| [,;](?=\s)",
    "a word twice": r"\b(?!had\b|that\b)([a-z]{2,}) \1\b",
    "a list of one with an and": r": and |; and\.|\band and\b",
    "no number": r"\bnan\b|\bNaN\b|\binf\b",
    "an article of nothing": r"\b(?:in|of|after|with) [.;,)]",
}  # fmt: skip
"""Kinds of faults of computed sentences -> what shows them."""


def faults(text: str) -> list[str]:
    """Every fault with the words around it."""
    text = text.replace("\u00a0", " ")
    found = []
    for kind, pattern in FAULTS.items():
        for match in re.finditer(pattern, text):
            around = text[max(0, match.start() - 50) : match.end() + 30]
            found.append(f"{kind}: …{around!r}")
    return found


def all_faults(text: dict[str, str]) -> list[str]:
    return [f"{place}: {fault}" for place, words in text.items() for fault in faults(words)]


@pytest.mark.parametrize(
    "text",
    ["9 judged related, in 1 groups", "in 0 groups and at least 10", "48 studies, 0 patients",
     "nobody counts it; nobody counts it", "in 1 group that judge it", "1 of 52 groups do not say",
     "3 study", "it is known.. Then", "2 groups that counts it", "(of 3 )", "none of of them",
     "11 trials, 0 masked"],
)  # fmt: skip
def test_the_faults_are_seen(text):
    assert faults(text)


@pytest.mark.parametrize(
    "text",
    ["1 group that judges it", "21 groups", "1.0 points lower", "2 of 14 people",
     "1 of 7 people had a tumour", "10 studies, 420 patients", "0 of 14", "1 to 99 of 100"],
)  # fmt: skip
def test_what_is_right_is_no_fault(text):
    assert not faults(text)


@pytest.fixture(params=["tracked", "few", "nobody"])
def text(request, text_of):
    return text_of(request.param, figures=True)


def test_no_computed_sentence_of_the_report_has_such_a_fault(text):
    assert len(text) > 60
    assert not all_faults(text)
