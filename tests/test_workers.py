"""Stopping: an interrupted run ends with all its workers, a killed one leaves none behind."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import stub_tasks
from conftest import every

from analysis import workers

HERE = Path(__file__).parent
PATIENCE = 300
"""Seconds after which a test gives up: a machine in use may be slow."""

posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


def until(condition, seconds: float = PATIENCE) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


class Running:
    """A run of two stages that take very long."""

    def __init__(self, raw: Path, folder: Path):
        self.out = folder / "data" / "processed"
        pids = folder / "pids"
        pids.mkdir()
        env = {**os.environ, "STUB_PIDS": str(pids), "PYTHONPATH": str(HERE.parent)}
        words = ["waits,waits", "run", "--jobs", "2", "--raw", raw, "--out", self.out]
        self.process = subprocess.Popen(
            [sys.executable, HERE / "run_stubs.py", *words],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pids = pids
        self.workers: list[int] = []

    def get_to_work(self) -> None:
        assert until(lambda: len(list(self.pids.iterdir())) == 2)
        self.workers = [int(path.name) for path in self.pids.iterdir()]

    def left(self) -> list[str]:
        return sorted(path.name for path in self.out.parent.iterdir())

    def end(self) -> None:
        """Leave nothing running, whatever the test has found."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def run(raw_dir, tmp_path):
    made = Running(raw_dir, tmp_path)
    try:
        made.get_to_work()
        yield made
    finally:
        made.end()


@posix
@pytest.mark.parametrize("to", every("the parent alone", "the process group"))
def test_ctrl_c_ends_the_run_and_its_workers_without_a_traceback(run, to):
    send = os.killpg if to == "the process group" else os.kill
    send(run.process.pid, signal.SIGINT)
    _, said = run.process.communicate(timeout=PATIENCE)
    assert run.process.returncode == 130
    assert "stopped; nothing was written" in said and "Traceback" not in said
    assert not any(alive(pid) for pid in run.workers)
    assert run.left() == []


@posix
@pytest.mark.slow
def test_a_terminated_run_clears_up_and_takes_its_workers_along(run):
    run.process.terminate()
    _, said = run.process.communicate(timeout=PATIENCE)
    assert run.process.returncode == 143 and "Traceback" not in said
    assert not any(alive(pid) for pid in run.workers)
    assert run.left() == []


@posix
@pytest.mark.slow
def test_a_killed_run_leaves_no_workers_and_the_next_one_clears_up(run, raw_dir):
    run.process.kill()
    run.process.communicate(timeout=PATIENCE)
    assert until(lambda: not any(alive(pid) for pid in run.workers))
    assert any(".new-" in name for name in run.left())
    words = ["numbers", "run", "--raw", raw_dir, "--out", run.out]
    subprocess.run(
        [sys.executable, HERE / "run_stubs.py", *words],
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        check=True,
        capture_output=True,
    )
    assert run.left() == ["processed"]


def test_every_task_returns_to_its_name_and_what_it_tells_arrives():
    tasks = [workers.Task(str(x), stub_tasks.double, (x,)) for x in range(3)]
    told = []
    with workers.Crew(2) as crew:
        made = crew.run(tasks, lambda *words: told.append(words))
    assert made == {"0": 0, "1": 2, "2": 4}
    assert sorted(told) == [("doubling", 0), ("doubling", 1), ("doubling", 2)]


def test_a_process_takes_one_task_after_the_other_and_ends_with_the_crew():
    tasks = [workers.Task(name, stub_tasks.own_process) for name in "ab"]
    with workers.Crew(1) as crew:
        first = set(crew.run(tasks, print).values())
        again = set(crew.run(tasks[:1], print).values())
        assert first == again and len(first) == 1 and os.getpid() not in first
    assert not alive(first.pop())


def test_there_is_at_least_one_core():
    assert 1 <= workers.cores() <= (os.cpu_count() or 1)
