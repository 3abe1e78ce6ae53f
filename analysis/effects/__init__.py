"""From facts to effects: one row per contrast of a study, outcome, measure and time.

`build` is the entry; `for_stratum` gives the effects behind one answer, `teachers` those that print
a spread, `known_nulls` those that stay out of every headline. The rooms behind: `conversions`
(formulas of papers), `summaries` (one row), `arms` (one arm), `numeric` (what a contrast holds),
`printed_differences`, `contrasts` (numbers of one study), `statements` (results in words), `build`
(the table), `select` (which effect speaks), `strata`, `rules` (choices),
`derivation` (from an effect back to the print), `oddities`.
"""

from analysis.effects.build import (
    CONTROLLED,
    EFFECT_COLUMNS,
    OUTCOMES,
    EffectsResult,
    Facts,
    build,
)
from analysis.effects.derivation import explain
from analysis.effects.oddities import oddities
from analysis.effects.rules import Rules
from analysis.effects.select import in_window
from analysis.effects.statements import BOUNDED
from analysis.effects.strata import for_stratum, known_nulls, teachers, told_in_words
from analysis.effects.tables import headline, se, variance

__all__ = ["BOUNDED", "CONTROLLED", "EFFECT_COLUMNS", "OUTCOMES", "EffectsResult", "Facts", "Rules",
           "build", "explain", "for_stratum", "headline", "in_window", "known_nulls", "oddities",
           "se", "teachers", "told_in_words", "variance"]  # fmt: skip
