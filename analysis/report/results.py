"""The results of a run, as the report reads them: one object, one way to look an estimate up."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import evidence, pipeline
from analysis.report.outcomes import OUTCOMES

R_SHOWN = 0.4
"""Pre-post correlation behind a study's own interval in figures: the centre of its prior."""

CALIBRATION = Path("docs/calibration.csv")
PATIENT_LEVEL = Path("docs/patient_level.csv")
"""Simulation studies take long: they are run apart and their tables tracked here."""


@dataclass(frozen=True)
class Pooled:
    """A pooled estimate on the scale readers see (ratios as ratios); NaN where there is none.

    `method` is nuts (a Bayesian credible interval) or hksj (a frequentist confidence interval).
    """

    mean: float
    low: float
    high: float
    pred_low: float
    pred_high: float
    k: float
    n: float
    method: str
    note: str

    @property
    def interval_name(self) -> str:
        return "credible" if self.method == "nuts" else "confidence"


@dataclass(frozen=True)
class Results:
    """Everything the report may show.

    Attributes
    ----------
    out : folder of the results (data/processed).
    evidence : the validated evidence tables.
    stale : why the results do not belong to the evidence; empty when they do.
    """

    out: Path
    evidence: evidence.Evidence
    stale: str = ""

    def has(self, name: str) -> bool:
        """Whether the run made this table and it holds at least one row."""
        return not self.rows(name).empty

    def table(self, name: str) -> pd.DataFrame:
        """A table of the run by name. Raises FileNotFoundError where the run made none."""
        return pipeline.read_table(self.out, name)

    def rows(self, name: str) -> pd.DataFrame:
        """A table of the run by name, empty where the run made none."""
        if name not in self._read:
            try:
                self._read[name] = self.table(name)
            except (FileNotFoundError, pd.errors.EmptyDataError):
                self._read[name] = pd.DataFrame()
        return self._read[name].copy()

    @cached_property
    def _read(self) -> dict[str, pd.DataFrame]:
        return {}

    def calibration(self) -> pd.DataFrame:
        """What `make calibrate` found: of the run's folder, else the tracked one; or empty."""
        return self._tracked("calibration", CALIBRATION)

    def patient_level(self) -> pd.DataFrame:
        """What is lost by summaries (`analysis.patient_level`), as `calibration`."""
        return self._tracked("patient_level", PATIENT_LEVEL)

    def _tracked(self, name: str, path: Path) -> pd.DataFrame:
        if self.has(name):
            return self.rows(name)
        return pd.read_csv(path) if path.exists() else pd.DataFrame()

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
        chosen = {"method": "nuts", **words}
        table = self._by_quantity.get((outcome, estimand), self.estimates.iloc[:0])
        for column, value in chosen.items():
            table = table[table[column] == value]
        return table

    @cached_property
    def _by_quantity(self) -> dict[tuple[str, str], pd.DataFrame]:
        return dict(list(self.estimates.groupby(["outcome", "estimand"], sort=False)))

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

    def get(self, outcome: str, estimand: str, group: str = "all", **words: str):
        """The estimate asked for, or None where the data gave none."""
        table = self.find(outcome, estimand, group=group, **words)
        return table.iloc[0] if len(table) == 1 else None

    def pooled(
        self,
        outcome: str,
        controlled: bool,
        *,
        kind: str = "all",
        group: str = "all",
        suffix: str = "",
    ) -> Pooled | None:
        """The pooled mean of an outcome in one kind of design, or None.

        The Bayesian model's where it was run. Otherwise, for all studies, random effects with the
        Hartung-Knapp interval, from three studies on: with two that interval says nothing.
        """
        about = OUTCOMES[outcome]
        design = "controlled" if controlled else "uncontrolled"
        row = self.get(about.published, f"mean_{design}{suffix}", group, group_kind=kind,
                       scale=about.scale)  # fmt: skip
        if row is None and (kind, suffix) == ("all", "") and outcome != "insulin_dose_abs":
            row = self.get(about.published, f"mean_{design}", design, group_kind="design",
                           scale=about.scale, method="hksj")  # fmt: skip
            row = row if row is not None and row["k_studies"] >= 3 else None
        if row is None or not np.isfinite(row["mean"]):
            return None
        numbers = [float(about.shown(row[name])) for name in
                   ("mean", "ci_low", "ci_high", "pred_low", "pred_high")]  # fmt: skip
        note = row["note"] if isinstance(row["note"], str) else ""
        return Pooled(*numbers, row["k_studies"], row["n_patients"], row["method"], note)

    def study_effects(self, outcome: str, *, at_diagnosis: bool = False) -> pd.DataFrame:
        """One headline effect a study, on the model's scale, with the study's own 95 % interval.

        Columns of the effects table, and ci_low, ci_high (at r = 0.4; NaN without a spread);
        `direction` of a result in words: 1 (higher), -1 (lower), 0 (no clear difference);
        shrunk_mean, shrunk_low, shrunk_high: the study given all the others (NaN without the
        model). HbA1c after a baseline at diagnosis only, and without the rest, on request.
        """
        table = self.effects
        apart = table["at_diagnosis"].astype(bool) & (outcome == "hba1c")
        chosen = table["headline"].astype(bool) & (table["outcome"] == outcome)
        chosen &= apart if at_diagnosis else (table["pool"].astype(bool) & ~apart)
        table = table[chosen].copy()
        half = 1.96 * np.sqrt(table["var_a"] - R_SHOWN * table["var_b"].fillna(0))
        table["ci_low"], table["ci_high"] = table["y"] - half, table["y"] + half
        table["direction"] = np.select([table["z_low"] > 0, table["z_high"] < 0], [1, -1], 0)
        shrunken = ["shrunk_mean", "shrunk_low", "shrunk_high"]
        if self.has("study_estimates"):
            model = self.rows("study_estimates").set_index("effect_id")[shrunken]
            table = table.join(model, on="effect_id")
        else:
            table[shrunken] = np.nan
        return table.reset_index(drop=True)


def load(out: Path | str | None = None, raw: Path | str | None = None) -> Results:
    """Read the results of a run and its evidence.

    `out` defaults to ISLETMETA_OUT, else data/processed; `raw` to ISLETMETA_RAW, else data/raw.
    ISLETMETA_STALE says why the results do not belong to the evidence, where they do not.
    """
    folder = Path(out or os.environ.get("ISLETMETA_OUT") or pipeline.OUT)
    tables = Path(raw or os.environ.get("ISLETMETA_RAW") or pipeline.RAW)
    return Results(folder, evidence.load(tables), os.environ.get("ISLETMETA_STALE", ""))
