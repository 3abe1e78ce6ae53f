"""The command line: `isletmeta check | run | report | reproduce | explain | add | diff |
registry | status`.

Exit status: 0 when all is well, 1 when the evidence or a comparison is not, 2 for a wrong call,
3 for `run --strict` when a fit is withheld. Heavy libraries are imported only by the verbs that
need them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analysis import __version__, cli_registry, cli_results, cli_study
from analysis.console import Verbs, console, errors, remark, tolerate

app = typer.Typer(
    cls=Verbs,
    add_completion=False,
    no_args_is_help=True,
    help="Can stem cells restore insulin in people with diabetes, for how long, at what risk?",
)
RawOption = Annotated[Path, typer.Option("--raw", help="folder of the evidence tables")]


def _version(wanted: bool) -> None:
    if wanted:
        console.print(f"isletmeta {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    root = Path(__file__).resolve().parent.parent
    if Path("analysis/cli.py").exists() and Path("analysis").resolve().parent != root:
        remark(f"note: this runs the code of {root}, not of this folder; `make setup` mends that")


def _fail(message: str, status: int = 1) -> typer.Exit:
    errors.print(message, markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(status)


@app.command()
def check(
    raw: RawOption = Path("data/raw"),
    strict: Annotated[bool, typer.Option("--strict", help="let oddities fail, too")] = False,
) -> None:
    """Validate the evidence: a summary with oddities, or every fault, one a line.

    A fault is impossible (more patients than the study has); an oddity is unlikely (a spread far
    from those of other studies) and stops nothing, but with --strict. Each names file, line and
    column, what stands there and what it is held against.

    Example: isletmeta check --raw data/raw --strict
    """
    from analysis import checking, evidence

    cli_study.settled(raw)
    try:
        loaded = evidence.load(raw)
    except evidence.EvidenceError as error:
        lines = "\n".join(str(fault) for fault in error.faults)
        told = "1 fault" if len(error.faults) == 1 else f"{len(error.faults)} faults"
        raise _fail(f"{lines}\n{told} in {raw}") from None
    for what, count in evidence.summary(loaded).items():
        console.print(f"{count:>6} {what}", markup=False, highlight=False)
    oddities = checking.oddities(loaded)
    console.print(f"{len(oddities):>6} oddities", highlight=False)
    for oddity in oddities:
        console.print(f"oddity: {oddity}", markup=False, highlight=False, soft_wrap=True)
    if strict and oddities:
        raise _fail(f"{len(oddities)} oddities in {raw}, and --strict lets none pass")


cli_results.register(app)
cli_study.register(app)
cli_registry.register(app)


def main() -> None:
    """The console script."""
    tolerate()
    app()


if __name__ == "__main__":
    main()
