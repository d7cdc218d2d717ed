"""Checks of lesson 08: skill against the training mean, gradient steps, rows that belong to the pool."""

from __future__ import annotations

import numpy as np

from course_lib.teaching.exercises import Case, Verdict, call, exercise, right, wrong

NO_FUNCTION = "The answer should be the function itself, without brackets behind its name."


def _mse(a: np.ndarray, b: np.ndarray | float) -> float:
    return float(np.mean((a - b) ** 2))


@exercise(
    "8.1",
    solution=lambda: Case(lambda y, p, known: 1 - _mse(y, p) / _mse(y, known.mean())),
    wrong_answers=lambda: [
        Case(lambda y, p, known: 1 - _mse(y, p) / _mse(y, y.mean()), says="usual R2"),
        Case(lambda y, p, known: 1 - _mse(y, p) / np.var(known), says="training values about their own mean"),
        Case(lambda y, p, known: _mse(y, p) / _mse(y, known.mean()), says="1 minus"),
        Case(lambda y, p, known: _mse(y, p) / _mse(y, known.mean()) - 1, says="sign"),
        Case(lambda y, p, known: 1 - _mse(y, known.mean()) / _mse(y, p), says="upside down"),
        Case(lambda y, p, known: 1 - np.sqrt(_mse(y, p) / _mse(y, known.mean())), says="root"),
        Case(lambda y, p, known: 1 - np.mean(abs(y - p)) / np.mean(abs(y - known.mean())), says="absolute"),
        Case(lambda y, p, known: 1 - _mse(y, p) / _mse(p, known.mean()), says="predictions move"),
        Case(lambda y, p, known: 1 - _mse(y, p) / _mse(y, np.median(known)), says="median"),
        Case(lambda y, p, known: 1 - np.sum((y - p) ** 2) / _mse(y, known.mean()), says="a sum"),
        Case(lambda y, p, known: 1 - (y - p) ** 2 / (y - known.mean()) ** 2, says="one number"),
        Case(0.4, says="function"),
    ],
)
def _skill(answer: object, **context: object) -> Verdict:
    if not callable(answer):
        return wrong(NO_FUNCTION)
    rng = np.random.default_rng(81)
    known = rng.gamma(2.0, 10.0, size=35)
    y = rng.normal(45.0, 6.0, size=14)  # a new family: its values lie higher and closer together
    predicted = y + rng.normal(3.0, 5.0, size=14)
    result = call(answer, y.copy(), predicted.copy(), known.copy())
    if np.ndim(result) != 0:
        return wrong("Give one number for the test set: average the squared errors before you divide.")
    value, error, mean = float(result), _mse(y, predicted), known.mean()

    def near(x: float) -> bool:
        return bool(np.isclose(value, x, rtol=1e-6, atol=1e-9))

    ratio = error / _mse(y, mean)
    if near(1 - ratio):
        return right(
            "Zero means: no better than what you would have said before you had a model. It asks what the model was "
            "worth. R2 asks for more: to beat the new family's own mean, which nobody knows beforehand."
        )
    if near(1 - error / np.var(y)) or near(1 - error / np.var(y, ddof=1)):
        return wrong("That is the usual R2: it compares with the mean of the test values, which nobody knows before.")
    if near(1 - error / np.var(known)) or near(1 - error / np.var(known, ddof=1)):
        return wrong(
            "You divided by the spread of the training values about their own mean. Both errors are of the test "
            "molecules: compare y_test with the training mean."
        )
    if near(ratio):
        return wrong("That is the ratio. A skill of 1 should be perfect and 0 useless: 1 minus the ratio.")
    if near(ratio - 1):
        return wrong("The sign is turned round: a perfect model should have 1.")
    if near(1 - 1 / ratio):
        return wrong("The ratio stands upside down: the model's error goes on top.")
    if near(1 - np.sqrt(ratio)):
        return wrong("You took a root. Asked is the ratio of the mean *squared* errors.")
    if near(1 - np.mean(np.abs(y - predicted)) / np.mean(np.abs(y - mean))):
        return wrong("These are absolute errors. Asked is the ratio of the mean *squared* errors.")
    if near(1 - error / _mse(predicted, mean)):
        return wrong("Below the line you measured how far the predictions move. Compare the measured values there.")
    if near(1 - error / _mse(y, float(np.median(known)))):
        return wrong("You compared with the median of the training values. Their mean is asked.")
    if near(1 - 14 * ratio) or near(1 - ratio / 14):
        return wrong("One of the two is a sum and the other a mean: the number of molecules does not cancel.")
    return wrong(
        "Compare two mean squared errors, both over the test molecules: that of the predictions, and that of a single "
        "number. Which number would you have said before you had a model?"
    )


@exercise(
    "8.2",
    solution=lambda: Case(lambda n, epochs, batch=256: n // batch * epochs),
    wrong_answers=lambda: [
        Case(lambda n, epochs, batch=256: -(-n // batch) * epochs, says="keeps the last batch"),
        Case(lambda n, epochs, batch=256: n / batch * epochs, says="parts of a batch"),
        Case(lambda n, epochs, batch=256: n * epochs // batch, says="carried over"),
        Case(lambda n, epochs, batch=256: n // batch, says="one epoch"),
        Case(lambda n, epochs, batch=256: max(1, n // batch) * epochs, says="at least one"),
        Case(lambda n, epochs, batch=256: round(n / batch) * epochs, says="rounded"),
        Case(lambda n, epochs, batch=256: n // 256 * epochs, says="written into"),
        Case(lambda n, epochs, batch=256: n // batch * batch * epochs, says="molecules"),
        Case(lambda n, epochs, batch=256: n % batch * epochs, says="left over"),
        Case(lambda n, epochs, batch=256: (n - 1) // batch * epochs, says="exactly full"),
        Case(lambda n, epochs, batch=256: n // batch + epochs, says="times"),
        Case(0, says="function"),
    ],
)
def _gradient_steps(answer: object, **context: object) -> Verdict:
    if not callable(answer):
        return wrong(NO_FUNCTION)
    asked = [(600, 10, 256), (250, 10, 256), (512, 3, 256), (700, 7, 300), (90, 4, 32), (1000, 5, 100)]
    given = [call(answer, *case) for case in asked]
    if any(np.ndim(value) != 0 for value in given):
        return wrong("Give one number: the steps of the whole training.")
    values = [float(value) for value in given]

    def like(rule) -> bool:
        return bool(np.allclose(values, [rule(n, epochs, batch) for n, epochs, batch in asked]))

    if like(lambda n, epochs, batch: n // batch * epochs):
        return right(
            "Full batches in an epoch, times epochs. With 255 molecules that is 0 x epochs: however long it trains, "
            "nothing is learned, and no error is raised."
        )
    if like(lambda n, epochs, batch: -(-n // batch) * epochs):
        return wrong("This keeps the last batch, full or not. That is the usual rule; the one asked for drops it.")
    if like(lambda n, epochs, batch: n / batch * epochs):
        return wrong("You counted parts of a batch as parts of a step. A batch is used whole or not at all.")
    if like(lambda n, epochs, batch: n * epochs // batch):
        return wrong("Here the rest of an epoch is carried over to the next one. It is dropped at the end of each.")
    if like(lambda n, epochs, batch: n // batch):
        return wrong("These are the steps of one epoch. How many epochs are there?")
    if like(lambda n, epochs, batch: max(1, n // batch) * epochs):
        return wrong("You gave every epoch at least one step. That would have been wise; it is not what was run.")
    if like(lambda n, epochs, batch: round(n / batch) * epochs):
        return wrong("You rounded to the nearest. Dropping always rounds down.")
    if like(lambda n, epochs, batch: n // 256 * epochs):
        return wrong("256 is written into your function. Use `batch`: other programs have other sizes.")
    if like(lambda n, epochs, batch: n // batch * batch * epochs):
        return wrong("That counts the molecules that are used, over all epochs. A batch of them makes one step.")
    if like(lambda n, epochs, batch: n % batch * epochs):
        return wrong("That is what is left over. Count the full batches.")
    if like(lambda n, epochs, batch: (n - 1) // batch * epochs):
        return wrong("Right but for one case: a last batch that is exactly full (512 = 2 x 256) is not dropped.")
    if like(lambda n, epochs, batch: n // batch + epochs):
        return wrong("Each epoch goes through all batches: steps an epoch times epochs.")
    return wrong("How many full batches are there in `n` molecules? Each is one step, in each epoch.")


_POOL = np.array([2, 3, 5, 8, 9, 11, 12, 14, 17, 19])  # 20 rows in the table; the others are the test
_ORDER = np.array([4, 0, 9, 7, 1, 3, 8, 2, 6, 5])


@exercise(
    "8.3",
    solution=lambda: Case(lambda pool, order, n: pool[order[:n]]),
    wrong_answers=lambda: [
        Case(lambda pool, order, n: order[:n], says="same slip"),
        Case(lambda pool, order, n: pool[:n], says="first rows"),
        Case(lambda pool, order, n: order[pool[pool < len(order)]][:n], says="turned round"),
        Case(lambda pool, order, n: order[np.isin(order, pool)][:n], says="threw out"),
        Case(lambda pool, order, n: pool[order], says="all of the pool"),
        Case(lambda pool, order, n: pool[order < n], says="other molecules"),
        Case(lambda pool, order, n: pool[order[n:]], says="the rest"),
        Case(lambda pool, order, n: np.random.default_rng(0).permutation(pool)[:n], says="another order"),
        Case(lambda pool, order, n: pool[order[n]], says="one row"),
        Case(lambda pool, order, n: pool[order[-n:]], says="last"),
        Case([2, 3, 5], says="function"),
    ],
)
def _training_rows(answer: object, **context: object) -> Verdict:
    if not callable(answer):
        return wrong(NO_FUNCTION)
    n = 4
    result = np.asarray(call(answer, _POOL.copy(), _ORDER.copy(), n))
    if result.ndim == 0:
        return wrong("That is one row. The first n of the order are order[:n].")
    sound = _POOL[_ORDER[:n]]
    if np.array_equal(result, sound) or np.array_equal(result, np.sort(sound)):
        return right(
            "order[:n] are places in the pool, and the pool knows which row of the table stands at each place. Name "
            "such arrays by what they count, and let assert_no_leak look at every split all the same."
        )
    if np.array_equal(result, _ORDER[:n]):
        return wrong("This is the same slip: places in the pool, used as rows of the table.")
    if np.array_equal(result, _POOL[:n]):
        return wrong("These are rows of the pool, but its first rows. The random order is not used.")
    if np.array_equal(result, _POOL[_ORDER]):
        return wrong("These are the right rows in the right order, but all of the pool, whatever n is.")
    if np.array_equal(result, _POOL[_ORDER[n:]]):
        return wrong("You returned the rest: what comes after the first n.")
    if np.array_equal(result, _POOL[_ORDER[-n:]]):
        return wrong("These are the last n of the order. The first n are asked.")
    if np.array_equal(np.sort(result), np.sort(_POOL[n > _ORDER])):
        return wrong(
            "You chose the places whose number in `order` is small: as many rows, but other molecules than order[:n]."
        )
    inside = np.isin(result, _POOL).all()
    filtered = np.isin(result, _ORDER).all()
    if inside and filtered and len(result):
        return wrong(
            "You threw out the numbers that are no rows of the pool. No test molecule is left, but places are still "
            "read as rows, and part of the pool can never be chosen."
        )
    if not inside:
        return wrong("Some of these rows are not in the pool. Perhaps you have `pool` and `order` turned round?")
    if len(result) == n:
        return wrong("Rows of the pool, but in another order than `order`: two runs would not nest.")
    return wrong("Take the first n places of `order`, then ask the pool which rows stand there.")
