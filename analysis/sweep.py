"""Many independent pieces of work, spread: one pair of choices, `--jobs` and `--backend`.

Simulation studies and gate statistics are sweeps: the same function of many inputs,
none of which needs another. joblib spreads them over processes or threads of this machine, or over
a Dask cluster. How many at a time defaults to the cores there are (of the cluster: what it has).
The numbers do not depend on either choice.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from analysis.workers import cores

BACKENDS = {"processes": "loky", "threads": "threading", "dask": "dask"}
"""What `--backend` may say, and what joblib calls it."""


def add_arguments(parser: argparse.ArgumentParser, backend: str = "processes") -> None:
    """Add `--jobs`, `--backend` and `--address` to a command.

    `backend` is the usual one: threads where each piece starts a process of its own.
    """
    parser.add_argument("--jobs", type=int, help="pieces at a time (default: the cores there are)")
    parser.add_argument("--backend", choices=BACKENDS, default=backend)
    parser.add_argument("--address", help="of a Dask scheduler (default: one of this machine)")


@contextmanager
def spread(asked: argparse.Namespace) -> Iterator[int]:
    """Let `each` work as a command was asked to; how many pieces are done at a time.

    Raises
    ------
    SystemExit : `--backend dask` without the package `distributed`.
    """
    import joblib

    jobs = asked.jobs or cores()
    if asked.backend == "dask":
        try:
            from distributed import Client
        except ImportError:
            raise SystemExit("--backend dask needs the package `distributed`") from None
        client = Client(asked.address)  # joblib's Dask backend finds the client by itself
        jobs = asked.jobs or sum(client.nthreads().values()) or jobs
    with joblib.parallel_config(backend=BACKENDS[asked.backend], n_jobs=jobs):
        yield jobs


def each(
    function: Callable, items: Iterable, *more: Any, jobs: int | None = None, **named: Any
) -> list:
    """`function(item, *more, **named)` of each item, in order.

    `jobs` is needed outside `spread` only; without either, one piece is done at a time.
    """
    import joblib

    work = joblib.Parallel(n_jobs=jobs)
    return list(work(joblib.delayed(function)(item, *more, **named) for item in items))
