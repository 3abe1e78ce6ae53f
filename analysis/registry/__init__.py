"""Keeping `registered_trials.csv` up to date from an export of ClinicalTrials.gov.

Rooms, in the order they build on each other: `export` turns the JSON of the registry's API
(version 2) into records in the words of the table; `update` compares them with the table and
writes what is new, all or nothing.
"""

from analysis.newstudy.journal import write
from analysis.registry.export import Export, Problem, Record, read
from analysis.registry.update import CellChange, Comparison, Plan, compare, plan

__all__ = [
    "CellChange",
    "Comparison",
    "Export",
    "Plan",
    "Problem",
    "Record",
    "compare",
    "plan",
    "read",
    "write",
]
