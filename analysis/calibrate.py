"""Simulation-based calibration: do the models recover what the data were simulated from?

For each replicate the parameters are drawn from the prior, data from the model in the design of
the real evidence, and the posterior is sampled; the rank of the true value among posterior draws
is then uniform if model, code and sampler agree (Talts et al. 2018, arXiv:1804.06788). Uniformity
is judged by the simultaneous band of the empirical distribution function of Saeilynoja, Buerkner
and Vehtari (2022, Stat Comput 32:32), by chi-squared over bins, and by the coverage of central
intervals. The exact posterior is checked in the same way without a sampler: there the probability
integral transform of the truth is known to the last digit.

`CASES` is the registry: a model joins it by saying how to draw truth and data from its prior.
Replicates are split over processes by joblib; its Dask backend spreads them over a cluster, an
option that nothing here needs. Each process compiles a model once and refits it. Diagnostics do
not stop a replicate: fits that break a rule of the gate are kept, and counted.

    python -m analysis.calibrate --replicates 200
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from analysis import exact, priors, sweep
from analysis.effects import BOUNDED
from analysis.evidence import RAW, Evidence
from analysis.models import sampling

SEED = 20261124
OUT = Path("docs/calibration.csv")
KEPT = 199
"""Draws a rank is taken among: 200 possible ranks divide evenly into bins and central intervals."""
BINS = 20
LEVELS = (0.5, 0.9, 0.95)
DRAWS, TUNE, CHAINS = 500, 500, 4
COLUMNS = ["model", "parameter", "method", "n_replicates", "n_gate", "n_divergent", "draws",
           "chi2_p", "ecdf_p", *[f"coverage_{level * 100:g}" for level in LEVELS],
           "histogram"]  # fmt: skip

Truth = dict[str, float]
"""Parameter -> true value. `name[3]` is entry 3 of a vector parameter."""


@dataclass(frozen=True)
class Case:
    """One model to calibrate.

    Attributes
    ----------
    sampler : compiles the model; called once in each process.
    simulate : draws (truth, data arrays for the sampler) from the prior.
    target_accept : as the stage that uses the model sets it.
    """

    sampler: Callable[[], sampling.Sampler]
    simulate: Callable[[np.random.Generator], tuple[Truth, dict[str, np.ndarray]]]
    target_accept: float = 0.98


# --- ranks ---------------------------------------------------------------------------------------


def rank(draws: np.ndarray, truth: float, kept: int = KEPT) -> int:
    """How many of `kept` evenly spaced draws lie below the truth: 0 to `kept`.

    Thinning makes the draws nearly independent, which the uniformity of the rank asks for.
    Raises ValueError when there are fewer draws than `kept`.
    """
    if len(draws) < kept:
        raise ValueError(f"{len(draws)} draws; a rank is taken among {kept}")
    chosen = np.linspace(0, len(draws) - 1, kept).round().astype(int)
    return int((np.asarray(draws)[chosen] < truth).sum())


def draws_of(fit: sampling.Fit, parameter: str) -> np.ndarray:
    """Posterior draws of a parameter, or of one entry of a vector (`name[3]`)."""
    name, entry = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", parameter).groups()
    values = fit.draws(name)
    return values if entry is None else values[:, int(entry)]


def replicates(
    name: str, evidence: Evidence, seeds: Iterable[int], *, draws: int = DRAWS, tune: int = TUNE
) -> pd.DataFrame:
    """Ranks of some replicates of a registered model.

    Returns one row a replicate: seed, gate (rules broken), divergences, and the rank of each
    parameter under its name.
    """
    case = CASES[name](evidence)
    sampler = case.sampler()
    rows = []
    for seed in seeds:
        truth, data = case.simulate(np.random.default_rng(seed))
        fit = sampler.fit(
            f"{name}_{seed}", seed=seed, data=data, draws=draws, tune=tune, chains=CHAINS,
            target_accept=case.target_accept, gate=False,
        )  # fmt: skip
        ranks = {key: rank(draws_of(fit, key), value) for key, value in truth.items()}
        faults = fit.diagnostics.faults()
        rows.append({"seed": seed, "gate": len(faults), "divergences": fit.diagnostics.divergences,
                     **ranks})  # fmt: skip
    return pd.DataFrame(rows)


def _replicates(seeds: np.ndarray, name: str, evidence: Evidence, **options) -> pd.DataFrame:
    return replicates(name, evidence, seeds.tolist(), **options)


def calibrate(
    name: str, evidence: Evidence, n: int, *, seed: int = SEED, jobs: int | None = None,
    draws: int = DRAWS, tune: int = TUNE,
) -> pd.DataFrame:  # fmt: skip
    """Calibrate one registered model with `n` replicates, in as many parts as cores (or `jobs`).

    The numbers do not depend on `jobs`. Returns the summary (`COLUMNS`), one row a parameter.
    Raises KeyError for a model that is not registered.
    """
    if name not in CASES:
        raise KeyError(f"no such model: {name}; known: {', '.join(CASES)}")
    seeds = [int(s) for s in np.random.SeedSequence(seed).generate_state(n)]
    parts = sweep.each(
        _replicates, np.array_split(seeds, min(jobs or sweep.cores(), n)), name, evidence,
        draws=draws, tune=tune, jobs=jobs,
    )  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    return summarise(name, table, draws=draws * CHAINS)


def summarise(name: str, table: pd.DataFrame, *, draws: int) -> pd.DataFrame:
    """Uniformity and coverage of the ranks of one model (rows of `replicates`)."""
    common = {
        "model": name,
        "method": "nuts",
        "n_replicates": len(table),
        "n_gate": int((table["gate"] > 0).sum()),
        "n_divergent": int((table["divergences"] > 0).sum()),
        "draws": draws,
    }
    parameters = [c for c in table.columns if c not in ("seed", "gate", "divergences")]
    rows = [
        {**common, "parameter": p, **judge((table[p].to_numpy() + 0.5) / (KEPT + 1))}
        for p in parameters
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


# --- uniformity ----------------------------------------------------------------------------------


def judge(pit: np.ndarray) -> dict:
    """Uniformity of probability integral transforms: p-values, coverage and histogram.

    Parameters
    ----------
    pit : values in (0, 1); ranks as (rank + 1/2) / (KEPT + 1).
    """
    counts = np.histogram(pit, bins=BINS, range=(0, 1))[0]
    centred = np.abs(2 * np.asarray(pit) - 1)
    return {
        "chi2_p": float(stats.chisquare(counts).pvalue),
        "ecdf_p": ecdf_p(counts),
        **{f"coverage_{level * 100:g}": float((centred <= level).mean()) for level in LEVELS},
        "histogram": ";".join(map(str, counts)),
    }


def ecdf_p(counts: np.ndarray, seed: int = 0) -> float:
    """P-value of uniformity from the empirical distribution function at the edges of the bins.

    The statistic is the smallest two-sided binomial tail over the edges; its distribution under
    uniformity is simulated.
    """
    counts = np.asarray(counts)
    null = _null(int(counts.sum()), counts.size, seed)
    return float((null <= _smallest_tail(counts[None, :])[0]).mean())


def ecdf_band(n: int, level: float = 0.95, bins: int = BINS, seed: int = 0) -> pd.DataFrame:
    """Simultaneous band of the empirical distribution function of `n` uniform values.

    Returns columns at, low, high: with probability `level` the function lies within the band at
    every edge. A histogram lies outside exactly where `ecdf_p` is below 1 - level.
    """
    gamma = np.quantile(_null(n, bins, seed), 1 - level)
    at = np.arange(1, bins) / bins
    counts = np.arange(n + 1)[:, None]
    inside = 2 * np.minimum(stats.binom.cdf(counts, n, at), stats.binom.sf(counts - 1, n, at))
    allowed = inside > gamma
    low = allowed.argmax(axis=0) / n
    high = (n - allowed[::-1].argmax(axis=0)) / n
    return pd.DataFrame({"at": at, "low": low, "high": high})


@lru_cache(maxsize=32)
def _null(n: int, bins: int, seed: int, simulations: int = 4000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return _smallest_tail(rng.multinomial(n, np.full(bins, 1 / bins), size=simulations))


def _smallest_tail(counts: np.ndarray) -> np.ndarray:
    """Smallest two-sided binomial tail of the distribution function over inner edges, by row."""
    n, bins = counts[0].sum(), counts.shape[1]
    below = counts.cumsum(axis=1)[:, :-1]
    at = np.arange(1, bins) / bins
    tail = np.minimum(stats.binom.cdf(below, n, at), stats.binom.sf(below - 1, n, at))
    return 2 * tail.min(axis=1)


# --- the exact posterior -------------------------------------------------------------------------


def calibrate_exact(n: int, *, k: int, seed: int = SEED, outcome: str = "hba1c") -> pd.DataFrame:
    """Calibration of `exact.fit_many`: `n` data sets of `k` studies drawn from the priors.

    Standard errors are spread evenly over a factor of ten around the prior scale of tau. Returns
    the summary (`COLUMNS`) for mu, tau and the true effect of a new study.
    """
    rng = np.random.default_rng([seed, k])
    scale_mu, scale_tau = priors.get(outcome, "mu").scale, priors.get(outcome, "tau").scale
    mu = scale_mu * rng.standard_normal(n)
    tau = scale_tau * np.abs(rng.standard_normal(n))
    new = mu + tau * rng.standard_normal(n)
    se = np.exp(rng.uniform(np.log(0.3), np.log(3.0), size=(n, k))) * scale_tau
    y = mu[:, None] + np.hypot(tau[:, None], se) * rng.standard_normal((n, k))
    batch = exact.fit_many(
        y, se, mu_prior=exact.Normal(0.0, scale_mu), tau_prior=exact.HalfNormal(scale_tau)
    )
    truths = {"mu": mu, "tau": tau, "predictive": new}
    common = {"model": f"exact_k{k}", "method": "exact", "n_replicates": n, "n_gate": 0,
              "n_divergent": 0}  # fmt: skip
    rows = [
        {**common, "parameter": name, **judge(batch.probability_below(truth, of=name))}
        for name, truth in truths.items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


# --- the registry --------------------------------------------------------------------------------


def _safety(evidence: Evidence) -> Case:
    """The rates of harm, in the design of the cohorts followed for the most patient-years."""
    from analysis import harms
    from analysis.models import safety

    rows = harms.table(evidence).rows
    exact_counts = (rows["arm"] == "treated") & (rows["bound"] == "exact")
    rows = rows[exact_counts & rows["patient_years"].gt(0)]
    rows = rows.sort_values(["patient_years", "study_id"], ascending=False, kind="stable")
    rows = rows.drop_duplicates("cohort").head(12).reset_index(drop=True)
    design = safety.design_arrays(rows)
    index, size = design["class_index"], len(rows)

    def simulate(rng):
        scale = {
            name: priors.get("safety", name).scale for name in ("tau", "tau_class", "type_effect")
        }
        mu = rng.normal(*priors.get("safety", "mu").params)
        tau, tau_class = (scale[name] * abs(rng.standard_normal()) for name in ("tau", "tau_class"))
        type_effect = scale["type_effect"] * rng.standard_normal()
        effect = tau_class * rng.standard_normal(len(safety.CLASSES))
        log_rate = mu + effect[index] + type_effect * design["type_2"]
        log_rate = log_rate + tau * rng.standard_normal(size)
        risk = -np.expm1(-np.exp(log_rate) * design["years"])
        events = rng.binomial(rows["n_at_risk"].to_numpy(dtype=int), risk)
        truth = {"mu": mu, "tau": tau, "tau_class": tau_class,
                 f"class_effect[{index[0]}]": effect[index[0]]}  # fmt: skip
        if np.any(design["type_2"]):
            truth["type_effect"] = type_effect
        return truth, safety.design_arrays(rows.assign(events=events.astype(float)))

    return Case(lambda: sampling.compile_model(safety.build(), "safety"), simulate, 0.95)


def _change(outcome: str) -> Callable[[Evidence], Case]:
    def case(evidence: Evidence) -> Case:
        """The change model, in the design of the effects pooled for an outcome.

        Where a number before and one after are printed, the spread of the change follows from the
        correlation; these variances are kept as printed and do not teach the model spreads. Words
        are simulated as they arise: from z = y / se, by whether |z| passes 1.96.
        """
        from analysis import effects
        from analysis.models import change

        rows = change.pooled_effects(effects.build(evidence).effects, outcome)
        rows.loc[rows["var_b"].fillna(0) != 0, "n_factor"] = np.nan
        size = len(rows)
        arrays = change.design_arrays(rows, outcome, size)
        return Case(
            lambda: sampling.compile_model(change.build(size), "change"),
            lambda rng: _simulated_change(rng, outcome, rows, arrays),
        )

    return case


def _simulated_change(rng, outcome: str, rows: pd.DataFrame, arrays: Mapping) -> tuple[Truth, dict]:
    """Parameters and data of the change model from its prior."""
    from analysis.models import change

    truth: Truth = {}
    for name in change.SCALES:
        draw = rng.standard_normal()
        scale = float(arrays[f"scale_{name}"])
        truth[name] = scale * (abs(draw) if name in change.HALF_NORMAL else draw)
    centre, spread = priors.get("change", "r").params
    edges = (np.array([-0.95, 0.95]) - centre) / spread
    truth["r"] = float(stats.truncnorm.rvs(*edges, centre, spread, random_state=rng))
    truth["log_sd"] = float(
        rng.normal(float(arrays["centre_log_sd"]), float(arrays["scale_log_sd"]))
    )
    truth["log_sd_spread"] = priors.get("change", "log_sd_spread").scale * abs(
        rng.standard_normal()
    )
    size = len(rows)
    class_effect = truth["tau_class"] * rng.standard_normal(len(change.CLASSES))
    eta = (
        truth["mu"]
        + class_effect[arrays["class_index"]]
        + truth["bias"] * arrays["uncontrolled"]
        + truth["type_effect"] * arrays["type_2"]
        + truth["measure"] * arrays["fasting"]
        + truth["slope"] * arrays["log_time"]
    )
    truth["eta[0]"] = eta[0]
    # Spreads: printed for the change itself (they teach), printed before and after, or not printed.
    seen = rng.normal(truth["log_sd"], np.sqrt(truth["log_sd_spread"] ** 2 + arrays["log_sd_var"]))
    teaches = arrays["teaches_sd"] > 0
    var_a = np.where(teaches, arrays["n_factor"] * np.exp(2 * seen), arrays["var_a"])
    unseen = rng.normal(truth["log_sd"], truth["log_sd_spread"], size)
    se = np.where(
        arrays["has_var"] > 0,
        np.sqrt(var_a - truth["r"] * arrays["var_b"]),
        np.exp(unseen) * np.sqrt(arrays["n_factor"]),
    )
    y = rng.normal(eta, np.hypot(se, truth["tau"]))
    z, limit = y / se, stats.norm.isf(0.025)
    kind = rows["kind"].to_numpy()
    low = np.select([z > limit, z > -limit], [limit, -limit], -np.inf)
    high = np.select([z > limit, z > -limit], [np.inf, limit], -limit)
    simulated = rows.assign(
        y=np.where(kind == "numeric", y, np.nan),
        var_a=np.where(arrays["has_var"] > 0, var_a, np.nan),
        z_low=np.where(np.isin(kind, BOUNDED), low, z),
        z_high=np.where(np.isin(kind, BOUNDED), high, z),
    )
    fixed = {name for name in change.SCALES if float(arrays[f"scale_{name}"]) == 0}
    if not np.any(arrays["fasting"]):
        fixed.add("measure")  # not in the data: its posterior is its prior
    kept = {name: value for name, value in truth.items() if name not in fixed}
    return kept, change.design_arrays(simulated, outcome, size)


def _truncated(rng, prior) -> float:
    """A draw of a correlation whose normal prior is cut at -0.95 and 0.95."""
    centre, spread = prior.params
    edges = (np.array([-0.95, 0.95]) - centre) / spread
    return float(stats.truncnorm.rvs(*edges, centre, spread, random_state=rng))


def _teaching_once(rows: pd.DataFrame) -> pd.DataFrame:
    """Effects of which one a cohort teaches spreads: the first printed for the change itself.

    Where a number before and one after are printed, the spread of the change follows from the
    correlation; and several spreads of a cohort count as one, a rule that no process of sampling
    answers to. Both are taken as printed.
    """
    rows = rows.copy()
    printed = rows["var_a"].notna()
    direct = printed & rows["var_b"].fillna(0).eq(0) & rows["n_factor"].notna()
    first = direct & ~rows["cohort"].where(direct).duplicated()
    rows.loc[printed & ~first, "n_factor"] = np.nan
    return rows


def _spread_truth(rng, outcome: str) -> dict[str, float]:
    """r, log_sd and log_sd_spread from their priors."""
    log_sd = priors.get(outcome, "log_sd").params
    spread = priors.get("change", "log_sd_spread").scale
    return {
        "r": _truncated(rng, priors.get("change", "r")),
        "log_sd": float(rng.normal(*log_sd)),
        "log_sd_spread": float(spread * abs(rng.standard_normal())),
    }


def _printed_and_errors(rng, truth, arrays, own) -> tuple[np.ndarray, np.ndarray]:
    """Variances as printed, and standard errors. `own`: where unprinted, the SD's normal deviate.

    Spreads are printed for the change itself (they teach), before and after, or not printed.
    """
    sd_seen = np.sqrt(truth["log_sd_spread"] ** 2 + arrays["log_sd_var"])
    seen = truth["log_sd"] + sd_seen * rng.standard_normal(own.shape)
    var_a = np.where(
        arrays["teaches_sd"] > 0, arrays["n_factor"] * np.exp(2 * seen), arrays["var_a"]
    )
    unseen = truth["log_sd"] + truth["log_sd_spread"] * own
    se = np.where(
        arrays["has_var"] > 0,
        np.sqrt(var_a - truth["r"] * arrays["var_b"]),
        np.exp(unseen) * np.sqrt(arrays["n_factor"]),
    )
    return var_a, se


def _told(rows: pd.DataFrame, y, se, var_a, has_var) -> pd.DataFrame:
    """Simulated results told as the real ones: a number, an exact p-value, or |z| against 1.96."""
    z, limit, kind = y / se, stats.norm.isf(0.025), rows["kind"].to_numpy()
    low = np.select([z > limit, z > -limit], [limit, -limit], -np.inf)
    high = np.select([z > limit, z > -limit], [np.inf, limit], -limit)
    return rows.assign(
        y=np.where(kind == "numeric", y, np.nan),
        var_a=np.where(has_var > 0, var_a, np.nan),
        z_low=np.where(np.isin(kind, BOUNDED), low, z),
        z_high=np.where(np.isin(kind, BOUNDED), high, z),
    )


def _trajectory(outcome: str) -> Callable[[Evidence], Case]:
    def case(evidence: Evidence) -> Case:
        """The course over time, in the design of the months reported of an outcome."""
        from analysis import effects
        from analysis.models import trajectory

        rows = _teaching_once(trajectory.points(effects.build(evidence).effects, outcome))
        k, size = len(rows), trajectory.padded_size(len(rows))
        arrays = trajectory.design_arrays(rows, outcome, size)
        first = {name: values[:k] for name, values in arrays.items() if np.ndim(values)}
        index = trajectory.cohort_index(arrays, k)

        def simulate(rng):
            truth: Truth = {}
            for name in trajectory.SCALES:
                draw = float(arrays[f"scale_{name}"]) * rng.standard_normal()
                truth[name] = abs(draw) if name.startswith("tau") else draw
            for name in trajectory.COMMON:
                truth[name] = float(rng.normal(*priors.get("trajectory", name).params))
            truth |= _spread_truth(rng, outcome)
            var_a, se = _printed_and_errors(rng, truth, first, rng.standard_normal(size)[index])
            p = {name: np.array([value]) for name, value in truth.items()} | {"se": se[None, :]}
            y = trajectory.replicate(arrays, k, p, rng)[0]
            made = _told(rows, y, se, var_a, first["has_var"])
            return truth, trajectory.design_arrays(made, outcome, size)

        return Case(
            lambda: sampling.compile_model(trajectory.build(size), "trajectory"), simulate, 0.995
        )

    return case


def _joint(evidence: Evidence) -> Case:
    """C-peptide and HbA1c together, in the design of the cohorts pooled for either."""
    from analysis import effects
    from analysis.models import joint

    cohorts, chosen = joint.select(effects.build(evidence).effects)
    chosen = {name: _teaching_once(rows) for name, rows in chosen.items()}
    size = len(cohorts)
    arrays = joint.design_arrays(cohorts, chosen, size)
    places = [[cohorts.index(c) for c in chosen[name]["cohort"]] for name in joint.OUTCOMES]

    def simulate(rng):
        mu, bias, tau = (
            arrays[f"scale_{name}"] * rng.standard_normal(2) for name in ("mu", "bias", "tau")
        )
        tau = abs(tau)
        shape = priors.get("joint", "rho").scale
        rho = 2 * rng.beta(shape, shape) - 1
        within = _truncated(rng, priors.get("joint", "rho_within"))
        truth: Truth = {"rho": rho, "rho_within": within}

        def pairs(correlation):
            first, second = rng.standard_normal((2, size))
            return np.column_stack(
                [first, correlation * first + np.sqrt(1 - correlation**2) * second]
            )

        theta = mu + bias * arrays["uncontrolled"] + tau * pairs(rho)
        errors = pairs(within)
        made = {}
        for j, name in enumerate(joint.OUTCOMES):
            own = _spread_truth(rng, name)
            named = {"mu": mu[j], "bias": bias[j], "tau": tau[j], **own}
            truth |= {f"{key}[{j}]": value for key, value in named.items()}
            at = places[j]
            part = {key: v[at, j] for key, v in arrays.items() if np.ndim(v) == 2}
            var_a, se = _printed_and_errors(rng, own, part, rng.standard_normal(len(at)))
            y = theta[at, j] + se * errors[at, j]
            made[name] = _told(chosen[name], y, se, var_a, part["has_var"])
        return truth, joint.design_arrays(cohorts, made, size)

    return Case(lambda: sampling.compile_model(joint.build(size), "joint"), simulate)


def _hierarchy(rng, outcome: str, classes: list[int], shift=0.0) -> tuple[Truth, np.ndarray]:
    """Parameters of `tabulated` and each study's eta, from the prior of an outcome."""
    from analysis.models import tabulated

    tau, tau_class = (
        priors.get(outcome, name).scale * abs(rng.standard_normal())
        for name in ("tau", "tau_class")
    )
    mu = float(rng.normal(*priors.get(outcome, "mu").params))
    class_mean = mu + tau_class * rng.standard_normal(len(tabulated.CLASSES))
    eta = class_mean[classes] + shift + tau * rng.standard_normal(len(classes))
    commonest = max(set(classes), key=classes.count)
    truth = {"mu": mu, "tau": tau, "tau_class": tau_class, "eta[0]": eta[0],
             f"class_mean[{commonest}]": class_mean[commonest]}  # fmt: skip
    return truth, eta


def _ever(evidence: Evidence) -> Case:
    """The share ever free from insulin, with moderators, in the design of the counts.

    A count known as "at least m" is told so when it reaches m, else exactly.
    """
    from analysis import durations
    from analysis.models import ever, tabulated

    counts, _ = durations.ever_counts(evidence)
    counts = counts.reset_index(drop=True)
    x = ever.design(counts)
    classes = [ever.CLASSES.index(name) for name in counts["cell_class"]]
    size = tabulated.padded(len(counts))
    least = counts["k"].where(counts["bound"].eq("at_least"), np.inf)

    def simulate(rng):
        beta = priors.get("ever_independent", "moderator").scale * rng.standard_normal(x.shape[1])
        truth, logit = _hierarchy(rng, "ever_independent", classes, x @ beta)
        truth |= {f"beta[{j}]": b for j, b in enumerate(beta) if np.ptp(x[:, j])}
        k = rng.binomial(counts["n"].to_numpy(dtype=int), 1 / (1 + np.exp(-logit)))
        reached = k >= least
        made = counts.assign(
            k=np.where(reached, least, k), bound=np.where(reached, "at_least", "exact")
        )
        return truth, tabulated.data(ever.likelihoods(made), "ever_independent", size, x)

    return Case(lambda: tabulated.sampler(size), simulate, 0.95)


def _duration(family: str) -> Callable[[Evidence], Case]:
    def case(evidence: Evidence) -> Case:
        """Durations of independence, told in the ways of the real studies (`_duration_facts`)."""
        from analysis import durations
        from analysis.models import duration, tabulated

        facts, _ = durations.layer(evidence)
        studies = [rows for _, rows in facts.groupby("study_id", sort=False)]
        classes = [tabulated.CLASSES.index(rows["cell_class"].iloc[0]) for rows in studies]
        size = tabulated.padded(len(studies))

        def simulate(rng):
            truth, eta = _hierarchy(rng, "duration", classes)
            theta = float(rng.normal(*priors.get("duration", "log_shape").params))
            told = [
                _duration_facts(rng, rows, family, median, theta)
                for rows, median in zip(studies, eta, strict=True)
            ]
            table = duration.likelihoods(pd.concat(told, ignore_index=True), family)
            if family != "exponential":
                truth["theta"] = theta
            return truth, tabulated.data(table, "duration", size)

        return Case(lambda: tabulated.sampler(size), simulate, 0.95)

    return case


def _draw_durations(rng, family: str, eta: float, theta: float, n: int) -> np.ndarray:
    """Durations of `n` patients, months, by inverting S(t) on a fine grid."""
    from analysis.models import duration

    months = np.exp(np.linspace(-12.0, 16.0, 6000))
    survival = duration.curve(family, np.array([eta]), np.array([theta]), np.array([0.5]), months)
    return np.exp(np.interp(-rng.uniform(size=n), -survival[0], np.log(months)))


def _duration_facts(rng, rows: pd.DataFrame, family: str, eta: float, theta: float):
    """Facts of one simulated study with the patients, months and manner of a real one.

    Counts at the real study's months, of all treated (the number ever free is then drawn from its
    prior) or of those ever free; or the shortest, the median where the real study prints it, and
    the longest, censored at the end of the real follow-up.
    """
    from analysis.models import duration

    common = rows.iloc[0][["study_id", "cell_class", "time_origin"]].to_dict()
    n, through = int(rows["count"].sum()), bool(rows["through_ever"].any())
    orders = int(rows["kind"].eq("order_statistic").sum())
    times = rows[["low", "high"]].to_numpy(dtype=float)
    times = np.unique(times[np.isfinite(times) & (times > 0)])
    facts: list[dict] = []

    def tell(kind, low, high, count, through=through):
        if count:
            facts.append({**common, "kind": kind, "low": float(low), "high": float(high),
                          "count": float(count), "through_ever": through,
                          "min_ever": 0})  # fmt: skip

    ever_free = n
    if through:
        mean, sd = duration.ever_prior()
        ever_free = int(rng.binomial(n, 1 / (1 + np.exp(-rng.normal(mean, sd)))))
    lasted = np.sort(_draw_durations(rng, family, eta, theta, ever_free))
    if not orders:
        onset = 0.0
        if common["time_origin"] == "treatment":
            onset = rng.choice(duration.onset_nodes(), ever_free)
        since = np.maximum(times[:, None] - onset, duration.SHORTEST)
        free = np.append((lasted > since).sum(axis=1), 0)
        if through:
            tell("unresolved", 0, times[0], n - free[0])
        else:
            tell("interval", 0, times[0], n - free[0])
        for j, month in enumerate(times):
            later = times[j + 1] if j + 1 < len(times) else np.inf
            tell("landmark", month, later, free[j] - free[j + 1])
        return pd.DataFrame(facts)
    end, rest = times[-1], n
    if lasted[0] >= end:
        tell("right_censored", end, np.inf, n)
        return pd.DataFrame(facts)
    tell("order_statistic", lasted[0], lasted[0], 1)
    start, rest = lasted[0], n - 1
    middle = (n + 1) // 2 - 1
    if orders > 1 and lasted[middle] < end:
        tell("order_between", start, lasted[middle], middle - 1)
        tell("order_statistic", lasted[middle], lasted[middle], 1)
        start, rest = lasted[middle], n - middle - 1
    if rest:
        ended = lasted[-1] < end
        tell("order_ended" if ended else "order_top", start, lasted[-1] if ended else end, rest)
    return pd.DataFrame(facts)


CASES: dict[str, Callable[[Evidence], Case]] = {
    "safety": _safety,
    "change_hba1c": _change("hba1c"),
    "change_c_peptide_ratio": _change("c_peptide_ratio"),
    "trajectory_hba1c": _trajectory("hba1c"),
    "joint": _joint,
    "ever_independent": _ever,
    "duration_weibull": _duration("weibull"),
}
"""Models that can be calibrated. A function of the evidence (for the design) gives the `Case`."""

EXACT_SIZES = (1, 2, 5, 20)


def _exact_of_size(k: int, replicates: int, seed: int) -> pd.DataFrame:
    return calibrate_exact(replicates, k=k, seed=seed)


# --- the command ---------------------------------------------------------------------------------


def merged(old: pd.DataFrame | None, new: pd.DataFrame) -> pd.DataFrame:
    """The table with the models of `new` in place of their earlier rows; other models stay."""
    if old is None or old.empty:
        return new[COLUMNS]
    kept = old[~old["model"].isin(new["model"])]
    return pd.concat([kept, new], ignore_index=True)[COLUMNS]


def main(words: list[str] | None = None) -> None:
    """Calibrate models and write the summary, replacing the rows of the same models there."""
    from analysis import evidence as evidence_module

    parser = argparse.ArgumentParser(description="Simulation-based calibration of the models.")
    parser.add_argument("models", nargs="*", help=f"of {', '.join(CASES)}, exact; default: all")
    parser.add_argument("--replicates", type=int, default=200, help="fits of each model")
    parser.add_argument("--exact-replicates", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=SEED)
    sweep.add_arguments(parser)
    parser.add_argument("--raw", type=Path, default=RAW)
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args(words)
    names = asked.models or [*CASES, "exact"]
    unknown = [name for name in names if name not in CASES and name != "exact"]
    if unknown:
        parser.error(f"no such model: {', '.join(unknown)}; known: {', '.join(CASES)}, exact")
    loaded = evidence_module.load(asked.raw)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    with sweep.spread(asked) as jobs:
        for name in names:
            if name == "exact":
                parts = sweep.each(_exact_of_size, EXACT_SIZES, asked.exact_replicates, asked.seed)
                new = pd.concat(parts, ignore_index=True)
            else:
                new = calibrate(name, loaded, asked.replicates, seed=asked.seed, jobs=jobs)
            old = pd.read_csv(asked.out) if asked.out.exists() else None
            merged(old, new).to_csv(asked.out, index=False, float_format="%.4g")
            print(new.drop(columns="histogram").to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
