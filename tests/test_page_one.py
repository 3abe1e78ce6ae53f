"""The first page: its sentence, its cards and claims say what the run holds, and no more."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from small_results import small

from analysis import claims as room
from analysis import outcomes, results, verdicts
from analysis.evidence.references import reference
from analysis.report import cards, chapters, claims_page, directions, page_one, readings
from analysis.report.cards import Line


@pytest.fixture(scope="module")
def run():
    return small()


def lines(run) -> dict[str, Line]:
    return {
        f"{card.title}: {line.label}": line
        for card in page_one.cards(run).cards
        for line in card.lines
    }


@pytest.fixture(scope="module")
def face(run) -> dict[str, Line]:
    """The lines of all cards of the run as it is."""
    return lines(run)


# --- the sentence ------------------------------------------------------------------------------


def test_the_title_is_answered_in_three_sentences_with_counts(run):
    answer = page_one.answer(run)
    assert answer.startswith("**Yes, in some people:**") and answer.count(". ") == 2
    assert "9 of 9 given stem-cell islets and 2 of 10 given stem-cell progenitors" in answer
    assert "At least 6 of 9 given stem-cell islets needed no insulin at 12 months." in answer
    assert answer.endswith("infused cells is more than suggested.")


def test_deaths_are_told_once_before_the_cards_and_first(run):
    told = page_one.text_before_cards(run)
    assert told.startswith("**Known deaths.**")
    assert told.count("2 of 9 after islet replacement") == 1
    assert "died" not in page_one.answer(run)


def test_without_counts_or_claims_the_answer_says_that_it_is_not_known(run):
    bare = run.without("share_facts", "claims", "harm_events", "duration_follow_up")
    answer = page_one.answer(bare)
    assert answer.startswith("**Not known")
    assert "None named" in page_one.known_harms(bare)
    assert "lasts is not known," in answer


def test_an_unshown_claim_is_not_answered_with_yes(run):
    table = run.table("claims").copy()
    table.loc[table["claim_id"] == "islets_c_peptide", "verdict"] = "suggested"
    assert page_one.answer(run.but(claims=table)).startswith("**Perhaps:**")


def test_follow_up_ends_what_is_known_of_durations(run, face):
    told = page_one.answer(run)
    assert "How long that lasts is not known beyond 24 months" in told
    assert face["Immune reset, type 1: How long"].value.startswith("not known")


def test_deaths_and_fatal_infections_are_named_with_their_denominators(run):
    told = page_one.known_harms(run)
    assert "2 of 9 after islet replacement (1 of infection: fatal meningitis" in told
    assert "1 of 12 after cell infusion" in told and "judged not related" in told
    assert "5 of 7 groups do not say whether anyone died." in told


def test_every_fatal_infection_is_named_where_a_cohort_had_several(run):
    table = run.table("harm_events")
    fatal = table[(table["event"] == "severe_infection") & (table["fatal"] == "yes")]
    more = pd.concat([table, fatal.assign(what="fatal sepsis")], ignore_index=True)
    told = page_one.known_harms(run.but(harm_events=more))
    assert "2 of infection" in told and "fatal meningitis" in told and "fatal sepsis" in told


def test_a_fatal_infection_is_named_also_where_no_death_is_counted(run):
    table = run.table("harm_events")
    told = page_one.known_harms(run.but(harm_events=table[table["event"] != "death"]))
    assert "1 of 9 after islet replacement (1 of infection: fatal meningitis" in told
    assert "None named" not in told


def test_what_stands_before_the_cards_is_read_in_a_minute(run):
    assert len(page_one.text_before_cards(run).split()) <= 250


def test_nobody_is_told_to_change_a_treatment(run):
    assert "Nobody should change a treatment, stop insulin or pay" in page_one.advice()


# --- cards -------------------------------------------------------------------------------------


def test_a_card_tells_a_mean_with_its_interval_basis_certainty_and_place(face):
    line = face["Cell infusion, type 2: HbA1c against controls"]
    assert line.value == "−0.60\u00a0points" and line.interval == "−1.10 to −0.10"
    assert line.behind == "4 studies, 120 patients" and line.certainty == "very low certainty"
    assert line.alone == "−0.40\u00a0points (−1.00 to 0.20)" and line.new_study == "−1.60 to 0.40"
    assert line.where.n == 50 and any("results in words move it towards" in m for m in line.more)


def test_a_single_study_is_told_as_itself_and_never_as_a_mean(face):
    line = face["Immune reset, type 1: HbA1c against controls"]
    assert (
        line.value == "lower; the study prints no number"
        and line.interval == ""
        and line.where is None
    )
    line = face["Immune reset, type 1: C-peptide against controls"]
    assert line.value == "1.50\u00a0times" and line.interval == ""
    assert any("no spread printed" in more for more in line.more)


def test_results_in_words_are_counted_and_none_is_said_to_be_none(face):
    found = face
    assert found["Cell infusion, type 2: C-peptide against controls"].value == "higher in 3 of 4"
    told = found["Cell infusion, type 1: HbA1c against controls"].value
    assert told.startswith("compared in ") and told.endswith(", none usable")  # rows, no estimate


def test_classes_of_islets_stand_apart_with_the_limits_of_their_sources(face):
    found = face
    islets = found["Islet replacement, type 1: C-peptide again, stem-cell islets"]
    assert islets.value == "9 of 9" and any("above 0.1 ng/mL" in more for more in islets.more)
    assert (
        found["Islet replacement, type 1: C-peptide again, stem-cell progenitors"].value
        == "2 of 10"
    )


def test_a_lower_bound_says_at_least_and_has_no_upper_end(face):
    line = face["Islet replacement, type 1: Insulin-free at 12 months, of all treated"]
    assert line.value == "at least 6 of 9" and line.interval == "30 or more of 100"


def test_the_cards_have_every_line_in_print_too(run):
    made = page_one.cards(run)
    markdown, page = made._repr_markdown_(), made._repr_html_()
    for card in made.cards:
        assert f"<h2>{card.title}</h2>" in page
    assert len(made.frame) == sum(len(card.lines) for card in made.cards)
    assert "0\\.60" in markdown and "hba1c:cell_infusion:t2d" in page


def test_several_harms_of_a_card_stand_on_lines_of_their_own():
    value = "a in 1 of 9; b in 2 of 9 (low; of all)"
    card = cards.Card("x", (Line("Harms counted", value, several=True), Line("y", "lower; no")))
    page = cards.Cards((card,))._repr_html_()
    assert "a in 1 of 9<br>b in 2 of 9 (low; of all)<" in page
    assert "<strong>lower; no</strong>" in page


def test_hostile_words_of_a_source_stay_text_in_a_card():
    made = cards.Cards((cards.Card("<b>", (Line("a|b", "<script>x</script>", more=("*y*",)),)),))
    assert "<script>" not in made._repr_html_() and "&lt;b&gt;" in made._repr_html_()
    assert "\\<script\\>" in made._repr_markdown_()


def test_each_card_has_a_small_picture_of_its_numbers(run):
    for card in page_one.cards(run)._repr_html_().split("</section>")[:-1]:
        assert ('class="strip"' in card) == ("of 100" in card or "analyses" in card)
    share = cards.track(0.5, 0.25, 0.75)
    assert (
        'aria-label="50 of 100, interval 25 to 75"' in share
        and f'width="{cards.WIDE / 2}"' in share
    )


def test_the_small_picture_holds_headline_and_no_effect_within_its_frame(run):
    where = readings.standing(run, "hba1c", "cell_infusion", "t2d")
    picture = cards.strip(where)
    places = [float(x) for x in re.findall(r'(?:x1|x2|cx)="([-\d.]+)"', picture)]
    assert len(places) == 7 and min(places) >= 0 and max(places) <= cards.WIDE
    assert 'role="img"' in picture and "50 defensible analyses" in picture


# --- direction words ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("with_words", "alone", "said"),
    [(-0.6, -0.4, "towards benefit"), (-0.4, -0.6, "away from benefit"), (-0.6, -0.61, "hardly")],
)
def test_what_words_do_to_a_mean_is_computed(run, with_words, alone, said):
    table = run.estimates.copy()
    own = (table["outcome"] == "hba1c") & (table["design"] == "controlled")
    table.loc[own & (table["variant"] == "headline") & (table["quantity"] == "mean"), "mean"] = (
        with_words
    )
    table.loc[own & (table["variant"] == "numbers_only"), "mean"] = alone
    moved = readings.effect(run.but(estimates=table), "hba1c", "cell_infusion", "t2d").words_move
    assert said in moved


def test_a_ratio_is_never_written_like_a_probability():
    assert (
        readings.percent_change(2.04) == "104\u00a0%"
        and readings.percent_change(0.002) == "−100\u00a0%"
    )
    assert readings.percent_change(1.995) == "100\u00a0%"
    assert readings.figure("c_peptide_ratio", 104.0) == "104.00\u00a0times"
    assert readings.figure("insulin_dose", np.nan) == "–"


# --- claims ------------------------------------------------------------------------------------


def test_claims_are_grouped_and_an_empty_group_says_so(run):
    page = claims_page.grouped(run)._repr_html_()
    assert page.index("Shown") < page.index("Suggested") < page.index("Not known")
    assert "None of the claims looked at." in page
    made = claims_page.grouped(run)
    shown = set(made.table["Group"])
    assert set(claims_page.GROUPS.values()) <= shown
    assert shown == set(claims_page.GROUPS.values()) | {claims_page.HEADS[h] for h in made.heads}
    for word, head in claims_page.APART.items():
        under = made.table[made.table["Group"] == claims_page.HEADS[head]]
        assert set(under["Word"]) <= {word}


def test_benefits_harms_and_remarks_stand_apart_within_a_group(run):
    table = run.table("claims")
    kinds = {name: claims_page.KINDS[name] for name in set(table["kind"])}
    page = claims_page.grouped(run)._repr_html_()
    heads = table["verdict"].map(claims_page.APART).fillna(table["group"])
    for group, rows in table.groupby(heads):
        own = page.split(f'class="claims {group}"')[1].split("</section>")[0]
        wanted = {kinds[kind] for kind in rows["kind"]}
        assert set(re.findall(r'<p class="kind">([^<]+)</p>', own)) == (
            wanted if len(wanted) > 1 else set()
        )
        assert own.count("<li>") == len(rows)
    assert set(claims_page.KINDS) == set(verdicts.KINDS)


def test_every_claim_of_the_run_is_in_the_full_table_under_its_id(run):
    table = claims_page.table(run)
    assert sorted(table.ids) == sorted(run.table("claims")["claim_id"])


def test_known_harms_cite_sources_that_the_claims_room_holds(run):
    keys = {source.key for source in room.OTHER_FIELDS}
    known = {claim.id for claim in room.CLAIMS if claim.kind == "known_harm"}
    assert set(room.SOURCES_OF) == known
    assert {key for cited in room.SOURCES_OF.values() for key in cited} == keys
    assert "Barton FB et al. 2012" in claims_page.table(run).text


def test_the_order_of_groups_is_that_of_the_claims_room():
    assert set(room.GROUPS.values()) == set(claims_page.GROUPS)


@pytest.mark.parametrize("stratum", page_one.CARDS)
def test_a_summary_of_findings_has_at_most_seven_outcomes_and_harms_among_them(run, stratum):
    table = claims_page.summary_of_findings(run, *stratum)
    assert 1 < len({row[0].split(":")[0] for row in table.rows}) <= 7
    assert table.rows[-1][0] == "Deaths and severe infections named"


def test_each_certainty_of_the_findings_has_its_steps(run):
    text = claims_page.summary_of_findings(run, "cell_infusion", "t2d").text
    assert "starts high" in text and "down two: all of the weight" in text
    assert "the population and comparator" not in text  # a step of no level is none


def test_page_and_findings_give_one_number_for_one_estimand(run, face):
    card = face["Cell infusion, type 2: HbA1c against controls"]
    rows = {
        row[0]: row for row in claims_page.summary_of_findings(run, "cell_infusion", "t2d").rows
    }
    assert rows["HbA1c, difference from controls"][1] == card.value
    row = results.one(
        run.estimates,
        outcome="hba1c",
        approach="cell_infusion",
        population="t2d",
        design="controlled",
        scale="difference",
    )
    assert card.id == row["id"]


def test_a_run_without_any_table_still_makes_the_page(run):
    bare = run.but(estimates=run.estimates.iloc[:0]).without(*run.tables)
    assert page_one.cards(bare)._repr_html_() and page_one.known_harms(bare)
    assert "No claim was judged" in claims_page.in_short(bare)
    assert claims_page.table(bare).text and claims_page.grouped(bare)._repr_markdown_()


def test_who_was_ever_free_of_insulin_after_new_islets_is_told_class_by_class(run):
    """Ten of fourteen must not lend their number to cells of another kind."""
    facts = run.table("share_facts")
    own = facts[facts["outcome"] == "c_peptide_detectable"].assign(outcome="ever_insulin_free")
    own = own[own["approach"] == "islet_replacement"]
    classes = sorted(set(own["cell_class"]))
    assert len(classes) > 1
    both = run.but(share_facts=pd.concat([facts, own], ignore_index=True))
    card = page_one.cards(both).cards[0]
    labels = [line.label for line in card.lines if line.label.startswith("Ever insulin-free")]
    assert labels == [
        f"Ever insulin-free, {readings.CLASS_WORDS[word]}"
        for word in sorted(set(own["cell_class"]))
    ]
    told = readings.classes_told(own, "ever_insulin_free")
    assert told.count(" given ") == len(classes)


def test_a_headline_outside_nine_of_ten_of_its_analyses_says_what_most_find(run):
    place = readings.standing(run, "hba1c", "cell_infusion", "t2d")
    for headline, low, high, said in (
        (-0.9, -0.8, 0.1, "find less benefit: the middle one −0.40"),
        (0.3, -0.8, 0.1, "find more benefit: the middle one −0.40"),
        (-0.5, -0.8, 0.1, ""),
    ):
        other = replace(place, headline=headline, low=low, high=high, median=-0.4)
        assert said in other.apart and bool(said) == bool(other.apart)
        assert (said or "nine of ten analyses give −0.80 to 0.10") in other.on_face
        assert said in other.words


def test_numbers_alone_and_the_place_stand_on_the_face_of_a_card(run, face):
    line = face["Cell infusion, type 2: HbA1c against controls"]
    assert "umbers alone −0.40" in line.face and "ine of ten analyses give " in line.face
    shown = re.sub(r"<details.*?</details>", "", page_one.cards(run)._repr_html_(), flags=re.S)
    assert line.face in shown and line.face in page_one.cards(run).text


@pytest.mark.parametrize(
    ("whole", "alone", "said"),
    [
        ((-2, -1), (-2, 1), "off no effect"),
        ((-2, 1), (-2, -1), "back over no effect"),
        ((-1, 1), (-2, 2), "50\u00a0% narrower"),
        ((1, 2), (1, 2), "as wide"),
    ],
)
def test_what_words_do_to_an_interval_is_said(whole, alone, said):
    assert said in directions.interval_moved(whole, alone)


@pytest.mark.parametrize(("probability", "out"), [(0.01, True), (0.025, True), (0.03, False)])
def test_an_important_effect_is_ruled_out_only_by_its_probability(run, probability, out):
    row = run.get(outcome="hba1c", approach="cell_infusion", population="t2d", design="controlled",
                  scale="difference", variant="headline")  # fmt: skip
    chance = {"outcome": "hba1c", "approach": "cell_infusion", "population": "t2d",
              "design": "controlled", "quantity": "probability", "threshold": -0.5,
              "scale": "probability", "unit": "probability", "mean": probability,
              "k_studies": row["k_studies"], "n_patients": row["n_patients"]}  # fmt: skip
    table = pd.concat([run.estimates, results.estimates([chance])], ignore_index=True)
    told = readings.ruled_out(run.but(estimates=table), "hba1c", "cell_infusion", "t2d")
    assert bool(told) == out and ("−0.50" in told) == out


def test_the_mark_of_a_share_is_the_number_printed(run):
    row = {"outcome": "ever_insulin_free", "approach": "immune_reset", "population": "t1d",
           "cell_class": "all", "n_usable": 9, "share_as_favourable": 0.5, "headline": 0.5,
           "counted": 0.4, "median": 0.5, "low": 0.4, "high": 0.6, "least": 0.3, "most": 0.7,
           "strongest_choice": "cells"}  # fmt: skip
    place = readings.share_standing(run.but(share_standing=pd.DataFrame([row])),
                                    "ever_insulin_free", "immune_reset", "t1d")  # fmt: skip
    assert place.headline == 0.4


# --- shares and durations among their analyses, and pictures in print ----------------------------


def stood(**more) -> readings.Standing:
    parts = {"outcome": "ever_insulin_free", "headline": 0.6, "low": 0.4, "high": 0.8, "least": 0.2,
             "most": 0.9, "n": 40, "as_favourable": 0.25, "clear": float("nan"), "choice": "cells",
             "of": "counts"}  # fmt: skip
    return readings.Standing(**parts | more)


def test_a_share_stands_among_its_counts_on_the_scale_of_the_share():
    picture = cards.track(0.5, 0.25, 0.75, stood())
    assert f'cx="{0.6 * cards.WIDE:.1f}"' in picture and f'x2="{0.8 * cards.WIDE:.1f}"' in picture
    assert "of 40 defensible counts 25" in picture and "from 40 to 80 of 100" in picture
    assert "circle" not in cards.track(0.5, 0.25, 0.75)


def test_a_place_among_curves_has_no_stroke_of_no_effect():
    assert 'class="none"' not in cards.strip(stood(outcome="insulin_free_duration"))


def test_the_picture_of_a_share_in_letters_counts_in_tens():
    drawn = [cards.in_letters(Line("x", "y", share=(share, 0, 1))) for share in (0, 0.34, 0.96, 1)]
    assert drawn == ["□" * 10, "■" * 3 + "□" * 7, "■" * 10, "■" * 10]
    assert cards.in_letters(Line("x", "y")) == "–"


def test_the_picture_of_a_place_in_letters_keeps_the_order_of_the_numbers():
    drawn = cards.places_in_letters(stood())
    assert drawn.startswith("0\u00a0") and drawn.endswith("\u00a0100") and "|" not in drawn
    first = {letter: drawn.index(letter) for letter in "·=●"}
    assert first["·"] < first["="] < first["●"]
    effect = readings.Standing("hba1c", -0.8, -1.0, -0.2, -1.2, 0.1, 50, 0.3, 0.4, "cells")
    drawn = cards.places_in_letters(effect)
    assert drawn.index("●") < drawn.index("|")
    assert drawn.startswith("←")  # less HbA1c is good
    gain = replace(effect, outcome="c_peptide_gain")
    assert cards.places_in_letters(gain).endswith("→") and "good →" in cards.strip(gain)
    assert "← good" in cards.strip(effect)


@pytest.mark.parametrize("form", ["_repr_html_", "_repr_markdown_"])
def test_each_form_of_the_cards_says_what_its_pictures_mean(run, form):
    text = getattr(page_one.cards(run), form)()
    known = cards.KEY["screen" if "html" in form else "paper"]
    signs = re.findall(r"[■□●]", text)
    assert known.split(".")[0].split(":")[0] in text.replace("\\", "")
    assert bool(signs) == ("markdown" in form)


def test_too_few_counts_have_no_place_and_a_duration_none_beyond_its_follow_up(run):
    row = {"outcome": "ever_insulin_free", "approach": "immune_reset", "population": "t1d",
           "cell_class": "all", "n_usable": 4, "share_as_favourable": 0.5, "headline": 0.5,
           "low": 0.4, "high": 0.6, "least": 0.3, "most": 0.7, "counted": 0.5, "median": 0.5,
           "strongest_choice": "cells"}  # fmt: skip
    asked = ("ever_insulin_free", "immune_reset", "t1d")
    assert readings.share_standing(run.but(share_standing=pd.DataFrame([row])), *asked) is None
    many = run.but(share_standing=pd.DataFrame([row | {"n_usable": 5}]))
    assert readings.share_standing(many, *asked).n == 5
    curve = row | {"quantity": "survival", "month": 12, "beyond_data": True, "n_usable": 9}
    beyond = run.but(duration_standing=pd.DataFrame([curve]))
    assert readings.duration_standing(beyond, "immune_reset", "t1d") is None


def test_the_words_of_the_claims_add_up_to_all_of_them(run):
    told = claims_page.in_short(run)
    table = run.table("claims")
    numbers = [int(n) for n in re.findall(r"(\d+) [a-z]", told)]
    assert numbers[0] == len(table) == sum(numbers[1:])
    assert all(word in told for word in set(table["verdict"]))


def test_no_chance_and_no_figure_of_the_curve_stand_beside_what_is_not_known(run):
    claims = run.table("claims").assign(
        verdict="not known", kind="duration", value=0.2, ci_low=0.1, ci_high=0.4, unit="share",
        probability=0.01,
    )  # fmt: skip
    table = claims_page.table(run.but(claims=claims))
    for name in ("Chance", "Figure (95 % interval)"):
        assert {row[table.columns.index(name)] for row in table.rows} == {"–"}


def lower_bound(evidence, *, bound: str, k: int, n: int, seen: int):
    """A run's facts with one lower bound, of whose people `seen` were counted by the source."""
    row = evidence.independence.iloc[[0]].assign(
        study_id="few2020", arm="treated", fact="at_time", n_total=seen, k=k, bound=bound
    )
    name = reference("independence", row.iloc[0].to_dict())
    facts = pd.DataFrame([{"outcome": "insulin_free_12", "k": k, "n": n, "bound": "at_least",
                           "source_rows": name}])  # fmt: skip
    return SimpleNamespace(evidence=SimpleNamespace(independence=row)), facts


@pytest.mark.parametrize(
    ("bound", "k", "n", "seen", "said"),
    [
        ("exact", 10, 14, 12, "2 of 14 are not in the source's count, so at most 12"),
        ("exact", 12, 13, 12, "1 of 13 is not in the source's count"),
        ("at_least", 10, 14, 12, ""),  # also of the twelve it may be more
    ],
)
def test_a_lower_bound_is_never_more_than_those_not_counted_allow(
    evidence, bound, k, n, seen, said
):
    run, facts = lower_bound(evidence, bound=bound, k=k, n=n, seen=seen)
    assert readings.at_most(run, facts) == said
    assert readings.not_counted(run, facts.assign(bound="exact")) is None


def test_where_a_headline_stands_at_an_edge_the_choices_that_put_it_there_are_named(tracked_run):
    found = 0
    for outcome in ("hba1c", "insulin_dose", "c_peptide_ratio", "c_peptide_gain"):
        for population in ("t1d", "t2d"):
            stratum = (outcome, "cell_infusion", population)
            place = readings.standing(tracked_run, *stratum)
            told = chapters.result(tracked_run, *stratum)
            at_edge = place is not None and bool(place.apart)
            assert ("stands at an edge" in told) == at_edge
            found += at_edge
            if at_edge:
                named = told.split("these count most: ")[1]
                means = [float(x.replace("−", "-")) for x in re.findall(r"\((−?[\d.]+)\)", named)]
                about = outcomes.get(outcome)
                assert all(about.good * (mean - place.headline) < 0 for mean in means)
    assert found


def test_the_first_population_of_an_approach_tells_its_counted_harms_once(face):
    told = face["Cell infusion, type 2: Harms counted"].value
    assert told == "as for type 1: both are counted together"
    assert "Cell infusion, type 1: Harms counted (both types)" in face
