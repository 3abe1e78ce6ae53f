"""Who speaks for a cohort: which reports share patients, which is heard first, whom they treated.

The same patients must never be counted twice in one answer. Reports of one cohort, and cohorts that
declare shared or possibly shared patients, are one group (`patient_groups`); of a group one report
speaks for each question. `role_rank` says which report is heard first where all else is equal,
`largest_first` which of several cohorts of a group is heard first. `strata` says which approach and
which population a study belongs to. Everything that counts patients takes these rules from here.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis import vocabulary
from analysis.records import records

ROLE_ORDER = {
    "primary": 0,
    "superset": 1,
    "follow_up": 2,
    "earlier_report": 3,
    "subset": 4,
    "duplicate": 5,
}
"""Reports of a cohort, the one that is heard first at the top."""

OVERLAPS = {
    "declared": ("shared_patients", "possible"),
    "shared": ("shared_patients",),
}
"""Declared overlaps that make cohorts one group: patients surely or possibly shared, or surely."""

POPULATION_PARTS = {
    "t1d_new_onset": ("t1d_new_onset",),
    "t1d_established": ("t1d_established",),
    "t1d": ("t1d_new_onset", "t1d_established", "t1d"),
    "t2d": ("t2d",),
    "all": ("t1d_new_onset", "t1d_established", "t1d", "t2d"),
}
"""The finest population words that an answer about a population takes in."""


def patient_groups(studies: pd.DataFrame, overlaps: str = "declared") -> dict[str, str]:
    """Study id -> name of its group of patients: cohorts joined by declared overlaps.

    Only eligible studies (include = yes) join cohorts; the group is named after its first cohort
    in the alphabet.

    Parameters
    ----------
    studies : the table of studies.
    overlaps : "declared" joins cohorts with shared and with possibly shared patients, "shared" only
        the former.

    Raises
    ------
    ValueError : another word.
    """
    if overlaps not in OVERLAPS:
        raise ValueError(f'overlaps is one of {", ".join(OVERLAPS)}, not "{overlaps}"')
    parent = {cohort: cohort for cohort in studies["cohort"]}

    def root(cohort: str) -> str:
        while parent[cohort] != cohort:
            cohort = parent[cohort]
        return cohort

    asked = ["study_id", "cohort", "include", "overlap_kind", "overlaps_with"]
    rows = records(studies[asked])
    for row in rows:
        if row["include"] != "yes" or row["overlap_kind"] not in OVERLAPS[overlaps]:
            continue
        for other in str(row["overlaps_with"]).split():
            if other in parent:
                first, second = sorted((root(row["cohort"]), root(other)))
                parent[second] = first
    return {row["study_id"]: root(row["cohort"]) for row in rows}


def role_rank(roles: pd.Series) -> pd.Series:
    """Rank of each report by its role in the cohort, 0 first; an unknown role comes last."""
    return roles.map(ROLE_ORDER).fillna(len(ROLE_ORDER)).astype(int)


def largest_first(
    question: np.ndarray, cohort: np.ndarray, n_patients: np.ndarray
) -> np.ndarray:  # fmt: skip
    """Rank of each row by the size of its cohort among the cohorts of its question, 0 first.

    Of possibly overlapping cohorts the largest with an exact count speaks: a cohort is as large as
    the largest `n_patients` among its rows in the same question. A cohort without a count comes
    last; cohorts of one size are heard in the order of their numbers.

    Parameters
    ----------
    question : the question and the group of patients of each row that may speak, whole numbers
        from 0.
    cohort : its cohort, whole numbers from 0 in the order of the names.
    n_patients : NaN where no count is printed.
    """
    width = cohort.max(initial=0) + 1
    pairs, place = np.unique(question * width + cohort, return_inverse=True)
    size = np.full(len(pairs), -1.0)
    np.maximum.at(size, place, np.nan_to_num(n_patients, nan=-1.0))
    order = np.lexsort((pairs, -size, pairs // width))
    asked = (pairs // width)[order]
    rank = np.empty(len(pairs), dtype=int)
    rank[order] = np.arange(len(pairs)) - np.searchsorted(asked, asked)
    return rank[place]


def population(diabetes_type: str, onset_group: str) -> str:
    """The finest population word of a study: type 1 by onset where it is known, or type 2."""
    if diabetes_type == "T2D":
        return "t2d"
    finest = {"new_onset": "t1d_new_onset", "established": "t1d_established"}
    return finest.get(onset_group, "t1d")


def approach(cell_class: str) -> str:
    """The approach of a cell class, "" for what is no stem-cell product (donor islets)."""
    return vocabulary.APPROACH_OF_CLASS[cell_class] or ""


def in_population(populations: pd.Series, wanted: str) -> np.ndarray:
    """Whether each finest population word belongs to the population `wanted`. Raises KeyError."""
    if wanted not in POPULATION_PARTS:
        raise KeyError(f"no such population: {wanted}; known: {', '.join(POPULATION_PARTS)}")
    return populations.isin(POPULATION_PARTS[wanted]).to_numpy()


def strata(studies: pd.DataFrame) -> pd.DataFrame:
    """Approach and population of every study.

    Returns
    -------
    DataFrame with the index of `studies` and the columns study_id, approach, population (the finest
    word), onset_group.
    """
    return pd.DataFrame(
        {
            "study_id": studies["study_id"],
            "approach": [approach(word) for word in studies["cell_class"]],
            "population": [
                population(kind, onset)
                for kind, onset in zip(
                    studies["diabetes_type"], studies["onset_group"], strict=True
                )
            ],
            "onset_group": studies["onset_group"],
        },
        index=studies.index,
    )
