"""Fits kept by what they depend on: the same is taken, anything else is sampled, damage is none."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from analysis import closure, fitcache
from analysis.models import contrast_witness, sampling

GOOD = sampling.Diagnostics(1.001, 900.0, 800.0, 0, 8)
BAD = sampling.Diagnostics(float("inf"), 9.0, float("nan"), 2, 8)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("ISLETMETA_CACHE", str(tmp_path / "fits"))
    return tmp_path / "fits"


@pytest.fixture
def sampled(monkeypatch):
    """A sampler of invented draws; the list counts how often it was at work."""
    counted = []

    def sample(compiled, *, draws, seed, chains, **options):
        counted.append(seed)
        rng = np.random.default_rng([seed, int(compiled)])
        mu = (("chain", "draw"), rng.standard_normal((chains, draws)))
        theta = (("chain", "draw", "study"), rng.standard_normal((chains, draws, 3)))
        stats = {"diverging": (("chain", "draw"), np.zeros((chains, draws), bool))}
        groups = {"posterior": {"mu": mu, "theta": theta}, "sample_stats": stats}
        return xr.DataTree.from_dict({name: xr.Dataset(made) for name, made in groups.items()})

    monkeypatch.setitem(__import__("sys").modules, "nutpie", SimpleNamespace(sample=sample))
    monkeypatch.setattr(sampling, "diagnose", lambda tree: GOOD)
    sampler = sampling.compile_model(contrast_witness.build, "x")
    sampler._compiled = SimpleNamespace(with_data=lambda y: y.sum())
    return sampler, counted


DATA = {"y": np.arange(3.0)}


def test_the_same_fit_is_sampled_once_and_comes_back_to_the_last_digit(kept, sampled):
    sampler, counted = sampled
    first = sampler.fit("a", seed=3, data=DATA, draws=5)
    again = sampler.fit("b", seed=3, data=DATA, draws=5)
    assert counted == [3] and again.name == "b" and again.diagnostics == first.diagnostics
    for variable in ("mu", "theta"):
        np.testing.assert_array_equal(first.draws(variable), again.draws(variable))
    assert again.tree["posterior"]["mu"].dims == ("chain", "draw")


@pytest.mark.parametrize(
    "change",
    [{"seed": 4}, {"data": {"y": np.arange(3.0) + 1e-12}}, {"draws": 6}, {"target_accept": 0.9}],
    ids=lambda change: next(iter(change)),
)
def test_whatever_a_fit_depends_on_makes_it_another(kept, sampled, change):
    sampler, counted = sampled
    words = {"seed": 3, "data": DATA, "draws": 5}
    sampler.fit("a", **words)
    sampler.fit("a", **{**words, **change})
    assert len(counted) == 2


def test_another_code_generation_makes_another_fit(kept, sampled, monkeypatch):
    sampler, counted = sampled
    sampler.fit("a", seed=3, data=DATA)
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    sampler.fit("a", seed=3, data=DATA)
    assert len(counted) == 2


def test_other_code_makes_another_fit(kept, sampled, monkeypatch):
    sampler, counted = sampled
    sampler.fit("a", seed=3, data=DATA)
    monkeypatch.setattr(sampling, "code_digest", lambda module: "another")
    other = sampling.compile_model(contrast_witness.build, "x")
    other._compiled = sampler._compiled
    other.fit("a", seed=3, data=DATA)
    assert len(counted) == 2


def test_a_forced_run_samples_what_is_kept(kept, sampled):
    sampler, counted = sampled
    sampler.fit("a", seed=3, data=DATA)
    token = sampling.fresh.set(True)
    sampler.fit("a", seed=3, data=DATA)
    sampling.fresh.reset(token)
    assert len(counted) == 2


@pytest.mark.parametrize("damage", ["truncated", "edited", "emptied"])
def test_a_damaged_entry_counts_as_none(kept, sampled, damage):
    sampler, counted = sampled
    first = sampler.fit("a", seed=3, data=DATA)
    (path,) = kept.iterdir()
    data = bytearray(path.read_bytes())
    if damage == "edited":
        data[-200] ^= 1
    path.write_bytes(data[: {"truncated": 100, "emptied": 0}.get(damage, len(data))])
    again = sampler.fit("a", seed=3, data=DATA)
    assert len(counted) == 2
    np.testing.assert_array_equal(first.draws("mu"), again.draws("mu"))


def test_a_withheld_fit_is_withheld_from_the_cache_too(kept, sampled, monkeypatch):
    sampler, counted = sampled
    monkeypatch.setattr(sampling, "diagnose", lambda tree: BAD)
    first = sampler.fit("a", seed=3, data=DATA)
    again = sampler.fit("a", seed=3, data=DATA)
    assert len(counted) == 3 == again.attempts and again.withheld == first.withheld != ""
    with pytest.raises(sampling.DiagnosticError):
        again.draws("mu")


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch, sampled):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("ISLETMETA_CACHE", str(tmp_path / "file" / "fits"))
    sampler, counted = sampled
    sampler.fit("a", seed=3, data=DATA)
    sampler.fit("a", seed=3, data=DATA)
    assert len(counted) == 2


def test_the_least_used_entries_go_when_the_folder_grows(kept, sampled, monkeypatch):
    sampler, _ = sampled
    sampler.fit("a", seed=1, data=DATA)
    size = next(kept.iterdir()).stat().st_size
    monkeypatch.setattr(fitcache, "LIMIT", int(2.5 * size))
    for seed in (2, 3, 4):
        sampler.fit("a", seed=seed, data=DATA)
    assert len(list(kept.iterdir())) == 2


def test_a_graph_of_unknown_code_is_not_kept():
    for unknown in (object(), lambda: None, partial(lambda: None)):
        assert sampling.Sampler(unknown, "x").code == ""
    assert sampling.Sampler(partial(contrast_witness.build), "x").code.startswith(
        closure.code_digest("analysis.models.contrast_witness")
    )


# --- which code a result depends on ------------------------------------------------------------


def test_a_closure_holds_what_a_module_leads_to_and_nothing_else():
    found = closure.closure(["analysis.models.contrast_witness"])
    assert {
        "analysis.models.contrast_witness",
        "analysis.exact.contrasts",
        "analysis.models.compare",
    } <= set(found)
    assert not any("report" in name or "cli" in name for name in found)


def test_imports_inside_functions_count():
    assert "analysis.priors" in closure.imported("analysis.exact.contrast_data")


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(ModuleNotFoundError, match=r"analysis\.nowhere"):
        closure.closure(["analysis.nowhere"])


def test_a_changed_module_changes_the_digest_of_all_that_lead_to_it(monkeypatch):
    before = {
        m: closure.code_digest(m)
        for m in ("analysis.models.contrast_witness", "analysis.crosscheck")
    }
    text = closure._text
    closure.code_digest.cache_clear()
    monkeypatch.setattr(
        closure, "_text", lambda m: text(m) + (b"#" if m == "analysis.models.compare" else b"")
    )
    assert (
        closure.code_digest("analysis.models.contrast_witness")
        != before["analysis.models.contrast_witness"]
    )
    assert closure.code_digest("analysis.crosscheck") == before["analysis.crosscheck"]
    closure.code_digest.cache_clear()
