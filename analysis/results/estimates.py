"""Estimates: every pooled or counted figure, told by its parts and found by them.

An estimate has parts (outcome, stratum, design, quantity, month, threshold, variant, method,
scale), never a composed name. Its `id` follows from the parts alone, so it is the same whatever
the order of rows. `one` gives exactly one estimate or raises: a renamed, doubled or dropped
estimate is an error, never a line that vanishes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from analysis import outcomes, vocabulary
from analysis.results.contract import (
    COUNT,
    NUMBER,
    TEXT,
    WORD,
    Column,
    ContractError,
    checked,
    column,
    declare,
)

ALL = "all"
APPROACHES = (*vocabulary.APPROACHES, ALL)
POPULATIONS = tuple(vocabulary.POPULATIONS)
DESIGNS = (*vocabulary.CONTRASTED, ALL)
QUANTITIES = {
    "mean": "mean of the studies' true effects (mu)",
    "prediction": "true effect of a new study: its interval is pred_low to pred_high",
    "tau": "standard deviation between studies",
    "tau_class": "standard deviation between the means of cell classes",
    "i_squared": "share of the variance that is between studies, 0 to 1",
    "probability": "probability that the mean lies beyond `threshold` on the good side",
    "new_study_probability": "probability that a new study's effect lies beyond `threshold`",
    "share": "share of patients in a typical study",
    "pooled_share": "share of all patients counted together: exact interval, no model",
    "share_above": "probability that the share in a typical study exceeds `threshold`",
    "rate": "events per 100 patient-years in a typical study",
    "rate_bound": "upper bound of the rate: one-sided, at the level `threshold`",
    "pooled_rate": "events over patient-years, all together: exact interval, no model",
    "rate_below": "probability that the rate lies below `threshold`",
    "survival": "share of the ever insulin-free who still are at `month`",
    "survival_of_treated": "share of all treated who are insulin-free at `month`",
    "survival_above": "probability that survival at `month` exceeds `threshold`",
    "median_duration": "months by which half of the ever insulin-free have resumed insulin",
    "bayes_factor": "evidence for against evidence against, given the data",
}
VARIANTS = {
    "headline": "the analysis of the protocol",
    "numbers_only": "without results in words",
    "all_nulls": "with every known null that lacks a group, an arm size or a journal",
    "words_se_0.5": "standard errors of results in words halved",
    "words_se_0.75": "standard errors of results in words times 0.75",
    "words_se_1.5": "standard errors of results in words times 1.5",
    "low_risk": "without high, serious or critical risk of bias",
    "strict_window": "without the half month of tolerance at both ends of the window",
    "visit_open_out": "without results told for no visit",
    "stated_measure": "without C-peptide of unstated measure",
    "with_untested": "with signs and words without a test",
    "registered_nulls": "with unreported registered controlled trials as nulls: a bound",
    "without_uncertain_studies": "without the studies the protocol names as contested",
    "joint": "controlled and uncontrolled together, with a bias term",
    "classes": "with a level of cell classes between the mean and the studies",
    "robust": "Student-t effects, 4 degrees of freedom",
    "bias_average": "averaged over models of publication bias",
    "sd_fixed": "unknown SDs at the centre of those learnt, r at its centre",
    "counts_only": "counts alone: no prior, no shrinkage",
    "with_bounds": "lower bounds beside exact counts",
    "exact_counts": "exact counts without lower bounds",
    "related": "events judged related to the treatment",
    **{word: f"family of survival curves: {name}" for word, name in vocabulary.CURVES.items()},
    "stacked": "families weighed by how well each predicts a study left out",
}
METHODS = {
    "exact": "deterministic quadrature or closed form",
    "nuts": "NUTS (PyMC)",
    "dl": "DerSimonian–Laird",
    "pm": "Paule–Mandel",
    "hksj": "Hartung–Knapp–Sidik–Jonkman, never narrower than the common-effect interval",
}
PARTS = ("outcome", "approach", "population", "cell_class", "design", "quantity", "month",
         "threshold", "variant", "method", "scale")  # fmt: skip
"""The key of an estimate."""
DEFAULTS = {"population": ALL, "cell_class": ALL, "design": ALL, "quantity": "mean",
            "variant": "headline", "method": "exact"}  # fmt: skip
"""What a part is when it is not named; `id` leaves these out."""
SCALES = (*outcomes.SCALES, "ratio", "percent", "probability", "bayes_factor")


class EstimateMissing(LookupError):
    """No estimate, or more than one, has the parts asked for."""


def figures(unit: str = "of the scale") -> tuple[Column, ...]:
    """The columns in which every estimate tells its figures."""
    names = {
        "median": "posterior median",
        "mean": "posterior mean (of a ratio: the geometric mean)",
        "sd": "posterior standard deviation",
        "ci_low": "lower end of the 95 % interval",
        "ci_high": "upper end of the 95 % interval",
        "pred_low": "lower end of the 95 % prediction interval of a new study",
        "pred_high": "upper end of the 95 % prediction interval of a new study",
        "tau": "posterior median of the SD between studies",
    }
    return tuple(column(name, NUMBER, meaning, unit) for name, meaning in names.items())


STRATUM = (
    column("outcome", WORD, "what is measured", words=outcomes.OUTCOMES),
    column("approach", WORD, "what is done", words=APPROACHES),
    column("population", WORD, "to whom", words=POPULATIONS),
)

ESTIMATES = declare(
    "estimates",
    "Every pooled or counted figure, one a row, told by its parts.",
    (
        column("id", WORD, "short name that `isletmeta explain` takes; follows from the parts"),
        *STRATUM,
        column("cell_class", TEXT, "class of cells within the approach; all where not split"),
        column("design", WORD, "which contrasts", words=DESIGNS),
        column("quantity", WORD, "what the figures are of", words=QUANTITIES),
        column("month", NUMBER, "months after treatment (durations: since insulin was stopped)",
               "months"),
        column("threshold", NUMBER, "what a probability or a bound speaks of", "as readers see it"),
        column("variant", WORD, "which analysis", words=VARIANTS),
        column("method", WORD, "how it was computed", words=METHODS),
        column("scale", WORD, "scale of the figures", words=SCALES),
        column("unit", TEXT, "unit of the figures"),
        column("k_studies", COUNT, "studies behind it"),
        column("n_patients", COUNT, "patients behind it, controls included"),
        *figures(),
        column("note", TEXT, "what a reader must know of it"),
    ),
    PARTS,
)  # fmt: skip


def estimate_id(parts: Mapping) -> str:
    """The short name of an estimate: its parts joined, the usual ones left out.

    Examples
    --------
    hba1c:cell_infusion:t2d:controlled, hba1c:cell_infusion:t2d:controlled:probability>-0.3
    """
    words = [str(parts["outcome"]), str(parts["approach"])]
    for name in ("population", "cell_class", "design", "quantity"):
        value = parts.get(name, DEFAULTS[name])
        if value != DEFAULTS[name]:
            words.append(str(value))
    ends = ""
    if np.isfinite(_number(parts.get("threshold"))):
        ends += f">{_number(parts['threshold']):g}"
    if np.isfinite(_number(parts.get("month"))):
        ends += f"@{_number(parts['month']):g}"
    words[-1] += ends
    for name in ("variant", "method"):
        value = parts.get(name, DEFAULTS[name])
        if value != DEFAULTS[name]:
            words.append(str(value))
    if parts.get("scale") in ("ratio", "percent"):
        words.append(str(parts["scale"]))
    return ":".join(words)


def _number(value: str | float | None) -> float:
    return float("nan") if value is None or value == "" else float(value)


def estimates(rows: Iterable[Mapping]) -> pd.DataFrame:
    """Estimates as the declared table, from rows that name their parts and figures.

    Parts not named are `DEFAULTS`, figures not named blank; `id` is made here.

    Raises
    ------
    ContractError : an unknown column or word, or two estimates with the same parts.
    """
    complete = []
    for row in rows:
        unknown = sorted(set(row) - set(ESTIMATES.names))
        if unknown:
            raise ContractError(f"estimates: not a column: {', '.join(unknown)}")
        full = {**DEFAULTS, **row}
        complete.append({**full, "id": estimate_id(full)})
    return checked(ESTIMATES, pd.DataFrame(complete, columns=ESTIMATES.names))


def find(table: pd.DataFrame, **parts: str | float | None) -> pd.DataFrame:
    """The estimates with these parts; parts not named may be anything.

    Raises KeyError for a part that is none, and for a word that is not of its list. Numbers are
    compared to eight digits.
    """
    ESTIMATES.require(parts)
    chosen = np.ones(len(table), dtype=bool)
    for name, value in parts.items():
        if name not in PARTS:
            raise KeyError(f"not a part of an estimate: {name}; parts: {', '.join(PARTS)}")
        if name in ("month", "threshold"):
            wanted = _number(value)
            chosen &= np.isclose(table[name], wanted, rtol=1e-7, atol=1e-9, equal_nan=True)
        else:
            chosen &= table[name].to_numpy() == value
    return table[chosen]


def one(table: pd.DataFrame, **parts: str | float | None) -> pd.Series:
    """The one estimate with these parts; parts not named are the usual ones.

    `scale` may be left out where the parts have only one.

    Raises
    ------
    EstimateMissing : when there is none, or more than one.
    """
    asked = {"month": np.nan, "threshold": np.nan, **DEFAULTS, **parts}
    found = find(table, **asked)
    if len(found) != 1:
        raise EstimateMissing(f"{len(found)} estimates for {asked}; exactly one was expected")
    return found.iloc[0]


def get(table: pd.DataFrame, **parts: str | float | None) -> pd.Series | None:
    """As `one`, but None where there is none. Raises EstimateMissing where there are several."""
    try:
        return one(table, **parts)
    except EstimateMissing as fault:
        if str(fault).startswith("0 "):
            return None
        raise


class Places:
    """Where each estimate stands in a table, for many questions like `one` and `get`.

    The answers are those of `one(table, ...)` and `get(table, ...)`.
    """

    def __init__(self, table: pd.DataFrame):
        self._table = table
        self._found: dict[tuple, list[int]] = {}
        columns = [table[name].tolist() for name in _SURE]
        for place, values in enumerate(zip(*columns, strict=True)):
            key = tuple(map(_alike, values))
            self._found.setdefault(key, []).append(place)
        self._scales = table["scale"].tolist()

    def one(self, **parts: str | float | None) -> pd.Series:
        """The one estimate with these parts, as `one`. Raises EstimateMissing."""
        asked = {"month": np.nan, "threshold": np.nan, **DEFAULTS, **parts}
        if not set(_SURE) <= set(asked):
            return one(self._table, **parts)
        unknown = set(asked) - set(PARTS)
        if unknown:
            raise KeyError(f"not a part of an estimate: {', '.join(sorted(unknown))}")
        ESTIMATES.require(asked)
        places = self._found.get(tuple(_alike(asked[name]) for name in _SURE), [])
        if "scale" in asked:
            places = [place for place in places if self._scales[place] == asked["scale"]]
        if len(places) != 1:
            raise EstimateMissing(f"{len(places)} estimates for {asked}; exactly one was expected")
        return self._table.iloc[places[0]]

    def get(self, **parts: str | float | None) -> pd.Series | None:
        """The one estimate with these parts, or None, as `get`. Raises where there are several."""
        try:
            return self.one(**parts)
        except EstimateMissing as fault:
            if str(fault).startswith("0 "):
                return None
            raise


_SURE = tuple(name for name in PARTS if name != "scale")


def _alike(value: object) -> object:
    """A part as it is compared: numbers to seven digits, none as one value."""
    if value is None or value == "" or (isinstance(value, float) and np.isnan(value)):
        return None
    return value if isinstance(value, str) else f"{float(value):.7g}"  # type: ignore[arg-type]
