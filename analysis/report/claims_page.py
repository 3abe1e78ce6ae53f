"""Public claims as the report shows them, and the summary of findings of each approach.

Claims are grouped by what can be said of them: shown, suggested, not known, not so. The full table
names what each rests on and takes ids that `isletmeta explain` knows. The summary of findings has
at most seven outcomes an approach, with absolute numbers and the reasons of each certainty.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from analysis import claims as room
from analysis import escape, outcomes, verdicts, vocabulary
from analysis.report import directions, harms, readings, visits, words
from analysis.report.page_one import CARDS, TYPES
from analysis.report.registered_text import date
from analysis.report.tables.base import Table, grid, made_from, under_heads
from analysis.report.text import said
from analysis.vocabulary import INFUSION, ISLETS

GROUPS = {"shown": "Shown", "suggested": "Suggested", "not_known": "Not known", "not_so": "Not so"}
HEADS = {
    "shown": "Shown",
    "elsewhere": "Known from other fields",
    "suggested": "Suggested",
    "uncertain": "Uncertain",
    "not_known": "Not known",
    "outside": "Outside these data",
    "not_so": "Not so",
}
"""The groups with the words that are neither shown nor not known under heads of their own."""
APART = {
    verdicts.KNOWN_ELSEWHERE: "elsewhere",
    verdicts.UNCERTAIN: "uncertain",
    verdicts.OUTSIDE: "outside",
}
KINDS = {
    verdicts.EFFECT: "Benefits",
    verdicts.OCCURRENCE: "Benefits",
    verdicts.DURATION: "Benefits",
    verdicts.NO_HARM: "Harms",
    verdicts.KNOWN_HARM: "Harms",
    verdicts.DESCRIPTION: "About the evidence",
    verdicts.BEYOND: "About the evidence",
}
MOST_OUTCOMES = 7
IN_SHORT = ("Certainty", "Behind it")
"""Columns of the full table that paper has in the short one already."""


@dataclass(frozen=True)
class Grouped:
    """The claims in four groups: lists on the page, one table in print."""

    frame: pd.DataFrame

    def _repr_html_(self) -> str:
        parts = []
        for group, title in HEADS.items():
            rows = self.frame[self.heads == group]
            if rows.empty and group not in GROUPS:
                continue
            body = _by_kind(rows) or "<ul><li>None of the claims looked at.</li></ul>"
            parts.append(
                f'<section class="claims {group}"><h3>{title} <small>({len(rows)})</small></h3>'
                f"{body}</section>"
            )
        return "\n".join(parts)

    def _repr_markdown_(self) -> str:
        return under_heads(self.table, "Group")._repr_markdown_()

    @property
    def heads(self) -> pd.Series:
        """The head under which each claim stands: its group, or its word if that stands apart."""
        return self.frame["verdict"].map(APART).fillna(self.frame["group"])

    @property
    def table(self) -> pd.DataFrame:
        """Group, claim and basis, one row a claim."""
        rows = [
            {
                "Group": HEADS[head],
                "Claim": sentence(row),
                "Word": row.verdict,
                "Behind it": basis(row),
            }
            for row, head in zip(self.frame.itertuples(), self.heads, strict=True)
        ]
        empty = [
            {
                "Group": title,
                "Claim": "None of the claims looked at.",
                "Word": "–",
                "Behind it": "–",
            }
            for group, title in GROUPS.items()
            if group not in set(self.heads)
        ]
        order = list(HEADS.values())
        return pd.DataFrame(sorted(rows + empty, key=lambda row: order.index(row["Group"])))


def _by_kind(rows: pd.DataFrame) -> str:
    """The claims of a group, benefits before harms before what is said of the evidence."""
    kinds = rows["kind"].map(KINDS)
    titles = [title for title in dict.fromkeys(KINDS.values()) if (kinds == title).any()]
    lists = []
    for title in titles:
        head = f'<p class="kind">{title}</p>' if len(titles) > 1 else ""
        items = "".join(map(_item, rows[kinds == title].itertuples()))
        lists.append(f"{head}<ul>{items}</ul>")
    return "".join(lists)


def _item(row) -> str:
    small = basis(row)
    same = row.verdict in (GROUPS[row.group].lower(), *APART)  # the head has said it
    return (
        f"<li>{escape.html(sentence(row))}"
        + ("" if same else f": <b>{escape.html(row.verdict)}</b>")
        + (f" <small>{escape.html(small)}</small>" if small else "")
        + "</li>"
    )


def basis(row) -> str:
    """Certainty, studies and patients behind a claim, or why it is not known."""
    sure = f"{row.certainty} certainty" if row.certainty else ""
    parts = [f"{sure}, {row.raised}" if sure and row.raised else sure]
    if row.kind == verdicts.EFFECT and row.verdict != verdicts.NOT_KNOWN and not row.counted:
        parts.insert(0, with_interval(row) if words.known(row.value) else "")
    if row.kind in (verdicts.DESCRIPTION, verdicts.BEYOND):
        parts.append(_described(row))
    if row.verdict in ("not known", "outside these data"):
        parts.append(row.capped_by)
    if row.k_studies and row.kind != "description":
        parts.append(behind(row))
    return "; ".join(filter(None, [*parts, _no_stronger(row), among_analyses(row)]))


def _described(row) -> str:
    """What a remark on the evidence rests on: its figure, what that is of, and of how many."""
    if not words.known(row.value):
        return row.estimand
    of = f", {behind(row)}" if row.k_studies and row.unit == "share" else ""
    told = f"{value_of(row)}, {row.estimand}" if row.unit == "share" else value_of(row)
    return f"{told}{of}"


def behind(row) -> str:
    """`4 studies, 303 patients`, or the cohorts, headlines or trials that a claim counts."""
    return words.base(row.k_studies, row.n_patients, row.k_what)


def _no_stronger(row) -> str:
    """What keeps a suggested effect from a stronger word, beside its certainty."""
    if row.kind != verdicts.EFFECT or row.verdict != verdicts.SUGGESTED:
        return ""
    held = [why for why in row.capped_by.split("; ") if not why.startswith("certainty")]
    return f"held at {row.verdict}: {'; '.join(held)}" if any(held) else ""


def among_analyses(row) -> str:
    """Where the headline of an effect and the claim's threshold stand among the analyses."""
    if not words.known(row.n_analyses):
        return ""
    return (
        f"of {row.n_analyses:.0f} defensible analyses {words.percent(row.share_as_favourable)} are "
        f"at least as favourable, and {words.percent(row.share_beyond)} have a 95 % interval "
        f"wholly {row.threshold}"
    )


PART = re.compile(r"(?P<part>\w+?)(?P<least>>?)=(?P<k>\d+)/(?P<n>\d+)")


def parts_of(row) -> dict[str, str]:
    """What was counted, part by part: `{"psc_islet": "14 of 14"}`."""
    return {
        match["part"]: f"{'at least ' if match['least'] else ''}{match['k']} of {match['n']}"
        for match in PART.finditer(row.counted)
    }


def sentence(row) -> str:
    """A claim with the counts it rests on: class by class, harm by harm, arm by arm.

    No count is joined over classes of cells, and a comparison names the studies that have one.
    """
    parts = parts_of(row)
    if set(parts) == {"treated", "control"}:
        where = (
            "in the one study that also counts it in its controls"
            if row.k_studies == 1
            else f"in one of {row.k_studies:.0f} studies that also count it in their controls"
        )
        return (
            f"{row.claim}: {parts['treated']} treated against {parts['control']} controls "
            f"{where}, {with_interval(row)}"
        )
    told = [
        f"{events.lower()} in {counts}"
        if (events := vocabulary.EVENT_CATEGORIES.get(part))
        else f"{counts} given {readings.CLASS_WORDS.get(part, words.short(part))}"
        for part, counts in parts.items()
    ]
    return f"{row.claim}: {words.listed(told)}" if told else row.claim


def _ordered(results) -> pd.DataFrame:
    """Claims by group, best word first, in the order of the approaches."""
    table = results.table("claims")
    order = {claim.id: place for place, claim in enumerate(room.CLAIMS)}
    group = table["group"].map(list(GROUPS).index)
    place = table["claim_id"].map(lambda name: order.get(name, len(order)))
    raised = [readings.raised(results, f"{ids} ".split(" ")[0]) for ids in table["estimate_ids"]]
    return table.assign(g=group, p=place, raised=raised).sort_values(
        ["g", "p"], ignore_index=True, kind="stable"
    )


def grouped(results) -> Grouped:
    """The claims for the first page."""
    return Grouped(_ordered(results))


@said
def in_short(results) -> str:
    """How many claims have each word, in one sentence: every word, so that they add up."""
    table = results.table("claims")
    if table.empty:
        return "No claim was judged in this run."
    found = table["verdict"].value_counts()
    counts = [f"{found[word]} {word}" for word in verdicts.WORDS if word in found]
    return f"Of {len(table)} claims often made in public: {words.listed(counts)}."


@made_from("claims")
def table(results) -> Table:
    """Every claim with all that a reader needs to check it."""
    frame = _ordered(results)
    sources = {source.key: source for source in room.OTHER_FIELDS}
    rows = []
    for row in frame.itertuples():
        rests = len(row.estimate_ids.split()) + len(list(filter(None, row.source_rows.split(";"))))
        unknown = row.verdict == verdicts.NOT_KNOWN
        beyond = unknown and row.kind == verdicts.DURATION  # a figure of the curve alone
        cited = [
            f"{sources[key].what}: {sources[key].citation}"
            for key in room.SOURCES_OF.get(row.claim_id, ())
        ]
        one = "1 figure or fact" if rests == 1 else f"{rests} figures and facts"
        words_of = one if rests else "the table of studies" if row.k_studies else "nothing"
        told = re.sub(r"\d{4}-\d\d-\d\d", lambda day: date(day[0]), row.caveat)
        mind = dict.fromkeys(
            [row.raised, row.capped_by, among_analyses(row), *told.split("; "), *cited]
        )
        rows.append(
            {
                "Claim": sentence(row),
                "Verdict": row.verdict,
                "Chance": "–" if unknown else words.chance(row.probability),
                "Certainty": row.certainty or "–",
                "Figure (95 % interval)": "–" if beyond else with_interval(row),
                "Behind it": behind(row) if row.k_studies else "–",
                "Asked": f"{row.estimand}; {row.threshold}" if row.threshold else row.estimand,
                "Note": "; ".join(filter(None, mind)) or "–",
                "Rests on": words_of,
            }
        )
    ids = list(frame["claim_id"])
    return grid(pd.DataFrame(rows), ids=ids, steps=[results.steps(name) for name in ids],
                tools=True, screen=["Rests on", *IN_SHORT])  # fmt: skip


def value_of(row) -> str:
    """The figure that decides a claim, in its unit; a ratio is never a percentage of chance."""
    if not words.known(row.value):
        return "; ".join(parts_of(row).values()) or "–"
    if row.unit == "share":
        return f"{readings.of_100(row.value)} of 100"
    if row.unit == "ratio" and "insulin dose" in row.estimand:
        return readings.percent_change(row.value)
    if row.unit in ("ratio", "risk ratio"):
        return f"{words.number(row.value, 1 if row.value >= 10 else 2)} times"
    whole = float(row.value).is_integer() and row.kind == "description"
    return f"{words.number(row.value, 0 if whole else 2)} {row.unit}".strip()


def with_interval(row) -> str:
    """The figure with its interval: `1.49 times (1.10 to 2.12)`."""
    interval = interval_of(row)
    return value_of(row) if interval == "–" else f"{value_of(row)} ({interval})"


def interval_of(row) -> str:
    """The interval of that figure in the same unit."""
    if not (words.known(row.ci_low) and words.known(row.ci_high)):
        return "–"
    if row.unit == "share":
        if row.ci_high == 1 and row.value < 1:
            return f"{readings.of_100(row.ci_low)} or more of 100"
        return f"{readings.of_100(row.ci_low)} to {readings.of_100(row.ci_high)} of 100"
    if row.unit == "ratio" and "insulin dose" in row.estimand:
        return readings.span("insulin_dose", row.ci_low, row.ci_high)
    return words.interval(row.ci_low, row.ci_high, 1 if row.ci_high >= 10 else 2)


# --- summary of findings -----------------------------------------------------------------------


def findings_of(results, approach: str, population: str) -> list[tuple[str, readings.Reading]]:
    """At most seven outcomes of a stratum, harms among them; classes of islets apart."""
    if approach == ISLETS:
        found = []
        facts = readings.counted(results, "c_peptide_detectable", approach, population)
        for cell_class in sorted(facts["cell_class"].unique()):
            name = readings.CLASS_WORDS.get(cell_class, words.short(cell_class))
            found.append(
                (
                    f"{outcomes.get('c_peptide_detectable').finding}: {name}",
                    readings.share(
                        results, "c_peptide_detectable", approach, population, cell_class
                    ),
                )
            )
        shares = (
            "insulin_free_12",
            "ever_insulin_free",
            "hba1c_below_7",
            "free_of_severe_hypoglycaemia",
        )
    else:
        told = [o for o in outcomes.HEADLINES if approach == INFUSION or o != "c_peptide_gain"]
        found = [
            (outcomes.get(o).finding, readings.effect(results, o, approach, population))
            for o in told
        ]
        shares = ("insulin_free_12", "ever_insulin_free")
    for name in shares:
        classes = _classes_of(results, name, approach, population)
        title = _counted_name(results, name, approach, population)
        found += [
            (
                f"{title}: {readings.CLASS_WORDS.get(word, words.short(word))}" if word else title,
                readings.share(results, name, approach, population, word or "all"),
            )
            for word in classes or [""]
        ]
    kept = list(dict.fromkeys(reading.outcome for _, reading in found))[: MOST_OUTCOMES - 1]
    rows = [(title, reading) for title, reading in found if reading.outcome in kept]
    return [*rows, _harms_row(results, approach, population)]


def _classes_of(results, outcome: str, approach: str, population: str) -> list[str]:
    """Classes of cells that are counted apart: of islet replacement, where it has several."""
    found = sorted(set(readings.counted(results, outcome, approach, population)["cell_class"]))
    return found if approach == ISLETS and len(found) > 1 else []


def _counted_name(results, outcome: str, approach: str, population: str) -> str:
    """A counted outcome with the visits at which it was counted."""
    facts = readings.counted(results, outcome, approach, population)
    return visits.named(outcomes.get(outcome).finding, outcome, facts)


def _harms_row(results, approach: str, population: str) -> tuple[str, readings.Reading]:
    parts = [
        f"{harms.event(word, 2)} in {counts}"
        for word in ("death", "severe_infection")
        if (counts := harms.stated(results, word, approach, population))
    ]
    quiet, every, _ = harms.silent(results, "death", approach)
    told = "; ".join(parts) or "none named"
    return (
        "Deaths and severe infections named",
        readings.Reading(
            "harm_death",
            readings.WORDS,
            value=told,
            short=told,
            id=f"harms:{approach}:{population}",
            caveat=f"{words.of(quiet, every, 'group')} of the approach "
            f"{words.verb(quiet, 'are', 'is')} silent on deaths",
        ),
    )


@made_from("headlines")
def summary_of_findings(results, approach: str, population: str) -> Table:
    """The summary of findings of one stratum, GRADE style: effects, basis, certainty, why."""
    rows, ids = [], []
    for title, reading in findings_of(results, approach, population):
        ids.append(reading.id)
        rows.append(
            {
                "Outcome": title,
                "Finding": reading.short if reading.told == readings.NONE else reading.value,
                "95 % interval": reading.interval or "–",
                "New study": reading.new_study or "–",
                "Behind it": reading.behind or "–",
                "Certainty": reading.certainty or "not judged",
                "Why": "; ".join(filter(None, [*_steps(results, reading.id), reading.caveat]))
                or "–",
            }
        )
    return grid(pd.DataFrame(rows), ids=ids, steps=[results.steps(name) for name in ids])


def _steps(results, estimate_id: str) -> list[str]:
    """The steps of a certainty that were taken, each with its levels and reason."""
    if not estimate_id:
        return []
    steps = results.rows("certainty_steps", estimate_id=estimate_id)
    start = steps[steps["domain"] == "start"]["reason"].tolist()
    taken = steps[(steps["domain"] != "start") & (steps["levels"] != 0)]
    return start + [f"{directions.step(row.levels)}: {row.reason}" for row in taken.itertuples()]


def strata() -> tuple[tuple[str, str, str], ...]:
    """Approach, population and title of every summary of findings."""
    return tuple(
        (a, p, f"{vocabulary.APPROACHES[a].capitalize()}, {TYPES[p]} diabetes") for a, p in CARDS
    )
