"""The first page: the answer in one sentence, the advice, harms by name, cards by approach.

Every number and every word that leans one way is computed from the run. What was not measured, or
rests on a single study, is told as that.
"""

from __future__ import annotations

from dataclasses import replace

from analysis import outcomes, verdicts, vocabulary
from analysis.report import harms, readings, visits, words
from analysis.report.cards import Card, Cards, Line, line
from analysis.report.results import STRATA
from analysis.report.text import Markdown, said, verbatim
from analysis.vocabulary import INFUSION, ISLETS, RESET

CARDS = tuple((approach, people) for approach, every in STRATA.items() for people in every)
SEVERE = "severe_infection"
TYPES = {"t1d": "type 1", "t2d": "type 2"}

ADVICE = (
    "These are small, early studies, many without a control group. **Nobody should "
    "change a treatment, stop insulin or pay for a cell therapy because of this report.** Ask your "
    "diabetes team about registered trials."
)


def _verdict(results, claim_id: str) -> str:
    found = results.rows("claims", claim_id=claim_id)
    return found["verdict"].iloc[0] if len(found) else verdicts.NOT_KNOWN


def best_verdict(results, *approaches: str) -> str:
    """The best word that any claim of an effect or occurrence of these approaches got."""
    table = results.table("claims")
    table = table[
        table["approach"].isin(approaches)
        & table["kind"].isin([verdicts.EFFECT, verdicts.OCCURRENCE])
        & table["verdict"].isin([*verdicts.SCALE, verdicts.NOT_KNOWN])
    ]
    return min(table["verdict"], key=verdicts.rank, default=verdicts.NOT_KNOWN)


@said
def answer(results) -> str:
    """What came back, who needed no insulin, what is not known; `known_harms` stands before."""
    best = best_verdict(results, RESET, INFUSION)
    others = (
        f"no benefit of an immune reset or of infused cells is more than {best}"
        if verdicts.rank(best) <= verdicts.rank(verdicts.SUGGESTED)
        else "no benefit of an immune reset or of infused cells is shown"
    )
    return f"{_islets_answer(results)} How long that lasts is {_lasting(results)}, and {others}."


def _islets_answer(results) -> str:
    """What islet replacement did, class by class, in people who made no C-peptide."""
    counts = _by_class(results, "c_peptide_detectable")
    if not counts:
        return (
            "**Not known:** no study counts people in whom C-peptide, the mark of the body's own "
            "insulin, came back."
        )
    shown = _verdict(results, "islets_c_peptide") == verdicts.SHOWN
    text = (
        f"**{'Yes, in some people' if shown else 'Perhaps'}:** of people with type 1 diabetes who "
        f"made no C-peptide, the mark of the body's own insulin, {words.listed(counts)} made "
        "it again."
    )
    free = _by_class(results, "insulin_free_12")
    if free:
        when = readings.share(results, "insulin_free_12", ISLETS, "t1d").caveat
        told = f"{words.listed(free)} needed no insulin {when}."
        text += f" {told[:1].upper()}{told[1:]}"
    return text


def _by_class(results, outcome: str) -> list[str]:
    """`14 of 14 given stem-cell islets`, class by class."""
    facts = readings.counted(results, outcome, ISLETS, "t1d")
    found = []
    for cell_class in sorted(facts["cell_class"].unique()):
        reading = readings.share(results, outcome, ISLETS, "t1d", cell_class)
        if reading.told != readings.SHARE:
            reading = readings.counts_of(facts[facts["cell_class"] == cell_class], outcome)
        found.append(f"{reading.value} given {readings.CLASS_WORDS.get(cell_class, cell_class)}")
    return found


def _lasting(results) -> str:
    """How far people given new islets were followed, in few words."""
    table = results.rows("duration_follow_up", **readings.where(ISLETS, "t1d"))
    months = table["last_month"].dropna()
    if months.empty:
        return "not known"
    return f"not known beyond {words.some(round(months.max()), 'month')}"


@said
def advice() -> str:
    """What this means for a reader with diabetes: nothing here is a reason to change anything."""
    return ADVICE


@said
def known_harms(results) -> str:
    """Deaths and fatal infections by approach, each with its denominator; who is silent."""
    table = harms.died(results)
    fatal = harms.named(results, event="severe_infection", fatal="yes").set_index("cohort")
    parts = []
    for _, row in table.iterrows():
        why = []
        infected = fatal[fatal.index == row["cohort"]]
        if len(infected):
            what = words.listed([verbatim(each) for each in infected["what"]])
            why.append(f"{infected['k'].sum():.0f} of infection: {what}")
        relation = harms.JUDGED.get(row["relation"], "")
        by = f" by {verbatim(row['judged_by'])}" if row["judged_by"] else ""
        why.append(f"relation {relation}" if relation == "not stated" else f"judged {relation}{by}")
        parts.append(
            f"{harms.how_many(row)} after "
            f"{vocabulary.APPROACHES[row['approach']]} ({'; '.join(why)})"
        )
    quiet, every, _ = harms.silent(results, "death")
    died = f"**Known deaths.** {words.listed(parts)}." if parts else "**Known deaths.** None named."
    if not every:
        return died
    told = words.of(quiet, every, "group")
    related = harms.only_related(results, "death")
    also = (
        f"; {related} {words.verb(related, 'say', 'says')} only that no death was related to the "
        "treatment"
        if related
        else ""
    )
    return f"{died} {told} {words.verb(quiet, 'do', 'does')} not say whether anyone died{also}."


# --- cards -------------------------------------------------------------------------------------


def cards(results) -> Cards:
    """Four cards: what each approach does, for whom, how sure, for how long, at what harm."""
    return Cards(tuple(_card(results, *stratum) for stratum in CARDS))


def _card(results, approach: str, population: str) -> Card:
    title = f"{vocabulary.APPROACHES[approach].capitalize()}, {TYPES[population]}"
    body = _islets(results) if approach == ISLETS else _compared(results, approach, population)
    lines = (
        *body,
        *_insulin_free(results, approach, population),
        _long(results, approach, population),
        _harm(results, approach, population),
        _also(results, approach, population),
    )
    lines = _reasons_once(lines)
    return Card(title, tuple(replace(one, steps=results.steps(one.id)) for one in lines))


def _reasons_once(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """The lines of a card; a certainty says why it went up where the card first says so."""
    found, told = [], set()
    for one in lines:
        if one.certainty in told:
            one = replace(one, certainty=one.certainty.split(",")[0])
        told.add(one.certainty)
        found.append(one)
    return tuple(found)


def _islets(results) -> tuple[Line, ...]:
    """C-peptide where there was none, class by class, and HbA1c as a count of responders."""
    facts = readings.counted(results, "c_peptide_detectable", ISLETS, "t1d")
    lines = []
    for cell_class in sorted(facts["cell_class"].unique()):
        own = facts[facts["cell_class"] == cell_class]
        reading = readings.share(results, "c_peptide_detectable", ISLETS, "t1d", cell_class)
        name = readings.CLASS_WORDS.get(cell_class, words.short(cell_class))
        where = readings.share_standing(results, "c_peptide_detectable", ISLETS, "t1d", cell_class)
        limit = f"limit: {readings.limits(own)}"
        reached = "; ".join(one.told for one in readings.levels(results, cell_class))
        level = f"level reached: {reached or 'not printed'}"
        lines.append(line(f"C-peptide again, {name}", reading, where, more=(limit, level)))
    if not lines:
        lines = [Line("Makes C-peptide again", "nobody counts it")]
    return (
        *lines,
        line(
            "HbA1c (blood sugar over months) under 7 %",
            readings.share(results, "hba1c_below_7", ISLETS, "t1d"),
            readings.share_standing(results, "hba1c_below_7", ISLETS, "t1d"),
        ),
    )


def _compared(results, approach: str, population: str) -> tuple[Line, ...]:
    """C-peptide (its gain beside its ratio, where that has a number) and HbA1c against controls."""
    stratum = (approach, population)
    lines = []
    for outcome, label in (
        ("c_peptide_ratio", "C-peptide against controls"),
        ("c_peptide_gain", "C-peptide gain over controls"),
        ("hba1c", "HbA1c against controls"),
        ("insulin_dose", "Insulin dose against controls"),
    ):
        reading = readings.effect(results, outcome, *stratum)
        if outcome == "c_peptide_gain" and reading.told != readings.MEAN:
            continue
        told = reading.told == readings.MEAN
        out = readings.ruled_out(results, outcome, *stratum) if told else ""
        where = readings.standing(results, outcome, *stratum) if told else None
        lines.append(line(label, reading, where, faced=(out,)))
    return tuple(lines)


def _insulin_free(results, approach: str, population: str) -> tuple[Line, ...]:
    year = readings.share(results, "insulin_free_12", approach, population)
    ever = readings.share(results, "ever_insulin_free", approach, population)
    facts = readings.counted(results, "insulin_free_12", approach, population)
    about = outcomes.get("insulin_free_12")
    stratum = (approach, population)
    missed = readings.at_most(results, facts)
    return (
        line(
            f"{visits.named(about.title, about.name, facts)}, of all treated",
            year,
            readings.share_standing(results, about.name, *stratum),
            faced=(missed,) if missed else (),
        ),
        *_ever_free(results, approach, population, ever),
    )


def _ever_free(results, approach: str, population: str, ever: readings.Reading) -> tuple[Line, ...]:
    """Who was ever free of insulin; after islet replacement class by class, never joined."""
    stratum = (ever.outcome, approach, population)
    facts = readings.counted(results, *stratum)
    classes = sorted(facts["cell_class"].unique())
    if approach != ISLETS or len(classes) < 2:
        return (line("Ever insulin-free", ever, readings.share_standing(results, *stratum)),)
    return tuple(
        line(
            f"Ever insulin-free, {readings.CLASS_WORDS.get(word, words.short(word))}",
            readings.share(results, *stratum, word),
            readings.share_standing(results, *stratum, word),
        )
        for word in classes
    )


def _long(results, approach: str, population: str) -> Line:
    told, behind = readings.how_long(results, approach, population)
    named = f"insulin_free_duration:{approach}:{population}"
    where = readings.duration_standing(results, approach, population)
    more = (f"share still free after 12 months: {where.words}",) if where else ()
    return Line("How long", told, behind=behind, more=more, where=where, id=named)


def _harm(results, approach: str, population: str) -> Line:
    """Deaths and severe infections named for one approach (and population)."""
    table = harms.named(results, approach=approach)
    table = table[table["population"].str.startswith(population)]
    parts, more = [], []
    for word in ("death", SEVERE):
        counts = harms.stated(results, word, approach, population)
        if not counts:
            parts.append(f"no {harms.event(word)} named")
            continue
        rows = table[table["event"] == word]
        fatal = rows.loc[rows["fatal"] == "yes", "k"].sum()
        also = f" ({fatal:.0f} fatal)" if word == SEVERE and fatal else ""
        parts.append(f"{harms.event(word, 2)} in {counts}{also}")
        more += [f"{words.study(row.label)}: {row.what}" for row in rows.itertuples()]
    quiet, every, _ = harms.silent(results, "death", approach)
    infected, _, _ = harms.silent(results, SEVERE, approach)
    types = " of both types" if len(STRATA[approach]) > 1 else ""
    told = (
        f"{words.of(quiet, every, 'group')}{types} silent on deaths, {words.none_or(infected)} on "
        f"{harms.event(SEVERE, 2)}"
        if every
        else ""
    )
    named = f"harms:{approach}:{population}"
    return Line("Harms named", "; ".join(parts), behind=told, more=tuple(more), id=named,
                several=True)  # fmt: skip


def _also(results, approach: str, population: str) -> Line:
    """What conditioning, drugs or the procedure did besides, in all groups of the approach.

    Of an approach in several populations it is told once, with the first of them.
    """
    first, types = STRATA[approach][0], len(STRATA[approach]) > 1
    named = f"counted_harms:{approach}:{population}"
    if population != first:
        told = f"as for {TYPES[first]}: both are counted together"
        return Line("Harms counted", told, id=named)
    counted = harms.also_counted(results, approach)
    if counted[SEVERE] and harms.stated(results, SEVERE, approach, population):
        del counted[SEVERE]  # the line above has it
    told = [f"{harms.event(word, 2)} in {counts}" for word, counts in counted.items() if counts]
    never = [
        harms.event(word, 2) + harms.known_elsewhere(approach, word)
        for word, counts in counted.items()
        if not counts
    ]
    behind = f"nobody counts {words.listed(never, 'or')}" if never else ""
    more = tuple(harms.also_named(results, approach))
    label = f"Harms counted{' (both types)' if types else ''}"
    return Line(label, "; ".join(told) or "none counted", behind=behind, more=more, id=named,
                several=True)  # fmt: skip


def text_before_cards(results) -> Markdown:
    """What a reader meets before the cards; for the test of its length."""
    return Markdown("\n\n".join([known_harms(results), answer(results), advice()]))
