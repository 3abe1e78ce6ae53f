"""Coordinates in which a sampler meets no funnel: effects standardised by what is known of them."""

from __future__ import annotations


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
