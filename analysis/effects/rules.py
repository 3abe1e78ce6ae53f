"""The analysis choices on the way from printed facts to effects, in one place.

A sensitivity analysis varies them by `dataclasses.replace(Rules(), ...)`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """Choices of the effects table; the defaults are those of the headline analysis.

    r : pre-post correlation used where a single standard error is wanted.
    unstated_spread : what a single unlabelled number is: "sd" or "se".
    unstated_pair : what an unlabelled pair is: "iqr" or "range".
    medians : True converts a median with quartiles or a range to a mean (Luo 2018); False takes the
        median itself as the mean.
    p_values : True takes the standard error from an exact p-value of the change where the SD of the
        change is not printed; False uses the SDs before and after.
    largest_p : exact p-values above this give no standard error (the ratio is too unstable).
    printed_change : True prefers a printed absolute change to the difference of printed levels.
    percent_first : True prefers a printed percent change to the ratio of printed levels.
    small_sample : True adds the small-sample correction of the log ratio (Lajeunesse 2015).
    horizon, window : months of the headline effect: the nearest to `horizon` within `window`.
    controlled_first : True prefers the controlled contrast of a cohort at the same distance from
        the horizon, also where it is in words and the uncontrolled change is a number.
    words : False leaves results in words out of the headline; a number farther from the horizon
        than the words of the same patients still does not take their place.
    overlaps : "declared" treats shared and possibly shared patients as one cohort; "shared" only
        the former.
    """

    r: float = 0.4
    unstated_spread: str = "sd"
    unstated_pair: str = "iqr"
    medians: bool = True
    p_values: bool = True
    largest_p: float = 0.5
    printed_change: bool = True
    percent_first: bool = False
    small_sample: bool = False
    horizon: float = 12.0
    window: tuple[float, float] = (6.0, 18.0)
    controlled_first: bool = True
    words: bool = True
    overlaps: str = "declared"

    def __post_init__(self) -> None:
        if not -1 < self.r < 1:
            raise ValueError("r lies between -1 and 1")
        if self.unstated_spread not in ("sd", "se"):
            raise ValueError('unstated_spread is "sd" or "se"')
        if self.unstated_pair not in ("iqr", "range"):
            raise ValueError('unstated_pair is "iqr" or "range"')
        if self.overlaps not in ("declared", "shared"):
            raise ValueError('overlaps is "declared" or "shared"')
        if not 0 < self.window[0] <= self.horizon <= self.window[1]:
            raise ValueError("the horizon lies within the window, after treatment")
        if not 0 < self.largest_p < 1:
            raise ValueError("largest_p lies between 0 and 1")
