"""Counted headlines before and after: shares of patients, and rates of harm.

Only strata in which a counted fact differs are computed, by the functions that make the report's
own figures (`stages.shares`, `stages.harms`). Both are exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from analysis import outcomes, results
from analysis.cohorts import in_population
from analysis.counting import harm_facts, share_facts
from analysis.evidence import Evidence
from analysis.questions import STRATA
from analysis.stages import harms as harms_stage
from analysis.stages import shares as shares_stage

SHOWN = ("pooled_share", "share", "pooled_rate", "rate")
COLUMNS = ["id", "outcome", "approach", "population", "quantity", "unit", "variant",
           *(f"{name}_{when}" for when in ("before", "after") for name in (
               "mean", "sd", "ci_low", "ci_high", "k_studies", "n_patients"))]  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """What one state of the evidence counts.

    Attributes
    ----------
    evidence : the state.
    shares : facts of shares (`share_facts.COLUMNS`).
    harms : facts of harms (`stages.harms.facts_of`), control arms among them.
    """

    evidence: Evidence
    shares: pd.DataFrame
    harms: pd.DataFrame

    @property
    def treated(self) -> pd.DataFrame:
        """The harms of the treated."""
        return self.harms[self.harms["arm"].eq("treated")]


def of(state: Evidence) -> Counts:
    """Every count of a state of the evidence."""
    rows = harm_facts.table(state).rows
    return Counts(state, share_facts.table(state).facts, harms_stage.facts_of(state, rows))


def tables(counts: Counts) -> dict[str, pd.DataFrame]:
    """The declared tables that verdicts on counted claims are judged from."""
    made = {
        **shares_stage.facts_and_contrasts(counts.evidence, counts.shares),
        "harm_facts": counts.harms.drop(columns="patients"),
        "harm_summary": harms_stage.summary(counts.evidence, counts.harms),
    }
    return {
        name: pd.DataFrame(rows, columns=results.TABLES[name].names) for name, rows in made.items()
    }


def compare(old: Counts, new: Counts) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Shares and rates that a change of the evidence touches.

    Returns
    -------
    The comparison (`COLUMNS`, one row an estimate that differs), and the touched estimates
    (`results.ESTIMATES`) of each of the two states.
    """
    states = _estimates(old, new)
    figures = COLUMNS[7:13]
    names = [name.removesuffix("_before") for name in figures]
    was, now = (
        table[table["quantity"].isin(SHOWN) & table["cell_class"].eq(results.ALL)].set_index("id")
        for table in states
    )
    rows = []
    for name in dict.fromkeys([*was.index, *now.index]):
        one = (now if name in now.index else was).loc[name]
        row = {part: one[part] for part in COLUMNS[1:7]} | {"id": name}
        for when, table in (("before", was), ("after", now)):
            if name in table.index:
                row |= {f"{figure}_{when}": table.loc[name, figure] for figure in names}
        told = ("mean", "k_studies", "n_patients")
        if any(row.get(f"{f}_before") != row.get(f"{f}_after") for f in told):
            rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS), *states


def _estimates(old: Counts, new: Counts) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The estimates of both states in the strata where their facts differ."""
    rows: tuple[list[dict], list[dict]] = ([], [])
    for stratum, both in _touched_shares(old, new):
        for made, own in zip(rows, both, strict=True):
            made += shares_stage.pooled(stratum, own) if len(own) else []
            if len(own) >= shares_stage.FEWEST:
                made += shares_stage.modelled(stratum, own)[0]
    for (event, relation, approach), both in _touched_harms(old, new):
        for made, own in zip(rows, both, strict=True):
            if len(own):
                made += harms_stage.rates(event, relation, approach, own)[0]
    return results.estimates(rows[0]), results.estimates(rows[1])


def _touched_shares(old: Counts, new: Counts) -> Iterator[tuple[dict, list[pd.DataFrame]]]:
    names = ["study_id", "k", "n", "bound", "not_counted", "month"]
    changed = _differing(old.shares, new.shares, names, ["outcome", "approach"])
    for outcome in outcomes.of_kind(outcomes.COUNT):
        for approach, population in STRATA:
            if (outcome, approach) not in changed:
                continue
            both = [
                counts.shares[
                    counts.shares["outcome"].eq(outcome)
                    & counts.shares["approach"].eq(approach)
                    & in_population(counts.shares["population"], population)
                ]
                for counts in (old, new)
            ]
            if _said(both[0], names) != _said(both[1], names):
                yield {"outcome": outcome, "approach": approach, "population": population}, both


def _touched_harms(old: Counts, new: Counts) -> Iterator[tuple[tuple, list[pd.DataFrame]]]:
    names = ["study_id", "k", "n", "bound", "patient_years"]
    key = ["event", "relation", "approach"]
    both = (old.treated, new.treated)
    for name in sorted(_differing(*both, names, key)):
        if name[0] not in harm_facts.NOT_COUNTED:
            yield name, [table[(table[key] == list(name)).all(axis=1)] for table in both]


def _differing(
    was: pd.DataFrame, now: pd.DataFrame, names: list[str], key: list[str]
) -> set[tuple]:
    """The groups (by `key`) of two tables that say different things in `names`."""
    old, new = (_said(table, [*key, *names]) for table in (was, now))
    return {fact[: len(key)] for fact in (old - new) | (new - old)}


def _said(table: pd.DataFrame, names: list[str]) -> Counter[tuple]:
    """What a table of facts says, whatever the order of its rows; blank numbers alike."""
    cells = table[names].astype(object)
    cells = cells.where(cells.notna(), None)
    return Counter(cells.itertuples(index=False, name=None))
