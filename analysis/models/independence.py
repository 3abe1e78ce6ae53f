"""Insulin independence: who becomes free, for how long, and how much of that is extrapolation.

`run` counts who was ever independent (`ever`), fits six survival families to the published facts on
durations (`duration`), weighs them by leaving out studies, and describes the mean (`durability`).
A study whose number ever independent is unknown enters the duration model through the probability
of becoming free in a new study of its class, from a fit of the other studies' counts: its own count
is not used twice. Probabilities of all treated multiply the two posteriors; their time counts from
treatment.

A class has a curve only if a fact of its own speaks of durations: a class known only by who became
free has none, as its curve would be that of the other classes. All together always has one; without
any fact on durations it is the prior, and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special, stats

from analysis import durations, priors
from analysis.evidence import Evidence, label_of
from analysis.exact.families import FAMILIES
from analysis.models import durability, duration, ever, tabulated
from analysis.models.durability import GRID, HORIZONS, RESTRICTIONS
from analysis.models.result import ModelResult, estimates_table
from analysis.models.sampling import sound
from analysis.models.tabulated import CLASSES

UNIT_SHARE = "probability"
AVERAGE = "average"
STEP = 2
"""Months between the points of the tabulated curves."""

SAMPLING = {"draws": 1000, "tune": 1000}
"""Options of every fit; a simulation study may ask for fewer draws."""

PRIOR_ONLY = "no duration is known: prior only"


@dataclass(frozen=True)
class _Ever:
    """The counts, the fit by class and the fit with moderators (None where it is withheld)."""

    counts: pd.DataFrame
    plain: object
    moderated: object | None

    def probability(self, weights: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        """`n` draws of the share by class (n, classes), typical study and new study."""
        rng = np.random.default_rng(1)
        rows = rng.permutation(np.resize(np.arange(self.plain.draws("mu").size), n))
        logit, tau = self.plain.draws("class_mean")[rows], self.plain.draws("tau")[rows]
        new = logit + tau[:, None] * rng.standard_normal(logit.shape)
        return special.expit(logit), special.expit(new)


def run(
    evidence: Evidence, *, seed: int, progress: Callable[[str], None] | None = None
) -> ModelResult:
    """Fit both questions to the evidence.

    Returns
    -------
    ModelResult with estimates of ever_independent, independence_survival and
    independence_duration. Evidence without any row on independence gives empty tables, a withheld
    fit leaves out what would come from it.
    """
    tell = progress or (lambda name: None)
    facts, left = durations.layer(evidence)
    counts, ever_left = durations.ever_counts(evidence)
    size = tabulated.padded(max(facts["study_id"].nunique(), len(counts), 1))

    fits, estimates = {}, []
    found = None
    expected: dict[str, tuple[float, float]] = {}
    if len(counts):
        tell("ever independent")
        plain = ever.fit(counts, moderated=False, seed=seed, size=size, name="ever", **SAMPLING)
        moderated = ever.fit(
            counts, moderated=True, seed=seed, size=size, name="ever moderated", **SAMPLING
        )
        fits |= {"ever": plain, "ever_moderated": moderated}
        if not plain.withheld:
            found = _Ever(counts, plain, None if moderated.withheld else moderated)
            estimates += _ever_estimates(found)
    through = facts[facts["through_ever"].astype(bool)]
    if len(through):
        others = counts[~counts["cohort"].isin(through["cohort"])]
        if len(others):
            fit = ever.fit(
                others, moderated=False, seed=seed, size=size, name="ever elsewhere", **SAMPLING
            )
            fits["ever_elsewhere"] = fit
            if not fit.withheld:
                by_class = ever.new_study_logit(fit, others)
                expected = {
                    row["study_id"]: by_class[row["cell_class"]]
                    for row in through.to_dict("records")
                }

    tables = {
        "ever_facts": _ever_facts(found, counts),
        "ever_exclusions": ever_left,
        "ever_contrasts": ever.contrasts(durations.ever_contrasts(evidence)),
        "ever_moderators": _moderators(found),
        "duration_facts": facts.drop(columns=["through_ever", "min_ever"]),
        "duration_exclusions": left,
        "durability_landmarks": landmarks(evidence, facts),
        "swimmer": swimmer(evidence, facts),
    }
    checks = _ever_checks(found)
    ensemble = None
    if len(counts) or len(facts):
        ensemble = _fit_families(facts, expected, seed, size, tell)
    if ensemble is not None:
        fits |= {f"duration_{name}": fit for name, fit in ensemble.fits.items()}
        fallback = ever.class_weights(counts)
        described = _describe(facts, ensemble, found, fallback)
        estimates += described.estimates
        tables |= described.tables
        checks += _duration_checks(facts, ensemble)
        tell("duration, other onsets")
        tables["durability_onset"] = _onset(facts, expected, ensemble, fallback, seed, size)
    else:
        tables |= {name: pd.DataFrame(columns=c) for name, c in _EMPTY.items()}
    tables["independence_checks"] = pd.DataFrame(checks, columns=CHECK_COLUMNS)
    tables["independence_prior_posterior"] = _prior_posterior(sound(fits))
    return ModelResult(estimates_table(estimates), tables, fits)


CHECK_COLUMNS = [
    "stage", "outcome", "study_id", "label", "check", "months", "n", "observed", "predicted_mean",
    "predicted_low", "predicted_high", "tail_probability",
]  # fmt: skip

_EMPTY = {
    "durability_curve": [
        "group_kind", "group", "population", "family", "months", "mean", "ci_low", "ci_high",
        "beyond_data",
    ],
    "durability_families": [
        "group_kind", "group", "family", "weight", "weight_optimum", "elpd", "elpd_se",
        "elpd_below_best", "elpd_below_best_se", "s_12", "s_60", "s_120", "median",
    ],
    "durability_extrapolation": [
        "group_kind", "group", "longest_observed_months", "k_studies", "n_patients",
        "share_rmst60_beyond", "share_rmst120_beyond",
    ],
    "durability_onset": [
        "group_kind", "group", "onset", "onset_median_months", "family", "s_12", "s_60", "median",
    ],
    "independence_loo": ["study_id", "family", "elpd", "pareto_k", "refitted"],
}  # fmt: skip
"""Columns of the tables that need a fit."""


# --- ever independent ---------------------------------------------------------------------------


def _ever_estimates(found: _Ever) -> list[dict]:
    """The share ever independent: all, by class (fit by class); by moderator (moderated fit)."""
    counts, rows = found.counts, []
    n = found.plain.draws("mu").size
    typical, new = found.probability(np.array([]), n)
    tau = float(np.median(found.plain.draws("tau")))
    base = {"outcome": "ever_independent", "estimand": "p_ever", "scale": "probability",
            "unit": UNIT_SHARE, "method": "nuts", "tau": tau}  # fmt: skip
    weights = ever.class_weights(counts)
    rng = np.random.default_rng(2)
    drawn = rng.choice(len(CLASSES), n, p=weights)
    rows.append(
        {
            **base, "group_kind": "all", "group": "all", **_sizes(counts),
            **durability.summary(typical @ weights),
            **durability.prediction(new[np.arange(n), drawn]),
            "note": "typical study of each class, averaged over the published studies",
        }
    )  # fmt: skip
    for cell_class, own in counts.groupby("cell_class"):
        i = CLASSES.index(cell_class)
        rows.append(
            {
                **base, "group_kind": "cell_class", "group": cell_class, **_sizes(own),
                **durability.summary(typical[:, i]), **durability.prediction(new[:, i]),
                "note": "a single study: leans on the prior" if len(own) == 1 else "",
            }
        )  # fmt: skip
    if found.moderated is None:
        return rows
    shares = _moderated_shares(found, rng)
    controlled = counts["design"].isin(["rct", "nonrandomised_controlled"])
    conditioned = counts["conditioning"].astype(bool)
    kinds = {
        "diabetes_type": counts["diabetes_type"],
        "design": controlled.map({True: "controlled", False: "uncontrolled"}),
        "onset": counts["onset"],
        "conditioning": conditioned.map({True: "conditioning", False: "no_conditioning"}),
    }
    tau = float(np.median(found.moderated.draws("tau")))
    for kind, labels in kinds.items():
        for group in sorted(set(labels)):
            members = np.flatnonzero(labels == group)
            pick = rng.choice(members, n)
            rows.append(
                {
                    **base, "tau": tau, "group_kind": kind, "group": group,
                    **_sizes(counts.iloc[members]),
                    **durability.summary(shares[0][:, members].mean(axis=1)),
                    **durability.prediction(shares[1][np.arange(n), pick]),
                    "note": "with moderators; averaged over the published studies of the group",
                }
            )  # fmt: skip
    return rows


def _moderated_shares(found: _Ever, rng) -> tuple[np.ndarray, np.ndarray]:
    """Share of a typical and of a new study like each published one: (draws, studies)."""
    fit = found.moderated
    x = ever.design(found.counts)
    index = [CLASSES.index(c) for c in found.counts["cell_class"]]
    logit = fit.draws("class_mean")[:, index] + fit.draws("beta")[:, : x.shape[1]] @ x.T
    new = logit + fit.draws("tau")[:, None] * rng.standard_normal(logit.shape)
    return special.expit(logit), special.expit(new)


def _sizes(counts: pd.DataFrame) -> dict:
    return {"k_studies": len(counts), "n_patients": counts["n"].sum()}


def _ever_facts(found: _Ever | None, counts: pd.DataFrame) -> pd.DataFrame:
    """The counts, each with its share shrunk towards its class."""
    facts = counts.drop(columns=["controlled"]).copy()
    columns = ["shrunk_mean", "shrunk_low", "shrunk_high"]
    facts[columns] = np.nan
    if found is not None:
        p = special.expit(found.plain.draws("eta")[:, : len(counts)])
        facts[columns] = np.column_stack([p.mean(axis=0), *np.quantile(p, [0.025, 0.975], axis=0)])
    return facts[[c for c in facts if c != "source_rows"] + ["source_rows"]]


def _moderators(found: _Ever | None) -> pd.DataFrame:
    """Log odds of each moderator beside its prior SD, and in how many studies it varies."""
    columns = ["term", "label", "log_odds_mean", "ci_low", "ci_high", "prior_sd", "k_with",
               "k_studies"]  # fmt: skip
    if found is None or found.moderated is None:
        return pd.DataFrame(columns=columns)
    x = ever.design(found.counts)
    beta = found.moderated.draws("beta")
    rows = []
    for j, (term, label) in enumerate(ever.MODERATORS.items()):
        low, high = np.quantile(beta[:, j], [0.025, 0.975])
        prior = priors.get("ever_independent", "moderator").scale
        rows.append((term, label, beta[:, j].mean(), low, high, prior, int(x[:, j].sum()), len(x)))
    return pd.DataFrame(rows, columns=columns)


# --- durations ----------------------------------------------------------------------------------


_SHARED = ("mu", "tau", "tau_class", "theta", "logit_cure", "class_mean")
"""What a study's predictive density depends on."""


MAX_PARETO_K = 0.7
"""Above it the weights of leaving a study out are not to be trusted (Vehtari et al. 2024)."""


def _predictive(table: tabulated.Table, fit) -> np.ndarray:
    return tabulated.predictive(table, {v: fit.draws(v)[::2] for v in _SHARED})


@dataclass(frozen=True)
class _Ensemble:
    """The fits of the families, their weights, and their leave-one-study-out densities."""

    fits: dict
    draws: dict
    weights: dict
    optimum: dict
    elpd: np.ndarray
    pareto_k: np.ndarray
    refitted: np.ndarray
    studies: tuple[str, ...]
    average: durability.Draws


def _fit_families(facts, expected, seed, size, tell) -> _Ensemble | None:
    """Every family whose fit is sound; None where there is none."""
    fits, draws, elpd, pareto, refits = {}, {}, [], [], []
    for name in FAMILIES:
        tell(f"duration {name}")
        table = duration.likelihoods(facts, name, expected)
        fit = duration.fit(table, name, seed=seed, size=size, **SAMPLING)
        if fit.withheld:
            continue
        fits[name], draws[name] = fit, durability.of_fit(fit, name)
        loo, k = tabulated.leave_one_out(_predictive(table, fit))
        refitted = np.zeros(len(k), bool)
        for i in np.flatnonzero(k > MAX_PARETO_K):  # too unlike the rest: fitted without it
            study = table.studies[i]
            without = duration.fit(
                table.without(study), name, seed=seed, size=size,
                name=f"duration {name} without {study}", **SAMPLING,
            )  # fmt: skip
            if without.withheld:
                continue
            density = _predictive(table, without)[:, i]
            loo[i] = special.logsumexp(density) - np.log(density.size)
            refitted[i] = True
        elpd.append(loo)
        pareto.append(k)
        refits.append(refitted)
    if not fits:
        return None
    elpd, pareto = np.column_stack(elpd), np.column_stack(pareto)
    weights = dict(zip(fits, tabulated.stacking(elpd), strict=True))
    optimum = dict(zip(fits, tabulated.stacking_optimum(elpd), strict=True))
    return _Ensemble(
        fits, draws, weights, optimum, elpd, pareto, np.column_stack(refits),
        table.studies, durability.average(draws, weights),
    )  # fmt: skip


@dataclass(frozen=True)
class _Described:
    estimates: list[dict]
    tables: dict[str, pd.DataFrame]


def _describe(facts, ensemble: _Ensemble, found: _Ever | None, fallback) -> _Described:
    """Estimates and tables of every group."""
    estimates, lines, families, shares = [], [], [], []
    draws = ensemble.average
    p_typical = p_new = None
    if found is not None:
        p_typical, p_new = found.probability(fallback, draws.mu.size)
    for g, group in enumerate(durability.groups(facts, fallback)):
        made = durability.curves(draws, group, seed=g)
        estimates += _duration_estimates(group, made, draws)
        lines += _curve_rows(group, "given_ever", AVERAGE, made.near, group.longest)
        if found is not None:
            all_treated = _of_all_treated(group, draws, found, fallback, p_typical, p_new, g)
            estimates += all_treated[0]
            lines += _curve_rows(group, "all_treated", AVERAGE, all_treated[1], group.longest)
        for name in ensemble.fits:
            own = ensemble.draws[name].take(np.s_[::4])
            alone = durability.curves(own, group, seed=g)
            lines += _curve_rows(group, "given_ever", name, alone.near, group.longest)
            families.append(_family_row(group, name, ensemble, alone))
        shares.append(
            {
                "group_kind": group.kind, "group": group.name,
                "longest_observed_months": group.longest, "k_studies": group.k_studies,
                "n_patients": group.n_patients,
                **{f"share_rmst{t}_beyond": durability.beyond(group, made, t)
                   for t in RESTRICTIONS},
            }
        )  # fmt: skip
    loo = [
        {"study_id": study, "family": name, "elpd": ensemble.elpd[i, j],
         "pareto_k": ensemble.pareto_k[i, j], "refitted": bool(ensemble.refitted[i, j])}
        for i, study in enumerate(ensemble.studies) for j, name in enumerate(ensemble.fits)
    ]  # fmt: skip
    tables = {
        "durability_curve": lines,
        "durability_families": families,
        "durability_extrapolation": shares,
        "independence_loo": loo,
    }
    return _Described(
        estimates, {name: pd.DataFrame(rows, columns=_EMPTY[name]) for name, rows in tables.items()}
    )


def _base(group: durability.Group, draws: durability.Draws) -> dict:
    return {
        "group_kind": group.kind, "group": group.name, "k_studies": group.k_studies,
        "n_patients": group.n_patients, "tau": float(np.median(draws.tau)), "method": "nuts",
    }  # fmt: skip


def _remark(group: durability.Group, months: float) -> str:
    """What a reader must know of an estimate that reaches to `months`."""
    if group.k_studies == 0:
        return PRIOR_ONLY
    words = []
    if months > group.longest:
        words.append(
            f"{months - group.longest:.0f} months beyond the longest observed ({group.longest:.0f})"
        )
    if group.k_studies == 1:
        words.append("a single study: leans on the prior")
    return "; ".join(words)


def _duration_estimates(group, made: durability.Curves, draws) -> list[dict]:
    base, rows = _base(group, draws), []
    for t in HORIZONS:
        rows.append(
            {
                **base, "outcome": "independence_survival", "estimand": f"s_{t}",
                "scale": "probability", "unit": UNIT_SHARE, "note": _remark(group, t),
                **durability.summary(made.near[:, t]), **durability.prediction(made.new_near[:, t]),
            }
        )  # fmt: skip
    half = durability.median(made.far)
    reach = "mean is the posterior median; the curve is read as far as 100 years"
    note = "; ".join(w for w in (_remark(group, float(np.median(half))), reach) if w)
    rows.append(
        {
            **base, "outcome": "independence_duration", "estimand": "median", "scale": "months",
            "unit": "months", "note": note, **durability.middle(half),
            **durability.prediction(durability.median(made.new_far)),
        }
    )  # fmt: skip
    for t in RESTRICTIONS:
        rows.append(
            {
                **base, "outcome": "independence_duration", "estimand": f"rmst_{t}",
                "scale": "months", "unit": "months", "note": _remark(group, t),
                **durability.summary(durability.restricted_mean(made.near, t)),
                **durability.prediction(durability.restricted_mean(made.new_near, t)),
            }
        )  # fmt: skip
    return rows


def _of_all_treated(group, draws, found, fallback, typical, new, seed):
    """P(ever) S(t - onset), the share of all treated who were free and still are t months later.

    Before the onset it is the share who will become free. Returns estimates, and the curve for each
    draw.
    """
    weights = fallback if group.kind == "all" else group.weights
    counts = found.counts
    if group.kind != "all":
        counts = counts[counts["cell_class"] == group.name]
    present = np.flatnonzero(weights)
    curve = sum(
        weights[i] * typical[:, [i]] * _since_treatment(draws, draws.class_mean[:, i])
        for i in present
    )
    rng = np.random.default_rng(100 + seed)
    n = draws.mu.size
    drawn = rng.choice(len(CLASSES), n, p=weights)
    eta = draws.class_mean[np.arange(n), drawn] + draws.tau * rng.standard_normal(n)
    next_study = new[np.arange(n), drawn][:, None] * _since_treatment(draws, eta)
    rows = []
    for t in HORIZONS:
        words = ["of all treated, months since treatment: P(ever) times S after onset"]
        if counts.empty:
            words.append("nothing known of P(ever) in this class: prior")
        remark = _remark(group, t)
        rows.append(
            {
                **_base(group, draws), **_sizes(counts), "outcome": "independence_survival",
                "estimand": f"s_{t}_unconditional", "scale": "probability", "unit": UNIT_SHARE,
                "note": "; ".join([*words, remark] if remark else words),
                **durability.summary(curve[:, t]), **durability.prediction(next_study[:, t]),
            }
        )  # fmt: skip
    return rows, curve


def _since_treatment(draws: durability.Draws, eta: np.ndarray) -> np.ndarray:
    """S on `GRID` months after treatment, averaged over the onset of independence."""
    later = [np.maximum(GRID - onset, 0.0) for onset in duration.onset_nodes()]
    return sum(draws.survival(eta, months) for months in later) / len(later)


def _curve_rows(group, population, family, values, longest) -> list[dict]:
    months = np.arange(0, GRID.size, STEP)
    mean = values[:, months].mean(axis=0)
    low, high = np.quantile(values[:, months], [0.025, 0.975], axis=0)
    return [
        {
            "group_kind": group.kind, "group": group.name, "population": population,
            "family": family, "months": int(t), "mean": m, "ci_low": a, "ci_high": b,
            "beyond_data": bool(t > longest),
        }
        for t, m, a, b in zip(months, mean, low, high, strict=True)
    ]  # fmt: skip


def _family_row(group, name, ensemble: _Ensemble, alone: durability.Curves) -> dict:
    j = list(ensemble.fits).index(name)
    elpd = ensemble.elpd[:, j]
    gap = ensemble.elpd[:, ensemble.elpd.sum(axis=0).argmax()] - elpd if elpd.size else elpd
    return {
        "group_kind": group.kind, "group": group.name, "family": name,
        "weight": ensemble.weights[name], "weight_optimum": ensemble.optimum[name],
        "elpd": elpd.sum(), "elpd_se": _error(elpd), "elpd_below_best": gap.sum(),
        "elpd_below_best_se": _error(gap),
        **{f"s_{t}": alone.near[:, t].mean() for t in (12, 60, 120)},
        "median": float(np.median(durability.median(alone.far))),
    }  # fmt: skip


def _error(elpd: np.ndarray) -> float:
    """Standard error of a sum over studies."""
    return np.sqrt(elpd.size * elpd.var()) if elpd.size else np.nan


ONSETS = {"none": 0.0, "as in the model": 1.0, "three times as long": 3.0}
"""Times from treatment to freedom from insulin, as multiples of those of the model."""


def _onset(facts, expected, ensemble: _Ensemble, fallback, seed, size) -> pd.DataFrame:
    """How much hangs on the onset, of which most reports say nothing: one family, refitted."""
    family = "weibull" if "weibull" in ensemble.fits else next(iter(ensemble.fits))
    rows = []
    for words, factor in ONSETS.items():
        draws = ensemble.draws[family]
        if factor != 1:
            nodes = duration.onset_nodes() * factor
            table = duration.likelihoods(facts, family, expected, nodes)
            name = f"duration {family}, onset {words}"
            fit = duration.fit(table, family, seed=seed, size=size, name=name, **SAMPLING)
            if fit.withheld:
                continue
            draws = durability.of_fit(fit, family)
        for g, group in enumerate(durability.groups(facts, fallback)):
            made = durability.curves(draws.take(np.s_[::4]), group, seed=g)
            rows.append(
                {
                    "group_kind": group.kind, "group": group.name, "onset": words,
                    "onset_median_months": factor * float(np.median(duration.onset_nodes())),
                    "family": family, **{f"s_{t}": made.near[:, t].mean() for t in (12, 60)},
                    "median": float(np.median(durability.median(made.far))),
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=_EMPTY["durability_onset"])


# --- what the reader sees of the raw facts --------------------------------------------------------


def landmarks(evidence: Evidence, facts: pd.DataFrame) -> pd.DataFrame:
    """Printed "k of n" still independent, of the studies behind the durations.

    `population` is given_ever where n is the number ever independent, else all_treated; the share
    has a Jeffreys interval.
    """
    columns = ["study_id", "label", "cell_class", "months", "k", "n", "share", "ci_low", "ci_high",
               "population", "used_in_model"]  # fmt: skip
    rows = evidence.independence
    rows = rows[rows["fact"].isin(["at_time", "lasted"]) & rows["arm"].str.startswith("treated")]
    used = durations.used_lines(facts)
    first = facts.drop_duplicates("study_id").set_index("study_id")
    found = []
    for r in rows.to_dict("records"):
        if r["study_id"] not in first.index or not r["n_total"] > 0 or not r["k"] >= 0:
            continue
        study = first.loc[r["study_id"]]
        low, high = stats.beta.ppf([0.025, 0.975], r["k"] + 0.5, r["n_total"] - r["k"] + 0.5)
        given = r["n_total"] == study["k_ever"] != study["n_total"]
        found.append(
            (
                r["study_id"], study["label"], study["cell_class"], r["months"], r["k"],
                r["n_total"], r["k"] / r["n_total"], low, high,
                "given_ever" if given else "all_treated", r["line"] in used,
            )
        )  # fmt: skip
    return pd.DataFrame(found, columns=columns)


def swimmer(evidence: Evidence, facts: pd.DataFrame) -> pd.DataFrame:
    """Every printed single duration, whether the model uses it or not."""
    columns = ["study_id", "label", "cell_class", "patient_label", "months", "status", "sampling",
               "bound", "used_in_model"]  # fmt: skip
    rows = evidence.independence[evidence.independence["fact"] == "patient"]
    studies = evidence.studies.set_index("study_id")
    used = durations.used_lines(facts)
    found = []
    for r in rows.to_dict("records"):
        study = studies.loc[r["study_id"]].to_dict()
        found.append(
            (
                r["study_id"], label_of(study), study["cell_class"], r["patient_label"],
                r["value"], r["status"], r["sampling"], r["bound"], r["line"] in used,
            )
        )  # fmt: skip
    return pd.DataFrame(found, columns=columns)


# --- checks -------------------------------------------------------------------------------------


def _ever_checks(found: _Ever | None, n: int = 2000) -> list[dict]:
    """Each count beside what a new study of its class and size would show: prior, posterior."""
    if found is None:
        return []
    rng = np.random.default_rng(3)
    mean, sd = duration.ever_prior()
    prior = special.expit(rng.normal(mean, sd, n))
    _, new = found.probability(np.array([]), n)
    rows = []
    for row in found.counts.to_dict("records"):
        posterior = new[:, CLASSES.index(row["cell_class"])]
        for stage, p in (("prior", prior), ("posterior", posterior)):
            drawn = rng.binomial(int(row["n"]), p)
            head = {"stage": stage, "outcome": "ever_independent", "study_id": row["study_id"],
                    "label": row["label"], "check": f"ever independent ({row['bound']})",
                    "n": row["n"], "observed": row["k"]}  # fmt: skip
            rows.append({**head, **_compared(drawn, row["k"])})
    return rows


def _duration_checks(facts: pd.DataFrame, ensemble: _Ensemble, n: int = 2000) -> list[dict]:
    """Printed shortest, median, longest and landmarks beside those of a new study of the class."""
    scales = {
        p: priors.get("duration", p).params
        for p in ("mu", "tau", "tau_class", "log_shape", "logit_cure")
    }
    stages = {
        "prior": durability.prior_draws(scales, n, seed=4),
        "posterior": ensemble.average.take(np.s_[:n]),
    }
    rows = []
    for study_id, own in facts.groupby("study_id", sort=False):
        i = CLASSES.index(own["cell_class"].iloc[0])
        for stage, draws in stages.items():
            rng = np.random.default_rng(5)
            eta = draws.class_mean[:, i] + draws.tau * rng.standard_normal(draws.mu.size)
            head = {"stage": stage, "outcome": "independence_duration", "study_id": study_id,
                    "label": own["label"].iloc[0]}  # fmt: skip
            for check, months, k, observed, drawn in _replicated(own, draws, eta, rng):
                rows.append(
                    {**head, "check": check, "months": months, "n": k, "observed": observed,
                     **_compared(drawn, observed)}
                )  # fmt: skip
    return rows


def _replicated(own: pd.DataFrame, draws, eta, rng):
    """(check, months, n, observed, replicates) for what a study printed; n ever independent."""
    known = own[own["kind"] != "unresolved"]
    k = int(known["count"].sum())
    far = None
    for fact in own[own["reason"].isin(["the shortest", "the median"])].to_dict("records"):
        far = draws.survival(eta, durability.FAR) if far is None else far
        place = 1 if fact["reason"] == "the shortest" else (k + 1) // 2
        level = 1 - rng.beta(place, k + 1 - place, draws.mu.size)
        yield f"{fact['reason']}, months", np.nan, k, fact["low"], durability.crossing(far, level)
    at_landmark = known["kind"].eq("landmark") | known["reason"].str.startswith("free at the")
    marks = known[at_landmark & known["low"].gt(0)]
    if own["through_ever"].any():
        return
    for t in sorted(marks["low"].unique()):
        later = known["low"].ge(t)
        since = max(t - 1.0, 0.1) if (marks["time_origin"] == "treatment").all() else t
        p = draws.survival(eta, np.array([since]))[:, 0]
        observed = float(known.loc[later, "count"].sum())
        yield f"free at {t:g} months", t, k, observed, rng.binomial(k, np.clip(p, 0, 1))


def _compared(drawn: np.ndarray, observed: float) -> dict:
    """Replicates against the observed value; the tail probability counts ties by half."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    tail = np.mean(drawn > observed) + 0.5 * np.mean(drawn == observed)
    return {
        "predicted_mean": float(np.mean(drawn)), "predicted_low": low, "predicted_high": high,
        "tail_probability": tail,
    }  # fmt: skip


def _prior_posterior(fits: dict) -> pd.DataFrame:
    """Prior beside posterior, for every parameter that the data of a fit can move."""
    rows = []
    for name, fit in fits.items():
        model = "ever_independent" if name.startswith("ever") else "duration"
        parameters = {"mu": "mu", "tau": "tau", "tau_class": "tau_class"}
        if model == "duration" and not name.endswith("exponential"):
            parameters["theta"] = "log_shape"
        if name.endswith("cure"):
            parameters["logit_cure"] = "logit_cure"
        for variable, parameter in parameters.items():
            prior = priors.get(model, parameter)
            rows.append(_beside(name, parameter, prior, fit.draws(variable)))
        if name == "ever_moderated":
            prior = priors.get("ever_independent", "moderator")
            for j, term in enumerate(ever.MODERATORS):
                rows.append(_beside(name, term, prior, fit.draws("beta")[:, j]))
    columns = ["fit", "parameter", "prior_mean", "prior_sd", "posterior_mean", "posterior_sd"]
    return pd.DataFrame(rows, columns=columns)


def _beside(name, parameter, prior, draws) -> tuple:
    if prior.distribution == "HalfNormal":
        known = stats.halfnorm(scale=prior.scale)
    else:
        known = stats.norm(*prior.params)
    return name, parameter, known.mean(), known.std(), draws.mean(), draws.std()
