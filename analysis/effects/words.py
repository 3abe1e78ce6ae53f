"""Results in words as bounds on z = y / se: censored observations instead of missing ones.

"Decreased, P < .05" says z < -1.96; "no significant difference" says |z| < 1.96; an exact p-value
with a direction gives z itself. Words without a test support a sign only and are marked untested.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from analysis import vocabulary
from analysis.effects.conversions import z_from_p

Row = dict
INF = math.inf
SIGNIFICANCE_LEVEL = 0.05


@dataclass(frozen=True)
class Statement:
    """What one statement says of z; `kind` is interval or exact_p."""

    kind: str
    z_low: float
    z_high: float
    tested: bool
    flags: tuple[str, ...]


def never_enters(row: Row) -> str:
    """Why a row of directions.csv enters no model, or "" where it may."""
    if row["outcome"] == "fasting_glucose":
        return "fasting glucose is not an outcome of this analysis"
    if row["contrast"] == "baseline_balance":
        return "a comparison before treatment is not an effect"
    caveats = row["caveats"].split()
    barred = [word for word in caveats if word in vocabulary.NEVER_ENTER]
    if barred:
        return "; ".join(vocabulary.DIRECTION_CAVEATS[word] for word in barred)
    if row["contrast"] == "control_vs_baseline":
        return "the control arm alone is not an effect of the treatment"
    if math.isnan(row["months_from"]) and math.isnan(row["months"]):
        return "time not printed"
    return ""


def statement(row: Row) -> Statement:
    """The bounds on z that a row of directions.csv states.

    exact p with a direction: z; exact p with "no difference": |z| up to that of p (the sign is not
    printed); "<" or "significant" without p: beyond the bound; ">" or "not significant" without p:
    within the bound, on one side where a direction is printed; not tested: the sign alone.
    """
    sign = {"increase": 1, "decrease": -1, "no_difference": 0}[row["direction"]]
    p, relation = row["p_value"], row["p_relation"]
    tested = row["significant"] != "unstated" and "untested" not in row["caveats"].split()
    has_p = not math.isnan(p) and p > 0
    if relation == "=" and has_p:
        z = z_from_p(p)
        if sign:
            return Statement("exact_p", sign * z, sign * z, tested, ())
        return Statement("interval", -z, z, tested, ("sign_unknown",))
    flags: tuple[str, ...] = ()
    if not has_p:
        p, flags = SIGNIFICANCE_LEVEL, ("p05_assumed",)
    bound = z_from_p(p)
    if row["significant"] == "yes" and sign:
        low, high = (bound, INF) if sign > 0 else (-INF, -bound)
    elif row["significant"] == "unstated" and sign:
        low, high, flags = (0.0, INF, ()) if sign > 0 else (-INF, 0.0, ())
    elif sign:
        low, high = (0.0, bound) if sign > 0 else (-bound, 0.0)
    else:
        low, high = -bound, bound
    return Statement("interval", low, high, tested, flags)


def nearest_month(row: Row, horizon: float) -> float:
    """The month nearest to `horizon` for which the statement speaks."""
    low, high = row["months_from"], row["months_to"]
    if math.isnan(low) or math.isnan(high):
        return row["months"]
    return min(max(horizon, low), high)
