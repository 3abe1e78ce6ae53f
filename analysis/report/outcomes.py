"""How each continuous outcome is called, measured and drawn: the words of the report, in one place.

Estimates carry the absolute insulin dose under `insulin_dose` with the scale `difference`; the
report keeps it apart as `insulin_dose_abs`, as the models and the effects table do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Outcome:
    """One continuous outcome.

    Attributes
    ----------
    name : its name in the effects table.
    published : its name in the table of estimates.
    label : its name in a heading or a table.
    noun : its name in the middle of a sentence.
    scale : the scale of its estimates that the report shows intervals from.
    unit : the unit after a number in a sentence, with its leading space.
    axis : label of the axis of a figure.
    good : +1 where more is better, -1 where less is better.
    digits : decimals of a number in text.
    """

    name: str
    published: str
    label: str
    noun: str
    scale: str
    unit: str
    axis: str
    good: int
    digits: int = 2

    @property
    def is_ratio(self) -> bool:
        """Whether effects are log ratios, shown as ratios on a logarithmic axis."""
        return self.scale == "log_ratio"

    @property
    def neutral(self) -> float:
        """The number that means no change."""
        return 1.0 if self.is_ratio else 0.0

    def shown(self, value):
        """A number of the model's scale as readers see it."""
        return np.exp(value) if self.is_ratio else value


_ALL = (
    Outcome(
        "c_peptide_ratio",
        "c_peptide_ratio",
        "C-peptide, ratio",
        "C-peptide",
        "log_ratio",
        " times",
        "ratio of C-peptide (log scale; right of 1: more insulin made)",
        1,
    ),
    Outcome(
        "c_peptide_gain",
        "c_peptide_gain",
        "C-peptide, gain",
        "C-peptide",
        "difference",
        " nmol/L",
        "change of C-peptide, nmol/L (right of 0: more insulin made)",
        1,
    ),
    Outcome(
        "hba1c",
        "hba1c",
        "HbA1c",
        "HbA1c",
        "difference",
        " percentage points",
        "change of HbA1c, percentage points (left of 0: better)",
        -1,
    ),
    Outcome(
        "insulin_dose",
        "insulin_dose",
        "Insulin dose, ratio",
        "the insulin dose",
        "log_ratio",
        " times",
        "ratio of insulin dose (log scale; left of 1: less insulin)",
        -1,
    ),
    Outcome(
        "insulin_dose_abs",
        "insulin_dose",
        "Insulin dose, change",
        "the insulin dose",
        "difference",
        " IU/kg/day",
        "change of insulin dose, IU/kg/day (left of 0: less insulin)",
        -1,
    ),
    Outcome(
        "time_in_range",
        "time_in_range",
        "Time in range",
        "time in range",
        "difference",
        " percentage points",
        "change of time in range, percentage points",
        1,
        1,
    ),
    Outcome(
        "severe_hypoglycaemia",
        "severe_hypoglycaemia",
        "Severe hypoglycaemia, ratio",
        "severe hypoglycaemia",
        "log_ratio",
        " times",
        "ratio of severe hypoglycaemia (log scale)",
        -1,
    ),
)
OUTCOMES = {outcome.name: outcome for outcome in _ALL}
HEADLINES = ("c_peptide_ratio", "c_peptide_gain", "hba1c", "insulin_dose")
DESIGNS = {
    True: "with a control group",
    False: "without a control group (against the patients' own baseline)",
}
