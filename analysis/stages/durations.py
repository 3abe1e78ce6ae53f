"""How long freedom from insulin lasts, approach by approach, by quadrature over six families.

Immune reset and islet replacement never share a curve. The clock of the curve starts when insulin
was stopped and its denominator is the ever insulin-free; landmarks keep their own denominator and
clock. Statements go no further than the follow-up bears: the last month with at least ten of the
ever-free still observed in at least two cohorts. No duration, no curve: a prior is never printed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis import cohorts, durations, exact, priors, responders
from analysis.evidence import Evidence, label_of
from analysis.evidence.references import reference, renamed
from analysis.exact import bounds, survival
from analysis.exact.facts import last_supported_month, longest_observed
from analysis.questions import APPROACHES
from analysis.stages.result import StageResult, Tell, stage_result

MONTHS = (12.0, 24.0, 60.0, 120.0)
CURVE = np.concatenate([np.arange(0.0, 24.5, 1.0), np.arange(26.0, 121.0, 2.0)])
MOST = 0.5
WINDOW = 60.0
POPULATION = "t1d"
"""Durations are told of type 1 but for a few patients; each approach has one curve."""
FEWEST = 2


def run(evidence: Evidence, *, seed: int = 0, progress: Tell = lambda part: None) -> StageResult:
    """The duration of freedom from insulin in every approach.

    Returns
    -------
    StageResult with estimates (survival, survival_above, median_duration) and the tables
    duration_facts, duration_exclusions, follow_up, durability_curve, durability_families,
    durability_loo, durability_landmarks, swimmer.
    """
    layer, left_out = durations.layer(evidence)
    strata = cohorts.strata(evidence.studies).set_index(evidence.studies["study_id"].to_numpy())
    facts = with_strata(evidence, layer)
    facts["source_rows"] = [renamed(evidence, names) for names in facts["source_rows"]]
    counted = responders.table(evidence).facts
    rows: list[dict] = []
    names = ("follow_up", "durability_curve", "durability_families", "durability_loo")
    tables: dict[str, list] = {name: [] for name in names}
    for approach in APPROACHES:
        own = facts[facts["approach"].eq(approach) & facts["population"].str.startswith("t1d")]
        own = own.reset_index(drop=True)
        if own.empty or own["kind"].eq("unresolved").all():
            continue
        who = {"approach": approach, "population": POPULATION}
        last = last_supported_month(own)
        enough = own["study_id"].nunique() >= FEWEST
        share = np.nan
        if enough:
            progress(approach)
            ensemble = survival.fit_all(own, PRIORS, ever=ever_odds(counted, approach))
            made = _curves(who, own, ensemble, last)
            rows += made["estimates"]
            for name in names[1:]:
                tables[name] += made[name]
            if np.isfinite(last):
                share = ensemble.average.share_beyond(last, WINDOW)
        tables["follow_up"].append(_follow_up(who, own, last, share))
    tables["duration_facts"] = facts[facts["approach"].isin(APPROACHES)].drop(
        columns=["diabetes_type", "through_ever", "min_ever"]
    )
    tables["duration_exclusions"] = _exclusions(evidence, left_out)
    tables["durability_landmarks"] = landmarks(evidence, facts, strata)
    tables["swimmer"] = swimmer(evidence, facts, strata)
    return stage_result(rows, tables)


def with_strata(evidence: Evidence, facts: pd.DataFrame) -> pd.DataFrame:
    """Facts on durations with the approach and the population of their study."""
    strata = cohorts.strata(evidence.studies).set_index(evidence.studies["study_id"].to_numpy())
    return facts.assign(
        approach=facts["study_id"].map(strata["approach"]),
        population=facts["study_id"].map(strata["population"]),
    )


def _priors() -> survival.Priors:
    def normal(name: str) -> exact.Normal:
        return exact.Normal(*priors.get("duration", name).params)

    return survival.Priors(
        normal("mu"), exact.HalfNormal(priors.get("duration", "tau").scale),
        survival.DEFAULT_PRIORS.log_shape, survival.DEFAULT_PRIORS.logit_cure,
    )  # fmt: skip


PRIORS = _priors()


def ever_odds(counted: pd.DataFrame, approach: str) -> tuple[float, float]:
    """Mean and SD of the log odds of ever becoming free in an approach."""
    own = counted[counted["outcome"].eq("ever_insulin_free") & counted["approach"].eq(approach)]
    mu, tau = (priors.get("ever_independent", name) for name in ("mu", "tau"))
    if own.empty:
        return mu.params[0], mu.scale
    post = exact.fit_shares(
        own["k"], own["n"], mu_prior=exact.Normal(*mu.params),
        tau_prior=exact.HalfNormal(tau.scale), at_least=own["bound"].eq("at_least"),
    )  # fmt: skip
    return post.new_theta.mean, post.new_theta.sd


def _curves(who: dict, facts: pd.DataFrame, ensemble: survival.Ensemble, last: float) -> dict:
    """Estimates and rows of one approach."""
    patients = facts.loc[facts["kind"].ne("unresolved"), "count"].sum()
    base = {**who, "outcome": "insulin_free_duration", "k_studies": facts["study_id"].nunique(),
            "n_patients": patients}  # fmt: skip
    curves = {**ensemble.posteriors, "stacked": ensemble.average}
    made: dict[str, list] = {"estimates": [], "durability_curve": [], "durability_families": [],
                             "durability_loo": []}  # fmt: skip
    for family, curve in curves.items():
        variant = {"variant": family}
        table = curve.survival(MONTHS).set_index("months")
        new = curve.survival(MONTHS, "new_study").set_index("months")
        for month in MONTHS:
            row = table.loc[month]
            note = "" if month <= last else "beyond the follow-up: an extrapolation"
            made["estimates"].append({
                **base, **variant, "quantity": "survival", "month": month, "scale": "share",
                "unit": "share", "mean": row["mean"], "median": row["median"], "sd": row["sd"],
                "ci_low": row["ci_low"], "ci_high": row["ci_high"],
                "pred_low": new.loc[month, "ci_low"], "pred_high": new.loc[month, "ci_high"],
                "note": note,
            })  # fmt: skip
            below = float(np.ravel(curve.survival_cdf(month, MOST))[0])
            made["estimates"].append({
                **base, **variant, "quantity": "survival_above", "month": month,
                "threshold": MOST, "scale": "probability", "unit": "probability",
                "mean": 1 - below, "note": note,
            })  # fmt: skip
        half = curve.time_to(MOST)
        made["estimates"].append({
            **base, **variant, "quantity": "median_duration", "scale": "months",
            "unit": "months", "median": half["median"], "ci_low": half["ci_low"],
            "ci_high": half["ci_high"] if np.isfinite(half["ci_high"]) else np.nan,
            "note": f"probability of never falling to half: {half['p_never']:.2f}",
        })  # fmt: skip
        if family == "stacked":
            for row in curve.survival(CURVE).to_dict("records"):
                made["durability_curve"].append({
                    **who, "denominator": "ever_free", "family": family, "month": row["months"],
                    "median": row["median"], "ci_low": row["ci_low"], "ci_high": row["ci_high"],
                    "beyond_data": not row["months"] <= last,
                })  # fmt: skip
        else:
            means = curve.mean_curve(CURVE)
            made["durability_curve"] += [
                {**who, "denominator": "ever_free", "family": family, "month": month,
                 "median": value, "ci_low": np.nan, "ci_high": np.nan,
                 "beyond_data": not month <= last}
                for month, value in zip(CURVE, means, strict=True)
            ]  # fmt: skip
    weights = ensemble.families().set_index("family")
    for family, post in ensemble.posteriors.items():
        at = post.survival((12.0, 60.0, 120.0))["median"].to_numpy()
        row, elpd = weights.loc[family], np.asarray(post.elpd, dtype=float)
        made["durability_families"].append({
            **who, "family": family, "weight": row["weight"],
            "log_marginal_likelihood": row["log_marginal_likelihood"], "elpd": row["elpd"],
            "elpd_se": float(np.sqrt(elpd.size * elpd.var())), "s_12": at[0], "s_60": at[1],
            "s_120": at[2], "median_months": min(post.time_to(MOST)["median"], 1200.0),
        })  # fmt: skip
    return made


def _follow_up(who: dict, facts: pd.DataFrame, last: float, share: float) -> dict:
    """How far the durations of an approach reach, and the longest single patient."""
    known = facts[facts["kind"].ne("unresolved")]
    reach = known.assign(_t=known[["low", "high"]].replace(np.inf, np.nan).max(axis=1))
    longest = reach.loc[reach["_t"].idxmax()]
    ever = known["count"].sum()
    return {**who, "k_cohorts": known["study_id"].nunique(), "n_ever_free": ever,
            "last_month": last, "longest": longest_observed(facts),
            "longest_study": longest["label"], "share_beyond": share}  # fmt: skip


def _exclusions(evidence: Evidence, left_out: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({
        "source_row": _names(evidence, left_out["line"]), "study_id": left_out["study_id"],
        "reason": left_out["reason"],
    }).drop_duplicates("source_row")  # fmt: skip


def _names(evidence: Evidence, lines) -> list[str]:
    """Content names of rows of independence.csv by their lines."""
    rows = evidence.independence.set_index("line", drop=False)
    return [reference("independence", rows.loc[int(line)]) for line in lines]


def landmarks(evidence: Evidence, facts: pd.DataFrame, strata: pd.DataFrame) -> list[dict]:
    """Printed "k of n" still free, of the studies behind the curves, each with its denominator.

    `ever_free` where n is the number ever free and differs from all treated; else `all_treated`,
    whose clock starts at treatment.
    """
    rows = evidence.independence
    rows = rows[rows["fact"].isin(["at_time", "lasted"]) & rows["arm"].str.startswith("treated")]
    first = facts.drop_duplicates("study_id").set_index("study_id")
    used = set(";".join(facts["source_rows"]).split(";"))
    made = []
    for row in rows.to_dict("records"):
        name = row["study_id"]
        if name not in first.index or not row["n_total"] > 0 or not row["k"] >= 0:
            continue
        study, own = first.loc[name], reference("independence", row)
        given = row["n_total"] == study["k_ever"] != study["n_total"]
        low, high = bounds.clopper_pearson(row["k"], row["n_total"])
        made.append({
            "approach": strata.loc[name, "approach"], "population": POPULATION,
            "study_id": name, "label": study["label"],
            "denominator": "ever_free" if given else "all_treated", "month": row["months"],
            "k": row["k"], "n": row["n_total"], "share": row["k"] / row["n_total"],
            "ci_low": float(low), "ci_high": float(high),
            "in_model": own in used,
            "source_rows": own,
        })  # fmt: skip
    return [row for row in made if row["approach"] in APPROACHES]


def swimmer(evidence: Evidence, facts: pd.DataFrame, strata: pd.DataFrame) -> list[dict]:
    """Every printed single duration, whether the curve uses it or not."""
    rows = evidence.independence[evidence.independence["fact"] == "patient"]
    studies = evidence.studies.set_index("study_id", drop=False)
    used = set(";".join(facts["source_rows"]).split(";"))
    made = []
    for i, row in enumerate(rows.to_dict("records")):
        name, own = row["study_id"], reference("independence", row)
        if strata.loc[name, "approach"] not in APPROACHES:
            continue
        made.append({
            "approach": strata.loc[name, "approach"], "population": POPULATION,
            "study_id": name, "label": label_of(studies.loc[name]),
            "patient": row["patient_label"] or f"patient {i + 1}", "months": row["value"],
            "status": row["status"] or "censored", "sampling": row["sampling"] or "all",
            "in_model": own in used, "source_row": own,
        })  # fmt: skip
    return made
