"""The normal-normal hierarchical model given its heterogeneity: everything that has a closed form.

    y_i | θ_i ~ N(θ_i, se_i²),   θ_i | β, τ ~ N(x_i β, τ²),   hence   y | β, τ ~ N(Xβ, S + τ²I)

(Gelman et al., BDA3, sections 5.4-5.5; Röver 2020, J Stat Softw 93(6), section 2; with covariates
Röver & Friede 2023, Comput Methods Programs Biomed 229:107303). Given τ, a normal or flat prior
of β gives a normal posterior of β. A normal prior β_j ~ N(m_j, v_j²) has the same form as one more
observation m_j of β_j with variance v_j² and no heterogeneity, so it is added as such a row, and
the whole is one weighted least squares problem with weights w_i = 1 / (se_i² + τ²):

    log p(y | τ) = ½ Σ log w_i - (n - q)/2 log 2π - ½ log|X'WX| - ½ (y - Xβ̂)'W(y - Xβ̂)

with n rows (prior rows included) and q coefficients. A flat prior has density 1 (the convention of
bayesmeta): with one, the marginal likelihood is defined up to that choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LOG_2PI = np.log(2.0 * np.pi)
BLOCK_ELEMENTS = 131_072  # rows x studies x points x columns at once: a megabyte, in cache
SAFE_RATIO = 1e-36  # its eighth power is still above the smallest double


@dataclass(frozen=True)
class Problem:
    """A batch of data sets of one shape; prior rows come after the k study rows.

    y, variance, present : (rows, n); `present` is False for a masked study and a flat prior.
    x : (rows or 1, n, q) design.
    random : (n,) 1.0 for a study row, 0.0 for a prior row (which τ does not touch).
    k : number of study rows, masked ones included.
    """

    y: np.ndarray
    variance: np.ndarray
    present: np.ndarray
    x: np.ndarray
    random: np.ndarray
    k: int

    @property
    def n_rows(self) -> int:
        return self.y.shape[0]

    def rows(self, index: np.ndarray | slice) -> Problem:
        """The same for a selection of data sets."""
        x = self.x if self.x.shape[0] == 1 else self.x[index]
        return Problem(
            self.y[index], self.variance[index], self.present[index], x, self.random, self.k
        )


@dataclass(frozen=True)
class Conditional:
    """Moments given τ, for each row and each τ.

    log_likelihood : (rows, points)      beta : (rows, points, q)
    root : (rows, points, q, q) upper triangular R with Cov(β | τ, y)⁻¹ = R'R
    leverage : (rows, k, points) diagonal of the hat matrix, or None when not asked for
    """

    log_likelihood: np.ndarray
    beta: np.ndarray
    root: np.ndarray
    leverage: np.ndarray | None

    @property
    def hat(self) -> np.ndarray:
        """The leverages. Raises ValueError where they were not asked for."""
        if self.leverage is None:
            raise ValueError("the leverages were not asked for")
        return self.leverage

    def combination(self, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of a'β given τ; `a` has shape (q,) or (rows, q)."""
        a = np.broadcast_to(np.atleast_2d(a), (self.beta.shape[0], self.beta.shape[2]))
        mean = np.einsum("rtq,rq->rt", self.beta, a)
        # Solve R'u = a forwards; the variance of a'β is u'u.
        q = a.shape[1]
        u = np.empty_like(self.beta)
        for j in range(q):
            known = sum(self.root[:, :, i, j] * u[:, :, i] for i in range(j))
            u[:, :, j] = (a[:, None, j] - known) / self.root[:, :, j, j]
        return mean, np.sqrt((u * u).sum(axis=2))


def condition(problem: Problem, tau: np.ndarray, *, leverage: bool = False) -> Conditional:
    """Weighted least squares at each τ.

    The work is done in blocks small enough for the processor's cache, so that memory does not
    grow with the number of studies times points.

    Parameters
    ----------
    problem : the studies and prior rows.
    tau : (rows, points), not negative.
    leverage : also return the diagonal of the hat matrix.
    """
    rows, points = tau.shape
    n, q = problem.x.shape[1:]
    columns = n * (q + 1)  # a weighted copy of each column and of y
    wide = min(points, max(1, BLOCK_ELEMENTS // columns))
    tall = max(1, BLOCK_ELEMENTS // (columns * wide))
    if rows <= tall and points <= wide:
        return _condition_block(problem, tau, leverage)
    whole = Conditional(
        np.empty((rows, points)),
        np.empty((rows, points, q)),
        np.empty((rows, points, q, q)),
        np.empty((rows, problem.k, points)) if leverage else None,
    )
    for top in range(0, rows, tall):
        r = slice(top, top + tall)
        some_rows = problem.rows(r)
        for left in range(0, points, wide):
            t = slice(left, left + wide)
            block = _condition_block(some_rows, tau[r, t], leverage)
            whole.log_likelihood[r, t] = block.log_likelihood
            whole.beta[r, t], whole.root[r, t] = block.beta, block.root
            if whole.leverage is not None:
                whole.leverage[r, :, t] = block.leverage
    return whole


def _condition_block(problem: Problem, tau: np.ndarray, leverage: bool) -> Conditional:
    """`condition` in one piece; arrays are (rows, n, points), the long axis last."""
    q = problem.x.shape[2]
    square = tau * tau
    total = square[:, None, :] * problem.random[:, None]
    total += problem.variance[:, :, None]
    log_weights = _sum_log_weights(problem, total[:, : problem.k], square)
    weight = np.divide(problem.present[:, :, None], total, out=total)
    least_squares = _one_coefficient if q == 1 else _gram_schmidt
    beta, root, residual, hat = least_squares(problem, weight, leverage)
    with np.errstate(divide="ignore"):
        log_det = 2.0 * np.log(np.einsum("rtjj->rtj", root)).sum(axis=2)
    n = problem.present.sum(axis=1)[:, None]
    log_likelihood = 0.5 * (log_weights - log_det - residual - (n - q) * LOG_2PI)
    return Conditional(log_likelihood, beta, root, hat)


def _sum_log_weights(problem: Problem, total: np.ndarray, square: np.ndarray) -> np.ndarray:
    """Σ log w over the rows present, (rows, points).

    Logarithms are dear, so one is taken of each product of eight variances, in units of the
    largest (of each single one when they differ so much that a product could underflow). A masked
    study has the largest variance (see `data`), hence a factor of exactly one.
    """
    k = problem.k
    variance = problem.variance[:, :k]
    largest = variance.max(axis=1)
    group = 8 if (variance.min(axis=1) / largest).min() > SAFE_RATIO else 1
    top = largest[:, None] + square
    ratio = total / top[:, None, :]
    products = np.multiply.reduceat(ratio, np.arange(0, k, group), axis=1)
    studies = problem.present[:, :k].sum(axis=1)[:, None]
    value = -np.log(products).sum(axis=1) - studies * np.log(top)
    prior = np.where(problem.present[:, k:], np.log(problem.variance[:, k:]), 0.0).sum(axis=1)
    return value - prior[:, None]


def _one_coefficient(
    problem: Problem, weight: np.ndarray, leverage: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """The same for q = 1, where least squares is a weighted mean."""
    x = np.broadcast_to(problem.x[:, :, 0], problem.y.shape)
    sums = np.matmul(np.stack([x * x, x * problem.y], axis=1), weight)
    information = sums[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        beta = sums[:, 1] / information
        residual = problem.y[:, :, None] - x[:, :, None] * beta[:, None, :]
        residual *= residual
        residual *= weight
        squares = residual.sum(axis=1)
        hat = None
        if leverage:
            studies = slice(0, problem.k)
            hat = weight[:, studies] * (x * x)[:, studies, None] / information[:, None, :]
    root = np.sqrt(information)[:, :, None, None]
    return beta[:, :, None], root, squares, hat


def _gram_schmidt(
    problem: Problem, weight: np.ndarray, leverage: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """β̂, R, the residual sum of squares and the leverages, by modified Gram-Schmidt."""
    rows, _, points = weight.shape
    q = problem.x.shape[2]
    root_w = np.sqrt(weight)
    z = root_w * problem.y[:, :, None]
    columns = [root_w * problem.x[:, :, j, None] for j in range(q)]
    root = np.zeros((rows, points, q, q))
    d = np.empty((rows, points, q))
    hat = np.zeros((rows, problem.k, points)) if leverage else None
    with np.errstate(divide="ignore", invalid="ignore"):
        for j in range(q):
            norm = np.sqrt((columns[j] * columns[j]).sum(axis=1))
            root[:, :, j, j] = norm
            unit = columns[j] / norm[:, None, :]
            for m in range(j + 1, q):
                dot = (unit * columns[m]).sum(axis=1)
                root[:, :, j, m] = dot
                columns[m] = columns[m] - unit * dot[:, None, :]
            d[:, :, j] = (unit * z).sum(axis=1)
            z = z - unit * d[:, None, :, j]
            if hat is not None:
                hat += unit[:, : problem.k] ** 2
    beta = np.empty_like(d)
    for j in range(q - 1, -1, -1):
        known = sum(root[:, :, j, m] * beta[:, :, m] for m in range(j + 1, q))
        beta[:, :, j] = (d[:, :, j] - known) / root[:, :, j, j]
    return beta, root, (z * z).sum(axis=1), hat


def typical_variance(problem: Problem) -> np.ndarray:
    """The "typical" sampling variance of Higgins & Thompson (2002, Stat Med 21:1539), (rows,).

    (k - q) / tr(W - WX(X'WX)⁻¹X'W) with W = diag(1/se²), which without covariates is
    (k - 1) Σw / ((Σw)² - Σw²); k / Σw (the harmonic mean) when k ≤ q.

    References
    ----------
    Higgins & Thompson (2002), Stat Med 21:1539.
    """
    studies = Problem(
        problem.y[:, : problem.k],
        problem.variance[:, : problem.k],
        problem.present[:, : problem.k],
        problem.x[:, : problem.k],
        problem.random[: problem.k],
        problem.k,
    )
    weight = np.where(studies.present, 1.0 / studies.variance, 0.0)
    k = studies.present.sum(axis=1)
    spare = k - studies.x.shape[2]
    given = condition(studies, np.zeros((studies.n_rows, 1)), leverage=True)
    hat = given.hat[:, :, 0]
    trace = (weight * (1.0 - hat)).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((spare > 0) & (trace > 0), spare / trace, k / weight.sum(axis=1))
