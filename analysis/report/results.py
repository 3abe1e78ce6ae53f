"""The results of a run, as the report reads them: one object, one way to look an estimate up."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from analysis import evidence, pipeline


@dataclass(frozen=True)
class Results:
    """Everything the report may show.

    Attributes
    ----------
    out : folder of the results (data/processed).
    evidence : the validated evidence tables.
    """

    out: Path
    evidence: evidence.Evidence

    def table(self, name: str) -> pd.DataFrame:
        """A table of the run by name. Raises FileNotFoundError where the run made none."""
        return pipeline.read_table(self.out, name)

    @cached_property
    def estimates(self) -> pd.DataFrame:
        return self.table("estimates")

    @cached_property
    def effects(self) -> pd.DataFrame:
        return self.table("effects")

    @cached_property
    def manifest(self) -> dict:
        return pipeline.read_manifest(self.out)

    def find(self, outcome: str, estimand: str, **words: str) -> pd.DataFrame:
        """Estimates of an outcome and estimand; `words` are further columns and their values."""
        chosen = {"method": "nuts", **words, "outcome": outcome, "estimand": estimand}
        table = self.estimates
        for column, value in chosen.items():
            table = table[table[column] == value]
        return table

    def one(self, outcome: str, estimand: str, group: str = "all", **words: str) -> pd.Series:
        """The one estimate asked for.

        Raises
        ------
        LookupError : when there is none, or more than one.
        """
        table = self.find(outcome, estimand, group=group, **words)
        if len(table) != 1:
            asked = " ".join([outcome, estimand, group, *words.values()])
            raise LookupError(f"{len(table)} estimates for {asked}; exactly one was expected")
        return table.iloc[0]

    def pooled(self, outcome: str, controlled: bool):
        """The pooled mean of one design where at least three studies print a spread, or None.

        Random effects with the Hartung-Knapp interval: with two studies that interval says nothing.
        """
        design = "controlled" if controlled else "uncontrolled"
        row = self.get(outcome, f"mean_{design}", design, group_kind="design", method="hksj")
        return row if row is not None and row["k_studies"] >= 3 else None

    def get(self, outcome: str, estimand: str, group: str = "all", **words: str):
        """The estimate asked for, or None where the data gave none."""
        table = self.find(outcome, estimand, group=group, **words)
        return table.iloc[0] if len(table) == 1 else None


def load(out: Path | str | None = None, raw: Path | str = pipeline.RAW) -> Results:
    """Read the results of a run; `out` defaults to ISLETMETA_OUT, else data/processed."""
    folder = Path(out or os.environ.get("ISLETMETA_OUT") or pipeline.OUT)
    return Results(folder, evidence.load(Path(raw)))
