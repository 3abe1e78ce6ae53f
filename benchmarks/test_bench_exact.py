"""How long the exact posterior takes: one fit, a batch, and both curves (docs/benchmarks.md).

Each file here times one part of the project; `make bench` runs them all. `extra_info` holds what
is not a time: here the process's largest memory so far, in MB.
"""

import resource

import numpy as np
import pytest

from analysis import exact
from analysis.exact import contrasts

PRIOR = exact.HalfNormal(0.5)


def studies(k: int) -> tuple[np.ndarray, np.ndarray]:
    """Estimates and standard errors of k studies with true mean 0.3 and heterogeneity 0.2."""
    rng = np.random.default_rng(20)
    se = rng.uniform(0.1, 0.5, k)
    return 0.3 + rng.normal(size=k) * np.hypot(se, 0.2), se


def leave_one_out(k: int, refits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same studies `refits` times, each row with another one masked."""
    y, se = studies(k)
    mask = np.ones((refits, k), dtype=bool)
    mask[np.arange(refits), np.arange(refits) % k] = False
    return np.tile(y, (refits, 1)), se, mask


def memory_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def test_one_fit(benchmark):
    y, se = studies(20)
    post = benchmark(exact.fit, y, se, tau_prior=PRIOR)
    assert post.k == 20


def test_one_fit_with_all_its_summaries(benchmark):
    y, se = studies(20)

    def everything():
        post = exact.fit(y, se, tau_prior=PRIOR)
        intervals = [q.interval() for q in (post.mu, post.tau, post.predictive)]
        return intervals, post.shrinkage, post.i_squared

    assert len(benchmark(everything)[1]) == 20


@pytest.mark.parametrize("k", [10, 30, 100, 300, 1000])
def test_one_fit_by_number_of_studies(benchmark, k):
    y, se = studies(k)
    assert benchmark(exact.fit, y, se, tau_prior=PRIOR).k == k


@pytest.mark.parametrize("k", [10, 20, 100, 300, 1000])
def test_hundred_refits_by_number_of_studies(benchmark, k):
    y, se, mask = leave_one_out(k, 100)
    done = benchmark.pedantic(
        exact.fit_many, (y, se, mask), {"tau_prior": PRIOR}, rounds=3, warmup_rounds=1
    )
    assert len(done) == 100


@pytest.mark.parametrize("refits", [10, 100, 1_000, 10_000, 100_000])
def test_refits_of_twenty_studies(benchmark, refits):
    y, se, mask = leave_one_out(20, refits)
    rounds = 5 if refits <= 1_000 else 1
    done = benchmark.pedantic(
        exact.fit_many, (y, se, mask), {"tau_prior": PRIOR}, rounds=rounds, warmup_rounds=0
    )
    assert len(done) == refits
    benchmark.extra_info["largest_memory_mb"] = memory_mb()


def in_words(k: int = 11) -> contrasts.Contrasts:
    """k contrasts, three of them numbers with a spread, the others null or significant."""
    rng = np.random.default_rng(21)
    numbers = np.arange(k) < 3
    null = rng.random(k) < 0.4
    return contrasts.Contrasts.of(
        kind=np.where(numbers, "numeric", "interval"),
        y=np.where(numbers, rng.normal(-0.7, 0.5, k), np.nan),
        var_a=np.where(numbers, 0.16, np.nan),
        var_b=np.where(numbers, 0.12, np.nan),
        n_factor=rng.uniform(0.04, 0.3, k),
        z_low=np.where(null, -1.96, -np.inf),
        z_high=np.where(null, 1.96, -1.96),
        n_patients=40,
    )


def test_one_fit_with_words(benchmark):
    rows, prior = in_words(), contrasts.ContrastPriors.of("hba1c")
    assert benchmark(contrasts.fit, rows, prior).settled


def test_leave_one_out_with_words(benchmark):
    rows, prior = in_words(10), contrasts.ContrastPriors.of("hba1c")
    done = benchmark.pedantic(contrasts.leave_one_out, (rows, prior), rounds=3)
    assert len(done) == 10


def test_one_specification_with_fixed_sd_and_correlation(benchmark):
    rows, prior = in_words(), contrasts.ContrastPriors.of("hba1c")
    assert benchmark(contrasts.fit, rows, prior, r=0.4, sd=1.1).settled
