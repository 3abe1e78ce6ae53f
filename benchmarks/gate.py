"""How often the NUTS witness passes its gate at the first try: seeds times code generations.

    python benchmarks/gate.py --seeds 20 --jobs 2

Every continuous headline that prints a mean is sampled from each seed, once for each processor that
numba is told to compile for (`NUMBA_CPU_NAME`; "native" is the machine's own). A job is one process
with one code generation and a share of the seeds: it compiles once. The table goes to docs/gate.csv
and, summed up, to docs/gate.md. With --backend dask the jobs go to the cluster at --address.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import sweep

ROOT = Path(__file__).resolve().parents[1]
CODES = ("native", "generic", "haswell")
COLUMNS = ["code", "fit", "seed", "max_rhat", "min_ess_bulk", "min_ess_tail", "divergences",
           "faults", "worst_gap"]  # fmt: skip


def main() -> None:
    """Parse the command line, spread the jobs, write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="seeds of each fit")
    parser.add_argument("--codes", nargs="+", default=CODES, help="NUMBA_CPU_NAME of each round")
    sweep.add_arguments(parser, backend="threads")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="folder of the tables")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        for row in gate_figures([int(seed) for seed in asked.worker]):
            print(json.dumps(row), flush=True)
        return
    with sweep.spread(asked) as jobs:
        parts = max(1, round(jobs / len(asked.codes)))
        work = [
            (code, block.tolist())
            for code in asked.codes
            for block in np.array_split(np.arange(asked.seeds), parts)
        ]
        found = sweep.each(in_process, work)
    table = pd.concat(found, ignore_index=True)[COLUMNS]
    table = table.sort_values(["code", "fit", "seed"], ignore_index=True)
    asked.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(asked.out / "gate.csv", index=False, float_format="%.5g")
    (asked.out / "gate.md").write_text(summary(table), encoding="utf-8")


def in_process(work: tuple[str, list[int]]) -> pd.DataFrame:
    """Run some seeds in a process of their own that compiles for a code generation."""
    code, seeds = work
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    if code != "native":
        environment["NUMBA_CPU_NAME"] = code
    command = [sys.executable, __file__, "--worker", *map(str, seeds)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{code}: {done.stderr[-2000:]}")
    return read_rows(done.stdout, code)


def read_rows(printed: str, code: str) -> pd.DataFrame:
    """What a worker printed, one row a try."""
    return pd.DataFrame([json.loads(line) for line in printed.splitlines()]).assign(code=code)


def gate_figures(seeds: list[int]) -> Iterator[dict]:
    """Diagnostics of one try of every headline for every seed, and how far it is from exact."""
    from analysis.models.contrast_witness import compile_witness

    posteriors = headline_posteriors()
    witness = compile_witness(posteriors.values())
    for seed in seeds:
        for name, posterior in posteriors.items():
            one = witness.hear_once(name, posterior, seed=1000 * seed + 7)
            d = one.diagnostics
            gaps = [c.worst for c in one.comparisons]
            yield {"fit": name, "seed": seed, "max_rhat": d.max_rhat,
                   "min_ess_bulk": d.min_ess_bulk, "min_ess_tail": d.min_ess_tail,
                   "divergences": d.divergences, "faults": one.silent,
                   "worst_gap": max(gaps) if gaps else None}  # fmt: skip


def headline_posteriors() -> dict:
    """The continuous headlines of the report that print a mean, by name."""
    from analysis import effects, outcomes
    from analysis.evidence import load
    from analysis.exact import contrasts
    from analysis.stages.headlines import DESIGNS, STRATA, told_as

    table = effects.build(load(ROOT / "data" / "raw")).effects
    made = {}
    for outcome in outcomes.of_kind(outcomes.CONTINUOUS):
        teachers = effects.teachers(table, outcome)
        prior = contrasts.ContrastPriors.of(outcome)
        for approach, population in STRATA:
            for design in DESIGNS:
                rows = effects.for_stratum(table, outcome, approach, population, design)
                if told_as(outcome, rows) == "mean":
                    name = f"{outcome} {approach} {population} {design}"
                    made[name] = contrasts.fit(rows, prior, teachers=teachers)
    return made


def summary(table: pd.DataFrame) -> str:
    """The pass rates as a Markdown table, one row a fit, one column a code generation."""
    passed = table.assign(passed=table["faults"].fillna("").eq(""))
    share = passed.pivot_table(index="fit", columns="code", values="passed", aggfunc="mean")
    count = passed.pivot_table(index="fit", columns="code", values="passed", aggfunc="size")
    codes = list(share.columns)
    lines = [
        "# How often a witness passes its gate at the first try",
        "",
        "Made by `python benchmarks/gate.py`: R-hat at most 1.01, bulk and tail effective sample "
        "sizes of at least 400, no divergent transition; seeds passed of seeds tried, by the "
        "processor that numba compiled for.",
        "",
        f"| fit | {' | '.join(codes)} |",
        f"|---|{'---|' * len(codes)}",
    ]
    for fit in share.index:
        cells = [f"{round(share.loc[fit, c] * count.loc[fit, c])} of {count.loc[fit, c]}"
                 for c in codes]  # fmt: skip
        lines.append(f"| {fit} | {' | '.join(cells)} |")
    total, worst = passed["passed"], table["worst_gap"].max()
    lines += [
        "",
        f"In all {total.sum()} of {total.size} ({100 * total.mean():.1f} %). The largest distance "
        f"from quadrature is {worst:.2f} of what is allowed (four Monte-Carlo standard errors plus "
        "a hundredth of a posterior SD); beyond it lay "
        f"{int((table['worst_gap'] > 1).sum())} tries, by chance in quantiles whose own error is "
        "estimated from few draws. A run hears such a witness again, with another seed and five "
        "times the draws; only what stays beyond is a disagreement.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
