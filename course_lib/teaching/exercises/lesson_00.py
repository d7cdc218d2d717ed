"""Checks of lesson 00: three small exercises to learn how exercises work."""

from __future__ import annotations

import numpy as np

from course_lib.teaching.exercises import Case, Verdict, exercise, right, wrong
from course_lib.teaching.exercises.kinds import function_exercise

MEASURED = (350.0, 373.0, 300.0, 410.0, 285.0)
PREDICTED = (360.0, 353.0, 330.0, 410.0, 245.0)


@exercise(
    "0.1",
    solution=lambda: Case(20.0),
    wrong_answers=lambda: [
        Case(100.0, says="sum"),
        Case(-4.0, says="cancel"),
        Case(4.0, says="cancel"),
        Case(24.5, says="root"),
        Case(600.0, says="squared"),
        Case("20 K", says="number"),
    ],
)
def _mean_absolute_error(answer: object, **context: object) -> Verdict:
    errors = np.subtract(PREDICTED, MEASURED)
    mae = float(np.abs(errors).mean())
    if isinstance(answer, str) or np.ndim(answer) != 0:
        return wrong("The answer should be one number, in kelvin, without quotes or units.")
    value = float(answer)  # type: ignore[arg-type]
    if np.isclose(value, mae, atol=0.05):
        return right(
            "The sizes of the five errors, averaged. It has the unit of the property itself, so a chemist can compare "
            "it with the scatter of the measurement."
        )
    if np.isclose(value, np.abs(errors).sum(), atol=0.05):
        return wrong("That is the sum of the errors' sizes. It grows with the number of molecules: divide by it.")
    if np.isclose(abs(value), abs(errors.mean()), atol=0.05):
        return wrong(
            "You averaged the errors with their signs, so that a prediction too high and one too low cancel. That is "
            "the bias, not the typical error."
        )
    if np.isclose(value, np.sqrt((errors**2).mean()), atol=0.05):
        return wrong(
            "That is the root of the mean squared error. It weighs large errors more; here the mean of sizes is meant."
        )
    if np.isclose(value, (errors**2).mean(), atol=0.05):
        return wrong("That is the mean of the squared errors, in squared kelvin. Take sizes, not squares.")
    return wrong("Take the five differences between predicted and measured, drop their signs, and average.")


function_exercise(
    "0.2",
    inputs=lambda: [(40.0 + np.random.default_rng(7).gamma(4.0, 8.0, size=1000),)],
    solution=lambda scores: np.percentile(scores, [5, 95]),
    why="One score in twenty lies below, one in twenty above, nine in ten between. Percentiles need no bell curve, and "
    "scores of small test sets do not follow one.",
    mistakes={
        "The smallest and the largest score hold all of them between, and move with every further trial.": (
            lambda scores: (min(scores), max(scores))
        ),
        "Between the 10th and the 90th percentile lie only eight in ten. Cut off one in twenty at each end.": (
            lambda scores: np.percentile(scores, [10, 90])
        ),
        "np.percentile counts from 0 to 100, np.quantile from 0 to 1.": (
            lambda scores: np.percentile(scores, [0.05, 0.95])
        ),
        "Mean and standard deviation give these ends only for a bell curve, and the scores are lopsided.": [
            lambda scores, width=width: np.mean(scores) + width * np.std(scores) * np.array([-1, 1])
            for width in (1.0, 1.64, 1.645, 1.96, 2.0)
        ],
    },
    shape="The function should return two numbers, the lower and the upper end.",
    signs={"The two ends are in the wrong order: the lower one first.": lambda given: given[0][0] > given[0][1]},
    others={
        "order": lambda scores: np.percentile(scores, [95, 5]),
        "two numbers": lambda scores: np.percentile(scores, 90),
    },
    otherwise="These are not the ends between which nine in ten scores lie. Look at np.percentile.",
    rtol=0.004,  # of the lower end, about 50, that is 0.2
)


@exercise(
    "0.3",
    solution=lambda: Case(40),
    wrong_answers=lambda: [
        Case(20, says="Twice"),
        Case(4, says="times"),
        Case(14, says="square root"),
        Case(2.5, says="fewer"),
        Case(100, says="too many"),
        Case(30, says="1 / sqrt"),
        Case("about 40", says="number"),
    ],
)
def _molecules_for_half_the_spread(answer: object, **context: object) -> Verdict:
    if isinstance(answer, str) or np.ndim(answer) != 0:
        return wrong("The answer should be one number of molecules, without quotes or units.")
    value = float(answer)  # type: ignore[arg-type]
    if 36 <= value <= 44:  # "about" how many: within 5 % of half the spread
        return right(
            "The spread falls with the square root of the number of test molecules, so half the spread costs four "
            "times the measurements. This is why a small test set says so little."
        )
    if value == 20:
        return wrong(
            "Twice the molecules make the spread smaller by the square root of 2 only. Try it with the slider."
        )
    if value == 4:
        return wrong("It is 4 times as many; the question asks for the number of molecules.")
    if 14 <= value <= 15:
        return wrong("You multiplied by the square root of 2. It is the spread that goes with the square root.")
    if value < 10:
        return wrong("With fewer molecules the spread grows.")
    if value >= 80:
        return wrong("That would do it, but it is too many: the spread would be less than half.")
    return wrong("Spread is proportional to 1 / sqrt(number of test molecules).")
