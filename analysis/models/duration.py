"""How long insulin independence lasts: one likelihood over every kind of published fact.

The likelihood itself is in `exact.facts`; here are the priors it is read with. `likelihoods`
tabulates it for the sampler of `tabulated`, `curve` gives S(t) back.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import special

from analysis import priors
from analysis.exact import facts
from analysis.exact.facts import Reading
from analysis.exact.families import log_survival
from analysis.models import tabulated
from analysis.models.tabulated import LOGIT_CURE, NO_CURE, THETA, Table

ETA = np.linspace(-2.5, 8.5, 111)
"""Grid of the log median, log months: 2.5 days to 400 years."""


def onset_nodes(n: int = 3) -> np.ndarray:
    """`n` equally likely onsets, months: the mid-quantiles of the onset distribution."""
    mean, sd = priors.get("duration", "onset").params
    return np.exp(mean + sd * special.ndtri((np.arange(n) + 0.5) / n))


def ever_prior() -> tuple[float, float]:
    """Mean and SD of the log odds of ever becoming free in a new study, a priori."""
    mean, sd = priors.get("ever_independent", "mu").params
    spreads = [priors.get("ever_independent", name).scale for name in ("tau", "tau_class")]
    return mean, float(np.sqrt(sd**2 + sum(x**2 for x in spreads)))


def reading(onset: np.ndarray | None = None) -> Reading:
    """How facts are read: the onset of the priors, or another."""
    nodes = onset_nodes() if onset is None else np.asarray(onset, float)
    return Reading(tuple(nodes), priors.get("duration", "mean_reading").scale)


def study_log_likelihood(
    rows: pd.DataFrame, family: str, eta, theta, cure, logit_ever=0.0, onset=None
):
    """Log likelihood of the facts of one study at known log odds of ever becoming free.

    Parameters
    ----------
    rows : `durations.layer` of one study.
    eta, theta, cure, logit_ever : arrays that broadcast: log median (log months), shape, cured
        share, log odds of ever becoming free.
    onset : equally likely times from treatment to freedom, months; `onset_nodes()` by default.
    """
    parts = facts.split_log_likelihood(rows, family, eta, theta, cure, reading(onset))
    return parts.given(logit_ever)


# --- tables for the sampler -------------------------------------------------------------------


def likelihoods(
    layer: pd.DataFrame,
    family: str,
    ever: Mapping[str, tuple[float, float]] | None = None,
    onset: np.ndarray | None = None,
) -> Table:
    """The likelihood of each study, tabulated.

    Parameters
    ----------
    layer : table of `durations.layer`.
    ever : for studies with `through_ever` facts, mean and SD of the log odds of ever becoming
        free, known without these facts; the prior of the ever model for a study not named.
    onset : as in `study_log_likelihood`.
    """
    logit_cure = LOGIT_CURE if family == "cure" else NO_CURE[:1]
    eta, theta = ETA[:, None, None], THETA[None, :, None]
    cure = special.expit(logit_cure)[None, None, :]
    studies, classes, values = [], [], []
    for study, rows in layer.groupby("study_id", sort=False):
        value = facts.study_log_likelihood(
            rows, family, eta, theta, cure, reading(onset), (ever or {}).get(study, ever_prior())
        )
        if family != "cure":
            value = np.repeat(value, NO_CURE.size, axis=2)
        studies.append(study)
        classes.append(rows["cell_class"].iloc[0])
        values.append(value)
    stacked = np.array(values).reshape(
        len(values), ETA.size, THETA.size, LOGIT_CURE.size if family == "cure" else NO_CURE.size
    )
    return Table(
        tuple(studies), tuple(classes), ETA, LOGIT_CURE if family == "cure" else NO_CURE, stacked
    )


def fit(table: Table, family: str, *, seed: int, size: int = 0, name: str = "", **options):
    """Sample the posterior of one family. Options go to `Sampler.fit`."""
    size = size or tabulated.padded(len(table.studies))
    return tabulated.sampler(size).fit(
        name or f"duration {family}",
        seed=seed,
        data=tabulated.data(table, "duration", size),
        **options,
    )


# --- curves -----------------------------------------------------------------------------------


def curve(family: str, eta, theta, cure, months) -> np.ndarray:
    """S(t) for each draw: shape (draws, months). Arguments of shape (draws,) and (months,)."""
    months = np.asarray(months, float)
    y = np.log(np.maximum(months, 1e-6))[None, :] - np.asarray(eta)[:, None]
    values = np.exp(log_survival(family, y, np.asarray(theta)[:, None], np.asarray(cure)[:, None]))
    return np.where(months[None, :] <= 0, 1.0, values)
