"""What the evidence tables are: files, columns, what a single cell may hold, and what names a fact.

`TABLES` is the closed list: a file or column that is not in it does not exist for the program.
What rows and tables must be to each other stands in `rules`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from analysis import escape
from analysis import vocabulary as v

Row = dict[str, str | float]
"""One row: words and text as str ("" = blank), numbers as float (NaN = blank), and `line`."""


@dataclass(frozen=True)
class Column:
    """What the cells of a column may hold.

    kind: text, word (one of `words`), words (several of `words`, separated by spaces), number,
    count (a whole number) or match (the whole cell matches `pattern`, described by `means`; some
    cells that do are `examples`).
    `needed`: no blank cell. `optional`: the column itself may be left out of the file and is then
    filled with `default`. Numbers lie between `low` and `high`, both included.
    """

    kind: str = "text"
    words: Mapping[str, str] = field(default_factory=dict)
    needed: bool = False
    optional: bool = False
    default: str = ""
    low: float = -math.inf
    high: float = math.inf
    pattern: str = ""
    means: str = ""
    examples: tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        return self.kind in ("number", "count")

    def fault(self, text: str) -> str | None:
        """What is allowed here, if `text` is not; else None."""
        if text == "":
            return f"a blank is not allowed here; {self.describe()}" if self.needed else None
        if self.kind == "word" and text not in self.words:
            return self.describe()
        if self.kind == "words" and (
            any(word not in self.words for word in text.split(" "))
            or len(set(text.split(" "))) < len(text.split(" "))
        ):
            return self.describe()
        if self.kind == "match" and not re.fullmatch(self.pattern, text):
            return self.describe()
        if self.numeric:
            given = number(text)
            if math.isnan(given):
                return self.describe()
            if self.kind == "count" and given != int(given):
                return self.describe()
            if not self.low <= given <= self.high:
                return self.describe()
        return None

    def describe(self) -> str:
        if self.kind == "word":
            return "one of " + ", ".join(self.words)
        if self.kind == "words":
            return "each once, separated by one space, of " + ", ".join(self.words)
        if self.kind == "match":
            return self.means
        if self.numeric:
            what = "a whole number" if self.kind == "count" else "a number"
            low, high = f"{self.low:g}", f"{self.high:g}"
            if math.isinf(self.low) and math.isinf(self.high):
                return what
            if math.isinf(self.high):
                return f"{what} of at least {low}"
            return f"{what} from {low} to {high}"
        return "text"


_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


def number(text: str) -> float:
    """The number printed in `text`; NaN when it is none (also for "nan", "inf" and the like)."""
    if not _NUMBER.fullmatch(text):
        return math.nan
    value = float(text)
    return value if math.isfinite(value) else math.nan


def _word(words: Mapping[str, str], needed: bool = True, **more: Any) -> Column:
    return Column("word", words, needed, **more)


_TEXT = Column()
_STUDY = Column(
    "match", needed=True, pattern=r"[a-z0-9_]+", means="a study id: small letters, digits and _"
)
_ARM = Column(
    "match",
    needed=True,
    pattern=v.ARM_PATTERN,
    means="an arm: treated, control, all, patient or contrast, with a name after _ if need be",
    examples=("treated", "control", "all", "patient", "contrast"),
)
_URL = Column(
    "match",
    needed=True,
    pattern=escape.URL,
    means="a web address that begins with http:// or https://, without quotes or spaces",
)
_URLS = Column(
    "match",
    optional=True,
    pattern=rf"{_URL.pattern}( {_URL.pattern})*",
    means="web addresses that begin with http:// or https://, one space apart",
)
REGISTRIES = {
    "ClinicalTrials.gov": r"NCT\d{8}",
    "ChiCTR": r"ChiCTR\d{10}|ChiCTR-[A-Z]{3}-\d{8}",
    "IRCT": r"IRCT\d+N\d+",
    "EudraCT": r"EudraCT-\d{4}-\d{6}-\d{2}",
    "CTIS": r"CTIS-\d{4}-\d{6}-\d{2}-\d{2}",
    "ISRCTN": r"ISRCTN\d{8}",
    "JPRN": r"jRCT[a-z]?\d{9,10}|UMIN\d{9}|JapicCTI-\d{6}",
    "ANZCTR": r"ACTRN\d{14}",
    "CTRI": r"CTRI-\d{4}-\d{2,3}-\d{6}",
    "DRKS": r"DRKS\d{8}",
    "KCT": r"KCT\d{7}",
    "NTR": r"NTR\d{3,4}|NL-OMON\d{5}|NL\d{4}",
    "ReBec": r"RBR-[0-9a-z]{6,7}",
    "RPCEC": r"RPCEC\d{8}",
    "PACTR": r"PACTR\d{15,16}",
    "SLCTR": r"SLCTR-\d{4}-\d{3}",
    "TCTR": r"TCTR\d{11}",
}
"""Trial registries and what a number of each looks like (slashes and spaces written as hyphens)."""

REGISTRY_ID = "|".join(REGISTRIES.values())

_REGISTRY_ID = Column(
    "match",
    pattern=REGISTRY_ID,
    means="a trial registry id as its registry writes it (NCT00315133, ChiCTR2300072200, "
    "IRCT2016070428786N1, EudraCT-2017-002766-50 ...), slashes and spaces as hyphens",
)
_REGISTRY_IDS = Column(
    "match",
    pattern=rf"({REGISTRY_ID})( ({REGISTRY_ID}))*",
    means="trial registry ids, one space apart",
)
_DATE = Column(
    "match",
    pattern=r"(19|20)\d{2}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?",
    means="a date: 2024, 2024-05 or 2024-05-31",
)
_STUDIES = Column("match", pattern=r"[a-z0-9_]+( [a-z0-9_]+)*", means="study ids, one space apart")
_DOI = Column(
    "match",
    pattern=r"10\.\d{4,9}/[^\s\"']*[^\s\"'.,;:]",
    means="a DOI: 10.number/name, without its address",
)
_PMID = Column("match", pattern=r"[1-9]\d{0,7}", means="a PubMed number of at most 8 digits")
_PMCID = Column(
    "match", pattern=r"PMC[1-9]\d{0,7}", means="a PubMed Central id: PMC and at most 8 digits"
)
_MONTHS = Column("number", low=0, high=600)
_SIZE = Column("count", low=1, high=100_000)
_COUNT = Column("count", low=0, high=100_000)
_P = Column("number", low=0, high=1)
_NAME = r"[A-Za-z0-9_.-]+"
_JUDGEMENTS = v.RISK_JUDGEMENTS["rob2"] | v.RISK_JUDGEMENTS["robins_i"]

_SOURCE = {
    "source_url": _URL,
    "seen_in": _word(v.SEEN_IN),
    "extraction": _word(v.EXTRACTION),
}

TABLES: dict[str, dict[str, Column]] = {
    "studies.csv": {
        "study_id": _STUDY,
        "first_author": _TEXT,
        "year": Column("count", low=1990, high=2100),
        "title": _TEXT,
        "journal": _TEXT,
        "doi": _DOI,
        "pmid": _PMID,
        "pmcid": _PMCID,
        "registry_id": _REGISTRY_ID,
        "country": _TEXT,
        "diabetes_type": _word(v.DIABETES_TYPES),
        "design": _word(v.DESIGNS),
        "blinded": _word(v.BLINDING),
        "cell_product": _TEXT,
        "cell_class": _word(v.CELL_CLASSES),
        "arm_cell_classes": Column(
            "match",
            optional=True,
            pattern=rf"{v.ARM_PATTERN}=({'|'.join(v.CELL_CLASSES)})"
            rf"( {v.ARM_PATTERN}=({'|'.join(v.CELL_CLASSES)}))*",
            means="arm=cell class, several separated by one space",
        ),
        "donor": _word(v.DONORS, needed=False),
        "route": _TEXT,
        "immune_strategy": _word(v.IMMUNE_STRATEGIES, needed=False),
        "dose": _TEXT,
        "n_treated": _SIZE,
        "n_control": _COUNT,
        "control_kind": _TEXT,
        "age_summary": _TEXT,
        "diabetes_duration_summary": _TEXT,
        "onset_group": _word(v.ONSET_GROUPS, needed=False, optional=True),
        "insulin_at_entry": _word(v.INSULIN_AT_ENTRY, needed=False, optional=True),
        "population_fact": Column(optional=True),
        "population_source": _URLS,
        "c_peptide_at_entry": _word(v.C_PEPTIDE_AT_ENTRY, needed=False, optional=True),
        "c_peptide_fact": Column(optional=True),
        "followup_months": _MONTHS,
        "followup_kind": _word(v.FOLLOWUP_KINDS, needed=False, optional=True),
        "enrolment_years": _TEXT,
        "cohort": Column("match", needed=True, pattern=_NAME, means="a cohort: one word"),
        "cohort_role": _word(v.COHORT_ROLES),
        "overlaps_with": Column(
            "match", optional=True, pattern=rf"{_NAME}( {_NAME})*", means="cohorts, one space apart"
        ),
        "overlap_kind": _word(v.OVERLAP_KINDS, needed=False, optional=True),
        "publication_kind": _word(v.PUBLICATION_KINDS),
        "include": _word(v.INCLUDE),
        "exclusion_reason": _TEXT,
        "retracted": _word(v.RETRACTED, optional=True, default="none_found"),
        "retraction_checked": replace(_DATE, optional=True),
        "concern_as_of": replace(_DATE, optional=True),
        **_SOURCE,
        "notes": _TEXT,
    },
    "outcomes.csv": {
        "study_id": _STUDY,
        "arm": _ARM,
        "outcome": _word(v.OUTCOMES),
        "months": _MONTHS,
        "n": _SIZE,
        "n_control": Column("count", low=1, high=100_000, optional=True),
        "statistic": _word(v.STATISTICS),
        "value": Column("number"),
        "spread_kind": _word(v.SPREAD_KINDS),
        "spread": Column("number", low=0),
        "spread_low": Column("number"),
        "spread_high": Column("number"),
        "unit": Column(needed=True),
        "unit_printed": Column(optional=True),
        "scale": _word(v.SCALES),
        "baseline_state": _word(v.BASELINE_STATES, needed=False),
        "contrast_basis": _word(v.CONTRAST_BASES, needed=False, optional=True),
        "p_relation": _word(v.P_RELATIONS, needed=False, optional=True),
        "p_value": _P,
        "p_contrast": _word(v.P_CONTRASTS, needed=False, optional=True),
        "p_text": Column(optional=True),
        "location": _TEXT,
        **_SOURCE,
        "caveats": Column("words", v.OUTCOME_CAVEATS),
        "notes": _TEXT,
    },
    "directions.csv": {
        "study_id": _STUDY,
        "contrast": _word(v.CONTRASTS),
        "arm": Column(
            "match", pattern=v.ARM_PATTERN, means=_ARM.means, optional=True, default="treated"
        ),
        "subgroup": Column(
            "match", optional=True, pattern=r"[a-z0-9_]+", means="a subgroup: one word"
        ),
        "outcome": _word(v.OUTCOMES),
        "months": _MONTHS,
        "months_from": _MONTHS,
        "months_to": _MONTHS,
        "direction": _word(v.DIRECTIONS),
        "significant": _word(v.SIGNIFICANT),
        "p_relation": _word(v.P_RELATIONS, needed=False),
        "p_value": _P,
        "n_treated": _SIZE,
        "n_control": _SIZE,
        "quoted_measure": Column(needed=True),
        "caveats": Column(
            "words",
            {w: t for w, t in v.DIRECTION_CAVEATS.items() if w not in v.COMPUTED_CAVEATS},
        ),
        **_SOURCE,
        "notes": _TEXT,
    },
    "responders.csv": {
        "study_id": _STUDY,
        "arm": _ARM,
        "outcome": _word(v.RESPONDER_OUTCOMES),
        "criterion": Column(needed=True),
        "months": _MONTHS,
        "n_responders": _COUNT,
        "percent": Column("number", low=0, high=100, optional=True),
        "n_total": _SIZE,
        **_SOURCE,
        "notes": _TEXT,
    },
    "independence.csv": {
        "study_id": _STUDY,
        "arm": _ARM,
        "fact": _word(v.FACTS),
        "n_total": _SIZE,
        "k": _COUNT,
        "bound": _word(v.BOUNDS, needed=False),
        "months": _MONTHS,
        "duration_statistic": _word(v.DURATION_STATISTICS, needed=False),
        "value": _MONTHS,
        "low": _MONTHS,
        "high": _MONTHS,
        "patient_label": _TEXT,
        "status": _word(v.STATUSES, needed=False),
        "sampling": _word(v.SAMPLING, needed=False),
        **_SOURCE,
        "notes": _TEXT,
    },
    "safety.csv": {
        "study_id": _STUDY,
        "arm": _ARM,
        "event_category": _word(v.EVENT_CATEGORIES),
        "event_detail": Column(needed=True),
        "n_patients": Column("count", needed=True, low=0, high=100_000),
        "n_events": _COUNT,
        "bound": _word(v.SAFETY_BOUNDS),
        "n_at_risk": Column("count", needed=True, low=1, high=100_000),
        "followup_months": _MONTHS,
        "relation": _word(v.RELATIONS),
        **_SOURCE,
        "notes": _TEXT,
    },
    "published_meta_analyses.csv": {
        "study_id": _STUDY,
        "first_author": _TEXT,
        "year": Column("count", low=1990, high=2100),
        "journal": _TEXT,
        "doi": _DOI,
        "pmid": _PMID,
        "population": _TEXT,
        "comparison": _TEXT,
        "outcome": Column(needed=True),
        "k_studies": _SIZE,
        "n_patients": _SIZE,
        "measure": _TEXT,
        "estimate": Column("number"),
        "ci_low": Column("number"),
        "ci_high": Column("number"),
        "estimate_signed": Column("number", optional=True),
        "ci_low_signed": Column("number", optional=True),
        "ci_high_signed": Column("number", optional=True),
        "i2_percent": Column("number", low=0, high=100),
        "model": _TEXT,
        "unit": _TEXT,
        "source_url": _URL,
        "seen_in": _word(v.SEEN_IN),
        "notes": _TEXT,
    },
    "risk_of_bias.csv": {
        "cohort": Column("match", needed=True, pattern=_NAME, means="a cohort: one word"),
        "study_id": _STUDY,
        "tool": _word(v.RISK_TOOLS),
        "outcome_family": _word(v.RISK_FAMILIES),
        "domain": _word(v.RISK_DOMAINS["rob2"] | v.RISK_DOMAINS["robins_i"]),
        "assessor_a": _word(_JUDGEMENTS),
        "assessor_b": _word(_JUDGEMENTS),
        "settled": _word(_JUDGEMENTS),
        "support": Column(needed=True),
        "source_url": _URL,
        "seen_in": _word(v.RISK_SEEN_IN),
    },
    "trial_conduct.csv": {
        "study_id": _STUDY,
        "registry_id": _REGISTRY_IDS,
        "registry_link": _word(v.REGISTRY_LINKS, needed=False),
        "registered": _word(v.REGISTERED),
        "registered_primary": _TEXT,
        "reported_primary_matches": _word(v.PRIMARY_MATCHES),
        "funder": Column("words", v.FUNDERS, needed=True),
        "conflicts_declared": _word(v.CONFLICTS),
        "source_url": _URL,
        "notes": _TEXT,
    },
    "registered_trials.csv": {
        "registry_id": replace(_REGISTRY_ID, needed=True),
        "other_ids": _REGISTRY_IDS,
        "title": Column(needed=True),
        "product": _TEXT,
        "cell_class": _word(v.CELL_CLASSES),
        "diabetes_type": _word(v.TRIAL_DIABETES_TYPES),
        "onset_group": _word(v.TRIAL_ONSETS, needed=False),
        "design": _word(v.TRIAL_DESIGNS),
        "masked": _word(v.MASKED),
        "n_planned": _COUNT,
        "n_actual": _COUNT,
        "status": _word(v.TRIAL_STATUSES),
        "status_basis": _word(v.STATUS_BASES),
        "last_known_status": _word(v.LAST_KNOWN_STATUSES, needed=False),
        "start": _DATE,
        "primary_completion": _DATE,
        "primary_completion_kind": _word(v.DATE_KINDS, needed=False),
        "study_completion": _DATE,
        "primary_outcome": _TEXT,
        "sponsor": _TEXT,
        "country": _TEXT,
        "scope": _word(v.TRIAL_SCOPES),
        "results": _word(v.TRIAL_RESULTS),
        "study_ids": _STUDIES,
        "source_url": _URL,
        "second_url": replace(_URL, needed=False),
        "status_seen_on": _DATE,
        "read_on": replace(_DATE, needed=True),
        "extraction": _word(v.EXTRACTION),
        "found_by": _word(v.FOUND_BY),
        "notes": _TEXT,
    },
    "publication_search.csv": {
        "registry_id": replace(_REGISTRY_ID, needed=True),
        "queries": replace(_COUNT, needed=True),
        "verdict": _word(v.SEARCH_VERDICTS),
        "report": _TEXT,
        "study_id": replace(_STUDY, needed=False),
        "match": _TEXT,
        "source_url": replace(_URL, needed=False),
        "notes": _TEXT,
    },
    "CHANGES.csv": {
        "file": Column(needed=True),
        "row_key": Column(needed=True),
        "column": Column(needed=True),
        "old": _TEXT,
        "new": _TEXT,
        "reason": Column(needed=True),
        "source": Column(needed=True),
    },
}
"""Files and their columns. Columns that are `optional` were added while the tables were mended."""

OPTIONAL_FILES = ("risk_of_bias.csv", "trial_conduct.csv", "registered_trials.csv",
                  "publication_search.csv", "CHANGES.csv")  # fmt: skip
"""Files that a folder of evidence may lack: a cohort that nobody has judged counts as such."""

KEYS: dict[str, tuple[str, ...]] = {
    "studies.csv": ("study_id",),
    "outcomes.csv": ("study_id", "arm", "outcome", "months", "scale"),
    "directions.csv": (
        "study_id",
        "contrast",
        "arm",
        "subgroup",
        "outcome",
        "months",
        "quoted_measure",
    ),
    "responders.csv": ("study_id", "arm", "outcome", "criterion", "months"),
    "independence.csv": (
        "study_id",
        "arm",
        "fact",
        "months",
        "duration_statistic",
        "patient_label",
    ),
    "safety.csv": ("study_id", "arm", "event_category", "event_detail", "relation"),
    "published_meta_analyses.csv": ("study_id", "population", "comparison", "outcome"),
    "risk_of_bias.csv": ("cohort", "outcome_family", "domain"),
    "trial_conduct.csv": ("study_id",),
    "registered_trials.csv": ("registry_id",),
    "publication_search.csv": ("registry_id",),
}
"""The columns that together name one fact. `row_key` in CHANGES.csv joins their cells with |."""

FACT_FILES = (
    "outcomes.csv",
    "directions.csv",
    "responders.csv",
    "independence.csv",
    "safety.csv",
)


def blank(value: str | float) -> bool:
    return value == "" if isinstance(value, str) else math.isnan(value)


def number_of(row: Row, column: str) -> float:
    """The number in a cell of a column of numbers; NaN where it is blank.

    Raises TypeError where the column holds words.
    """
    value = row[column]
    if isinstance(value, str):
        raise TypeError(f"{column} is no column of numbers: {value!r}")
    return value


def word_of(row: Row, column: str) -> str:
    """The word or text in a cell; "" where it is blank.

    Raises TypeError where the column holds numbers.
    """
    value = row[column]
    if not isinstance(value, str):
        raise TypeError(f"{column} is a column of numbers: {value!r}")
    return value


def words_of(value: str | float) -> list[str]:
    return str(value).split()
