"""What is lost when papers print summaries and not each patient: simulated studies, told both ways.

Studies of insulin independence are simulated from curves drawn from the priors, and told the ways
papers tell them: every patient, landmark counts, a median with a range, a range, the longest alone,
a mean, one count at one time. The duration model is fitted to each telling of the same patients;
how far the 95 % band of S(t) holds the truth, how wide it is and how biased its centre, is the
price of summaries. The matching family is fitted, so that only the telling differs.

    python -m analysis.patient_level --replicates 200
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import durations, priors, sweep
from analysis.evidence import RAW, Evidence
from analysis.models import durability, duration, tabulated

OUT = Path("docs/patient_level.csv")
MONTHS = (12, 24, 60)
COLUMNS = ["telling", "months", "n_replicates", "coverage_95", "width", "width_ratio", "bias",
           "rmse", "rmse_ratio"]  # fmt: skip

STYLES = {
    "patients": "every patient's duration",
    "landmarks": "counts still free at 12, 24 and 48 months, and ever free",
    "median_range": "a median with a range, and the number ever free",
    "range": "a range, and the number ever free",
    "landmark_only": "one count at one time, the number ever free not printed",
    "longest": "the longest duration, and the number ever free",
    "mean": "a mean, and the number ever free",
}
"""The ways in which one study may be told."""

PUBLISHED = "published"
MIXTURE = ("landmarks", "median_range", "range", "landmark_only", "longest", "mean", "patients")
"""The telling `PUBLISHED` takes these in turn, study by study."""

TELLINGS = {**STYLES, PUBLISHED: "as papers do: each study in one of these ways"}
"""Every telling that is compared, in words."""

SAMPLING = {"draws": 500, "tune": 300, "chains": 2, "gate": False}
"""Small fits, not stopped by the gate: thousands are averaged."""


@dataclass(frozen=True)
class Curve:
    """A known Weibull curve: log median (log months) of the typical study, its SD, the shape."""

    log_median: float = 3.2
    tau: float = 0.3
    shape: float = 1.2

    def survival(self, months) -> np.ndarray:
        """S(t) of the typical study."""
        return 0.5 ** ((np.asarray(months, float) / math.exp(self.log_median)) ** self.shape)


def drawn_curve(rng: np.random.Generator) -> Curve:
    """A curve from the priors of the model: an exact reading then covers 95 % on average."""
    mean, sd = priors.get("duration", "mu").params
    tau, tau_class = (
        abs(rng.normal(0, priors.get("duration", p).scale)) for p in ("tau", "tau_class")
    )
    log_median = rng.normal(rng.normal(mean, sd), tau_class)
    return Curve(log_median, tau, math.exp(rng.normal(*priors.get("duration", "log_shape").params)))


@dataclass(frozen=True)
class Trial:
    """One simulated study.

    Attributes
    ----------
    n : patients treated.
    lasted : months of independence of those ever free, complete.
    end : months of independence at which follow-up ends. Independence starts `ONSET` after
        treatment.
    """

    study: str
    n: int
    lasted: np.ndarray
    end: float


ONSET = 1.0


def simulate(
    rng: np.random.Generator, curve: Curve, *, studies=8, p_ever=0.6, tau_ever=0.5
) -> list[Trial]:
    """Studies of 10 to 40 patients followed 12 to 96 months after treatment.

    The log median of a study is Normal around that of the curve, its log odds of ever becoming free
    Normal(logit(p_ever), tau_ever).
    """
    trials = []
    for i in range(studies):
        n, end = int(rng.integers(10, 41)), float(rng.uniform(12, 96))
        logit = math.log(p_ever / (1 - p_ever)) + tau_ever * rng.standard_normal()
        k = int(rng.binomial(n, 1 / (1 + math.exp(-logit))))
        log_median = curve.log_median + curve.tau * rng.standard_normal()
        scale = math.exp(log_median) / math.log(2) ** (1 / curve.shape)
        trials.append(Trial(f"study{i}", n, scale * rng.weibull(curve.shape, k), end - ONSET))
    return trials


def told(trial: Trial, style: str) -> list[dict]:
    """Rows of independence.csv in which a paper tells a study in one of `STYLES`."""
    study, n, end = trial.study, trial.n, trial.end
    lasted = np.sort(trial.lasted)
    k = len(lasted)
    ever = {"study_id": study, "fact": "ever", "n_total": n, "k": k, "bound": "exact"}
    if k == 0:
        return [ever]
    seen = np.maximum(np.round(np.minimum(lasted, end), 1), 0.1)
    status = ["ongoing" if t > end else "resumed" for t in lasted]
    patient = {"study_id": study, "fact": "patient", "n_total": n}
    if style == "patients":
        return [ever] + [
            {**patient, "value": t, "status": s, "sampling": "all", "patient_label": f"patient {j}"}
            for j, (t, s) in enumerate(zip(seen, status, strict=True))
        ]
    if style == "longest":
        return [ever, {**patient, "value": seen[-1], "status": status[-1], "sampling": "best"}]
    if style in ("landmarks", "landmark_only"):
        months = [t for t in (12.0, 24.0, 48.0) if t <= end + ONSET]
        marks = [
            {"study_id": study, "fact": "at_time", "n_total": n, "bound": "exact", "months": t,
             "k": int((lasted > t - ONSET).sum())}
            for t in months
        ]  # fmt: skip
        return marks[-1:] if style == "landmark_only" else [ever, *marks]
    summary = {"study_id": study, "fact": "duration_summary", "n_total": n, "k": k}
    if style == "mean":
        return [ever, {**summary, "duration_statistic": "mean", "value": seen.mean()}]
    summary |= {"duration_statistic": "range", "low": seen[0], "high": seen[-1]}
    if style == "range" or np.median(lasted) > end:
        return [ever, summary]
    if style != "median_range":
        raise ValueError(f"no such style: {style}; known: {', '.join(STYLES)}")
    middle = float(np.round(np.median(lasted), 1))
    return [ever, {**summary, "duration_statistic": "median", "value": middle}]


def evidence_told(real: Evidence, trials: Sequence[Trial], telling: str) -> Evidence:
    """The trials as an Evidence, all in one of `STYLES`, or `PUBLISHED`: a mixture of styles."""
    rows = []
    for i, trial in enumerate(trials):
        rows += told(trial, MIXTURE[i % len(MIXTURE)] if telling == PUBLISHED else telling)
    followed = {
        t.study: {"followup_months": t.end + ONSET, "followup_kind": "minimum"} for t in trials
    }
    return evidence_of(real, rows, followed)


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
    return dataclasses.replace(real, independence=table, studies=made)


# --- recovery ------------------------------------------------------------------------------------


def recovered(real: Evidence, replicate: int, tellings: Sequence[str]) -> list[dict]:
    """Fit each telling of the same simulated patients: S(t) of the typical study at `MONTHS`.

    Returns
    -------
    One row for each telling and month: replicate, telling, months, truth, mean, low, high.
    """
    rng = np.random.default_rng(replicate)
    curve = drawn_curve(rng)
    trials = simulate(rng, curve)
    index = tabulated.CLASSES.index("ahsct")
    rows = []
    for telling in tellings:
        facts, _ = durations.layer(evidence_told(real, trials, telling))
        table = duration.likelihoods(facts, "weibull")
        fit = duration.fit(table, "weibull", seed=replicate, size=len(trials), **SAMPLING)
        draws = durability.of_fit(fit, "weibull")
        s = draws.survival(draws.class_mean[:, index], np.array(MONTHS, float))
        found = zip(
            MONTHS, curve.survival(MONTHS), s.mean(axis=0), *np.quantile(s, [0.025, 0.975], axis=0),
            strict=True,
        )  # fmt: skip
        rows += [
            {"replicate": replicate, "telling": telling, "months": t, "truth": known, "mean": mean,
             "low": low, "high": high}
            for t, known, mean, low, high in found
        ]  # fmt: skip
    return rows


def study(
    real: Evidence, replicates: int, tellings: Sequence[str] = (), *, jobs: int | None = None
) -> pd.DataFrame:
    """`recovered` of many replicates (`sweep.each`); all tellings where none is named."""
    tellings = tellings or ["patients", PUBLISHED, *[s for s in STYLES if s != "patients"]]
    found = sweep.each(_recovered, range(replicates), real, tellings, jobs=jobs)
    return pd.DataFrame([row for rows in found for row in rows])


def _recovered(replicate: int, real: Evidence, tellings: Sequence[str]) -> list[dict]:
    return recovered(real, replicate, tellings)


def summarised(found: pd.DataFrame) -> pd.DataFrame:
    """`COLUMNS` of a table of `study`: coverage, mean width, bias, and their price.

    The ratios compare with the telling "patients" at the same month; NaN where it was not fitted.
    """
    error = found["mean"] - found["truth"]
    each = found.assign(
        coverage_95=found["truth"].between(found["low"], found["high"]),
        width=found["high"] - found["low"],
        bias=error,
        rmse=error**2,
    )
    grouped = each.groupby(["telling", "months"], sort=False)
    table = grouped[["coverage_95", "width", "bias", "rmse"]].mean()
    table["rmse"] = np.sqrt(table["rmse"])
    table["n_replicates"] = grouped.size()
    table = table.reset_index()
    best = table[table["telling"] == "patients"].set_index("months")
    for name in ("width", "rmse"):
        table[f"{name}_ratio"] = table[name] / table["months"].map(best[name])
    return table[COLUMNS]


def main(words: list[str] | None = None) -> None:
    """Simulate, fit and write the summary."""
    from analysis import evidence as evidence_module

    parser = argparse.ArgumentParser(description="What is lost when only summaries are published.")
    parser.add_argument("--replicates", type=int, default=200)
    sweep.add_arguments(parser)
    parser.add_argument("--raw", type=Path, default=RAW)
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args(words)
    with sweep.spread(asked):
        table = summarised(study(evidence_module.load(asked.raw), asked.replicates))
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(asked.out, index=False, float_format="%.4g")
    print(table.to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
