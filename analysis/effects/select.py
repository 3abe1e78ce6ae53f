"""Which effect stands for a cohort: the headline, the trajectory, and who shares patients.

The headline effect of a cohort and outcome is chosen among its eligible effects within the window
by: nearest to the horizon; then a controlled contrast before an uncontrolled change (a rule that
can be switched off); then the report with more patients; then numbers before words; then the
C-peptide measure (stimulated, area under the curve, fasting, unstated); then the role of the
report. Time comes first, so an early number never displaces a later "no difference" of the same
patients.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.effects.rules import Rules

MEASURE_ORDER = {"stimulated": 0, "auc": 1, "fasting": 2, "unstated": 3, "": 0}
ROLE_ORDER = {
    "primary": 0,
    "superset": 1,
    "follow_up": 2,
    "earlier_report": 3,
    "subset": 4,
    "duplicate": 5,
}
KIND_ORDER = {"numeric": 0, "exact_p": 1, "interval": 2}


def patient_groups(studies: pd.DataFrame, rules: Rules) -> dict[str, str]:
    """Study id -> name of its group of patients: cohorts joined by declared overlaps.

    Only eligible studies (include = yes) join cohorts; the group is named after its first cohort.
    """
    parent = {cohort: cohort for cohort in studies["cohort"]}

    def root(cohort: str) -> str:
        while parent[cohort] != cohort:
            cohort = parent[cohort]
        return cohort

    kinds = {"shared_patients"} | ({"possible"} if rules.overlaps == "declared" else set())
    for row in studies.to_dict("records"):
        if row["include"] != "yes" or row["overlap_kind"] not in kinds:
            continue
        for other in str(row["overlaps_with"]).split():
            if other in parent:
                first, second = sorted((root(row["cohort"]), root(other)))
                parent[second] = first
    return {row["study_id"]: root(row["cohort"]) for row in studies.to_dict("records")}


def _ranks(effects: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """The sort keys of every effect, smaller is better."""
    known = np.where(effects["n_patients"].notna(), effects["n_patients"], 0)
    most = pd.Series(known, index=effects.index).groupby(
        [effects["study_id"], effects["outcome"]]
    ).transform("max")  # fmt: skip
    strength = effects[["z_low", "z_high"]].abs().min(axis=1).fillna(0)
    controlled = effects["controlled"] if rules.controlled_first else False
    return pd.DataFrame(
        {
            "distance": (effects["months"] - rules.horizon).abs(),
            "uncontrolled": ~np.asarray(controlled, dtype=bool) & np.ones(len(effects), dtype=bool),
            "few": -most,
            "words": effects["kind"].ne("numeric"),
            "measure": effects["measure"].map(MEASURE_ORDER),
            "role": effects["_role"].map(ROLE_ORDER).fillna(9),
            "n": -known,
            "strength": strength,
            "order": np.arange(len(effects)),
        },
        index=effects.index,
    )


def mark(effects: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Fill the columns `headline` and `trajectory`.

    Needs the helper columns _group, _role and _apart. Effects set apart (HbA1c against a baseline
    at diagnosis) have a headline of their own beside that of the pool: `pool` tells them apart.
    """
    effects = effects.copy()
    effects["headline"] = False
    effects["trajectory"] = False
    if effects.empty:
        return effects
    ranks = _ranks(effects, rules)
    allowed = (effects["pool"] | effects["_apart"]) & effects["tested"]
    low, high = rules.window
    inside = allowed & effects["months"].between(low, high)
    for _, index in effects[inside].groupby(["_group", "outcome", "_apart"]).groups.items():
        ranked = ranks.loc[index].sort_values(list(ranks.columns))
        if not rules.words:
            # Only numbers, but none that is farther from the horizon than what words say.
            nearest = ranked["distance"].eq(ranked["distance"].min())
            ranked = ranked[nearest & ~ranked["words"]]
        if len(ranked):
            effects.loc[ranked.index[0], "headline"] = True
    keys = ["_group", "outcome", "months"]
    for _, index in effects[allowed & effects["pool"]].groupby(keys).groups.items():
        best = ranks.loc[index].sort_values(list(ranks.columns)).index[0]
        effects.loc[best, "trajectory"] = True
    return effects
