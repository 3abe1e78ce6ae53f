"""Registered trials: what is coming and what it would change, what was never told, what switched.

Counts and lists come from the table of registered trials alone (`analysis.registered`); what an
ongoing controlled trial would change is computed on the headline it speaks for
(`registered_value`). "Now" is the day the registry was read.
"""

from __future__ import annotations

import pandas as pd

from analysis import registered
from analysis.evidence import Evidence, label_of
from analysis.questions import Body
from analysis.results import TABLES
from analysis.stages import registered_value
from analysis.stages.result import StageResult, Tell, stage_result
from analysis.stages.synthesis import silent_patients


def run(evidence: Evidence, *, progress: Tell = lambda part: None) -> StageResult:
    """Everything that registered trials tell.

    Parameters
    ----------
    evidence : the validated tables.
    progress : called with the name of each headline before its turn.

    Returns
    -------
    StageResult without estimates; tables registered_ongoing, registered_coming,
    registered_silence, registered_silent_trials, outcome_switching, registered_value.
    """
    progress("counting")
    trials = registered.ongoing(evidence)
    silence = registered.silence(evidence)
    rows: list[dict] = []
    reasons: dict[str, str] = {}
    if len(trials):
        rows, reasons = registered_value.values(
            Body(evidence), trials, silent_patients(silence), progress
        )
    tables = {
        "registered_ongoing": _shown("registered_ongoing", trials.assign(
            n_patients=trials["n"], why_no_value=trials["registry_id"].map(reasons))),
        "registered_coming": registered.coming(evidence),
        "registered_silence": silence,
        "registered_silent_trials": _silent_trials(evidence),
        "outcome_switching": _switching(evidence),
        "registered_value": rows,
    }  # fmt: skip
    return stage_result((), tables)


def _shown(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """The declared columns of a table that has more."""
    return table[TABLES[name].names]


def _silent_trials(evidence: Evidence) -> pd.DataFrame:
    table = registered.silent(evidence, "firm")
    return _shown("registered_silent_trials", table.assign(n_patients=table["n"]))


def _switching(evidence: Evidence) -> pd.DataFrame:
    table = registered.outcome_switching(evidence)
    studies = evidence.studies.set_index("study_id", drop=False)
    labels = [label_of(studies.loc[study]) for study in table["study_id"]]
    day = registered.read_on(evidence)
    return _shown("outcome_switching", table.assign(label=labels, read_on=day))
