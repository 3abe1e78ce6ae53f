"""Calibration: ranks that are uniform when all is right, and are seen not to be when it is not."""

from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import calibrate, priors

SOUND = SimpleNamespace(faults=lambda: [], divergences=0)
BROKEN = SimpleNamespace(faults=lambda: ["R-hat 2.0"], divergences=3)


class ConjugateSampler:
    """Draws from the posterior of a normal mean with a standard normal prior and one datum."""

    def __init__(self, too_narrow: float = 1.0, shift: float = 0.0, diagnostics=SOUND):
        self.too_narrow, self.shift, self.diagnostics = too_narrow, shift, diagnostics

    def fit(self, name, *, seed, data, draws, chains, **options):
        rng = np.random.default_rng(seed + 1)
        mean, sd = data["y"] / 2, np.sqrt(0.5)
        noise = rng.standard_normal((draws * chains, 2))
        values = mean + self.shift + sd / self.too_narrow * noise
        posterior = {"mu": values[:, 0], "both": values}
        return SimpleNamespace(draws=posterior.__getitem__, diagnostics=self.diagnostics)


def conjugate(**faults):
    def simulate(rng):
        mu = rng.standard_normal()
        return {"mu": mu, "both[1]": mu}, {"y": mu + rng.standard_normal()}

    return lambda evidence: calibrate.Case(lambda: ConjugateSampler(**faults), simulate)


@pytest.fixture
def registered(monkeypatch):
    """Calibrate a stand-in model: n replicates, with what is wrong with its sampler."""

    def run(n: int = 400, jobs: int = 1, **faults) -> pd.DataFrame:
        monkeypatch.setitem(calibrate.CASES, "stand_in", conjugate(**faults))
        with joblib.parallel_config(backend="threading"):
            return calibrate.calibrate("stand_in", None, n, jobs=jobs, draws=60)

    return run


# --- ranks -------------------------------------------------------------------------------------


def test_a_rank_counts_the_draws_below_the_truth():
    draws = np.arange(1990.0)
    assert calibrate.rank(draws, -1) == 0
    assert calibrate.rank(draws, 5000) == calibrate.KEPT
    assert calibrate.rank(draws, 994.6) == pytest.approx(calibrate.KEPT / 2, abs=1)
    with pytest.raises(ValueError, match="a rank is taken among"):
        calibrate.rank(np.zeros(calibrate.KEPT - 1), 0.0)


def test_bins_and_levels_divide_the_ranks_evenly():
    ranks = np.arange(calibrate.KEPT + 1)
    found = calibrate.judge((ranks + 0.5) / (calibrate.KEPT + 1))
    assert set(found["histogram"].split(";")) == {str(ranks.size // calibrate.BINS)}
    for level in calibrate.LEVELS:
        assert found[f"coverage_{level * 100:g}"] == pytest.approx(level)


def test_a_right_posterior_has_uniform_ranks(registered):
    found = registered()
    assert found["parameter"].tolist() == ["mu", "both[1]"]
    assert (found["ecdf_p"] > 0.01).all() and (found["chi2_p"] > 0.01).all()
    for level in calibrate.LEVELS:
        error = np.sqrt(level * (1 - level) / 400)
        assert (found[f"coverage_{level * 100:g}"] - level).abs().max() < 4 * error


@pytest.mark.parametrize("fault", [{"too_narrow": 1.6}, {"too_narrow": 0.6}, {"shift": 0.3}])
def test_a_wrong_posterior_is_found_out(registered, fault):
    assert (registered(**fault)["ecdf_p"] < 0.001).all()


def test_fits_that_break_the_gate_are_kept_and_counted(registered):
    found = registered(50, diagnostics=BROKEN)
    assert (found["n_replicates"] == 50).all()
    assert (found["n_gate"] == 50).all() and (found["n_divergent"] == 50).all()
    assert (registered(50)["n_gate"] == 0).all()


def test_the_numbers_do_not_depend_on_the_number_of_processes(registered):
    pd.testing.assert_frame_equal(registered(30, jobs=1), registered(30, jobs=3))


def test_an_unknown_model_is_refused():
    with pytest.raises(KeyError, match="no such model"):
        calibrate.calibrate("alchemy", None, 1)


# --- uniformity --------------------------------------------------------------------------------


def test_p_values_are_uniform_under_uniformity():
    rng = np.random.default_rng(8)
    counts = rng.multinomial(150, np.full(20, 0.05), size=400)
    p = np.array([calibrate.ecdf_p(row) for row in counts])
    assert stats.kstest(p, "uniform").pvalue > 0.001
    assert abs((p < 0.05).mean() - 0.05) < 0.04


def test_the_band_and_the_p_value_say_the_same():
    rng = np.random.default_rng(9)
    band = calibrate.ecdf_band(200)
    assert (band["low"] < band["at"]).all() and (band["at"] < band["high"]).all()
    outside = []
    for tilt in np.linspace(0, 0.5, 60):
        weights = 1 + tilt * np.linspace(-1, 1, calibrate.BINS)
        counts = rng.multinomial(200, weights / weights.sum())
        curve = counts.cumsum()[:-1] / 200
        out = bool(((curve < band["low"] - 1e-12) | (curve > band["high"] + 1e-12)).any())
        assert out == (calibrate.ecdf_p(counts) <= 0.05)
        outside.append(out)
    assert any(outside) and not all(outside)


# --- the exact posterior -----------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 5])
def test_exact_intervals_cover_as_they_say(k):
    found = calibrate.calibrate_exact(2000, k=k)
    assert found["parameter"].tolist() == ["mu", "tau", "predictive"]
    assert (found["ecdf_p"] > 0.001).all()
    for level in calibrate.LEVELS:
        error = np.sqrt(level * (1 - level) / 2000)
        assert (found[f"coverage_{level * 100:g}"] - level).abs().max() < 4 * error


# --- the registered models ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["safety", "change_hba1c"])
def test_truth_comes_from_the_prior_and_data_from_the_truth(name, evidence):
    case = calibrate.CASES[name](evidence)
    first, second = (case.simulate(np.random.default_rng(4)) for _ in range(2))
    assert first[0] == second[0]
    for key, values in first[1].items():
        np.testing.assert_array_equal(values, second[1][key])
        assert np.isfinite(values).all(), key
    truths = pd.DataFrame([case.simulate(np.random.default_rng(s))[0] for s in range(80)])
    model = "safety" if name == "safety" else name.removeprefix("change_")
    prior = priors.get(model, "mu")
    centre, spread = prior.params if len(prior.params) == 2 else (0.0, prior.scale)
    assert stats.kstest(truths["mu"], stats.norm(centre, spread).cdf).pvalue > 0.001
    scale = priors.get(model, "tau").scale
    assert stats.kstest(truths["tau"], stats.halfnorm(scale=scale).cdf).pvalue > 0.001


@pytest.mark.parametrize(
    ("name", "model", "parameter"),
    [
        ("trajectory_hba1c", "trajectory_hba1c", "drift"),
        ("joint", "hba1c", "mu[1]"),
        ("ever_independent", "ever_independent", "mu"),
        ("duration_weibull", "duration", "mu"),
    ],
)
def test_every_model_of_the_run_has_a_case(name, model, parameter, evidence):
    case = calibrate.CASES[name](evidence)
    n = 15 if name == "duration_weibull" else 60
    drawn = [case.simulate(np.random.default_rng(seed)) for seed in range(n)]
    again = case.simulate(np.random.default_rng(0))
    assert again[0] == drawn[0][0]
    for _, data in drawn:
        assert all(np.isfinite(values).all() for values in data.values())
    truths = pd.DataFrame([truth for truth, _ in drawn])
    prior = priors.get(model, parameter.removesuffix("[1]"))
    assert stats.kstest(truths[parameter], stats.norm(*prior.params).cdf).pvalue > 0.001


def test_simulated_durations_are_told_once_each_and_not_beyond_the_follow_up(evidence):
    from analysis import durations
    from analysis.models import duration

    facts, _ = durations.layer(evidence)
    rng = np.random.default_rng(6)
    for _, real in facts.groupby("study_id"):
        end = real[["low", "high"]].to_numpy().ravel()
        end = end[np.isfinite(end)].max()
        for eta in (0.0, 3.0, 8.0):
            told = calibrate._duration_facts(rng, real, "weibull", eta, 0.2)
            assert told["count"].sum() == real["count"].sum()
            assert set(told["kind"]) <= set(durations.KINDS)
            seen = told[["low", "high"]].to_numpy()
            assert seen[np.isfinite(seen)].max() <= end
    drawn = calibrate._draw_durations(rng, "weibull", 3.0, 0.2, 2000)
    at = np.array([5.0, 20.0, 60.0])
    expected = duration.curve("weibull", np.full(1, 3.0), np.full(1, 0.2), np.full(1, 0.5), at)[0]
    assert (drawn[:, None] > at).mean(axis=0) == pytest.approx(expected, abs=0.04)


def test_simulated_words_hold_the_statistic_they_come_from(evidence):
    case = calibrate.CASES["change_hba1c"](evidence)
    shares = []
    for seed in range(20):
        _, data = case.simulate(np.random.default_rng(seed))
        words = data["is_interval"] > 0
        assert (data["z_low"][words] < data["z_high"][words]).all()
        null = (data["z_low"] > -2) & (data["z_high"] < 2) & words
        shares.append(null.sum() / words.sum())
    assert 0 < np.mean(shares) < 1


def test_more_events_are_simulated_where_the_rate_is_higher(evidence):
    case = calibrate.CASES["safety"](evidence)
    rates, shares = [], []
    for seed in range(80):
        truth, data = case.simulate(np.random.default_rng(seed))
        assert (data["events"] <= data["at_risk"]).all()
        rates.append(truth["mu"])
        shares.append(data["events"].sum() / data["at_risk"].sum())
    assert stats.spearmanr(rates, shares).statistic > 0.8


@pytest.mark.slow
def test_the_safety_model_is_calibrated(evidence):
    found = calibrate.calibrate("safety", evidence, 40)
    assert (found["ecdf_p"] > 0.001).all()
    assert (found["n_divergent"] < 4).all()


# --- the command -------------------------------------------------------------------------------


def test_rows_of_a_model_replace_its_earlier_rows_only():
    def rows(model, n):
        return pd.DataFrame([{"model": model, "n_replicates": n}], columns=calibrate.COLUMNS)

    old = pd.concat([rows("a", 1), rows("b", 2)], ignore_index=True)
    new = calibrate.merged(old, rows("a", 9))
    assert dict(zip(new["model"], new["n_replicates"], strict=True)) == {"b": 2, "a": 9}
    assert len(calibrate.merged(None, rows("a", 9))) == 1


def test_the_command_writes_the_table(tmp_path, tracked_raw, capsys):
    out = tmp_path / "docs" / "calibration.csv"
    words = ["exact", "--exact-replicates", "200", "--raw", str(tracked_raw), "--out", str(out)]
    calibrate.main(words)
    table = pd.read_csv(out)
    assert list(table.columns) == calibrate.COLUMNS
    assert set(table["model"]) == {f"exact_k{k}" for k in calibrate.EXACT_SIZES}
    assert "ecdf_p" in capsys.readouterr().out
    calibrate.main(words)
    assert len(pd.read_csv(out)) == len(table)


def test_the_command_refuses_an_unknown_model(tracked_raw, capsys):
    with pytest.raises(SystemExit) as stop:
        calibrate.main(["alchemy", "--raw", str(tracked_raw)])
    assert stop.value.code == 2
    assert "no such model: alchemy" in capsys.readouterr().err
