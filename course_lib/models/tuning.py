"""Hyperparameter search by cross-validation, scored on molecules: Bayesian optimisation or random search.

``tune`` sees only the rows it is given. Used inside an outer split (nested), it receives the outer training rows and
nothing else; its ``best_score`` is then a choice that was made on those rows, and the outer test rows give the honest
number.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing

from course_lib.arguments import whole
from course_lib.models.aggregate import average_by_group, fit_weighted
from course_lib.models.boosting import DATASET_PARAMETERS, _LightGBM
from course_lib.splits import assert_no_leak

__all__ = ["SPACE", "TuneResult", "cv_losses", "tune"]

SPACE: dict[str, tuple] = {
    "num_leaves": ("int", 4, 64),
    "max_depth": ("int", 2, 12),
    "learning_rate": ("log10", 0.01, 0.3),
    "bagging_seed": ("int", 0, 100),
}
"""The lecture's four hyperparameters: name -> (kind, low, high). Kinds: "int" (rounded), "float", "log10" (a float
searched on a logarithmic scale; the limits are the values themselves). A fourth kind is ("choice", a, b, c, ...): one
of these values, given in their order."""

N_INITIAL = 5  # random points before the surrogate model takes over


@dataclass(frozen=True)
class TuneResult:
    """What :func:`tune` found.

    Attributes
    ----------
    best_estimator : estimator
        Fitted on all the rows that ``tune`` received.
    best_params : dict
        The chosen hyperparameters.
    best_score : float
        Minus the loss (for regression: minus the mean absolute error, in the unit of y), mean over the folds. It was
        chosen as the best of ``n_iter``, so it flatters.
    history : DataFrame of shape (n_iter, ...)
        One evaluation a row, in order: the hyperparameters, ``score``, ``sd`` (over the folds), ``best_so_far``, and
        ``seen`` (True when rounding gave a point that had been evaluated: its score is repeated, and it counts in the
        budget).
    """

    best_estimator: Any
    best_params: dict[str, Any]
    best_score: float
    history: pd.DataFrame


def _mae(y_true, y_pred) -> float:
    return float(np.mean(np.abs(y_true - y_pred)))


def _log_loss(y_true, probability) -> float:
    """Mean negative log probability of the true class; y_true and probability of shape (n, n_classes)."""
    return float(-np.mean(np.sum(y_true * np.log(np.clip(probability, 1e-15, 1.0)), axis=1)))


class _FoldLosses:
    """The loss of one estimator on fixed folds; whatever does not depend on the hyperparameters is computed once."""

    def __init__(self, estimator, X, y, *, groups, cv, weights, molecule, loss, return_std=False):
        self.estimator, self.return_std = estimator, return_std
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        self.y = np.asarray(y)
        for name, values in (("y", y), ("groups", groups), ("weights", weights), ("molecule", molecule)):
            if values is not None and len(values) != n_rows:
                raise ValueError(f"X has {n_rows} rows, {name} has {len(values)}: give one value a row")
        if groups is None and molecule is None:
            molecule = np.arange(n_rows)
        self.molecule = np.asarray(groups if molecule is None else molecule)
        self.classes = np.unique(self.y) if is_classifier(estimator) else None
        if return_std and (loss is None or self.classes is not None):
            raise ValueError("return_std=True is for regressors and needs a loss that takes (truth, mean, std)")
        if loss is None:
            loss = _mae if self.classes is None else _log_loss
        self.loss = loss
        groups = None if groups is None else np.asarray(groups)
        self.X, self.weights = X, None if weights is None else np.asarray(weights, dtype=float)
        self.folds = []
        for train, test in cv.split(X, self.y, groups):
            if groups is not None:
                assert_no_leak(groups[train], groups[test])
            self.folds.append({"train": train, "test": test, "truth": self._truth(test)})
        if not self.folds:
            raise ValueError("the cross-validation gave no split")

    def _truth(self, test):
        y = self.y[test]
        if self.classes is not None:
            y = (y[:, None] == self.classes).astype(float)
        return average_by_group(y, self.molecule[test])[1]

    def _loss(self, fold, prediction) -> float:
        prediction = average_by_group(prediction, self.molecule[fold["test"]])[1]
        return self.loss(fold["truth"], *prediction.T) if self.return_std else self.loss(fold["truth"], prediction)

    def _predict(self, model, X):
        if self.return_std:
            return np.column_stack(model.predict(X, return_std=True))
        if self.classes is None:
            return model.predict(X)
        probability = np.zeros((X.shape[0], len(self.classes)))
        probability[:, np.searchsorted(self.classes, model.classes_)] = model.predict_proba(X)
        return probability

    def __call__(self, parameters: Mapping[str, Any]) -> np.ndarray:
        """Loss of each fold with these hyperparameters."""
        model = clone(self.estimator).set_params(**parameters)
        head, last = (model[:-1], model[-1]) if isinstance(model, Pipeline) else (None, model)
        step = f"{model.steps[-1][0]}__" if head is not None else ""
        only_last = all(name.startswith(step) for name in parameters)
        if not (isinstance(last, _LightGBM) and only_last):
            return np.array([self._slow(model, fold) for fold in self.folds])
        rebin = any(name.removeprefix(step) in DATASET_PARAMETERS for name in parameters)
        return np.array([self._fast(head, last, fold, rebin) for fold in self.folds])

    def _weights(self, fold):
        return None if self.weights is None else self.weights[fold["train"]]

    def _slow(self, model, fold) -> float:
        X = _safe_indexing(self.X, fold["train"])
        fitted = fit_weighted(clone(model), X, self.y[fold["train"]], self._weights(fold))
        return self._loss(fold, self._predict(fitted, _safe_indexing(self.X, fold["test"])))

    def _fast(self, head, last, fold, rebin) -> float:
        """As _slow, but transformers and binned table of the fold are kept from one evaluation to the next."""
        if "test_X" not in fold:
            train, test = (_safe_indexing(self.X, fold[side]) for side in ("train", "test"))
            if head is not None and len(head):
                head = clone(head)
                train = head.fit_transform(train, self.y[fold["train"]])
                test = head.transform(test)
            fold["train_X"], fold["test_X"] = train, test
        if rebin or "binned" not in fold:
            model = clone(last)
            fold["binned"] = model._bin(*model._check(fold["train_X"], self.y[fold["train"]], self._weights(fold)))
            fold["template"] = model
            if not rebin:
                del fold["train_X"]
        # A fitted template carries what _check learned (classes, columns); only the hyperparameters differ.
        template = fold["template"].set_params(**last.get_params())
        template._train(fold["binned"])
        return self._loss(fold, self._predict(template, fold["test_X"]))


def cv_losses(
    estimator, X, y, *, groups, cv, weights=None, molecule=None, loss: Callable | None = None, return_std: bool = False
) -> np.ndarray:
    """Loss of each fold, predictions averaged over each molecule's rows: what :func:`tune` minimises.

    Parameters
    ----------
    estimator, X, y, groups, cv, weights, molecule, loss, return_std
        As in :func:`tune`.

    Returns
    -------
    ndarray of shape (n_folds,)
        Mean absolute error in the unit of y (log loss for a classifier).
    """
    settings = {"weights": weights, "molecule": molecule, "loss": loss, "return_std": return_std}
    return _FoldLosses(estimator, X, y, groups=groups, cv=cv, **settings)({})


def _bounds(space) -> dict[str, tuple[float, float]]:
    bounds = {}
    for name, entry in space.items():
        kind, *values = entry
        if kind == "choice" and len(values) > 1:
            bounds[name] = (0.0, len(values) - 1.0)
            continue
        low, high = values if len(values) == 2 else (0.0, 0.0)
        if kind not in ("int", "float", "log10") or not low < high or (kind == "log10" and low <= 0):
            raise ValueError(
                f"space[{name!r}] is {entry!r}: give ('int' | 'float' | 'log10', low, high) with low < high "
                "(and above 0 for log10), or ('choice', first, second, ...)"
            )
        bounds[name] = (float(np.log10(low)), float(np.log10(high))) if kind == "log10" else (float(low), float(high))
    if not bounds:
        raise ValueError("the search space is empty")
    return bounds


def _decode(point, space) -> dict[str, Any]:
    """From the search scale to hyperparameters: rounding, powers of ten, choices by their number."""
    decode = {"int": round, "float": float, "log10": lambda value: float(10.0**value)}
    return {
        name: values[round(float(point[name]))] if kind == "choice" else decode[kind](float(point[name]))
        for name, (kind, *values) in space.items()
    }


def _addresses(estimator, space) -> dict[str, str]:
    """Where each hyperparameter lives: its own name, or with the name of the pipeline's last step before it."""
    known = estimator.get_params()
    found = {}
    for name in space:
        last = f"{estimator.steps[-1][0]}__{name}" if isinstance(estimator, Pipeline) else None
        if name in known:
            found[name] = name
        elif last in known:
            found[name] = last
        else:
            raise ValueError(
                f"{type(estimator).__name__} has no hyperparameter {name!r}: give tune a space that fits it"
            )
    return found


def tune(
    estimator: BaseEstimator,
    X,
    y,
    *,
    groups,
    cv,
    weights=None,
    n_iter: int = 25,
    method: str = "bayes",
    random_state: int = 0,
    space: Mapping[str, tuple] = SPACE,
    molecule=None,
    loss: Callable | None = None,
    return_std: bool = False,
) -> TuneResult:
    """Choose hyperparameters by cross-validation on these rows, then fit the best on all of them.

    The score of one point is minus the mean over the folds of the mean absolute error over the fold's molecules, each
    molecule's prediction averaged over its rows (and its label, should its rows differ). Both methods draw their
    first five points from the same random sequence over the same space; "random" goes on with it, "bayes" lets the
    Gaussian process of the bayesian-optimization package choose (by its default, the upper confidence bound). The
    estimator's own settings are not tried unless they are drawn: the budget is ``n_iter`` points for either method.

    Parameters
    ----------
    estimator : scikit-learn estimator
        With a LightGBM model (also as the last step of a pipeline) each fold is transformed and binned only once. It
        is not changed.
    X : DataFrame or array-like of shape (n_rows, n_features)
    y : array-like of shape (n_rows,)
    groups : array-like of shape (n_rows,) or None
        Passed to ``cv``; each split is checked by ``assert_no_leak``. None means a split by rows, which is then not
        checked.
    cv : splitter
        Anything with ``split(X, y, groups)``.
    weights : array-like of shape (n_rows,), optional
        Row weights for fitting.
    n_iter : int
        Number of evaluations in all, the random start included.
    method : {"bayes", "random"}
    random_state : int
        Seed of the search.
    space : mapping name -> (kind, low, high)
        See :data:`SPACE`. Models that predict a distribution carry theirs as ``TUNE_SPACE``.
    molecule : array-like of shape (n_rows,), optional
        What to average predictions over, when that is not ``groups`` (groups are clusters, or a split by rows).
    loss : callable, optional
        ``loss(truth, prediction)`` over molecules, smaller is better. Default: mean absolute error; for a classifier
        the log loss of the averaged probabilities (both arguments of shape (n_molecules, n_classes)).
    return_std : bool
        Score the predicted distribution: ``loss(truth, mean, std)``, each of shape (n_molecules,), for example the
        negative log likelihood or the CRPS. A molecule's standard deviation is the mean of its rows'.

    Returns
    -------
    TuneResult

    Raises
    ------
    LeakError
        When ``cv`` puts a group on both sides.
    ValueError
        For an unknown method, hyperparameter or kind, or lengths that differ.

    References
    ----------
    Nogueira, Bayesian Optimization: open source constrained global optimization tool for Python, 2014.
    Bergstra & Bengio, J. Mach. Learn. Res. 2012, 13, 281-305 (random search).
    """
    if method not in ("bayes", "random"):
        raise ValueError(f"method is {method!r}: choose 'bayes' or 'random'")
    n_iter = whole("n_iter", n_iter)
    bounds, address = _bounds(space), _addresses(estimator, space)
    settings = {"weights": weights, "molecule": molecule, "loss": loss, "return_std": return_std}
    losses = _FoldLosses(estimator, X, y, groups=groups, cv=cv, **settings)

    rng = np.random.RandomState(random_state)
    start = [
        {name: rng.uniform(low, high) for name, (low, high) in bounds.items()}
        for _ in range(int(n_iter) if method == "random" else min(N_INITIAL, int(n_iter)))
    ]
    propose, report = _search(start, bounds, random_state if method == "bayes" else None)
    records, seen = [], {}
    for number in range(int(n_iter)):
        point = propose(number)
        parameters = _decode(point, space)
        key = tuple(parameters.values())
        repeated = key in seen
        if not repeated:
            fold_losses = losses({address[name]: value for name, value in parameters.items()})
            seen[key] = (-float(fold_losses.mean()), float(fold_losses.std(ddof=1)) if len(fold_losses) > 1 else np.nan)
        score, sd = seen[key]
        if not np.isfinite(score):
            raise ValueError(f"the score is {score} with {parameters}: check the features and the loss")
        report(point, score)
        records.append({**parameters, "score": score, "sd": sd, "seen": repeated})

    history = pd.DataFrame(records)
    history.index.name = "evaluation"
    history["best_so_far"] = history["score"].cummax()
    best = int(history["score"].to_numpy().argmax())
    best_params = {name: records[best][name] for name in space}
    model = clone(estimator).set_params(**{address[name]: value for name, value in best_params.items()})
    fit_weighted(model, X, y, weights)
    return TuneResult(model, best_params, float(history["score"].iloc[best]), history)


def _search(start, bounds, random_state):
    """Return two functions: propose(number) -> point on the search scale, report(point, score)."""
    if random_state is None:  # random search: every point is drawn already
        return start.__getitem__, lambda point, score: None
    from bayes_opt import BayesianOptimization
    from threadpoolctl import threadpool_limits

    optimizer = BayesianOptimization(
        f=None, pbounds=bounds, random_state=random_state, verbose=0, allow_duplicate_points=True
    )

    def report(point, score):
        # The surrogate may ask for a corner of the space twice. The package then prints a remark; `seen` says it here.
        with contextlib.redirect_stdout(io.StringIO()):
            optimizer.register(params=point, target=score)

    def propose(number):
        if number < len(start):
            return start[number]
        with threadpool_limits(limits=1):  # the same sums, hence the same points, whatever the number of cores
            return optimizer.suggest()

    return propose, report
