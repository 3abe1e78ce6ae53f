"""`status`: what evidence there is, how it was read, what hangs on one reader."""

import pytest
from typer.testing import CliRunner

from analysis import coverage, effects
from analysis.cli import app


@pytest.fixture(scope="module")
def result(evidence):
    return effects.build(evidence)


def test_coverage_counts_eligible_studies_of_each_stratum(evidence, result):
    found = coverage.coverage(evidence, result)
    harm = found[found["outcome"] == "harm"]
    studies = evidence.studies[evidence.studies["include"].eq("yes")]
    with_harm = studies["study_id"].isin(evidence.safety["study_id"])
    assert harm["counts"].sum() == with_harm.sum()
    assert not found.duplicated(["approach", "population", "outcome"]).any()
    assert found[["controlled", "uncontrolled", "words", "counts"]].sum(axis=1).gt(0).all()


def test_a_row_read_by_two_is_counted_once_and_settled_ones_too(evidence):
    found = coverage.reading(evidence).set_index("table")
    kinds = evidence.outcomes["extraction"].value_counts()
    twice = kinds.get("double", 0) + kinds.get("adjudicated", 0)
    assert found.loc["outcomes.csv", "twice"] == twice
    assert found.loc["outcomes.csv", "rows"] == len(evidence.outcomes)


def test_weights_of_one_answer_are_shares_and_only_single_readings_are_listed(evidence, result):
    found = coverage.single_read(evidence, result)
    assert found["weight"].between(0, 1, inclusive="right").all()
    assert found["weight"].is_monotonic_decreasing
    for name in ("outcomes", "directions"):
        table = getattr(evidence, name).set_index("line")["extraction"]
        lines = found.loc[found["file"].eq(f"{name}.csv"), "line"]
        assert set(table.loc[lines]) <= {"single"}


def test_status_says_all_of_it(raw_dir):
    said = CliRunner().invoke(app, ["status", "--raw", str(raw_dir), "--on", "2026-12-31"])
    assert said.exit_code == 0
    for words in ("islet replacement, type 1 diabetes", "read by two people", "speak for an answer",
                  "retractions looked for on a stated day", "registry read on"):  # fmt: skip
        assert words in said.stdout


def test_retractions_are_told_for_those_looked_for_and_the_others_are_counted(evidence):
    """A report without a DOI cannot be looked up: it is not counted as free of retraction."""
    from types import SimpleNamespace

    from analysis.report import chapters

    studies = evidence.studies
    checked = studies["retraction_checked"].ne("")
    assert checked.equals(studies["doi"].ne(""))
    told = str(chapters.retractions(SimpleNamespace(evidence=evidence)))
    assert f"for {checked.sum()} of {len(studies)} reports: none is retracted" in told
    assert f"the other {(~checked).sum()} were not looked for" in told
    bare = SimpleNamespace(evidence=SimpleNamespace(studies=studies.assign(retraction_checked="")))
    assert chapters.retractions(bare) == "Retractions were not looked for."


def test_expressions_of_concern_are_told_as_of_the_day_of_the_copy_that_was_searched(evidence):
    from types import SimpleNamespace

    from analysis.report import chapters

    def told(**changed) -> str:
        studies = evidence.studies.assign(**changed)
        return str(chapters.retractions(SimpleNamespace(evidence=SimpleNamespace(studies=studies))))

    assert evidence.studies["concern_as_of"].ne("").equals(evidence.studies["doi"].ne(""))
    assert "there is none" in told() and "as it stood on" in told()
    assert told(concern_as_of="").endswith("Expressions of concern were not looked for.")
    words = evidence.studies["retracted"].where(
        evidence.studies["study_id"] != "cai2016", "concern"
    )
    assert told(retracted=words).endswith("reports: Cai 2016.")
    assert "none is retracted" in told(retracted=words)
