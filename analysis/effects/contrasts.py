"""Numbers of one study as contrasts: controlled changes, follow-up contrasts, uncontrolled changes.

One study, outcome word and visit gives at most one controlled contrast and one uncontrolled change
of the treated patients. Several treated arms, and several controls, are combined, so that nobody is
counted twice; single patients are never added to an arm they belong to; and no contrast has more
patients than its study. Both arms are compared on a scale that both have. Visits of two arms count
as one where they nearly match. Every row that gives nothing is named with its reason.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace

from analysis import outcomes, vocabulary
from analysis.effects import arms as arms_room
from analysis.effects import summaries
from analysis.effects.arms import Arm, ArmResult
from analysis.effects.numeric import Numeric, Size, Target, bounds_on_z, too_few
from analysis.effects.printed_differences import printed_differences
from analysis.effects.rules import Rules
from analysis.effects.summaries import NAN, NO_P, Printed, PValue, Row, Unusable

TARGETS: dict[str, tuple[tuple[str, bool], ...]] = {
    word: tuple((o.name, o.is_ratio) for o in outcomes.from_word(word))
    for word in vocabulary.OUTCOMES
}
"""The effects each outcome word can give: (effect outcome, whether it is a log ratio)."""


SAME_VISIT, SAME_VISIT_MONTHS = 0.1, 0.5
"""Visits of two arms may differ by this share of their month, and by no more than these months."""


def arm_kind(arm: str) -> str:
    """treated, control, patient, all or contrast."""
    return arm.split("_")[0]


def _eligible(rows: list[Row], size: Size) -> tuple[list[Row], dict[int, str]]:
    """Rows without a caveat, and the reasons of the others by line.

    The only treated or control arm of a study whose rows print no number of patients has those of
    the study.
    """
    kept, out = [], {}
    names = {kind: {r["arm"] for r in rows if arm_kind(r["arm"]) == kind}
             for kind in ("treated", "control")}  # fmt: skip
    sizes = {"treated": size.treated, "control": size.control, "contrast": size.treated}
    for row in rows:
        caveats = row["caveats"].split()
        kind = arm_kind(row["arm"])
        if math.isnan(row["n"]) and (kind == "contrast" or len(names.get(kind, ())) == 1):
            row = {**row, "n": sizes[kind]}
        if not TARGETS[row["outcome"]]:
            label = vocabulary.OUTCOMES[row["outcome"]]
            out[row["line"]] = f"{label} is not an outcome of this analysis"
        elif caveats:
            words = [vocabulary.OUTCOME_CAVEATS[caveat] for caveat in caveats]
            out[row["line"]] = "; ".join(words)
        elif math.isnan(row["months"]):
            out[row["line"]] = "time not printed"
        elif kind == "all":
            out[row["line"]] = "treated and control patients together"
        elif math.isnan(row["n"]):
            out[row["line"]] = "number of patients not printed"
        else:
            kept.append(row)
    return kept, out


def visits(rows: list[Row]) -> dict[tuple[str, float], float]:
    """(arm, months) -> the visit, named by its month; months of one arm are never one visit.

    Months after treatment of different arms are one visit where they differ by no more than a tenth
    of the earlier and than half a month. A visit is named by the month of most arms, the treated
    first.
    """
    arms_at: dict[float, set[str]] = {}
    for row in rows:
        if row["months"] > 0:
            arms_at.setdefault(row["months"], set()).add(row["arm"])
    groups: list[list[float]] = []
    for month in sorted(arms_at):
        near = bool(groups) and month - groups[-1][0] <= (
            min(SAME_VISIT_MONTHS, SAME_VISIT * groups[-1][0]) + 1e-9
        )
        taken = set().union(*(arms_at[m] for m in groups[-1])) if groups else set()
        if near and not taken & arms_at[month]:
            groups[-1].append(month)
        else:
            groups.append([month])
    found: dict[tuple[str, float], float] = {}
    for months in groups:
        named = max(
            months,
            key=lambda m: (
                any(arm_kind(a) == "treated" for a in arms_at[m]),
                len(arms_at[m]),
                m,
            ),
        )
        found |= {(arm, month): named for month in months for arm in arms_at[month]}
    return found


def from_numbers(
    rows: list[Row], rules: Rules, size: Size | None = None
) -> tuple[list[Numeric], dict[int, str]]:
    """The numeric contrasts of one study, and for every row that gave none its reason.

    Parameters
    ----------
    rows : all rows of outcomes.csv of the study, as dicts with `line`.
    rules : the analysis choices.
    size : how many patients the study has.

    Returns
    -------
    (effects, reasons): the contrasts, and for the line of every row that is in none of them why.
    """
    size = size or Size()
    kept, reasons = _eligible(rows, size)
    found: list[Numeric] = []
    for word in sorted({row["outcome"] for row in kept}):
        of_word = [row for row in kept if row["outcome"] == word]
        named = visits(of_word)
        sides = _Sides.of(of_word, named, rules, reasons)
        for outcome, ratio in TARGETS[word]:
            for visit in sorted(set(named.values())):
                target = Target(word, outcome, ratio, visit)
                found.extend(_at_visit(sides, target, rules, size, reasons))
    used = {line for effect in found for line in effect.lines}
    for row in kept:
        if row["line"] not in used and row["line"] not in reasons:
            reasons[row["line"]] = _why_unused(row, kept)
    return found, {line: why for line, why in reasons.items() if line not in used}


def _why_unused(row: Row, kept: list[Row]) -> str:
    same = [r for r in kept if r["outcome"] == row["outcome"] and r["arm"] == row["arm"]]
    if row["months"] == 0:
        later = [r for r in same if r["months"] > 0]
        if not later:
            return "baseline only: no value after treatment"
        return "baseline not needed: the change is printed, or cannot be computed"
    others = [r for r in same if r["months"] == row["months"] and r["scale"] != row["scale"]]
    if others:
        return f"restates another row: the {others[0]['scale'].replace('_', ' ')} is used"
    if arm_kind(row["arm"]) == "control":
        return "control arm without a matching treated arm"
    return "no contrast can be formed"


# --- the arms of one outcome word ----------------------------------------------------------------


@dataclass(frozen=True)
class _Sides:
    """The arms of one outcome word by kind, and the printed differences between arms by visit."""

    arms: dict[str, list[Arm]]
    differences: dict[float, list[Row]]

    @classmethod
    def of(
        cls,
        rows: list[Row],
        named: dict[tuple[str, float], float],
        rules: Rules,
        reasons: dict[int, str],
    ) -> _Sides:
        read: dict[str, dict[tuple[float, str], Printed]] = {}
        differences: dict[float, list[Row]] = {}
        for row in sorted(rows, key=lambda r: (r["arm"], r["months"], r["scale"])):
            visit = named.get((row["arm"], row["months"]), 0.0)
            if row["scale"] == "between_arm_difference":
                differences.setdefault(visit, []).append(row)
                continue
            if arm_kind(row["arm"]) == "contrast":
                reasons.setdefault(row["line"], "a contrast that is not a difference between arms")
                continue
            try:
                key = (visit, row["scale"])
                read.setdefault(row["arm"], {})[key] = summaries.printed(row, rules)
            except Unusable as error:
                reasons.setdefault(row["line"], str(error))
        found: dict[str, list[Arm]] = {"treated": [], "control": [], "patient": []}
        for name in sorted(read):
            found[arm_kind(name)].append(Arm((name,), read[name]))
        if found["treated"] or differences:
            for arm in found["patient"]:
                for line in _lines(arm):
                    reasons.setdefault(line, "a patient of an arm that is reported as a whole")
        else:
            found["treated"] = found["patient"]
        return cls(found, differences)


def _lines(arm: Arm) -> list[int]:
    return [line for row in arm.printed.values() for line in row.summary.lines]


def _name(arm: Arm, visits_: tuple[float, ...], why: str, reasons: dict[int, str]) -> None:
    """Give the rows of an arm at these visits a reason, where they have none."""
    for (at, _), row in arm.printed.items():
        if at in visits_:
            for line in row.summary.lines:
                reasons.setdefault(line, why)


def _side_options(arms: list[Arm], kind: str, visit: float) -> list[list[Arm]]:
    """The arms of one side at a visit: the arm that is reported as a whole, then its parts."""
    there = [arm for arm in arms if any(at == visit for at, _ in arm.printed)]
    whole = [arm for arm in there if arm.names == (kind,)]
    parts = [arm for arm in there if arm.names != (kind,)]
    return [option for option in (whole, parts) if option]


def _side(arms: list[Arm], kind: str, visit: float) -> list[Arm]:
    options = _side_options(arms, kind, visit)
    return options[0] if options else []


def _ways(
    arms: list[Arm], target: Target, rules: Rules, largest: float
) -> tuple[dict[str, ArmResult], str]:
    """Every basis on which one side shows its change by a visit, the preferred first.

    Several arms are merged row by row where each prints the same scales, and else by their changes.
    """
    visit, ratio, word = target.visit, target.ratio, target.word
    whole = arms_room.merge(arms)
    found, reason = arms_room.results_of(whole, visit, ratio, word, rules)
    ways = {change.basis: change for change in found}
    if not ways and len(arms) > 1:
        singles = [arms_room.results_of(arm, visit, ratio, word, rules) for arm in arms]
        if all(options for options, _ in singles):
            merged = arms_room.merge_results([options[0] for options, _ in singles])
            ways = {merged.basis: merged}
        else:
            reason = next(why for options, why in singles if not options)
    with suppress(Unusable):
        ways["follow_up"] = arms_room.follow_up(whole, visit, ratio)
    return {basis: arms_room.limited(change, largest) for basis, change in ways.items()}, reason


def _between(arms: list[Arm], visit: float) -> dict[str, list[PValue]]:
    """The p-values between arms printed at a visit, by the scale of their row."""
    found: dict[str, list[PValue]] = {}
    for arm in arms:
        for (at, scale), row in sorted(arm.printed.items()):
            if at == visit:
                found.setdefault(scale, []).extend(row.p_between)
    return found


PRINTED_SCALE = {"change": "change", "levels": "level", "follow_up": "level",
                 "percent": "percent_change"}  # fmt: skip


def _p_for(basis: str, printed: dict[str, list[PValue]]) -> PValue:
    """The p-value between arms for a basis: of its scale, else of another; none if two differ."""
    for scale in (PRINTED_SCALE.get(basis, ""), *sorted(printed)):
        lines: dict[tuple[str, float], tuple[int, ...]] = {}
        for p in printed.get(scale, ()):
            key = (p.relation, p.size)
            lines[key] = (*lines.get(key, ()), *p.lines)
        exact = [key for key in lines if key[0] == "="]
        told = exact or list(lines)
        if len(told) == 1:
            return PValue(*told[0], lines[told[0]])
    return NO_P


# --- one outcome at one visit --------------------------------------------------------------------


def _at_visit(
    sides: _Sides, target: Target, rules: Rules, size: Size, reasons: dict[int, str]
) -> list[Numeric]:
    """Contrasts of one outcome word at one visit on one scale."""
    visit = target.visit
    found: list[Numeric] = []
    if not target.ratio and visit in sides.differences:
        found.extend(printed_differences(sides.differences[visit], target, rules, size, reasons))
    control = _side(sides.arms["control"], "control", visit)
    for treated in _side_options(sides.arms["treated"], "treated", visit):
        made, why = _against(treated, control, found, target, rules, size)
        if made:
            whole = treated[0].names == ("treated",)
            others = [arm for arm in sides.arms["treated"] if arm not in treated]
            if whole:
                for arm in others:
                    _name(arm, (0.0, visit), "part of an arm that is reported as a whole", reasons)
            elif others := [arm for arm in others if arm.names != ("treated",)]:
                absent = ", ".join(name for arm in others for name in arm.names)
                made = [_noted(one, f"without {absent}: nothing at this visit") for one in made]
            return [*found, *made]
        if not control:
            for arm in treated:
                _name(arm, (visit,), why, reasons)
    return found


def _noted(effect: Numeric, note: str) -> Numeric:
    return replace(effect, note="; ".join(part for part in (effect.note, note) if part))


def _against(
    treated: list[Arm],
    control: list[Arm],
    printed: list[Numeric],
    target: Target,
    rules: Rules,
    size: Size,
) -> tuple[list[Numeric], str]:
    """The controlled contrast and the change within the treated, and why there is none.

    With `rules.arms` "apart" one of each for every treated arm, the control shared out among them
    (Cochrane Handbook 23.3.4).
    """
    groups = [treated] if rules.arms == "combined" else [[arm] for arm in treated]
    made: list[Numeric] = []
    against, _ = _ways(control, target, rules, size.control) if control else ({}, "")
    if len(groups) > 1:
        against = {
            basis: arms_room.shared_out(change, len(groups)) for basis, change in against.items()
        }
    why = ""
    for group in groups:
        ways, why = _ways(group, target, rules, size.treated)
        p = _between([*group, *control], target.visit) if len(group) == len(control) == 1 else {}
        contrast = _best_contrast(ways, against, p, target, rules)
        if contrast is not None:
            made.append(_displaced(contrast, printed))
        within = [change for basis, change in ways.items() if basis != "follow_up"]
        if within:
            # What has a known variance first; the order of preference is kept otherwise.
            best = min(within, key=lambda c: math.isnan(c.var_a)) if target.ratio else within[0]
            made.append(_single(best, target))
    return made, why


def _displaced(contrast: Numeric, printed: list[Numeric]) -> Numeric:
    """Set aside by a printed difference of the same arms, unless only it has a known spread."""
    better = [p for p in printed if math.isfinite(p.var_a) or math.isnan(contrast.var_a)]
    if not better:
        return contrast
    return replace(contrast, displaced="the printed difference between arms is used")


def _best_contrast(
    ways: dict[str, ArmResult],
    against: dict[str, ArmResult],
    printed: dict[str, list[PValue]],
    target: Target,
    rules: Rules,
) -> Numeric | None:
    """Treated against control on a scale that both have; None where there is none.

    Pairs on the same basis come first, in the order of the treated arm; then a change against a
    change on another basis; a level against a level only where an arm has no change.
    """
    bases = [basis for basis in ways if basis != "follow_up"]
    others = [basis for basis in against if basis != "follow_up"]
    pairs = [(basis, basis) for basis in bases if basis in others]
    if not pairs:
        pairs = [(basis, other) for basis in bases for other in others]
    if not pairs and "follow_up" in ways and "follow_up" in against:
        pairs = [("follow_up", "follow_up")]
    made = []
    for basis, other in pairs:
        if ways[basis].unit != against[other].unit and basis == "follow_up":
            continue
        p = _p_for(basis, printed)
        made.append(_contrast(ways[basis], against[other], p, target, rules))
    if not made:
        return None
    return min(made, key=lambda c: math.isnan(c.var_a)) if target.ratio else made[0]


def _single(whole: ArmResult, target: Target) -> Numeric:
    few = too_few(whole.n)
    low, high = bounds_on_z(whole.y, whole.var_a, whole.p_within)
    lines = whole.lines if math.isnan(low) else (*whole.lines, *whole.p_within.lines)
    return Numeric(
        target.outcome, target.word, target.visit, "uncontrolled_change", whole.y, whole.var_a,
        whole.var_b, whole.n, NAN, tuple(dict.fromkeys(lines)), whole.flags, whole.formula,
        whole.note, "+".join(whole.arms), whole.at_diagnosis, few, whole.spread_a,
        whole.spread_b, whole.se_ratio, whole.p_within.exact, low, high,
    )  # fmt: skip


def _contrast(
    treated: ArmResult,
    control: ArmResult,
    p: PValue,
    target: Target,
    rules: Rules,
) -> Numeric:
    """Treated minus control: a difference of changes, or of levels after treatment.

    The variance, in this order. Of changes: the spreads of the changes themselves; an exact p-value
    between the arms; the spreads before and after; where an arm prints none, its exact p-value
    against baseline. Of levels at one visit: the printed spreads, then an exact p-value.
    """
    from_baseline = treated.basis != "follow_up"
    y = treated.y - control.y
    flags = tuple(dict.fromkeys(treated.flags + control.flags))
    lines = tuple(dict.fromkeys(treated.lines + control.lines))
    what = ("ratio of ratios" if target.ratio else "difference of changes") if from_baseline else (
        "ratio of levels" if target.ratio else "difference of levels"
    )  # fmt: skip
    formula = f"{what}, treated against control: [{treated.formula}]; variances added"
    a, b = treated.var_a + control.var_a, treated.var_b + control.var_b
    spread_a = treated.spread_a + control.spread_a
    spread_b = treated.spread_b + control.spread_b
    df = treated.n + control.n - 2
    var_p = arms_room.var_from_p(y, p.usable(rules), df)
    by_spread = spread_a - rules.r * spread_b
    se_ratio = arms_room.se_ratio_of(y, p, df, by_spread)
    known, has_p = math.isfinite(spread_a), math.isfinite(var_p)
    if not known:
        takes_p = has_p
    elif rules.se_source == "larger":
        takes_p = has_p and var_p > by_spread
    else:
        own = treated.own and control.own
        takes_p = has_p and not own and rules.se_source == "protocol"
    if takes_p or known:
        flags = tuple(flag for flag in flags if flag != "se_from_p")
    if takes_p:
        a, b, flags = var_p, 0.0, (*flags, "se_from_p")
        formula = f"{what}, treated against control; se = |y| / t of the p-value between arms"
    elif known:
        a, b = spread_a, spread_b
    few = too_few(treated.n, control.n)
    low, high = bounds_on_z(y, a, p)
    if takes_p or math.isfinite(low) or math.isfinite(high):
        lines = tuple(dict.fromkeys((*lines, *p.lines)))
    return Numeric(
        target.outcome, target.word, target.visit,
        "controlled_change" if from_baseline else "follow_up_contrast",
        y, a, b, treated.n, control.n, lines, flags, formula,
        " ".join(note for note in (treated.note, control.note) if note),
        "+".join(treated.arms), treated.at_diagnosis, few, spread_a, spread_b, se_ratio, p.exact,
        low, high,
    )  # fmt: skip
