"""Checks of lesson 03: limits that count rows, recipes that look at nothing, identity, and four leaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from course_lib.teaching.exercises import Case, Verdict, call, exercise, right, wrong
from course_lib.teaching.exercises.kinds import letters_exercise

# --------------------------------------------------------------------------------------------- 3.1 relaxing the limits
LIMITS = {"min_child_samples": 20, "reg_alpha": 0.8, "reg_lambda": 0.2}


def _limits(samples: Callable[[int], float], penalty: Callable[[int], float], **more: float) -> Callable[[int], dict]:
    """Make an answer to 3.1: each limit times what the functions give for k."""

    def answer(k: int) -> dict:
        return {
            "min_child_samples": samples(k),
            "reg_alpha": 0.8 * penalty(k),
            "reg_lambda": 0.2 * penalty(k),
            **more,
        }

    return answer


@exercise(
    "3.1",
    solution=lambda: Case(_limits(lambda k: -(-20 // k), lambda k: 1 / k)),
    wrong_answers=lambda: [
        Case(_limits(lambda k: 20 * k, lambda k: k), says="multiplied"),
        Case(lambda k: {"min_child_samples": max(1, 20 // k)}, says="penalties"),
        Case(_limits(lambda k: max(1, 20 // k), lambda k: 1), says="penalties"),
        Case(_limits(lambda k: 20, lambda k: 1 / k), says="leaf still needs"),
        Case(_limits(lambda k: 20 // k, lambda k: 1 / k), says="at least one row"),
        Case(_limits(lambda k: 20 / k, lambda k: 1 / k), says="whole number"),
        Case(_limits(lambda k: max(1, 20 / k), lambda k: 1 / k), says="whole number"),
        Case(_limits(lambda k: 2, lambda k: 0.1), says="whatever k"),
        Case(_limits(lambda k: max(1, 20 // k), lambda k: 1 / k, num_leaves=31 * 10), says="does not count rows"),
        Case(_limits(lambda k: 1, lambda k: 0), says="switched the limits off"),
        Case(_limits(lambda k: max(1, 20 // k), lambda k: 1 / k, min_child_weight=0.1), says="never binds"),
        Case(lambda k: 20 / k, says="dictionary"),
    ],
)
def _relaxed(answer: Any, **context: Any) -> Verdict:
    given = {k: call(answer, k) for k in (4, 7, 10, 96)}
    if not all(isinstance(one, Mapping) for one in given.values()):
        return wrong("Return a dictionary: the name of each setting and its value for this k.")
    strange = sorted(set(given[10]) - set(LIMITS) - {"min_child_weight"})
    if strange:
        return wrong(f"{strange[0]} does not count rows: copying rows leaves it alone, and so must you.")
    weight = {k: one.get("min_child_weight", 1e-3 / k) for k, one in given.items()}
    if any(not np.isclose(value, 1e-3 / k) for k, value in weight.items()):
        return wrong(
            "min_child_weight counts rows too (each weighs 1 for squared errors), so k copies make its 0.001 k times "
            "weaker; but at 0.001 it never binds: leave it out, or divide it by k."
        )
    at = {name: [given[k].get(name) for k in (4, 10, 96)] for name in LIMITS}
    samples, alpha, reg_lambda = (at[name] for name in LIMITS)
    if samples[0] is not None and samples[0] > 20:
        return wrong(
            "You multiplied. Copies let k rows of one polymer count towards the 20, so a leaf with few polymers is "
            "enough: for one row a polymer the limits must become smaller."
        )
    if samples[0] is None or samples[0] == 20:
        return wrong("A leaf still needs 20 rows, so with one row a polymer it needs 20 polymers. Copies changed that.")
    if any(value is None for value in (*alpha, *reg_lambda)) or (alpha[1] == 0.8 and reg_lambda[1] == 0.2):
        return wrong(
            "The penalties count rows too: reg_alpha is compared with a sum over the leaf's rows, and reg_lambda is "
            "added to their number. k copies make both sums k times as large, the penalties stay."
        )
    if samples[0] == 1 and alpha[1] == 0:
        return wrong("You switched the limits off. Copying rows k times only makes them k times weaker.")
    if len(set(alpha)) == 1 or len(set(samples)) == 1:
        return wrong("Your settings are the same whatever k is. More copies relax the limits further.")
    if samples[2] < 1 and isinstance(samples[2], (int, np.integer)):
        return wrong(
            "For many copies min_child_samples becomes 0. A leaf holds at least one row, however often it was copied."
        )
    if not all(float(value).is_integer() for value in (*samples, given[7]["min_child_samples"])):
        return wrong("min_child_samples is a number of rows, so it must be a whole number, and at least 1.")
    if not all(abs(value - wanted) < 1 for value, wanted in zip(samples, (5, 2, 1), strict=True)):
        return wrong(f"min_child_samples for k = 4, 10 and 96 is {samples}; how many polymers make 20 rows then?")
    for values, start, name in ((alpha, 0.8, "reg_alpha"), (reg_lambda, 0.2, "reg_lambda")):
        if not np.allclose(values, [start / k for k in (4, 10, 96)], rtol=1e-6):
            return wrong(f"{name} for k = 10 is {values[1]:g}; k copies make it k times weaker, no more and no less.")
    return right(
        "k copies multiply every sum over a leaf's rows by k, and the limits stay; dividing the limits by k does the "
        "same to one row a polymer. This is control (b). Two things still differ: with copies each tree draws rows, "
        "not polymers, so it sees nearly all polymers; and a bin needs three rows, which copies always give."
    )


# ------------------------------------------------------------------------------------------- 3.2 a recipe, not a table
def _steps(kind: str) -> Any:
    """Answers to 3.2, made when a test asks for them."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    table = np.random.default_rng(0).normal(3, 2, size=(30, 4))
    if kind == "table":
        return StandardScaler().fit_transform(table)
    if kind == "fitted":
        return make_pipeline(StandardScaler(), Ridge()).fit(table, table[:, 0])
    if kind == "frozen":
        return make_pipeline(FunctionTransformer(StandardScaler().fit(table).transform), Ridge())
    if kind == "constants":
        return make_pipeline(FunctionTransformer(lambda x: (x - table.mean(axis=0)) / table.std(axis=0)), Ridge())
    parts = {
        "right": (StandardScaler(), Ridge()),
        "bare": (Ridge(),),
        "no model": (StandardScaler(),),
        "order": (Ridge(), StandardScaler()),
        "unscaled": (FunctionTransformer(), Ridge()),
    }[kind]
    return make_pipeline(*parts)


@exercise(
    "3.2",
    solution=lambda: Case(_steps("right")),
    wrong_answers=lambda: [
        Case(_steps("table"), says="table, not a recipe"),
        Case(_steps("bare"), says="nothing scales"),
        Case(_steps("bare")[0], says="nothing scales"),
        Case(_steps("no model"), says="no model at the end"),
        Case(_steps("order"), says="before the model"),
        Case(_steps("fitted"), says="has been fitted"),
        Case(_steps("frozen"), says="learns nothing"),
        Case(_steps("constants"), says="learns nothing"),
        Case(_steps("unscaled"), says="as they are"),
        Case([1, 2], says="make_pipeline"),
    ],
)
def _pipeline(answer: Any, **context: Any) -> Verdict:
    from sklearn.base import clone, is_regressor
    from sklearn.exceptions import NotFittedError
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import check_is_fitted

    if hasattr(answer, "shape"):
        return wrong(
            "This is a table, not a recipe: whatever it was scaled with, test rows took part. Hand over the steps, and "
            "let each fold take them."
        )
    if not isinstance(answer, Pipeline):
        if hasattr(answer, "predict"):
            return wrong("This is a model alone: nothing scales the columns. Put the scaler before it in a pipeline.")
        return wrong("Put the steps into one object: make_pipeline(first step, last step).")
    steps = [step for _, step in answer.steps]
    predicts = [hasattr(step, "predict") for step in steps]
    if any(predicts[:-1]):
        return wrong("The scaler must come before the model: steps run from left to right, the model is the last.")
    if not predicts[-1]:
        return wrong("There is no model at the end of the pipeline: it scales, and nothing predicts.")
    if len(steps) == 1:
        return wrong("The pipeline holds a model alone: nothing scales the columns.")
    if not is_regressor(answer):
        return wrong("Tg is a number: the last step must be a regressor.")
    try:
        check_is_fitted(steps[-1])
    except NotFittedError:
        pass
    else:
        return wrong(
            "It has been fitted already, on rows that will be test rows of some fold. Hand over the unfitted recipe; "
            "the loop over the folds fits a fresh copy each time."
        )
    rng = np.random.default_rng(0)
    table = rng.normal(size=(60, 40)) * rng.uniform(1, 50, size=40) + rng.uniform(-20, 20, size=40)
    labels = table[:, 0] + rng.normal(size=60)  # a choice of columns, wherever it stands, may look at them
    head = clone(answer)[:-1]
    frozen = wrong(
        "The first step learns nothing from the rows it is fitted on: it applies a scale that was fixed before (or "
        "none). In each fold the scale must come from that fold's training rows."
    )
    try:
        plain = np.asarray(head.fit_transform(table, labels))
    except ValueError:  # it expects the columns of the table that its scale came from
        return frozen
    if plain.shape == table.shape and np.allclose(plain, table):
        return wrong("The step before the model hands the columns on as they are. Which step scales them?")
    stretched = np.asarray(clone(head).fit_transform(10 * table + 3, labels))
    if plain.shape != stretched.shape or not np.allclose(plain, stretched, atol=1e-6):
        return frozen
    return right(
        "fit learns the scale from the training rows of each fold, predict only applies it. Scaling leaks little and "
        "trees do not care; choosing columns or settings with a look at the labels leaks a lot. One habit serves all."
    )


# -------------------------------------------------------------------------------------------------------- 3.3 identity
ROW = np.array([2, 0, 1, 0, 2, 0, 3])
GROUPS = np.array(["styrene", "propene", "styrene", "ethene"], dtype=object)
PREDICTION = np.array([390.0, 360.0, 260.0, 366.0, 400.0, 372.0, 200.0])
"""Lines 0 and 2 hold the same molecule, with three rows and two."""


def _by_line(prediction: np.ndarray, row: np.ndarray) -> dict:
    return {line: float(prediction[row == line].mean()) for line in np.unique(row)}


def _mean_of_lines(prediction: np.ndarray, row: np.ndarray, groups: np.ndarray) -> dict:
    lines = _by_line(prediction, row)
    return {g: float(np.mean([lines[i] for i in lines if groups[i] == g])) for g in set(groups)}


def _last_line(prediction: np.ndarray, row: np.ndarray, groups: np.ndarray) -> dict:
    return {groups[line]: value for line, value in _by_line(prediction, row).items()}


def _all_rows(
    prediction: np.ndarray, row: np.ndarray, groups: np.ndarray, how: Callable[[np.ndarray], float] = np.mean
) -> dict:
    prediction, molecule = np.asarray(prediction), np.asarray(groups)[np.asarray(row)]
    return {g: float(how(prediction[molecule == g])) for g in np.unique(molecule)}


@exercise(
    "3.3",
    solution=lambda: Case(_all_rows),
    wrong_answers=lambda: [
        Case(lambda prediction, row, groups: _by_line(prediction, row), says="position"),
        Case(_mean_of_lines, says="average of averages"),
        Case(_last_line, says="overwrites"),
        Case(lambda prediction, row, groups: float(prediction.mean()), says="one number"),
        Case(lambda prediction, row, groups: _all_rows(prediction, row, groups, np.sum), says="sum"),
        Case(lambda prediction, row, groups: _all_rows(prediction, row, groups, np.median), says="median"),
        Case(lambda prediction, row, groups: _all_rows(np.sort(prediction), row, groups), says="rows stay"),
        Case(lambda prediction, row, groups: prediction, says="every row"),
    ],
)
def _molecule_means(answer: Any, **context: Any) -> Verdict:
    import pandas as pd

    result = call(answer, PREDICTION.copy(), ROW.copy(), GROUPS.copy())
    if isinstance(result, tuple) and len(result) == 2 and np.ndim(result[0]) == 1:  # like average_by_group
        result = dict(zip(np.asarray(result[0]).tolist(), np.asarray(result[1]).tolist(), strict=True))
    if isinstance(result, pd.Series):
        result = result.to_dict()
    if np.ndim(result) == 0 and not isinstance(result, Mapping):
        return wrong("You returned one number for the whole table. Each molecule gets its own mean.")
    if not isinstance(result, Mapping):
        if np.size(result) == len(PREDICTION):
            return wrong("You returned a value for every row. Average the rows of each molecule.")
        return wrong("Return a dictionary or a pandas Series: the molecule and its mean.")
    truth = _all_rows(PREDICTION, ROW, GROUPS)
    keys = set(result)
    if keys == set(np.unique(ROW).tolist()):
        return wrong(
            "You averaged by position: four lines, four means. Lines 0 and 2 hold the same molecule: groups[row] gives "
            "the identity of each row's molecule."
        )
    if keys != set(truth):
        return wrong(f"The molecules are {sorted(truth)}, your result has {sorted(map(str, keys))}.")
    given = {name: float(result[name]) for name in truth}

    def same(other: Mapping[str, float]) -> bool:
        return all(np.isclose(given[name], other[name]) for name in truth)

    if same(truth):
        return right(
            "groups[row] is the identity of each row's molecule, and all its rows count once. It works when molecules "
            "lost conformers, when rows are shuffled, and when a molecule stands in several lines."
        )
    if same(_mean_of_lines(PREDICTION, ROW, GROUPS)):
        return wrong(
            "You averaged within each line first and then over lines: an average of averages. A line with few rows "
            "then counts as much as one with many. Average over all rows of the molecule."
        )
    if same(_last_line(PREDICTION, ROW, GROUPS)):
        return wrong("The last line of a molecule overwrites the earlier ones: a molecule may stand in several lines.")
    if same(_all_rows(PREDICTION, ROW, GROUPS, np.sum)):
        return wrong("That is the sum over a molecule's rows, not their mean.")
    if same(_all_rows(PREDICTION, ROW, GROUPS, np.median)):
        return wrong("That is the median. The lecture, and this lesson, take the mean over a molecule's rows.")
    return wrong("The rows stay where they are: prediction[i] belongs to line row[i]. Do not sort or reshape them.")


# --------------------------------------------------------------------------------------------------- 3.4 spot the leak
letters_exercise(
    "3.4",
    why="A leaks molecules, C leaks labels into the columns, D leaks them into the choice. The guard sees only the "
    "first kind, and only when the labels of the molecules are right.",
    not_chosen={
        "B": "B is sound: all lines of a molecule are on one side, and whatever is fitted, the choice of columns too, "
        "is fitted on the training rows of each fold.",
    },
    chosen={
        "A": "Look at A again: a polymer that several handbooks list stands in several lines. With a group for each "
        "line it is in training and in test, and the guard only compares the labels that it is given.",
        "C": "Look at C again: the 20 columns were chosen by their correlation with Tg over all 70 polymers, the "
        "held-out ones too. Their labels took part before the first fold was made.",
        "D": "Look at D again: each single score is sound, but the best of many noisy scores is the luckiest one. The "
        "folds that chose must not be the folds that judge.",
    },
    none="The guard did not complain, and yet at least one of the four is flattered.",
    example="AB",
)
