"""Campaigns on a pool whose answers are known: which method would have found the good molecules, and how soon.

Every method of a comparison begins with the same molecules and, with an experiment's noise, would measure the same
value for the same molecule, so that methods differ by what they pick and by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone

from course_lib import evaluate, settings
from course_lib.acquire.functions import ACQUISITIONS
from course_lib.acquire.picking import (
    WITHOUT_MODEL,
    beliefs,
    check_acquisition,
    check_direction,
    pick,
    predicts_classes,
)
from course_lib.arguments import whole
from course_lib.datasets._base import fingerprint
from course_lib.parallel import each

__all__ = ["Campaign", "campaign", "campaigns"]

PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "gpytorch", "ngboost", "pyro-ppl", "lightgbm", "rdkit")


@dataclass(frozen=True, eq=False)
class Campaign:
    """What a campaign measured, in order.

    Attributes
    ----------
    history : DataFrame of n_init + budget rows, one a measurement
        round (0 for the start), molecule (row of X), value (as measured, noise included), best (of the values so far),
        hit (by the true value), mean and std (of the function, as the model saw the molecule when it was picked; NaN
        for the start), acquisition; and, with a test set, the scores of the model that had seen this round and all
        before: r2 and ama (miscalibration area), for classes auroc and log_loss.
    n_hits : int
        Hits in the whole pool.
    n_init : int
        Molecules of the start.
    """

    history: pd.DataFrame
    n_hits: int
    n_init: int

    def hit_fraction(self, *, count_start: bool = True) -> np.ndarray:
        """Share of the pool's hits found, after each measurement; shape (n_init + budget,).

        ``count_start=False`` leaves the hits of the start out of the numerator, as the figures of Tom et al. 2023 do.
        """
        hit = self.history["hit"].to_numpy(dtype=float).copy()
        if not count_start:
            hit[: self.n_init] = 0
        return hit.cumsum() / self.n_hits

    def __repr__(self) -> str:
        found, rounds = int(self.history["hit"].sum()), int(self.history["round"].max())
        hits = f"{found} of {self.n_hits} hits, the start's included"
        return f"<Campaign: {len(self.history)} measured in {rounds} rounds, {hits}>"


def _pool(model: Any, X: ArrayLike, y: ArrayLike, hits, maximise: bool, noise: float | None):
    """Return X as an array, y with large values wanted, and which molecules are hits."""
    X, y = np.asarray(X), np.asarray(y, dtype=float)
    if y.ndim != 1 or len(X) != len(y):
        raise ValueError(f"X has {len(X)} rows, y has shape {y.shape}: give one value a molecule")
    bad = np.flatnonzero(~np.isfinite(y))
    if len(bad):
        raise ValueError(f"y[{bad[0]}] is {y[bad[0]]} ({len(bad)} such rows): a pool needs a known value for each row")
    if noise is not None and not (isinstance(noise, Real) and np.isfinite(noise) and noise >= 0):
        raise ValueError(f"noise is {noise!r}: give a standard deviation of 0 or more in the unit of y, or None")
    if predicts_classes(model):
        if set(np.unique(y)) != {0.0, 1.0}:
            raise ValueError(f"y of a classifier must hold 0 and 1, got {np.unique(y)[:5].tolist()}: recode it")
        if noise is not None:
            raise ValueError("noise is for numbers: leave it out for classes")
        y = y if maximise else 1 - y
        return X, y, y == 1
    y = y if maximise else -y
    if np.ndim(hits) == 0:
        if not (isinstance(hits, Real) and 0 < hits < 1):
            raise ValueError(f"hits is {hits!r}: give a share between 0 and 1, or a Boolean for each molecule")
        least = np.quantile(y, 1 - hits)
        if least == y.min():
            raise ValueError(
                f"with hits {hits:g} every molecule would be a hit, as {int((y == least).sum())} of {len(y)} share the "
                "poorest value: give hits as a Boolean for each molecule"
            )
        return X, y, y >= least
    hits = np.asarray(hits)
    if hits.shape != y.shape or hits.dtype != bool or not hits.any():
        raise ValueError(
            f"hits has shape {hits.shape}, dtype {hits.dtype}: give a Boolean for each of the {len(y)} molecules, True "
            "for at least one"
        )
    return X, y, hits


def _check_test(test: Any) -> None:
    """Raise a ValueError unless ``test`` is features and values of the same molecules."""
    if not isinstance(test, (tuple, list)) or [np.ndim(part) > 0 for part in test] != [True, True]:
        raise ValueError("test must be (X, y): features and values of molecules that take no part")
    X, y = test[0], np.asarray(test[1], dtype=float)
    if len(X) != len(y):
        raise ValueError(f"test has lengths {len(X)} and {len(y)}: give (X, y), one value a molecule")
    if len(strange := np.flatnonzero(~np.isfinite(y))):
        raise ValueError(f"test: y[{strange[0]}] is {y[strange[0]]}: leave out what has not been measured")


def campaign(
    model: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    n_init: int,
    budget: int,
    batch_size: int = 1,
    acquisition: str | Callable = "log_expected_improvement",
    maximise: bool = True,
    random_state: int = 0,
    noise: float | None = None,
    hits: float | ArrayLike = 0.1,
    batch: str = "believer",
    test: tuple[ArrayLike, ArrayLike] | None = None,
    n_scored: int | None = None,
) -> Campaign:
    """Run one campaign: measure a random start, then fit, pick, measure, and again until the budget is spent.

    Parameters
    ----------
    model : estimator
        Unfitted; a clone is fitted in every round on all that has been measured. None for the acquisitions "random"
        and "nearest_neighbour" without a test set.
    X : array-like of shape (n, p), or (n,) for SMILES
        The pool.
    y : array-like of shape (n,)
        Its true values; 0 and 1 for a classifier. The loop sees only those that it has measured.
    n_init : int
        Molecules of the start.
    budget : int
        Measurements after the start.
    batch_size : int
        Molecules a round; the last round may have fewer.
    acquisition : str or function
        See :func:`course_lib.acquire.pick`; a function is called with mean, std and best, and large is wanted.
    maximise : bool
        False: small values are wanted, for classes class 0. Same as y with the other sign.
    random_state : int
        Decides the start, the noise, the random picks and the order in which molecules stand when scores are equal,
        each by its own stream: campaigns with the same seed share start and noise whatever their method. (The order
        matters: a file that is sorted by y would otherwise leak it into every tie.)
    noise : float, optional
        Standard deviation, in the unit of y, of the experiment: each molecule is measured as y plus normal noise.
        The value to beat is then the best of the model's *means* of measured molecules (Picheny et al. 2013): the best
        measurement is mostly the luckiest. Without noise it is the best measurement.
    hits : float or Boolean array of shape (n,)
        What counts as found: the best share of the pool by true value (ties included), or these molecules. For classes
        all of the wanted class.
    batch : {"believer", "top"}
        See :func:`course_lib.acquire.pick`.
    test : (X, y), optional
        Molecules that take no part; the model is scored on them after each round.
    n_scored : int, optional
        Score only so many molecules of the pool in each round, drawn anew. Default all of them.

    Returns
    -------
    Campaign

    Raises
    ------
    ValueError
        For sizes that the pool does not have, values that are not finite, a start that holds one class, or a model that
        lacks what the acquisition needs.

    References
    ----------
    Picheny, Wagner & Ginsbourger, Structural and Multidisciplinary Optimization 2013, 48, 607-626 (noisy values).
    """
    check_acquisition(acquisition)
    check_direction(maximise)
    X, y, is_hit = _pool(model, X, y, hits, maximise, noise)
    n, sign = len(y), 1.0 if maximise else -1.0
    n_init, budget, batch_size = whole("n_init", n_init), whole("budget", budget), whole("batch_size", batch_size)
    if n_init + budget > n:
        raise ValueError(f"n_init {n_init} and budget {budget} exceed the pool of {n} molecules: lower the budget")
    if n_scored is not None and whole("n_scored", n_scored) < batch_size:
        raise ValueError(f"n_scored is {n_scored}, batch_size {batch_size}: score at least a batch")
    if test is not None:
        _check_test(test)
    fits = acquisition not in WITHOUT_MODEL or test is not None
    if fits and model is None:
        raise ValueError(f"acquisition {acquisition!r}, or a test set, needs a model: give one")
    if fits and n_init < 2:
        raise ValueError("n_init is 1: a model learns from 2 molecules at least")
    of_start, of_noise, of_picks, of_ties = np.random.SeedSequence(random_state).spawn(4)
    rng = np.random.default_rng(of_picks)
    measured = np.random.default_rng(of_start).permutation(n)[:n_init]
    value = y + np.random.default_rng(of_noise).normal(0, noise, n) if noise else y
    order = np.random.default_rng(of_ties).permutation(n)
    start = {"molecule": measured, "mean": np.nan, "std": np.nan, "acquisition": np.nan}
    rounds, fitted = [pd.DataFrame({"round": 0, **start})], None
    for number in range(int(np.ceil(budget / batch_size)) + 1):
        seen, k = value[measured], min(batch_size, n_init + budget - len(measured))
        if k == 0 and test is None:
            break
        if fits:
            if predicts_classes(model) and len(np.unique(seen)) < 2:
                raise ValueError(f"the {len(measured)} molecules measured are all of one class: raise n_init")
            fitted = clone(model).fit(X[measured], seen)
            if test is not None:
                rounds[-1] = rounds[-1].assign(**_scores(fitted, *test, maximise))
        if k == 0:
            break
        free = order[~np.isin(order, measured)]
        if n_scored is not None and n_scored < len(free):
            free = rng.choice(free, n_scored, replace=False)
        best = beliefs(fitted, X[measured]).mean.max() if noise and fitted is not None else seen.max()
        table = pick(fitted, X, measured, seen, free, k, acquisition, best=best, batch=batch, random_state=rng)
        rounds.append(table.assign(round=number + 1))
        measured = np.concatenate([measured, table["molecule"].to_numpy()])
    return Campaign(_history(rounds, value, is_hit, sign, maximise, model), int(is_hit.sum()), n_init)


def _history(rounds, value, is_hit, sign, maximise, model) -> pd.DataFrame:
    history = pd.concat(rounds, ignore_index=True)
    molecule = history["molecule"].to_numpy()
    seen = value[molecule]
    best = np.maximum.accumulate(seen)
    if predicts_classes(model):
        history["mean"] = history["mean"] if maximise else 1 - history["mean"]
        seen, best = (seen, best) if maximise else (1 - seen, 1 - best)
    else:
        history["mean"], seen, best = sign * history["mean"], sign * seen, sign * best
    history = history.assign(value=seen, best=best, hit=is_hit[molecule])
    first = ["round", "molecule", "value", "best", "hit", "mean", "std", "acquisition"]
    return history[first + [column for column in history if column not in first]]


def _scores(fitted: Any, X: ArrayLike, y: ArrayLike, maximise: bool) -> dict[str, float]:
    """Score the model on molecules that take no part."""
    y = np.asarray(y, dtype=float)
    if predicts_classes(fitted):
        y = y if maximise else 1 - y
        p = np.clip(beliefs(fitted, X).mean, 1e-6, 1 - 1e-6)
        return {"auroc": evaluate.auroc(y, p), "log_loss": evaluate.log_loss(y, p)}
    y = y if maximise else -y
    found = beliefs(fitted, X)
    known = not np.isnan(found.total).any()
    ama = evaluate.miscalibration_area(y, found.mean, found.total) if known else np.nan
    return {"r2": evaluate.r2(y, found.mean), "ama": ama}


@cache
def _code() -> str:
    """Hash of the code that a campaign depends on: part of the key of its cache."""
    package = Path(__file__).parents[1]
    files = [
        path for folder in ("acquire", "models", "featurize", "evaluate") for path in (package / folder).glob("*.py")
    ]
    return fingerprint(*sorted(files))


def _stored(code: str, model, X, y, options: dict) -> Campaign:
    """Run a campaign; its own function so that joblib can keep the result under its arguments."""
    return campaign(model, X, y, **options)


def _one(name: str, start: int, model, X, y, options: dict) -> pd.DataFrame:
    acquisition = options.get("acquisition")
    function = acquisition.func if isinstance(acquisition, partial) else acquisition  # another kappa, for instance
    ours = any(function is known for known in ACQUISITIONS.values())
    if callable(acquisition) and not ours:
        # joblib knows a notebook's function by its name only: an edit would be missed
        found = campaign(model, X, y, **options)
    else:
        found = settings.cached(_stored, *PACKAGES)(_code(), model, X, y, options)
    history = found.history.assign(
        hit_fraction=found.hit_fraction(), new_hit_fraction=found.hit_fraction(count_start=False)
    )
    history.insert(0, "n", np.arange(1, len(history) + 1))
    history.insert(0, "start", start)
    history.insert(0, "method", name)
    return history


def campaigns(
    methods: Mapping[str, Mapping[str, Any]],
    y: ArrayLike,
    *,
    X: ArrayLike | None = None,
    n_starts: int = 30,
    n_jobs: int | None = None,
    random_state: int = 0,
    **common: Any,
) -> pd.DataFrame:
    """Run every method from the same random starts.

    Each campaign is kept in the cache when it ends, under its data, model, options and the course's code, so that an
    interrupted run goes on where it stopped and a finished one is read. Campaigns with an acquisition function of your
    own are run anew each time; a ``functools.partial`` of one of the course's, for another kappa, is kept.

    Parameters
    ----------
    methods : mapping name -> mapping
        Options of :func:`campaign` for each method: ``model``, ``acquisition``, ... and ``X`` where the method has
        features of its own.
    y : array-like of shape (n,)
    X : array-like, optional
        Features of the methods that bring none.
    n_starts : int
        Starting sets. The first ones are the same whatever their number.
    n_jobs : int, optional
        Campaigns run at the same time; the results are the same for any. None: as ``joblib.parallel_config`` says,
        else 1.
    random_state : int
    **common
        Options of :func:`campaign` for all methods.

    Returns
    -------
    DataFrame
        The histories, with the columns method, start, n (molecules measured so far) in front, and hit_fraction and
        new_hit_fraction (without the start's hits) behind.

    Raises
    ------
    ValueError, TypeError
        Without methods or features, and as :func:`campaign` does, with the method's name.
    """
    if not methods:
        raise ValueError("methods is empty: give at least one, {'name': {'model': ..., 'acquisition': ...}}")
    seeds = np.random.default_rng(random_state).integers(2**31, size=whole("n_starts", n_starts))
    jobs = []
    for start, seed in enumerate(seeds):
        for name, given in methods.items():
            if "random_state" in given:
                raise ValueError(f"method {name!r} has its own random_state: methods share their starts, leave it out")
            options = {**common, **given, "random_state": int(seed)}
            model, features = options.pop("model", None), options.pop("X", X)
            if features is None:
                raise ValueError(f"method {name!r} has no features: give X, for all methods or for this one")
            jobs.append((name, start, model, np.asarray(features), np.asarray(y, dtype=float), options))
    return pd.concat(settings.progress(each(_named, jobs, n_jobs), "campaigns", total=len(jobs)), ignore_index=True)


def _named(name: str, *job) -> pd.DataFrame:
    try:
        return _one(name, *job)
    except (TypeError, ValueError) as error:  # TypeError: an option that does not exist
        raise type(error)(f"method {name!r}: {error}") from error
