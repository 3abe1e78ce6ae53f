"""Raw words of the tables in the reader's words: columns, parameters, files, and names of studies.

Keys such as `hba1c` or `haller2009` belong to the tables; on the face of the page stands what they
mean. The meanings are those of `analysis.vocabulary` and `analysis.outcomes`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from analysis import outcomes, vocabulary
from analysis.evidence import Evidence, label_of
from analysis.records import records

COLUMNS: dict[str, Mapping[str, str]] = {
    "outcome": vocabulary.RESPONDER_OUTCOMES,
    "statistic": vocabulary.STATISTICS,
    "scale": vocabulary.SCALES,
    "contrast": vocabulary.CONTRASTS,
    "direction": vocabulary.DIRECTIONS,
    "significant": {"unstated": "not stated"},
    "fact": vocabulary.FACTS,
    "bound": vocabulary.BOUNDS,
    "status": vocabulary.STATUSES,
    "event_category": vocabulary.EVENT_CATEGORIES,
    "relation": vocabulary.RELATIONS,
}
"""Columns of the raw tables whose words have a meaning of their own."""
FILES = {
    "studies.csv": "studies",
    "outcomes": "numbers of continuous outcomes",
    "outcomes.csv": "numbers of continuous outcomes",
    "directions": "results in words",
    "directions.csv": "results in words",
    "responders.csv": "responders",
    "independence.csv": "insulin independence",
    "safety.csv": "harms",
    "published_meta_analyses.csv": "earlier reviews",
    "risk_of_bias.csv": "risk of bias",
    "trial_conduct.csv": "conduct and registration",
    "registered_trials.csv": "registered trials",
    "publication_search.csv": "search for publications",
    "references.bib": "references",
}
"""Tables of the evidence by what they hold."""
PARAMETERS = {
    "mu": "mean (mu)",
    "tau": "spread between studies (tau)",
    "tau_class": "spread between cell classes",
    "type_effect": "type 2 against type 1",
    "log_sd": "log of the SD of change",
    "log_sd_spread": "spread of that log SD between studies",
    "r": "correlation before and after (r)",
    "smd": "spread between studies, standardised",
    "smd_any": "spread between studies, standardised, any outcome",
    "log_shape": "log of the curve's shape",
    "logit_cure": "log odds of never resuming insulin",
    "onset": "treatment to freedom from insulin",
    "mean_reading": "reading of a printed mean",
    "strategy": "immune strategy",
    "included": "a part of the model is there",
    "weights": "weights by p-value",
    "pet": "slope on the standard error (PET)",
    "peese": "slope on the variance (PEESE)",
    "mu_sceptical": "mean, sceptical",
    "mu_wide": "mean, wide",
    "tau_narrow": "spread between studies, narrow",
    "tau_half_cauchy": "spread between studies, half-Cauchy",
    "effect_df": "degrees of freedom of the effects",
    "predictive": "new study",
    "S(12)": "still free at 12 months",
    "S(60)": "still free at 60 months",
    "shape": "shape of the curve",
}
"""Parameters of the models in words."""
MODELS = {
    "change": "every continuous outcome",
    "heterogeneity": "every continuous outcome",
    "ever_independent": "ever free of insulin",
    "duration": "duration of insulin independence",
    "exponential": "exponential curve",
    "gompertz": "Gompertz curve",
    "safety": "harms",
    "selection": "models of publication bias",
    "sensitivity": "sensitivity",
}
"""Models that are named after no outcome."""


def told(column: str, cell: object) -> str:
    """A raw cell as readers see it: its meaning where its word has one, figures in few digits."""
    if isinstance(cell, float):
        return "" if pd.isna(cell) else f"{cell:g}"
    text = str(cell)
    return COLUMNS.get(column, {}).get(text, text.replace("_", " "))


def spoken(words: str) -> str:
    """A name made of raw words, one after the other, in the reader's: `HbA1c, cell infusion`."""
    found = []
    for word in words.replace("ever insulin-free", "ever_independent").split():
        known = outcomes.OUTCOMES.get(word) or outcomes.OUTCOMES.get(f"{outcomes.HARM}_{word}")
        found.append(
            known.title if known
            else vocabulary.APPROACHES.get(word)
            or vocabulary.POPULATIONS.get(word)
            or MODELS.get(word)
            or word.replace("_", " ")
        )  # fmt: skip
    return ", ".join(found)


def reason(text: str) -> str:
    """Why a row was left out, where two clauses of it say opposite things: it cannot be used."""
    return text.replace("study not eligible: eligible, but ", "report not usable: ")


def parameter(word: str) -> str:
    """A parameter of a model in words."""
    return PARAMETERS.get(word, word.replace("_", " "))


def model(word: str) -> str:
    """What a model is about."""
    return outcomes.OUTCOMES[word].title if word in outcomes.OUTCOMES else MODELS.get(word, word)


_KEY = re.compile(r"(?<![\w-])[a-z]+[0-9][a-z0-9]*(?![\w-])")


def named(text: str, labels: Mapping[str, str]) -> str:
    """A text with every key of a study in it replaced by author and year (`labels`)."""
    return _KEY.sub(lambda found: labels.get(found[0], found[0]), text)


def labels(evidence: Evidence) -> dict[str, str]:
    """Author and year of every study by its key; journal and year where no author was seen."""
    studies = evidence.studies[["study_id", "first_author", "year", "journal"]]
    return {row["study_id"]: label_of(row) for row in records(studies)}


def cohort(word: str, evidence: Evidence) -> str:
    """Author and year of the main report of a cohort."""
    studies = evidence.studies
    own = studies[studies["cohort"].eq(word)]
    main = own[own["cohort_role"].eq("primary")]
    rows = records(main if len(main) else own)
    return label_of(rows[0]) if rows else word.replace("_", " ")
