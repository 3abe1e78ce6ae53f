"""One row of outcomes.csv: its mean and SD in our unit, its p-values, or why it gives nothing.

A spread of zero, or a collapsed range, is a spread that is not known; one that cannot be known is
NaN, and the estimate is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from analysis import units, vocabulary
from analysis.effects import conversions as conv
from analysis.effects.rules import Rules

Row = dict

NAN = math.nan

ASYMMETRIC = 0.1
"""A point lies off the middle of its interval when it misses it by this share of the half-width."""


class Unusable(ValueError):
    """A row that gives no effect; the message is the reason in the exclusions table."""


@dataclass(frozen=True)
class Summary:
    """A printed row, or several arms as one: mean and SD (NaN if unknown) in our unit.

    `limit` is the detection limit, in our unit, under which all values lie; NaN for a number.
    `ranked` marks medians with quartiles or a range. `log_sd` is the SD of the logarithms where the
    point is the geometric middle of its interval, else NaN. `unit` names what a ratio may be taken
    with: levels whose unit supports ratios only can be compared in one unit alone.
    """

    lines: tuple[int, ...]
    n: float
    mean: float
    sd: float
    absolute: bool
    unit: str
    flags: tuple[str, ...] = ()
    limit: float = NAN
    ranked: bool = False
    log_sd: float = NAN


@dataclass(frozen=True)
class PValue:
    """A printed p-value: its relation ("=", "<", ">"; "" for none), size, and the rows it is in."""

    relation: str = ""
    size: float = NAN
    lines: tuple[int, ...] = ()

    @property
    def exact(self) -> float:
        """The p-value where it is printed exactly, else NaN."""
        return self.size if self.relation == "=" and 0 < self.size < 1 else NAN

    def usable(self, rules: Rules) -> float:
        """The exact p-value that may give a standard error, else NaN."""
        return self.exact if rules.p_values and self.size <= rules.largest_p else NAN


NO_P = PValue()


@dataclass(frozen=True)
class Printed:
    """What stands at one visit on one scale: the summary, and the p-values of its rows."""

    summary: Summary
    p_within: PValue = NO_P
    p_between: tuple[PValue, ...] = ()
    at_diagnosis: bool = False


def _positive(sd: float, flags: tuple[str, ...], way: str = "") -> tuple[float, tuple[str, ...]]:
    """The SD and flags, with the way it was had; a spread of zero is a spread that is not known."""
    if not sd > 0:
        return NAN, (*flags, "no_sd:zero_spread")
    return sd, (*flags, way) if way else flags


def _sd(row: Row, rules: Rules, n: float) -> tuple[float, tuple[str, ...], bool]:
    """SD in the printed unit, flags, and whether the row is a rank summary."""
    kind, spread = row["spread_kind"], row["spread"]
    low, high = row["spread_low"], row["spread_high"]
    flags: tuple[str, ...] = ()
    if kind == "none":
        return NAN, flags, False
    if not math.isnan(spread):
        if kind == "unstated":
            kind = rules.unstated_spread
            small = row["outcome"] == "hba1c" and row["unit"] == "%" and row["scale"] == "level"
            if small and 0 < spread < vocabulary.SMALLEST_HBA1C_SD:
                kind = "se"
            flags = (f"unstated_as_{kind}",)
        return (*_positive(conv.sd_from_se(spread, n) if kind == "se" else spread, flags), False)
    if math.isnan(low) or math.isnan(high):
        return NAN, flags, False
    if kind == "unstated":
        kind = rules.unstated_pair
        flags = (f"unstated_as_{kind}",)
    if kind == "ci95":
        return (*_positive(conv.sd_from_ci(low, high, n), flags, "ci_sd"), False)
    if n < 3:
        return NAN, flags, True
    found = conv.sd_from_iqr(low, high, n) if kind == "iqr" else conv.sd_from_range(low, high, n)
    return (*_positive(found, flags, "wan_sd"), True)


def off_middle(low: float, value: float, high: float) -> bool:
    """Whether a point misses the middle of its interval by more than a tenth of the half-width.

    Parameters
    ----------
    low, value, high : of one printed interval, low below high.
    """
    half = (high - low) / 2
    return half > 0 and abs(value - (low + high) / 2) > ASYMMETRIC * half


def is_geometric(low: float, value: float, high: float) -> bool:
    """Whether a point is the geometric, and not the arithmetic, middle of its interval.

    Parameters
    ----------
    low, value, high : of one printed interval, low below high.
    """
    if not 0 < low < high or not value > 0:
        return False
    return off_middle(low, value, high) and not off_middle(*map(math.log, (low, value, high)))


def _log_sd(row: Row, scale: units.Scale, n: float) -> float:
    """SD of the logarithms from an interval whose geometric middle is the point; else NaN."""
    low, high = row["spread_low"], row["spread_high"]
    if row["spread_kind"] != "ci95" or math.isnan(low) or math.isnan(high) or n < 2:
        return NAN
    low, value, high = (scale.level(x) for x in (low, row["value"], high))
    if not is_geometric(low, value, high):
        return NAN
    return conv.sd_from_ci(math.log(low), math.log(high), n)


def _scale_of(row: Row) -> units.Scale:
    if row["scale"] in ("percent_change", "percent_of_baseline"):
        return units.Scale(0.01, 1.0 if row["scale"] == "percent_change" else 0.0, absolute=False)
    if row["outcome"] == "severe_hypoglycaemia" and row["unit"] == "events":
        raise Unusable("a number of events without the time they were counted in gives no rate")
    try:
        return units.scale(row["outcome"], row["unit"])
    except units.UnitError as error:
        raise Unusable(str(error)) from error


def summarise(row: Row, rules: Rules) -> Summary:
    """A row of outcomes.csv as mean and SD in our unit.

    Percent changes and percents of baseline are given as a ratio to baseline (1 = unchanged).

    Parameters
    ----------
    row : of outcomes.csv.
    rules : how printed facts are read.

    Raises
    ------
    Unusable : neither a value nor a detection limit, or a unit the outcome cannot be had from.
    """
    scale = _scale_of(row)
    n, lines = row["n"], (int(row["line"]),)
    value = row["value"]
    unit = "" if scale.absolute else row["unit"]
    if math.isnan(value):
        limit = row["spread_high"]
        if row["scale"] == "level" and math.isnan(row["spread_low"]) and not math.isnan(limit):
            return Summary(lines, n, NAN, NAN, scale.absolute, unit, limit=scale.level(limit))
        raise Unusable("only a range is printed, no mean or median")
    try:
        sd, flags, ranked = _sd(row, rules, n)
    except ValueError as error:
        sd, flags, ranked = NAN, (f"no_sd:{str(error).replace(' ', '_')}",), False
    is_median = row["statistic"] == "median" or (ranked and row["statistic"] == "unstated")
    if is_median and ranked and rules.medians and not math.isnan(sd):
        quartiles = row["spread_kind"] == "iqr" or "unstated_as_iqr" in flags
        rule = conv.mean_from_iqr if quartiles else conv.mean_from_range
        try:
            value = rule(row["spread_low"], value, row["spread_high"], n)
            flags = (*flags, "luo_mean")
        except ValueError:
            flags = (*flags, "median_as_mean")
    elif is_median:
        flags = (*flags, "median_as_mean")
    is_difference = row["scale"] in ("change", "between_arm_difference")
    mean = scale.difference(value) if is_difference else scale.level(value)
    log_sd = NAN if is_difference else _log_sd(row, scale, n)
    return Summary(lines, n, mean, scale.difference(sd), scale.absolute, unit, flags,
                   ranked=ranked, log_sd=log_sd)  # fmt: skip


def printed(row: Row, rules: Rules) -> Printed:
    """A row with its p-values. Raises Unusable.

    Parameters
    ----------
    row : of outcomes.csv.
    rules : how printed facts are read.
    """
    relation, p = row["p_relation"], row["p_value"]
    has_p = bool(relation) and not math.isnan(p)
    found = PValue(relation, p, (int(row["line"]),)) if has_p else NO_P
    within = found if row["p_contrast"] == "within" else NO_P
    between = (found,) if has_p and row["p_contrast"] == "between" else ()
    diagnosis = row["months"] == 0 and str(row["baseline_state"]).startswith("at_diagnosis")
    return Printed(summarise(row, rules), within, between, diagnosis)
