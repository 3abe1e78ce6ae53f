"""The mechanism of the results contract: declared tables, checked on writing and on reading.

A table is declared once with its columns (kind, unit, meaning, closed words) and its key. `checked`
refuses a frame that is not as declared, and sorts it by its key, so that the bytes written do not
depend on the order of rows; `write` and `read` are the only door to data/processed.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.escape import csv_table

FLOAT_FORMAT = "%.8g"
WORD, NUMBER, COUNT, FLAG, TEXT = "word", "number", "count", "flag", "text"
KINDS = {
    WORD: "a word of a closed list, never blank",
    TEXT: "text, may be blank",
    NUMBER: "a number, may be blank",
    COUNT: "a whole number, may be blank",
    FLAG: "True or False",
}


class ContractError(ValueError):
    """A table that is not as declared; the message names the table, column, rows and values."""


@dataclass(frozen=True)
class Column:
    """One column: its kind (`KINDS`), unit, meaning, and the words allowed where closed."""

    name: str
    kind: str
    meaning: str
    unit: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table of data/processed: what it holds, its columns in order, and its key."""

    name: str
    about: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def require(self, parts: Mapping[str, object]) -> None:
        """Refuse a question that no row of this table can ever answer.

        Parameters
        ----------
        parts : column -> value that rows shall have.

        Raises
        ------
        KeyError : a column that is not declared, or a word that is not of its column's list; the
            message names the table, the column and the word.
        """
        for name, value in parts.items():
            spec = self._by_name.get(name)
            if spec is None:
                raise KeyError(f"{self.name}: not a column: {name}")
            if spec.words and isinstance(value, str) and value and value not in spec.words:
                raise KeyError(f"{self.name}.{name}: not a word of the list: {value}")

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {spec.name: spec for spec in self.columns}

    def empty(self) -> pd.DataFrame:
        """The table without rows, typed."""
        return self._without_rows.copy()

    @cached_property
    def _without_rows(self) -> pd.DataFrame:
        return checked(self, pd.DataFrame(columns=self.names))


def column(name: str, kind: str, meaning: str, unit: str = "", words: Iterable[str] = ()) -> Column:
    """A column of a declaration."""
    if kind not in KINDS:
        raise ValueError(f"no such kind of column: {kind}")
    return Column(name, kind, meaning, unit, tuple(words))


TABLES: dict[str, Table] = {}
"""Every declared table by name."""


def declare(name: str, about: str, columns: Iterable[Column], key: Iterable[str]) -> Table:
    """Add a table to the contract.

    Raises ValueError for a name declared twice, a column named twice, or a key that is no column.
    """
    table = Table(name, about, tuple(columns), tuple(key))
    if name in TABLES:
        raise ValueError(f"declared twice: {name}")
    doubled = [n for n in table.names if table.names.count(n) > 1]
    missing = [n for n in table.key if n not in table.names]
    if doubled or missing:
        raise ValueError(f"{name}: columns named twice {doubled}, key not a column {missing}")
    TABLES[name] = table
    return table


# --- checking, writing, reading --------------------------------------------------------------


def checked(table: Table | str, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame in declared order and types, sorted by its key.

    Raises
    ------
    ContractError : a column missing or not declared, a blank or unknown word, a value that is no
        number, or two rows with the same key. All faults at once.
    """
    declared = TABLES[table] if isinstance(table, str) else table
    faults = []
    missing = [name for name in declared.names if name not in frame.columns]
    unknown = [name for name in frame.columns if name not in declared.names]
    if missing:
        faults.append(f"columns missing: {', '.join(missing)}")
    if unknown:
        faults.append(f"columns not declared: {', '.join(map(str, unknown))}")
    if faults:
        raise ContractError(f"{declared.name}: {'; '.join(faults)}")
    columns = {}
    for spec in declared.columns:
        columns[spec.name], found = _column(spec, frame[spec.name])
        faults += found
    if faults:
        raise ContractError(f"{declared.name}: {'; '.join(faults)}")
    typed = pd.DataFrame(columns, columns=declared.names)
    if declared.key:
        doubled = typed[typed.duplicated(list(declared.key), keep=False)]
        if len(doubled):
            shown = doubled[list(declared.key)].head(2).to_dict("records")
            raise ContractError(f"{declared.name}: {len(doubled)} rows share a key: {shown}")
        typed = typed.sort_values(list(declared.key), ignore_index=True, kind="stable")
    return typed


def _column(spec: Column, values: pd.Series) -> tuple[Any, list[str]]:
    """The values of a column as declared, and what is wrong with them."""
    if spec.kind in (WORD, TEXT):
        return _words(spec, values)
    if spec.kind in (NUMBER, COUNT):
        return _numbers(spec, values)
    told = [str(value) for value in values]
    strange = sorted(set(told) - {"True", "False"})
    flags = np.array([value == "True" for value in told], dtype=bool)
    if strange:
        return flags, [f"{spec.name}: neither True nor False: {', '.join(strange[:3])}"]
    return flags, []


def _words(spec: Column, values: pd.Series) -> tuple[Any, list[str]]:
    cells = values.to_numpy(dtype=object)
    words = ["" if gone else str(cell) for cell, gone in zip(cells, pd.isna(cells), strict=True)]
    faults = []
    different = set(words)
    if spec.kind == WORD and "" in different:
        faults.append(f"{spec.name}: blank in {words.count('')} rows")
    if spec.words:
        strange = sorted(different - set(spec.words) - {""})
        if strange:
            faults.append(f"{spec.name}: not a word of the list: {', '.join(strange[:5])}")
    return pd.array(words, dtype="str"), faults


def _numbers(spec: Column, values: pd.Series) -> tuple[Any, list[str]]:
    faults = []
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    missing = np.isnan(numbers)
    if missing.any():
        left = values.to_numpy(dtype=object)[missing]
        bad = left[~pd.isna(left) & (left != "")]
        if len(bad):
            faults.append(f"{spec.name}: not a number: {bad[0]!r}")
    if spec.kind == COUNT:
        parts = numbers[~missing & (numbers % 1 != 0)]
        if len(parts):
            faults.append(f"{spec.name}: not a whole number: {parts[0]}")
    return numbers, faults


def as_text(table: pd.DataFrame) -> str:
    """A table as its file holds it: numbers to eight digits, no cell that a spreadsheet runs."""
    shown = csv_table(table)
    return shown.to_csv(index=False, float_format=FLOAT_FORMAT, lineterminator="\n")


def write(folder: Path, name: str, frame: pd.DataFrame) -> Path:
    """Check a table and write it as CSV. Raises ContractError; KeyError for a table undeclared."""
    if name not in TABLES:
        raise KeyError(f"not a declared table: {name}")
    path = Path(folder) / f"{name}.csv"
    path.write_text(as_text(checked(name, frame)), encoding="utf-8", newline="\n")
    return path


def rows(table: pd.DataFrame, name: str, **parts: object) -> pd.DataFrame:
    """The rows of a declared table whose columns have these values.

    Parameters
    ----------
    table : the table.
    name : how it is declared.

    Raises
    ------
    KeyError : a table or a column not declared, or a word that is not of its column's list.
    """
    TABLES[name].require(parts)
    chosen = np.ones(len(table), dtype=bool)
    for column_name, value in parts.items():
        chosen &= table[column_name].to_numpy() == value
    return table[chosen].reset_index(drop=True)


def read(folder: Path, name: str) -> pd.DataFrame:
    """A declared table, typed; without rows where the run made none.

    Raises
    ------
    KeyError : a table that is not declared.
    ContractError : a file that is not as declared.
    """
    if name not in TABLES:
        raise KeyError(f"not a declared table: {name}")
    path = Path(folder) / f"{name}.csv"
    if not path.exists():
        return TABLES[name].empty()
    return parse(name, path.read_text(encoding="utf-8"))


def parse(name: str, text: str) -> pd.DataFrame:
    """A declared table from the text of its file, typed: words stay words, blanks stay blank.

    Raises ContractError for a text that is not as declared.
    """
    return checked(name, pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False))
