"""The set-up files agree with one another, so that every way in gives the same environment."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WANTED = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]


def conda_requirements() -> list[str]:
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    plain = [entry for entry in listed if isinstance(entry, str)]
    return plain + next(entry["pip"] for entry in listed if isinstance(entry, dict))


def test_environment_yml_keeps_step_with_pyproject():
    assert set(WANTED) <= set(conda_requirements())
    extra = set(conda_requirements()) - set(WANTED)
    assert {re.split("[>=]", entry)[0] for entry in extra} == {"python", "pip", "quarto", "-e ."}


def test_python_floor_is_the_same_everywhere():
    assert PROJECT["requires-python"] == ">=3.12"
    assert "python>=3.12" in conda_requirements()


def test_every_dependency_is_locked_with_hashes_and_without_addresses():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([a-z0-9.-]+)==", lock, flags=re.M))
    assert {re.split("[>=]", entry)[0] for entry in WANTED} <= pinned
    blocks = re.split(r"\n(?=[a-z0-9])", re.sub(r"^#.*\n", "", lock, flags=re.M).strip())
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in lock and "index" not in lock.split("\n", 3)[-1].split("--hash")[0]
