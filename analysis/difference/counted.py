"""Counted headlines before and after: shares of patients, and rates of harm.

Only strata in which a counted fact differs are computed, by the functions that make the report's
own figures (`stages.shares`, `stages.harms`). Both are exact.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from analysis import harms, outcomes, responders, results
from analysis.cohorts import in_population
from analysis.evidence import Evidence
from analysis.questions import STRATA
from analysis.stages import harms as harms_stage
from analysis.stages import shares as shares_stage

SHOWN = ("pooled_share", "share", "pooled_rate", "rate")
COLUMNS = ["id", "outcome", "approach", "population", "quantity", "unit", "variant",
           *(f"{name}_{when}" for when in ("before", "after") for name in (
               "mean", "sd", "ci_low", "ci_high", "k_studies", "n_patients"))]  # fmt: skip


def compare(before: Evidence, after: Evidence) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Shares and rates that a change of the evidence touches.

    Returns
    -------
    The comparison (`COLUMNS`, one row an estimate that differs), and the touched estimates
    (`results.ESTIMATES`) of each of the two states.
    """
    states = [_estimates(before, after), _estimates(after, before)]
    figures = COLUMNS[7:13]
    names = [name.removesuffix("_before") for name in figures]
    old, new = (
        table[table["quantity"].isin(SHOWN) & table["cell_class"].eq(results.ALL)].set_index("id")
        for table in states
    )
    rows = []
    for name in dict.fromkeys([*old.index, *new.index]):
        one = (new if name in new.index else old).loc[name]
        row = {part: one[part] for part in COLUMNS[1:7]} | {"id": name}
        for when, table in (("before", old), ("after", new)):
            if name in table.index:
                row |= {f"{figure}_{when}": table.loc[name, figure] for figure in names}
        told = ("mean", "k_studies", "n_patients")
        if any(row.get(f"{f}_before") != row.get(f"{f}_after") for f in told):
            rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS), *states


def _estimates(state: Evidence, other: Evidence) -> pd.DataFrame:
    """The estimates of one state in the strata where its facts differ from those of the other."""
    rows: list[dict] = []
    for stratum, own in _touched_shares(state, other):
        rows += shares_stage.pooled(stratum, own) if len(own) else []
        if len(own) >= shares_stage.FEWEST:
            rows += shares_stage.modelled(stratum, own)[0]
    for (event, relation, approach), own in _touched_harms(state, other):
        if len(own):
            rows += harms_stage.rates(event, relation, approach, own)[0]
    return results.estimates(rows)


def _touched_shares(state: Evidence, other: Evidence) -> Iterator[tuple[dict, pd.DataFrame]]:
    names = ["study_id", "k", "n", "bound", "month"]
    mine, theirs = (responders.table(e).facts for e in (state, other))
    for outcome in outcomes.of_kind(outcomes.COUNT):
        for approach, population in STRATA:
            own, beside = (
                facts[
                    facts["outcome"].eq(outcome)
                    & facts["approach"].eq(approach)
                    & in_population(facts["population"], population)
                ]
                for facts in (mine, theirs)
            )
            if _differ(own, beside, names):
                stratum = {"outcome": outcome, "approach": approach, "population": population}
                yield stratum, own


def _touched_harms(state: Evidence, other: Evidence) -> Iterator[tuple[tuple, pd.DataFrame]]:
    names = ["study_id", "k", "n", "bound", "patient_years"]
    key = ["event", "relation", "approach"]
    mine, theirs = (harms_stage.facts_of(e, harms.table(e).rows) for e in (state, other))
    mine, theirs = (facts[facts["arm"].eq("treated")] for facts in (mine, theirs))
    groups = [dict(list(facts.groupby(key))) for facts in (mine, theirs)]
    for name in sorted(groups[0].keys() | groups[1].keys()):
        own, beside = (group.get(name, mine.iloc[:0]) for group in groups)
        if name[0] not in harms.NOT_COUNTED and _differ(own, beside, names):
            yield name, own


def _differ(own: pd.DataFrame, beside: pd.DataFrame, names: list[str]) -> bool:
    """Whether two tables of facts say different things, whatever the order of their rows."""

    def facts(table: pd.DataFrame) -> list[tuple]:
        cells = table[names].astype(object).where(table[names].notna(), None)
        return sorted(map(str, cells.itertuples(index=False, name=None)))

    return facts(own) != facts(beside)
