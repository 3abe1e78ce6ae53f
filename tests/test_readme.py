"""What README shows of the engine runs as it stands, with numpy, scipy and pandas alone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("arviz", "jax", "jinja2", "joblib", "matplotlib", "nbclient", "nutpie", "pymc", "pytensor",
         "rich", "statsmodels", "typer", "typst", "yaml")  # fmt: skip


def blocks(language: str) -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def printed() -> list[str]:
    """What the block prints where nothing else can be imported; nor do effects import it."""
    (block,) = blocks("python")
    without = f"import sys\nsys.modules.update(dict.fromkeys({HEAVY!r}))\n"
    program = f"{without}{block}\nimport analysis.effects\n"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_engine_takes_six_lines():
    (block,) = blocks("python")
    assert len(block.splitlines()) == 6


def test_it_runs_on_numpy_scipy_and_pandas_alone(printed):
    assert len(printed) == 2


def test_it_gives_what_the_same_call_gives_here(printed):
    from analysis import exact

    post = exact.fit([-0.7, -0.2, -1.0], [0.25, 0.41, 0.25], tau_prior=exact.HalfNormal(0.5))
    shown = [float(x) for x in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", " ".join(printed))]
    expected = [post.mu.mean, *post.mu.interval(), *post.predictive.interval(), post.tau.median]
    np.testing.assert_allclose(shown, expected, rtol=1e-12)
    low, high = post.mu.interval()
    assert low < post.mu.mean < high < 0.5
