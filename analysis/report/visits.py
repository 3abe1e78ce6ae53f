"""When people were counted, in words: one label for one count, wherever it stands.

Cards, sentences, tables, figures and the plain page name the visit of a count through this room,
from the months of its rows, so that no two places give the same count another time.
"""

from __future__ import annotations

import pandas as pd

from analysis import outcomes

EVER, ANY = "at any time", "at any visit"
"""What is said of counts without a month, alone and beside counts with one."""
BEFORE = " where there was none"
"""What was so at entry; the visit of the count stands before it."""
THROUGHOUT = {"free_of_severe_hypoglycaemia": "over the follow-up"}
"""Outcomes that must hold at every visit, and what is said of them without a month."""


def months(facts: pd.DataFrame) -> str:
    """The months of counts: `12`, `6 to 14`; "" where no row has a month."""
    known = facts["month"].dropna()
    if known.empty:
        return ""
    low, high = f"{known.min():.0f}", f"{known.max():.0f}"
    return low if low == high else f"{low} to {high}"


def when(facts: pd.DataFrame) -> str:
    """When people were counted: `at 6 to 14 months`, `at any time`, `at 6 months or at any visit`.

    Parameters
    ----------
    facts : rows of `share_facts` (or of one shape with them); `month` is blank for any visit.
    """
    told = months(facts)
    timed = f"at {told} {'month' if told == '1' else 'months'}" if told else ""
    always = [THROUGHOUT[name] for name in facts["outcome"].unique() if name in THROUGHOUT]
    if not timed:
        return always[0] if always else EVER
    return f"{timed} or {(always or [ANY])[0]}" if facts["month"].isna().any() else timed


def named(text: str, outcome: str, facts: pd.DataFrame) -> str:
    """A name of a counted outcome with the visits of these counts: `free of insulin at 6 months`.

    `text` is its title, noun or finding (`analysis.outcomes`), whose own words for the visit give
    way; what is true of ever has no visit to be named.
    """
    bare = text.replace(f" {outcomes.NEAREST}", "")
    timed = facts[facts["month"].notna()]
    if outcome == "ever_insulin_free" or timed.empty:
        return bare if len(facts) else text
    head, comma, rest = bare.partition(BEFORE if BEFORE in bare else ", ")
    return f"{head} {when(facts)}{comma}{rest}"
