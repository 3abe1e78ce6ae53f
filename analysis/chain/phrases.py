"""Figures, strata and rows of the evidence as the lines of a chain say them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from analysis import effects, outcomes, vocabulary
from analysis.evidence import schema

ALL = "all"

UNTOLD = ("study_id", "line", "source_url", "seen_in", "extraction", "notes", "location",
          "caveats")  # fmt: skip
"""Columns of a raw row that its line of an explanation leaves out."""


def figures(one: Mapping) -> str:
    """The figures of an estimate, with what they rest on."""
    value = one["median"] if np.isnan(one["mean"]) else one["mean"]
    if one["scale"] == "probability" and not np.isnan(value):
        text = probability(value)
    else:
        text = number(value, one["unit"])
    further = ""
    if not np.isnan(one["pred_low"]):
        further = f"; a new study {figure(one['pred_low'])} to {figure(one['pred_high'])}"
    return with_basis(one, text, further)


def number(value: float, unit: str) -> str:
    return "no figure" if np.isnan(value) else f"{figure(value)} {unit}".strip()


def with_basis(one: Mapping, text: str, further: str = "") -> str:
    """A figure of an estimate or a claim with its interval, studies and patients."""
    if not np.isnan(one["ci_low"]):
        text += f" (95 % interval {figure(one['ci_low'])} to {figure(one['ci_high'])})"
    text += further
    if one["k_studies"] == one["k_studies"]:
        text += f"; {one['k_studies']:g} {'study' if one['k_studies'] == 1 else 'studies'}"
    if one["n_patients"] == one["n_patients"]:
        text += f", {one['n_patients']:g} patients"
    return text


def figure(value: float) -> str:
    """Three significant digits, never in powers of ten, and never a zero that is none."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    digits = 2 - int(np.floor(np.log10(abs(value))))
    return f"{value:.{min(max(digits, 0), 8)}f}"


def probability(value: float) -> str:
    if value <= 0.001:
        return "at most 0.001"
    return "at least 0.999" if value >= 0.999 else f"{value:.3f}"


def stratum_of(one: Mapping, cells: str = ALL) -> str:
    approach = vocabulary.APPROACHES.get(one["approach"], "all approaches")
    population = vocabulary.POPULATIONS[one["population"]]
    words = [approach, population]
    if cells not in (ALL, ""):
        words.append(vocabulary.CELL_CLASSES.get(cells, cells))
    return ", ".join(words)


def design_of(one: Mapping) -> str:
    return {
        "controlled": "contrasts against controls",
        "randomised": "randomised contrasts",
        "uncontrolled": "changes within the treated",
    }.get(one["design"], "all designs")


def when(one: Mapping) -> str:
    text = f"; threshold {one['threshold']:g}" if one["threshold"] == one["threshold"] else ""
    return text + (f"; month {one['month']:g}" if one["month"] == one["month"] else "")


def value_of(row: Mapping) -> str:
    """An effect's number and standard error, or what is known in its stead."""
    if row["kind"] != "numeric":
        return "in words or as a p-value only"
    about = outcomes.get(row["outcome"])
    se = np.sqrt(row["var_a"] - effects.Rules.r * row["var_b"])
    shown = f"{figure(about.shown(row['y']))} {'ratio' if about.is_ratio else about.unit}"
    scale = " on the log scale" if about.is_ratio else ""
    return shown + (f", SE {figure(se)}{scale}" if se == se else ", no spread printed")


def in_a_line(row: Mapping) -> str:
    cells = [text_of(value) for column, value in row.items() if column not in UNTOLD]
    return ", ".join(filter(None, cells))


def address_of(table: str, row: Mapping) -> list[str]:
    """Where a row was seen, one line; none where no address is printed."""
    if not row["source_url"]:
        return []
    seen = row["seen_in"] if "seen_in" in schema.TABLES[f"{table}.csv"] else ""
    return [f"{row['source_url']}{bracketed(seen.replace('_', ' '))}"]


def studies(k: float) -> str:
    return "study" if k == 1 else "studies"


def text_of(value: object) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:g}"
    return str(value)


def bracketed(text: str) -> str:
    return f" ({text})" if text else ""


def plain(text: object) -> str:
    """A name as people type it: letters and digits alone."""
    return re.sub(r"[^a-z0-9<>]+", "", str(text).lower())
