"""The verbs about registered trials: `isletmeta registry` and `isletmeta status`.

`register(app)` puts both on the command line. Exit status: 0 when all is well, 1 when the export or
the evidence has faults, 2 for a wrong call.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from analysis import cli_study

if TYPE_CHECKING:
    from analysis.evidence import Evidence
    from analysis.registry import Comparison, Export

console = Console()
errors = Console(stderr=True)

RawOption = Annotated[Path, typer.Option("--raw", help="folder of the evidence tables")]

REGISTRY_HELP = """Compare an export of ClinicalTrials.gov with the registered trials.

FILE holds JSON of the registry's API, version 2: one study, or a list of studies. Without --write
nothing is changed. A new trial is written only with its cell class.

Examples:

  isletmeta registry --query                     the addresses to open in a browser, and save

  isletmeta registry export.json                 shows what is new or changed

  isletmeta registry export.json --write

  isletmeta registry export.json --write --new NCT07126873=endoderm_islet,established
"""


def register(app: typer.Typer) -> None:
    """Put `registry` and `status` on the command line."""
    app.command(help=REGISTRY_HELP)(registry)
    app.command()(status)


def _fail(message: str, code: int = 1) -> typer.Exit:
    errors.print(message, markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(code)


def _say(message: str) -> None:
    console.print(message, markup=False, highlight=False, soft_wrap=True)


def registry(
    file: Annotated[Path | None, typer.Argument(help="JSON export of ClinicalTrials.gov")] = None,
    raw: RawOption = Path("data/raw"),
    query: Annotated[
        bool, typer.Option("--query", help="print the addresses that give such an export")
    ] = False,
    write: Annotated[bool, typer.Option("--write", help="write what is new, all or nothing")] = (
        False
    ),
    new: Annotated[
        list[str] | None,
        typer.Option("--new", help="NUMBER=cell_class or NUMBER=cell_class,onset_group"),
    ] = None,
    read_on: Annotated[
        str, typer.Option("--read-on", help="day of the export, 2026-11-28; default: as it says")
    ] = "",
) -> None:
    from analysis import registry as room
    from analysis.registry import update

    cli_study.settled(raw)
    classes = _classes(new or [])
    if read_on:
        _day(read_on)
    try:
        rows = update.rows_of(raw)
        addresses = update.queries(rows)
    except (OSError, UnicodeDecodeError, KeyError) as error:
        raise _fail(f"{raw / update.TABLE}: {error}; see `isletmeta check`") from None
    if query:
        _say("the trials of the table:\n" + addresses[0])
        _say("new trials:\n" + addresses[1])
        return
    if file is None:
        raise _fail("FILE.json, or --query for the addresses that give one", 2)
    if not file.exists():
        raise _fail(f"{file}: no such file", 2)
    export = room.read(file)
    if export.problems:
        lines = "\n".join(str(problem) for problem in export.problems)
        raise _fail(f"{lines}\n{len(export.problems)} in {file}; nothing was compared or written")
    found = room.compare(export, rows)
    _show(export, found, classes)
    if not write:
        if found.changes or classes:
            _say("nothing was written; --write writes it")
        return
    made = room.plan(export, raw, classes, read_on)
    if made.mistakes:
        raise _fail("\n".join(made.mistakes) + "\nnothing was written")
    from analysis.newstudy import journal

    try:
        written = room.write(made)
    except (OSError, journal.ChangedMeanwhile) as error:
        raise _fail(str(error)) from None
    if written:
        _say(f"written: {', '.join(path.name for path in written)}")
    else:
        _say("nothing to write")


def _classes(given: list[str]) -> dict[str, tuple[str, str]]:
    classes = {}
    for text in given:
        number, _, rest = text.partition("=")
        cell_class, _, onset = rest.partition(",")
        if not number or not cell_class:
            raise _fail(f"--new {text}: NUMBER=cell_class or NUMBER=cell_class,onset_group", 2)
        classes[number.strip()] = (cell_class.strip(), onset.strip())
    return classes


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise _fail(f"{text}: a day as 2026-11-28", 2) from None


def _show(export: Export, found: Comparison, classes: Mapping[str, tuple[str, str]]) -> None:
    _say(f"{len(export.records)} studies in {export.source}")
    if export.more:
        _say("the export says that more pages exist (nextPageToken): it is not complete")
    if found.new:
        _say(f"\nnew: {len(found.new)}")
    for record in found.new:
        cells = record.cells
        size = cells.get("n_actual") or cells.get("n_planned") or "?"
        mark = "" if record.registry_id in classes else "; say its cell class with --new to add it"
        _say(
            f"  {record.registry_id} {cells.get('title', '')} ({cells.get('diabetes_type')}, "
            f"{cells.get('design')}, n {size}, {cells.get('status', 'no status')}; "
            f"product: {cells.get('product', 'not stated')}){mark}"
        )
    if found.changes:
        trials = len({change.registry_id for change in found.changes})
        _say(f"\nchanged: {len(found.changes)} cells of {trials} trials")
    for change in found.changes:
        _say(f"  {change.registry_id} {change.column}: {change.old or '(blank)'} -> "
             f"{change.new or '(blank)'}")  # fmt: skip
    if found.kept:
        _say(f"\ndiffers, the table stays: {len(found.kept)}")
    for change in found.kept:
        _say(f"  {change.registry_id} {change.column}: table {change.old}; record {change.new}")
    _say(f"\nnothing new: {len(found.same)}")
    for number, why in found.passed.items():
        _say(f"  not used: {number}: {why}")
    for piece, count in export.unknown.items():
        _say(f"  a piece of the record that is not known here and not kept: {piece} ({count} "
             f"{'study' if count == 1 else 'studies'})")  # fmt: skip


def status(
    raw: RawOption = Path("data/raw"),
    on: Annotated[str, typer.Option("--on", help="the day to judge by; default: today")] = "",
) -> None:
    """Show what evidence there is, how it was read, what is overdue.

    Coverage by approach, population and outcome; the share of rows that two people read; rows read
    by one person that speak for an answer, with their weight; the day retractions were looked for;
    registered trials past their expected completion.

    Example: isletmeta status --on 2026-12-31
    """
    from analysis import evidence, registered
    from analysis import vocabulary as v

    cli_study.settled(raw)
    day = _day(on) if on else dt.date.today()
    try:
        loaded = evidence.load(raw)
    except evidence.EvidenceError as error:
        raise _fail(str(error)) from None
    _what_there_is(loaded)
    late = registered.overdue(loaded, day)
    ongoing = len(registered.ongoing(loaded))
    _say(f"registry read on {registered.read_on(loaded) or '(never)'}: {ongoing} ongoing trials, "
         f"{len(late)} past their expected completion on {day}")  # fmt: skip
    for row in late.to_dict("records"):
        size = "size not known" if row["n"] != row["n"] else f"n {row['n']:.0f}"
        _say(
            f"  {row['registry_id']} {row['product']}: {v.TRIAL_STATUSES[row['status']]}, "
            f"expected {row['expected']}, {row['months_late']} months ago, {size}"
        )
    if len(late):
        _say("`isletmeta registry FILE.json` brings them up to date; CONTRIBUTING says how")


WEIGHTY = 0.1
"""A row read by one person is listed from this share of the patients of an answer."""


def _what_there_is(loaded: Evidence) -> None:
    """Coverage, double reading, weighty rows read once, and the day retractions were looked for."""
    from analysis import coverage, effects, outcomes
    from analysis import vocabulary as v

    def called(word: str) -> str:
        return outcomes.get(word).title if word in outcomes.OUTCOMES else word

    result = effects.build(loaded)
    _say("eligible studies of each outcome: with numbers against controls, with numbers\n"
         "without controls, in words only, with counts of patients\n")  # fmt: skip
    _say(f"  {'':<22} {'controls':>8} {'without':>8} {'words':>6} {'counts':>7}")
    for (approach, population), part in coverage.coverage(loaded, result).groupby(
        ["approach", "population"], sort=False
    ):
        _say(f"{v.APPROACHES[approach]}, {v.POPULATIONS[population]}")
        for row in part.itertuples():
            _say(f"  {called(row.outcome):<22} {row.controlled:>8} {row.uncontrolled:>8} "
                 f"{row.words:>6} {row.counts:>7}")  # fmt: skip
    _say("\nread by two people, or settled by a third")
    for row in coverage.reading(loaded).itertuples():
        _say(f"  {row.table:<18} {row.twice:>4} of {row.rows:>4} rows, {100 * row.share:.0f} %")
    single = coverage.single_read(loaded, result)
    weighty = single[single["weight"] >= WEIGHTY]
    _say(f"\nread by one person: {len(single)} rows speak for an answer, {len(weighty)} with at "
         f"least {100 * WEIGHTY:.0f} % of its patients")  # fmt: skip
    stratum = ["study_id", "approach", "population", "controlled"]
    for (study, approach, population, controlled), part in weighty.groupby(stratum, sort=False):
        design = "controlled" if controlled else "uncontrolled"
        places = [f"{name}:{','.join(map(str, sorted(set(rows['line']))))}"
                  for name, rows in part.groupby("file")]  # fmt: skip
        _say(f"  {study}: up to {100 * part['weight'].max():.0f} % of "
             f"{'; '.join(map(called, part['outcome'].unique()))} ({v.APPROACHES[approach]}, "
             f"{v.POPULATIONS[population]}, {design}): {', '.join(places)}")  # fmt: skip
    checked, studies, first, last = coverage.retractions(loaded)
    when = f", on {first}" if first == last else f", from {first} to {last}"
    when = when if first else ""
    _say(f"\nretractions looked for on a stated day: {checked} of {studies} studies{when}\n")
