"""Several files changed as one: a journal, so that a kill in between leaves the old or the new.

`commit` writes the new contents, and copies of the old ones, into a folder beside the files, and
then, as the moment from which the change counts, a journal with the digest of each file before and
after. Only then the files are replaced, one by one, and the folder goes last. `recover` is called
before anything reads the folder: without a journal the change never began, and the folder goes;
with one, what is not replaced yet is replaced now. Where that cannot be, the old contents are put
back. A file that somebody edited in between is never overwritten.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

if os.name == "posix":
    import fcntl

FOLDER = ".adding"
REST = ".adding.done"
JOURNAL = "journal.json"


class ChangedMeanwhile(RuntimeError):
    """A file is not what it was when the change was planned; the message says what to do."""


class Planned(Protocol):
    """A change of several files that was planned: the folder, its mistakes, bytes of each file."""

    @property
    def raw(self) -> Path: ...
    @property
    def mistakes(self) -> Sequence[object]: ...
    @property
    def before(self) -> Mapping[str, bytes]: ...
    @property
    def after(self) -> Mapping[str, bytes]: ...


def write(made: Planned) -> list[Path]:
    """Put every changed file of a plan in place, or none (`commit`).

    Raises
    ------
    ValueError : the plan has mistakes.
    ChangedMeanwhile : a file is not what it was when the plan was made.
    OSError : a file could not be written; nothing is changed then.
    """
    if made.mistakes:
        raise ValueError("a plan with mistakes is not written")
    return commit(made.raw, dict(made.before), dict(made.after)) if made.after else []


def commit(folder: Path, before: dict[str, bytes], after: dict[str, bytes]) -> list[Path]:
    """Replace the contents of several files of a folder, all or none.

    Parameters
    ----------
    folder : the folder of the files.
    before : file name -> contents as they were read when the change was planned.
    after : file name -> contents as they shall be; each name is also in `before`.

    Returns
    -------
    list of Path
        The files that were replaced.

    Raises
    ------
    ChangedMeanwhile : a file is not what it was when the change was planned; nothing is changed.
    OSError : a file could not be written; the old contents are in place.
    """
    folder = Path(folder)
    with _locked(folder):
        _settle(folder)
        for name, old in before.items():
            if (folder / name).read_bytes() != old:
                raise ChangedMeanwhile(f"{folder / name} changed meanwhile; nothing was written")
        work = folder / FOLDER
        try:
            _stage(folder, work, before, after)
            _replace_all(folder, work, list(after))
        except OSError:
            _take_back(folder, work, before)
            raise
        _remove(work)
    return [folder / name for name in after]


def recover(folder: Path) -> str:
    """Finish or undo a change that was interrupted; returns what was done, "" if there was none.

    Raises
    ------
    ChangedMeanwhile : a file was edited since; the new contents stay in the folder that is named.
    OSError : a file could not be written.
    """
    folder = Path(folder)
    if not any((folder / name).is_dir() for name in (FOLDER, REST)):
        return ""
    with _locked(folder):
        return _settle(folder)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _stage(folder: Path, work: Path, before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """Write new and old contents beside the files, and last the journal."""
    for part, contents in (("new", after), ("old", {name: before[name] for name in after})):
        (work / part).mkdir(parents=True, exist_ok=True)
        for name, data in contents.items():
            _write(work / part / name, data)
            shutil.copymode(folder / name, work / part / name)
    entries = {
        name: {"before": _digest(before[name]), "after": _digest(data)}
        for name, data in after.items()
    }
    _write(work / "journal.new", json.dumps(entries, indent=1).encode())
    os.replace(work / "journal.new", work / JOURNAL)
    _flush(work)


def _write(path: Path, data: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    """Wait until the disk knows the names in a folder, where the system can tell."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _replace_all(folder: Path, work: Path, names: list[str]) -> None:
    for name in names:
        if (work / "new" / name).exists():
            os.replace(work / "new" / name, folder / name)
    _flush(folder)


def _take_back(folder: Path, work: Path, before: dict[str, bytes]) -> None:
    """Put the old contents back and end the change."""
    for name, old in before.items():
        if (folder / name).read_bytes() != old and (work / "old" / name).exists():
            os.replace(work / "old" / name, folder / name)
    _remove(work)


def _remove(work: Path) -> None:
    """End the change: its folder gets another name in one step, and then goes."""
    rest = work.with_name(REST)
    shutil.rmtree(rest, ignore_errors=True)
    if work.is_dir():
        os.replace(work, rest)
    shutil.rmtree(rest, ignore_errors=True)


def _settle(folder: Path) -> str:
    """`recover` within the lock."""
    work = folder / FOLDER
    if not work.is_dir():
        _remove(work)
        return ""
    try:
        entries = json.loads((work / JOURNAL).read_bytes())
    except (OSError, ValueError):  # the change never came to count
        _remove(work)
        return f"an interrupted addition to {folder} was undone: nothing of it is written"
    for name, digests in entries.items():
        if _digest((folder / name).read_bytes()) not in digests.values():
            raise ChangedMeanwhile(
                f"{folder / name} was edited after an addition was interrupted: its new contents "
                f"are {work / 'new' / name}, its old ones {work / 'old' / name}; put in place what "
                f"is right and remove {work}"
            )
    forward = all(_at_hand(folder, work, "new", "after", name, entries[name]) for name in entries)
    part, kind = ("new", "after") if forward else ("old", "before")
    for name, digests in entries.items():
        if _digest((folder / name).read_bytes()) != digests[kind]:
            os.replace(work / part / name, folder / name)
    _flush(folder)
    _remove(work)
    if forward:
        return f"an interrupted addition to {folder} was completed: {', '.join(entries)}"
    return f"an interrupted addition to {folder} was undone: {', '.join(entries)}"


def _at_hand(
    folder: Path, work: Path, part: str, kind: str, name: str, digests: dict[str, str]
) -> bool:
    """Whether contents are in place already, or lie unharmed in the folder of the change."""
    for path in (folder / name, work / part / name):
        if path.exists() and _digest(path.read_bytes()) == digests[kind]:
            return True
    return False


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One addition at a time, where the system has locks; the lock goes with its process."""
    if os.name != "posix":
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
