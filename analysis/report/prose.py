"""The sentences of the report that hold numbers: each made from the fits, with k and n.

A sentence says what was estimated, from how many studies and patients, how uncertain it is, and
what the data cannot tell. Where there is no estimate it says so. Sentences are Markdown (`said`);
what they take from a cell of the evidence or of a table passes through `verbatim`.
"""

from __future__ import annotations

from analysis import __version__, vocabulary
from analysis.exact.families import LABELS
from analysis.patient_level import TELLINGS
from analysis.report import style
from analysis.report.figures.overview import evidence_map_counts
from analysis.report.outcomes import OUTCOMES
from analysis.report.results import Pooled, Results
from analysis.report.text import said, verbatim
from analysis.report.words import (
    base,
    chance,
    count,
    event,
    factor,
    group_label,
    interval,
    known,
    listed,
    number,
    percent,
    percent_interval,
    sentence,
    short,
    studies,
)  # fmt: skip

NOT_RUN = "This was not estimated in this run."


# --- the evidence ----------------------------------------------------------------------------


@said
def overview(results: Results) -> str:
    """How much evidence there is, and of which kind."""
    table = results.evidence.studies
    eligible = table[table["include"] == "yes"]
    rct = (eligible["design"] == "rct").sum()
    types = eligible["diabetes_type"].value_counts()
    return (
        f"The extract holds {len(table)} publications and reports, of which {len(eligible)} are "
        f"eligible ({types.get('T1D', 0)} on type 1, {types.get('T2D', 0)} on type 2 diabetes). "
        f"They describe {eligible['cohort'].nunique()} separate groups of patients, because "
        f"several reports often follow the same people. {rct} of the eligible reports are of "
        f"randomised trials; the median number of treated patients is "
        f"{eligible['n_treated'].median():.0f}."
    )


@said
def extraction(results: Results) -> str:
    """How the facts were read: by whom, and where."""
    facts = results.evidence.outcomes
    both = (facts["extraction"] == "double").mean()
    full = (facts["seen_in"] == "full_text").mean()
    told = (facts["seen_in"] == "secondary").mean()
    words = len(results.evidence.directions)
    return (
        f"Of the {len(facts)} numbers of continuous outcomes, {percent(both)} were read by two "
        f"extractors independently; {percent(full)} come from full texts and {percent(told)} from "
        f"a secondary source such as a review or a news report, the rest from abstracts and "
        f"registries. A further {words} results were printed only in words or as p-values."
    )


@said
def gaps(results: Results) -> str:
    """The empty cells of the evidence map."""
    counts = evidence_map_counts(results)
    empty = int((counts == 0).to_numpy().sum())
    return (
        f"Of the {counts.size} combinations of cell class and outcome, {empty} have no study at "
        "all: there the honest answer is that nobody knows."
    )


@said
def excluded(results: Results) -> str:
    """How many rows did not enter a pooled estimate."""
    table = results.rows("exclusions")
    if table.empty:
        return "No row of the evidence was left out."
    return (
        f"{len(table)} rows of the continuous evidence did not enter a pooled estimate, each for a "
        "stated reason."
    )


# --- continuous outcomes ---------------------------------------------------------------------


def value(found: Pooled, outcome: str) -> str:
    """`−0.62 percentage points (95 % credible interval −1.20 to −0.05)`."""
    about = OUTCOMES[outcome]
    mean = number(found.mean, about.digits)
    ends = interval(found.low, found.high, about.digits)
    return f"{mean}{about.unit} (95 % {found.interval_name} interval {ends})"


@said
def mean_effect(results: Results, outcome: str, controlled: bool) -> str:
    """The pooled mean of an outcome in one kind of design, or why there is none."""
    where = "against control groups" if controlled else "without a control group"
    table = results.study_effects(outcome)
    table = table[table["controlled"].astype(bool) == controlled]
    if table.empty:
        return f"No study measured this {where}."
    words = int((table["kind"] != "numeric").sum())
    told = f"; {words} of them in words only" if words else ""
    counted = f"{base(len(table), table['n_patients'].sum())}{told}"
    found = results.pooled(outcome, controlled)
    if found is None:
        return f"{where.capitalize()} ({counted}), too few print a number and a spread to pool."
    basis = counted
    if found.method != "nuts":
        basis += f"; pooled from the {base(found.k, found.n)} that print a spread"
    text = f"{where.capitalize()} ({basis}), {_changed(found, outcome, controlled)}"
    if known(found.pred_low):
        digits = OUTCOMES[outcome].digits
        text += f"; a new study may find {interval(found.pred_low, found.pred_high, digits)}"
    if "nearly as wide as its prior" in found.note:
        text += "; the interval is nearly as wide as the prior, so the data say little"
    return text + "."


def _changed(found: Pooled, outcome: str, controlled: bool) -> str:
    """`C-peptide was 1.7 times that of the controls (…)`, or `HbA1c changed by …`."""
    about = OUTCOMES[outcome]
    if not about.is_ratio:
        more = " against the controls" if controlled else ""
        return f"{about.noun} changed by {value(found, outcome)}{more}"
    whose = "that of the controls" if controlled else "that before treatment"
    mean = number(found.mean, about.digits)
    ends = interval(found.low, found.high, about.digits)
    return f"{about.noun} was {mean} times {whose} (95 % {found.interval_name} interval {ends})"


@said
def beyond(results: Results, outcome: str, controlled: bool = True) -> str:
    """How probable it is that the mean is on the good side, and beyond what matters to patients."""
    about = OUTCOMES[outcome]
    design = "controlled" if controlled else "uncontrolled"
    ending = "_per_kg" if outcome == "insulin_dose_abs" else ""
    good = results.get(about.published, f"p_beyond_0_{design}{ending}", group_kind="all")
    if good is None:
        return ""
    better = {"c_peptide_ratio": "more C-peptide", "c_peptide_gain": "more C-peptide",
              "hba1c": "a lower HbA1c", "insulin_dose": "less insulin",
              "insulin_dose_abs": "less insulin"}.get(outcome, "a better result")  # fmt: skip
    text = f"The probability of {better} on average is {chance(good['mean'])}"
    further = []
    for bound in {"hba1c": ("0.3", "0.5"), "c_peptide_gain": ("0.2",)}.get(outcome, ()):
        row = results.get(about.published, f"p_beyond_{bound}_{design}", group_kind="all")
        if row is not None:
            further.append(f"{chance(row['mean'])} for a difference beyond {bound}{about.unit}")
    if further:
        text += f", and {listed(further)}"
    named = "studies with" if controlled else "studies without"
    return f"{text} ({named} a control group; {base(good['k_studies'], good['n_patients'])})."


@said
def words_matter(results: Results, outcome: str) -> str:
    """The controlled headline with results in words, and without them."""
    all_told = results.pooled(outcome, True)
    printed = results.pooled(outcome, True, suffix="_numbers_only")
    if all_told is None or printed is None or all_told.method != "nuts":
        return ""
    table = results.study_effects(outcome)
    told = table[table["controlled"].astype(bool) & (table["kind"] != "numeric")]
    null = int((told["direction"] == 0).sum())
    return (
        f"With printed numbers alone the controlled mean would be {value(printed, outcome)} "
        f"({base(printed.k, printed.n)}); the results given only in words ({null} of {len(told)} "
        f"of them null) move it to "
        f"{number(all_told.mean, OUTCOMES[outcome].digits)}{OUTCOMES[outcome].unit} "
        f"({base(all_told.k, all_told.n)})."
    )


@said
def heterogeneity(results: Results, outcome: str) -> str:
    """How much studies differ: tau and I²."""
    about = OUTCOMES[outcome]
    tau = results.get(about.published, "tau", group_kind="all")
    if tau is None:
        return ""
    unit = " on the log scale" if about.is_ratio else about.unit
    text = (
        f"Studies of one class differ by a standard deviation of {number(tau['mean'])}{unit} "
        f"(95 % credible interval {interval(tau['ci_low'], tau['ci_high'])}; "
        f"{base(tau['k_studies'], tau['n_patients'])})"
    )
    share = results.get(about.published, "i_squared", group_kind="all")
    if share is not None:
        text += f"; {number(share['mean'], 0)} % of the variation lies between studies (I²)"
    return text + "."


@said
def single_classes(results: Results, outcome: str) -> str:
    """Which classes rest on one study."""
    table = results.study_effects(outcome)
    sizes = table.groupby("cell_class")["study_id"].nunique()
    lone = sorted(short(name) for name in sizes.index[sizes == 1])
    if not lone:
        return ""
    if len(lone) == 1:
        return f"One class of cells ({lone[0]}) is a single study: its mean leans on the prior."
    return (
        f"{len(lone)} of {len(sizes)} classes of cells ({listed(lone)}) are a single study each: "
        "their means lean on the prior, which is why the prior is drawn beside them."
    )


@said
def at_diagnosis(results: Results) -> str:
    """HbA1c after a baseline at diagnosis."""
    table = results.study_effects("hba1c", at_diagnosis=True)
    if table.empty:
        return "No study with such a baseline is left."
    found = results.pooled("hba1c", False, kind="design", group="at_diagnosis")
    counted = base(len(table), table["n_patients"].sum())
    low, high = table["y"].min(), table["y"].max()
    text = (
        f"In these studies ({counted}) HbA1c changed by {interval(low, high, 1)} percentage points"
        if len(table) > 1
        else f"In this study ({counted}) HbA1c changed by {number(low, 1)} percentage points"
    )
    if found is not None:
        text += f"; the model's mean is {value(found, 'hba1c')}"
    return text + ". Insulin alone does the same after diagnosis: this is no measure of the cells."


@said
def by_study(results: Results, outcome: str) -> str:
    """Of an outcome too seldom reported to be pooled: how many studies measured it."""
    about = OUTCOMES[outcome]
    table = results.study_effects(outcome)
    if table.empty:
        return f"{about.label.split(',')[0]}: no eligible study printed a change."
    counted = base(table["study_id"].nunique(), table["n_patients"].sum())
    return (
        f"{about.label.split(',')[0]} was printed as a change by {counted}: shown study by study, "
        "pooled only from three studies on."
    )


@said
def types_differ(results: Results, outcome: str) -> str:
    """Type 1 beside type 2 in controlled studies, or what there is."""
    parts = []
    for kind in ("T1D", "T2D"):
        for controlled, design in ((True, "controlled"), (False, "uncontrolled")):
            found = results.pooled(outcome, controlled, kind="diabetes_type", group=kind)
            if found is not None:
                label = f"in {group_label('diabetes_type', kind)} diabetes {value(found, outcome)}"
                parts.append(f"{label}, {design}, {base(found.k, found.n)}")
                break
    if not parts:
        return f"{OUTCOMES[outcome].label}: no estimate by type."
    return sentence(f"{OUTCOMES[outcome].label}: " + "; ".join(parts))


# --- independence ----------------------------------------------------------------------------


@said
def ever_independent(results: Results) -> str:
    """How many were ever free of insulin: of an average class, and of the classes apart."""
    row = results.get("ever_independent", "p_ever", group_kind="all")
    if row is None:
        return _ever_facts(results)
    text = (
        f"In an average class of cells {percent(row['mean'])} of patients were ever free of "
        f"insulin (95 % credible interval {percent_interval(row['ci_low'], row['ci_high'])}; "
        f"{base(row['k_studies'], row['n_patients'])})"
    )
    if known(row["pred_low"]):
        ends = percent_interval(row["pred_low"], row["pred_high"])
        text += f"; a new study may find {ends}"
    classes = results.find("ever_independent", "p_ever", group_kind="cell_class")
    classes = classes[classes["k_studies"] >= 2].sort_values("mean", ascending=False)
    if len(classes) >= 2:
        first, last = classes.iloc[0], classes.iloc[-1]
        text += f". Classes differ: {_class_share(first)}, but {_class_share(last)}"
    return text + "."


def _class_share(row) -> str:
    ends = percent_interval(row["ci_low"], row["ci_high"])
    return (
        f"{percent(row['mean'])} ({ends}) with {short(row['group'])} "
        f"({base(row['k_studies'], row['n_patients'])})"
    )


def _ever_facts(results: Results) -> str:
    facts = results.evidence.independence
    table = results.evidence.studies.set_index("study_id")
    ever = facts[(facts["fact"] == "ever") & (facts["study_id"].map(table["include"]) == "yes")]
    cohorts = ever["study_id"].map(table["cohort"]).nunique()
    none = int((ever["k"] == 0).sum())
    return (
        f"{ever['study_id'].nunique()} eligible reports on {cohorts} groups of patients say how "
        f"many were ever free of insulin; in {none} of these statements it was nobody."
    )


@said
def durability(results: Results) -> str:
    """Of those who became free of insulin: how many still were at one, five and ten years."""
    parts, last = [], None
    for months, words in ((12, "one year"), (60, "five years"), (120, "ten years")):
        row = results.get("independence_survival", f"s_{months}", group_kind="all")
        if row is not None:
            last = row
            ends = percent_interval(row["ci_low"], row["ci_high"])
            named = "95 % credible interval " if not parts else ""
            parts.append(f"{percent(row['mean'])} ({named}{ends}) after {words}")
    if not parts:
        return "How long freedom from insulin lasts was not estimated in this run."
    text = (
        f"Of the people who became free of insulin, the model expects {listed(parts)} to be so "
        f"still ({base(last['k_studies'], last['n_patients'])})"
    )
    median = results.get("independence_duration", "median", group_kind="all")
    if median is not None:
        ends = interval(median["ci_low"], median["ci_high"], 0)
        text += f"; the median is {number(median['mean'], 0)} months ({ends})"
    return text + "."


@said
def extrapolated(results: Results) -> str:
    """How far the data reach, and how much of the ten-year expectation lies beyond them."""
    table = results.rows("durability_extrapolation")
    if table.empty:
        return ""
    row = table[table["group"] == "all"]
    parts = []
    if len(row):
        one = row.iloc[0]
        parts.append(
            f"the longest observation is {count(one['longest_observed_months'])} months "
            f"({base(one['k_studies'], one['n_patients'])}); beyond it lies "
            f"{percent(one['share_rmst120_beyond'])} of the time free of insulin that the model "
            "expects within ten years"
        )
    classes = table[table["group_kind"] == "cell_class"].sort_values("longest_observed_months")
    if len(classes):
        shortest = classes.iloc[0]
        parts.append(
            f"for {short(shortest['group'])} the data end at "
            f"{count(shortest['longest_observed_months'])} months"
        )
    return sentence("; ".join(parts))


@said
def families_disagree(results: Results) -> str:
    """How far the survival families part at ten years."""
    table = results.rows("durability_families")
    if table.empty:
        return ""
    table = table[table["group"] == "all"]
    table = table[~table["family"].isin(["average", "stacked"]) & table["s_120"].notna()]
    if len(table) < 2:
        return ""
    low, high = table.loc[table["s_120"].idxmin()], table.loc[table["s_120"].idxmax()]

    def between(column: str) -> str:
        return percent_interval(table[column].min(), table[column].max())

    return (
        f"The {len(table)} survival families give {between('s_12')} at one year, "
        f"{between('s_60')} at five, and at ten from {percent(low['s_120'])} "
        f"({LABELS.get(low['family'], low['family'])}) to {percent(high['s_120'])} "
        f"({LABELS.get(high['family'], high['family'])}). Their average carries this disagreement."
    )


@said
def remaining(results: Results, outcome: str) -> str:
    """Which share of the effect at 12 months is left at 24 and 60 months."""
    table = results.rows("trajectory_remaining")
    if table.empty:
        return ""
    parts = []
    for months in (24, 36, 60):
        row = table[(table["outcome"] == outcome) & (table["months"] == months)]
        if len(row):
            one = row.iloc[0]
            ends = percent_interval(one["ci_low"], one["ci_high"])
            parts.append(f"{percent(one['fraction_mean'])} ({ends}; {studies(one['k_studies'])}) "
                         f"at {months} months")  # fmt: skip
    if not parts:
        return ""
    return (
        f"{OUTCOMES[outcome].label}: of the effect at 12 months, the curve keeps {listed(parts)}."
    )


@said
def half_life(results: Results, outcome: str) -> str:
    """The half-life of the effect, and whether the data know it."""
    table = results.rows("trajectory_summary")
    if table.empty:
        return ""
    row = table[(table["outcome"] == outcome) & (table["quantity"] == "half_life")]
    if row.empty:
        return ""
    one = row.iloc[0]
    text = (
        f"{OUTCOMES[outcome].label}: after its peak the effect halves in about "
        f"{number(one['median'], 0)} months (95 % {interval(one['ci_low'], one['ci_high'], 0)}; "
        f"{studies(one['k_studies'])})"
    )
    return text + (f"; {verbatim(one['note'])}." if one["note"] else ".")


@said
def ever_against_controls(results: Results) -> str:
    """Freedom from insulin in control groups, where they were counted."""
    table = results.rows("ever_contrasts")
    if table.empty:
        return ""
    pooled = table[table["n_control"].notna()]
    treated = f"{count(pooled['k'].sum())} of {count(pooled['n'].sum())}"
    control = f"{count(pooled['k_control'].sum())} of {count(pooled['n_control'].sum())}"
    return (
        f"{studies(len(pooled))} also counted a control group: {treated} treated patients and "
        f"{control} controls were ever free of insulin."
    )


# --- safety ----------------------------------------------------------------------------------


@said
def worst_reporting(results: Results) -> str:
    """How many studies said nothing about each of the gravest harms."""
    parts = []
    for category, words in (("death", "deaths"), ("malignancy_or_tumour", "tumours")):
        row = _harm(results, category)
        if row is not None:
            parts.append(
                f"{words} were stated, whatever the number, for {count(row['k_stated'])} cohorts "
                f"({count(row['n_stated'])} patients), and {count(row['k_silent'])} cohorts say "
                "nothing"
            )
    return sentence("; ".join(parts)) if parts else "No harm was stated explicitly."


def _harm(results: Results, category: str, relation: str = "any"):
    table = results.rows("safety_summary")
    if table.empty:
        return None
    table = table[(table["event_category"] == category) & (table["relation"] == relation)]
    table = table[table["k_stated"] > 0]
    return table.iloc[0] if len(table) else None


@said
def harm(results: Results, category: str, relation: str = "any") -> str:
    """One harm: events, patients, rate, upper bound; or that it is not estimable, and why."""
    row = _harm(results, category, relation)
    name = event(category).capitalize()
    if row is None:
        return f"{name}: no study states a count."
    counted = (
        f"{name}: {count(row['events'])} in {count(row['n_stated'])} patients of "
        f"{count(row['k_stated'])} cohorts that state it"
    )
    if not known(row["rate_mean"]):
        return f"{counted}; {verbatim(row['note'] or 'no rate can be given')}."
    ends = interval(row["rate_ci_low"], row["rate_ci_high"], 1)
    return (
        f"{counted}, a rate of {number(row['rate_mean'], 1)} per 100 patient-years (95 % credible "
        f"interval {ends}); a rate up to {number(row['rate_upper95'], 1)} cannot be ruled out."
    )


@said
def tumour_question(results: Results) -> str:
    """What the silence about tumours means."""
    row = _harm(results, "malignancy_or_tumour")
    if row is None:
        return "No study states a count of tumours: the added risk of cancer is not known."
    none = " No tumour was counted." if row["events"] == 0 else ""
    bound = ""
    if known(row["rate_upper95"]):
        bound = (
            f" That still leaves room for up to {number(row['rate_upper95'], 1)} per 100 "
            "patient-years, and follow-up is far shorter than a cancer needs."
        )
    return (
        f"{base(row['k_stated'], row['n_stated'])} say whether tumours occurred, "
        f"{count(row['k_silent'])} do not.{none}{bound}"
    )


@said
def settle(results: Results) -> str:
    """What would settle the gravest harms and five-year durability."""
    table = results.rows("evidence_needed_summary")
    if table.empty:
        return NOT_RUN
    parts = []
    for category in ("death", "malignancy_or_tumour"):
        row = table[(table["harm"] == category) & (table["group"] == "all")
                    & (table["relation"] == "any")]  # fmt: skip
        if len(row):
            one = row.iloc[0]
            aim = (
                f"to rule out a rate of {event(category)} above {one['threshold']:g} {one['unit']}"
            )
            if known(one["needed"]):
                need = f"{one['needed']:,.0f}".replace(",", " ")
                parts.append(f"{aim} would take about {need} more {one['needed_unit']}")
            else:
                parts.append(
                    f"{aim} no single further study suffices, because today's evidence gives a "
                    f"rate below it only a probability of "
                    f"{chance(one['probability_under_threshold'])}"
                )
    row = table[(table["harm"] == "loss_of_independence_5_years") & (table["group"] == "all")]
    if len(row) and known(row.iloc[0]["needed"]):
        one = row.iloc[0]
        parts.append(
            f"to know the share still free of insulin at five years within 10 points either way "
            f"takes about {count(one['needed'])} more {one['needed_unit']}"
        )
    if not parts:
        return NOT_RUN
    return sentence("; ".join(parts)) + " (Assurance of 80 %; the thresholds are the authors'.)"


# --- for patients ----------------------------------------------------------------------------


@said
def plain_blood_sugar(results: Results) -> str:
    """HbA1c in everyday words."""
    found = results.pooled("hba1c", True)
    if found is None:
        return "Too few studies compared blood sugar with a control group to give a number."
    drop = "lower" if found.mean < 0 else "higher"
    sure = (
        "but the difference could also be nil"
        if found.low < 0 < found.high
        else "and the difference is probably real"
    )
    return (
        f"In studies with a comparison group, HbA1c (long-term blood sugar) was on average "
        f"{number(abs(found.mean), 1)} points {drop} after about a year, {sure} "
        f"({interval(found.low, found.high, 1)}; {base(found.k, found.n)})."
    )


@said
def plain_insulin(results: Results) -> str:
    """Insulin dose in everyday words."""
    found = results.pooled("insulin_dose", True)
    if found is None:
        return "Too few studies compared insulin doses with a control group to give a number."
    change = round(100 * (found.mean - 1))
    words = f"{abs(change)} % {'less' if change < 0 else 'more'}"
    sure = "; the data also fit no difference" if found.low < 1 < found.high else ""
    return (
        f"People in those studies needed on average {words} insulin than the comparison groups "
        f"after about a year (between {_percent_change(found.low)} and "
        f"{_percent_change(found.high)}{sure}; {base(found.k, found.n)})."
    )


def _percent_change(ratio: float) -> str:
    change = round(100 * (ratio - 1))
    return f"{abs(change)} % {'less' if change < 0 else 'more'}"


@said
def plain_independence(results: Results) -> str:
    """Living without insulin, in everyday words."""
    ever = results.get("ever_independent", "p_ever", group_kind="all")
    five = results.get("independence_survival", "s_60", group_kind="all")
    if ever is None:
        return _ever_facts(results)
    text = (
        f"Some people could stop insulin for a time: about {percent(ever['mean'])} with an average "
        f"kind of cells, with large differences between kinds "
        f"({base(ever['k_studies'], ever['n_patients'])})."
    )
    if five is not None:
        text += (
            f" Of those, perhaps {percent(five['mean'])} are still without insulin five years "
            f"later, but it could be anywhere from {percent(five['ci_low'])} to "
            f"{percent(five['ci_high'])} ({base(five['k_studies'], five['n_patients'])})."
        )
    return text


# --- what would change our mind --------------------------------------------------------------


@said
def claims_summary(results: Results) -> str:
    """How many claims got which verdict."""
    table = results.rows("claims")
    if table.empty:
        return "The public claims were not judged in this run."
    order = [
        "well supported", "supported", "suggested", "uncertain", "doubtful", "contradicted",
        "not known",
    ]  # fmt: skip
    counts = table["verdict"].value_counts()
    parts = [f"{counts[word]} {'is' if counts[word] == 1 else 'are'} {word}" for word in order
             if word in counts.index]  # fmt: skip
    return f"Of {len(table)} public claims, {listed(parts)}."


@said
def designs_differ(results: Results, outcome: str) -> str:
    """Controlled against uncontrolled: what the missing control group does."""
    with_control = results.pooled(outcome, True)
    without = results.pooled(outcome, False)
    about = OUTCOMES[outcome]
    if with_control is None or without is None:
        return f"{about.label}: the two designs cannot be compared."
    return (
        f"{about.label}: {number(with_control.mean)}{about.unit} with a control group "
        f"({base(with_control.k, with_control.n)}), {number(without.mean)}{about.unit} without "
        f"({base(without.k, without.n)})."
    )


@said
def multiverse(results: Results, outcome: str) -> str:
    """In how many defensible analyses the conclusion holds, and which choice matters most."""
    table = results.rows("multiverse_summary")
    if table.empty:
        return ""
    rows = table[(table["outcome"] == outcome) & (table["design"].isin(["all", "controlled"]))]
    if rows.empty:
        return ""
    about = OUTCOMES[outcome]
    one = rows[rows["design"] == "all"].iloc[0]
    low, high = about.shown(one["min"]), about.shown(one["max"])
    text = (
        f"{about.label}: of {count(one['n_usable'])} defensible analyses, "
        f"{percent(one['share_good_clear'])} find an improvement whose 95 % interval excludes no "
        f"effect and {percent(one['share_harm_clear'])} a worsening; their means run from "
        f"{number(low)} to {number(high)}{about.unit}"
    )
    alone = rows[rows["design"] == "controlled"]
    if len(alone):
        text += (
            f"; with controlled studies alone the share is "
            f"{percent(alone.iloc[0]['share_good_clear'])}"
        )
    if one["n_too_few"]:
        text += f"; {count(one['n_too_few'])} more leave fewer than two studies"
    if one["most_influential"]:
        text += f". The choice that matters most is {one['most_influential'].replace('_', ' ')}"
        text += f" ({percent(one['variance_explained'])} of the variance of the means)"
    return text + "."


@said
def leave_one_out(results: Results, outcome: str) -> str:
    """Which single study the controlled mean depends on most."""
    table = results.rows("leave_one_out")
    if table.empty:
        return ""
    table = table[(table["outcome"] == outcome) & (table["design"] == "controlled")
                  & (table["kind"] == "study") & table["mean"].notna()]  # fmt: skip
    if table.empty:
        return ""
    about = OUTCOMES[outcome]
    low, high = table.loc[table["mean"].idxmin()], table.loc[table["mean"].idxmax()]
    return (
        f"{about.label}: leaving out one of the {studies(len(table))} at a time, the controlled "
        f"mean of printed numbers runs from {number(float(about.shown(low['mean'])))} (without "
        f"{verbatim(low['label'])}) to {number(float(about.shown(high['mean'])))}{about.unit} "
        f"(without {verbatim(high['label'])})."
    )


@said
def bias(results: Results, outcome: str) -> str:
    """What model averaging over publication bias says, and how little it can say."""
    table = results.rows("bias_summary")
    if table.empty:
        return ""
    rows = table[(table["outcome"] == outcome) & (table["design"] == "controlled")]
    if rows.empty:
        return ""
    one, about = rows.iloc[0], OUTCOMES[outcome]
    ends = interval(float(about.shown(one["ci_low"])), float(about.shown(one["ci_high"])))
    return (
        f"{about.label} (controlled, {base(one['k_studies'], one['n_patients'])}): averaged over "
        f"models with and without publication bias the mean is "
        f"{number(float(about.shown(one['mean'])))}{about.unit} (95 % credible interval {ends}); "
        f"the Bayes factor for bias is {factor(one['bf_bias'])}. "
        f"{verbatim(sentence(one['statement']))}"
    )


@said
def joint(results: Results) -> str:
    """Whether studies with more C-peptide also have a lower HbA1c."""
    table = results.rows("joint_summary")
    rho = table[table["parameter"] == "rho"] if len(table) else table
    if rho.empty:
        return NOT_RUN
    one = rho.iloc[0]
    both = results.rows("joint_estimates")
    behind = f"; {studies(both['k_both'].iloc[0])} report both" if len(both) else ""
    return (
        f"Between studies, the effects on C-peptide and on HbA1c correlate by "
        f"{number(one['mean'])} (95 % credible interval {interval(one['ci_low'], one['ci_high'])}; "
        f"prior {number(one['prior_mean'])} with SD {number(one['prior_sd'])}{behind})."
    )


@said
def prior_grid(results: Results, outcome: str) -> str:
    """How far the controlled mean moves with the priors."""
    table = results.rows("prior_grid")
    if table.empty:
        return ""
    table = table[(table["outcome"] == outcome) & (table["design"] == "controlled")]
    if table.empty:
        return ""
    about = OUTCOMES[outcome]
    low, high = table["mean"].min(), table["mean"].max()
    return (
        f"{about.label}: over {len(table)} combinations of priors the controlled mean of printed "
        f"numbers runs from {number(float(about.shown(low)))} to {number(float(about.shown(high)))}"
        f"{about.unit}."
    )


@said
def nullify(results: Results) -> str:
    """What the table of nullifying biases is."""
    if not results.has("bias_to_nullify"):
        return NOT_RUN
    return (
        "A bias shared by all studies of a design (better care, natural course, selection) would "
        "remove their effect if it were as large as the table says. The E-value says how strongly "
        "an unmeasured cause would have to go with both treatment and result."
    )


@said
def onset(results: Results) -> str:
    """What the wait from treatment to the first day without insulin does to the curve."""
    table = results.rows("durability_onset")
    if table.empty:
        return ""
    every = table[table["group_kind"] == "all"].sort_values("onset_median_months")
    first, last = every.iloc[0], every.iloc[-1]
    middle = every[every["onset"] == "as in the model"]
    row = results.get("independence_survival", "s_12", group_kind="all")
    if middle.empty or len(every) < 2 or row is None:
        return ""
    wait = number(middle.iloc[0]["onset_median_months"], 0)
    return (
        "Papers often count from the treatment, the curve from the first day without insulin. "
        f"Months between the two (median in the model: {wait}) change it: with no wait the "
        f"share still free after one year would be {percent(first['s_12'])}, with a median of "
        f"{number(last['onset_median_months'], 0)} months {percent(last['s_12'])} "
        f"({base(row['k_studies'], row['n_patients'])})."
    )


@said
def patient_level(results: Results) -> str:
    """What it costs that papers print summaries, found by simulation."""
    table = results.patient_level()
    if table.empty:
        return "What summaries lose was not simulated with these results."
    own = table[table["telling"] == "published"]
    if own.empty:
        return ""
    last = own.loc[own["months"].idxmax()]
    worst = table.loc[table["rmse_ratio"].idxmax()]
    low, high = own["coverage_95"].min(), own["coverage_95"].max()
    return (
        "Few papers print each patient. When the same simulated patients "
        f"({count(last['n_replicates'])} simulations) are told the ways papers tell them, the 95 % "
        f"bands still hold the true curve in {percent(low, 1)} to {percent(high, 1)} of the "
        f"simulations; at {count(last['months'])} months they are {number(last['width_ratio'])} "
        f"times as wide as with every patient, and the error is {number(last['rmse_ratio'])} times "
        f"as large. The worst single way ({TELLINGS[worst['telling']]}) makes it "
        f"{number(worst['rmse_ratio'])} times as large."
    )


@said
def calibration(results: Results) -> str:
    """What simulation-based calibration found."""
    table = results.calibration()
    if table.empty:
        return "Simulation-based calibration was not run with these results (make calibrate)."
    low, high = table["coverage_95"].min(), table["coverage_95"].max()
    return (
        f"{count(len(table))} quantities of {count(table['model'].nunique())} models were fitted "
        f"to data simulated from the prior ({count(table['n_replicates'].min())} times or more): "
        f"95 % intervals held the true value in {percent(low, 1)} to {percent(high, 1)} of the "
        "simulations."
    )


@said
def stale(results: Results) -> str:
    """A warning over the whole page when the results do not belong to the evidence; else empty."""
    if not results.stale:
        return ""
    return (
        "**These results do not belong to the evidence on this page and must not be used:** "
        f"{verbatim(results.stale)}."
    )


@said
def reproduced(results: Results) -> str:
    """Seed and digests in a sentence."""
    manifest = results.manifest
    if not manifest:
        return "This run left no manifest."
    return (
        f"The numbers on this page were made with seed {manifest.get('seed')}, Python "
        f"{manifest.get('python')} and code {manifest.get('code')}."
    )


@said
def agreement(results: Results) -> str:
    """Whether NUTS and the exact posterior agree on the model they share."""
    table = results.rows("change_exact")
    if table.empty:
        return ""
    worst = table["difference_in_mcse"].abs().max()
    return (
        f"On the model both can fit, NUTS and exact quadrature differ by at most "
        f"{number(worst, 1)} Monte-Carlo standard errors over {len(table)} comparisons; a run "
        "with more than four fails."
    )


@said
def gate(results: Results) -> str:
    """The worst diagnostics over all fits."""
    fits = [fit for stage in results.manifest.get("stages", {}).values()
            for fit in stage.get("fits", {}).values()]  # fmt: skip
    if not fits:
        return "No sampler ran."
    sound = [fit for fit in fits if not fit.get("withheld")]
    text = "No fit passed its gate."
    if sound:
        rhat = max(fit["max_rhat"] for fit in sound)
        least = min(min(fit["min_ess_bulk"], fit["min_ess_tail"]) for fit in sound)
        divergent = sum(fit["divergences"] for fit in sound)
        text = (
            f"Over the {len(sound)} fits used the largest R-hat is {number(rhat, 3)}, the smallest "
            f"effective sample size {count(least)}, and {count(divergent)} transitions diverged."
        )
    withheld = [f"{fit['stage']} {fit['fit'].replace('_', ' ')} ({fit['reason']})"
                for fit in results.manifest.get("withheld", ())]  # fmt: skip
    if withheld:
        text += f" Withheld, because they failed their gate: {listed(withheld)}."
    return text


@said
def earlier(results: Results) -> str:
    """Earlier reviews' HbA1c against this one's controlled mean."""
    table = results.evidence.published
    mine = results.pooled("hba1c", True)
    rows = table[(table["outcome"] == "HbA1c") & (table["measure"].isin(["MD", "WMD"]))
                 & table["estimate_signed"].notna()]  # fmt: skip
    if rows.empty:
        return "No earlier review prints a mean difference of HbA1c."
    low, high = rows["estimate_signed"].min(), rows["estimate_signed"].max()
    text = (
        f"{rows['study_id'].nunique()} earlier reviews print {len(rows)} pooled differences of "
        f"HbA1c, from {number(low)} to {number(high)} percentage points"
    )
    if mine is not None:
        text += f"; the controlled mean here is {value(mine, 'hba1c')} ({base(mine.k, mine.n)})"
    return text + "."


@said
def strategies(results: Results) -> str:
    """What immunosuppression or conditioning adds in severe infections, where it can be seen."""
    table = results.rows("safety_by_strategy")
    if table.empty:
        return "No harm was stated under two immune strategies."
    table = table[(table["event_category"] == "severe_infection") & (table["relation"] == "any")]
    if len(table) < 2:
        return "Severe infection was stated under fewer than two immune strategies."
    parts = [
        f"{row['strategy'].replace('_', ' ')} {number(row['rate_mean'], 1)} "
        f"({interval(row['rate_ci_low'], row['rate_ci_high'], 1)}; "
        f"{base(row['k_studies'], row['n_patients'])})"
        for row in table.to_dict("records")
    ]
    return (
        f"Severe infections per 100 patient-years by immune strategy: {listed(parts)}. These are "
        "different studies of different cells, not a comparison within a trial."
    )


@said
def cell_classes() -> str:
    """What the short names of the cell classes stand for."""
    named = [f"{vocabulary.CELL_CLASS_SHORT[key]} = {words}"
             for key, words in vocabulary.CELL_CLASSES.items()
             if vocabulary.CELL_CLASS_SHORT[key] != words]  # fmt: skip
    return "Short names: " + "; ".join(named) + "."


# --- the page itself ---------------------------------------------------------------------------


@said
def footer(results: Results) -> str:
    """Program, version, code and renderer of this page."""
    manifest = results.manifest
    made = f" with code {manifest['code']}" if manifest.get("code") else ""
    return f"Made by isletmeta {__version__}{made}. Rendered by {verbatim(style.renderer())}."
