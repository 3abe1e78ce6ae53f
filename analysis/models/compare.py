"""Does a sampler agree with quadrature? The comparison of a witness, the same for every model.

The numbers of the report come from deterministic quadrature; NUTS samples the same posterior as an
independent witness. For each quantity the mean, the SD and the 2.5 and 97.5 % points of the draws
must lie within `MCSE_ALLOWED` Monte-Carlo standard errors of the draws plus `SD_ALLOWED` posterior
SDs of the exact figures. Anything further is heard again (`confirmed`); what lies outside twice is
a disagreement of two programs, not noise, and an error. A fit that fails its gate is no witness,
and is never compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.central import HIGH, LOW, central_of_draws
from analysis.exact import Distribution
from analysis.models.sampling import Diagnostics

MCSE_ALLOWED = 4.0
SD_ALLOWED = 0.01
AGAIN, NEXT_SEED = 5, 500_000
"""Times the draws, and the step to the seed, of a second hearing."""
FIGURES = ("mean", "sd", "q025", "q975")


class DisagreementError(RuntimeError):
    """Quadrature and NUTS gave different posteriors; the message names quantity and figure."""


@dataclass(frozen=True)
class Comparison:
    """One quantity, exact and sampled.

    Attributes
    ----------
    name : what was compared.
    exact, sampled, mcse : the `FIGURES` by name.
    gaps : |sampled - exact| as a share of what is allowed; above 1 is a disagreement.
    """

    name: str
    exact: Mapping[str, float]
    sampled: Mapping[str, float]
    mcse: Mapping[str, float]
    gaps: Mapping[str, float]

    @property
    def worst(self) -> float:
        """The largest gap; above 1 (or not a number) is a disagreement."""
        values = list(self.gaps.values())
        return float("inf") if any(np.isnan(v) for v in values) else max(values)

    @property
    def agrees(self) -> bool:
        return self.worst <= 1.0

    def record(self) -> dict[str, float | str | bool]:
        """The comparison as one flat row of a table."""
        row: dict[str, float | str | bool] = {"quantity": self.name}
        for figure in FIGURES:
            row[f"{figure}_exact"] = self.exact[figure]
            row[f"{figure}_nuts"] = self.sampled[figure]
            row[f"{figure}_mcse"] = self.mcse[figure]
        return row | {"worst_gap": self.worst, "agrees": self.agrees}


def compare(exact: Mapping[str, float], draws: ArrayLike, name: str = "") -> Comparison:
    """Set the exact figures of one quantity beside its draws.

    Parameters
    ----------
    exact : mean, sd, q025 and q975, in the unit of the draws.
    draws : shape (chains, draws); chains apart, as their errors differ.
    name : for messages and tables.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError : a figure is missing, or the draws are not (chains, draws).

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Buerkner 2021, Bayesian Analysis 16:667 (Monte-Carlo
    standard errors of means, SDs and quantiles).
    """
    from arviz_stats.base import array_stats

    values = np.asarray(draws, dtype=float)
    missing = [figure for figure in FIGURES if figure not in exact]
    if missing:
        raise ValueError(f"{name or 'the exact posterior'} lacks {', '.join(missing)}")
    if values.ndim != 2:
        raise ValueError(f"draws of {name or 'a quantity'} must be (chains, draws): {values.shape}")

    def error(method: str, prob: float | None = None) -> float:
        options = {} if prob is None else {"prob": prob}
        return float(array_stats.mcse(values, -2, -1, method=method, **options))

    low, _, high = central_of_draws(values)
    sampled = {
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)),
        "q025": low,
        "q975": high,
    }
    mcse = {
        "mean": error("mean"),
        "sd": error("sd"),
        "q025": error("quantile", LOW),
        "q975": error("quantile", HIGH),
    }
    known = {figure: float(exact[figure]) for figure in FIGURES}
    gaps = {
        figure: abs(sampled[figure] - known[figure])
        / (MCSE_ALLOWED * mcse[figure] + SD_ALLOWED * known["sd"])
        for figure in FIGURES
    }
    return Comparison(name, known, sampled, mcse, gaps)


@dataclass(frozen=True)
class Testimony:
    """What NUTS says of one posterior.

    Attributes
    ----------
    name : of the posterior.
    silent : why there is no witness; empty when it testified.
    comparisons : exact beside sampled, one a quantity; empty when there is no witness.
    diagnostics : of the fit; None when nothing was sampled.
    attempts : how often it was sampled.
    draws : of the quantities compared, by name, where they are kept.
    """

    name: str
    silent: str = ""
    comparisons: tuple[Comparison, ...] = ()
    diagnostics: Diagnostics | None = None
    attempts: int = 0
    draws: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def table(self) -> pd.DataFrame:
        """One row a quantity (`Comparison.record`), with the name of the posterior."""
        table = pd.DataFrame([one.record() for one in self.comparisons])
        table.insert(0, "fit", self.name)
        return table


def figures_of(distribution: Distribution) -> dict[str, float]:
    """Mean, SD and the ends of the 95 % interval of an exact distribution, as `compare` takes."""
    low, high = distribution.interval()
    return {"mean": distribution.mean, "sd": distribution.sd, "q025": low, "q975": high}


def require_agreement(comparisons: Iterable[Comparison]) -> None:
    """Raises DisagreementError that names every figure in which a witness disagrees."""
    lines = [
        f"{c.name}: {figure} is {c.exact[figure]:.6g} by quadrature and {c.sampled[figure]:.6g} by "
        f"NUTS (Monte-Carlo error {c.mcse[figure]:.2g})"
        for c in comparisons
        for figure, gap in c.gaps.items()
        if not gap <= 1.0
    ]
    if lines:
        raise DisagreementError("; ".join(lines))


def confirmed(testify: Callable[..., Testimony], *, seed: int, draws: int) -> Testimony:
    """A witness, heard again with more draws where it disagrees at first.

    The Monte-Carlo errors of quantiles are estimated themselves, from the few draws beyond them: of
    a hundred fits one lies by chance outside of what is allowed (docs/gate.md). Another seed and
    `AGAIN` times the draws tell that from two programs that disagree.

    Parameters
    ----------
    testify : takes `seed` and `draws`.
    seed, draws : of the first hearing.

    Raises
    ------
    DisagreementError : it disagrees again, or disagreed and then fell silent.
    """
    first = testify(seed=seed, draws=draws)
    if all(comparison.agrees for comparison in first.comparisons):
        return first
    again = testify(seed=seed + NEXT_SEED, draws=AGAIN * draws)
    require_agreement(first.comparisons if again.silent else again.comparisons)
    return again
