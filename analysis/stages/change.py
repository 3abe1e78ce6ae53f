"""The hierarchical model of changes (`models.change`), fitted to the effects of the evidence."""

from __future__ import annotations

from collections.abc import Callable

from analysis import effects
from analysis.evidence import Evidence
from analysis.models import change
from analysis.models.result import ModelResult


def run(evidence: Evidence, *, seed: int, progress: Callable[[str], None]) -> ModelResult:
    """See `models.change.run`."""
    return change.run(effects.build(evidence).effects, seed=seed, progress=progress)
