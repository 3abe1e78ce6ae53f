"""Sensitivity of the headline itself: refits by quadrature, words and unknown SDs included."""

from analysis.sensitivity.multiverse import explore, standing
from analysis.sensitivity.nullify import bias_to_nullify
from analysis.sensitivity.refits import cumulative, influence, leave_one_out, power, prior_grid

__all__ = [
           "bias_to_nullify",
           "cumulative",
           "explore",
           "influence",
           "leave_one_out",
           "power",
           "prior_grid",
           "standing",
]  # fmt: skip
