"""Whether a rerun gives the same results: every table, each figure judged by its own error.

What no sampler had a part in must be the same to `EXACT` relative. A figure from draws may differ
by `ALLOWED` Monte-Carlo standard errors of the difference of two runs. The error of a mean is its
posterior SD over the root of the effective sample size (the least of the stage's fits, which the
manifest records); of the end of a 95 % interval sqrt(LOW * HIGH) / f over the same root, with f
the density there, taken as that of a normal distribution with the half-width of that side, wider by
the ratio of the sides (a long tail has the larger error). Counts and words must be equal.

References
----------
Flegal, Haran & Jones (2008), Stat Sci 23:250, for standard errors of Monte-Carlo estimates.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import store
from analysis.central import HIGH, LOW
from analysis.pipeline import read_table, read_text

EXACT = 1e-6
ALLOWED = 4.0
LEAST_ESS = 400.0
END = 1.3 * np.sqrt(LOW * HIGH) / 0.05844507
"""Standard error of a 2.5 % point in units of that of the mean: for a normal distribution, and 1.3
times that for the longer tails of what is estimated here (a t with 4 degrees of freedom has it)."""

KEY = ["id"]
"""Columns by which a row of estimates is found again."""

_COUNTS = ("k_studies", "n_patients", "k", "n")
_ENDS = {"ci_low": "ci_high", "pred_low": "pred_high", "shrunk_low": "shrunk_high", "low": "high",
         "predicted_low": "predicted_high"}  # fmt: skip

IDENTICAL, NEAR, DIFFERENT, MISSING, NEW = (
    "identical", "within Monte-Carlo error", "different", "missing", "new"
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One figure, row or table that is not the same in both runs.

    `tracked` and `again` are what each says, `error` what a difference may be (NaN where none).
    """

    table: str
    row: str
    column: str
    tracked: object
    again: object
    error: float
    verdict: str

    def __str__(self) -> str:
        place = " ".join(part for part in (self.table, self.row, self.column) if part)
        if self.verdict in (MISSING, NEW):
            return f"{self.verdict}: {place}"
        allowed = f" (allowed {self.error:.2g})" if self.error == self.error else ""
        return f"{self.verdict}: {place}: {_short(self.tracked)} -> {_short(self.again)}{allowed}"


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def compare_folders(
    tracked: Path, again: Path, stages: Iterable[str]
) -> tuple[dict[str, int], list[Finding]]:
    """Compare the results of some stages in two folders.

    Returns
    -------
    How many cells of figures have each verdict, and a finding for each that is not identical; a
    table that cannot be read any more is one, with what is wrong with it.
    """
    old, new = store.read_manifest(tracked), store.read_manifest(again)
    counted: dict[str, int] = {}
    found: list[Finding] = []
    for stage in stages:
        records = [m.get("stages", {}).get(stage) for m in (old, new)]
        if None in records:
            verdict = MISSING if records[0] else NEW
            if records != [None, None]:
                found.append(Finding(stage, "", "", None, None, np.nan, verdict))
            continue
        ess = least_ess(records)
        tables = sorted({*records[0]["tables"], *records[1]["tables"]})
        for name in (*tables, store.ESTIMATES):
            try:
                frames = [
                    _estimates(folder, record) if name == store.ESTIMATES else _table(folder, name)
                    for folder, record in zip((tracked, again), records, strict=True)
                ]
            except (ValueError, IndexError, csv.Error, OSError) as error:
                counted[DIFFERENT] = counted.get(DIFFERENT, 0) + 1
                found.append(Finding(name, "", "", str(error), "as declared", np.nan, DIFFERENT))
                continue
            if name == store.ESTIMATES and all(frame.empty for frame in frames):
                continue
            for verdict, more in compare(name, *frames, ess=ess, found=found).items():
                counted[verdict] = counted.get(verdict, 0) + more
    return counted, found


def _table(folder: Path, name: str) -> pd.DataFrame:
    return read_table(folder, name) if (folder / f"{name}.csv").exists() else pd.DataFrame()


def _estimates(folder: Path, record: Mapping) -> pd.DataFrame:
    text = (folder / f"{store.ESTIMATES}.csv").read_text(encoding="utf-8")
    header, *rows = store.csv_rows(text)
    own = store.csv_text([header, *rows[slice(*record["estimates"]["rows"])]])
    return read_text(own, store.ESTIMATES)


def least_ess(records: Iterable[Mapping]) -> float:
    """The least effective sample size of the sound fits of a stage's records; inf without fits."""
    fits = [fit for record in records for fit in record["fits"].values()]
    sizes = [
        fit[name]
        for fit in fits
        if not fit.get("withheld")
        for name in ("min_ess_bulk", "min_ess_tail")
        if fit.get(name)
    ]
    if not fits:
        return np.inf
    return max(min(sizes, default=LEAST_ESS), LEAST_ESS)


def compare(
    name: str,
    tracked: pd.DataFrame,
    again: pd.DataFrame,
    *,
    ess: float,
    found: list[Finding],
) -> dict[str, int]:
    """Compare one table of two runs, cell by cell.

    Rows of estimates are matched by their key, rows of other tables by their place.

    Parameters
    ----------
    ess : effective sample size behind the figures; inf where no sampler had a part in them.
    found : findings are added here.

    Returns
    -------
    How many cells of figures have each verdict.
    """
    if list(tracked.columns) != list(again.columns):
        columns = (list(tracked.columns), list(again.columns))
        found.append(Finding(name, "", "columns", *columns, np.nan, DIFFERENT))
        return {DIFFERENT: 1}
    key = KEY if name == store.ESTIMATES else []
    left, right = _indexed(tracked, key), _indexed(again, key)
    lost, gained = left.index.difference(right.index), right.index.difference(left.index)
    found += [Finding(name, _named(row), "", None, None, np.nan, MISSING) for row in lost]
    found += [Finding(name, _named(row), "", None, None, np.nan, NEW) for row in gained]
    counted = {MISSING: len(lost), NEW: len(gained)}
    both = left.index.intersection(right.index, sort=False)
    left, right = left.loc[both], right.loc[both]
    for column in left.columns:
        verdicts, allowed = _judged(column, left, right, ess)
        for verdict in (IDENTICAL, NEAR, DIFFERENT):
            counted[verdict] = counted.get(verdict, 0) + int((verdicts == verdict).sum())
        for i in np.flatnonzero(verdicts != IDENTICAL):
            values = (left[column].iloc[i], right[column].iloc[i])
            found.append(
                Finding(name, _named(both[i]), column, *values, allowed[i], str(verdicts[i]))
            )
    return {verdict: count for verdict, count in counted.items() if count}


def _indexed(table: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    if not key:
        return table.reset_index(drop=True)
    words = table[key].astype(str).agg(" ".join, axis=1)
    place = words.groupby(words).cumcount()
    return table.set_index(words + place.map(lambda i: f" #{i + 1}" if i else ""))


def _named(row: object) -> str:
    return f"row {row + 1}" if isinstance(row, int | np.integer) else str(row)


def _judged(
    column: str, left: pd.DataFrame, right: pd.DataFrame, ess: float
) -> tuple[np.ndarray, np.ndarray]:
    """The verdict of each cell of a column, and how far apart it may be."""
    pair = (left[column], right[column])
    none = np.full(len(left), np.nan)
    if not all(pd.api.types.is_numeric_dtype(v) and v.dtype != bool for v in pair):
        old, new = (values.astype(str) for values in pair)
        same = old.to_numpy() == new.to_numpy()
        alike = _without_numbers(old).to_numpy() == _without_numbers(new).to_numpy()
        near = np.isfinite(ess) & ~_exact_rows(left) & alike  # a sentence that tells drawn figures
        return np.where(same, IDENTICAL, np.where(near, NEAR, DIFFERENT)), none
    old, new = (values.to_numpy(float) for values in pair)
    scale = np.abs(old[np.isfinite(old)]).max(initial=0.0)
    exact = np.isclose(old, new, rtol=EXACT, atol=1e-9 * scale + 1e-300, equal_nan=True)
    drawn = np.isfinite(ess) & ~_exact_rows(left) & (column not in _COUNTS)
    allowed = np.full(len(left), np.nan)
    if drawn.any():
        spread = ALLOWED * np.sqrt(2 / ess) * _spread(column, left, right)
        allowed = np.where(drawn, spread, np.nan)
    with np.errstate(invalid="ignore"):  # a side that is open in both
        gap = np.abs(old - new)
    near = drawn & (np.isnan(old) == np.isnan(new)) & (gap <= allowed)
    return np.where(exact, IDENTICAL, np.where(near, NEAR, DIFFERENT)), allowed


def _without_numbers(texts: pd.Series) -> pd.Series:
    return texts.str.replace(r"[-−]?\d[\d.,]*", "#", regex=True)


def _exact_rows(table: pd.DataFrame) -> np.ndarray:
    if "method" not in table:
        return np.zeros(len(table), bool)
    return (table["method"] != "nuts").to_numpy()


def _spread(column: str, left: pd.DataFrame, right: pd.DataFrame) -> np.ndarray:
    """The standard deviation to which the error of a column's figures is in proportion.

    From the SD or the interval that stands in the same row; the end of an interval has `END` times
    the spread of its side. A figure that has neither is measured by how its column varies.
    """
    sides = [_one_spread(column, table) for table in (left, right)]
    return np.fmax(*sides)


def _one_spread(column: str, table: pd.DataFrame) -> np.ndarray:
    prefix, end = _parts(column)
    middle = f"{prefix}mean" if f"{prefix}mean" in table else "mean"
    values = table[column].to_numpy(float)
    if end and f"{prefix}{_other(end)}" in table:
        other = table[f"{prefix}{_other(end)}"].to_numpy(float)
        centre = table[middle].to_numpy(float) if middle in table else (values + other) / 2
        return END * _long(np.abs(values - centre), np.abs(other - centre)) / 1.96
    for low, high in _ENDS.items():
        if {f"{prefix}{low}", f"{prefix}{high}"} <= set(table):
            width = (table[f"{prefix}{high}"] - table[f"{prefix}{low}"]).to_numpy(float) / 3.92
            if column == "tau":
                break
            own = table["sd"].to_numpy(float) if prefix == "" and "sd" in table else width
            own = np.where(np.isfinite(own), own, width)
            if column.endswith("sd") and middle in table:
                return 2 * own * _skew(table, f"{prefix}{low}", f"{prefix}{high}", middle)
            return own
    if column == "tau":
        return 1.25 * np.abs(values)
    varies = np.nanstd(values) if np.isfinite(values).any() else 0.0
    return np.fmax(np.abs(values), varies)


def _long(side: np.ndarray, other: np.ndarray) -> np.ndarray:
    """A side of an interval, lengthened by how much longer it is than the other."""
    return side * np.fmax(1.0, side / np.where(other > 0, other, np.inf))


def _skew(table: pd.DataFrame, low: str, high: str, middle: str) -> np.ndarray:
    """How much longer the longer side of an interval is than the other; 1 where not known."""
    sides = [np.abs((table[end] - table[middle]).to_numpy(float)) for end in (low, high)]
    least = np.fmin(*sides)
    return np.fmax(1.0, np.fmax(*sides) / np.where(least > 0, least, np.inf))


def _parts(column: str) -> tuple[str, str]:
    """What stands before `mean`, `sd` or the end of an interval in a column's name, and the end."""
    for end in (*_ENDS, *_ENDS.values()):
        if column.endswith(end):
            return column[: -len(end)], end
    for word in ("mean", "median", "sd"):
        if column.endswith(word):
            return column[: -len(word)], ""
    return "", ""


def _other(end: str) -> str:
    back = {high: low for low, high in _ENDS.items()}
    return _ENDS.get(end) or back[end]


def changed_evidence(out: Path, digests: Mapping[str, str]) -> list[str]:
    """The files of the evidence that are not those the results were made from, in words."""
    tracked = store.read_manifest(out).get("data", {})
    return [
        f"{file} is not the file the results were made from"
        for file in sorted({*tracked, *digests})
        if tracked.get(file) != digests.get(file)
    ]
