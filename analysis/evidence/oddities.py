"""What is odd in the tables but not impossible: it stops nothing, and somebody should look."""

import datetime as dt
import math
import re
from collections.abc import Iterator

from analysis import vocabulary as v
from analysis.evidence.faults import Fault
from analysis.evidence.loading import Evidence
from analysis.evidence.plausibility import implausible, spread_between_patients
from analysis.evidence.reading import Table
from analysis.evidence.schema import FACT_FILES, TABLES, blank, words_of
from analysis.evidence.twins import twins


def warnings(evidence: Evidence) -> list[Fault]:
    """Oddities of the published sources that stop nothing, each at its place in the tables."""
    found = [
        *_warn_studies(evidence),
        *_warn_changes(evidence),
        *_warn_values(evidence),
        *_warn_trials(evidence),
        *_warn_texts(evidence),
        *_warn_dates(evidence),
        *_warn_words(evidence),
        *_warn_sizes(evidence),
        *_warn_arms_together(evidence),
        *_warn_deaths(evidence),
        *_warn_baselines(evidence),
        *_warn_crossed(evidence),
        *_warn_times(evidence),
        *_warn_follow_up(evidence),
        *_warn_never_needed(evidence),
        *_warn_tables(evidence),
        *implausible(evidence.rows("outcomes.csv")),
        *twins(evidence),
    ]
    return sorted(dict.fromkeys(found), key=lambda f: (f.file, f.line, f.column))


def _warn_studies(evidence: Evidence) -> Iterator[Fault]:
    table = Table("studies.csv")
    for row in evidence.rows("studies.csv"):
        if row["include"] != "yes":
            continue
        if not any(row[c] for c in ("doi", "pmid", "pmcid", "registry_id")):
            yield table.fault(row, "source_url", "known by an address only, without an identifier")
        if not row["journal"]:
            yield table.fault(row, "journal", "journal not printed on the page that was read")
        group = "onset_group" if row["diabetes_type"] == "T1D" else "insulin_at_entry"
        for column in (group, "c_peptide_at_entry"):
            if not row[column]:
                yield table.fault(row, column, "eligible, but not given (not_stated is a word too)")


def _warn_dates(evidence: Evidence) -> Iterator[Fault]:
    """Years and days that do not go together, or have not come yet; retracted, yet eligible."""
    table, today = Table("studies.csv"), dt.date.today()
    for row in evidence.rows("studies.csv"):
        years = [float(year) for year in re.findall(r"(?:19|20)\d\d", row["enrolment_years"])]
        printed = [float(year) for year in re.findall(r" ((?:19|20)\d\d);", row["journal"])]
        if row["year"] > today.year:
            yield table.fault(row, "year", f"after this year ({today.year})")
        if years and min(years) > row["year"]:
            yield table.fault(row, "year", f"before the enrolment ({row['enrolment_years']})")
        if printed and min(abs(year - row["year"]) for year in printed) > 1:
            yield table.fault(row, "year", f"the journal is of {printed[0]:.0f} ({row['journal']})")
        if row["retraction_checked"] > today.isoformat():
            yield table.fault(row, "retraction_checked", f"after today ({today.isoformat()})")
        if row["retracted"] == "yes" and row["exclusion_reason"] == "retracted":
            yield table.fault(row, "retracted", "enters no model, whatever include says")


_MADE_A_DATE = re.compile(
    r"\d{1,2}-(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*(?:-\d{2,4})?"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*-\d{2}"
    r"|\d{1,2}/\d{1,2}/\d{2,4}|(?:19|20)\d\d-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?",
    re.IGNORECASE,
)


def _warn_texts(evidence: Evidence) -> Iterator[Fault]:
    """Texts that a program spoilt: a range made a date, letters read in another encoding."""
    for name in ("studies.csv", *FACT_FILES):
        columns = [column for column, spec in TABLES[name].items() if spec.kind == "text"]
        for row in evidence.rows(name):
            for column in columns:
                if _MADE_A_DATE.fullmatch(row[column]):
                    text = "did a spreadsheet make a date of it? 3-4 becomes 3-Apr"
                    yield Table(name).fault(row, column, text)
                elif not row[column].isascii() and (meant := _misread(row[column])):
                    text = f"letters of UTF-8 read in another encoding: is it {meant[:60]}?"
                    yield Table(name).fault(row, column, text)


def _misread(text: str) -> str:
    """The text that was UTF-8 and was read as Windows-1252; "" where it was not."""
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return ""


def _warn_words(evidence: Evidence) -> Iterator[Fault]:
    """Words that the design cannot give, or that say the reverse of one another."""
    table, studies = Table("directions.csv"), _studies(evidence)
    said: dict[tuple, dict] = {}
    named = ("study_id", "contrast", "arm", "subgroup", "outcome", "months", "months_from",
             "months_to")  # fmt: skip
    for row in evidence.rows("directions.csv"):
        study = studies[row["study_id"]]
        against = row["contrast"] in ("treated_vs_control", "control_vs_baseline")
        if against and study["design"] not in v.CONTROLLED_DESIGNS:
            text = f"the design is {study['design']} (studies.csv:{study['line']})"
            yield table.fault(row, "contrast", text)
        key = tuple(str(row[column]) for column in named)
        other = said.setdefault(key, row)
        if {row["direction"], other["direction"]} == {"increase", "decrease"}:
            text = f"directions.csv:{other['line']} says {other['direction']} of the same contrast"
            yield table.fault(row, "direction", text)


def _warn_changes(evidence: Evidence) -> Iterator[Fault]:
    """Printed changes that the printed levels do not give."""
    table, rows = Table("outcomes.csv"), evidence.rows("outcomes.csv")
    level = {
        (r["study_id"], r["arm"], r["outcome"], r["months"]): r["value"]
        for r in rows
        if r["scale"] == "level"
    }
    for row in rows:
        arm = (row["study_id"], row["arm"], row["outcome"])
        before, after = level.get((*arm, 0.0), math.nan), level.get((*arm, row["months"]), math.nan)
        if row["scale"] == "change" and abs(after - before - row["value"]) > 0.1:
            text = f"the printed levels give {after - before:.2f}"
            yield table.fault(row, "value", text)
        if row["scale"] == "percent_change" and before > 0:
            percent = 100 * (after / before - 1)
            if abs(percent - row["value"]) > 3:
                yield table.fault(row, "value", f"the printed levels give {percent:.1f} %")


def _warn_values(evidence: Evidence) -> Iterator[Fault]:
    table = Table("outcomes.csv")
    for row in evidence.rows("outcomes.csv"):
        if row["spread_low"] < row["value"] == row["spread_high"]:
            yield table.fault(row, "value", "at the upper end of its own bracket")
        if row["statistic"] == "median" and row["spread_kind"] in ("sd", "se"):
            yield table.fault(row, "spread_kind", "a median with a standard deviation or error")
        if row["statistic"] == "median" and row["spread_kind"] == "unstated" and row["spread"] > 0:
            yield table.fault(row, "spread_kind", "called a median, but printed with plus-minus")
        printed = [float(p) for p in re.findall(r"\d*\.?\d+(?:[eE]-?\d+)?", row["p_text"])]
        if printed and not blank(row["p_value"]) and row["p_value"] not in printed:
            yield table.fault(row, "p_value", f"p_text has {row['p_text']}")
    table = Table("directions.csv")
    for row in evidence.rows("directions.csv"):
        if "contradicts_levels" in words_of(row["caveats"]):
            yield table.fault(row, "caveats", "arithmetically impossible with the printed levels")
    table = Table("published_meta_analyses.csv")
    for row in evidence.rows("published_meta_analyses.csv"):
        if row["ci_low"] > row["estimate"] or row["estimate"] > row["ci_high"]:
            yield table.fault(row, "estimate", "outside its printed interval")


def _studies(evidence: Evidence) -> dict[str, dict]:
    return {row["study_id"]: row for row in evidence.rows("studies.csv")}


def _warn_sizes(evidence: Evidence) -> Iterator[Fault]:
    """Arms of designs that have none, controlled designs without a size, arms that look swapped."""
    table, studies = Table("studies.csv"), _studies(evidence)
    first_control = {
        row["study_id"]: row
        for row in reversed(evidence.rows("outcomes.csv"))
        if str(row["arm"]).startswith("control")
    }
    for row in studies.values():
        controlled, control = (
            row["design"] in v.CONTROLLED_DESIGNS,
            first_control.get(row["study_id"]),
        )
        if controlled and blank(row["n_control"]) and row["include"] == "yes":
            seen = (
                f"; outcomes.csv:{control['line']} has a control arm of {control['n']:g}"
                if control is not None
                else ""
            )
            yield table.fault(row, "n_control", f"blank, but the design is {row['design']}{seen}")
        if not controlled and row["n_control"] > 0:
            yield table.fault(row, "n_control", f"controls, but the design is {row['design']}")
        elif not controlled and control is not None:
            text = f"{row['design']}, but outcomes.csv:{control['line']} is of a control arm"
            yield table.fault(row, "design", text)
    table = Table("outcomes.csv")
    for row in evidence.rows("outcomes.csv"):
        study, kind = studies[row["study_id"]], str(row["arm"]).partition("_")[0]
        sizes = {"treated": study["n_treated"], "control": study["n_control"]}
        if sizes["treated"] == sizes["control"] or kind not in sizes:
            continue
        other = "control" if kind == "treated" else "treated"
        plain = row["arm"] == kind
        if plain and row["n"] == sizes[other] and not blank(sizes[kind]):
            text = (
                f"the size of the {other} arm (n_{other}, studies.csv:{study['line']}): "
                "arms swapped?"
            )
            yield table.fault(row, "n", text)


_SIZES = {"responders": "n_total", "independence": "n_total", "safety": "n_at_risk"}
"""Patients of the arm of a row, in the tables of counts."""


def _warn_arms_together(evidence: Evidence) -> Iterator[Fault]:
    """Arms with names of their own that together have more patients than the study."""
    studies = _studies(evidence)
    for name, column in _SIZES.items():
        arms: dict[tuple[str, str], dict[str, dict]] = {}
        for row in evidence.rows(f"{name}.csv"):
            kind, _, own = str(row["arm"]).partition("_")
            if kind in ("treated", "control") and own and not any(s in own for s in studies):
                members = arms.setdefault((row["study_id"], kind), {})
                if not row[column] <= members.get(row["arm"], row)[column]:
                    members[row["arm"]] = row
                members.setdefault(row["arm"], row)
        for (study, kind), members in arms.items():
            parts = [row for arm, row in members.items()
                     if not any(arm.startswith(f"{other}_") for other in members)]  # fmt: skip
            together, most = sum(row[column] for row in parts), studies[study][f"n_{kind}"]
            if together > most:
                said = " and ".join(row["arm"] for row in parts)
                text = (
                    f"{said} together have {together:g} patients, more than n_{kind} {most:g} "
                    f"(studies.csv:{studies[study]['line']}): is one patient in two arms?"
                )
                yield Table(f"{name}.csv").fault(parts[-1], column, text)


def _warn_deaths(evidence: Evidence) -> Iterator[Fault]:
    """Patients measured at a visit by which so many of their arm had died."""
    studies = _studies(evidence)
    died: dict[tuple[str, str], list[dict]] = {}
    for row in evidence.rows("safety.csv"):
        deaths = row["event_category"] == "death" and row["n_patients"] > 0
        if deaths and row["arm"] in ("treated", "control"):
            died.setdefault((row["study_id"], row["arm"]), []).append(row)
    for row in evidence.rows("outcomes.csv"):
        for death in died.get((row["study_id"], row["arm"]), ()):
            treated = studies[row["study_id"]][f"n_{row['arm']}"]
            left = treated - death["n_patients"]
            if death["followup_months"] <= row["months"] and row["n"] > left:
                text = (
                    f"{death['n_patients']:g} of {treated:g} had died by month "
                    f"{death['followup_months']:g} (safety.csv:{death['line']})"
                )
                yield Table("outcomes.csv").fault(row, "n", text)


_CROSSED = re.compile(r"cross|switched|delayed|former_?control")


def _warn_crossed(evidence: Evidence) -> Iterator[Fault]:
    """Treated arms that by their name are controls who were treated later."""
    controls: dict[tuple[str, str], dict] = {}
    for row in reversed(evidence.rows("outcomes.csv")):
        if row["arm"].startswith("control"):
            controls[row["study_id"], row["outcome"]] = row
    for row in evidence.rows("outcomes.csv"):
        control = controls.get((row["study_id"], row["outcome"]))
        treated = row["arm"].startswith("treated_") and not row["caveats"]
        if control is not None and treated and _CROSSED.search(row["arm"]):
            text = (
                f"controls who were treated later? They are in {control['arm']} already "
                f"(outcomes.csv:{control['line']}): nobody belongs to both sides of a contrast"
            )
            yield Table("outcomes.csv").fault(row, "arm", text)


BASELINES_APART = 5.0
"""Standard errors by which means before treatment hardly ever differ in a randomised trial."""


def _warn_baselines(evidence: Evidence) -> Iterator[Fault]:
    """Randomised arms that were far apart before treatment."""
    studies = _studies(evidence)
    before: dict[tuple, dict] = {}
    rows = [row for row in evidence.rows("outcomes.csv")
            if row["months"] == 0 and row["scale"] == "level"
            and studies[row["study_id"]]["design"] == "rct"]  # fmt: skip
    for row in rows:
        if row["arm"].startswith("control"):
            before.setdefault((row["study_id"], row["outcome"], row["unit"]), row)
    for row in rows:
        control = before.get((row["study_id"], row["outcome"], row["unit"]))
        if control is None or not row["arm"].startswith("treated"):
            continue
        errors = [spread_between_patients(r) / math.sqrt(r["n"]) for r in (row, control)]
        if abs(row["value"] - control["value"]) > BASELINES_APART * math.hypot(*errors):
            text = (
                f"{abs(row['value'] - control['value']) / math.hypot(*errors):.0f} standard errors "
                f"from that of {control['arm']}, {control['value']:g} "
                f"(outcomes.csv:{control['line']}), before treatment in a randomised trial"
            )
            yield Table("outcomes.csv").fault(row, "value", text)


def _warn_times(evidence: Evidence) -> Iterator[Fault]:
    """Times beyond the follow-up of the study: weeks or days typed as months?"""
    studies = _studies(evidence)
    columns = {
        "outcomes": ("months",),
        "directions": ("months", "months_from", "months_to"),
        "responders": ("months",),
        "independence": ("months", "value", "high"),
        "safety": ("followup_months",),
    }
    for name, times in columns.items():
        table = Table(f"{name}.csv")
        for row in evidence.rows(f"{name}.csv"):
            study = studies[row["study_id"]]
            followed, kind = study["followup_months"], study["followup_kind"]
            most = followed * _BEYOND.get(kind, 1.0) + 1.0
            if blank(followed):
                most = LONGEST_WITHOUT_FOLLOWUP
            for column in times:
                if row[column] > most:
                    fact = (
                        f"{v.FOLLOWUP_KINDS.get(kind, 'follow-up')} follow-up {followed:g} months"
                        if not blank(followed)
                        else "no follow-up given"
                    )
                    text = f"beyond the follow-up ({fact}, studies.csv:{study['line']})"
                    yield table.fault(row, column, text + _other_unit(row[column], followed))
                    break


_BEYOND = {"median": 3.0, "mean": 3.0, "minimum": 4.0}
"""Single patients are followed so many times longer than a median, a mean or the shortest."""

LONGEST_WITHOUT_FOLLOWUP = 150.0
"""Months; a time beyond it is odd where a study says nothing of its follow-up."""


def _other_unit(months: float, followed: float) -> str:
    for unit, a_month in (("weeks", v.WEEKS_PER_MONTH), ("days", v.DAYS_PER_MONTH)):
        if months / a_month <= followed * 1.1 < months and months / a_month >= followed * 0.5:
            return f": {unit} typed as months? {months:g} {unit} are {months / a_month:.2f} months"
    return ""


def _warn_follow_up(evidence: Evidence) -> Iterator[Fault]:
    """A follow-up of the study that is the last visit of its facts, in another unit."""
    table, last = Table("studies.csv"), dict[str, float]()
    for name in ("outcomes", "directions", "responders"):
        for row in evidence.rows(f"{name}.csv"):
            if not blank(row["months"]):
                last[row["study_id"]] = max(last.get(row["study_id"], 0.0), row["months"])
    for row in evidence.rows("studies.csv"):
        months, visit = row["followup_months"], last.get(row["study_id"], 0.0)
        for unit, a_month in (("weeks", v.WEEKS_PER_MONTH), ("days", v.DAYS_PER_MONTH)):
            if visit and abs(months / a_month - visit) < 0.03 * visit:
                text = (
                    f"{months:g} {unit} are {months / a_month:.2f} months, the last visit of its "
                    f"facts is at {visit:g}: {unit} typed as months?"
                )
                yield table.fault(row, "followup_months", text)
        if visit and visit == int(visit) and abs(months - 12 * visit) < 0.5:
            text = f"{visit:g} years; the last visit of its facts is at {visit:g}: years as months?"
            yield table.fault(row, "followup_months", text)


def _warn_never_needed(evidence: Evidence) -> Iterator[Fault]:
    """Freedom from insulin of a study whose patients needed none at entry."""
    studies, table = _studies(evidence), Table("independence.csv")
    for row in evidence.rows("independence.csv"):
        study = studies[row["study_id"]]
        if study["insulin_at_entry"] == "no":
            place = f"insulin_at_entry no (studies.csv:{study['line']})"
            yield table.fault(row, "fact", f"free of insulin, but {place}: of whom is it told?")


def _warn_tables(evidence: Evidence) -> Iterator[Fault]:
    """Tables without a row, or with other than the data dictionary says."""
    for name, said in evidence.rows_said.items():
        count = len(evidence.table(name))
        if said != count:
            yield Fault(name, 1, "(rows)", str(count), f"README.md says {said} rows")
    for name in FACT_FILES:
        if not len(evidence.table(name)) and not evidence.rows_said.get(name):
            yield Fault(name, 1, "(rows)", "0", "a table without facts: emptied?")


def _warn_trials(evidence: Evidence) -> Iterator[Fault]:
    """Registrations that lead nowhere, from either side."""
    table, trials = Table("studies.csv"), evidence.rows("registered_trials.csv")
    listed: dict[str, set[str]] = {}
    for row in trials:
        for number in (row["registry_id"], *words_of(row["other_ids"])):
            listed.setdefault(number, set()).update(words_of(row["study_ids"]))
    for row in evidence.rows("studies.csv"):
        number = row["registry_id"]
        if number and number not in listed:
            yield table.fault(row, "registry_id", "not among the trials of registered_trials.csv")
        elif number and row["study_id"] not in listed[number]:
            text = "registered_trials.csv does not name this report under the number"
            yield table.fault(row, "registry_id", text)
    numbers = dict(zip(evidence.studies["study_id"], evidence.studies["registry_id"], strict=True))
    table = Table("registered_trials.csv")
    for row in trials:
        own = {row["registry_id"], *words_of(row["other_ids"])}
        for study in words_of(row["study_ids"]):
            if numbers[study] and numbers[study] not in own:
                text = f"{study} names another registration ({numbers[study]})"
                yield table.fault(row, "study_ids", text)
