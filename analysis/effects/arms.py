"""What one arm shows: a printed row as mean and SD in our unit, and a change within the arm.

`summarise` turns a row of outcomes.csv into a `Summary`. `change` combines the rows of one arm, on
the absolute or on the log-ratio scale, into a `Change` whose variance is var_a - r * var_b. A
variance that cannot be known is NaN; the estimate is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from analysis import units, vocabulary
from analysis.effects import conversions as conv
from analysis.effects.rules import Rules

Row = dict
NAN = math.nan


class Unusable(ValueError):
    """A row that gives no effect; the message is the reason in the exclusions table."""


@dataclass(frozen=True)
class Summary:
    """A printed row: mean and SD (NaN if unknown) in our unit, and how they were found.

    `limit` is the detection limit, in our unit, under which all values lie; NaN for a number.
    `ranked` marks medians with quartiles or a range, whose p-values are of rank tests.
    """

    line: int
    months: float
    n: float
    mean: float
    sd: float
    absolute: bool
    flags: tuple[str, ...] = ()
    limit: float = NAN
    ranked: bool = False


@dataclass(frozen=True)
class Change:
    """A change within one arm, or a level after treatment where there is no baseline.

    `lines` are the rows behind it; `y_lines` those behind the estimate alone, where others served
    only its variance. `p_between` is the exact p-value of the printed change between arms.
    """

    y: float
    var_a: float
    var_b: float
    n: float
    lines: tuple[int, ...]
    flags: tuple[str, ...] = ()
    formula: str = ""
    note: str = ""
    at_diagnosis: bool = False
    p_between: float = NAN
    from_levels: bool = False
    arms: tuple[str, ...] = ()
    y_lines: tuple[int, ...] = ()


def _sd(row: Row, rules: Rules, n: float) -> tuple[float, tuple[str, ...], bool]:
    """SD in the printed unit, flags, and whether the row is a rank summary."""
    kind, spread = row["spread_kind"], row["spread"]
    low, high = row["spread_low"], row["spread_high"]
    flags: tuple[str, ...] = ()
    if kind == "none":
        return NAN, flags, False
    if not math.isnan(spread):
        if kind == "unstated":
            kind = rules.unstated_spread
            small = row["outcome"] == "hba1c" and row["unit"] == "%" and row["scale"] == "level"
            if small and spread < vocabulary.SMALLEST_HBA1C_SD:
                kind = "se"
            flags = (f"unstated_as_{kind}",)
        return (conv.sd_from_se(spread, n) if kind == "se" else spread), flags, False
    if math.isnan(low) or math.isnan(high):
        return NAN, flags, False
    if kind == "unstated":
        kind = rules.unstated_pair
        flags = (f"unstated_as_{kind}",)
    if kind == "ci95":
        return conv.sd_from_ci(low, high, n), (*flags, "ci_sd"), False
    if n < 3:
        return NAN, flags, True
    if kind == "iqr":
        return conv.sd_from_iqr(low, high, n), (*flags, "wan_sd"), True
    return conv.sd_from_range(low, high, n), (*flags, "wan_sd"), True


def summarise(row: Row, rules: Rules) -> Summary:
    """A row of outcomes.csv as mean and SD in our unit.

    Percent changes and percents of baseline are given as a ratio to baseline (1 = unchanged).
    Raises Unusable when the row has neither a value nor a detection limit.
    """
    if row["scale"] in ("percent_change", "percent_of_baseline"):
        scale = units.Scale(0.01, 1.0 if row["scale"] == "percent_change" else 0.0, absolute=False)
    else:
        scale = units.scale(row["outcome"], row["unit"])
    months, n, line = row["months"], row["n"], int(row["line"])
    value = row["value"]
    if math.isnan(value):
        limit = row["spread_high"]
        if row["scale"] == "level" and math.isnan(row["spread_low"]) and not math.isnan(limit):
            found = scale.level(limit)
            return Summary(line, months, n, NAN, NAN, scale.absolute, limit=found)
        raise Unusable("only a range is printed, no mean or median")
    try:
        sd, flags, ranked = _sd(row, rules, n)
    except ValueError as error:
        sd, flags, ranked = NAN, (f"no_sd:{str(error).replace(' ', '_')}",), False
    is_median = row["statistic"] == "median" or (ranked and row["statistic"] == "unstated")
    if is_median and ranked and rules.medians and not math.isnan(sd):
        quartiles = row["spread_kind"] == "iqr" or "unstated_as_iqr" in flags
        rule = conv.mean_from_iqr if quartiles else conv.mean_from_range
        value = rule(row["spread_low"], value, row["spread_high"], n)
        flags = (*flags, "luo_mean")
    elif is_median:
        flags = (*flags, "median_as_mean")
    offset_free = row["scale"] in ("change", "between_arm_difference")
    mean = scale.difference(value) if offset_free else scale.level(value)
    return Summary(
        line, months, n, mean, scale.difference(sd), scale.absolute, flags, ranked=ranked
    )


def _exact_p(row: Row, contrast: str, rules: Rules) -> float:
    usable = row["p_relation"] == "=" and row["p_contrast"] == contrast and rules.p_values
    p = row["p_value"]
    return p if usable and 0 < p <= rules.largest_p else NAN


def change(rows: list[Row], months: float, ratio: bool, rules: Rules) -> Change:
    """The change of one arm from baseline to `months`, absolute or as a log ratio.

    `rows` are the rows of one arm and outcome without caveats. Raises Unusable with the reason.

    Order of preference. Absolute: a printed change, then the difference of levels, then (HbA1c) a
    percent change of a known baseline. Ratio: what has a known variance first, then levels before a
    percent change. Variance: the SD of the change itself, then its exact p-value within the arm,
    then the SDs before and after with the correlation r.
    """
    later = [row for row in rows if row["months"] == months]
    printed = {row["scale"]: row for row in later}
    baseline = next((r for r in rows if r["months"] == 0 and r["scale"] == "level"), None)
    diagnosis = baseline is not None and str(baseline["baseline_state"]).startswith("at_diagnosis")
    outcome = rows[0]["outcome"]

    pair: tuple[Summary, Summary] | None = None
    reason = "no value after treatment"
    if "level" in printed:
        if baseline is None:
            reason = "a level without a baseline and without a control arm"
        else:
            pair = summarise(baseline, rules), summarise(printed["level"], rules)
    options: list[Change] = []

    def percent_row() -> Row | None:
        return printed.get("percent_change") or printed.get("percent_of_baseline")

    if ratio:
        if pair is not None:
            try:
                options.append(_ratio_of_levels(pair, printed["level"], rules))
            except Unusable as error:
                reason = str(error)
        row = percent_row()
        if row is not None:
            try:
                options.append(_ratio_of_percent(row, rules))
            except Unusable as error:
                reason = str(error)
        # A known variance first; then levels, or the percent change where the rules say so.
        options.sort(key=lambda c: (math.isnan(c.var_a), c.from_levels == rules.percent_first))
    else:
        if "change" in printed:
            options.append(_printed_change(printed["change"], pair, printed.get("level"), rules))
        if pair is not None:
            try:
                options.append(_difference_of_levels(pair, printed["level"], rules))
            except Unusable as error:
                reason = str(error)
            if len(options) == 2 and not rules.printed_change:
                options.reverse()
        row = percent_row()
        if row is not None and outcome == "hba1c" and not options:
            if baseline is None:
                reason = "a relative change without a baseline level"
            else:
                options.append(_percent_to_points(row, baseline, rules))
        elif row is not None and not options:
            reason = "a relative change without a baseline level"
    if not options:
        raise Unusable(reason)
    best = options[0]
    return replace(best, at_diagnosis=diagnosis, arms=(rows[0]["arm"],))


def _var_from_p(y: float, row: Row, n: float, rules: Rules, ranked: bool):
    """(var, flags) from an exact p-value within the arm; NaN where there is none."""
    p = _exact_p(row, "within", rules)
    if ranked or math.isnan(p) or not n >= 3 or y == 0:
        return NAN, ()
    return conv.se_from_p(y, p, n - 1) ** 2, ("se_from_p",)


def _levels_note(before: Summary, after: Summary) -> tuple[tuple[int, ...], tuple[str, ...]]:
    flags = tuple(dict.fromkeys(before.flags + after.flags))
    return (before.line, after.line), flags


def _ratio_of_levels(pair: tuple[Summary, Summary], row: Row, rules: Rules) -> Change:
    before, after = pair
    if math.isfinite(before.limit):
        raise Unusable("the baseline is below the detection limit: no ratio exists")
    if not (before.mean > 0 and after.mean > 0):
        raise Unusable("a ratio of means needs positive means")
    y = math.log(after.mean / before.mean)
    lines, flags = _levels_note(before, after)
    n0, n1 = before.n, after.n
    var_a = var_b = NAN
    formula = "log(mean after / mean before)"
    if math.isfinite(before.sd) and math.isfinite(after.sd) and n0 > 1 and n1 > 1:
        values = before.mean, before.sd, n0, after.mean, after.sd, n1
        var_a, var_b = conv.log_ratio_variance(*values)
        formula += "; variance by the delta method (Lajeunesse 2011)"
        if rules.small_sample:
            add_y, add_var = conv.log_ratio_correction(*values)
            y, var_a = y + add_y, var_a + add_var
            flags = (*flags, "small_sample")
    var_p, p_flags = _var_from_p(y, row, n1, rules, before.ranked or after.ranked)
    if math.isfinite(var_p):
        var_a, var_b, flags = var_p, 0.0, (*flags, *p_flags)
        formula = "log(mean after / mean before); se = |y| / t of the exact p-value within the arm"
    return Change(y, var_a, var_b, n1, lines, flags, formula, from_levels=True)


def _ratio_of_percent(row: Row, rules: Rules) -> Change:
    relative = summarise(row, rules)
    if not relative.mean > 0:
        raise Unusable("the printed relative change leaves nothing: no logarithm")
    y = math.log(relative.mean)
    var_a, var_b, flags = NAN, NAN, relative.flags
    formula = "log(1 + percent change / 100)"
    if math.isfinite(relative.sd) and relative.n > 1:
        var_a, var_b = (relative.sd / relative.mean) ** 2 / relative.n, 0.0
        formula += "; variance by the delta method from the SD of the percent change"
    else:
        var_p, p_flags = _var_from_p(y, row, relative.n, rules, relative.ranked)
        if math.isfinite(var_p):
            var_a, var_b, flags = var_p, 0.0, (*flags, *p_flags)
            formula += "; se = |y| / t of the exact p-value within the arm"
    p = _exact_p(row, "between", rules)
    return Change(y, var_a, var_b, relative.n, (relative.line,), flags, formula, p_between=p)


def _difference_of_levels(pair: tuple[Summary, Summary], row: Row, rules: Rules) -> Change:
    before, after = pair
    if not (before.absolute and after.absolute):
        raise Unusable("the unit supports ratios only")
    lines, flags = _levels_note(before, after)
    if math.isfinite(before.limit):
        y = after.mean - before.limit / 2
        note = (
            f"baseline below {before.limit:g}: the gain lies between {after.mean - before.limit:g} "
            f"and {after.mean:g}"
        )
        flags = (*flags, "censored_baseline")
        return Change(
            y, NAN, NAN, after.n, lines, flags, "mean after - half the detection limit", note
        )
    y = after.mean - before.mean
    var_a = var_b = NAN
    formula = "mean after - mean before"
    if math.isfinite(before.sd) and math.isfinite(after.sd) and before.n > 1 and after.n > 1:
        var_a, var_b = conv.change_variance(before.sd, before.n, after.sd, after.n)
        formula += "; variance (s0^2 + s1^2 - 2 r s0 s1) / n"
    var_p, p_flags = _var_from_p(y, row, after.n, rules, before.ranked or after.ranked)
    if math.isfinite(var_p):
        var_a, var_b, flags = var_p, 0.0, (*flags, *p_flags)
        formula = "mean after - mean before; se = |y| / t of the exact p-value within the arm"
    return Change(y, var_a, var_b, after.n, lines, flags, formula, from_levels=True)


def _printed_change(row: Row, pair, level_row: Row | None, rules: Rules) -> Change:
    printed = summarise(row, rules)
    lines, flags, y = (printed.line,), printed.flags, printed.mean
    formula, var_a, var_b = "the printed change", NAN, NAN
    var_p, p_flags = _var_from_p(y, row, printed.n, rules, printed.ranked)
    if math.isfinite(printed.sd) and printed.n > 1:
        var_a, var_b = printed.sd**2 / printed.n, 0.0
        formula += "; variance from its own spread"
    elif math.isfinite(var_p):
        var_a, var_b, flags = var_p, 0.0, (*flags, *p_flags)
        formula += "; se = |y| / t of its exact p-value within the arm"
    elif pair is not None and level_row is not None:
        try:
            levels = _difference_of_levels(pair, level_row, replace(rules, p_values=False))
            if math.isfinite(levels.var_a):
                var_a, var_b = levels.var_a, levels.var_b
                lines, flags = (*lines, *levels.lines), (*flags, *levels.flags)
                formula += "; variance (s0^2 + s1^2 - 2 r s0 s1) / n from the printed levels"
        except Unusable:
            pass
    p = _exact_p(row, "between", rules)
    return Change(
        y, var_a, var_b, printed.n, lines, flags, formula, p_between=p, y_lines=(printed.line,)
    )


def _percent_to_points(row: Row, baseline: Row, rules: Rules) -> Change:
    relative, before = summarise(row, rules), summarise(baseline, rules)
    if not math.isfinite(before.mean):
        raise Unusable("a relative change without a baseline level")
    y = before.mean * (relative.mean - 1)
    var_a = var_b = NAN
    if math.isfinite(relative.sd) and relative.n > 1:
        var_a, var_b = (before.mean * relative.sd) ** 2 / relative.n, 0.0
    return Change(
        y,
        var_a,
        var_b,
        relative.n,
        (before.line, relative.line),
        tuple(dict.fromkeys((*before.flags, *relative.flags, "percent_to_points"))),
        "percent change x baseline level / 100",
    )


def follow_up(row: Row, ratio: bool, rules: Rules) -> Change:
    """A level after treatment in an arm without a baseline, to be compared with another arm.

    On the ratio scale the log of the level. Raises Unusable with the reason.
    """
    level = summarise(row, rules)
    if not math.isfinite(level.mean):
        raise Unusable("a level below the detection limit")
    if ratio and not level.mean > 0:
        raise Unusable("a ratio of means needs positive means")
    if not ratio and not level.absolute:
        raise Unusable("the unit supports ratios only")
    y = math.log(level.mean) if ratio else level.mean
    sd = level.sd / level.mean if ratio else level.sd
    known = math.isfinite(sd) and level.n > 1
    return Change(
        y,
        sd**2 / level.n if known else NAN,
        0.0 if known else NAN,
        level.n,
        (level.line,),
        level.flags,
        "log of the level after treatment" if ratio else "the level after treatment",
        arms=(row["arm"],),
        p_between=_exact_p(row, "between", rules),
    )


def combine(changes: list[Change]) -> Change:
    """Several independent arms as one: the mean weighted by patients.

    y = sum(n y) / N and variance sum(n^2 var) / N^2, as if the arms had been one group.
    """
    if len(changes) == 1:
        return changes[0]
    total = sum(change.n for change in changes)
    weights = [change.n / total for change in changes]
    pairs = list(zip(weights, changes, strict=True))
    return Change(
        y=sum(w * c.y for w, c in pairs),
        var_a=sum(w**2 * c.var_a for w, c in pairs),
        var_b=sum(w**2 * c.var_b for w, c in pairs),
        n=total,
        lines=tuple(dict.fromkeys(line for c in changes for line in c.lines)),
        flags=tuple(dict.fromkeys((*(f for c in changes for f in c.flags), "arms_combined"))),
        formula=changes[0].formula + "; arms combined, weighted by patients",
        note=" ".join(c.note for c in changes if c.note),
        at_diagnosis=any(c.at_diagnosis for c in changes),
        arms=tuple(arm for c in changes for arm in c.arms),
    )
