"""From rows to molecules: averaging predictions, and weights that reach the last step of a pipeline."""

from __future__ import annotations

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

__all__ = ["average_by_group", "fit_weighted"]


def average_by_group(predictions, groups) -> tuple[np.ndarray, np.ndarray]:
    """Average the rows of each group (molecule).

    Parameters
    ----------
    predictions : array-like of shape (n_rows,) or (n_rows, k)
        One prediction a row, or k (class probabilities).
    groups : array-like of shape (n_rows,)
        Molecule of each row.

    Returns
    -------
    unique_groups : ndarray of shape (n_groups,)
        The groups, sorted.
    means : ndarray of shape (n_groups,) or (n_groups, k)
        Mean over each group's rows, in the unit of the predictions.

    Raises
    ------
    ValueError
        When the lengths differ.
    """
    values = np.asarray(predictions, dtype=float)
    groups = np.asarray(groups)
    if groups.shape != (len(values),):
        raise ValueError(f"{len(values)} predictions but group labels of shape {groups.shape}: give one label a row")
    if groups.dtype == object:
        groups = groups.astype(str)
    unique, number = np.unique(groups, return_inverse=True)
    columns = values.reshape(len(values), -1)
    total = np.stack([np.bincount(number, weights=column, minlength=len(unique)) for column in columns.T], axis=1)
    means = total / np.bincount(number)[:, None]
    return unique, means.reshape(len(unique), *values.shape[1:])


def fit_weighted(estimator, X, y, weights=None):
    """Fit with one weight a row, also through a pipeline (the weights go to its last step).

    Parameters
    ----------
    estimator : scikit-learn estimator or pipeline
        It is fitted in place.
    X : array-like of n_rows rows
        Features.
    y : array-like of shape (n_rows,)
        Target.
    weights : array-like of shape (n_rows,), optional
        Row weights. Equal weights are the same as none, and are not passed on.

    Returns
    -------
    The fitted estimator.

    Raises
    ------
    ValueError
        When the weights differ between rows and the estimator cannot take any.
    """
    if weights is None:
        return estimator.fit(X, y)
    weights = np.asarray(weights, dtype=float)
    if np.ptp(weights) <= 1e-9 * np.abs(weights).max():
        return estimator.fit(X, y)
    last, keyword = estimator, "sample_weight"
    while isinstance(last, Pipeline):
        name, last = last.steps[-1]
        keyword = f"{name}__{keyword}"
    if not has_fit_parameter(last, "sample_weight"):
        raise ValueError(
            f"{type(last).__name__} takes no row weights, but the molecules have different numbers of rows: "
            "pass weights=None to count every row once"
        )
    return estimator.fit(X, y, **{keyword: weights})
