"""Harms in the report: named, with denominators, bounds labelled, silence told."""

from types import SimpleNamespace

import pandas as pd
import pytest
from small_results import Small, small

from analysis import results as contract
from analysis.counting import harm_facts as counting
from analysis.report import chapters, harms, load, style, words
from analysis.stages import harms as stage


@pytest.fixture(scope="module")
def run():
    return small()


@pytest.fixture(scope="module")
def tracked(evidence):
    """The harms of the tracked evidence as its stage counts them, without any rate."""
    facts = stage.facts_of(evidence, counting.table(evidence).rows)
    made = {
        "harm_facts": facts.drop(columns="patients"),
        "harm_summary": stage.summary(evidence, facts),
        "harm_events": stage.events(evidence),
    }
    tables = {name: contract.checked(name, pd.DataFrame(rows)) for name, rows in made.items()}
    run = Small(None, tables)
    return SimpleNamespace(
        evidence=evidence, table=run.table, rows=run.rows, has=run.has, steps=run.steps
    )


def test_every_named_event_is_in_the_table_the_context_marked_as_shown_only(run):
    table = harms.events(run)
    assert len(table.rows) == len(run.table("harm_events"))
    assert (
        "meningioma | no | unclear | cell infusion | Invented 2025 | no, shown only" in table.text
    )
    assert set(table.ids) == set(run.table("harm_events")["source_rows"])


def test_context_enters_no_count(run):
    assert harms.deaths(run) == (3, 2)
    assert "**Cancers or tumours**: none is named" in harms.events_told(run)


def test_a_sentence_names_cause_denominator_and_who_judged(run):
    told = harms.events_told(run)
    assert "2 of 9 patients treated by islet replacement (Invented 2025): one meningitis" in told
    assert "Judged not related, by the source." in told
    assert "does not say whether it was related" in told


def test_hostile_words_of_a_source_stay_text(run):
    table = run.table("harm_events").copy()
    table.loc[table["event"] == "death", "what"] = "*x* <script> `rm`"
    told = harms.events_told(run.but(harm_events=table))
    assert "<script>" not in told and "\\*x\\*" in told


def test_exact_counts_and_lower_bounds_stand_side_by_side_with_both_bounds(run):
    table = harms.counts(run)
    rows = {(row[0], row[1]): row for row in table.rows}
    assert rows[("Deaths, any cause", "islet replacement")][2:] == (
        "2 of 9",
        "–",
        "9",
        "70.0",
        "80.3",
        "2 (20 patients)",
        "–",
    )
    assert rows[("Deaths, any cause", "cell infusion")][2:4] == ("–", "1 of 12")
    assert "One-sided 95 % bound" in table.columns and "Upper end, two-sided 95 %" in table.columns
    assert not any(row[0].startswith("Graft") for row in table.rows)


def test_the_silent_are_named_once_and_counted(run):
    rows = harms.silence(run).rows
    names = [name for row in rows for name in row[-1].split(", ")]
    assert sorted(names) == ["Mute 2011", "Mute 2012", "Mute 2013", "Quiet 2019", "Still 2020"]
    said = [row[:-1] for row in rows]
    assert len(set(said)) == len(said)  # groups that say the same stand together
    own = next(row for row in rows if "Mute 2012" in row[-1])
    assert own[:4] == ("cell infusion", "silent", "counted", "counted")
    assert all(int(row[-2]) == len(row[-1].split(", ")) for row in rows)
    assert "5 of 7 of deaths" in harms.silence_in_short(run)


def test_harms_of_a_graft_are_missed_only_where_there_is_one(tracked):
    told = harms.none_counted(tracked)
    islets, others = told.split("; after ", 1)
    assert "islet replacement: graft loss" in islets
    assert "graft" not in others and "infusion" in others


def test_who_says_only_that_no_death_was_related_is_neither_counted_nor_silent(tracked):
    """Cantu-Rodriguez 2016 prints a related mortality of 0 %: that is not silence on deaths."""
    table = tracked.table("harm_summary").set_index(["event", "relation", "approach"])
    row = table.loc[("death", "any", "immune_reset")]
    assert "Cantu-Rodriguez 2016" in row["other"].split(";")
    assert "Cantu-Rodriguez 2016" not in row["silent"].split(";")
    groups = len(counting.patient_table(tracked.evidence))
    for _, own in table.groupby(["event", "relation"]):
        counts = own[["k_cohorts", "k_at_least", "k_silent", "k_other"]].sum().sum()
        assert counts == groups
    told = harms.silence_in_short(tracked)
    assert f"({harms.only_related(tracked, 'death')} say only that none was related)" in told


def test_reports_cohorts_and_groups_are_reconciled_before_harms_are_counted(tracked):
    studies = tracked.evidence.studies
    eligible = studies[studies["include"] == "yes"]
    told = harms.denominators(tracked)
    assert f"Of {len(studies)} reports {len(eligible)} are eligible" in told
    assert f"on {eligible['cohort'].nunique()} cohorts" in told
    assert f"counted by group: {len(counting.patient_table(tracked.evidence))} of them" in told


def test_more_related_than_any_cause_is_explained(run):
    told = harms.reconciled(run)
    assert "come from different groups" in told
    table = run.table("harm_summary").copy()
    table.loc[table["relation"] == "any", "events"] = 9
    assert harms.reconciled(run.but(harm_summary=table)) == ""


def test_evidence_needed_labels_its_bounds_and_its_basis(run):
    text = harms.needed(run).text
    assert "Bound now, two-sided" in text and "Still needed, one-sided" in text
    assert (
        "cancers or tumours | islet replacement | 1 | 0 | – | 50 | 7.4 | 319 | 6.0 | 250".lower()
        in (text.lower())
    )
    assert "50 patient-years with no cancer or tumour leave room for as many as 7.4" in (
        harms.needed_told(run)
    )


def test_where_nobody_counted_cancers_all_patient_years_are_still_needed(run):
    table = run.table("evidence_needed").assign(patient_years=0.0, bound_now=float("nan"))
    table["needed_more"] = table["needed_in_all"]
    bare = run.but(evidence_needed=table)
    assert "nobody counted cancers" in harms.needed_told(bare)
    assert "369 patient-years without one" in harms.needed_told(bare)
    assert "| – | 369 | – | 300" in harms.needed(bare).text
    assert style.smallest_text(harms.evidence(bare)) >= style.SMALL


def test_the_title_of_the_bounds_is_what_they_show(run):
    assert harms.bounds_finding(run).startswith("No grave harm is ruled out")
    table = run.table("harm_summary").copy()
    table.loc[table["event"] == "death", "upper_975"] = 0.5
    assert harms.bounds_finding(run.but(harm_summary=table)).startswith("1 of ")


def test_the_title_of_the_evidence_needed_is_what_it_shows(run):
    assert harms.needed_finding(run) == "At most 13 of 100 patient-years that are needed exist"
    table = run.table("evidence_needed").copy()
    table["needed_more"] = 0.0
    assert "Enough" in harms.needed_finding(run.but(evidence_needed=table))


@pytest.mark.parametrize("draw", [harms.bounds, harms.evidence])
def test_figures_are_readable_and_say_in_words_when_there_is_nothing(run, draw):
    assert style.smallest_text(draw(run)) >= style.SMALL
    bare = run.without(*run.tables)
    said = [text.get_text() for text in draw(bare).axes[0].texts]
    assert any("Nothing to draw" in text for text in said)


def test_a_run_without_harms_says_so(run):
    bare = run.without(*run.tables)
    assert "No source names" in harms.events_told(bare)
    assert "Nothing to list" in harms.counts(bare).text
    assert harms.deaths(bare) == (0, 0) and harms.reconciled(bare) == ""
    assert "No approach has patient-years" in harms.needed_told(bare)


def test_harms_counted_in_both_arms_show_the_difference(run):
    assert harms.controls(run).rows[0][2:5] == ("0 of 10", "1 of 5", "−15.0")


def test_where_nobody_had_a_harm_no_difference_is_read(run):
    table = run.table("harm_controls").copy()
    nobody = table.assign(k=0, k_control=0)
    told = harms.controls(run.but(harm_controls=pd.concat([table, nobody])))
    assert told.rows[-1][-3:] == ("0 of 5", "none can be read", "–")
    alone = harms.controls(run.but(harm_controls=nobody))
    assert alone.columns == ("Study", "Harm", "Treated", "Controls")


def test_lower_bounds_stand_in_the_figure_of_bounds_as_open_at_their_upper_end(tracked):
    facts = tracked.rows("harm_facts", relation="any", arm="treated", bound="at_least")
    shown = facts[facts["k"].gt(0) & facts["event"].isin(harms.SHOWN)]
    axes = harms.bounds(tracked).axes[0]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    for (word, _), own in shown.groupby(["event", "approach"]):
        told = f"{harms.event(word, 2)}\nat least {own['k'].sum():.0f} of {own['n'].sum():.0f}"
        assert any(label.startswith(told) for label in labels), told
    open_ends = [line for line in axes.lines if line.get_marker() == ">"]
    assert len(open_ends) == sum("at least" in label for label in labels) > 0
    assert all(line.get_xdata()[0] == harms.HIGHEST for line in open_ends)


def test_benign_tumours_and_growth_of_the_graft_are_told_with_what_the_source_says(tracked):
    """A cohort that names one is told; what is said of the graft is told as no count of cancer."""
    results = tracked
    facts = results.rows("harm_facts", event=harms.GRAFT, relation="any", arm="treated")
    told = str(harms.events_told(results)).replace("\\", "")
    rows = [*harms.benign(results).itertuples(), *facts.itertuples()]
    assert {row.event for row in rows} == {harms.BENIGN, harms.GRAFT}
    assert "says that it looked for cancer of its patients" in told
    safety = results.evidence.safety
    for row in rows:
        own = safety[safety["study_id"].eq(row.study_id) & safety["event_category"].eq(row.event)]
        assert words.study(row.label) in told
        assert own["event_detail"].iloc[0].rstrip(".") in told


def test_a_lower_bound_is_told_as_one_wherever_it_is_named(tracked):
    """Shapiro 2021 prints two severe infections, not in how many patients."""
    facts = tracked.rows("harm_facts", relation="any", arm="treated", bound="at_least")
    least = set(zip(facts["cohort"], facts["event"], strict=True))
    table = harms.named(tracked)
    assert set(table["least"]) == {True, False}
    for _, row in table.iterrows():
        told = harms.how_many(row)
        assert told.startswith("at least ") is ((row["cohort"], row["event"]) in least)
        assert told in harms.sentence_of(row)
    total = table.loc[table["event"] == "severe_infection", "k"].sum()
    assert f"**Severe infections**: at least {total:.0f} patients" in harms.events_told(tracked)
    assert sum("at least" in text for row in harms.events(tracked).rows for text in row[:2]) > 2


@pytest.mark.parametrize("approach", list(harms.ORDER))
@pytest.mark.parametrize("word", ["death", "severe_infection"])
def test_who_had_a_harm_is_told_of_all_who_speak_of_it_the_zeros_too(tracked, approach, word):
    facts = tracked.rows("harm_facts", event=word, relation="any", approach=approach, arm="treated")
    told = harms.stated(tracked, word, approach)
    for bound, before in (("exact", ""), ("at_least", "at least ")):
        own = facts[facts["bound"] == bound]
        text = f"{before}{own['k'].sum():.0f} of {own['n'].sum():.0f}"
        assert (text in told) is (len(own) > 0)
    assert told or facts.empty


def test_a_grave_event_of_a_report_that_calls_none_related_says_who_judged_and_what(tracked):
    """The zero of related serious adverse events holds for each death and severe infection."""
    events = tracked.table("harm_events")
    safety = tracked.evidence.safety
    zero = safety[
        safety["event_category"].eq("serious_adverse_event")
        & safety["relation"].eq("treatment_related")
        & safety["n_patients"].eq(0)
    ]
    own = events[events["study_id"].isin(zero["study_id"]) & events["judged_by"].ne("the source")]
    assert {"reichman2025", "shapiro2021"} <= set(own["study_id"])
    assert set(own["relation"]) == {"unrelated"}
    by = own.set_index("study_id")["judged_by"]
    assert by["shapiro2021"].startswith("the investigators, as far as the cells go")
    assert by["reichman2025"].str.startswith("the sponsor, as far as the cells go").all()
    assert own["judged_by"].str.contains("nothing is said of immunosuppression").all()
    told = harms.events_told(tracked)
    assert "Judged not related, by the sponsor, as far as the cells go" in told


def test_a_tumour_of_people_in_no_count_is_named_beside_the_none(tracked):
    outside = harms.in_no_count(tracked, "malignancy_or_tumour")
    assert len(outside)
    told = str(harms.events_told(tracked)).replace("\\", "")
    assert "**Cancers or tumours**: none is named in a group that is counted. In no count:" in told
    for row in outside.itertuples():
        assert f"{row.k:.0f} of {row.n:.0f} people" in told and row.what in told
        assert "whose is not told" in row.what
    bare = tracked.table("harm_events").query("eligible == 'yes'")
    only = SimpleNamespace(
        table=lambda name: bare if name == "harm_events" else tracked.table(name),
        rows=tracked.rows, evidence=tracked.evidence,
    )  # fmt: skip
    assert "**Cancers or tumours**: none is named.\n" in str(harms.events_told(only))


def test_events_known_as_lower_bounds_stand_beside_the_patient_years_needed(tracked):
    facts = stage.facts_of(tracked.evidence, counting.table(tracked.evidence).rows)
    own = facts[facts["event"].eq("death") & facts["relation"].eq("any")
                & facts["approach"].eq("immune_reset") & facts["arm"].eq("treated")]  # fmt: skip
    made = pd.DataFrame(stage.evidence_needed("death", "immune_reset", own))
    made = contract.checked("evidence_needed", made)
    run = Small(None, {"evidence_needed": made, "harm_summary": tracked.table("harm_summary")})
    table = harms.needed(run)
    least = own[own["bound"] == "at_least"]
    known = f"at least {least['k'].sum():.0f} of {least['n'].sum():.0f}"
    assert table.rows[0][table.columns.index("Known besides")] == known
    labels = [text.get_text() for text in harms.evidence(run).axes[0].get_yticklabels()]
    assert labels and all(known in text for text in labels)


def test_a_harm_of_men_says_so_and_neutropenia_after_conditioning_is_known_elsewhere(tracked):
    counts = harms.also_counted(tracked, "immune_reset")
    assert "low sperm count" in counts["impaired_fertility"]
    assert "how many are men, or were tested, is not told" in counts["impaired_fertility"]
    assert "men" not in counts["severe_infection"]
    assert counts["neutropenia"] == ""
    assert "known from other fields" in harms.known_elsewhere("immune_reset", "neutropenia")
    assert harms.known_elsewhere("islet_replacement", "neutropenia") == ""


def test_freedom_from_severe_hypoglycaemia_stands_beside_those_who_had_one(run_folder, tracked_raw):
    there = load(run_folder, tracked_raw)
    told = chapters.shares(there, "islet_replacement", "t1d", "free_of_severe_hypoglycaemia")
    had = harms.stated(there, "severe_hypoglycaemia", "islet_replacement", "t1d")
    assert "at least" in had and had in told


def test_a_judgement_of_some_patients_is_none_of_all(evidence):
    """Without a related serious event in 17, an infection among 31 may be related."""
    rows = evidence.safety
    row = rows[rows["study_id"].eq("shapiro2021") & rows["event_category"].eq("severe_infection")]
    one = row.iloc[0].to_dict()
    study = evidence.studies.set_index("study_id").loc["shapiro2021"]
    assert stage.judgement(evidence, one, study)[0] == "unrelated"
    assert stage.judgement(evidence, {**one, "n_at_risk": 31}, study) == ("any", "")
    assert stage.judgement(evidence, {**one, "relation": "treatment_related"}, study) == (
        "treatment_related",
        "the source",
    )


def test_patient_years_of_the_longest_follow_up_are_said_to_be_a_ceiling(tracked):
    told = str(harms.exposure(tracked))
    facts = tracked.rows("harm_facts", arm="treated", bound="exact")
    facts = facts[facts["patient_years"] > 0]
    assert f" of {len(facts)} exact counts that is the longest" in told
    studies = tracked.evidence.studies
    whole = SimpleNamespace(
        rows=tracked.rows,
        evidence=SimpleNamespace(studies=studies.assign(followup_kind="minimum")),
    )
    assert "ceiling" not in harms.exposure(whole)
    assert harms.exposure(SimpleNamespace(rows=lambda *_, **__: facts.iloc[:0])) == ""


def test_what_is_judged_of_islets_are_the_cells_and_not_the_drugs(tracked):
    rows = {(row[0], row[1]): row for row in harms.counts(tracked).rows}
    of_cells = "Serious adverse events, judged related to the cells"
    assert (of_cells, "islet replacement") in rows and (of_cells, "cell infusion") not in rows
    assert ("Serious adverse events, judged related to the treatment", "cell infusion") in rows


def test_side_effects_of_any_kind_stand_among_the_counts_without_a_rate(tracked):
    every = harms.side_effects(tracked)
    assert len(every) == len(every.drop_duplicates(["patients", "relation"]))
    rows = [row for row in harms.counts(tracked).rows if row[0].startswith("Any side effect")]
    own = every[every["approach"].eq("immune_reset") & every["k"].gt(0)]
    told = f"{own['k'].sum():.0f} of {own['n'].sum():.0f}"
    assert any(row[1] == "immune reset" and told in row[2:4] for row in rows)
    assert all(set(row[4:]) == {"–"} for row in rows)
