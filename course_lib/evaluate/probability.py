"""Is a predicted probability right? Binary classes: y in {0, 1}, p the predicted probability of 1.

Log loss, Brier score, intercept and slope lead; the binned calibration error follows, as it depends on the bins and is
biased upwards at small n. Read it beside :func:`~course_lib.evaluate.perfect_reference` with the model's own ``p``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit, logit, xlogy

from course_lib.evaluate.calibration import _numbers, _probabilities, resampled_mean

__all__ = [
    "BrierParts",
    "InterceptSlope",
    "auroc",
    "brier",
    "brier_decomposition",
    "calibration_intercept_slope",
    "dionysus_ece",
    "ece",
    "log_loss",
    "mce",
    "reliability",
]


def _check(y, p) -> tuple[np.ndarray, np.ndarray]:
    y = _numbers(y, "y")
    bad = np.flatnonzero((y != 0) & (y != 1))
    if len(bad):
        raise ValueError(f"row {bad[0]}: y is {y[bad[0]]:g} ({len(bad)} such rows). Code the classes as 0 and 1")
    return y, _probabilities(p, len(y))


def _both(y: np.ndarray, what: str) -> None:
    if y.min() == y.max():
        raise ValueError(f"{what} needs both classes: all {len(y)} molecules are of class {y[0]:g}")


def _log_odds(p: np.ndarray) -> np.ndarray:
    bad = np.flatnonzero((p == 0) | (p == 1))
    if len(bad):
        raise ValueError(
            f"row {bad[0]}: p is {p[bad[0]]:g} ({len(bad)} such rows), infinite log odds. Clip, and say so: "
            "np.clip(p, 1e-6, 1 - 1e-6)"
        )
    return logit(p)


# ------------------------------------------------------------------------------------------------- scores without bins
def brier(y: ArrayLike, p: ArrayLike) -> float:
    """Mean squared difference of outcome and probability; lower is better, 0.25 for p = 1/2 throughout.

    Parameters
    ----------
    y : array-like of shape (n,)
        Outcomes, 0 or 1. The same in all functions of this module.
    p : array-like of shape (n,)
        Predicted probabilities of 1.

    Raises
    ------
    ValueError
        When lengths differ, a y is neither 0 nor 1, or a p is not in [0, 1] (names the row).
    """
    y, p = _check(y, p)
    return float(np.mean((y - p) ** 2))


def log_loss(y: ArrayLike, p: ArrayLike) -> float:
    """Mean negative log likelihood, in nats a molecule; lower is better, ln 2 = 0.69 for p = 1/2 throughout.

    Infinite when a model said 0 and it happened, or said 1 and it did not: nothing is clipped behind your back.
    """
    y, p = _check(y, p)
    with np.errstate(divide="ignore"):
        return float(np.mean(-xlogy(y, p) - xlogy(1 - y, 1 - p)))


def auroc(y: ArrayLike, p: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a random 1 has a higher p than a random 0. Blind to calibration.

    Raises
    ------
    ValueError
        When only one class is there.
    """
    from sklearn.metrics import roc_auc_score

    y, p = _check(y, p)
    _both(y, "the area under the ROC curve")
    return float(roc_auc_score(y, p))


class InterceptSlope(NamedTuple):
    """Calibration in the large, and the slope of the log odds.

    Attributes
    ----------
    intercept : float
        Calibration in the large, fitted with slope 1; 0 for a calibrated model.
    slope : float
        Slope, fitted together with an intercept of its own; 1 for a calibrated model.
    """

    intercept: float
    slope: float


def calibration_intercept_slope(y: ArrayLike, p: ArrayLike) -> InterceptSlope:
    """Logistic recalibration: how far log odds must be shifted, and stretched.

    ``intercept`` is a in logit P(y = 1) = a + logit p: below 0 the probabilities are too high on average. ``slope`` is
    b in logit P(y = 1) = a + b logit p, both fitted: below 1 they are too extreme (overconfident), above 1 too timid.

    Raises
    ------
    ValueError
        For one class only, a p of exactly 0 or 1, the same p for all, or classes that p separates without overlap:
        then no finite slope is best.

    References
    ----------
    Cox, Biometrika 1958, 45, 562-565; Van Calster et al., BMC Med. 2019, 17, 230.
    """
    y, p = _check(y, p)
    _both(y, "a recalibration fit")
    x = _log_odds(p)
    low, high = x[y == 0], x[y == 1]
    if np.ptp(x) == 0:
        raise ValueError(f"p is {p[0]:g} for all molecules: there is no slope to fit")
    if low.max() <= high.min() or high.max() <= low.min():
        raise ValueError(
            "p separates the two classes without overlap, so the slope is not finite. Use more molecules (pool the "
            "test folds), or report log loss and Brier score alone"
        )
    reach = np.abs(x).max() + np.log(len(y)) + 1  # at either end the mean probability is beyond the observed share
    intercept = brentq(lambda a: np.mean(expit(x + a)) - y.mean(), -reach, reach, xtol=1e-12)
    return InterceptSlope(float(intercept), float(_logistic(x, y)[1]))


def _logistic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Intercept and slope of maximum likelihood, by Newton's method with halved steps (the loss is convex)."""
    design = np.column_stack([np.ones_like(x), x])

    def loss(b):
        return np.sum(np.logaddexp(0, (1 - 2 * y) * (design @ b)))

    b = np.array([0.0, 1.0])
    for _ in range(200):
        mean = expit(design @ b)
        gradient = design.T @ (mean - y)
        hessian = (design * (mean * (1 - mean))[:, None]).T @ design
        step = np.linalg.lstsq(hessian, gradient)[0]
        while loss(b - step) > loss(b) and np.abs(step).max() > 1e-14:
            step = step / 2
        b = b - step
        if np.abs(step).max() < 1e-12 * (1 + np.abs(b).max()):
            return b
    raise ValueError("the recalibration fit did not converge: the classes hardly overlap in p")


# ---------------------------------------------------------------------------------------------------------------- bins
def _binned(p: np.ndarray, bins: str, n_bins: int) -> np.ndarray:
    """Bin of each molecule, shape (n,); equal p always share a bin."""
    if n_bins < 1:
        raise ValueError(f"n_bins is {n_bins!r}: give at least 1")
    inner = np.arange(1, n_bins) / n_bins
    if bins == "adaptive":
        inner = np.quantile(p, inner)
    elif bins != "fixed":
        raise ValueError(f"bins is {bins!r}: choose 'fixed' (equal width) or 'adaptive' (equal count)")
    return np.searchsorted(inner, p)


def reliability(
    y: ArrayLike, p: ArrayLike, bins: str = "fixed", n_bins: int = 10
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of a reliability diagram, bins without a molecule left out.

    Parameters
    ----------
    y, p : array-like of shape (n,)
    bins : {"fixed", "adaptive"}
        Equal width on [0, 1], or equal numbers of molecules (nearly: equal p are never parted).
    n_bins : int

    Returns
    -------
    predicted, observed, count : ndarray of shape (n_filled,)
        Mean probability, share of ones, and number of molecules in each bin.
    """
    y, p = _check(y, p)
    return _reliability(y, p, _binned(p, bins, n_bins))


def _reliability(y, p, place):
    count = np.bincount(place)
    filled = count > 0
    sums = [np.bincount(place, weights=values)[filled] for values in (p, y)]
    return sums[0] / count[filled], sums[1] / count[filled], count[filled]


def ece(y: ArrayLike, p: ArrayLike, bins: str = "fixed", n_bins: int = 10) -> float:
    """Mean over molecules of their bin's ``|share of ones - mean probability|``: the expected calibration error.

    Between 0 and 1. A perfect classifier with ten bins scores about 0.14 at n = 50 when its p are spread evenly:
    compare with ``perfect_reference(ece, p=p)``.

    Parameters
    ----------
    y, p : array-like of shape (n,)
    bins, n_bins
        Of :func:`reliability`.

    References
    ----------
    Naeini, Cooper & Hauskrecht, AAAI 2015; Nixon et al., CVPR Workshops 2019 (adaptive bins).
    """
    predicted, observed, count = reliability(y, p, bins, n_bins)
    return float(np.average(np.abs(observed - predicted), weights=count))


def mce(y: ArrayLike, p: ArrayLike, bins: str = "fixed", n_bins: int = 10) -> float:
    """Largest gap of any bin: the maximum calibration error. At small n it is the noise of the emptiest bin."""
    predicted, observed, _ = reliability(y, p, bins, n_bins)
    return float(np.abs(observed - predicted).max())


def _dionysus_gap(y: np.ndarray, p: np.ndarray) -> float:
    if np.ptp(p) == 0:
        raise ValueError(f"p is {p[0]:g} for all molecules: it cannot be stretched to [0, 1]")
    p = (p - p.min()) / np.ptp(p)
    predicted, observed, _ = _reliability(y, p, _binned(p, "fixed", 10))
    return float(np.abs(observed - predicted).mean())


def dionysus_ece(y: ArrayLike, p: ArrayLike, n_boot: int = 1000, random_state: int = 0) -> float:
    """Calibration error as the DIONYSUS study defines it, to stand beside its published figures.

    It differs from :func:`ece` in three ways. (1) The p are first stretched so that the smallest becomes 0 and the
    largest 1, which hides timid models and spoils calibrated ones. (2) All ten bins count the same, however few
    molecules they hold. (3) The published figure is the mean over 1 000 bootstrap resamples.

    Parameters
    ----------
    y, p : array-like of shape (n,)
    n_boot : int
        Resamples to average over; 0 for the error of the sample itself.
    random_state : int

    Raises
    ------
    ValueError
        When all p are equal.

    References
    ----------
    Tom et al., Digital Discovery 2023, 2, 759-774, and the code published with it.
    """
    return resampled_mean(_dionysus_gap, _check(y, p), n_boot, random_state)


class BrierParts(NamedTuple):
    """Brier score = reliability - resolution + uncertainty + within_variance - within_covariance.

    Attributes
    ----------
    reliability : float
        Mean squared gap between probability and share of ones in a bin; 0 when calibrated.
    resolution : float
        Mean squared distance of the bins' shares of ones from the overall share; higher is better.
    uncertainty : float
        Variance of the outcome.
    within_variance : float
        Mean variance of the probabilities within bins.
    within_covariance : float
        Twice the covariance of probability and outcome within bins.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within_variance: float
    within_covariance: float


def brier_decomposition(y: ArrayLike, p: ArrayLike, bins: str = "fixed", n_bins: int = 10) -> BrierParts:
    """Murphy's three parts of the Brier score, and what is left inside the bins.

    ``reliability`` is the mean squared gap of the bins (0 when calibrated, lower is better), ``resolution`` how far
    the bins' shares of ones lie from the overall share (higher is better), ``uncertainty`` the variance of the outcome,
    which no model can change. These three sum to the Brier score only when p is constant in each bin. Otherwise two
    terms close the sum: the mean variance of p within bins, and twice the covariance of p with the outcome there.

    Parameters
    ----------
    y, p : array-like of shape (n,)
    bins, n_bins
        Of :func:`reliability`.

    References
    ----------
    Murphy, J. Appl. Meteorol. 1973, 12, 595-600; Stephenson, Coelho & Jolliffe, Weather Forecast. 2008, 23, 752-757.
    """
    y, p = _check(y, p)
    place = _binned(p, bins, n_bins)
    predicted, observed, count = _reliability(y, p, place)
    own = np.unique(place, return_inverse=True)[1]
    spread = p - predicted[own]
    return BrierParts(
        float(np.average((observed - predicted) ** 2, weights=count)),
        float(np.average((observed - y.mean()) ** 2, weights=count)),
        float(y.mean() * (1 - y.mean())),
        float(np.mean(spread**2)),
        float(2 * np.mean(spread * (y - observed[own]))),
    )
