"""How an effect comes and goes: C-peptide and HbA1c over time, with a rise, a peak and a decline.

With t months since treatment, the effect of an average controlled study is

    g(t) = mu * (1 - exp(-t / rise)) * exp(-log(2) * t / half_life)

and a cohort i, whose reports may give several months, has

    theta_i(t) = (mu + bias * uncontrolled_i + tau * u_i) * shape(t)
                 + (drift * uncontrolled_i + tau_slope * v_i) * t / 12,      u, v ~ Normal(0, 1)

`drift` is the natural course that a control arm would have taken off. Errors of several months of
one cohort share its baseline: with equal standard deviations and equal correlations between any
two visits their correlation is 1/2, whatever the pre-post correlation r (the covariance of two
changes is s^2 (1 - r), the variance 2 s^2 (1 - r), each over n). Standard errors that are not
printed come from the spreads of the other studies.

u and v are integrated out. Divided by their standard errors and whitened of the sampling error they
share, the results of a cohort have covariance I + a a' + b b', where a = tau shape / se and
b = tau_slope (t / 12) / se are whitened alike: form and determinant take a 2 x 2 matrix a cohort.
A result in words has a latent z = y / se, evenly spread between the stated bounds. One graph serves
every outcome; rows beyond the data carry no weight. `study_effects` draws theta back. Few studies
look beyond 12 months: there `half_life` is mostly its prior, and every figure says how many studies
stand behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from scipy import special, stats

from analysis import effects as effects_module
from analysis import priors
from analysis.evidence import Evidence
from analysis.models.result import ModelResult, estimates_table
from analysis.models.sampling import Fit, compile_model

OUTCOMES = {
    "c_peptide_ratio": "log ratio",
    "c_peptide_gain": "nmol/L",
    "hba1c": "percentage points",
}
"""Outcomes with a course over time, and their units."""

MONTHS = np.arange(0, 73)
REFERENCE = 12
HORIZONS = (24, 36, 60)
SHARED = 0.5
"""Correlation of the errors of two months of one cohort (see above)."""
PRIOR_DOMINATED = 0.7
"""Above this ratio of posterior to prior SD a parameter is called mostly its prior."""
SCALES = ("mu", "tau", "bias", "drift", "tau_slope")
COMMON = ("log_rise", "log_half_life")
MONTHS_NEAR = 3
MAX_DRAWS = 1000

SAMPLING = {"tune": 1000, "draws": 1000, "target_accept": 0.995}


def build(size: int):
    """The PyMC model for up to `size` effects; data and prior scales are `pm.Data`."""
    import pymc as pm
    import pytensor.tensor as pt

    r_prior, spread = priors.get("change", "r"), priors.get("change", "log_sd_spread")
    with pm.Model() as model:
        d = {
            name: pm.Data(name, value)
            for name, value in design_arrays(empty_effects(), "hba1c", size).items()
        }
        p = {
            name: pm.HalfNormal(name, d[f"scale_{name}"])
            if name.startswith("tau")
            else pm.Normal(name, 0, d[f"scale_{name}"])
            for name in SCALES
        }
        log_rise, log_half_life = (
            pm.Normal(name, *priors.get("trajectory", name).params) for name in COMMON
        )
        r = pm.TruncatedNormal("r", *r_prior.params, lower=-0.95, upper=0.95)
        log_sd = pm.Normal("log_sd", d["centre_log_sd"], d["scale_log_sd"])
        log_sd_spread = pm.HalfNormal("log_sd_spread", spread.scale)
        sd_z = pm.Normal("sd_z", 0, 1, shape=size)
        place = pm.Flat("place", shape=size)

        log_se_printed = 0.5 * pt.log(d["var_a"] - r * d["var_b"])
        log_sd_own = log_sd + log_sd_spread * (sd_z @ d["members"])
        log_se = pt.switch(
            d["has_var"] > 0, log_se_printed, log_sd_own + 0.5 * pt.log(d["n_factor"])
        )
        se = pt.exp(log_se)

        months, years = d["months"], d["months"] / 12
        shape = -pt.expm1(-months * pt.exp(-log_rise)) * pt.exp(
            -np.log(2) * months * pt.exp(-log_half_life)
        )
        centre = (p["mu"] + p["bias"] * d["uncontrolled"]) * shape
        centre += p["drift"] * d["uncontrolled"] * years
        a, b = p["tau"] * shape / se, p["tau_slope"] * years / se

        # z between its bounds. Above a bound that is open on the other side, its distance from the
        # bound is put in units of the spread of z and lifted to where the mean of z lies: `place`
        # then varies about as much whatever the standard error.
        spread_z, off = pt.sqrt(1 + a**2 + b**2), (d["y"] - centre) / se
        lifted = place + pt.softplus(-d["z_sign"] * (off + d["z_near"]) / spread_z)
        open_z = d["z_sign"] * spread_z * pt.softplus(lifted)
        z = d["z_near"] + pt.switch(d["is_open"] > 0, open_z, d["z_width"] * pt.sigmoid(place))
        log_density = pt.switch(
            d["is_open"] > 0,
            pt.log(spread_z) - pt.softplus(-lifted),
            -pt.softplus(place) - pt.softplus(-place),
        )
        pm.Potential("words", log_density.sum())

        e, a, b = (d["whiten"] @ (d["weight"] * column) for column in (off + z, a, b))
        aa, bb, ab, ae, be = (
            d["members"] @ product for product in (a * a, b * b, a * b, a * e, b * e)
        )
        det = (1 + aa) * (1 + bb) - ab**2
        explained = ((1 + bb) * ae**2 - 2 * ab * ae * be + (1 + aa) * be**2) / det
        squares = (e * e).sum() + (pt.log(det) - explained).sum()
        # Where z is what is known its density counts, not that of y: no log se.
        pm.Potential("likelihood", -0.5 * squares - (d["is_numeric"] * log_se).sum())
        # The log of an SD seen in n patients has sampling variance about 1 / (2 (n - 1)).
        spread_sd = pt.sqrt(log_sd_spread**2 + d["log_sd_var"])
        seen = log_se_printed - 0.5 * pt.log(d["n_factor"])
        learnt = -0.5 * ((seen - log_sd) / spread_sd) ** 2 - pt.log(spread_sd)
        pm.Potential("spreads", (d["teaches_sd"] * learnt).sum())
    return model


def empty_effects() -> pd.DataFrame:
    """An effects table without rows, with the columns the model reads."""
    columns = ["effect_id", "cohort", "y", "var_a", "var_b", "n_factor", "z_low", "z_high", "kind",
               "controlled", "months", "n_patients"]  # fmt: skip
    return pd.DataFrame(columns=columns)


def design_arrays(rows: pd.DataFrame, outcome: str, size: int) -> dict[str, np.ndarray]:
    """The model's data for these effects, padded to `size` rows that carry no weight.

    Several spreads printed by one cohort count together as one in learning the spread of change.

    Raises
    ------
    ValueError : more than `size` effects; an unknown kind; a numeric effect without a value; an
        effect with neither a spread nor a number of patients; a time that is not positive.
    """
    _require_readable(rows, outcome, size)
    k = len(rows)

    def padded(values, fill: float = 0.0) -> np.ndarray:
        array = np.full(size, fill, dtype=float)
        array[:k] = np.asarray(values, dtype=float)
        return array

    def numbers(column: str) -> np.ndarray:
        return rows[column].to_numpy(dtype=float)

    kind = rows["kind"].to_numpy()
    var_a, factor = numbers("var_a"), numbers("n_factor")
    has_var = np.isfinite(var_a)
    low, high = numbers("z_low"), numbers("z_high")
    in_words = kind != "numeric"
    bounded = np.isin(kind, effects_module.BOUNDED)
    below = ~np.isfinite(low)  # open on that side
    is_open = bounded & (below | ~np.isfinite(high))
    near = np.where(below, high, low)
    width = np.where(bounded & ~is_open, high - low, 0.0)
    index = pd.factorize(rows["cohort"])[0]
    members = np.zeros((size, size))
    members[index, np.arange(k)] = 1.0
    whiten = np.eye(size)
    for own in members[:, :k] > 0:
        n = int(own.sum())
        shared = SHARED + (1 - SHARED) * np.eye(n)
        whiten[np.ix_(np.flatnonzero(own), np.flatnonzero(own))] = np.linalg.inv(
            np.linalg.cholesky(shared)
        )
    teaches = (has_var & np.isfinite(factor)).astype(float)
    of_cohort = (members.T @ members)[:k, :k] @ teaches
    patients = np.nan_to_num(numbers("n_patients"), nan=2.0)
    arrays = {
        "y": padded(np.where(in_words, 0.0, numbers("y"))),
        "months": padded(numbers("months"), REFERENCE),
        "var_a": padded(np.where(has_var, var_a, 1.0), 1.0),
        "var_b": padded(np.where(has_var, np.nan_to_num(numbers("var_b")), 0.0)),
        "has_var": padded(has_var),
        "n_factor": padded(np.nan_to_num(factor, nan=1.0), 1.0),
        "z_near": padded(np.where(in_words, near, 0.0)),
        "z_width": padded(width),
        "z_sign": padded(np.where(below, -1.0, 1.0), 1.0),
        "is_open": padded(is_open),
        "is_numeric": padded(~in_words),
        "uncontrolled": padded(~rows["controlled"].astype(bool)),
        "weight": padded(np.ones(k)),
        "members": members,
        "whiten": whiten,
        "teaches_sd": padded(teaches / np.maximum(of_cohort, 1.0)),
        "log_sd_var": padded(0.5 / np.maximum(patients - 1, 1.0), 0.5),
        "centre_log_sd": np.array(priors.get(outcome, "log_sd").params[0], dtype=float),
        "scale_log_sd": np.array(priors.get(outcome, "log_sd").scale, dtype=float),
    }
    for name in SCALES:
        scale = priors.get(f"trajectory_{outcome}", name).scale
        arrays[f"scale_{name}"] = np.array(scale, dtype=float)
    return arrays


def _require_readable(rows: pd.DataFrame, outcome: str, size: int) -> None:
    """Raise ValueError naming the effects the model cannot read."""
    if len(rows) > size:
        raise ValueError(f"{len(rows)} effects of {outcome}; the model was built for {size}")
    if rows.empty:
        return
    kind, months = rows["kind"], rows["months"].astype(float)
    spread = np.isfinite(rows["var_a"].astype(float)) | np.isfinite(rows["n_factor"].astype(float))
    open_both = ~np.isfinite(rows["z_low"].astype(float)) & ~np.isfinite(
        rows["z_high"].astype(float)
    )
    faults = {
        "an unknown kind of result": ~kind.isin(["numeric", "exact_p", *effects_module.BOUNDED]),
        "no value though numeric": kind.eq("numeric") & ~np.isfinite(rows["y"].astype(float)),
        "no bound on z though in words": kind.ne("numeric") & open_both,
        "neither a spread nor a number of patients": ~spread,
        "a time that is not positive": ~(months > 0),
    }
    words = [
        f"{fault}: {', '.join(map(str, rows.loc[bad, 'effect_id']))}"
        for fault, bad in faults.items()
        if bad.any()
    ]
    if words:
        raise ValueError("effects the model cannot read: " + "; ".join(words))


def points(effects: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """Effects that enter: one a cohort and month, of every month, by the rules of the effects."""
    chosen = effects["outcome"].eq(outcome) & effects["trajectory"] & effects["pool"]
    return effects[chosen].sort_values(["cohort", "months"], ignore_index=True)


def run(
    evidence: Evidence, *, seed: int, progress: Callable[[str], None] | None = None
) -> ModelResult:
    """Fit the course over time of each outcome that some study reports.

    Parameters
    ----------
    evidence : the validated tables.
    seed : seed of every fit and of every simulation.
    progress : called with the name of each fit before it starts.

    An outcome whose fit is withheld has no rows.

    Raises ValueError for an effect that cannot be read.
    """
    return fit_effects(effects_module.build(evidence).effects, seed=seed, progress=progress)


def fit_effects(
    effects: pd.DataFrame, *, seed: int, progress: Callable[[str], None] | None = None
) -> ModelResult:
    """As `run`, from an effects table."""
    tell = progress or (lambda text: None)
    chosen = {name: points(effects, name) for name in OUTCOMES}
    chosen = {name: rows for name, rows in chosen.items() if len(rows)}
    estimates: list[dict] = []
    parts: dict[str, list[pd.DataFrame]] = {}
    fits: dict[str, Fit] = {}
    if chosen:
        size = padded_size(max(map(len, chosen.values())))
        sampler = compile_model(partial(build, size), "trajectory")
    for outcome, rows in chosen.items():
        tell(outcome)
        arrays = design_arrays(rows, outcome, size)
        fit = sampler.fit(f"trajectory_{outcome}", seed=seed, data=arrays, **SAMPLING)
        fits[outcome] = fit
        if fit.withheld:
            continue
        estimates += _estimates(outcome, rows, fit)
        made = {
            "trajectory_points": _points_table(outcome, rows, arrays, fit, seed),
            "trajectory_curve": curve_table(outcome, rows, fit, seed),
            "trajectory_remaining": remaining_table(outcome, rows, fit),
            "trajectory_summary": summary_table(outcome, rows, fit),
            "trajectory_prior_posterior": prior_posterior(outcome, fit),
            "trajectory_checks": checks(outcome, arrays, len(rows), fit, seed),
        }
        for name, frame in made.items():
            parts.setdefault(name, []).append(frame)
    tables = {name: pd.concat(frames, ignore_index=True) for name, frames in parts.items()}
    return ModelResult(estimates_table(estimates), tables, fits)


def padded_size(n: int) -> int:
    """The next multiple of eight, so that a study more seldom means another compilation."""
    return 8 * int(np.ceil(max(n, 1) / 8))


# --------------------------------------------------------------------------------------- curves


def shape_at(log_rise: np.ndarray, log_half_life: np.ndarray, months) -> np.ndarray:
    """Share of the full effect present at each month: shape (draws, months)."""
    t = np.asarray(months, dtype=float)[None, :]
    rise, half_life = np.exp(log_rise)[:, None], np.exp(log_half_life)[:, None]
    return -np.expm1(-t / rise) * np.exp(-np.log(2) * t / half_life)


def peak_month(rise: np.ndarray, half_life: np.ndarray) -> np.ndarray:
    """Where (1 - exp(-t / rise)) exp(-log(2) t / half_life) is greatest, in months."""
    return rise * np.log1p(half_life / (np.log(2) * rise))


def mean_curve(fit: Fit, months) -> np.ndarray:
    """Draws of the mean effect of a controlled study: shape (draws, months)."""
    shape = shape_at(fit.draws("log_rise"), fit.draws("log_half_life"), months)
    return fit.draws("mu")[:, None] * shape


def new_study_curve(fit: Fit, months, seed: int) -> np.ndarray:
    """Draws of the effect in a new controlled study: shape (draws, months)."""
    rng = np.random.default_rng(seed)
    u, v = rng.standard_normal((2, fit.draws("mu").size))
    shape = shape_at(fit.draws("log_rise"), fit.draws("log_half_life"), months)
    years = np.asarray(months, dtype=float)[None, :] / 12
    return (
        mean_curve(fit, months)
        + (fit.draws("tau") * u)[:, None] * shape
        + (fit.draws("tau_slope") * v)[:, None] * years
    )


def remaining(fit: Fit, months) -> np.ndarray:
    """Draws of the effect at each month as a share of the effect at 12: shape (draws, months)."""
    shape = shape_at(fit.draws("log_rise"), fit.draws("log_half_life"), [REFERENCE, *months])
    return shape[:, 1:] / shape[:, :1]


def behind(rows: pd.DataFrame, month: float) -> tuple[int, float]:
    """Cohorts reporting this month or a later one, and their patients."""
    reach = rows[rows["months"] >= month]
    patients = reach.groupby("cohort")["n_patients"].max().sum()
    return reach["cohort"].nunique(), float(patients)


def _three(draws: np.ndarray) -> dict:
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"mean": float(draws.mean()), "ci_low": float(low), "ci_high": float(high)}


def curve_table(outcome: str, rows: pd.DataFrame, fit: Fit, seed: int) -> pd.DataFrame:
    """Mean curve, its 95 % band and the band of a new study, month by month.

    `k_studies` counts the cohorts reporting the month or a later one, `k_near` those reporting
    within three months of it.
    """
    mean, new = mean_curve(fit, MONTHS), new_study_curve(fit, MONTHS, seed)
    (low, high), (pred_low, pred_high) = (
        np.quantile(draws, [0.025, 0.975], axis=0) for draws in (mean, new)
    )
    near = [
        rows.loc[(rows["months"] - month).abs() <= MONTHS_NEAR, "cohort"].nunique()
        for month in MONTHS
    ]
    return pd.DataFrame(
        {
            "outcome": outcome,
            "months": MONTHS,
            "mean": mean.mean(axis=0),
            "ci_low": low,
            "ci_high": high,
            "pred_low": pred_low,
            "pred_high": pred_high,
            "k_studies": [behind(rows, month)[0] for month in MONTHS],
            "k_near": near,
        }
    )


def _reach_note(rows: pd.DataFrame, month: float) -> str:
    """How far the data go, in words; empty where at least three studies reach the month."""
    k = behind(rows, month)[0]
    if k >= 3:
        return ""
    last = rows["months"].max()
    if k == 0:
        return f"no study looks this far (the last reports month {last:g}): the curve's shape and "\
               "its priors only"  # fmt: skip
    return f"only {k} {'study reports' if k == 1 else 'studies report'} this month or later"


def contraction(fit: Fit, name: str) -> float:
    """Ratio of the posterior to the prior SD of a parameter both studies and priors speak of."""
    return float(fit.draws(name).std() / priors.get("trajectory", name).scale)


def _half_life_note(rows: pd.DataFrame, fit: Fit) -> str:
    ratio = contraction(fit, "log_half_life")
    k = behind(rows, 2 * REFERENCE)[0]
    said = f"SD of its logarithm {ratio:.2f} of the prior's; "
    said += f"{k} {'study reports' if k == 1 else 'studies report'} month 24 or later"
    return f"not identified, mostly its prior: {said}" if ratio > PRIOR_DOMINATED else said


def remaining_table(outcome: str, rows: pd.DataFrame, fit: Fit) -> pd.DataFrame:
    """Share of the 12-month effect left at 24, 36 and 60 months."""
    share = remaining(fit, HORIZONS)
    identified = contraction(fit, "log_half_life") <= PRIOR_DOMINATED
    lines = []
    for month, draws in zip(HORIZONS, share.T, strict=True):
        k, n = behind(rows, month)
        notes = [_reach_note(rows, month), "" if identified else "mostly its prior"]
        found = _three(draws)
        lines.append(
            {
                "outcome": outcome,
                "months": month,
                "fraction_mean": found["mean"],
                "ci_low": found["ci_low"],
                "ci_high": found["ci_high"],
                "k_studies": k,
                "n_patients": n,
                "note": "; ".join(part for part in notes if part),
            }
        )
    return pd.DataFrame(lines)


def summary_table(outcome: str, rows: pd.DataFrame, fit: Fit) -> pd.DataFrame:
    """Shape of the course in figures, with the last month seen and the ratio to the prior's SD."""
    rise, half_life = np.exp(fit.draws("log_rise")), np.exp(fit.draws("log_half_life"))
    peak = peak_month(rise, half_life)
    shape = shape_at(fit.draws("log_rise"), fit.draws("log_half_life"), [REFERENCE])[:, 0]
    height = -np.expm1(-peak / rise) * np.exp(-np.log(2) * peak / half_life)
    unit = OUTCOMES[outcome]
    quantities = {
        "half_life": (half_life, "months"),
        "peak_month": (peak, "months"),
        "peak_effect": (fit.draws("mu") * height, unit),
        "effect_at_12": (fit.draws("mu") * shape, unit),
        "uncontrolled_less_controlled_at_12": (fit.draws("bias") * shape + fit.draws("drift"),
                                               unit),
        "natural_course_per_year": (fit.draws("drift"), unit),
        "tau": (fit.draws("tau"), unit),
        "tau_slope": (fit.draws("tau_slope"), f"{unit} per year"),
    }  # fmt: skip
    note = _half_life_note(rows, fit)
    return pd.DataFrame(
        {
            "outcome": outcome,
            "quantity": name,
            "unit": of,
            "median": float(np.median(draws)),
            **_three(draws),
            "k_studies": rows["cohort"].nunique(),
            "k_two_times": int((rows.groupby("cohort").size() > 1).sum()),
            "last_month": rows["months"].max(),
            "note": note if name == "half_life" else "",
        }
        for name, (draws, of) in quantities.items()
    )


def _estimates(outcome: str, rows: pd.DataFrame, fit: Fit) -> list[dict]:
    base = {"outcome": outcome, "group_kind": "all", "group": "all", "method": "nuts"}
    unit = OUTCOMES[outcome]
    mean, new = mean_curve(fit, HORIZONS), new_study_curve(fit, HORIZONS, 0)
    share = remaining(fit, HORIZONS)
    mostly_prior = contraction(fit, "log_half_life") > PRIOR_DOMINATED
    found = []
    for j, month in enumerate(HORIZONS):
        k, n = behind(rows, month)
        reach = _reach_note(rows, month)
        counts = {"k_studies": k, "n_patients": n}
        pred_low, pred_high = np.quantile(new[:, j], [0.025, 0.975])
        found.append(
            {**base, "estimand": f"effect_at_{month}", "scale": unit, "unit": unit, **counts,
             **_three(mean[:, j]), "sd": mean[:, j].std(), "pred_low": pred_low,
             "pred_high": pred_high, "tau": float(np.median(fit.draws("tau"))), "note": reach}
        )  # fmt: skip
        prior = "mostly its prior" if mostly_prior else ""
        found.append(
            {**base, "estimand": f"remaining_{month}", "scale": "ratio of 12-month effect",
             "unit": "share of the 12-month effect", **counts, **_three(share[:, j]),
             "sd": share[:, j].std(), "note": "; ".join(part for part in (reach, prior) if part)}
        )  # fmt: skip
    k, n = behind(rows, 2 * REFERENCE)
    half_life = np.exp(fit.draws("log_half_life"))
    note = f"median {np.median(half_life):.0f} months; {_half_life_note(rows, fit)}"
    found.append(
        {**base, "estimand": "half_life", "scale": "months", "unit": "months", "k_studies": k,
         "n_patients": n, **_three(half_life), "sd": half_life.std(), "note": note}
    )  # fmt: skip
    return found


# ------------------------------------------------------------------------- studies and checks


def _points_table(outcome: str, rows: pd.DataFrame, arrays, fit: Fit, seed: int) -> pd.DataFrame:
    """Each reported point, its 95 % interval where a number is printed, and its shrunken effect.

    The interval takes the posterior mean of the standard error, modelled where none is printed
    (`se_printed` is then false). A result in words has no y.
    """
    columns = ["outcome", "study_id", "cohort", "label", "cell_class", "diabetes_type",
               "controlled", "kind", "measure", "months", "y"]  # fmt: skip
    table = rows[columns].copy()
    table["y"] = table["y"].where(rows["kind"] == "numeric")
    k = len(rows)
    se = standard_errors(arrays, k, fit).mean(axis=0)
    table["ci_low"], table["ci_high"] = table["y"] - 1.96 * se, table["y"] + 1.96 * se
    table["se"] = se
    table["se_printed"] = arrays["has_var"][:k] > 0
    table["n_patients"] = rows["n_patients"]
    theta = study_effects(arrays, k, fit, seed)
    low, high = np.quantile(theta, [0.025, 0.975], axis=0)
    table["shrunk_mean"], table["shrunk_low"], table["shrunk_high"] = theta.mean(axis=0), low, high
    return table


def cohort_index(arrays: dict[str, np.ndarray], k: int) -> np.ndarray:
    """Which cohort each of the first `k` rows belongs to."""
    return arrays["members"][:, :k].argmax(axis=0)


def standard_errors(arrays: dict[str, np.ndarray], k: int, fit: Fit) -> np.ndarray:
    """Draws of the standard errors of the first `k` rows: shape (draws, k)."""
    r, log_sd, spread = (fit.draws(name)[:, None] for name in ("r", "log_sd", "log_sd_spread"))
    own = fit.draws("sd_z")[:, cohort_index(arrays, k)]
    modelled = np.exp(log_sd + spread * own) * np.sqrt(arrays["n_factor"][:k])
    printed = np.sqrt(arrays["var_a"][:k] - r * arrays["var_b"][:k])
    return np.where(arrays["has_var"][:k] > 0, printed, modelled)


def study_effects(arrays: dict[str, np.ndarray], k: int, fit: Fit, seed: int) -> np.ndarray:
    """Draws of the true effect behind each of the first `k` rows: shape (draws, k).

    u and v of a cohort given everything else are bivariate normal: with a, b, e as in `build`,
    precision M = [[1 + a'a, a'b], [a'b, 1 + b'b]] and mean M^-1 (a'e, b'e).
    """
    rng = np.random.default_rng(seed)
    p = {name: fit.draws(name)[:, None] for name in SCALES}
    se = standard_errors(arrays, k, fit)
    uncontrolled, years = arrays["uncontrolled"][:k], arrays["months"][:k] / 12
    shape = shape_at(fit.draws("log_rise"), fit.draws("log_half_life"), arrays["months"][:k])
    centre = (p["mu"] + p["bias"] * uncontrolled) * shape + p["drift"] * uncontrolled * years
    rise, slope = p["tau"] * shape, p["tau_slope"] * years
    off = (arrays["y"][:k] - centre) / se
    z = _statistic(arrays, k, fit, off, np.sqrt(1 + (rise / se) ** 2 + (slope / se) ** 2))
    whiten, members = arrays["whiten"][:k, :k], arrays["members"][:k, :k]
    e, a, b = (part @ whiten.T for part in (off + z, rise / se, slope / se))
    aa, bb, ab, ae, be = (x @ members.T for x in (a * a, b * b, a * b, a * e, b * e))
    aa, bb = 1 + aa, 1 + bb
    det = aa * bb - ab**2
    noise_u, noise_v = rng.standard_normal((2, *aa.shape))
    v = (aa * be - ab * ae) / det + np.sqrt(aa / det) * noise_v
    u = (ae - ab * v) / aa + noise_u / np.sqrt(aa)
    index = cohort_index(arrays, k)
    return centre + rise * u[:, index] + slope * v[:, index]


def _statistic(arrays, k: int, fit: Fit, off: np.ndarray, spread_z: np.ndarray) -> np.ndarray:
    """Draws of z of the first `k` rows, as `build` takes it from `place`; zero where y is known."""
    sign, near = arrays["z_sign"][:k], arrays["z_near"][:k]
    place = fit.draws("place")[:, :k]
    lifted = place + np.logaddexp(0, -sign * (off + near) / spread_z)
    open_z = sign * spread_z * np.logaddexp(0, lifted)
    closed = arrays["z_width"][:k] * special.expit(place)
    return near + np.where(arrays["is_open"][:k] > 0, open_z, closed)


def prior_draws(arrays: dict[str, np.ndarray], k: int, n: int, rng) -> dict[str, np.ndarray]:
    """Draws from the prior of all that printed numbers depend on, for the design of `arrays`."""
    p = {name: float(arrays[f"scale_{name}"]) * rng.standard_normal(n) for name in SCALES}
    p["tau"], p["tau_slope"] = np.abs(p["tau"]), np.abs(p["tau_slope"])
    for name in COMMON:
        centre, spread = priors.get("trajectory", name).params
        p[name] = centre + spread * rng.standard_normal(n)
    log_sd = arrays["centre_log_sd"] + arrays["scale_log_sd"] * rng.standard_normal((n, 1))
    between = priors.get("change", "log_sd_spread").scale * np.abs(rng.standard_normal((n, 1)))
    index = cohort_index(arrays, k)
    own = rng.standard_normal((n, len(arrays["y"])))[:, index]
    modelled = np.exp(log_sd + between * own) * np.sqrt(arrays["n_factor"][:k])
    r = priors.get("change", "r").params[0]
    printed = np.sqrt(np.maximum(arrays["var_a"][:k] - r * arrays["var_b"][:k], 1e-12))
    return {**p, "se": np.where(arrays["has_var"][:k] > 0, printed, modelled)}


def replicate(arrays: dict[str, np.ndarray], k: int, p: dict[str, np.ndarray], rng) -> np.ndarray:
    """Printed numbers of new studies of the same design: shape (draws, k).

    `p` holds draws of `SCALES` and `COMMON`, shape (draws,), and of se, shape (draws, k).
    """
    index, years = cohort_index(arrays, k), arrays["months"][:k] / 12
    uncontrolled = arrays["uncontrolled"][:k]
    n = len(p["tau"])
    u, v, w = (rng.standard_normal((n, len(arrays["y"])))[:, index] for _ in range(3))
    c = {name: p[name][:, None] for name in SCALES}
    shape = shape_at(p["log_rise"], p["log_half_life"], arrays["months"][:k])
    theta = (c["mu"] + c["bias"] * uncontrolled + c["tau"] * u) * shape
    theta = theta + (c["drift"] * uncontrolled + c["tau_slope"] * v) * years
    own = rng.standard_normal((n, k))
    return theta + p["se"] * (np.sqrt(SHARED) * w + np.sqrt(1 - SHARED) * own)


def checks(outcome: str, arrays: dict, k: int, fit: Fit, seed: int) -> pd.DataFrame:
    """Prior and posterior predictive checks on the printed numbers, new studies in each replicate.

    Statistics: mean, SD, smallest, largest, and the mean change per year from a cohort's first to
    its last printed month. `tail_probability` is P(replicated >= observed). Fewer than two printed
    numbers are not checked.
    """
    columns = ["outcome", "check", "statistic", "observed", "predicted", "pred_low", "pred_high",
               "tail_probability"]  # fmt: skip
    numeric = np.flatnonzero(arrays["is_numeric"][:k])
    if len(numeric) < 2:
        return pd.DataFrame(columns=columns)
    months, observed = arrays["months"][:k][numeric], arrays["y"][:k][numeric]
    first, last = _first_and_last(cohort_index(arrays, k)[numeric], months)
    statistics = {"mean": np.mean, "sd": np.std, "smallest": np.min, "largest": np.max}
    if len(first):
        years = (months[last] - months[first]) / 12
        statistics["change_per_year"] = lambda y, axis: np.mean(
            (y[..., last] - y[..., first]) / years, axis=axis
        )
    rng = np.random.default_rng(seed)
    step = max(1, len(fit.draws("mu")) // MAX_DRAWS)
    after = {name: fit.draws(name)[::step] for name in (*SCALES, *COMMON)}
    after["se"] = standard_errors(arrays, k, fit)[::step]
    lines = []
    for source, p in (
        ("prior", prior_draws(arrays, k, MAX_DRAWS, rng)),
        ("posterior", after),
    ):
        again = replicate(arrays, k, p, rng)[:, numeric]
        for name, statistic in statistics.items():
            value, replicated = float(statistic(observed, axis=-1)), statistic(again, axis=-1)
            low, high = np.quantile(replicated, [0.025, 0.975])
            lines.append((outcome, source, name, value, replicated.mean(), low, high,
                          np.mean(replicated >= value)))  # fmt: skip
    return pd.DataFrame(lines, columns=columns)


def _first_and_last(cohort: np.ndarray, months: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the first and last month of every cohort that has two."""
    first, last = [], []
    for own in np.unique(cohort):
        places = np.flatnonzero(cohort == own)
        if len(places) > 1:
            first.append(places[np.argmin(months[places])])
            last.append(places[np.argmax(months[places])])
    return np.array(first, dtype=int), np.array(last, dtype=int)


def prior_posterior(outcome: str, fit: Fit) -> pd.DataFrame:
    """Prior beside posterior for every parameter the studies share, on the scale of its prior."""
    rows = []
    for name in (*SCALES, *COMMON):
        model = "trajectory" if name in COMMON else f"trajectory_{outcome}"
        prior, draws = priors.get(model, name), fit.draws(name)
        known = (
            stats.halfnorm(scale=prior.scale)
            if prior.distribution == "HalfNormal"
            else stats.norm(*prior.params)
        )
        low, high = np.quantile(draws, [0.025, 0.975])
        rows.append(
            {
                "outcome": outcome,
                "parameter": name,
                "prior_mean": known.mean(),
                "prior_sd": known.std(),
                "posterior_mean": draws.mean(),
                "posterior_sd": draws.std(),
                "posterior_low": low,
                "posterior_high": high,
                "sd_ratio": draws.std() / known.std(),
            }
        )
    return pd.DataFrame(rows)
