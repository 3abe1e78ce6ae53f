"""The house rules that tools can judge: imports run one way, types agree where they are checked."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _run(tool: str, *arguments: str) -> subprocess.CompletedProcess:
    program = shutil.which(tool, path=str(Path(sys.executable).parent)) or shutil.which(tool)
    if program is None:
        pytest.skip(f"{tool} is not installed")
    return subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True,
                          check=False)  # fmt: skip


@pytest.mark.parametrize(
    "tool",
    [pytest.param("lint-imports"), pytest.param("mypy", marks=pytest.mark.slow)],
)
def test_what_make_lint_asks_for_holds(tool):
    done = _run(tool)
    assert done.returncode == 0, done.stdout + done.stderr


def test_types_are_asked_for_where_the_map_says_so():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "$(BIN)/mypy" in text and "$(BIN)/lint-imports" in text
    import tomllib

    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert asked["files"] == ["analysis"]
    rooms = [path.relative_to(ROOT).as_posix() for path in (ROOT / "analysis").rglob("*.py")]
    for pattern in asked["exclude"]:
        assert any(re.search(pattern, room) for room in rooms), pattern
    unasked = [room for room in rooms if any(re.search(p, room) for p in asked["exclude"])]
    assert len(unasked) < len(rooms) / 4
