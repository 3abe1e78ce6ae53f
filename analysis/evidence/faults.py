"""What is wrong with the tables: one `Fault` a thing, with its place and what is allowed there."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_VALUE = 120
"""So many characters of a cell are shown in a message."""


def visible(text: str) -> str:
    """A text on one line in which each character can be seen: others stand as `<U+200B>`.

    Runs of spaces, tabs and line ends are shown as one space.
    """
    return "".join(
        letter if letter.isprintable() else f"<U+{ord(letter):04X}>"
        for letter in re.sub(r"[ \t\r\n]+", " ", text)
    )


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong: where it stands, what stands there and what is allowed.

    `line` is the line of the csv file on which the row begins (the header is line 1).
    """

    file: str
    line: int
    column: str
    value: str
    allowed: str

    def __str__(self) -> str:
        value = visible(self.value)
        if value != value.strip():
            value = repr(value)
        value = value or "(blank)"
        if len(value) > LONGEST_VALUE:
            value = value[: LONGEST_VALUE - 3] + "..."
        return f"{self.file}:{self.line}:{visible(self.column)}: {value}: {visible(self.allowed)}"


class EvidenceError(Exception):
    """The tables cannot be used. `faults` holds every fault; the message has one a line."""

    def __init__(self, faults: Sequence[Fault]):
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))
