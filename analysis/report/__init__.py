"""What report.qmd calls: the results read once, then figures, tables and sentences made of them.

`load()` reads data/processed and the evidence; nothing in this package computes an estimate. A
number reaches the page only through the tables of a run.
"""

from analysis.report.results import Results, load

__all__ = ["Results", "load"]
