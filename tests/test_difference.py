"""What new rows change: exact fits before and after, influence, and surprise in closed form."""

import dataclasses
import subprocess

import numpy as np
import pandas as pd
import pytest
import typer
from scipy import integrate, stats
from typer.testing import CliRunner

from analysis import cli_study, difference, effects, exact, priors
from analysis import evidence as ev

NEW = "newtrial2030"


@pytest.fixture(scope="module")
def base(evidence) -> ev.Evidence:
    """The controlled studies of the tracked evidence: fewer rows, faster tests."""
    studies = evidence.studies
    studies = studies[studies["design"].isin(["rct", "nonrandomised_controlled"])]
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
    study = base.studies.query("include == 'yes' and design == 'rct'").iloc[[0]].assign(
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
    ever = base.independence.query("fact == 'ever' and bound == 'exact'").iloc[[0]].assign(
        study_id=NEW, arm="treated", k=10.0, n_total=40.0, line=10_001
    )  # fmt: skip
    return dataclasses.replace(
        base,
        studies=pd.concat([base.studies, study], ignore_index=True),
        outcomes=pd.concat([base.outcomes, levels], ignore_index=True),
        independence=pd.concat([base.independence, ever], ignore_index=True),
    )


@pytest.fixture(scope="module")
def found(base, grown) -> difference.Difference:
    return difference.compare(base, grown)


def headline(found, outcome, group) -> pd.Series:
    table = found.headlines
    rows = table[(table["outcome"] == outcome) & (table["group"] == group)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_the_same_evidence_changes_nothing(base):
    same = difference.compare(base, dataclasses.replace(base))
    assert not same.facts[["added", "removed", "changed"]].to_numpy().any()
    assert not same.headlines["changed"].any()
    assert same.effects.empty
    assert len(same.headlines) > 5


def test_rows_are_counted_as_added_removed_and_changed(base, grown, found):
    forwards = found.facts.set_index("table")
    assert forwards.loc["outcomes.csv", ["added", "removed", "changed"]].tolist() == [4, 0, 0]
    backwards = difference._facts(grown, base).set_index("table")
    assert backwards.loc["outcomes.csv", ["added", "removed", "changed"]].tolist() == [0, 4, 0]
    safety = base.safety.copy()
    safety.loc[0, "n_at_risk"] += 1
    edited = dataclasses.replace(base, safety=safety)
    counts = difference._facts(base, edited).set_index("table").loc["safety.csv"]
    assert counts.tolist() == [0, 0, 1]


def test_headlines_are_exact_fits_with_the_priors_of_the_project(base, grown, found):
    row = headline(found, "hba1c", "controlled")
    assert row["k_after"] == row["k_before"] + 1
    assert row["n_after"] == row["n_before"] + 80
    for when, state in (("before", base), ("after", grown)):
        table = effects.headline(effects.build(state).effects, "hba1c")
        table = table[table["controlled"].astype(bool) & table["kind"].eq("numeric")]
        assert (effects.se(table) > 0).all()
        fit = exact.fit(
            table["y"].astype(float), effects.se(table),
            mu_prior=exact.Normal(0, priors.get("hba1c", "mu").scale),
            tau_prior=exact.HalfNormal(priors.get("hba1c", "tau").scale),
        )  # fmt: skip
        assert row[f"mean_{when}"] == pytest.approx(fit.mu.mean, rel=1e-9)
        assert row[f"p_good_{when}"] == pytest.approx(fit.mu.cdf(0.0), rel=1e-9)
        assert row[f"ci_low_{when}"] == pytest.approx(fit.mu.interval()[0], rel=1e-6)
    assert row["changed"]
    assert row["shift"] == pytest.approx(row["mean_after"] - row["mean_before"])


def test_what_the_new_rows_do_not_touch_is_unchanged(found):
    changed = found.headlines[found.headlines["changed"]]
    pairs = set(zip(changed["outcome"], changed["group"], strict=True))
    assert ("hba1c", "controlled") in pairs
    assert ("hba1c", "uncontrolled") not in pairs
    assert not any(outcome == "c_peptide_ratio" for outcome, _ in pairs)
    assert ("ever_independent", "T2D") in pairs and ("ever_independent", "T1D") not in pairs


def test_counts_of_independence_are_beta_posteriors(found):
    row = headline(found, "ever_independent", "T2D")
    assert row["k_after"] == row["k_before"] + 1
    assert row["n_after"] == row["n_before"] + 40
    assert 0 < row["mean_after"] < 1


def test_influence_and_shrinkage_are_those_of_the_fit(found):
    row = found.effects.set_index("study_id").loc[NEW]
    before = headline(found, "hba1c", "controlled")
    # Nothing but the new study differs, so the mean without it is the mean before.
    assert row["mean_without"] == pytest.approx(before["mean_before"], rel=1e-9)
    assert row["mean_with"] == pytest.approx(before["mean_after"], rel=1e-9)
    assert row["y"] == pytest.approx(-1.5)
    assert row["status"] == "new" and row["spread"] == "printed" and row["replaces"] == ""
    assert 0 < row["shrinkage"] < 1
    assert row["mean_with"] > row["shrunk_mean"] > row["y"]


def test_surprise_is_the_tail_of_the_predictive_distribution():
    fit = exact.fit([0.0, 1.0, 0.5], [0.3, 0.4, 0.2], mu_prior=exact.Normal(0, 2),
                    tau_prior=exact.HalfNormal(0.5))  # fmt: skip
    y, se = 1.4, 0.6
    theta = np.linspace(-8, 9, 40_001)
    integrand = fit.predictive.pdf(theta) * stats.norm.cdf((y - theta) / se)
    assert difference.predictive_cdf(y, se, fit) == pytest.approx(
        integrate.simpson(integrand, x=theta), abs=1e-6
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
    row = difference.compare(base, worse).effects.set_index("study_id").loc[NEW]
    assert row["surprise_p"] < 0.02
    assert row["against"].startswith("posterior of")


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
    row = found.effects.set_index("study_id").loc[NEW]
    assert row["against"] == "prior: no study before"
    assert 0 < row["surprise_p"] < 1
    assert np.isnan(headline(found, "hba1c", "controlled")["mean_before"])


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


def test_the_command_tells_what_changed(repository):
    app = typer.Typer()
    cli_study.register(app)

    def call(*words):
        return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)

    path = repository / "safety.csv"
    path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[:-1]), "utf-8")
    result = call("diff", "--base", "HEAD", "--raw", repository)
    assert result.exit_code == 0
    assert "safety.csv: 0 added, 1 removed, 0 changed" in result.output
    assert call("diff", "--base", "nowhere", "--raw", repository).exit_code == 2
    path.write_text("nonsense\n", "utf-8")
    assert call("diff", "--base", "HEAD", "--raw", repository).exit_code == 1
