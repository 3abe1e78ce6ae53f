"""No estimate can be renamed, doubled or dropped without the run being refused."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pandas as pd
import pytest
from conftest import every

from analysis import outcomes, questions, results, risk_of_bias
from analysis.stages import completeness

ROOT = Path(__file__).resolve().parent.parent
KIND = ["quantity", "variant", "method", "scale"]


@pytest.fixture(scope="module")
def run_of(run_folder) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Estimates and tables of the tracked run."""
    names = [name for name in results.TABLES if (run_folder / f"{name}.csv").exists()]
    tables = {name: results.read(run_folder, name) for name in names}
    return tables.pop("estimates"), tables


def _kinds() -> list[tuple[str, ...]]:
    folder = os.environ.get("ISLETMETA_TEST_RUN", ROOT / "data" / "processed")
    table = pd.read_csv(Path(folder) / "estimates.csv", dtype=str, keep_default_na=False)
    return sorted(set(table[KIND].itertuples(index=False, name=None)))


def test_the_tracked_run_is_whole(run_of):
    assert completeness.faults(*run_of) == []


@pytest.fixture(scope="module")
def sets(run_of):
    """What belongs to the tracked run, and its estimates set by set."""
    estimates, tables = run_of
    return completeness.expected(tables), dict(list(estimates.groupby(completeness.KEY)))


@pytest.fixture(scope="module")
def firsts(sets) -> dict[tuple[str, ...], tuple]:
    """Of each kind of estimate where the first stands: the key of its set, and its place."""
    found = {}
    for key, own in sets[1].items():
        for place, *kind in own[KIND].itertuples(name=None):
            if place < found.get(tuple(kind), (None, math.inf))[1]:
                found[tuple(kind)] = key, place
    return found


def _one_a_quantity() -> list:
    """Every kind of estimate; beyond the first of its quantity they are slow."""
    known, found = set(), []
    for kind in _kinds():
        found.append(pytest.param(kind, marks=[pytest.mark.slow] if kind[0] in known else []))
        known.add(kind[0])
    return found


@pytest.mark.parametrize("kind", _one_a_quantity(), ids=" ".join)
def test_a_dropped_a_renamed_and_a_doubled_estimate_are_refused(sets, firsts, kind):
    wanted, parts = sets
    key, place = firsts[kind]
    own = parts[key]
    asked = {key: wanted[key]} if key in wanted else {}
    assert completeness.compared(own, asked) == []
    dropped = completeness.compared(own.drop(index=place), asked)
    renamed = own.copy()
    renamed.loc[place, "quantity"] = next(
        word for word in results.QUANTITIES if word not in set(own["quantity"])
    )
    assert completeness.compared(renamed, asked)
    assert dropped or (key[5] in completeness.MAY_BE and len(own) == 1)
    with pytest.raises(results.ContractError, match="share a key"):
        results.checked("estimates", pd.concat([own, own.loc[[place]]], ignore_index=True))


@pytest.mark.parametrize("stride", every(11, 1), ids=["some", "all"])
def test_every_single_estimate_is_missed_where_it_is_dropped(sets, stride):
    wanted, parts = sets
    for key, own in parts.items():
        asked = {key: wanted[key]} if key in wanted else {}
        for place in own.index[::stride]:
            told = completeness.compared(own.drop(index=place), asked)
            assert told or (key[5] in completeness.MAY_BE and len(own) == 1), own.loc[place, "id"]


def test_a_variant_that_nobody_declared_for_a_stratum_is_refused(run_of, sets):
    moved = run_of[0].copy()
    moved.loc[moved["variant"].eq("robust"), "variant"] = "counts_only"
    told = completeness.compared(moved, sets[0])
    assert any("robust" in line and line.endswith("absent") for line in told)
    assert any("counts_only" in line and "nobody asked" in line for line in told)


def test_unreported_trials_entered_as_nulls_are_missed_where_any_analysis_enters_them(run_of, sets):
    estimates, tables = run_of
    left = estimates[estimates["variant"].ne("registered_nulls")]
    told = completeness.compared(left, sets[0])
    assert told and all("registered_nulls" in line for line in told)
    levels = tables["multiverse_levels"]
    none = levels.assign(offered=levels["offered"] & levels["level"].ne("entered"))
    assert completeness.faults(left, {**tables, "multiverse_levels": none}) == []


def test_a_stage_that_was_not_run_is_not_missed(run_of):
    estimates, tables = run_of
    without = estimates[~estimates["outcome"].str.startswith("harm_")]
    left = {name: table for name, table in tables.items() if name != "harm_facts"}
    assert completeness.faults(without, left) == []


def test_the_synthesis_refuses_a_run_that_lacks_an_estimate(run_of, evidence):
    from analysis.stages import synthesis

    estimates, tables = run_of
    place = estimates.index[estimates["quantity"].eq("i_squared")][0]
    with pytest.raises(results.ContractError, match="no i_squared"):
        synthesis.run(evidence, estimates=estimates.drop(index=place), tables=tables)


def test_every_variant_of_the_tracked_run_is_the_one_the_evidence_gives(run_of, evidence):
    """`MAY_BE` is not ruled by the tables of a run: the evidence says which of them there are."""
    estimates, tables = run_of
    body, judged = questions.Body(evidence), risk_of_bias.overalls(evidence.risk_of_bias)
    of_facts = set(completeness.MAY_BE) - {"joint"}
    told = tables["headlines"]
    told = told[told["told"].eq(questions.MEAN) & told["design"].eq("controlled")]
    asked = 0
    for row in told.to_dict("records"):
        if (row["approach"], row["population"]) in questions.REVIEW_STRATA:
            continue
        stratum = {name: row[name] for name in ("outcome", "approach", "population")}
        question = questions.Question(**stratum, design="controlled")
        wanted = {name: len(rows) for name, rows, _, _ in questions.variants(body, question, judged)
                  if name in of_facts}  # fmt: skip
        here = results.find(estimates, **stratum, design="controlled", quantity="mean",
                            scale=outcomes.get(row["outcome"]).scale)  # fmt: skip
        here = here[here["variant"].isin(of_facts)].set_index("variant")["k_studies"]
        assert here.to_dict() == wanted, stratum
        asked += len(wanted)
    assert asked > 5
