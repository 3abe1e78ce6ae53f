"""Evidence that lacks whole tables: the run ends, and its report says what there is, no more."""

import pytest
import report_text
from conftest import every

from analysis import evidence, pipeline
from analysis.report import load

FACTS = ("outcomes.csv", "directions.csv", "responders.csv", "independence.csv", "safety.csv")
WITHOUT = {
    "every fact": FACTS,
    "numbers": ("outcomes.csv", "responders.csv"),
    "all but numbers": ("directions.csv", "independence.csv", "safety.csv", "risk_of_bias.csv",
                        "trial_conduct.csv", "registered_trials.csv", "publication_search.csv"),
}  # fmt: skip
"""Tables left without rows."""


@pytest.mark.slow
@pytest.mark.parametrize("what", every(*WITHOUT))
def test_evidence_without_whole_tables_ends_in_a_report(what, raw_dir, tmp_path):
    for name in WITHOUT[what]:
        path = raw_dir / name
        header = path.read_text(encoding="utf-8").splitlines(keepends=True)[0]
        path.write_text(header, encoding="utf-8")
    assert evidence.load(raw_dir)
    # The sampler is asked only where there is next to nothing to sample.
    stages = tuple(s for s in pipeline.STAGES if what == "every fact" or not s.sampled)
    out = tmp_path / "processed"
    made = pipeline.run(raw_dir, out, stages=stages, isolate=False)
    assert made.withheld == () and set(made.computed) == {stage.name for stage in stages}
    said = report_text.said(load(out, raw_dir), verbatim=True, figures=True)
    assert all(isinstance(text, str) for text in said.values())
    if what == "every fact":
        assert made.estimates.empty  # no prior is told as a result
