"""From facts to effects: one row per contrast of a study, outcome, measure and time.

`build` is the entry. Numbers (outcomes.csv) become estimates with a variance that is a function of
the pre-post correlation r, se^2 = var_a - r * var_b; results in words (directions.csv) become
bounds on z = y / se. Every row of the two tables is either in `source_rows` of an effect or in the
exclusions with its reason. The rooms behind: `conversions` (formulas of papers), `arms` (one arm),
`contrasts` (numbers of one study), `words`, `select` (headline, trajectory), `rules` (choices).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import vocabulary
from analysis.effects import contrasts, select, words
from analysis.effects.rules import Rules
from analysis.evidence import Evidence, label_of

__all__ = ["EFFECT_COLUMNS", "OUTCOMES", "EffectsResult", "Rules", "build", "explain", "headline",
           "se", "variance"]  # fmt: skip

OUTCOMES = {
    "c_peptide_ratio": "log ratio",
    "c_peptide_gain": "nmol/L",
    "hba1c": "percentage points",
    "insulin_dose": "log ratio",
    "insulin_dose_abs": "IU/kg/day",
    "time_in_range": "percentage points",
    "severe_hypoglycaemia": "events",
}
"""Outcomes of the effects table and their units."""

AT_DIAGNOSIS = "baseline at diagnosis: shown apart, never pooled"
CONTROLLED = ("controlled_change", "follow_up_contrast")

EFFECT_COLUMNS = [
    "effect_id", "study_id", "cohort", "label", "year", "diabetes_type", "cell_class",
    "immune_strategy", "donor", "seen_in", "outcome", "measure", "months", "headline", "contrast",
    "controlled", "kind", "y", "var_a", "var_b", "n_factor", "z_low", "z_high", "n_treated",
    "n_control", "n_patients", "at_diagnosis", "pool", "trajectory", "tested", "arm", "derived",
    "source_rows", "formula", "note",
]  # fmt: skip
EXCLUSION_COLUMNS = ["table", "line", "study_id", "outcome", "arm", "months", "stage", "reason"]


@dataclass(frozen=True)
class EffectsResult:
    """The effects table and, for every raw row that is in none of them, the reason."""

    effects: pd.DataFrame
    exclusions: pd.DataFrame
    rules: Rules


def build(evidence: Evidence, rules: Rules | None = None, **choices) -> EffectsResult:
    """Effects and exclusions from the evidence.

    Parameters
    ----------
    evidence : the validated tables.
    rules : the analysis choices; default `Rules()`. Single choices may be given by name instead:
        build(evidence, r=0.6, unstated_spread="se").

    Raises TypeError for an unknown choice and ValueError for an impossible one.
    """
    if rules is not None and choices:
        raise TypeError("give either rules or single choices, not both")
    rules = rules or Rules(**choices)
    studies = evidence.studies.set_index("study_id", drop=False)
    groups = select.patient_groups(evidence.studies, rules)
    numbers = _by_study(evidence.outcomes)
    statements = _by_study(evidence.directions)
    effects: list[dict] = []
    exclusions: list[dict] = []
    for study_id, study in studies.iterrows():
        rows, said = numbers.get(study_id, []), statements.get(study_id, [])
        barred = _barred(study)
        if barred:
            for table, members in (("outcomes", rows), ("directions", said)):
                exclusions.extend(_exclusion(table, row, "study", barred) for row in members)
            continue
        new, out = _study_effects(study, rows, said, rules)
        for effect in new:
            effect["_group"], effect["_role"] = groups[study_id], study["cohort_role"]
            effect["_apart"] = effect["at_diagnosis"] and AT_DIAGNOSIS in effect["note"]
        effects.extend(new)
        exclusions.extend(out)
    table = pd.DataFrame(effects, columns=[*EFFECT_COLUMNS, "_group", "_role", "_apart"])
    table = select.mark(_typed(table), rules)[EFFECT_COLUMNS]
    table = table.sort_values(["outcome", "study_id", "months", "effect_id"], ignore_index=True)
    left_out = pd.DataFrame(exclusions, columns=EXCLUSION_COLUMNS)
    left_out = left_out.sort_values(["table", "line"], ascending=[False, True], ignore_index=True)
    return EffectsResult(table, left_out, rules)


def variance(effects: pd.DataFrame, r: float = Rules.r) -> np.ndarray:
    """Sampling variances at the pre-post correlation r; NaN where no spread is known."""
    if not -1 < r < 1:
        raise ValueError("r lies between -1 and 1")
    return (effects["var_a"] - r * effects["var_b"]).to_numpy(dtype=float)


def se(effects: pd.DataFrame, r: float = Rules.r) -> np.ndarray:
    """Standard errors at the pre-post correlation r; NaN where no spread is known."""
    return np.sqrt(variance(effects, r))


def headline(effects: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """The headline effects of one outcome that may be pooled, one row a cohort. Raises KeyError."""
    if outcome not in OUTCOMES:
        raise KeyError(f"no such outcome: {outcome}; known: {', '.join(OUTCOMES)}")
    chosen = effects["outcome"].eq(outcome) & effects["headline"] & effects["pool"]
    return effects[chosen].reset_index(drop=True)


def explain(effects: pd.DataFrame, evidence: Evidence, effect_id: str) -> list[str]:
    """An effect in words: the raw rows it came from, the steps, the result. Raises KeyError."""
    found = effects[effects["effect_id"].eq(effect_id)]
    if found.empty:
        raise KeyError(f"no such effect: {effect_id}")
    effect = found.iloc[0]
    lines = [f"{effect.effect_id}: {effect.label}, {effect.contrast.replace('_', ' ')}, "
             f"{effect.months:g} months"]  # fmt: skip
    lines.append("raw rows:")
    tables = {"outcomes": evidence.outcomes, "directions": evidence.directions}
    for reference in effect.source_rows.split(";"):
        table, line = reference.split(":")
        row = tables[table].set_index("line").loc[int(line)]
        lines.append(f"  {table}.csv line {line}: {_raw_words(table, row)}")
        lines.append(f"    {row['source_url']}")
    lines.append(f"formula: {effect.formula}")
    if effect.derived:
        lines.append(f"derived: {effect.derived}")
    lines.append(_result_words(effect))
    if effect.note:
        lines.append(f"note: {effect.note}")
    uses = [word for word in ("headline", "trajectory", "pool") if effect[word]]
    lines.append(f"used for: {', '.join(uses) or 'display only'}")
    return lines


# --- one study -----------------------------------------------------------------------------------


def _barred(study: pd.Series) -> str:
    """Why nothing of a study becomes an effect, or ""."""
    if study["retracted"] == "yes":
        return "retracted"
    if study["include"] == "no":
        return f"study not eligible: {study['exclusion_reason']}"
    return ""


def _study_effects(study, rows, said, rules) -> tuple[list[dict], list[dict]]:
    found, reasons = contrasts.from_numbers(rows, rules)
    diagnosed = {
        row["outcome"]
        for row in rows
        if row["months"] == 0 and str(row["baseline_state"]).startswith("at_diagnosis")
    }
    exclusions = [
        _exclusion("outcomes", row, "effects", reasons[row["line"]])
        for row in rows
        if row["line"] in reasons
    ]
    effects: list[dict] = []
    used_words: set[int] = set()
    with_control = {
        (effect.outcome, effect.word, effect.months)
        for effect in found
        if effect.contrast in CONTROLLED
    }
    for effect in found:
        references = [f"outcomes:{line}" for line in effect.lines]
        recovered = _recovery(effect, said, rules)
        if recovered is not None:
            row, effect = recovered
            references.append(f"directions:{row['line']}")
            used_words.add(row["line"])
        reason = _not_pooled(study, effect.outcome, effect.at_diagnosis, effect.case)
        twice = effect.contrast == "uncontrolled_change" and (
            (effect.outcome, effect.word, effect.months) in with_control
        )
        if twice and not reason:
            reason = "the controlled contrast of the study is used"
        effects.append(_numeric_row(study, effect, references, reason))
    for row in said:
        why = words.never_enters(row)
        if row["line"] in used_words:
            continue
        numbered = {
            effect.outcome for effect in found if row["has_numbers"] and _is_of(effect, row)
        }
        made = [] if why else _word_rows(study, row, diagnosed, numbered, rules)
        if not why and not made:
            why = (
                "numbers of the same contrast are printed and used"
                if numbered
                else "number of patients not printed: no standard error can be had"
            )
        if why:
            exclusions.append(_exclusion("directions", row, "words", why))
        effects.extend(made)
    _unique_ids(effects)
    _one_fact(effects)
    return effects, exclusions


def _not_pooled(study, outcome: str, at_diagnosis: bool, case: bool) -> str:
    if study["include"] != "yes":
        return f"shown, never pooled: {study['exclusion_reason'] or 'context'}"
    if case or study["design"] == "case_report":
        return "fewer than three patients: shown beside, never pooled"
    if at_diagnosis and outcome == "hba1c":
        return AT_DIAGNOSIS
    return ""


def _recovery(effect: contrasts.Numeric, said: list[dict], rules: Rules):
    """The exact p-value in words of the same contrast, where the number has no spread."""
    if math.isfinite(effect.var_a) or not rules.p_values or effect.y == 0:
        return None
    wanted = "treated_vs_baseline" if effect.contrast == "uncontrolled_change" else (
        "treated_vs_control"
    )  # fmt: skip
    for row in said:
        if (
            row["has_numbers"]
            and not words.never_enters({**row, "caveats": ""})
            and not set(row["caveats"].split()) & set(vocabulary.NEVER_ENTER)
            and (row["contrast"], row["outcome"], row["months"])
            == (wanted, effect.word, effect.months)
            and row["arm"] == effect.arm
            and row["p_relation"] == "="
            and 0 < row["p_value"] <= rules.largest_p
            and "wan_sd" not in effect.flags
            and effect.n_treated >= 3
        ):
            return row, contrasts.recover_se(effect, row["p_value"], row["line"])
    return None


def _common(study, outcome: str, word: str, arm: str) -> dict:
    classes = dict(
        pair.split("=") for pair in str(study.get("arm_cell_classes", "")).split() if "=" in pair
    )
    year = study["year"]
    return {
        "study_id": study["study_id"],
        "cohort": study["cohort"],
        "label": label_of(study),
        "year": year,
        "diabetes_type": study["diabetes_type"],
        "cell_class": classes.get(arm, study["cell_class"]),
        "immune_strategy": study["immune_strategy"],
        "donor": study["donor"],
        "outcome": outcome,
        "measure": vocabulary.C_PEPTIDE_MEASURES.get(word, ""),
        "arm": arm,
    }


def _n_factor(n_treated: float, n_control: float, controlled: bool) -> float:
    if not n_treated > 0 or (controlled and not n_control > 0):
        return math.nan
    return 1 / n_treated + (1 / n_control if controlled else 0.0)


def _numeric_row(study, effect: contrasts.Numeric, references: list[str], reason: str) -> dict:
    controlled = effect.contrast in CONTROLLED
    n_control = effect.n_control if controlled else math.nan
    flags = [flag for flag in effect.flags if not flag.startswith("no_sd:")]
    return {
        **_common(study, effect.outcome, effect.word, effect.arm),
        "effect_id": _effect_id(study, effect.outcome, effect.word, effect.arm, effect.months,
                                effect.contrast, False),
        "seen_in": study["seen_in"],
        "months": effect.months,
        "contrast": effect.contrast,
        "controlled": controlled,
        "kind": "numeric",
        "y": effect.y,
        "var_a": effect.var_a,
        "var_b": effect.var_b,
        "n_factor": _n_factor(effect.n_treated, n_control, controlled),
        "z_low": math.nan,
        "z_high": math.nan,
        "n_treated": effect.n_treated,
        "n_control": n_control,
        "n_patients": effect.n_treated + (n_control if controlled else 0),
        "at_diagnosis": effect.at_diagnosis,
        "pool": not reason,
        "tested": True,
        "derived": " ".join(flags),
        "source_rows": ";".join(references),
        "formula": effect.formula,
        "note": "; ".join(part for part in (effect.note, reason) if part),
    }  # fmt: skip


def _is_of(effect: contrasts.Numeric, row: dict) -> bool:
    """Whether the numeric effect is of the very contrast, outcome word and time of the words."""
    within = effect.contrast == "uncontrolled_change"
    return (effect.word, effect.months) == (row["outcome"], row["months"]) and (
        row["contrast"] == ("treated_vs_baseline" if within else "treated_vs_control")
    )


def _word_rows(
    study, row: dict, diagnosed: set[str], numbered: set[str], rules: Rules
) -> list[dict]:
    """A statement in words as effects: C-peptide and insulin on both of their scales.

    `numbered` are the effect outcomes for which the same contrast is printed in numbers: there the
    words say nothing more. A unit that supports ratios only leaves the words to the other scale.
    """
    controlled = row["contrast"] == "treated_vs_control"
    whole = not row["subgroup"] and row["arm"] == "treated"
    n_treated, n_control = row["n_treated"], row["n_control"]
    notes = []
    if math.isnan(n_treated) and whole and study["n_treated"] > 0:
        n_treated = study["n_treated"]
        notes.append("n of the study")
    if controlled and math.isnan(n_control) and study["n_control"] > 0:
        n_control = study["n_control"]
        notes.append("control n of the study")
    factor = _n_factor(n_treated, n_control, controlled)
    if math.isnan(factor):
        return []
    said = words.statement(row)
    at_diagnosis = row["outcome"] in diagnosed and not controlled
    months = words.nearest_month(row, rules.horizon)
    if row["months_from"] != row["months_to"]:
        notes.append(f"one statement for months {row['months_from']:g} to {row['months_to']:g}")
    made = []
    for outcome, _ in contrasts.TARGETS[row["outcome"]]:
        if outcome in numbered:
            continue
        if outcome == "c_peptide_gain" and "measure_not_stated" in row["caveats"].split():
            continue
        reason = _not_pooled(study, outcome, at_diagnosis, n_treated < 3)
        if not reason and row["subgroup"]:
            reason = f"a subgroup of the patients ({row['subgroup'].replace('_', ' ')})"
        contrast = "controlled_change" if controlled else "uncontrolled_change"
        sense = f"{row['direction'].replace('_', ' ')}, " + (
            f"p {row['p_relation']} {row['p_value']:g}"
            if row["p_relation"]
            else {"yes": "significant", "no": "not significant", "unstated": "no test"}[
                row["significant"]
            ]
        )
        made.append(
            {
                **_common(study, outcome, row["outcome"], row["arm"]),
                "effect_id": _effect_id(study, outcome, row["outcome"], row["arm"], months,
                                        contrast, True),
                "seen_in": row["seen_in"],
                "months": months,
                "contrast": contrast,
                "controlled": controlled,
                "kind": said.kind,
                "y": math.nan,
                "var_a": math.nan,
                "var_b": math.nan,
                "n_factor": factor,
                "z_low": said.z_low,
                "z_high": said.z_high,
                "n_treated": n_treated,
                "n_control": n_control if controlled else math.nan,
                "n_patients": n_treated + (n_control if controlled else 0),
                "at_diagnosis": at_diagnosis,
                "pool": not reason,
                "tested": said.tested,
                "derived": " ".join(said.flags),
                "source_rows": f"directions:{row['line']}",
                "formula": f"in words ({sense}): bounds on z = y / se",
                "note": "; ".join((*notes, *([reason] if reason else []))),
            }
        )  # fmt: skip
    return made


def _effect_id(study, outcome, word, arm, months, contrast, in_words) -> str:
    parts = [study["study_id"], outcome]
    if word in vocabulary.C_PEPTIDE_MEASURES:
        parts.append(vocabulary.C_PEPTIDE_MEASURES[word])
    parts.append(arm if contrast == "uncontrolled_change" else f"{arm}-vs-control")
    parts.append(f"{months:g}")
    return ":".join([*parts, *(["words"] if in_words else [])])


def _unique_ids(effects: list[dict]) -> None:
    """Add the line of the statement where two effects of a study would have one name."""
    counts: dict[str, int] = {}
    for effect in effects:
        counts[effect["effect_id"]] = counts.get(effect["effect_id"], 0) + 1
    for effect in effects:
        if counts[effect["effect_id"]] > 1:
            effect["effect_id"] += f"@{effect['source_rows'].split(':')[-1]}"


def _one_fact(effects: list[dict]) -> None:
    """One exact p-value printed for several C-peptide measures is one fact: note the others."""
    seen: dict[tuple, str] = {}
    ordered = sorted(effects, key=lambda e: select.MEASURE_ORDER[e["measure"]])
    for effect in ordered:
        if effect["kind"] == "numeric" or not effect["pool"] or not effect["measure"]:
            continue
        key = (effect["outcome"], effect["contrast"], effect["arm"], effect["months"],
               effect["kind"], effect["z_low"], effect["z_high"])  # fmt: skip
        if key in seen:
            effect["pool"] = False
            note = f"one fact with {seen[key]}: the same p-value for several measures"
            effect["note"] = "; ".join(part for part in (effect["note"], note) if part)
        else:
            seen[key] = effect["effect_id"]


# --- small helpers -------------------------------------------------------------------------------


def _by_study(table: pd.DataFrame) -> dict[str, list[dict]]:
    rows: dict[str, list[dict]] = {}
    for row in table.to_dict("records"):
        rows.setdefault(row["study_id"], []).append(row)
    return rows


def _exclusion(table: str, row: dict, stage: str, reason: str) -> dict:
    return {
        "table": table,
        "line": row["line"],
        "study_id": row["study_id"],
        "outcome": row["outcome"],
        "arm": row["arm"],
        "months": row["months"],
        "stage": stage,
        "reason": reason,
    }


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    numbers = ["year", "months", "y", "var_a", "var_b", "n_factor", "z_low", "z_high", "n_treated",
               "n_control", "n_patients"]  # fmt: skip
    table[numbers] = table[numbers].astype(float)
    for name in (
        "headline",
        "controlled",
        "at_diagnosis",
        "pool",
        "trajectory",
        "tested",
        "_apart",
    ):
        table[name] = table[name].fillna(False).astype(bool)
    return table


def _raw_words(table: str, row: pd.Series) -> str:
    def number(value: float) -> str:
        return "" if math.isnan(value) else f"{value:g}"

    if table == "directions":
        words_ = [row["contrast"], row["arm"], row["outcome"], f"month {number(row['months'])}",
                  row["direction"], f"significant: {row['significant']}"]  # fmt: skip
        if row["p_relation"]:
            words_.append(f"p {row['p_relation']} {number(row['p_value'])}")
        return ", ".join([*words_, f'"{row["quoted_measure"]}"'])
    spread = number(row["spread"]) or " to ".join(
        part for part in (number(row["spread_low"]), number(row["spread_high"])) if part
    )
    text = (
        f"{row['arm']}, {row['outcome']}, month {number(row['months'])}, {row['scale']}: "
        f"{row['statistic']} {number(row['value']) or '(blank)'} {row['unit']}"
    )
    if spread:
        text += f" ({row['spread_kind']} {spread})"
    return text + f", n {number(row['n'])}" + (f", p {row['p_text']}" if row["p_text"] else "")


def _result_words(effect: pd.Series) -> str:
    unit = OUTCOMES[effect["outcome"]]
    if effect["kind"] != "numeric":
        return f"result: z between {effect['z_low']:.3g} and {effect['z_high']:.3g}"
    variance_at_r = effect["var_a"] - Rules.r * effect["var_b"]
    spread = "no standard error known" if math.isnan(variance_at_r) else (
        f"standard error {math.sqrt(variance_at_r):.4g} at r = {Rules.r:g}"
    )  # fmt: skip
    return f"result: {effect['y']:.4g} {unit}, {spread}"
