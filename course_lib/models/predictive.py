"""What all models that predict a distribution share: scaling inside, one protocol, the two parts of a variance.

A regressor says ``mean`` and ``std`` of a *new measurement*, noise included. ``predict_parts`` splits its variance by
the law of total variance, var[y] = var[E[y | f]] + E[var[y | f]]: epistemic (which function f is it?) and aleatoric
(noise about f). The split is the model's opinion. A model that has only one part gives NaN for the other.

A classifier says the probability of the second class. ``predict_parts`` splits the entropy of that probability alike:
the mean entropy of the sampled probabilities is aleatoric, what is left (the mutual information) is epistemic.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import entr
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from course_lib.featurize.transformer import Descriptors

__all__ = ["Inputs", "Moments", "PredictiveClassifier", "PredictiveRegressor", "entropy_parts"]

CLIP = 5.0


class Inputs(TransformerMixin, BaseEstimator):
    """Raw descriptors to network-sized numbers, learned on training rows; fingerprint bits stay bits.

    A table that holds only 0 and 1 in training is taken for fingerprints: constant columns go, nothing is scaled, since
    a bit that one molecule in a thousand has would become 30 standard deviations. Any other table goes through
    :class:`~course_lib.featurize.Descriptors` (gaps, constant and repeated columns, scale) and is cut at 5 training
    standard deviations, beyond which a network extrapolates wildly.

    Attributes
    ----------
    bits_ : bool
        Whether the training table held bits only.
    descriptors_ : Descriptors
        The fitted choice of columns.
    """

    def fit(self, X: ArrayLike, y: object = None) -> Inputs:
        """Learn from training rows X of shape (n, p), NaN allowed."""
        X = np.asarray(X, dtype=float)
        self.bits_ = bool(np.isin(X, (0.0, 1.0)).all())
        options = {"max_correlation": 1.0, "scale": False} if self.bits_ else {}
        self.descriptors_ = Descriptors(**options).fit(X)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Table of shape (n, n_kept)."""
        check_is_fitted(self)
        X = np.asarray(self.descriptors_.transform(np.asarray(X, dtype=float)))
        return X if self.bits_ else np.clip(X, -CLIP, CLIP)


class Moments(NamedTuple):
    """Mean and the two variances of a prediction, each of shape (n,); NaN in a part that the model does not have."""

    mean: np.ndarray
    epistemic: np.ndarray
    aleatoric: np.ndarray


class _Predictive(BaseEstimator):
    """Features for both kinds of models. Graph models override the two methods that read X."""

    def _read_training(self, X, y, **check):
        """Return (inputs as the model takes them, y); whatever is learned about X is learned here."""
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2, **check)
        self.inputs_ = Inputs().fit(X)
        return self.inputs_.transform(X), y

    def _read_new(self, X):
        """Return the inputs for prediction."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
        return self.inputs_.transform(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class PredictiveRegressor(RegressorMixin, _Predictive):
    """Base of the regressors. A subclass gives ``_fit(X, y)`` and ``_moments(X)``, both on scaled inputs and target.

    Attributes
    ----------
    y_mean_ : float
        Mean of the training target, in its unit.
    y_scale_ : float
        Standard deviation of the training target, in its unit (1 when that is 0).
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> PredictiveRegressor:
        """Fit.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Descriptors (NaN allowed) or bits, unscaled; for graph models SMILES of shape (n,).
        y : array-like of shape (n,)
            Target, in any unit.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For fewer than 2 rows, values that are not finite, lengths that differ.
        """
        X, y = self._read_training(X, y, y_numeric=True)
        y = column_or_1d(y, warn=True).astype(float)
        self.y_mean_, self.y_scale_ = float(y.mean()), float(y.std()) or 1.0
        self._fit(X, (y - self.y_mean_) / self.y_scale_)
        return self

    def _fit(self, X, y) -> None:
        raise NotImplementedError

    def _moments(self, X) -> Moments:
        raise NotImplementedError

    def predict(self, X: ArrayLike, return_std: bool = False):
        """Mean of shape (n,) in the unit of y; with ``return_std`` also the standard deviation of a new measurement."""
        found = self._moments(self._read_new(X))
        mean = found.mean * self.y_scale_ + self.y_mean_
        if not return_std:
            return mean
        total = np.nansum([found.epistemic, found.aleatoric], axis=0)
        return mean, np.sqrt(total) * self.y_scale_

    def predict_parts(self, X: ArrayLike) -> pd.DataFrame:
        """Mean and the two parts of the standard deviation.

        Returns
        -------
        DataFrame of shape (n, 4)
            Columns mean, std, epistemic, aleatoric, in the unit of y; std squared is the sum of the squares of the
            parts. NaN in a part that the model does not have.
        """
        found = self._moments(self._read_new(X))
        total = np.nansum([found.epistemic, found.aleatoric], axis=0)
        return pd.DataFrame(
            {
                "mean": found.mean * self.y_scale_ + self.y_mean_,
                "std": np.sqrt(total) * self.y_scale_,
                "epistemic": np.sqrt(found.epistemic) * self.y_scale_,
                "aleatoric": np.sqrt(found.aleatoric) * self.y_scale_,
            }
        )


def entropy_parts(samples: ArrayLike) -> pd.DataFrame:
    """Split the entropy of a predicted probability.

    Parameters
    ----------
    samples : array-like of shape (n_samples, n)
        Probabilities of the second class under the posterior's samples.

    Returns
    -------
    DataFrame of shape (n, 4)
        Columns probability, total, epistemic (mutual information), aleatoric (mean entropy), the last three in nats.

    References
    ----------
    Depeweg et al., Proceedings of Machine Learning Research 2018, 80, 1184-1193.
    """
    samples = np.asarray(samples, dtype=float)

    def entropy(p):
        return entr(p) + entr(1 - p)

    p = samples.mean(axis=0)
    total, aleatoric = entropy(p), entropy(samples).mean(axis=0)
    epistemic = np.maximum(total - aleatoric, 0)
    return pd.DataFrame({"probability": p, "total": total, "epistemic": epistemic, "aleatoric": aleatoric})


class PredictiveClassifier(ClassifierMixin, _Predictive):
    """Base of the binary classifiers.

    A subclass gives ``_fit(X, t)`` with t in {0, 1}, and ``_probability(X)`` of shape (n,) or
    ``_probability_samples(X)`` of shape (n_samples, n).

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        The labels, sorted; the columns of ``predict_proba``.
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> PredictiveClassifier:
        """Fit on X as in the regressors and y of shape (n,) with two classes.

        Raises
        ------
        ValueError
            When y does not hold exactly two classes.
        """
        X, y = self._read_training(X, y)
        check_classification_targets(y)
        self.classes_, code = np.unique(y, return_inverse=True)
        if len(self.classes_) != 2:
            if len(self.classes_) == 1:
                raise ValueError(
                    f"{type(self).__name__} needs rows of 2 classes, got 1 class: {self.classes_.tolist()}"
                )
            raise ValueError(
                "Only binary classification is supported. The type of the target is "
                f"{type_of_target(y)}, with {len(self.classes_)} classes"
            )
        self._fit(X, code.astype(float))
        return self

    def _fit(self, X, t) -> None:
        raise NotImplementedError

    def _probability_samples(self, X) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} has no posterior samples, hence no epistemic part")

    def _probability(self, X) -> np.ndarray:
        return self._probability_samples(X).mean(axis=0)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Probability of each class, shape (n, 2), columns as ``classes_``."""
        p = self._probability(self._read_new(X))
        return np.column_stack([1 - p, p])

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the more probable class of each row, shape (n,)."""
        second = self.predict_proba(X)[:, 1] > 0.5
        return self.classes_[second.astype(int)]

    def predict_parts(self, X: ArrayLike) -> pd.DataFrame:
        """Probability and the two parts of its entropy, as :func:`entropy_parts` has them.

        Raises
        ------
        NotImplementedError
            For a model without posterior samples.
        """
        return entropy_parts(self._probability_samples(self._read_new(X)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags
