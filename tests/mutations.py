"""Mutations of the tracked tables: slips that people make, and what `check` says of each.

`KINDS` names each slip, says what it does and whether it may pass without a word. `judged` applies
mutations of different studies together, so that thousands take minutes. No chance is involved.
Run as a program, this writes the table of docs/mutations.md.
"""

from __future__ import annotations

import csv
import math
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from analysis import checking  # noqa: E402
from analysis import evidence as ev  # noqa: E402

RAW, DOC = ROOT / "data" / "raw", ROOT / "docs" / "mutations.md"
TABLES = ("studies.csv", *ev.FACT_FILES)
FAULT, ODDITY, ACCEPTED = "fault", "oddity", "accepted"
ROWS_OF_A_STUDY = 2
"""So many rows of a study are mutated by one kind."""

Cells = dict[str, str]
Context = dict  # study_id -> the row of studies.csv, "rows": table -> rows


@dataclass(frozen=True)
class Kind:
    """A slip: its table, what it does, and the cells it makes of a row (None: not here)."""

    name: str
    table: str
    what: str
    apply: Callable[[Cells, Context], Cells | None]
    named: bool = True


@dataclass(frozen=True)
class Mutation:
    kind: Kind
    study: str
    row: int
    cells: tuple[tuple[str, str], ...]


KINDS: list[Kind] = []


def kind(table: str, what: str, named: bool = True):
    """Register a function of a row and its context as a kind of mutation."""

    def register(function):
        KINDS.append(Kind(function.__name__, table, what, function, named))
        return function

    return register


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def shown(value: float) -> str:
    return f"{value:.6g}"


O, S, D, R, I, A = ("outcomes.csv", "studies.csv", "directions.csv", "responders.csv",  # noqa: E741
                    "independence.csv", "safety.csv")  # fmt: skip

# --- counts ------------------------------------------------------------------------------------


def _arm_size(row: Cells, context: Context) -> float:
    study = context[row["study_id"]]
    kind_of_arm = row["arm"].partition("_")[0]
    return number(study["n_treated" if kind_of_arm == "treated" else "n_control"]) if (
        kind_of_arm in ("treated", "control")
    ) else math.nan  # fmt: skip


def _above(column: str):
    def apply(row: Cells, context: Context) -> Cells | None:
        size = _arm_size(row, context)
        joint = re.search(r"\d{4}", row["arm"])
        if math.isnan(size) or not row[column] or joint:
            return None
        cells = {column: shown(size + 1)}
        if column == "k":
            cells["n_total"] = shown(size + 1)
        return cells

    return apply


for _table, _column in ((O, "n"), (R, "n_total"), (I, "n_total"), (I, "k"), (A, "n_patients")):
    KINDS.append(Kind(f"{_table.removesuffix('.csv')}_{_column}_above_the_arm", _table,
                      f"{_column} is one more than the arm of the study has",
                      _above(_column)))  # fmt: skip
for _column in ("n_treated", "n_control"):
    KINDS.append(
        Kind(f"directions_{_column}_above_the_study", D, f"{_column} is above that of the study",
             lambda row, context, c=_column: {c: shown(number(context[row["study_id"]][c]) + 1)}
             if row[c] and context[row["study_id"]][c] else None)
    )  # fmt: skip


@kind(R, "more responders than patients asked")
def more_responders_than_patients(row, context):
    return {"n_responders": shown(number(row["n_total"]) + 1)} if row["n_responders"] else None


@kind(O, "a mean of several patients with spread 0")
def spread_zero(row, context):
    return {"spread": "0"} if row["spread"] and number(row["n"]) > 1 else None


# --- spreads -----------------------------------------------------------------------------------


def _one_spread(row: Cells) -> bool:
    return bool(row["spread"]) and row["scale"] in ("level", "change", "percent_change") and (
        number(row["value"]) != 0
    )  # fmt: skip


@kind(O, "a standard error typed as standard deviation (16 patients or more: a factor of 4)")
def se_typed_as_sd(row, context):
    n = number(row["n"])
    if not _one_spread(row) or row["spread_kind"] == "se" or n < 16:
        return None
    return {"spread": shown(number(row["spread"]) / math.sqrt(n)), "spread_kind": "sd"}


@kind(O, "a standard deviation typed as standard error (16 patients or more)")
def sd_typed_as_se(row, context):
    if not _one_spread(row) or row["spread_kind"] == "se" or number(row["n"]) < 16:
        return None
    return {"spread_kind": "se"}


@kind(O, "a spread ten times too large")
def spread_tenfold(row, context):
    return {"spread": shown(10 * number(row["spread"]))} if _one_spread(row) else None


@kind(O, "a spread ten times too small")
def spread_tenth(row, context):
    return {"spread": shown(number(row["spread"]) / 10)} if _one_spread(row) else None


# --- sizes and units ---------------------------------------------------------------------------


def _level(row: Cells) -> bool:
    return row["scale"] == "level" and number(row["value"]) > 0


@kind(O, "an HbA1c or glucose level ten times too large")
def value_tenfold(row, context):
    if not _level(row) or row["outcome"] not in ("hba1c", "fasting_glucose"):
        return None
    return {"value": shown(10 * number(row["value"]))}


@kind(O, "an HbA1c or glucose level ten times too small")
def value_tenth(row, context):
    if not _level(row) or row["outcome"] not in ("hba1c", "fasting_glucose"):
        return None
    return {"value": shown(number(row["value"]) / 10)}


@kind(O, "HbA1c in % called mmol/mol")
def percent_called_mmol(row, context):
    if row["outcome"] != "hba1c" or row["unit"] != "%" or row["scale"] != "level":
        return None
    return {"unit": "mmol/mol"}


@kind(O, "HbA1c in mmol/mol called %, with its spread")
def mmol_called_percent(row, context):
    if row["outcome"] != "hba1c" or row["unit"] != "%" or not _level(row):
        return None
    cells = {"value": shown((number(row["value"]) - 2.152) / 0.09148)}
    return cells | ({"spread": shown(number(row["spread"]) / 0.09148)} if row["spread"] else {})


@kind(O, "a change of HbA1c in mmol/mol called % (11 mmol/mol or more: 1 point)")
def mmol_change_called_percent(row, context):
    value = number(row["value"])
    if row["outcome"] != "hba1c" or row["scale"] != "change" or abs(value) < 1:
        return None
    return {"value": shown(value / 0.09148)}


@kind(O, "C-peptide in pmol/L called nmol/L")
def pmol_called_nmol(row, context):
    per = {"ng/mL": 331.0, "nmol/L": 1000.0, "pmol/mL": 1000.0}.get(row["unit"])
    if per is None or not _level(row) or number(row["value"]) * per < 11:
        return None
    return {"value": shown(number(row["value"]) * per), "unit": "nmol/L"}


@kind(O, "C-peptide in nmol/L or ng/mL called pmol/L")
def nmol_called_pmol(row, context):
    return {"unit": "pmol/L"} if row["unit"] in ("ng/mL", "nmol/L") and _level(row) else None


@kind(O, "glucose in mg/dL called mmol/L, or the reverse")
def glucose_units_swapped(row, context):
    other = {"mg/dL": "mmol/L", "mmol/L": "mg/dL"}.get(row["unit"])
    return {"unit": other} if other and row["scale"] == "level" else None


@kind(O, "a dose in IU/kg/day called IU/day, or the reverse")
def dose_units_swapped(row, context):
    other = {"IU/kg/day": "IU/day", "IU/day": "IU/kg/day"}.get(row["unit"])
    return {"unit": other} if other and _level(row) else None


@kind(O, "a unit that the outcome cannot have")
def unit_of_another_outcome(row, context):
    other = "mg/dL" if row["outcome"] != "fasting_glucose" else "IU/day"
    return {"unit": other} if row["scale"] == "level" else None


# --- times -------------------------------------------------------------------------------------


def _longest(row: Cells, context: Context) -> bool:
    study = context[row["study_id"]]
    followed = number(study["followup_months"])
    return study["followup_kind"] in ("longest", "unstated") and (
        0.6 * followed <= number(row["months"]) and followed > 1
    )  # fmt: skip


def _another_time(table: str, factor: float):
    def apply(row: Cells, context: Context) -> Cells | None:
        if not _longest(row, context):
            return None
        cells = {"months": shown(factor * number(row["months"]))}
        return cells | ({"months_to": ""} if table == D else {})

    return apply


for _table in (O, D, R, I):
    for _unit, _factor in (("weeks", 4.348), ("days", 30.4375)):
        KINDS.append(Kind(f"{_table.removesuffix('.csv')}_{_unit}_typed_as_months", _table,
                          f"a visit in {_unit} typed as months, late in a follow-up that is given",
                          _another_time(_table, _factor)))  # fmt: skip

# --- scales ------------------------------------------------------------------------------------


@kind(O, "a level called a change (HbA1c, glucose, dose; C-peptide where another level is near)")
def level_called_change(row, context):
    if not _level(row) or number(row["months"]) == 0:
        return None
    if row["outcome"] != "hba1c" and not _others_near(row, context):
        return None
    return {"scale": "change", "contrast_basis": ""}


def _others_near(row: Cells, context: Context) -> bool:
    return any(
        other is not row
        and all(other[c] == row[c] for c in ("study_id", "outcome", "unit"))
        and other["scale"] == "level"
        and number(other["value"]) > 0
        and 0.5 <= number(row["value"]) / number(other["value"]) <= 2
        for other in context["rows"][O]
    )


@kind(O, "a baseline called a change")
def baseline_called_change(row, context):
    if row["scale"] != "level" or number(row["months"]) != 0:
        return None
    return {"scale": "change", "baseline_state": ""}


@kind(O, "a fall called a level")
def fall_called_level(row, context):
    return {"scale": "level"} if row["scale"] == "change" and number(row["value"]) < 0 else None


# --- arms --------------------------------------------------------------------------------------


@kind(O, "an arm misspelt in its first word")
def arm_misspelt(row, context):
    return {"arm": row["arm"][:2] + row["arm"][3:]}


@kind(O, "a letter of the name of an arm left out, where other rows have the arm")
def arm_name_misspelt(row, context):
    first, _, name = row["arm"].partition("_")
    others = sum(o["study_id"] == row["study_id"] and o["arm"] == row["arm"]
                 for table in context["rows"].values() for o in table if "arm" in o)  # fmt: skip
    if others < 2 or len(name) < 7 or first == "patient" or "_" in name or re.search(r"\d", name):
        return None
    return {"arm": f"{first}_{name[:3]}{name[4:]}"}


@kind(O, "treated called control and the reverse, where the arms differ in size")
def arms_swapped(row, context):
    study = context[row["study_id"]]
    sizes = {"treated": number(study["n_treated"]), "control": number(study["n_control"])}
    if row["arm"] not in sizes or not row["n"] or not sizes["control"] > 0:
        return None
    if sizes["treated"] == sizes["control"] or number(row["n"]) != sizes[row["arm"]]:
        return None
    return {"arm": "control" if row["arm"] == "treated" else "treated"}


# --- p-values ----------------------------------------------------------------------------------


@kind(D, "a significance that the printed p contradicts")
def significance_against_p(row, context):
    p, relation = number(row["p_value"]), row["p_relation"]
    if relation in ("<", "=") and p < 0.05:
        return {"significant": "no"}
    return {"significant": "yes"} if relation in ("=", ">") and p > 0.05 else None


@kind(O, "p = 0")
def p_of_zero(row, context):
    return {"p_value": "0", "p_relation": "="} if row["p_value"] else None


@kind(O, "a p-value above 1, or the percent of one")
def p_above_one(row, context):
    return {"p_value": shown(1 + number(row["p_value"]))} if row["p_value"] else None


@kind(O, "a p-value with another number than its text")
def p_against_its_text(row, context):
    p = number(row["p_value"])
    return {"p_value": shown(p / 10)} if p > 0 and re.search(r"\d", row["p_text"]) else None


@kind(O, "an interval that excludes 0 and a p of 0.6")
def interval_against_p(row, context):
    value = number(row["value"])
    if row["scale"] != "between_arm_difference" or value == 0:
        return None
    return {
        "spread_kind": "ci95", "spread": "", "p_relation": "=", "p_value": "0.6", "p_text": "0.6",
        "p_contrast": "between", "spread_low": shown(value - 0.5 * abs(value)),
        "spread_high": shown(value + 0.5 * abs(value)),
    }  # fmt: skip


@kind(O, "an interval whose number is far from its middle")
def interval_asymmetric(row, context):
    value = number(row["value"])
    if not _one_spread(row) or row["spread_kind"] == "se" or value <= 0:
        return None
    half = number(row["spread"]) / math.sqrt(number(row["n"]) or 1)
    return {"spread_kind": "ci95", "spread": "", "spread_low": shown(value - half),
            "spread_high": shown(value + 3 * half)}  # fmt: skip


@kind(O, "a range with both ends alike")
def range_collapsed(row, context):
    if not row["spread_low"] or number(row["n"]) == 1 or not row["value"]:
        return None
    return {"spread_low": row["value"], "spread_high": row["value"]}


# --- insulin independence ----------------------------------------------------------------------


def _ever(row: Cells, context: Context) -> float:
    return next(
        (
            number(o["k"])
            for o in context["rows"][I]
            if o["study_id"] == row["study_id"] and o["arm"] == row["arm"]
            and o["fact"] == "ever" and o["bound"] == "exact"
        ),
        math.nan,
    )  # fmt: skip


@kind(I, "more independent at a time, or for a time, than ever")
def more_at_a_time_than_ever(row, context):
    ever = _ever(row, context)
    if row["fact"] not in ("at_time", "lasted", "duration_summary") or math.isnan(ever):
        return None
    return None if row["bound"] == "selected" else {"k": shown(ever + 1)}


@kind(I, "fewer ever independent than patients are listed")
def more_patients_than_ever(row, context):
    listed = sum(
        o["fact"] == "patient" and o["study_id"] == row["study_id"] and o["arm"] == row["arm"]
        for o in context["rows"][I]
    )
    if row["fact"] != "ever" or row["bound"] != "exact" or listed < 1:
        return None
    return {"k": shown(listed - 1)}


@kind(I, "a median or mean beyond the range")
def median_outside_range(row, context):
    if row["fact"] != "duration_summary" or row["duration_statistic"] not in ("mean", "median"):
        return None
    ranges = [number(o["high"]) for o in context["rows"][I]
              if o["study_id"] == row["study_id"] and o["arm"] == row["arm"] and o["high"]
              and (o["k"] == row["k"] or o is row)]  # fmt: skip
    return {"value": shown(max(ranges) + 1)} if ranges else None


@kind(I, "a patient free of insulin for 0 months")
def zero_months(row, context):
    return {"value": "0"} if row["fact"] == "patient" else None


# --- studies -----------------------------------------------------------------------------------


@kind(S, "a randomised trial without the size of its control arm")
def rct_without_controls(row, context):
    eligible = row["design"] == "rct" and row["include"] == "yes"
    return {"n_control": ""} if eligible and row["n_control"] else None


@kind(S, "a controlled design with 0 controls")
def controlled_with_no_control(row, context):
    return {"n_control": "0"} if row["design"] in ("rct", "nonrandomised_controlled") else None


@kind(S, "a year beyond now")
def year_beyond_now(row, context):
    return {"year": "2099"} if row["year"] else None


@kind(S, "a digit of an NCT number left out")
def nct_short(row, context):
    return {"registry_id": row["registry_id"][:-1]} if row["registry_id"][:3] == "NCT" else None


@kind(S, "a DOI with its address")
def doi_with_address(row, context):
    return {"doi": f"https://doi.org/{row['doi']}"} if row["doi"] else None


@kind(S, "a PubMed number of nine digits")
def pmid_long(row, context):
    return {"pmid": f"{row['pmid']:0<9}"} if row["pmid"] else None


@kind(S, "a PubMed Central id without PMC")
def pmcid_bare(row, context):
    return {"pmcid": row["pmcid"][3:]} if row["pmcid"] else None


@kind(S, "the address of a page with a blank or a quote in it")
def address_with_a_blank(row, context):
    return {"source_url": row["source_url"] + ' "x'}


# --- every table: cells ------------------------------------------------------------------------


def _cells(name: str, what: str, change: Callable[[str, ev.Column], str | None]) -> None:
    """One kind for each table: the change at one fitting column of each row, in turn."""
    for table in TABLES:
        columns = list(ev.TABLES[table].items())

        def apply(row: Cells, context: Context, table=table, columns=columns) -> Cells | None:
            at = context["rows"][table].index(row)
            for column, spec in columns[at % len(columns) :] + columns[: at % len(columns)]:
                new = change(row.get(column, ""), spec)
                if new is not None:
                    return {column: new}
            return None

        KINDS.append(Kind(f"{table.removesuffix('.csv')}_{name}", table, what, apply))


def _number_cell(new: Callable[[str], str | None]):
    return lambda text, spec: new(text) if spec.numeric and text else None


def _comma(text: str) -> str:
    return text.replace(".", ",") if "." in text else text + ","


_cells("decimal_comma", "a decimal comma, or a comma before nothing", _number_cell(_comma))
_cells(
    "unicode_minus",
    "a typographic minus before a number",
    _number_cell(lambda text: "−" + text.lstrip("-")),
)
_cells("percent_sign", "a percent sign behind a number", _number_cell(lambda text: text + " %"))
_cells("nr_in_a_number", "NR in a column of numbers", _number_cell(lambda text: "NR"))
_cells(
    "control_character",
    "an invisible character in a cell",
    lambda text, spec: text[:2] + "\u200b" + text[2:] if text else None,
)
_cells(
    "word_misspelt",
    "a word of a closed list without its second letter",
    lambda text, spec: text[0] + text[2:] if spec.kind == "word" and len(text) > 3 else None,
)
_cells(
    "needed_cell_blank",
    "a cell that must not be blank is blank",
    lambda text, spec: "" if spec.needed and text else None,
)

for _table in ev.FACT_FILES:
    KINDS.append(Kind(f"{_table.removesuffix('.csv')}_unknown_study", _table,
                      "a study_id that studies.csv has not",
                      lambda row, context: {"study_id": row["study_id"] + "x"}))  # fmt: skip

# --- what may pass -----------------------------------------------------------------------------


@kind(O, "two digits of a number in the wrong order", named=False)
def digits_in_the_wrong_order(row, context):
    swapped = re.sub(r"(\d)(\.?)(\d)", r"\3\2\1", row["value"], count=1)
    return {"value": swapped} if row["value"] and swapped != row["value"] else None


@kind(O, "a number 10 % too large", named=False)
def value_a_tenth_larger(row, context):
    return {"value": shown(1.1 * number(row["value"]))} if number(row["value"]) else None


@kind(O, "one patient fewer", named=False)
def one_patient_fewer(row, context):
    return {"n": shown(number(row["n"]) - 1)} if number(row["n"]) > 2 else None


@kind(O, "the sign of a change left out", named=False)
def sign_left_out(row, context):
    return {"value": row["value"].lstrip("-")} if row["value"].startswith("-") else None


@kind(O, "a mean called a median", named=False)
def mean_called_median(row, context):
    return {"statistic": "median"} if row["statistic"] == "mean" else None


@kind(O, "a visit one month later", named=False)
def visit_a_month_later(row, context):
    return {"months": shown(number(row["months"]) + 1)} if number(row["months"]) > 0 else None


@kind(D, "the direction turned round", named=False)
def direction_turned(row, context):
    other = {"increase": "decrease", "decrease": "increase"}.get(row["direction"])
    return {"direction": other} if other else None


@kind(D, "significance turned round where no p is printed", named=False)
def significance_turned(row, context):
    other = {"yes": "no", "no": "yes"}.get(row["significant"])
    return {"significant": other} if other and not row["p_value"] else None


@kind(R, "one responder more", named=False)
def one_responder_more(row, context):
    more = number(row["n_responders"]) + 1
    return {"n_responders": shown(more)} if more <= number(row["n_total"]) else None


@kind(I, "one independent patient fewer", named=False)
def one_independent_fewer(row, context):
    return {"k": shown(number(row["k"]) - 1)} if number(row["k"]) > 1 else None


@kind(A, "one patient with an event more", named=False)
def one_event_more(row, context):
    more = number(row["n_patients"]) + 1
    return {"n_patients": shown(more)} if more <= number(row["n_at_risk"]) else None


@kind(S, "another cell class", named=False)
def another_cell_class(row, context):
    return {"cell_class": "msc_adipose" if row["cell_class"] != "msc_adipose" else "bm_mnc"}


# --- applying and judging ------------------------------------------------------------------------


def tables() -> dict[str, tuple[list[str], list[Cells]]]:
    """File -> header and rows of the tracked tables, as text."""
    found = {}
    for name in TABLES:
        with (RAW / name).open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            found[name] = (list(reader.fieldnames), list(reader))
    return found


def mutations(tracked) -> Iterator[Mutation]:
    """Every kind at the first rows of each study that it fits, in the order of kinds and rows."""
    made: Counter = Counter()
    context = {row["study_id"]: row for row in tracked[S][1]}
    context["rows"] = {name: rows for name, (_, rows) in tracked.items()}
    for each in KINDS:
        for at, row in enumerate(tracked[each.table][1]):
            cells = each.apply(row, context)
            changes = cells is not None and any(row[c] != text for c, text in cells.items())
            if changes and made[(each.name, row["study_id"])] < ROWS_OF_A_STUDY:
                made[(each.name, row["study_id"])] += 1
                yield Mutation(each, row["study_id"], at, tuple(cells.items()))


def batches(wanted: list[Mutation]) -> Iterator[list[Mutation]]:
    """Groups in which no two mutations concern one study; large ones first."""
    waiting = list(wanted)
    while waiting:
        group, rest, seen = [], [], set()
        for mutation in waiting:
            (rest if mutation.study in seen or len(group) >= 40 else group).append(mutation)
            seen.add(mutation.study)
        yield group
        waiting = rest


def _said(faults, tracked) -> set[str]:
    """The studies of which a fault or oddity speaks."""
    studies: set[str] = set()
    for fault in faults:
        rows = tracked[fault.file][1] if fault.file in tracked else []
        at = fault.line - 2
        named = {rows[at]["study_id"]} if 0 <= at < len(rows) else set()
        named |= set(re.findall(r"[a-z]+\d{4}\w*", fault.allowed))
        studies |= named
    return studies


def _write(folder: Path, tracked, group: list[Mutation]) -> None:
    for name in {mutation.kind.table for mutation in group}:
        header, rows = tracked[name]
        rows = [dict(row) for row in rows]
        for mutation in group:
            if mutation.kind.table == name:
                rows[mutation.row].update(mutation.cells)
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, header, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _faults(group: list[Mutation], tracked) -> list[ev.Fault]:
    with tempfile.TemporaryDirectory() as name:
        _write(_copy(Path(name)), tracked, group)
        return ev.check(Path(name))


def _odd(group: list[Mutation], tracked, before) -> set[str]:
    """The studies of which something is odd that was not before; of effects if need be."""
    with tempfile.TemporaryDirectory() as name:
        _write(_copy(Path(name)), tracked, group)
        loaded = ev.load(Path(name))
    odd = _said(set(ev.warnings(loaded)) - before[0], tracked)
    if any(mutation.study not in odd for mutation in group):
        odd |= _said(set(checking.oddities(loaded)) - before[1], tracked)
    return odd


def _copy(folder: Path) -> Path:
    for path in (*RAW.glob("*.csv"), RAW / "README.md"):
        shutil.copyfile(path, folder / path.name)
    return folder


def judged(wanted: list[Mutation]) -> list[tuple[Mutation, str]]:
    """Each mutation with what `check` says: fault, oddity or nothing (accepted).

    What is said of the tracked tables themselves does not count.
    """
    tracked = tables()
    loaded = ev.load(RAW)
    before = set(ev.warnings(loaded)), set(checking.oddities(loaded))
    verdicts = []
    for group in batches(wanted):
        faulty = _said(_faults(group, tracked), tracked)
        sound = [mutation for mutation in group if mutation.study not in faulty]
        odd = _odd(sound, tracked, before) if sound else set()
        for mutation in group:
            quiet = ODDITY if mutation.study in odd else ACCEPTED
            verdicts.append((mutation, FAULT if mutation.study in faulty else quiet))
    return verdicts


def table(verdicts: list[tuple[Mutation, str]]) -> str:
    """The page docs/mutations.md."""
    counts = Counter((mutation.kind.name, verdict) for mutation, verdict in verdicts)
    lines = [
        "# What `check` says of slips",
        "",
        f"Each kind of slip is applied to the first {ROWS_OF_A_STUDY} rows of each study in "
        "`data/raw` that it fits, one slip at a time in a study. Faults stop everything, oddities "
        "are named and stop nothing (but with `--strict`), the rest is accepted: nobody but a "
        "second reader finds it. Kinds that are marked may never pass without a word; the tests "
        "see to it. Written by `python tests/mutations.py`.",
        "",
        f"{len(verdicts)} mutations: {sum(v == FAULT for _, v in verdicts)} faults, "
        f"{sum(v == ODDITY for _, v in verdicts)} oddities, "
        f"{sum(v == ACCEPTED for _, v in verdicts)} accepted.",
        "",
        "| slip | table | what | never silent | tried | fault | oddity | accepted |",
        "|---|---|---|---|---:|---:|---:|---:|",
    ]
    for each in KINDS:
        tried = sum(counts[(each.name, verdict)] for verdict in (FAULT, ODDITY, ACCEPTED))
        lines.append(
            f"| `{each.name}` | {each.table.removesuffix('.csv')} | {each.what} | "
            f"{'yes' if each.named else ''} | {tried} | {counts[(each.name, FAULT)]} | "
            f"{counts[(each.name, ODDITY)]} | {counts[(each.name, ACCEPTED)]} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    found = judged(list(mutations(tables())))
    DOC.write_text(table(found), encoding="utf-8")
    for mutation, verdict in found:
        if mutation.kind.named and verdict == ACCEPTED:
            print(f"silent: {mutation}")
