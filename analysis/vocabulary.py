"""The closed word lists of the evidence tables, and how each word is shown to people.

Every column of `data/raw` that is not a number or free text may hold only the words listed here.
Each list is a mapping from the word in the table to a label for the report; its keys are the
vocabulary. This room needs nothing but the standard library.
"""

WEEKS_PER_MONTH = 4.348
"""Weeks in a month (365.25 / 12 / 7). Times printed in weeks are divided by it: 12 weeks = 2.76."""

DAYS_PER_MONTH = 30.4375
"""Days in a month (365.25 / 12), for times printed in days that name no visit."""

DIABETES_TYPES = {"T1D": "type 1 diabetes", "T2D": "type 2 diabetes"}

OUTCOMES = {
    "c_peptide_fasting": "fasting C-peptide",
    "c_peptide_stimulated": "stimulated C-peptide",
    "c_peptide_auc": "C-peptide area under the curve",
    "c_peptide_unstated": "C-peptide, kind not stated",
    "hba1c": "HbA1c",
    "insulin_dose": "insulin dose",
    "fasting_glucose": "fasting glucose",
    "time_in_range": "time in range",
    "severe_hypoglycaemia": "severe hypoglycaemia",
}

C_PEPTIDE_MEASURES = {
    "c_peptide_fasting": "fasting",
    "c_peptide_stimulated": "stimulated",
    "c_peptide_auc": "auc",
    "c_peptide_unstated": "unstated",
}

RESPONDER_OUTCOMES = OUTCOMES | {
    "partial_remission": "partial remission",
    "composite": "composite end point",
    "engraftment": "engraftment",
}

CELL_CLASSES = {
    "psc_islet": "PSC-derived islets",
    "psc_progenitor": "PSC-derived pancreatic progenitors",
    "endoderm_islet": "endoderm stem-cell-derived islets",
    "ahsct": "autologous HSC transplantation with conditioning",
    "msc_umbilical": "MSC, umbilical cord",
    "msc_bone_marrow": "MSC, bone marrow",
    "msc_adipose": "MSC, adipose tissue",
    "msc_placental": "MSC, placenta",
    "bm_mnc": "bone-marrow mononuclear cells",
    "cord_blood": "autologous cord blood",
    "stem_cell_educator": "stem-cell educator",
    "insulin_secreting_msc_hsc": "insulin-secreting MSC with HSC",
    "combined": "MSC with mononuclear cells",
    "donor_islet": "donor islets",
    "other": "other cells",
}

CELL_CLASS_SHORT = {
    "psc_islet": "stem-cell islets",
    "psc_progenitor": "stem-cell progenitors",
    "endoderm_islet": "endoderm islets",
    "ahsct": "immune reset",
    "msc_umbilical": "MSC, umbilical",
    "msc_bone_marrow": "MSC, marrow",
    "msc_adipose": "MSC, adipose",
    "msc_placental": "MSC, placenta",
    "bm_mnc": "marrow cells",
    "cord_blood": "cord blood",
    "stem_cell_educator": "educated cells",
    "insulin_secreting_msc_hsc": "insulin-making MSC",
    "combined": "MSC + marrow cells",
    "donor_islet": "donor islets",
    "other": "other",
}

ISLETS, RESET, INFUSION = "islet_replacement", "immune_reset", "cell_infusion"
APPROACHES = {
    ISLETS: "islet replacement",
    RESET: "immune reset",
    INFUSION: "cell infusion",
}
"""What a treatment does: new insulin-producing cells go in; the immune system is ablated and
rebuilt; cells that are not islets are infused. Nothing is ever pooled across approaches."""

APPROACH_OF_CLASS: dict[str, str | None] = {
    "psc_islet": "islet_replacement",
    "psc_progenitor": "islet_replacement",
    "endoderm_islet": "islet_replacement",
    "ahsct": "immune_reset",
    "msc_umbilical": "cell_infusion",
    "msc_bone_marrow": "cell_infusion",
    "msc_adipose": "cell_infusion",
    "msc_placental": "cell_infusion",
    "bm_mnc": "cell_infusion",
    "cord_blood": "cell_infusion",
    "stem_cell_educator": "cell_infusion",
    "insulin_secreting_msc_hsc": "cell_infusion",
    "combined": "cell_infusion",
    "donor_islet": None,
    "other": "cell_infusion",
}
"""The approach of each cell class; None for donor islets, which are no stem-cell product."""

POPULATIONS = {
    "t1d_new_onset": "type 1 diabetes, new onset",
    "t1d_established": "type 1 diabetes, established",
    "t1d": "type 1 diabetes",
    "t2d": "type 2 diabetes",
    "all": "type 1 and type 2 diabetes",
}
"""Whom an answer is about. New onset: treated within 12 months of diagnosis; `t1d` holds mixed and
unstated onset too; `all` exists only beside earlier reviews that pooled both types."""

CONTRASTED = ("controlled", "randomised", "uncontrolled")
"""What an effect is a contrast of: against controls, against randomised controls, within the
treated."""

DESIGNS = {
    "rct": "randomised",
    "nonrandomised_controlled": "controlled, not randomised",
    "two_treated_arms": "two treated arms, no control",
    "single_arm": "single arm",
    "case_report": "case report",
}

CONTROLLED_DESIGNS = ("rct", "nonrandomised_controlled")

ONSET_GROUPS = {
    "new_onset": "treated within 12 months of diagnosis",
    "established": "treated later",
    "mixed": "both",
    "not_stated": "not stated",
}

INSULIN_AT_ENTRY = {
    "yes": "on insulin",
    "no": "not on insulin",
    "mixed": "some on insulin",
    "not_stated": "not stated",
}

C_PEPTIDE_AT_ENTRY = {
    "undetectable": "C-peptide undetectable",
    "detectable": "C-peptide detectable",
    "not_stated": "not stated",
}

BLINDING = {"yes": "blinded", "no": "open", "unclear": "unclear"}

DONORS = {"autologous": "autologous", "allogeneic": "allogeneic", "mixed": "both"}

IMMUNE_STRATEGIES = {
    "none": "none",
    "systemic_immunosuppression": "immunosuppression",
    "conditioning_ablation": "conditioning",
    "encapsulation": "encapsulation",
    "encapsulation_plus_immunosuppression": "device with immunosuppression",
    "immune_education": "immune education",
    "other": "other",
}

FOLLOWUP_KINDS = {
    "longest": "longest",
    "median": "median",
    "mean": "mean",
    "minimum": "shortest",
    "unstated": "kind not stated",
}

COHORT_ROLES = {
    "primary": "main report",
    "follow_up": "later report",
    "earlier_report": "earlier report",
    "subset": "part of the cohort",
    "superset": "cohort with others",
    "duplicate": "duplicate publication",
}

OVERLAP_KINDS = {
    "shared_patients": "patients shared",
    "possible": "overlap possible, not stated",
    "separate_patients": "same registration, other patients",
}

PUBLICATION_KINDS = {
    "article": "article",
    "conference": "conference abstract",
    "press": "press or company",
}

INCLUDE = {"yes": "eligible", "context": "shown, never pooled", "no": "kept for the record"}

RETRACTED = {
    "none_found": "neither retraction nor expression of concern found",
    "concern": "an expression of concern, no retraction",
    "yes": "retracted",
}

RISK_TOOLS = {"rob2": "RoB 2", "robins_i": "ROBINS-I"}

CURVES = {
    "exponential": "exponential",
    "weibull": "Weibull",
    "lognormal": "log-normal",
    "loglogistic": "log-logistic",
    "gompertz": "Gompertz",
    "cure": "Weibull with a cured share",
}
"""Families of survival curves (`exact.families`), each with its name."""

RISK_FAMILIES = {
    "objective": "laboratory values, time in range, engraftment",
    "insulin": "insulin dose, independence, partial remission and composites that name insulin",
    "safety": "events and hypoglycaemia",
}
"""Families of outcomes that share a judgement of risk of bias."""

RISK_DOMAINS = {
    "rob2": {
        "d1": "randomisation process",
        "d2": "deviations from the intended interventions",
        "d3": "missing outcome data",
        "d4": "measurement of the outcome",
        "d5": "selection of the reported result",
    },
    "robins_i": {
        "d1": "confounding",
        "d2": "selection of participants",
        "d3": "classification of interventions",
        "d4": "deviations from the intended interventions",
        "d5": "missing data",
        "d6": "measurement of outcomes",
        "d7": "selection of the reported result",
    },
}
"""Domains of each tool, in their order (Sterne et al. 2019, BMJ 366:l4898; 2016, BMJ 355:i4919)."""

RISK_JUDGEMENTS = {
    "rob2": {"low": "low", "some_concerns": "some concerns", "high": "high"},
    "robins_i": {
        "low": "low",
        "moderate": "moderate",
        "serious": "serious",
        "critical": "critical",
        "no_information": "no information",
    },
}
"""Judgements of each tool, from best to worst; no information stands apart."""

REGISTERED = {
    "prospective": "registered in time",
    "retrospective": "registered after the start",
    "timing_not_seen": "registered, date not seen",
    "none_found": "no registration found",
}

REGISTRY_LINKS = {"printed": "number printed in the report", "inferred": "link inferred"}

PRIMARY_MATCHES = {"yes": "same", "no": "another", "unclear": "unclear"}

FUNDERS = {
    "industry": "industry",
    "public": "public",
    "charity": "charity",
    "not_seen": "not seen",
}

CONFLICTS = {"yes": "declared", "no": "declared none", "not_seen": "not seen"}

TRIAL_DIABETES_TYPES = DIABETES_TYPES | {
    "both": "type 1 and type 2 diabetes",
    "not_stated": "not stated",
}

TRIAL_ONSETS = {
    "new_onset": "new onset",
    "established": "established",
    "any": "new onset and established",
    "not_stated": "not stated",
}

TRIAL_DESIGNS = DESIGNS | {"not_stated": "not stated"}

MASKED = {"yes": "masked", "no": "open", "not_stated": "not stated"}

TRIAL_STATUSES = {
    "not_yet": "not yet recruiting",
    "recruiting": "recruiting",
    "by_invitation": "enrolling by invitation",
    "active": "active, not recruiting",
    "suspended": "suspended",
    "completed": "completed",
    "terminated": "terminated",
    "withdrawn": "withdrawn",
    "unknown": "unknown",
}

LAST_KNOWN_STATUSES = {w: t for w, t in TRIAL_STATUSES.items() if w != "unknown"}

ONGOING_STATUSES = ("not_yet", "recruiting", "by_invitation", "active", "suspended")

STATUS_BASES = {
    "registry": "a registry record",
    "report": "a report of the trial",
    "review": "a review",
    "news": "news",
    "not_seen": "not seen",
}

DATE_KINDS = {"actual": "actual", "expected": "expected"}

TRIAL_SCOPES = {
    "main": "in the scope of this analysis",
    "context": "beside it",
    "duplicate": "another number of a trial of the table",
}

TRIAL_RESULTS = {
    "published": "published",
    "posted": "posted in the registry",
    "press": "told in the press only",
    "none_found": "none found",
}

FOUND_BY = {
    "topic_search": "found by topic, whatever came of it",
    "named": "looked for because a report names it",
    "registry_dump": "found in an export of the registry",
    "list": "found in a list of trials",
}

SEARCH_VERDICTS = {
    "published": "a report was found",
    "probably_published": "a report that is probably of this trial",
    "none_found": "no report found",
}

SEEN_IN = {
    "abstract": "abstract",
    "full_text": "full text",
    "registry": "registry",
    "secondary": "secondary source",
}

RISK_SEEN_IN = SEEN_IN | {"extract": "the rows and notes of this extract"}

EXTRACTION = {
    "double": "two extractors",
    "single": "one extractor",
    "adjudicated": "settled by a third",
}

STATISTICS = {
    "mean": "mean",
    "median": "median",
    "lsmean": "least-squares mean",
    "individual": "single patient",
    "unstated": "not stated",
}

SPREAD_KINDS = {
    "sd": "standard deviation",
    "se": "standard error",
    "iqr": "interquartile range",
    "range": "range",
    "ci95": "95 % confidence interval",
    "unstated": "not stated",
    "none": "no spread",
}

SCALES = {
    "level": "level",
    "change": "change from baseline",
    "percent_change": "percent change from baseline",
    "percent_of_baseline": "percent of baseline",
    "between_arm_difference": "difference between arms",
}

BASELINE_STATES = {
    "before_treatment": "before treatment",
    "at_diagnosis": "at diagnosis",
    "at_diagnosis_inferred": "at diagnosis (inferred)",
    "unstated": "not stated",
}

CONTRAST_BASES = {"follow_up_only": "no baseline level printed"}

P_RELATIONS = {"<": "below", "=": "equal to", ">": "above"}

P_CONTRASTS = {
    "within": "against baseline",
    "between": "between arms",
    "across_groups": "across all groups",
}

OUTCOME_CAVEATS = {
    "outcome_defined_group": "group defined by its outcome",
    "arm_unidentified": "arm not identified",
    "restatement": "restates another row",
    "time_not_printed": "time not printed",
    "entry_criterion": "an entry criterion, not an observation",
}
"""A row of outcomes.csv with any of these is never pooled."""

CONTRASTS = {
    "treated_vs_baseline": "treated against baseline",
    "treated_vs_control": "treated against control",
    "control_vs_baseline": "control against baseline",
    "baseline_balance": "arms before treatment",
}

DIRECTIONS = {
    "increase": "increased",
    "decrease": "decreased",
    "no_difference": "no difference",
}

SIGNIFICANT = {"yes": "significant", "no": "not significant", "unstated": "not stated"}

DIRECTION_CAVEATS = {
    "measure_not_stated": "measure not stated",
    "contrast_not_stated": "contrast not stated",
    "outcome_defined_group": "group defined by its outcome",
    "responder_share": "a share of responders",
    "any_severity": "hypoglycaemia of any severity",
    "contradicts_levels": "contradicts the printed levels",
    "untested": "words without a test",
    "has_numbers": "numbers of the same contrast are printed",
}

COMPUTED_CAVEATS = ("has_numbers",)
"""Caveats that are computed when the tables are read and may not be typed."""

NEVER_ENTER = (
    "contrast_not_stated",
    "outcome_defined_group",
    "responder_share",
    "any_severity",
    "contradicts_levels",
)
"""A row of directions.csv with any of these enters no model."""

FACTS = {
    "ever": "ever insulin-independent",
    "at_time": "independent at a time after treatment",
    "lasted": "insulin-free for at least that long",
    "duration_summary": "summary of durations",
    "patient": "one patient's duration",
}

BOUNDS = {"exact": "exact", "at_least": "lower bound", "selected": "selected patients"}

SAFETY_BOUNDS = {"exact": "exact", "at_least": "lower bound"}

DURATION_STATISTICS = {
    "mean": "mean",
    "median": "median",
    "range": "range",
    "min": "shortest",
    "max": "longest",
}

STATUSES = {
    "resumed": "insulin resumed",
    "ongoing": "still insulin-free",
    "censored": "at least this long",
    "died": "died",
}

SAMPLING = {
    "all": "every independent patient of the cohort",
    "best": "the longest durations only",
    "worst": "the shortest durations only",
}

EVENT_CATEGORIES = {
    "death": "death",
    "serious_adverse_event": "serious adverse event",
    "malignancy_or_tumour": "malignancy or tumour",
    "benign_or_preexisting_tumour": "benign or pre-existing tumour",
    "graft_growth": "unwanted growth of the graft",
    "severe_infection": "severe infection",
    "neutropenia": "neutropenia",
    "severe_hypoglycaemia": "severe hypoglycaemia",
    "ketoacidosis": "ketoacidosis",
    "graft_loss": "graft loss",
    "organ_toxicity": "organ toxicity",
    "impaired_fertility": "impaired fertility",
    "procedure_related": "procedure-related event",
    "procedure_tolerated": "procedure said to be tolerated",
    "any_adverse_event": "any adverse event",
    "other": "other event",
}

GRAVE_EVENTS = ("death", "severe_infection", "malignancy_or_tumour")
"""Events of which every single one is named."""

SERIOUS_EVENTS = ("death", "severe_infection")
"""Events each of which is a serious adverse event, whoever counts it so."""

COUNTED_HARMS = ("severe_infection", "impaired_fertility", "neutropenia", "organ_toxicity",
                 "severe_hypoglycaemia", "procedure_related", "benign_or_preexisting_tumour",
                 "serious_adverse_event")  # fmt: skip
"""What conditioning and immunosuppression do besides: counted in all groups of an approach, with or
without a case, beside the grave events that are named."""

RELATIONS = {
    "any": "of any cause",
    "treatment_related": "judged treatment-related",
    "unrelated": "judged unrelated",
    "unclear": "cause unclear",
}

ARM_PATTERN = r"(treated|control|all|patient|contrast)(_[A-Za-z0-9.]+)*"
"""An arm is one of five kinds, with an optional name: treated_fulldose, control_vitd."""

CONCENTRATION_UNITS = ("ng/mL", "nmol/L", "pmol/L", "pmol/mL")

AUC_UNIT_PATTERN = r"(ng/mL|nmol/L|pmol/L|pmol/mL)\*\d*min"
"""Area under the curve: concentration times the minutes of the test, `ng/mL*120min`; the number is
left out (`ng/mL*min`) where the duration of the test is not printed."""

LEVEL_LIMITS = {
    "hba1c": {"%": (3.0, 20.0), "mmol/mol": (18.0, 195.0)},
    "fasting_glucose": {"mg/dL": (20.0, 1000.0), "mmol/L": (1.0, 56.0)},
    "insulin_dose": {"IU/kg/day": (0.0, 5.0), "IU/day": (0.0, 500.0)},
    "time_in_range": {"%": (0.0, 100.0)},
    "severe_hypoglycaemia": {"events/patient-year": (0.0, 1000.0), "events": (0.0, 1000.0)},
}
"""Units of a level and the numbers that are possible in them, by outcome."""

CONCENTRATION_LIMITS = {
    "ng/mL": (0.0, 30.0),
    "nmol/L": (0.0, 10.0),
    "pmol/L": (0.0, 10_000.0),
    "pmol/mL": (0.0, 10.0),
}
"""Units of a C-peptide concentration and the numbers that are possible in them."""

LARGEST_CHANGE = {"hba1c": {"%": 10.0, "mmol/mol": 110.0}}
"""Changes and differences, by outcome and unit, that no group of patients has."""

LARGEST_SPREAD = {
    "hba1c": {"%": 5.0, "mmol/mol": 55.0},
    "insulin_dose": {"IU/kg/day": 2.0, "IU/day": 200.0},
    "fasting_glucose": {"mg/dL": 300.0, "mmol/L": 17.0},
    "time_in_range": {"%": 50.0},
}
"""Spreads of one number, by outcome and unit, that no group of patients has."""

SMALLEST_HBA1C_SD = 0.3
"""Percentage points. An HbA1c spread between patients below this is a standard error."""
