"""The command line: `isletmeta check | run | report | reproduce | explain | add | diff |
registry | status`.

Exit status: 0 when all is well, 1 when the evidence or a comparison is not, 2 for a wrong call,
3 for `run --strict` when a fit is withheld. Heavy libraries are imported only by the verbs that
need them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from analysis import __version__, cli_registry, cli_study

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Can stem cells restore insulin in people with diabetes, for how long, at what risk?",
)
console = Console()
errors = Console(stderr=True)

RawOption = Annotated[Path, typer.Option("--raw", help="folder of the evidence tables")]
OutOption = Annotated[Path, typer.Option("--out", help="folder of the results")]
SeedOption = Annotated[int | None, typer.Option("--seed", help="seed of every random draw")]


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
    pass


def _fail(message: str, status: int = 1) -> typer.Exit:
    errors.print(message, markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(status)


@app.command()
def check(raw: RawOption = Path("data/raw")) -> None:
    """Validate the evidence: a summary, or every fault, one a line."""
    from analysis import effects, evidence

    cli_study.settled(raw)
    faults = evidence.check(raw)
    if faults:
        lines = "\n".join(str(fault) for fault in faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise _fail(f"{lines}\n{count} in {raw}")
    loaded = evidence.load(raw)
    for what, count in evidence.summary(loaded).items():
        console.print(f"{count:>6} {what}", markup=False, highlight=False)
    oddities = sorted([*evidence.warnings(loaded), *effects.oddities(loaded)])
    console.print(f"{len(oddities):>6} oddities", highlight=False)
    for warning in oddities:
        console.print(f"oddity: {warning}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def run(
    raw: RawOption = Path("data/raw"),
    out: OutOption = Path("data/processed"),
    only: Annotated[list[str] | None, typer.Option(help="stage to run; may be repeated")] = None,
    seed: SeedOption = None,
    force: Annotated[bool, typer.Option(help="run stages that are up to date, too")] = False,
    strict: Annotated[bool, typer.Option(help="exit 3 when a fit is withheld")] = False,
) -> None:
    """Validate, compute effects, fit the models and write the results.

    A fit that fails its gate (R-hat, effective sample size, divergences) is withheld: what would
    come from it is absent, and it is named here, in the report and in the manifest.
    """
    cli_study.settled(raw)
    report = _run(raw, out, only or [], seed, force)
    console.print(_headline(report.estimates))
    if report.skipped:
        console.print(f"unchanged, not run again: {', '.join(report.skipped)}", highlight=False)
    console.print(f"results in {out}", highlight=False)
    for fit in report.withheld:
        errors.print(f"withheld: {fit['stage']} {fit['fit']}: {fit['reason']}", markup=False,
                     highlight=False, soft_wrap=True)  # fmt: skip
    if report.withheld and strict:
        raise typer.Exit(3)


def _run(raw, out, only, seed, force):
    """Run the pipeline with a progress display; faults and failed fits end with status 1."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from analysis import evidence, pipeline

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=False) as bar:
        tasks, parts = {}, {}

        def tell(stage: str, state: str, part: str) -> None:
            if state == "start":
                tasks[stage], parts[stage] = bar.add_task(f"{stage:<14}", total=1), 0
            elif state == "part":
                parts[stage] += 1
                bar.update(tasks[stage], description=f"{stage:<14} {parts[stage]:>3}  {part}")
            elif state == "done":
                bar.update(tasks[stage], completed=1, description=f"{stage:<14} done")

        try:
            return pipeline.run(
                raw,
                out,
                only=only,
                seed=pipeline.SEED if seed is None else seed,
                force=force,
                progress=tell,
            )
        except evidence.EvidenceError as error:
            raise _fail(str(error)) from None
        except ValueError as error:
            raise _fail(str(error), 2 if "no such stage" in str(error) else 1) from None
        except RuntimeError as error:
            raise _fail(str(error)) from None


HEADLINES = (
    ("C-peptide, ratio of means", "c_peptide_ratio", "mean_controlled", "ratio"),
    ("C-peptide, ratio of means", "c_peptide_ratio", "mean_uncontrolled", "ratio"),
    ("C-peptide gain, nmol/L", "c_peptide_gain", "mean_controlled", "difference"),
    ("C-peptide gain, nmol/L", "c_peptide_gain", "mean_uncontrolled", "difference"),
    ("HbA1c, percentage points", "hba1c", "mean_controlled", "difference"),
    ("HbA1c, percentage points", "hba1c", "mean_uncontrolled", "difference"),
    ("insulin dose, ratio", "insulin_dose", "mean_controlled", "ratio"),
    ("insulin dose, ratio", "insulin_dose", "mean_uncontrolled", "ratio"),
    ("ever insulin-independent, share", "ever_independent", "p_ever", "probability"),
    ("still independent, of these", "independence_survival", "s_12", "probability"),
    ("still independent, of these", "independence_survival", "s_60", "probability"),
    ("deaths per 100 patient-years", "safety", "death:any:rate", "per_100_patient_years"),
    ("severe infections, same", "safety", "severe_infection:any:rate", "per_100_patient_years"),
    ("malignancies, same", "safety", "malignancy_or_tumour:any:rate", "per_100_patient_years"),
)
"""Label, outcome, estimand and scale of what a reader asks for first."""


def _headline(estimates) -> Table:
    """The pooled estimates a reader asks for first, those that are there."""
    table = Table(title="Pooled estimates, all studies (95 % credible interval)",
                  title_justify="left")  # fmt: skip
    for name, justify in (
        ("outcome", "left"), ("estimand", "left"), ("k", "right"), ("n", "right"),
        ("mean", "right"), ("95 % interval", "right"), ("a new study", "right"),
    ):  # fmt: skip
        table.add_column(name, justify=justify, overflow="fold")
    pooled = estimates[(estimates["method"] == "nuts") & (estimates["group_kind"] == "all")]
    for label, *wanted in HEADLINES:
        chosen = pooled[(pooled[["outcome", "estimand", "scale"]] == wanted).all(axis=1)]
        for row in chosen.itertuples():
            table.add_row(
                label, row.estimand.removeprefix("mean_"), _count(row.k_studies),
                _count(row.n_patients), _number(row.mean), _range(row.ci_low, row.ci_high),
                _range(row.pred_low, row.pred_high),
            )  # fmt: skip
    return table


def _count(value: float) -> str:
    return "" if value != value else f"{value:.0f}"


def _number(value: float) -> str:
    return "" if value != value else f"{value:.2f}"


def _range(low: float, high: float) -> str:
    return "" if low != low or high != high else f"{low:.2f} to {high:.2f}"


@app.command()
def report(
    out: OutOption = Path("data/processed"),
    to: Annotated[str, typer.Option(help="html, pdf or docx")] = "html",
    source: Annotated[Path, typer.Option(help="the Quarto source")] = Path("report.qmd"),
) -> None:
    """Render report.qmd: through Quarto where it is installed, else the embedded renderer."""
    from analysis import render

    if to not in render.FORMATS:
        raise _fail(f"--to {to}: allowed are {', '.join(render.FORMATS)}", 2)
    if not (out / "estimates.csv").exists():
        raise _fail(f"{out} holds no estimates.csv: run `isletmeta run --out {out}` first")
    target = source.with_suffix(f".{to}")
    with console.status("rendering the report"):
        try:
            made = render.render(source, target, to=to, env={"ISLETMETA_OUT": str(out.resolve())})
        except render.RenderError as error:
            raise _fail(str(error)) from None
    console.print(f"{made.path} (rendered by {made.renderer})", highlight=False)
    if made.faults:
        raise _fail("\n".join(f"{made.path}: {fault}" for fault in made.faults))


@app.command()
def reproduce(
    raw: RawOption = Path("data/raw"),
    out: OutOption = Path("data/processed"),
    strict: Annotated[bool, typer.Option(help="allow identical numbers only")] = False,
) -> None:
    """Rerun everything in a temporary folder and compare each estimate with the tracked one."""
    from analysis import pipeline, reproduction

    cli_study.settled(raw)
    tracked_path = out / "estimates.csv"
    if not tracked_path.exists():
        raise _fail(f"{tracked_path}: nothing to compare with")
    seed = pipeline.read_manifest(out).get("seed", pipeline.SEED)
    with tempfile.TemporaryDirectory(prefix="isletmeta-") as folder:
        again = _run(raw, Path(folder), [], seed, True).estimates
    compared = reproduction.compare(pipeline.read_table(out, "estimates"), again)
    counts = compared["verdict"].value_counts()
    for verdict, count in counts.items():
        console.print(f"{count:>5} {verdict}", highlight=False)
    allowed = {"identical"} if strict else {"identical", "within Monte-Carlo error"}
    wrong = compared[~compared["verdict"].isin(allowed)]
    for row in wrong.itertuples():
        console.print(
            f"{row.verdict}: {row.outcome} {row.group} {row.estimand} {row.method}: "
            f"{row.mean:.6g} -> {row.mean_again:.6g}", markup=False, highlight=False
        )  # fmt: skip
    if len(wrong):
        raise _fail(f"{len(wrong)} of {len(compared)} estimates are not reproduced")
    console.print("reproduced", highlight=False)


@app.command()
def explain(effect_id: str, raw: RawOption = Path("data/raw")) -> None:
    """Walk one effect back to the raw rows it came from."""
    from analysis import effects, evidence

    cli_study.settled(raw)
    try:
        loaded = evidence.load(raw)
        lines = effects.explain(effects.build(loaded).effects, loaded, effect_id)
    except evidence.EvidenceError as error:
        raise _fail(str(error)) from None
    except KeyError as error:
        raise _fail(str(error.args[0])) from None
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


cli_study.register(app)
cli_registry.register(app)


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
