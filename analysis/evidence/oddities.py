"""What is odd in the tables but not impossible: it stops nothing, and somebody should look."""

import math
from collections.abc import Iterator

from analysis.evidence.faults import Fault
from analysis.evidence.loading import Evidence
from analysis.evidence.reading import Table
from analysis.evidence.schema import words_of
from analysis.evidence.usable import usable_for


def warnings(evidence: Evidence) -> list[Fault]:
    """Oddities of the published sources that stop nothing, each at its place in the tables."""
    found = [
        *_warn_studies(evidence),
        *_warn_changes(evidence),
        *_warn_values(evidence),
        *_warn_trials(evidence),
    ]
    return sorted(found, key=lambda f: (f.file, f.line))


def _warn_studies(evidence: Evidence) -> Iterator[Fault]:
    table = Table("studies.csv")
    usable = usable_for(evidence).set_index("study_id").any(axis=1)
    for row in evidence.studies.to_dict("records"):
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
        if not usable[row["study_id"]]:
            yield table.fault(row, "study_id", "eligible, but no row of it can enter a model")


def _warn_changes(evidence: Evidence) -> Iterator[Fault]:
    """Printed changes that the printed levels do not give."""
    table, rows = Table("outcomes.csv"), evidence.outcomes.to_dict("records")
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
    sizes = evidence.studies.set_index("study_id")["n_treated"]
    for row in evidence.outcomes.to_dict("records"):
        if row["spread_low"] < row["value"] == row["spread_high"]:
            yield table.fault(row, "value", "at the upper end of its own bracket")
        if str(row["arm"]).startswith("treated") and row["n"] > sizes[row["study_id"]]:
            text = f"more patients than the study treated ({sizes[row['study_id']]:g})"
            yield table.fault(row, "n", text)
        if row["statistic"] == "median" and row["spread_kind"] in ("sd", "se"):
            yield table.fault(row, "spread_kind", "a median with a standard deviation or error")
        if row["statistic"] == "median" and row["spread_kind"] == "unstated" and row["spread"] > 0:
            yield table.fault(row, "spread_kind", "called a median, but printed with plus-minus")
    table = Table("directions.csv")
    for row in evidence.directions.to_dict("records"):
        if "contradicts_levels" in words_of(row["caveats"]):
            yield table.fault(row, "caveats", "arithmetically impossible with the printed levels")
    table = Table("published_meta_analyses.csv")
    for row in evidence.published.to_dict("records"):
        if row["ci_low"] > row["estimate"] or row["estimate"] > row["ci_high"]:
            yield table.fault(row, "estimate", "outside its printed interval")


def _warn_trials(evidence: Evidence) -> Iterator[Fault]:
    """Registrations that lead nowhere, from either side."""
    table, trials = Table("studies.csv"), evidence.registered_trials.to_dict("records")
    listed: dict[str, set[str]] = {}
    for row in trials:
        for number in (row["registry_id"], *words_of(row["other_ids"])):
            listed.setdefault(number, set()).update(words_of(row["study_ids"]))
    for row in evidence.studies.to_dict("records"):
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
