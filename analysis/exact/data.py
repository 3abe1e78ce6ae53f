"""Checks of what is handed to `fit` and `fit_many`, and its form as a `Problem`.

Every refusal is a ValueError that names the row (and column) of the first offending value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.exact.model import Problem
from analysis.exact.priors import Normal, TauPrior

RANK_TOLERANCE = 1e-10
LARGEST = 1e120  # beyond it squares and their products leave the range of doubles


@dataclass(frozen=True)
class Design:
    """The design matrix, (rows or 1, k, q), with the names of its columns."""

    x: np.ndarray
    names: list[str]
    given: bool


def problem_of(
    y: Any,
    se: Any,
    mask: Any,
    X: Any,
    mu_prior: Any,
    tau_prior: TauPrior,
    *,
    batch: bool,
) -> tuple[Problem, Design, np.ndarray]:
    """Check the arguments and stack studies and prior rows; also the number of flat coefficients.

    Parameters
    ----------
    y, se, mask : (rows, k) when `batch`, else (k,): effects, standard errors, which count.
    X : covariates of the studies, or None.
    mu_prior : of the mean, or of each column of X.
    tau_prior : of the standard deviation between studies.
    batch : whether there are many data sets, one a row.

    Returns
    -------
    problem, design : the stacked studies and prior rows, and the columns of X.
    n_flat : (rows,) number of coefficients with a flat prior.

    Raises
    ------
    ValueError : names the row (and column) of the first offending value.
    """
    if not isinstance(tau_prior, TauPrior):
        raise ValueError(f"tau_prior must be a prior of exact, such as HalfNormal: {tau_prior!r}")
    y, se = _numbers("y", y), _numbers("se", se)
    dimensions = 2 if batch else 1
    if y.ndim != dimensions:
        shape = "(batch, k)" if batch else "(k,)"
        raise ValueError(f"y must have shape {shape}, got {y.shape}")
    if batch and se.ndim == 1 and se.shape[0] == y.shape[1]:
        se = np.broadcast_to(se, y.shape)
    if se.shape != y.shape:
        raise ValueError(f"y and se differ in shape: {y.shape} and {se.shape}")
    if y.shape[-1] == 0 or y.shape[0] == 0:
        raise ValueError("no study: y is empty")
    if not batch:
        y, se = y[None, :], se[None, :]
    present = _mask(mask, y.shape)
    _check_values("y", y, present & ~np.isfinite(y), "finite", batch)
    _check_values("se", se, present & ~(np.isfinite(se) & (se > 0)), "finite and above zero", batch)
    rule = f"at most {LARGEST:g} in size (rescale)"
    _check_values("y", y, present & (np.abs(y) > LARGEST), rule, batch)
    rule = f"between {1 / LARGEST:g} and {LARGEST:g} (rescale)"
    _check_values("se", se, present & ((se > LARGEST) | (se < 1 / LARGEST)), rule, batch)
    none = np.flatnonzero(~present.any(axis=1))
    if none.size:
        raise ValueError(f"row {none[0]} has no study: every entry is masked")
    # Masked entries carry no weight; the largest variance is what `model` expects of them.
    y, se = np.where(present, y, 0.0), np.where(present, se, 0.0)
    se = np.where(present, se, se.max(axis=1, keepdims=True))

    rows, k = y.shape
    prior_rows = tau_prior.n_rows()
    if prior_rows is not None and prior_rows != rows:
        raise ValueError(f"tau_prior has {prior_rows} values for {rows} data sets")
    design = _design(X, rows, k)
    q = design.x.shape[2]
    mean, sd = _coefficient_priors(mu_prior, design, rows)
    _check_rank(design.x, present, np.isinf(sd), batch)

    proper = np.isfinite(sd)
    problem = Problem(
        y=np.hstack([y, np.where(proper, mean, 0.0)]),
        variance=np.hstack([se**2, np.where(proper, sd, 1.0) ** 2]),
        present=np.hstack([present, proper]),
        x=np.concatenate([design.x, np.broadcast_to(np.eye(q), (design.x.shape[0], q, q))], axis=1),
        random=np.concatenate([np.ones(k), np.zeros(q)]),
        k=k,
    )
    if not proper.any():
        problem = Problem(y, se**2, present, design.x, np.ones(k), k)
    return problem, design, (~proper).sum(axis=1)


def _numbers(name: str, values: Any) -> np.ndarray:
    try:
        if isinstance(values, pd.Series | pd.DataFrame):
            return values.to_numpy(dtype=float, na_value=np.nan)
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers: {error}") from None


def _mask(mask: Any, shape: tuple[int, ...]) -> np.ndarray:
    if mask is None:
        return np.ones(shape, dtype=bool)
    present = np.asarray(mask)
    if present.dtype != bool and not np.isin(present, (0, 1)).all():
        raise ValueError("mask must hold True for a study that counts and False for one that not")
    present = present.astype(bool)
    if present.shape not in (shape, shape[1:]):
        raise ValueError(f"mask has shape {present.shape}, y has {shape}")
    return np.broadcast_to(present, shape)


def _check_values(name: str, values: np.ndarray, bad: np.ndarray, rule: str, batch: bool) -> None:
    if bad.any():
        row, column = np.argwhere(bad)[0]
        where = f"row {row}, column {column}" if batch else f"row {column}"
        raise ValueError(f"{name} must be {rule}: {where} is {values[row, column]}")


def _design(X: Any, rows: int, k: int) -> Design:
    if X is None:
        return Design(np.ones((1, k, 1)), ["mu"], given=False)
    names = None
    if isinstance(X, pd.DataFrame):
        names = [str(name) for name in X.columns]
    elif isinstance(X, pd.Series):
        names = [str(X.name) if X.name is not None else "x0"]
        X = X.to_numpy()
    x = _numbers("X", X)
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim == 2:
        x = x[None]
    if x.ndim != 3 or x.shape[1] != k or x.shape[0] not in (1, rows) or x.shape[2] == 0:
        raise ValueError(f"X must have one row for each of the {k} studies, got shape {x.shape}")
    if not np.isfinite(x).all():
        _, row, column = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(f"X must be finite: row {row}, column {column} is not")
    names = names or [f"x{j}" for j in range(x.shape[2])]
    if len(set(names)) != len(names):
        raise ValueError(f"columns of X must have different names: {names}")
    return Design(x, names, given=True)


def _coefficient_priors(mu_prior: Any, design: Design, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Prior means and standard deviations (inf: flat), each (rows, q)."""
    q = len(design.names)
    if isinstance(mu_prior, Mapping):
        unknown = set(mu_prior) - set(design.names)
        if unknown:
            raise ValueError(f"mu_prior names no column of X: {sorted(unknown)}")
        priors = [mu_prior.get(name) for name in design.names]
    elif isinstance(mu_prior, Sequence):
        priors = list(mu_prior)
    else:
        priors = [mu_prior] * q
    if len(priors) != q:
        raise ValueError(f"mu_prior has {len(priors)} priors for {q} coefficients")
    mean, sd = np.zeros((rows, q)), np.full((rows, q), np.inf)
    for j, prior in enumerate(priors):
        if prior is None:
            continue
        if not isinstance(prior, Normal):
            raise ValueError(f"mu_prior must be Normal or None, got {prior!r}")
        try:
            mean[:, j], sd[:, j] = prior.mean, prior.sd
        except ValueError:
            raise ValueError(f"mu_prior has not one value for each of {rows} data sets") from None
    return mean, sd


def _check_rank(x: np.ndarray, present: np.ndarray, flat: np.ndarray, batch: bool) -> None:
    """The columns with flat priors must be told apart by the studies present."""
    q = x.shape[2]
    if q == 1 and np.all(x == 1.0):
        return  # one study is enough for a mean, and every row has one
    patterns = np.hstack([present, flat])
    if x.shape[0] > 1:
        checks = [(row, x[row]) for row in range(x.shape[0])]
    else:
        _, first = np.unique(patterns, axis=0, return_index=True)
        checks = [(row, x[0]) for row in first]
    for row, design in checks:
        columns = design[present[row]][:, flat[row]]
        if columns.shape[1] == 0:
            continue
        size = np.linalg.norm(columns, axis=0)
        scaled = columns / np.where(size > 0, size, 1.0)
        if np.linalg.matrix_rank(scaled, tol=RANK_TOLERANCE) < columns.shape[1]:
            where = f"row {row}: " if batch else ""
            raise ValueError(
                f"{where}X has rank below its {columns.shape[1]} columns with a flat prior: "
                "the posterior is improper; drop a column or give it a Normal prior"
            )
