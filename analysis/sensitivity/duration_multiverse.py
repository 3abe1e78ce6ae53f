"""The multiverse of durations: every defensible curve of an approach, and where the average stands.

Each family of curves and their average, with other readings of the same facts, other priors of the
spread between studies, and each study left out. All on the grids that the fits of the headline have
left: a family's posterior under another prior or reading is a sum on its own grid, and the weights
of the average follow from the same sums. The first specification is the headline. Its figures are
the share of the ever insulin-free who still are at 12 and 60 months, and the months by which half
have resumed; whether the follow-up bears a month is told beside each.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis import exact
from analysis.exact import survival
from analysis.exact.curves import Curves, Part
from analysis.exact.duration_likelihood import FactReading
from analysis.exact.families import FAMILIES
from analysis.sensitivity.duration_choices import CHOICES, STACKED, TAU_PRIORS

MONTHS = (12.0, 60.0)
NOBODY = "none"
FEWEST = 2
DECIMALS = 5
UNKNOWN = (0.0, 2.0)
"""Log odds of ever becoming free of which nothing is known: mean and SD."""
FACTORS = {"half_normal": 1.0, "narrow": 0.5, "wide": 2.0}
QUANTITIES = (*(("survival", month) for month in MONTHS), ("median_duration", np.nan))
Results = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


class Told(NamedTuple):
    """Facts with how they are read, as `survival.fit` takes them; studies that are not heard."""

    facts: pd.DataFrame
    ever: dict[str, tuple[float, float]]
    reading: FactReading = FactReading()
    unheard: frozenset[str] = frozenset()


def readings(facts: pd.DataFrame, ever: dict[str, tuple[float, float]]) -> dict[str, Told]:
    """The readings that change something in these facts, the protocol's first.

    Parameters
    ----------
    facts : of one approach, as `survival.fit` takes them.
    ever : what is known of ever becoming free, by study.
    """
    found = {"protocol": Told(facts, ever)}
    unknown = frozenset(facts.loc[facts["through_ever"], "study_id"])
    if unknown:
        found["ever_unknown"] = Told(facts, dict.fromkeys(ever, UNKNOWN))
        if len(set(facts["study_id"]) - unknown) >= FEWEST:
            found["ever_printed"] = Told(facts, ever, unheard=unknown)
    longest = facts["kind"] == "order_longest"
    if longest.any():
        for level, kind in (("longest_unfinished", "order_top"), ("longest_ended", "order_ended")):
            found[level] = Told(facts.assign(kind=facts["kind"].mask(longest, kind)), ever)
    if (facts["time_origin"] == "treatment").any():
        found["onset_at_once"] = Told(facts, ever, FactReading(onset=(0.0,)))
    return found


class OneFamily:
    """One family under one reading: the posterior on its grid, and without each study.

    Parameters
    ----------
    post : the family's posterior under the protocol's reading, for its grid.
    studies : the same studies as they are read, see `survival.studies_of`.
    told : the reading; says which studies are not heard.

    Attributes
    ----------
    whole : (m, t, q) up to a constant; without : (k, m, t), the same with each study left out and
    the shape summed out, up to the same constant but for `top` of the study.
    """

    def __init__(self, post: survival.SurvivalPosterior, studies: list[survival.Study], told: Told):
        self.post = post
        each = post.reread(studies, told.reading)
        each = [a for a, study in zip(each, post.studies, strict=True)
                if study not in told.unheard]  # fmt: skip
        self.top = np.array([log_a.max() for log_a in each])
        shares = [np.exp(log_a - top) for log_a, top in zip(each, self.top, strict=True)]
        prior = post.log_prior()
        left = [np.exp(prior - prior.max())]
        for share in shares[:-1]:
            left.append(left[-1] * share)
        self.whole = left[-1] * shares[-1]
        right = np.ones_like(prior)
        without: list[np.ndarray] = []
        for share, before in zip(reversed(shares), reversed(left), strict=True):
            without.append(np.einsum("mtq,mtq->mt", before, right))
            right *= share
        self.without = np.array(without[::-1])

    def weighed(self, factor: float) -> tuple[Part, np.ndarray]:
        """The typical study's curves with the scale of tau's prior times `factor`, and elpd (k,).

        elpd : log p(facts of each study | the others), up to a constant common to all families.
        """
        prior, tau = self.post.priors.tau, self.post.axes.tau
        assert isinstance(prior, exact.HalfNormal)
        other = exact.HalfNormal(factor * np.asarray(prior.scale, dtype=float))
        change = np.exp(other.logpdf(tau[None])[0] - prior.logpdf(tau[None])[0])
        part = self.post.typical(np.einsum("mtq,t->mq", self.whole, change))
        every = float(self.whole.sum(axis=(0, 2)) @ change)
        rest = self.without.sum(axis=1) @ change
        return part, np.log(every) + self.top - np.log(rest)


def explore(
    who: dict[str, str], facts: pd.DataFrame, ensemble: survival.Ensemble,
    ever: dict[str, tuple[float, float]], left_out: list[dict], last: float,
) -> Results:  # fmt: skip
    """Every specification of the duration of one approach, the levels, and the standing.

    Parameters
    ----------
    who : approach and population.
    facts, ever : what the ensemble was fitted to.
    ensemble : the headline's fits.
    left_out : the average without each study (rows of the table duration_leave_one_out).
    last : the last month that the follow-up bears; NaN where none is.

    Returns
    -------
    The declared tables duration_multiverse, duration_levels and duration_standing.
    """
    told = readings(facts, ever)
    studies = {name: survival.studies_of(how.facts, how.ever) for name, how in told.items()}
    offered = {"family": list(CHOICES["family"]), "reading": list(told),
               "tau_prior": list(TAU_PRIORS)}  # fmt: skip

    @cache
    def weighed(family: str, reading: str, tau_prior: str) -> tuple[Part, np.ndarray]:
        return of(family, reading).weighed(FACTORS[tau_prior])

    @cache
    def of(family: str, reading: str) -> OneFamily:
        return OneFamily(ensemble.posteriors[family], studies[reading], told[reading])

    rows = []
    for reading in told:
        for family, tau_prior in product(offered["family"], TAU_PRIORS):
            curves = _curves(family, partial(weighed, reading=reading, tau_prior=tau_prior))
            rows.append({"family": family, "reading": reading, "tau_prior": tau_prior,
                         "left_out": NOBODY, **_figures(curves)})  # fmt: skip
        weighed.cache_clear()
        of.cache_clear()
    first = {choice: levels[0] for choice, levels in offered.items()}
    rows += [{**first, "left_out": study, **_told_already(left_out, study)}
             for study in dict.fromkeys(row["left_out"] for row in left_out)
             if study != NOBODY]  # fmt: skip
    table = pd.DataFrame(rows).assign(**who)
    table.insert(0, "spec", np.arange(len(table)))
    labels = dict(facts[["study_id", "label"]].drop_duplicates().itertuples(index=False))
    return table, _levels(who, offered, table, labels), _standing(who, table, last)


def _curves(family: str, weighed: Callable[[str], tuple[Part, np.ndarray]]) -> Curves:
    """The curves of one family, or of all by their weights."""
    if family != STACKED:
        return Curves([weighed(family)[0]])
    found = [weighed(name) for name in FAMILIES]
    weights = survival.stacking(np.column_stack([elpd for _, elpd in found]))
    return Curves([part for part, _ in found], weights)


def _figures(curves: Curves) -> dict[str, float]:
    """Medians of the share at each of `MONTHS`, and of the months by which half have resumed."""
    shares = curves.median_survival(MONTHS)
    made = {f"s_{month:g}": share for month, share in zip(MONTHS, shares, strict=True)}
    return _rounded({**made, "half": curves.median_time_to()})


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    """A time beyond a century is blank."""
    return {name: round(float(value), DECIMALS) if np.isfinite(value) else np.nan
            for name, value in figures.items()}  # fmt: skip


def _told_already(left_out: list[dict], study: str) -> dict[str, float]:
    """The figures of the average without a study, from rows of duration_leave_one_out."""
    own = {row["quantity"] + f"{row['month']:g}": row["median"]
           for row in left_out if row["left_out"] == study}  # fmt: skip
    shares = {f"s_{month:g}": own[f"survival{month:g}"] for month in MONTHS}
    return _rounded({**shares, "half": own["median_durationnan"]})


def _levels(who: dict, offered: dict, table: pd.DataFrame, labels: dict[str, str]) -> pd.DataFrame:
    """The choices with their levels, and how the specifications with each come out."""
    without = {NOBODY: "all studies", **{study: f"without {labels[study]}" for study in labels}}
    named = {**CHOICES, "left_out": without}
    offered = {**offered, "left_out": [NOBODY, *sorted(set(table["left_out"]) - {NOBODY})]}
    rows = []
    for choice, meanings in named.items():
        for level, meaning in meanings.items():
            part = table[table[choice] == level]
            rows.append({**who, "choice": choice, "level": level, "meaning": meaning,
                         "offered": level in offered[choice],
                         "default": level == offered[choice][0], "n": len(part),
                         **{f"median_{name}": part[name].median()
                            for name in ("s_12", "s_60", "half")}})  # fmt: skip
    return pd.DataFrame(rows)


def _standing(who: dict, table: pd.DataFrame, last: float) -> pd.DataFrame:
    """Where each figure of the headline stands among all specifications: one row a figure.

    A month beyond the last that the follow-up bears is an extrapolation, and so is a median
    duration that lies there.
    """
    rows = []
    for quantity, month in QUANTITIES:
        name = "half" if quantity == "median_duration" else f"s_{month:g}"
        values = table[name].dropna()
        own = table[name].iloc[0]
        reach = own if quantity == "median_duration" else month
        spread = {choice: table.groupby(choice)[name].mean().var(ddof=0)
                  for choice in [*CHOICES, "left_out"]}  # fmt: skip
        rows.append({
            **who, "quantity": quantity, "month": month, "n_specs": len(table),
            "n_usable": len(values), "headline": own, "median": values.median(),
            "low": values.quantile(0.05), "high": values.quantile(0.95), "least": values.min(),
            "most": values.max(),
            "share_as_favourable": float((values >= own - 1e-9).mean())
            if np.isfinite(own) else np.nan,
            "beyond_data": not reach <= last,
            "strongest_choice": max(spread, key=lambda choice: np.nan_to_num(spread[choice])),
        })  # fmt: skip
    return pd.DataFrame(rows)
