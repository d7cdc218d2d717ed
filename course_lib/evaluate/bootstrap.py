"""Interval of a score over the molecules of one test set, by resampling molecules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from course_lib.evaluate.intervals import Interval

__all__ = ["bootstrap_interval"]


def bootstrap_interval(
    metric: Callable[..., float],
    *arrays: ArrayLike,
    n_boot: int = 2000,
    level: float = 0.95,
    groups: ArrayLike | None = None,
    method: str = "percentile",
    random_state: int = 0,
) -> Interval:
    """Bootstrap interval of a score: how far it would move with other test molecules of the same origin.

    The model stays as it is: how much the score moves with other *training* molecules is not in it, nor is the choice
    of the model. Below some 30 molecules the interval is too narrow. Calibration errors do not fit: they are biased
    upwards in each resample; use :func:`~course_lib.evaluate.perfect_reference`.

    Parameters
    ----------
    metric : callable
        Function of the arrays that returns one number.
    *arrays : array-like of shape (n,)
        ``y, y_pred``, or ``y, y_mean, y_std``, or ``y, p``: one row a prediction.
    n_boot : int
        Resamples.
    level : float
    groups : array-like of shape (n,), optional
        Molecule of each row: whole molecules are drawn. By default each row is a molecule.
    method : {"percentile", "bca"}
        "bca" corrects for bias and skewness, with one more evaluation for each molecule.
    random_state : int

    Returns
    -------
    Interval
        In the unit of the score; ``se`` is the standard deviation over resamples, ``df`` is NaN.

    Raises
    ------
    ValueError
        For lengths that differ, fewer than 2 molecules, or a score that is not defined (raises ValueError or is NaN)
        in more than 5 % of the resamples. Fewer such resamples, one-sided draws of a rare class, are left out: the
        interval then holds given that both classes are drawn.

    References
    ----------
    Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 14.
    """
    columns = [np.asarray(values) for values in arrays]
    n = len(columns[0]) if columns else 0
    if any(values.shape != (n,) for values in columns):
        raise ValueError(f"the arrays have shapes {[values.shape for values in columns]}: give lists of one length")
    labels = np.arange(n) if groups is None else np.asarray(groups)
    if labels.shape != (n,):
        raise ValueError(f"groups has shape {labels.shape} for {n} rows: give one label a row")
    if not 0 < level < 1:
        raise ValueError(f"level is {level!r}: give a share between 0 and 1, such as 0.95")
    if method not in ("percentile", "bca"):
        raise ValueError(f"method is {method!r}: choose 'percentile' or 'bca'")
    unit = np.unique(labels, return_inverse=True)[1]
    n_units = unit.max() + 1 if n else 0
    if n_units < 2:
        raise ValueError(f"there are {n_units} molecules: at least 2 are needed, and 30 or more are better")
    rows = np.split(np.argsort(unit, kind="stable"), np.cumsum(np.bincount(unit))[:-1])

    def score(units) -> float:
        chosen = np.concatenate([rows[k] for k in units])
        return float(metric(*(values[chosen] for values in columns)))

    def defined(units) -> float:
        try:
            return score(units)
        except ValueError:
            return np.nan

    estimate, rng = float(metric(*columns)), np.random.default_rng(random_state)
    drawn = np.array([defined(rng.integers(n_units, size=n_units)) for _ in range(n_boot)])
    missing = int(np.isnan(drawn).sum())
    if missing > 0.05 * n_boot:
        raise ValueError(
            f"the score is not defined in {missing} of {n_boot} resamples: too few molecules, or too few of one class"
        )
    drawn = drawn[~np.isnan(drawn)]
    shares = np.array([0.5 - level / 2, 0.5 + level / 2])
    if method == "bca":
        left = np.array([score(np.delete(np.arange(n_units), k)) for k in range(n_units)])
        shares = _corrected(shares, drawn, estimate, left)
    low, high = np.quantile(drawn, shares)
    return Interval(estimate, float(low), float(high), float(drawn.std(ddof=1)), float("nan"), level)


def _corrected(shares: np.ndarray, drawn: np.ndarray, estimate: float, left: np.ndarray) -> np.ndarray:
    """Return the shares of the BCa interval; ``left`` holds the score without each molecule in turn."""
    bias = norm.ppf((np.mean(drawn < estimate) + np.mean(drawn <= estimate)) / 2)
    away = left.mean() - left
    spread = np.sum(away**2)
    acceleration = np.sum(away**3) / (6 * spread**1.5) if spread > 0 else 0.0
    z = bias + norm.ppf(shares)
    return norm.cdf(bias + z / (1 - acceleration * z))
