"""Many small analyses in a few vectorised passes of `exact.fit_many`.

A `Case` is one analysis: its numbers, its design and its priors. `fit_cases` sorts the cases by
what must be alike inside one pass (a bias term or none, the family of the prior of tau), pads the
data sets to the longest one and gives the answers back in the order of the cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from analysis import exact

SUMMARY = ["mean", "sd", "ci_low", "ci_high", "pred_low", "pred_high", "tau"]
ANSWERS = [*SUMMARY, "pred_sd", "log_marginal"]


@dataclass(frozen=True)
class Case:
    """One analysis.

    Attributes
    ----------
    y, se, controlled : (k,) effects, standard errors, whether each is from a controlled study.
    mu, tau : priors of the mean effect and of the heterogeneity.
    bias : prior of what an uncontrolled study adds, or None where one design is pooled alone.
    at_uncontrolled : with `bias`, the answer is for uncontrolled studies, mu + bias, not for mu.
    """

    y: np.ndarray
    se: np.ndarray
    controlled: np.ndarray
    mu: exact.Normal
    tau: exact.TauPrior
    bias: exact.Normal | None = None
    at_uncontrolled: bool = False


def below_name(bound: float) -> str:
    """The column that holds P(mean effect < bound)."""
    return f"below_{bound:g}"


def fit_cases(cases: Sequence[Case], bounds: Sequence[float] = ()) -> pd.DataFrame:
    """Summaries of many cases, one row a case.

    Parameters
    ----------
    cases : the analyses. A case without a study has NaN in every column.
    bounds : for each, a column `below_name(bound)`: P(mean effect < bound).

    Returns
    -------
    DataFrame: mean, sd, ci_low, ci_high (95 % central interval of the mean effect), pred_low,
    pred_high (of the true effect of a new study), tau (posterior median), pred_sd,
    log_marginal, and the probabilities asked for.
    """
    columns = [*ANSWERS, *map(below_name, bounds)]
    answers = np.full((len(cases), len(columns)), np.nan)
    groups: dict[tuple, list[int]] = {}
    for position, case in enumerate(cases):
        if len(case.y):
            groups.setdefault((case.bias is not None, type(case.tau)), []).append(position)
    for (with_bias, _), positions in groups.items():
        post = _fit([cases[i] for i in positions], with_bias)
        answers[positions] = np.column_stack(
            [post.mu_mean, post.mu_sd, post.mu_low, post.mu_high, post.predictive_low,
             post.predictive_high, post.tau_median, post.predictive_sd,
             post.log_marginal_likelihood, *map(post.probability_below, bounds)]
        )  # fmt: skip
    return pd.DataFrame(answers, columns=columns)


def _fit(cases: list[Case], with_bias: bool) -> exact.ExactBatch:
    """One pass. The entry after the last study is always masked.

    `fit_many` answers at the mean of each covariate over all entries, masked ones included; the
    masked entry is given the value that makes this mean 0 (controlled) or 1 (uncontrolled).
    """
    length = max(len(case.y) for case in cases) + 1
    y, se = np.zeros((len(cases), length)), np.ones((len(cases), length))
    mask = np.zeros((len(cases), length), dtype=bool)
    uncontrolled = np.zeros((len(cases), length))
    for row, case in enumerate(cases):
        k = len(case.y)
        y[row, :k], se[row, :k], mask[row, :k] = case.y, case.se, True
        uncontrolled[row, :k] = ~np.asarray(case.controlled, dtype=bool)
        uncontrolled[row, -1] = length * case.at_uncontrolled - uncontrolled[row, :-1].sum()
    mu, tau = _stack([case.mu for case in cases]), _stack([case.tau for case in cases])
    if not with_bias:
        return exact.fit_many(y, se, mask, mu_prior=mu, tau_prior=tau)
    x = np.stack([np.ones_like(uncontrolled), uncontrolled], axis=2)
    bias = _stack([case.bias for case in cases])
    return exact.fit_many(y, se, mask, X=x, mu_prior=[mu, bias], tau_prior=tau)


def _stack(records: list):
    """Priors of one family as one prior with an array for each parameter."""
    family = type(records[0])
    return family(
        *(np.array([getattr(r, f.name) for r in records], dtype=float) for f in fields(family))
    )
