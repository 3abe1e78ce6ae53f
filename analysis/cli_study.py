"""The verbs that concern a new study: `isletmeta add` and `isletmeta diff`.

`register(app)` puts both on the command line. Like the other verbs they import the libraries they
need only when called. Exit status: 0 when all is well, 1 when the rows or the evidence have faults,
2 for a wrong call.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

console = Console()
errors = Console(stderr=True)

RawOption = Annotated[Path, typer.Option("--raw", help="folder of the evidence tables")]


def register(app: typer.Typer) -> None:
    """Put `add` and `diff` on the command line."""
    app.command()(add)
    app.command()(diff)


def _fail(message: str, status: int = 1) -> typer.Exit:
    errors.print(message, markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(status)


def _say(message: str) -> None:
    console.print(message, markup=False, highlight=False, soft_wrap=True)


# --- add ---------------------------------------------------------------------------------------


def add(
    file: Annotated[
        Path | None, typer.Argument(help="a filled template; without one, questions are asked")
    ] = None,
    template: Annotated[
        Path | None, typer.Option("--template", help="write a template to fill to this file")
    ] = None,
    raw: RawOption = Path("data/raw"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="check and show the rows, write nothing")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="write without asking")] = False,
) -> None:
    """Add a study: check it together with all evidence, show its rows, write all or nothing."""
    from analysis import newstudy

    if template is not None:
        if file is not None:
            raise _fail("give either a file to add or --template, not both", 2)
        if template.exists():
            raise _fail(f"{template} exists already", 2)
        template.write_text(newstudy.template(raw), encoding="utf-8")
        _say(f"{template}: fill it in, then run `isletmeta add {template}`")
        return
    given = newstudy.read(file) if file is not None else newstudy.walk_through(_ask, _say, raw)
    plan = newstudy.plan(given, raw)
    if plan.mistakes:
        count = "1 fault" if len(plan.mistakes) == 1 else f"{len(plan.mistakes)} faults"
        lines = "\n".join(str(mistake) for mistake in plan.mistakes)
        raise _fail(f"{lines}\n{count}: nothing was written")
    _show(plan.rows)
    if dry_run:
        _say("sound; nothing was written")
        return
    if not yes and not typer.confirm(f"write these rows to {raw}?"):
        _say("nothing was written")
        raise typer.Exit(1)
    try:
        written = newstudy.write(plan)
    except (OSError, newstudy.ChangedMeanwhile) as error:
        raise _fail(str(error)) from None
    _say(f"written: {', '.join(path.name for path in written)}")
    _say("`isletmeta diff` shows what the new rows change")


def _ask(question: str, default: str) -> str:
    return typer.prompt(question, default=default, show_default=bool(default))


def _show(rows) -> None:
    """The rows to add, only their filled cells."""
    for name, members in rows.items():
        for number, row in enumerate(members, start=1):
            table = Table(title=f"{name}, new row {number}", title_justify="left", box=None)
            table.add_column("column", style="dim")
            table.add_column("value", overflow="fold")
            for column, value in row.items():
                if value:
                    table.add_row(column, value)
            console.print(table, markup=False)


# --- diff --------------------------------------------------------------------------------------


def diff(
    base: Annotated[
        str, typer.Option("--base", help="what to compare with: a git revision or a folder")
    ] = "HEAD",
    raw: RawOption = Path("data/raw"),
    everything: Annotated[
        bool, typer.Option("--all", help="show the headlines that did not change, too")
    ] = False,
) -> None:
    """What the evidence changes against an earlier state: headlines, influence and surprise."""
    from analysis import difference, evidence

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
    with console.status("exact fits before and after"):
        found = difference.compare(before, after)
    _show_difference(found, base, everything)


def _show_difference(found, base: str, everything: bool) -> None:
    moved = found.facts[found.facts[["added", "removed", "changed"]].any(axis=1)]
    if moved.empty:
        _say(f"no row of evidence differs from {base}")
    for row in moved.itertuples():
        _say(f"{row.table}: {row.added} added, {row.removed} removed, {row.changed} changed")
    shown = found.headlines if everything else found.headlines[found.headlines["changed"]]
    if len(shown):
        console.print(_headlines(shown))
    elif len(moved):
        _say("no headline changes")
    if len(found.effects):
        console.print(_effects(found.effects))
        for row in found.effects.itertuples():
            replaced = f"; takes the place of {row.replaces}" if row.replaces else ""
            _say(f"{row.effect_id}: {row.against}{replaced}")


def _headlines(rows) -> Table:
    table = Table(title="Headlines, exact fits (mean, 95 % interval)", title_justify="left")
    for name in ("outcome", "group", "k", "n", "before", "after", "moved, SD", "P(good)"):
        table.add_column(name, justify="left" if name in ("outcome", "group") else "right")
    for row in rows.itertuples():
        table.add_row(
            f"{row.outcome}, {row.unit}", row.group, _pair(row.k_before, row.k_after, 0),
            _pair(row.n_before, row.n_after, 0),
            _interval(row.mean_before, row.ci_low_before, row.ci_high_before),
            _interval(row.mean_after, row.ci_low_after, row.ci_high_after),
            _number(row.shift_in_sd), _pair(row.p_good_before, row.p_good_after, 2),
        )  # fmt: skip
    return table


def _effects(rows) -> Table:
    table = Table(title="New and changed effects", title_justify="left")
    for name in ("effect", "y (SE)", "shrunk to", "shrinkage", "mean without → with",
                 "influence, SD", "surprise p"):  # fmt: skip
        table.add_column(name, justify="left" if name == "effect" else "right", overflow="fold")
    for row in rows.itertuples():
        spread = " typical" if row.spread == "typical" else ""
        number = f"{_number(row.y)} ({_number(row.se)}{spread})" if row.y == row.y else "in words"
        table.add_row(
            row.effect_id, number, _interval(row.shrunk_mean, row.shrunk_low, row.shrunk_high),
            _number(row.shrinkage), _pair(row.mean_without, row.mean_with, 2),
            _number(row.influence_in_sd), _number(row.surprise_p, 3),
        )  # fmt: skip
    return table


def _number(value: float, digits: int = 2) -> str:
    return "" if value != value else f"{value:.{digits}f}"


def _pair(old: float, new: float, digits: int) -> str:
    if old != old and new != new:
        return ""
    return f"{_number(old, digits) or '–'} → {_number(new, digits) or '–'}"


def _interval(mean: float, low: float, high: float) -> str:
    return "" if mean != mean else f"{mean:.2f} ({low:.2f} to {high:.2f})"
