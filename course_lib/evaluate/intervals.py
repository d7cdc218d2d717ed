"""Intervals that mean something: for scores over overlapping splits, and over independent units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

__all__ = ["Interval", "nadeau_bengio", "t_interval"]


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

    Attributes
    ----------
    estimate : float
        The estimate, in the unit of the values.
    low : float
        Lower end of the interval, in the same unit.
    high : float
        Upper end of the interval, in the same unit.
    se : float
        Standard error.
    df : float
        Degrees of freedom of the t distribution.
    level : float
        Confidence level.
    """

    estimate: float
    low: float
    high: float
    se: float
    df: float
    level: float = 0.95

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.estimate:.3g} [{self.low:.3g}, {self.high:.3g}]"


def _values(values, what: str, remedy: str) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"{what} must be a list of at least 2 numbers, got shape {values.shape}: {remedy}")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ValueError(f"{what}[{bad[0]}] is {values[bad[0]]} ({len(bad)} such values)")
    return values


def _interval(estimate, se, df, level) -> Interval:
    if not 0 < level < 1:
        raise ValueError(f"level is {level!r}: give a share between 0 and 1, such as 0.95")
    half = float(stats.t.ppf(0.5 + level / 2, df)) * se
    return Interval(float(estimate), float(estimate - half), float(estimate + half), float(se), float(df), level)


def nadeau_bengio(differences, n_train: float, n_test: float, level: float = 0.95) -> Interval:
    """Corrected resampled t interval for scores over splits of **one** data set.

    Splits of one data set share most of their training rows, so J of them are far from J independent experiments. The
    usual standard error sd / sqrt(J) is much too small; this one is sd * sqrt(1/J + n_test/n_train), with J - 1
    degrees of freedom. It does not shrink to 0 with more splits, as it should not: the data set stays the same.

    Parameters
    ----------
    differences : array-like of shape (J,)
        One value a split: the score of a model, or better the difference of two models on the same split.
    n_train : float
        Molecules (not rows) in the training set of a split; the mean over splits where it varies.
    n_test : float
        Molecules (not rows) in the test set of a split; the mean over splits where it varies.
    level : float
        Confidence level.

    Returns
    -------
    Interval
        In the unit of the values. It is for the performance at this training size, on average over data sets of the
        same origin.

    Raises
    ------
    ValueError
        For fewer than 2 values, values that are not finite, or sizes that are not positive.

    References
    ----------
    Nadeau & Bengio, Machine Learning 2003, 52, 239-281. For repeated k-fold: Bouckaert & Frank, PAKDD 2004, 3-12.
    """
    values = _values(differences, "differences", "one split says nothing about the spread, repeat the cross-validation")
    for name, size in (("n_train", n_train), ("n_test", n_test)):
        if not (np.isfinite(size) and size > 0):
            raise ValueError(f"{name} is {size!r}: give the number of molecules, above 0")
    se = values.std(ddof=1) * np.sqrt(1 / len(values) + n_test / n_train)
    return _interval(values.mean(), se, len(values) - 1, level)


def t_interval(values, level: float = 0.95) -> Interval:
    """Ordinary t interval for the mean of independent units, such as one value for each data set.

    Not for splits of one data set: they overlap, see :func:`nadeau_bengio`.

    Parameters
    ----------
    values : array-like of shape (n,)
        One value a unit.
    level : float
        Confidence level.

    Raises
    ------
    ValueError
        For fewer than 2 values or values that are not finite.
    """
    values = _values(values, "values", "one unit says nothing about the spread between units")
    return _interval(values.mean(), values.std(ddof=1) / np.sqrt(len(values)), len(values) - 1, level)
