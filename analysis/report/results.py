"""The results of a run, as the report reads them: one object, one way to look a figure up."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from analysis import chain, evidence, pipeline, results

STRATA = {
    "islet_replacement": ("t1d",),
    "immune_reset": ("t1d",),
    "cell_infusion": ("t1d", "t2d"),
}
"""The approaches and the populations that have a chapter or a card."""
SHOWN = "headline"


@dataclass(frozen=True)
class Results:
    """Everything the report may show.

    Attributes
    ----------
    out : folder of the results (data/processed).
    evidence : the validated evidence tables.
    stale : why the results do not belong to this evidence, "" where they do.
    """

    out: Path
    evidence: evidence.Evidence
    stale: str = ""

    def table(self, name: str) -> pd.DataFrame:
        """A declared table; without rows where its stage was not run.

        Raises
        ------
        KeyError : a table that nobody declared.
        ContractError : the run made it and it is gone, or it is not as declared.
        """
        if name not in self._read:
            made = self.manifest.get("stages", {}).values()
            gone = not (Path(self.out) / f"{name}.csv").exists()
            if gone and any(name in stage["tables"] for stage in made):
                raise results.ContractError(f"{name}.csv: the run made it, and it is gone")
            self._read[name] = results.read(Path(self.out), name)
        return self._read[name].copy(deep=False)

    def has(self, name: str) -> bool:
        """Whether the run made this table and it holds at least one row."""
        return name in results.TABLES and not self.table(name).empty

    @cached_property
    def _read(self) -> dict[str, pd.DataFrame]:
        return {}

    @cached_property
    def estimates(self) -> pd.DataFrame:
        """The table of estimates."""
        return self.table("estimates")

    @cached_property
    def _places(self) -> results.Places:
        return results.Places(self.estimates)

    def find(self, **parts: object) -> pd.DataFrame:
        """Estimates with these parts (`results.find`)."""
        return results.find(self.estimates, **parts)

    def one(self, **parts: object) -> pd.Series:
        """The one estimate with these parts. Raises EstimateMissing."""
        return self._places.one(**parts)

    def get(self, **parts: object) -> pd.Series | None:
        """The one estimate with these parts, or None. Raises EstimateMissing where several."""
        return self._places.get(**parts)

    def rows(self, name: str, **parts: object) -> pd.DataFrame:
        """Rows of a declared table whose columns have these values (`results.rows`)."""
        return results.rows(self.table(name), name, **parts)

    def steps(self, name: str) -> tuple[str, ...]:
        """The steps behind a name, as `isletmeta explain` prints them; none where it names none."""
        return tuple(self._chains.walk(name)) if name else ()

    def went(self, table: str, row: dict) -> tuple[str, ...]:
        """Where a raw row went: the effects and counts it is in, or why it is in none."""
        return tuple(self._chains.went(table, row))

    @cached_property
    def _chains(self) -> chain.Chains:
        return chain.Chains(self.evidence, self.table)

    @cached_property
    def manifest(self) -> dict:
        """What was computed from what."""
        return pipeline.read_manifest(self.out)


def load(out: Path | str | None = None, raw: Path | str | None = None) -> Results:
    """Read the results of a run and its evidence.

    `out` defaults to ISLETMETA_OUT, else data/processed; `raw` to ISLETMETA_RAW, else data/raw.
    ISLETMETA_STALE says why the results do not belong to the evidence, where they do not.
    """
    folder = Path(out or os.environ.get("ISLETMETA_OUT") or pipeline.OUT)
    tables = Path(raw or os.environ.get("ISLETMETA_RAW") or pipeline.RAW)
    return Results(folder, evidence.load(tables), os.environ.get("ISLETMETA_STALE", ""))
