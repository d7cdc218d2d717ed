"""Raw descriptors in, clean columns out: a scikit-learn step that learns from training rows only."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data


class Descriptors(TransformerMixin, BaseEstimator):
    """Choose, fill and scale descriptor columns.

    In this order, all learnt from the rows given to `fit`: drop columns with too many gaps, fill the other gaps with
    the column's median, drop constant columns, drop each column that is nearly the same as an earlier one that stays,
    and scale to mean 0 and standard deviation 1. Infinite values count as gaps.

    Parameters
    ----------
    max_missing : float
        Largest share of gaps that a column may have, 0 to 1.
    max_correlation : float
        Of two columns with a larger absolute correlation (Pearson) the later one goes; 1 keeps both.
    scale : bool
        Whether to scale.

    Attributes
    ----------
    kept_ : ndarray of int of shape (n_kept,)
        Positions of the columns that stay.
    median_ : ndarray of shape (n_kept,)
        What gaps are filled with: the column's median.
    mean_ : ndarray of shape (n_kept,)
        What is subtracted: the column's mean, 0 without `scale`.
    scale_ : ndarray of shape (n_kept,)
        What is divided by: the column's standard deviation, 1 without `scale`.
    dropped_ : dict of str to int
        How many columns went for which reason: missing, constant, correlated.
    """

    def __init__(self, max_missing: float = 0.2, max_correlation: float = 0.95, scale: bool = True) -> None:
        self.max_missing = max_missing
        self.max_correlation = max_correlation
        self.scale = scale

    def fit(self, X: ArrayLike, y: object = None) -> Descriptors:
        """Learn which columns to keep, and their medians, means and standard deviations.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows; may hold NaN.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            When no column is left, or an option is outside 0 to 1.
        """
        for name in ("max_missing", "max_correlation"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}")
        X = self._values(X, reset=True)
        gaps = np.isnan(X)
        kept = np.flatnonzero((gaps.mean(axis=0) <= self.max_missing) & ~gaps.all(axis=0))
        n_missing = X.shape[1] - len(kept)
        X, gaps = X[:, kept], gaps[:, kept]
        median = np.nanmedian(X, axis=0) if len(kept) else np.empty(0)
        X = np.where(gaps, median, X)

        # scaled before the spread is taken: some of Mordred's columns are so large that their squares overflow
        centre = X[0].copy() if len(X) else np.zeros(len(kept))
        size = np.max(np.abs(X - centre), axis=0, initial=0.0)
        unit = np.where(size > 0, size, 1.0)
        X = (X - centre) / unit
        mean, spread = X.mean(axis=0), X.std(axis=0)
        moving = spread > 1e-12
        moving &= size > 1e-12 * np.abs(median)
        n_constant = int(np.sum(~moving))
        standard = (X[:, moving] - mean[moving]) / spread[moving]
        distinct = _distinct(standard, self.max_correlation)
        chosen = np.flatnonzero(moving)[distinct]
        if not len(chosen):
            raise ValueError(
                f"no descriptor column is left of {self.n_features_in_}: {n_missing} had more than "
                f"{self.max_missing:.0%} gaps, {n_constant} were constant in the {len(X)} training rows"
            )
        self.kept_ = kept[chosen]
        self.median_ = median[chosen]
        self.mean_ = (centre + mean * unit)[chosen] if self.scale else np.zeros(len(chosen))
        self.scale_ = (spread * unit)[chosen] if self.scale else np.ones(len(chosen))
        self.dropped_ = {
            "missing": n_missing,
            "constant": n_constant,
            "correlated": int(np.sum(moving)) - len(chosen),
        }
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Apply what `fit` learnt.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_kept)
            Without gaps; a DataFrame after ``set_output(transform="pandas")``.
        """
        check_is_fitted(self)
        X = self._values(X, reset=False)[:, self.kept_]
        return (np.where(np.isnan(X), self.median_, X) - self.mean_) / self.scale_

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Names of the columns that stay, shape (n_kept,)."""
        check_is_fitted(self)
        return _check_feature_names_in(self, input_features)[self.kept_]

    def _values(self, X: ArrayLike, reset: bool) -> np.ndarray:
        """Return X as floats, with infinite values as gaps."""
        options = {"dtype": np.float64, "ensure_all_finite": False, "reset": reset}
        X = validate_data(self, X, **options, ensure_min_samples=2 if reset else 1)
        return np.where(np.isfinite(X), X, np.nan)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _distinct(standard: np.ndarray, limit: float) -> np.ndarray:
    """Positions of columns none of which correlates beyond `limit` with an earlier one that stays.

    `standard` has mean 0 and standard deviation 1, shape (n_samples, n_features).
    """
    n_features = standard.shape[1]
    if limit >= 1 or not n_features:
        return np.arange(n_features)
    close = np.abs(standard.T @ standard) / len(standard) > limit
    stays = np.ones(n_features, dtype=bool)
    for column in range(n_features):
        if stays[column]:
            stays[column + 1 :] &= ~close[column, column + 1 :]
    return np.flatnonzero(stays)
