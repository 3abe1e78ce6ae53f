"""A fit that fails its gate is withheld: named, without rows, and nothing stops because of it."""

from types import SimpleNamespace

import pytest
import stub_stages

from analysis import pipeline
from analysis.models import sampling

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
