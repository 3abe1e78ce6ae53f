"""Questions and answers: each kept in a draft at once, any step taken back, a row in a line.

The talk is written as if each question were asked once, in order. What was answered before (in this
session or an earlier one) is taken from the draft without asking; so going back means to forget the
last answer and to begin again, and going on after a crash is the same as beginning.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Row = dict[str, str]
Check = Callable[[str], str | None]
"""What is allowed, where a text is not; None where it is."""

HINT = "Enter takes what stands in [ ]; - leaves blank; ? explains; back; quit (the draft is kept)."
_NOTE = "# Draft of `isletmeta add`: one answer a line. The next start goes on from here."


class Back(Exception):
    """The person wants the last question again."""


class Quit(Exception):
    """The person wants to go on another time."""


class Draft:
    """Answers by question, in the order they were given; the file has each at once.

    Attributes
    ----------
    path : the file.
    answers : question -> answer.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self.answers: dict[str, str] = {}
        if self.path.exists():
            text = self.path.read_bytes().decode("utf-8-sig", errors="replace")
            for line in re.split(r"\r\n|\n|\r", text):
                if line.strip() and not line.startswith("#"):
                    key, _, answer = line.partition(":")
                    self.answers[key.strip()] = answer.strip()

    def keep(self, key: str, answer: str) -> None:
        """Take an answer in; the file is replaced in one step."""
        self.answers[key] = answer
        self._save()

    def forget(self, key: str) -> str:
        """Take an answer back; returns it."""
        answer = self.answers.pop(key)
        self._save()
        return answer

    def end(self) -> None:
        """Remove the file: its rows are written."""
        self.path.unlink(missing_ok=True)

    def _save(self) -> None:
        lines = [_NOTE, *(f"{key}: {answer}" for key, answer in self.answers.items())]
        new = self.path.with_name(self.path.name + ".new")
        new.write_text("\n".join(lines) + "\n", encoding="utf-8")
        os.replace(new, self.path)


@dataclass(frozen=True)
class Part:
    """One cell of a row that is asked for.

    Attributes
    ----------
    name : the column, or another word for the cell.
    check : what is allowed.
    default : the row so far -> the answer that Enter gives ("" = blank).
    above : the value of the row above, for a blank in a line of several.
    when : the row so far -> whether the cell is asked for at all.
    silent : asked only in a line of several: alone, the default is taken.
    free : free text, in which a semicolon is a semicolon.
    needed : no blank.
    label : how the cell is asked for alone, where not by its name.
    """

    name: str
    check: Check = lambda text: None
    default: Callable[[Row], str] = lambda row: ""
    above: str = ""
    when: Callable[[Row], bool] = lambda row: True
    silent: bool = False
    free: bool = False
    needed: bool = False
    label: str = ""


class Dialogue:
    """Asks, or takes what was answered before.

    Parameters
    ----------
    draft : the answers kept.
    ask : called with (question, default); returns the answer as typed, "" for Enter alone where
        the default is blank.
    tell : shows a line.
    explain : question -> lines that say what it means, for `?`.
    """

    def __init__(
        self,
        draft: Draft,
        ask: Callable[[str, str], str],
        tell: Callable[[str], None],
        explain: Callable[[str], str] = lambda key: "",
    ):
        self.draft, self._ask, self._tell, self._explain = draft, ask, tell, explain
        self._trail: list[tuple[str, bool]] = []  # the answers of this talk; whether silent
        self._pending: list[str] = []
        self._before: dict[str, str] = {}

    def begin(self) -> None:
        """Begin the talk (again): nothing is asked yet, all that was answered is known."""
        self._trail, self._pending = [], []

    def say(self, line: str) -> None:
        """Show a line before the next question that is really asked."""
        self._pending.append(line)

    def one(self, key: str, question: str, default: str = "", check: Check | None = None) -> str:
        """The answer to one question; asked again until it is allowed."""
        stored = self._known(key, check)
        if stored is not None:
            return stored
        return self._keep(key, self._live(key, question, default, check))

    def row(self, prefix: str, title: str, parts: Sequence[Part], ends: bool = True) -> Row | None:
        """One row, cell by cell, or several cells in one answer with ; between them.

        Where a blank first cell `ends` the table, None is returned for it.
        """
        row: Row = {}
        typed: list[str] | None = None
        for position, part in enumerate(parts):
            key = f"{prefix} {part.name}"
            if not part.when(row):
                continue
            default = part.default(row)
            stored = self._known(key, _checked(part, position > 0), part.silent)
            if stored is None and typed is None and part.silent:
                stored = self._keep(key, default, silent=True)
            if stored is None and typed is None:
                rest = [] if part.free else list(parts[position + 1 :])
                question = title if position == 0 else f"  {part.label or part.name}"
                answer = self._live(key, question, default, _checked(part, position > 0), rest)
                if rest and ";" in answer:
                    typed = [piece.strip() for piece in answer.split(";")]
                else:
                    stored = self._keep(key, answer)
            if stored is None and typed is not None:
                stored = self._typed(key, part, typed, default, position == len(parts) - 1)
            row[part.name] = stored or ""
            if ends and position == 0 and not row[part.name]:
                return None
        return row

    def _typed(self, key: str, part: Part, typed: list[str], default: str, last: bool) -> str:
        """The next piece of a line for a part; asked for alone where it may not stand so."""
        piece = typed.pop(0) if typed else ""
        if last and typed:  # the last cell has the rest of the line, semicolons and all
            piece = "; ".join([piece, *typed])
            typed.clear()
        text = "" if piece == "-" else piece or default or part.above
        allowed = _checked(part)(text)
        if allowed is None:
            return self._keep(key, text, part.silent)
        self.say(f"  {part.name}: {text or '(blank)'}: {allowed}")
        return self._keep(key, self._live(key, f"  {part.label or part.name}", default,
                                          _checked(part)))  # fmt: skip

    def _known(self, key: str, check: Check | None, silent: bool = False) -> str | None:
        """The answer given before, if it may still stand."""
        answer = self.draft.answers.get(key)
        if answer is None:
            return None
        if check is not None and check(answer) is not None:
            self._before[key] = self.draft.forget(key)
            return None
        self._pending.clear()
        self._trail.append((key, silent))
        return answer

    def _keep(self, key: str, answer: str, silent: bool = False) -> str:
        self.draft.keep(key, answer)
        self._trail.append((key, silent))
        return answer

    def _live(
        self,
        key: str,
        question: str,
        default: str,
        check: Check | None,
        rest: Sequence[Part] = (),
    ) -> str:
        """Ask until the answer is allowed; with `rest`, a line of several goes through."""
        for line in self._pending:
            self._tell(line)
        self._pending.clear()
        default = self._before.pop(key, "") or default
        while True:
            answer = " ".join(self._ask(question, default).splitlines()).strip()
            if answer == "back":
                self._back()
                continue
            if answer == "quit":
                raise Quit
            if answer == "?":
                self._tell(self._explain(key) or "no more is known about this question")
                continue
            if rest and ";" in answer:
                return answer
            text = "" if answer == "-" else answer or default
            allowed = check(text) if check else None
            if allowed is None:
                return text
            self._tell(f"{text or '(blank)'}: {allowed}")

    def _back(self) -> None:
        """Forget the last answer (and what followed from it) and begin again."""
        if all(silent for _, silent in self._trail):
            self._tell("this is the first question")
            return
        while True:
            key, silent = self._trail.pop()
            self._before[key] = self.draft.forget(key)
            if not silent:
                raise Back


def _checked(part: Part, needed: bool = True) -> Check:
    def check(text: str) -> str | None:
        if not text:
            return "a value is needed here" if part.needed and needed else None
        return part.check(text)

    return check
