"""A rerun compared with the tracked results: each figure by its own error."""

import shutil

import numpy as np
import pandas as pd
import pytest
import stub_stages
from conftest import every, examples
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import evidence as evidence_module
from analysis import pipeline, reproduction, results, store
from analysis.reproduction import DIFFERENT, IDENTICAL, MISSING, NEAR, NEW


def estimates(**changes) -> pd.DataFrame:
    row = stub_stages.estimate("hba1c", -0.8, pred_low=-2.0, pred_high=0.4, tau=0.5, method="nuts")
    return results.estimates([{**row, **changes}])


def verdicts(tracked, again, ess=2000.0, name="estimates") -> set[str]:
    """The verdicts of two tables, `identical` aside."""
    found = []
    counted = reproduction.compare(name, tracked, again, ess=ess, found=found)
    assert sum(counted.values()) > 0
    assert {f.verdict for f in found} == set(counted) - {IDENTICAL}
    return {f.verdict for f in found}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        ({"mean": -0.81}, {NEAR}),
        ({"mean": -0.8 + 0.27 * 0.2}, {DIFFERENT}),
        ({"ci_low": -1.25}, {NEAR}),
        ({"ci_low": -1.5}, {DIFFERENT}),
        ({"sd": 0.3}, {DIFFERENT}),
        ({"tau": 0.9}, {DIFFERENT}),
        ({"k_studies": 10}, {DIFFERENT}),
        ({"pred_low": np.nan}, {DIFFERENT}),
        ({"note": "another"}, {DIFFERENT}),
    ],
)
def test_a_rerun_is_judged_by_the_error_of_each_figure(changes, expected):
    assert verdicts(estimates(), estimates(**changes)) == expected


def test_more_draws_allow_less():
    moved = estimates(mean=-0.8 + 0.1 * 0.2)
    assert verdicts(estimates(), moved, ess=400) == {NEAR}
    assert verdicts(estimates(), moved, ess=40_000) == {DIFFERENT}


@pytest.mark.parametrize("ess", [2000.0, np.inf])
def test_a_deterministic_method_must_give_the_same_number(ess):
    again = estimates(method="exact", mean=-0.80001)
    assert verdicts(estimates(method="exact"), again, ess) == {DIFFERENT}
    assert (
        verdicts(estimates(method="exact"), estimates(method="exact", mean=-0.8 - 1e-8), ess)
        == set()
    )


def test_a_column_with_an_open_side_is_compared_like_any_other():
    tracked = pd.DataFrame({"z_low": [-np.inf, 0.5, 1.0]})
    assert verdicts(tracked, tracked, ess=np.inf, name="effects") == set()
    for changed in ([-np.inf, 0.6, 1.0], [-3.0, 0.5, 1.0], [-np.inf, 0.5, np.inf]):
        again = pd.DataFrame({"z_low": changed})
        assert verdicts(tracked, again, ess=np.inf, name="effects") == {DIFFERENT}


def test_missing_and_new_estimates_are_told_apart():
    assert verdicts(estimates(), estimates(population="t1d")) == {MISSING, NEW}


def test_a_table_with_other_columns_or_words_is_different():
    table = pd.DataFrame({"study_id": ["a", "b"], "x": [1.0, 2.0]})
    assert verdicts(table, table.rename(columns={"x": "y"}), np.inf, "t") == {DIFFERENT}
    assert verdicts(table, table.assign(study_id=["a", "c"]), np.inf, "t") == {DIFFERENT}
    assert verdicts(table, table.iloc[:1], np.inf, "t") == {MISSING}


def test_a_sentence_may_tell_other_drawn_figures_but_not_say_something_else():
    def told(words):
        return pd.DataFrame({"statement": [words]})

    one, near, other = told("-0.8 (−1.2 to 2)"), told("-0.81 (−1.3 to 2)"), told("no effect")
    assert verdicts(one, near, name="t") == {NEAR}
    assert verdicts(one, near, np.inf, name="t") == {DIFFERENT}
    assert verdicts(one, other, name="t") == {DIFFERENT}


def test_a_finding_says_where_and_by_how_much():
    found = []
    reproduction.compare("estimates", estimates(), estimates(mean=-0.6), ess=2000, found=found)
    (one,) = found
    name = "hba1c:cell_infusion:t2d:controlled:nuts"
    assert str(one).startswith(f"different: estimates {name} mean: -0.8")
    assert "-> -0.6 (allowed 0.025)" in str(one)


DRAWN = {
    "normal": lambda rng, n: rng.normal(-0.8, 0.2, n),
    "log-normal": lambda rng, n: np.exp(rng.normal(0.0, 1.0, n)),
    "beta": lambda rng, n: rng.beta(2, 30, n),
    "t, 4 degrees of freedom": lambda rng, n: rng.standard_t(4, n),
}


@pytest.mark.parametrize("shape", every(*DRAWN, fast=2))
def test_honest_reruns_are_within_their_error_and_a_shift_is_not(shape):
    """Two samples of 2,000 draws each, 300 times; then one of them a quarter SD further."""
    n, k = 2000, 300
    rng = np.random.default_rng(1)
    one, other = (DRAWN[shape](rng, (n, k)) for _ in range(2))

    def told(draws):
        low, high = np.quantile(draws, [0.025, 0.975], axis=0)
        frame = pd.concat([estimates()] * k, ignore_index=True)
        tau = np.median(np.abs(draws), axis=0)
        return frame.assign(id=[str(i) for i in range(k)], mean=draws.mean(axis=0),
                            sd=draws.std(axis=0), ci_low=low, ci_high=high, pred_low=low,
                            pred_high=high, tau=tau)  # fmt: skip

    def apart(first, second):
        found = []
        reproduction.compare("estimates", told(first), told(second), ess=n, found=found)
        return {finding.row for finding in found if finding.verdict == DIFFERENT}

    assert len(apart(one, other)) <= 3
    assert len(apart(one, other + 0.27 * one.std(axis=0))) == k


def test_the_least_effective_sample_of_sound_fits_counts():
    fits = {"a": {"min_ess_bulk": 900, "min_ess_tail": 700},
            "b": {"min_ess_bulk": 9, "min_ess_tail": 7, "withheld": "few"}}  # fmt: skip
    assert reproduction.least_ess([{"fits": fits}]) == 700
    assert reproduction.least_ess([{"fits": {}}]) == np.inf


@pytest.fixture
def two(stub_results, tmp_path):
    """The results of stub stages twice."""
    return tuple(shutil.copytree(stub_results, tmp_path / name) for name in ("one", "two"))


def test_every_table_of_every_stage_is_compared(two):
    names = [stage.name for stage in stub_stages.STAGES]
    counted, found = reproduction.compare_folders(*two, names)
    assert found == [] and set(counted) == {IDENTICAL}
    assert counted[IDENTICAL] > 50


@pytest.mark.parametrize(
    ("file", "old", "new", "where"),
    [
        ("stub_harms.csv", None, "events\n30.9\n", "stub_harms row 1 events"),
        ("stub_weighed.csv", "stub_harms", "stub_karms", "stub_weighed row 1 tables"),
        ("estimates.csv", "0.961", "0.962", "hba1c:cell_infusion:t2d:controlled mean"),
        ("estimates.csv", "quoted", "other", "t1d:controlled note"),
    ],
)
def test_a_changed_number_note_or_word_is_found_and_named(two, file, old, new, where):
    path = two[0] / file
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(old, new, 1) if old else new, encoding="utf-8")
    names = [stage.name for stage in stub_stages.STAGES]
    counted, found = reproduction.compare_folders(*two, names)
    assert counted[DIFFERENT] == 1 and where in str(found[0])


@pytest.mark.parametrize(
    ("file", "spoil", "said"),
    [
        ("estimates.csv", lambda data: data.replace(b"cell_infusion", b"cell_confusion"), "word"),
        ("estimates.csv", lambda data: data.replace(b"outcome,", b"income,", 1), "outcome"),
        ("estimates.csv", lambda data: b"\xff" + data, "utf-8"),
        ("estimates.csv", lambda data: b"", "estimates"),
        ("stub_weighed.csv", lambda data: data.replace(b",", b";"), "stub_weighed"),
        ("stub_weighed.csv", lambda data: data + b'"', "stub_weighed"),
    ],
)
def test_a_table_that_can_no_longer_be_read_is_found_and_named(two, file, spoil, said):
    path = two[0] / file
    path.write_bytes(spoil(path.read_bytes()))
    names = [stage.name for stage in stub_stages.STAGES]
    counted, found = reproduction.compare_folders(*two, names)
    assert counted[DIFFERENT] and any(said in str(one) for one in found), found


def test_a_stage_that_only_one_run_has_is_named(two):
    _, found = reproduction.compare_folders(*two, ["numbers", "nowhere"])
    assert found == []
    shutil.rmtree(two[1])
    _, found = reproduction.compare_folders(*two, ["numbers"])
    assert [str(one) for one in found] == ["missing: numbers"]


def test_a_changed_raw_cell_is_found(two, evidence):
    assert reproduction.changed_evidence(two[0], evidence.digests) == []
    other = {**evidence.digests, "studies.csv": "another"}
    assert reproduction.changed_evidence(two[0], other) == [
        "studies.csv is not the file the results were made from"
    ]
    assert store.faults(two[0]) == []


# --- tampering -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tables(run_folder):
    """Every tracked table with rows, as it is read."""
    read = {name: pipeline.read_table(run_folder, name) for name in results.TABLES}
    return {name: frame for name, frame in read.items() if len(frame)}


@given(data=st.data())
@examples(40, 400)
def test_any_changed_cell_of_any_table_is_found(tables, data):
    """A number by a thousandth, a word by a letter, a blank filled, a cell emptied: all exact."""
    name = data.draw(st.sampled_from(sorted(tables)))
    frame = tables[name]
    row = data.draw(st.integers(0, len(frame) - 1))
    column = data.draw(st.sampled_from(list(frame.columns)))
    old = frame[column].iloc[row]
    if isinstance(old, bool | np.bool_):
        new = not old
    elif isinstance(old, str):
        new = data.draw(st.sampled_from([f"{old}.", "another"]))
    elif np.isnan(old):
        new = 1.0
    else:
        new = data.draw(st.sampled_from([old * 1.001 + 1e-4, np.nan, -old - 1.0]))
    changed = frame.copy()
    changed[column] = changed[column].astype(object)
    changed.loc[row, column] = new
    changed[column] = changed[column].astype(frame[column].dtype)
    found = []
    reproduction.compare(name, changed, frame, ess=np.inf, found=found)
    assert {one.verdict for one in found} & {DIFFERENT, MISSING, NEW}, (name, column, old, new)
    assert all(one.table == name for one in found)


@pytest.fixture(scope="module")
def copied(run_folder, tmp_path_factory):
    """A copy of the tracked results and of the evidence."""
    folder = tmp_path_factory.mktemp("copied")
    shutil.copytree(run_folder, folder / "out")
    return folder / "out"


@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_any_changed_byte_of_the_results_is_told_by_the_digests(copied, data):
    path = data.draw(st.sampled_from(sorted(copied.glob("*.csv"))))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    try:
        assert store.faults(copied)
    finally:
        path.write_bytes(whole)
    assert store.faults(copied) == []


def test_any_changed_cell_of_the_evidence_is_told_by_its_file(run_folder, evidence, raw_dir):
    """A letter in the last row of each table: a fault of the evidence, or another digest."""
    assert reproduction.changed_evidence(run_folder, evidence.digests) == []
    for name in evidence.digests:
        path = raw_dir / name
        whole = path.read_text(encoding="utf-8")
        place = max(whole.rstrip().rfind(letter) for letter in "aeio")
        path.write_text(whole[:place] + "u" + whole[place + 1 :], encoding="utf-8")
        try:
            told = reproduction.changed_evidence(run_folder, evidence_module.load(raw_dir).digests)
        except evidence_module.EvidenceError as error:
            told = [str(error)]
        assert len(told) >= 1 and any(name in words for words in told), name
        path.write_text(whole, encoding="utf-8")
