"""What new rows of evidence change: each headline before and after, and what each new study does.

The headlines are the report's own: the same strata, designs, rules, priors and the same exact
posterior, results in words, unknown SDs and unknown r included (`questions`); nothing is
sampled, so the answer takes seconds. Only headlines that the new rows touch are computed, and only
what was computed is told.

For a new result the table gives its weight in the mean and its surprise: the two-sided posterior
predictive probability, under the posterior before, of a result at least as far out (Gelman, Meng
and Stern 1996, Stat Sinica 6:733). For a number y with standard error s it is
2 min(P(Y <= y), P(Y >= y)) with Y ~ theta_new + Normal(0, s^2); for a result that is known to lie
between two bounds, the same for the bound that is nearest to what was expected. Without an earlier
study the prior predictive stands in, and is named.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from analysis import effects, evidence, outcomes, priors, questions
from analysis.difference import counted, lasting
from analysis.evidence import Evidence
from analysis.exact import contrasts
from analysis.exact.contrasts import ContrastPosterior, ContrastPriors
from analysis.questions import Body, Question
from analysis.records import records
from analysis.stages import headlines

HEADLINE_COLUMNS = ["outcome", "approach", "population", "design", "unit",
                    *(f"{name}_{when}" for when in ("before", "after") for name in (
                        "told", "k", "n", "words", "better", "null", "worse", "untested", "mean",
                        "ci_low", "ci_high", "p_good", "certainty")),
                    "shift_in_sd", "why"]  # fmt: skip
EFFECT_COLUMNS = ["effect_id", "study_id", "outcome", "approach", "population", "design", "unit",
                  "status", "kind", "y", "se", "spread", "weight", "influence_in_sd", "surprise_p",
                  "against", "replaces"]  # fmt: skip
VERDICT_COLUMNS = ["claim_id", "claim", "before", "after"]
FACT_COLUMNS = ["table", "added", "removed", "changed"]

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(32)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True)
class Difference:
    """What changed between two states of the evidence.

    Attributes
    ----------
    facts : rows added, removed and changed in each evidence table (`FACT_COLUMNS`).
    headlines : each headline that the change touches, before and after (`HEADLINE_COLUMNS`), on
        the scale readers see (ratios as ratios).
    effects : each result of these headlines that is new or changed (`EFFECT_COLUMNS`).
    counted : each share and rate that the change touches (`counted.COLUMNS`).
    durations : each duration that the change touches (`lasting.COLUMNS`).
    verdicts : each claim whose verdict changed (`VERDICT_COLUMNS`); told by `judging`.
    posteriors : question -> posterior before and after, None where none is computed.
    counted_before, counted_after : the touched estimates of shares and rates in either state.
    counts : what either state counts, before and after.
    lasting : what either state tells of durations, before and after.
    lasted : `estimates` and `duration_follow_up` of the touched approaches, before and after.
    remark : what could not be told, "" where nothing.
    """

    facts: pd.DataFrame
    headlines: pd.DataFrame
    effects: pd.DataFrame
    counted: pd.DataFrame
    durations: pd.DataFrame
    verdicts: pd.DataFrame
    posteriors: dict[Question, tuple[ContrastPosterior | None, ContrastPosterior | None]]
    counted_before: pd.DataFrame
    counted_after: pd.DataFrame
    counts: tuple[counted.Counts, counted.Counts]
    lasting: tuple[lasting.Durations, lasting.Durations]
    lasted: dict[str, list[pd.DataFrame]]
    remark: str = ""


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


def compare(before: Evidence, after: Evidence, out: Path | None = None) -> Difference:
    """What the evidence `after` changes against `before`, but for certainty and verdicts.

    Parameters
    ----------
    before, after : the two states.
    out : a folder of tracked results: durations of the state they are of need no fit.
    """
    old, new = _State(before), _State(after)
    rows: list[dict] = []
    found: list[dict] = []
    posteriors = {}
    for question in _questions(old, new):
        why = _touched(question, old, new)
        if not why:
            continue
        posteriors[question] = (old.computed(question), new.computed(question))
        fits = (old.printed(question), new.printed(question))
        row = {**question.parts, "unit": _unit(question.outcome), "why": why}
        for when, state, fit in zip(("before", "after"), (old, new), fits, strict=True):
            figures = {**_figures(question, state.rows(question), fit), "certainty": ""}
            row |= {f"{name}_{when}": value for name, value in figures.items()}
        rows.append(row | {"shift_in_sd": _shift(*fits)})
        found += _new_results(question, old, new)
    counts = (counted.of(before), counted.of(after))
    shares_and_rates, counted_before, counted_after = counted.compare(*counts)
    durations = (
        lasting.of(before, counts[0].shares, out), lasting.of(after, counts[1].shares, out)
    )  # fmt: skip
    how_long, lasted = lasting.compare(*durations)
    return Difference(
        _facts(before, after),
        pd.DataFrame(rows, columns=HEADLINE_COLUMNS),
        pd.DataFrame(found, columns=EFFECT_COLUMNS),
        shares_and_rates,
        how_long,
        pd.DataFrame(columns=VERDICT_COLUMNS),
        posteriors,
        counted_before,
        counted_after,
        counts,
        durations,
        lasted,
    )


class _State:
    """One state of the evidence: the rows of each question, and posteriors, each fitted once."""

    def __init__(self, body: Evidence):
        self.body = Body(body)
        self._fits: dict[tuple, ContrastPosterior] = {}
        self.rows = lru_cache(maxsize=None)(self.body.rows)
        self.teachers = lru_cache(maxsize=None)(self._taught)

    def effects(self, outcome: str) -> pd.DataFrame:
        """Every effect of an outcome."""
        table = self.body.built().effects
        return table[table["outcome"] == outcome]

    def _taught(self, outcome: str) -> pd.DataFrame:
        """The contrasts that teach the spread of an outcome, whatever their stratum."""
        return self.body.teachers(Question(outcome, *questions.STRATA[0], "controlled"))

    def posterior(self, question: Question) -> ContrastPosterior | None:
        """The posterior of a question; the same where two questions have the same rows."""
        rows = self.rows(question)
        if rows.empty:
            return None
        key = (question.outcome, question.design == "uncontrolled", *rows["effect_id"])
        if key not in self._fits:
            self._fits[key] = questions.posterior_of(self.body, question)
        return self._fits[key]

    def computed(self, question: Question) -> ContrastPosterior | None:
        """The posterior where the report computes one, printed as a mean or a sensitivity."""
        fitted = headlines.is_fitted(question, self.rows(question))
        return self.posterior(question) if fitted else None

    def printed(self, question: Question) -> ContrastPosterior | None:
        """The posterior where the report prints its mean."""
        told = questions.told_as(question.outcome, self.rows(question))
        return self.posterior(question) if told == questions.MEAN else None


def _questions(old: _State, new: _State) -> list[Question]:
    """The headlines that may differ: outcome by outcome, controlled contrasts first.

    Those of an approach in which an effect differs; of every approach where a spread is taught
    differently.
    """
    asked = []
    for outcome in outcomes.of_kind(outcomes.CONTINUOUS):
        before, after = (state.effects(outcome) for state in (old, new))
        was, now = _signature(before), _signature(after)
        differ = {name for name in was.keys() | now.keys() if was.get(name) != now.get(name)}
        if not differ:
            continue
        both = pd.concat([before, after])
        approaches = set(both.loc[both["effect_id"].isin(differ), "approach"])
        if _signature(old.teachers(outcome)) != _signature(new.teachers(outcome)):
            approaches = set(questions.APPROACHES)
        asked += [
            Question(outcome, approach, population, design)
            for design in questions.DESIGNS
            for approach, population in questions.STRATA
            if approach in approaches
        ]
    return asked


def _touched(question: Question, old: _State, new: _State) -> str:
    """Why a headline differs: "results", "teachers" of a spread alone, or "" where it does not."""
    before, after = (state.rows(question) for state in (old, new))
    if _signature(before) != _signature(after):
        return "results"
    printed = questions.told_as(question.outcome, after) == questions.MEAN
    needs = printed and not np.isfinite(after["var_a"].astype(float)).all()
    if needs and _signature(old.teachers(question.outcome)) != _signature(
        new.teachers(question.outcome)
    ):
        return "teachers"
    return ""


def _signature(rows: pd.DataFrame) -> dict[str, tuple]:
    """Effect id -> what makes it the same number or statement."""
    names = ("y", "var_a", "var_b", "n_factor", "z_low", "z_high", "n_patients",
             "headline_controlled", "headline_uncontrolled", "randomised")  # fmt: skip
    numbers = np.round(rows[list(names)].to_numpy(dtype=float), 10).tolist()
    return {
        effect: (kind, *(None if value != value else value for value in values))
        for effect, kind, values in zip(
            rows["effect_id"].tolist(), rows["kind"].tolist(), numbers, strict=True
        )
    }


def _figures(question: Question, rows: pd.DataFrame, fit: ContrastPosterior | None) -> dict:
    """What the report tells of a question; `fit` is None where it prints no mean."""
    about = outcomes.get(question.outcome)
    sides = about.good * questions.direction(rows) if len(rows) else np.array([])
    figures = {
        "told": questions.told_as(question.outcome, rows),
        "k": len(rows),
        "n": rows["n_patients"].astype(float).sum(),
        "words": int(rows["kind"].ne("numeric").sum()),
        "better": int((sides > 0).sum()),
        "null": int((sides == 0).sum()),
        "worse": int((sides < 0).sum()),
        "untested": int(np.isnan(sides).sum()),
    }
    if figures["told"] == questions.STUDY and rows["kind"].iloc[0] == "numeric":
        y, reach = float(rows["y"].iloc[0]), questions.SIGNIFICANT * effects.se(rows)[0]
        figures |= {"mean": about.shown(y), "ci_low": about.shown(y - reach),
                    "ci_high": about.shown(y + reach)}  # fmt: skip
    if fit is not None:
        below = float(fit.mu.cdf(0.0))
        low, high = fit.mu.interval()
        figures |= {
            "mean": about.shown(fit.mu.mean),
            "ci_low": about.shown(low),
            "ci_high": about.shown(high),
            "p_good": 1 - below if about.good > 0 else below,
        }
    return figures


def _unit(outcome: str) -> str:
    about = outcomes.get(outcome)
    return "ratio" if about.is_ratio else about.unit


def _shift(before: ContrastPosterior | None, after: ContrastPosterior | None) -> float:
    """How far the mean moved, in posterior SDs before; NaN where there was none."""
    if before is None or after is None:
        return np.nan
    return (after.mu.mean - before.mu.mean) / before.mu.sd


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
    columns = [name for name in table if name != "line"]
    cells = [["" if cell != cell else str(cell) for cell in table[name].tolist()]
             for name in columns]  # fmt: skip
    named = zip(*(cells[columns.index(name)] for name in key), strict=True)
    return dict(zip(named, zip(*cells, strict=True), strict=True))


# --- new results ---------------------------------------------------------------------------------


def _new_results(question: Question, old: _State, new: _State) -> list[dict]:
    """One row for each result of a question that was not there before, or not so."""
    was, now = old.rows(question), new.rows(question)
    known, here = _signature(was), _signature(now)
    gone = was[~was["effect_id"].isin(now["effect_id"])]
    fresh = [
        (place, row)
        for place, row in enumerate(records(now))
        if known.get(row["effect_id"]) != here[row["effect_id"]]
    ]
    if not fresh:
        return []
    before, after = old.posterior(question), new.printed(question)
    rows = []
    for place, row in fresh:
        alone = len(fresh) == 1 and gone.empty and row["effect_id"] not in known
        without = old.printed(question) if alone else _without(question, new, place)
        se = _standard_error(row, place, before, new.posterior(question))
        surprise, against = _surprise(row, se, question.outcome, before, len(was))
        if row["patients"] in set(was["patients"]):
            against += ", an earlier result of these patients among them"
        rows.append(
            {
                **question.parts,
                "effect_id": row["effect_id"],
                "study_id": row["study_id"],
                "unit": outcomes.get(question.outcome).unit,
                "status": "changed" if row["effect_id"] in known else "new",
                "kind": row["kind"],
                "y": row["y"],
                "se": se,
                "spread": "printed" if np.isfinite(row["var_a"]) else "learnt",
                "weight": _weight(after, place),
                "influence_in_sd": _shift(without, after),
                "surprise_p": surprise,
                "against": against,
                "replaces": ";".join(gone.loc[gone["patients"] == row["patients"], "effect_id"]),
            }
        )
    return rows


def _weight(after: ContrastPosterior | None, place: int) -> float:
    """The share of a result in the information on a printed mean."""
    return np.nan if after is None else float(after.shrinkage["weight"].iloc[place])


def _without(question: Question, state: _State, place: int) -> ContrastPosterior | None:
    """The posterior without one result, which then teaches no spread; None without a mean."""
    rows = state.rows(question)
    rest = rows.drop(index=place).reset_index(drop=True)
    if questions.told_as(question.outcome, rest) != questions.MEAN:
        return None
    left = state.teachers(question.outcome)
    left = left[left["effect_id"] != rows["effect_id"].iloc[place]]
    return contrasts.fit(rest, ContrastPriors.of(question.outcome), teachers=left)


def _standard_error(
    row: Mapping, place: int, before: ContrastPosterior | None, after: ContrastPosterior | None
) -> float:
    """The standard error of a result: printed, at the posterior mean of r; else as learnt."""
    if before is not None and "log_sd" in before.nuisance.index:
        table = before.nuisance["mean"]
        if np.isfinite(row["var_a"]):
            return float(np.sqrt(row["var_a"] - table["r"] * row["var_b"]))
        return float(np.exp(table["log_sd"]) * np.sqrt(row["n_factor"]))
    return float(after.standard_errors[place]) if after is not None else np.nan


def _surprise(
    row: Mapping, se: float, outcome: str, before: ContrastPosterior | None, k: int
) -> tuple[float, str]:
    """The two-sided predictive probability of a result, and under what."""
    if before is None:
        against = "the prior: no result before"

        def below(value: float) -> float:
            return prior_predictive_cdf(value, se, outcome)
    else:
        against = f"the posterior of {k} {'study' if k == 1 else 'studies'}"

        def below(value: float) -> float:
            return predictive_cdf(value, se, before)

    if row["kind"] == "numeric":
        low = high = float(row["y"])
    else:
        low, high = float(row["z_low"]) * se, float(row["z_high"]) * se
    if row["kind"] == "two_points":
        outside = below(low) + 1 - below(high)
        return 2 * min(outside, 1 - outside), against
    above = 1.0 if low == -np.inf else 1 - below(low)
    under = 1.0 if high == np.inf else below(high)
    return min(1.0, 2 * min(above, under)), against


def predictive_cdf(y: float, se: float, posterior: ContrastPosterior) -> float:
    """P(a new study with standard error `se` gives at most y), under the posterior.

    The mean over its sampling error of the distribution function of a new study's true effect, by
    Gauss-Hermite quadrature.
    """
    return float(np.clip(_WEIGHTS @ posterior.predictive.cdf(y - se * _NODES), 0, 1))


def prior_predictive_cdf(y: float, se: float, outcome: str) -> float:
    """The same under the prior: mu ~ Normal(0, .), tau ~ HalfNormal(.), by quantiles of tau."""
    levels = (np.arange(2000) + 0.5) / 2000
    tau = priors.get(outcome, "tau").scale * special.ndtri((1 + levels) / 2)
    spread = np.sqrt(priors.get(outcome, "mu").scale ** 2 + tau**2 + se**2)
    return float(special.ndtr(y / spread).mean())
