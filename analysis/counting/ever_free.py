"""Who ever became free of insulin: one count for the same patients, that of the primary report."""

from __future__ import annotations

import math
import re

import pandas as pd

from analysis.counting.independence import (
    LESSER_ROLES,
    exclusion_table,
    lines_of,
    main_arm,
    number,
    references,
    speaking,
    studies_of,
)
from analysis.evidence import Evidence
from analysis.records import records

EVER_COLUMNS = [
    "study_id", "label", "cohort", "cell_class", "diabetes_type", "design", "controlled", "onset",
    "conditioning", "k", "n", "bound", "k_control", "n_control", "source_rows", "seen_in",
]  # fmt: skip


def ever_counts(
    evidence: Evidence, overlaps: str = "declared"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One count of ever independent for the same patients.

    `bound` is `exact` or `at_least` (the count is a lower bound). `onset` is `new` where the
    study states that diabetes was new (words, or at most 6 months), `longstanding` where it states
    at least a year, else `unstated`. Of reports on the same patients the primary one counts, then
    the one with most patients, then an exact count, then the latest. `overlaps` says which declared
    overlaps make reports ones on the same patients (`cohorts.OVERLAPS`).

    Returns
    -------
    counts : `EVER_COLUMNS`, one row a cohort.
    exclusions : `EXCLUSION_COLUMNS`, one row for each `ever` row not used.
    """
    studies = studies_of(evidence, overlaps)
    rows = evidence.independence[evidence.independence["fact"] == "ever"]
    notes: dict[int, str] = {}
    offered: dict[str, list[tuple[tuple, dict, dict]]] = {}
    for study, usable in speaking(rows, studies, notes):
        usable = [r for r in usable if r["n_total"] > 0 and not math.isnan(r["k"])]
        if not usable:
            continue
        main = main_arm(usable)
        rest = [r for r in usable if r["arm"] == main]
        notes |= {r["line"]: "part of the arm used" for r in usable if r["arm"] != main}
        row = max(rest, key=lambda r: (r["n_total"], r["bound"] != "at_least"))
        notes |= {r["line"]: "restates the count used" for r in rest if r is not row}
        rank = (
            study["cohort_role"] == "primary",
            study["cohort_role"] not in LESSER_ROLES,
            row["n_total"],
            row["bound"] != "at_least",
            number(study["year"]),
            study["study_id"],
        )
        offered.setdefault(study["patients"], []).append((rank, study, row))
    best = {patients: max(counts, key=lambda c: c[0]) for patients, counts in offered.items()}
    for patients, counts in offered.items():
        speaker = best[patients][1]["study_id"]
        for _, study, row in counts:
            if study["study_id"] != speaker:
                notes[row["line"]] = f"same patients as {speaker}, whose count is used"
    counts = pd.DataFrame(
        [_ever_row(study, row, rows) for _, study, row in best.values()], columns=EVER_COLUMNS
    )
    used = lines_of(counts["source_rows"])
    return counts, exclusion_table(rows, used, notes, "ever")


def ever_contrasts(evidence: Evidence) -> pd.DataFrame:
    """Studies that count ever independent in a treated and in a control arm.

    Returns study_id, label, cohort, cell_class, diabetes_type, k, n, k_control, n_control and
    source_rows, one row a study with include=yes. Two such studies of one cohort both appear.
    """
    studies = studies_of(evidence)
    rows = evidence.independence[evidence.independence["fact"] == "ever"]
    found = []
    for study, usable in speaking(rows, studies, {}):
        usable = [r for r in usable if r["bound"] != "at_least" and r["n_total"] > 0]
        if not usable:
            continue
        main = main_arm(usable)
        row = _ever_row(study, next(r for r in usable if r["arm"] == main), rows)
        if row["controlled"]:
            found.append(row)
    columns = [
        "study_id", "label", "cohort", "cell_class", "diabetes_type", "k", "n", "k_control",
        "n_control", "source_rows",
    ]  # fmt: skip
    return pd.DataFrame(found, columns=columns)


def _ever_row(study: dict, row: dict, ever: pd.DataFrame) -> dict:
    """`row` of a study and the control arm beside it; `ever` are all rows of that fact."""
    own = ever[ever["study_id"] == study["study_id"]]
    control_rows = [r for r in records(own) if r["arm"].startswith("control")]
    lines = [row["line"], *(r["line"] for r in control_rows[:1])]
    return {
        "study_id": study["study_id"],
        "label": study["label"],
        "cohort": study["cohort"],
        "cell_class": study["cell_class"],
        "diabetes_type": study["diabetes_type"],
        "design": study["design"],
        "controlled": bool(control_rows),
        "onset": onset_of(study.get("diabetes_duration_summary", "")),
        "conditioning": study["immune_strategy"] == "conditioning_ablation",
        "k": float(row["k"]),
        "n": float(row["n_total"]),
        "bound": "at_least" if row["bound"] == "at_least" else "exact",
        "k_control": control_rows[0]["k"] if control_rows else math.nan,
        "n_control": control_rows[0]["n_total"] if control_rows else math.nan,
        "source_rows": references(lines),
        "seen_in": row["seen_in"],
    }


def onset_of(text: str) -> str:
    """`new`, `longstanding` or `unstated`, from the words on diabetes duration.

    New where the text says so, or names only weeks or at most six months; long-standing where it
    names years and no weeks or months, or says "chronic". Anything less clear is unstated.
    """
    words = text.lower()
    if re.search(r"\bnew(ly)?\b|recent", words):
        return "new"
    if "chronic" in words:
        return "longstanding"
    weeks = re.search(r"\bweeks?\b", words)
    months = [float(x) for x in re.findall(r"(\d+(?:\.\d+)?)\s*(?:\([^)]*\)\s*)?months?\b", words)]
    years = re.search(r"\byears?\b", words)
    if re.search(r"\bsix months\b", words):
        months.append(6.0)
    if years and not weeks and not months:
        return "longstanding" if not re.search(r"<\s*\d", words) else "unstated"
    if not years and (weeks or months) and all(m <= 6 for m in months):
        return "new"
    if not years and months and min(months) >= 12:
        return "longstanding"
    return "unstated"
