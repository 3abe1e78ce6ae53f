"""Effects: rules on small made-up studies, then invariants and known traps on the real tables."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis import effects
from analysis.effects import Rules, contrasts, statements
from analysis.effects.conversions import se_from_p, z_from_p
from analysis.evidence.references import find, reference

NAN = math.nan


@pytest.fixture(scope="module")
def built(evidence):
    return effects.build(evidence)


def row(line, arm="treated", months=0.0, value=NAN, spread=NAN, **other):
    """A row of outcomes.csv; by default an HbA1c level with an SD, n = 16."""
    base = {
        "line": line, "study_id": "made_up", "arm": arm, "outcome": "hba1c", "months": months,
        "n": 16.0, "n_control": NAN, "statistic": "mean", "value": value,
        "spread_kind": "none" if math.isnan(spread) else "sd", "spread": spread,
        "spread_low": NAN, "spread_high": NAN, "unit": "%", "scale": "level",
        "baseline_state": "before_treatment" if months == 0 else "", "contrast_basis": "",
        "p_relation": "", "p_value": NAN, "p_contrast": "", "caveats": "",
    }  # fmt: skip
    return {**base, **other}


def only(rows, contrast, outcome="hba1c", rules=Rules()):  # noqa: B008
    found, _ = contrasts.from_numbers(rows, rules)
    chosen = [e for e in found if e.contrast == contrast and e.outcome == outcome]
    assert len(chosen) == 1
    return chosen[0]


TWO_ARMS = [
    row(2, "treated", 0, 9.0, 1.0),
    row(3, "treated", 12, 7.5, 1.2),
    row(4, "control", 0, 8.8, 0.9),
    row(5, "control", 12, 8.5, 1.1),
]


def test_controlled_change_by_hand():
    effect = only(TWO_ARMS, "controlled_change")
    assert effect.y == pytest.approx(-1.5 - -0.3)
    treated = (1 + 1.44 - 2 * 0.5 * 1.2) / 16
    control = (0.81 + 1.21 - 2 * 0.5 * 0.99) / 16
    assert effect.var_a - 0.5 * effect.var_b == pytest.approx(treated + control)
    assert effect.lines == (2, 3, 4, 5)


def test_swapping_the_arms_flips_the_sign():
    swapped = [{**r, "arm": "control" if r["arm"] == "treated" else "treated"} for r in TWO_ARMS]
    one, other = only(TWO_ARMS, "controlled_change"), only(swapped, "controlled_change")
    assert other.y == pytest.approx(-one.y)
    assert other.var_a == pytest.approx(one.var_a)


def test_ratio_of_ratios_does_not_depend_on_the_unit():
    def c_peptide(unit, factor):
        return [
            {**r, "outcome": "c_peptide_auc", "unit": unit, "value": r["value"] * factor,
             "spread": r["spread"] * factor}
            for r in TWO_ARMS
        ]  # fmt: skip

    one = only(c_peptide("ng/mL", 1), "controlled_change", "c_peptide_ratio")
    other = only(c_peptide("pmol/L*120min", 40), "controlled_change", "c_peptide_ratio")
    assert one.y == pytest.approx(math.log(7.5 / 9.0) - math.log(8.5 / 8.8))
    assert (other.y, other.var_a, other.var_b) == pytest.approx((one.y, one.var_a, one.var_b))


def test_area_without_duration_gives_no_gain():
    rows = [{**r, "outcome": "c_peptide_auc", "unit": "ng/mL*min"} for r in TWO_ARMS]
    found, _ = contrasts.from_numbers(rows, Rules())
    assert {effect.outcome for effect in found} == {"c_peptide_ratio"}


def test_follow_up_contrast_where_no_baseline_is_printed():
    rows = [r for r in TWO_ARMS if r["months"]]
    effect = only(rows, "follow_up_contrast")
    assert effect.y == pytest.approx(-1.0)
    assert (effect.var_a, effect.var_b) == pytest.approx(((1.44 + 1.21) / 16, 0))


def test_spread_of_the_change_wins():
    rows = [*TWO_ARMS[:2], row(6, "treated", 12, -1.4, 2.0, scale="change")]
    effect = only(rows, "uncontrolled_change")
    assert (effect.y, effect.var_a, effect.var_b) == pytest.approx((-1.4, 4 / 16, 0))


def test_exact_p_of_the_change_gives_its_standard_error():
    p = {"p_relation": "=", "p_value": 0.01, "p_contrast": "within"}
    rows = [TWO_ARMS[0], {**TWO_ARMS[1], **p}]
    effect = only(rows, "uncontrolled_change")
    assert math.sqrt(effect.var_a) == pytest.approx(se_from_p(-1.5, 0.01, 15))
    assert "se_from_p" in effect.flags
    plain = only(rows, "uncontrolled_change", rules=Rules(p_values=False))
    assert plain.var_b > 0


def test_p_value_of_medians_gives_their_standard_error():
    p = {"p_relation": "=", "p_value": 0.01, "p_contrast": "within"}
    quartiles = {"spread_kind": "iqr", "statistic": "median", "spread": NAN}
    rows = [
        row(2, value=9.0, spread_low=8.0, spread_high=10.0, **quartiles),
        row(3, months=12, value=7.5, spread_low=7.0, spread_high=8.0, **quartiles, **p),
    ]
    effect = only(rows, "uncontrolled_change")
    assert math.sqrt(effect.var_a) == pytest.approx(se_from_p(effect.y, 0.01, 15))
    assert "luo_mean" in effect.flags
    assert effect.spread_b > 0
    plain = only(rows, "uncontrolled_change", rules=Rules(se_source="spread"))
    assert (plain.var_a, plain.var_b) == (effect.spread_a, effect.spread_b)


def test_median_rule_can_be_switched_off():
    skewed = {"spread_kind": "iqr", "statistic": "median", "spread": NAN}
    rows = [
        row(2, value=9.0, spread_low=8.9, spread_high=12.0, **skewed),
        row(3, months=12, value=7.5, spread_low=7.4, spread_high=8.0, **skewed),
    ]
    by_median = only(rows, "uncontrolled_change", rules=Rules(medians=False))
    assert by_median.y == pytest.approx(-1.5)
    assert "median_as_mean" in by_median.flags
    assert only(rows, "uncontrolled_change").y != pytest.approx(-1.5, abs=0.1)


@pytest.mark.parametrize(("rule", "variance"), [("sd", 1 / 16), ("se", 1.0)])
def test_unstated_spread_is_a_choice(rule, variance):
    rows = [row(2, months=12, value=-1.0, spread=1.0, scale="change", spread_kind="unstated")]
    effect = only(rows, "uncontrolled_change", rules=Rules(unstated_spread=rule))
    assert effect.var_a == pytest.approx(variance)
    assert f"unstated_as_{rule}" in effect.flags


def test_tiny_hba1c_spread_is_a_standard_error():
    rows = [
        row(2, value=9.0, spread=0.18, spread_kind="unstated"),
        row(3, months=12, value=8.0, spread=0.2, spread_kind="unstated"),
    ]
    assert only(rows, "uncontrolled_change").var_a == pytest.approx(0.18**2 + 0.2**2)


def test_percent_change_of_hba1c_becomes_points():
    rows = [row(2, value=8.0), row(3, months=12, value=-10.0, scale="percent_change")]
    effect = only(rows, "uncontrolled_change")
    assert effect.y == pytest.approx(-0.8)
    assert "percent_to_points" in effect.flags
    assert math.isnan(effect.var_a)


def test_percent_change_without_baseline_is_named():
    found, reasons = contrasts.from_numbers(
        [row(2, months=12, value=-10.0, scale="percent_change")], Rules()
    )
    assert found == []
    assert reasons == {2: "a relative change without a baseline level"}


def test_undetectable_baseline_gives_a_bounded_gain_and_no_ratio():
    c_peptide = {"outcome": "c_peptide_stimulated", "unit": "pmol/L"}
    rows = [
        row(2, spread_kind="range", spread_high=13.0, **c_peptide),
        row(3, months=12, value=1274.0, **c_peptide),
    ]
    found, _ = contrasts.from_numbers(rows, Rules())
    assert [effect.outcome for effect in found] == ["c_peptide_gain"]
    assert found[0].y == pytest.approx(1.274 - 0.0065)
    assert "1.261 and 1.274" in found[0].note
    assert math.isnan(found[0].var_a)


def test_two_treated_arms_count_once():
    rows = [
        row(2, "treated_low", 12, -1.0, 1.0, scale="change", n=10.0),
        row(3, "treated_high", 12, -2.0, 1.0, scale="change", n=30.0),
    ]
    effect = only(rows, "uncontrolled_change")
    assert effect.y == pytest.approx(-1.75)
    within, between = 9 + 29, 10 * 0.75**2 + 30 * 0.25**2
    assert effect.var_a == pytest.approx((within + between) / 39 / 40)
    assert effect.n_treated == 40
    assert effect.arm == "treated_high+treated_low"


def test_a_whole_arm_displaces_its_parts():
    rows = [
        row(2, "treated", 12, -1.0, 1.0, scale="change"),
        row(3, "treated_part", 12, -2.0, 1.0, scale="change"),
    ]
    found, reasons = contrasts.from_numbers(rows, Rules())
    assert [effect.lines for effect in found] == [(2,)]
    assert reasons[3] == "part of an arm that is reported as a whole"


def test_small_sample_correction_is_optional():
    rows = [{**r, "outcome": "c_peptide_fasting", "unit": "ng/mL"} for r in TWO_ARMS[:2]]
    plain = only(rows, "uncontrolled_change", "c_peptide_ratio")
    corrected = only(rows, "uncontrolled_change", "c_peptide_ratio", Rules(small_sample=True))
    shift = 0.5 * ((1.2 / 7.5) ** 2 - (1.0 / 9.0) ** 2) / 16
    assert corrected.y - plain.y == pytest.approx(shift)
    assert corrected.var_a > plain.var_a


# --- words ---------------------------------------------------------------------------------------


def said(direction="decrease", significant="yes", relation="", p=NAN, caveats=""):
    return statements.statement(
        {"direction": direction, "significant": significant, "p_relation": relation, "p_value": p,
         "caveats": caveats}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (said("decrease", "yes", "<", 0.01), ("interval", -math.inf, -z_from_p(0.01), True)),
        (said("increase", "yes"), ("interval", z_from_p(0.05), math.inf, True)),
        (said("no_difference", "no"), ("interval", -z_from_p(0.05), z_from_p(0.05), True)),
        (said("no_difference", "no", "=", 0.23), ("two_points", -z_from_p(0.23), z_from_p(0.23),
                                                  True)),
        (said("increase", "no", "=", 0.29), ("exact_p", z_from_p(0.29), z_from_p(0.29), True)),
        (said("decrease", "yes", "=", 0.011), ("exact_p", -z_from_p(0.011), -z_from_p(0.011),
                                               True)),
        (said("increase", "no"), ("interval", 0, z_from_p(0.05), True)),
        (said("increase", "unstated"), ("interval", 0, math.inf, False)),
        (said("decrease", "yes", caveats="untested"), ("interval", -math.inf, -z_from_p(0.05),
                                                       False)),
    ],
)  # fmt: skip
def test_words_as_bounds(statement, expected):
    kind, low, high, tested = expected
    assert (statement.kind, statement.tested) == (kind, tested)
    assert (statement.z_low, statement.z_high) == pytest.approx((low, high))


def test_a_window_speaks_for_the_horizon():
    window = {"months": 33.0, "months_from": 3.0, "months_to": 33.0}
    assert statements.month_of(window, 12) == (12, True)
    assert statements.month_of({**window, "months_from": 24.0}, 12) == (24, True)
    assert statements.month_of({**window, "months_from": 33.0}, 12) == (33, False)
    nothing = {"months": NAN, "months_from": NAN, "months_to": NAN}
    assert statements.month_of(nothing, 12) == (12, True)


# --- rules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "choice",
    [
        {"r": 1.0},
        {"unstated_spread": "iqr"},
        {"unstated_pair": "sd"},
        {"window": (13.0, 18.0)},
        {"overlaps": "none"},
        {"tolerance": 6.0},
        {"se_source": "p"},
        {"arms": "one"},
        {"largest_p": 0.0},
    ],
)
def test_impossible_rules_are_refused(choice):
    with pytest.raises(ValueError, match=r"\w"):
        Rules(**choice)


def test_build_takes_rules_or_choices(evidence):
    with pytest.raises(TypeError):
        effects.build(evidence, Rules(), r=0.3)
    with pytest.raises(TypeError):
        effects.build(evidence, no_such_choice=1)


# --- the real tables -----------------------------------------------------------------------------


def test_every_row_is_an_effect_or_an_exclusion(evidence, built):
    used = {ref for refs in built.effects["source_rows"] for ref in refs.split(";")}
    out = list(built.exclusions["row"])
    every = {
        reference(name, row)
        for name in ("outcomes", "directions")
        for row in getattr(evidence, name).to_dict("records")
    }
    assert len(every) == len(evidence.outcomes) + len(evidence.directions)
    assert len(out) == len(set(out))
    assert used.isdisjoint(out)
    assert used | set(out) == every
    assert built.exclusions["reason"].str.len().gt(0).all()


def test_columns_and_identity(built):
    table = built.effects
    assert list(table.columns) == effects.EFFECT_COLUMNS
    assert table["effect_id"].is_unique
    assert set(table["outcome"]) <= set(effects.OUTCOMES)


def test_no_nan_where_it_is_forbidden(built):
    table = built.effects
    numeric = table["kind"].eq("numeric")
    assert np.isfinite(table.loc[numeric, "y"]).all()
    assert table.loc[~numeric, "y"].isna().all()
    assert table.loc[~numeric, ["z_low", "z_high"]].notna().all(axis=None)
    assert (table.loc[~numeric, "z_low"] <= table.loc[~numeric, "z_high"]).all()
    assert np.isfinite(table.loc[table["pool"], "n_factor"]).all()
    assert (table["var_a"].isna() == table["var_b"].isna()).all()
    assert table["months"].gt(0).all()
    assert table["controlled"].eq(table["contrast"].isin(effects.CONTROLLED)).all()


@pytest.mark.parametrize("r", [-0.95, 0.0, 0.4, 0.95])
def test_variances_are_positive(built, r):
    known = effects.variance(built.effects, r)
    assert (known[np.isfinite(known)] > 0).all()


def test_one_headline_a_cohort(evidence, built):
    chosen = built.effects[built.effects["headline"] & built.effects["pool"]]
    assert not chosen.duplicated(["cohort", "outcome"]).any()
    assert chosen["months"].between(5.5, 18.5).all()
    eligible = evidence.studies.set_index("study_id")["include"]
    assert eligible[chosen["study_id"]].eq("yes").all()
    assert chosen["tested"].all()
    assert not chosen.loc[chosen["outcome"].eq("hba1c"), "at_diagnosis"].any()


def test_controlled_numbers_reconcile_with_the_audit(built):
    """Controlled contrasts printed as numbers, with all their patients.

    Of the four of C-peptide in type 1 (86 patients) one, of 11 patients at 6 months, gives way to
    the 12-month statement of the same patients. chen2016 enters by the tolerance of the window.
    """

    def numbers(outcome):
        table = effects.for_stratum(built.effects, outcome)
        table = table[table["kind"].eq("numeric")]
        return set(table["study_id"]), table["n_patients"].sum()

    four = {"cai2016", "ufrj12m", "bhansali2014a", "zang2022"}
    assert numbers("hba1c") == (four | {"chen2016"}, 165 + 12)
    assert numbers("insulin_dose") == (four, 165)
    three = {"cai2016", "carlsson2015", "carlsson2023"}
    assert numbers("c_peptide_ratio") == (three | {"chen2016"}, 86 - 11 + 12)
    strict = effects.Rules(tolerance=0.0)
    assert "chen2016" not in set(
        effects.for_stratum(built.effects, "hba1c", rules=strict)["study_id"]
    )


def pick(built, outcome, study):
    table = effects.headline(built.effects, outcome)
    return table[table["study_id"].eq(study)].iloc[0]


def test_trap_later_words_beat_an_earlier_number(built):
    chosen = effects.headline(built.effects, "c_peptide_ratio")
    rio = chosen[chosen["cohort"].eq("rio_adipose")].iloc[0]
    assert (rio["study_id"], rio["months"], rio["kind"]) == ("ufrj12m", 12, "two_points")
    early = built.effects.query("study_id == 'dantas2020' and outcome == 'c_peptide_ratio'")
    early = early[early["months"].eq(6)].iloc[0]
    assert early["trajectory"] and not early["headline"]
    assert early["y"] == pytest.approx(math.log(220.58 / 63.37))


def test_trap_zang_printed_changes_and_impossible_null(built):
    effect = pick(built, "hba1c", "zang2022")
    assert effect["y"] == pytest.approx(-1.31 + 0.63)
    assert effects.se(built.effects[built.effects["effect_id"].eq(effect["effect_id"])])[
        0
    ] == pytest.approx(se_from_p(0.68, 0.0081, 89))
    reasons = built.exclusions.query("table == 'directions' and study_id == 'zang2022'")["reason"]
    assert reasons.str.contains("contradicts").any()


def test_trap_zang_levels_by_choice(evidence):
    effect = pick(effects.build(evidence, printed_change=False), "hba1c", "zang2022")
    assert effect["y"] == pytest.approx(-1.50 + 0.70)


def test_trap_undetectable_baseline_on_the_absolute_scale_only(built):
    mine = built.effects[built.effects["study_id"].eq("reichman2025")]
    assert "c_peptide_ratio" not in set(mine["outcome"])
    gain = pick(built, "c_peptide_gain", "reichman2025")
    assert 1.26 <= gain["y"] <= 1.274
    assert math.isnan(gain["var_a"])
    assert gain["n_factor"] == pytest.approx(1 / 12)


def test_trap_two_fold_baseline_difference(evidence, built):
    assert pick(built, "c_peptide_ratio", "carlsson2023")["y"] == pytest.approx(0.35, abs=0.01)
    other = effects.build(evidence, percent_first=True)
    assert pick(other, "c_peptide_ratio", "carlsson2023")["y"] == pytest.approx(0.53, abs=0.01)


def test_trap_medians_matter(evidence, built):
    ratio = built.effects.set_index("effect_id")["y"]
    name = "haller2011:c_peptide_ratio:auc:change:12"
    assert ratio[name] == pytest.approx(-1.17, abs=0.01)
    medians = effects.build(evidence, medians=False).effects.set_index("effect_id")["y"]
    assert medians[name] == pytest.approx(-1.46, abs=0.01)


def test_trap_unlabelled_brackets(evidence, built):
    effect = pick(built, "insulin_dose", "bhansali2014a")
    assert "unstated_as_iqr" in effect["derived"]
    as_range = pick(effects.build(evidence, unstated_pair="range"), "insulin_dose",
                    "bhansali2014a")  # fmt: skip
    assert as_range["var_a"] < effect["var_a"]


def test_no_uncontrolled_change_after_new_onset_is_an_effect_of_cells(built):
    table = built.effects
    fresh = table["onset_group"].eq("new_onset") & ~table["controlled"]
    assert fresh.sum() > 50
    assert not table.loc[fresh, ["pool", "headline_uncontrolled", "trajectory"]].any(axis=None)
    apart = table[table["apart"] & table["outcome"].eq("hba1c")]
    # Whether a baseline row was printed (snarski2016) or not (cantu2016, li2010, mesples2023).
    assert {"snarski2016", "pei2019", "cantu2016", "li2010", "mesples2023"} <= set(
        apart["study_id"]
    )
    assert not table.loc[table["controlled"], "at_diagnosis"].any()


def test_case_reports_are_shown_and_never_pooled(built):
    case = built.effects[built.effects["study_id"].eq("wang2024")]
    assert len(case) > 0
    assert not case[["pool", "headline", "trajectory"]].any(axis=None)


def test_overlapping_cohorts_count_once(evidence, built):
    chosen = effects.headline(built.effects, "c_peptide_ratio")["study_id"]
    assert len({"wu2014", "wu2024a"} & set(chosen)) == 1
    apart = effects.build(evidence, overlaps="shared")
    both = effects.headline(apart.effects, "c_peptide_ratio")["study_id"]
    assert {"wu2014", "wu2024a"} <= set(both)


def test_numbers_only_headline(evidence):
    table = effects.build(evidence, words=False).effects
    chosen = table[table["headline"]]
    assert chosen["kind"].eq("numeric").all()
    assert "cai2016" in set(effects.headline(table, "insulin_dose")["study_id"])
    assert "hou2014" not in set(effects.headline(table, "insulin_dose")["study_id"])
    assert "rio_adipose" not in set(effects.headline(table, "c_peptide_ratio")["cohort"])


def test_a_retracted_study_is_removed(evidence):
    studies = evidence.studies.copy()
    studies.loc[studies["study_id"].eq("cai2016"), "retracted"] = "yes"
    table = effects.build(replace(evidence, studies=studies))
    assert "cai2016" not in set(table.effects["study_id"])
    gone = table.exclusions[table.exclusions["study_id"].eq("cai2016")]
    assert set(gone["reason"]) == {"retracted"}


def test_no_evidence_gives_empty_tables(evidence):
    nothing = replace(
        evidence, outcomes=evidence.outcomes.iloc[:0], directions=evidence.directions.iloc[:0]
    )
    table = effects.build(nothing)
    assert len(table.effects) == len(table.exclusions) == 0
    assert list(table.effects.columns) == effects.EFFECT_COLUMNS


def test_explain_walks_back_to_the_source(evidence, built):
    effect = pick(built, "hba1c", "cai2016")
    text = "\n".join(effects.explain(built.effects, evidence, effect["effect_id"]))
    for name in effect["source_rows"].split(";"):
        assert f"outcomes.csv line {find(evidence, name)['line']}:" in text
    assert "https://doi.org/10.2337/dc15-0171" in text
    assert "-1.2 percentage points" in text
    for name in built.effects["effect_id"].iloc[::10]:
        assert effects.explain(built.effects, evidence, name)


def test_unknown_names_are_refused(evidence, built):
    with pytest.raises(KeyError):
        effects.explain(built.effects, evidence, "no such effect")
    with pytest.raises(KeyError):
        effects.headline(built.effects, "happiness")
    with pytest.raises(ValueError, match="r lies"):
        effects.se(built.effects, 1.0)


def test_table_survives_a_round_trip(built, tmp_path):
    built.effects.to_csv(tmp_path / "effects.csv", index=False)
    again = pd.read_csv(tmp_path / "effects.csv")
    np.testing.assert_allclose(again["y"], built.effects["y"])
    np.testing.assert_allclose(again["z_low"], built.effects["z_low"])
