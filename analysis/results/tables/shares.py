"""What the stage of counted patients writes: who became free of insulin, who responded."""

from __future__ import annotations

from analysis.results.contract import COUNT, NUMBER, TEXT, WORD, column, declare
from analysis.results.estimates import STRATUM

SHARE_FACTS = declare(
    "share_facts",
    "Counts of patients behind every share: one row a cohort and outcome, treated arms.",
    (
        *STRATUM,
        column("study_id", WORD, "the report that speaks for the cohort"),
        column("cohort", WORD, "the group of patients"),
        column("label", WORD, "author and year"),
        column("year", NUMBER, "year of publication"),
        column("cell_class", WORD, "class of cells"),
        column("criterion", TEXT, "what was counted, in the source's words, with its limit"),
        column("month", NUMBER, "when it was counted; blank for ever", "months"),
        column("k", COUNT, "patients of whom it was true"),
        column("n", COUNT, "patients counted: all treated, the dead and the lost included"),
        column("bound", WORD, "exact, or at_least where k is a lower bound",
               words=("exact", "at_least")),
        column("ci_low", NUMBER, "exact (Clopper–Pearson) 95 % interval of the share"),
        column("ci_high", NUMBER, "exact (Clopper–Pearson) 95 % interval of the share"),
        column("shrunk_median", NUMBER, "share given the others, where there is a model"),
        column("shrunk_low", NUMBER, "share given the others, 2.5 %"),
        column("shrunk_high", NUMBER, "share given the others, 97.5 %"),
        column("undetectable_at_entry", WORD, "whether C-peptide was undetectable at entry",
               words=("yes", "no", "not_stated")),
        column("k_control", COUNT, "control patients of whom it was true; blank without controls"),
        column("n_control", COUNT, "control patients counted"),
        column("source_rows", WORD, "rows of the evidence, separated by `;`"),
    ),
    ("outcome", "approach", "population", "cohort"),
)  # fmt: skip

SHARE_CONTRASTS = declare(
    "share_contrasts",
    "Shares in treated and control arms of one study, compared: one row a study and outcome.",
    (
        *STRATUM,
        column("study_id", WORD, "the report"),
        column("label", WORD, "author and year"),
        column("randomised", WORD, "yes or no", words=("yes", "no")),
        column("k", COUNT, "treated patients of whom it was true"),
        column("n", COUNT, "treated patients"),
        column("k_control", COUNT, "control patients of whom it was true"),
        column("n_control", COUNT, "control patients"),
        column("risk_ratio", NUMBER, "posterior median of the ratio of shares (Jeffreys)"),
        column("rr_low", NUMBER, "2.5 %"),
        column("rr_high", NUMBER, "97.5 %"),
        column("probability_higher", NUMBER, "that the treated share is the higher"),
        column("source_rows", WORD, "rows of the evidence, separated by `;`"),
    ),
    ("outcome", "approach", "population", "study_id"),
)

SHARE_EXCLUSIONS = declare(
    "share_exclusions",
    "Rows of independence.csv and responders.csv that stand in no share, each with its reason.",
    (
        column("source_row", WORD, "table and line of the row"),
        column("study_id", WORD, "the report"),
        column("reason", WORD, "why it is not counted"),
    ),
    ("source_row",),
)
