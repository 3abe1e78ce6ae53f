"""The bibliography as BibTeX: the studies, and the sources from other fields that claims cite."""

import math
import re

import pandas as pd

from analysis.escape import bibtex as tex
from analysis.escape import is_url
from analysis.evidence.elsewhere import OTHER_FIELDS
from analysis.records import records

_JOURNAL = re.compile(
    r"(?P<journal>.+?) (?P<year>\d{4});(?P<volume>\d+)(\((?P<number>[^)]*)\))?(:(?P<pages>.+))?"
)
_INITIALS = re.compile(r"[A-Z](-?[A-Z])*")


def _author(text: str) -> str:
    """`Family, I. and others` for a person, {Name} for a body, "" where no author is known."""
    name = re.sub(r"\s*\([^)]*\)", "", text).strip()
    if not name or name == "not shown":
        return ""
    parts = name.split()
    if len(parts) > 1 and _INITIALS.fullmatch(parts[-1]) and "/" not in name:
        initials = " ".join(f"{letter}." for letter in parts[-1].replace("-", ""))
        return f"{tex(' '.join(parts[:-1]))}, {initials} and others"
    if len(parts) == 1:
        return f"{tex(name)} and others"
    return "{" + tex(name) + "} and others" if "/" not in name else "{" + tex(name) + "}"


def bibliography(studies: pd.DataFrame) -> str:
    """The BibTeX file of all studies, one entry a row, in the order of the table, then of the
    sources from other fields (`elsewhere`).

    `studies` is the table of an `Evidence`. The key of an entry is its study_id. Only first
    authors are known to the table, so each entry says "and others".
    """
    entries = []
    for row in records(studies):
        article = row["publication_kind"] == "article"
        fields = {"author": _author(row["first_author"]), "title": "{" + tex(row["title"]) + "}"}
        printed = _JOURNAL.fullmatch(row["journal"]) if article else None
        if printed:
            fields |= {
                "journal": tex(printed["journal"]),
                "volume": printed["volume"],
                "number": tex(printed["number"] or ""),
                "pages": tex(printed["pages"] or "").replace("-", "--"),
            }
        else:
            fields["journal" if article else "howpublished"] = tex(row["journal"])
        fields |= {
            "year": "" if math.isnan(row["year"]) else f"{row['year']:.0f}",
            "doi": tex(row["doi"]),
            "pmid": row["pmid"],
            "url": row["source_url"] if is_url(row["source_url"]) else "",
        }
        entries.append(_entry("article" if article else "misc", row["study_id"], fields))
    for source in OTHER_FIELDS:
        title = source.title or f"({source.what}; title not noted)"
        fields = {"title": "{" + tex(title) + "}", "howpublished": tex(source.citation),
                  "doi": tex(source.doi), "url": source.url,
                  "note": tex(f"cited for {source.what}")}  # fmt: skip
        entries.append(_entry("misc", source.key, fields))
    return "\n\n".join(entries) + "\n"


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    """One entry, blank fields left out."""
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])
