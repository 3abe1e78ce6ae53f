"""Makes .venv from requirements.lock, once, and does the project's two jobs in it.

    python scripts/setup.py            make .venv ready (skipped while nothing changed)
    python scripts/setup.py report     ... then validate, fit and render report.html
    python scripts/setup.py test       ... then run the fast tests; further words go to pytest

It needs Python 3.12 or newer, any system, and neither make nor a shell; `make report` and `make
test` come here, too. A checkout that was copied or moved is noticed: its .venv would still run the
code of the old place, and is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLOOR = (3, 12)
SETTINGS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}
"""The models are small and processes share the machine: one BLAS thread each. Code and tests are
compiled once and kept, whatever the machine's settings: many processes are started."""


def main(words: list[str]) -> int:
    """Do what the command line asks; the exit status."""
    job, *more = words or [""]
    if job not in ("", "report", "test") or (more and job != "test"):
        print(__doc__, file=sys.stderr)
        return 2
    if sys.version_info < FLOOR:
        print(f"isletmeta needs Python 3.12 or newer; this is {sys.version.split()[0]}",
              file=sys.stderr)  # fmt: skip
        return 1
    try:
        make_ready(ROOT)
        for command in jobs(ROOT).get(job, []):
            status = subprocess.call([*command, *more], cwd=ROOT, env={**os.environ, **SETTINGS})
            if status:
                return status
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


class SetupError(RuntimeError):
    """The environment could not be made; the message says why."""


def program(root: Path, name: str) -> str:
    """A program of the environment of a checkout."""
    folder, end = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")
    return str(root / ".venv" / folder / f"{name}{end}")


def jobs(root: Path) -> dict[str, list[list[str]]]:
    """The commands of each job, in order."""
    isletmeta = [program(root, "python"), "-m", "analysis.cli"]
    pytest = [program(root, "python"), "-m", "pytest", "-n", "auto", "--dist", "worksteal"]
    return {"report": [[*isletmeta, "run"], [*isletmeta, "report"]], "test": [pytest]}


def wanted(root: Path) -> dict[str, str]:
    """What an environment must have been made from to be the right one here."""
    texts = [(root / name).read_bytes() for name in ("requirements.lock", "pyproject.toml")]
    clean = b"\0".join(text.replace(b"\r\n", b"\n") for text in texts)
    return {"place": str(root.resolve()), "from": hashlib.sha256(clean).hexdigest()}


def reason(root: Path) -> str:
    """Why the environment of a checkout must be made; empty when it is ready."""
    if not Path(program(root, "python")).exists():
        return "there is none yet"
    try:
        made = json.loads((root / ".venv" / ".ready").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "it was not finished"
    if not isinstance(made, dict) or "place" not in made:
        return "it was not finished"
    now = wanted(root)
    if made["place"] != now["place"]:
        return f"it belongs to {made['place']}"
    return "" if made == now else "requirements.lock or pyproject.toml changed"


def make_ready(root: Path) -> None:
    """Make the environment of a checkout where it is not ready.

    Raises SetupError when Python, pip or the network do not give it.
    """
    if not reason(root):
        return
    with alone(root):
        why = reason(root)
        if why:
            print(f"Setting up .venv ({why}; a few minutes on a first machine) ...", flush=True)
            _make(root)


@contextmanager
def alone(root: Path):
    """Hold the lock of a checkout's set-up: two that start together make one environment."""
    folder = root / ".cache"
    try:
        folder.mkdir(exist_ok=True)
        file = open(folder / "setup.lock", "a+b")  # noqa: SIM115  the lock lives while it is open
    except OSError as error:
        raise SetupError(f"{root} cannot be written: {error.strerror}") from None
    with file:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(root: Path) -> None:
    base = getattr(sys, "_base_executable", "") or sys.executable
    shutil.rmtree(root / ".venv", ignore_errors=True)
    _call([base, "-m", "venv", "--clear", str(root / ".venv")], root)
    pip = [program(root, "python"), "-m", "pip", "--disable-pip-version-check"]
    total = (root / "requirements.lock").read_text(encoding="utf-8").count("==")
    _call([*pip, "install", "--require-hashes", "--no-input", "-r", "requirements.lock"], root,
          total)  # fmt: skip
    itself = ["--no-deps", "--no-build-isolation", "--no-input", "-e", "."]
    _call([*pip, "install", "--quiet", *itself], root)
    stamp = json.dumps(wanted(root), indent=1)
    (root / ".venv" / ".ready").write_text(stamp, encoding="utf-8")
    print("Ready.", flush=True)


def _call(command: list[str], root: Path, total: int = 0) -> None:
    """Run a step; count the packages where their number is known; its words only on failure."""
    said = []
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace") as step:  # fmt: skip
        seen = 0
        for line in step.stdout:
            said.append(line)
            if total and line.startswith("Collecting"):
                seen += 1
                print(f"\r  {seen} packages of at most {total}", end="", flush=True)
            elif total and line.startswith("Installing"):
                print("\r  installing them all ...        ", end="", flush=True)
    if total:
        print(flush=True)
    if step.returncode:
        raise SetupError("".join(said[-40:]) + "the environment could not be made")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
