"""Tables of the answers: claims, headline numbers, pooled means, independence and harms."""

from __future__ import annotations

import re

import pandas as pd

from analysis.evidence import label_of
from analysis.report.outcomes import HEADLINES, OUTCOMES
from analysis.report.results import Pooled, Results
from analysis.report.tables.base import Table, grid, made_from
from analysis.report.text import Strong
from analysis.report.words import (
    METHODS,
    chance,
    count,
    event,
    factor,
    group_label,
    interval,
    known,
    number,
    percent,
    percent_interval,
    relation,
    short,
)  # fmt: skip

DESIGN = {True: "control group", False: "own baseline"}


@made_from("claims")
def claims(results: Results) -> Table:
    """What is said in public, and what the evidence says of it."""
    rows = [
        {
            "Claim": row.claim,
            "Verdict": Strong(row.verdict),
            "Chance": chance(row.probability),
            "k": count(row.k_studies),
            "n": count(row.n_patients),
            "What it rests on": row.evidence,
            "But": row.caveat,
        }
        for row in results.rows("claims").itertuples()
    ]
    return grid(pd.DataFrame(rows), ("k", "n"))


def headline(results: Results) -> Table:
    """The headline numbers, each with its design, interval, prediction, k and n."""
    rows = []
    for name in HEADLINES:
        for controlled in (True, False):
            rows += _pooled_row(results, name, controlled)
    ever = results.get("ever_independent", "p_ever", "all", group_kind="all")
    rows += _share_row("Ever free of insulin (an average class)", ever)
    for months in (12, 60, 120):
        row = results.get("independence_survival", f"s_{months}", "all", group_kind="all")
        years = "1 year" if months == 12 else f"{months // 12} years"
        rows += _share_row(f"Still free of insulin after {years}, of those ever free", row)
    rows += _harm_rows(results)
    return grid(pd.DataFrame(rows), ("k", "n"))


def _pooled_row(results: Results, name: str, controlled: bool) -> list[dict]:
    pooled, about = results.pooled(name, controlled), OUTCOMES[name]
    if pooled is None:
        return []
    return [
        {
            "What": f"{about.label} ({about.unit.strip()})",
            "Against": DESIGN[controlled],
            "Estimate": number(pooled.mean, about.digits),
            "95 % interval": interval(pooled.low, pooled.high, about.digits),
            "New study, 95 %": interval(pooled.pred_low, pooled.pred_high, about.digits),
            "k": count(pooled.k),
            "n": count(pooled.n),
        }
    ]


def _share_row(what: str, row) -> list[dict]:
    if row is None:
        return []
    return [
        {
            "What": what,
            "Against": "–",
            "Estimate": percent(row["mean"]),
            "95 % interval": percent_interval(row["ci_low"], row["ci_high"]),
            "New study, 95 %": percent_interval(row["pred_low"], row["pred_high"]),
            "k": count(row["k_studies"]),
            "n": count(row["n_patients"]),
        }
    ]


def _harm_rows(results: Results) -> list[dict]:
    rows = []
    for category in ("death", "malignancy_or_tumour", "severe_infection"):
        row = results.get("safety", f"{category}:any:rate", "all", group_kind="all")
        if row is not None:
            rows.append(
                {
                    "What": f"{event(category).capitalize()}, per 100 patient-years",
                    "Against": "–",
                    "Estimate": number(row["mean"], 1),
                    "95 % interval": interval(row["ci_low"], row["ci_high"], 1),
                    "New study, 95 %": interval(row["pred_low"], row["pred_high"], 1),
                    "k": count(row["k_studies"]),
                    "n": count(row["n_patients"]),
                }
            )
    return rows


def pooled(results: Results, outcome: str) -> Table:
    """Pooled means of an outcome: all studies and the ways to look at them, by type and class."""
    about = OUTCOMES[outcome]
    rows = []
    for controlled in (True, False):
        for suffix, words in (("", "all studies"), ("_numbers_only", "printed numbers only"),
                              ("_robust", "heavy-tailed (robust)")):  # fmt: skip
            rows += _line(results, outcome, controlled, "all", "all", words, suffix)
        design = "controlled" if controlled else "uncontrolled"
        rows += _line(results, outcome, controlled, "design", design, "this design alone")
        for kind in ("diabetes_type", "cell_class"):
            for group in _groups(results, about.published, kind):
                rows += _line(results, outcome, controlled, kind, group, group_label(kind, group))
    if outcome == "hba1c":
        rows += _line(results, outcome, False, "design", "at_diagnosis", "baseline at diagnosis")
    return grid(pd.DataFrame(rows), ("k", "n", "Estimate"))


def _groups(results: Results, published: str, kind: str) -> list[str]:
    table = results.estimates
    chosen = (table["outcome"] == published) & (table["group_kind"] == kind)
    return list(dict.fromkeys(table.loc[chosen & table["estimand"].str.startswith("mean_"),
                                        "group"]))  # fmt: skip


def _line(results, outcome, controlled, kind, group, words, suffix="") -> list[dict]:
    found = results.pooled(outcome, controlled, kind=kind, group=group, suffix=suffix)
    if found is None:
        return []
    digits = OUTCOMES[outcome].digits
    return [
        {
            "Studies": words,
            "Against": DESIGN[controlled],
            "Estimate": number(found.mean, digits),
            "95 % interval": interval(found.low, found.high, digits),
            "New study, 95 %": interval(found.pred_low, found.pred_high, digits),
            "k": count(found.k),
            "n": count(found.n),
            "Mind": mind(found),
        }
    ]


def mind(found: Pooled) -> str:
    """What a reader must know of an estimate: a single study always says that it leans."""
    note = found.note
    if found.k == 1 and "single study" not in note:
        note = "; ".join(filter(None, ["a single study: leans on the prior", note]))
    return note or "–"


def independence(results: Results) -> Table:
    """Ever free of insulin, and for how long, by class and type."""
    rows = []
    for kind in ("all", "diabetes_type", "cell_class"):
        groups = ["all"] if kind == "all" else _independent_groups(results, kind)
        for group in groups:
            rows.append(_independence_row(results, kind, group))
    return grid(pd.DataFrame([row for row in rows if row]),
                    ("k, n ever", "k, n duration"))  # fmt: skip


def _independent_groups(results: Results, kind: str) -> list[str]:
    table = results.estimates
    chosen = table["outcome"].isin(["ever_independent", "independence_survival"])
    return list(dict.fromkeys(table.loc[chosen & (table["group_kind"] == kind), "group"]))


def _independence_row(results: Results, kind: str, group: str) -> dict:
    def share(outcome, estimand):
        row = results.get(outcome, estimand, group, group_kind=kind)
        if row is None:
            return row, "–"
        return row, f"{percent(row['mean'])} ({percent_interval(row['ci_low'], row['ci_high'])})"

    ever, ever_words = share("ever_independent", "p_ever")
    lasting, one = share("independence_survival", "s_12")
    _, five = share("independence_survival", "s_60")
    median = results.get("independence_duration", "median", group, group_kind=kind)
    if ever is None and lasting is None:
        return {}
    months = "–"
    if median is not None:
        months = f"{number(median['mean'], 0)} ({interval(median['ci_low'], median['ci_high'], 0)})"
    return {
        "Group": group_label(kind, group),
        "Ever free": ever_words,
        "k, n ever": _behind(ever),
        "Free at 1 year": one,
        "Free at 5 years": five,
        "Median, months": months,
        "k, n duration": _behind(lasting),
    }


def _behind(row) -> str:
    return "–" if row is None else f"{count(row['k_studies'])}, {count(row['n_patients'])}"


def survival(results: Results) -> Table:
    """S(t) at each landmark: of those ever free of insulin and of all treated."""
    rows = []
    for kind, group in _survival_groups(results):
        for ending, words in (("", "those ever free"), ("_unconditional", "all treated")):
            cells = {}
            behind = None
            for months in (6, 12, 24, 36, 60, 120):
                row = results.get("independence_survival", f"s_{months}{ending}", group,
                                  group_kind=kind)  # fmt: skip
                behind = behind if row is None else row
                low_high = "" if row is None else percent_interval(row["ci_low"], row["ci_high"])
                cells[f"{months} mo"] = (
                    "–" if row is None else f"{percent(row['mean'])} ({low_high})"
                )
            if behind is not None:
                counts = {"k": count(behind["k_studies"]), "n": count(behind["n_patients"])}
                rows.append({"Group": group_label(kind, group), "Of": words, **cells, **counts})
    return grid(pd.DataFrame(rows), ("k", "n"))


def _survival_groups(results: Results) -> list[tuple[str, str]]:
    table = results.estimates
    table = table[table["outcome"] == "independence_survival"]
    return list(dict.fromkeys(zip(table["group_kind"], table["group"], strict=True)))


@made_from("durability_extrapolation")
def extrapolation(results: Results) -> Table:
    """How far each class was followed and how much of its expected time is extrapolation."""
    rows = [
        {
            "Group": group_label(row.group_kind, row.group),
            "Longest seen, months": count(row.longest_observed_months),
            "k": count(row.k_studies),
            "n": count(row.n_patients),
            "Of 5 years, extrapolated": percent(row.share_rmst60_beyond),
            "Of 10 years, extrapolated": percent(row.share_rmst120_beyond),
        }
        for row in results.rows("durability_extrapolation").itertuples()
    ]
    return grid(pd.DataFrame(rows), ("Longest seen, months", "k", "n"))


@made_from("trajectory_remaining")
def remaining(results: Results) -> Table:
    """Which share of the effect at 12 months is left later, with the studies behind it."""
    rows = [
        {
            "Outcome": OUTCOMES[row.outcome].label if row.outcome in OUTCOMES else row.outcome,
            "Month": number(row.months, 0),
            "Share of the effect at 12 months": percent(row.fraction_mean),
            "95 % interval": percent_interval(row.ci_low, row.ci_high),
            "k": count(row.k_studies),
            "n": count(row.n_patients),
            "Mind": row.note or "–",
        }
        for row in results.rows("trajectory_remaining").itertuples()
    ]
    return grid(pd.DataFrame(rows), ("Month", "k", "n"))


@made_from("trajectory_summary")
def trajectory(results: Results) -> Table:
    """Peak, half-life and decline of the effect."""
    table = results.rows("trajectory_summary")
    rows = [
        {
            "Outcome": OUTCOMES[row["outcome"]].label
            if row["outcome"] in OUTCOMES
            else row["outcome"],
            "Quantity": row["quantity"].replace("_", " "),
            "Unit": row["unit"],
            "Median": number(row["median"]),
            "95 % interval": interval(row["ci_low"], row["ci_high"]),
            "k": count(row["k_studies"]),
            "Mind": row["note"] or "–",
        }
        for row in table.to_dict("records")
    ]
    return grid(pd.DataFrame(rows), ("Median", "k"))


@made_from("safety_summary")
def safety(results: Results) -> Table:
    """Each harm: who said something, what they counted, and how large a rate is still possible."""
    rows = [
        {
            "Event": event(row.event_category),
            "As": relation(row.relation),
            "k": count(row.k_stated),
            "n": count(row.n_stated),
            "Silent: k, n": f"{count(row.k_silent)}, {count(row.n_silent)}",
            "With event": count(row.events),
            "Per 100 patient-years (95 %)": _rate(row),
            "Upper bound": number(row.rate_upper95, 1),
            "If silence meant none": number(row.unreported_as_zero_upper95, 2),
            "Rule of three": percent(row.rule_of_three) if known(row.rule_of_three) else "–",
        }
        for row in results.rows("safety_summary").itertuples()
    ]
    return grid(pd.DataFrame(rows), ("k", "n", "With event", "Upper bound",
                                         "If silence meant none", "Rule of three"))  # fmt: skip


def _rate(row) -> str:
    if not known(row.rate_mean):
        return row.note or "–"
    return f"{number(row.rate_mean, 1)} ({interval(row.rate_ci_low, row.rate_ci_high, 1)})"


@made_from("safety_controls")
def controls(results: Results) -> Table:
    """Treated beside control arms of the same study."""
    names = dict(zip(results.evidence.studies["study_id"], _labels(results), strict=True))
    rows = []
    for row in results.rows("safety_controls").to_dict("records"):
        low, high = row["risk_difference_ci_low"], row["risk_difference_ci_high"]
        rows.append(
            {
                "Study": names.get(row["study_id"], row["study_id"]),
                "Event": event(row["event_category"]),
                "As": relation(row["relation"]),
                "Treated": _of(row, "treated"),
                "Control": _of(row, "control"),
                "Difference of risk": percent(row["risk_difference_mean"])
                if known(row["risk_difference_mean"])
                else "not comparable",
                "95 % interval": percent_interval(low, high),
            }
        )
    return grid(pd.DataFrame(rows), ("Difference of risk",))


def _labels(results: Results) -> list[str]:
    return [label_of(study) for study in results.evidence.studies.to_dict("records")]


def _of(row: dict, arm: str) -> str:
    if not known(row[f"n_at_risk_{arm}"]):
        return "not stated"
    at_least = "at least " if row[f"bound_{arm}"] == "at_least" else ""
    return f"{at_least}{count(row[f'events_{arm}'])} of {count(row[f'n_at_risk_{arm}'])}"


@made_from("safety_lower_bounds")
def lower_bounds(results: Results) -> Table:
    """Harms known only as `at least`: outside the headline rates, because something happened."""
    names = dict(zip(results.evidence.studies["study_id"], _labels(results), strict=True))
    rows = [
        {
            "Study": names.get(row.study_id, row.study_id),
            "Cells": short(row.cell_class),
            "Event": event(row.event_category),
            "At least": f"{count(row.events)} of {count(row.n_at_risk)}",
            "Months": number(row.months, 0),
        }
        for row in results.rows("safety_lower_bounds").itertuples()
    ]
    return grid(pd.DataFrame(rows), ("Months",))


@made_from("evidence_needed_summary")
def needed(results: Results) -> Table:
    """For each harm and for durability: where the bound stands and what would settle it."""
    table = results.rows("evidence_needed_summary")
    rows = [
        {
            "Question": _question(row),
            "As": relation(row["relation"])
            if isinstance(row["relation"], str) and row["relation"]
            else "–",
            "Group": group_label("cell_class", row["group"]) if row["group"] != "all" else "all",
            "To fall under": f"{row['threshold']:g} {row['unit']}",
            "Now": number(row["bound_now"], 2),
            "Chance it is under": percent(row["probability_under_threshold"]),
            "Still needed": f"{row['needed']:,.0f} {row['needed_unit']}".replace(",", " ")
            if known(row["needed"])
            else row["verdict"],
            "k": count(row["k_studies"]),
            "n": count(row["n_patients"]),
        }
        for row in table.to_dict("records")
    ]
    return grid(pd.DataFrame(rows), ("Now", "k", "n"))


def _question(row: dict) -> str:
    if row["harm"] == "loss_of_independence_5_years":
        return "free of insulin at 5 years"
    return event(row["harm"])


@made_from("next_trial_value")
def next_trial(results: Results) -> Table:
    """What one more trial of a class would do to the interval of its mean."""
    rows = [
        {
            "Outcome": OUTCOMES[row.outcome].label,
            "Cells": short(row.group),
            "Against": DESIGN[row.estimand == "mean_controlled"],
            "k": count(row.k_studies),
            "n": count(row.n_patients),
            "Interval now": number(row.width_now),
            "After a typical trial": number(row.width_after),
            "At best": number(row.width_now - row.reduction_of_perfect_trial),
        }
        for row in results.rows("next_trial_value").itertuples()
    ]
    return grid(pd.DataFrame(rows), ("k", "n", "Interval now", "After a typical trial",
                                         "At best"))  # fmt: skip


def three_ways(results: Results) -> Table:
    """The shared question answered by NUTS, by quadrature and by frequentist methods."""
    table = results.estimates
    named = [OUTCOMES[name].published for name in HEADLINES]
    table = table[(table["group_kind"] == "design") & table["outcome"].isin(named)
                  & table["method"].isin(list(METHODS)) & table["mean"].notna()]  # fmt: skip
    table = table[
        table["estimand"].isin(["mean_controlled", "mean_uncontrolled"])
        & table["scale"].isin(["difference", "log_ratio"])
    ]
    rows = [
        {
            "Outcome": f"{row.outcome.replace('_', ' ')} ({row.unit})",
            "Against": "control group" if row.group == "controlled" else "own baseline",
            "Method": METHODS[row.method],
            "k": count(row.k_studies),
            "n": count(row.n_patients),
            "Mean": number(row.mean, 3),
            "95 % interval": interval(row.ci_low, row.ci_high, 3),
            "τ": number(row.tau, 3),
        }
        for row in table[table["group"] != "at_diagnosis"]
        .sort_values(["outcome", "unit", "group"], kind="stable")
        .itertuples()
    ]
    return grid(pd.DataFrame(rows), ("k", "n", "Mean", "τ"))


@made_from("ever_moderators")
def moderators(results: Results) -> Table:
    """Ever free of insulin by feature of the study."""
    return plain(results.rows("ever_moderators"))


@made_from("bias_summary")
def bias(results: Results) -> Table:
    """Bayes factors for effect, heterogeneity and bias, and the model-averaged mean."""
    rows = [
        {
            "Outcome": OUTCOMES[row["outcome"]].label,
            "Design": row["design"],
            "k": count(row["k_studies"]),
            "n": count(row["n_patients"]),
            "BF effect": factor(row["bf_effect"]),
            "BF spread": factor(row["bf_heterogeneity"]),
            "BF bias": factor(row["bf_bias"]),
            "Averaged": shown(row, "mean"),
            "95 % interval": interval(
                *(OUTCOMES[row["outcome"]].shown(row[name]) for name in ("ci_low", "ci_high"))
            ),
            "Unadjusted": shown(row, "mean_unadjusted"),
            "In words": row["statement"],
        }
        for row in results.rows("bias_summary").to_dict("records")
    ]
    numbers = ("k", "n", "BF effect", "BF spread", "BF bias", "Averaged", "Unadjusted")
    return grid(pd.DataFrame(rows), numbers)


def shown(row: dict, name: str) -> str:
    """A number of a row on the scale readers see."""
    return number(float(OUTCOMES[row["outcome"]].shown(row[name])))


@made_from("bias_to_nullify")
def nullify(results: Results) -> Table:
    """How large a bias shared by the studies of a design would remove their effect."""
    rows = [
        {
            "Outcome": OUTCOMES[row.outcome].label,
            "Design": row.design,
            "k": count(row.k_studies),
            "n": count(row.n_patients),
            "In words": minus(row.statement),
            "E-value": number(row.e_value_mean, 1),
            "E-value of the interval": number(row.e_value_interval, 1),
        }
        for row in results.rows("bias_to_nullify").itertuples()
    ]
    return grid(pd.DataFrame(rows), ("k", "n", "E-value", "E-value of the interval"))


@made_from("multiverse_choices")
def choices(results: Results) -> Table:
    """What each analytic choice does to the results of the multiverse."""
    table = results.rows("multiverse_choices")
    meanings = results.rows("multiverse_levels")
    words = {} if meanings.empty else {
        (row.choice, str(row.level)): row.meaning for row in meanings.itertuples()
    }  # fmt: skip
    rows = [
        {
            "Outcome": OUTCOMES[row["outcome"]].label,
            "Choice": row["choice"].replace("_", " "),
            "Option": words.get((row["choice"], str(row["level"])), str(row["level"])),
            "Analyses": count(row["n"]),
            "Clear improvement": percent(row["share_good_clear"]),
            "Median of the means": shown(row, "median_mean"),
            "Variance explained": percent(row["variance_explained"]),
        }
        for row in table[table["range"] > 0].to_dict("records")
    ]
    return grid(pd.DataFrame(rows), ("Analyses", "Clear improvement", "Median of the means",
                                         "Variance explained"))  # fmt: skip


@made_from("small_study")
def small_study(results: Results) -> Table:
    """Egger, Begg, trim and fill: beside the model average, where there are enough studies."""
    names = {"egger": "Egger", "begg": "Begg", "trim_and_fill": "trim and fill"}
    rows = [
        {
            "Outcome": OUTCOMES[row.outcome].label,
            "Design": row.design,
            "Test": names.get(row.test, row.test),
            "k": count(row.k_studies),
            "Estimate": number(row.estimate),
            "95 % interval": interval(row.ci_low, row.ci_high),
            "P": number(row.p_value),
            "Mind": row.note or "–",
        }
        for row in results.rows("small_study").itertuples()
    ]
    return grid(pd.DataFrame(rows), ("k", "Estimate", "P"))


def minus(text: str) -> str:
    """The text with true minus signs."""
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)


def plain(table: pd.DataFrame) -> Table:
    """A table of the run with its own columns, numbers rounded and words spaced."""
    shown_columns = {name: name.replace("_", " ") for name in table.columns}
    cells = table.map(lambda x: x.replace("_", " ") if isinstance(x, str) else number(float(x)))
    for name in table.columns:
        if name.startswith(("k_", "n_")):
            cells[name] = [count(float(x)) for x in table[name]]
    return grid(cells.rename(columns=shown_columns))


@made_from("joint_estimates")
def joint(results: Results) -> Table:
    """C-peptide and HbA1c fitted together beside each alone."""
    rows = []
    for row in results.rows("joint_estimates").to_dict("records"):
        ends = {
            name: interval(
                *(OUTCOMES[row["outcome"]].shown(row[f"{end}_{name}"])
                  for end in ("ci_low", "ci_high"))
            )
            for name in ("joint", "alone")
        }  # fmt: skip
        rows.append(
            {
                "Outcome": OUTCOMES[row["outcome"]].label,
                "Design": row["design"],
                "k": count(row["k_studies"]),
                "n": count(row["n_patients"]),
                "Together": f"{shown(row, 'mean_joint')} ({ends['joint']})",
                "Alone": f"{shown(row, 'mean_alone')} ({ends['alone']})",
                "In words": minus(row["statement"]),
            }
        )
    return grid(pd.DataFrame(rows), ("k", "n"))
