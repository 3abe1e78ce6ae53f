"""Numbers that can be but hardly are: sizes against units, spreads, intervals, p-values.

The ranges are those of groups of people with diabetes: outside them a slip (a standard error typed
as a deviation or the reverse, another unit, a factor of ten, a level called a change) is likelier
than the number. Each oddity names the number and what it is held against.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist, median

from analysis import units
from analysis import vocabulary as v
from analysis.central import HIGH
from analysis.evidence.faults import Fault
from analysis.evidence.reading import Table
from analysis.evidence.schema import Row, blank, number_of, word_of

_TABLE = Table("outcomes.csv")

SPREAD_OF_PATIENTS = {
    "c_peptide": (0.12, 1.3),
    "insulin_dose": (0.15, 1.2),
    "fasting_glucose": (0.06, 0.7),
    "hba1c": (0.35, 3.0),
    "time_in_range": (3.0, 40.0),
    "percent": (3.0, 150.0),
}
"""Usual standard deviations between patients: of HbA1c in NGSP points, of time in range and of
percentages in percent, of all others as a share of the mean (coefficient of variation)."""

FAR = 4.0
"""So many times larger or smaller than the median of the other studies is far from them."""

_PAIRS: dict[str, Callable[[float], float]] = {
    "iqr": lambda n: (0.75 * n - 0.125) / (n + 0.25),
    "range": lambda n: (n - 0.375) / (n + 0.25),
}
"""Where the upper of two numbers stands among n ordered ones."""
SKEWED = 1.5
"""So many times the usual a deviation from quartiles or a range may be: few numbers are normal."""
FEWEST_IN_A_PAIR = 5
"""Patients; quartiles and ranges of fewer say nothing of the spread."""

_SCORE = NormalDist().inv_cdf(HIGH)

ENOUGH_OTHERS = 5
"""Fewest other studies with a spread before one is held against them."""

USUAL_LEVEL = {
    "hba1c": {"%": (4.5, 14.5), "mmol/mol": (26.0, 135.0)},
    "fasting_glucose": {"mg/dL": (55.0, 400.0), "mmol/L": (3.0, 22.0)},
    "insulin_dose": {"IU/kg/day": (0.02, 2.0), "IU/day": (2.0, 200.0)},
    "time_in_range": {"%": (2.0, 100.0)},
}
"""Usual levels of a group; 0 is looked at by nobody."""

USUAL_C_PEPTIDE = {"c_peptide_fasting": (0.002, 3.0)}
"""Usual C-peptide in nmol/L; other measures up to 6."""

SMALLEST_IN_PMOL = 0.02
"""nmol/L; a smaller group mean in pmol/L is likelier one in nmol/L or ng/mL."""

USUAL_CHANGE = {"hba1c": {"%": (0.0, 5.0), "mmol/mol": (0.0, 55.0)}}


def implausible(rows: Sequence[Row]) -> Iterator[Fault]:
    """Oddities of the numbers of outcomes.csv.

    Parameters
    ----------
    rows : those of the table of an `Evidence`.
    """
    for row in rows:
        yield from _size(row)
        yield from _asymmetric(row)
        yield from _collapsed(row)
    yield from _spreads(rows)
    yield from _jumps(rows)
    yield from _level_called_change(rows)
    yield from _p_against_numbers(rows)
    yield from _p_against_interval(rows)
    yield from _copied_down(rows)


def _fault(row: Row, column: str, text: str) -> Fault:
    return _TABLE.fault(row, column, text)


def _at(row: Row, column: str = "value") -> str:
    return f"{row[column]:g} ({_TABLE.name}:{row['line']})"


# --- sizes ---------------------------------------------------------------------------------------


def _size(row: Row) -> Iterator[Fault]:
    """Levels, changes and percentages that are unusual in their unit."""
    outcome, unit = word_of(row, "outcome"), word_of(row, "unit")
    scale, value = row["scale"], number_of(row, "value")
    if blank(value) or value == 0:
        return
    if scale in ("percent_change", "percent_of_baseline"):
        small = 1.0 if scale == "percent_change" else 2.0
        if abs(value) < small and abs(value) != 1:
            yield _fault(row, "value", f"{scale} in %: is {value:g} a share of 1?")
        return
    if scale != "level":
        low, high = USUAL_CHANGE.get(outcome, {}).get(unit, (0.0, math.inf))
        if abs(value) > high:
            text = f"unusual as {scale} of {outcome} in {unit} (beyond {high:g}): another unit?"
            yield _fault(row, "value", text)
        return
    if outcome in v.C_PEPTIDE_MEASURES:
        line = units.c_peptide_scale(unit)
        if not line.absolute:
            return
        low, high = USUAL_C_PEPTIDE.get(outcome, (0.002, 6.0))
        if unit.startswith("pmol/L"):  # who measures less than that writes it in ng/mL
            low = SMALLEST_IN_PMOL
        size, shown = line.level(value), "nmol/L"
    else:
        low, high = USUAL_LEVEL.get(outcome, {}).get(unit, (-math.inf, math.inf))
        size, shown = value, unit
    if not low <= size <= high:
        text = f"{size:.3g} {shown} is unusual for {outcome} ({low:g} to {high:g}): another unit?"
        yield _fault(row, "value", text)


def _jumps(rows: Sequence[Row]) -> Iterator[Fault]:
    """Levels of one arm that differ many times over between two times."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if row["scale"] == "level" and number_of(row, "value") > 0 and number_of(row, "n") != 1:
            key = tuple(word_of(row, c) for c in ("study_id", "arm", "outcome", "unit"))
            groups[key].append(row)
    for (_, _, outcome, _), members in groups.items():
        most = {"hba1c": 2.4, "fasting_glucose": 3.5, "insulin_dose": 12.0}.get(outcome, 15.0)
        first = min(members, key=lambda row: (blank(row["months"]), number_of(row, "months")))
        for row in members:
            ratio = number_of(row, "value") / number_of(first, "value")
            if (ratio > most or ratio < 1 / most) and not _near_zero(row, first):
                text = (
                    f"{ratio:.3g} times {_at(first)} of month {first['months']:g}: ten times off?"
                )
                yield _fault(row, "value", text)


def _near_zero(*rows: Row) -> bool:
    """C-peptide at the limit of detection: a ratio says nothing."""
    if rows[0]["outcome"] not in v.C_PEPTIDE_MEASURES:
        return False
    lines = [units.c_peptide_scale(word_of(row, "unit")) for row in rows]
    return any(
        line.absolute and line.level(number_of(row, "value")) < 0.03
        for line, row in zip(lines, rows, strict=True)
    )


def _level_called_change(rows: Sequence[Row]) -> Iterator[Fault]:
    """Changes as large as the levels of the same study: a level called a change?"""
    levels = defaultdict(list)
    for row in rows:
        if row["scale"] == "level" and number_of(row, "value") > 0:
            levels[(row["study_id"], row["outcome"], row["unit"])].append(row)
    for row in rows:
        near = [
            level
            for level in levels[(row["study_id"], row["outcome"], row["unit"])]
            if row["scale"] == "change"
            and 0.5 <= number_of(row, "value") / number_of(level, "value") <= 2.0
        ]
        if near:
            text = f"a change as large as the level {_at(near[0])}: a level called a change?"
            yield _fault(row, "scale", text)


# --- spreads -------------------------------------------------------------------------------------


def spread_between_patients(row: Row) -> float:
    """The standard deviation between patients that a row prints; NaN without.

    A standard error is multiplied by the root of n; an unstated spread is taken as a deviation.
    Quartiles and ranges are taken as those of a normal distribution (Wan et al. 2014, BMC Med Res
    Methodol 14:135, equations 9 and 16): enough to see one typed as the other.
    """
    if row["spread_kind"] in ("sd", "unstated"):
        return float(row["spread"])
    if row["spread_kind"] == "se":
        n = number_of(row, "n")
        if row["scale"] == "between_arm_difference" and number_of(row, "n_control") > 0:
            n = 1 / (1 / number_of(row, "n") + 1 / number_of(row, "n_control"))
        return number_of(row, "spread") * math.sqrt(n)
    n, width = number_of(row, "n"), number_of(row, "spread_high") - number_of(row, "spread_low")
    if row["spread_kind"] == "ci95":
        if row["scale"] == "between_arm_difference" and number_of(row, "n_control") > 0:
            n = 1 / (1 / n + 1 / number_of(row, "n_control"))
        return width / (2 * _SCORE) * math.sqrt(n)
    if row["spread_kind"] in _PAIRS and n >= FEWEST_IN_A_PAIR:
        return width / (2 * NormalDist().inv_cdf(_PAIRS[word_of(row, "spread_kind")](n)))
    return math.nan


def _measure_of(row: Row) -> tuple[str, float]:
    """Which of the usual spreads a row is held against, and its spread on that footing."""
    outcome, sd = word_of(row, "outcome"), spread_between_patients(row)
    if row["n"] == 1 or (blank(row["n"]) and row["spread_kind"] == "se"):
        return outcome, math.nan
    if row["scale"] in ("percent_change", "percent_of_baseline"):
        return "percent", sd
    if outcome in ("hba1c", "time_in_range"):
        slope = units.scale(outcome, word_of(row, "unit")).slope if outcome == "hba1c" else 1.0
        return outcome, sd * slope
    if row["scale"] != "level" or not number_of(row, "value") > 0:
        return outcome, math.nan
    family = "c_peptide" if outcome in v.C_PEPTIDE_MEASURES else outcome
    return family, sd / number_of(row, "value")


def _suspect(row: Row, too_small: bool) -> str:
    if row["spread_kind"] == "ci95":
        slip = "too small" if too_small else "a range or quartiles typed as an interval"
    elif row["spread_kind"] == "iqr":
        slip = "an interval typed as quartiles" if too_small else "a range typed as quartiles"
    elif row["spread_kind"] == "range":
        slip = "quartiles typed as a range" if too_small else "too large"
    elif too_small:
        slip = (
            "a standard error typed as a deviation" if row["spread_kind"] != "se" else "too small"
        )
    else:
        slip = (
            "a deviation typed as a standard error" if row["spread_kind"] == "se" else "too large"
        )
    return f"{slip}, another unit or ten times off?"


def _spreads(rows: Sequence[Row]) -> Iterator[Fault]:
    """Spreads outside the usual, far from those of other studies, or from the arm's own."""
    measured = [(row, *_measure_of(row)) for row in rows]
    measured = [m for m in measured if not math.isnan(m[2]) and m[2] > 0]
    by_family: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    by_outcome: dict[tuple, list[tuple[Row, float]]] = defaultdict(list)
    for row, family, spread in measured:
        by_family[family][word_of(row, "study_id")].append(spread)
        by_outcome[(row["study_id"], row["outcome"], family)].append((row, spread))
    middles = {
        family: {study: median(spreads) for study, spreads in studies.items()}
        for family, studies in by_family.items()
    }
    for row, family, spread in measured:
        footing = "" if family in ("hba1c", "time_in_range", "percent") else " of the mean"
        shown = f"{spread:.3g}{footing} between patients"
        others = [value for study, value in middles[family].items() if study != row["study_id"]]
        low, high = SPREAD_OF_PATIENTS.get(family, (0.0, math.inf))
        high *= SKEWED if blank(row["spread"]) else 1.0
        middle = median(others) if len(others) >= ENOUGH_OTHERS else math.nan
        own = _own_spread(row, spread, by_outcome[(row["study_id"], row["outcome"], family)])
        if not low <= spread <= high:
            text = f"{shown}, usual are {low:g} to {high:g}"
        elif spread > FAR * middle or spread < middle / FAR:
            text = f"{shown}, the median of {len(others)} other studies is {middle:.2g}"
        elif own is not None and not 1 / FAR <= spread / own[1] <= FAR:
            text = f"{shown}, that of {_at(own[0], 'spread')} is {own[1]:.2g}"
            middle = own[1]
        else:
            continue
        too_small = spread < (low if spread < low else middle)
        column = "spread_low" if blank(row["spread"]) else "spread"
        yield _fault(row, column, f"{text}: {_suspect(row, too_small)}")


def _own_spread(
    row: Row, here: float, alike: Sequence[tuple[Row, float]]
) -> tuple[Row, float] | None:
    """The spread of another time or arm of the same study that is nearest, for comparison."""
    others = [(other, spread) for other, spread in alike if other is not row]
    return min(others, key=lambda pair: abs(math.log(pair[1] / here)), default=None)


def _collapsed(row: Row) -> Iterator[Fault]:
    if number_of(row, "n") > 1 and number_of(row, "spread_low") == number_of(row, "spread_high"):
        yield _fault(row, "spread_low", f"both ends are {row['spread_high']:g}: no spread is known")


def _asymmetric(row: Row) -> Iterator[Fault]:
    """Confidence intervals whose number does not stand in their middle."""
    low, value, high = (number_of(row, c) for c in ("spread_low", "value", "spread_high"))
    if row["spread_kind"] != "ci95" or blank(value) or not low < high:
        return
    rounding = 2 * max(_last_place(number) for number in (low, value, high))
    lean, width = abs((high - value) - (value - low)), high - low
    if lean <= min(0.25 * width, max(0.1 * width, rounding)):
        return
    text = f"not in the middle of its interval {low:g} to {high:g} ({(low + high) / 2:g})"
    if low > 0 and abs(math.log(value / math.sqrt(low * high))) < 0.05:
        text += "; it is the geometric middle: an interval of logarithms"
    yield _fault(row, "value", text)


def _last_place(number: float) -> float:
    text = f"{number:.12g}"
    return 10.0 ** -len(text.partition(".")[2]) if "." in text else 1.0


# --- p-values ------------------------------------------------------------------------------------


def _p_against_numbers(rows: Sequence[Row]) -> Iterator[Fault]:
    """p-values that the number and its own spread, or both levels, cannot have given."""
    levels = {
        (row["study_id"], row["arm"], row["outcome"], row["unit"], row["months"]): row
        for row in rows
        if row["scale"] == "level"
    }
    for row in rows:
        if blank(row["p_value"]):
            continue
        printed = _z_of(number_of(row, "p_value"))
        wanted = "between" if row["scale"] == "between_arm_difference" else "within"
        if row["p_contrast"] not in (wanted, "") or (not row["p_contrast"] and wanted == "within"):
            continue
        z, why = _z_of_number(row), "the number and its spread give about"
        if math.isnan(z) and row["scale"] == "level":
            key = (row["study_id"], row["arm"], row["outcome"], row["unit"], 0.0)
            z, why = _smallest_z(row, levels.get(key)), "the levels and their spreads give at most"
            if math.isnan(z) or row["p_relation"] == "<" or printed > 0.8 * z - 0.3:
                continue
        elif math.isnan(z) or not _disagree(word_of(row, "p_relation"), printed, z):
            continue
        said = f"p {row['p_relation']} {row['p_value']:g}"
        yield _fault(row, "p_value", f"{said} is printed, {why} {math.erfc(z / math.sqrt(2)):.2g}")


def _p_against_interval(rows: Sequence[Row]) -> Iterator[Fault]:
    """p-values on the other side of 0.05 than the 95 % interval of the same number says.

    An end nearer to nothing than its last place may be 0 before it was rounded.
    """
    for row in rows:
        if row["spread_kind"] != "ci95" or row["scale"] == "level" or blank(row["p_value"]):
            continue
        low, high = number_of(row, "spread_low"), number_of(row, "spread_high")
        nothing = 100.0 if row["scale"] == "percent_of_baseline" else 0.0
        apart = min(abs(low - nothing), abs(high - nothing))
        if apart < max(_last_place(low), _last_place(high)):
            continue
        excludes = not low < nothing < high
        relation, p = row["p_relation"], number_of(row, "p_value")
        above = p > 0.05 if relation == "=" else relation == ">" and p >= 0.05
        below = relation in ("=", "<") and p <= 0.05 and (relation == "<" or p < 0.05)
        if (excludes and above) or (not excludes and below):
            verb = "excludes" if excludes else "includes"
            said = f"the interval {low:g} to {high:g} {verb} {nothing:g}"
            yield _fault(row, "p_value", f"p {relation} {p:g} is printed, but {said}")


def _copied_down(rows: Sequence[Row]) -> Iterator[Fault]:
    """One spread of three digits or more at three times or arms: filled down in a spreadsheet?"""
    found: dict[tuple, list[Row]] = defaultdict(list)
    for row in rows:
        if not blank(row["spread"]) and len(f"{row['spread']:g}".replace(".", "").strip("0")) > 2:
            found[(row["study_id"], row["outcome"], row["scale"], row["spread"])].append(row)
    for members in found.values():
        if len({row["value"] for row in members}) > 2:
            text = f"the spread of {len(members)} rows, as in {_at(members[0], 'spread')}: copied?"
            yield _fault(members[-1], "spread", text)


def _z_of(p: float) -> float:
    return -NormalDist().inv_cdf(max(p, 1e-300) / 2)


def _disagree(relation: str, printed: float, z: float) -> bool:
    slack = 0.5 + 0.25 * max(min(printed, z), 1.0)
    if relation == "=":
        return abs(printed - z) > slack
    return z < printed - slack if relation == "<" else z > printed + slack


def _z_of_number(row: Row) -> float:
    """|value| in its own standard errors, for a change or a difference; NaN where not known."""
    if row["scale"] == "level" or blank(row["value"]):
        return math.nan
    if row["spread_kind"] == "ci95":
        se = (number_of(row, "spread_high") - number_of(row, "spread_low")) / (2 * 1.96)
    elif row["spread_kind"] == "se":
        se = number_of(row, "spread")
    elif row["spread_kind"] == "sd" and row["scale"] in ("change", "percent_change"):
        se = number_of(row, "spread") / math.sqrt(number_of(row, "n"))
    else:
        return math.nan
    return abs(number_of(row, "value")) / se if se > 0 else math.nan


def _smallest_z(row: Row, before: Row | None) -> float:
    """The least |z| of a change between two levels, whatever their correlation; NaN if unknown."""
    if before is None or row is before:
        return math.nan
    spreads = [spread_between_patients(r) for r in (before, row)]
    widest = sum(spreads) / math.sqrt(min(number_of(before, "n"), number_of(row, "n")))
    change = abs(number_of(row, "value") - number_of(before, "value"))
    return change / widest if widest > 0 else math.nan
