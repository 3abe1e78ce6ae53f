"""The tables of the report; each function takes `Results`."""

from analysis.report.tables.base import Table, grid
from analysis.report.tables.checks import (
    choices,
    corrections,
    judgements,
    nullify,
    power,
    prior_table,
    publication,
    small_study,
    standing,
    versions,
    witnesses,
)
from analysis.report.tables.effects import numbers, told
from analysis.report.tables.evidence import (
    case_reports,
    exclusions,
    facts,
    levels,
    published,
    study_table,
)

__all__ = ["Table", "case_reports", "choices", "corrections", "exclusions", "facts", "grid",
           "judgements", "levels", "nullify", "numbers", "power", "prior_table", "publication",
           "published", "small_study", "standing", "study_table", "told", "versions",
           "witnesses"]  # fmt: skip
