"""The verbs that concern single studies: `isletmeta add`, `diff` and `explain`.

`register(app)` puts them on the command line. Like the other verbs they import the libraries they
need only when called. Exit status: 0 when all is well, 1 when the rows or the evidence have faults,
2 for a wrong call.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from analysis import newstudy

console = Console()
errors = Console(stderr=True)

RawOption = Annotated[Path, typer.Option("--raw", help="folder of the evidence tables")]
OutOption = Annotated[Path, typer.Option("--out", help="folder of the results")]


def register(app: typer.Typer) -> None:
    """Put `add`, `diff` and `explain` on the command line."""
    app.command(help=ADD_HELP)(add)
    app.command(help=DIFF_HELP)(diff)
    app.command(help=EXPLAIN_HELP)(explain)


def _fail(message: str, status: int = 1) -> typer.Exit:
    errors.print(message, markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(status)


def _say(message: str) -> None:
    console.print(message, markup=False, highlight=False, soft_wrap=True)


# --- add ---------------------------------------------------------------------------------------

ADD_HELP = """Add a study: check it together with all evidence, show its rows, write all or nothing.

Without a file, questions are asked. Every answer is kept in a draft at once, and the next start
goes on where the last one ended.

Examples:

  isletmeta add                                  asks, row by row

  isletmeta add --template new.txt               writes a template to fill in

  isletmeta add --template example.txt --like zang2022   the same, filled with a present study

  isletmeta add --from new.txt                   checks it, shows it, asks before it writes

  isletmeta add --from studies.csv --from outcomes.csv --yes   rows from spreadsheets
"""


def add(
    file: Annotated[
        Path | None, typer.Argument(help="a filled template, a csv file or a folder of them")
    ] = None,
    source: Annotated[
        list[Path] | None,
        typer.Option("--from", help="the same; may be repeated for several csv files"),
    ] = None,
    template: Annotated[
        Path | None, typer.Option("--template", help="write a template to fill to this file")
    ] = None,
    like: Annotated[
        str | None, typer.Option("--like", help="with --template: filled with this present study")
    ] = None,
    raw: RawOption = Path("data/raw"),
    fresh: Annotated[
        bool, typer.Option("--fresh", help="begin anew; the earlier draft is put aside")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="check and show the rows, write nothing")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="write without asking")] = False,
) -> None:
    from analysis import newstudy

    settled(raw)
    if template is not None:
        if file is not None or source:
            raise _fail("give either a file to add or --template, not both", 2)
        _write_template(template, like, raw)
        return
    if like is not None:
        raise _fail("--like needs --template FILE: the file to write to", 2)
    files = [*([file] if file else []), *(source or [])]
    if not files:
        _guided(raw, fresh, dry_run, yes)
        return
    given = newstudy.read(*files)
    plan = newstudy.plan(given, raw)
    if plan.mistakes:
        raise _fail(f"{_listed(plan.mistakes)}\n{_count(plan.mistakes)}: nothing was written")
    _show(plan, given)
    if dry_run:
        _say("sound; nothing was written")
        return
    if not yes and not typer.confirm(f"write these rows to {raw}?"):
        _say("nothing was written")
        raise typer.Exit(1)
    _write(plan)


def _guided(raw: Path, fresh: bool, dry_run: bool, yes: bool) -> None:
    """Ask for a study, mend what is wrong with it, write it; every answer stays in the draft."""
    from analysis import evidence, newstudy

    if faults := evidence.check(raw):
        lines = "\n".join(str(fault) for fault in faults)
        raise _fail(f"{lines}\nthe evidence has faults: mend them before a study is added")
    path = raw / newstudy.DRAFT
    try:
        if fresh and path.exists():
            aside = path.with_suffix(".old.txt")
            path.replace(aside)
            _say(f"the earlier draft is now {aside}")
        talk = newstudy.Guided(raw, _ask, _say)
        _talk_to_the_end(talk, raw, dry_run, yes)
    except (newstudy.Quit, typer.Abort):
        _say(f"\nnothing was written; the next `isletmeta add` goes on from {path}")
        raise typer.Exit(1) from None
    except OSError as error:
        raise _fail(f"{error.filename or path}: {error.strerror}") from None


def _talk_to_the_end(talk: newstudy.Guided, raw: Path, dry_run: bool, yes: bool) -> None:
    """Questions, checks and changes in turn, until the rows are written or refused."""
    from analysis import newstudy

    shown: dict = {}
    odd: tuple = ()
    agreed = False
    while True:
        given = talk.submission()
        plan = newstudy.plan(given, raw)
        if plan.mistakes:
            agreed = False
            if talk.mend(plan.mistakes):
                continue
            raise _fail(f"{_count(plan.mistakes)}: nothing was written, the answers are kept in "
                        f"{talk.draft.path}")  # fmt: skip
        if not agreed or set(plan.oddities) - set(odd):
            _show(plan, given, shown)
            shown, odd, agreed = plan.rows, plan.oddities, yes
        if dry_run:
            _say(f"sound; nothing was written, the answers are kept in {talk.draft.path}")
            return
        if agreed:
            _write(plan)
            talk.draft.end()
            return
        answer, changes = "changed", 0
        while answer == "changed":
            question = f"write these rows to {raw}? (y, n, show, or a change: outcomes 3 value: 7)"
            answer = talk.change(question, ("y", "n", "show"))
            changes += answer == "changed"
        if answer == "n":
            _say(f"nothing was written, the answers are kept in {talk.draft.path}")
            raise typer.Exit(1)
        agreed = answer == "y"
        shown = {} if answer == "show" else shown
        if agreed and not changes:
            _write(plan)
            talk.draft.end()
            return


def _ask(question: str, default: str) -> str:
    return typer.prompt(question, default=default, show_default=bool(default))


def settled(raw: Path) -> None:
    """End what a killed `add` left behind in the evidence, before anything reads it."""
    from analysis.newstudy import journal

    try:
        done = journal.recover(raw)
    except (OSError, journal.ChangedMeanwhile) as error:
        raise _fail(str(error)) from None
    if done:
        errors.print(done, markup=False, highlight=False, soft_wrap=True)


def _write_template(path: Path, like: str | None, raw: Path) -> None:
    from analysis import newstudy

    if path.exists():
        raise _fail(f"{path} exists already", 2)
    if like is None:
        text = newstudy.template(raw)
    else:
        rows = newstudy.rows_of(like, raw)
        if not rows["studies.csv"]:
            raise _fail(f"--like {like}: a study_id of {raw / 'studies.csv'}", 2)
        text = newstudy.text_of(rows)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _fail(f"{path}: {error.strerror}", 2) from None
    _say(f"{path}: fill it in, then run `isletmeta add --from {path}`")


def _write(plan: newstudy.Plan) -> None:
    from analysis import newstudy

    try:
        written = newstudy.write(plan)
    except (OSError, newstudy.ChangedMeanwhile) as error:
        raise _fail(str(error)) from None
    _say(f"written: {', '.join(path.name for path in written)}")
    _say("`isletmeta diff` shows what the new rows change")


def _listed(mistakes: Sequence[object]) -> str:
    return "\n".join(str(mistake) for mistake in mistakes)


def _count(mistakes: Sequence[object]) -> str:
    return "1 fault" if len(mistakes) == 1 else f"{len(mistakes)} faults"


def _show(plan: newstudy.Plan, given: newstudy.Submission, shown: dict | None = None) -> None:
    """The rows to add but those shown before, what they share said once, and what is odd."""
    for name, members in plan.rows.items():
        if not members or (shown and members == shown.get(name)):
            continue
        old = (shown or {}).get(name, [])
        count = "1 new row" if len(members) == 1 else f"{len(members)} new rows"
        _say(f"{name}: {count}{', of these changed' if old else ''}")
        filled = [{c: v for c, v in row.items() if v} for row in members]
        shared = {
            column: value
            for column, value in filled[0].items()
            if len(filled) > 1 and all(row.get(column) == value for row in filled)
        }
        if shared:
            _say("  in all of them: " + _cells(shared))
        for number, row, whole in zip(given.numbers[name], filled, members, strict=True):
            if whole not in old:
                _say(f"  {number}. " + _cells({c: v for c, v in row.items() if c not in shared}))
    for oddity in plan.oddities:
        _say(f"oddity: {oddity}")


def _cells(row: dict[str, str]) -> str:
    return "; ".join(f"{column}: {value}" for column, value in row.items())


# --- diff --------------------------------------------------------------------------------------

DIFF_HELP = """What the evidence changes against an earlier state: headlines, weight and surprise.

The headlines are those of the report (means, results in words included, shares, rates of harm and
durations), computed exactly in seconds. What is not computed is said.

Examples:

  isletmeta diff                          against the last commit

  isletmeta diff --base HEAD~3            against an earlier commit

  isletmeta diff --base old/raw --html diff.html   against a folder, and as a page
"""


def diff(
    base: Annotated[
        str, typer.Option("--base", help="what to compare with: a git revision or a folder")
    ] = "HEAD",
    raw: RawOption = Path("data/raw"),
    out: OutOption = Path("data/processed"),
    html: Annotated[
        Path | None, typer.Option("--html", help="write a page with densities to this file, too")
    ] = None,
) -> None:
    from analysis import difference, evidence
    from analysis.difference import terminal

    settled(raw)
    try:
        before = difference.load_base(base, raw)
    except difference.NoBase as error:
        raise _fail(str(error), 2) from None
    except evidence.EvidenceError as error:
        raise _fail(f"the evidence of {base} has faults:\n{error}") from None
    try:
        after = evidence.load(raw)
    except evidence.EvidenceError as error:
        raise _fail(str(error)) from None
    with errors.status("exact fits before and after"):
        found = difference.compare(before, after, out)
        found = difference.conclude(found, before, after, out)
    for line in terminal.lines(found, base):
        _say(line)
    if html is not None:
        from analysis.difference import page

        try:
            html.write_text(page.page(found, base), encoding="utf-8")
        except OSError as error:
            raise _fail(f"{html}: {error.strerror}") from None
        _say(f"\n{html}")


# --- explain -----------------------------------------------------------------------------------

EXPLAIN_HELP = """From any name of the report back to rule, effects, raw rows and addresses.

A name is an id the report prints (estimate, effect, claim, figure, table, raw row), or what you
mean by it: an outcome, an approach, a study. Unknown names are answered with those alike.

Examples:

  isletmeta explain hba1c:cell_infusion:t2d:controlled

  isletmeta explain hba1c

  isletmeta explain couri 2009

  isletmeta explain outcomes:12
"""


def explain(
    name: Annotated[list[str], typer.Argument(help="the name, or what you mean")],
    raw: RawOption = Path("data/raw"),
    out: OutOption = Path("data/processed"),
    source: Annotated[Path, typer.Option("--source", help="the report's source")] = Path(
        "report.qmd"
    ),
) -> None:
    from analysis import evidence, results
    from analysis import explain as explaining

    settled(raw)
    try:
        loaded = evidence.load(raw)
        lines = explaining.explain(" ".join(name), loaded, out if out.is_dir() else None, source)
    except (evidence.EvidenceError, explaining.Unknown, results.ContractError) as error:
        raise _fail(str(error)) from None
    for line in lines:
        _say(line)
