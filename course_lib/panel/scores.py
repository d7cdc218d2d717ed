"""Scores era by era, of one prediction or of a posterior sample by sample, and what the spread announces."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from course_lib.evaluate import Interval

__all__ = ["PosteriorScores", "burn_detection", "era_scores", "published", "score_posterior", "sharpe"]


class _Scorer:
    """Rank correlation with y in each era, with the ranks of y computed once."""

    def __init__(self, y: ArrayLike, eras: ArrayLike) -> None:
        self.y, eras = np.asarray(y, dtype=float), np.asarray(eras)
        if self.y.ndim != 1 or eras.shape != self.y.shape:
            raise ValueError(f"y has shape {self.y.shape}, eras {eras.shape}: give two lists of the same length")
        self._check(self.y, "y")
        self.names, code = np.unique(eras, return_inverse=True)
        self.rows = np.split(np.argsort(code, kind="stable"), np.cumsum(np.bincount(code))[:-1])
        small = [name for name, rows in zip(self.names, self.rows, strict=True) if len(rows) < 2]
        if small:
            raise ValueError(f"era {small[0]} has one row: a rank correlation needs at least 2")
        self.ranks = [self._ranks(self.y[rows]) for rows in self.rows]

    @staticmethod
    def _check(values: np.ndarray, what: str) -> None:
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise ValueError(f"{what}[{bad[0]}] is {values[bad[0]]} ({len(bad)} such values)")

    @staticmethod
    def _ranks(values: np.ndarray) -> np.ndarray:
        ranks = rankdata(values)
        ranks -= ranks.mean()
        length = np.sqrt(ranks @ ranks)
        return ranks / length if length > 0 else ranks

    def __call__(self, prediction: ArrayLike) -> np.ndarray:
        prediction = np.asarray(prediction, dtype=float)
        if prediction.shape != self.y.shape:
            raise ValueError(f"the prediction has shape {prediction.shape} for {len(self.y)} rows")
        self._check(prediction, "prediction")
        pairs = zip(self.ranks, self.rows, strict=True)
        return np.array([ranks @ self._ranks(prediction[rows]) for ranks, rows in pairs])


def era_scores(prediction: ArrayLike, y: ArrayLike, eras: ArrayLike) -> pd.Series:
    """Spearman's rank correlation within each era.

    Parameters
    ----------
    prediction, y, eras : array-like of shape (n,)

    Returns
    -------
    Series of shape (n_eras,)
        By era, sorted. 0 where the prediction (or y) is the same for all rows of an era: it ranks nothing.

    Raises
    ------
    ValueError
        For lengths that differ, values that are not finite, or an era of one row.
    """
    scorer = _Scorer(y, eras)
    return pd.Series(scorer(prediction), index=pd.Index(scorer.names, name="era"), name="correlation")


def sharpe(scores: ArrayLike) -> float:
    """Mean over eras divided by the standard deviation over eras (that of a population, as Numerai has it).

    Raises
    ------
    ValueError
        When all eras have the same score, so that the ratio is not defined.
    """
    scores = np.asarray(scores, dtype=float)
    spread = scores.std() if len(scores) else 0.0
    if not spread > 0:
        raise ValueError("a Sharpe ratio needs eras with different scores")
    return float(scores.mean() / spread)


class PosteriorScores(NamedTuple):
    """What :func:`score_posterior` returns.

    Attributes
    ----------
    samples : DataFrame of shape (n_samples, 2)
        ``correlation`` (mean over eras) and ``sharpe`` of each sample; NaN for a Sharpe ratio that is not defined.
    eras : Series of shape (n_eras,)
        Era scores of the ensemble, the mean of the samples' predictions.
    mean : ndarray of shape (n,)
        Mean over the samples, for each row.
    spread : ndarray of shape (n,)
        Standard deviation over the samples, for each row.
    """

    samples: pd.DataFrame
    eras: pd.Series
    mean: np.ndarray
    spread: np.ndarray


def score_posterior(samples: Iterable[np.ndarray], y: ArrayLike, eras: ArrayLike) -> PosteriorScores:
    """Score posterior samples one by one, and their mean as an ensemble, holding one sample at a time.

    Parameters
    ----------
    samples : iterable of ndarrays of shape (n,)
        Such as ``model.sample_functions(X, 1000)``.
    y, eras : array-like of shape (n,)

    Raises
    ------
    ValueError
        As :func:`era_scores`, and without a sample.

    References
    ----------
    Welford, Technometrics 1962, 4, 419-420 (the running variance).
    """
    scorer = _Scorer(y, eras)
    mean, squares, rows = np.zeros(len(scorer.y)), np.zeros(len(scorer.y)), []
    for count, sample in enumerate(samples, start=1):
        found = scorer(sample)
        rows.append((found.mean(), sharpe(found) if found.std() > 0 else np.nan))
        step = sample - mean
        mean += step / count
        squares += step * (sample - mean)
    if not rows:
        raise ValueError("there is no sample to score")
    table = pd.DataFrame(rows, columns=["correlation", "sharpe"])
    return PosteriorScores(table, era_scores(mean, y, eras), mean, np.sqrt(squares / len(rows)))


def burn_detection(spread: ArrayLike, eras: ArrayLike, burn: ArrayLike, random_state: int = 0) -> Interval:
    """Area under the ROC curve of the predictive spread, averaged over an era, for burn eras.

    Parameters
    ----------
    spread : array-like of shape (n,)
        Standard deviation of the prediction, row by row.
    eras : array-like of shape (n,)
    burn : array-like of bool, shape (n_eras,)
        Whether each era burns, eras sorted.
    random_state : int
        Of the bootstrap that gives the interval.

    Returns
    -------
    Interval
        0.5 is chance, 1 means that every burn era has a larger mean spread than all others. The 95 % interval is over
        2 000 resamples of the burn eras and of the others, each among themselves; ``df`` is NaN.

    Raises
    ------
    ValueError
        When ``burn`` has another length than there are eras, or all eras burn, or none.
    """
    means = pd.Series(np.asarray(spread, dtype=float)).groupby(np.asarray(eras)).mean().to_numpy()
    burn = np.asarray(burn, dtype=bool)
    if burn.shape != means.shape:
        raise ValueError(f"burn has shape {burn.shape} for {len(means)} eras: give one value an era")
    if burn.all() or not burn.any():
        raise ValueError(f"{burn.sum()} of {len(burn)} eras burn: telling them apart needs both kinds")
    gaps = means[burn][:, None] - means[~burn]
    wins = (gaps > 0) + 0.5 * (gaps == 0)  # one row a burn era, one column another
    rng = np.random.default_rng(random_state)
    shares = [rng.multinomial(n, np.full(n, 1 / n), size=2000) / n for n in wins.shape]
    drawn = np.einsum("ri,ij,rj->r", shares[0], wins, shares[1], optimize=True)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(wins.mean()), float(low), float(high), float(drawn.std(ddof=1)), float("nan"))


def published() -> pd.DataFrame:
    """Read the figures of the study's slides, typed from them: columns table, model, prior, measure, value.

    References
    ----------
    habakan, "Turning the NN starter model into a Bayesian NN" (in Japanese), Numerai Meetup Japan, 18 December 2021.
    The slide prints 0.191 for the correlation of the best epoch, which must be 0.0191.
    """
    return pd.read_csv(Path(__file__).with_name("habakan.csv"), keep_default_na=False, dtype={"value": float})
