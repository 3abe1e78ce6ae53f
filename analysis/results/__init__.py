"""The results contract: every table the project writes, declared, and the only door to them."""

from analysis.results import tables
from analysis.results.contract import (
    TABLES,
    Column,
    ContractError,
    Table,
    as_text,
    checked,
    parse,
    read,
    rows,
    write,
)
from analysis.results.estimates import (
    ALL,
    APPROACHES,
    DEFAULTS,
    DESIGNS,
    ESTIMATES,
    METHODS,
    PARTS,
    POPULATIONS,
    QUANTITIES,
    VARIANTS,
    EstimateMissing,
    Places,
    estimate_id,
    estimates,
    find,
    get,
    one,
)
from analysis.results.tables import written_by

__all__ = [
    "ALL", "APPROACHES", "DEFAULTS", "DESIGNS", "ESTIMATES", "METHODS", "PARTS", "POPULATIONS",
    "QUANTITIES", "TABLES", "VARIANTS", "Column", "ContractError", "EstimateMissing", "Places",
    "Table", "as_text", "checked", "estimate_id", "estimates", "find", "get", "one",
    "parse", "read", "rows", "tables", "write", "written_by",
]  # fmt: skip
