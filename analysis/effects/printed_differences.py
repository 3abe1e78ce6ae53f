"""Differences between arms that a source prints itself, each with the spread of its own."""

from __future__ import annotations

import math
from dataclasses import replace

from analysis.central import HIGH
from analysis.effects import conversions as conv
from analysis.effects.arms import se_ratio_of, var_from_p
from analysis.effects.numeric import FEWEST, Numeric, Size, Target, bounds_on_z, too_few
from analysis.effects.rules import Rules
from analysis.effects.summaries import NAN, NO_P, PValue, Row, Unusable, summarise


def printed_differences(
    rows: list[Row], target: Target, rules: Rules, size: Size, reasons: dict[int, str]
) -> list[Numeric]:
    """The printed differences of one visit as one contrast; several share one control.

    Parameters
    ----------
    rows : of outcomes.csv, differences between arms at this visit.
    target : what they are of.
    rules, size : how printed facts are read; how many patients the study has.
    reasons : is given why a row gives nothing, by its line.
    """
    whole = [row for row in rows if row["arm"] == "contrast"]
    for row in rows:
        if whole and row["arm"] != "contrast":
            reasons.setdefault(row["line"], "part of a contrast that is reported as a whole")
    made = []
    for row in whole or rows:
        try:
            made.append(_printed_difference(row, target, rules, size))
        except Unusable as error:
            reasons.setdefault(row["line"], str(error))
    if not made:
        return []
    return [made[0] if len(made) == 1 else _merge_differences(made, size)]


def _printed_difference(row: Row, target: Target, rules: Rules, size: Size) -> Numeric:
    """A printed difference between arms with its own standard error.

    An interval or a standard error is that of the difference. A standard deviation is one between
    patients, so that its error is SD sqrt(1 / n + 1 / n_control). Raises Unusable.
    """
    number = summarise({**row, "spread_kind": "none"}, rules)
    if not number.absolute:
        raise Unusable("the unit supports ratios only")
    factor = number.mean / row["value"] if row["value"] else 1.0
    factor = abs(factor) if math.isfinite(factor) and factor else 1.0
    n, n_control = row["n"], row["n_control"]
    flags: tuple[str, ...] = ()
    if n > size.treated:
        n, flags = size.treated, ("n_of_study",)
    if math.isnan(n_control):
        n_control, flags = size.control, (*flags, "control_n_of_study")
    elif n_control > size.control:
        n_control, flags = size.control, (*flags, "n_of_study")
    if not n_control > 0:
        raise Unusable("a difference between arms without the number of controls")
    df = n + n_control - 2
    kind, spread = row["spread_kind"], row["spread"]
    if kind == "unstated":
        kind = rules.unstated_spread if math.isfinite(spread) else "unstated"
        flags = (*flags, f"unstated_as_{kind}") if kind != "unstated" else flags
    low, high = row["spread_low"], row["spread_high"]
    found, note, formula = NAN, "", "the printed difference between arms"
    if kind == "se" and math.isfinite(spread):
        found, formula = (spread * factor) ** 2, formula + " with its own standard error"
    elif kind == "sd" and math.isfinite(spread):
        found = (spread * factor) ** 2 * (1 / n + 1 / n_control)
        flags = (*flags, "sd_of_difference")
        formula += "; variance SD^2 (1 / n + 1 / n_control) from its printed SD"
        note = "printed with an SD: read as the SD between patients"
    elif kind == "ci95" and math.isfinite(low) and math.isfinite(high) and df >= 1:
        found = (factor * (high - low) / 2 / conv.t_quantile(HIGH, df)) ** 2
        flags = (*flags, "ci_sd")
        formula += " with its own interval"
    found = found if found > 0 else NAN
    has_p = row["p_relation"] and row["p_contrast"] in ("between", "")
    p = PValue(row["p_relation"], row["p_value"]) if has_p else NO_P
    var_p = var_from_p(number.mean, p.usable(rules), df)
    known = math.isfinite(found)
    se_ratio = se_ratio_of(number.mean, p, df, found)
    variance = found
    if math.isfinite(var_p) and (not known or (rules.se_source == "larger" and var_p > found)):
        variance, flags = var_p, (*flags, "se_from_p")
        formula = "the printed difference between arms; se = |y| / t of its exact p-value"
    few = too_few(n, n_control)
    low, high = bounds_on_z(number.mean, variance, p)
    return Numeric(
        target.outcome, target.word, target.visit, "controlled_change", number.mean, variance,
        0.0 if math.isfinite(variance) else NAN, n, n_control, (int(row["line"]),),
        tuple(dict.fromkeys(flags)), formula, note, row["arm"], False, few, found,
        0.0 if known else NAN, se_ratio, p.exact, low, high, printed=True,
    )  # fmt: skip


def _merge_differences(parts: list[Numeric], size: Size) -> Numeric:
    """Differences of several treated arms from one control as one: the control is counted once.

    The mean weighted by patients. The SD between patients behind each, s^2 = variance / (1 / n +
    1 / n_control), is pooled over the arms, with the part between them, and gives the variance
    s^2 (1 / N + 1 / n_control) of all treated against the control.
    """
    n = [part.n_treated for part in parts]
    total, n_control = sum(n), max(part.n_control for part in parts)
    y = sum(k * part.y for k, part in zip(n, parts, strict=True)) / total
    between = sum(k * (part.y - y) ** 2 for k, part in zip(n, parts, strict=True))

    def variance(of: str) -> float:
        squares = [getattr(part, of) / (1 / part.n_treated + 1 / part.n_control) for part in parts]
        within = sum((k - 1) * s for k, s in zip(n, squares, strict=True))
        pooled = (within + between) / (total - 1) if total > 1 else NAN
        return pooled * (1 / treated + 1 / n_control)

    treated = min(total, size.treated) if size.treated > 0 else total
    a, spread = variance("var_a"), variance("spread_a")
    return replace(
        parts[0],
        y=y,
        var_a=a,
        var_b=0.0 if math.isfinite(a) else NAN,
        spread_a=spread,
        spread_b=0.0 if math.isfinite(spread) else NAN,
        se_ratio=NAN,
        p_exact=NAN,
        z_low=NAN,
        z_high=NAN,
        n_treated=treated,
        n_control=n_control,
        lines=tuple(line for part in parts for line in part.lines),
        flags=tuple(dict.fromkeys((*(f for p in parts for f in p.flags), "arms_combined"))),
        formula=parts[0].formula + "; arms combined, weighted by patients, the control once",
        note=" ".join(dict.fromkeys(part.note for part in parts if part.note)),
        arm="+".join(part.arm for part in parts),
        few="" if treated >= FEWEST and n_control >= FEWEST else parts[0].few,
    )
