"""Processes that work for a run, each on one task, and how all of them stop.

Tasks are done in processes of their own, each of which takes the next task when it has done one, so
that the libraries are loaded once a process. The parent has nothing to do but wait: one Ctrl-C ends
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
from multiprocessing.process import BaseProcess
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


class Crew:
    """Processes that take one task after the other, started when there is work for them.

    Parameters
    ----------
    jobs : processes at a time; the cores there are where it is not given.
    isolate : False does the tasks one after the other in this very process.

    As a context: all processes have ended when it is left.
    """

    def __init__(self, jobs: int | None = None, isolate: bool = True):
        self._jobs, self._isolate = jobs, isolate
        self._processes: dict[connection.Connection, BaseProcess] = {}
        self._idle: list[connection.Connection] = []

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        with undisturbed():
            for process in self._processes.values():
                process.kill()
            for process in self._processes.values():
                process.join()

    def run(self, tasks: Sequence[Task], tell: Tell) -> dict[str, object]:
        """Do all tasks, in their order as processes get free; what each returned, by its name.

        Parameters
        ----------
        tell : called with whatever a task tells.

        Raises
        ------
        WorkerError : a task failed or its process died; the crew is of no further use.
        """
        if not self._isolate:
            return {task.name: _here(task, tell) for task in tasks}
        left, names, results = list(tasks), {}, {}
        while left or names:
            while left and (self._idle or len(self._processes) < (self._jobs or cores())):
                pipe = self._idle.pop() if self._idle else self._start()
                task = left.pop(0)
                names[pipe] = task.name
                # A process that died meanwhile is seen below, where its pipe is at an end.
                with suppress(BrokenPipeError):
                    pipe.send(task)
            ready = connection.wait(list(names))
            for pipe in [pipe for pipe in names if pipe in ready]:
                try:
                    kind, content = pipe.recv()
                except (EOFError, ConnectionResetError):
                    process = self._processes[pipe]
                    process.join()
                    how = _ended(process.exitcode)
                    raise WorkerError(f"{names[pipe]}: its process {how}") from None
                if kind == "told":
                    tell(*content)
                elif kind == "done":
                    results[names.pop(pipe)] = content
                    self._idle.append(pipe)
                else:
                    raise WorkerError(*content)
        return results

    def _start(self) -> connection.Connection:
        spawn = get_context("spawn")
        mine, theirs = spawn.Pipe()
        process = spawn.Process(target=_work, args=(theirs,), daemon=True)
        with undisturbed():
            process.start()
        theirs.close()
        self._processes[mine] = process
        return mine


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


# --- inside a worker -------------------------------------------------------------------------


def _work(pipe: connection.Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    lock = threading.Lock()

    def send(kind: str, content) -> None:
        with lock:
            pipe.send((kind, content))

    while True:
        try:
            task = pipe.recv()
        except EOFError:  # nobody is left who would ask
            return
        try:
            send("done", task.function(*task.arguments, lambda *words: send("told", words)))
        except Exception as error:
            send("failed", _described(task.name, error))


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
