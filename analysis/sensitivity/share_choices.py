"""The choices of the multiverse of shares: their levels, the headline's own first, and what each
does. Words and changes of readings alone, as in `effect_choices`."""

from __future__ import annotations

from typing import Any

READINGS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "window": {
        "protocol": ("visits as the protocol says", {}),
        "9-15": ("visits within 9 to 15 months", {"window": (9.0, 15.0)}),
        "3-24": ("visits within 3 to 24 months", {"window": (3.0, 24.0)}),
    },
    "tolerance": {
        "half_month": ("visits up to half a month outside count", {}),
        "none": ("no tolerance at the ends of the window", {"tolerance": 0.0}),
    },
    "any_time": {
        "any": ("what may be counted at any time is", {}),
        "visit": ("counted at the visit nearest 12 months only", {"any_time": False}),
        "half_year": (
            "counted at the visit nearest 6 months only",
            {"any_time": False, "horizon": 6.0},
        ),
    },
    "overlaps": {
        "declared": ("possibly shared patients counted once", {}),
        "shared": ("only surely shared patients counted once", {"overlaps": "shared"}),
    },
}
"""Choices of which counts speak: level -> meaning, changes of `share_facts.Reading`."""
COUNTS = {
    "not_seen": {"not_reached": "treated but not seen: in the denominator, not counted as reached",
                 "left_out": "treated but not seen: left out of the denominator"},
    "lower_bounds": {"bounds": "lower bounds as bounds", "exact": "lower bounds as exact counts"},
    "cells": {"all": "all cell classes of the approach",
              "islets": "finished islets alone, progenitors left out",
              "msc": "mesenchymal stromal cells alone"},
    "risk_of_bias": {"any": "any risk of bias", "low": "without high, serious or critical risk"},
    "sources": {"any": "facts wherever seen", "first_hand": "no fact seen second-hand only"},
}  # fmt: skip
MODEL = {
    "tau_prior": {
        "half_normal": "prior of tau as in the headline",
        "narrow": "scale of the prior of tau halved",
        "wide": "scale of the prior of tau doubled",
    },
    "mu_prior": {
        "normal": "prior of the mean as in the headline",
        "wide": "SD of the prior of the mean doubled",
    },
    "alone": {
        "clopper_pearson": "one cohort alone: k of n with its exact interval",
        "jeffreys": "one cohort alone: median and interval of the Jeffreys posterior",
    },
}
CHOICES = {
    **{choice: {level: what for level, (what, _) in levels.items()}
       for choice, levels in READINGS.items()},
    **COUNTS,
    **MODEL,
}  # fmt: skip
"""Choices that are combined. Leaving a study out is combined with none of them."""
CONCLUSIONS = ("above_half", "open", "below_half", "no_study")
