"""The only reader of `data/raw`: reads the evidence tables, validates them, explains every fault.

`check` lists what is wrong with a folder of tables, all at once, each as a `Fault` that names file,
line, column, value and what is allowed there. `load` returns the same tables as an `Evidence`, or
raises `EvidenceError` with every fault. A wrong file never ends in a traceback. What is odd in a
published source, but not wrong in our tables, is a warning (`warnings`) and stops nothing.

The rules stand in two places: `TABLES` says what a single cell may hold, the `_*_rules` functions
say what rows and tables must be to each other.
"""

import csv
import hashlib
import io
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from analysis import vocabulary as v

Row = dict[str, str | float]
"""One row: words and text as str ("" = blank), numbers as float (NaN = blank), and `line`."""

RAW = Path("data/raw")


# --- faults ------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong: where it stands, what stands there and what is allowed.

    `line` is the line of the csv file on which the row begins (the header is line 1).
    """

    file: str
    line: int
    column: str
    value: str
    allowed: str

    def __str__(self) -> str:
        value = " ".join(self.value.split()) or "(blank)"
        if len(value) > 120:
            value = value[:117] + "..."
        return f"{self.file}:{self.line}:{self.column}: {value}: {self.allowed}"


class EvidenceError(Exception):
    """The tables cannot be used. `faults` holds every fault; the message has one a line."""

    def __init__(self, faults: Sequence[Fault]):
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


# --- the result --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evidence:
    """The evidence tables, valid. One row of a table is one fact.

    Every table has an int column `line`, the line of the row in its csv file. Numbers are float64
    with NaN for blank; words and text are str with "" for blank. `directions` has a computed bool
    column `has_numbers`, repeated as a word in its `caveats`. `digests` maps file name to SHA-256.
    """

    studies: pd.DataFrame
    outcomes: pd.DataFrame
    directions: pd.DataFrame
    responders: pd.DataFrame
    independence: pd.DataFrame
    safety: pd.DataFrame
    published: pd.DataFrame
    changes: pd.DataFrame
    digests: dict[str, str] = field(default_factory=dict)


# --- what a cell may hold ----------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """What the cells of a column may hold.

    kind: text, word (one of `words`), words (several of `words`, separated by spaces), number,
    count (a whole number) or match (the whole cell matches `pattern`, described by `means`).
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
            number = _number(text)
            if math.isnan(number):
                return self.describe()
            if self.kind == "count" and number != int(number):
                return self.describe()
            if not self.low <= number <= self.high:
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


def _number(text: str) -> float:
    """The number printed in `text`; NaN when it is none (also for "nan", "inf" and the like)."""
    if not _NUMBER.fullmatch(text):
        return math.nan
    number = float(text)
    return number if math.isfinite(number) else math.nan


def _word(words: Mapping[str, str], needed: bool = True, **more) -> Column:
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
)
_URL = Column(
    "match",
    needed=True,
    pattern=r"https?://[^\s/$.?#,][^\s,]*\.[^\s]+",
    means="a web address that begins with http:// or https://",
)
_MONTHS = Column("number", low=0, high=600)
_SIZE = Column("count", low=1, high=100_000)
_COUNT = Column("count", low=0, high=100_000)
_P = Column("number", low=0, high=1)
_NAME = r"[A-Za-z0-9_.-]+"

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
        "doi": Column("match", pattern=r"10\.\d{4,9}/\S+", means="a DOI: 10.number/name"),
        "pmid": Column("match", pattern=r"[1-9]\d{0,8}", means="a PubMed number"),
        "pmcid": Column("match", pattern=r"PMC\d+", means="a PubMed Central id: PMC and a number"),
        "registry_id": Column(
            "match", pattern=r"[A-Za-z][A-Za-z-]*\d[\w-]*", means="a trial registry id: NCT00315133"
        ),
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
        "doi": Column("match", pattern=r"10\.\d{4,9}/\S+", means="a DOI: 10.number/name"),
        "pmid": Column("match", pattern=r"[1-9]\d{0,8}", means="a PubMed number"),
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

OPTIONAL_FILES = ("CHANGES.csv",)

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
}
"""The columns that together name one fact. `row_key` in CHANGES.csv joins their cells with |."""

_FACT_FILES = (
    "outcomes.csv",
    "directions.csv",
    "responders.csv",
    "independence.csv",
    "safety.csv",
)


# --- reading -----------------------------------------------------------------------------------


@dataclass
class _Table:
    """One file as read: the cells as printed and as parsed, whether it could be read at all."""

    name: str
    rows: list[Row] = field(default_factory=list)
    printed: list[dict[str, str]] = field(default_factory=list)
    readable: bool = True
    digest: str = ""

    def fault(self, row: Row, column: str, allowed: str) -> Fault:
        value = row.get(column, "")
        if isinstance(value, float):
            value = "" if math.isnan(value) else f"{value:.12g}"
        return Fault(self.name, int(row["line"]), column, str(value), allowed)


def _read_bytes(path: Path) -> tuple[bytes | None, Fault | None]:
    name = path.name
    try:
        return path.read_bytes(), None
    except FileNotFoundError:
        return None, Fault(name, 1, "(file)", "(missing file)", "this file is needed")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return None, Fault(name, 1, "(file)", reason, "a file that can be read")


def _records(name: str, data: bytes) -> tuple[list[tuple[int, list[str]]], list[Fault]]:
    """The records of a csv file with the line each begins on, and what kept it from being read."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        value = data[error.start : error.start + 1].hex()
        return [], [Fault(name, line, "(encoding)", f"byte 0x{value}", "text in UTF-8")]
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        return [], [Fault(name, line, "(text)", "NUL byte", "text without NUL bytes")]
    if not text.strip():
        return [], [Fault(name, 1, "(file)", "(empty file)", "a header and one fact a line")]
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    records: list[tuple[int, list[str]]] = []
    begin = 1
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return records, []
        except csv.Error as error:
            allowed = "csv with commas between cells and balanced double quotes"
            return records, [Fault(name, begin, "(csv)", str(error), allowed)]
        records.append((begin, record))
        begin = reader.line_num + 1


def _header_faults(name: str, header: list[str], columns: Mapping[str, Column]) -> list[Fault]:
    faults = []
    for column, spec in columns.items():
        if column not in header and not spec.optional:
            faults.append(Fault(name, 1, column, "(missing column)", "this column is needed"))
    for position, column in enumerate(header):
        if column in header[:position]:
            faults.append(Fault(name, 1, column, "(duplicate column)", "each column once"))
        elif column not in columns:
            allowed = "only the columns " + ", ".join(columns)
            faults.append(Fault(name, 1, column or "(no name)", "(extra column)", allowed))
    return faults


def _read_table(raw: Path, name: str) -> tuple[_Table, list[Fault]]:
    table, columns = _Table(name), TABLES[name]
    data, fault = _read_bytes(raw / name)
    if data is None:
        table.readable = False
        missing = fault.value == "(missing file)"
        return table, [] if missing and name in OPTIONAL_FILES else [fault]
    table.digest = hashlib.sha256(data).hexdigest()
    records, faults = _records(name, data)
    if not records:
        table.readable = False
        return table, faults
    header = [cell.strip() for cell in records[0][1]]
    wrong_header = _header_faults(name, header, columns)
    faults += wrong_header
    if wrong_header or faults:
        table.readable = False
    for line, record in records[1:]:
        if not record:  # an empty line says nothing
            continue
        if len(record) != len(header):
            allowed = f"{len(header)} cells, as in the header"
            faults.append(Fault(name, line, "(row)", f"{len(record)} cells", allowed))
            table.readable = False
            continue
        cells = dict(zip(header, record, strict=True))
        if name == "outcomes.csv" and "p_text" not in cells:
            cells["p_text"] = cells.pop("p_value", "")
        printed = {
            column: cells.get(column, "" if column in cells else spec.default)
            for column, spec in columns.items()
        }
        row: Row = {"line": line}
        for column, spec in columns.items():
            text = printed[column]
            if text != text.strip():
                faults.append(Fault(name, line, column, repr(text), "no space at either end"))
                text = text.strip()
            if column in header and (allowed := spec.fault(text)) is not None:
                faults.append(Fault(name, line, column, text, allowed))
            row[column] = _number(text) if spec.numeric else text
        table.rows.append(row)
        table.printed.append(printed)
    return table, faults


# --- rules on rows and between tables ----------------------------------------------------------


def _blank(value: str | float) -> bool:
    return value == "" if isinstance(value, str) else math.isnan(value)


def _words(value: str | float) -> list[str]:
    return str(value).split()


def _duplicate_rules(table: _Table) -> Iterator[Fault]:
    """No fact twice: the key columns of a table name one row."""
    key, seen = KEYS[table.name], {}
    for row in table.rows:
        # Numbers compare as numbers (12 and 12.0 are one month), blanks as blanks.
        name = tuple(None if _blank(row[c]) else row[c] for c in key)
        if name in seen:
            text = "the same " + ", ".join(key) + f" only once (first on line {seen[name]})"
            yield table.fault(row, key[0], text)
        else:
            seen[name] = row["line"]


def _known_study_rules(table: _Table, known: set[str]) -> Iterator[Fault]:
    for row in table.rows:
        if row["study_id"] and row["study_id"] not in known:
            yield table.fault(row, "study_id", "a study_id of studies.csv")


def _study_rules(table: _Table) -> Iterator[Fault]:
    for row in table.rows:
        if row["include"] == "yes" and row["exclusion_reason"]:
            yield table.fault(row, "exclusion_reason", "blank where include is yes")
        if row["include"] in ("context", "no") and not row["exclusion_reason"]:
            allowed = f"a reason, because include is {row['include']}"
            yield table.fault(row, "exclusion_reason", allowed)
        ids = ("doi", "pmid", "pmcid", "registry_id")
        by_address = row["title"] and str(row["source_url"]).startswith("http")
        if row["include"] == "yes" and not any(row[c] for c in ids) and not by_address:
            allowed = "a DOI, PMID, PMCID or registry id, or the title with the address of its page"
            yield table.fault(row, "doi", allowed)
        if row["followup_kind"] and _blank(row["followup_months"]):
            yield table.fault(row, "followup_kind", "blank where followup_months is blank")
        if bool(row["overlaps_with"]) != bool(row["overlap_kind"]):
            column = "overlap_kind" if row["overlaps_with"] else "overlaps_with"
            yield table.fault(row, column, "overlaps_with and overlap_kind are given together")


def _cohort_rules(table: _Table) -> Iterator[Fault]:
    """One primary report a cohort; shared identifiers mean a declared overlap."""
    members: dict[str, list[Row]] = defaultdict(list)
    for row in table.rows:
        members[str(row["cohort"])].append(row)
    declared = {
        frozenset((str(row["cohort"]), other))
        for row in table.rows
        for other in _words(row["overlaps_with"])
    }
    for cohort, rows in members.items():
        primary = [row for row in rows if row["cohort_role"] == "primary"]
        if not primary:
            allowed = f"one report of cohort {cohort} is primary, none is"
            yield table.fault(rows[0], "cohort_role", allowed)
        for row in primary[1:]:
            allowed = f"one primary report a cohort ({primary[0]['study_id']} is that of {cohort})"
            yield table.fault(row, "cohort_role", allowed)
    for row in table.rows:
        for other in _words(row["overlaps_with"]):
            if other not in members:
                yield table.fault(row, "overlaps_with", f"known cohorts; {other} is none")
            elif other == row["cohort"]:
                yield table.fault(row, "overlaps_with", "cohorts other than its own")
    for column in ("doi", "pmid", "pmcid", "registry_id"):
        first: dict[str, Row] = {}
        for row in table.rows:
            name = str(row[column]).lower()
            if not name:
                continue
            other = first.setdefault(name, row)
            if other is row:
                continue
            pair = frozenset((str(row["cohort"]), str(other["cohort"])))
            if len(pair) == 2 and pair not in declared:
                allowed = (
                    f"overlapping cohorts undeclared: {other['study_id']} of cohort "
                    f"{other['cohort']} has it too; one cohort, or name it in overlaps_with"
                )
                yield table.fault(row, column, allowed)
            elif column != "registry_id":
                yield table.fault(row, column, f"one study ({other['study_id']} has it too)")


def _unit_limits(outcome: str, unit: str, scale: str) -> tuple[float, float] | None:
    """Lowest and highest possible number of an outcome in a unit; None if it cannot have it."""
    if scale == "percent_change":
        # Only an insulin dose can fall by the whole of itself.
        low = -100.0 if outcome == "insulin_dose" else math.nextafter(-100.0, 0.0)
        return (low, 10_000.0) if unit == "%" else None
    if scale == "percent_of_baseline":
        return (0.0, 10_000.0) if unit == "% of baseline" else None
    if outcome in v.C_PEPTIDE_MEASURES:
        if unit in v.CONCENTRATION_LIMITS:
            low, high = v.CONCENTRATION_LIMITS[unit]
        elif outcome in ("c_peptide_auc", "c_peptide_unstated") and re.fullmatch(
            v.AUC_UNIT_PATTERN, unit
        ):
            low, high = 0.0, 1e7
        else:
            return None
    elif unit in v.LEVEL_LIMITS.get(outcome, {}):
        low, high = v.LEVEL_LIMITS[outcome][unit]
    else:
        return None
    if scale in ("change", "between_arm_difference"):
        return low - high, high - low
    return low, high


def _allowed_units(outcome: str, scale: str) -> str:
    if scale == "percent_change":
        return "%"
    if scale == "percent_of_baseline":
        return "% of baseline"
    if outcome in v.C_PEPTIDE_MEASURES:
        return ", ".join(v.CONCENTRATION_LIMITS) + ", or one of these *minutes for an area"
    return ", ".join(v.LEVEL_LIMITS.get(outcome, {}))


def _spread_rules(table: _Table, row: Row) -> Iterator[Fault]:
    kind = row["spread_kind"]
    one, low, high = (not _blank(row[c]) for c in ("spread", "spread_low", "spread_high"))
    if kind == "none":
        for column, given in (("spread", one), ("spread_low", low), ("spread_high", high)):
            if given:
                yield table.fault(row, column, "blank where spread_kind is none")
    elif kind in ("sd", "se"):
        if not one or low or high:
            yield table.fault(row, "spread_kind", f"{kind} needs `spread` alone")
    elif kind in ("iqr", "range", "ci95"):
        if one or not high or (not low and not _blank(row["value"])):
            yield table.fault(row, "spread_kind", f"{kind} needs spread_low and spread_high alone")
    elif kind == "unstated" and one == (low and high):
        allowed = "unstated needs `spread`, or spread_low and spread_high, not both"
        yield table.fault(row, "spread_kind", allowed)
    if low and high and row["spread_low"] > row["spread_high"]:
        yield table.fault(row, "spread_low", f"not above spread_high ({row['spread_high']:g})")
    if not _blank(row["value"]):
        if low and row["value"] < row["spread_low"]:
            yield table.fault(row, "value", f"not below spread_low ({row['spread_low']:g})")
        if high and row["value"] > row["spread_high"]:
            yield table.fault(row, "value", f"not above spread_high ({row['spread_high']:g})")
    elif not high:
        allowed = "a number; blank only with the bounds of a range or a detection limit"
        yield table.fault(row, "value", allowed)
    if (
        row["outcome"] == "hba1c"
        and row["unit"] == "%"
        and kind in ("sd", "unstated")
        and one
        and row["spread"] < v.SMALLEST_HBA1C_SD
    ):
        allowed = (
            f"an HbA1c SD of at least {v.SMALLEST_HBA1C_SD:g}; a smaller one is a standard error "
            "(spread_kind se)"
        )
        yield table.fault(row, "spread", allowed)


def _outcome_rules(table: _Table) -> Iterator[Fault]:
    baselines = {
        (row["study_id"], row["arm"], row["outcome"])
        for row in table.rows
        if row["scale"] == "level" and row["months"] == 0
    }
    for row in table.rows:
        yield from _spread_rules(table, row)
        outcome, unit, scale = str(row["outcome"]), str(row["unit"]), str(row["scale"])
        if outcome in v.OUTCOMES and scale in v.SCALES and unit:
            limits = _unit_limits(outcome, unit, scale)
            if limits is None:
                yield table.fault(
                    row,
                    "unit",
                    f"a unit of {outcome} as {scale}: " + _allowed_units(outcome, scale),
                )
            else:
                for column in ("value", "spread_low", "spread_high"):
                    if not _blank(row[column]) and not limits[0] <= row[column] <= limits[1]:
                        allowed = f"{limits[0]:g} to {limits[1]:g} for {outcome} in {unit}"
                        yield table.fault(row, column, allowed)
        if _blank(row["months"]) and "time_not_printed" not in _words(row["caveats"]):
            yield table.fault(row, "months", "a number; blank only with caveat time_not_printed")
        level_before = scale == "level" and row["months"] == 0
        if level_before and not row["baseline_state"]:
            yield table.fault(row, "baseline_state", "given for a level at month 0")
        if row["baseline_state"] and not level_before:
            yield table.fault(row, "baseline_state", "blank but for a level at month 0")
        between = scale == "between_arm_difference"
        if between != str(row["arm"]).startswith("contrast"):
            yield table.fault(row, "arm", "contrast for, and only for, between_arm_difference")
        if not _blank(row["n_control"]) and not between:
            yield table.fault(row, "n_control", "blank but for between_arm_difference")
        if row["p_relation"] and _blank(row["p_value"]):
            yield table.fault(row, "p_value", "a number, because p_relation is given")
        if not _blank(row["p_value"]) and not row["p_relation"]:
            yield table.fault(row, "p_relation", "<, = or >, because p_value is given")
        if scale == "level" and row["months"] != 0:
            paired = (row["study_id"], row["arm"], row["outcome"]) in baselines
            declared = row["contrast_basis"] == "follow_up_only"
            if paired and declared:
                yield table.fault(row, "contrast_basis", "blank, because the baseline is given")
            if not paired and not declared:
                allowed = (
                    "follow_up_only, because no baseline level of this arm and outcome is given"
                )
                yield table.fault(row, "contrast_basis", allowed)
        elif row["contrast_basis"]:
            yield table.fault(row, "contrast_basis", "blank but for a level after treatment")


def _direction_rules(table: _Table) -> Iterator[Fault]:
    for row in table.rows:
        low, at, high = row["months_from"], row["months"], row["months_to"]
        if not _blank(low) and not _blank(high) and low > high:
            yield table.fault(row, "months_from", f"not after months_to ({high:g})")
        if not _blank(at) and ((not _blank(low) and at < low) or (not _blank(high) and at > high)):
            yield table.fault(row, "months", "within months_from to months_to")
        balance = row["contrast"] == "baseline_balance"
        if balance and at != 0:
            yield table.fault(row, "months", "0 for a comparison before treatment")
        if at == 0 and not balance:
            yield table.fault(row, "contrast", "baseline_balance at month 0")
        if row["contrast"] == "control_vs_baseline" and not str(row["arm"]).startswith("control"):
            yield table.fault(row, "arm", "a control arm for control_vs_baseline")
        if str(row["contrast"]).startswith("treated") and str(row["arm"]).startswith("control"):
            yield table.fault(row, "arm", "a treated arm for this contrast")
        if bool(row["p_relation"]) == _blank(row["p_value"]):
            yield table.fault(row, "p_value", "p_relation and p_value are given together")
            continue
        relation, p, said = row["p_relation"], row["p_value"], row["significant"]
        if said == "no" and relation in ("<", "=") and p < 0.05:
            yield table.fault(row, "significant", f"yes, because p {relation} {p:g} is printed")
        if said == "yes" and ((relation == "=" and p > 0.05) or (relation == ">" and p >= 0.05)):
            yield table.fault(row, "significant", f"no, because p {relation} {p:g} is printed")


def _not_above(table: _Table, row: Row, column: str, limit: str) -> Iterator[Fault]:
    if row[column] > row[limit]:  # False when either is NaN
        yield table.fault(row, column, f"not above {limit} ({row[limit]:g})")


def _responder_rules(table: _Table) -> Iterator[Fault]:
    for row in table.rows:
        yield from _not_above(table, row, "n_responders", "n_total")
        if _blank(row["n_responders"]) and _blank(row["percent"]):
            yield table.fault(row, "n_responders", "a count, or else a percent")
        if not _blank(row["n_responders"]) and _blank(row["n_total"]):
            yield table.fault(row, "n_total", "a number, because n_responders is given")


_FACT_NEEDS = {
    "ever": ("n_total", "k", "bound"),
    "at_time": ("n_total", "k", "bound", "months"),
    "lasted": ("n_total", "k", "bound", "months"),
    "duration_summary": ("k", "duration_statistic"),
    "patient": ("value", "status", "sampling"),
}


def _independence_rules(table: _Table) -> Iterator[Fault]:
    for row in table.rows:
        yield from _not_above(table, row, "k", "n_total")
        yield from _not_above(table, row, "low", "high")
        yield from _not_above(table, row, "low", "value")
        yield from _not_above(table, row, "value", "high")
        for column in _FACT_NEEDS.get(str(row["fact"]), ()):
            if _blank(row[column]):
                yield table.fault(row, column, f"given for the fact {row['fact']}")
        if row["fact"] == "duration_summary" and row["duration_statistic"]:
            if row["duration_statistic"] == "range":
                if _blank(row["low"]) or _blank(row["high"]):
                    yield table.fault(row, "low", "low and high, given for a range")
            elif _blank(row["value"]):
                yield table.fault(row, "value", f"given for a {row['duration_statistic']}")
        if row["fact"] != "patient":
            for column in ("status", "sampling"):
                if row[column]:
                    yield table.fault(row, column, "blank but for the fact patient")
        if row["fact"] != "duration_summary" and row["duration_statistic"]:
            yield table.fault(row, "duration_statistic", "blank but for a duration_summary")


def _safety_rules(table: _Table) -> Iterator[Fault]:
    for row in table.rows:
        yield from _not_above(table, row, "n_patients", "n_at_risk")
        yield from _not_above(table, row, "n_patients", "n_events")
        if row["n_patients"] == 0 and row["n_events"] > 0:
            yield table.fault(row, "n_events", "0 where no patient had the event")
        if row["bound"] == "at_least" and row["n_patients"] == 0:
            yield table.fault(row, "n_patients", "at least 1 for a lower bound (at_least)")


def _published_rules(table: _Table) -> Iterator[Fault]:
    """The printed limits may have lost a sign, so only the signed ones must be in order."""
    for row in table.rows:
        yield from _not_above(table, row, "ci_low_signed", "ci_high_signed")
        yield from _not_above(table, row, "ci_low_signed", "estimate_signed")
        yield from _not_above(table, row, "estimate_signed", "ci_high_signed")


def _change_rules(table: _Table) -> Iterator[Fault]:
    for row in table.rows:
        if row["file"] not in TABLES:
            yield table.fault(row, "file", "one of " + ", ".join(KEYS))


_TABLE_RULES: dict[str, Sequence[Callable[[_Table], Iterable[Fault]]]] = {
    "studies.csv": (_duplicate_rules, _study_rules, _cohort_rules),
    "outcomes.csv": (_duplicate_rules, _outcome_rules),
    "directions.csv": (_duplicate_rules, _direction_rules),
    "responders.csv": (_duplicate_rules, _responder_rules),
    "independence.csv": (_duplicate_rules, _independence_rules),
    "safety.csv": (_duplicate_rules, _safety_rules),
    "published_meta_analyses.csv": (_duplicate_rules, _published_rules),
    "CHANGES.csv": (_change_rules,),
}


def _read(raw: Path) -> tuple[dict[str, _Table], list[Fault]]:
    tables: dict[str, _Table] = {}
    faults: list[Fault] = []
    for name in TABLES:
        tables[name], found = _read_table(raw, name)
        faults += found
    for name, rules in _TABLE_RULES.items():
        if tables[name].readable:
            for rule in rules:
                faults += rule(tables[name])
    if tables["studies.csv"].readable:
        known = {str(row["study_id"]) for row in tables["studies.csv"].rows}
        for name in _FACT_FILES:
            faults += _known_study_rules(tables[name], known) if tables[name].readable else ()
    order = {name: position for position, name in enumerate(TABLES)}
    unique = dict.fromkeys(faults)
    return tables, sorted(unique, key=lambda f: (order[f.file], f.line))


# --- what is computed from the facts -----------------------------------------------------------


def _same_time(row: Row, fact: Row) -> bool:
    """Whether a follow-up row of outcomes speaks for the time of a row of directions."""
    if _blank(fact["months"]):
        return _blank(row["months"])
    low = fact["months"] if _blank(fact["months_from"]) else fact["months_from"]
    high = fact["months"] if _blank(fact["months_to"]) else fact["months_to"]
    return row["months"] > 0 and low - 0.05 <= row["months"] <= high + 0.05


def _has_numbers(fact: Row, rows: Sequence[Row]) -> bool:
    """Whether outcomes.csv holds numbers for the very contrast that `fact` gives in words.

    Against baseline: a change, or a level with its baseline, of the same arm. Against control: a
    difference between arms, or a change or level of both arms. `rows` are the rows of the study.
    """
    if fact["subgroup"] or fact["contrast"] == "baseline_balance":
        return False
    numbers = [r for r in rows if r["outcome"] == fact["outcome"] and not _blank(r["value"])]
    based = {r["arm"] for r in numbers if r["scale"] == "level" and r["months"] == 0}
    later = [r for r in numbers if r["months"] != 0 and _same_time(r, fact)]

    def relative(arm: str) -> bool:
        return any(r["arm"] == arm and (r["scale"] != "level" or arm in based) for r in later)

    if fact["contrast"] == "treated_vs_control":
        if any(r["scale"] == "between_arm_difference" for r in later):
            return True
        arms = {r["arm"] for r in later}
        return fact["arm"] in arms and "control" in arms
    return relative(str(fact["arm"]))


def _by_study(rows: Iterable[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[str(row["study_id"])].append(row)
    return grouped


def _frame(table: _Table) -> pd.DataFrame:
    columns = TABLES[table.name]
    frame = pd.DataFrame({"line": pd.Series([r["line"] for r in table.rows], dtype="int64")})
    for column, spec in columns.items():
        kind = "float64" if spec.numeric else "str"
        frame[column] = pd.Series([row[column] for row in table.rows], dtype=kind)
    return frame[[*columns, "line"]]


# --- public ------------------------------------------------------------------------------------


def check(raw: Path = RAW) -> list[Fault]:
    """Every fault of the tables in the folder `raw`, in the order of files and lines.

    An empty list means that `load` will succeed. Nothing in the folder is changed.
    """
    return _read(Path(raw))[1]


def label_of(study: Mapping) -> str:
    """Surname of the first author and year, for figures and tables; the key where neither is known.

    Initials and remarks in brackets go: `de Koning E` is `de Koning`.
    """
    author = re.sub(r"\s*\(.*?\)", "", str(study["first_author"]))
    author = re.sub(r"( [A-Z]{1,3}| [A-Z]-[A-Z])$", "", author.strip())
    if not author:
        return str(study["study_id"])
    return author if math.isnan(study["year"]) else f"{author} {study['year']:.0f}"


def load(raw: Path = RAW) -> Evidence:
    """Read and validate the tables in the folder `raw`.

    A study marked as retracted is kept in `studies` with include = no, so that it enters no model.

    Raises
    ------
    EvidenceError
        With every fault found, when there is any.
    """
    tables, faults = _read(Path(raw))
    if faults:
        raise EvidenceError(faults)
    frames = {name: _frame(table) for name, table in tables.items()}
    studies, directions = frames["studies.csv"], frames["directions.csv"]
    retracted = studies["retracted"] == "yes"
    studies.loc[retracted, "include"] = "no"
    studies.loc[retracted, "exclusion_reason"] = "retracted"

    numbers = _by_study(tables["outcomes.csv"].rows)
    flags = [
        _has_numbers(row, numbers.get(str(row["study_id"]), ()))
        for row in tables["directions.csv"].rows
    ]
    directions["has_numbers"] = pd.Series(flags, dtype=bool)
    directions["caveats"] = pd.Series(
        [
            f"{words} has_numbers".strip() if flag else words
            for words, flag in zip(directions["caveats"], flags, strict=True)
        ],
        dtype="str",
    )
    return Evidence(
        studies=studies,
        outcomes=frames["outcomes.csv"],
        directions=directions,
        responders=frames["responders.csv"],
        independence=frames["independence.csv"],
        safety=frames["safety.csv"],
        published=frames["published_meta_analyses.csv"],
        changes=frames["CHANGES.csv"],
        digests={name: table.digest for name, table in tables.items() if table.digest},
    )


def _records_of(frame: pd.DataFrame) -> dict[str, list[Row]]:
    return _by_study(frame.to_dict("records"))


def usable_for(evidence: Evidence) -> pd.DataFrame:
    """What each study can contribute: study_id and the bools numbers, words, independence, safety.

    All are False unless `include` is yes. numbers: a change, or a level after treatment with its
    baseline or with a control arm at the same time, without a caveat. words: a result in words
    without numbers of the same contrast and without a caveat that keeps it out of every model.
    independence, safety: at least one row.
    """
    outcomes, directions = _records_of(evidence.outcomes), _records_of(evidence.directions)
    independence = set(evidence.independence["study_id"])
    safety = set(evidence.safety["study_id"])
    rows = []
    for study, include in zip(
        evidence.studies["study_id"], evidence.studies["include"], strict=True
    ):
        eligible = include == "yes"
        rows.append(
            {
                "study_id": study,
                "numbers": eligible and _gives_effect(outcomes.get(study, ())),
                "words": eligible
                and any(
                    row["contrast"] != "baseline_balance"
                    and not row["has_numbers"]
                    and not set(_words(row["caveats"])) & set(v.NEVER_ENTER)
                    for row in directions.get(study, ())
                ),
                "independence": eligible and study in independence,
                "safety": eligible and study in safety,
            }
        )
    return pd.DataFrame(
        rows, columns=["study_id", "numbers", "words", "independence", "safety"]
    ).astype({"numbers": bool, "words": bool, "independence": bool, "safety": bool})


def _gives_effect(rows: Sequence[Row]) -> bool:
    rows = [r for r in rows if not r["caveats"] and not _blank(r["value"])]
    levels = [r for r in rows if r["scale"] == "level"]
    based = {(r["arm"], r["outcome"]) for r in levels if r["months"] == 0}
    controls = {(r["outcome"], r["months"]) for r in levels if str(r["arm"]).startswith("control")}
    for row in rows:
        if row["months"] == 0 or not str(row["arm"]).startswith(("treated", "contrast")):
            continue
        if row["scale"] != "level" or (row["arm"], row["outcome"]) in based:
            return True
        if (row["outcome"], row["months"]) in controls:
            return True
    return False


def warnings(evidence: Evidence) -> list[Fault]:
    """Oddities of the published sources that stop nothing, each at its place in the tables."""
    found = [
        *_warn_studies(evidence),
        *_warn_changes(evidence),
        *_warn_values(evidence),
    ]
    return sorted(found, key=lambda f: (f.file, f.line))


def _warn_studies(evidence: Evidence) -> Iterator[Fault]:
    table = _Table("studies.csv")
    usable = usable_for(evidence).set_index("study_id").any(axis=1)
    for row in evidence.studies.to_dict("records"):
        if row["include"] != "yes":
            continue
        if not any(row[c] for c in ("doi", "pmid", "pmcid", "registry_id")):
            yield table.fault(row, "source_url", "known by an address only, without an identifier")
        if not row["journal"]:
            yield table.fault(row, "journal", "journal not printed on the page that was read")
        if not usable[row["study_id"]]:
            yield table.fault(row, "study_id", "eligible, but no row of it can enter a model")


def _warn_changes(evidence: Evidence) -> Iterator[Fault]:
    """Printed changes that the printed levels do not give."""
    table, rows = _Table("outcomes.csv"), evidence.outcomes.to_dict("records")
    level = {
        (r["study_id"], r["arm"], r["outcome"], r["months"]): r["value"]
        for r in rows
        if r["scale"] == "level"
    }
    for row in rows:
        arm = (row["study_id"], row["arm"], row["outcome"])
        before, after = level.get((*arm, 0.0), math.nan), level.get((*arm, row["months"]), math.nan)
        if row["scale"] == "change" and abs(after - before - row["value"]) > 0.1:
            text = f"the printed levels give {after - before:.2f}"
            yield table.fault(row, "value", text)
        if row["scale"] == "percent_change" and before > 0:
            percent = 100 * (after / before - 1)
            if abs(percent - row["value"]) > 3:
                yield table.fault(row, "value", f"the printed levels give {percent:.1f} %")


def _warn_values(evidence: Evidence) -> Iterator[Fault]:
    table = _Table("outcomes.csv")
    sizes = evidence.studies.set_index("study_id")["n_treated"]
    for row in evidence.outcomes.to_dict("records"):
        if row["spread_low"] < row["value"] == row["spread_high"]:
            yield table.fault(row, "value", "at the upper end of its own bracket")
        if str(row["arm"]).startswith("treated") and row["n"] > sizes[row["study_id"]]:
            text = f"more patients than the study treated ({sizes[row['study_id']]:g})"
            yield table.fault(row, "n", text)
        if row["statistic"] == "median" and row["spread_kind"] in ("sd", "se"):
            yield table.fault(row, "spread_kind", "a median with a standard deviation or error")
        if row["statistic"] == "median" and row["spread_kind"] == "unstated" and row["spread"] > 0:
            yield table.fault(row, "spread_kind", "called a median, but printed with plus-minus")
    table = _Table("directions.csv")
    for row in evidence.directions.to_dict("records"):
        if "contradicts_levels" in _words(row["caveats"]):
            yield table.fault(row, "caveats", "arithmetically impossible with the printed levels")
    table = _Table("published_meta_analyses.csv")
    for row in evidence.published.to_dict("records"):
        if row["ci_low"] > row["estimate"] or row["estimate"] > row["ci_high"]:
            yield table.fault(row, "estimate", "outside its printed interval")


def summary(evidence: Evidence) -> dict[str, int]:
    """Counts for people, in the order to be shown: what is counted -> how many."""
    studies, usable = evidence.studies, usable_for(evidence)
    counts = {"studies": len(studies)}
    for word, label in v.INCLUDE.items():
        counts[f"studies {label}"] = int((studies["include"] == word).sum())
    counts["cohorts"] = int(studies["cohort"].nunique())
    for column in ("numbers", "words", "independence", "safety"):
        counts[f"eligible studies with {column}"] = int(usable[column].sum())
    counts |= {
        "outcome facts": len(evidence.outcomes),
        "results in words": len(evidence.directions),
        "responder facts": len(evidence.responders),
        "independence facts": len(evidence.independence),
        "safety facts": len(evidence.safety),
        "published pooled results": len(evidence.published),
        "logged corrections": len(evidence.changes),
        "oddities of the sources": len(warnings(evidence)),
    }
    return counts


# --- bibliography ------------------------------------------------------------------------------

_JOURNAL = re.compile(
    r"(?P<journal>.+?) (?P<year>\d{4});(?P<volume>\d+)(\((?P<number>[^)]*)\))?(:(?P<pages>.+))?"
)
_INITIALS = re.compile(r"[A-Z](-?[A-Z])*")


def _tex(text: str) -> str:
    """`text` with the characters that mean something to BibTeX escaped."""
    return re.sub(r"([&%$#_{}])", r"\\\1", text)


def _author(text: str) -> str:
    """`Family, I. and others` for a person, {Name} for a body, "" where no author is known."""
    name = re.sub(r"\s*\([^)]*\)", "", text).strip()
    if not name or name == "not shown":
        return ""
    parts = name.split()
    if len(parts) > 1 and _INITIALS.fullmatch(parts[-1]) and "/" not in name:
        initials = " ".join(f"{letter}." for letter in parts[-1].replace("-", ""))
        return f"{_tex(' '.join(parts[:-1]))}, {initials} and others"
    if len(parts) == 1:
        return f"{_tex(name)} and others"
    return "{" + _tex(name) + "} and others" if "/" not in name else "{" + _tex(name) + "}"


def bibliography(studies: pd.DataFrame) -> str:
    """The BibTeX file of all studies, one entry a row, in the order of the table.

    `studies` is the table of an `Evidence`. The key of an entry is its study_id. Only first
    authors are known to the table, so each entry says "and others".
    """
    entries = []
    for row in studies.to_dict("records"):
        article = row["publication_kind"] == "article"
        fields = {"author": _author(row["first_author"]), "title": "{" + _tex(row["title"]) + "}"}
        printed = _JOURNAL.fullmatch(row["journal"]) if article else None
        if printed:
            fields |= {
                "journal": _tex(printed["journal"]),
                "volume": printed["volume"],
                "number": printed["number"] or "",
                "pages": _tex(printed["pages"] or "").replace("-", "--"),
            }
        else:
            fields["journal" if article else "howpublished"] = _tex(row["journal"])
        fields |= {
            "year": "" if math.isnan(row["year"]) else f"{row['year']:.0f}",
            "doi": row["doi"],
            "pmid": row["pmid"],
            "url": row["source_url"],
        }
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        kind = "article" if article else "misc"
        entries.append("\n".join([f"@{kind}{{{row['study_id']},", *lines, "}"]))
    return "\n\n".join(entries) + "\n"
