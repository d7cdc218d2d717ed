"""The course's own answer: an auxiliary is worth what its predictions take off the target's error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from rdkit.Chem import rdMolDescriptors
from sklearn.linear_model import Ridge

from course_lib.auxiliary.tasks import Task, key_table, read_tasks
from course_lib.auxiliary.transfer import ALPHA, fold_of_rows, predict_target
from course_lib.featurize import morgan
from course_lib.models import LightGBMRegressor
from course_lib.molecules import parse

__all__ = ["recommend"]

MAX_ROWS = 1000  # of an auxiliary: more take longer and change little
SHRINKAGE = 5.0  # of the ridge that weighs predictions; columns are standardised
BOOSTING = {
    "n_estimators": 150,
    "num_leaves": 15,
    "learning_rate": 0.06,
    "min_child_samples": 8,
    "colsample_bytree": 0.3,
    "reg_alpha": 0.0,
}


@lru_cache(maxsize=20_000)
def _properties(smiles: str) -> np.ndarray:
    """RDKit's quick whole-molecule numbers: counts of atoms and rings, size, shape, polarity."""
    values = np.array(rdMolDescriptors.Properties().ComputeProperties(parse(smiles)), dtype=np.float32)
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)


class _Inputs:
    """What the two models read of a set's molecules."""

    def __init__(self, task: Task) -> None:
        self.bits = morgan(task.smiles, radius=2).to_numpy(np.float32)
        properties = np.array([_properties(text) for text in task.smiles])
        self.numbers = np.hstack([properties, key_table(task)])


def _two_models(train: _Inputs, rows: np.ndarray, labels: np.ndarray, new: _Inputs, at: np.ndarray) -> np.ndarray:
    """Fit both models to some rows; predict others, shape (n_at, 2)."""
    ridge = Ridge(alpha=ALPHA).fit(train.bits[rows], labels[rows])
    trees = LightGBMRegressor(**BOOSTING, random_state=0).fit(train.numbers[rows], labels[rows])
    return np.column_stack([ridge.predict(new.bits[at]), trees.predict(new.numbers[at])])


def _error(columns: np.ndarray, y: np.ndarray, folds: np.ndarray) -> float:
    """Mean squared error of y by a ridge on the columns, each fold predicted from the others."""
    wrong = np.empty(len(y))
    for fold in np.unique(folds):
        train, test = folds != fold, folds == fold
        mean, spread = columns[train].mean(axis=0), columns[train].std(axis=0)
        scaled = (columns - mean) / np.where(spread > 0, spread, 1.0)
        wrong[test] = y[test] - Ridge(alpha=SHRINKAGE).fit(scaled[train], y[train]).predict(scaled[test])
    return float(np.mean(wrong**2))


def recommend(
    target: Any, auxiliaries: Mapping[str, Any], random_state: int = 0, *, held_out: Iterable[str] = ()
) -> dict[str, float]:
    """Score auxiliary data sets for a target: higher means train together, 0 or less means leave it.

    No network is trained. (1) Two cheap models, a ridge on Morgan bits (additive in fragments) and boosted trees on
    counts, sizes and MACCS keys (not additive), are fitted to the target by cross-validation over molecules: its own
    predictions. (2) The same two are fitted to the auxiliary and predict the target's molecules; a molecule that both
    sets hold is predicted by models that have not seen it. (3) A ridge weighs the target's own predictions, with and
    without the auxiliary's beside them, by cross-validation. The score is the share of the squared error that goes when
    the auxiliary's are there, less the same for the auxiliary with its labels shuffled.

    What differs from MolGroup: the question is put to data that the models have not seen, in one number with a known
    zero, where the gate follows a noisy gradient. What it cannot see: what a network would gain from an auxiliary whose
    predictions do not help, by better features alone.

    Parameters
    ----------
    target : Dataset or mapping with ``smiles`` and ``y``
        Training molecules of the target, some tens at least.
    auxiliaries : mapping name -> Dataset or mapping with ``smiles`` and ``y``
    random_state : int
        Seed of the folds, of the shuffled labels, and of the 1 000 rows that are taken of a larger auxiliary.
    held_out : iterable of str
        SMILES of the target's validation and test molecules: taken out of every auxiliary before anything else.

    Returns
    -------
    dict of str to float
        In the order given. At most 1, a perfect auxiliary of a target that nothing else predicts. What does not help
        scatters about 0 by some hundredths with the seed: look at more than one before trusting a small score.

    Raises
    ------
    LeakError, MoleculeError, ValueError
        See :func:`read_tasks`.
    """
    task, others = read_tasks(target, auxiliaries, held_out)
    y, folds, ours = task.labels(), fold_of_rows(task, random_state), _Inputs(task)
    own = np.empty((len(task), 2))
    for fold in np.unique(folds):
        own[folds == fold] = _two_models(ours, np.flatnonzero(folds != fold), y, ours, np.flatnonzero(folds == fold))
    alone = _error(own, y, folds)
    scores = {}
    for name, other in others.items():
        rng = np.random.default_rng(random_state)  # one stream a set: the others do not matter
        other = other.subset(np.sort(rng.permutation(len(other))[:MAX_ROWS]))
        theirs, labels = _Inputs(other), other.labels()
        gains = []
        for values in (labels, rng.permutation(labels)):

            def fit_predict(rows, at, theirs=theirs, values=values):
                return _two_models(theirs, rows, values, ours, at)

            found = predict_target(fit_predict, task, other, folds)
            gains.append(1 - _error(np.hstack([own, found]), y, folds) / alone)
        scores[name] = gains[0] - gains[1]
    return scores
