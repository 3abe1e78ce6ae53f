"""Processes that work for a run, each on one task, and how all of them stop.

Every task has a process of its own, so that the parent has nothing to do but wait: one Ctrl-C ends
it and all workers at once. A worker does not hear Ctrl-C itself, and dies with its parent however
the parent ends. As many work at a time as there are cores.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from pathlib import Path

Tell = Callable[..., None]


class WorkerError(RuntimeError):
    """A task failed; the message names the task. `kind` is the name of the error it met."""

    def __init__(self, message: str, kind: str = ""):
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Task:
    """Work for one process: `function(*arguments, tell)`, all of it picklable."""

    name: str
    function: Callable
    arguments: tuple = ()


def cores() -> int:
    """How many processes this machine lets us run at a time (affinity and quotas counted)."""
    import joblib

    return max(1, joblib.cpu_count())


def run(
    tasks: Sequence[Task], tell: Tell, *, jobs: int | None = None, isolate: bool = True
) -> dict[str, object]:
    """Do all tasks, `jobs` at a time; what each returned, by its name.

    Parameters
    ----------
    tell : called with whatever a task tells.
    jobs : processes at a time; the cores there are where it is not given.
    isolate : False does the tasks one after the other in this very process.

    Raises
    ------
    WorkerError : a task failed or its process died; the others are stopped.
    KeyboardInterrupt : after all processes have ended.
    """
    if not isolate:
        return {task.name: _here(task, tell) for task in tasks}
    left, running, results = list(tasks), {}, {}
    try:
        while left or running:
            while left and len(running) < (jobs or cores()):
                task = left.pop(0)
                running[task.name] = _start(task)
            ready = connection.wait([pipe for pipe, _ in running.values()])
            for name in [name for name, (pipe, _) in running.items() if pipe in ready]:
                pipe, process = running[name]
                try:
                    kind, content = pipe.recv()
                except EOFError:
                    process.join()
                    raise WorkerError(f"{name}: its process {_ended(process.exitcode)}") from None
                if kind == "told":
                    tell(*content)
                elif kind == "done":
                    results[name] = content
                    process.join()
                    pipe.close()
                    del running[name]
                else:
                    raise WorkerError(*content)
    finally:
        _stop([process for _, process in running.values()])
    return results


def _here(task: Task, tell: Tell) -> object:
    try:
        return task.function(*task.arguments, tell)
    except Exception as error:
        raise WorkerError(*_described(task.name, error)) from error


def _described(name: str, error: Exception) -> tuple[str, str]:
    """A task's error as one line: what it said, and where it arose when it is a fault of ours."""
    kind = type(error).__name__
    if isinstance(error, RuntimeError | OSError | ValueError) and not isinstance(
        error, NotImplementedError | UnicodeError
    ):
        return f"{name}: {error}", kind
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{name}: {kind}: {error} ({Path(frame.filename).name}:{frame.lineno})", kind


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by signal {-code}"
    return f"ended with status {code}"


def _start(task: Task):
    spawn = get_context("spawn")
    mine, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_work, args=(task, theirs), name=task.name, daemon=True)
    with undisturbed():
        process.start()
    theirs.close()
    return mine, process


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold Ctrl-C back for a moment: what starts meanwhile never hears it, we do afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop(processes: list) -> None:
    with undisturbed():
        for process in processes:
            process.kill()
        for process in processes:
            process.join()


# --- inside a worker -------------------------------------------------------------------------


def _work(task: Task, pipe) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    lock = threading.Lock()

    def send(kind: str, content) -> None:
        with lock:
            pipe.send((kind, content))

    try:
        send("done", task.function(*task.arguments, lambda *words: send("told", words)))
    except Exception as error:
        send("failed", _described(task.name, error))
    pipe.close()


def _die_with_parent() -> None:
    """End this process when its parent has ended, killed or not."""
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):  # else the thread below does it, a little later
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

    parent = parent_process()

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
