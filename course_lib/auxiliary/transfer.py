"""The three-second rival: a ridge, fitted on an auxiliary's fingerprints, predicts the target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

from course_lib.auxiliary.tasks import Task, read_tasks
from course_lib.featurize import morgan
from course_lib.splits import GroupKFold, assert_no_leak

__all__ = ["correlation", "predict_target", "ridge_transfer"]

ALPHA = 10.0  # of the ridge; bits are 0 and 1, labels standardised
N_FOLDS = 5


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation; 0 when one of the two does not vary."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def fold_of_rows(task: Task, random_state: int) -> np.ndarray:
    """Deal the molecules of a task to folds; rows of one molecule lie in one. Shape (n,)."""
    folds = np.empty(len(task), dtype=int)
    splitter = GroupKFold(N_FOLDS, shuffle=True, random_state=random_state)
    for number, (_, test) in enumerate(splitter.split(task.smiles, groups=task.groups)):
        folds[test] = number
    return folds


def predict_target(fit_predict, target: Task, auxiliary: Task, folds: np.ndarray) -> np.ndarray:
    """Predict each target molecule by a model of the auxiliary that has not seen this molecule.

    Where the two share molecules, the auxiliary's rows of a fold's molecules are left out of the model for this fold:
    a new molecule has no label in the auxiliary either. Otherwise one model does for all folds.

    Parameters
    ----------
    fit_predict : callable
        ``fit_predict(train_rows, test_rows)`` gives predictions, one row each.
    target, auxiliary : Task
    folds : ndarray of int, shape (n_target,)

    Returns
    -------
    ndarray of shape (n_target, ...)
    """
    shared = np.isin(auxiliary.groups.astype(str), target.groups.astype(str))
    if not shared.any():
        return fit_predict(np.arange(len(auxiliary)), np.arange(len(target)))
    parts = {}
    for fold in np.unique(folds):
        test = np.flatnonzero(folds == fold)
        seen = np.isin(auxiliary.groups.astype(str), target.groups[test].astype(str))
        assert_no_leak(auxiliary.groups[~seen], target.groups[test])
        for row, value in zip(test, fit_predict(np.flatnonzero(~seen), test), strict=True):
            parts[row] = value
    return np.array([parts[row] for row in range(len(target))])


def ridge_transfer(target: Any, auxiliaries: Mapping[str, Any], *, random_state: int = 0) -> pd.Series:
    """Score auxiliaries by how well a ridge fitted on each predicts the target's training molecules.

    The score is the absolute correlation with the target's labels: a property that falls where the target rises helps
    as well, since each has a head of its own in joint training. The ridge sees Morgan bits (radius 2), so it is blind
    to whatever is not additive in fragments that are there or not.

    Parameters
    ----------
    target : Dataset or mapping with ``smiles`` and ``y``
        Training molecules.
    auxiliaries : mapping name -> Dataset or mapping with ``smiles`` and ``y``
        Without the target's held-out molecules, see :func:`read_tasks`.
    random_state : int
        Seed of the folds; they matter only for molecules that target and auxiliary share.

    Returns
    -------
    Series of float, one entry an auxiliary
        0 to 1.
    """
    target, others = read_tasks(target, auxiliaries)
    folds = fold_of_rows(target, random_state)
    new = morgan(target.smiles, radius=2).to_numpy(np.float32)
    scores = {}
    for name, task in others.items():
        bits, labels = morgan(task.smiles, radius=2).to_numpy(np.float32), task.labels()

        def fit_predict(train, test, bits=bits, labels=labels):
            return Ridge(alpha=ALPHA).fit(bits[train], labels[train]).predict(new[test])

        scores[name] = abs(correlation(predict_target(fit_predict, target, task, folds), target.y))
    return pd.Series(scores, name="ridge transfer", dtype=float)
