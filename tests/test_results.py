"""The results contract: what is not as declared is refused, and an estimate is found or missed."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import outcomes, results
from analysis.results import contract, dictionary

HBA1C = {"outcome": "hba1c", "approach": "cell_infusion", "population": "t2d",
         "design": "controlled"}  # fmt: skip


def _row(**parts):
    return {**HBA1C, "scale": "difference", "unit": "percentage points", "mean": -0.5, **parts}


def test_an_estimate_is_found_by_its_parts():
    table = results.estimates([_row(), _row(variant="robust", mean=-0.4)])
    assert results.one(table, **HBA1C)["mean"] == -0.5
    assert results.one(table, **HBA1C, variant="robust")["mean"] == -0.4


def test_an_estimate_that_is_not_there_raises_and_get_gives_none():
    table = results.estimates([_row()])
    with pytest.raises(results.EstimateMissing, match="0 estimates"):
        results.one(table, **{**HBA1C, "population": "t1d"})
    assert results.get(table, **{**HBA1C, "population": "t1d"}) is None


def test_an_ambiguous_question_raises_even_from_get():
    table = results.estimates([_row(), _row(scale="percent")])
    with pytest.raises(results.EstimateMissing, match="2 estimates"):
        results.get(table, **HBA1C)


def test_many_questions_are_answered_as_one_by_one(run_folder):
    table = results.read(run_folder, "estimates")
    places = results.Places(table)
    for row in table.sample(40, random_state=1).to_dict("records"):
        parts = {name: row[name] for name in results.PARTS}
        assert places.one(**parts)["id"] == results.one(table, **parts)["id"] == row["id"]
        fewer = {name: value for name, value in parts.items() if name not in ("scale", "variant")}
        for ask in (parts, fewer, {**parts, "variant": "joint"}):
            answers = []
            for answer in (places.get, lambda **p: results.get(table, **p)):
                try:
                    found = answer(**ask)
                    answers.append(None if found is None else found["id"])
                except results.EstimateMissing as fault:
                    answers.append(str(fault).split()[0])
            assert answers[0] == answers[1]
    with pytest.raises(KeyError, match="colour"):
        places.one(outcome="hba1c", approach="all", colour="red")


def test_two_estimates_of_the_same_parts_are_refused():
    with pytest.raises(results.ContractError, match="share a key"):
        results.estimates([_row(), _row(mean=3.0)])


def test_a_renamed_quantity_is_refused_on_writing():
    with pytest.raises(results.ContractError, match="quantity: not a word of the list: average"):
        results.estimates([_row(quantity="average")])


def test_an_unknown_column_is_named():
    with pytest.raises(results.ContractError, match="p_beyond"):
        results.estimates([_row(p_beyond=0.5)])


def test_thresholds_are_told_apart_and_stand_in_the_id():
    rows = [_row(quantity="probability", threshold=t, scale="probability") for t in (0, -0.3, -0.5)]
    table = results.estimates(rows)
    assert results.one(table, **HBA1C, quantity="probability", threshold=-0.3)["id"] == (
        "hba1c:cell_infusion:t2d:controlled:probability>-0.3"
    )


def test_the_order_of_rows_changes_nothing():
    rows = [_row(variant=variant) for variant in list(results.VARIANTS)[:5]]
    expected = results.estimates(rows)

    @given(st.permutations(rows))
    def same(shuffled):
        pd.testing.assert_frame_equal(results.estimates(shuffled), expected)

    same()


@given(
    st.sampled_from(list(outcomes.OUTCOMES)),
    st.sampled_from(results.APPROACHES),
    st.sampled_from(list(results.QUANTITIES)),
    st.sampled_from(list(results.VARIANTS)),
    st.sampled_from([np.nan, 0.0, 0.3, 12.0]),
    st.sampled_from([np.nan, 12.0, 60.0]),
)
def test_ids_follow_from_the_parts_and_tell_them_apart(out, approach, quantity, variant, at, month):
    parts = {"outcome": out, "approach": approach, "quantity": quantity, "variant": variant,
             "threshold": at, "month": month}  # fmt: skip
    same = results.estimate_id(dict(reversed(parts.items())))
    assert results.estimate_id(parts) == same
    other = {**parts, "variant": "robust" if variant != "robust" else "headline"}
    assert results.estimate_id(other) != same


def test_what_is_written_is_read_back_equal(tmp_path):
    table = results.estimates([_row(), _row(variant="robust", k_studies=4, note="a, b")])
    results.write(tmp_path, "estimates", table)
    pd.testing.assert_frame_equal(results.read(tmp_path, "estimates"), table)


def test_a_table_the_run_did_not_make_is_read_empty_and_typed(tmp_path):
    table = results.read(tmp_path, "estimates")
    assert table.empty and table["mean"].dtype == float


def test_a_table_nobody_declared_cannot_be_written(tmp_path):
    with pytest.raises(KeyError, match="not a declared table"):
        results.write(tmp_path, "surprise", pd.DataFrame())


def test_every_fault_of_a_frame_is_told_at_once():
    frame = results.estimates([_row()]).assign(design="guessed", mean="much", method="magic")
    with pytest.raises(results.ContractError) as fault:
        results.checked("estimates", frame)
    assert all(word in str(fault.value) for word in ("design", "mean", "method"))


def test_every_declared_column_says_what_it_means_and_every_key_is_a_column():
    for table in results.TABLES.values():
        assert table.about
        for spec in table.columns:
            assert spec.meaning, f"{table.name}.{spec.name}"
            assert spec.kind in contract.KINDS


def test_the_dictionary_is_in_step_with_the_declarations():
    from pathlib import Path

    written = Path("docs/results.md").read_text(encoding="utf-8")
    assert written == dictionary.dictionary(), "run: python -m analysis.results.dictionary"


def test_outcomes_have_one_row_each_and_know_their_scale():
    assert outcomes.get("hba1c").thresholds == (0.0, -0.3, -0.5)
    assert outcomes.get("c_peptide_ratio").thresholds[1] == pytest.approx(np.log(1.25))
    assert outcomes.get("insulin_dose").shown(0.0) == 1.0
    with pytest.raises(KeyError, match="no such outcome"):
        outcomes.get("happiness")


def test_an_important_difference_lies_on_the_good_side():
    for outcome in outcomes.OUTCOMES.values():
        for value in outcome.important:
            if outcome.kind == outcomes.CONTINUOUS:
                assert np.sign(outcome.modelled(value)) == outcome.good, outcome.name


def test_the_middle_of_the_grid_of_priors_is_the_headline_itself(run_folder):
    """r and SDs are unknown there as in the headline; refits settle to a hundredth of an SD."""
    from analysis import outcomes, priors

    grid, estimates = (results.read(run_folder, name) for name in ("prior_grid", "estimates"))
    own = grid["tau_prior"].eq("half_normal") & grid.apply(
        lambda row: row["mu_prior_sd"] == priors.get(row["outcome"], "mu").scale, axis=1
    )
    assert own.sum() == len(grid.groupby(["outcome", "population"])) >= 3
    for row in grid[own].to_dict("records"):
        about = outcomes.get(row["outcome"])
        parts = {name: row[name] for name in ("outcome", "approach", "population", "design")}
        scale = "ratio" if about.is_ratio else about.scale
        found = results.one(estimates, **parts, scale=scale)
        for end in ("ci_low", "ci_high"):
            width = row["ci_high"] - row["ci_low"]
            assert about.modelled(found[end]) == pytest.approx(row[end], abs=0.0025 * width)
