"""Registered trials: what is coming, what was never told, and whose primary outcome changed.

Tidy tables from `registered_trials.csv`, `publication_search.csv` and `trial_conduct.csv`: ongoing
trials by approach and population; trials that ended two years or more before the registry was read
and of which nothing was published, with Wilson intervals; registered against reported primary
outcomes. Pure functions on an `Evidence`; the day the registry was read is a column of each table,
and "now" is that day, so that a table says the same whenever it is computed.
"""

from __future__ import annotations

import calendar
import datetime as dt
import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from analysis import cohorts
from analysis import vocabulary as v
from analysis.evidence import Evidence
from analysis.records import records

ALL = "all"
POPULATIONS = tuple(cohorts.POPULATION_PARTS)
"""Populations of the counts: `t1d` holds new onset and established too, `all` every trial."""

SILENT_YEARS = 2
"""A trial without results is silent from this many years after its end on."""

ENDED = {
    "reported": "its end is reported",
    "presumed": "its expected end has passed and the registry does not know its status",
}

PUBLISHED_BY = {
    "firm": "a report of the trial is known",
    "firm_or_probable": "a report that is probably of the trial counts too",
    "any_public_result": "results posted in the registry or told in the press count too",
}

UNTOLD = "firm_or_probable"
"""What counts as told unless another is named: a report, certain or probable. What was only posted
or told in the press is told by the third word alone."""

Z_95 = 1.959963984540054

_CONTROLLED = {"not_stated": "not_stated"} | {
    design: "yes" if design in v.CONTROLLED_DESIGNS else "no" for design in v.DESIGNS
}


def read_on(evidence: Evidence) -> str:
    """The day the registry was read: the latest `read_on` of the table, "" where it is empty."""
    return max(evidence.registered_trials["read_on"], default="")


def last_day(text: str) -> dt.date:
    """The last day of a printed date: 2024 is 31 December 2024, 2024-02 is 29 February 2024."""
    parts = [int(part) for part in text.split("-")]
    year, month = parts[0], parts[1] if len(parts) > 1 else 12
    day = parts[2] if len(parts) > 2 else calendar.monthrange(year, month)[1]
    return dt.date(year, month, min(day, calendar.monthrange(year, month)[1]))


def years_before(day: dt.date, years: int) -> dt.date:
    """The same day some years earlier; 28 February for a 29 February that does not exist."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)


def wilson(k: int, n: int) -> tuple[float, float]:
    """Two-sided 95 % interval of a share; (NaN, NaN) without trials.

    References
    ----------
    Wilson 1927, J Am Stat Assoc 22:209.
    """
    if n == 0:
        return math.nan, math.nan
    share, z2 = k / n, Z_95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return (middle - half if k else 0.0), (middle + half if k < n else 1.0)


def population_of(diabetes_type: str, onset_group: str) -> str:
    """The finest population of the protocol that a trial speaks for; "" where none is known."""
    if diabetes_type == "T1D":
        fine = {"new_onset": "t1d_new_onset", "established": "t1d_established"}
        return fine.get(onset_group, "t1d")
    return {"T2D": "t2d", "both": "all"}.get(diabetes_type, "")


def trials(evidence: Evidence) -> pd.DataFrame:
    """The registered trials in scope, one row a trial, in the order of the table.

    Returns
    -------
    DataFrame
        The table's own columns and: approach, population (words of the protocol, "" where not
        known), controlled (yes, no, not_stated), n (patients enrolled, else planned; NaN where
        neither is known), n_kind (actual, planned, ""), end (printed date of the study's end, else
        of its primary completion, ""), expected (primary completion where that is still expected,
        else the study's end, "").
    """
    table = evidence.registered_trials
    table = table[table["scope"] == "main"].reset_index(drop=True)
    actual = table["n_actual"].notna()
    return table.assign(
        approach=[v.APPROACH_OF_CLASS[word] or "" for word in table["cell_class"]],
        population=[
            population_of(*pair)
            for pair in zip(table["diabetes_type"], table["onset_group"], strict=True)
        ],
        controlled=table["design"].map(_CONTROLLED),
        n=table["n_actual"].where(actual, table["n_planned"]),
        n_kind=[
            "actual" if known else "planned" if planned > 0 else ""
            for known, planned in zip(actual, table["n_planned"], strict=True)
        ],
        end=_first_given(table, "study_completion", "primary_completion"),
        expected=[_expected(row)[0] for row in records(table)],
    )


def _expected(row: dict) -> tuple[str, str]:
    """The completion that is still to come, and which: primary, study or ""."""
    if row["primary_completion"] and row["primary_completion_kind"] == "expected":
        return row["primary_completion"], "primary"
    if row["study_completion"]:
        return row["study_completion"], "study"
    return row["primary_completion"], "primary" if row["primary_completion"] else ""


def _first_given(table: pd.DataFrame, first: str, second: str) -> pd.Series:
    return table[first].where(table[first] != "", table[second])


def ongoing(evidence: Evidence) -> pd.DataFrame:
    """Trials that are under way or planned, by expected completion, the undated last.

    Returns
    -------
    DataFrame
        registry_id, title, product, approach, population, cell_class, design, controlled, masked,
        n, n_kind, status, start, expected (date), expected_is (primary, study, ""), overdue (bool:
        the expected date lies before the day the registry was read), primary_outcome,
        sponsor, country, results, study_ids, source_url, status_seen_on, read_on.
    """
    table = trials(evidence)
    table = table[table["status"].isin(v.ONGOING_STATUSES)]
    day = read_on(evidence)
    table = table.assign(
        expected_is=[_expected(row)[1] for row in records(table)],
        overdue=[bool(text) and last_day(text) < last_day(day) for text in table["expected"]],
    )
    columns = [
        "registry_id", "title", "product", "approach", "population", "cell_class", "design",
        "controlled", "masked", "n", "n_kind", "status", "start", "expected", "expected_is",
        "overdue", "primary_outcome", "sponsor", "country", "results", "study_ids", "source_url",
        "status_seen_on", "read_on",
    ]  # fmt: skip
    order = table["expected"].where(table["expected"] != "", "9999")
    return (
        table[columns]
        .assign(_order=order)
        .sort_values(["_order", "registry_id"])
        .drop(columns="_order")
        .astype({"overdue": bool})
        .reset_index(drop=True)
    )


def overdue(evidence: Evidence, day: dt.date) -> pd.DataFrame:
    """The rows of `ongoing` whose expected completion lies before a day, the latest due last.

    Returns
    -------
    DataFrame
        The columns of `ongoing` and months_late (whole months since the expected date).
    """
    table = ongoing(evidence)
    due = [last_day(text) if text else dt.date.max for text in table["expected"]]
    late = [12 * (day.year - end.year) + day.month - end.month for end in due]
    over = np.array([end < day for end in due], dtype=bool)
    return table.assign(months_late=late)[over].reset_index(drop=True)


def of_stratum(table: pd.DataFrame, approach: str, population: str) -> pd.DataFrame:
    """The trials of an approach and population; `all` takes every trial, the unstated included."""
    chosen = pd.Series(True, index=table.index)
    if approach != ALL:
        chosen &= table["approach"].eq(approach)
    if population != ALL:
        chosen &= cohorts.in_population(table["population"], population)
    return table[chosen]


def strata() -> list[tuple[str, str]]:
    """Every approach (and all) with every population."""
    return [(a, p) for a in (*v.APPROACHES, ALL) for p in POPULATIONS]


def coming(evidence: Evidence) -> pd.DataFrame:
    """How many trials and patients are coming, by approach and population, zeros kept.

    Returns
    -------
    DataFrame
        approach, population (see `POPULATIONS`), n_trials, n_controlled, n_randomised, n_masked,
        n_overdue, n_patients (of trials that say), n_without_size, n_controlled_patients,
        first_expected, last_expected (dates, "" where none is printed), first_controlled,
        last_controlled (the same of controlled trials), read_on.
    """
    columns = ["approach", "population", "controlled", "design", "masked", "overdue", "n",
               "expected"]  # fmt: skip
    trials_coming, day = ongoing(evidence)[columns], read_on(evidence)
    rows = []
    for approach, population in strata():
        group = of_stratum(trials_coming, approach, population)
        controlled = group["controlled"] == "yes"
        first, last = _ends(group["expected"])
        first_controlled, last_controlled = _ends(group.loc[controlled, "expected"])
        rows.append(
            {
                "approach": approach,
                "population": population,
                "n_trials": len(group),
                "n_controlled": int(controlled.sum()),
                "n_randomised": int((group["design"] == "rct").sum()),
                "n_masked": int((group["masked"] == "yes").sum()),
                "n_overdue": int(group["overdue"].sum()),
                "n_patients": int(group["n"].sum()),
                "n_without_size": int(group["n"].isna().sum()),
                "n_controlled_patients": int(group.loc[controlled, "n"].sum()),
                "first_expected": first,
                "last_expected": last,
                "first_controlled": first_controlled,
                "last_controlled": last_controlled,
                "read_on": day,
            }
        )
    return pd.DataFrame(rows)


def _ends(dates: pd.Series) -> tuple[str, str]:
    """The first and the last of printed dates, ("", "") where none is printed."""
    dated = sorted(dates[dates != ""], key=last_day)
    return (dated[0], dated[-1]) if dated else ("", "")


def ended_by(status: str, basis: str, last_known: str, end: str, day: dt.date) -> str:
    """How it is known that a trial ended by a day: reported, presumed, or "" where it did not.

    reported: completed or terminated, with an end by that day or without a printed one. presumed:
    the registry does not know the status, which it says two years after an expected end; the end
    lies by that day, or is not printed and the registry's own record was read. A withdrawn trial,
    and one that was last known not to have begun, had nothing to tell.
    """
    by_then = bool(end) and last_day(end) <= day
    if status in ("completed", "terminated"):
        return "reported" if by_then or not end else ""
    if status == "unknown" and last_known != "not_yet":
        return "presumed" if by_then or (not end and basis == "registry") else ""
    return ""


def ended(evidence: Evidence) -> pd.DataFrame:
    """Trials that ended `SILENT_YEARS` or more before the registry was read, told or not.

    Returns
    -------
    DataFrame
        registry_id, title, product, approach, population, cell_class, design, controlled, masked,
        n, n_kind, end (date or ""), ended (a word of `ENDED`), found_by, results, verdict (of the
        directed search, "" where none was made), told_firm, told_firm_or_probable,
        told_any_public_result (bool, see `PUBLISHED_BY`), study_ids, source_url, read_on.
    """
    table = trials(evidence)
    day = years_before(last_day(read_on(evidence)), SILENT_YEARS) if len(table) else dt.date.min
    words = [
        ended_by(row["status"], row["status_basis"], row["last_known_status"], row["end"], day)
        for row in records(table)
    ]
    search = evidence.publication_search.set_index("registry_id")["verdict"]
    table = table.assign(ended=words, verdict=table["registry_id"].map(search).fillna(""))
    table = table[table["ended"] != ""]
    firm = (table["results"] == "published") | (table["verdict"] == "published")
    probable = firm | (table["verdict"] == "probably_published")
    table = table.assign(
        told_firm=firm,
        told_firm_or_probable=probable,
        told_any_public_result=probable | table["results"].isin(["posted", "press"]),
    )
    columns = [
        "registry_id", "title", "product", "approach", "population", "cell_class", "design",
        "controlled", "masked", "n", "n_kind", "end", "ended", "found_by", "results", "verdict",
        "told_firm", "told_firm_or_probable", "told_any_public_result", "study_ids", "source_url",
        "read_on",
    ]  # fmt: skip
    return table[columns].reset_index(drop=True)


def silent(evidence: Evidence, told: str = UNTOLD) -> pd.DataFrame:
    """The trials of `ended` of which nothing was told, largest first.

    Parameters
    ----------
    evidence : the evidence.
    told : what counts as told, a word of `PUBLISHED_BY`.
    """
    table = ended(evidence)
    table = table[~table[f"told_{told}"]]
    return table.sort_values(["n", "registry_id"], ascending=[False, True]).reset_index(drop=True)


def silence(evidence: Evidence) -> pd.DataFrame:
    """Of the trials that ended two years ago or more, how many were never told.

    Only trials found by topic, whatever came of them, give a share; trials that were looked for
    because a report names them are published by construction and are counted, no more.

    Returns
    -------
    DataFrame
        One row for each approach, population (see `POPULATIONS`) and told (a word of
        `PUBLISHED_BY`), zeros kept. Of all trials: n_trials, n_silent, n_patients,
        n_patients_silent (of trials that print a size), n_without_size; of those whose end is
        reported, n_end_reported, n_end_reported_silent. Of those found by topic: n_searched,
        n_searched_silent, share_silent, ci_low, ci_high (Wilson 95 %), n_searched_patients,
        n_searched_patients_silent, share_patients_silent (NaN without a trial), and the largest
        silent one: largest_silent (registry id, ""), largest_silent_patients. read_on.
    """
    columns = ["registry_id", "approach", "population", "found_by", "ended", "n",
               *(f"told_{told}" for told in PUBLISHED_BY)]  # fmt: skip
    table, day = ended(evidence)[columns], read_on(evidence)
    table = table.sort_values(["n", "registry_id"], ascending=[False, True])
    rows = []
    for approach, population in strata():
        part = of_stratum(table, approach, population)
        searched = part[part["found_by"] == "topic_search"]
        for told in PUBLISHED_BY:
            untold = part[~part[f"told_{told}"]]
            quiet = searched[~searched[f"told_{told}"]]
            k, n = len(quiet), len(searched)
            low, high = wilson(k, n)
            patients, lost = searched["n"].sum(), quiet["n"].sum()
            sized = quiet[quiet["n"].notna()]
            rows.append(
                {
                    "approach": approach,
                    "population": population,
                    "told": told,
                    "n_trials": len(part),
                    "n_silent": len(untold),
                    "n_patients": int(part["n"].sum()),
                    "n_patients_silent": int(untold["n"].sum()),
                    "n_without_size": int(part["n"].isna().sum()),
                    "n_end_reported": int((part["ended"] == "reported").sum()),
                    "n_end_reported_silent": int((untold["ended"] == "reported").sum()),
                    "n_searched": n,
                    "n_searched_silent": k,
                    "share_silent": k / n if n else math.nan,
                    "ci_low": low,
                    "ci_high": high,
                    "n_searched_patients": int(patients),
                    "n_searched_patients_silent": int(lost),
                    "share_patients_silent": lost / patients if patients else math.nan,
                    "largest_silent": sized["registry_id"].iloc[0] if len(sized) else "",
                    "largest_silent_patients": sized["n"].iloc[0] if len(sized) else math.nan,
                    "read_on": day,
                }
            )
    return pd.DataFrame(rows)


def outcome_switching(evidence: Evidence) -> pd.DataFrame:
    """Registered against reported primary outcome, one row a judged report.

    Returns
    -------
    DataFrame
        study_id, cohort, approach, population (the finest word), registered, registry_id,
        registry_link, registered_primary ("" where not seen), matches (yes, no, unclear),
        source_url.
    """
    studies = evidence.studies[["study_id", "cohort"]]
    strata_of = cohorts.strata(evidence.studies)[["study_id", "approach", "population"]]
    table = evidence.trial_conduct.merge(studies, on="study_id", how="left", validate="1:1")
    table = table.merge(strata_of, on="study_id", how="left", validate="1:1")
    table = table.assign(matches=table["reported_primary_matches"])
    columns = [
        "study_id", "cohort", "approach", "population", "registered", "registry_id",
        "registry_link", "registered_primary", "matches", "source_url",
    ]  # fmt: skip
    return table[columns].reset_index(drop=True)


def registration_of(evidence: Evidence, study_ids: Iterable[str]) -> list[str]:
    """How each study was registered: a word of `vocabulary.REGISTERED`, or not_assessed.

    A follow-up report without a row of its own speaks through another report of its cohort.
    """
    studies, conduct = evidence.studies, evidence.trial_conduct
    cohorts = dict(zip(studies["study_id"], studies["cohort"], strict=True))
    own = dict(zip(conduct["study_id"], conduct["registered"], strict=True))
    order = list(v.REGISTERED)
    of_cohort: dict[str, str] = {}
    for study, word in own.items():
        seen = of_cohort.get(cohorts[study], word)
        of_cohort[cohorts[study]] = min(seen, word, key=order.index)
    return [own.get(study) or of_cohort.get(cohorts[study], "not_assessed") for study in study_ids]
