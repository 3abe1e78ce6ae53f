"""The difference in words and numbers, for a terminal of 80 columns.

A number that is not zero is never printed as zero: what is too small to be printed is said to be.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from analysis import outcomes, questions, vocabulary
from analysis.difference.comparing import Difference

WIDTH = 80
TOLD = {
    questions.STUDY: "one study, shown as itself",
    questions.WORDS: "no mean: fewer than two results are numbers",
    questions.NONE: "no result",
}
DESIGNS = {
    "controlled": "against controls",
    "randomised": "randomised contrasts alone",
    "uncontrolled": "within the treated, no controls",
}

NOT_COMPUTED = (
    "not computed here: what stands beside the headlines (sensitivity analyses and the multiverse, "
    "publication bias, models as witnesses) and what trials to come are worth; `isletmeta run` "
    "brings them up to date"
)


def lines(found: Difference, base: str) -> list[str]:
    """What changed, as lines of at most 80 columns.

    Parameters
    ----------
    found : the difference.
    base : what was compared with, as the person called it.
    """
    told = [
        f"{row.table}: {row.added} added, {row.removed} removed, {row.changed} changed"
        for row in found.facts.itertuples()
        if row.added or row.removed or row.changed
    ]
    if not told:
        return [f"no row of evidence differs from {base}"]
    rows = found.headlines.to_dict("records")
    if not rows and found.counted.empty and found.durations.empty:
        told.append("no headline changes")
    for row in rows:
        mine = found.effects
        for part in ("outcome", "approach", "population", "design"):
            mine = mine[mine[part] == row[part]]
        told += ["", *_headline(row), *(line for e in mine.to_dict("records") for line in _new(e))]
    for row in found.counted.to_dict("records"):
        told += ["", *_counted(row)]
    for row in found.durations.to_dict("records"):
        told += ["", *_lasting(row)]
    if len(found.verdicts):
        told += ["", "Verdicts that change"]
        told += [line for row in found.verdicts.itertuples()
                 for line in _wrapped(f"  {row.claim}: {row.before} → {row.after}")]  # fmt: skip
    if found.remark:
        told += ["", *_wrapped(found.remark)]
    return [*told, "", *_wrapped(NOT_COMPUTED)]


def _counted(row: Mapping) -> list[str]:
    """A share or a rate before and after."""
    about = outcomes.get(row["outcome"])
    what = {
        "pooled_share": "all patients together",
        "pooled_rate": "all patients together",
        "share": "a typical study",
        "rate": "a typical study",
    }[row["quantity"]]
    kind = " related to the treatment" if row["variant"] == "related" else ""
    bounds = " (lower bounds included)" if row["variant"] == "with_bounds" else ""
    stratum = vocabulary.APPROACHES[row["approach"]]
    if row["population"] != "all":
        stratum += f", {vocabulary.POPULATIONS[row['population']]}"
    told = _wrapped(f"{about.title}{kind}: {stratum}, {what}{bounds}, {row['unit']}")
    for when in ("before", "after"):
        count = row[f"k_studies_{when}"]
        text = TOLD[questions.NONE]
        if count == count:
            text = (f"{figure(row[f'mean_{when}'])} ({figure(row[f'ci_low_{when}'])} to "
                    f"{figure(row[f'ci_high_{when}'])}); {count:.0f} "
                    f"{'study' if count == 1 else 'studies'}, "
                    f"{row[f'n_patients_{when}']:.0f} patients")  # fmt: skip
        told += _wrapped(f"  {when:<7}{text}", " " * 9)
    shift = (row["mean_after"] - row["mean_before"]) / row["sd_before"]
    if shift == shift:
        told.append(f"  moved by {small(abs(shift))} posterior SDs")
    return told


def _lasting(row: Mapping) -> list[str]:
    """How long freedom from insulin lasts, before and after."""
    stratum = (
        f"{vocabulary.APPROACHES[row['approach']]}, {vocabulary.POPULATIONS[row['population']]}"
    )
    if row["quantity"] == "survival":
        what, unit = f"Still insulin-free at {row['month']:g} months, of the ever free", "share"
    else:
        what, unit = "Half of the ever free on insulin again", "months"
    told = _wrapped(f"{what}: {stratum}, {unit}")
    for when in ("before", "after"):
        count = row[f"k_studies_{when}"]
        text = "no curve: fewer than two studies tell a duration"
        if count == count:
            middle, low, high = (row[f"{name}_{when}"] for name in ("median", "ci_low", "ci_high"))
            ends = f"{_time(low)} to {_time(high)}"
            text = (f"{_time(middle)} ({ends}); {count:.0f} "
                    f"{'study' if count == 1 else 'studies'}, "
                    f"{row[f'n_patients_{when}']:.0f} patients")  # fmt: skip
            last = row[f"last_month_{when}"]
            reach = row["month"] if row["quantity"] == "survival" else middle
            if not reach <= last:
                known = f"beyond {last:.0f} months" if last == last else "at any month"
                text += f"; an extrapolation: too few were followed {known}"
        told += _wrapped(f"  {when:<7}{text}", " " * 9)
    return told


def _time(value: float) -> str:
    """A share or months; a time that is not told lies beyond a century."""
    return figure(value) if value == value else "over a century"


def title(row: Mapping) -> str:
    """The name of a headline: outcome, unit, stratum and design."""
    about = outcomes.get(row["outcome"])
    name = about.title if row["unit"] in about.title else f"{about.title}, {row['unit']}"
    return (f"{name}: {vocabulary.APPROACHES[row['approach']]}, "
            f"{vocabulary.POPULATIONS[row['population']]}, {DESIGNS[row['design']]}")  # fmt: skip


def _headline(row: Mapping) -> list[str]:
    told = _wrapped(title(row))
    for when in ("before", "after"):
        told += _wrapped(f"  {when:<7}{state(row, when)}", " " * 9)
    if row["shift_in_sd"] == row["shift_in_sd"]:
        told += _wrapped(
            f"  moved by {small(abs(row['shift_in_sd']))} posterior SDs {_side(row)}; P(better) "
            f"{probability(row['p_good_before'])} → {probability(row['p_good_after'])}"
        )
    if row["why"] == "teachers":
        told += _wrapped("  no result of its own is new: another study taught the spread of those "
                         "printed without one")  # fmt: skip
    if row["certainty_before"] or row["certainty_after"]:
        told.append(f"  certainty: {row['certainty_before'] or 'none'} → "
                    f"{row['certainty_after'] or 'none'}")  # fmt: skip
    return told


def _side(row: Mapping) -> str:
    """Whether the mean moved to the good side or away from it."""
    good = outcomes.get(row["outcome"]).good
    if row["shift_in_sd"] == 0 or good == 0:
        return ""
    return "towards better" if row["shift_in_sd"] * good > 0 else "towards worse"


def state(row: Mapping, when: str) -> str:
    """What the report tells of a headline in one of the two states."""
    count = row[f"k_{when}"]
    if not count:
        return TOLD[questions.NONE]
    words = row[f"words_{when}"]
    behind = f"{count} {'study' if count == 1 else 'studies'}"
    behind += f" ({words} in words)" if words else ""
    behind += f", {row[f'n_{when}']:.0f} patients"
    if row[f"told_{when}"] == questions.MEAN:
        return (f"{figure(row[f'mean_{when}'])} ({figure(row[f'ci_low_{when}'])} to "
                f"{figure(row[f'ci_high_{when}'])}); {behind}")  # fmt: skip
    if row[f"told_{when}"] == questions.STUDY and row[f"mean_{when}"] == row[f"mean_{when}"]:
        spread = "no spread printed"
        if row[f"ci_low_{when}"] == row[f"ci_low_{when}"]:
            spread = f"{figure(row[f'ci_low_{when}'])} to {figure(row[f'ci_high_{when}'])}"
        own = f"{figure(row[f'mean_{when}'])} ({spread})"
        return f"{TOLD[questions.STUDY]}: {own}; {behind}"
    sides = ", ".join(
        f"{row[f'{name}_{when}']} {word}"
        for name, word in (("better", "better"), ("null", "no clear difference"),
                           ("worse", "worse"), ("untested", "untested"))
        if row[f"{name}_{when}"]
    )  # fmt: skip
    return f"{TOLD[row[f'told_{when}']]} ({sides}); {behind}"


def _new(row: Mapping) -> list[str]:
    """A new or changed result, in its headline."""
    about = outcomes.get(row["outcome"])
    if row["kind"] == "numeric":
        value = f"{figure(about.shown(row['y']))} {'ratio' if about.is_ratio else about.unit}"
        spread = "" if row["spread"] == "printed" else " as learnt"
        log = " of the log" if about.is_ratio else ""
        value += f" (SE{log} {figure(row['se'])}{spread})"
    else:
        value = "told in words or by its p-value"
    parts = [f"{row['status']} result {row['effect_id']}: {value}"]
    if row["weight"] == row["weight"]:
        parts.append(f"weight {small(100 * row['weight'], 1)} %")
    if row["influence_in_sd"] == row["influence_in_sd"]:
        parts.append(f"it moves the mean by {small(abs(row['influence_in_sd']))} SDs")
    parts.append(f"surprise p {probability(row['surprise_p'])} under {row['against']}")
    if row["replaces"]:
        parts.append(f"takes the place of {row['replaces']}")
    return _wrapped("  " + "; ".join(parts), "    ")


def _wrapped(text: str, indent: str = "    ") -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False,
                         break_on_hyphens=False, drop_whitespace=True)  # fmt: skip


def figure(value: float) -> str:
    """A number with two decimals, more where it would otherwise be printed as zero."""
    if value != value:
        return "?"
    for digits in range(2, 9):
        text = f"{value:.{digits}f}"
        if value == 0 or float(text) != 0:
            return text
    return f"{value:.1e}"


def small(value: float, digits: int = 2) -> str:
    """A size with some decimals; a smaller one is said to be smaller."""
    least = 10.0**-digits
    if value == 0:
        return "0"
    return f"{value:.{digits}f}" if value >= least / 2 else f"less than {least:.{digits}f}"


def probability(value: float) -> str:
    """A probability; never 0 or 1."""
    if value < 0.001:
        return "under 0.001"
    return "over 0.999" if value > 0.999 else f"{value:.3f}"
