"""A numeric contrast of one study: what it holds, and what p-values say of its standard error."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from analysis.effects.arms import se_ratio_of, var_from_p
from analysis.effects.conversions import z_from_p
from analysis.effects.rules import Rules
from analysis.effects.summaries import NAN, PValue

FEWEST = 3
"""Patients an arm needs for its contrast to be pooled."""

TWO_WAYS_DIFFER = 1.3
"""Standard errors by a p-value and by printed spreads that differ by more are an oddity."""


@dataclass(frozen=True)
class Numeric:
    """One numeric contrast of one study.

    `spread_a` and `spread_b` are the variance by printed spreads alone, `se_ratio` the standard
    error by an exact p-value over that by the spreads at the central correlation (NaN where not
    both are printed), `p_exact` the exact p-value printed with it (NaN: none), `z_low` and `z_high`
    what a bound on p says of y / se where nothing else does. `printed` marks a difference between
    arms that the source itself prints; `displaced` is why another contrast of the same arms is
    used. `said` are the lines of directions.csv behind it.
    """

    outcome: str
    word: str
    months: float
    contrast: str
    y: float
    var_a: float
    var_b: float
    n_treated: float
    n_control: float
    lines: tuple[int, ...]
    flags: tuple[str, ...]
    formula: str
    note: str
    arm: str
    at_diagnosis: bool
    few: str
    spread_a: float = NAN
    spread_b: float = NAN
    se_ratio: float = NAN
    p_exact: float = NAN
    z_low: float = NAN
    z_high: float = NAN
    printed: bool = False
    displaced: str = ""
    said: tuple[int, ...] = ()

    @property
    def controlled(self) -> bool:
        return self.contrast != "uncontrolled_change"


@dataclass(frozen=True)
class Target:
    """What a contrast is of: the raw word, the effect's outcome, a log ratio or not, the visit."""

    word: str
    outcome: str
    ratio: bool
    visit: float


@dataclass(frozen=True)
class Size:
    """How many patients a study has; NaN where it does not say."""

    treated: float = NAN
    control: float = NAN


def too_few(n_treated: float, n_control: float = math.inf) -> str:
    """Why a contrast of so few patients is shown beside and never pooled; "" where it may be.

    Parameters
    ----------
    n_treated, n_control : patients of its arms; without controls the treated alone count.
    """
    who = "patients" if n_treated < FEWEST else "controls" if n_control < FEWEST else ""
    return f"fewer than three {who}: shown beside, never pooled" if who else ""


def bounds_on_z(y: float, var_a: float, p: PValue) -> tuple[float, float]:
    """What a bound on p says of y / se; only where no standard error is known.

    Parameters
    ----------
    y : the estimate.
    var_a : its variance, NaN where it is not known.
    p : the p-value printed with it.

    Returns
    -------
    low, high : bounds on z, one of them open or none of them known (NaN).
    """
    if math.isfinite(var_a) or p.relation not in ("<", ">") or not 0 < p.size < 1 or y == 0:
        return NAN, NAN
    z = z_from_p(p.size)
    low, high = (z, math.inf) if p.relation == "<" else (0.0, z)
    return (low, high) if y > 0 else (-high, -low)


def with_p(effect: Numeric, p: PValue, line: int, rules: Rules) -> Numeric | None:
    """The effect with its SE from a p-value printed with the same contrast in words.

    An exact p-value comes before spreads that are not of the change itself; a bound says something
    only where no spread is printed. None where the p-value adds nothing.

    Parameters
    ----------
    effect : a numeric contrast.
    p : the p-value.
    line : of directions.csv that prints it.
    rules : how printed facts are read.
    """
    df = effect.n_treated + (effect.n_control - 2 if effect.controlled else -1)
    var_p = var_from_p(effect.y, p.usable(rules), df)
    has_p = "se_from_p" in effect.flags
    by_spread = effect.spread_a - rules.r * effect.spread_b
    if math.isfinite(var_p) and not has_p:
        ratio = se_ratio_of(effect.y, p, df, by_spread)
        own = by_spread > 0 and effect.spread_b == 0
        first = not by_spread > 0 or (rules.se_source == "protocol" and not own)
        if rules.se_source == "larger" and by_spread > 0:
            first = var_p > by_spread
        if not first:
            return None if math.isnan(ratio) else replace(effect, se_ratio=ratio, p_exact=p.exact)
        return replace(
            effect,
            var_a=var_p,
            var_b=0.0,
            se_ratio=ratio,
            p_exact=p.exact,
            z_low=NAN,
            z_high=NAN,
            said=(*effect.said, line),
            flags=(*effect.flags, "se_from_p"),
            formula=effect.formula + "; se = |y| / t of the p-value printed in words",
        )
    low, high = bounds_on_z(effect.y, effect.var_a, p)
    if math.isnan(low) or math.isfinite(effect.z_low):
        return None
    return replace(effect, z_low=low, z_high=high, said=(*effect.said, line))
