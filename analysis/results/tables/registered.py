"""What the stage of registered trials writes: coming, never told, switched, and what may change."""

from __future__ import annotations

from analysis import certainty, outcomes, registered, verdicts, vocabulary
from analysis.results.contract import COUNT, FLAG, NUMBER, TEXT, WORD, column, declare
from analysis.results.estimates import ALL, APPROACHES, POPULATIONS

APPROACH = column("approach", WORD, "what is done", words=APPROACHES)
POPULATION = column(
    "population",
    WORD,
    "to whom; t1d: new onset and established too; all: every "
    "trial, those of both types and unstated ones too",
    words=POPULATIONS,
)
OWN_STRATUM = (
    column("approach", TEXT, "what is done", words=vocabulary.APPROACHES),
    column("population", TEXT, "the finest population the entry names; t1d: mixed or unstated "
           "onset; all: both types; blank: type not stated", words=POPULATIONS),
)  # fmt: skip
READ_ON = column("read_on", TEXT, "the day the registry was read")
YES_NO = ("yes", "no", "not_stated")

_OF_A_TRIAL = (
    column("title", TEXT, "its title"),
    column("product", TEXT, "what is given"),
    *OWN_STRATUM,
    column("cell_class", WORD, "class of cells", words=vocabulary.CELL_CLASSES),
    column("design", WORD, "registered design", words=vocabulary.TRIAL_DESIGNS),
    column("controlled", WORD, "whether there is a control group", words=YES_NO),
    column("masked", WORD, "whether it is masked", words=vocabulary.MASKED),
    column("n_patients", COUNT, "patients enrolled, else planned"),
    column("n_kind", TEXT, "which of the two", words=("actual", "planned")),
)

ONGOING = declare(
    "registered_ongoing",
    "Every registered trial under way or planned: one row a trial.",
    (
        column("registry_id", WORD, "its registry number"),
        *_OF_A_TRIAL,
        column("status", WORD, "as last seen", words=vocabulary.TRIAL_STATUSES),
        column("start", TEXT, "date of the start"),
        column("expected", TEXT, "date of primary completion where that is still expected, else "
               "of the end of the study"),
        column("expected_is", TEXT, "which of the two", words=("primary", "study")),
        column("overdue", FLAG, "the expected date lies before the day of reading"),
        column("primary_outcome", TEXT, "as registered"),
        column("sponsor", TEXT, "who runs it"),
        column("country", TEXT, "where"),
        column("results", WORD, "what has been told", words=vocabulary.TRIAL_RESULTS),
        column("study_ids", TEXT, "its reports among the studies"),
        column("source_url", TEXT, "where it was seen"),
        column("status_seen_on", TEXT, "date of the status"),
        READ_ON,
        column("why_no_value", TEXT, "why registered_value does not say what it may change; blank "
               "where it does"),
    ),
    ("registry_id",),
)  # fmt: skip

COMING = declare(
    "registered_coming",
    "Trials under way or planned, by approach and population; zeros kept.",
    (
        APPROACH,
        POPULATION,
        column("n_trials", COUNT, "trials"),
        column("n_controlled", COUNT, "of them with a control group"),
        column("n_randomised", COUNT, "of them randomised"),
        column("n_masked", COUNT, "of them masked"),
        column("n_overdue", COUNT, "of them past the date they were expected by"),
        column("n_patients", COUNT, "patients enrolled or planned, of trials that say"),
        column("n_without_size", COUNT, "trials that do not say"),
        column("n_controlled_patients", COUNT, "patients of trials with a control group"),
        column("first_expected", TEXT, "earliest expected completion"),
        column("last_expected", TEXT, "latest expected completion"),
        column("first_controlled", TEXT, "earliest of a trial with a control group"),
        column("last_controlled", TEXT, "latest of a trial with a control group"),
        READ_ON,
    ),
    ("approach", "population"),
)

SILENCE = declare(
    "registered_silence",
    "Registered trials that ended two years or more before the registry was read: told or not, by "
    "what counts as told. Shares are of the trials found by topic, whatever came of them.",
    (
        APPROACH,
        POPULATION,
        column("told", WORD, "what counts as told", words=registered.PUBLISHED_BY),
        column("n_trials", COUNT, "trials that ended"),
        column("n_silent", COUNT, "of them untold"),
        column("n_patients", COUNT, "patients of trials that say a size"),
        column("n_patients_silent", COUNT, "of them in untold trials"),
        column("n_without_size", COUNT, "trials that do not say a size"),
        column("n_end_reported", COUNT, "trials whose end is reported, not presumed"),
        column("n_end_reported_silent", COUNT, "of them untold"),
        column("n_searched", COUNT, "trials found by topic"),
        column("n_searched_silent", COUNT, "of them untold"),
        column("share_silent", NUMBER, "their share", "share"),
        column("ci_low", NUMBER, "Wilson 95 % interval of it", "share"),
        column("ci_high", NUMBER, "Wilson 95 % interval of it", "share"),
        column("n_searched_patients", COUNT, "patients of trials found by topic"),
        column("n_searched_patients_silent", COUNT, "of them in untold trials"),
        column("share_patients_silent", NUMBER, "their share", "share"),
        column("largest_silent", TEXT, "the largest untold trial found by topic"),
        column("largest_silent_patients", COUNT, "its patients"),
        READ_ON,
    ),
    ("approach", "population", "told"),
)

SILENT_TRIALS = declare(
    "registered_silent_trials",
    "Every registered trial that ended two years or more before the registry was read and of which "
    "no report is known for certain: one row a trial.",
    (
        column("registry_id", WORD, "its registry number"),
        *_OF_A_TRIAL,
        column("end", TEXT, "date of the end"),
        column("ended", WORD, "how the end is known", words=registered.ENDED),
        column("found_by", WORD, "how the trial was found", words=vocabulary.FOUND_BY),
        column("results", WORD, "what has been told", words=vocabulary.TRIAL_RESULTS),
        column("verdict", TEXT, "of a search for its report; blank where none was made",
               words=vocabulary.SEARCH_VERDICTS),
        column("told_firm_or_probable", FLAG, "a report is probably of it"),
        column("told_any_public_result", FLAG, "that, or results posted or told in the press"),
        column("study_ids", TEXT, "its reports among the studies"),
        column("source_url", TEXT, "where it was seen"),
        READ_ON,
    ),
    ("registry_id",),
)  # fmt: skip

OUTCOME_SWITCHING = declare(
    "outcome_switching",
    "Registered against reported primary outcome: one row a judged report.",
    (
        column("study_id", WORD, "the report"),
        column("cohort", WORD, "the group of patients"),
        column("label", WORD, "author and year"),
        *OWN_STRATUM,
        column("registered", WORD, "how it was registered", words=vocabulary.REGISTERED),
        column("registry_id", TEXT, "registry numbers"),
        column("registry_link", TEXT, "how the number is known", words=vocabulary.REGISTRY_LINKS),
        column("registered_primary", TEXT, "primary outcome as registered; blank where not seen"),
        column("matches", WORD, "whether the reported one is the same",
               words=vocabulary.PRIMARY_MATCHES),
        column("source_url", TEXT, "where it was seen"),
        READ_ON,
    ),
    ("study_id",),
)  # fmt: skip

MODEL = "model scale"
VALUE = declare(
    "registered_value",
    "What each ongoing controlled trial may change of each headline it speaks for, before it "
    "reports: results as the headline predicts them, each added to the headline. The trial is "
    "taken to report the outcome in numbers, in two equal arms, at no high risk of bias.",
    (
        column("registry_id", WORD, "the trial; all for those of the stratum together"),
        column("outcome", WORD, "what is measured", words=outcomes.OUTCOMES),
        APPROACH,
        POPULATION,
        column("n_trials", COUNT, "trials added"),
        column("n_patients", COUNT, "patients added"),
        column("n_randomised", COUNT, "trials added that are randomised"),
        column("se", NUMBER, "standard error of the result; blank for all together", MODEL),
        column("width_now", NUMBER, "width of the 95 % interval of the mean", MODEL),
        column("width_after", NUMBER, "its expectation with the trial", MODEL),
        column("p_good_now", NUMBER, "probability that the mean is on the good side"),
        column("p_other_band", NUMBER, "probability that it then lies between other cut-offs of "
               "the verdicts"),
        column("p_clear_now", NUMBER, "1 where the interval now excludes no effect, else 0"),
        column("p_clear_after", NUMBER, "probability that it then does"),
        column("verdict_now", WORD, "the word, were this headline's good side a claim",
               words=verdicts.WORDS),
        column("p_verdict_changes", NUMBER, "probability of another word"),
        column("p_verdict_better", NUMBER, "probability of a better word"),
        column("p_verdict_worse", NUMBER, "probability of a worse word"),
        column("certainty_now", WORD, "certainty of the evidence", words=certainty.LEVELS),
        column("p_certainty_changes", NUMBER, "probability of another level"),
        column("p_certainty_better", NUMBER, "probability of a better level"),
        column("moved_by", TEXT, "steps of certainty that are others in most of the results in "
               "which it changes, separated by spaces"),
        column("imprecision_now", NUMBER, "levels taken for imprecision"),
        column("p_imprecision_changes", NUMBER, "probability of another step there"),
        READ_ON,
    ),
    ("registry_id", "outcome", "approach", "population"),
)  # fmt: skip

__all__ = ["ALL", "COMING", "ONGOING", "OUTCOME_SWITCHING", "SILENCE", "SILENT_TRIALS", "VALUE"]
