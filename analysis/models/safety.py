"""Rates of harm with zero-event studies kept, by category and by how relatedness was judged.

For cohort i followed for t_i years, each of n_i patients has the event with probability
p_i = 1 - exp(-lambda_i t_i), log lambda_i = mu + tau_class * c[class_i] + tau * u_i, and the
number of patients with the event is binomial. A lower bound ("at least three") is shown and not
modelled. Beside the model stand three checks that need none: a conjugate Gamma posterior that
ignores heterogeneity (Jeffreys prior), the rule of three (Hanley and Lippman-Hand 1983, JAMA
249:1743) and the exact upper bound of Clopper and Pearson (1934, Biometrika 26:404).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from analysis import harms, priors, vocabulary
from analysis.evidence import Evidence
from analysis.models.result import ModelResult, estimates_table
from analysis.models.sampling import Fit, compile_model

CLASSES = tuple(vocabulary.CELL_CLASSES)
UNIT = "patients with the event per 100 patient-years"
NO_RATE = {
    "serious_adverse_event": "not estimable from abstracts: nearly every statement is a zero, and "
    "studies with serious events seldom count them",
    "procedure_related": "happens at the procedure: a rate over time has no meaning",
}
"""Categories that are counted and shown, but given no pooled rate, and why."""


def build(size: int):
    """The PyMC model for up to `size` cohorts; rows beyond the data carry no weight."""
    import pymc as pm
    import pytensor.tensor as pt

    centre, spread = priors.get("safety", "mu").params
    with pm.Model() as model:
        events = pm.Data("events", np.zeros(size))
        at_risk = pm.Data("at_risk", np.ones(size))
        years = pm.Data("years", np.ones(size))
        class_index = pm.Data("class_index", np.zeros(size, dtype="int64"))
        weight = pm.Data("weight", np.zeros(size))
        mu = pm.Normal("mu", centre, spread)
        tau = pm.HalfNormal("tau", priors.get("safety", "tau").scale)
        tau_class = pm.HalfNormal("tau_class", priors.get("safety", "tau_class").scale)
        class_z = pm.Normal("class_z", 0, 1, shape=len(CLASSES))
        study_z = pm.Normal("study_z", 0, 1, shape=size)
        class_effect = pm.Deterministic("class_effect", tau_class * class_z)
        log_rate = pm.Deterministic("log_rate", mu + class_effect[class_index] + tau * study_z)
        hazard = pt.exp(log_rate) * years
        loglik = events * pt.log(-pt.expm1(-hazard)) - (at_risk - events) * hazard
        pm.Potential("likelihood", (weight * loglik).sum())
    return model


def design_arrays(rows: pd.DataFrame, size: int) -> dict[str, np.ndarray]:
    """The model's data, padded to `size`. Raises ValueError when there are more rows than that."""
    if len(rows) > size:
        raise ValueError(f"{len(rows)} cohorts; the model was built for {size}")

    def padded(values, fill: float) -> np.ndarray:
        array = np.full(size, fill, dtype=float)
        array[: len(rows)] = np.asarray(values, dtype=float)
        return array

    index = np.zeros(size, dtype="int64")
    index[: len(rows)] = [CLASSES.index(name) for name in rows["cell_class"]]
    return {
        "events": padded(rows["events"], 0.0),
        "at_risk": padded(rows["n_at_risk"], 1.0),
        "years": padded(rows["months"] / 12, 1.0),
        "class_index": index,
        "weight": padded(np.ones(len(rows)), 0.0),
    }


def run(
    evidence: Evidence, *, seed: int, progress: Callable[[str], None] | None = None
) -> ModelResult:
    """Fit every category and relation that some treated cohort states explicitly.

    Raises DiagnosticError when a fit is not sound.
    """
    tell = progress or (lambda text: None)
    counted = harms.table(evidence)
    rows = counted.rows
    treated = rows[rows["arm"] == "treated"]
    usable = treated[(treated["bound"] == "exact") & treated["patient_years"].notna()]
    groups = list(usable.groupby(["event_category", "relation"], sort=True))
    tables = {
        "safety_facts": rows,
        "safety_exclusions": counted.exclusions,
        "safety_controls": controls(rows),
        "safety_by_strategy": by_strategy(usable),
    }
    quiet = harms.silent(evidence, rows).set_index(["event_category", "relation"])
    estimates: list[dict] = []
    summary: list[dict] = []
    fits: dict[str, Fit] = {}
    modelled = [(key, part) for key, part in groups if key[0] not in NO_RATE]
    largest = max((len(part) for _, part in modelled), default=0)
    sampler = compile_model(build(largest), "safety") if modelled else None
    for (category, relation), part in groups:
        everyone = treated[
            (treated["event_category"] == category) & (treated["relation"] == relation)
        ]
        fit = None
        if category not in NO_RATE:
            name = f"{category}_{relation}"
            tell(name)
            fit = sampler.fit(
                name, seed=seed, data=design_arrays(part, largest), tune=1500, draws=1500,
                target_accept=0.99,
            )  # fmt: skip
            fits[name] = fit
            estimates += _estimates(category, relation, part, fit)
        summary.append(_summary(category, relation, part, everyone, fit, quiet))
    tables["safety_summary"] = pd.DataFrame(summary)
    return ModelResult(estimates_table(estimates), tables, fits)


def pooled_rate(fit: Fit) -> np.ndarray:
    """Draws of the rate of an average class, per 100 patient-years."""
    return 100 * np.exp(fit.draws("mu"))


def _estimates(category: str, relation: str, part: pd.DataFrame, fit: Fit) -> list[dict]:
    rng = np.random.default_rng(0)
    tau, tau_class = fit.draws("tau"), fit.draws("tau_class")
    noise = rng.standard_normal(tau.size)
    average = pooled_rate(fit)
    base = {"outcome": "safety", "scale": "per_100_patient_years", "unit": UNIT,
            "tau": float(np.median(tau)), "method": "nuts"}  # fmt: skip
    name = f"{category}:{relation}:rate"
    rows = [
        {
            **base,
            "group_kind": "all",
            "group": "all",
            "estimand": name,
            **_counts(part),
            **_interval(average),
            **_prediction(average * np.exp(np.hypot(tau, tau_class) * noise)),
        }
    ]
    for cell_class, own in part.groupby("cell_class"):
        rate = average * np.exp(fit.draws("class_effect")[:, CLASSES.index(cell_class)])
        single = "a single study: leans on the prior" if len(own) == 1 else ""
        rows.append(
            {
                **base,
                "group_kind": "cell_class",
                "group": cell_class,
                "estimand": name,
                "note": single,
                **_counts(own),
                **_interval(rate),
                **_prediction(rate * np.exp(tau * noise)),
            }
        )
    gamma = conjugate_rate(part["events"].sum(), part["patient_years"].sum())
    rows.append(
        {
            **base,
            "group_kind": "all",
            "group": "all",
            "estimand": name,
            "method": "exact",
            "tau": np.nan,
            "note": "pooled as if all cohorts were alike",
            **_counts(part),
            "mean": gamma.mean(),
            "sd": gamma.std(),
            "ci_low": gamma.ppf(0.025),
            "ci_high": gamma.ppf(0.975),
        }
    )
    return rows


def conjugate_rate(events: float, years: float):
    """Gamma posterior of a common rate per 100 patient-years under Jeffreys' prior."""
    return stats.gamma(events + 0.5, scale=100 / years)


def clopper_pearson_upper(events: float, patients: float, level: float = 0.95) -> float:
    """One-sided exact upper bound of a proportion."""
    return (
        1.0 if events >= patients else float(stats.beta.ppf(level, events + 1, patients - events))
    )


def rule_of_three(events: float, patients: float) -> float:
    """3/n, the 95 % upper bound when nobody of n had the event; NaN otherwise."""
    return 3 / patients if events == 0 else np.nan


def _summary(category, relation, part, everyone, fit, quiet) -> dict:
    events, patients = part["events"].sum(), part["n_at_risk"].sum()
    rate = pooled_rate(fit) if fit else np.full(1, np.nan)
    silent = quiet.loc[(category, relation)]
    bounds = everyone[everyone["bound"] == "at_least"]
    notes = [NO_RATE[category]] if category in NO_RATE else []
    if len(bounds):
        notes.append(
            f"{len(bounds)} more cohorts give only a lower bound "
            f"(at least {bounds['events'].sum():.0f} of {bounds['n_at_risk'].sum():.0f})"
        )
    as_zero = conjugate_rate(
        events, part["patient_years"].sum() + silent["n_silent"] * part["months"].median() / 12
    )
    low, high = np.quantile(rate, [0.025, 0.975])
    return {
        "event_category": category,
        "relation": relation,
        "k_stated": len(part),
        "n_stated": patients,
        "k_silent": silent["k_silent"],
        "n_silent": silent["n_silent"],
        "events": events,
        "patient_years": part["patient_years"].sum(),
        "rate_mean": rate.mean(),
        "rate_ci_low": low,
        "rate_ci_high": high,
        "rate_upper95": np.quantile(rate, 0.95),
        "conjugate_mean": conjugate_rate(events, part["patient_years"].sum()).mean()
        if fit
        else np.nan,
        "rule_of_three": rule_of_three(events, patients) if fit else np.nan,
        "clopper_upper95": clopper_pearson_upper(events, patients),
        "unreported_as_zero_upper95": as_zero.ppf(0.95) if fit else np.nan,
        "note": "; ".join(notes),
    }


def by_strategy(usable: pd.DataFrame) -> pd.DataFrame:
    """Conjugate rates by immune strategy, for categories stated under at least two of them."""
    rows = []
    for (category, relation), part in usable.groupby(["event_category", "relation"]):
        if part["strategy"].nunique() < 2:
            continue
        for strategy, own in part.groupby("strategy"):
            gamma = conjugate_rate(own["events"].sum(), own["patient_years"].sum())
            rows.append(
                {
                    "event_category": category,
                    "relation": relation,
                    "strategy": strategy,
                    "k_studies": len(own),
                    "n_patients": own["n_at_risk"].sum(),
                    "patient_years": own["patient_years"].sum(),
                    "events": own["events"].sum(),
                    "rate_mean": gamma.mean(),
                    "rate_ci_low": gamma.ppf(0.025),
                    "rate_ci_high": gamma.ppf(0.975),
                }
            )
    return pd.DataFrame(rows)


def controls(rows: pd.DataFrame) -> pd.DataFrame:
    """Control arms beside the treated arms of the same cohort, category and relation."""
    key = ["cohort", "event_category", "relation"]
    numbers = [*key, "study_id", "events", "n_at_risk"]
    control = rows.loc[rows["arm"] == "control", numbers]
    treated = rows.loc[rows["arm"] == "treated", [*key, "events", "n_at_risk"]]
    return control.merge(treated, on=key, how="left", suffixes=("_control", "_treated"))


def _counts(part: pd.DataFrame) -> dict:
    return {"k_studies": len(part), "n_patients": part["n_at_risk"].sum()}


def _interval(draws: np.ndarray) -> dict:
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"mean": draws.mean(), "sd": draws.std(), "ci_low": low, "ci_high": high}


def _prediction(draws: np.ndarray) -> dict:
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"pred_low": low, "pred_high": high}
