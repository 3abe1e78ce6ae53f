"""How long the stages take: sensitivity, bias averaging, each model cold and warm, the whole run.

Cold means a graph that this process has not compiled; warm is one more fit of a compiled graph with
other data. Results are in docs/benchmarks.md.
"""

import numpy as np
import pytest

from analysis import effects, evidence, pipeline, sensitivity
from analysis.models import bias_average, change, safety, sampling, selection, trajectory

SEED = 20261124


@pytest.fixture(scope="module")
def loaded():
    return evidence.load(pipeline.RAW)


def once(benchmark, function, *arguments, **words):
    return benchmark.pedantic(function, args=arguments, kwargs=words, rounds=1, iterations=1)


def test_effects(benchmark, loaded):
    assert len(once(benchmark, effects.build, loaded).effects)


def test_sensitivity_stage_of_three_outcomes(benchmark, loaded):
    result = once(benchmark, sensitivity.run, loaded, seed=SEED)
    assert len(result.tables["multiverse"]) >= 6000


def test_selection_stage(benchmark, loaded):
    assert len(once(benchmark, selection.run, loaded).tables["bias_summary"])


def test_bias_model_averaging_of_twenty_studies(benchmark):
    rng = np.random.default_rng(20)
    se = rng.uniform(0.1, 0.5, 20)
    y = 0.3 + rng.normal(size=20) * np.hypot(se, 0.2)
    prior = bias_average.exact.HalfNormal(0.5)
    assert once(
        benchmark, bias_average.fit, y, se, side=1, mu_prior=bias_average.exact.Normal(0, 1),
        tau_prior=prior,
    )  # fmt: skip


GRAPHS = {
    "change": lambda: change.build(20),
    "safety": safety.build,
    "trajectory": lambda: trajectory.build(48),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_compiling_a_graph(benchmark, name):
    assert once(benchmark, sampling.compile_model, GRAPHS[name](), name)


@pytest.mark.parametrize("stage", ["change", "independence", "safety", "trajectory", "joint"])
def test_a_stage_cold(benchmark, stage, tmp_path):
    report = once(benchmark, pipeline.run, pipeline.RAW, tmp_path, only=[stage])
    assert report.computed == (stage,)


def test_a_warm_fit_of_the_change_model(benchmark, loaded):
    sampler = sampling.compile_model(change.build(20), "change")
    rows = change.pooled_effects(effects.build(loaded).effects, "hba1c")
    data = change.design_arrays(rows, "hba1c", 20)
    words = {"seed": SEED, "data": data, "target_accept": 0.99}
    assert not once(benchmark, sampler.fit, "hba1c", **words).diagnostics.faults()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


def test_the_whole_run(benchmark, results):
    report = once(benchmark, pipeline.run, pipeline.RAW, results)
    assert report.computed == pipeline.STAGE_NAMES


def test_an_unchanged_run(benchmark, results):
    report = once(benchmark, pipeline.run, pipeline.RAW, results)
    assert report.computed == ()
