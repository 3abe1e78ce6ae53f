"""A study by questions: its own cells, then each table as a small grid.

Numbers are asked for as a grid of arms and months, one cell an answer (`7.52 ± 1.07 p<0.01
within`) or a whole line of cells with ; between them; the other tables one row after another, cell
by cell or in one line. What does not change is carried over from the row above. A study that looks
like one that is there already is named when its identifier is typed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from analysis import evidence
from analysis.newstudy import likeness
from analysis.newstudy.dialogue import HINT, Back, Dialogue, Draft, Part, Row
from analysis.newstudy.form import FILES, Mistake, Rows, Submission, completed, section
from analysis.newstudy.templates import dictionary

DRAFT = ".draft.txt"
"""The name of the draft in the folder of the evidence."""

_FIRST = ("doi", "pmid", "pmcid", "registry_id", "first_author", "year", "title", "study_id")
_UNASKED = ("arm_cell_classes", "overlaps_with", "overlap_kind", "retracted", "population_source",
            "population_fact", "c_peptide_fact")  # fmt: skip
"""Columns of studies.csv that few studies need: typed as a change at the end."""

_COUNTS = ("sd", "se", "unstated")
_RANGES = ("iqr", "range", "ci95", "unstated")


class Guided:
    """The questions about one study, and the changes to its rows.

    Parameters
    ----------
    raw : the folder of the evidence; only the draft is written there.
    ask : called with (question, default); returns what was typed, "" for Enter alone.
    tell : shows a line.
    draft : the file of the draft; without one, in the folder of the evidence.
    """

    def __init__(
        self,
        raw: Path,
        ask: Callable[[str, str], str],
        tell: Callable[[str], None],
        draft: Path | None = None,
    ):
        self.draft = Draft(draft or Path(raw) / DRAFT)
        self._talk = Dialogue(self.draft, ask, tell, self._meaning)
        self._tell = tell
        self._meanings = dictionary(Path(raw))
        self._known = likeness.present(raw)
        tell("A new study. " + HINT)
        if count := len(self.draft.answers):
            tell(f"going on from the draft {self.draft.path}: {count} answers")

    # --- what the command calls

    def submission(self) -> Submission:
        """The rows of the study: asks for what is not answered yet.

        Raises
        ------
        Quit : the person goes on another time.
        """
        while True:
            self._talk.begin()
            try:
                return self._changed(self._rows())
            except Back:
                continue

    def mend(self, mistakes: Sequence[Mistake]) -> bool:
        """Ask for each cell that is wrong; returns whether anything was changed."""
        before = dict(self.draft.answers)
        cells = [mistake for mistake in mistakes if mistake.number and mistake.column]
        for mistake in mistakes:
            self._tell(str(mistake))
        if not cells:
            self.change("a change (Enter: none)")
        for mistake in cells:
            place = f"{section(mistake.file)} {mistake.number} {mistake.column}"
            self._talk.say(f"{place}: {mistake.value or '(blank)'}: {mistake.allowed}")
            key, spec = self._next_change(), evidence.TABLES[mistake.file][mistake.column]
            try:
                text = self._talk.one(
                    key, f"{mistake.column}, or a change of another cell (Enter: as it is)", "",
                    partial(_mended_fault, spec=spec),
                )  # fmt: skip
            except Back:
                return True
            self.draft.forget(key)
            if text:
                self.draft.keep(key, text if _CHANGE.fullmatch(text) else f"{place}: {text}")
        return self.draft.answers != before

    def change(self, question: str, words: Sequence[str] = ("",)) -> str:
        """Ask for a change of the rows, or one of some words; returns the word, or "changed"."""
        key = self._next_change()

        def check(text: str) -> str | None:
            return None if text.lower() in words else _change_fault(text)

        try:
            answer = self._talk.one(key, question, "", check)
        except Back:
            return "changed"
        if answer.lower() not in words:
            return "changed"
        self.draft.forget(key)
        return answer.lower()

    def _next_change(self) -> str:
        taken = [key for key in self.draft.answers if key.startswith("change ")]
        return f"change {max((int(key.split()[1]) for key in taken), default=0) + 1}"

    # --- the questions

    def _rows(self) -> Rows:
        talk = self._talk
        talk.say("A new study. " + HINT)
        if self.draft.answers:
            talk.say(
                f"going on from the draft {self.draft.path}: {len(self.draft.answers)} answers"
            )
        study = self._study()
        arms = self._arms(study)
        rows: Rows = {"studies.csv": [study], "outcomes.csv": self._outcomes(arms)}
        tables = {
            "directions.csv": self._direction, "responders.csv": self._responder,
            "independence.csv": self._independence, "safety.csv": self._harm,
        }  # fmt: skip
        for name, parts in tables.items():
            rows[name] = self._table(name, partial(parts, study=study, arms=arms))
        return rows

    def _meaning(self, key: str) -> str:
        """What the dictionary says about the question a key stands for."""
        words = key.split()
        name = f"{words[0]}.csv"
        meanings = self._meanings.get(name, {})
        found = [f"{word}: {meanings[word]}" for word in words[1:] if word in meanings]
        spec = evidence.TABLES.get(name, {}).get(words[-1])
        return "\n".join(found) or (f"{words[-1]}: {spec.describe()}" if spec else "")

    def _study(self) -> Row:
        columns = evidence.TABLES["studies.csv"]
        rest = [name for name in columns if name not in _FIRST and name not in _UNASKED]
        study: Row = {}
        for column in (*_FIRST, *rest):
            if column == "exclusion_reason" and study["include"] == "yes":
                continue
            if column == "control_kind" and study["n_control"] in ("", "0"):
                continue
            spec = columns[column]
            study[column] = self._talk.one(
                f"studies {column}", f"{column}{_hint(spec)}", self._study_default(column, study),
                spec.fault,
            )  # fmt: skip
            for shared, text in likeness.alike(study, self._known):
                if shared == column or (shared == "first_author" and column == "year"):
                    self._talk.say(f"note: {text}; if it is the same study, quit; if the same "
                                   "patients, give the same cohort")  # fmt: skip
        return {column: study[column] for column in columns if study.get(column)}

    def _study_default(self, column: str, study: Row) -> str:
        twin = likeness.twin(study, self._known)
        if column == "study_id":
            taken = {row.get("study_id") for row in self._known}
            surname = likeness.surname(study)
            name = f"{surname}{study['year']}"
            ends = ("", *"bcdefghij")
            return next((name + end for end in ends if name + end not in taken), "") * bool(surname)
        return {
            "n_control": "0" if study.get("design") in ("single_arm", "case_report") else "",
            "cohort": (twin or {}).get("cohort") or study.get("study_id", ""),
            "cohort_role": "follow_up" if twin else "primary",
            "publication_kind": "article",
            "include": "yes",
            "source_url": f"https://doi.org/{study['doi']}" if study.get("doi") else "",
            "extraction": "single",
        }.get(column, "")

    def _arms(self, study: Row) -> dict[str, str]:
        """Arm -> its patients, as printed."""
        default = f"treated={study['n_treated']}" if study.get("n_treated") else "treated"
        if study.get("n_control", "0") != "0":
            default += f" control={study['n_control']}"
        answer = self._talk.one("outcomes arms", "arms and their patients", default, _arms_fault)
        pairs = (word.partition("=") for word in answer.split())
        return {arm: count for arm, _, count in pairs}

    def _outcomes(self, arms: dict[str, str]) -> list[Row]:
        """The grids: one block an outcome and scale, a line an arm, a cell a month."""
        names = "; ".join(part.name for part in self._block({}))
        self._talk.say(
            "outcomes, a grid an outcome and scale: first what it is about, cell by cell or in "
            f"one line: {names}; then its cells, an arm a line: 8.5 ± 1.2; 7.4 (6.1 to 8.0) n=44 "
            "p<0.05 within; -1.3 p=0.03 between; <0.03"
        )
        rows: list[Row] = []
        above: Row = {}
        number = 1
        while True:
            prefix = f"outcomes {number}"
            block = self._talk.row(prefix, f"grid {number} of outcomes: outcome (Enter: no more)",
                                   self._block(above))  # fmt: skip
            if block is None:
                return rows
            for arm in _arms_of(block, arms):
                months = [m for m in block["months"].split() if _asked(block, m)]
                parts = [
                    Part(month, partial(_cell_fault, block=block),
                         label=f"{arm}, month {month}")
                    for month in months
                ]  # fmt: skip
                title = f"  {arm}, month {'; '.join(months)}"
                line = self._talk.row(f"{prefix} {arm}", title, parts, ends=False) or {}
                rows += [_outcome(arm, m, text, block, arms) for m, text in line.items() if text]
            above = block
            number += 1

    def _block(self, above: Row) -> list[Part]:
        columns = evidence.TABLES["outcomes.csv"]

        def same(row: Row) -> bool:
            return all(row[c] == above.get(c) for c in ("outcome", "scale"))

        def unit(row: Row) -> str:
            given = {"percent_change": "%", "percent_of_baseline": "% of baseline"}
            return given.get(row["scale"], above.get("unit", "") if same(row) else "")

        def part(name: str, **more: Any) -> Part:
            spec = columns[name]
            return Part(name, spec.fault, free=spec.kind == "text" and name != "unit",
                        needed=spec.needed, **more)  # fmt: skip

        def carried(name: str) -> Part:
            return part(name, default=lambda row: above.get(name, ""))

        return [
            part("outcome", above=above.get("outcome", "")),
            part("scale", default=lambda row: above.get("scale", "level")),
            part("unit", default=unit),
            carried("statistic"),
            carried("spread_kind"),
            Part("months", _months_fault, lambda row: above.get("months", ""), needed=True),
            part("baseline_state", default=lambda row: above.get("baseline_state")
                 or "before_treatment", when=_has_baseline),
            part("caveats", silent=True),
            carried("location"),
            part("notes"),
        ]  # fmt: skip

    def _table(self, name: str, parts: Callable[[Row], list[Part]]) -> list[Row]:
        """The rows of a table, one after another."""
        rows: list[Row] = []
        above: Row = {}
        while True:
            asked = parts(above)
            number = len(rows) + 1
            if number == 1:
                names = "; ".join(part.name for part in asked)
                self._talk.say(f"{section(name)}: cell by cell, or a row in one line: {names}")
            title = f"{section(name)} {number}: {asked[0].name} (Enter: no more)"
            row = self._talk.row(f"{section(name)} {number}", title, asked)
            if row is None:
                return rows
            above = row
            rows.append(_written(name, row))

    def _direction(self, above: Row, study: Row, arms: dict[str, str]) -> list[Part]:
        part = _parts("directions.csv", above)

        def arm(row: Row) -> str:
            kind = "control" if row["contrast"] == "control_vs_baseline" else "treated"
            return next((name for name in arms if name.startswith(kind)), kind)

        def treated(row: Row) -> str:
            return "" if row["contrast"] == "control_vs_baseline" else arms.get(row["arm"], "")

        def control(row: Row) -> str:
            if row["contrast"] == "treated_vs_baseline":
                return ""
            names = [name for name in arms if name.startswith("control")]
            return arms[names[0]] if len(names) == 1 else ""

        return [
            part("contrast"), part("arm", default=arm, silent=True), part("outcome", carry=True),
            part("months", carry=True), part("direction"), part("significant"),
            Part("p", _p_fault), part("quoted_measure"),
            part("n_treated", default=treated, silent=True),
            part("n_control", default=control, silent=True),
            part("months_from", default=lambda row: row["months"], silent=True),
            part("months_to", default=lambda row: row["months"], silent=True),
            part("caveats", silent=True), part("notes"),
        ]  # fmt: skip

    def _responder(self, above: Row, study: Row, arms: dict[str, str]) -> list[Part]:
        part = _parts("responders.csv", above)
        return [
            part("arm"), part("outcome", carry=True), part("criterion", carry=True),
            part("months", carry=True), part("n_responders"),
            part("n_total", default=lambda row: arms.get(row["arm"], "")),
            part("percent", silent=True), part("notes"),
        ]  # fmt: skip

    def _independence(self, above: Row, study: Row, arms: dict[str, str]) -> list[Part]:
        part = _parts("independence.csv", above)

        def fact(*words: str) -> Callable[[Row], bool]:
            return lambda row: row["fact"] in words

        counted = fact("ever", "at_time", "lasted")
        return [
            part("arm"), part("fact", carry=True),
            part("n_total", default=lambda row: arms.get(row["arm"], "")),
            part("k", when=lambda row: row["fact"] != "patient"),
            part("bound", default=lambda row: "exact" if counted(row) else "", silent=True),
            part("months"),
            part("duration_statistic", when=fact("duration_summary")),
            part("value", when=fact("duration_summary", "patient")),
            part("low", when=fact("duration_summary")),
            part("high", when=fact("duration_summary")),
            part("patient_label", when=fact("patient")),
            part("status", when=fact("patient")),
            part("sampling", when=fact("patient"), carry=True),
            part("notes"),
        ]  # fmt: skip

    def _harm(self, above: Row, study: Row, arms: dict[str, str]) -> list[Part]:
        part = _parts("safety.csv", above)
        return [
            part("arm"), part("event_category", carry=True), part("event_detail"),
            part("n_patients"),
            part("n_events", default=lambda row: "0" if row["n_patients"] == "0" else "",
                 silent=True),
            part("bound", default=lambda row: "exact", silent=True),
            part("n_at_risk", default=lambda row: arms.get(row["arm"], "")),
            part("followup_months", default=lambda row: study.get("followup_months", ""),
                 silent=True),
            part("relation", carry=True), part("notes"),
        ]  # fmt: skip

    # --- changes

    def _changed(self, rows: Rows) -> Submission:
        """The rows with every change made to them, and the cells that follow from the study."""
        whole = {name: [dict(row) for row in rows[name]] for name in FILES}
        dropped: set[tuple[str, int]] = set()
        for key, answer in self.draft.answers.items():
            change = _CHANGE.fullmatch(answer) if key.startswith("change ") else None
            if change is None:
                continue
            name = f"{change['section']}.csv"
            for number in _numbers(change["rows"] or "1", len(whole[name])):
                if change["drop"]:
                    dropped.add((name, number))
                else:
                    whole[name][number - 1][change["column"]] = change["text"].strip()
        whole = completed(whole)
        numbers = {
            name: [n for n in range(1, len(whole[name]) + 1) if (name, n) not in dropped]
            for name in FILES
        }
        kept = {name: [whole[name][n - 1] for n in numbers[name]] for name in FILES}
        return Submission(kept, numbers, "your answers")


# --- cells of the grid ---------------------------------------------------------------------------

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_CELL = re.compile(
    rf"(?P<below><)?\s*(?P<value>{_NUMBER})?"
    rf"\s*(?:±\s*(?P<spread>{_NUMBER})|\((?P<single>{_NUMBER})\)"
    rf"|[(\[]\s*(?P<low>{_NUMBER})\s*(?:to|,|–)\s*(?P<high>{_NUMBER})\s*[)\]])?"
    rf"(?P<rest>(?:[\s,]+(?:n\s*=\s*\d+|p\s*[<=>]\s*{_NUMBER}|within|between|across_groups))*)"
)


def _cell_fault(text: str, block: Mapping[str, str]) -> str | None:
    """What is allowed in a cell of the grid, if this is not."""
    return _cell(text, block)[1]


def _cell(text: str, block: Mapping[str, str]) -> tuple[Row, str | None]:
    """The columns that one cell of the grid gives, or what is allowed."""
    if not text:
        return {}, None
    plain = text.replace("−", "-").replace("+/-", "±").replace("+-", "±")
    found = _CELL.fullmatch(plain.strip())
    if found is None or not (found["value"] or found["high"]):
        hint = " (write a decimal point)" if re.search(r"\d,\d", plain) else ""
        return {}, "a number with its spread, such as 8.5 ± 1.2 or 8.5 (7.1 to 9.0); behind it " + (
            f"n=44, p<0.05 within or between{hint}"
        )
    spread = found["spread"] or found["single"] or ""
    kind = block["spread_kind"]
    cell = {"value": found["value"] or "", "spread_kind": "none"}
    if found["below"]:
        cell |= {"value": "", "spread_kind": "range", "spread_high": found["value"] or ""}
    elif spread:
        if kind not in _COUNTS:
            return {}, f"no spread of one number, because spread_kind is {kind}"
        cell |= {"spread_kind": kind, "spread": spread}
    elif found["high"]:
        if kind not in _RANGES:
            return {}, f"no spread of two numbers, because spread_kind is {kind}"
        cell |= {"spread_kind": kind, "spread_low": found["low"], "spread_high": found["high"]}
    rest = found["rest"]
    if n := re.search(r"n\s*=\s*(\d+)", rest):
        cell["n"] = n[1]
    if p := re.search(rf"p\s*([<=>])\s*({_NUMBER})", rest):
        cell |= {"p_relation": p[1], "p_value": p[2], "p_text": p[0]}
    if contrast := re.search(r"within|between|across_groups", rest):
        cell["p_contrast"] = contrast[0]
    return cell, None


def _outcome(
    arm: str, month: str, text: str, block: Mapping[str, str], arms: Mapping[str, str]
) -> Row:
    """A row of outcomes.csv from a cell of the grid and what its block says."""
    cell, _ = _cell(text, block)
    row = {name: block.get(name, "") for name in ("outcome", "scale", "unit", "statistic",
                                                  "caveats", "location", "notes")}  # fmt: skip
    row |= {"arm": arm, "months": month, "n": arms.get(arm, "")}
    if block["scale"] == "between_arm_difference":
        sizes = [next((n for a, n in arms.items() if a.startswith(kind)), "")
                 for kind in ("treated", "control")]  # fmt: skip
        row |= {"n": sizes[0], "n_control": sizes[1]}
    if block["scale"] == "level" and float(month) == 0:
        row["baseline_state"] = block.get("baseline_state", "")
    if block["scale"] == "level" and not _has_baseline(block):
        row["contrast_basis"] = "follow_up_only"
    row |= cell
    columns = evidence.TABLES["outcomes.csv"]
    return {column: row[column] for column in columns if row.get(column)}


def _has_baseline(block: Mapping[str, str]) -> bool:
    return block["scale"] == "level" and any(float(m) == 0 for m in block["months"].split())


def _asked(block: Mapping[str, str], month: str) -> bool:
    """Whether the grid has a cell at a month: a change at month 0 is none."""
    return block["scale"] == "level" or float(month) != 0


def _arms_of(block: Mapping[str, str], arms: Mapping[str, str]) -> list[str]:
    return ["contrast"] if block["scale"] == "between_arm_difference" else list(arms)


def _arms_fault(text: str) -> str | None:
    allowed = "arm=patients, one space apart, such as treated_low=20 treated_high=20 control=18"
    columns = evidence.TABLES["outcomes.csv"]
    for word in text.split():
        arm, equals, count = word.partition("=")
        if columns["arm"].fault(arm) or (equals and columns["n"].fault(count)):
            return allowed
    return None if text else allowed


def _months_fault(text: str) -> str | None:
    spec = evidence.TABLES["outcomes.csv"]["months"]
    wrong = [word for word in text.split() if spec.fault(word)]
    return None if text and not wrong else "months, one space apart, such as 0 3 6 12"


# --- cells of the other tables -------------------------------------------------------------------

_P = re.compile(rf"p?\s*(?P<relation>[<=>])?\s*(?P<value>{_NUMBER})", re.IGNORECASE)


def _p_fault(text: str) -> str | None:
    found = _P.fullmatch(text)
    return None if found and 0 <= float(found["value"]) <= 1 else "a p-value, such as <0.05 or 0.03"


def _written(name: str, row: Row) -> Row:
    """A row as its table has it: the p-value in its two columns, blanks gone."""
    cells = dict(row)
    if p := _P.fullmatch(cells.pop("p", "") or " "):
        cells |= {"p_relation": p["relation"] or "=", "p_value": p["value"]}
    return {column: cells[column] for column in evidence.TABLES[name] if cells.get(column)}


def _parts(name: str, above: Row) -> Callable[..., Part]:
    """Makes parts of a table; `carry` gives the cell of the row above as the default."""
    columns = evidence.TABLES[name]

    def part(column: str, carry: bool = False, **more: Any) -> Part:
        spec = columns[column]
        value = above.get(column, "")
        if carry:
            more["default"] = lambda row: value
        first = column in ("contrast", "arm")
        return Part(column, spec.fault, above=value if first else "", needed=spec.needed,
                    free=spec.kind == "text", **more)  # fmt: skip

    return part


def _hint(spec: evidence.Column) -> str:
    """What may stand in a cell, for the question: short, and only where the list is closed."""
    if spec.kind in ("word", "words"):
        return f" ({', '.join(spec.words)})"
    return "" if spec.kind == "text" else f" ({spec.describe()})"


# --- changes -------------------------------------------------------------------------------------

_SECTION = "|".join(section(name) for name in FILES)
_CHANGE = re.compile(
    rf"(?P<section>{_SECTION})(?: +(?P<rows>\d+(?:-\d+)?|\*))?"
    r" +(?:(?P<drop>drop)|(?P<column>\w+):(?P<text>.*))"
)


def _mended_fault(text: str, spec: evidence.Column) -> str | None:
    """What is allowed for a cell that is mended; a change of another cell may stand there too."""
    if not text:
        return None
    return _change_fault(text) if _CHANGE.fullmatch(text) else spec.fault(text)


def _change_fault(text: str) -> str | None:
    found = _CHANGE.fullmatch(text)
    if found is None:
        return (
            "y, n, or a change: `outcomes 3 value: 7.5`, `safety * notes: text`, `outcomes 3 drop`"
        )
    if found["drop"]:
        return None
    columns = evidence.TABLES[f"{found['section']}.csv"]
    if found["column"] not in columns:
        return "a column of " + found["section"] + ": " + ", ".join(columns)
    return columns[found["column"]].fault(found["text"].strip())


def _numbers(rows: str, count: int) -> list[int]:
    """The rows a change is about."""
    if rows == "*":
        return list(range(1, count + 1))
    first, _, last = rows.partition("-")
    return [n for n in range(int(first), int(last or first) + 1) if n <= count]
