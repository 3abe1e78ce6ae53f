"""Coordinates in which a sampler meets no funnel, and the one vector in which it gets its data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class Packed:
    """Data of one vector, sliced inside a compiled graph: where each part of it stands."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The parts in their order, by name."""
        raise NotImplementedError

    def layout(self) -> dict[str, tuple[int, tuple[int, ...]]]:
        """Where each part of the vector begins, and its shape."""
        start, places = 0, {}
        for name, shape in self.shapes().items():
            places[name] = start, shape
            start += int(np.prod(shape))
        return places

    @property
    def length(self) -> int:
        return sum(int(np.prod(shape)) for shape in self.shapes().values())

    def part(self, vector: Any, name: str) -> Any:
        """A part of the vector in its shape; symbolic where the vector is."""
        start, shape = self.layout()[name]
        return vector[start : start + int(np.prod(shape))].reshape(shape)

    def columns(self, vector: Any, name: str, names: Sequence[str]) -> dict[str, Any]:
        """The rows of a part of the vector, by name."""
        block = self.part(vector, name)
        return {one: block[i] for i, one in enumerate(names)}


def standardised(z, centre, tau, location, precision):
    """A standard-normal effect u, and the log density of z it leaves.

    Of eta = centre + tau u, u ~ N(0, 1), a likelihood N(location, 1/precision) alone would make the
    posterior normal; z is u standardised by that posterior. Everything stays finite as tau -> 0.
    Works on numpy and symbolic arrays.

    Parameters
    ----------
    z : the free parameter.
    centre, tau : of the effect's own distribution.
    location, precision : of the likelihood.

    Returns
    -------
    u, log_density : of the shapes of the arguments.
    """
    scale = 1 + precision * tau**2
    u = precision * tau * (location - centre) / scale + z / scale**0.5
    return u, u**2 / -2
