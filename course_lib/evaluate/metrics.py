"""Metrics for regression: one value a molecule on both sides."""

from __future__ import annotations

import numpy as np

__all__ = ["METRICS", "mae", "r2", "rmse"]


def _pair(y_true, y_pred) -> tuple[np.ndarray, np.ndarray]:
    true, predicted = np.asarray(y_true, dtype=float), np.asarray(y_pred, dtype=float)
    if true.ndim != 1 or true.shape != predicted.shape:
        raise ValueError(f"y_true {true.shape} and y_pred {predicted.shape} must be two lists of the same length")
    if len(true) == 0:
        raise ValueError("there is no value to score")
    bad = np.flatnonzero(~(np.isfinite(true) & np.isfinite(predicted)))
    if len(bad):
        raise ValueError(f"row {bad[0]}: y_true {true[bad[0]]}, y_pred {predicted[bad[0]]} ({len(bad)} such rows)")
    return true, predicted


def mae(y_true, y_pred) -> float:
    """Mean absolute error, in the unit of y.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)

    Raises
    ------
    ValueError
        When the lengths differ, or a value is missing or infinite (names the row). The same for the other metrics.
    """
    true, predicted = _pair(y_true, y_pred)
    return float(np.mean(np.abs(true - predicted)))


def rmse(y_true, y_pred) -> float:
    """Root mean squared error, in the unit of y; y_true and y_pred of shape (n,)."""
    true, predicted = _pair(y_true, y_pred)
    return float(np.sqrt(np.mean((true - predicted) ** 2)))


def r2(y_true, y_pred) -> float:
    """Share of the variance of these very values that the prediction explains; y_true and y_pred of shape (n,).

    1 - sum of squared errors / sum of squares about the mean of ``y_true``. Below 0 the mean of the test values would
    have done better. It depends on the spread of the test values: never compare it between sets of different range.

    Raises
    ------
    ValueError
        Also for fewer than two values, or values that are all the same: it is not defined then.
    """
    true, predicted = _pair(y_true, y_pred)
    total = np.sum((true - true.mean()) ** 2)
    if total <= 0:
        raise ValueError("R2 is not defined for fewer than two different values of y_true")
    return float(1 - np.sum((true - predicted) ** 2) / total)


METRICS = {"mae": mae, "rmse": rmse, "r2": r2}
