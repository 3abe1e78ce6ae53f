"""The declarations of every table beside the estimates, one module a stage that makes them."""

from analysis.results.tables import (
    counts,
    durations,
    effects,
    harms,
    headlines,
    publication,
    registered,
    robustness,
    synthesis,
    witness,
)

__all__ = ["counts", "durations", "effects", "harms", "headlines", "publication", "registered",
           "robustness", "synthesis", "witness"]  # fmt: skip
