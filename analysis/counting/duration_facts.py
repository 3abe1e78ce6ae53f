"""From published facts on insulin independence to one likelihood-ready layer of facts a cohort.

Papers tell the same durations in many ways: single patients, "m of k at 12 months", a median with
a range, the longest few. Facts of one study, and reports of one cohort, restate one another. This
room chooses for each cohort one report and one mutually exclusive set of facts (read by
`duration_readings`), and says of every row not used why. It never looks at names of studies: all
rules read columns.

Eligible are rows on treated patients of studies with include=yes. Of reports on the same patients
(one cohort, or a declared or possible overlap) the one observed longest is used (then most
patients); reports that are an earlier report, a subset or a duplicate only where nothing else
speaks.
"""

from __future__ import annotations

import pandas as pd

from analysis.counting.duration_readings import Candidate, Unusable, cohort_ever, read_study
from analysis.counting.independence import (
    LESSER_ROLES,
    exclusion_table,
    lines_of,
    references,
    speaking,
    studies_of,
)
from analysis.evidence import Evidence

FACT_COLUMNS = [
    "study_id", "label", "cohort", "cell_class", "diabetes_type", "kind", "low", "high", "count",
    "time_origin", "through_ever", "min_ever", "k_ever", "n_total", "source_rows", "reason",
]  # fmt: skip


def layer(evidence: Evidence) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One mutually exclusive layer of duration facts a cohort.

    Returns
    -------
    facts : `FACT_COLUMNS`, one row a statement; times in months. `time_origin` is `treatment` or
        `independence`; `through_ever` marks patients whose number ever independent is not known,
        so that their likelihood includes the probability of becoming free.
    exclusions : `EXCLUSION_COLUMNS`, one row for each row of independence.csv not in a fact.
    """
    studies = studies_of(evidence)
    rows = evidence.independence
    notes: dict[int, str] = {}
    candidates: list[Candidate] = []
    for study, usable in speaking(rows, studies, notes):
        try:
            candidates.append(read_study(study, usable, cohort_ever(evidence, studies, study)))
        except Unusable as why:
            notes |= dict.fromkeys((r["line"] for r in usable), str(why))
    chosen, beaten = _one_a_cohort(candidates)
    for candidate, reason in beaten:
        lines = {line for piece in candidate.pieces for line in piece.lines}
        notes |= dict.fromkeys(lines | {line for line, _ in candidate.left_over}, reason)
    for candidate in chosen:
        notes |= dict(candidate.left_over)
    facts = _facts_table(chosen)
    used = lines_of(facts["source_rows"])
    return facts, exclusion_table(rows, used, notes, "durations")


def _one_a_cohort(
    candidates: list[Candidate],
) -> tuple[list[Candidate], list[tuple[Candidate, str]]]:
    """One report on the same patients: no lesser report, then the one observed longest."""

    def rank(c: Candidate) -> tuple:
        return (c.study["cohort_role"] not in LESSER_ROLES, c.observed, c.patients)

    ordered = sorted(candidates, key=rank, reverse=True)
    chosen: list[Candidate] = []
    beaten: list[tuple[Candidate, str]] = []
    for candidate in ordered:
        rival = next(
            (c for c in chosen if c.study["patients"] == candidate.study["patients"]), None
        )
        if rival is None:
            chosen.append(candidate)
        else:
            beaten.append((candidate, f"same patients as {rival.study['study_id']}, which is used"))
    position = {id(c): i for i, c in enumerate(candidates)}
    return sorted(chosen, key=lambda c: position[id(c)]), beaten


def _facts_table(chosen: list[Candidate]) -> pd.DataFrame:
    rows = []
    for c in chosen:
        for p in c.pieces:
            rows.append(
                {
                    "study_id": c.study["study_id"],
                    "label": c.study["label"],
                    "cohort": c.study["cohort"],
                    "cell_class": c.study["cell_class"],
                    "diabetes_type": c.study["diabetes_type"],
                    "kind": p.kind,
                    "low": float(p.low),
                    "high": float(p.high),
                    "count": float(p.count),
                    "time_origin": p.origin,
                    "through_ever": p.through_ever,
                    "min_ever": int(p.min_ever),
                    "k_ever": c.k_ever,
                    "n_total": c.n_total,
                    "source_rows": references(p.lines),
                    "reason": p.reason,
                }
            )
    return pd.DataFrame(rows, columns=FACT_COLUMNS)
