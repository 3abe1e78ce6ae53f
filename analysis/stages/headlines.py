"""Headlines of the continuous outcomes: stratum by stratum, design by design, by quadrature.

A stratum is an approach in a population; nothing is pooled across approaches. For each outcome the
controlled contrasts make the headline, the randomised ones alone stand beside it, and uncontrolled
changes have a panel of their own. A mean is printed only where at least two results are numbers;
one study is shown as itself; of results mostly in words the directions are counted and the fit is
a sensitivity. Beside each controlled mean stand the variants the protocol asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis import effects as effects_room
from analysis import exact, outcomes, risk_of_bias
from analysis.central import central
from analysis.evidence import Evidence
from analysis.exact import contrast_classes
from analysis.exact.contrast_classes import ClassPosterior
from analysis.exact.contrasts import ContrastPosterior, ContrastPriors
from analysis.questions import (
    DESIGNS,
    MEAN,
    REVIEW_STRATA,
    SIGNIFICANT,
    STRATA,
    WORDS,
    Body,
    Question,
    direction,
    is_number,
    overall_risk,
    posterior_of,
    told_as,
    variants,
)
from analysis.results import estimate_id
from analysis.stages.result import StageResult, Tell, stage_result

DENSITY_POINTS = 81


def run(evidence: Evidence, *, progress: Tell = lambda part: None) -> StageResult:
    """Every headline of every continuous outcome, with its variants.

    Parameters
    ----------
    evidence : the validated tables.
    progress : called with the name of each outcome before it starts.

    Returns
    -------
    StageResult with estimates and the tables headlines, study_estimates and densities.
    """
    body = Body(evidence)
    judged = risk_of_bias.overalls(evidence.risk_of_bias)
    rows: list[dict] = []
    tables: dict[str, list[dict]] = {"headlines": [], "study_estimates": [], "densities": []}
    for outcome in outcomes.of_kind(outcomes.CONTINUOUS):
        progress(outcome)
        for approach, population in (*STRATA, *REVIEW_STRATA):
            review = (approach, population) in REVIEW_STRATA
            for design in DESIGNS:
                if review and design != "controlled":
                    continue
                question = Question(outcome, approach, population, design)
                chosen = body.rows(question)
                if review and chosen.empty:
                    continue
                told = told_as(outcome, chosen)
                posterior = posterior_of(body, question) if is_fitted(question, chosen) else None
                given = answer(body, question, chosen, posterior, judged)
                rows += given.estimates
                tables["headlines"].append(given.headline)
                tables["study_estimates"] += given.studies
                if posterior is not None:
                    tables["densities"] += densities(question, posterior, told)
                    if told == MEAN and design == "controlled" and not review:
                        rows += _variants(body, question, chosen, judged)
    return stage_result(rows, tables)


@dataclass(frozen=True)
class Answer:
    """What the report tells of one question.

    Attributes
    ----------
    estimates : rows of the table estimates, none without a posterior.
    headline : the row of the table headlines.
    studies : rows of the table study_estimates.
    """

    estimates: list[dict]
    headline: dict
    studies: list[dict]


def is_fitted(question: Question, rows: pd.DataFrame) -> bool:
    """Whether a posterior is computed: of a mean, or of controlled words as a sensitivity."""
    told = told_as(question.outcome, rows)
    return told == MEAN or (told == WORDS and question.design == "controlled")


def answer(
    body: Body, question: Question, rows: pd.DataFrame, posterior: ContrastPosterior | None,
    judged: pd.DataFrame,
) -> Answer:  # fmt: skip
    """What is told of a question.

    Parameters
    ----------
    rows : the effects that stand in it.
    posterior : their posterior, where one is computed (`is_fitted`).
    judged : overall risk of bias (`risk_of_bias.overalls`).
    """
    told = told_as(question.outcome, rows)
    made = [] if posterior is None else figures(question, posterior, rows, told)
    studies = [] if rows.empty else _studies(question, rows, posterior, judged)
    return Answer(made, headline_row(question, rows, told, body.registration), studies)


def figures(
    question: Question, posterior: ContrastPosterior | ClassPosterior, rows: pd.DataFrame,
    told: str, variant: str = "headline",
) -> list[dict]:  # fmt: skip
    """Estimates of one fit: mean, prediction, tau, I² and probabilities, on every scale read."""
    about = outcomes.get(question.outcome)
    base = {
        **question.parts, "variant": variant, "method": "exact", "k_studies": len(rows),
        "n_patients": float(rows["n_patients"].sum()), "note": note(rows, told),
    }  # fmt: skip
    tau_low, tau, tau_high = central(posterior.tau)
    middle = {"mean": posterior.mu.mean}
    middle["ci_low"], middle["median"], middle["ci_high"] = central(posterior.mu)
    middle["pred_low"], middle["pred_high"] = posterior.predictive.interval()
    made = [
        {**base, "scale": scale, "unit": unit, "tau": tau if scale == about.scale else np.nan,
         "sd": posterior.mu.sd if scale == about.scale else np.nan,
         **{name: float(shown(value)) for name, value in middle.items()}}
        for scale, unit, shown in _scales(about)
    ]  # fmt: skip
    for quantity, one in (("probability", posterior.mu),
                          ("new_study_probability", posterior.predictive)):  # fmt: skip
        for threshold, below in zip(about.thresholds, one.cdf(about.thresholds), strict=True):
            made.append({**base, "quantity": quantity, "threshold": about.shown(threshold),
                         "scale": "probability", "unit": "probability",
                         "mean": 1 - below if about.good > 0 else below})  # fmt: skip
    if variant == "headline" and isinstance(posterior, ContrastPosterior):
        made.append({**base, "quantity": "tau", "scale": about.scale, "unit": about.unit,
                     "mean": posterior.tau.mean, "median": tau, "sd": posterior.tau.sd,
                     "ci_low": tau_low, "ci_high": tau_high})  # fmt: skip
        share = posterior.i_squared
        low, high = share.interval()
        made.append({**base, "quantity": "i_squared", "scale": "share", "unit": "share",
                     "mean": share.mean, "median": share.median, "ci_low": low,
                     "ci_high": high})  # fmt: skip
    return made


def note(rows: pd.DataFrame, told: str) -> str:
    """What a reader must know of the studies behind a mean."""
    notes = []
    if told == WORDS:
        notes.append("fewer than two results are numbers: a sensitivity, no headline")
    in_words = int(rows["kind"].ne("numeric").sum())
    if in_words:
        notes.append(f"{in_words} of {len(rows)} in words only")
    learnt = int((rows["kind"].eq("numeric") & ~np.isfinite(rows["var_a"].astype(float))).sum())
    if learnt:
        notes.append(f"spread learnt in {learnt} of {len(rows)}")
    medians = int(rows["derived"].str.contains("median|luo").sum())
    if medians:
        notes.append(f"{medians} from medians")
    return "; ".join(notes)


def _scales(about: outcomes.Outcome) -> list[tuple[str, str, Callable]]:
    """The scales a mean is told on: its name, unit and the way from the model's scale."""
    scales = [(about.scale, about.unit, lambda x: x)]
    if about.is_ratio:
        scales.append(("ratio", "ratio", np.exp))
        scales.append(("percent", "%", lambda x: 100 * np.expm1(x)))
    return scales


# --- variants --------------------------------------------------------------------------------


def _variants(
    body: Body, question: Question, rows: pd.DataFrame, judged: pd.DataFrame
) -> list[dict]:
    made = []
    for name, chosen, rules, choices in variants(body, question, judged):
        if len(chosen) < 2:
            made.append({**question.parts, "variant": name, "scale": _scale(question),
                         "unit": outcomes.get(question.outcome).unit, "k_studies": len(chosen),
                         "n_patients": float(chosen["n_patients"].sum()),
                         "note": "fewer than two results are left"})  # fmt: skip
            continue
        posterior = posterior_of(body, question, rules=rules, rows=chosen, **choices)
        made += figures(question, posterior, chosen, told_as(question.outcome, chosen), name)
    return made + _joint(body, question) + _classes(body, question, rows)


def _scale(question: Question) -> str:
    return outcomes.get(question.outcome).scale


def _joint(body: Body, question: Question) -> list[dict]:
    """Controlled and uncontrolled together, the latter with a bias term: the controlled mean."""
    own = body.rows(question)
    beside = body.rows(replace(question, design="uncontrolled"))
    beside = beside[~beside["patients"].isin(own["patients"])]
    if beside.empty or own.empty:
        return []
    both = pd.concat([own, beside], ignore_index=True)
    both = both.assign(bias=(~both["controlled"].astype(bool)).astype(float))
    posterior = posterior_of(body, question, rows=both, covariates=("bias",))
    return figures(question, posterior, both, MEAN, "joint")


def has_classes(rows: pd.DataFrame) -> bool:
    """Whether a headline has a level of cell classes beside it: two classes of two results."""
    return contrast_classes.has_class_level(rows)


def _classes(body: Body, question: Question, rows: pd.DataFrame) -> list[dict]:
    """The mean over cell classes, the spread between them, and the mean of each that has one."""
    if not has_classes(rows):
        return []
    about, prior = outcomes.get(question.outcome), ContrastPriors.of(question.outcome)
    found = contrast_classes.fit_classes(rows, prior, teachers=body.teachers(question))
    made = figures(question, found, rows, MEAN, "classes")
    spread = found.tau_class
    low, middle, high = central(spread)
    made.append({**question.parts, "variant": "classes", "quantity": "tau_class",
                 "scale": about.scale, "unit": about.unit, "mean": spread.mean, "median": middle,
                 "sd": spread.sd, "ci_low": low, "ci_high": high, "k_studies": len(rows),
                 "n_patients": float(rows["n_patients"].sum())})  # fmt: skip
    for word, own in rows.groupby("cell_class"):
        if told_as(question.outcome, own) != MEAN:
            continue
        mean = found.classes[str(word)]
        low, middle, high = central(mean)
        figures_of = {"mean": mean.mean, "median": middle, "ci_low": low, "ci_high": high}
        made += [
            {**question.parts, "variant": "classes", "cell_class": word, "scale": scale,
             "unit": unit, "k_studies": len(own), "n_patients": float(own["n_patients"].sum()),
             **{name: float(shown(value)) for name, value in figures_of.items()}}
            for scale, unit, shown in _scales(about)
        ]  # fmt: skip
    return made


# --- tables ----------------------------------------------------------------------------------


def headline_row(
    question: Question, rows: pd.DataFrame, told: str, registration: pd.Series
) -> dict:
    """The row of the declared table `headlines` of one question (`Body.registration`)."""
    about = outcomes.get(question.outcome)
    sides = about.good * direction(rows) if len(rows) else np.array([])
    patients = rows["n_patients"].astype(float)
    in_words = rows["kind"].ne("numeric")
    unregistered = rows["study_id"].map(registration).eq("none_found")
    scale = "ratio" if about.is_ratio else about.scale
    return {
        **question.parts,
        "told": told,
        "estimate_id": estimate_id({**question.parts, "scale": scale}) if told == MEAN else "",
        "k_studies": len(rows),
        "k_numbers": int(is_number(rows).sum()) if len(rows) else 0,
        "k_randomised": int((rows["randomised"] & rows["controlled"]).sum()) if len(rows) else 0,
        "k_better": int((sides > 0).sum()),
        "k_null": int((sides == 0).sum()),
        "k_worse": int((sides < 0).sum()),
        "k_untested": int(np.isnan(sides).sum()),
        "n_patients": patients.sum(),
        "n_in_words": patients[in_words].sum(),
        "n_unregistered": patients[unregistered].sum(),
        "last_month": rows["months"].max() if len(rows) else np.nan,
    }


def _studies(
    question: Question,
    rows: pd.DataFrame,
    posterior: ContrastPosterior | None,
    judged: pd.DataFrame,
) -> list[dict]:
    se = effects_room.se(rows)
    y = rows["y"].to_numpy(dtype=float)
    shrunk = None if posterior is None else posterior.shrinkage.reset_index(drop=True)
    risk = overall_risk(rows, question.outcome, judged)
    sides = direction(rows)
    made = []
    told = ["effect_id", "study_id", "cohort", "label", "year", "cell_class", "kind", "months",
            "n_patients", "y", "p_exact"]  # fmt: skip
    both = (rows["randomised"].astype(bool) & rows["controlled"].astype(bool)).to_numpy()
    for i, (part, randomised) in enumerate(zip(rows[told].to_dict("records"), both, strict=True)):
        part |= {**question.parts, "randomised": "yes" if randomised else "no",
                 "direction": sides[i], "ci_low": y[i] - SIGNIFICANT * se[i],
                 "ci_high": y[i] + SIGNIFICANT * se[i], "risk_of_bias": risk.iloc[i]}  # fmt: skip
        if shrunk is not None:
            own = shrunk.iloc[i]
            part |= {"shrunk_mean": own["mean"], "shrunk_low": own["ci_low"],
                     "shrunk_high": own["ci_high"], "weight": own["weight"]}  # fmt: skip
        else:
            part |= dict.fromkeys(("shrunk_mean", "shrunk_low", "shrunk_high"), np.nan)
            part["weight"] = 1.0
        made.append(part)
    return made


def densities(question: Question, posterior: ContrastPosterior, told: str) -> list[dict]:
    """Rows of the table densities: mean, prediction and prior of a question told as a mean."""
    if told != MEAN:
        return []
    prior = ContrastPriors.of(question.outcome).mu
    assert isinstance(prior, exact.Normal)
    centre, spread = prior.one
    made = []
    for quantity, one in (("mean", posterior.mu), ("prediction", posterior.predictive)):
        low, high = one.quantile(np.array([0.002, 0.998]))
        x = np.linspace(low, high, DENSITY_POINTS)
        made += [(quantity, a, b) for a, b in zip(x, one.pdf(x), strict=True)]
    x = np.linspace(centre - 3 * spread, centre + 3 * spread, DENSITY_POINTS)
    density = np.exp(-0.5 * ((x - centre) / spread) ** 2) / spread / np.sqrt(2 * np.pi)
    made += [("prior", a, b) for a, b in zip(x, density, strict=True)]
    return [{**question.parts, "quantity": q, "x": a, "density": b} for q, a, b in made]
