"""The order of the work: evidence -> effects -> models -> synthesis, nothing by halves.

Each stage is a module. While it works, the tables of the evidence it reads are noted (`Noted`); its
results stand as long as these (but for columns that are only shown), the code the module leads to,
the lock file and, where something is drawn, the seed are the same and nobody touched what it wrote;
otherwise it is computed again. Stages do not read each
other's results and run as many at a time as there are cores, each in a process of its own
(`workers`); only the synthesis, which weighs what all the others found, comes after. Everything is
computed first and published last, in one step (`store`), so that bad input, a fault or a kill
leaves the results exactly as they were.
"""

from __future__ import annotations

import dataclasses
import io
import json
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module, metadata
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import evidence as evidence_module
from analysis import results, store, workers
from analysis.closure import code_digest
from analysis.evidence import Evidence
from analysis.models import sampling

SEED = 20261124
RAW = Path("data/raw")
OUT = Path("data/processed")
PACKAGES = ("arviz", "numpy", "nutpie", "pandas", "pymc", "pytensor", "scipy", "statsmodels")

PRINTED = frozenset({"notes", "extraction", "title", "doi", "pmid", "pmcid", "location"})
"""Columns of the evidence that are only ever shown. No stage is given them, so that a change in
them makes nothing run again. The journal is none: it names studies whose author nobody saw."""

TOLD_IN_FULL = ("registered_trials", "publication_search")
"""Tables that results retell as they are, titles and notes included."""

_FILES = {"published": "published_meta_analyses.csv", "changes": "CHANGES.csv"}

Progress = Callable[[str, str, str], None]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Stage:
    """One step of the work.

    Attributes
    ----------
    name : how `--only` and the manifest call it.
    module : its `function` (evidence, *, progress) returns the estimates, tables and fits; one in
        which there is a sampler is given the `seed`, too.
    sampled : whether a sampler is in it. Without one its numbers are the same on every machine and
        from every seed.
    last : it comes after all others, and its `run` is also given their `estimates` and `tables`.
    """

    name: str
    module: str
    sampled: bool = False
    last: bool = False
    function: str = "run"


STAGES = (
    Stage("witness", "analysis.stages.witness", sampled=True),
    Stage("robustness", "analysis.stages.robustness"),
    Stage("headlines", "analysis.stages.headlines"),
    Stage("harms", "analysis.stages.harms"),
    Stage("shares", "analysis.stages.shares"),
    Stage("durations", "analysis.stages.durations"),
    Stage("registered", "analysis.stages.registered"),
    Stage("publication", "analysis.stages.publication"),
    Stage("effects", "analysis.stages.effects"),
    Stage("synthesis", "analysis.stages.synthesis", last=True),
)
"""The longest first, so that the workers finish at about the same time."""
STAGE_NAMES = tuple(stage.name for stage in STAGES)


@dataclass(frozen=True)
class RunReport:
    """What a run did.

    Attributes
    ----------
    estimates : the estimates now in force.
    computed, skipped : the stages that ran, and those whose results stood.
    withheld : the fits that failed their gate, of all stages in force: stage, fit, reason, figures.
    healed : stage -> what was wrong with its results, which were computed again for that.
    stale : stages in force that do not match the evidence or the code, for they were not asked for.
    """

    estimates: pd.DataFrame
    computed: tuple[str, ...]
    skipped: tuple[str, ...]
    withheld: tuple[dict, ...] = ()
    healed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    stale: tuple[str, ...] = ()


def run(
    raw: Path = RAW,
    out: Path = OUT,
    *,
    only: Iterable[str] = (),
    seed: int = SEED,
    force: bool = False,
    jobs: int | None = None,
    keep_posteriors: bool = False,
    progress: Progress | None = None,
    waiting: Callable[[], None] = lambda: None,
    stages: tuple[Stage, ...] = STAGES,
    isolate: bool = True,
) -> RunReport:
    """Validate the evidence, compute the stages that need it and replace `out`.

    Parameters
    ----------
    only : stage names; empty means all. Stages whose results are damaged are computed, too.
    force : compute what is asked for even where its results stand, and sample every fit anew.
    jobs : processes at a time; as many as there are cores where it is not given.
    keep_posteriors : write the draws of every fit as NetCDF under `out`/posteriors.
    progress : called with (stage, state, part): state is "start", "part" (a fit of that name
        begins), "done" or "skipped".
    waiting : called once when another run is writing to `out`, before waiting for it.
    isolate : False runs the stages in this process, one after the other (for tests).

    Raises
    ------
    EvidenceError : the evidence has faults.
    WorkerError : a stage failed, or two ways to the same number disagree.
    StoreError : `out` cannot be replaced, or is no folder of results.
    ValueError : `only` names no known stage.

    Whatever is raised, nothing is written.
    """
    raw, out = Path(raw), Path(out)
    _require_known(only, stages)
    evidence = evidence_module.load(raw)
    tell = progress or (lambda stage, state, part: None)
    with store.writing(out, waiting) as staging, workers.Crew(jobs, isolate) as crew:
        work = _Work(evidence, out, staging, seed, force, keep_posteriors, stages, tell)
        asked = tuple(only) or tuple(stage.name for stage in stages)
        if not work.kept.manifest and _holds_results(out):
            asked = tuple(stage.name for stage in stages)  # nothing there can be trusted
        asked = tuple(s.name for s in stages if s.name in asked or s.name in work.kept.damage)
        stale = [s for s in stages if s.name in asked and not s.last and work.must(s)]
        for stage in stages:
            if stage.name in asked and not stage.last and stage not in stale:
                tell(stage.name, "skipped", "")
        work.compute(stale, crew)
        for stage in stages:
            if stage.last and stage.name in asked:
                if work.must(stage):
                    work.compute([stage], crew)
                    stale.append(stage)
                else:
                    tell(stage.name, "skipped", "")
        manifest = work.finish()
        computed = tuple(stage.name for stage in stale)
        estimates = read_text(work.estimates_text, store.ESTIMATES)
    return RunReport(
        estimates,
        computed,
        tuple(name for name in asked if name not in computed),
        withheld_of(manifest),
        {name: words for name, words in work.kept.damage.items() if name in computed},
        tuple(s.name for s in stages if s.name in manifest["stages"] and work.must(s, manifest)),
    )


def withheld_of(manifest: Mapping) -> tuple[dict, ...]:
    """The fits of a manifest that failed their gate: stage, fit, reason and the gate's figures."""
    return tuple(manifest.get("withheld", ()))


def faults_of_results(raw: Path, out: Path, known: Iterable[str] = ()) -> tuple[list[str], str]:
    """Whether results may be shown beside the evidence.

    Parameters
    ----------
    known : names of tables that a reader might take from `out`.

    Returns
    -------
    What forbids it, one line each (damaged tables, results of other evidence); and a remark when
    the results were made by other code than this, else "".

    Raises EvidenceError when the evidence has faults.
    """
    out = Path(out)
    store.settle(out)
    found = store.faults(out, known)
    manifest = read_manifest(out)
    digests = evidence_digests(evidence_module.load(Path(raw)))
    other_code = []
    for stage in STAGES:
        record = manifest.get("stages", {}).get(stage.name)
        if record is None:
            continue
        was, now = record["inputs"], _inputs(stage, SEED)
        changed = _changed(record, digests)
        if changed:
            found.append(f"{stage.name}: made from another {', '.join(changed)}")
        elif stage.last and was.get("results") != _results_digest(manifest["stages"], STAGES):
            found.append(f"{stage.name}: made from other results of the stages before it")
        if was["code"] != now["code"] or was["lock"] != now["lock"]:
            other_code.append(stage.name)
    remark = f"made by other code or packages than these: {', '.join(other_code)}"
    return found, remark if other_code else ""


def read_table(out: Path, name: str) -> pd.DataFrame:
    """A table of data/processed: blank words are "", blank numbers NaN; may have no columns."""
    return read_text((Path(out) / f"{name}.csv").read_text(encoding="utf-8"), name)


def read_text(text: str, name: str = "") -> pd.DataFrame:
    """A table from the text of its file, as `read_table`; a declared one by its declaration."""
    if name in results.TABLES:
        return results.parse(name, text)
    try:
        table = pd.read_csv(io.StringIO(text))
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    words = table.columns[[not pd.api.types.is_numeric_dtype(t) for t in table.dtypes]]
    table[words] = table[words].fillna("")
    return table


def read_manifest(out: Path) -> dict:
    """The manifest of a folder of results; empty where there is none that can be trusted."""
    return store.read_manifest(out)


# --- what a stage depends on -----------------------------------------------------------------


def _require_known(only: Iterable[str], stages: tuple[Stage, ...]) -> None:
    names = [stage.name for stage in stages]
    unknown = [name for name in only if name not in names]
    if unknown:
        raise ValueError(f"no such stage: {', '.join(unknown)}; known: {', '.join(names)}")


class Noted(Evidence):
    """The evidence as a stage sees it, without the columns `PRINTED`; it notes the tables read."""

    @classmethod
    def of(cls, evidence: Evidence) -> Noted:
        """Evidence of which no table has been read yet."""
        whole = {
            field.name: getattr(evidence, field.name) for field in dataclasses.fields(evidence)
        }
        made = cls(**{**whole, **_shown(evidence), "digests": {}})
        object.__setattr__(made, "noted", set())
        return made

    def __getattribute__(self, name: str):
        value = super().__getattribute__(name)
        if isinstance(value, pd.DataFrame):
            super().__getattribute__("noted").add(name)
        return value


def _shown(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """The tables of the evidence without the columns `PRINTED`."""
    return {
        name: value.drop(columns=[c for c in value if c in PRINTED and name not in TOLD_IN_FULL])
        for name, value in vars(evidence).items()
        if isinstance(value, pd.DataFrame)
    }


def _file(table: str) -> str:
    return _FILES.get(table, f"{table}.csv")


def evidence_digests(evidence: Evidence) -> dict[str, str]:
    """The digest of each table of the evidence, without the columns `PRINTED`, by file name.

    Where a row stands in its file is no part of it: no result depends on that.
    """
    return {
        _file(name): store.digest(
            table.drop(columns="line").to_csv(index=False, lineterminator="\n").encode()
        )
        for name, table in _shown(evidence).items()
    }


def _inputs(stage: Stage, seed: int) -> dict:
    """What decides the results of a stage beside the evidence."""
    drawn = {"seed": seed} if stage.sampled else {}
    return {"code": code_digest(stage.module), "lock": lock_digest(), **drawn}


def _changed(record: Mapping, digests: Mapping[str, str]) -> list[str]:
    """The files a stage has read that are not what they were then."""
    read = record["inputs"]["evidence"]
    return [file for file in read if read[file] != digests.get(file)]


def _results_digest(records: Mapping[str, Mapping], stages: tuple[Stage, ...]) -> str:
    """What the stages in force before the last have left, as one digest."""
    left = [
        [stage.name, records[stage.name]["tables"], records[stage.name]["estimates"]["digest"]]
        for stage in stages
        if not stage.last and stage.name in records
    ]
    return store.digest(json.dumps(left, sort_keys=True).encode())


@cache
def lock_digest() -> str:
    """Digest of requirements.lock where the project is run from its checkout, else empty."""
    path = Path(__file__).parent.parent / "requirements.lock"
    return store.digest(path.read_bytes().replace(b"\r\n", b"\n")) if path.exists() else ""


@cache
def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("isletmeta", *PACKAGES)}


def _holds_results(out: Path) -> bool:
    return any((out / name).exists() for name in (store.MANIFEST, f"{store.ESTIMATES}.csv"))


# --- one run -------------------------------------------------------------------------------------


class _Work:
    """A run at work: what the folder of results holds, and what is added to it in `staging`."""

    def __init__(self, evidence, out, staging, seed, force, keep_posteriors, stages, tell):
        self.evidence, self.out, self.staging, self.tell = evidence, out, staging, tell
        self.seed, self.force, self.keep_posteriors = seed, force, keep_posteriors
        self.stages = stages
        self.kept = store.read(out)
        self.digests = evidence_digests(evidence)
        self.records: dict[str, dict] = {}
        self.parts = dict(self.kept.estimates)
        self.estimates_text = ""

    def in_force(self) -> dict[str, dict]:
        """The record of every stage whose results stand: new ones, and sound ones from before."""
        before = self.kept.manifest.get("stages", {})
        return {
            stage.name: self.records.get(stage.name) or before[stage.name]
            for stage in self.stages
            if stage.name in self.records or stage.name in self.kept.sound
        }

    def wanted(self, stage: Stage) -> dict:
        """The inputs a stage has in this run, beside the evidence."""
        inputs = _inputs(stage, self.seed)
        if stage.last:
            inputs["results"] = _results_digest(self.in_force(), self.stages)
        return inputs

    def stands(self, stage: Stage, record: Mapping) -> bool:
        """Whether what a stage has left comes from the inputs of this run."""
        others = {name: value for name, value in record["inputs"].items() if name != "evidence"}
        return others == self.wanted(stage) and not _changed(record, self.digests)

    def must(self, stage: Stage, manifest: Mapping | None = None) -> bool:
        """Whether a stage is to be computed; given the final manifest, whether it is stale."""
        if manifest is not None:
            return not self.stands(stage, manifest["stages"][stage.name])
        record = self.in_force().get(stage.name)
        if self.force or record is None or not self.stands(stage, record):
            return True
        wanting = self.keep_posteriors and stage.sampled
        return wanting and not any((self.out / store.POSTERIORS).glob(f"{stage.name}-*.nc"))

    def compute(self, stages: list[Stage], crew: workers.Crew) -> None:
        """Compute stages and keep their records; their files stand in `staging`."""
        tasks = []
        for stage in stages:
            further = {"seed": self.seed} if stage.sampled else {}
            if stage.last:
                further |= self._left_by_others()
            arguments = (stage, self.evidence, self.staging, self.force,
                         self.keep_posteriors, further)  # fmt: skip
            tasks.append(workers.Task(stage.name, _run_stage, arguments))
        made = crew.run(tasks, self.tell)
        for stage in stages:
            record = made[stage.name]
            self.parts[stage.name] = text = record.pop("text")
            estimates = {"digest": store.part_digest(text)}
            read = {file: self.digests[file] for file in record.pop("read")}
            inputs = {"evidence": read, **self.wanted(stage)}
            self.records[stage.name] = {"inputs": inputs, **record, "estimates": estimates}

    def _parts_in_force(self) -> dict[str, str]:
        return {name: self.parts[name] for name in self.in_force()}

    def _left_by_others(self) -> dict:
        """What the last stage weighs: estimates and tables in force of the stages before it."""
        last = {stage.name for stage in self.stages if stage.last}
        parts = {n: text for n, text in self._parts_in_force().items() if n not in last}
        tables = {
            table: read_text(self._bytes(table).decode("utf-8"), table)
            for name, record in self.in_force().items()
            if name not in last
            for table in record["tables"]
        }
        joined = store.join_estimates(parts)[0]
        return {"estimates": read_text(joined, "estimates"), "tables": tables}

    def _bytes(self, table: str) -> bytes:
        path = self.staging / f"{table}.csv"
        return path.read_bytes() if path.exists() else self.kept.tables[table]

    def finish(self) -> dict:
        """Complete `staging` and publish it, where anything is new; the manifest in force."""
        records = self.in_force()
        self.estimates_text, places = store.join_estimates(self._parts_in_force())
        for name in records:
            records[name] = {**records[name], "estimates": places[name]}
        manifest = self._manifest(records)
        same = store.sealed(manifest) == store.sealed(self.kept.manifest)
        if same and self.kept.whole and not self.kept.damage:
            return manifest
        for record in records.values():
            for table, expected in record["tables"].items():
                data = self._bytes(table)
                if store.digest(data) != expected:
                    raise store.StoreError(f"{table}.csv changed while the run was at work")
                (self.staging / f"{table}.csv").write_bytes(data)
        self._keep_draws(records)
        path = self.staging / f"{store.ESTIMATES}.csv"
        path.write_bytes(self.estimates_text.encode("utf-8"))
        (self.staging / store.MANIFEST).write_bytes(store.sealed(manifest).encode("utf-8"))
        with workers.undisturbed():
            store.publish(self.staging, self.out)
        return manifest

    def _keep_draws(self, records: Mapping) -> None:
        """Take along the posteriors of the stages whose results stood."""
        for path in (self.out / store.POSTERIORS).glob("*.nc"):
            stage = path.name.split("-", 1)[0]
            if stage in records and stage not in self.records:
                target = self.staging / store.POSTERIORS / path.name
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(path.read_bytes())

    def _manifest(self, records: Mapping[str, Mapping]) -> dict:
        before = self.kept.manifest
        made = {
            "isletmeta": _versions()["isletmeta"],
            "python": platform.python_version(),
            "seed": self.seed,
            "packages": {name: _versions()[name] for name in PACKAGES},
            "lock": lock_digest(),
            "code": code_digest(*sorted({stage.module for stage in self.stages})),
        }
        if not self.records:  # nothing computed: what computed it stays the truth
            made = {name: before[name] for name in made if name in before}
        withheld = [
            {"stage": stage, "fit": fit, "reason": figures["withheld"],
             **{key: value for key, value in figures.items() if key != "withheld"}}
            for stage, record in records.items()
            for fit, figures in record["fits"].items() if "withheld" in figures
        ]  # fmt: skip
        return {
            "format": store.FORMAT,
            **made,
            "data": dict(sorted(self.evidence.digests.items())),
            "estimates_digest": store.digest(self.estimates_text.encode("utf-8")),
            "withheld": withheld,
            "stages": dict(records),
        }


# --- one stage, in a process of the crew --------------------------------------------------------


def _run_stage(
    stage: Stage,
    evidence: Evidence,
    staging: Path,
    force: bool,
    keep: bool,
    further: dict,
    tell: Progress,
) -> dict:
    """Compute one stage and write its tables (and posteriors) under `staging`; its record."""
    tell(stage.name, "start", "")
    progress = partial(tell, stage.name, "part")
    seen = Noted.of(evidence)
    token = sampling.fresh.set(force)
    try:
        with sampling.recorded() as fits:
            try:
                compute = getattr(import_module(stage.module), stage.function)
                result = compute(seen, progress=progress, **further)
                estimates, tables = result.estimates, result.tables
                _require_tables(stage, tables)
            except sampling.DiagnosticError:  # it cannot do without a fit that it did not get
                result, estimates, tables = None, pd.DataFrame(), {}
    finally:
        sampling.fresh.reset(token)
    digests = {}
    for name in sorted(tables):
        data = results.as_text(tables[name]).encode("utf-8")
        (staging / f"{name}.csv").write_bytes(data)
        digests[name] = store.digest(data)
    judged = {fit.name: _figures(fit) for fit in fits}
    for name, reason in getattr(result, "withheld", {}).items():
        judged[name] = {**NO_FIGURES, **judged.get(name, {}), "withheld": reason}
    if keep:
        _write_posteriors(stage.name, fits, staging / store.POSTERIORS)
    tell(stage.name, "done", "")
    read = sorted(_file(table) for table in seen.noted)
    return {"read": read, "tables": digests, "fits": judged, "text": results.as_text(estimates)}


def _require_tables(stage: Stage, tables: Mapping[str, object]) -> None:
    """A stage of the package writes the tables that its room of declarations declares, all."""
    package, _, room = stage.module.rpartition(".")
    wanted = set(results.written_by(room)) if package == "analysis.stages" else set(tables)
    wrong = sorted(wanted ^ set(tables))
    if wrong:
        raise results.ContractError(f"{stage.name}: tables not made or not its own: {wrong}")


def _write_posteriors(stage: str, fits: Iterable[sampling.Fit], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for fit in fits:
        if not fit.withheld:
            name = "".join(c if c.isalnum() or c in "-_" else "-" for c in fit.name)
            fit.tree.to_netcdf(folder / f"{stage}-{name}.nc", engine="h5netcdf")


NO_FIGURES = {"max_rhat": None, "min_ess_bulk": None, "min_ess_tail": None, "divergences": None,
              "draws": 0, "attempts": 0}  # fmt: skip
"""What the gate saw of a fit that was never sampled."""


def _figures(fit: sampling.Fit) -> dict:
    """What the gate saw of a fit, and why it is withheld where it is."""
    d = fit.diagnostics
    figures = {
        "max_rhat": _rounded(d.max_rhat, 4),
        "min_ess_bulk": _rounded(d.min_ess_bulk),
        "min_ess_tail": _rounded(d.min_ess_tail),
        "divergences": d.divergences,
        "draws": d.n_draws,
        "attempts": fit.attempts,
    }
    return {**figures, "withheld": fit.withheld} if fit.withheld else figures


def _rounded(value: float, digits: int = 0) -> float | None:
    """A figure for the manifest; None where it is not a number (JSON has no word for it)."""
    if not np.isfinite(value):
        return None
    return round(value, digits) if digits else round(value)
