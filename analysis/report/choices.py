"""What a reader may try on a headline: leave a study out, or choose another analysis.

Every option is a posterior that the run has made; the page only shows and hides it, with texts and
places written here, and asks nothing of a server. One choice at a time, since only such posteriors
were made for every study. The choice says that it is the reader's and not the headline; one button
goes back. Without scripts and in print it is absent: the same numbers stand in the tables of every
analysis and in the figures of what would change our mind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from analysis import escape, outcomes
from analysis.outcomes import Outcome
from analysis.records import records
from analysis.report.figures import base
from analysis.report.figures.robustness import name
from analysis.report.results import Results
from analysis.report.words import base as basis
from analysis.report.words import chance, interval, known, number, study
from analysis.report.words import choice as choice_words
from analysis.results import VARIANTS

WIDE, TALL, EDGE = 320, 58, 8
BAND, REACH, ALL = 16.0, 36.0, 50.0
"""Heights at which the headline, the choice and all analyses are drawn."""
KEY = ("Grey: the headline. Colour: your choice; dashed: a new study. Small strokes: every "
       "defensible analysis. Upright: no effect.")  # fmt: skip
EVIDENCE = ("randomised", "numbers_only", "all_nulls", "low_risk", "strict_window",
            "visit_open_out", "stated_measure", "with_untested", "registered_nulls",
            "words_se_0.5", "words_se_0.75", "words_se_1.5", "robust",
            "classes")  # fmt: skip
CENTRED = "unknown spreads and correlation at their centre"
RULES = ("medians", "se_source", "window", "sources", "unstated_spread", "overlaps", "r")
"""Choices that the analyses of the multiverse alone make."""
PRIORS = {"half_normal": "as in the headline", "half_normal_narrow": "half as wide",
          "half_cauchy": "half-Cauchy", "empirical": "log-normal, Rhodes 2015"}  # fmt: skip


@dataclass(frozen=True)
class Posterior:
    """One posterior of a mean on the scale readers see, and what made it."""

    label: str
    mean: float
    low: float
    high: float
    new_low: float
    new_high: float
    k: float
    n: float
    good: float = float("nan")


@dataclass(frozen=True)
class Nothing:
    """Stands where there is nothing to choose."""

    def _repr_markdown_(self) -> str:
        return ""

    def _repr_html_(self) -> str:
        return ""


@dataclass(frozen=True)
class Choices:
    """The headline of an outcome with all that a reader may choose instead."""

    title: str
    outcome: str
    headline: Posterior
    studies: tuple[Posterior, ...]
    groups: tuple[tuple[str, tuple[Posterior, ...]], ...]
    means: tuple[float, ...]
    """Means of every defensible analysis."""

    def _repr_markdown_(self) -> str:
        return ""

    def _repr_html_(self) -> str:
        groups = "".join(
            f'<optgroup label="{escape.html(title)}">{"".join(map(self._option, found))}</optgroup>'
            for title, found in self.groups
            if found
        )
        title = escape.html(self.title)
        chosen = f'<option value="">the headline of this report</option>{groups}'
        left = f'<option value="">no study</option>{"".join(map(self._option, self.studies))}'
        return (
            f'<div class="choice" role="group" aria-label="Try it: {title}" hidden>\n'
            f'<p class="choice-title">Try it: {title}</p>\n'
            f'<div class="choice-bar">'
            f'<label>Leave out <select class="leave">{left}</select></label>'
            f'<label>Analysis <select class="analysis">{chosen}</select></label>'
            f'<button type="button" disabled>Back to the headline</button></div>\n'
            f"{self._picture()}\n"
            f'<p class="told" role="status">{self._told()}</p>\n'
            f'<p class="key">{KEY}</p>\n</div>'
        )

    def _option(self, posterior: Posterior) -> str:
        return f'<option value="1" {self._data(posterior)}>{escape.html(posterior.label)}</option>'

    def _data(self, posterior: Posterior) -> str:
        """What the page shows of a posterior: its words, and its places in the picture."""
        one = posterior
        ends = (one.low, one.mean, one.high, one.new_low, one.new_high)
        places = " ".join(f"{self._x(value):.1f}" if known(value) else "-" for value in ends)
        return f'data-x="{places}" data-told="{escape.html(self._words(posterior))}"'

    def _told(self) -> str:
        return f"<b>The headline:</b> {escape.html(self._words(self.headline))}"

    def _words(self, posterior: Posterior) -> str:
        about = outcomes.get(self.outcome)
        parts = [
            f"{number(posterior.mean, about.digits)}{about.suffix} "
            f"({interval(posterior.low, posterior.high, about.digits)})"
        ]
        if known(posterior.new_low):
            parts.append(
                f"new study {interval(posterior.new_low, posterior.new_high, about.digits)}"
            )
        if known(posterior.good):
            parts.append(f"chance of benefit {chance(posterior.good)}")
        parts.append(basis(posterior.k, posterior.n))
        return "; ".join(parts)

    def _every(self) -> Iterator[Posterior]:
        yield self.headline
        yield from self.studies
        for _, found in self.groups:
            yield from found

    @cached_property
    def _limits(self) -> tuple[float, float]:
        """Ends of the picture on the model's scale: all means and intervals but the wildest."""
        about = outcomes.get(self.outcome)
        ends = [value for one in self._every() for value in (one.low, one.high)]
        shown = [about.modelled(value) for value in (*ends, *self.means) if known(value)]
        low, high = base.limits_of(shown, about, cut=0.01)
        return about.modelled(low), about.modelled(high)

    def _x(self, value: float) -> float:
        """The place of a number (as readers see it) in the picture, at its edge beyond."""
        low, high = self._limits
        share = (outcomes.get(self.outcome).modelled(value) - low) / (high - low)
        return EDGE + (WIDE - 2 * EDGE) * min(max(share, 0.0), 1.0)

    def _picture(self) -> str:
        about, head = outcomes.get(self.outcome), self.headline
        ticks = "".join(f"M{self._x(value):.1f} {ALL - 4}v8" for value in sorted(self.means))
        none = self._x(about.neutral)
        return (
            f'<svg class="places" viewBox="0 0 {WIDE} {TALL}" aria-hidden="true">'
            f'<path class="all" d="{ticks}"/>'
            f'<line class="none" x1="{none:.1f}" x2="{none:.1f}" y1="2" y2="{TALL - 2}"/>'
            f'<line class="band" x1="{self._x(head.low):.1f}" x2="{self._x(head.high):.1f}" '
            f'y1="{BAND}" y2="{BAND}"/>'
            f'<circle class="head" cx="{self._x(head.mean):.1f}" cy="{BAND}" r="4"/>'
            f'<g class="mine" hidden><line class="new" y1="{REACH}" y2="{REACH}"/>'
            f'<line class="span" y1="{REACH}" y2="{REACH}"/><circle cy="{REACH}" r="4.5"/></g>'
            "</svg>"
        )


def choices(results: Results, outcome: str, approach: str, population: str) -> Choices | Nothing:
    """What a reader may try on a headline; nothing where it has no mean."""
    about = outcomes.get(outcome)
    parts = {"outcome": outcome, "approach": approach, "population": population}
    scale = "ratio" if about.is_ratio else about.scale
    told = results.rows("headlines", **parts, design="controlled")
    row = results.get(**parts, design="controlled", scale=scale)
    if row is None or told.empty or told["told"].iloc[0] != "mean":
        return Nothing()
    specs = results.rows("multiverse", **parts)
    usable = specs[(specs["conclusion"] != "too_few") & (specs["silent_trials"] == "out")]
    return Choices(
        name(parts),
        outcome,
        _estimate(results, row, "the headline", about, parts),
        tuple(_without(results, parts, about)),
        (
            ("Other evidence", tuple(_evidence(results, parts, scale, about))),
            (f"Other priors, {CENTRED}", tuple(_priors(results, parts, row, about))),
            (
                f"Other rules, {CENTRED}",
                tuple(_rules(results, specs, parts, about)),
            ),
        ),
        tuple(about.shown(value) for value in usable["mean"].dropna()),
    )


def _estimate(
    results: Results, row: pd.Series, label: str, about: Outcome, parts: dict
) -> Posterior:
    good = results.get(**parts, design=row["design"], quantity="probability",
                       threshold=about.neutral, variant=row["variant"])  # fmt: skip
    return Posterior(label, row["mean"], row["ci_low"], row["ci_high"], row["pred_low"],
                     row["pred_high"], row["k_studies"], row["n_patients"],
                     float("nan") if good is None else good["mean"])  # fmt: skip


def _without(results: Results, parts: dict, about: Outcome) -> Iterator[Posterior]:
    """The mean without each study in turn."""
    table = results.rows("leave_one_out", **parts, design="controlled")
    for row in records(table.sort_values("label", kind="stable")):
        ends = (about.shown(row[column]) for column in ("mean", "ci_low", "ci_high", "pred_low",
                                                        "pred_high"))  # fmt: skip
        yield Posterior(study(row["label"]), *ends, row["k_studies"], row["n_patients"])


def _evidence(results: Results, parts: dict, scale: str, about: Outcome) -> Iterator[Posterior]:
    """Analyses of other evidence: randomised alone, numbers alone, every known null …"""
    for word in EVIDENCE:
        own = (
            {"design": "randomised"}
            if word == "randomised"
            else {"design": "controlled", "variant": word}
        )
        row = results.get(**parts, **own, scale=scale)
        label = "randomised trials alone" if word == "randomised" else VARIANTS[word]
        if row is not None and known(row["mean"]):
            yield _estimate(results, row, label, about, parts)


def _priors(results: Results, parts: dict, head: pd.Series, about: Outcome) -> Iterator[Posterior]:
    """The headline under other priors of the mean and of the heterogeneity."""
    table = results.rows("prior_grid", **parts, design="controlled")
    table = table[table["tau_prior"].isin(PRIORS)]
    for row in records(table.sort_values(["mu_prior_sd", "tau_prior"])):
        ends = [about.shown(row[column]) for column in ("mean", "ci_low", "ci_high")]
        label = (f"mean: standard deviation {row['mu_prior_sd']:g}; heterogeneity: "
                 f"{PRIORS[row['tau_prior']]}")  # fmt: skip
        yield Posterior(label, *ends, float("nan"), float("nan"), head["k_studies"],
                        head["n_patients"], row["p_good"])  # fmt: skip


def _rules(
    results: Results, specs: pd.DataFrame, parts: dict, about: Outcome
) -> Iterator[Posterior]:
    """Analyses of the multiverse that differ from the headline in one choice."""
    levels = results.rows("multiverse_levels", **parts)
    if specs.empty or levels.empty:
        return
    meaning = levels.set_index(["choice", "level"])["meaning"]
    names = list(levels["choice"].unique())
    headline = specs[specs["spec"] == 0]
    if headline.empty:
        return
    differ = specs[names].ne(headline[names].iloc[0], axis=1)
    one = differ.sum(axis=1).eq(1) & differ[[name for name in names if name in RULES]].any(axis=1)
    alone = specs[one & specs["conclusion"].ne("too_few")]
    for index, row in alone.iterrows():
        choice = differ.columns[differ.loc[index]][0]
        label = f"{choice_words(choice)}: {meaning[(choice, row[choice])]}"
        yield Posterior(label, *(about.shown(row[c]) for c in ("mean", "ci_low", "ci_high")),
                        float("nan"), float("nan"), row["k_studies"], row["n_patients"],
                        row["p_good"])  # fmt: skip
