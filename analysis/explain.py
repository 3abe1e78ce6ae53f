"""From a name in the report to the facts behind it: estimate, rule, effects, raw rows, addresses.

`explain` takes any name the report prints (an estimate, an effect, a claim, a figure or table, a
raw row, a study) and what a person may type instead (an outcome, an approach, an author and year).
The steps themselves are those of `chain`, which the report's tables open on the page as well. A
name that is not known is answered with those that look like it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from analysis import evidence, outcomes, results, vocabulary
from analysis.chain import Chains, figures, plain

MOST = 12
"""Most lines of one kind that are printed; how many more there are is said."""


class Unknown(LookupError):
    """No such name; the message offers those that look like it."""


def explain(
    name: str,
    body: evidence.Evidence,
    out: Path | None = None,
    source: Path | None = None,
) -> list[str]:
    """What stands behind a name, as lines of text.

    Parameters
    ----------
    name : an id that the report prints, or what a person means by it.
    body : the evidence.
    out : the folder of the results; without it, names of the evidence alone are known.
    source : the report's source, in which figures and tables have their names.

    Raises
    ------
    Unknown : nothing is called so.
    """
    return _Explainer(body, out, source).lines(" ".join(name.split()))


class _Explainer:
    def __init__(self, body: evidence.Evidence, out: Path | None, source: Path | None):
        self.body, self.out, self.source = body, out, source
        self.unread: dict[str, str] = {}
        self.chains = Chains(body, self.table)

    def table(self, name: str) -> pd.DataFrame:
        """A table of the results; empty where there are none."""
        if self.out is None:
            return results.TABLES[name].empty()
        try:
            return results.read(self.out, name)
        except results.ContractError as error:
            self.unread[name] = str(error)
            return results.TABLES[name].empty()

    def lines(self, name: str) -> list[str]:
        """The lines for a name: the first kind of thing that is called so.

        Where a table of the results is not as declared, what it would add is left out, and said.
        """
        found = self._found(name)
        return found + [f"left out, because it cannot be read: {table}.csv: {fault}"
                        for table, fault in self.unread.items()]  # fmt: skip

    def _found(self, name: str) -> list[str]:
        ways = (self.chains.walk, self._figure, self._outcome, self._word, self._claims, self._part)
        for way in ways:
            found = way(name)
            if found:
                return found
        near = self._near(name)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise Unknown(f"{name or '(no name)'}: nothing is called so{hint}")

    # --- figures and tables of the report

    def _figure(self, name: str) -> list[str]:
        label = name.lstrip("#@").lower()
        if not label or self.source is None or not Path(self.source).exists():
            return []
        text = Path(self.source).read_text(encoding="utf-8")
        for block in re.findall(r"(?ms)^```\{python\}\n(.*?)^```", text):
            options = dict(re.findall(r"(?m)^#\| ([\w-]+): *(.*)$", block))
            if options.get("label", "").lower() != label:
                continue
            code = [line for line in block.splitlines() if line and not line.startswith("#|")]
            caption = options.get("fig-cap") or options.get("tbl-cap") or ""
            lines = [f"{options['label']}: {caption.strip(chr(34))}"]
            lines += [f"drawn by: {line}" for line in code]
            return lines + self._reads("\n".join(code))
        return []

    def _reads(self, code: str) -> list[str]:
        """The tables of the results that the functions of a cell read, by their source."""
        import inspect

        from analysis.report import claims_page, figures, harms, plain, tables
        from analysis.report.figures import registered as registered_figures
        from analysis.report.tables import registered as registered_tables

        rooms = {"figures": figures, "tables": tables, "harms": harms, "plain": plain,
                 "claims_page": claims_page, "registered_figures": registered_figures,
                 "registered_tables": registered_tables}  # fmt: skip
        read: list[str] = []
        for room, function in re.findall(r"\b(\w+)\.(\w+)\(", code):
            made = getattr(rooms.get(room), function, None)
            source = inspect.getsource(made) if callable(made) else ""
            read += [name for name in results.TABLES if re.search(rf'["\']{name}["\']', source)]
        return [f"reads: data/processed/{name}.csv: {results.TABLES[name].about}"
                for name in dict.fromkeys(read)]  # fmt: skip

    # --- what a person means

    def _outcome(self, name: str) -> list[str]:
        typed = plain(name)
        meant = [
            about
            for about in outcomes.OUTCOMES.values()
            if typed in {plain(word) for word in (about.name, about.title, about.noun, about.short,
                                                   *about.raw)}
        ]  # fmt: skip
        lines: list[str] = []
        for about in meant:
            lines.append(f"{about.name}: {about.title}")
            head = self.chains.estimates[self.chains.estimates["outcome"] == about.name]
            head = head[(head["variant"] == "headline") & (head["method"] == "exact")
                        & head["quantity"].isin(["mean", "share", "rate", "survival"])]  # fmt: skip
            if about.is_ratio:
                head = head[head["scale"] == "ratio"]
            for one in head.head(MOST).to_dict("records"):
                lines.append(f"  {one['id']}: {figures(one)}")
            if len(head) > MOST:
                lines.append(f"  and {len(head) - MOST} more")
            if about.kind == outcomes.CONTINUOUS:
                mine = self.chains.effects[self.chains.effects["outcome"] == about.name]
                lines.append(f"  effects: {len(mine)} of {mine['study_id'].nunique()} studies")
        return lines

    def _word(self, name: str) -> list[str]:
        """An approach, a population or a class of cells."""
        typed = plain(name)
        for column, words in (("approach", vocabulary.APPROACHES),
                              ("population", vocabulary.POPULATIONS),
                              ("cell_class", vocabulary.CELL_CLASSES)):  # fmt: skip
            for word, label in words.items():
                meant = (plain(word), plain(label), plain(label).removesuffix("diabetes"))
                if not typed or typed not in meant:
                    continue
                told = self.chains.estimates["quantity"].isin(["mean", "share", "rate"])
                told &= self.chains.estimates["variant"].eq("headline")
                head = self.chains.estimates[told & self.chains.estimates[column].eq(word)]
                lines = [f"{word}: {label}", f"  estimates: {len(head)}"]
                return lines + [f"  {one['id']}: {figures(one)}"
                                for one in head.head(MOST).to_dict("records")]  # fmt: skip
        return []

    def _claims(self, name: str) -> list[str]:
        """All claims with their verdicts."""
        if name.lower() not in ("claim", "claims"):
            return []
        found = self.table("claims")[["claim_id", "verdict", "claim"]].to_dict("records")
        return [f"claims: {len(found)}"] + [
            f"  {one['claim_id']}: {one['verdict']}: {one['claim']}" for one in found
        ]

    def _part(self, name: str) -> list[str]:
        """Names of which the typed one is a part: the thing itself, or the choice."""
        typed = name.lower()
        found = [known for known in self._names() if typed in known.lower()]
        if not found or len(typed) < 3:
            return []
        if len(found) == 1:
            return self._found(found[0])
        shown = [f"  {known}" for known in found[:MOST]]
        more = [f"  and {len(found) - MOST} more"] if len(found) > MOST else []
        return [f"{name}: {len(found)} names have it", *shown, *more]

    def _names(self) -> list[str]:
        """Every name that is known, each once."""
        names: Iterable[str] = (
            *self.table("claims")["claim_id"], *self.body.studies["study_id"],
            *outcomes.OUTCOMES, *self.chains.estimates["id"], *self.chains.effects["effect_id"],
        )  # fmt: skip
        return list(dict.fromkeys(names))

    def _near(self, name: str) -> list[str]:
        by_plain = {known.lower(): known for known in self._names()}
        near = difflib.get_close_matches(name.lower(), by_plain, 5, 0.55)
        return [by_plain[word] for word in near]
