"""From a fitted model to the next molecules: what it believes about a pool, and one pick or a batch.

The best molecules by one acquisition function are often near copies of each other, so that the second of a batch tells
what the first has told. **Kriging believer** (Ginsbourger, Le Riche & Carraro 2010): after each pick suppose that the
measurement will be the model's own mean, condition the model on that, and pick again. What lies near the first pick is
then less uncertain. We take it rather than local penalisation (Gonzalez et al., AISTATS 2016), which needs a bound on
the slope of the mean: a Gaussian process on descriptors has one, trees and networks on graphs do not, and the believer
is the same for all of them. A model that knows its posterior covariance is conditioned in closed form (its mean does
not move), any other is fitted again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone, is_classifier
from sklearn.pipeline import Pipeline

from course_lib.acquire.functions import ACQUISITIONS, nearest_neighbour, random, thompson
from course_lib.arguments import whole
from course_lib.featurize import morgan
from course_lib.models.predictive import Inputs

__all__ = ["Beliefs", "beliefs", "function_samples", "pick"]

BATCHES = ("believer", "top")
WITHOUT_MODEL = ("random", "nearest_neighbour")
WITHOUT_STD = (*WITHOUT_MODEL, "greedy")


class Beliefs(NamedTuple):
    """What a model says of n molecules, each of shape (n,).

    ``std`` is the uncertainty about the function, for acquisition; ``total`` that of a new measurement. A model that
    has no epistemic part (NGBoost) gives its total for both; one without a distribution, or a classifier, gives NaN.
    """

    mean: np.ndarray
    std: np.ndarray
    total: np.ndarray


def predicts_classes(model: Any) -> bool:
    """Whether there is a model, and it is a classifier."""
    return model is not None and is_classifier(model)


def check_direction(maximise: Any) -> None:
    """Raise a ValueError for anything but True and False, which would silently maximise."""
    if not isinstance(maximise, (bool, np.bool_)):
        raise ValueError(f"maximise is {maximise!r}: give True when large values are wanted, False when small ones are")


def _last_step(model: Any, X: ArrayLike) -> tuple[Any, ArrayLike]:
    """Return a pipeline's last step and what it is given: parts and covariance are those of the last step."""
    if isinstance(model, Pipeline) and len(model) > 1:
        return model[-1], model[:-1].transform(X)
    return model, X


def beliefs(model: Any, X: ArrayLike) -> Beliefs:
    """Ask a fitted model; for a classifier the mean is the probability of its second class."""
    model, X = _last_step(model, X)
    unknown = np.full(len(X), np.nan)
    if predicts_classes(model):
        return Beliefs(model.predict_proba(X)[:, 1], unknown, unknown)
    if hasattr(model, "predict_parts"):
        parts = model.predict_parts(X)
        total = parts["std"].to_numpy()
        epistemic = parts["epistemic"].to_numpy()
        return Beliefs(parts["mean"].to_numpy(), total if np.isnan(epistemic).any() else epistemic, total)
    try:
        mean, total = model.predict(X, return_std=True)
    except TypeError:  # a baseline that predicts no distribution
        return Beliefs(model.predict(X), unknown, unknown)
    return Beliefs(mean, total, total)


def function_samples(
    model: Any, X: ArrayLike, n_samples: int, random_state: int | np.random.Generator = 0
) -> tuple[np.ndarray, bool]:
    """Draw functions from a fitted model's posterior, at X.

    Parameters
    ----------
    model : fitted regressor
    X : array-like of length n
    n_samples : int
    random_state : int or numpy Generator

    Returns
    -------
    samples : ndarray of shape (n_samples, n)
        In the unit of the target.
    joint : bool
        True for draws of whole functions: a ``BNNRegressor`` (``sample_functions``) and a ``GPRegressor``
        (``covariance``). False where the model has neither: independent normal draws for each molecule.

    Raises
    ------
    ValueError
        When the model has no standard deviation to draw with.
    """
    rng = np.random.default_rng(random_state)
    model, X = _last_step(model, X)
    if hasattr(model, "sample_functions"):
        return np.array(list(model.sample_functions(X, n_samples, int(rng.integers(2**31))))), True
    found = beliefs(model, X)
    draws = rng.standard_normal((n_samples, len(found.mean)))
    if hasattr(model, "covariance"):
        C = model.covariance(X)
        # molecules with the same descriptors make it singular; the share added is far below any difference that matters
        L = np.linalg.cholesky(C + 1e-8 * np.diag(C).mean() * np.eye(len(C)))
        return found.mean + draws @ L.T, True
    _need_std(found.std, model, "thompson")
    return found.mean + draws * found.std, False


def _need_std(std: np.ndarray, model: Any, name: str) -> None:
    if np.isnan(std).any():
        raise ValueError(
            f"acquisition {name!r} needs a standard deviation, and {type(model).__name__} has none here: take a "
            "regressor with predict(X, return_std=True), or the acquisition 'greedy'"
        )


def check_acquisition(acquisition: str | Callable) -> None:
    """Raise a ValueError for an unknown name, and for functions that need more than mean, std and best."""
    if any(acquisition is function for function in (thompson, random, nearest_neighbour)):
        raise ValueError(f"acquisition is the function {acquisition.__name__}: give its name, {acquisition.__name__!r}")
    if not callable(acquisition) and not (isinstance(acquisition, str) and acquisition in ACQUISITIONS):
        raise ValueError(
            f"unknown acquisition {acquisition!r}: choose from {', '.join(ACQUISITIONS)}, or give a function of mean, "
            "std and best"
        )


def pick(
    model: Any,
    X: ArrayLike,
    measured: Sequence[int],
    y: ArrayLike,
    candidates: Sequence[int],
    k: int,
    acquisition: str | Callable,
    *,
    best: float | None = None,
    batch: str = "believer",
    random_state: int | np.random.Generator = 0,
) -> pd.DataFrame:
    """Pick the next molecules, those of largest acquisition value. Large y is wanted.

    Parameters
    ----------
    model : estimator fitted on X[measured] and y, or None for "random" and "nearest_neighbour"
    X : ndarray of shape (n, p), or (n,) for SMILES
        Molecules measured and not.
    measured : sequence of int, shape (m,)
        Rows of X.
    y : array-like of shape (m,)
        Their values.
    candidates : sequence of int
        Rows of X to pick from. Of equal scores the one that stands first here is picked.
    k : int
    acquisition : str or function
        A name in ``ACQUISITIONS``, or a function of mean, std (each of shape (n_candidates,)) and best.
    best : float, optional
        Value to beat; default the largest y.
    batch : {"believer", "top"}
        How k > 1 are picked: kriging believer, or the k largest values at once. "thompson" draws a function for each
        pick; "greedy", "random" and "nearest_neighbour" take the largest, as they do not look at the uncertainty.
    random_state : int or numpy Generator

    Returns
    -------
    DataFrame of k rows, in the order of picking
        Columns molecule (row of X), mean, std (of the function, when picked) and acquisition.

    Raises
    ------
    ValueError
        For an unknown acquisition or batch, too few candidates, rows that X does not have or that stand twice, or a
        model that lacks what the acquisition needs.

    Warns
    -----
    UserWarning
        For "thompson" with a model that has no posterior of functions: its draws are independent.
    """
    check_acquisition(acquisition)
    if batch not in BATCHES:
        raise ValueError(f"batch is {batch!r}: choose 'believer' or 'top'")
    y, rng = np.asarray(y, dtype=float), np.random.default_rng(random_state)
    if hasattr(X, "iloc"):
        raise ValueError("X is a pandas table: give X.to_numpy(), and fit the model on that too")
    X = np.asarray(X)
    k, (measured, candidates) = whole("k", k), _check_rows(len(X), measured, y, candidates)
    if k > len(candidates):
        raise ValueError(f"cannot pick {k} of {len(candidates)} candidates: k must be from 1 to their number")
    best = float(y.max()) if best is None else best
    if not (isinstance(best, Real) and np.isfinite(best)):
        raise ValueError(f"best is {best!r}: give the value to beat, a finite number")
    if model is None and acquisition not in WITHOUT_MODEL:
        raise ValueError(f"acquisition {acquisition!r} needs a model: give one, fitted on what has been measured")
    if acquisition in WITHOUT_MODEL:
        nothing = np.full(len(candidates), np.nan)
        if acquisition == "random":
            scores = random(len(candidates), rng)
        else:
            table = Inputs().fit_transform(X) if np.ndim(X) == 2 else morgan(X).to_numpy(dtype=float)
            tied = measured[y == y.max()]  # of two classes all positives
            scores = nearest_neighbour(table[candidates], table[tied])
        return _table(candidates, nothing, nothing, scores[None], k)
    found = beliefs(model, X[candidates])
    name = acquisition if isinstance(acquisition, str) else getattr(acquisition, "__name__", "your function")
    if predicts_classes(model) and acquisition != "greedy":
        raise ValueError(f"acquisition {name!r} is for numbers: for classes use 'greedy', the probability of a hit")
    if acquisition == "thompson":
        samples, joint = function_samples(model, X[candidates], k, rng)
        if not joint:
            warnings.warn(
                f"{type(model).__name__} has no posterior of functions, so Thompson sampling draws each molecule by "
                "itself: of many candidates the luckiest draw wins",
                stacklevel=2,
            )
        return _table(candidates, found.mean, found.std, thompson(samples), k)
    if acquisition not in WITHOUT_STD:
        _need_std(found.std, model, name)
    function = ACQUISITIONS[acquisition] if isinstance(acquisition, str) else acquisition
    if k == 1 or batch == "top" or acquisition == "greedy":
        scores = _scores(function, found.mean, found.std, best, name)
        return _table(candidates, found.mean, found.std, scores[None], k)
    return _believer(model, X, measured, y, candidates, k, function, found, best, name)


def _check_rows(n: int, measured, y: np.ndarray, candidates) -> tuple[np.ndarray, np.ndarray]:
    """Return ``measured`` and ``candidates`` as row numbers; raise a ValueError for rows that cannot be."""
    given = {"measured": np.asarray(measured), "candidates": np.asarray(candidates)}
    for name, rows in given.items():
        if rows.size and rows.dtype.kind not in "iu":
            remedy = "np.flatnonzero(mask) gives them" if rows.dtype == bool else "whole numbers from 0"
            raise ValueError(f"{name} holds {rows.dtype}, not row numbers: {remedy}")
    measured, candidates = (rows.astype(int) for rows in given.values())
    if y.shape != measured.shape or len(y) == 0:
        raise ValueError(f"measured has shape {measured.shape}, y {y.shape}: give one value for each measured row")
    if not np.isfinite(y).all():
        row = int(np.flatnonzero(~np.isfinite(y))[0])
        raise ValueError(f"y[{row}] is {y[row]}: leave out what has not been measured")
    rows = np.concatenate([measured, candidates])
    if len(outside := rows[(rows < 0) | (rows >= n)]):
        raise ValueError(f"row {outside[0]} is none of the {n} rows of X")
    values, counts = np.unique(candidates, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"row {values[counts > 1][0]} stands twice among the candidates: give each once")
    if len(both := np.intersect1d(measured, candidates)):
        raise ValueError(f"row {both[0]} is measured and a candidate ({len(both)} such rows): take it from one of them")
    return measured, candidates


def _scores(function: Callable, mean, std, best: float, name: str) -> np.ndarray:
    scores = np.asarray(function(mean, std, best), dtype=float)
    if scores.shape != np.shape(mean) or np.isnan(scores).any():
        raise ValueError(
            f"acquisition {name!r} must give one number for each of the {len(mean)} candidates, NaN is none: it gave "
            f"shape {scores.shape}, {int(np.isnan(scores).sum())} of them NaN"
        )
    return scores


def _table(candidates, mean, std, scores: np.ndarray, k: int) -> pd.DataFrame:
    """Take the largest, k times; row i of ``scores`` is for pick i, the last for all that follow."""
    scores, chosen, values = scores.copy(), [], []
    for number in range(k):
        row = scores[min(number, len(scores) - 1)]
        free = np.setdiff1d(np.arange(len(row)), chosen)  # a score may be -inf, and still nothing is picked twice
        chosen.append(int(free[row[free].argmax()]))
        values.append(row[chosen[-1]])
    return pd.DataFrame(
        {"molecule": candidates[chosen], "mean": mean[chosen], "std": std[chosen], "acquisition": values}
    )


def _believer(model, X, measured, y, candidates, k, function, found: Beliefs, best: float, name: str) -> pd.DataFrame:
    mean, std = found.mean, found.std
    left, chosen, rows = np.ones(len(candidates), dtype=bool), [], []
    last, table = _last_step(model, X[candidates])
    exact = hasattr(last, "covariance")
    if exact:
        C, noise = last.covariance(table), np.maximum(found.total**2 - found.std**2, 0.0)
    for _ in range(k):
        scores = _scores(function, mean, std, best, name)
        one = int(np.flatnonzero(left)[scores[left].argmax()])
        rows.append((candidates[one], mean[one], std[one], scores[one]))
        left[one] = False
        chosen.append(one)
        if len(chosen) == k:
            break
        best = max(best, float(mean[one]))
        if exact:
            C = C - np.outer(C[one], C[one]) / (C[one, one] + noise[one])
            std = np.sqrt(np.maximum(np.diag(C), 0.0))
        else:
            rows_of_X = np.concatenate([measured, candidates[chosen]]).astype(int)
            believed = np.concatenate([y, [row[1] for row in rows]])
            mean, std, _ = beliefs(clone(model).fit(X[rows_of_X], believed), X[candidates])
    return pd.DataFrame(rows, columns=["molecule", "mean", "std", "acquisition"])
