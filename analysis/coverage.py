"""How much evidence there is where, how much of it two people read, and what hangs on one reader.

Counts only: no estimate is made here. A weight is the share of the patients behind the results that
speak for one outcome of one approach, population and design.
"""

from __future__ import annotations

import pandas as pd

from analysis import cohorts
from analysis import vocabulary as v
from analysis.effects import EffectsResult
from analysis.evidence import FACT_FILES, Evidence
from analysis.evidence.references import reference
from analysis.records import records

COUNTED = {"independence": "insulin-free", "responders": "responders", "safety": "harm"}
"""Tables of countable facts, and how their column is called."""

READ_TWICE = ("double", "adjudicated")


def coverage(evidence: Evidence, result: EffectsResult) -> pd.DataFrame:
    """Eligible studies by approach, population and outcome.

    Parameters
    ----------
    evidence : the validated tables.
    result : the effects built from them.

    Returns
    -------
    DataFrame: approach, population, outcome, and the numbers of studies `controlled` and
    `uncontrolled` with numbers, `words` (results in words only) and `counts` (countable facts).
    """
    effects = result.effects[result.effects["pool"]]
    keys = ["approach", "population", "outcome"]
    numeric = effects["kind"].eq("numeric")
    parts = {
        "controlled": effects[numeric & effects["controlled"]],
        "uncontrolled": effects[numeric & ~effects["controlled"]],
        "words": effects[~numeric],
    }
    counted = {name: part.groupby(keys)["study_id"].nunique() for name, part in parts.items()}
    strata = cohorts.strata(evidence.studies)
    strata = strata[evidence.studies["include"].eq("yes") & strata["approach"].notna()]
    facts = [
        strata[strata["study_id"].isin(getattr(evidence, table)["study_id"])].assign(outcome=label)
        for table, label in COUNTED.items()
    ]
    counted["counts"] = pd.concat(facts).groupby(keys)["study_id"].nunique()
    found = pd.DataFrame(counted).fillna(0).astype(int).reset_index()
    order = {word: at for at, word in enumerate((*v.APPROACHES, *v.POPULATIONS))}
    return found.sort_values(
        keys, key=lambda words: words.map(order) if words.name != "outcome" else words
    ).reset_index(drop=True)[[*keys, *counted]]


def reading(evidence: Evidence) -> pd.DataFrame:
    """How many rows of each table two people read.

    Returns
    -------
    DataFrame: table, rows, twice (read by two, or settled by a third), share.
    """
    rows = []
    for name in ("studies.csv", *FACT_FILES):
        table = evidence.table(name)
        twice = int(table["extraction"].isin(READ_TWICE).sum())
        rows.append(
            {"table": name, "rows": len(table), "twice": twice, "share": twice / max(len(table), 1)}
        )
    return pd.DataFrame(rows)


def single_read(evidence: Evidence, result: EffectsResult) -> pd.DataFrame:
    """Rows read by one person that speak for a headline, the weightiest first.

    Returns
    -------
    DataFrame: file, line, study_id, outcome, approach, population, controlled, `weight`: the share
    of the result of the row in the patients of all results that speak for the same answer.
    """
    effects = result.effects
    speaking = effects[effects["headline"] & effects["pool"]].copy()
    patients = speaking[["n_treated", "n_control"]].fillna(0).sum(axis=1)
    keys = ["outcome", "approach", "population", "controlled"]
    speaking["weight"] = patients / patients.groupby([speaking[k] for k in keys]).transform("sum")
    single = {
        reference(name, row): (f"{name}.csv", int(row["line"]))
        for name in ("outcomes", "directions")
        for row in records(getattr(evidence, name))
        if row["extraction"] == "single"
    }
    rows = [
        dict(zip(("file", "line"), single[ref], strict=True))
        | {key: effect[key] for key in ("study_id", *keys, "weight")}
        for effect in records(speaking)
        for ref in effect["source_rows"].split(";")
        if ref in single
    ]
    columns = ["file", "line", "study_id", *keys, "weight"]
    found = pd.DataFrame(rows, columns=columns).sort_values(
        ["weight", "file", "line"], ascending=[False, True, True]
    )
    return found.reset_index(drop=True)


def retractions(
    evidence: Evidence, column: str = "retraction_checked"
) -> tuple[int, int, str, str]:
    """Studies whose retraction was looked for on a stated day: how many of how many, from, to.

    Parameters
    ----------
    column : `retraction_checked`, or `concern_as_of` for expressions of concern.
    """
    days = evidence.studies[column]
    days = days[days.ne("")]
    ends = (days.min(), days.max()) if len(days) else ("", "")
    return len(days), len(evidence.studies), *ends
