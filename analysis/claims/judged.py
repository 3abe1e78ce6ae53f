"""The verdict on every claim: the declared table `claims`."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis import results, verdicts
from analysis.claims.asking import Finding, Inputs
from analysis.claims.listed import CLAIMS, IMPLIES, Claim
from analysis.evidence import Evidence

GROUPS = {
    **dict.fromkeys((verdicts.SHOWN, verdicts.WELL_SUPPORTED, verdicts.SUPPORTED), "shown"),
    verdicts.SUGGESTED: "suggested",
    **dict.fromkeys((verdicts.UNCERTAIN, verdicts.NOT_KNOWN, verdicts.OUTSIDE), "not_known"),
    **dict.fromkeys((verdicts.DOUBTFUL, verdicts.CONTRADICTED), "not_so"),
    verdicts.KNOWN_ELSEWHERE: "shown",
}
"""Where the page lists a claim, by its word."""


def table(
    estimates: pd.DataFrame, tables: Mapping[str, pd.DataFrame], evidence: Evidence
) -> pd.DataFrame:
    """The verdict on every claim.

    Parameters
    ----------
    estimates : all estimates of the run.
    tables : the declared tables of the run by name; any may be missing.
    evidence : the validated evidence tables.

    Returns
    -------
    The declared table `claims`, one row a claim.
    """
    inputs = Inputs(estimates, tables, evidence)
    found = {claim.id: claim.ask(inputs, claim) for claim in CLAIMS}
    given = {claim.id: verdicts.verdict(claim.kind, found[claim.id].grounds) for claim in CLAIMS}
    words = verdicts.monotone({name: word for name, (word, _) in given.items()}, IMPLIES)
    rows = []
    for claim in CLAIMS:
        word, capped = words[claim.id], given[claim.id][1]
        if word != given[claim.id][0]:
            capped = "what it implies has that word"
        rows.append(_row(claim, found[claim.id], word, capped))
    return results.checked("claims", pd.DataFrame(rows))


def _row(claim: Claim, found: Finding, word: str, capped: str) -> dict:
    return {
        "claim_id": claim.id, "group": GROUPS[word], "claim": claim.claim, "short": claim.short,
        "kind": claim.kind, "approach": claim.approach, "population": claim.population,
        "estimand": claim.estimand, "threshold": claim.threshold,
        "estimate_ids": " ".join(found.ids), "source_rows": ";".join(found.rows),
        "probability": found.grounds.probability, "certainty": found.grounds.certainty,
        "verdict": word, "capped_by": capped, "k_studies": found.k, "k_what": found.k_what,
        "n_patients": found.n,
        "n_seen": found.seen, "counted": ";".join(found.counted), "value": found.value,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high, "unit": found.unit, "n_analyses": found.n_analyses,
        "share_as_favourable": found.as_favourable, "share_beyond": found.beyond,
        "caveat": "; ".join((*found.caveats, *claim.caveats)),
    }  # fmt: skip
