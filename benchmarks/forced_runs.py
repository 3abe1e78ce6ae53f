"""How many runs end in a report: seeds times code generations, no fit from a cache.

    python benchmarks/forced_runs.py --seeds 20          60 runs, more than an hour on two cores
    python benchmarks/forced_runs.py --seeds 1 --codes native --jobs 1

A run is `isletmeta run` and `isletmeta report` from it, with NUMBA_CPU_NAME set to the code
generation and no cache of fits. The first of each code generation is a forced run of everything.
Stages that draw nothing do not know the seed (a test of the pipeline holds that), so that the runs
from further seeds start from its results and compute what draws, and the synthesis, anew. Two
tables are written: docs/forced_runs.csv, one row a run (how it ended, what it computed, seconds,
fits withheld), and docs/forced_runs_fits.csv, one row a fit and code generation (runs, passed at
the first try, passed in the end); docs/forced_runs.md says both in short. Runs that are in the
table already are not done again, so that the work can be interrupted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from analysis import store, sweep
from analysis.pipeline import RAW, SEED

ROOT = Path(__file__).resolve().parent.parent
CODES = ("generic", "haswell", "native")
"""Code generations; `native` is the machine's own."""

RUNS = ROOT / "docs" / "forced_runs.csv"
FITS = ROOT / "docs" / "forced_runs_fits.csv"
TOLD = ROOT / "docs" / "forced_runs.md"
KEY = ["code", "seed"]


def one_run(what: tuple[str, int], raw: Path, kept: Path) -> tuple[dict, list[dict]]:
    """A run (code generation, seed) and its report: a row about it, one about each fit.

    Parameters
    ----------
    what : code generation and seed.
    raw : the evidence.
    kept : folder with the results of each code generation, by its name; made by its first run.
    """
    code, seed = what
    env = {**os.environ, "PYTHONPATH": str(ROOT), "ISLETMETA_CACHE": ""}
    env.pop("NUMBA_CPU_NAME", None)
    if code != "native":
        env["NUMBA_CPU_NAME"] = code
    first = not (kept / code).exists()
    with tempfile.TemporaryDirectory(prefix="isletmeta-") as folder:
        out, page = Path(folder) / "processed", Path(folder) / "report.html"
        if not first:
            shutil.copytree(kept / code, out)
        where = ["--raw", str(raw), "--out", str(out)]
        verbs = (
            ["run", *(["--force"] if first else []), "--seed", str(seed), *where],
            ["report", *where, "--file", str(page)],
        )
        start, status, said = time.perf_counter(), 0, ""
        for verb in verbs:
            done = subprocess.run(
                [sys.executable, "-m", "analysis.cli", *verb],
                cwd=ROOT, env=env, capture_output=True, text=True, errors="replace", check=False,
            )  # fmt: skip
            status = done.returncode
            if status:
                said = done.stderr.strip().splitlines()[-1:] or [""]
                break
        manifest = store.read_manifest(out)
        row = {"code": code, "seed": seed, "computed": "everything" if first else "what draws",
               "status": status, "report": page.exists(),
               "withheld": len(manifest.get("withheld", ())),
               "seconds": round(time.perf_counter() - start), "said": "".join(said)}  # fmt: skip
        if first and not status:
            shutil.copytree(out, kept / code)
    fits = [
        {"code": code, "seed": seed, "stage": stage, "fit": fit,
         "first": figures.get("attempts") == 1 and "withheld" not in figures,
         "passed": "withheld" not in figures}
        for stage, record in manifest.get("stages", {}).items()
        for fit, figures in record["fits"].items()
    ]  # fmt: skip
    return row, fits


def rates(old: pd.DataFrame, fits: list[dict]) -> pd.DataFrame:
    """The table of fits with those of one more run counted in."""
    new = pd.DataFrame(fits).assign(runs=1)
    columns = ["runs", "first", "passed"]
    both = pd.concat([old, new[["code", "stage", "fit", *columns]]])
    both[columns] = both[columns].astype(int)
    return both.groupby(["code", "stage", "fit"], as_index=False)[columns].sum()


def summary(runs: pd.DataFrame, fits: pd.DataFrame) -> str:
    """Both tables in short, as Markdown: how the runs ended, and how often each fit passed."""
    ended, codes = runs["report"].astype(bool), list(dict.fromkeys(runs["code"]))
    lines = [
        "# Runs from many seeds, on several code generations",
        "",
        f"Made by `python benchmarks/forced_runs.py`: {int(ended.sum())} of {len(runs)} runs ended "
        f"in a report ({runs['seed'].nunique()} seeds, {', '.join(codes)}), "
        f"{int(runs['withheld'].sum())} fits withheld in all of them.",
        "",
        "A fit passes where R-hat is at most 1.01, bulk and tail effective sample sizes are at "
        "least 400 and no transition diverges. Passed at the first try, of runs:",
        "",
        f"| fit | {' | '.join(codes)} |",
        f"|---|{'---|' * len(codes)}",
    ]
    for (_, fit), own in fits.groupby(["stage", "fit"]):
        by_code = own.set_index("code")
        cells = (f"{by_code.loc[c, 'first']} of {by_code.loc[c, 'runs']}" for c in codes)
        lines.append(f"| {fit} | {' | '.join(cells)} |")
    first, passed, tried = (int(fits[name].sum()) for name in ("first", "passed", "runs"))
    lines += ["", f"In all {first} of {tried} at the first try, {passed} in the end.", ""]
    return "\n".join(lines)


def read(path: Path, columns: list[str]) -> pd.DataFrame:
    """A table written before; empty where there is none."""
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=columns)


def main() -> None:
    """Do the runs that are not in the table yet; say how many of all end in a report."""
    parser = argparse.ArgumentParser(description="How many runs end in a report.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--codes", nargs="+", choices=CODES, default=list(CODES))
    parser.add_argument("--raw", type=Path, default=RAW)
    sweep.add_arguments(parser, backend="threads")
    asked = parser.parse_args()
    raw = asked.raw.resolve()
    runs = read(RUNS, [*KEY, "computed", "status", "report", "withheld", "seconds", "said"])
    fits = read(FITS, ["code", "stage", "fit", "runs", "first", "passed"])
    done = set(zip(runs["code"], runs["seed"], strict=True))
    with tempfile.TemporaryDirectory(prefix="isletmeta-") as kept:
        seeds = range(SEED, SEED + asked.seeds)
        for block in [seeds[:1], *(seeds[i : i + 2] for i in range(1, len(seeds), 2))]:
            pairs = [(code, seed) for seed in block for code in asked.codes]
            left = [pair for pair in pairs if pair not in done]
            with sweep.spread(asked):
                found = sweep.each(one_run, left, raw, Path(kept))
            for row, made in found:
                runs = pd.concat([runs, pd.DataFrame([row])], ignore_index=True)
                fits = rates(fits, made) if made else fits
                print(row, flush=True)
            fits.to_csv(FITS, index=False, lineterminator="\n")
            runs.to_csv(RUNS, index=False, lineterminator="\n")
            TOLD.write_text(summary(runs, fits), encoding="utf-8")
    ended = int(runs["report"].astype(bool).sum())
    print(f"{ended} of {len(runs)} runs ended in a report")


if __name__ == "__main__":
    main()
