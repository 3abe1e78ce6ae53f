"""What every stage hands to the pipeline: estimates by their parts, declared tables, witnesses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from analysis import results

Tell = Callable[[str], None]


@dataclass(frozen=True)
class StageResult:
    """The outcome of one stage, checked against the contract when it is made.

    Attributes
    ----------
    estimates : table of estimates (`results.ESTIMATES`).
    tables : declared tables by name.
    withheld : fits that did not pass their gate, by name, with the reason.
    """

    estimates: pd.DataFrame
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    withheld: dict[str, str] = field(default_factory=dict)


def stage_result(
    rows: Iterable[Mapping] = (),
    tables: Mapping[str, pd.DataFrame | list[dict]] | None = None,
    withheld: Mapping[str, str] | None = None,
) -> StageResult:
    """A `StageResult` from rows of estimates and tables as frames or lists of rows.

    Raises
    ------
    ContractError : an estimate or a table is not as declared.
    KeyError : a table that nobody declared.
    """
    checked = {}
    for name, table in (tables or {}).items():
        declared = results.TABLES[name]
        frame = table if isinstance(table, pd.DataFrame) else pd.DataFrame(table)
        if frame.empty:
            frame = declared.empty()
        checked[name] = results.checked(declared, frame)
    return StageResult(results.estimates(rows), checked, dict(withheld or {}))
