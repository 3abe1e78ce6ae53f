"""The stage of registered trials on invented trials and results: tables, value, nulls."""

import dataclasses
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import every
from test_registered import with_trials

from analysis import priors, questions, results
from analysis import registered as rg
from analysis.exact.contrasts import ContrastPriors, fit
from analysis.questions import Question, posterior_of
from analysis.sensitivity import multiverse
from analysis.stages import headlines, registered, registered_value, robustness, synthesis

QUESTION = Question("hba1c", "cell_infusion", "t1d", "controlled")
ONGOING = {"status": "recruiting", "primary_completion": "2028-01",
           "primary_completion_kind": "expected"}  # fmt: skip


def results_of(y=(-0.5, -0.8, -0.2, -0.6), randomised=(True, True, True, False)) -> pd.DataFrame:
    """Effects of four invented studies of 40 patients each."""
    k = len(y)
    names = [f"invented{i}" for i in range(k)]
    return pd.DataFrame({
        "effect_id": names, "study_id": names, "cohort": names, "patients": names,
        "label": names, "year": 2020.0, "cell_class": "msc_umbilical", "kind": "numeric",
        "approach": "cell_infusion", "population": "t1d", "y": y, "var_a": 0.09, "var_b": 0.0,
        "n_factor": 0.1, "z_low": np.nan, "z_high": np.nan, "n_patients": 40.0, "months": 12.0,
        "randomised": randomised, "controlled": True, "teaches_sd": True, "derived": "",
        "seen_in": "abstract", "p_exact": np.nan,
    })  # fmt: skip


class Body:
    """A body of evidence with one headline, of these results."""

    rules = None

    def __init__(self, evidence, rows):
        self.evidence, self._rows = evidence, rows

    def rows(self, question, rules=None):
        return self._rows.iloc[self.positions(question)].reset_index(drop=True)

    def teachers(self, question, rules=None):
        return self._rows

    def reading(self, rules=None):
        return None

    def of_outcome(self, outcome, rules=None):
        return self._rows

    def positions(self, question, rules=None):
        if replace(question, design="controlled") != QUESTION or question.design == "uncontrolled":
            return np.empty(0, dtype=int)
        chosen = self._rows["randomised"] | (question.design == "controlled")
        return np.flatnonzero(chosen)

    @property
    def registration(self):
        return questions.Body(self.evidence).registration


def value_of(evidence, *trials, rows=None, silent=0.0):
    """The rows of registered_value of these ongoing trials, by registry id; and the reasons."""
    made = with_trials(evidence, *(ONGOING | trial for trial in trials))
    body = Body(made, results_of() if rows is None else rows)
    found, reasons = registered_value.values(
        body, rg.ongoing(made), {("cell_infusion", "t1d"): silent}
    )
    table = pd.DataFrame(found)
    if len(table):
        results.checked("registered_value", table)
        table = table.set_index("registry_id")
    return table, reasons


# --- what an ongoing trial may change ----------------------------------------------------------


@pytest.mark.parametrize(
    ("trial", "reason"),
    [
        ({}, ""),
        ({"design": "nonrandomised_controlled"}, ""),
        ({"onset_group": "established"}, ""),
        ({"design": "single_arm"}, registered_value.NO_CONTROLS),
        ({"design": "not_stated"}, registered_value.NO_CONTROLS),
        ({"n_planned": math.nan}, registered_value.NO_SIZE),
        ({"n_planned": 3.0}, registered_value.NO_SIZE),
        ({"diabetes_type": "T2D", "onset_group": ""}, registered_value.NO_MEAN),
        ({"cell_class": "ahsct"}, registered_value.NO_MEAN),
    ],
)
def test_a_trial_has_a_value_or_a_reason_why_not(evidence, trial, reason):
    table, reasons = value_of(evidence, trial)
    assert reasons == {"NCT00000001": reason}
    assert len(table) == (reason == "")


def test_a_trial_whose_patients_are_in_the_mean_adds_nothing(evidence):
    study = evidence.studies.iloc[0]
    rows = results_of()
    rows.loc[0, "patients"] = study["cohort"]
    table, reasons = value_of(evidence, {"study_ids": study["study_id"]}, rows=rows)
    assert table.empty and reasons == {"NCT00000001": registered_value.IN_THE_MEAN}


def test_a_larger_trial_narrows_more_and_all_together_most(evidence):
    table, _ = value_of(evidence, {"n_planned": 20.0}, {"n_planned": 200.0})
    now = table["width_now"].iloc[0]
    widths = table["width_after"]
    assert now > widths["NCT00000001"] > widths["NCT00000002"] > widths["all"]
    assert table.loc["all", ["n_trials", "n_patients", "n_randomised"]].tolist() == [2, 220, 2]
    assert math.isnan(table.loc["all", "se"])


def test_the_standard_error_is_that_of_two_equal_arms(evidence):
    table, _ = value_of(evidence, {"n_planned": 100.0})
    sd = registered_value.typical_sd(posterior_of(Body(evidence, results_of()), QUESTION), "hba1c")
    assert table["se"].iloc[0] == pytest.approx(sd * math.sqrt(4 / 100))


def test_probabilities_add_up_and_lie_between_zero_and_one(evidence):
    table, _ = value_of(evidence, {}, {"design": "nonrandomised_controlled", "n_planned": 80.0})
    chances = table[[name for name in table if name.startswith("p_")]]
    assert ((chances >= 0) & (chances <= 1 + 1e-9)).all(axis=None)
    both = table["p_verdict_better"] + table["p_verdict_worse"]
    assert both.to_numpy() == pytest.approx(table["p_verdict_changes"].to_numpy())


def test_enough_patients_take_the_step_of_imprecision_back(evidence):
    clear = results_of((-1.5, -1.6, -1.4, -1.5))
    small, _ = value_of(evidence, {"n_planned": 40.0}, rows=clear)
    large, _ = value_of(evidence, {"n_planned": 400.0}, rows=clear)
    assert small["imprecision_now"].iloc[0] == -1
    assert small["p_imprecision_changes"].iloc[0] < 0.05
    assert large["p_imprecision_changes"].iloc[0] == pytest.approx(1)
    assert large["p_certainty_changes"].iloc[0] > 0.5
    assert "imprecision" in large["moved_by"].iloc[0].split()


def test_a_trial_without_randomisation_leaves_the_certainty_of_randomised_results(evidence):
    table, _ = value_of(evidence, {"design": "nonrandomised_controlled", "n_planned": 400.0})
    assert table["p_certainty_changes"].iloc[0] == 0 and table["moved_by"].iloc[0] == ""
    assert table["p_imprecision_changes"].iloc[0] == 0
    assert table["width_after"].iloc[0] < table["width_now"].iloc[0]


def test_a_second_randomised_trial_lifts_the_cap_of_the_verdict(evidence):
    rows = results_of((-0.8, -0.9, -0.8, -0.9), (True, False, False, False))
    table, _ = value_of(evidence, {"n_planned": 400.0}, rows=rows)
    row = table.iloc[0]
    assert row["verdict_now"] == "suggested" and row["p_good_now"] > 0.975
    assert row["p_verdict_better"] > 0.5


def judged_by_the_report(evidence, rows, silent):
    """Certainty of the headline as the synthesis judges it from the tables of the run."""
    body = Body(evidence, rows)
    tables = {"headlines": [], "study_estimates": []}
    estimates = []
    judged = pd.DataFrame(columns=["cohort", "outcome_family", "overall"])
    for design in ("controlled", "randomised"):
        question = replace(QUESTION, design=design)
        own = body.rows(question)
        told = questions.told_as("hba1c", own)
        tables["headlines"].append(headlines.headline_row(question, own, told, body.registration))
        posterior = posterior_of(body, question)
        estimates += headlines.figures(question, posterior, own, told)
        tables["study_estimates"] += headlines._studies(question, own, posterior, judged)
    silence = pd.DataFrame({
        "approach": ["cell_infusion"], "population": ["t1d"], "told": [rg.UNTOLD],
        "share_patients_silent": [silent],
    })  # fmt: skip
    checked = {name: results.checked(name, pd.DataFrame(table)) for name, table in tables.items()}
    levels, _ = synthesis.judgements(
        results.estimates(estimates), {**checked, "registered_silence": silence}, evidence
    )
    return levels["level"].iloc[0]


STEADY, MIXED = (-0.5, -0.8, -0.2, -0.6), (1.5, -0.8, 0.9, -1.6)


@pytest.mark.parametrize(
    "case", every((STEADY, 0.9), (MIXED, 0.0), (STEADY, 0.0), (MIXED, 0.9), fast=2)
)
def test_certainty_now_is_the_one_of_the_report(evidence, case):
    y, silent = case
    table, _ = value_of(evidence, {}, rows=results_of(y), silent=silent)
    assert table["certainty_now"].iloc[0] == judged_by_the_report(evidence, results_of(y), silent)


def test_the_spread_of_a_trial_is_learnt_or_the_priors(evidence):
    body = Body(evidence, results_of())
    learnt = posterior_of(body, QUESTION)
    found = registered_value.typical_sd(learnt, "hba1c")
    assert found == pytest.approx(math.sqrt(0.09 / 0.1), rel=0.05)
    alone = fit(results_of(), ContrastPriors.of("hba1c"))
    assert registered_value.typical_sd(alone, "hba1c") == pytest.approx(
        math.exp(priors.get("hba1c", "log_sd").params[0])
    )


# --- the stage -----------------------------------------------------------------------------------


def test_the_stage_writes_its_tables_and_reads_them_back(evidence, tmp_path, monkeypatch):
    made = with_trials(evidence, {}, ONGOING, {**ONGOING, "design": "single_arm"})
    monkeypatch.setattr(registered, "Body", lambda found: Body(found, results_of()))
    found = registered.run(made)
    assert found.estimates.empty
    assert set(found.tables) == {
        "registered_ongoing", "registered_coming", "registered_silence",
        "registered_silent_trials", "outcome_switching", "registered_value",
    }  # fmt: skip
    for name, table in found.tables.items():
        results.write(tmp_path, name, table)
        assert len(results.read(tmp_path, name)) == len(table)
    reasons = found.tables["registered_ongoing"].set_index("registry_id")["why_no_value"]
    assert reasons.to_dict() == {"NCT00000002": "", "NCT00000003": registered_value.NO_CONTROLS}
    assert set(found.tables["registered_value"]["registry_id"]) == {"NCT00000002"}
    assert found.tables["registered_silent_trials"]["registry_id"].tolist() == ["NCT00000001"]


def test_without_any_trial_the_stage_gives_empty_tables_and_zeros(evidence):
    none = dataclasses.replace(evidence, registered_trials=evidence.registered_trials.iloc[:0])
    tables = registered.run(none).tables
    assert tables["registered_ongoing"].empty and tables["registered_value"].empty
    assert tables["registered_coming"]["n_trials"].sum() == 0
    assert len(tables["outcome_switching"]) == len(evidence.trial_conduct)


def test_certainty_takes_the_share_without_a_certain_or_probable_report(evidence):
    made = with_trials(
        evidence, {}, {"results": "published"}, {}, search=[("NCT00000003", "probably_published")]
    )
    shares = synthesis.silent_patients(rg.silence(made))
    assert shares["cell_infusion", "t1d"] == pytest.approx(1 / 3)
    assert ("immune_reset", "t1d") not in shares


@pytest.mark.slow
def test_the_tracked_trials_have_a_value_each_or_a_reason(evidence):
    tables = registered.run(evidence).tables
    told = set(tables["registered_value"]["registry_id"]) - {"all"}
    reasons = tables["registered_ongoing"].set_index("registry_id")["why_no_value"]
    assert told == set(reasons.index[reasons == ""])


# --- unreported trials as nulls -------------------------------------------------------------------


def nulls_of(evidence, *trials, rows=None):
    made = with_trials(evidence, *trials)
    body = Body(made, results_of() if rows is None else rows)
    return robustness.silent_nulls(made, body, QUESTION), body


def test_an_unreported_trial_is_a_null_of_the_size_it_enrolled_or_planned(evidence):
    nulls, _ = nulls_of(
        evidence, {}, {"n_actual": 16.0, "design": "nonrandomised_controlled"},
        {"onset_group": "established"},
    )  # fmt: skip
    assert nulls["y"].eq(0).all() and nulls["var_a"].isna().all()
    by = nulls.set_index("study_id").sort_index()
    assert by["n_patients"].to_dict() == {"NCT00000001": 40, "NCT00000002": 16, "NCT00000003": 40}
    assert by["n_factor"].to_dict() == {k: 4 / n for k, n in by["n_patients"].items()}
    assert by["randomised"].to_dict() == {
        "NCT00000001": True, "NCT00000002": False, "NCT00000003": True,
    }  # fmt: skip
    assert by["population"].tolist() == ["t1d_new_onset", "t1d_new_onset", "t1d_established"]


@pytest.mark.parametrize(
    "trial",
    [
        {"design": "single_arm"},
        {"design": "not_stated"},
        {"results": "published"},
        {"n_planned": math.nan},
        {"n_planned": 3.0},
        {"diabetes_type": "T2D", "onset_group": ""},
        {"diabetes_type": "both", "onset_group": "any"},
        {"cell_class": "ahsct"},
        {"study_completion": "2025-06"},
    ],
)
def test_a_trial_that_is_reported_or_of_another_question_is_no_null(evidence, trial):
    assert nulls_of(evidence, trial)[0].empty


def test_a_trial_that_is_probably_reported_is_no_null(evidence):
    made = with_trials(evidence, {}, search=[("NCT00000001", "probably_published")])
    assert robustness.silent_nulls(made, Body(made, results_of()), QUESTION).empty


def test_a_null_never_stands_beside_the_study_it_belongs_to(evidence):
    study = evidence.studies.iloc[0]
    rows = results_of()
    rows.loc[0, "patients"] = study["cohort"]
    linked = {"results": "press", "study_ids": study["study_id"]}
    nulls, body = nulls_of(evidence, linked, {}, rows=rows)
    assert len(nulls) == 2
    fork = multiverse.Fork(body, QUESTION, posterior_of(body, QUESTION), nulls)
    default = {name: next(iter(levels)) for name, levels in multiverse.CHOICES.items()}
    pooled = fork.rows({**default, "silent_trials": "entered"})
    assert {row["study_id"] for row in pooled} == {*rows["study_id"], "NCT00000002"}


def test_among_randomised_results_only_randomised_nulls_stand(evidence):
    nulls, body = nulls_of(evidence, {}, {"design": "nonrandomised_controlled"})
    fork = multiverse.Fork(body, QUESTION, posterior_of(body, QUESTION), nulls)
    default = {name: next(iter(levels)) for name, levels in multiverse.CHOICES.items()}
    pooled = fork.rows({**default, "design": "randomised", "silent_trials": "entered"})
    names = {row["study_id"] for row in pooled}
    assert all(row["randomised"] for row in pooled)
    assert "NCT00000001" in names and "NCT00000002" not in names


def test_nulls_draw_the_headline_to_no_effect(evidence):
    nulls, body = nulls_of(evidence, {"n_planned": 300.0})
    rows = {row["scale"]: row for row in robustness._with_nulls(body, QUESTION, nulls)
            if row.get("quantity", "mean") == "mean"}  # fmt: skip
    own = posterior_of(body, QUESTION).mu.mean
    assert own < rows["difference"]["mean"] < 0
    assert rows["difference"]["variant"] == "registered_nulls"
