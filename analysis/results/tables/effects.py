"""What the stage of the effects writes: every contrast, and every raw row that gave none."""

from __future__ import annotations

from analysis import outcomes, vocabulary
from analysis.results.contract import FLAG, NUMBER, TEXT, WORD, column, declare

CONTINUOUS = outcomes.of_kind(outcomes.CONTINUOUS)
KINDS = {
    "numeric": "a printed number",
    "exact_p": "an exact p-value with its direction",
    "two_points": "an exact p-value without a direction",
    "interval": "words that bound the test statistic",
}
CONTRASTS = {
    "controlled_change": "changes of the treated against those of controls",
    "follow_up_contrast": "levels after treatment of the treated against those of controls",
    "uncontrolled_change": "change within the treated",
}
SCALE = "model scale"

EFFECTS = declare(
    "effects",
    "Every contrast of a study, outcome, measure and time: one row an effect.",
    (
        column("effect_id", WORD, "short name that `isletmeta explain` takes"),
        column("study_id", WORD, "the report"),
        column("cohort", WORD, "the cohort the report is about"),
        column("patients", WORD, "the group of patients: cohorts surely or possibly shared"),
        column("patients_sure", WORD, "the group of patients: cohorts surely shared"),
        column("role", WORD, "role of the report in its cohort", words=vocabulary.COHORT_ROLES),
        column("label", WORD, "author and year"),
        column("year", NUMBER, "year of publication"),
        column("diabetes_type", WORD, "type of diabetes", words=vocabulary.DIABETES_TYPES),
        column("onset_group", TEXT, "when the patients were treated (type 1)",
               words=vocabulary.ONSET_GROUPS),
        column("population", WORD, "the finest population word", words=vocabulary.POPULATIONS),
        column("approach", TEXT, "what was done; blank for donor islets",
               words=vocabulary.APPROACHES),
        column("cell_class", WORD, "class of cells", words=vocabulary.CELL_CLASSES),
        column("immune_strategy", TEXT, "protection of the cells",
               words=vocabulary.IMMUNE_STRATEGIES),
        column("donor", TEXT, "donor of the cells", words=vocabulary.DONORS),
        column("seen_in", WORD, "least direct place one of its rows was seen in",
               words=vocabulary.SEEN_IN),
        column("outcome", WORD, "what is measured", words=CONTINUOUS),
        column("measure", TEXT, "of C-peptide: which measure",
               words=vocabulary.C_PEPTIDE_MEASURES.values()),
        column("months", NUMBER, "time after treatment", "months"),
        column("contrast", WORD, "what is compared", words=CONTRASTS),
        column("controlled", FLAG, "whether it is a contrast against controls"),
        column("randomised", FLAG, "whether the controls are randomised"),
        column("kind", WORD, "what was printed", words=KINDS),
        column("y", NUMBER, "the estimate; blank for results in words", SCALE),
        column("var_a", NUMBER, "its variance is var_a - r var_b; blank where not known",
               f"{SCALE}, squared"),
        column("var_b", NUMBER, "see var_a; r is the pre-post correlation", f"{SCALE}, squared"),
        column("n_factor", NUMBER, "variance over the squared SD between patients",
               "1 / patients"),
        column("z_low", NUMBER, "lower bound of estimate / standard error; of a number what a "
               "bound on p says where no spread is printed"),
        column("z_high", NUMBER, "upper bound of estimate / standard error"),
        column("spread_var_a", NUMBER, "var_a by printed spreads, also where a p-value gives the "
               "standard error", f"{SCALE}, squared"),
        column("spread_var_b", NUMBER, "var_b by printed spreads", f"{SCALE}, squared"),
        column("se_ratio", NUMBER, "standard error by an exact p-value over that by the spreads"),
        column("p_exact", NUMBER, "of a number: the exact p-value that is printed with it"),
        column("teaches_sd", FLAG, "whether var_a and var_b are of printed spreads"),
        column("n_treated", NUMBER, "treated patients behind it", "patients"),
        column("n_control", NUMBER, "controls behind it", "patients"),
        column("n_patients", NUMBER, "all patients behind it", "patients"),
        column("at_diagnosis", FLAG, "whether it is an uncontrolled change after new onset"),
        column("tested", FLAG, "whether it rests on a number or a test"),
        column("visit_open", FLAG, "whether it is told of the follow-up without a visit"),
        column("known_null", FLAG, "a known null that lacks what a headline needs (see note)"),
        column("pool", FLAG, "whether it may be pooled"),
        column("apart", FLAG, "whether it is shown among the uncontrolled changes after new onset"),
        column("headline", FLAG, "the one effect of its group of patients, of either design"),
        column("headline_controlled", FLAG, "the one that speaks against controls"),
        column("headline_uncontrolled", FLAG, "the one that speaks within the treated"),
        column("trajectory", FLAG, "the one of its group and month"),
        column("arm", WORD, "the treated arms it is about"),
        column("derived", TEXT, "steps between print and estimate, as words"),
        column("source_rows", WORD, "names of the raw rows it rests on"),
        column("formula", WORD, "how it was computed"),
        column("note", TEXT, "what a reader must know of it"),
    ),
    ("effect_id",),
)  # fmt: skip

EXCLUSIONS = declare(
    "exclusions",
    "Every row of outcomes.csv and directions.csv that is in no effect, with the reason.",
    (
        column("table", WORD, "the raw table", words=("outcomes", "directions")),
        column("row", WORD, "name of the raw row"),
        column("study_id", WORD, "the report"),
        column("outcome", WORD, "what is measured", words=vocabulary.OUTCOMES),
        column("arm", WORD, "the arm"),
        column("months", NUMBER, "time after treatment", "months"),
        column("stage", WORD, "where it was left out", words=("study", "effects", "words")),
        column("reason", WORD, "why"),
    ),
    ("row",),
)
