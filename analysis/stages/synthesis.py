"""What follows from the results of all other stages: evidence still needed, and public claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from analysis import claims
from analysis.evidence import Evidence
from analysis.models import evidence_needed
from analysis.models.result import ModelResult, estimates_table


def run(
    evidence: Evidence,
    *,
    seed: int,
    progress: Callable[[str], None],
    estimates: pd.DataFrame,
    tables: Mapping[str, pd.DataFrame],
) -> ModelResult:
    """Tables of `evidence_needed` and of `claims`, from the estimates and tables of the others."""
    made = evidence_needed.from_estimates(
        estimates, tables.get("safety_new_study_rates"), tables.get("effects")
    )
    made["claims"] = claims.table(estimates, tables, evidence)
    return ModelResult(estimates_table([]), made)
