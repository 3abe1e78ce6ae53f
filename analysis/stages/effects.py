"""The effects of every study, what was left out of them and why, and classical pooled estimates."""

from __future__ import annotations

from collections.abc import Callable

from analysis import crosscheck, effects
from analysis.evidence import Evidence
from analysis.models.result import ModelResult


def run(evidence: Evidence, *, seed: int, progress: Callable[[str], None]) -> ModelResult:
    """Tables `effects` and `exclusions`, and the estimates of `crosscheck`."""
    built = effects.build(evidence)
    tables = {"effects": built.effects, "exclusions": built.exclusions}
    return ModelResult(crosscheck.run(built.effects), tables)
