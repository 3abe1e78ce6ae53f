"""The pipeline: all or nothing, skipping what is unchanged, and an honest comparison of reruns."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import evidence, pipeline
from analysis.models.result import estimates_table

RAW = Path(__file__).parent.parent / "data" / "raw"


@pytest.fixture
def raw(tmp_path):
    return shutil.copytree(RAW, tmp_path / "raw")


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_run_writes_its_tables_and_a_second_run_has_nothing_to_do(raw, tmp_path):
    out = tmp_path / "out"
    first = pipeline.run(raw, out, only=["effects"])
    assert first.computed == ("effects",)
    assert {"effects.csv", "exclusions.csv", "estimates.csv", "manifest.json"} <= set(contents(out))
    before = contents(out)
    second = pipeline.run(raw, out, only=["effects"])
    assert second.computed == () and second.skipped == ("effects",)
    assert contents(out) == before


def test_a_stage_runs_again_when_its_evidence_or_its_output_changed(raw, tmp_path):
    out = tmp_path / "out"
    pipeline.run(raw, out, only=["effects"])
    (out / "effects.csv").write_text("tampered\n", encoding="utf-8")
    assert pipeline.run(raw, out, only=["effects"]).computed == ("effects",)
    path = raw / "outcomes.csv"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert pipeline.run(raw, out, only=["effects"]).computed == ("effects",)


def test_two_runs_on_the_same_evidence_give_the_same_bytes(raw, tmp_path):
    pipeline.run(raw, tmp_path / "a", only=["effects"])
    pipeline.run(raw, tmp_path / "b", only=["effects"])
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_bad_evidence_leaves_the_results_as_they_were(raw, tmp_path):
    out = tmp_path / "out"
    pipeline.run(raw, out, only=["effects"])
    before = contents(out)
    path = raw / "outcomes.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",hba1c,", ",hba1x,", 1), "utf-8")
    with pytest.raises(evidence.EvidenceError, match="hba1x"):
        pipeline.run(raw, out)
    assert contents(out) == before


def test_an_unknown_stage_is_named(raw, tmp_path):
    with pytest.raises(ValueError, match=r"no such stage: nonsense; known: change, .*synthesis"):
        pipeline.run(raw, tmp_path / "out", only=["nonsense"])
    assert not (tmp_path / "out").exists()


def test_stages_that_run_together_leave_what_each_leaves_alone(raw, tmp_path):
    told = []
    both = pipeline.run(
        raw, tmp_path / "both", only=["effects", "selection"], progress=lambda *t: told.append(t)
    )
    assert set(both.computed) == {"effects", "selection"}
    assert {("selection", "start"), ("selection", "done")} <= {t[:2] for t in told}
    for name in both.computed:
        alone = pipeline.run(raw, tmp_path / name, only=[name])
        kept = both.estimates.merge(alone.estimates, how="inner")
        assert len(kept) == len(alone.estimates)


def test_one_stage_renewed_keeps_the_results_of_the_others(raw, tmp_path):
    out = tmp_path / "out"
    first = pipeline.run(raw, out, only=["effects", "selection"])
    (out / "funnel.csv").unlink()
    again = pipeline.run(raw, out, only=["selection"])
    assert again.computed == ("selection",)
    pd.testing.assert_frame_equal(first.estimates, again.estimates)
    assert pipeline.run(raw, out, only=["effects", "selection"]).computed == ()


def test_the_synthesis_weighs_what_the_other_stages_left(raw, tmp_path):
    out = tmp_path / "out"
    pipeline.run(raw, out, only=["effects", "sensitivity"])
    assert pipeline.run(raw, out, only=["synthesis"]).computed == ("synthesis",)
    claims = pipeline.read_table(out, "claims")
    assert "not known" in set(claims["verdict"])
    assert set(claims["verdict"]) != {"not known"}
    value = pipeline.read_table(out, "next_trial_value")
    assert list(value.columns)


def test_a_failing_stage_leaves_nothing_behind(raw, tmp_path, monkeypatch):
    out = tmp_path / "out"
    pipeline.run(raw, out, only=["effects"])
    before = contents(out)

    def fail(evidence, seed, tell):
        raise RuntimeError("the fit of x is not sound")

    stage = pipeline.Stage("effects", ("studies.csv",), fail)
    monkeypatch.setattr(pipeline, "STAGES", (stage, *pipeline.STAGES[-1:]))
    with pytest.raises(RuntimeError, match="not sound"):
        pipeline.run(raw, out, only=["effects"], force=True)
    assert contents(out) == before


def estimates(**changes) -> pd.DataFrame:
    row = {"outcome": "hba1c", "group_kind": "all", "group": "all", "estimand": "mean",
           "scale": "difference", "unit": "points", "k_studies": 9, "n_patients": 200,
           "mean": -0.8, "sd": 0.2, "ci_low": -1.2, "ci_high": -0.4, "pred_low": -2.0,
           "pred_high": 0.4, "tau": 0.5, "method": "nuts"}  # fmt: skip
    return estimates_table([{**row, **changes}])


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "identical"),
        ({"mean": -0.81}, "within Monte-Carlo error"),
        ({"mean": -0.70}, "different"),
        ({"k_studies": 10}, "different"),
        ({"pred_low": np.nan}, "different"),
    ],
)
def test_a_rerun_is_judged_by_monte_carlo_error(changes, verdict):
    compared = pipeline.compare(estimates(), estimates(**changes))
    assert compared["verdict"].tolist() == [verdict]


def test_a_deterministic_method_must_give_the_same_number():
    compared = pipeline.compare(estimates(method="dl"), estimates(method="dl", mean=-0.801))
    assert compared["verdict"].tolist() == ["different"]


def test_missing_and_new_estimates_are_told_apart():
    compared = pipeline.compare(estimates(), estimates(estimand="other"))
    assert sorted(compared["verdict"]) == ["missing", "new"]


def test_estimate_columns_are_closed():
    with pytest.raises(KeyError, match="colour"):
        estimates_table([{"colour": "red"}])
