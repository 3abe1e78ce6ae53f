"""Claims on invented tables: what each kind is judged by, and that implied claims keep up."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from conftest import examples
from hypothesis import given
from hypothesis import strategies as st

from analysis import certainty, claims, results, verdicts
from analysis.claims import judged as judging

HBA1C = {"outcome": "hba1c", "approach": "cell_infusion", "population": "t2d",
         "design": "controlled"}  # fmt: skip
LASTS = {"outcome": "insulin_free_duration", "approach": "immune_reset", "population": "t1d",
         "variant": "stacked"}  # fmt: skip


def table(name: str, *rows: dict) -> pd.DataFrame:
    """A declared table: what matters is given, the rest is a plain word or blank."""
    full = []
    for row in rows:
        plain = {}
        for column in results.TABLES[name].columns:
            word = (column.words and next(iter(column.words))) or "x"
            plain[column.name] = {"word": word, "flag": False}.get(column.kind, "")
        assert not set(row) - set(plain)
        full.append(plain | row)
    return results.checked(name, pd.DataFrame(full))


def related(name: str) -> set[str]:
    """A claim with all that are tied to it by what implies what: its word rests on no other."""
    found = {name}
    while more := {id for pair in claims.IMPLIES if found & set(pair) for id in pair} - found:
        found |= more
    return found


def judged(evidence, name: str, estimates: list[dict] = (), **tables: pd.DataFrame) -> pd.Series:
    """The verdict on one claim of an invented run, in which no more is judged than it rests on."""
    ids = related(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "CLAIMS", [claim for claim in claims.CLAIMS if claim.id in ids])
        patch.setattr(judging, "IMPLIES", [pair for pair in claims.IMPLIES if pair[0] in ids])
        made = claims.table(results.estimates(list(estimates)), tables, evidence)
    return made.set_index("claim_id").loc[name]


def test_a_claim_judged_with_those_it_rests_on_is_judged_as_in_a_whole_run(evidence):
    run = effect(0.1, half=0.95)
    tables = {name: run[name] for name in ("headlines", "certainty")}
    whole = claims.table(results.estimates(run["estimates"]), tables, evidence)
    whole = whole.set_index("claim_id")
    for name in ("infusion_t2d_hba1c", "infusion_t2d_hba1c_0_5", "islets_c_peptide"):
        pd.testing.assert_series_equal(judged(evidence, name, **run), whole.loc[name])


# --- effects -----------------------------------------------------------------------------------


def effect(p: float, half: float = 0.5, level: str = "low", **more) -> dict:
    """A run with one mean of HbA1c, its chances, and how it is told."""
    mean = {**HBA1C, "scale": "difference", "unit": "percentage points", "k_studies": 4,
            "n_patients": 200, "mean": -0.7, "ci_low": -1.2, "ci_high": -0.2}  # fmt: skip
    chance = {**HBA1C, "quantity": "probability", "scale": "probability", "unit": "probability"}
    estimates = [mean, {**chance, "threshold": 0, "mean": p},
                 {**chance, "threshold": -0.5, "mean": half}]  # fmt: skip
    name = results.estimate_id(mean)
    told = {**HBA1C, "told": "mean", "estimate_id": name, "k_studies": 4, "k_numbers": 3,
            "k_randomised": 3, "n_patients": 200} | more  # fmt: skip
    sure = table("certainty", {**{k: HBA1C[k] for k in ("outcome", "approach", "population")},
                               "estimate_id": name, "level": level})  # fmt: skip
    return {"estimates": estimates, "headlines": table("headlines", told), "certainty": sure}


def test_an_effect_is_judged_by_its_chance_and_its_certainty(evidence):
    row = judged(evidence, "infusion_t2d_hba1c", **effect(0.95))
    assert (row["verdict"], row["probability"], row["certainty"]) == ("supported", 0.95, "low")
    row = judged(evidence, "infusion_t2d_hba1c", **effect(0.95, level="very low"))
    assert row["verdict"] == "suggested" and row["capped_by"] == "certainty very low"


@pytest.mark.parametrize("thin", [{"k_randomised": 1}, {"k_studies": 2}, {"k_numbers": 1}])
def test_an_effect_on_thin_evidence_is_no_more_than_suggested(evidence, thin):
    row = judged(evidence, "infusion_t2d_hba1c", **effect(0.999, level="high", **thin))
    assert row["verdict"] == "suggested" and row["capped_by"].startswith("fewer than")


@pytest.mark.parametrize("told", ["study", "words"])
def test_without_a_mean_there_is_no_verdict_and_the_question_is_named(evidence, told):
    row = judged(evidence, "infusion_t2d_hba1c", **effect(0.999, told=told))
    assert row["verdict"] == "not known" and np.isnan(row["probability"])
    assert row["estimate_ids"] == "hba1c:cell_infusion:t2d:controlled" and row["caveat"]


def test_half_a_point_is_judged_by_its_own_chance_and_implies_some(evidence):
    run = effect(0.8, half=0.6)
    assert judged(evidence, "infusion_t2d_hba1c_0_5", **run)["probability"] == 0.6
    run = effect(0.1, half=0.95)  # cannot be, and then the word of what is implied holds
    assert judged(evidence, "infusion_t2d_hba1c_0_5", **run)["verdict"] == "doubtful"
    assert "implies" in judged(evidence, "infusion_t2d_hba1c_0_5", **run)["capped_by"]


def test_beside_an_effect_stands_where_it_and_its_threshold_are_among_the_analyses(evidence):
    run = effect(0.9, half=0.8)
    where = {"outcome": "hba1c", "approach": "cell_infusion", "population": "t2d"}
    specs = [{**where, "spec": i, "silent_trials": trials, "conclusion": word, "mean": mean,
              "ci_low": mean and mean - 0.3, "ci_high": mean and mean + 0.3}
             for i, (mean, trials, word) in enumerate([
                 (-0.9, "out", "good"), (-0.6, "out", "good"), (-0.2, "out", "open"),
                 (0.1, "out", "open"), (-0.9, "entered", "good"),
                 ("", "out", "too_few")])]  # fmt: skip
    run["multiverse"] = table("multiverse", *specs)
    run["standing"] = table("standing", {**where, "n_usable": 4, "share_as_favourable": 0.25})
    row = judged(evidence, "infusion_t2d_hba1c_0_5", **run)
    assert (row["n_analyses"], row["share_as_favourable"], row["share_beyond"]) == (4, 0.25, 0.25)
    row = judged(evidence, "infusion_t2d_hba1c", **run)
    assert row["share_beyond"] == 0.5
    assert np.isnan(judged(evidence, "infusion_t2d_hba1c", **effect(0.9))["n_analyses"])


def test_two_types_differ_where_their_densities_lie_apart(evidence):
    def run(gap: float) -> dict:
        rows, estimates = [], []
        for population, centre in (("t1d", 0.0), ("t2d", gap)):
            where = HBA1C | {"population": population}
            estimates.append({**where, "scale": "difference", "unit": "points", "mean": centre,
                              "k_studies": 4, "n_patients": 100})  # fmt: skip
            rows += [{**where, "quantity": "mean", "x": centre + x,
                      "density": np.exp(-0.5 * (x / 0.05) ** 2)}
                     for x in np.linspace(-0.2, 0.2, 41)]  # fmt: skip
        return {"estimates": estimates, "densities": table("densities", *rows)}

    assert judged(evidence, "types_differ", **run(0.0))["probability"] < 0.01
    assert judged(evidence, "types_differ", **run(1.0))["probability"] > 0.99
    assert judged(evidence, "types_differ", **run(1.0))["value"] == pytest.approx(1.0, abs=0.01)


def test_freedom_from_insulin_is_compared_with_the_controls_of_the_same_study(evidence):
    where = {"outcome": "ever_insulin_free", "approach": "immune_reset",
             "population": "t1d_new_onset", "study_id": "gu2018"}  # fmt: skip
    contrast = {**where, "k": 14, "n": 20, "k_control": 1, "n_control": 20, "risk_ratio": 11.8,
                "rr_low": 3, "rr_high": 127, "probability_higher": 0.99, "randomised": "no",
                "source_rows": "independence:1"}  # fmt: skip
    row = judged(evidence, "reset_insulin_free", share_contrasts=table("share_contrasts", contrast))
    assert row["verdict"] == "suggested" and row["probability"] == 0.99  # one study, not randomised
    assert (row["k_studies"], row["n_patients"]) == (1, 40)
    assert row["counted"] == "treated=14/20;control=1/20"
    assert {"fewer than two randomised contrasts", "fewer than three studies"} <= set(
        row["capped_by"].split("; ")
    )
    fact = {**where, "k": 14, "n": 20, "bound": "exact", "cohort": "c", "source_rows": "x"}
    row = judged(evidence, "reset_insulin_free", share_facts=table("share_facts", fact))
    assert row["verdict"] == "not known" and "control group" in row["caveat"]


# --- occurrence --------------------------------------------------------------------------------


def facts(*counts: tuple, cells: str = "psc_islet") -> pd.DataFrame:
    rows = [{"outcome": "c_peptide_detectable", "approach": "islet_replacement",
             "population": "t1d_established", "study_id": f"s{i}", "cohort": f"s{i}", "k": k,
             "cell_class": cells,
             "n": n, "bound": "exact", "undetectable_at_entry": entry, "source_rows": f"x:{i}"}
            for i, (k, n, entry) in enumerate(counts)]  # fmt: skip
    return table("share_facts", *rows)


def test_what_cannot_happen_by_itself_is_shown_by_three_patients_of_one_cohort(evidence):
    def word(*counts):
        return judged(evidence, "islets_c_peptide", share_facts=facts(*counts))["verdict"]

    assert word((3, 9, "yes")) == "shown"
    assert word((2, 2, "yes"), (2, 2, "yes")) == "suggested"  # three, but in no one cohort
    assert word((0, 9, "yes")) == "uncertain"


def test_people_with_c_peptide_at_entry_show_nothing(evidence):
    assert judged(evidence, "islets_c_peptide", share_facts=facts((9, 9, "no")))["verdict"] == (
        "not known"
    )
    both = facts((9, 9, "not_stated"), (3, 4, "yes"))
    row = judged(evidence, "islets_c_peptide", share_facts=both)
    assert row["verdict"] == "shown" and (row["n_seen"], row["n_patients"]) == (3, 4)


def test_islets_and_progenitors_are_judged_apart_and_never_joined(evidence):
    """Fourteen of fourteen must not carry the others: each class has its counts and its word."""
    both = pd.concat([facts((14, 14, "yes")), facts((2, 17, "yes"), cells="psc_progenitor")])
    both = both.assign(study_id=["a", "b"], cohort=["a", "b"])
    islets = judged(evidence, "islets_c_peptide", share_facts=both)
    assert (islets["verdict"], islets["counted"]) == ("shown", "psc_islet=14/14")
    assert (islets["value"], islets["n_patients"]) == (1.0, 14)
    younger = judged(evidence, "progenitors_c_peptide", share_facts=both)
    assert (younger["verdict"], younger["counted"]) == ("suggested", "psc_progenitor=2/17")
    proof = judged(evidence, "proof_of_concept", share_facts=both)
    assert proof["verdict"] == "shown" and np.isnan(proof["value"])
    assert proof["counted"] == "psc_islet=14/14;psc_progenitor=2/17"


def test_a_null_known_in_words_is_told_where_nobody_counts(evidence):
    """VX-264, a capsule alone, was given up for want of C-peptide: news of its maker says so."""
    row = judged(evidence, "capsule_instead")
    assert row["verdict"] == "not known"
    assert "trial ended before its time: no difference" in row["caveat"]
    assert row["source_rows"].startswith("directions:")
    bare = dataclasses.replace(evidence, directions=evidence.directions.iloc[:0])
    assert judged(bare, "capsule_instead")["caveat"] == "nobody counts it"


# --- durations ---------------------------------------------------------------------------------


def lasting(chances: dict[int, float], last: float) -> dict:
    estimates = []
    for month, chance in chances.items():
        estimates += [
            {**LASTS, "month": month, "quantity": "survival", "scale": "share", "unit": "share",
             "mean": 0.5, "median": 0.5, "k_studies": 4, "n_patients": 60},
            {**LASTS, "month": month, "quantity": "survival_above", "threshold": 0.5,
             "scale": "probability", "unit": "probability", "mean": chance},
        ]  # fmt: skip
    names = [results.estimate_id({**one, "method": "exact"}) for one in estimates[::2]]
    sure = [{"estimate_id": name, "level": "low", "outcome": LASTS["outcome"],
             "approach": "immune_reset", "population": "t1d"} for name in names]  # fmt: skip
    reach = table("duration_follow_up", {"approach": "immune_reset", "population": "t1d",
                                "last_month": last})  # fmt: skip
    made = results.estimates(estimates)
    sure = [row | {"estimate_id": name} for row, name in
            zip(sure, made.loc[made["quantity"] == "survival", "id"], strict=True)]  # fmt: skip
    return {
        "estimates": estimates,
        "duration_follow_up": reach,
        "certainty": table("certainty", *sure),
    }


def test_beyond_the_follow_up_of_the_approach_a_duration_is_not_known(evidence):
    run = lasting({12: 0.95, 60: 0.95, 120: 0.95}, last=60)
    assert judged(evidence, "reset_5_years", **run)["verdict"] == "supported"
    assert judged(evidence, "reset_10_years", **run)["verdict"] == "not known"
    assert judged(evidence, "islets_1_year", **run)["verdict"] == "not known"  # another approach


def test_what_does_not_last_five_years_does_not_last_ten(evidence):
    run = lasting({12: 0.95, 60: 0.01, 120: 0.99}, last=60)
    assert judged(evidence, "reset_5_years", **run)["verdict"] == "contradicted"
    assert judged(evidence, "reset_10_years", **run)["verdict"] == "contradicted"


# --- harms -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bound", "word"), [(0.99, "supported"), (1.0, "not known"),
                                             (6.7, "not known"), ("", "not known")])  # fmt: skip
def test_absence_of_tumours_is_known_only_under_the_bound_of_the_data_alone(evidence, bound, word):
    row = {"event": "malignancy_or_tumour", "relation": "any", "approach": "islet_replacement",
           "k_cohorts": 3, "n_patients": 30, "events": 0, "upper_975": bound, "k_silent": 4,
           "n_silent": 40}  # fmt: skip
    found = judged(evidence, "islets_no_tumours", harm_summary=table("harm_summary", row))
    assert found["verdict"] == word and "4 cohorts with 40 patients say nothing" in found["caveat"]


def test_what_is_said_of_the_graft_stands_beside_tumours_and_decides_nothing(evidence):
    one = {"event": "malignancy_or_tumour", "relation": "any", "approach": "islet_replacement",
           "upper_975": "", "k_silent": 4, "n_silent": 60}  # fmt: skip
    graft = one | {"event": "graft_growth", "n_patients": 400, "events": 0, "upper_975": 0.5}
    found = judged(evidence, "islets_no_tumours", harm_summary=table("harm_summary", one, graft))
    assert found["verdict"] == "not known"
    assert "no cancer of the patient, was seen in 0 of 400" in found["caveat"]


def test_a_harm_known_from_elsewhere_counts_what_is_named_here_and_cites(evidence):
    one = {"event": "severe_infection", "approach": "islet_replacement", "relation": "any",
           "arm": "treated", "bound": "exact", "cohort": "a", "k": 2, "n": 14,
           "source_rows": "safety:1"}  # fmt: skip
    other = one | {"relation": "treatment_related", "source_rows": "safety:2"}
    row = judged(evidence, "immunosuppression_infection",
                 harm_facts=table("harm_facts", one, other))  # fmt: skip
    assert row["verdict"] == "known from other fields" and np.isnan(row["probability"])
    assert (row["n_seen"], row["n_patients"], row["source_rows"]) == (2, 14, "safety:1")
    assert row["counted"] == "severe_infection=2/14" and not row["caveat"]


def test_infertility_after_conditioning_rests_on_counts_of_fertility_not_of_infections(evidence):
    one = {"event": "severe_infection", "approach": "immune_reset", "relation": "any",
           "arm": "treated", "bound": "exact", "cohort": "a", "k": 3, "n": 23,
           "source_rows": "safety:1"}  # fmt: skip
    low = one | {"event": "impaired_fertility", "bound": "at_least", "k": 9,
                 "source_rows": "safety:2"}  # fmt: skip
    row = judged(evidence, "conditioning_harms", harm_facts=table("harm_facts", one, low))
    assert row["counted"] == "impaired_fertility>=9/23;severe_infection=3/23"
    assert (row["n_patients"], row["source_rows"]) == (23, "safety:2;safety:1")
    row = judged(evidence, "conditioning_harms", harm_facts=table("harm_facts", one))
    assert row["caveat"] == "nobody counts impaired fertility"


def test_every_harm_known_from_elsewhere_has_its_sources():
    assert set(claims.SOURCES_OF) == {c.id for c in claims.CLAIMS if c.kind == "known_harm"}


# --- descriptions, and what is outside -----------------------------------------------------------


def test_descriptions_are_what_the_tables_count(evidence):
    small = evidence.studies.assign(n_treated=10.0, followup_months=12.0, route="vein",
                                    donor="same", cell_class="msc_umbilical")  # fmt: skip
    body = dataclasses.replace(evidence, studies=small)
    assert judged(body, "small_short")["verdict"] == "shown"
    assert judged(body, "not_standardised")["verdict"] == "contradicted"
    large = dataclasses.replace(body, studies=small.assign(n_treated=500.0))
    assert judged(large, "small_short")["verdict"] == "contradicted"


def test_what_the_data_do_not_hold_is_said_to_be_outside(evidence):
    assert judged(evidence, "scale_cost")["verdict"] == "outside these data"


def test_every_claim_has_a_verdict_without_any_table(evidence):
    made = claims.table(results.estimates([]), {}, evidence)
    assert set(made["claim_id"]) == {claim.id for claim in claims.CLAIMS}
    effects = made[made["kind"].isin(["effect", "occurrence", "duration", "no_harm"])]
    assert set(effects["verdict"]) == {"not known"}


# --- implications --------------------------------------------------------------------------------


def test_what_is_implied_is_a_claim_of_its_own_and_nothing_implies_itself():
    known = {claim.id for claim in claims.CLAIMS}
    assert all(a in known and b in known and a != b for a, b in claims.IMPLIES)
    assert {("reset_10_years", "reset_5_years"), ("reset_5_years", "reset_1_year"),
            ("islets_5_years", "islets_1_year"),
            ("infusion_t2d_hba1c_0_5", "infusion_t2d_hba1c")} <= set(claims.IMPLIES)  # fmt: skip


@examples(6, 100)
@given(p=st.floats(0, 1), half=st.floats(0, 1), level=st.sampled_from(certainty.LEVELS),
       chances=st.tuples(*[st.floats(0, 1)] * 3), last=st.sampled_from([6.0, 12.0, 60.0, 120.0]),
       counts=st.lists(st.integers(0, 5), max_size=3))  # fmt: skip
def test_of_any_run_an_implied_claim_never_has_the_worse_word(
    evidence, p, half, level, chances, last, counts
):
    one, two = effect(p, half, level), lasting(dict(zip((12, 60, 120), chances, strict=True)), last)
    made = claims.table(
        results.estimates([*one["estimates"], *two["estimates"]]),
        {"headlines": one["headlines"], "duration_follow_up": two["duration_follow_up"],
         "certainty": pd.concat([one["certainty"], two["certainty"]], ignore_index=True),
         **({"share_facts": facts(*((k, 5, "yes") for k in counts))} if counts else {})},
        evidence,
    ).set_index("claim_id")["verdict"]  # fmt: skip
    for stronger, implied in claims.IMPLIES:
        words = made[stronger], made[implied]
        if all(word in (*verdicts.SCALE, verdicts.NOT_KNOWN) for word in words):
            assert verdicts.rank(words[1]) <= verdicts.rank(words[0])
