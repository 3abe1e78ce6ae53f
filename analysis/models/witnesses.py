"""The frame of every witness: a compiled graph, a fit behind the gate, each quantity compared.

What a witness is of (means, counts, durations) stands in `contrast_witness`, `count_witness` and
`survival_witness`: the graph, its data as one vector, what it cannot sample, and which draws answer
to which figure of the quadrature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from analysis.models.compare import Testimony, compare, confirmed
from analysis.models.geometry import Packed
from analysis.models.sampling import Sampler

Quantities = Mapping[str, tuple[Mapping[str, float], np.ndarray]]
"""Name of a quantity -> its exact figures (`compare.figures_of`) and its draws (chains, draws)."""


@dataclass(frozen=True)
class Witness:
    """A compiled graph that samples posteriors of one kind.

    Attributes
    ----------
    sampler : the compiled graph.
    sizes : the room it has.
    packed : (posterior, sizes) -> the posterior's data as the one vector of the graph; raises
        ValueError where there is no room for them.
    cannot : posterior -> why it is not sampled here, or "".
    quantities : (posterior, draws by name, generator) -> what is compared.
    settings : of the sampler: tuning steps, target acceptance.
    """

    sampler: Sampler
    sizes: Packed
    packed: Callable[[Any, Any], np.ndarray]
    cannot: Callable[[Any], str]
    quantities: Callable[[Any, dict[str, np.ndarray], np.random.Generator], Quantities]
    settings: Mapping[str, Any] = field(default_factory=lambda: {"tune": 800})

    def hear(self, name: str, posterior: Any, *, seed: int, draws: int = 1000) -> Testimony:
        """Sample the posterior that was had by quadrature, and compare.

        Parameters
        ----------
        name : of the fit, for messages and tables.
        posterior : by quadrature.
        seed, draws : seed of the fit; draws of each of its four chains.

        Returns
        -------
        Testimony, silent with its reason where the sampler cannot say anything.

        Raises
        ------
        DisagreementError : a mean, an SD or an end of an interval differs by more than `compare`
            allows, twice.
        """
        return confirmed(partial(self._testify, name, posterior, gate=True), seed=seed, draws=draws)

    def hear_once(self, name: str, posterior: Any, *, seed: int, draws: int = 1000) -> Testimony:
        """As `hear`, sampled once: neither tried again nor an error where it disagrees.

        Parameters
        ----------
        name, posterior, seed, draws : as in `hear`.
        """
        return self._testify(name, posterior, seed=seed, draws=draws, gate=False)

    def _testify(
        self, name: str, posterior: Any, *, seed: int, draws: int, gate: bool
    ) -> Testimony:
        reason = self.cannot(posterior)
        if reason:
            return Testimony(name, reason)
        data = {"packed": self.packed(posterior, self.sizes)}
        fit = self.sampler.fit(name, seed=seed, data=data, draws=draws, gate=gate, **self.settings)
        silent = fit.withheld if gate else "; ".join(fit.diagnostics.faults())
        if silent:
            return Testimony(name, silent, (), fit.diagnostics, fit.attempts)
        drawn = {one: values.to_numpy() for one, values in fit.tree["posterior"].items()}
        found = self.quantities(posterior, drawn, np.random.default_rng(seed))
        compared = tuple(
            compare(exact, chains, f"{name}: {quantity}")
            for quantity, (exact, chains) in found.items()
        )
        kept = {quantity: chains for quantity, (_, chains) in found.items()}
        return Testimony(name, "", compared, fit.diagnostics, fit.attempts, kept)
