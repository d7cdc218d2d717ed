"""NGBoost: gradient-boosted trees that predict a distribution, for a number or for two classes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from ngboost import NGBClassifier, NGBRegressor
from ngboost.distns.categorical import Bernoulli, CategoricalLogScore
from ngboost.distns.distn import RegressionDistn
from ngboost.distns.normal import Normal, NormalLogScore
from ngboost.scores import LogScore
from scipy.stats import norm
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.tree import DecisionTreeRegressor

from course_lib.models.predictive import Moments, PredictiveClassifier, PredictiveRegressor

__all__ = ["NGBoostClassifier", "NGBoostRegressor"]


class _LogScore(NormalLogScore, LogScore):
    """NGBoost's log score of a normal distribution, from its mean and standard deviation alone."""

    def score(self, Y):
        return -norm.logpdf(Y, self.loc, self.scale)


class _Normal(Normal):
    """NGBoost's normal distribution, without the SciPy object that it makes anew for every round and step of a search.

    Such an object takes a millisecond, most of it for its documentation: with few rows half the time of a fit.
    """

    scores: ClassVar = [_LogScore]

    def __init__(self, params):
        RegressionDistn.__init__(self, params)
        self.loc, self.scale = params[0], np.exp(params[1])
        self.var = self.scale**2

    @property
    def dist(self):
        return norm(self.loc, self.scale)


class _BernoulliLogScore(CategoricalLogScore, LogScore):
    """NGBoost's log score of two classes; its natural gradient divides by p (1 - p), here by 1e-6 at least.

    Where the classes can be told apart without a mistake p becomes 0 or 1 to the last digit, and the gradient infinite.
    """

    def metric(self):
        return np.maximum(super().metric(), 1e-6)


class _Bernoulli(Bernoulli):
    scores: ClassVar = [_BernoulliLogScore]


class _NewtonSteps(NGBClassifier):
    """NGBoost's classifier, whose line search may shorten a step but not lengthen it.

    For classes the step along the natural gradient is Newton's. The library doubles it, up to 512 times, until the loss
    on the rows of the round is *larger* than before. Where a tree tells the classes of these rows apart without a
    mistake, which is the rule with few rows and many columns, it never is: one round makes the model certain, the log
    loss of new rows several times that of no model at all, and most of a pool tie for the highest probability.
    """

    def line_search(self, resids, start, Y, sample_weight=None, scale_init=1):
        super().line_search(resids, start, Y, sample_weight, scale_init)
        self.scalings[-1] = min(1.0, self.scalings[-1])  # a search that went beyond 1 found the loss at 1 no larger
        return self.scalings[-1]


class _NGBoost:
    """What the regressor and the classifier share."""

    TUNE_SPACE: ClassVar[dict[str, tuple]] = {
        "max_depth": ("int", 1, 5),
        "min_samples_leaf": ("int", 1, 15),
        "subsample": ("float", 0.3, 1.0),
        "colsample": ("log10", 0.05, 1.0),
    }

    def __init__(
        self,
        *,
        n_estimators=80,
        learning_rate=0.1,
        max_depth=3,
        min_samples_leaf=5,
        subsample=0.5,
        colsample=0.2,
        n_folds=4,
        random_state=0,
    ):
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.subsample = subsample
        self.colsample = colsample
        self.n_folds = n_folds
        self.random_state = random_state

    def _boost(self, X, y):
        """Fit NGBoost's own estimator, silent and reproducible."""
        seed = int(np.random.default_rng(self.random_state).integers(2**31))
        # The tree gets a seed too: without one, ties between columns break anew in each run.
        tree = DecisionTreeRegressor(
            max_depth=int(self.max_depth), min_samples_leaf=int(self.min_samples_leaf), random_state=seed
        )
        model = self._library(
            Base=tree,
            **self._options,
            n_estimators=int(self.n_estimators),
            learning_rate=self.learning_rate,
            minibatch_frac=max(self.subsample, min(1.0, 2 / len(y))),  # two rows or more
            col_sample=self.colsample,
            verbose=False,
            random_state=seed,
        )
        # Its line search tries steps up to 512 times too long, and drops those whose score is not finite.
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return model.fit(X, y)

    def _out_of_fold(self, X, y, folds):
        """Distributions of rows not seen after 1, 2, ... rounds, as parameters of shape (n_rounds, n_parameters, n)."""
        found = []
        for train, test in folds:
            staged = self._boost(X[train], y[train]).staged_pred_dist(X[test])
            found.append((test, np.array([self._parameters(stage) for stage in staged])))
        n_rounds = min(len(values) for _, values in found)
        result = np.empty((n_rounds, found[0][1].shape[1], len(y)))
        for test, values in found:
            result[:, :, test] = values[:n_rounds]
        return result


class NGBoostRegressor(_NGBoost, PredictiveRegressor):
    """A normal distribution whose mean and log standard deviation are sums of small trees, by natural gradient.

    Boosting shrinks the standard deviation as the trees come closer to the training rows, which says nothing about new
    ones: after a few dozen rounds it is several times too small, while the mean still improves. So the number of
    rounds, and a factor for the standard deviation, are the pair with the best log score on rows held out in an
    inner cross-validation; the trees are then grown on all rows. The inner folds deal out rows: with several rows a
    molecule (conformers) use ``n_folds=0``.

    The standard deviation is that of the measurements about the mean, so all of it is called aleatoric: what the trees
    do not know for lack of data has no place of its own in the model (a ``BootstrapEnsemble`` has both parts).

    Parameters
    ----------
    n_estimators : int
        Boosting rounds, at most; a round grows one tree for each of the two parameters.
    learning_rate : float
    max_depth : int
        Depth of a tree, at most.
    min_samples_leaf : int
        Rows in a leaf, at least.
    subsample : float
        Share of the rows, drawn anew in each round.
    colsample : float
        Share of the columns, drawn anew in each round.
    n_folds : int
        Folds of the inner cross-validation. 0: all rounds, standard deviation as it comes, NGBoost's own way.
    random_state : int

    Attributes
    ----------
    model_ : ngboost.NGBRegressor
        The fitted model, on scaled inputs and target.
    n_rounds_ : int
        Rounds used.
    std_factor_ : float
        What the model's standard deviation is multiplied by.

    References
    ----------
    Duan et al., Proceedings of Machine Learning Research 2020, 119, 2690-2700. The factor: Kuleshov et al., Proceedings
    of Machine Learning Research 2018, 80, 2796-2804, in its simplest form.
    """

    _library = NGBRegressor
    _options: ClassVar = {"Dist": _Normal}

    @staticmethod
    def _parameters(found):
        return found.loc, found.scale

    def _fit(self, X, y):
        self.n_rounds_, self.std_factor_ = int(self.n_estimators), 1.0
        n_folds = min(self.n_folds, len(y) // 2)
        if n_folds > 1:
            folds = KFold(n_folds, shuffle=True, random_state=0).split(X)
            mean, std = self._out_of_fold(X, y, folds).transpose(1, 0, 2)
            factor = np.sqrt((((y - mean) / std) ** 2).mean(axis=1))
            log_score = np.log(np.maximum(factor, 1e-12)) + np.log(std).mean(axis=1)
            best = int(log_score.argmin())
            self.n_rounds_, self.std_factor_ = best + 1, float(factor[best])
        self.model_ = self._boost(X, y)

    def _moments(self, X):
        found = self.model_.pred_dist(X, max_iter=self.n_rounds_)
        return Moments(found.loc, np.full(len(X), np.nan), found.var * self.std_factor_**2)


class NGBoostClassifier(_NGBoost, PredictiveClassifier):
    """Probability of the second class whose logit is a sum of small trees; parameters as in `NGBoostRegressor`.

    The number of rounds is the one with the best log loss on rows held out. No step is longer than Newton's, times the
    learning rate. There is no posterior, hence no ``predict_parts``.
    """

    _library = _NewtonSteps
    _options: ClassVar = {"Dist": _Bernoulli}

    @staticmethod
    def _parameters(found):
        return (found.class_probs()[:, 1],)

    def _fit(self, X, t):
        t, self.n_rounds_ = t.astype(int), int(self.n_estimators)
        n_folds = min(self.n_folds, np.bincount(t).min() - 1)  # each training part holds both classes
        if n_folds > 1:
            folds = StratifiedKFold(n_folds, shuffle=True, random_state=0).split(X, t)
            p = self._out_of_fold(X, t, folds)[:, 0].clip(1e-12, 1 - 1e-12)
            self.n_rounds_ = int((t * np.log(p) + (1 - t) * np.log(1 - p)).mean(axis=1).argmax()) + 1
        self.model_ = self._boost(X, t)

    def _probability(self, X):
        return self.model_.predict_proba(X, max_iter=self.n_rounds_)[:, 1]
