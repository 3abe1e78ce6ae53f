"""Rates and risks of harm with zero-event studies kept, by category and how cause was judged.

For cohort i followed for t_i years, each of n_i patients has the event with probability
p_i = 1 - exp(-lambda_i t_i), and the number of patients with the event is binomial;

    log lambda_i = mu + tau_class * c[class_i] + type_effect * type_i + tau * u_i,  u ~ N(0, 1)

with type_i type 2 less the share of type 2 cohorts. With t_i = 1 for everyone the same graph is a
binomial model of the risk during each study's own follow-up. u_i is integrated out by
the trapezoidal rule, so the graph has no parameter for each study and takes any number of them.
A lower bound ("at least three") is a censored count, log P(events >= k); it stays out of the
headline, because bounds are known only where something happened, and enters a sensitivity analysis.
A second one counts every silent cohort as a zero. A third replaces the classes by the immune
strategy. Beside the model stand checks that need none: a conjugate Gamma posterior that ignores
heterogeneity (Jeffreys prior), the rule of three (Hanley and Lippman-Hand 1983, JAMA 249:1743) and
the exact upper bound of Clopper and Pearson (1934, Biometrika 26:404).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import special, stats

from analysis import harms, priors, vocabulary
from analysis.evidence import Evidence
from analysis.models.result import ModelResult, estimates_table
from analysis.models.sampling import Fit, compile_model

CLASSES = tuple(vocabulary.CELL_CLASSES)
STRATEGIES = ("conditioning", "immunosuppression", "neither")
IMPOSSIBLE = -1e30
NODES = np.linspace(-4.0, 4.0, 17)
LOG_WEIGHTS = stats.norm.logpdf(NODES) - special.logsumexp(stats.norm.logpdf(NODES))
"""The trapezoidal rule for a cohort's own deviation: for counts that drop to zero within a fraction
of an SD it is nearer the truth than Gauss-Hermite quadrature with as many points."""
UNITS = {
    "rate": ("per_100_patient_years", "patients with the event per 100 patient-years"),
    "risk": ("probability", "share of patients with the event during the study's follow-up"),
}
WITH_BOUNDS = "_with_bounds"
AS_ZERO = "_unreported_as_zero"
BY_STRATEGY = "_by_strategy"
RISK = "_risk"
NO_RATE = {
    "serious_adverse_event": "not estimable from abstracts: nearly every statement is a zero, and "
    "studies with serious events seldom count them",
    "procedure_related": "happens at the procedure: a rate over time has no meaning",
}
"""Categories that are counted and shown, but given no pooled rate, and why."""
NO_RISK = ("serious_adverse_event",)
ATOMS = 400
"""Points of the distribution of a rate in a new study that are kept for later stages."""
MAX_DRAWS = 1000


# --------------------------------------------------------------------------------------- model


def build():
    """The PyMC model; all data are `pm.Data`, of any number of cohorts and lower bounds."""
    import pymc as pm
    import pytensor.tensor as pt

    def scale(name: str) -> float:
        return priors.get("safety", name).scale

    with pm.Model() as model:
        d = {name: pm.Data(name, values) for name, values in design_arrays(_example()).items()}
        mu = pm.Normal("mu", *priors.get("safety", "mu").params)
        tau = pm.HalfNormal("tau", scale("tau"))
        tau_class = pm.HalfNormal("tau_class", scale("tau_class"))
        type_effect = pm.Normal("type_effect", 0, scale("type_effect"))
        class_z = pm.Normal("class_z", 0, 1, shape=len(CLASSES))
        strategy_effect = pm.Normal("strategy_effect", 0, scale("strategy"), shape=len(STRATEGIES))
        class_effect = pm.Deterministic("class_effect", tau_class * class_z)
        centre = (
            mu
            + d["use_class"] * class_effect[d["class_index"]]
            + type_effect * d["type_2"]
            + pt.dot(d["strategy"], strategy_effect)
        )
        hazard = pt.exp(centre[:, None] + tau * NODES[None, :]) * d["years"][:, None]
        log_p = pt.log(-pt.expm1(-hazard))
        at_risk, copies, first = d["at_risk"], d["copies"], d["n_exact"]

        def add(name, log_probability, weight):
            """Integrate the cohorts' own deviations out and add the log likelihood."""
            of_cohort = pt.logsumexp(log_probability + LOG_WEIGHTS[None, :], axis=1)
            pm.Potential(name, (weight * of_cohort).sum())

        events = d["events"][:first, None]
        exact = events * log_p[:first] - (at_risk[:first, None] - events) * hazard[:first]
        add("exact", exact, copies[:first])
        # Rows from `first` on are lower bounds: one less the probabilities of fewer events.
        fewer, log_ways = d["fewer"][None, None, :], d["log_ways"][first:, None, :]
        others = at_risk[first:, None, None] - fewer
        terms = log_ways + fewer * log_p[first:, :, None] - others * hazard[first:, :, None]
        at_least = pt.log1mexp(pt.minimum(pt.logsumexp(terms, axis=2), -1e-12))
        add("at_least", at_least, copies[first:])
    return model


def _example() -> pd.DataFrame:
    """Two cohorts that give the graph its shapes; their values are replaced at every fit."""
    rows = {"events": 0.0, "n_at_risk": 10.0, "months": 12.0, "cell_class": CLASSES[0]}
    return pd.DataFrame(rows, index=[0, 1])


def design_arrays(
    rows: pd.DataFrame, *, exposure: bool = True, by_strategy: bool = False
) -> dict[str, np.ndarray]:
    """The model's data for these cohorts.

    "At least k" is one less the k terms 0, ..., k - 1 of the binomial distribution: `fewer` lists
    the terms of the bound with most of them, and `log_ways` leaves the needless ones of a row out.

    Parameters
    ----------
    rows : columns events, n_at_risk, months, cell_class; where present also diabetes_type,
        strategy, bound (`at_least` marks a lower bound) and copies (cohorts a row stands for).
    exposure : with it the model gives rates per patient-year; without, risks over the follow-up.
    by_strategy : effects of the immune strategy in place of those of the cell class.

    Raises ValueError for an empty table, a lower bound of none or before an exact count, more
    events than patients, or an exposure that is not positive.
    """
    if rows.empty:
        raise ValueError("no cohorts to fit")
    events, at_risk = (rows[name].to_numpy(dtype=float) for name in ("events", "n_at_risk"))
    years = rows["months"].to_numpy(dtype=float) / 12 if exposure else np.ones(len(rows))
    if not (years > 0).all():
        raise ValueError("a cohort without a length of follow-up")
    if not ((events >= 0) & (events <= at_risk)).all():
        raise ValueError("a cohort with more events than patients")

    def column(name: str, default) -> pd.Series:
        return rows[name] if name in rows else pd.Series(default, index=rows.index)

    is_bound = column("bound", "exact").eq("at_least").to_numpy()
    if not (np.diff(is_bound.astype(int)) >= 0).all():
        raise ValueError("lower bounds come after the exact counts")
    if not (events[is_bound] >= 1).all():
        raise ValueError("a lower bound of no event says nothing")
    fewer = np.arange(events[is_bound].max(initial=1.0))
    counted = is_bound[:, None] & (fewer[None, :] < events[:, None])
    log_ways = np.where(counted, log_choose(at_risk[:, None], fewer[None, :]), IMPOSSIBLE)
    copies = column("copies", 1.0).to_numpy(dtype=float)
    type_2 = column("diabetes_type", "T1D").eq("T2D").to_numpy(dtype=float)
    strategy = column("strategy", "").to_numpy()[:, None] == np.array(STRATEGIES)[None, :]
    return {
        "events": events,
        "at_risk": at_risk,
        "years": years,
        "copies": copies,
        "n_exact": np.array(int((~is_bound).sum())),
        "fewer": fewer,
        "log_ways": log_ways,
        "class_index": np.array([CLASSES.index(name) for name in rows["cell_class"]]),
        "type_2": type_2 - np.average(type_2, weights=copies),
        "strategy": strategy.astype(float) * by_strategy,
        "use_class": np.array(float(not by_strategy)),
    }


def log_choose(n, k) -> np.ndarray:
    """Logarithm of the binomial coefficient; minus infinity where k exceeds n."""
    n, k = np.broadcast_arrays(np.asarray(n, dtype=float), np.asarray(k, dtype=float))
    ways = special.gammaln(n + 1) - special.gammaln(k + 1)
    ways = ways - special.gammaln(np.maximum(n - k, 0) + 1)
    return np.where(k > n, -np.inf, ways)


def study_centres(arrays: dict[str, np.ndarray], fit: Fit) -> np.ndarray:
    """Draws of the log rate each cohort is expected to have: shape (draws, cohorts)."""
    classes = fit.draws("class_effect")[:, arrays["class_index"]]
    return (
        fit.draws("mu")[:, None]
        + arrays["use_class"] * classes
        + fit.draws("type_effect")[:, None] * arrays["type_2"]
        + fit.draws("strategy_effect") @ arrays["strategy"].T
    )


def study_rates(arrays: dict[str, np.ndarray], fit: Fit, seed: int) -> np.ndarray:
    """Draws of each cohort's own rate per patient-year, given its count: (draws, cohorts).

    The cohort's deviation u is drawn from its posterior on a fine grid. Exact counts only.
    """
    rng = np.random.default_rng(seed)
    step = max(1, len(fit.draws("mu")) // MAX_DRAWS)
    centre, tau = study_centres(arrays, fit)[::step], fit.draws("tau")[::step]
    grid = np.linspace(-4.5, 4.5, 181)
    rates = np.empty_like(centre)
    for i in range(centre.shape[1]):
        log_rate = centre[:, i, None] + tau[:, None] * grid
        hazard = np.exp(log_rate) * arrays["years"][i]
        k, n = arrays["events"][i], arrays["at_risk"][i]
        log_weight = -0.5 * grid**2 + special.xlogy(k, -np.expm1(-hazard)) - (n - k) * hazard
        weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
        share = np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True)
        drawn = (share < rng.uniform(size=(len(share), 1))).sum(axis=1).clip(max=grid.size - 1)
        rates[:, i] = np.exp(log_rate[np.arange(len(share)), drawn])
    return rates


# ----------------------------------------------------------------------------------------- run


def run(
    evidence: Evidence, *, seed: int, progress: Callable[[str], None] | None = None
) -> ModelResult:
    """Fit every category and relation that some treated cohort states explicitly.

    A withheld fit leaves out what would come from it.
    """
    tell = progress or (lambda text: None)
    counted = harms.table(evidence)
    rows = counted.rows
    treated = rows[rows["arm"] == "treated"]
    usable = treated[(treated["bound"] == "exact") & treated["patient_years"].gt(0)]
    implied = harms.implied(evidence, rows)
    bounds = pd.concat([treated[treated["bound"] == "at_least"], implied], ignore_index=True)
    spoken = pd.concat([rows, implied], ignore_index=True)  # whom an implied event is known of
    bounds = bounds[bounds["patient_years"].gt(0)]
    groups = list(usable.groupby(["event_category", "relation"], sort=True))
    fits: dict[str, Fit] = {}
    estimates: list[dict] = []
    checked: list[pd.DataFrame] = []
    learnt: list[pd.DataFrame] = []
    quantiles: list[pd.DataFrame] = []

    sampler = compile_model(build, "safety") if groups else None

    def fit(name: str, part: pd.DataFrame, draws: int = 750, **choices) -> Fit | None:
        tell(name)
        data = design_arrays(part, **choices)
        made = sampler.fit(name, seed=seed, data=data, tune=600, draws=draws, target_accept=0.97)
        if made.withheld:
            return None
        fits[name] = made
        return made

    for (category, relation), part in groups:
        name = f"{category}_{relation}"
        if category not in NO_RISK:
            risk = fit(name + RISK, part, exposure=False)
            if risk is not None:
                estimates += _estimates(category, relation, "risk", part, risk)
                checked.append(checks(name, "risk", part, risk, seed))
        if category in NO_RATE:
            continue
        rate = fit(name, part)
        estimates.append(_conjugate_estimate(category, relation, part))
        if rate is not None:
            estimates += _estimates(category, relation, "rate", part, rate)
            checked.append(checks(name, "rate", part, rate, seed))
            learnt.append(prior_posterior(category, relation, rate))
            quantiles.append(new_study_rates(category, relation, part, rate))
        lower = _with_bounds((category, relation), part, bounds)
        if len(lower) > len(part):
            wider = fit(name + WITH_BOUNDS, lower)
            extra = len(lower) - len(part)
            if wider is not None:
                estimates.append(
                    _variant(category, relation, WITH_BOUNDS, lower, wider, f"with {extra} cohorts "
                             "that give only a lower bound, known because something happened: "
                             "leans high")
                )  # fmt: skip
        quiet = harms.silent_groups(evidence, spoken, category, relation)
        filled = pd.concat([part.assign(copies=1.0), alike(quiet)], ignore_index=True)
        zero = fit(name + AS_ZERO, filled, draws=1000)  # these mix more slowly
        if zero is not None:
            estimates.append(
                _variant(category, relation, AS_ZERO, filled, zero, f"counts {len(quiet)} cohorts "
                         "that say nothing as having no event: leans low, a lower limit of what "
                         "is known")
            )  # fmt: skip
        if part["strategy"].isin(STRATEGIES).groupby(part["strategy"]).any().sum() > 1:
            fit(name + BY_STRATEGY, part, by_strategy=True)
    silent = harms.never_stated(evidence, spoken)
    contrasts = strategy_contrasts(usable, fits)
    estimates += _contrast_estimates(contrasts)
    summary = []
    for (category, relation), everyone in treated.groupby(["event_category", "relation"]):
        part = usable[(usable["event_category"] == category) & (usable["relation"] == relation)]
        estimates += _conjugate_risks(category, relation, part, everyone)
        summary.append(_summary(category, relation, part, everyone, fits, silent))
    tables = {
        "safety_facts": _facts(rows, fits),
        "safety_lower_bounds": bounds.reset_index(drop=True),
        "safety_exclusions": counted.exclusions,
        "safety_controls": controls(rows),
        "safety_by_strategy": by_strategy(usable, fits),
        "safety_strategy_contrasts": contrasts,
        "safety_silent": silent,
        "safety_summary": pd.DataFrame(summary),
        "safety_checks": _joined(checked),
        "safety_prior_posterior": _joined(learnt),
        "safety_new_study_rates": _joined(quantiles),
    }
    return ModelResult(estimates_table(estimates), tables, fits)


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _with_bounds(key, part: pd.DataFrame, bounds: pd.DataFrame) -> pd.DataFrame:
    """The exact facts of a category and relation, then its lower bounds."""
    same = (bounds["event_category"] == key[0]) & (bounds["relation"] == key[1])
    return pd.concat([part, bounds[same]], ignore_index=True) if same.any() else part


def alike(quiet: pd.DataFrame) -> pd.DataFrame:
    """Silent cohorts of one class, type and strategy as one row with `copies` and mean exposure.

    Each keeps a deviation of its own in the model; only their unequal exposures are averaged.
    """
    grouped = quiet.groupby(["cell_class", "diabetes_type", "strategy"], sort=True)
    rows = grouped.agg(
        copies=("n_at_risk", "size"),
        n_at_risk=("n_at_risk", "mean"),
        patient_years=("patient_years", "mean"),
    ).reset_index()
    return rows.assign(
        events=0.0, bound="exact", months=12 * rows["patient_years"] / rows["n_at_risk"]
    )


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
            rate = 100 * study_rates(design_arrays(part), fit, seed=0)
            facts.loc[part.index, columns] = np.column_stack(
                [rate.mean(axis=0), *np.quantile(rate, [0.025, 0.975], axis=0)]
            )
    return facts


# ----------------------------------------------------------------------------------- estimates


def pooled_rate(fit: Fit) -> np.ndarray:
    """Draws of the rate in a typical study of an average class, per 100 patient-years.

    The median over studies and classes; the mean over them is higher, by about half the variance
    on the log scale.
    """
    return 100 * np.exp(fit.draws("mu"))


def _on_scale(quantity: str, log_rate: np.ndarray) -> np.ndarray:
    """A log rate as a rate per 100 patient-years, or a log cumulative hazard as a risk."""
    return 100 * np.exp(log_rate) if quantity == "rate" else -np.expm1(-np.exp(log_rate))


def _estimates(category: str, relation: str, quantity: str, part: pd.DataFrame, fit: Fit):
    """Rates or risks of all, of each class and of each diabetes type, with upper bounds."""
    tau, tau_class = fit.draws("tau"), fit.draws("tau_class")
    noise = np.random.default_rng(0).standard_normal(tau.size)
    mu, by_class = fit.draws("mu"), fit.draws("class_effect")
    share = part["diabetes_type"].eq("T2D").mean()
    wide = np.hypot(tau, tau_class) * noise
    members = [("all", "all", part, mu, wide)]
    for name, own in part.groupby("cell_class"):
        members.append(
            ("cell_class", name, own, mu + by_class[:, CLASSES.index(name)], tau * noise)
        )
    for name, own in part.groupby("diabetes_type"):
        shift = fit.draws("type_effect") * (float(name == "T2D") - share)
        members.append(("diabetes_type", name, own, mu + shift, wide))
    scale, unit = UNITS[quantity]
    rows = []
    for kind, group, own, centre, deviation in members:
        draws = _on_scale(quantity, centre)
        notes = ["a single study: leans on the prior"] if len(own) == 1 else []
        if quantity == "risk":
            notes.append("lengths of follow-up differ")
        base = {"outcome": "safety", "group_kind": kind, "group": group, "scale": scale,
                "unit": unit, "method": "nuts", **_counts(own)}  # fmt: skip
        name = f"{category}:{relation}:{quantity}"
        rows.append(
            {**base, "estimand": name, "tau": float(np.median(tau)), "note": "; ".join(notes),
             **_interval(draws), **_prediction(_on_scale(quantity, centre + deviation))}
        )  # fmt: skip
        rows.append({**base, "estimand": f"{name}_upper95", "mean": np.quantile(draws, 0.95),
                     "note": "one-sided"})  # fmt: skip
    return rows


def _conjugate_estimate(category: str, relation: str, part: pd.DataFrame) -> dict:
    gamma = conjugate_rate(part["events"].sum(), part["patient_years"].sum())
    scale, unit = UNITS["rate"]
    return {
        "outcome": "safety",
        "group_kind": "all",
        "group": "all",
        "estimand": f"{category}:{relation}:rate",
        "scale": scale,
        "unit": unit,
        "method": "exact",
        "note": "pooled as if all cohorts were alike",
        **_counts(part),
        "mean": gamma.mean(),
        "sd": gamma.std(),
        "ci_low": gamma.ppf(0.025),
        "ci_high": gamma.ppf(0.975),
    }


def _variant(category, relation, suffix: str, part: pd.DataFrame, fit: Fit, note: str) -> dict:
    """The pooled rate of a sensitivity analysis."""
    scale, unit = UNITS["rate"]
    return {
        "outcome": "safety",
        "group_kind": "all",
        "group": "all",
        "estimand": f"{category}:{relation}:rate{suffix}",
        "scale": scale,
        "unit": unit,
        "tau": float(np.median(fit.draws("tau"))),
        "method": "nuts",
        "note": note,
        **_counts(part),
        **_interval(pooled_rate(fit)),
    }


def _conjugate_risks(category, relation, part: pd.DataFrame, everyone: pd.DataFrame) -> list[dict]:
    """The share of patients with the event, pooled as if alike (Beta, Jeffreys prior).

    No number is given where none can be had: the row then says why.
    """
    scale, unit = UNITS["risk"]
    base = {"outcome": "safety", "group_kind": "all", "group": "all", "method": "exact",
            "estimand": f"{category}:{relation}:risk", "scale": scale, "unit": unit}  # fmt: skip
    if category in NO_RISK or part.empty:
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


def conjugate_rate(events: float, years: float):
    """Gamma posterior of a common rate per 100 patient-years under Jeffreys' prior."""
    return stats.gamma(events + 0.5, scale=100 / years)


def conjugate_risk(events: float, patients: float):
    """Beta posterior of a common risk under Jeffreys' prior."""
    return stats.beta(events + 0.5, patients - events + 0.5)


def clopper_pearson_upper(events: float, patients: float, level: float = 0.95) -> float:
    """One-sided exact upper bound of a proportion."""
    return (
        1.0 if events >= patients else float(stats.beta.ppf(level, events + 1, patients - events))
    )


def rule_of_three(events: float, patients: float) -> float:
    """3/n, the 95 % upper bound when nobody of n had the event; NaN otherwise."""
    return 3 / patients if events == 0 else np.nan


def new_study_rates(category: str, relation: str, part: pd.DataFrame, fit: Fit) -> pd.DataFrame:
    """Quantiles of the rate per patient-year in a new study, for `evidence_needed`.

    A new study of any class, and of each class with at least two studies; `ATOMS` evenly spaced
    probabilities, ascending.
    """
    tau, noise = fit.draws("tau"), np.random.default_rng(0).standard_normal(fit.draws("tau").size)
    mu, by_class = fit.draws("mu"), fit.draws("class_effect")
    groups = [("all", part, mu + np.hypot(tau, fit.draws("tau_class")) * noise)]
    for name, own in part.groupby("cell_class"):
        if len(own) >= 2:
            groups.append((name, own, mu + by_class[:, CLASSES.index(name)] + tau * noise))
    probability = (np.arange(ATOMS) + 0.5) / ATOMS
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "event_category": category,
                    "relation": relation,
                    "group": group,
                    **_counts(own),
                    "probability": probability,
                    "rate_per_year": np.quantile(np.exp(log_rate), probability),
                }
            )
            for group, own, log_rate in groups
        ],
        ignore_index=True,
    )


# -------------------------------------------------------------------------------------- summary


def _summary(category, relation, part, everyone, fits, silent) -> dict:
    """One line of the safety table; the columns of a figure that cannot be had are NaN."""
    events, patients = part["events"].sum(), part["n_at_risk"].sum()
    years, cautious = part["patient_years"].sum(), part["patient_years_low"].sum()
    fit, wider, zero, risk_fit = (
        fits.get(f"{category}_{relation}{tail}") for tail in ("", WITH_BOUNDS, AS_ZERO, RISK)
    )
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
    rated = category not in NO_RATE and len(part) > 0
    risk_known = category not in NO_RISK and len(part) > 0
    risk = conjugate_risk(events, patients) if risk_known else None
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
        **_columns("rate", fit, "rate"),
        "conjugate_mean": conjugate_rate(events, years).mean() if rated else np.nan,
        "conjugate_upper95": conjugate_rate(events, years).ppf(0.95) if rated else np.nan,
        "short_exposure_upper95": conjugate_rate(events, cautious).ppf(0.95) if rated else np.nan,
        "risk_mean": risk.mean() if risk_known else np.nan,
        "risk_ci_low": risk.ppf(0.025) if risk_known else np.nan,
        "risk_ci_high": risk.ppf(0.975) if risk_known else np.nan,
        "rule_of_three": rule_of_three(events, patients) if risk_known else np.nan,
        "clopper_upper95": clopper_pearson_upper(events, patients) if risk_known else np.nan,
        **_columns("model_risk", risk_fit, "risk"),
        **_columns("unreported_as_zero", zero, "rate"),
        **_columns("with_bounds", wider, "rate"),
        "note": "; ".join(notes),
    }


def _columns(name: str, fit: Fit | None, quantity: str) -> dict:
    """Mean, interval and one-sided upper bound of a pooled rate or risk; NaN without a fit."""
    draws = _on_scale(quantity, fit.draws("mu")) if fit else np.full(1, np.nan)
    low, high = np.quantile(draws, [0.025, 0.975])
    return {
        f"{name}_mean": draws.mean(),
        f"{name}_ci_low": low,
        f"{name}_ci_high": high,
        f"{name}_upper95": np.quantile(draws, 0.95),
    }


# ------------------------------------------------------------------- strategies and control arms


def by_strategy(usable: pd.DataFrame, fits: dict[str, Fit] | None = None) -> pd.DataFrame:
    """Rates by immune strategy, for categories stated under at least two of them.

    `rate_*` is conjugate and pools a strategy's cohorts as if alike; `model_*` is the model's, with
    study effects (NaN where it was not fitted).
    """
    rows = []
    for (category, relation), part in usable.groupby(["event_category", "relation"]):
        if (
            category in NO_RATE
            or part.loc[part["strategy"].isin(STRATEGIES), "strategy"].nunique() < 2
        ):
            continue
        fit = (fits or {}).get(f"{category}_{relation}{BY_STRATEGY}")
        for strategy, own in part.groupby("strategy"):
            gamma = conjugate_rate(own["events"].sum(), own["patient_years"].sum())
            model = np.full(1, np.nan)
            if fit is not None and strategy in STRATEGIES:
                effect = fit.draws("strategy_effect")[:, STRATEGIES.index(strategy)]
                model = 100 * np.exp(fit.draws("mu") + effect)
            low, high = np.quantile(model, [0.025, 0.975])
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
                    "model_mean": model.mean(),
                    "model_ci_low": low,
                    "model_ci_high": high,
                }
            )
    return pd.DataFrame(rows)


def strategy_contrasts(usable: pd.DataFrame, fits: dict[str, Fit]) -> pd.DataFrame:
    """Rate ratios between immune strategies, from the fits that hold at least two of them.

    Different studies of mostly different cells are compared: the strategy is confounded with the
    cell class. `log_ratio_sd` beside `prior_sd` shows how much was learnt.
    """
    prior_sd = np.sqrt(2) * priors.get("safety", "strategy").scale
    rows = []
    for (category, relation), part in usable.groupby(["event_category", "relation"]):
        fit = fits.get(f"{category}_{relation}{BY_STRATEGY}")
        if fit is None:
            continue
        known = [name for name in STRATEGIES if part["strategy"].eq(name).any()]
        effect = fit.draws("strategy_effect")
        for first, second in combinations(known, 2):
            log_ratio = effect[:, STRATEGIES.index(first)] - effect[:, STRATEGIES.index(second)]
            low, high = np.quantile(log_ratio, [0.025, 0.975])
            sides = [part[part["strategy"] == name] for name in (first, second)]
            rows.append(
                {
                    "event_category": category,
                    "relation": relation,
                    "strategy": first,
                    "against": second,
                    "k_strategy": len(sides[0]),
                    "k_against": len(sides[1]),
                    "n_patients": sum(side["n_at_risk"].sum() for side in sides),
                    "log_ratio_mean": log_ratio.mean(),
                    "log_ratio_sd": log_ratio.std(),
                    "prior_sd": prior_sd,
                    "ratio_median": np.exp(np.median(log_ratio)),
                    "ratio_ci_low": np.exp(low),
                    "ratio_ci_high": np.exp(high),
                    "probability_higher": np.mean(log_ratio > 0),
                }
            )
    return pd.DataFrame(rows)


def _contrast_estimates(contrasts: pd.DataFrame) -> list[dict]:
    return [
        {
            "outcome": "safety",
            "group_kind": "all",
            "group": "all",
            "estimand": f"{row['event_category']}:{row['relation']}:log_rate_ratio:"
            f"{row['strategy']}_vs_{row['against']}",
            "scale": "log_rate_ratio",
            "unit": "log ratio of rates",
            "k_studies": row["k_strategy"] + row["k_against"],
            "n_patients": row["n_patients"],
            "mean": row["log_ratio_mean"],
            "sd": row["log_ratio_sd"],
            "ci_low": np.log(row["ratio_ci_low"]),
            "ci_high": np.log(row["ratio_ci_high"]),
            "method": "nuts",
            "note": "between studies, not within: confounded with the cell class",
        }
        for row in contrasts.to_dict("records")
    ]


def controls(rows: pd.DataFrame, draws: int = 20_000) -> pd.DataFrame:
    """Control arms beside the treated arms of the same cohort, category and relation.

    Where both arms are counted exactly over the same time: the difference of risks and the log odds
    ratio, treated against control, each arm with a Jeffreys prior (mean and 95 % interval by
    simulation). Serious adverse events are listed without a comparison, for the reason in
    `NO_RATE`.
    """
    key = ["cohort", "event_category", "relation"]
    numbers = ["bound", "events", "n_at_risk", "months"]
    control = rows.loc[rows["arm"] == "control", [*key, "study_id", *numbers]]
    treated = rows.loc[rows["arm"] == "treated", [*key, *numbers]]
    pairs = control.merge(treated, on=key, how="left", suffixes=("_control", "_treated"))
    rng = np.random.default_rng(0)
    compared = []
    for row in pairs.to_dict("records"):
        found = dict.fromkeys(("risk_difference", "log_odds_ratio"), (np.nan,) * 3)
        both = row["bound_control"] == row["bound_treated"] == "exact" and np.isclose(
            row["months_control"], row["months_treated"], rtol=0, atol=0.05, equal_nan=True
        )
        if both and row["event_category"] not in NO_RISK:
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


# --------------------------------------------------------------------------------------- checks


def prior_centres(arrays: dict[str, np.ndarray], n: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """Draws from the prior: each cohort's expected log rate (n, cohorts), and tau (n,)."""

    def scale(name: str) -> float:
        return priors.get("safety", name).scale

    mu = rng.normal(*priors.get("safety", "mu").params, size=(n, 1))
    tau, tau_class = (scale(name) * np.abs(rng.standard_normal(n)) for name in ("tau", "tau_class"))
    classes = tau_class[:, None] * rng.standard_normal((n, len(CLASSES)))
    centre = mu + arrays["use_class"] * classes[:, arrays["class_index"]]
    centre += scale("type_effect") * rng.standard_normal((n, 1)) * arrays["type_2"]
    strategies = scale("strategy") * rng.standard_normal((n, len(STRATEGIES)))
    return centre + strategies @ arrays["strategy"].T, tau


def checks(name: str, quantity: str, part: pd.DataFrame, fit: Fit, seed: int) -> pd.DataFrame:
    """Prior and posterior predictive checks: counts of new studies of the same size and length.

    Statistics: patients with the event in all, cohorts without any, the largest share of patients.
    `tail_probability` is P(replicated >= observed).
    """
    arrays = design_arrays(part, exposure=quantity == "rate")
    rng = np.random.default_rng(seed)
    n, k = arrays["at_risk"].astype(int), arrays["events"]
    statistics = {
        "patients_with_event": lambda events: events.sum(axis=-1),
        "cohorts_without_event": lambda events: (events == 0).sum(axis=-1),
        "largest_share": lambda events: (events / n).max(axis=-1),
    }
    step = max(1, len(fit.draws("mu")) // MAX_DRAWS)
    sources = {
        "prior": prior_centres(arrays, MAX_DRAWS, rng),
        "posterior": (study_centres(arrays, fit)[::step], fit.draws("tau")[::step]),
    }
    lines = []
    for source, (centre, tau) in sources.items():
        log_rate = centre + tau[:, None] * rng.standard_normal(centre.shape)
        events = rng.binomial(n, -np.expm1(-np.exp(log_rate) * arrays["years"]))
        for label, statistic in statistics.items():
            again, observed = statistic(events), float(statistic(k))
            low, high = np.quantile(again, [0.025, 0.975])
            lines.append(
                {"fit": name, "quantity": quantity, "check": source, "statistic": label,
                 "observed": observed, "predicted": again.mean(), "pred_low": low,
                 "pred_high": high, "tail_probability": np.mean(again >= observed),
                 "k_studies": len(part)}
            )  # fmt: skip
    return pd.DataFrame(lines)


def prior_posterior(category: str, relation: str, fit: Fit) -> pd.DataFrame:
    """Prior beside posterior of the parameters the studies share, on the scale of the log rate."""
    rows = []
    for name in ("mu", "tau", "tau_class", "type_effect"):
        prior, draws = priors.get("safety", name), fit.draws(name)
        half = prior.distribution == "HalfNormal"
        known = stats.halfnorm(scale=prior.scale) if half else stats.norm(*prior.params)
        rows.append(
            {
                "event_category": category,
                "relation": relation,
                "parameter": name,
                "prior_mean": known.mean(),
                "prior_sd": known.std(),
                "posterior_mean": draws.mean(),
                "posterior_sd": draws.std(),
                "sd_ratio": draws.std() / known.std(),
            }
        )
    return pd.DataFrame(rows)


def _three(draws: np.ndarray) -> tuple[float, float, float]:
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(draws.mean()), float(low), float(high)


def _counts(part: pd.DataFrame) -> dict:
    copies = part.get("copies", 1)
    return {
        "k_studies": int((copies * np.ones(len(part))).sum()),
        "n_patients": (part["n_at_risk"] * copies).sum(),
    }


def _interval(draws: np.ndarray) -> dict:
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"mean": draws.mean(), "sd": draws.std(), "ci_low": low, "ci_high": high}


def _prediction(draws: np.ndarray) -> dict:
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"pred_low": low, "pred_high": high}
