"""The steps behind a figure: the same in the terminal and on the page, down to rows and sources."""

import re
from html.parser import HTMLParser

import pytest
from conftest import every

from analysis.explain import explain
from analysis.report import chains, claims_page, harms, page_one, tables
from analysis.report.tables.base import grid

ROW = re.compile(r"\w+\.csv line \d+")


@pytest.fixture(scope="module")
def run(tracked_run):
    """The tracked run as the report reads it."""
    return tracked_run


class Outline(HTMLParser):
    """The text of each list item with how deep its list lies."""

    def __init__(self, page: str):
        super().__init__()
        self.depth, self.items = 0, []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.depth += tag == "ul"
        if tag == "li":
            self.items.append([self.depth - 1, ""])

    def handle_endtag(self, tag):
        self.depth -= tag == "ul"

    def handle_data(self, data):
        if self.items and self.depth:
            self.items[-1][1] += data


def walked(lines) -> bool:
    """Whether steps reach a raw row and an address."""
    text = "\n".join(lines)
    return bool(ROW.search(text)) and "http" in text


# --- on the page -------------------------------------------------------------------------------


def test_steps_are_a_list_within_a_list_as_deep_as_they_lie():
    page = chains.html(("a", "  b", "    c", "  d", "e"), "how")
    assert Outline(page).items == [[0, "a"], [1, "b"], [2, "c"], [1, "d"], [0, "e"]]
    assert page.startswith('<details class="chain"><summary>how</summary>')
    assert page.count("<ul>") == page.count("</ul>") and page.count("<li>") == page.count("</li>")


def test_nothing_opens_where_there_are_no_steps():
    assert chains.html((), "how") == ""
    assert "<details" not in grid(frame(), steps=((),))._repr_html_()


def frame():
    import pandas as pd

    return pd.DataFrame({"a": ["x"]})


def test_an_address_is_a_link_and_nothing_else_is():
    page = chains.html(("https://example.org/a?b=1&c=2 (abstract)", "javascript:alert(1)"), "how")
    assert '<a href="https://example.org/a?b=1&amp;c=2">example.org</a> (abstract)' in page
    assert page.count("<a ") == 1 and "javascript:alert(1)" in page


@pytest.mark.parametrize("word", ["<script>x</script>", '"><img src=x onerror=y>', "a & b"])
def test_what_stands_in_a_cell_stays_text(word):
    page = chains.html((word, f"  https://example.org/{word}"), word)
    assert "<script" not in page and "<img" not in page
    assert Outline(page).items[0] == [0, word]


def test_a_table_opens_the_chain_of_a_row_on_the_page_and_not_in_print():
    made = grid(frame(), ids=("e1",), steps=(("e1", "  outcomes.csv line 3: x"),))
    assert "outcomes.csv line 3" in made._repr_html_()
    assert "outcomes.csv" not in made._repr_markdown_()
    with pytest.raises(ValueError, match="2 chains for 1 rows"):
        grid(frame(), steps=((), ()))


# --- the same steps, down to the rows -------------------------------------------------------------


@pytest.mark.parametrize("stride", every(150, 7))
def test_claims_and_studies_open_what_explain_prints(run, evidence, run_folder, built_once, stride):
    for table in (claims_page.table(run), tables.study_table(run)):
        for name, steps in list(zip(table.ids, table.steps, strict=True))[::stride]:
            assert list(steps) == explain(name, evidence, run_folder)
            page = chains.html(steps, "how")
            for line in steps:
                if "http" not in line:
                    assert line.strip() in [text for _, text in Outline(page).items]


def test_every_eligible_study_is_walked_to_its_rows_or_has_none(run, evidence):
    table = tables.study_table(run)
    with_rows = {row["study_id"] for name in ("outcomes", "directions", "responders",
                                              "independence", "safety")
                 for row in getattr(evidence, name).to_dict("records")}  # fmt: skip
    for name, steps in zip(table.ids, table.steps, strict=True):
        assert walked(steps) == (name in with_rows), name


def test_every_claim_that_rests_on_figures_or_rows_is_walked_to_them(run):
    claims = run.table("claims").set_index("claim_id")
    for name in claims.index:
        steps = run.steps(name)
        assert any(line.startswith("rule: ") for line in steps)
        if claims.loc[name, "estimate_ids"] or claims.loc[name, "source_rows"]:
            assert walked(steps), name


def test_known_harms_are_walked_to_their_sources_in_other_fields(run):
    from analysis import claims

    for name, keys in claims.SOURCES_OF.items():
        text = "\n".join(run.steps(name))
        for source in claims.OTHER_FIELDS:
            assert (source.url in text) == (source.key in keys)


def test_every_number_of_page_one_is_walked_to_its_rows(run):
    """Means to as many effects as there are studies, shares to as many counts, harms to events."""
    for card in page_one.cards(run).cards:
        for line in card.lines:
            assert line.id and line.steps, line.label
            text = "\n".join(line.steps)
            k = re.match(r"(\d+) stud", line.behind)
            if k:
                assert re.search(rf"(?m)^(effects|facts): {k[1]}$", text), line.id
                assert walked(line.steps), line.id
            if line.label == "Harms named" and re.search(r"\d+ (death|severe)", line.value):
                assert walked(line.steps), line.id


def test_a_question_without_an_estimate_is_walked_to_what_is_told_in_words(run):
    """`Compared in 3 reports, none tested` on page one: each of the reports, by its row."""
    seen = 0
    for card in page_one.cards(run).cards:
        for line in card.lines:
            told = re.search(r"compared in (\d+) reports?", line.value)
            if told:
                assert walked(line.steps), line.id
                rows = [step for step in line.steps if ROW.search(step)]
                assert len(rows) >= int(told[1]), line.id
                seen += 1
    assert seen


@pytest.mark.parametrize("stride", every(1500, 25))
def test_every_id_on_the_page_is_explained(run, evidence, run_folder, built_once, stride):
    """A sample of each table; facts of the evidence by their names."""
    made = [claims_page.table(run), tables.study_table(run), harms.events(run)]
    made += [claims_page.summary_of_findings(run, *stratum) for stratum in page_one.CARDS]
    made += [tables.told(run, *stratum) for stratum in page_one.CARDS]
    made += [tables.facts(run, name) for name in ("outcomes", "directions", "safety")]
    names = [name for table in made for name in table.ids if name]
    for name in [
        *names[::stride],
        *(name for table in made[:: stride // 20] for name in table.ids[-1:] if name),
    ]:
        lines = explain(name, evidence, run_folder)
        assert len(lines) > 1 and "names have it" not in lines[0], name


def test_a_fact_says_where_it_went(run, evidence):
    table = tables.facts(run, "outcomes")
    for steps in table.steps:
        for step in steps:
            assert step.startswith(("effect: ", "counted", "in no estimate: "))
    assert sum(step[0].startswith("effect: ") for step in table.steps if step) > 50
    eligible = evidence.studies.set_index("study_id")["include"].eq("yes")
    silent = [row for row, steps in zip(evidence.outcomes.to_dict("records"), table.steps,
                                        strict=True) if not steps]  # fmt: skip
    assert not [row for row in silent if eligible[row["study_id"]]]


def test_counts_of_a_stratum_and_named_harms_have_names(run):
    assert run.steps("ever_insulin_free:immune_reset:t1d")[1].startswith("  Ever insulin-free")
    assert walked(run.steps("harms:islet_replacement:t1d"))
    assert run.steps("ever_insulin_free:immune_reset:nobody") == ()
    assert run.steps("harms:immune_reset") == () == run.steps("")


@pytest.mark.parametrize("name", ["outcomes", "directions", "responders", "independence"])
def test_no_visit_of_a_fact_is_lost_on_the_page(run, evidence, name):
    table, facts = tables.facts(run, name), getattr(evidence, name)
    at = table.columns.index("Month")
    shown = [row[at] for row in table.rows]
    assert len(shown) == len(facts)
    for cell, month in zip(shown, facts["months"], strict=True):
        assert (cell in ("", "–")) == (month != month), (cell, month)
    if name == "directions":
        assert any(" to " in cell for cell in shown)
