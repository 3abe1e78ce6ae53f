"""The chain behind a row, opened on the page: figure, rule, effects, raw rows, addresses.

The steps are those of `analysis.chain`, the same that `isletmeta explain` prints; here they become
a nested list inside plain `<details>`. Without any script the page is complete; in print the row
stands alone, and the same steps are in the tables of facts and in `isletmeta explain`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from analysis import escape

_ADDRESS = re.compile(r"(https?://\S+)(.*)")


def mark(named: str) -> str:
    """The id of a number, as `isletmeta explain` takes it: a short mark that opens to it."""
    return f'<details class="id"><summary>id</summary><code>{escape.html(named)}</code></details>'


def html(steps: Sequence[str], summary: str) -> str:
    """The steps behind a name, folded away; nothing where there are none.

    Parameters
    ----------
    steps : lines of `analysis.chain`, indented by two blanks a level.
    summary : what stands on the page until a reader opens it.
    """
    if not steps:
        return ""
    return (
        f'<details class="chain"><summary>{escape.html(summary)}</summary>'
        f"{_listed([(_depth(step), step.strip()) for step in steps])}</details>"
    )


def _depth(step: str) -> int:
    return (len(step) - len(step.lstrip(" "))) // 2


def _listed(steps: list[tuple[int, str]]) -> str:
    """A list; what lies deeper than the step before it is a list within that step."""
    items, place = [], 0
    while place < len(steps):
        depth, text = steps[place]
        end = place + 1
        while end < len(steps) and steps[end][0] > depth:
            end += 1
        inner = _listed(steps[place + 1 : end]) if end > place + 1 else ""
        items.append(f"<li>{_linked(text)}{inner}</li>")
        place = end
    return f"<ul>{''.join(items)}</ul>"


def _linked(text: str) -> str:
    """A step as HTML: text, and an address as a link that shows its site."""
    found = _ADDRESS.fullmatch(text)
    address = escape.url(found[1]) if found else ""
    if not address:
        return escape.html(text)
    site = urlsplit(address).hostname or address
    return f'<a href="{escape.html(address)}">{escape.html(site)}</a>{escape.html(found[2])}'
