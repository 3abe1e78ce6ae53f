"""Which numbers a given set of analysis choices leaves to be pooled, fast enough for thousands.

`EffectStore` builds the effects once for each reading of the printed facts (what an unlabelled
spread is, what is done with medians) and keeps them in the order in which the headline rule of
`effects.select` prefers them; every other choice is then a matter of which rows count. A missing
spread and a result in words are given a modelled standard error here, se = SD * sqrt(n_factor),
log SD being the precision-weighted mean of the log SDs that studies print and of its prior's
centre: the plug-in form of what `models.change` does in full.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from analysis import cohorts, effects, priors
from analysis.effects import select
from analysis.evidence import Evidence

OUTCOMES = ("hba1c", "c_peptide_ratio", "insulin_dose")
DESIGNS = ("controlled", "uncontrolled", "both")
R_PRIOR = priors.get("change", "r")
FROM_MEDIANS = "luo|wan|median"
SIGNIFICANT = float(stats.norm.isf(0.025))
HALF_NORMAL_MEDIAN = float(stats.norm.isf(0.25))


@dataclass(frozen=True)
class DataChoices:
    """The choices that decide which numbers are pooled; the defaults are those of the headline.

    r : pre-post correlation.
    design : "controlled", "uncontrolled", or "both" with a bias term for the uncontrolled.
    sources : "any", "primary" (no fact that only a review, news or release restates), "full_text".
    overlaps : "declared" counts possibly shared patients once; "shared" only surely shared ones.
    medians : "converted" to means, taken "as_mean", or "left_out".
    unstated_spread : an unlabelled single spread is an "sd" or an "se".
    window : "6-18", "9-15" or "3-24" months.
    measure : C-peptide "any", "stimulated" (peak or area under the curve) or "fasting".
    words : results in words "left_out"; "null_zero" enters those without a significant difference
        as zero; "at_bound" enters all at their least extreme value (null ones as zero).
    missing_spread : a number without a spread gets a "modelled" one or is "left_out".
    new_onset : uncontrolled changes from a baseline at diagnosis "kept" or "left_out" (HbA1c: never
        kept, as it falls on insulin alone).
    """

    r: float = R_PRIOR.params[0]
    design: str = "controlled"
    sources: str = "any"
    overlaps: str = "declared"
    medians: str = "converted"
    unstated_spread: str = "sd"
    window: str = "6-18"
    measure: str = "any"
    words: str = "left_out"
    missing_spread: str = "modelled"
    new_onset: str = "kept"


HEADLINE = DataChoices()
DESCRIBED = ("effect_id", "study_id", "label", "year", "controlled", "n_patients")
WORDS = ("effect_id", "study_id", "label", "measure", "source", "group_declared", "group_shared")
MEASURES = {"stimulated": ("stimulated", "auc"), "fasting": ("fasting",)}
SOURCES = {"primary": ("full_text", "registry", "abstract"), "full_text": ("full_text",)}


def window_months(text: str) -> tuple[float, float]:
    """ "6-18" as (6.0, 18.0)."""
    low, high = text.split("-")
    return float(low), float(high)


class EffectStore:
    """The effects of one body of evidence under any data choices.

    Parameters
    ----------
    evidence : the validated tables.
    """

    def __init__(self, evidence: Evidence):
        self._evidence = evidence
        self._built: dict[tuple, pd.DataFrame] = {}
        self._tables: dict[tuple, pd.DataFrame] = {}
        self._columns: dict[tuple, dict[str, np.ndarray]] = {}
        self._heads: dict[tuple, np.ndarray] = {}
        self._log_sds: dict[tuple, float] = {}
        self._groups = {
            kind: pd.Series(cohorts.patient_groups(evidence.studies, kind))
            for kind in cohorts.OVERLAPS
        }

    def table(self, outcome: str, choices: DataChoices = HEADLINE) -> pd.DataFrame:
        """All poolable effects of an outcome at every time, the preferred ones first.

        The columns of the effects table, with `group_declared`, `group_shared` (which patients)
        and `source` (the least direct place any of the effect's facts was seen in).
        """
        key = (outcome, *_reading(choices))
        if key not in self._tables:
            ordered = self._ordered(_reading(choices))
            self._tables[key] = ordered[ordered["outcome"].eq(outcome)].reset_index(drop=True)
        return self._tables[key]

    def studies(
        self, outcome: str, choices: DataChoices = HEADLINE, without: str = ""
    ) -> pd.DataFrame:
        """The numbers pooled under these choices, one row a cohort.

        Parameters
        ----------
        without : a study whose reports are taken out before a cohort's effect is chosen, so that
            another report of the same patients may take its place.

        Returns
        -------
        DataFrame sorted by study: effect_id, study_id, label, year, controlled, n_patients, y, se,
        imputed (the standard error is modelled), source, cohort_group (which patients).
        """
        columns = self.columns(outcome, choices)
        index, y, se, imputed = self.numbers(outcome, choices, without)
        order = np.lexsort([columns[name][index].astype(str) for name in ("effect_id", "study_id")])
        index = index[order]
        rows = {name: columns[name][index] for name in DESCRIBED}
        rows |= {"y": y[order], "se": se[order], "imputed": imputed[order],
                 "source": columns["source"][index],
                 "cohort_group": columns[f"group_{choices.overlaps}"][index]}  # fmt: skip
        return pd.DataFrame(rows)

    def numbers(
        self, outcome: str, choices: DataChoices, without: str = ""
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Rows of `table` that are pooled, with their y, se and whether the se is modelled."""
        columns = self.columns(outcome, choices)
        head = self._head(outcome, choices, without)
        numeric = columns["numeric"][head]
        variance = columns["var_a"][head] - choices.r * columns["var_b"][head]
        known = numeric & np.isfinite(variance)
        modelled = np.exp(self.log_sd(outcome, choices)) * np.sqrt(columns["n_factor"][head])
        se = np.where(known, np.sqrt(np.where(known, variance, 1.0)), modelled)
        z_low, z_high = columns["z_low"][head], columns["z_high"][head]
        least = np.clip(0.0, z_low, z_high)  # the value nearest to zero that the words allow
        null = np.abs(least) < SIGNIFICANT
        in_words = np.where(null & (choices.words == "null_zero"), 0.0, least)
        y = np.where(numeric, columns["y"][head], in_words * se)

        keep = np.isfinite(se)
        if choices.words == "left_out":
            keep &= numeric
        elif choices.words == "null_zero":
            keep &= numeric | null
        if choices.missing_spread == "left_out":
            keep &= known | ~numeric
        if choices.medians == "left_out":
            keep &= ~columns["from_medians"][head]
        if choices.new_onset == "left_out":
            keep &= columns["controlled"][head] | ~columns["at_diagnosis"][head]
        if choices.design != "both":
            keep &= columns["controlled"][head] == (choices.design == "controlled")
        return head[keep], y[keep], se[keep], ~known[keep]

    def log_sd(self, outcome: str, choices: DataChoices = HEADLINE) -> float:
        """Log SD of individual change for studies that print none.

        Posterior mean of m in log sd_i ~ Normal(m, spread^2 + 1 / (2 (n_i - 1))), m having its
        prior and `spread` the median of its prior, over the headline effects with a spread under
        the same reading of the facts and the same r. Without any, the prior's centre.
        """
        key = (outcome, *_reading(choices), choices.r)
        if key not in self._log_sds:
            spread, medians = _reading(choices)
            headline = replace(HEADLINE, unstated_spread=spread, medians=medians)
            rows = self.table(outcome, headline).iloc[self._head(outcome, headline)]
            variance = effects.variance(rows, choices.r)
            factor, n = (rows[name].to_numpy(dtype=float) for name in ("n_factor", "n_patients"))
            usable = rows["kind"].eq("numeric").to_numpy() & (variance > 0) & (factor > 0)
            prior = priors.get(outcome, "log_sd")
            spread = HALF_NORMAL_MEDIAN * priors.get("change", "log_sd_spread").scale
            x = 0.5 * np.log(variance[usable] / factor[usable])
            w = 1 / (spread**2 + 0.5 / np.maximum(n[usable] - 1, 1))
            w0 = 1 / prior.scale**2
            self._log_sds[key] = float((w0 * prior.params[0] + w @ x) / (w0 + w.sum()))
        return self._log_sds[key]

    def columns(self, outcome: str, choices: DataChoices) -> dict[str, np.ndarray]:
        """The columns of `table` as arrays."""
        key = (outcome, *_reading(choices))
        if key not in self._columns:
            table = self.table(outcome, choices)
            numbers = ("y", "var_a", "var_b", "n_factor", "months", "n_patients", "year")
            columns = {name: table[name].to_numpy(dtype=float) for name in numbers}
            columns |= {name: table[name].to_numpy(dtype=bool)
                        for name in ("controlled", "at_diagnosis")}  # fmt: skip
            columns["numeric"] = table["kind"].eq("numeric").to_numpy()
            columns["z_low"] = table["z_low"].astype(float).fillna(-np.inf).to_numpy()
            columns["z_high"] = table["z_high"].astype(float).fillna(np.inf).to_numpy()
            columns["from_medians"] = table["derived"].str.contains(FROM_MEDIANS).to_numpy()
            for name in WORDS:
                columns[name] = table[name].to_numpy(dtype=object)
            self._columns[key] = columns
        return self._columns[key]

    def _head(self, outcome: str, choices: DataChoices, without: str = "") -> np.ndarray:
        """The preferred row of every cohort inside the window, numbers and words alike."""
        key = (outcome, *_reading(choices), choices.window, choices.overlaps, choices.sources,
               choices.measure, without)  # fmt: skip
        if key not in self._heads:
            columns = self.columns(outcome, choices)
            low, high = window_months(choices.window)
            low, high = low - effects.Rules.tolerance, high + effects.Rules.tolerance
            allowed = (columns["months"] >= low) & (columns["months"] <= high)
            if choices.sources != "any":
                allowed &= np.isin(columns["source"], SOURCES[choices.sources])
            if choices.measure != "any":
                allowed &= np.isin(columns["measure"], MEASURES[choices.measure])
            if without:
                allowed &= columns["study_id"] != without
            rows = np.flatnonzero(allowed)
            groups = columns[f"group_{choices.overlaps}"][rows].astype(str)
            self._heads[key] = rows[np.sort(np.unique(groups, return_index=True)[1])]
        return self._heads[key]

    def _ordered(self, reading: tuple[str, bool]) -> pd.DataFrame:
        if reading not in self._built:
            rules = effects.Rules(unstated_spread=reading[0], medians=reading[1] != "as_mean")
            table = effects.build(self._evidence, rules).effects
            table = table[table["pool"] & table["tested"]]
            table = table[~(table["outcome"].eq("hba1c") & table["at_diagnosis"])]
            ranks = select.preference(table, rules)
            table = table.loc[ranks.sort_values(list(ranks.columns)).index]
            for kind, groups in self._groups.items():
                table[f"group_{kind}"] = table["study_id"].map(groups)
            table["source"] = table["seen_in"]
            self._built[reading] = table
        return self._built[reading]


def _reading(choices: DataChoices) -> tuple[str, str]:
    """The choices that need effects of their own; leaving medians out needs those converted."""
    return choices.unstated_spread, "as_mean" if choices.medians == "as_mean" else "converted"
