"""Sensitivity: refits by hand, the student-t grid by brute force, the multiverse and its shares."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from analysis import effects, exact, priors, sensitivity
from analysis.models.result import ESTIMATE_COLUMNS
from analysis.sensitivity import batch, data, multiverse, nullify, power, refits, robust
from analysis.sensitivity.data import DESIGNS, HEADLINE, OUTCOMES, EffectStore

SMALL = ["mean", "sd", "ci_low", "ci_high", "pred_low", "pred_high"]
Y = np.array([-1.2, -0.2, 0.4, -0.7])
SE = np.array([0.30, 0.25, 0.40, 0.15])
CONTROLLED = np.array([True, True, False, False])


def case(k=4, design="both", **other):
    """A made-up analysis of the first k studies."""
    base = batch.Case(Y[:k], SE[:k], CONTROLLED[:k], exact.Normal(0, 2), exact.HalfNormal(0.75),
                      exact.Normal(0, 0.5) if design == "both" else None)  # fmt: skip
    return replace(base, **other)


def limited(evidence, keep):
    """The evidence with only the rows of outcomes.csv and directions.csv that `keep` accepts."""
    tables = {n: getattr(evidence, n) for n in ("outcomes", "directions")}
    return replace(evidence, **{n: t[keep(t)].reset_index(drop=True) for n, t in tables.items()})


@pytest.fixture(scope="module")
def store(evidence):
    return EffectStore(evidence)


@pytest.fixture(scope="module")
def result(evidence):
    return sensitivity.run(evidence, seed=7)


@pytest.fixture(scope="module")
def tables(result):
    return result.tables


# --- which numbers -------------------------------------------------------------------------------


def test_default_numbers_are_the_headline_effects(evidence, store):
    built = effects.build(evidence).effects
    for outcome in OUTCOMES:
        expected = effects.headline(built, outcome)
        expected = expected[expected["kind"] == "numeric"].set_index("effect_id")
        found = store.studies(outcome, replace(HEADLINE, design="both")).set_index("effect_id")
        assert set(found.index) == set(expected.index)
        known = found[~found["imputed"]]
        se = pd.Series(effects.se(expected), index=expected.index)
        assert known["se"].to_numpy() == pytest.approx(se[known.index].to_numpy())
        assert se[found.index[found["imputed"]]].isna().all()
        assert (found["y"] == expected.loc[found.index, "y"]).all()


@pytest.mark.parametrize(
    "choices",
    [{"unstated_spread": "se"}, {"medians": "as_mean"}, {"window": "3-24"}, {"overlaps": "shared"}],
)
def test_choices_are_those_of_the_effects_table(evidence, store, choices):
    rules = {"medians": False} if "medians" in choices else dict(choices)
    if "window" in rules:
        rules["window"] = data.window_months(rules["window"])
    built = effects.build(evidence, **rules).effects
    for outcome in OUTCOMES:
        expected = effects.headline(built, outcome)
        expected = expected[expected["kind"] == "numeric"]
        found = store.studies(outcome, replace(HEADLINE, design="both", **choices))
        assert sorted(found["effect_id"]) == sorted(expected["effect_id"])


def test_hba1c_from_diagnosis_and_case_reports_never_enter(evidence, store):
    built = effects.build(evidence).effects.set_index("effect_id")
    widest = replace(HEADLINE, design="both", words="at_bound", window="3-24")
    for outcome in OUTCOMES:
        found = store.studies(outcome, widest)
        rows = built.loc[found["effect_id"]]
        assert rows["pool"].all()
        assert (rows["n_treated"] >= 3).all()
        if outcome == "hba1c":
            assert not rows["at_diagnosis"].any()
    assert built.loc[
        built["outcome"].eq("hba1c"), "at_diagnosis"
    ].any()  # there is something to bar


def test_words_enter_as_zero_or_at_their_bound(store):
    choices = replace(HEADLINE, design="both", words="at_bound")
    table = store.table("hba1c", choices).set_index("effect_id")
    found = store.studies("hba1c", choices).set_index("effect_id")
    words = found[table.loc[found.index, "kind"].eq("interval")]
    sd = math.exp(store.log_sd("hba1c"))
    for effect_id, row in words.iterrows():
        low, high = table.loc[effect_id, ["z_low", "z_high"]].fillna(math.inf)
        assert row["se"] == pytest.approx(sd * math.sqrt(table.loc[effect_id, "n_factor"]))
        bound = 0.0 if low <= 0 <= high else (low if low > 0 else high)
        assert row["y"] == pytest.approx(bound * row["se"])
    assert (words["y"] == 0).any()
    assert (words["y"] < 0).any()
    zeros = store.studies("hba1c", replace(choices, words="null_zero")).set_index("effect_id")
    added = zeros.index.difference(
        store.studies("hba1c", data.DataChoices(design="both")).effect_id
    )
    assert (zeros.loc[added, "y"] == 0).all()
    assert set(added) == set(words.index[words["y"] == 0])


def test_a_missing_spread_falls_back_on_the_prior(evidence):
    no_spread = {"spread_kind": "none", "spread": np.nan, "spread_low": np.nan,
                 "spread_high": np.nan, "p_value": np.nan}  # fmt: skip
    bare = replace(evidence, outcomes=evidence.outcomes.assign(**no_spread),
                   directions=evidence.directions.assign(p_value=np.nan))  # fmt: skip
    store = EffectStore(bare)
    assert store.log_sd("hba1c") == priors.get("hba1c", "log_sd").params[0]
    found = store.studies("hba1c")
    assert len(found) > 1
    assert found["imputed"].all()
    left = store.studies("hba1c", replace(HEADLINE, missing_spread="left_out"))
    assert left.empty


# --- many fits are the fits one by one ------------------------------------------------------------


def test_batched_cases_equal_single_fits():
    cases = [
        case(), case(2), case(3, tau=exact.HalfCauchy(0.3)), case(4, "one"),
        case(1, "one", tau=exact.Fixed(0.0)), case(4, at_uncontrolled=True),
        case(3, "one", tau=exact.LogNormal(-1.0, 0.8)),
    ]  # fmt: skip
    found = batch.fit_cases(cases, [0.0, -0.3])
    for one, row in zip(cases, found.to_dict("records"), strict=True):
        post = refits.single(one)
        mean, new = post.mu, post.predictive
        if one.bias is not None:
            mean, new = post.at([1.0, float(one.at_uncontrolled)])
        expected = [mean.mean, mean.sd, *mean.interval(), *new.interval()]
        assert [row[name] for name in SMALL] == pytest.approx(expected, rel=1e-6)
        assert row["tau"] == pytest.approx(post.tau.median, abs=1e-8)
        assert row["below_0"] == pytest.approx(mean.cdf(0.0), abs=1e-8)
        assert row["below_-0.3"] == pytest.approx(mean.cdf(-0.3), abs=1e-8)
        assert row["log_marginal"] == pytest.approx(post.log_marginal_likelihood)


def test_a_case_without_a_study_stays_empty():
    found = batch.fit_cases([case(0), case(2)])
    assert found.loc[0].isna().all()
    assert found.loc[1].notna().all()
    assert robust.fit_cases([case(0, "one"), case(2, "one")])["mean"].notna().tolist() == [0, 1]


def test_student_t_effects_by_brute_force():
    one = case(2, "one")
    tau = np.linspace(0.0, 4.5, 91)[1:]
    mu = np.linspace(-7.0, 7.0, 141)
    x = np.linspace(-15, 15, 1201)

    # y - mu is the sum of a t with 4 degrees of freedom, times tau, and a normal error.
    effect = np.array([stats.t(4).pdf(x / t) / t for t in tau]) * (x[1] - x[0])
    density = np.ones((tau.size, mu.size))
    for y, se in zip(Y[:2], SE[:2], strict=True):
        density *= effect @ stats.norm.pdf((y - mu)[None, :] - x[:, None], 0, se)
    density *= np.exp(one.tau.logpdf(tau[None])[0])[:, None]
    marginal = integrate.trapezoid(density, tau, axis=0) * stats.norm.pdf(mu, 0, 2)
    marginal /= marginal.sum()
    mean = marginal @ mu
    found = robust.fit_cases([one], [0.0]).iloc[0]
    assert found["mean"] == pytest.approx(mean, abs=0.01)
    assert found["sd"] == pytest.approx(np.sqrt(marginal @ (mu - mean) ** 2), rel=0.02)


def test_student_t_effects_do_not_depend_on_the_grid(monkeypatch):
    outlying = case(y=np.array([-0.2, -0.3, 0.1, -3.0]))
    usual = robust.fit_cases([outlying, case(3, "one")], [0.0])
    for name, value in (("TAU_NODES", 80), ("MIX_STEP", 0.3), ("MOST_POINTS", 721)):
        monkeypatch.setattr(robust, name, value)
    finer = robust.fit_cases([outlying, case(3, "one")], [0.0])
    columns = [*SMALL, "below_0", "log_marginal"]
    assert usual[columns].to_numpy() == pytest.approx(finer[columns].to_numpy(), abs=2e-3)


def test_student_t_discounts_the_odd_study():
    y, se = np.array([0.0, 0.1, -0.1, 0.05, 3.0]), np.full(5, 0.1)
    one = batch.Case(y, se, np.ones(5, dtype=bool), exact.Normal(0, 2), exact.HalfNormal(0.5))
    assert robust.fit_cases([one])["mean"][0] < 0.5 * batch.fit_cases([one])["mean"][0]
    with pytest.raises(ValueError, match="controlled studies only"):
        robust.fit_cases([case(at_uncontrolled=True)])


# --- leaving out, in order of time, influence -----------------------------------------------------


def by_hand(outcome, design, studies):
    """The refit written out: mean, interval, prediction interval, tau."""
    y, se = studies["y"].to_numpy(), studies["se"].to_numpy()
    mu = exact.Normal(0, priors.get(outcome, "mu").scale)
    tau = exact.HalfNormal(priors.get(outcome, "tau").scale)
    if design != "both":
        post = exact.fit(y, se, mu_prior=mu, tau_prior=tau)
        mean, new = post.mu, post.predictive
    else:
        x = np.column_stack([np.ones(len(y)), ~studies["controlled"].astype(bool)])
        bias = exact.Normal(0, priors.get(outcome, "bias").scale)
        post = exact.fit(y, se, X=x, mu_prior=[mu, bias], tau_prior=tau)
        mean, new = post.at([1, 0])
    return [mean.mean, *mean.interval(), *new.interval(), post.tau.median]


LOO = ["mean", "ci_low", "ci_high", "pred_low", "pred_high", "tau"]


def test_leave_one_out_is_the_refit_by_hand(store, tables):
    for design in DESIGNS:
        studies = store.studies("hba1c", refits.at_design(design))
        found = tables["leave_one_out"].query("outcome == 'hba1c' and design == @design")
        cohorts = found[found["kind"] == "cohort"].set_index("left_out")
        assert set(cohorts.index) == set(studies["cohort_group"])
        for name, row in cohorts.iterrows():
            rest = studies[studies["cohort_group"] != name]
            assert row[LOO].tolist() == pytest.approx(by_hand("hba1c", design, rest), rel=1e-6)
            assert (row["k_studies"], row["n_patients"]) == (len(rest), rest["n_patients"].sum())


def test_another_report_of_the_patients_takes_the_place_of_one_left_out(evidence, store, tables):
    found = tables["leave_one_out"].query("kind == 'study' and replaced_by != ''")
    assert len(found)
    for row in found.to_dict("records"):
        less = limited(evidence, lambda t, name=row["left_out"]: t["study_id"] != name)
        choices = refits.at_design(row["design"])
        again = EffectStore(less).studies(row["outcome"], choices)
        assert row["k_studies"] == len(again)
        assert set(row["replaced_by"].split()) <= set(again["study_id"])
        break  # one rebuild is enough; the others follow the same path


def test_cumulative_ends_at_the_full_fit(tables, result):
    for (outcome, design), part in tables["cumulative"].groupby(["outcome", "design"]):
        years = part["year"].dropna()
        assert years.is_monotonic_increasing
        assert part["k_studies"].tolist() == list(range(1, len(part) + 1))
        group = "all" if design == "both" else design
        side = "uncontrolled" if design == "uncontrolled" else "controlled"
        full = result.estimates.query(
            "outcome == @outcome and group == @group and estimand == @side_name",
            local_dict={"outcome": outcome, "group": group, "side_name": f"mean_{side}"},
        ).iloc[0]
        last = part.iloc[-1]
        names = ["mean", "ci_low", "ci_high", "tau"]
        assert last[names].tolist() == pytest.approx(full[names].tolist(), rel=1e-9)


def test_influence_by_hand(store, tables):
    found = tables["influence"].query("outcome == 'hba1c' and design == 'controlled'")
    studies = store.studies("hba1c")
    mu, tau = refits.mu_prior("hba1c"), refits.tau_priors("hba1c")["half_normal"]
    full = exact.fit(studies["y"], studies["se"], mu_prior=mu, tau_prior=tau)
    assert found["weight"].tolist() == pytest.approx(full.shrinkage["weight"].tolist())
    assert 0 < found["leverage"].sum() < 1  # the rest is the prior's
    row, study = found.iloc[0], studies.iloc[0]
    rest = studies.iloc[1:]
    without = exact.fit(rest["y"], rest["se"], mu_prior=mu, tau_prior=tau)
    shift = full.mu.mean - without.mu.mean
    assert row["shift_in_sd"] == pytest.approx(shift / without.mu.sd)
    assert row["cook"] == pytest.approx((shift / full.mu.sd) ** 2)
    spread = math.hypot(without.predictive.sd, study["se"])
    deleted = (study["y"] - without.mu.mean) / spread
    assert row["studentised_deleted_residual"] == pytest.approx(deleted)
    assert row["tau_without"] == pytest.approx(without.tau.median)


# --- priors ---------------------------------------------------------------------------------------


def test_prior_grid_holds_the_headline(tables, result):
    grid = tables["prior_grid"].query("outcome == 'insulin_dose' and design == 'controlled'")
    usual = grid["mu_prior_sd"].eq(priors.get("insulin_dose", "mu").scale)
    row = grid[usual & grid["tau_prior"].eq("half_normal")].iloc[0]
    full = result.estimates.query(
        "outcome == 'insulin_dose' and group == 'controlled' and scale == 'log_ratio'"
    ).iloc[0]
    assert row["mean"] == pytest.approx(full["mean"])
    assert tables["prior_grid"]["p_good"].between(0, 1).all()
    # A tighter prior of the mean draws it towards zero.
    same = grid[grid["tau_prior"] == "half_normal"].sort_values("mu_prior_sd")
    assert same["mean"].abs().is_monotonic_increasing


@pytest.mark.parametrize("design", ["one", "both"])
def test_power_scaled_posteriors(design):
    one = case(4, design)
    post = refits.single(one)
    mean = post.mu if design == "one" else post.at([1, 0])[0]
    plain = power.scaled(one)
    assert plain.loc["mu"].tolist() == pytest.approx([mean.mean, mean.sd], rel=1e-6)
    assert plain.loc["tau"].tolist() == pytest.approx([post.tau.mean, post.tau.sd], rel=1e-6)
    # The power of a normal or half-normal prior is one with its SD over the root of alpha.
    root = math.sqrt(2.0)
    tight = case(4, design, mu=exact.Normal(0, 2 / root), tau=exact.HalfNormal(0.75 / root))
    if design == "both":
        tight = replace(tight, bias=exact.Normal(0, 0.5 / root))
    refit = refits.single(tight)
    mean = refit.mu if design == "one" else refit.at([1, 0])[0]
    scaled = power.scaled(one, prior=2.0)
    assert scaled.loc["mu"].tolist() == pytest.approx([mean.mean, mean.sd], rel=1e-6)
    assert scaled.loc["tau", "mean"] == pytest.approx(refit.tau.mean, rel=1e-6)
    # Twice the likelihood is every study twice, each with its own effect.
    twice = replace(one, y=np.tile(Y, 2), se=np.tile(SE, 2), controlled=np.tile(CONTROLLED, 2))
    double, again = power.scaled(one, likelihood=2.0), power.scaled(twice)
    assert double.to_numpy() == pytest.approx(again.to_numpy(), rel=1e-6)


def test_power_scaling_diagnostic_sees_a_strong_prior():
    strong = case(2, "one", mu=exact.Normal(3.0, 0.1))
    weak = case(4, "one", mu=exact.Normal(0.0, 50.0))
    assert power.diagnostic(strong, seed=1).loc["mu", "prior"] > 0.05
    found = power.diagnostic(weak, seed=1)
    assert found.loc["mu", "prior"] < 0.05
    assert set(found["diagnosis"]) <= {
        "ok", "potential prior-data conflict", "potential strong prior / weak likelihood"
    }  # fmt: skip


# --- the multiverse -------------------------------------------------------------------------------


def test_multiverse_size_and_default(tables, result):
    table = tables["multiverse"]
    assert list(table.columns) == multiverse.COLUMNS
    for outcome in OUTCOMES:
        part = table[table["outcome"] == outcome]
        assert len(part) >= 2000
        assert not part.duplicated(list(multiverse.CHOICES)).any()
        default = part[part["spec"] == 0].iloc[0]
        full = result.estimates.query("outcome == @outcome and group == 'controlled'").iloc[0]
        assert default[SMALL].tolist() == pytest.approx(full[SMALL].tolist(), abs=6e-5)
        assert default["k_studies"] == full["k_studies"]
        known = tables["multiverse_levels"].query("outcome == @outcome and default")
        assert dict(zip(known["choice"], known["level"], strict=True)) == {
            choice: default[choice] for choice in multiverse.CHOICES
        }


def test_any_specification_is_the_fit_by_hand(store, tables):
    part = tables["multiverse"].query("outcome == 'c_peptide_ratio' and k_studies >= 2")
    part = part[part["family"] != "student_t"].sample(12, random_state=0)
    for row in part.to_dict("records"):
        choices = data.DataChoices(**{name: row[name] for name in multiverse.DATA_CHOICES})
        studies = store.studies("c_peptide_ratio", choices)
        factor = multiverse.MU_FACTORS[row["mu_prior"]]
        tau = refits.tau_priors("c_peptide_ratio")[row["tau_prior"]]
        one = refits.case(
            "c_peptide_ratio", row["design"], studies,
            mu=refits.mu_prior("c_peptide_ratio", factor),
            tau=exact.Fixed(0.0) if row["family"] == "fixed" else tau,
        )  # fmt: skip
        post = refits.single(one)
        mean = post.at([1, 0])[0] if row["design"] == "both" else post.mu
        assert row["mean"] == pytest.approx(mean.mean, abs=6e-5)
        assert row["p_good"] == pytest.approx(1 - mean.cdf(0.0), abs=6e-5)
        assert (row["conclusion"] == "good") == (mean.interval()[0] > 0)


def test_shares_and_counts_add_up(tables):
    table, summary = tables["multiverse"], tables["multiverse_summary"]
    shares = [name for name in summary if name.startswith("share_")]
    assert summary["share_good_clear"].notna().all()
    for name in shares:
        assert summary[name].dropna().between(0, 1).all()
    assert (summary["n_usable"] + summary["n_too_few"] == summary["n_specs"]).all()
    assert (summary["n_distinct"] <= summary["n_specs"]).all()
    for outcome, part in summary.groupby("outcome"):
        whole = part[part["design"] == "all"].iloc[0]
        assert part.loc[part["design"] != "all", "n_specs"].sum() == whole["n_specs"]
        specs = table[table["outcome"] == outcome]
        assert whole["n_too_few"] == (specs["k_studies"] < 2).sum()
        usable = specs[specs["k_studies"] >= 2]
        good = usable["ci_low"] > 0 if outcome == "c_peptide_ratio" else usable["ci_high"] < 0
        end = usable["ci_low"] if outcome == "c_peptide_ratio" else usable["ci_high"]
        rounded = (end.abs() < 1e-4).mean()  # the table is rounded, the conclusion was not
        assert whole["share_good_clear"] == pytest.approx(good.mean(), abs=rounded + 1e-9)
    choices = tables["multiverse_choices"]
    assert choices["share_good_clear"].between(0, 1).all()
    assert choices["variance_explained"].between(0, 1 + 1e-9).all()
    usable = summary[summary["design"] == "all"].set_index("outcome")["n_usable"]
    for (outcome, _), part in choices.groupby(["outcome", "choice"]):
        assert part["n"].sum() == usable[outcome]


def test_sampled_levels_are_balanced():
    offered = {"a": [1, 2, 3], "b": ["x", "y"], "c": list(range(10)), "d": list(range(10))}
    specs = multiverse.specifications(offered, 120, seed=3)
    assert len(specs) == 120
    assert specs.iloc[0].tolist() == [1, "x", 0, 0]
    assert not specs.duplicated().any()
    near = specs.iloc[1 : 1 + 2 + 1 + 9 + 9]
    assert ((near != specs.iloc[0]).sum(axis=1) == 1).all()
    assert specs["b"].iloc[23:].value_counts(normalize=True).between(0.4, 0.6).all()
    assert len(multiverse.specifications(offered, 10_000, seed=3)) == 600
    again = multiverse.specifications(offered, 120, seed=3)
    pd.testing.assert_frame_equal(specs, again)


def test_a_level_that_leaves_too_few_studies_is_named_and_not_run(tables):
    levels = tables["multiverse_levels"]
    refused = levels[~levels["offered"]]
    assert (refused["k_most"] < 2).all()
    for row in refused.to_dict("records"):
        specs = tables["multiverse"].query("outcome == @row['outcome']")
        assert not (specs[row["choice"]] == row["level"]).any()


# --- the bias that would remove an effect ---------------------------------------------------------


def test_nullifying_bias_is_verified_by_shifting_the_data(store, tables):
    for row in tables["bias_to_nullify"].to_dict("records"):
        studies = store.studies(row["outcome"], refits.at_design(row["design"]))
        shifted = studies.assign(y=studies["y"] - row["bias_for_mean_zero"])
        assert by_hand(row["outcome"], row["design"], shifted)[0] == pytest.approx(0, abs=1e-5)
        touching = studies.assign(y=studies["y"] - row["bias_for_interval_to_touch_zero"])
        low, high = by_hand(row["outcome"], row["design"], touching)[1:3]
        if row["ci_low"] <= 0 <= row["ci_high"]:
            assert row["bias_for_interval_to_touch_zero"] == 0
            assert "holds zero without any bias" in row["statement"]
        else:
            assert min(abs(low), abs(high)) == pytest.approx(0, abs=1e-5)
        assert row["k_studies"] == len(studies)


def test_e_value_of_published_examples():
    # VanderWeele and Ding 2017: risk ratios 3.9 and 1.8 (limit of its interval), 0.80.
    assert nullify.e_value(3.9) == pytest.approx(7.26, abs=0.01)
    assert nullify.e_value(1.8) == pytest.approx(3.0, abs=0.01)
    assert nullify.e_value(0.8) == pytest.approx(1.81, abs=0.01)
    assert nullify.e_value(1.0) == 1.0


# --- little evidence ------------------------------------------------------------------------------


def test_one_study_only(evidence, monkeypatch):
    monkeypatch.setattr(multiverse, "N_SPECS", 60)
    monkeypatch.setattr(sensitivity, "OUTCOMES", ("hba1c",))
    lone = limited(evidence, lambda t: t["study_id"] == "cai2016")
    found = sensitivity.run(lone, seed=1)
    left = found.tables["leave_one_out"].query("outcome == 'hba1c' and design == 'controlled'")
    assert (left["k_studies"] == 0).all()
    assert left[LOO].isna().all(axis=None)
    influence = found.tables["influence"].query("outcome == 'hba1c' and design == 'controlled'")
    assert len(influence) == 1
    assert influence[["cook", "shift_in_sd", "tau_without"]].isna().all(axis=None)
    specs = found.tables["multiverse"].query("outcome == 'hba1c'")
    assert set(specs["conclusion"]) == {"too_few"}
    summary = found.tables["multiverse_summary"].query("outcome == 'hba1c' and design == 'all'")
    assert summary["n_usable"].tolist() == [0]
    assert summary["share_good_clear"].isna().all()
    row = found.estimates.query("outcome == 'hba1c' and group == 'controlled'").iloc[0]
    assert "single study" in row["note"]
    assert row["k_studies"] == 1


def test_an_outcome_without_a_study(evidence, monkeypatch):
    monkeypatch.setattr(multiverse, "N_SPECS", 60)
    monkeypatch.setattr(sensitivity, "OUTCOMES", ("hba1c", "insulin_dose"))
    none = limited(evidence, lambda t: t["outcome"].eq("hba1c") & t["study_id"].ne("zhao2013"))
    found = sensitivity.run(none, seed=1)
    assert set(found.estimates["outcome"]) == {"hba1c"}
    for name in ("leave_one_out", "cumulative", "influence", "prior_grid", "power_scaling",
                 "bias_to_nullify", "multiverse", "multiverse_choices"):  # fmt: skip
        assert set(found.tables[name]["outcome"]) == {"hba1c"}
    empty = found.tables["multiverse_summary"].query("outcome == 'insulin_dose'")
    assert (empty["n_specs"] == 0).all()


def test_designs_are_never_mixed_in_the_estimates(result):
    rows = result.estimates
    assert list(rows.columns) == ESTIMATE_COLUMNS
    assert set(rows["method"]) == {"exact"}
    assert (rows["k_studies"] >= 1).all()
    assert not rows.duplicated(["outcome", "group_kind", "group", "estimand", "scale"]).any()
    for outcome in OUTCOMES:  # controlled and uncontrolled are never one mean
        groups = set(rows.loc[rows["outcome"] == outcome, "group"])
        assert {"controlled", "all"} <= groups <= {"controlled", "uncontrolled", "all"}


def test_the_same_seed_gives_the_same_tables(store):
    arguments = {"good": -1, "important": -0.3, "n": 80}
    first, second = (multiverse.run(store, "hba1c", seed=5, **arguments)[0] for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    other = multiverse.run(store, "hba1c", seed=6, **arguments)[0]
    assert not first[list(multiverse.CHOICES)].equals(other[list(multiverse.CHOICES)])
    scaled = [power.power_scaling(store, "hba1c", "controlled", 5) for _ in range(2)]
    pd.testing.assert_frame_equal(*scaled)
