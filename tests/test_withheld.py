"""A fit that fails its gate is withheld: named, without rows, and nothing stops because of it."""

from types import SimpleNamespace

import numpy as np
import pytest
import stub_stages

from analysis import effects, pipeline
from analysis.models import (
    change,
    independence,
    joint,
    safety,
    sampling,
    tabulated,
    trajectory,
)

BAD = sampling.Diagnostics(1.5, 12.0, 9.0, 3, 4000)
GOOD = sampling.Diagnostics(1.001, 900.0, 800.0, 0, 4000)


def a_sampler(monkeypatch, *judgements: sampling.Diagnostics) -> sampling.Sampler:
    """A sampler whose attempts are judged as given, the last judgement repeated."""
    nutpie = SimpleNamespace(sample=lambda compiled, **options: options["seed"])
    monkeypatch.setitem(__import__("sys").modules, "nutpie", nutpie)
    left = list(judgements)
    monkeypatch.setattr(
        sampling, "diagnose", lambda tree: left.pop(0) if len(left) > 1 else left[0]
    )
    sampler = object.__new__(sampling.Sampler)
    sampler._compiled = sampler._made = None
    return sampler


def test_a_fit_that_never_passes_comes_back_withheld_with_every_broken_rule(monkeypatch):
    fit = a_sampler(monkeypatch, BAD).fit("x", seed=1)
    for words in ("R-hat 1.5", "bulk ESS 12", "tail ESS 9", "3 divergent transitions"):
        assert words in fit.withheld
    assert fit.attempts == 3
    with pytest.raises(sampling.DiagnosticError, match="the fit of x is withheld: R-hat"):
        fit.draws("mu")


def test_a_fit_that_passes_at_the_second_attempt_is_sound(monkeypatch):
    fit = a_sampler(monkeypatch, BAD, GOOD).fit("x", seed=1)
    assert fit.withheld == "" and fit.attempts == 2


def test_a_fit_without_a_gate_is_judged_once_and_never_withheld(monkeypatch):
    fit = a_sampler(monkeypatch, BAD).fit("x", seed=1, gate=False)
    assert fit.withheld == "" and fit.attempts == 1 and fit.diagnostics.faults()


def test_every_gated_fit_of_a_block_is_recorded(monkeypatch):
    sampler = a_sampler(monkeypatch, BAD)
    with sampling.recorded() as fits:
        sampler.fit("a", seed=1)
        sampler.fit("b", seed=1, gate=False)
    sampler.fit("c", seed=1)
    assert [fit.name for fit in fits] == ["a"]


class Failing:
    """A sampler none of whose fits passes."""

    def __init__(self, model=None, name=""):
        self.model = model() if callable(model) else model

    def fit(self, name, **options):
        return sampling.Fit(name, None, BAD, "; ".join(BAD.faults()))


@pytest.fixture
def nothing_passes(monkeypatch):
    for module in (change, joint, safety, trajectory):
        monkeypatch.setattr(module, "compile_model", lambda model, name: Failing(model))
    monkeypatch.setattr(tabulated, "sampler", lambda size: Failing())


def test_change_without_a_sound_fit_has_no_row_of_a_posterior(evidence, nothing_passes):
    result = change.run(effects.build(evidence).effects, seed=1)
    assert result.estimates.empty
    assert set(result.tables) == {"change_checks", "change_diagnostics"}
    assert set(result.tables["change_checks"]["check"]) == {"prior"}


def test_trajectory_without_a_sound_fit_has_no_row(evidence, nothing_passes):
    result = trajectory.run(evidence, seed=1)
    assert result.estimates.empty and not result.tables and result.fits


def test_joint_without_a_sound_fit_has_no_row(evidence, nothing_passes):
    result = joint.run(evidence, seed=1)
    assert result.estimates.empty and not result.tables


def test_safety_without_a_sound_fit_keeps_what_needs_none(evidence, nothing_passes):
    result = safety.run(evidence, seed=1)
    assert "nuts" not in set(result.estimates["method"]) and len(result.estimates)
    summary = result.tables["safety_summary"]
    assert summary["rate_mean"].isna().all() and summary["conjugate_upper95"].notna().any()


def test_independence_without_a_sound_fit_keeps_the_printed_counts(evidence, nothing_passes):
    result = independence.run(evidence, seed=1)
    assert result.estimates.empty
    assert len(result.tables["durability_landmarks"]) and len(result.tables["ever_facts"])
    assert result.tables["durability_curve"].empty


def test_a_family_of_curves_that_is_withheld_leaves_the_others(monkeypatch):
    draws = {"mu": np.zeros(40), "tau": np.ones(40), "tau_class": np.ones(40),
             "theta": np.zeros(40), "logit_cure": np.zeros(40),
             "class_mean": np.zeros((40, len(tabulated.CLASSES)))}  # fmt: skip

    def fit(table, family, *, seed, size, name="", **options):
        withheld = "1 divergent transitions (none allowed)" if family == "weibull" else ""
        return SimpleNamespace(draws=draws.__getitem__, withheld=withheld)

    monkeypatch.setattr(independence.duration, "fit", fit)
    empty = tabulated.Table((), (), np.arange(8.0), np.zeros(1), np.zeros((0, 8, 41, 1)))
    monkeypatch.setattr(independence.duration, "likelihoods", lambda *words: empty)
    monkeypatch.setattr(independence, "_predictive", lambda table, fit: np.zeros((40, 0)))
    monkeypatch.setattr(tabulated, "leave_one_out", lambda density: (np.zeros(0), np.zeros(0)))
    ensemble = independence._fit_families(None, {}, 1, 32, lambda text: None)
    assert "weibull" not in ensemble.fits and len(ensemble.fits) == 5
    assert sum(ensemble.weights.values()) == pytest.approx(1)


def test_the_run_names_what_it_withheld_and_goes_on(raw_dir, tmp_path):
    stages = (stub_stages.stage("withholds"), stub_stages.HARMS)
    report = pipeline.run(raw_dir, tmp_path / "out", stages=stages, isolate=False)
    (one,) = report.withheld
    assert (one["stage"], one["fit"], one["divergences"]) == ("withholds", "hba1c_exact", 3)
    assert "3 divergent transitions" in one["reason"] and one["max_rhat"] is None
    assert set(report.estimates["outcome"]) == {"hba1c", "harm_death"}
    again = pipeline.run(raw_dir, tmp_path / "out", stages=stages, isolate=False)
    assert again.computed == () and again.withheld == report.withheld


def test_a_stage_that_cannot_do_without_its_fit_has_no_rows_and_stops_nothing(raw_dir, tmp_path):
    stages = (stub_stages.stage("needs_its_fit"), stub_stages.HARMS)
    report = pipeline.run(raw_dir, tmp_path / "out", stages=stages, isolate=False)
    assert set(report.estimates["outcome"]) == {"harm_death"}
    assert [fit["fit"] for fit in report.withheld] == ["x"]
