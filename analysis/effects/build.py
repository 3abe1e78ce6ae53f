"""The effects table: every row of the evidence as an effect or an exclusion with its reason.

Numbers (outcomes.csv) become estimates with a variance that is a function of the pre-post
correlation r, se^2 = var_a - r * var_b; results in words (directions.csv) become bounds on
z = y / se. What an effect is of (approach, population, design, where it was seen) is taken from the
rows it rests on. Its name and the names of its rows are made of their content, so that they do not
depend on the order of rows.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis import cohorts, outcomes, vocabulary
from analysis.effects import contrasts, numeric, select, statements
from analysis.effects.numeric import Numeric
from analysis.effects.rules import Rules
from analysis.effects.summaries import PValue
from analysis.evidence import Evidence, label_of
from analysis.evidence.references import reference
from analysis.records import records

OUTCOMES = {name: outcomes.get(name).unit for name in outcomes.of_kind(outcomes.CONTINUOUS)}
"""Outcomes of the effects table and their units."""

AT_DIAGNOSIS = "uncontrolled change after new onset: shown apart, never pooled"
CONTROLLED = ("controlled_change", "follow_up_contrast")
SAME_TIME = 0.05
"""Months by which a number may miss the time of a statement about the same contrast."""
SEEN_ORDER = ("full_text", "registry", "abstract", "secondary")
"""Where a fact was seen, the most direct place first."""

EFFECT_COLUMNS = [
    "effect_id", "study_id", "cohort", "patients", "patients_sure", "role", "label", "year",
    "diabetes_type", "onset_group", "population", "approach", "cell_class", "immune_strategy",
    "donor", "seen_in", "outcome", "measure", "months", "contrast", "controlled", "randomised",
    "kind", "y", "var_a", "var_b", "n_factor", "z_low", "z_high", "spread_var_a", "spread_var_b",
    "se_ratio", "p_exact", "teaches_sd", "n_treated", "n_control", "n_patients", "at_diagnosis",
    "tested", "visit_open", "known_null", "pool", "apart", "headline", "headline_controlled",
    "headline_uncontrolled", "trajectory", "arm", "derived", "source_rows", "formula", "note",
]  # fmt: skip
EXCLUSION_COLUMNS = ["table", "row", "study_id", "outcome", "arm", "months", "stage", "reason"]
NUMBERS = ("year", "months", "y", "var_a", "var_b", "n_factor", "z_low", "z_high", "spread_var_a",
           "spread_var_b", "se_ratio", "p_exact", "n_treated", "n_control",
           "n_patients")  # fmt: skip
MARKS = ("controlled", "randomised", "teaches_sd", "at_diagnosis", "tested", "visit_open",
         "known_null", "pool", "apart", *select.MARKS)  # fmt: skip


@dataclass(frozen=True)
class EffectsResult:
    """The effects table and, for every raw row that is in none of them, the reason."""

    effects: pd.DataFrame
    exclusions: pd.DataFrame
    rules: Rules


@dataclass(frozen=True)
class Facts:
    """The facts of each study as rows, and whose patients they are: the same under any rules.

    Attributes
    ----------
    studies : rows of the table, by study_id, with `label`, `patients` and `patients_sure`.
    numbers, statements : rows of outcomes.csv and directions.csv of each study, with `reference`.
    enrolled : patients of each study that has a registration of its own.
    """

    studies: list[dict]
    numbers: dict[str, list[dict]]
    statements: dict[str, list[dict]]
    enrolled: dict[str, float]

    @classmethod
    def of(cls, evidence: Evidence) -> Facts:
        """The facts of the validated tables."""
        declared, sure = (
            cohorts.patient_groups(evidence.studies, kind) for kind in cohorts.OVERLAPS
        )
        studies = [
            {**study, "label": label_of(study), "patients": declared[study["study_id"]],
             "patients_sure": sure[study["study_id"]]}
            for study in records(evidence.studies.sort_values("study_id"))
        ]  # fmt: skip
        numbers = _by_study(evidence.outcomes, "outcomes")
        said = _by_study(evidence.directions, "directions")
        return cls(studies, numbers, said, _enrolled(evidence))


def build(
    evidence: Evidence | Facts, rules: Rules | None = None, **choices: Any
) -> EffectsResult:  # fmt: skip
    """Effects and exclusions from the evidence.

    Parameters
    ----------
    evidence : the validated tables, or their facts where effects are built under several rules.
    rules : the analysis choices; default `Rules()`. Single choices may be given by name instead:
        build(evidence, r=0.6, unstated_spread="se").

    Returns
    -------
    EffectsResult. Effects: `EFFECT_COLUMNS`, one row a contrast of a study, outcome, measure and
    time. `kind` is "numeric" (y and, where known, its variance; z_low and z_high hold what a bound
    on p says where no spread is printed), "exact_p" (z = z_low = z_high), "two_points" (z_low or
    z_high: an exact p-value whose sign is not printed) or "interval". n_factor times the squared SD
    between patients is the variance. `teaches_sd` marks numbers whose variance is one of printed
    spreads; spread_var_a and spread_var_b hold that variance also where the effect takes its
    standard error from a p-value.

    Raises
    ------
    TypeError : an unknown choice, or both rules and choices.
    ValueError : an impossible choice.
    """
    if rules is not None and choices:
        raise TypeError("give either rules or single choices, not both")
    rules = rules or Rules(**choices)
    facts = evidence if isinstance(evidence, Facts) else Facts.of(evidence)
    effects: list[dict] = []
    exclusions: list[dict] = []
    for study in facts.studies:
        name = study["study_id"]
        rows, said = facts.numbers.get(name, []), facts.statements.get(name, [])
        barred = _barred(study)
        if barred:
            for table, members in (("outcomes", rows), ("directions", said)):
                exclusions.extend(_exclusion(table, row, "study", barred) for row in members)
            continue
        new, out = _study_effects(study, rows, said, rules)
        effects.extend(new)
        exclusions.extend(out)
    _assume_sizes(effects, facts.enrolled)
    _require_unique(effects)
    table = select.mark(_typed(pd.DataFrame(effects, columns=EFFECT_COLUMNS)), rules)
    table = table[EFFECT_COLUMNS]
    table = table.sort_values(["outcome", "study_id", "months", "effect_id"], ignore_index=True)
    left_out = pd.DataFrame(exclusions, columns=EXCLUSION_COLUMNS)
    order = ["table", "study_id", "outcome", "arm", "months", "row"]
    left_out = left_out.sort_values(
        order, ascending=[False, *[True] * 5], ignore_index=True
    )  # fmt: skip
    return EffectsResult(table, left_out, rules)


# --- one study -----------------------------------------------------------------------------------


def _barred(study: dict) -> str:
    """Why nothing of a study becomes an effect, or ""."""
    if study["retracted"] == "yes":
        return "retracted"
    if study["include"] == "no":
        return f"study not eligible: {study['exclusion_reason']}"
    return ""


def size_of(study: dict) -> numeric.Size:
    """How many patients a study has."""
    return numeric.Size(study["n_treated"], study["n_control"] or math.nan)


def _study_effects(
    study: dict, rows: list[dict], said: list[dict], rules: Rules
) -> tuple[list[dict], list[dict]]:
    found, reasons = contrasts.from_numbers(rows, rules, size_of(study))
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
    by_line = {
        **{("outcomes", row["line"]): row for row in rows},
        **{("directions", row["line"]): row for row in said},
    }
    effects: list[dict] = []
    used_words: set[int] = set()
    completed = []
    for effect in found:
        for row in said:
            if _completes(effect, row):
                changed = numeric.with_p(effect, _p_of(row), row["line"], rules)
                if changed is not None:
                    effect = changed
                    used_words |= set(effect.said)
        completed.append(effect)
        behind = [by_line["outcomes", line] for line in effect.lines]
        behind += [by_line["directions", line] for line in effect.said]
        effects.append(_numeric_row(study, effect, behind))
    for row in said:
        numbered = {e.outcome for e in completed if _restates(e, row)}
        numbered |= {e.outcome for e in completed if row["line"] in e.said}
        made, why = _word_rows(study, row, diagnosed, numbered, rules)
        if not made and row["line"] not in used_words:
            exclusions.append(_exclusion("directions", row, "words", why))
        effects.extend(made)
    _one_fact(effects)
    return effects, exclusions


def _p_of(row: dict) -> PValue:
    """The p-value of a statement; "significant" without one is a bound at the usual level."""
    if row["p_relation"] and row["p_value"] > 0:
        return PValue(row["p_relation"], row["p_value"])
    relation = {"yes": "<", "no": ">"}.get(row["significant"], "")
    return PValue(relation, statements.SIGNIFICANCE_LEVEL)


def _completes(effect: Numeric, row: dict) -> bool:
    """Whether a statement is a tested one of the very contrast of a number, and of its sign."""
    if not _is_of(effect, row) or row["subgroup"]:
        return False
    of_all = "+" in effect.arm or effect.arm == "contrast"
    if row["arm"] != effect.arm and not (row["arm"] == "treated" and of_all):
        return False
    if (
        statements.never_enters(row)
        or not statements.is_tested(row)
        or effect.n_treated < numeric.FEWEST
    ):
        return False
    sign = {"increase": 1, "decrease": -1, "no_difference": 0}[row["direction"]]
    return sign == 0 or sign * effect.y > 0


def _is_of(effect: Numeric, row: dict) -> bool:
    """Whether a number is of the contrast, outcome word and time of a statement."""
    return row["outcome"] == effect.word and same_contrast(row, effect.controlled, effect.months)


def _restates(effect: Numeric, row: dict) -> bool:
    """Whether a statement repeats in words what a number of the same patients prints."""
    of_arm = row["arm"] == "treated" or row["arm"] in effect.arm.split("+")
    return _is_of(effect, row) and (row["has_numbers"] or (of_arm and not row["subgroup"]))


def same_contrast(row: dict, controlled: bool, months: float) -> bool:
    """Whether a statement is about this design at this time (tolerance as in `evidence`).

    Parameters
    ----------
    row : of directions.csv.
    controlled : the design of the effect.
    months : its time.
    """
    wanted = "treated_vs_control" if controlled else "treated_vs_baseline"
    if row["contrast"] != wanted:
        return False
    low, high = row["months_from"], row["months_to"]
    low, high = (row["months"] if math.isnan(x) else x for x in (low, high))
    return low - SAME_TIME <= months <= high + SAME_TIME


def _not_pooled(study: dict, case: str, apart: bool) -> str:
    """Why an effect is shown and never pooled, or ""."""
    if study["include"] != "yes":
        return f"shown, never pooled: {study['exclusion_reason'] or 'context'}"
    if case:
        return case
    if study["design"] == "case_report":
        return "fewer than three patients: shown beside, never pooled"
    return AT_DIAGNOSIS if apart else ""


def _set_apart(study: dict, controlled: bool, outcome: str, diagnosed: bool) -> bool:
    """Whether a change is one within patients of new onset: no effect of cells, in any outcome.

    HbA1c falls on insulin, C-peptide and dose follow their natural course. A baseline taken at
    diagnosis bars a fall of HbA1c whatever the study says of onset.
    """
    new_onset = study["diabetes_type"] == "T1D" and study["onset_group"] == "new_onset"
    return not controlled and (new_onset or (diagnosed and outcome == "hba1c"))


def _common(
    study: dict, outcome: str, word: str, arm: str, controlled: bool, behind: list[dict]
) -> dict:
    """What every effect says of its study and of the rows behind it."""
    classes = dict(
        pair.split("=") for pair in str(study["arm_cell_classes"]).split() if "=" in pair
    )
    of_arms = {classes.get(name, study["cell_class"]) for name in arm.split("+")}
    cell_class = of_arms.pop() if len(of_arms) == 1 else study["cell_class"]
    onset = study["onset_group"] if study["diabetes_type"] == "T1D" else ""
    return {
        "study_id": study["study_id"],
        "cohort": study["cohort"],
        "patients": study["patients"],
        "patients_sure": study["patients_sure"],
        "role": study["cohort_role"],
        "label": study["label"],
        "year": study["year"],
        "diabetes_type": study["diabetes_type"],
        "onset_group": onset,
        "population": cohorts.population(study["diabetes_type"], onset),
        "approach": cohorts.approach(cell_class),
        "cell_class": cell_class,
        "immune_strategy": study["immune_strategy"],
        "donor": study["donor"],
        "seen_in": SEEN_ORDER[max(SEEN_ORDER.index(row["seen_in"]) for row in behind)],
        "outcome": outcome,
        "measure": vocabulary.C_PEPTIDE_MEASURES.get(word, ""),
        "arm": arm,
        "controlled": controlled,
        "randomised": controlled and study["design"] == "rct",
        "source_rows": ";".join(sorted({row["reference"] for row in behind})),
    }


def _n_factor(n_treated: float, n_control: float, controlled: bool) -> float:
    if not n_treated > 0 or (controlled and not n_control > 0):
        return math.nan
    return 1 / n_treated + (1 / n_control if controlled else 0.0)


def _numeric_row(study: dict, effect: Numeric, behind: list[dict]) -> dict:
    controlled = effect.controlled
    n_control = effect.n_control if controlled else math.nan
    flags = [flag for flag in effect.flags if not flag.startswith("no_sd:")]
    unknown = [flag.split(":")[1].replace("_", " ") for flag in effect.flags if ":" in flag]
    apart = _set_apart(study, controlled, effect.outcome, effect.at_diagnosis)
    reason = _not_pooled(study, effect.few, apart) or effect.displaced
    notes = [effect.note, *(f"spread not known: {why}" for why in dict.fromkeys(unknown)), reason]
    return {
        **_common(study, effect.outcome, effect.word, effect.arm, controlled, behind),
        "effect_id": _effect_id(study, effect.outcome, effect.word, controlled, effect.months,
                                *(["printed"] if effect.printed else []),
                                *([effect.arm] if "control_shared_out" in effect.flags else [])),
        "months": effect.months,
        "contrast": effect.contrast,
        "kind": "numeric",
        "y": effect.y,
        "var_a": effect.var_a,
        "var_b": effect.var_b,
        "n_factor": _n_factor(effect.n_treated, n_control, controlled),
        "z_low": effect.z_low,
        "z_high": effect.z_high,
        "spread_var_a": effect.spread_a,
        "spread_var_b": effect.spread_b,
        "se_ratio": effect.se_ratio,
        "p_exact": effect.p_exact,
        "teaches_sd": math.isfinite(effect.var_a) and "se_from_p" not in effect.flags,
        "n_treated": effect.n_treated,
        "n_control": n_control,
        "n_patients": effect.n_treated + (n_control if controlled else 0),
        "at_diagnosis": apart,
        "apart": apart and reason == AT_DIAGNOSIS,
        "pool": not reason,
        "tested": True,
        "derived": " ".join(sorted(flags)),
        "formula": effect.formula,
        "note": "; ".join(part for part in notes if part),
    }  # fmt: skip


def _word_rows(
    study: dict, row: dict, diagnosed: set[str], numbered: set[str], rules: Rules
) -> tuple[list[dict], str]:
    """A statement in words as effects, on every scale its outcome has; else why there is none.

    `numbered` are the effect outcomes for which the same contrast is printed in numbers: there the
    words say nothing more. A unit that supports ratios only leaves the words to the other scale.
    """
    targets = [outcome for outcome, _ in contrasts.TARGETS[row["outcome"]]]
    gap = statements.gap_of_null(row, study)
    why = statements.never_enters(row)
    if why and not gap:
        return [], why
    controlled = row["contrast"] == "treated_vs_control"
    whole = row["subgroup"] in ("", statements.GROUP_NOT_VISIBLE) and row["arm"] == "treated"
    n_treated, n_control = row["n_treated"], row["n_control"]
    notes = []
    if math.isnan(n_treated) and whole and study["n_treated"] > 0:
        n_treated = study["n_treated"]
        notes.append("n of the study")
    if controlled and math.isnan(n_control) and study["n_control"] > 0:
        n_control = study["n_control"]
        notes.append("control n of the study")
    factor = _n_factor(n_treated, n_control, controlled)
    no_size = math.isnan(factor)
    if no_size:
        gap = gap or statements.gap_of_null(row, study, no_size=True)
    if no_size and not gap:
        return [], "number of patients not printed: no standard error can be had"
    said = statements.statement(row)
    months, open_visit = statements.month_of(row, rules.horizon)
    if open_visit and not math.isnan(row["months_from"]):
        notes.append(f"one statement for months {row['months_from']:g} to {row['months_to']:g}")
    made = []
    for outcome in targets:
        if outcome in numbered:
            continue
        apart = _set_apart(study, controlled, outcome, row["outcome"] in diagnosed)
        case = "fewer than three patients: shown beside, never pooled" if n_treated < 3 else ""
        if controlled and n_control < 3:
            case = "fewer than three controls: shown beside, never pooled"
        if row["subgroup"] and not gap:
            case = f"a subgroup of the patients ({row['subgroup'].replace('_', ' ')})"
        reason = _not_pooled(study, case, apart)
        null = bool(gap) and not apart and not case
        if null:
            reason = f"a known null outside the headline: {gap}"
        sense = f"{row['direction'].replace('_', ' ')}, " + (
            f"p {row['p_relation']} {row['p_value']:g}"
            if row["p_relation"]
            else f"significant: {row['significant']}"
        )
        made.append(
            {
                **_common(study, outcome, row["outcome"], row["arm"], controlled, [row]),
                "effect_id": _effect_id(study, outcome, row["outcome"], controlled, months,
                                        "w" + row["reference"].split(":")[1][:4]),
                "months": months,
                "contrast": "controlled_change" if controlled else "uncontrolled_change",
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
                "at_diagnosis": apart,
                "apart": apart and reason == AT_DIAGNOSIS,
                "visit_open": open_visit,
                "known_null": null,
                "pool": not reason,
                "tested": said.tested,
                "derived": " ".join(said.flags),
                "formula": f"bounds on z from: {sense}",
                "note": "; ".join(part for part in (*notes, reason) if part),
            }
        )  # fmt: skip
    return made, "" if made else "numbers of the same contrast are printed and used"


def _effect_id(
    study: dict, outcome: str, word: str, controlled: bool, months: float, *more: str
) -> str:
    """study:outcome[:measure]:vs_control or change:month, and what else tells effects apart."""
    parts = [study["study_id"], outcome]
    if word in vocabulary.C_PEPTIDE_MEASURES:
        parts.append(vocabulary.C_PEPTIDE_MEASURES[word])
    parts += ["vs_control" if controlled else "change", f"{months:g}"]
    return ":".join([*parts, *more])


def _require_unique(effects: list[dict]) -> None:
    """Where two effects share a name, all of them carry a digest of the rows they rest on."""
    counts: dict[str, int] = {}
    for effect in effects:
        counts[effect["effect_id"]] = counts.get(effect["effect_id"], 0) + 1
    for effect in effects:
        if counts[effect["effect_id"]] > 1:
            digest = hashlib.sha256(effect["source_rows"].encode()).hexdigest()[:8]
            effect["effect_id"] += f":{digest}"


def _one_fact(effects: list[dict]) -> None:
    """One exact p-value printed for several C-peptide measures is one fact: note the others."""
    seen: dict[tuple, str] = {}
    ordered = sorted(
        effects, key=lambda e: (select.MEASURE_ORDER[e["measure"]], e["effect_id"])
    )  # fmt: skip
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


def _assume_sizes(effects: list[dict], enrolled: dict[str, float]) -> None:
    """Known nulls without arm sizes take those of the registration, or a typical weight.

    The registration prints all patients: the arms are taken as equal. Without one, the median
    weight of the other results of the same design and outcome stands in, and the number of
    patients stays unknown. They only ever enter the fit of all nulls, and say so.
    """
    for effect in effects:
        if not effect.get("known_null") or not math.isnan(effect["n_factor"]):
            continue
        total = enrolled.get(effect["study_id"], math.nan)
        others = [
            other["n_factor"]
            for other in effects
            if other["outcome"] == effect["outcome"]
            and other["controlled"] == effect["controlled"]
            and other["pool"]
            and not math.isnan(other["n_factor"])
        ]
        if total > 0:
            effect["n_factor"] = (4 if effect["controlled"] else 1) / total
            effect["n_patients"] = total
            note = f"{total:g} patients in the registration, the arms taken as equal"
        elif others:
            effect["n_factor"] = float(np.median(others))
            note = "arms as large as the median of the other results of this kind"
        else:
            effect["known_null"] = False
            continue
        effect["derived"] = " ".join([effect["derived"], "size_assumed"]).strip()
        effect["note"] = "; ".join(part for part in (effect["note"], note) if part)


def _enrolled(evidence: Evidence) -> dict[str, float]:
    """Study -> patients enrolled, of registrations that are of this study alone."""
    return {
        row["study_ids"]: row["n_actual"]
        for row in records(evidence.registered_trials)
        if len(row["study_ids"].split()) == 1 and row["n_actual"] > 0
    }


# --- small helpers -------------------------------------------------------------------------------


def _by_study(table: pd.DataFrame, name: str) -> dict[str, list[dict]]:
    """The rows of each study with their reference, in the order of their content."""
    rows: dict[str, list[dict]] = {}
    for row in records(table):
        rows.setdefault(row["study_id"], []).append({**row, "reference": reference(name, row)})
    return {
        study: sorted(members, key=lambda row: row["reference"]) for study, members in rows.items()
    }


def _exclusion(table: str, row: dict, stage: str, reason: str) -> dict:
    return {
        "table": table,
        "row": row["reference"],
        "study_id": row["study_id"],
        "outcome": row["outcome"],
        "arm": row["arm"],
        "months": row["months"],
        "stage": stage,
        "reason": reason,
    }


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    table[list(NUMBERS)] = table[list(NUMBERS)].astype(float)
    for name in MARKS:
        table[name] = table[name].fillna(False).astype(bool)
    return table
