"""What the stage of harms writes: who was harmed, of how many, who was silent, what is needed."""

from __future__ import annotations

from analysis.results.contract import COUNT, NUMBER, TEXT, WORD, column, declare
from analysis.results.estimates import APPROACHES, POPULATIONS

HARM_FACTS = declare(
    "harm_facts",
    "Countable harms: one row a cohort, arm, event and relation.",
    (
        column("event", WORD, "category of event"),
        column("relation", WORD, "any, treatment_related or unrelated, as judged by the source"),
        column("approach", WORD, "what is done", words=APPROACHES),
        column("population", WORD, "to whom", words=POPULATIONS),
        column("study_id", WORD, "the report"),
        column("cohort", WORD, "the group of patients"),
        column("label", WORD, "author and year"),
        column("cell_class", WORD, "class of cells"),
        column("strategy", WORD, "conditioning, immunosuppression, neither or unstated"),
        column("arm", WORD, "treated or control", words=("treated", "control")),
        column("bound", WORD, "exact or at_least", words=("exact", "at_least")),
        column("k", COUNT, "patients with the event"),
        column("n", COUNT, "patients at risk"),
        column("months", NUMBER, "follow-up of the cohort", "months"),
        column("patient_years", NUMBER, "exposure", "years"),
        column("shrunk_median", NUMBER, "rate given the others", "per 100 patient-years"),
        column("shrunk_low", NUMBER, "2.5 %", "per 100 patient-years"),
        column("shrunk_high", NUMBER, "97.5 %", "per 100 patient-years"),
        column("source_rows", WORD, "rows of the evidence, separated by `;`"),
    ),
    ("event", "relation", "cohort", "arm"),
)

HARM_EVENTS = declare(
    "harm_events",
    "Every death, severe infection and malignancy of a treated patient that a source names.",
    (
        column("event", WORD, "death, severe_infection, malignancy_or_tumour"),
        column("approach", WORD, "what is done"),
        column("population", WORD, "to whom"),
        column("study_id", WORD, "the report"),
        column("cohort", WORD, "the group of patients"),
        column("label", WORD, "author and year"),
        column("k", COUNT, "patients"),
        column("n", COUNT, "treated patients of the cohort"),
        column("what", WORD, "the event in the words of the source"),
        column("fatal", WORD, "yes or no", words=("yes", "no")),
        column("relation", WORD, "how its relation to the treatment was judged"),
        column("judged_by", TEXT, "by whom, where the source says so"),
        column("eligible", WORD, "yes, or context (shown, never pooled)", words=("yes", "context")),
        column("source_rows", WORD, "rows of the evidence, separated by `;`"),
    ),
    ("event", "cohort", "source_rows"),
)

HARM_SUMMARY = declare(
    "harm_summary",
    "Each harm of each approach: what was stated, by whom, who was silent, what the data bound.",
    (
        column("event", WORD, "category of event"),
        column("relation", WORD, "any or treatment_related"),
        column("approach", WORD, "what is done", words=APPROACHES),
        column("k_cohorts", COUNT, "cohorts that state it exactly"),
        column("n_patients", COUNT, "treated patients of them"),
        column("events", COUNT, "patients with the event in them"),
        column("k_at_least", COUNT, "cohorts that state a lower bound only"),
        column("n_at_least", COUNT, "treated patients of them"),
        column("events_at_least", COUNT, "patients with the event in them, at least"),
        column("patient_years", NUMBER, "exposure of the exact cohorts", "years"),
        column("k_silent", COUNT, "eligible cohorts that say nothing of it"),
        column("n_silent", COUNT, "treated patients of them"),
        column("silent", TEXT, "their labels, separated by `;`"),
        column("k_other", COUNT, "eligible cohorts that speak of it with the other relation only"),
        column("n_other", COUNT, "treated patients of them"),
        column("other", TEXT, "their labels, separated by `;`"),
        column("upper_95", NUMBER, "one-sided 95 % upper bound of the rate from the data alone",
               "per 100 patient-years"),
        column("upper_975", NUMBER, "upper end of the two-sided 95 % interval from the data alone",
               "per 100 patient-years"),
        column("source_rows", TEXT, "rows of the evidence, separated by `;`"),
    ),
    ("event", "relation", "approach"),
)  # fmt: skip

HARM_CONTROLS = declare(
    "harm_controls",
    "Harms counted in both arms of one study.",
    (
        column("event", WORD, "category of event"),
        column("relation", WORD, "any or treatment_related"),
        column("study_id", WORD, "the report"),
        column("cohort", WORD, "the group of patients"),
        column("label", WORD, "author and year"),
        column("approach", WORD, "what is done"),
        column("k", COUNT, "treated patients with the event"),
        column("n", COUNT, "treated patients"),
        column("k_control", COUNT, "control patients with the event"),
        column("n_control", COUNT, "control patients"),
        column("risk_difference", NUMBER, "posterior median (Jeffreys)"),
        column("rd_low", NUMBER, "2.5 %"),
        column("rd_high", NUMBER, "97.5 %"),
        column("source_rows", WORD, "rows of the evidence, separated by `;`"),
    ),
    ("event", "relation", "cohort"),
)

HARM_EXCLUSIONS = declare(
    "harm_exclusions",
    "Rows of safety.csv that are not counted, each with its reason.",
    (
        column("source_row", WORD, "table and line of the row"),
        column("study_id", WORD, "the report"),
        column("event", WORD, "category of event"),
        column("reason", WORD, "why it is not counted"),
    ),
    ("source_row",),
)

EVIDENCE_NEEDED = declare(
    "evidence_needed",
    "Patient-years without an event until the bound on a harm falls under its threshold.",
    (
        column("event", WORD, "category of event"),
        column("approach", WORD, "what is done"),
        column("threshold", NUMBER, "rate to fall under", "per 100 patient-years"),
        column("level", NUMBER, "level of the bound: 0.975 (two-sided 95 %) or 0.95 (one-sided)"),
        column("basis", WORD, "data_alone, or heterogeneous (between studies, with the priors)",
               words=("data_alone", "heterogeneous")),
        column("events", COUNT, "events seen so far"),
        column("patient_years", NUMBER, "seen so far", "years"),
        column("bound_now", NUMBER, "bound as it stands", "per 100 patient-years"),
        column("needed_in_all", NUMBER, "patient-years in all, with no further event", "years"),
        column("needed_more", NUMBER, "of them still to be seen", "years"),
    ),
    ("event", "approach", "threshold", "level", "basis"),
)  # fmt: skip
