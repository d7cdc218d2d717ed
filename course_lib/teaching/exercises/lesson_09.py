"""Checks of lesson 09: a score era by era, divergences that cannot be, and an epoch chosen elsewhere than judged."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.stats import spearmanr

from course_lib.panel import era_scores, published, sharpe
from course_lib.teaching.exercises import Case, Verdict, exercise, right, wrong
from course_lib.teaching.exercises.kinds import function_exercise


# --- 9.1 score and Sharpe ratio, era by era --------------------------------------------------------------------------
def _panel() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prediction, target and era of rows; eras differ in size and level, and the values have long tails."""
    rng = np.random.default_rng(9)
    eras = np.repeat(np.arange(9), rng.integers(12, 40, size=9))
    slope, level = rng.normal(0.4, 0.5, size=9), rng.normal(scale=3, size=9)
    prediction = rng.normal(size=len(eras))
    y = slope[eras] * prediction + rng.normal(size=len(eras)) + level[eras]
    order = rng.permutation(len(eras))
    return np.sinh(1.5 * prediction + level[eras])[order], np.sinh(y)[order], eras[order]


def _by_era(prediction: np.ndarray, y: np.ndarray, eras: np.ndarray, measure: Callable) -> np.ndarray:
    return np.array([measure(prediction[eras == era], y[eras == era]) for era in np.unique(eras)])


def _rank(a: np.ndarray, b: np.ndarray) -> float:
    return float(spearmanr(a, b)[0])


def _linear(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def _score(prediction, y, eras) -> tuple[float, float]:
    scores = era_scores(prediction, y, eras)
    return scores.mean(), sharpe(scores)


def _mean_and(second: Callable[[np.ndarray, float], float]) -> list[Callable]:
    """Return functions that give the mean and `second(scores, deviation)`, for both kinds of standard deviation."""

    def function(prediction, y, eras, ddof):
        scores = _by_era(prediction, y, eras, _rank)
        return scores.mean(), second(scores, scores.std(ddof=ddof))

    return [partial(function, ddof=0), partial(function, ddof=1)]


_OTHER_MEANS = {  # told by the first number, whatever the second
    "That ranks all rows at once. Levels differ between eras, and nobody is paid for guessing them: correlate within "
    "each era, then average.": lambda p, y, e: _rank(p, y),
    "That is the ordinary correlation, which the largest values rule. Correlate the ranks.": (
        lambda p, y, e: _by_era(p, y, e, _linear).mean()
    ),
    "You dropped the sign. An era that is ranked the wrong way round costs.": (
        lambda p, y, e: np.abs(_by_era(p, y, e, _rank)).mean()
    ),
    "That is the median. The tournament takes the mean over eras.": lambda p, y, e: np.median(_by_era(p, y, e, _rank)),
    "That weighs eras by their rows. Here each era counts the same.": (
        lambda p, y, e: np.average(_by_era(p, y, e, _rank), weights=np.bincount(e))
    ),
}


def _told_by_one_number(given: np.ndarray, *_: np.ndarray) -> str:
    if given.shape != (2,):
        return "Return two numbers, the mean over eras and the Sharpe ratio: return mean, ratio."
    truth = _score(*_panel())[0]
    if np.isclose(given[0], truth, rtol=1e-6):
        return "The mean is right. The Sharpe ratio is it, divided by the standard deviation of the era scores."
    if np.isclose(given[1], truth, rtol=1e-6):
        return "The numbers are there in the other order: first the mean, then the ratio."
    for text, mean in _OTHER_MEANS.items():
        if np.isclose(given[0], mean(*_panel()), rtol=1e-6):
            return text
    return "For each era: rank correlation of its rows. Then the mean of these, and mean / standard deviation."


function_exercise(
    "9.1",
    inputs=lambda: [_panel()],
    solution=_score,
    also_right=_mean_and(lambda scores, deviation: scores.mean() / deviation),
    why="Each era is one measurement, whatever its size and level. The mean says how well the ranking works, the "
    "Sharpe ratio how steadily.",
    mistakes={
        "The mean is right. You divided by the standard error; the Sharpe ratio has the standard deviation of the era "
        "scores, without the root of the number of eras.": _mean_and(
            lambda scores, deviation: scores.mean() / (deviation / np.sqrt(len(scores)))
        ),
        "The mean is right, the ratio is upside down: mean divided by standard deviation.": _mean_and(
            lambda scores, deviation: deviation / scores.mean()
        ),
        "The second number is the standard deviation. Asked: the mean divided by it.": _mean_and(
            lambda scores, deviation: deviation
        ),
    },
    shape=_told_by_one_number,
    others={
        "two numbers": lambda p, y, e: _score(p, y, e)[0],
        "order": lambda p, y, e: _score(p, y, e)[::-1],
        **{text: lambda p, y, e, mean=mean: (mean(p, y, e), 0.0) for text, mean in _OTHER_MEANS.items()},
    },
    otherwise=_told_by_one_number,
)


# --- 9.2 divergences that cannot be ----------------------------------------------------------------------------------
def _published() -> list[float]:
    table = published()
    return table.loc[table["table"] == "divergence", "value"].tolist()


@exercise(
    "9.2",
    solution=lambda: Case([value for value in _published() if value > np.log(2)]),
    wrong_answers=lambda: [
        Case(_published(), says="0.0855"),
        Case([value for value in _published() if value < np.log(2)], says="other way round"),
        Case([value for value in _published() if value > 2], says="bound is smaller"),
        Case([value for value in _published() if value > 1.2], says="bits"),
        Case(5, says="which"),
        Case([], says="overlap"),
        Case([1.4725, 9.9], says="9.9"),
    ],
)
def _impossible(answer: object, **context: object) -> Verdict:
    if not np.iterable(answer) or isinstance(answer, (str, bytes)):
        return wrong("Give a list of the values themselves, so that it is clear which.")
    values, given = _published(), {round(float(value), 4) for value in answer}
    strange = sorted(given - set(values))
    if strange:
        return wrong(f"{strange[0]} is not in the table; its six values are {values}.")
    impossible = {value for value in values if value > np.log(2)}
    if given == impossible:
        return right(
            "ln 2 is the most that this divergence can be (1, if counted in bits): p is nowhere larger than twice the "
            "mixture. So five of the six are another quantity. A bound that everybody can look up is the cheapest test."
        )
    if not given:
        return wrong("What did two distributions without any overlap give? Nothing can be further apart than that.")
    if given == set(values):
        return wrong("0.0855 is below the bound: that one can be.")
    if given == set(values) - impossible:
        return wrong("It is the other way round: small values are possible, large ones are not.")
    if given <= {value for value in values if value > 2}:
        return wrong("The bound is smaller than that: see what two distributions without overlap gave.")
    missing = ", ".join(map(str, sorted(impossible - given)))
    return wrong(f"You left out {missing}. Compare with ln 2; even in bits the bound is 1.")


# --- 9.3 an epoch chosen elsewhere than judged ------------------------------------------------------------------------
CHOOSE, JUDGE = np.arange(0, 20, 2), np.arange(1, 20, 2)


def _scores_by_epoch() -> np.ndarray:
    """Scores of 12 epochs in 20 eras: one epoch is best where one chooses, one where one judges, one over all."""
    scores = 0.02 * np.log1p(np.arange(12))[:, None] + np.random.default_rng(3).normal(scale=0.05, size=(12, 20))
    scores[4, CHOOSE] += 0.3
    scores[7, JUDGE] += 0.3
    scores[9] += 0.22
    scores[2, CHOOSE[0]] += 1.0  # one lucky era
    return scores


def _best(scores: np.ndarray, eras: np.ndarray | slice = slice(None)) -> int:
    return scores[:, eras].mean(axis=1).argmax()


def _honest(scores: np.ndarray, choose: np.ndarray, judge: np.ndarray) -> float:
    return scores[_best(scores, choose), judge].mean()


function_exercise(
    "9.3",
    inputs=lambda: [(_scores_by_epoch(), CHOOSE.copy(), JUDGE.copy())],
    solution=_honest,
    why="The eras that judge had no say in the choice, so their score is one that later eras may see too.",
    mistakes={
        "You chose the epoch on the eras that judge it.": lambda s, c, j: s[:, j].mean(axis=1).max(),
        "You chose on all eras, those that judge included.": lambda s, c, j: s[_best(s), j].mean(),
        "That is the leak itself: the best of all epochs on all eras.": lambda s, c, j: s.mean(axis=1).max(),
        "That is the score on the eras that chose. Report the others.": lambda s, c, j: s[:, c].mean(axis=1).max(),
        "You judge on all eras, which include those that chose.": lambda s, c, j: s[_best(s, c)].mean(),
        "The roles are swapped: choose on `choose`, report on `judge`.": lambda s, c, j: s[_best(s, j), c].mean(),
        "That is the number of the epoch. Return its mean score on the eras that judge.": lambda s, c, j: _best(s, c),
        "That is the last epoch, without a choice. Honest, but not what is asked.": lambda s, c, j: s[-1, j].mean(),
        "You went by the best single era. Choose by the mean over the eras that choose.": (
            lambda s, c, j: s[s[:, c].max(axis=1).argmax(), j].mean()
        ),
    },
    shape="You have one value for each era (or epoch). Return one number: the mean over the eras that judge.",
    others={"one number": lambda s, c, j: s[_best(s, c), j]},
    otherwise="Mean over scores[:, choose] for each epoch, argmax of these, then the mean of scores[best, judge].",
    rtol=1e-9,
)
