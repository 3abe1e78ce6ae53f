"""Fixtures shared by the tests: the tracked evidence, and a copy of it that a test may spoil."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest

from analysis import effects, render, store
from analysis import evidence as evidence_module
from analysis.render import quarto

# A loaded machine may be slow at drawing examples; speed is for the benchmarks to judge.
for profile, examples in (("fast", 20), ("all", 300)):
    hypothesis.settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )


def every(*values, fast: int = 1):
    """Values of a parameter of which the first `fast` stand for all: the others are slow."""
    return [*values[:fast], *(pytest.param(v, marks=pytest.mark.slow) for v in values[fast:])]


def examples(fast: int, every: int) -> hypothesis.settings:
    """Settings of a dear property: so many examples in the fast tests, so many with the slow."""
    quick = hypothesis.settings.default.max_examples < 100
    return hypothesis.settings(max_examples=fast if quick else every)


def pytest_configure(config: pytest.Config) -> None:
    """`make test` draws 20 examples of a property, with the slow tests there are 300."""
    hypothesis.settings.load_profile("fast" if "not slow" in config.option.markexpr else "all")


os.environ["ISLETMETA_CACHE"] = ""  # no test takes a fit from another run

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def tracked_raw() -> Path:
    """The tracked folder data/raw: to be read only."""
    return ROOT / "data" / "raw"


@pytest.fixture
def raw_dir(tracked_raw: Path, tmp_path: Path) -> Path:
    """A copy of data/raw that a test may change."""
    copy = tmp_path / "raw"
    shutil.copytree(tracked_raw, copy)
    return copy


@pytest.fixture(scope="session")
def evidence(tracked_raw: Path) -> evidence_module.Evidence:
    """The tracked evidence, read once."""
    return evidence_module.load(tracked_raw)


@pytest.fixture(scope="module")
def built_once(evidence) -> Iterator[effects.EffectsResult]:
    """The effects of the tracked evidence: what asks for them again is given the same."""
    build, read, facts = effects.build, effects.Facts.of, effects.Facts.of(evidence)
    known = build(facts)

    def kept(body, rules=None, **choices):
        same = (body is evidence or body is facts) and rules in (None, effects.Rules())
        return known if same and not choices else build(body, rules, **choices)

    def kept_facts(body):
        return facts if body is evidence else read(body)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(effects, "build", kept)
        patch.setattr(effects.Facts, "of", staticmethod(kept_facts))
        yield known


@pytest.fixture(scope="session")
def call():
    """The command line in this process: `call("add", "--raw", folder, input="y")`, its result."""
    from typer.testing import CliRunner

    from analysis.cli import app

    def run(*words, **more):
        return CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False, **more)

    return run


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> Callable[[str, Callable[[Path], None]], Path]:
    """Makes what is dear once for all workers of pytest-xdist.

    `once(name, make)` is a folder that `make(folder)` has filled; the worker that comes second
    waits for the first. Tests read it only.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder = shared / name
        with store.locked(folder):
            if not folder.exists():
                unfinished = shared / f"{name}.part"
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                make(unfinished)
                unfinished.rename(folder)
        return folder

    return made


@pytest.fixture(scope="session")
def run_folder(once) -> Path:
    """The tracked results: to be read only. Skips where they are of another contract."""
    from analysis import results

    folder = Path(os.environ.get("ISLETMETA_TEST_RUN", ROOT / "data" / "processed"))

    def make(judged: Path) -> None:
        try:
            for name in results.TABLES:
                results.read(folder, name)
        except results.ContractError as error:
            (judged / "fault").write_text(str(error), encoding="utf-8")

    fault = once("contract", make) / "fault"
    if fault.exists():
        told = fault.read_text(encoding="utf-8")
        pytest.skip(f"{folder} is of another version: run `make report` first ({told})")
    return folder


@pytest.fixture(scope="session")
def stub_results(tracked_raw, once) -> Path:
    """Results of all stub stages on the tracked evidence, made once: to be read only."""
    import stub_stages

    from analysis import pipeline

    def make(folder: Path) -> None:
        pipeline.run(tracked_raw, folder, stages=stub_stages.STAGES, isolate=False)

    return once("stub-results", make)


def rendered(folder: Path, run_folder: Path, *formats: str) -> None:
    """Render the whole report into a folder by the embedded renderer, on the tracked results."""
    targets = {form: folder / f"report.{form}" for form in formats}
    with without_quarto():
        made = render.render_all(
            ROOT / "report.qmd", targets, env={"ISLETMETA_OUT": str(run_folder)}
        )
    faults = {form: each.faults for form, each in made.items()}
    (folder / "faults.json").write_text(json.dumps(faults), encoding="utf-8")


@pytest.fixture(scope="session")
def whole_page(run_folder, once) -> Path:
    """The file of the whole report in HTML, made once."""
    return once("page", lambda folder: rendered(folder, run_folder, "html")) / "report.html"


@pytest.fixture(scope="session")
def on_paper(run_folder, once) -> dict[str, render.Rendered]:
    """The whole report in PDF and Word, made once: dear, for slow tests."""
    folder = once("paper", lambda folder: rendered(folder, run_folder, "pdf", "docx"))
    faults = json.loads((folder / "faults.json").read_text(encoding="utf-8"))
    return {
        form: render.Rendered(folder / f"report.{form}", "", found)
        for form, found in faults.items()
    }


@pytest.fixture(scope="session")
def tracked_run(run_folder, tracked_raw):
    """The tracked run as the report reads it: to be read only."""
    from analysis.report import load

    return load(run_folder, tracked_raw)


@pytest.fixture(scope="session")
def text_of(tracked_run, once) -> Callable[..., dict[str, str]]:
    """The text of the report by its place, computed once a kind of run.

    `text_of("tracked")` is that of the tracked run; `text_of("few")`, `text_of("nobody")` and
    `text_of("turned")` are those of runs made from it. What stands in the tables of other people's
    words and in figures is left out unless `verbatim` or `figures` asks for it.
    """
    import mirror
    import report_text

    kinds = {"few": report_text.Few, "nobody": report_text.Nobody, "turned": mirror.Mirror}

    def text(kind: str, *, verbatim: bool = False, figures: bool = False) -> dict[str, str]:
        def make(folder: Path) -> None:
            if kind in kinds:
                run = kinds[kind](tracked_run.out, tracked_run.evidence)
                said = report_text.said(run)
            else:
                said = report_text.said(tracked_run, verbatim=True, figures=True)
            (folder / "text.json").write_text(json.dumps(said), encoding="utf-8")

        found = json.loads((once(f"text-{kind}", make) / "text.json").read_text(encoding="utf-8"))
        hidden = () if verbatim else report_text.VERBATIM
        hidden += () if figures else ("fig-",)
        return {place: words for place, words in found.items() if not place.startswith(hidden)}

    return text


@contextmanager
def without_quarto() -> Iterator[None]:
    """As on a machine where Quarto is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("QUARTO_PATH", raising=False)
        patch.setattr(quarto.shutil, "which", lambda name: None)
        yield
