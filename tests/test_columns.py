"""No column, word or table of the results can go without an error: never a line that vanishes.

Three doors. A stage writes all tables it declares, each with all its columns, or the run stops. A
file that lacks a column, or is gone, stops the report. And what the report asks for exists: every
column it names is declared, every word it compares with is of its column's closed list, and no
room asks softly, so that what is not there would pass for blank.
"""

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from conftest import every
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.text import Text as FigureText

from analysis import outcomes, pipeline, results
from analysis.evidence import schema
from analysis.render import source as sources
from analysis.report.results import Results
from analysis.results import contract
from analysis.stages.result import StageResult
from analysis.workers import WorkerError

ROOT = Path(__file__).resolve().parent.parent
ANALYSIS = ROOT / "analysis"
ROOMS = [path for room in ("report", "claims", "chain")
         for path in sorted((ANALYSIS / room).rglob("*.py"))]  # fmt: skip
ASKING = [*ROOMS, *sorted((ANALYSIS / "difference").glob("*.py")), ANALYSIS / "checking.py",
          ANALYSIS / "coverage.py", ANALYSIS / "stages" / "synthesis.py"]  # fmt: skip
"""These and others that read results; the others have tables of their own, too."""
EVIDENCE = {name for columns in schema.TABLES.values() for name in columns} | {"line"}
OF_RISK = {"overall", "by_domain"}
"""What `risk_of_bias.overalls` gives."""
NOT_OF_TABLES = {
    "any_public_result", "probably_published",  # verdicts of a search, of `registered`
    "ever_insulin_free", "safety", "cure", "weibull", "any",  # rows of an index, by name
    "left", "bottom",  # sides of axes
    "part", "treated", "control",  # of the text of a count, part by part
    "screen", "paper", "terms",  # of a card
    "uncontrolled", "all", "t1d", "t2d",  # designs and populations, by name
    "authors", "version", "code", "date", "tables",  # of CITATION.cff and the manifest
    "parameter", "prior",  # of `priors.table`
    "pandoc", "to", "format", "image/png", "image/svg+xml", "svg.fonttype",  # of the renderers
    "Group", "Source",  # columns of a page
}  # fmt: skip


@cache
def plain_words() -> set[str]:
    """Names in the file of the plain-language page."""
    return set(_names(tomllib.loads((ANALYSIS / "report/plain_en.toml").read_text("utf-8"))))


def _names(table: dict) -> Iterator[str]:
    for name, value in table.items():
        yield name
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                yield from _names(part)


# --- what the rooms ask for ----------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What a room asks of tables."""

    names: tuple[tuple[str, int], ...]
    """Columns, with the line."""
    made: frozenset[str]
    """Columns it makes itself."""
    words: tuple[tuple[str, str, int], ...]
    """Column, a word its cells are compared with, line."""
    softly: tuple[str, ...]
    """Places where an absent column would pass for a blank one."""
    rows: tuple[tuple[str, tuple[str, ...], int], ...]
    """A table and the columns by which its rows are chosen, line."""


def _texts(node: ast.AST) -> list[str]:
    """The strings of a constant, or of a list, tuple or set of constants."""
    parts = node.elts if isinstance(node, ast.List | ast.Tuple | ast.Set) else [node]
    return [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]


BY_NAME = ("groupby", "set_index", "sort_values", "drop_duplicates", "pivot", "drop")
SOFT = ("reindex", "filter")


def asked(tree: ast.Module, columns: set[str]) -> Asked:
    """Everything that a module asks of tables, as far as its text says it."""
    names, made, words, softly, rows = [], set(), [], [], []
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript):
            if isinstance(node.ctx, ast.Store):
                made |= set(_texts(node.slice))
            else:
                names += [(name, node.lineno) for name in _texts(node.slice)]
        elif isinstance(node, ast.For | ast.comprehension) and _is_call(node.iter, "itertuples"):
            owner = node if isinstance(node, ast.For) else tree
            names += _attributes(owner, node.target)
        elif isinstance(node, ast.Call):
            method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else method
            first = _texts(node.args[0]) if node.args else []
            if method in BY_NAME:
                names += [(name, node.lineno) for name in first]
            if method == "DataFrame":
                made |= {text for word in node.keywords if word.arg == "columns"
                         for text in _texts(word.value)}  # fmt: skip
            if method == "assign":
                made |= {word.arg for word in node.keywords if word.arg}
            if method in ("rename", "reset_index"):
                made |= {text for word in node.keywords for text in _texts(word.value)}
                made |= {text for word in node.keywords if isinstance(word.value, ast.Dict)
                         for value in word.value.values for text in _texts(value)}  # fmt: skip
            if method == "rows" and first:
                by = tuple(word.arg for word in node.keywords if word.arg)
                rows.append((first[0], by, node.lineno))
            if method in ("eq", "ne", "isin") and first:
                words += [(column, text, node.lineno) for column in _column_of(node.func.value)
                          for text in first]  # fmt: skip
            soft = method == "get" and set(first) & columns
            soft = soft or (called == "getattr" and len(node.args) == 3
                            and set(_texts(node.args[1])) & columns)  # fmt: skip
            soft = soft or (method in SOFT and any(w.arg in ("columns", "items")
                                                   for w in node.keywords))  # fmt: skip
            soft = soft or any(w.arg == "errors" for w in node.keywords)
            if soft:
                softly.append(f"{node.lineno}: {ast.unparse(node)[:70]}")
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if isinstance(node.ops[0], ast.In | ast.NotIn):
                within = node.comparators[0]
                named = set(_texts(node.left)) & columns and _may_be_a_table(within)
                kept = isinstance(node.ops[0], ast.In) and ast.unparse(within).endswith(".columns")
                if named or kept:
                    softly.append(f"{node.lineno}: {ast.unparse(node)[:70]}")
                words += [(column, text, node.lineno) for column in _column_of(node.left)
                          for text in _texts(node.comparators[0])]  # fmt: skip
            else:
                words += [
                    (column, text, node.lineno)
                    for one in sides
                    for column in _column_of(one)
                    for other in sides
                    if other is not one
                    for text in _texts(other)
                ]
    return Asked(tuple(names), frozenset(made), tuple(words), tuple(softly), tuple(rows))


def _is_call(node: ast.AST, method: str) -> bool:
    return (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            and node.func.attr == method)  # fmt: skip


def _attributes(owner: ast.AST, target: ast.AST) -> list[tuple[str, int]]:
    """What is read of the rows of `itertuples` within a loop."""
    if not (isinstance(owner, ast.For) and isinstance(target, ast.Name)):
        return []
    return [(node.attr, node.lineno) for node in ast.walk(owner)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            and node.value.id == target.id and node.attr != "Index"]  # fmt: skip


def _column_of(node: ast.AST) -> list[str]:
    """The column that an expression `x["column"]` reads."""
    return _texts(node.slice) if isinstance(node, ast.Subscript) else []


def _may_be_a_table(node: ast.AST) -> bool:
    """A name, an attribute or `.columns` may be a table or its row; a literal or a call is none."""
    return isinstance(node, ast.Name | ast.Attribute)


@cache
def of_room(path: Path) -> Asked:
    """What a room asks, with the columns of the contract as it stands."""
    return asked(ast.parse(path.read_text(encoding="utf-8")), set(declared()))


@cache
def declared() -> dict[str, set[str]]:
    """Column -> tables that have it."""
    found: dict[str, set[str]] = {}
    for table in results.TABLES.values():
        for name in table.names:
            found.setdefault(name, set()).add(table.name)
    return found


def unknown(path: Path, columns: set[str]) -> list[str]:
    """Columns that a room names and nobody declares or makes."""
    found = of_room(path)
    known = columns | EVIDENCE | OF_RISK | NOT_OF_TABLES | found.made
    if path.name == "plain.py":
        known |= plain_words()
    return [f"{path.name}:{line}: {name}" for name, line in found.names if name not in known]


# --- the text of the rooms -----------------------------------------------------------------------


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: path.relative_to(ANALYSIS).as_posix())
def test_every_column_a_room_names_is_declared(path):
    assert unknown(path, set(declared())) == []


@pytest.mark.parametrize("path", ASKING, ids=lambda path: path.relative_to(ANALYSIS).as_posix())
def test_no_room_asks_for_a_column_softly(path):
    found = of_room(path)
    assert found.softly == (), "an absent column must raise, not pass for a blank"


def closed_words() -> dict[str, set[str]]:
    """Columns of closed words wherever they stand, results and evidence -> all their words."""
    words: dict[str, set[str]] = {}
    open_ = set()
    for table in results.TABLES.values():
        for spec in table.columns:
            if spec.words:
                words.setdefault(spec.name, {""}).update(map(str, spec.words))
            else:
                open_.add(spec.name)
    for columns in schema.TABLES.values():
        for name, spec in columns.items():
            if spec.words:
                words.setdefault(name, {""}).update(spec.words)
            else:
                open_.add(name)
    return {name: known for name, known in words.items() if name not in open_}


@pytest.mark.parametrize("path", ASKING, ids=lambda path: path.relative_to(ANALYSIS).as_posix())
def test_every_word_a_room_compares_with_is_of_the_closed_list(path):
    words = closed_words()
    found = of_room(path)
    strange = [f"{path.name}:{line}: {column} == {word}" for column, word, line in found.words
               if word not in words.get(column, {word})]  # fmt: skip
    assert strange == []


@pytest.mark.parametrize("path", ASKING, ids=lambda path: path.relative_to(ANALYSIS).as_posix())
def test_rows_are_chosen_by_columns_of_their_table(path):
    strange = [f"{path.name}:{line}: {table}.{name}"
               for table, by, line in of_room(path).rows
               for name in by if table not in results.TABLES
               or name not in results.TABLES[table].names]  # fmt: skip
    assert strange == []


def test_the_check_of_the_text_sees_each_way_of_asking():
    columns = {"label", "mean"}
    tree = ast.parse(
        "def f(row, table, results):\n"
        "    row['labl']\n"
        "    table[['mean', 'meen']]\n"
        "    table.sort_values('yeer')\n"
        "    for one in table.itertuples():\n"
        "        one.lable\n"
        "    row.get('label', '')\n"
        "    getattr(row, 'mean', 0)\n"
        "    'label' in table\n"
        "    [name for name in names if name in table.columns]\n"
        "    table['told'] == 'wurds'\n"
        "    results.rows('headlines', outcom='hba1c')\n"
    )
    found = asked(tree, columns)
    assert {"labl", "meen", "yeer", "lable"} <= {name for name, _ in found.names}
    assert len(found.softly) == 4
    assert [(column, word) for column, word, _ in found.words] == [("told", "wurds")]
    assert found.rows[0][:2] == ("headlines", ("outcom",))


def test_a_column_taken_out_of_the_contract_is_missed_where_it_is_used():
    columns = declared()
    used = {name for path in ROOMS for name, _ in of_room(path).names}
    made = {text for path in ROOMS for text in of_room(path).made}
    alone = sorted(used & set(columns) - EVIDENCE - OF_RISK - NOT_OF_TABLES - plain_words())
    assert len(alone) > 100
    for name in sorted(set(alone) - made):
        assert any(unknown(path, set(columns) - {name}) for path in ROOMS), name


# --- writing and reading -------------------------------------------------------------------------


@pytest.mark.parametrize("stride", every(6, 1), ids=["some", "all"])
@pytest.mark.parametrize("table", results.TABLES)
def test_a_column_that_is_dropped_or_renamed_is_refused_on_writing_and_on_reading(table, stride):
    whole = results.TABLES[table].empty()
    for name in results.TABLES[table].names[::stride]:
        for hurt in (whole.drop(columns=name), whole.rename(columns={name: f"{name}_x"})):
            with pytest.raises(results.ContractError, match=f"{table}: .*{name}"):
                results.checked(table, hurt)
            with pytest.raises(results.ContractError, match=f"{table}: .*{name}"):
                results.parse(table, contract.as_text(hurt))


def test_a_question_that_no_row_can_answer_raises(run_folder):
    table = results.read(run_folder, "headlines")
    with pytest.raises(KeyError, match="headlines: not a column: outcom"):
        results.rows(table, "headlines", outcom="hba1c")
    with pytest.raises(KeyError, match=r"headlines\.told: not a word of the list: wurds"):
        results.rows(table, "headlines", told="wurds")
    estimates = results.read(run_folder, "estimates")
    for ask in (results.Places(estimates).get, lambda **parts: results.get(estimates, **parts)):
        with pytest.raises(KeyError, match="variant: not a word of the list: numbers_onyl"):
            ask(outcome="hba1c", approach="cell_infusion", variant="numbers_onyl")
        with pytest.raises(KeyError, match="outcome"):
            ask(outcome="hba1", approach="cell_infusion")


def test_every_declared_table_has_one_stage_that_writes_it():
    written = [name for stage in pipeline.STAGE_NAMES for name in results.written_by(stage)]
    assert sorted([*written, "estimates"]) == sorted(results.TABLES)


@pytest.mark.parametrize("stage", pipeline.STAGES, ids=lambda stage: stage.name)
def test_a_stage_that_drops_or_renames_a_table_stops_the_run(stage):
    whole = dict.fromkeys(results.written_by(stage.name))
    pipeline._require_tables(stage, whole)
    for name in whole:
        left = {other: table for other, table in whole.items() if other != name}
        for wrong in (left, {**left, f"{name}_x": None}):
            with pytest.raises(results.ContractError, match=name):
                pipeline._require_tables(stage, wrong)


def test_a_run_asks_each_stage_for_its_tables(tracked_raw, tmp_path, monkeypatch):
    from analysis.stages import effects

    monkeypatch.setattr(effects, "run", lambda evidence, **more: StageResult(pd.DataFrame()))
    with pytest.raises(WorkerError, match="effects: tables not made"):
        pipeline.run(tracked_raw, tmp_path / "out", only=["effects"], isolate=False)
    assert not (tmp_path / "out").exists()


def test_a_table_that_the_run_made_and_that_is_gone_stops_the_report(run_folder, evidence):
    here = Results(run_folder, evidence)
    assert len(here.table("claims"))
    elsewhere = replace(here, out=run_folder / "nowhere")
    elsewhere.__dict__["manifest"] = here.manifest
    made = [name for stage in here.manifest["stages"].values() for name in stage["tables"]]
    assert "claims" in made
    for name in made:
        with pytest.raises(results.ContractError, match=f"{name}.csv: the run made it"):
            elsewhere.table(name)


# --- the whole report on a run that lacks a column ------------------------------------------------


class Hurt(Results):
    """A run in which columns of one table are gone, behind the door; it notes the tables read."""

    hurt: tuple[str, tuple[str, ...]] = ("", ())
    seen: set[str]

    def table(self, name: str) -> pd.DataFrame:
        self.seen.add(name)
        whole = super().table(name)
        return whole.drop(columns=list(self.hurt[1])) if name == self.hurt[0] else whole


def cells_of_the_report() -> tuple[list[str], list[str]]:
    """What report.qmd imports, and every expression it shows."""
    first, shown = [], []
    for part in sources.read(ROOT / "report.qmd")[1]:
        if isinstance(part, sources.Cell):
            for line in ast.parse(part.source).body:
                which = shown if isinstance(line, ast.Expr) else first
                which.append(ast.unparse(line))
        else:
            shown += [expression for expression, _ in sources.inline(part)]
    return ([line for line in first if "import" in line],
            [one for one in shown if "results" in one])  # fmt: skip


def told_by(value: object) -> str:
    """Everything that a reader sees of a part of the report."""
    if isinstance(value, Figure):
        texts = sorted(text.get_text() for text in value.findobj(FigureText))
        count = len(value.findobj())
        pyplot.close(value)
        return "|".join([*texts, str(count)])
    forms = [getattr(value, form)() for form in ("_repr_html_", "_repr_markdown_")
             if hasattr(value, form)]  # fmt: skip
    return "\n".join(filter(None, forms)) or str(value)


def named_by(fault: Exception, group: set[str]) -> set[str]:
    """Which columns of a group an error complains of."""
    return group & set(re.findall(r"\w+", str(fault)))


def silent_of(group: set[str], told: Callable[[set[str]], str], whole: str) -> tuple[set[str], int]:
    """Columns without which a part of the report says something else and does not raise.

    `told(columns)` is what it says without these columns. All are taken away together; what is
    missed aloud is given back, until nothing is missed. Only where the text then differs are they
    tried in halves. Also returns how many were missed aloud.
    """
    group, aloud = set(group), 0
    while group:
        try:
            found = told(group)
        except (KeyError, AttributeError, results.ContractError) as fault:
            missed = named_by(fault, group)
            if not missed and len(group) == 1:
                missed = group
            if missed:
                group, aloud = group - missed, aloud + len(missed)
                continue
        else:
            if found == whole:
                return set(), aloud
            if len(group) == 1:
                return group, aloud
        half = set(sorted(group)[::2])
        parts = [silent_of(part, told, whole) for part in (half, group - half)]
        return parts[0][0] | parts[1][0], aloud + parts[0][1] + parts[1][1]
    return set(), aloud


def test_a_column_that_is_missed_silently_is_found_among_others():
    def told(gone):
        if "read" in gone:
            raise KeyError("read")
        if "odd" in gone:
            raise KeyError("without a name")
        return "less" if gone & {"soft", "softer"} else "all"

    columns = {"read", "odd", "soft", "softer", *map(str, range(20))}
    assert silent_of(columns, told, "all") == ({"soft", "softer"}, 2)


@pytest.mark.slow
def test_a_column_that_is_gone_raises_in_the_report_or_was_not_read(run_folder, evidence):
    """Every column of every table, in every part of the report that reads the table."""
    first, shown = cells_of_the_report()
    space: dict = {}
    exec("\n".join(first), space)
    silent, aloud, tried = [], 0, 0
    for expression in dict.fromkeys(shown):
        run = Hurt(run_folder, evidence)
        run.__dict__["seen"] = set()
        whole = told_by(eval(expression, {**space, "results": run}))
        for name in sorted(run.seen):

            def told(gone, name=name, run=run, expression=expression):
                hurt = Hurt(run_folder, evidence)
                hurt.__dict__ |= {"seen": set(), "hurt": (name, tuple(gone)), "_read": run._read}
                return told_by(eval(expression, {**space, "results": hurt}))

            columns = set(results.TABLES[name].names)
            tried += len(columns)
            found, heard = silent_of(columns, told, whole)
            aloud += heard
            silent += [f"{expression}: {name}.{column}" for column in sorted(found)]
    assert silent == []
    assert tried > 5000 and aloud > 1000


class Noting(Results):
    """A run that notes the kinds of estimates asked for, and those that were there."""

    kinds: dict[tuple, bool]

    def _note(self, parts: dict, there: bool) -> None:
        asked = {**results.DEFAULTS, **parts}
        kind = outcomes.get(asked["outcome"]).kind if "outcome" in asked else ""
        which = (kind, *(asked.get(name, "") for name in ("quantity", "variant", "method")))
        self.kinds[which] = self.kinds.get(which, False) or there

    def find(self, **parts: object) -> pd.DataFrame:
        found = super().find(**parts)
        self._note(parts, len(found) > 0)
        return found

    def get(self, **parts: object) -> pd.Series | None:
        found = super().get(**parts)
        self._note(parts, found is not None)
        return found


NEVER = {("probability", "numbers_only", "dl"), ("probability", "numbers_only", "pm"),
         ("probability", "numbers_only", "hksj"),
         ("probability", "bias_average", "exact")}  # fmt: skip
"""Classical methods and the average over bias models give no probability; a table asks all rows."""


@pytest.mark.slow
def test_every_kind_of_estimate_the_report_asks_for_is_somewhere_in_the_run(run_folder, evidence):
    first, shown = cells_of_the_report()
    space: dict = {}
    exec("\n".join(first), space)
    run = Noting(run_folder, evidence)
    run.__dict__["kinds"] = {}
    for expression in shown:
        told_by(eval(expression, {**space, "results": run}))
    assert len(run.kinds) > 20
    never = {which[1:] for which, there in run.kinds.items() if not there}
    assert never == NEVER, "a question that no run can answer is a line that never stands"
