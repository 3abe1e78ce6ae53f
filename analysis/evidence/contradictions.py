"""Facts of different rows and tables that cannot both be true: each is a fault that names the two.

Counts above the patients of the study, facts of insulin independence that exclude one another,
changes that leave no level, times and probabilities that cannot be. What is only unlikely is an
oddity (`oddities`, `plausibility`, `twins`).
"""

import math
from collections.abc import Iterator, Mapping

from analysis import vocabulary as v
from analysis.evidence.faults import Fault
from analysis.evidence.reading import Table
from analysis.evidence.schema import Row, blank, number_of

Tables = Mapping[str, Table]

COUNTS = {
    "outcomes.csv": ("n",),
    "directions.csv": (),
    "responders.csv": ("n_total", "n_responders"),
    "independence.csv": ("n_total", "k"),
    "safety.csv": ("n_patients", "n_at_risk"),
}
"""Columns that count patients of the arm of their row."""


def place(table: Table, row: Row, column: str) -> str:
    """`n_treated 20 (studies.csv:2)`: a fact and where it stands."""
    value = row[column]
    shown = f"{value:g}" if isinstance(value, float) else value
    return f"{column} {shown} ({table.name}:{row['line']})"


def contradictions(tables: Tables) -> Iterator[Fault]:
    """Every contradiction between rows of the tables that could be read."""
    studies = tables["studies.csv"]
    if not studies.readable:
        return
    by_id = {str(row["study_id"]): row for row in studies.rows}
    yield from _no_controls(studies)
    for name in COUNTS:
        if tables[name].readable:
            yield from _above_the_study(tables[name], studies, by_id)
    if tables["safety.csv"].readable:
        yield from _more_deaths(tables["safety.csv"], studies, by_id)
        yield from _events_of_parts(tables["safety.csv"])
    if tables["outcomes.csv"].readable:
        yield from _single_patients(tables["outcomes.csv"], studies, by_id)
        yield from _one_patient(tables["outcomes.csv"])
        yield from _no_spread(tables["outcomes.csv"])
        yield from _impossible_changes(tables["outcomes.csv"])
        yield from _impossible_sizes(tables["outcomes.csv"])
    for name in ("outcomes.csv", "directions.csv"):
        if tables[name].readable:
            yield from _impossible_p(tables[name])
    if tables["responders.csv"].readable:
        yield from _percentages(tables["responders.csv"])
    if tables["independence.csv"].readable:
        yield from _independence(tables["independence.csv"])


# --- studies -----------------------------------------------------------------------------------


def _no_controls(studies: Table) -> Iterator[Fault]:
    for row in studies.rows:
        if row["design"] in v.CONTROLLED_DESIGNS and row["n_control"] == 0:
            yield studies.fault(
                row, "n_control", f"at least 1, or blank: the design is {row['design']}"
            )


# --- counts ------------------------------------------------------------------------------------


def patients_of(arm: str, study: Row, by_id: Mapping[str, Row]) -> tuple[float, str]:
    """The most patients an arm of a study can have (NaN: not known), and the column that says so.

    An arm that names other reports (`treated_one2020_two2021`) is that of all of them.
    """
    kind = arm.partition("_")[0]
    if kind == "patient":
        return 1.0, ""
    if kind == "control":
        return float(study["n_control"]), "n_control"
    if kind in ("treated", "contrast"):
        joint = []
        if arm != kind:
            joint = [other for name, other in by_id.items() if other is not study and name in arm]
        sizes = [float(row["n_treated"]) for row in (study, *joint)]
        return sum(sizes), "n_treated"
    none = 0.0 if study["design"] not in v.CONTROLLED_DESIGNS else math.nan
    controls = none if blank(study["n_control"]) else float(study["n_control"])
    return float(study["n_treated"]) + controls, "n_treated"


def _above_the_study(table: Table, studies: Table, by_id: Mapping[str, Row]) -> Iterator[Fault]:
    for row in table.rows:
        study = by_id.get(str(row["study_id"]))
        if study is None:
            continue
        limits = [(column, *patients_of(str(row["arm"]), study, by_id))
                  for column in COUNTS[table.name]]  # fmt: skip
        if table.name == "directions.csv":
            limits.append(("n_treated", float(study["n_treated"]), "n_treated"))
        if table.name in ("outcomes.csv", "directions.csv"):
            limits.append(("n_control", float(study["n_control"]), "n_control"))
        for column, limit, said in limits:
            if column == "n_at_risk" and row["arm"] == "all":
                continue  # of all arms of a trial, also those that are none of ours
            if number_of(row, column) > limit:  # False when either is NaN
                fact = place(studies, study, said) if said else "an arm of one patient"
                yield table.fault(row, column, f"not more than {limit:g}: {fact}")
                break


def _more_deaths(table: Table, studies: Table, by_id: Mapping[str, Row]) -> Iterator[Fault]:
    """Deaths of an arm that are together more than its patients: each patient dies once."""
    counted: dict[tuple, float] = {}
    for row in table.rows:
        study = by_id.get(str(row["study_id"]))
        if study is None or row["event_category"] != "death" or blank(row["n_patients"]):
            continue
        key = (row["study_id"], row["arm"], row["relation"])
        counted[key] = counted.get(key, 0.0) + number_of(row, "n_patients")
        limit, said = patients_of(str(row["arm"]), study, by_id)
        if number_of(row, "n_patients") <= limit < counted[key]:
            fact = place(studies, study, said) if said else "an arm of one patient"
            yield table.fault(
                row, "n_patients", f"with the deaths above not more than {limit:g}: {fact}"
            )


def _events_of_parts(table: Table) -> Iterator[Fault]:
    """More patients with an event in a part than in the whole: an arm of all arms, events by the
    treatment of all events."""  # fmt: skip
    exact = [row for row in table.rows if row["bound"] == "exact" and not blank(row["n_patients"])]
    named = ("study_id", "event_category", "event_detail", "followup_months")
    whole = {tuple(str(row[c]) for c in (*named, "arm", "relation")): row for row in exact}
    for row in exact:
        key = tuple(str(row[c]) for c in named)
        arm, relation = str(row["arm"]), str(row["relation"])
        for of_arm, of_relation, what in (
            ("all", relation, "of all arms"),
            (arm.partition("_")[0], relation, "of the whole arm"),
            (arm, "any", "whatever their cause"),
        ):
            other = whole.get((*key, of_arm, of_relation))
            if other and number_of(row, "n_patients") > number_of(other, "n_patients"):
                allowed = f"not more than {place(table, other, 'n_patients')}, {what}"
                yield table.fault(row, "n_patients", allowed)
                break


def _single_patients(table: Table, studies: Table, by_id: Mapping[str, Row]) -> Iterator[Fault]:
    """More single patients than the study has."""
    listed: dict[str, dict[str, Row]] = {}
    for row in table.rows:
        if str(row["arm"]).startswith("patient_"):
            listed.setdefault(str(row["study_id"]), {}).setdefault(str(row["arm"]), row)
    for name, patients in listed.items():
        study = by_id.get(name)
        if study is None:
            continue
        most, _ = patients_of("all", study, by_id)
        if len(patients) > most:
            row = list(patients.values())[int(most)]
            allowed = (
                f"at most {most:g} patients, {len(patients)} are listed: "
                f"{place(studies, study, 'n_treated')}"
            )
            yield table.fault(row, "arm", allowed)


def _one_patient(table: Table) -> Iterator[Fault]:
    for row in table.rows:
        if row["statistic"] == "individual" and number_of(row, "n") > 1:
            yield table.fault(row, "n", "1, because statistic is individual")


def _percentages(table: Table) -> Iterator[Fault]:
    for row in table.rows:
        percent = 100 * number_of(row, "n_responders") / number_of(row, "n_total")
        if abs(percent - number_of(row, "percent")) > 1:
            yield table.fault(row, "percent", f"n_responders of n_total are {percent:.1f} %")


# --- numbers -----------------------------------------------------------------------------------


def _no_spread(table: Table) -> Iterator[Fault]:
    for row in table.rows:
        group = number_of(row, "n") > 1 and row["statistic"] != "individual"
        if group and row["spread"] == 0:
            yield table.fault(
                row, "spread", f"more than 0: {row['n']:g} patients are not all alike; blank with "
                "spread_kind none where no spread is printed"
            )  # fmt: skip


def _impossible_changes(table: Table) -> Iterator[Fault]:
    """Changes at the time of treatment, and changes that leave less than nothing."""
    before = {
        (row["study_id"], row["arm"], row["outcome"], row["unit"]): row
        for row in table.rows
        if row["scale"] == "level" and row["months"] == 0
    }
    for row in table.rows:
        if row["months"] == 0 and row["scale"] != "level":
            yield table.fault(row, "scale", "level at month 0: nothing has changed yet")
        base = before.get((row["study_id"], row["arm"], row["outcome"], row["unit"]))
        if row["scale"] != "change" or base is None:
            continue
        if number_of(row, "value") < -number_of(base, "value") - 0.05:
            allowed = f"not below minus the level before treatment: {place(table, base, 'value')}"
            yield table.fault(row, "value", allowed)


def _impossible_sizes(table: Table) -> Iterator[Fault]:
    """Numbers that the unit cannot have though its limits would let them pass."""
    for row in table.rows:
        unit, scale = str(row["unit"]), str(row["scale"])
        for column in ("value", "spread", "spread_high"):
            limit = v.LARGEST_CHANGE.get(str(row["outcome"]), {}).get(unit, math.inf)
            if column == "spread" and scale in ("level", "change", "between_arm_difference"):
                limit = v.LARGEST_SPREAD.get(str(row["outcome"]), {}).get(unit, math.inf)
            elif scale not in ("change", "between_arm_difference"):
                continue
            if abs(number_of(row, column)) > limit:
                other = "mmol/mol" if unit == "%" else "another unit"
                said = "a change" if column != "spread" else "a spread"
                allowed = (
                    f"{said} of at most {limit:g} for {row['outcome']} in {unit}; is it {other}?"
                )
                yield table.fault(row, column, allowed)


def _impossible_p(table: Table) -> Iterator[Fault]:
    for row in table.rows:
        relation, p = row["p_relation"], row["p_value"]
        if p == 0 and relation in ("=", "<"):
            yield table.fault(row, "p_value", "more than 0; p = 0.000 is printed for p < 0.001")
        if p == 1 and relation == ">":
            yield table.fault(row, "p_value", "less than 1 after >")


# --- insulin independence ------------------------------------------------------------------------


def _independence(table: Table) -> Iterator[Fault]:
    arms: dict[tuple[str, str], list[Row]] = {}
    for row in table.rows:
        arms.setdefault((str(row["study_id"]), str(row["arm"])), []).append(row)
    for (study, arm), rows in arms.items():
        yield from _more_than_ever(table, rows)
        yield from _outside_the_range(table, rows)
        yield from _lasting_longer(table, rows)
        whole = arms.get((study, arm.partition("_")[0]), [])
        if whole is not rows:
            yield from _part_above_whole(table, rows, whole)
    for row in table.rows:
        if row["fact"] == "patient" and row["value"] == 0:
            said = f"; status is {row['status']}" if row["status"] else ""
            yield table.fault(row, "value", f"more than 0 months without insulin{said}")


def _exact(rows: list[Row], fact: str) -> list[Row]:
    return [row for row in rows if row["fact"] == fact and row["bound"] == "exact"]


def _more_than_ever(table: Table, rows: list[Row]) -> Iterator[Fault]:
    """More independent at a time, for a time, or listed, than ever were."""
    for ever in _exact(rows, "ever"):
        most = number_of(ever, "k")
        fact = f"ever independent were k {most:g} ({table.name}:{ever['line']})"
        for row in rows:
            counted = row["fact"] in ("at_time", "lasted", "duration_summary")
            if counted and row["bound"] != "selected" and number_of(row, "k") > most:
                yield table.fault(row, "k", f"not more than {most:g}: {fact}")
        patients = [row for row in rows if row["fact"] == "patient"]
        if len(patients) > most:
            row = patients[int(most)]
            allowed = f"{most:g} patients at most, {len(patients)} are listed: {fact}"
            yield table.fault(row, "patient_label", allowed)


def _part_above_whole(table: Table, part: list[Row], whole: list[Row]) -> Iterator[Fault]:
    for ever in _exact(whole, "ever"):
        for row in _exact(part, "ever"):
            if number_of(row, "k") > number_of(ever, "k"):
                allowed = f"not more than {place(table, ever, 'k')}, of the whole arm"
                yield table.fault(row, "k", allowed)


def _outside_the_range(table: Table, rows: list[Row]) -> Iterator[Fault]:
    """Means, medians and patients outside the range of the same durations."""
    for ends in rows:
        if ends["fact"] != "duration_summary" or ends["duration_statistic"] != "range":
            continue
        low, high = number_of(ends, "low"), number_of(ends, "high")
        for row in rows:
            same = row["fact"] == "patient" or (
                row["fact"] == "duration_summary" and row["duration_statistic"] != "range"
            )
            one_group = row["fact"] == "patient" or blank(row["k"]) or row["k"] == ends["k"]
            if not same or not one_group or blank(row["value"]):
                continue
            if not low <= number_of(row, "value") <= high:
                allowed = f"within {low:g} to {high:g}, the range ({table.name}:{ends['line']})"
                yield table.fault(row, "value", allowed)


def _lasting_longer(table: Table, rows: list[Row]) -> Iterator[Fault]:
    """More patients insulin-free for longer than for a shorter time."""
    lasted = sorted(_exact(rows, "lasted"), key=lambda row: number_of(row, "months"))
    for i, longer in enumerate(lasted):
        for shorter in lasted[:i]:
            same = longer["n_total"] == shorter["n_total"]
            if same and number_of(longer, "k") > number_of(shorter, "k"):
                allowed = (
                    f"not more than {place(table, shorter, 'k')}, free for "
                    f"{shorter['months']:g} months"
                )
                yield table.fault(longer, "k", allowed)
                break
    for row in lasted:
        months = number_of(row, "months")
        patients = [r for r in rows if r["fact"] == "patient" and number_of(r, "value") >= months]
        if len(patients) > number_of(row, "k"):
            allowed = (
                f"at least {len(patients)}: so many patients are listed with as long or longer"
            )
            yield table.fault(row, "k", allowed)
