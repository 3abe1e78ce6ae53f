"""Posterior fits kept by what they depend on, so that a run samples only what changed.

The key of a fit is the digest of the code its graph is made by, the arrays it is fitted to, the
sampler's settings, the seed, and the versions and code generation that decide its digits. Entries
are files in `.cache/fits` of the checkout (or where ISLETMETA_CACHE says), each with a digest of
itself: a damaged one counts as none. The oldest go when the folder grows beyond its limit. A cache
that cannot be written is no error: the fit is made again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import numpy as np

LIMIT = 1_500_000_000
"""Bytes; a whole run's fits take a small part of it."""

PACKAGES = ("numba", "numpy", "nutpie", "pymc", "pytensor")
HEAD = 32
"""Bytes of the digest before the content of an entry."""


def folder() -> Path | None:
    """Where fits are kept; None where they are not (ISLETMETA_CACHE empty, or no checkout)."""
    named = os.environ.get("ISLETMETA_CACHE")
    if named is not None:
        return Path(named) if named else None
    root = Path(__file__).resolve().parent.parent
    return root / ".cache" / "fits" if (root / "pyproject.toml").exists() else None


def key(code: str, settings: Mapping, arrays: Mapping[str, np.ndarray]) -> str:
    """The key of a fit.

    Parameters
    ----------
    code : digest of the code that makes the graph, with the arguments it was called with.
    settings : sampler settings and seed; JSON can write them.
    arrays : what the graph is fitted to, by name.
    """
    whole = hashlib.sha256()
    about = [code, dict(settings), _machinery()]
    whole.update(json.dumps(about, sort_keys=True).encode())
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        whole.update(f"\0{name} {values.dtype.str} {values.shape}\0".encode())
        whole.update(values.tobytes())
    return whole.hexdigest()


def _machinery() -> list:
    versions = [f"{name} {_version(name)}" for name in PACKAGES]
    generation = [os.environ.get(f"NUMBA_CPU_{name}", "") for name in ("NAME", "FEATURES")]
    return [*versions, platform.python_version(), platform.machine(), *generation]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def load(entry: str) -> dict[str, np.ndarray] | None:
    """The arrays kept under a key; None where there are none, or damaged ones."""
    place = folder()
    if place is None:
        return None
    path = place / f"{entry}.npz"
    try:
        data = path.read_bytes()
        if hashlib.sha256(data[HEAD:]).digest() != data[:HEAD]:
            return None
        os.utime(path)
        with np.load(io.BytesIO(data[HEAD:]), allow_pickle=False) as kept:
            return dict(kept)
    except (OSError, ValueError, KeyError):
        return None


def save(entry: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Keep arrays under a key, as well as can be."""
    place = folder()
    if place is None:
        return
    made = io.BytesIO()
    np.savez(made, **arrays)  # type: ignore[arg-type]
    content = made.getvalue()
    partial = place / f".{entry}.{os.getpid()}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(hashlib.sha256(content).digest() + content)
        os.replace(partial, place / f"{entry}.npz")
        _trim(place)
    except OSError:
        with suppress(OSError):
            partial.unlink()


def _trim(place: Path) -> None:
    """Remove the entries used least recently until the rest is within `LIMIT`."""
    found = [(path.stat(), path) for path in place.iterdir()]
    total = sum(about.st_size for about, _ in found)
    for about, path in sorted(found, key=lambda item: item[0].st_mtime):
        if total <= LIMIT:
            return
        path.unlink(missing_ok=True)
        total -= about.st_size
