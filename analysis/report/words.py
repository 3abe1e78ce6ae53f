"""Numbers and names as people read them: digits, intervals, counts, cell classes, designs."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import numpy as np

from analysis import vocabulary
from analysis.evidence import label_of

SPACE = "\u00a0"
"""A space at which no line breaks."""

GROUP_WORDS = {
    "all": "all studies",
    "T1D": "type 1",
    "T2D": "type 2",
    "controlled": "with a control group",
    "uncontrolled": "without a control group",
    "at_diagnosis": "baseline at diagnosis",
}
CHOICES = {
    "unstated_spread": "spreads without a label",
    "medians": "medians",
    "se_source": "standard errors",
    "window": "time window",
    "tolerance": "tolerance of the window",
    "visit_open": "results for no visit",
    "overlaps": "shared patients",
    "untested": "signs without a test",
    "nulls": "known nulls",
    "unstated_measure": "unstated measure of C-peptide",
    "design": "design",
    "words": "results in words",
    "risk_of_bias": "risk of bias",
    "sources": "sources",
    "silent_trials": "silent trials",
    "words_se": "standard error of words",
    "r": "correlation before and after",
    "mu_prior": "prior of the mean",
    "tau_prior": "prior of the heterogeneity",
    "effects": "distribution of effects",
}
"""The choices of the analyst in words."""
METHODS = {
    "nuts": "NUTS (PyMC)",
    "exact": "exact (quadrature)",
    "dl": "DerSimonian–Laird",
    "pm": "Paule–Mandel",
    "hksj": "Hartung–Knapp (HKSJ)",
}


def known(value: object) -> bool:
    """Whether there is a number here."""
    return value is not None and not isinstance(value, str) and bool(np.isfinite(value))


def number(value: float, digits: int = 2) -> str:
    """A number for people: fixed digits, a true minus sign, an en dash for what is not known."""
    if not known(value):
        return "–"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def interval(low: float, high: float, digits: int = 2) -> str:
    """`low to high`, or an en dash when there is none."""
    if not (known(low) and known(high)):
        return "–"
    return f"{number(low, digits)} to {number(high, digits)}"


def count(value: float) -> str:
    """A whole number, or an en dash."""
    return "–" if not known(value) else f"{value:.0f}"


def percent(share: float, digits: int = 0) -> str:
    """A share as a percentage; never 0 % or 100 % where the share is neither."""
    if not known(share):
        return "–"
    value = 100 * share
    if digits == 0 and 0 < share < 1:
        if value < 1:
            return f"under 1{SPACE}%"
        if value > 99:
            return f"over 99{SPACE}%"
    return f"{number(value, digits)}{SPACE}%"


def chance(probability: float) -> str:
    """A probability as a percentage; never certain in either direction."""
    if not known(probability):
        return "–"
    return percent(min(max(probability, 1e-6), 1 - 1e-6))


def factor(value: float) -> str:
    """A Bayes factor in few digits: nobody needs to read more than `over 1000`."""
    if known(value) and value > 1000:
        return "over 1000"
    return number(value, 2 if known(value) and value < 1 else 1)


def percent_interval(low: float, high: float) -> str:
    """`10 % to 50 %`."""
    if not (known(low) and known(high)):
        return "–"
    return f"{percent(low)} to {percent(high)}"


PLURALS = {"study": "studies", "person": "people", "analysis": "analyses"}
"""Nouns whose plural takes more than an s."""


def plural(k: float, noun: str) -> str:
    """The noun as it stands after a number: `trial` after 1, `trials` after any other."""
    return noun if k == 1 else PLURALS.get(noun, f"{noun}s")


def some(k: float, noun: str) -> str:
    """`no trial`, `1 trial`, `4 trials`."""
    return f"no {noun}" if k == 0 else f"{count(k)} {plural(k, noun)}"


def none_or(k: float) -> str:
    """A count that stands without its noun: `none`, `4`."""
    return "none" if k == 0 else count(k)


def of(k: float, n: float, noun: str) -> str:
    """`2 of 14 people`, `none of 14 people`, `1 of 1 person`."""
    return f"{none_or(k)} of {count(n)} {plural(n, noun)}"


def verb(k: float, many: str, one: str) -> str:
    """The form of a verb that agrees with a count: `verb(k, "say", "says")`."""
    return one if k == 1 else many


def studies(k: float, noun: str = "study") -> str:
    """`1 study`, `4 studies`."""
    return some(k, noun)


def base(k: float, n: float, noun: str = "study") -> str:
    """`k studies, n patients`: what stands behind a number; patients only where some are known."""
    return f"{some(k, noun)}, {some(n, 'patient')}" if n > 0 else some(k, noun)


def listed(words: list[str], last: str = "and") -> str:
    """`a, b and c`; `last` stands before the last one."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def short(cell_class: str) -> str:
    """A cell class in few letters."""
    return vocabulary.CELL_CLASS_SHORT.get(cell_class, cell_class.replace("_", " "))


def group_label(kind: str, group: str) -> str:
    """A group of estimates in words."""
    return short(group) if kind == "cell_class" else GROUP_WORDS.get(group, group.replace("_", " "))


def study(label: str) -> str:
    """A study's label without what stands in brackets."""
    return re.sub(r"\s*\([^)]*\)", "", str(label))


def event(category: str) -> str:
    """A category of harm in words."""
    return vocabulary.EVENT_CATEGORIES.get(category, category.replace("_", " "))


def relation(word: str) -> str:
    """How an event was said to be related to the treatment."""
    return vocabulary.RELATIONS.get(word, word.replace("_", " "))


def sentence(text: str) -> str:
    """The text with a capital first letter and one full stop."""
    text = text.strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def choice(name: str) -> str:
    """A choice of the analyst in words."""
    return CHOICES.get(name, str(name).replace("_", " "))


MEASURES = {
    "MD": "mean difference",
    "MD (text says SMD pooled)": "mean difference (its text: standardised)",
    "SMD": "standardised mean difference",
    "RR": "relative risk",
    "proportion (%)": "share",
    "n (%)": "share",
}
"""Measures of earlier reviews as printed, in words."""
SHARES = ("proportion (%)", "n (%)")
REVIEWED = {
    r"\bT1D and T2D\b": "type 1 and type 2 diabetes",
    r"\bT1D\b": "type 1 diabetes",
    r"\bT2D\b": "type 2 diabetes",
    r"\bABM-MNC\b": "patients' own marrow mononuclear cells",
    r"\bBM-MNC\b": "marrow mononuclear cells",
    r"\bPB-MNC\b": "blood mononuclear cells",
    r"\bWJ-MSC\b": "umbilical cord MSC",
    r"\bUC-MSC\b": "umbilical cord MSC",
    r"cord blood \(UCB\)": "cord blood",
    r"\bAHSCT\b": "immune reset",
    r"\bHSC\b": "blood stem cell",
    r"\bMSC\b": "mesenchymal stromal cells",
    r"\bvs\b": "against",
    r"\bRCTs\b": "randomised trials",
    r"\bFPG\b": "fasting plasma glucose",
    r"\bAUC\b": "area under the curve",
}
"""Short forms in the wording of earlier reviews, and what they mean."""


def reviewed(text: str) -> str:
    """Words of an earlier review without their short forms."""
    for form, meaning in REVIEWED.items():
        text = re.sub(form, meaning, text)
    return text


def review(row: dict) -> str:
    """A review's author and year; where the pages that were read name none, the site."""
    if row["first_author"]:
        return label_of(row)
    year = f", {row['year']:.0f}" if known(row["year"]) else ""
    site = urlsplit(str(row["source_url"])).hostname or "address not seen"
    return f"authors not seen{year} ({site.removeprefix('www.')})"
