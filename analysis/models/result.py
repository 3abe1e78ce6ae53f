"""What every model hands to the pipeline: estimates, tables for the figures, and its fits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from analysis.models.sampling import Fit

ESTIMATE_COLUMNS = [
    "outcome",
    "group_kind",
    "group",
    "estimand",
    "scale",
    "unit",
    "k_studies",
    "n_patients",
    "mean",
    "sd",
    "ci_low",
    "ci_high",
    "pred_low",
    "pred_high",
    "tau",
    "method",
    "note",
]


@dataclass(frozen=True)
class ModelResult:
    """The outcome of one model.

    Attributes
    ----------
    estimates : DataFrame with `ESTIMATE_COLUMNS`, one row an estimate.
    tables : tidy tables for the report, by the name of the file they become in data/processed.
    fits : the posterior fits, by name; kept for diagnostics and for NetCDF files.
    """

    estimates: pd.DataFrame
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    fits: dict[str, Fit] = field(default_factory=dict)


def estimates_table(rows: list[dict]) -> pd.DataFrame:
    """Rows as a table with every column of `ESTIMATE_COLUMNS`, in order; absent numbers are NaN.

    Raises KeyError when a row has a column that is not an estimate column.
    """
    unknown = sorted({key for row in rows for key in row} - set(ESTIMATE_COLUMNS))
    if unknown:
        raise KeyError(f"not estimate columns: {', '.join(unknown)}")
    table = pd.DataFrame(rows, columns=ESTIMATE_COLUMNS)
    words = ["outcome", "group_kind", "group", "estimand", "scale", "unit", "method", "note"]
    table[words] = table[words].fillna("")
    return table
