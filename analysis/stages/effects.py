"""The effects of every study, what was left out and why, and classical means beside the headlines.

DerSimonian–Laird, Paule–Mandel and Hartung–Knapp pool the numbers of each controlled and randomised
question (`crosscheck`): a second, independent way to the same answer, without results in words.
"""

from __future__ import annotations

import numpy as np

from analysis import crosscheck, outcomes
from analysis.evidence import Evidence
from analysis.questions import DESIGNS, STRATA, Body, Question
from analysis.stages.result import StageResult, Tell, stage_result

FEWEST = 2


def run(
    evidence: Evidence, *, progress: Tell = lambda part: None
) -> StageResult:  # fmt: skip
    """Tables `effects` and `exclusions`, and the classical estimates of every question.

    Parameters
    ----------
    evidence : the validated tables.
    progress : called with the name of each part before it starts.
    """
    progress("effects")
    body = Body(evidence)
    built = body.built()
    rows: list[dict] = []
    progress("classical means")
    for outcome in outcomes.of_kind(outcomes.CONTINUOUS):
        for approach, population in STRATA:
            for design in DESIGNS:
                question = Question(outcome, approach, population, design)
                rows += classical(question, body)
    return stage_result(rows, {"effects": built.effects, "exclusions": built.exclusions})


def classical(question: Question, body: Body) -> list[dict]:
    """Three classical means of the numbers of a question, from two on; ratios as ratios too."""
    about = outcomes.get(question.outcome)
    chosen = body.rows(question)
    if chosen.empty:
        return []
    made = []
    for found in crosscheck.figures(chosen):
        if found["k_studies"] < FEWEST:
            continue
        base = {**question.parts, "variant": "numbers_only"}
        made.append({**base, **found, "scale": about.scale, "unit": about.unit})
        if about.is_ratio:
            ends = ("mean", "ci_low", "ci_high", "pred_low", "pred_high")
            shown = {name: float(np.exp(found[name])) for name in ends}
            made.append({**base, **found, **shown, "sd": np.nan, "tau": np.nan, "scale": "ratio",
                         "unit": "ratio"})  # fmt: skip
    return made
