"""The bootstrap: members fitted on resampled rows disagree where the data do not decide."""

from __future__ import annotations

from inspect import signature

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, column_or_1d

from course_lib.models.predictive import Moments, PredictiveRegressor, _Predictive

__all__ = ["BootstrapEnsemble"]


class BootstrapEnsemble(PredictiveRegressor):
    """Mean and spread of one regressor fitted on bootstrap resamples of the rows.

    The spread of the members' means is the epistemic part. It says nothing about noise: with enough rows all members
    agree. The aleatoric part is the mean of the variances that the members predict, when they have
    ``predict(X, return_std=True)``, else a constant from the out-of-bag residuals (see ``noise_``).

    Parameters
    ----------
    estimator : regressor, optional
        One of the course's or of scikit-learn's; fitted on scaled inputs and target. Default: a regression tree.
    n_members : int
    random_state : int
        Seed of the resamples, and of the members that have a ``random_state``: each gets its own.

    Attributes
    ----------
    members_ : list of estimators
    noise_ : float
        Variance of the noise, as a share of the variance of y; NaN when the members predict their own. For each row the
        squared residual of the mean over the members that did not see it, less the variance of those members'
        predictions; the mean over the rows that two or more members did not see, cut at zero. So both parts
        together match the squared error on rows not seen. Members that cannot follow the data (bias) make noise.

    References
    ----------
    Breiman, Machine Learning 1996, 24, 123-140; Heskes, Advances in Neural Information Processing Systems 1997, 9,
    176-182 (noise from the residuals less the members' spread).
    """

    def __init__(self, estimator=None, n_members=20, *, random_state=0):
        self.estimator = estimator
        self.n_members = n_members
        self.random_state = random_state

    def _read_training(self, X, y, **check):
        if not isinstance(self.estimator, _Predictive):
            return super()._read_training(X, y, **check)
        # The course's models scale for themselves, and some read SMILES: the members get X as it came.
        X, y = np.asarray(X), check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        check_consistent_length(X, y)
        return X, y

    def _read_new(self, X):
        if not isinstance(self.estimator, _Predictive):
            return super()._read_new(X)
        check_is_fitted(self)
        return np.asarray(X)

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> BootstrapEnsemble:
        """Fit as in the base class; with ``groups`` of shape (n,) whole groups are drawn (all rows of a molecule).

        Raises
        ------
        ValueError
            Also for fewer than 2 members, fewer than 2 groups, or groups of another length.
        """
        if self.n_members < 2:
            raise ValueError(f"n_members is {self.n_members}: a spread needs at least 2")
        X, y = self._read_training(X, y, y_numeric=True)
        y = column_or_1d(y, warn=True).astype(float)
        self.y_mean_, self.y_scale_ = float(y.mean()), float(y.std()) or 1.0
        y, n = (y - self.y_mean_) / self.y_scale_, len(y)
        groups = np.arange(n) if groups is None else np.asarray(groups)
        if groups.shape != (n,):
            raise ValueError(f"y has {n} rows, groups has shape {groups.shape}: give one label a row")
        names, code = np.unique(groups, return_inverse=True)
        if len(names) < 2:
            raise ValueError("all rows belong to one group: there is nothing to resample")
        rows = [np.flatnonzero(code == number) for number in range(len(names))]
        rng = np.random.default_rng(self.random_state)
        base = DecisionTreeRegressor() if self.estimator is None else self.estimator
        self.members_, seen = [], np.zeros((self.n_members, n), dtype=bool)
        for number in range(self.n_members):
            drawn = np.concatenate([rows[i] for i in rng.integers(len(names), size=len(names))])
            member, seed = clone(base), int(rng.integers(2**31))
            if "random_state" in member.get_params():
                member.set_params(random_state=seed)
            self.members_.append(member.fit(X[drawn], y[drawn]))
            seen[number, drawn] = True
        self.predicts_std_ = "return_std" in signature(base.predict).parameters
        self.noise_ = np.nan if self.predicts_std_ else self._noise(X, y, seen)
        return self

    def _noise(self, X, y, seen) -> float:
        means = np.ma.masked_array([member.predict(X) for member in self.members_], mask=seen)
        some = (~seen).sum(axis=0) >= 2
        if not some.any():
            raise ValueError(f"no row was left out by two of the {self.n_members} members: use more of them")
        excess = (y - means.mean(axis=0)) ** 2 - means.var(axis=0, ddof=1)
        return max(float(excess[some].mean()), 0.0)

    def _moments(self, X):
        if self.predicts_std_:
            found = np.array([member.predict(X, return_std=True) for member in self.members_])
            means, aleatoric = found[:, 0], (found[:, 1] ** 2).mean(axis=0)
        else:
            means = np.array([member.predict(X) for member in self.members_])
            aleatoric = np.full(len(X), self.noise_)
        return Moments(means.mean(axis=0), means.var(axis=0, ddof=1), aleatoric)
