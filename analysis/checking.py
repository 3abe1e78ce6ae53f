"""What `check` and `add` say of evidence without a fault: every oddity, of tables and of effects.

A study that may be pooled but reaches no estimate is odd too, and says why.
"""

from collections import Counter
from collections.abc import Iterator

from analysis import effects, evidence
from analysis.evidence import Evidence, Fault


def oddities(loaded: Evidence) -> list[Fault]:
    """Everything odd about valid evidence, by file, line and column; one a cell and reason.

    Parameters
    ----------
    loaded : the validated tables.
    """
    result = effects.build(loaded)
    found = [
        *evidence.warnings(loaded),
        *effects.oddities(loaded, result),
        *without_estimate(loaded, result),
    ]
    return sorted(dict.fromkeys(found), key=lambda f: (f.file, f.line, f.column))


def without_estimate(loaded: Evidence, result: effects.EffectsResult) -> Iterator[Fault]:
    """Eligible studies of which no row reaches an effect or a count, each with its reasons.

    Parameters
    ----------
    loaded : the validated tables.
    result : the effects built from them, with the rows that were left out.
    """
    reached = set(result.effects["study_id"])
    for table in (loaded.responders, loaded.independence, loaded.safety):
        reached |= set(table["study_id"])
    left_out = result.exclusions.groupby("study_id")["reason"]
    reasons = {study: Counter(list(found)) for study, found in left_out}
    for row in loaded.rows("studies.csv"):
        study = row["study_id"]
        if row["include"] != "yes" or study in reached:
            continue
        why = ", ".join(
            f"{reason} ({count} {'row' if count == 1 else 'rows'})"
            for reason, count in reasons.get(study, Counter()).most_common()
        )
        text = f"eligible, but reaches no estimate: {why or 'no row of it in any table of facts'}"
        yield Fault("studies.csv", int(row["line"]), "study_id", study, text)
