"""What the stage of durations writes: how long freedom from insulin lasts, approach by approach."""

from __future__ import annotations

from dataclasses import replace

from analysis.results.contract import COUNT, FLAG, NUMBER, TEXT, WORD, column, declare
from analysis.results.estimates import APPROACHES, POPULATIONS
from analysis.sensitivity import duration_choices

WHO = (
    column("approach", WORD, "what is done", words=APPROACHES),
    column("population", WORD, "to whom", words=POPULATIONS),
)

DURATION_FACTS = declare(
    "duration_facts",
    "Facts on durations that enter a curve, one consistent layer a cohort.",
    (
        *WHO,
        column("study_id", WORD, "the report"),
        column("cohort", WORD, "the group of patients"),
        column("label", WORD, "author and year"),
        column("cell_class", WORD, "class of cells"),
        column("kind", WORD, "what the fact says (see `counting.duration_readings.KINDS`)"),
        column("low", NUMBER, "first time of the fact", "months"),
        column("high", NUMBER, "second time of the fact", "months"),
        column("count", COUNT, "patients of whom it speaks"),
        column("time_origin", WORD, "treatment, or independence (insulin stopped)"),
        column("k_ever", COUNT, "ever free of insulin in the cohort"),
        column("n_total", COUNT, "treated in the cohort"),
        column("source_rows", WORD, "rows of the evidence, separated by `;`"),
        column("reason", TEXT, "why this fact and no other"),
    ),
    ("approach", "population", "study_id", "kind", "low", "high", "source_rows"),
)

DURATION_EXCLUSIONS = declare(
    "duration_exclusions",
    "Rows of independence.csv that stand in no curve, each with its reason.",
    (
        column("source_row", WORD, "table and line of the row"),
        column("study_id", WORD, "the report"),
        column("reason", WORD, "why it is not used"),
    ),
    ("source_row",),
)

DURATION_FOLLOW_UP = declare(
    "duration_follow_up",
    "How far the durations of each approach were followed.",
    (
        *WHO,
        column("k_cohorts", COUNT, "cohorts with a duration"),
        column("n_ever_free", COUNT, "patients ever free of insulin of whom a duration is told"),
        column("last_month", NUMBER, "last month with at least ten of the ever-free still observed "
               "in at least two cohorts; blank where there is none", "months"),
        column("longest", NUMBER, "longest time free of insulin of a single patient", "months"),
        column("longest_study", TEXT, "the report of that patient"),
        column("share_beyond", NUMBER, "share of the five years of the printed curve that lies "
               "beyond last_month, by area under it"),
    ),
    ("approach", "population"),
)  # fmt: skip

DURATION_CURVE = declare(
    "duration_curve",
    "Share of the ever insulin-free who still are, month by month, with its band.",
    (
        *WHO,
        column("denominator", WORD, "of whom: ever_free (clock: insulin stopped) or all_treated "
               "(clock: treatment)", words=("ever_free", "all_treated")),
        column("family", WORD, "family of curves, or stacked"),
        column("month", NUMBER, "time on that clock", "months"),
        column("median", NUMBER, "posterior median of the share"),
        column("ci_low", NUMBER, "2.5 %"),
        column("ci_high", NUMBER, "97.5 %"),
        column("beyond_data", FLAG, "whether it lies beyond the follow-up"),
    ),
    ("approach", "population", "denominator", "family", "month"),
)  # fmt: skip

DURATION_FAMILIES = declare(
    "duration_families",
    "Families of survival curves: how well each predicts, and what each says.",
    (
        *WHO,
        column("family", WORD, "family of curves"),
        column("weight", NUMBER, "stacking weight"),
        column("log_marginal_likelihood", NUMBER, "log probability of the data"),
        column("elpd", NUMBER, "expected log predictive density of a study left out"),
        column("elpd_below_best", NUMBER, "by how much it predicts worse than the best family"),
        column("elpd_below_best_se", NUMBER, "standard error of that difference"),
        column("s_12", NUMBER, "median share at 12 months"),
        column("s_60", NUMBER, "median share at 60 months"),
        column("s_120", NUMBER, "median share at 120 months"),
        column("median_months", NUMBER, "median duration", "months"),
        column("never", NUMBER, "median share that never resumes; blank where a family has none"),
        column("never_low", NUMBER, "2.5 %"),
        column("never_high", NUMBER, "97.5 %"),
        column("never_prior", NUMBER, "the same from the prior alone"),
        column("never_prior_low", NUMBER, "2.5 %"),
        column("never_prior_high", NUMBER, "97.5 %"),
    ),
    ("approach", "population", "family"),
)

DURATION_PREDICTIVE = declare(
    "duration_predictive",
    "How well each family predicts the facts of each study from the other studies (exact).",
    (
        *WHO,
        column("study_id", WORD, "the study left out"),
        column("label", WORD, "author and year"),
        column("family", WORD, "family of curves, or stacked"),
        column("elpd", NUMBER, "log predictive density of its facts"),
    ),
    ("approach", "population", "study_id", "family"),
)

DURATION_LEAVE_ONE_OUT = declare(
    "duration_leave_one_out",
    "The stacked curve refitted without each study in turn, its weights too.",
    (
        *WHO,
        column("left_out", WORD, "the study left out; none for all studies"),
        column("label", TEXT, "author and year"),
        column("quantity", WORD, "share still free at a month, or the median duration",
               words=("survival", "median_duration")),
        column("month", NUMBER, "months since insulin was stopped; blank for the median duration",
               "months"),
        column("median", NUMBER, "posterior median: a share, or months"),
        column("ci_low", NUMBER, "2.5 %"),
        column("ci_high", NUMBER, "97.5 %"),
        column("moved", NUMBER, "median less the median of all studies"),
    ),
    ("approach", "population", "left_out", "quantity", "month"),
)  # fmt: skip

DURATION_LANDMARKS = declare(
    "duration_landmarks",
    "Published counts of patients free of insulin at a time, each with its denominator and clock.",
    (
        *WHO,
        column("study_id", WORD, "the report"),
        column("label", WORD, "author and year"),
        column("denominator", WORD, "of whom: ever_free, all_treated, or seen (followed so far)",
               words=("ever_free", "all_treated", "seen")),
        column("clock", WORD, "when months begin: at treatment, or independence (insulin stopped)",
               words=("treatment", "independence")),
        column("month", NUMBER, "time on that clock", "months"),
        column("k", COUNT, "patients free of insulin then"),
        column("n", COUNT, "patients of the denominator"),
        column("share", NUMBER, "k / n"),
        column("ci_low", NUMBER, "exact 95 % interval"),
        column("ci_high", NUMBER, "exact 95 % interval"),
        column("in_model", FLAG, "whether the fact enters the curve"),
        column("source_rows", WORD, "rows of the evidence"),
    ),
    ("approach", "population", "study_id", "denominator", "month", "source_rows"),
)  # fmt: skip

SWIMMER = declare(
    "swimmer",
    "Single patients whose own time free of insulin was printed.",
    (
        *WHO,
        column("study_id", WORD, "the report"),
        column("label", WORD, "author and year"),
        column("patient", WORD, "the patient's label in the source, or a number"),
        column("months", NUMBER, "months free of insulin", "months"),
        column("status", WORD, "resumed, ongoing, censored or died"),
        column("sampling", WORD, "all, best or worst of the cohort"),
        column("in_model", FLAG, "whether the fact enters the curve"),
        column("source_row", WORD, "row of the evidence"),
    ),
    ("source_row",),
)

FIGURES = (
    column("s_12", NUMBER, "median share still free at 12 months"),
    column("s_60", NUMBER, "median share still free at 60 months"),
    column("half", NUMBER, "median time by which half have resumed; blank beyond a century",
           "months"),
)  # fmt: skip

DURATION_MULTIVERSE = declare(
    "duration_multiverse",
    "Every defensible curve of an approach whose follow-up bears a month; spec 0 is the headline.",
    (
        *WHO,
        column("spec", COUNT, "number of the specification"),
        *(column(choice, WORD, f"level of the choice {choice}", words=levels)
          for choice, levels in duration_choices.CHOICES.items()),
        column("left_out", WORD, "the study left out; none for all studies"),
        *FIGURES,
    ),
    ("approach", "population", "spec"),
)  # fmt: skip

DURATION_LEVELS = declare(
    "duration_levels",
    "The choices of the multiverse of durations: their levels, and what each does.",
    (
        *WHO,
        column("choice", WORD, "the choice"),
        column("level", WORD, "its level"),
        column("meaning", WORD, "what it means"),
        column("offered", FLAG, "whether it changes these durations"),
        column("default", FLAG, "whether it is the headline's own"),
        column("n", COUNT, "specifications with it"),
        *(replace(each, name=f"median_{each.name}", meaning=f"median over them of {each.name}")
          for each in FIGURES),
    ),
    ("approach", "population", "choice", "level"),
)  # fmt: skip

DURATION_STANDING = declare(
    "duration_standing",
    "Where each duration of the headline stands among all specifications.",
    (
        *WHO,
        column("quantity", WORD, "share still free at a month, or months by which half resumed",
               words=("survival", "median_duration")),
        column("month", NUMBER, "months since insulin was stopped; blank for the median duration",
               "months"),
        column("n_specs", COUNT, "specifications"),
        column("n_usable", COUNT, "of them with a figure"),
        column("headline", NUMBER, "the figure of the headline: a share, or months"),
        column("median", NUMBER, "median of the figures"),
        column("low", NUMBER, "5 % point of the figures"),
        column("high", NUMBER, "95 % point of the figures"),
        column("least", NUMBER, "lowest figure"),
        column("most", NUMBER, "highest figure"),
        column("share_as_favourable", NUMBER, "share at least as favourable as the headline"),
        column("beyond_data", FLAG, "whether it lies beyond the follow-up: an extrapolation"),
        column("strongest_choice", TEXT, "the choice that moves the figures most"),
    ),
    ("approach", "population", "quantity", "month"),
)  # fmt: skip
