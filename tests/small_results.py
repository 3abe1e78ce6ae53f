"""A small invented run for tests of the report's first page, plain words and harms.

`Small` answers as the report's results do: estimates, declared tables, one, get, has. The numbers
are invented; each case a reader may meet occurs: a mean, a single study, words, counts, a lower
bound, silence.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import results


@dataclass
class Small:
    """A run in memory: declared tables by name, checked against the contract."""

    estimates: pd.DataFrame
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "Small":
        """A run from a folder."""
        names = [name for name in results.TABLES if name not in ("estimates",)]
        return cls(results.read(folder, "estimates"),
                   {name: results.read(folder, name) for name in names})  # fmt: skip

    def table(self, name: str) -> pd.DataFrame:
        found = self.tables.get(name)
        return results.TABLES[name].empty() if found is None else found

    def has(self, name: str) -> bool:
        return not self.table(name).empty

    def one(self, **parts):
        return results.one(self.estimates, **parts)

    def get(self, **parts):
        return results.get(self.estimates, **parts)

    def without(self, *names: str) -> "Small":
        """The run without some tables."""
        return Small(self.estimates, {n: t for n, t in self.tables.items() if n not in names})
