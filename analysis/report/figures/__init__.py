"""The pictures of the report. Each function takes `Results` and gives one matplotlib figure."""

from analysis.report.figures.change import at_diagnosis, by_type, forest, ridges, trajectory
from analysis.report.figures.durability import durability, ever, families, swimmer
from analysis.report.figures.overview import claims, evidence_map
from analysis.report.figures.robustness import (
    calibration,
    cumulative,
    earlier,
    funnel,
    leave_one_out,
    multiverse,
    prior_grid,
)
from analysis.report.figures.safety import bounds, needed, next_trial, silence, strategies

__all__ = [
    "at_diagnosis",
    "bounds",
    "by_type",
    "calibration",
    "claims",
    "cumulative",
    "durability",
    "earlier",
    "ever",
    "evidence_map",
    "families",
    "forest",
    "funnel",
    "leave_one_out",
    "multiverse",
    "needed",
    "next_trial",
    "prior_grid",
    "ridges",
    "silence",
    "strategies",
    "swimmer",
    "trajectory",
]
