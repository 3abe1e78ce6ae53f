"""Arms, controls, months and scales of a trial: one contrast, nobody twice, nothing silent."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from test_effects import NAN, row

from analysis import effects
from analysis.effects import Rules, arms, contrasts, summaries
from analysis.effects.conversions import se_from_p
from analysis.effects.numeric import Size


def contrast(rows, outcome="hba1c", rules=Rules(), size=None):  # noqa: B008
    """The one controlled contrast of an outcome, or None."""
    found, _ = contrasts.from_numbers(rows, rules, size)
    chosen = [e for e in found if e.controlled and e.outcome == outcome]
    assert len(chosen) <= 1
    return chosen[0] if chosen else None


def arm_rows(line, arm, before=None, after=None, months=12.0, n=20.0, sd=1.0, **other):
    """Levels before and after of one arm."""
    rows = []
    if before is not None:
        rows.append(row(line, arm, 0.0, before, sd, n=n, **other))
    if after is not None:
        rows.append(row(line + 1, arm, months, after, sd, n=n, **other))
    return rows


def changed(line, arm, value, months=12.0, sd=1.0, n=20.0, **other):
    return row(line, arm, months, value, sd, scale="change", n=n, **other)


CONTROL = arm_rows(30, "control", 8.4, 8.2)


# --- several arms --------------------------------------------------------------------------------


def test_several_treated_arms_are_one_contrast_and_the_control_counts_once():
    rows = [*arm_rows(2, "treated_low", 8.5, 7.5, n=10), *CONTROL,
            *arm_rows(4, "treated_high", 8.5, 7.2, n=30)]  # fmt: skip
    effect = contrast(rows)
    assert effect.y == pytest.approx((10 * -1.0 + 30 * -1.3) / 40 - -0.2)
    assert (effect.n_treated, effect.n_control) == (40, 20)
    # Baselines are equal; after treatment the pooled variance has a part between the arms.
    before = (9 + 29) / 39
    mean = (10 * 7.5 + 30 * 7.2) / 40
    after = (9 + 29 + 10 * (7.5 - mean) ** 2 + 30 * (7.2 - mean) ** 2) / 39
    assert effect.var_a == pytest.approx((before + after) / 40 + 2 / 20)
    assert effect.var_b == pytest.approx(2 * math.sqrt(before * after) / 40 + 2 / 20)


def test_the_pooled_sd_is_that_of_the_patients_together():
    rng = np.random.default_rng(1)
    groups = [rng.normal(m, s, n) for m, s, n in ((1, 1, 7), (3, 2, 12), (0, 0.5, 4))]
    found = arms.pooled_sd([len(g) for g in groups], [g.mean() for g in groups],
                           [g.std(ddof=1) for g in groups])  # fmt: skip
    assert found == pytest.approx(np.concatenate(groups).std(ddof=1))


def test_combined_changes_have_the_spread_of_the_patients_together():
    rng = np.random.default_rng(2)
    groups = [rng.normal(m, 1, n) for m, n in ((-1, 8), (-2, 15))]
    rows = [
        changed(i, f"treated_{i}", g.mean(), sd=g.std(ddof=1), n=float(len(g)))
        for i, g in enumerate(groups, 2)
    ]
    everyone = np.concatenate(groups)
    effect = contrast([*rows, changed(9, "control", 0.0)])
    assert effect.y == pytest.approx(everyone.mean())
    assert effect.var_a - 1 / 20 == pytest.approx(everyone.var(ddof=1) / len(everyone))


@pytest.mark.parametrize("names", [("control_placebo",), ("control_vitd", "control_standard"),
                                   ("control", "control_hot")])  # fmt: skip
def test_named_controls_are_controls(names):
    rows = arm_rows(2, "treated", 8.5, 7.5)
    for i, name in enumerate(names):
        rows += arm_rows(10 + 2 * i, name, 8.4, 8.2)
    effect = contrast(rows)
    assert effect.y == pytest.approx(-0.8)
    # An arm called control is the whole control; named ones are its parts.
    assert effect.n_control == (20 if "control" in names else 20 * len(names))


def test_arms_that_print_different_scales_are_still_one_contrast():
    rows = [changed(2, "treated_low", -1.0), *arm_rows(3, "treated_high", 8.5, 7.2), *CONTROL]
    effect = contrast(rows)
    assert effect.y == pytest.approx(-1.15 - -0.2)
    assert effect.n_treated == 40


def test_an_arm_that_is_not_measured_at_a_visit_is_named():
    early = arm_rows(4, "treated_high", 8.5, 7.2, months=6.0)
    effect = contrast([*arm_rows(2, "treated_low", 8.5, 7.5), *early, *CONTROL])
    assert (effect.n_treated, effect.months) == (20, 12)
    assert effect.note == "without treated_high: nothing at this visit"


def test_arms_set_apart_share_the_control_out():
    rows = [*arm_rows(2, "treated_low", 8.5, 7.5), *arm_rows(4, "treated_high", 8.5, 7.2), *CONTROL]
    found, _ = contrasts.from_numbers(rows, Rules(arms="apart"))
    apart = [e for e in found if e.controlled]
    assert sorted(e.y for e in apart) == pytest.approx([-1.1, -0.8])
    assert [e.n_control for e in apart] == [10, 10]


def test_patients_are_never_added_to_their_arm():
    rows = [*arm_rows(2, "treated_low", 8.5, 7.5), *arm_rows(4, "treated_high", 8.5, 7.2),
            *arm_rows(6, "patient_best", 9.0, 5.5, n=1.0, sd=NAN), *CONTROL]  # fmt: skip
    found, reasons = contrasts.from_numbers(rows, Rules())
    assert all(e.n_treated == 40 for e in found)
    assert reasons[6] == reasons[7] == "a patient of an arm that is reported as a whole"


def test_patients_alone_are_their_own_sample():
    changes = np.array([-1.0, -2.0, -1.6, -0.4])
    rows = [changed(i, f"patient_{i}", x, sd=NAN, n=1.0) for i, x in enumerate(changes, 2)]
    found, _ = contrasts.from_numbers(rows, Rules())
    assert found[0].y == pytest.approx(changes.mean())
    assert found[0].var_a == pytest.approx(changes.var(ddof=1) / 4)


# --- scales and months ---------------------------------------------------------------------------


def test_the_scale_that_both_arms_have_is_used():
    levels = arm_rows(3, "treated", 8.5, 7.5)
    both = contrast([changed(2, "treated", -1.4), *levels, *CONTROL])
    assert both.y == pytest.approx(-1.0 - -0.2)  # levels against levels, not -1.4 against them
    reverse = contrast([*levels, *CONTROL, changed(40, "control", -0.5)])
    assert reverse.y == pytest.approx(-0.8)
    common = contrast(
        [changed(2, "treated", -1.4), *levels, *CONTROL, changed(40, "control", -0.5)]
    )
    assert common.y == pytest.approx(-1.4 - -0.5)


def test_a_change_is_compared_with_the_change_that_levels_show():
    effect = contrast([changed(2, "treated", -1.0), *CONTROL])
    assert effect.y == pytest.approx(-0.8)
    assert (effect.var_a, effect.var_b) == pytest.approx((1 / 20 + 2 / 20, 2 / 20))


def test_a_control_with_follow_up_alone_is_compared_at_follow_up():
    rows = [*arm_rows(2, "treated", 8.5, 7.5), *arm_rows(4, "control", None, 8.2)]
    effect = contrast(rows)
    assert effect.contrast == "follow_up_contrast"
    assert effect.y == pytest.approx(7.5 - 8.2)
    treated_only = [*arm_rows(2, "treated", None, 7.5), *CONTROL]
    assert contrast(treated_only).contrast == "follow_up_contrast"


@pytest.mark.parametrize(
    ("treated", "control", "formed"),
    [(12.0, 11.96, True), (6.0, 5.52, True), (12.0, 12.5, True), (12.0, 11.0, False),
     (3.0, 2.76, True), (1.0, 1.5, False)],
)  # fmt: skip
def test_visits_that_nearly_match_are_one_visit(treated, control, formed):
    rows = [*arm_rows(2, "treated", 8.5, 7.5, months=treated),
            *arm_rows(4, "control", 8.4, 8.2, months=control)]  # fmt: skip
    effect = contrast(rows)
    assert (effect is not None) == formed
    if formed:
        assert (effect.months, effect.y) == pytest.approx((treated, -0.8))


def test_two_visits_of_one_arm_are_never_one_visit():
    rows = [*arm_rows(2, "treated", 8.5, 7.5, months=12.0), row(9, "treated", 12.4, 7.0, 1.0),
            *arm_rows(4, "control", 8.4, 8.2, months=12.2)]  # fmt: skip
    found, _ = contrasts.from_numbers(rows, Rules())
    assert sorted({e.months for e in found}) == [12.0, 12.4]
    assert sum(e.controlled for e in found) == 1


def test_levels_in_units_that_cannot_be_compared_give_no_contrast():
    area = {"outcome": "c_peptide_auc"}
    rows = [*arm_rows(2, "treated", None, 200.0, unit="ng/mL*min", **area),
            *arm_rows(4, "control", None, 5.0, unit="pmol/mL*min", **area)]  # fmt: skip
    assert contrast(rows, "c_peptide_ratio") is None


# --- few patients, many patients -----------------------------------------------------------------


@pytest.mark.parametrize("n", [1.0, 2.0])
def test_no_pooled_contrast_against_fewer_than_three_controls(n):
    rows = [*arm_rows(2, "treated", 8.5, 7.5), *arm_rows(4, "control", 8.5, 7.5, n=n)]
    assert contrast(rows).few == "fewer than three controls: shown beside, never pooled"


def test_arms_with_more_patients_than_the_study_count_as_the_study():
    rows = [*arm_rows(2, "treated_low", 8.5, 7.5), *arm_rows(4, "treated_high", 8.5, 7.2), *CONTROL]
    whole, held = contrast(rows), contrast(rows, size=Size(20, 20))
    assert (held.n_treated, held.n_control) == (20, 20)
    assert held.y == pytest.approx(whole.y)
    assert held.var_a - 0.1 == pytest.approx(2 * (whole.var_a - 0.1))
    assert "n_of_study" in held.flags


SCALES = ("level", "change", "percent_change", "percent_of_baseline")


@st.composite
def studies(draw):
    """Rows of an invented trial: any arms, visits, scales, spreads and p-values."""
    names = draw(
        st.lists(
            st.sampled_from(["treated", "treated_a", "treated_b", "control", "control_x",
                             "control_y", "patient_1", "patient_2"]),
            min_size=1, max_size=5, unique=True,
        )
    )  # fmt: skip
    rows, line = [], 2
    for name in names:
        n = 1.0 if name.startswith("patient") else float(draw(st.integers(1, 40)))
        for months in (0.0, *draw(st.lists(st.sampled_from([5.52, 6.0, 11.96, 12.0]),
                                           max_size=3, unique=True))):  # fmt: skip
            scales = ["level"] if months == 0 else draw(
                st.lists(st.sampled_from(SCALES), min_size=1, max_size=3, unique=True)
            )  # fmt: skip
            for scale in scales:
                ends = (40, 120) if scale == "level" else (-400, 600)
                value = draw(st.integers(*ends)) / 10
                kind = draw(st.sampled_from(["sd", "se", "none", "iqr", "ci95", "unstated"]))
                pair = kind in ("iqr", "ci95")
                half = draw(st.sampled_from([0.0, 0.4, 1.5]))
                p = draw(st.sampled_from([NAN, 0.0004, 0.03, 0.7]))
                rows.append(
                    row(line, name, months, value, n=n, scale=scale, spread_kind=kind,
                        spread=NAN if pair or kind == "none" else half,
                        spread_low=value - half if pair else NAN,
                        spread_high=value + 2 * half if pair else NAN,
                        p_relation="" if math.isnan(p) or not months else "=",
                        p_value=p if months else NAN,
                        p_contrast=draw(st.sampled_from(["within", "between"])))
                )  # fmt: skip
                line += 1
    return rows


@given(
    rows=studies(),
    word=st.sampled_from([("hba1c", "%"), ("c_peptide_fasting", "ng/mL"),
                          ("c_peptide_auc", "ng/mL*min"), ("insulin_dose", "IU/day")]),
    n=st.tuples(st.sampled_from([NAN, 5.0, 30.0]), st.sampled_from([NAN, 4.0, 30.0])),
    rules=st.sampled_from([Rules(), Rules(se_source="larger"), Rules(se_source="spread"),
                           Rules(arms="apart"), Rules(percent_first=True, printed_change=False)]),
)  # fmt: skip
def test_patients_are_conserved_and_no_row_is_lost(rows, word, n, rules):
    rows = [{**r, "outcome": word[0], "unit": word[1] if r["scale"] in ("level", "change") else "%"}
            for r in rows]  # fmt: skip
    size = Size(*n)
    found, reasons = contrasts.from_numbers(rows, rules, size)
    enrolled = {
        kind: sum({r["arm"]: r["n"] for r in rows if r["arm"].startswith(kind)}.values())
        for kind in ("treated", "control", "patient")
    }
    treated = enrolled["treated"] or enrolled["patient"]
    for effect in found:
        assert math.isfinite(effect.y)
        for variance in (effect.var_a - r * effect.var_b for r in (-0.95, 0.0, 0.95)):
            assert math.isnan(variance) or variance > 0
        assert effect.n_treated <= min(treated, np.nan_to_num(size.treated, nan=math.inf)) + 1e-9
        if effect.controlled:
            most = min(enrolled["control"], np.nan_to_num(size.control, nan=math.inf))
            assert effect.n_control <= most + 1e-9
    for months in {e.months for e in found}:
        for outcome in {e.outcome for e in found}:
            shared = [
                e for e in found if e.controlled and (e.outcome, e.months) == (outcome, months)
            ]
            if shared and rules.arms == "apart":
                assert sum(e.n_control for e in shared) <= enrolled["control"] + 1e-9
            else:
                assert len(shared) <= 1
    used = {line for effect in found for line in effect.lines}
    assert used.isdisjoint(reasons)
    assert used | set(reasons) == {r["line"] for r in rows}


def test_no_effect_has_more_patients_than_its_study(evidence):
    table = effects.build(evidence).effects
    own = evidence.studies.set_index("study_id")
    for side in ("treated", "control"):
        most = table["study_id"].map(own[f"n_{side}"]).where(lambda n: n > 0)
        numeric = table["kind"].eq("numeric") & most.notna()
        assert (table.loc[numeric, f"n_{side}"].fillna(0) <= most[numeric]).all()


# --- standard errors -----------------------------------------------------------------------------


def between(p, relation="="):
    return {"p_relation": relation, "p_value": p, "p_contrast": "between"}


def test_a_p_value_between_arms_printed_on_one_row_is_used():
    rows = [
        changed(2, "treated", -1.0, sd=NAN, **between(0.01)),
        changed(3, "control", -0.2, sd=NAN),
    ]
    effect = contrast(rows)
    assert math.sqrt(effect.var_a) == pytest.approx(se_from_p(-0.8, 0.01, 38))
    assert "se_from_p" in effect.flags


def test_a_p_value_comes_before_spreads_before_and_after_and_behind_those_of_the_change():
    levels = [*arm_rows(2, "treated", 8.5, 7.5), *CONTROL]
    levels[-1] = {**levels[-1], **between(0.03)}
    effect = contrast(levels)
    assert math.sqrt(effect.var_a) == pytest.approx(se_from_p(0.8, 0.03, 38))
    assert (effect.spread_a, effect.spread_b) == pytest.approx((0.2, 0.2))
    by_spread = math.sqrt(0.2 - 0.4 * 0.2)
    assert effect.se_ratio == pytest.approx(math.sqrt(effect.var_a) / by_spread)
    own = contrast([changed(2, "treated", -1.0, **between(0.03)), changed(3, "control", -0.2)])
    assert own.var_a == pytest.approx(2 / 20)
    assert "se_from_p" not in own.flags


def test_levels_at_one_visit_take_their_spreads_before_a_p_value():
    rows = [*arm_rows(2, "treated", None, 7.5, **between(0.03)),
            *arm_rows(4, "control", None, 8.2, **between(0.03))]  # fmt: skip
    assert contrast(rows).var_a == pytest.approx(2 / 20)
    assert contrast(rows).p_exact == 0.03
    bare = [{**r, "spread_kind": "none", "spread": NAN} for r in rows]
    assert math.sqrt(contrast(bare).var_a) == pytest.approx(se_from_p(0.7, 0.03, 38))


@pytest.mark.parametrize(("source", "by_p"), [("protocol", True), ("spread", False)])
def test_which_of_two_ways_gives_the_standard_error_is_a_choice(source, by_p):
    rows = [*arm_rows(2, "treated", 8.5, 7.5), *CONTROL]
    rows[-1] = {**rows[-1], **between(0.03)}
    effect = contrast(rows, rules=Rules(se_source=source))
    assert ("se_from_p" in effect.flags) == by_p
    larger = contrast(rows, rules=Rules(se_source="larger"))
    assert larger.var_a - 0.4 * larger.var_b >= effect.var_a - 0.4 * effect.var_b - 1e-12


def test_a_bound_on_p_says_something_only_where_no_spread_is_printed():
    bare = [
        changed(2, "treated", -1.0, sd=NAN, **between(0.05, "<")),
        changed(3, "control", 0.0, sd=NAN),
    ]
    effect = contrast(bare)
    assert math.isnan(effect.var_a)
    assert (effect.z_low, effect.z_high) == pytest.approx((-math.inf, stats.norm.ppf(0.025)))
    within = contrast([changed(2, "treated", 1.0, sd=NAN, **between(0.2, ">")),
                       changed(3, "control", 0.0, sd=NAN)])  # fmt: skip
    assert (within.z_low, within.z_high) == pytest.approx((0.0, stats.norm.isf(0.1)))
    spread = contrast(
        [changed(2, "treated", -1.0, **between(0.05, "<")), changed(3, "control", 0.0)]
    )
    assert math.isnan(spread.z_low) and spread.var_a > 0


def test_two_p_values_that_differ_are_none():
    rows = [changed(2, "treated", -1.0, sd=NAN, **between(0.01)),
            changed(3, "control", -0.2, sd=NAN, **between(0.2))]  # fmt: skip
    assert math.isnan(contrast(rows).var_a)


@pytest.mark.parametrize("kind", ["sd", "se", "unstated"])
def test_a_spread_of_zero_is_a_spread_not_known(kind):
    rows = [*arm_rows(2, "treated", 8.5, 7.5, sd=0.0), *CONTROL]
    rows = [{**r, "spread_kind": kind} for r in rows]
    effect = contrast(rows)
    assert effect.y == pytest.approx(-0.8)
    assert math.isnan(effect.var_a) and "no_sd:zero_spread" in effect.flags


def test_collapsed_quartiles_are_a_spread_not_known():
    flat = {"statistic": "median", "spread_kind": "iqr"}
    rows = [row(2, months=0, value=8.0, spread_low=8.0, spread_high=8.0) | flat,
            row(3, months=12, value=7.0, spread_low=7.0, spread_high=7.0) | flat]  # fmt: skip
    found, _ = contrasts.from_numbers(rows, Rules())
    assert found[0].y == pytest.approx(-1.0)
    assert math.isnan(found[0].var_a)


def test_the_geometric_middle_of_an_interval_is_read_on_the_log_scale():
    ci = {"spread_kind": "ci95", "outcome": "c_peptide_fasting", "unit": "nmol/L"}
    rows = [row(2, months=0, value=0.2, spread_low=0.1, spread_high=0.4, n=20.0) | ci,
            row(3, months=12, value=0.4, spread_low=0.2, spread_high=0.8, n=20.0) | ci]  # fmt: skip
    found, _ = contrasts.from_numbers(rows, Rules())
    ratio = next(e for e in found if e.outcome == "c_peptide_ratio")
    sd = math.sqrt(20) * math.log(4) / (2 * stats.t.ppf(0.975, 19))
    assert ratio.y == pytest.approx(math.log(2))
    assert (ratio.var_a, ratio.var_b) == pytest.approx((2 * sd**2 / 20, 2 * sd**2 / 20))
    assert not summaries.is_geometric(0.1, 0.25, 0.4)
    assert not summaries.is_geometric(-0.1, 0.2, 0.4)


# --- printed differences -------------------------------------------------------------------------


def difference(line=2, arm="contrast", value=-0.5, n=20.0, n_control=20.0, **other):
    return row(line, arm, 12.0, value, n=n, n_control=n_control, scale="between_arm_difference",
               **other)  # fmt: skip


def test_a_difference_printed_with_an_sd_has_the_error_of_two_arms():
    effect = contrast([difference(spread_kind="sd", spread=0.9)])
    assert effect.var_a == pytest.approx(0.81 * (1 / 20 + 1 / 20))
    assert "sd_of_difference" in effect.flags
    assert contrast([difference(spread_kind="se", spread=0.9)]).var_a == pytest.approx(0.81)


def test_a_difference_without_spread_or_controls_takes_those_of_the_study_or_is_left_out():
    bare = difference(n_control=NAN)
    effect = contrast([bare], size=Size(20, 18))
    assert (effect.n_control, effect.y) == (18, -0.5)
    assert math.isnan(effect.var_a)
    found, reasons = contrasts.from_numbers([bare], Rules())
    assert found == [] and "number of controls" in reasons[2]


def test_a_difference_of_zero_with_a_p_value_has_no_standard_error():
    effect = contrast([difference(value=0.0, p_relation="=", p_value=0.4, p_contrast="between")])
    assert math.isnan(effect.var_a)


def test_a_difference_in_ifcc_units_is_converted_with_its_error():
    effect = contrast([difference(value=-10.0, unit="mmol/mol", spread_kind="se", spread=2.0)])
    assert (effect.y, effect.var_a) == pytest.approx((-0.9148, (2 * 0.09148) ** 2))


def test_several_printed_differences_share_one_control():
    rows = [difference(2, "contrast_low", -0.4, n=10.0, spread_kind="se", spread=0.3),
        difference(3, "contrast_high", -0.8, n=30.0, spread_kind="se", spread=0.25)]  # fmt: skip
    effect = contrast(rows)
    assert effect.y == pytest.approx(-0.7)
    assert (effect.n_treated, effect.n_control) == (40, 20)
    low, high = 0.09 / (1 / 10 + 1 / 20), 0.0625 / (1 / 30 + 1 / 20)
    pooled = (9 * low + 29 * high + 10 * 0.3**2 + 30 * 0.1**2) / 39
    assert effect.var_a == pytest.approx(pooled * (1 / 40 + 1 / 20))


def test_a_printed_difference_speaks_before_the_arms_behind_it():
    rows = [difference(spread_kind="se", spread=0.2), *arm_rows(4, "treated", 8.5, 7.5), *CONTROL]
    found, _ = contrasts.from_numbers(rows, Rules())
    both = [e for e in found if e.controlled]
    assert [bool(e.displaced) for e in both if e.printed] == [False]
    assert [bool(e.displaced) for e in both if not e.printed] == [True]


# --- what check says -----------------------------------------------------------------------------


def with_outcomes(evidence, study_id, drop):
    """The evidence without the rows of a study for which `drop` is true."""
    table = evidence.outcomes
    gone = table["study_id"].eq(study_id) & drop(table)
    return replace(evidence, outcomes=table[~gone].reset_index(drop=True))


def test_control_rows_without_a_contrast_are_an_oddity(evidence):
    assert not [f for f in effects.oddities(evidence) if "no controlled contrast" in f.allowed]
    changed = evidence.outcomes.copy()
    mine = changed["study_id"].eq("cai2016") & changed["arm"].eq("control")
    changed.loc[mine & changed["months"].eq(12), "months"] = 20.0
    found = effects.oddities(replace(evidence, outcomes=changed))
    odd = [f for f in found if "no controlled contrast" in f.allowed]
    assert odd and all(f.file == "outcomes.csv" for f in odd)
    lines = set(changed.loc[mine & changed["outcome"].eq("hba1c"), "line"])
    named = next(f for f in odd if "HbA1c" in f.allowed)
    assert all(str(line) in named.allowed for line in lines)


def test_two_ways_to_a_standard_error_that_differ_are_an_oddity(evidence):
    table = effects.build(evidence).effects
    odd = [f for f in effects.oddities(evidence) if "standard error by this p-value" in f.allowed]
    far = table[(table["se_ratio"] > 1.3) | (table["se_ratio"] < 1 / 1.3)]
    assert {name for f in odd for name in far["effect_id"] if f"({name})" in f.allowed} == set(
        far["effect_id"]
    )
    assert "bhansali2014a:insulin_dose:vs_control:12" in set(far["effect_id"])


def test_words_against_the_sign_of_the_number_are_an_oddity(evidence):
    assert not [f for f in effects.oddities(evidence) if "other sign" in f.allowed]
    said = evidence.directions.copy()
    mine = said["study_id"].eq("cai2016") & said["outcome"].eq("hba1c")
    said.loc[mine, "direction"] = "increase"
    found = effects.oddities(replace(evidence, directions=said))
    assert [f for f in found if "other sign" in f.allowed and f.file == "directions.csv"]


# --- from the tables to the question -------------------------------------------------------------


def invented(evidence, numbers, said=(), **study):
    """The evidence with one invented trial alone: rows of outcomes.csv and of directions.csv."""
    one = evidence.studies.query("study_id == 'cai2016'").assign(
        study_id="made_up", cohort="made_up", overlaps_with="", overlap_kind="",
        n_treated=20.0, n_control=20.0, **study,
    )  # fmt: skip

    def frame(template, rows):
        blank = {c: "" if template[c].dtype.kind in "OTU" else NAN for c in template.columns}
        source = {"seen_in": "abstract", "source_url": "https://example.org/1"}
        made = [{**blank, **source, "has_numbers": False, **r} for r in rows]
        return pd.DataFrame(made, columns=template.columns)

    return replace(evidence, studies=one, outcomes=frame(evidence.outcomes, numbers),
                   directions=frame(evidence.directions, said))  # fmt: skip


def told(line, **other):
    """A row of directions.csv: HbA1c fell against control, p < 0.05, at 12 months."""
    base = {"line": line, "study_id": "made_up", "contrast": "treated_vs_control", "arm": "treated",
            "outcome": "hba1c", "months": 12.0, "months_from": 12.0, "months_to": 12.0,
            "direction": "decrease", "significant": "yes", "quoted_measure": "HbA1c"}  # fmt: skip
    return {**base, **other}


def test_a_trial_of_named_arms_speaks_once_against_controls(evidence):
    rows = [*arm_rows(2, "treated_low", 8.5, 7.5, n=10.0),
            *arm_rows(4, "treated_high", 8.5, 7.2, n=10.0),
            *arm_rows(6, "control_placebo", 8.4, 8.2)]  # fmt: skip
    built = effects.build(invented(evidence, rows, [told(2)]))
    chosen = effects.for_stratum(built.effects, "hba1c")
    assert list(chosen["effect_id"]) == ["made_up:hba1c:vs_control:12"]
    assert chosen["n_patients"].iloc[0] == 40
    # The words restate the numbers: no second effect of the same contrast.
    assert set(built.effects["kind"]) == {"numeric"}
    assert len(effects.oddities(invented(evidence, rows, [told(2)]))) == 0


def test_an_exact_p_in_words_gives_the_error_of_a_number_without_one(evidence):
    rows = [changed(2, "treated", -1.0, sd=NAN), changed(3, "control", -0.2, sd=NAN)]
    exact = told(2, p_relation="=", p_value=0.01)
    table = effects.build(invented(evidence, rows, [exact])).effects
    one = effects.for_stratum(table, "hba1c").iloc[0]
    assert math.sqrt(one["var_a"]) == pytest.approx(se_from_p(-0.8, 0.01, 38))
    assert "directions:" in one["source_rows"] and one["kind"] == "numeric"
    bound = effects.build(invented(evidence, rows, [told(2, p_relation="<", p_value=0.01)])).effects
    one = effects.for_stratum(bound, "hba1c").iloc[0]
    assert math.isnan(one["var_a"])
    assert one["z_high"] == pytest.approx(stats.norm.ppf(0.005))


def test_a_control_of_one_patient_is_shown_and_the_change_within_still_speaks(evidence):
    rows = [*arm_rows(2, "treated", 8.5, 7.5), *arm_rows(4, "control", 8.5, 7.5, n=1.0)]
    table = effects.build(invented(evidence, rows)).effects
    assert effects.for_stratum(table, "hba1c").empty
    shown = table[table["controlled"]].iloc[0]
    assert not shown["pool"] and "fewer than three controls" in shown["note"]
    assert len(effects.for_stratum(table, "hba1c", design="uncontrolled")) == 1


def test_a_control_measured_before_treatment_alone_is_named(evidence):
    rows = [*arm_rows(2, "treated", 8.5, 7.5), *arm_rows(4, "control", 8.4, None)]
    found = effects.oddities(invented(evidence, rows))
    assert [f.line for f in found] == [4]
    assert "no controlled contrast" in found[0].allowed and "lines 4" in found[0].allowed


def test_two_p_values_of_one_contrast_are_an_oddity(evidence):
    rows = [changed(2, "treated", -1.0, sd=NAN, **between(0.01)),
            changed(3, "control", -0.2, sd=NAN, **between(0.2))]  # fmt: skip
    found = effects.oddities(invented(evidence, rows))
    assert [(f.line, f.column) for f in found] == [(3, "p_value")]
    assert "line 2" in found[0].allowed


def test_two_p_values_against_baseline_are_no_contrast(evidence):
    within = [
        told(2, contrast="treated_vs_baseline", p_relation="=", p_value=0.01),
        told(3, contrast="control_vs_baseline", arm="control", p_relation="=", p_value=0.6),
    ]
    table = effects.build(invented(evidence, [], within)).effects
    assert not table["controlled"].any()
    assert len(effects.for_stratum(table, "hba1c", design="uncontrolled")) == 1
