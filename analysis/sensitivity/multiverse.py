"""The multiverse: hundreds of defensible analyses of one headline, and where the headline stands.

After Steegen et al. (2016, Perspectives on Psychological Science 11:702) and Simonsohn, Simmons and
Nelson (2020, Nature Human Behaviour 4:1208). A specification is one level of each choice in
`CHOICES`; the first level of each is the headline's own, words included. All combinations would be
millions, most of them alike; a balanced part of them is taken, in which every level of a choice is
about as frequent as the others, with the headline and every specification that differs from it in
one choice in front. r and the SDs are plugged in at the headline's posterior means, so that a
refit takes milliseconds. Shares over the multiverse describe how far a conclusion depends on
choices; they are not probabilities. Common-effect specifications stand apart: they deny a
heterogeneity that is there.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from itertools import product

import numpy as np
import pandas as pd

from analysis import exact, outcomes, priors, risk_of_bias
from analysis.effects import Rules
from analysis.exact.contrasts import ContrastPosterior, ContrastPriors, fit
from analysis.questions import Body, Question, overall_risk
from analysis.records import records
from analysis.sensitivity.effect_choices import CHOICES, MODEL, RULES
from analysis.sensitivity.plane import Marginal
from analysis.sensitivity.refits import plane_of, plug_in, tau_priors

N_SPECS = 400
SEED = 20261128
"""Seed of the balanced sample: fixed, so that every machine takes the same specifications."""
FEWEST = 2
DECIMALS = 5
WORDS_SE = {"as_is": 1.0, "half": 0.5, "three_quarters": 0.75, "one_and_a_half": 1.5}
MU_FACTORS = {
    "normal": 1.0,
    "sceptical": priors.get("sensitivity", "mu_sceptical").scale,
    "wide": priors.get("sensitivity", "mu_wide").scale,
}
SEEN_FIRST_HAND = ("full_text", "registry", "abstract")

LIKELIHOOD = ["kind", "y", "var_a", "var_b", "n_factor", "z_low", "z_high"]
USED = ["effect_id", "study_id", "patients", "randomised", "seen_in", "n_patients", *LIKELIHOOD]
"""What a specification reads of the effects table: what chooses a result, and its likelihood."""


def specifications(offered: dict[str, list[str]], n: int = N_SPECS) -> pd.DataFrame:
    """Specifications to be run, one row each: the headline, its neighbours, a balanced sample.

    Parameters
    ----------
    offered : levels of each choice, the headline's first.
    n : number of specifications, or all combinations where these are fewer.
    """
    possible = math.prod(len(levels) for levels in offered.values())
    if possible <= n:
        every = product(*offered.values())
        whole = pd.DataFrame(every, columns=list(offered))
        differing = (whole != whole.iloc[0]).sum(axis=1)
        return whole.iloc[np.argsort(differing.to_numpy(), kind="stable")].reset_index(drop=True)
    default = {choice: levels[0] for choice, levels in offered.items()}
    near = [{**default, choice: level} for choice, levels in offered.items()
            for level in levels[1:]]  # fmt: skip
    specs = pd.DataFrame([default, *near])
    rng = np.random.default_rng(SEED)
    for _ in range(20):
        if len(specs) >= min(n, possible):
            break
        sample = {}
        for choice, levels in offered.items():
            codes = np.resize(np.arange(len(levels)), n)
            sample[choice] = np.array(levels, dtype=object)[rng.permutation(codes)]
        specs = pd.concat([specs, pd.DataFrame(sample)]).drop_duplicates()
    return specs.iloc[: min(n, possible)].reset_index(drop=True)


class Fork:
    """One headline with the rows and choices of any specification.

    Parameters
    ----------
    body : the effects under any rules.
    question : the headline, of controlled contrasts.
    whole : its posterior.
    nulls : rows of unreported registered trials of the stratum, as effects; may be empty.
    """

    def __init__(
        self, body: Body, question: Question, whole: ContrastPosterior, nulls: pd.DataFrame
    ):
        self.body, self.question = body, question
        self.nulls = _results(nulls.assign(risk="")) if len(nulls) else []
        self.fixed, self.plane = plug_in(whole), plane_of(question, whole)
        self.tau_priors = tau_priors(question.outcome)
        self.judged = risk_of_bias.overalls(body.evidence.risk_of_bias)
        self._read = lru_cache(maxsize=None)(self._rows_read)
        self._records = lru_cache(maxsize=None)(self._records_read)

    def offered(self) -> dict[str, list[str]]:
        """Levels that change something in this headline, the headline's own first.

        A level of a row choice is offered where it changes the rows and leaves two results.
        """
        default = {choice: next(iter(levels)) for choice, levels in CHOICES.items()}
        own = self.rows(default)
        offered = {}
        for choice, levels in CHOICES.items():
            kept = [next(iter(levels))]
            for level in list(levels)[1:]:
                if choice in MODEL:
                    kept.append(level)
                    continue
                rows = self.rows({**default, choice: level})
                if len(rows) >= FEWEST and content(rows) != content(own):
                    kept.append(level)
            offered[choice] = kept
        if all(row["kind"] == "numeric" for row in own):
            offered["words_se"] = ["as_is"]
        return offered

    def rows(self, spec: dict[str, str]) -> list[dict]:
        """The results that a specification pools, with the columns `USED` and their `content`."""
        read = self._read(spec["design"], tuple(spec[choice] for choice in RULES))
        rows = [row for row in read if self._wanted(row, spec)]
        if spec["silent_trials"] == "entered":
            present = {row["patients"] for row in rows}
            rows += [row for row in self.nulls if row["patients"] not in present
                     and (row["randomised"] or spec["design"] != "randomised")]  # fmt: skip
        return rows

    @staticmethod
    def _wanted(row: dict, spec: dict[str, str]) -> bool:
        return (
            (spec["words"] == "in" or row["kind"] == "numeric")
            and (spec["sources"] == "any" or row["seen_in"] in SEEN_FIRST_HAND)
            and (spec["risk_of_bias"] == "any" or row["risk"] not in risk_of_bias.HIGH)
        )

    def _rows_read(self, design: str, levels: tuple[str, ...]) -> list[dict]:
        """The results of a design as these levels of `RULES` read and choose them."""
        changes: dict = {}
        for meanings, level in zip(RULES.values(), levels, strict=True):
            changes |= meanings[level][1]
        rules = replace(self.body.rules, **changes) if changes else self.body.rules
        records = self._records(self.body.reading(rules))
        found = self.body.positions(replace(self.question, design=design), rules)
        return [records[place] for place in found]

    def _records_read(self, reading: Rules) -> list[dict]:
        rows = self.body.of_outcome(self.question.outcome, reading)
        risk = overall_risk(rows, self.question.outcome, self.judged)
        return _results(rows.assign(risk=risk))

    def fit(self, rows: list[dict], spec: dict[str, str]) -> Marginal:
        """The posterior of mu of the rows of a specification; r and SDs plugged in."""
        outcome = self.question.outcome
        own = priors.get(outcome, "mu")
        shift = {"posterior": 0.0, "low": -1.0, "high": 1.0}[spec["r"]]
        r = self.fixed["r"] + shift * priors.get("change", "r").scale
        sd = self.fixed.get("sd", math.exp(priors.get(outcome, "log_sd").params[0]))
        return self.plane.posterior(
            rows,
            exact.Normal(own.params[0], MU_FACTORS[spec["mu_prior"]] * own.scale),
            self.tau_priors[spec["tau_prior"]], r=float(np.clip(r, -0.9, 0.9)), sd=sd,
            words_se=WORDS_SE[spec["words_se"]], robust=spec["effects"] == "student_t",
        )  # fmt: skip


def _results(effects: pd.DataFrame) -> list[dict]:
    """Rows of effects with what specifications read of them.

    `content` is the name of a result and its likelihood to nine digits: fits of the same contents
    are the same.
    """
    rows = records(effects[[*USED, "risk"]])
    figures = [name for name in LIKELIHOOD if name != "kind"]
    return [
        {**row, "content": (row["effect_id"], *(f"{row[name]:.9g}" for name in figures))}
        for row in rows
    ]


def content(rows: list[dict]) -> tuple:
    """What the fit of these results depends on, beside the choices of `MODEL`."""
    return tuple(row["content"] for row in rows)


def explore(
    body: Body, question: Question, whole: ContrastPosterior, nulls: pd.DataFrame,
    n: int = N_SPECS,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Every specification of a headline with its result, and the levels of the choices.

    Parameters
    ----------
    body : the effects under any rules.
    question : the headline.
    whole : its posterior.
    nulls : unreported trials as null results; may have no row.
    n : how many specifications are looked at, at most.

    Returns
    -------
    specifications : the declared table `multiverse`: one column a choice, k_studies, n_patients,
        mean, ci_low, ci_high (model scale), p_good, conclusion (good, open, harm, too_few).
    levels : the declared table `multiverse_levels`.
    """
    fork = Fork(body, question, whole, nulls)
    offered = fork.offered()
    specs = specifications(offered, n)
    good = outcomes.get(question.outcome).good
    answers: dict[tuple, dict] = {}
    found = []
    for spec in specs.to_dict("records"):
        rows = fork.rows(spec)
        key = (content(rows), *(spec[choice] for choice in MODEL))
        if key not in answers:
            answers[key] = _answer(fork, rows, spec, good)
        found.append(answers[key])
    table = pd.concat([specs, pd.DataFrame(found)], axis=1)
    for place, (name, value) in enumerate(question.parts.items()):
        if name != "design":
            table.insert(min(place, 2), name, value)
    table.insert(3, "spec", np.arange(len(table)))
    return table, pd.DataFrame(_levels(question, offered, table))


def _levels(question: Question, offered: dict[str, list[str]], table: pd.DataFrame) -> list[dict]:
    """Rows of the declared table `multiverse_levels`.

    Unreported trials as nulls are told of only where they are the choice.
    """
    usable = table[table["conclusion"] != "too_few"]
    published = usable[usable["silent_trials"] == "out"]
    made = []
    for choice, meanings in CHOICES.items():
        beside = usable if choice == "silent_trials" else published
        levels, means = beside[choice].to_numpy(dtype=object), beside["mean"].to_numpy()
        good = beside["conclusion"].eq("good").to_numpy()
        for level, meaning in meanings.items():
            own = levels == level
            made.append({
                "outcome": question.outcome, "approach": question.approach,
                "population": question.population, "choice": choice, "level": level,
                "meaning": meaning, "offered": level in offered[choice],
                "default": level == offered[choice][0], "n": int(own.sum()),
                "share_good_clear": float(good[own].mean()) if own.any() else np.nan,
                "median_mean": float(np.median(means[own])) if own.any() else np.nan,
            })  # fmt: skip
    return made


def _answer(fork: Fork, rows: list[dict], spec: dict[str, str], good: int) -> dict:
    base = {
        "k_studies": len(rows),
        "n_patients": float(np.nansum([row["n_patients"] for row in rows])),
    }
    if len(rows) < FEWEST:
        none = dict.fromkeys(("mean", "ci_low", "ci_high", "p_good"), np.nan)
        return {**base, **none, "conclusion": "too_few"}
    mu = fork.fit(rows, spec)
    low, high = mu.interval()
    below = mu.cdf(0.0)
    near, far = (low, high) if good > 0 else (-high, -low)
    word = "good" if near > 0 else "harm" if far < 0 else "open"
    return {**base, "mean": round(mu.mean, DECIMALS), "ci_low": round(low, DECIMALS),
            "ci_high": round(high, DECIMALS),
            "p_good": round(1 - below if good > 0 else below, DECIMALS),
            "conclusion": word}  # fmt: skip


def standing(table: pd.DataFrame, question: Question) -> dict:
    """Where a headline stands among all defensible analyses: a row of the table `standing`.

    `share_as_favourable` is the share of the usable specifications whose mean is at least as far on
    the good side as the headline's. Specifications that enter unreported trials as nulls are a
    bound, not a defensible reading of what is known: they stand apart in `share_clear_with_nulls`.

    Parameters
    ----------
    table : the specifications (`explore`).
    question : the headline.
    """
    good = outcomes.get(question.outcome).good
    usable = table[table["conclusion"] != "too_few"]
    bound = usable[usable["silent_trials"] == "entered"]
    usable = usable[usable["silent_trials"] == "out"]
    own = usable.iloc[0]["mean"] if len(usable) and usable.index[0] == 0 else np.nan
    means = usable["mean"]
    as_good = (good * means >= good * own - 1e-9).mean() if len(usable) else np.nan
    spread = {choice: usable.groupby(choice)["mean"].mean().var(ddof=0)
              for choice in CHOICES if choice in usable}  # fmt: skip
    strongest = max(spread, key=lambda name: spread[name] if spread[name] > 0 else 0.0)
    return {
        "outcome": question.outcome, "approach": question.approach,
        "population": question.population, "n_specs": len(table), "n_usable": len(usable),
        "headline": own, "median": means.median(), "low": means.quantile(0.05),
        "high": means.quantile(0.95), "least": means.min(), "most": means.max(),
        "share_as_favourable": float(as_good),
        "share_good_clear": float((usable["conclusion"] == "good").mean()),
        "share_harm_clear": float((usable["conclusion"] == "harm").mean()),
        "share_clear_with_nulls": float((bound["conclusion"] == "good").mean())
        if len(bound) else np.nan,
        "strongest_choice": strongest,
    }  # fmt: skip


def common_effect(body: Body, question: Question, whole: ContrastPosterior) -> dict:
    """The headline with one common effect (tau = 0): apart from the multiverse.

    Parameters
    ----------
    body : the effects under any rules.
    question : the headline.
    whole : its posterior.
    """
    prior = ContrastPriors.of(question.outcome).with_(tau=exact.Fixed(0.0))
    fixed = plug_in(whole)
    mu = fit(body.rows(question), prior, r=fixed["r"], sd=fixed.get("sd")).mu
    low, high = mu.interval()
    return {"outcome": question.outcome, "approach": question.approach,
            "population": question.population, "mean": mu.mean, "ci_low": low,
            "ci_high": high}  # fmt: skip
