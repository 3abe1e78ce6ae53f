"""The only caller of a sampler, and the diagnostic gate no fit can pass unexamined.

A model is compiled once (nutpie, numba backend) and refitted with new data through `pm.Data`
containers: compilation takes ten to thirty seconds, a refit well under one. Every fit is judged
by the rules of Vehtari et al. (2021, Bayesian Analysis 16:667): rank-normalised R-hat at most
1.01, bulk and tail effective sample sizes of at least 400, and no divergent transition.

A fit that breaks a rule after every attempt is withheld: it gives no draws, says why, and stops
nothing. `recorded` collects what each fit of a stage came to, for the manifest.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis import fitcache
from analysis.closure import code_digest

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

os.environ.setdefault("NUMBA_OPT", "1")
"""The least of LLVM's levels that optimises at all: graphs as small as ours run as fast and compile
in less time. Read when numba is first imported, which only the functions below do."""

MAX_RHAT = 1.01
MIN_ESS = 400


class DiagnosticError(RuntimeError):
    """Draws were asked of a fit that failed the gate; the message names the fit and the rules."""


@dataclass(frozen=True)
class Diagnostics:
    """Worst figures over all parameters of one fit."""

    max_rhat: float
    min_ess_bulk: float
    min_ess_tail: float
    divergences: int
    n_draws: int

    def faults(self) -> list[str]:
        """Each broken rule in words; empty when the fit is sound."""
        found = []
        if not self.max_rhat <= MAX_RHAT:
            found.append(f"R-hat {self.max_rhat:.4f} (at most {MAX_RHAT})")
        if not self.min_ess_bulk >= MIN_ESS:
            found.append(f"bulk ESS {self.min_ess_bulk:.0f} (at least {MIN_ESS})")
        if not self.min_ess_tail >= MIN_ESS:
            found.append(f"tail ESS {self.min_ess_tail:.0f} (at least {MIN_ESS})")
        if self.divergences:
            found.append(f"{self.divergences} divergent transitions (none allowed)")
        return found


@dataclass(frozen=True)
class Fit:
    """A posterior with its diagnostics.

    Attributes
    ----------
    tree : the ArviZ DataTree (posterior, sample_stats).
    withheld : why nothing may be taken from this fit, in words; empty when it is sound.
    attempts : how often it was sampled before it passed, or was given up.
    """

    name: str
    tree: xr.DataTree
    diagnostics: Diagnostics
    withheld: str = ""
    attempts: int = 1

    def draws(self, variable: str) -> np.ndarray:
        """Posterior draws of a variable, chains joined: shape (draws, *variable shape).

        Raises DiagnosticError when the fit is withheld.
        """
        if self.withheld:
            raise DiagnosticError(f"the fit of {self.name} is withheld: {self.withheld}")
        values = self.tree["posterior"][variable].to_numpy()
        return values.reshape(-1, *values.shape[2:])


fresh: ContextVar[bool] = ContextVar("sample even what is cached", default=False)
_record: ContextVar[list[Fit] | None] = ContextVar("record of fits", default=None)


@contextmanager
def recorded() -> Iterator[list[Fit]]:
    """Every gated fit made inside the block, in order, sound or withheld."""
    fits: list[Fit] = []
    token = _record.set(fits)
    try:
        yield fits
    finally:
        _record.reset(token)


def keep_record(fit: Fit) -> None:
    """Add a fit to the record of the block it was made in, if there is one."""
    record = _record.get()
    if record is not None:
        record.append(fit)


def sound(fits: Mapping[str, Fit]) -> dict[str, Fit]:
    """The fits that may be used."""
    return {name: fit for name, fit in fits.items() if not fit.withheld}


class Sampler:
    """One compiled model graph, refitted with new data.

    Parameters
    ----------
    model : the PyMC model, or a function of a module that builds it (with `functools.partial` for
        its arguments); everything that changes between fits must be a `pm.Data`. From a function
        the graph is built and compiled only when a fit is not in the cache (`fitcache`).
    name : used in messages.
    """

    def __init__(self, model: pm.Model | Callable[[], pm.Model], name: str):
        self.name = name
        self._made = model

    @cached_property
    def model(self) -> pm.Model:
        """The PyMC model."""
        return self._made() if callable(self._made) else self._made

    @cached_property
    def code(self) -> str:
        """What the graph depends on, for the cache; empty where that is not known."""
        made = self._made
        words = ""
        if isinstance(made, partial):
            words = repr((made.args, sorted(made.keywords.items())))
            made = made.func
        named = callable(made) and "<" not in getattr(made, "__qualname__", "<")
        if not named or not made.__module__.startswith("analysis."):
            return ""
        return f"{code_digest(made.__module__)} {made.__qualname__} {words}"

    @cached_property
    def _compiled(self):
        import nutpie

        # The names of coordinates are handed on to code that takes words as Arrow's alone.
        with warnings.catch_warnings(), pd.option_context("mode.string_storage", "pyarrow"):
            warnings.simplefilter("ignore")
            return nutpie.compile_pymc_model(self.model)

    def fit(
        self,
        name: str,
        *,
        seed: int,
        data: Mapping[str, np.ndarray] | None = None,
        draws: int = 1000,
        tune: int = 1000,
        chains: int = 4,
        target_accept: float = 0.95,
        gate: bool = True,
    ) -> Fit:
        """Sample the posterior given `data` (values for `pm.Data` names) and judge it.

        A fit that breaks a rule of the gate is sampled again, with shorter steps, more draws and
        the next seed, at most twice; the rules stay the same. When the last attempt still breaks
        one, the fit comes back withheld: `Fit.withheld` says why. Without `gate` it is judged and
        nothing more.
        """
        settings = {"seed": seed, "draws": draws, "tune": tune, "chains": chains,
                    "target_accept": target_accept, "gate": gate}  # fmt: skip
        entry = fitcache.key(self.code, settings, data or {}) if self.code and gate else ""
        kept = fitcache.load(entry) if entry and not fresh.get() else None
        if kept is None:
            fit = self._attempted(name, data, **settings)
            if entry:
                fitcache.save(entry, _as_arrays(fit))
        else:
            fit = _from_arrays(name, kept)
        if gate:
            keep_record(fit)
        return fit

    def _attempted(self, name, data, *, seed, draws, tune, chains, target_accept, gate) -> Fit:
        import nutpie

        compiled = self._compiled.with_data(**data) if data else self._compiled
        attempts = [(target_accept, tune, draws)]
        if gate:
            attempts.append((0.995, tune + tune // 2, draws + draws // 2))
            attempts.append((0.998, 2 * tune, 2 * draws))
        for attempt, (accept, warmup, kept) in enumerate(attempts):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = nutpie.sample(
                    compiled,
                    draws=kept,
                    tune=warmup,
                    chains=chains,
                    cores=min(chains, os.cpu_count() or 1),
                    seed=seed + attempt,
                    target_accept=accept,
                    save_warmup=False,
                    progress_bar=False,
                )
            diagnostics = diagnose(tree)
            faults = diagnostics.faults()
            if not faults:
                break
        return Fit(name, tree, diagnostics, "; ".join(faults) if gate else "", attempt + 1)


def _as_arrays(fit: Fit) -> dict[str, np.ndarray]:
    """A fit as the arrays of a cache entry; `_from_arrays` reads them back."""
    diagnostics = asdict(fit.diagnostics)
    arrays = {
        "about/names": np.array(list(diagnostics)),
        "about/figures": np.array(list(diagnostics.values()), float),
        "about/withheld": np.array(fit.withheld),
        "about/attempts": np.array(fit.attempts),
        "sample_stats/diverging": fit.tree["sample_stats"]["diverging"].to_numpy(),
    }
    if not fit.withheld:
        posterior = fit.tree["posterior"].to_dataset()
        arrays |= {f"posterior/{name}": posterior[name].to_numpy() for name in posterior.data_vars}
    return arrays


def _from_arrays(name: str, arrays: Mapping[str, np.ndarray]) -> Fit:
    import xarray as xr

    groups: dict[str, dict] = {"posterior": {}, "sample_stats": {}}
    for place, values in arrays.items():
        group, variable = place.split("/", 1)
        if group in groups:
            further = [f"{variable}_dim_{i}" for i in range(values.ndim - 2)]
            groups[group][variable] = (("chain", "draw", *further), values)
    figures = dict(zip(arrays["about/names"].tolist(), arrays["about/figures"].tolist(),
                       strict=True))  # fmt: skip
    figures |= {count: int(figures[count]) for count in ("divergences", "n_draws")}
    tree = xr.DataTree.from_dict({group: xr.Dataset(made) for group, made in groups.items()})
    withheld = str(arrays["about/withheld"])
    return Fit(name, tree, Diagnostics(**figures), withheld, int(arrays["about/attempts"]))


def compile_model(model: pm.Model | Callable[[], pm.Model], name: str) -> Sampler:
    """A sampler of a PyMC model, or of the model a function makes (see `Sampler`).

    Parameters
    ----------
    model : a PyMC model, or a function that makes it.
    name : of the fit, for messages and the cache.
    """
    return Sampler(model, name)


def diagnose(tree: xr.DataTree) -> Diagnostics:
    """Worst R-hat and effective sample sizes over every parameter, and the divergences."""
    import arviz as az

    posterior = tree["posterior"].to_dataset()
    varying = [
        name
        for name, values in posterior.data_vars.items()
        if np.issubdtype(values.dtype, np.floating) and values.size and float(values.std()) > 0
    ]
    posterior = posterior[varying]

    finite = all(np.isfinite(values.to_numpy()).all() for values in posterior.data_vars.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # entries the data fix do not vary: NaN
        rhat = az.rhat(posterior)
        bulk = az.ess(posterior, method="bulk")
        tail = az.ess(posterior, method="tail")
    n_draws = posterior.sizes["chain"] * posterior.sizes["draw"]
    return Diagnostics(
        max_rhat=_worst(rhat, np.nanmax) if finite else np.inf,
        min_ess_bulk=_worst(bulk, np.nanmin),
        min_ess_tail=_worst(tail, np.nanmin),
        divergences=int(tree["sample_stats"]["diverging"].sum()),
        n_draws=int(n_draws),
    )


def _worst(dataset, pick) -> float:
    """The extreme value over all variables of a statistic's dataset; NaN entries do not vary."""
    every = np.concatenate([values.to_numpy().ravel() for values in dataset.data_vars.values()])
    return float(pick(every))
