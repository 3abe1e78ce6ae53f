"""A run turned over: every effect on the other side of no effect, all else as it is.

What lies below lies above, a ratio is its reciprocal, a probability its complement, better counts
are worse counts; claims are judged anew from the tables so turned. Sentences about such a run must
say the opposite.
"""

import numpy as np
import pandas as pd

from analysis import claims, outcomes
from analysis.report.results import Results

PAIRS = (("ci_low", "ci_high"), ("pred_low", "pred_high"), ("shrunk_low", "shrunk_high"),
         ("low", "high"), ("least", "most"), ("share_good_clear", "share_harm_clear"),
         ("k_better", "k_worse"))  # fmt: skip
NEGATED = ("y", "mean", "median", "direction", "shrunk_mean", "headline", "shift_in_sd", "x",
           *(name for pair in PAIRS[:5] for name in pair))  # fmt: skip
TURNED = ("study_estimates", "standing", "leave_one_out", "influence", "densities", "headlines")


class Mirror(Results):
    """A run of the report turned over."""

    def table(self, name: str) -> pd.DataFrame:
        if name not in self._read:
            whole = super().table(name)
            if name == "estimates":
                whole = estimates(whole)
            elif name in TURNED:
                whole = turned(whole)
            elif name == "claims":
                whole = claims.table(self.estimates, _Tables(self), self.evidence)
            self._read[name] = whole
        return self._read[name].copy(deep=False)


class _Tables(dict):
    """The tables of a run as a mapping."""

    def __init__(self, run: Results):
        super().__init__()
        self.run = run

    def get(self, name, default=None):
        return self.run.table(name)


def turned(table: pd.DataFrame) -> pd.DataFrame:
    """A table of figures on the model's scale, where no effect is zero."""
    out = table.copy()
    own = table["outcome"].map(lambda word: outcomes.get(word).kind == outcomes.CONTINUOUS)
    for name in NEGATED:
        if name in table:
            out.loc[own, name] = -table.loc[own, name]
    for low, high in PAIRS:
        if low in table and high in table:
            out.loc[own, low], out.loc[own, high] = out.loc[own, high], out.loc[own, low].copy()
    return out


def estimates(table: pd.DataFrame) -> pd.DataFrame:
    """Estimates of continuous outcomes turned over, each on its scale."""
    own = table["outcome"].map(lambda word: outcomes.get(word).kind == outcomes.CONTINUOUS)
    own &= ~table["quantity"].isin(["tau", "i_squared"])
    turns = {"ratio": lambda x: 1 / x, "percent": lambda x: 100 * (1 / (1 + x / 100) - 1)}
    out = table.copy()
    chance = own & table["scale"].eq("probability")
    at_none = table["threshold"] == table["outcome"].map(lambda word: outcomes.get(word).neutral)
    out.loc[chance, "mean"] = np.where(at_none, 1 - table["mean"], 0.001)[chance]
    figures = ["mean", "median", "ci_low", "ci_high", "pred_low", "pred_high"]
    for scale in table.loc[own & ~chance, "scale"].unique():
        here = own & table["scale"].eq(scale)
        new = table.loc[here, figures].map(turns.get(scale, lambda x: -x))
        for low, high in PAIRS[:2]:
            new[low], new[high] = new[high], new[low].copy()
        out.loc[here, figures] = new
    return out
