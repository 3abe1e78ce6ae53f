"""The only reader of `data/raw`: reads the evidence tables, validates them, explains every fault.

`check` lists what is wrong with a folder of tables, all at once, each as a `Fault` that names file,
line, column, value and what is allowed there. `load` returns the same tables as an `Evidence`, or
raises `EvidenceError` with every fault. A wrong file never ends in a traceback. What is odd but not
impossible is a warning (`warnings`) and stops nothing. Rooms, in the order they build on each
other: `faults`, `schema`, `hints`, `reading`, `rules`, `contradictions`, `loading`, `usable`,
`plausibility`, `twins`, `oddities`; `bibliography`.
"""

from analysis.evidence.bibliography import bibliography
from analysis.evidence.faults import EvidenceError, Fault
from analysis.evidence.hints import cleaned, word_meant
from analysis.evidence.loading import RAW, Evidence, check, label_of, load
from analysis.evidence.oddities import warnings
from analysis.evidence.reading import (
    HOW_TO_SAVE,
    appended,
    header_of,
    layout_fault,
    line_end,
    records,
    text_of,
)
from analysis.evidence.schema import FACT_FILES, KEYS, OPTIONAL_FILES, TABLES, Column, Row
from analysis.evidence.usable import summary, usable_for

__all__ = [
    "FACT_FILES",
    "HOW_TO_SAVE",
    "KEYS",
    "OPTIONAL_FILES",
    "RAW",
    "TABLES",
    "Column",
    "Evidence",
    "EvidenceError",
    "Fault",
    "Row",
    "appended",
    "bibliography",
    "check",
    "cleaned",
    "header_of",
    "label_of",
    "layout_fault",
    "line_end",
    "load",
    "records",
    "summary",
    "text_of",
    "usable_for",
    "warnings",
    "word_meant",
]
