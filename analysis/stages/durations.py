"""How long freedom from insulin lasts, approach by approach, by quadrature over six families.

Immune reset and islet replacement never share a curve. The clock of the curve starts when insulin
was stopped and its denominator is the ever insulin-free; landmarks keep their own denominator and
clock. Statements go no further than the follow-up bears: the last month with at least ten of the
ever-free still observed in at least two cohorts. No duration, no curve: a prior is never printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd
from scipy import special

from analysis import cohorts, exact, priors
from analysis.central import LEVELS
from analysis.cohorts import patient_groups
from analysis.counting import duration_facts, independence, share_facts
from analysis.evidence import Evidence, label_of
from analysis.evidence.references import reference, renamed
from analysis.exact import bounds, survival
from analysis.exact.curves import CENTURY, Curves
from analysis.exact.duration_likelihood import last_supported_month, longest_observed
from analysis.exact.families import ENDLESS, never_resuming
from analysis.questions import APPROACHES
from analysis.sensitivity import duration_multiverse
from analysis.stages.result import StageResult, Tell, stage_result

MONTHS = (12.0, 24.0, 36.0, 60.0, 120.0)
CURVE = np.concatenate([np.arange(0, 12, 1.0), np.arange(12, 36, 2.0), np.arange(36, 121, 4.0)])
"""Months at which curves are drawn; the last one borne by the follow-up is added."""
LEFT_OUT = (12.0, 36.0, 60.0)
"""Months at which each study is left out in turn."""
NOBODY = "none"
"""In the place of the study left out: all studies are in."""
MOST = 0.5
WINDOW = 60.0
UNSHOWN = ["diabetes_type", "through_ever", "min_ever"]
POPULATION = "t1d"
"""Durations are told of type 1 but for a few patients; each approach has one curve."""
FEWEST = 2
MULTIVERSE = ("duration_multiverse", "duration_levels", "duration_standing")


def run(evidence: Evidence, *, progress: Tell = lambda part: None) -> StageResult:
    """The duration of freedom from insulin in every approach.

    Returns
    -------
    StageResult with estimates (survival, survival_above, median_duration) and the tables
    duration_facts, duration_exclusions, duration_follow_up, duration_curve, duration_families,
    duration_predictive, duration_leave_one_out, duration_landmarks, swimmer,
    duration_multiverse, duration_levels, duration_standing.
    """
    layer, left_out = duration_facts.layer(evidence)
    strata = cohorts.strata(evidence.studies).set_index(evidence.studies["study_id"].to_numpy())
    facts = with_strata(evidence, layer)
    facts["source_rows"] = [renamed(evidence, names) for names in facts["source_rows"]]
    rows: list[dict] = []
    names = ("duration_follow_up", "duration_curve", "duration_families", "duration_predictive",
             "duration_leave_one_out", *MULTIVERSE)  # fmt: skip
    tables: dict[str, list] = {name: [] for name in names}
    for approach in APPROACHES:
        own = facts_of(facts, approach)
        if own.empty or own["kind"].eq("unresolved").all():
            continue
        who = {"approach": approach, "population": POPULATION}
        last = last_supported_month(own)
        share = np.nan
        if own["study_id"].nunique() >= FEWEST:
            progress(approach)
            ever = ever_of_others(evidence, own)
            ensemble = survival.fit_all(own, PRIORS, ever=ever)
            rows += estimates_of(
                who, own, {**ensemble.posteriors, "stacked": ensemble.average}, last
            )
            tables["duration_curve"] += _curve(who, ensemble, last)
            tables["duration_families"] += _families(who, ensemble)
            tables["duration_predictive"] += _predictive(who, own, ensemble)
            without = each_left_out(who, own, ensemble)
            tables["duration_leave_one_out"] += without
            if np.isfinite(last):  # where no month is borne there is no headline to stand anywhere
                progress(f"multiverse of {approach}")
                found = duration_multiverse.explore(who, own, ensemble, ever, without, last)
                for name, table in zip(MULTIVERSE, found, strict=True):
                    tables[name] += table.to_dict("records")
                share = ensemble.average.share_beyond(last, WINDOW)
        tables["duration_follow_up"].append(follow_up(who, own, last, share))
    tables["duration_facts"] = facts[facts["approach"].isin(APPROACHES)].drop(columns=UNSHOWN)
    tables["duration_exclusions"] = _exclusions(evidence, left_out)
    tables["duration_landmarks"] = landmarks(evidence, facts, strata)
    tables["swimmer"] = swimmer(evidence, facts, strata)
    return stage_result(rows, tables)


def facts_of(facts: pd.DataFrame, approach: str) -> pd.DataFrame:
    """The facts behind the curve of an approach: those on type 1 diabetes."""
    own = facts[facts["approach"].eq(approach) & facts["population"].str.startswith(POPULATION)]
    return own.reset_index(drop=True)


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


def ever_of_others(evidence: Evidence, facts: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Mean and SD of the log odds of ever becoming free where a study's own number is not known.

    What the other groups of patients of its approach tell: its own count is in its facts already,
    and would be used twice.

    Parameters
    ----------
    facts : of one approach; see `with_strata`.

    Returns
    -------
    By study, for those whose facts hold patients of whom it is not known whether they were free.
    """
    unknown = facts.loc[facts["through_ever"], ["study_id", "approach"]].drop_duplicates()
    if unknown.empty:
        return {}
    counted = share_facts.table(evidence).facts
    counted = counted[counted["outcome"].eq("ever_insulin_free")]
    groups = patient_groups(evidence.studies)
    return {
        study: ever_odds(
            counted[counted["approach"].eq(approach) & counted["patients"].ne(groups[study])]
        )
        for study, approach in unknown.itertuples(index=False)
    }


def ever_odds(counted: pd.DataFrame) -> tuple[float, float]:
    """Mean and SD of the log odds of ever becoming free in a new study; of the prior without any.

    Parameters
    ----------
    counted : k, n, bound and not_counted, one row a group of patients.
    """
    mu, tau = (priors.get("ever_independent", name) for name in ("mu", "tau"))
    if counted.empty:
        mean, sd = mu.params
        return float(mean), float(np.hypot(sd, tau.scale))
    post = exact.fit_shares(
        counted["k"], counted["n"], mu_prior=exact.Normal(*mu.params),
        tau_prior=exact.HalfNormal(tau.scale), at_least=counted["bound"].eq("at_least"),
        most=share_facts.most(counted),
    )  # fmt: skip
    return post.new_theta.mean, post.new_theta.sd


def estimates_of(
    who: dict, facts: pd.DataFrame, curves: Mapping[str, Curves], last: float
) -> list[dict]:
    """Shares still free, their chances of being most, and the median duration, by family.

    Parameters
    ----------
    who : approach and population.
    facts : behind the curves.
    curves : by variant: a family, or `stacked`.
    last : the last month that the follow-up bears.
    """
    patients = facts.loc[facts["kind"].ne("unresolved"), "count"].sum()
    base = {**who, "outcome": "insulin_free_duration", "k_studies": facts["study_id"].nunique(),
            "n_patients": patients}  # fmt: skip
    made = []
    for family, curve in curves.items():
        own = {**base, "variant": family}
        new = curve.survival(MONTHS, "new_study")
        below = curve.survival_cdf(MONTHS, MOST)
        for i, row in enumerate(curve.survival(MONTHS).to_dict("records")):
            month = row["months"]
            note = "" if month <= last else "beyond the follow-up: an extrapolation"
            made.append({
                **own, "quantity": "survival", "month": month, "scale": "share",
                "unit": "share", "mean": row["mean"], "median": row["median"], "sd": row["sd"],
                "ci_low": row["ci_low"], "ci_high": row["ci_high"],
                "pred_low": new["ci_low"][i], "pred_high": new["ci_high"][i], "note": note,
            })  # fmt: skip
            made.append({
                **own, "quantity": "survival_above", "month": month, "threshold": MOST,
                "scale": "probability", "unit": "probability", "mean": 1 - below[i], "note": note,
            })  # fmt: skip
        half = curve.time_to(MOST)
        made.append({
            **own, "quantity": "median_duration", "scale": "months", "unit": "months",
            **_months(half),
            "note": f"probability of never falling to half: {half['p_never']:.2f}",
        })  # fmt: skip
    return made


def _months(half: dict) -> dict:
    """Median and ends of a time; blank beyond a century."""
    return {name: half[name] if np.isfinite(half[name]) else np.nan
            for name in ("median", "ci_low", "ci_high")}  # fmt: skip


def _curve(who: dict, ensemble: survival.Ensemble, last: float) -> list[dict]:
    """The average with its band, and every family's own curve."""
    months = np.union1d(CURVE, [last]) if last < CURVE[-1] else CURVE
    blank = np.full(months.size, np.nan)
    curves = {
        family: pd.DataFrame({"median": post.mean_curve(months), "ci_low": blank, "ci_high": blank})
        for family, post in ensemble.posteriors.items()
    }
    curves["stacked"] = ensemble.average.survival(months)
    return [
        {**who, "denominator": "ever_free", "family": family, "month": month,
         "median": row["median"], "ci_low": row["ci_low"], "ci_high": row["ci_high"],
         "beyond_data": not month <= last}
        for family, table in curves.items()
        for month, row in zip(months, table.to_dict("records"), strict=True)
    ]  # fmt: skip


def _families(who: dict, ensemble: survival.Ensemble) -> list[dict]:
    """How well each family predicts, what it says, and the share it says never resumes."""
    made = []
    for row in ensemble.families().to_dict("records"):
        post = ensemble.posteriors[row["family"]]
        at = dict(zip(MONTHS, post.median_survival(MONTHS), strict=True))
        kept = ("family", "weight", "log_marginal_likelihood", "elpd", "elpd_below_best",
                "elpd_below_best_se")  # fmt: skip
        made.append({
            **who, **{name: row[name] for name in kept}, "s_12": at[12.0], "s_60": at[60.0],
            "s_120": at[120.0],
            "median_months": min(post.median_time_to(MOST), CENTURY),
            **_never(post),
        })  # fmt: skip
    return made


def _never(post: survival.SurvivalPosterior) -> dict:
    """The share that never resumes, and what the prior alone says of it."""
    levels = np.array(LEVELS)
    names = ("never_low", "never", "never_high", "never_prior_low", "never_prior",
             "never_prior_high")  # fmt: skip
    endless = ENDLESS.get(post.family)
    if endless is None:
        return dict.fromkeys(names, np.nan)
    prior = PRIORS.log_shape if endless == "theta" else PRIORS.logit_cure
    rising = endless == "logit_cure"
    values = []
    for quantile in (getattr(post, endless).quantile, _normal(prior)):
        at = quantile(levels if rising else 1 - levels)
        values += list(never_resuming(post.family, at, at))
    return dict(zip(names, values, strict=True))


def _normal(prior: exact.Normal) -> Callable[[np.ndarray], np.ndarray]:
    mean, sd = prior.one
    return lambda p: mean + sd * special.ndtri(p)


def _predictive(who: dict, facts: pd.DataFrame, ensemble: survival.Ensemble) -> list[dict]:
    """The log density each family, and their average, gave a study's facts from the others."""
    labels = _labels(facts)
    rows = ensemble.leave_one_out().to_dict("records")
    rows += [{"study_id": study, "family": "stacked", "elpd": value}
             for study, value in ensemble.predictive().items()]  # fmt: skip
    return [{**who, "label": labels[row["study_id"]], **row} for row in rows]


def each_left_out(who: dict, facts: pd.DataFrame, ensemble: survival.Ensemble) -> list[dict]:
    """The average without each study in turn; with fewer than `FEWEST` left there is no curve."""
    labels = _labels(facts)
    curves = {NOBODY: ensemble.average}
    if len(ensemble.studies) > FEWEST:
        curves |= {study: ensemble.without(study) for study in ensemble.studies}
    made: list[dict] = []
    whole: dict[float, float] = {}
    for study, curve in curves.items():
        rows = [{"quantity": "survival", "month": row["months"], "median": row["median"],
                 "ci_low": row["ci_low"], "ci_high": row["ci_high"]}
                for row in curve.survival(LEFT_OUT).to_dict("records")]  # fmt: skip
        rows.append({"quantity": "median_duration", "month": np.nan, **_months(curve.time_to())})
        if study == NOBODY:
            whole = {row["quantity"] + f"{row['month']:g}": row["median"] for row in rows}
        made += [
            {**who, "left_out": study, "label": labels.get(study, ""), **row,
             "moved": row["median"] - whole[row["quantity"] + f"{row['month']:g}"]}
            for row in rows
        ]  # fmt: skip
    return made


def _labels(facts: pd.DataFrame) -> dict[str, str]:
    return dict(facts[["study_id", "label"]].drop_duplicates().itertuples(index=False))


def follow_up(who: dict, facts: pd.DataFrame, last: float, share: float) -> dict:
    """How far the durations of an approach reach, and the longest single patient.

    Parameters
    ----------
    who : approach and population.
    facts : of the approach.
    last : the last month that the follow-up bears.
    share : of the printed curve's five years, the share beyond that month.
    """
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


def _names(evidence: Evidence, lines: Iterable[int]) -> list[str]:
    """Content names of rows of independence.csv by their lines."""
    rows = evidence.independence.set_index("line", drop=False)
    return [reference("independence", rows.loc[int(line)]) for line in lines]


def landmarks(evidence: Evidence, facts: pd.DataFrame, strata: pd.DataFrame) -> list[dict]:
    """Printed "k of n" still free, of the studies behind the curves, each with its denominator.

    `all_treated` where n is all treated, `ever_free` where it is the number ever free, else `seen`
    (those a source could follow). The clock starts at treatment, or when insulin was stopped.
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
        clock = independence.time_origin(row)
        low, high = bounds.clopper_pearson(row["k"], row["n_total"])
        made.append({
            "approach": strata.loc[name, "approach"], "population": POPULATION,
            "study_id": name, "label": study["label"],
            "denominator": _denominator(row["n_total"], study, clock), "clock": clock,
            "month": row["months"],
            "k": row["k"], "n": row["n_total"], "share": row["k"] / row["n_total"],
            "ci_low": float(low), "ci_high": float(high),
            "in_model": own in used,
            "source_rows": own,
        })  # fmt: skip
    return [row for row in made if row["approach"] in APPROACHES]


def _denominator(n: float, study: pd.Series, clock: str) -> str:
    """Of whom a printed share is; where all treated became free, its clock decides."""
    fitting = [word for word, size in (("all_treated", study["n_total"]),
                                       ("ever_free", study["k_ever"])) if n == size]  # fmt: skip
    if len(fitting) == 2:
        return "ever_free" if clock == "independence" else "all_treated"
    return fitting[0] if fitting else "seen"


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
