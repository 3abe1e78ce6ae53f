"""Overall risk of bias of each cohort and outcome family, computed from its settled domains.

`risk_of_bias.csv` holds judgements by domain only; this room adds the overall judgement by the
rules of the two tools, names the eligible cohorts that nobody has judged, and looks judgements up
for studies. Pure functions on the tables of an `Evidence`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from analysis import outcomes
from analysis import vocabulary as v
from analysis.evidence import Evidence
from analysis.records import records

NOT_JUDGED = "not judged"
"""The word for a cohort and family without a settled judgement."""

HIGH = ("high", "serious", "critical", NOT_JUDGED)
"""Overall judgements that count as high risk: what nobody has judged counts as high."""

MANY_CONCERNS = 4
"""From this many domains with some concerns on, RoB 2 is high overall."""

FAMILY_OF_OUTCOME = {
    **{word: about.family for about in outcomes.OUTCOMES.values() for word in about.raw},
    "fasting_glucose": "objective",
    "partial_remission": "insulin",
    "composite": "insulin",
}
"""The family whose judgement speaks for a raw word: that of the outcome read from it, and of words
from which none is. Independence is insulin, events safety."""


def overall(tool: str, judgements: Sequence[str]) -> str:
    """The overall judgement that follows from the judgements of all domains.

    RoB 2: high where one domain is high or at least four have some concerns, else the worst.
    ROBINS-I: critical, then serious, where one domain is; no information where nothing is serious
    and a domain lacks information; else the worst.

    Raises
    ------
    ValueError
        Not one judgement for each domain of the tool, or a word of another tool.

    References
    ----------
    Sterne et al. 2019, BMJ 366:l4898 (RoB 2); Sterne et al. 2016, BMJ 355:i4919 (ROBINS-I). Four
    domains with some concerns are taken to lower confidence substantially, as RoB 2 allows.
    """
    allowed = v.RISK_JUDGEMENTS[tool]
    if len(judgements) != len(v.RISK_DOMAINS[tool]):
        raise ValueError(f"{tool} has {len(v.RISK_DOMAINS[tool])} domains")
    wrong = [word for word in judgements if word not in allowed]
    if wrong:
        raise ValueError(f"{wrong[0]} is no judgement of {tool}")
    if tool == "rob2":
        if list(judgements).count("some_concerns") >= MANY_CONCERNS:
            return "high"
        order: tuple[str, ...] = ("high", "some_concerns", "low")
    else:
        order = ("critical", "serious", "no_information", "moderate", "low")
    return next(word for word in order if word in judgements)


def overalls(risk_of_bias: pd.DataFrame) -> pd.DataFrame:
    """One row a judged cohort and family, in the order of the table.

    Parameters
    ----------
    risk_of_bias : the table of an `Evidence`.

    Returns
    -------
    DataFrame
        cohort, study_id, tool, outcome_family, overall (word), high (bool: counts as high risk),
        by_domain (bool: some domain has the overall judgement itself; else many concerns made it),
        deciding (the domains that decide, one space apart).
    """
    columns = ["cohort", "study_id", "tool", "outcome_family", "overall", "high", "by_domain",
               "deciding"]  # fmt: skip
    rows = []
    first: dict[tuple[str, str], dict] = {}
    domains: dict[tuple[str, str], dict[str, str]] = {}
    for row in records(risk_of_bias):
        name = (row["cohort"], row["outcome_family"])
        first.setdefault(name, row)
        domains.setdefault(name, {})[row["domain"]] = row["settled"]
    for (cohort, family), settled in domains.items():
        study, tool = (first[cohort, family][column] for column in ("study_id", "tool"))
        word = overall(tool, [settled[domain] for domain in v.RISK_DOMAINS[tool]])
        by_domain = word in settled.values()
        at = word if by_domain else "some_concerns"
        deciding = " ".join(d for d in v.RISK_DOMAINS[tool] if settled[d] == at)
        rows.append((cohort, study, tool, family, word, word in HIGH, by_domain, deciding))
    return pd.DataFrame(rows, columns=columns).astype({"high": bool, "by_domain": bool})


def lookup(risk_of_bias: pd.DataFrame) -> Mapping[tuple[str, str], str]:
    """(cohort, outcome family) -> overall judgement, for those that were judged."""
    table = overalls(risk_of_bias)
    keys = zip(table["cohort"], table["outcome_family"], strict=True)
    return dict(zip(keys, table["overall"], strict=True))


def of_studies(
    evidence: Evidence,
    study_ids: Iterable[str],
    family: str,
    judged: Mapping[tuple[str, str], str] | None = None,
) -> list[str]:
    """Overall judgement of each study's cohort for a family; `NOT_JUDGED` where there is none.

    Parameters
    ----------
    evidence : the evidence.
    study_ids : studies of `evidence.studies`, in the order wanted; may repeat.
    family : a word of `vocabulary.RISK_FAMILIES`.
    judged : `lookup` of the evidence, where it is at hand.

    Raises
    ------
    KeyError
        A study that is not in the evidence.
    """
    if family not in v.RISK_FAMILIES:
        raise ValueError("family is one of " + ", ".join(v.RISK_FAMILIES))
    cohorts = evidence.studies.set_index("study_id")["cohort"]
    judged = lookup(evidence.risk_of_bias) if judged is None else judged
    return [judged.get((cohorts[study], family), NOT_JUDGED) for study in study_ids]


def not_judged(evidence: Evidence) -> pd.DataFrame:
    """Eligible cohorts with results of a family that nobody has judged: cohort, outcome_family.

    Results are rows of the fact tables of eligible reports of the cohort, whatever their contrast;
    comparisons before treatment are none.
    """
    eligible = evidence.studies.loc[evidence.studies["include"] == "yes", ["study_id", "cohort"]]
    after = evidence.outcomes[evidence.outcomes["months"] != 0]
    words = evidence.directions[evidence.directions["contrast"] != "baseline_balance"]
    parts = [
        table.assign(outcome_family=table["outcome"].map(FAMILY_OF_OUTCOME))
        for table in (after, words, evidence.responders)
    ]
    parts.append(evidence.independence.assign(outcome_family="insulin"))
    parts.append(evidence.safety.assign(outcome_family="safety"))
    present = pd.concat([part[["study_id", "outcome_family"]] for part in parts])
    present = present.merge(eligible, on="study_id")[["cohort", "outcome_family"]]
    judged = lookup(evidence.risk_of_bias)
    keys = present.itertuples(index=False, name=None)
    missing = np.fromiter((key not in judged for key in keys), dtype=bool, count=len(present))
    found = present[missing].drop_duplicates().sort_values(["cohort", "outcome_family"])
    return found.reset_index(drop=True)
