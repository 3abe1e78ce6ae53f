"""What follows from all other stages: certainty of each headline, verdicts, where headlines stand.

Reads the estimates and tables of the run and the evidence; fits nothing. Certainty is judged on
the randomised row of a headline where that has two results, else on the controlled one; of shares,
durations and harms on what there is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from analysis import certainty, claims, outcomes, registered, results, risk_of_bias
from analysis.evidence import Evidence
from analysis.results import ALL
from analysis.stages import completeness
from analysis.stages.result import StageResult, Tell, stage_result

CANNOT_HAPPEN = ("c_peptide_detectable", "ever_insulin_free", "insulin_free_12")
"""Shares of what cannot happen by itself where C-peptide was undetectable at entry."""
ENOUGH = 2
SHOWN = 10
"""So many faults of completeness are named in a message."""
Tables = Mapping[str, pd.DataFrame]
Judged = tuple[pd.Series, str, certainty.Body]
"""An estimate, the design it is judged on, and what stands behind it."""
READS = ("headlines", "study_estimates", "densities", "share_facts", "share_contrasts",
         "duration_facts", "duration_follow_up", "harm_summary", "harm_facts",
         "registered_silence", "standing", "multiverse")  # fmt: skip
"""The tables of the run that certainty and claims are judged from; no other is looked at."""


def run(
    evidence: Evidence,
    *,
    estimates: pd.DataFrame,
    tables: Mapping[str, pd.DataFrame],
    progress: Tell = lambda part: None,
) -> StageResult:
    """Certainty, claims and their steps.

    Parameters
    ----------
    evidence : the validated tables.
    estimates : all estimates of the run.
    tables : the declared tables of the run, by name.
    progress : called with the name of each part before it starts.

    Returns
    -------
    StageResult without estimates; tables certainty, certainty_steps, claims.

    Raises
    ------
    ContractError : the run lacks an estimate, or has one that nobody asked for (`completeness`).
    """
    estimates = results.checked("estimates", estimates)
    tables = {name: results.checked(name, table) for name, table in tables.items()}
    progress("completeness")
    found = completeness.faults(estimates, tables)
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise results.ContractError(f"estimates: {'; '.join(found[:SHOWN])}{more}")
    return stage_result((), conclusions(evidence, estimates, tables, progress))


def conclusions(
    evidence: Evidence,
    estimates: pd.DataFrame,
    tables: Mapping[str, pd.DataFrame],
    progress: Tell = lambda part: None,
) -> dict[str, pd.DataFrame]:
    """What follows from estimates and tables, whether they are a whole run or not.

    Parameters
    ----------
    tables : declared tables by name; of these `READS`, any of which may be missing.

    Returns
    -------
    The declared tables certainty, certainty_steps and claims.
    """
    tables = {name: results.checked(name, tables[name]) for name in READS if name in tables}
    progress("certainty")
    levels, steps = judgements(estimates, tables, evidence)
    made = {"certainty": levels, "certainty_steps": steps}
    progress("claims")
    return made | {"claims": claims.table(estimates, {**tables, **made}, evidence)}


def judgements(
    estimates: pd.DataFrame, tables: Mapping[str, pd.DataFrame], evidence: Evidence
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The declared tables certainty and certainty_steps: one judgement a headline."""
    judged = [
        *_of_effects(estimates, tables, evidence),
        *_of_shares(estimates, tables, evidence),
        *_of_durations(estimates, tables, evidence),
    ]
    levels, steps = [], []
    for row, design, body in judged:
        level, taken = certainty.judge(body)
        moved = [step for step in taken if step.domain != "start" and step.levels]
        stratum = {name: row[name] for name in ("outcome", "approach", "population")}
        levels.append({
            **stratum, "estimate_id": row["id"], "design": design, "level": level,
            "levels_down": -sum(step.levels for step in moved if step.levels < 0),
            "levels_up": sum(step.levels for step in moved if step.levels > 0),
            "reasons": "; ".join(step.reason for step in moved),
        })  # fmt: skip
        steps += [{"estimate_id": row["id"], "domain": step.domain, "levels": step.levels,
                   "reason": step.reason} for step in taken]  # fmt: skip
    return (
        results.checked("certainty", _frame(levels, "certainty")),
        results.checked("certainty_steps", _frame(steps, "certainty_steps")),
    )


def _frame(rows: list[dict], name: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=results.TABLES[name].names)


def _of_effects(estimates: pd.DataFrame, tables: Tables, evidence: Evidence) -> Iterator[Judged]:
    """Every printed mean against controls, judged on its randomised row where that has two."""
    told = tables["headlines"]
    studies = tables["study_estimates"]
    silent = _share_silent(tables)
    for headline in told[told["told"].eq("mean") & told["design"].eq("controlled")].to_dict(
        "records"
    ):
        about = outcomes.get(headline["outcome"])
        stratum = {name: headline[name] for name in ("outcome", "approach", "population")}
        scale = "ratio" if about.is_ratio else about.scale
        mean = results.one(estimates, **stratum, design="controlled", scale=scale)
        design = "controlled"
        beside = told[_where(told, {**stratum, "design": "randomised"})]
        if len(beside) and beside["k_studies"].iloc[0] >= ENOUGH and (
            results.get(estimates, **stratum, design="randomised", scale=scale) is not None
        ):  # fmt: skip
            design = "randomised"
        row = told[_where(told, {**stratum, "design": design})].iloc[0]
        figures = results.one(estimates, **stratum, design=design, scale=scale)
        own = studies[_where(studies, {**stratum, "design": design})]
        body = body_of_effect(
            about, row, figures, tuple(own["weight"]), tuple(own["risk_of_bias"]),
            silent.get((headline["approach"], headline["population"]), 0.0),
        )  # fmt: skip
        yield mean, design, body


def body_of_effect(
    about: outcomes.Outcome,
    row: Mapping,
    figures: Mapping,
    weights: tuple[float, ...],
    judgements: tuple[str, ...],
    share_silent: float,
) -> certainty.Body:
    """What stands behind the mean of one design, as certainty judges it.

    Parameters
    ----------
    about : the outcome.
    row : of the table `headlines`: design, n_patients, n_in_words, n_unregistered.
    figures : ci_low, ci_high, pred_low, pred_high on the scale readers see.
    weights, judgements : of the studies, in one order.
    share_silent : share of the patients of finished registered trials that is untold.
    """
    harm = certainty.harm_of(about.important[0], about.neutral) if about.important else np.nan
    n = max(row["n_patients"], 1)
    return certainty.Body(
        randomised=row["design"] == "randomised",
        weights=weights,
        judgements=judgements,
        n_patients=row["n_patients"],
        ci_low=figures["ci_low"], ci_high=figures["ci_high"],
        pred_low=figures["pred_low"], pred_high=figures["pred_high"],
        neutral=about.neutral, harm=harm, good=about.good,
        share_in_words=row["n_in_words"] / n,
        share_unregistered=row["n_unregistered"] / n,
        share_silent=share_silent,
    )  # fmt: skip


def _share_silent(tables: Mapping[str, pd.DataFrame]) -> dict[tuple[str, str], float]:
    """Share of the patients of finished registered trials that are untold, by stratum."""
    table = tables.get("registered_silence")
    return {} if table is None else silent_patients(table)


def silent_patients(silence: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Approach, population -> share of patients untold, of trials found by topic that say a size.

    Told is what has a report, certain or probable (`registered.UNTOLD`).
    """
    own = silence[silence["told"].eq(registered.UNTOLD) & silence["share_patients_silent"].notna()]
    return {(row.approach, row.population): row.share_patients_silent for row in own.itertuples()}


def _of_shares(estimates: pd.DataFrame, tables: Tables, evidence: Evidence) -> Iterator[Judged]:
    """Every pooled share, judged on the counts behind it."""
    facts = tables.get("share_facts", results.TABLES["share_facts"].empty())
    judged = risk_of_bias.lookup(evidence.risk_of_bias)
    found = results.find(estimates, quantity="pooled_share", variant="headline")
    for row in found.to_dict("records"):
        own = facts[facts["outcome"].eq(row["outcome"]) & facts["approach"].eq(row["approach"])]
        own = own[own["population"].isin(claims.finer(row["population"]))]
        if row["cell_class"] != ALL:
            own = own[own["cell_class"].eq(row["cell_class"])]
        if own.empty:
            continue
        family = outcomes.get(row["outcome"]).family
        yield pd.Series(row), ALL, certainty.Body(
            randomised=False,
            weights=tuple(own["n"]),
            judgements=tuple(risk_of_bias.of_studies(evidence, own["study_id"], family, judged)),
            n_patients=own["n"].sum(),
            ci_low=row["ci_low"], ci_high=row["ci_high"], neutral=np.nan,
            by_itself=not seen_against_nature(own, row["outcome"]),
        )  # fmt: skip


def seen_against_nature(facts: pd.DataFrame, outcome: str) -> bool:
    """Whether somebody had what cannot happen by itself: a count of nobody shows nothing."""
    undetectable = facts["undetectable_at_entry"].eq("yes").all()
    return bool(outcome in CANNOT_HAPPEN and undetectable and facts["k"].gt(0).any())


def _of_durations(estimates: pd.DataFrame, tables: Tables, evidence: Evidence) -> Iterator[Judged]:
    """Every share still insulin-free on the stacked curve."""
    facts = tables.get("duration_facts", results.TABLES["duration_facts"].empty())
    judged = risk_of_bias.lookup(evidence.risk_of_bias)
    found = results.find(estimates, quantity="survival", variant="stacked")
    for row in found.to_dict("records"):
        own = facts[facts["approach"].eq(row["approach"])]
        own = own[own["population"].isin(claims.finer(row["population"]))]
        own = own.drop_duplicates("study_id")
        if own.empty:
            continue
        yield pd.Series(row), ALL, certainty.Body(
            randomised=False,
            weights=tuple(own["k_ever"].fillna(1)),
            judgements=tuple(
                risk_of_bias.of_studies(evidence, own["study_id"], "insulin", judged)
            ),
            n_patients=row["n_patients"],
            ci_low=row["ci_low"], ci_high=row["ci_high"], neutral=np.nan,
        )  # fmt: skip


def _where(table: pd.DataFrame, parts: Mapping[str, object]) -> pd.Series:
    chosen = pd.Series(True, index=table.index)
    for name, value in parts.items():
        chosen &= table[name] == value
    return chosen
