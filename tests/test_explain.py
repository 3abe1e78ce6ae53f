"""From any name of the report to the facts behind it, and what is said of a name that is none."""

from pathlib import Path

import pandas as pd
import pytest

from analysis import outcomes, questions, results
from analysis.chain import figures
from analysis.evidence.references import reference
from analysis.explain import Unknown, explain

T2D = questions.Question("hba1c", "cell_infusion", "t2d", "controlled")
REPORT = Path(__file__).parent.parent / "report.qmd"


@pytest.fixture(scope="module", autouse=True)
def built(built_once):
    return built_once


@pytest.fixture(scope="module")
def out(evidence, tmp_path_factory):
    """Results with one headline, one variant, a claim and its certainty."""
    folder = tmp_path_factory.mktemp("results")
    base = {**T2D.parts, "scale": "difference", "unit": "percentage points", "k_studies": 3,
            "n_patients": 200, "mean": -0.7, "ci_low": -1.2, "ci_high": -0.2}  # fmt: skip
    table = results.estimates([base, {**base, "variant": "numbers_only"}])
    results.write(folder, "estimates", table)
    claim = {
        "claim_id": "lowers_hba1c", "group": "suggested", "claim": "Cells lower HbA1c.",
        "short": "lowers HbA1c", "kind": "effect", "approach": "cell_infusion",
        "population": "t2d", "estimand": "difference", "threshold": "0",
        "estimate_ids": table["id"].iloc[0], "source_rows": "", "probability": 0.98,
        "certainty": "low", "verdict": "suggested", "capped_by": "few studies", "k_studies": 3,
        "k_what": "study", "n_patients": 200, "n_seen": "", "counted": "", "n_analyses": 40,
        "share_as_favourable": 0.2, "share_beyond": 0.4, "value": -0.7,
        "ci_low": -1.2, "ci_high": -0.2, "unit": "percentage points", "caveat": "",
    }  # fmt: skip
    results.write(folder, "claims", pd.DataFrame([claim]))
    return folder


@pytest.fixture(scope="module")
def told(evidence, out):
    """The lines for a name, as one text."""
    return lambda name: "\n".join(explain(name, evidence, out, REPORT))


def rows_of(evidence):
    return questions.Body(evidence).rows(T2D)


def test_an_estimate_leads_to_its_effects_their_raw_rows_and_addresses(evidence, told):
    text = told("hba1c:cell_infusion:t2d:controlled")
    assert "-0.700 percentage points (95 % interval -1.20 to -0.200); 3 studies" in text
    assert "the analysis of the protocol" in text  # the rule
    rows = rows_of(evidence)
    assert len(rows) >= 2
    for row in rows.to_dict("records"):
        assert row["effect_id"] in text
        study = evidence.outcomes[evidence.outcomes["study_id"] == row["study_id"]]
        said = evidence.directions[evidence.directions["study_id"] == row["study_id"]]
        assert any(url in text for url in (*study["source_url"], *said["source_url"]))


def test_a_variant_shows_its_own_rows(evidence, told):
    text = told("hba1c:cell_infusion:t2d:controlled:numbers_only")
    rows = rows_of(evidence)
    for row in rows.to_dict("records"):
        assert (row["effect_id"] in text) == (row["kind"] == "numeric")


def test_a_claim_leads_to_its_verdict_rule_and_estimates(told):
    text = told("lowers_hba1c")
    assert "verdict: suggested (decided by: few studies)" in text
    assert "probability: 0.980" in text and "certainty: low" in text
    assert "estimate hba1c:cell_infusion:t2d:controlled: -0.700" in text


def test_every_effect_is_walked_back(evidence, built):
    for name in built.effects["effect_id"].iloc[::40]:
        lines = explain(name, evidence)
        assert lines[0].startswith(name)
        assert any("http" in line for line in lines)


def test_a_raw_row_is_found_by_line_and_by_name_and_says_where_it_went(evidence, built):
    effect = built.effects.iloc[0]
    name = effect["source_rows"].split(";")[0]
    table = name.split(":")[0]
    by_name = explain(name, evidence)
    line = next(
        r for r in getattr(evidence, table).to_dict("records") if reference(table, r) == name
    )
    assert explain(f"{table}:{line['line']}", evidence) == by_name
    assert explain(f"{table}.csv:{line['line']}", evidence) == by_name
    assert f"effect: {effect['effect_id']}" in by_name
    lost = built.exclusions.iloc[0]
    text = "\n".join(explain(lost["row"], evidence))
    assert f"in no estimate: {lost['reason']}" in text


@pytest.mark.parametrize("name", ["couri2009", "Couri 2009", "  couri   2009 ", "COURI2009"])
def test_a_study_is_found_by_what_a_person_types(evidence, name):
    lines = explain(name, evidence)
    assert lines[0].startswith("couri2009: Couri 2009")
    assert any("independence.csv" in line for line in lines)


def test_a_study_is_found_by_its_identifier(evidence):
    doi = evidence.studies.loc[evidence.studies["doi"].ne(""), ["doi", "study_id"]].iloc[0]
    assert explain(doi["doi"], evidence)[0].startswith(doi["study_id"] + ":")


@pytest.mark.parametrize("name", ["hba1c", "HbA1c", "c_peptide_auc", "the insulin dose"])
def test_an_outcome_is_found_by_any_of_its_names(told, name):
    text = told(name)
    assert any(text.startswith(known) for known in outcomes.OUTCOMES)
    if name.lower() == "hba1c":
        assert "hba1c:cell_infusion:t2d:controlled: -0.700" in text


def test_an_approach_lists_its_estimates(told):
    assert "hba1c:cell_infusion:t2d:controlled" in told("cell infusion")


def test_every_figure_and_table_of_the_report_is_known(evidence):
    import re

    labels = re.findall(r"(?m)^#\| label: (\S+)$", REPORT.read_text(encoding="utf-8"))
    assert len(labels) > 10
    for label in labels:
        lines = explain(label, evidence, None, REPORT)
        assert lines[0].startswith(f"{label}: ") and any("drawn by" in line for line in lines)


@pytest.mark.parametrize(
    "name, meant", [("hba1cc", "hba1c"), ("couri20009", "couri2009"), ("lowers_hba1", "lowers")]
)
def test_an_unknown_name_is_answered_with_those_alike(told, name, meant):
    try:
        text = told(name)
    except Unknown as error:
        text = str(error)
        assert "did you mean" in text
    assert meant in text


def test_a_name_like_no_other_is_said_to_be_none(told):
    with pytest.raises(Unknown, match=r"nothing is called so$"):
        told("zzzzqqqq")


def test_a_part_of_a_name_offers_what_has_it(told):
    text = told("cell_infusion:t2d")
    assert "2 names have it" in text and "hba1c:cell_infusion:t2d:controlled" in text


def test_results_that_cannot_be_read_are_said_and_the_evidence_still_speaks(evidence, tmp_path):
    (tmp_path / "estimates.csv").write_text("outcome,mean\nhba1c,1\n", encoding="utf-8")
    lines = explain("couri2009", evidence, tmp_path)
    assert lines[0].startswith("couri2009:") and "estimates.csv" in lines[-1]


def test_small_figures_are_not_printed_as_zero():
    blank = {name: float("nan") for name in ("median", "pred_low", "pred_high")}
    one = {"mean": 0.00012, "ci_low": 0.0, "ci_high": 123.4, "scale": "share", "unit": "share",
           "k_studies": 1, "n_patients": 10, **blank}  # fmt: skip
    assert figures(one) == (
        "0.000120 share (95 % interval 0 to 123); 1 study, 10 patients"
    )  # fmt: skip


def test_the_command_explains_and_fails_with_a_hint(tracked_raw, out, call):
    done = call("explain", "couri", "2009", "--raw", tracked_raw, "--out", out)
    assert done.exit_code == 0 and "couri2009" in done.output
    wrong = call("explain", "hba1cc", "--raw", tracked_raw, "--out", out)
    assert wrong.exit_code == 1 and "did you mean hba1c" in wrong.stderr
    assert call("explain", "hba1c", "--raw", out, "--out", out).exit_code == 1


@pytest.mark.parametrize("name", ["", " ", "#", "@"])
def test_no_name_is_answered_like_an_unknown_one(told, name):
    with pytest.raises(Unknown, match="nothing is called so"):
        told(name)


@pytest.mark.parametrize(("name", "word"), [("type 2", "t2d"), ("Type 1 diabetes", "t1d")])
def test_a_population_is_found_by_what_a_person_calls_it(told, name, word):
    assert told(name).startswith(f"{word}: type")


def test_the_claims_are_listed_with_their_verdicts(told):
    assert told("claims") == "claims: 1\n  lowers_hba1c: suggested: Cells lower HbA1c."
