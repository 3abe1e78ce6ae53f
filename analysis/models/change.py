"""Hierarchical models of C-peptide, HbA1c and insulin dose: one graph for every outcome.

For study i with contrast theta_i at t_i months,

    eta_i   = mu + tau_class * c[class_i] + bias * uncontrolled_i + type_effect * type_i
              + measure * fasting_i + slope * log(t_i / 12),            c ~ Normal(0, 1)
    theta_i = eta_i + tau * u_i,         u ~ Normal(0, 1), or Student-t with 4 degrees of freedom

and the printed number is y_i ~ Normal(theta_i, se_i). The pre-post correlation r is unknown and
enters every standard error, se_i(r)^2 = var_a_i - r * var_b_i. Where no spread is printed,
se_i = sd_i * sqrt(n_factor_i) with log sd_i ~ Normal(m, s) learnt from the studies that print one.
A result in words bounds the statistic: P(z_low < y / se < z_high | theta_i). An exact p-value with
a direction gives the statistic itself. Controlled studies define mu; `bias` is what an uncontrolled
study adds, so the two designs are never mixed without it. `type_i` is type 2 less the share of
type 2 studies in the pool, so that mu speaks of the mix of types pooled. Every scale is data: a
scale of zero takes its term out of the model.

Two integrals are taken in closed form, because drawing what they remove leaves funnels that no
sampler passes with so few and so unequal studies. A study's own deviation: y_i ~ Normal(eta_i,
se_i^2 + tau^2). And the class effects, as far as printed numbers speak of them: with weights
w_i = 1 / (se_i^2 + tau^2), S = sum w_i and E = sum w_i (y_i - the rest of eta_i) over the printed
numbers of a class, its effect is Normal(v E / (1 + v S), v / (1 + v S)) with v = tau_class^2, and
c is the standardised departure from that mean. Results in words are then weighed given the effect.

The graph is compiled once and refitted with new data; rows are padded to a fixed size and carry no
weight there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from analysis import priors, vocabulary
from analysis.effects import BOUNDED
from analysis.models import change_checks
from analysis.models.result import ModelResult, estimates_table
from analysis.models.sampling import Fit, Sampler, compile_model

OUTCOMES = (
    "c_peptide_ratio", "c_peptide_gain", "hba1c", "insulin_dose", "insulin_dose_abs",
    "time_in_range", "severe_hypoglycaemia",
)  # fmt: skip
RATIO_OUTCOMES = ("c_peptide_ratio", "insulin_dose")
UNITS = {
    "c_peptide_ratio": "log ratio",
    "c_peptide_gain": "nmol/L",
    "hba1c": "percentage points",
    "insulin_dose": "log ratio",
    "insulin_dose_abs": "IU/kg/day",
    "time_in_range": "percentage points",
    "severe_hypoglycaemia": "log ratio",
}
GOOD_SIGN = {
    "c_peptide_ratio": 1, "c_peptide_gain": 1, "hba1c": -1, "insulin_dose": -1,
    "insulin_dose_abs": -1, "time_in_range": 1, "severe_hypoglycaemia": -1,
}  # fmt: skip
IMPORTANT = {"hba1c": (-0.3, -0.5), "c_peptide_gain": (0.2,)}
CLASSES = tuple(vocabulary.CELL_CLASSES)
R_CENTRE = priors.get("change", "r").params[0]
INFINITE = 1e6  # stands for an open end of an interval of z
FAR = 38.0  # beyond this many SDs a normal tail is zero in double precision
SCALES = ("mu", "tau", "tau_class", "bias", "type_effect", "slope", "measure")
HALF_NORMAL = ("tau", "tau_class")
ROBUST_DF = 4.0
MIN_STUDIES = {"time_in_range": 3, "severe_hypoglycaemia": 3}  # fewer are shown, not pooled


def _log_normal_cdf(x):
    """log Phi(x) as a symbolic expression of functions that compile to fast native code.

    Above -12 by the complementary error function; below by the asymptotic series of Mills' ratio
    (Abramowitz and Stegun 26.2.12), whose relative error there is under 2e-8.
    """
    import pytensor.tensor as pt

    near = pt.maximum(x, -12.0)
    far = pt.minimum(x, -12.0)
    inverse = 1 / far**2
    series = inverse * (-1 + inverse * (3 + inverse * (-15 + inverse * 105)))
    tail = -0.5 * far**2 - pt.log(-far) - 0.5 * np.log(2 * np.pi) + pt.log1p(series)
    return pt.switch(x > -12.0, pt.log(0.5 * pt.erfc(-near / np.sqrt(2))), tail)


def build(size: int):
    """The PyMC model for up to `size` effects; every data and prior scale is a `pm.Data`."""
    import pymc as pm
    import pytensor.tensor as pt

    r_prior, spread = priors.get("change", "r"), priors.get("change", "log_sd_spread")
    with pm.Model() as model:
        d = {
            name: pm.Data(name, value)
            for name, value in design_arrays(empty_effects(), "hba1c", size).items()
        }
        p = {}
        for name in SCALES:
            half = name in HALF_NORMAL
            unit = pm.HalfNormal(f"{name}_z", 1) if half else pm.Normal(f"{name}_z", 0, 1)
            p[name] = pm.Deterministic(name, d[f"scale_{name}"] * unit)
        r = pm.TruncatedNormal("r", *r_prior.params, lower=-0.95, upper=0.95)
        log_sd = pm.Normal("log_sd", d["centre_log_sd"], d["scale_log_sd"])
        log_sd_spread = pm.HalfNormal("log_sd_spread", spread.scale)
        class_z = pm.Normal("class_z", 0, 1, shape=len(CLASSES))
        mix = pm.InverseGamma("mix", ROBUST_DF / 2, ROBUST_DF / 2, shape=size)
        sd_z = pm.Normal("sd_z", 0, 1, shape=size)

        centre = (
            p["mu"]
            + p["bias"] * d["uncontrolled"]
            + p["type_effect"] * d["type_2"]
            + p["measure"] * d["fasting"]
            + p["slope"] * d["log_time"]
        )
        variance = d["var_a"] - r * d["var_b"]
        log_se_model = log_sd + log_sd_spread * sd_z + 0.5 * pt.log(d["n_factor"])
        log_se = pt.switch(d["has_var"] > 0, 0.5 * pt.log(variance), log_se_model)
        se = pm.Deterministic("se", pt.exp(log_se))
        at_low, at_high = d["z_low"] * se, d["z_high"] * se
        total2 = se**2 + p["tau"] ** 2 * (1 + d["robust"] * (mix - 1))
        total = pt.sqrt(total2)

        # Printed numbers, their class effects integrated out.
        printed = d["is_numeric"] + d["is_exact_p"]
        residual = pt.switch(d["is_exact_p"] > 0, at_low, d["y"]) - centre
        weight = printed / total2
        v = p["tau_class"] ** 2
        sum_w = pt.dot(d["in_class"], weight)
        sum_we = pt.dot(d["in_class"], weight * residual)
        shrink = 1 / (1 + v * sum_w)
        alone = d["is_exact_p"] * log_se - 0.5 * weight * residual**2 - printed * pt.log(total)
        pm.Potential("printed", alone.sum() + 0.5 * (v * sum_we**2 * shrink + pt.log(shrink)).sum())
        class_effect = pm.Deterministic(
            "class_effect", v * sum_we * shrink + p["tau_class"] * pt.sqrt(shrink) * class_z
        )
        eta = pm.Deterministic("eta", centre + class_effect[d["class_index"]])

        # Results in words: log(Phi(high) - Phi(low)), in the tail where it is accurate.
        low, high = (at_low - eta) / total, (at_high - eta) / total
        flip = low + high > 0
        a = pt.clip(pt.switch(flip, -high, low), -FAR, FAR)
        b = pt.clip(pt.switch(flip, -low, high), -FAR, FAR)
        upper, lower = _log_normal_cdf(b), _log_normal_cdf(a)
        interval = upper + pt.log1mexp(pt.minimum(lower - upper, -1e-12))
        pm.Potential("words", (d["is_interval"] * interval).sum())
        # The log of an SD seen in n patients has sampling variance about 1 / (2 (n - 1)).
        width = pt.sqrt(log_sd_spread**2 + d["log_sd_var"])
        seen = 0.5 * pt.log(variance / d["n_factor"])
        learnt = -0.5 * ((seen - log_sd) / width) ** 2 - pt.log(width)
        pm.Potential("spreads", (d["teaches_sd"] * learnt).sum())
    return model


def empty_effects() -> pd.DataFrame:
    """An effects table without rows, with the columns the model reads."""
    columns = ["y", "var_a", "var_b", "n_factor", "z_low", "z_high", "kind", "controlled",
               "measure", "months", "cell_class", "diabetes_type", "n_patients"]  # fmt: skip
    return pd.DataFrame(columns=columns)


def design_arrays(
    effects: pd.DataFrame, outcome: str, size: int, *, robust: bool = False
) -> dict[str, np.ndarray]:
    """The model's data for these effects, padded to `size` rows that carry no weight.

    A term that these effects cannot inform (one class only: the class effect; one type: the type
    effect) gets the scale 0. The bias keeps its prior: it stands between the designs even where
    only one of them is present.

    Raises
    ------
    ValueError : more than `size` effects; an unknown kind or class; a numeric effect without a
        value; an effect with neither a spread nor a number of patients; a variance that some
        correlation within its prior would make negative; z bounds out of order.
    """
    if len(effects) > size:
        raise ValueError(f"{len(effects)} effects of {outcome}; the model was built for {size}")

    def padded(values, fill: float = 0.0) -> np.ndarray:
        array = np.full(size, fill, dtype=float)
        array[: len(effects)] = np.asarray(values, dtype=float)
        return array

    kind = effects["kind"].to_numpy()
    var_a = effects["var_a"].to_numpy(dtype=float)
    var_b = effects["var_b"].astype(float).fillna(0).to_numpy()
    has_var = np.isfinite(var_a)
    factor = effects["n_factor"].to_numpy(dtype=float)
    _require_sound_rows(effects, has_var, factor)
    teaches = has_var & np.isfinite(factor)
    freedom = np.maximum(effects["n_patients"].astype(float).fillna(2).to_numpy() - 1, 1)
    type_2 = (effects["diabetes_type"] == "T2D").to_numpy(dtype=float)
    z_low = effects["z_low"].astype(float).fillna(-INFINITE).clip(-INFINITE, INFINITE)
    z_high = effects["z_high"].astype(float).fillna(INFINITE).clip(-INFINITE, INFINITE)
    classes = [CLASSES.index(name) for name in effects["cell_class"]]
    index = np.zeros(size, dtype="int64")
    index[: len(effects)] = classes
    in_class = np.zeros((len(CLASSES), size))
    in_class[classes, np.arange(len(effects))] = 1.0
    arrays = {
        "y": padded(effects["y"].astype(float).fillna(0)),
        "var_a": padded(np.where(has_var, var_a, 1.0), 1.0),
        "var_b": padded(np.where(has_var, var_b, 0.0)),
        "has_var": padded(has_var),
        "n_factor": padded(np.nan_to_num(factor, nan=1.0), 1.0),
        "z_low": padded(z_low, -INFINITE),
        "z_high": padded(z_high, INFINITE),
        "is_numeric": padded(kind == "numeric"),
        "is_interval": padded(np.isin(kind, BOUNDED)),
        "is_exact_p": padded(kind == "exact_p"),
        "uncontrolled": padded(~effects["controlled"].astype(bool)),
        "fasting": padded(effects["measure"] == "fasting"),
        "log_time": padded(np.log(effects["months"].astype(float) / 12)),
        "class_index": index,
        "in_class": in_class,
        "type_2": padded(type_2 - type_2.mean() if len(type_2) else type_2),
        "log_sd_var": padded(0.5 / freedom, 0.5),
        "robust": np.array(float(robust)),
        "teaches_sd": padded(teaches),
        "centre_log_sd": np.array(priors.get(outcome, "log_sd").params[0], dtype=float),
        "scale_log_sd": np.array(priors.get(outcome, "log_sd").scale, dtype=float),
    }
    for name in SCALES:
        arrays[f"scale_{name}"] = np.array(priors.get(outcome, name).scale, dtype=float)
    if effects["cell_class"].nunique() < 2:
        arrays["scale_tau_class"] = np.array(0.0)
    if effects["diabetes_type"].nunique() < 2:
        arrays["scale_type_effect"] = np.array(0.0)
    return arrays


def _require_sound_rows(effects: pd.DataFrame, has_var: np.ndarray, factor: np.ndarray) -> None:
    """Raise ValueError naming the effects the model cannot read."""
    kind = effects["kind"]
    y = effects["y"].astype(float)
    var_a, var_b = effects["var_a"].astype(float), effects["var_b"].astype(float).fillna(0)
    low, high = effects["z_low"].astype(float), effects["z_high"].astype(float)
    faults = {
        "an unknown kind of result": ~kind.isin(["numeric", "exact_p", *BOUNDED]),
        "an unknown cell class": ~effects["cell_class"].isin(CLASSES),
        "no value though numeric": (kind == "numeric") & ~np.isfinite(y),
        "neither a spread nor a number of patients": pd.Series(
            ~has_var & ~np.isfinite(factor), index=effects.index
        ),
        "a variance that is not positive at every correlation": pd.Series(
            has_var & ~((var_a - 0.95 * var_b.abs()) > 0), index=effects.index
        ),
        "bounds on z out of order": kind.isin(BOUNDED)
        & ~(low.fillna(-np.inf) < high.fillna(np.inf)),
        "no z though its p-value is exact": (kind == "exact_p") & ~np.isfinite(low),
    }  # fmt: skip
    words = [
        f"{fault}: {', '.join(map(str, effects.loc[rows, 'effect_id']))}"
        for fault, rows in faults.items()
        if len(effects) and rows.any()
    ]
    if words:
        raise ValueError("effects the model cannot read: " + "; ".join(words))


def pooled_effects(effects: pd.DataFrame, outcome: str, *, words: bool = True) -> pd.DataFrame:
    """The effects that may enter the headline model; HbA1c after a baseline at diagnosis never."""
    chosen = (
        (effects["outcome"] == outcome)
        & effects["pool"]
        & effects["headline"]
        & effects["tested"]
        & ~((effects["outcome"] == "hba1c") & effects["at_diagnosis"])
    )
    if not words:
        chosen &= effects["kind"] == "numeric"
    return effects[chosen].reset_index(drop=True)


def run(
    effects: pd.DataFrame, *, seed: int, progress: Callable[[str], None] | None = None
) -> ModelResult:
    """Fit every outcome: all studies, numbers only, robust, by type, by design; at-diagnosis apart.

    Parameters
    ----------
    effects : the effects table, one row a contrast.
    seed : seed of every fit.
    progress : called with the name of each fit before it starts.

    A fit that is withheld leaves its rows out.

    Raises
    ------
    DisagreementError : NUTS and the exact posterior differ on the model they share.
    ValueError : an effect the model cannot read, named.
    """
    tell = progress or (lambda text: None)
    largest = max((len(pooled_effects(effects, name)) for name in OUTCOMES), default=1)
    size = max(largest, 8)
    sampler = compile_model(partial(build, size), "change")
    rows: list[dict] = []
    parts: dict[str, list[pd.DataFrame]] = {}
    fits: dict[str, Fit] = {}

    def keep(table: str, frame: pd.DataFrame) -> None:
        if len(frame):
            parts.setdefault(table, []).append(frame)

    def fit_once(name: str, chosen: pd.DataFrame, outcome: str, robust: bool = False) -> Fit:
        tell(name)
        fits[name] = _fit(sampler, name, chosen.reset_index(drop=True), outcome, seed, robust)
        return fits[name]

    def overall(outcome: str, chosen: pd.DataFrame, fit: Fit, *group: str, **options) -> None:
        if not fit.withheld:
            rows.extend(_overall(outcome, chosen, fit, *group, **options))

    for outcome in OUTCOMES:
        chosen = pooled_effects(effects, outcome)
        if len(chosen) < MIN_STUDIES.get(outcome, 1):
            continue
        fit = fit_once(outcome, chosen, outcome)
        overall(outcome, chosen, fit, "all", "all")
        if not fit.withheld:
            rows += _heterogeneity(outcome, chosen, fit)
            rows += _classes(outcome, chosen, fit)
            keep("study_estimates", study_estimates(outcome, chosen, fit))
            keep("densities", densities(outcome, chosen, fit))
            keep("prior_posterior", prior_posterior(outcome, fit))
        numbers = chosen[chosen["kind"] == "numeric"]
        if len(numbers):
            only = fit if len(numbers) == len(chosen) else fit_once(
                f"{outcome}_numbers_only", numbers, outcome
            )  # fmt: skip
            overall(outcome, numbers, only, "all", "all", suffix="_numbers_only")
        robust = fit_once(f"{outcome}_robust", chosen, outcome, robust=True)
        overall(outcome, chosen, robust, "all", "all", suffix="_robust", robust_tails=True)
        for kind, part in chosen.groupby("diabetes_type"):
            overall(outcome, part, fit, "diabetes_type", kind, shift=_of_type(chosen, kind))
        for controlled, part in chosen.groupby("controlled"):
            group = "controlled" if controlled else "uncontrolled"
            alone = fit if len(part) == len(chosen) else fit_once(
                f"{outcome}_{group}", part, outcome
            )  # fmt: skip
            overall(outcome, part, alone, "design", group)
        arrays = design_arrays(chosen, outcome, size)
        k = len(chosen)
        drawn = {"prior": change_checks.prior_draws(arrays, 4000, seed)}
        if not fit.withheld:
            drawn["posterior"] = shared_draws(fit)
        for source, draws in drawn.items():
            checks = change_checks.predictive_checks(outcome, arrays, k, source, draws, seed)
            keep("change_checks", checks)
        if k >= 3 and not fit.withheld:
            loo = change_checks.leave_one_out(outcome, arrays, k, fit, drawn["posterior"])
            keep("change_loo", loo)
        tell(f"{outcome}_exact")
        keep("change_exact", agrees_with_exact(sampler, effects, outcome, seed=seed))
    diagnosed = effects[
        (effects["outcome"] == "hba1c") & effects["at_diagnosis"] & effects["headline"]
    ]
    if len(diagnosed):
        fit = fit_once("hba1c_at_diagnosis", diagnosed, "hba1c")
        overall("hba1c", diagnosed, fit, "design", "at_diagnosis")
    keep("change_diagnostics", diagnostics(fits))
    joined = {name: pd.concat(frames, ignore_index=True) for name, frames in parts.items()}
    return ModelResult(estimates_table(rows), joined, fits)


def shared_draws(fit: Fit) -> dict[str, np.ndarray]:
    """The posterior draws that `change_checks` works on."""
    return {name: fit.draws(name) for name in ("eta", "se", "tau")}


def agrees_with_exact(
    sampler: Sampler, effects: pd.DataFrame, outcome: str, *, seed: int
) -> pd.DataFrame:
    """Compare NUTS with the exact posterior on the sub-model both can fit.

    The sub-model: printed numbers of one design (the one with more of them), standard errors at
    the central correlation, no moderators, the same priors of mu and tau. Returns the comparison
    (see `change_checks.compare_with_exact`), empty when no number with a spread is there.

    Raises
    ------
    DisagreementError : a difference exceeds four Monte-Carlo standard errors.
    """
    chosen = pooled_effects(effects, outcome, words=False)
    chosen = chosen[np.isfinite(chosen["var_a"].astype(float))]
    if chosen.empty:
        return pd.DataFrame()
    controlled = chosen["controlled"].astype(bool)
    chosen = chosen[controlled == (2 * controlled.sum() >= len(chosen))].reset_index(drop=True)
    variance = chosen["var_a"] - R_CENTRE * chosen["var_b"].fillna(0)
    chosen = chosen.assign(var_a=variance, var_b=0.0)
    arrays = design_arrays(chosen, outcome, _size(sampler))
    for name in SCALES:
        if name not in ("mu", "tau"):
            arrays[f"scale_{name}"] = np.array(0.0)
    return change_checks.compare_with_exact(outcome, sampler, arrays, len(chosen), seed)


def diagnostics(fits: dict[str, Fit]) -> pd.DataFrame:
    """The gate's figures for each fit, one row a fit."""
    return pd.DataFrame(
        {"fit": name, **dataclasses.asdict(fit.diagnostics)} for name, fit in fits.items()
    )


def _size(sampler: Sampler) -> int:
    """How many rows the compiled model has."""
    return sampler.model["sd_z"].type.shape[0]


def _fit(sampler, name, chosen, outcome, seed, robust=False) -> Fit:
    data = design_arrays(chosen, outcome, _size(sampler), robust=robust)
    return sampler.fit(name, seed=seed, data=data, tune=1000, draws=1250, target_accept=0.99)


def _new_deviation(size: int, robust: bool = False) -> np.ndarray:
    """Standard deviations by which a new study departs from its mean, one for each draw."""
    rng = np.random.default_rng(0)
    return rng.standard_t(ROBUST_DF, size) if robust else rng.standard_normal(size)


def _overall(
    outcome, chosen, fit, kind, group, suffix="", robust_tails=False, shift=0.0
) -> list[dict]:
    """Means of the controlled and of the uncontrolled studies, each only where there are some.

    A new study comes from a new class: its prediction carries tau_class as well as tau. `shift`
    is how far a diabetes type lies from the pool's mix, in units of the type effect.
    """
    mu, bias, tau, tau_class = (fit.draws(n) for n in ("mu", "bias", "tau", "tau_class"))
    mu = mu + shift * fit.draws("type_effect")
    between = tau_class * np.random.default_rng(1).standard_normal(mu.size)
    noise = tau * _new_deviation(mu.size, robust_tails) + between
    rows = []
    for controlled in (True, False):
        part = chosen[chosen["controlled"].astype(bool) == controlled]
        if part.empty:
            continue
        mean = mu if controlled else mu + bias
        name = ("mean_controlled" if controlled else "mean_uncontrolled") + suffix
        note = "; ".join(filter(None, [_note(part), _leaning(outcome, mean, controlled)]))
        rows += _rows(outcome, kind, group, name, part, mean, mean + noise, np.median(tau), note)
        rows += _important(outcome, kind, group, name, part, mean, note)
    return rows


def _of_type(chosen: pd.DataFrame, kind: str) -> float:
    """How far studies of one diabetes type lie from the pool's mix of types."""
    return float(kind == "T2D") - float((chosen["diabetes_type"] == "T2D").mean())


def _heterogeneity(outcome, chosen, fit) -> list[dict]:
    """tau, and I^2: the share of variance that is between studies (Higgins and Thompson 2002)."""
    tau, se = fit.draws("tau"), fit.draws("se")[:, : len(chosen)]
    base = {"outcome": _published(outcome), "group_kind": "all", "group": "all",
            "k_studies": len(chosen), "n_patients": chosen["n_patients"].sum(), "method": "nuts",
            "tau": float(np.median(tau)), "note": _note(chosen)}  # fmt: skip
    suffix = _suffix(outcome)
    rows = [{**base, "estimand": f"tau{suffix}", "scale": _scale(outcome), "unit": UNITS[outcome],
             **_interval(tau)}]  # fmt: skip
    if len(chosen) > 1:
        w = 1 / se**2
        typical = (len(chosen) - 1) * w.sum(1) / (w.sum(1) ** 2 - (w**2).sum(1))
        share = 100 * tau**2 / (tau**2 + typical)
        rows.append({**base, "estimand": f"i_squared{suffix}", "scale": "percent", "unit": "%",
                     **_interval(share)})  # fmt: skip
    return rows


def _classes(outcome, chosen, fit) -> list[dict]:
    mu, bias, tau = (fit.draws(name) for name in ("mu", "bias", "tau"))
    noise = tau * _new_deviation(mu.size)
    effect = fit.draws("class_effect")
    rows = []
    for (cell_class, controlled), part in chosen.groupby(["cell_class", "controlled"]):
        mean = mu + effect[:, CLASSES.index(cell_class)] + (0 if controlled else bias)
        name = "mean_controlled" if controlled else "mean_uncontrolled"
        notes = ["a single study: leans on the prior"] if len(part) == 1 else []
        notes += [_note(part), _leaning(outcome, mean, controlled, of_class=True)]
        note = "; ".join(filter(None, notes))
        rows += _rows(
            outcome, "cell_class", cell_class, name, part, mean, mean + noise, np.median(tau), note
        )
    return rows


def _note(part: pd.DataFrame) -> str:
    """What a reader must know of the studies behind a mean."""
    notes = []
    words = int((part["kind"] != "numeric").sum())
    if words == len(part):
        notes.append("known in words only: the size rests on the prior")
    elif words:
        notes.append(f"{words} of {len(part)} in words only")
    no_spread = int((~np.isfinite(part["var_a"].astype(float))).sum())
    if no_spread:
        notes.append(f"spread modelled in {no_spread} of {len(part)}")
    medians = int(part["derived"].str.contains("median|luo").sum())
    if medians:
        notes.append(f"{medians} from medians")
    return "; ".join(notes)


def _leaning(outcome: str, mean: np.ndarray, controlled: bool, *, of_class: bool = False) -> str:
    """Says so where the posterior is more than four fifths as wide as its prior."""
    scales = ["mu"] + ([] if controlled else ["bias"]) + (["tau_class"] if of_class else [])
    width = np.sqrt(sum(priors.get(outcome, name).scale ** 2 for name in scales))
    return "nearly as wide as its prior" if mean.std() > 0.8 * width else ""


def _published(outcome: str) -> str:
    """The outcome's name in the table of estimates: both insulin scales are one outcome there."""
    return "insulin_dose" if outcome == "insulin_dose_abs" else outcome


def _suffix(outcome: str) -> str:
    """Marks what the absolute insulin scale shares a name with."""
    return "_per_kg" if outcome == "insulin_dose_abs" else ""


def _scale(outcome: str) -> str:
    return "log_ratio" if outcome in RATIO_OUTCOMES else "difference"


def _interval(draws: np.ndarray) -> dict:
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"mean": float(draws.mean()), "sd": float(draws.std()), "ci_low": low, "ci_high": high}


def _rows(outcome, kind, group, estimand, part, mean, new, tau, note) -> list[dict]:
    """The estimate on the model's scale and, for log ratios, as a ratio too."""
    base = {
        "outcome": _published(outcome),
        "group_kind": kind,
        "group": group,
        "estimand": estimand,
        "k_studies": len(part),
        "n_patients": part["n_patients"].sum(),
        "tau": tau,
        "method": "nuts",
        "note": note,
    }
    rows = [{**base, "scale": _scale(outcome), "unit": UNITS[outcome], **_summary(mean, new)}]
    if outcome in RATIO_OUTCOMES:
        ratio = _summary(np.exp(mean), np.exp(new))
        ratio["mean"] = float(np.exp(np.mean(mean)))  # geometric mean: the ratio of medians
        rows.append({**base, "scale": "ratio", "unit": "ratio", **ratio})
    if outcome == "insulin_dose":
        percent = _summary(100 * np.expm1(mean), 100 * np.expm1(new))
        percent["mean"] = float(100 * np.expm1(np.mean(mean)))
        rows.append(
            {**base, "scale": "percent_change", "unit": "% of baseline dose", **percent}
        )  # fmt: skip
    return rows


def _important(outcome, kind, group, name, part, mean, note) -> list[dict]:
    """P(the mean is on the good side of zero, and beyond each clinically important difference)."""
    rows = []
    sign = GOOD_SIGN[outcome]
    for bound in (0.0, *IMPORTANT.get(outcome, ())):
        beyond = float(np.mean(sign * mean > sign * bound))
        design = name.removeprefix("mean_") + _suffix(outcome)
        rows.append(
            {
                "outcome": _published(outcome), "group_kind": kind, "group": group,
                "estimand": f"p_beyond_{abs(bound):g}_{design}", "scale": "probability",
                "unit": "probability", "k_studies": len(part),
                "n_patients": part["n_patients"].sum(), "mean": beyond, "method": "nuts",
                "note": note,
            }
        )  # fmt: skip
    return rows


def _summary(mean: np.ndarray, new: np.ndarray) -> dict:
    low, high = np.quantile(mean, [0.025, 0.975])
    pred_low, pred_high = np.quantile(new, [0.025, 0.975])
    return {"mean": float(mean.mean()), "sd": float(mean.std()), "ci_low": low, "ci_high": high,
            "pred_low": pred_low, "pred_high": pred_high}  # fmt: skip


def study_estimates(outcome: str, chosen: pd.DataFrame, fit: Fit) -> pd.DataFrame:
    """Each study alone (at the prior's central r) and given all the others (shrunken)."""
    columns = ["outcome", "effect_id", "study_id", "label", "year", "cell_class", "diabetes_type",
               "controlled", "contrast", "kind", "n_patients", "months", "y"]  # fmt: skip
    table = chosen[columns].copy()
    table["outcome"] = outcome
    se = np.sqrt(chosen["var_a"].astype(float) - R_CENTRE * chosen["var_b"].astype(float))
    table["ci_low"] = table["y"] - 1.96 * se
    table["ci_high"] = table["y"] + 1.96 * se
    k = len(chosen)
    arrays = design_arrays(chosen, outcome, max(k, 1))
    theta = change_checks.study_means(arrays, shared_draws(fit), k, seed=0)
    table["shrunk_mean"] = theta.mean(axis=0)
    table["shrunk_low"], table["shrunk_high"] = np.quantile(theta, [0.025, 0.975], axis=0)
    return table


def densities(outcome: str, chosen: pd.DataFrame, fit: Fit, points: int = 120) -> pd.DataFrame:
    """Densities of pooled means, of a new study and of the prior, on a grid."""
    rng = np.random.default_rng(0)
    mu, bias, tau, tau_class = (fit.draws(n) for n in ("mu", "bias", "tau", "tau_class"))
    effect = fit.draws("class_effect")
    noise = rng.standard_normal(mu.size)
    scale = priors.get(outcome, "mu").scale
    parts = []

    def add(kind, group, quantity, draws):
        low, high = np.quantile(draws, [0.005, 0.995])
        x = np.linspace(low, high, points)
        frame = pd.DataFrame({"x": x, "density": stats.gaussian_kde(draws)(x)})
        parts.append(frame.assign(group_kind=kind, group=group, quantity=quantity))

    shift = bias if not chosen["controlled"].any() else 0
    add("all", "all", "mean", mu + shift)
    add("all", "all", "predictive", mu + shift + np.hypot(tau, tau_class) * noise)
    uncertain = 0 if chosen["controlled"].any() else priors.get(outcome, "bias").scale
    add("all", "all", "prior", rng.normal(0, np.hypot(scale, uncertain), 4000))
    between = priors.get(outcome, "tau_class").scale
    for cell_class, part in chosen.groupby("cell_class"):
        has_control = part["controlled"].any()
        added = 0 if has_control else bias
        mean = mu + effect[:, CLASSES.index(cell_class)] + added
        wide = np.hypot(scale, 0 if has_control else priors.get(outcome, "bias").scale)
        prior = rng.normal(0, wide, 4000) + between * rng.normal(size=4000) * rng.normal(size=4000)
        add("cell_class", cell_class, "mean", mean)
        add("cell_class", cell_class, "predictive", mean + tau * noise)
        add("cell_class", cell_class, "prior", prior)
    table = pd.concat(parts, ignore_index=True)
    table.insert(0, "outcome", outcome)
    return table[["outcome", "group_kind", "group", "quantity", "x", "density"]]


def prior_posterior(outcome: str, fit: Fit) -> pd.DataFrame:
    """Prior beside posterior for every parameter that many studies share."""
    rows = []
    half = np.sqrt(1 - 2 / np.pi)
    for name in (*SCALES, "log_sd", "log_sd_spread"):
        model = "change" if name == "log_sd_spread" else outcome
        prior, draws = priors.get(model, name), fit.draws(name)
        if draws.std() == 0:
            continue  # the term was not in the model
        is_half = prior.distribution == "HalfNormal"
        rows.append(
            {
                "outcome": outcome,
                "parameter": name,
                "prior_mean": prior.scale * np.sqrt(2 / np.pi) if is_half else prior.params[0],
                "prior_sd": prior.scale * half if is_half else prior.scale,
                "posterior_mean": draws.mean(),
                "posterior_sd": draws.std(),
            }
        )
    r = fit.draws("r")
    low, high = ((edge - R_CENTRE) / priors.get("change", "r").scale for edge in (-0.95, 0.95))
    truncated = stats.truncnorm(low, high, R_CENTRE, priors.get("change", "r").scale)
    rows.append({"outcome": outcome, "parameter": "r", "prior_mean": truncated.mean(),
                 "prior_sd": truncated.std(), "posterior_mean": r.mean(),
                 "posterior_sd": r.std()})  # fmt: skip
    return pd.DataFrame(rows)
