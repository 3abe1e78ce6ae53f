"""What is known of one outcome of one stratum, in the form in which a reader may be told it.

A reading is a mean against control groups, a count of patients, a single study, a count of
directions, or nothing; `headlines.told` and the counts decide which, never the page. A single study
is told as itself: its own value and interval, or its words. Page one, the plain-language page and
the summary of findings take their numbers from here, so that one estimand is one number.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from analysis import certainty, effects, outcomes, units, verdicts, vocabulary
from analysis.evidence.references import find
from analysis.questions import MEAN, NONE, STUDY, WORDS
from analysis.report import directions, glossary, visits, words

CLASS_WORDS = {
    "psc_islet": "stem-cell islets",
    "psc_progenitor": "stem-cell progenitors",
    "endoderm_islet": "endoderm islets",
}
"""Classes of islet replacement in the words of the first page."""

SHARE = "share"
"""How counts are told, beside the ways of `results.tables.headlines.TOLD`."""


@dataclass(frozen=True)
class Reading:
    """One outcome of one stratum.

    Attributes
    ----------
    told : mean, share, study, words or none.
    value, interval, new_study, numbers_only : texts; "" where there is none.
    short : the value and nothing else, for a card.
    direction : -1, 0 or 1: the side of no effect on which the figure lies; 0 for a share.
    k, n : studies and patients, controls included.
    certainty : level, "" where it was not judged.
    raised : why certainty went up although there is no control group, "" where nothing raised it.
    words_move : what the results in words do to the mean, computed; "" where none are in words.
    reasons : why certainty is what it is.
    caveat : what must be said beside the figure.
    id : what `isletmeta explain` takes, "" where there is none.
    share : a share of people and the ends of its interval, None where it is none.
    """

    outcome: str
    told: str
    value: str = ""
    short: str = ""
    interval: str = ""
    new_study: str = ""
    numbers_only: str = ""
    direction: int = 0
    k: float = 0
    n: float = 0
    certainty: str = ""
    raised: str = ""
    words_move: str = ""
    reasons: str = ""
    caveat: str = ""
    id: str = ""
    share: tuple[float, float, float] | None = None
    figures: dict = field(default_factory=dict, compare=False)

    @property
    def behind(self) -> str:
        """`7 studies, 147 patients`."""
        return words.base(self.k, self.n) if self.k else ""


def where(approach: str, population: str) -> dict[str, str]:
    """The parts of an estimate that name a stratum."""
    return {"approach": approach, "population": population}


def certainty_of(results, estimate_id: str) -> tuple[str, str]:
    """Level and reasons of the certainty of an estimate; empty where it was not judged."""
    found = results.rows("certainty", estimate_id=estimate_id)
    return (found["level"].iloc[0], why_so_sure(found.iloc[0])) if len(found) else ("", "")


def raised(results, estimate_id: str) -> str:
    """Why a certainty is moderate or better although there is no control group; "" where it is not.

    The steps down that were taken as well stand in the reasons of the certainty.
    """
    level, _ = certainty_of(results, estimate_id)
    if not level or not certainty.at_least(level, "moderate"):
        return ""
    steps = results.rows("certainty_steps", estimate_id=estimate_id)
    steps = steps[(steps["domain"] != "start") & (steps["levels"] > 0)]
    if steps.empty:
        return ""
    return f"because it {words.listed(list(steps['reason']))}"


def why_so_sure(row: pd.Series) -> str:
    """The reasons of a row of `certainty`, and on which results it was judged where on fewer."""
    alone = row["design"] == "randomised" and row["reasons"]
    return f"judged on its randomised results alone: {row['reasons']}" if alone else row["reasons"]


# --- numbers in the unit of the outcome --------------------------------------------------------


def percent_change(ratio: float) -> str:
    """A ratio of doses as a change in percent: 0.7 is `−30 %`. No rule of probabilities."""
    if not words.known(ratio):
        return "–"
    return f"{words.number(100 * (ratio - 1), 0)}{words.SPACE}%"


def figure(outcome: str, value: float) -> str:
    """A number as readers see it (ratios as ratios), with its unit."""
    about = outcomes.get(outcome)
    if outcome == "insulin_dose":
        return percent_change(value)
    unit = {"hba1c": " points", "c_peptide_ratio": " times"}.get(outcome, about.suffix)
    return f"{words.number(value, about.digits)}{unit.replace(' ', words.SPACE)}"


def span(outcome: str, low: float, high: float) -> str:
    """An interval in the outcome's digits; the unit once."""
    if not (words.known(low) and words.known(high)):
        return ""
    if outcome == "insulin_dose":
        return f"{percent_change(low)} to {percent_change(high)}"
    return words.interval(low, high, outcomes.get(outcome).digits)


def of_100(share: float) -> str:
    """A share as so many of 100."""
    return words.number(100 * share, 0)


# --- readings ----------------------------------------------------------------------------------


def effect(results, outcome: str, approach: str, population: str) -> Reading:
    """What is known of a continuous outcome against control groups."""
    stratum = where(approach, population)
    told = results.rows("headlines", outcome=outcome, design="controlled", **stratum)
    if told.empty or told["told"].iloc[0] == NONE:
        words_alone = in_words(results, outcome, approach, population, "treated_vs_control")
        if len(words_alone):
            return replace(_untested(outcome, words_alone),
                           id="" if told.empty else question(told.iloc[0]))  # fmt: skip
        return Reading(
            outcome,
            NONE,
            value="no result against a control group",
            short="not compared with controls",
            id="" if told.empty else question(told.iloc[0]),
        )
    head = told.iloc[0]
    behind = {"k": head["k_studies"], "n": head["n_patients"]}
    if head["told"] == MEAN:
        return _mean(results, outcome, stratum, head, behind)
    if head["told"] == STUDY:
        return replace(_beside(results, _study(results, outcome, stratum, behind), stratum),
                       id=question(head))  # fmt: skip
    return replace(_in_words(outcome, head, behind), id=question(head))


def in_words(results, outcome: str, approach: str, population: str, contrast: str) -> pd.DataFrame:
    """Results in words of eligible reports of a stratum, whether or not any estimate has them.

    Parameters
    ----------
    contrast : a word of `vocabulary.CONTRASTS`.

    Returns
    -------
    Rows of `directions.csv` with `label` (author and year), by label and month.
    """
    table = effects.told_in_words(results.evidence, outcome, approach, population, contrast)
    table = table.assign(label=table["study_id"].map(glossary.labels(results.evidence)))
    return table.sort_values(["label", "months"], kind="stable", ignore_index=True)


def in_words_told(row: pd.Series, outcome: str) -> str:
    """One result in words: `Wang 2013, 24 months, 22 against 22: no difference (P > 0.05)`."""
    month = f"{row['months']:g} months" if words.known(row["months"]) else "no month printed"
    people = f"{row['n_treated']:.0f}" if words.known(row["n_treated"]) else ""
    if people:
        controls = words.known(row["n_control"])
        people = f"{people} against {row['n_control']:.0f}" if controls else f"{people} patients"
    side = directions.good_side(outcome, row["direction"])
    test = "untested"
    if row["significant"] != "unstated":
        p = f"P {row['p_relation']} {row['p_value']:g}" if words.known(row["p_value"]) else ""
        test = p or vocabulary.SIGNIFICANT[row["significant"]]
    told = ", ".join(filter(None, [words.study(row["label"]), month, people]))
    return f"{told}: {side} ({test})"


def _near(rows: pd.DataFrame) -> np.ndarray:
    """Whether the month of results in words is of the visit nearest to the horizon."""
    return effects.in_window(rows["months"], effects.Rules())


def _untested(outcome: str, rows: pd.DataFrame) -> Reading:
    """Reports that compare with controls, none of them with a result that can be used."""
    k = rows["study_id"].nunique()
    tested = _near(rows) & rows["significant"].ne("unstated")
    why = "none usable" if tested.any() else f"none tested {outcomes.NEAREST}"
    short = f"compared in {words.some(k, 'report')}, {why}"
    details = "; ".join(in_words_told(row, outcome) for _, row in rows.iterrows())
    return Reading(outcome, NONE, value=f"{short}: {details}", short=short, caveat=details)


def _beside(results, reading: Reading, stratum: dict[str, str]) -> Reading:
    """A single study with what other reports say in words of other months."""
    rows = in_words(results, reading.outcome, *stratum.values(), "treated_vs_control")
    rows = rows[~(_near(rows) & rows["significant"].ne("unstated"))]
    if rows.empty:
        return reading
    told = "; ".join(in_words_told(row, reading.outcome) for _, row in rows.iterrows())
    caveat = "; ".join(filter(None, [reading.caveat, f"beside it, in words: {told}"]))
    return replace(reading, caveat=caveat)


def question(head: pd.Series) -> str:
    """The name of a question, as `isletmeta explain` takes it where no mean is told."""
    return ":".join(head[name] for name in ("outcome", "approach", "population", "design"))


def _mean(results, outcome, stratum, head, behind) -> Reading:
    about = outcomes.get(outcome)
    parts = {
        "outcome": outcome,
        **stratum,
        "design": "controlled",
        "scale": "ratio" if about.is_ratio else about.scale,
    }
    row = results.one(**parts)
    alone = results.get(**parts, variant="numbers_only")
    level, reasons = certainty_of(results, row["id"])
    apart = ""
    if alone is not None and words.known(alone["mean"]):
        spread = span(outcome, alone["ci_low"], alone["ci_high"])
        apart = f"{figure(outcome, alone['mean'])} ({spread})"
    return Reading(
        outcome,
        MEAN,
        value=figure(outcome, row["mean"]),
        short=figure(outcome, row["mean"]),
        interval=span(outcome, row["ci_low"], row["ci_high"]),
        new_study=span(outcome, row["pred_low"], row["pred_high"]),
        numbers_only=apart,
        direction=directions.side(outcome, row["mean"]),
        **behind,
        certainty=level,
        reasons=reasons,
        words_move=_moved(results, parts, about, head),
        caveat=row["note"],
        id=row["id"],
        figures={name: row[name] for name in ("mean", "ci_low", "ci_high")},
    )


def _moved(results, parts: dict, about, head) -> str:
    """What results in words do to a mean: computed from the fits with and without them."""
    if not head["k_studies"] > head["k_numbers"]:
        return ""
    with_words = results.get(**{**parts, "scale": about.scale})
    alone = results.get(**{**parts, "scale": about.scale}, variant="numbers_only")
    if with_words is None or alone is None or not words.known(alone["mean"]):
        return ""
    shift = with_words["mean"] - alone["mean"]
    moved = f"results in words {directions.benefit(about.name, shift, with_words['sd'])}"
    ends = [(row["ci_low"], row["ci_high"]) for row in (with_words, alone)]
    return f"{moved}; they {directions.interval_moved(*ends)}"


NEARLY = verdicts.LEAST
"""An important effect of a smaller probability than this is nearly ruled out (as in verdicts)."""


def ruled_out(results, outcome: str, approach: str, population: str) -> str:
    """Which important size the mean against controls nearly rules out, by its probability; "".

    Parameters
    ----------
    outcome : a continuous outcome with `important` sizes; the least that is ruled out is told.
    """
    found = out_of_reach(results, outcome, approach, population)
    if found is None:
        return ""
    size, probability = found
    return (f"an effect of the important size, {figure(outcome, size)}, is nearly ruled "
            f"out (probability {words.chance(probability)})")  # fmt: skip


def out_of_reach(
    results, outcome: str, approach: str, population: str
) -> tuple[float, float] | None:
    """The least important size that is nearly ruled out, with its probability; None where none is.

    Sizes are those of `outcomes`, probabilities those of the mean against controls.
    """
    about = outcomes.get(outcome)
    for size in sorted(about.important, key=abs):
        found = results.get(outcome=outcome, **where(approach, population), design="controlled",
                            quantity="probability", threshold=size)  # fmt: skip
        if found is not None and found["mean"] <= NEARLY:
            return size, found["mean"]
    return None


def _study(results, outcome, stratum, behind) -> Reading:
    about = outcomes.get(outcome)
    found = results.rows("study_estimates", outcome=outcome, design="controlled", **stratum)
    if found.empty:
        return Reading(outcome, STUDY, value="one study", short="one study", **behind)
    row = found.iloc[0]
    name = words.study(row["label"])
    if words.known(row["y"]):
        shown = about.shown(row["y"])
        spread = span(
            outcome,
            about.shown(row["ci_low"]) if words.known(row["ci_low"]) else np.nan,
            about.shown(row["ci_high"]) if words.known(row["ci_high"]) else np.nan,
        )
        return Reading(
            outcome,
            STUDY,
            value=f"one study ({name}): {figure(outcome, shown)}",
            short=figure(outcome, shown),
            interval=spread,
            caveat="one study, as itself" + ("" if spread else "; no spread printed"),
            direction=directions.side(outcome, shown),
            **behind,
        )
    word = directions.compared(row["direction"])
    return Reading(
        outcome,
        STUDY,
        value=f"one study ({name}): {word}, told in words",
        short=f"{word}; the study prints no number",
        direction=int(row["direction"]),
        **behind,
        caveat="one study, in words",
    )


def _in_words(outcome, head, behind) -> Reading:
    better, worse = directions.better(outcome), directions.worse(outcome)
    word, k = directions.mostly(outcome, head["k_better"], head["k_worse"])
    counted = {better: head["k_better"], directions.SAME: head["k_null"], worse: head["k_worse"]}
    parts = [f"{side} in {many:.0f}" for side, many in counted.items() if many]
    if not parts:
        parts = ["told without a test in all"]
    told = f"{words.listed(parts)} of {words.studies(head['k_studies'])}"
    return Reading(
        outcome,
        WORDS,
        value=told,
        short=f"{word} in {k:.0f} of {head['k_studies']:.0f}",
        caveat="too few results in numbers for a mean",
        **behind,
    )


def share(
    results,
    outcome: str,
    approach: str,
    population: str,
    cell_class: str = "all",
) -> Reading:
    """What is known of a share of patients: counts of all treated, their exact interval."""
    parts = {
        "outcome": outcome,
        **where(approach, population),
        "cell_class": cell_class,
        "scale": "share",
    }
    pooled = results.get(**parts, quantity="pooled_share")
    facts = counted(results, outcome, approach, population, cell_class)
    if pooled is None or facts.empty:
        named = ":".join((outcome, approach, population))
        return Reading(outcome, NONE, value="nobody counts it", short="nobody counts it", id=named)
    model = results.get(**parts, quantity="share")
    level, reasons = certainty_of(results, pooled["id"])
    plain = counts_of(facts, outcome)
    least = plain.figures["least"]
    new = ""
    if model is not None and words.known(model["pred_low"]):
        new = f"{of_100(model['pred_low'])} to {of_100(model['pred_high'])} of 100"
    high = pooled["ci_high"]
    interval = (
        f"{of_100(pooled['ci_low'])} or more of 100"
        if least and high == 1
        else f"{of_100(pooled['ci_low'])} to {of_100(high)} of 100"
    )
    return replace(
        plain,
        share=(pooled["mean"], pooled["ci_low"], high),
        interval=interval,
        new_study=new,
        k=pooled["k_studies"],
        n=pooled["n_patients"],
        certainty=level,
        raised=raised(results, pooled["id"]),
        reasons=reasons,
        id=pooled["id"],
    )


def classes_told(facts: pd.DataFrame, outcome: str) -> str:
    """`14 of 14 given stem-cell islets and 10 of 27 given …`; "" where there is one class."""
    told = [
        f"{counts_of(own, outcome).value} given {CLASS_WORDS.get(word, words.short(word))}"
        for word, own in facts.groupby("cell_class", sort=True)
    ]
    return words.listed(told) if len(told) > 1 else ""


def counts_of(facts: pd.DataFrame, outcome: str) -> Reading:
    """Counts of patients added up: `at least 10 of 14` where one is a lower bound."""
    k, n = facts["k"].sum(), facts["n"].sum()
    least = bool((facts["bound"] == "at_least").any())
    told = f"{'at least ' if least else ''}{k:.0f} of {n:.0f}"
    return Reading(
        outcome,
        SHARE,
        value=told,
        short=told,
        k=len(facts),
        n=n,
        caveat=visits.when(facts),
        figures={"k": k, "n": n, "least": least},
    )


def not_counted(results, facts: pd.DataFrame) -> int | None:
    """Treated people whom the sources of lower bounds did not count: so many more it may be.

    Parameters
    ----------
    facts : rows of `share_facts` of one outcome.

    Returns
    -------
    Their number; None where nothing is a lower bound, or a source's own count is one, so that
    also those whom it counted may be more.
    """
    least = facts[facts["bound"] == "at_least"]
    missed = 0.0
    for fact in least.itertuples():
        try:
            rows = {name: find(results.evidence, name) for name in fact.source_rows.split(";")}
        except KeyError:
            return None
        own = [(name, row) for name, row in rows.items() if row["arm"].startswith("treated")]
        if len(own) != 1:
            return None
        name, row = own[0]
        if name.startswith("independence:") and row["bound"] == "at_least":
            return None
        missed += fact.n - row["n_total"]
    return int(missed) if missed > 0 else None


def at_most(results, facts: pd.DataFrame) -> str:
    """`2 of 14 are not in the source's count, so at most 12`; "" where that is not known."""
    missed = not_counted(results, facts)
    if missed is None:
        return ""
    k, n = facts["k"].sum(), facts["n"].sum()
    most = f", so at most {k + missed:.0f}" if k + missed < n else ""
    return f"{missed} of {n:.0f} {words.verb(missed, 'are', 'is')} not in the source's count{most}"


def counted(
    results,
    outcome: str,
    approach: str,
    population: str,
    cell_class: str = "all",
) -> pd.DataFrame:
    """The counts behind a share: a population and what is finer than it."""
    facts = results.rows("share_facts", outcome=outcome, approach=approach)
    within = {"t1d": ("t1d", "t1d_new_onset", "t1d_established")}.get(population, (population,))
    facts = facts[facts["population"].isin(within)]
    return facts if cell_class == "all" else facts[facts["cell_class"] == cell_class]


def limits(facts: pd.DataFrame) -> str:
    """What the sources of a count took for its limit, study by study, in their words."""
    return "; ".join(f"{words.study(row.label)}: {row.criterion}" for row in facts.itertuples())


@dataclass(frozen=True)
class Standing:
    """Where a headline stands among all defensible analyses, as readers see the numbers.

    `of` says what the analyses are; shares and durations have no effect to exclude (`clear` NaN).
    """

    outcome: str
    headline: float
    low: float
    high: float
    least: float
    most: float
    n: float
    as_favourable: float
    clear: float
    choice: str
    of: str = "analyses"
    median: float = float("nan")

    @property
    def words(self) -> str:
        told = (
            f"of {self.n:.0f} defensible {self.of} {words.percent(self.as_favourable)} are at "
            f"least as favourable, and "
        )
        if words.known(self.clear):
            told += f"{words.percent(self.clear)} exclude no effect on the good side"
        else:
            told += f"nine of ten lie {self.band}"
            if self.of == "counts":
                told += " (the share in a typical study; the mark is the number printed)"
        return "; ".join(filter(None, [told, self.apart]))

    @property
    def band(self) -> str:
        """Where nine of ten of the analyses lie: `from −0.74 to 0.03`."""
        if self.is_share:
            return f"from {of_100(self.low)} to {of_100(self.high)} of 100"
        return f"from {span(self.outcome, *sorted((self.low, self.high)))}"

    @property
    def apart(self) -> str:
        """What most others find where the headline lies outside their band, else ""."""
        if self.is_share:
            return ""
        far = directions.beyond(self.outcome, self.headline, self.low, self.high)
        return f"{far}: the middle one {figure(self.outcome, self.median)}" if far else ""

    @property
    def on_face(self) -> str:
        """The place in few words, for the face of a card."""
        if self.apart:
            return self.apart
        ways = {"counts": "ways to count", "curves": "curves"}.get(self.of, "analyses")
        return f"nine of ten {ways} give {self.band.removeprefix('from ')}"

    @property
    def is_share(self) -> bool:
        """Whether it is a share of people, with its ends at none and at all."""
        return not words.known(self.clear)


def standing(results, outcome: str, approach: str, population: str) -> Standing | None:
    """Where a headline stands among the multiverse; None where there is none."""
    found = results.rows("standing", outcome=outcome, **where(approach, population))
    if found.empty:
        return None
    row, about = found.iloc[0], outcomes.get(outcome)
    places = (about.shown(row[name]) for name in PLACES)
    return Standing(
        outcome,
        *places,
        row["n_usable"],
        row["share_as_favourable"],
        row["share_good_clear"],
        row["strongest_choice"],
        median=about.shown(row["median"]),
    )


FEWEST = 5
"""Counts or curves from which a place among them says something."""
PLACES = ("headline", "low", "high", "least", "most")


def share_standing(
    results, outcome: str, approach: str, population: str, cell_class: str = "all"
) -> Standing | None:
    """Where a share, as counted and printed, stands among all defensible counts; None if too few.

    The counts are of a typical study (or of the one cohort); the mark is the number printed.
    """
    found = results.rows("share_standing", outcome=outcome, cell_class=cell_class,
                         **where(approach, population))  # fmt: skip
    place = _of_people(found, outcome, "counts")
    if place is None or not words.known(found["counted"].iloc[0]):
        return place
    printed = found["counted"].iloc[0]
    every = results.rows("share_multiverse", outcome=outcome, cell_class=cell_class,
                         **where(approach, population))["share"].dropna()  # fmt: skip
    good = outcomes.get(outcome).good
    favourable = (good * every >= good * printed - 1e-9).mean()
    return replace(
        place, headline=printed, as_favourable=favourable if len(every) else place.as_favourable
    )


def duration_standing(results, approach: str, population: str, month: int = 12) -> Standing | None:
    """Where the share still free of insulin at a month stands among all defensible curves.

    None beyond the follow-up of the approach.
    """
    found = results.rows("duration_standing", quantity="survival", month=month,
                         **where(approach, population))  # fmt: skip
    return _of_people(found[~found["beyond_data"].astype(bool)], "insulin_free_duration", "curves")


def _of_people(found: pd.DataFrame, outcome: str, of: str) -> Standing | None:
    if found.empty or not found["n_usable"].iloc[0] >= FEWEST:
        return None
    row = found.iloc[0]
    return Standing(
        outcome,
        *(row[name] for name in PLACES),
        row["n_usable"],
        row["share_as_favourable"],
        float("nan"),
        row["strongest_choice"],
        of,
        row["median"],
    )


def how_long(results, approach: str, population: str) -> tuple[str, str]:
    """How far freedom from insulin was followed, and what is known until then."""
    found = results.rows("duration_follow_up", **where(approach, population))
    if found.empty:
        return "not known", "no group was followed far enough"
    row = found.iloc[0]
    longest = ""
    if words.known(row["longest"]):
        longest = f"longest in one patient {words.some(round(row['longest']), 'month')}"
    if not words.known(row["last_month"]):
        return "not known", "; ".join(filter(None, ["too few followed", longest]))
    share, year = still_free(results, approach, population), ""
    if words.known(share):
        year = f"of 100 ever free, {of_100(share)} still were after 12 months"
        half = half_resumed(results, approach, population)
        if words.known(half):
            year += f", and half were on insulin again by about {half:.0f}"
    told = f"not known beyond {words.some(round(row['last_month']), 'month')}"
    return told, "; ".join(filter(None, [year, longest]))


def still_free(results, approach: str, population: str, month: int = 12) -> float:
    """Share of the ever free who were still free at a month; NaN beyond the follow-up."""
    reach = results.rows("duration_follow_up", **where(approach, population))["last_month"]
    found = results.get(outcome="insulin_free_duration", **where(approach, population),
                        quantity="survival", variant="stacked", month=month,
                        scale="share")  # fmt: skip
    known = found is not None and len(reach) and reach.iloc[0] >= month
    return found["median"] if known else np.nan


@dataclass(frozen=True)
class Alone:
    """A single person whose report enters no count: months free of insulin, type, label."""

    months: float
    kind: str
    label: str


def longest_alone(results, approach: str) -> Alone | None:
    """The longest time free of insulin that a report shown beside the counts tells of one person.

    None where no such report of the approach prints one.
    """
    studies = results.evidence.studies.drop_duplicates("study_id").set_index("study_id")
    rows = results.evidence.independence
    own = studies["cell_class"].map(vocabulary.APPROACH_OF_CLASS.get).eq(approach)
    single = studies.index[own & studies["design"].eq("case_report")]
    rows = rows[rows["study_id"].isin(single) & rows["fact"].eq("patient") & rows["value"].notna()]
    if rows.empty:
        return None
    row = rows.loc[rows["value"].idxmax()]
    kind = studies.loc[row["study_id"], "diabetes_type"].removeprefix("T").removesuffix("D")
    label = glossary.labels(results.evidence)[row["study_id"]]
    return Alone(row["value"], kind, label)


def half_resumed(results, approach: str, population: str) -> float:
    """Months after which half of the ever free were on insulin again; NaN beyond the follow-up."""
    reach = results.rows("duration_follow_up", **where(approach, population))["last_month"]
    half = results.get(outcome="insulin_free_duration", **where(approach, population),
                       quantity="median_duration", variant="stacked",
                       scale="months")  # fmt: skip
    known = half is not None and len(reach) and half["median"] <= reach.iloc[0]
    return half["median"] if known else np.nan


FEWEST_NUMBERS = 2
"""Results in numbers below which a fit is a sensitivity, no mean to be told (protocol, 2.5)."""


def numbers_without(results, one: dict, study_id: str) -> int:
    """Results in numbers that a controlled mean keeps without a study."""
    table = results.rows("study_estimates", **one, design="controlled")
    return int((table["study_id"].ne(study_id) & table["kind"].eq("numeric")).sum())


def few_numbers(results, one: dict, study_id: str) -> str:
    """What must stand beside a mean without a study that leaves fewer than two numbers; else ""."""
    left = numbers_without(results, one, study_id)
    return "" if left >= FEWEST_NUMBERS else f"numbers left: {left}, no mean"


@dataclass(frozen=True)
class Level:
    """Stimulated C-peptide of one group of patients who made none before, in nmol/L.

    `low` and `high` are one number of a group, or the range of people told one by one (`alone`).
    """

    low: float
    high: float
    n: float
    month: float
    label: str
    alone: bool
    second_hand: bool

    @property
    def ends(self) -> str:
        """`1.27`, or `0.03 to 0.10`."""
        return " to ".join(dict.fromkeys(map(words.number, (self.low, self.high))))

    @property
    def told(self) -> str:
        """`1.27 nmol/L in 12 patients at 12 months (Reichman 2025, this number second-hand)`."""
        who = words.some(self.n, "single patient" if self.alone else "patient")
        source = ", this number second-hand" if self.second_hand else ""
        month = words.some(self.month, "month")
        return f"{self.ends} nmol/L in {who} at {month} ({words.study(self.label)}{source})"


def levels(results, cell_class: str) -> list[Level]:
    """Levels of stimulated C-peptide in people who made none before, study by study.

    The last visit of each group of patients; people told one by one are given by their range.
    """
    facts, studies = results.evidence.outcomes, results.evidence.studies
    own = studies[
        studies["cell_class"].eq(cell_class)
        & studies["include"].eq("yes")
        & studies["c_peptide_at_entry"].eq("undetectable")
    ].drop_duplicates("study_id")
    rows = facts[
        facts["study_id"].isin(own["study_id"])
        & facts["outcome"].isin(vocabulary.C_PEPTIDE_MEASURES)
        & facts["scale"].eq("level")
        & (facts["months"] > 0)
        & facts["value"].notna()
    ]
    labels = glossary.labels(results.evidence)
    found = []
    for study_id, every in rows.groupby("study_id", sort=True):
        last = every[every["months"] == every["months"].max()]
        level = [
            units.c_peptide_to_nmol_per_l(value, unit)
            for value, unit in zip(last["value"], last["unit"], strict=True)
        ]
        alone = bool(last["statistic"].eq("individual").all())
        found.append(
            Level(
                min(level),
                max(level),
                last["n"].sum() if alone else last["n"].max(),
                last["months"].iloc[0],
                labels[study_id],
                alone,
                bool(last["seen_in"].eq("secondary").all()),
            )
        )
    return found


def other_limits(results, facts: pd.DataFrame) -> list[dict]:
    """Counts of the same patients by another limit or visit than the one counted.

    Parameters
    ----------
    facts : rows of `share_facts` of one outcome.

    Returns
    -------
    Of each row of responders.csv its study, class of cells, limit, month, and how many of how many.
    """
    rows = results.evidence.responders
    found = []
    for fact in facts.sort_values("label").itertuples():
        own = rows[
            rows["study_id"].eq(fact.study_id)
            & rows["outcome"].isin(vocabulary.C_PEPTIDE_MEASURES)
            & rows["arm"].str.startswith("treated")
            & rows["n_responders"].notna()
            & rows["criterion"].ne(fact.criterion)
        ]
        found += [
            {"label": fact.label, "cell_class": fact.cell_class, "month": row.months,
             "criterion": row.criterion.replace(">=", "≥").replace("<=", "≤"),
             "k": row.n_responders, "n": row.n_total}
            for row in own.sort_values(["months", "criterion"], kind="stable").itertuples()
        ]  # fmt: skip
    return found
