"""Simulated studies of insulin independence, told the way papers tell them.

`evidence_of` turns rows of studies and of independence into an `Evidence`; `summaries` draws the
durations of patients from a known curve and prints them in one of the published styles: every
patient, landmark counts, a median with a range, a range alone, the longest few.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from analysis.evidence import Evidence

STYLES = ("patients", "landmarks", "median_range", "range", "landmark_only")


def evidence_of(real: Evidence, rows: Iterable[dict], studies: dict[str, dict] | None = None):
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
    return dataclasses.replace(real, independence=table, studies=made)


def simulate(rng, *, studies=8, log_median=3.2, shape=1.2, tau=0.3, p_ever=0.6, tau_ever=0.5):
    """Rows of `studies` studies of 10 to 40 patients with Weibull durations.

    The log median of a study is Normal(log_median, tau), its log odds of ever becoming free
    Normal(logit(p_ever), tau_ever). Onset is one month, follow-up 12 to 96 months after treatment.

    Returns
    -------
    rows of independence.csv. The curve of a typical study is `truth`.
    """
    rows = []
    for i in range(studies):
        n, end = int(rng.integers(10, 41)), float(rng.uniform(12, 96))
        logit = math.log(p_ever / (1 - p_ever)) + tau_ever * rng.standard_normal()
        k = int(rng.binomial(n, 1 / (1 + math.exp(-logit))))
        scale = math.exp(log_median + tau * rng.standard_normal()) / math.log(2) ** (1 / shape)
        rows += told(
            f"study{i}", n, scale * rng.weibull(shape, k), end - 1.0, STYLES[i % len(STYLES)]
        )
    return rows


def told(study: str, n: int, durations: np.ndarray, end: float, style: str) -> list[dict]:
    """Rows in which a paper on n treated patients tells the durations of those ever independent.

    `end` is the follow-up in months of independence, which began a month after treatment.
    """
    k = len(durations)
    ever = {"study_id": study, "fact": "ever", "n_total": n, "k": k, "bound": "exact"}
    if k == 0:
        return [ever]
    seen = np.round(np.sort(np.minimum(durations, end)), 1)
    if style == "patients":
        return [ever] + [
            {
                "study_id": study, "fact": "patient", "n_total": n, "value": max(t, 0.1),
                "status": "ongoing" if d > end else "resumed", "sampling": "all",
                "patient_label": f"patient {j}",
            }
            for j, (t, d) in enumerate(zip(seen, np.sort(durations), strict=True))
        ]  # fmt: skip
    counted = {"study_id": study, "fact": "at_time", "n_total": n, "bound": "exact"}
    if style in ("landmarks", "landmark_only"):
        months = [t for t in (12.0, 24.0, 48.0) if t <= end + 1.0]
        months = months[-1:] if style == "landmark_only" else months
        marks = [{**counted, "months": t, "k": int((durations > t - 1).sum())} for t in months]
        return marks if style == "landmark_only" else [ever, *marks]
    summary = {"study_id": study, "fact": "duration_summary", "n_total": n, "k": k,
               "duration_statistic": "range", "low": seen[0], "high": seen[-1]}  # fmt: skip
    if style == "range" or np.median(durations) > end:
        return [ever, summary]
    middle = float(np.round(np.median(durations), 1))
    return [ever, {**summary, "duration_statistic": "median", "value": middle}]


def truth(months, *, log_median=3.2, shape=1.2) -> np.ndarray:
    """S(t) of a typical study of `simulate`."""
    return 0.5 ** ((np.asarray(months, float) / math.exp(log_median)) ** shape)
