"""Adding a study: a template to fill, one check of everything, and a write that is all or nothing.

A person fills one YAML file (`template`), or answers questions (`walk_through`). `plan` appends the
rows to a copy of the evidence and lets `evidence.check` judge old and new rows together, so that
every fault is named at once, in the words of the file the person filled. `write` puts the new
tables in place only if all is sound, together with what is kept in step with them: the
bibliography, the row counts of the data dictionary and one line of the change log for each row.
"""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import tempfile
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from analysis import evidence

FILES = ("studies.csv", "outcomes.csv", "directions.csv", "responders.csv", "independence.csv",
         "safety.csv")  # fmt: skip
"""The tables a study is written into; its name in the YAML file is the name without `.csv`."""

CHANGES = "CHANGES.csv"
BIBLIOGRAPHY = "references.bib"
DICTIONARY = "README.md"
ADDED = "(row added)"

_SECTIONS = ", ".join(name.removesuffix(".csv") for name in FILES)

Rows = dict[str, list[dict[str, str]]]
"""File name -> rows as text, by column. A column that is not given is blank."""


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong: where, what stands there, and what is allowed."""

    where: str
    value: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.where}: {' '.join(self.value.split()) or '(blank)'}: {self.allowed}"


@dataclass(frozen=True)
class Submission:
    """The rows a person gave, and what is wrong with the form they came in.

    Attributes
    ----------
    rows : file name -> rows.
    numbers : file name -> the number of each row's entry in its section, from 1.
    source : the name of the filled file, for messages.
    mistakes : what is wrong with the form.
    """

    rows: Rows
    numbers: dict[str, list[int]]
    source: str = ""
    mistakes: tuple[Mistake, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What an addition would do.

    Attributes
    ----------
    raw : the folder of the evidence.
    rows : the rows to add.
    mistakes : every fault of the file, the rows and the evidence with them; empty when sound.
    before, after : the bytes of each file that changes, as read and as it would be written;
        `after` is empty where there are mistakes.
    """

    raw: Path
    rows: Rows
    mistakes: tuple[Mistake, ...] = ()
    before: dict[str, bytes] = field(default_factory=dict)
    after: dict[str, bytes] = field(default_factory=dict)


# --- the template ----------------------------------------------------------------------------


def template(raw: Path = evidence.RAW) -> str:
    """A YAML file to fill: every table and column, with what it means and what it may hold.

    The meanings are those of the data dictionary of `raw`; without one, what a cell may hold.
    """
    meanings = _dictionary(Path(raw))
    lines = [
        "# A new study. Fill in what the source prints, in the source's own units; leave the rest",
        "# blank. Only a number that was seen, never one derived or recalled. One entry is one",
        "# fact: copy an entry for each further fact, delete entries that are not needed.",
        "# study_id may be left out of the facts where the file holds one study.",
    ]
    for name in FILES:
        lines += ["", f"{_section(name)}:"]
        for position, (column, spec) in enumerate(evidence.TABLES[name].items()):
            meaning = meanings.get(name, {}).get(column) or spec.describe()
            text = f"{column}: {'(needed) ' if spec.needed else ''}{meaning}"
            lines += textwrap.wrap(
                text,
                96,
                initial_indent="  # ",
                subsequent_indent="  #   ",
                break_on_hyphens=False,
            )
            lines.append(f"  {'- ' if position == 0 else '  '}{column}:")
    return "\n".join(lines) + "\n"


def _section(name: str) -> str:
    return name.removesuffix(".csv")


def _dictionary(raw: Path) -> dict[str, dict[str, str]]:
    """File -> column -> meaning, from the tables of the data dictionary; empty without one."""
    path = raw / DICTIONARY
    if not path.exists():
        return {}
    found: dict[str, dict[str, str]] = {}
    name = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"## (\S+\.csv)", line):
            name = heading[1]
        elif name and (row := re.match(r"\| `(\w+)` \| (.+) \|$", line)):
            found.setdefault(name, {})[row[1]] = row[2].replace("`", "")
    return found


# --- reading ---------------------------------------------------------------------------------


class _Reader(yaml.BaseLoader):
    """YAML in which every value is text (`no` stays "no") and no key may stand twice."""


def _mapping(loader: _Reader, node: yaml.MappingNode) -> dict:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    twice = next((key for i, key in enumerate(keys) if key in keys[:i]), None)
    if twice is not None:
        raise yaml.constructor.ConstructorError(
            problem=f"{twice} stands twice in one entry", problem_mark=node.start_mark
        )
    return loader.construct_mapping(node, deep=True)


_Reader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read(path: Path) -> Submission:
    """The rows of a filled template, and what is wrong with its form.

    An entry without any value is no fact and is passed over; a study id that is left out of a fact
    is that of the study, where the file holds one. Nothing is raised for a wrong file.
    """
    path = Path(path)

    def nothing(where: str, value: str, allowed: str) -> Submission:
        return Submission({}, {}, path.name, (Mistake(where, value, allowed),))

    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Reader)
    except OSError as error:
        return nothing(path.name, error.strerror or "", "a file that can be read")
    except UnicodeDecodeError:
        return nothing(path.name, "(encoding)", "text in UTF-8")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path.name}, line {mark.line + 1}" if mark else path.name
        return nothing(where, getattr(error, "problem", None) or "not YAML", "YAML, as in the "
                       "template")  # fmt: skip
    if not isinstance(content, dict):
        return nothing(path.name, str(content or "")[:60], f"the sections {_SECTIONS}")
    return _submission(content, path.name)


def _submission(content: dict, source: str) -> Submission:
    """Check the form of what YAML gave, and complete the study ids."""
    mistakes = [
        Mistake(source, str(word), f"only the sections {_SECTIONS}")
        for word in content
        if f"{word}.csv" not in FILES
    ]
    rows: Rows = {name: [] for name in FILES}
    numbers: dict[str, list[int]] = {name: [] for name in FILES}
    for name in FILES:
        entries = content.get(_section(name)) or []
        if not isinstance(entries, list):
            allowed = "a list of entries, each beginning with -"
            mistakes.append(Mistake(f"{source}, {_section(name)}", str(entries)[:60], allowed))
            continue
        for number, entry in enumerate(entries, start=1):
            row, wrong = _entry(entry, name, _place(source, name, number))
            mistakes += wrong
            if any(row.values()):
                rows[name].append(row)
                numbers[name].append(number)
    ids = [row["study_id"] for row in rows["studies.csv"] if row.get("study_id")]
    if len(set(ids)) == 1:
        for name in FILES[1:]:
            rows[name] = [row | {"study_id": row.get("study_id") or ids[0]} for row in rows[name]]
    if not mistakes and not any(rows.values()):
        mistakes.append(Mistake(source, "(no entry is filled)", "at least one filled entry"))
    return Submission(rows, numbers, source, tuple(mistakes))


def _place(source: str, name: str, number: int, column: str = "") -> str:
    words = [source, f"{_section(name)} entry {number}", column]
    return ", ".join(filter(None, words))


def _entry(entry: object, name: str, where: str) -> tuple[dict[str, str], list[Mistake]]:
    """One entry as a row of text, and what is wrong with its form."""
    if entry in (None, ""):
        return {}, []
    if not isinstance(entry, dict):
        return {}, [Mistake(where, str(entry)[:60], "columns and their values, `column: value`")]
    row, mistakes = {}, []
    for column, value in entry.items():
        if column not in evidence.TABLES[name]:
            allowed = "only the columns " + ", ".join(evidence.TABLES[name])
            mistakes.append(Mistake(where, str(column), allowed))
        elif not isinstance(value, str):
            mistakes.append(Mistake(f"{where}, {column}", str(value)[:60], "one value"))
        else:
            row[column] = " ".join(value.split())
    return row, mistakes


def walk_through(
    ask: Callable[[str, str], str], tell: Callable[[str], None], raw: Path = evidence.RAW
) -> Submission:
    """The rows of one study, by questions; a cell that may not stand so is asked for again.

    Parameters
    ----------
    ask : called with (question, default); returns the answer as text, "" for blank.
    tell : shows a line to the person.
    """
    meanings = _dictionary(Path(raw))
    rows: Rows = {name: [] for name in FILES}
    tell("A new study. Enter leaves a cell blank.")
    rows["studies.csv"].append(_ask_row("studies.csv", {}, meanings, ask, tell))
    study = rows["studies.csv"][0]
    source = {column: study[column] for column in ("source_url", "seen_in", "extraction")}
    for name in FILES[1:]:
        while ask(f"add a row to {_section(name)}? (y/n)", "n").strip().lower().startswith("y"):
            defaults = {"study_id": study["study_id"], **source}
            rows[name].append(_ask_row(name, defaults, meanings, ask, tell))
    numbers = {name: list(range(1, len(rows[name]) + 1)) for name in FILES}
    return Submission(rows, numbers, "your answers")


def _ask_row(name, defaults, meanings, ask, tell) -> dict[str, str]:
    row = {}
    for column, spec in evidence.TABLES[name].items():
        if column == "study_id" and column in defaults:
            row[column] = defaults[column]
            continue
        question = f"{column} ({meanings.get(name, {}).get(column) or spec.describe()})"
        while True:
            answer = " ".join(ask(question, defaults.get(column, spec.default)).split())
            allowed = spec.fault(answer)
            if allowed is None:
                row[column] = answer
                break
            tell(f"{column}: {answer or '(blank)'}: {allowed}")
    return row


# --- checking --------------------------------------------------------------------------------


def plan(given: Submission, raw: Path = evidence.RAW) -> Plan:
    """What adding the rows would do; every fault of form, of old and of new rows together.

    Parameters
    ----------
    given : the rows to add.
    raw : the folder of the evidence; it is only read.
    """
    raw = Path(raw)
    mistakes = list(given.mistakes)
    before, after, places = {}, {}, {}
    for name in (name for name in FILES if given.rows.get(name)):
        try:
            before[name] = (raw / name).read_bytes()
        except OSError as error:
            mistakes.append(Mistake(str(raw / name), error.strerror or "", "a file to add to"))
            continue
        rows, numbers = given.rows[name], given.numbers[name]
        header = _header(before[name])
        mistakes += [
            Mistake(_place(given.source, name, number, column), value, f"blank: {name} has no such "
                    "column")
            for number, row in zip(numbers, rows, strict=True)
            for column, value in row.items()
            if value and column not in header
        ]  # fmt: skip
        after[name] = _appended(before[name], name, rows)
        first = after[name].count(b"\n") - len(rows) + 1
        places |= {(name, first + i): number for i, number in enumerate(numbers)}
    for fault in _check_with(raw, after):
        number = places.get((fault.file, fault.line))
        if number is None:
            where = f"{raw / fault.file}:{fault.line}:{fault.column}"
        else:
            where = _place(given.source, fault.file, number, fault.column)
        mistakes.append(Mistake(where, fault.value, fault.allowed))
    if mistakes:
        return Plan(raw, given.rows, tuple(dict.fromkeys(mistakes)), before)
    for name, data in _in_step(raw, given.rows, after).items():
        before[name], after[name] = (raw / name).read_bytes(), data
    return Plan(raw, given.rows, (), before, after)


def _header(data: bytes) -> list[str]:
    cells = next(csv.reader(io.StringIO(data.decode("utf-8-sig", errors="replace"))), [])
    return [cell.strip() for cell in cells]


def _appended(old: bytes, name: str, rows: list[dict[str, str]]) -> bytes:
    """The file with the rows at its end, in the order of its own header."""
    end = "\r\n" if b"\r\n" in old else "\n"
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator=end)
    for row in rows:
        writer.writerow([_printed(name, row, column) for column in _header(old)])
    joint = b"" if old.endswith(b"\n") or not old else end.encode()
    return old + joint + buffer.getvalue().encode("utf-8")


def _check_with(raw: Path, files: dict[str, bytes]) -> list[evidence.Fault]:
    """The faults of the evidence with some of its files replaced."""
    with tempfile.TemporaryDirectory(prefix="isletmeta-") as folder:
        copy = _copy_with(raw, files, Path(folder))
        return evidence.check(copy)


def _copy_with(raw: Path, files: dict[str, bytes], folder: Path) -> Path:
    for name in evidence.TABLES:
        if name in files:
            (folder / name).write_bytes(files[name])
        elif (raw / name).exists():
            shutil.copyfile(raw / name, folder / name)
    return folder


def _in_step(raw: Path, rows: Rows, after: dict[str, bytes]) -> dict[str, bytes]:
    """The files that are kept in step with the tables, each only where the folder has it."""
    files: dict[str, bytes] = {}
    if (raw / CHANGES).exists():
        log = [_log_line(name, row) for name in FILES for row in rows.get(name, ())]
        files[CHANGES] = _appended((raw / CHANGES).read_bytes(), CHANGES, log)
    with tempfile.TemporaryDirectory(prefix="isletmeta-") as folder:
        loaded = evidence.load(_copy_with(raw, after | files, Path(folder)))
    if (raw / BIBLIOGRAPHY).exists():
        files[BIBLIOGRAPHY] = evidence.bibliography(loaded.studies).encode("utf-8")
    if (raw / DICTIONARY).exists():
        text = (raw / DICTIONARY).read_text(encoding="utf-8")
        for name in FILES:
            count = len(getattr(loaded, _section(name)))
            text = re.sub(rf"(?m)^## {re.escape(name)} \(\d+ rows\)$", f"## {name} ({count} rows)",
                          text)  # fmt: skip
        files[DICTIONARY] = text.encode("utf-8")
    return {name: data for name, data in files.items() if data != (raw / name).read_bytes()}


def _log_line(name: str, row: dict[str, str]) -> dict[str, str]:
    """The line of the change log for an added row."""
    return {
        "file": name,
        "row_key": "|".join(_printed(name, row, column) for column in evidence.KEYS[name]),
        "column": ADDED,
        "new": ADDED,
        "reason": f"new evidence: study {row.get('study_id', '')}",
        "source": row.get("source_url", ""),
    }


def _printed(name: str, row: dict[str, str], column: str) -> str:
    """The cell as it is written: a blank one holds the default of its column."""
    spec = evidence.TABLES[name].get(column)
    return row.get(column) or (spec.default if spec else "")


# --- writing ---------------------------------------------------------------------------------


class ChangedMeanwhile(RuntimeError):
    """A file changed between the check and the write; nothing was written."""


def write(plan: Plan) -> list[Path]:
    """Put every changed file in place, or none.

    New contents are first written beside the old files, then renamed over them; when a rename
    fails, the files renamed before it get their old contents back.

    Raises
    ------
    ValueError : the plan has mistakes.
    ChangedMeanwhile : a file is not what it was when the plan was made.
    OSError : a file could not be written; nothing is changed then.
    """
    if plan.mistakes:
        raise ValueError("a plan with mistakes is not written")
    for name, old in plan.before.items():
        if (plan.raw / name).read_bytes() != old:
            raise ChangedMeanwhile(f"{plan.raw / name} changed meanwhile; nothing was written")
    staged: dict[Path, Path] = {}
    done: list[Path] = []
    try:
        for name, data in plan.after.items():
            target = plan.raw / name
            staged[target] = target.with_name(f".{name}.new")
            staged[target].write_bytes(data)
            shutil.copymode(target, staged[target])
        for target, new in staged.items():
            os.replace(new, target)
            done.append(target)
    except OSError:
        for target in done:
            target.write_bytes(plan.before[target.name])
        raise
    finally:
        for new in staged.values():
            new.unlink(missing_ok=True)
    return done
