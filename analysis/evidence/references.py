"""A short name for every raw row that does not depend on where the row stands in its file.

The name is made of the cells that together name the fact (`schema.KEYS`), so that shuffling the
rows of a table, inserting one or mending a value renames nothing.
"""

from __future__ import annotations

import hashlib

import pandas as pd

from analysis.evidence.loading import Evidence
from analysis.evidence.schema import KEYS, Row
from analysis.records import records

DIGITS = 8


def reference(table: str, row: Row) -> str:
    """The name of a row: its table and eight hexadecimal digits, such as "outcomes:1f0c33ab".

    Parameters
    ----------
    table : the name of a raw table without ".csv".
    row : the row by column.
    """
    cells = [_cell(row[column]) for column in KEYS[f"{table}.csv"]]
    return f"{table}:{hashlib.sha256(chr(31).join(cells).encode()).hexdigest()[:DIGITS]}"


def find(evidence: Evidence, name: str) -> pd.Series:
    """The raw row of a reference, with its `line`. Raises KeyError."""
    table = name.split(":")[0]
    for row in records(getattr(evidence, table, pd.DataFrame())):
        if reference(table, row) == name:
            return pd.Series(row)
    raise KeyError(f"no such row: {name}")


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return "" if value != value else repr(float(value))


def renamed(evidence: Evidence, names: str) -> str:
    """References by line ("safety:12;safety:40") as names by content, in alphabetical order.

    Names that are by content already stay. Raises KeyError for a table that does not exist.
    """
    made = []
    for name in filter(None, str(names).split(";")):
        table, place = name.split(":", 1)
        rows = getattr(evidence, table)
        named = len(place) < DIGITS and place.isdecimal()
        found = rows[rows["line"] == int(place)] if named else rows.iloc[:0]
        made.append(reference(table, found.iloc[0].to_dict()) if len(found) else name)
    return ";".join(sorted(set(made)))
