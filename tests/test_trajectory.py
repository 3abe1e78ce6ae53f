"""The course over time: its curve in closed form, the likelihood by other means, known truths."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from analysis import priors
from analysis.models import trajectory
from analysis.models.result import ESTIMATE_COLUMNS
from analysis.models.sampling import compile_model

SIZE = 32
WHERE = {"mu": -1.2, "tau": 0.5, "bias": -0.3, "drift": 0.2, "tau_slope": 0.15,
         "log_rise": 1.0, "log_half_life": 3.0}  # fmt: skip
TABLES = {"trajectory_points", "trajectory_curve", "trajectory_remaining", "trajectory_summary",
          "trajectory_prior_posterior", "trajectory_checks"}  # fmt: skip


def effect(cohort, months, **values) -> dict:
    """One controlled result on HbA1c with known variance 0.04, unless told otherwise."""
    base = {
        "effect_id": f"{cohort}:{months:g}", "cohort": cohort, "study_id": cohort, "label": cohort,
        "outcome": "hba1c", "kind": "numeric", "y": np.nan, "var_a": 0.04, "var_b": 0.0,
        "n_factor": np.nan, "z_low": np.nan, "z_high": np.nan, "controlled": True, "measure": "",
        "months": float(months), "cell_class": "ahsct", "diabetes_type": "T1D",
        "n_patients": 20.0, "trajectory": True, "pool": True,
    }  # fmt: skip
    return {**base, **values}


def words(cohort, months, low, high, **values) -> dict:
    return effect(cohort, months, kind="interval", z_low=low, z_high=high, **values)


class Draws:
    """Stands for a fit whose parameters are known: the same values in every draw."""

    def __init__(self, values, n=20_000):
        self.values, self.n = values, n

    def draws(self, name: str) -> np.ndarray:
        return np.broadcast_to(self.values[name], (self.n, *np.shape(self.values[name])))


# --- the curve -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("rise", "half_life"), [(3.0, 36.0), (1.0, 6.0), (12.0, 200.0)])
def test_the_curve_is_highest_in_its_peak_month(rise, half_life):
    def height(t):
        return (1 - np.exp(-t / rise)) * 0.5 ** (t / half_life)

    found = optimize.minimize_scalar(lambda t: -height(t), bounds=(0, 300), method="bounded").x
    assert trajectory.peak_month(rise, half_life) == pytest.approx(found, abs=1e-3)
    at = [0, 3, 12, 60]
    shape = trajectory.shape_at(np.log([rise]), np.log([half_life]), at)
    assert shape == pytest.approx(np.array([[height(t) for t in at]]))


def test_what_remains_of_the_effect_at_12_months():
    fit = Draws({"log_rise": np.log(0.01), "log_half_life": np.log(24.0)}, n=2)
    share = trajectory.remaining(fit, (24, 36, 60))  # a quick rise: a pure half-life of two years
    assert share[0] == pytest.approx([0.5**0.5, 0.5, 0.25])


def test_studies_behind_a_month_are_counted_by_cohort():
    rows = pd.DataFrame([effect("a", 12), effect("a", 24), effect("b", 12, n_patients=7.0)])
    assert trajectory.behind(rows, 12) == (2, 27.0)
    assert trajectory.behind(rows, 13) == (1, 20.0)
    assert trajectory.behind(rows, 60) == (0, 0.0)


# --- the likelihood ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def log_likelihood():
    """log p(results | WHERE) up to log 2 pi, by the model's own graph with four rows."""
    import pymc as pm

    model = trajectory.build(4)
    log_p = model.compile_logp(mode="FAST_COMPILE")
    point = {name: np.zeros_like(value) for name, value in model.initial_point().items()}
    for name, value in WHERE.items():
        half = name.startswith("tau")
        point[f"{name}_log__" if half else name] = np.array(np.log(value) if half else value)

    def value(rows, place):
        with model:
            pm.set_data(trajectory.design_arrays(rows, "hba1c", 4))
        return float(log_p({**point, "place": place}))

    nothing = value(trajectory.empty_effects(), np.zeros(4))

    def at(rows, place=0.0):
        """`place` is that of the first row; its logistic prior, where it has one, is left out."""
        rows = pd.DataFrame(rows)
        found = value(rows, np.array([float(place), 0, 0, 0])) - nothing
        is_open = rows["kind"].eq("interval") & ~np.isfinite(rows["z_low"] + rows["z_high"])
        prior = stats.logistic.logpdf([place, 0.0])
        return found + prior[1] - (0.0 if is_open[0] else prior[0])

    return at


def moments(months, uncontrolled, se):
    """Mean and covariance of printed results of one cohort at WHERE."""
    t = np.asarray(months, float)
    shape = -np.expm1(-t / np.exp(WHERE["log_rise"])) * 0.5 ** (t / np.exp(WHERE["log_half_life"]))
    mean = (WHERE["mu"] + uncontrolled * WHERE["bias"]) * shape
    mean = mean + uncontrolled * WHERE["drift"] * t / 12
    between = WHERE["tau"] ** 2 * np.outer(shape, shape)
    between += WHERE["tau_slope"] ** 2 * np.outer(t, t) / 144
    errors = np.outer(se, se) * (0.5 + 0.5 * np.eye(len(t)))
    return mean, between, between + errors


def test_numbers_of_a_cohort_are_multivariate_normal(log_likelihood):
    months, y, var = [3, 12, 24], [-0.9, -1.4, -0.2], np.array([0.04, 0.09, 0.16])
    rows = [
        effect("a", t, y=value, var_a=v, controlled=False)
        for t, value, v in zip(months, y, var, strict=True)
    ]
    mean, _, covariance = moments(months, 1.0, np.sqrt(var))
    wanted = stats.multivariate_normal(mean, covariance).logpdf(y) + 1.5 * np.log(2 * np.pi)
    wanted += 0.5 * np.linalg.slogdet(0.5 + 0.5 * np.eye(3))[1]  # a constant left out
    assert log_likelihood(rows) == pytest.approx(wanted)
    mean, _, covariance = moments([6], 0.0, np.array([0.2]))
    alone = stats.norm.logpdf(-0.7, mean[0], np.sqrt(covariance[0, 0])) + 0.5 * np.log(2 * np.pi)
    both = log_likelihood([*rows, effect("b", 6, y=-0.7)])
    assert both == pytest.approx(wanted + alone)


def test_an_exact_p_value_is_a_density_of_the_statistic(log_likelihood):
    mean, _, covariance = moments([12], 0.0, np.array([0.2]))
    wanted = stats.norm.logpdf(-1.0, mean[0], np.sqrt(covariance[0, 0])) + 0.5 * np.log(2 * np.pi)
    row = effect("a", 12, kind="exact_p", z_low=-5.0, z_high=-5.0)  # y = -5 * 0.2
    assert log_likelihood([row]) == pytest.approx(wanted + np.log(0.2))


@pytest.mark.parametrize(("low", "high"), [(-np.inf, -1.96), (1.96, np.inf), (-1.96, 1.96)])
def test_words_integrate_to_the_probability_of_their_interval(log_likelihood, low, high):
    mean, _, covariance = moments([12], 0.0, np.array([0.2]))
    ends = stats.norm.cdf(np.array([low, high]) * 0.2, mean[0], np.sqrt(covariance[0, 0]))
    place = np.linspace(-25, 25, 101)
    density = [np.exp(log_likelihood([words("a", 12, low, high)], q)) for q in place]
    if np.isfinite([low, high]).all():  # evenly spread: `place` is the logit of the position
        density = np.array(density) * stats.logistic.pdf(place) * (high - low)
    found = np.trapezoid(density, place) / np.sqrt(2 * np.pi)
    assert found == pytest.approx(ends[1] - ends[0], rel=1e-4)


def test_true_effects_are_drawn_from_their_conditional_normal():
    months, y, se = [3, 12, 24], np.array([-0.9, -1.8, -0.2]), np.sqrt([0.04, 0.09, 0.16])
    rows = pd.DataFrame(
        [effect("a", t, y=v, var_a=s**2) for t, v, s in zip(months, y, se, strict=True)]
    )
    arrays = trajectory.design_arrays(rows, "hba1c", 8)
    known = {**WHERE, "r": 0.4, "log_sd": 0.0, "log_sd_spread": 0.3}
    known |= {"sd_z": np.zeros(8), "place": np.zeros(8)}
    theta = trajectory.study_effects(arrays, 3, Draws(known), seed=4)
    mean, between, covariance = moments(months, 0.0, se)
    gain = between @ np.linalg.inv(covariance)
    assert theta.mean(axis=0) == pytest.approx(mean + gain @ (y - mean), abs=0.01)
    assert np.cov(theta.T) == pytest.approx(between - gain @ between, abs=0.004)


# --- data ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (effect("a", 12, kind="rumour", y=1.0), "an unknown kind of result: a:12"),
        (effect("a", 12), "no value though numeric: a:12"),
        (words("a", 12, np.nan, np.nan), "no bound on z though in words: a:12"),
        (effect("a", 12, y=1.0, var_a=np.nan), "neither a spread nor a number of patients: a:12"),
        (effect("a", 0, y=1.0), "a time that is not positive: a:0"),
    ],
)
def test_effects_that_cannot_be_read_are_named(row, said):
    with pytest.raises(ValueError, match=said):
        trajectory.design_arrays(pd.DataFrame([row]), "hba1c", 8)


def test_more_effects_than_rows_are_refused_and_rows_beyond_carry_no_weight():
    rows = pd.DataFrame([effect("a", t, y=-1.0) for t in (6, 12, 24)])
    with pytest.raises(ValueError, match="3 effects of hba1c; the model was built for 2"):
        trajectory.design_arrays(rows, "hba1c", 2)
    arrays = trajectory.design_arrays(rows, "hba1c", 8)
    assert arrays["weight"].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    assert arrays["members"].sum() == 3 and not arrays["is_numeric"][3:].any()
    whiten = arrays["whiten"][:3, :3]
    assert whiten @ (0.5 + 0.5 * np.eye(3)) @ whiten.T == pytest.approx(np.eye(3))


def test_several_spreads_of_a_cohort_teach_as_one():
    rows = [effect("a", t, y=-1.0, n_factor=0.1) for t in (6, 12)]
    rows += [effect("b", 12, y=-1.0, n_factor=0.1), effect("c", 12, y=-1.0)]
    arrays = trajectory.design_arrays(pd.DataFrame(rows), "hba1c", 4)
    assert arrays["teaches_sd"].tolist() == [0.5, 0.5, 1.0, 0.0]


def test_every_month_of_the_evidence_enters_once(evidence):
    from analysis import effects

    built = effects.build(evidence).effects
    for outcome in trajectory.OUTCOMES:
        rows = trajectory.points(built, outcome)
        assert not rows.duplicated(["cohort", "months"]).any()
        arrays = trajectory.design_arrays(rows, outcome, trajectory.padded_size(len(rows)))
        assert all(np.isfinite(values).all() for values in arrays.values())


# --- fits ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fit_effects():
    """`trajectory.fit_effects` with the graph compiled once for the whole module."""
    sampler = compile_model(trajectory.build(SIZE), "trajectory test")

    def fit(rows):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trajectory, "padded_size", lambda n: SIZE)
            patch.setattr(trajectory, "compile_model", lambda model, name: sampler)
            patch.setattr(trajectory, "build", lambda size: None)
            patch.setattr(trajectory, "SAMPLING", {**trajectory.SAMPLING, "target_accept": 0.98})
            return trajectory.fit_effects(pd.DataFrame(rows), seed=5)

    return fit


def simulated(seed=3, cohorts=8, months=(3, 12, 24, 48)) -> list[dict]:
    """Controlled cohorts about a course with a rise of 2 months and a half-life of 24."""
    rng = np.random.default_rng(seed)
    shape = trajectory.shape_at(np.log([2.0]), np.log([24.0]), months)[0]
    rows = []
    for i in range(cohorts):
        level = -3.0 + 0.3 * rng.standard_normal()
        slope = 0.05 * rng.standard_normal()
        shared, own = rng.standard_normal(), rng.standard_normal(len(months))
        errors = 0.15 * (np.sqrt(0.5) * shared + np.sqrt(0.5) * own)
        y = level * shape + slope * np.array(months) / 12 + errors
        rows += [effect(f"c{i}", t, y=v, var_a=0.15**2) for t, v in zip(months, y, strict=True)]
    return rows


def test_a_known_course_is_recovered(fit_effects):
    result = fit_effects(simulated())
    assert set(result.tables) == TABLES
    assert list(result.estimates.columns) == ESTIMATE_COLUMNS
    summary = result.tables["trajectory_summary"].set_index("quantity")
    peak = trajectory.peak_month(2.0, 24.0)
    for name, truth in {"half_life": 24.0, "peak_month": peak, "tau": 0.3}.items():
        assert summary.loc[name, "ci_low"] < truth < summary.loc[name, "ci_high"], name
    assert 18 < summary.loc["half_life", "median"] < 32
    share = result.tables["trajectory_remaining"].set_index("months")
    wanted = trajectory.shape_at(np.log([2.0]), np.log([24.0]), [12, 24, 36, 60])[0]
    for month, at in zip((24, 36, 60), wanted[1:] / wanted[0], strict=True):
        assert share.loc[month, "ci_low"] < at < share.loc[month, "ci_high"]
    assert share["k_studies"].tolist() == [8, 8, 0]
    assert "no study looks this far (the last reports month 48)" in share.loc[60, "note"]
    assert "prior" not in summary.loc["half_life", "note"].replace("of the prior's", "")
    curve = result.tables["trajectory_curve"].set_index("months")
    assert (curve["pred_low"] <= curve["ci_low"]).all()
    assert curve.loc[0, ["mean", "ci_low", "ci_high"]].tolist() == [0, 0, 0]
    points = result.tables["trajectory_points"]
    assert (points["ci_high"] - points["ci_low"]).to_numpy() == pytest.approx(2 * 1.96 * 0.15)
    checks = result.tables["trajectory_checks"]
    after = checks[checks["check"].eq("posterior")]
    assert after["tail_probability"].between(0.01, 0.99).all()
    assert not result.estimates.drop(columns=["pred_low", "pred_high", "tau"]).isna().any().any()


def test_one_study_alone_leaves_the_half_life_to_its_prior_and_says_so(fit_effects):
    result = fit_effects([effect("a", 12, y=-1.0)])
    summary = result.tables["trajectory_summary"].set_index("quantity")
    assert "not identified, mostly its prior" in summary.loc["half_life", "note"]
    assert "0 studies report month 24 or later" in summary.loc["half_life", "note"]
    assert summary.loc["effect_at_12", "k_studies"] == 1
    ratio = result.tables["trajectory_prior_posterior"].set_index("parameter")["sd_ratio"]
    assert ratio["log_half_life"] == pytest.approx(1, abs=0.15)
    assert ratio[["drift", "bias"]].to_numpy() == pytest.approx(1, abs=0.1)  # it is controlled
    notes = result.estimates.set_index("estimand")["note"]
    assert "mostly its prior" in notes["remaining_24"] and "mostly its prior" in notes["half_life"]
    assert result.tables["trajectory_checks"].empty


def test_results_in_words_alone_move_the_effect_their_way(fit_effects):
    unknown = {"var_a": np.nan, "n_factor": 0.1}
    rows = [words(f"c{i}", 12, -np.inf, -1.96) for i in range(4)]
    rows.append(words("c0", 3, -1.96, 1.96, **unknown))
    result = fit_effects(rows)
    summary = result.tables["trajectory_summary"].set_index("quantity")
    assert summary.loc["effect_at_12", "ci_high"] < 0.1
    assert summary.loc["effect_at_12", "mean"] < -0.4
    points = result.tables["trajectory_points"]
    assert points["y"].isna().all() and points["se_printed"].sum() == 4
    shrunk = points.set_index(["cohort", "months"])["shrunk_mean"]
    assert shrunk["c0", 3.0] > shrunk["c1", 12.0]
    prior = priors.get("hba1c", "log_sd").scale
    assert result.fits["hba1c"].draws("log_sd").std() == pytest.approx(prior, rel=0.25)


def test_without_any_course_there_are_no_tables(fit_effects):
    assert fit_effects([effect("a", 12, y=-1.0, trajectory=False)]).tables == {}


@pytest.mark.slow
def test_the_projects_own_evidence(evidence):
    result = trajectory.run(evidence, seed=1)
    assert set(result.tables) == TABLES
    assert set(result.fits) == set(trajectory.OUTCOMES)
    remaining = result.tables["trajectory_remaining"]
    assert remaining["k_studies"].max() < 10
    assert (remaining["fraction_mean"] > 0).all()
