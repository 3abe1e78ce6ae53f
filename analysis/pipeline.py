"""The order of the work: evidence -> effects -> models -> synthesis, nothing by halves.

Each stage declares which evidence it reads. A stage whose inputs (evidence files, code, lock, seed)
and outputs are unchanged is skipped. Stages do not read each other's results and run two at a time,
each in a process of its own; only `synthesis`, which weighs what all the others found, comes after.
Everything is computed first and written last, so that bad input or a failed fit leaves
data/processed exactly as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from importlib import import_module, metadata
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import evidence as evidence_module
from analysis.escape import csv_table
from analysis.models import sampling
from analysis.models.result import ESTIMATE_COLUMNS, ModelResult, estimates_table

SEED = 20261124
RAW = Path("data/raw")
OUT = Path("data/processed")
POSTERIORS = "posteriors"
PACKAGES = ("arviz", "numpy", "nutpie", "pandas", "pymc", "pytensor", "scipy", "statsmodels")
FLOAT_FORMAT = "%.8g"

WORKERS = 2
NOT_NUMBERS = {"report", "render", "cli.py", "cli_study.py", "newstudy.py", "difference.py",
               "calibrate.py", "patient_level.py"}  # fmt: skip
"""Parts of the package that no result of a run depends on."""

Progress = Callable[[str, str, str], None]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Stage:
    """One step of the work.

    Attributes
    ----------
    name : how `--only` and the manifest call it.
    reads : the files of data/raw it depends on.
    run : evidence, seed, progress -> ModelResult; None for the synthesis.
    """

    name: str
    reads: tuple[str, ...]
    run: Callable[[evidence_module.Evidence, int, Tell], ModelResult] | None


def _model(module: str) -> Callable[[evidence_module.Evidence, int, Tell], ModelResult]:
    """The `run` of a module, imported by the process that needs it."""

    def run_module(evidence, seed: int, tell: Tell) -> ModelResult:
        return import_module(f"analysis.{module}").run(evidence, seed=seed, progress=tell)

    return run_module


def _effects(evidence, seed: int, tell: Tell) -> ModelResult:
    from analysis import crosscheck, effects

    built = effects.build(evidence)
    estimates = crosscheck.run(built.effects)
    return ModelResult(estimates, {"effects": built.effects, "exclusions": built.exclusions})


def _change(evidence, seed: int, tell: Tell) -> ModelResult:
    from analysis import effects
    from analysis.models import change

    return change.run(effects.build(evidence).effects, seed=seed, progress=tell)


_CONTINUOUS = ("studies.csv", "outcomes.csv", "directions.csv")
SYNTHESIS = "synthesis"
STAGES = (
    Stage("change", _CONTINUOUS, _change),
    Stage("independence", ("studies.csv", "independence.csv"), _model("models.independence")),
    Stage("safety", ("studies.csv", "safety.csv"), _model("models.safety")),
    Stage("trajectory", _CONTINUOUS, _model("models.trajectory")),
    Stage("joint", _CONTINUOUS, _model("models.joint")),
    Stage("sensitivity", _CONTINUOUS, _model("sensitivity")),
    Stage("selection", _CONTINUOUS, _model("models.selection")),
    Stage("effects", _CONTINUOUS, _effects),
    Stage(SYNTHESIS, (*_CONTINUOUS, "responders.csv", "independence.csv", "safety.csv"), None),
)
"""The longest first, so that two workers finish at about the same time."""
STAGE_NAMES = tuple(stage.name for stage in STAGES)


@dataclass(frozen=True)
class RunReport:
    """What a run did.

    Attributes
    ----------
    estimates : the estimates now in force.
    computed, skipped : the stages that ran, and those whose results stood.
    withheld : the fits that failed their gate, of all stages in force (`withheld_of`).
    """

    estimates: pd.DataFrame
    computed: tuple[str, ...]
    skipped: tuple[str, ...]
    withheld: tuple[dict, ...] = ()


def run(
    raw: Path = RAW,
    out: Path = OUT,
    *,
    only: Iterable[str] = (),
    seed: int = SEED,
    force: bool = False,
    progress: Progress | None = None,
) -> RunReport:
    """Validate the evidence, compute the stages that need it and write `out`.

    Parameters
    ----------
    only : stage names; empty means all.
    progress : called with (stage, state, part): state is "start", "part" (a fit of that name
        begins), "done" or "skipped".

    Raises
    ------
    EvidenceError : the evidence has faults; nothing is written.
    DisagreementError : two ways to the same number differ; nothing is written.
    ValueError : `only` names no known stage.
    """
    raw, out = Path(raw), Path(out)
    chosen = _choose(only)
    tell = progress or (lambda stage, state, part: None)
    evidence = evidence_module.load(raw)
    before = read_manifest(out)
    keys = {stage.name: _key(stage, evidence, seed) for stage in chosen}
    stale = [s for s in chosen if force or not _is_current(s.name, keys[s.name], before, out)]
    models = [stage for stage in stale if stage.name != SYNTHESIS]
    if models and any(stage.name == SYNTHESIS for stage in chosen):
        stale = [*models, STAGES[-1]]
    for stage in chosen:
        if stage not in stale:
            tell(stage.name, "skipped", "")
    skipped = tuple(stage.name for stage in chosen if stage not in stale)
    if not stale:
        return RunReport(read_table(out, "estimates"), (), skipped, withheld_of(before))

    with tempfile.TemporaryDirectory(prefix="isletmeta-") as folder:
        staging = Path(folder)
        records = _compute(models, raw, staging, seed, tell)
        stages = _in_force(before, records, keys)
        rows = _join_estimates(staging, out, stages, records)
        if len(stale) > len(models):
            tell(SYNTHESIS, "start", "")
            records[SYNTHESIS] = _synthesise(evidence, staging, out, stages)
            stages |= _in_force({}, {SYNTHESIS: records[SYNTHESIS]}, keys)
            tell(SYNTHESIS, "done", "")
        manifest = _manifest(staging, stages, rows, evidence, seed)
        _publish(staging, out, manifest, records)
    computed = tuple(stage.name for stage in stale)
    return RunReport(read_table(out, "estimates"), computed, skipped, withheld_of(manifest))


def withheld_of(manifest: dict) -> tuple[dict, ...]:
    """The fits of a manifest that failed their gate: stage, fit, reason and the gate's figures."""
    return tuple(manifest.get("withheld", ()))


def read_table(out: Path, name: str) -> pd.DataFrame:
    """A table of data/processed: blank words are "", blank numbers NaN; may have no columns."""
    try:
        table = pd.read_csv(Path(out) / f"{name}.csv")
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    words = table.columns[[not pd.api.types.is_numeric_dtype(t) for t in table.dtypes]]
    table[words] = table[words].fillna("")
    return table


def read_manifest(out: Path) -> dict:
    """The manifest of a folder of results; empty where there is none."""
    path = Path(out) / "manifest.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _choose(only: Iterable[str]) -> list[Stage]:
    names = list(only)
    unknown = [name for name in names if name not in STAGE_NAMES]
    if unknown:
        raise ValueError(f"no such stage: {', '.join(unknown)}; known: {', '.join(STAGE_NAMES)}")
    return [stage for stage in STAGES if not names or stage.name in names]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def code_digest() -> str:
    """One digest of the code the numbers depend on: the package without `NOT_NUMBERS`."""
    root = Path(__file__).parent
    files = [
        path
        for path in sorted(root.rglob("*.py"))
        if path.relative_to(root).parts[0] not in NOT_NUMBERS
    ]
    return _digest(b"".join(path.read_bytes() for path in files))


def lock_digest() -> str:
    """Digest of requirements.lock where the project is run from its checkout, else empty."""
    path = Path(__file__).parent.parent / "requirements.lock"
    return _digest(path.read_bytes()) if path.exists() else ""


def _key(stage: Stage, evidence, seed: int) -> str:
    parts = [evidence.digests[name] for name in stage.reads]
    parts += [code_digest(), lock_digest(), str(seed), platform.python_version()]
    return _digest("|".join(parts).encode())


def _is_current(name: str, key: str, manifest: dict, out: Path) -> bool:
    """Whether the stage's inputs are those of the manifest and its outputs are all still there."""
    stage = manifest.get("stages", {}).get(name, {})
    if stage.get("key") != key or not (out / "estimates.csv").exists():
        return False
    outputs = {**stage["tables"], "estimates": manifest["estimates_digest"]}
    return all(
        (out / f"{table}.csv").exists() and _digest((out / f"{table}.csv").read_bytes()) == digest
        for table, digest in outputs.items()
    )


def _compute(stages, raw, staging, seed, tell) -> dict[str, dict]:
    """Run the stages, two processes at a time, each leaving its files in `staging`."""
    if len(stages) <= 1:
        return {stage.name: _run_stage(stage.name, raw, staging, seed, tell) for stage in stages}
    records, spawn = {}, get_context("spawn")
    messages = spawn.Queue()
    with ProcessPoolExecutor(WORKERS, spawn, _send_to, (messages,), max_tasks_per_child=1) as pool:
        running = {
            pool.submit(_run_in_process, stage.name, raw, staging, seed): stage.name
            for stage in stages
        }
        try:
            while running:
                finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                while not messages.empty():
                    tell(*messages.get())
                for future in finished:
                    records[running.pop(future)] = future.result()
            while not messages.empty():
                tell(*messages.get())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return records


_messages = None


def _send_to(queue) -> None:
    """Remember, in a worker process, where its progress goes."""
    global _messages
    _messages = queue


def _run_in_process(name: str, raw: Path, staging: Path, seed: int) -> dict:
    return _run_stage(name, raw, staging, seed, lambda *message: _messages.put(message))


def _run_stage(name: str, raw: Path, staging: Path, seed: int, tell: Progress) -> dict:
    """Compute one stage; write its tables, estimates and posteriors under `staging`."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    stage = next(stage for stage in STAGES if stage.name == name)
    tell(name, "start", "")
    evidence = evidence_module.load(raw)
    with sampling.recorded() as fits:
        try:
            result = stage.run(evidence, seed, lambda part: tell(name, "part", part))
        except sampling.DiagnosticError:  # a model that cannot do without a fit it did not get
            result = ModelResult(estimates_table([]))
    _write_tables(result.tables, staging)
    result.estimates.to_csv(staging / f"{name}.estimates", index=False, float_format=FLOAT_FORMAT)
    (staging / POSTERIORS).mkdir(exist_ok=True)
    for fit in sampling.sound(result.fits).values():
        file = f"{name}-{_slug(fit.name)}"
        fit.tree.to_netcdf(staging / POSTERIORS / f"{file}.nc", engine="h5netcdf")
    diagnostics = {f"{name}-{_slug(fit.name)}": _figures(fit) for fit in fits}
    tell(name, "done", "")
    return {"tables": sorted(result.tables), "fits": diagnostics}


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


def _write_tables(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    for name, frame in tables.items():
        table = csv_table(frame)
        table.to_csv(folder / f"{name}.csv", index=False, float_format=FLOAT_FORMAT)


def _synthesise(evidence, staging: Path, out: Path, stages: dict[str, dict]) -> dict:
    """What follows from the results of all stages in force: evidence needed, and public claims."""
    from analysis import claims
    from analysis.models import evidence_needed

    tables = {}
    for stage in stages.values():
        for name in stage["tables"]:
            tables[name] = read_table(staging if (staging / f"{name}.csv").exists() else out, name)
    estimates = read_part(staging / "estimates.csv")
    made = evidence_needed.from_estimates(
        estimates, tables.get("safety_new_study_rates"), tables.get("effects")
    )
    made["claims"] = claims.table(estimates, tables, evidence)
    _write_tables(made, staging)
    return {"tables": sorted(made), "fits": {}}


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)


def _in_force(before: dict, records: dict[str, dict], keys: dict[str, str]) -> dict[str, dict]:
    """Stages whose results stand after this run: the new ones, and old ones not run again."""
    old = before.get("stages", {})
    return {
        name: {"key": keys[name], **records[name]} if name in records else old[name]
        for name in STAGE_NAMES
        if name in records or name in old
    }


def _join_estimates(staging: Path, out: Path, stages: dict, records: dict) -> dict[str, list[int]]:
    """Write `staging/estimates.csv`, new parts and old ones; the rows of each stage in it."""
    old = read_table(out, "estimates") if set(stages) - set(records) else None
    parts, rows, end = [], {}, 0
    for name, stage in stages.items():
        if name == SYNTHESIS:
            continue  # it makes tables only
        if name in records:
            part = read_part(staging / f"{name}.estimates")
        else:
            part = old.iloc[slice(*stage["estimate_rows"])]
        parts.append(part)
        rows[name] = [end, end + len(part)]
        end += len(part)
    joined = pd.concat(parts, ignore_index=True) if parts else estimates_table([])
    joined.to_csv(staging / "estimates.csv", index=False, float_format=FLOAT_FORMAT)
    return rows


def _manifest(staging: Path, stages: dict, rows: dict, evidence, seed: int) -> dict:
    """What was computed from what: versions, digests, diagnostics and the rows of each stage."""

    def digests(stage: dict) -> dict[str, str]:
        if isinstance(stage["tables"], dict):
            return stage["tables"]
        return {name: _digest((staging / f"{name}.csv").read_bytes()) for name in stage["tables"]}

    return {
        "isletmeta": metadata.version("isletmeta"),
        "python": platform.python_version(),
        "seed": seed,
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "data": dict(sorted(evidence.digests.items())),
        "lock": lock_digest(),
        "code": code_digest(),
        "estimates_digest": _digest((staging / "estimates.csv").read_bytes()),
        "withheld": [
            {
                "stage": stage,
                "fit": fit.removeprefix(f"{stage}-"),
                "reason": figures["withheld"],
                **{key: value for key, value in figures.items() if key != "withheld"},
            }
            for stage in STAGE_NAMES
            if stage in stages
            for fit, figures in stages[stage]["fits"].items()
            if "withheld" in figures
        ],
        "stages": {
            name: {
                "key": stages[name]["key"],
                "tables": digests(stages[name]),
                "fits": stages[name]["fits"],
                "estimate_rows": rows.get(name, [0, 0]),
            }
            for name in STAGE_NAMES
            if name in stages
        },
    }


def read_part(path: Path) -> pd.DataFrame:
    """A stage's own estimates, with every estimate column."""
    table = pd.read_csv(path)
    words = ["outcome", "group_kind", "group", "estimand", "scale", "unit", "method", "note"]
    table[words] = table[words].astype(object).fillna("")
    return table[ESTIMATE_COLUMNS]


def _publish(staging: Path, out: Path, manifest: dict, records: dict) -> None:
    """Move the finished files into place: the only writing to `out`."""
    (out / POSTERIORS).mkdir(parents=True, exist_ok=True)
    for name in records:
        for stale in (out / POSTERIORS).glob(f"{name}-*.nc"):
            stale.unlink()
    for path in (staging / POSTERIORS).glob("*.nc"):
        shutil.move(path, out / POSTERIORS / path.name)
    for path in staging.glob("*.csv"):
        shutil.move(path, out / path.name)
    text = json.dumps(manifest, indent=2, sort_keys=False) + "\n"
    (out / "manifest.json").write_text(text, encoding="utf-8")


# --- reproduction ---------------------------------------------------------------------------

KEY = ["outcome", "group_kind", "group", "estimand", "scale", "method"]
NUMBERS = ["k_studies", "n_patients", "mean", "sd", "ci_low", "ci_high", "pred_low", "pred_high"]


def compare(tracked: pd.DataFrame, again: pd.DataFrame) -> pd.DataFrame:
    """Compare two tables of estimates, row by row.

    Returns one row an estimate with `verdict`: identical (to 1e-6 relative), within Monte-Carlo
    error, different, missing or new. Monte-Carlo error is judged for the mean as 0.28 posterior
    SDs: four standard errors of a difference of two means at the gate's least effective sample
    size of 400, 4 * sqrt(2 / 400). Interval ends may differ by twice that. Counts must be equal.
    """
    both = tracked.merge(again, on=KEY, how="outer", suffixes=("", "_again"), indicator=True)
    both["verdict"] = [_verdict(row) for row in both.to_dict("records")]
    both["difference"] = both["mean_again"] - both["mean"]
    return both[[*KEY, "mean", "mean_again", "sd", "difference", "verdict"]]


def _verdict(row: dict) -> str:
    if row["_merge"] != "both":
        return "missing" if row["_merge"] == "left_only" else "new"
    old = np.array([row[name] for name in NUMBERS], dtype=float)
    new = np.array([row[f"{name}_again"] for name in NUMBERS], dtype=float)
    if np.allclose(old, new, rtol=1e-6, atol=1e-9, equal_nan=True):
        return "identical"
    if row["method"] != "nuts" or not np.array_equal(np.isnan(old), np.isnan(new)):
        return "different"
    sd = row["sd"] if np.isfinite(row["sd"]) and row["sd"] > 0 else abs(row["mean"])
    error = 4 * np.sqrt(2 / 400) * sd
    allowed = np.array([0, 0, error, error, 2 * error, 2 * error, 3 * error, 3 * error])
    near = np.abs(old - new) <= allowed + 1e-9
    return "within Monte-Carlo error" if np.all(near | np.isnan(old)) else "different"
