"""Certainty and verdicts before and after, from tracked results and what the change touches.

The results of one of the two states are tracked (`data/processed`): what they conclude is read. For
the other state the touched headlines and all that is counted stand in their place in these
estimates and tables, and certainty and claims are judged anew by the rules of the report. Where the
tracked results belong to neither state, nothing is concluded, and that is said.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from analysis import pipeline, questions, results, risk_of_bias
from analysis.difference.comparing import VERDICT_COLUMNS, Difference
from analysis.difference.counted import tables as counted_tables
from analysis.evidence import Evidence
from analysis.questions import Question
from analysis.stages import headlines, synthesis

JUDGED_FROM = ("headlines", "shares", "harms", "durations")
"""The stages whose results certainty and claims are judged from and that `diff` computes anew."""
UNJUDGED = ("certainty and verdicts are not told: the results in {out} belong to neither state "
            "(`isletmeta run` brings them up to date)")  # fmt: skip


def conclude(found: Difference, before: Evidence, after: Evidence, out: Path) -> Difference:
    """The difference with certainty of each headline, and the verdicts that change.

    Parameters
    ----------
    found : the difference of the two states.
    out : the folder of tracked results.
    """
    states = {"before": before, "after": after}
    known = next((when for when, state in states.items() if belongs(out, state)), None)
    if known is None:
        return replace(found, remark=UNJUDGED.format(out=out))
    other = "after" if known == "before" else "before"
    estimates = results.read(out, "estimates")
    wanted = {*synthesis.READS, "certainty", "claims"}
    tables = {name: results.read(out, name) for name in wanted}
    said = {known: (tables["certainty"], tables["claims"])}
    said[other] = _judged_anew(found, states[other], other, estimates, tables)
    rows = found.headlines.copy()
    for when, (levels, _) in said.items():
        rows[f"certainty_{when}"] = [_level(levels, row) for row in rows.to_dict("records")]
    return replace(
        found, headlines=rows, verdicts=_verdicts(said["before"][1], said["after"][1])
    )  # fmt: skip


def belongs(out: Path, state: Evidence) -> bool:
    """Whether tracked results were made from a state of the evidence."""
    records = pipeline.read_manifest(out).get("stages", {})
    digests = pipeline.evidence_digests(state)
    return all(
        name in records
        and all(digests.get(f) == d for f, d in records[name]["inputs"]["evidence"].items())
        for name in JUDGED_FROM
    )


def _judged_anew(
    found: Difference,
    state: Evidence,
    when: str,
    estimates: pd.DataFrame,
    tables: dict[str, pd.DataFrame],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Certainty and claims of a state, what it changes in the place of what is tracked."""
    judged = risk_of_bias.overalls(state.risk_of_bias)
    body = questions.Body(state)
    made: dict[str, list[dict]] = {"headlines": [], "study_estimates": [], "densities": []}
    fresh: list[dict] = []
    stale = pd.Series(False, index=estimates.index)
    gone = {name: pd.Series(False, index=tables[name].index) for name in made}
    for question, fits in found.posteriors.items():
        stale |= _of(estimates, question) & estimates["variant"].eq("headline")
        for name in made:
            gone[name] |= _of(tables[name], question)
        rows, fit = body.rows(question), fits[0 if when == "before" else 1]
        answer = headlines.answer(body, question, rows, fit, judged)
        fresh += answer.estimates
        made["headlines"] += [answer.headline]
        made["study_estimates"] += answer.studies
        if fit is not None:
            made["densities"] += headlines.densities(question, fit, answer.headline["told"])
    counted = found.counted_before if when == "before" else found.counted_after
    beside = found.counted_after if when == "before" else found.counted_before
    place = 0 if when == "before" else 1
    lasted = {name: states[place] for name, states in found.lasted.items()}
    others = found.lasted["estimates"][1 - place]
    named = pd.concat([counted["id"], beside["id"], lasted["estimates"]["id"], others["id"]])
    stale |= estimates["id"].isin(named)
    fitted = [results.estimates(fresh), counted, lasted["estimates"]]
    whole = pd.concat([estimates[~stale], *fitted], ignore_index=True)
    given = tables | counted_tables(found.counts[place]) | found.lasting[place].tables
    given["duration_follow_up"] = _reach(tables["duration_follow_up"], found.lasted, place)
    for name, rows in made.items():
        added = pd.DataFrame(rows, columns=results.TABLES[name].names)
        joined = pd.concat([tables[name][~gone[name]], added], ignore_index=True)
        given[name] = results.checked(name, joined)
    made_anew = synthesis.conclusions(state, whole, given)
    return made_anew["certainty"], made_anew["claims"]


def _reach(
    tracked: pd.DataFrame, lasted: dict[str, list[pd.DataFrame]], place: int
) -> pd.DataFrame:
    """How far durations were followed in a state: of touched approaches as computed anew."""
    both = lasted["duration_follow_up"]
    touched = {approach for table in both for approach in table["approach"]}
    kept = tracked[~tracked["approach"].isin(touched)]
    return results.checked("duration_follow_up", pd.concat([kept, both[place]], ignore_index=True))


def _of(table: pd.DataFrame, question: Question) -> pd.Series:
    return (table[list(question.parts)] == list(question.parts.values())).all(axis=1)


def _level(levels: pd.DataFrame, row: dict) -> str:
    """The certainty of a headline; of its controlled row alone, as the report tells it."""
    if row["design"] != "controlled":
        return ""
    same = levels[list(questions.Question.__dataclass_fields__)[:3]]
    same = (same == [row["outcome"], row["approach"], row["population"]]).all(axis=1)
    return next(iter(levels.loc[same, "level"]), "")


def _verdicts(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    old = before.set_index("claim_id")["verdict"]
    rows = [
        (row.claim_id, row.claim, old.get(row.claim_id, "no verdict"), row.verdict)
        for row in after.itertuples()
        if old.get(row.claim_id) != row.verdict
    ]
    return pd.DataFrame(rows, columns=VERDICT_COLUMNS)
