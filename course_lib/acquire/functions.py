"""Acquisition functions: what measuring each molecule of a pool would be worth. The molecule with the largest is next.

``mean`` and ``std`` are those of the *function*, of shape (n,), in the unit of the target: what a new measurement adds
in noise says nothing about the molecule. ``best`` is the value to beat, in the same unit. With ``maximise=False`` small
values are wanted; the functions still return what is to be made large.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist
from scipy.special import erfcx, ndtr

from course_lib.featurize.fingerprints import tanimoto

__all__ = [
    "ACQUISITIONS",
    "expected_improvement",
    "greedy",
    "log_expected_improvement",
    "nearest_neighbour",
    "probability_of_improvement",
    "random",
    "thompson",
    "upper_confidence_bound",
    "variance",
]


def _finite(name: str, values: ArrayLike, what: str, least: float = -math.inf) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    bad = ~np.isfinite(values) | (values < least)
    if bad.any():
        at = tuple(np.argwhere(bad)[0])
        raise ValueError(f"{name}[{', '.join(map(str, at))}] is {values[at]}: {what}")
    return values


def _mean(mean: ArrayLike) -> np.ndarray:
    return _finite("mean", mean, "a mean is finite, what did the model learn from?")


def _check(mean: ArrayLike, std: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    if np.shape(mean) != np.shape(std):
        raise ValueError(f"mean has shape {np.shape(mean)}, std {np.shape(std)}: give one of each a molecule")
    return _mean(mean), _finite("std", std, "a standard deviation is a number of 0 or more", least=0.0)


def _gain(mean: ArrayLike, std: ArrayLike, best: float, maximise: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the expected gain over ``best``, the std, and their ratio z (infinite where nothing is uncertain)."""
    mean, std = _check(mean, std)
    if not (isinstance(best, Real) and math.isfinite(best)):
        raise ValueError(f"best is {best!r}: give the value to beat, a finite number")
    gain = mean - best if maximise else best - mean
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(std > 0, gain / std, np.where(gain > 0, np.inf, -np.inf))
    return gain, std, z


def _density(z: np.ndarray) -> np.ndarray:
    return np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


def expected_improvement(mean: ArrayLike, std: ArrayLike, best: float, *, maximise: bool = True) -> np.ndarray:
    """Mean of max(f - best, 0) for a normal f: how much better than the best so far, counting worse as nothing.

    Parameters
    ----------
    mean, std : array-like of shape (n,)
    best : float
    maximise : bool

    Returns
    -------
    ndarray of shape (n,)
        gain * Phi(z) + std * phi(z), z = gain / std, in the unit of the target, never negative.

    References
    ----------
    Mockus, Tiesis & Zilinskas 1978; Jones, Schonlau & Welch, Journal of Global Optimization 1998, 13, 455-492, eq. 15.
    """
    gain, std, z = _gain(mean, std, best, maximise)
    with np.errstate(invalid="ignore"):
        value = gain * ndtr(z) + std * _density(z)
    return np.maximum(value, 0.0)


def log_expected_improvement(mean: ArrayLike, std: ArrayLike, best: float, *, maximise: bool = True) -> np.ndarray:
    """Logarithm of :func:`expected_improvement`, exact to about ten digits however small that is.

    Far below the best, expected improvement is smaller than the smallest number a computer holds; it is then 0 for most
    of a pool, and the pick among these is arbitrary. The logarithm still ranks them.

    Parameters
    ----------
    mean, std : array-like of shape (n,)
    best : float
    maximise : bool

    Returns
    -------
    ndarray of shape (n,)
        -inf where nothing can be gained (std 0 and no gain).

    References
    ----------
    Ament et al., Advances in Neural Information Processing Systems 2023, 36, eq. 9.
    """
    gain, std, z = _gain(mean, std, best, maximise)
    near, far = np.maximum(z, -1.0), np.minimum(z, -1.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # phi(z) + z Phi(z) itself where it is not small
        small = np.log(_density(near) + near * ndtr(near))
        # else phi(z) (1 - r), r = |z| Phi(z) / phi(z); r nears 1, so from z = -1000 on the series of 1 - r is better
        r = math.sqrt(math.pi / 2) * erfcx(-far / math.sqrt(2)) * -far
        rest = np.where(far > -1e3, np.log1p(-r), np.log1p(-3 / far**2) - 2 * np.log(-far))
        tail = -(far**2) / 2 - math.log(2 * math.pi) / 2 + rest
        value = np.log(std) + np.where(z > -1, small, tail)
        return np.where(std > 0, value, np.log(np.maximum(gain, 0.0)))


def probability_of_improvement(mean: ArrayLike, std: ArrayLike, best: float, *, maximise: bool = True) -> np.ndarray:
    """Probability Phi((mean - best) / std) that a molecule beats the best, by however little; shape (n,).

    References
    ----------
    Kushner, Journal of Basic Engineering 1964, 86, 97-106.
    """
    return ndtr(_gain(mean, std, best, maximise)[2])


def upper_confidence_bound(
    mean: ArrayLike, std: ArrayLike, best: float | None = None, *, kappa: float = 1.0, maximise: bool = True
) -> np.ndarray:
    """Mean plus ``kappa`` standard deviations; for minimising, minus the lower bound mean - kappa * std.

    Parameters
    ----------
    mean, std : array-like of shape (n,)
    best : float, optional
        Not used; there so that all functions can be called alike.
    kappa : float
        How much an uncertain molecule is favoured: 0 is :func:`greedy`. Where an acquisition is asked for by name
        kappa is 1; ``functools.partial(upper_confidence_bound, kappa=2)`` stands for another.
    maximise : bool

    Returns
    -------
    ndarray of shape (n,)

    References
    ----------
    Cox & John 1992; Srinivas et al., IEEE Transactions on Information Theory 2012, 58, 3250-3265 (their beta is kappa
    squared).
    """
    if not (isinstance(kappa, Real) and 0 <= kappa < math.inf):
        raise ValueError(f"kappa is {kappa!r}: give a number of 0 or more; below 0 it would avoid doubt")
    gain, std, _ = _gain(mean, std, 0.0, maximise)
    return gain + kappa * std


def greedy(mean: ArrayLike, std: ArrayLike | None = None, best: float | None = None, *, maximise: bool = True):
    """Mean alone, uncertainty ignored; for classes the probability of the wanted one. Shape (n,)."""
    mean = _mean(mean)
    return mean if maximise else -mean


def variance(mean: ArrayLike, std: ArrayLike, best: float | None = None, *, maximise: bool = True) -> np.ndarray:
    """Variance alone: learn most, whatever the value (active learning). Shape (n,)."""
    return _check(mean, std)[1] ** 2


def random(n: int, random_state: int | np.random.Generator = 0) -> np.ndarray:
    """Random scores of shape (n,): what any method must beat."""
    return np.random.default_rng(random_state).random(n)


def thompson(samples: ArrayLike, *, maximise: bool = True) -> np.ndarray:
    """Score by one function drawn from the posterior: a molecule is picked with its probability of being the best.

    Parameters
    ----------
    samples : array-like of shape (n,) or (n_samples, n)
        Values of posterior functions at the pool (see :func:`course_lib.acquire.function_samples`), one function for
        each pick of a batch. They should be *joint* draws: like molecules then rise and fall together. Draws that are
        independent for each molecule let the most optimistic of a thousand accidents win.
    maximise : bool

    Returns
    -------
    ndarray, shape as ``samples``

    References
    ----------
    Thompson, Biometrika 1933, 25, 285-294.
    """
    samples = _finite("samples", samples, "a drawn function is finite, what did the model learn from?")
    return samples if maximise else -samples


def nearest_neighbour(X: ArrayLike, best: ArrayLike) -> np.ndarray:
    """Similarity to the best molecule so far, or to the nearest of several: no model, a chemist's habit.

    Parameters
    ----------
    X : array-like of shape (n, p)
        Fingerprint bits, or descriptors on a common scale.
    best : array-like of shape (p,) or (m, p)

    Returns
    -------
    ndarray of shape (n,)
        Tanimoto similarity for bits (0 and 1 only), else minus the Euclidean distance.
    """
    X, best = np.asarray(X, dtype=float), np.atleast_2d(np.asarray(best, dtype=float))
    if X.ndim != 2 or best.shape[1:] != X.shape[1:]:
        raise ValueError(f"X has shape {X.shape}, best {best.shape}: give rows with the columns of X")
    if ((X == 0) | (X == 1)).all():
        return tanimoto(X, best).max(axis=1)
    return -cdist(X, best).min(axis=1)


ACQUISITIONS: dict[str, Callable | None] = {
    "expected_improvement": expected_improvement,
    "log_expected_improvement": log_expected_improvement,
    "upper_confidence_bound": upper_confidence_bound,
    "probability_of_improvement": probability_of_improvement,
    "greedy": greedy,
    "variance": variance,
    # these three need more than mean, std and best: `pick` calls them
    "thompson": None,
    "random": None,
    "nearest_neighbour": None,
}
"""Acquisition functions by the names that `pick`, `suggest` and `campaign` take. None stands for the three that need
more than mean, standard deviation and the best value: thompson, random and nearest_neighbour."""
