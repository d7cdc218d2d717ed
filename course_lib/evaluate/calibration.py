"""Is the predicted distribution right? Regression: each molecule has a normal distribution, y_mean and y_std.

Each score stands beside what a model that tells the truth would get at the same number of molecules:
:func:`perfect_reference`. Without it no figure here can be read, as small test sets make every model look uncalibrated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

__all__ = [
    "RankCorrelation",
    "calibration_curve",
    "coverage",
    "crps",
    "dionysus_ama",
    "error_rank_correlation",
    "interval_score",
    "mean_squared_z",
    "miscalibration_area",
    "nll",
    "perfect_reference",
    "sharpness",
    "z_scores",
]


# ------------------------------------------------------------------------------------------------------------- checks
def _numbers(values: ArrayLike, name: str, n: int | None = None) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"{name} has shape {values.shape}: give a list with one number a molecule")
    if n is not None and len(values) != n:
        raise ValueError(f"{name} has {len(values)} values for {n} molecules: give one a molecule")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ValueError(f"row {bad[0]}: {name} is {values[bad[0]]} ({len(bad)} such rows). Leave them out, and say so")
    return values


def _positive(y_std: ArrayLike, n: int | None = None) -> np.ndarray:
    y_std = _numbers(y_std, "y_std", n)
    bad = np.flatnonzero(y_std <= 0)
    if len(bad):
        raise ValueError(
            f"row {bad[0]}: y_std is {y_std[bad[0]]} ({len(bad)} such rows). A predictive standard deviation must be "
            "above 0: does the model leave the noise out?"
        )
    return y_std


def _check(y, y_mean, y_std) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y = _numbers(y, "y")
    return y, _numbers(y_mean, "y_mean", len(y)), _positive(y_std, len(y))


def _share(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level is {level!r}: give a share between 0 and 1, such as 0.95")
    return float(level)


# ------------------------------------------------------------------------------------------------------------- scores
def z_scores(y: ArrayLike, y_mean: ArrayLike, y_std: ArrayLike) -> np.ndarray:
    """Errors in units of the predicted standard deviation, (y - y_mean) / y_std; standard normal when all is well.

    The other functions that take ``y``, ``y_mean`` and ``y_std`` mean the same by them.

    Parameters
    ----------
    y : array-like of shape (n,)
        Measured values.
    y_mean : array-like of shape (n,)
        Predicted means, in the unit of y.
    y_std : array-like of shape (n,)
        Predicted standard deviations of a *measurement* (noise included), in the unit of y.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        When lengths differ, a value is missing or infinite, or a standard deviation is not above 0 (names the row).
    """
    y, y_mean, y_std = _check(y, y_mean, y_std)
    return (y - y_mean) / y_std


def mean_squared_z(y: ArrayLike, y_mean: ArrayLike, y_std: ArrayLike) -> float:
    """Mean of the squared :func:`z_scores`: 1 when spreads fit on average, above 1 overconfident, below 1 too careful.

    One outlier can make it: look at the calibration curve as well.
    """
    return float(np.mean(z_scores(y, y_mean, y_std) ** 2))


def nll(y: ArrayLike, y_mean: ArrayLike, y_std: ArrayLike) -> float:
    """Mean negative log likelihood of a normal prediction, in nats a molecule; lower is better.

    It rewards accuracy and honesty together, and punishes an overconfident miss with the square of z. Its value
    depends on the unit of y: compare models on the same molecules only.
    """
    return float(np.mean(-stats.norm.logpdf(*_check(y, y_mean, y_std))))


def crps(y: ArrayLike, y_mean: ArrayLike, y_std: ArrayLike) -> float:
    """Mean continuous ranked probability score of a normal prediction, in the unit of y; lower is better.

    It is the absolute error made fair to distributions: for y_std near 0 it becomes the mean absolute error.

    References
    ----------
    Gneiting & Raftery, J. Am. Stat. Assoc. 2007, 102, 359-378, eq. 21 (closed form for the normal distribution).
    """
    y, y_mean, y_std = _check(y, y_mean, y_std)
    z = (y - y_mean) / y_std
    each = y_std * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    return float(np.mean(each))


def interval_score(y: ArrayLike, y_mean: ArrayLike, y_std: ArrayLike, level: float = 0.95) -> float:
    """Mean width of the central interval plus 2 / (1 - level) times the distance by which y falls outside.

    In the unit of y; lower is better.

    References
    ----------
    Gneiting & Raftery, J. Am. Stat. Assoc. 2007, 102, 359-378, eq. 43.
    """
    y, y_mean, y_std = _check(y, y_mean, y_std)
    half = stats.norm.ppf(0.5 + _share(level) / 2) * y_std
    outside = np.maximum(np.abs(y - y_mean) - half, 0)
    return float(np.mean(2 * half + 2 / (1 - level) * outside))


def coverage(y: ArrayLike, y_mean: ArrayLike, y_std: ArrayLike, level: float = 0.95) -> float:
    """Share of the molecules inside their central interval of that level; a good model's is near ``level``."""
    return float(np.mean(np.abs(z_scores(y, y_mean, y_std)) <= stats.norm.ppf(0.5 + _share(level) / 2)))


def sharpness(y_std: ArrayLike) -> float:
    """Root of the mean predicted variance, in the unit of y. Lower is sharper, which is good only if calibrated."""
    return float(np.sqrt(np.mean(_positive(y_std) ** 2)))


class RankCorrelation(NamedTuple):
    """Rank correlations between ``|error|`` and predicted standard deviation.

    Attributes
    ----------
    spearman : float
        Spearman's rho.
    kendall : float
        Kendall's tau.
    """

    spearman: float
    kendall: float


def error_rank_correlation(y: ArrayLike, y_mean: ArrayLike, y_std: ArrayLike) -> RankCorrelation:
    """Do larger predicted spreads go with larger errors? Between -1 and 1.

    Even a perfect model stays far below 1, since an error is one draw: see :func:`perfect_reference` with its
    ``y_std``. NaN when all ``y_std`` (or all errors) are equal: a model with one spread for all molecules ranks none.
    """
    y, y_mean, y_std = _check(y, y_mean, y_std)
    error = np.abs(y - y_mean)
    if np.ptp(y_std) == 0 or np.ptp(error) == 0:
        return RankCorrelation(float("nan"), float("nan"))
    return RankCorrelation(
        float(stats.spearmanr(error, y_std).statistic), float(stats.kendalltau(error, y_std).statistic)
    )


# -------------------------------------------------------------------------------------------------- calibration curve
def calibration_curve(
    y: ArrayLike, y_mean: ArrayLike, y_std: ArrayLike, levels: int | Sequence[float] = 99, kind: str = "interval"
) -> tuple[np.ndarray, np.ndarray]:
    """Share of the molecules that a stated share should hold, against the share that it does hold.

    Parameters
    ----------
    y, y_mean, y_std : array-like of shape (n,)
    levels : int or sequence of float
        How many levels, equally spaced strictly inside (0, 1), or the levels themselves, rising.
    kind : {"interval", "quantile"}
        "interval": molecules inside the central interval of each level. Below the diagonal the model is overconfident.
        Blind to a shift of all predictions that wider intervals make up for. "quantile": molecules below each
        quantile; also shows a shift, and shows overconfidence as an S.

    Returns
    -------
    expected, observed : ndarray of shape (n_levels,)

    Raises
    ------
    ValueError
        For levels that are not rising inside (0, 1), or an unknown kind.

    References
    ----------
    Kuleshov, Fenner & Ermon, ICML 2018; Gneiting, Balabdaoui & Raftery, J. R. Stat. Soc. B 2007, 69, 243-268.
    """
    return _curve(z_scores(y, y_mean, y_std), _levels(levels), kind)


def _levels(levels) -> np.ndarray:
    if np.ndim(levels) == 0:
        if levels < 1:
            raise ValueError(f"levels is {levels!r}: give a number of at least 1, or the levels themselves")
        return np.arange(1, int(levels) + 1) / (int(levels) + 1)
    levels = np.asarray(levels, dtype=float)
    if not len(levels) or levels[0] <= 0 or levels[-1] >= 1 or (np.diff(levels) <= 0).any():
        raise ValueError("levels must rise strictly inside (0, 1): 0 and 1 are met by every model")
    return levels


def _curve(z: np.ndarray, levels: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    if kind == "interval":
        reached = 2 * stats.norm.cdf(np.abs(z)) - 1  # the level of the central interval on whose edge y lies
    elif kind == "quantile":
        reached = stats.norm.cdf(z)
    else:
        raise ValueError(f"kind is {kind!r}: choose 'interval' or 'quantile'")
    return levels, np.searchsorted(np.sort(reached), levels, side="right") / len(z)


def miscalibration_area(
    y: ArrayLike,
    y_mean: ArrayLike,
    y_std: ArrayLike,
    levels: int | Sequence[float] = 99,
    kind: str = "interval",
) -> float:
    """Area between the :func:`calibration_curve` and the diagonal: 0 is perfect, near 0.5 the worst.

    Trapezoidal rule, from (0, 0) through the levels to (1, 1). A perfect model's area is not 0: on average it is
    sqrt(pi / (32 n)), 0.03 at n = 112. Judge by :func:`perfect_reference`. It says nothing of accuracy: the mean of
    the training set with the right spread scores as well as the best model.

    Parameters
    ----------
    y, y_mean, y_std : array-like of shape (n,)
    levels, kind
        Of :func:`calibration_curve`.

    Returns
    -------
    float

    See Also
    --------
    dionysus_ama : the same with the published study's ten levels, rule and resampling.

    References
    ----------
    Tran et al., Mach. Learn.: Sci. Technol. 2020, 1, 025006. The mean for a perfect model is that of the area under
    the absolute Brownian bridge, sqrt(pi / 32), divided by sqrt(n) (Shepp, Ann. Probab. 1982, 10, 234-239).
    """
    return _area(*calibration_curve(y, y_mean, y_std, levels, kind))


def _area(expected: np.ndarray, observed: np.ndarray) -> float:
    return float(np.trapezoid(np.r_[0, np.abs(observed - expected), 0], np.r_[0, expected, 1]))


# Simpson's rule for ten points: the mean of closing the odd interval with a trapezium at the one end and at the other,
# as SciPy did it until 1.10.
_TEN = np.linspace(0, 1, 10)
_SIMPSON = np.array([1, 4, 2, 4, 2, 4, 2, 4, 1]) / 3
_TEN_BOUNDS = stats.norm.ppf((1 + _TEN) / 2)
_TEN_WEIGHTS = (np.r_[_SIMPSON, 0] + np.r_[0, _SIMPSON] + 0.5 * np.r_[1, 1, np.zeros(6), 1, 1]) / 2 / 9


def _dionysus_area(z: np.ndarray) -> float:
    inside = np.searchsorted(np.sort(np.abs(z)), _TEN_BOUNDS, side="left") / len(z)
    return float(_TEN_WEIGHTS @ np.abs(inside - _TEN))


def resampled_mean(score: Callable, arrays: Sequence[np.ndarray], n_boot: int, random_state: int) -> float:
    """Mean of a score over bootstrap resamples of the rows, as the DIONYSUS study prints it; n_boot 0: the score."""
    if n_boot == 0:
        return float(score(*arrays))
    rng, n = np.random.default_rng(random_state), len(arrays[0])
    draws = (rng.integers(n, size=n) for _ in range(n_boot))
    return float(np.mean([score(*(values[rows] for values in arrays)) for rows in draws]))


def dionysus_ama(y: ArrayLike, y_mean: ArrayLike, y_std: ArrayLike, n_boot: int = 1000, random_state: int = 0) -> float:
    """Absolute miscalibration area as the DIONYSUS study defines it, to stand beside its published figures.

    It differs from :func:`miscalibration_area` in three ways. (1) Ten levels from 0 to 1, of which the first and the
    last are met by every model; this cuts the corners, so that the worst model scores 0.45 and not 0.5. (2) Simpson's
    rule over the absolute differences. (3) The published figure is the mean over 1 000 bootstrap resamples, which are
    less calibrated than the sample: for a perfect model it is about sqrt(2) times as large (an excess that vanishes
    for a badly calibrated one).

    Parameters
    ----------
    y, y_mean, y_std : array-like of shape (n,)
    n_boot : int
        Resamples to average over; 0 for the area of the sample itself.
    random_state : int
        Of the resamples.

    References
    ----------
    Tom et al., Digital Discovery 2023, 2, 759-774, and the code published with it.
    """
    return resampled_mean(_dionysus_area, [z_scores(y, y_mean, y_std)], n_boot, random_state)


# --------------------------------------------------------------------------------------------------- perfect reference
def perfect_reference(
    metric: Callable,
    n: int | None = None,
    *,
    y_std: ArrayLike | None = None,
    p: ArrayLike | None = None,
    n_sim: int = 1000,
    random_state: int = 0,
    **options,
) -> np.ndarray:
    """Values of a score that a perfectly calibrated model would get: outcomes are drawn from its own predictions.

    Parameters
    ----------
    metric : callable
        A score of this package, or any function of (y, y_mean, y_std), or of (y, p) when ``p`` is given.
    n : int, optional
        Number of molecules. Enough for scores that depend on z alone: miscalibration area, coverage, mean squared z.
    y_std : array-like of shape (n,), optional
        Predicted standard deviations, for scores that depend on them (NLL, CRPS, interval score, rank correlation).
    p : array-like of shape (n,), optional
        Predicted probabilities of the second class. Calibration errors of classifiers depend on where these lie.
        Give exactly one of ``n``, ``y_std`` and ``p``.
    n_sim : int
        Simulated test sets.
    random_state : int
    **options
        Passed to the metric; hashable, such as ``level=0.9``.

    Returns
    -------
    ndarray of shape (n_sim,), or (n_sim, k) for a score of k numbers
        NaN where the score is not defined for a simulated set (all of one class, say). Read-only; kept in memory, so
        that asking twice costs nothing.

    Raises
    ------
    ValueError
        When not exactly one of ``n``, ``y_std``, ``p`` is given.

    Notes
    -----
    The share of these values at or above the observed one is the p value of the test that the model is calibrated
    (Vaicenavicius et al., AISTATS 2019; Bröcker & Smith, Weather Forecast. 2007, 22, 651-661).
    """
    if sum(value is not None for value in (n, y_std, p)) != 1:
        raise ValueError("give exactly one of n, y_std and p")
    if n is not None:
        if n < 1:
            raise ValueError(f"n is {n!r}: give the number of test molecules")
        y_std = np.ones(int(n))
    binary = p is not None
    predicted = _probabilities(p) if binary else _positive(y_std)
    key = tuple(sorted(options.items()))
    return _simulated(metric, binary, predicted.tobytes(), int(n_sim), int(random_state), key)


def _probabilities(p: ArrayLike, n: int | None = None) -> np.ndarray:
    p = _numbers(p, "p", n)
    bad = np.flatnonzero((p < 0) | (p > 1))
    if len(bad):
        raise ValueError(f"row {bad[0]}: p is {p[bad[0]]} ({len(bad)} such rows). A probability lies in [0, 1]")
    return p


@lru_cache(maxsize=256)
def _simulated(metric, binary: bool, predicted: bytes, n_sim: int, random_state: int, options: tuple) -> np.ndarray:
    # a stream of its own: predictions that were themselves simulated with this seed must not meet the same numbers
    rng, predicted, values = np.random.default_rng([2023, random_state]), np.frombuffer(predicted), []
    for _ in range(n_sim):
        if binary:
            given = ((rng.random(len(predicted)) < predicted).astype(float), predicted)
        else:
            given = (rng.normal(scale=predicted), np.zeros(len(predicted)), predicted)
        try:
            values.append(metric(*given, **dict(options)))
        except ValueError:
            values.append(np.nan)
    shape = np.broadcast_shapes(*(np.shape(value) for value in values))
    found = np.array([np.broadcast_to(value, shape) for value in values], dtype=float)
    found.setflags(write=False)
    return found
