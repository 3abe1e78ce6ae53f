"""Numbers of one study as contrasts: controlled changes, follow-up contrasts, uncontrolled changes.

One study, outcome word and time gives at most one controlled contrast and one uncontrolled change
of the treated patients. Several treated arms are combined, weighted by patients, so that nobody is
counted twice. Every row that gives nothing is named with its reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from analysis import vocabulary
from analysis.effects import conversions as conv
from analysis.effects.arms import NAN, Change, Row, Unusable, change, combine, follow_up, summarise
from analysis.effects.rules import Rules

TARGETS: dict[str, tuple[tuple[str, bool], ...]] = {
    **{
        word: (("c_peptide_ratio", True), ("c_peptide_gain", False))
        for word in vocabulary.C_PEPTIDE_MEASURES
    },
    "hba1c": (("hba1c", False),),
    "insulin_dose": (("insulin_dose", True), ("insulin_dose_abs", False)),
    "time_in_range": (("time_in_range", False),),
    "severe_hypoglycaemia": (("severe_hypoglycaemia", False),),
}
"""The effects each outcome word can give: (effect outcome, whether it is a log ratio)."""


@dataclass(frozen=True)
class Numeric:
    """One numeric contrast of one study."""

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
    case: bool


def _arm_kind(arm: str) -> str:
    return arm.split("_")[0]


def _eligible(rows: list[Row]) -> tuple[list[Row], dict[int, str]]:
    """Rows without a caveat, and the reasons of the others by line."""
    kept, out = [], {}
    for row in rows:
        caveats = row["caveats"].split()
        if row["outcome"] == "fasting_glucose":
            out[row["line"]] = "fasting glucose is not an outcome of this analysis"
        elif caveats:
            words = [vocabulary.OUTCOME_CAVEATS[caveat] for caveat in caveats]
            out[row["line"]] = "; ".join(words)
        elif math.isnan(row["months"]):
            out[row["line"]] = "time not printed"
        elif row["arm"] == "all":
            out[row["line"]] = "treated and control patients together"
        elif math.isnan(row["n"]):
            out[row["line"]] = "number of patients not printed"
        else:
            kept.append(row)
    return kept, out


def from_numbers(rows: list[Row], rules: Rules) -> tuple[list[Numeric], dict[int, str]]:
    """The numeric contrasts of one study, and for every row that gave none its reason.

    `rows` are all rows of outcomes.csv of the study, as dicts with `line`.
    """
    kept, reasons = _eligible(rows)
    found: list[Numeric] = []
    for word in dict.fromkeys(row["outcome"] for row in kept):
        of_word = [row for row in kept if row["outcome"] == word]
        times = sorted({row["months"] for row in of_word if row["months"] > 0})
        for outcome, ratio in TARGETS[word]:
            for months in times:
                found.extend(_at_time(of_word, word, outcome, ratio, months, rules, reasons))
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
    if _arm_kind(row["arm"]) == "control":
        return "control arm without a matching treated arm"
    return "no contrast can be formed"


def _at_time(
    rows: list[Row],
    word: str,
    outcome: str,
    ratio: bool,
    months: float,
    rules: Rules,
    reasons: dict[int, str],
) -> list[Numeric]:
    """Contrasts of one outcome word at one time on one scale."""
    found: list[Numeric] = []
    for row in rows:
        if row["scale"] == "between_arm_difference" and row["months"] == months and not ratio:
            found.append(_printed_difference(row, word, outcome, rules))

    by_arm: dict[str, list[Row]] = {}
    for row in rows:
        if row["scale"] != "between_arm_difference":
            by_arm.setdefault(row["arm"], []).append(row)
    treated_names = [arm for arm in by_arm if _arm_kind(arm) in ("treated", "patient")]
    if "treated" in treated_names:
        for arm in treated_names:
            if arm != "treated":
                for row in by_arm[arm]:
                    reasons.setdefault(row["line"], "part of an arm that is reported as a whole")
        treated_names = ["treated"]

    def arm_changes(names: list[str]) -> list[Change]:
        changes = []
        for arm in names:
            if any(row["months"] == months for row in by_arm[arm]):
                try:
                    changes.append(change(by_arm[arm], months, ratio, rules))
                except Unusable as error:
                    for row in by_arm[arm]:
                        if row["months"] == months:
                            reasons.setdefault(row["line"], str(error))
        return changes

    treated = arm_changes(treated_names)
    control = arm_changes(["control"]) if "control" in by_arm else []
    if treated:
        whole = combine(treated)
        if control and _same_basis(whole, control[0]):
            found.append(_contrast(whole, control[0], word, outcome, months, ratio, True, rules))
        found.append(_single(whole, word, outcome, months))
    elif "control" in by_arm and not control:
        arms = []
        for arm in (*treated_names[:1], "control"):
            level = next(
                (r for r in by_arm[arm] if r["months"] == months and r["scale"] == "level"), None
            )
            if level is not None:
                try:
                    arms.append(follow_up(level, ratio, rules))
                except Unusable as error:
                    reasons.setdefault(level["line"], str(error))
        if len(arms) == 2:
            found.append(_contrast(*arms, word, outcome, months, ratio, False, rules))
    return found


def _same_basis(treated: Change, control: Change) -> bool:
    """Levels are compared with levels and printed changes with printed changes."""
    return treated.from_levels == control.from_levels


def _single(whole: Change, word: str, outcome: str, months: float) -> Numeric:
    return Numeric(
        outcome, word, months, "uncontrolled_change", whole.y, whole.var_a, whole.var_b, whole.n,
        NAN, whole.lines, whole.flags, whole.formula, whole.note, "+".join(whole.arms),
        whole.at_diagnosis, whole.n < 3,
    )  # fmt: skip


def _contrast(
    treated: Change,
    control: Change,
    word: str,
    outcome: str,
    months: float,
    ratio: bool,
    from_baseline: bool,
    rules: Rules,
) -> Numeric:
    """Treated minus control: a difference of changes, or of levels after treatment."""
    y = treated.y - control.y
    var_a, var_b = treated.var_a + control.var_a, treated.var_b + control.var_b
    flags = tuple(dict.fromkeys(treated.flags + control.flags))
    lines = tuple(dict.fromkeys(treated.lines + control.lines))
    what = ("ratio of ratios" if ratio else "difference of changes") if from_baseline else (
        "ratio of levels" if ratio else "difference of levels"
    )  # fmt: skip
    formula = f"{what}, treated against control: [{treated.formula}]; variances added"
    own_sd = from_baseline and treated.var_b == 0 and "se_from_p" not in flags
    p, df = treated.p_between, treated.n + control.n - 2
    spread_of_change = own_sd and math.isfinite(var_a)
    if from_baseline and math.isfinite(p) and p == control.p_between and not spread_of_change:
        ranked = "wan_sd" in flags
        if not ranked and y != 0 and df >= 1:
            var_a, var_b = conv.se_from_p(y, p, df) ** 2, 0.0
            lines = (treated.y_lines or treated.lines) + (control.y_lines or control.lines)
            flags = (*(f for f in flags if not f.startswith("unstated")), "se_from_p")
            formula = f"{what}, treated against control; se = |y| / t of the p-value between arms"
    elif not from_baseline and math.isnan(var_a) and math.isfinite(p) and y != 0:
        var_a, var_b = conv.se_from_p(y, p, df) ** 2, 0.0
        flags = (*flags, "se_from_p")
        formula = f"{what}, treated against control; se = |y| / t of the p-value between arms"
    return Numeric(
        outcome, word, months, "controlled_change" if from_baseline else "follow_up_contrast",
        y, var_a, var_b, treated.n, control.n,
        lines, flags, formula,
        " ".join(note for note in (treated.note, control.note) if note),
        "+".join(treated.arms), treated.at_diagnosis, treated.n < 3,
    )  # fmt: skip


def _printed_difference(row: Row, word: str, outcome: str, rules: Rules) -> Numeric:
    """A printed difference between arms; its SE is the SE of the difference."""
    n_control = row["n_control"]
    var_a, flags = NAN, ()
    df = row["n"] + n_control - 2
    if row["spread_kind"] == "se" and math.isfinite(row["spread"]):
        var_a = row["spread"] ** 2
    elif row["spread_kind"] == "ci95" and math.isfinite(row["spread_low"]) and df >= 1:
        half = (row["spread_high"] - row["spread_low"]) / 2
        var_a = (half / conv.t_quantile(0.975, df)) ** 2
        flags = ("ci_sd",)
    elif row["p_relation"] == "=" and 0 < row["p_value"] <= rules.largest_p and df >= 1:
        var_a, flags = conv.se_from_p(row["value"], row["p_value"], df) ** 2, ("se_from_p",)
    number = summarise({**row, "spread_kind": "none"}, rules)
    return Numeric(
        outcome, word, row["months"], "controlled_change", number.mean, var_a,
        0.0 if math.isfinite(var_a) else NAN, row["n"], n_control, (int(row["line"]),), flags,
        "the printed difference between arms with its own standard error", "", row["arm"], False,
        row["n"] < 3,
    )  # fmt: skip


def recover_se(effect: Numeric, p: float, line: int) -> Numeric:
    """The effect with its SE from an exact p-value printed with the same contrast in words."""
    controlled = effect.contrast != "uncontrolled_change"
    df = effect.n_treated + (effect.n_control if controlled else 0) - (2 if controlled else 1)
    se = conv.se_from_p(effect.y, p, df)
    return replace(
        effect,
        var_a=se**2,
        var_b=0.0,
        flags=(*effect.flags, "se_from_p"),
        formula=effect.formula + f"; se = |y| / t of the p-value in directions:{line}",
    )
