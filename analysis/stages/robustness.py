"""Robustness of each controlled headline: refits, multiverse, standing, on the headline itself."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis import cohorts, outcomes, questions, registered
from analysis.evidence import Evidence
from analysis.questions import Body, Question, posterior_of
from analysis.sensitivity import multiverse, refits
from analysis.sensitivity.nullify import bias_to_nullify
from analysis.stages.result import StageResult, Tell, stage_result

FEWEST_PATIENTS = 4
"""A registered trial with fewer has no two arms with a spread."""


def run(evidence: Evidence, *, progress: Tell = lambda part: None) -> StageResult:
    """Every robustness analysis of every controlled mean.

    Returns
    -------
    StageResult with the estimates of the variant `registered_nulls` and the tables leave_one_out,
    cumulative, influence, prior_grid, power_scaling, bias_to_nullify, multiverse,
    multiverse_levels, standing, common_effect.
    """
    body = Body(evidence)
    names = ("leave_one_out", "cumulative", "influence", "prior_grid", "power_scaling",
             "bias_to_nullify", "standing", "common_effect")  # fmt: skip
    tables: dict[str, list] = {name: [] for name in names}
    specs, levels, estimates = [], [], []
    for question in questions.headlines(body):
        if question.outcome not in outcomes.HEADLINES:
            continue
        progress(f"{question.outcome}, {question.population}")
        whole = posterior_of(body, question)
        without = refits.leave_one_out(body, question)
        tables["leave_one_out"] += without
        tables["cumulative"] += refits.cumulative(body, question)
        tables["influence"] += refits.influence(question, body.rows(question), whole, without)
        tables["prior_grid"] += refits.prior_grid(body, question)
        tables["power_scaling"] += refits.power(question, whole)
        tables["bias_to_nullify"].append(bias_to_nullify(question, whole))
        nulls = silent_nulls(evidence, body, question)
        nulls = nulls[~nulls["patients"].isin(body.rows(question)["patients"])]
        if len(nulls):
            estimates += _with_nulls(body, question, nulls)
        table, levels_of = multiverse.explore(body, question, whole, nulls)
        specs.append(table)
        levels.append(levels_of)
        tables["standing"].append(multiverse.standing(table, question))
        tables["common_effect"].append(multiverse.common_effect(body, question, whole))
    joined = {"multiverse": _joined(specs), "multiverse_levels": _joined(levels)}
    return stage_result(estimates, {**tables, **joined})


def silent_nulls(evidence: Evidence, body: Body, question: Question) -> pd.DataFrame:
    """Unreported registered controlled trials of a stratum as null results of their size.

    A bound, not a guess: each is entered as a difference of exactly zero, in two equal arms of the
    patients it enrolled or planned, its SD learnt from the others. Unreported is what has no
    report, certain or probable; of a trial that a study of the extract belongs to, the row has that
    study's patients, so that it never stands beside them.
    """
    silent = registered.of_stratum(
        registered.silent(evidence), question.approach, question.population
    )
    silent = silent[silent["controlled"].eq("yes") & silent["n"].ge(FEWEST_PATIENTS)]
    groups = cohorts.patient_groups(evidence.studies)
    template = body.rows(question).iloc[0]
    rows = []
    for trial in silent.to_dict("records"):
        own = [groups[study] for study in str(trial["study_ids"]).split() if study in groups]
        rows.append({
            **template.to_dict(), "effect_id": f"registered:{trial['registry_id']}",
            "study_id": trial["registry_id"], "cohort": trial["registry_id"],
            "patients": own[0] if own else trial["registry_id"],
            "label": trial["registry_id"], "year": np.nan, "population": trial["population"],
            "kind": "numeric", "y": 0.0, "var_a": np.nan, "var_b": np.nan, "z_low": np.nan,
            "z_high": np.nan, "n_factor": 4.0 / trial["n"], "n_patients": trial["n"],
            "teaches_sd": False, "seen_in": "registry", "derived": "", "months": 12.0,
            "randomised": trial["design"] == "rct", "controlled": True,
        })  # fmt: skip
    return pd.DataFrame(rows, columns=list(template.index))


def _with_nulls(body: Body, question: Question, nulls: pd.DataFrame) -> list[dict]:
    from analysis.stages.headlines import figures

    rows = pd.concat([body.rows(question), nulls], ignore_index=True)
    posterior = posterior_of(body, question, rows=rows)
    return figures(question, posterior, rows, questions.MEAN, "registered_nulls")


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
