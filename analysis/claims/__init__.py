"""What is said in public about stem cells in diabetes, judged by the evidence: one row a claim.

Each claim of `listed` names an approach, a population, an estimand and a threshold. Its question
(`asking`) reads what decides it from the run and gives `Grounds`; the word follows by the rules of
`verdicts`, certainty beside it (`judged`). What was not measured is "not known", with the reason.
A claim has figures and ids, and the report makes sentences of them; `caveats` words what must be
said beside a figure, `sources` gives what other fields know.
"""

from analysis.claims.asking import Claim, Finding, Inputs, finer
from analysis.claims.judged import GROUPS, table
from analysis.claims.listed import CLAIMS, IMPLIES
from analysis.claims.sources import OTHER_FIELDS, SOURCES_OF, Source

__all__ = ["CLAIMS", "GROUPS", "IMPLIES", "OTHER_FIELDS", "SOURCES_OF", "Claim", "Finding",
           "Inputs", "Source", "finer", "table"]  # fmt: skip
