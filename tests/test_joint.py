"""C-peptide and HbA1c together: the likelihood by other means, shrinkage, recovery of rho."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import exact, priors
from analysis.models import joint
from analysis.models.change import empty_effects

SIZE = 30
WHERE = {"mu": [0.4, -0.9], "tau": [0.3, 0.5], "rho": -0.6, "rho_within": -0.2}


def effect(cohort, outcome, **values) -> dict:
    """One controlled effect with known variance 0.04, unless told otherwise."""
    base = {
        "effect_id": f"{cohort}:{outcome}", "cohort": cohort, "study_id": cohort, "label": cohort,
        "outcome": outcome, "kind": "numeric", "y": np.nan, "var_a": 0.04, "var_b": 0.0,
        "n_factor": np.nan, "z_low": np.nan, "z_high": np.nan, "controlled": True, "measure": "",
        "months": 12.0, "cell_class": "ahsct", "diabetes_type": "T1D", "n_patients": 20.0,
    }  # fmt: skip
    return {**base, **values}


def chosen_from(rows) -> tuple[list[str], dict[str, pd.DataFrame]]:
    """Cohorts and effects as `joint.select` gives them."""
    table = pd.DataFrame(rows)
    chosen = {
        outcome: table[table["outcome"].eq(outcome)] if len(table) else empty_effects()
        for outcome in joint.OUTCOMES
    }
    return sorted(table["cohort"].unique()), chosen


@pytest.fixture(scope="module")
def log_likelihood():
    """log p(results | WHERE), by the model's own graph with two rows."""
    import pymc as pm

    model = joint.build(2)
    log_p = model.compile_logp(mode="FAST_COMPILE")
    point = model.initial_point()
    point["mu"], point["bias"] = np.array(WHERE["mu"]), np.zeros(2)
    point["tau_log__"] = np.log(np.array(WHERE["tau"]))
    share = (WHERE["rho"] + 1) / 2
    point["rho_unit_logodds__"] = np.array(np.log(share / (1 - share)))
    inside = (WHERE["rho_within"] + 0.95) / 1.9
    point["rho_free_interval__"] = np.array(np.log(inside / (1 - inside)))

    def at(arrays, position=None):
        here = dict(point)
        if position is not None:
            odds = np.log(position / (1 - position))
            here["position_interval__"] = np.broadcast_to(odds, (2, 2)).copy()
        empty = joint.neutral_arrays(2)
        empty["correlated"] = arrays["correlated"]
        values = []
        for data in (arrays, empty):
            with model:
                pm.set_data(data)
            values.append(float(log_p(here)))
        return values[0] - values[1]

    return at


def covariance(correlated=True):
    """Of the two results of a cohort with standard errors 0.2, at WHERE."""
    tau, both = np.array(WHERE["tau"]), float(correlated)
    off = both * (WHERE["rho"] * tau.prod() + WHERE["rho_within"] * 0.04)
    return np.array([[tau[0] ** 2 + 0.04, off], [off, tau[1] ** 2 + 0.04]])


# --- the likelihood ------------------------------------------------------------------------------


@pytest.mark.parametrize("correlated", [True, False])
def test_two_numbers_are_bivariate_normal(log_likelihood, correlated):
    rows = [effect("a", "c_peptide_ratio", y=0.9), effect("a", "hba1c", y=-1.6)]
    arrays = joint.design_arrays(*chosen_from(rows), 2, correlated=correlated)
    wanted = stats.multivariate_normal(WHERE["mu"], covariance(correlated)).logpdf([0.9, -1.6])
    assert log_likelihood(arrays) == pytest.approx(wanted + np.log(2 * np.pi))


def test_one_number_is_normal_and_an_exact_p_value_a_density_of_z(log_likelihood):
    spread = np.sqrt(covariance()[0, 0])
    number = joint.design_arrays(*chosen_from([effect("a", "c_peptide_ratio", y=0.9)]), 2)
    wanted = stats.norm.logpdf(0.9, 0.4, spread) + 0.5 * np.log(2 * np.pi)
    assert log_likelihood(number) == pytest.approx(wanted)
    p_value = effect("a", "c_peptide_ratio", kind="exact_p", z_low=4.5, z_high=4.5)
    arrays = joint.design_arrays(*chosen_from([p_value]), 2)
    assert log_likelihood(arrays) == pytest.approx(wanted + np.log(0.2))  # y = 4.5 * 0.2 = 0.9


def integrated(log_likelihood, arrays, width, nodes=24):
    """The likelihood integrated over one latent position that all results in words share."""
    x, weight = np.polynomial.legendre.leggauss(nodes)
    values = [np.exp(log_likelihood(arrays, np.full((2, 2), p))) for p in (x + 1) / 2]
    return width * (weight / 2) @ values


def test_words_integrate_to_the_probability_of_their_interval(log_likelihood):
    words = effect("a", "hba1c", kind="interval", z_low=-6.0, z_high=-1.96)
    alone = integrated(log_likelihood, joint.design_arrays(*chosen_from([words]), 2), 4.04)
    spread = np.sqrt(covariance()[1, 1])
    ends = stats.norm.cdf([-1.2, -0.392], -0.9, spread)
    assert alone / np.sqrt(2 * np.pi) == pytest.approx(ends[1] - ends[0])
    # Beside a number: the probability of the interval given it, times its density.
    number = effect("a", "c_peptide_ratio", y=0.9)
    arrays = joint.design_arrays(*chosen_from([number, words]), 2)
    (a, c), (_, b) = covariance()
    given, left = -0.9 + c / a * (0.9 - 0.4), np.sqrt(b - c**2 / a)
    ends = stats.norm.cdf([-1.2, -0.392], given, left)
    density = stats.norm.pdf(0.9, 0.4, np.sqrt(a))
    found = integrated(log_likelihood, arrays, 4.04) / (2 * np.pi)
    assert found == pytest.approx(density * (ends[1] - ends[0]))


def test_two_results_in_words_integrate_to_a_rectangle(log_likelihood):
    rows = [effect("a", "c_peptide_ratio", kind="interval", z_low=1.96, z_high=6.0),
            effect("a", "hba1c", kind="interval", z_low=-1.96, z_high=1.96)]  # fmt: skip
    arrays = joint.design_arrays(*chosen_from(rows), 2)
    x, weight = np.polynomial.legendre.leggauss(16)
    total = 0.0
    for p, w in zip((x + 1) / 2, weight / 2, strict=True):
        for q, v in zip((x + 1) / 2, weight / 2, strict=True):
            total += w * v * np.exp(log_likelihood(arrays, np.array([[p, q], [0.5, 0.5]])))
    normal = stats.multivariate_normal(WHERE["mu"], covariance())
    wanted = normal.cdf([1.2, 0.392], lower_limit=[0.392, -0.392])
    assert total * 4.04 * 3.92 / (2 * np.pi) == pytest.approx(wanted, rel=1e-5)


# --- data ----------------------------------------------------------------------------------------


def test_a_missing_outcome_has_no_weight_and_open_ends_are_closed_far_out():
    words = effect("b", "hba1c", kind="interval", z_low=-np.inf, z_high=-1.96)
    rows = [effect("a", "c_peptide_ratio", y=0.5), words]
    arrays = joint.design_arrays(*chosen_from(rows), 4)
    assert arrays["present"].tolist() == [[1, 0], [0, 1], [0, 0], [0, 0]]
    assert arrays["z_near"][1, 1] == -1.96
    assert arrays["z_far"][1, 1] == -1.96 - joint.FARTHEST_Z
    assert arrays["z_near"][0, 0] == arrays["z_far"][0, 0] == 0


def test_impossible_data_are_refused():
    rows = [effect("a", "hba1c", y=-0.5), effect("b", "hba1c", y=-0.4)]
    with pytest.raises(ValueError, match="2 cohorts; the model was built for 1"):
        joint.design_arrays(*chosen_from(rows), 1)
    with pytest.raises(ValueError, match="two effects of hba1c of one cohort: a"):
        joint.design_arrays(*chosen_from([rows[0], {**rows[0], "effect_id": "again"}]), 3)
    with pytest.raises(ValueError, match="no value though numeric: a:hba1c"):
        joint.design_arrays(*chosen_from([effect("a", "hba1c")]), 1)


def test_cohorts_of_the_evidence_are_counted_once(evidence):
    from analysis import effects

    cohorts, chosen = joint.select(effects.build(evidence).effects)
    assert len(cohorts) == len(set(cohorts))
    for frame in chosen.values():
        assert not frame["cohort"].duplicated().any()
        assert set(frame["cohort"]) <= set(cohorts)
    arrays = joint.design_arrays(cohorts, chosen, len(cohorts))
    assert arrays["present"].sum() == sum(len(frame) for frame in chosen.values())


# --- what a study learns from the other outcome --------------------------------------------------


@dataclass
class Draws:
    """Stands for a fit whose parameters are known: the same values in every draw."""

    values: dict

    def draws(self, name: str) -> np.ndarray:
        return np.broadcast_to(self.values[name], (20_000, *np.shape(self.values[name])))


def test_true_effects_are_shrunk_and_the_missing_one_follows_the_other():
    rows = [effect("a", "c_peptide_ratio", y=1.2), effect("a", "hba1c", y=-0.3),
            effect("b", "c_peptide_ratio", y=1.2)]  # fmt: skip
    arrays = joint.design_arrays(*chosen_from(rows), 2)
    known = {name: np.array(value) for name, value in WHERE.items()}
    known |= {"bias": np.zeros(2), "r": np.full(2, 0.4), "log_sd": np.zeros(2)}
    known |= {"log_sd_spread": np.ones(2), "sd_z": np.zeros((2, 2)), "position": np.ones((2, 2))}
    theta = joint.study_means(arrays, Draws(known), 2, seed=3)
    tau = np.array(WHERE["tau"])
    between = np.diag(tau**2) + WHERE["rho"] * tau.prod() * (1 - np.eye(2))
    both = WHERE["mu"] + between @ np.linalg.solve(covariance(), [0.8, 0.6])
    one = WHERE["mu"] + between[:, 0] / covariance()[0, 0] * 0.8
    assert theta[:, 0].mean(axis=0) == pytest.approx(both, abs=0.01)
    assert theta[:, 1].mean(axis=0) == pytest.approx(one, abs=0.015)
    assert one[1] < WHERE["mu"][1]  # more C-peptide than expected: lower HbA1c, unseen
    left = between - between @ np.linalg.solve(covariance(), between)
    assert np.cov(theta[:, 0].T) == pytest.approx(left, abs=0.005)


# --- fits ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sampler():
    from analysis.models.sampling import compile_model

    return compile_model(joint.build(SIZE), "joint test")


def simulated(rho, k=SIZE, seed=11):
    """Cohorts with both outcomes, true effects correlated by `rho`, errors by -0.3."""
    rng = np.random.default_rng(seed)
    tau, se = np.array([0.5, 0.8]), 0.15
    between = np.diag(tau**2) + rho * tau.prod() * (1 - np.eye(2))
    errors = se**2 * np.array([[1, -0.3], [-0.3, 1]])
    y = rng.multivariate_normal([0.4, -0.9], between + errors, size=k)
    return [
        effect(f"c{i:02d}", outcome, y=y[i, j], var_a=se**2)
        for i in range(k)
        for j, outcome in enumerate(joint.OUTCOMES)
    ]


@pytest.mark.slow
def test_a_known_correlation_between_studies_is_recovered(sampler):
    arrays = joint.design_arrays(*chosen_from(simulated(-0.8)), SIZE)
    rho = joint.sample(sampler, "recovery", arrays, seed=1).draws("rho")
    low, high = np.quantile(rho, [0.025, 0.975])
    assert low < -0.8 < high < -0.3


@pytest.mark.slow
def test_without_correlation_each_outcome_is_the_exact_univariate_posterior(sampler):
    rows = simulated(-0.8, k=8)
    cohorts, chosen = chosen_from(rows)
    arrays = joint.design_arrays(cohorts, chosen, SIZE, correlated=False)
    fit = joint.sample(sampler, "alone", arrays, seed=2)
    for j, outcome in enumerate(joint.OUTCOMES):
        post = exact.fit(
            chosen[outcome]["y"],
            np.sqrt(chosen[outcome]["var_a"]),
            mu_prior=exact.Normal(*priors.get(outcome, "mu").params),
            tau_prior=exact.HalfNormal(priors.get(outcome, "tau").scale),
        )
        for name, wanted in (("mu", post.mu), ("tau", post.tau)):
            draws = fit.draws(name)[:, j]
            assert draws.mean() == pytest.approx(wanted.mean, abs=0.1 * wanted.sd)
            assert draws.std() == pytest.approx(wanted.sd, rel=0.1)


@pytest.mark.slow
def test_the_projects_own_evidence(evidence):
    result = joint.run(evidence, seed=1)
    assert set(result.tables) == {"joint_summary", "joint_estimates", "joint_studies"}
    estimates = result.tables["joint_estimates"]
    assert estimates["statement"].str.contains("cohorts report both outcomes").all()
    assert len(result.estimates) == len(estimates)
    summary = result.tables["joint_summary"].set_index("parameter")
    assert summary.loc["rho", "sd"] < summary.loc["rho", "prior_sd"]
    studies = result.tables["joint_studies"]
    absent = studies["kind_hba1c"].eq("not reported")
    assert absent.any()
    assert studies.loc[absent, "shrunk_hba1c"].notna().all()
