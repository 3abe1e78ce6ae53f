"""Results on disk: a folder of tables, a manifest that certifies them, and one way to replace both.

The manifest holds the digest of every table, of each stage's rows of `estimates.csv` and of itself.
Nothing is taken over from a folder unless its digest is the one the manifest gives: what does not
match is damaged, and is computed again. A folder is replaced as a whole, behind a lock: the new one
is made complete beside the old one (`.NAME.new-PID`), then the two change names. A run that is
killed, or finds the disk full, leaves the old folder or the new one; `writing` clears what such a
run left beside it.
"""

from __future__ import annotations

import csv
import ctypes
import errno
import hashlib
import io
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

MANIFEST = "manifest.json"
ESTIMATES = "estimates"
POSTERIORS = "posteriors"
FORMAT = 2


class StoreError(RuntimeError):
    """A folder of results that cannot be read or replaced; the message says which and why."""


def digest(data: bytes) -> str:
    """The first 16 hexadecimal digits of SHA-256: enough to notice any change."""
    return hashlib.sha256(data).hexdigest()[:16]


# --- the manifest ----------------------------------------------------------------------------


def sealed(manifest: Mapping) -> str:
    """A manifest as the text of its file, with the digest of itself at the end."""
    body = {name: value for name, value in manifest.items() if name != "digest"}
    body["digest"] = digest(json.dumps(body, sort_keys=True).encode())
    return json.dumps(body, indent=2) + "\n"


def read_manifest(out: Path) -> dict:
    """The manifest of a folder of results.

    Empty where there is none, and where it is cut short, edited by hand or of another format:
    results without a sound manifest are no results.
    """
    found = _parsed(out)
    if found.get("format") != FORMAT or not isinstance(found.get("stages"), dict):
        return {}
    return found if json.loads(sealed(found))["digest"] == found.get("digest") else {}


def _parsed(out: Path) -> dict:
    try:
        found = json.loads((Path(out) / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


# --- estimates: one table, each stage's rows certified apart ---------------------------------


def csv_rows(text: str) -> list[list[str]]:
    """The rows of a CSV text, the header first; none where the text is blank."""
    return [row for row in csv.reader(io.StringIO(text, newline="")) if row]


def csv_text(rows: Iterable[list[str]]) -> str:
    """Rows as a CSV text."""
    made = io.StringIO(newline="")
    csv.writer(made, lineterminator="\n").writerows(rows)
    return made.getvalue()


def rows_digest(header: list[str], rows: list[list[str]]) -> str:
    """One digest of a part of a table; of no rows always the same."""
    return digest(csv_text([header, *rows] if rows else []).encode())


def part_digest(text: str) -> str:
    """The digest of a stage's estimates, given as CSV text."""
    rows = csv_rows(text)
    return rows_digest(rows[0], rows[1:]) if rows else rows_digest([], [])


def join_estimates(parts: Mapping[str, str]) -> tuple[str, dict[str, dict]]:
    """The estimates of all stages as one CSV text, and each stage's place and digest in it.

    Parameters
    ----------
    parts : stage name -> CSV text of its estimates, all with the same header.

    Raises
    ------
    StoreError : two stages have different columns.
    """
    header: list[str] = []
    joined: list[list[str]] = []
    places = {}
    for name, text in parts.items():
        own, *rows = csv_rows(text) or [[]]
        if own and header and own != header:
            raise StoreError(f"the estimates of {name} have other columns than those before")
        header = header or own
        places[name] = {"rows": [len(joined), len(joined) + len(rows)],
                        "digest": rows_digest(own, rows)}  # fmt: skip
        joined += rows
    return csv_text([header, *joined] if header else []), places


def _estimates_of(out: Path, places: Mapping[str, Mapping]) -> dict[str, str]:
    """The estimates of each stage whose rows are as the manifest says, as CSV texts."""
    try:
        header, *rows = csv_rows((out / f"{ESTIMATES}.csv").read_text(encoding="utf-8")) or [[]]
    except (OSError, ValueError, csv.Error):
        header, rows = [], []
    sound = {}
    for name, place in places.items():
        start, end = place["rows"]
        own = rows[start:end]
        if start == end:
            sound[name] = ""
        elif len(own) == end - start and rows_digest(header, own) == place["digest"]:
            sound[name] = csv_text([header, *own])
    return sound


# --- what may be taken over ------------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """What a folder holds that its manifest certifies.

    Attributes
    ----------
    manifest : the sound manifest, or empty.
    tables : the certified tables as bytes, by name (without the estimates).
    estimates : the certified estimates of each stage, as CSV text.
    damage : stage -> what is wrong with its results, in words. A stage not named is sound.
    whole : whether the file of estimates itself is as the manifest says.
    """

    manifest: dict
    tables: dict[str, bytes]
    estimates: dict[str, str]
    damage: dict[str, str]
    whole: bool

    @property
    def sound(self) -> tuple[str, ...]:
        """The stages whose results stand as they were written."""
        return tuple(name for name in self.manifest.get("stages", {}) if name not in self.damage)


def read(out: Path) -> Kept:
    """Check a folder of results against its manifest."""
    out = Path(out)
    manifest = read_manifest(out)
    stages = manifest.get("stages", {})
    estimates = _estimates_of(out, {name: s["estimates"] for name, s in stages.items()})
    tables, damage = {}, {}
    for name, stage in stages.items():
        wrong = [] if name in estimates else ["estimates.csv"]
        for table, expected in stage["tables"].items():
            path = out / f"{table}.csv"
            data = path.read_bytes() if path.is_file() else b""
            if digest(data) == expected:
                tables[table] = data
            else:
                wrong.append(path.name)
        if wrong:
            damage[name] = f"{', '.join(wrong)} not as the run wrote it"
    path = out / f"{ESTIMATES}.csv"
    whole = path.is_file() and digest(path.read_bytes()) == manifest.get("estimates_digest")
    return Kept(manifest, tables, estimates, damage, whole)


def faults(out: Path, known: Iterable[str] = ()) -> list[str]:
    """Why a folder of results cannot be trusted, one line each; empty when it can.

    `known` names further tables that a reader might take from the folder: one of these that the
    manifest does not list is a fault, too.
    """
    out = Path(out)
    kept = read(out)
    if not kept.manifest:
        state = "cannot be read" if (out / MANIFEST).exists() else "is missing"
        return [f"{out / MANIFEST} {state}"]
    found = [f"{stage}: {words}" for stage, words in kept.damage.items()]
    if not kept.whole and not kept.damage:
        found.append(f"{ESTIMATES}.csv not as the run wrote it")
    strangers = (set(known) & {path.stem for path in out.glob("*.csv")}) - listed(kept.manifest)
    return found + [f"{name}.csv is not of this run" for name in sorted(strangers - {ESTIMATES})]


def listed(manifest: Mapping) -> set[str]:
    """The names of all tables of a manifest."""
    return {
        table
        for stage in manifest.get("stages", {}).values()
        if isinstance(stage, dict)
        for table in stage.get("tables", {})
    }


# --- replacing a folder ----------------------------------------------------------------------


def require_replaceable(out: Path) -> None:
    """Raise StoreError when `out` is something that a run must not or cannot replace."""
    out = Path(out)
    if not out.exists():
        return
    if not out.is_dir():
        raise StoreError(f"{out} is a file; results need a folder")
    if os.path.ismount(out):
        raise StoreError(f"{out} is a mount point and cannot be replaced; name a folder inside it")
    if any(out.iterdir()) and not any((out / n).exists() for n in (MANIFEST, f"{ESTIMATES}.csv")):
        raise StoreError(f"{out} holds files but no results; name an empty or a new folder")


@contextmanager
def writing(out: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """An empty folder beside `out`, to be filled and given to `publish`, behind the lock.

    What an earlier run left beside `out` when it was killed is cleared first. The folder is removed
    at the end, whatever happens. `waiting` is called once when another run holds the lock.

    Raises
    ------
    StoreError : nothing can be written there; or `out` is nothing to replace.
    """
    out = Path(out).resolve()
    require_replaceable(out)
    staging = _beside(out, f"new-{os.getpid()}")
    with _refused(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with locked(out, waiting), _refused(out):
        _settle(out)
        staging.mkdir()
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _refused(out: Path) -> Iterator[None]:
    """An error of the file system as one that names the folder of results."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{out} cannot be written: {error.strerror or error}") from None


def _beside(out: Path, what: str) -> Path:
    return out.with_name(f".{out.name}.{what}")


def settle(out: Path) -> None:
    """Bring back the folder of results where a run was killed between two names; else nothing."""
    out = Path(out).resolve()
    if not out.exists() and _beside(out, "old").exists():
        with locked(out):
            _settle(out)


def _settle(out: Path) -> None:
    old = _beside(out, "old")
    if old.exists() and not out.exists():
        os.rename(old, out)
    for left in (old, *out.parent.glob(f".{out.name}.new-*")):
        shutil.rmtree(left, ignore_errors=True)


def publish(staging: Path, out: Path) -> None:
    """Make the complete folder `staging` the folder `out`; what `out` held is removed.

    Files of `out` that are no results (not CSV, or CSV that its manifest does not list) are taken
    along untouched. Until the moment of the change of names `out` is as it was.

    Raises
    ------
    StoreError : the file system refused; `out` is as it was.
    """
    out = Path(out).resolve()
    with _refused(out):
        _take_along(out, staging)
        for path in sorted(staging.rglob("*")):
            if path.is_file():
                _to_disk(path)
        if not out.exists():
            os.rename(staging, out)
        elif not exchange(staging, out):
            old = _beside(out, "old")
            os.rename(out, old)
            try:
                os.rename(staging, out)
            except OSError:
                os.rename(old, out)
                raise
            shutil.rmtree(old, ignore_errors=True)


def _take_along(out: Path, staging: Path) -> None:
    if not out.exists():
        return
    parsed = _parsed(out)
    ours = listed(parsed) | {ESTIMATES} if isinstance(parsed.get("stages"), dict) else None
    for path in out.iterdir():
        made = path.name in (MANIFEST, POSTERIORS) or (
            path.suffix == ".csv" and (ours is None or path.stem in ours)
        )
        target = staging / path.name
        if not made and not target.exists():
            if path.is_dir():
                shutil.copytree(path, target, symlinks=True)
            else:
                shutil.copy2(path, target, follow_symlinks=False)


def _to_disk(path: Path) -> None:
    with open(path, "r+b") as file:
        os.fsync(file.fileno())


def exchange(one: Path, other: Path) -> bool:
    """Let two folders change names in one step, where the system can; whether it did."""
    try:
        system = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "linux":
            done = system.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2)
        elif sys.platform == "darwin":
            done = system.renamex_np(os.fsencode(one), os.fsencode(other), 2)
        else:
            return False
    except (OSError, TypeError, AttributeError):
        return False
    if done and ctypes.get_errno() in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done == 0


@contextmanager
def locked(out: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock of a folder of results; it goes with the process, however that ends."""
    path = _beside(Path(out).resolve(), "lock")
    told = False
    while True:
        with _refused(out):
            file = open(path, "a+b")  # noqa: SIM115  the lock lives as long as the file is open
        if _try_lock(file) and _same_file(file, path):
            break
        file.close()
        if not told:
            told = True
            waiting()
        time.sleep(0.1)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        file.close()


def _same_file(file: IO, path: Path) -> bool:
    """Whether the open file is still the one of that name: its last holder removes it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(file: IO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            return error.errno in (errno.ENOLCK, errno.ENOTSUP)  # a file system without locks
        return True
