"""The declarations of every table beside the estimates, one module a stage that makes them."""

from analysis.results.contract import Table
from analysis.results.tables import (
    durations,
    effects,
    harms,
    headlines,
    publication,
    registered,
    robustness,
    shares,
    synthesis,
    witness,
)

_ROOMS = {"durations": durations, "effects": effects, "harms": harms, "headlines": headlines,
          "publication": publication, "registered": registered, "robustness": robustness,
          "shares": shares, "synthesis": synthesis, "witness": witness}  # fmt: skip


def written_by(stage: str) -> tuple[str, ...]:
    """The names of the tables that a stage must write, all of them; none for a stage not known."""
    room = vars(_ROOMS[stage]) if stage in _ROOMS else {}
    return tuple(sorted(table.name for table in room.values() if isinstance(table, Table)))


__all__ = ["durations", "effects", "harms", "headlines", "publication", "registered",
           "robustness", "shares", "synthesis", "witness", "written_by"]  # fmt: skip
