"""The word lists: labels for every word, and no contradiction between lists."""

import os
import re
import subprocess
import sys

import pytest
from test_newstudy import OUTCOMES, STUDY, written

from analysis import vocabulary as v

NESTED = ("RISK_DOMAINS", "RISK_JUDGEMENTS")
LISTS = {
    name: value
    for name, value in vars(v).items()
    if name.isupper()
    and isinstance(value, dict)
    and isinstance(next(iter(value.values())), str)
    and name != "APPROACH_OF_CLASS"
} | {f"{name}, {tool}": words for name in NESTED for tool, words in getattr(v, name).items()}


@pytest.mark.parametrize("name", LISTS)
def test_every_word_is_one_word_and_has_a_label(name):
    for word, label in LISTS[name].items():
        assert re.fullmatch(r"[A-Za-z0-9_<=>]+", word)
        assert label.strip() == label != ""


def test_twelve_weeks_are_2_76_months():
    assert round(12 / v.WEEKS_PER_MONTH, 2) == 2.76
    assert round(48 / v.WEEKS_PER_MONTH, 2) == 11.04
    assert abs(v.WEEKS_PER_MONTH - v.DAYS_PER_MONTH / 7) < 5e-4


def test_lists_that_refer_to_one_another_agree():
    assert set(v.CELL_CLASS_SHORT) == set(v.CELL_CLASSES)
    assert set(v.C_PEPTIDE_MEASURES) | set(v.LEVEL_LIMITS) == set(v.OUTCOMES)
    assert set(v.CONCENTRATION_LIMITS) == set(v.CONCENTRATION_UNITS)
    assert set(v.NEVER_ENTER) < set(v.DIRECTION_CAVEATS)
    assert set(v.COMPUTED_CAVEATS) < set(v.DIRECTION_CAVEATS)
    assert set(v.CONTROLLED_DESIGNS) < set(v.DESIGNS)
    assert set(v.OUTCOMES) < set(v.RESPONDER_OUTCOMES)
    assert set(v.RISK_DOMAINS) == set(v.RISK_JUDGEMENTS) == set(v.RISK_TOOLS)
    assert set(v.ONGOING_STATUSES) < set(v.TRIAL_STATUSES)


def test_every_cell_class_has_an_approach_but_donor_islets():
    assert set(v.APPROACH_OF_CLASS) == set(v.CELL_CLASSES)
    assert set(v.APPROACH_OF_CLASS.values()) - {None} == set(v.APPROACHES)
    assert [c for c, approach in v.APPROACH_OF_CLASS.items() if approach is None] == ["donor_islet"]


def test_limits_are_in_order():
    for units in [*v.LEVEL_LIMITS.values(), v.CONCENTRATION_LIMITS]:
        for low, high in units.values():
            assert 0 <= low < high


@pytest.mark.parametrize("arm", ["treated", "control_vitd", "all_reexamined", "contrast_dose2.0"])
def test_arm_names(arm):
    assert re.fullmatch(v.ARM_PATTERN, arm)


@pytest.mark.parametrize("arm", ["", "placebo", "high_dose_patient_a", "treated_", "treated x"])
def test_other_names_are_no_arms(arm):
    assert not re.fullmatch(v.ARM_PATTERN, arm)


def test_what_checks_and_adds_a_study_needs_no_models_and_no_other_program(tracked_raw, tmp_path):
    """So that both answer at once. A quantile of t is scipy's, loaded by the rows that need one:
    a study whose means print their spreads does not, the tracked tables do."""  # fmt: skip
    new = tmp_path / "new.txt"
    new.write_text(written({"studies": [STUDY], "outcomes": OUTCOMES}), encoding="utf-8")
    code = (
        "import sys, typer.testing, analysis.newstudy; from analysis.cli import app;"
        "heavy = {'pymc', 'jax', 'arviz', 'nutpie', 'statsmodels', 'matplotlib', 'scipy.stats'};"
        "call = lambda *words: typer.testing.CliRunner().invoke(app, [*words, '--raw', "
        f"{str(tracked_raw)!r}]).exit_code;"
        f"print(call('add', {str(new)!r}, '--dry-run'), 'scipy' in sys.modules);"
        "print(call('check'), sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PATH": ""},
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.split("\n") == ["0 False", "0 []", ""]
