"""What an outcome is: one frozen row each, and nowhere else.

Everything that must know about an outcome (its raw words and their order, scale, unit, which
direction is good, what difference matters, how few studies may be pooled, how it is called in a
text, on an axis and in the terminal) reads it here. Every other list in the project is derived.
Adding an outcome means a row here, its priors, and tests.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from analysis import vocabulary

LOG_RATIO, DIFFERENCE, SHARE, RATE, MONTHS = "log_ratio", "difference", "share", "rate", "months"
SCALES = {
    LOG_RATIO: "log of a ratio of means; 0 means no difference",
    DIFFERENCE: "difference in the outcome's unit; 0 means no difference",
    SHARE: "share of patients, 0 to 1",
    RATE: "events per 100 patient-years",
    MONTHS: "months since insulin was stopped",
}
CONTINUOUS, COUNT, HARM, DURATION = "continuous", "count", "harm", "duration"


@dataclass(frozen=True)
class Outcome:
    """One outcome.

    Attributes
    ----------
    name : its word in every table the project writes.
    kind : "continuous" (contrasts of means), "count" (so many of so many patients), "harm"
        (events in patient-years) or "duration".
    raw : the words of the raw tables it is read from, the preferred one first.
    scale : the scale its model works on, a key of `SCALES`.
    unit : unit on that scale.
    good : +1 where more is better, -1 where less is, 0 where neither.
    important : differences that matter, signed, on the scale readers see (ratios as ratios); of a
        harm the rate to fall under.
    family : family of outcomes in risk_of_bias.csv that judges it: objective, insulin or safety.
    min_results : fewest results that are numbers (standard error known or learnt) behind a mean.
    title : its name in a heading or a table.
    noun : its name in the middle of a sentence.
    axis : label of a figure's axis, with the unit and which side is better.
    suffix : the unit after a number in a sentence, with its leading space.
    digits : decimals of a number in text.
    short : its name in the terminal.
    """

    name: str
    kind: str
    raw: tuple[str, ...]
    scale: str
    unit: str
    good: int
    important: tuple[float, ...]
    family: str
    title: str
    noun: str
    axis: str
    suffix: str = ""
    digits: int = 2
    short: str = ""
    min_results: int = 2

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ValueError(f"{self.name}: no such scale: {self.scale}")
        if self.good not in (-1, 0, 1):
            raise ValueError(f"{self.name}: good is -1, 0 or 1")

    @property
    def is_ratio(self) -> bool:
        """Whether it is modelled as a log ratio and shown as a ratio."""
        return self.scale == LOG_RATIO

    @property
    def neutral(self) -> float:
        """The number, as readers see it, that means no difference."""
        return 1.0 if self.is_ratio else 0.0

    def shown(self, value: float) -> float:
        """A number on the model's scale as readers see it. Ratios only change."""
        return math.exp(value) if self.is_ratio else value

    def modelled(self, value: float) -> float:
        """A number as readers see it on the model's scale."""
        return math.log(value) if self.is_ratio else value

    @property
    def finding(self) -> str:
        """Its name in a summary of findings, with what it is held against."""
        name = self.noun.removeprefix("the ")
        against = ", of all treated" if self.kind == COUNT else ", difference from controls"
        return (
            name[:1].upper()
            + name[1:]
            + (", treated against controls" if self.is_ratio else against)
        )

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Zero and the important differences, on the model's scale, signed towards good."""
        return (0.0, *(self.modelled(value) for value in self.important))


HORIZON = 12.0
"""Months at which a headline speaks: of the visit nearest to it in the window."""
WINDOW = (6.0, 18.0)
TOLERANCE = 0.5
"""Months by which a visit may miss the window and still count as planned (24 to 26 weeks are the
six-month visit)."""
NEAREST = f"at the visit nearest {HORIZON:.0f} months"
"""How a count at a visit is named where no rows say which month it was (`report.visits`)."""
_C_PEPTIDE = ("c_peptide_auc", "c_peptide_stimulated", "c_peptide_fasting", "c_peptide_unstated")


def _continuous(
    name: str, raw: tuple[str, ...], scale: str, unit: str, good: int,
    important: tuple[float, ...], family: str, title: str, noun: str, axis: str, **more: Any,
) -> Outcome:  # fmt: skip
    return Outcome(name, CONTINUOUS, raw, scale, unit, good, important, family, title, noun, axis,
                   **more)  # fmt: skip


def _count(
    name: str, raw: tuple[str, ...], good: int, family: str, title: str, noun: str
) -> Outcome:
    return Outcome(name, COUNT, raw, SHARE, "share", good, (0.1,), family, title, noun,
                   "patients, of 100", digits=0, short=title.lower())  # fmt: skip


UNDER = {"death": 1.0, "severe_infection": 5.0, "malignancy_or_tumour": 1.0}
"""Rates per 100 patient-years to fall under: the authors' choices, 1 for what cannot be undone."""


def _harm(word: str) -> Outcome:
    label = vocabulary.EVENT_CATEGORIES[word]
    under = (UNDER[word],) if word in UNDER else ()
    return Outcome(f"{HARM}_{word}", HARM, (word,), RATE, "per 100 patient-years", -1, under,
                   "safety", label[:1].upper() + label[1:], label, "per 100 patient-years",
                   digits=1, short=label)  # fmt: skip


_ALL = (
    _continuous(
        "c_peptide_ratio", _C_PEPTIDE, LOG_RATIO, "log ratio", 1, (1.25,), "objective",
        "C-peptide, ratio", "C-peptide", "ratio of C-peptide (log scale; right of 1: more)",
        suffix=" times", short="C-peptide",
    ),
    _continuous(
        "c_peptide_gain", _C_PEPTIDE[:3], DIFFERENCE, "nmol/L", 1, (0.2,), "objective",
        "C-peptide, gain", "C-peptide", "change of C-peptide, nmol/L (right of 0: more)",
        suffix=" nmol/L", short="C-peptide gain",
    ),
    _continuous(
        "hba1c", ("hba1c",), DIFFERENCE, "percentage points", -1, (-0.3, -0.5), "objective",
        "HbA1c", "HbA1c", "change of HbA1c, percentage points (left of 0: better)",
        suffix=" percentage points", short="HbA1c",
    ),
    _continuous(
        "insulin_dose", ("insulin_dose",), LOG_RATIO, "log ratio", -1, (0.8,), "insulin",
        "Insulin dose, ratio", "the insulin dose", "ratio of insulin dose (log scale; left of 1: "
        "less)", suffix=" times", short="insulin dose",
    ),
    _continuous(
        "insulin_dose_abs", ("insulin_dose",), DIFFERENCE, "IU/kg/day", -1, (), "insulin",
        "Insulin dose, change", "the insulin dose", "change of insulin dose, IU/kg/day (left of 0: "
        "less)", suffix=" IU/kg/day", short="insulin dose, change",
    ),
    _continuous(
        "time_in_range", ("time_in_range",), DIFFERENCE, "percentage points", 1, (), "objective",
        "Time in range", "time in range", "change of time in range, percentage points (right of 0: "
        "better)", suffix=" percentage points", digits=1, short="time in range", min_results=3,
    ),
    _continuous(
        "severe_hypoglycaemia", ("severe_hypoglycaemia",), DIFFERENCE,
        "events/patient-year", -1, (), "safety", "Severe hypoglycaemia, events",
        "severe hypoglycaemia", "change of severe hypoglycaemia, events per patient-year (left of "
        "0: better)", suffix=" events per patient-year", digits=1, short="severe hypoglycaemia",
        min_results=3,
    ),
    _count("ever_insulin_free", ("ever",), 1, "insulin", "Ever insulin-free",
           "ever free of insulin"),
    _count("insulin_free_12", ("at_time",), 1, "insulin", f"Insulin-free {NEAREST}",
           f"free of insulin {NEAREST}"),
    _count("c_peptide_detectable", ("c_peptide_stimulated", "engraftment"), 1, "objective",
           "C-peptide detectable", "with detectable C-peptide where there was none"),
    _count("hba1c_below_7", ("hba1c",), 1, "objective", "HbA1c under 7 %", "with HbA1c under 7 %"),
    _count("free_of_severe_hypoglycaemia", ("severe_hypoglycaemia",), 1, "safety",
           "Free of severe hypoglycaemia", "free of severe hypoglycaemia"),
    Outcome("insulin_free_duration", DURATION, ("duration_summary", "patient", "lasted"), MONTHS,
            "months", 1, (), "insulin", "Duration of insulin independence",
            "how long freedom from insulin lasts", "months since insulin was stopped",
            suffix=" months", digits=0, short="insulin-free, duration"),
    *(_harm(word) for word in vocabulary.EVENT_CATEGORIES),
)  # fmt: skip

OUTCOMES: dict[str, Outcome] = {outcome.name: outcome for outcome in _ALL}
"""Every outcome by name."""


def get(name: str) -> Outcome:
    """The row of one outcome. Raises KeyError that names the known ones."""
    if name not in OUTCOMES:
        raise KeyError(f"no such outcome: {name}; known: {', '.join(OUTCOMES)}")
    return OUTCOMES[name]


def of_kind(kind: str) -> tuple[str, ...]:
    """Names of the outcomes of one kind, in the order of the table."""
    return tuple(name for name, outcome in OUTCOMES.items() if outcome.kind == kind)


def from_word(word: str) -> tuple[Outcome, ...]:
    """The continuous outcomes that a word of outcomes.csv or directions.csv can give."""
    return tuple(o for o in OUTCOMES.values() if o.kind == CONTINUOUS and word in o.raw)


def names(outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    """Names of some outcomes."""
    return tuple(outcome.name for outcome in outcomes)


HEADLINES = ("c_peptide_ratio", "c_peptide_gain", "hba1c", "insulin_dose")
"""The continuous outcomes of the first page."""
