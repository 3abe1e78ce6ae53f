"""The declarations of every table beside the estimates, one module a stage that makes them."""

from analysis.results.tables import (
    durations,
    effects,
    harms,
    headlines,
    publication,
    registered,
    robustness,
    shares,
    synthesis,
    witness,
)

__all__ = ["durations", "effects", "harms", "headlines", "publication", "registered",
           "robustness", "shares", "synthesis", "witness"]  # fmt: skip
