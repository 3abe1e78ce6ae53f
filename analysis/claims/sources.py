"""Which claims rest on what other fields of medicine taught about known harms."""

from __future__ import annotations

from analysis.evidence.elsewhere import OTHER_FIELDS, Source

__all__ = ["OTHER_FIELDS", "SOURCES_OF", "UNCOUNTED", "Source"]

SOURCES_OF = {
    "immunosuppression_infection": ("barton2012", "citr2009"),
    "conditioning_harms": ("leger2004", "geabanacloche", "bmt2022"),
}
"""The sources from other fields that a claim of known harm rests on, by claim."""

UNCOUNTED = {("immune_reset", "neutropenia"): "geabanacloche"}
"""Harms of an approach that are known from other fields where nobody here counts them."""
