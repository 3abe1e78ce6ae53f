"""Shares of patients: ever insulin-free, insulin-free at one year, responders, by quadrature.

For each approach and population: all patients counted together with an exact interval (no model),
and, from two cohorts on, the binomial-normal model with zeros and lower bounds kept. Studies that
count a control arm too are compared within themselves.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis import exact, outcomes, priors
from analysis.central import LEVELS
from analysis.cohorts import in_population
from analysis.cohorts import strata as strata_of
from analysis.counting import ever_free, share_facts
from analysis.evidence import Evidence
from analysis.evidence.references import renamed
from analysis.exact import bounds
from analysis.questions import STRATA
from analysis.sensitivity import share_multiverse
from analysis.stages.result import StageResult, Tell, stage_result

THRESHOLDS = (0.1, 0.5)
FEWEST = 2
SHRUNK = ["shrunk_median", "shrunk_low", "shrunk_high"]
UNSHOWN = ["patients", "randomised", "not_counted", "n_seen", "bound_seen", "seen_in"]
"""What a fact of `responders.COLUMNS` has for the analyses beside the headline."""
DRAWS = 4001
"""Points of the grid on which two Beta posteriors are compared."""
RATIOS = (1e-3, 1e4)
"""Between these a ratio of shares is looked for; one beyond is told as that end."""


def run(evidence: Evidence, *, progress: Tell = lambda part: None) -> StageResult:
    """Every share of every stratum.

    Returns
    -------
    StageResult with estimates (pooled_share, share, share_above) and the tables share_facts,
    share_contrasts, share_exclusions, share_multiverse, share_levels, share_standing.
    """
    counted = share_facts.table(evidence)
    rows: list[dict] = []
    facts = counted.facts.assign(**dict.fromkeys(SHRUNK, np.nan))
    for outcome in outcomes.of_kind(outcomes.COUNT):
        progress(outcome)
        mine = facts[facts["outcome"] == outcome]
        for approach, population in STRATA:
            own = mine[mine["approach"].eq(approach)]
            own = own[in_population(own["population"], population)]
            if own.empty:
                continue
            stratum = {"outcome": outcome, "approach": approach, "population": population}
            rows += pooled(stratum, own)
            for cell_class, part in own.groupby("cell_class"):
                if len(set(own["cell_class"])) > 1 and population in ("t1d", "t2d"):
                    rows += pooled({**stratum, "cell_class": cell_class}, part)
            if len(own) >= FEWEST:
                made, shrunk = modelled(stratum, own)
                rows += made
                if population in ("t1d", "t2d"):
                    facts.loc[own.index, SHRUNK] = shrunk
    left = counted.exclusions
    left = left.assign(source_row=[renamed(evidence, row) for row in left["source_row"]])
    tables = {
        **facts_and_contrasts(evidence, facts),
        "share_exclusions": left.drop_duplicates("source_row"),
        **multiverse(evidence, facts, progress),
    }
    return stage_result(rows, tables)


def multiverse(
    evidence: Evidence, facts: pd.DataFrame, progress: Tell = lambda part: None
) -> dict[str, pd.DataFrame]:
    """The tables share_multiverse, share_levels and share_standing of every headline share."""
    shares = share_multiverse.Shares(evidence)
    names = ("share_multiverse", "share_levels", "share_standing")
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in names}
    for stratum in share_multiverse.strata(facts):
        progress(f"multiverse of {stratum['outcome']}")
        for name, table in zip(names, share_multiverse.explore(shares, stratum), strict=True):
            found[name].append(table)
    return {name: pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
            for name, parts in found.items()}  # fmt: skip


def facts_and_contrasts(evidence: Evidence, facts: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The tables share_facts and share_contrasts.

    Parameters
    ----------
    facts : counts (`share_facts.COLUMNS`), and each study's share given the others (`shrunk_*`)
        where it was computed.
    """
    n = facts["n"].to_numpy()
    facts = facts.assign(
        ci_low=bounds.clopper_pearson(facts["k"].to_numpy(), n)[0],
        ci_high=bounds.clopper_pearson(share_facts.most(facts), n)[1],
        source_rows=[renamed(evidence, rows) for rows in facts["source_rows"]],
    )
    absent = [name for name in SHRUNK if name not in facts]
    shown = facts.assign(**dict.fromkeys(absent, np.nan))
    return {
        "share_facts": shown.drop(columns=UNSHOWN),
        "share_contrasts": contrasts(evidence, facts),
    }


def pooled(stratum: dict, facts: pd.DataFrame) -> list[dict]:
    """All patients counted together: exact (Clopper–Pearson) interval, no model.

    Where a count is a lower bound the share is one. Its interval then ends where that of the most
    it can be does (`share_facts.most`): whatever the true count, the interval holds with at least
    its chance. Where all may be, it has no upper end.
    """
    k, n = facts["k"].sum(), facts["n"].sum()
    low = bounds.clopper_pearson(k, n)[0]
    high = bounds.clopper_pearson(share_facts.most(facts).sum(), n)[1]
    months = facts["month"].dropna()
    first, last = months.min(), months.max()  # NaN where nothing says when
    span = f"{first:g}" if first == last else f"{first:g} to {last:g}"
    note = [f"counted at {span} months"] if len(months) else []
    least = facts[facts["bound"].eq("at_least")]
    if least["not_counted"].notna().any():
        note.append("at least: not all treated were counted in every cohort")
    if least["not_counted"].isna().any():
        note.append("at least: the count of a source is a lower bound itself")
    return [{**stratum, "quantity": "pooled_share", "scale": "share", "unit": "share",
             "k_studies": len(facts), "n_patients": n, "mean": k / n, "median": k / n,
             "ci_low": float(low), "ci_high": float(high),
             "note": "; ".join(note)}]  # fmt: skip


def fit_shares(facts: pd.DataFrame) -> exact.CountPosterior:
    """The posterior of the share of some cohorts: k, n, bound, not_counted and study_id."""
    mu, tau = (priors.get("ever_independent", name) for name in ("mu", "tau"))
    return exact.fit_shares(
        facts["k"], facts["n"], mu_prior=exact.Normal(*mu.params),
        tau_prior=exact.HalfNormal(tau.scale), at_least=facts["bound"].eq("at_least"),
        most=share_facts.most(facts), labels=list(facts["study_id"]),
    )  # fmt: skip


def modelled(stratum: dict, facts: pd.DataFrame) -> tuple[list[dict], np.ndarray]:
    """The share of a typical study and of a new one, and each study's own given the others."""
    post = fit_shares(facts)
    mean, new = post.mean_study, post.new_study
    low, high = mean.interval()
    pred_low, pred_high = new.interval()
    base = {**stratum, "k_studies": len(facts), "n_patients": facts["n"].sum()}
    rows = [{**base, "quantity": "share", "scale": "share", "unit": "share", "mean": mean.mean,
             "median": mean.median, "sd": mean.sd, "ci_low": low, "ci_high": high,
             "pred_low": pred_low, "pred_high": pred_high,
             "tau": post.tau.median if post.tau is not None else np.nan}]  # fmt: skip
    rows += [
        {**base, "quantity": "share_above", "threshold": limit, "scale": "probability",
         "unit": "probability", "mean": 1 - float(mean.cdf(limit))}
        for limit in THRESHOLDS
    ]  # fmt: skip
    shrunk = post.shrinkage[["median", "ci_low", "ci_high"]].to_numpy()
    return rows, shrunk


def contrasts(evidence: Evidence, facts: pd.DataFrame) -> pd.DataFrame:
    """Studies that count a share in a treated and in a control arm (Jeffreys, by quadrature).

    Freedom from insulin takes every study with a control arm, also where another report of the
    same patients gives the pooled count: a contrast is within a study.
    """
    studies = evidence.studies.set_index("study_id")
    strata = strata_of(evidence.studies).set_index(evidence.studies["study_id"].to_numpy())
    free = ever_free.ever_contrasts(evidence).assign(outcome="ever_insulin_free")
    goals = facts[facts["n_control"].gt(0) & facts["outcome"].ne("ever_insulin_free")]
    rows = []
    for row in [*free.to_dict("records"), *goals.to_dict("records")]:
        name = row["study_id"]
        ratio = ratio_of_shares(row["k"], row["n"], row["k_control"], row["n_control"])
        counts = {key: row[key] for key in ("outcome", "study_id", "label", "k", "n", "k_control",
                  "n_control", "source_rows")}  # fmt: skip
        counts["source_rows"] = renamed(evidence, counts["source_rows"])
        rows.append({
            **counts, **ratio, "approach": strata.loc[name, "approach"],
            "population": strata.loc[name, "population"],
            "randomised": "yes" if studies.loc[name, "design"] == "rct" else "no",
        })  # fmt: skip
    return pd.DataFrame(rows)


def ratio_of_shares(k: float, n: float, k_control: float, n_control: float) -> dict[str, float]:
    """Ratio of two shares with independent Jeffreys posteriors, by quadrature on a fixed grid.

    P(p1 / p2 <= x) = integral of F1(x p2) over the posterior of p2, evaluated at evenly spaced
    quantiles of p2; the quantiles of the ratio by root-finding on its log.
    """
    from scipy import optimize, special

    p2 = special.betaincinv(
        k_control + 0.5, n_control - k_control + 0.5, (np.arange(DRAWS) + 0.5) / DRAWS
    )

    def below(log_x: float) -> float:
        return float(
            special.betainc(k + 0.5, n - k + 0.5, np.minimum(np.exp(log_x) * p2, 1.0)).mean()
        )

    def quantile(level: float) -> float:
        least, most = np.log(RATIOS)
        if below(least) >= level:
            return RATIOS[0]
        if below(most) <= level:
            return RATIOS[1]
        return float(np.exp(optimize.brentq(lambda x: below(x) - level, least, most, xtol=1e-10)))

    low, median, high = (quantile(level) for level in LEVELS)
    return {"risk_ratio": median, "rr_low": low, "rr_high": high,
            "probability_higher": 1 - below(0.0)}  # fmt: skip
