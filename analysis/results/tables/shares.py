"""What the stage of counted patients writes: who became free of insulin, who responded."""

from __future__ import annotations

from analysis.results.contract import COUNT, FLAG, NUMBER, TEXT, WORD, column, declare
from analysis.results.estimates import ALL, STRATUM
from analysis.sensitivity import share_choices
from analysis.vocabulary import CELL_CLASSES

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
        column("ci_high", NUMBER, "exact (Clopper–Pearson) 95 % interval of the share; of a lower "
               "bound, the end of the most it can be"),
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

WHICH = (
    *STRATUM,
    column("cell_class", WORD, "class of cells, or all pooled", words=(ALL, *CELL_CLASSES)),
)
WHOSE = tuple(part.name for part in WHICH)

SHARE_MULTIVERSE = declare(
    "share_multiverse",
    "Every defensible count of each headline share with its result; spec 0 is the headline.",
    (
        *WHICH,
        column("spec", COUNT, "number of the specification"),
        *(column(choice, WORD, f"level of the choice {choice}", words=levels)
          for choice, levels in share_choices.CHOICES.items()),
        column("left_out", WORD, "the study left out; none for all studies"),
        column("k_studies", COUNT, "cohorts counted"),
        column("n_patients", COUNT, "patients of the denominator"),
        column("share", NUMBER, "posterior median of the share in a typical study; of one cohort "
               "alone its own share"),
        column("ci_low", NUMBER, "lower end of the 95 % interval"),
        column("ci_high", NUMBER, "upper end of the 95 % interval"),
        column("conclusion", WORD, "interval above one half, below it, open, or no study left",
               words=share_choices.CONCLUSIONS),
    ),
    (*WHOSE, "spec"),
)  # fmt: skip

SHARE_LEVELS = declare(
    "share_levels",
    "The choices of the multiverse of shares: their levels, and what each does.",
    (
        *WHICH,
        column("choice", WORD, "the choice"),
        column("level", WORD, "its level"),
        column("meaning", WORD, "what it means"),
        column("offered", FLAG, "whether it changes this share and leaves a study"),
        column("default", FLAG, "whether it is the headline's own"),
        column("n", COUNT, "usable specifications with it"),
        column("median_share", NUMBER, "median of their shares"),
    ),
    (*WHOSE, "choice", "level"),
)

SHARE_STANDING = declare(
    "share_standing",
    "Where each headline share stands among all defensible counts of it.",
    (
        *WHICH,
        column("n_specs", COUNT, "different specifications"),
        column("n_usable", COUNT, "of them with a study"),
        column("headline", NUMBER, "share in a typical study (of one cohort alone: its own share) "
               "as the estimates tell it"),
        column("counted", NUMBER, "all patients counted together, as cards tell it"),
        column("median", NUMBER, "median of the shares"),
        column("low", NUMBER, "5 % point of the shares"),
        column("high", NUMBER, "95 % point of the shares"),
        column("least", NUMBER, "lowest share"),
        column("most", NUMBER, "highest share"),
        column("share_as_favourable", NUMBER, "share of the specifications at least as favourable "
               "as the headline"),
        column("share_above_half", NUMBER, "share of them whose interval is above one half"),
        column("share_below_half", NUMBER, "share of them whose interval is below one half"),
        column("strongest_choice", TEXT, "the choice that moves the shares most"),
    ),
    WHOSE,
)  # fmt: skip
