"""The set-up files agree with one another, so that every way in gives the same environment."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
WANTED = PROJECT["dependencies"] + EXTRAS["run"] + EXTRAS["dev"]


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


# --- scripts/setup.py ------------------------------------------------------------------------


def load_setup():
    spec = importlib.util.spec_from_file_location("isletmeta_setup", ROOT / "scripts" / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


setup = load_setup()


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose environment is ready, as far as its stamp goes."""
    root = tmp_path / "checkout"
    root.mkdir()
    for name in ("requirements.lock", "pyproject.toml"):
        (root / name).write_text(f"# {name}\n", encoding="utf-8")
    python = Path(setup.program(root, "python"))
    python.parent.mkdir(parents=True)
    python.write_text("", encoding="utf-8")
    (root / ".venv" / ".ready").write_text(json.dumps(setup.wanted(root)), encoding="utf-8")
    return root


def test_a_ready_environment_is_left_alone(checkout, monkeypatch):
    monkeypatch.setattr(setup, "_make", lambda root: pytest.fail("made again"))
    assert setup.reason(checkout) == ""
    setup.make_ready(checkout)


def test_a_copied_checkout_notices_that_its_environment_belongs_elsewhere(checkout, tmp_path):
    copy = shutil.copytree(checkout, tmp_path / "copy")
    assert setup.reason(copy) == f"it belongs to {checkout.resolve()}"


def test_a_moved_checkout_notices_that_its_environment_belongs_elsewhere(checkout, tmp_path):
    before = checkout.resolve()
    moved = checkout.rename(tmp_path / "moved")
    assert setup.reason(moved) == f"it belongs to {before}"


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_an_environment_is_made_anew_when_what_it_came_from_changed(checkout, name):
    (checkout / name).write_text("numpy==1\n", encoding="utf-8")
    assert "changed" in setup.reason(checkout)


def test_line_ends_of_another_system_are_no_change(checkout):
    path = checkout / "pyproject.toml"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert setup.reason(checkout) == ""


@pytest.mark.parametrize("stamp", [None, "", "1234567 89", "{}", "[]"])
def test_a_set_up_that_was_cut_short_is_done_again(checkout, stamp):
    path = checkout / ".venv" / ".ready"
    path.unlink() if stamp is None else path.write_text(stamp, encoding="utf-8")
    assert setup.reason(checkout) == "it was not finished"


def test_a_failing_step_of_the_set_up_is_told_and_leaves_no_stamp(checkout, monkeypatch, capsys):
    (checkout / ".venv" / ".ready").unlink()
    words = [sys.executable, "-c", "import sys; print('no network'); sys.exit(3)"]
    monkeypatch.setattr(setup, "_make", lambda root: setup._call(words, root))
    monkeypatch.setattr(setup, "ROOT", checkout)
    assert setup.main([]) == 1
    assert "no network" in capsys.readouterr().err
    assert not (checkout / ".venv" / ".ready").exists()


def test_both_jobs_run_in_order_and_stop_at_the_first_failure(checkout, monkeypatch):
    called = []

    def call(command, **options):
        called.append(command[1:])
        return 4 if command[-1] == "run" else 0

    monkeypatch.setattr(setup, "ROOT", checkout)
    monkeypatch.setattr(setup.subprocess, "call", call)
    assert setup.main(["report"]) == 4
    assert called == [["-m", "analysis.cli", "run"]]
    assert setup.main(["test", "tests/test_units.py"]) == 0
    assert called[-1][-1] == "tests/test_units.py" and "pytest" in called[-1]


def test_an_unknown_job_is_a_wrong_call(capsys):
    assert setup.main(["dance"]) == 2
    assert "scripts/setup.py report" in capsys.readouterr().err


@pytest.mark.slow  # of one process for two questions see test_vocabulary
def test_the_package_s_own_commands_need_neither_make_nor_a_shell():
    done = subprocess.run(
        [sys.executable, "-m", "analysis.cli", "check"],
        cwd=ROOT,
        env={**os.environ, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "studies" in done.stdout


def test_the_makefile_and_the_readme_name_the_same_jobs():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for job in setup.jobs(ROOT):
        assert f"scripts/setup.sh {job}" in makefile
        assert f"make {job}" in readme and f"scripts/setup.py {job}" in readme
