"""What new evidence changes: `comparing` two states, in words for a `terminal`, as a `page`."""

from analysis.difference.comparing import (
    Difference,
    NoBase,
    compare,
    load_base,
    predictive_cdf,
    prior_predictive_cdf,
)
from analysis.difference.judging import conclude

__all__ = [
    "Difference",
    "NoBase",
    "compare",
    "conclude",
    "load_base",
    "predictive_cdf",
    "prior_predictive_cdf",
]
