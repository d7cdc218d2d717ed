"""Checks of lesson 01: the cost of a default, how sharp fifty errors are, copies, a choice inside the folds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from course_lib.teaching.exercises import Case, Verdict, exercise, right, wrong
from course_lib.teaching.exercises.kinds import function_exercise


@exercise(
    "1.1",
    solution=lambda: Case(63),
    wrong_answers=lambda: [
        Case(20, says="either side"),
        Case(40, says="tree itself"),
        Case(50, says="one of the two"),
        Case(62.5, says="half a molecule"),
        Case(62, says="rounded down"),
        Case(26, says="multiplied"),
        Case(32, says="one leaf only"),
        Case(100, says="smaller table"),
        Case("63 molecules", says="number"),
    ],
)
def _smallest_table(answer: object, **context: object) -> Verdict:
    if isinstance(answer, str) or np.ndim(answer) != 0:
        return wrong("The answer should be one number of molecules, without quotes or units.")
    value = float(answer)  # type: ignore[arg-type]
    if value == 63:
        return right(
            "A tree needs 2 x 20 molecules, 0.8 of what its fold trains on, which is four fifths of the table: "
            "40 / 0.8 / 0.8 = 62.5, so 63. Well below it LightGBM in five-fold cross-validation is the mean, disguised."
        )
    if value == 20:
        return wrong("20 fill one leaf. A cut makes two: there must be 20 on either side of it.")
    if value == 40:
        return wrong("The tree itself needs 40, but it does not see the whole table: go back from tree to fold.")
    if value == 50:
        return wrong(
            "You went back one of the two steps. A tree sees 0.8 of the training molecules, and those are four fifths "
            "of the table."
        )
    if value == 62.5:
        return wrong("The sum is right, but there is no half a molecule: the smallest whole number that is enough?")
    if value == 62:
        return wrong("You rounded down: with 62, two of the folds train on 49 molecules, and 0.8 of 49 is too few.")
    if 25 <= value <= 26:
        return wrong("You multiplied by 0.8 where the way back, from the tree to the table, divides.")
    if value in (31, 31.25, 32):
        return wrong("You went back from 20, which is enough for one leaf only. Go back from what a cut needs.")
    if value > 63:
        return wrong("That is enough, but a smaller table is enough too.")
    return wrong("Start at the tree: how many molecules does one cut need? Then go back: 0.8, and four folds of five.")


def _tables() -> list[tuple]:
    rng = np.random.default_rng(3)
    return [(np.abs(rng.normal(0.0, 30.0, size=24)) + 5.0,), (np.abs(rng.normal(0.0, 8.0, size=90)),)]


def _both(rule: Callable[[float, int], float]) -> list[Callable[[np.ndarray], float]]:
    """Apply a rule to the standard deviation, with n - 1 and with n in it, and to the number n of the errors."""
    return [lambda e, ddof=ddof: rule(np.std(e, ddof=ddof), len(e)) for ddof in (1, 0)]


function_exercise(
    "1.2",
    inputs=_tables,
    solution=lambda e: np.std(e, ddof=1) / np.sqrt(len(e)),
    also_right=[lambda e: np.std(e) / np.sqrt(len(e))],
    why="The scatter of single errors, divided by the square root of their number. Put it behind every mean absolute "
    "error as plus or minus: with fifty molecules it is a tenth of the error or a little more.",
    mistakes={
        "Right for one table, wrong for another of a different length: where does the 24 come from?": (
            _both(lambda sd, n: sd / np.sqrt(24))
        ),
        "That is the scatter of the error of a single molecule. The mean of many moves less.": _both(lambda sd, n: sd),
        "You divided by the number of molecules. Errors partly cancel: it goes with its square root.": (
            _both(lambda sd, n: sd / n)
        ),
        "That is a variance, in squared kelvin. The standard error has the unit of the errors.": [
            *_both(lambda sd, n: sd**2 / np.sqrt(n)),
            *_both(lambda sd, n: sd**2 / n),
            *_both(lambda sd, n: sd**2),
        ],
        "That is the mean absolute error itself. The question is how far it would move.": np.mean,
        "You took the mean of the errors. Their scatter decides how far it can move, not their size.": (
            lambda e: np.mean(e) / np.sqrt(len(e))
        ),
        "You measured the scatter from zero. Measure it from the mean of the absolute errors.": (
            lambda e: np.sqrt(np.mean(e**2) / len(e))
        ),
        "The 50 is written into your function; this table has 24 errors. Use the length of what comes in.": (
            _both(lambda sd, n: sd / np.sqrt(50))
        ),
        "That is the half width of a 95 % interval, about two standard errors. Give one.": [
            *_both(lambda sd, n: 1.96 * sd / np.sqrt(n)),
            *_both(lambda sd, n: 2 * sd / np.sqrt(n)),
        ],
    },
    shape="The function should return one number: how far the mean moves, not one value a molecule.",
    others={"one number": lambda e: e / np.sqrt(len(e))},
    otherwise="Standard error of a mean: standard deviation of the values / square root of how many there are.",
    rtol=0.005,
)


def _splits() -> list[tuple]:
    """Return made-up splits, one letter a row.

    In the first, 4 of the 8 test rows are known, 2 of the 5 test molecules, 3 of the 11 training rows, 1 row in its
    place, so that each slip gives another number.
    """
    splits = [("ACDBAEFGHIJ", "ABBAXYYZ"), ("ABCDE", "XYZY"), ("ABCDE", "AACY")]
    return [(np.array(list(train)), np.array(list(test))) for train, test in splits]


def _in_place(train: np.ndarray, test: np.ndarray) -> int:
    return sum(a == b for a, b in zip(train, test, strict=False))


function_exercise(
    "1.3",
    inputs=_splits,
    solution=lambda train, test: np.isin(test, train).mean(),
    why="One line, and worth running on every split you make. course_lib.splits.assert_no_leak does it for all splits "
    "of this course, and stops when the share is not zero.",
    mistakes={
        "You counted the test rows that have not been seen.": lambda train, test: 1 - np.isin(test, train).mean(),
        "Right for one split, wrong for another: does your function use both of its arguments?": (
            lambda train, test: 0.5
        ),
        "That is the share of training rows whose molecule is in the test. Turn the question round.": (
            lambda train, test: np.isin(train, test).mean()
        ),
        "You counted each molecule once. The score is a mean over rows, so copies in the test count as often as they "
        "stand there: take rows.": lambda train, test: len(set(train) & set(test)) / len(set(test)),
        "That is how many molecules the two sides have in common. Asked: which share of the test rows.": (
            lambda train, test: len(set(train) & set(test))
        ),
        "That is the number of test rows that have been seen. A share is divided by how many there are.": (
            lambda train, test: np.isin(test, train).sum()
        ),
        "You divided by the number of training rows; it is the test rows that you count.": (
            lambda train, test: np.isin(test, train).sum() / len(train)
        ),
        "That is in per cent. Give the share, between 0 and 1.": lambda train, test: 100 * np.isin(test, train).mean(),
        "You compared the rows position by position. A copy can stand anywhere in the training rows.": [
            lambda train, test: _in_place(train, test) / len(test),
            lambda train, test: _in_place(train, test) / len(train),
            _in_place,
        ],
    },
    shape="You marked the test rows that have been seen. Now make one number of the marks: their share.",
    others={"one number": lambda train, test: np.isin(test, train)},
    otherwise="For each test row ask: is its molecule among the training rows? Then average. np.isin helps.",
)


def _noise() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.normal(size=(50, 300)), rng.normal(size=50)


def _pipeline_cases() -> dict[str, Any]:
    from sklearn.feature_selection import SelectFromModel, SelectKBest, f_regression
    from sklearn.linear_model import OrthogonalMatchingPursuit, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = _noise()

    def best(k: int = 20) -> SelectFromModel:
        return SelectFromModel(OrthogonalMatchingPursuit(n_nonzero_coefs=k), threshold=1e-9)

    chosen = best().fit(X, y).get_support()
    return {
        "right": make_pipeline(best(), Ridge(0.1)),
        "by correlation": make_pipeline(SelectKBest(f_regression, k=20), Ridge(0.1)),
        "no choice": Ridge(0.1),
        "no choice in a pipeline": make_pipeline(Ridge(0.1)),
        "choice only": best(),
        "wrong order": make_pipeline(Ridge(0.1), best()),
        "columns": X[:, chosen],
        "score": -0.3,
        "classes": make_pipeline(SelectKBest(k=20), Ridge(0.1)),
        "too many": make_pipeline(best(40), Ridge(0.1)),
        "tuple": (best(), Ridge(0.1)),
        "class": Ridge,
        "no model": make_pipeline(best(), StandardScaler()),
    }


_INSIDE = (
    "cross_val_predict fits the whole estimator anew in each fold, so the descriptors are chosen on four folds and the "
    "fifth has had no say. The next cell shows what that does to the score."
)


def _steps(model: Any) -> list:
    """Return the steps of a pipeline, those of pipelines inside it too; a model alone is one step."""
    return [part for _, step in model.steps for part in _steps(step)] if hasattr(model, "steps") else [model]


@exercise(
    "1.4",
    solution=lambda: Case(_pipeline_cases()["right"]),
    wrong_answers=lambda: [
        Case(_pipeline_cases()["no choice"], says="all descriptors"),
        Case(_pipeline_cases()["no choice in a pipeline"], says="all descriptors"),
        Case(_pipeline_cases()["choice only"], says="predict"),
        Case(_pipeline_cases()["wrong order"], says="before"),
        Case(_pipeline_cases()["columns"], says="table"),
        Case(_pipeline_cases()["score"], says="score"),
        Case(_pipeline_cases()["classes"], says="classes"),
        Case(_pipeline_cases()["too many"], says="instead of 20"),
        Case(_pipeline_cases()["tuple"], says="make_pipeline"),
        Case(_pipeline_cases()["class"], says="brackets"),
        Case(_pipeline_cases()["no model"], says="cannot predict"),
    ],
)
def _honest(answer: Any, **context: object) -> Verdict:
    from sklearn.base import clone

    if isinstance(answer, type):
        return wrong("That is the class. Make a model of it with brackets: Ridge(0.1), not Ridge.")
    if isinstance(answer, (tuple, list)):
        return wrong("These may be the right parts, but not joined: make_pipeline(first, second) makes one model.")
    if np.isscalar(answer):
        return wrong("That looks like a score. The answer is the estimator that cross_val_predict gets.")
    if not hasattr(answer, "fit"):
        return wrong(
            "That is a table. Whatever columns it holds were chosen with all values in sight: give the estimator that "
            "does the choosing when it is fitted."
        )
    X, y = _noise()
    steps = _steps(answer)
    choosing = [position for position, step in enumerate(steps) if hasattr(step, "get_support")]
    if not choosing:
        last = _steps(clone(answer).fit(X, y))[-1]
        if np.count_nonzero(getattr(last, "coef_", 0)) == 20:  # a model that keeps 20 of its columns by itself
            return right(_INSIDE)
        return wrong("Nothing is chosen: this fits all descriptors. The choice must be a step of the estimator.")
    if choosing[-1] == len(steps) - 1 and not hasattr(steps[-1], "predict"):
        if len(steps) == 1:
            return wrong("This chooses descriptors and stops: it cannot predict. The model comes after it.")
        return wrong("The order is turned round: the choice must come before the model that uses it.")
    if not hasattr(steps[-1], "predict"):
        return wrong("The last step cannot predict: after the choice of descriptors comes the model, Ridge(0.1).")
    from sklearn.feature_selection import f_classif

    if any(getattr(steps[position], "score_func", None) is f_classif for position in choosing):
        return wrong(
            "SelectKBest scores columns by f_classif unless told otherwise, and that is for classes. Say "
            "SelectKBest(f_regression, k=20), or use best_20."
        )
    found = int(np.sum(_steps(clone(answer).fit(X, y))[choosing[-1]].get_support()))
    if found != 20:
        return wrong(f"Your pipeline chooses {found} descriptors instead of 20.")
    return right(_INSIDE)
