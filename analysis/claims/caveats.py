"""What must be said beside a claim, with its numbers: worded here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis import vocabulary


def silence(k: float, n: float) -> tuple[str, ...]:
    """Who says nothing of a harm; nothing where all speak."""
    cohorts = f"{k:.0f} cohort{'' if k == 1 else 's'}"
    patients = f"{n:.0f} patient{'' if n == 1 else 's'}"
    say = "says" if k == 1 else "say"
    return (f"{cohorts} with {patients} {say} nothing of it",) if k > 0 else ()


def graft(events: float, n: float) -> str:
    """Growth of the cells given is no cancer of the patient."""
    return (
        "unwanted growth of the graft, which is no cancer of the patient, was seen in "
        f"{events:.0f} of {n:.0f}"
    )


def uncounted(event: str) -> str:
    """Nobody counts a harm (`vocabulary.EVENT_CATEGORIES`)."""
    return f"nobody counts {vocabulary.EVENT_CATEGORIES[event]}"


def controls(k: int, of: int) -> str:
    """How many of the studies that count treated patients count controls, too."""
    return f"controls are counted as well in {k} of {of} studies"


def printed(k: int, of: int) -> str:
    """How many cohorts tell what is asked of them."""
    return f"{k} of {of} cohorts print both their size and their follow-up"


def largest(trials: int, n: float) -> str:
    """The largest of the ongoing trials with a control group."""
    if not trials:
        return "no ongoing trial has a control group"
    return f"the largest of {trials} ongoing trials with a control group has {n:.0f} patients"


def registered(controlled: int, masked: int, day: str) -> str:
    """Of the trials under way, how many could decide anything; when the registry was read."""
    return (
        f"{controlled} of them have a control group, {masked} are masked; the registry was read on "
        f"{day}"
    )


def men(what: str) -> str:
    """A harm of men (`safety.event_detail`) is counted of men and women together."""
    return f"{what}: of all treated, how many are men, or were tested, is not told"


def in_words(study: Mapping[str, Any], row: Mapping[str, Any], *, ended: bool) -> str:
    """A result that a report gives in words alone (rows of `studies.csv` and `directions.csv`).

    `ended`: the registered trial of that report was ended before its time.
    """
    against = vocabulary.CONTRASTS.get(row["contrast"], row["contrast"])
    way = vocabulary.DIRECTIONS.get(row["direction"], row["direction"])
    gone = ", trial ended before its time" if ended else ""
    return (
        f"known in words: {study['first_author']} {study['year']:.0f}{gone}: {way} "
        f"({against}, {row['months']:g} months)"
    )
