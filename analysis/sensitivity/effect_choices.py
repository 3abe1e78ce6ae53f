"""The choices of the multiverse of effects: their levels, the headline's own first, and what each
does. Words and changes of rules alone, so that the declared tables need not load an analysis."""

from __future__ import annotations

from typing import Any

RULES: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "unstated_spread": {
        "sd": ("an unlabelled spread is a standard deviation", {}),
        "se": ("an unlabelled spread is a standard error", {"unstated_spread": "se"}),
    },
    "medians": {
        "converted": ("medians converted to means", {}),
        "as_mean": ("medians taken as means", {"medians": False}),
    },
    "se_source": {
        "protocol": ("standard errors as the protocol says", {}),
        "spread": ("printed spreads before p-values", {"se_source": "spread"}),
        "larger": ("the larger of two standard errors", {"se_source": "larger"}),
    },
    "window": {
        "6-18": ("months: nearest to 12 within 6 to 18", {}),
        "9-15": ("months: nearest to 12 within 9 to 15", {"window": (9.0, 15.0)}),
        "3-24": ("months: nearest to 12 within 3 to 24", {"window": (3.0, 24.0)}),
    },
    "tolerance": {
        "half_month": ("visits up to half a month outside count", {}),
        "none": ("no tolerance at the ends of the window", {"tolerance": 0.0}),
    },
    "visit_open": {
        "in": ("claims about the whole follow-up count as month 12", {}),
        "out": ("claims without a visit left out", {"visit_open": "out"}),
    },
    "overlaps": {
        "declared": ("possibly shared patients counted once", {}),
        "shared": ("only surely shared patients counted once", {"overlaps": "shared"}),
    },
    "untested": {
        "out": ("signs without a test left out", {}),
        "in": ("signs without a test let in", {"untested": True}),
    },
    "nulls": {
        "placed": ("nulls only where group, size and journal are known", {}),
        "all": ("every known null", {"all_nulls": True}),
    },
    "unstated_measure": {
        "in": ("C-peptide of unstated measure pooled", {}),
        "out": ("C-peptide of unstated measure left out", {"unstated_measure": "out"}),
    },
}
"""Choices of how facts are read and who speaks: level -> meaning, changes of `Rules`."""
ROWS = {
    "design": {"controlled": "all controlled contrasts", "randomised": "randomised ones alone"},
    "words": {"in": "results in words as censored data", "out": "numbers alone"},
    "risk_of_bias": {"any": "any risk of bias", "low": "without high, serious or critical risk"},
    "sources": {"any": "facts wherever seen", "first_hand": "no fact seen second-hand only"},
    "silent_trials": {
        "out": "published results only",
        "entered": "every unreported registered controlled trial as a null of its planned size",
    },
}
MODEL = {
    "words_se": {
        "as_is": "standard error of words as it is",
        "half": "standard error of words halved",
        "three_quarters": "standard error of words times 0.75",
        "one_and_a_half": "standard error of words times 1.5",
    },
    "r": {
        "posterior": "pre-post correlation at its posterior mean",
        "low": "one prior SD lower",
        "high": "one prior SD higher",
    },
    "mu_prior": {
        "normal": "prior of the mean as in the headline",
        "sceptical": "SD of the prior of the mean halved",
        "wide": "SD of the prior of the mean times five",
    },
    "tau_prior": {
        "half_normal": "prior of tau as in the headline",
        "half_normal_narrow": "scale of the prior of tau halved",
        "half_cauchy": "half-Cauchy prior of tau",
        "empirical": "log-normal prior of tau after Rhodes et al. 2015",
    },
    "effects": {"normal": "normal random effects", "student_t": "Student-t, 4 degrees of freedom"},
}
CHOICES = {
    **{choice: {level: what for level, (what, _) in levels.items()}
       for choice, levels in RULES.items()},
    **ROWS,
    **MODEL,
}  # fmt: skip
