"""Results in words as bounds on z = y / se: censored observations instead of missing ones.

"Decreased, P < .05" says z < -1.96; "no significant difference" says |z| < 1.96; an exact p-value
with a direction gives z itself, and without one two points, plus and minus z. Words without a test
support a sign only and are marked untested. A known null that lacks what a headline needs (a group,
an arm size, a time, a journal) is named, so that a fit with all of them can stand beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from analysis import outcomes, vocabulary
from analysis.effects.conversions import z_from_p

Row = dict
INF = math.inf
SIGNIFICANCE_LEVEL = 0.05
BOUNDED = ("interval", "two_points")
"""Kinds of result whose z is not known but lies between two bounds, or at one of them."""
GROUP_NOT_VISIBLE = "group_not_visible"
"""The subgroup of a statement whose source does not show which patients it is about."""


@dataclass(frozen=True)
class Statement:
    """What one statement says of z; `kind` is interval, exact_p or two_points."""

    kind: str
    z_low: float
    z_high: float
    tested: bool
    flags: tuple[str, ...]


def never_enters(row: Row) -> str:
    """Why a row of directions.csv enters no model, or "" where it may."""
    label = vocabulary.OUTCOMES[row["outcome"]]
    if not outcomes.from_word(row["outcome"]):
        return f"{label} is not an outcome of this analysis"
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


def gap_of_null(row: Row, study: dict, *, no_size: bool = False) -> str:
    """What a known null lacks to be in a headline; "" where it lacks nothing or is no null.

    A null is a difference called not significant, or none at all. The gaps: the group is not
    visible; the contrast is not stated; the time is not printed; no arm sizes (`no_size`); known
    from a press release or a conference alone.

    Parameters
    ----------
    row : of directions.csv.
    study : its row of studies.csv.
    no_size : whether the sizes of the arms are unknown.
    """
    null = row["significant"] == "no" or row["direction"] == "no_difference"
    if not null or row["contrast"] not in ("treated_vs_control", "treated_vs_baseline"):
        return ""
    barred = set(row["caveats"].split()) & set(vocabulary.NEVER_ENTER) - {"contrast_not_stated"}
    if barred or not outcomes.from_word(row["outcome"]):
        return ""
    if row["subgroup"] not in ("", GROUP_NOT_VISIBLE):
        return ""
    gaps = []
    if row["subgroup"] == GROUP_NOT_VISIBLE:
        gaps.append("the group is not visible")
    if "contrast_not_stated" in row["caveats"].split():
        gaps.append("the contrast is not stated")
    if math.isnan(row["months_from"]) and math.isnan(row["months"]):
        gaps.append("the time is not printed")
    if no_size:
        gaps.append("arm sizes not printed")
    if study["include"] == "context" and study["publication_kind"] != "article":
        gaps.append("no journal")
    return ", ".join(gaps)


def is_tested(row: Row) -> bool:
    """Whether a statement rests on a test; a sign without one, or marked untested, does not."""
    return row["significant"] != "unstated" and "untested" not in row["caveats"].split()


def statement(row: Row) -> Statement:
    """The bounds on z that a row of directions.csv states.

    exact p with a direction: z; exact p with "no difference": z or -z (the sign is not printed);
    "<" or "significant" without p: beyond the bound; ">" or "not significant" without p: within the
    bound, on one side where a direction is printed; not tested: the sign alone.
    """
    sign = {"increase": 1, "decrease": -1, "no_difference": 0}[row["direction"]]
    p, relation = row["p_value"], row["p_relation"]
    tested = is_tested(row)
    has_p = not math.isnan(p) and p > 0
    if relation == "=" and has_p:
        z = z_from_p(p)
        if sign:
            return Statement("exact_p", sign * z, sign * z, tested, ())
        return Statement("two_points", -z, z, tested, ("sign_unknown",))
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


def month_of(row: Row, horizon: float) -> tuple[float, bool]:
    """The month for which a statement speaks, and whether its visit is open.

    A claim about a stretch of the follow-up, or about all of it, counts at the month of the stretch
    nearest to `horizon`; one without any time (a known null) counts at the horizon.

    Parameters
    ----------
    row : of directions.csv.
    horizon : month of the headline.

    Returns
    -------
    The month, and whether the visit is open.
    """
    low, high = row["months_from"], row["months_to"]
    if math.isnan(low) or math.isnan(high):
        low = high = row["months"]
    if math.isnan(low):
        return horizon, True
    return min(max(horizon, low), high), low != high
