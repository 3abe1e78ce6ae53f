"""The declarations of every table beside the estimates, stage by stage.

Whoever makes a table declares it here: what it holds, its columns with unit and meaning, its key.
"""

from __future__ import annotations
