"""What every verb of the command line shares: where it prints, how it stops, how it fails.

A console that cannot show a character gets the nearest it can show, never an error. Ctrl-C ends any
verb with status 130 and one line; a termination signal ends it as tidily, with status 143.
"""

from __future__ import annotations

import codecs
import signal
import sys
import threading
import unicodedata
from types import FrameType
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

console = Console()
errors = Console(stderr=True)

INTERRUPTED = 130
PLAIN = {"–": "-", "—": "-", "−": "-", "→": "->", "≥": ">=", "≤": "<=", "×": "x", "·": ".",
         "…": "...", "’": "'", "‘": "'", "“": '"', "”": '"', "±": "+-", "\u00a0": " ",
         "\u202f": " ", "─": "-", "━": "-", "│": "|", "┃": "|", "╴": "-"}  # fmt: skip
"""What stands for a character that a console has not."""


def nearest(error: UnicodeError) -> tuple[str, int]:
    """For `codecs`: an encodable stand-in for what an encoding cannot show."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    shown = []
    for letter in error.object[error.start : error.end]:
        plain = PLAIN.get(letter) or unicodedata.normalize("NFKD", letter)
        shown.append(plain.encode("ascii", "ignore").decode() or "?")
    return "".join(shown), error.end


codecs.register_error("nearest", nearest)


def tolerate() -> None:
    """Let standard output and error never fail on a character."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="nearest")


class Verbs(TyperGroup):
    """The group of all verbs: an interruption is an exit status, not a traceback."""

    def invoke(self, ctx: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _terminated)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise fail("stopped; nothing was written", INTERRUPTED) from None


def _terminated(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def fail(message: str, status: int = 1) -> typer.Exit:
    """Print a message on standard error; the exception that ends the verb, to be raised."""
    errors.print(message, markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(status)


def say(message: str) -> None:
    """Print a line as it is."""
    console.print(message, markup=False, highlight=False, soft_wrap=True)


def remark(message: str) -> None:
    """Print a line on standard error as it is."""
    errors.print(message, markup=False, highlight=False, soft_wrap=True)
