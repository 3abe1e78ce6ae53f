"""An Evidence of a few invented rows on insulin independence, for tests."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping

import pandas as pd

from analysis.evidence import Evidence


def evidence_of(
    real: Evidence, rows: Iterable[dict], studies: Mapping[str, dict] | None = None
) -> Evidence:
    """An Evidence holding only `rows` of independence.csv, on studies made for them.

    Parameters
    ----------
    real : any evidence, for its columns.
    rows : cells of independence.csv; blank where not given. Each names its study_id.
    studies : cells of studies.csv by study_id; else an eligible single-arm study of AHSCT in T1D.
    """
    rows = list(rows)
    template = dict.fromkeys(real.independence.columns, "")
    numbers = real.independence.select_dtypes("number").columns
    template |= dict.fromkeys(numbers, math.nan)
    table = pd.DataFrame(
        [
            {**template, "arm": "treated", "line": line, **row}
            for line, row in enumerate(rows, start=2)
        ],
        columns=real.independence.columns,
    ).astype(real.independence.dtypes)
    blank = {
        c: math.nan if c in set(real.studies.select_dtypes("number").columns) else ""
        for c in real.studies.columns
    }
    cells = [
        {
            **blank, "study_id": name, "first_author": name.title(), "year": 2020.0,
            "cohort": name, "cohort_role": "primary", "include": "yes", "diabetes_type": "T1D",
            "cell_class": "ahsct", "design": "single_arm", "line": line,
            "immune_strategy": "conditioning_ablation", **(studies or {}).get(name, {}),
        }
        for line, name in enumerate(dict.fromkeys(row["study_id"] for row in rows), start=2)
    ]  # fmt: skip
    made = pd.DataFrame(cells, columns=real.studies.columns).astype(real.studies.dtypes)
    others = real.responders[real.responders["study_id"].isin(made["study_id"])]
    return dataclasses.replace(real, independence=table, studies=made, responders=others)
