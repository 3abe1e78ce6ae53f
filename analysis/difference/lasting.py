"""Durations before and after: how long freedom from insulin lasts in each approach.

Only an approach of which a fact on durations differs is computed (or what is known of becoming
free, where a study does not print it), by the functions that make the report's own figures
(`stages.durations`): exact. A fit takes a second or two, so tracked results of the same evidence
and code are taken as they are, and what was computed is kept by its facts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import fitcache, pipeline, results
from analysis.closure import code_digest
from analysis.counting import duration_facts, share_facts
from analysis.evidence import Evidence
from analysis.evidence.references import renamed
from analysis.exact import survival
from analysis.exact.duration_likelihood import READ, last_supported_month
from analysis.questions import APPROACHES
from analysis.stages import durations as stage

STACKED = "stacked"
SHOWN = (("survival", 12.0), ("survival", 60.0), ("median_duration", np.nan))
FIGURES = ("median", "ci_low", "ci_high", "k_studies", "n_patients", "note")
COLUMNS = ["id", "approach", "population", "quantity", "month", "unit",
           *(f"{name}_{when}" for when in ("before", "after") for name in FIGURES),
           "last_month_before", "last_month_after"]  # fmt: skip


@dataclass(frozen=True)
class Durations:
    """What one state of the evidence tells of durations.

    Attributes
    ----------
    evidence : the state.
    facts : one row a statement on durations, with approach and population.
    shares : facts of shares (`share_facts.COLUMNS`): who became free at all.
    out : a folder of tracked results that may be of this state; None where there is none.
    """

    evidence: Evidence
    facts: pd.DataFrame
    shares: pd.DataFrame
    out: Path | None = None

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The declared tables of facts that verdicts are judged from."""
        shown = self.facts[self.facts["approach"].isin(APPROACHES)]
        return {"duration_facts": shown.drop(columns=stage.UNSHOWN)}

    def read(self, approach: str) -> tuple:
        """All that the durations of an approach are computed from."""
        own = stage.facts_of(self.facts, approach)
        told = [_sorted(own[["study_id", "cohort", *READ]])]
        if own["through_ever"].any():
            free = self.shares["outcome"].eq(share_facts.EVER) & self.shares["approach"].eq(
                approach
            )
            names = ["study_id", "patients", "k", "n", "bound", "not_counted"]
            told.append(_sorted(self.shares.loc[free, names]))
        return tuple(told)


def _sorted(table: pd.DataFrame) -> tuple[str, ...]:
    return tuple(sorted(map(str, table.itertuples(index=False, name=None))))


def of(state: Evidence, shares: pd.DataFrame, out: Path | None = None) -> Durations:
    """The facts on durations of a state of the evidence.

    Parameters
    ----------
    state : the validated tables.
    shares : its facts of shares.
    out : a folder of tracked results, used where they are of this state and of this code.
    """
    facts = stage.with_strata(state, duration_facts.layer(state)[0])
    facts["source_rows"] = [renamed(state, names) for names in facts["source_rows"]]
    return Durations(state, facts, shares, out)


def told(state: Durations, approach: str) -> tuple[list[dict], list[dict]]:
    """What the report tells of the durations of one approach: as tracked, as kept, or computed.

    Returns
    -------
    estimates (rows of `results.ESTIMATES`, of the average of the families), and the row of
    duration_follow_up; both empty where there is no fact.
    """
    if state.out is not None and _is_tracked(state, state.out):
        return _tracked(state.out, approach)
    settings = {"read": repr(state.read(approach)), "approach": approach}
    entry = fitcache.key(code_digest("analysis.difference.lasting"), settings, {})
    kept = fitcache.load(entry)
    if kept is None:
        made = _computed(state, approach)
        data = np.frombuffer(json.dumps(made, default=float).encode(), dtype=np.uint8)
        fitcache.save(entry, {"json": data})
        return made
    rows, reach = json.loads(kept["json"].tobytes())
    return rows, reach


def _is_tracked(state: Durations, out: Path) -> bool:
    """Whether the durations tracked there are of this evidence and of this code."""
    record = pipeline.read_manifest(out).get("stages", {}).get("durations")
    if record is None or record["inputs"]["code"] != code_digest("analysis.stages.durations"):
        return False
    digests = pipeline.evidence_digests(state.evidence)
    return all(digests.get(file) == d for file, d in record["inputs"]["evidence"].items())


def _tracked(out: Path, approach: str) -> tuple[list[dict], list[dict]]:
    estimates = results.read(out, "estimates")
    own = estimates["outcome"].eq("insulin_free_duration") & estimates["variant"].eq(STACKED)
    rows = estimates[own & estimates["approach"].eq(approach)].drop(columns="id")
    reach = results.read(out, "duration_follow_up")
    return rows.to_dict("records"), reach[reach["approach"].eq(approach)].to_dict("records")


def _computed(state: Durations, approach: str) -> tuple[list[dict], list[dict]]:
    own = stage.facts_of(state.facts, approach)
    if own.empty or own["kind"].eq("unresolved").all():
        return [], []
    who = {"approach": approach, "population": stage.POPULATION}
    last, share = last_supported_month(own), np.nan
    rows: list[dict] = []
    if own["study_id"].nunique() >= stage.FEWEST:
        ever = stage.ever_of_others(state.evidence, own)
        average = survival.fit_all(own, stage.PRIORS, ever=ever).average
        rows = stage.estimates_of(who, own, {STACKED: average}, last)
        if np.isfinite(last):
            share = average.share_beyond(last, stage.WINDOW)
    return rows, [stage.follow_up(who, own, last, share)]


def compare(old: Durations, new: Durations) -> tuple[pd.DataFrame, dict[str, list[pd.DataFrame]]]:
    """Durations that a change of the evidence touches.

    Returns
    -------
    comparison : `COLUMNS`, one row a figure that differs.
    states : `estimates` and `duration_follow_up` of the touched approaches, before and after.
    """
    touched = [a for a in APPROACHES if old.read(a) != new.read(a)]
    states: dict[str, list[pd.DataFrame]] = {"estimates": [], "duration_follow_up": []}
    for state in (old, new):
        found = [told(state, approach) for approach in touched]
        states["estimates"].append(results.estimates([row for rows, _ in found for row in rows]))
        reach = results.TABLES["duration_follow_up"]
        states["duration_follow_up"].append(
            pd.DataFrame([row for _, rows in found for row in rows], columns=reach.names)
        )
    return _compared(states, touched), states


def _compared(states: dict[str, list[pd.DataFrame]], touched: list[str]) -> pd.DataFrame:
    rows = []
    for approach in touched:
        for quantity, month in SHOWN:
            row = {"approach": approach, "population": stage.POPULATION, "quantity": quantity,
                   "month": month}  # fmt: skip
            for place, when in enumerate(("before", "after")):
                row |= _figures(states["estimates"][place], approach, quantity, month, when)
                reach = states["duration_follow_up"][place].set_index("approach")["last_month"]
                row[f"last_month_{when}"] = reach.get(approach, np.nan)
            if _said(row, "before") != _said(row, "after"):
                rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def _figures(
    estimates: pd.DataFrame, approach: str, quantity: str, month: float, when: str
) -> dict[str, object]:
    """The figures of one state, and the name of the estimate; nothing where there is none."""
    own = estimates[estimates["approach"].eq(approach) & estimates["quantity"].eq(quantity)]
    if not np.isnan(month):
        own = own[own["month"].eq(month)]
    if own.empty:
        return {}
    one = own.iloc[0]
    return {"id": one["id"], "unit": one["unit"],
            **{f"{name}_{when}": one[name] for name in FIGURES}}  # fmt: skip


def _said(row: dict, when: str) -> tuple:
    """What is told of a figure, to eight digits as tables hold it."""
    told = [row.get(f"{name}_{when}") for name in (*FIGURES, "last_month")]
    told = [f"{value:.7g}" if isinstance(value, float) else value for value in told]
    return tuple(told)
