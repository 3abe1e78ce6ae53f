"""What stands beside a headline: the level of cell classes, on invented results."""

import numpy as np
import pandas as pd
import pytest

from analysis import outcomes
from analysis.questions import Question, direction
from analysis.stages import headlines

QUESTION = Question("hba1c", "cell_infusion", "t2d", "controlled")
TWO_CLASSES = ["msc_umbilical"] * 3 + ["bm_mnc"] * 3


class Body:
    """A body of evidence of which only the studies that teach SDs are asked."""

    def __init__(self, rows):
        self._rows = rows

    def teachers(self, question, rules=None):
        return self._rows[self._rows["var_a"].notna()]


def results_of(y, cell_class, kind="numeric"):
    """Results of six small trials, SE 0.2 where they are numbers."""
    kind = np.broadcast_to(kind, len(y))
    numbers = kind == "numeric"
    return pd.DataFrame({
        "effect_id": [f"s{i}" for i in range(len(y))], "kind": kind, "cell_class": cell_class,
        "y": np.where(numbers, y, np.nan), "var_a": np.where(numbers, 0.04, np.nan), "var_b": 0.0,
        "n_factor": 0.1, "z_low": np.where(numbers, np.nan, -np.inf),
        "z_high": np.where(numbers, np.nan, -1.96), "n_patients": 40.0, "derived": "",
        "p_exact": np.nan,
    })  # fmt: skip


def classes_of(rows) -> pd.DataFrame:
    return pd.DataFrame(headlines._classes(Body(rows), QUESTION, rows))


def test_classes_are_told_only_where_two_of_them_have_two_results():
    alone = results_of([-1.0, -1.0, -1.0, 0.0], ["msc_umbilical"] * 3 + ["bm_mnc"])
    assert classes_of(alone).empty


def test_each_class_has_its_own_mean_and_the_spread_between_them_is_told():
    found = classes_of(results_of([-1.2, -1.1, -1.0, -0.2, -0.1, 0.0], TWO_CLASSES))
    means = found[found["quantity"].isna() & found["scale"].eq(outcomes.get("hba1c").scale)]
    own = means.set_index(means["cell_class"].fillna("all"))["mean"]
    assert own["msc_umbilical"] == pytest.approx(-1.1, abs=0.15)
    assert own["bm_mnc"] == pytest.approx(-0.1, abs=0.15)
    assert own["msc_umbilical"] < own["all"] < own["bm_mnc"]
    spread = found[found["quantity"].eq("tau_class")]
    assert len(spread) == 1 and spread["ci_low"].iloc[0] > 0


def test_a_class_told_mostly_in_words_has_no_mean_of_its_own():
    kind = np.array(["numeric"] * 3 + ["numeric", "interval", "interval"])
    found = classes_of(results_of([-1.2, -1.1, -1.0, -0.5, 0, 0], TWO_CLASSES, kind))
    assert set(found["cell_class"].dropna()) == {"msc_umbilical"}


@pytest.mark.parametrize(("p", "side"), [(0.16, 0), (0.06, 0), (0.04, -1), (np.nan, -1)])
def test_a_number_counts_by_the_p_value_that_its_source_prints_and_else_by_its_interval(p, side):
    """A difference of levels keeps the error of its spreads, its verdict is the source's own."""
    row = results_of([-0.5], "bm_mnc").assign(p_exact=p)
    assert direction(row).tolist() == [side]


def test_a_printed_p_value_shows_a_difference_that_the_spreads_do_not():
    row = results_of([0.3], "bm_mnc").assign(p_exact=0.01)
    assert direction(row).tolist() == [1]
