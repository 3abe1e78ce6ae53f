"""C-peptide and HbA1c together: do studies that report one outcome inform the other?

For cohort i and outcome j (log ratio of C-peptide; HbA1c change in percentage points)

    theta_ij = mu_j + bias_j * uncontrolled_ij + delta_ij,
    (delta_i1, delta_i2) ~ N(0, [[tau_1^2, rho tau_1 tau_2], [., tau_2^2]]),

and the sampling errors of one cohort have correlation rho_within, which no study prints. With the
study effects integrated out the two results are bivariate normal about their means with covariance
rho tau_1 tau_2 + rho_within se_1 se_2 (Riley 2009, J R Stat Soc A 172:789; van Houwelingen et al.
2002, Stat Med 21:589). Standard errors and missing spreads are as in `change`. An exact p-value
gives the statistic z = y / se; a result in words gives an interval of it, and z is then a latent
number in that interval with no preference within it. Integrated over z this is the interval
likelihood of `change`, for two results in words as well, and the graph holds nothing but normals.
Class, type, time and measure are left out: the question is what the correlation adds. A cohort may
have a contrast with controls for one outcome and a change alone for the other: their errors get
the same rho_within, though it is weaker there.

The same graph with both correlations set to zero is two separate univariate models; it is refitted
so and stands beside the joint fit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from analysis import effects as effects_module
from analysis import priors
from analysis.evidence import Evidence
from analysis.models import change
from analysis.models.result import ModelResult, estimates_table
from analysis.models.sampling import Fit, Sampler, compile_model, sound

OUTCOMES = ("c_peptide_ratio", "hba1c")
SHORT = {"c_peptide_ratio": "cpep", "hba1c": "hba1c"}
DESIGNS = {True: "controlled", False: "uncontrolled"}
FARTHEST_Z = 60.0  # from the stated to the open end of an interval of z
FROM_CHANGE = (
    "y", "var_a", "var_b", "has_var", "n_factor", "is_numeric",
    "uncontrolled", "log_sd_var", "teaches_sd",
)  # fmt: skip
NEUTRAL = {"var_a": 1.0, "n_factor": 1.0, "log_sd_var": 0.5}


def build(size: int):
    """The PyMC model for up to `size` cohorts; a cohort without an outcome has no weight there.

    Shapes: data and per-cohort variables are (size, 2), parameters (2,), in the order of OUTCOMES.
    """
    import pymc as pm
    import pytensor.tensor as pt

    r_prior, spread = priors.get("change", "r"), priors.get("change", "log_sd_spread")
    within = priors.get("joint", "rho_within")
    with pm.Model() as model:
        d = {name: pm.Data(name, value) for name, value in neutral_arrays(size).items()}
        mu, bias = (pm.Normal(name, 0, d[f"scale_{name}"], shape=2) for name in ("mu", "bias"))
        tau = pm.HalfNormal("tau", d["scale_tau"], shape=2)
        shape = priors.get("joint", "rho").scale
        rho = pm.Deterministic("rho", d["correlated"] * (2 * pm.Beta("rho_unit", shape, shape) - 1))
        rho_free = pm.TruncatedNormal("rho_free", *within.params, lower=-0.95, upper=0.95)
        rho_within = pm.Deterministic("rho_within", d["correlated"] * rho_free)
        r = pm.TruncatedNormal("r", *r_prior.params, lower=-0.95, upper=0.95, shape=2)
        log_sd = pm.Normal("log_sd", d["centre_log_sd"], d["scale_log_sd"], shape=2)
        log_sd_spread = pm.HalfNormal("log_sd_spread", spread.scale, shape=2)
        sd_z = pm.Normal("sd_z", shape=(size, 2))

        eta = mu + bias * d["uncontrolled"]
        variance = d["var_a"] - r * d["var_b"]
        se_model = pt.exp(log_sd + log_sd_spread * sd_z) * pt.sqrt(d["n_factor"])
        se = pt.switch(d["has_var"] > 0, pt.sqrt(variance), se_model)
        # The statistic where only its interval is known; where it is printed the ends are equal.
        # Chains start near the stated end.
        position = pm.Uniform("position", 0, 1, shape=(size, 2), initval=np.full((size, 2), 0.03))
        z = d["z_near"] + (d["z_far"] - d["z_near"]) * position
        y = pt.switch(d["is_numeric"] > 0, d["y"], z * se)
        total = pt.sqrt(se**2 + tau**2)
        covariance = rho * tau.prod() + rho_within * se[:, 0] * se[:, 1]
        both = d["present"][:, 0] * d["present"][:, 1]
        link = both * covariance / (total[:, 0] * total[:, 1])
        x = d["present"] * (y - eta) / total
        # A density of z, not of y, where the statistic is what is known.
        scale = pt.log(total) - (1 - d["is_numeric"]) * pt.log(se)
        squares = (x[:, 0] ** 2 + x[:, 1] ** 2 - 2 * link * x[:, 0] * x[:, 1]) / (1 - link**2)
        loglik = -0.5 * squares - 0.5 * pt.log(1 - link**2) - (d["present"] * scale).sum(axis=1)
        pm.Potential("likelihood", loglik.sum())
        width = pt.sqrt(log_sd_spread**2 + d["log_sd_var"])
        seen = 0.5 * pt.log(variance / d["n_factor"])
        learnt = -0.5 * ((seen - log_sd) / width) ** 2 - pt.log(width)
        pm.Potential("spreads", (d["teaches_sd"] * learnt).sum())
    return model


def neutral_arrays(size: int) -> dict[str, np.ndarray]:
    """The model's data without any result: every mask is zero."""
    per_result = (*FROM_CHANGE, "z_near", "z_far", "present")
    arrays = {name: np.full((size, 2), NEUTRAL.get(name, 0.0)) for name in per_result}
    arrays["correlated"] = np.array(1.0)
    for name in ("mu", "bias", "tau"):
        arrays[f"scale_{name}"] = np.array([priors.get(o, name).scale for o in OUTCOMES])
    arrays["centre_log_sd"] = np.array([priors.get(o, "log_sd").params[0] for o in OUTCOMES])
    arrays["scale_log_sd"] = np.array([priors.get(o, "log_sd").scale for o in OUTCOMES])
    return arrays


def design_arrays(
    cohorts: list[str], chosen: dict[str, pd.DataFrame], size: int, *, correlated: bool = True
) -> dict[str, np.ndarray]:
    """The model's data: one row a cohort, one column an outcome.

    Parameters
    ----------
    cohorts : the cohorts, in the order of the rows.
    chosen : for each outcome its effects, at most one a cohort.
    size : rows of the compiled model.
    correlated : False sets both correlations to zero.

    Raises
    ------
    ValueError : more cohorts than rows; two effects of one cohort and outcome; an effect that
        `change.design_arrays` cannot read.
    """
    if len(cohorts) > size:
        raise ValueError(f"{len(cohorts)} cohorts; the model was built for {size}")
    arrays = neutral_arrays(size)
    arrays["correlated"] = np.array(float(correlated))
    for j, outcome in enumerate(OUTCOMES):
        effects = chosen[outcome].reset_index(drop=True)
        twice = effects["cohort"][effects["cohort"].duplicated()]
        if len(twice):
            raise ValueError(f"two effects of {outcome} of one cohort: {', '.join(twice)}")
        if effects.empty:
            continue
        rows = [cohorts.index(name) for name in effects["cohort"]]
        read = change.design_arrays(effects, outcome, len(effects))
        for name in FROM_CHANGE:
            arrays[name][rows, j] = read[name]
        arrays["z_near"][rows, j], arrays["z_far"][rows, j] = _ends(effects)
        arrays["present"][rows, j] = 1.0
    return arrays


def _ends(effects: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Where z = y / se lies: from a stated end to the other, or far out where that is open."""
    low, high = (effects[name].to_numpy(dtype=float) for name in ("z_low", "z_high"))
    near = np.where(np.isfinite(low), low, high)
    far = np.where(np.isfinite(high), high, low + FARTHEST_Z)
    far = np.where(np.isfinite(low), far, high - FARTHEST_Z)
    kind = effects["kind"].to_numpy()
    near = np.where(kind == "numeric", 0.0, near)
    return near, np.where(np.isin(kind, effects_module.BOUNDED), far, near)


def select(effects: pd.DataFrame) -> tuple[list[str], dict[str, pd.DataFrame]]:
    """The cohorts and their headline effects, as they enter the headline models."""
    chosen = {outcome: change.pooled_effects(effects, outcome) for outcome in OUTCOMES}
    cohorts = sorted(set().union(*(frame["cohort"] for frame in chosen.values())))
    return cohorts, chosen


def run(
    evidence: Evidence, *, seed: int, progress: Callable[[str], None] | None = None
) -> ModelResult:
    """Fit both outcomes together, and again with the correlations set to zero.

    Tables
    ------
    joint_summary : parameter, mean, sd, ci_low, ci_high, prior_mean, prior_sd.
    joint_estimates : each outcome and design, jointly and alone, with the difference in posterior
        standard deviations and a statement.
    joint_studies : each cohort's printed results and its two means given everything.

    A withheld fit leaves out what would come from it. Raises ValueError as `design_arrays`.
    """
    return fit_effects(effects_module.build(evidence).effects, seed=seed, progress=progress)


def fit_effects(
    effects: pd.DataFrame, *, seed: int, progress: Callable[[str], None] | None = None
) -> ModelResult:
    """As `run`, from an effects table."""
    tell = progress or (lambda text: None)
    cohorts, chosen = select(effects)
    size = max(len(cohorts), 1)
    tell("compile")
    sampler = compile_model(partial(build, size), "joint")
    fits: dict[str, Fit] = {}
    for name, correlated in (("joint", True), ("joint_uncorrelated", False)):
        tell(name)
        arrays = design_arrays(cohorts, chosen, size, correlated=correlated)
        fits[name] = sample(sampler, name, arrays, seed)
    if fits["joint"].withheld:
        return ModelResult(estimates_table([]), {}, fits)
    arrays = design_arrays(cohorts, chosen, size)
    estimates = joint_estimates(cohorts, chosen, sound(fits))
    tables = {
        "joint_summary": joint_summary(fits["joint"]),
        "joint_estimates": estimates,
        "joint_studies": joint_studies(cohorts, chosen, arrays, fits["joint"], seed),
    }
    return ModelResult(estimates_table(_estimate_rows(estimates, fits["joint"])), tables, fits)


def sample(sampler: Sampler, name: str, arrays: dict[str, np.ndarray], seed: int) -> Fit:
    """One fit of the compiled model."""
    return sampler.fit(name, seed=seed, data=arrays, tune=1500, draws=1500, target_accept=0.98)


# --- tables --------------------------------------------------------------------------------------


def _prior_moments(model: str, parameter: str) -> tuple[float, float]:
    """Mean and standard deviation of a prior of this model."""
    prior = priors.get(model, parameter)
    if prior.distribution == "LKJ":
        return 0.0, 1 / np.sqrt(2 * prior.scale + 1)
    if prior.distribution == "HalfNormal":
        return prior.scale * np.sqrt(2 / np.pi), prior.scale * np.sqrt(1 - 2 / np.pi)
    if prior.distribution.startswith("TruncatedNormal"):
        centre, scale = prior.params
        low, high = (-0.95 - centre) / scale, (0.95 - centre) / scale
        truncated = stats.truncnorm(low, high, centre, scale)
        return float(truncated.mean()), float(truncated.std())
    return float(prior.params[0]), float(prior.scale)


def joint_summary(fit: Fit) -> pd.DataFrame:
    """Every shared parameter, prior beside posterior."""
    named = [("rho", "joint", "rho", fit.draws("rho")),
             ("rho_within", "joint", "rho_within", fit.draws("rho_within"))]  # fmt: skip
    for name in ("mu", "bias", "tau", "r"):
        for j, outcome in enumerate(OUTCOMES):
            model = "change" if name == "r" else outcome
            named.append((f"{name}_{SHORT[outcome]}", model, name, fit.draws(name)[:, j]))
    rows = []
    for label, model, parameter, draws in named:
        prior_mean, prior_sd = _prior_moments(model, parameter)
        rows.append(
            {"parameter": label, **_moments(draws), "prior_mean": prior_mean, "prior_sd": prior_sd}
        )
    return pd.DataFrame(rows)


def _moments(draws: np.ndarray) -> dict:
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"mean": float(draws.mean()), "sd": float(draws.std()), "ci_low": float(low),
            "ci_high": float(high)}  # fmt: skip


def joint_estimates(
    cohorts: list[str], chosen: dict[str, pd.DataFrame], fits: dict[str, Fit]
) -> pd.DataFrame:
    """The mean of each outcome and design with the other outcome's help and without it.

    Without both fits there is nothing to compare: no row.
    """
    if len(fits) < 2:
        return pd.DataFrame()
    reported = {outcome: set(frame["cohort"]) for outcome, frame in chosen.items()}
    k_both = len(set.intersection(*reported.values()))
    numeric = {
        outcome: set(frame.loc[frame["kind"].eq("numeric") & frame["var_a"].notna(), "cohort"])
        for outcome, frame in chosen.items()
    }
    k_numeric = len(set.intersection(*numeric.values()))
    rows = []
    for j, outcome in enumerate(OUTCOMES):
        for controlled, design in DESIGNS.items():
            part = chosen[outcome][chosen[outcome]["controlled"].eq(controlled)]
            if part.empty:
                continue
            row = {"outcome": outcome, "design": design, "k_studies": len(part),
                   "n_patients": part["n_patients"].sum()}  # fmt: skip
            for suffix, name in (("joint", "joint"), ("alone", "joint_uncorrelated")):
                draws = fits[name].draws("mu")[:, j]
                draws = draws if controlled else draws + fits[name].draws("bias")[:, j]
                row |= {f"{key}_{suffix}": value for key, value in _moments(draws).items()}
            shift = (row["mean_joint"] - row["mean_alone"]) / row["sd_alone"]
            row |= {"k_both": k_both, "k_both_numeric": k_numeric,
                    "k_one_only": len(cohorts) - k_both, "shift_in_sd": shift,
                    "sd_ratio": row["sd_joint"] / row["sd_alone"]}  # fmt: skip
            row["statement"] = _statement(row)
            rows.append(row)
    return pd.DataFrame(rows)


def _statement(row: dict) -> str:
    """Whether the other outcome changes the estimate: by half a posterior SD, or its SD by 20 %."""
    changes = abs(row["shift_in_sd"]) >= 0.5 or abs(np.log(row["sd_ratio"])) >= np.log(1.2)
    verdict = "changes the estimate" if changes else "hardly changes the estimate"
    joint, alone = (
        f"{row[f'mean_{kind}']:.2f} ({row[f'ci_low_{kind}']:.2f} to {row[f'ci_high_{kind}']:.2f})"
        for kind in ("joint", "alone")
    )
    return (
        f"fitting both outcomes together {verdict}: {joint} together, {alone} alone; "
        f"{row['k_both']} cohorts report both outcomes ({row['k_both_numeric']} as numbers with a "
        f"spread), {row['k_one_only']} only one"
    )


def _estimate_rows(table: pd.DataFrame, fit: Fit) -> list[dict]:
    tau = np.median(fit.draws("tau"), axis=0)
    return [
        {
            "outcome": row.outcome, "group_kind": "design", "group": row.design,
            "estimand": "mean_joint",
            "scale": "log_ratio" if row.outcome in change.RATIO_OUTCOMES else "difference",
            "unit": change.UNITS[row.outcome], "k_studies": row.k_studies,
            "n_patients": row.n_patients, "mean": row.mean_joint, "sd": row.sd_joint,
            "ci_low": row.ci_low_joint, "ci_high": row.ci_high_joint,
            "tau": tau[OUTCOMES.index(row.outcome)], "method": "nuts", "note": row.statement,
        }
        for row in table.itertuples()
    ]  # fmt: skip


def joint_studies(
    cohorts: list[str],
    chosen: dict[str, pd.DataFrame],
    arrays: dict[str, np.ndarray],
    fit: Fit,
    seed: int,
) -> pd.DataFrame:
    """Each cohort's printed results and both its true effects given everything, reported or not."""
    theta = study_means(arrays, fit, len(cohorts), seed)
    rows = []
    for i, cohort in enumerate(cohorts):
        row: dict = {"cohort": cohort}
        for j, outcome in enumerate(OUTCOMES):
            short = SHORT[outcome]
            own = chosen[outcome][chosen[outcome]["cohort"].eq(cohort)]
            if len(own):
                first = own.iloc[0]
                row.setdefault("study_id", first["study_id"])
                row.setdefault("label", first["label"])
                row[f"y_{short}"], row[f"kind_{short}"] = first["y"], first["kind"]
                row[f"controlled_{short}"] = bool(first["controlled"])
            else:
                row[f"y_{short}"], row[f"kind_{short}"] = np.nan, "not reported"
            low, high = np.quantile(theta[:, i, j], [0.025, 0.975])
            row |= {f"shrunk_{short}": theta[:, i, j].mean(), f"shrunk_low_{short}": low,
                    f"shrunk_high_{short}": high}  # fmt: skip
        rows.append(row)
    columns = ["study_id", "label", "cohort"]
    for name in ("y", "kind", "controlled", "shrunk", "shrunk_low", "shrunk_high"):
        columns += [f"{name}_{SHORT[outcome]}" for outcome in OUTCOMES]
    return pd.DataFrame(rows).reindex(columns=columns)


def standard_errors(arrays: dict[str, np.ndarray], fit: Fit, k: int) -> np.ndarray:
    """Draws of the standard errors of the first `k` cohorts, (draws, k, 2)."""
    r, log_sd, spread = (fit.draws(name)[:, None] for name in ("r", "log_sd", "log_sd_spread"))
    part = {name: values[:k] for name, values in arrays.items() if np.ndim(values) == 2}
    modelled = np.exp(log_sd + spread * fit.draws("sd_z")[:, :k]) * np.sqrt(part["n_factor"])
    printed = np.sqrt(part["var_a"] - r * part["var_b"])
    return np.where(part["has_var"] > 0, printed, modelled)


def study_means(arrays: dict[str, np.ndarray], fit: Fit, k: int, seed: int) -> np.ndarray:
    """Draws of the true effects of the first `k` cohorts, (draws, k, 2).

    An outcome that is not reported is drawn given the other, with the design of the reported one.
    """
    rng = np.random.default_rng(seed)
    se = standard_errors(arrays, fit, k)
    near, far = arrays["z_near"][:k], arrays["z_far"][:k]
    z = near + (far - near) * fit.draws("position")[:, :k]
    y = np.where(arrays["is_numeric"][:k] > 0, arrays["y"][:k], z * se)
    tau, rho, within = fit.draws("tau"), fit.draws("rho"), fit.draws("rho_within")
    mu, bias = fit.draws("mu"), fit.draws("bias")
    between = rho * tau[:, 0] * tau[:, 1]
    theta = np.empty(y.shape)
    for i in range(k):
        present = arrays["present"][i] > 0
        uncontrolled = arrays["uncontrolled"][i]
        uncontrolled = np.where(present, uncontrolled, uncontrolled[present].max())
        mean, total = mu + bias * uncontrolled, np.sqrt(se[:, i] ** 2 + tau**2)
        link = (between + within * se[:, i].prod(axis=1)) / total.prod(axis=1)
        x = (y[:, i] - mean) / total
        theta[:, i] = _draw_effects(x, present, mean, total, tau, between, link, rng)
    return theta


def _draw_effects(x, present, mean, total, tau, between, link, rng) -> np.ndarray:
    """True effects given standardised results: theta - mean is linear in them, plus noise."""
    # Covariance of the true effects with the standardised results, (draws, 2, 2).
    cross = np.empty((len(x), 2, 2))
    for j in (0, 1):
        cross[:, j, j] = tau[:, j] ** 2 / total[:, j]
        cross[:, j, 1 - j] = between / total[:, 1 - j]
    prior = np.empty_like(cross)
    prior[:, [0, 1], [0, 1]] = tau**2
    prior[:, 0, 1] = prior[:, 1, 0] = between
    seen = np.flatnonzero(present)
    cross = cross[:, :, seen]
    correlation = np.broadcast_to(np.eye(len(seen)), (len(x), len(seen), len(seen))).copy()
    if len(seen) == 2:
        correlation[:, 0, 1] = correlation[:, 1, 0] = link
    gain = np.linalg.solve(correlation, cross.transpose(0, 2, 1)).transpose(0, 2, 1)
    centre = mean + np.einsum("dij,dj->di", gain, x[:, seen])
    left = prior - gain @ cross.transpose(0, 2, 1)
    values, vectors = np.linalg.eigh((left + left.transpose(0, 2, 1)) / 2)
    noise = np.sqrt(np.maximum(values, 0.0)) * rng.standard_normal(x.shape)
    return centre + np.einsum("dij,dj->di", vectors, noise)
