"""The model of change: its likelihood by other means, recovery, the extremes, what it refuses."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import effects as effects_module
from analysis import priors
from analysis.models import change, change_checks
from analysis.models.sampling import compile_model

SIZE = 20
WHERE = {"mu": -0.6, "tau": 0.3, "tau_class": 0.5, "bias": 0.2, "r": 0.4, "log_sd": 0.1,
         "log_sd_spread": 0.2}  # fmt: skip


def effect(name: str, **values) -> dict:
    """A controlled HbA1c effect with known variance 0.04, unless told otherwise."""
    base = {
        "effect_id": name, "cohort": name, "study_id": name, "label": name, "year": 2020,
        "outcome": "hba1c", "kind": "numeric", "y": np.nan, "var_a": 0.04, "var_b": 0.0,
        "n_factor": np.nan, "z_low": np.nan, "z_high": np.nan, "controlled": True, "measure": "",
        "contrast": "between_arms", "months": 12.0, "cell_class": "ahsct", "diabetes_type": "T1D",
        "n_patients": 20.0, "pool": True, "headline": True, "tested": True, "at_diagnosis": False,
        "derived": "",
    }  # fmt: skip
    return {**base, **values}


def table(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame(list(rows))


# --- the likelihood ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def log_likelihood():
    """log p(results | WHERE, class_z), by the model's own graph, for arrays of four rows."""
    import pymc as pm

    model = change.build(4)
    log_p = model.compile_logp(mode="FAST_COMPILE")
    point = model.initial_point()
    for name in ("mu", "bias"):
        point[f"{name}_z"] = np.array(WHERE[name] / priors.get("hba1c", name).scale)
    for name in ("tau", "tau_class"):
        point[f"{name}_z_log__"] = np.array(np.log(WHERE[name] / priors.get("hba1c", name).scale))
    share = (WHERE["r"] + 0.95) / 1.9
    point["r_interval__"] = np.array(np.log(share / (1 - share)))
    point["log_sd"] = np.array(WHERE["log_sd"])
    point["log_sd_spread_log__"] = np.array(np.log(WHERE["log_sd_spread"]))
    point["sd_z"] = np.full(4, 0.7)

    def at(rows: pd.DataFrame, class_z: float = 0.0) -> float:
        here = {**point, "class_z": np.full(len(change.CLASSES), class_z)}
        empty = change.design_arrays(change.empty_effects(), "hba1c", 4)
        values = []
        for data in (change.design_arrays(rows, "hba1c", 4), empty):
            for name in ("tau_class", "type_effect"):
                data[f"scale_{name}"] = np.array(priors.get("hba1c", name).scale)
            with model:
                pm.set_data(data)
            values.append(float(log_p(here)))
        return values[0] - values[1]

    return at


MIXED = table(
    effect("a", y=-0.9),
    effect("b", y=-0.2, controlled=False, var_a=0.09),
    effect("c", kind="interval", var_a=np.nan, n_factor=0.1, z_low=-1.96, z_high=1.96),
    effect("d", kind="exact_p", z_low=-2.4, z_high=-2.4, var_a=0.16),
)


def by_hand(rows: pd.DataFrame, class_effect: float) -> float:
    """The likelihood of `rows` given the effect of their class, row by row."""
    p = WHERE
    sd = np.exp(p["log_sd"] + p["log_sd_spread"] * 0.7)
    product = 1.0
    for row in rows.itertuples():
        eta = p["mu"] + class_effect + (0 if row.controlled else p["bias"])
        known = np.isfinite(row.var_a)
        se = np.sqrt(row.var_a) if known else sd * np.sqrt(row.n_factor)
        normal = stats.norm(eta, np.hypot(se, p["tau"]))
        if row.kind == "numeric":
            product *= normal.pdf(row.y)
        elif row.kind == "exact_p":
            product *= normal.pdf(row.z_low * se) * se
        else:
            product *= normal.cdf(row.z_high * se) - normal.cdf(row.z_low * se)
    return product * np.sqrt(2 * np.pi) ** (rows["kind"] != "interval").sum()


@pytest.mark.parametrize("chosen", [[0, 1, 2, 3], [0], [2], [2, 3]])
def test_the_class_effect_is_integrated_out_exactly(log_likelihood, chosen):
    rows = MIXED.iloc[chosen].reset_index(drop=True)
    z = np.linspace(-6, 6, 81)
    weight = stats.norm.pdf(z) * (z[1] - z[0])
    model = sum(w * np.exp(log_likelihood(rows, at)) for at, w in zip(z, weight, strict=True))
    hand = sum(w * by_hand(rows, WHERE["tau_class"] * at) for at, w in zip(z, weight, strict=True))
    assert model == pytest.approx(hand, rel=1e-6)


def test_an_exact_p_value_says_as_much_as_the_number(log_likelihood):
    number = table(effect("a", y=-0.5))
    p_value = table(effect("a", kind="exact_p", z_low=-2.5, z_high=-2.5))
    assert log_likelihood(p_value) == pytest.approx(log_likelihood(number) + np.log(0.2))


def test_wider_words_say_less(log_likelihood):
    def words(low, high):
        return table(effect("a", kind="interval", z_low=low, z_high=high))

    assert log_likelihood(words(-np.inf, np.inf)) == pytest.approx(0, abs=1e-9)
    assert log_likelihood(words(-1.96, 1.96)) < log_likelihood(words(-3.0, 1.96)) < 0


def test_words_far_out_in_the_tail_keep_a_finite_likelihood(log_likelihood):
    row = effect("a", kind="interval", z_low=800.0, z_high=np.inf, var_a=1e-4)
    hand = stats.norm.logsf(8.0, WHERE["mu"], np.hypot(0.01, WHERE["tau"]))
    assert hand < -400
    assert log_likelihood(table(row)) == pytest.approx(hand, rel=1e-4)


def test_an_unknown_spread_between_visits_follows_the_correlation(log_likelihood):
    paired = table(effect("a", y=-0.5, var_a=0.09, var_b=0.05))
    known = table(effect("a", y=-0.5, var_a=0.09 - WHERE["r"] * 0.05))
    assert log_likelihood(paired) == pytest.approx(log_likelihood(known))


# --- what the model refuses ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"kind": "rumour", "y": 1.0}, "an unknown kind of result: bad"),
        ({"cell_class": "magic", "y": 1.0}, "an unknown cell class: bad"),
        ({}, "no value though numeric: bad"),
        ({"y": 1.0, "var_a": np.nan}, "neither a spread nor a number of patients: bad"),
        ({"y": 1.0, "var_a": 0.04, "var_b": 0.05}, "a variance that is not positive"),
        ({"kind": "interval", "z_low": 2.0, "z_high": 1.0}, "bounds on z out of order: bad"),
        ({"kind": "exact_p"}, "no z though its p-value is exact: bad"),
    ],
)
def test_an_effect_that_cannot_be_read_is_named(cells, words):
    with pytest.raises(ValueError, match=words):
        change.design_arrays(table(effect("good", y=0.1), effect("bad", **cells)), "hba1c", 4)


def test_more_effects_than_the_model_was_built_for_are_an_error():
    with pytest.raises(ValueError, match="5 effects of hba1c; the model was built for 4"):
        change.design_arrays(table(*[effect(f"s{i}", y=0.0) for i in range(5)]), "hba1c", 4)


def test_terms_that_the_studies_cannot_inform_leave_the_model():
    one = change.design_arrays(table(effect("a", y=0.1), effect("b", y=0.2)), "hba1c", 4)
    assert one["scale_tau_class"] == 0 and one["scale_type_effect"] == 0
    two = change.design_arrays(
        table(effect("a", y=0.1), effect("b", y=0.2, cell_class="bm_mnc", diabetes_type="T2D")),
        "hba1c", 4,
    )  # fmt: skip
    assert two["scale_tau_class"] > 0 and two["scale_type_effect"] > 0
    assert two["type_2"].tolist() == [-0.5, 0.5, 0, 0]


# --- fits ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sampler():
    return compile_model(change.build(SIZE), "change test")


@pytest.fixture(scope="module")
def fit(sampler):
    def one(rows: pd.DataFrame, *, robust: bool = False):
        data = change.design_arrays(rows, "hba1c", SIZE, robust=robust)
        return sampler.fit("test", seed=3, data=data, tune=600, draws=600, target_accept=0.97)

    return one


def simulated(k: int, *, mu=-0.8, bias=-0.4, tau=0.25, seed=1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(k):
        se, controlled = rng.uniform(0.1, 0.3), i % 2 == 0
        y = rng.normal(mu + (0 if controlled else bias), np.hypot(se, tau))
        rows.append(effect(f"s{i}", y=y, var_a=se**2, controlled=controlled))
    return table(*rows)


def test_known_means_bias_and_heterogeneity_are_recovered(fit):
    found = fit(simulated(SIZE))
    for name, truth in (("mu", -0.8), ("bias", -0.4), ("tau", 0.25)):
        low, high = np.quantile(found.draws(name), [0.01, 0.99])
        assert low < truth < high, name
    assert found.draws("mu").std() < 0.2


def test_one_study_alone_leaves_the_heterogeneity_to_its_prior(fit):
    found = fit(table(effect("a", y=-0.5)))
    tau, prior = found.draws("tau"), priors.get("hba1c", "tau").scale * np.sqrt(2 / np.pi)
    assert tau.mean() == pytest.approx(prior, rel=0.3)
    assert -0.6 < found.draws("mu").mean() < 0


def test_results_in_words_alone_give_a_direction_and_no_size(fit):
    words = [effect(f"w{i}", kind="interval", var_a=np.nan, n_factor=0.1, z_high=-1.96,
                    z_low=-np.inf) for i in range(4)]  # fmt: skip
    mu = fit(table(*words)).draws("mu")
    assert (mu < 0).mean() > 0.95
    assert np.quantile(mu, 0.975) - np.quantile(mu, 0.025) > 0.5


def test_an_outlier_moves_the_robust_mean_less(fit):
    rows = simulated(10, bias=0.0, tau=0.05).assign(controlled=True)
    rows.loc[0, "y"] = 4.0
    assert fit(rows, robust=True).draws("mu").mean() < fit(rows).draws("mu").mean() - 0.05


def test_nuts_agrees_with_the_exact_posterior(sampler):
    found = change.agrees_with_exact(sampler, simulated(8), "hba1c", seed=2)
    assert set(found["quantity"]) == {"mu", "tau"} and len(found) == 4
    assert (found["difference_in_mcse"].abs() <= change_checks.AGREEMENT).all()


def test_a_disagreement_with_the_exact_posterior_is_told():
    row = {"outcome": "hba1c", "quantity": "mu", "statistic": "mean", "nuts": 1.0, "exact": 0.9,
           "mcse": 0.01, "difference_in_mcse": 10.0}  # fmt: skip
    with pytest.raises(change_checks.DisagreementError, match=r"hba1c mean of mu: NUTS 1, exact 0"):
        change_checks.require_agreement(pd.DataFrame([row]))


def test_study_means_shrink_towards_the_mean(fit):
    rows = simulated(6)
    found = fit(rows)
    arrays = change.design_arrays(rows, "hba1c", SIZE)
    theta = change_checks.study_means(arrays, change.shared_draws(found), 6, seed=0).mean(axis=0)
    centre = found.draws("eta")[:, :6].mean(axis=0)
    assert (np.abs(theta - centre) < np.abs(rows["y"] - centre)).all()


# --- the stage -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def result(sampler, evidence):
    """The stage on the real HbA1c effects."""
    built = effects_module.build(evidence).effects
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(change, "compile_model", lambda model, name: sampler)
        patch.setattr(change, "build", lambda size: None)
        return built, change.run(built[built["outcome"] == "hba1c"], seed=1)


def test_every_fit_of_the_stage_passed_the_gate(result):
    assert not [name for name, fit in result[1].fits.items() if fit.diagnostics.faults()]


def test_the_estimates_keep_designs_apart_and_count_their_studies(result):
    built, made = result
    pooled = change.pooled_effects(built, "hba1c")
    rows = made.estimates
    for controlled, name in ((True, "mean_controlled"), (False, "mean_uncontrolled")):
        row = rows[(rows["estimand"] == name) & (rows["group_kind"] == "all")].iloc[0]
        part = pooled[pooled["controlled"].astype(bool) == controlled]
        assert row["k_studies"] == len(part)
        assert row["n_patients"] == part["n_patients"].sum()
        assert row["pred_low"] < row["ci_low"] < row["mean"] < row["ci_high"] < row["pred_high"]
    classes = rows[(rows["group_kind"] == "cell_class") & rows["estimand"].str.startswith("mean")]
    assert set(classes["group"]) == set(pooled["cell_class"])
    assert classes["k_studies"].sum() == len(pooled)
    assert {"tau", "i_squared"} <= set(rows["estimand"])
    chances = rows[rows["scale"] == "probability"]
    assert chances["mean"].between(0, 1).all()


def test_the_tables_speak_of_every_pooled_study(result):
    built, made = result
    pooled = change.pooled_effects(built, "hba1c")
    assert set(made.tables["study_estimates"]["effect_id"]) == set(pooled["effect_id"])
    checks = made.tables["change_checks"]
    assert set(checks["check"]) == {"prior", "posterior"}
    after = checks[(checks["check"] == "posterior") & checks["tail_probability"].notna()]
    assert after["tail_probability"].between(0.01, 0.99).all()
    density = made.tables["densities"]
    for _, part in density.groupby(["group_kind", "group", "quantity"]):
        assert np.trapezoid(part["density"], part["x"]) == pytest.approx(1, abs=0.06)
