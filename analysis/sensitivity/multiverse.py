"""The multiverse: thousands of defensible analyses of the same evidence, all of them shown.

After Steegen et al. (2016, Perspectives on Psychological Science 11:702) and Simonsohn, Simmons
and Nelson (2020, Nature Human Behaviour 4:1208). A specification is one level of each choice in
`CHOICES`. All combinations would be hundreds of thousands, most of them alike; a balanced random
part of them is taken, in which every level of a choice is as frequent as the others, with the
headline and every specification that differs from it in one choice added in front. Shares over
the multiverse describe how far a conclusion depends on choices; they are not probabilities.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis import exact, priors
from analysis.sensitivity import batch, robust
from analysis.sensitivity.data import DataChoices, EffectStore
from analysis.sensitivity.refits import bias_prior, mu_prior, tau_priors

N_SPECS = 2400
USABLE = 5 / 6
"""Share of `N_SPECS` that must leave two studies or more; where fewer do, more are drawn."""
MOST_DRAWN = 3
"""At most so many times `N_SPECS` are drawn."""
FEWEST = 2
DECIMALS = 4
CENTRE_R, SPREAD_R = priors.get("change", "r").params

DATA_CHOICES = {
    "design": {
        "controlled": "controlled studies alone",
        "uncontrolled": "uncontrolled studies alone: the change from baseline",
        "both": "all studies, the uncontrolled ones with a bias term: effect in controlled ones",
    },
    "words": {
        "left_out": "results in words left out",
        "null_zero": "words without a significant difference entered as zero",
        "at_bound": "all results in words entered at their least extreme value",
    },
    "missing_spread": {
        "modelled": "a missing spread is modelled from the other studies",
        "left_out": "numbers without a spread left out",
    },
    "medians": {
        "converted": "medians converted to means",
        "as_mean": "medians taken as means",
        "left_out": "medians left out",
    },
    "unstated_spread": {
        "sd": "an unlabelled spread is a standard deviation",
        "se": "an unlabelled spread is a standard error",
    },
    "r": {
        round(CENTRE_R, 3): "pre-post correlation at the centre of its prior",
        round(CENTRE_R - SPREAD_R, 3): "one prior SD below",
        round(CENTRE_R + SPREAD_R, 3): "one prior SD above",
    },
    "window": {
        "6-18": "months: nearest to 12 within 6 to 18",
        "9-15": "months: nearest to 12 within 9 to 15",
        "3-24": "months: nearest to 12 within 3 to 24",
    },
    "overlaps": {
        "declared": "possibly shared patients counted once",
        "shared": "only surely shared patients counted once",
    },
    "sources": {
        "any": "facts wherever they were seen",
        "primary": "no fact seen only in a review, news or a release",
        "full_text": "facts seen in full texts only",
    },
    "measure": {
        "any": "any C-peptide measure, stimulated preferred",
        "stimulated": "stimulated peak or area under the curve only",
        "fasting": "fasting only",
    },
    "new_onset": {
        "kept": "uncontrolled changes from a baseline at diagnosis kept",
        "left_out": "uncontrolled changes from a baseline at diagnosis left out",
    },
}
MODEL_CHOICES = {
    "mu_prior": {
        "normal": "prior of the mean effect as in the headline",
        "sceptical": "its SD halved",
        "wide": "its SD times five",
    },
    "tau_prior": {
        "half_normal": "half-normal prior of tau as in the headline",
        "half_normal_narrow": "half-normal, scale halved",
        "half_cauchy": "half-Cauchy with half the scale",
        "empirical": "log-normal after Rhodes et al. 2015",
    },
    "family": {
        "normal": "normal random effects",
        "student_t": "Student-t random effects, 4 degrees of freedom",
        "fixed": "one common effect, tau = 0",
    },
}
CHOICES = {**DATA_CHOICES, **MODEL_CHOICES}
NUMBERS = ["mean", "sd", "ci_low", "ci_high", "pred_low", "pred_high"]
COLUMNS = ["outcome", "spec", *CHOICES, "dataset", "k_studies", "n_patients", *NUMBERS, "p_good",
           "p_important", "conclusion"]  # fmt: skip
MU_FACTORS = {
    "normal": 1.0,
    "sceptical": priors.get("sensitivity", "mu_sceptical").scale,
    "wide": priors.get("sensitivity", "mu_wide").scale,
}
ONLY = {  # levels of outcomes for which a choice does not arise
    "hba1c": {"measure": ("any",), "new_onset": ("left_out",)},
    "insulin_dose": {"measure": ("any",)},
}


def levels(store: EffectStore, outcome: str) -> pd.DataFrame:
    """Every level of every choice: its meaning and whether these data offer it.

    A level of a data choice is offered when at least two studies remain with that level alone
    changed, both designs and results in words counted. `default` marks the headline's level.

    Returns
    -------
    DataFrame: outcome, choice, level, meaning, default, k_most, offered.
    """
    rows = []
    most = DataChoices(design="both", words="at_bound")
    for choice, meanings in CHOICES.items():
        arises = ONLY.get(outcome, {}).get(choice, tuple(meanings))
        first = True
        for level, meaning in meanings.items():
            if level not in arises:
                continue
            k = math.nan
            if choice in DATA_CHOICES:
                k = len(store.numbers(outcome, replace(most, **{choice: level}))[0])
            rows.append(
                {"outcome": outcome, "choice": choice, "level": level, "meaning": meaning,
                 "default": first, "k_most": k, "offered": first or not k < FEWEST}
            )  # fmt: skip
            first = False
    return pd.DataFrame(rows)


def specifications(offered: dict[str, list], n: int, seed: int) -> pd.DataFrame:
    """Specifications to be run, one row each: the headline, its neighbours, a balanced sample.

    Parameters
    ----------
    offered : levels of each choice, the headline's first.
    n : number of specifications, or all combinations where these are fewer.
    seed : seed of the sample.
    """
    possible = math.prod(len(options) for options in offered.values())
    if possible <= n:
        every = itertools.product(*offered.values())
        return pd.DataFrame(every, columns=list(offered), dtype=object)
    default = {choice: options[0] for choice, options in offered.items()}
    near = [
        {**default, choice: level} for choice, options in offered.items() for level in options[1:]
    ]
    specs = pd.DataFrame([default, *near]).astype(object)
    rng = np.random.default_rng(seed)
    while len(specs) < n:
        sample = {}
        for choice, options in offered.items():
            codes = np.resize(np.arange(len(options)), n)
            sample[choice] = np.array(options, dtype=object)[rng.permutation(codes)]
        specs = pd.concat([specs, pd.DataFrame(sample)]).drop_duplicates()
    return specs.iloc[:n].reset_index(drop=True)


def run(
    store: EffectStore,
    outcome: str,
    *,
    good: int,
    important: float | None,
    seed: int,
    n: int | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every specification with its result, and the table of levels.

    Parameters
    ----------
    good : 1 where a rise is good, -1 where a fall is.
    important : clinically important effect with its sign, or None where none is agreed.
    n : number of specifications; default `N_SPECS`, or as many more as leave `USABLE` of them two
        studies or more.

    Returns
    -------
    The specifications (outcome, spec, one column a choice, dataset, k_studies, n_patients, mean,
    sd, ci_low, ci_high, pred_low, pred_high, p_good, p_important, conclusion) and `levels`.
    `dataset` numbers the distinct sets of data; `conclusion` is good, open or harm as the 95 %
    interval lies beyond zero or not, and too_few below two studies.
    """
    known = levels(store, outcome)
    if store.table(outcome).empty:
        return pd.DataFrame(columns=COLUMNS), known
    offered = {
        choice: part["level"].tolist()
        for choice, part in known[known["offered"]].groupby("choice", sort=False)
    }
    specs = specifications(offered, n or N_SPECS, seed)
    data, cases, place = _analyses(store, outcome, specs)
    share = float((data["k_studies"] >= 2).sum()) / N_SPECS
    if n is None and 0 < share < USABLE:
        # A twentieth more than the share found asks for: another sample may fall a little short.
        more = math.ceil(N_SPECS * min(MOST_DRAWN, 1.05 * USABLE / share))
        specs = specifications(offered, more, seed)
        data, cases, place = _analyses(store, outcome, specs)
    bounds = [0.0] if important is None else [0.0, important]
    answers = _fit(cases, bounds).iloc[place].reset_index(drop=True)
    table = pd.concat([specs, data, answers], axis=1)
    table.insert(0, "outcome", outcome)
    table.insert(1, "spec", np.arange(len(table)))
    below = table[batch.below_name(0.0)]
    table["p_good"] = 1 - below if good > 0 else below
    table["p_important"] = math.nan
    if important is not None:
        beyond = table[batch.below_name(important)]
        table["p_important"] = 1 - beyond if good > 0 else beyond
    table["conclusion"] = _conclusion(table, good)
    numbers = [*NUMBERS, "p_good", "p_important"]
    table[numbers] = table[numbers].round(DECIMALS)
    return table[COLUMNS], known


Analysis = tuple[bool, batch.Case]
"""Whether the random effects are Student-t, and the case to fit."""


def _analyses(
    store: EffectStore, outcome: str, specs: pd.DataFrame
) -> tuple[pd.DataFrame, list[Analysis], list[int]]:
    """What every specification comes down to; specifications that are alike share one analysis.

    Returns
    -------
    One row a specification (dataset, k_studies, n_patients); the distinct analyses; for each
    specification the position of its analysis.
    """
    taus = tau_priors(outcome)
    datasets: dict[tuple, int] = {}
    positions: dict[tuple, int] = {}
    cases: list[Analysis] = []
    rows, place = [], []
    for spec in specs.to_dict("records"):
        choices = DataChoices(**{name: spec[name] for name in DATA_CHOICES})
        index, y, se, _ = store.numbers(outcome, choices)
        columns = store.columns(outcome, choices)
        order = np.lexsort([se, y])
        y, se, controlled = y[order], se[order], columns["controlled"][index][order]
        data = (choices.design == "both", y.tobytes(), se.tobytes(), controlled.tobytes())
        number = datasets.setdefault(data, len(datasets))
        n_patients = int(np.nansum(columns["n_patients"][index]))
        rows.append({"dataset": number, "k_studies": len(index), "n_patients": n_patients})
        fixed, student = spec["family"] == "fixed", spec["family"] == "student_t"
        key = (number, spec["mu_prior"], None if fixed else spec["tau_prior"], student)
        if key not in positions:
            positions[key] = len(cases)
            mu = mu_prior(outcome, MU_FACTORS[spec["mu_prior"]])
            tau = exact.Fixed(0.0) if fixed else taus[spec["tau_prior"]]
            bias = bias_prior(outcome) if choices.design == "both" else None
            cases.append((student, batch.Case(y, se, controlled, mu, tau, bias)))
        place.append(positions[key])
    return pd.DataFrame(rows), cases, place


def _fit(cases: list[Analysis], bounds: list[float]) -> pd.DataFrame:
    """The answers of both families of random effects, in the order of the cases."""
    parts = []
    for family, fit in ((False, batch.fit_cases), (True, robust.fit_cases)):
        index = [position for position, (student, _) in enumerate(cases) if student == family]
        part = fit([cases[position][1] for position in index], bounds)
        part.index = pd.Index(index, dtype=int)
        parts.append(part)
    return pd.concat([part for part in parts if len(part)]).sort_index()


def _conclusion(table: pd.DataFrame, good: int) -> np.ndarray:
    near = table["ci_low"] if good > 0 else -table["ci_high"]
    far = table["ci_high"] if good > 0 else -table["ci_low"]
    few = table["k_studies"] < FEWEST
    return np.select([few, near > 0, far < 0], ["too_few", "good", "harm"], "open")


def choices_table(table: pd.DataFrame) -> pd.DataFrame:
    """What each choice does to the results of one outcome, specifications of two studies or more.

    Returns
    -------
    DataFrame: outcome, choice, level, n, share_good_clear (95 % interval on the good side),
    median_mean, range (of median_mean over the levels of the choice), variance_explained (share
    of the variance of the means between the levels of the choice alone: eta squared).
    """
    usable = table[table["conclusion"] != "too_few"]
    total = float(((usable["mean"] - usable["mean"].mean()) ** 2).sum())
    rows = []
    for choice in CHOICES:
        grouped = usable.groupby(choice, sort=False)
        between = float(
            (grouped.size() * (grouped["mean"].mean() - usable["mean"].mean()) ** 2).sum()
        )
        medians = grouped["mean"].median()
        for level, part in grouped:
            rows.append(
                {
                    "outcome": part["outcome"].iloc[0],
                    "choice": choice,
                    "level": str(level),
                    "n": len(part),
                    "share_good_clear": float((part["conclusion"] == "good").mean()),
                    "median_mean": float(medians[level]),
                    "range": float(medians.max() - medians.min()),
                    "variance_explained": between / total if total > 0 else math.nan,
                }
            )
    columns = ["outcome", "choice", "level", "n", "share_good_clear", "median_mean", "range",
               "variance_explained"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def summary(table: pd.DataFrame, known: pd.DataFrame, choices: pd.DataFrame) -> pd.DataFrame:
    """One row for all specifications of one outcome and one for each design.

    Returns
    -------
    DataFrame: outcome, design, n_specs, n_possible (combinations of the levels offered),
    n_distinct (sets of data), n_too_few, n_usable, share_good_clear (95 % interval beyond zero on
    the good side), share_harm_clear, share_p95 (P(good side) >= 0.95), share_important
    (P(clinically important) >= 0.5; NaN where no such difference is agreed), median, min, max (of
    the means), most_influential (the choice that explains most of the variance of the means) and
    variance_explained by it. Shares are of the usable specifications.
    """
    possible = math.prod(known[known["offered"]].groupby("choice").size())
    table = table.astype({name: float for name in [*NUMBERS, "p_good", "p_important"]})
    strongest = choices.sort_values("variance_explained", ascending=False, kind="stable").head(1)
    rows = []
    for design in ("all", *DATA_CHOICES["design"]):
        part = table if design == "all" else table[table["design"] == design]
        usable = part[part["conclusion"] != "too_few"]
        important = usable["p_important"].dropna()
        rows.append(
            {
                "outcome": known["outcome"].iloc[0],
                "design": design,
                "n_specs": len(part),
                "n_possible": possible if design == "all" else math.nan,
                "n_distinct": part["dataset"].nunique(),
                "n_too_few": len(part) - len(usable),
                "n_usable": len(usable),
                "share_good_clear": (usable["conclusion"] == "good").mean(),
                "share_harm_clear": (usable["conclusion"] == "harm").mean(),
                "share_p95": (usable["p_good"] >= 0.95).mean() if len(usable) else math.nan,
                "share_important": (important >= 0.5).mean() if len(important) else math.nan,
                "median": usable["mean"].median(),
                "min": usable["mean"].min(),
                "max": usable["mean"].max(),
                "most_influential": strongest["choice"].iloc[0] if len(strongest) else "",
                "variance_explained": strongest["variance_explained"].iloc[0]
                if len(strongest)
                else math.nan,
            }
        )
    return pd.DataFrame(rows)
