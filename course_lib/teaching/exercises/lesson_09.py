"""Checks of lesson 09: a score era by era, divergences that cannot be, and an epoch chosen elsewhere than judged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import spearmanr

from course_lib.panel import era_scores, published, sharpe
from course_lib.teaching.exercises import Case, Verdict, call, exercise, right, wrong

NO_FUNCTION = "The answer should be the function itself, without brackets behind its name."


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


def _with(change: Callable[[np.ndarray], object], measure: Callable = _rank) -> Callable:
    return lambda prediction, y, eras: change(_by_era(prediction, y, eras, measure))


@exercise(
    "9.1",
    solution=lambda: Case(_score),
    wrong_answers=lambda: [
        Case(lambda p, y, e: (_rank(p, y), 0.0), says="within each era"),
        Case(_with(lambda s: (s.mean(), s.mean() / s.std()), _linear), says="ranks"),
        Case(_with(lambda s: (s.mean(), s.mean() / (s.std() / np.sqrt(len(s))))), says="root of the number"),
        Case(_with(lambda s: (s.mean(), s.std() / s.mean())), says="upside down"),
        Case(_with(lambda s: (s.mean(), s.std())), says="divided by"),
        Case(_with(lambda s: (s.mean() / s.std(), s.mean())), says="order"),
        Case(_with(lambda s: s.mean()), says="two numbers"),
        Case(_with(lambda s: (np.abs(s).mean(), np.abs(s).mean() / np.abs(s).std())), says="sign"),
        Case(_with(lambda s: (np.median(s), np.median(s) / s.std())), says="mean over eras"),
        Case(
            lambda p, y, e: (
                np.average(_by_era(p, y, e, _rank), weights=np.bincount(e)),
                _by_era(p, y, e, _rank).mean() / _by_era(p, y, e, _rank).std(),
            ),
            says="counts the same",
        ),
        Case(0.02, says="function"),
    ],
)
def _era_score(answer: object, **context: object) -> Verdict:
    if not callable(answer):
        return wrong(NO_FUNCTION)
    prediction, y, eras = _panel()
    result = call(answer, prediction.copy(), y.copy(), eras.copy())
    if np.shape(result) != (2,):
        return wrong("Return two numbers, the mean over eras and the Sharpe ratio: return mean, ratio.")
    mean, ratio = map(float, result)
    ranked, linear = _by_era(prediction, y, eras, _rank), _by_era(prediction, y, eras, _linear)

    def near(x: float, value: float) -> bool:
        return bool(np.isclose(x, value, rtol=1e-6))

    ratios = [ranked.mean() / ranked.std(ddof=ddof) for ddof in (0, 1)]
    if near(mean, ranked.mean()):
        if any(near(ratio, value) for value in ratios):
            return right(
                "Each era is one measurement, whatever its size and level. The mean says how well the ranking works, "
                "the Sharpe ratio how steadily."
            )
        if any(near(ratio, value * np.sqrt(len(ranked))) for value in ratios):
            return wrong(
                "The mean is right. You divided by the standard error; the Sharpe ratio has the standard deviation of "
                "the era scores, without the root of the number of eras."
            )
        if any(near(ratio, 1 / value) for value in ratios):
            return wrong("The mean is right, the ratio is upside down: mean divided by standard deviation.")
        if any(near(ratio, ranked.std(ddof=ddof)) for ddof in (0, 1)):
            return wrong("The second number is the standard deviation. Asked: the mean divided by it.")
        return wrong("The mean is right. The Sharpe ratio is it, divided by the standard deviation of the era scores.")
    if near(ratio, ranked.mean()):
        return wrong("The numbers are there in the other order: first the mean, then the ratio.")
    if near(mean, _rank(prediction, y)):
        return wrong(
            "That ranks all rows at once. Levels differ between eras, and nobody is paid for guessing them: correlate "
            "within each era, then average."
        )
    if near(mean, linear.mean()):
        return wrong("That is the ordinary correlation, which the largest values rule. Correlate the ranks.")
    if near(mean, np.abs(ranked).mean()):
        return wrong("You dropped the sign. An era that is ranked the wrong way round costs.")
    if near(mean, np.median(ranked)):
        return wrong("That is the median. The tournament takes the mean over eras.")
    if near(mean, np.average(ranked, weights=np.bincount(eras))):
        return wrong("That weighs eras by their rows. Here each era counts the same.")
    return wrong("For each era: rank correlation of its rows. Then the mean of these, and mean / standard deviation.")


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


CHOOSE, JUDGE = np.arange(0, 20, 2), np.arange(1, 20, 2)


def _scores_by_epoch() -> np.ndarray:
    """Scores of 12 epochs in 20 eras: one epoch is best where one chooses, one where one judges, one over all."""
    scores = 0.02 * np.log1p(np.arange(12))[:, None] + np.random.default_rng(3).normal(scale=0.05, size=(12, 20))
    scores[4, CHOOSE] += 0.3
    scores[7, JUDGE] += 0.3
    scores[9] += 0.22
    scores[2, CHOOSE[0]] += 1.0  # one lucky era
    return scores


def _honest(scores: np.ndarray, choose: np.ndarray, judge: np.ndarray) -> float:
    return scores[scores[:, choose].mean(axis=1).argmax(), judge].mean()


@exercise(
    "9.3",
    solution=lambda: Case(_honest),
    wrong_answers=lambda: [
        Case(lambda s, c, j: s[:, j].mean(axis=1).max(), says="eras that judge"),
        Case(lambda s, c, j: s[s.mean(axis=1).argmax(), j].mean(), says="all eras"),
        Case(lambda s, c, j: s.mean(axis=1).max(), says="the leak"),
        Case(lambda s, c, j: s[:, c].mean(axis=1).max(), says="eras that chose"),
        Case(lambda s, c, j: s[s[:, c].mean(axis=1).argmax()].mean(), says="include those"),
        Case(lambda s, c, j: s[s[:, j].mean(axis=1).argmax(), c].mean(), says="roles"),
        Case(lambda s, c, j: s[:, c].mean(axis=1).argmax(), says="number of the epoch"),
        Case(lambda s, c, j: s[-1, j].mean(), says="last epoch"),
        Case(lambda s, c, j: s[s[:, c].max(axis=1).argmax(), j].mean(), says="single era"),
        Case(lambda s, c, j: s[s[:, c].mean(axis=1).argmax(), j], says="one number"),
        Case(0.02, says="function"),
    ],
)
def _epoch(answer: object, **context: object) -> Verdict:
    if not callable(answer):
        return wrong(NO_FUNCTION)
    scores = _scores_by_epoch()
    result = call(answer, scores.copy(), CHOOSE.copy(), JUDGE.copy())
    if np.ndim(result) != 0:
        return wrong(
            "You have one value for each era (or epoch). Return one number: the mean over the eras that judge."
        )
    value = float(result)
    on_choose, on_judge, on_all = (scores[:, eras].mean(axis=1) for eras in (CHOOSE, JUDGE, np.arange(20)))

    def near(x: float) -> bool:
        return bool(np.isclose(value, x, rtol=1e-9))

    if near(on_judge[on_choose.argmax()]):
        return right("The eras that judge had no say in the choice, so their score is one that later eras may see too.")
    if near(on_judge.max()):
        return wrong("You chose the epoch on the eras that judge it.")
    if near(on_judge[on_all.argmax()]):
        return wrong("You chose on all eras, those that judge included.")
    if near(on_all.max()):
        return wrong("That is the leak itself: the best of all epochs on all eras.")
    if near(on_choose.max()):
        return wrong("That is the score on the eras that chose. Report the others.")
    if near(on_all[on_choose.argmax()]):
        return wrong("You judge on all eras, which include those that chose.")
    if near(on_choose[on_judge.argmax()]):
        return wrong("The roles are swapped: choose on `choose`, report on `judge`.")
    if near(on_choose.argmax()):
        return wrong("That is the number of the epoch. Return its mean score on the eras that judge.")
    if near(on_judge[-1]):
        return wrong("That is the last epoch, without a choice. Honest, but not what is asked.")
    if near(on_judge[scores[:, CHOOSE].max(axis=1).argmax()]):
        return wrong("You went by the best single era. Choose by the mean over the eras that choose.")
    return wrong("Mean over scores[:, choose] for each epoch, argmax of these, then the mean of scores[best, judge].")
