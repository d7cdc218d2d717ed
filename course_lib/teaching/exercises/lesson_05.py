"""Checks of lesson 05: coverage at a level, the recalibration factor, how many molecules a promise needs, and leaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.stats import norm

from course_lib.teaching.exercises import Case, Verdict, exercise, right, wrong
from course_lib.teaching.exercises.kinds import function_exercise, letters_exercise

# ------------------------------------------------------------------------------------------------ the molecules of 5.1
_RNG = np.random.default_rng(5)
MEAN = _RNG.normal(100, 20, 200)
STD = _RNG.uniform(0.3, 2, 200)
Y = MEAN + STD * _RNG.standard_t(4, 200)


def _number(result: Any) -> float | None:
    """Return the answer as a number, or None when it is not one."""
    array = np.asarray(result)
    return float(array.ravel()[0]) if array.size == 1 and array.dtype.kind in "fiub" else None


# ---------------------------------------------------------------------------------------------- 5.1 coverage at a level
def _inside(
    q: Callable[[float], float], width: Callable[..., Any] = lambda std: std, error: Callable[..., Any] = np.abs
) -> Callable[..., float]:
    """Make an answer to 5.1 with half width norm.ppf(q(level)) times a function of the standard deviation."""

    def answer(y: Any, y_mean: Any, y_std: Any, level: float) -> float:
        return float(np.mean(error(y - y_mean) <= norm.ppf(q(level)) * width(y_std)))

    return answer


def _half(level: float) -> float:
    return 0.5 + level / 2


COVERAGE = _inside(_half)

function_exercise(
    "5.1",
    inputs=lambda: [(Y.copy(), MEAN.copy(), STD.copy(), level) for level in (0.5, 0.3, 0.8, 0.95)],
    solution=COVERAGE,
    why="A central interval leaves (1 - level) outside, half of it on either side, so its upper end is the quantile "
    "0.5 + level / 2.",
    mistakes={
        "norm.ppf(level) leaves 1 - level above it, and as much again below: on both sides together twice too much is "
        "outside. A central interval divides what is outside between both sides.": _inside(lambda level: level),
        "You look at one end only: a molecule far below its interval counts as inside. Take |y - y_mean|.": [
            _inside(_half, error=lambda e: e),
            _inside(lambda level: level, error=lambda e: e),
        ],
        "You squared y_std: that is the variance, in squared units. The width is a number of deviations.": (
            _inside(_half, lambda s: s**2)
        ),
        "You gave all molecules the mean width. Each molecule has its own width: y_std has one a molecule.": (
            _inside(_half, lambda s: s.mean())
        ),
        "That is the share outside of the interval.": lambda *a: 1 - COVERAGE(*a),
        "That is in per cent. Return a share between 0 and 1.": lambda *a: 100 * COVERAGE(*a),
        "That is the number of molecules inside. Divide it by how many there are.": lambda *a: COVERAGE(*a) * len(a[0]),
        "You returned the stated share. Count how many measurements really lie inside.": lambda y, m, s, level: level,
    },
    shape="Return one number: the share of the molecules that lie inside.",
    signs={
        "Your share is the same whatever the level is. An interval of a lower level is narrower.": (
            lambda given: np.ptp(given) == 0
        )
    },
    others={
        "one number": lambda y, m, s, level: np.abs(y - m) <= s,
        "whatever the level": _inside(lambda level: 0.975),
        "For the level 0.5": lambda *a: COVERAGE(*a) / 2,
    },
    otherwise=lambda given, truth: (
        f"For the level 0.5 your share is {given:.3f}. Inside means |y - y_mean| <= half width, and the half width is "
        "y_std times the normal quantile that leaves half of the rest above it."
    ),
)


# ------------------------------------------------------------------------------------------- 5.2 the factor for widths
def _shifted() -> list[tuple]:
    y = Y + 0.7  # so that a standard deviation about the mean differs from a root mean square
    return [(y, MEAN.copy(), STD.copy()), (y.copy(), MEAN.copy(), 3 * STD)]


def _root_mean_square_z(y: Any, y_mean: Any, y_std: Any) -> float:
    return float(np.sqrt(np.mean(((y - y_mean) / y_std) ** 2)))


def _shape_of_factor(given: np.ndarray) -> str:
    if given.size == len(Y):
        return "Return the factor, one number, not the corrected widths of the calibration molecules."
    return "Return one number: the factor for all standard deviations."


function_exercise(
    "5.2",
    inputs=_shifted,
    solution=_root_mean_square_z,
    why="Dividing all z by their root mean square makes the mean of their squares 1. It is also the factor of the "
    "highest normal likelihood, and the library's SigmaScaler. One outlier can move it much: look at the z.",
    mistakes={
        "The mean of the squared z is a factor for the variance. For widths take its square root.": (
            lambda y, m, s: np.mean(((y - m) / s) ** 2)
        ),
        "Upside down: if the errors are twice the stated width, the widths must become larger.": (
            lambda *a: 1 / _root_mean_square_z(*a)
        ),
        "np.std subtracts the mean of the z first, so it forgives a model that is off to one side for all.": (
            lambda y, m, s: np.std((y - m) / s)
        ),
        "You averaged absolute z. For a normal distribution that comes out at about 0.8, not at 1.": (
            lambda y, m, s: np.mean(np.abs((y - m) / s))
        ),
        "That is the error in the unit of y, and ignores what was stated. A factor has no unit.": (
            lambda y, m, s: np.sqrt(np.mean((y - m) ** 2))
        ),
        "You divided the averages. Divide the error of each molecule by its own width, then average.": (
            lambda y, m, s: np.sqrt(np.mean((y - m) ** 2) / np.mean(s**2))
        ),
        "That sets one level right, 95 %. The exercise asks for the mean squared z, which all molecules make.": (
            lambda y, m, s: np.quantile(np.abs(y - m) / s, 0.95) / 1.96
        ),
    },
    shape=_shape_of_factor,
    signs={
        "Your factor does not depend on what the model stated: for widths three times as large it is equal.": (
            lambda given: given[0] == given[1]
        )
    },
    others={
        "not the corrected": lambda y, m, s: s * _root_mean_square_z(y, m, s),
        "does not depend": lambda *a: 2.0,
        "becomes 0.25, not 1": lambda *a: 2 * _root_mean_square_z(*a),
    },
    otherwise=lambda given, truth: f"With your factor the mean squared z becomes {(truth / given) ** 2:.2f}, not 1.",
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
letters_exercise(
    "5.4",
    why="B fits the noise of the test, D has each molecule on both sides. C's factor makes the intervals worse than "
    "they were, and C's report is honest: a leak is not a bad model, it is a good-looking report.",
    not_chosen={
        "A": "A is sound: the calibration molecules took part neither in the training nor in the test. That is what "
        "they are for.",
        "C": "C is badly mended, as errors on training molecules are too small, but not flattered: the report is made "
        "on test molecules that took no part, and will show how bad it is.",
    },
    chosen={
        "B": "Look at B: the curve is reported on the same molecules on which it was fitted, so it fits their noise "
        "too.",
        "D": "Look at D: the rows of one molecule look the same to the model and have the same error. Half of them are "
        "in the one half and half in the other, so the bound has seen every molecule that it is judged by.",
    },
    none="Look again: at least one of the four looks better than new molecules will find it.",
    example="AC",
)
