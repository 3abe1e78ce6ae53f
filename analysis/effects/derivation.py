"""An effect in words: from its number back to the printed facts and where they can be read."""

from __future__ import annotations

import math

import pandas as pd

from analysis import outcomes
from analysis.effects.rules import Rules
from analysis.evidence import Evidence
from analysis.evidence.references import find


def explain(effects: pd.DataFrame, evidence: Evidence, effect_id: str) -> list[str]:
    """An effect in lines of text: the raw rows it came from, the steps, the result.

    Parameters
    ----------
    effects : an effects table.
    evidence : the evidence it was built from.
    effect_id : which effect.

    Raises
    ------
    KeyError : no such effect, or the evidence is not the one the effects were built from.
    """
    found = effects[effects["effect_id"].eq(effect_id)]
    if found.empty:
        raise KeyError(f"no such effect: {effect_id}")
    effect = found.iloc[0]
    lines = [f"{effect.effect_id}: {effect.label}, {effect.contrast.replace('_', ' ')}, "
             f"{effect.months:g} months"]  # fmt: skip
    lines.append("raw rows:")
    for reference in effect.source_rows.split(";"):
        table, row = reference.split(":")[0], find(evidence, reference)
        lines.append(f"  {table}.csv line {row['line']}: {_raw_words(table, row)}")
        lines.append(f"    {row['source_url']}")
    lines.append(f"formula: {effect.formula}")
    if effect.derived:
        lines.append(f"derived: {effect.derived}")
    lines.append(_result_words(effect))
    if effect.note:
        lines.append(f"note: {effect.note}")
    uses = [
        label
        for column, label in {
            "headline_controlled": "headline against controls",
            "headline_uncontrolled": "headline within the treated",
            "trajectory": "trajectory",
        }.items()
        if effect[column]
    ]
    if effect["known_null"]:
        uses.append("the fit with every known null")
    lines.append(f"used for: {', '.join(uses) or 'display only'}")
    return lines


def _raw_words(table: str, row: pd.Series) -> str:
    def number(value: float) -> str:
        return "" if math.isnan(value) else f"{value:g}"

    if table == "directions":
        words = [row["contrast"], row["arm"], row["outcome"], f"month {number(row['months'])}",
                 row["direction"], f"significant: {row['significant']}"]  # fmt: skip
        if row["p_relation"]:
            words.append(f"p {row['p_relation']} {number(row['p_value'])}")
        return ", ".join([*words, f'"{row["quoted_measure"]}"'])
    spread = number(row["spread"]) or " to ".join(
        part for part in (number(row["spread_low"]), number(row["spread_high"])) if part
    )
    text = (
        f"{row['arm']}, {row['outcome']}, month {number(row['months'])}, {row['scale']}: "
        f"{row['statistic']} {number(row['value']) or '(blank)'} {row['unit']}"
    )
    if spread:
        text += f" ({row['spread_kind']} {spread})"
    return text + f", n {number(row['n'])}" + (f", p {row['p_text']}" if row["p_text"] else "")


def _result_words(effect: pd.Series) -> str:
    if effect["kind"] == "two_points":
        return f"result: z is {effect['z_high']:.3g} or {effect['z_low']:.3g}, the sign not printed"
    if effect["kind"] != "numeric":
        return f"result: z between {effect['z_low']:.3g} and {effect['z_high']:.3g}"
    unit = outcomes.get(effect["outcome"]).unit
    variance_at_r = effect["var_a"] - Rules.r * effect["var_b"]
    spread = "no standard error known" if math.isnan(variance_at_r) else (
        f"standard error {math.sqrt(variance_at_r):.4g} at r = {Rules.r:g}"
    )  # fmt: skip
    return f"result: {effect['y']:.4g} {unit}, {spread}"
