"""A small invented run for tests of the report's first page, plain words and harms.

`Small` answers as the report's results do: estimates, declared tables, one, get, has. The numbers
are invented; each case a reader may meet occurs: a mean, a single study, words, counts, a lower
bound, silence.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import evidence, pipeline, results


@dataclass
class Small:
    """A run in memory: declared tables by name, checked against the contract."""

    estimates: pd.DataFrame
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "Small":
        """A run from a folder."""
        names = [name for name in results.TABLES if name not in ("estimates",)]
        return cls(
            results.read(folder, "estimates"), {name: results.read(folder, name) for name in names}
        )

    @property
    def evidence(self) -> evidence.Evidence:
        """The tracked facts, for what is told from rows and not from results."""
        return _facts()

    def table(self, name: str) -> pd.DataFrame:
        found = self.tables.get(name)
        return results.TABLES[name].empty() if found is None else found

    def rows(self, name: str, **parts) -> pd.DataFrame:
        return results.rows(self.table(name), name, **parts)

    def has(self, name: str) -> bool:
        return not self.table(name).empty

    def one(self, **parts):
        return results.one(self.estimates, **parts)

    def get(self, **parts):
        return results.get(self.estimates, **parts)

    def steps(self, name: str) -> tuple[str, ...]:
        """An invented run has no evidence to walk to."""
        return (name, "  no rows") if name else ()

    def without(self, *names: str) -> "Small":
        """The run without some tables."""
        return Small(self.estimates, {n: t for n, t in self.tables.items() if n not in names})

    def but(self, estimates: pd.DataFrame | None = None, **tables: pd.DataFrame) -> "Small":
        """The run with other estimates or tables."""
        return Small(self.estimates if estimates is None else estimates, {**self.tables, **tables})


@cache
def _facts() -> evidence.Evidence:
    return evidence.load(pipeline.RAW)


@cache
def small() -> Small:
    """The invented run: one of each case."""
    return Small(_estimates(), {name: _table(name, rows) for name, rows in _rows().items()})


def _table(name: str, rows: list[dict]) -> pd.DataFrame:
    """A declared table from rows that name what matters; the rest is blank or a plain word."""
    full = []
    for row in rows:
        plain = {}
        for column in results.TABLES[name].columns:
            blank = {"word": (column.words and next(iter(column.words))) or "x", "flag": False}
            plain[column.name] = row.get(column.name, blank.get(column.kind, ""))
        unknown = set(row) - set(plain)
        assert not unknown, f"{name}: not a column: {unknown}"
        full.append(plain)
    return results.checked(name, pd.DataFrame(full))


HBA1C = {
    "outcome": "hba1c",
    "approach": "cell_infusion",
    "population": "t2d",
    "design": "controlled",
    "scale": "difference",
    "unit": "percentage points",
}
ISLETS = {"approach": "islet_replacement", "population": "t1d"}


def _estimates() -> pd.DataFrame:
    def share(outcome, k, n, low, high, studies=1, **more):
        return {
            "outcome": outcome,
            "quantity": "pooled_share",
            "scale": "share",
            "unit": "share",
            "k_studies": studies,
            "n_patients": n,
            "mean": k / n,
            "ci_low": low,
            "ci_high": high,
            **more,
        }

    return results.estimates(
        [
            {
                **HBA1C,
                "k_studies": 4,
                "n_patients": 120,
                "mean": -0.6,
                "sd": 0.25,
                "ci_low": -1.1,
                "ci_high": -0.1,
                "pred_low": -1.6,
                "pred_high": 0.4,
                "note": "2 of 4 in words only",
            },
            {
                **HBA1C,
                "variant": "numbers_only",
                "k_studies": 2,
                "n_patients": 60,
                "mean": -0.4,
                "sd": 0.3,
                "ci_low": -1.0,
                "ci_high": 0.2,
            },
            share("c_peptide_detectable", 11, 19, 0.33, 0.8, 2, **ISLETS),
            share("c_peptide_detectable", 9, 9, 0.66, 1, cell_class="psc_islet", **ISLETS),
            share("c_peptide_detectable", 2, 10, 0.03, 0.56, cell_class="psc_progenitor", **ISLETS),
            share("insulin_free_12", 6, 9, 0.3, 1, **ISLETS),
            share("ever_insulin_free", 12, 30, 0.2, 0.6, approach="immune_reset", population="t1d"),
        ]
    )


def _rows() -> dict[str, list[dict]]:
    def head(outcome, approach, population, told, **more):
        return {
            "outcome": outcome,
            "approach": approach,
            "population": population,
            "design": "controlled",
            "told": told,
            **more,
        }

    def fact(outcome, cohort, k, n, cell_class, **more):
        return {
            "outcome": outcome,
            "approach": "islet_replacement",
            "population": "t1d_established",
            "study_id": cohort,
            "cohort": cohort,
            "label": cohort,
            "cell_class": cell_class,
            "k": k,
            "n": n,
            "bound": "exact",
            "criterion": "ever",
            "undetectable_at_entry": "yes",
            "source_rows": cohort,
            **more,
        }

    def harm(event, approach, cohort, k, n, what, relation, **more):
        return {
            "event": event,
            "approach": approach,
            "population": "t1d_established",
            "cohort": cohort,
            "study_id": cohort,
            "label": "Invented 2025",
            "k": k,
            "n": n,
            "what": what,
            "fatal": "yes",
            "relation": relation,
            "eligible": "yes",
            "source_rows": f"safety:{cohort}{event}",
            **more,
        }

    def harmed(event, approach, cohort, k, n, **more):
        return {
            "event": event,
            "relation": "any",
            "approach": approach,
            "population": "t1d_established",
            "study_id": cohort,
            "cohort": cohort,
            "label": "Invented 2025",
            "arm": "treated",
            "bound": "exact",
            "k": k,
            "n": n,
            "source_rows": f"safety:{cohort}{event}",
            **more,
        }

    def summary(event, approach, relation="any", **more):
        return {
            "event": event,
            "relation": relation,
            "approach": approach,
            "k_cohorts": 0,
            "n_patients": 0,
            "events": 0,
            "k_at_least": 0,
            "n_at_least": 0,
            "events_at_least": 0,
            "patient_years": 0,
            "k_silent": 0,
            "n_silent": 0,
            "k_other": 0,
            "n_other": 0,
            **more,
        }

    def need(event, level, **more):
        return {
            "event": event,
            "approach": "islet_replacement",
            "threshold": 1,
            "level": level,
            "basis": "data_alone",
            "events": 0,
            "patient_years": 50,
            **more,
        }

    return {
        "headlines": [
            head(
                "hba1c",
                "cell_infusion",
                "t2d",
                "mean",
                k_studies=4,
                k_numbers=2,
                k_better=3,
                k_null=1,
                k_worse=0,
                n_patients=120,
            ),
            head(
                "c_peptide_ratio",
                "cell_infusion",
                "t2d",
                "words",
                k_studies=4,
                k_numbers=1,
                k_better=3,
                k_null=1,
                k_worse=0,
                n_patients=90,
            ),
            head("hba1c", "immune_reset", "t1d", "study", k_studies=1, n_patients=40),
            head("c_peptide_ratio", "immune_reset", "t1d", "study", k_studies=1, n_patients=20),
            head("hba1c", "cell_infusion", "t1d", "none", k_studies=0, n_patients=0),
        ],
        "study_estimates": [
            {
                "outcome": "hba1c",
                "approach": "immune_reset",
                "population": "t1d",
                "design": "controlled",
                "label": "Word 2014",
                "direction": -1,
                "n_patients": 40,
            },
            {
                "outcome": "c_peptide_ratio",
                "approach": "immune_reset",
                "population": "t1d",
                "design": "controlled",
                "label": "Number 2015",
                "direction": 0,
                "n_patients": 20,
                "y": np.log(1.5),
            },
        ],
        "standing": [
            {
                "outcome": "hba1c",
                "approach": "cell_infusion",
                "population": "t2d",
                "n_specs": 60,
                "n_usable": 50,
                "headline": -0.6,
                "median": -0.4,
                "low": -0.7,
                "high": -0.05,
                "least": -0.8,
                "most": 0.1,
                "share_as_favourable": 0.1,
                "share_good_clear": 0.3,
                "strongest_choice": "words",
            },
        ],
        "share_facts": [
            fact(
                "c_peptide_detectable", "a", 9, 9, "psc_islet", month=3, criterion="above 0.1 ng/mL"
            ),
            fact("c_peptide_detectable", "b", 2, 10, "psc_progenitor", month=6),
            fact("insulin_free_12", "a", 6, 9, "psc_islet", month=12, bound="at_least"),
            {
                **fact("ever_insulin_free", "c", 12, 30, "ahsct"),
                "approach": "immune_reset",
                "population": "t1d_new_onset",
            },
        ],
        "duration_follow_up": [
            {
                "approach": "islet_replacement",
                "population": "t1d",
                "k_cohorts": 2,
                "n_ever_free": 12,
                "last_month": 24,
                "longest": 30,
                "longest_study": "a",
            },
        ],
        "harm_events": [
            harm("death", "islet_replacement", "a", 2, 9, "one meningitis; one fall", "any"),
            harm("severe_infection", "islet_replacement", "a", 1, 9, "fatal meningitis", "any"),
            harm(
                "death",
                "cell_infusion",
                "d",
                1,
                12,
                "unknown cause",
                "unrelated",
                population="t2d",
                judged_by="the source",
            ),
            harm(
                "malignancy_or_tumour",
                "cell_infusion",
                "e",
                1,
                40,
                "meningioma",
                "unclear",
                fatal="no",
                eligible="context",
            ),
        ],
        "harm_facts": [
            harmed("death", "islet_replacement", "a", 2, 9),
            harmed("severe_infection", "islet_replacement", "a", 1, 9),
            harmed("death", "cell_infusion", "d", 1, 12, population="t2d", bound="at_least"),
        ],
        "harm_summary": [
            summary(
                "death",
                "islet_replacement",
                k_cohorts=1,
                n_patients=9,
                events=2,
                patient_years=9,
                k_silent=2,
                n_silent=20,
                silent="Quiet 2019;Still 2020",
                upper_95=70,
                upper_975=80.3,
            ),
            summary(
                "death",
                "cell_infusion",
                k_at_least=1,
                n_at_least=12,
                events_at_least=1,
                k_silent=3,
                n_silent=60,
                silent="Mute 2011;Mute 2012;Mute 2013",
            ),
            summary(
                "severe_infection",
                "immune_reset",
                k_cohorts=1,
                n_patients=8,
                patient_years=8,
                upper_95=37,
                upper_975=46,
            ),
            summary(
                "severe_infection",
                "immune_reset",
                "treatment_related",
                k_cohorts=2,
                n_patients=47,
                events=3,
                patient_years=160,
                upper_95=4.8,
                upper_975=5.4,
            ),
            summary(
                "malignancy_or_tumour",
                "islet_replacement",
                k_cohorts=2,
                n_patients=30,
                patient_years=50,
                upper_95=5.99,
                upper_975=7.38,
            ),
            summary("graft_loss", "cell_infusion", k_silent=4, n_silent=70, silent="Mute 2011"),
        ],
        "evidence_needed": [
            need("malignancy_or_tumour", 0.95, bound_now=5.99, needed_in_all=300, needed_more=250),
            need("malignancy_or_tumour", 0.975, bound_now=7.38, needed_in_all=369, needed_more=319),
        ],
        "harm_controls": [
            {
                "event": "serious_adverse_event",
                "relation": "any",
                "study_id": "f",
                "cohort": "f",
                "label": "Both 2015",
                "approach": "cell_infusion",
                "k": 0,
                "n": 10,
                "k_control": 1,
                "n_control": 5,
                "risk_difference": -0.15,
                "rd_low": -0.5,
                "rd_high": 0.1,
                "source_rows": "safety:7",
            },
        ],
        "certainty": [
            {
                "outcome": "hba1c",
                "approach": "cell_infusion",
                "population": "t2d",
                "estimate_id": "hba1c:cell_infusion:t2d:controlled",
                "design": "randomised",
                "level": "very low",
                "levels_down": 3,
                "levels_up": 0,
                "reasons": "all of the weight is at high risk; 120 patients",
            },
        ],
        "certainty_steps": [
            {
                "estimate_id": "hba1c:cell_infusion:t2d:controlled",
                "domain": domain,
                "levels": levels,
                "reason": reason,
            }
            for domain, levels, reason in (
                ("start", 3, "randomised contrasts: starts high"),
                ("risk_of_bias", -2, "all of the weight is at high risk"),
                ("imprecision", -1, "120 patients"),
                ("indirectness", 0, "the population and comparator asked about"),
            )
        ],
        "claims": [
            _claim(
                "islets_c_peptide",
                "shown",
                "shown",
                "occurrence",
                "islet_replacement",
                value=11 / 19,
                unit="share",
                ci_low=0.33,
                ci_high=0.8,
                k_studies=2,
                n_patients=19,
                n_seen=11,
                certainty="low",
                source_rows="responders:1",
            ),
            _claim(
                "infusion_t2d_hba1c",
                "suggested",
                "suggested",
                "effect",
                "cell_infusion",
                value=-0.6,
                unit="percentage points",
                ci_low=-1.1,
                ci_high=-0.1,
                k_studies=4,
                n_patients=120,
                probability=0.99,
                certainty="very low",
                estimate_ids="hba1c:cell_infusion:t2d:controlled",
            ),
            _claim(
                "infusion_no_tumours",
                "not_known",
                "not known",
                "no_harm",
                "cell_infusion",
                capped_by="the data alone do not rule it out",
            ),
            _claim(
                "immunosuppression_infection",
                "shown",
                "known from other fields",
                "known_harm",
                "islet_replacement",
                source_rows="safety:9",
                n_seen=1,
                k_studies=1,
                n_patients=9,
            ),
            _claim(
                "trials_to_follow", "shown", "shown", "description", "all", value=7, k_studies=7
            ),
        ],
    }


def _claim(name: str, group: str, verdict: str, kind: str, approach: str, **more) -> dict:
    return {
        "claim_id": name,
        "group": group,
        "claim": f"Claim {name}",
        "short": name,
        "verdict": verdict,
        "kind": kind,
        "approach": approach,
        "population": "all",
        "estimand": "what decides it",
        **more,
    }
