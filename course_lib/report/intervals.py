"""CV+ intervals of a model that can be stored: fitted once, asked as often as new molecules come."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted

__all__ = ["CVPlus"]


class CVPlus(RegressorMixin, BaseEstimator):
    """A model, the models of its folds, and the errors that these made on the molecules left out.

    The same intervals as ``conformal_intervals(..., method="cv+")`` (a test compares them), which wraps MAPIE and fits
    anew at each call.

    Parameters
    ----------
    estimator : scikit-learn regressor
    level : float
        Share of new molecules that an interval should hold; CV+ promises somewhat less, and gives that or a few
        points more (benchmarks/report.py measures it).

    Attributes
    ----------
    model_ : estimator
        Fitted on all rows; it gives the prediction.
    models_ : list of estimators
        Each fitted without one fold.
    fold_ : ndarray of int, shape (n,)
    errors_ : ndarray, shape (n,)
        Absolute errors of the left-out rows.

    References
    ----------
    Barber et al., Ann. Stat. 2021, 49, 486-507.
    """

    def __init__(self, estimator=None, level=0.9):
        self.estimator = estimator
        self.level = level

    def fit(self, X, y, fold):
        """Fit on X of shape (n, p), y of shape (n,) and the number of each row's fold, 0 to K - 1.

        Raises
        ------
        ValueError
            When so few rows cannot bear the level.
        """
        y, self.fold_ = np.asarray(y, dtype=float), np.asarray(fold, dtype=int)
        self.rank_ = int(np.ceil(round((len(y) + 1) * self.level, 9)))  # which of the sorted ends is the bound, from 1
        if self.rank_ > len(y):
            raise ValueError(f"{len(y)} molecules are too few for a level of {self.level:g}: lower it")
        self.errors_ = np.empty(len(y))
        self.models_ = []
        for number in range(self.fold_.max() + 1):
            out = self.fold_ == number
            model = clone(self.estimator).fit(X[~out], y[~out])
            self.errors_[out] = np.abs(y[out] - model.predict(X[out]))
            self.models_.append(model)
        self.model_ = clone(self.estimator).fit(X, y)
        return self

    def predict(self, X):
        """Prediction of the model of all rows, shape (n_new,)."""
        check_is_fitted(self)
        return np.asarray(self.model_.predict(X), dtype=float)

    def interval(self, X):
        """Return (low, high), each of shape (n_new,)."""
        check_is_fitted(self)
        centre = np.array([model.predict(X) for model in self.models_])[self.fold_]
        low = -np.sort(-(centre - self.errors_[:, None]), axis=0)[self.rank_ - 1]
        high = np.sort(centre + self.errors_[:, None], axis=0)[self.rank_ - 1]
        return low, high
