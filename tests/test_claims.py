"""Claims: the scale and its caps, where each probability comes from, and what is not known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import claims
from analysis.models.result import estimates_table

NOTHING = estimates_table([])


def estimate(**cells) -> dict:
    """An estimate row by NUTS, k = 5 studies of 100 patients unless told otherwise."""
    return {
        "group_kind": "all",
        "group": "all",
        "k_studies": 5,
        "n_patients": 100,
        "method": "nuts",
        "scale": "difference",
        "unit": "percentage points",
        **cells,
    }


def normal(mean, sd, **cells) -> dict:
    return estimate(mean=mean, sd=sd, ci_low=mean - 1.96 * sd, ci_high=mean + 1.96 * sd, **cells)


def judge(short, rows=(), tables=None, evidence=None) -> pd.Series:
    """The row of one claim."""
    claim = next(claim for claim in claims.CLAIMS if claim.short == short)
    inputs = claims.Inputs(estimates_table(list(rows)), tables or {}, evidence)
    return pd.Series(claims.judge(claim, inputs))


# --- the scale ---------------------------------------------------------------------------------


def test_bands_are_ordered_and_reach_zero():
    least = [bound for _, bound in claims.SCALE]
    assert least == sorted(least, reverse=True)
    assert least[-1] == 0
    assert len(set(claims.VERDICTS)) == len(claims.VERDICTS)


@pytest.mark.parametrize("word, least", claims.SCALE)
def test_each_band_begins_at_its_bound(word, least):
    assert claims.verdict(least) == word
    if least:
        assert claims.verdict(least - 1e-9) != word


@pytest.mark.parametrize("limits", [{"k_studies": 2}, {"controlled": False}])
def test_weak_evidence_is_never_better_than_suggested_nor_worse_than_doubtful(limits):
    words = {claims.verdict(p, **limits) for p in np.linspace(0, 1, 201)}
    assert words == {"suggested", "uncertain", "doubtful"}
    assert claims.verdict(1.0, **limits) == "suggested"
    assert claims.verdict(0.0, **limits) == "doubtful"


def test_that_something_occurs_needs_studies_but_no_control_group():
    assert claims.verdict(1.0, kind="occurrence", controlled=False) == "well supported"
    assert claims.verdict(1.0, kind="occurrence", controlled=False, k_studies=2) == "suggested"


def test_beyond_the_data_nothing_is_better_than_uncertain():
    assert claims.verdict(1.0, kind="occurrence", beyond_data=True) == "uncertain"
    assert claims.verdict(0.0, kind="occurrence", beyond_data=True) == "doubtful"


def test_no_number_or_no_study_is_not_known():
    assert claims.verdict(np.nan) == claims.NOT_KNOWN
    assert claims.verdict(0.99, k_studies=0) == claims.NOT_KNOWN
    assert claims.verdict(0.99, k_studies=np.nan) == claims.NOT_KNOWN


def test_wrong_calls_are_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        claims.verdict(1.2)
    with pytest.raises(ValueError, match="no such kind"):
        claims.verdict(0.5, kind="hope")


def test_the_verdict_never_falls_as_the_probability_rises():
    order = [word for word, _ in claims.SCALE]
    for limits in ({}, {"k_studies": 1}, {"beyond_data": True}):
        places = [order.index(claims.verdict(p, **limits)) for p in np.linspace(0, 1, 101)]
        assert places == sorted(places, reverse=True)


# --- nothing known -----------------------------------------------------------------------------


def test_without_inputs_every_claim_is_not_known_with_a_reason():
    table = claims.table(NOTHING, {}, None)
    assert list(table.columns) == claims.COLUMNS
    assert len(table) == len(claims.CLAIMS)
    assert set(table["verdict"]) == {claims.NOT_KNOWN}
    assert table["probability"].isna().all()
    assert table["caveat"].str.len().gt(10).all()


def test_frequentist_rows_give_no_posterior_probability():
    row = normal(-1, 0.1, outcome="hba1c", estimand="mean_controlled", group_kind="diabetes_type",
                 group="T2D")  # fmt: skip
    assert judge("T2D: HbA1c falls", [row])["verdict"] != claims.NOT_KNOWN
    assert judge("T2D: HbA1c falls", [{**row, "method": "hksj"}])["verdict"] == claims.NOT_KNOWN


def test_an_estimate_without_a_spread_is_not_known():
    row = estimate(mean=-1.0, outcome="hba1c", estimand="mean_controlled",
                   group_kind="diabetes_type", group="T2D")  # fmt: skip
    found = judge("T2D: HbA1c falls", [row])
    assert found["verdict"] == claims.NOT_KNOWN
    assert "no usable spread" in found["caveat"]


# --- means -------------------------------------------------------------------------------------

T2D = {"outcome": "hba1c", "group_kind": "diabetes_type", "group": "T2D"}


def test_a_posterior_probability_wins_over_the_normal_approximation():
    mean = normal(-1.0, 0.5, estimand="mean_controlled", **T2D)
    stated = estimate(
        mean=0.8125,
        scale="probability",
        unit="probability",
        estimand="p_beyond_0_controlled",
        **T2D,
    )
    alone, both = (judge("T2D: HbA1c falls", rows) for rows in ([mean], [mean, stated]))
    assert alone["probability"] == pytest.approx(stats.norm.cdf(2))
    assert "normal approximation" in alone["caveat"]
    assert both["probability"] == 0.8125
    assert "normal approximation" not in both["caveat"]
    assert both["verdict"] == "suggested"


def test_controlled_studies_are_asked_first():
    rows = [
        normal(-3.0, 0.1, estimand="mean_uncontrolled", **T2D),
        normal(0.0, 1.0, estimand="mean_controlled", **T2D),
    ]
    found = judge("T2D: HbA1c falls", rows)
    assert found["probability"] == pytest.approx(0.5)
    assert found["estimand"].endswith("mean_controlled")


def test_uncontrolled_studies_alone_can_only_suggest():
    found = judge("T2D: HbA1c falls", [normal(-3.0, 0.1, estimand="mean_uncontrolled", **T2D)])
    assert found["probability"] > 0.999
    assert found["verdict"] == "suggested"
    assert "no control groups" in found["caveat"]


def test_a_ratio_is_shown_as_a_ratio():
    row = normal(
        np.log(2),
        0.1,
        outcome="c_peptide_ratio",
        estimand="mean_controlled",
        group_kind="diabetes_type",
        group="T2D",
        scale="log_ratio",
        unit="log ratio",
    )
    found = judge("T2D: C-peptide rises", [row])
    assert found["evidence"].startswith("ratio 2.00 (95 % interval 1.64 to 2.43)")
    assert found["verdict"] == "well supported"


def test_one_study_of_islets_can_only_suggest(evidence):
    row = normal(1.2, 0.2, outcome="c_peptide_gain", estimand="mean_uncontrolled",
                 group_kind="cell_class", group="psc_islet", unit="nmol/L", k_studies=1,
                 n_patients=12)  # fmt: skip
    found = judge("islets make C-peptide", [row], evidence=evidence)
    assert (found["verdict"], found["k_studies"]) == ("suggested", 1)
    assert "fewer than 3 studies" in found["caveat"]
    assert "C-peptide seen in" in found["evidence"]


def test_the_msc_class_with_most_controlled_studies_decides():
    def row(group, mean, k, design):
        return normal(mean, 0.1, outcome="c_peptide_ratio", estimand=f"mean_{design}",
                      group_kind="cell_class", group=group, scale="log_ratio", unit="log ratio",
                      k_studies=k)  # fmt: skip

    rows = [row("msc_umbilical", 0.0, 4, "controlled"), row("msc_adipose", 0.5, 2, "controlled"),
            row("msc_bone_marrow", 0.5, 9, "uncontrolled")]  # fmt: skip
    found = judge("MSC preserve beta cells", rows)
    assert found["probability"] == pytest.approx(0.5)
    assert found["estimand"] == "c_peptide_ratio:msc_umbilical:mean_controlled"
    assert "MSC adipose: probability 1.00" in found["evidence"]


# --- shares and rates --------------------------------------------------------------------------


def test_normal_probability_works_on_the_scale_of_the_model():
    z = stats.norm.isf(0.025)
    share = {"scale": "probability", "mean": 0.5, "sd": 0.1,
             "ci_low": 1 / (1 + np.exp(z)), "ci_high": 1 / (1 + np.exp(-z))}  # fmt: skip
    logit = np.log(0.9 / 0.1)
    assert claims.normal_probability(share, 0.9, above=True) == pytest.approx(stats.norm.sf(logit))
    rate = {"scale": "per_100_patient_years", "mean": 9, "sd": 9,
            "ci_low": np.exp(-z), "ci_high": np.exp(z)}  # fmt: skip
    assert claims.normal_probability(rate, 1.0, above=False) == pytest.approx(0.5)
    assert np.isnan(claims.normal_probability({**rate, "ci_low": 0.0}, 1.0, above=False))


def test_ever_independent_falls_back_to_the_counts(evidence):
    found = judge("some insulin-free", evidence=evidence)
    k, n = (int(word) for word in found["evidence"].split(" patients")[0].split(" of "))
    assert found["probability"] == pytest.approx(stats.beta.sf(0.05, k + 0.5, n - k + 0.5))
    assert "no model was fitted" in found["caveat"]
    row = estimate(outcome="ever_independent", estimand="p_ever", scale="probability", mean=0.04,
                   sd=0.01, ci_low=0.02, ci_high=0.06)  # fmt: skip
    modelled = judge("some insulin-free", [row], evidence=evidence)
    assert modelled["probability"] < 0.5
    assert "no model was fitted" not in modelled["caveat"]


@pytest.mark.parametrize("months, short", [(60, "lasts 5 years"), (120, "lasts 10 years")])
def test_lasting_is_judged_by_the_data_that_reach_so_far(evidence, months, short):
    row = estimate(outcome="independence_survival", estimand=f"s_{months}", scale="probability",
                   mean=0.9, sd=0.05, ci_low=0.8, ci_high=0.96)  # fmt: skip
    found = judge(short, [row], evidence=evidence)
    assert found["probability"] > 0.95
    # No fact of the tracked evidence reaches ten years.
    assert ("extrapolated" in found["caveat"]) == (months == 120)
    assert found["verdict"] == ("uncertain" if months == 120 else "well supported")


def test_without_evidence_nothing_is_known_to_be_followed():
    row = estimate(outcome="independence_survival", estimand="s_60", scale="probability",
                   mean=0.9, sd=0.05, ci_low=0.8, ci_high=0.96)  # fmt: skip
    assert judge("lasts 5 years", [row])["verdict"] == "uncertain"


def test_no_added_cancer_is_the_probability_of_a_low_rate():
    rate = estimate(
        outcome="safety",
        estimand="malignancy_or_tumour:any:rate",
        scale="per_100_patient_years",
        mean=1.2,
        sd=2,
        ci_low=0.1,
        ci_high=10.0,
    )
    upper = {**rate, "estimand": "malignancy_or_tumour:any:rate_upper95", "mean": 7.5}
    found = judge("no added cancer", [rate, upper])
    assert found["probability"] == pytest.approx(0.5)
    assert "upper bound 7.5" in found["evidence"]
    assert found["verdict"] == "uncertain"


def test_rate_exceeds_agrees_with_simulation():
    first, second = {"events": 4, "patient_years": 50}, {"events": 2, "patient_years": 80}
    rng = np.random.default_rng(3)
    a = rng.gamma(4.5, 1 / 50, 400_000)
    b = rng.gamma(2.5, 1 / 80, 400_000)
    assert claims.rate_exceeds(first, second) == pytest.approx(np.mean(a > b), abs=0.004)
    assert claims.rate_exceeds(first, first) == pytest.approx(0.5)


def strategies(*rows) -> dict:
    columns = ["strategy", "k_studies", "n_patients", "patient_years", "events"]
    table = pd.DataFrame(rows, columns=columns)
    return {"safety_by_strategy": table.assign(event_category="severe_infection", relation="any")}


def test_infections_are_compared_where_both_strategies_are_counted():
    alone = ("immunosuppression", 3, 30, 30.0, 6)
    compared = judge("infection risk", tables=strategies(alone, ("neither", 3, 30, 30.0, 0)))
    assert compared["probability"] > 0.97
    assert compared["threshold"] == "above 0 per 100 patient-years"
    single = judge("infection risk", tables=strategies(alone))
    assert single["probability"] == pytest.approx(stats.gamma(6.5, scale=100 / 30).sf(5))
    assert "no comparison" in single["caveat"]
    none = judge("infection risk", tables=strategies(("neither", 3, 30, 30.0, 0)))
    assert none["verdict"] == claims.NOT_KNOWN


# --- facts of the evidence base ----------------------------------------------------------------


def test_encapsulation_is_not_known_until_patients_with_a_capsule_alone_are_counted(evidence):
    before = judge("capsule instead of drugs", evidence=evidence)
    assert before["verdict"] == claims.NOT_KNOWN
    assert "no count of patients" in before["caveat"]
    assert "devices with immunosuppression" in before["evidence"]
    alone = evidence.studies.query("immune_strategy == 'encapsulation' and include == 'yes'")
    row = evidence.responders.iloc[[0]].assign(
        study_id=alone["study_id"].iloc[0], arm="treated", outcome="engraftment", n_responders=8.0,
        n_total=9.0,
    )  # fmt: skip
    counted = evidence.__class__(
        **{**evidence.__dict__, "responders": pd.concat([evidence.responders, row])}
    )
    after = judge("capsule instead of drugs", evidence=counted)
    assert after["probability"] == pytest.approx(stats.beta.sf(0.5, 8.5, 1.5))
    assert after["verdict"] == "suggested"


def test_c_peptide_seen_counts_a_cohort_once_with_its_lowest_bar(evidence):
    seen = claims.c_peptide_seen(evidence, classes=("psc_islet", "psc_progenitor"))
    assert seen["cohort"].is_unique
    assert (seen["k"] <= seen["n"]).all()
    rows = evidence.responders.query("study_id == 'keymeulen2024'")
    bars = rows[rows["outcome"].str.startswith("c_peptide")]
    assert len(bars) > 1
    kept = seen.set_index("cohort").loc["vc02_optimised", "k"]
    assert kept == bars["n_responders"].max()


def test_small_and_short_trials_are_counted_from_the_studies(evidence):
    found = judge("small, short trials", evidence=evidence)
    main = evidence.studies.query("include == 'yes' and cohort_role == 'primary'")
    known = main.dropna(subset=["n_treated", "followup_months"])
    both = ((known["n_treated"] < 50) & (known["followup_months"] <= 24)).sum()
    assert found["evidence"].startswith(f"{both} of {len(known)} ")
    assert found["k_studies"] == len(known)


def test_types_differ_only_beyond_an_important_difference():
    rows = [
        normal(-1.0, 0.2, estimand="mean_controlled", k_studies=k,
               **{**T2D, "group": group})
        for group, k in (("T1D", 6), ("T2D", 3))
    ]  # fmt: skip
    effect = {"outcome": "hba1c", "parameter": "type_effect", "prior_sd": 0.5,
              "posterior_mean": 0.0, "posterior_sd": 0.15}  # fmt: skip
    found = judge("types differ", rows, {"prior_posterior": pd.DataFrame([effect])})
    assert found["probability"] == pytest.approx(2 * stats.norm.sf(2))
    assert found["k_studies"] == 3
    assert found["verdict"] == "contradicted"
    one = judge("types differ", rows[:1], {"prior_posterior": pd.DataFrame([effect])})
    assert one["verdict"] == claims.NOT_KNOWN
