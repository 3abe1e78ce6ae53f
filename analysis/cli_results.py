"""The verbs about results: `isletmeta run`, `isletmeta report` and `isletmeta reproduce`.

`register(app)` puts them on the command line. Exit status: 0 when all is well, 1 when the evidence
has faults, a stage fails or results are not what they should be, 2 for a wrong call, 3 for
`run --strict` when a fit is withheld, 130 when interrupted.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from analysis import cli_study
from analysis.console import console, errors, fail, remark, say

if TYPE_CHECKING:
    import pandas as pd

    from analysis import pipeline

RawOption = Annotated[Path, typer.Option("--raw", help="folder of the evidence tables")]
OutOption = Annotated[Path, typer.Option("--out", help="folder of the results")]
SeedOption = Annotated[int | None, typer.Option("--seed", help="seed of every random draw")]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="processes at a time [default: the cores there are]"),
]


SHOWN = 60
"""Figures that are not reproduced are named up to this number."""


def register(app: typer.Typer) -> None:
    """Put `run`, `report` and `reproduce` on the command line."""
    app.command()(run)
    app.command()(report)
    app.command()(reproduce)


# --- run ---------------------------------------------------------------------------------------


def run(
    raw: RawOption = Path("data/raw"),
    out: OutOption = Path("data/processed"),
    only: Annotated[list[str] | None, typer.Option(help="stage to run; may be repeated")] = None,
    seed: SeedOption = None,
    jobs: JobsOption = None,
    force: Annotated[
        bool, typer.Option(help="compute what stands, too, and take no fit from the cache")
    ] = False,
    strict: Annotated[bool, typer.Option(help="exit 3 when a fit is withheld")] = False,
    keep_posteriors: Annotated[
        bool, typer.Option(help="write the draws of every fit as NetCDF, OUT/posteriors")
    ] = False,
) -> None:
    """Validate, compute effects, fit the models and write the results.

    Only what changed is computed. A fit that fails its gate (R-hat, effective sample size,
    divergences) is withheld: what would come from it is absent, and it is named here, in the report
    and in the manifest.
    """
    cli_study.settled(raw)
    done = _run(raw, out, only=only or [], seed=seed, jobs=jobs, force=force,
                keep_posteriors=keep_posteriors)  # fmt: skip
    if "approach" in done.estimates:
        console.print(_headline(done.estimates))
    for stage, words in done.healed.items():
        remark(f"computed again: {stage}: {words}")
    if done.skipped:
        say(f"unchanged, not run again: {', '.join(done.skipped)}")
    if done.stale:
        remark(f"not of this evidence or code, and not asked for: {', '.join(done.stale)}")
    say(f"results in {out}")
    for fit in done.withheld:
        remark(f"withheld: {fit['stage']} {fit['fit']}: {fit['reason']}")
    if done.withheld and strict:
        raise typer.Exit(3)


def _run(raw: Path, out: Path, *, seed: int | None, **options: Any) -> pipeline.RunReport:
    """Run the pipeline with a progress display; faults and failures end with status 1."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from analysis import evidence, pipeline, store, workers

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
                seed=pipeline.SEED if seed is None else seed,
                progress=tell,
                waiting=lambda: remark(f"another run is writing to {out}; waiting for it"),
                **options,
            )
        except (evidence.EvidenceError, workers.WorkerError, store.StoreError) as error:
            raise fail(str(error)) from None
        except ValueError as error:
            raise fail(str(error), 2 if "no such stage" in str(error) else 1) from None


COLUMNS: tuple[tuple[str, Literal["left", "right"]], ...] = (
    ("stratum", "left"), ("outcome", "left"), ("k", "right"), ("n", "right"),
    ("mean", "right"), ("95 % interval", "right"), ("a new study", "right"),
)  # fmt: skip


def _headline(estimates: pd.DataFrame) -> Table:
    """The controlled means of every stratum, as readers see them."""
    from analysis import outcomes, results, vocabulary

    table = Table(title="Against control groups (95 % credible interval)", title_justify="left")
    for name, justify in COLUMNS:
        table.add_column(name, justify=justify, overflow="fold")
    means = results.find(estimates, quantity="mean", design="controlled", variant="headline",
                         method="exact")  # fmt: skip
    for row in means.itertuples():
        about = outcomes.get(row.outcome)
        wanted = "ratio" if about.is_ratio else about.scale
        if row.scale != wanted or row.approach == "all" or row.population == "all":
            continue
        if "no headline" in row.note:
            continue
        where = f"{vocabulary.APPROACHES[row.approach]}, {vocabulary.POPULATIONS[row.population]}"
        table.add_row(where, about.short, _count(row.k_studies), _count(row.n_patients),
                      _number(row.mean), _range(row.ci_low, row.ci_high),
                      _range(row.pred_low, row.pred_high))  # fmt: skip
    return table


def _count(value: float) -> str:
    return "" if value != value else f"{value:.0f}"


def _number(value: float) -> str:
    return "" if value != value else f"{value:.2f}"


def _range(low: float, high: float) -> str:
    return "" if low != low or high != high else f"{low:.2f} to {high:.2f}"


# --- report ------------------------------------------------------------------------------------


def report(
    raw: RawOption = Path("data/raw"),
    out: OutOption = Path("data/processed"),
    to: Annotated[
        list[str] | None,
        typer.Option(help="html, pdf or docx; may be repeated [default: as --file, else html]"),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="write here [default: beside the source, by its name]")
    ] = None,
    source: Annotated[Path, typer.Option(help="the Quarto source")] = Path("report.qmd"),
    stale_ok: Annotated[
        bool,
        typer.Option(help="render results that do not belong to the evidence; the page says so"),
    ] = False,
) -> None:
    """Render report.qmd: through Quarto where it is installed, else the embedded renderer.

    Results that are damaged, or were made from other evidence than the page shows, are refused.
    Beside a page in HTML stand estimates.json, its JSON Schema, and a description (RO-Crate).
    Examples:

      isletmeta report --to html --to pdf --to docx

      isletmeta report --raw my/evidence --out my/results --file my/report.html
    """
    from analysis import render, store

    render.ahead()
    named = file.suffix.removeprefix(".").lower() if file is not None else ""
    formats = list(dict.fromkeys(to or [named if named in render.FORMATS else "html"]))
    unknown = [form for form in formats if form not in render.FORMATS]
    if unknown:
        raise fail(f"--to {unknown[0]}: allowed are {', '.join(render.FORMATS)}", 2)
    if file is not None and len(formats) > 1:
        raise fail("--file takes one format; without it each is written beside the source", 2)
    if named in render.FORMATS and named not in formats:
        raise fail(f"--file {file}: its name says {named}, --to says {formats[0]}", 2)
    targets = {form: file or source.with_suffix(f".{form}") for form in formats}
    store.settle(out)
    if not (out / "estimates.csv").exists():
        raise fail(f"{out} holds no estimates.csv: run `isletmeta run --raw {raw} --out {out}` "
                   "first")  # fmt: skip
    pool = ThreadPoolExecutor(1)
    checked = pool.submit(_stale, raw, out, stale_ok)  # while the cells run
    wrong = checked.result() if stale_ok else []  # else nothing wrong is rendered
    env = {"ISLETMETA_OUT": str(out.resolve()), "ISLETMETA_RAW": str(raw.resolve()),
           "ISLETMETA_STALE": "; ".join(wrong)}  # fmt: skip
    before = _manifest_digest(out)
    with console.status("rendering the report"):
        try:
            made = render.render_all(source, targets, env=env, ready=checked.result)
        except render.RenderError as error:
            checked.result()
            raise fail(str(error)) from None
        finally:
            pool.shutdown()
    for one in made.values():
        say(f"{one.path} (rendered by {one.renderer})")
    if _manifest_digest(out) != before:
        raise fail(f"{out} was replaced while the report was rendered: render it again")
    if "html" in made:
        from analysis import exchange

        for path in exchange.write(out, {form: one.path for form, one in made.items()}):
            say(f"{path}")
    faults = [f"{one.path}: {fault}" for one in made.values() for fault in one.faults]
    if faults:
        raise fail("\n".join(faults))


def _stale(raw: Path, out: Path, stale_ok: bool) -> list[str]:
    """Why the results do not belong to the evidence; ends the verb unless that is accepted."""
    from analysis import evidence, pipeline, results

    again = f"run `isletmeta run --raw {raw} --out {out}`"
    try:
        wrong, other_code = pipeline.faults_of_results(raw, out, known=results.TABLES)
    except evidence.EvidenceError as error:
        raise fail(str(error)) from None
    if wrong and not stale_ok:
        lines = "\n".join(wrong)
        raise fail(
            f"{out} does not hold the results of {raw}:\n{lines}\n{again}, or give --stale-ok"
        )
    if other_code:
        remark(f"results {other_code}; `isletmeta run` renews them")
    return wrong


def _manifest_digest(out: Path) -> object:
    from analysis import pipeline

    return pipeline.read_manifest(out).get("digest")


# --- reproduce ---------------------------------------------------------------------------------


def reproduce(
    raw: RawOption = Path("data/raw"),
    out: OutOption = Path("data/processed"),
    jobs: JobsOption = None,
    quick: Annotated[
        bool, typer.Option(help="recompute only what no sampler has a part in")
    ] = False,
    strict: Annotated[bool, typer.Option(help="allow identical figures only")] = False,
) -> None:
    """Rerun elsewhere and compare every table with the tracked one, each figure by its own error.

    Also looks whether the evidence and every table are, byte for byte, those of the tracked run.
    Exit status 1 when anything is not reproduced; each such figure is named, with what it may
    differ by. Examples:

      isletmeta reproduce --quick

      isletmeta reproduce --raw my/evidence --out my/results
    """
    from analysis import evidence, pipeline, reproduction, store

    cli_study.settled(raw)
    store.settle(out)
    if not (out / "estimates.csv").exists():
        raise fail(f"{out / 'estimates.csv'}: nothing to compare with")
    try:
        digests = evidence.load(raw).digests
    except evidence.EvidenceError as error:
        raise fail(str(error)) from None
    wrong = [*store.faults(out), *reproduction.changed_evidence(out, digests)]
    for words in wrong:
        say(words)
    manifest = pipeline.read_manifest(out)
    if not manifest:
        raise fail("results without a sound manifest cannot be compared")
    stages = [s.name for s in pipeline.STAGES if not (quick and (s.sampled or s.last))]
    with tempfile.TemporaryDirectory(prefix="isletmeta-") as folder:
        again = Path(folder) / "again"
        _run(raw, again, only=stages if quick else [], seed=manifest["seed"], jobs=jobs, force=True)
        counted, found = reproduction.compare_folders(out, again, stages)
    for verdict, count in counted.items():
        say(f"{count:>7} {verdict}")
    allowed = set() if strict else {reproduction.NEAR}
    failed = [one for one in found if one.verdict not in allowed]
    for one in failed[:SHOWN]:
        say(str(one))
    if len(failed) > SHOWN:
        say(f"... and {len(failed) - SHOWN} more")
    if failed or wrong:
        raise fail(f"not reproduced: {len(failed)} figures, {len(wrong)} files")
    say("reproduced" if not quick else "reproduced, as far as no sampler has a part in it")
