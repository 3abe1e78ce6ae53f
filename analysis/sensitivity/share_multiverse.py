"""The multiverse of shares: every defensible count of one share, and where the headline stands.

The same idea as `multiverse`, for counts of patients: lower bounds as bounds or as exact counts,
those not seen in or out of the denominator, visits, overlaps, classes of cells, risk of bias,
priors, and each study left out. Random effects only. Where one cohort alone counts, its exact
binomial share stands, by Clopper and Pearson or by Jeffreys. The first specification is the
headline: the share in a typical study, or of the one cohort, as the estimates tell it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import special

from analysis import exact, outcomes, priors, risk_of_bias
from analysis.central import LEVELS
from analysis.cohorts import OVERLAPS, POPULATION_PARTS, in_population
from analysis.counting import share_facts
from analysis.evidence import Evidence
from analysis.exact import bounds
from analysis.questions import STRATA
from analysis.sensitivity.count_plane import Count, CountPlane
from analysis.sensitivity.multiverse import SEEN_FIRST_HAND, specifications
from analysis.sensitivity.share_choices import CHOICES, MODEL, READINGS

N_SPECS = 300
DECIMALS = 5
ALL, NOBODY = "all", "none"
"""In the place of the class: all are pooled; in that of the study left out: all are in."""
HALF = 0.5
CELLS = {"islets": ("psc_islet", "endoderm_islet"), "msc": ("msc_",)}
"""How the words of the classes begin that a level of `cells` keeps."""
DEFAULT = {choice: next(iter(levels)) for choice, levels in CHOICES.items()}
FACTORS = {"half_normal": 1.0, "normal": 1.0, "narrow": 0.5, "wide": 2.0}
POPULATIONS = ("t1d", "t2d")
SPLIT = ("islet_replacement",)
"""Approaches whose classes of cells are told apart as headlines of their own."""
Results = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


class Shares:
    """The counts of all shares under any reading, and the plane they are pooled on.

    Parameters
    ----------
    evidence : the validated tables.
    """

    def __init__(self, evidence: Evidence):
        self.evidence = evidence
        self.plane = CountPlane()
        self._offered = {word: share_facts.Offered(evidence, word) for word in OVERLAPS}
        self._judged = risk_of_bias.lookup(evidence.risk_of_bias)
        self._read: dict[tuple[str, share_facts.Reading], list[dict]] = {}
        mu, tau = (priors.get("ever_independent", name) for name in ("mu", "tau"))
        self._mu, self._tau = mu.params, tau.scale

    def facts(self, outcome: str, reading: share_facts.Reading) -> list[dict]:
        """Counts of an outcome (`share_facts.COLUMNS`), with the `risk` of bias of each."""
        if outcome == share_facts.EVER:  # counted at no visit
            reading = share_facts.Reading(overlaps=reading.overlaps)
        key = (outcome, reading)
        if key not in self._read:
            found, _ = self._offered[reading.overlaps].counts(outcome, reading)
            risk = risk_of_bias.of_studies(
                self.evidence, [fact["study_id"] for fact in found],
                outcomes.get(outcome).family, self._judged,
            )  # fmt: skip
            rows = [{**fact, "risk": word} for fact, word in zip(found, risk, strict=True)]
            self._read[key] = sorted(rows, key=lambda row: row["study_id"])
        return self._read[key]

    def priors_of(self, spec: dict) -> tuple[exact.Normal, exact.HalfNormal]:
        """The priors of a specification: of the log odds, and of their SD between studies."""
        mean, sd = self._mu
        return (exact.Normal(mean, FACTORS[spec["mu_prior"]] * sd),
                exact.HalfNormal(FACTORS[spec["tau_prior"]] * self._tau))  # fmt: skip


def strata(facts: pd.DataFrame) -> list[dict[str, str]]:
    """The shares that are headlines: outcome, approach, population and cell_class of each.

    Parameters
    ----------
    facts : the counts (`share_facts.COLUMNS`).
    """
    found = []
    for outcome in outcomes.of_kind(outcomes.COUNT):
        for approach, population in STRATA:
            own = facts[facts["outcome"].eq(outcome) & facts["approach"].eq(approach)]
            own = own[in_population(own["population"], population)]
            if own.empty or population not in POPULATIONS:
                continue
            classes = sorted(set(own["cell_class"]))
            split = classes if approach in SPLIT and len(classes) > 1 else []
            found += [{"outcome": outcome, "approach": approach, "population": population,
                       "cell_class": word} for word in (ALL, *split)]  # fmt: skip
    return found


class Fork:
    """One share with the counts of any specification.

    Parameters
    ----------
    shares : the counts of all shares.
    stratum : outcome, approach, population and cell_class (`all` where not split).
    """

    def __init__(self, shares: Shares, stratum: dict[str, str]):
        self.shares, self.stratum = shares, stratum
        self._of_stratum: dict[tuple, list[dict]] = {}
        self.own = self.rows(DEFAULT)

    def rows(self, spec: dict, left_out: str = NOBODY) -> list[dict]:
        """The counts that a specification pools."""
        levels = tuple(spec[choice] for choice in READINGS)
        if levels not in self._of_stratum:
            changes: dict = {}
            for meanings, level in zip(READINGS.values(), levels, strict=True):
                changes |= meanings[level][1]
            read = self.shares.facts(self.stratum["outcome"], share_facts.Reading(**changes))
            self._of_stratum[levels] = [row for row in read if self._of(row)]
        rows = self._of_stratum[levels]
        return [row for row in rows if row["study_id"] != left_out and _wanted(row, spec)]

    def _of(self, row: dict) -> bool:
        """Whether a count belongs to the stratum."""
        stratum = self.stratum
        return (
            row["approach"] == stratum["approach"]
            and row["population"] in POPULATION_PARTS[stratum["population"]]
            and stratum["cell_class"] in (ALL, row["cell_class"])
        )

    def counts(self, spec: dict, left_out: str = NOBODY) -> list[Count]:
        """k, n and the most it can be, of each study as a specification reads them."""
        counts = []
        for row in self.rows(spec, left_out):
            if spec["not_seen"] == "left_out":
                seen = {"n": row["n_seen"], "bound": row["bound_seen"], "not_counted": np.nan}
                row = row | seen
            if spec["lower_bounds"] == "exact":
                row = row | {"bound": "exact"}
            counts.append((row["k"], row["n"], share_facts.most_of(row)))
        return counts

    def offered(self) -> dict[str, list[str]]:
        """Levels that change something in this share, the headline's own first."""
        beside = [{**DEFAULT, "any_time": level} for level in CHOICES["any_time"]]
        kept = {}
        for choice, levels in CHOICES.items():
            first, *others = levels
            if choice not in MODEL:
                others = [level for level in others if self._changes(choice, level, beside)]
            kept[choice] = [first, *others]
        sizes = {len(self.rows({**DEFAULT, choice: level}))
                 for choice, levels in kept.items() for level in levels}  # fmt: skip
        if sizes == {1}:
            kept["tau_prior"], kept["mu_prior"] = kept["tau_prior"][:1], kept["mu_prior"][:1]
        elif 1 not in sizes:
            kept["alone"] = kept["alone"][:1]
        return kept

    def _changes(self, choice: str, level: str, beside: list[dict]) -> bool:
        """Whether a level changes the counts of any of these specifications and leaves some.

        A count at any time has all patients and no visit; only beside the counts at a visit do
        those not seen, lower bounds and windows matter.
        """
        if choice == "any_time":
            beside = [DEFAULT]
        read = ((self._content({**spec, choice: level}), self._content(spec)) for spec in beside)
        return any(counts and counts != own for counts, own in read)

    def _content(self, spec: dict) -> list[tuple]:
        names = [row["study_id"] for row in self.rows(spec)]
        return list(zip(names, self.counts(spec), strict=True))

    def specifications(self, offered: dict[str, list[str]], n: int) -> pd.DataFrame:
        """The headline, combinations of the choices, and the headline without each study."""
        combined = specifications(offered, n).assign(left_out=NOBODY)
        if len(self.own) <= 2:  # one alone is no mean of a typical study
            return combined
        without = [{**DEFAULT, "left_out": row["study_id"]} for row in self.own]
        return pd.concat([combined, pd.DataFrame(without)], ignore_index=True)


def _wanted(row: dict, spec: dict) -> bool:
    return (
        (spec["cells"] == "all" or row["cell_class"].startswith(CELLS[spec["cells"]]))
        and (spec["risk_of_bias"] == "any" or row["risk"] not in risk_of_bias.HIGH)
        and (spec["sources"] == "any" or row["seen_in"] in SEEN_FIRST_HAND)
    )


def explore(shares: Shares, stratum: dict[str, str], n: int = N_SPECS) -> Results:
    """Every specification of a share with its result, the levels, and the headline's standing.

    Of specifications that come down to the same counts and priors one is kept.

    Parameters
    ----------
    shares : the counts of all shares.
    stratum : outcome, approach, population and cell_class.
    n : how many combinations are looked at, at most.

    Returns
    -------
    The declared tables share_multiverse, share_levels and share_standing.
    """
    fork = Fork(shares, stratum)
    offered = fork.offered()
    specs: list[dict] = []
    counts: list[list[Count]] = []
    different: set[tuple] = set()
    for spec in fork.specifications(offered, n).to_dict("records"):
        each = fork.counts(spec, spec["left_out"])
        key = _key(spec, each)
        if key not in different:
            different.add(key)
            specs.append(spec)
            counts.append(each)
    table = pd.DataFrame(specs).assign(
        **stratum, spec=np.arange(len(specs)), k_studies=[len(each) for each in counts],
        n_patients=[sum(total for _, total, _ in each) for each in counts],
    )  # fmt: skip
    found = _answers(shares, specs, counts)
    for place, name in enumerate(("ci_low", "share", "ci_high")):
        table[name] = np.round(found[:, place], DECIMALS)
    table["conclusion"] = np.select(
        [table["k_studies"] == 0, table["ci_low"] > HALF, table["ci_high"] < HALF],
        ["no_study", "above_half", "below_half"], "open",
    )  # fmt: skip
    return table, _levels(stratum, offered, table, fork), _standing(stratum, table, fork)


def _key(spec: dict, counts: list[Count]) -> tuple:
    """What tells apart specifications that come down to different analyses."""
    model = (spec["alone"],) if len(counts) == 1 else (spec["mu_prior"], spec["tau_prior"])
    return (tuple(sorted(counts)), *(model if counts else ()))


def _answers(shares: Shares, specs: list[dict], counts: list[list[Count]]) -> np.ndarray:
    """(specifications, 3) ci_low, share, ci_high; NaN where no study is left."""
    found = np.full((len(specs), 3), np.nan)
    for place, (spec, each) in enumerate(zip(specs, counts, strict=True)):
        if len(each) == 1:
            found[place] = alone(*each[0], spec["alone"])
    several = [place for place, each in enumerate(counts) if len(each) > 1]
    if several:
        found[several] = shares.plane.shares(
            [counts[place] for place in several],
            [shares.priors_of(specs[place]) for place in several],
        )
    return found


def alone(k: float, n: float, most: float, way: str) -> tuple[float, float, float]:
    """Share and 95 % interval of one cohort; where all may be, a lower bound has no upper end.

    Parameters
    ----------
    k, n, most : patients, of how many, and the most it can be: the upper end is that of `most`.
    way : clopper_pearson (k / n, exact interval) or jeffreys (median and interval of the Beta
        posterior under Jeffreys' prior).

    Returns
    -------
    low, share, high.
    """
    if way == "clopper_pearson":
        low, high = bounds.clopper_pearson(k, n)[0], bounds.clopper_pearson(most, n)[1]
        middle = k / n
    else:
        low, middle = special.betaincinv(k + 0.5, n - k + 0.5, LEVELS[:2])
        high = special.betaincinv(most + 0.5, n - most + 0.5, LEVELS[2])
    return float(low), float(middle), 1.0 if k < most == n else float(high)


def _usable(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["conclusion"] != "no_study"]


def _levels(stratum: dict, offered: dict, table: pd.DataFrame, fork: Fork) -> pd.DataFrame:
    """The choices with their levels, and how the usable specifications with each come out."""
    usable = _usable(table)
    labels = {NOBODY: "all studies"}
    labels |= {row["study_id"]: f"without {row['label']}" for row in fork.own}
    named = {**CHOICES, "left_out": labels}
    offered = {**offered, "left_out": [NOBODY, *sorted(set(table["left_out"]) - {NOBODY})]}
    return pd.DataFrame(_each_level(stratum, named, offered, usable))


def _each_level(stratum: dict, named: dict, offered: dict, usable: pd.DataFrame) -> Iterator[dict]:
    share = usable["share"].to_numpy()
    for choice, meanings in named.items():
        levels = usable[choice].to_numpy()
        for level, meaning in meanings.items():
            part = share[levels == level]
            yield {
                **stratum,
                "choice": choice,
                "level": level,
                "meaning": meaning,
                "offered": level in offered[choice],
                "default": level == offered[choice][0],
                "n": len(part),
                "median_share": np.median(part) if len(part) else np.nan,
            }


def _standing(stratum: dict, table: pd.DataFrame, fork: Fork) -> pd.DataFrame:
    """Where the headline stands among all defensible counts of its share: one row."""
    usable = _usable(table)
    share, own = usable["share"], table["share"].iloc[0]
    good = outcomes.get(stratum["outcome"]).good
    spread = {choice: usable.groupby(choice)["share"].mean().var(ddof=0)
              for choice in [*CHOICES, "left_out"]}  # fmt: skip
    strongest = max(spread, key=lambda name: spread[name] if spread[name] > 0 else 0.0)
    k, n = (sum(row[name] for row in fork.own) for name in ("k", "n"))
    return pd.DataFrame([{
        **stratum, "n_specs": len(table), "n_usable": len(usable), "headline": own,
        "counted": k / n, "median": share.median(), "low": share.quantile(0.05),
        "high": share.quantile(0.95), "least": share.min(), "most": share.max(),
        "share_as_favourable": float((good * share >= good * own - 1e-9).mean()),
        "share_above_half": float((usable["conclusion"] == "above_half").mean()),
        "share_below_half": float((usable["conclusion"] == "below_half").mean()),
        "strongest_choice": strongest,
    }])  # fmt: skip
