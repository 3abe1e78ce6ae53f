"""The stage of durations: approaches apart, nothing twice, no prior for an estimate."""

import math
import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from made_evidence import evidence_of

from analysis import results
from analysis.counting import duration_facts
from analysis.exact import HalfNormal, duration_likelihood, survival
from analysis.exact.duration_likelihood import last_supported_month
from analysis.report import chapters, figures
from analysis.sensitivity import duration_multiverse
from analysis.stages import completeness
from analysis.stages import durations as stage
from analysis.stages.result import StageResult
from analysis.vocabulary import APPROACHES


def row(fact, study="one", **cells) -> dict:
    return {"study_id": study, "fact": fact, "bound": "exact", **cells}


def listed(study, ended, ongoing, treated=20.0) -> list[dict]:
    patients = [(month, "resumed") for month in ended] + [(month, "ongoing") for month in ongoing]
    rows = [
        row("patient", study, n_total=treated, value=float(month), status=status, sampling="all",
            patient_label=f"{study} {i}", bound="")
        for i, (month, status) in enumerate(patients)
    ]  # fmt: skip
    return [row("ever", study, n_total=treated, k=float(len(patients))), *rows]


THREE = [
    *listed("short", (2, 4, 5, 8, 9, 14), (16, 20)),
    *listed("middle", (6, 12, 20, 31), (24, 36, 48)),
    row("at_time", "landmark", n_total=15.0, k=9.0, months=12.0),
    row("ever", "landmark", n_total=15.0, k=9.0, bound="at_least"),
]


@pytest.fixture(scope="module")
def three(evidence, once) -> StageResult:
    def make(folder):
        made = stage.run(evidence_of(evidence, THREE))
        (folder / "result.pickle").write_bytes(pickle.dumps(made))

    return pickle.loads((once("three-durations", make) / "result.pickle").read_bytes())


class Shown:
    """What the chapters ask of results, of one stage."""

    def __init__(self, result: StageResult, **tables):
        self.estimates, self.tables = result.estimates, {**result.tables, **tables}

    def get(self, **parts):
        return results.get(self.estimates, **parts)

    def has(self, name):
        return not self.tables[name].empty

    def rows(self, name, **parts):
        table = self.tables[name]
        for column, value in parts.items():
            table = table[table[column] == value]
        return table.reset_index(drop=True)


# --- no prior is printed -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rows",
    [
        [row("ever", n_total=14.0, k=5.0), row("ever", "two", n_total=9.0, k=9.0)],
        [row("at_time", study, n_total=9.0, k=0.0, months=12.0) for study in ("one", "two")],
        listed("one", (3, 5, 9), (12,)),
    ],
    ids=["no duration", "nobody known to be free", "one study"],
)
def test_without_durations_of_two_studies_nothing_is_estimated(evidence, rows):
    found = stage.run(evidence_of(evidence, rows))
    assert found.estimates.empty
    for name in ("duration_curve", "duration_families", "duration_leave_one_out"):
        assert found.tables[name].empty
    assert len(found.tables["duration_follow_up"]) == (rows[1]["fact"] == "patient")


def test_one_study_tells_its_longest_patient_and_no_month_is_borne(evidence):
    table = stage.run(evidence_of(evidence, listed("one", (3, 5, 9), (12,)))).tables[
        "duration_follow_up"
    ]
    assert table["longest"].tolist() == [12.0] and table["k_cohorts"].tolist() == [1]
    assert table["last_month"].isna().all() and table["share_beyond"].isna().all()


# --- approaches apart ----------------------------------------------------------------------------


def test_a_curve_of_one_approach_never_moves_with_another(evidence, three):
    other = listed("infused", (50, 60, 70), (90,))
    made = evidence_of(evidence, [*THREE, *other], {"infused": {"cell_class": "msc_umbilical"}})
    facts = stage.with_strata(made, duration_facts.layer(made)[0])
    of_each = {
        approach: set(stage.facts_of(facts, approach)["study_id"]) for approach in APPROACHES
    }
    assert of_each == {
        "immune_reset": {"short", "middle", "landmark"}, "cell_infusion": {"infused"},
        "islet_replacement": set(),
    }  # fmt: skip
    assert set(three.estimates["approach"]) == {"immune_reset"}
    own = stage.facts_of(facts, "immune_reset")
    assert stage.ever_of_others(made, own) == stage.ever_of_others(
        evidence_of(evidence, THREE), own
    )


# --- the count of ever free is used once ---------------------------------------------------------


def test_a_count_that_a_landmark_implies_adds_nothing(evidence):
    bare = [r for r in THREE if not (r["study_id"] == "landmark" and r["fact"] == "ever")]
    found = []
    for rows in (THREE, bare):
        made = evidence_of(evidence, rows)
        facts = stage.facts_of(
            stage.with_strata(made, duration_facts.layer(made)[0]), "immune_reset"
        )
        kept = facts[["study_id", "kind", "low", "high", "count", "through_ever", "min_ever"]]
        found.append((kept.to_dict("records"), stage.ever_of_others(made, facts)))
    assert found[0] == found[1]
    assert set(found[0][1]) == {"landmark"}


def test_reports_on_the_same_patients_do_not_tell_one_another_how_many_became_free(evidence):
    twin = row("ever", "twin", n_total=15.0, k=15.0)
    made = evidence_of(evidence, [*THREE, twin], {"twin": {"cohort": "landmark"}})
    facts = stage.facts_of(stage.with_strata(made, duration_facts.layer(made)[0]), "immune_reset")
    without = stage.ever_of_others(evidence_of(evidence, THREE), facts)
    assert stage.ever_of_others(made, facts) == without


def test_without_other_counts_the_prior_of_a_new_study_speaks(evidence):
    made = evidence_of(evidence, [row("at_time", n_total=9.0, k=4.0, months=12.0)])
    facts = stage.with_strata(made, duration_facts.layer(made)[0])
    mean, sd = stage.ever_of_others(made, facts)["one"]
    assert mean == 0.0 and sd == pytest.approx(math.hypot(1.5, 1.0))  # tau^2 has mean 1


# --- landmarks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fact", "n", "ever", "denominator", "clock"),
    [
        ("at_time", 20.0, 12.0, "all_treated", "treatment"),
        ("lasted", 20.0, 12.0, "all_treated", "independence"),
        ("at_time", 12.0, 12.0, "ever_free", "treatment"),
        ("lasted", 12.0, 12.0, "ever_free", "independence"),
        ("at_time", 9.0, 12.0, "seen", "treatment"),
        ("at_time", 20.0, 20.0, "all_treated", "treatment"),
        ("lasted", 20.0, 20.0, "ever_free", "independence"),
    ],
)
def test_a_landmark_names_its_denominator_and_its_clock(
    evidence, fact, n, ever, denominator, clock
):
    rows = [
        row("ever", n_total=20.0, k=ever),
        row("duration_summary", n_total=20.0, k=ever, duration_statistic="range", low=2.0,
            high=40.0),
        row(fact, n_total=n, k=5.0, months=12.0),
    ]  # fmt: skip
    table = stage.run(evidence_of(evidence, rows)).tables["duration_landmarks"]
    found = table.loc[table["k"] == 5, ["denominator", "clock"]].to_numpy().tolist()
    assert found == [[denominator, clock]]


def test_only_landmarks_of_the_curve_s_own_denominator_and_clock_are_drawn(three):
    marks = three.tables["duration_landmarks"].iloc[[0, 0, 0, 0]].reset_index(drop=True)
    marks["denominator"] = ["ever_free", "ever_free", "all_treated", "seen"]
    marks["clock"] = ["independence", "treatment", "independence", "treatment"]
    shown = Shown(three, duration_landmarks=marks)
    axes = figures.duration(shown, "immune_reset").axes[0]
    drawn = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert len(drawn) == 1
    assert "1 is drawn" in chapters.landmarks(shown, "immune_reset")
    assert "the other 3: another denominator" in chapters.landmarks(shown, "immune_reset")
    none = Shown(three, duration_landmarks=marks[1:])
    assert chapters.landmarks(none, "immune_reset").startswith("None of the 3")


# --- follow-up -----------------------------------------------------------------------------------


def last_of(evidence, rows) -> float:
    made = evidence_of(evidence, rows)
    facts = stage.with_strata(made, duration_facts.layer(made)[0])
    return last_supported_month(stage.facts_of(facts, "immune_reset"))


def test_follow_up_ends_where_fewer_than_ten_of_two_cohorts_are_still_free_and_seen(evidence):
    rows = [*listed("a", (30,) * 3, (25,) * 6), *listed("b", (), (40,) * 4)]
    assert last_of(evidence, rows) == 25.0  # thirteen until 25, then seven
    assert last_of(evidence, [*rows, *listed("c", (), (28,) * 3)]) == 28.0
    assert math.isnan(last_of(evidence, listed("a", (), (40,) * 15)))


def test_the_longest_single_patient_is_named_with_the_report(three):
    table = three.tables["duration_follow_up"].iloc[0]
    assert table["longest"] == 48.0 and table["longest_study"].startswith("Middle")


def test_the_curve_is_drawn_as_known_up_to_the_last_month_and_no_further(three):
    last = three.tables["duration_follow_up"]["last_month"].iloc[0]
    curve = three.tables["duration_curve"]
    assert curve.loc[~curve["beyond_data"], "month"].max() == last
    assert curve["beyond_data"].eq(curve["month"] > last).all()
    told = three.estimates[three.estimates["quantity"] == "survival"]
    assert told["note"].ne("").eq(told["month"] > last).all()


# --- families, and each study left out -----------------------------------------------------------


def test_weights_sum_to_one_and_the_average_is_told_beside_every_family(three):
    table = three.tables["duration_families"]
    assert table["weight"].sum() == pytest.approx(1.0)
    scores = three.tables["duration_predictive"].pivot_table(
        index="study_id", columns="family", values="elpd"
    )
    weights = table.set_index("family")["weight"]
    mixed = np.log((np.exp(scores[weights.index]) * weights).sum(axis=1))
    assert scores["stacked"].to_numpy() == pytest.approx(mixed.to_numpy(), abs=1e-6)
    sums = scores[weights.index].sum()
    assert table.set_index("family")["elpd"].to_dict() == pytest.approx(sums.to_dict(), abs=1e-6)


def test_each_study_is_left_out_at_each_month_and_of_the_median_duration(three):
    table = three.tables["duration_leave_one_out"]
    assert set(table["left_out"]) == {"none", "short", "middle", "landmark"}
    assert table.groupby("left_out").size().eq(4).all()
    half = table[table["quantity"] == "median_duration"].set_index("left_out")
    assert half.loc["short", "moved"] > 0 > half.loc["middle", "moved"]
    assert (half["median"] - half["moved"]).to_numpy() == pytest.approx(half.loc["none", "median"])
    whole = table[(table["left_out"] == "none") & (table["quantity"] == "survival")]
    told = three.estimates[
        three.estimates["quantity"].eq("survival") & three.estimates["variant"].eq("stacked")
    ].set_index("month")
    assert whole["median"].to_numpy() == pytest.approx(told.loc[whole["month"], "median"])


def test_of_two_studies_none_is_left_out(evidence, three):
    made = evidence_of(evidence, [*listed("a", (3, 9), (12,)), *listed("b", (5, 7), (30,))])
    facts = stage.facts_of(stage.with_strata(made, duration_facts.layer(made)[0]), "immune_reset")
    ensemble = survival.fit_all(facts, families=("exponential",))
    table = pd.DataFrame(stage.each_left_out({"approach": "immune_reset"}, facts, ensemble))
    assert set(table["left_out"]) == {"none"}
    shown = Shown(three, duration_leave_one_out=table)
    assert chapters.duration_left_out(shown, "immune_reset") == ""
    assert len(figures.duration_left_out(shown, "immune_reset").axes[0].lines) == 0


def test_only_a_family_with_a_share_that_never_resumes_tells_one(three):
    table = three.tables["duration_families"].set_index("family")
    assert set(table.index[table["never"].notna()]) == {"cure", "gompertz"}
    row = table.loc["cure"]
    assert 0 < row["never_low"] < row["never"] < row["never_high"] < 1
    assert row["never_prior_low"] < row["never_prior"] < row["never_prior_high"]


# --- sentences -----------------------------------------------------------------------------------


def test_the_sentence_on_leaving_out_names_the_study_that_moves_most(three):
    said = chapters.duration_left_out(Shown(three), "immune_reset")
    table = three.tables["duration_leave_one_out"]
    half = table[(table["quantity"] == "median_duration") & (table["left_out"] != "none")]
    most = half.loc[half["moved"].abs().idxmax()]
    assert f"leaving out {most['label']}" in said
    assert f"to {most['median']:.0f} months" in said
    assert "60 months" not in said  # beyond the follow-up


def test_a_cured_share_is_told_only_where_it_predicts_clearly_better(three):
    assert "cannot be told" in chapters.never_resuming(Shown(three), "immune_reset")
    scores = three.tables["duration_predictive"].copy()
    scores.loc[scores["family"] == "cure", "elpd"] += 5.0
    better = chapters.never_resuming(Shown(three, duration_predictive=scores), "immune_reset")
    assert "predicts the studies better" in better and "cannot" not in better
    assert chapters.never_resuming(Shown(three), "cell_infusion") == ""


# --- the multiverse ------------------------------------------------------------------------------


def test_the_headline_and_every_family_are_among_their_own_specifications(three):
    table = three.tables["duration_multiverse"].query(
        "reading == 'protocol' and tau_prior == 'half_normal' and left_out == 'none'"
    )
    assert table["family"].tolist() == list(duration_multiverse.CHOICES["family"])
    for row in table.to_dict("records"):
        own = three.estimates[three.estimates["variant"] == row["family"]]
        survival_at = own[own["quantity"] == "survival"].set_index("month")["median"]
        half = own.loc[own["quantity"] == "median_duration", "median"].iloc[0]
        assert [row["s_12"], row["s_60"]] == pytest.approx(survival_at[[12.0, 60.0]], abs=1e-5)
        assert row["half"] == pytest.approx(half, rel=1e-5)


def test_each_study_left_out_is_a_specification(three):
    table = three.tables["duration_multiverse"].query("left_out != 'none'")
    told = three.tables["duration_leave_one_out"].query("left_out != 'none'")
    assert set(table["left_out"]) == set(told["left_out"])
    at_12 = told[told["month"] == 12].set_index("left_out")["median"]
    assert table.set_index("left_out")["s_12"].to_dict() == pytest.approx(at_12.to_dict(), abs=1e-5)


@pytest.mark.parametrize("reading", ["ever_unknown", "longest_ended", "onset_at_once"])
def test_another_reading_on_the_grid_is_the_fit_of_facts_so_read(reading):
    facts = pd.DataFrame([
        {"study_id": "one", "kind": "order_longest", "low": 3.0, "high": 30.0, "count": 8},
        {"study_id": "one", "kind": "order_statistic", "low": 3.0, "high": 3.0},
        {"study_id": "two", "kind": "landmark", "low": 12.0, "high": np.inf, "count": 9,
         "time_origin": "treatment", "through_ever": True},
        {"study_id": "two", "kind": "unresolved", "low": 0.0, "high": 12.0, "count": 4,
         "time_origin": "treatment", "through_ever": True},
    ])  # fmt: skip
    facts = duration_likelihood.complete(facts)
    told = duration_multiverse.readings(facts, {"two": (0.7, 0.4)})
    first, other = told["protocol"], told[reading]
    fitted = survival.fit(first.facts, "exponential", stage.PRIORS, ever=first.ever)
    studies = survival.studies_of(other.facts, other.ever)
    part, _ = duration_multiverse.OneFamily(fitted, studies, other).weighed(1.0)
    anew = survival.fit(
        other.facts, "exponential", stage.PRIORS, ever=other.ever, reading=other.reading
    )
    months = (6.0, 12.0, 60.0)
    on_grid = survival.Curves([part]).median_survival(months)
    assert on_grid == pytest.approx(anew.median_survival(months), abs=1e-4)
    assert np.abs(on_grid - fitted.median_survival(months)).max() > 1e-3


def test_another_prior_of_tau_on_the_grid_is_the_fit_under_it(evidence):
    made = evidence_of(evidence, THREE)
    facts = stage.facts_of(stage.with_strata(made, duration_facts.layer(made)[0]), "immune_reset")
    ever = stage.ever_of_others(made, facts)
    fitted = survival.fit(facts, "weibull", stage.PRIORS, ever=ever)
    told = duration_multiverse.readings(facts, ever)["protocol"]
    family = duration_multiverse.OneFamily(fitted, survival.studies_of(facts, ever), told)
    assert family.weighed(1.0)[1] - fitted.elpd == pytest.approx(0.0, abs=1e-9)
    narrow = HalfNormal(0.5 * float(stage.PRIORS.tau.scale))
    anew = survival.fit(facts, "weibull", replace(stage.PRIORS, tau=narrow), ever=ever)
    part, elpd = family.weighed(0.5)
    assert survival.Curves([part]).median_time_to() == pytest.approx(
        anew.median_time_to(), rel=1e-3
    )
    assert elpd == pytest.approx(anew.elpd, abs=1e-3)


def test_facts_of_other_studies_are_no_reading_of_a_posterior(evidence):
    facts = pd.DataFrame({"study_id": ["one", "two"], "kind": "exact", "low": [6.0, 12.0]})
    fitted = survival.fit(facts, "exponential", stage.PRIORS)
    with pytest.raises(ValueError, match="other studies"):
        fitted.reread(survival.studies_of(facts.assign(study_id="three")))


def test_the_standing_says_what_lies_beyond_the_follow_up(three):
    table = three.tables["duration_standing"]
    last = three.tables["duration_follow_up"]["last_month"].iloc[0]
    specs = three.tables["duration_multiverse"]
    assert len(table) == len(duration_multiverse.QUANTITIES)
    assert completeness.without_standing(three.tables) == []
    assert completeness.without_standing({**three.tables, "duration_standing": table.iloc[1:]})
    for row in table.to_dict("records"):
        name = "half" if np.isnan(row["month"]) else f"s_{row['month']:g}"
        reach = row["headline"] if name == "half" else row["month"]
        assert row["beyond_data"] == (not reach <= last)
        assert row["headline"] == specs[name].iloc[0]
        assert row["share_as_favourable"] == pytest.approx(
            (specs[name].dropna() >= row["headline"] - 1e-9).mean()
        )
        assert row["least"] <= row["low"] <= row["median"] <= row["high"] <= row["most"]


def test_where_no_month_is_borne_there_is_no_multiverse(evidence, monkeypatch):
    one_family = partial(survival.fit_all, families=("exponential",))
    monkeypatch.setattr(stage.survival, "fit_all", one_family)
    few = [*listed("one", (3, 5, 9), (12,)), *listed("two", (3, 5), (12,))]
    found = stage.run(evidence_of(evidence, few))
    assert found.tables["duration_follow_up"]["last_month"].isna().all()
    assert not found.estimates.empty
    assert found.tables["duration_multiverse"].empty and found.tables["duration_standing"].empty
