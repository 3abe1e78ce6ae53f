"""NUTS as the witness: headlines sampled by PyMC and compared with quadrature.

Every controlled and randomised mean, the rates of harm and shares with most cohorts, and two
families of durations are sampled from the same posterior. A difference beyond Monte-Carlo error
stops the run; a fit that fails its gate is a witness that did not testify, and is named.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from analysis import outcomes, questions
from analysis.counting import duration_facts, share_facts
from analysis.evidence import Evidence
from analysis.exact import survival
from analysis.models import contrast_witness, count_witness, survival_witness
from analysis.models.compare import Testimony
from analysis.questions import APPROACHES, DESIGNS, Body, posterior_of
from analysis.stages import harms, shares
from analysis.stages.durations import (
    FEWEST,
    PRIORS,
    ever_of_others,
    facts_of,
    with_strata,
)
from analysis.stages.result import StageResult, Tell, stage_result

DRAWS = 1000
FAMILIES = ("exponential",)
"""Families of durations that are sampled beside the one that predicts best."""


def run(evidence: Evidence, *, seed: int, progress: Tell = lambda part: None) -> StageResult:
    """Sample every headline and compare.

    Parameters
    ----------
    seed : seed of the first fit; each further fit has one of its own.

    Raises
    ------
    DisagreementError : a witness contradicts quadrature.
    """
    found = [
        *_contrasts(evidence, seed, progress),
        *_counts(evidence, seed + 1000, progress),
        *_durations(evidence, seed + 2000, progress),
    ]
    rows = [row for name, one in found for row in _rows(name, one)]
    withheld = {name: one.silent for name, one in found if one.silent}
    return stage_result((), {"witness": rows}, withheld)


def _rows(name: str, one: Testimony) -> list[dict]:
    if one.silent:
        blank = {f"{figure}_{how}": np.nan for figure in ("mean", "sd", "q025", "q975")
                 for how in ("exact", "nuts", "mcse")}  # fmt: skip
        return [{"fit": name, "quantity": "none", **blank, "worst_gap": np.nan,
                 "silent": one.silent}]  # fmt: skip
    made = []
    for comparison in one.comparisons:
        record = comparison.record()
        quantity = str(record.pop("quantity")).split(": ")[-1]
        record.pop("agrees")
        made.append({"fit": name, **record, "quantity": quantity, "silent": ""})
    return made


def _contrasts(evidence: Evidence, seed: int, progress: Tell) -> Iterable[tuple[str, Testimony]]:
    body = Body(evidence)
    asked = [
        q for design in DESIGNS
        for q in questions.headlines(body, design=design)
        if q.outcome in outcomes.HEADLINES
    ]  # fmt: skip
    if not asked:
        return
    posteriors = [posterior_of(body, question) for question in asked]
    progress("compiling the contrasts")
    witness = contrast_witness.compile_witness(posteriors)
    for i, (question, posterior) in enumerate(zip(asked, posteriors, strict=True)):
        name = " ".join((question.outcome, question.approach, question.population,
                         question.design))  # fmt: skip
        progress(name)
        yield name, witness.hear(name, posterior, seed=seed + i, draws=DRAWS)


def _counts(evidence: Evidence, seed: int, progress: Tell) -> Iterable[tuple[str, Testimony]]:
    """Ever insulin-free, and the rates of the gravest harms, in each approach with two cohorts."""
    facts = share_facts.table(evidence).facts
    facts = facts[facts["outcome"] == "ever_insulin_free"]
    posteriors = {
        f"ever insulin-free {approach}": shares.fit_shares(own)
        for approach, own in facts.groupby("approach")
        if len(own) >= shares.FEWEST
    } | harms.posteriors(evidence)
    if not posteriors:
        return
    progress("compiling the counts")
    witness = count_witness.compile_witness(posteriors.values())
    for i, (name, posterior) in enumerate(posteriors.items()):
        progress(name)
        yield name, witness.hear(name, posterior, seed=seed + i, draws=DRAWS)


def _durations(evidence: Evidence, seed: int, progress: Tell) -> Iterable[tuple[str, Testimony]]:
    """Two families of durations in the approach with most studies: one, and the best weighted."""
    facts = with_strata(evidence, duration_facts.layer(evidence)[0])
    of_each = {approach: facts_of(facts, approach) for approach in APPROACHES}
    approach = max(of_each, key=lambda name: of_each[name]["study_id"].nunique())
    own = of_each[approach]
    if own["study_id"].nunique() < FEWEST or own["kind"].eq("unresolved").all():
        return
    ensemble = survival.fit_all(own, PRIORS, ever=ever_of_others(evidence, own))
    best = max(ensemble.weights, key=ensemble.weights.__getitem__)
    families = list(dict.fromkeys((*FAMILIES, best)))
    together = best in survival_witness.HOLD_EXPONENTIAL
    for chosen in [families] if together else [[family] for family in families]:
        progress(f"compiling the durations ({' and '.join(chosen)})")
        posteriors = [ensemble.posteriors[family] for family in chosen]
        witness = survival_witness.compile_witness(posteriors)
        for family, posterior in zip(chosen, posteriors, strict=True):
            name = f"duration {family} {approach}"
            progress(name)
            own = seed + families.index(family)
            yield name, witness.hear(name, posterior, seed=own, draws=DRAWS)


def silent_of(table: pd.DataFrame) -> pd.DataFrame:
    """The fits of a witness table that did not testify, with their reasons."""
    return table[table["silent"].ne("")][["fit", "silent"]].reset_index(drop=True)
