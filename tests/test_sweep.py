"""Sweeps: the same numbers however they are spread, and the cores there are by default."""

import argparse

import pytest

from analysis import sweep, workers


def asked(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    sweep.add_arguments(parser)
    return parser.parse_args(words)


def scaled(x: int, factor: int, *, shift: int = 0) -> int:
    return factor * x + shift


@pytest.mark.parametrize("backend", ["threads", "processes"])
@pytest.mark.parametrize("jobs", ["1", "3"])
def test_results_come_in_order_whatever_does_the_work(backend, jobs):
    with sweep.spread(asked("--backend", backend, "--jobs", jobs)) as at_a_time:
        assert at_a_time == int(jobs)
        assert sweep.each(scaled, range(7), 2, shift=1) == [1, 3, 5, 7, 9, 11, 13]


def test_the_cores_there_are_is_the_default():
    with sweep.spread(asked("--backend", "threads")) as at_a_time:
        assert at_a_time == workers.cores()


def test_an_unknown_backend_is_a_wrong_call(capsys):
    with pytest.raises(SystemExit) as ended:
        asked("--backend", "carrier pigeons")
    assert ended.value.code == 2 and "threads" in capsys.readouterr().err


def test_a_cluster_without_its_package_says_which_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with (
        pytest.raises(SystemExit, match="needs the package `distributed`"),
        sweep.spread(asked("--backend", "dask")),
    ):
        pass
