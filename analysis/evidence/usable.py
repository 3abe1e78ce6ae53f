"""What each study can contribute, and how much there is of each kind of fact."""

from collections.abc import Sequence

import pandas as pd

from analysis import vocabulary as v
from analysis.evidence.loading import Evidence, by_study
from analysis.evidence.schema import Row, blank, words_of
from analysis.records import records


def _records_of(frame: pd.DataFrame) -> dict[str, list[Row]]:
    return by_study(records(frame))


def usable_for(evidence: Evidence) -> pd.DataFrame:
    """What each study can contribute: study_id and the bools numbers, words, independence, safety.

    All are False unless `include` is yes. numbers: a change, or a level after treatment with its
    baseline or with a control arm at the same time, without a caveat. words: a result in words
    without numbers of the same contrast and without a caveat that keeps it out of every model.
    independence, safety: at least one row.
    """
    outcomes, directions = _records_of(evidence.outcomes), _records_of(evidence.directions)
    independence = set(evidence.independence["study_id"])
    safety = set(evidence.safety["study_id"])
    rows = []
    for study, include in zip(
        evidence.studies["study_id"], evidence.studies["include"], strict=True
    ):
        eligible = include == "yes"
        rows.append(
            {
                "study_id": study,
                "numbers": eligible and _gives_effect(outcomes.get(study, ())),
                "words": eligible
                and any(
                    row["contrast"] != "baseline_balance"
                    and not row["has_numbers"]
                    and not set(words_of(row["caveats"])) & set(v.NEVER_ENTER)
                    for row in directions.get(study, ())
                ),
                "independence": eligible and study in independence,
                "safety": eligible and study in safety,
            }
        )
    return pd.DataFrame(
        rows, columns=["study_id", "numbers", "words", "independence", "safety"]
    ).astype({"numbers": bool, "words": bool, "independence": bool, "safety": bool})


def _gives_effect(rows: Sequence[Row]) -> bool:
    rows = [r for r in rows if not r["caveats"] and not blank(r["value"])]
    levels = [r for r in rows if r["scale"] == "level"]
    based = {(r["arm"], r["outcome"]) for r in levels if r["months"] == 0}
    controls = {(r["outcome"], r["months"]) for r in levels if str(r["arm"]).startswith("control")}
    for row in rows:
        if row["months"] == 0 or not str(row["arm"]).startswith(("treated", "contrast")):
            continue
        if row["scale"] != "level" or (row["arm"], row["outcome"]) in based:
            return True
        if (row["outcome"], row["months"]) in controls:
            return True
    return False


def summary(evidence: Evidence) -> dict[str, int]:
    """Counts for people, in the order to be shown: what is counted -> how many."""
    studies, usable = evidence.studies, usable_for(evidence)
    counts = {"studies": len(studies)}
    for word, label in v.INCLUDE.items():
        counts[f"studies {label}"] = int((studies["include"] == word).sum())
    counts["cohorts"] = int(studies["cohort"].nunique())
    for column in ("numbers", "words", "independence", "safety"):
        counts[f"eligible studies with {column}"] = int(usable[column].sum())
    counts |= {
        "outcome facts": len(evidence.outcomes),
        "results in words": len(evidence.directions),
        "responder facts": len(evidence.responders),
        "independence facts": len(evidence.independence),
        "safety facts": len(evidence.safety),
        "published pooled results": len(evidence.published),
        "judgements of risk of bias": len(evidence.risk_of_bias),
        "registered trials": len(evidence.registered_trials),
        "logged corrections": len(evidence.changes),
    }
    return counts
