"""What new rows change: the report's own posteriors before and after, weight and surprise."""

import dataclasses
import subprocess
from functools import partial

import numpy as np
import pandas as pd
import pytest
from conftest import every
from made_evidence import evidence_of
from scipy import integrate, stats

from analysis import (
    certainty,
    cohorts,
    difference,
    exact,
    outcomes,
    pipeline,
    priors,
    questions,
    results,
    risk_of_bias,
)
from analysis import evidence as ev
from analysis.counting import duration_facts, share_facts
from analysis.difference import comparing, counted, judging, lasting, page, terminal
from analysis.exact import survival
from analysis.questions import Question
from analysis.stages import durations as stage_of_durations
from analysis.stages import headlines, synthesis

NEW = "newtrial2030"


T2D = Question("hba1c", "cell_infusion", "t2d", "controlled")


@pytest.fixture(scope="module")
def base(evidence) -> ev.Evidence:
    """The randomised trials in type 2 diabetes: fewer rows, faster tests."""
    studies = evidence.studies
    return only(evidence, studies["design"].eq("rct") & studies["diabetes_type"].eq("T2D"))


def only(evidence, chosen: pd.Series) -> ev.Evidence:
    """The evidence of some studies."""
    studies = evidence.studies[chosen]
    facts = ("outcomes", "directions", "responders", "independence", "safety")
    kept = {
        name: table[table["study_id"].isin(studies["study_id"])].reset_index(drop=True)
        for name in facts
        for table in [getattr(evidence, name)]
    }
    return dataclasses.replace(evidence, studies=studies.reset_index(drop=True), **kept)


@pytest.fixture(scope="module")
def grown(base) -> ev.Evidence:
    """The evidence with one more controlled trial of HbA1c, some deaths and insulin freedom."""
    like = base.studies.query("include == 'yes' and cell_class == 'msc_umbilical'")
    study = like.iloc[[0]].assign(
        study_id=NEW, cohort=NEW, cohort_role="primary", overlaps_with="", overlap_kind="",
        diabetes_type="T2D", registry_id="", n_treated=40.0, n_control=40.0, line=10_001,
    )  # fmt: skip
    like = base.outcomes.iloc[[0]].assign(
        study_id=NEW, outcome="hba1c", n=40.0, statistic="mean", spread_kind="sd", spread=1.0,
        spread_low=np.nan, spread_high=np.nan, unit="%", unit_printed="", scale="level",
        p_relation="", p_value=np.nan, p_text="", caveats="", contrast_basis="",
    )  # fmt: skip
    cells = [("treated", 0, 8.5), ("treated", 12, 7.0), ("control", 0, 8.5), ("control", 12, 8.5)]
    levels = pd.concat(
        [
            like.assign(arm=arm, months=float(months), value=value, line=10_001 + i,
                        baseline_state="before_treatment" if months == 0 else "")
            for i, (arm, months, value) in enumerate(cells)
        ]
    )  # fmt: skip
    return dataclasses.replace(
        base,
        studies=pd.concat([base.studies, study], ignore_index=True),
        outcomes=pd.concat([base.outcomes, levels], ignore_index=True),
    )


@pytest.fixture(scope="module")
def found(base, grown) -> difference.Difference:
    return difference.compare(base, grown)


def headline(found, question=T2D) -> pd.Series:
    table = found.headlines
    same = (table[list(question.parts)] == list(question.parts.values())).all(axis=1)
    assert same.sum() == 1
    return table[same].iloc[0]


def new_result(found, question=T2D) -> pd.Series:
    table = found.effects
    same = (table[list(question.parts)] == list(question.parts.values())).all(axis=1)
    return table[same & table["study_id"].eq(NEW)].iloc[0]


def in_words(state: ev.Evidence, direction: str, significant: str) -> ev.Evidence:
    """The evidence with the new trial told in words instead of numbers."""
    like = state.directions.iloc[[0]].assign(
        study_id=NEW, contrast="treated_vs_control", arm="treated", subgroup="", outcome="hba1c",
        months=12.0, months_from=12.0, months_to=12.0, direction=direction,
        significant=significant, p_relation="", p_value=np.nan, n_treated=40.0, n_control=40.0,
        quoted_measure="HbA1c", caveats="", has_numbers=False, line=10_001,
    )  # fmt: skip
    return dataclasses.replace(
        state,
        outcomes=state.outcomes[state.outcomes["study_id"] != NEW],
        directions=pd.concat([state.directions, like], ignore_index=True),
    )


def test_the_same_evidence_changes_nothing(base):
    same = difference.compare(base, dataclasses.replace(base))
    assert not same.facts[["added", "removed", "changed"]].to_numpy().any()
    assert same.headlines.empty and same.effects.empty
    assert terminal.lines(same, "HEAD") == ["no row of evidence differs from HEAD"]


def test_rows_are_counted_as_added_removed_and_changed(base, grown, found):
    forwards = found.facts.set_index("table")
    assert forwards.loc["outcomes.csv", ["added", "removed", "changed"]].tolist() == [4, 0, 0]
    backwards = comparing._facts(grown, base).set_index("table")
    assert backwards.loc["outcomes.csv", ["added", "removed", "changed"]].tolist() == [0, 4, 0]
    safety = base.safety.copy()
    safety.loc[0, "n_at_risk"] += 1
    edited = dataclasses.replace(base, safety=safety)
    counts = comparing._facts(base, edited).set_index("table").loc["safety.csv"]
    assert counts.tolist() == [0, 0, 1]


def test_headlines_are_the_posteriors_of_the_report(base, grown, found):
    row = headline(found)
    about = outcomes.get("hba1c")
    for when, state in (("before", base), ("after", grown)):
        body = questions.Body(state)
        rows, fit = body.rows(T2D), questions.posterior_of(body, T2D)
        assert row[f"k_{when}"] == len(rows)
        assert row[f"words_{when}"] == rows["kind"].ne("numeric").sum()
        assert row[f"n_{when}"] == rows["n_patients"].sum()
        assert row[f"mean_{when}"] == pytest.approx(about.shown(fit.mu.mean), rel=1e-9)
        assert row[f"p_good_{when}"] == pytest.approx(float(fit.mu.cdf(0.0)), rel=1e-9)
        assert row[f"ci_low_{when}"] == pytest.approx(fit.mu.interval()[0], rel=1e-9)
    assert row["k_after"] == row["k_before"] + 1
    assert row["why"] == "results"


def test_the_shift_is_in_posterior_sds_before(found):
    before, after = found.posteriors[T2D]
    shift = (after.mu.mean - before.mu.mean) / before.mu.sd
    assert headline(found)["shift_in_sd"] == pytest.approx(shift)
    assert new_result(found)["influence_in_sd"] == pytest.approx(shift)  # nothing else is new


def test_only_what_the_new_rows_touch_is_told(found):
    touched = set(found.headlines["outcome"])
    assert touched == {"hba1c"}
    results = found.headlines[found.headlines["why"] == "results"]
    assert set(results["population"]) == {"t2d"}
    assert set(results["approach"]) == {"cell_infusion"}


def test_ratios_are_told_as_ratios(base):
    other = base.outcomes[base.outcomes["outcome"].eq("insulin_dose")]
    assert len(other)
    less = dataclasses.replace(base, outcomes=base.outcomes.drop(other.index[-1]))
    found = difference.compare(less, base)
    rows = found.headlines[found.headlines["outcome"] == "insulin_dose"]
    means = rows[["mean_before", "mean_after"]].to_numpy(dtype=float)
    assert (means[np.isfinite(means)] > 0).all()
    assert set(rows["unit"]) <= {"ratio"}


def test_a_null_in_words_moves_the_headline_and_is_weighed(base, grown):
    found = difference.compare(base, in_words(grown, "no_difference", "no"))
    row, result = headline(found), new_result(found)
    assert row["words_after"] == row["words_before"] + 1
    assert result["kind"] == "interval" and 0 < result["weight"] < 1
    assert row["shift_in_sd"] > 0  # HbA1c: towards no effect
    assert 0 < result["surprise_p"] <= 1


def test_words_against_expectation_surprise_more(base, grown):
    worse, better = (
        new_result(difference.compare(base, in_words(grown, way, "yes")))["surprise_p"]
        for way in ("increase", "decrease")
    )
    assert worse < better


def test_surprise_is_the_tail_of_the_predictive_distribution():
    fit = exact.fit([0.0, 1.0, 0.5], [0.3, 0.4, 0.2], mu_prior=exact.Normal(0, 2),
                    tau_prior=exact.HalfNormal(0.5))  # fmt: skip
    y, se = 1.4, 0.6
    theta = np.linspace(-8, 9, 40_001)
    integrand = fit.predictive.pdf(theta) * stats.norm.cdf((y - theta) / se)
    assert difference.predictive_cdf(y, se, fit) == pytest.approx(
        integrate.simpson(integrand, x=theta), abs=1e-4
    )


def test_without_heterogeneity_the_predictive_is_normal():
    fit = exact.fit([1.0], [0.5], mu_prior=exact.Normal(0, 1), tau_prior=exact.Fixed(0.0))
    mean, sd = fit.mu.mean, fit.mu.sd
    expected = stats.norm.cdf(1.7, mean, np.hypot(sd, 0.3))
    assert difference.predictive_cdf(1.7, 0.3, fit) == pytest.approx(expected, abs=1e-9)


def test_the_prior_predictive_agrees_with_simulation():
    rng = np.random.default_rng(5)
    mu = rng.normal(0, priors.get("hba1c", "mu").scale, 400_000)
    tau = priors.get("hba1c", "tau").scale * np.abs(rng.standard_normal(mu.size))
    y = mu + tau * rng.standard_normal(mu.size) + 0.4 * rng.standard_normal(mu.size)
    value = difference.prior_predictive_cdf(-1.5, 0.4, "hba1c")
    assert value == pytest.approx((y <= -1.5).mean(), abs=0.004)
    assert difference.prior_predictive_cdf(0.0, 0.4, "hba1c") == pytest.approx(0.5)


def test_a_surprising_study_has_a_small_p(base, grown):
    outcomes = grown.outcomes.copy()
    mine = outcomes["study_id"].eq(NEW) & outcomes["arm"].eq("treated") & outcomes["months"].eq(12)
    outcomes.loc[mine, "value"] = 15.0  # a rise of 6.5 points
    worse = dataclasses.replace(grown, outcomes=outcomes)
    row = new_result(difference.compare(base, worse))
    assert row["surprise_p"] < 0.02
    assert row["against"].startswith("the posterior of")


def test_a_first_study_is_judged_against_the_prior(base, grown):
    none, one = (
        dataclasses.replace(
            state,
            outcomes=state.outcomes[state.outcomes["study_id"] == NEW],
            directions=state.directions.iloc[:0],
            independence=state.independence.iloc[:0],
        )
        for state in (base, grown)
    )
    found = difference.compare(none, one)
    assert new_result(found)["against"] == "the prior: no result before"
    assert 0 < new_result(found)["surprise_p"] < 1
    row = headline(found)
    assert row["told_before"] == questions.NONE and row["told_after"] == questions.STUDY
    assert np.isnan(row["shift_in_sd"])  # no mean, so none that moved


# --- how it is told ------------------------------------------------------------------------------


def test_lines_fit_a_terminal_and_name_what_is_new(found):
    lines = terminal.lines(found, "HEAD")
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "HbA1c, percentage points: cell infusion, type 2 diabetes, against controls" in text
    assert new_result(found)["effect_id"] in text.replace("\n    ", "")
    assert "0.00" not in text.replace("0.001", "")


@pytest.mark.parametrize(
    "value, text",
    [(0.0, "0.00"), (0.003, "0.003"), (-0.0004, "-0.0004"), (1.234, "1.23"), (1e-12, "1.0e-12")],
)
def test_a_figure_that_is_not_zero_is_not_printed_as_zero(value, text):
    assert terminal.figure(value) == text


def test_small_sizes_and_probabilities_are_bounded_in_words():
    assert terminal.small(0.0) == "0" and terminal.small(0.001) == "less than 0.01"
    assert terminal.small(0.31) == "0.31"
    assert terminal.probability(1e-9) == "under 0.001" and terminal.probability(1.0) == "over 0.999"


# --- certainty and verdicts ----------------------------------------------------------------------


def report_of(state):
    """Estimates and tables of HbA1c as the stages of the run make them, means alone."""
    body, judged = questions.Body(state), risk_of_bias.overalls(state.risk_of_bias)
    estimates, tables = [], {"headlines": [], "study_estimates": [], "densities": []}
    for approach, population in questions.STRATA:
        for design in questions.DESIGNS:
            question = Question("hba1c", approach, population, design)
            rows = body.rows(question)
            fitted = headlines.is_fitted(question, rows)
            fit = questions.posterior_of(body, question) if fitted else None
            given = headlines.answer(body, question, rows, fit, judged)
            estimates += given.estimates
            tables["headlines"].append(given.headline)
            tables["study_estimates"] += given.studies
            if fit is not None:
                tables["densities"] += headlines.densities(question, fit, given.headline["told"])
    whole = results.estimates(estimates)
    frames = {
        name: results.checked(name, pd.DataFrame(rows, columns=results.TABLES[name].names))
        for name, rows in (tables | counted.tables(counted.of(state))).items()
    }
    return whole, frames | synthesis.conclusions(state, whole, frames)


@pytest.fixture(scope="module")
def tracked(base, tmp_path_factory):
    """Tracked results of the state before."""
    folder = tmp_path_factory.mktemp("processed")
    estimates, tables = report_of(base)
    results.write(folder, "estimates", estimates)
    for name, table in tables.items():
        results.write(folder, name, table)
    return folder


def test_certainty_and_verdicts_are_those_of_a_whole_run(base, grown, found, tracked, monkeypatch):
    monkeypatch.setattr(judging, "belongs", lambda out, state: state is base)
    told = difference.conclude(found, base, grown, tracked)
    _, tables = report_of(grown)
    level = tables["certainty"].set_index("outcome").loc["hba1c", "level"]
    assert headline(told)["certainty_after"] == level
    assert headline(told)["certainty_before"] in certainty.LEVELS
    before = results.read(tracked, "claims").set_index("claim_id")["verdict"]
    after = tables["claims"].set_index("claim_id")["verdict"]
    changed = {name for name in after.index if after[name] != before[name]}
    assert set(told.verdicts["claim_id"]) == changed
    assert "certainty: " in "\n".join(terminal.lines(told, "HEAD"))


@pytest.mark.slow  # the test above says the same of one of the two states
def test_it_is_the_same_whichever_state_the_results_are_of(
    base, grown, found, tracked, monkeypatch
):
    monkeypatch.setattr(judging, "belongs", lambda out, state: state is base)
    forwards = difference.conclude(found, base, grown, tracked)
    backwards = difference.conclude(difference.compare(grown, base), grown, base, tracked)
    assert headline(forwards)["certainty_after"] == headline(backwards)["certainty_before"]
    assert headline(forwards)["certainty_before"] == headline(backwards)["certainty_after"]
    assert set(forwards.verdicts["claim_id"]) == set(backwards.verdicts["claim_id"])


def test_a_count_that_shows_a_claim_changes_its_verdict(evidence, tmp_path, monkeypatch):
    """Islets of which nobody makes C-peptide again show nothing."""
    islets = only(evidence, evidence.studies["cell_class"].eq("psc_islet"))
    empty = dataclasses.replace(islets, responders=islets.responders.assign(n_responders=0.0))
    estimates, tables = results.estimates([]), counted.tables(counted.of(islets))
    tables |= synthesis.conclusions(islets, estimates, with_headlines(tables))
    for name, table in {"estimates": estimates, **tables}.items():
        results.write(tmp_path, name, table)
    monkeypatch.setattr(judging, "belongs", lambda out, state: state is islets)
    told = difference.conclude(difference.compare(islets, empty), islets, empty, tmp_path)
    changed = told.verdicts.set_index("claim_id")
    assert changed.loc["islets_c_peptide", "before"] == "shown"
    assert changed.loc["islets_c_peptide", "after"] != "shown"


def with_headlines(tables):
    names = ("headlines", "study_estimates")
    return tables | {name: results.TABLES[name].empty() for name in names}


def test_results_of_neither_state_conclude_nothing_and_that_is_said(base, grown, found, tmp_path):
    told = difference.conclude(found, base, grown, tmp_path)
    assert not told.headlines["certainty_after"].any() and told.verdicts.empty
    text = " ".join(" ".join(terminal.lines(told, "HEAD")).split())
    assert "belong to neither state" in text


def test_results_belong_to_the_state_with_their_digests(base, grown, monkeypatch):
    made_from = {"inputs": {"evidence": pipeline.evidence_digests(base)}}
    stages = dict.fromkeys(judging.JUDGED_FROM, made_from)
    monkeypatch.setattr(pipeline, "read_manifest", lambda out: {"stages": stages})
    assert judging.belongs("processed", base) and not judging.belongs("processed", grown)


# --- shares and rates ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def freed(base, grown):
    """The evidence with ten of forty patients of the new trial free of insulin, and none dead."""
    studies = grown.studies
    fact = dict.fromkeys([c for c in base.independence if c != "line"], "")
    number = [c for c in base.independence if base.independence[c].dtype == "float64"]
    fact |= dict.fromkeys(number, np.nan) | {
        "study_id": NEW, "arm": "treated", "fact": "ever", "n_total": 40.0, "k": 10.0,
        "bound": "exact", "line": 10_001, "source_url": "https://example.org",
    }  # fmt: skip
    like = base.safety.iloc[[0]].assign(
        study_id=NEW, arm="treated", event_category="death", event_detail="none", n_patients=0.0,
        n_events=0.0, bound="exact", n_at_risk=40.0, followup_months=12.0, relation="any",
        line=10_001,
    )  # fmt: skip
    sized = studies["study_id"].eq(NEW)
    return dataclasses.replace(
        base,
        studies=studies.assign(n_treated=studies["n_treated"].mask(sized, 40.0)),
        independence=pd.concat([base.independence, pd.DataFrame([fact])], ignore_index=True),
        safety=pd.concat([base.safety, like], ignore_index=True),
    )


def test_shares_and_rates_are_those_of_the_report(base, freed):
    table, before, after = counted.compare(counted.of(base), counted.of(freed))
    assert {"ever_insulin_free", "harm_death"} <= set(table["outcome"])
    facts = share_facts.table(freed).facts
    for one in after[after["quantity"] == "pooled_share"].to_dict("records"):
        own = facts[facts["outcome"].eq(one["outcome"]) & facts["approach"].eq(one["approach"])]
        own = own[cohorts.in_population(own["population"], one["population"])]
        assert one["mean"] == pytest.approx(own["k"].sum() / own["n"].sum())
    ever = table[table["outcome"].eq("ever_insulin_free") & table["quantity"].eq("pooled_share")]
    assert (ever["n_patients_after"] - ever["n_patients_before"].fillna(0) == 40).all()
    assert len(before) < len(after)


def test_facts_in_another_order_change_nothing(freed):
    turned = dataclasses.replace(
        freed,
        independence=freed.independence.iloc[::-1].reset_index(drop=True),
        safety=freed.safety.iloc[::-1].reset_index(drop=True),
    )
    table, before, after = counted.compare(counted.of(freed), counted.of(turned))
    assert table.empty and before.empty and after.empty


def test_a_single_study_is_told_with_its_number_and_whether_a_spread_is_printed(base):
    """No brackets with nothing in them: a number without a test is told as the number."""
    row = {"k_after": 1, "words_after": 0, "n_after": 73.0, "told_after": questions.STUDY,
           "mean_after": 15.04, "ci_low_after": np.nan, "ci_high_after": np.nan}  # fmt: skip
    assert terminal.state(row, "after") == (
        "one study, shown as itself: 15.04 (no spread printed); 1 study, 73 patients"
    )
    row |= {"ci_low_after": 1.0, "ci_high_after": 29.0}
    assert "15.04 (1.00 to 29.00)" in terminal.state(row, "after")


def test_counted_headlines_are_told_in_lines(base, freed):
    lines = terminal.lines(difference.compare(base, freed), "HEAD")
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("Ever insulin-free: cell infusion") for line in lines)
    assert any(line.startswith("Death: cell infusion") for line in lines)


def test_the_page_holds_everything_it_needs(found):
    text = page.page(found, "<HEAD>")
    rows = found.headlines
    means = rows["told_before"].eq(questions.MEAN) | rows["told_after"].eq(questions.MEAN)
    assert text.count("<svg") == means.sum() >= 1 and "&lt;HEAD&gt;" in text
    assert not [link for link in ("src=", "<link", "<script", "@import") if link in text]
    assert text == page.page(found, "<HEAD>")  # the same bytes each time


# --- the state to compare with -----------------------------------------------------------------


def git(folder, *words):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(raw_dir):
    git(raw_dir.parent, "init", "-q")
    git(raw_dir.parent, "add", "raw")
    git(raw_dir.parent, "commit", "-qm", "evidence")
    return raw_dir


def test_a_base_is_a_folder_or_a_revision(tracked_raw, repository, evidence):
    path = repository / "safety.csv"
    path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[:-1]), "utf-8")
    for base in (tracked_raw, "HEAD"):
        loaded = difference.load_base(base, repository)
        assert loaded.digests == evidence.digests
    assert len(ev.load(repository).safety) == len(evidence.safety) - 1


@pytest.mark.parametrize("base", ["no-such-revision", "--output=x", "no/such/folder"])
def test_a_base_that_is_not_there_is_said(repository, base):
    with pytest.raises(difference.NoBase, match="neither a folder nor"):
        difference.load_base(base, repository)


@pytest.mark.parametrize("out", every("no-results", "data/processed"))
def test_the_command_tells_what_changed(repository, call, out):
    """Where there are results, with certainty and verdicts, which are slow."""
    path = repository / "safety.csv"
    path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[:-1]), "utf-8")
    target = repository.parent / "diff.html"
    words = ("diff", "--base", "HEAD", "--raw", repository, "--out", out)
    result = call(*words, "--html", target)
    assert result.exit_code == 0
    assert "safety.csv: 0 added, 1 removed, 0 changed" in result.output
    assert call("diff", "--base", "nowhere", "--raw", repository).exit_code == 2
    assert target.read_text("utf-8").startswith("<!doctype html>")
    path.write_text("nonsense\n", "utf-8")
    assert call("diff", "--base", "HEAD", "--raw", repository).exit_code == 1


# --- durations -----------------------------------------------------------------------------------


def listed(study: str, ended: tuple, ongoing: tuple) -> list[dict]:
    every = [(month, "resumed") for month in ended] + [(month, "ongoing") for month in ongoing]
    return [
        {"study_id": study, "fact": "ever", "bound": "exact", "n_total": 20.0,
         "k": float(len(every))},
        *({"study_id": study, "fact": "patient", "n_total": 20.0, "value": float(month),
           "status": status, "sampling": "all", "patient_label": f"{study} {i}", "bound": ""}
          for i, (month, status) in enumerate(every)),
    ]  # fmt: skip


SHORT = listed("short", (2, 4, 5, 8, 9, 14), (16, 20))
MIDDLE = listed("middle", (6, 12, 20, 31), (24, 36, 48))
LONG = listed("long", (30, 44), (60, 72, 80))


@pytest.fixture(scope="module")
def exponential():
    """One family, for speed: what is compared does not depend on how many there are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            lasting.survival, "fit_all", partial(survival.fit_all, families=("exponential",))
        )
        yield


@pytest.fixture(scope="module")
def lasted(evidence, exponential):
    """Two studies on durations, and three."""
    two, three = (evidence_of(evidence, rows) for rows in
                  ([*SHORT, *MIDDLE], [*SHORT, *MIDDLE, *LONG]))  # fmt: skip
    return two, three, difference.compare(two, three)


def test_durations_are_those_of_the_report(lasted):
    two, three, found = lasted
    assert found.durations["approach"].unique().tolist() == ["immune_reset"]
    assert len(found.durations) == len(lasting.SHOWN)
    for state, when in ((two, "before"), (three, "after")):
        facts = stage_of_durations.facts_of(
            stage_of_durations.with_strata(state, duration_facts.layer(state)[0]), "immune_reset"
        )
        average = survival.fit_all(
            facts, stage_of_durations.PRIORS, families=("exponential",)
        ).average
        at_12 = found.durations[found.durations["month"] == 12].iloc[0]
        own = average.survival([12.0]).iloc[0]
        told = [at_12[f"{name}_{when}"] for name in ("median", "ci_low", "ci_high")]
        assert told == pytest.approx([own["median"], own["ci_low"], own["ci_high"]])
        assert at_12[f"k_studies_{when}"] == facts["study_id"].nunique()


def test_longer_durations_raise_what_is_told_of_them(lasted):
    table = lasted[2].durations
    assert (table["median_after"] > table["median_before"]).all()


def test_durations_are_told_in_lines_and_on_the_page(lasted):
    found = lasted[2]
    lines = terminal.lines(found, "HEAD")
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert "Still insulin-free at 12 months, of the ever free: immune reset, type 1" in text
    assert "an extrapolation: too few were followed" in text
    assert "Half of the ever free on insulin again" in page.page(found, "HEAD")


def test_what_is_not_computed_is_said(found, lasted):
    for each in (found, lasted[2]):
        assert " ".join(terminal.lines(each, "HEAD")[-3:]).startswith("not computed here")
        assert "not computed here" in page.page(each, "HEAD")


def test_facts_that_no_curve_reads_leave_durations_alone(lasted):
    two = lasted[0]
    other = dataclasses.replace(two, studies=two.studies.assign(notes="another"))
    assert difference.compare(two, other).durations.empty


def test_a_curve_that_appears_has_no_curve_before(evidence, exponential):
    one, two = (evidence_of(evidence, rows) for rows in (SHORT, [*SHORT, *MIDDLE]))
    found = difference.compare(one, two)
    assert found.durations["median_before"].isna().all()
    assert found.durations["median_after"].notna().all()
    assert "no curve: fewer than two studies" in " ".join(
        " ".join(terminal.lines(found, "HEAD")).split()
    )


def test_tracked_durations_of_a_state_are_taken_as_they_are(lasted, tmp_path, monkeypatch):
    """Where evidence and code are the same; a fit is then not asked for."""
    two, three, found = lasted
    told = {name: states[0] for name, states in found.lasted.items()}
    results.write(tmp_path, "estimates", told["estimates"])
    results.write(tmp_path, "duration_follow_up", told["duration_follow_up"])
    record = {"inputs": {"code": lasting.code_digest("analysis.stages.durations"),
                         "evidence": pipeline.evidence_digests(two)}}  # fmt: skip
    monkeypatch.setattr(pipeline, "read_manifest", lambda out: {"stages": {"durations": record}})
    fits = []
    fit_all = lasting.survival.fit_all
    monkeypatch.setattr(
        lasting.survival,
        "fit_all",
        lambda *words, **more: fits.append(1) or fit_all(*words, **more),
    )
    again = difference.compare(two, three, tmp_path)
    assert len(fits) == 1
    figures = [name for name in again.durations if name.endswith(("_before", "_after"))]
    for name in figures:
        if name.startswith(("median", "ci")):
            assert again.durations[name].to_numpy() == pytest.approx(
                found.durations[name].to_numpy(), rel=1e-6
            )
    record["inputs"]["code"] = "of another version"
    difference.compare(two, three, tmp_path)
    assert len(fits) == 3
