"""Rates of harm with zero-event studies kept, by category and by how relatedness was judged.

For cohort i followed for t_i years, each of n_i patients has the event with probability
p_i = 1 - exp(-lambda_i t_i), log lambda_i = mu + tau_class * c[class_i] + tau * u_i, and the
number of patients with the event is binomial. A lower bound ("at least three") is a censored
count, log P(events >= k); it stays out of the headline, because bounds are known only where
something happened, and enters a sensitivity analysis. Beside the model stand three checks that
need none: a conjugate Gamma posterior that ignores heterogeneity (Jeffreys prior), the rule of
three (Hanley and Lippman-Hand 1983, JAMA 249:1743) and the exact upper bound of Clopper and
Pearson (1934, Biometrika 26:404).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import special, stats

from analysis import harms, priors, vocabulary
from analysis.evidence import Evidence
from analysis.models.result import ModelResult, estimates_table
from analysis.models.sampling import Fit, compile_model

CLASSES = tuple(vocabulary.CELL_CLASSES)
IMPOSSIBLE = -1e30
UNIT = "patients with the event per 100 patient-years"
UNIT_RISK = "share of patients with the event during the study's follow-up"
WITH_BOUNDS = "_with_bounds"
NO_RATE = {
    "serious_adverse_event": "not estimable from abstracts: nearly every statement is a zero, and "
    "studies with serious events seldom count them",
    "procedure_related": "happens at the procedure: a rate over time has no meaning",
}
"""Categories that are counted and shown, but given no pooled rate, and why."""


def build(size: int, terms: int = 1):
    """The PyMC model for up to `size` cohorts; rows beyond the data carry no weight.

    A count k known exactly is one binomial term; "at least k" of n is the sum of the n - k + 1
    terms k, ..., n. `terms` is the largest number of terms of any row.
    """
    import pymc as pm
    import pytensor.tensor as pt

    centre, spread = priors.get("safety", "mu").params
    with pm.Model() as model:
        events = pm.Data("events", np.zeros(size))
        at_risk = pm.Data("at_risk", np.ones(size))
        years = pm.Data("years", np.ones(size))
        class_index = pm.Data("class_index", np.zeros(size, dtype="int64"))
        weight = pm.Data("weight", np.zeros(size))
        log_ways = pm.Data("log_ways", np.zeros((size, terms)))
        mu = pm.Normal("mu", centre, spread)
        tau = pm.HalfNormal("tau", priors.get("safety", "tau").scale)
        tau_class = pm.HalfNormal("tau_class", priors.get("safety", "tau_class").scale)
        class_z = pm.Normal("class_z", 0, 1, shape=len(CLASSES))
        study_z = pm.Normal("study_z", 0, 1, shape=size)
        class_effect = pm.Deterministic("class_effect", tau_class * class_z)
        log_rate = pm.Deterministic("log_rate", mu + class_effect[class_index] + tau * study_z)
        hazard = pt.exp(log_rate) * years
        counts = events[:, None] + np.arange(terms)[None, :]
        each = (
            log_ways
            + counts * pt.log(-pt.expm1(-hazard))[:, None]
            - (at_risk[:, None] - counts) * hazard[:, None]
        )
        loglik = pt.logsumexp(each, axis=1)
        pm.Potential("likelihood", (weight * loglik).sum())
    return model


def terms_needed(events: float, at_risk: float) -> int:
    """Binomial terms of "at least `events`" of `at_risk`."""
    return int(at_risk - events) + 1


def log_choose(n: float, k: np.ndarray) -> np.ndarray:
    """Logarithm of the binomial coefficient."""
    return special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)


def design_arrays(rows: pd.DataFrame, size: int, terms: int = 1) -> dict[str, np.ndarray]:
    """The model's data, padded to `size`; a column `bound`, if any, marks the lower bounds.

    Raises ValueError when there are more rows, or a lower bound needs more terms, than the model
    was built for.
    """
    if len(rows) > size:
        raise ValueError(f"{len(rows)} cohorts; the model was built for {size}")

    def padded(values, fill: float) -> np.ndarray:
        array = np.full(size, fill, dtype=float)
        array[: len(rows)] = np.asarray(values, dtype=float)
        return array

    index = np.zeros(size, dtype="int64")
    index[: len(rows)] = [CLASSES.index(name) for name in rows["cell_class"]]
    log_ways = np.full((size, terms), IMPOSSIBLE)
    log_ways[:, 0] = 0.0
    for i, row in enumerate(rows.to_dict("records")):
        if row.get("bound", "exact") == "at_least":
            needed = terms_needed(row["events"], row["n_at_risk"])
            if needed > terms:
                raise ValueError(
                    f"a lower bound of {needed} terms; the model was built for {terms}"
                )
            counts = row["events"] + np.arange(needed)
            log_ways[i, :needed] = log_choose(row["n_at_risk"], counts)
    return {
        "log_ways": log_ways,
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
    usable = treated[(treated["bound"] == "exact") & treated["patient_years"].gt(0)]
    bounds = pd.concat(
        [treated[treated["bound"] == "at_least"], harms.implied(evidence, rows)], ignore_index=True
    )
    bounds = bounds[bounds["patient_years"].gt(0)]
    groups = list(usable.groupby(["event_category", "relation"], sort=True))
    modelled = [(key, part) for key, part in groups if key[0] not in NO_RATE]
    wider = {key: _with_bounds(key, part, bounds) for key, part in modelled}
    size = max((len(part) for part in wider.values()), default=0)
    censored = bounds[bounds["event_category"].isin([key[0] for key, _ in modelled])]
    terms = max(map(terms_needed, censored["events"], censored["n_at_risk"]), default=1)
    sampler = compile_model(build(size, terms), "safety") if modelled else None

    estimates: list[dict] = []
    fits: dict[str, Fit] = {}
    for (category, relation), part in modelled:
        name = f"{category}_{relation}"
        tell(name)
        fits[name] = _sample(sampler, name, part, size, terms, seed)
        estimates += _estimates(category, relation, part, fits[name])
        lower = wider[(category, relation)]
        if len(lower) > len(part):
            name += WITH_BOUNDS
            tell(name)
            fits[name] = _sample(sampler, name, lower, size, terms, seed)
            estimates.append(_bounds_estimate(category, relation, lower, fits[name]))
    silent = harms.never_stated(evidence, rows)
    summary = []
    for (category, relation), everyone in treated.groupby(["event_category", "relation"]):
        part = usable[(usable["event_category"] == category) & (usable["relation"] == relation)]
        estimates += _risk(category, relation, part, everyone)
        summary.append(_summary(category, relation, part, everyone, fits, silent))
    tables = {
        "safety_facts": _facts(rows, fits),
        "safety_lower_bounds": bounds.reset_index(drop=True),
        "safety_exclusions": counted.exclusions,
        "safety_controls": controls(rows),
        "safety_by_strategy": by_strategy(usable),
        "safety_silent": silent,
        "safety_summary": pd.DataFrame(summary),
    }
    return ModelResult(estimates_table(estimates), tables, fits)


def _sample(sampler, name, part, size, terms, seed) -> Fit:
    return sampler.fit(
        name, seed=seed, data=design_arrays(part, size, terms), tune=1500, draws=1500,
        target_accept=0.99,
    )  # fmt: skip


def _with_bounds(key, part: pd.DataFrame, bounds: pd.DataFrame) -> pd.DataFrame:
    """The exact facts of a category and relation, then its lower bounds."""
    same = (bounds["event_category"] == key[0]) & (bounds["relation"] == key[1])
    return pd.concat([part, bounds[same]], ignore_index=True) if same.any() else part


def _facts(rows: pd.DataFrame, fits: dict[str, Fit]) -> pd.DataFrame:
    """The counted facts; those in a headline fit with their shrunken rate per 100 patient-years."""
    facts = rows.copy()
    columns = ["shrunk_mean", "shrunk_low", "shrunk_high"]
    facts[columns] = np.nan
    usable = (facts["arm"] == "treated") & (facts["bound"] == "exact")
    usable &= facts["patient_years"].gt(0)
    for (category, relation), part in facts[usable].groupby(["event_category", "relation"]):
        fit = fits.get(f"{category}_{relation}")
        if fit is not None:
            rate = 100 * np.exp(fit.draws("log_rate")[:, : len(part)])
            facts.loc[part.index, columns] = np.column_stack(
                [rate.mean(axis=0), *np.quantile(rate, [0.025, 0.975], axis=0)]
            )
    return facts


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
        },
        _upper(base, "all", "all", name, part, average),
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
        rows.append(_upper(base, "cell_class", cell_class, name, own, rate))
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


def _upper(base, kind, group, name, part, rate) -> dict:
    """The one-sided 95 % upper bound of a rate as an estimate of its own."""
    return {
        **base,
        "group_kind": kind,
        "group": group,
        "estimand": f"{name}_upper95",
        "tau": np.nan,
        **_counts(part),
        "mean": np.quantile(rate, 0.95),
    }


def _bounds_estimate(category, relation, lower: pd.DataFrame, fit: Fit) -> dict:
    """The pooled rate when lower bounds enter as censored counts."""
    extra = lower[lower["bound"] == "at_least"]
    return {
        "outcome": "safety",
        "group_kind": "all",
        "group": "all",
        "estimand": f"{category}:{relation}:rate{WITH_BOUNDS}",
        "scale": "per_100_patient_years",
        "unit": UNIT,
        "tau": float(np.median(fit.draws("tau"))),
        "method": "nuts",
        "note": f"with {len(extra)} cohorts that give only a lower bound, known because something "
        "happened: leans high",
        **_counts(lower),
        **_interval(pooled_rate(fit)),
    }


def _risk(category, relation, part: pd.DataFrame, everyone: pd.DataFrame) -> list[dict]:
    """The share of patients with the event, pooled as if alike (Beta, Jeffreys prior).

    No number is given where none can be had: the row then says why.
    """
    base = {"outcome": "safety", "group_kind": "all", "group": "all", "method": "exact",
            "estimand": f"{category}:{relation}:risk", "scale": "probability",
            "unit": UNIT_RISK}  # fmt: skip
    if category == "serious_adverse_event" or part.empty:
        why = NO_RATE.get(category, "only lower bounds were stated")
        return [{**base, **_counts(everyone), "note": why}]
    events, patients = part["events"].sum(), part["n_at_risk"].sum()
    beta = conjugate_risk(events, patients)
    low, high = beta.ppf([0.025, 0.975])
    numbers = {"mean": beta.mean(), "sd": beta.std(), "ci_low": low, "ci_high": high}
    upper = {"mean": clopper_pearson_upper(events, patients)}
    note = "pooled as if all cohorts were alike; lengths of follow-up differ"
    return [
        {**base, **_counts(part), **numbers, "note": note},
        {**base, **_counts(part), **upper, "estimand": base["estimand"] + "_upper95",
         "note": "Clopper-Pearson, one-sided; " + note},
    ]  # fmt: skip


def conjugate_risk(events: float, patients: float):
    """Beta posterior of a common risk under Jeffreys' prior."""
    return stats.beta(events + 0.5, patients - events + 0.5)


def _summary(category, relation, part, everyone, fits, silent) -> dict:
    """One line of the safety table; the columns of a figure that cannot be had are NaN."""
    events, patients = part["events"].sum(), part["n_at_risk"].sum()
    years, cautious = part["patient_years"].sum(), part["patient_years_low"].sum()
    fit, wider = (fits.get(f"{category}_{relation}{tail}") for tail in ("", WITH_BOUNDS))
    quiet = silent[
        (silent["event_category"] == category)
        & (silent["relation"] == relation)
        & (silent["cell_class"] == "all")
    ].iloc[0]
    bounds = everyone[everyone["bound"] == "at_least"]
    undated = everyone[(everyone["bound"] == "exact") & ~everyone["patient_years"].gt(0)]
    notes = [NO_RATE[category]] if category in NO_RATE else []
    if len(bounds):
        notes.append(
            f"{len(bounds)} more cohorts give only a lower bound "
            f"(at least {bounds['events'].sum():.0f} of {bounds['n_at_risk'].sum():.0f})"
        )
    if len(undated):
        notes.append(f"{len(undated)} more cohorts print no length of follow-up")
    risk_known = category != "serious_adverse_event" and len(part) > 0
    risk = conjugate_risk(events, patients) if risk_known else None
    filled = years + quiet["n_silent"] * part["months"].median() / 12 if fit else np.nan
    return {
        "event_category": category,
        "relation": relation,
        "k_stated": len(part),
        "n_stated": patients,
        "k_silent": quiet["k_silent"],
        "n_silent": quiet["n_silent"],
        "k_lower_bound": len(bounds),
        "events": events,
        "patient_years": years,
        **_rate_columns("rate", fit),
        "conjugate_mean": conjugate_rate(events, years).mean() if fit else np.nan,
        "conjugate_upper95": conjugate_rate(events, years).ppf(0.95) if fit else np.nan,
        "short_exposure_upper95": conjugate_rate(events, cautious).ppf(0.95) if fit else np.nan,
        "risk_mean": risk.mean() if risk_known else np.nan,
        "risk_ci_low": risk.ppf(0.025) if risk_known else np.nan,
        "risk_ci_high": risk.ppf(0.975) if risk_known else np.nan,
        "rule_of_three": rule_of_three(events, patients) if risk_known else np.nan,
        "clopper_upper95": clopper_pearson_upper(events, patients) if risk_known else np.nan,
        "unreported_as_zero_upper95": conjugate_rate(events, filled).ppf(0.95) if fit else np.nan,
        **_rate_columns("with_bounds", wider),
        "note": "; ".join(notes),
    }


def _rate_columns(name: str, fit: Fit | None) -> dict:
    """Mean, interval and one-sided upper bound of the pooled rate; NaN without a fit."""
    rate = pooled_rate(fit) if fit else np.full(1, np.nan)
    low, high = np.quantile(rate, [0.025, 0.975])
    return {
        f"{name}_mean": rate.mean(),
        f"{name}_ci_low": low,
        f"{name}_ci_high": high,
        f"{name}_upper95": np.quantile(rate, 0.95),
    }


def by_strategy(usable: pd.DataFrame) -> pd.DataFrame:
    """Conjugate rates by immune strategy, for categories stated under at least two of them."""
    rows = []
    for (category, relation), part in usable.groupby(["event_category", "relation"]):
        if category in NO_RATE or part["strategy"].nunique() < 2:
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


def controls(rows: pd.DataFrame, draws: int = 20_000) -> pd.DataFrame:
    """Control arms beside the treated arms of the same cohort, category and relation.

    Where both arms are counted exactly: the difference of risks and the log odds ratio, treated
    against control, each arm with a Jeffreys prior (mean and 95 % interval by simulation). Serious
    adverse events are listed without a comparison, for the reason in `NO_RATE`.
    """
    key = ["cohort", "event_category", "relation"]
    numbers = [*key, "study_id", "bound", "events", "n_at_risk"]
    control = rows.loc[rows["arm"] == "control", numbers]
    treated = rows.loc[rows["arm"] == "treated", [*key, "bound", "events", "n_at_risk"]]
    pairs = control.merge(treated, on=key, how="left", suffixes=("_control", "_treated"))
    rng = np.random.default_rng(0)
    compared = []
    for row in pairs.to_dict("records"):
        found = dict.fromkeys(("risk_difference", "log_odds_ratio"), (np.nan,) * 3)
        both = row["bound_control"] == row["bound_treated"] == "exact"
        if both and row["event_category"] != "serious_adverse_event":
            risk = {
                arm: conjugate_risk(row[f"events_{arm}"], row[f"n_at_risk_{arm}"]).rvs(
                    draws, random_state=rng
                )
                for arm in ("treated", "control")
            }
            odds = special.logit(risk["treated"]) - special.logit(risk["control"])
            found["risk_difference"] = _three(risk["treated"] - risk["control"])
            found["log_odds_ratio"] = _three(odds)
        compared.append(
            {
                f"{name}_{part}": value
                for name, three in found.items()
                for part, value in zip(("mean", "ci_low", "ci_high"), three, strict=True)
            }
        )
    extra = pd.DataFrame(
        compared,
        columns=[f"{name}_{part}" for name in ("risk_difference", "log_odds_ratio")
                 for part in ("mean", "ci_low", "ci_high")],
    )  # fmt: skip
    return pd.concat([pairs, extra], axis=1)


def _three(draws: np.ndarray) -> tuple[float, float, float]:
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(draws.mean()), float(low), float(high)


def _counts(part: pd.DataFrame) -> dict:
    return {"k_studies": len(part), "n_patients": part["n_at_risk"].sum()}


def _interval(draws: np.ndarray) -> dict:
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"mean": draws.mean(), "sd": draws.std(), "ci_low": low, "ci_high": high}


def _prediction(draws: np.ndarray) -> dict:
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"pred_low": low, "pred_high": high}
