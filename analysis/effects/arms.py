"""What one arm shows: several arms as one, a change within one, a level after treatment.

`Arm` holds the summaries of one arm by visit and scale; `merge` makes one arm of several (Cochrane
Handbook 6.5.2.10: the mean weighted by patients, the pooled SD with the part between the arms).
`results_of` lists every way in which an arm shows what happened by a visit, on the absolute or on
the log-ratio scale. A variance is var_a - r * var_b; one that cannot be known is NaN, and the
estimate is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from analysis.effects import conversions as conv
from analysis.effects.rules import Rules
from analysis.effects.summaries import NAN, NO_P, Printed, PValue, Summary, Unusable

NOTHING = 1e-9
"""Means and changes up to this are none: no logarithm, and no standard error from a p-value."""


Pair = tuple[Printed, Printed]
"""Levels before and after."""


@dataclass(frozen=True)
class Arm:
    """One arm, or several as one: what is printed, by visit and scale; visit 0 is the baseline."""

    names: tuple[str, ...]
    printed: dict[tuple[float, str], Printed] = field(default_factory=dict)

    def at(self, visit: float, scale: str) -> Printed | None:
        return self.printed.get((visit, scale))


@dataclass(frozen=True)
class ArmResult:
    """What an arm shows at a visit: its change, or a level after treatment (basis "follow_up").

    basis : "change", "levels", "percent" or "follow_up": what it rests on.
    var_a, var_b : by the protocol's order within the arm: the spread of the change itself, an exact
        p-value against baseline, the spreads before and after.
    spread_a, spread_b : by printed spreads alone. `own` says that they are of the change itself.
    lines : the rows behind it. y_lines : those behind the estimate alone.
    p_within : the p-value against baseline printed at this visit. se_ratio : the standard
        error by it over that by the printed spreads at the central correlation.
    """

    basis: str
    y: float
    var_a: float
    var_b: float
    spread_a: float
    spread_b: float
    own: bool
    n: float
    lines: tuple[int, ...]
    y_lines: tuple[int, ...]
    arms: tuple[str, ...]
    unit: str = ""
    flags: tuple[str, ...] = ()
    formula: str = ""
    note: str = ""
    at_diagnosis: bool = False
    p_within: PValue = NO_P
    se_ratio: float = NAN


# --- one row -------------------------------------------------------------------------------------


# --- several arms as one -------------------------------------------------------------------------


def pooled_sd(n: Sequence[float], mean: Sequence[float], sd: Sequence[float]) -> float:
    """SD of several groups as one: within and between (Cochrane Handbook table 6.5.a).

    A group of one patient has no spread of its own. NaN where a larger group's SD is not known, or
    where fewer than two patients are there.

    Parameters
    ----------
    n, mean, sd : patients, mean and SD of each group.

    References
    ----------
    Cochrane Handbook (version 6), table 6.5.a.
    """
    total = sum(n)
    if total < 2:
        return NAN
    centre = sum(k * m for k, m in zip(n, mean, strict=True)) / total
    within = sum((k - 1) * s**2 for k, s in zip(n, sd, strict=True) if k > 1)
    between = sum(k * (m - centre) ** 2 for k, m in zip(n, mean, strict=True))
    found = math.sqrt((within + between) / (total - 1))
    return found if found > 0 else NAN


def _merge_summaries(parts: Sequence[Summary]) -> Summary:
    n, mean = [p.n for p in parts], [p.mean for p in parts]
    total = sum(n)
    limits = [p.limit for p in parts]
    if any(math.isfinite(x) for x in limits) and not all(math.isfinite(x) for x in limits):
        raise Unusable("one arm lies below the detection limit, another does not")
    if len({p.unit for p in parts}) > 1:
        raise Unusable("the arms are printed in units that cannot be compared")
    logs = [math.log(m) if m > 0 else NAN for m in mean]
    return Summary(
        lines=tuple(line for p in parts for line in p.lines),
        n=total,
        mean=sum(k * m for k, m in zip(n, mean, strict=True)) / total,
        sd=pooled_sd(n, mean, [p.sd for p in parts]),
        absolute=all(p.absolute for p in parts),
        unit=parts[0].unit,
        flags=tuple(dict.fromkeys((*(f for p in parts for f in p.flags), "arms_combined"))),
        limit=max(limits),
        ranked=any(p.ranked for p in parts),
        log_sd=pooled_sd(n, logs, [p.log_sd for p in parts]),
    )


def merge(arms: Sequence[Arm]) -> Arm:
    """Several arms as one, for every visit and scale that each of them prints.

    The p-values against baseline of single arms are not those of all of them together; a p-value
    between arms is kept only where one arm is merged.
    """
    if len(arms) == 1:
        return arms[0]
    common = set.intersection(*(set(arm.printed) for arm in arms))
    found = {}
    for key in sorted(common):
        parts = [arm.printed[key] for arm in arms]
        try:
            summary = _merge_summaries([part.summary for part in parts])
        except Unusable:
            continue
        found[key] = Printed(summary, at_diagnosis=any(part.at_diagnosis for part in parts))
    return Arm(tuple(name for arm in arms for name in arm.names), found)


def merge_results(parts: Sequence[ArmResult]) -> ArmResult:
    """Changes of several arms, each on whatever scale it prints, as one change.

    The mean weighted by patients; the SD of the change pooled with the part between the arms, so
    that the variance of the mean is that SD squared over all patients.
    """
    if len(parts) == 1:
        return parts[0]
    n = [part.n for part in parts]
    total = sum(n)
    y = sum(k * part.y for k, part in zip(n, parts, strict=True)) / total
    between = sum(k * (part.y - y) ** 2 for k, part in zip(n, parts, strict=True))

    def variance(of: str, rest: float) -> float:
        # (k - 1) SD^2 of each arm, SD^2 being k times the variance of its mean.
        within = sum((k - 1) * k * getattr(p, of) for k, p in zip(n, parts, strict=True) if k > 1)
        return (within + rest) / ((total - 1) * total) if total > 1 else NAN

    first = parts[0]
    a, spread_a = variance("var_a", between), variance("spread_a", between)
    return replace(
        first,
        basis=first.basis if len({p.basis for p in parts}) == 1 else "mixed",
        y=y,
        var_a=a if a > 0 else NAN,
        var_b=variance("var_b", 0.0) if a > 0 else NAN,
        spread_a=spread_a if spread_a > 0 else NAN,
        spread_b=variance("spread_b", 0.0) if spread_a > 0 else NAN,
        own=all(p.own for p in parts),
        n=total,
        lines=tuple(dict.fromkeys(line for p in parts for line in p.lines)),
        y_lines=tuple(dict.fromkeys(line for p in parts for line in p.y_lines)),
        arms=tuple(name for p in parts for name in p.arms),
        flags=tuple(dict.fromkeys((*(f for p in parts for f in p.flags), "arms_combined"))),
        formula=first.formula + "; arms combined, weighted by patients",
        note=" ".join(p.note for p in parts if p.note),
        at_diagnosis=any(p.at_diagnosis for p in parts),
        p_within=NO_P,
        se_ratio=NAN,
    )


def limited(change: ArmResult, largest: float) -> ArmResult:
    """The change with no more patients than the study has: fewer patients, the variance as theirs.

    Parameters
    ----------
    change : of some arms together.
    largest : the patients of the study; NaN where it does not say how many it has.
    """
    if not change.n > largest:
        return change
    factor = change.n / largest
    return replace(
        change,
        n=largest,
        var_a=change.var_a * factor,
        var_b=change.var_b * factor,
        spread_a=change.spread_a * factor,
        spread_b=change.spread_b * factor,
        flags=(*change.flags, "n_of_study"),
        note=" ".join(
            part
            for part in (
                change.note,
                f"the arms print {change.n:g} patients, the study {largest:g}: counted as such",
            )
            if part
        ),
    )


def shared_out(change: ArmResult, among: int) -> ArmResult:
    """The change of a control that serves several contrasts: its patients shared out among them.

    Parameters
    ----------
    change : of the control.
    among : how many contrasts it serves.
    """
    return replace(
        change,
        n=change.n / among,
        var_a=change.var_a * among,
        var_b=change.var_b * among,
        spread_a=change.spread_a * among,
        spread_b=change.spread_b * among,
        flags=(*change.flags, "control_shared_out"),
    )


# --- a change within an arm ----------------------------------------------------------------------


def results_of(
    arm: Arm, visit: float, ratio: bool, outcome: str, rules: Rules
) -> tuple[list[ArmResult], str]:
    """Every way in which an arm shows its change from baseline to a visit, the preferred first.

    Parameters
    ----------
    arm : the arm.
    visit : months, after treatment.
    ratio : True for log ratios, False for differences.
    outcome : the word of outcomes.csv.

    Returns
    -------
    (list of ArmResult, reason): the reason says why the list is empty.

    Order of preference. Absolute: a printed change, then the difference of levels (the reverse by
    `rules.printed_change`), then (HbA1c) a percent change of a known baseline. Ratio: levels, then
    a percent change (the reverse by `rules.percent_first`).
    """
    before, after = arm.at(0, "level"), arm.at(visit, "level")
    percent = arm.at(visit, "percent_change") or arm.at(visit, "percent_of_baseline")
    moved = arm.at(visit, "change")
    reason = "no value after treatment"
    if after is not None and before is None:
        reason = "a level without a baseline and without a control arm"
    found: list[ArmResult] = []

    def attempt(make: Callable[..., ArmResult], *arguments: object) -> None:
        nonlocal reason
        try:
            found.append(make(*arguments))
        except Unusable as error:
            reason = str(error)

    pair = (before, after) if before is not None and after is not None else None
    if ratio:
        ways: list[tuple[object, Callable[..., ArmResult], tuple]]
        ways = [(pair, _ratio_of_levels, ()), (percent, _ratio_of_percent, ())]
        ways = ways[::-1] if rules.percent_first else ways
    else:
        ways = [(moved, _printed_change, (pair,)), (pair, _difference_of_levels, ())]
        ways = ways if rules.printed_change else ways[::-1]
    for given, make, further in ways:
        if given is not None:
            attempt(make, arm, given, *further, rules)
    if not ratio:
        if percent is not None and outcome == "hba1c" and before is not None:
            attempt(_percent_to_points, arm, percent, before, rules)
        elif percent is not None and not found:
            reason = "a relative change without a baseline level"
    diagnosis = before is not None and before.at_diagnosis
    return [replace(change, at_diagnosis=diagnosis) for change in found], reason


def se_ratio_of(y: float, p: PValue, df: float, by_spread: float) -> float:
    """Standard error by an exact p-value over that by printed spreads; NaN where one is missing.

    Parameters
    ----------
    y : the change or difference.
    p : its printed p-value.
    df : degrees of freedom of the test.
    by_spread : standard error by printed spreads.
    """
    by_p = var_from_p(y, p.exact, df)
    return math.sqrt(by_p / by_spread) if math.isfinite(by_p) and by_spread > 0 else NAN


def var_from_p(y: float, p: float, df: float) -> float:
    """Squared standard error (y / t)^2; NaN without a p, a change or a degree of freedom.

    Parameters
    ----------
    y : the change or difference.
    p : exact two-sided p-value of a t test.
    df : its degrees of freedom.
    """
    if math.isnan(p) or not df >= 1 or not abs(y) > NOTHING:
        return NAN
    return conv.se_from_p(y, p, df) ** 2


def _made(
    basis: str, arm: Arm, y: float, spread: tuple[float, float], own: bool, n: float,
    lines: tuple[int, ...], y_lines: tuple[int, ...], flags: tuple[str, ...], formula: str,
    p: PValue, rules: Rules, note: str = "", unit: str = "",
) -> ArmResult:  # fmt: skip
    """A change whose variance follows the protocol: its own spread, an exact p, other spreads."""
    a, b = spread
    var_p = var_from_p(y, p.usable(rules), n - 1)
    known = math.isfinite(a)
    first = known and (own or rules.se_source == "spread")
    if rules.se_source == "larger" and known and math.isfinite(var_p):
        first = a - rules.r * b >= var_p
    se_ratio = se_ratio_of(y, p, n - 1, a - rules.r * b)
    var_a, var_b = a, b
    if math.isfinite(var_p) and not first:
        var_a, var_b = var_p, 0.0
        flags, lines = (*flags, "se_from_p"), (*lines, *p.lines)
        formula += "; se = |y| / t of the exact p-value against baseline"
    return ArmResult(
        basis, y, var_a, var_b, a, b, own and known, n, tuple(dict.fromkeys(lines)), y_lines,
        arm.names, unit, tuple(dict.fromkeys(flags)), formula, note, p_within=p, se_ratio=se_ratio,
    )  # fmt: skip


def _first_p(*rows: Printed | None) -> PValue:
    """The p-value against baseline of a visit: an exact one before a bound."""
    found = [row.p_within for row in rows if row is not None and row.p_within.relation]
    exact = [p for p in found if p.relation == "="]
    return (exact or found or [NO_P])[0]


def _ratio_of_levels(arm: Arm, pair: Pair, rules: Rules) -> ArmResult:
    before, after = pair[0].summary, pair[1].summary
    if math.isfinite(before.limit) or math.isfinite(after.limit):
        raise Unusable("a level below the detection limit: no ratio exists")
    if not (before.mean > NOTHING and after.mean > NOTHING):
        raise Unusable("a ratio of means needs positive means")
    if before.unit != after.unit:
        raise Unusable("the levels are printed in units that cannot be compared")
    y = math.log(after.mean / before.mean)
    flags = (*before.flags, *after.flags)
    spread, formula = (NAN, NAN), "log(mean after / mean before)"
    if math.isfinite(before.log_sd) and math.isfinite(after.log_sd):
        spread = conv.change_variance(before.log_sd, before.n, after.log_sd, after.n)
        flags = (*flags, "geometric_ci")
        formula += "; variance (s0^2 + s1^2 - 2 r s0 s1) / n of the logarithms"
    elif math.isfinite(before.sd) and math.isfinite(after.sd) and min(before.n, after.n) > 1:
        values = before.mean, before.sd, before.n, after.mean, after.sd, after.n
        spread = conv.log_ratio_variance(*values)
        formula += "; variance by the delta method (Lajeunesse 2011)"
        if rules.small_sample:
            add_y, add_var = conv.log_ratio_correction(*values)
            y, spread = y + add_y, (spread[0] + add_var, spread[1])
            flags = (*flags, "small_sample")
    lines = (*before.lines, *after.lines)
    p = _first_p(pair[1])
    return _made("levels", arm, y, spread, False, after.n, lines, lines, flags, formula, p, rules,
                 unit=after.unit)  # fmt: skip


def _ratio_of_percent(arm: Arm, percent: Printed, rules: Rules) -> ArmResult:
    relative = percent.summary
    if not relative.mean > NOTHING:
        raise Unusable("the printed relative change leaves nothing: no logarithm")
    y, flags = math.log(relative.mean), relative.flags
    spread, formula = (NAN, NAN), "log(1 + percent change / 100)"
    if math.isfinite(relative.log_sd):
        spread, flags = (relative.log_sd**2 / relative.n, 0.0), (*flags, "geometric_ci")
        formula += "; variance from its interval on the log scale"
    elif math.isfinite(relative.sd) and relative.n > 1:
        spread = (relative.sd / relative.mean) ** 2 / relative.n, 0.0
        formula += "; variance by the delta method from the SD of the percent change"
    return _made("percent", arm, y, spread, True, relative.n, relative.lines, relative.lines, flags,
                 formula, _first_p(percent), rules)  # fmt: skip


def _difference_of_levels(arm: Arm, pair: Pair, rules: Rules) -> ArmResult:
    before, after = pair[0].summary, pair[1].summary
    if not (before.absolute and after.absolute):
        raise Unusable("the unit supports ratios only")
    lines = (*before.lines, *after.lines)
    flags = (*before.flags, *after.flags)
    none = (NAN, NAN)
    if math.isfinite(after.limit):
        raise Unusable("the level after treatment is below the detection limit")
    if math.isfinite(before.limit):
        y = after.mean - before.limit / 2
        note = (
            f"baseline below {before.limit:g}: the gain lies between {after.mean - before.limit:g} "
            f"and {after.mean:g}"
        )
        return _made("levels", arm, y, none, False, after.n, lines, lines,
                     (*flags, "censored_baseline"), "mean after - half the detection limit",
                     NO_P, rules, note)  # fmt: skip
    y = after.mean - before.mean
    spread, formula = none, "mean after - mean before"
    if math.isfinite(before.sd) and math.isfinite(after.sd) and min(before.n, after.n) > 1:
        spread = conv.change_variance(before.sd, before.n, after.sd, after.n)
        formula += "; variance (s0^2 + s1^2 - 2 r s0 s1) / n"
    return _made("levels", arm, y, spread, False, after.n, lines, lines, flags, formula,
                 _first_p(pair[1]), rules)  # fmt: skip


def _printed_change(arm: Arm, moved: Printed, pair: Pair | None, rules: Rules) -> ArmResult:
    summary = moved.summary
    if not summary.absolute:
        raise Unusable("the unit supports ratios only")
    lines, flags, formula = summary.lines, summary.flags, "the printed change"
    spread, own = (NAN, NAN), False
    if math.isfinite(summary.sd) and summary.n > 1:
        spread, own = (summary.sd**2 / summary.n, 0.0), True
        formula += "; variance from its own spread"
    elif pair is not None:
        try:
            levels = _difference_of_levels(arm, pair, replace(rules, p_values=False))
        except Unusable:
            levels = None
        if levels is not None and math.isfinite(levels.spread_a):
            spread = levels.spread_a, levels.spread_b
            lines, flags = (*lines, *levels.lines), (*flags, *levels.flags)
            formula += "; variance (s0^2 + s1^2 - 2 r s0 s1) / n from the printed levels"
    p = _first_p(moved, pair[1] if pair else None)
    return _made("change", arm, summary.mean, spread, own, summary.n, lines, summary.lines, flags,
                 formula, p, rules)  # fmt: skip


def _percent_to_points(arm: Arm, percent: Printed, before: Printed, rules: Rules) -> ArmResult:
    relative, start = percent.summary, before.summary
    if not math.isfinite(start.mean):
        raise Unusable("a relative change without a baseline level")
    y = start.mean * (relative.mean - 1)
    spread = (NAN, NAN)
    if math.isfinite(relative.sd) and relative.n > 1:
        spread = (start.mean * relative.sd) ** 2 / relative.n, 0.0
    lines = (*start.lines, *relative.lines)
    flags = (*start.flags, *relative.flags, "percent_to_points")
    return _made("percent", arm, y, spread, True, relative.n, lines, lines, flags,
                 "percent change x baseline level / 100", _first_p(percent), rules)  # fmt: skip


def follow_up(arm: Arm, visit: float, ratio: bool) -> ArmResult:
    """A level after treatment, to be compared with that of another arm.

    On the ratio scale the log of the level. Raises Unusable with the reason.

    Parameters
    ----------
    arm : what is printed of it.
    visit : month.
    ratio : whether the log of the level is wanted.
    """
    row = arm.at(visit, "level")
    if row is None:
        raise Unusable("no level after treatment")
    level = row.summary
    if not math.isfinite(level.mean):
        raise Unusable("a level below the detection limit")
    if ratio and not level.mean > NOTHING:
        raise Unusable("a ratio of means needs positive means")
    if not ratio and not level.absolute:
        raise Unusable("the unit supports ratios only")
    flags = level.flags
    sd = level.sd / level.mean if ratio else level.sd
    if ratio and math.isfinite(level.log_sd):
        sd, flags = level.log_sd, (*flags, "geometric_ci")
    known = math.isfinite(sd) and level.n > 1
    a, b = (sd**2 / level.n, 0.0) if known else (NAN, NAN)
    formula = "log of the level after treatment" if ratio else "the level after treatment"
    return ArmResult(
        "follow_up", math.log(level.mean) if ratio else level.mean, a, b, a, b, known, level.n,
        level.lines, level.lines, arm.names, level.unit, flags, formula,
    )  # fmt: skip
