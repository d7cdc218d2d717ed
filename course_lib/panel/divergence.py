"""Two ways to say how far apart two normal distributions are: one with an upper bound and one without."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

__all__ = ["jensen_shannon", "symmetric_kl"]


def _check(std_p: float, std_q: float) -> None:
    if not (std_p > 0 and std_q > 0):
        raise ValueError(f"the standard deviations are {std_p!r} and {std_q!r}: both must be above 0")


def jensen_shannon(mean_p: float, std_p: float, mean_q: float, std_q: float) -> float:
    """Jensen-Shannon divergence between two normal distributions, by numerical integration.

    The mean of the Kullback-Leibler divergences of p and of q from their mixture (p + q) / 2. The mixture of two
    normals is not normal, so there is no closed form. p is nowhere larger than twice the mixture, hence the bound.

    Parameters
    ----------
    mean_p, std_p, mean_q, std_q : float

    Returns
    -------
    float
        In nats: from 0 (the same) to ln 2, about 0.693 (no overlap). Right to 1e-6.

    Raises
    ------
    ValueError
        When a standard deviation is not above 0.

    References
    ----------
    Lin, IEEE Transactions on Information Theory 1991, 37, 145-151.
    """
    _check(std_p, std_q)
    z = np.linspace(-10, 10, 4001)
    x = np.union1d(mean_p + std_p * z, mean_q + std_q * z)  # fine where either of the two is narrow
    log_p, log_q = norm.logpdf(x, mean_p, std_p), norm.logpdf(x, mean_q, std_q)
    log_mixture = np.logaddexp(log_p, log_q) - np.log(2)
    parts = np.exp(log_p) * (log_p - log_mixture) + np.exp(log_q) * (log_q - log_mixture)
    return float(np.trapezoid(parts, x) / 2)


def symmetric_kl(mean_p: float, std_p: float, mean_q: float, std_q: float) -> float:
    """Half the sum of the Kullback-Leibler divergences of two normal distributions in both directions.

    Returns
    -------
    float
        In nats, from 0 without an upper bound.

    Raises
    ------
    ValueError
        When a standard deviation is not above 0.
    """
    _check(std_p, std_q)
    p, q, d = std_p**2, std_q**2, (mean_p - mean_q) ** 2
    return float((p + d) / (4 * q) + (q + d) / (4 * p) - 0.5)
