"""Conformal prediction: intervals that hold their level whatever the model, as long as molecules are exchangeable.

MAPIE was kept for CV+ and jackknife+, the methods for small sets, and because its folds may be any scikit-learn
splitter, so that molecules stay whole. crepes (0.9) was looked at and not kept: it offers split, normalised and
Mondrian conformal regressors and predictive distributions, calibrated on held-out or out-of-bag rows, and neither CV+
nor jackknife+. Split conformal is one quantile, and stands here in the open; MAPIE 1.4, which must do as well, does not
divide by a model's own standard deviation.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import BaseCrossValidator, PredefinedSplit
from sklearn.utils import _safe_indexing

from course_lib.evaluate.calibration import _numbers, _positive, _share
from course_lib.splits import GroupKFold, GroupShuffleSplit, assert_no_leak

__all__ = ["METHODS", "conformal_intervals"]

METHODS = ("jackknife+", "cv+", "split", "split normalised")


def conformal_intervals(
    estimator: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike,
    X_new: ArrayLike,
    *,
    method: str = "cv+",
    level: float = 0.9,
    groups: ArrayLike | None = None,
    cv: int | BaseCrossValidator | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Prediction intervals with a guaranteed share of hits over all new molecules together.

    What is promised, with alpha = 1 - level, for molecules that are exchangeable (drawn alike, so *not* under a cluster
    split), whatever the model:

    - "split" and "split normalised": at least ``level``, at most ``level`` + 1 / (m + 1) with m calibration molecules.
    - "jackknife+": at least 1 - 2 alpha; usually close to ``level``.
    - "cv+" with K folds of n molecules: at least 1 - 2 alpha - min(2 (1 - 1/K) / (n/K + 1), (1 - K/n) / (K + 1));
      usually close to ``level``, or somewhat above.

    The promise is *marginal*: it is an average over draws of the data and over new molecules. It says nothing of one
    molecule, nor of those far from the training set. All widths are equal with "split", and nearly so with "cv+" and
    "jackknife+"; "split normalised" widens them where the model says that it knows less.

    Parameters
    ----------
    estimator : scikit-learn regressor
        Not fitted; clones are. "split normalised" needs ``predict(X, return_std=True)``.
    X : array-like of shape (n, p), or SMILES of shape (n,) for graph models
        Training and calibration molecules; these are divided here.
    y : array-like of shape (n,)
        Their measured values.
    X_new : array-like like X
        Molecules to predict, none of which is in X.
    method : {"cv+", "jackknife+", "split", "split normalised"}
        Below some 100 molecules "jackknife+" (n fits) or "cv+" (K fits), since "split" gives a part of the molecules
        away; above, "split normalised".
    level : float
    groups : array-like of shape (n,), optional
        Molecule of each row, never parted; by default each row is a molecule. The promise counts molecules: rows of
        one molecule (conformers) are not exchangeable, so average them first; a few repeated measurements do no harm.
    cv : int or splitter, optional
        "cv+": number of folds (10 by default) or a splitter that tests each row once. The split methods: a splitter
        whose first split is (training, calibration), by default 30 % of the molecules for calibration.
    random_state : int
        Of the default splitters.

    Returns
    -------
    DataFrame of shape (n_new, 3)
        Columns mean, low, high, in the unit of y. The mean is that of the models of all folds for "cv+" and
        "jackknife+", else the model's.

    Raises
    ------
    ValueError
        When there are too few calibration molecules for the level (the interval would be infinite), for an unknown
        method, and for lengths that do not agree.
    LeakError
        When a splitter parts a molecule.

    References
    ----------
    Barber et al., Ann. Stat. 2021, 49, 486-507 (CV+, jackknife+); Lei et al., J. Am. Stat. Assoc. 2018, 113, 1094-1111
    (split, normalised); Papadopoulos et al., J. Artif. Intell. Res. 2011, 40, 815-840 (normalised).
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}: choose from {', '.join(METHODS)}")
    level, y = _share(level), _numbers(y, "y")
    X, X_new = (values if hasattr(values, "shape") else np.asarray(values) for values in (X, X_new))
    groups = np.arange(len(y)) if groups is None else np.asarray(groups)
    if not len(y) == X.shape[0] == len(groups):
        raise ValueError(f"X has {X.shape[0]} rows, y {len(y)}, groups {len(groups)}: give one each a row")
    if method.startswith("split"):
        return _split(estimator, X, y, X_new, method, level, groups, cv, random_state)
    return _plus(estimator, X, y, X_new, level, _folds(method, y, groups, cv, random_state), groups)


def _rank(level: float, n: int) -> int:
    """Which of n sorted scores is the bound, counted from 1; above n when none is large enough."""
    return int(np.ceil(round((n + 1) * level, 9)))


def _enough(level: float, groups: np.ndarray) -> None:
    n = len(np.unique(groups))
    if _rank(level, n) > n:
        raise ValueError(
            f"{n} calibration molecules are too few for a level of {level:g}: it takes at least "
            f"{int(np.ceil(round(level / (1 - level), 9)))}. Lower the level, or calibrate on all molecules with "
            "'jackknife+'"
        )


def _splits(cv, y: np.ndarray, groups: np.ndarray):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The groups parameter is ignored")  # they are checked here
        for train, test in cv.split(np.zeros((len(y), 1)), y, groups):
            assert_no_leak(groups[train], groups[test])
            yield train, test


def _split(estimator, X, y, X_new, method, level, groups, cv, random_state) -> pd.DataFrame:
    train, rest = next(_splits(cv or GroupShuffleSplit(1, test_size=0.3, random_state=random_state), y, groups))
    _enough(level, groups[rest])
    model = clone(estimator).fit(_safe_indexing(X, train), y[train])

    def predict(X):
        if method == "split":
            mean = np.asarray(model.predict(X), dtype=float)
            return mean, np.ones(len(mean))
        mean, std = model.predict(X, return_std=True)
        return mean, _positive(std)

    mean, std = predict(_safe_indexing(X, rest))
    scores = np.sort(np.abs(y[rest] - mean) / std)
    mean, std = predict(X_new)
    half = scores[_rank(level, len(scores)) - 1] * std
    return pd.DataFrame({"mean": mean, "low": mean - half, "high": mean + half})


def _folds(method, y, groups, cv, random_state) -> np.ndarray:
    """Fold of each row, shape (n,)."""
    if method == "jackknife+":
        if cv is not None:
            raise ValueError("jackknife+ leaves out one molecule at a time and takes no cv: use method='cv+'")
        return np.unique(groups, return_inverse=True)[1]
    if cv is None or isinstance(cv, int):
        n_units = len(np.unique(groups))
        cv = GroupKFold(min(cv or 10, n_units), shuffle=True, random_state=random_state)
    fold = np.full(len(y), -1)
    for number, (train, test) in enumerate(_splits(cv, y, groups)):
        if (fold[test] >= 0).any() or len(train) + len(test) != len(y):
            raise ValueError("cv must test each row exactly once and train on all others, as k-fold splitters do")
        fold[test] = number
    if (fold < 0).any():
        raise ValueError(f"cv never tests row {np.argmin(fold)}: every row must be tested once")
    return fold


def _plus(estimator, X, y, X_new, level, fold, groups) -> pd.DataFrame:
    from mapie.regression import CrossConformalRegressor

    _enough(level, groups)
    # a hair below the level, so that a rounding error does not push an exact rank up by one; MAPIE's own limit on n is
    # stricter by one molecule than the ranks need, hence infinite bounds are allowed
    level = level - 1e-10
    model = CrossConformalRegressor(estimator, confidence_level=level, method="plus", cv=PredefinedSplit(fold))
    mean, bounds = model.fit_conformalize(X, y).predict_interval(X_new, allow_infinite_bounds=True)
    return pd.DataFrame({"mean": mean, "low": bounds[:, 0, 0], "high": bounds[:, 1, 0]})
