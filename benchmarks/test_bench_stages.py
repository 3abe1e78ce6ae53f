"""How long the stages take, each alone. Results are in docs/benchmarks.md.

Cold means that nothing compiled is on disk; quadrature compiles nothing.
"""

from importlib import import_module

import pytest

from analysis import evidence, pipeline


@pytest.fixture(scope="module")
def loaded():
    return evidence.load(pipeline.RAW)


@pytest.mark.parametrize("name", [s.name for s in pipeline.STAGES if not s.last])
def test_stage(benchmark, loaded, name):
    stage = next(s for s in pipeline.STAGES if s.name == name)
    seen = pipeline.Noted.of(loaded)
    drawn = {"seed": pipeline.SEED} if stage.sampled else {}

    def run():
        compute = getattr(import_module(stage.module), stage.function)
        return compute(seen, progress=lambda part: None, **drawn)

    result = benchmark.pedantic(run, rounds=1, iterations=1)
    assert result.tables
