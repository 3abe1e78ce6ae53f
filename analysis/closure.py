"""Which code a result depends on: the modules a module imports, and theirs, and one digest of all.

Stages and cached fits are keyed by this digest, so that a change of the safety model makes nobody
fit HbA1c again, and no change of code that matters goes unnoticed. Imports are read from the
source, inside functions too; nothing is executed.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PACKAGE = FOLDER.name


@cache
def _files() -> dict[str, Path]:
    """The file of each module of this package."""
    files = {}
    for file in FOLDER.rglob("*.py"):
        name = ".".join(file.relative_to(FOLDER.parent).with_suffix("").parts)
        files[name.removesuffix(".__init__")] = file
    return files


@cache
def _source(module: str) -> Path | None:
    """The file of a module; None for a name that is no module (`from package import name`)."""
    if module.split(".")[0] == PACKAGE:
        return _files().get(module)  # `find_spec` would run the packages around it
    found = find_spec(module)
    return Path(found.origin) if found and found.origin else None


@cache
def _text(module: str) -> bytes:
    source = _source(module)
    assert source is not None, module
    return source.read_bytes().replace(b"\r\n", b"\n")


@cache
def imported(module: str) -> frozenset[str]:
    """The modules of this package that a module imports itself, the packages around them too."""
    found = set()
    for node in _statements(ast.parse(_text(module))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == PACKAGE:
                found |= {".".join(parts[:i]) for i in range(1, len(parts) + 1)}
    return frozenset(name for name in found if _source(name))


def _statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """Every statement below a node, those inside functions too; imports are in no expression."""
    left = [tree]
    while left:
        for part in ast.iter_child_nodes(left.pop()):
            if isinstance(part, ast.stmt):
                yield part
            if isinstance(part, ast.stmt | ast.excepthandler | ast.match_case):
                left.append(part)


def closure(modules: Iterable[str]) -> tuple[str, ...]:
    """The modules and everything of this package they lead to, in alphabetical order.

    Raises ModuleNotFoundError for a module that is not there.
    """
    left, seen = list(modules), set()
    while left:
        module = left.pop()
        if module in seen:
            continue
        if _source(module) is None:
            raise ModuleNotFoundError(f"no such module: {module}")
        seen.add(module)
        left += imported(module)
    return tuple(sorted(seen))


@cache
def code_digest(*modules: str) -> str:
    """One digest of the sources of `closure(modules)`: 16 hexadecimal digits."""
    whole = hashlib.sha256()
    for module in closure(modules):
        whole.update(module.encode() + b"\0" + _text(module) + b"\0")
    return whole.hexdigest()[:16]
