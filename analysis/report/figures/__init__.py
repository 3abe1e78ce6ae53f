"""The pictures of the report. Each function takes `Results` and gives one matplotlib figure."""

from analysis.report.figures.counts import duration, duration_left_out, shares, swimmer
from analysis.report.figures.effects import forest
from analysis.report.figures.evidence import evidence_map, flow, risk_bars, traffic_light
from analysis.report.figures.robustness import (
    cumulative,
    earlier,
    funnel,
    leave_one_out,
    multiverse,
    prior_grid,
)

__all__ = ["cumulative", "duration", "duration_left_out", "earlier", "evidence_map", "flow",
           "forest", "funnel", "leave_one_out", "multiverse", "prior_grid", "risk_bars", "shares",
           "swimmer", "traffic_light"]  # fmt: skip
