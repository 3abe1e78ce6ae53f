"""What rows and tables must be to each other: each rule yields the faults it finds.

What a single cell may hold stands in `schema`. A fault is something impossible; what is only
unlikely is an oddity (`oddities`).
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from analysis import vocabulary as v
from analysis.evidence.faults import Fault
from analysis.evidence.reading import Table
from analysis.evidence.schema import FACT_FILES, KEYS, TABLES, Row, blank, number_of, words_of


def _duplicate_rules(table: Table) -> Iterator[Fault]:
    """No fact twice: the key columns of a table name one row."""
    key = KEYS[table.name]
    seen: dict[tuple[str | float | None, ...], str | float] = {}
    for row in table.rows:
        # Numbers compare as numbers (12 and 12.0 are one month), blanks as blanks.
        name = tuple(None if blank(row[c]) else row[c] for c in key)
        if name in seen:
            text = "the same " + ", ".join(key) + f" only once (first on line {seen[name]})"
            yield table.fault(row, key[0], text)
        else:
            seen[name] = row["line"]


def _known_study_rules(table: Table, known: set[str]) -> Iterator[Fault]:
    for row in table.rows:
        if row["study_id"] and row["study_id"] not in known:
            yield table.fault(row, "study_id", "a study_id of studies.csv")


def _study_rules(table: Table) -> Iterator[Fault]:
    for row in table.rows:
        if row["include"] == "yes" and row["exclusion_reason"]:
            yield table.fault(row, "exclusion_reason", "blank where include is yes")
        if row["include"] in ("context", "no") and not row["exclusion_reason"]:
            allowed = f"a reason, because include is {row['include']}"
            yield table.fault(row, "exclusion_reason", allowed)
        ids = ("doi", "pmid", "pmcid", "registry_id")
        by_address = row["title"] and str(row["source_url"]).startswith("http")
        if row["include"] == "yes" and not any(row[c] for c in ids) and not by_address:
            allowed = "a DOI, PMID, PMCID or registry id, or the title with the address of its page"
            yield table.fault(row, "doi", allowed)
        if row["followup_kind"] and blank(row["followup_months"]):
            yield table.fault(row, "followup_kind", "blank where followup_months is blank")
        if bool(row["overlaps_with"]) != bool(row["overlap_kind"]):
            column = "overlap_kind" if row["overlaps_with"] else "overlaps_with"
            yield table.fault(row, column, "overlaps_with and overlap_kind are given together")
        for column, diabetes_type in (("onset_group", "T1D"), ("insulin_at_entry", "T2D")):
            if row[column] and row["diabetes_type"] != diabetes_type:
                yield table.fault(row, column, f"blank but for {diabetes_type}")


def _cohort_rules(table: Table) -> Iterator[Fault]:
    """One primary report a cohort; shared identifiers mean a declared overlap."""
    members: dict[str, list[Row]] = defaultdict(list)
    for row in table.rows:
        members[str(row["cohort"])].append(row)
    declared = {
        frozenset((str(row["cohort"]), other))
        for row in table.rows
        for other in words_of(row["overlaps_with"])
    }
    for cohort, rows in members.items():
        primary = [row for row in rows if row["cohort_role"] == "primary"]
        if not primary:
            allowed = f"one report of cohort {cohort} is primary, none is"
            yield table.fault(rows[0], "cohort_role", allowed)
        for row in primary[1:]:
            allowed = f"one primary report a cohort ({primary[0]['study_id']} is that of {cohort})"
            yield table.fault(row, "cohort_role", allowed)
    for row in table.rows:
        for other in words_of(row["overlaps_with"]):
            if other not in members:
                yield table.fault(row, "overlaps_with", f"known cohorts; {other} is none")
            elif other == row["cohort"]:
                yield table.fault(row, "overlaps_with", "cohorts other than its own")
    for column in ("doi", "pmid", "pmcid", "registry_id"):
        first: dict[str, Row] = {}
        for row in table.rows:
            name = str(row[column]).lower()
            if not name:
                continue
            earlier = first.setdefault(name, row)
            if earlier is row:
                continue
            pair = frozenset((str(row["cohort"]), str(earlier["cohort"])))
            if len(pair) == 2 and pair not in declared:
                allowed = (
                    f"overlapping cohorts undeclared: {earlier['study_id']} of cohort "
                    f"{earlier['cohort']} has it too; one cohort, or name it in overlaps_with"
                )
                yield table.fault(row, column, allowed)
            elif column != "registry_id":
                yield table.fault(row, column, f"one study ({earlier['study_id']} has it too)")


def unit_limits(outcome: str, unit: str, scale: str) -> tuple[float, float] | None:
    """Lowest and highest possible number of an outcome in a unit; None if it cannot have it."""
    if scale == "percent_change":
        # Only an insulin dose can fall by the whole of itself.
        low = -100.0 if outcome == "insulin_dose" else math.nextafter(-100.0, 0.0)
        return (low, 10_000.0) if unit == "%" else None
    if scale == "percent_of_baseline":
        return (0.0, 10_000.0) if unit == "% of baseline" else None
    if outcome in v.C_PEPTIDE_MEASURES:
        if unit in v.CONCENTRATION_LIMITS:
            low, high = v.CONCENTRATION_LIMITS[unit]
        elif outcome in ("c_peptide_auc", "c_peptide_unstated") and re.fullmatch(
            v.AUC_UNIT_PATTERN, unit
        ):
            low, high = 0.0, 1e7
        else:
            return None
    elif unit in v.LEVEL_LIMITS.get(outcome, {}):
        low, high = v.LEVEL_LIMITS[outcome][unit]
    else:
        return None
    if scale in ("change", "between_arm_difference"):
        return low - high, high - low
    return low, high


def _allowed_units(outcome: str, scale: str) -> str:
    if scale == "percent_change":
        return "%"
    if scale == "percent_of_baseline":
        return "% of baseline"
    if outcome in v.C_PEPTIDE_MEASURES:
        return ", ".join(v.CONCENTRATION_LIMITS) + ", or one of these *minutes for an area"
    return ", ".join(v.LEVEL_LIMITS.get(outcome, {}))


def _spread_rules(table: Table, row: Row) -> Iterator[Fault]:
    kind = row["spread_kind"]
    one, low, high = (not blank(row[c]) for c in ("spread", "spread_low", "spread_high"))
    if kind == "none":
        for column, given in (("spread", one), ("spread_low", low), ("spread_high", high)):
            if given:
                yield table.fault(row, column, "blank where spread_kind is none")
    elif kind in ("sd", "se"):
        if not one or low or high:
            yield table.fault(row, "spread_kind", f"{kind} needs `spread` alone")
    elif kind in ("iqr", "range", "ci95"):
        if one or not high or (not low and not blank(row["value"])):
            yield table.fault(row, "spread_kind", f"{kind} needs spread_low and spread_high alone")
    elif kind == "unstated" and one == (low and high):
        allowed = "unstated needs `spread`, or spread_low and spread_high, not both"
        yield table.fault(row, "spread_kind", allowed)
    if low and high and number_of(row, "spread_low") > number_of(row, "spread_high"):
        yield table.fault(row, "spread_low", f"not above spread_high ({row['spread_high']:g})")
    if not blank(row["value"]):
        if low and number_of(row, "value") < number_of(row, "spread_low"):
            yield table.fault(row, "value", f"not below spread_low ({row['spread_low']:g})")
        if high and number_of(row, "value") > number_of(row, "spread_high"):
            yield table.fault(row, "value", f"not above spread_high ({row['spread_high']:g})")
    elif not high:
        allowed = "a number; blank only with the bounds of a range or a detection limit"
        yield table.fault(row, "value", allowed)
    if (
        row["outcome"] == "hba1c"
        and row["unit"] == "%"
        and kind in ("sd", "unstated")
        and one
        and number_of(row, "spread") < v.SMALLEST_HBA1C_SD
    ):
        allowed = (
            f"an HbA1c SD of at least {v.SMALLEST_HBA1C_SD:g}; a smaller one is a standard error "
            "(spread_kind se)"
        )
        yield table.fault(row, "spread", allowed)


def _outcome_rules(table: Table) -> Iterator[Fault]:
    baselines = {
        (row["study_id"], row["arm"], row["outcome"])
        for row in table.rows
        if row["scale"] == "level" and row["months"] == 0
    }
    unread = {row["study_id"] for row in table.rows if row["line"] in table.unread}
    for row in table.rows:
        yield from _spread_rules(table, row)
        outcome, unit, scale = str(row["outcome"]), str(row["unit"]), str(row["scale"])
        if outcome in v.OUTCOMES and scale in v.SCALES and unit:
            limits = unit_limits(outcome, unit, scale)
            if limits is None:
                yield table.fault(
                    row,
                    "unit",
                    f"a unit of {outcome} as {scale}: " + _allowed_units(outcome, scale),
                )
            else:
                for column in ("value", "spread_low", "spread_high"):
                    if (
                        not blank(row[column])
                        and not limits[0] <= number_of(row, column) <= limits[1]
                    ):
                        allowed = f"{limits[0]:g} to {limits[1]:g} for {outcome} in {unit}"
                        yield table.fault(row, column, allowed)
        if blank(row["months"]) and "time_not_printed" not in words_of(row["caveats"]):
            yield table.fault(row, "months", "a number; blank only with caveat time_not_printed")
        level_before = scale == "level" and row["months"] == 0
        if level_before and not row["baseline_state"]:
            yield table.fault(row, "baseline_state", "given for a level at month 0")
        if row["baseline_state"] and not level_before:
            yield table.fault(row, "baseline_state", "blank but for a level at month 0")
        between = scale == "between_arm_difference"
        if between != str(row["arm"]).startswith("contrast"):
            yield table.fault(row, "arm", "contrast for, and only for, between_arm_difference")
        if not blank(row["n_control"]) and not between:
            yield table.fault(row, "n_control", "blank but for between_arm_difference")
        if row["p_relation"] and blank(row["p_value"]):
            yield table.fault(row, "p_value", "a number, because p_relation is given")
        if not blank(row["p_value"]) and not row["p_relation"]:
            yield table.fault(row, "p_relation", "<, = or >, because p_value is given")
        if scale == "level" and row["months"] != 0:
            paired = (row["study_id"], row["arm"], row["outcome"]) in baselines
            declared = row["contrast_basis"] == "follow_up_only"
            if paired and declared:
                yield table.fault(row, "contrast_basis", "blank, because the baseline is given")
            if not paired and not declared and row["study_id"] not in unread:
                allowed = (
                    "follow_up_only, because no baseline level of this arm and outcome is given"
                )
                yield table.fault(row, "contrast_basis", allowed)
        elif row["contrast_basis"]:
            yield table.fault(row, "contrast_basis", "blank but for a level after treatment")


def _direction_rules(table: Table) -> Iterator[Fault]:
    for row in table.rows:
        low, at, high = (number_of(row, c) for c in ("months_from", "months", "months_to"))
        if not blank(low) and not blank(high) and low > high:
            yield table.fault(row, "months_from", f"not after months_to ({high:g})")
        if not blank(at) and ((not blank(low) and at < low) or (not blank(high) and at > high)):
            yield table.fault(row, "months", "within months_from to months_to")
        balance = row["contrast"] == "baseline_balance"
        if balance and at != 0:
            yield table.fault(row, "months", "0 for a comparison before treatment")
        if at == 0 and not balance:
            yield table.fault(row, "contrast", "baseline_balance at month 0")
        if row["contrast"] == "control_vs_baseline" and not str(row["arm"]).startswith("control"):
            yield table.fault(row, "arm", "a control arm for control_vs_baseline")
        if str(row["contrast"]).startswith("treated") and str(row["arm"]).startswith("control"):
            yield table.fault(row, "arm", "a treated arm for this contrast")
        if bool(row["p_relation"]) == blank(row["p_value"]):
            yield table.fault(row, "p_value", "p_relation and p_value are given together")
            continue
        relation, p, said = row["p_relation"], number_of(row, "p_value"), row["significant"]
        if said == "no" and ((relation == "=" and p < 0.05) or (relation == "<" and p <= 0.05)):
            yield table.fault(row, "significant", f"yes, because p {relation} {p:g} is printed")
        if said == "yes" and ((relation == "=" and p > 0.05) or (relation == ">" and p >= 0.05)):
            yield table.fault(row, "significant", f"no, because p {relation} {p:g} is printed")


def _not_above(table: Table, row: Row, column: str, limit: str) -> Iterator[Fault]:
    if number_of(row, column) > number_of(row, limit):  # False when either is NaN
        yield table.fault(row, column, f"not above {limit} ({row[limit]:g})")


def _responder_rules(table: Table) -> Iterator[Fault]:
    for row in table.rows:
        yield from _not_above(table, row, "n_responders", "n_total")
        if blank(row["n_responders"]) and blank(row["percent"]):
            yield table.fault(row, "n_responders", "a count, or else a percent")
        if not blank(row["n_responders"]) and blank(row["n_total"]):
            yield table.fault(row, "n_total", "a number, because n_responders is given")


_FACT_NEEDS = {
    "ever": ("n_total", "k", "bound"),
    "at_time": ("n_total", "k", "bound", "months"),
    "lasted": ("n_total", "k", "bound", "months"),
    "duration_summary": ("k", "duration_statistic"),
    "patient": ("value", "status", "sampling"),
}


def _independence_rules(table: Table) -> Iterator[Fault]:
    for row in table.rows:
        yield from _not_above(table, row, "k", "n_total")
        yield from _not_above(table, row, "low", "high")
        yield from _not_above(table, row, "low", "value")
        yield from _not_above(table, row, "value", "high")
        for column in _FACT_NEEDS.get(str(row["fact"]), ()):
            if blank(row[column]):
                yield table.fault(row, column, f"given for the fact {row['fact']}")
        if row["fact"] == "duration_summary" and row["duration_statistic"]:
            if row["duration_statistic"] == "range":
                if blank(row["low"]) or blank(row["high"]):
                    yield table.fault(row, "low", "low and high, given for a range")
            elif blank(row["value"]):
                yield table.fault(row, "value", f"given for a {row['duration_statistic']}")
        if row["fact"] != "patient":
            for column in ("status", "sampling"):
                if row[column]:
                    yield table.fault(row, column, "blank but for the fact patient")
        if row["fact"] != "duration_summary" and row["duration_statistic"]:
            yield table.fault(row, "duration_statistic", "blank but for a duration_summary")


def _safety_rules(table: Table) -> Iterator[Fault]:
    for row in table.rows:
        yield from _not_above(table, row, "n_patients", "n_at_risk")
        yield from _not_above(table, row, "n_patients", "n_events")
        if number_of(row, "n_patients") == 0 and number_of(row, "n_events") > 0:
            yield table.fault(row, "n_events", "0 where no patient had the event")
        if row["bound"] == "at_least" and row["n_patients"] == 0:
            yield table.fault(row, "n_patients", "at least 1 for a lower bound (at_least)")
        if row["event_category"] == "malignancy_or_tumour" and row["n_patients"] == 0:
            detail = str(row["event_detail"])
            if _OF_THE_GRAFT.search(detail) and not _OF_THE_PATIENT.search(detail):
                allowed = (
                    "graft_growth, because a 0 that is said of the graft is none of the patient's "
                    f"cancers ({detail})"
                )
                yield table.fault(row, "event_category", allowed)


_OF_THE_GRAFT = re.compile(
    r"\b(?:off-?target|teratoma|proliferation|graft|implant|donor cell|growth)", re.IGNORECASE
)
_OF_THE_PATIENT = re.compile(
    r"cancer|malignan|tumou?r|neoplas|carcino|lymphoma|leuk(?:ae|e)mia|sarcoma|melanoma",
    re.IGNORECASE,
)
"""What a statement that nothing was seen is about: the cells given, or the patient."""


def _published_rules(table: Table) -> Iterator[Fault]:
    """The printed limits may have lost a sign, so only the signed ones must be in order."""
    for row in table.rows:
        yield from _not_above(table, row, "ci_low_signed", "ci_high_signed")
        yield from _not_above(table, row, "ci_low_signed", "estimate_signed")
        yield from _not_above(table, row, "estimate_signed", "ci_high_signed")


def _risk_rules(table: Table) -> Iterator[Fault]:
    """Each judgement complete, in the words of its tool; agreed judgements stand."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in table.rows:
        groups[str(row["cohort"]), str(row["outcome_family"])].append(row)
    for (cohort, family), rows in groups.items():
        tool = str(rows[0]["tool"])
        for row in rows[1:]:
            for column in ("tool", "study_id"):
                if row[column] != rows[0][column]:
                    allowed = f"{rows[0][column]}, as in the other domains of {cohort}, {family}"
                    yield table.fault(row, column, allowed)
        domains = {row["domain"] for row in rows}
        missing = [d for d in v.RISK_DOMAINS.get(tool, {}) if d not in domains]
        if missing:
            allowed = f"one row for each domain of {tool}; {', '.join(missing)} of {family} missing"
            yield table.fault(rows[0], "domain", allowed)
    for row in table.rows:
        tool = str(row["tool"])
        if tool not in v.RISK_TOOLS:
            continue
        if row["domain"] not in v.RISK_DOMAINS[tool]:
            allowed = f"a domain of {tool}: " + ", ".join(v.RISK_DOMAINS[tool])
            yield table.fault(row, "domain", allowed)
        for column in ("assessor_a", "assessor_b", "settled"):
            if row[column] and row[column] not in v.RISK_JUDGEMENTS[tool]:
                allowed = f"a judgement of {tool}: " + ", ".join(v.RISK_JUDGEMENTS[tool])
                yield table.fault(row, column, allowed)
        if row["assessor_a"] == row["assessor_b"] != row["settled"]:
            allowed = f"{row['assessor_a']}, because both assessors agree"
            yield table.fault(row, "settled", allowed)


def _conduct_rules(table: Table) -> Iterator[Fault]:
    for row in table.rows:
        none = row["registered"] == "none_found"
        if none == bool(row["registry_id"]):
            allowed = "blank where registered is none_found, else the number"
            yield table.fault(row, "registry_id", allowed)
        if bool(row["registry_id"]) != bool(row["registry_link"]):
            yield table.fault(row, "registry_link", "given where, and only where, registry_id is")
        if row["reported_primary_matches"] != "unclear" and not row["registered_primary"]:
            allowed = "the registered primary outcome, because a comparison is given"
            yield table.fault(row, "registered_primary", allowed)
        if "not_seen" in words_of(row["funder"]) and len(words_of(row["funder"])) > 1:
            yield table.fault(row, "funder", "not_seen alone, or the kinds that were seen")


def _later(first: str | float, second: str | float) -> bool:
    """Whether a date is later than another, as far as both are printed."""
    one, two = str(first), str(second)
    known = min(len(one), len(two))
    return known > 0 and one[:known] > two[:known]


def _trial_rules(table: Table) -> Iterator[Fault]:
    owner: dict[str, Row] = {}
    for row in table.rows:
        for number in words_of(row["registry_id"]):
            owner[number] = row
    for row in table.rows:
        if bool(row["onset_group"]) == (row["diabetes_type"] == "T2D"):
            yield table.fault(row, "onset_group", "given for type 1, blank for type 2")
        if bool(row["primary_completion"]) != bool(row["primary_completion_kind"]):
            allowed = "given where, and only where, primary_completion is"
            yield table.fault(row, "primary_completion_kind", allowed)
        for first, second in (
            ("start", "primary_completion"),
            ("start", "study_completion"),
            ("primary_completion", "study_completion"),
            ("status_seen_on", "read_on"),
        ):
            if _later(row[first], row[second]):
                yield table.fault(row, first, f"not after {second} ({row[second]})")
        if row["last_known_status"] and row["status"] != "unknown":
            yield table.fault(row, "last_known_status", "blank but for the status unknown")
        if row["results"] == "published" and not row["study_ids"]:
            yield table.fault(row, "study_ids", "the report, because results are published")
        for number in words_of(row["other_ids"]):
            other = owner.get(number)
            if other is not None and "duplicate" not in (row["scope"], other["scope"]):
                allowed = f"no number with a row of its own ({number}), unless one is a duplicate"
                yield table.fault(row, "other_ids", allowed)


def _search_rules(table: Table) -> Iterator[Fault]:
    for row in table.rows:
        for column in ("report", "match", "source_url"):
            if row["verdict"] != "none_found" and not row[column]:
                yield table.fault(row, column, "given where a report was found")
        if row["verdict"] == "none_found" and row["queries"] == 0 and not row["notes"]:
            yield table.fault(row, "queries", "at least one query, or the reason in notes")


def _change_rules(table: Table) -> Iterator[Fault]:
    for row in table.rows:
        if row["file"] not in TABLES:
            yield table.fault(row, "file", "one of " + ", ".join(KEYS))


_TABLE_RULES: dict[str, Sequence[Callable[[Table], Iterable[Fault]]]] = {
    "studies.csv": (_duplicate_rules, _study_rules, _cohort_rules),
    "outcomes.csv": (_duplicate_rules, _outcome_rules),
    "directions.csv": (_duplicate_rules, _direction_rules),
    "responders.csv": (_duplicate_rules, _responder_rules),
    "independence.csv": (_duplicate_rules, _independence_rules),
    "safety.csv": (_duplicate_rules, _safety_rules),
    "published_meta_analyses.csv": (_duplicate_rules, _published_rules),
    "risk_of_bias.csv": (_duplicate_rules, _risk_rules),
    "trial_conduct.csv": (_duplicate_rules, _conduct_rules),
    "registered_trials.csv": (_duplicate_rules, _trial_rules),
    "publication_search.csv": (_duplicate_rules, _search_rules),
    "CHANGES.csv": (_change_rules,),
}


def faults_of(tables: dict[str, Table]) -> Iterator[Fault]:
    """Every fault of the rows of the tables that could be read."""
    for name, rules in _TABLE_RULES.items():
        if tables[name].readable:
            for rule in rules:
                yield from rule(tables[name])
    if tables["studies.csv"].readable:
        yield from _links_to_studies(tables)
    if tables["registered_trials.csv"].readable:
        trials = {str(row["registry_id"]) for row in tables["registered_trials.csv"].rows}
        table = tables["publication_search.csv"]
        for row in table.rows if table.readable else ():
            if row["registry_id"] and row["registry_id"] not in trials:
                yield table.fault(row, "registry_id", "a registry_id of registered_trials.csv")


def _links_to_studies(tables: dict[str, Table]) -> Iterator[Fault]:
    """Every study that a table names is known; a judged report is of the judged cohort."""
    studies = {str(row["study_id"]): row for row in tables["studies.csv"].rows}
    for name in (*FACT_FILES, "risk_of_bias.csv", "trial_conduct.csv", "publication_search.csv"):
        if tables[name].readable:
            yield from _known_study_rules(tables[name], set(studies))
    table = tables["registered_trials.csv"]
    for row in table.rows if table.readable else ():
        for named in words_of(row["study_ids"]):
            if named not in studies:
                yield table.fault(row, "study_ids", f"study ids of studies.csv; {named} is none")
    table = tables["risk_of_bias.csv"]
    for row in table.rows if table.readable else ():
        study = studies.get(str(row["study_id"]))
        if study is not None and study["cohort"] != row["cohort"]:
            allowed = f"{study['cohort']}, the cohort of {row['study_id']}"
            yield table.fault(row, "cohort", allowed)
        if study is not None and study["design"] in v.DESIGNS and row["tool"] in v.RISK_TOOLS:
            tool = "rob2" if study["design"] == "rct" else "robins_i"
            if row["tool"] != tool:
                allowed = f"{tool}, because {row['study_id']} is {v.DESIGNS[study['design']]}"
                yield table.fault(row, "tool", allowed)
