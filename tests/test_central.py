"""The central 95 % interval has one home."""

import ast
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis import exact
from analysis.central import HIGH, LEVELS, LOW, central, central_of_draws

ANALYSIS = Path(exact.__file__).parents[1]
OTHER_MEANINGS = {
    "central.py": "the home",
    "verdicts.py": "cut-offs of a probability",
    "models/bias_average.py": "steps of a selection model, one-sided p-values",
}


def test_a_known_distribution_gives_its_own_points():
    fit = exact.fit([1.0], [0.5], mu_prior=exact.Normal(0, 1e6), tau_prior=exact.Fixed(0.0))
    assert central(fit.mu) == pytest.approx(stats.norm(1.0, 0.5).ppf([LOW, 0.5, HIGH]), rel=1e-6)


def test_draws_of_any_shape_give_their_sample_quantiles():
    draws = np.arange(1001.0).reshape(7, 11, 13)
    assert central_of_draws(draws) == pytest.approx((25.0, 500.0, 975.0))


def test_the_levels_are_symmetric():
    assert LEVELS == (LOW, 0.5, HIGH) and pytest.approx(1.0) == LOW + HIGH


def test_nobody_writes_the_ends_of_the_interval_by_hand():
    found = []
    for path in sorted(ANALYSIS.rglob("*.py")):
        name = path.relative_to(ANALYSIS).as_posix()
        if name in OTHER_MEANINGS:
            continue
        found += [
            f"{name}:{node.lineno}: {node.value}"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant)
            and isinstance(node.value, float)
            and node.value in (LOW, HIGH)
        ]
    assert found == [], "use analysis.central"
