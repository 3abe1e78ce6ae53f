"""What new rows of evidence change: each headline before and after, and what each new study does.

Everything here is an exact fit (`analysis.exact`, or a conjugate count), so the answer takes
seconds; nothing is sampled. The question is therefore narrower than the report's: printed numbers,
controlled and uncontrolled studies apart, the project's priors of mean and heterogeneity, the
pre-post correlation at its central value. A number without a printed spread takes the typical one,
the centre of its prior, and says so. Results in words cannot enter; they are counted, and new ones
are listed.

For a new effect y with standard error s the table gives its shrinkage (how far its own estimate is
pulled towards the mean), its influence (what the mean would be without it) and its surprise: the
two-sided posterior predictive probability, under the posterior before, of an estimate at least as
far out, 2 min(P(Y <= y), P(Y >= y)) with Y ~ theta_new + Normal(0, s^2) (Gelman, Meng and Stern
1996, Stat Sinica 6:733). Without an earlier study the prior predictive stands in, and is named.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from analysis import durations, effects, evidence, exact, harms, priors
from analysis.crosscheck import DESIGN_LABEL
from analysis.evidence import Evidence
from analysis.models.change import GOOD_SIGN, OUTCOMES
from analysis.models.safety import NO_RATE, conjugate_rate, conjugate_risk

HEADLINE_COLUMNS = ["outcome", "group", "unit", "k_before", "k_after", "n_before", "n_after",
                    "words_before", "words_after", "mean_before", "ci_low_before",
                    "ci_high_before", "mean_after", "ci_low_after", "ci_high_after", "shift",
                    "shift_in_sd", "p_good_before", "p_good_after", "changed"]  # fmt: skip
EFFECT_COLUMNS = ["effect_id", "study_id", "outcome", "group", "unit", "status", "y", "se",
                  "shrunk_mean", "shrunk_low", "shrunk_high", "shrinkage", "weight",
                  "mean_with", "mean_without", "influence_in_sd", "surprise_p", "against",
                  "spread", "replaces"]  # fmt: skip
FACT_COLUMNS = ["table", "added", "removed", "changed"]

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(64)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True)
class Difference:
    """What changed between two states of the evidence.

    Attributes
    ----------
    facts : rows added, removed and changed in each evidence table (`FACT_COLUMNS`).
    headlines : each pooled answer before and after (`HEADLINE_COLUMNS`).
    effects : each headline effect that is new or changed (`EFFECT_COLUMNS`).
    """

    facts: pd.DataFrame
    headlines: pd.DataFrame
    effects: pd.DataFrame


# --- the two states ------------------------------------------------------------------------------


class NoBase(RuntimeError):
    """The state to compare with cannot be had; the message says why."""


def load_base(base: str | Path, raw: Path = evidence.RAW) -> Evidence:
    """The evidence to compare with: a folder, or `raw` as it was at a git revision.

    Raises
    ------
    NoBase : neither a folder nor a revision that holds the tables.
    EvidenceError : the tables there have faults.
    """
    if Path(base).is_dir():
        return evidence.load(Path(base))
    with tempfile.TemporaryDirectory(prefix="isletmeta-") as folder:
        found = 0
        for name in evidence.TABLES:
            data = _git(["show", "--end-of-options", f"{base}:./{name}"], Path(raw))
            if data is not None:
                (Path(folder) / name).write_bytes(data)
                found += 1
        if not found:
            raise NoBase(f"{base}: neither a folder nor a git revision that holds {raw}")
        return evidence.load(Path(folder))


def _git(words: list[str], where: Path) -> bytes | None:
    """What git prints, run in a folder; None where it fails or is not there."""
    try:
        done = subprocess.run(["git", *words], cwd=where, capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


# --- the comparison ------------------------------------------------------------------------------


def compare(before: Evidence, after: Evidence) -> Difference:
    """What the evidence `after` changes against `before`."""
    old, new = (effects.build(state).effects for state in (before, after))
    headlines, rows = [], []
    for outcome in OUTCOMES:
        for controlled in (True, False):
            parts = [_pool(table, outcome, controlled) for table in (old, new)]
            if parts[0].everything.empty and parts[1].everything.empty:
                continue
            headlines.append(_headline(outcome, controlled, *parts))
            rows += _new_effects(outcome, controlled, *parts)
    headlines += _counts(before, after)
    return Difference(
        _facts(before, after),
        pd.DataFrame(headlines, columns=HEADLINE_COLUMNS),
        pd.DataFrame(rows, columns=EFFECT_COLUMNS),
    )


def _facts(before: Evidence, after: Evidence) -> pd.DataFrame:
    """Rows added, removed and changed, by the key of each table."""
    rows = []
    for file, key in evidence.KEYS.items():
        name = "published" if file.startswith("published") else file.removesuffix(".csv")
        old, new = (_keyed(getattr(state, name), key) for state in (before, after))
        both = old.keys() & new.keys()
        rows.append(
            (file, len(new.keys() - old.keys()), len(old.keys() - new.keys()),
             sum(old[name] != new[name] for name in both))
        )  # fmt: skip
    return pd.DataFrame(rows, columns=FACT_COLUMNS)


def _keyed(table: pd.DataFrame, key: tuple[str, ...]) -> dict[tuple, tuple]:
    """Key of a row -> its cells as text (blank numbers alike), the line left out."""
    plain = table.drop(columns="line").astype(object)
    plain = plain.where(plain.notna(), "").map(str)
    names = plain[list(key)].itertuples(index=False, name=None)
    return dict(zip(names, plain.itertuples(index=False, name=None), strict=True))


@dataclass(frozen=True)
class _Pool:
    """The headline effects of one outcome and design, and the exact fit of its numbers."""

    outcome: str
    everything: pd.DataFrame
    numbers: pd.DataFrame
    fit: exact.ExactPosterior | None


def _pool(table: pd.DataFrame, outcome: str, controlled: bool) -> _Pool:
    chosen = effects.headline(table, outcome)
    chosen = chosen[chosen["controlled"].astype(bool) == controlled]
    typical = np.exp(priors.get(outcome, "log_sd").params[0]) * np.sqrt(chosen["n_factor"])
    chosen = chosen.assign(se=effects.se(chosen))
    chosen["spread"] = np.where(chosen["se"] > 0, "printed", "typical")
    chosen["se"] = chosen["se"].where(chosen["se"] > 0, typical)
    usable = chosen["kind"].eq("numeric") & (chosen["se"] > 0)
    numbers = chosen[usable].set_index("effect_id", drop=False)
    return _Pool(outcome, chosen, numbers, _fit(numbers, outcome))


def _fit(numbers: pd.DataFrame, outcome: str) -> exact.ExactPosterior | None:
    if numbers.empty:
        return None
    return exact.fit(
        numbers["y"].astype(float),
        numbers["se"].astype(float),
        mu_prior=exact.Normal(0.0, priors.get(outcome, "mu").scale),
        tau_prior=exact.HalfNormal(priors.get(outcome, "tau").scale),
    )


def _headline(outcome: str, controlled: bool, old: _Pool, new: _Pool) -> dict:
    row = {"outcome": outcome, "group": DESIGN_LABEL[controlled], "unit": effects.OUTCOMES[outcome]}
    for when, part in (("before", old), ("after", new)):
        row |= {
            f"k_{when}": len(part.numbers),
            f"n_{when}": part.numbers["n_patients"].sum(),
            f"words_{when}": len(part.everything) - len(part.numbers),
        }
        if part.fit is not None:
            low, high = part.fit.mu.interval()
            below = float(part.fit.mu.cdf(0.0))
            row |= {
                f"mean_{when}": part.fit.mu.mean,
                f"ci_low_{when}": low,
                f"ci_high_{when}": high,
                f"p_good_{when}": 1 - below if GOOD_SIGN[outcome] > 0 else below,
            }
    return _shifted(row, old.fit.mu.sd if old.fit else np.nan)


def _shifted(row: dict, sd_before: float) -> dict:
    """The row with how far the mean moved, also in posterior SDs before."""
    shift = row.get("mean_after", np.nan) - row.get("mean_before", np.nan)
    counts = ("k", "n", "words")
    same = all(row.get(f"{x}_before") == row.get(f"{x}_after") for x in counts)
    ends = ("mean", "ci_low", "ci_high")
    same &= all(
        np.isclose(row.get(f"{x}_before", np.nan), row.get(f"{x}_after", np.nan), equal_nan=True)
        for x in ends
    )
    return {**row, "shift": shift, "shift_in_sd": shift / sd_before, "changed": not same}


# --- new effects ---------------------------------------------------------------------------------


def _new_effects(outcome: str, controlled: bool, old: _Pool, new: _Pool) -> list[dict]:
    """One row for each headline effect that was not there before, or not with these numbers."""
    known = {row["effect_id"]: _numbers(row) for row in old.everything.to_dict("records")}
    gone = old.everything[~old.everything["effect_id"].isin(new.everything["effect_id"])]
    rows = []
    for row in new.everything.to_dict("records"):
        name = row["effect_id"]
        if known.get(name) == _numbers(row):
            continue
        replaced = gone.loc[gone["cohort"] == row["cohort"], "effect_id"]
        found = {
            "effect_id": name,
            "study_id": row["study_id"],
            "outcome": outcome,
            "group": DESIGN_LABEL[controlled],
            "unit": effects.OUTCOMES[outcome],
            "status": "changed" if name in known else "new",
            "y": row["y"],
            "se": row["se"] if name in new.numbers.index else np.nan,
            "spread": row["spread"] if name in new.numbers.index else "",
            "replaces": ";".join(replaced),
        }
        if name in new.numbers.index:
            found |= _influence(name, new)
            found |= _surprise(row, old)
        else:
            found["against"] = "in words: not in the exact fit"
        rows.append(found)
    return rows


def _numbers(row: dict) -> tuple:
    """What makes an effect the same number or statement."""
    values = [row[name] for name in ("y", "se", "z_low", "z_high", "n_patients")]
    return (row["kind"], *(None if value != value else round(float(value), 10) for value in values))


def _influence(name: str, pool: _Pool) -> dict:
    """Shrinkage of one study in the fit with it, and the mean without it."""
    study = pool.fit.shrinkage.loc[name]
    y, mean = float(pool.numbers.loc[name, "y"]), pool.fit.mu.mean
    rest = _fit(pool.numbers.drop(index=name), pool.outcome)
    without = rest.mu.mean if rest else 0.0  # without any study the prior mean, zero, is left
    sd = rest.mu.sd if rest else priors.get(pool.outcome, "mu").scale
    return {
        "shrunk_mean": study["mean"],
        "shrunk_low": study["ci_low"],
        "shrunk_high": study["ci_high"],
        "shrinkage": (y - study["mean"]) / (y - mean) if y != mean else np.nan,
        "weight": study["weight"],
        "mean_with": mean,
        "mean_without": without,
        "influence_in_sd": (mean - without) / sd,
    }


def _surprise(row: dict, old: _Pool) -> dict:
    y, se = float(row["y"]), float(row["se"])
    if old.fit is None:
        below = prior_predictive_cdf(y, se, old.outcome)
        against = "prior: no study before"
    else:
        below = predictive_cdf(y, se, old.fit)
        count = len(old.numbers)
        against = f"posterior of {count} {'study' if count == 1 else 'studies'}"
        if row["effect_id"] in old.numbers.index or row["cohort"] in set(old.numbers["cohort"]):
            against += ", an earlier number of these patients among them"
    return {"surprise_p": 2 * min(below, 1 - below), "against": against}


def predictive_cdf(y: float, se: float, fit: exact.ExactPosterior) -> float:
    """P(a new study with standard error `se` prints at most y), under the posterior.

    The mean over its sampling error of the distribution function of a new study's true effect, by
    Gauss-Hermite quadrature.
    """
    return float(np.clip(_WEIGHTS @ fit.predictive.cdf(y - se * _NODES), 0, 1))


def prior_predictive_cdf(y: float, se: float, outcome: str) -> float:
    """The same under the prior: mu ~ Normal(0, .), tau ~ HalfNormal(.), by quantiles of tau."""
    levels = (np.arange(2000) + 0.5) / 2000
    tau = priors.get(outcome, "tau").scale * stats.halfnorm.ppf(levels)
    spread = np.sqrt(priors.get(outcome, "mu").scale ** 2 + tau**2 + se**2)
    return float(stats.norm.cdf(y / spread).mean())


# --- counts --------------------------------------------------------------------------------------


def _counts(before: Evidence, after: Evidence) -> list[dict]:
    """Shares ever insulin-independent and rates of harm, pooled as if all cohorts were alike."""
    rows = []
    ever = [_ever(state) for state in (before, after)]
    for group in ("all", "T1D", "T2D"):
        parts = [t if group == "all" else t[t["diabetes_type"] == group] for t in ever]
        names = ("ever_independent", group, "share of patients")
        if any(len(part) for part in parts):
            rows.append(_conjugate(*names, *((p, p["k"].sum(), p["n"].sum()) for p in parts)))
    harm = [_harms(state) for state in (before, after)]
    kinds = sorted({kind for table in harm for kind in table.groups if kind[0] not in NO_RATE})
    for kind in kinds:
        parts = [t.get_group(kind) if kind in t.groups else t.obj.iloc[:0] for t in harm]
        names = ("safety", ":".join(kind), "per 100 patient-years")
        rows.append(
            _conjugate(*names, *((p, p["events"].sum(), p["patient_years"].sum()) for p in parts))
        )
    return rows


def _ever(state: Evidence) -> pd.DataFrame:
    counts, _ = durations.ever_counts(state)
    return counts[counts["bound"] == "exact"]


def _harms(state: Evidence):
    rows = harms.table(state).rows
    exact_counts = (rows["arm"] == "treated") & (rows["bound"] == "exact")
    return rows[exact_counts & rows["patient_years"].gt(0)].groupby(["event_category", "relation"])


def _conjugate(outcome: str, group: str, unit: str, old: tuple, new: tuple) -> dict:
    """Beta (share) or Gamma (rate) posteriors under Jeffreys' prior, before and after."""
    row = {"outcome": outcome, "group": group, "unit": unit}
    sd_before = np.nan
    for when, (part, events, total) in (("before", old), ("after", new)):
        size = "n" if outcome == "ever_independent" else "n_at_risk"
        row |= {f"k_{when}": len(part), f"n_{when}": part[size].sum(), f"words_{when}": 0}
        if not len(part):
            continue
        if outcome == "ever_independent":
            posterior = conjugate_risk(events, total)
        else:
            posterior = conjugate_rate(events, total)
        low, high = posterior.ppf([0.025, 0.975])
        row |= {f"mean_{when}": posterior.mean(), f"ci_low_{when}": low, f"ci_high_{when}": high}
        if when == "before":
            sd_before = posterior.std()
    return _shifted(row, sd_before)
