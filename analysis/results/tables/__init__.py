"""The declarations of every table beside the estimates, one module a stage that makes them."""

from analysis.results.tables import headlines, synthesis

__all__ = ["headlines", "synthesis"]
