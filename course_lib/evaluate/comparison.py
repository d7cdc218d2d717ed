"""Several models on identical splits, and the intervals of their paired differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from course_lib.evaluate.intervals import nadeau_bengio
from course_lib.evaluate.metrics import METRICS
from course_lib.models.aggregate import average_by_group, fit_weighted
from course_lib.parallel import each
from course_lib.splits import RepeatedGroupKFold, assert_no_leak, molecule_of_rows

__all__ = ["compare", "paired", "summary"]


def _row_weights(molecule: np.ndarray) -> np.ndarray:
    """Weights of mean 1 with which each molecule counts the same, shape (n_rows,)."""
    weights = 1.0 / np.bincount(molecule)[molecule]
    return weights / weights.mean()


def _check_models(models: Mapping[str, Any], X, n: int) -> dict[str, tuple[Any, Any, np.ndarray]]:
    if not models:
        raise ValueError("models is empty: give at least one, {'name': estimator}")
    checked = {}
    for name, entry in models.items():
        estimator, features = entry if isinstance(entry, tuple) else (entry, X)
        if features is None:
            raise ValueError(f"model {name!r} has no features: give X, or (estimator, features)")
        if not hasattr(features, "shape"):
            features = np.asarray(features)
        try:
            molecule = molecule_of_rows(features, n)
        except ValueError as error:
            raise ValueError(f"model {name!r}: {error}") from None
        absent = np.setdiff1d(np.arange(n), molecule)
        if len(absent):
            raise ValueError(
                f"model {name!r}: molecule {absent[0]} has no row of features ({len(absent)} such molecules). "
                "All models must be scored on the same molecules: leave it out of X, y and groups, and say so"
            )
        checked[name] = (estimator, features, molecule)
    return checked


def _one(name, estimator, features, molecule, y, train, test, weights):
    """Predictions for the test molecules of one split by one model."""
    in_train = np.flatnonzero(np.isin(molecule, train))
    in_test = np.flatnonzero(np.isin(molecule, test))
    row_weights = _row_weights(molecule[in_train]) if weights == "molecule" else None
    try:
        model = fit_weighted(clone(estimator), _safe_indexing(features, in_train), y[molecule[in_train]], row_weights)
    except ValueError as error:
        raise ValueError(f"model {name!r}: {error}") from error
    order, mean = average_by_group(model.predict(_safe_indexing(features, in_test)), molecule[in_test])
    return mean[np.searchsorted(order, test)]


def compare(
    models: Mapping[str, Any],
    X,
    y,
    groups,
    n_splits: int = 5,
    n_repeats: int = 4,
    random_state: int = 0,
    metrics: Sequence[str] | Mapping[str, Callable] = ("mae", "r2"),
    n_jobs: int | None = None,
    *,
    cv=None,
    weights: str | None = "molecule",
    return_predictions: bool = False,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Score several models by repeated grouped cross-validation, all on the same splits.

    Every model is fitted on training rows only, and every split passes ``assert_no_leak``. Augmented features have
    several rows a molecule: fitting uses them all, with weights that let each molecule count the same, and the
    prediction for a molecule is the mean over its rows.

    Parameters
    ----------
    models : mapping name -> estimator or (estimator, features)
        An estimator alone is given ``X``. Features are a table or a 1-D array of SMILES with one row a molecule, or a
        DataFrame of augmented rows whose index level ``row`` says which molecule (counted from 0) a row belongs to.
    X : features as above, or None when each model brings its own.
    y : array-like of shape (n_molecules,)
        Target.
    groups : array-like of shape (n_molecules,)
        Identity of each molecule.
    n_splits, n_repeats, random_state
        Of :class:`~course_lib.splits.RepeatedGroupKFold`.
    metrics : names from "mae", "rmse", "r2", or mapping name -> function(y_true, y_pred)
    n_jobs : int, optional
        Splits computed at the same time. None: as ``joblib.parallel_config`` says, else 1.
    cv : splitter, optional
        Used in place of the repeated grouped k-fold; ``fold`` then counts its splits and ``repeat`` is 0, unless it
        has ``n_repeats``.
    weights : {"molecule", None}
        None counts every row once.
    return_predictions : bool
        Also return the predictions, for parity plots.

    Returns
    -------
    scores : DataFrame
        Tidy: columns model, repeat, fold, metric, value, n_train, n_test (molecules).
    predictions : DataFrame, only with ``return_predictions``
        Columns model, repeat, fold, molecule (number), y_true, y_pred.

    Raises
    ------
    LeakError
        When a split puts a molecule on both sides.
    ValueError
        For lengths that differ, a molecule without features, an unknown metric, or rows that cannot be weighted.
    """
    y, groups = np.asarray(y, dtype=float), np.asarray(groups)
    n = len(y)
    if len(groups) != n:
        raise ValueError(f"y has {n} molecules, groups has {len(groups)}: give one label a molecule")
    if weights not in ("molecule", None):
        raise ValueError(f"weights is {weights!r}: choose 'molecule' or None")
    if not isinstance(metrics, Mapping):
        unknown = [name for name in metrics if name not in METRICS]
        if unknown:
            raise ValueError(f"unknown metric {unknown[0]!r}: choose from {', '.join(METRICS)} or give a function")
        metrics = {name: METRICS[name] for name in metrics}
    checked = _check_models(models, X, n)
    if cv is None:
        cv = RepeatedGroupKFold(n_splits, n_repeats=n_repeats, random_state=random_state)
    splits = list(cv.split(np.zeros((n, 1)), y, groups))
    for train, test in splits:
        assert_no_leak(groups[train], groups[test])
    folds = len(splits) // getattr(cv, "n_repeats", 1)

    jobs = [(name, number) for number in range(len(splits)) for name in checked]
    predictions = each(_one, [(name, *checked[name], y, *splits[number], weights) for name, number in jobs], n_jobs)

    scores, tables = [], []
    for (name, number), predicted in zip(jobs, predictions, strict=True):
        train, test = splits[number]
        place = {"model": name, "repeat": number // folds, "fold": number % folds}
        for metric, function in metrics.items():
            value = function(y[test], predicted)
            scores.append({**place, "metric": metric, "value": value, "n_train": len(train), "n_test": len(test)})
        tables.append(pd.DataFrame({**place, "molecule": test, "y_true": y[test], "y_pred": predicted}))
    table = pd.DataFrame(scores)
    return (table, pd.concat(tables, ignore_index=True)) if return_predictions else table


def _by_split(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    chosen = scores[scores["metric"] == metric]
    if chosen.empty:
        known = ", ".join(sorted(scores["metric"].unique()))
        raise ValueError(f"no scores for metric {metric!r}: there are {known}")
    table = chosen.pivot(index=["repeat", "fold"], columns="model", values="value")
    bad = table.columns[table.isna().any()]
    if len(bad):
        raise ValueError(f"model {bad[0]!r} has no score on some splits: paired differences need identical splits")
    return table[list(dict.fromkeys(chosen["model"]))]


def summary(scores: pd.DataFrame, metric: str = "mae", level: float = 0.95) -> pd.DataFrame:
    """Mean score of each model with its Nadeau-Bengio interval.

    Parameters
    ----------
    scores : DataFrame
        From :func:`compare`.
    metric : str
    level : float

    Returns
    -------
    DataFrame
        Columns model, mean, low, high, se, df, n_splits, in the unit of the metric.
    """
    table = _by_split(scores, metric)
    return _intervals(table, scores, metric, level, "mean")


def paired(scores: pd.DataFrame, reference: str, metric: str = "mae", level: float = 0.95) -> pd.DataFrame:
    """Difference of each model to a reference on the same splits, with Nadeau-Bengio intervals.

    Parameters
    ----------
    scores : DataFrame
        From :func:`compare`.
    reference : str
        Name of the model to subtract: difference = model - reference. For an error, below 0 is better than the
        reference.
    metric : str
    level : float
        Confidence level of each interval alone; comparing many models, expect some to miss.

    Returns
    -------
    DataFrame
        One row a model, the reference left out: model, reference, metric, difference, low, high, se, df, n_splits, in
        the unit of the metric.

    Raises
    ------
    ValueError
        When the reference or the metric is not among the scores, or models were scored on different splits.
    """
    table = _by_split(scores, metric)
    if reference not in table:
        raise ValueError(f"no model {reference!r} among the scores: there are {', '.join(map(str, table.columns))}")
    differences = table.drop(columns=reference).sub(table[reference], axis=0)
    result = _intervals(differences, scores, metric, level, "difference")
    result.insert(1, "reference", reference)
    result.insert(2, "metric", metric)
    return result


def _intervals(table, scores, metric, level, what) -> pd.DataFrame:
    sizes = scores[scores["metric"] == metric].drop_duplicates(["repeat", "fold"])[["n_train", "n_test"]].mean()
    records = []
    for model, values in table.items():
        interval = nadeau_bengio(values, sizes["n_train"], sizes["n_test"], level)
        records.append(
            {
                "model": model,
                what: interval.estimate,
                "low": interval.low,
                "high": interval.high,
                "se": interval.se,
                "df": interval.df,
                "n_splits": len(values),
            }
        )
    return pd.DataFrame(records, columns=["model", what, "low", "high", "se", "df", "n_splits"])
