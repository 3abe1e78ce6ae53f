"""Fixtures shared by the tests: the tracked evidence, and a copy of it that a test may spoil."""

import os
import shutil
from pathlib import Path

import hypothesis
import pytest

from analysis import evidence as evidence_module

# A loaded machine may be slow at drawing examples; speed is for the benchmarks to judge.
hypothesis.settings.register_profile(
    "isletmeta",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("isletmeta")

os.environ["ISLETMETA_CACHE"] = ""  # no test takes a fit from another run

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def tracked_raw() -> Path:
    """The tracked folder data/raw: to be read only."""
    return ROOT / "data" / "raw"


@pytest.fixture
def raw_dir(tracked_raw: Path, tmp_path: Path) -> Path:
    """A copy of data/raw that a test may change."""
    copy = tmp_path / "raw"
    shutil.copytree(tracked_raw, copy)
    return copy


@pytest.fixture(scope="session")
def evidence(tracked_raw: Path) -> evidence_module.Evidence:
    """The tracked evidence, read once."""
    return evidence_module.load(tracked_raw)


@pytest.fixture(scope="session")
def run_folder() -> Path:
    """The tracked results: to be read only. Skips where they are of another contract."""
    from analysis import results

    folder = Path(os.environ.get("ISLETMETA_TEST_RUN", ROOT / "data" / "processed"))
    try:
        for name in results.TABLES:
            results.read(folder, name)
    except results.ContractError as error:
        pytest.skip(f"{folder} is of another version: run `make report` first ({error})")
    return folder
