"""Risk of bias: the overall judgement follows from the domains, and nobody is forgotten."""

import csv
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import certainty, outcomes
from analysis import evidence as ev
from analysis import risk_of_bias as rb
from analysis import vocabulary as v


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("low low low low low", "low"),
        ("low low some_concerns low low", "some_concerns"),
        ("some_concerns some_concerns some_concerns low low", "some_concerns"),
        ("some_concerns some_concerns some_concerns some_concerns low", "high"),
        ("some_concerns some_concerns some_concerns some_concerns some_concerns", "high"),
        ("low low low low high", "high"),
    ],
)
def test_rob2_is_as_bad_as_its_worst_domain_and_high_with_many_concerns(words, expected):
    assert rb.overall("rob2", words.split()) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("low low low low low low low", "low"),
        ("low moderate low low low low low", "moderate"),
        ("low moderate no_information low low low low", "no_information"),
        ("serious moderate no_information low low low low", "serious"),
        ("serious critical no_information low low low low", "critical"),
    ],
)
def test_robins_i_lacks_information_only_where_nothing_serious_is_known(words, expected):
    assert rb.overall("robins_i", words.split()) == expected


def test_the_order_of_the_domains_does_not_matter_and_a_worse_domain_never_helps():
    order = list(v.RISK_JUDGEMENTS["rob2"])
    for words in product(order, repeat=5):
        word = rb.overall("rob2", words)
        assert word == rb.overall("rob2", sorted(words))
        for i, at in enumerate(words):
            if at != "high":
                worse = [*words[:i], order[order.index(at) + 1], *words[i + 1 :]]
                assert order.index(rb.overall("rob2", worse)) >= order.index(word)


@given(st.lists(st.sampled_from(list(v.RISK_JUDGEMENTS["robins_i"])), min_size=7, max_size=7))
def test_robins_i_gives_the_judgement_of_one_of_its_domains(words):
    assert rb.overall("robins_i", words) in words


def test_a_domain_too_few_or_a_foreign_word_is_refused():
    with pytest.raises(ValueError, match="5 domains"):
        rb.overall("rob2", ["low"] * 4)
    with pytest.raises(ValueError, match="serious is no judgement of rob2"):
        rb.overall("rob2", ["low"] * 4 + ["serious"])


def test_no_judged_cohort_is_low_overall(evidence):
    table = rb.overalls(evidence.risk_of_bias)
    assert not table.duplicated(["cohort", "outcome_family"]).any()
    assert "low" not in set(table["overall"])
    objective = table[table["outcome_family"] == "objective"]
    counts = objective.groupby("tool")["overall"].value_counts().to_dict()
    assert counts == {
        ("rob2", "some_concerns"): 4,
        ("rob2", "high"): 11,
        ("robins_i", "moderate"): 2,
        ("robins_i", "serious"): 21,
        ("robins_i", "critical"): 6,
    }


@pytest.mark.parametrize(
    ("words", "by_domain"),
    [
        ("some_concerns some_concerns some_concerns some_concerns low", False),
        ("some_concerns some_concerns some_concerns some_concerns high", True),
        ("low low low low high", True),
    ],
)
def test_what_is_high_by_a_domain_is_told_from_what_many_concerns_make_high(
    evidence, words, by_domain
):
    from types import SimpleNamespace

    from analysis.report import chapters

    table = evidence.risk_of_bias
    one = table[(table["tool"] == "rob2") & (table["outcome_family"] == "objective")].head(5)
    one = one.assign(settled=words.split())
    (row,) = rb.overalls(one).to_dict("records")
    assert (row["overall"], row["by_domain"]) == ("high", by_domain)
    told = str(chapters.bias(SimpleNamespace(evidence=replace(evidence, risk_of_bias=one))))
    counted = (
        "1 is high by a domain; none by at least 4"
        if by_domain
        else "none is high by a domain; 1 by at least 4"
    )
    assert f"Of the 1 randomised cohort among them {counted} domains" in told


def test_a_cohort_that_nobody_judged_counts_as_high_and_is_named(evidence):
    word = rb.of_studies(evidence, ["chen2016", "zang2022"], "objective")
    assert word[0] == rb.NOT_JUDGED and word[1] in v.RISK_JUDGEMENTS["rob2"]
    assert rb.NOT_JUDGED in rb.HIGH
    missing = rb.not_judged(evidence)
    assert ("chen2016", "objective") in set(missing.itertuples(index=False, name=None))
    judged = set(rb.lookup(evidence.risk_of_bias))
    assert judged.isdisjoint(missing.itertuples(index=False, name=None))


def test_where_there_are_no_results_nobody_is_left_unjudged(evidence):
    facts = ("outcomes", "directions", "responders", "independence", "safety")
    none = {name: getattr(evidence, name).iloc[:0] for name in facts}
    assert rb.not_judged(replace(evidence, **none)).empty


def test_all_reports_of_a_cohort_share_its_judgement(evidence):
    assert len(set(rb.of_studies(evidence, ["voltarelli2007", "couri2009"], "insulin"))) == 1


def test_other_rooms_mean_the_same_by_high_and_by_family():
    assert set(certainty.HIGH_RISK) == set(rb.HIGH)
    for outcome in outcomes.OUTCOMES.values():
        if outcome.kind != outcomes.DURATION:
            assert {rb.FAMILY_OF_OUTCOME[word] for word in outcome.raw} == {outcome.family}


def edit(raw, name, choose, **cells):
    """Change the first row that `choose` accepts; returns the line of the file it stands on."""
    with (raw / name).open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    position = next(i for i, row in enumerate(rows) if choose(dict(zip(header, row, strict=True))))
    for column, value in cells.items():
        rows[position][header.index(column)] = value
    with (raw / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return position + 2


def first(row):
    return True


RISK, CONDUCT = "risk_of_bias.csv", "trial_conduct.csv"
TRIALS, SEARCH = "registered_trials.csv", "publication_search.csv"


@pytest.mark.parametrize(
    ("name", "choose", "cells", "column", "says"),
    [
        (RISK, lambda r: r["tool"] == "rob2", {"settled": "serious"}, "settled", "of rob2"),
        (RISK, lambda r: r["tool"] == "rob2", {"domain": "d7"}, "domain", "a domain of rob2"),
        (RISK, lambda r: r["domain"] == "d2", {"domain": "d1"}, "domain", "d2"),
        (RISK, lambda r: r["domain"] == "d2", {"study_id": "nobody2000"}, "study_id", "study_id"),
        (RISK, first, {"cohort": "elsewhere"}, "cohort", "the cohort of"),
        (RISK, first, {"tool": "rob2"}, "tool", "robins_i, because"),
        (
            RISK,
            lambda r: r["assessor_a"] == r["assessor_b"] == "low",
            {"settled": "serious"},
            "settled",
            "both assessors agree",
        ),
        (RISK, first, {"support": ""}, "support", "blank"),
        (CONDUCT, first, {"study_id": "nobody2000"}, "study_id", "study_id of studies.csv"),
        (CONDUCT, first, {"registered": "none_found"}, "registry_id", "none_found"),
        (CONDUCT, first, {"registry_link": ""}, "registry_link", "registry_id"),
        (CONDUCT, first, {"funder": "industry not_seen"}, "funder", "alone"),
        (
            CONDUCT,
            lambda r: r["reported_primary_matches"] == "yes",
            {"registered_primary": ""},
            "registered_primary",
            "comparison",
        ),
        (TRIALS, first, {"registry_id": "NCT0031513"}, "registry_id", "NCT00315133"),
        (TRIALS, first, {"status": "maybe"}, "status", "one of"),
        (TRIALS, first, {"start": "2015-13"}, "start", "a date"),
        (TRIALS, first, {"start": "2015"}, "start", "not after"),
        (TRIALS, first, {"primary_completion_kind": ""}, "primary_completion_kind", "primary"),
        (TRIALS, first, {"study_ids": "nobody2000"}, "study_ids", "nobody2000 is none"),
        (
            TRIALS,
            lambda r: r["results"] == "published",
            {"study_ids": ""},
            "study_ids",
            "published",
        ),
        (
            TRIALS,
            lambda r: r["diabetes_type"] == "T2D",
            {"onset_group": "any"},
            "onset_group",
            "type 2",
        ),
        (TRIALS, first, {"last_known_status": "active"}, "last_known_status", "unknown"),
        (TRIALS, first, {"other_ids": "NCT00807651"}, "other_ids", "NCT00807651"),
        (TRIALS, first, {"status_seen_on": "2027"}, "status_seen_on", "not after read_on"),
        (SEARCH, first, {"registry_id": "NCT02644759"}, "registry_id", "registered_trials"),
        (SEARCH, first, {"match": ""}, "match", "report was found"),
        (SEARCH, first, {"study_id": "nobody2000"}, "study_id", "study_id of studies.csv"),
    ],
)
def test_a_wrong_row_is_named_with_what_is_allowed(raw_dir, name, choose, cells, column, says):
    line = edit(raw_dir, name, choose, **cells)
    faults = [f for f in ev.check(raw_dir) if f.file == name and f.column == column]
    assert any(says in f.allowed for f in faults), faults
    if column != "domain":
        assert line in {f.line for f in faults}


def test_a_registration_that_leads_nowhere_is_an_oddity(raw_dir):
    line = edit(
        raw_dir, "studies.csv", lambda r: r["study_id"] == "cai2016", registry_id="NCT09999999"
    )
    edit(raw_dir, TRIALS, lambda r: r["study_ids"] == "haller2013", study_ids="")
    edit(raw_dir, TRIALS, lambda r: r["registry_id"] == "NCT00873925", results="none_found")
    found = [str(w) for w in ev.warnings(ev.load(raw_dir)) if "registr" in str(w)]
    assert any(f"studies.csv:{line}:registry_id" in w and "not among" in w for w in found)
    assert any("does not name this report" in w for w in found)
    assert any("cai2016 names another registration" in w for w in found)


def test_every_registration_of_the_studies_is_among_the_registered_trials(evidence):
    found = [w for w in ev.warnings(evidence) if w.column in ("registry_id", "study_ids")]
    assert found == []
