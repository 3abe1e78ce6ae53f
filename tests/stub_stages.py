"""Stages of next to no work, for tests of the pipeline: tiny tables from the real evidence."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from analysis import results
from analysis.models import sampling
from analysis.pipeline import Stage
from analysis.stages.result import StageResult


def estimate(outcome: str, mean: float, **more) -> dict:
    """A row of estimates."""
    return {"outcome": outcome, "approach": "cell_infusion", "population": "t2d",
            "design": "controlled", "scale": "difference", "unit": "points", "k_studies": 9,
            "n_patients": 200, "mean": mean, "sd": 0.2, "ci_low": mean - 0.4,
            "ci_high": mean + 0.4, "note": 'a, "quoted" note', **more}  # fmt: skip


def numbers(evidence, *, progress) -> StageResult:
    """One estimate and one table of the HbA1c values."""
    progress("the mean")
    rows = evidence.outcomes
    values = rows.loc[rows["outcome"] == "hba1c", "value"]
    table = pd.DataFrame({"value": values.to_numpy()[:5]})
    estimates = results.estimates(
        [estimate("hba1c", 0.961), estimate("hba1c", values.mean(), population="t1d")]
    )
    return StageResult(estimates, {"stub_numbers": table})


def harms(evidence, *, seed, progress) -> StageResult:
    """One estimate from the safety table and two tables."""
    total = float(evidence.safety["n_events"].sum())
    estimates = results.estimates([estimate("harm_death", total, scale="rate")])
    return StageResult(estimates, {"stub_harms": pd.DataFrame({"events": [total]}),
                                   "stub_seeds": pd.DataFrame({"seed": [seed]})})  # fmt: skip


def only_tables(evidence, *, progress) -> StageResult:
    """A stage without estimates."""
    return StageResult(
        results.estimates([]), {"stub_counts": pd.DataFrame({"n": [len(evidence.studies)]})}
    )


def weighed(evidence, *, progress, estimates, tables) -> StageResult:
    """What all others left, in one row."""
    assert len(evidence.outcomes)
    found = {"rows": [len(estimates)], "tables": [" ".join(sorted(tables))]}
    return StageResult(results.estimates([]), {"stub_weighed": pd.DataFrame(found)})


def fails(evidence, *, progress) -> StageResult:
    raise RuntimeError("two ways to one number disagree")


def breaks(evidence, *, progress) -> StageResult:
    return {}["no such key"]


def dies(evidence, *, progress) -> StageResult:
    os._exit(9)


def fills_the_disk(evidence, *, progress) -> StageResult:
    raise OSError(28, "No space left on device")


def waits(evidence, *, progress) -> StageResult:
    """Says which process it is, waits for the other, and then works for a very long time."""
    folder = os.environ.get("STUB_PIDS")
    if folder:
        (Path(folder) / str(os.getpid())).write_text("", encoding="utf-8")
        while len(list(Path(folder).iterdir())) < 2:
            time.sleep(0.02)
    progress("waiting")
    end = time.monotonic() + 600
    while time.monotonic() < end:
        np.linalg.svd(np.random.default_rng(0).standard_normal((200, 200)))
    return StageResult(results.estimates([]))


def withholds(evidence, *, progress) -> StageResult:
    """One sound estimate, one fit withheld."""
    bad = sampling.Diagnostics(float("inf"), float("nan"), 9.0, 3, 4000)
    sampler = SimpleNamespace(name="hba1c_exact")
    fit = sampling.Fit(sampler.name, None, bad, "; ".join(bad.faults()), 3)
    sampling.keep_record(fit)
    return StageResult(results.estimates([estimate("hba1c", -0.8)]))


def needs_its_fit(evidence, *, progress) -> StageResult:
    """Asks for draws of a fit that is withheld."""
    bad = sampling.Diagnostics(1.5, 12.0, 9.0, 3, 4000)
    fit = sampling.Fit("x", None, bad, "R-hat 1.5")
    sampling.keep_record(fit)
    return StageResult(results.estimates([estimate("hba1c", fit.draws("mu").mean())]))


NUMBERS = Stage("numbers", "stub_stages", function="numbers")
HARMS = Stage("harms", "stub_stages", sampled=True, function="harms")
ONLY_TABLES = Stage("only_tables", "stub_stages", function="only_tables")
WEIGHED = Stage("weighed", "stub_stages", last=True, function="weighed")
STAGES = (NUMBERS, HARMS, ONLY_TABLES, WEIGHED)


def stage(function: str, name: str = "") -> Stage:
    """A stage of one of the functions here."""
    return Stage(name or function, "stub_stages", function=function)
