"""What a person meant by a cell that may not stand so: how to write it, in a few words.

A hint never changes a table. A number that is only written in another way (`−1,0`, `7.5 %`) is also
understood, so that the rules on rows judge what was meant and one slip is one fault.
"""

import difflib
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping

from analysis.evidence.schema import Column, number

NOT_GIVEN = frozenset(
    ("nr", "n.r.", "na", "n.a.", "n/a", "#n/a", "nan", "nd", "n.d.", "none", "null", "nil", "?",
     ".", "-", "--", "*", "missing", "unknown", "not_reported", "not_given", "not_stated",
     "not_printed", "not_available", "not_applicable")
)  # fmt: skip
"""What people type into a cell for "not printed"; here such a cell is blank."""

SPREADSHEET_ERRORS = ("#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NUM!", "#NULL!", "#N/A")

_DASHES = "‐‑‒–—―−﹣－⁻"  # hyphens, dashes and minus signs of Unicode
_QUOTES = "'’‘`´"
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DATE = re.compile(
    rf"\d{{1,2}}[-/. ]{_MONTH}([-/. ]\d{{2,4}})?|{_MONTH}[-/. ]\d{{2,4}}"
    r"|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}( \d{1,2}:\d{2}(:\d{2})?)?",
    re.IGNORECASE,
)
_PLAIN = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"


def invisible(text: str) -> list[str]:
    """The characters of a text that nobody sees or that steer a terminal, by code point."""
    if text.isprintable():  # nearly every cell
        return []
    return [code_point(letter) for letter in dict.fromkeys(text) if not letter.isprintable()]


def code_point(character: str) -> str:
    """`U+200B ZERO WIDTH SPACE`."""
    names = {"\n": "LINE FEED", "\r": "CARRIAGE RETURN", "\t": "TAB"}
    name = names.get(character) or unicodedata.name(character, "")
    return f"U+{ord(character):04X} {name}".strip()


def cleaned(text: str) -> str:
    """A text without its invisible characters; one that has a width is a space."""
    if not text.isprintable():
        text = "".join(
            letter if letter.isprintable() else " " if letter.isspace() else "" for letter in text
        )
    return " ".join(text.split())


def _is_not_given(text: str) -> bool:
    plain = re.sub(rf"[{_DASHES}]", "-", text.lower())
    return re.sub(r"\s+", "_", plain.strip("() ")) in NOT_GIVEN


def number_meant(text: str) -> tuple[float, str]:
    """The number that was meant, NaN where that is not certain, and how to write the cell.

    Parameters
    ----------
    text : a cell of a column of numbers that is not a number as it stands.
    """
    plain = unicodedata.normalize("NFKC", text).strip(" " + _QUOTES + '"')
    plain = re.sub(rf"[{_DASHES}]", "-", plain)
    plain = re.sub(r"^([+-])\s+(?=[\d.])", r"\1", plain)
    plain = re.sub(r"(?<=\d)[·‧∙⋅](?=\d)", ".", plain)  # as some journals print a decimal
    if text.upper().startswith("#") and text.upper() in SPREADSHEET_ERRORS:
        return math.nan, "an error of the spreadsheet; enter what is printed"
    if _is_not_given(text):
        return math.nan, "leave the cell blank where nothing is printed"
    if not math.isnan(number(plain)):
        return number(plain), f"write {plain}"
    if (percent := plain.removesuffix("%").rstrip()) != plain:
        value, advice = (
            (number(percent), f"write {percent}")
            if not math.isnan(number(percent))
            else number_meant(percent)
        )
        return value, f"{advice}, without the percent sign" if advice else ""
    if re.fullmatch(r"[+-]?\d+,\d*", plain):
        dot, bare = plain.replace(",", "."), plain.replace(",", "")
        if re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", plain):
            return math.nan, f"write {dot} or {bare}"
        return number(dot), f"write {dot}"
    if re.fullmatch(r"[+-]?\d{1,3}((,\d{3})+|( \d{3})+|('\d{3})+)(\.\d+)?", plain):
        bare = re.sub(r"[, ']", "", plain)
        return number(bare), f"write {bare}"
    if re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+(,\d+)?", plain):
        bare = plain.replace(".", "").replace(",", ".")
        return number(bare), f"write {bare}"
    if _DATE.fullmatch(plain):
        return math.nan, "a spreadsheet made a date of it: enter what is printed, as text"
    if marked := re.fullmatch(rf"({_PLAIN})\s*[*†‡§¶#]+", plain):
        return number(marked[1]), f"the number alone: write {marked[1]}"
    if relation := re.fullmatch(rf"(?:p\s*)?([<>≤≥~≈=])\s*=?\s*({_PLAIN})", plain, re.IGNORECASE):
        return math.nan, f"the number alone: write {relation[2]}"
    if both := re.fullmatch(rf"({_PLAIN})\s*(±|\+/?-|\().*", plain):
        return math.nan, f"one number a cell: write {both[1]} here, its spread apart"
    if re.fullmatch(rf"{_PLAIN}\s*(-|to|\.\.+|~|/|;|,)\s*{_PLAIN}", plain):
        return math.nan, "one number a cell; the two ends of a range have columns of their own"
    if re.fullmatch(r"[+-]?[\dOolI.,]+", plain) and re.search(r"\d", plain):
        digits = plain.translate(str.maketrans("OolI,", "0011."))
        if not math.isnan(number(digits)):
            return math.nan, f"digits only: write {digits}"
    if re.fullmatch(r"0[xXbBoO][\da-fA-F]+", plain):
        return math.nan, "digits from 0 to 9 alone"
    if plain.startswith("="):
        return math.nan, "a formula: enter the number that it gives"
    if unit := re.fullmatch(rf"({_PLAIN})\s*[A-Za-z%µ°][\w/%.*µ² ]*", plain):
        return math.nan, f"the number alone: write {unit[1]}"
    return math.nan, ""


def word_meant(text: str, words: Iterable[str], labels: Mapping[str, str] | None = None) -> str:
    """The word of a closed list that was meant, "" where none is near."""
    known = list(words)
    plain = re.sub(r"[\s-]+", "_", cleaned(text).lower().strip(_QUOTES + '". '))
    for word in known:
        if plain == word.lower() or plain == re.sub(r"[\s-]+", "_", str((labels or {}).get(word))):
            return word
    return next(iter(difflib.get_close_matches(plain, known, n=1, cutoff=0.75)), "")


def _strange_letters(text: str) -> str:
    """The letters outside ASCII, by code point: a Cyrillic a looks like a Latin one."""
    strange = list(dict.fromkeys(c for c in text if ord(c) > 127 and not invisible(c)))
    return ", ".join(code_point(character) for character in strange[:3])


_MATCH_MENDS = (
    (r"(?i)\s*(?:https?://(?:dx\.)?doi\.org/|doi:?\s*)(.+?)[.,;:]*\s*", r"\1"),  # a DOI's address
    (r"(.+?)[.,;:]+", r"\1"),
    (r"(\d+)\.0+", r"\1"),  # an identifier that a spreadsheet took for a number
    (r"(?i)pmid:?\s*(\d+)", r"\1"),
    (r"(?i)(?:pmc\s*|pmcid:?\s*(?:pmc)?)?(\d+)", r"PMC\1"),
)


def match_meant(text: str, spec: Column) -> str:
    """What fits the pattern of a column and was probably meant, "" where nothing is near."""
    plain = cleaned(text)
    tries = [plain, plain.lower(), plain.upper(), re.sub(r"\W+", "_", plain.lower()).strip("_")]
    tries += [re.sub(r"\s+", "", plain), re.sub(rf"[{_DASHES}]", "-", plain)]
    for pattern, mended in _MATCH_MENDS:
        if found := re.fullmatch(pattern, plain):
            tries.append(found.expand(mended))
    if spec.examples:
        tries.append(word_meant(text, spec.examples))
    return next((t for t in tries if t and t != text and re.fullmatch(spec.pattern, t)), "")


def advice(text: str, spec: Column) -> tuple[str, str]:
    """What was meant by a cell that its column does not allow, and how it should be written.

    Parameters
    ----------
    text : the cell.
    spec : the column.

    Returns
    -------
    The cell as it was meant, "" where that is not certain; the hint, "" where there is none.
    """
    if spec.numeric:
        value, how = number_meant(text)
        meant = "" if math.isnan(value) else f"{value:.12g}"
        return ("", "") if meant and spec.fault(meant) is not None else (meant, how)
    if text and not spec.needed and _is_not_given(text):
        return "", "leave the cell blank where nothing is printed"
    if spec.kind == "word":
        near = word_meant(text, spec.words, spec.words)
    elif spec.kind == "words":
        parts = [word_meant(p, spec.words) for p in re.split(r"[,;|\s]+", cleaned(text)) if p]
        near = " ".join(dict.fromkeys(parts)) if all(parts) else ""
    else:
        near = match_meant(text, spec) if spec.pattern else ""
    if near:
        return near, f"write {near}"
    strange = _strange_letters(text)
    return "", f"it holds {strange}" if strange else ""
