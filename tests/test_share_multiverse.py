"""The multiverse of shares: the headline is in it, choices move it the way they must."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import every
from scipy import stats

from analysis import exact, results
from analysis.central import LEVELS, central
from analysis.counting import share_facts
from analysis.sensitivity import share_choices
from analysis.sensitivity import share_multiverse as multiverse
from analysis.sensitivity.count_plane import CountPlane
from analysis.stages import completeness, shares
from analysis.stages.result import StageResult

PRIORS = (exact.Normal(0.0, 1.5), exact.HalfNormal(1.0))
COUNTS = [(20, 23, 20), (0, 26, 0), (10, 14, 12), (71, 128, 128)]  # k, n and the most it can be
HEADLINE = ["outcome", "approach", "population", "cell_class"]


@pytest.fixture(scope="module", params=every("tracked", "computed anew"))
def run(request, evidence, run_folder) -> StageResult:
    """The stage of shares on the tracked evidence: what it left, and, slow, what it gives now."""
    if request.param == "computed anew":
        return shares.run(evidence)
    tables = {name: results.read(run_folder, name) for name in results.TABLES}
    return StageResult(tables.pop("estimates"), tables)


@pytest.fixture(scope="module")
def tables(run) -> dict[str, pd.DataFrame]:
    return run.tables


def of_counts(*counts) -> np.ndarray:
    return CountPlane().shares([counts], [PRIORS])[0]


# --- the plane -----------------------------------------------------------------------------------


def test_the_plane_gives_the_posterior_of_the_fit_of_shares():
    k, n, most = zip(*COUNTS, strict=True)
    fit = exact.fit_shares(
        k, n, mu_prior=PRIORS[0], tau_prior=PRIORS[1], at_least=np.array(most) > k, most=most
    ).mean_study
    assert of_counts(*COUNTS) == pytest.approx(central(fit), abs=2e-5)


def test_many_alike_cohorts_are_one_large_one():
    """With tau near nothing the median is that of the conjugate posterior on all patients."""
    none = (exact.Normal(0.0, 50.0), exact.HalfNormal(1e-3))
    median = CountPlane().shares([[(12, 40, 12), (18, 60, 18)]], [none])[0, 1]
    assert median == pytest.approx(stats.beta(30, 70).median(), abs=1e-3)  # flat on log odds


def test_one_patient_more_raises_the_share_and_a_bound_is_above_its_exact_count():
    base = of_counts((5, 10, 5), (8, 20, 8))
    assert (of_counts((6, 10, 6), (8, 20, 8)) > base).all()
    medians = [of_counts((5, 10, most), (8, 20, 8))[1] for most in range(5, 11)]
    assert (np.diff(medians) > 0).all()  # the more it can be, the higher


def test_at_least_none_says_nothing():
    alone = of_counts((5, 10, 5), (8, 20, 8))
    beside = of_counts((5, 10, 5), (8, 20, 8), (0, 30, 30))
    assert beside == pytest.approx(alone, abs=1e-9)


@pytest.mark.parametrize(("k", "n"), [(0, 14), (10, 14), (14, 14)])
def test_one_cohort_alone_is_told_by_its_named_interval(k, n):
    low, share, high = multiverse.alone(k, n, k, "clopper_pearson")
    interval = stats.binomtest(k, n).proportion_ci(method="exact")
    assert (share, low, high) == pytest.approx((k / n, interval.low, interval.high))
    jeffreys = stats.beta(k + 0.5, n - k + 0.5)
    assert multiverse.alone(k, n, k, "jeffreys") == pytest.approx(jeffreys.ppf(LEVELS))
    if k < n:
        assert multiverse.alone(k, n, n, "jeffreys")[2] == 1.0


@pytest.mark.parametrize(
    ("way", "end"), [("clopper_pearson", stats.beta(13, 2)), ("jeffreys", stats.beta(12.5, 2.5))]
)
def test_of_10_of_14_with_2_not_counted_the_interval_ends_where_that_of_12_does(way, end):
    low, share, high = multiverse.alone(10, 14, 12, way)
    assert high == pytest.approx(end.ppf(0.975)) and high < 1
    assert (low, share) == multiverse.alone(10, 14, 10, way)[:2]


# --- the tracked evidence ------------------------------------------------------------------------


def test_the_headline_is_the_first_of_its_own_specifications(run, tables):
    told = run.estimates
    whole = told[told["quantity"].isin(["share", "pooled_share"])].set_index(
        [*HEADLINE, "quantity"]
    )
    first = tables["share_multiverse"].query("spec == 0")
    assert len(first) == len(tables["share_standing"])
    for row in first.to_dict("records"):
        stratum = tuple(row[name] for name in HEADLINE)
        several = row["k_studies"] > 1
        if several and row["cell_class"] != "all":
            continue  # estimates of a class alone are counts without a model
        own = whole.loc[(*stratum, "share" if several else "pooled_share")]
        figures = [own["median"], own["ci_low"], own["ci_high"]]
        assert [row["share"], row["ci_low"], row["ci_high"]] == pytest.approx(figures, abs=1e-4)
        assert row["n_patients"] == own["n_patients"]


def test_the_first_specification_is_at_the_first_level_of_every_choice(tables):
    first = tables["share_multiverse"].query("spec == 0")
    for choice, levels in multiverse.CHOICES.items():
        assert (first[choice] == next(iter(levels))).all()
    assert (first["left_out"] == multiverse.NOBODY).all()


def test_no_analysis_is_counted_twice(tables):
    table = tables["share_multiverse"].query("k_studies > 1")
    figures = ["k_studies", "n_patients", "share", "ci_low", "ci_high", "mu_prior", "tau_prior"]
    assert not table.duplicated([*HEADLINE, *figures]).any()


def test_each_study_is_left_out_once_where_three_or_more_are_pooled(tables):
    for _, own in tables["share_multiverse"].groupby(HEADLINE):
        without = own[own["left_out"] != multiverse.NOBODY]
        k = own.loc[own["spec"] == 0, "k_studies"].iloc[0]
        assert len(without) <= (k if k > 2 else 0)
        assert (without["k_studies"] == k - 1).all() and without["left_out"].is_unique


def test_leaving_those_not_seen_out_of_the_denominator_never_lowers_a_share(evidence):
    counts = multiverse.Shares(evidence)
    seen = 0
    for stratum in multiverse.strata(share_facts.table(evidence).facts):
        fork = multiverse.Fork(counts, stratum)
        if "left_out" not in fork.offered()["not_seen"]:
            continue
        fewer = False
        for when in multiverse.CHOICES["any_time"]:
            spec = {**multiverse.DEFAULT, "lower_bounds": "exact", "any_time": when}
            treated, those_seen = (fork.counts({**spec, "not_seen": level})
                                   for level in ("not_reached", "left_out"))  # fmt: skip
            assert [k for k, _, _ in treated] == [k for k, _, _ in those_seen]
            lost = sum(n for _, n, _ in treated) - sum(n for _, n, _ in those_seen)
            assert lost >= 0
            fewer = fewer or lost > 0
        assert fewer
        seen += 1
    assert seen


def test_a_level_is_offered_only_where_it_changes_the_counts(evidence):
    fork = multiverse.Fork(
        multiverse.Shares(evidence),
        dict(zip(HEADLINE, ("c_peptide_detectable", "islet_replacement", "t1d", "psc_islet"),
                 strict=True)),
    )  # fmt: skip
    assert len(fork.own) == 1
    offered = fork.offered()
    assert offered["tau_prior"] == ["half_normal"] and offered["cells"] == ["all"]
    assert offered["alone"] == ["clopper_pearson", "jeffreys"]


def test_standing_counts_what_is_at_least_as_favourable(tables):
    for row in tables["share_standing"].to_dict("records"):
        own = tables["share_multiverse"]
        for name in HEADLINE:
            own = own[own[name] == row[name]]
        usable = own[own["conclusion"] != "no_study"]
        assert row["n_specs"] == len(own) and row["n_usable"] == len(usable)
        assert row["share_as_favourable"] == pytest.approx(
            (usable["share"] >= row["headline"] - 1e-9).mean()
        )
        assert row["least"] <= row["low"] <= row["median"] <= row["high"] <= row["most"]
        assert row["least"] <= row["headline"] <= row["most"]


def test_the_word_of_a_specification_follows_its_interval(tables):
    table = tables["share_multiverse"]
    assert set(table["conclusion"]) <= set(share_choices.CONCLUSIONS)
    assert (table.query("conclusion == 'above_half'")["ci_low"] > 0.5).all()
    assert (table.query("conclusion == 'below_half'")["ci_high"] < 0.5).all()
    assert table.query("conclusion == 'no_study'")["share"].isna().all()


def test_a_standing_that_is_missing_is_a_fault(tables):
    assert completeness.without_standing(tables) == []
    told = completeness.without_standing(
        {**tables, "share_standing": tables["share_standing"].iloc[1:]}
    )
    assert len(told) == 1 and told[0].endswith("absent")


def test_visits_meet_those_not_seen_and_bounds_though_a_count_at_any_time_has_neither(evidence):
    """Progenitors: 2 of 17 at month 6 and 5 of 16 at month 12 are among the defensible counts."""
    stratum = dict(zip(HEADLINE, ("c_peptide_detectable", "islet_replacement", "t1d",
                                  "psc_progenitor"), strict=True))  # fmt: skip
    table, levels, _ = multiverse.explore(multiverse.Shares(evidence), stratum)
    offered = levels[levels["offered"]].groupby("choice")["level"].agg(set)
    assert {"half_year", "visit"} < offered["any_time"]
    assert "left_out" in offered["not_seen"] and "exact" in offered["lower_bounds"]
    fork = multiverse.Fork(multiverse.Shares(evidence), stratum)
    year = {**multiverse.DEFAULT, "any_time": "visit", "not_seen": "left_out"}
    half = {**multiverse.DEFAULT, "any_time": "half_year"}
    assert (5, 16, 5) in fork.counts(year) and (2, 17, 2) in fork.counts(half)
    seen = {**year, "not_seen": "not_reached"}
    assert (5, 17, 6) in fork.counts(seen)  # one of 17 was not seen at that visit
    assert table["share"].min() < table["share"].iloc[0] < table["share"].max()


def test_the_visit_nearest_six_months_is_no_reading_of_freedom_at_a_year(evidence):
    stratum = dict(zip(HEADLINE, ("insulin_free_12", "immune_reset", "t1d", "all"), strict=True))
    fork = multiverse.Fork(multiverse.Shares(evidence), stratum)
    assert fork.counts({**multiverse.DEFAULT, "any_time": "half_year"}) == fork.counts(
        multiverse.DEFAULT
    )
