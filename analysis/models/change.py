"""Hierarchical models of C-peptide, HbA1c and insulin dose: one graph for every outcome.

For study i with contrast theta_i at t_i months,

    theta_i = mu + tau_class * c[class_i] + bias * uncontrolled_i + measure * fasting_i
              + slope * log(t_i / 12) + tau * u_i,        c, u ~ Normal(0, 1)

and the printed number is y_i ~ Normal(theta_i, se_i). The pre-post correlation r is unknown and
enters every standard error, se_i(r)^2 = var_a_i - r * var_b_i. Where no spread is printed,
se_i = sd_i * sqrt(n_factor_i) with log sd_i ~ Normal(m, s) learnt from the studies that print one.
A result in words bounds the statistic: P(z_low < y / se < z_high | theta_i). An exact p-value with
a direction gives the statistic itself. Controlled studies define mu; `bias` is what an uncontrolled
study adds, so the two designs are never mixed without it.

The graph is compiled once and refitted with new data; rows are padded to a fixed size and carry no
weight there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from analysis import priors, vocabulary
from analysis.models.result import ModelResult, estimates_table
from analysis.models.sampling import Fit, Sampler, compile_model

OUTCOMES = ("c_peptide_ratio", "c_peptide_gain", "hba1c", "insulin_dose", "insulin_dose_abs")
RATIO_OUTCOMES = ("c_peptide_ratio", "insulin_dose")
UNITS = {
    "c_peptide_ratio": "log ratio",
    "c_peptide_gain": "nmol/L",
    "hba1c": "percentage points",
    "insulin_dose": "log ratio",
    "insulin_dose_abs": "IU/kg/day",
}
IMPORTANT = {"hba1c": (-0.3, -0.5), "c_peptide_gain": (0.2,)}
CLASSES = tuple(vocabulary.CELL_CLASSES)
R_CENTRE = priors.get("change", "r").params[0]
INFINITE = 1e6  # stands for an open end of an interval of z
FAR = 38.0  # beyond this many SDs a normal tail is zero in double precision
SCALES = ("mu", "tau", "tau_class", "bias", "slope", "measure")


def build(size: int):
    """The PyMC model for up to `size` effects; every data and prior scale is a `pm.Data`."""
    import pymc as pm
    import pytensor.tensor as pt

    def normal_logcdf(x):
        return pm.logcdf(pm.Normal.dist(0, 1), x)

    r_prior, spread = priors.get("change", "r"), priors.get("change", "log_sd_spread")
    with pm.Model() as model:
        d = {
            name: pm.Data(name, value)
            for name, value in design_arrays(empty_effects(), "hba1c", size).items()
        }
        mu = pm.Normal("mu", 0, d["scale_mu"])
        tau = pm.HalfNormal("tau", d["scale_tau"])
        tau_class = pm.HalfNormal("tau_class", d["scale_tau_class"])
        bias = pm.Normal("bias", 0, d["scale_bias"])
        slope = pm.Normal("slope", 0, d["scale_slope"])
        measure = pm.Normal("measure", 0, d["scale_measure"])
        r = pm.TruncatedNormal("r", *r_prior.params, lower=-0.95, upper=0.95)
        log_sd = pm.Normal("log_sd", d["centre_log_sd"], d["scale_log_sd"])
        log_sd_spread = pm.HalfNormal("log_sd_spread", spread.scale)
        class_z = pm.Normal("class_z", 0, 1, shape=len(CLASSES))
        study_z = pm.Normal("study_z", 0, 1, shape=size)
        sd_z = pm.Normal("sd_z", 0, 1, shape=size)

        class_effect = pm.Deterministic("class_effect", tau_class * class_z)
        theta = pm.Deterministic(
            "theta",
            mu
            + class_effect[d["class_index"]]
            + bias * d["uncontrolled"]
            + measure * d["fasting"]
            + slope * d["log_time"]
            + tau * study_z,
        )
        se_known = pt.sqrt(d["var_a"] - r * d["var_b"])
        se_model = pt.exp(log_sd + log_sd_spread * sd_z) * pt.sqrt(d["n_factor"])
        se = pt.switch(d["has_var"] > 0, se_known, se_model)

        residual = (d["y"] - theta) / se
        numeric = -0.5 * residual**2 - pt.log(se)
        exact_p = -0.5 * (d["z_low"] - theta / se) ** 2
        # log(Phi(b) - Phi(a)), taken in the tail where it is accurate: a + b <= 0.
        low, high = d["z_low"] - theta / se, d["z_high"] - theta / se
        flip = low + high > 0
        a = pt.clip(pt.switch(flip, -high, low), -FAR, FAR)
        b = pt.clip(pt.switch(flip, -low, high), -FAR, FAR)
        upper, lower = normal_logcdf(b), normal_logcdf(a)
        interval = upper + pt.log1mexp(pt.minimum(lower - upper, -1e-12))
        loglik = d["is_numeric"] * numeric + d["is_interval"] * interval + d["is_exact_p"] * exact_p
        pm.Potential("likelihood", loglik.sum())
        # An SD printed for n patients estimates the study's own with variance 1/(2n) on the log.
        total = pt.sqrt(log_sd_spread**2 + d["n_factor"] / 2)
        learnt = -0.5 * ((d["log_sd_seen"] - log_sd) / total) ** 2 - pt.log(total)
        pm.Potential("spreads", (d["teaches_sd"] * learnt).sum())
    return model


def empty_effects() -> pd.DataFrame:
    """An effects table without rows, with the columns the model reads."""
    columns = ["y", "var_a", "var_b", "n_factor", "z_low", "z_high", "kind", "controlled",
               "measure", "months", "cell_class"]  # fmt: skip
    return pd.DataFrame(columns=columns)


def design_arrays(effects: pd.DataFrame, outcome: str, size: int) -> dict[str, np.ndarray]:
    """The model's data for these effects, padded to `size` rows that carry no weight.

    Raises ValueError when there are more than `size` effects, or a numeric one has no value.
    """
    if len(effects) > size:
        raise ValueError(f"{len(effects)} effects of {outcome}; the model was built for {size}")

    def padded(values, fill: float = 0.0) -> np.ndarray:
        array = np.full(size, fill, dtype=float)
        array[: len(effects)] = np.asarray(values, dtype=float)
        return array

    kind = effects["kind"].to_numpy()
    variance = effects["var_a"].astype(float) - R_CENTRE * effects["var_b"].astype(float)
    has_var = np.isfinite(variance.to_numpy(dtype=float))
    factor = effects["n_factor"].astype(float).to_numpy()
    if np.any(~np.isfinite(factor) & ~has_var):
        lost = effects.loc[~np.isfinite(factor) & ~has_var, "effect_id"].tolist()
        raise ValueError(f"effects with neither a spread nor a number of patients: {lost}")
    if np.any((kind == "numeric") & ~np.isfinite(effects["y"].astype(float).to_numpy())):
        raise ValueError(f"a numeric effect of {outcome} has no value")
    teaches = has_var & np.isfinite(factor)
    seen = np.zeros(len(effects))
    seen[teaches] = 0.5 * np.log(variance.to_numpy(dtype=float)[teaches] / factor[teaches])
    z_low = effects["z_low"].astype(float).fillna(-INFINITE).clip(-INFINITE, INFINITE)
    z_high = effects["z_high"].astype(float).fillna(INFINITE).clip(-INFINITE, INFINITE)
    classes = [CLASSES.index(name) for name in effects["cell_class"]]
    index = np.zeros(size, dtype="int64")
    index[: len(effects)] = classes
    arrays = {
        "y": padded(effects["y"].astype(float).fillna(0)),
        "var_a": padded(effects["var_a"].astype(float).fillna(1), 1.0),
        "var_b": padded(effects["var_b"].astype(float).fillna(0)),
        "has_var": padded(has_var),
        "n_factor": padded(np.nan_to_num(factor, nan=1.0), 1.0),
        "z_low": padded(z_low, -INFINITE),
        "z_high": padded(z_high, INFINITE),
        "is_numeric": padded(kind == "numeric"),
        "is_interval": padded(kind == "interval"),
        "is_exact_p": padded(kind == "exact_p"),
        "uncontrolled": padded(~effects["controlled"].astype(bool)),
        "fasting": padded(effects["measure"].isin(["fasting", "unstated"])),
        "log_time": padded(np.log(effects["months"].astype(float) / 12)),
        "class_index": index,
        "log_sd_seen": padded(seen),
        "teaches_sd": padded(teaches),
        "centre_log_sd": np.array(priors.get(outcome, "log_sd").params[0], dtype=float),
        "scale_log_sd": np.array(priors.get(outcome, "log_sd").scale, dtype=float),
    }
    for name in SCALES:
        arrays[f"scale_{name}"] = np.array(priors.get(outcome, name).scale, dtype=float)
    return arrays


def pooled_effects(effects: pd.DataFrame, outcome: str, *, words: bool = True) -> pd.DataFrame:
    """The effects that may enter the headline model of an outcome; at-diagnosis ones never do."""
    chosen = (
        (effects["outcome"] == outcome)
        & effects["pool"]
        & effects["headline"]
        & effects["tested"]
        & ~effects["at_diagnosis"]
    )
    if not words:
        chosen &= effects["kind"] == "numeric"
    return effects[chosen].reset_index(drop=True)


def run(
    effects: pd.DataFrame, *, seed: int, progress: Callable[[str], None] | None = None
) -> ModelResult:
    """Fit every outcome: all studies, numbers only, each diabetes type, and at-diagnosis apart.

    Raises DiagnosticError when a fit is not sound.
    """
    tell = progress or (lambda text: None)
    largest = max((len(pooled_effects(effects, name)) for name in OUTCOMES), default=1)
    sampler = compile_model(build(max(largest, 8)), "change")
    rows: list[dict] = []
    tables: dict[str, list[pd.DataFrame]] = {
        "study_estimates": [], "densities": [], "prior_posterior": [],
    }  # fmt: skip
    fits: dict[str, Fit] = {}
    for outcome in OUTCOMES:
        chosen = pooled_effects(effects, outcome)
        if chosen.empty:
            continue
        tell(outcome)
        fit = _fit(sampler, outcome, chosen, outcome, seed)
        fits[outcome] = fit
        rows += _overall(outcome, chosen, fit, "all", "all")
        rows += _classes(outcome, chosen, fit)
        tables["study_estimates"].append(study_estimates(outcome, chosen, fit))
        tables["densities"].append(densities(outcome, chosen, fit))
        tables["prior_posterior"].append(prior_posterior(outcome, fit))
        numbers = pooled_effects(effects, outcome, words=False)
        if len(numbers):
            name = f"{outcome}_numbers_only"
            fits[name] = _fit(sampler, name, numbers, outcome, seed)
            rows += _overall(outcome, numbers, fits[name], "all", "all", suffix="_numbers_only")
        for kind, part in chosen.groupby("diabetes_type"):
            name = f"{outcome}_{kind}"
            fits[name] = _fit(sampler, name, part.reset_index(drop=True), outcome, seed)
            rows += _overall(outcome, part, fits[name], "diabetes_type", kind)
    diagnosed = effects[
        (effects["outcome"] == "hba1c") & effects["at_diagnosis"] & effects["headline"]
    ].reset_index(drop=True)
    if len(diagnosed):
        name = "hba1c_at_diagnosis"
        fits[name] = _fit(sampler, name, diagnosed, "hba1c", seed)
        rows += _overall("hba1c", diagnosed, fits[name], "design", "at_diagnosis")
    joined = {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items() if parts}
    return ModelResult(estimates_table(rows), joined, fits)


def _fit(sampler: Sampler, name: str, chosen: pd.DataFrame, outcome: str, seed: int) -> Fit:
    size = sampler.model["study_z"].type.shape[0] or len(chosen)
    data = design_arrays(chosen, outcome, size)
    return sampler.fit(name, seed=seed, data=data, tune=1500, draws=1500, target_accept=0.99)


def _overall(outcome, chosen, fit, kind, group, suffix="") -> list[dict]:
    """Means of the controlled and of the uncontrolled studies, each only where there are some."""
    rng = np.random.default_rng(0)
    mu, bias, tau, tau_class = (fit.draws(n) for n in ("mu", "bias", "tau", "tau_class"))
    noise = np.hypot(tau, tau_class) * rng.standard_normal(mu.size)
    rows = []
    for controlled in (True, False):
        part = chosen[chosen["controlled"].astype(bool) == controlled]
        if part.empty:
            continue
        mean = mu if controlled else mu + bias
        name = ("mean_controlled" if controlled else "mean_uncontrolled") + suffix
        note = _note(part)
        rows += _rows(outcome, kind, group, name, part, mean, mean + noise, np.median(tau), note)
        if not suffix:
            rows += _important(outcome, kind, group, name, part, mean)
    return rows


def _classes(outcome, chosen, fit) -> list[dict]:
    rng = np.random.default_rng(0)
    mu, bias, tau = (fit.draws(name) for name in ("mu", "bias", "tau"))
    noise = tau * rng.standard_normal(mu.size)
    effect = fit.draws("class_effect")
    rows = []
    for (cell_class, controlled), part in chosen.groupby(["cell_class", "controlled"]):
        mean = mu + effect[:, CLASSES.index(cell_class)] + (0 if controlled else bias)
        name = "mean_controlled" if controlled else "mean_uncontrolled"
        note = _note(part)
        if len(part) == 1:
            note = "; ".join(filter(None, ["a single study: leans on the prior", note]))
        rows += _rows(
            outcome, "cell_class", cell_class, name, part, mean, mean + noise, np.median(tau), note
        )
    return rows


def _note(part: pd.DataFrame) -> str:
    """What a reader must know of the studies behind a mean."""
    notes = []
    words = int((part["kind"] != "numeric").sum())
    if words:
        notes.append(f"{words} of {len(part)} in words only")
    medians = int(part["derived"].str.contains("median|luo").sum())
    if medians:
        notes.append(f"{medians} from medians")
    return "; ".join(notes)


def _rows(outcome, kind, group, estimand, part, mean, new, tau, note) -> list[dict]:
    """The estimate on the model's scale and, for log ratios, as a ratio too."""
    base = {
        "outcome": "insulin_dose" if outcome == "insulin_dose_abs" else outcome,
        "group_kind": kind,
        "group": group,
        "estimand": estimand,
        "k_studies": len(part),
        "n_patients": part["n_patients"].sum(),
        "tau": tau,
        "method": "nuts",
        "note": note,
    }
    scale = "log_ratio" if outcome in RATIO_OUTCOMES else "difference"
    rows = [{**base, "scale": scale, "unit": UNITS[outcome], **_summary(mean, new)}]
    if outcome in RATIO_OUTCOMES:
        ratio = _summary(np.exp(mean), np.exp(new))
        ratio["mean"] = float(np.exp(np.mean(mean)))  # geometric mean: the ratio of medians
        rows.append({**base, "scale": "ratio", "unit": "ratio", **ratio})
    return rows


def _important(outcome, kind, group, name, part, mean) -> list[dict]:
    """P(the mean lies beyond the clinically important difference)."""
    rows = []
    for bound in IMPORTANT.get(outcome, ()):
        beyond = np.mean(mean < bound) if bound < 0 else np.mean(mean > bound)
        design = name.removeprefix("mean_")
        rows.append(
            {
                "outcome": outcome, "group_kind": kind, "group": group,
                "estimand": f"p_beyond_{abs(bound):g}_{design}", "scale": "probability",
                "unit": "probability", "k_studies": len(part),
                "n_patients": part["n_patients"].sum(), "mean": float(beyond), "method": "nuts",
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
    theta = fit.draws("theta")[:, : len(chosen)]
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
    add("all", "all", "prior", rng.normal(0, scale, 4000))
    for cell_class, part in chosen.groupby("cell_class"):
        added = 0 if part["controlled"].any() else bias
        add("cell_class", cell_class, "mean", mu + effect[:, CLASSES.index(cell_class)] + added)
    table = pd.concat(parts, ignore_index=True)
    table.insert(0, "outcome", outcome)
    return table[["outcome", "group_kind", "group", "quantity", "x", "density"]]


def prior_posterior(outcome: str, fit: Fit) -> pd.DataFrame:
    """Prior beside posterior for every parameter that many studies share."""
    rows = []
    half = np.sqrt(1 - 2 / np.pi)
    for name in SCALES:
        prior, draws = priors.get(outcome, name), fit.draws(name)
        is_half = prior.distribution == "HalfNormal"
        rows.append(
            {
                "outcome": outcome,
                "parameter": name,
                "prior_mean": prior.scale * np.sqrt(2 / np.pi) if is_half else 0.0,
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
