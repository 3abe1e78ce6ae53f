"""Exact Bayesian random-effects meta-analysis by quadrature, with numpy and scipy alone.

    from analysis import exact
    post = exact.fit(y, se, tau_prior=exact.HalfNormal(0.5))
    post.mu.mean, post.mu.interval(), post.tau.median, post.predictive.interval()

The model is y_i ~ N(x_i β, se_i² + τ²). Given τ everything is normal and has a closed form
(`model`); τ itself, one number, is integrated over numerically (`quadrature`); what one then
wants to know is a mixture of normals (`mixture`). Counts (`counts`: shares and rates, zeros and
lower bounds kept; `bounds`: exact intervals without a model) are integrated in three dimensions
(`hierarchy`) and read from even grids (`grid`); durations (`survival`, from the facts of `facts`)
are integrated on one grid for each of six `families`. No sampling, so no Monte Carlo error: a refit
takes a few milliseconds, and thousands are done at once (`fit_many`). Source: Röver (2020),
Journal of Statistical Software 93(6); Röver & Friede (2023), Comput Methods Programs Biomed 229.

    from analysis.exact import contrasts
    post = contrasts.fit(rows, contrasts.ContrastPriors.of("hba1c"), teachers=teachers)

does the same for contrasts of which some are known in words only, with the pre-post correlation
and the SDs of change unknown (`contrasts`), by adaptive quadrature over all unknowns.
"""

from analysis.exact.batch import BatchDistribution, ExactBatch, fit_many
from analysis.exact.counts import CountPosterior, fit_rates, fit_shares
from analysis.exact.grid import GridDistribution
from analysis.exact.posterior import DEFAULT_TAU_PRIOR, Distribution, ExactPosterior, fit
from analysis.exact.priors import (
    Exponential,
    Fixed,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    LogNormal,
    Normal,
    TauPrior,
    Uniform,
)

__all__ = [
    "DEFAULT_TAU_PRIOR",
    "BatchDistribution",
    "CountPosterior",
    "Distribution",
    "ExactBatch",
    "ExactPosterior",
    "Exponential",
    "Fixed",
    "GridDistribution",
    "HalfCauchy",
    "HalfNormal",
    "HalfStudentT",
    "LogNormal",
    "Normal",
    "TauPrior",
    "Uniform",
    "fit",
    "fit_many",
    "fit_rates",
    "fit_shares",
]
