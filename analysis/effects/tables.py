"""What every user of the effects table asks of it: standard errors, and one headline a cohort."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis import outcomes
from analysis.effects.rules import Rules


def variance(effects: pd.DataFrame, r: float = Rules.r) -> np.ndarray:
    """Sampling variances at the pre-post correlation r, shape (k,); NaN where no spread is known.

    Parameters
    ----------
    effects : an effects table, (k rows).
    r : pre-post correlation.

    Raises
    ------
    ValueError : r is not between -1 and 1.
    """
    if not -1 < r < 1:
        raise ValueError("r lies between -1 and 1")
    return (effects["var_a"] - r * effects["var_b"]).to_numpy(dtype=float)


def se(effects: pd.DataFrame, r: float = Rules.r) -> np.ndarray:
    """Standard errors at the pre-post correlation r, shape (k,); NaN where no spread is known.

    Parameters
    ----------
    effects : an effects table, (k rows).
    r : pre-post correlation.
    """
    return np.sqrt(variance(effects, r))


def headline(effects: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """The headline effects of one outcome that may be pooled, one row a group of patients.

    Parameters
    ----------
    effects : an effects table.
    outcome : a continuous outcome.

    Raises
    ------
    KeyError : no such continuous outcome.
    """
    known = outcomes.of_kind(outcomes.CONTINUOUS)
    if outcome not in known:
        raise KeyError(f"no such outcome: {outcome}; known: {', '.join(known)}")
    chosen = effects["outcome"].eq(outcome) & effects["headline"] & effects["pool"]
    return effects[chosen].reset_index(drop=True)
