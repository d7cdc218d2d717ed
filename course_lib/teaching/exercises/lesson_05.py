"""Checks of lesson 05: coverage at a level, the recalibration factor, how many molecules a promise needs, and leaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.stats import norm

from course_lib.teaching.exercises import Case, Verdict, call, exercise, right, wrong

# ------------------------------------------------------------------------------------------------ the molecules of 5.1
_RNG = np.random.default_rng(5)
MEAN = _RNG.normal(100, 20, 200)
STD = _RNG.uniform(0.3, 2, 200)
Y = MEAN + STD * _RNG.standard_t(4, 200)
LEVELS = (0.3, 0.5, 0.8, 0.95)


def _number(result: Any) -> float | None:
    """Return the answer as a number, or None when it is not one."""
    array = np.asarray(result)
    return float(array.ravel()[0]) if array.size == 1 and array.dtype.kind in "fiub" else None


def _half(q: Callable[[float], float], width: Callable[..., Any] = lambda std: std) -> Callable[..., float]:
    """Make an answer to 5.1 with half width norm.ppf(q(level)) times a function of the standard deviation."""

    def answer(y: Any, y_mean: Any, y_std: Any, level: float) -> float:
        return float(np.mean(np.abs(y - y_mean) <= norm.ppf(q(level)) * width(y_std)))

    return answer


COVERAGE = _half(lambda level: 0.5 + level / 2)


# ---------------------------------------------------------------------------------------------- 5.1 coverage at a level
@exercise(
    "5.1",
    solution=lambda: Case(COVERAGE),
    wrong_answers=lambda: [
        Case(_half(lambda level: level), says="both sides"),
        Case(_half(lambda level: 0.975), says="whatever the level"),
        Case(_half(lambda level: 1 - (1 - level)), says="both sides"),
        Case(lambda y, m, s, level: float(np.mean(y <= m + norm.ppf(0.5 + level / 2) * s)), says="one end only"),
        Case(lambda y, m, s, level: float(np.mean(y - m <= norm.ppf(0.5 + level / 2) * s)), says="one end only"),
        Case(lambda y, m, s, level: float(np.mean(y <= m + norm.ppf(level) * s)), says="one end only"),
        Case(_half(lambda level: 0.5 + level / 2, lambda s: s**2), says="variance"),
        Case(_half(lambda level: 0.5 + level / 2, lambda s: s.mean()), says="own width"),
        Case(lambda *a: int(COVERAGE(*a) * 200), says="number of molecules"),
        Case(lambda *a: 100 * COVERAGE(*a), says="per cent"),
        Case(lambda *a: 1 - COVERAGE(*a), says="outside"),
        Case(lambda y, m, s, level: np.abs(y - m) <= s, says="one number"),
        Case(lambda y, m, s, level: level, says="stated share"),
    ],
)
def _coverage(answer: Any, **context: Any) -> Verdict:
    results = [call(answer, Y, MEAN, STD, level) for level in LEVELS]
    given = np.array([_number(result) for result in results], dtype=object)
    if any(value is None for value in given):
        return wrong("Return one number: the share of the molecules that lie inside.")
    given = given.astype(float)

    def same(other: Callable[..., float]) -> bool:
        return bool(np.allclose(given, [other(Y, MEAN, STD, level) for level in LEVELS]))

    truth = np.array([COVERAGE(Y, MEAN, STD, level) for level in LEVELS])
    if np.allclose(given, truth):
        return right(
            "A central interval leaves (1 - level) outside, half of it on either side, so its upper end is the "
            "quantile 0.5 + level / 2."
        )
    if same(_half(lambda level: level)):
        return wrong(
            "norm.ppf(level) leaves 1 - level above it, and as much again below: on both sides together twice too "
            "much is outside. A central interval divides what is outside between both sides."
        )
    if np.ptp(given) == 0:
        return wrong("Your share is the same whatever the level is. An interval of a lower level is narrower.")
    if any(
        same(lambda y, m, s, level, q=q: np.mean(y <= m + norm.ppf(q(level)) * s))
        for q in (lambda level: 0.5 + level / 2, lambda level: level)
    ):
        return wrong("You look at one end only: a molecule far below its interval counts as inside. Take |y - y_mean|.")
    if same(_half(lambda level: 0.5 + level / 2, lambda s: s**2)):
        return wrong("You squared y_std: that is the variance, in squared units. The width is a number of deviations.")
    if same(_half(lambda level: 0.5 + level / 2, lambda s: s.mean())):
        return wrong(
            "You gave all molecules the mean width. Each molecule has its own width: y_std has one a molecule."
        )
    if np.allclose(given, 1 - truth):
        return wrong("That is the share outside of the interval.")
    if np.allclose(given, 100 * truth):
        return wrong("That is in per cent. Return a share between 0 and 1.")
    if np.allclose(given, len(Y) * truth, atol=1):
        return wrong("That is the number of molecules inside. Divide it by how many there are.")
    if np.allclose(given, LEVELS):
        return wrong("You returned the stated share. Count how many measurements really lie inside.")
    return wrong(
        f"For the level 0.5 your share is {given[1]:.3f}. Inside means |y - y_mean| <= half width, and the half width "
        "is y_std times the normal quantile that leaves half of the rest above it."
    )


# ------------------------------------------------------------------------------------------- 5.2 the factor for widths
def _root_mean_square_z(y: Any, y_mean: Any, y_std: Any) -> float:
    return float(np.sqrt(np.mean(((y - y_mean) / y_std) ** 2)))


@exercise(
    "5.2",
    solution=lambda: Case(_root_mean_square_z),
    wrong_answers=lambda: [
        Case(lambda y, m, s: float(np.mean(((y - m) / s) ** 2)), says="square root"),
        Case(lambda *a: 1 / _root_mean_square_z(*a), says="Upside down"),
        Case(lambda y, m, s: float(np.std((y - m) / s)), says="subtracts the mean"),
        Case(lambda y, m, s: float(np.mean(np.abs((y - m) / s))), says="absolute"),
        Case(lambda y, m, s: float(np.sqrt(np.mean((y - m) ** 2))), says="unit"),
        Case(lambda y, m, s: float(np.sqrt(np.mean((y - m) ** 2) / np.mean(s**2))), says="each molecule"),
        Case(lambda y, m, s: float(np.quantile(np.abs(y - m) / s, 0.95) / 1.96), says="one level"),
        Case(lambda y, m, s: s * _root_mean_square_z(y, m, s), says="not the corrected"),
        Case(lambda y, m, s: 2.0, says="does not depend"),
    ],
)
def _factor(answer: Any, **context: Any) -> Verdict:
    shifted = Y + 0.7  # so that a standard deviation about the mean differs from a root mean square
    cases = [(shifted, MEAN, STD), (shifted, MEAN, 3 * STD)]
    results = [call(answer, *one) for one in cases]
    if any(np.size(result) == len(Y) for result in results):
        return wrong("Return the factor, one number, not the corrected widths of the calibration molecules.")
    given = [_number(result) for result in results]
    if any(value is None for value in given):
        return wrong("Return one number: the factor for all standard deviations.")

    def same(other: Callable[..., float]) -> bool:
        return bool(np.allclose(np.array(given, dtype=float), [other(*one) for one in cases]))

    if same(_root_mean_square_z):
        return right(
            "Dividing all z by their root mean square makes the mean of their squares 1. It is also the factor of the "
            "highest normal likelihood, and the library's SigmaScaler. One outlier can move it much: look at the z."
        )
    if same(lambda y, m, s: np.mean(((y - m) / s) ** 2)):
        return wrong("The mean of the squared z is a factor for the variance. For widths take its square root.")
    if same(lambda *one: 1 / _root_mean_square_z(*one)):
        return wrong("Upside down: if the errors are twice the stated width, the widths must become larger.")
    if same(lambda y, m, s: np.std((y - m) / s)):
        return wrong(
            "np.std subtracts the mean of the z first, so it forgives a model that is off to one side for all."
        )
    if same(lambda y, m, s: np.mean(np.abs((y - m) / s))):
        return wrong("You averaged absolute z. For a normal distribution that comes out at about 0.8, not at 1.")
    if same(lambda y, m, s: np.sqrt(np.mean((y - m) ** 2))):
        return wrong("That is the error in the unit of y, and ignores what was stated. A factor has no unit.")
    if same(lambda y, m, s: np.sqrt(np.mean((y - m) ** 2) / np.mean(s**2))):
        return wrong("You divided the averages. Divide the error of each molecule by its own width, then average.")
    if same(lambda y, m, s: np.quantile(np.abs(y - m) / s, 0.95) / 1.96):
        return wrong(
            "That sets one level right, 95 %. The exercise asks for the mean squared z, which all molecules make."
        )
    if given[0] == given[1]:
        return wrong(
            "Your factor does not depend on what the model stated: for widths three times as large it is equal."
        )
    return wrong(
        f"With your factor the mean squared z becomes {np.mean(((shifted - MEAN) / STD / given[0]) ** 2):.2f}, not 1."
    )


# ------------------------------------------------------------------------------ 5.3 how many molecules a promise needs
@exercise(
    "5.3",
    solution=lambda: Case({0.90: 9, 0.95: 19, 0.99: 99}),
    wrong_answers=lambda: [
        Case({0.90: 10, 0.95: 20, 0.99: 100}, says="new molecule takes"),
        Case({0.90: 8, 0.95: 18, 0.99: 98}, says="one too few"),
        Case({0.90: 100, 0.95: 100, 0.99: 100}, says="grows with the level"),
        Case({0.90: 18, 0.95: 38, 0.99: 198}, says="two-sided"),
        Case({0.90: 19, 0.95: 39, 0.99: 199}, says="two-sided"),
        Case({0.90: 9.5, 0.95: 19, 0.99: 99}, says="whole numbers"),
        Case({0.90: 9}, says="all three"),
        Case({0.90: 5, 0.95: 12, 0.99: 40}, says="For 90 %"),
        Case(19, says="dictionary"),
    ],
)
def _needed(answer: Any, **context: Any) -> Verdict:
    if not isinstance(answer, Mapping):
        return wrong("Answer with a dictionary: for each level the number of molecules.")
    if not {0.90, 0.95, 0.99} <= set(answer):
        return wrong("Give all three levels: 0.90, 0.95 and 0.99.")
    given = [answer[level] for level in (0.90, 0.95, 0.99)]
    if any(_number(n) is None or float(n) != int(n) for n in given):
        return wrong("Molecules come in whole numbers.")
    if given == [9, 19, 99]:
        return right(
            "With n molecules there are n + 1 places, and the place level * (n + 1) must not lie above n. So level / "
            "(1 - level) molecules do, and then the bound is the largest error of them all. Nine are enough for 90 %."
        )
    if given == [10, 20, 100]:
        return wrong("One too many: the new molecule takes one of the 20 places, so 19 others are enough for 95 %.")
    if given == [8, 18, 98]:
        return wrong("That is one too few: 0.95 * 19 = 18.05, rounded up 19, lies above 18.")
    if given in ([18, 38, 198], [19, 39, 199], [20, 40, 200]):
        return wrong("You counted two tails. Absolute errors have one: a two-sided interval comes from one bound.")
    if len(set(given)) == 1:
        return wrong("The number grows with the level: a promise that is broken more rarely needs more evidence.")
    return wrong(
        f"For 90 % you say {given[0]}. The place is 0.9 * (n + 1), rounded up: find the smallest n for which it does "
        "not lie above n."
    )


# --------------------------------------------------------------------------------------------------- 5.4 spot the leak
@exercise(
    "5.4",
    solution=lambda: Case({"B", "D"}),
    wrong_answers=lambda: [
        Case({"A", "B", "D"}, says="A is sound"),
        Case({"B", "C", "D"}, says="not flattered"),
        Case({"B"}, says="look the same to the model"),
        Case({"D"}, says="same molecules on which"),
        Case({"B", "Z"}, says="letters A to D"),
        Case(set(), says="at least one"),
    ],
)
def _flattered(answer: Any, **context: Any) -> Verdict:
    letters = {str(letter).strip().upper() for letter in answer}
    if not letters:
        return wrong("Look again: at least one of the four looks better than new molecules will find it.")
    if not letters <= set("ABCD"):
        return wrong("Give letters A to D, for instance {'A', 'C'}.")
    if "A" in letters:
        return wrong(
            "A is sound: the calibration molecules took part neither in the training nor in the test. That is what "
            "they are for."
        )
    if "C" in letters:
        return wrong(
            "C is badly mended, as errors on training molecules are too small, but not flattered: the report is made "
            "on test molecules that took no part, and will show how bad it is."
        )
    if "B" not in letters:
        return wrong(
            "Look at B: the curve is reported on the same molecules on which it was fitted, so it fits their noise too."
        )
    if "D" not in letters:
        return wrong(
            "Look at D: the rows of one molecule look the same to the model and have the same error. Half of them are "
            "in the one half and half in the other, so the bound has seen every molecule that it is judged by."
        )
    return right(
        "B fits the noise of the test, D has each molecule on both sides. C's factor is worse than either, and C's "
        "report is honest: a leak is not a bad model, it is a good-looking report."
    )
