"""LightGBM as scikit-learn estimators, deterministic, with the lecture's fixed parameters as defaults.

They are built on LightGBM's training API and not on its own scikit-learn classes, for three reasons: column names with
JSON characters (``AATS(0)``, ``[nH]``) are accepted, the same seed gives the same trees with 1 or 2 threads, and the
binned table can be kept and reused while hyperparameters are tuned.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

__all__ = ["LightGBMClassifier", "LightGBMRegressor"]

# Parameters that shape the binned table: when one of them changes, the table must be built again.
DATASET_PARAMETERS = ("max_bin", "min_child_samples", "random_state")


class _LightGBM(BaseEstimator):
    """What the regressor and the classifier share."""

    def __init__(
        self,
        objective="regression",
        *,
        n_estimators=100,
        num_leaves=31,
        max_depth=-1,
        learning_rate=0.1,
        min_child_samples=20,
        min_child_weight=1e-3,
        min_split_gain=0.0,
        subsample=0.8,
        subsample_freq=1,
        colsample_bytree=0.6,
        reg_alpha=0.8,
        reg_lambda=0.2,
        max_bin=255,
        boosting_type="gbdt",
        metric="mae",
        bagging_seed=None,
        random_state=0,
        n_jobs=1,
        verbose=-1,
    ):
        self.objective = objective
        self.n_estimators = n_estimators
        self.num_leaves = num_leaves
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.min_child_samples = min_child_samples
        self.min_child_weight = min_child_weight
        self.min_split_gain = min_split_gain
        self.subsample = subsample
        self.subsample_freq = subsample_freq
        self.colsample_bytree = colsample_bytree
        self.reg_alpha = reg_alpha
        self.reg_lambda = reg_lambda
        self.max_bin = max_bin
        self.boosting_type = boosting_type
        self.metric = metric
        self.bagging_seed = bagging_seed
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _seed(self) -> int:
        if isinstance(self.random_state, np.random.RandomState):
            return int(self.random_state.randint(2**31 - 1))
        return 0 if self.random_state is None else int(self.random_state)

    def lightgbm_parameters(self) -> dict[str, Any]:
        """Return the parameters under LightGBM's own names, as passed to ``lightgbm.train``."""
        parameters = {
            "objective": self.objective,
            "boosting": self.boosting_type,
            "num_leaves": int(self.num_leaves),
            "max_depth": int(self.max_depth),
            "learning_rate": float(self.learning_rate),
            "min_data_in_leaf": int(self.min_child_samples),
            "min_sum_hessian_in_leaf": float(self.min_child_weight),
            "min_gain_to_split": float(self.min_split_gain),
            "bagging_fraction": float(self.subsample),
            "bagging_freq": int(self.subsample_freq),
            "feature_fraction": float(self.colsample_bytree),
            "lambda_l1": float(self.reg_alpha),
            "lambda_l2": float(self.reg_lambda),
            "max_bin": int(self.max_bin),
            "seed": self._seed(),
            "num_threads": 1 if self.n_jobs is None else int(self.n_jobs),
            "verbosity": int(self.verbose),
            "deterministic": True,
            "force_row_wise": True,
        }
        if self.metric is not None:
            parameters["metric"] = self.metric
        if self.bagging_seed is not None:
            parameters["bagging_seed"] = int(self.bagging_seed)
        return parameters

    # The next three are also used by tune(), which keeps the binned table between fits.
    def _check(self, X, y, sample_weight=None):
        """Return validated (X, encoded y, row weights or None)."""
        raise NotImplementedError

    def _bin(self, X, y, weights):
        """LightGBM's binned table of the training rows."""
        import lightgbm

        parameters = self.lightgbm_parameters()
        parameters.pop("metric", None)
        data = lightgbm.Dataset(X, label=y, weight=weights, params=parameters, free_raw_data=True)
        return data.construct()

    def _train(self, data):
        """Grow the trees on a binned table."""
        import lightgbm

        self.booster_ = lightgbm.train(self.lightgbm_parameters(), data, num_boost_round=int(self.n_estimators))
        return self

    def fit(self, X, y, sample_weight=None):
        """Grow the trees.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_features)
            Features; NaN means "undefined" and gets a branch of its own.
        y : array-like of shape (n_rows,)
            Target, in any unit, or class labels.
        sample_weight : array-like of shape (n_rows,), optional
            Row weights. Mind that ``min_child_samples`` counts rows, whatever their weights.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            When X holds infinite values, when lengths differ, or when all weights are zero.
        """
        X, y, weights = self._check(X, y, sample_weight)
        return self._train(self._bin(X, y, weights))

    def _check_weights(self, X, sample_weight):
        if sample_weight is None:
            return None
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if not weights.any():
            raise ValueError("every sample weight is zero: there is nothing to learn from")
        return weights

    def _raw(self, X, n_trees):
        check_is_fitted(self, "booster_")
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
        return self.booster_.predict(
            X, num_iteration=n_trees, num_threads=1 if self.n_jobs is None else int(self.n_jobs)
        )

    @property
    def feature_importances_(self) -> np.ndarray:
        """Share of the total gain that each feature brought, shape (n_features,); sums to 1 (0 when nothing split)."""
        check_is_fitted(self, "booster_")
        gain = self.booster_.feature_importance(importance_type="gain")
        return gain / gain.sum() if gain.sum() > 0 else gain

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "booster_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class LightGBMRegressor(RegressorMixin, _LightGBM):
    """Gradient-boosted trees for a number.

    Defaults are the lecture's fixed parameters: regression on squares, ``subsample`` 0.8 for every tree,
    ``colsample_bytree`` 0.6, L1 0.8, L2 0.2; 100 trees. The others are LightGBM's own: 31 leaves, no depth limit,
    learning rate 0.1, ``min_child_samples`` 20, which with 50 molecules allows hardly any split. Parameters have the
    names of LightGBM's scikit-learn interface.

    Parameters
    ----------
    objective : str
        "regression" (squared error), "regression_l1", "huber", ...
    n_estimators : int
        Number of trees.
    num_leaves : int
        Leaves of a tree, at most.
    max_depth : int
        Depth of a tree, at most; -1 sets no limit.
    learning_rate : float
        What each tree's values are multiplied by.
    min_child_samples : int
        Rows in a leaf, at least.
    min_child_weight : float
        Sum of the loss's second derivatives in a leaf, at least.
    min_split_gain : float
        Gain of a split, at least.
    subsample : float
        Share of the rows that trees are grown on.
    subsample_freq : int
        These rows are drawn anew after so many trees; 0: no rows are drawn.
    colsample_bytree : float
        Share of the features, drawn anew for each tree.
    reg_alpha : float
        L1 penalty on the values of the leaves.
    reg_lambda : float
        L2 penalty on the values of the leaves.
    max_bin : int
        Bins that the values of a feature are sorted into, at most.
    boosting_type : str
        "gbdt" (gradient boosting), or another kind that LightGBM knows.
    metric : str or None
        Passed on; it matters only where LightGBM reports scores.
    bagging_seed : int, optional
        Seed of the row sampling alone; by default derived from ``random_state``.
    random_state : int
        Seed of everything else.
    n_jobs : int
        Threads; the result does not depend on it. One by default: parallelism belongs around the fits.
    verbose : int
        -1 silent.

    Attributes
    ----------
    booster_ : lightgbm.Booster
        The trees; LightGBM's plotting functions take it.
    n_features_in_ : int
    feature_names_in_ : ndarray of str, when X had column names

    References
    ----------
    Ke et al., Advances in Neural Information Processing Systems 2017, 30, 3146-3154.
    """

    def _check(self, X, y, sample_weight=None):
        X, y = validate_data(
            self,
            X,
            y,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            y_numeric=True,
            ensure_min_samples=2,
        )
        return X, np.asarray(y, dtype=np.float64), self._check_weights(X, sample_weight)

    def predict(self, X, n_trees: int | None = None) -> np.ndarray:
        """Predict the target.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_features)
        n_trees : int, optional
            Use only the first so many trees.

        Returns
        -------
        ndarray of shape (n_rows,), in the unit of y.
        """
        return self._raw(X, n_trees)


class LightGBMClassifier(ClassifierMixin, _LightGBM):
    """Gradient-boosted trees for classes; defaults as in :class:`LightGBMRegressor`.

    Parameters
    ----------
    objective : str or None
        None chooses "binary" for two classes and "multiclass" for more.
    class_weight : dict, "balanced" or None
        Weights of the classes, multiplied with the row weights.
    others
        As in :class:`LightGBMRegressor`.

    Attributes
    ----------
    classes_ : ndarray
        The class labels, sorted; the columns of ``predict_proba``.
    """

    def __init__(
        self,
        objective=None,
        *,
        n_estimators=100,
        num_leaves=31,
        max_depth=-1,
        learning_rate=0.1,
        min_child_samples=20,
        min_child_weight=1e-3,
        min_split_gain=0.0,
        subsample=0.8,
        subsample_freq=1,
        colsample_bytree=0.6,
        reg_alpha=0.8,
        reg_lambda=0.2,
        max_bin=255,
        boosting_type="gbdt",
        metric=None,
        class_weight=None,
        bagging_seed=None,
        random_state=0,
        n_jobs=1,
        verbose=-1,
    ):
        super().__init__(
            objective,
            n_estimators=n_estimators,
            num_leaves=num_leaves,
            max_depth=max_depth,
            learning_rate=learning_rate,
            min_child_samples=min_child_samples,
            min_child_weight=min_child_weight,
            min_split_gain=min_split_gain,
            subsample=subsample,
            subsample_freq=subsample_freq,
            colsample_bytree=colsample_bytree,
            reg_alpha=reg_alpha,
            reg_lambda=reg_lambda,
            max_bin=max_bin,
            boosting_type=boosting_type,
            metric=metric,
            bagging_seed=bagging_seed,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def lightgbm_parameters(self) -> dict[str, Any]:
        """Return the parameters under LightGBM's own names; needs the classes, so only after ``fit`` has seen them."""
        parameters = super().lightgbm_parameters()
        many = len(self.classes_) > 2
        if parameters["objective"] is None:
            parameters["objective"] = "multiclass" if many else "binary"
        if many:
            parameters["num_class"] = len(self.classes_)
        return parameters

    def _check(self, X, y, sample_weight=None):
        X, y = validate_data(
            self, X, y, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan", ensure_min_samples=2
        )
        check_classification_targets(y)
        weights = self._check_weights(X, sample_weight)
        seen = y if weights is None else y[weights > 0]
        if len(np.unique(seen)) < 2:
            raise ValueError(
                f"LightGBMClassifier needs rows of at least 2 classes, got 1 class: {np.unique(seen).tolist()}"
            )
        self.classes_, code = np.unique(y, return_inverse=True)
        if self.class_weight is not None:
            by_class = compute_sample_weight(self.class_weight, y)
            weights = by_class if weights is None else weights * by_class
        return X, code.astype(np.float64), weights

    def predict_proba(self, X, n_trees: int | None = None) -> np.ndarray:
        """Probability of each class, shape (n_rows, n_classes), columns as ``classes_``."""
        raw = self._raw(X, n_trees)
        return np.column_stack([1 - raw, raw]) if raw.ndim == 1 else raw

    def predict(self, X, n_trees: int | None = None) -> np.ndarray:
        """Predict the most probable class of each row, shape (n_rows,)."""
        best = np.argmax(self.predict_proba(X, n_trees), axis=1)
        return self.classes_[best]
