"""Sensitivity as a result: what each headline depends on, by thousands of exact refits.

`run` is the entry. The rooms behind: `data` (which numbers a set of choices leaves), `batch` (many
exact fits in few passes), `robust` (Student-t random effects), `refits` (pooled effects, leaving
out, cumulative, influence, prior grid), `multiverse`, `power` (power-scaling), `nullify` (the bias
that would remove an effect). Nothing here samples a posterior by Markov chains.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from analysis.evidence import Evidence
from analysis.models.change import GOOD_SIGN, IMPORTANT
from analysis.models.result import ModelResult, estimates_table
from analysis.sensitivity import multiverse, nullify, power, refits
from analysis.sensitivity.data import DESIGNS, OUTCOMES, DataChoices, EffectStore

__all__ = ["DESIGNS", "OUTCOMES", "DataChoices", "EffectStore", "run"]


def run(
    evidence: Evidence, *, seed: int, progress: Callable[[str], None] | None = None
) -> ModelResult:
    """Every sensitivity analysis of HbA1c, the C-peptide ratio and the insulin dose.

    Parameters
    ----------
    evidence : the validated tables.
    seed : of the sample of specifications and of the draws of power-scaling.
    progress : called with the name of each part before it starts.

    Returns
    -------
    ModelResult: estimates with method "exact"; tables leave_one_out, cumulative, influence,
    prior_grid, power_scaling, bias_to_nullify, multiverse, multiverse_levels, multiverse_choices,
    multiverse_summary. An outcome without a study has no rows, but for the last and the levels.
    """
    tell = progress or (lambda text: None)
    store = EffectStore(evidence)
    rows: list[dict] = []
    parts: dict[str, list[pd.DataFrame]] = {}

    def keep(name: str, table: pd.DataFrame) -> None:
        parts.setdefault(name, []).append(table)

    for outcome in OUTCOMES:
        tell(f"{outcome}: refits")
        good = GOOD_SIGN[outcome]
        rows += refits.estimates(store, outcome)
        for design in DESIGNS:
            keep("leave_one_out", refits.leave_one_out(store, outcome, design))
            keep("cumulative", refits.cumulative(store, outcome, design))
            keep("influence", refits.influence(store, outcome, design))
            keep("prior_grid", refits.prior_grid(store, outcome, design, good))
            keep("power_scaling", power.power_scaling(store, outcome, design, seed))
            if design != "both":
                keep("bias_to_nullify", nullify.bias_to_nullify(store, outcome, design))
        tell(f"{outcome}: multiverse")
        important = IMPORTANT.get(outcome, (None,))[0]
        table, levels = multiverse.run(store, outcome, good=good, important=important, seed=seed)
        choices = multiverse.choices_table(table)
        keep("multiverse", table)
        keep("multiverse_levels", levels)
        keep("multiverse_choices", choices)
        keep("multiverse_summary", multiverse.summary(table, levels, choices))
    return ModelResult(estimates_table(rows), {name: _joined(part) for name, part in parts.items()})


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """The tables one under the other; an empty one keeps its columns only where all are empty."""
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else frames[0]
