"""The share ever free from insulin: a logit-normal model with zeros and lower bounds kept.

Of n_i treated patients k_i were ever independent: binomial in p_i, logit p_i = eta_i of the
hierarchy in `tabulated`. A printed lower bound ("at least k") is a censored count, P(K >= k). Two
forms are fitted: by cell class alone, and with moderators (diabetes type, onset, conditioning,
control group), whose coefficients say how confounded these are with the class.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special, stats

from analysis.models import tabulated
from analysis.models.tabulated import CLASSES, NO_CURE, THETA, Table

LOGIT = np.linspace(-10.0, 8.0, 121)
"""Grid of the log odds."""

MODERATORS = {
    "type2": "type 2 diabetes (against type 1)",
    "onset_new": "new onset (against not stated)",
    "onset_longstanding": "long-standing diabetes (against not stated)",
    "conditioning": "conditioning (against none)",
    "controlled": "study with a control group (against none)",
}


def log_likelihood(counts: pd.DataFrame, logit) -> np.ndarray:
    """Log likelihood of each count at log odds `logit`: shape (studies, len(logit))."""
    p = special.expit(np.asarray(logit, float))
    rows = []
    for row in counts.to_dict("records"):
        k, n = row["k"], row["n"]
        if row["bound"] == "at_least":
            rows.append(stats.binom.logsf(k - 1, n, p))
        else:
            rows.append(special.xlogy(k, p) + special.xlog1py(n - k, -p))
    return np.maximum(np.array(rows).reshape(len(counts), p.size), -1e8)


def likelihoods(counts: pd.DataFrame) -> Table:
    """The likelihoods of `durations.ever_counts` for the sampler; no shape, no cured share."""
    values = log_likelihood(counts, LOGIT)[:, :, None, None]
    values = np.tile(values, (1, 1, THETA.size, NO_CURE.size))
    return Table(tuple(counts["study_id"]), tuple(counts["cell_class"]), LOGIT, NO_CURE, values)


def design(counts: pd.DataFrame) -> np.ndarray:
    """The moderators as zeros and ones, shape (studies, len(MODERATORS)), in that order."""
    return np.column_stack(
        [
            counts["diabetes_type"].eq("T2D"),
            counts["onset"].eq("new"),
            counts["onset"].eq("longstanding"),
            counts["conditioning"].astype(bool),
            counts["design"].isin(["rct", "nonrandomised_controlled"]),
        ]
    ).astype(float)


def fit(counts: pd.DataFrame, *, moderated: bool, seed: int, size: int, name: str, **options):
    """Sample the posterior; options go to `Sampler.fit`."""
    x = design(counts) if moderated else None
    data = tabulated.data(likelihoods(counts), "ever_independent", size, x)
    return tabulated.sampler(size).fit(name, seed=seed, data=data, **options)


def class_weights(counts: pd.DataFrame) -> np.ndarray:
    """The share of studies in each class, in the order of `CLASSES`."""
    found = np.array([(counts["cell_class"] == c).sum() for c in CLASSES], float)
    return found / max(found.sum(), 1.0)


def new_study_logit(fit, counts: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Mean and SD of the log odds in a new study, by cell class (all classes)."""
    rng = np.random.default_rng(0)
    mean, tau = fit.draws("class_mean"), fit.draws("tau")
    logit = mean + tau[:, None] * rng.standard_normal(mean.shape)
    return {c: (logit[:, i].mean(), logit[:, i].std()) for i, c in enumerate(CLASSES)}


def contrasts(pairs: pd.DataFrame, draws: int = 20_000) -> pd.DataFrame:
    """Log odds ratio of ever independent, treated against control, each arm with Jeffreys' prior.

    Returns the rows of `durations.ever_contrasts` with log_odds_ratio_mean, _ci_low, _ci_high.
    """
    rng = np.random.default_rng(0)
    found = []
    for row in pairs.to_dict("records"):
        arms = [
            special.logit(rng.beta(k + 0.5, n - k + 0.5, draws))
            for k, n in ((row["k"], row["n"]), (row["k_control"], row["n_control"]))
        ]
        ratio = arms[0] - arms[1]
        low, high = np.quantile(ratio, [0.025, 0.975])
        found.append((ratio.mean(), low, high))
    columns = [f"log_odds_ratio_{x}" for x in ("mean", "ci_low", "ci_high")]
    numbers = pd.DataFrame(found, columns=columns, index=pairs.index, dtype=float)
    return pd.concat([pairs, numbers], axis=1)
