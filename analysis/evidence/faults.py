"""What is wrong with the tables: one `Fault` a thing, with its place and what is allowed there."""

from collections.abc import Sequence
from dataclasses import dataclass


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
        value = " ".join(self.value.split()) or "(blank)"
        if len(value) > 120:
            value = value[:117] + "..."
        return f"{self.file}:{self.line}:{self.column}: {value}: {self.allowed}"


class EvidenceError(Exception):
    """The tables cannot be used. `faults` holds every fault; the message has one a line."""

    def __init__(self, faults: Sequence[Fault]):
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))
