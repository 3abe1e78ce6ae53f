"""What new evidence changes: `comparing` two states, in `words` for a terminal, as a `page`."""

from analysis.difference.comparing import (
    Difference,
    Judged,
    NoBase,
    compare,
    load_base,
    predictive_cdf,
    prior_predictive_cdf,
)

__all__ = [
    "Difference",
    "Judged",
    "NoBase",
    "compare",
    "load_base",
    "predictive_cdf",
    "prior_predictive_cdf",
]
