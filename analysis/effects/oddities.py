"""What looks odd only once effects are formed: it stops nothing, and somebody should look.

A controlled study whose control rows give no controlled contrast; two p-values of one contrast; two
ways to one standard error that do not agree; a difference between arms printed with a standard
deviation; arms with more patients than their study; a statement in words against the sign of the
number of the same contrast. Each is a `Fault` at its place in the tables, as those of
`evidence.warnings`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

import pandas as pd

from analysis import vocabulary
from analysis.effects.build import EffectsResult, build, same_contrast
from analysis.effects.contrasts import TARGETS, arm_kind
from analysis.effects.numeric import TWO_WAYS_DIFFER
from analysis.effects.statements import is_tested, never_enters
from analysis.evidence import Evidence, Fault
from analysis.evidence.references import reference
from analysis.records import records


def oddities(evidence: Evidence, result: EffectsResult | None = None) -> list[Fault]:
    """Oddities of the effects, each at its place in the tables, by file and line.

    Parameters
    ----------
    evidence : the validated tables.
    result : the effects built from them; built by the default rules where not given.
    """
    result = result or build(evidence)
    rows = {
        reference(name, row): (name, row)
        for name in ("outcomes", "directions")
        for row in evidence.rows(f"{name}.csv")
    }
    found = [
        *_no_contrast(evidence, result.effects, rows),
        *_two_p_values(evidence),
        *_two_ways(result.effects, rows),
        *_sd_of_difference(result.effects, rows),
        *_too_many(result.effects, rows),
        *_against_sign(evidence, result.effects),
    ]
    return sorted(set(found), key=lambda f: (f.file, f.line, f.column, f.allowed))


def _fault(name: str, row: dict, column: str, text: str) -> Fault:
    value = row[column]
    if isinstance(value, float):
        value = "" if math.isnan(value) else f"{value:.12g}"
    return Fault(f"{name}.csv", int(row["line"]), column, str(value), text)


def _no_contrast(evidence: Evidence, effects: pd.DataFrame, rows: dict) -> Iterator[Fault]:
    """Controlled designs with control rows of an outcome, but no controlled contrast of it."""
    controlled = effects[effects["controlled"] & effects["kind"].eq("numeric")]
    behind = {ref for refs in controlled["source_rows"] for ref in refs.split(";")}
    formed = {(row["study_id"], row["outcome"]) for ref, (_, row) in rows.items() if ref in behind}
    studies = evidence.studies
    eligible = studies["design"].isin(vocabulary.CONTROLLED_DESIGNS) & studies["include"].ne("no")
    designed = set(studies.loc[eligible, "study_id"])
    asked = {word for word, targets in TARGETS.items() if targets}
    parts: dict[tuple[str, str], list[dict]] = defaultdict(list)
    for name, row in rows.values():
        own = name == "outcomes" and row["study_id"] in designed and row["outcome"] in asked
        if own and not row["caveats"]:
            parts[row["study_id"], row["outcome"]].append(row)
    for (study, word), part in sorted(parts.items()):
        of = [arm_kind(row["arm"]) for row in part]
        control = [row for row, kind in zip(part, of, strict=True) if kind == "control"]
        later = any(row["months"] > 0 and kind in ("treated", "patient", "control")
                    for row, kind in zip(part, of, strict=True))  # fmt: skip
        if (study, word) in formed or not control or not later:
            continue
        control = sorted(control, key=lambda row: row["line"])
        lines = ", ".join(str(row["line"]) for row in control)
        yield _fault(
            "outcomes", control[0], "arm",
            f"controlled design with control rows, but no controlled contrast of "
            f"{vocabulary.OUTCOMES[word]} formed (control rows: lines {lines})",
        )  # fmt: skip


def _two_p_values(evidence: Evidence) -> Iterator[Fault]:
    """Two exact p-values between the same two arms at one visit on one scale: neither is used."""
    table = evidence.outcomes
    table = table[table["p_contrast"].eq("between") & table["p_relation"].eq("=")]
    table = table[table["scale"].ne("between_arm_difference") & table["caveats"].eq("")]
    for _, part in table.groupby(["study_id", "outcome", "months", "scale"]):
        arms = part["arm"].map(arm_kind)
        if len(set(part["p_value"])) > 1 and (arms.value_counts() == 1).all():
            row = part.sort_values("line").iloc[-1].to_dict()
            others = ", ".join(str(line) for line in part["line"] if line != row["line"])
            yield _fault(
                "outcomes", row, "p_value", f"another p-value between the same arms: line {others}"
            )


def _two_ways(effects: pd.DataFrame, rows: dict) -> Iterator[Fault]:
    """Standard errors by an exact p-value and by printed spreads that do not agree."""
    ratio = effects["se_ratio"]
    odd = effects[(ratio > TWO_WAYS_DIFFER) | (ratio < 1 / TWO_WAYS_DIFFER)]
    for effect in records(odd):
        behind = [rows[ref] for ref in effect["source_rows"].split(";")]
        wanted = "between" if effect["controlled"] else "within"
        printed = [
            pair
            for pair in behind
            if pair[1]["p_relation"] == "=" and pair[1].get("p_contrast", wanted) == wanted
        ]
        name, row = min(
            printed or behind, key=lambda pair: (pair[0] != "outcomes", pair[1]["line"])
        )
        yield _fault(
            name, row, "p_value",
            f"the standard error by this p-value is {effect['se_ratio']:.2g} times that by the "
            f"printed spreads ({effect['effect_id']})",
        )  # fmt: skip


def _sd_of_difference(effects: pd.DataFrame, rows: dict) -> Iterator[Fault]:
    flagged = effects[
        effects["derived"].str.split().map(lambda f: "sd_of_difference" in f).astype(bool)
    ]
    for refs in flagged["source_rows"]:
        for ref in refs.split(";"):
            name, row = rows[ref]
            if row.get("spread_kind") in ("sd", "unstated"):
                yield _fault(
                    name, row, "spread_kind",
                    "a difference between arms with a standard deviation: read as the one between "
                    "patients; se if it is the error of the difference",
                )  # fmt: skip


def _too_many(effects: pd.DataFrame, rows: dict) -> Iterator[Fault]:
    flagged = effects[effects["derived"].str.split().map(lambda f: "n_of_study" in f).astype(bool)]
    for effect in records(flagged):
        behind = [rows[ref] for ref in effect["source_rows"].split(";")]
        name, row = min(
            (pair for pair in behind if pair[0] == "outcomes"), key=lambda pair: pair[1]["line"]
        )
        yield _fault(
            name, row, "n",
            f"the arms of {vocabulary.OUTCOMES[row['outcome']]} hold more patients than the study: "
            "counted as those of the study",
        )  # fmt: skip


def _against_sign(evidence: Evidence, effects: pd.DataFrame) -> Iterator[Fault]:
    """A tested direction in words against the number of the same contrast."""
    numbers = effects[effects["kind"].eq("numeric")]
    by_study: dict[str, list[dict]] = defaultdict(list)
    for effect in records(numbers):
        by_study[effect["study_id"]].append(effect)
    for row in evidence.rows("directions.csv"):
        sign = {"increase": 1, "decrease": -1, "no_difference": 0}[row["direction"]]
        if not sign or row["subgroup"] or never_enters(row) or not is_tested(row):
            continue
        for effect in by_study.get(row["study_id"], ()):
            word = row["outcome"]
            measure = vocabulary.C_PEPTIDE_MEASURES.get(word, "")
            if (
                effect["outcome"] in {name for name, _ in TARGETS[word]}
                and effect["measure"] == measure
                and effect["arm"] == row["arm"]
                and same_contrast(row, effect["controlled"], effect["months"])
                and sign * effect["y"] < 0
            ):
                yield _fault(
                    "directions", row, "direction",
                    f"the printed numbers give the other sign ({effect['effect_id']})",
                )  # fmt: skip
