"""The analysis choices on the way from printed facts to effects, in one place.

A sensitivity analysis varies them by `dataclasses.replace(Rules(), ...)`. Two kinds stand here:
how a printed fact is read (the effects must be built anew), and which effect speaks for a cohort
(`SELECTING`: an effects table that is built can be marked anew, see `effects.for_stratum`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from analysis import outcomes

SELECTING = ("window", "tolerance", "controlled_first", "words", "overlaps", "visit_open",
             "untested", "all_nulls", "unstated_measure")  # fmt: skip
"""Choices that only decide which effect speaks."""

WORDS_ALLOWED = {
    "unstated_spread": ("sd", "se"),
    "unstated_pair": ("iqr", "range"),
    "se_source": ("protocol", "spread", "larger"),
    "arms": ("combined", "apart"),
    "overlaps": ("declared", "shared"),
    "visit_open": ("in", "out"),
    "unstated_measure": ("in", "out"),
}


@dataclass(frozen=True)
class Rules:
    """Choices of the effects table; the defaults are those of the headline analysis.

    r : pre-post correlation used where a single standard error is wanted.
    unstated_spread : what a single unlabelled number is: "sd" or "se".
    unstated_pair : what an unlabelled pair is: "iqr" or "range".
    medians : True converts a median with quartiles or a range to a mean (Luo 2018); False takes the
        median itself as the mean.
    p_values : True takes standard errors from exact p-values; False never does.
    se_source : where a printed spread and an exact p-value both give a standard error. "protocol":
        the spread of the change itself, then p, then the spreads before and after; at one visit the
        spreads, then p. "spread": spreads before p everywhere. "larger": the larger of the two.
    largest_p : exact p-values above this give no standard error (the ratio is too unstable).
    arms : several treated arms are "combined" into one, or each is set "apart" against its share of
        the control.
    printed_change : True prefers a printed absolute change to the difference of printed levels.
    percent_first : True prefers a printed percent change to the ratio of printed levels.
    small_sample : True adds the small-sample correction of the log ratio (Lajeunesse 2015).
    horizon, window : months of the headline effect: the nearest to `horizon` within `window`.
    tolerance : months by which a visit may miss the window and still count as planned (24 to 26
        weeks are the six-month visit).
    controlled_first : for the mark `headline` only: True prefers the controlled contrast of a
        cohort at the same distance from the horizon.
    words : False leaves results in words out of the headline; a number farther from the horizon
        than the words of the same patients still does not take their place.
    overlaps : "declared" treats shared and possibly shared patients as one cohort; "shared" only
        the former.
    visit_open : "in" counts a claim about the whole follow-up, without a visit, as one of the
        horizon; "out" leaves such claims out.
    untested : True lets in signs without a test and words the source marks as untested.
    all_nulls : True lets in every known null that lacks a group, an arm size, a time or a journal.
    unstated_measure : "in" pools a C-peptide measure that is not stated, as a level of its own.
    """

    r: float = 0.4
    unstated_spread: str = "sd"
    unstated_pair: str = "iqr"
    medians: bool = True
    p_values: bool = True
    se_source: str = "protocol"
    largest_p: float = 0.5
    arms: str = "combined"
    printed_change: bool = True
    percent_first: bool = False
    small_sample: bool = False
    horizon: float = outcomes.HORIZON
    window: tuple[float, float] = outcomes.WINDOW
    tolerance: float = outcomes.TOLERANCE
    controlled_first: bool = True
    words: bool = True
    overlaps: str = "declared"
    visit_open: str = "in"
    untested: bool = False
    all_nulls: bool = False
    unstated_measure: str = "in"

    def __post_init__(self) -> None:
        if not -1 < self.r < 1:
            raise ValueError("r lies between -1 and 1")
        for name, allowed in WORDS_ALLOWED.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is one of {', '.join(allowed)}")
        if not 0 < self.window[0] <= self.horizon <= self.window[1]:
            raise ValueError("the horizon lies within the window, after treatment")
        if not 0 <= self.tolerance < self.window[0]:
            raise ValueError("the tolerance is not negative and smaller than the window's start")
        if not 0 < self.largest_p < 1:
            raise ValueError("largest_p lies between 0 and 1")

    def same_reading(self, other: Rules) -> bool:
        """Whether both read every printed fact alike, so that one table serves both."""
        return all(
            getattr(self, field.name) == getattr(other, field.name)
            for field in fields(self)
            if field.name not in SELECTING
        )
