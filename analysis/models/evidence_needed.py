"""What would settle it: how much more follow-up a harm or a durability needs, and what it buys.

Assurance is the probability, averaged over what is known today, that a future study reaches its
aim (Pan and Banerjee 2021, arXiv:2112.03509); as follow-up grows it tends to the probability,
today, that the aim is true (Grieve, "Assurance", doi 10.1201/9781003218531-3). For a harm the aim
is that the one-sided 95 % upper bound of the rate in the patients of that study falls under a
threshold; such a bound is right 95 times in 100, so the assurance never passes the probability of
a rate under the threshold by more than the factor 1 / 0.95. The rate starts from the posterior for
a *new* study, so heterogeneity is in it, and is updated by the future study's own events, Poisson
in its patient-years: exactly, on points of the posterior. For insulin independence the aim is a
narrow interval of the share still independent at five years: a Beta distribution matched to the
published mean and SD, updated by a binomial count; it takes the future patients to be exchangeable
with those behind the estimate. For HbA1c and C-peptide the
value of a trial is how much it narrows the interval of its class mean (normal-normal update).

The thresholds are the authors' choices, made to show the order of magnitude; they are not clinical
consensus.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import special, stats

from analysis import effects as effects_module

THRESHOLDS = {
    "death": 1.0,
    "malignancy_or_tumour": 1.0,
    "severe_infection": 5.0,
    "severe_hypoglycaemia": 5.0,
    "ketoacidosis": 5.0,
    "neutropenia": 5.0,
}
"""Rates per 100 patient-years to fall under: 1 for what cannot be undone, 5 for the rest."""
DURABILITY = ("independence_survival", "s_60")
LOSS = "loss_of_independence_5_years"
WIDTH = 0.2
ASSURANCE = 0.8
LEVEL = 0.95
MOST_YEARS = 1e7
PATIENTS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
YEARS = (1, 2, 5)
FEASIBLE = 100_000
"""Patient-years nobody will collect: what needs more is said to be out of reach."""
VALUE_OUTCOMES = ("hba1c", "c_peptide_ratio", "c_peptide_gain")

CURVE_COLUMNS = ["harm", "relation", "group", "threshold", "unit", "patients", "years",
                 "patient_years", "assurance"]  # fmt: skip
SUMMARY_COLUMNS = ["harm", "relation", "group", "threshold", "unit", "k_studies", "n_patients",
                   "bound_now", "probability_under_threshold", "assurance_wanted",
                   "needed", "needed_unit", "needed_if_no_event", "verdict"]  # fmt: skip
VALUE_COLUMNS = ["outcome", "estimand", "scale", "unit", "group", "k_studies", "n_patients",
                 "width_now", "typical_se", "tau", "width_after", "reduction",
                 "reduction_of_perfect_trial"]  # fmt: skip


def from_estimates(
    estimates: pd.DataFrame,
    new_study_rates: pd.DataFrame | None = None,
    effects: pd.DataFrame | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables `evidence_needed` (curves), `evidence_needed_summary` and `next_trial_value`.

    A pure function of what other stages leave behind; it needs no fit and draws no number.

    Parameters
    ----------
    estimates : all estimates of the project; those it lacks leave no row, save that a missing
        durability is said in the summary.
    new_study_rates : the table `safety_new_study_rates`: quantiles of the rate of each harm in a
        new study. Without it no harm is treated.
    effects : the effects table, for the standard error of a typical trial; without it only the
        gain of a perfect trial is given.
    """
    curves, summary = [], []
    if new_study_rates is not None and len(new_study_rates):
        key = ["event_category", "relation", "group"]
        for (category, relation, group), part in new_study_rates.groupby(key):
            if category not in THRESHOLDS:
                continue
            base = {
                "harm": category,
                "relation": relation,
                "group": group,
                "threshold": THRESHOLDS[category],
                "unit": "per 100 patient-years",
            }
            lines, line = _harm(base, np.sort(part["rate_per_year"].to_numpy(dtype=float)))
            curves += lines
            summary.append({**line, **part[["k_studies", "n_patients"]].iloc[0].to_dict()})
    durable = estimates[
        (estimates["outcome"] == DURABILITY[0])
        & (estimates["estimand"] == DURABILITY[1])
        & estimates["group_kind"].isin(["all", "cell_class"])
        & (estimates["method"] == "nuts")
    ]
    for row in durable.to_dict("records"):
        lines, line = _durability(row)
        curves += lines
        summary.append(line)
    if durable.empty:
        summary.append(
            {
                "harm": LOSS,
                "relation": "",
                "group": "all",
                "threshold": WIDTH,
                "unit": "width of the 95 % interval",
                "assurance_wanted": ASSURANCE,
                "needed_unit": "",
                "verdict": "no estimate of independence at five years",
            }
        )
    typical = {} if effects is None else typical_errors(effects)
    return {
        "evidence_needed": pd.DataFrame(curves, columns=CURVE_COLUMNS),
        "evidence_needed_summary": pd.DataFrame(summary, columns=SUMMARY_COLUMNS),
        "next_trial_value": next_trial_value(estimates, typical),
    }


# --------------------------------------------------------------------------------------- harms


def updated_bound(rates: np.ndarray, events: np.ndarray, years: float) -> np.ndarray:
    """Upper bound (one-sided 95 %) of the rate after `events` in `years`, one for each count.

    `rates` are the points of the distribution before, equally likely and in ascending order, per
    patient-year. Bayes' rule on the points: weights proportional to rate^events exp(-rate years).
    """
    events = np.atleast_1d(np.asarray(events, dtype=float))
    log_weight = events[:, None] * np.log(rates)[None, :] - (rates * years)[None, :]
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    share = np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True)
    return rates[np.argmax(share >= LEVEL, axis=1)]


def assurance_rate(rates: np.ndarray, years: float, threshold: float) -> float:
    """Probability that a study of `years` patient-years brings the bound under `threshold`.

    The bound rises with the number of events, so the aim is met up to some largest count; the
    probability of at most that many events is averaged over `rates`. Both per patient-year,
    `rates` in ascending order.
    """
    allowed = largest_count(rates, years, threshold)
    return 0.0 if allowed < 0 else float(special.pdtr(allowed, rates * years).mean())


def largest_count(rates: np.ndarray, years: float, threshold: float) -> int:
    """Most events with which the bound stays under the threshold; -1 when not even none will do.

    Where every rate is under the threshold any count will do: the answer is then a number of
    events no study of that length could have.
    """
    if rates[-1] < threshold:
        return int(np.ceil(100 * (1 + threshold * years)))
    # Above threshold * years events the study's own rate exceeds the threshold.
    low, high = -1, int(np.ceil(threshold * years)) + 1
    while updated_bound(rates, [high], years)[0] < threshold:
        high = 2 * high + 1
    while high - low > 1:
        middle = (low + high) // 2
        if updated_bound(rates, [middle], years)[0] < threshold:
            low = middle
        else:
            high = middle
    return low


def years_needed(rates: np.ndarray, threshold: float, wanted: float = ASSURANCE) -> float:
    """Fewest patient-years for the wanted assurance; infinity when no number reaches it.

    For a largest count that still meets the aim, assurance falls as years are added, until one more
    event is allowed: its peaks, large ones while few events are allowed, lie where a count is
    first allowed, and only these are looked at (every count to 200, then steps of 5 %).

    Whenever the bound is under the threshold, the rate is with probability `LEVEL` or more; so
    LEVEL times the assurance is at most the probability of a rate under the threshold today, and
    where that is too small no follow-up of one study can help.
    """
    if np.mean(rates < threshold) < LEVEL * wanted:
        return np.inf
    if assurance_rate(rates, 0.0, threshold) >= wanted:
        return 0.0
    allowed = 0
    while np.isfinite(years := years_with_events(rates, allowed, threshold)):
        if special.pdtr(allowed, rates * years).mean() >= wanted:
            return years
        allowed += max(1, allowed // 20) if allowed >= 200 else 1
    return np.inf


def years_with_events(rates: np.ndarray, events: int, threshold: float) -> float:
    """Least patient-years, with so many events, that bring the bound under the threshold.

    By bisection, to one part in a thousand; infinity when none up to ten million do.
    """
    if rates[0] >= threshold:
        return np.inf

    def under(years: float) -> bool:
        return bool(updated_bound(rates, [events], years)[0] < threshold)

    if under(0.0):
        return 0.0
    high = max(1.0, events / threshold / 4)
    while not under(high):
        high *= 2
        if high > MOST_YEARS:
            return np.inf
    low = 0.0
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if under(middle) else (middle, high)
    return float(high)


def _harm(base: dict, rates: np.ndarray) -> tuple[list[dict], dict]:
    """The curve and the summary line of one harm and group; `rates` per patient-year, ascending."""
    threshold = base["threshold"] / 100
    sizes = {n * y for n in PATIENTS for y in YEARS}
    reached = {size: assurance_rate(rates, size, threshold) for size in sizes}
    curve = [
        {**base, "patients": n, "years": y, "patient_years": n * y, "assurance": reached[n * y]}
        for n in PATIENTS
        for y in YEARS
    ]
    needed = years_needed(rates, threshold)
    clean = years_with_events(rates, 0, threshold)
    return curve, {
        **base,
        "bound_now": 100 * np.quantile(rates, LEVEL),
        "probability_under_threshold": float(np.mean(rates < threshold)),
        "assurance_wanted": ASSURANCE,
        "needed": needed if np.isfinite(needed) else np.nan,
        "needed_unit": "patient-years",
        "needed_if_no_event": clean if np.isfinite(clean) else np.nan,
        "verdict": _verdict(needed),
    }


def _verdict(needed: float) -> str:
    if needed == 0:
        return "already reached"
    if np.isfinite(needed):
        return "reachable" if needed <= FEASIBLE else "beyond any feasible follow-up"
    return "never: today's posterior does not give the rate enough probability under the threshold"


# ---------------------------------------------------------------------------------- durability


def matched_beta(mean: float, sd: float) -> tuple[float, float]:
    """Parameters of the Beta distribution with this mean and SD. Raises ValueError if none has."""
    if not (0 < mean < 1 and 0 < sd**2 < mean * (1 - mean)):
        raise ValueError(f"no Beta distribution has mean {mean:g} and SD {sd:g}")
    size = mean * (1 - mean) / sd**2 - 1
    return mean * size, (1 - mean) * size


def assurance_width(a: float, b: float, patients: int, width: float = WIDTH) -> float:
    """Probability that `patients` followed to the end narrow the 95 % interval to under `width`."""
    count = np.arange(patients + 1)
    low, high = special.betaincinv(
        (a + count)[None, :], (b + patients - count)[None, :], np.array([[0.025], [0.975]])
    )
    narrow = high - low < width
    return min(1.0, float(stats.betabinom(patients, a, b).pmf(count)[narrow].sum()))


def patients_needed(a: float, b: float, width: float = WIDTH, wanted: float = ASSURANCE) -> float:
    """Fewest patients for the wanted assurance, by bisection."""
    if assurance_width(a, b, 0, width) >= wanted:
        return 0.0
    low, high = 0, 1
    while assurance_width(a, b, high, width) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if assurance_width(a, b, middle, width) >= wanted:
            high = middle
        else:
            low = middle
    return float(high)


def _durability(row: dict) -> tuple[list[dict], dict]:
    """The curve and the summary line for independence at five years in one group."""
    base = {
        "harm": LOSS,
        "relation": "",
        "group": row["group"],
        "threshold": WIDTH,
        "unit": "width of the 95 % interval",
    }
    line = {
        **base,
        "k_studies": row["k_studies"],
        "n_patients": row["n_patients"],
        "bound_now": row["ci_high"] - row["ci_low"],
        "assurance_wanted": ASSURANCE,
        "needed_unit": "independent patients followed for five years",
    }
    try:
        a, b = matched_beta(row["mean"], row["sd"])
    except ValueError as fault:
        return [], {**line, "verdict": str(fault)}
    curve = [
        {**base, "patients": n, "years": 5, "patient_years": 5 * n,
         "assurance": assurance_width(a, b, n)}
        for n in PATIENTS
    ]  # fmt: skip
    needed = patients_needed(a, b)
    return curve, {**line, "needed": needed, "verdict": _verdict(needed)}


# ------------------------------------------------------------------------- the next trial's value


def next_trial_value(
    estimates: pd.DataFrame, typical_se: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """How much one more trial of a class would narrow the 95 % interval of the class mean.

    The class mean has posterior variance v; a trial with standard error s sees it with variance
    tau^2 + s^2, so afterwards it is v (tau^2 + s^2) / (v + tau^2 + s^2) whatever the trial finds,
    with tau at its posterior centre. A perfect trial has s = 0: no single trial can do better.
    Rows are the sampled class means of `VALUE_OUTCOMES`.
    """
    known = estimates[
        estimates["outcome"].isin(VALUE_OUTCOMES)
        & (estimates["group_kind"] == "cell_class")
        & (estimates["method"] == "nuts")
        & estimates["estimand"].str.startswith("mean")
        & estimates["scale"].ne("ratio")
        & estimates[["sd", "tau"]].notna().all(axis=1)
    ]
    rows = []
    for row in known.to_dict("records"):
        s = (typical_se or {}).get(row["outcome"], np.nan)
        now = interval_width(row["sd"])
        after = interval_width(updated_sd(row["sd"], row["tau"], s))
        best = interval_width(updated_sd(row["sd"], row["tau"], 0.0))
        rows.append(
            {
                **{name: row[name] for name in VALUE_COLUMNS[:4]},
                "group": row["group"],
                "k_studies": row["k_studies"],
                "n_patients": row["n_patients"],
                "width_now": now,
                "typical_se": s,
                "tau": row["tau"],
                "width_after": after,
                "reduction": now - after,
                "reduction_of_perfect_trial": now - best,
            }
        )
    table = pd.DataFrame(rows, columns=VALUE_COLUMNS)
    return table.sort_values(
        ["outcome", "estimand", "reduction_of_perfect_trial"], ascending=[True, True, False]
    ).reset_index(drop=True)


def typical_errors(effects: pd.DataFrame) -> dict[str, float]:
    """Outcome -> median standard error of the numbers that may be pooled, at the central r."""
    numbers = effects[effects["pool"] & effects["headline"] & effects["kind"].eq("numeric")]
    error = pd.Series(effects_module.se(numbers), index=numbers.index)
    return error.groupby(numbers["outcome"]).median().dropna().to_dict()


def updated_sd(sd: float, tau: float, se: float) -> float:
    """Posterior SD of a class mean after one more trial (normal-normal)."""
    trial = tau**2 + se**2
    return float(np.sqrt(sd**2 * trial / (sd**2 + trial)))


def interval_width(sd: float) -> float:
    """Width of a central 95 % normal interval."""
    return float(2 * stats.norm.ppf(0.975) * sd)
