"""An outcome is one row: what else knows outcomes derives from it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import outcomes, priors, units, vocabulary
from analysis.effects.build import OUTCOMES as EFFECT_OUTCOMES
from analysis.effects.contrasts import TARGETS
from analysis.exact.contrasts import ContrastPriors
from analysis.results import ESTIMATES

ROOT = Path(__file__).resolve().parent.parent
CONTINUOUS = outcomes.of_kind(outcomes.CONTINUOUS)
MAY_LIST = {"analysis/outcomes.py", "analysis/priors.py", "analysis/vocabulary.py",
            "analysis/evidence/plausibility.py"}  # fmt: skip
"""Rooms that may name several outcomes in one list: the rows, their priors, words and limits."""

ADDED = """
import sys
from pathlib import Path

import pandas as pd

from analysis import outcomes, priors, units

sys.path.insert(0, "tests")

outcomes.OUTCOMES["fasting_glucose"] = outcomes.Outcome(
    "fasting_glucose", outcomes.CONTINUOUS, ("fasting_glucose",), outcomes.DIFFERENCE, "mmol/L", -1,
    (-1.0,), "objective", "Fasting glucose", "fasting glucose", "change of fasting glucose, mmol/L",
    suffix=" mmol/L", digits=1, short="fasting glucose")
priors.PRIORS += priors._change("fasting_glucose", "mmol/L", 3.0, 1.0, 0.7, 0.7, 0.5, 0.7)
before = units.scale
units.scale = lambda outcome, unit: (
    units.Scale(10 / units.GLUCOSE_G_PER_MOL if unit == "mg/dL" else 1.0)
    if outcome == "fasting_glucose" else before(outcome, unit))

from analysis import evidence, questions, results, risk_of_bias
from analysis.stages import headlines

read = evidence.load(Path("data/raw"))
body = questions.Body(read)
question = questions.Question("fasting_glucose", "cell_infusion", "all", "controlled")
rows = body.rows(question)
post = questions.posterior_of(body, question)
judged = risk_of_bias.overalls(read.risk_of_bias)
made = headlines.answer(body, question, rows, post, judged)
table = results.estimates(made.estimates)
one = results.one(table, outcome="fasting_glucose", approach="cell_infusion", design="controlled",
                  scale="difference")
from analysis.report import readings
from small_results import Small

headline = results.checked("headlines", pd.DataFrame([made.headline | {"estimate_id": one["id"]}]))
studies = results.checked("study_estimates", pd.DataFrame(made.studies))
run = Small(table, {"headlines": headline, "study_estimates": studies})
told = readings.effect(run, "fasting_glucose", "cell_infusion", "all")
assert told.value == readings.figure("fasting_glucose", one["mean"]) and told.k == one["k_studies"]
print(made.headline["told"], one["id"], one["unit"], one["k_studies"], told.value.split()[-1])
"""
"""Fasting glucose as an outcome, from its rows to its sentence: a row, its priors, its units."""


def test_an_outcome_whose_word_is_known_needs_a_row_its_priors_and_its_units():
    done = subprocess.run([sys.executable, "-c", ADDED], cwd=ROOT, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["mean", "fasting_glucose:cell_infusion:controlled", "mmol/L",
                                   "2.0", "mmol/L"]  # fmt: skip


def test_every_list_of_outcomes_follows_from_the_rows():
    assert tuple(EFFECT_OUTCOMES) == CONTINUOUS
    for word in vocabulary.OUTCOMES:
        assert {name for name, _ in TARGETS[word]} == {o.name for o in outcomes.from_word(word)}
    declared = next(spec for spec in ESTIMATES.columns if spec.name == "outcome")
    assert declared.words == tuple(outcomes.OUTCOMES)
    assert set(outcomes.HEADLINES) <= set(CONTINUOUS)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_every_continuous_outcome_has_its_priors_and_its_units(name):
    about = outcomes.get(name)
    assert ContrastPriors.of(name).mu is not None
    assert priors.get(name, "mu").unit == about.unit
    for word in about.raw:
        assert word in vocabulary.OUTCOMES
        for unit in vocabulary.LEVEL_LIMITS.get(word, vocabulary.CONCENTRATION_LIMITS):
            assert units.scale(word, unit).slope > 0


def test_no_other_room_lists_outcomes():
    found = []
    listed = {ast.Tuple: "elts", ast.List: "elts", ast.Set: "elts", ast.Dict: "keys"}
    for path in sorted((ROOT / "analysis").rglob("*.py")):
        name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        if name in MAY_LIST or sum(word in text for word in CONTINUOUS) < 3:
            continue
        for node in ast.walk(ast.parse(text)):
            parts = getattr(node, listed.get(type(node), ""), ())
            words = {part.value for part in parts if isinstance(part, ast.Constant)}
            if len(words & set(CONTINUOUS)) >= 3:
                found.append(f"{name}:{node.lineno}")
    assert found == []
